package abi

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/ethereum/go-ethereum/common"
)

// A node is one JSON value. Its kind is that of its text: 's' a string, 'n' a number, 'b' true or false, '[' a list, '{' an object.
type node struct {
	kind byte
	text string
	keys []string // of an object
	list []node   // of a list, and of an object beside keys
}

// maxJSONDepth bounds lists and objects in each other.
const maxJSONDepth = 2*maxDepth + 4

// readJSON reads one JSON value and nothing after it. A key that occurs twice in an object, null, and text that is no Unicode are refused:
// readers of them disagree.
func readJSON(b []byte) (node, error) {
	if !utf8.Valid(b) {
		return node{}, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	n, err := readNode(d, 0)
	if err != nil {
		return node{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return node{}, errors.New("is followed by more")
	}
	return n, nil
}

func readNode(d *json.Decoder, depth int) (node, error) {
	token, err := d.Token()
	if err != nil {
		return node{}, fmt.Errorf("is no JSON: %w", err)
	}
	switch x := token.(type) {
	case string:
		// half a surrogate pair becomes this character silently
		if strings.ContainsRune(x, utf8.RuneError) {
			return node{}, errors.New("has U+FFFD, which stands for what could not be read")
		}
		return node{kind: 's', text: x}, nil
	case json.Number:
		return node{kind: 'n', text: x.String()}, nil
	case bool:
		return node{kind: 'b', text: strconv.FormatBool(x)}, nil
	case json.Delim:
		if depth >= maxJSONDepth {
			return node{}, fmt.Errorf("is nested deeper than %d", maxJSONDepth)
		}
		return readInside(d, byte(x), depth)
	}
	return node{}, errors.New("has null, which is no value of any type")
}

// readInside reads a list or an object after its first bracket.
func readInside(d *json.Decoder, open byte, depth int) (node, error) {
	n := node{kind: open}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			key, err := readNode(d, depth+1)
			if err != nil {
				return node{}, err
			}
			if seen[key.text] {
				return node{}, fmt.Errorf("has %.40q twice", key.text)
			}
			seen[key.text] = true
			n.keys = append(n.keys, key.text)
		}
		x, err := readNode(d, depth+1)
		if err != nil {
			return node{}, err
		}
		n.list = append(n.list, x)
	}
	if _, err := d.Token(); err != nil {
		return node{}, fmt.Errorf("is no JSON: %w", err)
	}
	return n, nil
}

// member is an object's value by key.
func (n node) member(key string) (node, bool) {
	for i, k := range n.keys {
		if k == key {
			return n.list[i], true
		}
	}
	return node{}, false
}

// only says which key of an object is none of those, or which is missing.
func (n node) only(keys ...string) error {
	if n.kind != '{' {
		return errors.New("is no object")
	}
	for _, k := range keys {
		if _, ok := n.member(k); !ok {
			return fmt.Errorf("has no %q", k)
		}
	}
	for _, k := range n.keys {
		found := false
		for _, want := range keys {
			found = found || k == want
		}
		if !found { // a wallet would drop it, and people would have read it
			return fmt.Errorf("has %.40q, which is not in its type", k)
		}
	}
	return nil
}

// parse reads a value of the type: integers as a number or as a string in decimal or 0x and hex, bool as true or false, the others as strings.
func (t *Type) parse(n node) (Value, error) {
	v := Value{Type: t}
	switch t.kind {
	case arrayKind:
		if n.kind != '[' || t.size > 0 && len(n.list) != t.size {
			return v, fmt.Errorf("is no list as %s wants it", t)
		}
		v.List = make([]Value, len(n.list))
		for i, e := range n.list {
			var err error
			if v.List[i], err = t.elem.parse(e); err != nil {
				return v, fmt.Errorf("[%d]: %w", i, err)
			}
		}
		return v, nil
	case structKind:
		return t.parseStruct(n)
	case uintKind, intKind:
		x, err := parseInteger(n)
		if err != nil {
			return v, err
		}
		if !t.holds(x) {
			return v, fmt.Errorf("%v is out of the range of %s", x, t)
		}
		v.Int = x
		return v, nil
	case boolKind:
		if n.kind != 'b' {
			return v, errors.New("is neither true nor false")
		}
		v.Int = new(big.Int)
		if n.text == "true" {
			v.Int.SetInt64(1)
		}
		return v, nil
	}
	if n.kind != 's' {
		return v, fmt.Errorf("is no string, as %s is written", t)
	}
	if t.kind == stringKind {
		v.Bytes = []byte(n.text)
		return v, nil
	}
	return t.parseHex(n.text)
}

