package bitcoin_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
)

func FuzzDecode(f *testing.F) {
	v := cached(vault(f, true))
	f.Add(honest(f, v))
	f.Add(build(f, v, mixed(f, v)))
	f.Add([]byte(psbt.Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		tx, err := bitcoin.Decode(b, v)
		if err != nil {
			return
		}
		if !bytes.Equal(tx.Unsigned(), b) {
			t.Fatalf("decoded %x, encodes as %x", b, tx.Unsigned())
		}
		again, err := bitcoin.Build(v, bitcoin.Draft{LockTime: tx.LockTime(), Ins: tx.Inputs(), Outs: drafted(tx.Outputs())})
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("facts of %x build %x, %v", b, again, err)
		}
		if lines := tx.Lines(); len(lines) > 64 || len(tx.Uses()) != len(tx.Inputs()) || len(tx.Spends()) != len(tx.Inputs()) {
			t.Fatalf("%x: %d lines", b, len(lines))
		}
	})
}

// drafted are outputs as a draft has them: change without its address.
func drafted(outs []bitcoin.Output) []bitcoin.Output {
	for i := range outs {
		if outs[i].Change != nil {
			outs[i].Address = ""
		}
	}
	return outs
}

func FuzzParseSigned(f *testing.F) {
	v := cached(vault(f, true))
	tx := decode(f, v, honest(f, v))
	s, err := tx.Assemble(signatures(f, tx))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, sigs, err := tx.ParseSigned(b)
		if err != nil {
			return
		}
		if again, err := tx.Assemble(sigs); err != nil || !bytes.Equal(again.Raw, b) || again.ID != got.ID {
			t.Fatalf("%x is assembled as another, %v", b, err)
		}
	})
}

func FuzzImport(f *testing.F) {
	v := cached(vault(f, true))
	f.Add(honest(f, v))
	tx := decode(f, v, honest(f, v))
	signed, err := tx.Export(signatures(f, tx))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(signed)
	f.Fuzz(func(t *testing.T, b []byte) {
		unsigned, err := bitcoin.Import(b, v)
		if err != nil {
			return
		}
		if again, err := bitcoin.Import(unsigned, v); err != nil || !bytes.Equal(again, unsigned) {
			t.Fatalf("%x is imported as %x, and that as %x, %v", b, unsigned, again, err)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	f.Add("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")
	f.Add("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn")
	n := network(f, regtest)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := n.ParseAddress(text)
		if err != nil {
			return
		}
		a, err := n.Address(s)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := n.ParseAddress(a); err != nil || !bytes.Equal(again, s) {
			t.Fatalf("%q is %x, written %s", text, s, a)
		}
	})
}

// A descriptor with a leaf, or without, is read as it is written and in no other form.
func FuzzParseDescriptor(f *testing.F) {
	r := bitcoin.Recovery{Key: [32]byte{0x79, 0xbe, 0x66, 0x7e, 0xf9, 0xdc, 0xbb, 0xac, 0x55, 0xa0, 0x62, 0x95, 0xce, 0x87, 0x0b, 0x07, 0x02, 0x9b, 0xfc, 0xdb, 0x2d, 0xce, 0x28, 0xd9, 0x59, 0xf2, 0x81, 0x5b, 0x16, 0xf8, 0x17, 0x98}, Blocks: 144}
	root, err := hd.Root(secp256k1.Group{}.Generator().(*secp256k1.Point), [32]byte{4})
	if err != nil {
		f.Fatal(err)
	}
	for _, recovery := range []*bitcoin.Recovery{nil, &r} {
		text, err := bitcoin.Vault{Network: network(f, regtest), Recovery: recovery}.Descriptor(bitcoin.SuiteBIP340, root, 0, 1)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add(r.String())
	f.Fuzz(func(t *testing.T, text string) {
		if leaf, err := bitcoin.ParseRecovery(text); err == nil && (leaf.String() != text || leaf.Check() != nil) {
			t.Fatalf("%q is read as %s", text, leaf)
		}
		d, leaf, err := bitcoin.ParseDescriptor(text)
		if err != nil {
			return
		}
		again := d.String()
		if leaf != nil {
			body, _, _ := strings.Cut(again, "#")
			if again, err = hd.Checksummed(strings.TrimSuffix(body, ")") + "," + leaf.String() + ")"); err != nil {
				t.Fatal(err)
			}
		}
		if again != text {
			t.Fatalf("%q is written %q", text, again)
		}
	})
}
