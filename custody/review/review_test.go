package review

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
)

// The charter that `charter init` writes keeps its own rules, and shows for organisations steal 3, halt 1, lose 2.
func TestDefaultCharter(t *testing.T) {
	r, err := Charter(read(t, start(t), nil))
	if err != nil {
		t.Fatal(err)
	}
	if r.Broken() > 0 || len(r.Vaults) != 1 {
		t.Fatalf("%+v", r.Vaults)
	}
	f := r.Vaults[0].Figures[control.Organisation]
	if got := [3]int{f.Steal.Size, f.Halt.Size, f.Lose.Size}; got != [3]int{3, 1, 2} {
		t.Errorf("organisations: %v", got)
	}
	if n := r.Vaults[0].Spend.Persons.Size; n != 3 {
		t.Errorf("spend: %d persons", n)
	}
}

// Each shape of a circle in which somebody owns the wallet is refused, and the refusal names whom.
func TestRefused(t *testing.T) {
	all := func(from, to string) func(string) string {
		return func(file string) string { return strings.ReplaceAll(file, from, to) }
	}
	for name, c := range map[string]struct {
		start  func(*charter.Start)
		change func(string) string
		want   []string
	}{
		"Multichain: one account, one person": {func(s *charter.Start) {
			for i := range s.Operators {
				s.Operators[i].Provider, s.Operators[i].Account, s.Operators[i].Admin = "aws", "ceo", "admin-acme"
			}
		}, nil, []string{"steal/account", "aws/ceo reaches enough shares to sign alone", "steal/person", "admin-acme reaches enough", "the number is 1, at least 3"}},
		"two nodes in one account": {func(s *charter.Start) {
			s.Operators[1].Provider, s.Operators[1].Account = s.Operators[0].Provider, s.Operators[0].Account
		}, nil, []string{"steal/account: aws/account-0 and cora/account-2 reach enough shares to sign", "the number is 2, at least 3"}},
		"one country": {func(s *charter.Start) {
			for i := range s.Operators {
				s.Operators[i].Jurisdiction = "de"
			}
		}, nil, []string{"steal/jurisdiction: de reaches enough"}},
		"no provider": {func(s *charter.Start) { s.Operators[2].Independent = false }, nil, []string{"independent: 0 operators"}},
		"a backup elsewhere": {nil, func(f string) string {
			return strings.Replace(f, "access: [\"admin-bolt\"]", "access: [\"admin-acme\", \"admin-bolt\"]", 1)
		}, []string{"steal/person: admin-acme and admin-cora", "shares of acme, bolt, cora"}},
		"the charter's own": {nil, all("kind: jurisdiction\n    least: 2", "kind: organisation\n    least: 3"), []string{"lose/organisation", "the number is 2, at least 3"}},
	} {
		s := start(t)
		if c.start != nil {
			c.start(&s)
		}
		r, err := Charter(read(t, s, c.change))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if text := fmt.Sprint(r.Vaults[0].Broken); r.Broken() == 0 || !containsAll(text, c.want) {
			t.Errorf("%s: %s, want %q", name, text, c.want)
		}
	}
}

func containsAll(text string, want []string) bool {
	for _, w := range want {
		if !strings.Contains(text, w) {
			return false
		}
	}
	return true
}

// A charter cannot ask for less than the defaults.
func TestNeverLooser(t *testing.T) {
	d := read(t, start(t), func(f string) string {
		return strings.Replace(f, "  - number: lose\n    kind: jurisdiction\n    least: 2", "  - number: steal\n    kind: account\n    least: 1", 1)
	})
	rules, err := control.RulesOf(d, d.Vaults[0])
	if err != nil || !strings.Contains(fmt.Sprint(rules), "steal number of kind account: at least 3") {
		t.Errorf("%v, %v", rules, err)
	}
}

func TestWrongRules(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"kind": {"kind: jurisdiction", "kind: planet", "planet"}, "spend of accounts": {"number: lose\n    kind: jurisdiction", "number: spend\n    kind: account", "no such number"},
	} {
		d := read(t, start(t), func(f string) string { return strings.Replace(f, c.from, c.to, 1) })
		if _, err := Charter(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := read(t, start(t), func(f string) string { return strings.ReplaceAll(f, "payroll", "wages") })
	if _, err := Charter(d); err == nil || !strings.Contains(err.Error(), `Label::"payroll" is not in the charter; it has none, wages`) {
		t.Errorf("policy: %v", err)
	}
}
