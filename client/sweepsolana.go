package client

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// A SolanaHaul is one transaction of a sweep on Solana: all of one token that lies at the token account by rule, which is closed then; or the address's SOL, with what closing empty token accounts and
// nonce accounts brings.
type SolanaHaul struct {
	Asset  charter.Asset
	Mint   *solana.Key // nil: SOL
	Amount uint64      // lamports, or of the token's smallest unit
	Fee    uint64      // lamports at most
	Closes int         // accounts that are closed beside
	Why    string      // it stays where it is; empty: it is to be moved
	Worth  bool        // it may be moved once what is in the way is gone
}

// closesAtOnce bounds the accounts that one transaction closes: each takes 41 bytes of it at most, and 1,232 are all.
const closesAtOnce = 12

// SolanaSweep lists what is to be moved from an address to a wallet: the charter's tokens, and SOL at last.
func (c *Circle) SolanaSweep(ctx context.Context, s Sender, to solana.Key) (out []SolanaHaul, err error) {
	g, err := c.ground(s)
	if err != nil {
		return nil, err
	}
	d := s.Vault.InForce().Document
	if _, err := g.holds(ctx, d); err != nil {
		return nil, err
	}
	has := g.lamports[g.own]
	for _, a := range d.Assets {
		if a.Chain != s.Chain || a.Contract == "" {
			continue
		}
		mint, err := solana.ParseKey(a.Contract)
		if err != nil {
			return nil, err
		}
		h := SolanaHaul{Asset: a, Mint: &mint}
		e, err := g.tokenHaul(ctx, &h, to)
		if h.Amount == 0 {
			continue
		}
		if err != nil {
			h.Why, h.Worth = err.Error(), true
		} else if h.Fee = g.feeOf(e); h.Fee+e.Pays > has {
			h.Why, h.Worth = fmt.Sprintf("%s holds %d lamports more than other transfers take, and this one takes %d: somebody has to send it that much", g.own, has, h.Fee+e.Pays), true
		} else {
			has -= h.Fee + e.Pays
		}
		out = append(out, h)
	}
	own, _ := d.AssetOn(s.Chain, "", func(a, b string) bool { return a == b })
	h := SolanaHaul{Asset: own}
	if _, err := g.coinHaul(ctx, &h, to, has); err != nil {
		return nil, err
	}
	if h.Amount > 0 || h.Why != "" {
		out = append(out, h)
	}
	return out, nil
}

// PrepareSolanaHaul makes the statement of an intent that moves all of a token, or of SOL where mint is nil, as it lies there now.
func (c *Circle) PrepareSolanaHaul(ctx context.Context, e Errand, mint *solana.Key, to solana.Key) (st statement.Statement, h SolanaHaul, err error) {
	g, err := c.ground(e.Sender)
	if err != nil {
		return st, h, err
	}
	h.Mint = mint
	var made Errand
	if mint != nil {
		made, err = g.tokenHaul(ctx, &h, to)
	} else {
		if _, err = g.holds(ctx, e.Sender.Vault.InForce().Document); err == nil {
			made, err = g.coinHaul(ctx, &h, to, g.lamports[g.own])
		}
	}
	switch {
	case err != nil:
		return st, h, err
	case h.Why != "":
		return st, h, &RefusedError{h.Why}
	case h.Amount == 0:
		return st, h, &EarlyError{"nothing is left of it"}
	}
	h.Fee = g.feeOf(made)
	made.Sender, made.Memo, made.Life, made.Hasty, made.carries = e.Sender, e.Memo, e.Life, true, g
	st, err = c.PrepareErrand(ctx, made)
	return st, h, err
}

// feeOf is the fee of an errand without a durable nonce, at most.
func (g *ground) feeOf(e Errand) uint64 { return solana.Fee(e.Units+unitsBudget, g.price, 1) }

