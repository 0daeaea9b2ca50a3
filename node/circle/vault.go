package circle

import (
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

// PrepareVault gives the statement of a vault that the charter in force lists, for our officer to sign: the one that others signed, or a
// new one.
func (c *Circle) PrepareVault(now time.Time, name string) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	x, ok := c.cfg.History().Newest()
	if !ok {
		return a, false, errNoCharter
	}
	v, err := x.Draft(name, c.chain.Newest(), now)
	if err != nil {
		return a, false, err
	}
	if err := c.cfg.MayHold(v.Name, v.Committee, v.Threshold); err != nil {
		return a, false, err
	}
	if !slices.Contains(v.Committee, c.cfg.Own.Name) {
		return a, false, fmt.Errorf("vault %s: this node's operator %s is not in its committee", v.Name, c.cfg.Own.Name)
	}
	same := map[statement.ID]charter.Accepted{}
	for id, a := range c.vaults {
		old, err := charter.VaultOf(a.Statement)
		if err != nil || old.Name != v.Name || c.yields(a, v) {
			continue
		}
		// One that waited while roster or charter changed stands under an older version, for good.
		said := v
		said.Roster, said.Charter = old.Roster, old.Charter
		if field := old.SameAs(said); field != "" {
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

var errNoCharter = errors.New("no charter is in force yet: every operator must run `ostraka charter sign FOLDER` first")

// complete says whether all operators of a vault's committee have signed its statement.
func (c *Circle) complete(a charter.Accepted) bool {
	if c.successions[a.Statement.ID()] != nil {
		return true // it was found so, and has lost no signature since
	}
	by, err := c.acceptors(a.Statement)
	return err == nil && a.Verify(by) == nil
}

// acceptors are the operators whose officers must sign a vault: as the version of the roster lists
// them under which it stands.
func (c *Circle) acceptors(s statement.Statement) ([]charter.Acceptor, error) {
	v, err := charter.VaultOf(s)
	if err != nil {
		return nil, err
	}
	r, ok := c.chain.Version(v.Roster)
	if !ok {
		return nil, fmt.Errorf("%w: roster %s is not in force here", outbox.ErrLater, v.Roster.Short())
	}
	x, ok := c.cfg.History().Version(v.Charter)
	if !ok {
		return nil, fmt.Errorf("%w: charter %s is not in force here", outbox.ErrLater, v.Charter.Short())
	}
	if err := v.CheckCharter(x); err != nil {
		return nil, err
	}
	if err := v.CheckRoster(r); err != nil {
		return nil, err
	}
	return r.AcceptorsOf(v)
}

// writer makes an entry durable, with what must leave with it.
type writer func(journal.Entry) error

// takeVault adds one officer's signature to a vault; the last one hands it over. must is our own
// operator when its own officer signs here.
func (c *Circle) takeVault(ctx context.Context, now time.Time, s statement.Statement, armored []byte, must string, write writer) (charter.Accepted, []string, error) {
	if len(c.chain) == 0 {
		return charter.Accepted{}, nil, fmt.Errorf("%w: there is no roster here yet", outbox.ErrLater)
	}
	by, err := c.acceptors(s)
	if err != nil {
		return charter.Accepted{}, nil, err
	}
	a, known := c.vaults[s.ID()]
	if !known {
		a = charter.Accepted{Statement: s}
	}
	if must != "" {
		if err := c.onceVault(s, must); err != nil {
			return a, nil, err
		}
	}
	next, operator, err := a.Add(by, armored)
	if done, err := added(err, operator, must); done || err != nil {
		return a, a.Missing(by), err
	}
	if err := c.stillOfficer("vault "+s.Get("name"), operator, armored); err != nil {
		return a, nil, err
	}
	v, err := charter.VaultOf(s)
	if err == nil && !known {
		err = c.roomVault(v, operator)
	}
	if err == nil && must == "" && c.complete(next) {
		err = c.roomAbroad(next)
	}
	if err == nil && must != "" {
		err = c.giveUp(v)
	}
	if err != nil {
		return a, nil, err
	}
	if err := write(signed(now, kindVault, s.ID(), a.Signatures, next)); err != nil {
		return a, nil, err
	}
	c.put(next)
	return next, next.Missing(by), c.announce(ctx, now, next)
}

// signed is the row of a statement that was signed once more, and the leaves that tell of it; vault is zero for rosters.
func signed(now time.Time, kind string, vault statement.ID, was map[string][]byte, is charter.Accepted) journal.Entry {
	id := is.Statement.ID()
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: store.Key(kind, store.ID(id[:])), Value: is.Bytes()}}},
		Leaves: journal.Signed(now, vault, was, is),
	}
}

