package independent

import (
	"bytes"
	"encoding/csv"
	"os"
	"testing"
)

// Every row of BIP 340's own list, whose secret keys and nonces are not ours to use.
func TestBIP340(t *testing.T) {
	raw, err := os.ReadFile("testdata/bip340-test-vectors.csv")
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(raw)).ReadAll()
	if err != nil || len(rows) != 1+19 {
		t.Fatalf("%d rows: %v", len(rows), err)
	}
	valid := 0
	for _, r := range rows[1:] {
		key, message, sig := unhex(t, r[2]), unhex(t, r[4]), unhex(t, r[5])
		err := VerifySchnorr(key, message, sig)
		if (err == nil) != (r[6] == "TRUE") {
			t.Errorf("row %s (%s): want %s, got %v", r[0], r[7], r[6], err)
		}
		if err != nil {
			continue
		}
		valid++
		for name, c := range map[string][3][]byte{
			"short key": {key[1:], message, sig}, "long key": {append([]byte{0}, key...), message, sig},
			"short signature": {key, message, sig[:63]}, "long signature": {key, message, append(sig[:64:64], 0)}, "no signature": {key, message, nil},
			"another message": {key, append(message[:len(message):len(message)], 0), sig},
		} {
			if VerifySchnorr(c[0], c[1], c[2]) == nil {
				t.Errorf("row %s: %s passes", r[0], name)
			}
		}
		for bit := range 8 * len(sig) {
			bad := bytes.Clone(sig)
			bad[bit/8] ^= 1 << (bit % 8)
			if VerifySchnorr(key, message, bad) == nil {
				t.Errorf("row %s passes with bit %d flipped", r[0], bit)
			}
		}
	}
	if valid != 9 {
		t.Errorf("%d rows are valid, want 9", valid)
	}
}

// Whatever comes, it answers.
func FuzzVerifySchnorr(f *testing.F) {
	f.Add(make([]byte, 32), []byte("m"), make([]byte, 64))
	f.Add(bytes.Repeat([]byte{0xff}, 32), []byte(nil), bytes.Repeat([]byte{0xff}, 64))
	f.Fuzz(func(t *testing.T, key, message, sig []byte) {
		if VerifySchnorr(key, message, sig) == nil {
			t.Fatalf("a forgery: key %x, message %x, signature %x", key, message, sig)
		}
	})
}
