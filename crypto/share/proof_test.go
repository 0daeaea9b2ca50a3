package share

import (
	"bytes"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/transcript"
)

const label = transcript.ShareProof

var proofContext = []byte("session 1, party 2")

func TestProof(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		s := g.Scalar(424242)
		public := g.BaseMul(s)
		p, err := Prove(label, proofContext, s, public, source(1))
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeProof(g, p.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), p.Bytes()) {
			t.Fatalf("decode: %v", err)
		}
		if err := again.Verify(label, proofContext, public); err != nil {
			t.Fatal(err)
		}
		// Transplants (protocols.md 7 row 22) and changes of each part.
		if p.Verify(transcript.KeygenProof, proofContext, public) == nil {
			t.Error("holds under another label")
		}
		if p.Verify(label, []byte("session 1, party 3"), public) == nil {
			t.Error("holds for another prover")
		}
		if p.Verify(label, proofContext, public.Add(g.Generator())) == nil {
			t.Error("holds for another point")
		}
		if (Proof{K: p.K.Add(g.Generator()), Z: p.Z}).Verify(label, proofContext, public) == nil {
			t.Error("holds with another K")
		}
		if (Proof{K: p.K, Z: p.Z.Add(g.Scalar(1))}).Verify(label, proofContext, public) == nil {
			t.Error("holds with another z")
		}
		if CheckResponse(g.Identity(), g.Scalar(0), g.Scalar(0), public) {
			t.Error("K = 0 holds")
		}
		if CheckResponse(g.BaseMul(g.Scalar(3)), g.Scalar(8), g.Scalar(3), g.Identity()) {
			t.Error("the identity has a proof of knowledge of 0")
		}
	})
}

func TestDecodeProofRefuses(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		n := g.PointSize()
		good := append(g.Generator().Bytes(), g.Scalar(1).Bytes()...)
		for name, b := range map[string][]byte{
			"empty": nil, "short": good[1:], "long": append(bytes.Clone(good), 0),
			"K = 0":   append(make([]byte, n), good[n:]...),
			"z ≥ q":   append(bytes.Clone(good[:n]), bytes.Repeat([]byte{0xff}, 32)...),
			"K wrong": append(bytes.Repeat([]byte{0xff}, n), good[n:]...),
		} {
			if _, err := DecodeProof(g, b); err == nil {
				t.Errorf("%s: decoded", name)
			}
		}
	})
}

// The split form of keygen: K goes out in R1, z answers R2's challenge.
func TestNonce(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		s, e := g.Scalar(99), g.Scalar(1234567)
		n, err := NewNonce(label, proofContext, s, source(2))
		if err != nil {
			t.Fatal(err)
		}
		z, err := n.Respond(e, s)
		if err != nil || !CheckResponse(n.Commitment(), e, z, g.BaseMul(s)) {
			t.Fatalf("response does not hold: %v", err)
		}
		if CheckResponse(n.Commitment(), e.Add(g.Scalar(1)), z, g.BaseMul(s)) {
			t.Error("the response holds for another challenge")
		}
		if z, err := n.Respond(e.Add(g.Scalar(1)), s); z != nil || err == nil {
			t.Error("a nonce answered twice: that reveals the secret")
		}
		wiped, err := NewNonce(label, proofContext, s, source(2))
		if err != nil {
			t.Fatal(err)
		}
		wiped.Wipe()
		wiped.Wipe()
		if _, err := wiped.Respond(e, s); err == nil {
			t.Error("a wiped nonce answered")
		}
	})
}

// A source that repeats must not repeat κ for another secret, context or label.
func TestNonceIsHedged(t *testing.T) {
	eachGroup(t, func(t *testing.T, g group.Group) {
		seen := map[string]string{}
		add := func(name string, l transcript.Label, context string, s uint64, r byte) {
			t.Helper()
			n, err := NewNonce(l, []byte(context), g.Scalar(s), bytes.NewReader(bytes.Repeat([]byte{r}, 32)))
			if err != nil {
				t.Fatal(err)
			}
			k := string(n.Commitment().Bytes())
			if other, ok := seen[k]; ok {
				t.Errorf("%s and %s share a nonce", name, other)
			}
			seen[k] = name
		}
		add("first", label, "a", 1, 0)
		add("other label", transcript.KeygenProof, "a", 1, 0)
		add("other context", label, "b", 1, 0)
		add("other secret", label, "a", 2, 0)
		add("other randomness", label, "a", 1, 1)
		again, err := NewNonce(label, []byte("a"), g.Scalar(1), bytes.NewReader(make([]byte, 32)))
		if err != nil || seen[string(again.Commitment().Bytes())] != "first" {
			t.Errorf("the same inputs give another nonce: %v", err)
		}
		if _, err := NewNonce(label, nil, g.Scalar(1), bytes.NewReader(make([]byte, 31))); err == nil {
			t.Error("a source that ends gave a nonce")
		}
		if _, err := Prove(label, nil, g.Scalar(1), g.Generator(), bytes.NewReader(nil)); err == nil {
			t.Error("an empty source gave a proof")
		}
	})
}

func FuzzDecodeProof(f *testing.F) {
	for n, g := range groups {
		f.Add(n == 1, append(g.Generator().Bytes(), g.Scalar(1).Bytes()...))
	}
	f.Fuzz(func(t *testing.T, second bool, in []byte) {
		g := groups[0]
		if second {
			g = groups[1]
		}
		if p, err := DecodeProof(g, in); err == nil && !bytes.Equal(p.Bytes(), in) {
			t.Fatalf("decode then encode changed %x", in)
		}
	})
}
