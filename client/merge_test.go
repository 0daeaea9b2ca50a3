package client

import (
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// said is what one node of a 2-of-3 vault answers: the state of its only key, and whose node it is.
func said(threshold int, operator, state string) Answer[[]Vault] {
	held := charter.Vault{ID: statement.ID{1}, Name: "treasury", Committee: []string{"acme", "bolt", "cora"}, Threshold: threshold}
	v := Vault{Vault: held, State: state, Accepted: map[string]bool{}, Nodes: []string{operator}, Roots: []Root{{Suite: charter.SuiteECDSA, State: state, Held: held}}}
	if state != Ready {
		v.LastError, v.Roots[0].LastError = "trouble of "+operator, "trouble of "+operator
	}
	v.by(operator)
	return Answer[[]Vault]{Node: operator, Value: []Vault{v}}
}

// A node without its share is named, and holds up nobody, as long as enough others have theirs.
func TestMergeNodesWithoutShare(t *testing.T) {
	for name, c := range map[string]struct {
		threshold int
		states    [3]string
		state     string
		bare      []string
	}{
		"all have it":             {2, [3]string{Ready, Ready, Ready}, Ready, nil},
		"the first lacks it":      {2, [3]string{Bare, Ready, Ready}, Ready, []string{"acme"}},
		"the last lacks it":       {2, [3]string{Ready, Ready, Bare}, Ready, []string{"cora"}},
		"too many lack it":        {2, [3]string{Bare, Ready, Bare}, Bare, []string{"acme", "cora"}},
		"all are needed":          {3, [3]string{Ready, Bare, Ready}, Bare, []string{"bolt"}},
		"another is not so far":   {2, [3]string{Bare, "FINAL", Ready}, "FINAL", []string{"acme"}},
		"another, before it":      {2, [3]string{"FINAL", Bare, Ready}, "FINAL", []string{"bolt"}},
		"none has it, all say so": {2, [3]string{Bare, Bare, Bare}, Bare, []string{"acme", "bolt", "cora"}},
	} {
		t.Run(name, func(t *testing.T) {
			var all Answers[[]Vault]
			for i, operator := range []string{"acme", "bolt", "cora"} {
				all = append(all, said(c.threshold, operator, c.states[i]))
			}
			out, err := MergeVaults(all)
			if err != nil || len(out) != 1 {
				t.Fatalf("%v, %v", out, err)
			}
			v := out[0]
			if v.State != c.state || v.Roots[0].State != c.state || !slices.Equal(v.Roots[0].Bare, c.bare) {
				t.Errorf("state %q, key %q, without share %v", v.State, v.Roots[0].State, v.Roots[0].Bare)
			}
			if c.state == Ready && v.Roots[0].LastError != "" {
				t.Errorf("the vault is ready, and its error is %q", v.Roots[0].LastError)
			}
		})
	}
}

// A node whose operator left, and that did not hear of the reshare, still calls itself a holder: where another node proves a later
// record, its word is not part of what the holders say.
func TestMergeLeavesOutWhoHeldItOnce(t *testing.T) {
	key := func(epochNumber uint64, committee ...string) Root {
		r := &epoch.Record{KeyID: [32]byte{1}, Suite: charter.SuiteECDSA, Epoch: epochNumber, Threshold: 2, Public: secp256k1.Group{}.Generator()}
		return Root{Suite: charter.SuiteECDSA, State: Ready, Record: r, Held: charter.Vault{Threshold: 2, Committee: committee}, Proved: map[string]time.Time{}}
	}
	answer := func(operator string, r Root) Answer[[]Vault] {
		a := said(2, operator, r.State)
		v := &a.Value[0]
		v.Roots, v.Committee, v.LastError, v.Waiting = []Root{r}, r.Held.Committee, r.LastError, r.Waiting
		v.by(operator)
		return a
	}
	old := key(0, "acme", "bolt", "cora")
	old.State, old.LastError, old.Waiting, old.Moving = "publishing", "cora cannot reach anybody", []string{"acme", "bolt"}, "waits for all members"
	now := []string{"acme", "bolt", "eve"}
	for name, order := range map[string][]Answer[[]Vault]{
		"last":  {answer("acme", key(1, now...)), answer("bolt", key(1, now...)), answer("cora", old)},
		"first": {answer("cora", old), answer("acme", key(1, now...)), answer("bolt", key(1, now...))},
	} {
		out, err := MergeVaults(order)
		if err != nil || len(out) != 1 {
			t.Fatalf("%s: %v, %v", name, out, err)
		}
		v := out[0]
		r := v.Roots[0]
		if v.State != Ready || r.State != Ready || r.LastError != "" || len(r.Waiting) > 0 || len(v.Waiting) > 0 || r.Moving != "" || !slices.Equal(v.Committee, now) {
			t.Errorf("%s: state %q, key %+v", name, v.State, r)
		}
		if !slices.Contains(v.Nodes, "cora") {
			t.Errorf("%s: shown by %v", name, v.Nodes)
		}
	}
}

// Officers who did not wait for one another made three statements of one vault. All are listed until the key of one is proved: then the others are
// nothing. Two that are whole are an alarm.
func TestStatementsThatLost(t *testing.T) {
	vault := func(id byte, state string, proved bool) Vault {
		v := Vault{State: state}
		v.ID, v.Name = statement.ID{id}, "treasury"
		if proved {
			v.Roots = []Root{{Suite: "ecdsa-secp256k1", Record: &epoch.Record{Public: secp256k1.BaseMul(secp256k1.NewScalar(7))}}}
		}
		return v
	}
	for name, c := range map[string]struct {
		shown []Vault
		want  int // vaults that are left; 0: an alarm
	}{
		"all wait":         {[]Vault{vault(1, Accepting, false), vault(2, Accepting, false), vault(3, Accepting, false)}, 3},
		"one is whole":     {[]Vault{vault(1, Accepting, false), vault(2, "keygen", false), vault(3, Accepting, false)}, 3},
		"one has its key":  {[]Vault{vault(1, Accepting, false), vault(2, Ready, true), vault(3, "keygen", false)}, 1},
		"two are whole":    {[]Vault{vault(1, "keygen", false), vault(2, "keygen", false)}, 0},
		"two have its key": {[]Vault{vault(1, Ready, true), vault(2, Ready, true)}, 0},
	} {
		got, err := MergeVaults(Answers[[]Vault]{{Node: "acme", Value: c.shown}, {Node: "bolt", Value: c.shown}})
		if c.want == 0 && Classify(err) != Unverified || c.want > 0 && (err != nil || len(got) != c.want) || c.want == 1 && got[0].ID != (statement.ID{2}) {
			t.Errorf("%s: %d vaults, %v", name, len(got), err)
		}
	}
}
