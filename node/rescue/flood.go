package rescue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// Who may speak may speak too much: each word is a write, a leaf of our log for good, and a note to everybody. What stands here bounds that (spec/node 12.20).

const (
	freeRepeats = 3           // so often something is said anew without waiting
	repeatAfter = time.Second // and then after this, doubled each time
	maxRepeats  = 12          // doublings: 68 minutes at most
	forgetAfter = 24 * time.Hour
)

// A hush is when one signer may say something anew. It lives in memory alone.
type hush struct {
	next time.Duration // monotonic
	runs int
	last time.Duration // when it was said, monotonic
}

// again says why a word that holds is not taken: it is known here, changes nothing, or comes too soon after the one before.
func (d *Desk) again(vault statement.ID, s statement.Statement, by string) error {
	old, taken := d.words[vault][placeOf(s, by)]
	if !taken {
		return d.soon(s, by)
	}
	had, has := old.said.Fields(), s.Fields()
	switch kind := s.Kind(); {
	case old.said.ID() == s.ID(), kind == statement.SOSVeto, kind == statement.SOSAlive, kind == statement.SOSSigned:
		return outbox.ErrOld // other bytes of the signature, or another salt, say nothing new
	case sticks(kind):
		return nil // keep refuses it
	case !has.Time("created").After(had.Time("created")):
		return outbox.ErrOld // nobody brings back, in turns, what its signer itself replaced
	case kind == statement.SOSSupport && (len(had.All("contact")) > 0 || len(has.All("contact")) == 0):
		return outbox.ErrOld
	}
	return d.soon(s, by)
}

// voice is who says something of a kind that can be said anew: a request has a place of its own each time, and whoever asks has one voice.
func voice(s statement.Statement, by string) [32]byte {
	if s.Kind() != statement.SOSRequest {
		return placeOf(s, by)
	}
	f := s.Fields()
	return transcript.New(transcript.SOSPlace).Bytes([]byte(s.Kind())).Bytes([]byte(f.Get("vault"))).Bytes([]byte(f.Get("role"))).Bytes([]byte(f.Get("by"))).Sum256()
}

func (d *Desk) soon(s statement.Statement, by string) error {
	if h := d.hushed[voice(s, by)]; d.cfg.Mono() < h.next {
		return fmt.Errorf("%w: %s %s: its signer said something else in its place a moment ago: %s are left", outbox.ErrLater, s.Kind(), s.ID().Short(), (h.next - d.cfg.Mono()).Truncate(time.Second))
	}
	return nil
}

// spoke counts a word that was taken.
func (d *Desk) spoke(s statement.Statement, by string) {
	if len(d.hushed) > 4096 {
		clear(d.hushed)
	}
	now, id := d.cfg.Mono(), voice(s, by)
	h := d.hushed[id]
	if now-h.last > forgetAfter {
		h = hush{}
	}
	h.last = now
	if h.runs++; h.runs > freeRepeats {
		h.next = now + repeatAfter<<min(h.runs-freeRepeats-1, maxRepeats)
	}
	d.hushed[id] = h
}

// stops says of which kinds a word may use the room that is kept when the disk is full (product.md, rule 11): what cancels, and what makes it too late to. Requests,
// supports, steps and all that a tick writes may not: whoever floods them would use up the room of the vetoes.
func stops(k statement.Kind) bool {
	switch k {
	case statement.SOSVeto, statement.SOSAlive, statement.SOSSigned, statement.SOSReleased:
		return true
	}
	return false
}

// freezes says that a step of ours stops what is ordinary, or the request. It takes a declaration's guardians to bring one about.
func freezes(fx sos.Effects) bool {
	return slices.ContainsFunc(fx.Say, func(s act.Step) bool {
		return s.State == sos.Declared.String() || s.State == sos.Vetoed.String() || s.State == sos.LockUp.String()
	})
}

const (
	attemptAfter = 10 * time.Second // so long a second attempt at a key waits, doubled with each that follows
	attemptsMost = 32               // and at most this part of the window
)

// due says whether another attempt at a key may be signed here already. All contributors must sign each, and an honest one does so at this pace: whoever asks for
// attempts without end uses up neither the 64 of a key nor the time of those that guardians contribute to (spec/node 12.10).
func (d *Desk) due(a act.Activation) bool {
	t := d.tries[a.Key]
	return t.runs == 0 || d.cfg.Mono() >= t.next
}

// triedSoFar notes how many attempts at each key all contributors signed, and when one more may be. A start of this node begins to wait anew.
func (d *Desk) triedSoFar(c sos.Case) {
	runs := map[act.Key]int{}
	for _, a := range d.activations(c) {
		if d.whole(c, a) {
			runs[a.Key]++
		}
	}
	for k, n := range runs {
		if d.tries[k].runs != n {
			d.tries[k] = hush{next: d.cfg.Mono() + min(attemptAfter<<min(n-1, 20), c.Plan().Window/attemptsMost), runs: n}
		}
	}
}

// forget erases what belongs to requests that the docket has forgotten, and contributions that serve nothing any more.
func (d *Desk) forget(ctx context.Context, now time.Time, vault statement.ID, k sos.Docket) error {
	var e journal.Entry
	var then []func()
	full := func() bool { return len(e.Delete) >= store.MaxWrites/2 }
	serves := map[statement.ID]bool{}
	for _, c := range k.Cases() {
		for _, a := range d.activations(c) {
			serves[a.ID] = !c.Beyond(now, d.cfg.Operator) && !slices.ContainsFunc(c.Reshared(), func(r act.Key) bool { return r.Key == a.Key.Key })
		}
	}
	for place, w := range d.words[vault] {
		if _, known := k.Case(w.request); !known && !full() {
			e.Delete, then = append(e.Delete, saidKey(vault, place)), append(then, func() { delete(d.words[vault], place) })
		}
	}
	for id := range d.given {
		if serves[id] || full() || d.elsewhere(vault, id) {
			continue
		}
		for g, all := range d.given[id] {
			for n := range all {
				e.Delete = append(e.Delete, givenKey(id, g, n))
			}
		}
		then = append(then, func() { delete(d.given, id) })
	}
	for sum := range d.based[vault] {
		if !full() && !slices.ContainsFunc(k.Cases(), func(c sos.Case) bool { return c.Plan().Sum() == sum }) {
			e.Delete, then = append(e.Delete, basisKey(vault, sum)), append(then, func() { delete(d.based[vault], sum) })
		}
	}
	if len(e.Delete) == 0 {
		return nil
	}
	slices.Sort(e.Delete)
	if err := d.write(ctx, e); err != nil {
		return err
	}
	for _, f := range then {
		f()
	}
	return nil
}

// elsewhere says that a statement is of another vault.
func (d *Desk) elsewhere(vault, id statement.ID) bool {
	for v, all := range d.words {
		for _, w := range all {
			if v != vault && w.said.ID() == id {
				return true
			}
		}
	}
	return false
}
