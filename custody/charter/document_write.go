package charter

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

// File is the document as a file that ReadDocument reads to the same document, with the policy beside it. It says everything, also what could be left out.
func (d Document) File() string {
	w := &writer{}
	w.line("# A charter, as `ostraka charter show --write` found it in force. %s holds its rules.", "policy.cedar")
	w.line("# To amend it: edit this, `ostraka charter lint`, and every operator signs it with `ostraka charter amend`. Times are in seconds.")
	w.line("")
	w.line("circle: %s", strconv.Quote(d.Circle))
	if d.Drill {
		w.line("drill: true   # for rehearsals: hold nothing of value under it")
	}
	section(w, "Operators: each runs a node and holds one share of every key of a vault's committee. Places are where copies of it lie.", "operators", d.Operators, Station.fields)
	section(w, "People: a name is a person for ever.", "people", d.People, Human.fields)
	section(w, "Groups are what vaults and rules name.", "groups", d.Groups, Group.fields)
	section(w, "Guardians: people outside the operators, each with a key kept offline.", "guardians", d.Guardians, Guard.fields)
	section(w, "Assets: one policy unit is 10^unit of the smallest.", "assets", d.Assets, Asset.fields)
	section(w, "Payees: destinations that the circle knows; rules speak of their labels.", "payees", d.Payees, Payee.fields)
	section(w, "Vaults: who proposes, who approves, and whose shares sign.", "vaults", d.Vaults, Blueprint.fields)
	w.evm(d.EVM)
	if len(d.Demands) > 0 {
		section(w, "Attest: operators whose nodes must show what they run on, what may run, and how many seconds evidence counts.", "attest", d.Demands, Demand.fields)
	}
	section(w, "Control rules beyond the defaults: a charter may ask for more, never for less.", "control", d.Control, ControlRule.fields)
	w.line("independent-providers: %d", d.Providers)
	w.line("")
	w.line("delay: %d        # before anything looser takes effect", seconds64(d.Delay))
	w.line("list-delay: %d   # before a new payee counts", seconds64(d.ListDelay))
	w.line("heartbeat: %d", seconds64(d.Heartbeat))
	w.line("offset: %s    # of the hours in the policy", strconv.Quote(offsetText(d.Offset)))
	return w.String()
}

type writer struct{ strings.Builder }

func (w *writer) line(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }

// section writes a list of things under a comment.
func section[T any](w *writer, about, name string, list []T, fields func(T) []string) {
	w.line("")
	w.line("# %s", about)
	if len(list) == 0 {
		w.line("%s: []", name)
		return
	}
	w.line("%s:", name)
	for _, x := range list {
		for _, l := range item(fields(x)) {
			w.line("  %s", l)
		}
	}
}

// item makes lines one item of a list.
func item(lines []string) []string {
	out := slices.Clone(lines)
	for i := range out {
		out[i] = "  " + out[i]
	}
	out[0] = "- " + lines[0]
	return out
}

// scalar is a text as every reader of YAML takes it: bare if it is a label that begins with a letter and is no word of YAML's own, else in quotes.
func scalar(text string) string {
	bare := statement.CheckLabel(text) == nil && text[0] >= 'a'
	if !bare || slices.Contains([]string{"y", "n", "yes", "no", "on", "off", "true", "false", "null"}, text) {
		return strconv.Quote(text)
	}
	return text
}

