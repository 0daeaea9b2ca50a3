package form

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const people = `# ours
circle: "é"   # a name

# Who is it?
people:   # all of them
  # the first
  - name: bob
    keys: ["k # 1", 'it''s, 2']   # two
    # of 2026

  # the second, of "x"
  - name: dora
    keys:
      - k3
      - k5 # last

# Groups.
groups:
- {name: all, people: [bob,   dora]} # one
-
  name: "few"
  people: [
    "dora", # alone
  ]
none: []   # so far
`

var small = []string{"name: %", "keys: [k]"}

func fill(name string) []string {
	out := slices.Clone(small)
	out[0] = strings.Replace(out[0], "%", name, 1)
	return out
}

// Each edit changes the lines that it must, and no other byte.
func TestEdit(t *testing.T) {
	for name, c := range map[string]struct {
		path     []string
		item     string
		lines    []string // nil: it goes
		old, new string
	}{
		"first":         {[]string{"people"}, "alice", fill("alice"), "  # the first\n", "  - name: alice\n    keys: [k]\n  # the first\n"},
		"between":       {[]string{"people"}, "carol", fill("carol"), "    # of 2026\n", "    # of 2026\n  - name: carol\n    keys: [k]\n"},
		"last":          {[]string{"people"}, "zoe", fill("zoe"), "      - k5 # last\n", "      - k5 # last\n  - name: zoe\n    keys: [k]\n"},
		"block texts":   {[]string{"people", "dora", "keys"}, "k4", []string{"k4"}, "      - k3\n", "      - k3\n      - k4\n"},
		"less a text":   {[]string{"people", "dora", "keys"}, "k5", nil, "      - k5 # last\n", ""},
		"flow first":    {[]string{"groups", "all", "people"}, "alice", []string{"alice"}, "[bob,   dora]", "[alice, bob,   dora]"},
		"flow between":  {[]string{"groups", "all", "people"}, "carol", []string{"carol"}, "[bob,   dora]", "[bob, carol,   dora]"},
		"flow last":     {[]string{"groups", "all", "people"}, "zoe", []string{"zoe"}, "[bob,   dora]", "[bob,   dora, zoe]"},
		"flow of lines": {[]string{"groups", "few", "people"}, "zoe", []string{"zoe"}, `"dora", # alone`, `"dora", zoe, # alone`},
		"quoted":        {[]string{"people", "bob", "keys"}, "k", []string{"k"}, `'it''s, 2']`, `'it''s, 2', k]`},
		"group":         {[]string{"groups"}, "bees", fill("bees"), "# one\n-\n", "# one\n- name: bees\n  keys: [k]\n-\n"},
		"of none":       {[]string{"none"}, "one", fill("one"), "none: []   # so far\n", "none:   # so far\n  - name: one\n    keys: [k]\n"},
		"of no text":    {[]string{"none"}, "one", []string{"one"}, "[]", "[one]"},
		"goes first":    {[]string{"people"}, "bob", nil, "  - name: bob\n    keys: [\"k # 1\", 'it''s, 2']   # two\n    # of 2026\n", ""},
		"goes last":     {[]string{"people"}, "dora", nil, "  - name: dora\n    keys:\n      - k3\n      - k5 # last\n", ""},
		"goes, of all":  {[]string{"groups", "all", "people"}, "bob", nil, "[bob,   dora]", "[dora]"},
		"goes, at end":  {[]string{"groups", "all", "people"}, "dora", nil, "[bob,   dora]", "[bob]"},
		"goes, alone":   {[]string{"groups", "few", "people"}, "dora", nil, `"dora", # alone`, `# alone`},
		"goes, in {}":   {[]string{"groups"}, "all", nil, "- {name: all, people: [bob,   dora]} # one\n", ""},
		"goes, in -":    {[]string{"groups"}, "few", nil, "-\n  name: \"few\"\n  people: [\n    \"dora\", # alone\n  ]\n", ""},
		"goes, in ''":   {[]string{"people", "bob", "keys"}, "it's, 2", nil, `["k # 1", 'it''s, 2']`, `["k # 1"]`},
	} {
		for _, eol := range []string{"\n", "\r\n"} {
			with := strings.NewReplacer("\n", eol)
			want := strings.Replace(people, c.old, c.new, 1)
			if want == people {
				t.Fatalf("%s changes nothing", name)
			}
			var got []byte
			var err error
			if c.lines != nil {
				got, err = Add([]byte(with.Replace(people)), 1000, c.path, c.item, c.lines)
			} else {
				got, err = Remove([]byte(with.Replace(people)), 1000, c.path, c.item)
			}
			if err != nil || string(got) != with.Replace(want) {
				t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, want)
			}
		}
	}
}

