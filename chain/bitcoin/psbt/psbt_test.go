package psbt_test

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	theirs "github.com/btcsuite/btcd/psbt/v2"
	"github.com/btcsuite/btcd/wire/v2"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

func TestCompact(t *testing.T) {
	for _, n := range []uint64{0, 1, 0xfc, 0xfd, 0xff, 0x100, 0xffff, 0x10000, 0xffffffff, 0x100000000, 1<<64 - 1} {
		b := psbt.AppendCompact(nil, n)
		var w bytes.Buffer
		if err := wire.WriteVarInt(&w, 0, n); err != nil || !bytes.Equal(w.Bytes(), b) {
			t.Errorf("%d: %x, btcd writes %x", n, b, w.Bytes())
		}
		if got, rest, err := psbt.Compact(append(b, 7)); err != nil || got != n || !bytes.Equal(rest, []byte{7}) {
			t.Errorf("%d: read as %d, %x, %v", n, got, rest, err)
		}
		if _, _, err := psbt.Compact(b[:len(b)-1]); err == nil {
			t.Errorf("%d: read without its last byte", n)
		}
	}
	for _, bad := range [][]byte{nil, {0xfd, 0xfc, 0}, {0xfe, 0xff, 0xff, 0, 0}, {0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0}, {0xfd, 1}} {
		if n, _, err := psbt.Compact(bad); err == nil {
			t.Errorf("%x: read as %d", bad, n)
		}
	}
}

func TestID(t *testing.T) {
	id := psbt.ID{31: 0xab, 0: 1}
	if id.String() != "ab"+strings.Repeat("00", 30)+"01" || id != (psbt.ID{31: 0xab, 0: 1}) {
		t.Errorf("written %s", id)
	}
	if got, err := psbt.ParseID(id.String()); err != nil || got != id {
		t.Errorf("%v, %v", got, err)
	}
	for _, bad := range []string{"", "00", strings.Repeat("AB", 32), strings.Repeat("0", 63) + "g", strings.Repeat("00", 33)} {
		if _, err := psbt.ParseID(bad); err == nil {
			t.Errorf("%q: read", bad)
		}
	}
}

func random(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

func randomTx(rng *rand.Rand) *psbt.Tx {
	tx := &psbt.Tx{Version: rng.Uint32(), LockTime: rng.Uint32()}
	witness := rng.IntN(2) == 0
	for range 1 + rng.IntN(3) {
		in := psbt.In{Outpoint: psbt.Outpoint{ID: psbt.ID(random(rng, 32)), Index: rng.Uint32()}, Script: random(rng, rng.IntN(3)), Sequence: rng.Uint32()}
		if witness {
			in.Witness = [][]byte{random(rng, rng.IntN(300)), {}}
		}
		tx.Ins = append(tx.Ins, in)
	}
	for range 1 + rng.IntN(3) {
		tx.Outs = append(tx.Outs, psbt.Out{Amount: rng.Uint64() >> 1, Script: random(rng, rng.IntN(300))})
	}
	return tx
}

// btcd reads what we write and names it alike; what is read again is the same bytes.
func TestTransactionsBeforeBtcd(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	for range 300 {
		tx := randomTx(rng)
		b := tx.Bytes()
		var w wire.MsgTx
		if err := w.Deserialize(bytes.NewReader(b)); err != nil {
			t.Fatal(err)
		}
		if w.TxHash() != [32]byte(tx.ID()) || w.WitnessHash() != [32]byte(tx.WitnessID()) || w.TxHash().String() != tx.ID().String() || 3*w.SerializeSizeStripped()+w.SerializeSize() != tx.Weight() {
			t.Errorf("%x: ids %s and %s, weight %d", b, tx.ID(), tx.WitnessID(), tx.Weight())
		}
		again, err := psbt.ParseTx(b)
		if err != nil || !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("%x: read again as %+v, %v", b, again, err)
		}
		for n := range b {
			if _, err := psbt.ParseTx(b[:n]); err == nil {
				t.Fatalf("%x: %d bytes of it are read", b, n)
			}
		}
		if _, err := psbt.ParseTx(append(b, 0)); err == nil {
			t.Fatal("a byte more is read")
		}
	}
}

