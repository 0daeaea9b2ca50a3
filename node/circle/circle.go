package circle

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
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
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// Notes of this room: one officer's acceptance each.
const (
	NoteRoster outbox.Kind = 0x30 // roster statement, signature
	NoteVault  outbox.Kind = 0x31 // vault statement, signature

	NoteReshare  outbox.Kind = 0x32 // reshare statement, signature
	NoteAccepted outbox.Kind = 0x33 // accepted vault or reshare statement, whole: for who came later
)

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k >= NoteRoster && k <= NoteAccepted }

// ForGuests says whether a note goes to, and is taken from, nodes that are no members now: who
// waits to be taken in, and who has just left.
func ForGuests(k outbox.Kind) bool { return k == NoteRoster }

// Rows of this room (spec/store).
const (
	kindInvite  = "invite"  // invite/<hash of secret>: expiry and whom it is for, or "used" and by whom
	kindDraft   = "draft"   // draft/<name>: an operator that joined, or that invited us
	kindRoster  = "roster"  // roster/<id>: statement and acceptances
	kindVault   = "vault"   // vault/<id>: statement and acceptances
	keyNewest   = "newest"  // id of the newest roster in force
	keyGenesis  = "genesis" // id of version 0 of the circle that we were invited to
	maxProposed = 8         // statements that wait for acceptance
)

// Config is what a Circle works with.
type Config struct {
	Own     charter.Operator // as this node's settings say
	Journal *journal.Journal
	Rand    io.Reader
	Log     *slog.Logger
	Post    func(ctx context.Context, now time.Time, e journal.Entry, n outbox.Note) error
	// Knock asks a node that is not pinned yet.
	Knock func(ctx context.Context, addr string, key ed25519.PublicKey, body []byte) ([]byte, error)
	// Forward sends a note, which was made before, to peers that came since.
	Forward func(ctx context.Context, now time.Time, n outbox.Note, to []charter.Operator) error
	// Seated says whether an operator's node has a share of a key, as far as this node follows it; Owed, whether notes wait for it.
	Seated, Owed func(charter.Operator) bool
	// Forget gives up what was to be sent to an operator that is not pinned any more.
	Forget func(charter.Operator)
	// Reachable says whether the link to a pinned node stands.
	Reachable func(ed25519.PublicKey) bool
	// Holds lists the vaults of which this node holds a share.
	Holds func() []string
	// OnRosters is told of all versions in force before anything else is, when the circle is opened and whenever one is added.
	OnRosters func(ctx context.Context, now time.Time, c charter.Chain) error
	// History is the charter's versions that were in force.
	History func() charter.History
	// MayHold says why a committee and threshold would break the control rules of the charter in force for a vault.
	MayHold func(vault string, committee []string, threshold int) error
	// HandOver sends who came to the circle what is known of the charter.
	HandOver func(ctx context.Context, now time.Time, to []charter.Operator) error
	// OnPeers is told whom to pin, whenever that changes.
	OnPeers func(Pins)
	// OnVaults is told of every vault that all of its committee accepted, and again whenever a version of the roster comes into force.
	OnVaults func(ctx context.Context, now time.Time, v []charter.Vault, c charter.Chain) error
	// OnReshare is told of every reshare that is complete, and again when another officer signed it.
	OnReshare func(ctx context.Context, now time.Time, a charter.Accepted) error
	// Held says under which statement a vault's keys are held here, and what they are.
	Held func(vault statement.ID) (under statement.ID, keys []charter.PinnedKey, err error)
	// Rescues lists the committees that emergencies made of a vault's, the oldest first.
	Rescues func(vault statement.ID) []charter.Emergency
	// Under lists the statements under which a vault's keys are held, as far as this node follows them.
	Under func(vault statement.ID) []statement.ID
	// Made says whether a vault has a key here, or may get one: we said FINAL of it, or know it.
	Made func(vault statement.ID) bool
	// Keyed says whether the store holds a certificate in force of a vault's key: all its members signed that, over the vault's id, and it is verified before it is used.
	Keyed func(ctx context.Context, v charter.Vault) bool
	// GiveUp makes sure that this node makes no key of a vault any more; an error if it has begun to. begun: also then, as long as we have
	// not said FINAL.
	GiveUp func(vault statement.ID, begun bool) error
	// Past says whether a record of a vault's key was in force here.
	Past func(vault statement.ID, key, eh [32]byte) bool
}

