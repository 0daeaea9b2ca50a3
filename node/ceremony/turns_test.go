package ceremony

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// TestTurns: of very many keys at rest a tick looks at a few, and at each in its turn; at what is on its way, every time; at all once another charter is in
// force.
func TestTurns(t *testing.T) {
	under := statement.ID{1}
	k := New(Config{Terms: func(v charter.Vault) charter.Vault {
		v.Under = under
		return v
	}})
	const n = 10*restedAtOnce + 7
	for i := range n {
		w := &root{Vault: charter.Vault{ID: statement.ID(binary.BigEndian.AppendUint64(make([]byte, 24), uint64(i)))}, suite: charter.SuiteEd25519, attempts: map[[32]byte]*attempt{}}
		a := newAttempt(w, 1)
		w.attempt, w.attempts[a.keyID] = a, a
		k.roots[rootID{w.ID, w.suite}] = w
	}
	now := time.Unix(1_000_000, 0)
	if got := len(k.turn(now)); got != n {
		t.Fatalf("under another charter it looks at %d of %d", got, n)
	}
	if got := len(k.turn(now)); got != n {
		t.Fatalf("of those without a key it looks at %d of %d", got, n)
	}
	for _, w := range k.all() {
		rest(w)
	}
	busy := k.all()[n/2]
	busy.wanted = now
	seen := map[*root]int{}
	const rounds = n/restedAtOnce + 1
	for range rounds {
		got := k.turn(now)
		if len(got) > restedAtOnce+1 {
			t.Fatalf("it looks at %d", len(got))
		}
		for _, w := range got {
			seen[w]++
		}
	}
	if len(seen) != n || seen[busy] != rounds {
		t.Fatalf("in %d rounds it looked at %d of %d, and %d times at the one that is asked for", rounds, len(seen), n, seen[busy])
	}
	if under = (statement.ID{2}); len(k.turn(now)) != n {
		t.Fatal("another charter is not told to all")
	}
}

// rest gives a root a key in force, chosen by its whole committee of nobody.
func rest(w *root) {
	r := &epoch.Record{KeyID: w.keyID, Suite: epoch.SuiteEd25519, Public: edwards25519.Group{}.Generator()}
	book, _, err := epoch.Restore(epoch.Kept{Current: &epoch.FinalCert{Record: r}})
	if err != nil {
		panic(err)
	}
	w.book = book
	w.choice = someStatement
}

var someStatement = func() statement.Statement {
	s, err := charter.KeyChoice{Charter: statement.ID{1}, Vault: statement.ID{1}, Key: [32]byte{1}, Attempt: 1, Suite: charter.SuiteEd25519, PublicKey: make([]byte, 32), Epoch: [32]byte{1}, Certificate: [32]byte{1}}.Statement()
	if err != nil {
		panic(err)
	}
	return s
}()
