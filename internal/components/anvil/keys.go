package anvil

import (
	"crypto/ecdsa"
	"encoding/hex"
	"math/big"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
)

// accounts are held here for a node that keeps none itself.
type accounts struct {
	chain *big.Int
	keys  []*ecdsa.PrivateKey
}

// supply is what the first account of At gets, in wei.
var supply = new(big.Int).Mul(big.NewInt(1e6), big.NewInt(1e18))

// At is another development node, at a URL, that has one unlocked account with money and is asked in the same way. Two accounts are made beside it, both with
// money, whose transactions are signed here.
func At(t testing.TB, url string) *Node {
	t.Helper()
	n := &Node{URL: url}
	var id hexutil.Big
	n.Call(t, &id, "eth_chainId")
	held := &accounts{chain: id.ToInt()}
	rich := n.Accounts(t)[0]
	for _, name := range []string{"first", "second"} {
		key, err := crypto.ToECDSA(crypto.Keccak256([]byte("an account of tests: " + name)))
		if err != nil {
			t.Fatal(err)
		}
		held.keys = append(held.keys, key)
		n.send(t, map[string]string{"from": rich, "to": crypto.PubkeyToAddress(key.PublicKey).Hex(), "value": hexutil.EncodeBig(supply)})
	}
	n.held = held
	return n
}

// addresses of the accounts.
func (a *accounts) addresses() (out []string) {
	for _, k := range a.keys {
		out = append(out, crypto.PubkeyToAddress(k.PublicKey).Hex())
	}
	return out
}

// sign makes the raw transaction that a node with unlocked accounts would make.
func (a *accounts) sign(t testing.TB, n *Node, transaction map[string]string) string {
	t.Helper()
	for _, key := range a.keys {
		from := crypto.PubkeyToAddress(key.PublicKey)
		if !strings.EqualFold(from.Hex(), transaction["from"]) {
			continue
		}
		var nonce, gas hexutil.Uint64
		var price hexutil.Big
		n.Call(t, &nonce, "eth_getTransactionCount", from.Hex(), "pending")
		n.Call(t, &price, "eth_gasPrice")
		if given, ok := transaction["gas"]; ok {
			gas = hexutil.Uint64(hexutil.MustDecodeUint64(given))
		} else {
			n.Call(t, &gas, "eth_estimateGas", transaction)
		}
		tx := &types.DynamicFeeTx{
			ChainID: a.chain, Nonce: uint64(nonce), Gas: uint64(gas), GasTipCap: big.NewInt(1e9), GasFeeCap: new(big.Int).Mul(price.ToInt(), big.NewInt(4)), Data: common.FromHex(transaction["data"]),
		}
		if to, ok := transaction["to"]; ok {
			at := common.HexToAddress(to)
			tx.To = &at
		}
		if value, ok := transaction["value"]; ok {
			tx.Value = hexutil.MustDecodeBig(value)
		}
		signed, err := types.SignNewTx(key, types.NewPragueSigner(a.chain), tx)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := signed.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		return "0x" + hex.EncodeToString(raw)
	}
	t.Fatalf("%s is no account of the tests", transaction["from"])
	return ""
}
