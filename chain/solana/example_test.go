package solana_test

import (
	"crypto/ed25519"
	"fmt"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/solana"
)

// A proposer builds with what they read; every node reads the same accounts by itself, decodes and shows; the quorum's
// signature is assembled only if it is the vault's.
func Example() {
	steps, _ := solana.Pay(solana.TokenPayment{
		Program: solana.SPLToken, Mint: mint, Owner: payer, Wallet: wallet, Amount: 2_500_000, Decimals: 6,
	})
	theirs := solana.Context{Chain: chain, Own: own, World: reading()}
	unsigned, _ := solana.Build(solana.Request{Payer: payer, Nonce: &nonce, Blockhash: nonceValue, Authority: payer, Steps: steps}, theirs)

	toRead, _ := solana.Needs(unsigned)
	fmt.Println("accounts to read:", len(toRead))
	ours := solana.Context{Chain: chain, Own: own, World: reading()} // from the node's own endpoint
	tx, err := solana.Decode(unsigned, ours)
	if err != nil {
		fmt.Println(err) // a *Refused names the field
		return
	}
	for _, e := range tx.Effects() {
		fmt.Println(e.Operation, e.Amount)
	}

	signature := ed25519.Sign(private(1), tx.Uses()[0].Message) // in Ostraka: mpc/frost
	signed, err := tx.Assemble([]effect.Signature{{Bytes: [64]byte(signature)}})
	fmt.Println(len(signed.Raw), err)
	// Output:
	// accounts to read: 4
	// token 2500000
	// fee 5000
	// 387 <nil>
}
