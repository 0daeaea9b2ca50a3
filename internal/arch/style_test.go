package arch

import (
	"go/ast"
	"slices"
	"strings"
	"testing"
)

const (
	maxFunction = 75  // lines
	maxFile     = 700 // lines
)

// A room is named by the noun it owns.
var noNames = []string{"util", "utils", "common", "helper", "helpers", "types", "pkg", "misc"}

func TestNames(t *testing.T) {
	for _, f := range files(t) {
		for _, name := range append(strings.Split(f.room, "/"), f.syntax.Name.Name) {
			if slices.Contains(noNames, name) {
				t.Errorf("%s: %q says nothing about what the room owns", f.path, name)
			}
		}
	}
}

func TestNoInit(t *testing.T) {
	for _, f := range files(t) {
		for _, d := range f.syntax.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && !f.generated && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s: init()", positions.Position(fn.Pos()))
			}
		}
	}
}

func TestLengths(t *testing.T) {
	for _, f := range files(t) {
		if f.generated {
			continue
		}
		if f.lines > maxFile {
			t.Errorf("%s has %d lines, at most %d are allowed", f.path, f.lines, maxFile)
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			switch n.(type) {
			case *ast.FuncDecl, *ast.FuncLit:
				from, to := positions.Position(n.Pos()), positions.Position(n.End())
				if lines := to.Line - from.Line + 1; lines > maxFunction {
					t.Errorf("%s: function of %d lines, at most %d are allowed", from, lines, maxFunction)
				}
			}
			return true
		})
	}
}
