package notify

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func take(t *testing.T, b *Book, s Shown, now time.Time, receivers map[string]Filter) map[string]int {
	t.Helper()
	_, dropped, err := b.Take(s, receivers, now, patience)
	if err != nil {
		t.Fatal(err)
	}
	return dropped
}

func types(q *Queue) string {
	var out []string
	for _, n := range q.Waiting {
		out = append(out, n.Type)
	}
	return strings.Join(out, " ")
}

func TestFilters(t *testing.T) {
	all := map[string]Filter{
		"all": {}, "intents": {Events: []string{"intent.*"}}, "signed": {Events: []string{IntentSigned, KeyRevoked}}, "other": {Vaults: []string{"payroll"}}, "this": {Vaults: []string{"payroll", "treasury"}},
	}
	b := NewBook("main")
	take(t, b, circle(), t0, all)
	take(t, b, circle(shows("i1", "proposed proposed proposed"), shows("i2", "signed signed signed", signed), revokes("bob")), t0.Add(time.Minute), all)
	for name, want := range map[string]string{
		"all": "intent.waiting intent.signed key.revoked", "intents": "intent.waiting intent.signed", "signed": "intent.signed key.revoked", "other": "key.revoked",
		"this": "intent.waiting intent.signed key.revoked",
	} {
		if got := types(b.Queues[name]); got != want {
			t.Errorf("%s is told %q, want %q", name, got, want)
		}
	}
	other := circle()
	other.Freezes = []Freeze{{VaultID: "v2", Operator: "acme", Expires: "x", Nodes: []string{"acme", "bolt"}}}
	take(t, b, other, t0.Add(2*time.Minute), all)
	take(t, b, circle(), t0.Add(3*time.Minute), all)
	if got := types(b.Queues["this"]); strings.Contains(got, "vault.") {
		t.Errorf("who wants one vault's is told %q of a vault that the person does not see", got)
	}
	for name, good := range map[string]bool{"intent.signed": true, "intent.*": true, "node.*": true, "*": false, "intent*": false, "x.*": false, "intent.": false, "": false, "notify.test": false} {
		if err := CheckEvent(name); (err == nil) != good {
			t.Errorf("event %q: %v", name, err)
		}
	}
}

// A receiver that comes later is told what is open, others not again; one that goes loses its queue.
func TestNewReceivers(t *testing.T) {
	b := NewBook("main")
	open := circle(shows("i1", "approving approving approving"), shows("i2", "final final final", signed))
	take(t, b, open, t0, map[string]Filter{"a": {}})
	// The second comes while nothing can be read, and is told as soon as something can.
	take(t, b, circle(blind), t0.Add(time.Minute), map[string]Filter{"a": {}, "b": {}})
	if got := types(b.Queues["b"]); got != "" || !b.Queues["b"].Fresh {
		t.Errorf("b is told %q", got)
	}
	shows("i3", "approving approving approving")(&open)
	take(t, b, open, t0.Add(time.Minute), map[string]Filter{"a": {}, "b": {}})
	if a, b := types(b.Queues["a"]), types(b.Queues["b"]); a != "intent.waiting intent.waiting" || b != a {
		t.Errorf("a is told %q, b %q", a, b)
	}
	if x, y := b.Queues["a"].Waiting[0].ID, b.Queues["b"].Waiting[0].ID; x == y || x != ID("main", "a", "intent.waiting/i1") {
		t.Errorf("ids %s and %s", x, y)
	}
	take(t, b, open, t0.Add(time.Minute), map[string]Filter{"b": {}})
	if len(b.Queues) != 1 {
		t.Errorf("%d queues", len(b.Queues))
	}
	// No null is written, so that everything reads back.
	raw, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeBook(raw); err != nil {
		t.Error(err)
	}
}

// The queue has an end: the oldest gives way.
func TestQueueIsBounded(t *testing.T) {
	b := NewBook("main")
	take(t, b, circle(), t0, map[string]Filter{"a": {}})
	many := circle()
	for n := range MaxWaiting + 3 {
		shows(fmt.Sprint("i", n), "proposed proposed proposed")(&many)
	}
	if d := take(t, b, many, t0, map[string]Filter{"a": {}}); d["a"] != 3 {
		t.Errorf("%d dropped, want 3", d["a"])
	}
	q := b.Queues["a"]
	if len(q.Waiting) != MaxWaiting || q.Dropped != 3 || q.Waiting[0].ID != ID("main", "a", "intent.waiting/i3") {
		t.Errorf("%d wait, %d dropped, the first is %s", len(q.Waiting), q.Dropped, q.Waiting[0].ID)
	}
}

