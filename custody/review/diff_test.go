package review

import (
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
)

// One change of the default charter each; back again is of the other kind, unless both are looser.
func TestDiff(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want, back string }{
		"circle":          {"Acme treasury", "Acme", "looser: circle: Acme treasury → Acme", "looser"},
		"entity":          {"acme Ltd", "acme GmbH", "looser: operator acme: ", "looser"},
		"drill":           {"circle:", "drill: true\ncircle:", "looser: drill: no → yes", "looser"},
		"a group ends":    {"- name: security\n", "- name: security\n    expires: \"2027-01-01T00:00:00Z\"\n", "stricter: group security: expires: never → 2027", "looser"},
		"a payee ends":    {"- name: salaries\n", "- name: salaries\n    expires: \"2027-01-01T00:00:00Z\"\n", "stricter: payee salaries: expires: never → 2027", "looser"},
		"organisations":   {"organisations: 1", "organisations: 2", "stricter: vault treasury: organisations: 1 → 2", "looser"},
		"own approval":    {"organisations: 1", "initiator-approves: true\n    organisations: 1", "looser: vault treasury: initiator-approves: no → yes", "stricter"},
		"verification":    {"organisations: 1", "user-verification: true\n    organisations: 1", "stricter: vault treasury: user-verification: no → yes", "looser"},
		"expiry":          {"expiry: 86400", "expiry: 3600", "stricter: vault treasury: expiry: 24h0m0s → 1h0m0s", "looser"},
		"refresh":         {"expiry: 86400", "refresh-every: 86400", "looser: vault treasury: refresh-every", "looser"},
		"publish":         {"expiry: 86400", "publish: true", "looser: vault treasury: publish", "looser"},
		"witnesses":       {"expiry: 86400", "witnesses: 1", "looser: vault treasury: witnesses", "looser"},
		"hold":            {"expiry: 86400", "hold-release: 604800", "looser: vault treasury: hold-release", "looser"},
		"placement":       {`account: "account-1"`, `account: "account-2"`, "[looser: operator bolt: place main: account: account-1 → account-2]", "looser"},
		"access":          {`access: ["admin-acme"]`, `access: ["admin-acme", "alice"]`, "[looser: operator acme: place main: access: admin-acme → admin-acme alice]", "looser"},
		"another place":   {`        access: ["admin-acme"]`, "        access: [\"admin-acme\"]\n      - name: safe\n        level: paper\n        jurisdiction: de\n        organisation: acme\n        access: [\"alice\"]", "[looser: operator acme: place safe: added place safe (paper): organisation acme, jurisdiction de, access alice]", "looser"},
		"a person leaves": {"people: [alice, bob, carol]", "people: [alice, bob]", "stricter: group finance: removed carol", "looser"},
		"keys end":        {"organisation: acme\n    keys: [", "organisation: acme\n    expires: \"2027-01-01T00:00:00Z\"\n    keys: [", "stricter: person admin-acme: expires: never → 2027-01-01", "looser"},
		"a person moves":  {"name: alice\n    organisation: acme", "name: alice\n    organisation: bolt", "looser: person alice: organisation", "looser"},
		"guardian":        {"firm-3", "firm-9", "looser: guardian guardian-3", "looser"},
		"asset":           {"unit: 15", "unit: 16", "looser: asset eth", "looser"},
		"payee's address": {"00A1\"", "00A2\"", "looser: payee salaries", "looser"},
		"payee's label":   {"labels: [payroll]", "labels: [payroll, tax]", "looser: payee salaries: label: added tax", "stricter"},
		"tier":            {"tier: warm", "tier: cold", "looser: vault treasury: tier", "looser"},
		"quorum":          {"quorum: 2", "quorum: 3", "stricter: vault treasury: quorum: 2 → 3", "looser"},
		"initiators":      {"initiators: [finance]", "initiators: [finance, security]", "looser: vault treasury: initiators: added security", "stricter"},
		"chains":          {`chains: ["eip155:1"]`, `chains: ["eip155:1", "eip155:10"]`, "looser: vault treasury: chains: added eip155:10", "stricter"},
		"rescue":          {"window: 259200 ", "window: 259201 ", "looser: vault treasury: rescue: window: 72h0m0s → 72h0m1s", "looser"},
		"a trigger":       {"delay: 604800\n        - name: below", "delay: 604801\n        - name: below", "looser: vault treasury: rescue: trigger legal: delay 168h0m0s → delay 168h0m1s", "looser"},
		"control rule":    {"    least: 2\nindep", "    least: 3\nindep", "stricter: control rule lose/jurisdiction: 2 → 3", "looser"},
		"another rule":    {"kind: jurisdiction\n    least", "kind: region\n    least", "stricter: control rule lose/region: 0 → 2", "looser"},
		"independent":     {"independent-providers: 1", "independent-providers: 2", "stricter: independent-providers", "looser"},
		"delay":           {"delay: 172800", "delay: 86400", "looser: delay: 48h0m0s → 24h0m0s", "stricter"},
		"list's delay":    {"list-delay: 86400", "list-delay: 90000", "stricter: list-delay", "looser"},
		"heartbeat":       {"heartbeat: 3600", "heartbeat: 1800", "looser: heartbeat", "looser"},
		"offset":          {`"+00:00"`, `"+01:00"`, "looser: offset: 0s → 1h0m0s", "looser"},
	} {
		was := read(t, start(t), nil)
		is := read(t, start(t), func(f string) string { return strings.Replace(f, c.from, c.to, 1) })
		changes, err := Diff(was, is)
		if text := fmt.Sprint(changes); err != nil || !strings.Contains(text, c.want) {
			t.Errorf("%s: %s, %v, want %q", name, text, err, c.want)
		}
		back, err := Diff(is, was)
		if text := fmt.Sprint(back); err != nil || !strings.Contains(text, c.back) || c.back == "stricter" && strings.Contains(text, "looser") {
			t.Errorf("%s, back: %s, %v", name, text, err)
		}
		if same, err := Diff(is, is); err != nil || len(same) > 0 {
			t.Errorf("%s: differs from itself: %v, %v", name, same, err)
		}
	}
}

