package sol

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// FallbackPrice is offered where endpoints know of no price, and the least that is offered, in millionths of a lamport for each compute unit: of a payment of
// tokens some hundred lamports. Too little only makes a transaction wait, and a transaction with a blockhash die.
const FallbackPrice = 10_000

// maxPrice is a thousand lamports for each compute unit: as a median, more is a lie.
const maxPrice = 1_000_000_000

// ErrSilent says that an endpoint knows of nobody who paid for compute units.
var ErrSilent = errors.New("prices of compute units are not known: nobody paid of late, or the endpoint does not tell; take one of your own")

// PriorityFee is the median of what transactions paid at least in each of the last 150 slots for writing the accounts, at most MaxAccounts, in millionths of a
// lamport for each compute unit; ErrSilent where the endpoint cannot tell. Slots in which somebody landed for nothing say nothing.
func (c *Client) PriorityFee(ctx context.Context, writable []solana.Key) (uint64, error) {
	const method = "getRecentPrioritizationFees"
	if len(writable) > MaxAccounts {
		return 0, fmt.Errorf("price of compute units: %d accounts, want %d at most", len(writable), MaxAccounts)
	}
	ask := []string{}
	for _, k := range writable {
		ask = append(ask, k.String())
	}
	var slots []struct {
		Price *uint64 `json:"prioritizationFee"`
	}
	err := c.CallUpTo(ctx, small, &slots, method, ask)
	if endpoint.Environment(err) != nil {
		return 0, err
	}
	var prices []uint64
	for _, s := range slots {
		if s.Price == nil {
			return 0, c.Broken(method, "answered with a slot without a price")
		}
		if *s.Price > 0 {
			prices = append(prices, *s.Price)
		}
	}
	if len(prices) == 0 {
		return 0, ErrSilent
	}
	price := median(prices)
	if price > maxPrice {
		return 0, c.Broken(method, "answered with prices of which the median is %d, above %d", price, maxPrice)
	}
	return price, nil
}

// PriorityFee is the median of what the endpoints say, of two the lower, and FallbackPrice at least. Unless more than half can tell it is that: a liar is not left
// alone with it.
func (p *Panel) PriorityFee(ctx context.Context, writable []solana.Key) (uint64, error) {
	all, err := endpoint.Ask(ctx, &p.Panel, "the price of compute units", func(ctx context.Context, m *Client) (uint64, error) {
		price, err := m.PriorityFee(ctx, writable)
		if errors.Is(err, ErrSilent) {
			return 0, nil
		}
		return price, err
	})
	if err != nil {
		return 0, err
	}
	var prices []uint64
	for _, x := range all {
		if x.Value > 0 {
			prices = append(prices, x.Value)
		}
	}
	if len(prices) < p.Need() {
		return FallbackPrice, nil
	}
	return max(median(prices), FallbackPrice), nil
}

func median(prices []uint64) uint64 {
	slices.Sort(prices)
	return prices[(len(prices)-1)/2]
}
