package evm_test

import (
	"bytes"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
)

// Who only reads what others ruled on finds the same digest and signer as the book does, tells a transfer as it is, and takes no damaged form.
func TestReadByAnybody(t *testing.T) {
	key, err := crypto.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	from := evm.Address(crypto.PubkeyToAddress(key.PublicKey))
	book, err := evm.Compile(evm.Book{Chains: []evm.Chain{{ID: 1, SLIP44: 60, Dynamic: true, SetCode: true}}, Codes: []evm.Code{{ChainID: 1, Address: evm.Address{7}, Name: "wallet"}}})
	if err != nil {
		t.Fatal(err)
	}
	at := evm.Context{Account: evm.Account{Address: from}, Allowed: book}
	transfer, err := evm.Build(evm.Request{ChainID: 1, Gas: 21000, FeeCap: big.NewInt(9), TipCap: big.NewInt(1), To: evm.Address{5}, Amount: big.NewInt(123)})
	if err != nil {
		t.Fatal(err)
	}
	code, err := evm.BuildAuthorization(1, evm.Address{7}, 3, at)
	if err != nil {
		t.Fatal(err)
	}
	for name, unsigned := range map[string][]byte{"a transfer": transfer, "an authorization": code} {
		p, err := evm.DecodeIn(unsigned, at)
		if err != nil {
			t.Fatal(err)
		}
		if d, err := evm.DigestOf(unsigned); err != nil || d != evm.Hash(p.Digest()) {
			t.Errorf("%s: digest %s, %v", name, d, err)
		}
		d := p.Digest()
		sig, err := crypto.Sign(d[:], key)
		if err != nil {
			t.Fatal(err)
		}
		done, err := p.Assemble([]effect.Signature{{Bytes: [64]byte(sig[:64]), Recovery: sig[64]}})
		if err != nil {
			t.Fatal(err)
		}
		if p.Transaction() == nil {
			if digest, who, err := evm.CheckMessage(unsigned, done.Raw); err != nil || who != from || digest != evm.Hash(d) {
				t.Errorf("%s: %s by %s, %v", name, digest, who, err)
			}
			if _, _, err := evm.CheckMessage(transfer, done.Raw); err == nil {
				t.Error("a transaction is a message")
			}
			if _, _, err := evm.CheckMessage(unsigned, done.Raw[:len(done.Raw)-1]); err == nil {
				t.Errorf("%s: a signature cut short is taken", name)
			}
			continue
		}
		x, err := evm.ParseAny(done.Raw)
		if err != nil || x.From != from || x.Hash != done.ID || !bytes.Equal(x.Transaction.Unsigned(), unsigned) {
			t.Fatalf("%s: %+v, %v", name, x, err)
		}
		if f := x.Transaction.Facts(); f.Operation != evm.NativeTransfer || f.Amount.Int64() != 123 || f.Destination != (evm.Address{5}) {
			t.Errorf("%s is told as %+v", name, f)
		}
		for i := range done.Raw {
			bad := bytes.Clone(done.Raw)
			bad[i] ^= 1
			if x, err := evm.ParseAny(bad); err == nil && x.From == from && bytes.Equal(x.Transaction.Unsigned(), unsigned) {
				t.Errorf("%s: byte %d is nobody's", name, i)
			}
		}
		for _, bad := range [][]byte{nil, done.Raw[:len(done.Raw)-1], append(bytes.Clone(done.Raw), 0), unsigned} {
			if _, err := evm.ParseAny(bad); err == nil {
				t.Errorf("%s: %x is taken", name, bad)
			}
		}
	}
}
