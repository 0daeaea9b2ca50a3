package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

var (
	ctx   = context.Background()
	start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	alice = Peer{1}
	bob   = Peer{2}
)

func note(i int) Note { return Note{Kind: 1, Fields: [][]byte{fmt.Append(nil, "note ", i)}} }

func always(Peer) bool { return true }
func never(Peer) bool  { return false }

// A post is an outbox over a disk, and what it sent.
type post struct {
	*Outbox
	t    testing.TB
	disk *memory.Disk
	mu   sync.Mutex
	sent []string
	now  time.Time
	each func(n Note)    // called with each note that is sent; may be nil
	over map[string]bool // notes of which nothing comes any more
}

func (p *post) ended(_ Peer, n Note) bool { return p.over[string(n.Fields[0])] }

func newPost(t testing.TB) *post {
	p := &post{t: t, disk: memory.NewDisk(), now: start}
	p.open()
	return p
}

func (p *post) open() {
	p.t.Helper()
	p.disk.Crash()
	s, err := p.disk.Open()
	if err != nil {
		p.t.Fatal(err)
	}
	j, err := journal.Open(ctx, s)
	if err != nil {
		p.t.Fatal(err)
	}
	p.Outbox, err = Open(ctx, j, func(to Peer, raw []byte) {
		p.mu.Lock()
		defer p.mu.Unlock()
		n, err := Decode(raw)
		if err != nil {
			p.t.Error(err)
			return
		}
		p.sent = append(p.sent, fmt.Sprintf("%d:%s", to[0], n.Fields[0]))
		if p.each != nil {
			p.each(n)
		}
	})
	if err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) took() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.sent
	p.sent = nil
	return out
}

func (p *post) write(n Note, to ...Peer) {
	p.t.Helper()
	if err := p.journal.Write(ctx, p.Rows(start, n, to)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *post) tick(d time.Duration, reachable func(Peer) bool) []string {
	p.t.Helper()
	p.now = p.now.Add(d)
	if err := p.Tick(ctx, p.now, reachable, p.ended); err != nil {
		p.t.Fatal(err)
	}
	return p.took()
}

// rows counts what is stored of each kind.
func (p *post) rows() string {
	p.t.Helper()
	var out []string
	for _, kind := range []string{kindOutbox, kindNote, kindNoted} {
		n := 0
		for after := ""; ; {
			items, err := p.journal.Store().Range(ctx, store.Prefix(kind), after, store.MaxLimit)
			if err != nil {
				p.t.Fatal(err)
			}
			if n += len(items); len(items) < store.MaxLimit {
				break
			}
			after = items[len(items)-1].Key
		}
		out = append(out, fmt.Sprint(n))
	}
	return strings.Join(out, " ")
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: sent %q, want %q", what, got, want)
	}
}

// From writing to the last acknowledgement; over a restart at each step.
func TestLifeOfANote(t *testing.T) {
	for _, restart := range []bool{false, true} {
		p := newPost(t)
		again := func() {
			if restart {
				p.open()
			}
		}
		n := note(1)
		p.write(n, alice, bob)
		if restart { // between the rows and Post
			p.open()
			expect(t, "after a restart", p.tick(0, always), "1:note 1", "2:note 1")
		} else {
			p.Post(p.now, n, []Peer{alice, bob})
			expect(t, "post", p.took(), "1:note 1", "2:note 1")
		}
		if p.rows() != "2 1 1" {
			t.Errorf("rows %s", p.rows())
		}
		p.Settle(alice, n.ID(), Taken)
		p.tick(0, always)
		again()
		if p.rows() != "1 1 1" || p.Waiting(alice) != 0 || p.Waiting(bob) != 1 {
			t.Errorf("rows %s, %d wait", p.rows(), p.Waiting(bob))
		}
		expect(t, "resend", p.tick(time.Hour, always), "2:note 1")
		p.Settle(bob, n.ID(), Refused)
		p.tick(0, always)
		again()
		expect(t, "the end", p.tick(time.Hour, always))
		if p.rows() != "0 0 1" {
			t.Errorf("rows %s", p.rows())
		}
		if has, err := p.Has(ctx, n.ID()); err != nil || !has {
			t.Errorf("has %v, %v", has, err)
		}
		if has, err := p.Has(ctx, note(2).ID()); err != nil || has {
			t.Errorf("has %v, %v", has, err)
		}
		var c *store.ConflictError
		if err := p.journal.Write(ctx, p.Rows(start, n, []Peer{alice})); !errors.As(err, &c) {
			t.Errorf("taken twice: %v", err)
		}
	}
}

