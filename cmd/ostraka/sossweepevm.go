package main

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/onchain"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// An evmTransfer is a line on an EVM chain.
type evmTransfer struct {
	*sweepLine
	s      *sweep
	sender client.Sender
	asset  charter.Asset
	from   evm.Address
	dest   evm.Address
	teller onchain.Teller
	most   *big.Int // the highest fee, as planned
}

// onChain lists what the vault's addresses hold on one chain: tokens first, the chain's own coin last; and which of them cannot pay for that.
func (s *sweep) onChain(ctx context.Context, a *app, text string) (lines []*sweepLine, lacks []gasLack, err error) {
	e, err := onchain.ParseEVM(text)
	if err != nil {
		return nil, nil, usage("--rpc: %w", err)
	}
	if !slices.Contains(s.v.Chains, e.Chain) {
		return nil, nil, usage("--rpc %s: vault %s signs for %s", e.Chain, s.v.Name, strings.Join(s.v.Chains, ", "))
	}
	to, err := s.destination(e.Chain)
	if err != nil {
		return nil, nil, err
	}
	dest, err := evm.ParseAddress(to.Address)
	if err != nil {
		return nil, nil, err
	}
	teller, err := e.Tell(ctx)
	if err != nil {
		return nil, nil, err
	}
	senders, err := s.senders(e.Chain, evm.Suite)
	if err != nil {
		return nil, nil, err
	}
	assets := s.assetsOn(e.Chain)
	for _, from := range senders {
		var mine []*sweepLine
		for _, x := range assets {
			l := &sweepLine{Chain: e.Chain, Asset: x.Name, To: to.Name, Outcome: outPlanned}
			l.evm = &evmTransfer{sweepLine: l, s: s, sender: from, asset: x, dest: dest, teller: teller}
			l.move, l.again = func(ctx context.Context) error { return l.evm.move(ctx, a) }, l.evm.dearer
			worth, err := l.evm.plan(ctx)
			if err != nil {
				l.Outcome, l.Problem = outSkipped, err.Error() // one asset that fails keeps no other back
			}
			if worth || err != nil {
				mine = append(mine, l)
			}
		}
		lines, lacks = append(lines, mine...), append(lacks, gasOf(ctx, mine)...)
	}
	return lines, lacks, nil
}

// assetsOn are the charter's on a chain, as far as they are wanted: tokens first, since the coin pays for them.
func (s *sweep) assetsOn(chain string) (out []charter.Asset) {
	for _, x := range s.v.InForce().Assets {
		if x.Chain == chain && s.wants(x.Name) {
			out = append(out, x)
		}
	}
	own := func(x charter.Asset) int {
		if x.Contract == "" {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(out, func(x, y charter.Asset) int { return cmp.Compare(own(x), own(y)) })
	return out
}

// senders are all addresses that were given out.
func (s *sweep) senders(chain, suite string) (out []client.Sender, err error) {
	root, err := rootFor(s.v, suite)
	if err != nil {
		return nil, err
	}
	for _, x := range s.accounts {
		for i := range x.Given(root.Suite) {
			out = append(out, client.Sender{Vault: s.v, Root: root, Account: x, Index: uint32(i), Chain: chain, As: s.as})
		}
	}
	return out, nil
}

// gasOf says what an address lacks to pay for the tokens that are to be moved from it. Those that what is there does not pay for at the fees of now are told; as fees are mostly less than
// the highest, more of them may go. Each is looked at again before it is asked for, so an endpoint that does not answer here keeps nothing back.
func gasOf(ctx context.Context, lines []*sweepLine) []gasLack {
	needs := new(big.Int)
	var has *big.Int
	var short []*sweepLine
	for _, l := range lines {
		if l.Outcome != outPlanned || l.evm.asset.Contract == "" {
			continue
		}
		if has == nil {
			var err error
			if has, err = l.evm.teller.Balance(ctx, l.evm.from); err != nil {
				return nil
			}
		}
		if needs.Add(needs, l.evm.most); has.Cmp(needs) < 0 {
			short = append(short, l)
		}
	}
	if len(short) == 0 {
		return nil
	}
	e, units := short[0].evm, func(n *big.Int) string { return evm.FormatUnits(n, evm.EtherDecimals) }
	asset := e.Chain
	if own, ok := e.s.v.InForce().AssetOn(e.Chain, "", func(a, b string) bool { return a == b }); ok {
		asset = own.Name
	}
	send := new(big.Int).Sub(new(big.Int).Add(needs, new(big.Int).Rsh(needs, 2)), has)
	for _, l := range short {
		l.Problem = fmt.Sprintf("its fee is %s at most, and with those before it more than the %s %s that lie there", units(l.evm.most), units(has), asset)
	}
	return []gasLack{{Chain: e.Chain, Address: e.From, Asset: asset, Has: units(has), Needs: units(needs), Send: units(send)}}
}

// gasEvery is how often it is looked whether somebody has sent coins.
const gasEvery = 2 * time.Second

// awaitGas waits until every address can pay for what is to be moved from it, or the time for that is over, if that is asked for, and plans anew. What was sent and is not used up is moved in
// its turn, too.
func (s *sweep) awaitGas(ctx context.Context, a *app, doc sweepDocument) (sweepDocument, error) {
	if s.waitGas <= 0 || len(doc.Lacks) == 0 {
		return doc, nil
	}
	var names []string
	for _, g := range doc.Lacks {
		names = append(names, g.Address)
	}
	a.say("waiting until %s for coins to come to %s", statement.FormatTime(client.Now().Add(s.waitGas)), strings.Join(names, ", "))
	for end := time.Now().Add(s.waitGas); time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return doc, ctx.Err()
		case <-time.After(gasEvery):
		}
		if paid, err := s.canPay(ctx, doc.Lines); err == nil && paid { // an endpoint that fails once may answer the next time
			break
		}
	}
	if next, err := s.plan(ctx, a); err == nil { // else what was planned is looked at again in its turn
		doc = next
	}
	return doc, nil
}

