package charters

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// ours says whether our own officer vetoed a version.
func (c *Charters) ours(id statement.ID) bool { return c.vetoes[id][c.cfg.Operator].Signature != nil }

// outranks orders the statements of one version, for all nodes alike: that of the later roster first, then that of the lower id. Who was thrown
// out of the circle has no say in what comes next, however low an id it searched for.
func (c *Charters) outranks(a, b *proposal) bool {
	rosters := c.cfg.Rosters()
	x, _ := rosters.Version(a.Roster)
	y, _ := rosters.Version(b.Roster)
	if x.Version != y.Version {
		return x.Version > y.Version
	}
	return less(a.id(), b.id())
}

// movedOn says whether our node has enacted another statement of a version than p, after p or instead of it. It enacts a further one only if
// that outranks it, so all nodes move the same way, and no two can be in force (spec/charter 5). What our own officer vetoed does not count.
func (c *Charters) movedOn(p *proposal) bool {
	return slices.ContainsFunc(c.proposals(p.Version), func(o *proposal) bool {
		return o.id() != p.id() && o.by.Nodes[c.cfg.Operator] != nil && c.outranks(o, p) && !c.ours(o.id())
	})
}

// dead says that a version which our node enacted will hardly come into force any more: somebody vetoed it, or the operators of its roster are
// others now.
func (c *Charters) dead(p *proposal) bool {
	return len(c.vetoes[p.id()]) > 0 || p.Roster != c.cfg.Rosters().Newest().ID
}

func less(a, b statement.ID) bool { return bytes.Compare(a[:], b[:]) < 0 }

// delay is how long a version waits once all officers signed it, after the one in force: nothing if it is stricter throughout. changes are
// what it changes.
func (c *Charters) delay(x charter.Charter) (wait time.Duration, changes []charter.Change, err error) {
	last, ok := c.history.Newest()
	if !ok {
		return 0, nil, nil
	}
	if changes, err = review.Diff(last.Document, x.Document); err != nil {
		return 0, nil, err
	}
	return charter.Wait(last.Document, changes), changes, nil
}

// A weight is what a version changes against the one in force, and how long it waits for that.
type weight struct {
	against statement.ID
	wait    time.Duration
	changes []charter.Change
	err     error
}

// weigh is delay of a version that waits here: it is asked at each tick, and reading both policies costs milliseconds.
func (c *Charters) weigh(p *proposal) (time.Duration, []charter.Change, error) {
	last, _ := c.history.Newest()
	w, ok := c.weights[p.id()]
	if !ok || w.against != last.ID {
		maps.DeleteFunc(c.weights, func(_ statement.ID, w weight) bool { return w.against != last.ID })
		w = weight{against: last.ID}
		w.wait, w.changes, w.err = c.delay(p.Charter)
		c.weights[p.id()] = w
	}
	return w.wait, w.changes, w.err
}

// soon enacts what is due after something was taken. What was taken is durable: if our node cannot sign now, the next tick tries again.
func (c *Charters) soon(ctx context.Context, now time.Time) {
	if err := c.enact(ctx, now); err != nil {
		c.cfg.Log.Info("a charter is not enacted yet", "error", err)
	}
}

// enact signs the versions whose time has come, and puts in force the one that all nodes enacted.
func (c *Charters) enact(ctx context.Context, now time.Time) error {
	for {
		p, due, err := c.mayEnact(now)
		if err != nil || !due {
			return err
		}
		if err := c.enactOne(ctx, now, p); err != nil {
			return err
		}
	}
}

// mayEnact finds the version that our node may enact now: complete, waited for, vetoed by nobody, and before all in rank that we enacted beside
// it, each of which is dead.
func (c *Charters) mayEnact(now time.Time) (p *proposal, due bool, err error) {
	if c.held != "" {
		return nil, false, nil // whatever it waited for before: it waits for that too
	}
	open := c.proposals(uint64(len(c.history)))
	var last *proposal // the first in rank that we enacted
	for _, o := range open {
		if o.by.Nodes[c.cfg.Operator] == nil {
			continue
		}
		if !c.dead(o) {
			return nil, false, nil
		}
		if last == nil || c.outranks(o, last) {
			last = o
		}
	}
	for _, o := range open {
		if o.since.IsZero() || len(c.vetoes[o.id()]) > 0 {
			continue
		}
		if last != nil && !c.outranks(o, last) {
			c.unfit(o, fmt.Errorf("this node enacted %s, which comes before it: sign the same anew", last.Title()))
			continue
		}
		wait, _, err := c.weigh(o)
		if err != nil {
			return nil, false, err
		}
		r, _ := c.cfg.Rosters().Version(o.Roster)
		if _, ours := r.Operator(c.cfg.Operator); !ours || now.Before(o.since.Add(wait)) {
			continue
		}
		return o, true, nil
	}
	return nil, false, nil
}

// unfit says once in the log why a version will not be enacted here.
func (c *Charters) unfit(p *proposal, err error) {
	if !c.warned[p.id()] {
		c.warned[p.id()] = true
		c.cfg.Log.Error("a charter is not enacted", "version", p.Version, "id", p.id().Short(), "error", err)
	}
}