// What was acknowledged and not yet deleted at a crash is sent once more, and that is all.
func TestAcknowledgedBeforeACrash(t *testing.T) {
	p := newPost(t)
	p.write(note(1), alice)
	p.Post(p.now, note(1), []Peer{alice})
	p.Settle(alice, note(1).ID(), Taken)
	p.took()
	p.open()
	expect(t, "after the crash", p.tick(0, always), "1:note 1")
	p.Settle(alice, note(1).ID(), Taken)
	expect(t, "settled", p.tick(0, always))
	if p.rows() != "0 0 1" {
		t.Errorf("rows %s", p.rows())
	}
}

// Resent after 3, 6, 12 … seconds, at most 5 minutes, however clocks move.
func TestBackoff(t *testing.T) {
	p := newPost(t)
	p.write(note(1), alice)
	p.Post(p.now, note(1), []Peer{alice})
	p.took()
	var waits []time.Duration
	last := p.now
	for len(waits) < 10 {
		if len(p.tick(time.Second, always)) > 0 {
			waits = append(waits, p.now.Sub(last))
			last = p.now
		}
	}
	want := []time.Duration{3, 6, 12, 24, 48, 96, 192, 300, 300, 300}
	for i := range want {
		if waits[i] != want[i]*time.Second {
			t.Errorf("waits %v", waits)
			break
		}
	}
	p.now = p.now.Add(-24 * time.Hour)
	expect(t, "the clock was set back", p.tick(0, always), "1:note 1")
	p.Settle(alice, note(1).ID(), Later)
	p.tick(5*time.Minute, always)
	p.Settle(alice, note(1).ID(), Later)
	p.tick(12*time.Second, always)
	expect(t, "later is soon", p.tick(12*time.Second, always), "1:note 1")
}

func TestUnreachableAndWake(t *testing.T) {
	p := newPost(t)
	for i := range 3 {
		p.write(note(i), alice, bob)
		p.Post(p.now, note(i), []Peer{alice, bob})
	}
	p.took()
	expect(t, "unreachable", p.tick(time.Hour, never))
	p.tick(0, always)
	expect(t, "just sent", p.tick(time.Second, always))
	p.Wake(alice)
	got := p.tick(0, always)
	if len(got) != 3 || strings.Contains(strings.Join(got, " "), "2:") {
		t.Errorf("after wake: sent %q", got)
	}
	expect(t, "once", p.tick(0, always))
}

// A peer answers a note while it is about to be given it anew: the row is deleted once, and not before its second answer.
func TestAnsweredWhileGivenAnew(t *testing.T) {
	for _, between := range []bool{false, true} { // a tick between the two answers
		p := newPost(t)
		late := note(1000)
		p.write(late, alice)
		p.Post(p.now, late, []Peer{alice})
		var notes []Note
		for i := range 60 { // more than go into one batch
			notes = append(notes, note(i))
		}
		p.each = func(Note) { p.Settle(alice, late.ID(), Taken) }
		if err := p.Again(ctx, p.now, []Peer{alice}, append(notes, late)...); err != nil {
			t.Fatal(err)
		}
		p.each = nil
		if p.Waiting(alice) != 61 {
			t.Fatalf("%d notes wait", p.Waiting(alice))
		}
		if between {
			p.tick(time.Millisecond, never)
			if got := p.rows(); got != "61 61 61" {
				t.Errorf("rows %q after the first answer", got)
			}
		}
		for _, n := range append(notes, late) {
			p.Settle(alice, n.ID(), Taken)
		}
		for range 3 {
			p.tick(time.Millisecond, never)
		}
		if got := p.rows(); got != "0 0 61" {
			t.Errorf("rows %q are left", got)
		}
	}
}

// What is withdrawn is owed to nobody, and leaves no row; other notes stay.
func TestWithdraw(t *testing.T) {
	p := newPost(t)
	old, other := note(1), note(2)
	for _, n := range []Note{old, other} {
		p.write(n, alice, bob)
		p.Post(p.now, n, []Peer{alice, bob})
	}
	p.Withdraw(old.ID())
	p.Withdraw(old.ID())
	p.Settle(alice, old.ID(), Taken) // its answer was on the way
	if p.Waiting(alice) != 1 || p.Waiting(bob) != 1 {
		t.Errorf("%d and %d notes wait", p.Waiting(alice), p.Waiting(bob))
	}
	p.tick(time.Millisecond, never)
	if got := p.rows(); got != "2 1 2" {
		t.Errorf("rows %q are left", got)
	}
}

