package fence

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/internal/components/swtpm"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/tpm"
)

// machine is a node alone, without peers, over a disk that can be set back.
type machine struct {
	t     *testing.T
	disk  *memory.Disk
	store *memory.Store
	key   ed25519.PrivateKey
	now   time.Time
	fatal error
	burnt int
	share bool // replicas have its store
	log   bytes.Buffer
}

func newMachine(t *testing.T, key byte) *machine {
	return &machine{t: t, disk: memory.NewDisk(), key: testKey(key), now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
}

func (m *machine) counter(d *tpm.Device) Counter {
	return tpm.NewCounter(d, m.key.Public().(ed25519.PublicKey))
}

// start begins a process over the disk.
func (m *machine) start(c Counter) (*Fence, error) {
	m.t.Helper()
	ctx := m.t.Context()
	m.disk.Crash()
	var err error
	if m.store, err = m.disk.Open(); err != nil {
		m.t.Fatal(err)
	}
	j, err := journal.Open(ctx, m.store)
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := j.ReadOn(ctx, 1<<20); err != nil {
		m.t.Fatal(err)
	}
	return Open(ctx, m.now, Config{
		Identity: m.key, Journal: j, Rand: rand.Reader, Log: slog.New(slog.NewTextHandler(&m.log, nil)), Counter: c, Shared: m.share,
		Peers: func() []engine.PartyID { return nil }, Fatal: func(err error) { m.fatal = err },
		Drop: func(context.Context, time.Time, error) {},
		Burn: func(context.Context, time.Time) (int, error) { m.burnt++; return 0, nil },
	})
}

func (m *machine) begin(c Counter) *Fence {
	m.t.Helper()
	f, err := m.start(c)
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}

// free starts a process that must not be fenced.
func (m *machine) free(c Counter) *Fence {
	m.t.Helper()
	f := m.begin(c)
	if err := f.Fenced(); err != nil {
		m.t.Fatalf("fenced: %v", err)
	}
	return f
}

// fenced starts a process that must be, with these words; the node stays so over a restart, until its operator speaks, and is free then.
func (m *machine) fenced(c Counter, why string) {
	m.t.Helper()
	for range 2 {
		f := m.begin(c)
		var x *FencedError
		if err := f.Fenced(); !errors.As(err, &x) || !strings.Contains(x.Why, why) || !strings.Contains(x.Error(), "confirm-restore") {
			m.t.Fatalf("not fenced for %q: %v", why, err)
		}
		if err := f.Burnt(m.t.Context(), m.now); err != nil || m.burnt == 0 {
			m.t.Fatalf("pairs are not burned: %v", err)
		}
	}
	f := m.begin(c)
	if _, err := f.Confirm(m.t.Context(), m.now); err != nil || f.Fenced() != nil || m.fatal != nil {
		m.t.Fatalf("after the operator's word: %v, %v, %v", err, f.Fenced(), m.fatal)
	}
	m.free(c)
	m.free(c)
}

func (m *machine) rows() []store.Item {
	m.t.Helper()
	var all []store.Item
	for after := ""; ; {
		items, err := m.store.Range(m.t.Context(), "", after, store.MaxLimit)
		if err != nil {
			m.t.Fatal(err)
		}
		all = append(all, items...)
		if len(items) < store.MaxLimit {
			return all
		}
		after = items[len(items)-1].Key
	}
}

// setBack puts older rows in place of the disk's.
func (m *machine) setBack(rows []store.Item) {
	m.t.Helper()
	m.disk = memory.NewDisk()
	st, err := m.disk.Open()
	if err != nil {
		m.t.Fatal(err)
	}
	var b store.Batch
	for _, it := range rows {
		b.Put = append(b.Put, store.Entry{Key: it.Key, Value: it.Value})
	}
	if _, err := st.Commit(m.t.Context(), b); err != nil {
		m.t.Fatal(err)
	}
}

// replaced puts those of other rows in their place whose kind is named.
func replaced(rows, others []store.Item, kinds ...string) []store.Item {
	rows = without(rows, kinds...)
	for _, it := range others {
		if slices.ContainsFunc(kinds, func(kind string) bool { return it.Key == kind || strings.HasPrefix(it.Key, store.Prefix(kind)) }) {
			rows = append(rows, it)
		}
	}
	return rows
}

// without leaves out the rows of these kinds.
func without(rows []store.Item, kinds ...string) []store.Item {
	return slices.DeleteFunc(slices.Clone(rows), func(it store.Item) bool {
		return slices.ContainsFunc(kinds, func(kind string) bool { return it.Key == kind || strings.HasPrefix(it.Key, store.Prefix(kind)) })
	})
}

func machineOf(t *testing.T, d *tpm.Device) [32]byte {
	t.Helper()
	r, err := tpm.NewCounter(d, testKey(1).Public().(ed25519.PublicKey)).Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r.Machine
}

// One emulator serves all nodes here: each has its own counter in it.
func TestCounters(t *testing.T) {
	e := swtpm.Start(t)
	d, err := tpm.New(e.Path())
	if err != nil {
		t.Fatal(err)
	}
	other, err := tpm.New(swtpm.Start(t).Path())
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range []struct {
		name string
		do   func(t *testing.T, m *machine, d, other *tpm.Device)
	}{
		{"starts", func(_ *testing.T, m *machine, d, _ *tpm.Device) {
			for range 4 {
				m.free(m.counter(d))
			}
		}},
		// No peer is there to tell.
		{"set back by one start", func(_ *testing.T, m *machine, d, _ *tpm.Device) {
			m.free(m.counter(d))
			old := m.rows()
			m.free(m.counter(d))
			m.setBack(old)
			m.fenced(m.counter(d), "the store was set back, or another copy was started")
		}},
		{"set back by many", func(_ *testing.T, m *machine, d, _ *tpm.Device) {
			m.free(m.counter(d))
			old := m.rows()
			for range 5 {
				m.free(m.counter(d))
			}
			m.setBack(old)
			m.fenced(m.counter(d), "the store was set back, or another copy was started")
		}},
		{"set back, with today's row of the counter", func(t *testing.T, m *machine, d, _ *tpm.Device) {
			m.free(m.counter(d))
			old := m.rows()
			for range 3 {
				m.free(m.counter(d))
			}
			m.setBack(replaced(old, m.rows(), kindCounter))
			m.fenced(m.counter(d), "was written at start 4, and its last start is 1")
		}},
		{"set back, with today's rows of counter and life", func(t *testing.T, m *machine, d, _ *tpm.Device) {
			m.free(m.counter(d))
			old := m.rows()
			m.free(m.counter(d))
			m.free(m.counter(d))
			m.setBack(replaced(old, m.rows(), kindCounter, kindInstance))
			m.fenced(m.counter(d), "was written over a log of 2 entries, and this log did not grow from that one")
		}},
		{"set back, with today's rows, over another log", func(t *testing.T, m *machine, d, _ *tpm.Device) {
			m.free(m.counter(d))
			old := m.rows()
			m.free(m.counter(d))
			m.free(m.counter(d))
			now := m.rows()
			m.setBack(old)
			for range 3 {
				m.begin(m.counter(d)) // fenced, and its log grows
			}
			m.setBack(without(replaced(m.rows(), now, kindCounter, kindInstance), kindFenced))
			m.fenced(m.counter(d), "did not grow from that one")
		}},
		{"a counter that is being made, again", func(t *testing.T, m *machine, d, _ *tpm.Device) {
			f := m.begin(nil) // as a start that is cut off leaves it
			f.count.machine = machineOf(t, d)
			if err := f.keep(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			made := m.rows()
			m.free(m.counter(d))
			m.free(m.counter(d))
			old := m.rows()
			m.free(m.counter(d))
			m.setBack(replaced(old, made, kindCounter))
			m.fenced(m.counter(d), "was written at start 1, and its last start is 3")
		}},
		{"a row of the release before", func(t *testing.T, m *machine, d, _ *tpm.Device) {
			f := m.free(m.counter(d))
			key := store.Key(kindCounter, store.ID(f.count.machine[:]))
			if _, err := m.store.Commit(t.Context(), store.Batch{Put: []store.Entry{{Key: key, Value: binary.BigEndian.AppendUint64(nil, f.count.value)}}}); err != nil {
				t.Fatal(err)
			}
			m.free(m.counter(d))
			if it, err := m.store.Get(t.Context(), key); err != nil || len(it.Value) != counterSize {
				t.Errorf("the row has %d bytes: %v", len(it.Value), err)
			}
		}},
		{"set back to before the counter", func(_ *testing.T, m *machine, d, _ *tpm.Device) {
			m.free(nil)
			old := m.rows()
			m.free(m.counter(d))
			m.setBack(old)
			m.fenced(m.counter(d), "its store knows of none of them")
		}},
		{"brought to another machine", func(_ *testing.T, m *machine, d, other *tpm.Device) {
			m.free(m.counter(d))
			m.fenced(m.counter(other), "brought to another machine, or the TPM was replaced or cleared")
			m.fenced(nil, "names no counter any more") // switched off
		}},
		{"two machines, both confirmed", func(_ *testing.T, m *machine, d, other *tpm.Device) {
			m.free(m.counter(d))
			m.fenced(m.counter(other), "brought to another machine")
			m.free(m.counter(d)) // each has its own row
			m.free(m.counter(other))
		}},
		{"replicas", func(_ *testing.T, m *machine, d, other *tpm.Device) {
			m.share = true
			m.free(m.counter(d))
			m.free(m.counter(other)) // another machine, with the same store
			m.free(m.counter(d))
			m.free(nil) // one without a TPM
			m.free(m.counter(other))
			old := m.rows()
			m.free(m.counter(d))
			m.free(m.counter(other))
			m.setBack(old)
			m.fenced(m.counter(other), "the store was set back")
			m.free(m.counter(d)) // one word answers for all
			m.free(m.counter(d))
		}},
		{"index removed", func(t *testing.T, m *machine, d, _ *tpm.Device) {
			m.free(m.counter(d))
			undefine(t, e, m)
			m.fenced(m.counter(d), "somebody removed")
		}},
		{"TPM set back", func(t *testing.T, m *machine, d, _ *tpm.Device) {
			f := m.free(m.counter(d))
			row, err := f.counterRow(t.Context(), f.count.machine, f.count.value+5)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := m.store.Commit(t.Context(), store.Batch{Put: []store.Entry{row}}); err != nil {
				t.Fatal(err)
			}
			m.fenced(m.counter(d), "a virtual one can be set back")
		}},
		{"while it runs", countsOn},
		{"a clone beside it", func(t *testing.T, m *machine, d, _ *tpm.Device) {
			f := m.free(m.counter(d))
			if _, err := m.counter(d).Raise(t.Context()); err != nil { // as the clone's start does
				t.Fatal(err)
			}
			m.now = m.now.Add(time.Hour)
			f.Recount()
			if err := f.Tick(t.Context(), m.now, nil); err != nil || f.Fenced() == nil || m.burnt == 0 {
				t.Errorf("not fenced: %v", err)
			}
			m.fenced(m.counter(d), "another copy of this node raised the counter")
		}},
	} {
		t.Run(c.name, func(t *testing.T) { c.do(t, newMachine(t, byte(10+i)), d, other) })
	}
	t.Run("cut off", func(t *testing.T) { cutOff(t, d) })
}

func undefine(t *testing.T, e *swtpm.TPM, m *machine) {
	t.Helper()
	marker := transcript.New(transcript.TPMCounter).Bytes(m.key.Public().(ed25519.PublicKey)).Sum256()
	r, err := tpm2.GetCapability{Capability: tpm2.TPMCapHandles, Property: 0x01800000, PropertyCount: 64}.Execute(e.Open(t))
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.CapabilityData.Data.Handles()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all.Handle {
		p, err := tpm2.NVReadPublic{NVIndex: h}.Execute(e.Open(t))
		if err != nil {
			t.Fatal(err)
		}
		if pub, err := p.NVPublic.Contents(); err != nil || !bytes.Equal(pub.AuthPolicy.Buffer, marker[:]) {
			continue
		}
		_, err = tpm2.NVUndefineSpace{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, NVIndex: tpm2.NamedHandle{Handle: h, Name: p.NVName}}.Execute(e.Open(t))
		if err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("the counter is not found")
}

// A copy from within one life is found once the counter was raised after it: when shares came into force, and once a day.
func countsOn(t *testing.T, m *machine, d, _ *tpm.Device) {
	f := m.free(m.counter(d))
	was, old := f.count.value, m.rows()
	tick := func(after time.Duration, want uint64) {
		t.Helper()
		m.now = m.now.Add(after)
		if err := f.Tick(t.Context(), m.now, nil); err != nil || f.count.value != was+want {
			t.Fatalf("the counter stands at %d, not %d: %v", f.count.value, was+want, err)
		}
	}
	tick(time.Hour, 0)
	f.Recount()
	tick(time.Minute, 1)
	f.Recount()
	tick(time.Minute, 1) // not twice in ten minutes
	tick(countAgain, 2)
	f.count.log--
	tick(countEvery, 3)
	tick(countEvery, 3) // nothing was logged since
	// A TPM that does not do as it is told stops nothing; whether it did is found out.
	f.cfg.Counter = &cut{Counter: f.cfg.Counter, after: true}
	f.Recount()
	tick(countAgain, 3)
	if f.Fenced() != nil || !strings.Contains(m.log.String(), "is not raised") {
		t.Error("a TPM's failure fences, or is not told")
	}
	tick(countAgain, 5) // one was the cut-off one
	m.free(m.counter(d))
	m.setBack(old)
	m.fenced(m.counter(d), "the store was set back")
}

// cut fails once, before or after the counter was raised: as a process that dies there.
type cut struct {
	Counter
	after bool
	fell  bool
}

var errCut = errors.New("cut off")

func (c *cut) Raise(ctx context.Context) (uint64, error) {
	if c.fell {
		return c.Counter.Raise(ctx)
	}
	c.fell = true
	if !c.after {
		return 0, errCut
	}
	_, err := c.Counter.Raise(ctx)
	return 0, errors.Join(err, errCut)
}

// A start that was cut off on either side of the raise, or of the row, is no older copy: not the first one, nor a later one, nor several.
func cutOff(t *testing.T, d *tpm.Device) {
	for i := range 8 {
		first, after, twice := i&1 != 0, i&2 != 0, i&4 != 0
		t.Run(fmt.Sprintf("first start %v, raised %v, twice %v", first, after, twice), func(t *testing.T) {
			m := newMachine(t, byte(100+i))
			if !first {
				m.free(m.counter(d))
			}
			for range 1 + i/4 {
				if _, err := m.start(&cut{Counter: m.counter(d), after: after}); !errors.Is(err, errCut) {
					t.Fatalf("not cut off: %v", err)
				}
			}
			m.free(m.counter(d))
			m.free(m.counter(d))
		})
	}
	for _, outcome := range []memory.Outcome{memory.UnknownLost, memory.UnknownDone} {
		t.Run(fmt.Sprintf("row %v", outcome), func(t *testing.T) {
			m := newMachine(t, byte(120+outcome))
			m.free(m.counter(d))
			m.disk.SetFault(func(b store.Batch) memory.Outcome { return outcome })
			if _, err := m.start(m.counter(d)); err == nil {
				t.Fatal("not cut off")
			}
			m.disk.SetFault(nil)
			m.free(m.counter(d))
			m.free(m.counter(d))
		})
	}
}

// A node whose TPM is gone does not start, and says why; a node without one goes on as ever.
func TestCounterGone(t *testing.T) {
	m := newMachine(t, 1)
	d, err := tpm.New("unix:/nowhere/tpm")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.start(m.counter(d)); !errors.Is(err, tpm.ErrMissing) || !strings.Contains(err.Error(), "does not start") {
		t.Errorf("without its TPM: %v", err)
	}
	m.free(nil)
	m.free(nil)
}

func BenchmarkCounter(b *testing.B) {
	d, err := tpm.New(swtpm.Start(b).Path())
	if err != nil {
		b.Fatal(err)
	}
	c := tpm.NewCounter(d, publicOf(1))
	for b.Loop() {
		if _, err := c.Raise(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}