func TestBackoff(t *testing.T) {
	b := NewBook("main")
	b.Queues["a"] = &Queue{Waiting: []Notice{{ID: "1"}, {ID: "2"}}}
	now := t0
	due := func() string {
		n, _, ok := b.Due("a", now)
		if !ok {
			return ""
		}
		return n.ID
	}
	for _, wait := range []int{5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600} {
		if due() == "" {
			t.Fatalf("nothing is due before the wait of %d s", wait)
		}
		b.Failed("a", due(), "x", now)
		if _, next, ok := b.Due("a", now.Add(time.Duration(wait)*time.Second-1)); ok || next.IsZero() {
			t.Errorf("something is due before %d s", wait)
		}
		now = now.Add(time.Duration(wait) * time.Second)
	}
	// A notice that is never taken holds up no other.
	b.Queues["a"] = &Queue{Waiting: []Notice{{ID: "bad"}, {ID: "2"}, {ID: "3"}}}
	b.Failed("a", due(), "400", now)
	now = now.Add(5 * time.Second)
	for _, want := range []string{"2", "3", "bad"} {
		if due() != want {
			t.Fatalf("%s is due, want %s", due(), want)
		}
		if want != "bad" {
			b.Sent("a", want, now)
		}
	}
	b.Failed("a", "bad", "400", now)
	if _, next, _ := b.Due("a", now); next.Sub(now) != 10*time.Second {
		t.Errorf("the bad one waits %v, want 10 s", next.Sub(now))
	}
	b.Queues["a"].put(Notice{ID: "4"})
	b.Queues["a"].put(Notice{ID: "5"})
	if due() != "" {
		t.Errorf("%s is due while the receiver is left alone", due())
	}
	b.Sent("a", "4", now)
	if due() != "5" {
		t.Errorf("%q is due after one was taken, want 5", due())
	}
	b.Sent("a", "5", now)
	b.Sent("a", "bad", now)
	if _, next, ok := b.Due("a", now); ok || !next.IsZero() || b.Queues["a"].Sent != 5 || b.Queues["a"].Error != "" {
		t.Errorf("after all: %+v", b.Queues["a"])
	}
}

// full is a book with something of everything.
func full(t testing.TB) *Book {
	b := NewBook("main")
	if _, _, err := b.Take(circle(), map[string]Filter{"a": {}, "b": {}}, t0, 0); err != nil {
		t.Fatal(err)
	}
	s := circle(shows("i1", "approving approving approving", alarm("acme", "x")), enacted(0), waits("p", 1, "acme bolt", "cora", "", "due -"), frozen("cora", "acme bolt"), revokes("bob"), away("cora", NodeSilent), differ("x"))
	if _, _, err := b.Take(s, map[string]Filter{"a": {}, "b": {Events: []string{"node.*"}}}, t0.Add(time.Second), 0); err != nil {
		t.Fatal(err)
	}
	n, _, _ := b.Due("a", t0)
	b.Failed("a", n.ID, "it answers 500", t0)
	b.Sent("b", b.Queues["b"].Waiting[0].ID, t0)
	return b
}

// The file's bytes: a change of them is a new version.
func TestBookSnapshot(t *testing.T) {
	raw, err := full(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join("testdata", "book.json"))
	if err != nil || !bytes.Equal(raw, want) {
		t.Errorf("%v; the book is\n%s", err, raw)
	}
}

func TestBookRefuses(t *testing.T) {
	raw, err := full(t).Encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"version":1,"context"`, `"version":2,"context"`, "version 2 is not known"},
		{`"context":"main"`, `"contexts":"main"`, "unknown field"},
		{"}\n", "}{}\n", "something follows"},
		{"}\n", "} x\n", "something follows"},
		{`"apart":{`, `"apart":null,"xpart":{`, "unknown field"},
		{`"nodes":{"cora"`, `"nodes":null,"revoked":{"cora"`, "cannot unmarshal"},
		{`"waiting":[]`, `"waiting":null`, "malformed"},
		{`"failures":1`, `"failures":-1`, "malformed"},
		{`"id":"msg_`, `"id":"","type":"msg_`, "malformed"},
		{`"attempts":1`, `"attempts":-1`, "malformed"},
		{`"version":0,"intents"`, `"version":-2,"intents"`, "is none"},
		{`"frozen":{"v1":[`, `"frozen":{"v1":["z",`, "do not ascend"},
		{`"frozen":{"v1":[`, `"frozen":{"v0":[],"v1":[`, "do not ascend"},
	} {
		bad := strings.Replace(string(raw), c.old, c.new, 1)
		if _, err := DecodeBook([]byte(bad)); bad == string(raw) || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
}

func FuzzBook(f *testing.F) {
	raw, err := full(f).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	empty, err := NewBook("main").Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(empty)
	f.Add([]byte(`{"version":1,"queues":{"a":null}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := DecodeBook(raw)
		if err != nil {
			return
		}
		first, err := b.Encode()
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeBook(first)
		if err != nil {
			t.Fatalf("%v: %s", err, first)
		}
		if second, err := again.Encode(); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%v: %s, then %s", err, first, second)
		}
		// Whatever it holds, it can be used.
		if _, _, err := b.Take(circle(shows("i1", "denied denied denied"), frozen("cora", "acme bolt")), map[string]Filter{"a": {}}, t0, patience); err != nil {
			t.Fatal(err)
		}
		n, _, _ := b.Due("a", t0)
		b.Failed("a", n.ID, "x", t0)
	})
}
