package form

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// ErrMissing says that a file does not have what an edit is about.
var ErrMissing = errors.New("it is missing")

// Add adds an item to a list of a file, where it stands in the ascending order if the list has one, else at the end, and leaves every other byte as it is.
// path leads to the list: a field, then the name of an item of that list, a field of it, and so on. lines are the item: one text, or fields, each "field: value"
// on one line. Who calls it reads the result again, and compares: the text around the item is judged here, not parsed.
func Add(file []byte, most int, path []string, name string, lines []string) ([]byte, error) {
	e, err := open(file, most, path)
	if err != nil {
		return nil, err
	}
	at := len(e.list.Content)
	if slices.IsSortedFunc(e.list.Content, func(a, b *yaml.Node) int { return strings.Compare(nameOf(a), nameOf(b)) }) {
		at = slices.IndexFunc(e.list.Content, func(n *yaml.Node) bool { return nameOf(n) > name })
		if at < 0 {
			at = len(e.list.Content)
		}
	}
	if e.list.Style&yaml.FlowStyle == 0 {
		return e.addBlock(at, lines), nil
	}
	if len(e.list.Content) == 0 && len(lines) > 1 && e.key.Line == e.list.Line {
		first := e.offset(e.list)
		last := e.flowEnd(first)
		if strings.Trim(e.text[first:last], "[] ") == "" { // an empty list becomes one that people read more easily
			e.text = strings.TrimRight(e.text[:first], " ") + e.text[last:]
			return e.addBlock(0, lines), nil
		}
	}
	return e.addFlow(at, lines), nil
}

// Remove takes the item of that name out of a list of a file, with the lines that it alone stands on, and leaves every other byte as it is; a comment above it too.
func Remove(file []byte, most int, path []string, name string) ([]byte, error) {
	e, err := open(file, most, path)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(e.list.Content, func(n *yaml.Node) bool { return nameOf(n) == name })
	switch {
	case at < 0:
		return nil, fmt.Errorf("%s: %s: %w", strings.Join(path, ": "), name, ErrMissing)
	case e.list.Style&yaml.FlowStyle != 0:
		return e.removeFlow(at), nil
	}
	from, to := e.lines[e.dash(at)], e.after(at)
	out := e.text[:from] + e.text[to:]
	if len(e.list.Content) == 1 {
		colon := e.offset(e.key)
		colon += strings.IndexByte(e.text[colon:], ':') + 1
		out = e.text[:colon] + " []" + e.text[colon:from] + e.text[to:]
	}
	return []byte(out), nil
}

// Append adds a field to a file, behind the last of some fields that it has, or else behind its first: lines of text that begin at the first column.
func Append(file []byte, most int, after []string, lines []string) ([]byte, error) {
	root, err := parse(file, most)
	if err != nil {
		return nil, err
	}
	if root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle != 0 {
		return nil, errors.New("it is not written as one field a line")
	}
	e, err := newEditor(file, root)
	if err != nil {
		return nil, err
	}
	at := 0
	for i := 0; i+1 < len(root.Content); i += 2 {
		if slices.Contains(after, root.Content[i].Value) || at == 0 {
			at = e.end(e.next(root.Content[i+1]), 1)
		}
	}
	return []byte(e.insert(at, append([]string{""}, lines...))), nil
}

// An editor changes the text of a file at the places where its nodes stand.
type editor struct {
	text  string
	eol   string
	lines []int        // where each line begins
	order []*yaml.Node // all nodes, as they stand
	key   *yaml.Node   // of the list
	list  *yaml.Node
}

func newEditor(file []byte, root *yaml.Node) (*editor, error) {
	e := &editor{text: string(file), eol: "\n"}
	if strings.ContainsAny(strings.ReplaceAll(e.text, "\r\n", "\n"), "\r\u0085\u2028\u2029") { // to YAML they end lines, to most editors they do not
		return nil, errors.New("it ends lines otherwise than most files: save it with plain line ends first")
	}
	at := 0
	for line := range strings.Lines(e.text) {
		e.lines = append(e.lines, at)
		if at += len(line); strings.HasSuffix(line, "\r\n") {
			e.eol = "\r\n"
		}
	}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		e.order = append(e.order, n)
		for _, c := range n.Content {
			walk(c)
		}
	}
	walk(root)
	return e, nil
}

