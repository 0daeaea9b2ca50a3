package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// errNoCoins keeps a node without an endpoint from allowing anything on Bitcoin: no digest there names a network, so who did not look might sign away another's coins (spec/chain-bitcoin 7.1).
var errNoCoins = errors.New("this node has no endpoint of it, and allows nothing that it did not see there: its operator adds one (`rpc` in node.json)")

// checkCoins finds every coin that a transaction of Bitcoin spends, unspent, on the intent's chain.
func (c *checker) checkCoins(ctx context.Context, asked decide.Question) (checked bool, why string, err error) {
	p, ok := asked.Payload.(*payload.Bitcoin)
	if !ok {
		return false, "", nil
	}
	panel := c.coins[p.Chain()]
	if panel == nil {
		return true, "", fmt.Errorf("chain %s: %w", p.Chain(), errNoCoins)
	}
	s := spendingOf(p, asked)
	return c.answer(ctx, question{p.Chain(), coinQuestion("coins", p, asked.Replacing, mayWait(s))}, func(ctx context.Context) error {
		return absent(panel.Check(ctx, s))
	})
}

// absent makes trouble of a coin that is not there, or not deep enough: endpoints learn of blocks one after the other, and a denial is for good. Another amount or script is a lie.
func absent(err error) error {
	fields := endpoint.Fields(err)
	if len(fields) == 0 || slices.ContainsFunc(fields, func(f string) bool { return f != string(coin.FieldCoin) && f != string(coin.FieldConfirmations) }) {
		return err
	}
	return fmt.Errorf("%v; this node waits, since its endpoints may come to know it", err)
}

// coinQuestion is a question's name. A transaction's id covers neither the amounts of its coins nor which of its outputs are change: one answer for all that have it would let whoever proposes a lie
// beside an honest transaction have that one denied.
func coinQuestion(what string, p *payload.Bitcoin, besides ...any) string {
	return fmt.Sprintf("%s %x %v", what, sha256.Sum256(p.Unsigned()), besides)
}

// mayWait are the coins that may wait, since the vault made them.
func mayWait(s coin.Spending) (all []int) {
	for i, c := range s.Coins {
		if s.Own(c.Outpoint.ID) {
			all = append(all, i)
		}
	}
	return all
}

func spendingOf(p *payload.Bitcoin, asked decide.Question) coin.Spending {
	s := coin.Spending{Network: p.Network(), LockTime: p.LockTime(), Replacing: asked.Replacing}
	ins := p.Inputs()
	for i, out := range p.Spent() {
		s.Coins = append(s.Coins, coin.Coin{Outpoint: ins[i].Outpoint, Amount: out.Amount, Script: out.Script})
	}
	s.Own = func(id psbt.ID) bool { return asked.Own != nil && asked.Own(id.String()) }
	// What moves nothing but a fee pays for its parents.
	s.Child = !slices.ContainsFunc(p.Effects(), func(e effect.Effect) bool { return e.Operation != effect.Fee })
	return s
}

// usualOfCoins is what a transaction of that size usually pays.
func (c *checker) usualOfCoins(ctx context.Context, p payload.Payload) (*big.Int, error) {
	b, ok := p.(*payload.Bitcoin)
	if !ok {
		return nil, nil
	}
	panel := c.coins[b.Chain()]
	if panel == nil {
		return nil, nil
	}
	q := question{b.Chain(), coinQuestion("fee", b)}
	checked, _, err := c.answer(ctx, q, func(ctx context.Context) error {
		rate, err := coin.Usual(ctx, panel)
		if err != nil {
			return err
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fees[q] = new(big.Int).SetUint64(rate.Fee(b.VSize()))
		return nil
	})
	if !checked || err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fees[q], nil
}
