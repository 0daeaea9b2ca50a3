package charters

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// ErrNoRoster says that the circle is not founded yet.
var ErrNoRoster = errors.New("there is no roster yet: every operator must run `ostraka operator accept` first")

// A DiffersError says that another version waits which says something else.
type DiffersError struct {
	What, By string
	Changes  []string
}

func (e *DiffersError) Error() string {
	return fmt.Sprintf("%s, signed by %s, says something else (%s): agree on one file; `ostraka charter veto` takes the other back", e.What, e.By, strings.Join(e.Changes, "; "))
}

// Prepare gives the version that says what a file says, for our officer to sign: the one that others signed, or a new one after that in
// force.
func (c *Charters) Prepare(now time.Time, d charter.Document) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(now)
	rosters := c.cfg.Rosters()
	if len(rosters) == 0 {
		return a, false, ErrNoRoster
	}
	x := charter.Charter{Version: uint64(len(c.history)), Roster: rosters.Newest().ID, Created: now.UTC().Truncate(time.Second), Document: d}
	if last, ok := c.history.Newest(); ok {
		x.Previous = last.ID
		if x.Created.Before(last.Created) {
			x.Created = last.Created // clocks differ
		}
		if charter.SameDocument(last.Document, d) {
			return a, false, fmt.Errorf("nothing changes: %s says this already", last.Title())
		}
	}
	if err := c.history.CheckNext(x, rosters); err != nil {
		return a, false, err
	}
	if err := errors.Join(c.review(x), c.revives(x)); err != nil {
		return a, false, err
	}
	p, err := c.same(x)
	if err != nil {
		return a, false, err
	}
	if p != nil {
		return p.by.Accepted, false, nil
	}
	s, err := c.lowest(x)
	return charter.Accepted{Statement: s}, true, err
}

// maxDraws bounds the search for a low id.
const maxDraws = 1 << 16

// lowest writes a version whose id is below all others of that version and roster, so that nodes which enacted one of those, and cannot put it in
// force, may enact this one.
func (c *Charters) lowest(x charter.Charter) (s statement.Statement, err error) {
	rivals := slices.DeleteFunc(c.proposals(x.Version), func(p *proposal) bool { return p.since.IsZero() || p.Roster != x.Roster }) // no node enacts what is not complete
	for range maxDraws {
		if s, err = c.draw(x.Statement); err != nil || len(rivals) == 0 || less(s.ID(), rivals[0].id()) {
			return s, err
		}
	}
	return s, fmt.Errorf("no id below that of %s was found, which nodes may have enacted: try again; if that helps nothing, one of %s searched for it, and another version can follow only under another roster (`ostraka operator drop`)",
		rivals[0].Title(), strings.Join(signedBy(rivals[0].by.Accepted), ", "))
}

// same finds the proposal that says what a draft says: of several all meet at the lowest id. One that says something else, signed and not
// vetoed, is an error.
func (c *Charters) same(x charter.Charter) (*proposal, error) {
	var other *proposal
	for _, p := range c.proposals(x.Version) {
		if len(c.vetoes[p.id()]) > 0 || p.Roster != x.Roster {
			continue
		}
		if charter.SameDocument(p.Document, x.Document) {
			return p, c.maySign(p)
		}
		other = p
	}
	if other == nil {
		return nil, nil
	}
	return nil, &DiffersError{other.Title(), strings.Join(signedBy(other.by.Accepted), ", "), charter.Differences(other.Document, x.Document)}
}

// draw writes a statement with a fresh salt.
func (c *Charters) draw(write func(statement.Salt) (statement.Statement, error)) (statement.Statement, error) {
	var salt statement.Salt
	if _, err := io.ReadFull(c.cfg.Rand, salt[:]); err != nil {
		return statement.Statement{}, fmt.Errorf("draw a salt: %w", err)
	}
	return write(salt)
}

// PrepareChosen gives the one proposal of the next version whose id begins so.
func (c *Charters) PrepareChosen(id string) (a charter.Accepted, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.find(id)
	if err != nil {
		return a, err
	}
	if err := c.maySign(p); err != nil {
		return a, err
	}
	return p.by.Accepted, c.revives(p.Charter)
}

func (c *Charters) find(id string) (*proposal, error) {
	var waiting []string
	for _, p := range c.proposals(uint64(len(c.history))) {
		if len(id) >= 8 && strings.HasPrefix(p.id().String(), id) {
			return p, nil
		}
		waiting = append(waiting, p.id().Short())
	}
	if len(waiting) == 0 {
		return nil, fmt.Errorf("nothing waits at this node: there is no version %d of the charter with id %q to sign or veto", len(c.history), id)
	}
	return nil, fmt.Errorf("no version %d of the charter with id %q waits at this node: give at least 8 digits of one of %s", len(c.history), id, strings.Join(waiting, ", "))
}

