package session

import (
	"bytes"
	"crypto/ecdh"
	"crypto/sha512"
	"errors"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
)

func TestMessagesArrive(t *testing.T) {
	o := open(t, proposal(3), 1)
	for name, frame := range map[string][]byte{"broadcast": o.seal(t, 0, -1, 1, "hello"), "private": o.seal(t, 0, 1, 1, "hello")} {
		m, err := o.channels[1].Open(frame)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if m.From != o.setup.Parties[0].ID || string(m.Body) != "hello" || m.Echo != (engine.Transcript{9}) || m.Round != 1 || m.Kind != 7 || !bytes.Equal(m.Signed, frame) {
			t.Errorf("%s arrives as %+v", name, m)
		}
		if bytes.Contains(frame, []byte("hello")) != (name == "broadcast") {
			t.Errorf("%s: readable on the wire is wrong", name)
		}
	}
	// Empty bodies are messages too.
	if m, err := o.channels[2].Open(o.seal(t, 0, 2, 1, "")); err != nil || len(m.Body) != 0 {
		t.Errorf("empty body: %v", err)
	}
}

func TestSealRefuses(t *testing.T) {
	o := open(t, proposal(3), 1)
	c := o.channels[0]
	o.seal(t, 0, 1, 1, "first")
	for name, m := range map[string]engine.Msg{
		"a second time for one slot":      o.msg(0, 1, 1, "second"),
		"the same again":                  o.msg(0, 1, 1, "first"),
		"in another's name":               o.msg(1, 0, 1, "x"),
		"to ourselves":                    o.msg(0, 0, 1, "x"),
		"of another session":              {From: c.self, Round: 2},
		"to a stranger":                   {Session: c.id, From: c.self, To: engine.PartyID{9}, Round: 2},
		"a broadcast beside its own slot": {},
	} {
		if _, err := c.Seal(m); err == nil {
			t.Errorf("sealed %s", name)
		}
	}
	c.Wipe()
	for _, to := range []int{-1, 1} {
		if _, err := c.Seal(o.msg(0, to, 9, "late")); err == nil {
			t.Error("sealed after the keys were wiped")
		}
	}
	for _, to := range []int{-1, 0} {
		if _, err := c.Open(o.seal(t, 1, to, 9, "late")); err == nil {
			t.Error("opened after the keys were wiped")
		}
	}
}

func TestReplays(t *testing.T) {
	o, again := open(t, proposal(3), 1), open(t, proposal(3), 50)
	for _, to := range []int{-1, 1} {
		frame := o.seal(t, 0, to, 1, "once")
		if _, err := again.channels[1].Open(frame); !errors.Is(err, engine.ErrForeign) {
			t.Errorf("in another session of the same setup: %v", err)
		}
		if _, err := o.channels[0].Open(frame); err == nil {
			t.Error("came back to its sender")
		}
	}
	if _, err := o.channels[2].Open(o.seal(t, 0, 1, 2, "for 1")); err == nil {
		t.Error("a message for another party is opened")
	}
}