// canPay says whether every address holds enough for all tokens that were planned for it.
func (s *sweep) canPay(ctx context.Context, lines []*sweepLine) (bool, error) {
	needs := map[string]*big.Int{}
	last := map[string]*evmTransfer{}
	for _, l := range lines {
		if l.evm == nil || l.Outcome != outPlanned || l.evm.asset.Contract == "" {
			continue
		}
		key := l.Chain + " " + l.From
		if last[key] = l.evm; needs[key] == nil {
			needs[key] = new(big.Int)
		}
		needs[key].Add(needs[key], l.evm.most)
	}
	for key, e := range last {
		has, err := e.teller.Balance(ctx, e.from)
		if err != nil || has.Cmp(needs[key]) < 0 {
			return false, err
		}
	}
	return true, nil
}

// plan reads what is there now. worth is false where nothing is, or less than its fee.
func (l *evmTransfer) plan(ctx context.Context) (worth bool, err error) {
	address, _, err := l.sender.Vault.Address(l.sender.Root, l.Chain, l.sender.Path())
	if err != nil {
		return false, err
	}
	if l.From = address; l.from == (evm.Address{}) {
		if l.from, err = evm.ParseAddress(address); err != nil {
			return false, err
		}
	}
	if err := l.undoneIn(l.s.cases); err != nil {
		if holds, bad := l.holds(ctx); bad != nil || holds.Sign() == 0 {
			return false, bad
		}
		return false, err
	}
	t, err := l.transfer(ctx)
	if err != nil || t == nil {
		return false, err
	}
	l.Amount = evm.FormatUnits(t.Amount, uint8(l.asset.Decimals))
	l.most = new(big.Int).Mul(new(big.Int).SetUint64(*t.Gas), t.FeeCap)
	l.Fee = evm.FormatUnits(l.most, evm.EtherDecimals)
	return true, nil
}

// undoneIn says that the chain undid the transfer once, unless it is to be tried again.
func (l *evmTransfer) undoneIn(all []*client.Case) error {
	old := client.Undone(all, l.From, l.Chain, sweeping(l.asset, l.dest))
	if old == nil || l.s.retry {
		return nil
	}
	l.Intent = old.ID().String()
	l.saw(old)
	return fmt.Errorf("%w: the token may have frozen the address, or be none; --retry asks for it again", undone(old))
}

// holds is what lies there of the asset.
func (l *evmTransfer) holds(ctx context.Context) (*big.Int, error) {
	if l.asset.Contract == "" {
		return l.teller.Balance(ctx, l.from)
	}
	token, err := evm.ParseAddress(l.asset.Contract)
	if err != nil {
		return nil, err
	}
	return l.teller.TokenBalance(ctx, token, l.from)
}

