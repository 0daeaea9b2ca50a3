package control

import (
	"fmt"
	"slices"
	"strings"
)

// A Measured names one of the numbers.
type Measured string

// The numbers that rules are about.
const (
	Steal  Measured = "steal"
	Halt   Measured = "halt"
	Lose   Measured = "lose"
	Spends Measured = "spend"
)

// A Rule bounds one number from below.
type Rule struct {
	Number Measured
	Kind   Kind
	Least  int
}

func (r Rule) String() string {
	return fmt.Sprintf("%s number of kind %v: at least %d", r.Number, r.Kind, r.Least)
}

// Rules are what a charter asks of each of its vaults. That more than half of the operators sign is always asked: with fewer, two halves
// that know nothing of one another could both sign (Harmony: 2 of 5).
type Rules struct {
	Least       []Rule
	Independent int // how many operators must be independent providers
}

// Defaults are the rules of a vault of threshold t, which a charter may tighten: no organisation, person or cloud account reaches it
// without t of its kind; no provider, region or jurisdiction alone; nobody spends alone; one operator is independent.
func Defaults(t int) Rules {
	return Rules{
		Least: []Rule{
			{Steal, Organisation, t}, {Steal, Person, t}, {Steal, Account, t},
			{Steal, Provider, 2}, {Steal, Region, 2}, {Steal, Jurisdiction, 2}, {Spends, Person, 2},
		},
		Independent: 1,
	}
}

// A Breach is a rule that a vault breaks.
type Breach struct {
	Rule   string    // "steal/account"
	Have   int       // the number found
	Want   int       // the least that is allowed
	Who    Coalition // one that suffices
	WayOut string    // what would end the breach
}

func (b Breach) Error() string {
	if b.Rule == "majority" {
		return fmt.Sprintf("control rule majority: %d operators sign, at least %d are asked: %s", b.Have, b.Want, b.WayOut)
	}
	if b.Rule == "independent" {
		return fmt.Sprintf("control rule independent: %d operators are independent of the customer, at least %d are asked: %s", b.Have, b.Want, b.WayOut)
	}
	return fmt.Sprintf("control rule %s: %s %s; the number is %d, at least %d is asked: %s", b.Rule, strings.Join(b.Who, " and "), b.does(), b.Have, b.Want, b.WayOut)
}

func (b Breach) does() string {
	what, _, _ := strings.Cut(b.Rule, "/")
	does := map[string][2]string{
		"steal": {"reaches enough shares to sign alone", "reach enough shares to sign"},
		"halt":  {"stops signing alone", "stop signing"},
		"lose":  {"takes the vault along alone", "take the vault along"},
		"spend": {"moves money alone", "move money"},
	}[what]
	if len(b.Who) == 1 {
		return does[0]
	}
	return does[1]
}

// Check lists the rules that the vault breaks, in the order of the rules.
func (s Structure) Check(rules Rules) (broken []Breach) {
	figures, spend := s.Measure(), s.Spend()
	for _, r := range rules.Least {
		n := figures[r.Kind].of(r.Number)
		if r.Number == Spends {
			n = spend.of(r.Kind)
		}
		if n.Size > 0 && n.Size < r.Least {
			broken = append(broken, Breach{
				Rule: fmt.Sprintf("%s/%v", r.Number, r.Kind), Have: n.Size, Want: r.Least, Who: n.Coalitions[0], WayOut: s.wayOut(r, n.Coalitions[0]),
			})
		}
	}
	if n := len(s.Shares); 2*s.Threshold <= n {
		broken = append(broken, Breach{Rule: "majority", Have: s.Threshold, Want: n/2 + 1, WayOut: fmt.Sprintf("raise the threshold to %d, or let fewer operators hold shares", n/2+1)})
	}
	var independent Coalition
	for _, share := range s.Shares {
		if share.Independent {
			independent = append(independent, share.Operator)
		}
	}
	if n := len(independent); n < rules.Independent {
		broken = append(broken, Breach{
			Rule: "independent", Have: n, Want: rules.Independent, Who: independent,
			WayOut: "let a provider that is independent of the customer hold a share",
		})
	}
	return broken
}

func (f Figure) of(m Measured) Number {
	switch m {
	case Steal:
		return f.Steal
	case Halt:
		return f.Halt
	}
	return f.Lose
}

func (s Spend) of(k Kind) Number {
	if k == Organisation {
		return s.Organisations
	}
	return s.Persons
}

// wayOut says what would end a breach.
func (s Structure) wayOut(r Rule, who Coalition) string {
	held := strings.Join(s.reachedBy(r.Kind, who), ", ")
	switch r.Number {
	case Spends:
		return "raise the quorum, or let no initiator approve what they proposed"
	case Steal:
		return fmt.Sprintf("shares of %s are within reach of it: give each operator's copies another %v", held, r.Kind)
	case Halt:
		return fmt.Sprintf("shares of %s sign nowhere else: add replicas under another %v, or lower the threshold", held, r.Kind)
	}
	return fmt.Sprintf("all copies of shares of %s are there: cut backups under another %v", held, r.Kind)
}

// reachedBy lists the operators of whose shares some copy is within reach of domains.
func (s Structure) reachedBy(k Kind, domains Coalition) (operators []string) {
	for _, share := range s.Shares {
		if slices.ContainsFunc(share.Copies, func(c Copy) bool {
			return slices.ContainsFunc(c.reachedBy(k), func(d string) bool { return slices.Contains(domains, d) })
		}) {
			operators = append(operators, share.Operator)
		}
	}
	return operators
}
