package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/big"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// errNoAccounts keeps a node without an endpoint from allowing anything on Solana: what a message moves, and on which network, stands on the chain alone (spec/chain-solana 3.4).
var errNoAccounts = errors.New("this node has no endpoint of it, and allows nothing whose accounts it did not read there: its operator adds one (`rpc` in node.json)")

// checkSolana reads what a transaction of Solana hangs on, and decodes it once more by that alone.
func (c *checker) checkSolana(ctx context.Context, p *payload.Solana) (checked bool, why string, err error) {
	panel := c.solana[p.Chain()]
	if panel == nil {
		return true, "", fmt.Errorf("chain %s: %w", p.Chain(), errNoAccounts)
	}
	return c.answer(ctx, question{p.Chain(), fmt.Sprintf("accounts %x", sha256.Sum256(p.Unsigned()))}, func(ctx context.Context) error {
		return compareSolana(ctx, panel, p)
	})
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
