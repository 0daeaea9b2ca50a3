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
