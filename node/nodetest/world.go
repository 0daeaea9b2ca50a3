package nodetest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/presign"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/bolt"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/store/tagged"
	"github.com/ostraka/ostraka/node/vet"
)

// Host is one node of the circle.
type Host struct {
	*node.Node
	Disk    *memory.Disk
	Key     ed25519.PrivateKey
	Own     charter.Operator
	Officer Person
	Box     *seal.Box
	DEK     []byte // what the box seals with
	Rand    *Entropy
	Up      bool
	Life    int           // counts starts
	Links   int           // raise it, and all its connections were broken and made anew
	Commits int           // batches that were given to its store, in all lives
	Skew    time.Duration // its clock minus the world's
	Mode    presign.Mode  // for which vaults it holds presignatures, from its next start on
	Limits  node.Limits   // what it holds itself to, from its next start on
	Binary  [32]byte      // SHA-256 of the program that it runs, from its next start on
	Wire    uint16        // the newest wire version that its links speak; 0: ours
	Version string        // of that program; empty: it is no release
	Maker   vet.Maker     // of evidence of its machine, from its next start on; nil: it has none
	Counter fence.Counter // of its machine's TPM, from its next start on; nil: none
	Hostile bool          // an attacker holds its keys: the watch expects no honesty of it

	Restored bool // its disk was set back, or is one of two: it may lack shares

	Folder string       // where its store is from its next start on, in place of Disk: as a node's is
	Reads  atomic.Int64 // rows and pages that were read of its store, in all lives
	Tags   *seal.MAC    // of its rows, from its next start on (Tagged); nil: they have none

	store disk
	back  time.Time // when a crashed node starts again
}

// A Parcel is one frame on its way.
type Parcel struct {
	From, To *Host
	Frame    []byte
	Life     int // of the sender
}

// A Fate is what becomes of a batch.
type Fate uint8

// Fates.
const (
	Live        Fate = iota
	CrashBefore      // the node dies, nothing is written
	CrashAfter       // the batch is durable, and the node dies before it acts on it
	Unknown          // the batch is durable, and the store says that it does not know
	Stopped          // nothing is written: the node is about to stop
	Fenced           // nothing is written: another replica owns the store
)

// World is a circle of nodes.
type World struct {
	T     testing.TB
	Hosts []*Host
	Queue []Parcel
	Now   time.Time
	Log   *bytes.Buffer
	Watch *Watch
	Rand  *Entropy // of people
	Suite string   // of vaults' keys; Ethereum's unless a test says otherwise
	Tier  string   // of vaults; warm unless a test says otherwise

	Vaults []charter.Blueprint     // that the charter lists
	Change func(*charter.Document) // made to the charter before it is signed; may be nil

	// Check stands for the nodes' own chain endpoints; nil: none is configured.
	Check func(h *Host, from evm.Address, f evm.Facts) (checked bool, why string, err error)
	// CheckReplacing does for transactions that replace another.
	CheckReplacing func(h *Host, from evm.Address, f evm.Facts) (checked bool, why string, err error)
	// CheckOther does for transactions of other chains; nil: none is configured.
	CheckOther func(h *Host, q decide.Question) (checked bool, why string, err error)
	// CheckBlock does for the blocks that proofs speak of; nil: none is configured.
	CheckBlock func(h *Host, chain string, b intent.Block) (checked bool, why string, err error)
	// Usual is what a host's endpoint says that a fee usually is; nil: none is configured.
	Usual func(h *Host, from evm.Address, tx *evm.Transaction) (*big.Int, error)
	// UsualOther is Usual of what is on no EVM chain; nil: none is configured.
	UsualOther func(h *Host, p payload.Payload) (*big.Int, error)
	// Fate decides over each batch; nil: all live. n counts the host's batches, from 1.
	Fate func(h *Host, n int, b store.Batch) Fate
	// Pass is asked for what arrives instead of a frame; nil: the frame itself.
	Pass func(Parcel) []Parcel
	// Route says who answers where a host reaches for an identity, nil for nobody; it is Find
	// unless a test has two hosts of one identity, or parts of a network.
	Route func(from *Host, key ed25519.PublicKey) *Host
	// Send takes frames instead of the queue.
	Send func(Parcel)
	// KeepSent lets frames arrive that a node sent before it crashed.
	KeepSent bool
	// Downtime is how long a crashed node stays away.
	Downtime time.Duration
	// Fatal counts nodes that ended because something could not be made durable.
	Fatal int

	mu sync.Mutex // guards Queue
}

