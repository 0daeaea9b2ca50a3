package charters

import (
	"context"
	"crypto"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// Notes of this room.
const (
	NoteCharter  outbox.Kind = 0x50 // charter statement, officer's signature
	NoteEnact    outbox.Kind = 0x51 // charter's id, operator, node's signature
	NoteVeto     outbox.Kind = 0x52 // veto statement, officer's signature
	NoteRevoke   outbox.Kind = 0x53 // revoke statement, signature
	NoteFreeze   outbox.Kind = 0x54 // freeze statement, officer's signature
	NoteUnfreeze outbox.Kind = 0x55 // unfreeze statement, officer's signature
	NoteEnacted  outbox.Kind = 0x56 // a version that was in force, whole: for who came later
)

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k >= NoteCharter && k <= NoteEnacted }

// Rows of this room (spec/store).
const (
	kindCharter  = "charter"       // charter/<id>: statement, officers' and nodes' signatures
	kindComplete = "charter-since" // charter-since/<id>: when all officers had signed, Unix seconds
	kindVeto     = "veto"          // veto/<charter>/<operator>: statement and signature
	kindRevoke   = "revoke"        // revoke/<hash of key>: statement and signature
	kindFreeze   = "freeze"        // freeze/<id>: statement and signatures
	kindUnfreeze = "unfreeze"      // unfreeze/<id>: statement and signatures
	kindEnded    = "unfrozen"      // unfrozen/<id of freeze>: empty; all who held the vault ended it
	keyInForce   = "in-force"      // id of the newest version in force
)

// Bounds: proposals of one version and roster that one operator signed and nobody vetoed, and with those that somebody did; and statements about
// one vault's freezes.
const (
	maxProposed = 8
	maxVetoed   = 64
	maxFreezes  = 8
)

// Config is what Charters work with.
type Config struct {
	Operator string
	Identity crypto.Signer
	Journal  *journal.Journal
	Rand     io.Reader
	Log      *slog.Logger
	Post     func(ctx context.Context, now time.Time, e journal.Entry, n outbox.Note) error
	// Forward sends a note, which was made before, to peers that came since.
	Forward func(ctx context.Context, now time.Time, n outbox.Note, to []charter.Operator) error
	// Rosters are all versions of the roster in force so far. It is asked under our lock.
	Rosters func() charter.Chain
	// Committee lists the operators that hold a vault now; none if the vault is not known here.
	Committee func(vault statement.ID) []string
	// Held says why no version may come into force now: an emergency holds a vault (spec/sos 5.1). Subjects are the operators that an emergency of
	// a vault is about: nobody waits for their word under an unfreezing. Both are asked before our own lock is taken; they may be nil.
	Held     func(ctx context.Context) string
	Subjects func(ctx context.Context, vault statement.ID) []string
}

// Charters is a node's view of its circle's charter.
type Charters struct {
	cfg Config

	mu       sync.Mutex
	clock    time.Time // of the last call: terms end by it
	held     string    // why no version comes into force, as of the last call
	history  charter.History
	known    map[statement.ID]*proposal // in force or not
	vetoes   map[statement.ID]map[string]Signed
	revoked  map[string]Signed // by key's line
	freezes  map[statement.ID]charter.Accepted
	unfreeze map[statement.ID]charter.Accepted
	ended    map[statement.ID]bool   // freezes that a complete unfreeze names
	warned   map[statement.ID]bool   // versions of which the log says why they are not enacted
	live     map[statement.ID]live   // versions as they count now; empty after every revocation
	weights  map[statement.ID]weight // of the versions that wait, against the one in force
}

// live is a version without what has expired or was revoked, until the next thing expires; zero: nothing does.
type live struct {
	charter.Charter
	until time.Time
}

// now gives a version as it counts now.
func (c *Charters) now(x charter.Charter) charter.Charter {
	l, ok := c.live[x.ID]
	if !ok || !l.until.IsZero() && !c.clock.Before(l.until) {
		l = live{x, x.NextEnd(c.clock)}
		l.Document = x.Document.At(c.clock, c.isRevoked)
		c.live[x.ID] = l
	}
	return l.Charter
}

// A proposal is one version, in force or not.
type proposal struct {
	charter.Charter
	by    charter.Enacted
	since time.Time // when all officers had signed, as seen here; zero: they have not
}

