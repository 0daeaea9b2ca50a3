package fence

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Rows of this room (spec/store).
const (
	kindConfirmed = "confirmed" // when the operator last said that no other copy runs, Unix seconds 8
	kindInstance  = "instance"  // counter 8 ‖ confirmed 8 ‖ instance 16
	kindFenced    = "fenced"    // highest counter shown 8 ‖ Unix time 8 ‖ why
	kindLost      = "lost"      // lost/<id>: our key signed it, the store does not know it; what it is
	kindSeenLife  = "seen-life" // seen-life/<party>: the highest life of a peer
	kindTwice     = "twice"     // twice/<party>: another life of that peer
	kindRestored  = "restored"  // when this store was last made from an export, Unix seconds 8
)

// Config is what a Fence works with. None of its functions may call the Fence's methods that
// change it.
type Config struct {
	Identity crypto.Signer
	Journal  *journal.Journal
	Rand     io.Reader
	Log      *slog.Logger
	Hail     func(to engine.PartyID, body []byte)                            // sends a hail; must not block
	Pass     func(to engine.PartyID, of ed25519.PublicKey, life []byte)      // tells a peer another's life
	Remind   func(to engine.PartyID)                                         // shows a peer whose process is new what its own key last signed
	Help     func(ctx context.Context, now time.Time, to engine.PartyID)     // sends a peer that was restored what it may have forgotten
	Peers    func() []engine.PartyID                                         // the pinned ones
	Drop     func(ctx context.Context, now time.Time, why error)             // ends all sessions
	Renewed  func(ctx context.Context, now time.Time, peer engine.PartyID)   // a peer's process is new: what its last one held is gone
	Burn     func(ctx context.Context, now time.Time) (pairs int, err error) // keeps every pending record, and burns every pair of every key
	Fatal    func(error)                                                     // ends the process
	Name     func(engine.PartyID) string
	Counter  Counter // of the machine's TPM; nil: none is configured
	Shared   bool    // replicas on several machines have this store, each with its own TPM or none
}

// Fence is one process's guard.
type Fence struct {
	cfg    Config
	fenced atomic.Pointer[FencedError]

	act  sync.Mutex // held while anything changes
	own  Life       // without log and signature
	lost map[[32]byte]bool

	restoredAt time.Time // when this store was made from an export; zero: never

	confirmedAt time.Time // when our operator last said that no other copy runs

	count   counting
	recount atomic.Bool // the counter is to be raised soon

	told   int64 // size of the log when the peers were last told
	toldAt time.Time

	mu     sync.Mutex // a leaf: guards peers and what they point to, and what follows
	peers  map[engine.PartyID]*peer
	opened time.Time // when this process began
	sure   bool      // nobody knows more of this node than its store does
}

// peer is what is held of another node.
type peer struct {
	key         ed25519.PublicKey // once it has a life here
	seen, twice *Life
	past        []*Life // the last lives of the processes before seen, the latest first: a restored store knows nothing of them
	shown       []*Life // what the last hail told it that we hold of it
	upAt        time.Time
	dirty       bool // seen is not stored yet: its log grew
	greeted     bool // it holds this very process of ours as the highest
	up          bool
	helped      [16]byte // the instance that was last sent what it may have forgotten,
	helpedAt    time.Time
	owed        bool // it was restored, and help waits
	rescuedAt   time.Time
	asks        [nonceSize]byte // what it must answer to show that it lives; zero: nothing
}

// FencedError says that this node signs nothing.
type FencedError struct {
	Why     string
	Since   time.Time
	counter uint64 // the highest of ours that was shown
}

func (e *FencedError) Error() string {
	return "this node signs nothing: it was restored from an older copy, or it runs twice: " + e.Why +
		"; make sure that no other copy of its data folder runs or will be started, then run `ostraka node confirm-restore`"
}

func (e *FencedError) row() store.Entry {
	row := binary.BigEndian.AppendUint64(nil, e.counter)
	return store.Entry{Key: kindFenced, Value: append(binary.BigEndian.AppendUint64(row, uint64(e.Since.Unix())), e.Why...)}
}

// A ClonedError says that something carries a valid signature of our own key, and the store
// knows nothing of it. Rooms return it; the node fences itself.
type ClonedError struct {
	ID   [32]byte
	What string    // "decision on an intent"
	At   time.Time // when it was said, if it was shown as of the past; zero: that is not known
}

