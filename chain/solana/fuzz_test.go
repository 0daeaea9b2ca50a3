package solana_test

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
)

func seeds(f *testing.F) {
	for _, p := range []*parts{usualParts(), tabled(1), layOut(false, payer, block, sendSOL(payer, wallet, 1)), layOut(true, payer, nonceValue, advance(nonce, payer), unitLimit(5), unitPrice(7), note("x"), usual()),
		layOut(true, payer, block, sendTaxed(ata(payer, taxed, token22), taxed, odd, payer, 9, 2, 1))} {
		f.Add(sealed(p.bytes(), p, reading()))
	}
}

// Whoever believes what is enclosed decodes what they are given, and encodes the same bytes; a node decodes the same or refuses.
func FuzzDecode(f *testing.F) {
	seeds(f)
	node := reading()
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := solana.Enclosed(b)
		if err != nil {
			return
		}
		tx, err := solana.Decode(b, context(w))
		if err != nil {
			return
		}
		if !bytes.Equal(tx.Unsigned(), b) {
			t.Fatalf("decoded %x, encodes as %x", b, tx.Unsigned())
		}
		lines := tx.Lines()
		if len(lines) > 64 {
			t.Fatalf("%d lines", len(lines))
		}
		for _, l := range lines {
			if len(l.Value) > 3000 {
				t.Fatalf("line %s has %d bytes", l.Name, len(l.Value))
			}
		}
		if again, err := solana.Wrap(tx.Message(), context(w)); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("wrapped again: %x, %v; was %x", again, err, b)
		}
		if own, err := solana.Decode(b, context(node)); err == nil && fmt.Sprint(own.Lines()) != fmt.Sprint(lines) {
			t.Fatalf("a node reads %v, who believes what is enclosed reads %v", own.Lines(), lines)
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, p := range []*parts{usualParts(), tabled(1), layOut(false, payer, block, sendSOL(payer, wallet, 1))} {
		f.Add(p.bytes())
	}
	node := reading()
	f.Fuzz(func(t *testing.T, b []byte) {
		unsigned, err := solana.Wrap(b, context(node))
		if err != nil {
			return
		}
		tx, err := solana.Decode(unsigned, context(node))
		if err != nil || !bytes.Equal(tx.Message(), b) {
			t.Fatalf("wrapped %x, decoded %v", b, err)
		}
	})
}

func FuzzReadAccount(f *testing.F) {
	f.Add([]byte{}, byte(0))
	f.Add(make([]byte, 82), byte(1))
	f.Add(append(make([]byte, 165), 1, 14, 0, 0, 0), byte(2))
	f.Fuzz(func(t *testing.T, data []byte, owner byte) {
		k := []key{systemProgram, tokenProgram, token22, stranger}[owner%4]
		a, err := solana.ReadAccount(k, data, false)
		if err == nil && a.Kind != solana.Wallet && a.Kind != solana.NonceAccount && a.Program != k {
			t.Fatalf("account of %s is of %s", k, a.Program)
		}
		all, err := solana.ReadTable(data)
		if err == nil && (len(all) > 256 || len(data) != 56+32*len(all)) {
			t.Fatalf("%d addresses in a table of %d bytes", len(all), len(data))
		}
	})
}

// What is signed is read whole: its signatures and its message are its bytes, and each signature verifies by Go's own code, too.
func FuzzParseSigned(f *testing.F) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32))
	signer := key(private.Public().(ed25519.PublicKey))
	for _, p := range []*parts{layOut(false, signer, block, sendSOL(signer, wallet, 1)), layOut(true, signer, block, sendSOL(signer, wallet, 2))} {
		message := p.bytes()
		raw := append(append([]byte{1}, ed25519.Sign(private, message)...), message...)
		if _, err := solana.ParseSigned(raw); err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{1})
	f.Add(append([]byte{255}, make([]byte, 255*64)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := solana.ParseSigned(b)
		if err != nil {
			return
		}
		whole := []byte{byte(len(s.Signatures))}
		for i, sig := range s.Signatures {
			if whole = append(whole, sig[:]...); !ed25519.Verify(s.Signers[i][:], s.Message, sig[:]) {
				t.Fatalf("signature %d of %x does not verify", i, b)
			}
		}
		if !bytes.Equal(append(whole, s.Message...), b) || !bytes.Equal(s.Raw, b) || len(s.Signers) != len(s.Signatures) {
			t.Fatalf("%x is read as %x", b, whole)
		}
	})
}
