package charter

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/form"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Delayed is what one EVM chain itself enforces for a vault (spec/delayed): a Safe of which one of its accounts is the only owner, and Zodiac's Delay as the
// Safe's one module. Through it a key outside the vault acts for the Safe, after a cooldown in which the vault can still strike that out.
type Delayed struct {
	Chain      string        // CAIP-2, "eip155:…"
	Safe       string        // its address
	Module     string        // the Delay's
	Key        string        // address that queues: an account outside the vault, or a contract such as another Safe
	Cooldown   time.Duration // whole seconds, MinCooldown to 90 days
	Expiration time.Duration // after the cooldown; likewise
}

// MinCooldown is what people need to notice what was queued and to sign against it; and the least expiration, in which the key's holder must act.
const MinCooldown = time.Hour

// text is what a change of it is told by.
func (x Delayed) text() string {
	return described([2]string{"safe", whole(x.Safe)}, [2]string{"module", whole(x.Module)}, [2]string{"key", whole(x.Key)}, [2]string{"cooldown", x.Cooldown.String()}, [2]string{"expiration", x.Expiration.String()})
}

func delayedTexts(all []Delayed) (out []string) {
	for _, x := range all {
		out = append(out, "on "+x.Chain+": "+x.text())
	}
	return out
}

// checkDelayed refuses what no chain could be as.
func (v Blueprint) checkDelayed() error {
	if len(v.Delayed) == 0 {
		return nil
	}
	if !slices.Contains(v.Suites, SuiteECDSA) {
		return fmt.Errorf("delayed: a Safe is owned by an EVM account, and the vault has no key of suite %s", SuiteECDSA)
	}
	if n := len(v.Delayed); n > statement.MaxDelayed {
		return fmt.Errorf("delayed: %d are listed, at most %d are allowed", n, statement.MaxDelayed)
	}
	if err := ascending(v.Delayed, func(x Delayed) string { return x.Chain }); err != nil {
		return fmt.Errorf("delayed: one Safe of each chain: %w", err)
	}
	for _, x := range v.Delayed {
		if err := x.check(v.Chains); err != nil {
			return fmt.Errorf("delayed: on %.64s: %w", x.Chain, err)
		}
	}
	return nil
}

func (x Delayed) check(chains []string) error {
	if err := checkEVMChain(x.Chain); err != nil {
		return err
	}
	if !slices.Contains(chains, x.Chain) {
		return fmt.Errorf("the vault does not sign for that chain")
	}
	seen := map[string]string{}
	for _, a := range []struct{ name, text string }{{"safe", x.Safe}, {"module", x.Module}, {"key", x.Key}} {
		digits, ok := strings.CutPrefix(a.text, "0x")
		raw, err := hex.DecodeString(digits)
		if !ok || err != nil || len(raw) != 20 {
			return fmt.Errorf("%s: %.80q is no address: 0x and 40 hexadecimal digits", a.name, a.text)
		}
		if other := seen[string(raw)]; other != "" {
			return fmt.Errorf("%s: it is the %s's address: these are three", a.name, other)
		}
		if string(raw) == string(make([]byte, 20)) {
			return fmt.Errorf("%s: nothing is at the zero address", a.name)
		}
		seen[string(raw)] = a.name
	}
	for _, t := range []struct {
		name string
		span time.Duration
		why  string
	}{{"cooldown", x.Cooldown, "in less nobody could strike out what a thief queued"}, {"expiration", x.Expiration, "one call that always reverts would block the queue for good without it"}} {
		if t.span < MinCooldown || t.span > statement.MaxDelay*time.Second || t.span%time.Second != 0 {
			return fmt.Errorf("%s: %s is not whole seconds from 1 hour to 90 days: %s", t.name, t.span, t.why)
		}
	}
	return nil
}

// addDelayed writes them into the vault's block.
func addDelayed(b statement.Block, all []Delayed) statement.Block {
	for _, x := range all {
		sub := statement.Block{}.Add("delayed-safe", x.Safe).Add("delayed-module", x.Module).Add("delayed-key", x.Key)
		b = b.AddBlock("delayed", x.Chain, sub.AddUint("cooldown", seconds64(x.Cooldown)).AddUint("expiration", seconds64(x.Expiration)))
	}
	return b
}

// delayedOf reads what addDelayed wrote.
func delayedOf(b statement.Block) (all []Delayed) {
	for _, x := range b.Each("delayed") {
		f := x.Block
		all = append(all, Delayed{x.Value, f.Get("delayed-safe"), f.Get("delayed-module"), f.Get("delayed-key"), secondsOf(f, "cooldown"), secondsOf(f, "expiration")})
	}
	return all
}

func readDelayed(f *form.Map) Delayed {
	return Delayed{
		f.Text("chain"), f.Text("safe"), f.Text("module"), f.Text("key"), time.Duration(f.Number("cooldown")) * time.Second, time.Duration(f.Number("expiration")) * time.Second,
	}
}

func (x Delayed) fields() []string {
	return []string{
		"chain: " + scalar(x.Chain), fmt.Sprintf("safe: %q", x.Safe), fmt.Sprintf("module: %q", x.Module), fmt.Sprintf("key: %q", x.Key),
		fmt.Sprint("cooldown: ", seconds64(x.Cooldown)), fmt.Sprint("expiration: ", seconds64(x.Expiration)),
	}
}

// Lines are what a vault of the charter's file has for it, in a vault that signs for these chains.
func (x Delayed) Lines(chains []string) ([]string, error) {
	if err := x.check(chains); err != nil {
		return nil, err
	}
	return list(nil, "delayed", []Delayed{x}, Delayed.fields), nil
}

// delayed compares those of a vault, chain by chain.
func (c *changes) delayed(what string, was, is []Delayed) {
	texts := func(all []Delayed) map[string]string {
		m := map[string]string{}
		for _, x := range all {
			m[x.Chain] = x.text()
		}
		return m
	}
	before, after := texts(was), texts(is)
	for _, x := range byName(slices.Concat(was, is), func(x Delayed) string { return x.Chain }) {
		if before[x.Chain] != after[x.Chain] {
			c.same(what+" "+x.Chain, before[x.Chain], after[x.Chain])
			before[x.Chain] = after[x.Chain]
		}
	}
}
