package circle

import (
	"bytes"
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
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// PrepareRoster gives the roster for our officer to sign: the one that others signed, or a
// new one of who has joined. name is the circle's, for version 0 alone.
func (c *Circle) PrepareRoster(now time.Time, name string) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.chain) > 0 {
		return c.prepareNext(now)
	}
	if !c.genesis.IsZero() {
		return a, false, fmt.Errorf("%w: the circle's roster has not reached this node: keep the node running and try again", outbox.ErrLater)
	}
	for _, a := range c.proposals(0) { // all meet at the lowest id
		if r, err := charter.RosterOf(a.Statement); err == nil && c.concernsUs(r) == nil {
			return a, false, nil
		}
	}
	if len(c.draft) == 0 {
		return a, false, errors.New("nobody has joined yet: send the line of `ostraka operator invite` to the other operators")
	}
	if name == "" {
		return a, false, fmt.Errorf("%w: no roster waits for our signature: wait until the operator that invited you has signed, or give --circle NAME to found one", outbox.ErrLater)
	}
	r := charter.Roster{Circle: name, Created: now.UTC().Truncate(time.Second), Operators: []charter.Operator{c.cfg.Own}}
	for _, o := range c.draft {
		r.Operators = append(r.Operators, o)
	}
	return c.write(r)
}

// write makes a statement of a roster. A rival of others gets a lower id than all of them, so
// that who signed one of those may come over (mayMove).
func (c *Circle) write(r charter.Roster) (a charter.Accepted, fresh bool, err error) {
	rivals := c.proposals(r.Version)
	var s statement.Statement
	for range maxDraws {
		var salt statement.Salt
		if _, err := io.ReadFull(c.cfg.Rand, salt[:]); err != nil {
			return a, false, fmt.Errorf("draw a salt: %w", err)
		}
		if s, err = r.Statement(salt); err != nil {
			return a, false, err
		}
		if len(rivals) == 0 || less(s.ID(), rivals[0].Statement.ID()) {
			break
		}
	}
	return charter.Accepted{Statement: s}, true, nil
}

// maxDraws bounds the search for a low id. Somebody may have searched longer; then ours stands above,
// and who has not signed that one signs ours by its id.
const maxDraws = 4096

func less(a, b statement.ID) bool { return bytes.Compare(a[:], b[:]) < 0 }

// proposals are the rosters of a version that are known here, the lowest id first.
func (c *Circle) proposals(version uint64) (out []charter.Accepted) {
	for _, a := range c.rosters {
		if a.Statement.Fields().Uint("version") == version {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b charter.Accepted) int {
		x, y := a.Statement.ID(), b.Statement.ID()
		return bytes.Compare(x[:], y[:])
	})
	return out
}

// prepareNext gives the next version for our officer to sign: the proposal with the lowest id that
// keeps us, or a new one of the newest roster, who has joined, and what our settings say of us.
func (c *Circle) prepareNext(now time.Time) (a charter.Accepted, fresh bool, err error) {
	for _, p := range c.proposals(c.chain.Newest().Version + 1) {
		r, err := charter.RosterOf(p.Statement)
		if err != nil {
			return a, false, err
		}
		if _, keeps := r.Operator(c.cfg.Own.Name); !keeps {
			continue // our officer says that with `operator resign`
		}
		err = c.maySign(p, r)
		if err == nil {
			return p, false, nil
		}
		// All meet at the lowest: a higher one is not offered while this one waits, unless our officer
		// has signed it.
		return c.own(fmt.Errorf("roster %s, signed by %s: %w; `ostraka operator accept --new` proposes another, `ostraka operator accept ID` signs a certain one", r.ID.Short(), strings.Join(slices.Sorted(maps.Keys(p.Signatures)), ", "), err))
	}
	return c.anew(now)
}

// own gives what our officer has signed of the next version, or an error.
func (c *Circle) own(otherwise error) (a charter.Accepted, fresh bool, err error) {
	for _, p := range c.proposals(c.chain.Newest().Version + 1) {
		if _, signed := p.Signatures[c.cfg.Own.Name]; signed {
			return p, false, nil
		}
	}
	return a, false, otherwise
}

// PrepareChosen gives the one proposal whose id begins so.
func (c *Circle) PrepareChosen(id string) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.proposals(uint64(len(c.chain))) {
		if full := p.Statement.ID().String(); len(id) >= 8 && strings.HasPrefix(full, id) {
			r, err := charter.RosterOf(p.Statement)
			if err == nil {
				err = c.maySign(p, r)
			}
			return p, false, err
		}
	}
	return a, false, fmt.Errorf("no roster of version %d with id %s waits at this node: give at least 8 digits of one that does", len(c.chain), id)
}

