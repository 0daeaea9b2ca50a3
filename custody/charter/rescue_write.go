package charter

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/form"
	"github.com/ostraka/ostraka/custody/statement"
)

// add writes a plan into its vault's block.
func (r Rescue) add(b statement.Block) statement.Block {
	b = b.AddUint("rescue-operators", uint64(r.Operators)).AddUint("rescue-guardians", uint64(r.Guardians))
	if !r.Planned() {
		return b
	}
	for _, t := range r.Triggers {
		var sub statement.Block
		if t.After != 0 {
			sub = sub.AddUint("after", seconds64(t.After))
		}
		b = b.AddBlock("trigger", t.Name, sub.AddUint("trigger-delay", seconds64(t.Delay)))
	}
	b = b.AddUint("starters", uint64(r.Starters)).AddUint("starter-organisations", uint64(r.Organisations))
	b = b.AddUint("window", seconds64(r.Window)).AddUint("lock-up", seconds64(r.LockUp)).AddUint("drill-every", seconds64(r.DrillEvery))
	b = b.AddList("successor", r.Successors).AddUint("least-threshold", uint64(r.Least))
	if r.Chain != "" {
		b = b.AddBlock("height-chain", r.Chain, statement.Block{}.AddUint("blocks", uint64(r.Blocks)))
	}
	for _, x := range r.Destinations {
		b = b.AddBlock("destination", x.Name, statement.Block{}.Add("destination-chain", x.Chain).Add("destination-address", x.Address).Add("destination-vault", x.Vault))
	}
	for _, c := range r.Caps {
		b = b.AddBlock("cap", c.Asset, statement.Block{}.AddUint("cap-most", uint64(c.Most)))
	}
	for _, c := range r.Calls {
		b = b.AddBlock("call", c.Name, statement.Block{}.Add("call-chain", c.Chain).Add("call-to", c.To).AddHex("call-data", c.Data).AddUint("call-times", uint64(c.Times)))
	}
	for _, t := range r.Tranches {
		b = b.AddBlock("tranche", t.Asset, statement.Block{}.AddUint("tranche-most", uint64(t.Most)).AddUint("tranche-every", seconds64(t.Every)).AddUint("tranche-count", uint64(t.Count)))
	}
	return b
}

// planFields are those of a plan in a vault's block, beside its triggers.
var planFields = []string{
	"starters", "starter-organisations", "window", "lock-up", "drill-every", "successor", "least-threshold", "height-chain",
	"destination", "cap", "call", "tranche",
}

// readRescue reads a plan from its vault's block; nil where there is none.
func readRescue(b statement.Block) (*Rescue, error) {
	operators, guardians, triggers := b.Get("rescue-operators"), b.Get("rescue-guardians"), b.Get("trigger")
	if (operators == "") != (guardians == "") {
		return nil, errors.New("operators and guardians stand together, or neither does")
	}
	if operators == "" && triggers != "" {
		return nil, errors.New("triggers stand without operators and guardians")
	}
	for _, name := range planFields {
		// What nobody reads nobody agreed to.
		if triggers == "" && b.Get(name) != "" {
			return nil, fmt.Errorf("%s stands without triggers", name)
		}
	}
	if operators == "" {
		return nil, nil
	}
	r := &Rescue{Operators: int(b.Uint("rescue-operators")), Guardians: int(b.Uint("rescue-guardians"))}
	if triggers == "" {
		return r, nil
	}
	for _, t := range b.Each("trigger") {
		r.Triggers = append(r.Triggers, Trigger{t.Value, secondsOf(t.Block, "after"), secondsOf(t.Block, "trigger-delay")})
	}
	r.Starters, r.Organisations, r.Least = int(b.Uint("starters")), int(b.Uint("starter-organisations")), int(b.Uint("least-threshold"))
	r.Window, r.LockUp, r.DrillEvery = secondsOf(b, "window"), secondsOf(b, "lock-up"), secondsOf(b, "drill-every")
	r.Successors = b.All("successor")
	for _, h := range b.Each("height-chain") {
		r.Chain, r.Blocks = h.Value, int(h.Block.Uint("blocks"))
	}
	for _, x := range b.Each("destination") {
		r.Destinations = append(r.Destinations, Destination{x.Value, x.Block.Get("destination-chain"), x.Block.Get("destination-address"), x.Block.Get("destination-vault")})
	}
	for _, c := range b.Each("cap") {
		r.Caps = append(r.Caps, Cap{c.Value, int64(c.Block.Uint("cap-most"))})
	}
	for _, c := range b.Each("call") {
		r.Calls = append(r.Calls, Call{c.Value, c.Block.Get("call-chain"), c.Block.Get("call-to"), c.Block.Hex("call-data"), int(c.Block.Uint("call-times"))})
	}
	for _, t := range b.Each("tranche") {
		r.Tranches = append(r.Tranches, Tranche{t.Value, int64(t.Block.Uint("tranche-most")), secondsOf(t.Block, "tranche-every"), int(t.Block.Uint("tranche-count"))})
	}
	return r, nil
}

func secondsOf(b statement.Block, name string) time.Duration {
	return time.Duration(b.Uint(name)) * time.Second
}

// byDefault stands for a number that a file leaves out, until the guardians are known.
const byDefault = -1

