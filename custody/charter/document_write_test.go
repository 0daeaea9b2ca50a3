package charter

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// rereads writes a document as a file and holds what that says to it.
func rereads(t testing.TB, d Document) {
	t.Helper()
	text := d.File()
	again, err := ReadDocument([]byte(text), []byte(d.Policy))
	if err != nil || !SameDocument(d, again) {
		t.Fatalf("%v; it differs in %q\n%s", err, Differences(d, again), text)
	}
	if again.File() != text {
		t.Fatalf("the file has two forms:\n%s\n%s", text, again.File())
	}
}

func TestFileOfDefault(t *testing.T) {
	d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
	rereads(t, d)
	for _, part := range []string{"\n# Payees: ", "\n  - name: salaries\n    chain: \"eip155:1\"\n", "    committee: [acme, bolt, cora]\n", "\ndelay: 172800 "} {
		if !strings.Contains(d.File(), part) {
			t.Errorf("%q is not in the file", part)
		}
	}
}

// Labels and texts that readers of YAML take for something else, or that end a text where they should not.
var (
	oddLabels = []string{"012", "0x10", "1e3", "1_000", "yes", "no", "on", "off", "y", "n", "null", "true", "false", "2027-01-31", "1.5", "0.0", "12", "0b1", "0o7", "a.b", "x-", "a_b", "nan", "inf", "e5", "z"}
	oddTexts  = []string{"a: b", "a #b", "# a", "- a", "[a]", "{a}", "'a'", `"a"`, `a\nb`, `\`, "~", "é", "名", "!a", "&a", "*a", "%a", "@a", "`a`", "|", ">", "a:", "?", "1:30:00", "<<", "=", ".inf", "🏦", "a, b", "---", "...", "א", "{{quote .}}"}
)

func TestFileOfOddNames(t *testing.T) {
	d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
	for _, name := range oddLabels {
		x := d
		x.Payees = []Payee{{Name: name, Chain: "eip155:1", Address: "a", Labels: []string{name}}}
		x.Groups = append(slices.Clone(d.Groups), Group{Name: "zz" + name, People: []string{"alice"}})
		x.Guardians = append(slices.Clone(d.Guardians), Guard{Name: "zz" + name, Person: name, Organisation: name, Card: card(t, name)})
		rereads(t, x.sorted())
	}
	for _, text := range oddTexts {
		x := d
		x.Circle = text
		x.Operators = slices.Clone(d.Operators)
		x.Operators[0].Entity = text
		x.Operators[0].Places = []Place{{Name: "main", Level: Replica, Provider: text, Account: text, Region: text, Jurisdiction: "no", Hardware: text, Access: []string{"alice"}}}
		x.Payees = []Payee{{Name: "a", Chain: "cosmos:012", Address: text}}
		rereads(t, x)
	}
}

// drawn makes documents that say all that a charter can.
type drawn struct {
	*rand.Rand
	t testing.TB
}

func (r drawn) yes() bool { return r.IntN(2) == 0 }

func (r drawn) label() string {
	if r.yes() {
		return oddLabels[r.IntN(len(oddLabels))]
	}
	return fmt.Sprint(string(rune('a'+r.IntN(26))), r.IntN(1000))
}

func (r drawn) text() string {
	text := oddTexts[r.IntN(len(oddTexts))]
	if r.yes() {
		text += oddTexts[r.IntN(len(oddTexts))]
	}
	return text
}

// some are up to n names out of a list, ascending; one at least.
func (r drawn) some(n int, all []string) []string {
	var out []string
	for range 1 + r.IntN(n) {
		out = append(out, all[r.IntN(len(all))])
	}
	return slices.Compact(sorted(out))
}

func (r drawn) ends() time.Time {
	if r.yes() {
		return time.Time{}
	}
	return time.Unix(r.Int64N(4_000_000_000), 0).UTC()
}

func (r drawn) labels(n int) []string {
	var out []string
	for range 1 + r.IntN(n) {
		out = append(out, r.label())
	}
	return slices.Compact(sorted(out))
}

func (r drawn) people(d *Document) (names []string) {
	names = r.labels(8)
	if len(names) < 4 {
		names = slices.Compact(sorted(append(names, "alice", "bob", "carol", "dana")))
	}
	for _, name := range names {
		keys := []signet.Key{sshKey(r.t, fmt.Sprint(name, r.Int()))}
		if r.yes() {
			keys = append(keys, sshKey(r.t, fmt.Sprint(name, r.Int())))
		}
		d.People = append(d.People, Human{name, r.label(), sortedKeys(keys), r.ends()})
	}
	return names
}

func (r drawn) document() Document {
	d := Document{Circle: r.text(), Drill: r.yes(), Providers: 1 + r.IntN(3), Delay: time.Duration(3600+r.IntN(1000)) * time.Second, ListDelay: time.Hour, Heartbeat: time.Duration(60+r.IntN(1000)) * time.Second}
	d.Offset = time.Duration(r.IntN(26*60)-12*60) * time.Minute
	d.Policy = Plain(strings.Repeat("// "+r.text()+"\n\n\tforbid;\n", r.IntN(4)))
	people := r.people(&d)
	committee := slices.Compact(sorted([]string{"a-" + r.label(), "b-" + r.label(), "0" + r.label()}))
	for i, name := range committee {
		o := Station{Name: name, Entity: fmt.Sprint(r.text(), i), Identity: identity(name), Independent: r.yes()}
		o.Places = []Place{{Name: r.label(), Level: Replica, Provider: r.text(), Account: r.text(), Region: r.text(), Jurisdiction: []string{"no", "de"}[r.IntN(2)], Hardware: r.text(), Access: r.some(4, people)}}
		if r.yes() {
			o.Places = append(o.Places, Place{Name: "zz", Level: Paper, Organisation: r.label(), Jurisdiction: "ch", Access: r.some(2, people)})
		}
		d.Operators = append(d.Operators, o)
	}
	groups := []string{"all"}
	d.Groups = []Group{{Name: "all", People: people}}
	for _, name := range r.labels(3) {
		if name != "all" {
			groups, d.Groups = append(groups, name), append(d.Groups, Group{name, r.some(4, people), r.ends()})
		}
	}
	cards := r.yes()
	for i := range r.IntN(6) {
		d.Guardians = append(d.Guardians, Guard{Name: fmt.Sprint(i, r.label()), Person: fmt.Sprint(i, r.label()), Organisation: r.label(), Jurisdiction: []string{"", "no"}[r.IntN(2)]})
		if cards || r.yes() {
			d.Guardians[i].Card = card(r.t, fmt.Sprint(r.IntN(20), i))
		}
	}
	for i := range r.IntN(3) {
		d.Assets = append(d.Assets, Asset{Name: fmt.Sprint(i, r.label()), Chain: fmt.Sprint("eip155:", i+1), Contract: []string{"", r.text()}[r.IntN(2)], Decimals: 18, Unit: r.IntN(18)})
		if a := &d.Assets[i]; a.Contract != "" && r.yes() {
			a.Allowance = "1000000000000000000000"
		} else if a.Contract != "" && r.yes() {
			a.Standard, a.Decimals, a.Unit = []string{ERC721, ERC1155}[r.IntN(2)], 0, 0
		}
		d.Payees = append(d.Payees, Payee{fmt.Sprint(i, r.label()), fmt.Sprint("eip155:", i+1), r.text(), r.labels(4)[1:], r.ends()})
		d.Control = append(d.Control, ControlRule{[]string{"steal", "lose"}[r.IntN(2)], r.label(), 1 + r.IntN(5)})
	}
	for i := range 1 + r.IntN(3) {
		v := Blueprint{
			Name: fmt.Sprint(i, r.label()), Tier: TierWarm, Suites: r.some(3, []string{SuiteBIP340, SuiteECDSA, SuiteEd25519}), Threshold: 2 + r.IntN(2), Committee: committee,
			Initiators: r.some(2, groups), Approvers: []string{"all"}, Quorum: 1 + r.IntN(2), Organisations: 1, InitiatorApproves: r.yes(), UserVerification: r.yes(),
			Chains: []string{"eip155:1"}, Expiry: time.Duration(60+r.IntN(1000)) * time.Second, RefreshEvery: []time.Duration{0, 90 * time.Minute}[r.IntN(2)],
			Publish: r.yes(), Witnesses: r.IntN(len(committee)), HoldRelease: []time.Duration{0, 7 * 24 * time.Hour}[r.IntN(2)],
		}
		if len(d.Guardians) > 2 && r.yes() {
			v.Rescue = r.rescue(d, v)
		}
		d.Vaults = append(d.Vaults, v)
	}
	d.EVM = r.evm()
	for _, name := range committee[:r.IntN(len(committee)+1)] {
		d.Demands = append(d.Demands, r.demand(name))
	}
	return d.sorted()
}

func (r drawn) evm() (e EVM) {
	for i := range r.IntN(3) {
		x := Network{Chain: fmt.Sprint("eip155:", i+1), NoDynamic: r.yes(), AccessLists: r.yes(), DataFee: []string{"", "1", "340282366920938463463374607431768211455"}[r.IntN(3)]}
		if x.SetCode = !x.NoDynamic && r.yes(); x != (Network{Chain: x.Chain}) {
			e.Networks = append(e.Networks, x)
		}
		c := Contract{Name: fmt.Sprint(i, r.label()), Chain: "eip155:1", Address: r.text(), Functions: r.some(3, []string{"function a()", "function b(uint256 x) payable", "function c((uint256 a,bytes b)[] list)"})}
		if r.yes() {
			c.Delegates = []string{"function d(address to)"}
		}
		e.Contracts = append(e.Contracts, c)
		t := TypedData{Name: fmt.Sprint(i, r.label()), Chain: "eip155:1", Contract: r.text(), Domain: []string{"", r.text()}[r.IntN(2)], Version: []string{"", "1", "1.0"}[r.IntN(3)], Type: "Mail(address to,string text)"}
		if r.yes() {
			t.Salt = slices.Repeat([]byte{byte(r.IntN(256))}, 32)
		}
		e.TypedData = append(e.TypedData, t)
		e.Codes = append(e.Codes, Code{fmt.Sprint(i, r.label()), "eip155:7", r.text()})
	}
	return e
}

func (r drawn) demand(operator string) Demand {
	x := Demand{Operator: operator, Fresh: time.Duration(3600+r.IntN(1000)) * time.Second}
	for _, kind := range r.some(3, []string{KindNitro, KindSEVSNP, KindTDX, KindTPM}) {
		h := Hardware{Kind: kind, Floor: []string{"", r.text()}[r.IntN(2)]}
		for i, name := range r.labels(3) {
			h.Measurements = append(h.Measurements, Measurement{name, measured(kind, fmt.Sprintf("%02x", i))})
		}
		if r.yes() {
			h.Roots = [][]byte{slices.Repeat([]byte{byte(r.IntN(256))}, 32)}
		}
		x.Hardware = append(x.Hardware, h)
	}
	return x
}

// rescue is a plan, or r and k alone.
func (r drawn) rescue(d Document, v Blueprint) *Rescue {
	out := Rescue{Operators: v.Threshold - 1, Guardians: 2}
	if v.Threshold == 2 || r.yes() { // one live operator makes no committee of two
		return &out
	}
	out.Starters, out.Organisations, out.Least = 2, 1, 2
	out.Window, out.LockUp, out.DrillEvery = 3*day, time.Duration(r.IntN(50)+1)*day, 90*day
	out.Successors = []string{v.Committee[0]}
	out.Triggers = []Trigger{{TriggerBelow, 0, 3 * day}, {TriggerSilence, time.Duration(r.IntN(50)+1) * day, 3 * day}}[r.IntN(2):]
	if r.yes() {
		out.Chain, out.Blocks = "eip155:1", 1+r.IntN(1000)
	}
	for i := range r.IntN(3) {
		out.Destinations = append(out.Destinations, Destination{Name: fmt.Sprint(i, r.label()), Chain: "eip155:1", Address: fmt.Sprint(i, r.text())})
		out.Calls = append(out.Calls, Call{fmt.Sprint(i, r.label()), "eip155:1", r.text(), []byte{1, 2, 3, byte(i)}, 1 + r.IntN(9)})
	}
	for _, a := range d.Assets {
		if a.Chain == "eip155:1" {
			out.Caps = append(out.Caps, Cap{a.Name, 1 + r.Int64N(1<<62)})
			out.Tranches = append(out.Tranches, Tranche{a.Name, 1 + r.Int64N(1<<62), time.Hour, 1 + r.IntN(9)})
		}
	}
	return &out
}

// Every document that a charter may be is the same after it was written and read.
func TestFileReadsBack(t *testing.T) {
	good, plans := 0, 0
	for seed := range uint64(400) {
		d := drawn{rand.New(rand.NewPCG(seed, 1)), t}.document()
		if d.checkForm() != nil {
			continue
		}
		good++
		for _, v := range d.Vaults {
			if v.Rescue != nil && v.Rescue.Planned() {
				plans++
			}
		}
		rereads(t, d)
	}
	if good < 200 || plans < 20 {
		t.Errorf("only %d documents of 400 are charters, with %d plans", good, plans)
	}
}

// The largest lists fit in a file.
func TestFileOfMany(t *testing.T) {
	d := must(ReadDocument([]byte(started(t)), nil))(t)
	d.Payees = nil
	for i := range MaxPayees {
		p := Payee{Name: fmt.Sprintf("payee-%03d", i), Chain: "eip155:1", Address: fmt.Sprintf("%s%03d", strings.Repeat(`"`, 100), i)}
		for l := range statement.MaxLabels {
			p.Labels = append(p.Labels, fmt.Sprintf("%02d-%s", l, hex.EncodeToString(make([]byte, 8))))
		}
		d.Payees = append(d.Payees, p)
	}
	rereads(t, d)
}
