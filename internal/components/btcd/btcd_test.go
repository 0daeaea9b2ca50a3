package btcd_test

import (
	"bytes"
	"encoding/hex"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/internal/components/btcd"
)

// waits are the ids in the pool.
func waits(t *testing.T, n *btcd.Node) (ids []string) {
	t.Helper()
	n.Call(t, &ids, "getrawmempool")
	return ids
}

func TestPayments(t *testing.T) {
	n := btcd.Start(t)
	if h := n.Height(t); h != btcd.Blocks {
		t.Errorf("height %d at the start", h)
	}
	var block struct{ Tx []string }
	var mined struct{ ScriptPubKey struct{ Hex string } }
	n.Call(t, &block, "getblock", n.Hash(t, 1), 1)
	n.Call(t, &mined, "gettxout", block.Tx[0], 0, false)
	if want := hex.EncodeToString(btcd.Script()); mined.ScriptPubKey.Hex != want {
		t.Errorf("blocks pay to %s, the address to %s", mined.ScriptPubKey.Hex, want)
	}
	to := append([]byte{0x51, 0x20}, bytes.Repeat([]byte{7}, 32)...)
	_, a := n.Pay(t, to, 12_345)
	_, b := n.Pay(t, to, 54_321)
	if ids := waits(t, n); a.ID == b.ID || len(ids) != 2 {
		t.Fatalf("%v wait of %x and %x", ids, a.ID, b.ID)
	}
	first := n.Mine(t, 1)[0]
	if len(waits(t, n)) != 0 || n.Hash(t, btcd.Blocks+1) != first {
		t.Error("a mined block leaves the payments")
	}

	// Another block in its place, and the first one back as the longer chain.
	next := n.Mine(t, 1)[0]
	n.Invalidate(t, first)
	if ids := waits(t, n); n.Height(t) != btcd.Blocks || len(ids) != 2 {
		t.Errorf("height %d, %v wait", n.Height(t), ids)
	}
	if other := n.Mine(t, 1)[0]; other == first {
		t.Error("the same block was mined again")
	}
	n.Reconsider(t, first)
	if n.Hash(t, btcd.Blocks+2) != next {
		t.Error("the longer chain does not count")
	}
	var seen []btcd.Coin
	for range btcd.Blocks - 100 { // two are spent
		c := n.Coin(t)
		if slices.Contains(seen, c) {
			t.Errorf("%x is handed out twice", c.ID)
		}
		seen = append(seen, c)
	}
}
