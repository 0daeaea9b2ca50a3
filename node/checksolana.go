package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// errNoAccounts keeps a node without an endpoint from allowing anything on Solana: what a message moves, and on which network, stands on the chain alone (spec/chain-solana 3.4).
var errNoAccounts = errors.New("this node has no endpoint of it, and allows nothing whose accounts it did not read there: its operator adds one (`rpc` in node.json)")

// checkSolana reads what a transaction of Solana hangs on, and decodes it once more by that alone.
func (c *checker) checkSolana(ctx context.Context, p *payload.Solana, before []payload.Payload) (checked bool, why string, err error) {
	panel := c.solana[p.Chain()]
	if panel == nil {
		return true, "", fmt.Errorf("chain %s: %w", p.Chain(), errNoAccounts)
	}
	q := fmt.Sprintf("accounts %x", sha256.Sum256(p.Unsigned()))
	var first []*payload.Solana
	for _, b := range before {
		if b, ok := b.(*payload.Solana); ok {
			first, q = append(first, b), fmt.Sprintf("%s after %x", q, sha256.Sum256(b.Unsigned()))
		}
	}
	return c.answer(ctx, question{p.Chain(), q}, func(ctx context.Context) error {
		if err := compareSolana(ctx, panel, p); err != nil {
			return err
		}
		return affords(ctx, panel, p, first)
	})
}

// affords says why a transaction would not land by what lies in the accounts that it writes, once those before it have landed. Endpoints are some blocks apart and money comes in, so that is no denial: it waits.
func affords(ctx context.Context, panel *sol.Panel, p *payload.Solana, first []*payload.Solana) error {
	_, writes := p.Execution()
	for _, b := range first {
		_, more := b.Execution()
		writes = append(writes, more...)
	}
	slices.SortFunc(writes, func(a, b solana.Key) int { return bytes.Compare(a[:], b[:]) })
	held, err := panel.Holdings(ctx, slices.Compact(writes))
	if err != nil {
		return err
	}
	n := 0
	for _, b := range first {
		if after, err := b.Run(held); err == nil { // else it has landed, or cannot
			held, n = after, n+1
		}
	}
	if err := p.Short(held); err != nil && n > 0 {
		return fmt.Errorf("it would not land behind the %d others of its address that may land yet: %w; it waits until it can, or its time runs out", n, err)
	} else if err != nil {
		return fmt.Errorf("it would not land: %w; it waits until it can, or its time runs out", err)
	}
	return nil
}

func compareSolana(ctx context.Context, panel *sol.Panel, p *payload.Solana) error {
	if err := panel.CheckChain(ctx, p.Chain()); err != nil {
		return err
	}
	needs, err := solana.Needs(p.Unsigned())
	if err != nil {
		return err
	}
	block := solana.Key{}
	if _, value, durable := p.Durable(); !durable {
		block = value
	}
	own, err := panel.Readings(ctx, needs, block)
	if err != nil {
		return err
	}
	if err := p.Early(own); err != nil {
		return err
	}
	if err := p.Compare(own); err != nil {
		return &endpoint.Mismatch{Field: "accounts", Expected: "what this node's endpoints show of them", Found: err.Error(), Next: "propose it anew by what two nodes read"}
	}
	return nil
}

// usualOfSolana is what a transaction that asks for so much, and writes these accounts, usually pays.
func (c *checker) usualOfSolana(ctx context.Context, p *payload.Solana) (*big.Int, error) {
	panel := c.solana[p.Chain()]
	if panel == nil {
		return nil, nil
	}
	q := question{p.Chain(), fmt.Sprintf("fee %x", sha256.Sum256(p.Unsigned()))}
	units, writes := p.Execution()
	units = min(units, p.Takes()) // or whoever proposes would say how much is usual, by asking for more than it takes
	checked, _, err := c.answer(ctx, q, func(ctx context.Context) error {
		price, err := panel.PriorityFee(ctx, writes)
		c.mu.Lock()
		defer c.mu.Unlock()
		c.fees[q] = new(big.Int).SetUint64(solana.Fee(units, price, len(p.Uses())))
		return err
	})
	if !checked || err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fees[q], nil
}
