package charter

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// made gives a roster its id.
func made(t testing.TB, r Roster) (Roster, statement.Statement) {
	t.Helper()
	s := must(r.Statement(salt))(t)
	return must(RosterOf(s))(t), s
}

// after is the version after a chain's newest, with some operators.
func after(c Chain, ops ...Operator) Roster {
	last := c.Newest()
	return Roster{Circle: last.Circle, Version: last.Version + 1, Previous: last.ID, Created: last.Created.Add(time.Hour), Operators: ops}
}

// accept has the first officers of some operators sign.
func accept(t testing.TB, c Chain, r Roster, names ...string) (Acceptance, Accepted) {
	t.Helper()
	r, s := made(t, r)
	need := must(c.Acceptance(r))(t)
	a := Accepted{Statement: s}
	for _, name := range names {
		next, by, err := a.Add(need.All(), officerSigns(t, s, "roster", "officer of "+name))
		if err != nil || by != name {
			t.Fatalf("%s: signed by %q, %v", name, by, err)
		}
		a = next
	}
	return need, a
}

func founded(t testing.TB, names ...string) Chain {
	r := Roster{Circle: "First light", Created: noon}
	for _, n := range names {
		r.Operators = append(r.Operators, operator(t, n))
	}
	_, a := accept(t, nil, r, names...)
	return must(Chain(nil).Next(a))(t)
}

func ops(t testing.TB, names ...string) (out []Operator) {
	for _, n := range names {
		out = append(out, operator(t, n))
	}
	return out
}

func TestChain(t *testing.T) {
	c := founded(t, "acme", "bolt", "cora")
	_, a := accept(t, c, after(c, ops(t, "acme", "bolt", "dora")...), "acme", "bolt", "dora")
	c1 := must(c.Next(a))(t)
	if len(c) != 1 || len(c1) != 2 || c1.Newest().Version != 1 || c1.Newest().Previous != c[0].ID {
		t.Fatalf("chain of %d, newest %+v", len(c1), c1.Newest())
	}
	// cora comes back under its own name and key; dora gives its address up.
	back := ops(t, "acme", "bolt", "cora", "dora")
	back[3].Address = "dora.example:7001"
	_, a = accept(t, c1, after(c1, back...), "acme", "bolt", "cora", "dora")
	c2 := must(c1.Next(a))(t)
	if o, ok := c2.Operator("dora"); !ok || o.Address != "dora.example:7001" {
		t.Errorf("newest dora: %v %+v", ok, o)
	}
	for name, want := range map[string]bool{"acme": true, "cora": true, "dora": true, "zoe": false} {
		if _, ok := c1.Operator(name); ok != want {
			t.Errorf("%s is found: %v", name, ok)
		}
		if _, ok := c1.Identity(identity(name)); ok != want {
			t.Errorf("%s is found by identity: %v", name, ok)
		}
	}
	if _, ok := c2.Version(statement.ID{9}); ok {
		t.Error("a version of no id")
	}
	if (Chain{}).Newest().Circle != "" {
		t.Error("an empty chain has a newest")
	}
}

// A vault's founding operators stand as its version has them, those who came later as the newest does.
func TestReach(t *testing.T) {
	c := founded(t, "acme", "bolt", "cora")
	moved := ops(t, "acme", "bolt", "dora")
	moved[0].Address = "acme.example:7009"
	_, a := accept(t, c, after(c, moved...), "acme", "bolt", "dora")
	c = must(c.Next(a))(t)
	moved[2].Address = "dora.example:7009"
	_, a = accept(t, c, after(c, moved...), "acme", "bolt", "dora")
	c = must(c.Next(a))(t)
	r, ok := c.Reach(c[0].ID)
	if !ok || r.ID != c[0].ID || !slices.Equal(r.Names(), []string{"acme", "bolt", "cora", "dora"}) {
		t.Fatalf("%v %v", ok, r.Names())
	}
	x, _ := r.Operator("acme")
	y, _ := r.Operator("dora")
	if x.Address != "acme.example:7000" || y.Address != "dora.example:7009" {
		t.Errorf("addresses %s, %s", x.Address, y.Address)
	}
	if r, _ := c.Reach(c[1].ID); !slices.Equal(r.Names(), []string{"acme", "bolt", "dora"}) {
		t.Errorf("from version 1: %v", r.Names())
	}
	if len(c[0].Operators) != 3 {
		t.Error("Reach changed a version")
	}
	if _, ok := c.Reach(statement.ID{1}); ok {
		t.Error("a version of no id reaches")
	}
}

