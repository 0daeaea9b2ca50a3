package sol

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// A Panel is a node's endpoints, 1 to 8, of one network. As of all chains (endpoint.Panel): where two differ, nothing is signed, and more than half must answer.
type Panel struct{ endpoint.Panel[*Client] }

// NewPanel makes a panel of endpoints of different hosts.
func NewPanel(urls []string, o endpoint.Options) (*Panel, error) {
	p, err := endpoint.NewPanel(urls, o, New)
	if err != nil {
		return nil, err
	}
	return &Panel{p}, nil
}

// CheckChain is Client.CheckChain by all.
func (p *Panel) CheckChain(ctx context.Context, chain string) error {
	return endpoint.Judge(ctx, &p.Panel, "the chain", func(ctx context.Context, m *Client) error { return m.CheckChain(ctx, chain) })
}

// BlockhashValid is Client.BlockhashValid, agreed on. Endpoints that are a slot apart may differ for a moment.
func (p *Panel) BlockhashValid(ctx context.Context, hash solana.Key) (bool, error) {
	what := "whether blockhash " + hash.String() + " can be used"
	all, err := endpoint.Ask(ctx, &p.Panel, what, func(ctx context.Context, m *Client) (bool, error) { return m.BlockhashValid(ctx, hash) })
	if err != nil {
		return false, err
	}
	return endpoint.Agreed(all, what, func(valid bool) string {
		if valid {
			return "that it can"
		}
		return "that it cannot"
	})
}

// Height is the one that all endpoints which answer have come to.
func (p *Panel) Height(ctx context.Context) (uint64, error) {
	all, err := endpoint.Ask(ctx, &p.Panel, "the height", func(ctx context.Context, m *Client) (uint64, error) { return m.Height(ctx) })
	if err != nil {
		return 0, err
	}
	return slices.MinFunc(all, func(a, b endpoint.Said[*Client, uint64]) int { return cmp.Compare(a.Value, b.Value) }).Value, nil
}

// LatestBlockhash is that of the first endpoint whose hash all agree can be used. How long it serves is that endpoint's word.
func (p *Panel) LatestBlockhash(ctx context.Context) (Blockhash, error) {
	var errs []error
	for _, m := range p.Members() {
		b, err := m.LatestBlockhash(ctx)
		if err == nil {
			var valid bool
			if valid, err = p.BlockhashValid(ctx, b.Hash); valid {
				return b, nil
			}
			if err == nil {
				err = fmt.Errorf("read the latest blockhash: endpoints agree that %s of %s cannot be used; ask again", b.Hash, m.Endpoint())
			}
		}
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
	}
	return Blockhash{}, errors.Join(errs...)
}

// Send gives a signed transaction to all endpoints (Client.Send). It is sent if one of them has it then: what they refuse or do not answer is given back only if none has.
func (p *Panel) Send(ctx context.Context, raw []byte) (Signature, error) {
	return endpoint.Send(ctx, &p.Panel, func(ctx context.Context, m *Client) (Signature, error) { return m.Send(ctx, raw) })
}

// Status is the level that more than half of the endpoints have reached, and what one of them says who have. On what is final they must agree; before that forks may
// have it in different slots, but whether it failed they must say alike, or one that lies would have a payment that landed taken for one that failed. What is Unknown is
// so by their recent blocks alone where fewer than that keep older ones.
func (p *Panel) Status(ctx context.Context, id Signature) (Status, error) {
	what := "what became of transaction " + id.String()
	all, err := endpoint.Ask(ctx, &p.Panel, what, func(ctx context.Context, m *Client) (Status, error) { return m.Status(ctx, id) })
	if err != nil {
		return Status{}, err
	}
	slices.SortStableFunc(all, func(a, b endpoint.Said[*Client, Status]) int { return cmp.Compare(b.Value.Level, a.Value.Level) })
	level := all[p.Need()-1].Value.Level
	if level == Unknown {
		search := slices.DeleteFunc(all, func(x endpoint.Said[*Client, Status]) bool { return x.Value.Recent })
		return Status{Recent: len(search) < p.Need()}, nil
	}
	have := slices.DeleteFunc(all, func(x endpoint.Said[*Client, Status]) bool { return x.Value.Level < level })
	s, err := endpoint.Agreed(have, what, func(s Status) string {
		switch {
		case level < Confirmed:
			return ""
		case level < Finalized && s.Err == "":
			return "that it did what it says"
		case level < Finalized:
			return "that it failed"
		}
		return s.words()
	})
	s.Level = level
	return s, err
}

func (s Status) words() string {
	if s.Err == "" {
		return fmt.Sprintf("that it stands in slot %d", s.Slot)
	}
	return fmt.Sprintf("that it failed in slot %d: %s", s.Slot, s.Err)
}

// MinimumRent is Client.MinimumRent, agreed on.
func (p *Panel) MinimumRent(ctx context.Context, size uint64) (uint64, error) {
	what := fmt.Sprintf("what an account of %d bytes must hold", size)
	all, err := endpoint.Ask(ctx, &p.Panel, what, func(ctx context.Context, m *Client) (uint64, error) { return m.MinimumRent(ctx, size) })
	if err != nil {
		return 0, err
	}
	return endpoint.Agreed(all, what, func(lamports uint64) string { return strconv.FormatUint(lamports, 10) + " lamports" })
}
