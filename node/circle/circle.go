package circle

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// Notes of this room: one officer's acceptance each.
const (
	NoteRoster outbox.Kind = 0x30 // roster statement, signature
	NoteVault  outbox.Kind = 0x31 // vault statement, signature

	NoteReshare  outbox.Kind = 0x32 // reshare statement, signature
	NoteAccepted outbox.Kind = 0x33 // accepted vault statement, whole: for who came later
)

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k >= NoteRoster && k <= NoteAccepted }

// Rows of this room (spec/store).
const (
	kindInvite  = "invite"  // invite/<hash of secret>: expiry, Unix time, or "used"
	kindDraft   = "draft"   // draft/<name>: an operator that joined, or that invited us
	kindRoster  = "roster"  // roster/<id>: statement and acceptances
	kindVault   = "vault"   // vault/<id>: statement and acceptances
	keyCharter  = "charter" // id of the roster in force
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
	// OnPeers is told whom to pin, whenever that changes.
	OnPeers func([]charter.Operator)
	// OnVault is told of every vault that all of its committee accepted.
	OnVault func(ctx context.Context, now time.Time, v charter.Vault, r charter.Roster) error
	// OnReshare is told of every reshare that is complete, and again when another officer signed it.
	OnReshare func(ctx context.Context, now time.Time, a charter.Accepted) error
	// Held says under which statement a vault's keys are held here, and what they are.
	Held func(vault statement.ID) (under statement.ID, keys []charter.PinnedKey, err error)
}

// Circle is the node's view of its circle.
type Circle struct {
	cfg Config

	mu      sync.Mutex
	draft   map[string]charter.Operator
	rosters map[statement.ID]charter.Accepted // proposed, or the one in force
	vaults  map[statement.ID]charter.Accepted
	reshares
	charter statement.ID // in force; zero while there is none
	roster  charter.Roster

	invites, drafts journal.Sweep
}

// Open reads back what the node knows of its circle.
func Open(ctx context.Context, now time.Time, cfg Config) (*Circle, error) {
	c := &Circle{
		cfg: cfg, draft: map[string]charter.Operator{},
		rosters: map[statement.ID]charter.Accepted{}, vaults: map[statement.ID]charter.Accepted{}, reshares: newReshares(),
		invites: journal.Sweep{Prefix: store.Prefix(kindInvite)}, drafts: journal.Sweep{Prefix: store.Prefix(kindDraft)},
	}
	if err := c.load(ctx); err != nil {
		return nil, fmt.Errorf("read the circle: %w", err)
	}
	c.cfg.OnPeers(c.peers())
	for _, a := range c.vaults {
		if err := c.announce(ctx, now, a); err != nil {
			return nil, err
		}
	}
	return c, c.announceReshares(ctx, now)
}

func (c *Circle) load(ctx context.Context) error {
	st := c.cfg.Journal.Store()
	each := func(kind string, do func(store.Item) error) error {
		items, err := st.Range(ctx, store.Prefix(kind), "", store.MaxLimit)
		for _, it := range items {
			if err == nil {
				err = do(it)
			}
		}
		return err
	}
	err := each(kindDraft, func(it store.Item) error {
		o, err := decodeOperator(it.Value)
		c.draft[o.Name] = o
		return err
	})
	accepted := func(into map[statement.ID]charter.Accepted) func(store.Item) error {
		return func(it store.Item) error {
			a, err := charter.DecodeAccepted(it.Value)
			if err == nil {
				into[a.Statement.ID()] = a
			}
			return err
		}
	}
	if err == nil {
		err = each(kindRoster, accepted(c.rosters))
	}
	if err == nil {
		err = each(kindVault, accepted(c.vaults))
	}
	if err == nil {
		err = each(kindReshare, accepted(c.proposed))
	}
	if err != nil {
		return err
	}
	it, err := st.Get(ctx, keyCharter)
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil || len(it.Value) != len(c.charter) {
		return errors.Join(err, errors.New("row of the charter in force"))
	}
	c.charter = statement.ID(it.Value)
	c.roster, err = charter.RosterOf(c.rosters[c.charter].Statement)
	return err
}

// peers are the operators to pin.
func (c *Circle) peers() (out []charter.Operator) {
	if !c.charter.IsZero() {
		for _, o := range c.roster.Operators {
			if o.Name != c.cfg.Own.Name {
				out = append(out, o)
			}
		}
		return out
	}
	for _, name := range slices.Sorted(maps.Keys(c.draft)) {
		out = append(out, c.draft[name])
	}
	return out
}

