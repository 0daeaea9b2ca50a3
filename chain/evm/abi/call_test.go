package abi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"reflect"
	"strconv"
	"strings"
	"testing"

	theirs "github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"

	"github.com/ostraka/ostraka/chain/evm/abi"
)

// randomType draws a type in a signature's form.
func randomType(rng *rand.Rand, depth int) string {
	switch n := rng.IntN(11); {
	case n < 2 && depth > 0:
		return randomType(rng, depth-1) + "[]"
	case n < 3 && depth > 0:
		return fmt.Sprintf("%s[%d]", randomType(rng, depth-1), 1+rng.IntN(3))
	case n < 5 && depth > 0:
		return "(" + randomFields(rng, depth-1, 1+rng.IntN(3)) + ")"
	}
	return []string{"address", "bool", "string", "bytes", fmt.Sprintf("uint%d", 8*(1+rng.IntN(32))), fmt.Sprintf("int%d", 8*(1+rng.IntN(32))), fmt.Sprintf("bytes%d", 1+rng.IntN(32))}[rng.IntN(7)]
}

func randomFields(rng *rand.Rand, depth, n int) string {
	parts := make([]string, n)
	for i := range parts {
		parts[i] = fmt.Sprintf("%s a%d", randomType(rng, depth), i)
	}
	return strings.Join(parts, ",")
}

