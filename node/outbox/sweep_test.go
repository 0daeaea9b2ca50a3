package outbox

import (
	"fmt"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
)

// That a note was taken is forgotten when every peer has it and two weeks have passed, for kinds
// that may be shown again, a page at a time.
func TestSweep(t *testing.T) {
	p := newPost(t)
	const many = 120
	for i := range many {
		p.write(note(i)) // no peer lacks it
	}
	p.write(Note{Kind: 2, Fields: [][]byte{[]byte("of another kind")}})
	p.write(note(many), alice, bob)
	old := note(many + 1).ID()
	if _, err := p.journal.Store().Commit(ctx, store.Batch{Put: []store.Entry{{Key: notedKey(old), Value: []byte{1}}}}); err != nil {
		t.Fatal(err)
	}
	sweep := func(now time.Time) {
		t.Helper()
		if err := p.Sweep(ctx, now, func(k Kind) bool { return k == 1 }); err != nil {
			t.Fatal(err)
		}
	}
	all := fmt.Sprint("2 1 ", many+3)
	for range 5 {
		if sweep(start.Add(notedFor - time.Second)); p.rows() != all {
			t.Fatalf("rows %s before the time has passed, want %s", p.rows(), all)
		}
	}
	p.open() // memory holds nothing that the disk does not
	later := start.Add(notedFor + time.Second)
	sweep(later)
	if got := p.rows(); got == all || got == "2 1 3" {
		t.Errorf("rows %s after one step: it takes a page", got)
	}
	for range 5 {
		sweep(later)
	}
	if got := p.rows(); got != "2 1 3" {
		t.Errorf("rows %s; want those of the other kind, of the older form, and that of a note that peers lack", got)
	}
	for _, peer := range []Peer{alice, bob} {
		p.Settle(peer, note(many).ID(), Taken)
	}
	p.tick(time.Second, always)
	for range 3 {
		sweep(later)
	}
	if got := p.rows(); got != "0 0 2" {
		t.Errorf("rows %s once the peers have it, want 0 0 2", got)
	}
}