// A destination that a rule forbids by its label must not leave the list at once.
func TestDenyList(t *testing.T) {
	deny := func(d charter.Document) charter.Document {
		d.Policy += `@id("deny") forbid(principal, action, resource) when { context.labels.contains(Label::"payroll") };`
		return d
	}
	was := read(t, start(t), nil)
	is := was
	is.Payees = nil
	is.Policy = strings.ReplaceAll(is.Policy, `context.labels.contains(Label::"payroll") && `, "")
	if _, err := Diff(was, deny(is)); err == nil {
		t.Error("a policy that names what the charter does not have is compared")
	}
	was.Payees = append(was.Payees, charter.Payee{Name: "thief", Chain: "eip155:1", Address: "0x00000000000000000000000000000000000000b2", Labels: []string{"payroll"}})
	is = was
	is.Payees = was.Payees[:1]
	for name, c := range map[string]struct {
		of     func(charter.Document) charter.Document
		looser bool
	}{"allow list": {func(d charter.Document) charter.Document { return d }, false}, "deny list": {deny, true}} {
		changes, err := Diff(c.of(was), c.of(is))
		if err != nil || len(changes) != 1 || changes[0].Looser != c.looser {
			t.Errorf("%s: %v, %v", name, changes, err)
		}
	}
}

// A place that moves is seen, whatever somebody wrote around it.
func TestMovedPlaceIsSeen(t *testing.T) {
	was, is := read(t, start(t), nil), read(t, start(t), nil)
	a, b := &was.Operators[0].Places[0], &is.Operators[0].Places[0]
	a.Account, a.Region = "a, region eu", "us"
	b.Account, b.Region = "a", "eu, region us"
	if changes, err := Diff(was, is); err != nil || len(changes) != 2 || !changes[0].Looser || !changes[1].Looser {
		t.Errorf("%v, %v", changes, err)
	}
}
