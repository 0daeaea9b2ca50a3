package dkls

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/ristretto255"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
)

// What does not fit together is refused before anything is sent, and in words that name it.
func TestSignRefusesParametersThatDoNotFit(t *testing.T) {
	g := secp256k1.Group{}
	for want, spoil := range map[string]func(*Params){
		"the session id is zero":               func(p *Params) { p.Session = engine.SessionID{} },
		"no source of randomness":              func(p *Params) { p.Rand = nil },
		"2 signers for threshold 3":            func(p *Params) { p.Signers = p.Signers[:2] },
		"3 signers for threshold 1":            func(p *Params) { p.Threshold = 1 },
		"we are 0 times":                       func(p *Params) { p.Self.ID[0] ^= 0x80 },
		"our index is 1 in the list, 2 in":     func(p *Params) { p.Self.Index++ },
		"not by ascending index":               func(p *Params) { slices.Reverse(p.Signers) },
		"not by ascending index at":            func(p *Params) { p.Signers[1] = p.Signers[0] },
		"share is missing or not":              func(p *Params) { p.Share = nil },
		"key or child key is missing or not":   func(p *Params) { p.Public = ristretto255.Group{}.Generator() },
		"child key is missing":                 func(p *Params) { p.Child = g.Identity() },
		"tweak is not of secp256k1":            func(p *Params) { p.Tweak = ristretto255.Group{}.Scalar(1) },
		"child key is not the key shifted":     func(p *Params) { p.Tweak = g.Scalar(1) },
		"public share is missing or not of":    func(p *Params) { delete(p.Publics, p.Self.ID) },
		"our share does not match our public":  func(p *Params) { p.Share = p.Share.Add(g.Scalar(1)) },
		"share does not match our public shar": func(p *Params) { p.Publics[p.Self.ID] = g.Generator() },
		"no pair state with party 03000000":    func(p *Params) { delete(p.Pairs, p.Signers[2].ID) },
		"prepare to sign: no pair state with ": func(p *Params) { p.Pairs = nil },
	} {
		p := newDeal(t, 3, 3).params([]int{0, 1, 2}, [32]byte{1}, nil)[0]
		p.Publics, p.Signers, p.Pairs = maps.Clone(p.Publics), slices.Clone(p.Signers), maps.Clone(p.Pairs)
		spoil(&p)
		_, err := Sign(p)
		var own *engine.Misuse
		if !errors.As(err, &own) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
}

// A source of randomness that runs dry at any point accuses nobody and burns nothing.
func TestDryRandomnessAccusesNobody(t *testing.T) {
	all := newDeal(t, 2, 2).params([]int{0, 1}, [32]byte{1}, nil)
	failed := 0
	for _, n := range []int64{0, 47, 48, 96, 127, 128, 160, 195, 196, 220, 243, 244} {
		var sessions []*engine.Session[Signature]
		for i, p := range all {
			p.Rand = enginetest.Reader(uint64(i))
			if i == 0 {
				p.Rand = io.LimitReader(p.Rand, n)
			}
			sessions = append(sessions, open(t, p, first(t, p)))
		}
		p := enginetest.Run(enginetest.Options{}, sessions...).Parties[0]
		if p.Err == nil {
			continue
		}
		failed++
		if p.Fault() != nil || len(p.Burned) > 0 || p.Result != nil || !errors.Is(p.Err, io.EOF) && !errors.Is(p.Err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: ended with %v", n, p.Err)
		}
	}
	if failed < 8 {
		t.Errorf("only %d runs ran dry", failed)
	}
}

// Whatever way a session ends, nothing secret of it stays, and the caller's share does.
func TestSecretsAreWiped(t *testing.T) {
	all := newDeal(t, 2, 2).params([]int{0, 1}, [32]byte{1}, nil)
	corrupt := func(kind engine.Kind) enginetest.Hook {
		return enginetest.On(enginetest.Match{From: all[1].Self.ID, Kind: kind}, enginetest.Edit(func(b []byte) []byte { b[0] ^= 0x40; return b }))
	}
	short := enginetest.On(enginetest.Match{From: all[1].Self.ID, Kind: KindProduct}, enginetest.Edit(func(b []byte) []byte { return b[1:] }))
	for name, hook := range map[string]enginetest.Hook{
		"success": nil, "bad extension": corrupt(KindExtension), "bad opening": corrupt(KindOpening),
		"short product": short, "bad product": corrupt(KindProduct), "bad sum": corrupt(KindSum),
	} {
		var signers []*signer
		var sessions []*engine.Session[Signature]
		for i, p := range all {
			p.Rand = enginetest.Reader(uint64(i))
			s, err := newSigner(p)
			if err != nil {
				t.Fatal(err)
			}
			signers, sessions = append(signers, s), append(sessions, open(t, p, begin(s, closeSigning)))
		}
		c := enginetest.Run(enginetest.Options{Hook: hook}, sessions...)
		if (c.Parties[0].Err == nil) != (name == "success") {
			t.Fatalf("%s: ended with %v", name, c.Parties[0].Err)
		}
		s, zero := signers[0], secp256k1.NewScalar(0)
		for what, k := range map[string]*secp256k1.Scalar{
			"r": &s.r, "φ": &s.phi, "sk": &s.sk, "χ": &s.peers[0].chi, "ψ": &s.peers[0].product.psi,
			"cᵘ": &s.peers[0].c[0], "cᵛ": &s.peers[0].c[1], "dᵘ": &s.peers[0].d[0], "dᵛ": &s.peers[0].d[1],
		} {
			if !k.Equal(zero) {
				t.Errorf("%s: %s stays", name, what)
			}
		}
		if s.share.IsZero() {
			t.Fatalf("%s: the caller's share is gone", name)
		}
	}
}

// Stages and parameters print no secret under any verb.
func TestStagesRedact(t *testing.T) {
	p := newDeal(t, 2, 2).params([]int{0, 1}, [32]byte{1}, nil)[0]
	s, err := newSigner(p)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.draw(); err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{*begin(s, closeSigning), begin(s, closeSigning), &multiply[Signature]{s, closeSigning}, &verify[Signature]{s, closeSigning}, &conclude{s, KindSum}, s} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
			if got := fmt.Sprintf(verb, v); got != secret.Redacted {
				t.Errorf("%T under %s prints %q", v, verb, got)
			}
		}
	}
	text := fmt.Sprintf("%+v %x", p, p)
	for _, k := range [][]byte{p.Share.Bytes(), p.Pairs[p.Signers[1].ID].Seed.Expose()} {
		if strings.Contains(text, hex.EncodeToString(k)) || bytes.Contains([]byte(text), k) {
			t.Error("parameters print a secret")
		}
	}
}
