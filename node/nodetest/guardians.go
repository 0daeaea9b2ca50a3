package nodetest

import (
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/mpc/guard"
)

// GuardianKey is the offline key of a guardian with a number; another life is another key of the same guardian.
func GuardianKey(t testing.TB, i, life int) guardian.Key {
	t.Helper()
	seed := sha256.Sum256(fmt.Appendf(nil, "guardian %d, life %d", i, life))
	k, err := guardian.FromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Guardians are n of them, each a person and an organisation by itself.
func Guardians(t testing.TB, n, life int) (all []charter.Guard) {
	t.Helper()
	for i := range n {
		card, err := GuardianKey(t, i, life).Card()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, charter.Guard{
			Name: fmt.Sprintf("guardian-%d", i), Person: fmt.Sprintf("holder-%d", i), Organisation: fmt.Sprintf("firm-%d", i), Jurisdiction: fmt.Sprintf("b%c", 'a'+i), Card: card,
		})
	}
	slices.SortFunc(all, func(a, b charter.Guard) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// Contribute is what a guardian's tool makes offline of the public backup set.
func Contribute(t testing.TB, k guardian.Key, terms guard.Terms, set *guard.Set, to *guard.Activation, r io.Reader) []byte {
	t.Helper()
	card, err := k.Card()
	if err != nil {
		t.Fatal(err)
	}
	dk, err := k.Decryption()
	if err != nil {
		t.Fatal(err)
	}
	defer dk.Wipe()
	y, _, err := set.Open(terms, card.Party(), dk)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Wipe()
	sign := func(h *transcript.Hash) []byte {
		sig, err := k.SignTree(h)
		if err != nil {
			t.Fatal(err)
		}
		return sig
	}
	c, err := guard.Contribute(terms, to, y, card.Signing(), sign, r)
	if err != nil {
		t.Fatal(err)
	}
	return c.Encode()
}

// Plan is an SOS plan of a drill: r operators and k guardians, all delays a minute.
func Plan(r, k int, successors ...string) *charter.Rescue {
	p := &charter.Rescue{
		Operators: r, Guardians: k, Starters: k, Organisations: k, Window: time.Hour, LockUp: time.Hour, DrillEvery: time.Hour, Least: 2, Successors: successors,
		Triggers: []charter.Trigger{{Name: charter.TriggerLegal, Delay: time.Minute}, {Name: charter.TriggerSilence, After: time.Minute, Delay: time.Minute}},
	}
	slices.Sort(p.Successors)
	return p
}
