package arch

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/ostraka/ostraka"
	root   = "../.."
)

// A file is one Go file of this module that is no test, whatever its build constraints.
type file struct {
	room      string // folder below the module, "." for the module's own
	path      string // below the module
	syntax    *ast.File
	lines     int
	generated bool
}

var positions = token.NewFileSet()

// sources parses the module once. Folders with their own go.mod are other modules.
var sources = sync.OnceValues(func() (all []file, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, nested := os.Stat(filepath.Join(path, "go.mod"))
			if path != root && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || nested == nil) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		src, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(positions, path, src, parser.ParseComments)
		if err != nil {
			return err
		}
		below, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		below = filepath.ToSlash(below)
		all = append(all, file{
			room: filepath.ToSlash(filepath.Dir(below)), path: below, syntax: syntax,
			lines: bytes.Count(src, []byte("\n")), generated: ast.IsGenerated(syntax),
		})
		return nil
	})
	return all, err
})

func files(t *testing.T) []file {
	t.Helper()
	all, err := sources()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(all, func(f file) bool { return f.room == "mpc/engine" }) {
		t.Fatalf("%d files found, none of mpc/engine: is %s the module?", len(all), root)
	}
	return all
}

// imports are what a file imports: our rooms without the module's path, others as they stand.
func (f file) imports() (ours, others []string) {
	for _, s := range f.syntax.Imports {
		p, _ := strconv.Unquote(s.Path.Value)
		if below, ok := strings.CutPrefix(p, module+"/"); ok {
			ours = append(ours, below)
		} else if p != module {
			others = append(others, p)
		}
	}
	return ours, others
}

// under reports whether a path is a folder or lies below it.
func under(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }
