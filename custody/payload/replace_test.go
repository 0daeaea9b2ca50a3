package payload

import (
	"errors"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// Where the plan of an emergency is the rule, a sweep of Bitcoin is replaced out of its one payment. At any other time a payee does not get less than was approved.
func TestSweepIsReplaced(t *testing.T) {
	v, err := VaultOf("bip122:0f9188f13cb7b2c71f2a335e3a4fc328", func(string) (Root, error) { return Root{Public: secp256k1.Group{}.Generator()}, nil }, nil, bitcoin.PerVByte(1000))
	if err != nil {
		t.Fatal(err)
	}
	sweep := func(fee uint64) Payload {
		raw, err := bitcoin.Build(v, bitcoin.Draft{
			Ins:  []bitcoin.Input{{Outpoint: psbt.Outpoint{ID: psbt.ID{31: 1}}, Sequence: bitcoin.Replaceable, Spot: bitcoin.Spot{Suite: bitcoin.SuiteBIP340}, Amount: 90_000}},
			Outs: []bitcoin.Output{{Amount: 90_000 - fee, Address: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := bitcoin.Decode(raw, v)
		if err != nil {
			t.Fatal(err)
		}
		return &Bitcoin{tx}
	}
	if err := Replaces(sweep(3000), sweep(1000)); err != nil {
		t.Errorf("under a plan: %v", err)
	}
	if err := Replaces(sweep(1000), sweep(3000)); !errors.Is(err, bitcoin.ErrNoReplacement) {
		t.Errorf("for less: %v", err)
	}
	if err := Takes(sweep(3000), sweep(1000)); !errors.Is(err, bitcoin.ErrNoReplacement) {
		t.Errorf("by the ordinary rules: %v", err)
	}
}