func TestParseTxRefuses(t *testing.T) {
	tx := &psbt.Tx{Version: 2, Ins: []psbt.In{{}}, Outs: []psbt.Out{{}}}
	b := tx.Bare()
	for name, bad := range map[string][]byte{
		"witness flag without witnesses": slices.Concat(b[:4], []byte{0, 1}, b[4:len(b)-4], []byte{0}, b[len(b)-4:]), "flag 2": slices.Concat(b[:4], []byte{0, 2}, b[4:]),
		"no inputs": {2, 0, 0, 0, 0, 0, 0, 0, 0, 0}, "more inputs than bytes": {2, 0, 0, 0, 0xfe, 255, 255, 255, 255},
		"more outputs than bytes": slices.Concat(b[:46], []byte{0xff, 255, 255, 255, 255, 255, 255, 255, 255}), "count in long form": slices.Concat(b[:4], []byte{0xfd, 1, 0}, b[5:]),
	} {
		if _, err := psbt.ParseTx(bad); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func packet(t testing.TB, rng *rand.Rand) *psbt.Packet {
	t.Helper()
	tx := randomTx(rng)
	p := &psbt.Packet{Tx: tx, Ins: make([]psbt.Map, len(tx.Ins)), Outs: make([]psbt.Map, len(tx.Outs))}
	for i := range tx.Ins {
		tx.Ins[i].Script, tx.Ins[i].Witness = nil, nil
	}
	return p
}

// Packets come together in any order, twice as once; a contradiction does not.
func TestCombine(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 9))
	for range 50 {
		a := packet(t, rng)
		b := &psbt.Packet{Tx: a.Tx, Ins: make([]psbt.Map, len(a.Ins)), Outs: make([]psbt.Map, len(a.Outs))}
		for i := range a.Ins {
			f, g := psbt.Field{Key: random(rng, 3), Value: random(rng, 4)}, psbt.Field{Key: random(rng, 4), Value: random(rng, 5)}
			a.Ins[i], b.Ins[i] = psbt.Map{f}, psbt.Map{g, f}
		}
		one, err := psbt.Combine(a, b)
		two, err2 := psbt.Combine(b, a, a)
		if err != nil || err2 != nil || !bytes.Equal(one.Bytes(), two.Bytes()) || len(one.Ins[0]) != 2 || !one.Ins[0].Sorted() {
			t.Fatalf("%+v and %+v, %v, %v", one, two, err, err2)
		}
		again, err := psbt.Parse(one.Bytes())
		if err != nil || !bytes.Equal(again.Bytes(), one.Bytes()) {
			t.Fatal(err)
		}
		b.Ins[0][1].Value = []byte("another")
		if _, err := psbt.Combine(a, b); err == nil || !strings.Contains(err.Error(), "two values") {
			t.Errorf("a contradiction: %v", err)
		}
		if _, err := psbt.Combine(a, packet(t, rng)); err == nil {
			t.Error("two transactions come together")
		}
	}
	if _, err := psbt.Combine(); err == nil {
		t.Error("no packets")
	}
}

func FuzzParseTx(f *testing.F) {
	rng := rand.New(rand.NewPCG(2, 2))
	for range 4 {
		f.Add(randomTx(rng).Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tx, err := psbt.ParseTx(b)
		if err != nil {
			return
		}
		if !bytes.Equal(tx.Bytes(), b) {
			t.Fatalf("%x is written %x", b, tx.Bytes())
		}
		var w wire.MsgTx
		if err := w.Deserialize(bytes.NewReader(b)); err == nil && w.TxHash() != [32]byte(tx.ID()) {
			t.Fatalf("%x is %s, btcd says %s", b, tx.ID(), w.TxHash())
		}
	})
}

func FuzzParse(f *testing.F) {
	rng := rand.New(rand.NewPCG(2, 2))
	f.Add(packet(f, rng).Bytes())
	f.Add([]byte(psbt.Magic))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := psbt.Parse(b)
		if err != nil {
			return
		}
		again, err := psbt.Parse(p.Bytes()) // the transaction comes first then
		if err != nil || !bytes.Equal(again.Bytes(), p.Bytes()) {
			t.Fatalf("%x is written %x, %v", b, p.Bytes(), err)
		}
		if q, err := theirs.NewFromRawBytes(bytes.NewReader(b), false); err == nil && q.UnsignedTx.TxHash() != [32]byte(p.Tx.ID()) {
			t.Fatalf("%x: btcd reads another transaction", b)
		}
	})
}