// PrepareAnew gives a next version of our own, whatever others have proposed.
func (c *Circle) PrepareAnew(now time.Time) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.chain) == 0 {
		return a, false, errors.New("there is no roster yet: every operator must run `ostraka operator accept` first")
	}
	return c.anew(now)
}

// anew is the newest roster with who has joined, and with what our settings say of us.
func (c *Circle) anew(now time.Time) (a charter.Accepted, fresh bool, err error) {
	if c.standing() != Member {
		return a, false, fmt.Errorf("no roster that takes this node in waits for our signature: an operator of circle %q must run `ostraka operator accept` first", c.chain.Newest().Circle)
	}
	r := c.next(now, "")
	r.Operators = append(r.Operators, c.joined()...)
	if c.sameOperators(r.Operators, c.chain.Newest().Operators) {
		return a, false, fmt.Errorf("nothing changes in circle %q: invite an operator, or run `ostraka operator replace` or `ostraka operator resign`", r.Circle)
	}
	return c.fresh(r)
}

// PrepareReplace gives the next version, in which the one operator that joined here stands in place
// of another.
func (c *Circle) PrepareReplace(now time.Time, old string) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mustBeMember(); err != nil {
		return a, false, err
	}
	if _, ok := c.chain.Newest().Operator(old); !ok {
		return a, false, fmt.Errorf("%q is no operator of circle %q: its operators are %s", old, c.chain.Newest().Circle, strings.Join(c.chain.Newest().Names(), ", "))
	}
	if old == c.cfg.Own.Name {
		return a, false, errors.New("this node's own operator cannot be replaced from here: run `ostraka operator resign`, or let another operator run `ostraka operator replace`")
	}
	joined := c.joined()
	if len(joined) != 1 {
		return a, false, fmt.Errorf("%d operators joined at this node and wait to be taken in, one must: send the line of `ostraka operator invite` to the one that takes the place of %s", len(joined), old)
	}
	r := c.next(now, old)
	r.Operators = append(r.Operators, joined[0])
	return c.offer(r)
}

// PrepareRemove gives the next version without an operator that is lost, and with nobody in its place: the one that others proposed, or a new one. All who stay sign it (spec/circle 2.5).
func (c *Circle) PrepareRemove(now time.Time, lost string) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mustBeMember(); err != nil {
		return a, false, err
	}
	last := c.chain.Newest()
	o, ok := last.Operator(lost)
	switch {
	case !ok:
		return a, false, fmt.Errorf("%q is no operator of circle %q: its operators are %s", lost, last.Circle, strings.Join(last.Names(), ", "))
	case lost == c.cfg.Own.Name:
		return a, false, errors.New("this node's own operator cannot be removed from here: run `ostraka operator resign`")
	case len(last.Operators) < 3:
		return a, false, fmt.Errorf("circle %q has two operators: neither throws the other out", last.Circle)
	case c.cfg.Seated(o): // it could still sign for them, and nobody outside would see its log
		return a, false, fmt.Errorf("operator %s holds shares of a vault: its keys go to others first, by `ostraka vault reshare`, or by SOS where too few operators are left", lost)
	}
	return c.offer(c.next(now, lost))
}

// PrepareResign gives a next version that leaves our own operator out: the one that others proposed,
// or a new one.
func (c *Circle) PrepareResign(now time.Time) (a charter.Accepted, fresh bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.mustBeMember(); err != nil {
		return a, false, err
	}
	if err := c.mayLeave(); err != nil {
		return a, false, err
	}
	for _, p := range c.proposals(c.chain.Newest().Version + 1) {
		r, err := charter.RosterOf(p.Statement)
		if err != nil {
			return a, false, err
		}
		if _, stays := r.Operator(c.cfg.Own.Name); !stays && c.maySign(p, r) == nil {
			return p, false, nil
		}
	}
	return c.fresh(c.next(now, c.cfg.Own.Name))
}

func (c *Circle) mustBeMember() error {
	if c.standing() != Member {
		return errors.New("this node's operator is in no circle now")
	}
	return nil
}

// mayLeave says whether our operator may go: not while a vault counts on our share.
func (c *Circle) mayLeave() error {
	if held := c.cfg.Holds(); len(held) > 0 {
		return fmt.Errorf("this node holds shares of vaults %s: reshare them to a committee without %s first", strings.Join(held, ", "), c.cfg.Own.Name)
	}
	return nil
}

