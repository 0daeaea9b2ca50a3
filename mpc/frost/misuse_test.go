package frost

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

// What does not fit together is refused before anything is sent, and in words that name it.
func TestSignRefusesParametersThatDoNotFit(t *testing.T) {
	g, ed := secp256k1.Group{}, edwards25519.Group{}
	for want, spoil := range map[string]func(*Params){
		"the session id is zero":               func(p *Params) { p.Session = engine.SessionID{} },
		"no source of randomness":              func(p *Params) { p.Rand = nil },
		"2 signers for threshold 3":            func(p *Params) { p.Signers = p.Signers[:2] },
		"3 signers for threshold 1":            func(p *Params) { p.Threshold = 1 },
		"we are 0 times":                       func(p *Params) { p.Self.ID[0] ^= 0x80 },
		"we are 2 times":                       func(p *Params) { p.Signers[1] = p.Signers[0] },
		"our index is 1 in the list, 2 in":     func(p *Params) { p.Self.Index++ },
		"not by ascending index":               func(p *Params) { slices.Reverse(p.Signers) },
		"ascending index at party 03000000":    func(p *Params) { p.Signers[2].Index = p.Signers[1].Index },
		"ascending index at party 02000000":    func(p *Params) { p.Signers[1].Index = 0 },
		"ascending index at party 00000000":    func(p *Params) { p.Signers[2].ID = engine.Everyone },
		"suite \"ecdsa\" is neither":           func(p *Params) { p.Suite = "ecdsa" },
		"share is missing":                     func(p *Params) { p.Share = nil },
		"share is missing or not of the":       func(p *Params) { p.Share = ed.Scalar(1) },
		"key is missing":                       func(p *Params) { p.Public = nil },
		"key is missing, not of":               func(p *Params) { p.Public = ed.Generator() },
		"or the identity":                      func(p *Params) { p.Public = g.Identity() },
		"tweak is not of":                      func(p *Params) { p.Tweak = ed.Scalar(1) },
		"derived key is the identity":          func(p *Params) { p.Public, p.Tweak = g.Generator(), g.Scalar(1).Neg() },
		"share of party 02000000 is missing":   func(p *Params) { delete(p.Publics, p.Signers[1].ID) },
		"share of party 03000000 is":           func(p *Params) { p.Publics[p.Signers[2].ID] = ed.Generator() },
		"share of party 01000000 is missing":   func(p *Params) { p.Publics[p.Signers[0].ID] = g.Identity() },
		"our share does not match our public":  func(p *Params) { p.Share = p.Share.Add(g.Scalar(1)) },
		"share does not match our public shar": func(p *Params) { p.Publics[p.Self.ID] = g.Generator() },
		"message has 31 bytes":                 func(p *Params) { p.Message = p.Message[1:] },
		"message has 33 bytes":                 func(p *Params) { p.Message = append(slices.Clone(p.Message), 0) },
		"Taproot must be said for":             func(p *Params) { p.Taproot = Taproot{} },
	} {
		p := newDeal(t, BIP340, 3, 3).params(all(3), message("misuse"), nil, KeyPath())[0]
		p.Publics, p.Signers = maps.Clone(p.Publics), slices.Clone(p.Signers)
		spoil(&p)
		_, err := Sign(p)
		var own *engine.Misuse
		if !errors.As(err, &own) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
	p := newDeal(t, Ed25519, 2, 2).params(all(2), make([]byte, MaxMessage+1), nil, Taproot{})[0]
	if _, err := Sign(p); err == nil || !strings.Contains(err.Error(), "message has 65537 bytes") {
		t.Error(err)
	}
	p.Message, p.Taproot = nil, KeyPath()
	if _, err := Sign(p); err == nil || !strings.Contains(err.Error(), "Taproot must be said for") {
		t.Error(err)
	}
}

// A source of randomness that runs dry at any point accuses nobody.
func TestDryRandomnessAccusesNobody(t *testing.T) {
	for _, suite := range suites {
		params := newDeal(t, suite, 2, 2).params([]int{0, 1}, message("dry"), nil, KeyPath())
		for n := range int64(64) {
			p := params[0]
			p.Rand = io.LimitReader(enginetest.Reader(1), n)
			s := open(t, p, first(t, p))
			eff, err := s.Start()
			var f *engine.Fault
			if err == nil || errors.As(err, &f) || len(eff.Send) > 0 || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s: after %d bytes: %v", suite, n, err)
			}
		}
	}
}

// held runs two signers and returns the first one's memory, with copies of its nonces as they were drawn.
func held(t *testing.T, params []Params, hook enginetest.Hook) (*signer, *enginetest.Party[Signature], *keep) {
	t.Helper()
	s, err := newSigner(params[0])
	if err != nil {
		t.Fatal(err)
	}
	k := &keep{Stage: &commit{s}, of: s}
	c := enginetest.Run(enginetest.Options{Hook: hook}, open(t, params[0], k), open(t, params[1], first(t, params[1])))
	return s, c.Parties[0], k
}

