package onchain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/rpc"
)

// A reader reads one endpoint as of one block.
type reader struct {
	c       *rpc.EVM
	chainID uint64
	q       verify.Enquiry
	o       Options
	head    rpc.Header
	floor   uint64 // below it the endpoint refused to say how many nonces were used
	refusal string // in its words
	scanned map[uint64]rpc.Header
	byFrom  map[evm.Address]map[uint64]verify.Outgoing // by address and nonce
}

// read asks everything as of a height, and at last whether its block is still there.
func (r *reader) read(ctx context.Context, height uint64) (out verify.Facts, err error) {
	r.scanned, r.byFrom = map[uint64]rpc.Header{}, map[evm.Address]map[uint64]verify.Outgoing{}
	if r.head, err = r.header(ctx, height); err != nil {
		return out, err
	}
	at := r.head
	if r.o.At != nil {
		if at, err = r.header(ctx, *r.o.At); err != nil {
			return out, err
		}
	}
	out = verify.Facts{Chain: r.q.Chain, Height: height, Block: r.head.Hash.String(), Time: r.head.Time, At: at.Height, AtBlock: at.Hash.String()}
	var addresses []evm.Address
	for _, text := range r.q.Addresses {
		a, err := evm.ParseAddress(text)
		if err != nil {
			return out, err
		}
		addresses, r.byFrom[a] = append(addresses, a), map[uint64]verify.Outgoing{}
	}
	if err := r.known(ctx); err != nil {
		return out, err
	}
	for n, a := range addresses {
		r.o.Progress(fmt.Sprintf("%s: address %d of %d", r.c.Endpoint(), n+1, len(addresses)))
		one, err := r.address(ctx, a, at.Height)
		if err != nil {
			return out, err
		}
		out.Addresses = append(out.Addresses, one)
	}
	for _, s := range r.q.Safes {
		one, err := r.safe(ctx, s)
		if err != nil {
			return out, err
		}
		out.Safes = append(out.Safes, one)
	}
	again, found, err := r.c.HeaderAt(ctx, height)
	if err == nil && (!found || again.Hash != r.head.Hash) {
		err = &movedError{r.c.Endpoint(), height}
	}
	return out, err
}

func (r *reader) header(ctx context.Context, height uint64) (rpc.Header, error) {
	h, found, err := r.c.HeaderAt(ctx, height)
	if err == nil && !found {
		err = fmt.Errorf("%s has no block %d: it is beyond the chain's newest, or no longer kept", r.c.Endpoint(), height)
	}
	return h, err
}

// known asks for the transactions that logs tell of, by their hash, a few at the same time.
func (r *reader) known(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var mu sync.Mutex
	var all sync.WaitGroup
	next := make(chan [32]byte)
	for range min(atOnce, len(r.q.Known)) {
		all.Go(func() {
			for id := range next {
				k, found, err := r.c.TransactionByHash(ctx, id)
				if err != nil {
					cancel(err)
					return
				}
				mu.Lock()
				if mine, ours := r.byFrom[k.From]; found && ours && k.Block != nil && *k.Block <= r.head.Height {
					mine[k.Nonce] = verify.Outgoing{Hash: id, Nonce: k.Nonce, Block: *k.Block}
				}
				mu.Unlock()
			}
		})
	}
	for i, id := range r.q.Known {
		if i%100 == 0 {
			r.o.Progress(fmt.Sprintf("%s: transaction %d of %d", r.c.Endpoint(), i+1, len(r.q.Known)))
		}
		select {
		case next <- id:
		case <-ctx.Done():
		}
	}
	close(next)
	all.Wait()
	return context.Cause(ctx)
}

// address finds what used an address's nonces, and what it holds.
func (r *reader) address(ctx context.Context, a evm.Address, at uint64) (out verify.AddressFacts, err error) {
	out.Address = a.String()
	if out.Nonce, err = r.c.NonceAt(ctx, a, r.head.Height); err != nil {
		return out, fmt.Errorf("how many nonces %s used: %w", a, err)
	}
	code, err := r.c.CodeAt(ctx, a, r.head.Height)
	if err != nil {
		return out, fmt.Errorf("the code of %s: %w", a, err)
	}
	if out.Delegate, err = delegate(code); err != nil {
		return out, fmt.Errorf("%s says of %s: %w", r.c.Endpoint(), a, err)
	}
	if out.Balances, err = r.balances(ctx, a, at); err != nil {
		return out, err
	}
	mine := r.byFrom[a]
	searched := 0
	for nonce := uint64(0); nonce < out.Nonce && searched < maxSearched; nonce++ {
		if _, have := mine[nonce]; have {
			continue
		}
		searched++
		gap, err := r.search(ctx, a, nonce)
		if err != nil {
			return out, err
		}
		if gap != nil {
			out.Gaps = append(out.Gaps, *gap)
		}
	}
	for nonce := range mine {
		if nonce >= out.Nonce {
			return out, fmt.Errorf("%s contradicts itself about %s: it used %d nonces, and a transaction of nonce %d stands in a block", r.c.Endpoint(), a, out.Nonce, nonce)
		}
	}
	out.Gaps = slices.DeleteFunc(out.Gaps, func(g verify.Gap) bool { _, found := mine[g.Nonce]; return found })
	if rest := out.Nonce - uint64(len(mine)) - gapped(out.Gaps); rest > 0 {
		first := firstOpen(mine, out)
		out.Gaps = append(out.Gaps, verify.Gap{Nonce: first, Count: rest, Block: r.head.Height, Time: r.head.Time, Why: fmt.Sprintf("only %d are searched for at a time", maxSearched)})
	}
	for _, o := range mine {
		out.Outgoing = append(out.Outgoing, o)
	}
	slices.SortFunc(out.Outgoing, func(a, b verify.Outgoing) int { return cmp.Compare(a.Nonce, b.Nonce) })
	return out, nil
}

