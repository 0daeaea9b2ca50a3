package charter

import (
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/form"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// MaxDocument bounds a charter's file, in bytes.
const MaxDocument = 256 << 10

// ReadDocument reads a charter: a file in a strict subset of YAML (custody/form), and the rules in Cedar beside it. Lists may
// stand in any order. `ostraka charter init` writes one with comments.
func ReadDocument(file, rules []byte) (Document, error) {
	d := Document{Policy: Plain(string(rules))}
	err := form.Read(file, MaxDocument, "charter", func(f *form.Map) {
		d.Circle = f.Text("circle")
		d.Drill = f.Has("drill") && f.YesNo("drill")
		d.Operators = form.List(f, "operators", readStation)
		d.People = form.List(f, "people", readHuman)
		d.Groups = form.List(f, "groups", func(f *form.Map) Group {
			return Group{f.Text("name"), sorted(f.Texts("people")), moment(f, "expires")}
		})
		d.Guardians = form.List(f, "guardians", readGuard)
		d.Assets = form.List(f, "assets", readAsset)
		d.Payees = form.List(f, "payees", func(f *form.Map) Payee {
			return Payee{f.Text("name"), f.Text("chain"), f.Text("address"), sorted(f.Texts("labels")), moment(f, "expires")}
		})
		d.Vaults = form.List(f, "vaults", readBlueprint)
		d.EVM = EVM{form.List(f, "networks", readNetwork), form.List(f, "contracts", readContract), form.List(f, "typed-data", readTypedData), form.List(f, "codes", readCode)}
		d.Demands = form.List(f, "attest", readDemand)
		d.Control = form.List(f, "control", func(f *form.Map) ControlRule {
			return ControlRule{f.Text("number"), f.Text("kind"), f.Number("least")}
		})
		d.Providers = f.Optional("independent-providers", 1)
		d.Delay = time.Duration(f.Number("delay")) * time.Second
		d.ListDelay = time.Duration(f.Number("list-delay")) * time.Second
		d.Heartbeat = time.Duration(f.Number("heartbeat")) * time.Second
		d.Offset = offset(f, "offset")
	})
	if err != nil {
		return Document{}, err
	}
	d = d.sorted()
	return d, d.checkForm()
}

// checkForm holds every value to its form: the statement's own table says it, asked with any salt.
func (d Document) checkForm() error {
	_, err := Charter{Document: d, Roster: statement.ID{1}, Created: time.Unix(0, 0)}.Statement(statement.Salt{})
	return err
}

func keys(f *form.Map, name string) (out []signet.Key) {
	for _, text := range f.Texts(name) {
		k, err := signet.ParseKey(text)
		if err != nil {
			f.Fail(name, err.Error())
			return nil
		}
		out = append(out, k)
	}
	return sortedKeys(out)
}

// seconds is a time in seconds, or what stands for one that is left out.
func seconds(f *form.Map, name string, otherwise time.Duration) time.Duration {
	return time.Duration(f.Optional(name, int(otherwise/time.Second))) * time.Second
}

// offset is hours and minutes from UTC, "+01:00".
func offset(f *form.Map, name string) time.Duration {
	text := f.Maybe(name)
	if text == "" {
		return 0
	}
	t, err := time.Parse("-07:00", text)
	if err != nil {
		f.Fail(name, fmt.Sprintf("%.20q is not hours and minutes from UTC, such as \"+01:00\"", text))
		return 0
	}
	_, seconds := t.Zone()
	return time.Duration(seconds) * time.Second
}

func moment(f *form.Map, name string) time.Time {
	text := f.Maybe(name)
	if text == "" {
		return time.Time{}
	}
	t, err := time.Parse("2006-01-02T15:04:05Z", text)
	if err != nil || statement.FormatTime(t) != text {
		f.Fail(name, fmt.Sprintf("%.40q is no time such as \"2027-01-31T12:00:00Z\"", text))
	}
	return t
}

func readStation(f *form.Map) Station {
	o := Station{Name: f.Text("name"), Entity: f.Text("entity")}
	digits := strings.TrimPrefix(f.Text("identity"), "ed25519:") // nodes print it with that, statements hold it without
	identity, err := hex.DecodeString(digits)
	if err != nil || len(identity) != ed25519.PublicKeySize {
		f.Fail("identity", `is not "ed25519:" and 64 hexadecimal digits, as `+"`ostraka node init` and `ostraka node status` print it")
	}
	o.Identity = identity
	if f.Has("independent") {
		o.Independent = f.YesNo("independent")
	}
	o.Places = form.List(f, "places", readPlace)
	return o
}

func readPlace(f *form.Map) Place {
	p := Place{
		Name: f.Text("name"), Level: Replica, Organisation: f.Maybe("organisation"), Provider: f.Maybe("provider"), Account: f.Maybe("account"), Region: f.Maybe("region"),
		Jurisdiction: f.Maybe("jurisdiction"), Hardware: f.Maybe("hardware"), Access: sorted(f.Texts("access")),
	}
	if level := f.Maybe("level"); level != "" {
		p.Level = Level(level)
	}
	return p
}

func readHuman(f *form.Map) Human {
	return Human{Name: f.Text("name"), Organisation: f.Text("organisation"), Keys: keys(f, "keys"), Expires: moment(f, "expires")}
}

func readGuard(f *form.Map) Guard {
	g := Guard{Name: f.Text("name"), Person: f.Text("person"), Organisation: f.Text("organisation"), Jurisdiction: f.Maybe("jurisdiction")}
	card, err := readCard(f.Maybe("card"))
	if err != nil {
		f.Fail("card", err.Error()+"; the guardian's `ostraka guardian card` shows it again")
	}
	g.Card = card
	return g
}

func readAsset(f *form.Map) Asset {
	return Asset{Name: f.Text("name"), Chain: f.Text("chain"), Contract: f.Maybe("contract"), Decimals: f.Number("decimals"), Unit: f.Number("unit"), Allowance: f.Maybe("allowance"), Standard: f.Maybe("standard")}
}

func readBlueprint(f *form.Map) Blueprint {
	v := Blueprint{
		Name: f.Text("name"), Tier: f.Text("tier"), Suites: sorted(f.Texts("suites")), Threshold: f.Number("threshold"), Committee: sorted(f.Texts("committee")),
		Initiators: sorted(f.Texts("initiators")), Approvers: sorted(f.Texts("approvers")), Quorum: f.Number("quorum"), Organisations: f.Optional("organisations", 1),
		InitiatorApproves: f.Has("initiator-approves") && f.YesNo("initiator-approves"), UserVerification: f.Has("user-verification") && f.YesNo("user-verification"),
		Chains: sorted(f.Texts("chains")), Expiry: seconds(f, "expiry", 24*time.Hour), RefreshEvery: seconds(f, "refresh-every", 0),
		Publish: f.Has("publish") && f.YesNo("publish"), Witnesses: f.Optional("witnesses", 0), HoldRelease: seconds(f, "hold-release", 0),
	}
	if f.Has("recovery") {
		v.Recovery = &Recovery{}
		f.Sub("recovery", v.Recovery.read)
	}
	v.Delayed = form.List(f, "delayed", readDelayed)
	if f.Has("rescue") {
		v.Rescue = &Rescue{}
		f.Sub("rescue", v.Rescue.read)
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
	d.EVM = d.EVM.sorted()
	d.Demands = byName(d.Demands, func(x Demand) string { return x.Operator })
	for i, v := range d.Vaults {
		if len(v.Delayed) > 0 {
			d.Vaults[i].Delayed = byName(v.Delayed, func(x Delayed) string { return x.Chain })
		}
		if v.Rescue != nil {
			d.Vaults[i].Rescue = v.Rescue.sorted(d)
		}
	}
	return d
}