func TestCheckNextRefuses(t *testing.T) {
	c := founded(t, "acme", "bolt", "cora")
	_, a := accept(t, c, after(c, ops(t, "acme", "bolt", "dora")...), "acme", "bolt", "dora")
	c = must(c.Next(a))(t)
	for _, x := range []struct {
		name, want string
		change     func(*Roster)
	}{
		{"version again", "version: is 1, 2 follows", func(r *Roster) { r.Version = 1 }},
		{"version skipped", "version: is 3, 2 follows", func(r *Roster) { r.Version = 3 }},
		{"first again", "version: is 0, 2 follows", func(r *Roster) { r.Version, r.Previous = 0, statement.ID{} }},
		{"no previous", "previous: version 2 names", func(r *Roster) { r.Previous = statement.ID{} }},
		{"previous of another", "previous: is 09", func(r *Roster) { r.Previous = statement.ID{9} }},
		{"an older previous", "previous: is " + c[0].ID.Short(), func(r *Roster) { r.Previous = c[0].ID }},
		{"circle", "circle: is \"Second light\"", func(r *Roster) { r.Circle = "Second light" }},
		{"before", "created: is 2026-01-31T12:59:59Z", func(r *Roster) { r.Created = noon.Add(time.Hour - time.Second) }},
		{"one is left", "operators: 1 are listed", func(r *Roster) { r.Operators = r.Operators[:1] }},
		{"another identity", "operator bolt: identity: is another than it was in version 0", func(r *Roster) { r.Operators[1].Identity = identity("zoe") }},
		{"another name", "operator zoe: identity: was that of operator bolt in version 0", func(r *Roster) { r.Operators[1].Name = "zoe" }},
		{"who left, under another name", "operator eve: identity: was that of operator cora in version 0", func(r *Roster) {
			o := operator(t, "cora")
			o.Name, o.Officers = "eve", []signet.Key{sshKey(t, "eve")}
			r.Operators = append(r.Operators, o)
		}},
		{"the name of who left", "operator cora: identity: is another than it was in version 0", func(r *Roster) {
			o := operator(t, "zoe")
			o.Name = "cora"
			r.Operators = append(r.Operators, o)
		}},
		{"officer of who left", "operator zoe: officer: SHA256:", func(r *Roster) {
			o := operator(t, "zoe")
			o.Officers = []signet.Key{sshKey(t, "officer of cora")}
			r.Operators = append(r.Operators, o)
		}},
		{"officer moves", "was one of operator bolt in version 0", func(r *Roster) {
			r.Operators[1].Officers = []signet.Key{sshKey(t, "zoe")}
			r.Operators[2].Officers = []signet.Key{sshKey(t, "officer of bolt")}
		}},
		{"address twice", "address: the same as that of operator acme", func(r *Roster) { r.Operators[1].Address = r.Operators[0].Address }},
	} {
		r := after(c, ops(t, "acme", "bolt", "dora")...)
		x.change(&r)
		if err := c.CheckNext(r.sorted()); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", x.name, err, x.want)
		}
		if _, err := c.Acceptance(r.sorted()); err == nil {
			t.Errorf("%s: its acceptors are named", x.name)
		}
	}
	if err := (Chain{}).CheckNext(Roster{Circle: "x", Version: 1, Previous: statement.ID{1}, Created: noon, Operators: ops(t, "acme", "bolt")}); err == nil {
		t.Error("version 1 is the first")
	}
	if _, err := (Roster{Circle: "x", Previous: statement.ID{1}, Created: noon, Operators: ops(t, "acme", "bolt")}).Statement(salt); err == nil {
		t.Error("version 0 has one before it")
	}
}