// added sorts what Add said. done: the signature is here already.
func added(err error, operator, must string) (done bool, _ error) {
	switch {
	case errors.Is(err, charter.ErrAlreadyAccepted) && must != "":
		return true, nil // said twice, by an officer who saw no answer
	case errors.Is(err, charter.ErrAlreadyAccepted):
		return true, outbox.ErrOld
	case err == nil && must != "" && operator != must:
		return false, fmt.Errorf("the signature is by an officer of %s, this node's operator is %s", operator, must)
	}
	return false, err
}

// stillOfficer refuses what an officer signs who was taken out of the roster, or whose operator
// left, after the version under which the statement stands: a stolen key must be worth nothing once it
// was replaced.
func (c *Circle) stillOfficer(what, operator string, armored []byte) error {
	sig, err := signet.Parse(armored)
	if err == nil && !c.chain.Current(operator, sig.Key()) {
		err = fmt.Errorf("%s: %s is no officer of operator %s in version %d of the roster", what, sig.Key().Fingerprint(), operator, c.chain.Newest().Version)
	}
	return err
}

// takeWhole takes a vault that was accepted before this node came. Nobody who came later is in its
// committee; who is in it takes the officers' signatures one by one.
func (c *Circle) takeWhole(ctx context.Context, now time.Time, a charter.Accepted, write writer) error {
	if len(c.chain) == 0 {
		return fmt.Errorf("%w: there is no roster here yet", outbox.ErrLater)
	}
	if err := a.Statement.Require(statement.Vault); err != nil {
		return err
	}
	by, err := c.acceptors(a.Statement)
	if err != nil {
		return err
	}
	if err := a.Verify(by); err != nil {
		return err
	}
	if old, known := c.vaults[a.Statement.ID()]; known && c.complete(old) {
		return outbox.ErrOld
	}
	v, err := charter.VaultOf(a.Statement)
	if err != nil {
		return err
	}
	if slices.Contains(v.Committee, c.cfg.Own.Name) {
		return fmt.Errorf("vault %s: this node is in its committee: its officers' signatures come one by one", v.Name)
	}
	for _, other := range c.sameName(v) {
		if c.complete(other) && c.told(other.Statement.ID()) && !c.yields(other, v) {
			return fmt.Errorf("vault %s: another statement with this name is in force here", v.Name)
		}
	}
	if err := c.roomAbroad(a); err != nil {
		return err
	}
	e, hearsay := signed(now, kindVault, v.ID, c.vaults[v.ID].Signatures, a), c.lost(v)
	if hearsay {
		e.Put = append(e.Put, store.Entry{Key: store.Key(kindHearsay, store.ID(v.ID[:]))})
	}
	if err := write(e); err != nil {
		return err
	}
	if c.put(a); hearsay {
		c.hearsay[v.ID] = true
	}
	return c.announce(ctx, now, a)
}

// onceVault keeps our officer to the vault statement with the lowest id among those of one name that
// say the same, so that at most one comes into force.
func (c *Circle) onceVault(s statement.Statement, own string) error {
	v, err := charter.VaultOf(s)
	if err != nil {
		return err
	}
	if c.signedLater(v) {
		return fmt.Errorf("this node's officer signed vault %s under a later version of the roster or charter: the others must sign that one", v.Name)
	}
	newest, _ := c.cfg.History().Newest()
	if !newest.Lists(v) {
		return fmt.Errorf("vault %s: %s has it otherwise: run `ostraka vault create %s` for a statement of today", v.Name, newest.Title(), v.Name)
	}
	if err := c.cfg.MayHold(v.Name, v.Committee, v.Threshold); err != nil {
		return err
	}
	for _, a := range c.sameName(v) {
		other := a.Statement.ID()
		if _, signed := a.Signatures[own]; signed && !c.yields(a, v) && slices.Compare(other[:], v.ID[:]) < 0 {
			return fmt.Errorf("this node's officer signed vault %s as statement %s before: the others must sign that one", v.Name, other.Short())
		}
	}
	return nil
}

