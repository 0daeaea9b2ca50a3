package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// every is each command of the program.
func every(c *cobra.Command, visit func(*cobra.Command)) {
	visit(c)
	for _, sub := range c.Commands() {
		every(sub, visit)
	}
}

// The help of a flag takes the first word in backquotes for the name of its value: so there are none. And --from is a time wherever it is.
func TestFlagTexts(t *testing.T) {
	every((&app{}).root(), func(c *cobra.Command) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if strings.Contains(f.Usage, "`") {
				t.Errorf("%s --%s: %s", c.CommandPath(), f.Name, f.Usage)
			}
			if f.Name == "from" && !strings.Contains(f.Usage, "2026-11-01T10:00:00Z") {
				t.Errorf("%s --from is no time: %s", c.CommandPath(), f.Usage)
			}
		})
		for _, text := range []string{c.Long, c.Example} {
			if strings.Contains(text, ":7400") {
				t.Errorf("%s names a port that nothing has: %s", c.CommandPath(), text)
			}
		}
	})
}

// Every kind of leaf can be asked for.
func TestLogKinds(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", "evidence", "tlog", "leaf.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(f, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && strings.HasPrefix(v.Names[0].Name, "Kind") && len(v.Values) == 1 {
			if l, ok := v.Values[0].(*ast.BasicLit); ok {
				text, _ := strconv.Unquote(l.Value)
				all = append(all, text)
			}
		}
		return true
	})
	slices.Sort(all)
	if got := slices.Sorted(slices.Values(logKinds)); len(all) < 20 || !slices.Equal(got, all) {
		t.Errorf("log list knows %q, and leaves are of %q", got, all)
	}
}

// A file that is not there, or is another than was meant: the error says what to do next.
func TestFilesThatAreOthers(t *testing.T) {
	dir := alone(t)
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Chdir(dir)
	for name, content := range map[string]string{
		"aud":       "-----BEGIN OPENSSH PRIVATE KEY-----\n",
		"alice.pub": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpdJhB7cXjHPdG0PUocJmob4Qe9OVGfbqobqyA9DO7i alice\n",
		"nist.pub":  "ecdsa-sha2-nistp256 AAAA x\n",
		"full/mine": "mine",
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if code, _, errs := try("context", "add", "acme", "127.0.0.1:1", "ed25519:3e97a43b5587267e4442a7e6927da5b6c9c7215651115f654ff5fbdf57335d59"); code != codeDone {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"log open --to aud", codeUsage, "aud is a private key: give aud.pub, and send nobody the other"},
		{"log open --to nist.pub", codeUsage, "such keys cannot encrypt: ssh-ed25519, ssh-rsa or age1…"},
		{"--key alice.pub tx list", codeError, "alice.pub is a public key and no ssh-agent runs: give the private key file"},
		{"log check nofile --key x", codeError, "next: check the file's name"},
		{"address verify nofile", codeError, "next: check the file's name"},
		{"log read none.age out -i alice.pub", codeUsage, "no private key"},
		{"log list --folder full", codeError, "full holds nothing that an operator opened\n  next: name the folder that `ostraka log read FILE FOLDER` wrote"},
		{"log show 1 --folder full", codeError, "holds nothing that an operator opened"},
		{"disclose publish https://127.0.0.1:1 -o alice.pub", codeUsage, "alice.pub is a file: name a folder"},
	} {
		code, out, errs := try(strings.Fields(c.args)...)
		if code != c.code || !strings.Contains(errs, c.want) || !strings.Contains(errs, "next: ") || out != "" {
			t.Errorf("%s: exit code %d, not %d: %s%s", c.args, code, c.code, out, errs)
		}
	}
}
