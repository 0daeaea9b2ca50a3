package bitcoin

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/address/v2/base58"
	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/ecdsa"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

type bip322 struct {
	Hashes []struct {
		Message, Address string
		MessageHash      string `json:"message_hash"`
		ToSpend          string `json:"to_spend_tx_hash"`
		ToSign           string `json:"to_sign_tx_hash"`
	} `json:"tx_hashes"`
	Simple []struct {
		Message, Address, Type string
		Keys                   []string `json:"private_keys"`
		Signatures             []string `json:"bip322_signatures"`
	}
	Error []struct{ Description, Message, Address, Signature string }
}

func vectors(t *testing.T) (v bip322) {
	t.Helper()
	raw, err := os.ReadFile("testdata/bip322-basic-test-vectors.json")
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	if err != nil || len(v.Hashes) != 3 || len(v.Simple) != 4 || len(v.Error) != 8 {
		t.Fatalf("%d, %d and %d vectors, %v", len(v.Hashes), len(v.Simple), len(v.Error), err)
	}
	return v
}

// private reads a key in Bitcoin's wallet import format.
func private(t *testing.T, wif string) *btcec.PrivateKey {
	t.Helper()
	b := base58.Decode(wif)
	if len(b) != 38 || b[0] != 0x80 || b[33] != 1 {
		t.Fatalf("key %s", wif)
	}
	k, _ := btcec.PrivKeyFromBytes(b[1:33])
	return k
}

func point(t *testing.T, k *btcec.PrivateKey) *secp256k1.Point {
	t.Helper()
	p, err := secp256k1.DecodePoint(k.PubKey().SerializeCompressed())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func outputKey(t *testing.T, k *btcec.PrivateKey) hd.OutputKey {
	t.Helper()
	out, err := hd.TapTweak(point(t, k), nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// The virtual transactions of BIP 322's own vectors, whose ids the BIP writes last byte first.
func TestBIP322Transactions(t *testing.T) {
	v := vectors(t)
	script := WitnessKeyHashScript(private(t, v.Simple[0].Keys[0]).PubKey().SerializeCompressed())
	id := func(h [32]byte) string {
		slices.Reverse(h[:])
		return hex.EncodeToString(h[:])
	}
	for _, c := range v.Hashes {
		if c.Address != v.Simple[0].Address {
			t.Fatalf("vector of another address, %s", c.Address)
		}
		m := tagged(proofTag, []byte(c.Message))
		if got := hex.EncodeToString(m[:]); got != c.MessageHash {
			t.Errorf("%q: message hash %s, want %s", c.Message, got, c.MessageHash)
		}
		if got := id(script.toSpend([]byte(c.Message))); got != c.ToSpend {
			t.Errorf("%q: to_spend is %s, want %s", c.Message, got, c.ToSpend)
		}
		if got := id(script.toSign([]byte(c.Message))); got != c.ToSign {
			t.Errorf("%q: to_sign is %s, want %s", c.Message, got, c.ToSign)
		}
	}
}

// BIP 322's own signatures by keys of our two kinds are accepted; its invalid ones, and those of other kinds, are not.
func TestBIP322Signatures(t *testing.T) {
	v, accepted := vectors(t), 0
	check := func(k *btcec.PrivateKey, kind, message, signature string) error {
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(signature, "smp"))
		if err != nil {
			return err
		}
		if kind == "p2tr" {
			return CheckTaprootProof(outputKey(t, k), []byte(message), raw)
		}
		return CheckWitnessKeyHashProof(k.PubKey().SerializeCompressed(), []byte(message), raw)
	}
	for _, c := range v.Simple {
		k := private(t, c.Keys[0])
		address, err := mainnet(t).Taproot(outputKey(t, k))
		if c.Type != "p2tr" {
			address, err = mainnet(t).WitnessKeyHash(k.PubKey().SerializeCompressed())
		}
		if ours := len(c.Keys) == 1; err != nil || ours != (address == c.Address) {
			t.Fatalf("%s: address %s, %v; want %s", c.Type, address, err, c.Address)
		}
		for _, s := range c.Signatures {
			err := check(k, c.Type, c.Message, s)
			if (err == nil) != (len(c.Keys) == 1) {
				t.Errorf("%s, %q: %v", c.Type, c.Message, err)
			}
			if err == nil {
				accepted++
			}
			if check(k, c.Type, c.Message+" ", s) == nil {
				t.Errorf("%s, %q: serves another message", c.Type, c.Message)
			}
		}
	}
	if accepted != 5 {
		t.Errorf("%d signatures are accepted, want 5", accepted)
	}
	for _, c := range v.Error {
		for kind, key := range map[string]string{"p2wpkh": v.Simple[0].Keys[0], "p2tr": v.Simple[3].Keys[0]} {
			if c.Description == "wrong address for valid simple p2wpkh signature (signed for different address)" && kind == "p2wpkh" {
				key = v.Simple[2].Keys[0] // of another address
			}
			if check(private(t, key), kind, c.Message, c.Signature) == nil {
				t.Errorf("%s: accepted for %s", c.Description, kind)
			}
		}
	}
}

// btcd's script engine, which shares nothing with this room, executes to_sign with our witness.
func TestProofsBeforeBtcd(t *testing.T) {
	k, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	statement := []byte("ostraka/1 proof\ntext: é\n")
	public := k.PubKey().SerializeCompressed()
	out := outputKey(t, k)
	ofKey, ofOutput := WitnessKeyHashScript(public), TaprootScript(out)

	d := ofKey.ProofDigest(statement)
	compact := ecdsa.SignCompact(k, d[:], true)
	v0, err := WitnessKeyHashProof([64]byte(compact[1:]), public)
	if err != nil {
		t.Fatal(err)
	}
	d = ofOutput.ProofDigest(statement)
	sig, err := schnorr.Sign(txscript.TweakTaprootPrivKey(*k, nil), d[:])
	if err != nil {
		t.Fatal(err)
	}
	v1 := TaprootProof([64]byte(sig.Serialize()))
	if err := CheckWitnessKeyHashProof(public, statement, v0); err != nil {
		t.Error(err)
	}
	if err := CheckTaprootProof(out, statement, v1); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]struct {
		script Script
		proof  []byte
	}{"P2WPKH": {ofKey, v0}, "P2TR": {ofOutput, v1}} {
		if err := executed(c.script, statement, witnessOf(c.proof)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if executed(c.script, append([]byte("x"), statement...), witnessOf(c.proof)) == nil {
			t.Errorf("%s: the engine takes it for another statement", name)
		}
		// Nothing of it can be in a chain: what it spends is no transaction's.
		if spend := toSpendOf(c.script, statement); spend.TxIn[0].PreviousOutPoint.Hash != [32]byte{} || spend.Version != 0 || spend.TxOut[0].Value != 0 {
			t.Errorf("%s: to_spend could be a transaction", name)
		}
		for i := range c.proof {
			bad := bytes.Clone(c.proof)
			bad[i] ^= 1
			if CheckWitnessKeyHashProof(public, statement, bad) == nil || CheckTaprootProof(out, statement, bad) == nil {
				t.Errorf("%s: byte %d may be flipped", name, i)
			}
		}
		for _, bad := range [][]byte{nil, {2}, {2, 0}, {2, 255, 0}, c.proof[:len(c.proof)-1], append(bytes.Clone(c.proof), 0), c.proof[1:]} {
			if CheckWitnessKeyHashProof(public, statement, bad) == nil || CheckTaprootProof(out, statement, bad) == nil {
				t.Errorf("%s: a proof of %d bytes", name, len(bad))
			}
		}
	}
	// The same signature with the other s verifies as mathematics, and is another text for the same thing.
	s := new(btcec.ModNScalar)
	s.SetByteSlice(compact[33:])
	high := s.Negate().Bytes()
	der := derOf(compact[1:33], high[:])
	proof := append(append(append([]byte{2, byte(len(der) + 1)}, der...), 1, 33), public...)
	if CheckWitnessKeyHashProof(public, statement, proof) == nil {
		t.Error("high s is accepted")
	}
}

// derOf writes a signature in DER without asking how high its s is.
func derOf(r, s []byte) []byte {
	integer := func(b []byte) []byte {
		b = bytes.TrimLeft(b, "\x00")
		if b[0] > 0x7f {
			b = append([]byte{0}, b...)
		}
		return append([]byte{2, byte(len(b))}, b...)
	}
	body := append(integer(r), integer(s)...)
	return append([]byte{0x30, byte(len(body))}, body...)
}

// toSpendOf builds BIP 322's to_spend by btcd's code.
func toSpendOf(script, statement []byte) *wire.MsgTx {
	m := tagged(proofTag, statement)
	spend := wire.NewMsgTx(0)
	spend.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Index: 0xffffffff}, SignatureScript: append([]byte{0, 32}, m[:]...)})
	spend.AddTxOut(wire.NewTxOut(0, script))
	return spend
}

