package arch

import (
	"go/ast"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// How node's rooms name the first part of their rows' keys, and how it reads.
var (
	kindName = regexp.MustCompile(`^([kK]ind|key)[A-Z]`)
	kindText = regexp.MustCompile(`^[a-z-]+$`)
)

// Every kind of row that a node writes stands in the table of spec/store.md, and nothing else
// does.
func TestRowsAreInTheSpec(t *testing.T) {
	spec, err := os.ReadFile(filepath.Join(root, "spec", "store.md"))
	if err != nil {
		t.Fatal(err)
	}
	code := map[string]string{} // kind → where
	for _, f := range files(t) {
		if !under(f.room, "node") || f.generated {
			continue
		}
		for name, value := range texts(f.syntax) {
			if kindName.MatchString(name) && kindText.MatchString(value) {
				code[value] = f.path
			}
		}
	}
	if len(code) == 0 {
		t.Fatal("no kinds found")
	}
	table := map[string]bool{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllSubmatch(spec, -1) {
		table[string(m[1])] = true
	}
	for kind, path := range code {
		if !table[kind] {
			t.Errorf("%s: kind %q has no row in spec/store.md", path, kind)
		}
	}
	for kind := range table {
		if code[kind] == "" {
			t.Errorf("spec/store.md: no room writes kind %q", kind)
		}
	}
}

// texts are a file's text constants, by name.
func texts(f *ast.File) map[string]string {
	out := map[string]string{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		for i, v := range spec.Values {
			if l, ok := v.(*ast.BasicLit); ok && l.Kind == token.STRING && i < len(spec.Names) {
				out[spec.Names[i].Name], _ = strconv.Unquote(l.Value)
			}
		}
		return true
	})
	return out
}
