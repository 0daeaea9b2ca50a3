package sos

import (
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
)

// What a part of a transaction does.
type What uint8

// Whats.
const (
	Transfer  What = iota // of an asset to an address
	Call                  // of a contract, without value
	Fee                   // at most, to whoever confirms it
	Remainder             // back to an address of the same key, which the node itself derived

	tranched // a transfer after the lock-up; only as counted
)

// A Flow is one part of a transaction, as the node itself decoded it.
type Flow struct {
	What   What
	Asset  string // policy's name; empty for a call
	Amount int64  // in policy units, rounded up
	To     string // as the chain writes it
	Data   []byte // of a call: exactly
}

// An Outflow is a transaction that somebody wants signed.
type Outflow struct {
	Intent      statement.ID
	Vault       string // whose key is to sign: this docket's, or one whose address is a rescue address of the plan
	Key         [32]byte
	Slot        [32]byte // what its chain gives away once, such as a nonce of an address on that chain: of all with one slot, one takes place. Zero: none
	Transaction bool     // its purpose is a transaction: nothing else leaves a locked vault
	Chain       string   // CAIP-2
	Flows       []Flow
	Usual       int64 // what a fee of such a transaction usually is, by the node's own endpoint; 0: unknown
}

// FeeTimes is how many times the usual fee is allowed: more would be a way to burn what cannot be taken (S12).
const FeeTimes = 4

// Spend says why an outflow must not be signed, or takes it: the docket that comes back counts it, and is durable before a session for it
// runs. What was counted stays so, whatever becomes of the session: unknown is spent. The same intent counts once, and so do all that have one
// slot, as the largest of them of each asset, until it is known which of them took place (Settle): or whoever proposes, takes back and proposes
// again would use up a cap, and nothing would have left.
//
// A node asks the docket of every vault whose plan this one is part of: its own, and those that it is a rescue vault of. Ordinary rules are
// asked besides.
func (d Docket) Spend(o Outflow, r Reading) (Docket, error) {
	r = r.plain()
	next := d.clone()
	for i := range next.cases {
		c := &next.cases[i]
		if !c.binds(o) || d.yields(*c, o) {
			continue
		}
		*c = c.clone()
		if c.state.Holds() || c.state == Closed {
			c.clock = c.clock.Tick(r)
		}
		if err := c.spend(o, r); err != nil {
			return d, fmt.Errorf("vault %s: SOS request %s is %s: %w", o.Vault, c.request.ID.Short(), c.state, err)
		}
	}
	if err := next.hasRoom(d); err != nil {
		return d, fmt.Errorf("vault %s: %w", o.Vault, err)
	}
	return next, nil
}

// binds says that a case has a say: by the vault, by any of its keys, on whatever chain and path (S12), or because it is a rescue vault.
func (c Case) binds(o Outflow) bool {
	return c.own(o) || c.rescue(o)
}

func (c Case) own(o Outflow) bool {
	return o.Vault == c.plan.Name || slices.ContainsFunc(c.request.Keys, func(k keyEpoch) bool { return k.Key == o.Key })
}

func (c Case) rescue(o Outflow) bool {
	return slices.ContainsFunc(c.plan.Destinations, func(d plan.Destination) bool { return d.Vault != "" && d.Vault == o.Vault })
}

func (c *Case) spend(o Outflow, r Reading) error {
	switch {
	case c.state == Closed && !c.freed:
		return c.inTranches(o, r)
	case (c.state == Active || c.state == LockUp) && c.rescue(o) && !c.own(o):
		switch {
		case c.freed:
			return nil
		case c.overrun(): // who does not close it holds the vault's own keys, and nobody else's
			return c.inTranches(o, r)
		}
		return fmt.Errorf("%w: a rescue vault signs nothing outward before the lock-up is over", ErrHeld)
	case c.state == Active && c.closing(r):
		return fmt.Errorf("%w: the window is over", ErrLate)
	case c.state == Active, c.state == LockUp:
		return c.toRescue(o, r)
	case c.state.Holds() && c.own(o):
		return fmt.Errorf("%w: ordinary outflow is frozen", ErrHeld)
	}
	return nil
}

