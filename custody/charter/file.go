package charter

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"
	"gopkg.in/yaml.v3"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// MaxFile bounds a file written by a person, in bytes.
const MaxFile = 64 << 10

// ReadVault reads the file of "vault create -f FILE": a strict subset of YAML with one
// document, no anchors, aliases, tags or block texts, no unknown or repeated fields,
// plain decimal numbers. The charter and the time are the caller's. Suites named beside the file stand for those that
// it leaves out, and must be the same where it names them.
//
//	name: treasury
//	tier: warm                       # cold, warm or hot
//	suites: [ecdsa-secp256k1]        # a root key for each: bip340-secp256k1, ecdsa-secp256k1, ed25519
//	threshold: 3                     # operators needed to sign
//	committee: [acme, bolt, cora]
//	initiators:
//	  - name: alice
//	    keys: ["ssh-ed25519 AAAA… alice@laptop"]
//	approvers:
//	  - name: bob
//	    keys: ["sk-ssh-ed25519@openssh.com AAAA…"]
//	quorum: 1
//	initiator-approves: false        # may be left out: false
//	chains: ["eip155:1"]
//	expiry: 86400                    # seconds; may be left out: one day
//	refresh-every: 2592000           # seconds until the nodes make new shares by themselves; may be left out: never
func ReadVault(file []byte, suites []string, charter statement.ID, created time.Time) (Vault, error) {
	root, err := readYAML(file, MaxFile)
	if err != nil {
		return Vault{}, fmt.Errorf("vault file: %w", err)
	}
	v := Vault{Charter: charter, Created: created.UTC().Truncate(time.Second), Expiry: 24 * time.Hour}
	f, err := openMap(root, "vault")
	if err != nil {
		return Vault{}, fmt.Errorf("vault file: %w", err)
	}
	v.Name = f.text("name")
	v.Tier = f.text("tier")
	v.Suites = slices.Clone(suites)
	if len(suites) == 0 || f.has("suites") {
		v.Suites = f.texts("suites")
	}
	v.Threshold = f.number("threshold")
	v.Committee = f.texts("committee")
	v.Initiators = f.people("initiators")
	v.Approvers = f.people("approvers")
	v.Quorum = f.number("quorum")
	if f.has("initiator-approves") {
		v.InitiatorApproves = f.yesNo("initiator-approves")
	}
	v.Chains = f.texts("chains")
	if f.has("expiry") {
		v.Expiry = time.Duration(f.number("expiry")) * time.Second
	}
	if f.has("refresh-every") {
		v.RefreshEvery = time.Duration(f.number("refresh-every")) * time.Second
	}
	if err := f.done(); err != nil {
		return Vault{}, fmt.Errorf("vault file: %w", err)
	}
	if len(suites) > 0 && !slices.Equal(slices.Sorted(slices.Values(suites)), slices.Sorted(slices.Values(v.Suites))) {
		return Vault{}, fmt.Errorf("vault file: suites: it names %v, beside it stand %v", v.Suites, suites)
	}
	// The statement's own table holds the form of every value: ask it, with any salt.
	v = v.sorted()
	if _, err := v.Statement(statement.Salt{}); err != nil {
		return Vault{}, fmt.Errorf("vault file: %w", err)
	}
	return v, nil
}

// readYAML parses one document and refuses what makes YAML mean more than it says.
func readYAML(file []byte, most int) (*yaml.Node, error) {
	if len(file) > most {
		return nil, fmt.Errorf("it has %d bytes, at most %d are allowed", len(file), most)
	}
	dec := yaml.NewDecoder(bytes.NewReader(file))
	var doc, more yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, errors.New("it is empty")
		}
		return nil, err
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("it holds more than one document")
	}
	if len(doc.Content) != 1 {
		return nil, errors.New("it is empty")
	}
	return doc.Content[0], plain(doc.Content[0], 0)
}

const maxDepth = 8

func plain(n *yaml.Node, depth int) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("line %d: nested too deep", n.Line)
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		return fmt.Errorf("line %d: anchors and aliases are not allowed", n.Line)
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("line %d: tags such as %.20q are not allowed", n.Line, n.Tag)
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return fmt.Errorf("line %d: block texts are not allowed: quote the text on one line", n.Line)
	}
	for _, c := range n.Content {
		if err := plain(c, depth+1); err != nil {
			return err
		}
	}
	return nil
}

