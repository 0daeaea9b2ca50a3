package sol

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/ostraka/ostraka/chain/solana"
)

// What an endpoint says of an account is taken whole, or not at all; its data are bounded, and what it holds is read the same again.
func FuzzAccount(f *testing.F) {
	for _, text := range []string{
		`{"lamports":1447680,"owner":"11111111111111111111111111111111","data":["","base64"],"executable":false,"space":0}`,
		`{"lamports":18446744073709551615,"owner":"11111111111111111111111111111111","data":["AAAA","base64"],"executable":true,"space":3}`,
		`{"lamports":1,"owner":"11111111111111111111111111111111","data":["","base64"],"executable":false,"space":18446744073709551615}`,
		`{"lamports":-1,"owner":"1","data":[],"executable":null,"space":0.5}`, `null`, `[]`, `{"data":"text"}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a *accountJSON
		if json.Unmarshal(raw, &a) != nil || a == nil {
			return
		}
		out, err := a.read()
		if err != nil {
			return
		}
		if uint64(len(out.Data)) > MaxData || out.Size > maxSize || out.Size <= MaxData && uint64(len(out.Data)) != out.Size || solana.Key(*a.Owner) != out.Owner {
			t.Fatalf("%q: %d bytes of data for %d", raw, len(out.Data), out.Size)
		}
		is, err := out.Read()
		again, againErr := out.Read()
		if (err == nil) != (againErr == nil) || !reflect.DeepEqual(is, again) || uint64(len(out.Data)) != out.Size && is.Kind != solana.Other {
			t.Fatalf("%q is read as %v, then as %v", raw, is, again)
		}
		if settled := out.settled(); err == nil && settled.Owner != out.Owner || len(settled.Data) > len(out.Data) {
			t.Fatalf("%q is settled as %v", raw, settled)
		}
		if seconds, ok := readClock(out.Data); ok && (seconds < 0 || seconds > 1<<40) {
			t.Fatalf("a clock says %d", seconds)
		}
	})
}

// A signature's text is read in one form.
func FuzzParseSignature(f *testing.F) {
	f.Add(Signature{1}.String())
	f.Add("")
	f.Fuzz(func(t *testing.T, text string) {
		if s, err := ParseSignature(text); err == nil && s.String() != text {
			t.Fatalf("%q is written %s", text, s)
		}
	})
}