func (c *Charters) enactOne(ctx context.Context, now time.Time, p *proposal) error {
	sig, err := signet.SignNode(c.cfg.Identity, p.by.Statement)
	if err != nil {
		return err
	}
	n := outbox.Note{Kind: NoteEnact, Fields: [][]byte{idBytes(p.id()), []byte(c.cfg.Operator), sig}}
	return c.addNode(now, p, c.cfg.Operator, sig, func(e journal.Entry) error { return c.cfg.Post(ctx, now, e, n) })
}

// addNode adds a node's signature; the last one puts the version in force.
func (c *Charters) addNode(now time.Time, p *proposal, operator string, sig []byte, write writer) error {
	r, known := c.cfg.Rosters().Version(p.Roster)
	o, in := r.Operator(operator)
	if !known || !in {
		return fmt.Errorf("operator %s is not in the roster of %s", operator, p.Title())
	}
	next, err := p.by.Enact(o, sig)
	if err != nil {
		return err
	}
	q := &proposal{p.Charter, next, p.since}
	e := entryOf(now, p.by, q)
	history, notYet := c.history.Next(next, c.cfg.Rosters())
	if notYet == nil {
		e.Put = append(e.Put, store.Entry{Key: keyInForce, Value: idBytes(q.id())})
		e.Leaves = append(e.Leaves, tlog.Notes(tlog.KindInForce, now, statement.ID{}, q.id()))
	}
	if err := write(e); err != nil {
		return err
	}
	c.known[q.id()] = q
	if notYet == nil {
		c.history = history
		c.cfg.Log.Info("the charter is in force", "circle", q.Circle, "version", q.Version, "id", q.id().Short())
	}
	return nil
}

// takeEnact adds another node's signature.
func (c *Charters) takeEnact(ctx context.Context, now time.Time, id []byte, operator string, sig []byte, write writer) error {
	if len(id) != len(statement.ID{}) {
		return fmt.Errorf("the charter's id has %d bytes", len(id))
	}
	p := c.known[statement.ID(id)]
	if p == nil {
		return fmt.Errorf("%w: charter %s is not known here", outbox.ErrLater, statement.ID(id).Short())
	}
	if p.by.Nodes[operator] != nil || p.Version < uint64(len(c.history)) {
		return outbox.ErrOld
	}
	if c.movedOn(p) {
		return fmt.Errorf("%w: %s: this node has enacted another of that version since", outbox.ErrLater, p.Title())
	}
	if err := c.addNode(now, p, operator, sig, write); err != nil {
		return err
	}
	if operator == c.cfg.Operator { // ours is durable before it leaves: we were restored. It binds us all the same
		return &fence.ClonedError{ID: p.id(), What: "charter"}
	}
	c.soon(ctx, now)
	return nil
}

// takeWhole takes a version that was in force before this node came.
func (c *Charters) takeWhole(ctx context.Context, now time.Time, raw []byte, write writer) error {
	e, err := charter.DecodeEnacted(raw)
	if err != nil {
		return err
	}
	x, err := charter.Of(e.Statement)
	if err != nil {
		return err
	}
	switch n := uint64(len(c.history)); {
	case x.Version < n && c.history[x.Version].ID == x.ID:
		return outbox.ErrOld
	case x.Version < n:
		c.cfg.Log.Error("two charters of one version are in force: operators signed both", "version", x.Version, "here", c.history[x.Version].ID.Short(), "other", x.ID.Short())
		return fmt.Errorf("version %d of the charter is in force already, as %s", x.Version, c.history[x.Version].ID.Short())
	case x.Version > n:
		return fmt.Errorf("%w: version %d of the charter is not in force here", outbox.ErrLater, x.Version-1)
	}
	rosters := c.cfg.Rosters()
	if _, known := rosters.Version(x.Roster); !known {
		return fmt.Errorf("%w: roster %s is not in force here", outbox.ErrLater, x.Roster.Short())
	}
	history, err := c.history.Next(e, rosters)
	if err != nil {
		return err
	}
	p := &proposal{Charter: x, by: e}
	if c.movedOn(p) {
		c.cfg.Log.Error("a charter is in force elsewhere that this node has moved on from", "version", x.Version, "id", x.ID.Short())
		return fmt.Errorf("%w: %s is in force elsewhere, and this node has enacted another of that version: its officer vetoes that one if the others did not enact it", outbox.ErrLater, x.Title())
	}
	own := c.known[x.ID]
	forgotten := e.Nodes[c.cfg.Operator] != nil && (own == nil || own.by.Nodes[c.cfg.Operator] == nil)
	var was charter.Enacted
	if own != nil {
		was = own.by
	}
	entry := entryOf(now, was, p)
	entry.Put = append(entry.Put, store.Entry{Key: keyInForce, Value: idBytes(x.ID)})
	entry.Leaves = append(entry.Leaves, tlog.Notes(tlog.KindInForce, now, statement.ID{}, x.ID))
	if err := write(entry); err != nil {
		return err
	}
	c.known[x.ID], c.history = p, history
	if forgotten {
		return &fence.ClonedError{ID: x.ID, What: "charter"}
	}
	c.soon(ctx, now)
	return nil
}

// Tick enacts what is due.
func (c *Charters) Tick(ctx context.Context, now time.Time) error {
	why := c.emergency(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tell(now)
	c.held = why
	return c.enact(ctx, now)
}
