package policy

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
)

// document is a charter as far as cases look at it.
func document() charter.Document {
	return charter.Document{
		People: []charter.Human{{Name: "alice", Organisation: "acme"}, {Name: "bob", Organisation: "acme"}, {Name: "carol", Organisation: "bolt"}, {Name: "dana", Organisation: "bolt"}},
		Groups: []charter.Group{{Name: "finance", People: []string{"alice", "bob", "carol"}}, {Name: "security", People: []string{"dana"}}},
		Assets: []charter.Asset{{Name: "eth", Chain: "eip155:1", Decimals: 18, Unit: 15}, {Name: "usdc", Chain: "eip155:1", Contract: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", Decimals: 6, Unit: 6}},
		Payees: []charter.Payee{{Name: "salaries", Chain: "eip155:1", Address: "0x00000000000000000000000000000000000000A1", Labels: []string{"payroll"}}},
		Vaults: []charter.Blueprint{{Name: "treasury", Tier: "warm", Chains: []string{"eip155:1"}, Initiators: []string{"finance"}, Approvers: []string{"finance", "security"}, Quorum: 2}},
		Policy: charter.StartPolicy,
	}
}

const cases = `
cases:
  - name: salaries
    vault: treasury
    initiator: alice
    approvals: [bob]
    at: "2026-11-27T10:00:00Z"
    effects:
      - { operation: token, asset: usdc, to: salaries, amount: 12000, spent-week: 8000 }
      - { operation: fee, asset: eth, amount: 3 }
    expect: allow
    rule: payroll
  - name: to the address itself
    vault: treasury
    initiator: alice
    at: "2026-11-27T10:00:00Z"
    effects: [{ operation: token, asset: usdc, to: "0x00000000000000000000000000000000000000a1", amount: 1 }]
    expect: allow
  - name: one more is too much, unless security agrees
    vault: treasury
    initiator: alice
    approvals: [bob]
    at: "2026-11-27T10:00:00Z"
    effects: [{ operation: token, asset: usdc, to: salaries, amount: 12000, spent-week: 8001 }]
    expect: wait
  - name: who proposes does not count
    vault: treasury
    initiator: carol
    approvals: [carol, dana]
    at: "2026-11-27T10:00:00Z"
    effects: [{ operation: transfer, asset: eth, to: "0x00000000000000000000000000000000000000b2", amount: 1 }]
    expect: wait
  - name: on a Sunday
    vault: treasury
    initiator: alice
    approvals: [bob, carol, dana]
    at: "2026-11-29T10:00:00Z"
    effects: [{ operation: transfer, asset: eth, to: "0x00000000000000000000000000000000000000b2", amount: 1 }]
    expect: deny
    rule: hours
`

func TestCases(t *testing.T) {
	all, err := ReadCases([]byte(cases))
	if err != nil {
		t.Fatal(err)
	}
	d := document()
	p, err := Of(d)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range all {
		if r, why, err := p.Run(d, c); err != nil || why != "" {
			t.Errorf("%s: %s, %v; %+v", c.Name, why, err, r)
		}
		// A case that expects something else fails.
		for _, other := range []Verdict{Allow, Wait, Deny} {
			wrong := c
			if wrong.Expect = other; other == c.Expect {
				wrong.Rule = "another"
			}
			if _, why, _ := p.Run(d, wrong); why == "" {
				t.Errorf("%s passes as %s by %s", c.Name, wrong.Expect, wrong.Rule)
			}
		}
	}
}

func TestCasesRefused(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"no case": {cases, "cases: []", "tests nothing"}, "expectation": {"expect: allow", "expect: maybe", "not allow, wait or deny"}, "time": {"2026-11-27T10", "2026-11-27", "is no time"},
		"a typing mistake": {"spent-week", "spent-wek", "unknown field"}, "octal": {"amount: 12000", "amount: 012000", "plain decimal"},
	} {
		if _, err := ReadCases([]byte(strings.Replace(cases, c.from, c.to, 1))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	d := document()
	p, err := Of(d)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ from, to, want string }{
		"vault": {"vault: treasury", "vault: tresury", "not in the charter"}, "initiator": {"initiator: alice", "initiator: dana", "no initiator"}, "approver": {"approvals: [bob]", "approvals: [zoe]", "no approver"},
		"asset": {"asset: usdc", "asset: usdx", "usdx"}, "no asset": {"asset: usdc, ", "", "asset: is missing"}, "operation": {"operation: token", "operation: tokn", "tokn"},
		"payee": {"to: salaries", "to: salarie", "no payee"}, "address": {"to: salaries", "to: \"0xA1\"", "no address"}, "chain": {"initiator:", "chain: eip155:2\n    initiator:", "eip155:2"},
	} {
		all, err := ReadCases([]byte(strings.Replace(cases, c.from, c.to, 1)))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := p.Run(d, all[0]); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Who wants to see that facts like these are denied says so.
func TestCaseOfFacts(t *testing.T) {
	text := strings.Replace(cases, "asset: usdc", "asset: usdx", 1)
	text = strings.Replace(text, "expect: allow\n    rule: payroll", "expect: deny\n    rule: facts", 1)
	all, err := ReadCases([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d := document()
	p, err := Of(d)
	if err != nil {
		t.Fatal(err)
	}
	if _, why, err := p.Run(d, all[0]); err != nil || why != "" {
		t.Errorf("%s, %v", why, err)
	}
}

// A rule sees a destination as a node writes it, however the charter and the case do.
func TestCaseDestination(t *testing.T) {
	const written, address = "0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
	d := document()
	d.Payees[0].Address = written
	for _, to := range []string{"salaries", written, address} {
		e, err := Case{}.effect(d, "eip155:1", CaseEffect{Operation: "transfer", Asset: "eth", To: to})
		if err != nil || e.Destination != address || len(e.Labels) != 1 {
			t.Errorf("%s: %+v, %v", to, e, err)
		}
	}
}

// The initiator's own approval is none.
func TestQuorumLacks(t *testing.T) {
	all, err := ReadCases([]byte(cases))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 2, 1, 1, 0} {
		if got := all[i].QuorumLacks(document()); got != want {
			t.Errorf("%s: %d, want %d", all[i].Name, got, want)
		}
	}
}

func FuzzReadCases(f *testing.F) {
	f.Add([]byte(cases))
	f.Fuzz(func(t *testing.T, file []byte) {
		if all, err := ReadCases(file); err == nil && len(all) == 0 {
			t.Error("no case and no error")
		}
	})
}

// Whatever is read as rules can be asked, and says one of three things.
func FuzzRead(f *testing.F) {
	f.Add([]byte(typical))
	f.Add([]byte(fee))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Read(text, vocabulary)
		if err != nil {
			return
		}
		if r := p.Decide(facts(), room(facts())); r.Verdict != Allow && r.Verdict != Wait && r.Verdict != Deny || r.Verdict != Allow && r.Reason == "" {
			t.Errorf("%+v", r)
		}
	})
}