func (e *ClonedError) Error() string {
	return fmt.Sprintf("%s %x is signed with this node's key, and this node's store does not hold it: the store is an older copy, or a clone runs somewhere", e.What, e.ID[:6])
}

// Open begins a life: counter and instance are durable before it returns.
func Open(ctx context.Context, now time.Time, cfg Config) (*Fence, error) {
	f := &Fence{cfg: cfg, lost: map[[32]byte]bool{}, peers: map[engine.PartyID]*peer{}, opened: now}
	cond, err := f.load(ctx)
	if err != nil {
		return nil, err
	}
	f.own.Counter++
	if f.own.Instance, err = f.instance(now, f.own.Counter); err != nil {
		return nil, fmt.Errorf("begin this process's life: %w", err)
	}
	e := f.instanceEntry(now, tlog.KindLife)
	e.If = append(e.If, cond)
	raise, err := f.begun(ctx, now, &e)
	if err != nil {
		return nil, err
	}
	failpoint.Hit("fence-before-life")
	if err := cfg.Journal.Write(ctx, e); err != nil {
		return nil, fmt.Errorf("begin this process's life: %w", err)
	}
	failpoint.Hit("fence-after-life")
	if raise {
		if err := f.raise(ctx, now, f.next()); err != nil {
			return nil, fmt.Errorf("begin this process's life: %w", err)
		}
	}
	if why := f.fenced.Load(); why != nil {
		cfg.Log.Error("this node is fenced", "error", why)
	}
	return f, nil
}

// instance draws an instance id. The time stands in it as well: two clones whose entropy repeats
// itself seldom start in the same nanosecond; and what is shown is a hash, never a draw.
func (f *Fence) instance(now time.Time, counter uint64) (id [16]byte, err error) {
	var draw [32]byte
	if _, err := io.ReadFull(f.cfg.Rand, draw[:]); err != nil {
		return id, fmt.Errorf("draw an instance: read entropy: %w", err)
	}
	h := transcript.New(transcript.NodeInstance).Bytes(draw[:]).Uint(counter).Uint(uint64(now.UnixNano())).Sum256()
	return [16]byte(h[:16]), nil
}

// instanceEntry makes the row of the own life, and the leaf from which on the logs of two
// copies differ.
func (f *Fence) instanceEntry(now time.Time, kind string) journal.Entry {
	row := binary.BigEndian.AppendUint64(nil, f.own.Counter)
	row = binary.BigEndian.AppendUint64(row, f.own.Confirmed)
	row = append(row, f.own.Instance[:]...)
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: kindInstance, Value: row}}},
		Leaves: []tlog.Filed{tlog.Notes(kind, now, [32]byte{}, sha256.Sum256(row))},
	}
}

// load reads all rows; it returns the condition that the instance is still the one read.
func (f *Fence) load(ctx context.Context) (store.Cond, error) {
	st := f.cfg.Journal.Store()
	cond := store.Absent(kindInstance)
	switch it, err := st.Get(ctx, kindInstance); {
	case err == nil && len(it.Value) == 32:
		f.own.Counter, f.own.Confirmed = binary.BigEndian.Uint64(it.Value), binary.BigEndian.Uint64(it.Value[8:])
		cond = store.Unchanged(it)
	case !errors.Is(err, store.ErrNotFound):
		return cond, fmt.Errorf("read the instance: %w", cmp.Or(err, store.ErrCorrupt))
	}
	switch it, err := st.Get(ctx, kindFenced); {
	case err == nil && len(it.Value) >= 16:
		f.fenced.Store(&FencedError{
			counter: binary.BigEndian.Uint64(it.Value), Since: time.Unix(int64(binary.BigEndian.Uint64(it.Value[8:])), 0).UTC(), Why: string(it.Value[16:]),
		})
	case !errors.Is(err, store.ErrNotFound):
		return cond, fmt.Errorf("read why this node is fenced: %w", cmp.Or(err, store.ErrCorrupt))
	}
	switch it, err := st.Get(ctx, kindConfirmed); {
	case err == nil && len(it.Value) == 8:
		f.confirmedAt = time.Unix(int64(binary.BigEndian.Uint64(it.Value)), 0).UTC()
	case !errors.Is(err, store.ErrNotFound):
		return cond, fmt.Errorf("read when the operator confirmed: %w", cmp.Or(err, store.ErrCorrupt))
	}
	switch it, err := st.Get(ctx, kindRestored); {
	case err == nil && len(it.Value) == 8:
		f.restoredAt = time.Unix(int64(binary.BigEndian.Uint64(it.Value)), 0).UTC()
	case !errors.Is(err, store.ErrNotFound):
		return cond, fmt.Errorf("read when the store was made from an export: %w", cmp.Or(err, store.ErrCorrupt))
	}
	err := errors.Join(f.loadCounters(ctx), f.each(ctx, kindLost, 32, func(id, _ []byte) error { f.lost[[32]byte(id)] = true; return nil }))
	for kind, at := range map[string]func(*peer) **Life{
		kindSeenLife: func(p *peer) **Life { return &p.seen }, kindTwice: func(p *peer) **Life { return &p.twice },
	} {
		err = errors.Join(err, f.each(ctx, kind, len(engine.PartyID{}), func(id, value []byte) (err error) {
			// The row begins with the identity, so that it can be checked again.
			n := len(value) - ed25519.PublicKeySize
			if n < lifeSize || n%lifeSize != 0 || n/lifeSize > 1+maxPast {
				return fmt.Errorf("has %d bytes", len(value))
			}
			p := f.peer(engine.PartyID(id))
			p.key = value[:ed25519.PublicKeySize]
			*at(p), err = DecodeLife(p.key, value[ed25519.PublicKeySize:][:lifeSize])
			for rest := value[ed25519.PublicKeySize+lifeSize:]; err == nil && len(rest) > 0; rest = rest[lifeSize:] {
				var l *Life
				l, err = DecodeLife(p.key, rest[:lifeSize])
				p.past = append(p.past, l)
			}
			return err
		}))
	}
	return cond, err
}

