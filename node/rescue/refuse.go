package rescue

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// kindRefuse is sos-refuse/<vault>/<operator>: how long it has not signed since this node had a challenge of it, by our clocks.
const kindRefuse = "sos-refuse"

// kindCalled is sos-called/<vault>/<challenge>: each challenge that is counted, with its signature: others may not have heard of it.
const kindCalled = "sos-called"

// A refusal is an operator of a vault that was called on to sign.
type refusal struct {
	vault    statement.ID
	operator string
}

func refusalOf(vault statement.ID, operator string) refusal { return refusal{vault, operator} }

func (x refusal) key() string {
	return store.Key(kindRefuse, store.ID(x.vault[:]), store.Name(x.operator))
}

// A calling is how long an operator has not signed since the first challenge of it, and all challenges: of everybody who calls, one.
type calling struct {
	clock sos.Clock
	by    map[string]statement.ID // who called on it, by role and name
}

const (
	fieldCallingClock transcript.Tag = iota + 1
	fieldCallingBy
)

const (
	fieldCallerName transcript.Tag = iota + 1
	fieldCallerID
)

// maxCallers bounds who calls on one operator: guardians, and the operators of a circle.
const maxCallers = 192

func (c calling) bytes() []byte {
	var e transcript.Encoder
	names := slices.Sorted(maps.Keys(c.by))
	return e.Bytes(fieldCallingClock, c.clock.Bytes()).List(fieldCallingBy, len(names), func(i int, e *transcript.Encoder) {
		id := c.by[names[i]]
		e.String(fieldCallerName, names[i]).Bytes(fieldCallerID, id[:])
	}).Sum()
}

func decodeCalling(raw []byte) (c calling, err error) {
	c.by = map[string]statement.ID{}
	d := transcript.NewDecoder(raw)
	clock := d.Bytes(fieldCallingClock, 256)
	last := ""
	d.List(fieldCallingBy, 1, maxCallers, func(_ int, d *transcript.Decoder) {
		name := d.String(fieldCallerName, 128)
		if name <= last {
			d.Fail(fieldCallerName, errors.New("not in ascending order"))
		}
		last = name
		var id statement.ID
		copy(id[:], d.Fixed(fieldCallerID, len(id)))
		c.by[name] = id
	})
	if err = d.Done(); err == nil {
		c.clock, err = sos.DecodeClock(clock)
	}
	return c, err
}

func calledKey(vault, challenge statement.ID) string {
	return store.Key(kindCalled, store.ID(vault[:]), store.ID(challenge[:]))
}

// readCalled reads back the challenges that are counted.
func (d *Desk) readCalled(ctx context.Context) error {
	return d.each(ctx, kindCalled, func(name string, value []byte) error {
		n, err := outbox.Decode(value)
		if err != nil {
			return err
		}
		if n.Kind != NoteSaid || len(n.Fields) != 2 {
			return errors.New("it is no statement with a signature")
		}
		s, err := statement.ParseKind(n.Fields[0], statement.SOSChallenge)
		if err != nil {
			return err
		}
		if calledKey(s.Fields().ID("vault"), s.ID()) != store.Prefix(kindCalled)+name {
			return errors.New("it stands in another's place")
		}
		d.calls[s.ID()] = n
		return nil
	})
}

// uncalled are the challenges that are counted no more, of which the rows are erased with the next save: more than one write may have end at once.
func (d *Desk) uncalled() (ids []statement.ID, keys []string) {
	counted := map[statement.ID]bool{}
	for _, c := range d.refuses {
		for _, id := range c.by {
			counted[id] = true
		}
	}
	for id, n := range d.calls {
		if counted[id] {
			continue
		}
		ids = append(ids, id)
		if s, err := statement.Parse(n.Fields[0]); err == nil { // it was read
			keys = append(keys, calledKey(s.Fields().ID("vault"), id))
		}
	}
	slices.Sort(keys)
	return ids, keys
}

