package plan

import (
	"fmt"
	"strings"
	"time"
)

// A Power is what a coalition can do.
type Power uint8

// Powers.
const (
	Nothing Power = iota
	Reshare       // a guarded reshare: new shares for a committee of the plan
	Sign          // sign, and with that everything
)

func (w Power) String() string { return [...]string{"nothing", "guarded reshare", "sign"}[w] }

// Can is what so many operators and guardians can do, before the delay is over and after it (spec/sos 1.2). It is what the mathematics
// lets them do: the key is determined by t operators, or by r operators and k guardians, and by nothing less.
func (p Plan) Can(operators, guardians int) (before, after Power) {
	switch {
	case operators >= p.Threshold:
		return Sign, Sign
	case operators >= p.Live && guardians >= p.Quorum:
		return Nothing, Reshare
	}
	return Nothing, Nothing
}

// A Row is coalitions that can do the same.
type Row struct {
	Operators, Guardians [2]int // from, to
	Before, After        Power
}

// Table lists every coalition class once: all numbers of operators and guardians, those that can do the same together.
func (p Plan) Table() (rows []Row) {
	for a := 0; a <= len(p.Operators); a++ {
		for b := 0; b <= len(p.Guardians); b++ {
			before, after := p.Can(a, b)
			if i := len(rows) - 1; b > 0 && rows[i].Before == before && rows[i].After == after {
				rows[i].Guardians[1] = b
				continue
			}
			rows = append(rows, Row{[2]int{a, a}, [2]int{b, b}, before, after})
		}
	}
	return merged(rows)
}

// merged joins neighbouring numbers of operators whose rows are the same.
func merged(rows []Row) (out []Row) {
	for _, r := range rows {
		joined := false
		for i := range out {
			if o := &out[i]; o.Guardians == r.Guardians && o.Before == r.Before && o.After == r.After && o.Operators[1]+1 == r.Operators[0] && alone(rows, *o, r) {
				o.Operators[1], joined = r.Operators[0], true
			}
		}
		if !joined {
			out = append(out, r)
		}
	}
	return out
}

// alone says that both numbers of operators have the same split of guardians.
func alone(rows []Row, a, b Row) bool {
	count := func(n int) (c int) {
		for _, r := range rows {
			if r.Operators[0] == n {
				c++
			}
		}
		return c
	}
	return count(a.Operators[1]) == count(b.Operators[0])
}

// Text is the table for people. steal is the vault's steal number of persons (custody/control), which counts shared domains once.
func (p Plan) Text(steal int) string {
	var b strings.Builder
	n, m := len(p.Operators), len(p.Guardians)
	fmt.Fprintf(&b, "Vault %s: %d of %d operators sign; in SOS %s and %d of %d guardians act.\n\n", p.Name, p.Threshold, n, count(p.Live, "operator"), p.Quorum, m)
	fmt.Fprintf(&b, "%-12s%-12s%-18s%s\n", "operators", "guardians", "before the delay", "after it")
	for _, r := range p.Table() {
		fmt.Fprintf(&b, "%-12s%-12s%-18s%s\n", span(r.Operators), span(r.Guardians), r.Before, r.After)
	}
	b.WriteString("\n")
	for lost := 1; lost <= n; lost++ {
		fmt.Fprintf(&b, "With %d of %d operators lost: %s.\n", lost, n, p.survives(lost))
	}
	fmt.Fprintf(&b, "\n%s\n", p.Limit(steal))
	return b.String()
}

func (p Plan) survives(lost int) string {
	switch rest := len(p.Operators) - lost; {
	case rest >= p.Threshold:
		return "the others sign, and an ordinary reshare replaces them; SOS is refused"
	case rest >= p.Live:
		return fmt.Sprintf("%s and %d guardians can rescue it", count(p.Live, "live operator"), p.Quorum)
	}
	return "SOS can do nothing; only operators' own paper and exports remain"
}

// Limit is the honest limit: what no delay, veto or cap stops.
func (p Plan) Limit(steal int) string {
	return fmt.Sprintf("Off chain, delay, veto and destinations fail only if %s and %d guardians are dishonest, %d in all, and any %d operators can always sign. The steal number of persons is %d.",
		count(p.Live, "operator"), p.Quorum, p.Live+p.Quorum, p.Threshold, steal)
}

func span(r [2]int) string {
	if r[0] == r[1] {
		return fmt.Sprint(r[0])
	}
	return fmt.Sprintf("%d to %d", r[0], r[1])
}

// short writes whole days and hours.
func short(d time.Duration) string {
	switch day := 24 * time.Hour; {
	case d > 3*day && d%day == 0:
		return fmt.Sprintf("%d days", d/day)
	case d >= time.Hour && d%time.Hour == 0:
		return fmt.Sprintf("%d h", d/time.Hour)
	}
	return d.String()
}
