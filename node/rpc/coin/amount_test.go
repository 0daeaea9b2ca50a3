package coin

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

func TestDecimal(t *testing.T) {
	for text, want := range map[string]uint64{
		"0": 0, "0.0": 0, "0e5": 0, "1": 1_0000_0000, "50.00000000": 50_0000_0000, "0.00000001": 1, "1e-8": 1, "1E-08": 1, "5e-7": 50, "2.1e+7": bitcoin.MaxMoney, "21000000": bitcoin.MaxMoney,
		"20999999.9769": 2_099_999_997_690_000, "0.1": 10_000_000, "184467440737.09551615": 1<<64 - 1, "0.29": 29_000_000, // not 28,999,999
	} {
		if n, more, err := decimal(text, 8); err != nil || more || n != want {
			t.Errorf("%s: %d, %t, %v, want %d", text, n, more, err, want)
		}
	}
	for _, text := range []string{
		"", ".", ".5", "-1", "+1", "1.2.3", "1e", "e1", "1e1e1", "0x1", "1_0", " 1", "1 ", "null", "NaN", "Infinity", "1e41", "1e-41", "1e99999999999999999999", "184467440737.09551616", "1e30",
		strings.Repeat("1", 41), "0." + strings.Repeat("0", 40), `"1"`, "٣",
	} {
		if n, _, err := decimal(text, 8); err == nil {
			t.Errorf("%q: read as %d", text, n)
		}
	}
	for text, want := range map[string]uint64{"0.000000001": 0, "0.000000019": 1, "1e-40": 0, "1.000000009": 1_0000_0000} {
		if n, more, err := decimal(text, 8); err != nil || !more || n != want {
			t.Errorf("%s: %d, %t, %v, want %d and more", text, n, more, err, want)
		}
	}
}

// Whatever is read is what exact arithmetic makes of it.
func FuzzDecimal(f *testing.F) {
	for _, text := range []string{"0.05", "21000000.00000001", "1e-8", "9.99e7", "0.000000001", "1e40"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		n, more, err := decimal(text, 8)
		if err != nil {
			return
		}
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%q is read as %d, and is no number", text, n)
		}
		want.Mul(want, big.NewRat(1_0000_0000, 1))
		low := new(big.Rat).SetInt(new(big.Int).SetUint64(n))
		if rest := want.Sub(want, low); rest.Sign() < 0 || rest.Cmp(big.NewRat(1, 1)) >= 0 || (rest.Sign() > 0) != more {
			t.Fatalf("%q: %d, more %t: off by %s", text, n, more, rest)
		}
	})
}

// What an endpoint says of an output is within what there can be, or refused.
func FuzzOutput(f *testing.F) {
	for _, text := range []string{`{"value":0.5,"hex":"0014","by":"` + strings.Repeat("0a", 32) + `","rate":0.00001}`, `{"value":21000000.1}`, `{"value":-1,"rate":-1}`, `{"hex":"0"}`, `{"by":"aa"}`, `{"value":"1"}`, `null`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r struct {
			Value *sats
			Hex   *hexText
			By    *idText
			Rate  rate
		}
		if json.Unmarshal(raw, &r) != nil {
			return
		}
		if r.Value != nil && *r.Value > bitcoin.MaxMoney || r.Rate > maxRate {
			t.Fatalf("%q: %v, %v", raw, r.Value, r.Rate)
		}
		if r.By != nil {
			if again, err := psbt.ParseID(psbt.ID(*r.By).String()); err != nil || again != psbt.ID(*r.By) {
				t.Fatalf("%q: id %s", raw, psbt.ID(*r.By))
			}
		}
		if r.Hex != nil && 2*len(*r.Hex) > len(raw) {
			t.Fatalf("%d bytes of %d", len(*r.Hex), len(raw))
		}
	})
}