func (f *Fence) each(ctx context.Context, kind string, size int, do func(id, value []byte) error) error {
	prefix := store.Prefix(kind)
	for after := ""; ; {
		items, err := f.cfg.Journal.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return fmt.Errorf("read rows %s: %w", kind, err)
		}
		for _, it := range items {
			id, err := hex.DecodeString(strings.TrimPrefix(it.Key, prefix))
			if err == nil && len(id) != size {
				err = errors.New("is not of an id")
			}
			if err == nil {
				err = do(id, it.Value)
			}
			if err != nil {
				return fmt.Errorf("read row %q: %w", it.Key, err)
			}
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

// peer finds or makes what is held of a node. Open, or mu is held.
func (f *Fence) peer(id engine.PartyID) *peer {
	if f.peers[id] == nil {
		f.peers[id] = &peer{}
	}
	return f.peers[id]
}

// Fenced says why this node must sign nothing; nil if it may.
func (f *Fence) Fenced() error {
	if why := f.fenced.Load(); why != nil {
		return why
	}
	return nil
}

// Wary says why no session is held with a peer: it runs twice, or was restored, or has not yet
// said that this very process is the highest of ours that it knows. Before that a restored
// node cannot know that it is one.
func (f *Fence) Wary(id engine.PartyID) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch p := f.peers[id]; {
	case p == nil || !p.greeted:
		return fmt.Errorf("party %v has not yet greeted this process", id)
	case p.twice != nil:
		return fmt.Errorf("party %v runs twice, or was restored from an older copy: its operator must stop the other one, and run `ostraka node confirm-restore`", id)
	}
	return nil
}

// settling is how long a peer whose link stands is waited for, if it never greets.
const settling = 10 * time.Second

// Settled says why this process may not yet say anything that it could have said otherwise before:
// nobody has told it what it knows of it. A peer that is there and never greets is not waited for long.
func (f *Fence) Settled(now time.Time) error {
	ids := f.cfg.Peers()
	f.mu.Lock()
	defer f.mu.Unlock()
	greeted := len(ids) == 0
	for _, id := range ids {
		switch p := f.peer(id); {
		case p.greeted:
			greeted = true
		case p.up && now.Sub(p.upAt) < settling:
			return errUnsettled
		}
	}
	if !greeted {
		return errUnsettled
	}
	return nil
}

// waits is how long a process waits for what peers that it does not reach may know of it, before it signs its log and cosigns others'.
const waits = 24 * time.Hour

// Sure says why this process may not yet sign a head of its log, nor cosign another's: some peer may hold a life of this store that it has
// forgotten, and what it signs from an older copy would stand beside that as a fork, under its own name. Once every peer has greeted it, it may for as long
// as it runs; after a day, or at its operator's word (Vouch), one that greeted it is enough. Peers that come later know of nothing before.
func (f *Fence) Sure(now time.Time) error {
	if err := f.Settled(now); err != nil {
		return err
	}
	ids := f.cfg.Peers()
	f.mu.Lock()
	defer f.mu.Unlock()
	if since := now.Sub(f.opened); since < 0 {
		f.opened = now // the clock was set back
	} else if since >= waits {
		f.sure = true
	}
	if f.sure || len(ids) == 0 {
		return nil
	}
	for _, id := range ids {
		if p := f.peer(id); !p.greeted {
			return &UnsureError{f.cfg.Name(id), f.opened.Add(waits)}
		}
	}
	f.sure = true
	return nil
}

// An UnsureError says for whom this process waits before it signs its log.
type UnsureError struct {
	Peer  string
	Until time.Time
}

func (e *UnsureError) Error() string {
	return fmt.Sprintf("%s has not greeted this process yet: until then, or %s, it signs no checkpoint of its log, and cosigns none: it cannot know whether its store is an older copy", e.Peer, e.Until.UTC().Format(time.RFC3339))
}

var errUnsettled = errors.New("no peer has greeted this process yet: it cannot know whether it was restored from an older copy")

// Twice describes a peer that runs twice or was restored; empty if it did not.
func (f *Fence) Twice(id engine.PartyID) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[id]
	if p == nil || p.twice == nil {
		return ""
	}
	return fmt.Sprintf("runs twice, or was restored from an older copy (%v; and %v): no session is held with it until its operator confirms", p.seen, p.twice)
}

