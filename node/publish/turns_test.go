package publish

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// who waits, of each reader.
func (t *turns) waits(reader string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.waiting[reader])
}

// Whoever asks for very much waits for itself: another's first file is made next, whoever came before.
func TestReadersTakeTurns(t *testing.T) {
	all, ctx := newTurns(1), context.Background()
	if err := all.take(ctx, "greedy"); err != nil {
		t.Fatal(err)
	}
	served := make(chan string)
	wait := func(reader string) {
		n := all.waits(reader)
		go func() {
			if all.take(ctx, reader) == nil {
				served <- reader
			}
		}()
		for all.waits(reader) == n {
			time.Sleep(time.Millisecond)
		}
	}
	for range waitOne {
		wait("greedy")
	}
	if err := all.take(ctx, "greedy"); !errors.Is(err, ErrBusy) {
		t.Errorf("%d wait for one reader, and one more: %v", waitOne, err)
	}
	wait("honest")
	wait("another")
	wait("honest")
	var got string
	for range waitOne + 3 {
		all.give()
		got += string((<-served)[0])
	}
	if got[:6] != "ghaghg" {
		t.Errorf("served in the order %s", got)
	}
	all.give()
	if all.free != 1 || all.count != 0 || len(all.waiting) != 0 || len(all.order) != 0 {
		t.Errorf("%d places, %d wait", all.free, all.count)
	}
}

// Who goes away leaves its place to others, also where its turn came in the same moment.
func TestWhoGoesAwayHoldsNoPlace(t *testing.T) {
	all := newTurns(1)
	for i := range 200 {
		if err := all.take(context.Background(), "first"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- all.take(ctx, fmt.Sprint(i%3)) }()
		for i%2 == 0 && all.waits(fmt.Sprint(i%3)) == 0 {
			time.Sleep(time.Microsecond)
		}
		go cancel()
		all.give()
		if err := <-done; err == nil {
			all.give()
		}
		cancel()
	}
	if all.free != 1 || all.count != 0 || len(all.waiting) != 0 || len(all.order) != 0 {
		t.Errorf("%d places, %d wait", all.free, all.count)
	}
}

// Very many readers wait, and no more; who has none waiting is let in a little longer.
func TestWaitingIsBounded(t *testing.T) {
	all := newTurns(0)
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	for i := range waitAll {
		all.waiting[fmt.Sprint(i)], all.order = []chan struct{}{make(chan struct{})}, append(all.order, fmt.Sprint(i))
		if all.count++; all.count == waitMany {
			if err := all.take(gone, "0"); !errors.Is(err, ErrBusy) {
				t.Errorf("a second for one: %v", err)
			}
			if err := all.take(gone, "new"); !errors.Is(err, context.Canceled) {
				t.Errorf("a first for another: %v", err)
			}
		}
	}
	if err := all.take(gone, "new"); !errors.Is(err, ErrBusy) {
		t.Errorf("%d wait, and one more: %v", all.count, err)
	}
}