// toRescue: only to rescue addresses of the plan and, in ACTIVE, exactly its protective calls; under its caps, fees included.
func (c *Case) toRescue(o Outflow, r Reading) error {
	if !o.Transaction {
		return fmt.Errorf("%w: only transactions leave a vault in SOS", ErrHeld)
	}
	if c.isSettled(o.Slot) {
		return errTaken
	}
	if c.counted(o.Intent) {
		return nil
	}
	var moves, calls int
	var called string
	sums := map[string]int64{}
	for _, f := range o.Flows {
		switch f.What {
		case Transfer:
			if !c.plan.Rescues(o.Chain, f.To) {
				return fmt.Errorf("%w: %s on %s is no rescue address of the plan", ErrPlan, f.To, o.Chain)
			}
			if f.Amount <= 0 || f.Amount < feeIn(o, f.Asset) { // S12: dust, moved to burn fees
				return fmt.Errorf("%w: it moves %d of %s, less than its fee", ErrPlan, f.Amount, f.Asset)
			}
			moves++
		case Call:
			call, ok := c.plan.Called(o.Chain, f.To, f.Data)
			if !ok || c.state != Active {
				return fmt.Errorf("%w: it calls %s, which is no protective call of the plan, or not now", ErrPlan, f.To)
			}
			if made := c.beside(o, Call, call.Name); made >= int64(call.Times) {
				return fmt.Errorf("%w: call %s was made %d times", ErrUsed, call.Name, made)
			}
			if calls++; calls > 1 {
				return fmt.Errorf("%w: two calls in one transaction", ErrUsed)
			}
			called = call.Name
		case Fee:
			if o.Usual <= 0 || f.Amount > FeeTimes*min(o.Usual, math.MaxInt64/FeeTimes) { // S12: burnt as a fee
				return fmt.Errorf("%w: a fee of %d; usual is %d, and at most %d times that is allowed", ErrPlan, f.Amount, o.Usual, FeeTimes)
			}
		case Remainder:
			continue
		default:
			return fmt.Errorf("%w: it does what is not known", ErrPlan)
		}
		if err := add(sums, f); err != nil {
			return err
		}
	}
	if moves == 0 && calls != 1 || moves > 0 && calls > 0 { // S12: only change and fee, or more than was asked for
		return fmt.Errorf("%w: it is neither a sweep nor one protective call", ErrPlan)
	}
	for asset, sum := range sums { // S11: all of them together
		used := c.beside(o, Transfer, asset)
		if most, ok := c.plan.Cap(asset); ok && sum > most-min(used, most) {
			return fmt.Errorf("%w: with it %d of %s leave, at most %d are allowed in all; %d have", ErrPlan, sum, asset, most, used)
		}
	}
	if err := c.follows(o, sums, called, r); err != nil {
		return err
	}
	if called != "" {
		if err := c.take(o, Call, map[string]int64{called: 1}, r); err != nil {
			return err
		}
	}
	return c.take(o, Transfer, sums, r)
}

var errTaken = fmt.Errorf("%w: its chain gave its nonce away for good", ErrUsed)

// SlotHeld is for how long what one slot was first counted for keeps others out of it.
const SlotHeld = time.Hour

// follows says why an outflow must not take the place of what was counted in its slot. Whoever composes there a transfer of one asset after the other, each near its
// cap, would use up all caps at once, of which one at most will ever leave: so the next one makes the same call, or moves the same asset and no less, whatever its fee.
// Not for ever: a token that moves no more would hold up the address with its nonce. Whatever comes, all of it counts.
func (c Case) follows(o Outflow, sums map[string]int64, called string, r Reading) error {
	held, moved := 0, movedBy(o)
	for _, s := range c.spent {
		if !s.holds || s.slot == [32]byte{} || s.slot != o.Slot || r.Wall.Sub(s.at).Abs() >= SlotHeld {
			continue
		}
		// Amount and fee are rounded up, each by itself: more of the one and less of the other may be a unit less.
		if s.what == Call && s.name == called || s.what == Transfer && slices.Contains(moved, s.name) && sums[s.name] >= s.amount-1 {
			held++
			continue
		}
		return fmt.Errorf("%w: its nonce was counted for %d of %s (intent %s), which no other may take the place of before %s: move the same there and no less, or wait for it", ErrUsed, s.amount, s.name, s.intent.Short(), statement.FormatTime(s.at.Add(SlotHeld)))
	}
	if held > 0 && called == "" && held < len(moved) {
		return fmt.Errorf("%w: its nonce was counted for fewer assets than it moves", ErrUsed)
	}
	return nil
}

// movedBy are the assets that an outflow moves, besides its fee.
func movedBy(o Outflow) (names []string) {
	for _, f := range o.Flows {
		if f.What == Transfer {
			names = join(names, f.Asset)
		}
	}
	return names
}

func feeIn(o Outflow, asset string) (sum int64) {
	for _, f := range o.Flows {
		if f.What == Fee && f.Asset == asset {
			sum += f.Amount
		}
	}
	return sum
}

// add counts a flow. What does not fit is refused: nothing wraps around.
func add(sums map[string]int64, f Flow) error {
	switch {
	case f.Asset == "" && f.Amount == 0:
	case f.Asset == "" || f.Amount < 0 || sums[f.Asset] > math.MaxInt64-f.Amount:
		return fmt.Errorf("%w: %d of asset %q", ErrPlan, f.Amount, f.Asset)
	default:
		sums[f.Asset] += f.Amount
	}
	return nil
}