// executed runs to_sign with a witness in btcd's engine.
func executed(script, statement []byte, witness wire.TxWitness) error {
	sign := wire.NewMsgTx(0)
	sign.AddTxIn(&wire.TxIn{PreviousOutPoint: wire.OutPoint{Hash: toSpendOf(script, statement).TxHash()}, Witness: witness})
	sign.AddTxOut(wire.NewTxOut(0, []byte{txscript.OP_RETURN}))
	fetch := txscript.NewCannedPrevOutputFetcher(script, 0)
	vm, err := txscript.NewEngine(script, sign, 0, txscript.StandardVerifyFlags, nil, txscript.NewTxSigHashes(sign, fetch), 0, fetch)
	if err != nil {
		return err
	}
	return vm.Execute()
}

// witnessOf reads a simple signature's stack, whose items are shorter than 128 bytes.
func witnessOf(proof []byte) (w wire.TxWitness) {
	for rest := proof[1:]; len(rest) > 0; rest = rest[1+rest[0]:] {
		w = append(w, rest[1:1+rest[0]])
	}
	return w
}

func FuzzCheckProof(f *testing.F) {
	k, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{7}, 32))
	public := k.PubKey().SerializeCompressed()
	p, err := secp256k1.DecodePoint(public)
	if err != nil {
		f.Fatal(err)
	}
	out, err := hd.TapTweak(p, nil)
	if err != nil {
		f.Fatal(err)
	}
	d := WitnessKeyHashScript(public).ProofDigest([]byte("ours"))
	good, err := WitnessKeyHashProof([64]byte(ecdsa.SignCompact(k, d[:], true)[1:]), public)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(TaprootProof([64]byte{1}))
	f.Add([]byte{2, 1, 0})
	f.Add([]byte{2, 255, 0x30})
	f.Fuzz(func(t *testing.T, proof []byte) {
		if CheckTaprootProof(out, []byte("ours"), proof) == nil || CheckWitnessKeyHashProof(public, []byte("ours"), proof) == nil && !bytes.Equal(proof, good) {
			t.Fatalf("a second signature: %x", proof)
		}
	})
}