// PrepareVeto gives the veto of a proposal for our officer to sign.
func (c *Charters) PrepareVeto(now time.Time, id, reason string) (statement.Statement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, err := c.find(id)
	if err != nil {
		return statement.Statement{}, err
	}
	return c.draw(charter.Veto{Charter: p.id(), Operator: c.cfg.Operator, Reason: reason, Created: now}.Statement)
}

// PrepareFreeze gives a freeze for our officer to sign.
func (c *Charters) PrepareFreeze(now time.Time, vault statement.ID, life time.Duration, reason string) (statement.Statement, error) {
	held := c.cfg.Committee(vault)
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.history.Newest()
	if !ok {
		return statement.Statement{}, errNoCharter
	}
	if !slices.Contains(held, c.cfg.Operator) {
		return statement.Statement{}, fmt.Errorf("operator %s does not hold vault %s: those who do may freeze it", c.cfg.Operator, vault.Short())
	}
	now = now.UTC().Truncate(time.Second)
	return c.draw(charter.Freeze{Charter: x.ID, Vault: vault, Operator: c.cfg.Operator, Reason: reason, Created: now, Expires: now.Add(life.Truncate(time.Second))}.Statement)
}

var errNoCharter = errors.New("no charter is in force yet: every operator must run `ostraka charter sign FOLDER` first")

// PrepareUnfreeze gives what ends all freezes of a vault: what others signed, or a new one.
func (c *Charters) PrepareUnfreeze(now time.Time, vault statement.ID) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.history.Newest()
	if !ok {
		return a, false, errNoCharter
	}
	u := charter.Unfreeze{Charter: x.ID, Vault: vault, Created: now}
	for _, f := range c.signedFreezes() {
		if f.Vault == vault && now.Before(f.Expires) && !c.ended[f.ID] {
			u.Freezes = append(u.Freezes, f.ID)
		}
	}
	if len(u.Freezes) == 0 {
		return a, false, fmt.Errorf("vault %s is not frozen", vault.Short())
	}
	slices.SortFunc(u.Freezes, func(a, b statement.ID) int { return strings.Compare(a.String(), b.String()) })
	for _, id := range slices.SortedFunc(maps.Keys(c.unfreeze), func(a, b statement.ID) int { return strings.Compare(a.String(), b.String()) }) {
		if old, err := charter.UnfreezeOf(c.unfreeze[id].Statement); err == nil && old.Vault == vault && slices.Equal(old.Freezes, u.Freezes) {
			return c.unfreeze[id], false, nil
		}
	}
	s, err := c.draw(u.Statement)
	return charter.Accepted{Statement: s}, true, err
}

// PrepareRevocation gives the revocation of a person's key for an officer of their organisation to sign. key is the key's line, or the
// beginning of its fingerprint; empty: the only one.
func (c *Charters) PrepareRevocation(now time.Time, person, key, reason string) (statement.Statement, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.history.Newest()
	if !ok {
		return statement.Statement{}, errNoCharter
	}
	k, err := charter.KeyOf(x.Document, person, key)
	if err != nil {
		return statement.Statement{}, err
	}
	return c.draw(charter.Revocation{Charter: x.ID, Person: person, Key: k, Reason: reason, Created: now}.Statement)
}

// A Pending is a version that is not in force, and what it waits for.
type Pending struct {
	charter.Charter
	charter.Accepted
	Missing []string         // operators whose officers must sign still
	Since   time.Time        // when all had signed, as seen here; zero: they have not
	Due     time.Time        // when our node enacts it, unless it is vetoed; zero with Since
	Awaited []string         // operators whose nodes have not enacted it
	Vetoes  []Signed         // ascending by operator: it will not come into force
	Changes []charter.Change // against the version in force
}

// Pending lists what waits, the lowest id first.
func (c *Charters) Pending() (out []Pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.proposals(uint64(len(c.history))) {
		r, _ := c.cfg.Rosters().Version(p.Roster)
		by, err := p.Acceptors(r)
		if err != nil {
			continue
		}
		x := Pending{Charter: p.Charter, Accepted: p.by.Accepted, Missing: p.by.Missing(by), Since: p.since, Awaited: p.by.Awaited(r)}
		wait, changes, err := c.weigh(p)
		if x.Changes = changes; err == nil && !p.since.IsZero() {
			x.Due = p.since.Add(wait)
		}
		for _, name := range slices.Sorted(maps.Keys(c.vetoes[p.id()])) {
			x.Vetoes = append(x.Vetoes, c.vetoes[p.id()][name])
		}
		out = append(out, x)
	}
	return out
}

// HandOver sends who came to the circle what was said before: all versions, what waits, what was revoked and frozen. Who knows it takes no notice.
func (c *Charters) HandOver(ctx context.Context, now time.Time, to []charter.Operator) error {
	for _, n := range c.Told() {
		if err := c.cfg.Forward(ctx, now, n, to); err != nil {
			return err
		}
	}
	return nil
}

