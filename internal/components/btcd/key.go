package btcd

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"
)

// The key that blocks pay to is SHA-256 of seed; Address is its P2WPKH address on regtest.
const (
	seed    = "miner of tests"
	Address = "bcrt1qp29wfgezym37xafgxh9s6hrfeq8mdrscpzdus6"
)

// Script is Address's: 22 bytes.
func Script() []byte {
	return []byte("\x00\x14\x0a\x8a\xe4\xa3\x22\x26\xe3\xe3\x75\x28\x35\xcb\x0d\x5c\x69\xc8\x0f\xb6\x8e\x18")
}

// A Coin is an output, most often of the key.
type Coin struct {
	ID     [32]byte // of the transaction, in the order in which transactions hold it
	Index  uint32
	Amount int64 // satoshis
}

// An Out is an amount in satoshis, and whose it becomes.
type Out struct {
	Amount int64
	Script []byte
}

// Fee is what Pay pays.
const Fee = 10_000

// coinbaseDepth is how deep a block must be for its coinbase to be spent in the next.
const coinbaseDepth = 100

// Coin is one of the key's: a coinbase that can be spent, another each time. After some fifty, blocks have to be mined.
func (n *Node) Coin(t testing.TB) Coin {
	t.Helper()
	for tip := n.Height(t); n.next <= tip-coinbaseDepth+1; {
		var block struct{ Tx []string }
		n.Call(t, &block, "getblock", n.Hash(t, n.next), 1)
		n.next++
		var out *struct{ Value float64 }
		n.Call(t, &out, "gettxout", block.Tx[0], 0, false)
		if out != nil { // else it was handed out before the chain became another
			return Coin{ID(t, block.Tx[0]), 0, int64(out.Value*1e8 + 0.5)}
		}
	}
	t.Fatalf("btcd: none of the key's coins is left: mine more blocks")
	return Coin{}
}

// ID reads an id as people write it.
func ID(t testing.TB, text string) (id [32]byte) {
	t.Helper()
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != len(id) {
		t.Fatalf("btcd: id %q: %v", text, err)
	}
	for i, x := range b {
		id[len(id)-1-i] = x
	}
	return id
}

// Spend signs a transaction of the key's coins, replaceable (BIP 125). What the outputs leave is the fee. It is not sent.
func Spend(t testing.TB, coins []Coin, outs ...Out) (raw []byte, id [32]byte) {
	t.Helper()
	secret := sha256.Sum256([]byte(seed))
	key, _ := btcec.PrivKeyFromBytes(secret[:])
	tx := wire.NewMsgTx(2)
	spent := map[wire.OutPoint]*wire.TxOut{}
	for _, c := range coins {
		at := wire.OutPoint{Hash: c.ID, Index: c.Index}
		tx.AddTxIn(&wire.TxIn{PreviousOutPoint: at, Sequence: 0xfffffffd})
		spent[at] = &wire.TxOut{Value: c.Amount, PkScript: Script()}
	}
	for _, o := range outs {
		tx.AddTxOut(&wire.TxOut{Value: o.Amount, PkScript: o.Script})
	}
	hashes := txscript.NewTxSigHashes(tx, txscript.NewMultiPrevOutFetcher(spent))
	for i, c := range coins {
		witness, err := txscript.WitnessSignature(tx, hashes, i, c.Amount, Script(), txscript.SigHashAll, key, true)
		if err != nil {
			t.Fatalf("btcd: sign input %d: %v", i, err)
		}
		tx.TxIn[i].Witness = witness
	}
	var b bytes.Buffer
	if err := tx.Serialize(&b); err != nil {
		t.Fatalf("btcd: encode a transaction: %v", err)
	}
	return b.Bytes(), tx.TxHash()
}

// Send gives it to the node, whose refusal fails the test.
func (n *Node) Send(t testing.TB, raw []byte) {
	t.Helper()
	n.Call(t, nil, "sendrawtransaction", hex.EncodeToString(raw))
}

// Pay pays so many satoshis to a script from a coin of the key, and returns the transaction and the output, which is its first. It waits
// in the pool: Mine puts it into a block.
func (n *Node) Pay(t testing.TB, script []byte, sats int64) (raw []byte, paid Coin) {
	t.Helper()
	c := n.Coin(t)
	raw, id := Spend(t, []Coin{c}, Out{sats, script}, Out{c.Amount - sats - Fee, Script()})
	n.Send(t, raw)
	return raw, Coin{id, 0, sats}
}