// open finds a list.
func open(file []byte, most int, path []string) (*editor, error) {
	root, err := parse(file, most)
	if err != nil {
		return nil, err
	}
	e, err := newEditor(file, root)
	if err != nil {
		return nil, err
	}
	at := root
	for i, step := range path {
		var found bool
		if i%2 == 0 {
			e.key, at, found = fieldOf(at, step)
		} else if k := slices.IndexFunc(at.Content, func(n *yaml.Node) bool { return nameOf(n) == step }); k >= 0 {
			at, found = at.Content[k], true
		}
		if !found {
			return nil, fmt.Errorf("%s: %w", strings.Join(path[:i+1], ": "), ErrMissing)
		}
	}
	if e.list = at; at.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("line %d: %s is not a list", at.Line, strings.Join(path, ": "))
	}
	return e, nil
}

func fieldOf(n *yaml.Node, name string) (key, value *yaml.Node, found bool) {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i], n.Content[i+1], true
		}
	}
	return nil, nil, false
}

// nameOf is a text, or the field "name" of a mapping.
func nameOf(n *yaml.Node) string {
	if _, v, ok := fieldOf(n, "name"); ok {
		return v.Value
	}
	return n.Value
}

// offset is where a node begins. YAML counts columns in characters.
func (e *editor) offset(n *yaml.Node) int {
	at, column := e.lines[n.Line-1], 0
	for i := range e.text[at:] {
		if column++; column == n.Column {
			return at + i
		}
	}
	return len(e.text)
}

// next is the number of the line on which the first node after this one and all in it stands, from 0; past the last there is none.
func (e *editor) next(n *yaml.Node) int {
	for len(n.Content) > 0 {
		n = n.Content[len(n.Content)-1]
	}
	if i := slices.Index(e.order, n); i+1 < len(e.order) {
		return e.order[i+1].Line - 1
	}
	return len(e.lines)
}

func (e *editor) line(i int) string {
	if i+1 < len(e.lines) {
		return e.text[e.lines[i]:e.lines[i+1]]
	}
	return e.text[e.lines[i]:]
}

// end is where the lines end that stand before a line and belong to what begins at a column: without what is blank or a comment at their end, but with a
// comment further to the right, which speaks of what it stands below.
func (e *editor) end(before, column int) int {
	last := before
	for last > 0 {
		text := strings.TrimSpace(e.line(last - 1))
		if text != "" && text[0] != '#' && text != "..." && text != "-" { // a dash alone begins the next item
			break
		}
		last--
	}
	for ; last < before; last++ {
		if text := strings.TrimLeft(e.line(last), " "); !strings.HasPrefix(text, "#") || len(e.line(last))-len(text) < column {
			break
		}
	}
	if last == len(e.lines) {
		return len(e.text)
	}
	return e.lines[last]
}

// dash is the line on which an item of a block list begins.
func (e *editor) dash(i int) int {
	at := e.list.Content[i].Line - 1
	for ; at > 0; at-- {
		text := e.line(at)
		if before := strings.TrimLeft(text, " "); strings.HasPrefix(before, "-") && len(text)-len(before) == e.list.Column-1 {
			break
		}
	}
	return at
}

// after is where the lines of an item of a block list end.
func (e *editor) after(i int) int {
	next := 0
	if i+1 < len(e.list.Content) {
		next = e.dash(i + 1)
	} else {
		next = e.next(e.list.Content[i])
	}
	return e.end(next, e.list.Column)
}

// insert puts lines before an offset at which a line begins.
func (e *editor) insert(at int, lines []string) string {
	text := strings.Join(lines, e.eol) + e.eol
	if at > 0 && e.text[at-1] != '\n' {
		text = e.eol + text
	}
	return e.text[:at] + text + e.text[at:]
}

