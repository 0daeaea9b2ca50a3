package charter

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/statement"
)

// four is a roster of four operators, and a vault of the first three with threshold 2.
func four(t testing.TB, threshold int) (Roster, Vault) {
	r := roster(t)
	r.Operators = append(r.Operators, operator(t, "dora"))
	r = must(RosterOf(must(r.Statement(salt))(t)))(t)
	v := vault(t)
	v.Roster, v.Threshold = r.ID, threshold
	return r, must(VaultOf(must(v.Statement(salt))(t)))(t)
}

func reshare(v Vault, number uint64, threshold int, committee ...string) Reshare {
	return Reshare{
		Roster: v.Roster, Vault: v.ID, Number: number, Previous: v.ID, Threshold: threshold, Committee: committee,
		Keys:   []PinnedKey{{SuiteECDSA, [32]byte{7}, append([]byte{2}, make([]byte, 32)...), [32]byte{8}}},
		Reason: "cora leaves", Created: noon,
	}
}

// signedBy is a statement with the signatures of these operators' officers.
func signedBy(t testing.TB, s statement.Statement, r Roster, names ...string) Accepted {
	a := Accepted{Statement: s}
	for _, name := range names {
		a = must(add(a, r.Acceptors(), officerSigns(t, s, "reshare", "officer of "+name)))(t)
	}
	return a
}

func add(a Accepted, by []Acceptor, armored []byte) (Accepted, error) {
	next, _, err := a.Add(by, armored)
	return next, err
}

func TestReshare(t *testing.T) {
	_, v := four(t, 2)
	r := reshare(v, 1, 2, "dora", "acme", "bolt")
	s := must(r.Statement(salt))(t)
	snapshot(t, must(reshare(Vault{ID: statement.ID{1}, Roster: statement.ID{2}}, 1, 2, "acme", "bolt").Statement(salt))(t))
	got := must(ReshareOf(s))(t)
	r.ID, r.Committee = s.ID(), []string{"acme", "bolt", "dora"}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("read %+v", got)
	}
	if under := v.After(r); under.Threshold != 2 || !slices.Equal(under.Committee, r.Committee) || under.ID != v.ID || v.Committee[2] != "cora" {
		t.Errorf("under it: %+v", under)
	}
	if _, err := ReshareOf(must(v.Statement(salt))(t)); err == nil {
		t.Error("a vault passes for a reshare")
	}
}

