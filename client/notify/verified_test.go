package notify

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func found(change ...func(*Verified)) Shown {
	v := &Verified{Whole: true, Versions: []Enactment{{Of: "roster"}, {Of: "charter"}}}
	for _, f := range change {
		f(v)
	}
	return Shown{Circle: "harbour", Verified: v}
}

func fails(reasons ...string) func(*Verified) {
	return func(v *Verified) {
		for _, r := range reasons {
			v.Failures = append(v.Failures, Finding{"operator acme", "its newest log is shown", "proved", r})
		}
	}
}

func attention(what string) func(*Verified) {
	return func(v *Verified) { v.Attention = append(v.Attention, what) }
}

func signs(id string) func(*Verified) {
	return func(v *Verified) {
		v.Signatures = append(v.Signatures, Signature{Vault: "treasury", Request: id, Signed: "5f", InLogs: 3})
	}
}

func version(n uint64) func(*Verified) {
	return func(v *Verified) { v.Versions = append(v.Versions, Enactment{"charter", n, fmt.Sprint("id", n)}) }
}

func partly(v *Verified) { v.Whole = false }

// What each look of a watch tells, one after the other, over a book that is written and read each time.
func TestVerifications(t *testing.T) {
	raw, err := NewBook("harbour").Encode()
	if err != nil {
		t.Fatal(err)
	}
	now := t0
	for i, c := range []struct {
		shown Shown
		want  string
	}{
		{found(partly, fails("away"), signs("i0")), "watch.failed"},
		{found(fails("old"), attention("acme is silent"), signs("i0"), signs("i1")), "watch.failed watch.attention"}, // signatures are known from the first whole look on
		{found(fails("old"), attention("acme is silent"), signs("i1")), ""},
		{found(fails("old", "new"), attention("acme is silent"), signs("i1"), signs("i2")), "watch.failed watch.signed"},
		{found(partly, signs("i1"), signs("i2")), ""}, // what could not be read is not well again
		{found(attention("acme is silent"), signs("i1"), signs("i2"), version(1)), "watch.well watch.version"},
		{found(signs("i1"), signs("i2"), version(1)), "watch.well"},
		{found(), ""},
		{found(fails("old")), "watch.failed"}, // again
		{found(), "watch.well"},
	} {
		b, err := DecodeBook(raw)
		if err != nil {
			t.Fatal(err)
		}
		now = now.Add(5 * time.Minute)
		events, _, err := b.Take(c.shown, map[string]Filter{"desk": {}}, now, patience)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			got = append(got, e.Type)
			if strings.TrimSpace(strings.TrimPrefix(e.Title(), e.Type)) == "" {
				t.Errorf("%s has no title", e.Type)
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("look %d tells %q, want %q", i, got, c.want)
		}
		if raw, err = b.Encode(); err != nil {
			t.Fatal(err)
		}
	}
}

// A reason that changes at every look, or thousands at once, fill no queue; what is told later is not lost.
func TestVerificationsAreBounded(t *testing.T) {
	known, _ := Derive(NewKnown(), found(), t0, 0)
	told := 0
	for i := range 100 {
		var events []Event
		known, events = Derive(known, found(fails(fmt.Sprint("shown with ", i))), t0.Add(time.Duration(i)*10*time.Second), 0)
		told += len(events)
	}
	if told != maxTold {
		t.Errorf("%d are told of a reason that changes", told)
	}
	var many []func(*Verified)
	for i := range maxEvents + 50 {
		many = append(many, signs(fmt.Sprint("i", i)))
	}
	known, _ = Derive(known, found(), t0.Add(time.Hour), 0)
	known, first := Derive(known, found(many...), t0.Add(time.Hour), 0)
	known, second := Derive(known, found(many...), t0.Add(2*time.Hour), 0)
	_, third := Derive(known, found(many...), t0.Add(3*time.Hour), 0)
	if len(first) != maxEvents || len(second) != 50 || len(third) != 0 {
		t.Errorf("%d, then %d, then %d signatures are told", len(first), len(second), len(third))
	}
	long := found(fails(strings.Repeat("x\n", 5000)))
	if _, events := Derive(NewKnown(), long, t0, 0); len(events) != 1 || len(events[0].Title()) > 2*maxText || strings.Contains(events[0].Title(), "\n") {
		t.Errorf("a long reason is told as %q", events[0].Title())
	}
}
