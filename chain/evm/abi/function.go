package abi

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
)

// A Function is what a contract can be asked, as people wrote it down. It is immutable.
type Function struct {
	Name    string
	Inputs  []Field
	Payable bool // coins may go along
}

// maxSignature bounds a signature in bytes.
const maxSignature = 2048

// ParseFunction reads `function swap(address to, uint256 amount) payable`: each argument with its type in full (uint256, not uint) and a
// name of its own; a struct as `(address token,uint256 amount) name`, with or without `tuple` before it. `payable` is the one word that may follow.
func ParseFunction(signature string) (*Function, error) {
	f, err := parseFunction(signature)
	if err != nil {
		return nil, fmt.Errorf("function %.60q: %w", signature, err)
	}
	return f, nil
}

func parseFunction(signature string) (*Function, error) {
	if len(signature) > maxSignature {
		return nil, fmt.Errorf("has %d bytes, more than %d", len(signature), maxSignature)
	}
	rest, ok := strings.CutPrefix(signature, "function ")
	name, rest, parts := strings.Cut(rest, "(")
	if !ok || !parts || !identifier(name) {
		return nil, errors.New("want `function name(type name, …)`")
	}
	s := &signatureReader{rest: rest}
	f := &Function{Name: name, Inputs: s.fields(0)}
	switch {
	case s.err != nil:
		return nil, s.err
	case s.rest == " payable":
		f.Payable = true
	case s.rest != "":
		return nil, fmt.Errorf("%.20q follows its arguments; only ` payable` may", s.rest)
	}
	words := 0
	for _, in := range f.Inputs {
		if words += max(in.Type.words, 1); words > maxWords {
			return nil, fmt.Errorf("arguments have more than %d words", maxWords)
		}
	}
	return f, distinct(f.Inputs)
}

// A signatureReader takes a function's arguments in order and keeps the first error.
type signatureReader struct {
	rest string
	err  error
}

func (s *signatureReader) take(token string) bool {
	rest, ok := strings.CutPrefix(s.rest, token)
	if ok {
		s.rest = rest
	}
	return ok
}

// fields reads up to the closing bracket.
func (s *signatureReader) fields(depth int) []Field {
	var out []Field
	if s.take(")") {
		return out
	}
	for s.err == nil {
		out = append(out, s.field(depth))
		switch {
		case s.err != nil:
		case len(out) > maxFields:
			s.err = fmt.Errorf("has more than %d arguments", maxFields)
		case s.take(")"):
			return out
		case !s.take(","):
			s.err = fmt.Errorf("want `,` or `)` before %.20q", s.rest)
		default:
			s.take(" ")
		}
	}
	return nil
}

func (s *signatureReader) field(depth int) Field {
	if depth > maxDepth {
		s.err = fmt.Errorf("types are nested deeper than %d", maxDepth)
		return Field{}
	}
	var t *Type
	if s.take("tuple(") || s.take("(") {
		fields := s.fields(depth + 1)
		if s.err == nil {
			t, s.err = structure("", fields)
		}
	} else {
		n := strings.IndexAny(s.rest, " [,)")
		if n < 0 {
			n = len(s.rest)
		}
		var ok bool
		if t, ok = elementary(s.rest[:n]); !ok {
			s.err = fmt.Errorf("%.20q is no type; write it in full, such as uint256", s.rest[:n])
		}
		s.rest = s.rest[n:]
	}
	if s.err != nil {
		return Field{}
	}
	suffix, rest, ok := strings.Cut(s.rest, " ")
	if t, s.err = arrays(t, suffix); s.err != nil {
		return Field{}
	}
	n := strings.IndexAny(rest, ",)")
	if !ok || n < 0 || !identifier(rest[:n]) {
		s.err = fmt.Errorf("an argument of type %s has no name", t)
		return Field{}
	}
	s.rest = rest[n:]
	return Field{rest[:n], t}
}

// Signature is name and types: swap(address,uint256).
func (f *Function) Signature() string { return f.Name + tupleName(f.Inputs) }

// Selector is the first four bytes of Keccak-256 of Signature.
func (f *Function) Selector() [4]byte { return [4]byte(crypto.Keccak256([]byte(f.Signature()))) }
