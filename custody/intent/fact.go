package intent

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/custody/statement"
)

// A Fact is one thing that a program itself decoded of what is to be signed: "amount",
// "1000000000000000000".
type Fact struct {
	Name  string // label
	Value string
}

func (f Fact) String() string { return f.from(0) }

// from shows the value from about its nth rune on.
func (f Fact) from(n int) string {
	v, lead := []rune(f.Value), ""
	if n = min(n, len(v)) - 100; n > 0 {
		v, lead = v[n:], "…"
	}
	return fmt.Sprintf("%s %s%.200q", f.Name, lead, string(v))
}

// apart is the number of the first rune in which two values differ.
func apart(a, b string) int {
	x, y, n := []rune(a), []rune(b), 0
	for n < len(x) && n < len(y) && x[n] == y[n] {
		n++
	}
	return n
}

// Written is how statements hold what was decoded, at most statement.MaxFacts of it. A value
// that they cannot hold (a token's name with control characters) stands in quotes with
// escapes, cut to the field; so does one that begins with a quote: no two values share a form
// unless one was cut.
func Written(decoded []Fact) []Fact {
	out := make([]Fact, min(len(decoded), statement.MaxFacts))
	for i := range out {
		out[i], _ = decoded[i].written()
	}
	return out
}

// written is the fact's written form, and whether that is whole.
func (f Fact) written() (Fact, bool) {
	v, whole := quoted(f.Value, statement.MaxFact-len(f.Name)-1)
	return Fact{f.Name, v}, whole
}

// quoted returns v if it is text of at most max bytes that does not begin with a quote; else
// its escaped form, which always begins with one, and is not whole where it had to be cut.
func quoted(v string, max int) (text string, whole bool) {
	if !strings.HasPrefix(v, `"`) && statement.CheckText(v, max) == nil {
		return v, true
	}
	q := strconv.QuoteToASCII(v)
	if len(q) > max {
		return strings.TrimRight(q[:max-3], " ") + "...", false
	}
	return q, true
}

// Misstates says why the intent's facts are not what was decoded of it: the same names and
// values in the same order, each of them whole. It is "" if they are.
func (it Intent) Misstates(decoded []Fact) string {
	if len(decoded) > statement.MaxFacts {
		return fmt.Sprintf("%d facts are decoded, more than an intent can say", len(decoded))
	}
	for i := range max(len(it.Facts), len(decoded)) {
		if i >= len(decoded) {
			return fmt.Sprintf("the intent says %s, and nothing decoded does", it.Facts[i])
		}
		is, whole := decoded[i].written()
		switch {
		case !whole:
			return fmt.Sprintf("%s has %d bytes, more than an intent can say", is.Name, len(decoded[i].Value))
		case i >= len(it.Facts):
			return fmt.Sprintf("the intent does not say %s, which is decoded", is)
		case it.Facts[i] != is:
			n := apart(it.Facts[i].Value, is.Value)
			return fmt.Sprintf("the intent says %s, decoded is %s", it.Facts[i].from(n), is.from(n))
		}
	}
	return ""
}

// DifferentFacts names the first fact that two nodes decoded differently, "" if none:
// every node raises an alarm when there is one.
func DifferentFacts(a, b Decision) string {
	for i := range max(len(a.Facts), len(b.Facts)) {
		switch {
		case i >= len(a.Facts):
			return fmt.Sprintf("%s: only %s decoded %q", b.Facts[i].Name, b.Operator, b.Facts[i].Value)
		case i >= len(b.Facts):
			return fmt.Sprintf("%s: only %s decoded %q", a.Facts[i].Name, a.Operator, a.Facts[i].Value)
		case a.Facts[i] != b.Facts[i]:
			return fmt.Sprintf("%s decoded %s %q, %s decoded %s %q", a.Operator, a.Facts[i].Name, a.Facts[i].Value, b.Operator, b.Facts[i].Name, b.Facts[i].Value)
		}
	}
	return ""
}

// addFacts writes facts that are in written form.
func addFacts(b statement.Block, facts []Fact) (statement.Block, error) {
	for _, f := range facts {
		if err := statement.CheckLabel(f.Name); err != nil {
			return nil, fmt.Errorf("fact %w", err)
		}
		b = b.Add("fact", f.Name+" "+f.Value)
	}
	return b, nil
}

// readFacts reads a statement's facts, in written form.
func readFacts(b statement.Block) (facts []Fact, err error) {
	for _, line := range b.All("fact") {
		name, value, ok := strings.Cut(line, " ")
		if err := statement.CheckLabel(name); err != nil || !ok {
			return nil, fmt.Errorf("fact %.40q is not \"<name> <value>\"", line)
		}
		facts = append(facts, Fact{name, value})
	}
	return facts, nil
}
