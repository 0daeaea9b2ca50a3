// Package form reads files that people write: a strict subset of YAML in which nothing means more than it says. One document, no anchors,
// aliases, tags or block texts, no unknown or repeated fields, texts in quotes where YAML would take them for something else, and plain
// decimal numbers: 012 is refused, it is ten to some readers and twelve to others.
package form

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/text/unicode/norm"
	"gopkg.in/yaml.v3"
)

// Read reads a file of at most so many bytes that holds one mapping, whole: what read does not ask for is an error. Errors give the line.
func Read(file []byte, most int, where string, read func(*Map)) error {
	root, err := parse(file, most)
	if err != nil {
		return err
	}
	return each(root, where, read)
}

// parse reads one document and refuses what makes YAML mean more than it says.
func parse(file []byte, most int) (*yaml.Node, error) {
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

// A Map reads a mapping field by field and remembers the first error.
type Map struct {
	where string
	line  int
	nodes map[string]*yaml.Node
	order []string
	taken map[string]bool
	err   error
}

func openMap(n *yaml.Node, where string) (*Map, error) {
	if n.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("line %d: %s is not a list of \"field: value\"", n.Line, where)
	}
	f := &Map{where: where, line: n.Line, nodes: map[string]*yaml.Node{}, taken: map[string]bool{}}
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

// Has says whether a field stands in the file.
func (f *Map) Has(name string) bool { return f.nodes[name] != nil }

func (f *Map) take(name string) *yaml.Node {
	f.taken[name] = true
	n := f.nodes[name]
	if n == nil {
		f.fail(f.line, name, "is missing")
	}
	return n
}

func (f *Map) fail(line int, name, what string) {
	if f.err == nil {
		f.err = fmt.Errorf("line %d: %s: %s: %s", line, f.where, name, what)
	}
}

// done returns the first error; a field that nobody asked for is one.
func (f *Map) done() error {
	for _, name := range f.order {
		if !f.taken[name] {
			f.fail(f.nodes[name].Line, strconv.Quote(name), "unknown field")
		}
	}
	return f.err
}

// Text is one text.
func (f *Map) Text(name string) string { return f.scalarText(f.take(name), name) }

// scalarText takes quoted text, or plain text that YAML takes for text and nothing else.
func (f *Map) scalarText(n *yaml.Node, name string) string {
	switch {
	case n == nil:
		return ""
	case n.Kind != yaml.ScalarNode:
		f.fail(n.Line, name, "is not one text")
	case n.Tag != "!!str":
		f.fail(n.Line, name, fmt.Sprintf("%.40q reads as %s: put it in quotes", n.Value, strings.TrimPrefix(n.Tag, "!!")))
	case n.Style == 0 && older(n.Value):
		f.fail(n.Line, name, fmt.Sprintf("%.40q is no text to every reader of YAML: put it in quotes", n.Value))
	case strings.ContainsAny(n.Value, "\r\n"):
		f.fail(n.Line, name, "has more than one line")
	default:
		return norm.NFC.String(n.Value)
	}
	return ""
}

// older says whether YAML 1.1 takes plain text for something else: a yes or no, or a number in parts of sixty.
func older(v string) bool {
	digits, parts := strings.Trim(v, "+-0123456789_.:") == "", strings.Contains(v, ":")
	return digits && parts || slices.Contains([]string{"y", "n", "yes", "no", "on", "off"}, strings.ToLower(v))
}

// Texts is a list of texts.
func (f *Map) Texts(name string) []string {
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

// Number takes plain decimals alone: in YAML 012 is ten, 1_000 a thousand, 0x10
// sixteen and 1:30 ninety, depending on who reads it.
func (f *Map) Number(name string) int {
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

// Long is a number as Number takes it, of up to 63 bits.
func (f *Map) Long(name string) int64 {
	n := f.take(name)
	if n == nil {
		return 0
	}
	u, err := strconv.ParseUint(n.Value, 10, 63)
	if n.Kind != yaml.ScalarNode || n.Style != 0 || err != nil || strconv.FormatUint(u, 10) != n.Value {
		f.fail(n.Line, name, fmt.Sprintf("%.40q is not a plain decimal number without leading zero", n.Value))
		return 0
	}
	return int64(u)
}

// YesNo is true or false.
func (f *Map) YesNo(name string) bool {
	n := f.take(name)
	if n == nil {
		return false
	}
	if n.Kind != yaml.ScalarNode || n.Style != 0 || n.Value != "true" && n.Value != "false" {
		f.fail(n.Line, name, fmt.Sprintf("%.40q is neither true nor false", n.Value))
		return false
	}
	return n.Value == "true"
}

// each reads one mapping whole.
func each(n *yaml.Node, where string, read func(*Map)) error {
	f, err := openMap(n, where)
	if err != nil {
		return err
	}
	read(f)
	return f.done()
}

// List reads a list of mappings; one that is left out is empty.
func List[T any](f *Map, name string, read func(*Map) T) (out []T) {
	if !f.Has(name) {
		return nil
	}
	n := f.take(name)
	if n.Kind != yaml.SequenceNode {
		f.fail(n.Line, name, "is not a list")
		return nil
	}
	for _, c := range n.Content {
		if err := each(c, name, func(f *Map) { out = append(out, read(f)) }); err != nil && f.err == nil {
			f.err = err
		}
	}
	return out
}

// Optional is a number that may be left out.
func (f *Map) Optional(name string, otherwise int) int {
	if !f.Has(name) {
		return otherwise
	}
	return f.Number(name)
}

// Maybe is a text that may be left out.
func (f *Map) Maybe(name string) string {
	if !f.Has(name) {
		return ""
	}
	return f.Text(name)
}

// Fail notes that a field is not what it should be; the first such error is what Read returns.
func (f *Map) Fail(name, what string) {
	line := f.line
	if n := f.nodes[name]; n != nil {
		line = n.Line
	}
	f.fail(line, name, what)
}

// Sub reads a mapping that is a field.
func (f *Map) Sub(name string, read func(*Map)) {
	n := f.take(name)
	if n == nil {
		return
	}
	if err := each(n, name, read); err != nil && f.err == nil {
		f.err = err
	}
}

// Need notes that a list is missing; List takes one that is left out for an empty one.
func (f *Map) Need(name string) {
	if !f.Has(name) {
		f.take(name)
	}
}
