package charter

import (
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
)

func TestUnits(t *testing.T) {
	max := big.NewInt(math.MaxInt64)
	for name, c := range map[string]struct {
		amount *big.Int
		unit   int
		want   int64
		ok     bool
	}{
		"nothing": {big.NewInt(0), 1, 0, true}, "up": {big.NewInt(1), 1, 1, true}, "even": {big.NewInt(20), 1, 2, true}, "one more": {big.NewInt(21), 1, 3, true}, "the smallest": {big.NewInt(21), 0, 21, true},
		"largest": {new(big.Int).Sub(max, big.NewInt(1)), 0, math.MaxInt64 - 1, true}, "above": {max, 0, 0, false},
		"rounded over": {new(big.Int).Sub(new(big.Int).Mul(max, big.NewInt(10)), big.NewInt(9)), 1, 0, false},
		"huge":         {new(big.Int).Lsh(big.NewInt(1), 255), 9, 0, false},
	} {
		got, err := Asset{Unit: c.unit}.Units(c.amount)
		if (err == nil) != c.ok || got != c.want || err != nil && !errors.Is(err, ErrOverflow) {
			t.Errorf("%s: %d, %v", name, got, err)
		}
	}
	if _, err := (Asset{}).Units(big.NewInt(-1)); err == nil {
		t.Error("less than nothing")
	}
}

func TestAssetOn(t *testing.T) {
	d := Document{Assets: []Asset{{Name: "eth", Chain: "eip155:1"}, {Name: "op", Chain: "eip155:10"}, {Name: "usdc", Chain: "eip155:1", Contract: "0xAb"}}}
	for _, c := range []struct{ chain, contract, want string }{
		{"eip155:1", "", "eth"}, {"eip155:10", "", "op"}, {"eip155:1", "0xaB", "usdc"}, {"eip155:10", "0xab", ""}, {"eip155:1", "0xac", ""}, {"eip155:2", "", ""},
	} {
		if a, ok := d.AssetOn(c.chain, c.contract, strings.EqualFold); a.Name != c.want || ok != (c.want != "") {
			t.Errorf("%s on %s: %q", c.contract, c.chain, a.Name)
		}
	}
}
