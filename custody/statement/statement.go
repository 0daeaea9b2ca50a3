package statement

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Version begins line 1 of every statement.
const Version = "ostraka/1"

// ID is SHA-256 of a statement's bytes.
type ID [32]byte

func (id ID) String() string { return hex.EncodeToString(id[:]) }

// Short is enough of an id to tell statements apart on a screen.
func (id ID) Short() string { return hex.EncodeToString(id[:4]) }

// MarshalText is String, for JSON; an id that names nothing is empty there.
func (id ID) MarshalText() ([]byte, error) {
	if id.IsZero() {
		return nil, nil
	}
	return []byte(id.String()), nil
}

// UnmarshalText is ParseID; nothing names nothing.
func (id *ID) UnmarshalText(text []byte) (err error) {
	if len(text) == 0 {
		*id = ID{}
		return nil
	}
	*id, err = ParseID(string(text))
	return err
}

// IsZero says whether it names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// ParseID reads 64 lower-case hex digits.
func ParseID(s string) (ID, error) {
	var id ID
	if err := checkHex(s, 32, 32); err != nil {
		return id, fmt.Errorf("id: %w", err)
	}
	_, _ = hex.Decode(id[:], []byte(s))
	return id, nil
}

// Salt is the random end of a statement.
type Salt [32]byte

// A Statement is a parsed statement with the bytes it was parsed from. It never
// changes. The zero value is no statement: its Kind is empty.
type Statement struct {
	kind   Kind
	raw    string
	id     ID
	fields Block
}

func (s Statement) Kind() Kind { return s.kind }
func (s Statement) ID() ID     { return s.id }

// Bytes returns a copy of the statement's own bytes.
func (s Statement) Bytes() []byte { return []byte(s.raw) }

// Text is the statement's own bytes as a string.
func (s Statement) Text() string { return s.raw }

// IsZero says that there is no statement.
func (s Statement) IsZero() bool { return s.kind == "" }

// Salt is the value of the last line.
func (s Statement) Salt() Salt { return Salt(s.fields.Hex("salt")) }

// Get returns the value of a field, or "" if it is absent.
func (s Statement) Get(name string) string { return s.fields.Get(name) }

// Fields returns all fields, the salt last. The caller must not change them.
func (s Statement) Fields() Block { return s.fields }

// Build writes a statement of this kind. Fields stand in the kind's order, without the
// salt; those whose value is empty are left out. What Parse would refuse is refused.
func Build(k Kind, fields Block, end Salt) (Statement, error) {
	var b strings.Builder
	b.WriteString(Version + " " + string(k) + "\n")
	if err := fields.write(&b); err != nil {
		return Statement{}, fmt.Errorf("build %s statement: %w", k, err)
	}
	b.WriteString(salt.Name + ": " + hex.EncodeToString(end[:]) + "\n")
	s, err := Parse([]byte(b.String()))
	if err != nil {
		return Statement{}, fmt.Errorf("build %s statement: %w", k, err)
	}
	return s, nil
}

// ParseKind parses a statement that must be of kind k.
func ParseKind(b []byte, k Kind) (Statement, error) {
	s, err := Parse(b)
	if err != nil {
		return Statement{}, err
	}
	return s, s.Require(k)
}

// Require refuses a statement of another kind.
func (s Statement) Require(k Kind) error {
	if s.kind != k {
		return fmt.Errorf("statement %s is of kind %q, not %q", s.id.Short(), s.kind, k)
	}
	return nil
}

// Parse reads a statement of any kind of the table. It accepts exactly one byte string
// per content; errors name the line and the field.
func Parse(b []byte) (Statement, error) {
	if len(b) > MaxBytes {
		return Statement{}, fmt.Errorf("statement has %d bytes, at most %d are allowed", len(b), MaxBytes)
	}
	raw := string(b)
	if !strings.HasSuffix(raw, "\n") {
		return Statement{}, errors.New("statement does not end with a line feed")
	}
	head, rest, _ := strings.Cut(raw, "\n")
	kind, ok := strings.CutPrefix(head, Version+" ")
	if !ok {
		return Statement{}, fmt.Errorf("line 1 is not %q", Version+" <kind>")
	}
	specs := Fields(Kind(kind))
	if specs == nil {
		return Statement{}, fmt.Errorf("line 1: unknown kind %.40q", kind)
	}
	p := parser{rest: rest, line: 2}
	fields, err := p.block(specs)
	if err == nil {
		var end Block
		end, err = p.block([]Spec{salt})
		fields = append(fields, end...)
	}
	if err == nil && p.rest != "" {
		err = fmt.Errorf("line %d: nothing may follow the salt", p.line)
	}
	if err != nil {
		return Statement{}, fmt.Errorf("%s statement: %w", kind, err)
	}
	return Statement{kind: Kind(kind), raw: raw, id: sha256.Sum256(b), fields: fields}, nil
}

// parser takes lines in the order that the table states.
type parser struct {
	rest string
	line int
}

// block reads the fields of one block. Names within a kind are distinct, so the next
// line's name decides alone whether an optional field or another item is there.
func (p *parser) block(specs []Spec) (Block, error) {
	var out Block
	for _, s := range specs {
		n := 0
		for ; p.at(s.Name); n++ {
			if n == s.Most {
				return nil, fmt.Errorf("line %d: %s stands more than %d times", p.line, s.Name, s.Most)
			}
			f, err := p.field(s)
			if err != nil {
				return nil, err
			}
			out = append(out, f)
		}
		if n < s.Least {
			return nil, p.missing(s, n)
		}
	}
	return out, nil
}

func (p *parser) at(name string) bool {
	return strings.HasPrefix(p.rest, name) && strings.HasPrefix(p.rest[len(name):], ": ")
}

func (p *parser) field(s Spec) (Field, error) {
	line, rest, _ := strings.Cut(p.rest, "\n")
	value := line[len(s.Name)+2:]
	if err := s.check(value); err != nil {
		return Field{}, fmt.Errorf("line %d: %s: %w", p.line, s.Name, err)
	}
	p.rest, p.line = rest, p.line+1
	sub, err := p.block(s.Block)
	return Field{Name: s.Name, Value: value, Block: sub}, err
}

func (p *parser) missing(s Spec, n int) error {
	line, _, _ := strings.Cut(p.rest, "\n")
	name, _, _ := strings.Cut(line, ":")
	if n > 0 {
		return fmt.Errorf("line %d: %s stands %d times, at least %d are needed", p.line, s.Name, n, s.Least)
	}
	return fmt.Errorf("line %d: %s expected, found %.40q", p.line, s.Name, name)
}
