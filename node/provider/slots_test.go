package provider

import (
	"context"
	"testing"
	"time"
)

// TestSlots: so many start at once, and who does not get ready is in nobody's way for long.
func TestSlots(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := newSlots(2, time.Hour)
	first, _ := s.take(ctx)
	second, _ := s.take(ctx)
	got := make(chan func(), 1)
	go func() {
		leave, ok := s.take(ctx)
		if ok {
			got <- leave
		}
	}()
	select {
	case <-got:
		t.Fatal("a third starts beside two")
	case <-time.After(50 * time.Millisecond):
	}
	first()
	first() // said twice, it is one place
	third := <-got
	cancel()
	if _, ok := s.take(ctx); ok {
		t.Fatal("a fourth starts beside two")
	}
	second()
	third()
	if len(s.free) != 0 {
		t.Fatalf("%d places are held", len(s.free))
	}
	short := newSlots(1, 20*time.Millisecond)
	late, _ := short.take(t.Context())
	next, ok := short.take(t.Context())
	if !ok {
		t.Fatal("who does not get ready keeps its place")
	}
	late()
	if len(short.free) != 1 {
		t.Fatal("who came late gave up another's place")
	}
	next()
}
