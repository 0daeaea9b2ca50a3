package abi

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/ethereum/go-ethereum/crypto"
)

// maxTypes bounds the structs of one document.
const maxTypes = 32

const domainName = "EIP712Domain"

// domainFields are what a domain may have, in this order (EIP-712).
var domainFields = []struct{ name, of string }{
	{"name", "string"}, {"version", "string"}, {"chainId", "uint256"}, {"verifyingContract", "address"}, {"salt", "bytes32"},
}

// Typed is a document of EIP-712. It is immutable.
type Typed struct {
	domain, message Value
	types           []*Type // in the canonical order: the domain's, the primary type, the others by name
	typeString      string  // encodeType of the message's
}

// A Domain is where a document is meant for. What it has not is nil.
type Domain struct {
	Name, Version     *string
	ChainID           *big.Int
	VerifyingContract *[20]byte
	Salt              *[32]byte
}

// ParseTyped reads a document as wallets have it (eth_signTypedData_v4): types with EIP712Domain among them, primaryType, domain, message, in any order and
// spacing. Refused are members that no type has, types that nothing uses, types that contain themselves, and missing values.
func ParseTyped(document []byte) (*Typed, error) {
	n, err := readJSON(document)
	if err != nil {
		return nil, err
	}
	if err := n.only("types", "primaryType", "domain", "message"); err != nil {
		return nil, err
	}
	types, _ := n.member("types")
	primary, _ := n.member("primaryType")
	if primary.kind != 's' || primary.text == domainName {
		return nil, errors.New("primaryType: is no struct of a message")
	}
	set, err := readTypes(types)
	if err != nil {
		return nil, fmt.Errorf("types: %w", err)
	}
	domain, root := set.byName[domainName], set.byName[primary.text]
	if domain == nil || root == nil {
		return nil, fmt.Errorf("types: want %s and %.40q", domainName, primary.text)
	}
	if err := checkDomain(domain); err != nil {
		return nil, err
	}
	t := &Typed{types: append([]*Type{domain}, family(root)...), typeString: root.encodeType()}
	if len(t.types) != len(set.byName) { // a type for people to read that is not signed
		return nil, fmt.Errorf("types: %d, of which the message and its domain use %d", len(set.byName), len(t.types))
	}
	m, _ := n.member("domain")
	if t.domain, err = domain.parse(m); err != nil {
		return nil, fmt.Errorf("domain: %w", err)
	}
	m, _ = n.member("message")
	if t.message, err = root.parse(m); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	return t, nil
}

// DecodeTyped reads the one canonical form of a document, which is what Canonical writes.
func DecodeTyped(canonical []byte) (*Typed, error) {
	t, err := ParseTyped(canonical)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(t.Canonical(), canonical) {
		return nil, errors.New("is not in the canonical form: no spaces, members in order, integers as decimal strings, addresses by EIP-55")
	}
	return t, nil
}

func checkDomain(domain *Type) error {
	at := 0
	for _, f := range domain.fields {
		i := slices.IndexFunc(domainFields[at:], func(d struct{ name, of string }) bool { return d.name == f.Name && d.of == f.Type.String() })
		if i < 0 {
			return fmt.Errorf("types: %s of %s is no member of a domain, or not in its place", f.Name, domainName)
		}
		at += i + 1
	}
	return nil
}

// A typeSet resolves the structs of a document by name.
type typeSet struct {
	byName  map[string]*Type
	sources map[string]node
	open    map[string]bool // which are being resolved
}