// New makes n nodes that know nothing of one another.
func New(t testing.TB, n int) *World {
	t.Helper()
	w := &World{
		T: t, Now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), Log: &bytes.Buffer{}, Rand: NewEntropy("people"), Suite: charter.SuiteECDSA, Tier: charter.TierWarm, Downtime: time.Second,
	}
	w.Watch = newWatch(w)
	for i := range n {
		w.add(i)
	}
	for _, h := range w.Hosts {
		w.Start(h)
	}
	return w
}

func (w *World) add(i int) {
	w.T.Helper()
	h := &Host{
		Disk: memory.NewDisk(), Key: keyOf(i), Officer: NewPerson(w.T, fmt.Sprintf("officer-%d", i)), Own: own(w.T, i),
		Rand: NewEntropy(fmt.Sprintf("node %d", i)),
	}
	dek, err := seal.NewKey(h.Rand)
	if err != nil {
		w.T.Fatal(err)
	}
	h.DEK = bytes.Clone(dek.Expose())
	if h.Box, err = seal.NewBox(dek, h.Rand); err != nil {
		w.T.Fatal(err)
	}
	w.Hosts = append(w.Hosts, h)
}

func keyOf(i int) ed25519.PrivateKey {
	seed := sha256.Sum256(fmt.Appendf(nil, "node %d", i))
	return ed25519.NewKeyFromSeed(seed[:])
}

// own is the operator with a number.
func own(t testing.TB, i int) charter.Operator {
	return charter.Operator{
		Name: fmt.Sprintf("operator-%d", i), Entity: fmt.Sprintf("Operator %d Ltd", i), Identity: keyOf(i).Public().(ed25519.PublicKey),
		Address: fmt.Sprintf("node-%d.example:7000", i), Officers: []signet.Key{NewPerson(t, fmt.Sprintf("officer-%d", i)).Key},
	}
}

// Find gives the host with an identity; nil if there is none.
func (w *World) Find(key ed25519.PublicKey) *Host {
	i := slices.IndexFunc(w.Hosts, func(h *Host) bool { return key.Equal(h.Own.Identity) })
	if i < 0 {
		return nil
	}
	return w.Hosts[i]
}

func (w *World) route(from *Host, key ed25519.PublicKey) *Host {
	if w.Route != nil {
		return w.Route(from, key)
	}
	return w.Find(key)
}

// wire is the version of the link between a host and an identity; 0: there is none.
func (w *World) wire(h *Host, key ed25519.PublicKey) uint16 {
	o := w.route(h, key)
	if o == nil || !o.Up {
		return 0
	}
	v := uint16(node.WireLogs)
	for _, x := range []*Host{h, o} {
		if x.Wire != 0 {
			v = min(v, x.Wire)
		}
	}
	return v
}

// connection names the connection between a host and an identity, alike at both ends; zeros: there is none.
func (w *World) connection(h *Host, key ed25519.PublicKey) (name [32]byte) {
	o := w.route(h, key)
	if o == nil || !o.Up || !h.Up {
		return name
	}
	ends := []string{fmt.Sprintf("%p %d %d", h, h.Life, h.Links), fmt.Sprintf("%p %d %d", o, o.Life, o.Links)}
	slices.Sort(ends)
	return sha256.Sum256([]byte(strings.Join(ends, " ")))
}

// Restore sets a host's disk back to what Rows once gave, and starts its node on it.
func (w *World) Restore(h *Host, rows []store.Item) {
	w.T.Helper()
	if h.Up {
		w.Crash(h)
	}
	h.Disk, h.Restored = memory.NewDisk(), true
	copyDisk(w.T, h.Disk, rows)
	w.Start(h)
}

// Double adds a second host with a stopped host's disk, keys and name; its entropy is another, or that of
// a clone whose source repeats itself.
func (w *World) Double(h *Host, entropy *Entropy) *Host {
	w.T.Helper()
	o := &Host{Disk: memory.NewDisk(), Key: h.Key, Own: h.Own, Officer: h.Officer, Box: h.Box, DEK: h.DEK, Rand: entropy, Hostile: true, Restored: true}
	h.Hostile, h.Restored = true, true
	copyDisk(w.T, o.Disk, w.Rows(h, ""))
	w.Hosts = append(w.Hosts, o)
	return o
}

// Clock is a host's own time.
func (w *World) Clock(h *Host) time.Time { return w.Now.Add(h.Skew) }

