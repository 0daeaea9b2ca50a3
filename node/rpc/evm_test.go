package rpc

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"
)

// What an endpoint writes as a number or as bytes is what others' code makes of it, and bounded; all else is refused.
func FuzzQuantity(f *testing.F) {
	for _, text := range []string{"0x0", "0x", "0xfF", "0x" + strings.Repeat("f", 64), "0x1" + strings.Repeat("0", 64), "12", "-0x1", "0x-1", "0x+1", "0x_1", "0x 1", "0X1"} {
		raw, err := json.Marshal(text)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte("null"))
	f.Add([]byte("12"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var q quantity
		var text string
		if err := json.Unmarshal(raw, &q); err == nil && string(raw) != "null" && json.Unmarshal(raw, &text) == nil {
			want, ok := new(big.Int).SetString(text, 0)
			if !ok || want.Cmp(&q.Int) != 0 || q.Sign() < 0 || q.BitLen() > 256 {
				t.Fatalf("%s is read as %v", raw, &q.Int)
			}
		}
		var small quantity64
		if err := json.Unmarshal(raw, &small); err == nil && (q.BitLen() > 64 || q.Uint64() != uint64(small)) {
			t.Fatalf("%s is read as %d, and as %v", raw, small, &q.Int)
		}
		var b blob
		if err := json.Unmarshal(raw, &b); err == nil && json.Unmarshal(raw, &text) == nil && string(raw) != "null" && !strings.EqualFold(hexBytes(b), text) {
			t.Fatalf("%s is read as %x", raw, []byte(b))
		}
	})
}
