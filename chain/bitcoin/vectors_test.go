package bitcoin

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

func read(t *testing.T, file string, into any) {
	t.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err == nil {
		err = json.Unmarshal(raw, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// BIP 143's native P2WPKH: the digest of its second input.
func TestBIP143(t *testing.T) {
	var file struct {
		Examples []struct {
			Name         string
			UnsignedTx   []string `json:"unsigned_tx"`
			ScriptPubKey []string
			Sighash      []string
		}
	}
	read(t, "bip143.json", &file)
	e := file.Examples[0]
	if e.Name != "Native P2WPKH" {
		t.Fatalf("first example is %s", e.Name)
	}
	tx, err := psbt.ParseTx(unhex(t, e.UnsignedTx[0]))
	if err != nil {
		t.Fatal(err)
	}
	d := newDigests(tx, []psbt.Out{{Amount: 625_000_000, Script: unhex(t, e.ScriptPubKey[0])}, {Amount: 600_000_000, Script: unhex(t, e.ScriptPubKey[1])}})
	if got := d.witnessKeyHash(1); hex.EncodeToString(got[:]) != e.Sighash[0] {
		t.Errorf("digest is %x, want %s", got, e.Sighash[0])
	}
}

// BIP 341's spending by the key: what all digests share, and the one of its digests that is of SIGHASH_DEFAULT.
func TestBIP341Digests(t *testing.T) {
	var file struct {
		KeyPathSpending []struct {
			Given struct {
				RawUnsignedTx string
				UtxosSpent    []struct {
					ScriptPubKey string
					AmountSats   uint64
				}
			}
			Intermediary  struct{ HashAmounts, HashOutputs, HashPrevouts, HashScriptPubkeys, HashSequences string }
			InputSpending []struct {
				Given        struct{ TxinIndex, HashType int }
				Intermediary struct{ SigHash string }
			}
		}
	}
	read(t, "bip341-wallet-test-vectors.json", &file)
	v := file.KeyPathSpending[0]
	tx, err := psbt.ParseTx(unhex(t, v.Given.RawUnsignedTx))
	if err != nil {
		t.Fatal(err)
	}
	var spent []psbt.Out
	for _, u := range v.Given.UtxosSpent {
		spent = append(spent, psbt.Out{Amount: u.AmountSats, Script: unhex(t, u.ScriptPubKey)})
	}
	d := newDigests(tx, spent)
	for name, c := range map[string]struct {
		got  [32]byte
		want string
	}{
		"amounts": {d.amounts, v.Intermediary.HashAmounts}, "outputs": {d.outputs, v.Intermediary.HashOutputs}, "prevouts": {d.prevouts, v.Intermediary.HashPrevouts},
		"scripts": {d.scripts, v.Intermediary.HashScriptPubkeys}, "sequences": {d.sequences, v.Intermediary.HashSequences},
	} {
		if hex.EncodeToString(c.got[:]) != c.want {
			t.Errorf("%s: %x, want %s", name, c.got, c.want)
		}
	}
	checked := 0
	for _, in := range v.InputSpending {
		if in.Given.HashType == 0 {
			checked++
			if got := d.taproot(in.Given.TxinIndex, nil); hex.EncodeToString(got[:]) != in.Intermediary.SigHash {
				t.Errorf("input %d: digest %x, want %s", in.Given.TxinIndex, got, in.Intermediary.SigHash)
			}
		}
	}
	if checked == 0 {
		t.Error("no digest was compared")
	}
}

// BIP 341's trees of one leaf: leaf hash, root and control block.
func TestBIP341Leaves(t *testing.T) {
	type tree struct {
		Script      string
		LeafVersion int
	}
	var file struct {
		ScriptPubKey []struct {
			Given struct {
				InternalPubkey string
				ScriptTree     json.RawMessage
			}
			Intermediary struct{ MerkleRoot string }
			Expected     struct{ ScriptPathControlBlocks []string }
		}
	}
	read(t, "bip341-wallet-test-vectors.json", &file)
	checked := 0
	for _, v := range file.ScriptPubKey {
		var leaf tree
		if json.Unmarshal(v.Given.ScriptTree, &leaf) != nil || leaf.LeafVersion != leafVersion {
			continue // none, several, or of another version
		}
		checked++
		h := leafHash(unhex(t, leaf.Script))
		p, err := secp256k1.DecodePoint(unhex(t, "02"+v.Given.InternalPubkey))
		if err != nil {
			t.Fatal(err)
		}
		c, err := controlBlock(p, h)
		if err != nil || hex.EncodeToString(h[:]) != v.Intermediary.MerkleRoot || hex.EncodeToString(c) != v.Expected.ScriptPathControlBlocks[0] {
			t.Errorf("%s: leaf %x, control block %x, %v; want %s, %s", v.Given.InternalPubkey, h, c, err, v.Intermediary.MerkleRoot, v.Expected.ScriptPathControlBlocks[0])
		}
	}
	if checked < 2 {
		t.Errorf("%d trees were compared", checked)
	}
}

// Addresses of BIP 173 and BIP 350: of forms that are paid they are read and written again, all others are refused.
func TestAddressVectors(t *testing.T) {
	var old, new struct {
		Strings []string                                 `json:"valid_strings"` // of other prefixes: no network's addresses
		Broken  []json.RawMessage                        `json:"invalid_strings"`
		Valid   []struct{ Address, ScriptPubKey string } `json:"valid_addresses"`
		Invalid []struct{ Address, String, Hex string }  `json:"invalid_addresses"`
	}
	read(t, "bip173-bech32.json", &old)
	read(t, "bip350-bech32m.json", &new)
	testnet, err := NetworkOf("bip122:000000000933ea01ad0ee984209779ba")
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for _, v := range new.Valid {
		for _, n := range []Network{mainnet(t), testnet} {
			script, err := n.ParseAddress(v.Address)
			want := unhex(t, v.ScriptPubKey)
			_, _, _, form := Script(want).split()
			if here := strings.HasPrefix(strings.ToLower(v.Address), n.prefix+"1"); !here || form != nil {
				if err == nil {
					t.Errorf("%s on %s: accepted", v.Address, n.Name)
				}
				continue
			}
			taken++
			if err != nil || !bytes.Equal(script, want) {
				t.Errorf("%s: %x, %v; want %x", v.Address, script, err, want)
			}
			if a, err := n.Address(script); err != nil || a != strings.ToLower(v.Address) {
				t.Errorf("%s: written %s, %v", v.Address, a, err)
			}
		}
	}
	for _, v := range old.Valid { // of versions from 1 on BIP 350 has another checksum
		for _, n := range []Network{mainnet(t), testnet} {
			here := strings.HasPrefix(strings.ToLower(v.Address), n.prefix+"1") && strings.HasPrefix(v.ScriptPubKey, "00")
			if script, err := n.ParseAddress(v.Address); (err == nil) != here || here && hex.EncodeToString(script) != v.ScriptPubKey {
				t.Errorf("%s on %s: %x, %v", v.Address, n.Name, script, err)
			}
		}
	}
	none := append(old.Strings, new.Strings...)
	for _, raw := range append(old.Broken, new.Broken...) {
		var text string
		var other struct{ Hex string }
		if json.Unmarshal(raw, &text) != nil {
			if err := json.Unmarshal(raw, &other); err != nil {
				t.Fatal(err)
			}
			text = string(unhex(t, other.Hex))
		}
		none = append(none, text)
	}
	if len(none) != 40 {
		t.Errorf("%d strings that are no addresses, not 40", len(none))
	}
	for _, text := range none {
		for _, n := range []Network{mainnet(t), testnet} {
			if _, err := n.ParseAddress(text); err == nil {
				t.Errorf("%q is taken as an address of %s", text, n.Name)
			}
		}
	}
	if taken < 4 || len(new.Invalid) < 10 || len(old.Invalid) < 5 {
		t.Errorf("%d valid addresses of our forms, %d and %d invalid ones", taken, len(new.Invalid), len(old.Invalid))
	}
	for _, v := range append(new.Invalid, old.Invalid...) {
		text := v.Address + v.String
		if text == "" {
			text = string(unhex(t, v.Hex))
		}
		for _, n := range []Network{mainnet(t), testnet} {
			if _, err := n.ParseAddress(text); err == nil {
				t.Errorf("%s: accepted on %s", text, n.Name)
			}
		}
	}
}

// Addresses in base58 are of one network, and the known ones are read right.
func TestBase58Addresses(t *testing.T) {
	testnet, err := NetworkOf("bip122:000000000933ea01ad0ee984209779ba")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		n               Network
		address, script string
	}{
		{mainnet(t), "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "76a91462e907b15cbf27d5425399ebf6f0fb50ebb88f1888ac"}, // of the first block
		{mainnet(t), "3P14159f73E4gFr7JterCCQh9QjiTjiZrG", "a914e9c3dd0c07aac76179ebc76a6c78d4d67c6c160a87"},     // BIP 13's form, as BIP 16 has it
		{testnet, "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "76a914243f1394f44554f4ce3fd68649c19adc483ce92488ac"},
	} {
		s, err := c.n.ParseAddress(c.address)
		if err != nil || hex.EncodeToString(s) != c.script {
			t.Errorf("%s: %x, %v; want %s", c.address, s, err, c.script)
		}
		if a, err := c.n.Address(unhex(t, c.script)); err != nil || a != c.address {
			t.Errorf("%s: written %s, %v", c.address, a, err)
		}
		for _, other := range []Network{mainnet(t), testnet} {
			if other != c.n {
				if _, err := other.ParseAddress(c.address); err == nil {
					t.Errorf("%s: accepted on %s", c.address, other.Name)
				}
			}
		}
	}
	for _, bad := range []string{"", "1", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", "1A1zP1eP5QGefi2DMPTfTL5SLmv7Divf", " 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", strings.Repeat("1", 200), "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"} {
		if _, err := mainnet(t).ParseAddress(bad); err == nil {
			t.Errorf("%q: accepted", bad)
		}
	}
}

// btcd's digests of random transactions are ours.
func TestDigestsBeforeBtcd(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	for range 100 {
		tx := &psbt.Tx{Version: 2, LockTime: rng.Uint32()}
		var spent []psbt.Out
		for range 1 + rng.IntN(4) {
			tx.Ins = append(tx.Ins, psbt.In{Outpoint: psbt.Outpoint{ID: psbt.ID(random(32)), Index: rng.Uint32N(9)}, Sequence: rng.Uint32()})
			script := append([]byte{0, 20}, random(20)...)
			if rng.IntN(2) == 0 {
				script = append([]byte{0x51, 32}, random(32)...)
			}
			spent = append(spent, psbt.Out{Amount: rng.Uint64N(MaxMoney), Script: script})
		}
		for range 1 + rng.IntN(4) {
			tx.Outs = append(tx.Outs, psbt.Out{Amount: rng.Uint64N(MaxMoney), Script: random(22)})
		}
		var w wire.MsgTx
		if err := w.Deserialize(bytes.NewReader(tx.Bare())); err != nil {
			t.Fatal(err)
		}
		outs := map[wire.OutPoint]*wire.TxOut{}
		for i, in := range w.TxIn {
			outs[in.PreviousOutPoint] = wire.NewTxOut(int64(spent[i].Amount), spent[i].Script)
		}
		fetch := txscript.NewMultiPrevOutFetcher(outs)
		hashes, d := txscript.NewTxSigHashes(&w, fetch), newDigests(tx, spent)
		for i, out := range spent {
			var got [32]byte
			var want []byte
			var err error
			if len(out.Script) == 22 {
				got = d.witnessKeyHash(i)
				want, err = txscript.CalcWitnessSigHash(out.Script, hashes, txscript.SigHashAll, &w, i, int64(out.Amount))
			} else {
				got = d.taproot(i, nil)
				want, err = txscript.CalcTaprootSignatureHash(hashes, txscript.SigHashDefault, &w, i, fetch)
				script := txscript.NewBaseTapLeaf([]byte{0x51})
				leaf := script.TapHash()
				wantLeaf, errLeaf := txscript.CalcTapscriptSignaturehash(hashes, txscript.SigHashDefault, &w, i, fetch, script)
				if gotLeaf := d.taproot(i, (*[32]byte)(&leaf)); errLeaf != nil || !bytes.Equal(gotLeaf[:], wantLeaf) {
					t.Errorf("input %d, by a leaf: %x, btcd says %x, %v", i, gotLeaf, wantLeaf, errLeaf)
				}
			}
			if err != nil || !bytes.Equal(got[:], want) {
				t.Errorf("input %d: %x, btcd says %x, %v", i, got, want, err)
			}
		}
	}
}

// A proof of an address whose output holds the recovery leaf is BIP 322's, and btcd's engine takes it.
func TestProofWithRecovery(t *testing.T) {
	k, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	r := Recovery{[32]byte(schnorr.SerializePubKey(k.PubKey())), 52560}
	out, err := r.Output(point(t, k))
	if err != nil {
		t.Fatal(err)
	}
	statement := []byte("ostraka/1 proof\n")
	d, root := TaprootScript(out).ProofDigest(statement), r.Root()
	sign := func(root []byte) []byte {
		s, err := schnorr.Sign(txscript.TweakTaprootPrivKey(*k, root), d[:])
		if err != nil {
			t.Fatal(err)
		}
		return TaprootProof([64]byte(s.Serialize()))
	}
	proof := sign(root[:])
	if err := CheckTaprootProof(out, statement, proof); err != nil {
		t.Error(err)
	}
	if err := executed(TaprootScript(out), statement, witnessOf(proof)); err != nil {
		t.Error(err)
	}
	if CheckTaprootProof(out, statement, sign(nil)) == nil {
		t.Error("a signature under the key without the leaf is accepted")
	}
	if plain, err := hd.TapTweak(point(t, k), nil); err != nil || CheckTaprootProof(plain, statement, proof) == nil {
		t.Error("the proof serves the address without the leaf")
	}
}
