package charter

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/signet"
)

func rent() Payee {
	return Payee{Name: "rent", Chain: "eip155:1", Address: "0x00000000000000000000000000000000000000B2", Labels: []string{"suppliers", "monthly"}, Expires: noon}
}

const rentLines = `  - name: rent
    chain: "eip155:1"
    address: "0x00000000000000000000000000000000000000B2"
    labels: [monthly, suppliers]
    expires: "2026-01-31T12:00:00Z"
`

// lines lists the lines of a text that another does not have.
func lines(of, without string) (out []string) {
	for line := range strings.Lines(of) {
		if !strings.Contains(without, line) {
			out = append(out, line)
		}
	}
	return out
}

func TestAddAndRemovePayee(t *testing.T) {
	file, rules := []byte(started(t)), []byte(StartPolicy)
	e := must(AddPayee(file, rules, rent()))(t)
	const before = "\npayees:\n"
	if want := strings.Replace(string(file), before, before+rentLines, 1); string(e.File) != want {
		t.Errorf("the file is not the old one with the lines: %q", lines(string(e.File), string(file)))
	}
	if len(e.Was.Payees) != 1 || len(e.Is.Payees) != 2 || e.Is.Payees[0].Labels[0] != "monthly" {
		t.Errorf("%+v", e.Is.Payees)
	}
	if back := must(RemovePayee(e.File, rules, "rent"))(t); string(back.File) != string(file) {
		t.Errorf("what was added does not go: %q", lines(string(back.File), string(file)))
	}
	// The last one leaves an empty list, and the next one is as the first was.
	none := must(RemovePayee(file, rules, "salaries"))(t)
	if !strings.Contains(string(none.File), "\npayees: []\n") {
		t.Errorf("%q", lines(string(none.File), string(file)))
	}
	if again := must(AddPayee(none.File, rules, none.Was.Payees[0]))(t); !SameDocument(again.Is, e.Was) {
		t.Error("the payee is another")
	}
	// A file without the list gets one, where it belongs.
	without := strings.Replace(string(none.File), "payees: []\n", "", 1)
	if made := must(AddPayee([]byte(without), rules, rent()))(t); !strings.Contains(string(made.File), "    unit: 6\n\npayees:\n"+rentLines+"\n# ── Payees") {
		t.Errorf("%q", lines(string(made.File), without))
	}
}

func TestAddAndRemovePerson(t *testing.T) {
	file, rules := []byte(started(t)), []byte(StartPolicy)
	bea := Human{Name: "bea", Organisation: "acme", Keys: []signet.Key{sshKey(t, "bea"), sshKey(t, "bea 2")}}
	e := must(AddPerson(file, rules, bea, []string{"security", "finance", "finance"}))(t)
	for _, part := range []string{"    people: [alice, bea, bob, carol]\n", "    people: [bea, dana]\n", "  - name: bea\n    organisation: acme\n    keys: [\"ssh-ed25519 "} {
		if !strings.Contains(string(e.File), part) {
			t.Errorf("%q is not in %q", part, lines(string(e.File), string(file)))
		}
	}
	if strings.Index(string(e.File), "- name: bea\n") > strings.Index(string(e.File), "- name: bob\n") {
		t.Error("people do not ascend any more")
	}
	if back := must(RemovePerson(e.File, rules, "bea"))(t); string(back.File) != string(file) {
		t.Errorf("who was added does not go: %q", lines(string(back.File), string(file)))
	}
}

func TestEditsRefused(t *testing.T) {
	file, rules := started(t), []byte(StartPolicy)
	key := sshKey(t, "zoe")
	add := func(p Payee) func([]byte) error {
		return func(f []byte) error { _, err := AddPayee(f, rules, p); return err }
	}
	join := func(h Human, groups ...string) func([]byte) error {
		return func(f []byte) error { _, err := AddPerson(f, rules, h, groups); return err }
	}
	goes := func(name string) func([]byte) error {
		return func(f []byte) error { _, err := RemovePerson(f, rules, name); return err }
	}
	taken := rent()
	taken.Address = "0x00000000000000000000000000000000000000a1"
	twice, odd, there := rent(), rent(), rent()
	twice.Labels, odd.Address, there.Name = []string{"a", "a"}, " ", "salaries"
	for name, c := range map[string]struct {
		do   func([]byte) error
		is   error
		want string
	}{
		"a payee twice":       {add(there), ErrThere, "payee salaries"},
		"an address twice":    {add(taken), nil, "payee salaries: its address is rent's too"},
		"a label twice":       {add(twice), nil, "labels: a stands twice"},
		"no address":          {add(odd), nil, "payee rent: address"},
		"another payee":       {func(f []byte) error { _, err := RemovePayee(f, rules, "rent"); return err }, ErrNotThere, "payee rent"},
		"a person twice":      {join(Human{Name: "bob", Organisation: "acme", Keys: sortedKeys(nil)}), ErrThere, "person bob"},
		"no key":              {join(Human{Name: "zoe", Organisation: "acme"}), nil, "person zoe: keys: 0 keys"},
		"another's key":       {join(Human{Name: "zoe", Organisation: "acme", Keys: sortedKeys(must(ReadDocument([]byte(file), rules))(t).People[0].Keys)}), nil, "alice"},
		"another group":       {join(Human{Name: "zoe", Organisation: "acme", Keys: sortedKeys([]signet.Key{key})}, "finanec"), ErrNotThere, "group finanec"},
		"another person":      {goes("zoe"), ErrNotThere, "person zoe"},
		"who has access":      {goes("alice"), ErrHolds, "access of operator acme, place main and operator bolt, place main and operator cora, place main"},
		"the last of a group": {goes("dana"), nil, "group security: it is empty"},
		"a file that is none": {func(f []byte) error { return add(rent())(f[:len(f)/2]) }, nil, ""},
		"a layout of its own": {func(f []byte) error { return add(rent())([]byte(strings.Replace(string(f), "\n", "\r", 1))) }, nil, "line ends"},
	} {
		err := c.do([]byte(file))
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// Whatever the charter, who comes and goes again leaves the file as it was, and the file says what it should meanwhile.
func TestEditsOfAny(t *testing.T) {
	done := 0
	for seed := range uint64(200) {
		r := drawn{rand.New(rand.NewPCG(seed, 2)), t}
		d := r.document()
		if d.checkForm() != nil {
			continue
		}
		file, rules := []byte(d.File()), []byte(d.Policy)
		p := Payee{Name: "m" + r.label(), Chain: "eip155:9", Address: r.text(), Labels: r.labels(3), Expires: r.ends()}
		h := Human{Name: "m" + r.label(), Organisation: r.label(), Keys: []signet.Key{sshKey(t, "m")}, Expires: r.ends()}
		paid, err := AddPayee(file, rules, p)
		if errors.Is(err, ErrThere) {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, file)
		}
		e, err := AddPerson(paid.File, rules, h, []string{d.Groups[0].Name})
		if errors.Is(err, ErrThere) {
			continue
		}
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, file)
		}
		e, err = RemovePerson(e.File, rules, h.Name)
		if err == nil {
			e, err = RemovePayee(e.File, rules, p.Name)
		}
		if err != nil || string(e.File) != string(file) {
			t.Fatalf("seed %d: %v: %q", seed, err, lines(string(e.File), string(file)))
		}
		done++
	}
	if done < 80 {
		t.Errorf("only %d of 200 were edited", done)
	}
}
