package witness

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// A Suspicion is two checkpoints that a log signed, of different sizes, where its own node asked for a cosignature of the larger and did not show
// that it grew from the smaller. It proves nothing: whether it did, only the log's leaves say. Its operator shows different people different
// histories, or its node was restored from an older copy, or is damaged.
type Suspicion struct {
	Known, Shown []byte // signed
	At           time.Time
}

// Origin names the log.
func (s Suspicion) Origin() string { return tlog.Request{Checkpoint: s.Known}.Origin() }

func (w *Witness) loadForks(ctx context.Context) error {
	items, err := rows(ctx, w.cfg.Journal.Store(), kindFork)
	if err != nil {
		return err
	}
	for _, it := range items {
		d := transcript.NewDecoder(it.Value)
		f := &tlog.ForkError{A: d.Bytes(1, tlog.MaxNote), B: d.Bytes(2, tlog.MaxNote)}
		if err := d.Done(); err != nil {
			w.cfg.Log.Error("a row of a log that forked is passed over", "row", it.Key, "error", err)
			continue
		}
		w.forked[tlog.Request{Checkpoint: f.A}.Origin()] = f
	}
	return nil
}

func (w *Witness) loadSuspicions(ctx context.Context) error {
	items, err := rows(ctx, w.cfg.Journal.Store(), kindOdd)
	if err != nil {
		return err
	}
	for _, it := range items {
		d := transcript.NewDecoder(it.Value)
		s := Suspicion{Known: d.Bytes(1, tlog.MaxNote), Shown: d.Bytes(2, tlog.MaxNote), At: time.Unix(int64(d.Uint(3, 1<<40)), 0).UTC()}
		if err := d.Done(); err != nil {
			w.cfg.Log.Error("a row of a log that is suspected is passed over", "row", it.Key, "error", err)
			continue
		}
		w.odd[s.Origin()] = s
	}
	return nil
}

// Cosign answers a request: a status, its body and content type. Whoever asks, the log's own signature is what counts; from is the node of the
// circle that asks over its own link, and nil for anybody.
func (w *Witness) Cosign(ctx context.Context, now time.Time, from ed25519.PublicKey, body []byte) (status int, contentType string, answer []byte) {
	lines, err := w.cosign(ctx, now, body)
	var no *tlog.Refusal
	var malformed *tlog.FormatError
	switch {
	case err == nil:
		return 200, "text/plain; charset=utf-8", lines
	case errors.As(err, &no):
		w.alarm(ctx, now, from, no)
		contentType, answer = no.Body()
		return no.Status, contentType, answer
	case errors.As(err, &malformed):
		return tlog.StatusMalformed, "text/plain; charset=utf-8", []byte(err.Error() + "\n")
	}
	w.quiet.say(now, func(before int) { w.cfg.Log.Error("not cosigned", "error", err, "unsaid", before) })
	return 500, "text/plain; charset=utf-8", []byte("the witness is in trouble\n")
}

func (w *Witness) cosign(ctx context.Context, now time.Time, body []byte) ([]byte, error) {
	r, err := tlog.DecodeRequest(body)
	if err != nil {
		return nil, err
	}
	v, ok := w.log(r.Origin())
	if !ok {
		return nil, &tlog.Refusal{Status: tlog.StatusUnknownLog, Err: fmt.Errorf("no log has the origin %.100q", r.Origin())}
	}
	defer w.lock()()
	key := seenKey(kindSeen, r.Origin())
	last, err := w.seen(ctx, key, v)
	if err != nil {
		return nil, err
	}
	next, c, err := tlog.Judge(v, last, r)
	if err != nil {
		return nil, err
	}
	failpoint.Hit("witness-before-seen")
	if next.Head != last.Head {
		e := journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: key, Value: next.Signed}}}}
		if err := w.cfg.Journal.Write(ctx, e); err != nil {
			return nil, fmt.Errorf("keep what is cosigned: %w", err)
		}
	}
	failpoint.Hit("witness-after-seen")
	return w.cosigns.Cosign(c, now)
}

// log finds who may sign checkpoints of an origin.
func (w *Witness) log(origin string) (tlog.LogVerifier, bool) {
	for _, k := range w.cfg.Keys() {
		if k.Origin == origin {
			v, err := tlog.NewLogVerifier(k.Origin, k.Log)
			return v, err == nil
		}
	}
	for _, v := range w.cfg.Others {
		if v.Name() == origin {
			return v, true
		}
	}
	return tlog.LogVerifier{}, false
}

func seenKey(kind, origin string) string { return store.Key(kind, store.Name(origin)) }

func (w *Witness) seen(ctx context.Context, key string, v tlog.LogVerifier) (tlog.Seen, error) {
	it, err := w.cfg.Journal.Store().Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return tlog.Seen{}, nil
	}
	if err != nil {
		return tlog.Seen{}, fmt.Errorf("read what was cosigned: %w", err)
	}
	c, _, err := tlog.OpenCheckpoint(it.Value, v, nil)
	if err != nil {
		return tlog.Seen{}, fmt.Errorf("read what was cosigned: %w", err)
	}
	return tlog.Seen{Head: c.Head, Signed: it.Value}, nil
}