// tokenHaul is all of a token, and the end of the account where it lay.
func (g *ground) tokenHaul(ctx context.Context, h *SolanaHaul, to solana.Key) (e Errand, err error) {
	if err := g.learn(ctx, *h.Mint, to); err != nil {
		return e, err
	}
	source, err := solana.AssociatedAccount(g.own, *h.Mint, g.read.Accounts[*h.Mint].Program)
	if err != nil {
		return e, err
	}
	if err := g.learn(ctx, source); err != nil {
		return e, err
	}
	if h.Amount = g.amounts[source]; h.Amount == 0 {
		return e, nil
	}
	mint := g.read.Accounts[*h.Mint]
	p, err := g.payment(ctx, Remittance{Mint: h.Mint, To: to, Amount: h.Amount})
	if err != nil {
		return e, err
	}
	if e.Steps, err = solana.Pay(p); err != nil {
		return e, err
	}
	if e.Units = UnitsToken; p.Open {
		e.Units, e.Pays = e.Units+UnitsOpen, solana.AccountRent(mint)
	}
	if mint.Program == solana.SPLToken { // one of Token-2022 may hold back fees, and then does not close
		e.Steps, e.Units, h.Closes = append(e.Steps, solana.Close(p.Program, source, g.own, g.own)), e.Units+UnitsToken/4, 1
	}
	_, err = g.build(ctx, solana.Request{Payer: g.own, Blockhash: g.known(), Steps: e.Steps}) // what no node would sign is left out
	return e, err
}

// coinHaul is all SOL that is left beside the fee, and what closing empty accounts brings. Who opened an account keeps its lamports until then.
func (g *ground) coinHaul(ctx context.Context, h *SolanaHaul, to solana.Key, has uint64) (e Errand, err error) {
	incoming := uint64(0)
	nonces, err := g.nonces(ctx)
	if err != nil {
		return e, err
	}
	for _, n := range nonces {
		if n.Open && n.Intent.IsZero() {
			e.Steps, h.Closes = append(e.Steps, solana.WithdrawNonce(n.Address, g.own, g.own, n.Lamports)), h.Closes+1
			incoming += n.Lamports
		}
	}
	var empty []solana.Key
	for k, a := range g.read.Accounts {
		if a.Kind == solana.TokenAccount && a.Owner == g.own && a.Program == solana.SPLToken && g.amounts[k] == 0 && !a.Frozen && !a.Closer {
			empty = append(empty, k)
		}
	}
	slices.SortFunc(empty, func(a, b solana.Key) int { return slices.Compare(a[:], b[:]) })
	for _, k := range empty[:min(len(empty), max(0, closesAtOnce-h.Closes))] {
		e.Steps, h.Closes = append(e.Steps, solana.Close(solana.SPLToken, k, g.own, g.own)), h.Closes+1
		incoming += g.lamports[k]
	}
	e.Units = UnitsTransfer + uint32(h.Closes)*UnitsToken/4
	fee := g.feeOf(e)
	switch {
	case has == 0 && incoming == 0:
		return e, nil
	case has < fee || has > math.MaxInt64:
		h.Amount, h.Why, h.Worth = 0, fmt.Sprintf("%s holds %d lamports, and a fee is %d at most", g.own, has, fee), false
		return e, nil
	}
	if h.Amount = has - fee + incoming; h.Amount < fee {
		h.Why, h.Worth = "moving it costs more than it brings", false
		return e, nil
	}
	h.Fee, e.Pays = fee, has-fee
	e.Steps = append(e.Steps, solana.Transfer(g.own, to, h.Amount))
	return e, nil
}

// known is the newest blockhash, which the readings take for recent.
func (g *ground) known() solana.Key {
	g.read.Recents[g.block] = true
	return g.block
}

// SweptSolana is the newest intent of an address that moves a token, or SOL where mint is nil, to a wallet, and has not come to its end: a sweep that was begun is continued, and not begun again.
// Of what has ended, one that the chain undid stands: asking for it again costs a fee each time.
func SweptSolana(all []*Case, address, chain string, mint *solana.Key, to solana.Key) *Case {
	for _, c := range slices.Backward(all) {
		p, ok := c.Payload.(*payload.Solana)
		if !ok || c.Intent.Address != address || c.Intent.Chain != chain || c.Closed() || !c.Reverted() && slices.Contains([]string{"confirmed", "final", "failed", "replaced"}, c.State()) {
			continue
		}
		if asset, only := p.Sweeps(to); only && (asset == "") == (mint == nil) && (mint == nil || asset == mint.String()) {
			return c
		}
	}
	return nil
}
