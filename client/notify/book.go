package notify

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
)

// Bounds of a receiver's queue, and how long it waits after failures.
const (
	MaxWaiting   = 1000
	firstBackoff = 5 * time.Second
	maxBackoff   = time.Hour
)

// A Book is what was told and what waits to be sent, for one context. Its methods alter it: who needs the old one keeps its bytes.
type Book struct {
	Context string
	Known   Known
	Queues  map[string]*Queue // by receiver
}

// A Queue is what one receiver is still to get.
type Queue struct {
	Fresh    bool      `json:"fresh"` // what is open was not told to it yet
	Waiting  []Notice  `json:"waiting"`
	Dropped  int       `json:"dropped"`    // oldest ones that gave way, ever
	Sent     int       `json:"sent"`       // ever
	Failures int       `json:"failures"`   // since the last that was taken
	Next     time.Time `json:"next"`       // nothing is sent before
	Last     time.Time `json:"last"`       // when one was taken last
	Error    string    `json:"last_error"` // of the last that was not; empty after one that was
}

// A Notice waits to be sent. Its id and body stay the same however often that is tried.
type Notice struct {
	ID       string    `json:"id"`
	Type     string    `json:"type"`
	Body     string    `json:"body"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"`
}

// A Filter is what a receiver wants. Empty lists mean everything.
type Filter struct {
	Events []string // types, or families: "intent.*"
	Vaults []string // names; events that are about no single vault pass
}

// CheckEvent wants a type, or a family of types.
func CheckEvent(name string) error {
	family, all := strings.CutSuffix(name, "*")
	for _, t := range Types {
		if t == name || all && strings.HasSuffix(family, ".") && strings.HasPrefix(t, family) {
			return nil
		}
	}
	return fmt.Errorf("event %.40q is not known: there are %s; intent.* means all that begin so", name, strings.Join(Types, ", "))
}

// Wants says whether a receiver is told of an event.
func (f Filter) Wants(e Event) bool {
	if e.Vault != "" && len(f.Vaults) > 0 && !slices.Contains(f.Vaults, e.Vault) {
		return false
	}
	return len(f.Events) == 0 || slices.ContainsFunc(f.Events, func(name string) bool {
		family, all := strings.CutSuffix(name, "*")
		return name == e.Type || all && strings.HasPrefix(e.Type, family)
	})
}

// NewBook is that of a context that nobody watched before.
func NewBook(context string) *Book {
	return &Book{Context: context, Known: NewKnown(), Queues: map[string]*Queue{}}
}

// Take compares what nodes show now with what was known, and puts the notices of what is new into the queues of the receivers that want them. A
// receiver that is new is told what is open, whatever others were told. Queues of other receivers go. It returns the new events and, by receiver,
// how many waiting notices gave way to newer ones.
func (b *Book) Take(shown Shown, receivers map[string]Filter, now time.Time, patience time.Duration) (events []Event, dropped map[string]int, err error) {
	known, events := Derive(b.Known, shown, now, patience)
	fresh, open := Derive(NewKnown(), shown, now, patience)
	maps.DeleteFunc(b.Queues, func(name string, _ *Queue) bool { _, listed := receivers[name]; return !listed })
	dropped = map[string]int{}
	for _, name := range slices.Sorted(maps.Keys(receivers)) {
		q := b.Queues[name]
		if q == nil {
			q = &Queue{Fresh: true, Waiting: []Notice{}}
			b.Queues[name] = q
		}
		all := events
		if q.Fresh && !fresh.Since.IsZero() {
			q.Fresh, all = false, append(slices.Clone(open), events...)
		}
		for _, e := range all {
			if !receivers[name].Wants(e) {
				continue
			}
			body, err := Body(e.Type, shown.Circle, e.Time, e.Data)
			if err != nil {
				return nil, nil, err
			}
			dropped[name] += q.put(Notice{ID: ID(b.Context, name, e.Key), Type: e.Type, Body: body})
		}
	}
	b.Known = known
	return events, dropped, nil
}

// put adds a notice unless it waits already, and returns how many gave way.
func (q *Queue) put(n Notice) (dropped int) {
	if slices.ContainsFunc(q.Waiting, func(o Notice) bool { return o.ID == n.ID }) {
		return 0
	}
	q.Waiting = append(q.Waiting, n)
	if dropped = len(q.Waiting) - MaxWaiting; dropped > 0 {
		q.Waiting = slices.Delete(q.Waiting, 0, dropped)
		q.Dropped += dropped
		return dropped
	}
	return 0
}