// randomJSON draws a value by a type's text: what wallets would be given.
func randomJSON(rng *rand.Rand, of string, fields []abi.Field) string {
	if at := strings.LastIndexByte(of, '['); strings.HasSuffix(of, "]") && at > 0 {
		n, err := strconv.Atoi(of[at+1 : len(of)-1])
		if err != nil {
			n = rng.IntN(4)
		}
		parts := make([]string, n)
		for i := range parts {
			parts[i] = randomJSON(rng, of[:at], fields)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	hex := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return fmt.Sprintf(`"0x%x"`, b)
	}
	bits := func(n int) *big.Int {
		return new(big.Int).Rsh(new(big.Int).SetBytes(common.FromHex(strings.Trim(hex(32), `"`))), uint(256-rng.IntN(n+1)))
	}
	number := func(prefix string) int { n, _ := strconv.Atoi(strings.TrimPrefix(of, prefix)); return n }
	switch {
	case of == "bool":
		return strconv.FormatBool(rng.IntN(2) == 0)
	case of == "address":
		return hex(20)
	case of == "string":
		b, _ := json.Marshal(strings.Repeat("é\"\n", rng.IntN(20)))
		return string(b)
	case of == "bytes":
		return hex(rng.IntN(70))
	case strings.HasPrefix(of, "uint"):
		return `"` + bits(number("uint")).String() + `"`
	case strings.HasPrefix(of, "int"):
		x := bits(number("int") - 1)
		if rng.IntN(2) == 0 {
			x.Not(x)
		}
		return `"` + x.String() + `"`
	}
	return hex(number("bytes"))
}

// randomValue draws a value of a type, structs included.
func randomValue(rng *rand.Rand, of *abi.Type) string {
	text := of.String()
	if fields := of.Fields(); fields != nil {
		parts := make([]string, len(fields))
		for i, f := range fields {
			parts[i] = fmt.Sprintf("%q:%s", f.Name, randomValue(rng, f.Type))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	if elem := of.Element(); elem != nil {
		n := of.Length()
		if n == 0 {
			n = rng.IntN(4)
		}
		parts := make([]string, n)
		for i := range parts {
			parts[i] = randomValue(rng, elem)
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	return randomJSON(rng, text, nil)
}

// jsonABI is a type as solc describes it.
func jsonABI(name string, of *abi.Type) map[string]any {
	out := map[string]any{"name": name}
	suffix := ""
	for of.Element() != nil {
		if of.Length() == 0 {
			suffix = "[]" + suffix
		} else {
			suffix = fmt.Sprintf("[%d]%s", of.Length(), suffix)
		}
		of = of.Element()
	}
	if of.Fields() == nil {
		out["type"] = of.String() + suffix
		return out
	}
	var components []any
	for _, f := range of.Fields() {
		components = append(components, jsonABI(f.Name, f.Type))
	}
	out["type"], out["components"] = "tuple"+suffix, components
	return out
}

// show is Value.Text of what go-ethereum decoded.
func show(of *abi.Type, v reflect.Value) string {
	if v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	switch {
	case of.Fields() != nil:
		parts := make([]string, v.NumField())
		for i := range parts {
			parts[i] = of.Fields()[i].Name + "=" + show(of.Fields()[i].Type, v.Field(i))
		}
		return "(" + strings.Join(parts, ",") + ")"
	case of.Element() != nil:
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = show(of.Element(), v.Index(i))
		}
		return "[" + strings.Join(parts, ",") + "]"
	}
	switch x := v.Interface().(type) {
	case common.Address:
		return x.Hex()
	case string:
		return strconv.Quote(x)
	case *big.Int:
		return x.String()
	}
	if v.Kind() == reflect.Slice || v.Kind() == reflect.Array {
		return fmt.Sprintf("0x%x", v.Interface())
	}
	return fmt.Sprint(v.Interface())
}

// TestSecondOpinion: random functions and arguments mean to go-ethereum what they mean to us, and both write them alike.
func TestSecondOpinion(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for range 600 {
		signature := "function f(" + randomFields(rng, 3, rng.IntN(5)) + ")"
		f, err := abi.ParseFunction(signature)
		if err != nil {
			t.Fatal(err)
		}
		arguments, inputs := make([]string, len(f.Inputs)), []any{}
		for i, in := range f.Inputs {
			arguments[i] = randomValue(rng, in.Type)
			inputs = append(inputs, jsonABI(in.Name, in.Type))
		}
		values, err := f.ParseArguments([]byte("[" + strings.Join(arguments, ",") + "]"))
		if err != nil {
			t.Fatalf("%s of %s: %v", arguments, signature, err)
		}
		data, err := f.Encode(values)
		if err != nil {
			t.Fatal(err)
		}
		definition, _ := json.Marshal([]any{map[string]any{"type": "function", "name": "f", "inputs": inputs}})
		other, err := theirs.JSON(bytes.NewReader(definition))
		if err != nil {
			t.Fatalf("%s: %v", definition, err)
		}
		method := other.Methods["f"]
		if method.Sig != f.Signature() || !bytes.Equal(method.ID, data[:4]) {
			t.Fatalf("%s is %s, go-ethereum has %s", signature, f.Signature(), method.Sig)
		}
		unpacked, err := method.Inputs.Unpack(data[4:])
		if err != nil {
			t.Fatalf("%s: %x: go-ethereum: %v", signature, data, err)
		}
		again, err := f.Decode(data[4:])
		if err != nil {
			t.Fatalf("%s: %x: %v", signature, data, err)
		}
		for i, in := range f.Inputs {
			if want := show(in.Type, reflect.ValueOf(unpacked[i])); again[i].Text() != want || values[i].Text() != want {
				t.Fatalf("%s: argument %d is %s, go-ethereum has %s", signature, i, again[i].Text(), want)
			}
		}
		if packed, err := method.Inputs.Pack(unpacked...); err != nil || !bytes.Equal(packed, data[4:]) {
			t.Fatalf("%s: %x, go-ethereum writes %x, %v", signature, data[4:], packed, err)
		}
	}
}

const order = "function fill(address maker,(uint128 amount,bytes note)[] parts,string text,int8 sign,bytes3 tag,bool[2] flags) payable"

func orderData(t testing.TB) (*abi.Function, []byte) {
	t.Helper()
	f, err := abi.ParseFunction(order)
	if err != nil {
		t.Fatal(err)
	}
	values, err := f.ParseArguments([]byte(`["0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826",[{"amount":"7","note":"0x0102"},{"amount":1,"note":"0x"}],"hello","-3","0x010203",[true,false]]`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := f.Encode(values)
	if err != nil {
		t.Fatal(err)
	}
	return f, data[4:]
}

// Words of orderData, by their place.
const (
	wMaker, wParts, wText, wSign, wTag, wFlag = 0, 1, 2, 3, 4, 5
	wCount, wFirst, wSecond, wAmount, wNote   = 7, 8, 9, 10, 11
	wLength, wBytes                           = 12, 13
)

func TestHostileArguments(t *testing.T) {
	f, good := orderData(t)
	if values, err := f.Decode(good); err != nil || values[1].Text() != "[(amount=7,note=0x0102),(amount=1,note=0x)]" {
		t.Fatalf("%v, %v", values, err)
	}
	if got := new(big.Int).SetBytes(good[wBytes*32 : wBytes*32+2]).Int64(); got != 0x0102 {
		t.Fatalf("the words are not where the table has them: %x", good)
	}
	edit := func(word, at int, by byte) []byte { b := bytes.Clone(good); b[word*32+at] = by; return b }
	fill := func(word int, by byte) []byte {
		b := bytes.Clone(good)
		copy(b[word*32:], bytes.Repeat([]byte{by}, 32))
		return b
	}
	for _, c := range []struct {
		name   string
		data   []byte
		reason string
	}{
		{"empty", nil, "fewer than"},
		{"heads cut", good[:6*32], "fewer than"},
		{"one byte less", good[:len(good)-1], "missing"},
		{"one word less", good[:len(good)-32], "longer than what follows"},
		{"a trailing byte", append(bytes.Clone(good), 0), "after its arguments"},
		{"a trailing word", append(bytes.Clone(good), make([]byte, 32)...), "after its arguments"},
		{"dirty address", edit(wMaker, 0, 1), "padded"},
		{"dirty address at the edge", edit(wMaker, 11, 1), "padded"},
		{"address of ones", fill(wMaker, 0xff), "padded"},
		{"int8 of 128", func() []byte { b := fill(wSign, 0); b[wSign*32+31] = 0x80; return b }(), "out of the range"},
		{"int8 without its sign's extension", edit(wSign, 0, 0), "out of the range"},
		{"int8 of 300", func() []byte { b := fill(wSign, 0); b[wSign*32+30], b[wSign*32+31] = 1, 44; return b }(), "out of the range"},
		{"bytes3 with a fourth", edit(wTag, 3, 9), "padded"},
		{"bytes3 with a last", edit(wTag, 31, 9), "padded"},
		{"bool of 2", edit(wFlag, 31, 2), "out of the range"},
		{"bool of 2²⁵⁵", edit(wFlag, 0, 0x80), "out of the range"},
		{"bool of ones", fill(wFlag, 0xff), "out of the range"},
		{"offset one word on", edit(wParts, 31, good[wParts*32+31]+32), "does not lie"},
		{"offset one byte on", edit(wParts, 31, good[wParts*32+31]+1), "does not lie"},
		{"offset to the heads", edit(wParts, 31, 0), "does not lie"},
		{"offset of 2²⁵⁶−1", fill(wParts, 0xff), "does not lie"},
		{"offset of 2⁶³", edit(wParts, 24, 0x80), "does not lie"},
		{"two offsets to one place", func() []byte {
			b := bytes.Clone(good)
			copy(b[wText*32:wText*32+32], b[wParts*32:wParts*32+32])
			return b
		}(), "does not lie"},
		{"a list of 3", edit(wCount, 31, 3), ""},
		{"a list of 1", edit(wCount, 31, 1), ""},
		{"a list of 2³¹", edit(wCount, 28, 0x80), "longer than what follows"},
		{"a list of 2²⁵⁶−1", fill(wCount, 0xff), "longer than what follows"},
		{"inner offset 0", fill(wFirst, 0), "does not lie"},
		{"inner offsets exchanged", func() []byte {
			b := bytes.Clone(good)
			copy(b[wFirst*32:], good[wSecond*32:wSecond*32+32])
			copy(b[wSecond*32:], good[wFirst*32:wFirst*32+32])
			return b
		}(), "does not lie"},
		{"uint128 of 2¹²⁸", edit(wAmount, 15, 1), "out of the range"},
		{"uint128 of ones", fill(wAmount, 0xff), "out of the range"},
		{"note elsewhere", edit(wNote, 31, 0x60), "does not lie"},
		{"note longer than all", edit(wLength, 29, 1), "longer than what follows"},
		{"note longer by one", edit(wLength, 31, 3), "equal"},
		{"note shorter by one", edit(wLength, 31, 1), "padded"},
		{"note of 2⁶³", edit(wLength, 24, 0x80), "longer than what follows"},
		{"note padded dirty", edit(wBytes, 2, 1), "padded"},
		{"note padded dirty at the end", edit(wBytes, 31, 1), "padded"},
	} {
		values, err := f.Decode(c.data)
		if c.reason == "equal" { // another note: it must show
			if err != nil || strings.Contains(values[1].Text(), "note=0x0102)") {
				t.Errorf("%s: %v, %v", c.name, values, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, %v; want %q", c.name, values, err, c.reason)
		}
	}
	text, err := abi.ParseFunction("function say(string text)")
	if err != nil {
		t.Fatal(err)
	}
	b := append(append(append(make([]byte, 31), 32), append(make([]byte, 31), 1)...), append([]byte{0xff}, make([]byte, 31)...)...)
	if values, err := text.Decode(b); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("text that is not UTF-8: %v, %v", values, err)
	}
}

// No byte of arguments changes but their text does, or all is refused.
func TestEveryByteOfArguments(t *testing.T) {
	f, good := orderData(t)
	show := func(b []byte) (out string, ok bool) {
		values, err := f.Decode(b)
		for _, v := range values {
			out += v.Text() + "\n"
		}
		return out, err == nil
	}
	want, _ := show(good)
	read := 0
	for at := range good {
		for _, by := range []byte{1, 2, 3, 4, 8, 16, 32, 64, 128, 255} {
			b := bytes.Clone(good)
			b[at] ^= by
			if got, ok := show(b); ok {
				read++
				if got == want {
					t.Errorf("byte %d is %#x, and what is shown stays the same", at, b[at])
				}
			}
		}
	}
	if read < 300 {
		t.Errorf("only %d mutants are arguments: the rest proves little", read)
	}
}

func TestSignatures(t *testing.T) {
	for signature, want := range map[string]string{
		"function f()": "f()",
		"function swap(address to, uint256 amount) payable":          "swap(address,uint256)",
		"function g((address a,(bytes b)[2] c)[] d,tuple(bool e) h)": "g((address,(bytes)[2])[],(bool))",
	} {
		f, err := abi.ParseFunction(signature)
		if err != nil || f.Signature() != want {
			t.Errorf("%s: %+v, %v", signature, f, err)
		}
	}
	for _, signature := range []string{
		"", "f()", "function", "function ()", "function f", "function f(", "function f(uint256)", "function f(uint a)", "function f(uint256 a", "function f(uint256 a,)", "function f(uint256 a) view",
		"function f(uint256 a)payable", "function f(uint256 a)  payable", "function f(uint256 a, uint256 a)", "function f(uint256  a)", "function f(uint256 a,  bool b)", "function f (uint256 a)", "function f(uint256 memory a)",
		"function f(bytes calldata a)", "function f(uint256[0] a)", "function f(uint256[01] a)", "function f(uint256[5000] a)", "function f(uint256[4000] a,uint256[4000] b)", "function f(() a)", "function f((uint256) a)",
		"function f(mapping a)", "function f(fixed128x18 a)", "function f(function a)", "function f(address payable a)", "function 1f()", "function f-g()", "function f(uint256 a-b)", "function f(uint256[65536][] a)",
		"function f(" + strings.Repeat("(", 20) + "bool a" + strings.Repeat(") a", 20) + ")", "function f(bool a" + strings.Repeat(",bool a", 40) + ")", "function f(bool " + strings.Repeat("a", 65) + ")", strings.Repeat("x", 3000),
		"function f(uint256[][][][][][][][][] a)", "function f(int0 a)", "function f(int257 a)", "function f(bytes0 a)", "function f(bytes33 a)", "function f(uint256 a);",
	} {
		if f, err := abi.ParseFunction(signature); err == nil {
			t.Errorf("%q reads as %s", signature, f.Signature())
		}
	}
}

// A long value is cut, and what is cut is still told apart.
func TestShown(t *testing.T) {
	f, err := abi.ParseFunction("function f(bytes a,string b)")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i := range 3 {
		values, err := f.ParseArguments(fmt.Appendf(nil, `["0x%s%02x","%s%d"]`, strings.Repeat("ab", 4000), i, strings.Repeat("é", 2000), i))
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			text := v.Shown(300)
			if len(text) > 300 || seen[text] || !strings.Contains(text, "bytes in all, keccak 0x") || strings.ToValidUTF8(text, "?") != text {
				t.Errorf("%s", text)
			}
			seen[text] = true
		}
	}
}

func FuzzArguments(f *testing.F) {
	function, good := orderData(f)
	f.Add(good)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		values, err := function.Decode(b)
		if err != nil {
			return
		}
		if again, err := function.Encode(values); err != nil || !bytes.Equal(again[4:], b) {
			t.Fatalf("%x encodes as %x, %v", b, again, err)
		}
	})
}

// Whatever a charter calls a function, and whatever a person gives it: what is encoded is decoded as the same.
func FuzzParseFunction(f *testing.F) {
	f.Add("function swap(address to, uint256 amount) payable", `["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed","7"]`)
	f.Add("function fill((address token,uint8[] parts)[2] orders,bytes note)", `[[["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",["1"]],["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",[]]],"0x01"]`)
	f.Add("function f()", `[]`)
	f.Fuzz(func(t *testing.T, signature, list string) {
		function, err := abi.ParseFunction(signature)
		if err != nil {
			return
		}
		if s := function.Signature(); strings.ContainsAny(s, " \n") || len(s) > len(signature)+8 || !strings.HasPrefix(s, function.Name+"(") {
			t.Fatalf("%q has the signature %q", signature, s)
		}
		values, err := function.ParseArguments([]byte(list))
		if err != nil {
			return
		}
		data, err := function.Encode(values)
		if err != nil {
			return // more than calls may have
		}
		again, err := function.Decode(data[4:])
		if err != nil {
			t.Fatalf("%q with %s is encoded as %x, which is none: %v", signature, list, data, err)
		}
		if twice, err := function.Encode(again); err != nil || !bytes.Equal(twice, data) {
			t.Fatalf("%q with %s: %x, then %x (%v)", signature, list, data, twice, err)
		}
	})
}
