package sos

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// Fields of an encoded docket.
const (
	tagVault transcript.Tag = iota + 1
	tagSelf
	tagRolled
	tagForked
	tagCases
)

// Fields of a case in it.
const (
	tagRequest transcript.Tag = iota + 1
	tagPlan
	tagState
	tagDeclared
	tagSince
	tagAt
	tagClock
	tagTold
	tagHeight
	tagSupports
	tagVetoes
	tagAlive
	tagSigned
	tagSteps
	tagActivations
	tagGave
	tagReshared
	tagFlags
	tagSpent
	tagTotals
	tagSettled
	tagSettledAfter
)

// Fields of rows in lists, in the order that they stand.
const (
	tag1 transcript.Tag = iota + 1
	tag2
	tag3
	tag4
	tag5
	tag6
	tag7
)

// Bytes is the one encoding of a docket, for a node's own store (spec/sos 8). It leaves out the plans, which charters give; a digest of
// each holds them to it.
func (d Docket) Bytes() []byte {
	var e transcript.Encoder
	e.Bytes(tagVault, d.plan.Vault[:]).String(tagSelf, d.self).Uint(tagRolled, bits(d.rolled))
	encodeNames(&e, tagForked, d.forked)
	e.List(tagCases, len(d.cases), func(i int, e *transcript.Encoder) { d.cases[i].encode(e) })
	return e.Sum()
}

func (c Case) encode(e *transcript.Encoder) {
	sum := c.plan.Sum()
	e.String(tagRequest, c.said.Text()).Bytes(tagPlan, sum[:]).Uint(tagState, uint64(c.state))
	e.Uint(tagDeclared, nanos(c.declared)).Uint(tagSince, nanos(c.since)).Uint(tagAt, uint64(c.at))
	e.Bytes(tagClock, c.clock.Bytes()).Uint(tagTold, bits(c.told)).Uint(tagHeight, c.height)
	encodeMarks(e, tagSupports, c.supports)
	encodeMarks(e, tagVetoes, c.vetoes)
	encodeNames(e, tagAlive, c.alive)
	encodeNames(e, tagSigned, c.signed)
	e.List(tagSteps, len(c.steps), func(i int, e *transcript.Encoder) {
		w := c.steps[i]
		e.String(tag1, w.operator).Uint(tag2, uint64(w.state)).Uint(tag3, nanos(w.created))
	})
	c.encodeActivations(e)
	c.encodeGave(e)
	e.List(tagReshared, len(c.reshared), func(i int, e *transcript.Encoder) {
		f := c.reshared[i]
		e.Bytes(tag1, f.Key.Key[:]).Bytes(tag2, f.Epoch[:]).Uint(tag3, uint64(f.threshold))
		encodeNames(e, tag4, f.committee)
	})
	e.Uint(tagFlags, bits(c.late, c.byGuardians, c.freed))
	c.encodeSpent(e)
	e.List(tagTotals, len(c.totals), func(i int, e *transcript.Encoder) {
		t := c.totals[i]
		e.Uint(tag1, uint64(t.what)).String(tag2, t.name).Uint(tag3, uint64(t.over)).Uint(tag4, uint64(t.gone))
	})
	for i, list := range c.slots {
		var all []byte
		for _, s := range list {
			all = append(all, s[:]...)
		}
		e.Bytes(tagSettled+transcript.Tag(i), all)
	}
}

func (c Case) encodeActivations(e *transcript.Encoder) {
	e.List(tagActivations, len(c.activations), func(i int, e *transcript.Encoder) {
		a := c.activations[i]
		e.Bytes(tag1, a.id[:]).Bytes(tag2, a.key[:]).Uint(tag3, uint64(a.attempt))
		encodeNames(e, tag4, a.contributors)
		encodeNames(e, tag5, a.members)
	})
}

func (c Case) encodeGave(e *transcript.Encoder) {
	e.List(tagGave, len(c.gave), func(i int, e *transcript.Encoder) {
		e.Bytes(tag1, c.gave[i].activation[:]).String(tag2, c.gave[i].operator)
	})
}

func (c Case) encodeSpent(e *transcript.Encoder) {
	e.List(tagSpent, len(c.spent), func(i int, e *transcript.Encoder) {
		s := c.spent[i]
		e.Bytes(tag1, s.intent[:]).Uint(tag2, uint64(s.what)).String(tag3, s.name).Uint(tag4, uint64(s.amount)).Bytes(tag5, s.slot[:]).Uint(tag6, nanos(s.at)).Uint(tag7, bits(s.holds))
	})
}

// Bytes is the one encoding of a clock.
func (c Clock) Bytes() []byte {
	var e transcript.Encoder
	e.Uint(tag1, nanos(c.FirstSeen)).Uint(tag2, uint64(c.Credited)).Bytes(tag3, c.Boot[:])
	return e.Uint(tag4, nanos(c.LastWall)).Uint(tag5, uint64(c.LastMono)).Sum()
}