// Counter is the start counter of this process.
func (f *Fence) Counter() uint64 {
	f.act.Lock()
	defer f.act.Unlock()
	return f.own.Counter
}

// Confirmed is up to which counter our operator answered for all copies; 0: it never had to.
func (f *Fence) Confirmed() uint64 {
	f.act.Lock()
	defer f.act.Unlock()
	return f.own.Confirmed
}

// Head is the head that a peer last told of its log, and up to which of its starts its operator had confirmed then: that names the log.
func (f *Fence) Head(id engine.PartyID) (head tlog.Head, confirmed uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[id]
	if p == nil || p.seen == nil || p.twice != nil {
		return tlog.Head{}, 0, false
	}
	return p.seen.Log, p.seen.Confirmed, true
}

// Own says which process of this node this is.
func (f *Fence) Own() (counter uint64, instance [16]byte) {
	f.act.Lock()
	defer f.act.Unlock()
	return f.own.Counter, f.own.Instance
}

// Process says which process of a peer is the newest that this one knows of.
func (f *Fence) Process(id engine.PartyID) (counter uint64, instance [16]byte, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.peers[id]
	if p == nil || p.seen == nil {
		return 0, instance, false
	}
	return p.seen.Counter, p.seen.Instance, true
}

// Burnt makes sure that a node that was fenced when it stopped has burned all its pairs: it may have stopped in between.
func (f *Fence) Burnt(ctx context.Context, now time.Time) error {
	f.act.Lock()
	defer f.act.Unlock()
	if f.fenced.Load() == nil {
		return nil
	}
	_, err := f.cfg.Burn(ctx, now)
	return err
}

// Evidence takes what a room found: something that our key signed and our store does not
// know. What was known when the operator confirmed tells nothing new.
func (f *Fence) Evidence(ctx context.Context, now time.Time, e *ClonedError) {
	f.act.Lock()
	defer f.act.Unlock()
	if f.lost[e.ID] || !e.At.IsZero() && !e.At.After(f.confirmedAt) {
		return // what was said before the operator's word is answered for
	}
	f.lost[e.ID] = true
	f.fence(ctx, now, e.Error(), 0, store.Entry{Key: store.Key(kindLost, store.ID(e.ID[:])), Value: []byte(e.What)})
}

