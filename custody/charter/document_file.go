package charter

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// MaxDocument bounds a charter's file, in bytes.
const MaxDocument = 256 << 10

// ReadDocument reads a charter: a file in the strict subset of YAML that ReadVault reads, and the rules in Cedar beside it. Lists may
// stand in any order. `ostraka charter init` writes one with comments.
func ReadDocument(file, rules []byte) (Document, error) {
	root, err := readYAML(file, MaxDocument)
	if err != nil {
		return Document{}, fmt.Errorf("charter file: %w", err)
	}
	d := Document{Policy: string(rules)}
	err = each(root, "charter", func(f *fields) {
		d.Circle = f.text("circle")
		d.Operators = list(f, "operators", readStation)
		d.People = list(f, "people", readHuman)
		d.Groups = list(f, "groups", func(f *fields) Group { return Group{f.text("name"), sorted(f.texts("people"))} })
		d.Guardians = list(f, "guardians", readGuard)
		d.Assets = list(f, "assets", readAsset)
		d.Payees = list(f, "payees", func(f *fields) Payee {
			return Payee{f.text("name"), f.text("chain"), f.text("address"), sorted(f.texts("labels"))}
		})
		d.Vaults = list(f, "vaults", readBlueprint)
		d.Control = list(f, "control", func(f *fields) ControlRule {
			return ControlRule{f.text("number"), f.text("kind"), f.number("least")}
		})
		d.Providers = f.optional("independent-providers", 1)
		d.Delay = time.Duration(f.number("delay")) * time.Second
		d.ListDelay = time.Duration(f.number("list-delay")) * time.Second
		d.Heartbeat = time.Duration(f.number("heartbeat")) * time.Second
		d.Offset = f.offset("offset")
	})
	if err != nil {
		return Document{}, fmt.Errorf("charter file: %w", err)
	}
	d = d.sorted()
	return d, d.Validate()
}

// each reads one mapping whole.
func each(n *yaml.Node, where string, read func(*fields)) error {
	f, err := openMap(n, where)
	if err != nil {
		return err
	}
	read(f)
	return f.done()
}

// list reads a list of mappings; one that is left out is empty.
func list[T any](f *fields, name string, read func(*fields) T) (out []T) {
	if !f.has(name) {
		return nil
	}
	n := f.take(name)
	if n.Kind != yaml.SequenceNode {
		f.fail(n.Line, name, "is not a list")
		return nil
	}
	for _, c := range n.Content {
		if err := each(c, name, func(f *fields) { out = append(out, read(f)) }); err != nil && f.err == nil {
			f.err = err
		}
	}
	return out
}

func (f *fields) optional(name string, otherwise int) int {
	if !f.has(name) {
		return otherwise
	}
	return f.number(name)
}

// maybe is a text that may be left out.
func (f *fields) maybe(name string) string {
	if !f.has(name) {
		return ""
	}
	return f.text(name)
}

func (f *fields) keys(name string) (out []signet.Key) {
	line := f.line
	for _, text := range f.texts(name) {
		k, err := signet.ParseKey(text)
		if err != nil {
			f.fail(line, name, err.Error())
			return nil
		}
		out = append(out, k)
	}
	return sortedKeys(out)
}

// offset is hours and minutes from UTC, "+01:00".
func (f *fields) offset(name string) time.Duration {
	text := f.maybe(name)
	if text == "" {
		return 0
	}
	t, err := time.Parse("-07:00", text)
	if err != nil {
		f.fail(f.line, name, fmt.Sprintf("%.20q is not hours and minutes from UTC, such as \"+01:00\"", text))
		return 0
	}
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

func (f *fields) moment(name string) time.Time {
	text := f.maybe(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse("2006-01-02T15:04:05Z", text)
	if err != nil || statement.FormatTime(t) != text {
		f.fail(f.line, name, fmt.Sprintf("%.40q is no time such as \"2027-01-31T12:00:00Z\"", text))
	}
	return t
}

func readStation(f *fields) Station {
	o := Station{Operator: Operator{Name: f.text("name"), Entity: f.text("entity"), Address: f.text("address"), Officers: f.keys("officers")}}
	identity, err := hex.DecodeString(f.text("identity"))
	if err != nil {
		f.fail(f.line, "identity", "is not 64 hexadecimal digits")
	}
	o.Identity = identity
	if f.has("independent") {
		o.Independent = f.yesNo("independent")
	}
	o.Places = list(f, "places", readPlace)
	return o
}

func readPlace(f *fields) Place {
	p := Place{
		Name: f.text("name"), Level: Replica, Organisation: f.maybe("organisation"), Provider: f.maybe("provider"), Account: f.maybe("account"), Region: f.maybe("region"),
		Jurisdiction: f.maybe("jurisdiction"), Hardware: f.maybe("hardware"), Access: sorted(f.texts("access")),
	}
	if level := f.maybe("level"); level != "" {
		p.Level = Level(level)
	}
	return p
}

func readHuman(f *fields) Human {
	return Human{Name: f.text("name"), Organisation: f.text("organisation"), Keys: f.keys("keys"), Expires: f.moment("expires")}
}

func readGuard(f *fields) Guard {
	return Guard{Name: f.text("name"), Person: f.text("person"), Organisation: f.text("organisation"), Jurisdiction: f.maybe("jurisdiction")}
}

func readAsset(f *fields) Asset {
	return Asset{Name: f.text("name"), Chain: f.text("chain"), Contract: f.maybe("contract"), Decimals: f.number("decimals"), Unit: f.number("unit")}
}

func readBlueprint(f *fields) Blueprint {
	v := Blueprint{
		Name: f.text("name"), Tier: f.text("tier"), Suites: sorted(f.texts("suites")), Threshold: f.number("threshold"), Committee: sorted(f.texts("committee")),
		Initiators: sorted(f.texts("initiators")), Approvers: sorted(f.texts("approvers")), Quorum: f.number("quorum"), Chains: sorted(f.texts("chains")),
	}
	if f.has("rescue") {
		v.Rescue = &Rescue{}
		if err := each(f.take("rescue"), "rescue", func(r *fields) { v.Rescue.Operators, v.Rescue.Guardians = r.number("operators"), r.number("guardians") }); err != nil && f.err == nil {
			f.err = err
		}
	}
	return v
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

func byName[T any](list []T, name func(T) string) []T {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b T) int { return strings.Compare(name(a), name(b)) })
	return list
}

func (d Document) sorted() Document {
	d.Operators = byName(d.Operators, func(o Station) string { return o.Name })
	for i := range d.Operators {
		d.Operators[i].Places = byName(d.Operators[i].Places, func(p Place) string { return p.Name })
	}
	d.People = byName(d.People, func(h Human) string { return h.Name })
	d.Groups = byName(d.Groups, func(g Group) string { return g.Name })
	d.Guardians = byName(d.Guardians, func(g Guard) string { return g.Name })
	d.Assets = byName(d.Assets, func(a Asset) string { return a.Name })
	d.Payees = byName(d.Payees, func(p Payee) string { return p.Name })
	d.Vaults = byName(d.Vaults, func(v Blueprint) string { return v.Name })
	return d
}
