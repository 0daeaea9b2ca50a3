package presign

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/internal/failpoint"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Rows of this room (spec/store).
const (
	kindBurn = "presig-burn"  // presig-burn/<presigID>: what a presignature was taken for (dkls.Burn.Name)
	keyFence = "presig-fence" // the last fencing token, 8 bytes
)

func burnKey(id dkls.PresigID) string { return store.Key(kindBurn, store.ID(id[:])) }

// A Mode says for which vaults a node holds presignatures.
type Mode string

// Modes. The zero value is ModeHot.
const (
	ModeHot Mode = "hot" // those of tier hot
	ModeAll Mode = "all" // every vault with a key of ECDSA
	ModeOff Mode = "off" // none
)

// ParseMode reads a setting; an empty one is ModeHot.
func ParseMode(s string) (Mode, error) {
	switch m := Mode(s); m {
	case "":
		return ModeHot, nil
	case ModeHot, ModeAll, ModeOff:
		return m, nil
	}
	return "", fmt.Errorf("presignatures: %q is not hot, all or off", s)
}

// Config is what Pools work with.
type Config struct {
	Self    engine.PartyID
	Mode    Mode
	Journal *journal.Journal
	Log     *slog.Logger
	// Pick, Root and Keys come from the room that keeps keys.
	Pick func(want func(suite, tier string) bool) []ceremony.View
	Root func(key [32]byte) (ceremony.View, bool)
	Keys func(ctx context.Context, key [32]byte, eh epoch.Hash) (*protocol.Keys, error)
	// Fit refuses a setup with a burned pair, a quarantined party or a failing key. Unfit lists the parties with whom a
	// key cannot be used.
	Fit   func(ctx context.Context, now time.Time, s *mpc.Setup, pairs [32]byte) error
	Unfit func(ctx context.Context, key, pairs [32]byte) (map[engine.PartyID]bool, error)
	// Choose picks t signers of those who could sign.
	Choose    func(ctx context.Context, now time.Time, key [32]byte, from []mpc.Party, t int) ([]mpc.Party, error)
	Reachable func(engine.PartyID) bool
	// Shuns says that sessions with a party failed lately. Pressed says that intents of a key wait to be signed in three rounds.
	Shuns   func(now time.Time, p engine.PartyID) bool
	Pressed func(now time.Time, key [32]byte) bool
	Wake    func() // asks for a Tick soon; may be nil
}

// Pools are a node's presignatures, for each key, epoch and signer set.
type Pools struct {
	cfg Config

	mu      sync.Mutex
	fence   uint64     // of the pool
	pool    *dkls.Pool // nil before the first ticket
	stopped bool
	keys    map[[32]byte]*line // by key id
	stats   Stats
}

// line is what is known of one key.
type line struct {
	vault     mark
	making    bool      // a presign session of this key is open here
	next      time.Time // we open none before this
	fails     int       // since the last one that succeeded
	trouble   string    // why none is made, as it was logged
	misses    int       // presignatures in a row that another signer did not hold
	skip      map[engine.PartyID]time.Time
	mentioned map[dkls.PresigID]time.Time // named in a Setup of ours that may not have come to Take yet
}

// mark tells one state of a vault's rules from another.
type mark struct{ vault, charter statement.ID }

// Stats are counts since the process began; Held is now.
type Stats struct {
	Held, Hits, Misses, Made, Failed, Dropped int
}

// New makes pools without presignatures; nothing is written before the first ticket is wanted.
func New(cfg Config) *Pools {
	if cfg.Mode == "" {
		cfg.Mode = ModeHot
	}
	return &Pools{cfg: cfg, keys: map[[32]byte]*line{}}
}

// Format keeps secrets out of what is printed.
func (*Pools) Format(f fmt.State, _ rune) { io.WriteString(f, "[presignatures]") } //nolint:errcheck // a printer's trouble

// Wants says whether this node holds presignatures of a root key.
func (p *Pools) Wants(v ceremony.View) bool {
	return v.Current != nil && v.Bare == "" && v.Current.Record.Threshold >= 2 && p.wants(v.Suite, v.Vault.Tier)
}

