package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf8"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	t := &tally{out: os.Stdout}
	if err := run(ctx, t, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		t.failed = append(t.failed, "testrun itself: "+err.Error())
	}
	fmt.Print(t.summary())
	if !t.ok() {
		os.Exit(1)
	}
}

func run(ctx context.Context, t *tally, args []string) error {
	if len(args) == 0 {
		return errors.New("usage: testrun test|nightly|fuzz [-fuzztime 5s] [-match REGEXP]")
	}
	flags := flag.NewFlagSet("testrun", flag.ContinueOnError)
	fuzztime := flags.String("fuzztime", "5s", "time for each fuzz target")
	match := flags.String("match", "", "fuzz only targets whose package.Name matches")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*match)
	if err != nil {
		return fmt.Errorf("read -match: %w", err)
	}
	switch args[0] {
	case "test":
		return test(ctx, t, *fuzztime)
	case "nightly":
		return nightly(ctx, t, *fuzztime)
	case "fuzz":
		return fuzzAll(ctx, t, *fuzztime, pattern)
	}
	return fmt.Errorf("no such run: %q; there are test, nightly and fuzz", args[0])
}

// Tests of one package run at most this long. The longest stories set it.
const (
	testTimeout    = "30m"
	nightlyTimeout = "2h"
)

// test is what make test runs: all tests as they ship, then those that only the build tag
// failpoint has, then six fuzz targets, other ones each day.
func test(ctx context.Context, t *tally, fuzztime string) error {
	packages, err := longFirst(ctx)
	if err != nil {
		return err
	}
	atATime := strconv.Itoa(runtime.GOMAXPROCS(0) + 1) // since stories wait a good deal
	for _, some := range batches(packages) {
		if err := t.goTest(ctx, append([]string{"-timeout", testTimeout, "-p", atATime}, some...)...); err != nil {
			return err
		}
	}
	if err := t.onlyTagged(ctx, "failpoint", testTimeout); err != nil {
		return err
	}
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	return t.fuzz(ctx, fuzztime, rotate(targets, 6, time.Now().UTC().YearDay()))
}

// long are the packages that take minutes. They are begun first, since whichever is begun last is waited for alone: stories over real nodes, which wait
// for one another, beside tests that compute. A name that is missing here costs time, and nothing else.
var long = []string{"cmd/ostraka/rehearse", "test", "node", "test/kill", "custody/sos", "cmd/ostraka", "mpc/ceremony", "node/store/etcd", "console/disclosure", "sim"}

// apart is the package whose tests hold a cluster of ours to times that product.md promises, such as that the sides of a split agree within 30 s: beside tests that compute, the machine
// would fail them.
const apart = "/test/replicas"

// batches are what is tested one after the other.
func batches(packages []string) (out [][]string) {
	is := func(p string) bool { return strings.HasSuffix(p, apart) }
	rest := slices.DeleteFunc(slices.Clone(packages), is)
	out = append(out, rest)
	if i := slices.IndexFunc(packages, is); i >= 0 {
		out = append(out, packages[i:i+1])
	}
	return out
}

// longFirst is all packages, in the order in which to begin them.
func longFirst(ctx context.Context) ([]string, error) {
	out, err := output(ctx, "list", "-f", "{{.ImportPath}} {{with .Module}}{{.Path}}{{end}}", "./...")
	if err != nil {
		return nil, err
	}
	return inOrder(strings.Split(strings.TrimSpace(out), "\n")), nil
}

// inOrder sorts packages, each given with its module.
func inOrder(lines []string) (packages []string) {
	rank := map[string]int{}
	for _, line := range lines {
		pkg, module, _ := strings.Cut(line, " ")
		packages = append(packages, pkg)
		if i := slices.Index(long, strings.TrimPrefix(pkg, module+"/")); i >= 0 {
			rank[pkg] = i - len(long)
		}
	}
	slices.SortStableFunc(packages, func(a, b string) int { return cmp.Compare(rank[a], rank[b]) })
	return packages
}

// nightly is what make nightly runs: with both tags, a test that has a long form runs in it.
func nightly(ctx context.Context, t *tally, fuzztime string) error {
	if err := t.goTest(ctx, "-timeout", nightlyTimeout, "-tags", "nightly,failpoint", "./..."); err != nil {
		return err
	}
	if err := t.goTest(ctx, "-timeout", nightlyTimeout, "-race", "./node/...", "./mpc/engine/...", "./mpc/session/..."); err != nil {
		return err
	}
	return fuzzAll(ctx, t, fuzztime, regexp.MustCompile(""))
}