func readTypes(n node) (*typeSet, error) {
	if n.kind != '{' || len(n.keys) > maxTypes {
		return nil, fmt.Errorf("is no object of at most %d", maxTypes)
	}
	s := &typeSet{map[string]*Type{}, map[string]node{}, map[string]bool{}}
	for i, name := range n.keys {
		if !structName(name) {
			return nil, fmt.Errorf("%.40q is no name of a struct", name)
		}
		s.sources[name] = n.list[i]
	}
	for _, name := range n.keys {
		if _, err := s.resolve(name); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// structName says whether a struct may be called so: not as an elementary type is, nor as one would be that does not exist (uint7, bytes33, uint).
func structName(name string) bool {
	return identifier(name) && !slices.Contains(reserved, strings.TrimRight(name, "0123456789x"))
}

var reserved = []string{"uint", "int", "bool", "address", "bytes", "byte", "string", "fixed", "ufixed", "function", "mapping", "tuple"}

func (s *typeSet) resolve(name string) (*Type, error) {
	if t, ok := s.byName[name]; ok {
		return t, nil
	}
	source, ok := s.sources[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("%.40q is no type", name)
	case s.open[name]:
		return nil, fmt.Errorf("%s contains itself", name)
	case source.kind != '[' || len(source.list) > maxFields:
		return nil, fmt.Errorf("%s is no list of at most %d", name, maxFields)
	}
	s.open[name] = true
	fields := make([]Field, len(source.list))
	for i, member := range source.list {
		if err := member.only("name", "type"); err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		fieldName, _ := member.member("name")
		fieldType, _ := member.member("type")
		if fieldName.kind != 's' || fieldType.kind != 's' || !identifier(fieldName.text) {
			return nil, fmt.Errorf("%s[%d] has no name", name, i)
		}
		base, suffix := fieldType.text, ""
		if at := strings.IndexByte(base, '['); at >= 0 {
			base, suffix = base[:at], base[at:]
		}
		t, ok := elementary(base)
		if !ok {
			var err error
			if t, err = s.resolve(base); err != nil {
				return nil, fmt.Errorf("%s.%s: %w", name, fieldName.text, err)
			}
		}
		t, err := arrays(t, suffix)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", name, fieldName.text, err)
		}
		fields[i] = Field{fieldName.text, t}
	}
	t, err := structure(name, fields)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.byName[name] = t
	return t, nil
}

// CheckTypeString reads what encodeType writes, and says the message's struct.
func CheckTypeString(text string) (*Type, error) {
	s := &typeSet{map[string]*Type{}, map[string]node{}, map[string]bool{}}
	first, rest := "", text
	for rest != "" && len(s.sources) <= maxTypes {
		name, after, ok := strings.Cut(rest, "(")
		body, after, closed := strings.Cut(after, ")")
		if !ok || !closed || !structName(name) || name == domainName {
			return nil, fmt.Errorf("type %.60q: want encodeType's form, as Mail(address to,string contents)", text)
		}
		fields := node{kind: '['}
		for _, f := range strings.Split(body, ",") {
			of, called, _ := strings.Cut(f, " ")
			fields.list = append(fields.list, node{kind: '{', keys: []string{"name", "type"}, list: []node{{kind: 's', text: called}, {kind: 's', text: of}}})
		}
		if first == "" {
			first = name
		}
		s.sources[name], rest = fields, after
	}
	root, err := s.resolve(first)
	if err != nil {
		return nil, fmt.Errorf("type %.60q: %w", text, err)
	}
	if root.encodeType() != text {
		return nil, fmt.Errorf("type %.60q: encodeType has it as %s", text, root.encodeType())
	}
	return root, nil
}

// NewTyped makes a document: of the type that encodeType writes so, for a domain, with a message as a JSON object.
func NewTyped(typeString string, d Domain, message []byte) (*Typed, error) {
	root, err := CheckTypeString(typeString)
	if err != nil {
		return nil, err
	}
	n, err := readJSON(message)
	if err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	t := &Typed{}
	if t.message, err = root.parse(n); err != nil {
		return nil, fmt.Errorf("message: %w", err)
	}
	var fields []Field
	add := func(i int, present bool, v func() Value) {
		if present {
			of, _ := elementary(domainFields[i].of)
			x := v()
			x.Type = of
			fields, t.domain.List = append(fields, Field{domainFields[i].name, of}), append(t.domain.List, x)
		}
	}
	add(0, d.Name != nil, func() Value { return Value{Bytes: []byte(*d.Name)} })
	add(1, d.Version != nil, func() Value { return Value{Bytes: []byte(*d.Version)} })
	add(2, d.ChainID != nil, func() Value { return Value{Int: d.ChainID} })
	add(3, d.VerifyingContract != nil, func() Value { return Value{Bytes: d.VerifyingContract[:]} })
	add(4, d.Salt != nil, func() Value { return Value{Bytes: d.Salt[:]} })
	if t.domain.Type, err = structure(domainName, fields); err != nil {
		return nil, fmt.Errorf("domain: %w", err)
	}
	t.types = append([]*Type{t.domain.Type}, family(root)...)
	return DecodeTyped(t.Canonical())
}

// family is a struct and all that it refers to: itself first, the others by name, as encodeType has them.
func family(root *Type) []*Type {
	var all []*Type
	var visit func(t *Type)
	visit = func(t *Type) {
		for t.kind == arrayKind {
			t = t.elem
		}
		if t.kind != structKind || slices.Contains(all, t) {
			return
		}
		all = append(all, t)
		for _, f := range t.fields {
			visit(f.Type)
		}
	}
	visit(root)
	slices.SortFunc(all[1:], func(a, b *Type) int { return strings.Compare(a.name, b.name) })
	return all
}

// encodeType is EIP-712's: Mail(Person from,string contents)Person(string name,address wallet).
func (t *Type) encodeType() string {
	var b strings.Builder
	for _, s := range family(t) {
		b.WriteString(s.name + "(")
		for i, f := range s.fields {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(f.Type.String() + " " + f.Name)
		}
		b.WriteByte(')')
	}
	return b.String()
}

// A hasher keeps what encodeType hashes to, so that an array of structs is hashed in time that its length bounds.
type hasher map[*Type][]byte

// hash is EIP-712's hashStruct of a struct.
func (h hasher) hash(v Value) []byte {
	typeHash, ok := h[v.Type]
	if !ok {
		typeHash = crypto.Keccak256([]byte(v.Type.encodeType()))
		h[v.Type] = typeHash
	}
	data := bytes.Clone(typeHash)
	for _, f := range v.List {
		data = append(data, h.encode(f)...)
	}
	return crypto.Keccak256(data)
}

// encode is EIP-712's encodeData of one member: 32 bytes.
func (h hasher) encode(v Value) []byte {
	switch v.Type.kind {
	case structKind:
		return h.hash(v)
	case bytesKind, stringKind:
		return crypto.Keccak256(v.Bytes)
	case arrayKind:
		var data []byte
		for _, e := range v.List {
			data = append(data, h.encode(e)...)
		}
		return crypto.Keccak256(data)
	}
	w := v.word()
	return w[:]
}

// Digest is what is signed: Keccak-256 of 0x19 0x01, the domain's hash and the message's.
func (t *Typed) Digest() [32]byte {
	h := hasher{}
	return [32]byte(crypto.Keccak256([]byte{0x19, 0x01}, h.hash(t.domain), h.hash(t.message)))
}

// Separator is the domain's hash, as the contract has it.
func (t *Typed) Separator() [32]byte { return [32]byte(hasher{}.hash(t.domain)) }

// TypeString is EIP-712's encodeType of the message's type: what an allow-list names.
func (t *Typed) TypeString() string { return t.typeString }

// Message is the document's struct.
func (t *Typed) Message() Value { return t.message }

// Domain is where the document is meant for.
func (t *Typed) Domain() Domain {
	var d Domain
	for i, f := range t.domain.Type.fields {
		switch v := t.domain.List[i]; f.Name {
		case "name":
			d.Name = pointer(string(v.Bytes))
		case "version":
			d.Version = pointer(string(v.Bytes))
		case "chainId":
			d.ChainID = new(big.Int).Set(v.Int)
		case "verifyingContract":
			d.VerifyingContract = pointer([20]byte(v.Bytes))
		case "salt":
			d.Salt = pointer([32]byte(v.Bytes))
		}
	}
	return d
}

func pointer[T any](x T) *T { return &x }

// Canonical is the document's one form as bytes.
func (t *Typed) Canonical() []byte {
	out := []byte(`{"types":{`)
	for i, s := range t.types {
		out = append(appendString(comma(out, i), s.name), ":["...)
		for j, f := range s.fields {
			out = append(comma(out, j), `{"name":`...)
			out = append(appendString(out, f.Name), `,"type":`...)
			out = append(appendString(out, f.Type.String()), '}')
		}
		out = append(out, ']')
	}
	out = append(appendString(append(out, `},"primaryType":`...), t.message.Type.name), `,"domain":`...)
	out = t.domain.appendJSON(out)
	return append(t.message.appendJSON(append(out, `,"message":`...)), '}')
}
