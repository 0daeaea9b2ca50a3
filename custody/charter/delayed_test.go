package charter

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func addressOf(digit string) string { return "0x" + strings.Repeat(digit, 40) }

// withDelayed is a charter whose first vault has two Safes with a delay.
func withDelayed(t *testing.T) Document {
	t.Helper()
	d := must(ReadDocument([]byte(started(t)), nil))(t)
	v := &d.Vaults[0]
	v.Chains = []string{"eip155:1", "eip155:10"}
	one := Delayed{"eip155:1", addressOf("1"), addressOf("2"), addressOf("3"), 72 * time.Hour, 168 * time.Hour}
	ten := one
	ten.Chain, ten.Cooldown = "eip155:10", time.Hour
	v.Delayed = []Delayed{one, ten}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	return d
}

// They are the same in the file and in the charter's statement, whatever their order was in the file; a charter without any has the bytes that it had.
func TestDelayedReadsBack(t *testing.T) {
	d := withDelayed(t)
	rereads(t, d)
	turned := d
	turned.Vaults = slices.Clone(d.Vaults)
	turned.Vaults[0].Delayed = []Delayed{d.Vaults[0].Delayed[1], d.Vaults[0].Delayed[0]}
	again, err := ReadDocument([]byte(turned.File()), []byte(d.Policy))
	if err != nil || !SameDocument(d, again) {
		t.Errorf("in another order: %v, %q", err, Differences(d, again))
	}
	if without := must(ReadDocument([]byte(started(t)), nil))(t); strings.Contains(without.File(), "delayed") {
		t.Error("a file without any speaks of them")
	}
}

func TestDelayedRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Blueprint)
		want   string
	}{
		"a short address":     {func(v *Blueprint) { v.Delayed[0].Safe = "0x11" }, "safe: \"0x11\" is no address"},
		"no 0x":               {func(v *Blueprint) { v.Delayed[0].Key = strings.Repeat("1", 40) }, "key: "},
		"no digits":           {func(v *Blueprint) { v.Delayed[0].Module = "0x" + strings.Repeat("g", 40) }, "module: "},
		"the Safe as its key": {func(v *Blueprint) { v.Delayed[0].Key = v.Delayed[0].Safe }, "it is the safe's address"},
		"the zero address":    {func(v *Blueprint) { v.Delayed[0].Key = addressOf("0") }, "nothing is at the zero address"},
		"no time to veto":     {func(v *Blueprint) { v.Delayed[0].Cooldown = time.Hour - time.Second }, "cooldown: 59m59s"},
		"too long":            {func(v *Blueprint) { v.Delayed[0].Cooldown = 91 * 24 * time.Hour }, "cooldown: "},
		"never expires":       {func(v *Blueprint) { v.Delayed[0].Expiration = 0 }, "would block the queue for good"},
		"parts of a second":   {func(v *Blueprint) { v.Delayed[0].Expiration += time.Millisecond }, "not whole seconds"},
		"another chain":       {func(v *Blueprint) { v.Delayed[0].Chain = "eip155:100" }, "one Safe of each chain"},
		"a chain not signed":  {func(v *Blueprint) { v.Delayed[1].Chain = "eip155:100" }, "does not sign for that chain"},
		"no EVM chain":        {func(v *Blueprint) { v.Delayed[0].Chain = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328" }, "is no EVM chain"},
		"two of one chain":    {func(v *Blueprint) { v.Delayed[1].Chain = "eip155:1" }, "one Safe of each chain"},
		"no such key":         {func(v *Blueprint) { v.Suites = []string{SuiteBIP340} }, "no key of suite"},
	} {
		d := withDelayed(t)
		if c.change(&d.Vaults[0]); c.want == "" {
			t.Fatal(name)
		}
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := ReadDocument([]byte(strings.Replace(withDelayed(t).File(), "cooldown: 259200", "cooldown: soon", 1)), nil); err == nil || !strings.Contains(err.Error(), "cooldown") {
		t.Errorf("a word for a number: %v", err)
	}
}

// Every field of one is told when it changes, and none of them changes at once.
func TestDelayedChanges(t *testing.T) {
	was := withDelayed(t)
	for name, change := range map[string]func(*Delayed){
		"safe": func(x *Delayed) { x.Safe = addressOf("4") }, "module": func(x *Delayed) { x.Module = addressOf("4") }, "key": func(x *Delayed) { x.Key = addressOf("4") },
		"cooldown": func(x *Delayed) { x.Cooldown += time.Hour }, "expiration": func(x *Delayed) { x.Expiration += time.Hour },
	} {
		is := withDelayed(t)
		change(&is.Vaults[0].Delayed[1])
		if all := Differences(was, is); len(all) != 1 || !strings.Contains(all[0], "delayed eip155:10") {
			t.Errorf("%s: %q", name, all)
		}
	}
	is := withDelayed(t)
	is.Vaults[0].Delayed = is.Vaults[0].Delayed[:1]
	if all := Differences(was, is); len(all) != 1 {
		t.Errorf("one is gone: %q", all)
	}
}
