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
	"github.com/ostraka/ostraka/node/outbox"
)

const kindReshare = "reshare" // reshare/<id>: statement and acceptances

// reshares are the statements that give vaults' keys to other committees.
type reshares struct {
	proposed    map[statement.ID]proposal            // complete or not
	successions map[statement.ID]*charter.Succession // by vault that its whole committee accepted
}

func newReshares() reshares {
	return reshares{map[statement.ID]proposal{}, map[statement.ID]*charter.Succession{}}
}

// succession is a vault's, with the committees that emergencies made as the keeper of keys knows them by now: the activation of each stands where officers' statement
// would, and what they sign next follows it. Nil if not every operator of the committee accepted the vault.
func (c *Circle) succession(vault statement.ID) *charter.Succession {
	s := c.successions[vault]
	if s != nil {
		for _, x := range c.cfg.Rescues(vault) {
			s.Rescued(x)
		}
	}
	return s
}

// A Wish is what an operator wants a vault's keys to be held by.
type Wish struct {
	Vault     statement.ID
	Committee []string
	Threshold int
	Reason    string // may be empty
	ID        string // beginning of the id of the statement that our operator chose; all else is as that says
	// Instead makes a new statement where another one waits for signatures, or one that says the same under an older version of
	// the roster, to take its place.
	Instead bool
}

// Reshares lists a vault's reshare statements with their acceptances, by number: those that led to how its keys are held, and
// those above, complete or not. What was overtaken is not shown.
func (c *Circle) Reshares(vault statement.ID) (out []charter.Accepted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	line := c.lineOf(vault)
	for _, x := range c.of(vault) {
		if line.shows(x.Reshare) {
			out = append(out, x.Accepted)
		}
	}
	return out
}

// A line is what led to how a vault's keys are held here. To a node that does not follow them it is empty.
type line struct {
	carried map[statement.ID]bool
	number  uint64 // of what they are held under; of several keys' the lowest
}

func (c *Circle) lineOf(vault statement.ID) line {
	l, s := line{carried: map[statement.ID]bool{}}, c.succession(vault)
	for i, id := range c.cfg.Under(vault) {
		for _, before := range s.Line(id) {
			l.carried[before] = true
		}
		if n := s.NumberOf(id); i == 0 || n < l.number {
			l.number = n
		}
	}
	return l
}

// shows says whether somebody may still need a reshare: to see who holds the keys, or to carry it out.
func (l line) shows(r charter.Reshare) bool { return l.carried[r.ID] || r.Number > l.number }

// plans are a vault's complete reshares that somebody may still need, by number.
func (c *Circle) plans(vault statement.ID) []charter.Plan {
	line := c.lineOf(vault)
	return slices.DeleteFunc(c.succession(vault).Plans(), func(p charter.Plan) bool { return p.Rescued() || !line.shows(p.Reshare) })
}

type proposal struct {
	charter.Reshare
	charter.Accepted
}

func (c *Circle) keep(a charter.Accepted) error {
	r, err := charter.ReshareOf(a.Statement)
	if err == nil {
		c.proposed[r.ID] = proposal{r, a}
	}
	return err
}

// of lists a vault's statements, by number and id: every node finds the same order.
func (c *Circle) of(vault statement.ID) (out []proposal) {
	for _, x := range c.proposed {
		if x.Vault == vault {
			out = append(out, x)
		}
	}
	slices.SortFunc(out, func(x, y proposal) int {
		return cmp.Or(cmp.Compare(x.Number, y.Number), slices.Compare(x.ID[:], y.ID[:]))
	})
	return out
}