func TestEditEnds(t *testing.T) {
	for _, c := range []struct {
		name, file, want string
		do               func([]byte) ([]byte, error)
	}{
		{"no line end", "a:\n- name: x", "a:\n- name: x\n- name: y\n", func(f []byte) ([]byte, error) { return Add(f, 100, []string{"a"}, "y", []string{"name: y"}) }},
		{"all go", "a: # these\n  - name: x\nb: 1\n", "a: [] # these\nb: 1\n", func(f []byte) ([]byte, error) { return Remove(f, 100, []string{"a"}, "x") }},
		{"unsorted", "a: [c, b]\n", "a: [c, b, a]\n", func(f []byte) ([]byte, error) { return Add(f, 100, []string{"a"}, "a", []string{"a"}) }},
		{"an end mark", "a:\n  - x\n...\n", "a:\n  - x\n  - y\n...\n", func(f []byte) ([]byte, error) { return Add(f, 100, []string{"a"}, "y", []string{"y"}) }},
		{"in brackets", `{"a": [{"name": "x"}]}`, `{"a": [{"name": "x"}, { name: y, n: 1 }]}`, func(f []byte) ([]byte, error) {
			return Add(f, 100, []string{"a"}, "y", []string{"name: y", "n: 1"})
		}},
		{"behind letters of two bytes", `{"éé": 1, a: [x]}`, `{"éé": 1, a: [w, x]}`, func(f []byte) ([]byte, error) { return Add(f, 100, []string{"a"}, "w", []string{"w"}) }},
		{"a field", "a: 1\nb:\n  - x\n  # of b\n\n# c\nc: 1\n", "a: 1\nb:\n  - x\n  # of b\n\nd:\n  - y\n\n# c\nc: 1\n", func(f []byte) ([]byte, error) {
			return Append(f, 100, []string{"b"}, []string{"d:", "  - y"})
		}},
		{"a field at the end", "a: 1\nb: 2", "a: 1\nb: 2\n\nd: 3\n", func(f []byte) ([]byte, error) { return Append(f, 100, []string{"b"}, []string{"d: 3"}) }},
	} {
		if got, err := c.do([]byte(c.file)); err != nil || string(got) != c.want {
			t.Errorf("%s: %v, %q, want %q", c.name, err, got, c.want)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	item := []string{"y"}
	for name, c := range map[string]struct {
		file string
		path []string
		want string
	}{
		"no field":       {"a: [x]", []string{"b"}, "b: it is missing"},
		"no item":        {"a: [{name: x}]", []string{"a", "y", "b"}, "a: y: it is missing"},
		"no list":        {"a: x", []string{"a"}, "a is not a list"},
		"no YAML":        {"a: [", []string{"a"}, "yaml"},
		"an anchor":      {"a: &x [x]", []string{"a"}, "anchors"},
		"a lone return":  {"a: [x]\rb: 1\n", []string{"a"}, "plain line ends"},
		"another break":  {"a: [x]\u2028b: 1\n", []string{"a"}, "plain line ends"},
		"another's name": {"- x", []string{"a"}, "a: it is missing"},
	} {
		if got, err := Add([]byte(c.file), 100, c.path, "y", item); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, %v, want %q", name, got, err, c.want)
		}
	}
	if _, err := Remove([]byte("a: [x]"), 100, []string{"a"}, "y"); !errors.Is(err, ErrMissing) {
		t.Errorf("who is not there goes: %v", err)
	}
	if _, err := Append([]byte("{a: 1}"), 100, nil, []string{"b: 1"}); err == nil {
		t.Error("a field is added to brackets")
	}
}

// Whatever the file, an edit does not panic, puts in one piece, and takes out without a change to the rest.
func FuzzEdit(f *testing.F) {
	f.Add([]byte(people))
	f.Add([]byte("people: [{name: 'a', b: {c: [d]}}, {name: x}]"))
	f.Add([]byte("people:\n- {name: n} # x\n\n...\n"))
	f.Fuzz(func(t *testing.T, file []byte) {
		out, err := Add(file, 10_000, []string{"people"}, "mmm", fill("mmm"))
		if err != nil {
			return
		}
		was, err := open(file, 10_000, []string{"people"})
		if err != nil {
			t.Fatal(err)
		}
		if begin, end := alike(file, out); begin+end < len(file) && len(was.list.Content) > 0 {
			t.Errorf("%q became %q", file, out)
		}
		if len(was.list.Content) == 0 {
			return
		}
		name := nameOf(was.list.Content[0])
		if back, err := Remove(file, 10_000, []string{"people"}, name); err != nil {
			t.Errorf("%q: %v", file, err)
		} else if len(was.list.Content) > 1 && !within(back, file) {
			t.Errorf("%q became %q", file, back)
		}
	})
}

// within says whether a text is another with some bytes left out.
func within(short, long []byte) bool {
	for i := 0; len(short) > 0; i++ {
		if i == len(long) {
			return false
		}
		if long[i] == short[0] {
			short = short[1:]
		}
	}
	return true
}

// alike is how many bytes two texts begin and end with alike, of the shorter at most all.
func alike(short, long []byte) (begin, end int) {
	most := min(len(short), len(long))
	for begin < most && short[begin] == long[begin] {
		begin++
	}
	for end < most-begin && short[len(short)-1-end] == long[len(long)-1-end] {
		end++
	}
	return begin, end
}
