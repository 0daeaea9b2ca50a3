package abi

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"
	"unicode/utf8"
)

const word = 32

// Decode reads a function's arguments: the bytes after the selector. The layout is the one that compilers write: heads, then what they point
// at in the same order without a gap, padding of zeros, and nothing after it (spec/chain-evm 8).
func (f *Function) Decode(data []byte) ([]Value, error) {
	values, n, err := readFields(f.Inputs, data)
	if err != nil {
		return nil, err
	}
	if n != len(data) { // trailing bytes: a router or a proxy may act on what nobody was shown
		return nil, fmt.Errorf("has %d bytes after its arguments", len(data)-n)
	}
	if !bytes.Equal(f.encode(values), data) {
		return nil, errors.New("arguments are not equal to their own encoding")
	}
	return values, nil
}

// Encode writes arguments that are of the function's types, with the selector before them.
func (f *Function) Encode(values []Value) ([]byte, error) {
	if len(values) != len(f.Inputs) {
		return nil, fmt.Errorf("%s takes %d arguments, not %d", f.Signature(), len(f.Inputs), len(values))
	}
	for i, v := range values {
		if v.Type != f.Inputs[i].Type {
			return nil, fmt.Errorf("argument %s of %s is of another type", f.Inputs[i].Name, f.Signature())
		}
	}
	selector := f.Selector()
	return append(selector[:], f.encode(values)...), nil
}

func (f *Function) encode(values []Value) []byte { return appendSequence(nil, values) }

// head is how many bytes a value takes where it stands: itself, or the offset at which it lies.
func (t *Type) head() int {
	if t.words == 0 {
		return word
	}
	return t.words * word
}

func readFields(fields []Field, b []byte) ([]Value, int, error) {
	return readSequence(len(fields), func(i int) *Type { return fields[i].Type }, func(i int) string { return fields[i].Name }, b)
}

// readSequence reads values one after the other, and says how many bytes they took.
func readSequence(n int, at func(int) *Type, name func(int) string, b []byte) ([]Value, int, error) {
	heads := 0
	for i := range n {
		heads += at(i).head()
	}
	if heads > len(b) {
		return nil, 0, fmt.Errorf("has %d bytes, fewer than the %d of its arguments", len(b), heads)
	}
	values, pos, end := make([]Value, n), 0, heads
	for i := range n {
		t := at(i)
		var err error
		switch size := t.head(); {
		case t.words > 0:
			values[i], _, err = t.read(b[pos : pos+size])
			pos += size
		default:
			offset, ok := length(b[pos : pos+word])
			if !ok || offset != end { // overlapping or hidden parts: two readers could see two things
				return nil, 0, fmt.Errorf("%s: does not lie where the one before it ends", name(i))
			}
			var took int
			values[i], took, err = t.read(b[end:])
			end, pos = end+took, pos+size
		}
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", name(i), err)
		}
	}
	return values, end, nil
}

// length reads a word as a length or an offset.
func length(b []byte) (int, bool) {
	n := new(big.Int).SetBytes(b)
	return int(n.Int64()), n.IsInt64() && n.Int64() <= math.MaxInt32
}

// read reads a value at the beginning of b, and says how many bytes it took.
func (t *Type) read(b []byte) (Value, int, error) {
	v := Value{Type: t}
	switch t.kind {
	case structKind:
		list, n, err := readFields(t.fields, b)
		v.List = list
		return v, n, err
	case arrayKind:
		return t.readArray(b)
	case bytesKind, stringKind:
		return t.readBytes(b)
	}
	if len(b) < word {
		return v, 0, fmt.Errorf("has %d bytes, not %d", len(b), word)
	}
	b = b[:word]
	switch t.kind {
	case addressKind:
		if !bytes.Equal(b[:12], make([]byte, 12)) { // dirty padding: some contracts read more than 20 bytes
			return v, 0, errors.New("an address is padded with other bytes than zero")
		}
		v.Bytes = bytes.Clone(b[12:])
	case fixedKind:
		if !bytes.Equal(b[t.size:], make([]byte, word-t.size)) {
			return v, 0, fmt.Errorf("%s is padded with other bytes than zero", t)
		}
		v.Bytes = bytes.Clone(b[:t.size])
	default:
		v.Int = new(big.Int).SetBytes(b)
		if t.kind == intKind && v.Int.Bit(255) == 1 {
			v.Int.Sub(v.Int, new(big.Int).Lsh(big.NewInt(1), 256))
		}
		if !t.holds(v.Int) {
			return v, 0, fmt.Errorf("%v is out of the range of %s", v.Int, t)
		}
	}
	return v, word, nil
}

