package session

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

var noon = time.Unix(1_800_000_000, 0).UTC()

func identity(i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "party %d", i))
	return ed25519.NewKeyFromSeed(seed[:])
}

// proposal is a good Setup of n parties, opened by the first.
func proposal(n int) *Setup {
	s := &Setup{
		Protocol: "sign", Suite: "ecdsa-secp256k1", KeyID: [32]byte{1}, Epoch: [32]byte{2}, Threshold: 2,
		Payload: []byte("pay"), Nonce: [32]byte{3}, NotAfter: noon,
	}
	for i := range n {
		pub := identity(i).Public().(ed25519.PublicKey)
		s.Parties = append(s.Parties, Party{ID: IDOf(pub), Index: share.Index(i + 1), Identity: pub})
	}
	s.Opener = s.Parties[0].ID
	return s
}

// opened is a session of n parties whose channels stand.
type opened struct {
	setup    *Setup
	frame    []byte
	joins    [][]byte
	channels []*Channel
}

func open(tb testing.TB, s *Setup, seed uint64) *opened {
	tb.Helper()
	o := &opened{setup: s}
	var err error
	if o.frame, err = SealSetup(s, NewSigner(identity(0))); err != nil {
		tb.Fatal(err)
	}
	all := make([]*Joining, len(s.Parties))
	o.joins = make([][]byte, len(s.Parties))
	for i, p := range s.Parties {
		if all[i], o.joins[i], err = NewJoin(s, p.ID, Standing{}, enginetest.Reader(seed+uint64(i)), NewSigner(identity(i))); err != nil {
			tb.Fatal(err)
		}
	}
	for i, g := range all {
		for j, frame := range o.joins {
			if i == j {
				continue
			}
			if err := g.Add(frame); err != nil {
				tb.Fatal(err)
			}
		}
		c, err := g.Complete()
		if err != nil {
			tb.Fatal(err)
		}
		o.channels = append(o.channels, c)
	}
	return o
}

func (o *opened) msg(from, to int, round uint8, body string) engine.Msg {
	m := engine.Msg{Session: o.channels[0].Session(), Round: round, Kind: 7, From: o.setup.Parties[from].ID, Echo: engine.Transcript{9}, Body: []byte(body)}
	if to >= 0 {
		m.To = o.setup.Parties[to].ID
	}
	return m
}

func (o *opened) seal(tb testing.TB, from, to int, round uint8, body string) []byte {
	tb.Helper()
	frame, err := o.channels[from].Seal(o.msg(from, to, round, body))
	if err != nil {
		tb.Fatal(err)
	}
	return frame
}

func TestSetupRoundTrip(t *testing.T) {
	s := proposal(3)
	frame, err := SealSetup(s, NewSigner(identity(0)))
	if err != nil {
		t.Fatal(err)
	}
	back, err := OpenSetup(frame)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(back.Encode(), s.Encode()) || back.Hash() != s.Hash() || back.NotAfter != s.NotAfter {
		t.Error("a setup changed on its way")
	}
	if kind, err := TypeOf(frame); kind != SetupFrame || err != nil {
		t.Errorf("type %d, %v", kind, err)
	}
	if got := back.Indices(); !slices.Equal(got, []share.Index{1, 2, 3}) || len(back.IDs()) != 3 {
		t.Errorf("indices %v", got)
	}
}

// Each field counts in the hash, and so in the session id.
func TestEveryFieldOfASetupIsHashed(t *testing.T) {
	seen := map[[32]byte]string{proposal(3).Hash(): "as it is"}
	for name, change := range map[string]func(*Setup){
		"protocol": func(s *Setup) { s.Protocol = "test" }, "suite": func(s *Setup) { s.Suite = "frost" },
		"key": func(s *Setup) { s.KeyID[9]++ }, "epoch": func(s *Setup) { s.Epoch[9]++ }, "threshold": func(s *Setup) { s.Threshold = 3 },
		"party": func(s *Setup) { s.Parties[1].ID[0]++ }, "index": func(s *Setup) { s.Parties[2].Index = 9 },
		"identity": func(s *Setup) { s.Parties[1].Identity = slices.Repeat([]byte{1}, 32) }, "payload": func(s *Setup) { s.Payload = nil },
		"opener": func(s *Setup) { s.Opener = s.Parties[1].ID }, "nonce": func(s *Setup) { s.Nonce[9]++ },
		"not after": func(s *Setup) { s.NotAfter = s.NotAfter.Add(time.Second) },
		"fewer":     func(s *Setup) { s.Parties = s.Parties[:2] },
	} {
		s := proposal(3)
		change(s)
		if other, found := seen[s.Hash()]; found {
			t.Errorf("%s and %s hash alike", name, other)
		}
		seen[s.Hash()] = name
	}
}

