package nodetest

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
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

// Plan is an SOS plan of a drill: r operators and k guardians, all delays a minute.
func Plan(r, k int, successors ...string) *charter.Rescue {
	p := &charter.Rescue{
		Operators: r, Guardians: k, Starters: k, Organisations: k, Window: time.Hour, LockUp: time.Hour, DrillEvery: time.Hour, Least: 2, Successors: successors,
		Triggers: []charter.Trigger{{Name: charter.TriggerLegal, Delay: time.Minute}, {Name: charter.TriggerSilence, After: time.Minute, Delay: time.Minute}},
	}
	slices.Sort(p.Successors)
	return p
}