// Pins are the nodes that this one has to do with.
type Pins struct {
	Peers  []charter.Operator // members: everything
	Guests []charter.Operator // rosters alone: who waits to be taken in; to a node whose operator left, the members
	Left   []charter.Operator // who left, until it knows what ended its hold: rosters, and to them complete reshares and final certificates
	Former []charter.Operator // nobody to talk to; they stand in older versions
	Gone   bool               // our own operator left
}

// Circle is the node's view of its circle.
type Circle struct {
	cfg Config

	mu       sync.Mutex
	draft    map[string]charter.Operator
	welcomed map[string]time.Time              // when who joined here was last sent the rosters for its knock
	rosters  map[statement.ID]charter.Accepted // versions in force, and what is proposed
	vaults   map[statement.ID]charter.Accepted
	named    map[string][]statement.ID // those of each name
	verified int                       // of those with a key, when the circle was opened
	hearsay  map[statement.ID]bool     // vaults that came whole when they had lost an officer
	reshares
	chain   charter.Chain // versions in force here; empty while there is none
	genesis statement.ID  // of the circle that invited us, if it had a charter

	invites journal.Sweep
}

// Open reads back what the node knows of its circle.
func Open(ctx context.Context, now time.Time, cfg Config) (*Circle, error) {
	c := &Circle{
		cfg: cfg, draft: map[string]charter.Operator{}, welcomed: map[string]time.Time{},
		rosters: map[statement.ID]charter.Accepted{}, vaults: map[statement.ID]charter.Accepted{}, named: map[string][]statement.ID{}, hearsay: map[statement.ID]bool{}, reshares: newReshares(),
		invites: journal.Sweep{Prefix: store.Prefix(kindInvite)},
	}
	if err := c.load(ctx); err != nil {
		return nil, fmt.Errorf("read the circle: %w", err)
	}
	if err := c.cfg.OnRosters(ctx, now, c.chain); err != nil {
		return nil, err
	}
	c.cfg.OnPeers(c.pins())
	var kept []charter.Vault
	for _, a := range c.vaults {
		if c.verified >= verifiedAtStart {
			if v, ok := c.kept(ctx, a); ok {
				kept = append(kept, v)
				continue
			}
		}
		c.verified++
		if err := c.announce(ctx, now, a); err != nil {
			return nil, err
		}
	}
	if err := c.announceWhole(ctx, now, kept...); err != nil {
		return nil, err
	}
	if err := c.announceReshares(ctx, now); err != nil {
		return nil, err
	}
	c.cfg.OnPeers(c.pins()) // who has shares is known by now
	return c, c.handOver(ctx, now)
}

// each reads all rows of a kind.
func (c *Circle) each(ctx context.Context, kind string, do func(store.Item) error) error {
	for after := ""; ; {
		items, err := c.cfg.Journal.Store().Range(ctx, store.Prefix(kind), after, store.MaxLimit)
		for _, it := range items {
			if err == nil {
				err = do(it)
			}
			after = it.Key
		}
		if err != nil || len(items) < store.MaxLimit {
			return err
		}
	}
}

func (c *Circle) load(ctx context.Context) error {
	err := c.each(ctx, kindDraft, func(it store.Item) error {
		o, err := decodeOperator(it.Value)
		c.draft[o.Name] = o
		return err
	})
	accepted := func(put func(charter.Accepted)) func(store.Item) error {
		return func(it store.Item) error {
			a, err := charter.DecodeAccepted(it.Value)
			if err == nil {
				put(a)
			}
			return err
		}
	}
	if err == nil {
		err = c.each(ctx, kindRoster, accepted(func(a charter.Accepted) { c.rosters[a.Statement.ID()] = a }))
	}
	if err == nil {
		err = c.each(ctx, kindVault, accepted(c.put))
	}
	if err == nil {
		err = c.each(ctx, kindReshare, func(it store.Item) error {
			a, err := charter.DecodeAccepted(it.Value)
			if err == nil {
				err = c.keep(a)
			}
			return err
		})
	}
	if err == nil {
		err = c.each(ctx, kindHearsay, func(it store.Item) error {
			id, err := hex.DecodeString(strings.TrimPrefix(it.Key, store.Prefix(kindHearsay)))
			if err != nil || len(id) != len(statement.ID{}) {
				return fmt.Errorf("row %s names no vault", it.Key)
			}
			c.hearsay[statement.ID(id)] = true
			return nil
		})
	}
	if err != nil {
		return err
	}
	if c.genesis, err = c.pointer(ctx, keyGenesis); err != nil {
		return err
	}
	newest, err := c.pointer(ctx, keyNewest)
	if err != nil {
		return err
	}
	c.chain, err = c.versions(newest)
	return err
}

