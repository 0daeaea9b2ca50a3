package attest

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func TestToDER(t *testing.T) {
	for in, want := range map[string]string{
		"0403616263":                     "0403616263",
		"2480040161040262630000":         "0403616263",
		"2407040161040262 63":            "0403616263",
		"248024800401610000040262630000": "0403616263", // pieces in pieces
		"30800201010000":                 "3003020101",
		"3080a0800201010000 0000":        "3005a003020101",
		"3000":                           "3000",
		"30800000":                       "3000",
		"0481" + "80" + strings.Repeat("61", 128): "0481" + "80" + strings.Repeat("61", 128),
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(in, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, err := toDER(b)
		if err != nil || hex.EncodeToString(got) != want {
			t.Errorf("%s: %x, %v; want %s", in, got, err, want)
		}
	}
	for what, in := range map[string]string{
		"nothing": "", "half": "04", "cut": "040361", "bytes after": "04016100", "an open primitive": "048061000000", "an open value without end": "3080020101",
		"half an end": "308002010100", "an end alone": "0000", "an end inside": "30020000", "a long tag": "1f020101", "a long tag of two bytes": "bf210105", "a long length that is short": "04810161",
		"a length with a zero": "0482008" + "0" + strings.Repeat("61", 128), "a length of four bytes": "048400000001" + "61", "a length beyond": "0483ffffff61",
		"a number in pieces": "22030201" + "01", "a piece that is none": "2403020101", "a piece that is a sequence": "24023000", "a text in pieces": "2c030c0161",
	} {
		b, err := hex.DecodeString(in)
		if err != nil {
			t.Fatal(what, err)
		}
		if got, err := toDER(b); err == nil {
			t.Errorf("%s: %s became %x", what, in, got)
		}
	}
	deep := append(bytes.Repeat([]byte{0x30, 0x80}, maxBERDepth+2), bytes.Repeat([]byte{0, 0}, maxBERDepth+2)...)
	if _, err := toDER(deep); err == nil {
		t.Error("deep: accepted")
	}
	if _, err := toDER(deep[4 : len(deep)-4]); err != nil {
		t.Errorf("as deep as allowed: %v", err)
	}
	if _, err := toDER(make([]byte, maxBER+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("long: %v", err)
	}
}

func TestStrictJSON(t *testing.T) {
	for _, good := range []string{`{}`, ` {"a":1} `, `{"a":[{"b":1},{"b":1}]}`, `{"a":"\u00e9"}`} {
		if _, err := readObject([]byte(good)); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for what, bad := range map[string]string{
		"twice": `{"a":1,"a":1}`, "two spellings": `{"a":1,"A":2}`, "twice below": `{"x":{"a":1,"a":2}}`, "twice in a list": `{"x":[{"a":1,"a":2}]}`,
		"the same, escaped": `{"a":1,"\u0061":2}`, "no name": `{"":1}`, "a name that cannot be shown": `{"a\u0000":1}`, "another alphabet's k": `{"\u212a":1}`,
		"two objects": `{}{}`, "a comma": `{"a":1,}`, "a list": `[]`, "a text": `"a"`, "nothing": ``, "no UTF-8": "{\"a\":\"\xff\"}", "deep": strings.Repeat(`{"a":`, 12) + `1` + strings.Repeat(`}`, 12),
		"long": `{"a":"` + strings.Repeat("x", maxJSON) + `"}`,
	} {
		if o, err := readObject([]byte(bad)); err == nil {
			t.Errorf("%s: %q read as %v", what, bad, o)
		}
	}
	o, err := readObject([]byte(`{"surrogate":"\ud800","long":"` + strings.Repeat("x", 513) + `","bell":"\u0007","empty":"","null":null,"n":1.0,"e":1e2,"big":9223372036854775808,"minus":-1,"text":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"surrogate", "long", "bell", "empty", "null", "n", "missing"} {
		var s string
		if o.texts(map[string]*string{name: &s}) == nil {
			t.Errorf("%s is a text: %q", name, s)
		}
	}
	for _, name := range []string{"surrogate", "long", "bell", "n"} {
		if s, err := o.optional(name); err == nil {
			t.Errorf("%s is an optional text: %q", name, s)
		}
	}
	for _, name := range []string{"n", "e", "big", "minus", "text", "null", "missing"} {
		if v, err := o.number(name); err == nil {
			t.Errorf("%s is a number: %d", name, v)
		}
	}
}

func TestFromBase64(t *testing.T) {
	for _, good := range []string{"YWI=", " YW\r\nI=\n", "-----BEGIN PKCS7-----\nYWI=\n-----END PKCS7-----\n"} {
		if b, err := fromBase64([]byte(good)); err != nil || string(b) != "ab" {
			t.Errorf("%q: %q, %v", good, b, err)
		}
	}
	for _, bad := range []string{"YWJ=", "YWI", "YWI=YWI=", "-----BEGIN PKCS7-----\nYWI=", "YWI=\n-----END PKCS7-----", "Y\x00WI=", strings.Repeat("YWJj", maxBER)} {
		if b, err := fromBase64([]byte(bad)); err == nil {
			t.Errorf("%.40q: %q", bad, b)
		}
	}
}