// roomVault bounds what each operator may propose, and refuses a second vault of one name that
// says something else.
func (c *Circle) roomVault(v charter.Vault, operator string) error {
	open := 0
	for _, a := range c.vaults {
		done := c.complete(a)
		if a.Statement.Get("name") != v.Name && (done || a.Signatures[operator] == nil) {
			continue
		}
		old, err := charter.VaultOf(a.Statement)
		if err != nil {
			return err
		}
		// What has lost an officer may wait for ever: it takes no room of what has not.
		if a.Signatures[operator] != nil && !done && c.lost(old) == c.lost(v) {
			open++
		}
		said := v
		said.Roster, said.Charter = old.Roster, old.Charter // two may have begun while they changed
		if old.Name == v.Name && !c.yields(a, v) && (done || old.SameAs(said) != "") {
			return fmt.Errorf("vault %s: another statement with this name is known here", v.Name)
		}
	}
	if err := c.full(open, operator); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err) // those that wait may be accepted, and nobody would send a refused one again
	}
	return nil
}

func (c *Circle) full(open int, operator string) error {
	if open >= maxProposed && operator != c.cfg.Own.Name {
		return fmt.Errorf("%d statements that operator %s signed wait for acceptance here already", open, operator)
	}
	return nil
}

// maxAbroad bounds, in bytes of statements, the vaults of other operators alone that one officer's key signed and that are kept here;
// each counts for leastAbroad at least: so 256 of usual size.
const (
	maxAbroad   = 4 << 20
	leastAbroad = 16 << 10
)

// roomAbroad says whether a vault of other operators alone may be kept: one of the keys that signed it must have room. A key, and not its operator:
// what a stolen one makes up without end leaves the room of all others.
func (c *Circle) roomAbroad(a charter.Accepted) error {
	weight := func(x charter.Accepted) int { return max(len(x.Statement.Bytes()), leastAbroad) }
	ours := func(x charter.Accepted) bool {
		return slices.Contains(x.Statement.Fields().All("member"), c.cfg.Own.Name)
	}
	if ours(a) {
		return nil
	}
	used := map[string]int{}
	for id, x := range c.vaults {
		if id == a.Statement.ID() || ours(x) {
			continue
		}
		for _, key := range signers(x) {
			used[key] += weight(x)
		}
	}
	if slices.ContainsFunc(signers(a), func(key string) bool { return used[key]+weight(a) <= maxAbroad }) {
		return nil
	}
	return fmt.Errorf("%w: vault %s: the officers that signed it signed as many others as are kept here of vaults that this operator has no part in", outbox.ErrLater, a.Statement.Get("name"))
}

// signers are the keys that signed a statement.
func signers(a charter.Accepted) (keys []string) {
	for _, armored := range a.Signatures {
		if sig, err := signet.Parse(armored); err == nil {
			keys = append(keys, sig.Key().String())
		}
	}
	return keys
}

// announce hands over a vault that its whole committee accepted, or the roster's newest version for it.
func (c *Circle) announce(ctx context.Context, now time.Time, a charter.Accepted) error {
	v, err := charter.VaultOf(a.Statement)
	if err != nil || !c.complete(a) {
		return err
	}
	return c.announceWhole(ctx, now, v)
}

// verifiedAtStart vaults, and all without a key, are verified anew when the circle is opened.
const verifiedAtStart = 64

// kept says whether a vault's signatures need not be verified when the circle is opened: all are there, each was verified before it was kept, and the
// certificate of its key, by which the node goes from then on, names it.
func (c *Circle) kept(ctx context.Context, a charter.Accepted) (charter.Vault, bool) {
	v, err := charter.VaultOf(a.Statement)
	if err != nil {
		return v, false
	}
	by, err := c.acceptors(a.Statement)
	return v, err == nil && len(a.Missing(by)) == 0 && len(a.Signatures) == len(by) && c.cfg.Keyed(ctx, v)
}

// announceWhole hands over vaults of which that is known.
func (c *Circle) announceWhole(ctx context.Context, now time.Time, vaults ...charter.Vault) error {
	for _, v := range vaults {
		if s := c.successions[v.ID]; s != nil {
			s.Follow(c.chain)
		} else {
			c.successions[v.ID] = charter.NewSuccession(v, c.chain)
		}
	}
	if err := c.cfg.OnVaults(ctx, now, vaults, c.chain); err != nil {
		return err
	}
	for _, v := range vaults {
		if c.signedLater(v) && !c.cfg.Made(v.ID) {
			if err := c.cfg.GiveUp(v.ID, true); err != nil {
				return err
			}
		}
	}
	return nil
}
