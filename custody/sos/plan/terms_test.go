package plan

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
)

// All of a plan is shown: golden, of one that says everything and of one that says the least. Addresses and calldata stand in full.
func TestTerms(t *testing.T) {
	assets := []charter.Asset{{Name: "eth", Chain: "eip155:1", Decimals: 18, Unit: 15}, {Name: "usdc", Chain: "eip155:1", Contract: "0x" + strings.Repeat("01", 20), Decimals: 6}}
	whole, least := sample(t, 3, 3, 2, 3, 5), sample(t, 3, 3, 2, 3, 5)
	whole.Chain, whole.Blocks = "eip155:1", 7200
	whole.Caps = append(whole.Caps, Cap{"usdc", 9_000_000_500_000}, Cap{"unlisted", 7})
	whole.Calls = append(whole.Calls, Call{"unstake", "eip155:1", "0x" + strings.Repeat("ba", 20), []byte(strings.Repeat("\xfe", 68)), 3})
	least.Drill = true
	least.Destinations, least.Caps, least.Calls, least.Tranches, least.Successors, least.Witnesses = nil, nil, nil, nil, nil, 0
	got := whole.Terms(assets) + "\n" + least.Terms(nil)
	for _, part := range []string{whole.Destinations[0].Address, whole.Calls[1].To, strings.Repeat("fe", 68), "1 eth (1000 policy units of 10^15)", "9000000.5 usdc"} {
		if !strings.Contains(got, part) {
			t.Errorf("%s is not shown in full", part)
		}
	}
	file := filepath.Join("testdata", "terms.txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(file); err != nil || string(want) != got {
		t.Errorf("%s differs, %v:\n%s", file, err, got)
	}
}

// Policy units are written as people count the asset, exactly.
func TestWhole(t *testing.T) {
	for _, c := range []struct {
		decimals, unit int
		most           int64
		want           string
	}{{18, 15, 5000, "5"}, {18, 15, 1, "0.001"}, {6, 0, 1, "0.000001"}, {6, 6, 100, "100"}, {0, 0, 10, "10"}, {36, 36, 1<<63 - 1, "9223372036854775807"}, {8, 2, 0, "0"}} {
		if got := Whole(charter.Asset{Decimals: c.decimals, Unit: c.unit}, c.most); got != c.want {
			t.Errorf("%d units of 10^%d, %d decimals: %s, want %s", c.most, c.unit, c.decimals, got, c.want)
		}
	}
}
