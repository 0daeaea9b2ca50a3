package tpm

import (
	"crypto/ed25519"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/attest/hardware"
	attest "github.com/ostraka/ostraka/evidence/attest/tpm"
	"github.com/ostraka/ostraka/internal/components/swtpm"
)

// A peer checks a running TPM from end to end: it challenges the two keys, judges a quote for its own nonce, and refuses the same for another nonce, for another
// node, below another root, without the answer, and after a PCR has changed.
func TestAPeerJudgesATPM(t *testing.T) {
	s, file := swtpm.StartCertified(t)
	roots, between, err := hardware.ReadAuthorities(file)
	if err != nil {
		t.Fatal(err)
	}
	q := quoter(t, s, "")
	identity, nonce := ed25519.PublicKey(make([]byte, 32)), [32]byte{1}
	shown := func(nonce [32]byte) []byte {
		b, err := q.Evidence(ctx, hardware.Binding(identity, nonce))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := shown(nonce)
	e, err := attest.Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	c, secret, err := attest.NewChallenge(rand.Reader, e.EK, e.AK)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := q.Answer(ctx, c.Encode()); err != nil || got != secret {
		t.Fatalf("answer %x, %v", got, err)
	}
	activated := attest.Activate(e)
	want := hardware.Want{Binding: hardware.Binding(identity, nonce), Now: time.Now(), Activated: &activated, Roots: hardware.Roots{TPM: roots, Between: between}}
	r, err := hardware.Verify(b, want)
	if err != nil || !r.Shown {
		t.Fatalf("%v, %v", r, err)
	}
	pinned, err := hardware.Pinned()
	if err != nil {
		t.Fatal(err)
	}
	other := ed25519.PublicKey(append(make([]byte, 31), 1))
	for name, x := range map[string]struct {
		change func(*hardware.Want)
		want   string
	}{
		"replayed":     {func(w *hardware.Want) { w.Binding = hardware.Binding(identity, [32]byte{2}) }, "not of this node and this nonce"},
		"another node": {func(w *hardware.Want) { w.Binding = hardware.Binding(other, nonce) }, "not of this node and this nonce"},
		"another root": {func(w *hardware.Want) { w.Roots.TPM = pinned.SNP }, "unknown authority"},
		"other keys":   {func(w *hardware.Want) { w.Activated = &attest.Activated{} }, "another pair of keys"},
	} {
		w := want
		x.change(&w)
		if _, err := hardware.Verify(b, w); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.Extend(t, 7, strings.Repeat("ab", 32))
	want.Binding = hardware.Binding(identity, [32]byte{3})
	if changed, err := hardware.Verify(shown([32]byte{3}), want); err != nil || changed.Measurement == r.Measurement || changed.Device != r.Device {
		t.Errorf("after another boot it runs %s on %s, before %s on %s, %v", changed.Measurement, changed.Device, r.Measurement, r.Device, err)
	}
}