// A corrupt party signs whatever it likes: another header around a ciphertext opens nothing,
// since the header is what the ciphertext was made for.
func TestTransplantedCiphertexts(t *testing.T) {
	o := open(t, proposal(3), 1)
	m := o.msg(0, 1, 1, "secret")
	env, err := ReadEnvelope(o.seal(t, 0, 1, 1, "secret"))
	if err != nil {
		t.Fatal(err)
	}
	other := m
	other.Round = 2
	kind := m
	kind.Kind = 8
	back := o.msg(1, 0, 1, "")
	onward := o.msg(1, 2, 1, "")
	from2 := o.msg(2, 1, 1, "")
	for name, c := range map[string]struct {
		m        engine.Msg
		by, at   int
		protocol string
	}{
		"other round":                {other, 0, 1, "sign"},
		"other kind":                 {kind, 0, 1, "sign"},
		"other protocol":             {m, 0, 1, "test"},
		"sent back by its receiver":  {back, 1, 0, "sign"},
		"sent on by its receiver":    {onward, 1, 2, "sign"},
		"claimed by a third party":   {from2, 2, 1, "sign"},
		"signed by a third party":    {m, 2, 1, "sign"},
		"signed by its own receiver": {m, 1, 1, "sign"},
	} {
		signer := o.channels[c.by]
		s := *signer.setup
		s.Protocol = c.protocol
		header := (&Channel{setup: &s}).header(&c.m)
		if _, err := o.channels[c.at].Open(resealed(signer, header, env.Body)); !errors.Is(err, ErrInauthentic) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A body too short for an echo is authentic and of no use.
	b := o.msg(0, -1, 3, "")
	if _, err := o.channels[1].Open(resealed(o.channels[0], o.channels[0].header(&b), make([]byte, echoSize-1))); err == nil {
		t.Error("a body without an echo is a message")
	}
}

// A third party verifies equivocation with nothing but the two frames and the identity key.
func TestEquivocationEvidence(t *testing.T) {
	a, s := open(t, proposal(3), 1), proposal(3)
	key := s.Parties[0].Identity
	twin := *a.channels[0] // the same party, sealing a second time
	twin.sealed = map[slot]bool{}
	frame := func(c *Channel, to int, round uint8, body string) []byte {
		f, err := c.Seal(a.msg(0, to, round, body))
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	one, two := frame(a.channels[0], -1, 1, "one"), frame(&twin, -1, 1, "two")
	toOne, toOther := frame(a.channels[0], 1, 2, "one"), frame(&twin, 1, 2, "two")
	toThird, toAll := frame(&twin, 2, 2, "third"), frame(&twin, -1, 2, "all")
	elsewhere := open(t, proposal(3), 60)
	foreign := elsewhere.seal(t, 0, -1, 1, "two")
	byOther := a.seal(t, 1, -1, 1, "two")
	otherRound := frame(&twin, -1, 3, "two")
	spoilt := bytes.Clone(two)
	spoilt[len(spoilt)-1] ^= 1
	for name, c := range map[string]struct {
		a, b []byte
		want bool
	}{
		"two broadcasts":              {one, two, true},
		"two private bodies":          {toOne, toOther, true},
		"private and to all":          {toOne, toAll, true},
		"the same twice":              {one, one, false},
		"private to two parties":      {toOther, toThird, false},
		"another session":             {one, foreign, false},
		"another party":               {one, byOther, false},
		"another round":               {one, otherRound, false},
		"a signature that is not its": {one, spoilt, false},
		"garbage":                     {one, []byte("garbage"), false},
	} {
		if Equivocated(key, c.a, c.b) != c.want || Equivocated(key, c.b, c.a) != c.want {
			t.Errorf("%s: proof is not %v", name, c.want)
		}
	}
	if Equivocated(s.Parties[1].Identity, one, two) || Equivocated(nil, one, two) {
		t.Error("the proof convicts another key")
	}
}

// protocols.md 7 row 33: recorded traffic and all identity keys open nothing, since private
// bodies hang on ephemeral keys alone, which are gone.
func TestStolenIdentityKeysOpenNothing(t *testing.T) {
	o := open(t, proposal(3), 1)
	recorded := o.seal(t, 0, 1, 1, "refresh share")
	for _, c := range o.channels {
		c.Wipe()
		if c.send != nil || c.recv != nil {
			t.Error("a wiped channel has keys")
		}
	}
	id := o.channels[0].Session()
	env, err := ReadEnvelope(recorded)
	if err != nil {
		t.Fatal(err)
	}
	m := o.msg(0, 1, 1, "")
	var ephemeral []*ecdh.PublicKey
	for _, frame := range o.joins {
		body, _, _ := unseal(frameJoin, frame)
		j, err := DecodeJoin(body)
		if err != nil {
			t.Fatal(err)
		}
		pub, _ := ecdh.X25519().NewPublicKey(j.Ephemeral[:])
		ephemeral = append(ephemeral, pub)
	}
	for i := range 3 {
		h := sha512.Sum512(identity(i).Seed())
		stolen, err := ecdh.X25519().NewPrivateKey(h[:32])
		if err != nil {
			t.Fatal(err)
		}
		for _, pub := range append(ephemeral, stolen.PublicKey()) {
			dh, err := stolen.ECDH(pub)
			if err != nil {
				t.Fatal(err)
			}
			aead, err := pairKey(dh, id, m.From, m.To)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := aead.Open(nil, nonce(&m), env.Body, env.header); err == nil {
				t.Fatalf("identity key %d opens recorded traffic", i)
			}
		}
	}
	// Joining the recorded setup again, in the victims' names, makes another session.
	again := open(t, o.setup, 70)
	if _, err := again.channels[1].Open(recorded); !errors.Is(err, engine.ErrForeign) {
		t.Errorf("a second session opens the first one's traffic: %v", err)
	}
}
