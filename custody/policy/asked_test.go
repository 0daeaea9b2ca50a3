package policy

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// asks is a transfer of ether from treasury at a time, with its fee.
func asks(t *testing.T, at, initiator string, approved ...string) Facts {
	t.Helper()
	d := document()
	when, err := time.Parse(time.RFC3339, at)
	if err != nil {
		t.Fatal(err)
	}
	f, _ := Asked{d.Vaults[0], "transaction", "eip155:1", initiator, approved, when}.Facts(d)
	f.Effects = []Effect{
		{Operation: Transfer, Asset: "eth", Amount: 1, Total: Totals{4, 4, 4, 4}, Destination: "0x00000000000000000000000000000000000000b2"},
		{Operation: Fee, Asset: "eth", Amount: 3, Total: Totals{4, 4, 4, 4}},
	}
	return f
}

// Each effect is answered by itself, and what permits it is named beside what forbids it.
func TestAnswers(t *testing.T) {
	p, err := Read([]byte(`
		@id("fee") permit (principal, action == Action::"fee", resource) when { context.amount <= 3 };
		@id("pay") permit (principal, action in Action::"move", resource) when { context.approvals["security"] >= 1 };
		@id("hours") @reason("nobody works then") forbid (principal, action in Action::"move", resource) when { context.weekday > 5 };
		@id("sum") forbid (principal, action == Action::"fee", resource) when { context.amount * 9223372036854775807 < 0 };
	`), VocabularyOf(document()))
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		facts   Facts
		permits string
		forbids int
		allowed bool
	}{
		"permitted":               {asks(t, "2026-11-27T10:00:00Z", "alice", "dana"), "pay", 0, true},
		"nothing permits":         {asks(t, "2026-11-27T10:00:00Z", "alice", "bob"), "", 0, false},
		"permitted and forbidden": {asks(t, "2026-11-29T10:00:00Z", "alice", "dana"), "pay", 1, false},
		"forbidden":               {asks(t, "2026-11-29T10:00:00Z", "alice"), "", 1, false},
	} {
		all, err := p.Answers(c.facts)
		if err != nil || len(all) != 2 {
			t.Fatalf("%s: %d answers, %v", name, len(all), err)
		}
		if a := all[0]; strings.Join(a.Permits, " ") != c.permits || len(a.Forbids) != c.forbids || a.Allowed() != c.allowed {
			t.Errorf("%s: %+v", name, a)
		}
		if c.forbids > 0 && all[0].Forbids[0] != (Forbid{"hours", "nobody works then"}) {
			t.Errorf("%s: %+v", name, all[0].Forbids)
		}
		// A rule that cannot be computed forbids, though another permits the fee.
		if a := all[1]; a.Allowed() || len(a.Errs) != 1 || !strings.HasPrefix(a.Errs[0], "sum: ") || !slices.Equal(a.Permits, []string{"fee"}) {
			t.Errorf("%s: fee: %+v", name, a)
		}
	}
	broken := asks(t, "2026-11-27T10:00:00Z", "alice")
	broken.Chain = "eip155:5"
	if _, err := p.Answers(broken); err == nil {
		t.Error("facts that are not declared were answered")
	}
}

// The answers together say what Decide says, over the start policy.
func TestAnswersAgree(t *testing.T) {
	d := document()
	p, err := Of(d)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, at := range []string{"2026-11-27T10:00:00Z", "2026-11-29T10:00:00Z", "2026-11-27T23:00:00Z"} {
		for _, approved := range [][]string{nil, {"bob"}, {"dana"}, {"bob", "carol"}, {"bob", "dana"}} {
			f := asks(t, at, "alice", approved...)
			all, err := p.Answers(f)
			if err != nil {
				t.Fatal(err)
			}
			allowed := !slices.ContainsFunc(all, func(a Answer) bool { return !a.Allowed() })
			if r := p.ask(f); (r.Verdict == Allow) != allowed {
				t.Errorf("%s %v: %+v, answers %+v", at, approved, r, all)
			}
			if allowed {
				n++
			}
		}
	}
	if n == 0 || n == 15 {
		t.Errorf("%d of 15 are allowed: the comparison shows nothing", n)
	}
}

// Who proposes counts among the approvers where the vault says so, and only there.
func TestAskedInitiator(t *testing.T) {
	d := document()
	v := d.Vaults[0]
	_, room := Asked{Vault: v, Initiator: "alice"}.Facts(d)
	v.InitiatorApproves = true
	_, own := Asked{Vault: v, Initiator: "alice"}.Facts(d)
	if room.Approvers != 3 || own.Approvers != 4 {
		t.Errorf("%d could approve, %d with the initiator", room.Approvers, own.Approvers)
	}
	d.Vaults[0].InitiatorApproves = true
	f, _, err := Case{Vault: "treasury", Initiator: "alice", Approvals: []string{"alice"}}.Facts(d)
	if err != nil || f.Approvers != 1 {
		t.Errorf("a case of such a vault counts %d approvers, %v", f.Approvers, err)
	}
}