// addBlock adds an item to a list of one item a line or more; the first item stands directly below the list's field, above what comments the next.
func (e *editor) addBlock(i int, lines []string) []byte {
	indent, at := strings.Repeat(" ", max(e.list.Column-1, 0)), 0
	if len(e.list.Content) == 0 { // it was [] on the line of its field
		indent = strings.Repeat(" ", e.key.Column+1)
	}
	if i > 0 {
		at = e.after(i - 1)
	} else {
		at = e.lines[e.key.Line-1] + lineLength(e.text[e.lines[e.key.Line-1]:])
	}
	all := []string{indent + "- " + lines[0]}
	for _, l := range lines[1:] {
		all = append(all, indent+"  "+l)
	}
	return []byte(e.insert(at, all))
}

func lineLength(text string) int {
	if i := strings.IndexByte(text, '\n'); i >= 0 {
		return i + 1
	}
	return len(text)
}

// addFlow adds an item to a list in brackets.
func (e *editor) addFlow(i int, lines []string) []byte {
	text := lines[0]
	if len(lines) > 1 {
		text = "{ " + strings.Join(lines, ", ") + " }"
	}
	at := 0
	switch {
	case i > 0:
		at, text = e.flowEnd(e.offset(e.list.Content[i-1])), ", "+text
	case len(e.list.Content) > 0:
		at, text = e.offset(e.list.Content[0]), text+", "
	default:
		at = e.offset(e.list) + 1
	}
	return []byte(e.text[:at] + text + e.text[at:])
}

// removeFlow takes out an item of a list in brackets, and one comma.
func (e *editor) removeFlow(i int) []byte {
	from := e.offset(e.list.Content[i])
	to := e.flowEnd(from)
	if comma := e.comma(to); comma >= 0 {
		rest := strings.TrimLeft(e.text[comma+1:], " ")
		return []byte(e.text[:from] + e.text[to:comma] + rest)
	}
	if i > 0 {
		if comma := e.comma(e.flowEnd(e.offset(e.list.Content[i-1]))); comma >= 0 {
			between := strings.TrimLeft(e.text[comma+1:from], " ")
			return []byte(e.text[:comma] + between + e.text[to:])
		}
	}
	return []byte(e.text[:from] + e.text[to:])
}

// comma is where the comma after an item in brackets stands; -1: there is none.
func (e *editor) comma(at int) int {
	for at < len(e.text) {
		switch c := e.text[at]; c {
		case ',':
			return at
		case '#':
			at += lineLength(e.text[at:])
		case ' ', '\t', '\r', '\n':
			at++
		default:
			return -1
		}
	}
	return -1
}

// flowEnd is where what begins at an offset in brackets ends: a text, or brackets with what they hold.
func (e *editor) flowEnd(at int) int {
	depth, begins := 0, true // begins: a text may begin here
	for i := at; i < len(e.text); {
		c := e.text[i]
		switch {
		case begins && (c == '"' || c == '\''):
			if i = e.quoted(i); depth == 0 {
				return i
			}
			begins = false
			continue
		case c == '[' || c == '{':
			depth, begins = depth+1, true
		case (c == ']' || c == '}') && depth <= 1:
			if depth == 0 {
				return at + len(strings.TrimRight(e.text[at:i], " \t\r\n"))
			}
			return i + 1
		case c == ']' || c == '}':
			depth, begins = depth-1, false
		case c == ',' && depth == 0:
			return at + len(strings.TrimRight(e.text[at:i], " \t\r\n"))
		case c == ',' || c == ':':
			begins = true
		case c == '#' && i > at && strings.IndexByte(" \t\r\n", e.text[i-1]) >= 0:
			if depth == 0 {
				return at + len(strings.TrimRight(e.text[at:i], " \t\r\n"))
			}
			i += lineLength(e.text[i:])
			continue
		case strings.IndexByte(" \t\r\n", c) < 0:
			begins = false
		}
		i++
	}
	return len(e.text)
}

// quoted is where the quoted text that begins at an offset ends.
func (e *editor) quoted(at int) int {
	for i := at + 1; i < len(e.text); i++ {
		switch {
		case e.text[at] == '"' && e.text[i] == '\\':
			i++
		case e.text[i] == e.text[at] && e.text[at] == '\'' && strings.HasPrefix(e.text[i+1:], "'"):
			i++
		case e.text[i] == e.text[at]:
			return i + 1
		}
	}
	return len(e.text)
}