func TestSetupRefuses(t *testing.T) {
	for want, spoil := range map[string]func(*Setup){
		"protocol of 0 bytes":       func(s *Setup) { s.Protocol = "" },
		"protocol of 33 bytes":      func(s *Setup) { s.Protocol = strings.Repeat("x", 33) },
		"and suite of 33":           func(s *Setup) { s.Suite = strings.Repeat("x", 33) },
		"payload has 65537 bytes":   func(s *Setup) { s.Payload = make([]byte, MaxPayload+1) },
		"not-after is not in whole": func(s *Setup) { s.NotAfter = s.NotAfter.Add(1) },
		"not-after is not in":       func(s *Setup) { s.NotAfter = time.Time{} },
		"since 1970, below":         func(s *Setup) { s.NotAfter = time.Unix(1<<41, 0) },
		"1 parties":                 func(s *Setup) { s.Parties = s.Parties[:1] },
		"17 parties":                func(s *Setup) { s.Parties = proposal(17).Parties },
		"threshold 1 with 3":        func(s *Setup) { s.Threshold = 1 },
		"threshold 4 with 3":        func(s *Setup) { s.Threshold = 4 },
		"a party has no id":         func(s *Setup) { s.Parties[1].ID = engine.Everyone },
		"not ascending from 1":      func(s *Setup) { s.Parties[0].Index = 0 },
		"not ascending":             func(s *Setup) { s.Parties[1].Index = s.Parties[2].Index },
		"ascending":                 func(s *Setup) { s.Parties[0], s.Parties[1] = s.Parties[1], s.Parties[0] },
		"identity key of party":     func(s *Setup) { s.Parties[1].Identity = s.Parties[1].Identity[1:] },
		"stands twice":              func(s *Setup) { s.Parties[1].Identity = s.Parties[2].Identity },
		"party":                     func(s *Setup) { s.Parties[1].ID = s.Parties[2].ID },
		"the opener is not a party": func(s *Setup) { s.Opener[0]++ },
	} {
		s := proposal(3)
		spoil(s)
		if _, err := SealSetup(s, NewSigner(identity(0))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: sealed with %v", want, err)
		}
		// A hostile opener signs it all the same.
		body := s.Encode()
		if bytes.Equal(body, proposal(3).Encode()) {
			continue // parts of a second have no encoding
		}
		if _, err := OpenSetup(sealed(frameSetup, body, NewSigner(identity(0))(transcript.New(transcript.SessionSetup).Bytes(body)))); err == nil {
			t.Errorf("%q: opened", want)
		}
	}
	frame, err := SealSetup(proposal(3), NewSigner(identity(1)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenSetup(frame); !errors.Is(err, ErrInauthentic) {
		t.Errorf("signed by another than the opener: %v", err)
	}
}

func TestCurrent(t *testing.T) {
	s := proposal(2)
	for want, now := range map[string]time.Time{
		"": noon, "ran out at": noon.Add(time.Second), "longer than": noon.Add(-MaxLife - time.Second),
	} {
		if err := s.Current(now); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("at %v: %v", now, err)
		}
	}
	if err := s.Current(noon.Add(-MaxLife)); err != nil {
		t.Error(err)
	}
}

// Another wire version is told apart from garbage, in setups and messages.
func TestOtherVersion(t *testing.T) {
	s := proposal(2)
	body := s.Encode()
	body[13]++ // the version's last byte: 6 bytes of header, 8 of number
	var other *VersionError
	if _, err := OpenSetup(sealed(frameSetup, body, NewSigner(identity(0))(transcript.New(transcript.SessionSetup).Bytes(body)))); !errors.As(err, &other) || other.Got != 2 {
		t.Errorf("setup: %v", err)
	}
	o := open(t, s, 1)
	m := o.msg(0, -1, 1, "hello")
	header := o.channels[0].header(&m)
	header[13]++
	if _, err := o.channels[1].Open(resealed(o.channels[0], header, append(m.Echo[:], m.Body...))); !errors.As(err, &other) || other.Got != 2 {
		t.Errorf("message: %v", err)
	}
}

// resealed signs any header and body with a party's key.
func resealed(c *Channel, header, body []byte) []byte {
	var e transcript.Encoder
	e.Bytes(fieldMessageHeader, header).Bytes(fieldMessageBody, body)
	e.Bytes(fieldMessageSignature, c.sign(signedMessage(header, body)))
	return append([]byte{frameMessage}, e.Sum()...)
}

// No byte of any frame can be changed, and none left out or added.
func TestEveryByteOfAFrameCounts(t *testing.T) {
	o := open(t, proposal(3), 1)
	fresh := func() *Joining {
		g, _, err := NewJoin(o.setup, o.setup.Parties[1].ID, Standing{}, enginetest.Reader(2), NewSigner(identity(1)))
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	public, private := o.seal(t, 0, -1, 1, "to all"), o.seal(t, 0, 1, 1, "to one")
	for name, c := range map[string]struct {
		frame []byte
		take  func([]byte) error
	}{
		"setup":     {o.frame, func(b []byte) error { _, err := OpenSetup(b); return err }},
		"join":      {o.joins[0], func(b []byte) error { return fresh().Add(b) }},
		"broadcast": {public, func(b []byte) error { _, err := o.channels[1].Open(b); return err }},
		"private":   {private, func(b []byte) error { _, err := o.channels[1].Open(b); return err }},
	} {
		if err := c.take(c.frame); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for i := range c.frame {
			bad := bytes.Clone(c.frame)
			bad[i] ^= 1 << (i % 8)
			if c.take(bad) == nil {
				t.Errorf("%s: byte %d may be changed", name, i)
			}
			if c.take(c.frame[:i]) == nil {
				t.Errorf("%s: its first %d bytes are taken", name, i)
			}
		}
		if c.take(append(bytes.Clone(c.frame), 0)) == nil {
			t.Errorf("%s: a byte more is taken", name)
		}
		if c.take(make([]byte, MaxFrame+1)) == nil {
			t.Errorf("%s: a frame beyond the bound is taken", name)
		}
	}
}

func TestTypeOf(t *testing.T) {
	for _, b := range [][]byte{nil, {0}, {4}, {255}, make([]byte, MaxFrame+1)} {
		if _, err := TypeOf(b); err == nil {
			t.Errorf("a frame of %d bytes has a type", len(b))
		}
	}
}

func TestCoins(t *testing.T) {
	read := func(seed uint64, share, payload string, id byte) string {
		r, err := Coins(enginetest.Reader(seed), []byte(share), engine.SessionID{id}, []byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		a, b := make([]byte, 40), make([]byte, 24)
		_, _ = r.Read(a)
		_, _ = r.Read(b)
		return string(append(a, b...))
	}
	first := read(1, "share", "pay", 1)
	if first != read(1, "share", "pay", 1) {
		t.Error("the same inputs give other coins")
	}
	seen := map[string]bool{first: true, string(make([]byte, 64)): true}
	for _, other := range []string{read(2, "share", "pay", 1), read(1, "other", "pay", 1), read(1, "share", "other", 1), read(1, "share", "pay", 2)} {
		if seen[other] {
			t.Error("different inputs give the same coins")
		}
		seen[other] = true
	}
	whole, err := Coins(enginetest.Reader(1), []byte("share"), engine.SessionID{1}, []byte("pay"))
	if err != nil {
		t.Fatal(err)
	}
	all := bytes.Repeat([]byte{0xff}, 64)
	if _, err := whole.Read(all); err != nil || string(all) != first {
		t.Error("reading in parts gives other coins")
	}
	if _, err := Coins(bytes.NewReader(make([]byte, 31)), nil, engine.SessionID{}, nil); err == nil {
		t.Error("a source that ends gave coins")
	}
}

// All parties read the same nonces, each in its place, and cannot change them.
func TestChannelNonces(t *testing.T) {
	o := open(t, proposal(3), 20)
	for i, frame := range o.joins {
		body, _, err := unseal(frameJoin, frame)
		if err != nil {
			t.Fatal(err)
		}
		j, err := DecodeJoin(body)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range o.channels {
			got := c.Nonces()
			if len(got) != 3 || got[i] != j.Nonce {
				t.Errorf("nonces %x, party %d joined with %x", got, i, j.Nonce)
			}
			got[i][0] ^= 1
		}
	}
}
