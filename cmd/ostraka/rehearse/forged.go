package rehearse

import (
	"context"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// A call is a transaction as an attacker makes it: anything that the chain would take.
type call struct {
	to    string
	value *big.Int
	data  []byte
}

// raw is the call's unsigned transaction, by go-ethereum's encoder: this program's own would refuse to build most of them.
func (c call) raw(nonce uint64) ([]byte, error) {
	value := c.value
	if value == nil {
		value = new(big.Int)
	}
	b, err := rlp.EncodeToBytes([]any{
		uint64(31337), nonce, big.NewInt(1e9), big.NewInt(30e9), uint64(200_000), common.HexToAddress(c.to), value, c.data, types.AccessList{},
	})
	return append([]byte{types.DynamicFeeTxType}, b...), err
}

// words are what this program says of unsigned bytes; nil if it does not understand them.
func words(raw []byte) (facts []intent.Fact) {
	tx, err := evm.Decode(raw)
	if err != nil {
		return nil
	}
	for _, l := range tx.Facts().Lines() {
		facts = append(facts, intent.Fact(l))
	}
	return intent.Written(facts)
}

// forge makes an intent over a call whose words are those of another.
func (t *tale) forge(ctx context.Context, is, says call) (s statement.Statement, err error) {
	from, err := t.sender(ctx)
	if err != nil {
		return s, err
	}
	address, _, err := from.Vault.Address(from.Root, chainID, from.Path())
	if err != nil {
		return s, err
	}
	nonce := t.next()
	it := intent.Intent{
		Charter: from.Vault.Under, Vault: from.Vault.ID, Key: from.Root.Record.KeyID, Epoch: from.Root.Record.Hash(), Path: [3]uint32(from.Path()), Address: address,
		Chain: chainID, Purpose: intent.PurposeTransaction, Initiator: alice, Created: client.Now(),
	}
	it.Expires = it.Created.Add(from.Vault.Expiry)
	if it.Transaction, err = is.raw(nonce); err != nil {
		return s, err
	}
	shown, err := says.raw(nonce)
	if err != nil {
		return s, err
	}
	it.Facts = words(shown)
	return it.Statement(client.NewSalt())
}

// forgery proposes, with alice's own key, what forge made: her screen, or her program, lies to her.
func (t *tale) forgery(ctx context.Context, is, says call) (statement.Statement, error) {
	s, err := t.forge(ctx, is, says)
	if err == nil {
		err = t.propose(ctx, s)
	}
	return s, err
}

// calldata is a function's selector and its arguments, 32 bytes each.
func calldata(function string, args ...[]byte) []byte {
	out := crypto.Keccak256([]byte(function))[:4]
	for _, a := range args {
		out = append(out, common.LeftPadBytes(a, 32)...)
	}
	return out
}

// delegated is a Safe's execTransaction that has it run another contract's code as its own: what Bybit's signers signed.
func delegated(to string, inner []byte) []byte {
	number := func(n int64) []byte { return big.NewInt(n).Bytes() }
	padded := common.RightPadBytes(inner, (len(inner)+31)/32*32)
	signatures := int64(10*32 + 32 + len(padded))
	out := calldata("execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)",
		common.FromHex(to), nil, number(10*32), number(1), nil, nil, nil, nil, nil, number(signatures), number(int64(len(inner))))
	return append(append(out, padded...), make([]byte, 32)...)
}
