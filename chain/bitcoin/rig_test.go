package bitcoin_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

const regtest = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"

// roots are a vault's private keys, which no vault has in one place.
var roots = map[string]*btcec.PrivateKey{bitcoin.SuiteECDSA: private(11), bitcoin.SuiteBIP340: private(12)}

var recoveryKey = private(13)

func private(b byte) *btcec.PrivateKey {
	k, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{b}, 32))
	return k
}

func chainCode(suite string) (c [32]byte) {
	copy(c[:], suite)
	return c
}

func rootKey(suite string) hd.Key {
	p, err := secp256k1.DecodePoint(roots[suite].PubKey().SerializeCompressed())
	if err != nil {
		panic(err)
	}
	k, err := hd.Root(p, chainCode(suite))
	if err != nil {
		panic(err)
	}
	return k
}

// keyOf derives as a node does: public keys alone.
func keyOf(suite string, path [3]uint32) (bitcoin.Key, error) {
	k, _, err := rootKey(suite).Derive(path[:])
	if err != nil {
		return bitcoin.Key{}, err
	}
	return bitcoin.Key{Public: k.Point.Bytes(), Fingerprint: rootKey(suite).Fingerprint()}, nil
}

// privateOf is the private key at a path.
func privateOf(t testing.TB, suite string, path [3]uint32) *btcec.PrivateKey {
	t.Helper()
	_, shift, err := rootKey(suite).Derive(path[:])
	if err != nil {
		t.Fatal(err)
	}
	return shifted(suite, shift.Bytes())
}

// shifted is a root's private key and a shift together.
func shifted(suite string, shift []byte) *btcec.PrivateKey {
	var e btcec.ModNScalar
	e.SetByteSlice(shift)
	e.Add(&roots[suite].Key)
	return btcec.PrivKeyFromScalar(&e)
}

