package charter

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/guardian"
)

// A vault without a plan that counts is told so, whichever part is missing, with the command to run next.
func TestUnplanned(t *testing.T) {
	d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
	b := d.Vaults[0]
	if l, ok := d.Unplanned(b); !ok || l != (Lack{}) {
		t.Errorf("a vault with a plan: %+v", l)
	}
	none, untriggered, cardless := b, b, d
	none.Rescue = nil
	untriggered.Rescue = &Rescue{Operators: 2, Guardians: 3}
	cardless.Guardians = append([]Guard(nil), d.Guardians...)
	cardless.Guardians[1].Card = guardian.Card{}
	for name, c := range map[string]struct {
		d          Document
		b          Blueprint
		what, next string
	}{
		"none":       {d, none, fmt.Sprintf("no SOS plan: once fewer than %d of its operators can sign, nobody brings back what it holds", b.Threshold), "add guardians and a `rescue`"},
		"no trigger": {d, untriggered, "names no trigger", "add `triggers`"},
		"no card":    {cardless, b, "no card of " + d.Guardians[1].Name, "`ostraka guardian init FILE`"},
	} {
		l, ok := c.d.Unplanned(c.b)
		if ok || !strings.Contains(l.What, c.what) || !strings.Contains(l.Do, c.next) || !strings.Contains(l.Do, "`ostraka charter amend FOLDER`") {
			t.Errorf("%s: %v, %+v", name, ok, l)
		}
	}
}

// Whose every place is a replica, or who is no operator of the charter, has no place for a backup.
func TestUnbacked(t *testing.T) {
	d := Document{Operators: []Station{
		{Name: "acme", Places: []Place{{Name: "main", Level: Replica}, {Name: "away", Level: Export}}},
		{Name: "bolt", Places: []Place{{Name: "main", Level: Replica}, {Name: "second", Level: Replica}}},
		{Name: "cora", Places: []Place{{Name: "main", Level: Replica}, {Name: "safe", Level: Paper}}},
	}}
	if got := fmt.Sprint(d.Unbacked([]string{"acme", "bolt", "cora", "dora"})); got != "[bolt dora]" {
		t.Errorf("%s have no place", got)
	}
	if l := PlaceWanted([]string{"bolt", "dora"}); !strings.Contains(l.What, "a backup of bolt, dora") || !strings.Contains(l.Do, "`ostraka backup cut`") || !strings.Contains(l.Do, "after CLOSED") {
		t.Errorf("%+v", l)
	}
}

// Another plan, or another card, brings new shares; what else changes does not.
func TestRenewed(t *testing.T) {
	read := func() Document { return must(ReadDocument([]byte(withPlan(t)), []byte(StartPolicy)))(t) }
	was := read()
	at := slices.IndexFunc(was.Vaults, func(b Blueprint) bool { return b.Rescue != nil && b.Rescue.Planned() })
	for name, c := range map[string]struct {
		change func(*Document)
		want   string
	}{
		"nothing":     {func(*Document) {}, "[]"},
		"a quorum":    {func(d *Document) { d.Vaults[at].Quorum++ }, "[]"},
		"a person":    {func(d *Document) { d.Guardians[0].Person = "another" }, "[]"},
		"a window":    {func(d *Document) { d.Vaults[at].Rescue.Window += time.Second }, "[" + was.Vaults[at].Name + "]"},
		"a successor": {func(d *Document) { d.Vaults[at].Rescue.Successors = []string{"dora"} }, "[" + was.Vaults[at].Name + "]"},
		"a card":      {func(d *Document) { d.Guardians[0].Card, d.Guardians[1].Card = d.Guardians[1].Card, d.Guardians[0].Card }, "[" + was.Vaults[at].Name + "]"},
		"no plan":     {func(d *Document) { d.Vaults[at].Rescue = nil }, "[" + was.Vaults[at].Name + "]"},
		"no vault":    {func(d *Document) { d.Vaults = nil }, "[]"},
	} {
		is := read()
		c.change(&is)
		if got := fmt.Sprint(was.Renewed(is)); got != c.want {
			t.Errorf("%s: %s get new shares, not %s", name, got, c.want)
		}
	}
}