// Who must sign: all that the new roster lists, and of those who leave all but one; of two nobody leaves
// in silence.
func TestAcceptance(t *testing.T) {
	three, two := founded(t, "acme", "bolt", "cora"), founded(t, "acme", "bolt")
	four := founded(t, "acme", "bolt", "cora", "dora")
	for _, x := range []struct {
		name    string
		chain   Chain
		next    []string
		signed  string
		missing string
	}{
		{"added", three, []string{"acme", "bolt", "cora", "dora"}, "acme bolt cora dora", "[]"},
		{"added, the newcomer is silent", three, []string{"acme", "bolt", "cora", "dora"}, "acme bolt cora", "[dora]"},
		{"added, an old one is silent", three, []string{"acme", "bolt", "cora", "dora"}, "acme bolt dora", "[cora]"},
		{"replaced in silence", three, []string{"acme", "bolt", "dora"}, "acme bolt dora", "[]"},
		{"resigned", three, []string{"acme", "bolt"}, "acme bolt cora", "[]"},
		{"one of two leaves in silence", two, []string{"acme", "dora"}, "acme dora", "[bolt]"},
		{"one of two agrees", two, []string{"acme", "dora"}, "acme bolt dora", "[]"},
		{"two leave in silence", four, []string{"acme", "bolt"}, "acme bolt", "[cora dora]"},
		{"two leave, one in silence", four, []string{"acme", "bolt"}, "acme bolt cora", "[]"},
		{"nobody signed", three, []string{"acme", "bolt", "dora"}, "", "[acme bolt dora]"},
	} {
		need, a := accept(t, x.chain, after(x.chain, ops(t, x.next...)...), strings.Fields(x.signed)...)
		if got := fmt.Sprint(need.Missing(a)); got != x.missing && (got != "[]" || x.missing != "[]") {
			t.Errorf("%s: missing %s, want %s", x.name, got, x.missing)
		}
		_, err := x.chain.Next(a)
		if done := x.missing == "[]"; done != (err == nil) || err != nil && !errors.Is(err, ErrNotAccepted) {
			t.Errorf("%s: %v", x.name, err)
		}
	}
}

// An operator that changes its officers signs with one that it had.
func TestOfficersChangeByTheOldOnes(t *testing.T) {
	c := founded(t, "acme", "bolt", "cora")
	changed := ops(t, "acme", "bolt", "cora")
	changed[2].Officers = []signet.Key{sshKey(t, "new of cora")}
	r, s := made(t, after(c, changed...))
	need, a := accept(t, c, r, "acme", "bolt")
	if _, _, err := a.Add(need.All(), officerSigns(t, s, "roster", "new of cora")); !errors.Is(err, signet.ErrStranger) {
		t.Errorf("the new officer puts itself in: %v", err)
	}
	_, a = accept(t, c, r, "acme", "bolt", "cora")
	next := must(c.Next(a))(t)
	for k, want := range map[string]bool{"new of cora": true, "officer of cora": false, "officer of acme": false} {
		if next.Current("cora", sshKey(t, k)) != want {
			t.Errorf("%s is current for cora: %v", k, !want)
		}
	}
	if next.Current("zoe", sshKey(t, "officer of acme")) {
		t.Error("an officer of nobody")
	}
	// A signature more, by somebody whom the roster does not concern, or a false one.
	bad := Accepted{a.Statement, map[string][]byte{}}
	for n, sig := range a.Signatures {
		bad.Signatures[n] = sig
	}
	bad.Signatures["zoe"] = a.Signatures["acme"]
	if _, err := c.Next(bad); err == nil {
		t.Error("an outsider's signature is let pass")
	}
	delete(bad.Signatures, "zoe")
	bad.Signatures["bolt"] = a.Signatures["acme"]
	if _, err := c.Next(bad); err == nil {
		t.Error("one signs for two")
	}
}

func TestSameOperator(t *testing.T) {
	a := operator(t, "acme")
	for name, change := range map[string]func(*Operator){
		"name": func(o *Operator) { o.Name = "x" }, "entity": func(o *Operator) { o.Entity = "x" }, "address": func(o *Operator) { o.Address = "x:1" },
		"identity": func(o *Operator) { o.Identity = identity("x") }, "officers": func(o *Operator) { o.Officers = o.Officers[:1] },
	} {
		b := operator(t, "acme")
		change(&b)
		if SameOperator(a, b) {
			t.Errorf("another %s is the same", name)
		}
	}
	b := operator(t, "acme")
	slices.Reverse(b.Officers)
	if !SameOperator(a, b) {
		t.Error("the order of officers counts")
	}
}

// The statement of a later version, byte for byte in its text.
func TestRosterVersionText(t *testing.T) {
	c := founded(t, "acme", "bolt")
	r, s := made(t, after(c, ops(t, "acme", "bolt", "cora")...))
	want := "ostraka/1 roster\ncircle: First light\nversion: 1\nprevious: " + c[0].ID.String() + "\ncreated: 2026-01-31T13:00:00Z\noperator: acme\n"
	if !strings.HasPrefix(s.Text(), want) {
		t.Errorf("text:\n%s", s.Text())
	}
	again, _ := made(t, r)
	if again.ID != r.ID || !bytes.Equal(s.Bytes(), must(r.Statement(salt))(t).Bytes()) {
		t.Error("read and written, it differs")
	}
}
