package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/form"
)

// MaxCases bounds a file of cases, in bytes.
const MaxCases = 256 << 10

// A Case is a transaction that might be asked for, and what the rules should say: a user's own test.
type Case struct {
	Name      string
	Vault     string
	Purpose   string // PurposeTransaction if left out
	Chain     string // the vault's first if left out
	Initiator string
	Approvals []string // people
	At        time.Time
	Effects   []CaseEffect
	Expect    Verdict
	Rule      string // that decides; empty: any
}

// A CaseEffect is an effect, and what the vault gave out of its asset before.
type CaseEffect struct {
	Operation string
	Asset     string
	To        string // a payee's name, or an address
	Amount    int64
	Spent     Totals // without this transaction
}

// ReadCases reads a file of cases.
//
//	cases:
//	  - name: salaries
//	    vault: treasury
//	    initiator: alice
//	    approvals: [bob, carol]
//	    at: "2026-11-27T10:00:00Z"
//	    effects:
//	      - { operation: token, asset: usdc, to: salaries, amount: 12000, spent-week: 5000 }
//	    expect: allow             # allow, wait or deny
//	    rule: payroll             # may be left out
func ReadCases(file []byte) (cases []Case, err error) {
	err = form.Read(file, MaxCases, "cases", func(f *form.Map) {
		cases = form.List(f, "cases", func(f *form.Map) Case {
			c := Case{
				Name: f.Text("name"), Vault: f.Text("vault"), Purpose: f.Maybe("purpose"), Chain: f.Maybe("chain"), Initiator: f.Text("initiator"),
				Expect: Verdict(f.Text("expect")), Rule: f.Maybe("rule"),
			}
			if f.Has("approvals") {
				c.Approvals = f.Texts("approvals")
			}
			if !slices.Contains([]Verdict{Allow, Wait, Deny}, c.Expect) {
				f.Fail("expect", fmt.Sprintf("%q is not allow, wait or deny", c.Expect))
			}
			var err error
			if c.At, err = time.Parse(time.RFC3339, f.Text("at")); err != nil {
				f.Fail("at", "is no time such as \"2026-11-27T10:00:00Z\"")
			}
			c.Effects = form.List(f, "effects", readEffect)
			return c
		})
	})
	if err != nil {
		return nil, fmt.Errorf("policy cases: %w", err)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("policy cases: the file holds none: a test that tests nothing")
	}
	return cases, nil
}

func readEffect(f *form.Map) CaseEffect {
	e := CaseEffect{Operation: f.Text("operation"), Asset: f.Maybe("asset"), To: f.Maybe("to"), Amount: int64(f.Optional("amount", 0))}
	e.Spent.Hour = int64(f.Optional("spent-hour", 0))
	e.Spent.Day = int64(f.Optional("spent-day", int(e.Spent.Hour)))
	e.Spent.Week = int64(f.Optional("spent-week", int(e.Spent.Day)))
	e.Spent.Month = int64(f.Optional("spent-month", int(e.Spent.Week)))
	return e
}

// Facts are those of a case, as a node would find them.
func (c Case) Facts(d charter.Document) (Facts, Room, error) {
	i := slices.IndexFunc(d.Vaults, func(v charter.Blueprint) bool { return v.Name == c.Vault })
	if i < 0 {
		return Facts{}, Room{}, fmt.Errorf("case %q: vault %s is not in the charter", c.Name, c.Vault)
	}
	v := d.Vaults[i]
	var people []string
	for _, who := range c.Approvals {
		if !slices.ContainsFunc(d.Members(v.Approvers), func(h charter.Human) bool { return h.Name == who }) {
			return Facts{}, Room{}, fmt.Errorf("case %q: %s is no approver of vault %s", c.Name, who, v.Name)
		}
		if who != c.Initiator || v.InitiatorApproves {
			people = append(people, who)
		}
	}
	if !slices.ContainsFunc(d.Members(v.Initiators), func(h charter.Human) bool { return h.Name == c.Initiator }) {
		return Facts{}, Room{}, fmt.Errorf("case %q: %s is no initiator of vault %s", c.Name, c.Initiator, v.Name)
	}
	f, room := Asked{Vault: v, Purpose: c.Purpose, Chain: c.Chain, Initiator: c.Initiator, Approved: people, At: c.At}.Facts(d)
	if f.Purpose == "" {
		f.Purpose = "transaction"
	}
	if f.Chain == "" {
		f.Chain = v.Chains[0]
	}
	for i, e := range c.Effects {
		effect, err := c.effect(d, f.Chain, e)
		if err != nil {
			return Facts{}, Room{}, fmt.Errorf("case %q: effect %d: %w", c.Name, i+1, err)
		}
		f.Effects = append(f.Effects, effect)
	}
	return f, room, nil
}