// Charter is the roster in force and its acceptances; ok is false while there is none.
func (c *Circle) Charter() (charter.Accepted, charter.Roster, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rosters[c.charter], c.roster, !c.charter.IsZero()
}

// Draft lists the operators that joined, or invited us, and are not in the charter.
func (c *Circle) Draft() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.charter.IsZero() {
		return nil
	}
	return slices.Sorted(maps.Keys(c.draft))
}

// Vaults are all vault statements with their acceptances, complete or not.
func (c *Circle) Vaults() (out []charter.Accepted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.vaults {
		out = append(out, a)
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

// PrepareRoster gives the roster for our officer to sign: the one that others signed, or a
// new one of who has joined.
func (c *Circle) PrepareRoster(now time.Time, name string) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.charter.IsZero() {
		return a, false, fmt.Errorf("this node belongs to circle %q already; changing its charter is not possible in this version", c.roster.Circle)
	}
	if a, ok := first(c.rosters); ok {
		return a, false, nil
	}
	if len(c.draft) == 0 {
		return a, false, errors.New("nobody has joined yet: send the line of `ostraka operator invite` to the other operators")
	}
	if name == "" {
		return a, false, errors.New("no roster waits for our signature yet: wait until the operator that invited you has signed, or give --circle NAME to found one")
	}
	r := charter.Roster{Circle: name, Created: now.UTC().Truncate(time.Second), Operators: []charter.Operator{c.cfg.Own}}
	for _, o := range c.draft {
		r.Operators = append(r.Operators, o)
	}
	var salt statement.Salt
	if _, err := io.ReadFull(c.cfg.Rand, salt[:]); err != nil {
		return a, false, fmt.Errorf("draw a salt: %w", err)
	}
	s, err := r.Statement(salt)
	return charter.Accepted{Statement: s}, true, err
}

// PrepareVault gives the vault statement for our officer to sign, from the file that a
// person wrote: the one that others signed if it says the same, or a new one.
func (c *Circle) PrepareVault(now time.Time, file []byte, suites []string) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.charter.IsZero() {
		return a, false, errors.New("there is no charter yet: every operator must run `ostraka operator accept` first")
	}
	v, err := charter.ReadVault(file, suites, c.charter, now.UTC().Truncate(time.Second))
	if err != nil {
		return a, false, err
	}
	if err := v.CheckCharter(c.roster); err != nil {
		return a, false, err
	}
	if err := checkSuites(v); err != nil {
		return a, false, err
	}
	if !slices.Contains(v.Committee, c.cfg.Own.Name) {
		return a, false, fmt.Errorf("vault %s: this node's operator %s is not in its committee", v.Name, c.cfg.Own.Name)
	}
	same := map[statement.ID]charter.Accepted{}
	for id, a := range c.vaults {
		old, err := charter.VaultOf(a.Statement)
		if err != nil || old.Name != v.Name {
			continue
		}
		if field := old.SameAs(v); field != "" {
			return a, false, &ConflictError{What: "vault " + v.Name, Field: field, By: strings.Join(slices.Sorted(maps.Keys(a.Signatures)), ", ")}
		}
		if c.complete(a) {
			return a, false, nil
		}
		same[id] = a
	}
	// Two officers may have begun at once: all meet at the lowest id.
	if a, ok := first(same); ok {
		return a, false, nil
	}
	var salt statement.Salt
	if _, err := io.ReadFull(c.cfg.Rand, salt[:]); err != nil {
		return a, false, fmt.Errorf("draw a salt: %w", err)
	}
	s, err := v.Statement(salt)
	return charter.Accepted{Statement: s}, true, err
}

// checkSuites refuses a key that no chain of the vault has a use for, and a chain that no key signs for.
func checkSuites(v charter.Vault) error {
	for _, suite := range v.Suites {
		if chain.First(suite, v.Chains) == "" {
			return fmt.Errorf("vault %s: suites: %s signs for none of its chains %v", v.Name, suite, v.Chains)
		}
	}
	for _, on := range v.Chains {
		if !slices.ContainsFunc(v.Suites, func(suite string) bool { return chain.Serves(suite, on) }) {
			return fmt.Errorf("vault %s: chains: no suite of %v signs for %s", v.Name, v.Suites, on)
		}
	}
	return nil
}

// first is the statement with the lowest id: every node finds the same.
func first(table map[statement.ID]charter.Accepted) (charter.Accepted, bool) {
	ids := slices.SortedFunc(maps.Keys(table), func(a, b statement.ID) int { return slices.Compare(a[:], b[:]) })
	if len(ids) == 0 {
		return charter.Accepted{}, false
	}
	return table[ids[0]], true
}