// PrepareReshare gives the reshare statement for our officer to sign: the one that others signed if it says what our operator
// wants, or a new one; or the one that our operator chose.
func (c *Circle) PrepareReshare(now time.Time, w Wish) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.succession(w.Vault)
	if s == nil {
		return a, false, fmt.Errorf("vault %s is not known to this node, or not every operator of its committee accepted it", w.Vault.Short())
	}
	if w.ID != "" {
		return c.chosenReshare(w)
	}
	v, err := charter.VaultOf(c.vaults[w.Vault].Statement)
	if err != nil {
		return a, false, err
	}
	under, keys, held := c.cfg.Held(w.Vault)
	r := charter.Reshare{
		Roster: c.chain.Newest().ID, Vault: v.ID, Number: 1, Previous: under, Threshold: w.Threshold, Committee: w.Committee,
		Keys: keys, Reason: w.Reason, Created: now.UTC().Truncate(time.Second),
	}
	known := c.of(w.Vault)
	for _, x := range c.saying(r, known, w, held == nil) {
		if c.mine(x.Reshare) == nil {
			return x.Accepted, false, nil
		}
	}
	var other *ConflictError
	for _, x := range known {
		if field := x.sameWish(r, held == nil); field != "" && x.Number > newest(s) {
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

// chosenReshare is the one statement whose id begins as our operator says.
func (c *Circle) chosenReshare(w Wish) (a charter.Accepted, fresh bool, err error) {
	line := c.lineOf(w.Vault)
	for _, x := range c.of(w.Vault) {
		if len(w.ID) >= 8 && strings.HasPrefix(x.ID.String(), w.ID) && x.Number > line.number {
			return x.Accepted, false, c.mine(x.Reshare)
		}
	}
	return a, false, fmt.Errorf("no reshare of vault %s with id %s waits at this node: give at least 8 digits of one that does", w.Vault.Short(), w.ID)
}

// saying are the statements that say what our operator wants, in the order in which they are offered. Who holds the keys knows which
// can be carried out: all meet at the lowest number. To who holds none, it is what most of those who hold them signed last: their
// word is what its officer goes by. With instead, one that our officer signed, or whose officers may have been replaced, is left out.
func (c *Circle) saying(r charter.Reshare, known []proposal, w Wish, holds bool) (out []proposal) {
	least := c.lineOf(w.Vault).number + 1
	if holds {
		least = max(least, agreed(c.succession(w.Vault), r.Previous))
	}
	for _, x := range known {
		_, signed := x.Signatures[c.cfg.Own.Name]
		switch {
		case x.Number < least || x.sameWish(r, holds) != "":
		case w.Instead && (x.Roster != r.Roster || signed && !holds):
		default:
			out = append(out, x)
		}
	}
	if !holds {
		c.byLastWord(out)
	}
	return out
}

// agreed is the number of the reshare that those who hold a vault's keys agreed on last; 0 if there is none.
func agreed(s *charter.Succession, under statement.ID) (n uint64) {
	now, known := s.Under(under)
	for _, p := range s.Plans() {
		if known && p.Agreed(now) {
			n = max(n, p.Number)
		}
	}
	return n
}

// byLastWord puts first what most of those who hold the vault signed last, then what our officer signed, then the lower number: who
// makes one takes the first that is free.
func (c *Circle) byLastWord(some []proposal) {
	votes := c.lastWords(some)
	mine := func(x proposal) int { return min(1, len(x.Signatures[c.cfg.Own.Name])) }
	slices.SortStableFunc(some, func(x, y proposal) int {
		return cmp.Or(cmp.Compare(votes[y.ID], votes[x.ID]), cmp.Compare(mine(y), mine(x)))
	})
}

// lastWords counts, for each of some statements, those for whom it is the last that they signed: present officers of operators that
// hold the vault under what it follows.
func (c *Circle) lastWords(some []proposal) map[statement.ID]int {
	votes, last := map[statement.ID]int{}, map[string]statement.ID{}
	for _, x := range some { // by number
		before, _, err := c.succession(x.Vault).Before(x.Reshare)
		for name, sig := range x.Signatures {
			if err == nil && name != c.cfg.Own.Name && slices.Contains(before.Committee, name) && c.stillOfficer("reshare", name, sig) == nil {
				last[name] = x.ID
			}
		}
	}
	for _, id := range last {
		votes[id]++
	}
	return votes
}

// A Rival is another statement that would give a vault to the same operators.
type Rival struct {
	charter.Accepted
	ID      statement.ID
	Number  uint64
	Differs string // the first field in which it differs otherwise
}

// Rivals are the statements that wait for signatures and say the same as one, but for what people do not choose: the keys, and what
// it follows.
func (c *Circle) Rivals(a charter.Accepted) (out []Rival) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := charter.ReshareOf(a.Statement)
	s := c.succession(r.Vault)
	if err != nil || s == nil {
		return nil
	}
	line := c.lineOf(r.Vault)
	for _, x := range c.of(r.Vault) {
		if x.ID == r.ID || x.Number <= line.number || x.sameWish(r, false) != "" || s.NumberOf(x.ID) > 0 {
			continue
		}
		same := r
		same.Number = x.Number
		out = append(out, Rival{x.Accepted, x.ID, x.Number, x.SameAs(same)})
	}
	return out
}

// sameWish names the field in which a statement differs from what an operator asks. Who holds no key cannot compare keys: its
// officer does, by eye. One that waited while the roster changed stands under the older version, for good.
func (x proposal) sameWish(r charter.Reshare, holds bool) string {
	r.Number, r.Roster = x.Number, x.Roster
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
	if err := c.cfg.MayHold(v.Name, r.Committee, r.Threshold); err != nil {
		return a, false, err
	}
	if !r.Changes(before) {
		return a, false, fmt.Errorf("reshare of vault %s: it is held by these operators with this threshold already: `ostraka vault refresh` makes new shares", v.Name)
	}
	if !slices.ContainsFunc(r.Concerned(before, roster), func(who charter.Acceptor) bool { return who.Operator == c.cfg.Own.Name }) {
		return a, false, fmt.Errorf("reshare of vault %s: this node's operator %s is neither in the committee nor in the new one", v.Name, c.cfg.Own.Name)
	}
	if err := c.roomForReshare(s, r, c.cfg.Own.Name); err != nil { // the others would not take it
		return a, false, fmt.Errorf("%w: let another operator's officer sign the next one first", err)
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
	s := c.succession(r.Vault)
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
		if err == nil {
			err = c.cfg.MayHold(before.Name, r.Committee, r.Threshold)
		}
	}
	if err != nil {
		return a, nil, err
	}
	x, known := c.proposed[st.ID()]
	if a = x.Accepted; !known {
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
		// Later, not never: once somebody who has room signs it, this signature counts too.
		if err := c.roomForReshare(s, r, operator); err != nil {
			return a, nil, fmt.Errorf("%w: %w", outbox.ErrLater, err)
		}
	}
	if err := write(signed(now, kindReshare, r.Vault, a.Signatures, next)); err != nil {
		return a, nil, err
	}
	c.proposed[st.ID()] = proposal{r, next}
	err = c.announceReshare(ctx, now, s, next)
	if must != "" { // after it: the keys must move also if the others cannot be told now
		err = errors.Join(err, c.tellNewcomers(ctx, now, r, before))
	}
	return next, c.lacking(r, before, next), err
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

// Reshares that did not lead to how the keys are held here, complete or not: so many may one operator have signed that follow one
// statement, and so many of a vault in all.
const (
	maxBeside = 16
	maxLoose  = 128
)

// roomForReshare says whether a reshare that is new here may be kept: one of those who signed it must have room. What a few make up
// fills their own room alone, and leaves that of everybody else.
func (c *Circle) roomForReshare(s *charter.Succession, r charter.Reshare, by ...string) error {
	if err := inReach(s, r); err != nil {
		return err
	}
	line, beside, loose := c.lineOf(r.Vault), map[string]int{}, map[string]int{}
	for _, x := range c.proposed {
		if x.Vault != r.Vault || line.carried[x.ID] {
			continue
		}
		for name := range x.Signatures {
			loose[name]++
			if x.Previous == r.Previous {
				beside[name]++
			}
		}
	}
	if slices.ContainsFunc(by, func(name string) bool { return beside[name] < maxBeside && loose[name] < maxLoose }) {
		return nil
	}
	return fmt.Errorf("reshare %d of vault %s: %s signed %d that follow the same statement, or %d in all, which were not carried out", r.Number, r.Vault.Short(), strings.Join(by, ", "), maxBeside, maxLoose)
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
	before := s.NumberOf(a.Statement.ID())
	err := s.Add(a)
	if errors.Is(err, charter.ErrNotAccepted) || errors.Is(err, charter.ErrNoPrevious) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := c.cfg.OnReshare(ctx, now, a); err != nil || before > 0 || c.standing() != Member {
		return err
	}
	vault := a.Statement.Fields().ID("vault")
	left := slices.DeleteFunc(c.pins().Left, func(o charter.Operator) bool { return !c.onceHeld(vault, o.Name) })
	return c.cfg.Forward(ctx, now, whole(a), left)
}

// announceReshares does so for all, when the node starts: those with lower numbers first, since others follow them.
func (c *Circle) announceReshares(ctx context.Context, now time.Time) error {
	for id := range c.successions {
		for _, x := range c.of(id) { // one that follows an emergency follows what came before that
			if err := c.announceReshare(ctx, now, c.succession(id), x.Accepted); err != nil {
				return err
			}
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
	s := c.succession(r.Vault)
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
	if _, known := c.proposed[r.ID]; !known {
		// Later: those between may be on their way, and what is carried out takes no room.
		if err := c.roomForReshare(s, r, slices.Sorted(maps.Keys(a.Signatures))...); err != nil {
			return fmt.Errorf("%w: %w", outbox.ErrLater, err)
		}
	}
	if _, err := a.VerifyReshare(before, roster); err != nil {
		return err
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
	if err := write(signed(now, kindReshare, r.Vault, c.proposed[r.ID].Signatures, a)); err != nil {
		return err
	}
	c.proposed[r.ID] = proposal{r, a}
	return c.announceReshare(ctx, now, s, a)
}
