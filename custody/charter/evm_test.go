package charter

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/statement"
)

const bitcoinChain = "bip122:000000000019d6689c085ae165831e93"

// withEVM is a charter that names something of each kind.
func withEVM(t *testing.T) Document {
	t.Helper()
	d := must(ReadDocument([]byte(started(t)), nil))(t)
	d.Assets = append(d.Assets, Asset{Name: "zz-token", Chain: "eip155:1", Contract: "0x01", Decimals: 6, Unit: 6, Allowance: "5000000"}, Asset{Name: "zzz-art", Chain: "eip155:1", Contract: "0x02", Standard: ERC721})
	d.EVM = EVM{
		Networks:  []Network{{Chain: "eip155:1", SetCode: true, AccessLists: true}, {Chain: "eip155:10", DataFee: "1000"}},
		Contracts: []Contract{{Name: "staking", Chain: "eip155:1", Address: "0x03", Functions: []string{"function a()", "function b()"}, Delegates: []string{"function c()"}}},
		TypedData: []TypedData{{Name: "permit", Chain: "eip155:1", Contract: "0x01", Domain: "USD Coin", Version: "2", Salt: make([]byte, 32), Type: "Permit(address owner)"}},
		Codes:     []Code{{Name: "wallet", Chain: "eip155:1", Address: "0x04"}},
	}
	return d
}

// What a charter says of EVM chains is the same in the file, in the statement and in the document.
func TestEVMReadsBack(t *testing.T) {
	d := withEVM(t)
	rereads(t, d)
	d.EVM.Networks = append([]Network{{Chain: bitcoinChain, FeeRate: 50}}, d.EVM.Networks...)
	rereads(t, d)
	if d.EVM.FeeRate(bitcoinChain) != 50 || d.EVM.FeeRate("bip122:000000000933ea01ad0ee984209779ba") != DefaultFeeRate {
		t.Error("the highest rate of a fee is another than the charter says")
	}
	if n := strings.Count(d.File(), "no-eip1559"); n != 0 {
		t.Errorf("no-eip1559 is said %d times", n)
	}
}

func TestEVMRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Document)
		want   string
	}{
		"networks twice":            {func(d *Document) { d.EVM.Networks[1] = d.EVM.Networks[0] }, "networks"},
		"a network of another kind": {func(d *Document) { d.EVM.Networks[1].Chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" }, "is no EVM chain"},
		"Bitcoin with set-code":     {func(d *Document) { d.EVM.Networks[0].Chain = bitcoinChain }, "has a fee-rate, and nothing else"},
		"Bitcoin with nothing":      {func(d *Document) { d.EVM.Networks[0] = Network{Chain: bitcoinChain} }, "fee-rate"},
		"Bitcoin as it is":          {func(d *Document) { d.EVM.Networks[0] = Network{Chain: bitcoinChain, FeeRate: DefaultFeeRate} }, "fee-rate"},
		"Bitcoin at any fee":        {func(d *Document) { d.EVM.Networks[0] = Network{Chain: bitcoinChain, FeeRate: MaxFeeRate + 1} }, "fee-rate"},
		"a fee rate on Ethereum":    {func(d *Document) { d.EVM.Networks[0].FeeRate = 5 }, "Bitcoin's chains alone"},
		"a network like all":        {func(d *Document) { d.EVM.Networks[1].DataFee = "" }, "it differs in nothing"},
		"set-code without EIP-1559": {func(d *Document) { d.EVM.Networks[0].NoDynamic = true }, "has no EIP-7702"},
		"a data fee in hexadecimal": {func(d *Document) { d.EVM.Networks[1].DataFee = "0x10" }, "data-fee"},
		"a data fee of zero":        {func(d *Document) { d.EVM.Networks[1].DataFee = "0" }, "data-fee"},
		"a data fee with a zero":    {func(d *Document) { d.EVM.Networks[1].DataFee = "01" }, "data-fee"},
		"a data fee above 128 bits": {func(d *Document) { d.EVM.Networks[1].DataFee = "340282366920938463463374607431768211456" }, "data-fee"},
		"contracts out of order": {func(d *Document) {
			d.EVM.Contracts = append(d.EVM.Contracts, Contract{Name: "a", Chain: "eip155:1", Address: "0x05", Functions: []string{"function a()"}})
		}, "contracts"},
		"a contract without a label": {func(d *Document) { d.EVM.Contracts[0].Name = "Staking" }, "contract Staking"},
		"a contract nowhere":         {func(d *Document) { d.EVM.Contracts[0].Address = "" }, "address"},
		"a contract of no function":  {func(d *Document) { d.EVM.Contracts[0].Functions, d.EVM.Contracts[0].Delegates = nil, nil }, "functions: 0"},
		"functions out of order":     {func(d *Document) { slices.Reverse(d.EVM.Contracts[0].Functions) }, "functions"},
		"a function twice":           {func(d *Document) { d.EVM.Contracts[0].Functions[1] = d.EVM.Contracts[0].Functions[0] }, "functions"},
		"too many functions": {func(d *Document) {
			d.EVM.Contracts[0].Functions = nil
			for i := range statement.MaxFunctions {
				d.EVM.Contracts[0].Functions = append(d.EVM.Contracts[0].Functions, fmt.Sprintf("function f%02d()", i))
			}
		}, "functions: 65"},
		"too many contracts":              {func(d *Document) { d.EVM.Contracts = make([]Contract, statement.MaxContracts+1) }, "contracts: 129"},
		"typed data twice":                {func(d *Document) { d.EVM.TypedData = append(d.EVM.TypedData, d.EVM.TypedData[0]) }, "typed-data"},
		"a short salt":                    {func(d *Document) { d.EVM.TypedData[0].Salt = make([]byte, 31) }, "salt"},
		"codes twice":                     {func(d *Document) { d.EVM.Codes = append(d.EVM.Codes, d.EVM.Codes[0]) }, "codes"},
		"a code of Bitcoin":               {func(d *Document) { d.EVM.Codes[0].Chain = "bip122:000000000019d6689c085ae165831e93" }, "code wallet"},
		"a standard of none":              {func(d *Document) { d.Assets[len(d.Assets)-1].Standard = "erc20" }, "standard"},
		"a collection with decimals":      {func(d *Document) { d.Assets[len(d.Assets)-1].Decimals = 2 }, "standard"},
		"a collection without a contract": {func(d *Document) { d.Assets[len(d.Assets)-1].Contract = "" }, "standard"},
		"an allowance of a collection":    {func(d *Document) { d.Assets[len(d.Assets)-1].Allowance = "5" }, "allowance"},
		"an allowance of the chain's own": {func(d *Document) { d.Assets[len(d.Assets)-2].Contract = "" }, "allowance"},
		"an allowance that is no number":  {func(d *Document) { d.Assets[len(d.Assets)-2].Allowance = "all" }, "allowance"},
		"an allowance of 2^255": {func(d *Document) {
			d.Assets[len(d.Assets)-2].Allowance = "57896044618658097711785492504343953926634992332820282019728792003956564819968"
		}, "allowance"},
		"an allowance on another kind of chain": {func(d *Document) { d.Assets[len(d.Assets)-2].Chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" }, "is no EVM chain"},
	} {
		d := withEVM(t)
		if err := d.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&d)
		if err := d.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// What goes is stricter, what comes or changes is looser.
func TestEVMDiff(t *testing.T) {
	never := Removals{Label: func(string) bool { return true }, Group: func(string) bool { return true }}
	for name, c := range map[string]struct {
		change      func(*Document)
		there, back string
	}{
		"a network": {func(d *Document) { d.EVM.Networks = d.EVM.Networks[:1] }, "looser: network eip155:10: removed data fee 1000", "looser"},
		"a fee rate": {func(d *Document) {
			d.EVM.Networks = append([]Network{{Chain: bitcoinChain, FeeRate: 50}}, d.EVM.Networks...)
		}, "looser: network " + bitcoinChain + ": added fees up to 50 sat/vB", "looser"},
		"its marks":    {func(d *Document) { d.EVM.Networks[0].AccessLists = false }, "looser: network eip155:1: set-code yes, access-lists yes → set-code yes", "looser"},
		"a contract":   {func(d *Document) { d.EVM.Contracts = nil }, "stricter: contract staking: removed at 0x03, on eip155:1, functions function a(); function b(), delegates function c()", "looser"},
		"its address":  {func(d *Document) { d.EVM.Contracts[0].Address = "0x09" }, "looser: contract staking: address: 0x03 → 0x09", "looser"},
		"a function":   {func(d *Document) { d.EVM.Contracts[0].Functions = d.EVM.Contracts[0].Functions[:1] }, "stricter: contract staking: function: removed function b()", "looser"},
		"a delegate":   {func(d *Document) { d.EVM.Contracts[0].Delegates = nil }, "stricter: contract staking: delegate: removed function c()", "looser"},
		"typed data":   {func(d *Document) { d.EVM.TypedData = nil }, `stricter: typed data permit: removed type "Permit(address owner)", for 0x01`, "looser"},
		"its domain":   {func(d *Document) { d.EVM.TypedData[0].Version = "3" }, "looser: typed data permit", "looser"},
		"a code":       {func(d *Document) { d.EVM.Codes = nil }, "stricter: code wallet: removed at 0x04, on eip155:1", "looser"},
		"an allowance": {func(d *Document) { d.Assets[len(d.Assets)-2].Allowance = "" }, "looser: asset zz-token", "looser"},
		"a collection": {func(d *Document) { d.Assets[len(d.Assets)-1].Standard = ERC1155 }, "looser: asset zzz-art", "looser"},
	} {
		was, is := withEVM(t), withEVM(t)
		c.change(&is)
		if got := fmt.Sprint(was.Diff(is, never)); !strings.Contains(got, c.there) {
			t.Errorf("%s: %s, want %q", name, got, c.there)
		}
		if got := fmt.Sprint(is.Diff(was, never)); !strings.Contains(got, c.back) {
			t.Errorf("%s, back: %s", name, got)
		}
		if got := was.Diff(was, never); len(got) > 0 {
			t.Errorf("%s: differs from itself: %v", name, got)
		}
	}
}