// challenges are the challenges of a vault's operators that are counted here, in the order in which they were made.
func (d *Desk) challenges(vault statement.ID) (notes []outbox.Note) {
	at := map[statement.ID]time.Time{}
	for x, c := range d.refuses {
		for _, id := range c.by {
			n, kept := d.calls[id]
			if x.vault != vault || !kept {
				continue
			}
			if s, err := statement.Parse(n.Fields[0]); err == nil { // it was read
				at[id] = s.Fields().Time("created")
			}
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(at), func(a, b statement.ID) int { return cmp.Or(at[a].Compare(at[b]), bytes.Compare(a[:], b[:])) }) {
		notes = append(notes, d.calls[id])
	}
	return notes
}

// A wanted is a challenge that is not counted here, and that a request under the plan in force names.
type wanted struct {
	challenge statement.ID
	expires   time.Time // of the request
}

// want notes which challenge a request of a refusal stands on: one for each who asks.
func (d *Desk) want(now time.Time, q act.Request) {
	for who, w := range d.wanted {
		if !now.Before(w.expires) {
			delete(d.wanted, who)
		}
	}
	d.wanted[refusalOf(q.Vault, q.Role+" "+q.By)] = wanted{q.Challenge, q.Expires}
}

// old says whether a challenge that is older than a day is counted all the same. One that a signature ended is not counted anew, so it takes more than whoever carries it: that the
// node was set back and asks for what it lost, or that who asks for a rescue names it, which this node was away to hear.
func (d *Desk) old(c act.Challenge) bool {
	if d.stands[c.Vault].fetching {
		return true
	}
	for x, w := range d.wanted {
		if x.vault == c.Vault && w.challenge == c.ID {
			return true
		}
	}
	return false
}

// called says whether this node counts a challenge of one of these operators: a request of a refusal that names another one is not of it.
func (d *Desk) called(q act.Request) bool {
	return slices.ContainsFunc(q.Subjects, func(name string) bool {
		for _, id := range d.refuses[refusalOf(q.Vault, name)].by {
			if id == q.Challenge {
				return true
			}
		}
		return false
	})
}

// readRefusals reads back who was called on: a restart loses what was counted since it was made durable, and never adds.
func (d *Desk) readRefusals(ctx context.Context) error {
	return d.each(ctx, kindRefuse, func(name string, value []byte) error {
		if len(name) < 66 || name[64] != '/' {
			return errors.New("it is not of a vault and an operator")
		}
		vault, err := statement.ParseID(name[:64])
		if err != nil {
			return err
		}
		c, err := decodeCalling(value)
		d.refuses[refusalOf(vault, name[65:])] = c
		return err
	})
}

// refusing are the rows of all clocks of refusals.
func (d *Desk) refusing() (rows []store.Entry) {
	for x, c := range d.refuses {
		rows = append(rows, store.Entry{Key: x.key(), Value: c.bytes()})
	}
	return rows
}

// challenge begins to count how long an operator that lives does not sign: durably, with the leaf that shows what it was called on for.
func (d *Desk) challenge(now time.Time, vault statement.ID, s statement.Statement, sig []byte, e journal.Entry, write func(journal.Entry) error) error {
	_, p, err := d.inForce(vault)
	var c act.Challenge
	if err == nil {
		c, err = act.VerifyChallenge(s, sig, p)
	}
	if err != nil {
		return err
	}
	if err := d.mayCall(now, p, c); err != nil {
		return err
	}
	x, who := refusalOf(c.Vault, c.Operator), c.Role+" "+c.By
	open, counted := d.refuses[x]
	if _, again := open.by[who]; again || len(open.by) >= maxCallers {
		return outbox.ErrOld // theirs is counted already
	}
	next := calling{open.clock, map[string]statement.ID{who: c.ID}}
	maps.Copy(next.by, open.by)
	if !counted {
		next.clock = sos.StartClock(d.reading(now))
	}
	n := outbox.Note{Kind: NoteSaid, Fields: [][]byte{s.Bytes(), sig}}
	e.Put = append(e.Put, store.Entry{Key: x.key(), Value: next.bytes()}, store.Entry{Key: calledKey(c.Vault, c.ID), Value: n.Encode()})
	if err := write(e); err != nil {
		return err
	}
	d.refuses[x], d.calls[c.ID] = next, n
	return nil
}

const (
	maxCallAge  = 24 * time.Hour      // how old a challenge may be that is counted by itself: one that was ended by a signature is not counted anew
	maxCallWait = 30 * 24 * time.Hour // and how old one may be that is waited for a request of
)

// mayCall: of an operator of the circle, under the charter in force, in its mode, and of today.
func (d *Desk) mayCall(now time.Time, p plan.Plan, c act.Challenge) error {
	_, known := p.Anyone(c.Operator)
	ended, signed := d.signedAt[c.Vault]
	switch {
	case !known:
		return fmt.Errorf("challenge %s: operator: %s is none of the circle", c.ID.Short(), c.Operator)
	case c.Drill != p.Drill:
		return fmt.Errorf("challenge %s: mode: not the plan's", c.ID.Short())
	case c.Charter != p.Charter, c.Created.After(now.Add(act.Skew)):
		return fmt.Errorf("%w: challenge %s: under another charter than the one in force, or from the future", outbox.ErrLater, c.ID.Short())
	case now.Sub(c.Created) > maxCallAge && now.Sub(c.Created) <= maxCallWait && !d.old(c):
		return fmt.Errorf("%w: challenge %s: it is older than a day, and no request that names it has come here: make a new one, or bring it again after the request", outbox.ErrLater, c.ID.Short())
	case now.Sub(c.Created) > maxCallAge && !d.old(c), signed && !c.Created.After(ended):
		return fmt.Errorf("challenge %s: the vault signed since, or it is older than a day: make a new one", c.ID.Short())
	}
	return nil
}

// ends adds the end of what was counted of an operator's refusal, once a live test signature shows that the vault signs with it. What it
// returns is the same in memory, once the entry is durable.
func (d *Desk) ends(vault statement.ID, s statement.Statement, e *journal.Entry) func() {
	x := refusalOf(vault, s.Get("operator"))
	if _, counted := d.refuses[x]; !counted || s.Kind() != statement.SOSSigned {
		return func() {}
	}
	e.Delete = append(e.Delete, x.key())
	return func() { delete(d.refuses, x) }
}

// Signed hears that the vault signed: whoever was called on did, or is not needed for it. What was counted of refusals ends.
func (d *Desk) Signed(vault statement.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.signedAt[vault] = d.wall
	var e journal.Entry
	for x := range d.refuses {
		if x.vault == vault {
			e.Delete = append(e.Delete, x.key())
		}
	}
	slices.Sort(e.Delete)
	if err := d.inParts(context.Background(), e); err != nil {
		d.cfg.Log.Error("the end of a refusal is not durable", "vault", vault.Short(), "error", err)
	}
	for x := range d.refuses {
		if x.vault == vault {
			delete(d.refuses, x)
		}
	}
}

// Refusing says of each operator that was called on how long ago that was, while the vault has not signed since.
func (d *Desk) Refusing(vault statement.ID) map[string]time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.view(vault).Refusing
}
