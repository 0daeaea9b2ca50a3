package client

import (
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// SweepCoins is how many coins one transaction of a sweep takes at most. The form has room for bitcoin.MaxInputs, but each coin is a signing session of its own, one after the other, and the
// intent must be signed within its life (a quarter of an hour in an emergency): a hundred are, where a session takes seconds.
const SweepCoins = 100

// A Haul is one transaction of a sweep on Bitcoin.
type Haul struct {
	Unsigned []byte
	Coins    int
	Amount   uint64 // satoshis that are paid
	Fee      uint64 // satoshis
}

// Stays are coins that a sweep leaves where they are, and why.
type Stays struct {
	Coins int
	Sum   uint64 // satoshis; 0 where nobody says
	Why   string
	Worth bool // they may be moved once what is in the way is gone; else moving them is a loss
}

// A CoinSweep is what becomes of all coins of an account.
type CoinSweep struct {
	Rate  bitcoin.Rate
	Hauls []Haul
	Stays []Stays
}

// Sweep splits all coins that no intent spends (Reserve says) into transactions to one address, the most valuable first, of so many coins each at most. A transaction that would pay less than its fee
// is none: no node allows it in an emergency (spec/sos 5.5).
func (h Holding) Sweep(to string, limit int) (out CoinSweep, err error) {
	if out.Rate = min(h.Rate, h.Vault.MaxRate); out.Rate == 0 {
		return out, &EarlyError{"no node knows what a fee is now: run it again once their endpoints say"}
	}
	purse := coins.Purse{Vault: h.Vault}
	var order []string
	why := map[string]*Stays{}
	stays := func(n int, sum uint64, worth bool, format string, args ...any) {
		text := fmt.Sprintf(format, args...)
		if why[text] == nil {
			order, why[text] = append(order, text), &Stays{Why: text, Worth: worth}
		}
		why[text].Coins, why[text].Sum = why[text].Coins+n, why[text].Sum+sum
	}
	for _, c := range h.Coins {
		switch {
		case !c.Reserved.IsZero():
			stays(1, c.Amount, true, "spent by intent %s, which is no sweep: wait until it has ended, or take it back (`ostraka tx cancel %s`)", c.Reserved.Short(), c.Reserved.Short())
		case c.Coinbase && h.Height < c.Height+99:
			stays(1, c.Amount, true, "mined too few blocks ago: the chain lets them go 100 blocks after that")
		default:
			purse.Coins = append(purse.Coins, c.Coin)
		}
	}
	batches, left, err := purse.Sweep(to, out.Rate, limit)
	if err != nil {
		return out, &RefusedError{err.Error()}
	}
	dear := fmt.Sprintf("moving them costs more than they bring at %s", out.Rate)
	for _, b := range batches {
		one, err := h.haul(b)
		if err != nil {
			return out, err
		}
		if one.Amount < one.Fee {
			stays(one.Coins, one.Amount+one.Fee, false, "%s", dear)
			continue
		}
		out.Hauls = append(out.Hauls, one)
	}
	for _, c := range left {
		if c.Waits && !c.Own {
			stays(1, c.Amount, true, "no block holds them yet, and whoever paid them can take them back: run it again once one does")
			continue
		}
		stays(1, c.Amount, false, "%s", dear)
	}
	if h.Doubted > 0 {
		stays(h.Doubted, 0, true, "one node alone shows them: it is ahead of the others, or lies")
	}
	if h.Left > 0 {
		stays(h.Left, 0, true, "the nodes do not list more at once: run it again once these are moved")
	}
	for _, text := range order {
		out.Stays = append(out.Stays, *why[text])
	}
	return out, nil
}

func (h Holding) haul(b coins.Batch) (Haul, error) {
	tx, err := bitcoin.Decode(b.Unsigned, h.Vault)
	if err != nil {
		return Haul{}, fmt.Errorf("a transaction of the sweep: %w", err)
	}
	return Haul{Unsigned: b.Unsigned, Coins: len(b.Coins), Amount: tx.Outputs()[0].Amount, Fee: tx.Fee()}, nil
}

// ReserveBeside is Reserve, and leaves out what a sweep to an address spends already: that is on its way, or there, and a node that still shows it is behind.
func (h *Holding) ReserveBeside(all []*Case, to string) {
	h.Reserve(all)
	sweeps := map[statement.ID]bool{}
	for _, c := range all {
		if p, ok := c.Payload.(*payload.Bitcoin); ok && paysAll(p, to) {
			sweeps[c.ID()] = true
		}
	}
	h.Coins = slices.DeleteFunc(h.Coins, func(c Coin) bool { return sweeps[c.Reserved] })
}

// SweptCoins are the intents of an account's coins that pay all of them to an address and have not come to their end, the newest first: a sweep that was begun is continued, and not begun
// again. Of those that spend one coin the newest alone stands: it replaces the others, which nodes
// give up only once it is six blocks deep.
func SweptCoins(all []*Case, account [2]uint32, chain, to string) (out []*Case) {
	taken := map[string]bool{}
	for _, c := range slices.Backward(all) {
		p, ok := c.Payload.(*payload.Bitcoin)
		if !ok || c.Intent.Chain != chain || [2]uint32(c.Intent.Path[:2]) != account || !paysAll(p, to) || c.Closed() || slices.Contains([]string{"replaced", "failed"}, c.State()) {
			continue
		}
		if c.lives() && !slices.ContainsFunc(p.Spends(), func(coin string) bool { return taken[coin] }) {
			out = append(out, c)
		}
		for _, coin := range p.Spends() {
			taken[coin] = true
		}
	}
	return out
}

func paysAll(p *payload.Bitcoin, to string) bool {
	outs := p.Outputs()
	return len(outs) == 1 && outs[0].Change == nil && outs[0].Address == to
}

// PrepareDearerSweep makes the statement of an intent whose transaction replaces one of a sweep that waits on its chain, at a payment's rate and a higher fee at least. The rescue address gets
// what is left; both are in satoshis. Nodes allow it while a plan of SOS is the rule (spec/node 7.8).
func (c *Circle) PrepareDearerSweep(old *Case, p Payment) (st statement.Statement, paid, fee uint64, err error) {
	was, ok := old.Payload.(*payload.Bitcoin)
	if !ok || !old.Pending() {
		return st, 0, 0, &RefusedError{fmt.Sprintf("intent %s is %s: only a transaction of Bitcoin that is signed, and that no block holds, is replaced so", old.ID().Short(), old.State())}
	}
	raw, err := was.DearerSweep(p.Rate, 0)
	if err != nil {
		return st, 0, 0, &RefusedError{err.Error()}
	}
	v, err := p.Vault.bitcoin(p.Chain)
	if err != nil {
		return st, 0, 0, err
	}
	tx, err := bitcoin.Decode(raw, v)
	if err != nil {
		return st, 0, 0, err
	}
	st, err = c.PreparePacket(p, raw)
	return st, tx.Outputs()[0].Amount, tx.Fee(), err
}
