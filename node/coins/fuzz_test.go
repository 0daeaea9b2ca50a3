package coins

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/store"
)

// rows writes rows, and has no store.
var rows = &Book{cfg: Config{Chain: "bip122:0f9188f13cb7b2c71f2a335e3a4fc328"}}

var (
	fuzzOwner  = Owner{Vault: statement.ID{3}, Spot: bitcoin.Spot{Suite: bitcoin.SuiteECDSA, Path: [3]uint32{0, 1, 7}}}
	fuzzScript = append([]byte{0, 20}, bytes.Repeat([]byte{0xab}, 20)...)
)

// A row that is read is written again as it was: no two rows say the same.
func FuzzDecodeTip(f *testing.F) {
	block := func(n byte) seen { return seen{psbt.ID{n}, 0x207fffff} }
	for _, t := range []tip{
		{begun: true}, {begun: true, start: 900_000, erase: true}, {begun: true, start: 4, height: 6, read: []seen{block(4), block(5), block(6)}, rescans: 2},
		{begun: true, start: 4, height: 6, read: []seen{block(4), block(5), block(6)}, again: true, from: 1, next: 5, last: block(4), queued: 3},
		{begun: true, again: true, from: 1, next: 0},
	} {
		f.Add(rows.tipEntry(t).Value)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := decodeTip(in)
		if err != nil {
			return
		}
		if out := rows.tipEntry(x).Value; !bytes.Equal(out, in) {
			t.Fatalf("%x became %x", in, out)
		}
		if len(x.read) > Depth+1 || x.height > maxHeight || x.again && (x.from > x.next || int64(x.next) > x.top()+1) {
			t.Fatalf("%x is %+v", in, x)
		}
		for h := int64(x.start); h <= x.top() && len(x.read) > 0; h += 97 { // who looks blocks up by height stays within them
			x.at(h)
		}
		_ = x.lowest()
	})
}

func FuzzDecodeCoin(f *testing.F) {
	taproot := fuzzOwner
	taproot.Spot.Suite, taproot.Spot.Plain = bitcoin.SuiteBIP340, true
	for _, c := range []coin{
		{Owner: fuzzOwner, script: fuzzScript, amount: 5_000_000_000, height: 100, coinbase: true, kept: true},
		{Owner: taproot, script: fuzzScript, amount: bitcoin.MaxMoney, height: 100, late: 2, spent: true, by: psbt.ID{9}, spentAt: 101},
		{Owner: fuzzOwner, height: 3, spent: true, spentAt: 2},
	} {
		f.Add(rows.coinEntry(psbt.Outpoint{}, &c).Value)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := decodeCoin(in)
		if err != nil {
			return
		}
		if out := rows.coinEntry(psbt.Outpoint{}, c).Value; !bytes.Equal(out, in) {
			t.Fatalf("%x became %x", in, out)
		}
		if c.amount > bitcoin.MaxMoney || len(c.script) > maxScript || c.spent && c.spentAt < c.height {
			t.Fatalf("%x is %+v", in, c)
		}
	})
}

func FuzzDecodeTx(f *testing.F) {
	for _, x := range []in{{}, {900_000, psbt.ID{1, 2, 3}, 0}, {maxHeight, psbt.ID{0xff}, maxHeight}} {
		f.Add(rows.txEntry(psbt.ID{}, x).Value)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		x, err := decodeTx(in)
		if err != nil {
			return
		}
		if out := rows.txEntry(psbt.ID{}, x).Value; !bytes.Equal(out, in) || x.height > maxHeight {
			t.Fatalf("%x became %x", in, out)
		}
	})
}

func FuzzDecodeMove(f *testing.F) {
	paid, spent := part{index: 1, amount: 7, script: fuzzScript}, part{in: true, index: 2, late: 4, amount: bitcoin.MaxMoney, script: fuzzScript}
	for _, m := range []move{
		{block: psbt.ID{1}, time: 1_700_000_000, parts: []part{paid}},
		{block: psbt.ID{1}, parts: []part{paid, spent}, more: 3, received: 1 << 60, spent: 9},
		{block: psbt.ID{1}, parts: []part{spent, paid}},
	} {
		f.Add(m.bytes())
	}
	one := (&move{block: psbt.ID{1}, parts: []part{paid}, more: 1}).bytes()
	one[len(one)-3*14+13] = 0 // none more, and their sums
	f.Add(one)
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := decodeMove(in)
		if err != nil {
			return
		}
		if out := m.bytes(); !bytes.Equal(out, in) || len(m.parts) == 0 || len(m.parts) > maxParts {
			t.Fatalf("%x became %x", in, out)
		}
		old, _ := decodeMove(in)
		if m.join(old); !bytes.Equal(m.bytes(), in) {
			t.Fatalf("%x joined with itself is %x", in, m.bytes())
		}
	})
}

// Keys of rows are read as they are written.
func FuzzRowKeys(f *testing.F) {
	o := psbt.Outpoint{ID: psbt.ID{1, 0xff}, Index: 7}
	f.Add(rows.coinKey(o))
	f.Add(rows.moveKey(statement.ID{3}, 900_000, psbt.ID{4}))
	f.Add("coin/x/1/2")
	vaults := len(rows.prefix(kindMove, store.ID(make([]byte, 32))))
	f.Fuzz(func(t *testing.T, key string) {
		if o, err := outpointOf(key); err == nil && !strings.HasSuffix(key, strings.TrimPrefix(rows.coinKey(o), rows.prefix(kindCoin))) {
			t.Fatalf("%q names %s, whose key is %q", key, o, rows.coinKey(o))
		}
		if m, err := placeOf(key); err == nil && !strings.HasSuffix(key, rows.moveKey(statement.ID{}, m.Height, m.ID)[vaults:]) {
			t.Fatalf("%q names %+v, whose key is %q", key, m, rows.moveKey(statement.ID{}, m.Height, m.ID))
		}
	})
}
