package client

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
)

// atPage is a signer whose owner takes longer than a call to a node may, and counts what it signed.
func atPage(t *testing.T, name string) (s *Signer, count func() int) {
	inner := person(t, name)
	var mu sync.Mutex
	signed := 0
	return OutsideSigner(inner.Key(), func(ctx context.Context, verb signet.Verb, message []byte) ([]byte, error) {
		if _, hurries := ctx.Deadline(); hurries {
			t.Error("the time of one call bounds what a person does at a page")
		}
		mu.Lock()
		signed++
		mu.Unlock()
		return inner.Sign(ctx, verb, message)
	}), func() int { mu.Lock(); defer mu.Unlock(); return signed }
}

func TestLogIn(t *testing.T) {
	first, second := newFake("acme"), newFake("bolt")
	nodes := []Node{serve(t, "acme", first, nil), serve(t, "bolt", second, nil)}
	s, signed := atPage(t, "alice")
	c := Dial(Context{"main", nodes}, s, Cache{t.TempDir()})
	t.Cleanup(c.Close)
	for range 2 { // the second time the tokens are there
		if err := c.LogIn(context.Background()); err != nil {
			t.Fatal(err)
		}
		if signed() != 2 {
			t.Fatalf("%d hellos for two nodes", signed())
		}
	}
	first.mu.Lock()
	first.good = "" // it restarted
	first.mu.Unlock()
	if err := c.LogIn(context.Background()); err != nil || signed() != 3 {
		t.Errorf("after a restart: %d hellos, %v", signed(), err)
	}
	if err := listVaults(c); err != nil || signed() != 3 {
		t.Errorf("logged in, and yet %d hellos, %v", signed(), err)
	}
}

// A node that is down keeps nobody from the others; if none lets the person in, that is an error.
func TestLogInFails(t *testing.T) {
	good, down := serve(t, "acme", newFake("acme"), nil), Node{"bolt", "127.0.0.1:1", identity("bolt")}
	s, _ := atPage(t, "alice")
	c := Dial(Context{"main", []Node{good, down}}, s, Cache{})
	t.Cleanup(c.Close)
	if err := c.LogIn(context.Background()); err != nil {
		t.Errorf("one of two: %v", err)
	}
	var nodes *NodesError
	if err := dialOne(t, down, s, Cache{}).LogIn(context.Background()); !errors.As(err, &nodes) {
		t.Errorf("none: %v", err)
	}
}

// Who is waited for at a page, and does not come, has signed nothing.
func TestOutsideSignerIsWaitedFor(t *testing.T) {
	s := OutsideSigner(person(t, "alice").Key(), func(ctx context.Context, _ signet.Verb, _ []byte) ([]byte, error) {
		<-ctx.Done()
		return nil, errors.New("page closed")
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	var unsigned *UnsignedError
	if _, err := s.Sign(ctx, signet.Approve, nil); !errors.As(err, &unsigned) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	refuses := errors.New("the answer does not hold")
	s = OutsideSigner(s.Key(), func(context.Context, signet.Verb, []byte) ([]byte, error) { return nil, refuses })
	if _, err := s.Sign(t.Context(), signet.Approve, nil); !errors.Is(err, refuses) {
		t.Errorf("%v", err)
	}
}