// complete says whether all operators that a statement needs have signed it.
func (c *Circle) complete(a charter.Accepted) bool {
	by, err := c.acceptors(a.Statement)
	return err == nil && a.Verify(by) == nil
}

// Unmet lists the operators of a roster that this node has not met by an invitation: its
// officer must compare their identities with them by other means.
func (c *Circle) Unmet(s statement.Statement) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := charter.RosterOf(s)
	if err != nil {
		return nil
	}
	for _, o := range r.Operators {
		if _, met := c.draft[o.Name]; !met && o.Name != c.cfg.Own.Name {
			names = append(names, o.Name)
		}
	}
	return names
}

// acceptors are the operators whose officers must sign a statement.
func (c *Circle) acceptors(s statement.Statement) ([]charter.Acceptor, error) {
	switch s.Kind() {
	case statement.Roster:
		r, err := charter.RosterOf(s)
		if err != nil {
			return nil, err
		}
		if err := c.concernsUs(s, r); err != nil {
			return nil, err
		}
		return r.Acceptors(), nil
	case statement.Vault:
		if c.charter.IsZero() {
			return nil, fmt.Errorf("%w: there is no charter here yet", outbox.ErrLater)
		}
		v, err := charter.VaultOf(s)
		if err != nil {
			return nil, err
		}
		if err := v.CheckCharter(c.roster); err != nil {
			return nil, err
		}
		return c.roster.AcceptorsOf(v)
	}
	return nil, fmt.Errorf("officers do not accept statements of kind %q", s.Kind())
}

// concernsUs refuses a roster that is not the one in force, or that lists this operator
// otherwise than its own settings do, or an operator that we met otherwise than we met it: a
// puppet could take its place.
func (c *Circle) concernsUs(s statement.Statement, r charter.Roster) error {
	if !c.charter.IsZero() && c.charter != s.ID() {
		return fmt.Errorf("this node belongs to circle %q already", c.roster.Circle)
	}
	must := maps.Clone(c.draft)
	if must == nil {
		must = map[string]charter.Operator{}
	}
	must[c.cfg.Own.Name] = c.cfg.Own
	for _, name := range slices.Sorted(maps.Keys(must)) {
		o, ok := r.Operator(name)
		if !ok {
			return fmt.Errorf("roster of circle %q does not list operator %s, whom this node knows", r.Circle, name)
		}
		if field := differs(must[name], o); field != "" {
			return fmt.Errorf("roster of circle %q lists operator %s with another %s than this node knows", r.Circle, name, field)
		}
	}
	return nil
}

// differs names the first field in which two entries of an operator differ.
func differs(a, b charter.Operator) string {
	switch {
	case !a.Identity.Equal(b.Identity):
		return "identity"
	case a.Address != b.Address:
		return "address"
	case a.Entity != b.Entity:
		return "entity"
	case !slices.Equal(encodeOperator(a), encodeOperator(b)):
		return "officer"
	}
	return ""
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
	if kind == NoteReshare {
		return c.acceptReshare(ctx, now, s, armored, c.cfg.Own.Name, func(e journal.Entry) error { return c.cfg.Post(ctx, now, e, n) })
	}
	return c.accept(ctx, now, s, armored, c.cfg.Own.Name, func(e journal.Entry) error { return c.cfg.Post(ctx, now, e, n) })
}

