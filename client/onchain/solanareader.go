package onchain

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// A solanaReader reads one endpoint.
type solanaReader struct {
	c      *sol.Client
	q      verify.Enquiry
	o      Options
	own    []solana.Key // in the enquiry's order
	coin   verify.Asset
	tokens []verify.Asset
	mints  []solana.Key // in the order of tokens

	held [][]verify.Balance // by address
	left int                // transactions that are listed yet, of all addresses
	seen map[sol.Signature]*sighting
}

// sighting is what an endpoint shows as one transaction.
type sighting struct {
	of     sol.Mention
	tx     *solana.Landed // nil: nothing
	failed bool
	why    string // of nothing
}

// patiently calls again, after pauses that grow, what a busy endpoint refuses.
func (r *solanaReader) patiently(ctx context.Context, call func() error) (err error) {
	for try := range tries {
		if err = call(); !sol.Busy(err) || try == tries-1 || !wait(ctx, pause<<try) {
			break
		}
	}
	if sol.NoHistory(err) {
		return fmt.Errorf("%w; it keeps no transactions: ask one that does (--enable-rpc-transaction-history)", err)
	}
	return err
}

func (r *solanaReader) checkChain(ctx context.Context) error {
	var is string
	err := r.patiently(ctx, func() (err error) { is, err = r.c.ChainID(ctx); return err })
	if err == nil && is != r.q.Chain {
		err = fmt.Errorf("%s serves chain %s, not %s: give each chain its own endpoint", r.c.Endpoint(), is, r.q.Chain)
	}
	return err
}

// accounts are what addresses hold, and the lowest slot of which that is.
func (r *solanaReader) accounts(ctx context.Context, keys []solana.Key) (out []sol.Account, slot uint64, err error) {
	for chunk := range slices.Chunk(keys, sol.MaxAccounts) {
		err := r.patiently(ctx, func() error {
			some, at, err := r.c.AccountsAt(ctx, chunk)
			if err != nil {
				return err
			}
			if len(out) == 0 || at < slot {
				slot = at
			}
			out = append(out, some...)
			return nil
		})
		if err != nil {
			return nil, 0, err
		}
	}
	return out, slot, nil
}

// holdings reads what each address holds: SOL, then the charter's tokens at the token account by rule. It returns the lowest slot of which that is.
func (r *solanaReader) holdings(ctx context.Context) (slot uint64, err error) {
	r.o.Progress(fmt.Sprintf("%s: what %d addresses hold", r.c.Endpoint(), len(r.own)))
	mints, _, err := r.accounts(ctx, r.mints)
	if err != nil {
		return 0, err
	}
	var places []solana.Key
	for i, m := range mints {
		if m.Owner != solana.SPLToken && m.Owner != solana.Token2022 {
			return 0, fmt.Errorf("%s says that %s, the charter's token %s, is no token there: it is owned by %s", r.c.Endpoint(), r.mints[i], r.tokens[i].Name, m.Owner)
		}
	}
	for _, own := range r.own {
		places = append(places, own)
		for i, m := range mints {
			at, err := solana.AssociatedAccount(own, r.mints[i], m.Owner)
			if err != nil {
				return 0, err
			}
			places = append(places, at)
		}
	}
	if len(places) == 0 { // the slot is asked for all the same
		places = []solana.Key{solana.System}
	}
	all, slot, err := r.accounts(ctx, places)
	if err != nil {
		return 0, err
	}
	r.held = nil
	for i, own := range r.own {
		mine := all[i*(1+len(mints)):]
		balances := []verify.Balance{balance(r.coin, mine[0].Lamports)}
		for j, t := range r.tokens {
			balances = append(balances, balance(t, tokens(mine[1+j], own, r.mints[j])))
		}
		r.held = append(r.held, balances)
	}
	return slot, nil
}

// tokens are how many of a mint an account holds for a wallet: none if it is somebody else's.
func tokens(a sol.Account, own, mint solana.Key) uint64 {
	read, err := a.Read()
	if err != nil || read.Kind != solana.TokenAccount || read.Owner != own || read.Mint != mint {
		return 0
	}
	return binary.LittleEndian.Uint64(a.Data[64:72])
}

