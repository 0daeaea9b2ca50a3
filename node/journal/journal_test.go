package journal_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

var ctx = context.Background()

func leaf(i int) tlog.Filed {
	at := time.Unix(int64(i), 0).UTC()
	if i%3 == 0 {
		return tlog.Notes(tlog.KindBurn, at, [32]byte{}, sha256.Sum256(fmt.Append(nil, i)))
	}
	return tlog.Says(tlog.KindStatement, at, [32]byte{1}, fmt.Append(nil, i), []byte("signature"))
}

// A model is what the journal should hold: rows and leaves.
type model struct {
	leaves []tlog.Filed
	rows   map[string]string
}

// check compares disk, head and leaves with the model, and the root with RFC 6962's words.
func (m *model) check(t *testing.T, j *journal.Journal) {
	t.Helper()
	head, err := j.Head(ctx)
	var raw [][]byte
	for _, l := range m.leaves {
		raw = append(raw, l.Leaf.Encode())
	}
	if want := (tlog.Head{Size: int64(len(raw)), Root: naive(raw)}); err != nil || head != want {
		t.Fatalf("head is %v, want %v; %v", head, want, err)
	}
	if got, err := j.Verify(ctx); err != nil || got != head {
		t.Fatalf("verified %v, %v", got, err)
	}
	for i, want := range m.leaves {
		if got, err := j.Leaf(ctx, int64(i)); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("leaf %d is %+v, want %+v; %v", i, got, want, err)
		}
	}
	if got, err := j.Leaves(ctx, 0, store.MaxLimit); err != nil || !reflect.DeepEqual(got, slices.Clip(append([]tlog.Filed{}, m.leaves...))) {
		t.Fatalf("leaves are %+v, want %+v; %v", got, m.leaves, err)
	}
	items, err := j.Store().Range(ctx, "row/", "", store.MaxLimit)
	if err != nil || len(items) != len(m.rows) {
		t.Fatalf("%d rows, want %d; %v", len(items), len(m.rows), err)
	}
	for _, it := range items {
		if m.rows[it.Key] != string(it.Value) {
			t.Fatalf("row %q is %q, want %q", it.Key, it.Value, m.rows[it.Key])
		}
	}
}

func naive(leaves [][]byte) tlog.Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		l, r := naive(leaves[:k]), naive(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
}

func open(t testing.TB, d *memory.Disk) *journal.Journal {
	t.Helper()
	s, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	j, err := journal.Open(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// Random entries, with a disk that is full now and then or whose outcome is unknown, and
// restarts: what was acknowledged stands, what was refused does not, and the log is one tree.
func TestAgainstAModel(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 0))
		d := memory.NewDisk()
		j := open(t, d)
		m := &model{rows: map[string]string{}}
		next, last := memory.Write, memory.Write
		d.SetFault(func(store.Batch) memory.Outcome { last, next = next, memory.Write; return last })
		for i := range 60 {
			e, after := entry(r, i, m)
			if r.IntN(4) == 0 {
				next = memory.Outcome(1 + r.IntN(3))
			}
			last = memory.Write
			err := j.Write(ctx, e)
			switch {
			case err == nil && last != memory.Write, errors.Is(err, store.ErrUnknown) && last != memory.UnknownDone && last != memory.UnknownLost:
				t.Fatalf("seed %d, entry %d: outcome %d became %v", seed, i, last, err)
			case err == nil, errors.Is(err, store.ErrUnknown) && last == memory.UnknownDone:
				after(m)
			}
			next = memory.Write
			if r.IntN(10) == 0 {
				d.Crash()
				j = open(t, d)
			}
		}
		m.check(t, j)
	}
}

// entry draws an entry, and what it does to the model.
func entry(r *rand.Rand, i int, m *model) (e journal.Entry, after func(*model)) {
	key := store.Key("row", store.Number(uint64(r.IntN(8))))
	for k := range r.IntN(4) {
		e.Leaves = append(e.Leaves, leaf(100*i+k))
	}
	value := fmt.Sprint(i)
	switch {
	case m.rows[key] == "":
		e.If = []store.Cond{store.Absent(key)}
		e.Put = []store.Entry{{Key: key, Value: []byte(value)}}
	case r.IntN(3) == 0:
		e.Delete = []string{key}
		value = ""
	default:
		e.Put = []store.Entry{{Key: key, Value: []byte(value)}}
	}
	return e, func(m *model) {
		m.leaves = append(m.leaves, e.Leaves...)
		if m.rows[key] = value; value == "" {
			delete(m.rows, key)
		}
	}
}