// Start opens a host's disk and starts its node. A node that crashes while it starts stays down for a while.
func (w *World) Start(h *Host) {
	w.T.Helper()
	if err := w.TryStart(h); err != nil {
		w.T.Fatalf("start %s: %v", h.Own.Name, err)
	}
}

// TryStart is Start of a node that may refuse to.
func (w *World) TryStart(h *Host) error {
	w.T.Helper()
	st, err := h.open()
	if err != nil {
		w.T.Fatal(err)
	}
	h.store, h.Up = st, true
	h.Life++
	life := h.Life
	began := w.Now
	w.Act(h, func() {
		h.Node, err = node.New(context.Background(), w.Clock(h), node.Config{
			Binary: h.Binary, Version: h.Version, Maker: h.Maker, Limits: h.Limits, Counter: h.Counter,
			Own: h.Own, Identity: h.Key, Store: guarded{st, w, h, life}, Sealer: h.Box, Rand: h.Rand,
			Log: slog.New(slog.NewTextHandler(w, nil)).With("node", h.Own.Name),
			Send: func(to ed25519.PublicKey, frame []byte) {
				if o := w.route(h, to); o != nil && h.Up && h.Life == life {
					w.post(Parcel{h, o, frame, life})
				}
			},
			Reachable:  func(k ed25519.PublicKey) bool { o := w.route(h, k); return o != nil && o.Up },
			Wire:       func(k ed25519.PublicKey) uint16 { return w.wire(h, k) },
			Connection: func(k ed25519.PublicKey) [32]byte { return w.connection(h, k) },
			SetPeers:   func([]charter.Operator) {},
			Knock: func(ctx context.Context, _ string, key ed25519.PublicKey, body []byte) ([]byte, error) {
				return w.knock(ctx, h, key, body)
			},
			Check: func(_ context.Context, q decide.Question) (bool, string, error) {
				if onEVM(q.Payload) == nil && w.CheckOther != nil {
					return w.CheckOther(h, q)
				}
				check, t := w.Check, onEVM(q.Payload)
				if q.Replacing {
					check = w.CheckReplacing
				}
				if check == nil || t == nil {
					return false, "", nil
				}
				return check(h, t.Sender(), t.Facts())
			},
			CheckBlock: func(_ context.Context, chain string, b intent.Block) (bool, string, error) {
				if w.CheckBlock == nil {
					return false, "", nil
				}
				return w.CheckBlock(h, chain, b)
			},
			Usual: func(_ context.Context, p payload.Payload) (*big.Int, error) {
				t := onEVM(p)
				switch {
				case t != nil && w.Usual != nil:
					return w.Usual(h, t.Sender(), t.Transaction())
				case t == nil && w.UsualOther != nil:
					return w.UsualOther(h, p)
				}
				return nil, nil
			},
			Presignatures: h.Mode, Mono: func() time.Duration { return w.Now.Sub(began) },
			Fatal: func(error) {
				w.Fatal++
				panic(crash{h, life})
			},
		})
	})
	if err != nil {
		w.Crash(h)
	}
	return err
}

// Tagged has a host's rows carry its tags from now on (spec/store 9), and starts its node over them.
func (w *World) Tagged(h *Host) {
	w.T.Helper()
	if h.Up {
		w.Crash(h)
	}
	mac, err := h.Box.MAC(transcript.StoreTagKey)
	if err != nil {
		w.T.Fatal(err)
	}
	w.Below(h, func(st store.Store) {
		if _, err := tagged.Tag(context.Background(), st, mac, ""); err != nil {
			w.T.Fatal(err)
		}
	})
	h.Tags = mac
	w.Start(h)
}

// Below shows the disk of a host that is down as whoever has not its keys finds it.
func (w *World) Below(h *Host, do func(store.Store)) {
	w.T.Helper()
	mac := h.Tags
	defer func() { h.Tags = mac }()
	h.Tags = nil
	st, err := h.open()
	if err != nil {
		w.T.Fatal(err)
	}
	defer st.Close()
	do(st)
}

// Write takes log lines.
func (w *World) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.Log.Write(b)
}

