package payload

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
)

// proposed is an intent over bytes on one of the chains, of the vault whose root keys are the generator.
type proposed struct {
	it    intent.Intent
	suite string
	c     Context
}

// asking are intents of every kind of chain, in one order, each with a transaction that is read.
func asking(f *testing.F) (all []proposed, seeds [][]byte) {
	f.Helper()
	must := func(err error) {
		f.Helper()
		if err != nil {
			f.Fatal(err)
		}
	}
	d := charter.Document{Assets: []charter.Asset{{Name: "eth", Chain: "eip155:1", Decimals: 18, Unit: 9}, {Name: "btc", Chain: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328", Decimals: 8, Unit: 0}}}
	d.EVM.Networks = []charter.Network{{Chain: d.Assets[1].Chain, FeeRate: 1000}}
	book, err := policy.BookOf(d)
	must(err)
	public := secp256k1.Group{}.Generator()
	c := Context{Book: book, Root: func(string) (Root, error) { return Root{Public: public}, nil }}
	sender, err := evm.AddressOf(public.Bytes())
	must(err)
	raw, err := evm.Build(evm.Request{Kind: evm.Dynamic, ChainID: 1, Gas: 21_000, FeeCap: big.NewInt(30_000_000_000), TipCap: big.NewInt(1_000_000_000), To: sender, Amount: big.NewInt(5_000_000_000)})
	must(err)
	all, seeds = append(all, proposed{intent.Intent{Chain: "eip155:1", Address: sender.String()}, bitcoin.SuiteECDSA, c}), append(seeds, raw)
	v, err := BitcoinVault(d.Assets[1].Chain, c)
	must(err)
	raw, err = bitcoin.Build(v, bitcoin.Draft{
		Ins:  []bitcoin.Input{{Outpoint: psbt.Outpoint{ID: psbt.ID{31: 1}}, Sequence: bitcoin.Final, Spot: bitcoin.Spot{Suite: bitcoin.SuiteBIP340}, Amount: 90_000}},
		Outs: []bitcoin.Output{{Amount: 80_000, Address: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"}},
	})
	must(err)
	all, seeds = append(all, proposed{intent.Intent{Chain: d.Assets[1].Chain}, bitcoin.SuiteBIP340, c}), append(seeds, raw)
	own, err := solana.ParseKey("4zvwRjXUKGfvwnParsHAS3HuSVzV5cA4McphgmoCtajS")
	must(err)
	const chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
	read := solana.Readings{Recents: map[solana.Key]bool{{5}: true}, Accounts: map[solana.Key]solana.Account{own: {}}}
	raw, err = solana.Build(solana.Request{Payer: own, Blockhash: solana.Key{5}, Steps: []solana.Step{solana.Transfer(own, own, 7)}}, SolanaContext(chain, own, [3]uint32{}, read))
	must(err)
	all, seeds = append(all, proposed{intent.Intent{Chain: chain, Address: own.String()}, "ed25519", c}), append(seeds, raw)
	return all, seeds
}

// Whatever chain bytes are said to be of, they are refused, or read the same again: few lines, one message of its suite's form for each signature, no two alike, each thing used named once; and what nobody
// signed is never taken as signed.
func FuzzRead(f *testing.F) {
	all, seeds := asking(f)
	for i, raw := range seeds {
		a := all[i]
		a.it.Transaction, a.it.Purpose = raw, intent.PurposeTransaction
		if _, err := Read(a.it, a.suite, a.c); err != nil {
			f.Fatalf("%s: %v", a.it.Chain, err)
		}
		f.Add(uint8(i), false, raw)
	}
	f.Add(uint8(0), true, []byte{5, 0xc0})
	f.Fuzz(func(t *testing.T, at uint8, message bool, raw []byte) {
		a := all[int(at)%len(all)]
		if a.it.Transaction, a.it.Purpose = raw, intent.PurposeTransaction; message {
			a.it.Purpose = intent.PurposeMessage
		}
		p, err := Read(a.it, a.suite, a.c)
		if err != nil {
			return
		}
		again, err := Read(a.it, a.suite, a.c)
		if err != nil || fmt.Sprint(again.Lines(), again.Effects(), again.Spends(), again.Uses()) != fmt.Sprint(p.Lines(), p.Effects(), p.Spends(), p.Uses()) {
			t.Fatalf("%s, %x: it is read otherwise again: %v", a.it.Chain, raw, err)
		}
		if p.Travels() == message || len(p.Lines()) == 0 || len(p.Lines()) > 64 {
			t.Fatalf("%s, %x: message %v, travels %v, %d lines", a.it.Chain, raw, message, p.Travels(), len(p.Lines()))
		}
		uses(t, p)
		if s, err := p.ParseSigned(raw); err == nil {
			t.Fatalf("%s, %x: unsigned, and taken as signed %s", a.it.Chain, raw, s.Name)
		}
	})
}

// uses wants of a payload's signatures and of what it uses what sessions and claims count on.
func uses(t *testing.T, p Payload) {
	t.Helper()
	seen := map[string]bool{}
	for i, u := range p.Uses() {
		secp := u.Suite == bitcoin.SuiteECDSA || u.Suite == bitcoin.SuiteBIP340
		if secp && len(u.Message) != 32 || !secp && (u.Suite != "ed25519" || len(u.Message) < 64) || u.Address == "" || len(u.Root) != 0 && len(u.Root) != 32 {
			t.Fatalf("signature %d: %d bytes of suite %s for %q, root of %d bytes", i, len(u.Message), u.Suite, u.Address, len(u.Root))
		}
		if seen[string(u.Message)] {
			t.Fatalf("signature %d is over what another is over", i)
		}
		seen[string(u.Message)] = true
	}
	if len(seen) == 0 || len(seen) > 512 {
		t.Fatalf("%d signatures", len(seen))
	}
	names := map[string]bool{}
	for _, n := range p.Spends() {
		if n == "" || names[n] {
			t.Fatalf("it uses %q twice, or without a name", n)
		}
		names[n] = true
	}
	if slot := Slot(p); (slot == "") != (len(names) == 0) {
		t.Fatalf("slot %q of %d names", slot, len(names))
	}
}
