package guard

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

var update = flag.Bool("update", false, "write testdata/golden.txt from this implementation")

// named makes guardians' ids those of signing keys, so that they can contribute.
func (v *vault) named(tb testing.TB) (signers []ed25519.PrivateKey) {
	tb.Helper()
	for len(signers) < len(v.plan.Guardians) {
		_, k, err := ed25519.GenerateKey(enginetest.Reader(uint64(300 + len(signers))))
		if err != nil {
			tb.Fatal(err)
		}
		signers = append(signers, k)
	}
	order := func(a, b ed25519.PrivateKey) int {
		x, y := IDOf(a.Public().(ed25519.PublicKey)), IDOf(b.Public().(ed25519.PublicKey))
		return bytes.Compare(x[:], y[:])
	}
	slices.SortFunc(signers, order)
	for i, k := range signers {
		v.plan.Guardians[i].ID = IDOf(k.Public().(ed25519.PublicKey))
	}
	return signers
}

// successors is an activation of n new members with keys of their own.
func successors(tb testing.TB, threshold, n int) (*Activation, []*pve.PrivateKey) {
	tb.Helper()
	a := &Activation{ID: [32]byte{0xac}, Threshold: threshold}
	var keys []*pve.PrivateKey
	for i := range n {
		k, err := pve.NewPrivateKey(enginetest.Reader(uint64(400 + i)))
		if err != nil {
			tb.Fatal(err)
		}
		keys = append(keys, k)
		a.Members = append(a.Members, NewMember{seat(10 + i), k.Public()})
	}
	return a, keys
}

// contribute makes guardian i's contribution out of a set.
func (v *vault) contribute(tb testing.TB, set *Set, a *Activation, i int, signers []ed25519.PrivateKey) *Contribution {
	tb.Helper()
	y, _, err := set.Open(v.terms(), v.plan.Guardians[i].ID, v.keys[i])
	if err != nil {
		tb.Fatal(err)
	}
	c, err := Contribute(v.terms(), a, y, signers[i].Public().(ed25519.PublicKey), session.NewSigner(signers[i]), enginetest.Reader(uint64(60+i)))
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// Byte snapshots of every message and of all that is stored. Of long ones, the beginning and the hash: encryptions are crypto/pve's.
func TestGolden(t *testing.T) {
	var out bytes.Buffer
	put := func(name string, b []byte) {
		if h := sha256.Sum256(b); len(b) > 2048 {
			fmt.Fprintf(&out, "%s %x… %d bytes, SHA-256 %x\n", name, b[:160], len(b), h)
			return
		}
		fmt.Fprintf(&out, "%s %x\n", name, b)
	}
	v := newVault(t, secp256k1.Group{}, 3, 3, 2, 2, 3, false)
	cluster := enginetest.Run(enginetest.Options{}, v.machines(t, sid, 1)...)
	outs, err := cluster.Results()
	if err != nil {
		t.Fatal(err)
	}
	h := v.plan.Hash()
	put("plan", v.plan.Encode())
	put("plan-hash", h[:])
	for _, m := range cluster.Parties[0].Sent {
		put(fmt.Sprintf("round %d kind %#x to %v", m.Round, uint8(m.Kind), m.To), m.Body)
	}
	raw := outs[0].Set.Encode(v.plan)
	sum := HashSet(raw)
	put("mask", outs[0].Mask.Bytes())
	put("set", raw)
	put("set-hash", sum[:])
	put("echo", outs[0].Echo[:])

	v = newVault(t, edwards25519.Group{}, 2, 2, 1, 2, 3, false)
	signers := v.named(t)
	put("plan-of-contributions", v.plan.Encode())
	set := v.run(t, sid, 1)[0].Set
	a, _ := successors(t, 2, 2)
	c := v.contribute(t, set, a, 1, signers)
	put("contribution", c.Encode())
	var e transcript.Encoder
	c.Approval().Put(&e)
	put("approval", e.Sum())
	put("approval-signs", c.Approval().tree(v.terms(), a.ID, a.Threshold, a.Parties()).Tree())

	file := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), want) {
		t.Errorf("snapshots differ\ngot:\n%s", out.Bytes())
	}
}