// Only Taken and Refused end a note; what comes from a peer cannot settle another's.
func TestVerdicts(t *testing.T) {
	p := newPost(t)
	p.write(note(1), alice)
	p.Post(p.now, note(1), []Peer{alice})
	for _, v := range []Verdict{0, Later, 4, 255} {
		p.Settle(alice, note(1).ID(), v)
	}
	p.Settle(bob, note(1).ID(), Taken)
	p.Settle(alice, note(2).ID(), Taken)
	if p.Waiting(alice) != 1 {
		t.Errorf("%d wait", p.Waiting(alice))
	}
	p.Settle(alice, note(1).ID(), Taken)
	p.Settle(alice, note(1).ID(), Taken)
	if p.Waiting(alice) != 0 {
		t.Errorf("%d wait", p.Waiting(alice))
	}
	p.tick(0, always)
}

// A peer that was away for long gets what it lacks in bursts, each note once, and the rows of
// hundreds of notes go in bounded batches.
func TestBursts(t *testing.T) {
	const notes = 1000
	p := newPost(t)
	for i := range notes {
		p.write(note(i), alice)
	}
	p.open()
	seen := map[string]bool{}
	for range notes/burstNotes + 1 {
		got := p.tick(time.Millisecond, always)
		if len(got) > burstNotes {
			t.Errorf("%d at once", len(got))
		}
		for _, s := range got {
			if seen[s] {
				t.Errorf("%s twice", s)
			}
			seen[s] = true
		}
	}
	if len(seen) != notes {
		t.Errorf("%d of %d were sent", len(seen), notes)
	}
	for i := range notes {
		p.Settle(alice, note(i).ID(), Taken)
	}
	for range 2 * notes / store.MaxWrites {
		p.tick(0, always)
	}
	p.tick(0, always)
	if p.rows() != "0 0 1000" || len(p.gone) != 0 || len(p.Outbox.rows) != 0 {
		t.Errorf("rows %s, %d gone, %d counted", p.rows(), len(p.gone), len(p.Outbox.rows))
	}
}

func TestLargeNotesInBursts(t *testing.T) {
	p := newPost(t)
	for i := range 5 {
		p.write(Note{Kind: 1, Fields: [][]byte{append(fmt.Append(nil, i), make([]byte, MaxNote-100)...)}}, alice)
	}
	p.open()
	if got := p.tick(0, always); len(got) != 2 { // 2·384 KiB in 1 MiB
		t.Errorf("%d at once", len(got))
	}
	if got := p.tick(time.Millisecond, always); len(got) != 2 {
		t.Errorf("%d in the second burst", len(got))
	}
}

// Rows that cannot be deleted now are deleted later; resending does not depend on it.
func TestDiskInTrouble(t *testing.T) {
	p := newPost(t)
	for i := range 2 {
		p.write(note(i), alice)
		p.Post(p.now, note(i), []Peer{alice})
	}
	p.took()
	p.Settle(alice, note(0).ID(), Taken)
	for _, o := range []memory.Outcome{memory.Full, memory.UnknownLost, memory.UnknownDone} {
		p.disk.SetFault(func(store.Batch) memory.Outcome { return o })
		p.now = p.now.Add(time.Hour)
		if err := p.Tick(ctx, p.now, always, p.ended); err == nil {
			t.Errorf("outcome %d: no error", o)
		}
		expect(t, "in trouble", p.took(), "1:note 1")
	}
	p.disk.SetFault(nil)
	p.tick(0, always)
	if p.rows() != "1 1 2" || len(p.gone) != 0 {
		t.Errorf("rows %s, %d gone", p.rows(), len(p.gone))
	}
	// One note's bytes are lost: said, and the others go on.
	p.write(note(2), alice)
	p.Post(p.now, note(2), []Peer{alice})
	p.took()
	if _, err := p.journal.Store().Commit(ctx, store.Batch{Delete: []string{noteKey(note(1).ID())}}); err != nil {
		t.Fatal(err)
	}
	p.now = p.now.Add(time.Hour)
	if err := p.Tick(ctx, p.now, always, p.ended); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	expect(t, "the other", p.took(), "1:note 2")
}