func (w *World) post(p Parcel) {
	w.Watch.sent(p)
	if w.Send != nil {
		w.Send(p)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Queue = append(w.Queue, p)
}

var errNobody = errors.New("nobody answers")

func (w *World) knock(ctx context.Context, from *Host, key ed25519.PublicKey, body []byte) (answer []byte, err error) {
	o := w.Find(key)
	if o == nil || !o.Up {
		return nil, errNobody
	}
	err = errNobody
	w.Act(o, func() { answer, err = o.Circle.Admit(ctx, w.Clock(o), from.Own.Identity, body) })
	return answer, err
}

// crash ends a node's life where its store decides so.
type crash struct {
	h    *Host
	life int
}

// disk is what a host's rows lie on.
type disk interface {
	store.Store
	store.Snapshotter
}

func (h *Host) open() (d disk, err error) {
	if h.Folder != "" {
		d, err = bolt.Open(h.Folder, bolt.Options{Reserve: 1})
	} else {
		d, err = h.Disk.Open()
	}
	if err == nil && h.Tags != nil {
		d = tagged.New(d, h.Tags)
	}
	return d, err
}

// guarded is a node's store: it counts what is read, and may end the node before or after a batch is durable.
type guarded struct {
	disk
	w    *World
	h    *Host
	life int
}

func (g guarded) Get(ctx context.Context, key string) (store.Item, error) {
	g.h.Reads.Add(1)
	return g.disk.Get(ctx, key)
}

func (g guarded) Range(ctx context.Context, prefix, after string, limit int) ([]store.Item, error) {
	g.h.Reads.Add(1)
	return g.disk.Range(ctx, prefix, after, limit)
}

func (g guarded) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	fate := Live
	if len(b.Put)+len(b.Delete) > 0 {
		g.w.mu.Lock()
		g.h.Commits++
		n := g.h.Commits
		g.w.mu.Unlock()
		if g.w.Fate != nil {
			fate = g.w.Fate(g.h, n, b)
		}
	}
	if fate == CrashBefore {
		panic(crash{g.h, g.life})
	}
	switch fate {
	case Stopped:
		return 0, context.Canceled
	case Fenced:
		return 0, store.ErrFenced
	}
	rev, err := g.disk.Commit(ctx, b)
	if err == nil {
		g.w.Watch.wrote(b)
	}
	if fate == CrashAfter && err == nil {
		panic(crash{g.h, g.life})
	}
	if fate == Unknown && err == nil {
		err = store.ErrUnknown
	}
	return rev, err
}

// Act does something on a host. It reports whether the host lived through it.
func (w *World) Act(h *Host, do func()) (lived bool) {
	if !h.Up {
		return false
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case crash:
			if held := heldLocks(r.h.Node); len(held) > 0 {
				w.T.Errorf("%s lost its store in the middle of a step, and %s", r.h.Own.Name, strings.Join(held, ", "))
			}
			w.Crash(r.h)
		default:
			panic(r)
		}
	}()
	do()
	return true
}

