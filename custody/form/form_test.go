package form

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

type thing struct {
	name   string
	list   []string
	number int
	yes    bool
	maybe  string
	inner  []int
	sub    string
}

func read(file string) (x thing, err error) {
	err = Read([]byte(file), 1000, "thing", func(f *Map) {
		x = thing{name: f.Text("name"), list: f.Texts("list"), number: f.Number("number"), yes: f.YesNo("yes"), maybe: f.Maybe("maybe")}
		x.inner = List(f, "inner", func(f *Map) int { return f.Optional("n", 7) })
		if f.Has("sub") {
			f.Sub("sub", func(f *Map) { x.sub = f.Text("a") })
		}
		if x.number == 99 {
			f.Fail("number", "is too large")
		}
	})
	return x, err
}

const good = `name: "é"
list: [a, "1"]
number: 12
yes: true
inner:
  - n: 3
  - {}
sub: { a: b }
`

func TestRead(t *testing.T) {
	x, err := read(good)
	if want := (thing{"é", []string{"a", "1"}, 12, true, "", []int{3, 7}, "b"}); err != nil || !reflect.DeepEqual(x, want) {
		t.Errorf("%+v, %v", x, err)
	}
	// Decomposed letters come as composed ones: two files that look alike are alike.
	if y, err := read(strings.Replace(good, "é", "e\u0301", 1)); err != nil || y.name != x.name {
		t.Errorf("%q, %v", y.name, err)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ from, to, want string }{
		"nothing":              {good, "", "it is empty"},
		"only a comment":       {good, "# nothing", "it is empty"},
		"two documents":        {good, good + "---\n" + good, "more than one document"},
		"a list":               {good, "- a", `line 1: thing is not a list of "field: value"`},
		"too large":            {good, "# " + strings.Repeat("x", 1000), "at most 1000 are allowed"},
		"no YAML":              {good, "a: [", "yaml"},
		"unknown":              {"yes: true", "yes: true\nno: true", `line 5: thing: "no": unknown field`},
		"unknown inside":       {"- n: 3", "- m: 3", `inner: "m": unknown field`},
		"unknown below":        {"{ a: b }", "{ a: b, c: d }", `sub: "c": unknown field`},
		"twice":                {"number: 12", "number: 12\nnumber: 13", `"number" stands twice`},
		"missing text":         {"name: \"é\"\n", "", "name: is missing"},
		"missing yes":          {"yes: true\n", "", "yes: is missing"},
		"octal":                {"12", "012", "plain decimal"},
		"hexadecimal":          {"12", "0x12", "plain decimal"},
		"with a line":          {"12", "1_2", "plain decimal"},
		"sexagesimal":          {"12", "1:30", "plain decimal"},
		"quoted number":        {"12", `"12"`, "plain decimal"},
		"negative":             {"12", "-1", "plain decimal"},
		"too large a number":   {"12", "2147483648", "plain decimal"},
		"the reader's own":     {"12", "99", "line 3: thing: number: is too large"},
		"yes as a word":        {"yes: true", "yes: on", "neither true nor false"},
		"text that is a bool":  {`"é"`, "yes", "put it in quotes"},
		"text in sixties":      {`"é"`, "1:30:00", "put it in quotes"},
		"OFF":                  {"[a, \"1\"]", "[a, OFF]", "put it in quotes"},
		"text that is a float": {`"é"`, "1.5", "put it in quotes"},
		"text that is null":    {`"é"`, "~", "put it in quotes"},
		"text that is a date":  {`"é"`, "2026-01-01", "put it in quotes"},
		"text that is a list":  {`"é"`, "[a]", "is not one text"},
		"text of two lines":    {`"é"`, `"a\nb"`, "more than one line"},
		"number in a list":     {"[a, \"1\"]", "[a, 1]", "put it in quotes"},
		"no list":              {"[a, \"1\"]", "a", "is not a list"},
		"no list of things":    {"inner:\n  - n: 3\n  - {}", "inner: a", "is not a list"},
		"list of texts":        {"- n: 3", "- a", "is not a list of"},
		"an anchor":            {`"é"`, "&x e", "anchors"},
		"an alias":             {"[a, \"1\"]", "[&x a, *x]", "anchors"},
		"a tag":                {`"é"`, "!!binary e", "tags"},
		"a block":              {`"é"`, "|\n  e", "block texts"},
		"a folded one":         {`"é"`, ">\n  e", "block texts"},
		"merged":               {"- n: 3", "- <<: { n: 3 }", "plain text"},
		"a number as a name":   {"yes: true", "yes: true\n1: true", "plain text"},
		"deep":                 {"{ a: b }", strings.Repeat("{ a: ", 9) + "b" + strings.Repeat(" }", 9), "nested too deep"},
	} {
		file := strings.Replace(good, c.from, c.to, 1)
		if c.from == good {
			file = c.to
		}
		if file == good {
			t.Fatalf("%s changes nothing", name)
		}
		if x, err := read(file); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %+v, %v, want %q", name, x, err, c.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(good))
	f.Fuzz(func(t *testing.T, file []byte) {
		x, err := read(string(file))
		if err == nil && (strings.ContainsAny(x.name, "\r\n") || x.number < 0) {
			t.Error(fmt.Sprintf("%+v", x))
		}
	})
}
