package circle

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
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
)

const kindReshare = "reshare" // reshare/<id>: statement and acceptances

// reshares are the statements that give vaults' keys to other committees.
type reshares struct {
	proposed    map[statement.ID]charter.Accepted    // complete or not
	successions map[statement.ID]*charter.Succession // by vault that its whole committee accepted
}

func newReshares() reshares {
	return reshares{map[statement.ID]charter.Accepted{}, map[statement.ID]*charter.Succession{}}
}

// A Wish is what an operator wants a vault's keys to be held by.
type Wish struct {
	Vault     statement.ID
	Committee []string
	Threshold int
	Reason    string // may be empty
	// Instead makes a new statement where another one waits for signatures, or one that says the same under an older version of
	// the roster, to take its place.
	Instead bool
}

// Reshares lists a vault's reshare statements with their acceptances, complete or not, by number.
func (c *Circle) Reshares(vault statement.ID) (out []charter.Accepted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, x := range c.of(vault) {
		out = append(out, x.Accepted)
	}
	return out
}

type proposal struct {
	charter.Reshare
	charter.Accepted
}

// of lists a vault's statements, by number and id: every node finds the same order.
func (c *Circle) of(vault statement.ID) (out []proposal) {
	for _, a := range c.proposed {
		if r, err := charter.ReshareOf(a.Statement); err == nil && r.Vault == vault {
			out = append(out, proposal{r, a})
		}
	}
	slices.SortFunc(out, func(x, y proposal) int {
		return cmp.Or(cmp.Compare(x.Number, y.Number), slices.Compare(x.ID[:], y.ID[:]))
	})
	return out
}

// PrepareReshare gives the reshare statement for our officer to sign: the one that others signed if it says what our operator
// wants, or a new one.
func (c *Circle) PrepareReshare(now time.Time, w Wish) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.successions[w.Vault]
	if s == nil {
		return a, false, fmt.Errorf("vault %s is not known to this node, or not every operator of its committee accepted it", w.Vault.Short())
	}
	v, err := charter.VaultOf(c.vaults[w.Vault].Statement)
	if err != nil {
		return a, false, err
	}
	under, keys, held := c.cfg.Held(w.Vault)
	r := charter.Reshare{
		Charter: c.chain.Newest().ID, Vault: v.ID, Number: 1, Previous: under, Threshold: w.Threshold, Committee: w.Committee,
		Keys: keys, Reason: w.Reason, Created: now.UTC().Truncate(time.Second),
	}
	known := c.of(w.Vault)
	if held == nil {
		known = slices.DeleteFunc(known, func(x proposal) bool { return x.Number < newest(s) })
	} else {
		slices.Reverse(known) // the youngest that says the same: whether it follows what is held, only holders can tell
	}
	var other *ConflictError
	for _, x := range known {
		field := x.sameWish(r, held == nil)
		switch {
		case field == "" && w.Instead && x.Charter != r.Charter: // officers who signed it may have been replaced
		case field == "" && c.mine(x.Reshare) == nil:
			return x.Accepted, false, nil
		case field != "" && x.Number > newest(s):
			other = &ConflictError{
				What: "reshare of vault " + v.Name, Field: field, By: strings.Join(slices.Sorted(maps.Keys(x.Signatures)), ", "),
				Next: "ask for the same, or add --instead to make another in its place",
			}
		}
	}
	switch {
	case other != nil && !w.Instead:
		return a, false, other
	case held != nil:
		return a, false, fmt.Errorf("reshare of vault %s: this node holds no key of it, so an operator that does must sign first: wait until its statement has come here: %w", v.Name, held)
	}
	return c.newReshare(s, v, r, known)
}

// sameWish names the field in which a statement differs from what an operator asks. Who holds no key cannot compare keys: its
// officer does, by eye. One that waited while the roster changed stands under the older version, for good.
func (x proposal) sameWish(r charter.Reshare, holds bool) string {
	r.Number, r.Charter = x.Number, x.Charter
	if !holds {
		r.Previous, r.Keys = x.Previous, x.Keys
	}
	return x.SameAs(r)
}

// newest is the number of the newest complete reshare; 0 if there is none.
func newest(s *charter.Succession) (n uint64) {
	for _, p := range s.Plans() {
		n = max(n, p.Number)
	}
	return n
}