// A peer that answers *later* to what has ended is sent it ten times more; one that does not answer, or that may have it still, for ever.
func TestEndedNotesAreGivenUp(t *testing.T) {
	p := newPost(t)
	for i := range 2 {
		p.write(note(i), alice, bob)
		p.Post(p.now, note(i), []Peer{alice, bob})
	}
	p.took()
	later := func(times int) (sent int) {
		for range times {
			for _, s := range p.tick(resendMost, always) {
				if strings.HasPrefix(s, "1:") {
					sent++
				}
			}
			for i := range 2 {
				p.Settle(alice, note(i).ID(), Later)
			}
		}
		return sent
	}
	if n := later(50); n != 100 || p.Waiting(alice) != 2 {
		t.Errorf("sent %d times, %d wait: what alice may have still is given up", n, p.Waiting(alice))
	}
	p.over = map[string]bool{"note 0": true}
	if n := later(50); n != 50+10-1 || p.Waiting(alice) != 1 {
		t.Errorf("sent %d times, %d wait for alice", n, p.Waiting(alice))
	}
	if p.Waiting(bob) != 2 || p.rows() != "3 2 2" {
		t.Errorf("%d notes wait for bob, who did not answer; rows %s", p.Waiting(bob), p.rows())
	}
}

func TestStrangeRows(t *testing.T) {
	for _, key := range []string{"outbox/00/00", "outbox/zz", store.Key(kindOutbox, store.ID(alice[:])), store.Key(kindOutbox, store.ID(alice[:]), "00")} {
		d := memory.NewDisk()
		s, err := d.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: key}}}); err != nil {
			t.Fatal(err)
		}
		j, err := journal.Open(ctx, s)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(ctx, j, func(Peer, []byte) {}); err == nil {
			t.Errorf("opened over row %q", key)
		}
	}
}

// Writers, answers, ticks and wakes at once lose nothing and leave nothing.
func TestConcurrentUse(t *testing.T) {
	p := newPost(t)
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := range 40 {
				n := note(100*w + i)
				if err := p.journal.Write(ctx, p.Rows(start, n, []Peer{alice, bob})); err != nil {
					t.Error(err)
				}
				p.Post(start, n, []Peer{alice, bob})
				p.Settle(alice, n.ID(), Taken)
				p.Wake(bob)
				if err := p.Tick(ctx, start.Add(time.Duration(i)*time.Minute), always, p.ended); err != nil {
					t.Error(err)
				}
				p.Settle(bob, n.ID(), Refused)
				_ = p.Waiting(bob)
			}
		})
	}
	wg.Wait()
	for range 20 {
		p.tick(time.Hour, always)
	}
	if p.rows() != "0 0 320" || len(p.gone)+len(p.Outbox.rows) != 0 {
		t.Errorf("rows %s, %d gone, %d counted", p.rows(), len(p.gone), len(p.Outbox.rows))
	}
}

func TestNoteRoundTrip(t *testing.T) {
	for _, n := range []Note{{}, {Kind: 255}, note(1), {Kind: 3, Fields: make([][]byte, maxFields)}} {
		got, err := Decode(n.Encode())
		if err != nil || !bytes.Equal(got.Encode(), n.Encode()) || got.ID() != n.ID() || got.Kind != n.Kind || len(got.Fields) != len(n.Fields) {
			t.Errorf("%+v, %v", got, err)
		}
	}
	good := note(1).Encode()
	for name, b := range map[string][]byte{
		"empty": {}, "cut": good[:len(good)-1], "more": append(bytes.Clone(good), 0),
		"too many fields": Note{Fields: make([][]byte, maxFields+1)}.Encode(),
		"too large":       Note{Fields: [][]byte{make([]byte, MaxNote)}}.Encode(),
	} {
		if n, err := Decode(b); err == nil {
			t.Errorf("%s: decoded to %d fields", name, len(n.Fields))
		}
	}
	b := bytes.Clone(good)
	n, err := Decode(b)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	if !bytes.Equal(n.Encode(), good) {
		t.Error("the note aliases the bytes it was read from")
	}
}

func TestNoteSnapshot(t *testing.T) {
	const want = "00010000000800000000000000070002000000110000000200010000000161000100000000"
	got := fmt.Sprintf("%x", Note{Kind: 7, Fields: [][]byte{[]byte("a"), {}}}.Encode())
	if got != want {
		t.Errorf("got %s", got)
	}
}

func FuzzNote(f *testing.F) {
	f.Add(note(1).Encode())
	f.Add(Note{}.Encode())
	f.Add([]byte("x"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := Decode(b)
		if err == nil && !bytes.Equal(n.Encode(), b) {
			t.Errorf("%x decodes to %+v", b, n)
		}
	})
}
