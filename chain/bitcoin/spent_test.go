package bitcoin_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2/schnorr"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// published is a transaction as a block shows it, and what it spends.
func published(t testing.TB, raw []byte) *psbt.Tx {
	t.Helper()
	tx, err := psbt.ParseTx(bytes.Clone(raw))
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// reclaimed is a transaction by which the recovery key takes two coins of the vault.
func reclaimed(t testing.TB) (*psbt.Tx, []psbt.Out) {
	t.Helper()
	v := vault(t, true)
	var coins []bitcoin.Lost
	var spent []psbt.Out
	for i := range uint32(2) {
		s, err := v.Script(v1(i))
		if err != nil {
			t.Fatal(err)
		}
		coins = append(coins, bitcoin.Lost{Outpoint: psbt.Outpoint{ID: psbt.ID{1, byte(i)}, Index: i}, Amount: 10_000, Internal: publicOf(bitcoin.SuiteBIP340, v1(i).Path)})
		spent = append(spent, psbt.Out{Amount: 10_000, Script: s})
	}
	r, err := leaf.Reclaim(v.Network, coins, payee(t, bitcoin.PayTaproot), bitcoin.PerVByte(5))
	if err != nil {
		t.Fatal(err)
	}
	var sigs [][64]byte
	for _, d := range r.Digests() {
		s, err := schnorr.Sign(recoveryKey, d[:])
		if err != nil {
			t.Fatal(err)
		}
		sigs = append(sigs, [64]byte(s.Serialize()))
	}
	s, err := r.Assemble(sigs)
	if err != nil {
		t.Fatal(err)
	}
	return published(t, s.Raw), spent
}

// What took a coin is read off its witness: the vault's key, or the recovery's, whose leaf the coin commits to.
func TestSpentBy(t *testing.T) {
	v := vault(t, true)
	tx := decode(t, v, build(t, v, mixed(t, v)))
	s, err := tx.Assemble(signatures(t, tx))
	if err != nil {
		t.Fatal(err)
	}
	ours, spent := published(t, s.Raw), spentBy(t, v, tx)
	theirs, lost := reclaimed(t)
	for i := range ours.Ins {
		if got, err := bitcoin.SpentBy(ours, i, spent); err != nil || got.Recovery != nil || !got.Checked {
			t.Errorf("input %d: %+v, %v", i, got, err)
		}
	}
	for i := range theirs.Ins {
		if got, err := bitcoin.SpentBy(theirs, i, lost); err != nil || got.Recovery == nil || *got.Recovery != leaf || !got.Checked {
			t.Errorf("input %d by the recovery: %+v, %v", i, got, err)
		}
	}
	hash := slices.IndexFunc(spent, func(o psbt.Out) bool { return o.Script[0] == 0 }) // P2WPKH
	tap := slices.IndexFunc(spent, func(o psbt.Out) bool { return o.Script[0] == 0x51 })
	for name, c := range map[string]struct {
		theirs  bool
		at      int
		change  func(w [][]byte, spent []psbt.Out) [][]byte
		fails   string // part of the error; empty: it is read
		checked bool
		leaf    bool
	}{
		"a foreign output unknown":           {false, tap, func(w [][]byte, spent []psbt.Out) [][]byte { spent[hash] = psbt.Out{}; return w }, "", false, false},
		"a foreign output unknown, by hash":  {false, hash, func(w [][]byte, spent []psbt.Out) [][]byte { spent[tap] = psbt.Out{}; return w }, "", true, false},
		"another amount":                     {false, tap, func(w [][]byte, spent []psbt.Out) [][]byte { spent[tap].Amount++; return w }, "BIP 340 signature", false, false},
		"another amount, by hash":            {false, hash, func(w [][]byte, spent []psbt.Out) [][]byte { spent[hash].Amount++; return w }, "ECDSA signature does not verify", false, false},
		"another key, by hash":               {false, hash, func(w [][]byte, _ []psbt.Out) [][]byte { return [][]byte{w[0], btcecKey(99)} }, "another key than the output's", false, false},
		"another kind of signature, by hash": {false, hash, func(w [][]byte, _ []psbt.Out) [][]byte { w[0][len(w[0])-1] = 3; return w }, "", false, false},
		"no witness":                         {false, tap, func([][]byte, []psbt.Out) [][]byte { return nil }, "has no witness", false, false},
		"no witness, by hash":                {false, hash, func([][]byte, []psbt.Out) [][]byte { return nil }, "none of P2WPKH", false, false},
		"an annex":                           {false, tap, func(w [][]byte, _ []psbt.Out) [][]byte { return append(w, []byte{0x50}) }, "", false, false},
		"65 bytes":                           {false, tap, func(w [][]byte, _ []psbt.Out) [][]byte { return [][]byte{append(w[0], 1)} }, "", false, false},
		"a script without address":           {false, tap, func(w [][]byte, spent []psbt.Out) [][]byte { spent[tap].Script = []byte{0x51}; return w }, "", false, false},
		"a leaf with an annex":               {true, 0, func(w [][]byte, _ []psbt.Out) [][]byte { return append(w, []byte{0x50}) }, "", false, true},
		"a leaf of another age":              {true, 0, func(w [][]byte, _ []psbt.Out) [][]byte { w[1][len(w[1])-2] ^= 1; return w }, "", false, false},
		"a leaf of another key": {true, 0, func(w [][]byte, _ []psbt.Out) [][]byte {
			copy(w[1][1:33], schnorr.SerializePubKey(private(99).PubKey()))
			return w
		}, "", false, false},
		"another parity":                      {true, 0, func(w [][]byte, _ []psbt.Out) [][]byte { w[2][0] ^= 1; return w }, "", false, false},
		"a leaf with another signature":       {true, 0, func(w [][]byte, _ []psbt.Out) [][]byte { w[0][40] ^= 1; return w }, "BIP 340 signature", false, false},
		"a leaf over an unknown output":       {true, 0, func(w [][]byte, spent []psbt.Out) [][]byte { spent[1] = psbt.Out{}; return w }, "", false, true},
		"four items":                          {true, 0, func(w [][]byte, _ []psbt.Out) [][]byte { return append(w, []byte{1}) }, "", false, false},
		"a leaf before a coin without a tree": {true, 0, func(w [][]byte, spent []psbt.Out) [][]byte { spent[0].Script = plain(t); return w }, "", false, false},
	} {
		tx, outs := ours, spent
		if c.theirs {
			tx, outs = theirs, lost
		}
		tx, outs = published(t, tx.Bytes()), slices.Clone(outs)
		tx.Ins[c.at].Witness = c.change(tx.Ins[c.at].Witness, outs)
		got, err := bitcoin.SpentBy(tx, c.at, outs)
		if (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) || got.Checked != c.checked || (got.Recovery != nil) != c.leaf {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if _, err := bitcoin.SpentBy(ours, len(ours.Ins), spent); err == nil {
		t.Error("an input that is not there")
	}
	if _, err := bitcoin.SpentBy(ours, 0, spent[1:]); err == nil {
		t.Error("too few outputs")
	}
}

func btcecKey(b byte) []byte { return private(b).PubKey().SerializeCompressed() }

// plain is the vault's Taproot script without the leaf.
func plain(t testing.TB) []byte {
	t.Helper()
	p := v1(0)
	p.Plain = true
	s, err := vault(t, true).Script(p)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A leaf is read for each length of its age, and nothing else is one.
func TestLeavesAreRead(t *testing.T) {
	for _, n := range []uint16{1, 2, 16, 17, 127, 128, 255, 256, 32767, 32768, 65535} {
		r := bitcoin.Recovery{Key: leaf.Key, Blocks: n}
		v := vault(t, true)
		v.Recovery = &r
		s, err := v.Script(v1(0))
		if err != nil {
			t.Fatal(err)
		}
		lost := bitcoin.Lost{Outpoint: psbt.Outpoint{ID: psbt.ID{1}}, Amount: 10_000, Internal: publicOf(bitcoin.SuiteBIP340, v1(0).Path)}
		c, err := r.Reclaim(v.Network, []bitcoin.Lost{lost}, payee(t, bitcoin.PayTaproot), bitcoin.PerVByte(5))
		if err != nil {
			t.Fatal(err)
		}
		sig, err := schnorr.Sign(recoveryKey, first(c.Digests()))
		if err != nil {
			t.Fatal(err)
		}
		signed, err := c.Assemble([][64]byte{[64]byte(sig.Serialize())})
		if err != nil {
			t.Fatal(err)
		}
		got, err := bitcoin.SpentBy(published(t, signed.Raw), 0, []psbt.Out{{Amount: 10_000, Script: s}})
		if err != nil || got.Recovery == nil || got.Recovery.Blocks != n || !got.Checked {
			t.Errorf("%d blocks: %+v, %v", n, got, err)
		}
	}
}

func first(all [][32]byte) []byte { return all[0][:] }

func FuzzSpentBy(f *testing.F) {
	theirs, lost := reclaimed(f)
	f.Add(theirs.Bytes(), lost[0].Script)
	v := vault(f, true)
	tx := decode(f, v, build(f, v, mixed(f, v)))
	s, err := tx.Assemble(signatures(f, tx))
	if err != nil {
		f.Fatal(err)
	}
	for _, o := range spentBy(f, v, tx) {
		f.Add(s.Raw, o.Script)
	}
	f.Fuzz(func(t *testing.T, raw, script []byte) {
		tx, err := psbt.ParseTx(raw)
		if err != nil {
			return
		}
		spent := make([]psbt.Out, len(tx.Ins))
		for i := range spent {
			spent[i] = psbt.Out{Amount: 10_000, Script: script}
		}
		got, err := bitcoin.SpentBy(tx, 0, spent)
		if err != nil && (got.Checked || got.Recovery != nil) || got.Recovery != nil && got.Recovery.Check() != nil {
			t.Errorf("%x: %+v, %v", raw, got, err)
		}
	})
}
