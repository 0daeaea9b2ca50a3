package endpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A wire is an endpoint that answers or does not, and notes how long it was to be waited for.
type wire struct {
	says  func() error // nil: it answers
	waits []string
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	until, _ := r.Context().Deadline()
	wait := "short"
	switch left := time.Until(until); {
	case left > 30*time.Hour:
		wait = "full"
	case left > 2*time.Hour:
		wait = "longer"
	}
	w.waits = append(w.waits, wait)
	if err := w.says(); err != nil {
		return nil, err
	}
	raw, _ := io.ReadAll(r.Body)
	id, _, _ := strings.Cut(strings.SplitN(string(raw), `"id":`, 2)[1], ",")
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(fmt.Sprintf(`{"id":%s,"result":1}`, id)))}, nil
}

func dialled(t *testing.T, w *wire, o Options) *Client {
	t.Helper()
	c, err := New(Kind{Name: "test", Version: "2.0"}, "http://endpoint.example", o)
	if err != nil {
		t.Fatal(err)
	}
	c.client.Transport = w
	return c
}

// An endpoint that did not answer in time is waited for a short while, now and then a longer one, until it answers again.
func TestPatience(t *testing.T) {
	silence := func() error { return context.DeadlineExceeded }
	answer := func() error { return nil }
	w := &wire{says: answer}
	c := dialled(t, w, Options{Timeout: 50 * time.Hour, Short: time.Hour})
	calls := func(n int, says func() error, want ...string) {
		t.Helper()
		w.says, w.waits = says, nil
		for range n {
			var result int
			if err := c.Call(t.Context(), &result, "test"); (err == nil) != (says() == nil) {
				t.Fatal(err)
			}
		}
		if len(want) == 1 {
			want = slices.Repeat(want, n)
		}
		if !slices.Equal(w.waits, want) {
			t.Fatalf("it was waited for %v, want %v", w.waits, want)
		}
	}
	calls(2, answer, "full")
	calls(2, func() error { return errors.New("connection refused") }, "full") // that costs no time
	calls(2, func() error { return context.Canceled }, "full")                 // our own doing
	calls(3, silence, "full", "short", "short")
	calls(1, func() error { return errors.New("connection refused") }, "short")
	calls(12, silence, "short")
	calls(1, silence, "longer")
	calls(15, silence, "short")
	calls(1, answer, "longer")
	calls(2, answer, "full")

	hurried, cancel := context.WithTimeout(t.Context(), time.Minute) // less than the short time was left: that it is silent is not said
	defer cancel()
	w.says = silence
	if err := c.Call(hurried, new(int), "test"); err == nil {
		t.Fatal("it answers")
	}
	calls(1, answer, "full")
}

// One endpoint alone is waited for as ever: nobody else's answer waits for it. In a panel of several each has a patience of its own.
func TestPatienceOfSeveral(t *testing.T) {
	for _, urls := range [][]string{{"http://a.example"}, {"http://a.example", "http://b.example"}} {
		p, err := NewPanel(urls, Options{}, func(url string, o Options) (*Client, error) { return New(Kind{}, url, o) })
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range p.Members() {
			if (m.patience.short == DefaultShort) != (len(urls) > 1) {
				t.Errorf("%d endpoints: one is waited for %s", len(urls), m.patience.short)
			}
		}
	}
}
