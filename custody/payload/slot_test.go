package payload

import (
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// Of all transactions with one slot the chain takes one: they share a coin. And whoever asks for one large coin again and again, with another small one each time, has one slot.
func TestSlot(t *testing.T) {
	const regtest = "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"
	v, err := VaultOf(regtest, func(string) (Root, error) { return Root{Public: secp256k1.Group{}.Generator()}, nil }, nil, bitcoin.PerVByte(1000))
	if err != nil {
		t.Fatal(err)
	}
	amounts := []uint64{5000, 90_000, 7000, 90_000}
	slot := func(coins ...byte) string {
		d := bitcoin.Draft{}
		sum := uint64(0)
		for _, n := range coins {
			sum += amounts[n]
			d.Ins = append(d.Ins, bitcoin.Input{Outpoint: psbt.Outpoint{ID: psbt.ID{31: 1 + n}, Index: 2}, Sequence: bitcoin.Final, Spot: bitcoin.Spot{Suite: bitcoin.SuiteBIP340}, Amount: amounts[n]})
		}
		d.Outs = []bitcoin.Output{{Amount: sum - 1000, Address: "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"}}
		raw, err := bitcoin.Build(v, d)
		if err != nil {
			t.Fatal(err)
		}
		tx, err := bitcoin.Decode(raw, v)
		if err != nil {
			t.Fatal(err)
		}
		return Slot(&Bitcoin{tx})
	}
	large := slot(1)
	if want := (psbt.Outpoint{ID: psbt.ID{31: 2}, Index: 2}); large != regtest+"/"+want.String() {
		t.Errorf("one coin has the slot %q", large)
	}
	for name, coins := range map[string][]byte{"a smaller one first": {0, 1}, "a smaller one behind": {1, 2}, "both": {2, 1, 0}, "another as large": {3, 1}, "that one first": {1, 3}} {
		if is := slot(coins...); is != large {
			t.Errorf("%s: slot %q", name, is)
		}
	}
	for name, coins := range map[string][]byte{"small ones": {0, 2}, "another as large alone": {3, 0}} {
		if is := slot(coins...); is == large {
			t.Errorf("%s: the slot of a coin that is not spent", name)
		}
	}
}