// transfer is all of the asset, the chain's own coin without the fee; nil if nothing is left of it.
func (l *evmTransfer) transfer(ctx context.Context) (*client.Transfer, error) {
	r := evm.Request{To: l.dest}
	var err error
	if l.asset.Contract != "" {
		token, err := evm.ParseAddress(l.asset.Contract)
		if err != nil {
			return nil, err
		}
		r.Token = &token
	}
	if r.Amount, err = l.holds(ctx); err != nil || r.Amount.Sign() == 0 {
		return nil, err
	}
	to, value, data, err := r.Message()
	if err != nil {
		return nil, err
	}
	if r.Token == nil {
		value = new(big.Int) // the fee is not known yet, so not all of it can be sent
	}
	p, err := l.teller.Price(ctx, l.from, to, value, data)
	if err != nil {
		return nil, fmt.Errorf("what its transfer would cost, or whether it would fail: %w", err)
	}
	if r.Token == nil {
		if r.Amount.Sub(r.Amount, p.Most()); r.Amount.Cmp(p.Most()) <= 0 {
			return nil, nil // dust: the nodes would refuse it
		}
	}
	return &client.Transfer{
		Sender: l.sender, To: l.dest, Token: r.Token, Amount: r.Amount, Legacy: p.Kind == evm.Legacy, Nonce: &p.Nonce, Gas: &p.Gas, FeeCap: p.FeeCap, TipCap: p.TipCap,
		Memo: "rescue: sweep to " + l.To, Life: emergencyLife(l.sender),
	}, nil
}

// A lacksGasError says that an address cannot pay for a transfer.
type lacksGasError struct{ needs, has string }

func (e *lacksGasError) Error() string {
	return fmt.Sprintf("its fee is %s at most, and the address holds %s: somebody has to send it coins, since the plan pays nobody but its rescue addresses", e.needs, e.has)
}

// move proposes a transfer, or goes on with the one that a run before proposed, and waits until it is confirmed. What is there is read again: a
// token's transfer costs of the coin.
func (l *evmTransfer) move(ctx context.Context, a *app) error {
	all, _, err := l.s.circle.Cases(ctx, []client.Vault{l.s.v}, l.s.v.ID)
	if err != nil {
		return err
	}
	if old := client.Underway(all, l.From, l.Chain, sweeping(l.asset, l.dest)); old != nil {
		if old.Pending() && (l.s.bump || stuck(old)) {
			return l.s.replace(ctx, a, l.sweepLine, old, "confirmed")
		}
		return l.s.follow(ctx, a, l.sweepLine, old.ID(), "confirmed")
	}
	if err := l.undoneIn(all); err != nil { // since the sweep was planned
		return err
	}
	t, err := l.transfer(ctx)
	if err != nil {
		return err
	}
	if t == nil {
		l.Outcome, l.State = outLeft, "nothing left"
		return nil
	}
	if t.Token != nil {
		fee := new(big.Int).Mul(new(big.Int).SetUint64(*t.Gas), t.FeeCap)
		has, err := l.teller.Balance(ctx, l.from)
		if err != nil {
			return err
		}
		if has.Cmp(fee) < 0 {
			return &lacksGasError{evm.FormatUnits(fee, evm.EtherDecimals), evm.FormatUnits(has, evm.EtherDecimals)}
		}
	}
	nonce := client.FreeNonce(all, l.From, l.Chain, *t.Nonce, time.Now())
	t.Nonce = &nonce
	st, err := l.s.circle.Prepare(ctx, *t)
	if err != nil {
		return err
	}
	l.Amount, l.Problem = evm.FormatUnits(t.Amount, uint8(l.asset.Decimals)), ""
	return l.s.propose(ctx, a, l.sweepLine, st, "confirmed")
}

// dearer prepares the same transfer at a higher price per gas, with the nonce of the one that waits.
func (l *evmTransfer) dearer(ctx context.Context, old *client.Case) (st statement.Statement, waits, fee string, err error) {
	f := old.Tx.Facts()
	waits = fmt.Sprintf("nonce %d", f.Nonce)
	fees, err := l.teller.Fees(ctx)
	if err != nil {
		return st, waits, "", err
	}
	balance, err := l.teller.Balance(ctx, l.from)
	if err != nil {
		return st, waits, "", err
	}
	r, err := client.Bump(f, fees.FeeCap, fees.TipCap, balance)
	if err != nil {
		return st, waits, "", err
	}
	st, err = l.s.circle.Prepare(ctx, client.Transfer{
		Sender: l.sender, To: r.To, Token: r.Token, Amount: r.Amount, Legacy: r.Kind == evm.Legacy, Nonce: &r.Nonce, Gas: &r.Gas, FeeCap: r.FeeCap, TipCap: r.TipCap,
		Memo: "rescue: sweep to " + l.To + ", for a higher fee", Life: emergencyLife(l.sender),
	})
	if err == nil {
		l.Amount, l.Fee = evm.FormatUnits(r.Amount, uint8(l.asset.Decimals)), evm.FormatUnits(new(big.Int).Mul(new(big.Int).SetUint64(r.Gas), r.FeeCap), evm.EtherDecimals)
	}
	return st, waits, fmt.Sprintf("%s wei per gas at most, and not %s", r.FeeCap, f.FeeCap), err
}