// fields reads a mapping field by field and remembers the first error.
type fields struct {
	where string
	line  int
	nodes map[string]*yaml.Node
	order []string
	taken map[string]bool
	err   error
}

func openMap(n *yaml.Node, where string) (*fields, error) {
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: %s is not a list of \"field: value\"", n.Line, where)
	}
	f := &fields{where: where, line: n.Line, nodes: map[string]*yaml.Node{}, taken: map[string]bool{}}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		if k.Kind != yaml.ScalarNode || k.Tag != "!!str" {
			return nil, fmt.Errorf("line %d: %s: a field's name is not plain text", k.Line, where)
		}
		if _, ok := f.nodes[k.Value]; ok {
			return nil, fmt.Errorf("line %d: %s: %.40q stands twice", k.Line, where, k.Value)
		}
		f.nodes[k.Value] = v
		f.order = append(f.order, k.Value)
	}
	return f, nil
}

func (f *fields) has(name string) bool { return f.nodes[name] != nil }

func (f *fields) take(name string) *yaml.Node {
	f.taken[name] = true
	n := f.nodes[name]
	if n == nil {
		f.fail(f.line, name, "is missing")
	}
	return n
}

func (f *fields) fail(line int, name, what string) {
	if f.err == nil {
		f.err = fmt.Errorf("line %d: %s: %s: %s", line, f.where, name, what)
	}
}

// done returns the first error; a field that nobody asked for is one.
func (f *fields) done() error {
	for _, name := range f.order {
		if !f.taken[name] {
			f.fail(f.nodes[name].Line, strconv.Quote(name), "unknown field")
		}
	}
	return f.err
}

func (f *fields) text(name string) string { return f.scalarText(f.take(name), name) }

// scalarText takes quoted text, or plain text that YAML takes for text and nothing else.
func (f *fields) scalarText(n *yaml.Node, name string) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode:
		f.fail(n.Line, name, "is not one text")
	case n.Tag != "!!str":
		f.fail(n.Line, name, fmt.Sprintf("%.40q reads as %s: put it in quotes", n.Value, strings.TrimPrefix(n.Tag, "!!")))
	case strings.ContainsAny(n.Value, "\r\n"):
		f.fail(n.Line, name, "has more than one line")
	default:
		return norm.NFC.String(n.Value)
	}
	return ""
}

func (f *fields) texts(name string) []string {
	n := f.take(name)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		f.fail(n.Line, name, "is not a list")
		return nil
	}
	var out []string
	for _, c := range n.Content {
		out = append(out, f.scalarText(c, name))
	}
	return out
}

// number takes plain decimals alone: in YAML 012 is ten, 1_000 a thousand, 0x10
// sixteen and 1:30 ninety, depending on who reads it.
func (f *fields) number(name string) int {
	n := f.take(name)
	if n == nil {
		return 0
	}
	u, err := strconv.ParseUint(n.Value, 10, 31)
	if n.Kind != yaml.ScalarNode || n.Style != 0 || err != nil || strconv.FormatUint(u, 10) != n.Value {
		f.fail(n.Line, name, fmt.Sprintf("%.40q is not a plain decimal number without leading zero", n.Value))
		return 0
	}
	return int(u)
}

func (f *fields) yesNo(name string) bool {
	n := f.take(name)
	if n.Kind != yaml.ScalarNode || n.Style != 0 || n.Value != "true" && n.Value != "false" {
		f.fail(n.Line, name, fmt.Sprintf("%.40q is neither true nor false", n.Value))
		return false
	}
	return n.Value == "true"
}

func (f *fields) people(name string) []Person {
	n := f.take(name)
	if n == nil {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		f.fail(n.Line, name, "is not a list")
		return nil
	}
	var out []Person
	for _, c := range n.Content {
		p, err := readPerson(c, name)
		if err != nil && f.err == nil {
			f.err = err
		}
		out = append(out, p)
	}
	return out
}

func readPerson(n *yaml.Node, where string) (Person, error) {
	f, err := openMap(n, where)
	if err != nil {
		return Person{}, err
	}
	p := Person{Name: f.text("name")}
	for _, line := range f.texts("keys") {
		k, err := signet.ParseKey(line)
		if err != nil {
			f.fail(n.Line, "keys", err.Error())
			break
		}
		p.Keys = append(p.Keys, k)
	}
	return p, f.done()
}