// Many writers, of whom some lose a race: each learns its own fate, the log has the winners'
// leaves and no others, and far fewer batches are written than there are entries.
func TestConcurrentWriters(t *testing.T) {
	d := memory.NewDisk()
	j := open(t, d)
	var mu sync.Mutex
	batches, won, lost := 0, 0, 0
	d.SetFault(func(store.Batch) memory.Outcome { batches++; time.Sleep(200 * time.Microsecond); return memory.Write })
	var wg sync.WaitGroup
	for w := range 32 {
		wg.Go(func() {
			for i := range 25 {
				key := store.Key("row", store.Number(uint64((w*25+i)/2))) // two want each
				err := j.Write(ctx, journal.Entry{
					Batch:  store.Batch{If: []store.Cond{store.Absent(key)}, Put: []store.Entry{{Key: key, Value: fmt.Append(nil, w)}}},
					Leaves: []tlog.Filed{leaf(w*25 + i)},
				})
				mu.Lock()
				var c *store.ConflictError
				switch {
				case err == nil:
					won++
				case errors.As(err, &c) && c.Key == key:
					lost++
				default:
					t.Error(err)
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	head, err := j.Verify(ctx)
	if err != nil || head.Size != int64(won) || won != 400 || lost != 400 {
		t.Errorf("%d won, %d lost, head %v, %v", won, lost, head, err)
	}
	if batches > 400 {
		t.Errorf("%d batches were written", batches)
	}
	d.Crash()
	if j := open(t, d); j == nil {
		t.Fatal("not opened")
	}
}

// stalled is a store whose first commit waits, so that others gather behind it.
type stalled struct {
	store.Store
	once    sync.Once
	started chan struct{}
	release chan struct{}

	mu      sync.Mutex
	batches []store.Batch
}

func (s *stalled) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	s.once.Do(func() { close(s.started); <-s.release })
	s.mu.Lock()
	s.batches = append(s.batches, b)
	s.mu.Unlock()
	return s.Store.Commit(ctx, b)
}

// gather writes first, and when its commit waits the others, in order; then all go.
func gather(t *testing.T, entries []journal.Entry, ctxs map[int]context.Context) (s *stalled, j *journal.Journal, errs []error) {
	t.Helper()
	return gatherOn(t, memory.NewDisk(), entries, ctxs)
}

func gatherOn(t *testing.T, d *memory.Disk, entries []journal.Entry, ctxs map[int]context.Context) (s *stalled, j *journal.Journal, errs []error) {
	t.Helper()
	under, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	s = &stalled{Store: under, started: make(chan struct{}), release: make(chan struct{})}
	if j, err = journal.Open(ctx, s); err != nil {
		t.Fatal(err)
	}
	errs = make([]error, len(entries))
	var wg sync.WaitGroup
	for i, e := range entries {
		c := ctxs[i]
		if c == nil {
			c = ctx
		}
		wg.Go(func() { errs[i] = j.Write(c, e) })
		if i == 0 {
			<-s.started
			continue
		}
		for journal.Queued(j) < i {
			time.Sleep(50 * time.Microsecond)
		}
	}
	close(s.release)
	wg.Wait()
	return s, j, errs
}

func put(key string, leaves ...tlog.Filed) journal.Entry {
	return journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: key, Value: []byte(key)}}}, Leaves: leaves}
}

func keys(b store.Batch) (out []string) {
	for _, p := range b.Put {
		if !strings.HasPrefix(p.Key, "log") {
			out = append(out, p.Key)
		}
	}
	return out
}