// joined are the drafts that wait to be taken in, by name.
func (c *Circle) joined() (out []charter.Operator) {
	for _, name := range slices.Sorted(maps.Keys(c.draft)) {
		if _, in := c.chain.Newest().Operator(name); !in {
			out = append(out, c.draft[name])
		}
	}
	return out
}

// next is the newest roster without one operator, as the version after it.
func (c *Circle) next(now time.Time, without string) charter.Roster {
	last := c.chain.Newest()
	r := charter.Roster{Circle: last.Circle, Version: last.Version + 1, Previous: last.ID, Created: now.UTC().Truncate(time.Second)}
	if r.Created.Before(last.Created) {
		r.Created = last.Created // clocks differ
	}
	for _, o := range last.Operators {
		switch o.Name {
		case without:
		case c.cfg.Own.Name:
			r.Operators = append(r.Operators, c.cfg.Own)
		default:
			r.Operators = append(r.Operators, o)
		}
	}
	return r
}

// offer gives the proposal that says the same as r, or r as a new one.
func (c *Circle) offer(r charter.Roster) (a charter.Accepted, fresh bool, err error) {
	for _, p := range c.proposals(r.Version) {
		old, err := charter.RosterOf(p.Statement)
		if err == nil && c.sameOperators(old.Operators, r.Operators) && c.maySign(p, old) == nil {
			return p, false, nil
		}
	}
	return c.fresh(r)
}

// fresh makes a new proposal. It needs the links to all who stay: two that propose at once, apart
// from each other, may hold one another up for good (spec/circle 2.8).
func (c *Circle) fresh(r charter.Roster) (a charter.Accepted, fresh bool, err error) {
	for _, o := range c.chain.Newest().Operators {
		if _, stays := r.Operator(o.Name); stays && o.Name != c.cfg.Own.Name && !c.cfg.Reachable(o.Identity) {
			return a, false, fmt.Errorf("%w: the node of operator %s is not connected: a new roster is made when all that stay in it can hear of it", outbox.ErrLater, o.Name)
		}
	}
	if a, fresh, err = c.write(r); err != nil {
		return a, false, err
	}
	if r, err = charter.RosterOf(a.Statement); err == nil {
		err = c.maySign(a, r)
	}
	return a, fresh, err
}

func (c *Circle) sameOperators(a, b []charter.Operator) bool {
	return slices.EqualFunc(byName(a), byName(b), charter.SameOperator)
}

func byName(ops []charter.Operator) []charter.Operator {
	return slices.SortedFunc(slices.Values(ops), func(a, b charter.Operator) int { return strings.Compare(a.Name, b.Name) })
}

// Unmet lists the operators of a roster that this node has not met, by an invitation or in the
// version before: its officer must compare their identities with them by other means.
func (c *Circle) Unmet(s statement.Statement) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, err := charter.RosterOf(s)
	if err != nil {
		return nil
	}
	for _, o := range r.Operators {
		_, met := c.draft[o.Name]
		if c.standing() == Member {
			_, in := c.chain.Newest().Operator(o.Name)
			met = met || in
		}
		if !met && o.Name != c.cfg.Own.Name {
			names = append(names, o.Name)
		}
	}
	return names
}

// base are the versions that a roster follows, and whose consent it needs. A rival of a version in
// force is judged as if it were not: two complete ones are an alarm.
func (c *Circle) base(r charter.Roster) (charter.Acceptance, error) {
	if r.Version > uint64(len(c.chain)) {
		return charter.Acceptance{}, fmt.Errorf("%w: version %d of the roster is not in force here", outbox.ErrLater, r.Version-1)
	}
	return c.chain[:r.Version].Acceptance(r)
}

// concernsUs refuses a version 0 that is not that of the circle which invited us, or that lists
// this operator otherwise than its own settings do, or an operator that we met otherwise than we met
// it: a puppet could take its place.
func (c *Circle) concernsUs(r charter.Roster) error {
	if r.Version > 0 {
		return nil // it needs our own officer, who asks maySign
	}
	if len(c.chain) > 0 && c.chain[0].ID != r.ID {
		return fmt.Errorf("this node belongs to circle %q already", c.chain[0].Circle)
	}
	if len(c.chain) > 0 || c.genesis == r.ID {
		return nil
	}
	if !c.genesis.IsZero() {
		return fmt.Errorf("this node was invited to another circle than %q", r.Circle)
	}
	must := append(slices.Collect(maps.Values(c.draft)), c.cfg.Own)
	for _, known := range byName(must) {
		o, ok := r.Operator(known.Name)
		if !ok {
			return fmt.Errorf("roster of circle %q does not list operator %s, whom this node knows%s", r.Circle, known.Name, c.dropHint(known))
		}
		if field := differs(known, o); field != "" {
			return fmt.Errorf("roster of circle %q lists operator %s with another %s than this node knows%s", r.Circle, known.Name, field, c.dropHint(known))
		}
	}
	return nil
}