// put keeps a vault's statement.
func (c *Circle) put(a charter.Accepted) {
	id := a.Statement.ID()
	if _, known := c.vaults[id]; !known {
		name := a.Statement.Get("name")
		c.named[name] = append(c.named[name], id)
	}
	c.vaults[id] = a
}

// pointer reads a row that holds an id; zero if there is none.
func (c *Circle) pointer(ctx context.Context, key string) (id statement.ID, err error) {
	it, err := c.cfg.Journal.Store().Get(ctx, key)
	if errors.Is(err, store.ErrNotFound) {
		return id, nil
	}
	if err == nil && len(it.Value) != len(id) {
		err = fmt.Errorf("row %s has %d bytes", key, len(it.Value))
	}
	if err != nil {
		return id, err
	}
	return statement.ID(it.Value), nil
}

// versions follows the ids back from the newest roster, then checks each step anew.
func (c *Circle) versions(newest statement.ID) (charter.Chain, error) {
	var back []charter.Accepted
	for id := newest; !id.IsZero(); {
		a, ok := c.rosters[id]
		if !ok {
			return nil, fmt.Errorf("roster %s is missing", id.Short())
		}
		back = append(back, a)
		id = a.Statement.Fields().ID("previous")
	}
	var out charter.Chain
	for _, a := range slices.Backward(back) {
		var err error
		if out, err = out.Next(a); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// member says whether this node's operator is in the roster in force.
func (c *Circle) member() bool {
	o, ok := c.chain.Newest().Operator(c.cfg.Own.Name)
	return ok && o.Identity.Equal(c.cfg.Own.Identity)
}

// A Standing is how this node's operator stands to the circle.
type Standing string

const (
	Founding Standing = "founding" // there is no charter yet
	Invited  Standing = "invited"  // to a circle that has one, and not taken in yet
	Member   Standing = "member"
	Left     Standing = "left" // it was a member
)

// Standing says how this node's operator stands to the circle.
func (c *Circle) Standing() Standing {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.standing()
}

func (c *Circle) standing() Standing {
	_, once := c.chain.Identity(c.cfg.Own.Identity)
	switch {
	case len(c.chain) == 0 && c.genesis.IsZero():
		return Founding
	case c.member():
		return Member
	case once:
		return Left
	}
	return Invited
}

// pins are the operators to pin. One that left is pinned until the version after, so that it learns of it; for as long as it has a
// share, so that it learns of the reshare that ends its hold; and until it took what it is told.
func (c *Circle) pins() (p Pins) {
	pinned := map[string]bool{c.cfg.Own.Name: true}
	add := func(to *[]charter.Operator, o charter.Operator) {
		// A newcomer may have the address of whom it replaces; identities differ.
		if !pinned[o.Name] {
			pinned[o.Name] = true
			*to = append(*to, o)
		}
	}
	var drafted []charter.Operator
	for _, name := range slices.Sorted(maps.Keys(c.draft)) {
		drafted = append(drafted, c.draft[name])
	}
	newest := c.chain.Newest().Operators
	switch c.standing() {
	case Founding:
		for _, o := range drafted {
			add(&p.Peers, o)
		}
	case Invited, Left:
		p.Gone = c.standing() == Left
		// Only some of them have pinned us: for the others, it is for the day on which they do.
		for _, o := range slices.Concat(newest, drafted) {
			add(&p.Guests, o)
		}
	case Member:
		for _, o := range newest {
			add(&p.Peers, o)
		}
		for _, o := range drafted {
			add(&p.Guests, o)
		}
		for i, r := range slices.Backward(c.chain) {
			for _, o := range r.Operators {
				if i+2 >= len(c.chain) || c.cfg.Seated(o) || c.cfg.Owed(o) {
					add(&p.Left, o)
				}
			}
		}
	}
	for _, r := range c.chain {
		for _, o := range r.Operators {
			add(&p.Former, o)
		}
	}
	return p
}

// Departed says that a node's operator stood in an older version of the roster, and stands in the newest no more.
func (c *Circle) Departed(identity ed25519.PublicKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, once := c.chain.Identity(identity)
	return once && !slices.ContainsFunc(c.chain.Newest().Operators, func(o charter.Operator) bool { return o.Identity.Equal(identity) })
}

// Roster is the newest in force and its acceptances; ok is false while there is none.
func (c *Circle) Roster() (charter.Accepted, charter.Roster, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.chain.Newest()
	return c.rosters[r.ID], r, len(c.chain) > 0
}

// Versions are all rosters in force so far with their acceptances, version 0 first.
func (c *Circle) Versions() (out []charter.Accepted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.chain {
		out = append(out, c.rosters[r.ID])
	}
	return out
}

// Operator finds an operator by name over all versions: names are never used again for another
// identity.
func (c *Circle) Operator(name string) (charter.Operator, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chain.Operator(name)
}

// Reach is where the operators of a vault under a charter version are looked up
// (charter.Chain.Reach).
func (c *Circle) Reach(id statement.ID) (charter.Roster, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chain.Reach(id)
}

// At is a version of the roster with who held a vault then (charter.Chain.At).
func (c *Circle) At(id statement.ID, committee []string) (charter.Roster, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.chain.At(id, committee)
}

// Draft lists the operators that joined, or invited us, and are not in the charter.
func (c *Circle) Draft() (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(c.draft)) {
		if _, in := c.chain.Newest().Operator(name); !in {
			names = append(names, name)
		}
	}
	return names
}

// Vaults are all vault statements with their acceptances, complete or not, but for those whose name a later one took.
func (c *Circle) Vaults() (out []charter.Accepted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.vaults {
		if !c.later(a) {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b charter.Accepted) int {
		x, y := a.Statement.ID(), b.Statement.ID()
		return slices.Compare(x[:], y[:])
	})
	return out
}

// A ConflictError says that others signed something else under the same name.
type ConflictError struct {
	What, Field, By string
	Next            string // what to do; empty: agree on one file
}

func (e *ConflictError) Error() string {
	next := e.Next
	if next == "" {
		next = "agree on one file, then try again"
	}
	return fmt.Sprintf("%s differs in %s from what %s signed: %s", e.What, e.Field, e.By, next)
}

// first is the statement with the lowest id: every node finds the same.
func first(table map[statement.ID]charter.Accepted) (charter.Accepted, bool) {
	ids := slices.SortedFunc(maps.Keys(table), func(a, b statement.ID) int { return slices.Compare(a[:], b[:]) })
	if len(ids) == 0 {
		return charter.Accepted{}, false
	}
	return table[ids[0]], true
}

// Accept takes our own officer's signature and sends it to all peers.
func (c *Circle) Accept(ctx context.Context, now time.Time, raw, armored []byte) (charter.Accepted, []string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s, err := statement.Parse(raw)
	if err != nil {
		return charter.Accepted{}, nil, err
	}
	kind := NoteVault
	if s.Kind() == statement.Roster {
		kind = NoteRoster
	}
	if s.Kind() == statement.Reshare {
		kind = NoteReshare
	}
	n := outbox.Note{Kind: kind, Fields: [][]byte{raw, armored}}
	write := func(e journal.Entry) error { return c.cfg.Post(ctx, now, e, n) }
	switch s.Kind() {
	case statement.Roster:
		return c.takeRoster(ctx, now, s, armored, c.cfg.Own.Name, write)
	case statement.Vault:
		return c.takeVault(ctx, now, s, armored, c.cfg.Own.Name, write)
	case statement.Reshare:
		return c.acceptReshare(ctx, now, s, armored, c.cfg.Own.Name, write)
	}
	return charter.Accepted{}, nil, fmt.Errorf("officers do not accept statements of kind %q", s.Kind())
}

// Take checks a peer's note.
func (c *Circle) Take(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if want := map[outbox.Kind]int{NoteRoster: 2, NoteVault: 2, NoteReshare: 2, NoteAccepted: 1}[n.Kind]; len(n.Fields) != want {
		return fmt.Errorf("note of kind %#x has %d fields, not %d", uint8(n.Kind), len(n.Fields), want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.Kind == NoteAccepted {
		return c.takeAccepted(ctx, now, n.Fields[0], write)
	}
	kind, take := statement.Roster, c.takeRoster
	switch n.Kind {
	case NoteVault:
		kind, take = statement.Vault, c.takeVault
	case NoteReshare:
		kind, take = statement.Reshare, c.acceptReshare
	}
	s, err := statement.ParseKind(n.Fields[0], kind)
	if err != nil {
		return fmt.Errorf("note of kind %#x: %w", uint8(n.Kind), err)
	}
	_, _, err = take(ctx, now, s, n.Fields[1], "", write)
	return err
}