func scalars(list []string) string {
	var all []string
	for _, text := range list {
		all = append(all, scalar(text))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// given leaves out a field that is empty.
func given(lines []string, name, text string) []string {
	if text == "" {
		return lines
	}
	return append(lines, name+": "+scalar(text))
}

func until(lines []string, t time.Time) []string {
	if t.IsZero() {
		return lines
	}
	return given(lines, "expires", statement.FormatTime(t))
}

func (o Station) fields() []string {
	out := []string{"name: " + scalar(o.Name), "entity: " + strconv.Quote(o.Entity), fmt.Sprintf(`identity: "ed25519:%x"`, []byte(o.Identity)), fmt.Sprint("independent: ", o.Independent), "places:"}
	for _, p := range o.Places {
		for _, l := range item(p.fields()) {
			out = append(out, "  "+l)
		}
	}
	return out
}

func (p Place) fields() []string {
	out := []string{"name: " + scalar(p.Name), "level: " + scalar(string(p.Level))}
	out = given(given(given(out, "organisation", p.Organisation), "provider", p.Provider), "account", p.Account)
	out = given(given(given(out, "region", p.Region), "jurisdiction", p.Jurisdiction), "hardware", p.Hardware)
	return append(out, "access: "+scalars(p.Access))
}

func (h Human) fields() []string {
	return until([]string{"name: " + scalar(h.Name), "organisation: " + scalar(h.Organisation), "keys: " + scalars(keyLines(h.Keys))}, h.Expires)
}

func (g Group) fields() []string {
	return until([]string{"name: " + scalar(g.Name), "people: " + scalars(g.People)}, g.Expires)
}

func (g Guard) fields() []string {
	out := []string{"name: " + scalar(g.Name), "person: " + scalar(g.Person), "organisation: " + scalar(g.Organisation)}
	return given(given(out, "jurisdiction", g.Jurisdiction), "card", g.Card.String())
}

func (a Asset) fields() []string {
	out := given([]string{"name: " + scalar(a.Name), "chain: " + scalar(a.Chain)}, "contract", a.Contract)
	out = append(out, fmt.Sprint("decimals: ", a.Decimals), fmt.Sprint("unit: ", a.Unit))
	if a.Allowance != "" {
		out = append(out, "allowance: "+strconv.Quote(a.Allowance))
	}
	return given(out, "standard", a.Standard)
}

func (p Payee) fields() []string {
	return until([]string{"name: " + scalar(p.Name), "chain: " + scalar(p.Chain), "address: " + strconv.Quote(p.Address), "labels: " + scalars(p.Labels)}, p.Expires)
}

func (v Blueprint) fields() []string {
	out := []string{
		"name: " + scalar(v.Name), "tier: " + scalar(v.Tier), "suites: " + scalars(v.Suites), fmt.Sprint("threshold: ", v.Threshold), "committee: " + scalars(v.Committee),
		"initiators: " + scalars(v.Initiators), "approvers: " + scalars(v.Approvers), fmt.Sprint("quorum: ", v.Quorum), fmt.Sprint("organisations: ", v.Organisations),
		fmt.Sprint("initiator-approves: ", v.InitiatorApproves), fmt.Sprint("user-verification: ", v.UserVerification), "chains: " + scalars(v.Chains), fmt.Sprint("expiry: ", seconds64(v.Expiry)),
	}
	if v.RefreshEvery != 0 {
		out = append(out, fmt.Sprint("refresh-every: ", seconds64(v.RefreshEvery)))
	}
	if v.Publish {
		out = append(out, "publish: true")
	}
	if v.Witnesses != 0 {
		out = append(out, fmt.Sprint("witnesses: ", v.Witnesses))
	}
	if v.HoldRelease != 0 {
		out = append(out, fmt.Sprint("hold-release: ", seconds64(v.HoldRelease)))
	}
	if v.Recovery != nil {
		out = append(out, "recovery:")
		for _, line := range v.Recovery.fields() {
			out = append(out, "  "+line)
		}
	}
	out = list(out, "delayed", v.Delayed, Delayed.fields)
	if v.Rescue != nil {
		out = append(out, "rescue:")
		for _, line := range v.Rescue.fields() {
			out = append(out, "  "+line)
		}
	}
	return out
}

func (r ControlRule) fields() []string {
	return []string{"number: " + scalar(r.Number), "kind: " + scalar(r.Kind), fmt.Sprint("least: ", r.Least)}
}
