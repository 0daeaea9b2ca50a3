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
	// maxHeadAge is how old an endpoint's latest block may be. A chain that makes blocks only when asked has older ones.
	maxHeadAge = 5 * time.Minute
)

// checkEndpoints asks all chain endpoints at once how they stand, and names the chains of this node's vaults that have none.
func (o *operator) checkEndpoints(ctx context.Context) []*pb.Check {
	type endpoint struct {
		chain string
		*rpc.EVM
	}
	var all []endpoint
	for _, chain := range sortedKeys(o.d.Endpoints) {
		for _, e := range o.d.Endpoints[chain].Members() {
			all = append(all, endpoint{chain, e})
		}
	}
	out := make([]*pb.Check, len(all))
	var wg sync.WaitGroup
	for i, e := range all {
		wg.Go(func() { out[i] = checkEndpoint(ctx, time.Now(), e.chain, e.EVM) })
	}
	wg.Wait()
	for i, e := range all {
		if len(o.d.Endpoints[e.chain].Members()) == 1 && out[i].State == "ok" {
			out[i].Next = "name another, of somebody else: this one's word on nonces, balances and blocks stands alone"
		}
	}
	var without []string
	for _, v := range o.d.Keeper.Roots() {
		for _, chain := range v.Vault.Chains {
			if o.d.Endpoints[chain] == nil && strings.HasPrefix(chain, "eip155:") && !v.Outside && v.Left.Epoch == 0 {
				without = append(without, chain)
			}
		}
	}
	slices.Sort(without)
	for _, chain := range slices.Compact(without) {
		out = append(out, &pb.Check{
			Name: "endpoint " + chain, State: "warn", What: "none: this node checks no nonce, fee or balance there, and sends no transaction",
			Next: "name an endpoint of your own under \"rpc\" in node.json",
		})
	}
	return out
}

func checkEndpoint(ctx context.Context, now time.Time, chain string, e *rpc.EVM) *pb.Check {
	ctx, cancel := context.WithTimeout(ctx, endpointTimeout)
	defer cancel()
	h, err := e.Health(ctx)
	check := &pb.Check{Name: "endpoint " + chain, State: "ok"}
	age := now.Sub(h.At).Round(time.Second)
	switch {
	case err != nil:
		check.State, check.What = "fail", err.Error()
		check.Next = "see that it runs and can be reached from here; its URL stands in node.json"
	case h.Chain != chain:
		check.State, check.What = "fail", fmt.Sprintf("%s serves chain %s", e.Endpoint(), h.Chain)
		check.Next = "put an endpoint of " + chain + " into node.json and start the node again: until then it denies what is for that chain"
	case age > maxHeadAge:
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
