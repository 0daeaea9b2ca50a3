package policy

import (
	"math/big"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
)

const staked = "0x00000000000000000000000000000000000057A6"

func withBook() charter.Document {
	d := document()
	d.Assets[1].Allowance = "1000000000"
	d.EVM = charter.EVM{
		Networks:  []charter.Network{{Chain: "eip155:1", SetCode: true, AccessLists: true, DataFee: "1000"}},
		Contracts: []charter.Contract{{Name: "staking", Chain: "eip155:1", Address: staked, Functions: []string{"function deposit(uint256 assets) payable"}, Delegates: []string{"function sweep(address to)"}}},
		TypedData: []charter.TypedData{{Name: "permit", Chain: "eip155:1", Contract: usdc, Domain: "USD Coin", Version: "2", Type: "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"}},
		Codes:     []charter.Code{{Name: "wallet", Chain: "eip155:1", Address: staked}},
	}
	return d
}

// A charter whose names no node could read is refused with the charter: what is wrong is named.
func TestBookRefused(t *testing.T) {
	if _, err := Of(withBook()); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*charter.Document)
		want   string
	}{
		"a delayed Safe at a false checksum": {func(d *charter.Document) {
			d.Vaults[0].Delayed = []charter.Delayed{{Chain: "eip155:1", Safe: "0xA0B86991c6218b36c1d19D4a2e9Eb0cE3606eB48", Module: staked, Key: staked}}
		}, "delayed on eip155:1: safe"},
		"a delayed Safe that is a token": {func(d *charter.Document) {
			d.Vaults[0].Delayed = []charter.Delayed{{Chain: "eip155:1", Safe: usdc, Module: "0x" + strings.Repeat("1", 40), Key: "0x" + strings.Repeat("2", 40)}}
		}, "another part"},
		"a function that is none": {func(d *charter.Document) { d.EVM.Contracts[0].Functions[0] = "deposit" }, "contract 1"},
		"one that the room reads itself": {func(d *charter.Document) {
			d.EVM.Contracts[0].Functions[0] = "function transfer(address to,uint256 amount)"
		}, "cannot be registered"},
		"one that attackers call":    {func(d *charter.Document) { d.EVM.Contracts[0].Functions[0] = "function multicall(bytes[] calls)" }, "cannot be registered"},
		"two with one selector":      {func(d *charter.Document) { d.EVM.Contracts[0].Delegates[0] = "function deposit(uint256 other)" }, "has its selector"},
		"a contract that is a token": {func(d *charter.Document) { d.EVM.Contracts[0].Address = usdc }, "another part"},
		"a contract at zero":         {func(d *charter.Document) { d.EVM.Contracts[0].Address = "0x" + strings.Repeat("0", 40) }, "zero address"},
		"a contract at a false checksum": {func(d *charter.Document) {
			d.EVM.Contracts[0].Address = "0xA0B86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
		}, "contract staking"},
		"on a chain that nobody uses":       {func(d *charter.Document) { d.EVM.Contracts[0].Chain = "eip155:77" }, "no chain 77"},
		"typed data that is none":           {func(d *charter.Document) { d.EVM.TypedData[0].Type = "Permit" }, "document 1"},
		"a permit of what is no token":      {func(d *charter.Document) { d.EVM.TypedData[0].Contract = staked }, "token that the book does not name"},
		"typed data at no address":          {func(d *charter.Document) { d.EVM.TypedData[0].Contract = "usdc" }, "typed data permit"},
		"a code where no chain takes any":   {func(d *charter.Document) { d.EVM.Networks[0].SetCode = false }, "no EIP-7702"},
		"a code at no address":              {func(d *charter.Document) { d.EVM.Codes[0].Address = "0x12" }, "code wallet"},
		"a chain whose number is too large": {func(d *charter.Document) { d.EVM.Contracts[0].Chain = "eip155:18446744073709551615" }, "is no EVM chain"},
		"a chain with a zero before":        {func(d *charter.Document) { d.EVM.Codes[0].Chain = "eip155:01" }, "is no EVM chain"},
	} {
		d := withBook()
		c.change(&d)
		if _, err := Of(d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What the charter says is what the room reads: chains, tokens with their caps, contracts, and the rollup's own fee.
func TestBookOf(t *testing.T) {
	book, err := BookOf(withBook())
	if err != nil {
		t.Fatal(err)
	}
	at := evm.Context{Account: evm.Account{Address: address(t, "0x00000000000000000000000000000000000000f1")}, Allowed: book.EVM}
	read := func(to, function, arguments string, value int64) (*evm.Payload, error) {
		t.Helper()
		data, err := evm.Calldata(function, []byte(arguments))
		if err != nil {
			t.Fatal(err)
		}
		raw, err := evm.BuildIn(evm.Draft{ChainID: 1, Gas: 90000, FeeCap: big.NewInt(1e9), TipCap: big.NewInt(1), To: address(t, to), Value: big.NewInt(value), Data: data}, at)
		if err != nil {
			return nil, err
		}
		return evm.DecodeIn(raw, at)
	}
	for name, c := range map[string]struct {
		to, function, arguments string
		value                   int64
		want                    Operation
	}{
		"an allowance": {usdc, "function approve(address spender,uint256 amount)", `["` + staked + `","1000000000"]`, 0, Allowance},
		"above it":     {usdc, "function approve(address spender,uint256 amount)", `["` + staked + `","1000000001"]`, 0, Unlimited},
		"a call":       {staked, "function deposit(uint256 assets) payable", `["7"]`, 1, Call},
		"a delegate":   {staked, "function sweep(address to)", `["` + usdc + `"]`, 0, ""},
		"a stranger":   {salaries, "function deposit(uint256 assets) payable", `["7"]`, 0, ""},
	} {
		p, err := read(c.to, c.function, c.arguments, c.value)
		if c.want == "" {
			if err == nil {
				t.Errorf("%s is read: %v", name, p.Effects())
			}
			continue
		}
		if err != nil || p.Effects()[0].Operation != c.want {
			t.Errorf("%s: %v, %v", name, p, err)
			continue
		}
		if fee := p.Effects()[len(p.Effects())-1]; fee.Operation != Fee || fee.Amount.Cmp(big.NewInt(90000e9+1000)) != 0 {
			t.Errorf("%s: fee %v", name, fee)
		}
	}
}