func gapped(gaps []verify.Gap) (n uint64) {
	for _, g := range gaps {
		n += g.Count
	}
	return n
}

// firstOpen is the lowest nonce behind all that was searched of which nothing is known.
func firstOpen(mine map[uint64]verify.Outgoing, a verify.AddressFacts) uint64 {
	n := uint64(0)
	for {
		_, have := mine[n]
		if !have && !slices.ContainsFunc(a.Gaps, func(g verify.Gap) bool { return g.Nonce == n }) {
			return n
		}
		n++
	}
}

// delegate reads the code of an account that has a key: none, or that it runs another's (EIP-7702: 0xef0100 and the address).
func delegate(code []byte) (string, error) {
	if len(code) == 0 {
		return "", nil
	}
	if len(code) == 23 && code[0] == 0xef && code[1] == 0x01 && code[2] == 0 {
		return evm.Address(code[3:]).String(), nil
	}
	return "", fmt.Errorf("it has %d bytes of code, and no account with a key has", len(code))
}

// search finds the transaction of a nonce: the block in which the count passes it, then that block's transactions. A gap says what is known where
// there is none.
func (r *reader) search(ctx context.Context, a evm.Address, nonce uint64) (*verify.Gap, error) {
	low, high := r.bounds(a, nonce)
	proved := true // that before block low the nonce was not used
	if low < r.floor {
		low, proved = min(r.floor, high), false
	}
	for low < high {
		r.o.Progress(fmt.Sprintf("%s: nonce %d of %s: blocks %d to %d", r.c.Endpoint(), nonce, a, low, high))
		middle := low + (high-low)/2
		n, err := r.c.NonceAt(ctx, a, middle)
		var refusal *rpc.CallError
		switch {
		case errors.As(err, &refusal):
			r.floor, r.refusal = middle+1, refusal.Message
			low, proved = middle+1, false
		case err != nil:
			return nil, err
		case n > nonce:
			high = middle
		default:
			low, proved = middle+1, true
		}
	}
	h, err := r.scan(ctx, low)
	if err != nil {
		return nil, err
	}
	if _, found := r.byFrom[a][nonce]; found {
		return nil, nil
	}
	g := &verify.Gap{Nonce: nonce, Count: 1, Block: low, Time: h.Time, Alone: proved, Why: "no transaction of the address stands there"}
	if !proved {
		g.Why = fmt.Sprintf("%s keeps no state of blocks before (%s): an archive node does", r.c.Endpoint(), r.refusal)
	}
	return g, nil
}

// bounds are blocks between which a nonce was used, as transactions with other nonces say.
func (r *reader) bounds(a evm.Address, nonce uint64) (low, high uint64) {
	high = r.head.Height
	for n, o := range r.byFrom[a] {
		if n < nonce {
			low = max(low, o.Block)
		} else {
			high = min(high, o.Block)
		}
	}
	return low, max(low, high)
}

// scan takes all transactions of the addresses out of a block.
func (r *reader) scan(ctx context.Context, at uint64) (rpc.Header, error) {
	if h, done := r.scanned[at]; done {
		return h, nil
	}
	h, sent, found, err := r.c.BlockAt(ctx, at)
	if err == nil && !found {
		err = fmt.Errorf("%s keeps no block %d: an archive node does", r.c.Endpoint(), at)
	}
	if err != nil {
		return h, err
	}
	r.scanned[at] = h
	for _, s := range sent {
		mine, ours := r.byFrom[s.From]
		if !ours {
			continue
		}
		o := verify.Outgoing{Hash: s.Hash, Nonce: s.Nonce, Block: at, Time: h.Time}
		if o.Checked, err = r.recovered(s); err != nil {
			return h, err
		}
		if old, two := mine[s.Nonce]; two && old.Hash != s.Hash {
			return h, fmt.Errorf("%s shows two transactions of %s with nonce %d: %s and %s", r.c.Endpoint(), s.From, s.Nonce, evm.Hash(old.Hash), s.Hash)
		}
		mine[s.Nonce] = o
	}
	return h, nil
}

// recovered says whether a transaction's signature, recovered here, is by its sender: then the key signed it, whoever says so. Of a type that is
// not known here nothing is said.
func (r *reader) recovered(s rpc.Sent) (bool, error) {
	var tx types.Transaction
	if err := tx.UnmarshalJSON(s.JSON); err != nil {
		return false, nil //nolint:nilerr // a type of another kind of chain
	}
	from, err := types.Sender(types.LatestSignerForChainID(new(big.Int).SetUint64(r.chainID)), &tx)
	if err != nil || evm.Address(from) != s.From || evm.Hash(tx.Hash()) != s.Hash {
		return false, fmt.Errorf("%s shows transaction %s as sent by %s, whose key did not sign it: it lies, or is another kind of node", r.c.Endpoint(), s.Hash, s.From)
	}
	return true, nil
}
