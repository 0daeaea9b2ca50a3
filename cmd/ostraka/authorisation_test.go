package main

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

const module = "github.com/ostraka/ostraka/"

// reach finds which routes a function may call: it reads the sources of the program and of client, and follows every function that is named in a
// body, and every method of that name where an interface's is. What a function is handed as a value is not followed.
type reach struct {
	t      *testing.T
	fset   *token.FileSet
	export map[string]string          // package → file with its types
	calls  map[string]map[string]bool // function → those that it names
	lits   map[string]map[string]bool // folder/file:line of a function literal → those that it names
	impls  map[string][]string        // method's name → methods of our own types
}

func newReach(t *testing.T) *reach {
	t.Helper()
	r := &reach{t: t, fset: token.NewFileSet(), export: map[string]string{}, calls: map[string]map[string]bool{}, lits: map[string]map[string]bool{}, impls: map[string][]string{}}
	out, err := exec.Command("go", "list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}", ".").Output()
	if err != nil {
		t.Fatalf("list packages: %v", err)
	}
	for line := range strings.Lines(string(out)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		r.export[path] = file
	}
	for path := range r.export {
		if path == module+"client" || path == module+"cmd/ostraka" || strings.HasPrefix(path, module+"cmd/ostraka/") {
			r.read(path)
		}
	}
	return r
}

func (r *reach) open(path string) (io.ReadCloser, error) { return os.Open(r.export[path]) }

func (r *reach) read(path string) {
	r.t.Helper()
	dir := filepath.Join("../..", strings.TrimPrefix(path, module))
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(names) == 0 {
		r.t.Fatalf("%s: %v", dir, err)
	}
	var files []*ast.File
	for _, name := range names {
		if ours, err := build.Default.MatchFile(dir, filepath.Base(name)); err != nil || !ours || strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(r.fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			r.t.Fatal(err)
		}
		files = append(files, f)
	}
	info := &types.Info{Uses: map[*ast.Ident]types.Object{}, Defs: map[*ast.Ident]types.Object{}}
	if _, err := (&types.Config{Importer: importer.ForCompiler(r.fset, "gc", r.open)}).Check(path, r.fset, files, info); err != nil {
		r.t.Fatalf("%s: %v", dir, err)
	}
	for _, f := range files {
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Body != nil {
				r.declared(info, fn)
			}
		}
	}
}

func (r *reach) declared(info *types.Info, fn *ast.FuncDecl) {
	f := info.Defs[fn.Name].(*types.Func)
	name := f.FullName()
	r.calls[name] = named(info, fn.Body)
	if fn.Recv != nil {
		r.impls[f.Name()] = append(r.impls[f.Name()], name)
	}
	ast.Inspect(fn.Body, func(n ast.Node) bool {
		if lit, ok := n.(*ast.FuncLit); ok {
			at := r.fset.Position(lit.Pos())
			r.lits[standing(at.Filename, at.Line)] = named(info, lit.Body)
		}
		return true
	})
}

// standing names a place with its folder: files of two folders have one name.
func standing(file string, line int) string {
	return fmt.Sprintf("%s/%s:%d", filepath.Base(filepath.Dir(file)), filepath.Base(file), line)
}

// named lists the functions that a body names; a method of an interface with a "~" before it.
func named(info *types.Info, body ast.Node) map[string]bool {
	all := map[string]bool{}
	ast.Inspect(body, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		if !ok {
			return true
		}
		if f, ok := info.Uses[id].(*types.Func); ok && f.Pkg() != nil && strings.HasPrefix(f.Pkg().Path()+"/", module) {
			name := f.Origin().FullName()
			if recv := f.Signature().Recv(); recv != nil && types.IsInterface(recv.Type()) {
				name = "~" + name
			}
			all[name] = true
		}
		return true
	})
	return all
}

// routes are those that a set of functions leads to.
func (r *reach) routes(from map[string]bool) []string {
	found, seen, todo := map[string]bool{}, map[string]bool{}, slices.Collect(maps.Keys(from))
	for len(todo) > 0 {
		name := todo[0]
		todo = todo[1:]
		if seen[name] {
			continue
		}
		seen[name] = true
		method := name[strings.LastIndex(name, ".")+1:]
		for _, service := range []string{"People", "Operator"} {
			if strings.HasSuffix(name, "ostrakav1connect."+service+"Client)."+method) {
				found[service+"."+method] = true
			}
		}
		if strings.HasPrefix(name, "~"+"("+module+"client.") {
			todo = append(todo, r.impls[method]...)
		}
		todo = append(todo, slices.Collect(maps.Keys(r.calls[name]))...)
	}
	return slices.Sorted(maps.Keys(found))
}

// of finds a command's routes, by where the function that it runs stands.
func (r *reach) of(c *cobra.Command) []string {
	f := runtime.FuncForPC(reflect.ValueOf(c.RunE).Pointer())
	file, line := f.FileLine(f.Entry())
	at := standing(file, line)
	if body, ok := r.lits[at]; ok {
		return r.routes(body)
	}
	if name, method := strings.CutSuffix(f.Name(), "-fm"); method { // of a method as a value: "main.(*app).version-fm"
		for known, body := range r.calls {
			if strings.HasSuffix(known, name[strings.LastIndex(name, "."):]) && strings.Contains(known, "cmd/ostraka.app") {
				return r.routes(body)
			}
		}
	}
	r.t.Errorf("%s: what it runs is not found at %s (%s)", c.CommandPath(), at, f.Name())
	return nil
}

// leaves are the commands that do something.
func leaves(c *cobra.Command) (all []*cobra.Command) {
	if !c.HasSubCommands() && c.RunE != nil {
		return []*cobra.Command{c}
	}
	for _, sub := range c.Commands() {
		all = append(all, leaves(sub)...)
	}
	return all
}

// filesAlone stands where a command asks no node.
const filesAlone = "files alone"

// Every command has a row in spec/authorisation.md with the routes that its code leads to.
func TestCommandsNameTheirRoutes(t *testing.T) {
	raw, err := os.ReadFile("../../spec/authorisation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(raw), "\n## 8. Commands\n")
	said := map[string]string{}
	for line := range strings.Lines(text) {
		if cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"); len(cells) == 2 && strings.HasPrefix(cells[0], " `") {
			said[strings.Trim(cells[0], " `")] = strings.TrimSpace(cells[1])
		}
	}
	r := newReach(t)
	asking := 0
	for _, c := range leaves((&app{out: io.Discard, err: io.Discard}).root()) {
		name := strings.TrimPrefix(c.CommandPath(), "ostraka ")
		got := filesAlone
		if routes := r.of(c); len(routes) > 0 {
			got = strings.Join(routes, ", ")
			asking++
		}
		if want, ok := said[name]; !ok {
			t.Errorf("spec/authorisation.md has no row for `%s`: | `%s` | %s |", name, name, got)
		} else if want != got {
			t.Errorf("`%s` leads to %s; spec/authorisation.md says %s", name, got, want)
		}
		delete(said, name)
	}
	for name := range said {
		t.Errorf("spec/authorisation.md names the command `%s`, which does not exist", name)
	}
	if asking < 30 {
		t.Errorf("only %d commands are found to ask a node", asking)
	}
}
