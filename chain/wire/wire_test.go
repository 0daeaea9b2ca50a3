package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// A thing has a number, text, and a list of bytes.
type thing struct {
	n     uint64
	text  string
	items [][]byte
}

func read(b []byte) (x thing, err error) {
	r := NewReader("Thing", b)
	x.n, x.text = r.Uint(1, "n"), r.Text(2, "text", 8)
	r.Each(3, "items", 2, 4, func(b []byte) { x.items = append(x.items, bytes.Clone(b)) })
	r.Refuse(4, "fourth", "is known and refused")
	return x, r.Done()
}

func (x thing) write() []byte {
	var w Writer
	w.Uint(1, x.n).Text(2, x.text)
	for _, i := range x.items {
		w.Item(3, i)
	}
	return w.Sum()
}

func TestOneForm(t *testing.T) {
	for _, x := range []thing{{}, {n: 1}, {n: 1<<64 - 1, text: "x"}, {text: "12345678", items: [][]byte{{}, {1, 2, 3, 4}}}} {
		b := x.write()
		if got, err := read(b); err != nil || !bytes.Equal(got.write(), b) || got.n != x.n || got.text != x.text || len(got.items) != len(x.items) {
			t.Errorf("%v is read as %v, %v", x, got, err)
		}
	}
	for name, c := range map[string]struct {
		b             []byte
		field, reason string
	}{
		"number in long form":       {[]byte{8, 0x81, 0}, "n", "shortest"},
		"number cut short":          {[]byte{8, 0x80}, "n", "cut short"},
		"number of 11 bytes":        {append([]byte{8}, bytes.Repeat([]byte{0x80}, 11)...), "n", "cut short"},
		"number 0":                  {[]byte{8, 0}, "n", "absence"},
		"number as bytes":           {[]byte{10, 1, 1}, "n", "wire type 2"},
		"tag in long form":          {[]byte{0x88, 0, 1}, "n", "tag"},
		"tag cut short":             {[]byte{0x88}, "n", "tag"},
		"empty text":                {[]byte{18, 0}, "text", "absence"},
		"length in long form":       {[]byte{18, 0x81, 0, 'x'}, "text", "shortest"},
		"length above what follows": {[]byte{18, 2, 'x'}, "text", "longer"},
		"length above the bound":    {append([]byte{18, 9}, "123456789"...), "text", "more than 8"},
		"length of 2⁶⁴−1":           {append([]byte{18}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), "text", "more than 8"},
		"three items":               {[]byte{26, 0, 26, 0, 26, 0}, "items", "more than 2"},
		"item above the bound":      {[]byte{26, 5, 1, 2, 3, 4, 5}, "items", "more than 4"},
		"out of order":              {[]byte{18, 1, 'x', 8, 1}, "field 1", "out of order"},
		"twice":                     {[]byte{8, 1, 8, 1}, "field 1", "stands twice"},
		"known":                     {[]byte{34, 0}, "fourth", "is known and refused"},
		"unknown":                   {[]byte{40, 1}, "field 5", "is unknown"},
		"group":                     {[]byte{11, 12}, "n", "wire type 3"},
		"no field":                  {[]byte{0xff, 0xff}, "n", "cut short"},
	} {
		_, err := read(c.b)
		var refused *Refused
		if !errors.As(err, &refused) || refused.Field != "Thing."+c.field || !strings.Contains(refused.Reason, c.reason) {
			t.Errorf("%s: %v, want field %s and %q", name, err, c.field, c.reason)
		}
	}
	if r := NewReader("Thing", []byte{8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}); r.Int(1, "n") != 0 || r.Done() == nil {
		t.Error("a negative number is read")
	}
}

func FuzzReader(f *testing.F) {
	f.Add(thing{7, "x", [][]byte{{1}}}.write())
	f.Fuzz(func(t *testing.T, b []byte) {
		if x, err := read(b); err == nil && !bytes.Equal(x.write(), b) {
			t.Fatalf("%x is read as %v, written as %x", b, x, x.write())
		}
	})
}