// Last is the latest checkpoint that a node cosigned of a log, as its store has it; nil if none. It was verified before it was kept.
func Last(ctx context.Context, s store.Store, origin string) (tlog.Head, []byte, error) {
	it, err := s.Get(ctx, seenKey(kindSeen, origin))
	if errors.Is(err, store.ErrNotFound) {
		return tlog.Head{}, nil, nil
	}
	if err != nil {
		return tlog.Head{}, nil, fmt.Errorf("read what was cosigned: %w", err)
	}
	text, _, _ := bytes.Cut(it.Value, []byte("\n\n"))
	c, err := tlog.ParseCheckpoint(append(bytes.Clone(text), '\n'))
	if err != nil {
		return tlog.Head{}, nil, fmt.Errorf("read what was cosigned: %w", err)
	}
	return c.Head, it.Value, nil
}

// alarm keeps what shows that a log of the circle forked, and tells everybody; and what only looks like it.
func (w *Witness) alarm(ctx context.Context, now time.Time, from ed25519.PublicKey, no *tlog.Refusal) {
	var f *tlog.ForkError
	var back *tlog.RollbackError
	var odd *tlog.InconsistentError
	switch {
	case errors.As(no, &back):
		w.quiet.say(now, func(before int) {
			w.cfg.Log.Warn("an older checkpoint of a log was shown", "error", no, "unsaid", before)
		})
	case errors.As(no, &odd):
		if err := w.suspect(ctx, now, from, odd); err != nil {
			w.cfg.Log.Error("what makes a log suspect is not kept", "error", err)
		}
	}
	if !errors.As(no, &f) {
		return
	}
	w.mu.Lock()
	_, known := w.forked[tlog.Request{Checkpoint: f.A}.Origin()]
	w.mu.Unlock()
	if known {
		return
	}
	n := outbox.Note{Kind: NoteFork, Fields: [][]byte{f.A, f.B}}
	if err := w.keep(now, f, func(e journal.Entry) error { return w.cfg.Post(ctx, now, e, n) }); err != nil {
		w.cfg.Log.Error("a log forked, which is not kept", "error", err)
	}
}

// suspect keeps a larger checkpoint of which its log's own node did not show that it grew from the one that is known, once for each log. With a wrong proof
// anybody can send what an honest log signed; so whoever else asks, nothing is kept.
func (w *Witness) suspect(ctx context.Context, now time.Time, from ed25519.PublicKey, odd *tlog.InconsistentError) error {
	s := Suspicion{odd.Known, odd.Shown, now.UTC().Truncate(time.Second)}
	own := slices.ContainsFunc(w.cfg.Keys(), func(k tlog.Keys) bool { return k.Origin == s.Origin() && k.Identity.Equal(from) })
	defer w.lock()()
	if _, known := w.odd[s.Origin()]; known || !own {
		return nil
	}
	var row transcript.Encoder
	row.Bytes(1, s.Known).Bytes(2, s.Shown).Uint(3, uint64(s.At.Unix()))
	e := journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: seenKey(kindOdd, s.Origin()), Value: row.Sum()}}, Reserve: true},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindAlarm, now, [32]byte{}, row.Sum())},
	}
	if err := w.cfg.Journal.Write(ctx, e); err != nil {
		return err
	}
	w.cfg.Log.Error("a log's own node does not show that it grew from what it signed before", "origin", s.Origin())
	w.odd[s.Origin()] = s
	return nil
}

// Suspicions lists them, by origin.
func (w *Witness) Suspicions() (out []Suspicion) {
	defer w.lock()()
	for _, origin := range slices.Sorted(maps.Keys(w.odd)) {
		out = append(out, w.odd[origin])
	}
	return out
}

// quiet lets a line that anybody can bring about be written once in a while, with how often it was not.
type quiet struct {
	mu     sync.Mutex
	last   time.Time
	unsaid int
}

const quietFor = time.Minute

func (q *quiet) say(now time.Time, line func(before int)) {
	q.mu.Lock()
	since := now.Sub(q.last)
	if !q.last.IsZero() && since >= 0 && since < quietFor {
		q.unsaid++
		q.mu.Unlock()
		return
	}
	before := q.unsaid
	q.last, q.unsaid = now, 0
	q.mu.Unlock()
	line(before)
}

// Take checks a peer's note that a log forked.
func (w *Witness) Take(_ context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if len(n.Fields) != 2 {
		return fmt.Errorf("note of kind %#x has %d fields, not 2", uint8(n.Kind), len(n.Fields))
	}
	origin := tlog.Request{Checkpoint: n.Fields[0]}.Origin()
	v, ok := w.log(origin)
	if !ok {
		return fmt.Errorf("%w: no log of origin %.100q is known here", outbox.ErrLater, origin)
	}
	err := tlog.Compare(v, n.Fields[0], n.Fields[1])
	var f *tlog.ForkError
	if !errors.As(err, &f) {
		return errors.Join(err, errors.New("two checkpoints that do not contradict each other"))
	}
	w.mu.Lock()
	_, known := w.forked[origin]
	w.mu.Unlock()
	if known {
		return outbox.ErrOld
	}
	return w.keep(now, f, write)
}

func (w *Witness) keep(now time.Time, f *tlog.ForkError, write func(journal.Entry) error) error {
	origin := tlog.Request{Checkpoint: f.A}.Origin()
	var row transcript.Encoder
	row.Bytes(1, f.A).Bytes(2, f.B)
	e := journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: seenKey(kindFork, origin), Value: row.Sum()}}, Reserve: true},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindAlarm, now, [32]byte{}, row.Sum())},
	}
	if err := write(e); err != nil {
		return err
	}
	w.cfg.Log.Error("a log forked: its operator signed two histories", "origin", origin)
	defer w.lock()()
	w.forked[origin] = f
	return nil
}
