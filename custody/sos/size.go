package sos

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// A docket is one row, and what changes it is one write (spec/sos 8.1). So its parts have room of their own, and none takes another's: were it too large for the store, nothing could
// be written of an emergency any more, and a member could bring that about.

// MaxBytes is how large a docket becomes at most.
const MaxBytes = 1 << 20

// Room of the parts, in bytes. They and what stands beside them make up MaxBytes.
const (
	maxCases     = 384 << 10 // cases with all that can be said of them, but for what follows
	maxActivated = 128 << 10 // activations, of all cases
	maxGave      = 64 << 10  // who gave
	maxTranched  = 184 << 10 // what left after lock-ups
	maxSwept     = 256 << 10 // what left in ACTIVE and LOCK-UP, of all cases
	maxSweptCase = 128 << 10 // and of one: the one before takes no place from the next
)

// As large as one of them may be: few of them need not be measured.
const (
	mostCase      = 80 << 10
	mostActivated = 2304
	mostGave      = 112
	mostSpent     = 240
)

// full is a case once all have said all that they may: every support, veto, proof and step, and new shares of every key. Only its activations, gifts and spends come besides.
func (c Case) full() Case {
	var circle, guardians []string
	for _, o := range slices.Concat(c.plan.Operators, c.plan.Others) {
		circle = join(circle, o.Name)
	}
	for _, g := range c.plan.Guardians {
		guardians = join(guardians, g.Name)
	}
	c.supports, c.vetoes, c.steps, c.reshared = nil, nil, nil, nil
	for _, name := range circle {
		c.supports = append(c.supports, mark{act.Operator, name, statement.ID{}, true})
		c.steps = append(c.steps, word{name, Active, time.Time{}})
	}
	for _, name := range guardians {
		c.supports = append(c.supports, mark{act.Guardian, name, statement.ID{}, true})
		c.vetoes = append(c.vetoes, mark{act.Guardian, name, statement.ID{}, true})
	}
	for range c.request.Keys {
		c.reshared = append(c.reshared, fresh{committee: circle})
	}
	c.alive, c.signed = c.request.Subjects, c.request.Subjects
	c.activations, c.gave, c.spent, c.totals, c.slots = nil, nil, nil, c.fullTotals(), [2][]settledSlot{}
	return c
}

// fullTotals is a sum of each thing that the plan bounds.
func (c Case) fullTotals() []total {
	c.totals = nil
	for _, x := range c.plan.Caps {
		c.total(Transfer, x.Asset).fill()
	}
	for _, x := range c.plan.Calls {
		c.total(Call, x.Name).fill()
	}
	for _, x := range c.plan.Tranches {
		c.total(tranched, x.Asset).fill()
	}
	return c.totals
}

func (t *total) fill() { t.over, t.gone = math.MaxInt64, math.MaxInt64 }

// sized is how many bytes something takes.
func sized(write func(*transcript.Encoder)) int {
	var e transcript.Encoder
	write(&e)
	return len(e.Sum())
}

// sum adds up over all cases.
func (d Docket) sum(of func(Case) int) (n int) {
	for _, c := range d.cases {
		n += of(c)
	}
	return n
}

// askedSize is what a case takes with all of that. A digest of its plan has 32 bytes, whatever the plan.
func (c Case) askedSize() int {
	c = c.full()
	c.plan = plan.Plan{}
	return sized(c.encode)
}

func (c Case) activatedSize() int { return sized(c.encodeActivations) }
func (c Case) gaveSize() int      { return sized(c.encodeGave) }

// spentSize is what spends take after a lock-up, or before its end.
func (c Case) spentSize(after bool) int {
	c.spent = slices.DeleteFunc(slices.Clone(c.spent), func(s spend) bool { return (s.what == tranched) != after })
	settled := c.slots[0]
	if after {
		settled = c.slots[1]
	}
	return sized(c.encodeSpent) + len(settled)*len(settledSlot{})
}

// makeRoom keeps activations within theirs: of requests that are over those are forgotten, the oldest first, to which nobody gave a part.
func (d *Docket) makeRoom() error {
	for d.sum(func(c Case) int { return len(c.activations) })*mostActivated > maxActivated && d.sum(Case.activatedSize) > maxActivated {
		var oldest *Case
		for i := range d.cases {
			c := &d.cases[i]
			if c.state.Ended() && slices.ContainsFunc(c.activations, c.ungiven) && (oldest == nil || c.since.Before(oldest.since)) {
				oldest = c
			}
		}
		if oldest == nil {
			return fmt.Errorf("%w: activations of %d bytes", ErrMany, maxActivated)
		}
		oldest.activations = slices.DeleteFunc(slices.Clone(oldest.activations), oldest.ungiven)
	}
	return nil
}

func (c Case) ungiven(a activation) bool {
	return !slices.ContainsFunc(c.gave, func(g gift) bool { return bytes.Equal(g.activation[:], a.id[:]) })
}

// hasRoom says whether what an outflow added still fits. What was there before takes nothing from what is taken now but its own part.
func (d Docket) hasRoom(before Docket) error {
	if d.sum(func(c Case) int { return len(c.spent)*mostSpent + (len(c.slots[0])+len(c.slots[1]))*len(settledSlot{}) }) <= maxSweptCase {
		return nil
	}
	for i, c := range d.cases {
		old := before.cases[i]
		if len(c.spent) == len(old.spent) {
			continue
		}
		if n := c.spentSize(false); n > old.spentSize(false) && (n > maxSweptCase || d.sum(func(c Case) int { return c.spentSize(false) }) > maxSwept) {
			return fmt.Errorf("%w: SOS request %s: outflows of %d bytes", ErrMany, c.request.ID.Short(), n)
		}
		if n := c.spentSize(true); n > old.spentSize(true) && d.sum(func(c Case) int { return c.spentSize(true) }) > maxTranched {
			return fmt.Errorf("%w: SOS request %s: outflows of %d bytes after its lock-up", ErrMany, c.request.ID.Short(), n)
		}
	}
	return nil
}
