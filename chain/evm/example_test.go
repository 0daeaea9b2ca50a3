package evm_test

import (
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
)

// A proposer builds; every node decodes, shows and digests; the quorum's signature is
// assembled only if it is the vault's.
func Example() {
	to, _ := evm.ParseAddress("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed")
	amount, _ := evm.ParseUnits("0.5", evm.EtherDecimals)
	unsigned, _ := evm.Build(evm.Request{
		ChainID: 1, Nonce: 4, Gas: 21000, FeeCap: big.NewInt(30_000_000_000), TipCap: big.NewInt(1_000_000_000),
		To: to, Amount: amount,
	})

	tx, err := evm.Decode(unsigned)
	if err != nil {
		fmt.Println(err) // a *evm.Refused names the field
		return
	}
	for _, line := range tx.Facts().Lines()[:4] {
		fmt.Printf("%s: %s\n", line.Name, line.Value)
	}

	key, _ := crypto.HexToECDSA("4646464646464646464646464646464646464646464646464646464646464646")
	digest := tx.Digest()
	sig, _ := crypto.Sign(digest[:], key) // in Ostraka: mpc/dkls
	from, _ := evm.AddressOf(crypto.CompressPubkey(&key.PublicKey))
	signed, err := tx.Assemble(from, [32]byte(sig[:32]), [32]byte(sig[32:64]), sig[64])
	fmt.Println(signed.From, err)
	// Output:
	// operation: native-transfer
	// asset: eip155:1/slip44:60
	// amount: 500000000000000000
	// destination: 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed
	// 0x9d8A62f656a8d1615C1294fd71e9CFb3E4855A4F <nil>
}

// What a book names is understood, and says what it does.
func ExampleDecodeIn() {
	token, spender, account := evm.Address{19: 7}, evm.Address{19: 8}, evm.Address{19: 9}
	allowed, err := evm.Compile(evm.Book{
		Chains: []evm.Chain{{ID: 1, Coin: "ETH", SLIP44: 60, Dynamic: true}},
		Tokens: []evm.Token{{ChainID: 1, Address: token, Name: "USDX", Cap: big.NewInt(1000)}},
	})
	if err != nil {
		panic(err)
	}
	c := evm.Context{Account: evm.Account{Address: account}, Allowed: allowed}
	data, err := evm.AssetCalldata(evm.ERC20Approve, []byte(`["`+spender.String()+`","5000"]`))
	if err != nil {
		panic(err)
	}
	unsigned, err := evm.BuildIn(evm.Draft{ChainID: 1, Gas: 60000, FeeCap: big.NewInt(30), To: token, Data: data}, c)
	if err != nil {
		panic(err)
	}
	p, err := evm.DecodeIn(unsigned, c)
	if err != nil {
		panic(err)
	}
	for _, e := range p.Effects() {
		fmt.Println(e.Operation, e.Amount)
	}
	for _, l := range p.Lines()[:6] {
		fmt.Printf("%s: %s\n", l.Name, l.Value)
	}
	// Output:
	// unlimited 5000
	// fee 1800000
	// operation: erc20-approve
	// asset: eip155:1/erc20:0x0000000000000000000000000000000000000007
	// amount: 5000
	// destination: 0x0000000000000000000000000000000000000008
	// known-as: USDX
	// allowance: unlimited
}