func (t *Type) readArray(b []byte) (Value, int, error) {
	n, prefix := t.size, 0
	if n == 0 {
		if len(b) < word {
			return Value{}, 0, errors.New("an array's length is missing")
		}
		var ok bool
		if n, ok = length(b[:word]); !ok || n > (len(b)-word)/t.elem.head() { // before memory is asked for
			return Value{}, 0, errors.New("an array says that it is longer than what follows")
		}
		prefix = word
	}
	list, took, err := readSequence(n, func(int) *Type { return t.elem }, func(i int) string { return fmt.Sprintf("[%d]", i) }, b[prefix:])
	return Value{Type: t, List: list}, prefix + took, err
}

func (t *Type) readBytes(b []byte) (Value, int, error) {
	if len(b) < word {
		return Value{}, 0, fmt.Errorf("length of %s is missing", t)
	}
	n, ok := length(b[:word])
	if !ok || n > len(b)-word {
		return Value{}, 0, fmt.Errorf("%s says that it is longer than what follows", t)
	}
	padded := (n + word - 1) / word * word
	if padded > len(b)-word {
		return Value{}, 0, fmt.Errorf("padding of %s is missing", t)
	}
	content := b[word : word+n]
	if !bytes.Equal(b[word+n:word+padded], make([]byte, padded-n)) {
		return Value{}, 0, fmt.Errorf("%s is padded with other bytes than zero", t)
	}
	if t.kind == stringKind && !utf8.Valid(content) {
		return Value{}, 0, errors.New("string is not UTF-8")
	}
	return Value{Type: t, Bytes: bytes.Clone(content)}, word + padded, nil
}

// holds says whether an integer is in a type's range.
func (t *Type) holds(x *big.Int) bool {
	switch t.kind {
	case boolKind:
		return x.Sign() >= 0 && x.BitLen() <= 1
	case uintKind:
		return x.Sign() >= 0 && x.BitLen() <= t.size
	}
	if x.Sign() < 0 {
		x = new(big.Int).Not(x) // −2ⁿ⁻¹ is in, and its BitLen is one more than others'
	}
	return x.BitLen() < t.size
}

// appendSequence writes values one after the other: heads, then what they point at.
func appendSequence(out []byte, values []Value) []byte {
	heads := 0
	for _, v := range values {
		heads += v.Type.head()
	}
	var tails []byte
	for _, v := range values {
		if v.Type.words > 0 {
			out = v.append(out)
			continue
		}
		out = appendInt(out, int64(heads+len(tails)))
		tails = v.append(tails)
	}
	return append(out, tails...)
}

func appendInt(out []byte, n int64) []byte {
	return append(out, big.NewInt(n).FillBytes(make([]byte, word))...)
}

// append writes a value where it stands.
func (v Value) append(out []byte) []byte {
	switch v.Type.kind {
	case arrayKind:
		if v.Type.size == 0 {
			out = appendInt(out, int64(len(v.List)))
		}
		return appendSequence(out, v.List)
	case structKind:
		return appendSequence(out, v.List)
	case bytesKind, stringKind:
		out = append(appendInt(out, int64(len(v.Bytes))), v.Bytes...)
		return append(out, make([]byte, (word-len(v.Bytes)%word)%word)...)
	}
	w := v.word()
	return append(out, w[:]...)
}

// word is an elementary value in 32 bytes, as calls and typed data both have it.
func (v Value) word() (w [word]byte) {
	switch v.Type.kind {
	case addressKind:
		copy(w[12:], v.Bytes)
	case fixedKind:
		copy(w[:], v.Bytes)
	default:
		x := v.Int
		if x.Sign() < 0 {
			x = new(big.Int).Add(x, new(big.Int).Lsh(big.NewInt(1), 256))
		}
		x.FillBytes(w[:])
	}
	return w
}
