package plan

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/custody/charter"
)

// Terms is all that the plan says beside the table, for people: what begins an emergency and what ends it, how long each part lasts, and all that may be moved and called. Addresses
// and calldata stand in full: who checks a plan compares them, and a shortened one hides another. assets are the charter's.
func (p Plan) Terms(assets []charter.Asset) string {
	var b strings.Builder
	mode := "REAL"
	if p.Drill {
		mode = "DRILL: nothing said under it serves in a REAL emergency"
	}
	fmt.Fprintf(&b, "mode           %s\n\n", mode)
	p.begins(&b)
	p.lasts(&b)
	p.moves(&b, assets)
	return b.String()
}

// begins says what a declaration takes, by trigger, and what ends it.
func (p Plan) begins(b *strings.Builder) {
	fmt.Fprintf(b, "%-17s%-14s%-10s%-11s%-8s%-11s%s\n", "trigger", "begins after", "delay", "guardians", "again", "operators", "ended by a sign of life")
	for _, t := range p.Triggers {
		after, cancels := "–", "no: it may be coerced, or is wound up"
		if t.After > 0 {
			after = short(t.After)
		}
		if Cancels(t.Name) {
			cancels = "yes, with a live test signature"
		}
		first, again := p.Starts(t.Name, 0), p.Starts(t.Name, 1)
		fmt.Fprintf(b, "%-17s%-14s%-10s%-11d%-8d%-11d%s\n", t.Name, after, short(t.Delay), first.Guardians, again.Guardians, first.Operators, cancels)
	}
	fmt.Fprintf(b, "\n%-15s%s: those who declare it are of %s at least; *again* counts within 90 days of another declaration\n", "starters", count(p.Starters, "guardian"), count(p.Organisations, "organisation"))
	row := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%-15s%s\n", name, fmt.Sprintf(format, args...))
	}
	for _, g := range p.Guardians {
		row("guardian", "%s: %s, of %s", g.Name, g.Person, g.Organisation)
	}
	row("consents", "%s, each by its own person's support; silence is no consent", count(p.Live, "operator"))
	row("vetoes", "%s, at any time before parts are given", count(p.Vetoes(), "guardian"))
	if p.Witnesses > 0 {
		row("witnesses", "%s outside the committee must know of no veto when a part is given", count(p.Witnesses, "operator"))
	}
}

// lasts says how long each state lasts, and who holds the vault afterwards.
func (p Plan) lasts(b *strings.Builder) {
	row := func(name, format string, args ...any) {
		fmt.Fprintf(b, "%-15s%s\n", name, fmt.Sprintf(format, args...))
	}
	if p.Chain != "" {
		row("height", "%s must grow by %d blocks during the delay", p.Chain, p.Blocks)
	}
	row("window", "%s: so long is ACTIVE at most", short(p.Window))
	row("lock-up", "%s: so long the vault signs to its rescue addresses alone", short(p.LockUp))
	row("drills", "every %s, by each guardian and each operator", short(p.DrillEvery))
	if len(p.Successors) == 0 {
		row("new committee", "the operators that are left alone; %d of them sign at least. The plan names no successor: only an early release by all of them ends the lock-up", p.Least)
		return
	}
	row("new committee", "the operators that are left, with %s; %d of them sign at least", strings.Join(p.Successors, ", "), p.Least)
}

// moves says where assets may go, how much of them, and what may be called.
func (p Plan) moves(b *strings.Builder, assets []charter.Asset) {
	b.WriteString("\nRescue addresses; sweeps go nowhere else:\n")
	for _, d := range p.Destinations {
		of := ""
		if d.Vault != "" {
			of = ", of vault " + d.Vault
		}
		fmt.Fprintf(b, "  %s  %s  (%s%s)\n", d.Chain, d.Address, d.Name, of)
	}
	none(b, len(p.Destinations), "none: nothing can be swept, and in LOCK-UP the vault signs nothing")
	b.WriteString("Caps on all sweeps of one emergency together, fees included; an asset that is not named has none:\n")
	for _, c := range p.Caps {
		fmt.Fprintf(b, "  %s\n", Amount(assets, c.Asset, c.Most))
	}
	none(b, len(p.Caps), "none")
	b.WriteString("Protective calls, exactly these bytes and without value:\n")
	for _, c := range p.Calls {
		fmt.Fprintf(b, "  %s, at most %s: %s  %s  data 0x%x\n", c.Name, count(c.Times, "time"), c.Chain, c.To, c.Data)
	}
	none(b, len(p.Calls), "none")
	b.WriteString("Tranches after the lock-up:\n")
	for _, t := range p.Tranches {
		fmt.Fprintf(b, "  %s at most in each %s, %s; then all of it\n", Amount(assets, t.Asset, t.Most), short(t.Every), count(t.Count, "time"))
	}
	none(b, len(p.Tranches), "none: after it everything may leave under the ordinary rules")
}

func none(b *strings.Builder, n int, text string) {
	if n == 0 {
		fmt.Fprintf(b, "  %s\n", text)
	}
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Amount writes policy units as people count the asset, and as the plan does: `5 eth (5000 policy units of 10^15)`. Of an asset that is not listed the policy units alone are known.
func Amount(assets []charter.Asset, name string, most int64) string {
	i := slices.IndexFunc(assets, func(a charter.Asset) bool { return a.Name == name })
	if i < 0 {
		return fmt.Sprintf("%d policy units of %s", most, name)
	}
	return fmt.Sprintf("%s %s (%d policy units of 10^%d)", Whole(assets[i], most), name, most, assets[i].Unit)
}

// Whole writes policy units in people's unit of the asset, exactly.
func Whole(a charter.Asset, most int64) string {
	exp := func(n int) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }
	text := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(most), exp(a.Unit)), exp(a.Decimals)).FloatString(a.Decimals)
	if strings.Contains(text, ".") {
		text = strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
	}
	return text
}