// One entry that conflicts, is invalid or withdrawn never fails another of its group.
func TestOneEntryNeverFailsAnother(t *testing.T) {
	conflict := put("c", leaf(9))
	conflict.If = []store.Cond{{Key: "absent", Revision: 7}}
	invalid := put("", leaf(9))
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for name, bad := range map[string]journal.Entry{"conflict": conflict, "invalid": invalid, "ended": put("e", leaf(9))} {
		for at := 1; at <= 3; at++ {
			entries := []journal.Entry{put("first", leaf(0)), put("a", leaf(1)), put("b", leaf(2))}
			entries = slices.Insert(entries, at, bad)
			ctxs := map[int]context.Context{}
			if name == "ended" {
				ctxs[at] = ended
			}
			s, j, errs := gather(t, entries, ctxs)
			if name == "conflict" && len(s.batches) != 3 { // first, all, all but one
				t.Errorf("%s at %d: %d batches", name, at, len(s.batches))
			}
			for i, err := range errs {
				var c *store.ConflictError
				ok := err == nil
				if i == at {
					ok = map[string]bool{
						"conflict": errors.As(err, &c) && c.Key == "absent",
						"invalid":  errors.Is(err, store.ErrInvalid), "ended": errors.Is(err, context.Canceled),
					}[name]
				}
				if !ok {
					t.Errorf("%s at %d: entry %d: %v", name, at, i, err)
				}
			}
			if head, err := j.Verify(ctx); err != nil || head.Size != 3 {
				t.Errorf("%s at %d: %v, %v", name, at, head, err)
			}
		}
	}
}

