package client

import (
	"cmp"
	"context"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
)

// A Balance is what an address holds of one asset, as two nodes or more read it, each at its own endpoint, after one block.
type Balance struct {
	Account  string // department/name
	Address  string // empty: all of the account's, on Bitcoin
	Asset    string // as the charter names it; empty: the chain's own, which it does not name
	Contract string
	Amount   *big.Int // smallest unit
}

// Balances are a vault's on one chain.
type Balances struct {
	Chain  string
	Height uint64
	All    []Balance
	Left   int // addresses or coins that are not shown
	Nodes  []string
	Why    string // it cannot be read; empty: it can
}

// Balances reads what a vault holds on each of its chains. What two nodes do not say alike is an error; a chain that cannot be read says why.
func (c *Circle) Balances(ctx context.Context, v Vault) (out []Balances, err error) {
	accounts, _, err := c.Accounts(ctx, v)
	if err != nil {
		return nil, err
	}
	for _, on := range v.Chains {
		one := Balances{Chain: on}
		switch namespace, _, _ := strings.Cut(on, ":"); namespace {
		case "eip155":
			one, err = c.evmBalances(ctx, v, on)
		case "bip122":
			one, err = c.coinBalances(ctx, v, accounts, on)
		case "solana":
			one, err = c.solanaBalances(ctx, v, accounts, on)
		default:
			one.Why = "nodes of this release read nothing of it"
		}
		if err != nil && Classify(err) != NotReady {
			return nil, err
		}
		if err != nil {
			one.Why = err.Error()
		}
		out = append(out, one)
	}
	return out, nil
}

func (c *Circle) coinBalances(ctx context.Context, v Vault, accounts []Account, on string) (Balances, error) {
	out := Balances{Chain: on}
	own, _ := v.InForce().AssetOn(on, "", func(a, b string) bool { return a == b })
	for _, a := range accounts {
		h, err := c.Holding(ctx, v, a, on)
		if err != nil {
			return out, err
		}
		out.Nodes, out.Left = h.Nodes, out.Left+h.Left+h.Doubted
		if out.Height == 0 || uint64(h.Height) < out.Height {
			out.Height = uint64(h.Height)
		}
		out.All = append(out.All, Balance{Account: a.Department + "/" + a.Name, Asset: own.Name, Amount: new(big.Int).SetUint64(h.Sum)})
	}
	return out, nil
}

// evmBalances asks all nodes as of a block that two of them have come to.
func (c *Circle) evmBalances(ctx context.Context, v Vault, on string) (Balances, error) {
	out := Balances{Chain: on}
	at, err := c.Block(ctx, on, nil)
	if err != nil {
		return out, err
	}
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (*v1.BalancesResponse, error) {
		res, err := m.Balances(ctx, connect.NewRequest(&v1.BalancesRequest{Vault: v.ID[:], Chain: on, Height: &at.Height}))
		if err != nil {
			return nil, err
		}
		return res.Msg, nil
	})
	good, err := answers.Need("read balances at two nodes", 2)
	if err != nil {
		return out, err
	}
	// Each node counts for itself how many addresses it gave out: what two of them know is shown.
	said := map[string][]Copy{}
	shown := map[string]Balance{}
	for _, a := range good {
		out.Nodes = append(out.Nodes, a.Node)
		out.Left = max(out.Left, int(a.Value.Left))
		for _, b := range a.Value.Balances {
			one, err := v.readBalance(b)
			if err != nil {
				return out, &VerifyError{a.Node, err}
			}
			key := one.Address + " " + one.Contract
			said[key] = append(said[key], Copy{a.Node, []byte(one.Amount.String())})
			shown[key] = one
		}
	}
	for key, copies := range said {
		if len(copies) < 2 {
			continue
		}
		if err := Compare(fmt.Sprintf("what %s holds after block %d of %s", strings.TrimSpace(key), at.Height, on), copies); err != nil {
			return out, err
		}
		out.All = append(out.All, shown[key])
	}
	out.Height = at.Height
	slices.SortFunc(out.All, func(a, b Balance) int {
		return cmp.Or(strings.Compare(a.Account, b.Account), strings.Compare(a.Address, b.Address), strings.Compare(a.Contract, b.Contract))
	})
	return out, nil
}

// maxDigits is how many decimal digits a number of 256 bits has at most.
const maxDigits = 78

// uint256 reads a node's decimal number, below 2²⁵⁶. It is measured before it is read: reading takes longer than its length says.
func uint256(text string) (*big.Int, bool) {
	if len(text) > maxDigits {
		return nil, false
	}
	n, ok := new(big.Int).SetString(text, 10)
	return n, ok && n.Sign() >= 0 && n.BitLen() <= 256
}

func (v Vault) readBalance(m *v1.Balance) (b Balance, err error) {
	n, ok := uint256(m.Amount)
	if !ok {
		return b, fmt.Errorf("amount %.90q is no number below 2²⁵⁶", m.Amount)
	}
	at, err := evm.ParseAddress(m.Address)
	if err != nil {
		return b, err
	}
	contract := ""
	if m.Contract != "" {
		token, err := evm.ParseAddress(m.Contract)
		if err != nil {
			return b, err
		}
		contract = token.String()
	}
	return Balance{Account: plain(m.Department) + "/" + plain(m.Account), Address: at.String(), Asset: plain(m.Asset), Contract: contract, Amount: n}, nil
}