func (c *Circle) newReshare(s *charter.Succession, v charter.Vault, r charter.Reshare, known []proposal) (a charter.Accepted, fresh bool, err error) {
	// The first number that nobody used: so nobody can use them up.
	for r.Number = newest(s) + 1; slices.ContainsFunc(known, func(x proposal) bool { return x.Number == r.Number }); {
		r.Number++
	}
	if r.Number == 1 && r.Previous != v.ID {
		return a, false, fmt.Errorf("reshare of vault %s: its keys are held under a statement that is not known here", v.Name)
	}
	var salt statement.Salt
	if _, err := io.ReadFull(c.cfg.Rand, salt[:]); err != nil {
		return a, false, fmt.Errorf("draw a salt: %w", err)
	}
	st, err := r.Statement(salt)
	if err != nil {
		return a, false, err
	}
	if r, err = charter.ReshareOf(st); err != nil {
		return a, false, err
	}
	before, roster, err := s.Before(r)
	if err != nil {
		return a, false, err
	}
	if err := r.CheckVault(v, roster); err != nil {
		return a, false, err
	}
	if !r.Changes(before) {
		return a, false, fmt.Errorf("reshare of vault %s: it is held by these operators with this threshold already: `ostraka vault refresh` makes new shares", v.Name)
	}
	if !slices.ContainsFunc(r.Concerned(before, roster), func(who charter.Acceptor) bool { return who.Operator == c.cfg.Own.Name }) {
		return a, false, fmt.Errorf("reshare of vault %s: this node's operator %s is neither in the committee nor in the new one", v.Name, c.cfg.Own.Name)
	}
	return charter.Accepted{Statement: st}, true, nil
}

// mine says why our officer may not sign a reshare: one of each number, never two.
func (c *Circle) mine(r charter.Reshare) error {
	for _, x := range c.of(r.Vault) {
		if _, signed := x.Signatures[c.cfg.Own.Name]; signed && x.Number == r.Number && x.ID != r.ID {
			return fmt.Errorf("this node's officer signed reshare %d of this vault as statement %s before: make another one with --instead", r.Number, x.ID.Short())
		}
	}
	return nil
}

// checkHeld holds what our officer signs to the keys that this node holds: an officer may not see that a digit differs.
func (c *Circle) checkHeld(r charter.Reshare) error {
	under, keys, err := c.cfg.Held(r.Vault)
	if err != nil {
		return nil // a newcomer: its officer is the one who says what the keys are
	}
	// An epoch may have passed since it was made: anchors are not compared.
	own := r
	own.Keys = keys
	if own.Previous != under {
		return fmt.Errorf("reshare %d: the keys are held under statement %s here, it follows %s: make another one", r.Number, under.Short(), r.Previous.Short())
	}
	if field := r.SameAs(own); field != "" {
		return fmt.Errorf("reshare %d: its %s is not that of the keys that this node holds", r.Number, field)
	}
	for _, key := range r.Keys {
		if !c.cfg.Past(r.Vault, key.Key, key.Anchor) { // newcomers' chains could not begin there
			return fmt.Errorf("reshare %d: anchor of suite %s: %x was never in force here", r.Number, key.Suite, key.Anchor[:4])
		}
	}
	return nil
}

