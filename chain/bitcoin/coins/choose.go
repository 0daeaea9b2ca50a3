package coins

import (
	"math/rand/v2"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin"
)

// maxTries bounds the search for coins that need no change.
const maxTries = 100_000

// exact searches coins, the largest first, whose values sum up to target or at most slack more, with the least waste: what is overpaid, and what inputs cost
// more now than they would at the long rate. It is branch and bound (Murch, 2016; Bitcoin Core's SelectCoinsBnB). nil: none was found.
func exact(coins []Coin, target, slack int64, rate, long bitcoin.Rate) []Coin {
	values, wastes := make([]int64, len(coins)), make([]int64, len(coins))
	rest := int64(0)
	for i, c := range coins {
		values[i], wastes[i] = c.value(rate), int64(c.cost(rate))-int64(c.cost(long))
		rest += values[i]
	}
	dear := rate > long // each more input is a waste
	var chosen, best []int
	var sum, waste, least int64
	next := 0
	for range maxTries {
		back := false
		switch {
		case sum+rest < target, sum > target+slack, best != nil && dear && waste > least:
			back = true
		case sum >= target:
			if w := waste + sum - target; best == nil || w <= least {
				best, least = slices.Clone(chosen), w
			}
			back = true
		case next == len(coins):
			back = true
		}
		if back {
			if len(chosen) == 0 {
				break
			}
			last := chosen[len(chosen)-1]
			for next--; next > last; next-- { // those that were passed over
				rest += values[next]
			}
			chosen, sum, waste = chosen[:len(chosen)-1], sum-values[last], waste-wastes[last]
			next = last + 1
			continue
		}
		rest -= values[next]
		// what was passed over makes its equal needless
		if len(chosen) == 0 || chosen[len(chosen)-1] == next-1 || values[next] != values[next-1] || wastes[next] != wastes[next-1] {
			chosen, sum, waste = append(chosen, next), sum+values[next], waste+wastes[next]
		}
		next++
	}
	var out []Coin
	for _, i := range best {
		out = append(out, coins[i])
	}
	return out
}

// enough takes coins until their values reach target: those that add most first, or with a seed in an order that nobody foresees (single random draw), so
// that which coins go together tells less of what the vault holds. nil: all of them do not reach it.
func enough(coins []Coin, target int64, rate bitcoin.Rate, seed *[32]byte) []Coin {
	coins = slices.Clone(coins)
	if seed != nil {
		rand.New(rand.NewChaCha8(*seed)).Shuffle(len(coins), func(i, j int) { coins[i], coins[j] = coins[j], coins[i] })
	}
	var sum int64
	for i, c := range coins {
		if sum += c.value(rate); sum >= target {
			return coins[:i+1]
		}
	}
	return nil
}
