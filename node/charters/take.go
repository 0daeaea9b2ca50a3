package charters

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/judge"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// writer makes an entry durable, with what must leave with it.
type writer = func(journal.Entry) error

// A BrokenError says that a charter breaks its own control rules.
type BrokenError struct {
	What string // "version 1 of the charter (…)"
	Text string // each rule, its domain and the way out
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("%s breaks the charter's control rules: %s", e.What, e.Text)
}

// A RefusedError says that the charter in force does not allow what an officer was to sign.
type RefusedError struct{ Err error }

func (e *RefusedError) Error() string { return e.Err.Error() }
func (e *RefusedError) Unwrap() error { return e.Err }

var fieldCount = map[outbox.Kind]int{NoteCharter: 2, NoteEnact: 3, NoteVeto: 2, NoteRevoke: 2, NoteFreeze: 2, NoteUnfreeze: 2, NoteEnacted: 1}

// Take checks a peer's note, or a person's.
func (c *Charters) Take(ctx context.Context, now time.Time, n outbox.Note, write writer) error {
	if want := fieldCount[n.Kind]; len(n.Fields) != want {
		return fmt.Errorf("note of kind %#x has %d fields, not %d", uint8(n.Kind), len(n.Fields), want)
	}
	var s statement.Statement
	var held []string
	if n.Kind != NoteEnact && n.Kind != NoteEnacted {
		var err error
		if s, err = statement.Parse(n.Fields[0]); err != nil {
			return err
		}
		if kind, err := kindOf(s); err != nil || kind != n.Kind {
			return errors.Join(err, fmt.Errorf("note of kind %#x holds a statement of kind %q", uint8(n.Kind), s.Kind()))
		}
		held = c.heldBy(ctx, s)
	}
	why := c.emergency(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(now)
	c.held = why
	switch n.Kind {
	case NoteEnact:
		return c.takeEnact(ctx, now, n.Fields[0], string(n.Fields[1]), n.Fields[2], write)
	case NoteEnacted:
		return c.takeWhole(ctx, now, n.Fields[0], write)
	}
	_, err := c.take(ctx, now, s, held, n.Fields[1], "", write)
	return err
}

// heldBy lists the operators that hold the vault of a freeze or unfreezing. It is asked before our own lock is taken: who keeps keys asks us.
func (c *Charters) heldBy(ctx context.Context, s statement.Statement) []string {
	if k := s.Kind(); k != statement.Freeze && k != statement.Unfreeze {
		return nil
	}
	vault := s.Fields().ID("vault")
	held := c.cfg.Committee(vault)
	if s.Kind() == statement.Unfreeze && c.cfg.Subjects != nil {
		lost := c.cfg.Subjects(ctx, vault)
		held = slices.DeleteFunc(slices.Clone(held), func(name string) bool { return slices.Contains(lost, name) })
	}
	return held
}

// emergency is why no version comes into force. The room that says it asks us, so it is asked before our own lock is taken.
func (c *Charters) emergency(ctx context.Context) string {
	if c.cfg.Held == nil {
		return ""
	}
	return c.cfg.Held(ctx)
}

// Accept takes our own officer's signature and sends it to all peers. missing lists the operators that must still sign.
func (c *Charters) Accept(ctx context.Context, now time.Time, s statement.Statement, armored []byte) (missing []string, err error) {
	kind, err := kindOf(s)
	if err != nil {
		return nil, err
	}
	held, why := c.heldBy(ctx, s), c.emergency(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(now)
	c.held = why
	n := outbox.Note{Kind: kind, Fields: [][]byte{s.Bytes(), armored}}
	missing, err = c.take(ctx, now, s, held, armored, c.cfg.Operator, func(e journal.Entry) error { return c.cfg.Post(ctx, now, e, n) })
	if errors.Is(err, outbox.ErrOld) {
		err = nil // said twice, by an officer who saw no answer
	}
	return missing, err
}

func kindOf(s statement.Statement) (outbox.Kind, error) {
	switch s.Kind() {
	case statement.Charter:
		return NoteCharter, nil
	case statement.Veto:
		return NoteVeto, nil
	case statement.Revoke:
		return NoteRevoke, nil
	case statement.Freeze:
		return NoteFreeze, nil
	case statement.Unfreeze:
		return NoteUnfreeze, nil
	}
	return 0, fmt.Errorf("statements of kind %q are none of a charter's", s.Kind())
}

// Accepts says whether officers hand statements of a kind to this room.
func Accepts(k statement.Kind) bool {
	return slices.Contains([]statement.Kind{statement.Charter, statement.Veto, statement.Revoke, statement.Freeze, statement.Unfreeze}, k)
}

// take adds one signature. held are the operators that hold the vault of a freeze; must is our own operator when its own officer signs here.
func (c *Charters) take(ctx context.Context, now time.Time, s statement.Statement, held []string, armored []byte, must string, write writer) ([]string, error) {
	switch s.Kind() {
	case statement.Charter:
		return c.takeCharter(ctx, now, s, armored, must, write)
	case statement.Veto:
		return nil, c.takeVeto(now, s, armored, must, write)
	case statement.Revoke:
		return nil, c.takeRevocation(now, s, armored, must, write)
	case statement.Freeze:
		return c.takeFreeze(now, s, held, armored, must, write)
	}
	return c.takeUnfreeze(now, s, held, armored, must, write)
}

// takeCharter adds one officer's signature to a version that is not in force.
func (c *Charters) takeCharter(ctx context.Context, now time.Time, s statement.Statement, armored []byte, must string, write writer) ([]string, error) {
	p := c.known[s.ID()]
	known := p != nil
	if !known {
		x, err := charter.Of(s)
		if err != nil {
			return nil, err
		}
		p = &proposal{Charter: x, by: charter.Enacted{Accepted: charter.Accepted{Statement: s}}}
	}
	r, err := c.open(p, known)
	if err != nil {
		return nil, err
	}
	by, err := p.Acceptors(r)
	if err != nil {
		return nil, err
	}
	if must != "" {
		if c.held != "" {
			return nil, fmt.Errorf("no version of the charter is signed while an emergency holds a vault: %s: sign it when that is over; a key is revoked at any time", c.held)
		}
		if err := c.maySign(p); err != nil {
			return nil, err
		}
		if err := c.revives(p.Charter); err != nil {
			return nil, err
		}
	}
	next, operator, err := p.by.Add(by, armored)
	switch {
	case errors.Is(err, charter.ErrAlreadyAccepted):
		return p.by.Missing(by), outbox.ErrOld
	case err != nil:
		return nil, err
	case must != "" && operator != must:
		return nil, fmt.Errorf("the signature is by an officer of %s, this node's operator is %s", operator, must)
	}
	if operator == c.cfg.Operator {
		if err := c.ownOfficer(p, r, armored); err != nil {
			return nil, err
		}
	}
	if !known {
		if err := c.room(p, operator); err != nil {
			return nil, err
		}
	}
	q := &proposal{p.Charter, charter.Enacted{Accepted: next, Nodes: p.by.Nodes}, p.since}
	e := entryOf(now, p.by, q)
	if len(next.Missing(by)) == 0 {
		q.since = now.UTC().Truncate(time.Second)
		e.Put = append(e.Put, store.Entry{Key: store.Key(kindComplete, store.ID(idBytes(q.id()))), Value: binary.BigEndian.AppendUint64(nil, uint64(q.since.Unix()))})
		c.cfg.Log.Info("a version of the charter has all officers' signatures", "version", p.Version, "id", p.id().Short())
	}
	if err := write(e); err != nil {
		return nil, err
	}
	c.known[q.id()] = q
	c.soon(ctx, now)
	return next.Missing(by), nil
}

func idBytes(id statement.ID) []byte { return id[:] }

// open says whether a version may still take signatures, and gives the roster that it names.
func (c *Charters) open(p *proposal, known bool) (charter.Roster, error) {
	rosters := c.cfg.Rosters()
	r, ok := rosters.Version(p.Roster)
	switch {
	case !ok:
		return r, fmt.Errorf("%w: roster %s is not in force here", outbox.ErrLater, p.Roster.Short())
	case p.Version > uint64(len(c.history)):
		return r, fmt.Errorf("%w: version %d of the charter is not in force here", outbox.ErrLater, p.Version-1)
	case p.Version < uint64(len(c.history)) && c.history[p.Version].ID == p.id():
		return r, outbox.ErrOld
	case p.Version < uint64(len(c.history)):
		return r, fmt.Errorf("version %d of the charter is in force already, as %s", p.Version, c.history[p.Version].ID.Short())
	case known:
		return r, nil
	}
	if err := c.history.CheckNext(p.Charter, rosters); err != nil {
		return r, err
	}
	return r, c.review(p.Charter)
}

// review refuses a charter that breaks its own control rules, or whose policy is none.
func (c *Charters) review(x charter.Charter) error {
	report, err := review.Charter(x.Document)
	for _, d := range x.Demands { // what this program could not judge would lock its operator out
		err = cmp.Or(err, judge.CheckDemand(d))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", x.Title(), err)
	}
	var broken []string
	for _, v := range report.Vaults {
		for _, b := range v.Broken {
			broken = append(broken, fmt.Sprintf("vault %s: %v", v.Name, b))
		}
	}
	if len(broken) > 0 {
		return &BrokenError{x.Title(), strings.Join(broken, "; ")}
	}
	return nil
}

// revives refuses to sign a charter that lists a key which was revoked. Once signed it may come into force all the same: the key counts for
// nothing in it, and nobody stops a version by revoking a key of theirs at the last moment.
func (c *Charters) revives(x charter.Charter) error {
	for _, h := range x.People {
		for _, k := range h.Keys {
			if c.isRevoked(k) {
				return fmt.Errorf("%s: person %s: key %s was revoked: list another", x.Title(), h.Name, k.Fingerprint())
			}
		}
	}
	return nil
}

// MayHold says why a committee and threshold would break the control rules of the charter in force for a vault.
func (c *Charters) MayHold(vault string, committee []string, threshold int) error {
	x, ok := c.Charter()
	if !ok {
		return errNoCharter
	}
	v, err := review.Held(x.Document, vault, committee, threshold)
	if err != nil {
		return &RefusedError{err}
	}
	var broken []string
	for _, b := range v.Broken {
		broken = append(broken, b.Error())
	}
	if len(broken) > 0 {
		return &BrokenError{fmt.Sprintf("vault %s held by %d of %s", vault, threshold, strings.Join(committee, ", ")), strings.Join(broken, "; ")}
	}
	return nil
}

// maySign says whether our officer's signature over a version may leave this node: not beside another of the same version that our officer
// signed and that nobody vetoed here.
func (c *Charters) maySign(p *proposal) error {
	if c.ours(p.id()) {
		return fmt.Errorf("this node's officer vetoed %s", p.Title())
	}
	for _, operator := range slices.Sorted(maps.Keys(c.vetoes[p.id()])) {
		return fmt.Errorf("operator %s vetoed %s: write it anew with `ostraka charter amend`", operator, p.Title())
	}
	newest := c.cfg.Rosters().Newest().ID
	for _, o := range c.proposals(p.Version) {
		_, signed := o.by.Signatures[c.cfg.Operator]
		if signed && o.id() != p.id() && len(c.vetoes[o.id()]) == 0 && o.Roster == newest {
			return fmt.Errorf("this node's officer signed %s before: `ostraka charter veto %s` takes that back", o.Title(), o.id().Short())
		}
	}
	return nil
}

// ownOfficer holds our own operator's officers to the roster in force. Those of others are their own nodes' care: a version needs every node, so
// what a replaced officer signs is worth nothing, and nodes that hear of a signature after the roster went on do not lag behind for ever.
func (c *Charters) ownOfficer(p *proposal, r charter.Roster, armored []byte) error {
	if newest := c.cfg.Rosters().Newest(); r.ID != newest.ID {
		return fmt.Errorf("%s is for version %d of the roster, and version %d is in force: make it anew", p.Title(), r.Version, newest.Version)
	}
	return c.stillOfficer(p.Title(), c.cfg.Operator, armored)
}

// stillOfficer refuses what an officer signs who was taken out of the roster: a stolen key must be worth nothing once it was replaced.
func (c *Charters) stillOfficer(what, operator string, armored []byte) error {
	sig, err := signet.Parse(armored)
	if err == nil && !c.cfg.Rosters().Current(operator, sig.Key()) {
		err = fmt.Errorf("%s: %s is no officer of operator %s in the roster in force", what, sig.Key().Fingerprint(), operator)
	}
	return err
}

// room bounds what each operator may propose of one version.
func (c *Charters) room(p *proposal, operator string) error {
	open, all := 0, 0
	for _, o := range c.proposals(p.Version) {
		if o.by.Signatures[operator] == nil || o.Roster != p.Roster {
			continue // what a replaced officer signed fills the room of a roster that is over
		}
		if all++; len(c.vetoes[o.id()]) == 0 {
			open++
		}
	}
	if (open >= maxProposed || all >= maxVetoed) && operator != c.cfg.Operator {
		return fmt.Errorf("%d charters of version %d that operator %s signed wait here already", open, p.Version, operator)
	}
	return nil
}

// entryOf is the row of a version, and the leaf that tells of it.
func entryOf(now time.Time, was charter.Enacted, p *proposal) journal.Entry {
	e := journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: charterKey(p.id()), Value: p.by.Bytes()}}},
		Leaves: journal.Signed(now, statement.ID{}, was.Signatures, p.by.Accepted),
	}
	for _, operator := range slices.Sorted(maps.Keys(p.by.Nodes)) {
		if was.Nodes[operator] == nil {
			e.Leaves = append(e.Leaves, tlog.Says(tlog.KindWord, now, statement.ID{}, p.by.Nodes[operator]).On(p.id()))
		}
	}
	return e
}

// later says of who is a stranger here that the roster which lists them may be on its way: what is refused once never comes again.
func later(err error) error {
	if errors.Is(err, signet.ErrStranger) {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	return err
}

// signedBy names the operators whose officers signed.
func signedBy(a charter.Accepted) []string { return slices.Sorted(maps.Keys(a.Signatures)) }
