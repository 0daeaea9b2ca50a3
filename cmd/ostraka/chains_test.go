package main

import (
	"context"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/mpc/epoch"
)

const (
	bitcoinMain = "bip122:000000000019d6689c085ae165831e93"
	solanaMain  = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
)

// vaultOfAll signs for a chain of each kind.
func vaultOfAll() client.Vault {
	v := client.Vault{Roots: []client.Root{{Suite: charter.SuiteECDSA, State: client.Ready, Record: &epoch.Record{
		Suite: charter.SuiteECDSA, Public: secp256k1.BaseMul(secp256k1.NewScalar(7)), ChainCode: [32]byte{9},
	}}, {Suite: charter.SuiteEd25519}}}
	v.Name, v.Suites, v.Chains = "all", []string{charter.SuiteECDSA, charter.SuiteEd25519}, []string{bitcoinMain, "eip155:1", solanaMain}
	return v
}

// Nobody needs to say on which chain an address is, where only one of the vault's writes it so.
func TestFindChain(t *testing.T) {
	v := vaultOfAll()
	for to, want := range map[string]string{
		"0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf":   "eip155:1",
		"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4":   bitcoinMain,
		"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v": solanaMain,
		"": "",
		"0x7E5F4552091A69125d5DfCb7b8C2659029395BdF": "", // a wrong checksum, which the one chain like Ethereum names
	} {
		p := proposal{to: to}
		if err := p.findChain(v); err != nil || p.chain != want {
			t.Errorf("%s: %s, %v", to, p.chain, err)
		}
	}
	p := proposal{to: "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx"}
	if err := p.findChain(v); err == nil || !strings.Contains(err.Error(), "is no address on any chain of vault all, which signs for: "+bitcoinMain+", eip155:1, "+solanaMain) {
		t.Errorf("of a test network: %s, %v", p.chain, err)
	}
	v.Chains = append(v.Chains, "eip155:10")
	p = proposal{to: "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf"}
	if err := p.findChain(v); err == nil || explain(err).Code != codeUsage || !strings.Contains(err.Error(), "give --chain, one of eip155:1, eip155:10") {
		t.Errorf("two chains: %s, %v", p.chain, err)
	}
	p.chain = "eip155:10"
	if err := p.findChain(v); err != nil || p.chain != "eip155:10" {
		t.Errorf("a chain was given: %s, %v", p.chain, err)
	}
}

// What is done on chains like Ethereum alone asks for no --chain because of Bitcoin, which the same key signs for.
func TestEVMSender(t *testing.T) {
	v := vaultOfAll()
	if _, err := evmSender(context.Background(), &client.Circle{}, v, "", "ops"); err == nil || !strings.Contains(err.Error(), "want DEPARTMENT/ACCOUNT") {
		t.Errorf("%v", err)
	}
	v.Chains = []string{bitcoinMain}
	if _, err := evmSender(context.Background(), &client.Circle{}, v, "", "ops"); err == nil || !strings.Contains(err.Error(), "signs for no chain like Ethereum; it does for: "+bitcoinMain) {
		t.Errorf("%v", err)
	}
	v.Chains = []string{"eip155:1"}
	if _, err := bitcoinOf(v, ""); err == nil || !strings.Contains(err.Error(), "signs for no chain of Bitcoin; it does for: eip155:1") {
		t.Errorf("%v", err)
	}
}