func network(t testing.TB, chain string) bitcoin.Network {
	t.Helper()
	n, err := bitcoin.NetworkOf(chain)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var leaf = bitcoin.Recovery{Key: [32]byte(schnorr.SerializePubKey(recoveryKey.PubKey())), Blocks: 1008}

func vault(t testing.TB, recovery bool) bitcoin.Vault {
	t.Helper()
	v := bitcoin.Vault{Network: network(t, regtest), Key: keyOf, MaxRate: bitcoin.PerVByte(300)}
	if recovery {
		r := leaf
		v.Recovery = &r
	}
	return v
}

func v0(index uint32) bitcoin.Spot {
	return bitcoin.Spot{Suite: bitcoin.SuiteECDSA, Path: [3]uint32{0, 5, index}}
}

func v1(index uint32) bitcoin.Spot {
	return bitcoin.Spot{Suite: bitcoin.SuiteBIP340, Path: [3]uint32{0, 5, index}}
}

// coin is an output of a transaction of somebody's, paid to a spot of the vault.
func coin(t testing.TB, v bitcoin.Vault, p bitcoin.Spot, amount uint64) bitcoin.Input {
	t.Helper()
	s, err := v.Script(p)
	if err != nil {
		t.Fatal(err)
	}
	tx := &psbt.Tx{
		Version: 2, Ins: []psbt.In{{Outpoint: psbt.Outpoint{ID: psbt.ID{byte(p.Path[2]), 1, byte(amount), byte(amount >> 8)}, Index: 3}, Sequence: 5}},
		Outs: []psbt.Out{{Amount: 777, Script: []byte{0x51, 0x20, 31: 0, 33: 1}}, {Amount: amount, Script: s}},
	}
	in := bitcoin.Input{Outpoint: psbt.Outpoint{ID: tx.ID(), Index: 1}, Sequence: bitcoin.Replaceable, Spot: p, Amount: amount}
	if p.Suite == bitcoin.SuiteECDSA {
		in.Previous = tx.Bare()
	}
	return in
}

// Addresses of others: the BIPs' own examples, on regtest.
func payee(t testing.TB, form bitcoin.Form) string {
	t.Helper()
	x := hex.EncodeToString(schnorr.SerializePubKey(private(77).PubKey()))
	script := map[bitcoin.Form]string{
		bitcoin.PayKeyHash: "76a914751e76e8199196d454941c45d1b3a323f1433bd688ac", bitcoin.PayScriptHash: "a914751e76e8199196d454941c45d1b3a323f1433bd687",
		bitcoin.PayWitnessKeyHash: "0014751e76e8199196d454941c45d1b3a323f1433bd6", bitcoin.PayWitnessScriptHash: "0020" + x, bitcoin.PayTaproot: "5120" + x,
	}[form]
	b, err := hex.DecodeString(script)
	if err != nil {
		t.Fatal(err)
	}
	a, err := network(t, regtest).Address(b)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func place(p bitcoin.Spot) *bitcoin.Spot { return &p }

// mixed is a draft that has all kinds of inputs and outputs.
func mixed(t testing.TB, v bitcoin.Vault) bitcoin.Draft {
	return bitcoin.Draft{
		LockTime: 840_000,
		Ins:      []bitcoin.Input{coin(t, v, v0(1), 100_000), coin(t, v, v1(2), 200_000), coin(t, v, v1(3), 300_000)},
		Outs: []bitcoin.Output{
			{Amount: 50_000, Address: payee(t, bitcoin.PayWitnessKeyHash)}, {Amount: 60_000, Address: payee(t, bitcoin.PayTaproot)},
			{Amount: 10_000, Address: payee(t, bitcoin.PayKeyHash)}, {Memo: []byte("invoice 7")}, {Amount: 11_000, Address: payee(t, bitcoin.PayScriptHash)},
			{Amount: 12_000, Address: payee(t, bitcoin.PayWitnessScriptHash)}, {Amount: 200_000, Change: place(v0(9))}, {Amount: 250_000, Change: place(v1(8))},
		},
	}
}

func build(t testing.TB, v bitcoin.Vault, d bitcoin.Draft) []byte {
	t.Helper()
	b, err := bitcoin.Build(v, d)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func decode(t testing.TB, v bitcoin.Vault, b []byte) *bitcoin.Transaction {
	t.Helper()
	tx, err := bitcoin.Decode(b, v)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// signatures are what a quorum would make of a transaction's uses, by btcd's code.
func signatures(t testing.TB, tx *bitcoin.Transaction) (all []effect.Signature) {
	t.Helper()
	for _, u := range tx.Uses() {
		k := privateOf(t, u.Suite, u.Path)
		var s effect.Signature
		if u.Suite == bitcoin.SuiteECDSA {
			copy(s.Bytes[:], ecdsa.SignCompact(k, u.Message, true)[1:])
		} else {
			sig, err := schnorr.Sign(txscript.TweakTaprootPrivKey(*k, u.Root), u.Message)
			if err != nil {
				t.Fatal(err)
			}
			copy(s.Bytes[:], sig.Serialize())
		}
		all = append(all, s)
	}
	return all
}

// executes runs every input of a signed transaction in btcd's engine, against the outputs that it spends.
func executes(t testing.TB, raw []byte, spent []psbt.Out) error {
	t.Helper()
	tx := wire.NewMsgTx(0)
	if err := tx.Deserialize(bytes.NewReader(raw)); err != nil {
		return err
	}
	outs := map[wire.OutPoint]*wire.TxOut{}
	for i, in := range tx.TxIn {
		outs[in.PreviousOutPoint] = wire.NewTxOut(int64(spent[i].Amount), spent[i].Script)
	}
	fetch := txscript.NewMultiPrevOutFetcher(outs)
	hashes := txscript.NewTxSigHashes(tx, fetch)
	for i := range tx.TxIn {
		vm, err := txscript.NewEngine(spent[i].Script, tx, i, txscript.StandardVerifyFlags, nil, hashes, int64(spent[i].Amount), fetch)
		if err == nil {
			err = vm.Execute()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// spentBy are the outputs that a transaction of the vault spends.
func spentBy(t testing.TB, v bitcoin.Vault, tx *bitcoin.Transaction) (all []psbt.Out) {
	t.Helper()
	for _, in := range tx.Inputs() {
		s, err := v.Script(in.Spot)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, psbt.Out{Amount: in.Amount, Script: s})
	}
	return all
}