func (p *proposal) id() statement.ID { return p.ID }

// Signed is a statement and the one signature over it.
type Signed struct {
	Statement statement.Statement
	Signature []byte
}

// Open reads back what the node knows of its charter.
func Open(ctx context.Context, now time.Time, cfg Config) (*Charters, error) {
	c := &Charters{
		cfg: cfg, clock: now, known: map[statement.ID]*proposal{}, vetoes: map[statement.ID]map[string]Signed{}, revoked: map[string]Signed{},
		freezes: map[statement.ID]charter.Accepted{}, unfreeze: map[statement.ID]charter.Accepted{}, ended: map[statement.ID]bool{}, warned: map[statement.ID]bool{}, live: map[statement.ID]live{},
		weights: map[statement.ID]weight{},
	}
	if err := c.load(ctx); err != nil {
		return nil, fmt.Errorf("read the charter: %w", err)
	}
	return c, nil
}

func (c *Charters) load(ctx context.Context) error {
	for _, kind := range []struct {
		name string
		do   func(store.Item) error
	}{
		{kindCharter, c.loadCharter}, {kindComplete, c.loadComplete}, {kindVeto, c.loadVeto}, {kindRevoke, c.loadRevocation},
		{kindFreeze, loadAccepted(c.freezes)}, {kindUnfreeze, loadAccepted(c.unfreeze)}, {kindEnded, c.loadEnded},
	} {
		if err := c.each(ctx, kind.name, kind.do); err != nil {
			return err
		}
	}
	return c.loadHistory(ctx)
}

// each reads all rows of a kind.
func (c *Charters) each(ctx context.Context, kind string, do func(store.Item) error) error {
	for after := ""; ; {
		items, err := c.cfg.Journal.Store().Range(ctx, store.Prefix(kind), after, store.MaxLimit)
		if err != nil {
			return err
		}
		for _, it := range items {
			if err := do(it); err != nil {
				return fmt.Errorf("row %s: %w", it.Key, err)
			}
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

func (c *Charters) loadCharter(it store.Item) error {
	e, err := charter.DecodeEnacted(it.Value)
	if err != nil {
		return err
	}
	x, err := charter.Of(e.Statement)
	c.known[x.ID] = &proposal{Charter: x, by: e}
	return err
}

func (c *Charters) loadComplete(it store.Item) error {
	id, err := statement.ParseID(strings.TrimPrefix(it.Key, store.Prefix(kindComplete)))
	if err != nil || len(it.Value) != 8 || c.known[id] == nil {
		return errors.New("it names no charter, or no time")
	}
	c.known[id].since = time.Unix(int64(binary.BigEndian.Uint64(it.Value)), 0).UTC()
	return nil
}

func (c *Charters) loadVeto(it store.Item) error {
	x, err := decodeSigned(it.Value)
	if err == nil {
		c.keepVeto(x)
	}
	return err
}

func (c *Charters) keepVeto(x Signed) {
	id := x.Statement.Fields().ID("charter")
	if c.vetoes[id] == nil {
		c.vetoes[id] = map[string]Signed{}
	}
	c.vetoes[id][x.Statement.Get("operator")] = x
}

func (c *Charters) loadRevocation(it store.Item) error {
	x, err := decodeSigned(it.Value)
	if err == nil {
		c.revoked[x.Statement.Get("key")] = x
	}
	return err
}

func loadAccepted(into map[statement.ID]charter.Accepted) func(store.Item) error {
	return func(it store.Item) error {
		a, err := charter.DecodeAccepted(it.Value)
		if err == nil {
			into[a.Statement.ID()] = a
		}
		return err
	}
}

func (c *Charters) loadEnded(it store.Item) error {
	id, err := statement.ParseID(strings.TrimPrefix(it.Key, store.Prefix(kindEnded)))
	c.ended[id] = true
	return err
}

// loadHistory follows the ids back from the newest version, then checks each step anew.
func (c *Charters) loadHistory(ctx context.Context) error {
	it, err := c.cfg.Journal.Store().Get(ctx, keyInForce)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(it.Value) != len(statement.ID{}) {
		return fmt.Errorf("row %s has %d bytes", keyInForce, len(it.Value))
	}
	var back []*proposal
	for id := statement.ID(it.Value); !id.IsZero(); {
		p := c.known[id]
		if p == nil {
			return fmt.Errorf("charter %s is missing", id.Short())
		}
		back = append(back, p)
		id = p.Previous
	}
	rosters := c.cfg.Rosters()
	for _, p := range slices.Backward(back) {
		if c.history, err = c.history.Next(p.by, rosters); err != nil {
			return err
		}
	}
	return nil
}

// encodeSigned is a row: the signature's length, the signature, the statement.
func encodeSigned(x Signed) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(x.Signature)))
	return append(append(b, x.Signature...), x.Statement.Bytes()...)
}