// One key has an address of each form that its chains write, and a list shows those of every key.
func TestAddressForms(t *testing.T) {
	v := vaultOfAll()
	x := client.Account{Account: charter.Account{Department: "ops", Name: "main"}}
	path := hd.Path{0, 0, 0}
	bitcoin, key, err := v.Address(v.Roots[0], bitcoinMain, path)
	if err != nil {
		t.Fatal(err)
	}
	ethereum, _, err := v.Address(v.Roots[0], "eip155:1", path)
	if err != nil {
		t.Fatal(err)
	}
	d, err := addressOf(v, x, client.Address{Path: path, Suite: charter.SuiteECDSA, Chain: bitcoinMain, Address: bitcoin, PublicKey: key.Bytes()})
	if err != nil || !slices.Equal(d.Forms, []form{{bitcoinMain, bitcoin}, {"eip155:1", ethereum}}) || !strings.HasPrefix(ethereum, "0x") {
		t.Errorf("%+v, %v", d, err)
	}
	var b strings.Builder
	printAddressList(&b, []addressDocument{d})
	if want := "m/0/0/0      " + bitcoin + "  " + bitcoinMain + "\nm/0/0/0      " + ethereum + "  eip155:1\n"; b.String() != want {
		t.Errorf("%s, not %s", b.String(), want)
	}
	if all, err := rootsFor(v, ""); err != nil || len(all) != 2 {
		t.Errorf("%d roots, %v", len(all), err)
	}
	if one, err := rootsFor(v, charter.SuiteEd25519); err != nil || len(one) != 1 || one[0].Suite != charter.SuiteEd25519 {
		t.Errorf("%+v, %v", one, err)
	}
	if _, err := rootFor(v, ""); err == nil || !strings.Contains(err.Error(), "give --suite") {
		t.Errorf("%v", err)
	}
	if got := suiteHint(v); got != " --suite ecdsa-secp256k1|ed25519" {
		t.Errorf("%q", got)
	}
}

// A token is named as the charter in force names it, on the chain that is meant alone.
func TestTokenOf(t *testing.T) {
	const usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
	d := charter.Document{Assets: []charter.Asset{{Name: "eth", Chain: "eip155:1"}, {Name: "usdc", Chain: "eip155:1", Contract: usdc}}}
	for _, c := range []struct{ chain, text, want string }{
		{"eip155:1", "usdc", usdc}, {"eip155:10", "usdc", "usdc"}, {"eip155:1", "eth", "eth"}, {"eip155:1", usdc, usdc},
	} {
		if got := tokenOf(d, c.chain, c.text); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	if _, err := codeOf(d, "eip155:1", "batcher"); err == nil || !strings.Contains(err.Error(), "the charter names no code on eip155:1") {
		t.Errorf("%v", err)
	}
}

// Whoever replaces what does not wait is told what to do instead, by how far it is.
func TestCheckWaits(t *testing.T) {
	for state, want := range map[string]string{"proposed": "tx cancel", "approving": "tx cancel", "denied": "propose the transaction anew"} {
		err := checkWaits(&client.Case{Views: []client.View{{State: state}}})
		if p := explain(err); err == nil || p.Code != codeRefused || !strings.Contains(p.Next, want) || !strings.Contains(err.Error(), "is "+state+": only a transaction that is signed") {
			t.Errorf("%s: %+v", state, p)
		}
	}
	err := checkWaits(&client.Case{Signed: &client.Signed{}, Views: []client.View{{State: "confirmed"}}})
	if p := explain(err); err == nil || !strings.Contains(p.Next, "tx show") {
		t.Errorf("confirmed: %+v", p)
	}
}

// Amounts of Bitcoin's and Solana's own coin are read in whole units; what is no amount stays.
func TestInWhole(t *testing.T) {
	for _, c := range []struct {
		of                payload.Payload
		name, value, want string
	}{
		{&payload.Bitcoin{}, "paid", "35000000", "0.35 BTC (35000000 sat)"},
		{&payload.Bitcoin{}, "payments", "2", "2"},
		{&payload.Bitcoin{}, "fee", "none", "none"},
		{&payload.Solana{}, "max-fee", "6205", "0.000006205 SOL (6205 lamports)"},
		{&payload.Solana{}, "transaction-version", "0", "0"},
		{nil, "fee", "5", "5"},
	} {
		if got := inWhole(c.of, c.name, c.value); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
}

// What a simulation moves is told as balances are: smallest unit for programs, whole units for people.
func TestMoved(t *testing.T) {
	const usdc = "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"
	d := charter.Document{Assets: []charter.Asset{{Name: "usdc", Chain: "eip155:1", Contract: usdc, Decimals: 6}}}
	if asset, units := moved(d, "eip155:1", client.Move{Token: usdc, Amount: big.NewInt(1500000)}); asset != "usdc" || units != "1.5 usdc" {
		t.Errorf("%s, %s", asset, units)
	}
	if asset, units := moved(d, "eip155:1", client.Move{Amount: big.NewInt(3)}); asset != "of the chain's own coin" || units != "" {
		t.Errorf("%s, %s", asset, units)
	}
}
