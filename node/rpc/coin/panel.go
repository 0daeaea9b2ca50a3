package coin

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
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

// Check is Client.Check by all.
func (p *Panel) Check(ctx context.Context, s Spending) error {
	s, err := s.fixed() // Own is asked here, by one goroutine
	if err != nil {
		return err
	}
	return endpoint.Judge(ctx, &p.Panel, "the transaction", func(ctx context.Context, m *Client) error { return m.check(ctx, s) })
}

// CheckBlock is Client.CheckBlock by all.
func (p *Panel) CheckBlock(ctx context.Context, n bitcoin.Network, b Block) error {
	return endpoint.Judge(ctx, &p.Panel, fmt.Sprintf("block %d", b.Height), func(ctx context.Context, m *Client) error { return m.CheckBlock(ctx, n, b) })
}

// Tip is the height that all endpoints which answer have come to, and the hash of the block there, on which they agree.
func (p *Panel) Tip(ctx context.Context) (height uint32, id psbt.ID, err error) {
	all, err := endpoint.Ask(ctx, &p.Panel, "the height", func(ctx context.Context, m *Client) (uint32, error) { return m.Height(ctx) })
	if err != nil {
		return 0, id, err
	}
	height = all[0].Value
	for _, x := range all[1:] {
		height = min(height, x.Value)
	}
	id, err = p.HashAt(ctx, height)
	return height, id, err
}

// HashAt is the hash of the block at a height, on which all agree that have come there. While that is not more than half of all, it is a *endpoint.Behind.
func (p *Panel) HashAt(ctx context.Context, height uint32) (psbt.ID, error) {
	what := fmt.Sprintf("the hash of block %d", height)
	type at struct {
		id     psbt.ID
		behind *endpoint.Behind
	}
	all, err := endpoint.Ask(ctx, &p.Panel, what, func(ctx context.Context, m *Client) (a at, err error) {
		if a.id, err = m.HashAt(ctx, height); errors.As(err, &a.behind) {
			return a, nil
		}
		return a, err
	})
	if err != nil {
		return psbt.ID{}, err
	}
	have := slices.DeleteFunc(slices.Clone(all), func(x endpoint.Said[*Client, at]) bool { return x.Value.behind != nil })
	if len(have) < p.Need() {
		late := slices.IndexFunc(all, func(x endpoint.Said[*Client, at]) bool { return x.Value.behind != nil })
		return psbt.ID{}, all[late].Value.behind
	}
	a, err := endpoint.Agreed(have, what, func(a at) string { return a.id.String() })
	return a.id, err
}

// Block is a block's bytes, 81 to MaxBlock, from the first endpoint whose answer has that header (Client.Block). That it is not kept any more, all must say: while one of them gives no answer, the
// error is an environment's.
func (p *Panel) Block(ctx context.Context, id psbt.ID) ([]byte, error) {
	var errs []error
	for _, m := range p.Members() {
		raw, err := m.Block(ctx, id)
		if err == nil {
			return raw, nil
		}
		if errs = append(errs, err); ctx.Err() != nil {
			break
		}
	}
	for _, err := range errs {
		if endpoint.Environment(err) != nil {
			return nil, fmt.Errorf("block %s: no endpoint gives it (%v), and not all answer: %w", id, errors.Join(errs...), err)
		}
	}
	return nil, fmt.Errorf("block %s: no endpoint gives it: %w", id, errors.Join(errs...))
}

// Knows says whether some endpoint has a transaction in its pool or, where it has an index of transactions, in a block, and whether every one does: one that lies keeps nothing from the others.
func (p *Panel) Knows(ctx context.Context, id psbt.ID) (some, every bool, err error) {
	return endpoint.Known(ctx, &p.Panel, "a transaction", func(ctx context.Context, m *Client) (bool, error) { return m.Knows(ctx, id) })
}

// SendRaw gives a signed transaction to all endpoints (Client.SendRaw). It is sent if one of them has it then: what they refuse or do not answer is given back only if none has.
func (p *Panel) SendRaw(ctx context.Context, raw []byte) (psbt.ID, error) {
	return endpoint.Send(ctx, &p.Panel, func(ctx context.Context, m *Client) (psbt.ID, error) { return m.SendRaw(ctx, raw) })
}

// Rate is the median of what the endpoints say that a transaction pays which should stand in one of so many next blocks; of two the lower. It is ErrSilent unless
// more than half can tell: a liar is not left alone with it.
func (p *Panel) Rate(ctx context.Context, blocks int) (bitcoin.Rate, error) {
	all, err := endpoint.Ask(ctx, &p.Panel, "the rate of fees", func(ctx context.Context, m *Client) (bitcoin.Rate, error) {
		r, err := m.Rate(ctx, blocks)
		if errors.Is(err, ErrSilent) {
			return 0, nil
		}
		return r, err
	})
	if err != nil {
		return 0, err
	}
	told := slices.DeleteFunc(all, func(x endpoint.Said[*Client, bitcoin.Rate]) bool { return x.Value == 0 })
	if len(told) < p.Need() {
		return 0, ErrSilent
	}
	return median(told), nil
}

// MinRate is the median of the least that the endpoints take and pass on; of two the lower.
func (p *Panel) MinRate(ctx context.Context) (bitcoin.Rate, error) {
	all, err := endpoint.Ask(ctx, &p.Panel, "the least rate", func(ctx context.Context, m *Client) (bitcoin.Rate, error) { return m.MinRate(ctx) })
	if err != nil {
		return 0, err
	}
	return median(all), nil
}

func median(all []endpoint.Said[*Client, bitcoin.Rate]) bitcoin.Rate {
	var rates []bitcoin.Rate
	for _, x := range all {
		rates = append(rates, x.Value)
	}
	slices.Sort(rates)
	return rates[(len(rates)-1)/2]
}
