package tlog

import (
	"bytes"
	"strings"
	"testing"
)

func TestGuards(t *testing.T) {
	g := Guards{[]byte("plan"), []byte("set")}
	got, err := DecodeGuards(g.Encode())
	if err != nil || string(got.Plan) != "plan" || string(got.Set) != "set" {
		t.Fatalf("%q, %v", got, err)
	}
	for name, b := range map[string][]byte{
		"nothing": nil, "cut": g.Encode()[:7], "more": append(g.Encode(), 0), "a large plan": Guards{make([]byte, maxGuardsPlan+1), nil}.Encode(),
		"a large file": Guards{nil, make([]byte, MaxGuards)}.Encode(),
	} {
		if _, err := DecodeGuards(b); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func TestGuardsPath(t *testing.T) {
	path := GuardsPath([32]byte{0xab, 31: 1})
	if got, err := ParseGuardsPath(path); err != nil || got != [32]byte{0xab, 31: 1} {
		t.Errorf("%x, %v", got, err)
	}
	for _, p := range []string{"", "guards/", "guards/ab", path + "0", path[:len(path)-1], strings.ToUpper(path), "guards/" + strings.ToUpper(path[7:]), path[7:], "../" + path, "guards//" + path[7:]} {
		if _, err := ParseGuardsPath(p); err == nil {
			t.Errorf("%q is read", p)
		}
	}
}

func FuzzGuards(f *testing.F) {
	f.Add(Guards{[]byte("plan"), []byte("set")}.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if g, err := DecodeGuards(b); err == nil && !bytes.Equal(g.Encode(), b) {
			t.Errorf("%x is read, and written otherwise", b)
		}
	})
}
