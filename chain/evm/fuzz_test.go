package evm_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/ostraka/ostraka/chain/evm"
)

func seeds(f *testing.F) {
	f.Add(dynamic(f, dynamicFields()))
	f.Add(encode(f, legacyFields()))
	f.Add(dynamic(f, tokenFields(transfer(nil))))
	f.Add([]byte{2, 0xc0})
	f.Add([]byte{2, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	for _, fields := range [][]any{dynamicFields(), tokenFields(transfer(nil))} {
		tx, err := evm.Decode(dynamic(f, fields))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(sign(f, tx, testKey(f)).Raw)
	}
}

func FuzzDecode(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		tx, err := evm.Decode(b)
		if err != nil {
			return
		}
		if again := tx.Unsigned(); !bytes.Equal(again, b) {
			t.Fatalf("decoded %x, encodes as %x", b, again)
		}
		facts := tx.Facts()
		r := evm.Request{
			Kind: facts.Kind, ChainID: facts.ChainID, Nonce: facts.Nonce, Gas: facts.Gas, FeeCap: facts.FeeCap,
			TipCap: facts.TipCap, Token: facts.Token, To: facts.Destination, Amount: facts.Amount,
		}
		// the facts say all: they build the same bytes
		if built, err := evm.Build(r); err != nil || !bytes.Equal(built, b) {
			t.Fatalf("facts of %x build %x, %v", b, built, err)
		}
	})
}

func FuzzParseSigned(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		signed, err := evm.ParseAny(b)
		if narrow, refused := evm.ParseSigned(b); refused == nil && (err != nil || narrow.From != signed.From || narrow.Hash != signed.Hash) {
			t.Fatalf("%x: it is taken as one of two types, and not as any: %v", b, err)
		}
		if err != nil {
			return
		}
		var theirs types.Transaction
		if err := theirs.UnmarshalBinary(b); err != nil {
			t.Fatalf("accepted %x, go-ethereum refuses: %v", b, err)
		}
		from, err := types.Sender(types.LatestSignerForChainID(theirs.ChainId()), &theirs)
		if err != nil || evm.Address(from) != signed.From || evm.Hash(theirs.Hash()) != signed.Hash || !bytes.Equal(signed.Raw, b) {
			t.Fatalf("%x: ours %+v; go-ethereum: from %s, hash %s, %v", b, signed, from, theirs.Hash(), err)
		}
	})
}

func FuzzParseUnits(f *testing.F) {
	f.Add("1.25", uint8(6))
	f.Add("0", uint8(0))
	f.Fuzz(func(t *testing.T, text string, decimals uint8) {
		amount, err := evm.ParseUnits(text, decimals)
		if err != nil {
			return
		}
		again, err := evm.ParseUnits(evm.FormatUnits(amount, decimals), decimals)
		if err != nil || again.Cmp(amount) != 0 {
			t.Fatalf("%q is %v, formatted and read again %v, %v", text, amount, again, err)
		}
	})
}

// An address is read by its checksum or in lower case alone, a hash in any case; what is read is written in one form.
func FuzzParseAddress(f *testing.F) {
	for _, text := range []string{"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed", "0x5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED", "0x" + strings.Repeat("aF", 32), "0x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if a, err := evm.ParseAddress(text); err == nil && (text != a.String() && text != strings.ToLower(a.String()) || len(text) != 42) {
			t.Fatalf("%q is read as %s", text, a)
		}
		if h, err := evm.ParseHash(text); err == nil && h.String() != strings.ToLower(text) {
			t.Fatalf("%q is read as %s", text, h)
		}
	})
}
