package backup

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/statement"
)

func someFacts() Facts {
	return Facts{"Drei Häuser", statement.ID{2}, "treasury", []KeyFacts{
		{[32]byte{3}, []byte("certificate"), []byte("plan"), []byte("set")}, {[32]byte{4}, []byte("another"), nil, nil},
	}}
}

func TestFacts(t *testing.T) {
	b := someFacts().Encode()
	golden(t, "facts", b)
	f, err := DecodeFacts(b)
	if err != nil || !bytes.Equal(f.Encode(), b) || f.Name != "treasury" || len(f.Keys[1].Plan) != 0 {
		t.Fatalf("%+v, %v", f, err)
	}
	for n := range b {
		if _, err := DecodeFacts(b[:n]); err == nil {
			t.Errorf("%d bytes are read", n)
		}
	}
	if _, err := DecodeFacts(append(bytes.Clone(b), 0)); err == nil {
		t.Error("a byte more is read")
	}
	for says, spoil := range map[string]func(*Facts){
		"circle":                 func(f *Facts) { f.Circle = "" },
		"0 items":                func(f *Facts) { f.Keys = nil },
		"next in ascending":      func(f *Facts) { f.Keys[1].KeyID = f.Keys[0].KeyID },
		"name":                   func(f *Facts) { f.Name = "Treasury" },
		"a plan without a set":   func(f *Facts) { f.Keys[0].Set = nil },
		"or the reverse":         func(f *Facts) { f.Keys[0].Plan = nil },
		"field 4: ":              func(f *Facts) { f.Keys[0].Set = make([]byte, maxSet+1) },
		"field 2":                func(f *Facts) { f.Keys[0].Cert = make([]byte, maxCert+1) },
		"field 3":                func(f *Facts) { f.Keys[0].Plan = make([]byte, maxPlan+1) },
		"at most 4194304 are al": func(f *Facts) { f.Keys[0].Set = make([]byte, MaxFacts) },
		"4 items":                func(f *Facts) { f.Keys = append(f.Keys, f.Keys...) },
	} {
		f := someFacts()
		spoil(&f)
		if _, err := DecodeFacts(f.Encode()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, not %q", err, says)
		}
	}
}

func FuzzDecodeFacts(f *testing.F) {
	f.Add(someFacts().Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := DecodeFacts(b); err == nil && !bytes.Equal(x.Encode(), b) {
			t.Errorf("%x is read, and written as %x", b, x.Encode())
		}
	})
}