// Due is what a receiver is sent now: of what has waited long enough that which was tried least, and of those the oldest, so that one notice which
// it never takes holds up no other. ok is false if there is none; then next is when to ask again, zero: when something new waits.
func (b *Book) Due(receiver string, now time.Time) (n Notice, next time.Time, ok bool) {
	q := b.Queues[receiver]
	if q == nil || len(q.Waiting) == 0 {
		return n, next, false
	}
	for _, x := range q.Waiting {
		at := x.Next
		if q.Next.After(at) {
			at = q.Next
		}
		if at.After(now) {
			if next.IsZero() || at.Before(next) {
				next = at
			}
		} else if !ok || x.Attempts < n.Attempts {
			n, ok = x, true
		}
	}
	if ok {
		next = time.Time{}
	}
	return n, next, ok
}

// Sent takes a notice that the receiver took off its queue.
func (b *Book) Sent(receiver, id string, now time.Time) {
	q := b.Queues[receiver]
	if q == nil {
		return
	}
	q.Waiting = slices.DeleteFunc(q.Waiting, func(n Notice) bool { return n.ID == id })
	q.Sent++
	q.Failures, q.Next, q.Last, q.Error = 0, time.Time{}, now.UTC(), ""
}

// Failed keeps a notice that the receiver did not take. Both wait: 5 s after the first failure, then twice as long each time, 1 h at most.
func (b *Book) Failed(receiver, id, reason string, now time.Time) {
	q := b.Queues[receiver]
	if q == nil {
		return
	}
	for i := range q.Waiting {
		if n := &q.Waiting[i]; n.ID == id {
			n.Attempts++
			n.Next = now.UTC().Add(backoff(n.Attempts))
		}
	}
	q.Failures++
	q.Next, q.Error = now.UTC().Add(backoff(q.Failures)), cut(reason)
}

func backoff(failures int) time.Duration {
	d := firstBackoff
	for range failures - 1 {
		if d *= 2; d >= maxBackoff {
			return maxBackoff
		}
	}
	return d
}

// MaxBook bounds the file in bytes.
const MaxBook = 512 << 20

const bookVersion = 1

type bookForm struct {
	Version int               `json:"version"`
	Context string            `json:"context"`
	Known   Known             `json:"known"`
	Queues  map[string]*Queue `json:"queues"`
}

// Encode is the book as a file. Equal books have equal bytes.
func (b *Book) Encode() ([]byte, error) {
	raw, err := json.Marshal(bookForm{bookVersion, b.Context, b.Known, b.Queues})
	return append(raw, '\n'), err
}

// DecodeBook reads what Encode wrote, strictly.
func DecodeBook(raw []byte) (*Book, error) {
	if len(raw) > MaxBook {
		return nil, fmt.Errorf("the file has %d bytes, at most %d are allowed", len(raw), MaxBook)
	}
	f := bookForm{Known: NewKnown(), Queues: map[string]*Queue{}}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON document")
	}
	b := &Book{f.Context, f.Known, f.Queues}
	return b, b.check(f.Version)
}

func (b *Book) check(version int) error {
	k := b.Known
	switch {
	case version != bookVersion:
		return fmt.Errorf("version %d is not known here, %d is", version, bookVersion)
	case k.Intents == nil || k.Pending == nil || k.Frozen == nil || k.Revoked == nil || k.Nodes == nil || k.Apart == nil || b.Queues == nil:
		return errors.New("a part of it is null")
	case k.Verified != nil && (k.Verified.Failures == nil || k.Verified.Attention == nil || k.Verified.Told == nil || k.Verified.Signed == nil || k.Verified.Versions == nil):
		return errors.New("a part of what was verified is null")
	case k.Version < -1:
		return fmt.Errorf("version %d of the charter is none", k.Version)
	}
	for id, marks := range k.Frozen {
		if !slices.IsSorted(marks) || len(marks) == 0 {
			return fmt.Errorf("freezes of vault %.64q do not ascend", id)
		}
	}
	if k.Verified != nil {
		for about, at := range k.Verified.Told {
			if len(at) == 0 {
				return fmt.Errorf("what was told about %.64q has no time", about)
			}
		}
	}
	for name, q := range b.Queues {
		if q == nil || q.Waiting == nil || len(q.Waiting) > MaxWaiting || q.Failures < 0 || q.Dropped < 0 || q.Sent < 0 {
			return fmt.Errorf("the queue of receiver %.64q is malformed", name)
		}
		for _, n := range q.Waiting {
			if n.ID == "" || len(n.Body) > maxBody || n.Attempts < 0 {
				return fmt.Errorf("receiver %.64q: notice %.64q is malformed", name, n.ID)
			}
		}
	}
	return nil
}