// read reads a plan from a charter's file. One that names no triggers is r and k alone.
func (r *Rescue) read(f *form.Map) {
	r.Operators, r.Guardians = f.Number("operators"), f.Number("guardians")
	if !f.Has("triggers") {
		for _, name := range []string{"starters", "organisations", "window", "lock-up", "drill-every", "successors", "least-threshold", "height", "destinations", "caps", "calls", "tranches"} {
			if f.Has(name) {
				f.Fail(name, "stands without triggers: list those on which the rescue begins")
			}
		}
		return
	}
	r.Triggers = form.List(f, "triggers", func(f *form.Map) Trigger {
		name := f.Text("name")
		usual := defaultTriggers[name]
		return Trigger{name, seconds(f, "after", usual.After), seconds(f, "delay", usual.Delay)}
	})
	if len(r.Triggers) == 0 {
		f.Fail("triggers", "none is listed: a plan that begins on no occasion protects nothing")
	}
	r.Starters, r.Organisations = f.Optional("starters", r.Guardians), f.Optional("organisations", byDefault)
	r.Window, r.LockUp, r.DrillEvery = seconds(f, "window", defaultPlan.Window), seconds(f, "lock-up", defaultPlan.LockUp), seconds(f, "drill-every", defaultPlan.DrillEvery)
	if f.Has("successors") {
		r.Successors = f.Texts("successors")
	}
	r.Least = f.Optional("least-threshold", defaultPlan.Least)
	if f.Has("height") {
		f.Sub("height", func(f *form.Map) { r.Chain, r.Blocks = f.Text("chain"), f.Number("blocks") })
	}
	r.Destinations = form.List(f, "destinations", func(f *form.Map) Destination {
		return Destination{f.Text("name"), f.Text("chain"), f.Text("address"), f.Maybe("vault")}
	})
	r.Caps = form.List(f, "caps", func(f *form.Map) Cap { return Cap{f.Text("asset"), f.Long("most")} })
	r.Calls = form.List(f, "calls", readCall)
	r.Tranches = form.List(f, "tranches", func(f *form.Map) Tranche {
		return Tranche{f.Text("asset"), f.Long("most"), time.Duration(f.Number("every")) * time.Second, f.Number("count")}
	})
}

func readCall(f *form.Map) Call {
	c := Call{Name: f.Text("name"), Chain: f.Text("chain"), To: f.Text("to"), Times: f.Optional("times", 1)}
	data, err := hex.DecodeString(strings.TrimPrefix(f.Text("data"), "0x"))
	if err != nil {
		f.Fail("data", "is not \"0x\" and hexadecimal digits, two for each byte")
	}
	c.Data = data
	return c
}

// sorted is the plan with its lists in order, and what the file left to its guardians.
func (r Rescue) sorted(d Document) *Rescue {
	if !r.Planned() {
		return &r
	}
	if r.Organisations == byDefault {
		r.Organisations = min(defaultPlan.Organisations, d.organisationsOf(d.Guardians), r.Starters)
	}
	if r.Successors = sorted(r.Successors); len(r.Successors) == 0 {
		r.Successors = nil
	}
	r.Triggers = byName(r.Triggers, func(t Trigger) string { return t.Name })
	r.Destinations = byName(r.Destinations, func(x Destination) string { return x.Name })
	r.Caps = byName(r.Caps, func(c Cap) string { return c.Asset })
	r.Calls = byName(r.Calls, func(c Call) string { return c.Name })
	r.Tranches = byName(r.Tranches, func(t Tranche) string { return t.Asset })
	return &r
}

// fields writes a plan as read reads it.
func (r Rescue) fields() []string {
	out := []string{fmt.Sprint("operators: ", r.Operators), fmt.Sprint("guardians: ", r.Guardians)}
	if !r.Planned() {
		return out
	}
	out = list(out, "triggers", r.Triggers, func(t Trigger) []string {
		lines := []string{"name: " + scalar(t.Name)}
		if t.After != 0 {
			lines = append(lines, fmt.Sprint("after: ", seconds64(t.After)))
		}
		return append(lines, fmt.Sprint("delay: ", seconds64(t.Delay)))
	})
	out = append(out, fmt.Sprint("starters: ", r.Starters), fmt.Sprint("organisations: ", r.Organisations), fmt.Sprint("window: ", seconds64(r.Window)),
		fmt.Sprint("lock-up: ", seconds64(r.LockUp)), fmt.Sprint("drill-every: ", seconds64(r.DrillEvery)), "successors: "+scalars(r.Successors), fmt.Sprint("least-threshold: ", r.Least))
	if r.Chain != "" {
		out = append(out, "height:", "  chain: "+scalar(r.Chain), fmt.Sprint("  blocks: ", r.Blocks))
	}
	out = list(out, "destinations", r.Destinations, func(x Destination) []string {
		return given([]string{"name: " + scalar(x.Name), "chain: " + scalar(x.Chain), "address: " + scalar(x.Address)}, "vault", x.Vault)
	})
	out = list(out, "caps", r.Caps, func(c Cap) []string { return []string{"asset: " + scalar(c.Asset), fmt.Sprint("most: ", c.Most)} })
	out = list(out, "calls", r.Calls, func(c Call) []string {
		return []string{"name: " + scalar(c.Name), "chain: " + scalar(c.Chain), "to: " + scalar(c.To), fmt.Sprintf(`data: "0x%x"`, c.Data), fmt.Sprint("times: ", c.Times)}
	})
	return list(out, "tranches", r.Tranches, func(t Tranche) []string {
		return []string{"asset: " + scalar(t.Asset), fmt.Sprint("most: ", t.Most), fmt.Sprint("every: ", seconds64(t.Every)), fmt.Sprint("count: ", t.Count)}
	})
}

// list writes a list of things, if there are any.
func list[T any](out []string, name string, all []T, fields func(T) []string) []string {
	if len(all) == 0 {
		return out
	}
	out = append(out, name+":")
	for _, x := range all {
		for _, l := range item(fields(x)) {
			out = append(out, "  "+l)
		}
	}
	return out
}
