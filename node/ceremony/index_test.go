package ceremony

import (
	"errors"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// Every key id that a root may come to is found, below its present attempt none, and a damaged root's as such. What nobody knows costs no
// search of all roots: peers may ask for it as often as they like.
func TestKeyIDsAreLookedUp(t *testing.T) {
	k := New(Config{})
	var roots []*root
	for i := range 3 {
		w := &root{Vault: charter.Vault{ID: statement.ID{byte(i + 1)}}, suite: charter.SuiteEd25519}
		w.attempt = newAttempt(w, uint64(i*10))
		k.index(w)
		k.roots[rootID{w.ID, w.suite}] = w
		roots = append(roots, w)
	}
	bad := roots[2]
	bad.damage = errors.New("damaged")
	delete(k.roots, rootID{bad.ID, bad.suite})
	for i, w := range roots {
		for _, a := range []uint64{0, 1, 9, 10, 11, maxAttempts, maxAttempts + 1} {
			key := epoch.KeyID(w.ID, w.suite, a)
			got, n := k.find(key)
			if want := a > 0 && a <= maxAttempts && a >= w.number && w != bad; want != (got == w && n == a) || !want && got != nil {
				t.Errorf("root %d, attempt %d: found %v, %d", i, a, got != nil, n)
			}
			if damaged := k.ownerDamaged(key) != nil; damaged != (w == bad && a > 0 && a <= maxAttempts) {
				t.Errorf("root %d, attempt %d: damaged %v", i, a, damaged)
			}
		}
	}
	if n := testing.AllocsPerRun(10, func() { k.find([32]byte{9}); k.ownerDamaged([32]byte{9}) }); n > 10 { //nolint:errcheck // its cost is looked at
		t.Errorf("%v allocations to find that a key is not known", n)
	}
}
