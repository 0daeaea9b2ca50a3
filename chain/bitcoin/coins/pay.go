package coins

import (
	"fmt"
	"math"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// A Payment goes to an address of the vault's network.
type Payment struct {
	Address string
	Amount  uint64 // satoshis
}

// A Transfer says what to pay, and how.
type Transfer struct {
	Payments []Payment
	Memo     []byte // nil: none
	Change   bitcoin.Spot
	Rate     bitcoin.Rate
	LongRate bitcoin.Rate // what spending a coin is thought to cost some day; 0: 10 sat/vB
	LockTime uint32       // as in bitcoin.Draft
	Seed     *[32]byte    // draws the coins where none fit exactly; nil: the largest come first
	Fixed    bool         // it does not signal that a higher fee may replace it
	// With are coins that it spends, as far as they can be spent, whatever else it spends: another transaction may be signed that spends them, and of the two the chain takes one.
	With []psbt.Outpoint
}

func (t Transfer) sequence() uint32 {
	if t.Fixed {
		return bitcoin.Locked
	}
	return bitcoin.Replaceable
}

func (t Transfer) long() bitcoin.Rate {
	if t.LongRate == 0 {
		return bitcoin.PerVByte(10)
	}
	return t.LongRate
}

// outputs are payments and memo, their scripts, and what they take.
func (p Purse) outputs(t Transfer) (outs []bitcoin.Output, scripts []bitcoin.Script, sum uint64, err error) {
	for _, pay := range t.Payments {
		outs = append(outs, bitcoin.Output{Amount: pay.Amount, Address: pay.Address})
		if sum += pay.Amount; pay.Amount > bitcoin.MaxMoney || sum > bitcoin.MaxMoney {
			return nil, nil, 0, fmt.Errorf("pay: %d sat are more than there can be", pay.Amount)
		}
	}
	if len(t.Memo) > 0 {
		outs = append(outs, bitcoin.Output{Memo: t.Memo})
	}
	if len(outs) == 0 {
		return nil, nil, 0, fmt.Errorf("pay: there is nothing to pay")
	}
	for i, o := range outs {
		s, err := p.script(o)
		if err != nil {
			return nil, nil, 0, fmt.Errorf("pay: output %d: %w", i, err)
		}
		scripts = append(scripts, s)
	}
	return outs, scripts, sum, nil
}

// Pay builds a transfer: of coins that fit without change if there are such, else of enough, with what is left as change. It returns the coins, for the caller to reserve.
func (p Purse) Pay(t Transfer) (unsigned []byte, spent []Coin, err error) {
	outs, scripts, sum, err := p.outputs(t)
	if err != nil {
		return nil, nil, err
	}
	usable, left, err := p.usable(t.Rate)
	if err != nil {
		return nil, nil, fmt.Errorf("pay: %w", err)
	}
	if t.LongRate > maxRate {
		return nil, nil, fmt.Errorf("pay: long rate of %s is above %s", t.LongRate, maxRate)
	}
	change, err := p.Vault.Script(t.Change)
	if err != nil {
		return nil, nil, fmt.Errorf("pay: change: %w", err)
	}
	least, weight := leastChange(t, change), bitcoin.BaseWeight(bitcoin.MaxInputs, scripts...)
	target := int64(sum + quarters(t.Rate, weight))
	more := int64(quarters(t.Rate, 4*(9+len(change))) + 4) // what an output of change costs
	have := int64(0)
	for _, c := range usable {
		have += c.value(t.Rate)
	}
	if spent = t.choose(usable, target, more+int64(least)); spent == nil {
		return nil, nil, fmt.Errorf("pay: %d sat with the fee are more than the %d sat that %d coins add at %s; %d coins are reserved, not worth their cost, or unconfirmed payments of others", target, have, len(usable), t.Rate, len(left))
	}
	if len(spent) > bitcoin.MaxInputs {
		return nil, nil, fmt.Errorf("pay: it takes %d coins, more than %d: consolidate first", len(spent), bitcoin.MaxInputs)
	}
	size := vsize(spent, append(scripts, change)...)
	if rest := total(spent) - sum; rest >= t.Rate.Fee(size)+least {
		outs = append(outs, bitcoin.Output{Amount: rest - t.Rate.Fee(size), Change: &t.Change})
	}
	unsigned, err = p.build(spent, outs, t.LockTime, t.sequence())
	return unsigned, spent, err
}

// choose takes the coins that must be among them, and of the others what is missing to target: what fits without change, at most slack more; else enough for that and change; else,
// where there is no more, enough, and what is too little for change goes to the fee. nil: all of them do not reach it.
func (t Transfer) choose(usable []Coin, target, slack int64) []Coin {
	var with, rest []Coin
	for _, c := range usable {
		if slices.Contains(t.With, c.Outpoint) {
			with, target = append(with, c), target-c.value(t.Rate)
		} else {
			rest = append(rest, c)
		}
	}
	if len(with) > 0 && target <= 0 {
		return with
	}
	some := exact(rest, target, slack, t.Rate, t.long())
	if some == nil {
		some = enough(rest, target+slack, t.Rate, t.Seed)
	}
	if some == nil {
		some = enough(rest, target, t.Rate, t.Seed)
	}
	if some == nil {
		return nil
	}
	return append(with, some...)
}

// leastChange is the least amount that is worth an output: more than dust, and than what spending it costs.
func leastChange(t Transfer, change bitcoin.Script) uint64 {
	return max(bitcoin.Dust(change), Coin{Spot: t.Change}.cost(t.long()))
}

// Consolidate builds a transaction that makes one coin of many, of both kinds if there are such: those worth least first, at most as many as limit. Nobody is paid.
func (p Purse) Consolidate(to bitcoin.Spot, rate bitcoin.Rate, limit int) (unsigned []byte, spent []Coin, err error) {
	usable, _, err := p.usable(rate)
	if err != nil {
		return nil, nil, fmt.Errorf("consolidate: %w", err)
	}
	room := maxLength
	for i := len(usable) - 1; i >= 0 && len(spent) < min(limit, bitcoin.MaxInputs); i-- {
		if room -= usable[i].length(); room >= 0 {
			spent = append(spent, usable[i])
		}
	}
	least := 2
	if p.Vault.Recovery != nil {
		least = 1 // one that is spent to the vault itself has its leaf closed again
	}
	if len(spent) < least {
		return nil, nil, fmt.Errorf("consolidate: %d coins are worth spending at %s, and it takes %d", len(spent), rate, least)
	}
	return p.all(spent, bitcoin.Output{Change: &to}, rate, bitcoin.Replaceable)
}

// all builds a transaction of coins to one output.
func (p Purse) all(spent []Coin, out bitcoin.Output, rate bitcoin.Rate, sequence uint32) ([]byte, []Coin, error) {
	s, err := p.script(out)
	if err != nil {
		return nil, nil, err
	}
	sum, fee := total(spent), rate.Fee(vsize(spent, s))
	if least := bitcoin.Dust(s); sum < fee || sum-fee < least {
		return nil, nil, fmt.Errorf("the coins hold %d sat, the fee is %d, and %d is the least that can be paid", sum, fee, least)
	}
	out.Amount = sum - fee
	unsigned, err := p.build(spent, []bitcoin.Output{out}, 0, sequence)
	return unsigned, spent, err
}

// length is at most what a coin takes in the unsigned form: 41 bytes of the transaction, and its map.
func (c Coin) length() int { return 41 + 220 + len(c.Previous) + 9 }

// A Batch is one of a sweep's transactions.
type Batch struct {
	Unsigned []byte
	Coins    []Coin
}

// Sweep builds transactions that take all coins to one address, as many as it takes; what is worth most goes first, for whoever can sign only some. left are coins that are reserved, not worth their
// cost, or unconfirmed payments of others: who sweeps tells so, and comes back for them.
func (p Purse) Sweep(to string, rate bitcoin.Rate, limit int) (batches []Batch, left []Coin, err error) {
	if limit < 1 {
		return nil, nil, fmt.Errorf("sweep: batches of %d coins are none", limit)
	}
	usable, left, err := p.usable(rate)
	if err != nil {
		return nil, nil, fmt.Errorf("sweep: %w", err)
	}
	script, err := p.Vault.Network.ParseAddress(to)
	if err != nil {
		return nil, nil, fmt.Errorf("sweep: %w", err)
	}
	for len(usable) > 0 {
		n, room := 0, maxLength
		for n < min(len(usable), limit, bitcoin.MaxInputs) {
			if room -= usable[n].length(); room < 0 && n > 0 {
				break
			}
			n++
		}
		batch := usable[:n]
		if total(batch) < rate.Fee(vsize(batch, script))+bitcoin.Dust(script) { // the rest is worth less still
			return batches, append(left, usable...), nil
		}
		unsigned, spent, err := p.all(batch, bitcoin.Output{Address: to}, rate, bitcoin.Replaceable)
		if err != nil {
			return nil, nil, fmt.Errorf("sweep: batch %d: %w", len(batches), err)
		}
		batches, usable = append(batches, Batch{unsigned, spent}), usable[n:]
	}
	return batches, left, nil
}

// A Parent is a transaction that waits because it pays too little.
type Parent struct {
	Fee   uint64 // satoshis
	VSize int    // virtual bytes
}

// Child builds a transaction that pays for its parent (child pays for parent): both together pay rate. coins are what it spends, among them the parent's output; that one may
// wait, whoever made it. What is left comes back to the vault.
func (p Purse) Child(parent Parent, coins []Coin, to bitcoin.Spot, rate bitcoin.Rate) (unsigned []byte, err error) {
	if len(coins) == 0 {
		return nil, errNone
	}
	script, err := p.Vault.Script(to)
	if err != nil {
		return nil, fmt.Errorf("child: %w", err)
	}
	if parent.VSize <= 0 || parent.VSize > math.MaxInt32 || rate > maxRate {
		return nil, fmt.Errorf("child: parent of %d vB at %s is none", parent.VSize, rate)
	}
	size, sum := vsize(coins, script), uint64(0)
	for _, c := range coins {
		if sum += c.Amount; c.Amount > bitcoin.MaxMoney || sum > bitcoin.MaxMoney {
			return nil, fmt.Errorf("child: coin %s of %d sat is more than there can be", c.Outpoint, c.Amount)
		}
	}
	fee := rate.Fee(size) // never less than what the child alone owes
	if whole := rate.Fee(size + parent.VSize); whole > parent.Fee {
		fee = max(fee, whole-parent.Fee)
	}
	if least := bitcoin.Dust(script); sum < fee || sum-fee < least {
		return nil, fmt.Errorf("child: the coins hold %d sat, the fee for both is %d, and %d is the least that can be paid: add a coin", sum, fee, least)
	}
	return p.build(coins, []bitcoin.Output{{Amount: sum - fee, Change: &to}}, 0, bitcoin.Replaceable)
}
