package client

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
)

var rescueNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rescued is what a node shows of a vault, with one declaration.
func rescued(t *testing.T) *v1.Rescue {
	t.Helper()
	id := func(b byte) []byte { return slices.Repeat([]byte{b}, 32) }
	q := act.Request{
		Drill: true, Charter: statement.ID(id(1)), Vault: statement.ID(id(2)), Trigger: "silence", Subjects: []string{"cora"}, Reason: "gone", Keys: []act.Key{{Key: [32]byte(id(3)), Epoch: [32]byte(id(4))}},
		Role: act.Guardian, By: "guardian-0", Created: rescueNow.Add(-time.Hour), Expires: rescueNow.Add(time.Hour),
	}
	s, err := q.Statement(statement.Salt{1})
	if err != nil {
		t.Fatal(err)
	}
	sum := s.ID()
	seen := statement.FormatTime(rescueNow.Add(-time.Hour))
	return &v1.Rescue{
		Vault: id(2), Name: "treasury", Charter: id(1), Drill: true, Keys: []*v1.RescueKey{{Key: id(3), Epoch: id(4)}}, Declared: 1, Previous: id(9),
		Cases: []*v1.RescueCase{{Request: s.Bytes(), Id: sum[:], State: "contest", Since: seen, FirstSeen: seen, Credited: 5, Remaining: 7}},
	}
}

// What nodes say of an SOS is compared: who contradicts the others is an alarm, who hides a declaration is named, and no request is made from one's word.
func TestRescuesAreCompared(t *testing.T) {
	read := func(node string, edit func(*v1.Rescue)) Answer[[]Rescue] {
		m := rescued(t)
		edit(m)
		r, err := readRescue(node, m)
		if err != nil {
			t.Fatal(err)
		}
		return Answer[[]Rescue]{Node: node, Value: []Rescue{r}}
	}
	same := func(*v1.Rescue) {}
	all := MergeRescues(Answers[[]Rescue]{read("acme", same), read("bolt", func(m *v1.Rescue) { m.Declared, m.Previous[0] = 2, 8 })})
	drafts, err := all[0].Drafts(rescueNow, []string{"cora"})
	if err != nil || len(drafts) != 1 {
		t.Fatalf("%v, %v", drafts, err)
	}
	if q := drafts[0]; q.Number != 2 || q.Previous[0] != 8 || len(all[0].Requests) != 1 || len(all[0].Requests[0].Views) != 2 || all[0].Requests[0].Hidden != nil {
		t.Errorf("two alike: %v, %+v", err, all)
	}
	hides := MergeRescues(Answers[[]Rescue]{read("acme", same), read("bolt", func(m *v1.Rescue) { m.Cases = nil })})[0].Requests[0]
	if got := hides.Concealed(rescueNow); !slices.Equal(got, []string{"bolt"}) || hides.Concealed(rescueNow.Add(-time.Hour)) != nil {
		t.Errorf("bolt hides it: %v", got)
	}
	for name, edit := range map[string]func(*v1.Rescue){
		"charter": func(m *v1.Rescue) { m.Charter[0]++ }, "mode": func(m *v1.Rescue) { m.Drill = false }, "name": func(m *v1.Rescue) { m.Name = "other" },
		"key": func(m *v1.Rescue) { m.Keys[0].Key[31]++ }, "epoch": func(m *v1.Rescue) { m.Keys[0].Epoch[31]++ }, "keys": func(m *v1.Rescue) { m.Keys = nil },
	} {
		r := MergeRescues(Answers[[]Rescue]{read("acme", same), read("bolt", edit)})[0]
		var d *Difference
		if _, err := r.Drafts(rescueNow, []string{"cora"}); !errors.As(err, &d) || !errors.As(r.Apart, &d) {
			t.Errorf("%s: %v", name, err)
		}
	}
	one := MergeRescues(Answers[[]Rescue]{read("acme", same)})[0]
	if _, err := one.Drafts(rescueNow, []string{"cora"}); Classify(err) != NotReady {
		t.Errorf("one node alone: %v", err)
	}
	if _, got, err := FindRequest(all, hides.ID.String()[:8]); err != nil || got.ID != hides.ID {
		t.Errorf("found %v, %v", got.ID, err)
	}
	if _, _, err := FindRequest(all, "abc"); !errors.Is(err, ErrMalformed) {
		t.Errorf("half an id: %v", err)
	}
}