// Crash kills a host: what it has not made durable is gone, and so are the frames on their way
// to it and, unless KeepSent says otherwise, from it.
// It starts again after Downtime, unless that is negative.
func (w *World) Crash(h *Host) {
	h.Disk.Crash()
	if h.Folder != "" && h.store != nil {
		h.store.Close()
	}
	h.Up, h.store = false, nil
	if h.back = w.Now.Add(w.Downtime); w.Downtime < 0 {
		h.back = time.Time{}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.Queue = slices.DeleteFunc(w.Queue, func(p Parcel) bool { return p.From == h && !w.KeepSent || p.To == h })
}

// Deliver hands over all frames that wait, and those that follow from them.
func (w *World) Deliver() (n int) {
	for len(w.Queue) > 0 {
		p := w.Queue[0]
		w.Queue = w.Queue[1:]
		n++
		arrive := []Parcel{p}
		if w.Pass != nil {
			arrive = w.Pass(p)
		}
		for _, p := range arrive {
			w.Act(p.To, func() { p.To.Deliver(context.Background(), w.Clock(p.To), p.From.Own.Identity, p.Frame) })
			w.Watch.look()
		}
	}
	return n
}

// Forge delivers a frame that an attacker made with a host's keys, beside its node.
func (w *World) Forge(from, to *Host, frame []byte) {
	from.Hostile = true
	w.Watch.forged(frame)
	w.Act(to, func() { to.Deliver(context.Background(), w.Clock(to), from.Own.Identity, frame) })
	w.Watch.look()
}

func (w *World) hostile(id engine.PartyID) bool {
	return slices.ContainsFunc(w.Hosts, func(h *Host) bool { return h.Hostile && mpc.IDOf(h.Own.Identity) == id })
}

func (w *World) hostileOperator(name string) bool {
	return slices.ContainsFunc(w.Hosts, func(h *Host) bool { return h.Hostile && h.Own.Name == name })
}

// Step lets a moment pass.
func (w *World) Step(d time.Duration) {
	w.Now = w.Now.Add(d)
	for _, h := range w.Hosts {
		if !h.Up && !h.back.IsZero() && !w.Now.Before(h.back) {
			w.Start(h)
		}
		w.Act(h, func() { h.Tick(context.Background(), w.Clock(h)) })
		w.Watch.look()
	}
}

// Patience bounds how long Run waits, in the world's time.
const Patience = 20 * time.Minute

// Run delivers and ticks until cond holds.
func (w *World) Run(what string, cond func() bool) {
	w.T.Helper()
	if !w.Try(Patience, cond) {
		w.T.Fatalf("%s: does not happen; log:\n%s", what, w.Tail())
	}
}

// Try is Run that may fail.
func (w *World) Try(patience time.Duration, cond func() bool) bool {
	w.T.Helper()
	for end := w.Now.Add(patience); !cond(); {
		busy := w.Deliver() > 0
		if cond() {
			return true
		}
		if w.Now.After(end) || w.T.Failed() {
			return false
		}
		if busy {
			w.Step(200 * time.Millisecond)
		} else {
			w.Step(time.Second)
		}
	}
	return true
}

// Tail is the end of the log.
func (w *World) Tail() string {
	s := w.Log.String()
	return s[max(0, len(s)-6000):]
}

// All says whether something holds on every host, each of which must be up.
func (w *World) All(f func(*Host) bool) bool {
	return !slices.ContainsFunc(w.Hosts, func(h *Host) bool { return !h.Up || !f(h) })
}

// Rows reads a host's disk, whether its node runs or not.
func (w *World) Rows(h *Host, prefix string) (out []store.Item) {
	w.T.Helper()
	st := h.store
	if st == nil {
		var err error
		if st, err = h.open(); err != nil {
			w.T.Fatal(err)
		}
		defer st.Close()
	}
	for after := ""; ; after = out[len(out)-1].Key {
		items, err := st.Range(context.Background(), prefix, after, store.MaxLimit)
		if err != nil {
			w.T.Fatal(err)
		}
		if out = append(out, items...); len(items) < store.MaxLimit {
			return out
		}
	}
}

// Clone makes a second world of what the hosts have on their disks. Its entropy is another:
// nothing that the first world draws is drawn again.
func (w *World) Clone(t testing.TB, seed string) *World {
	t.Helper()
	c := &World{T: t, Now: w.Now, Log: &bytes.Buffer{}, Rand: NewEntropy("people " + seed), Suite: w.Suite, Tier: w.Tier, Downtime: w.Downtime, Vaults: slices.Clone(w.Vaults), Change: w.Change}
	c.Watch = newWatch(c)
	for _, h := range w.Hosts {
		o := &Host{Disk: memory.NewDisk(), Key: h.Key, Own: h.Own, Officer: h.Officer, Box: h.Box, DEK: h.DEK, Rand: NewEntropy(h.Own.Name + seed), Mode: h.Mode}
		copyDisk(t, o.Disk, w.Rows(h, ""))
		c.Hosts = append(c.Hosts, o)
	}
	for _, h := range c.Hosts {
		c.Start(h)
	}
	c.Greet()
	return c
}

// Greet waits until all nodes that run have told one another their lives.
func (w *World) Greet() {
	w.T.Helper()
	w.Run("all nodes greet one another", func() bool { return w.Greeted() })
}

// Greeted says whether nothing stands between any two nodes that run.
func (w *World) Greeted() bool {
	for _, h := range w.Hosts {
		for _, o := range w.Hosts {
			if h != o && h.Up && o.Up && slices.Contains(h.Peers(), o.Self()) && h.Fence.Wary(o.Self()) != nil {
				return false
			}
		}
	}
	return true
}

func copyDisk(t testing.TB, d *memory.Disk, items []store.Item) {
	t.Helper()
	st, err := d.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	for chunk := range slices.Chunk(items, 16) {
		var b store.Batch
		for _, it := range chunk {
			b.Put = append(b.Put, store.Entry{Key: it.Key, Value: it.Value})
		}
		if _, err := st.Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
}

// OfSession says whether a frame belongs to a protocol session.
func OfSession(frame []byte) bool { return node.Session(frame) }

// onEVM is a payload as a transaction on an EVM chain; nil of all else.
func onEVM(p payload.Payload) payload.EVMTransaction {
	if t, ok := payload.OnEVM(p); ok {
		return t
	}
	return nil
}