// QuorumLacks is how many more people must approve before the vault's quorum is reached. Rules do not speak of it: it counts beside them.
func (c Case) QuorumLacks(d charter.Document) int {
	i := slices.IndexFunc(d.Vaults, func(v charter.Blueprint) bool { return v.Name == c.Vault })
	f, _, err := c.Facts(d)
	if i < 0 || err != nil {
		return 0
	}
	return max(0, d.Vaults[i].Quorum-f.Approvers)
}

// effect adds up what the whole transaction takes of the asset. What could only be a typing mistake is an error: it would be denied, and a
// case that expects a denial would pass for that.
func (c Case) effect(d charter.Document, chain string, e CaseEffect) (Effect, error) {
	moves := slices.Contains([]Operation{Transfer, Token, Fee}, Operation(e.Operation))
	if e.Asset == "" && (moves || e.Amount != 0) {
		return Effect{}, fmt.Errorf("%s of %d: asset: is missing", e.Operation, e.Amount)
	}
	sum := int64(0)
	for _, o := range c.Effects {
		if o.Asset == e.Asset {
			sum += o.Amount
		}
	}
	out := Effect{Operation: Operation(e.Operation), Asset: e.Asset, Amount: e.Amount, Destination: e.To}
	out.Total = Totals{e.Spent.Hour + sum, e.Spent.Day + sum, e.Spent.Week + sum, e.Spent.Month + sum}
	if i := slices.IndexFunc(d.Payees, func(p charter.Payee) bool { return p.Chain == chain && p.Name == e.To }); i >= 0 {
		out.Destination = d.Payees[i].Address
	}
	if out.Destination != "" && strings.HasPrefix(chain, "eip155:") {
		a, err := evm.ParseAddress(out.Destination)
		if err != nil {
			return Effect{}, fmt.Errorf("to: %q is no payee of the charter on %s, and no address: %w", e.To, chain, err)
		}
		out.Destination = a.String() // as a node writes it
	}
	out.Labels = labelsOf(d, chain, out.Destination)
	return out, nil
}

// Run asks the rules about a case. why is empty if they say what it expects.
func (p *Policy) Run(d charter.Document, c Case) (r Ruling, why string, err error) {
	f, room, err := c.Facts(d)
	if err != nil {
		return Ruling{}, "", err
	}
	if err := f.Validate(p.vocabulary); err != nil && c.Rule != RuleFacts {
		return Ruling{}, "", fmt.Errorf("case %q: %w; if that is what it tries, it expects deny with rule: %s", c.Name, err, RuleFacts)
	}
	r = p.Decide(f, room)
	if named := strings.Split(r.Rule, ","); r.Verdict == c.Expect && (c.Rule == "" || slices.Contains(named, c.Rule)) {
		return r, "", nil
	}
	want := string(c.Expect)
	if c.Rule != "" {
		want += " by " + c.Rule
	}
	return r, fmt.Sprintf("it says %s by %s, the case expects %s: %s", r.Verdict, r.Rule, want, r.Reason), nil
}