func balance(x verify.Asset, amount uint64) verify.Balance {
	n := new(big.Int).SetUint64(amount)
	b := verify.Balance{Asset: x.Name, Contract: x.Contract, Amount: n.String()}
	if x.Decimals >= 0 {
		b.Units = evm.FormatUnits(n, uint8(x.Decimals)) + " " + x.Name
	}
	return b
}

// read asks everything up to a slot.
func (r *solanaReader) read(ctx context.Context, height uint64) (out verify.Facts, err error) {
	out = verify.Facts{Chain: r.q.Chain, Height: height, At: height}
	head, found, err := r.block(ctx, height)
	if err == nil && !found {
		err = &laterError{fmt.Errorf("%s shows no block of slot %d, to which it or another endpoint has come: it is behind; verify again", r.c.Endpoint(), height)}
	}
	if err != nil {
		return out, err
	}
	out.Block, out.Time = head.Hash.String(), head.Time
	out.AtBlock = out.Block
	r.seen, r.left = map[sol.Signature]*sighting{}, maxListed
	lists := make([][]sol.Mention, len(r.own))
	cut := make([]sol.Block, len(r.own)) // below it the list was not read
	for i, own := range r.own {
		r.o.Progress(fmt.Sprintf("%s: address %d of %d", r.c.Endpoint(), i+1, len(r.own)))
		if lists[i], cut[i], err = r.list(ctx, own, height); err != nil {
			return out, fmt.Errorf("the transactions of %s: %w", own, err)
		}
		for _, m := range lists[i] {
			if old := r.seen[m.ID]; old != nil && old.of.Slot != m.Slot {
				return out, fmt.Errorf("%s contradicts itself about transaction %s: it lists it in slots %d and %d", r.c.Endpoint(), m.ID, old.of.Slot, m.Slot)
			}
			r.seen[m.ID] = &sighting{of: m}
		}
	}
	if err := r.fetch(ctx); err != nil {
		return out, err
	}
	floor, err := r.floor(ctx) // at last: what it keeps ends later and later
	if err != nil {
		return out, err
	}
	for i, own := range r.own {
		f := verify.SolanaFacts{Address: own.String(), Balances: r.held[i], Gaps: gapsBelow(floor, cut[i])}
		for _, m := range lists[i] {
			r.seen[m.ID].add(&f, own)
		}
		inOrder(&f)
		out.Solana = append(out.Solana, f)
	}
	return out, nil
}

func (r *solanaReader) block(ctx context.Context, slot uint64) (b sol.Block, found bool, err error) {
	err = r.patiently(ctx, func() (err error) { b, found, err = r.c.BlockAt(ctx, slot); return err })
	return b, found, err
}

// floor is the first block that the endpoint keeps, as far as it says.
func (r *solanaReader) floor(ctx context.Context) (b sol.Block, err error) {
	var slot uint64
	if err := r.patiently(ctx, func() (err error) { slot, err = r.c.FirstBlock(ctx); return err }); err != nil || slot == 0 {
		return b, err
	}
	if b, _, err = r.block(ctx, slot); err != nil {
		return b, err
	}
	b.Slot = slot // its time is not known where the block is gone already
	return b, nil
}

// gapsBelow says below which slot an address's transactions are not known.
func gapsBelow(floor, cut sol.Block) (out []verify.SolanaGap) {
	if floor.Slot > 0 {
		out = append(out, verify.SolanaGap{Slot: floor.Slot, Time: floor.Time, Why: "the endpoint keeps nothing older"})
	}
	if cut.Slot > floor.Slot {
		out = append(out, verify.SolanaGap{Slot: cut.Slot, Time: cut.Time, Why: fmt.Sprintf("only the last %d transactions that name an address are read, and %d of all addresses", maxPages*sol.MaxMentions, maxListed)})
	}
	return out
}