// acceptReshare adds one officer's signature; once enough have signed, the keeper of keys is told.
func (c *Circle) acceptReshare(ctx context.Context, now time.Time, st statement.Statement, armored []byte, must string, write writer) (a charter.Accepted, missing []string, err error) {
	r, err := charter.ReshareOf(st)
	if err != nil {
		return a, nil, err
	}
	s := c.successions[r.Vault]
	if s == nil {
		return a, nil, fmt.Errorf("%w: vault %s is not accepted here", outbox.ErrLater, r.Vault.Short())
	}
	before, roster, err := s.Before(r)
	if errors.Is(err, charter.ErrNoPrevious) {
		err = fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	if err == nil {
		err = r.CheckVault(before, roster)
	}
	if err == nil && !r.Changes(before) {
		err = fmt.Errorf("reshare %d of vault %s changes neither committee nor threshold", r.Number, before.Name)
	}
	if under, _, held := c.cfg.Held(r.Vault); err == nil && held == nil && s.NumberOf(r.Previous) < s.NumberOf(under) {
		err = fmt.Errorf("reshare %d of vault %s follows statement %s, and its keys are held under a later one here", r.Number, before.Name, r.Previous.Short())
	}
	if err == nil && must != "" {
		if err = c.mine(r); err == nil {
			err = c.checkHeld(r)
		}
	}
	if err != nil {
		return a, nil, err
	}
	a, known := c.proposed[st.ID()]
	if !known {
		a = charter.Accepted{Statement: st}
	}
	next, operator, err := a.Add(r.Concerned(before, roster), armored)
	if done, err := added(err, operator, must); done || err != nil {
		return a, c.lacking(r, before, a), err
	}
	if err := c.stillOfficer(fmt.Sprintf("reshare %d of vault %s", r.Number, before.Name), operator, armored); err != nil {
		return a, nil, err
	}
	if !known {
		if err := c.roomForReshare(s, r, operator); err != nil {
			return a, nil, err
		}
	}
	if err := write(signed(now, kindReshare, r.Vault, next)); err != nil {
		return a, nil, err
	}
	c.proposed[st.ID()] = next
	if must != "" {
		if err := c.tellNewcomers(ctx, now, r, before, s); err != nil {
			return next, nil, err
		}
	}
	return next, c.lacking(r, before, next), c.announceReshare(ctx, now, s, next)
}

// lacking lists who must still sign; of the committee before, anybody may who has not. Whose operator left the circle cannot.
func (c *Circle) lacking(r charter.Reshare, before charter.Vault, a charter.Accepted) []string {
	names, more := r.Lacking(before, a.Signatures)
	for _, name := range before.Committee {
		_, here := c.chain.Newest().Operator(name)
		if _, signed := a.Signatures[name]; here && more > 0 && !signed && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// roomForReshare bounds what each operator may propose.
func (c *Circle) roomForReshare(s *charter.Succession, r charter.Reshare, operator string) error {
	if err := inReach(s, r); err != nil {
		return err
	}
	open := 0
	for _, x := range c.of(r.Vault) {
		if _, by := x.Signatures[operator]; by && !slices.ContainsFunc(s.Plans(), func(p charter.Plan) bool { return p.ID == x.ID || p.Number >= x.Number }) {
			open++
		}
	}
	if open >= maxProposed && operator != c.cfg.Own.Name {
		return fmt.Errorf("%d reshares of vault %s that operator %s signed wait for acceptance here already", open, r.Vault.Short(), operator)
	}
	return nil
}

// inReach keeps numbers from being used up.
func inReach(s *charter.Succession, r charter.Reshare) error {
	if r.Number > newest(s)+maxProposed*statement.MaxOperators {
		return fmt.Errorf("reshare %d of vault %s: number: the newest that is complete is %d", r.Number, r.Vault.Short(), newest(s))
	}
	return nil
}

// announceReshare hands over a reshare that is complete.
func (c *Circle) announceReshare(ctx context.Context, now time.Time, s *charter.Succession, a charter.Accepted) error {
	err := s.Add(a)
	if errors.Is(err, charter.ErrNotAccepted) || errors.Is(err, charter.ErrNoPrevious) {
		return nil
	}
	if err != nil {
		return err
	}
	return c.cfg.OnReshare(ctx, now, a)
}

// announceReshares does so for all, when the node starts: those with lower numbers first, since others follow them.
func (c *Circle) announceReshares(ctx context.Context, now time.Time) error {
	for id, s := range c.successions {
		for _, x := range c.of(id) {
			if err := c.announceReshare(ctx, now, s, x.Accepted); err != nil {
				return err
			}
		}
	}
	return nil
}

// tellNewcomers sends an accepted vault statement, and the complete reshares that led to here, to operators who may have come
// to the circle after they were made. Who knows them takes no notice.
func (c *Circle) tellNewcomers(ctx context.Context, now time.Time, r charter.Reshare, before charter.Vault, s *charter.Succession) error {
	if !slices.ContainsFunc(r.Committee, func(name string) bool { return !slices.Contains(before.Committee, name) }) {
		return nil
	}
	all := []charter.Accepted{c.vaults[r.Vault]}
	for _, p := range s.Plans() {
		if p.Number < r.Number {
			all = append(all, c.proposed[p.ID])
		}
	}
	for _, a := range all {
		if err := c.cfg.Post(ctx, now, journal.Entry{}, whole(a)); err != nil {
			return err
		}
	}
	return nil
}

// takeAccepted takes a vault or reshare statement that all who had to accepted, in one piece.
func (c *Circle) takeAccepted(ctx context.Context, now time.Time, raw []byte, write writer) error {
	a, err := charter.DecodeAccepted(raw)
	if err != nil {
		return err
	}
	if a.Statement.Kind() == statement.Reshare {
		return c.takeReshare(ctx, now, a, write)
	}
	return c.takeWhole(ctx, now, a, write)
}

func (c *Circle) takeReshare(ctx context.Context, now time.Time, a charter.Accepted, write writer) error {
	r, err := charter.ReshareOf(a.Statement)
	if err != nil {
		return err
	}
	s := c.successions[r.Vault]
	if s == nil {
		return fmt.Errorf("%w: vault %s is not accepted here", outbox.ErrLater, r.Vault.Short())
	}
	before, roster, err := s.Before(r)
	if errors.Is(err, charter.ErrNoPrevious) {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(s.Plans(), func(p charter.Plan) bool { return p.ID == r.ID }) {
		return outbox.ErrOld
	}
	if _, err := a.VerifyReshare(before, roster); err != nil {
		return err
	}
	if err := inReach(s, r); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err) // those between may be on their way
	}
	// Our node deals for whom its own officers sign, and no others: an officer that our operator replaced is not one.
	own := c.cfg.Own.Name
	if sig, by := a.Signatures[own], c.proposed[r.ID].Signatures[own]; sig != nil && by == nil {
		if err := c.stillOfficer(fmt.Sprintf("reshare %d of vault %s", r.Number, before.Name), own, sig); err != nil {
			return err
		}
	}
	// What is known here in part stays: an officer's signature that the sender lacks may be our own.
	for name, sig := range c.proposed[r.ID].Signatures {
		a.Signatures[name] = sig
	}
	if err := write(signed(now, kindReshare, r.Vault, a)); err != nil {
		return err
	}
	c.proposed[r.ID] = a
	return c.announceReshare(ctx, now, s, a)
}