// DecodeClock reads what Bytes wrote.
func DecodeClock(b []byte) (Clock, error) {
	d := transcript.NewDecoder(b)
	c := Clock{FirstSeen: moment(d, tag1), Credited: span(d, tag2)}
	copy(c.Boot[:], d.Fixed(tag3, 16))
	c.LastWall, c.LastMono = moment(d, tag4), span(d, tag5)
	if err := d.Done(); err != nil {
		return Clock{}, fmt.Errorf("decode SOS clock: %w", err)
	}
	return c, nil
}

func bits(flags ...bool) (v uint64) {
	for i, f := range flags {
		if f {
			v |= 1 << i
		}
	}
	return v
}

// nanos is a time as nanoseconds from 1970, 0 for none.
func nanos(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(t.UnixNano(), 1))
}

func encodeNames(e *transcript.Encoder, tag transcript.Tag, names []string) {
	e.List(tag, len(names), func(i int, e *transcript.Encoder) { e.String(tag1, names[i]) })
}

func encodeMarks(e *transcript.Encoder, tag transcript.Tag, all []mark) {
	e.List(tag, len(all), func(i int, e *transcript.Encoder) {
		m := all[i]
		e.String(tag1, m.role).String(tag2, m.by).Bytes(tag3, m.id[:]).Uint(tag4, bits(m.contacts))
	})
}

// DecodeDocket reads what Bytes wrote, for the vault of the plan in force. at gives the plan of that vault which has this sum, of a charter
// that was ever in force: a case is held to the very plan that it began with, whoever became an officer or left the committee since (S7).
func DecodeDocket(b []byte, p plan.Plan, at func(charter statement.ID, sum [32]byte) (plan.Plan, error)) (Docket, error) {
	d := transcript.NewDecoder(b)
	out := Docket{plan: p}
	if id := d.Fixed(tagVault, 32); d.Err() == nil && statement.ID(id) != p.Vault {
		d.Fail(tagVault, errors.New("it is of another vault"))
	}
	out.self = label(d, tagSelf)
	out.rolled = d.Uint(tagRolled, 1) == 1
	out.forked = decodeNames(d, tagForked)
	d.List(tagCases, 0, MaxCases, func(i int, d *transcript.Decoder) {
		c := decodeCase(d, at)
		if d.Err() == nil && (c.request.Vault != p.Vault || i > 0 && byRequest(out.cases[i-1], c) >= 0) {
			d.Fail(tagRequest, errors.New("it is of another vault, or out of order"))
		}
		out.cases = append(out.cases, c)
	})
	if err := d.Done(); err != nil {
		return Docket{}, fmt.Errorf("decode SOS docket of vault %s: %w", p.Name, err)
	}
	return out, nil
}

func decodeCase(d *transcript.Decoder, at func(statement.ID, [32]byte) (plan.Plan, error)) (c Case) {
	raw := d.Bytes(tagRequest, statement.MaxBytes)
	if d.Err() != nil {
		return c
	}
	var err error
	if c.said, err = statement.Parse(raw); err == nil {
		c.request, err = act.RequestOf(c.said)
	}
	if err != nil {
		d.Fail(tagRequest, err)
		return c
	}
	sum := d.Fixed(tagPlan, 32)
	if d.Err() != nil {
		return c
	}
	c.plan, err = at(c.request.Charter, [32]byte(sum))
	if err == nil && [32]byte(sum) != c.plan.Sum() {
		err = errors.New("the charter gives another plan than the request began with")
	}
	if err != nil {
		d.Fail(tagPlan, err)
		return c
	}
	c.state = State(d.Uint(tagState, numStates-1))
	if d.Err() == nil && c.state == NotReady {
		d.Fail(tagState, errors.New("a request is never not-ready"))
	}
	c.declared, c.since, c.at = moment(d, tagDeclared), moment(d, tagSince), span(d, tagAt)
	if b := d.Bytes(tagClock, 256); d.Err() == nil {
		if c.clock, err = DecodeClock(b); err != nil {
			d.Fail(tagClock, err)
		}
	}
	c.told, c.height = d.Uint(tagTold, 1) == 1, d.Uint(tagHeight, 1<<63)
	c.supports, c.vetoes = decodeMarks(d, tagSupports), decodeMarks(d, tagVetoes)
	c.alive, c.signed = decodeNames(d, tagAlive), decodeNames(d, tagSigned)
	decodeWords(d, &c)
	decodeActivations(d, &c)
	flags := d.Uint(tagFlags, 7)
	c.late, c.byGuardians, c.freed = flags&1 != 0, flags&2 != 0, flags&4 != 0
	d.List(tagSpent, 0, maxSpends, func(_ int, d *transcript.Decoder) {
		var s spend
		copy(s.intent[:], d.Fixed(tag1, 32))
		s.what, s.name, s.amount = What(d.Uint(tag2, uint64(tranched))), d.String(tag3, 128), int64(d.Uint(tag4, 1<<63-1))
		copy(s.slot[:], d.Fixed(tag5, 32))
		s.at = moment(d, tag6)
		s.holds = d.Uint(tag7, 1) == 1
		c.spent = append(c.spent, s)
	})
	d.List(tagTotals, 0, maxSpends, func(i int, d *transcript.Decoder) {
		t := total{What(d.Uint(tag1, uint64(tranched))), d.String(tag2, 128), int64(d.Uint(tag3, 1<<63-1)), int64(d.Uint(tag4, 1<<63-1))}
		if d.Err() == nil && i > 0 && byThing(c.totals[i-1], t) >= 0 {
			d.Fail(tag1, errors.New("out of order"))
		}
		c.totals = append(c.totals, t)
	})
	for i := range c.slots {
		c.slots[i] = decodeSlots(d, tagSettled+transcript.Tag(i))
	}
	return c
}