// list is the transactions that name an address up to a slot, the last first, each once; and the slot below which there may be more than are read, of which slot 0 says that there are none.
func (r *solanaReader) list(ctx context.Context, of solana.Key, height uint64) (all []sol.Mention, cut sol.Block, err error) {
	seen := map[sol.Signature]bool{}
	var last *sol.Mention
	for range maxPages {
		if r.left <= 0 {
			break
		}
		var page []sol.Mention
		err := r.patiently(ctx, func() (err error) {
			var before *sol.Signature
			if last != nil {
				before = &last.ID
			}
			page, err = r.c.Mentions(ctx, of, before, height)
			return err
		})
		if err != nil || len(page) == 0 {
			return all, cut, err
		}
		r.left -= len(page)
		for _, m := range page {
			switch {
			case seen[m.ID]:
				return nil, cut, fmt.Errorf("%s lists transaction %s twice: its list does not end", r.c.Endpoint(), m.ID)
			case last != nil && m.Slot > last.Slot:
				return nil, cut, fmt.Errorf("%s lists slot %d behind slot %d: the last must come first", r.c.Endpoint(), m.Slot, last.Slot)
			}
			seen[m.ID], last = true, &m
			if m.Slot <= height {
				all = append(all, m)
			}
		}
	}
	if last == nil {
		return nil, sol.Block{Slot: height + 1}, nil
	}
	return all, sol.Block{Slot: min(last.Slot, height) + 1, Time: last.Time}, nil // of the last one's slot itself there may be more
}

// fetch asks for all transactions that were listed, a few at the same time.
func (r *solanaReader) fetch(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan *sighting)
	var all sync.WaitGroup
	for range min(atOnce, len(r.seen)) {
		all.Go(func() {
			for s := range next {
				if err := r.one(ctx, s); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	n := 0
	for _, s := range r.seen {
		if n++; n%100 == 1 {
			r.o.Progress(fmt.Sprintf("%s: transaction %d of %d", r.c.Endpoint(), n, len(r.seen)))
		}
		select {
		case next <- s:
		case <-ctx.Done():
		}
	}
	close(next)
	all.Wait()
	return context.Cause(ctx)
}

// one asks for a transaction that was listed.
func (r *solanaReader) one(ctx context.Context, s *sighting) error {
	return r.patiently(ctx, func() error {
		tx, slot, failed, err := r.c.Landed(ctx, s.of.ID)
		switch {
		case errors.Is(err, sol.ErrVersion):
			s.why = err.Error()
		case err != nil:
			return err
		case tx == nil:
			s.why = "the endpoint lists it, and does not show it"
		case slot != s.of.Slot:
			return fmt.Errorf("%s contradicts itself about transaction %s: it lists it in slot %d, and shows it in slot %d", r.c.Endpoint(), s.of.ID, s.of.Slot, slot)
		}
		s.tx, s.failed = tx, failed
		return nil
	})
}

// add puts a transaction to an address's facts if the address signed it. One that it does not sign and that only names it, such as a payment to it, is nothing of its own.
func (s *sighting) add(f *verify.SolanaFacts, own solana.Key) {
	switch {
	case s.tx == nil && s.of.Slot >= floorOf(f.Gaps): // below it all is unknown
		f.Gaps = append(f.Gaps, verify.SolanaGap{ID: s.of.ID.String(), Slot: s.of.Slot, Time: s.of.Time, Why: s.why})
	case s.tx != nil && slices.Contains(s.tx.Signers, own):
		f.Sent = append(f.Sent, verify.SolanaSent{ID: s.tx.ID, Message: s.tx.Message, Slot: s.of.Slot, Time: s.of.Time, Failed: s.failed, Nonce: s.tx.Slot})
	}
}

// inOrder sorts by slot.
func inOrder(f *verify.SolanaFacts) {
	slices.SortFunc(f.Sent, func(a, b verify.SolanaSent) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), strings.Compare(a.ID, b.ID))
	})
	slices.SortFunc(f.Gaps, func(a, b verify.SolanaGap) int {
		return cmp.Or(cmp.Compare(a.Slot, b.Slot), strings.Compare(a.ID, b.ID))
	})
}
