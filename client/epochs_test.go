package client

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// After new shares nodes may stand in different epochs for a moment: that is no alarm, and the highest epoch counts. Another
// key is one, and so are two records of one epoch.
func TestMergeVaultsAcrossEpochs(t *testing.T) {
	w := newWorld(t)
	shown := func(node string, change func(*epoch.Record)) Answer[[]Vault] {
		v := w.vault
		v.Roots = nil
		if change != nil {
			r := *w.vault.Roots[0].Record
			change(&r)
			v.Roots = []Root{{Suite: charter.SuiteECDSA, State: Ready, Record: &r}}
		}
		v.Nodes = []string{node}
		return Answer[[]Vault]{Node: node, Value: []Vault{v}}
	}
	first := func(*epoch.Record) {}
	second := func(r *epoch.Record) { r.Epoch, r.Attempt = 1, 3 }
	third := func(r *epoch.Record) { r.Epoch, r.Attempt = 2, 1 }
	for name, c := range map[string]struct {
		nodes []func(*epoch.Record)
		epoch uint64
		alarm string
	}{
		"all in the first":      {nodes: []func(*epoch.Record){first, first, first}, epoch: 0},
		"one behind":            {nodes: []func(*epoch.Record){second, first, second}, epoch: 1},
		"one ahead":             {nodes: []func(*epoch.Record){first, first, second}, epoch: 1},
		"all apart":             {nodes: []func(*epoch.Record){second, third, first}, epoch: 2},
		"one without a key yet": {nodes: []func(*epoch.Record){nil, second, first}, epoch: 1},
		"two records of one epoch": {
			nodes: []func(*epoch.Record){second, first, func(r *epoch.Record) { second(r); r.Attempt++ }},
			alarm: "epoch 1 of the ecdsa-secp256k1 key of vault",
		},
		"another threshold": {
			nodes: []func(*epoch.Record){second, second, func(r *epoch.Record) { second(r); r.Threshold++ }},
			alarm: "epoch 1 of the ecdsa-secp256k1 key of vault",
		},
		"another key in a later epoch": {
			nodes: []func(*epoch.Record){first, first, func(r *epoch.Record) { second(r); r.Public = secp256k1.Group{}.Generator() }},
			alarm: "the ecdsa-secp256k1 key of vault",
		},
		"another chain code": {
			nodes: []func(*epoch.Record){first, first, func(r *epoch.Record) { second(r); r.ChainCode[0] ^= 1 }},
			alarm: "the ecdsa-secp256k1 key of vault",
		},
		"another attempt's key": {
			nodes: []func(*epoch.Record){first, first, func(r *epoch.Record) { r.KeyID[0] ^= 1 }},
			alarm: "the ecdsa-secp256k1 key of vault",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var answers Answers[[]Vault]
			for i, change := range c.nodes {
				answers = append(answers, shown(string(rune('a'+i)), change))
			}
			merged, err := MergeVaults(answers)
			var d *Difference
			if c.alarm != "" {
				if !errors.As(err, &d) || !strings.Contains(d.What, c.alarm) || Classify(err) != Unverified {
					t.Errorf("got %v, want an alarm about %s", err, c.alarm)
				}
				return
			}
			if err != nil || len(merged) != 1 || len(merged[0].Nodes) != 3 {
				t.Fatalf("merged %v: %v", merged, err)
			}
			if r := merged[0].Roots[0].Record; r.Epoch != c.epoch || merged[0].State != Ready {
				t.Errorf("epoch %d, state %s", r.Epoch, merged[0].State)
			}
		})
	}
}

// A node outside the committee learns of no key: it keeps no vault from being ready, and is compared all the same.
func TestMergeVaultsApart(t *testing.T) {
	w := newWorld(t)
	holder, apart := w.vault, w.vault
	holder.Nodes, apart.Nodes, apart.Apart = []string{"a"}, []string{"x"}, true
	apart.State, apart.Roots = "keygen", []Root{{Suite: charter.SuiteECDSA, State: "keygen"}}
	one, other := Answer[[]Vault]{Node: "a", Value: []Vault{holder}}, Answer[[]Vault]{Node: "x", Value: []Vault{apart}}
	for name, c := range map[string]struct {
		answers Answers[[]Vault]
		state   string
	}{
		"before the committee": {Answers[[]Vault]{other, one}, Ready},
		"after the committee":  {Answers[[]Vault]{one, other}, Ready},
		"alone":                {Answers[[]Vault]{other}, "keygen"},
	} {
		merged, err := MergeVaults(c.answers)
		if err != nil || len(merged) != 1 || merged[0].State != c.state || len(merged[0].Nodes) != len(c.answers) {
			t.Errorf("%s: %v, %v", name, merged, err)
		}
	}
	r := *holder.Roots[0].Record
	r.ChainCode[0] ^= 1
	apart.Roots = []Root{{Suite: charter.SuiteECDSA, State: Ready, Record: &r}}
	other.Value = []Vault{apart}
	if _, err := MergeVaults(Answers[[]Vault]{one, other}); Classify(err) != Unverified {
		t.Errorf("another key is no alarm: %v", err)
	}
	if !holder.holds(identity(operators[0])) || holder.holds(identity("stranger")) {
		t.Error("who is of the committee is not told apart")
	}
	// Its second key has not moved yet: who holds that one is not apart.
	moved := holder
	moved.Committee = []string{operators[1], operators[2]}
	second := moved.Roots[0]
	second.Suite, second.Held = charter.SuiteEd25519, charter.Vault{Committee: []string{operators[0], operators[1]}}
	moved.Roots = append(slices.Clone(moved.Roots), second)
	moved.Roots[0].Held = charter.Vault{Committee: moved.Committee}
	if !moved.holds(identity(operators[0])) {
		t.Error("who holds the second key alone counts as apart")
	}
	damaged := holder
	damaged.Roots = []Root{{Suite: charter.SuiteECDSA, State: Damaged}}
	if holder.apart(identity(operators[0])) || !holder.apart(identity("stranger")) || !damaged.apart(identity(operators[0])) {
		t.Error("who has a say is not told apart")
	}
}
