package api

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/node/rpc"
)

const (
	endpointTimeout = 3 * time.Second
	// maxHeadAge is how old an endpoint's latest block may be, and maxCoinAge on Bitcoin, where one of 150 takes longer than an hour. A chain that makes blocks only when asked has
	// older ones.
	maxHeadAge = 5 * time.Minute
	maxCoinAge = 2 * time.Hour
)

// An endpoint is one of a chain's, of whatever kind.
type endpoint interface {
	Endpoint() string
	Health(context.Context) (rpc.Health, error)
}

// checkEndpoints asks all chain endpoints at once how they stand, and names the chains of this node's vaults that have none.
func (o *operator) checkEndpoints(ctx context.Context) []*pb.Check {
	type asked struct {
		endpoint
		chain string
		among int
	}
	var all []asked
	for _, chain := range sortedKeys(o.d.Endpoints) {
		for _, e := range o.d.Endpoints[chain].Members() {
			all = append(all, asked{e, chain, len(o.d.Endpoints[chain].Members())})
		}
	}
	for _, chain := range sortedKeys(o.d.Coins) {
		for _, e := range o.d.Coins[chain].Members() {
			all = append(all, asked{e, chain, len(o.d.Coins[chain].Members())})
		}
	}
	out := make([]*pb.Check, len(all))
	var wg sync.WaitGroup
	for i, e := range all {
		wg.Go(func() { out[i] = checkEndpoint(ctx, time.Now(), e.chain, e.endpoint) })
	}
	wg.Wait()
	for i, e := range all {
		if e.among == 1 && out[i].State == "ok" {
			out[i].Next = "name another, of somebody else: this one's word on nonces, balances and blocks stands alone"
		}
	}
	out = append(out, o.checkPurses()...)
	if o.d.Delayed != nil {
		out = append(out, checkDelayed(o.d.Delayed.Safes())...)
	}
	var without []string
	for _, v := range o.d.Keeper.Roots() {
		for _, chain := range v.Vault.Chains {
			readable := strings.HasPrefix(chain, "eip155:") || strings.HasPrefix(chain, "bip122:")
			if o.d.Endpoints[chain] == nil && o.d.Coins[chain] == nil && readable && !v.Outside && v.Left.Epoch == 0 {
				without = append(without, chain)
			}
		}
	}
	slices.Sort(without)
	for _, chain := range slices.Compact(without) {
		what := "none: this node checks no nonce, fee or balance there, and sends no transaction"
		if strings.HasPrefix(chain, "bip122:") {
			what = "none: this node allows nothing there, since it cannot see that a coin is there, and unspent"
		}
		out = append(out, &pb.Check{
			Name: "endpoint " + chain, State: "warn", What: what, Next: "name an endpoint of your own under \"rpc\" in node.json",
		})
	}
	return out
}

// checkPurses says of each chain of Bitcoin how far its blocks were read.
func (o *operator) checkPurses() (out []*pb.Check) {
	for _, s := range o.d.Purses.State() {
		check := &pb.Check{Name: "blocks " + s.Chain, State: "ok", What: fmt.Sprintf("read up to %d", s.Height)}
		switch {
		case s.Err != nil:
			check.State, check.What = "warn", s.Err.Error()
			check.Next = "coins that came since are not shown until it is mended; what is signed is checked at the endpoints all the same"
		case s.Behind > 0:
			check.State, check.What = "warn", fmt.Sprintf("read up to %d, and %d are still to be read", s.Height, s.Behind)
			check.Next = "wait: until then coins are missing from `ostraka coin list`"
		}
		out = append(out, check)
	}
	return out
}

func checkEndpoint(ctx context.Context, now time.Time, chain string, e endpoint) *pb.Check {
	ctx, cancel := context.WithTimeout(ctx, endpointTimeout)
	defer cancel()
	h, err := e.Health(ctx)
	check := &pb.Check{Name: "endpoint " + chain, State: "ok"}
	age, oldest := now.Sub(h.At).Round(time.Second), maxHeadAge
	if strings.HasPrefix(chain, "bip122:") {
		oldest = maxCoinAge
	}
	switch {
	case err != nil:
		check.State, check.What = "fail", err.Error()
		check.Next = "see that it runs and can be reached from here; its URL stands in node.json"
	case h.Chain != chain:
		check.State, check.What = "fail", fmt.Sprintf("%s serves chain %s", e.Endpoint(), h.Chain)
		check.Next = "put an endpoint of " + chain + " into node.json and start the node again: until then it denies what is for that chain"
	case age > oldest:
		check.State, check.What = "warn", fmt.Sprintf("%s: its latest block, %d, is %s old", e.Endpoint(), h.Height, age)
		check.Next = "see whether it follows its chain: until it does, nonces and balances are those of then"
	case age < -maxSkew:
		check.State, check.What = "warn", fmt.Sprintf("%s: its latest block, %d, is %s in the future", e.Endpoint(), h.Height, -age)
		check.Next = "set this machine's clock"
	default:
		check.What = fmt.Sprintf("%s: block %d, %s old", e.Endpoint(), h.Height, max(age, 0))
	}
	return check
}