// A writer that gives up while others stand in its batch must not make their fate unknown: a
// burn beside it would end the process.
func TestContextEndsInTheMiddle(t *testing.T) {
	c, cancel := context.WithCancel(ctx)
	j, err := journal.Open(ctx, &ending{memory.New(), cancel})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Write(c, put("a", leaf(1))); err != nil {
		t.Errorf("got %v", err)
	}
	if err := j.Write(c, put("b", leaf(2))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// ending ends the caller's context while it writes: it then does not wait for the outcome.
type ending struct {
	store.Store
	cancel func()
}

func (s *ending) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	rev, err := s.Store.Commit(ctx, b)
	s.cancel()
	if ctx.Err() != nil {
		return 0, store.ErrUnknown
	}
	return rev, err
}

// What may use the reserve takes nobody along; who shares a key comes later; the bounds of
// the store hold for groups.
func TestGroups(t *testing.T) {
	reserve := put("deny", leaf(5))
	reserve.Reserve = true
	big := put("big", leaf(6))
	big.Put[0].Value = make([]byte, 700<<10)
	entries := []journal.Entry{put("first"), put("a", leaf(1)), put("b", leaf(2)), reserve, put("c"), put("c", leaf(3)), big, put("d")}
	s, j, errs := gather(t, entries, nil)
	for i, err := range errs {
		if err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	var got []string
	for _, b := range s.batches {
		got = append(got, strings.Join(keys(b), " "))
		if b.Reserve != slices.Contains(keys(b), "deny") {
			t.Errorf("reserve of batch %q is %v", keys(b), b.Reserve)
		}
	}
	if want := []string{"first", "a b", "deny", "c", "c", "big", "d"}; !slices.Equal(got, want) {
		t.Errorf("batches %q, want %q", got, want)
	}
	var many []journal.Entry
	for i := range 200 {
		many = append(many, put(fmt.Sprintf("k%03d", i), leaf(i)))
	}
	s, j, errs = gather(t, many, nil)
	for i, err := range errs {
		if err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	if head, err := j.Verify(ctx); err != nil || head.Size != 200 || len(s.batches) > 9 {
		t.Errorf("%d batches, head %v, %v", len(s.batches), head, err)
	}
}

// On a full disk what needs the reserve is written, and nothing beside it.
func TestReserveIsNotShared(t *testing.T) {
	d := memory.NewDisk()
	n := 0
	d.SetFault(func(store.Batch) memory.Outcome {
		if n++; n == 1 {
			return memory.Write
		}
		return memory.Full
	})
	deny := put("deny", leaf(2))
	deny.Reserve = true
	_, j, errs := gatherOn(t, d, []journal.Entry{put("first"), put("a", leaf(1)), deny, put("b", leaf(3))}, nil)
	if errs[0] != nil || !errors.Is(errs[1], store.ErrFull) || errs[2] != nil || !errors.Is(errs[3], store.ErrFull) {
		t.Errorf("got %v", errs)
	}
	if head, err := j.Verify(ctx); err != nil || head.Size != 1 {
		t.Errorf("head %v, %v", head, err)
	}
}

// After an unknown outcome the stored head decides, whichever it was.
func TestUnknownOutcome(t *testing.T) {
	for outcome, size := range map[memory.Outcome]int64{memory.UnknownDone: 3, memory.UnknownLost: 2} {
		d := memory.NewDisk()
		j := open(t, d)
		if err := j.Write(ctx, put("a", leaf(1))); err != nil {
			t.Fatal(err)
		}
		d.SetFault(func(store.Batch) memory.Outcome { return outcome })
		if err := j.Write(ctx, put("b", leaf(2))); !errors.Is(err, store.ErrUnknown) {
			t.Errorf("got %v", err)
		}
		d.SetFault(nil)
		if err := j.Write(ctx, put("c", leaf(3))); err != nil {
			t.Errorf("after outcome %d: %v", outcome, err)
		}
		if head, err := j.Verify(ctx); err != nil || head.Size != size {
			t.Errorf("after outcome %d: head %v, %v", outcome, head, err)
		}
	}
}

// A head that moved without us is not the caller's conflict.
func TestHeadThatMoved(t *testing.T) {
	d := memory.NewDisk()
	s, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	a, err1 := journal.Open(ctx, s)
	b, err2 := journal.Open(ctx, s)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	for i := range 6 {
		j := []*journal.Journal{a, b}[i%2]
		if err := j.Write(ctx, put(fmt.Sprint(i), leaf(i))); err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
	}
	if head, err := a.Verify(ctx); err != nil || head.Size != 6 {
		t.Errorf("head %v, %v", head, err)
	}
	if err := a.Write(ctx, put("x", leaf(6))); err != nil {
		t.Fatal(err)
	}
	always := &moving{Store: s}
	c, err := journal.Open(ctx, always)
	if err != nil {
		t.Fatal(err)
	}
	always.on = true
	var conflict *store.ConflictError
	if err := c.Write(ctx, put("y", leaf(7))); !errors.Is(err, journal.ErrUnlogged) || errors.As(err, &conflict) {
		t.Errorf("got %v", err)
	}
}

type moving struct {
	store.Store
	on bool
}

func (m *moving) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if m.on {
		return 0, &store.ConflictError{Key: "log-head"}
	}
	return m.Store.Commit(ctx, b)
}

// A store that panics in the leader's hands leaves nobody waiting.
func TestPanicInTheLeader(t *testing.T) {
	d := memory.NewDisk()
	under, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	p := &panicking{Store: under}
	j, err := journal.Open(ctx, p)
	if err != nil {
		t.Fatal(err)
	}
	p.on = true
	func() {
		defer func() {
			if recover() == nil {
				t.Error("no panic")
			}
		}()
		_ = j.Write(ctx, put("a", leaf(1)))
	}()
	p.on = false
	if err := j.Write(ctx, put("b", leaf(2))); err != nil {
		t.Error(err)
	}
	if head, err := j.Verify(ctx); err != nil || head.Size != 2 { // the panic came after the write
		t.Errorf("head %v, %v", head, err)
	}
}

type panicking struct {
	store.Store
	on bool
}

func (p *panicking) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	rev, err := p.Store.Commit(ctx, b)
	if p.on {
		panic("after the write")
	}
	return rev, err
}

// Whatever of the log is damaged, moved or missing is found: by Open what later appends stand
// on, by Verify all of it.
func TestDamage(t *testing.T) {
	const size = 11
	fill := func() (*memory.Disk, *memory.Store) {
		d := memory.NewDisk()
		j := open(t, d)
		for i := range size {
			if err := j.Write(ctx, put(fmt.Sprint(i), leaf(i))); err != nil {
				t.Fatal(err)
			}
		}
		d.Crash()
		s, err := d.Open()
		if err != nil {
			t.Fatal(err)
		}
		return d, s
	}
	_, s := fill()
	var all []store.Item
	for _, prefix := range []string{"log-head", "log/"} {
		items, err := s.Range(ctx, prefix, "", store.MaxLimit)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, items...)
	}
	if len(all) != 1+size {
		t.Fatalf("%d rows", len(all))
	}
	flip := func(it store.Item, at int) store.Batch {
		v := slices.Clone(it.Value)
		v[at] ^= 1
		return store.Batch{Put: []store.Entry{{Key: it.Key, Value: v}}}
	}
	for _, it := range all {
		batches := map[string]store.Batch{
			"cut":  {Put: []store.Entry{{Key: it.Key, Value: it.Value[:len(it.Value)-1]}}},
			"gone": {Delete: []string{it.Key}},
		}
		for at := range len(it.Value) {
			// What a detached signature is worth, whoever knows its key says.
			if at < len(it.Value)-len("signature") || !bytes.HasSuffix(it.Value, []byte("signature")) {
				batches[fmt.Sprint("flipped at ", at)] = flip(it, at)
			}
		}
		for name, b := range batches {
			_, s := fill()
			j, err := journal.Open(ctx, s)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Commit(ctx, b); err != nil {
				t.Fatal(err)
			}
			if it.Key == "log-head" && name == "gone" {
				if _, err := journal.Open(ctx, s); err == nil {
					t.Errorf("opened without a head over %d leaves", size)
				}
				continue
			}
			if _, err := j.Verify(ctx); err == nil {
				t.Errorf("%s %s: verified", it.Key, name)
			}
			if it.Key == "log-head" {
				if _, err := journal.Open(ctx, s); err == nil {
					t.Errorf("%s %s: opened", it.Key, name)
				}
			}
		}
	}
	// A head set back to an earlier, true state.
	_, s = fill()
	var raw [][]byte
	for i := range 5 {
		raw = append(raw, leaf(i).Leaf.Encode())
	}
	root := naive(raw)
	old := append([]byte{0, 0, 0, 0, 0, 0, 0, 5}, root[:]...)
	if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: "log-head", Value: old}}}); err != nil {
		t.Fatal(err)
	}
	if _, err := journal.Open(ctx, s); err == nil || !strings.Contains(err.Error(), "past the head") {
		t.Errorf("opened with a head set back: %v", err)
	}
	for _, size := range []byte{0, 255} {
		bad := slices.Clone(old)
		bad[0], bad[7] = size, 0
		if _, err := s.Commit(ctx, store.Batch{Put: []store.Entry{{Key: "log-head", Value: bad}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := journal.Open(ctx, s); err == nil || !strings.Contains(err.Error(), "size") {
			t.Errorf("size %d‖0: %v", size, err)
		}
	}
}

// A leaf that could not be read again is never written, nor what stands beside it.
func TestLeafThatCannotBeReadAgain(t *testing.T) {
	j := open(t, memory.NewDisk())
	for name, l := range map[string]tlog.Filed{
		"no kind": tlog.Notes("", time.Unix(1, 0), [32]byte{}, [32]byte{}), "no time": tlog.Notes("k", time.Time{}, [32]byte{}, [32]byte{}),
		"another body": {Leaf: leaf(1).Leaf, Body: leaf(2).Body}, "a long body": tlog.Says("k", time.Unix(1, 0), [32]byte{}, make([]byte, tlog.MaxContent+1)),
	} {
		if err := j.Write(ctx, put("a", l)); !errors.Is(err, journal.ErrUnlogged) {
			t.Errorf("%s: %v", name, err)
		}
	}
	(&model{}).check(t, j)
	if _, err := j.Leaf(ctx, 0); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("leaf 0: %v", err)
	}
}

func TestClosedStore(t *testing.T) {
	d := memory.NewDisk()
	j := open(t, d)
	d.Crash()
	for range 2 {
		if err := j.Write(ctx, put("a", leaf(1))); !errors.Is(err, store.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := j.Head(ctx); !errors.Is(err, store.ErrClosed) {
		t.Errorf("head: %v", err)
	}
	if _, err := j.Verify(ctx); !errors.Is(err, store.ErrClosed) {
		t.Errorf("verify: %v", err)
	}
}