func (c Case) counted(intent statement.ID) bool {
	return slices.ContainsFunc(c.spent, func(s spend) bool { return s.intent == intent })
}

// beside is what was counted of an asset, or how often a call was, without what has the slot of an outflow: that counts as the largest of both.
func (c Case) beside(o Outflow, w What, name string) (sum int64) {
	for _, s := range c.spent {
		if s.what == w && s.name == name && (s.slot == [32]byte{} || s.slot != o.Slot) {
			sum += min(s.amount, math.MaxInt64-sum)
		}
	}
	for _, t := range c.totals {
		if t.what == w && t.name == name {
			sum += min(t.over, math.MaxInt64-sum)
			sum += min(t.gone, math.MaxInt64-sum)
		}
	}
	return sum
}

// take counts sums, by asset in order. What an earlier intent in the same slot moved stays counted, under the one that is taken now: the earlier one
// is signed here no more, and no number of intents fills what a case keeps.
func (c *Case) take(o Outflow, w What, sums map[string]int64, r Reading) error {
	if o.Slot != [32]byte{} {
		for i := range c.spent {
			if c.spent[i].slot == o.Slot {
				c.spent[i].intent = o.Intent
			}
		}
	}
	moved := movedBy(o)
	hold := func(asset string) bool { return w == Call || w == Transfer && slices.Contains(moved, asset) }
	var names []string
	for asset := range sums {
		if hold(asset) || c.bounds(w, asset) { // of nothing else a sum is needed
			names = join(names, asset)
		}
	}
	if len(names) == 0 && !c.counted(o.Intent) {
		names, sums = []string{""}, map[string]int64{} // that it was taken must be known
	}
	for _, asset := range names {
		holds := hold(asset)
		i := slices.IndexFunc(c.spent, func(s spend) bool {
			return s.slot == o.Slot && s.slot != [32]byte{} && s.what == w && s.name == asset
		})
		switch {
		case i >= 0:
			c.spent[i].amount = max(c.spent[i].amount, sums[asset])
			if holds && !c.spent[i].holds { // its fee was of it before
				c.spent[i].holds, c.spent[i].at = true, r.Wall
			}
		case len(c.spent) >= maxSpends:
			return fmt.Errorf("%w: %d outflows", ErrMany, len(c.spent))
		default:
			c.spent = append(c.spent, spend{intent: o.Intent, what: w, name: asset, amount: sums[asset], slot: o.Slot, at: r.Wall, holds: holds})
		}
	}
	return nil
}

// overrun says that a lock-up's time is over, and that nobody closed it. From then on it holds its own keys alone: a closing takes t′ of the new committee, and where t′ = n′
// one that is lost or hostile could hold rescue vaults and charters for ever.
func (c Case) overrun() bool { return c.state == LockUp && c.clock.Credited-c.at >= c.plan.LockUp }

// inTranches bounds what leaves after the lock-up, from the vault and its rescue vaults together (S11).
func (c *Case) inTranches(o Outflow, r Reading) error {
	if c.counted(o.Intent) {
		return nil
	}
	if c.isSettled(o.Slot) && !c.tranchesOver() {
		return errTaken
	}
	sums := map[string]int64{}
	for _, f := range o.Flows {
		if f.What == Remainder {
			continue
		}
		if err := add(sums, f); err != nil {
			return err
		}
	}
	for _, t := range c.plan.Tranches {
		periods := int64(c.outSince() / t.Every)
		if sums[t.Asset] == 0 || periods >= int64(t.Count) {
			continue
		}
		out := c.beside(o, tranched, t.Asset)
		if most := (periods + 1) * min(t.Most, math.MaxInt64/(periods+1)); sums[t.Asset] > most-min(out, most) {
			return fmt.Errorf("%w: %d of %s are released by now, %d left, this takes %d; the next %d come in %s", ErrPlan, most, t.Asset, out, sums[t.Asset], t.Most, t.Every)
		}
	}
	if c.tranchesOver() {
		return nil
	}
	return c.take(o, tranched, sums, r)
}

// tranchesOver says that nothing bounds what leaves any more.
func (c Case) tranchesOver() bool {
	return c.freed || !slices.ContainsFunc(c.plan.Tranches, func(t plan.Tranche) bool { return c.outSince()/t.Every < time.Duration(t.Count) })
}

// outSince is for how long tranches have been counted: since the lock-up's time was over, closed or not.
func (c Case) outSince() time.Duration {
	if c.state == LockUp {
		return c.clock.Credited - c.at - c.plan.LockUp
	}
	return c.clock.Credited - c.at
}