// dropHint says what to do where a roster and who joined here contradict one another.
func (c *Circle) dropHint(o charter.Operator) string {
	if o.Name == c.cfg.Own.Name {
		return ""
	}
	return fmt.Sprintf(": ask that operator by telephone; if it is not the one that joined here, `ostraka operator drop %s`", o.Name)
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

// maySign says whether our officer's signature over a roster may leave this node.
func (c *Circle) maySign(a charter.Accepted, r charter.Roster) error {
	if _, signed := a.Signatures[c.cfg.Own.Name]; signed {
		return nil
	}
	if r.Version == 0 {
		for other, x := range c.rosters {
			if _, signed := x.Signatures[c.cfg.Own.Name]; signed && other != r.ID {
				return fmt.Errorf("this node's officer signed another roster before: %s", other.Short())
			}
		}
		return nil
	}
	if r.Version < uint64(len(c.chain)) {
		return fmt.Errorf("version %d of the roster is in force already", r.Version)
	}
	known := map[string]charter.Operator{c.cfg.Own.Name: c.cfg.Own}
	for _, o := range c.joined() {
		known[o.Name] = o
	}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		o, listed := r.Operator(name)
		if field := differs(known[name], o); listed && field != "" {
			return fmt.Errorf("roster %s lists operator %s with another %s than this node knows%s", r.ID.Short(), name, field, c.dropHint(known[name]))
		}
	}
	if _, stays := r.Operator(c.cfg.Own.Name); !stays {
		if err := c.mayLeave(); err != nil {
			return err
		}
	}
	if err := c.newcomersFirst(a, r); err != nil {
		return err
	}
	return c.mayMove(r)
}

// newcomersFirst keeps who stays from signing before those who come have, except for the one
// operator that proposes: else all could be bound to a roster whose newcomer never signs.
func (c *Circle) newcomersFirst(a charter.Accepted, r charter.Roster) error {
	last := c.chain.Newest()
	if _, old := last.Operator(c.cfg.Own.Name); !old {
		return nil
	}
	proposed := slices.ContainsFunc(last.Operators, func(o charter.Operator) bool { return a.Signatures[o.Name] != nil })
	for _, o := range r.Operators {
		if _, old := last.Operator(o.Name); !old && proposed && a.Signatures[o.Name] == nil {
			return fmt.Errorf("%w: operator %s, who comes, must sign roster %s before us: there, run `ostraka operator accept`", outbox.ErrLater, o.Name, r.ID.Short())
		}
	}
	return nil
}

// mayMove keeps our officer to one roster of a version, with one way out: from a roster to one with
// a lower id, once as many operators whose signature the first needs have signed lower ones that an
// honest one is among them. That one will never sign the first, so it cannot come into force
// (spec/circle 2.7 has the proof).
func (c *Circle) mayMove(r charter.Roster) error {
	all := c.proposals(r.Version)
	for _, a := range all {
		id := a.Statement.ID()
		if _, signed := a.Signatures[c.cfg.Own.Name]; !signed || id == r.ID {
			continue
		}
		if less(id, r.ID) {
			return fmt.Errorf("this node's officer signed roster %s of version %d before: it may not sign %s besides", id.Short(), r.Version, r.ID.Short())
		}
		old, err := charter.RosterOf(a.Statement)
		if err != nil {
			return err
		}
		gone, need := c.movedFrom(old, all), max(1, len(c.chain.Newest().Operators)-2)
		if gone < need {
			return fmt.Errorf("this node's officer signed roster %s of version %d before: that one may still come into force, since %d of the operators that it needs have signed others, %d must", id.Short(), r.Version, gone, need)
		}
	}
	return nil
}

// movedFrom counts the other operators of the version before that a proposal needs and that have
// signed one with a lower id.
func (c *Circle) movedFrom(r charter.Roster, all []charter.Accepted) (n int) {
	for _, o := range c.chain.Newest().Operators {
		if _, needed := r.Operator(o.Name); !needed || o.Name == c.cfg.Own.Name {
			continue
		}
		if slices.ContainsFunc(all, func(a charter.Accepted) bool { return a.Signatures[o.Name] != nil && less(a.Statement.ID(), r.ID) }) {
			n++
		}
	}
	return n
}