// keep notes the nonces of a first stage: the same scalars, so that it shows whether they were wiped.
type keep struct {
	engine.Stage[Signature]
	of *signer
	nonces
	again error // of drawing once more, after round 1
}

func (k *keep) Finish(t engine.Transcript) (engine.Outcome[Signature], error) {
	out, err := k.Stage.Finish(t)
	k.nonces = *k.of.nonces
	_, k.again = k.of.Rand.Read(make([]byte, 1))
	return out, err
}

// Whatever way a session ends, also when the host gives it up, no nonce stays, nor the coins; the caller's share does.
func TestSecretsAreWiped(t *testing.T) {
	for _, suite := range suites {
		params := newDeal(t, suite, 2, 2).params([]int{0, 1}, message("wipe"), nil, KeyPath())
		from := func(kind engine.Kind, do enginetest.Mutate) enginetest.Hook {
			return enginetest.On(enginetest.Match{From: params[1].Self.ID, Kind: kind}, do)
		}
		bad := enginetest.Edit(func(b []byte) []byte { b[2] ^= 0x40; return b })
		disputed := func(m *engine.Msg) []engine.Msg { m.Echo[0] ^= 1; return []engine.Msg{*m} }
		short := enginetest.Edit(func(b []byte) []byte { return b[1:] })
		for name, c := range map[string]struct {
			hook  enginetest.Hook
			waits bool
		}{
			"success": {nil, false}, "bad commitment": {from(KindCommit, short), false}, "bad share": {from(KindShare, bad), false}, "short share": {from(KindShare, short), false},
			"round 1 is lost": {from(KindCommit, enginetest.Drop), true}, "round 2 is lost": {from(KindShare, enginetest.Drop), true},
			"round 1 is disputed": {from(KindCommit, disputed), false}, "round 2 is disputed": {from(KindShare, disputed), false},
		} {
			coins, err := session.Coins(enginetest.Reader(5), params[0].Share.Bytes(), sid, nil)
			if err != nil {
				t.Fatal(err)
			}
			params[0].Rand, params[1].Rand = coins, enginetest.Reader(6)
			s, p, k := held(t, params, c.hook)
			if p.Session.Finished() == c.waits || (p.Err == nil && p.Result != nil) != (name == "success") {
				t.Fatalf("%s: ended with %v", name, p.Err)
			}
			p.Session.Abandon()
			if k.again == nil {
				t.Errorf("%s, %s: the coins stay after all is drawn", suite, name)
			}
			if k.d == nil || !k.d.IsZero() || !k.e.IsZero() || s.nonces.d != nil {
				t.Errorf("%s, %s: a nonce stays", suite, name)
			}
			if _, err := coins.Read(make([]byte, 1)); err == nil {
				t.Errorf("%s, %s: the coins can be read again", suite, name)
			}
			if s.Share.IsZero() {
				t.Fatalf("%s, %s: the caller's share is gone", suite, name)
			}
		}
		coins, err := session.Coins(enginetest.Reader(5), params[0].Share.Bytes(), sid, nil)
		if err != nil {
			t.Fatal(err)
		}
		params[0].Rand = coins
		open(t, params[0], first(t, params[0])).Abandon()
		if _, err := coins.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the coins of a session that never began can be read", suite)
		}
	}
}

// Stages, nonces and parameters print no secret under any verb.
func TestStagesRedact(t *testing.T) {
	p := newDeal(t, BIP340, 2, 2).params([]int{0, 1}, message("print"), nil, KeyPath())[0]
	s, err := newSigner(p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (&commit{s}).Finish(engine.Transcript{}); err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{commit{s}, &commit{s}, &respond{s}, &conclude{s}, s, s.nonces, *s.nonces} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); got != secret.Redacted {
				t.Errorf("%T under %s prints %q", v, verb, got)
			}
		}
	}
	if text := fmt.Sprintf("%+v %x", p, p); strings.Contains(text, hex.EncodeToString(p.Share.Bytes())) {
		t.Error("parameters print the share")
	}
}

// Every stage is an engine.Wiper.
func TestEveryStageWipes(t *testing.T) {
	for _, s := range []engine.Stage[Signature]{&commit{}, &respond{}, &conclude{}} {
		if _, ok := s.(engine.Wiper); !ok {
			t.Errorf("%T is no Wiper", s)
		}
	}
	if err := (&commit{}).Accept(KindCommit, engine.PartyID{1}, nil); err == nil {
		t.Error("a message before round 1 passes")
	}
}