func decodeSigned(b []byte) (x Signed, err error) {
	if len(b) < 4 {
		return x, fmt.Errorf("%d bytes", len(b))
	}
	n := binary.BigEndian.Uint32(b)
	if n > signet.MaxArmored || int(n) > len(b)-4 {
		return x, fmt.Errorf("a signature of %d bytes in %d", n, len(b))
	}
	x.Signature = slices.Clone(b[4 : 4+n])
	x.Statement, err = statement.Parse(b[4+n:])
	return x, err
}

func charterKey(id statement.ID) string { return store.Key(kindCharter, store.ID(id[:])) }

func revokeKey(line string) string {
	h := sha256.Sum256([]byte(line))
	return store.Key(kindRevoke, store.ID(h[:]))
}

// Charter is the version in force; ok is false while there is none.
func (c *Charters) Charter() (charter.Charter, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.history.Newest()
}

// Version finds a version that was in force.
func (c *Charters) Version(id statement.ID) (charter.Charter, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.history.Version(id)
}

// History is the versions that were in force.
func (c *Charters) History() charter.History {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.history)
}

// Versions are all that were in force, version 0 first, with what shows it.
func (c *Charters) Versions() (out []charter.Enacted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.history {
		out = append(out, c.known[v.ID].by)
	}
	return out
}

// Terms gives a vault the terms of the charter in force.
func (c *Charters) Terms(v charter.Vault) charter.Vault {
	c.mu.Lock()
	defer c.mu.Unlock()
	newest, ok := c.history.Newest()
	if !ok {
		v.Terms = charter.Terms{}
		return v
	}
	return c.now(newest).TermsNow(v)
}

// TermsUnder gives a vault the terms of a version that is or was in force; keys that were revoked or have expired since count for nothing
// there either.
func (c *Charters) TermsUnder(v charter.Vault, id statement.ID) (charter.Vault, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.history.Version(id)
	if !ok {
		return v, false
	}
	return c.now(x).TermsNow(v), true
}

// TermsThen gives a vault the terms that such a version had at a time, whatever was revoked since: for what was allowed then.
func (c *Charters) TermsThen(v charter.Vault, id statement.ID, at time.Time) (charter.Vault, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.history.Version(id)
	if !ok {
		return v, false
	}
	return x.Terms(v, at, func(signet.Key) bool { return false }), true
}

// Document is the charter in force as it counts now: without what was revoked or has expired.
func (c *Charters) Document() (charter.Charter, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.history.Newest()
	if !ok {
		return x, false
	}
	return c.now(x), true
}

func (c *Charters) isRevoked(k signet.Key) bool {
	_, ok := c.revoked[k.String()]
	return ok
}

// tell notes the time.
func (c *Charters) tell(now time.Time) {
	if now.After(c.clock) {
		c.clock = now
	}
}

// proposals are the known statements of a version, the lowest id first.
func (c *Charters) proposals(version uint64) []*proposal {
	out := slices.Collect(maps.Values(c.known))
	out = slices.DeleteFunc(out, func(p *proposal) bool { return p.Version != version })
	slices.SortFunc(out, func(a, b *proposal) int { return strings.Compare(a.id().String(), b.id().String()) })
	return out
}

// Format keeps the identity key out of what is printed.
func (*Charters) Format(f fmt.State, _ rune) { io.WriteString(f, "[charters]") } //nolint:errcheck // a printer's trouble

func (Config) Format(f fmt.State, _ rune) { io.WriteString(f, "[charters' config]") } //nolint:errcheck // a printer's trouble