// takeRoster adds one officer's signature; the last one puts the roster in force. must is our own
// operator when its own officer signs here.
func (c *Circle) takeRoster(ctx context.Context, now time.Time, s statement.Statement, armored []byte, must string, write writer) (charter.Accepted, []string, error) {
	a, known := c.rosters[s.ID()]
	if !known {
		a = charter.Accepted{Statement: s}
	}
	r, err := charter.RosterOf(s)
	if err != nil {
		return a, nil, err
	}
	if err := c.concernsUs(r); err != nil {
		return a, nil, err
	}
	need, err := c.base(r)
	if err != nil {
		return a, nil, err
	}
	if must != "" {
		if err := c.maySign(a, r); err != nil {
			return a, nil, err
		}
	}
	next, operator, err := a.Add(need.All(), armored)
	if done, err := added(err, operator, must); done || err != nil {
		return a, need.Missing(a), err
	}
	if !known {
		if err := c.roomRoster(r, operator); err != nil {
			return a, nil, err
		}
	}
	e := signed(now, kindRoster, statement.ID{}, a.Signatures, next)
	complete := need.Verify(next) == nil
	comes := complete && r.Version == uint64(len(c.chain))
	switch {
	case comes:
		e.Put = append(e.Put, store.Entry{Key: keyNewest, Value: r.ID[:]})
		e.Leaves = append(e.Leaves, tlog.Notes(tlog.KindInForce, now, statement.ID{}, r.ID))
		for _, name := range c.settled(r) {
			e.Delete = append(e.Delete, store.Key(kindDraft, store.Name(name)))
		}
	case complete && c.chain[r.Version].ID != r.ID:
		what := fmt.Sprintf("two rosters of version %d are complete, operators signed both: %s is in force here, the other is %s", r.Version, c.chain[r.Version].ID, r.ID)
		e.Leaves = append(e.Leaves, tlog.Says(tlog.KindAlarm, now, statement.ID{}, []byte(what)).On(r.ID))
		c.cfg.Log.Error(what)
	}
	if err := write(e); err != nil {
		return a, nil, err
	}
	c.rosters[r.ID] = next
	if comes {
		err = c.comeIntoForce(ctx, now, r)
	}
	return next, need.Missing(next), err
}

// settled are the drafts that a roster makes needless. Who waits to be taken in keeps its inviter.
func (c *Circle) settled(r charter.Roster) (names []string) {
	if _, in := r.Operator(c.cfg.Own.Name); !in {
		return nil
	}
	for _, o := range r.Operators {
		if _, drafted := c.draft[o.Name]; drafted {
			names = append(names, o.Name)
		}
	}
	return names
}

// comeIntoForce follows a roster that is durable as the newest.
func (c *Circle) comeIntoForce(ctx context.Context, now time.Time, r charter.Roster) error {
	settled := c.settled(r)
	c.chain = append(slices.Clone(c.chain), r)
	for _, name := range settled {
		delete(c.draft, name)
		delete(c.welcomed, name)
	}
	if err := c.cfg.OnRosters(ctx, now, c.chain); err != nil {
		return err
	}
	c.cfg.Log.Info("the roster is in force", "circle", r.Circle, "version", r.Version, "id", r.ID.Short(), "standing", string(c.standing()))
	c.cfg.OnPeers(c.pins())
	for _, a := range c.vaults {
		if err := c.announce(ctx, now, a); err != nil {
			return err
		}
	}
	return c.handOver(ctx, now)
}

// roomRoster bounds what each operator may propose of one version. The first to sign must be of the
// version before: a made-up newcomer would have its room for each made-up roster.
func (c *Circle) roomRoster(r charter.Roster, operator string) error {
	if r.Version > 0 {
		if _, old := c.chain[r.Version-1].Operator(operator); !old {
			return fmt.Errorf("%w: nobody of version %d has proposed roster %s", outbox.ErrLater, r.Version-1, r.ID.Short())
		}
	}
	open := 0
	for _, a := range c.proposals(r.Version) {
		if _, by := a.Signatures[operator]; by {
			open++
		}
	}
	return c.full(open, operator)
}

// Fork names a version of which two rosters are complete; "" if there is none. It cannot be while
// fewer operators are dishonest than two complete ones share (spec/circle 2.7).
func (c *Circle) Fork() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, r := range c.chain {
		for _, a := range c.proposals(r.Version) {
			rival, err := charter.RosterOf(a.Statement)
			if err != nil || rival.ID == r.ID {
				continue
			}
			if need, err := c.base(rival); err == nil && need.Verify(a) == nil {
				return fmt.Sprintf("two rosters of version %d are complete: %s is in force here, %s elsewhere", r.Version, r.ID.Short(), rival.ID.Short())
			}
		}
	}
	return ""
}