// Told is what a member tells one that forgot, or came later.
func (c *Charters) Told() (notes []outbox.Note) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.history {
		notes = append(notes, outbox.Note{Kind: NoteEnacted, Fields: [][]byte{c.known[x.ID].by.Bytes()}})
	}
	for _, p := range c.proposals(uint64(len(c.history))) {
		notes = append(notes, piecewise(NoteCharter, p.by.Accepted)...)
		for _, name := range slices.Sorted(maps.Keys(p.by.Nodes)) {
			notes = append(notes, outbox.Note{Kind: NoteEnact, Fields: [][]byte{idBytes(p.id()), []byte(name), p.by.Nodes[name]}})
		}
		for _, name := range slices.Sorted(maps.Keys(c.vetoes[p.id()])) {
			notes = append(notes, c.vetoes[p.id()][name].note(NoteVeto))
		}
	}
	for _, line := range slices.Sorted(maps.Keys(c.revoked)) {
		notes = append(notes, c.revoked[line].note(NoteRevoke))
	}
	for _, a := range byTime(c.freezes) {
		notes = append(notes, piecewise(NoteFreeze, a)...)
	}
	for _, a := range byTime(c.unfreeze) {
		notes = append(notes, piecewise(NoteUnfreeze, a)...)
	}
	return notes
}

func (x Signed) note(kind outbox.Kind) outbox.Note {
	return outbox.Note{Kind: kind, Fields: [][]byte{x.Statement.Bytes(), x.Signature}}
}

// byTime lists what officers accepted, the oldest first.
func byTime(table map[statement.ID]charter.Accepted) []charter.Accepted {
	return slices.SortedFunc(maps.Values(table), func(a, b charter.Accepted) int {
		x, y := a.Statement, b.Statement
		return cmp.Or(x.Fields().Time("created").Compare(y.Fields().Time("created")), strings.Compare(x.ID().String(), y.ID().String()))
	})
}

// piecewise is a statement as officers sign it, a note for each; a freeze's own operator first, since the others wait for it.
func piecewise(kind outbox.Kind, a charter.Accepted) (notes []outbox.Note) {
	names := signedBy(a)
	first := a.Statement.Get("operator")
	slices.SortStableFunc(names, func(x, y string) int {
		return boolToInt(y == first) - boolToInt(x == first)
	})
	for _, name := range names {
		notes = append(notes, outbox.Note{Kind: kind, Fields: [][]byte{a.Statement.Bytes(), a.Signatures[name]}})
	}
	return notes
}

func boolToInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// RevokedKey says whether a key was revoked.
func (c *Charters) RevokedKey(k signet.Key) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.isRevoked(k)
}

// Revoked lists what was revoked, by key's line.
func (c *Charters) Revoked() (out []Signed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, line := range slices.Sorted(maps.Keys(c.revoked)) {
		out = append(out, c.revoked[line])
	}
	return out
}

// Weigh says what a version changes against the one in force, and how long it waits for that once all officers have signed.
func (c *Charters) Weigh(x charter.Charter) (wait time.Duration, changes []charter.Change, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.delay(x)
}

// Freezes lists the freezes that hold a vault now.
func (c *Charters) Freezes(vault statement.ID, now time.Time) []charter.SignedFreeze {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.frozen(vault, now)
}

// Sweep erases what can no longer matter: freezes that no later one is counted beside, and proposals of versions that are in force otherwise.
func (c *Charters) Sweep(ctx context.Context, now time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var b store.Batch
	var forget []func()
	for id, a := range c.freezes {
		if f, err := charter.FreezeOf(a.Statement); err == nil && now.Sub(f.Created) > charter.FreezeWindow+charter.MaxFreeze {
			b.Delete = append(b.Delete, store.Key(kindFreeze, store.ID(id[:])), endedKey(id))
			forget = append(forget, func() { delete(c.freezes, id); delete(c.ended, id) })
		}
	}
	for id, a := range c.unfreeze {
		if u, err := charter.UnfreezeOf(a.Statement); err == nil && now.Sub(u.Created) > charter.FreezeWindow+charter.MaxFreeze {
			b.Delete = append(b.Delete, store.Key(kindUnfreeze, store.ID(id[:])))
			forget = append(forget, func() { delete(c.unfreeze, id) })
		}
	}
	for id, p := range c.known {
		if p.Version >= uint64(len(c.history)) || c.history[p.Version].ID == id {
			continue
		}
		b.Delete = append(b.Delete, charterKey(id), store.Key(kindComplete, store.ID(id[:])))
		for name := range c.vetoes[id] {
			b.Delete = append(b.Delete, store.Key(kindVeto, store.ID(id[:]), store.Name(name)))
		}
		forget = append(forget, func() { delete(c.known, id); delete(c.vetoes, id); delete(c.weights, id) })
		if len(b.Delete) > 64 {
			break // the rest at the next call
		}
	}
	if len(b.Delete) == 0 {
		return nil
	}
	if err := c.cfg.Journal.Write(ctx, journal.Entry{Batch: b}); err != nil {
		return err
	}
	for _, f := range forget {
		f()
	}
	return nil
}
