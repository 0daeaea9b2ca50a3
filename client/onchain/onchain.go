package onchain

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/rpc"
)

// Bounds.
const (
	callTime     = 30 * time.Second
	maxBlock     = 64 << 20 // bytes of a block with its transactions
	atOnce       = 8        // calls to one endpoint
	maxSearched  = 64       // nonces of one address whose block is searched; the others are told as a number
	maxEndpoints = 4        // of one chain
	rereads      = 3        // when the chain is reorganised meanwhile
)

// An Endpoint is where a chain is asked.
type Endpoint struct {
	Chain string // CAIP-2: "eip155:1"
	URL   string // may hold credentials
}

// kinds are what can be read, by the first part of a chain's id: each checks the id, and the endpoint's URL.
var kinds = map[string]func(Endpoint) error{
	"eip155": dialEVM,
	"bip122": func(e Endpoint) error {
		_, err := dialBitcoin(e)
		return err
	},
	"solana": dialSolana,
}

// ParseEndpoint reads CHAIN=URL, of a chain that can be read. Its error holds nothing of the URL.
func ParseEndpoint(text string) (Endpoint, error) {
	chain, url, ok := strings.Cut(text, "=")
	if !ok {
		return Endpoint{}, errors.New("an endpoint is CHAIN=URL, such as eip155:1=https://…")
	}
	kind, _, _ := strings.Cut(chain, ":")
	dial := kinds[kind]
	if dial == nil {
		return Endpoint{}, fmt.Errorf("chain %.64q cannot be read: this release reads chains like Ethereum (eip155:1), Bitcoin (bip122:000000000019d6689c085ae165831e93) and Solana (solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp)", chain)
	}
	if err := dial(Endpoint{chain, url}); err != nil {
		return Endpoint{}, err
	}
	return Endpoint{chain, url}, nil
}

// ParseEVM is ParseEndpoint for who makes transactions of chains like Ethereum.
func ParseEVM(text string) (Endpoint, error) {
	e, err := ParseEndpoint(text)
	if err == nil {
		_, err = number(e.Chain)
	}
	return e, err
}

func dialEVM(e Endpoint) error {
	if _, err := number(e.Chain); err != nil {
		return err
	}
	if _, err := rpc.NewEVM(e.URL, rpc.Options{}); err != nil {
		return fmt.Errorf("%s: %w", e.Chain, err)
	}
	return nil
}

// number is an EVM chain's.
func number(chain string) (uint64, error) {
	digits, ok := strings.CutPrefix(chain, "eip155:")
	n, err := strconv.ParseUint(digits, 10, 64)
	if !ok || err != nil || strconv.FormatUint(n, 10) != digits {
		return 0, fmt.Errorf("chain %.64q is none like Ethereum: give one such as eip155:1", chain)
	}
	return n, nil
}

// Chains are those of some endpoints, ascending.
func Chains(all []Endpoint) (out []string) {
	for _, e := range all {
		if !slices.Contains(out, e.Chain) {
			out = append(out, e.Chain)
		}
	}
	slices.Sort(out)
	return out
}

// Options of Gather. At may be nil: balances are those of the newest block. From too: of Bitcoin, blocks are read from when the first address was given out.
type Options struct {
	At, From *uint64
	Kept     *Kept // of Bitcoin, what was read before; nil: all is read each time
	Progress func(text string)
}

// Gather asks the endpoints of one chain. What cannot be read, or is said in two ways, stands in the facts: it returns no error.
func Gather(ctx context.Context, endpoints []Endpoint, q verify.Enquiry, o Options) verify.Facts {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	out := verify.Facts{Chain: q.Chain}
	var clients []*rpc.EVM
	unread := func(err error) verify.Facts { out.Unread = err.Error(); return out }
	if len(endpoints) > maxEndpoints {
		return unread(fmt.Errorf("%d endpoints are given for it, at most %d are asked", len(endpoints), maxEndpoints))
	}
	if bitcoinChain(q.Chain) {
		facts, err := gatherBitcoin(ctx, endpoints, q, o)
		if out.Endpoints = facts.Endpoints; err != nil {
			return unread(err)
		}
		return facts
	}
	if strings.HasPrefix(q.Chain, solanaKind) {
		return gatherSolana(ctx, endpoints, q, o)
	}
	for _, e := range endpoints {
		c, err := rpc.NewEVM(e.URL, rpc.Options{Timeout: callTime, MaxBody: maxBlock})
		if err != nil {
			return unread(err)
		}
		clients, out.Endpoints = append(clients, c), append(out.Endpoints, c.Endpoint())
	}
	facts, err := steady(func() (verify.Facts, error) { return gather(ctx, clients, q, o) })
	if err != nil {
		return unread(err)
	}
	facts.Endpoints = out.Endpoints
	return facts
}

// steady reads a chain until it is not reorganised meanwhile, a few times at most.
func steady(read func() (verify.Facts, error)) (out verify.Facts, err error) {
	for range rereads {
		out, err = read()
		var moved *movedError
		if !errors.As(err, &moved) {
			break
		}
	}
	return out, err
}