// Who is lost may sit in several committees: a request is begun for each, about its keys and those of the lost that sit in it.
func TestARequestForEachCommittee(t *testing.T) {
	id := func(b byte) []byte { return slices.Repeat([]byte{b}, 32) }
	var all Answers[[]Rescue]
	for _, node := range []string{"acme", "bolt"} {
		m := rescued(t)
		m.Operators = []string{"acme", "bolt", "cora", "dora"}
		m.Keys = []*v1.RescueKey{
			{Key: id(3), Epoch: id(4), Holders: []string{"acme", "bolt", "cora"}, Threshold: 2}, {Key: id(5), Epoch: id(4), Holders: []string{"bolt", "cora", "dora"}, Threshold: 2},
			{Key: id(6), Epoch: id(4), Holders: []string{"acme", "bolt", "cora"}, Threshold: 2},
		}
		r, err := readRescue(node, m)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, Answer[[]Rescue]{Node: node, Value: []Rescue{r}})
	}
	r := MergeRescues(all)[0]
	got, err := r.Drafts(rescueNow, []string{"cora", "dora"})
	if err != nil || len(got) != 2 || len(got[0].Keys) != 2 || !slices.Equal(got[0].Subjects, []string{"cora"}) || len(got[1].Keys) != 1 || got[1].Keys[0].Key[0] != 5 || !slices.Equal(got[1].Subjects, []string{"cora", "dora"}) {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = r.Drafts(rescueNow, []string{"acme"}); err != nil || len(got) != 1 || len(got[0].Keys) != 2 {
		t.Errorf("who sits in one: %+v, %v", got, err)
	}
	if _, err = r.Drafts(rescueNow, []string{"emma"}); !errors.Is(err, ErrMalformed) {
		t.Errorf("who sits in none: %v", err)
	}
	other := rescued(t)
	other.Keys[0].Holders, other.Keys[0].Threshold = []string{"acme", "bolt"}, 3
	if _, err := readRescue("acme", other); err == nil {
		t.Error("three of two are read")
	}
}

// Whatever a node's answer has wrong in a field is refused before anything is made of it.
func TestRescueRefuses(t *testing.T) {
	many := slices.Repeat([]string{"x"}, maxRescueNames+1)
	for name, edit := range map[string]func(*v1.Rescue){
		"vault":    func(m *v1.Rescue) { m.Vault = m.Vault[1:] },
		"charter":  func(m *v1.Rescue) { m.Charter = nil },
		"previous": func(m *v1.Rescue) { m.Previous = m.Previous[1:] }, "a count without the last": func(m *v1.Rescue) { m.Previous = nil },
		"key": func(m *v1.Rescue) { m.Keys[0].Key = nil }, "epoch": func(m *v1.Rescue) { m.Keys[0].Epoch = nil },
		"keys":      func(m *v1.Rescue) { m.Keys = slices.Repeat(m.Keys, maxVaultKeys+1) },
		"requests":  func(m *v1.Rescue) { m.Cases = slices.Repeat(m.Cases, 65) },
		"name":      func(m *v1.Rescue) { m.Name = strings.Repeat("x", 65) },
		"guardians": func(m *v1.Rescue) { m.Guardians = many },
		"id":        func(m *v1.Rescue) { m.Cases[0].Id[0]++ }, "statement": func(m *v1.Rescue) { m.Cases[0].Request = nil },
		"another vault's": func(m *v1.Rescue) { m.Vault[0]++ },
		"since":           func(m *v1.Rescue) { m.Cases[0].Since = "" }, "first seen": func(m *v1.Rescue) { m.Cases[0].FirstSeen = "x" },
		"credited": func(m *v1.Rescue) { m.Cases[0].Credited = -1 }, "remaining": func(m *v1.Rescue) { m.Cases[0].Remaining = 1 << 40 },
		"vetoes":     func(m *v1.Rescue) { m.Cases[0].Vetoes = many },
		"triggers":   func(m *v1.Rescue) { m.Triggers = many },
		"activation": func(m *v1.Rescue) { m.Cases[0].Activations = []*v1.RescueActivation{{Key: m.Charter}} },
		"given": func(m *v1.Rescue) {
			m.Cases[0].Activations = []*v1.RescueActivation{{Id: m.Charter, Key: m.Charter, Given: many}}
		},
		"new shares": func(m *v1.Rescue) { m.Cases[0].Reshared = [][]byte{{1}} },
		"mute":       func(m *v1.Rescue) { m.Cases[0].Mute = slices.Repeat([]*v1.RescueMute{{}}, len(many)) },
	} {
		m := rescued(t)
		edit(m)
		if _, err := readRescue("acme", m); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