func (p *Pools) wants(suite, tier string) bool {
	return suite == charter.SuiteECDSA && (p.cfg.Mode == ModeAll || p.cfg.Mode == ModeHot && tier == charter.TierHot)
}

// Stats counts what happened.
func (p *Pools) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	for pairs := range p.keys {
		s.Held += p.heldLocked(pairs)
	}
	return s
}

// Held is how many presignatures with these pairs (protocol.PairKey) are here, over all its signer sets.
func (p *Pools) Held(pairs [32]byte) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heldLocked(pairs)
}

func (p *Pools) heldLocked(pairs [32]byte) int {
	if p.pool == nil {
		return 0
	}
	held, _ := p.pool.Count(pairs)
	return held
}

// line gives what is known of a key, under mu.
func (p *Pools) line(v ceremony.View) *line {
	key, at := protocol.PairKey(v.Current.Record), mark{v.Vault.ID, v.Vault.Under}
	l := p.keys[key]
	if l == nil {
		l = &line{vault: at, skip: map[engine.PartyID]time.Time{}, mentioned: map[dkls.PresigID]time.Time{}}
		p.keys[key] = l
	}
	if l.vault != at { // other rules: what was made under the old ones does not serve (spec/presign 3.4)
		p.dropLocked(func(d *dkls.Pool) int { return d.DropKey(key) })
		l.vault = at
	}
	return l
}

// open makes the pool of this process, under mu: its fencing token is durable, and above every one before.
func (p *Pools) open(ctx context.Context) error {
	if p.stopped {
		return errors.New("presignatures: this node is stopping")
	}
	if p.pool != nil {
		return nil
	}
	last, cond, err := p.lastFence(ctx)
	if err != nil {
		return err
	}
	fence := last + 1
	failpoint.Hit("presign-before-fence")
	e := journal.Entry{Batch: store.Batch{If: []store.Cond{cond}, Put: []store.Entry{{Key: keyFence, Value: binary.BigEndian.AppendUint64(nil, fence)}}}}
	if err := p.cfg.Journal.Write(ctx, e); err != nil {
		return fmt.Errorf("presignatures: raise the fencing token to %d: %w", fence, err)
	}
	failpoint.Hit("presign-after-fence")
	// No burn record is of this fence, so the high-water mark lies below it.
	pool, err := dkls.NewPool(fence, dkls.Ticket{Fence: last, Counter: math.MaxUint64}, 0)
	if err != nil {
		return err
	}
	p.fence, p.pool = fence, pool
	return nil
}

// lastFence reads the fencing token that the store holds now.
func (p *Pools) lastFence(ctx context.Context) (uint64, store.Cond, error) {
	it, err := p.cfg.Journal.Store().Get(ctx, keyFence)
	if errors.Is(err, store.ErrNotFound) {
		return 0, store.Absent(keyFence), nil
	}
	if err != nil {
		return 0, store.Cond{}, fmt.Errorf("read the presignatures' fencing token: %w", err)
	}
	if len(it.Value) != 8 {
		return 0, store.Cond{}, fmt.Errorf("read the presignatures' fencing token: has %d bytes, not 8", len(it.Value))
	}
	return binary.BigEndian.Uint64(it.Value), store.Unchanged(it), nil
}

// mentionFor is how long an opener names no presignature twice: by then its session took it, or was refused.
const mentionFor = 10 * time.Second