func fuzzAll(ctx context.Context, t *tally, fuzztime string, match *regexp.Regexp) error {
	targets, err := fuzzTargets(ctx)
	if err != nil {
		return err
	}
	targets = slices.DeleteFunc(targets, func(x target) bool { return !match.MatchString(x.pkg + "." + x.name) })
	if len(targets) == 0 {
		return errors.New("no fuzz target matches")
	}
	return t.fuzz(ctx, fuzztime, targets)
}

// goTest runs go test, never from its cache, and takes its events.
func (t *tally) goTest(ctx context.Context, args ...string) error {
	cmd := command(ctx, append([]string{"test", "-json", "-count=1", "-vet=off"}, args...)...) // make lint has vetted all of it
	cmd.Stderr, cmd.Env = os.Stderr, os.Environ()
	if os.Getenv("GOGC") == "" {
		cmd.Env = append(cmd.Env, "GOGC=400") // heaps are small and many: up to half of the time would go into collecting them
	}
	if slices.Contains(args, "-race") {
		cmd.Env = append(cmd.Env, "CGO_ENABLED=1") // the race detector is C
	}
	events, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start go test: %w", err)
	}
	before := len(t.failed)
	if err := t.read(events); err != nil {
		return err
	}
	if err := cmd.Wait(); err != nil && len(t.failed) == before {
		return fmt.Errorf("go test %s: %w", strings.Join(args, " "), err)
	}
	return ctx.Err()
}

// onlyTagged runs the tests that exist under a build tag alone.
func (t *tally) onlyTagged(ctx context.Context, tag, timeout string) error {
	plain, err := list(ctx, "Test")
	if err != nil {
		return err
	}
	tagged, err := list(ctx, "Test", "-tags", tag)
	if err != nil {
		return err
	}
	names := map[string][]string{} // by package
	for _, x := range tagged {
		if !slices.Contains(plain, x) {
			names[x.pkg] = append(names[x.pkg], x.name)
		}
	}
	for _, pkg := range slices.Sorted(maps.Keys(names)) {
		run := "^(" + strings.Join(names[pkg], "|") + ")$"
		if err := t.goTest(ctx, "-timeout", timeout, "-tags", tag, "-run", run, pkg); err != nil {
			return err
		}
	}
	return nil
}

// A target is one test or fuzz target of one package.
type target struct{ pkg, name string }

// list names the functions of all test files that begin with Test or Fuzz. It reads the sources: to ask the test binaries would link each once more.
func list(ctx context.Context, prefix string, flags ...string) ([]target, error) {
	const form = "{{.ImportPath}}\t{{.Dir}}\t{{join .TestGoFiles \"/\"}}\t{{join .XTestGoFiles \"/\"}}"
	out, err := output(ctx, slices.Concat([]string{"list", "-f", form}, flags, []string{"./..."})...)
	if err != nil {
		return nil, err
	}
	var targets []target
	for line := range strings.Lines(out) {
		part := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		for _, file := range strings.FieldsFunc(part[2]+"/"+part[3], func(r rune) bool { return r == '/' }) {
			names, err := functions(filepath.Join(part[1], file), prefix)
			if err != nil {
				return nil, err
			}
			for _, name := range names {
				targets = append(targets, target{part[0], name})
			}
		}
	}
	slices.SortFunc(targets, func(a, b target) int {
		return cmp.Or(cmp.Compare(a.pkg, b.pkg), cmp.Compare(a.name, b.name))
	})
	return targets, nil
}

// functions are those of a test file that go test would run: with the prefix, then no small letter, and one argument.
func functions(file, prefix string) (names []string, err error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("read the tests of a file: %w", err)
	}
	for _, d := range parsed.Decls {
		f, ok := d.(*ast.FuncDecl)
		if !ok || f.Recv != nil || f.Type.Params.NumFields() != 1 {
			continue
		}
		rest, ok := strings.CutPrefix(f.Name.Name, prefix)
		if first, _ := utf8.DecodeRuneInString(rest); ok && !unicode.IsLower(first) && f.Name.Name != "TestMain" {
			names = append(names, f.Name.Name)
		}
	}
	return names, nil
}

// command is go with an orderly end: on cancellation it gets an interrupt, so that its
// children, which may be nodes, end with it.
func command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 20 * time.Second
	return cmd
}

func output(ctx context.Context, args ...string) (string, error) {
	var out, complaint bytes.Buffer
	cmd := command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		_, _ = io.Copy(os.Stderr, &complaint)
		for _, e := range events(out.String()) {
			fmt.Fprint(os.Stderr, e.Output)
		}
		return "", fmt.Errorf("go %s: %w", strings.Join(args, " "), err)
	}
	return out.String(), nil
}