// movedError says that a block was replaced while the chain was read.
type movedError struct {
	endpoint string
	height   uint64
}

func (e *movedError) Error() string {
	return fmt.Sprintf("%s replaced block %d while it was read: the chain is being reorganised; verify again", e.endpoint, e.height)
}

// gather asks every endpoint as of one block, and wants one answer.
func gather(ctx context.Context, clients []*rpc.EVM, q verify.Enquiry, o Options) (out verify.Facts, err error) {
	chainID, err := number(q.Chain)
	if err != nil {
		return out, err
	}
	var head rpc.Header
	for i, c := range clients {
		if err := checkChain(ctx, c, chainID); err != nil {
			return out, err
		}
		h, err := c.Latest(ctx)
		if err != nil {
			return out, err
		}
		if i == 0 || h.Height < head.Height {
			head = h
		}
	}
	for i, c := range clients {
		facts, err := (&reader{c: c, chainID: chainID, q: q, o: o}).read(ctx, head.Height)
		if err != nil {
			return out, err
		}
		if i == 0 {
			out = facts
		} else if err := same(out, facts, clients[0].Endpoint(), c.Endpoint()); err != nil {
			return out, err
		}
	}
	return out, nil
}

func checkChain(ctx context.Context, c *rpc.EVM, want uint64) error {
	id, err := c.ChainID(ctx)
	if err == nil && id != want {
		err = fmt.Errorf("%s serves chain eip155:%d, not eip155:%d: give each chain its own endpoint", c.Endpoint(), id, want)
	}
	return err
}

// same wants two endpoints to say the same: one of them lies, or is on another fork.
func same(a, b verify.Facts, by, other string) error {
	differ := func(what string, x, y any) error { return contradict(by, other, what, x, y) }
	if a.Block != b.Block || a.AtBlock != b.AtBlock {
		return differ(fmt.Sprintf("block %d", a.Height), a.Block, b.Block)
	}
	for i := range a.Addresses {
		x, y := a.Addresses[i], b.Addresses[i]
		switch {
		case x.Nonce != y.Nonce:
			return differ("how many nonces "+x.Address+" used", x.Nonce, y.Nonce)
		case x.Delegate != y.Delegate:
			return differ("the code of "+x.Address, x.Delegate, y.Delegate)
		case !slices.Equal(x.Balances, y.Balances):
			return differ("what "+x.Address+" holds", x.Balances, y.Balances)
		case !reflect.DeepEqual(hashes(x), hashes(y)) && len(x.Gaps) == 0 && len(y.Gaps) == 0:
			return differ("the transactions of "+x.Address, hashes(x), hashes(y))
		}
	}
	for i := range a.Safes {
		if x, y := a.Safes[i], b.Safes[i]; !reflect.DeepEqual(x, y) {
			return differ("the Safe "+x.Safe, fmt.Sprintf("%d calls wait, %q", x.Waiting, x.Unlike), fmt.Sprintf("%d calls wait, %q", y.Waiting, y.Unlike))
		}
	}
	return nil
}

func contradict(by, other, what string, x, y any) error {
	return fmt.Errorf("%s and %s contradict one another about %s: %v and %v; one of them is behind, on another fork, or lies: ask a third, and believe none meanwhile", by, other, what, x, y)
}

func hashes(a verify.AddressFacts) (out []string) {
	for _, o := range a.Outgoing {
		out = append(out, evm.Hash(o.Hash).String())
	}
	return out
}

// balances are the chain's own coin, then the charter's tokens.
func (r *reader) balances(ctx context.Context, a evm.Address, at uint64) (out []verify.Balance, err error) {
	own := verify.Asset{Name: r.q.Chain, Chain: r.q.Chain, Decimals: -1}
	var tokens []verify.Asset
	for _, x := range r.q.Assets {
		if x.Contract == "" {
			own = x
		} else {
			tokens = append(tokens, x)
		}
	}
	for _, x := range append([]verify.Asset{own}, tokens...) {
		var amount *big.Int
		if x.Contract == "" {
			amount, err = r.c.BalanceAt(ctx, a, at)
		} else {
			var token evm.Address
			if token, err = evm.ParseAddress(x.Contract); err == nil {
				amount, err = r.c.TokenBalanceAt(ctx, token, a, at)
			}
		}
		if err != nil {
			return nil, fmt.Errorf("%s of %s after block %d: %w%s", x.Name, a, at, err, pruned(err))
		}
		b := verify.Balance{Asset: x.Name, Contract: x.Contract, Amount: amount.String()}
		if x.Decimals >= 0 {
			b.Units = evm.FormatUnits(amount, uint8(x.Decimals)) + " " + x.Name
		}
		out = append(out, b)
	}
	return out, nil
}

// pruned says what may be behind a refusal.
func pruned(err error) string {
	var refusal *rpc.CallError
	if errors.As(err, &refusal) {
		return "; an endpoint that keeps old state (an archive node) answers for any block, others for the newest alone"
	}
	return ""
}
