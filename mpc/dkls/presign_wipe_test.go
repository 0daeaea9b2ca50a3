package dkls

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

// secrets are what a signer holds while it presigns.
func (s *signer) secrets() map[string]*secp256k1.Scalar {
	p := s.peers[0]
	return map[string]*secp256k1.Scalar{
		"r": &s.r, "φ": &s.phi, "sk": &s.sk, "χ": &p.chi, "ψ": &p.product.psi,
		"cᵘ": &p.c[0], "cᵛ": &p.c[1], "dᵘ": &p.d[0], "dᵛ": &p.d[1],
	}
}

// watched notes the confirm stage that a presigner comes to.
type watched struct {
	engine.Stage[Presignature]
	seen **presig
}

func (w *watched) Finish(t engine.Transcript) (engine.Outcome[Presignature], error) {
	out, err := w.Stage.Finish(t)
	if c, ok := out.Next.(*confirm); ok {
		*w.seen = c.presig
	} else if out.Next != nil {
		out.Next = &watched{out.Next, w.seen}
	}
	return out, err
}

func (w *watched) Wipe() { w.Stage.(engine.Wiper).Wipe() }

// Whatever way presigning ends, the session keeps nothing; the presignature itself lives only after
// success.
func TestPresigningIsWiped(t *testing.T) {
	c := newCircle(t, 2, 2)
	from := func(kind engine.Kind, do enginetest.Mutate) enginetest.Hook {
		return enginetest.On(enginetest.Match{From: c.parties[1].ID, Kind: kind}, do)
	}
	echo := func(m *engine.Msg) []engine.Msg { m.Echo[0] ^= 1; return []engine.Msg{*m} }
	short := enginetest.Edit(func(b []byte) []byte { return b[1:] })
	for name, hook := range map[string]enginetest.Hook{
		"success": nil, "bad extension": from(KindExtension, enginetest.Flip(9)), "bad product": from(KindProduct, enginetest.Flip(9)),
		"bad opening": from(KindOpening, enginetest.Flip(9)), "bad confirmation": from(KindConfirm, enginetest.Flip(9)),
		"short confirmation": from(KindConfirm, short), "confirmation lost": from(KindConfirm, enginetest.Drop),
		"round 2 disputed": from(KindOpening, echo), "round 3 disputed": from(KindConfirm, echo),
	} {
		all := c.reserve(t)
		var made *presig
		s, err := newPresigner(all[0])
		if err != nil {
			t.Fatal(err)
		}
		sessions := presigners(t, all)
		sessions[0] = open(t, all[0], engine.Stage[Presignature](&watched{begin(s, closePresigning), &made}))
		p := enginetest.Run(enginetest.Options{Hook: hook}, sessions...).Parties[0]
		p.Session.Abandon()
		if (p.Result != nil) != (name == "success") {
			t.Fatalf("%s: ended with %v", name, p.Err)
		}
		for what, k := range s.secrets() {
			if !k.IsZero() {
				t.Errorf("%s: %s stays", name, what)
			}
		}
		if made != nil && (made.life == gone && made.phi.IsZero() && made.u.IsZero() && made.v.IsZero()) == (name == "success") {
			t.Errorf("%s: the presignature is wiped, or not, against what was to be", name)
		}
		if s.share.IsZero() {
			t.Fatalf("%s: the caller's share is gone", name)
		}
		for i, pool := range c.pools {
			pool.Release(all[i].Ticket)
		}
	}
}

// After Online nothing secret is left in the presignature, and after the first stage nothing in the
// session, also when the host abandons it before it starts.
func TestOnlineIsWiped(t *testing.T) {
	c, r := newCircle(t, 2, 2), request{digest: [32]byte{1}, tweak: secp256k1.NewScalar(5)}
	p := c.take(t, c.presign(t), r)[0]
	for name, end := range map[string]func(s *engine.Session[Signature]){
		"started":   func(s *engine.Session[Signature]) { _, _ = s.Start() },
		"abandoned": func(s *engine.Session[Signature]) { s.Abandon() },
	} {
		o := p
		o.Presignature = copied(p.Presignature)
		stage, err := Online(o)
		if err != nil {
			t.Fatal(err)
		}
		if !wiped(o.Presignature) {
			t.Errorf("%s: the presignature is not empty", name)
		}
		s := stage.(*shifted)
		end(o.open(t, stage))
		for what, k := range map[string]*secp256k1.Scalar{"φ": &s.presig.phi, "u": &s.presig.u, "v": &s.presig.v} {
			if !k.IsZero() {
				t.Errorf("%s: %s stays", name, what)
			}
		}
	}
}

func TestWipedPresignatureIsEmpty(t *testing.T) {
	c := newCircle(t, 2, 2)
	id := c.presign(t)
	v := newPresignature(c.pools[0].held[id])
	v.Wipe()
	if !wiped(v) {
		t.Error("secrets stay")
	}
	if _, _, err := c.pools[0].Take(c.claim(id, request{})); err == nil {
		t.Error("the pool gave out what its owner had wiped")
	}
	Presignature{}.Wipe()
	if (Presignature{}).ID() != (PresigID{}) {
		t.Error("the zero value has an id")
	}
}

// Nothing prints it or turns it into bytes.
func TestPresignatureRedactsAndHasNoEncoding(t *testing.T) {
	c, r := newCircle(t, 2, 2), request{digest: [32]byte{1}}
	id := c.presign(t)
	q := *c.pools[0].held[id]
	p := c.take(t, id, r)[0]
	v := p.Presignature
	stage, err := Online(c.online(0, copied(v), r))
	if err != nil {
		t.Fatal(err)
	}
	s, err := newPresigner(c.reserve(t)[0])
	if err != nil {
		t.Fatal(err)
	}
	type holder struct{ inner Presignature }
	values := []any{v, &v, holder{v}, &holder{v}, []Presignature{v}, p, &p, c.pools[0], stage, &confirm{s, &q}, v.held()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		for _, value := range values {
			text := fmt.Sprintf(verb, value)
			for _, k := range []*secp256k1.Scalar{&q.phi, &q.u, &q.v} {
				limb := fmt.Sprint(binary.BigEndian.Uint64(k.Bytes()[24:]))
				if strings.Contains(text, hex.EncodeToString(k.Bytes())) || strings.Contains(text, limb) || bytes.Contains([]byte(text), k.Bytes()) {
					t.Errorf("%T under %s prints a secret", value, verb)
				}
			}
		}
		if got := fmt.Sprintf(verb, v); got != secret.Redacted {
			t.Errorf("%s prints %q", verb, got)
		}
	}
	if text, err := json.Marshal(map[string]any{"p": v}); err != nil || string(text) != `{"p":"[secret]"}` {
		t.Errorf("%s, %v", text, err)
	}
	for _, typ := range []reflect.Type{reflect.TypeFor[Presignature](), reflect.TypeFor[*Pool]()} {
		for i := range typ.NumMethod() {
			name := typ.Method(i).Name
			if name != "MarshalText" && (strings.Contains(name, "Encode") || strings.Contains(name, "Marshal") || strings.Contains(name, "Bytes")) {
				t.Errorf("%v has a method %s: it lives in memory alone", typ, name)
			}
		}
	}
}