func TestResharesRefused(t *testing.T) {
	roster, v := four(t, 2)
	for name, c := range map[string]struct {
		change func(r *Reshare)
		want   string
	}{
		"number 0":           {func(r *Reshare) { r.Number = 0 }, "number"},
		"first after none":   {func(r *Reshare) { r.Previous = statement.ID{9} }, "previous"},
		"no previous":        {func(r *Reshare) { r.Number, r.Previous = 2, statement.ID{} }, "previous"},
		"one operator":       {func(r *Reshare) { r.Committee = r.Committee[:1] }, "member"},
		"twice":              {func(r *Reshare) { r.Committee[1] = "acme" }, "acme stands twice"},
		"threshold 1":        {func(r *Reshare) { r.Threshold = 1 }, "threshold"},
		"threshold above":    {func(r *Reshare) { r.Threshold = 4 }, "threshold"},
		"suite twice":        {func(r *Reshare) { r.Keys = append(r.Keys, r.Keys[0]) }, "suite"},
		"another size":       {func(r *Reshare) { r.Keys[0].PublicKey = make([]byte, 32) }, "public-key"},
		"another vault":      {func(r *Reshare) { r.Vault, r.Previous = statement.ID{5}, statement.ID{5} }, "another vault"},
		"another charter":    {func(r *Reshare) { r.Roster = statement.ID{5} }, "another vault, or under another roster"},
		"another suite":      {func(r *Reshare) { r.Keys[0].Suite = SuiteBIP340 }, "suites"},
		"a stranger":         {func(r *Reshare) { r.Committee[2] = "zed" }, "zed is no operator"},
		"reason with breaks": {func(r *Reshare) { r.Reason = "a\nb" }, "reason"},
	} {
		r := reshare(v, 1, 2, "acme", "bolt", "dora")
		c.change(&r)
		s, err := r.Statement(salt)
		if err == nil {
			err = must(ReshareOf(s))(t).CheckVault(v, roster)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestReshareSameAs(t *testing.T) {
	_, v := four(t, 2)
	for want, change := range map[string]func(r *Reshare){
		"roster":     func(r *Reshare) { r.Roster[0]++ },
		"vault":      func(r *Reshare) { r.Vault[0]++ },
		"number":     func(r *Reshare) { r.Number++ },
		"previous":   func(r *Reshare) { r.Previous[0]++ },
		"threshold":  func(r *Reshare) { r.Threshold++ },
		"committee":  func(r *Reshare) { r.Committee[0] = "aaron" },
		"suites":     func(r *Reshare) { r.Keys[0].Suite = SuiteBIP340 },
		"public-key": func(r *Reshare) { r.Keys[0].PublicKey[3] = 1 },
		"reason":     func(r *Reshare) { r.Reason = "bolt leaves" },
	} {
		a, b := reshare(v, 1, 2, "acme", "bolt", "dora"), reshare(v, 1, 2, "acme", "bolt", "dora")
		change(&b)
		if got := a.SameAs(b); got != want {
			t.Errorf("%s: differs in %q", want, got)
		}
	}
	a, b := reshare(v, 1, 2, "acme", "bolt", "dora"), reshare(v, 1, 2, "dora", "acme", "bolt")
	b.Created, b.Keys[0].Anchor, b.Reason = noon.Add(1e9), [32]byte{99}, ""
	if got := a.SameAs(b); got != "" {
		t.Errorf("time, order, anchor and an absent reason make a difference in %s", got)
	}
}

// All of the new committee sign, and of the one before as many as its threshold; all of them if the threshold falls.
func TestReshareConsent(t *testing.T) {
	for _, c := range []struct {
		before, after int
		committee     string
		signed        string
		complete      bool
	}{
		{2, 2, "acme bolt dora", "acme bolt dora", true},
		{2, 2, "acme bolt dora", "acme bolt cora dora", true},
		{2, 2, "acme bolt dora", "acme bolt cora", false}, // the newcomer did not
		{2, 2, "acme bolt dora", "acme cora dora", false},
		{2, 2, "acme dora", "acme dora", false}, // one of the committee before
		{2, 2, "acme dora", "acme cora dora", true},
		{2, 3, "acme bolt cora", "acme bolt cora", true},
		{3, 2, "acme bolt dora", "acme bolt dora", false}, // the threshold falls: cora too
		{3, 2, "acme bolt dora", "acme bolt cora dora", true},
		{3, 2, "acme bolt", "acme bolt", false},
		{3, 2, "acme bolt", "acme bolt cora", true},
	} {
		r, v := four(t, c.before)
		s := must(reshare(v, 1, c.after, strings.Fields(c.committee)...).Statement(salt))(t)
		_, err := signedBy(t, s, r, strings.Fields(c.signed)...).VerifyReshare(v, r)
		if c.complete != (err == nil) || !c.complete && !errors.Is(err, ErrNotAccepted) {
			t.Errorf("%d → %d of %s, signed by %s: %v", c.before, c.after, c.committee, c.signed, err)
		}
		members, more := must(ReshareOf(s))(t).Lacking(v, signedBy(t, s, r, strings.Fields(c.signed)...).Signatures)
		if c.complete != (len(members) == 0 && more == 0) {
			t.Errorf("%+v: lacking %v and %d", c, members, more)
		}
	}
}

func TestReshareSignaturesRefused(t *testing.T) {
	r, v := four(t, 2)
	s := must(reshare(v, 1, 2, "acme", "bolt").Statement(salt))(t)
	good := signedBy(t, s, r, "acme", "bolt")
	if _, err := good.VerifyReshare(v, r); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(a *Accepted){
		"another use": func(a *Accepted) { a.Signatures["bolt"] = officerSigns(t, s, "vault", "officer of bolt") },
		"another statement": func(a *Accepted) {
			a.Signatures["bolt"] = officerSigns(t, must(v.Statement(salt))(t), "reshare", "officer of bolt")
		},
		"a stranger's key":  func(a *Accepted) { a.Signatures["bolt"] = officerSigns(t, s, "reshare", "mallory") },
		"another officer's": func(a *Accepted) { a.Signatures["bolt"] = a.Signatures["acme"] },
		"in no committee":   func(a *Accepted) { a.Signatures["dora"] = officerSigns(t, s, "reshare", "officer of dora") },
	} {
		a := signedBy(t, s, r, "acme", "bolt")
		change(&a)
		if _, err := a.VerifyReshare(v, r); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := good.Verify(r.Acceptors()[:2]); err == nil {
		t.Error("a reshare passes by the rule of rosters and vaults")
	}
	if again := must(DecodeAccepted(good.Bytes()))(t); !reflect.DeepEqual(again, good) {
		t.Error("it does not survive its encoding")
	}
}

// A succession knows under which statement somebody holds the keys, and takes nothing out of its order.
func TestSuccession(t *testing.T) {
	r, v := four(t, 2)
	all := []string{"acme", "bolt", "cora", "dora"}
	s := NewSuccession(v, Chain{r})
	take := func(x Reshare, salt byte, by ...string) (statement.ID, error) {
		st := must(x.Statement(statement.Salt{salt}))(t)
		return st.ID(), s.Add(signedBy(t, st, r, by...))
	}
	late := reshare(v, 3, 2, "bolt", "cora")
	late.Previous = statement.ID{4}
	if _, err := take(late, 0, all[1:3]...); !errors.Is(err, ErrNoPrevious) {
		t.Errorf("a statement that follows an unknown one: %v", err)
	}
	if _, err := take(reshare(v, 1, 2, "acme", "bolt", "dora"), 0, "acme", "dora"); !errors.Is(err, ErrNotAccepted) {
		t.Errorf("an incomplete one: %v", err)
	}
	one := must(take(reshare(v, 1, 2, "acme", "bolt", "dora"), 0, "acme", "bolt", "dora"))(t)
	if _, err := take(reshare(v, 1, 2, "acme", "bolt", "dora"), 0, all...); err != nil || !slices.Equal(s.Plans()[0].Signed, all) {
		t.Errorf("a later signature: %v, %v", err, s.Plans()[0].Signed)
	}
	// It was never carried out: another follows the vault's own statement too.
	two := must(take(reshare(v, 2, 3, "acme", "bolt", "cora"), 0, all[:3]...))(t)
	back := reshare(v, 3, 3, "acme", "bolt", "dora")
	back.Previous = two
	three := must(take(back, 0, all...))(t)
	early := reshare(v, 2, 2, "acme", "cora")
	early.Previous = three
	if _, err := take(early, 1, all...); err == nil || !strings.Contains(err.Error(), "it follows number 3") {
		t.Errorf("a number below the one it follows: %v", err)
	}
	for _, c := range []struct {
		threshold int
		committee []string
		want      statement.ID
	}{
		{2, all[:3], v.ID}, {2, []string{"dora", "bolt", "acme"}, one}, {3, all[:3], two}, {3, []string{"acme", "bolt", "dora"}, three}, {2, all[1:], statement.ID{}},
	} {
		if p, ok := s.HeldBy(c.threshold, c.committee); ok != !c.want.IsZero() || ok && p.ID != c.want {
			t.Errorf("%d of %v is held under %v, %v", c.threshold, c.committee, p.ID.Short(), ok)
		}
	}
	if got := fmt.Sprint(len(s.Plans()), s.Plans()[2].Number); got != "3 3" {
		t.Errorf("plans %s", got)
	}
}

// Officers' next reshare follows the activation of an emergency, once the statement is known under which the keys were held before; what they had signed beside it leads nowhere.
func TestSuccessionAfterAnEmergency(t *testing.T) {
	r, v := four(t, 2)
	all := []string{"acme", "bolt", "cora", "dora"}
	s := NewSuccession(v, Chain{r})
	take := func(x Reshare, by ...string) (statement.ID, error) {
		st := must(x.Statement(statement.Salt{}))(t)
		return st.ID(), s.Add(signedBy(t, st, r, by...))
	}
	late := Emergency{Activation: statement.ID{9}, Threshold: 3, Before: []string{"bolt", "cora", "dora"}, To: 2, Members: []string{"bolt", "dora"}}
	s.Rescued(late)
	if len(s.Plans()) > 0 {
		t.Error("an emergency of a committee that nobody put in force is followed")
	}
	first := must(take(reshare(v, 1, 3, "bolt", "cora", "dora"), all...))(t)
	s.Rescued(late)
	s.Rescued(late)
	if p, ok := s.HeldBy(2, []string{"dora", "bolt"}); !ok || len(s.Plans()) != 2 || p.ID != late.Activation || p.Previous != first || p.Number != 2 || !p.Rescued() || p.Agreed(v) {
		t.Errorf("%+v, %v", p, ok)
	}
	next := reshare(v, 3, 2, "acme", "bolt", "dora")
	next.Previous = late.Activation
	id := must(take(next, "acme", "bolt", "dora"))(t)
	if line := s.Line(id); !slices.Equal(line, []statement.ID{id, late.Activation, first, v.ID}) {
		t.Errorf("line %v", line)
	}
	low := next
	low.Number = 2
	if _, err := take(low, "acme", "bolt", "dora"); err == nil || !strings.Contains(err.Error(), "it follows number 2") {
		t.Errorf("a number that is not above the activation's: %v", err)
	}
}