func decodeSlots(d *transcript.Decoder, tag transcript.Tag) (list []settledSlot) {
	all := d.Bytes(tag, maxSwept)
	if d.Err() == nil && len(all)%len(settledSlot{}) != 0 {
		d.Fail(tag, fmt.Errorf("%d bytes are no list of nonces", len(all)))
		return nil
	}
	for s := range slices.Chunk(all, len(settledSlot{})) {
		if n := len(list); n > 0 && list[n-1].compare(settledSlot(s)) >= 0 {
			d.Fail(tag, errors.New("out of order"))
			return nil
		}
		list = append(list, settledSlot(s))
	}
	return list
}

func decodeWords(d *transcript.Decoder, c *Case) {
	d.List(tagSteps, 0, statement.MaxOperators, func(i int, d *transcript.Decoder) {
		w := word{label(d, tag1), State(d.Uint(tag2, numStates-1)), moment(d, tag3)}
		if d.Err() == nil && i > 0 && c.steps[i-1].operator >= w.operator {
			d.Fail(tag1, errors.New("out of order"))
		}
		c.steps = append(c.steps, w)
	})
}

func decodeActivations(d *transcript.Decoder, c *Case) {
	d.List(tagActivations, 0, maxActivations*statement.MaxSOSKeys, func(_ int, d *transcript.Decoder) {
		var a activation
		copy(a.id[:], d.Fixed(tag1, 32))
		copy(a.key[:], d.Fixed(tag2, 32))
		a.attempt = int(d.Uint(tag3, statement.MaxSOSAttempt))
		a.contributors, a.members = decodeNames(d, tag4), decodeNames(d, tag5)
		c.activations = append(c.activations, a)
	})
	d.List(tagGave, 0, maxGifts, func(i int, d *transcript.Decoder) {
		var g gift
		copy(g.activation[:], d.Fixed(tag1, 32))
		g.operator = label(d, tag2)
		c.gave = append(c.gave, g)
	})
	d.List(tagReshared, 0, statement.MaxSOSKeys, func(_ int, d *transcript.Decoder) {
		var f fresh
		copy(f.Key.Key[:], d.Fixed(tag1, 32))
		copy(f.Epoch[:], d.Fixed(tag2, 32))
		f.threshold = int(d.Uint(tag3, statement.MaxOperators))
		f.committee = decodeNames(d, tag4)
		if d.Err() == nil && !f.signs() { // no signature would close it
			d.Fail(tag3, fmt.Errorf("%d of %d", f.threshold, len(f.committee)))
		}
		c.reshared = append(c.reshared, f)
	})
}

func decodeNames(d *transcript.Decoder, tag transcript.Tag) (names []string) {
	d.List(tag, 0, statement.MaxOperators, func(i int, d *transcript.Decoder) {
		name := label(d, tag1)
		if d.Err() == nil && i > 0 && names[i-1] >= name {
			d.Fail(tag1, errors.New("out of order"))
		}
		names = append(names, name)
	})
	return names
}

func decodeMarks(d *transcript.Decoder, tag transcript.Tag) (all []mark) {
	d.List(tag, 0, statement.MaxOperators+statement.MaxGuardians, func(i int, d *transcript.Decoder) {
		m := mark{role: d.String(tag1, 16), by: label(d, tag2)}
		copy(m.id[:], d.Fixed(tag3, 32))
		m.contacts = d.Uint(tag4, 1) == 1
		if d.Err() == nil && (!slices.Contains([]string{"", act.Guardian, act.Operator}, m.role) || i > 0 && all[i-1].role+" "+all[i-1].by >= m.role+" "+m.by) {
			d.Fail(tag1, errors.New("out of order, or of no role"))
		}
		all = append(all, m)
	})
	return all
}

func label(d *transcript.Decoder, tag transcript.Tag) string {
	name := d.String(tag, 64)
	if d.Err() == nil {
		if err := statement.CheckLabel(name); err != nil {
			d.Fail(tag, err)
		}
	}
	return name
}

func moment(d *transcript.Decoder, tag transcript.Tag) time.Time {
	if n := d.Uint(tag, 1<<63-1); n > 0 {
		return time.Unix(0, int64(n)).UTC()
	}
	return time.Time{}
}

func span(d *transcript.Decoder, tag transcript.Tag) time.Duration {
	return time.Duration(d.Uint(tag, 1<<63-1))
}