// Next names a presignature for a session of these signers that we open: the oldest that we hold and have not named lately.
// The others may hold it or not.
func (p *Pools) Next(now time.Time, v ceremony.View, signers []mpc.Party) (dkls.PresigID, bool) {
	if !p.Wants(v) {
		return dkls.PresigID{}, false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.line(v)
	for id, at := range l.mentioned {
		if now.Sub(at) >= mentionFor {
			delete(l.mentioned, id)
		}
	}
	if p.pool != nil {
		r := v.Current.Record
		for _, id := range p.pool.IDs(protocol.PairKey(r), r.Hash(), signers) {
			if _, named := l.mentioned[id]; !named {
				l.mentioned[id] = now
				return id, true
			}
		}
	}
	p.stats.Misses++
	return dkls.PresigID{}, false
}

// Taken is a presignature that serves one Setup, and nothing else for ever.
type Taken struct {
	Presignature dkls.Presignature
	pools        *Pools
	burn         *dkls.Burn
	vault        statement.ID
}

// Take takes a presignature out for an online Setup that has been checked in all else (spec/presign 5.1). Its Entry must be
// durable before our Join leaves.
func (p *Pools) Take(ctx context.Context, v ceremony.View, s *mpc.Setup, id dkls.PresigID, digest [32]byte) (*Taken, error) {
	if !p.Wants(v) {
		return nil, fmt.Errorf("vault %s: this node uses no presignatures of it", v.Title())
	}
	now, _, err := p.lastFence(ctx)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.line(v)
	if p.stopped || p.pool == nil {
		p.stats.Misses++
		return nil, fmt.Errorf("presignature %v: %w", id, dkls.ErrNotHeld)
	}
	r := v.Current.Record
	got, burn, err := p.pool.Take(dkls.Claim{
		ID: id, KeyID: protocol.PairKey(r), Epoch: r.Hash(), Signers: s.Parties, Use: dkls.Use{Setup: s.Hash(), Digest: digest}, Fence: now,
	})
	if err != nil {
		p.stats.Misses++
		return nil, fmt.Errorf("presignature %v: %w", id, err)
	}
	p.stats.Hits++
	delete(l.mentioned, id)
	failpoint.Hit("presign-after-take")
	return &Taken{got, p, burn, v.Vault.ID}, nil
}

// Entry is the burn record, on the condition that there is none: a second one is a second use.
func (t *Taken) Entry(now time.Time) journal.Entry {
	key := burnKey(t.burn.ID)
	return journal.Entry{
		Batch:  store.Batch{If: []store.Cond{store.Absent(key)}, Put: []store.Entry{{Key: key, Value: t.burn.Encode()}}},
		Leaves: []tlog.Filed{tlog.Notes(tlog.KindPresignature, now, t.vault, [32]byte(t.burn.ID))},
	}
}

// Save finds the burn record that the online stage wants kept: it is durable since the admission, with these very bytes.
// What it returns writes nothing, and holds only while the record stays.
func (t *Taken) Save(ctx context.Context, rows []engine.Record) (journal.Entry, error) {
	if len(rows) != 1 || rows[0].Name != burnKey(t.burn.ID) {
		return journal.Entry{}, fmt.Errorf("presignature %v: the session keeps other rows than its burn record", t.burn.ID)
	}
	it, err := t.pools.cfg.Journal.Store().Get(ctx, rows[0].Name)
	if err != nil {
		return journal.Entry{}, fmt.Errorf("presignature %v: read its burn record: %w", t.burn.ID, err)
	}
	if !bytes.Equal(it.Value, rows[0].Value) {
		return journal.Entry{}, fmt.Errorf("presignature %v: its burn record is of another use", t.burn.ID)
	}
	return journal.Entry{Batch: store.Batch{If: []store.Cond{store.Unchanged(it)}}}, nil
}

// Done wipes what the session did not use. If the burn record was there before, this presignature was used before, by a copy of
// this process: nothing that is held can be trusted to be ours alone.
func (t *Taken) Done(ctx context.Context, now time.Time, err error) {
	t.Presignature.Wipe()
	var conflict *store.ConflictError
	if !errors.As(err, &conflict) || conflict.Key != burnKey(t.burn.ID) {
		return
	}
	p := t.pools
	p.mu.Lock()
	p.dropLocked((*dkls.Pool).DropAll)
	p.mu.Unlock()
	p.cfg.Log.Error("presignature used before: a copy of this node runs somewhere", "presignature", t.burn.ID)
	alarm := tlog.Says(tlog.KindAlarm, now, t.vault, []byte("presignature used before: a copy of this node runs somewhere")).On([32]byte(t.burn.ID))
	if err := p.cfg.Journal.Write(ctx, journal.Entry{Leaves: []tlog.Filed{alarm}}); err != nil {
		p.cfg.Log.Error("alarm not logged", "error", err)
	}
}

// maxMisses presignatures in a row that another signer declined: it was restarted, and lacks the rest as well.
const maxMisses = 2

// Used says how a session that named a presignature went, as far as the pools care: whether it began. One that did not
// is not tried again.
func (p *Pools) Used(pairs [32]byte, eh epoch.Hash, signers []mpc.Party, id dkls.PresigID, began bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.keys[pairs]
	if l == nil || p.pool == nil {
		return
	}
	p.dropLocked(func(d *dkls.Pool) int { return d.Drop(id) })
	if l.misses++; began {
		l.misses = 0
	}
	if l.misses < maxMisses {
		return
	}
	l.misses = 0
	for _, id := range p.pool.IDs(pairs, eh, signers) {
		p.dropLocked(func(d *dkls.Pool) int { return d.Drop(id) })
	}
}

// DropPairs forgets what was made with burned pairs. Called while the host holds them.
func (p *Pools) DropPairs(tokens []engine.Token) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range tokens {
		p.dropLocked(func(d *dkls.Pool) int { return d.DropPair(t) })
	}
}