// Take checks a peer's note.
func (c *Circle) Take(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if n.Kind == NoteAccepted {
		return c.takeAccepted(ctx, now, n, write)
	}
	if len(n.Fields) != 2 {
		return fmt.Errorf("note of kind %#x has %d fields, not 2", uint8(n.Kind), len(n.Fields))
	}
	s, err := statement.Parse(n.Fields[0])
	if err != nil {
		return err
	}
	if want := map[outbox.Kind]statement.Kind{NoteRoster: statement.Roster, NoteVault: statement.Vault, NoteReshare: statement.Reshare}[n.Kind]; s.Kind() != want {
		return fmt.Errorf("note holds a statement of kind %q, not %q", s.Kind(), want)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if n.Kind == NoteReshare {
		_, _, err = c.acceptReshare(ctx, now, s, n.Fields[1], "", write)
		return err
	}
	_, _, err = c.accept(ctx, now, s, n.Fields[1], "", write)
	return err
}

// accept adds one officer's signature; the last one puts the statement in force.
func (c *Circle) accept(ctx context.Context, now time.Time, s statement.Statement, armored []byte, must string, write func(journal.Entry) error) (charter.Accepted, []string, error) {
	by, err := c.acceptors(s)
	if err != nil {
		return charter.Accepted{}, nil, err
	}
	table, kind := c.vaults, kindVault
	if s.Kind() == statement.Roster {
		table, kind = c.rosters, kindRoster
	}
	a, known := table[s.ID()]
	if !known {
		a = charter.Accepted{Statement: s}
	}
	if must != "" {
		if err := c.once(s, must); err != nil {
			return a, nil, err
		}
	}
	next, operator, err := a.Add(by, armored)
	switch {
	case errors.Is(err, charter.ErrAlreadyAccepted):
		if must != "" {
			return a, a.Missing(by), nil // said twice, by an officer who saw no answer
		}
		return a, a.Missing(by), outbox.ErrOld
	case err != nil:
		return a, nil, err
	case must != "" && operator != must:
		return a, nil, fmt.Errorf("the signature is by an officer of %s, this node's operator is %s", operator, must)
	}
	if !known {
		if err := c.room(table, s, operator); err != nil {
			return a, nil, err
		}
	}
	id := s.ID()
	e := journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: store.Key(kind, store.ID(id[:])), Value: next.Bytes()}}},
		Leaves: []tlog.Leaf{{Kind: tlog.KindSignature, Time: now, ID: id}},
	}
	complete := next.Verify(by) == nil
	founded := complete && s.Kind() == statement.Roster && c.charter.IsZero()
	if founded {
		e.Put = append(e.Put, store.Entry{Key: keyCharter, Value: id[:]})
		e.Leaves = append(e.Leaves, tlog.Leaf{Kind: tlog.KindStatement, Time: now, ID: id})
	}
	if err := write(e); err != nil {
		return a, nil, err
	}
	table[id] = next
	if founded {
		c.charter = id
		if c.roster, err = charter.RosterOf(s); err != nil {
			return next, nil, err
		}
		c.cfg.Log.Info("the charter is in force", "circle", c.roster.Circle, "id", id.Short())
		c.cfg.OnPeers(c.peers())
	}
	if complete && s.Kind() == statement.Vault {
		err = c.announce(ctx, now, next)
	}
	return next, next.Missing(by), err
}

// once keeps our officer to one statement per name: to one roster, and to the vault statement
// with the lowest id among those that say the same, so that at most one comes into force.
func (c *Circle) once(s statement.Statement, own string) error {
	table := c.vaults
	if s.Kind() == statement.Roster {
		table = c.rosters
	}
	id := s.ID()
	for other, a := range table {
		if _, signed := a.Signatures[own]; !signed || other == id {
			continue
		}
		if s.Kind() == statement.Roster {
			return fmt.Errorf("this node's officer signed another roster before: %s", other.Short())
		}
		if a.Statement.Get("name") == s.Get("name") && slices.Compare(other[:], id[:]) < 0 {
			return fmt.Errorf("this node's officer signed vault %s as statement %s before: the others must sign that one", s.Get("name"), other.Short())
		}
	}
	return nil
}

// room bounds what each operator may propose, and refuses a second vault of one name that
// says something else.
func (c *Circle) room(table map[statement.ID]charter.Accepted, s statement.Statement, operator string) error {
	open := 0
	for _, a := range table {
		done := c.complete(a)
		if s.Kind() == statement.Vault && a.Statement.Get("name") == s.Get("name") {
			old, err1 := charter.VaultOf(a.Statement)
			v, err2 := charter.VaultOf(s)
			if err1 != nil || err2 != nil || done || old.SameAs(v) != "" {
				return fmt.Errorf("vault %s: another statement with this name is known here", s.Get("name"))
			}
		}
		if _, by := a.Signatures[operator]; by && !done {
			open++
		}
	}
	if open >= maxProposed && operator != c.cfg.Own.Name {
		return fmt.Errorf("%d statements that operator %s signed wait for acceptance here already", open, operator)
	}
	return nil
}

// announce hands over a vault that its whole committee accepted.
func (c *Circle) announce(ctx context.Context, now time.Time, a charter.Accepted) error {
	v, err := charter.VaultOf(a.Statement)
	if err != nil {
		return err
	}
	by, err := c.roster.AcceptorsOf(v)
	if err != nil || a.Verify(by) != nil {
		return err
	}
	c.successions[v.ID] = charter.NewSuccession(v, c.roster)
	return c.cfg.OnVault(ctx, now, v, c.roster)
}
