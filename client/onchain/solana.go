package onchain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// Bounds of what is read of Solana.
const (
	maxPages  = 20      // of sol.MaxMentions transactions that name one address: anybody may name it in more, at a cost
	maxListed = 200_000 // transactions that name any of the addresses
	tries     = 5       // of a call that a busy endpoint refuses
)

// pause is before the second try; tests have no time for it.
var pause = time.Second

const solanaKind = "solana:"

// solanaChain checks a network's CAIP-2 id.
func solanaChain(chain string) error {
	reference, ok := strings.CutPrefix(chain, solanaKind)
	for _, c := range reference {
		ok = ok && strings.ContainsRune("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", c)
	}
	if !ok || len(reference) != 32 {
		return errors.New("a network of Solana is solana: and the first 32 characters of its genesis hash, such as solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")
	}
	return nil
}

func dialSolana(e Endpoint) error {
	if err := solanaChain(e.Chain); err != nil {
		return err
	}
	if _, err := sol.New(e.URL, rpc.Options{}); err != nil {
		return fmt.Errorf("%s: %w", e.Chain, err)
	}
	return nil
}

// laterError says that another answer may come a moment later.
type laterError struct{ error }

func (e *laterError) Unwrap() error { return e.error }

// gatherSolana is Gather for a network of Solana.
func gatherSolana(ctx context.Context, endpoints []Endpoint, q verify.Enquiry, o Options) verify.Facts {
	out := verify.Facts{Chain: q.Chain}
	unread := func(err error) verify.Facts { out.Unread = err.Error(); return out }
	if o.At != nil {
		return unread(errors.New("endpoints of Solana tell balances as of the newest slot alone: leave --at out for it"))
	}
	var all []*solanaReader
	for _, e := range endpoints {
		c, err := sol.New(e.URL, rpc.Options{Timeout: callTime})
		if err != nil {
			return unread(err)
		}
		r := &solanaReader{c: c, q: q, o: o}
		if err := r.parse(); err != nil {
			return unread(err)
		}
		all, out.Endpoints = append(all, r), append(out.Endpoints, c.Endpoint())
	}
	var err error
	for try := range rereads {
		if try > 0 && !wait(ctx, pause) {
			return unread(ctx.Err())
		}
		var facts verify.Facts
		if facts, err = readSolana(ctx, all); err == nil {
			facts.Endpoints = out.Endpoints
			return facts
		}
		if later := (*laterError)(nil); !errors.As(err, &later) {
			break
		}
	}
	return unread(err)
}

// wait is false where there is no time for it.
func wait(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// readSolana asks every endpoint as of one slot, the lowest to which their balances belong, and wants one answer.
func readSolana(ctx context.Context, all []*solanaReader) (out verify.Facts, err error) {
	for i, r := range all {
		if err := r.checkChain(ctx); err != nil {
			return out, err
		}
		slot, err := r.holdings(ctx)
		if err != nil {
			return out, err
		}
		if i == 0 || slot < out.Height {
			out.Height = slot
		}
	}
	for i, r := range all {
		facts, err := r.read(ctx, out.Height)
		switch {
		case err != nil:
			return out, err
		case i == 0:
			out = facts
			continue
		}
		if out, err = sameSolana(out, facts, all[0].c.Endpoint(), r.c.Endpoint()); err != nil {
			return out, err
		}
	}
	return out, nil
}

// sameSolana wants two endpoints to say the same, and keeps what is known by both. Of old slots that one keeps no more the other may tell: what an address signed there is proved by its
// signature, whoever shows it; that there is no more of it neither says.
func sameSolana(a, b verify.Facts, by, other string) (verify.Facts, error) {
	differ := func(what string, x, y any) error {
		return fmt.Errorf("%s and %s contradict one another about %s: %v and %v; one of them is behind, keeps less than it says, or lies: ask a third, and believe none meanwhile", by, other, what, x, y)
	}
	if a.Block != b.Block {
		return a, differ(fmt.Sprintf("the block of slot %d", a.Height), a.Block, b.Block)
	}
	for i := range a.Solana {
		x, y := &a.Solana[i], &b.Solana[i]
		if !slices.Equal(x.Balances, y.Balances) { // of slots that may lie apart
			return a, &laterError{differ("what "+x.Address+" holds", x.Balances, y.Balances)}
		}
		floor := max(floorOf(x.Gaps), floorOf(y.Gaps))
		one, two := listed(*x, floor), listed(*y, floor)
		for _, id := range one {
			if !slices.Contains(two, id) {
				return a, differ("what "+x.Address+" signed", id, "not that")
			}
		}
		for _, id := range two {
			if !slices.Contains(one, id) {
				return a, differ("what "+x.Address+" signed", "not this", id)
			}
		}
		for _, s := range y.Sent {
			if !slices.ContainsFunc(x.Sent, func(o verify.SolanaSent) bool { return o.ID == s.ID }) {
				x.Sent = append(x.Sent, s)
			}
		}
		for _, g := range y.Gaps {
			if !slices.ContainsFunc(x.Gaps, func(o verify.SolanaGap) bool { return o.ID == g.ID && o.Slot == g.Slot }) {
				x.Gaps = append(x.Gaps, g)
			}
		}
		inOrder(x)
	}
	return a, nil
}

// floorOf is the slot below which not all is known.
func floorOf(gaps []verify.SolanaGap) (slot uint64) {
	for _, g := range gaps {
		if g.ID == "" {
			slot = max(slot, g.Slot)
		}
	}
	return slot
}

// listed are an address's transactions from a slot on, as an endpoint has them, in words.
func listed(f verify.SolanaFacts, floor uint64) (out []string) {
	for _, s := range f.Sent {
		if s.Slot >= floor {
			out = append(out, fmt.Sprintf("transaction %s in slot %d (failed: %v)", s.ID, s.Slot, s.Failed))
		}
	}
	for _, g := range f.Gaps {
		if g.ID != "" && g.Slot >= floor {
			out = append(out, fmt.Sprintf("transaction %s in slot %d, which it does not show", g.ID, g.Slot))
		}
	}
	return out
}

// parse reads the addresses that are asked about, and the charter's tokens.
func (r *solanaReader) parse() error {
	for _, text := range r.q.Addresses {
		k, err := solana.ParseKey(text)
		if err != nil {
			return err
		}
		r.own = append(r.own, k)
	}
	r.coin = verify.Asset{Name: r.q.Chain, Chain: r.q.Chain, Decimals: -1}
	for _, a := range r.q.Assets {
		if a.Contract == "" {
			r.coin = a
			continue
		}
		k, err := solana.ParseKey(a.Contract)
		if err != nil {
			return fmt.Errorf("asset %s of the charter: %w", a.Name, err)
		}
		r.tokens, r.mints = append(r.tokens, a), append(r.mints, k)
	}
	return nil
}
