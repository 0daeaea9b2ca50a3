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
	panels := map[string][]endpoint{}
	for chain, p := range o.d.Endpoints {
		for _, e := range p.Members() {
			panels[chain] = append(panels[chain], e)
		}
	}
	for chain, p := range o.d.Coins {
		for _, e := range p.Members() {
			panels[chain] = append(panels[chain], e)
		}
	}
	for chain, p := range o.d.Solana {
		for _, e := range p.Members() {
			panels[chain] = append(panels[chain], e)
		}
	}
	out := checkPanels(ctx, time.Now(), panels)
	out = append(out, o.checkPurses()...)
	if o.d.Delayed != nil {
		out = append(out, checkDelayed(o.d.Delayed.Safes())...)
	}
	var without []string
	for _, v := range o.d.Keeper.Roots() {
		for _, chain := range v.Vault.Chains {
			if o.d.Endpoints[chain] == nil && o.d.Coins[chain] == nil && o.d.Solana[chain] == nil && readable(chain) && !v.Outside && v.Left.Epoch == 0 {
				without = append(without, chain)
			}
		}
	}
	slices.Sort(without)
	for _, chain := range slices.Compact(without) {
		what := "none: this node checks no nonce, fee or balance there, and sends no transaction"
		if strings.HasPrefix(chain, "bip122:") {
			what = "none: this node allows nothing there, since it cannot see that a coin is there, and unspent"
		} else if strings.HasPrefix(chain, "solana:") {
			what = "none: this node allows nothing there, since it cannot see what the accounts of a transaction are"
		}
		out = append(out, &pb.Check{
			Name: "endpoint " + chain, State: "warn", What: what, Next: "name an endpoint of your own under \"rpc\" in node.json",
		})
	}
	return out
}

// readable says whether nodes of this release can read a chain.
func readable(chain string) bool {
	namespace, _, _ := strings.Cut(chain, ":")
	return slices.Contains([]string{"eip155", "bip122", "solana"}, namespace)
}

// checkPanels says of each chain's endpoints how they stand, and whether enough of them can be used.
func checkPanels(ctx context.Context, now time.Time, panels map[string][]endpoint) (out []*pb.Check) {
	for _, chain := range sortedKeys(panels) {
		for range panels[chain] {
			out = append(out, nil)
		}
	}
	var wg sync.WaitGroup
	next := 0
	for _, chain := range sortedKeys(panels) {
		for _, e := range panels[chain] {
			at := next
			wg.Go(func() { out[at] = checkEndpoint(ctx, now, chain, e) })
			next++
		}
	}
	wg.Wait()
	rows := out
	for _, chain := range sortedKeys(panels) {
		of := len(panels[chain])
		out = append(out, checkMajority(chain, rows[:of])...)
		rows = rows[of:]
	}
	return out
}

// checkMajority says where a chain's endpoints are too few to be believed: one that lies is then alone with the node, or would be once the others fail.
func checkMajority(chain string, rows []*pb.Check) []*pb.Check {
	usable := 0
	for _, r := range rows {
		if r.State != "fail" {
			usable++
		}
	}
	need := len(rows)/2 + 1
	switch {
	case len(rows) > 1 && usable < need:
		return []*pb.Check{{
			Name: "endpoints " + chain, State: "fail", What: fmt.Sprintf("%d of %d can be used, and %d must be: this node allows nothing there, whatever they say", usable, len(rows), need),
			Next: "mend those that fail, or name others under \"rpc\" in node.json",
		}}
	case len(rows) == 1 && usable == 1:
		return []*pb.Check{{
			Name: "endpoints " + chain, State: "warn", What: "one alone: if it lies about nonces, balances, coins or blocks, this node believes it",
			Next: "name two more, of others than whose it is, under \"rpc\" in node.json",
		}}
	}
	return nil
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