func (t *Type) parseHex(text string) (Value, error) {
	digits, ok := strings.CutPrefix(text, "0x")
	b, err := hex.DecodeString(digits)
	if !ok || err != nil {
		return Value{}, fmt.Errorf("%.50q is not 0x and hex", text)
	}
	want := t.size
	if t.kind == addressKind {
		want = 20
	}
	if want > 0 && len(b) != want { // shorter values would be padded on one side or on the other
		return Value{}, fmt.Errorf("has %d bytes, and %s has %d", len(b), t, want)
	}
	if t.kind == addressKind && digits != strings.ToLower(digits) && text != common.Address(b).Hex() {
		return Value{}, fmt.Errorf("address %s: EIP-55 checksum does not hold; copy it again", text)
	}
	return Value{Type: t, Bytes: b}, nil
}

func (t *Type) parseStruct(n node) (Value, error) {
	v := Value{Type: t}
	names := make([]string, len(t.fields))
	for i, f := range t.fields {
		names[i] = f.Name
	}
	if err := n.only(names...); err != nil {
		return v, err
	}
	v.List = make([]Value, len(t.fields))
	for i, f := range t.fields {
		m, _ := n.member(f.Name)
		var err error
		if v.List[i], err = f.Type.parse(m); err != nil {
			return v, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return v, nil
}

func parseInteger(n node) (*big.Int, error) {
	text := n.text
	if n.kind != 'n' && n.kind != 's' || len(text) > 80 {
		return nil, fmt.Errorf("%.50q is no integer", text)
	}
	x, ok := new(big.Int), false
	if digits, isHex := strings.CutPrefix(text, "0x"); isHex && n.kind == 's' {
		ok = digits != "" && strings.Trim(strings.ToLower(digits), "0123456789abcdef") == ""
		if ok {
			x.SetString(digits, 16)
		}
		return x, orNoInteger(ok, text)
	}
	x, ok = new(big.Int).SetString(text, 10)
	return x, orNoInteger(ok && x.String() == text, text) // no sign +, no leading zero, no exponent, no fraction
}

func orNoInteger(ok bool, text string) error {
	if ok {
		return nil
	}
	return fmt.Errorf("%.50q is no integer", text)
}

// appendJSON writes the canonical form: no spaces, struct members in their type's order, integers as decimal strings, addresses by EIP-55,
// bytes as 0x and lower-case hex.
func (v Value) appendJSON(out []byte) []byte {
	switch v.Type.kind {
	case boolKind:
		return strconv.AppendBool(out, v.Int.Sign() != 0)
	case arrayKind:
		out = append(out, '[')
		for i, e := range v.List {
			out = e.appendJSON(comma(out, i))
		}
		return append(out, ']')
	case structKind:
		out = append(out, '{')
		for i, e := range v.List {
			out = append(appendString(comma(out, i), v.Type.fields[i].Name), ':')
			out = e.appendJSON(out)
		}
		return append(out, '}')
	case stringKind:
		return appendString(out, string(v.Bytes))
	}
	return append(append(append(out, '"'), v.Text()...), '"')
}

func comma(out []byte, i int) []byte {
	if i > 0 {
		return append(out, ',')
	}
	return out
}

// short are the characters that a JSON string escapes by a letter.
var short = map[byte]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}

// appendString writes a string as RFC 8785 (3.2.2.2) does: only what must be is escaped.
func appendString(out []byte, s string) []byte {
	out = append(out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case short[c] != 0:
			out = append(out, '\\', short[c])
		case c < 0x20:
			out = fmt.Appendf(out, "\\u%04x", c)
		default:
			out = append(out, c)
		}
	}
	return append(out, '"')
}

// ParseArguments reads a function's arguments as a JSON list, for those who build a call.
func (f *Function) ParseArguments(list []byte) ([]Value, error) {
	n, err := readJSON(list)
	if err != nil {
		return nil, fmt.Errorf("arguments of %s: %w", f.Signature(), err)
	}
	if n.kind != '[' || len(n.list) != len(f.Inputs) {
		return nil, fmt.Errorf("arguments of %s: want a list of %d", f.Signature(), len(f.Inputs))
	}
	out := make([]Value, len(n.list))
	for i, in := range f.Inputs {
		if out[i], err = in.Type.parse(n.list[i]); err != nil {
			return nil, fmt.Errorf("argument %s of %s: %w", in.Name, f.Signature(), err)
		}
	}
	return out, nil
}
