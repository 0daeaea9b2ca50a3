package block_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// committed is a coinbase that commits to the witnesses of what follows it.
func committed(txs ...*psbt.Tx) *psbt.Tx {
	c := coinbase()
	ids := []psbt.ID{{}}
	for _, tx := range txs {
		ids = append(ids, tx.WitnessID())
	}
	top := rootOf(ids)
	said := doubled(append(top[:], c.Ins[0].Witness[0]...)...)
	c.Outs = append(c.Outs, psbt.Out{Script: append([]byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}, said[:]...)})
	return c
}

// signs is a payment with one witness.
func signs(n uint32, witness string) *psbt.Tx {
	tx := payment(n)
	tx.Ins[0].Witness = [][]byte{[]byte(witness)}
	return tx
}

// Witnesses that a coinbase does not commit to are refused: no transaction's id covers them.
func TestWitnessed(t *testing.T) {
	bare := payment(4)
	bare.Ins[0].Witness = nil
	a, b := signs(1, "a"), signs(2, "b")
	unkept := committed(a)
	unkept.Ins[0].Witness = nil
	early := committed(a)
	early.Outs = append(early.Outs, committed(b).Outs[1])
	longer := committed(a, b)
	longer.Outs[1].Script = append(longer.Outs[1].Script, 1, 2)
	for name, c := range map[string]struct {
		txs  []*psbt.Tx
		want string
	}{
		"as committed":                          {[]*psbt.Tx{committed(a, b), a, b}, ""},
		"alone":                                 {[]*psbt.Tx{committed()}, ""},
		"with more behind it":                   {[]*psbt.Tx{longer, a, b}, ""},
		"none, and no commitment":               {[]*psbt.Tx{coinbase(), bare}, ""},
		"another witness":                       {[]*psbt.Tx{committed(a, b), signs(1, "x"), b}, "are others than its coinbase commits to"},
		"no commitment":                         {[]*psbt.Tx{coinbase(), a}, "its coinbase commits to none"},
		"a coinbase without its item":           {[]*psbt.Tx{unkept, a}, "is not one item of 32 bytes"},
		"two commitments, of which one is left": {[]*psbt.Tx{early, a}, "are others than its coinbase commits to"},
	} {
		blk, err := block.Parse(mined(block.Header{}, c.txs...))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := blk.Witnessed(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestParseHeader(t *testing.T) {
	raw := fromHex(t, first)[:80]
	h, err := block.ParseHeader(raw)
	if err != nil || !bytes.Equal(h.Bytes(), raw) || h.Time != 1231006505 {
		t.Errorf("%+v, %v", h, err)
	}
	other := bytes.Clone(raw)
	other[70]++
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"short": {raw[:79], "79 bytes"}, "long": {append(bytes.Clone(raw), 0), "81 bytes"}, "nothing": {nil, "0 bytes"}, "no work": {other, "above its target"},
	} {
		if _, err := block.ParseHeader(c.raw); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	f.Add(fromHex(f, first)[:80])
	f.Fuzz(func(t *testing.T, raw []byte) {
		if h, err := block.ParseHeader(raw); err == nil && !bytes.Equal(h.Bytes(), raw) {
			t.Errorf("%x is written as %x", raw, h.Bytes())
		}
	})
}
