package bitcoin_test

import (
	"fmt"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/effect"
)

// A proposer builds; every node decodes with keys that it derives itself, shows and digests; the quorum's signatures are assembled only
// if they are the vault's.
func Example() {
	regtest, _ := bitcoin.NetworkOf("bip122:0f9188f13cb7b2c71f2a335e3a4fc328")
	vault := bitcoin.Vault{Network: regtest, Key: keyOf, Recovery: &leaf, MaxRate: bitcoin.PerVByte(100)}
	coin := bitcoin.Spot{Suite: bitcoin.SuiteBIP340, Path: [3]uint32{0, 5, 7}}
	unsigned, _ := bitcoin.Build(vault, bitcoin.Draft{
		Ins: []bitcoin.Input{{Outpoint: psbt.Outpoint{ID: psbt.ID{1}, Index: 0}, Sequence: bitcoin.Replaceable, Spot: coin, Amount: 100_000}},
		Outs: []bitcoin.Output{
			{Amount: 60_000, Address: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"},
			{Amount: 39_000, Change: &bitcoin.Spot{Suite: bitcoin.SuiteBIP340, Path: [3]uint32{0, 5, 8}}},
		},
	})

	tx, err := bitcoin.Decode(unsigned, vault)
	if err != nil {
		fmt.Println(err) // a *bitcoin.Refused names the field
		return
	}
	for _, e := range tx.Effects() {
		fmt.Printf("%s of %v to %q\n", e.Operation, e.Amount, e.Destination)
	}
	for _, line := range tx.Lines()[4:6] {
		fmt.Printf("%s: %s\n", line.Name, line.Value)
	}

	var sigs []effect.Signature
	for _, u := range tx.Uses() {
		_, shift, _ := rootKey(u.Suite).Derive(u.Path[:])
		sig, _ := schnorr.Sign(txscript.TweakTaprootPrivKey(*shifted(u.Suite, shift.Bytes()), u.Root), u.Message) // in Ostraka: mpc/frost
		sigs = append(sigs, effect.Signature{Bytes: [64]byte(sig.Serialize())})
	}
	signed, err := tx.Assemble(sigs)
	fmt.Println(signed.ID == tx.ID().String(), signed.VSize, err)
	// Output:
	// transfer of 60000 to "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
	// fee of 1000 to ""
	// fee: 1000
	// fee-rate: 7.042 sat/vB
	// true 142 <nil>
}