// fence stops all signing: in memory first, so that nothing leaves any more; then durably;
// then sessions and pairs. act is held.
func (f *Fence) fence(ctx context.Context, now time.Time, why string, counter uint64, more ...store.Entry) {
	ctx = context.WithoutCancel(ctx)
	old := f.fenced.Load()
	x := &FencedError{Why: why, Since: now.UTC().Truncate(time.Second), counter: counter}
	if old != nil {
		x = &FencedError{Why: old.Why, Since: old.Since, counter: max(old.counter, counter)}
	}
	f.fenced.Store(x)
	if old != nil && *x == *old && len(more) == 0 {
		return
	}
	e := journal.Entry{Batch: store.Batch{Put: append(more, x.row()), Reserve: true}}
	if old == nil {
		e.Leaves = []tlog.Filed{tlog.Says(tlog.KindFence, now, [32]byte{}, []byte(x.Why))}
	}
	failpoint.Hit("fence-before-fenced")
	if err := f.cfg.Journal.Write(ctx, e); err != nil {
		f.cfg.Fatal(fmt.Errorf("keep that this node is fenced: %w", err))
		return
	}
	failpoint.Hit("fence-after-fenced")
	if old != nil {
		return
	}
	f.cfg.Log.Error("this node is fenced", "error", x)
	f.cfg.Drop(ctx, now, x)
	n, err := f.cfg.Burn(ctx, now)
	if err != nil {
		f.cfg.Fatal(fmt.Errorf("burn the pairs of a fenced node: %w", err))
		return
	}
	failpoint.Hit("fence-after-burns")
	f.cfg.Log.Error("all pairs are burned until new shares are made", "pairs", n)
}

// ErrNotFenced says that there is nothing to confirm.
var ErrNotFenced = errors.New("this node is not fenced: there is nothing to confirm")

// Confirm is the operator's word that this is the only copy: the fence goes, and a new life
// begins above everything that peers have shown. The pairs stay burned until new shares are made.
func (f *Fence) Confirm(ctx context.Context, now time.Time) (start uint64, err error) {
	f.act.Lock()
	defer f.act.Unlock()
	why := f.fenced.Load()
	if why == nil {
		return 0, ErrNotFenced
	}
	if _, err := f.cfg.Burn(ctx, now); err != nil {
		return 0, err
	}
	next := Life{Counter: max(f.own.Counter, why.counter) + 1}
	next.Confirmed = next.Counter - 1
	if next.Instance, err = f.instance(now, next.Counter); err != nil {
		return 0, err
	}
	old := f.own
	f.own = next
	e := f.instanceEntry(now, tlog.KindConfirmed)
	if err := f.adopts(ctx, &e); err != nil {
		f.own = old
		return 0, err
	}
	e.Delete = append(e.Delete, kindFenced)
	e.Put = append(e.Put, store.Entry{Key: kindConfirmed, Value: binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))})
	failpoint.Hit("fence-before-confirm")
	if err := f.cfg.Journal.Write(ctx, e); err != nil {
		f.own = old
		if errors.Is(err, store.ErrUnknown) {
			f.cfg.Fatal(fmt.Errorf("whether the operator's word is durable is not known: %w", err))
		}
		return 0, err
	}
	failpoint.Hit("fence-after-confirm")
	if f.cfg.Counter != nil {
		if err := f.raise(ctx, now, f.count.rows[f.count.machine]); err != nil {
			f.cfg.Fatal(fmt.Errorf("raise the TPM's counter after the operator's word, which is durable: start again: %w", err))
			return 0, err
		}
	}
	f.confirmedAt = now
	f.mu.Lock()
	for _, p := range f.peers {
		p.greeted = false
	}
	f.sure, f.opened = false, now // the same copy, restored twice, would come to the same name of its log
	f.mu.Unlock()
	f.fenced.Store(nil)
	f.cfg.Log.Warn("the operator confirmed that no other copy of this node runs", "start", next.Counter)
	return next.Counter, f.tell(ctx, now)
}

// Vouch is the operator's word that the store of a process for which nobody spoke yet is no older copy: it signs its log, and cosigns others', though some
// peer has not greeted it. Who did restore it confirms (Confirm) instead, once it is fenced.
func (f *Fence) Vouch(now time.Time) error {
	if err := f.Fenced(); err != nil {
		return err
	}
	var unsure *UnsureError
	if err := f.Sure(now); !errors.As(err, &unsure) {
		return cmp.Or(err, ErrSure)
	}
	f.mu.Lock()
	f.sure = true
	f.mu.Unlock()
	f.cfg.Log.Warn("the operator says that this node was not restored: it signs its log, though a peer has not greeted it", "peer", unsure.Peer)
	return nil
}

// ErrSure says that there is nothing to vouch for.
var ErrSure = errors.New("this node waits for no peer's greeting: there is nothing to vouch for")

// Format keeps the identity key out of what is printed.
func (*Fence) Format(s fmt.State, _ rune) { io.WriteString(s, "[fence]") } //nolint:errcheck // a printer's trouble

func (Config) Format(s fmt.State, _ rune) { io.WriteString(s, "[fence's config]") } //nolint:errcheck // a printer's trouble
