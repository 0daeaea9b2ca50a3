package abi

import (
	"fmt"
	"strconv"
	"strings"
)

type kind uint8

const (
	uintKind kind = iota
	intKind
	boolKind
	addressKind
	fixedKind // bytes1 … bytes32
	bytesKind
	stringKind
	arrayKind // T[] and T[n]
	structKind
)

// Limits of a type, so that no signature and no document makes one whose values are larger than what carries them.
const (
	maxFields = 32      // of one struct, or arguments of one function
	maxDepth  = 8       // arrays and structs in each other
	maxArray  = 1 << 16 // n of T[n]
	maxWords  = 1 << 12 // of a static type, and of a function's heads
	maxName   = 64
)

// A Type is one of Solidity's. It is immutable.
type Type struct {
	kind   kind
	size   int // bits of an integer, bytes of bytesN, n of T[n]; 0 of T[]
	elem   *Type
	name   string // a struct's in typed data; empty in a function
	fields []Field
	words  int // 32-byte words of a static value's encoding; 0: the type is dynamic
	depth  int
}

// A Field is a named part of a struct, or a function's argument.
type Field struct {
	Name string
	Type *Type
}

// String is the type as it stands in selectors and in encodeType: uint256, (address,uint256)[], Person.
func (t *Type) String() string {
	switch t.kind {
	case uintKind:
		return "uint" + strconv.Itoa(t.size)
	case intKind:
		return "int" + strconv.Itoa(t.size)
	case boolKind:
		return "bool"
	case addressKind:
		return "address"
	case fixedKind:
		return "bytes" + strconv.Itoa(t.size)
	case bytesKind:
		return "bytes"
	case stringKind:
		return "string"
	case arrayKind:
		if t.size == 0 {
			return t.elem.String() + "[]"
		}
		return fmt.Sprintf("%s[%d]", t.elem, t.size)
	}
	if t.name != "" {
		return t.name
	}
	return tupleName(t.fields)
}

func tupleName(fields []Field) string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Type.String()
	}
	return "(" + strings.Join(names, ",") + ")"
}

// Fields are a struct's; nil of other types.
func (t *Type) Fields() []Field { return t.fields }

// Element is what an array is of; nil of other types.
func (t *Type) Element() *Type { return t.elem }

// Length is n of T[n]; 0 of T[] and of other types than arrays.
func (t *Type) Length() int {
	if t.kind != arrayKind {
		return 0
	}
	return t.size
}

// elementary reads a type that is neither array nor struct. Short names (uint, byte) are none: the selector would be of another text.
func elementary(name string) (*Type, bool) {
	switch name {
	case "bool":
		return &Type{kind: boolKind, words: 1}, true
	case "address":
		return &Type{kind: addressKind, words: 1}, true
	case "bytes":
		return &Type{kind: bytesKind}, true
	case "string":
		return &Type{kind: stringKind}, true
	}
	sized := func(prefix string, k kind, step, most int) (*Type, bool) {
		digits, ok := strings.CutPrefix(name, prefix)
		n, err := strconv.Atoi(digits)
		if !ok || err != nil || strconv.Itoa(n) != digits || n < step || n > most || n%step != 0 {
			return nil, false
		}
		return &Type{kind: k, size: n, words: 1}, true
	}
	if t, ok := sized("uint", uintKind, 8, 256); ok {
		return t, true
	}
	if t, ok := sized("int", intKind, 8, 256); ok {
		return t, true
	}
	return sized("bytes", fixedKind, 1, 32)
}

// arrays puts suffixes such as [][3] around a type.
func arrays(t *Type, suffix string) (*Type, error) {
	for suffix != "" {
		digits, rest, ok := strings.Cut(suffix[1:], "]")
		if suffix[0] != '[' || !ok {
			return nil, fmt.Errorf("%.20q is no array", suffix)
		}
		n := 0
		if digits != "" {
			var err error
			if n, err = strconv.Atoi(digits); err != nil || strconv.Itoa(n) != digits || n < 1 || n > maxArray {
				return nil, fmt.Errorf("[%.20s] is no array of 1 to %d", digits, maxArray)
			}
		}
		a := &Type{kind: arrayKind, size: n, elem: t, depth: t.depth + 1, words: n * t.words}
		if err := a.bounded(); err != nil {
			return nil, err
		}
		t, suffix = a, rest
	}
	return t, nil
}

// structure makes a struct of fields, of which there is one at least.
func structure(name string, fields []Field) (*Type, error) {
	t := &Type{kind: structKind, name: name}
	if err := t.fill(fields); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Type) fill(fields []Field) error {
	if len(fields) == 0 || len(fields) > maxFields {
		return fmt.Errorf("a struct has %d fields, not 1 to %d", len(fields), maxFields)
	}
	if err := distinct(fields); err != nil {
		return err
	}
	t.fields, t.words = fields, 0
	static := true
	for _, f := range fields {
		t.depth = max(t.depth, f.Type.depth+1)
		static = static && f.Type.words > 0
		t.words += f.Type.words
	}
	if !static {
		t.words = 0
	}
	return t.bounded()
}

func (t *Type) bounded() error {
	switch {
	case t.depth > maxDepth:
		return fmt.Errorf("types are nested deeper than %d", maxDepth)
	case t.words > maxWords:
		return fmt.Errorf("a type has %d words, more than %d", t.words, maxWords)
	}
	return nil
}

func distinct(fields []Field) error {
	seen := map[string]bool{}
	for _, f := range fields {
		if seen[f.Name] { // two lines of one name: one of them could hide the other
			return fmt.Errorf("two are called %s", f.Name)
		}
		seen[f.Name] = true
	}
	return nil
}

// identifier says whether a name is one of Solidity's, without the dollar sign.
func identifier(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}