// Close forgets everything, and begins nothing more.
func (p *Pools) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stopped = true
	p.dropLocked((*dkls.Pool).DropAll)
}

func (p *Pools) dropLocked(drop func(*dkls.Pool) int) {
	if p.pool != nil {
		p.stats.Dropped += drop(p.pool)
	}
}

// sweep drops what no longer serves: keys that are not in force or not wanted, other epochs, other rules, parties with whom
// the key cannot be used any more.
func (p *Pools) sweep(ctx context.Context, roots []ceremony.View) {
	live := map[[32]byte]bool{}
	for _, v := range roots {
		if !p.Wants(v) {
			continue
		}
		r := v.Current.Record
		unfit, err := p.cfg.Unfit(ctx, r.KeyID, protocol.PairKey(r))
		if err != nil {
			p.cfg.Log.Error("presignatures dropped", "vault", v.Title(), "error", err)
			continue // not live: what cannot be judged is not kept
		}
		live[protocol.PairKey(r)] = true
		p.mu.Lock()
		p.line(v)
		for id := range unfit {
			p.dropLocked(func(d *dkls.Pool) int { return d.DropPair(engine.Token{Key: protocol.PairKey(r), Peer: id}) })
		}
		p.mu.Unlock()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range p.keys {
		if !live[key] {
			p.dropLocked(func(d *dkls.Pool) int { return d.DropKey(key) })
			if !p.keys[key].making {
				delete(p.keys, key)
			}
		}
	}
}

// count is how many of one signer set are held or being made, under mu.
func (p *Pools) count(r *epoch.Record, signers []mpc.Party) int {
	if p.pool == nil {
		return 0
	}
	return len(p.pool.IDs(protocol.PairKey(r), r.Hash(), signers))
}

// signers are those for whom presignatures are made: the t lowest of the record that are there and fit, without those by whom
// sessions failed lately, if t others are there. The desk picks in the same way.
func (p *Pools) signers(ctx context.Context, now time.Time, v ceremony.View) ([]mpc.Party, error) {
	r := v.Current.Record
	unfit, err := p.cfg.Unfit(ctx, r.KeyID, protocol.PairKey(r))
	if err != nil {
		return nil, err
	}
	var all, good []mpc.Party
	for _, m := range r.Parties() {
		if m.ID != p.cfg.Self && !p.cfg.Reachable(m.ID) || unfit[m.ID] {
			continue
		}
		all = append(all, m)
		if !p.cfg.Shuns(now, m.ID) && !p.skips(now, protocol.PairKey(r), m.ID) {
			good = append(good, m)
		}
	}
	if len(good) < r.Threshold {
		good = all[:min(r.Threshold, len(all))]
	}
	return p.cfg.Choose(ctx, now, r.KeyID, good, r.Threshold)
}

func (p *Pools) skips(now time.Time, key [32]byte, id engine.PartyID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.keys[key]
	return l != nil && now.Before(l.skip[id])
}
