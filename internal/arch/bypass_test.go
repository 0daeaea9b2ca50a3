package arch

import (
	"go/ast"
	"slices"
	"strconv"
	"testing"
)

// Files that may read the environment: where people say which key, passphrase file, contexts, members and bucket are theirs, and tools of tests; a supervisor hands
// on what is there but what stands for secrets and limits. What a node does
// stands in its settings, its charter and its log.
var mayReadEnvironment = []string{
	"client/contexts.go", "client/keys.go", "client/offsite/bucket.go", "cmd/ostraka-store/app.go", "cmd/ostraka/app.go", "cmd/ostraka/prompt.go", "cmd/ostraka/provider.go", "cmd/ostraka/rehearse/command.go",
	"internal/components/fetch/main.go", "internal/failpoint/on.go", "internal/release/recipe.go", "internal/testrun/main.go", "internal/wasmbuild/wasmbuild.go",
	"node/store/storetest/crash.go",
}

// No environment variable changes what a node does, and none of its doors shows its memory.
func TestNoSideDoors(t *testing.T) {
	read := 0
	for _, f := range files(t) {
		for _, i := range f.syntax.Imports {
			if path, _ := strconv.Unquote(i.Path.Value); path == "net/http/pprof" || path == "expvar" {
				t.Errorf("%s imports %s: it would serve the process's memory", f.path, path)
			}
		}
		ast.Inspect(f.syntax, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); !ok || x.Name != "os" && x.Name != "syscall" || !slices.Contains([]string{"Getenv", "LookupEnv", "Environ", "ExpandEnv"}, sel.Sel.Name) {
				return true
			}
			if read++; !slices.Contains(mayReadEnvironment, f.path) {
				t.Errorf("%s reads the environment: settings that nobody sees nor signs would rule", f.path)
			}
			return true
		})
	}
	if read < len(mayReadEnvironment) {
		t.Errorf("%d places read the environment, %d files may", read, len(mayReadEnvironment))
	}
}
