package charter

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
)

func freeze(id byte, operator string, created time.Time) SignedFreeze {
	return SignedFreeze{Freeze{ID: statement.ID{id}, Charter: statement.ID{1}, Vault: statement.ID{2}, Operator: operator, Reason: "odd transfers", Created: created, Expires: created.Add(MaxFreeze)}, []string{operator}}
}

func TestFreezeRoundTrip(t *testing.T) {
	f := freeze(0, "acme", noon).Freeze
	s := must(f.Statement(salt))(t)
	snapshot(t, s)
	f.ID = s.ID()
	if got := must(FreezeOf(s))(t); got != f {
		t.Errorf("read %+v", got)
	}
	for _, life := range []time.Duration{0, -time.Second, MaxFreeze + time.Second} {
		f.Expires = noon.Add(life)
		if _, err := f.Statement(salt); err == nil {
			t.Errorf("a freeze of %s", life)
		}
	}
	u := Unfreeze{Charter: statement.ID{1}, Vault: statement.ID{2}, Freezes: []statement.ID{{4}, {3}}, Created: noon}
	s = must(u.Statement(salt))(t)
	snapshot(t, s)
	u.ID, u.Freezes = s.ID(), []statement.ID{{3}, {4}}
	if got := must(UnfreezeOf(s))(t); !reflect.DeepEqual(got, u) {
		t.Errorf("read %+v", got)
	}
}

// An operator freezes alone twice in 30 days; for more it needs a second one.
func TestFreezesAlone(t *testing.T) {
	day := 24 * time.Hour
	all := []SignedFreeze{freeze(1, "acme", noon), freeze(2, "acme", noon.Add(10*day)), freeze(3, "acme", noon.Add(20*day)), freeze(4, "bolt", noon.Add(20*day)), freeze(5, "acme", noon.Add(31*day))}
	for i, want := range []bool{true, true, false, true, false} {
		if got := all[i].Counts(all); got != want {
			t.Errorf("freeze %d counts: %v", i+1, got)
		}
	}
	all[2].Signed = append(all[2].Signed, "cora")
	if !all[2].Counts(all) {
		t.Error("a second operator's word does not count")
	}
	lone := freeze(6, "cora", noon)
	if lone.Signed = []string{"bolt"}; lone.Counts(nil) {
		t.Error("another freezes in an operator's name")
	}
	// 30 days after the first two, the operator is free again.
	if free := freeze(7, "acme", noon.Add(51*day)); !free.Counts(all) {
		t.Error("it does not count 30 days later")
	}
	// Other vaults' freezes do not count.
	other := freeze(8, "acme", noon.Add(11*day))
	if other.Vault = (statement.ID{3}); !other.Counts(all) {
		t.Error("another vault's freezes count")
	}
	// Two of one second: the lower id is the earlier.
	same := []SignedFreeze{freeze(1, "acme", noon), freeze(2, "acme", noon), freeze(3, "acme", noon)}
	if !same[0].Counts(same) || !same[1].Counts(same) || same[2].Counts(same) {
		t.Error("three freezes of one second")
	}
}

func TestFrozen(t *testing.T) {
	all := []SignedFreeze{freeze(1, "acme", noon), freeze(2, "bolt", noon)}
	ended := map[statement.ID]bool{}
	frozen := func(now time.Time) int {
		return len(Frozen(statement.ID{2}, all, func(id statement.ID) bool { return ended[id] }, now))
	}
	if frozen(noon) != 2 || frozen(noon.Add(MaxFreeze-time.Second)) != 2 || frozen(noon.Add(MaxFreeze)) != 0 {
		t.Error("freezes last until they expire")
	}
	if ended[statement.ID{1}] = true; frozen(noon) != 1 {
		t.Error("one that was ended holds")
	}
	if n := len(Frozen(statement.ID{3}, all, func(statement.ID) bool { return false }, noon)); n != 0 {
		t.Errorf("%d freezes hold another vault", n)
	}
	if text := Words(all); !strings.Contains(text, "acme until 2026-02-03T12:00:00Z (odd transfers)") {
		t.Error(text)
	}
}

func TestVeto(t *testing.T) {
	r := rosters(t)[0]
	c := version0(t)
	v := Veto{Charter: c.ID, Operator: "bolt", Reason: "who is mallory?", Created: noon}
	s := must(v.Statement(salt))(t)
	snapshot(t, s)
	good := officerSigns(t, s, "veto", "second officer of bolt")
	if got := must(VerifyVeto(s, good, c, r))(t); got != v {
		t.Errorf("read %+v", got)
	}
	for name, armored := range map[string][]byte{
		"another's officer": officerSigns(t, s, "veto", "officer of acme"), "a stranger": officerSigns(t, s, "veto", "mallory"), "other use": officerSigns(t, s, "charter", "officer of bolt"),
	} {
		if _, err := VerifyVeto(s, armored, c, r); err == nil {
			t.Errorf("%s: it counts", name)
		}
	}
	if _, err := VerifyVeto(s, good, next(t, c, nil), r); err == nil {
		t.Error("it counts for another version")
	}
}

func TestRevocation(t *testing.T) {
	r := rosters(t)[0]
	c := version0(t)
	v := Revocation{Charter: c.ID, Person: "bob", Key: sshKey(t, "bob"), Reason: "laptop lost", Created: noon}
	s := must(v.Statement(salt))(t)
	snapshot(t, s)
	for _, who := range []string{"bob", "officer of acme", "second officer of acme"} { // bob is acme's
		if got, err := VerifyRevocation(s, officerSigns(t, s, "revoke", who), c, r); err != nil || got.Person != "bob" || !got.Key.Equal(v.Key) {
			t.Errorf("by %s: %+v, %v", who, got, err)
		}
	}
	for _, who := range []string{"alice", "officer of bolt", "mallory"} {
		if _, err := VerifyRevocation(s, officerSigns(t, s, "revoke", who), c, r); err == nil {
			t.Errorf("%s ends bob's key", who)
		}
	}
	for what, change := range map[string]func(*Revocation){
		"another's key": func(v *Revocation) { v.Key = sshKey(t, "alice") }, "no such person": func(v *Revocation) { v.Person = "zoe" }, "another charter": func(v *Revocation) { v.Charter[0]++ },
	} {
		x := v
		change(&x)
		s := must(x.Statement(salt))(t)
		if _, err := VerifyRevocation(s, officerSigns(t, s, "revoke", "bob"), c, r); err == nil {
			t.Errorf("%s: it counts", what)
		}
	}
}
