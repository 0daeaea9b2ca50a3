package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// An event is one line of go test -json (go doc test2json).
type event struct {
	Action      string
	Package     string
	ImportPath  string // of a build
	Test        string
	Output      string
	FailedBuild string
}

// A tally counts tests over all runs of go test.
type tally struct {
	passed  int
	failed  []string // package and test
	skipped []string
	out     io.Writer
}

// ok tells whether the tests showed what they are there to show.
func (t *tally) ok() bool { return t.passed > 0 && len(t.failed) == 0 && len(t.skipped) == 0 }

// summary lists what went wrong; its last line holds the counts.
func (t *tally) summary() string {
	var b strings.Builder
	for _, name := range t.failed {
		fmt.Fprintf(&b, "FAILED  %s\n", name)
	}
	for _, name := range t.skipped {
		fmt.Fprintf(&b, "SKIPPED %s (a skipped test counts as a failure of the run)\n", name)
	}
	if t.passed == 0 {
		b.WriteString("nothing passed: no test ran\n")
	}
	fmt.Fprintf(&b, "%d passed, %d failed", t.passed, len(t.failed))
	if len(t.skipped) > 0 {
		fmt.Fprintf(&b, ", %d skipped", len(t.skipped))
	}
	return b.String() + "\n"
}

// read takes the events of one run of go test. It prints ok lines as they come, and what a
// package wrote if the package failed. One run may interleave packages, never names.
func (t *tally) read(r io.Reader) error {
	packages, builds := map[string]*progress{}, map[string]string{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			t.line(line, packages, builds)
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("read go test's events: %w", err)
		}
	}
	for name, p := range packages { // go test died
		t.close(name, p)
	}
	return nil
}

func (t *tally) line(line []byte, packages map[string]*progress, builds map[string]string) {
	var e event
	if json.Unmarshal(line, &e) != nil || e.Action == "" {
		fmt.Fprintf(t.out, "%s", line) // not an event: go test's own complaint
		return
	}
	if e.Action == "build-output" {
		builds[e.ImportPath] += e.Output
		return
	}
	if e.Package == "" {
		return
	}
	p := packages[e.Package]
	if p == nil {
		p = &progress{outputs: map[string]string{}, running: map[string]bool{}}
		packages[e.Package] = p
	}
	if !t.take(e, p, builds) {
		delete(packages, e.Package)
	}
}

// progress is what is known of one package while its tests run.
type progress struct {
	outputs map[string]string // by test; "" is the package itself
	running map[string]bool
	failed  bool
}

// take handles one event of one package; false says that the package is done.
func (t *tally) take(e event, p *progress, builds map[string]string) bool {
	top, _, isSub := strings.Cut(e.Test, "/")
	switch e.Action {
	case "output":
		p.outputs[top] += e.Output
	case "run":
		if !isSub {
			p.running[top] = true
		}
	case "pass", "fail", "skip":
		switch {
		case e.Test == "":
			t.finish(e, p, builds)
			return false
		case e.Action == "skip": // at any depth
			t.skipped = append(t.skipped, e.Package+" "+e.Test)
			if !isSub {
				delete(p.running, top)
			}
		case !isSub:
			t.count(e.Action, e.Package, top, p)
		}
	}
	return true
}

// count records one top-level test's end.
func (t *tally) count(action, pkg, test string, p *progress) {
	delete(p.running, test)
	if action == "pass" {
		t.passed++
		delete(p.outputs, test)
		return
	}
	p.failed = true
	t.failed = append(t.failed, pkg+" "+test)
	fmt.Fprint(t.out, p.outputs[test])
}

// finish records a package's end. A package that fails without a failed test did not build,
// panicked, or ran out of time.
func (t *tally) finish(e event, p *progress, builds map[string]string) {
	if e.Action != "fail" {
		if !strings.Contains(p.outputs[""], "[no test files]") {
			fmt.Fprint(t.out, lastLine(p.outputs[""]))
		}
		return
	}
	if e.FailedBuild != "" {
		fmt.Fprint(t.out, builds[e.FailedBuild])
	}
	t.close(e.Package, p)
}

// close counts what a package left open as failed.
func (t *tally) close(pkg string, p *progress) {
	for _, test := range slices.Sorted(maps.Keys(p.running)) {
		fmt.Fprint(t.out, p.outputs[test])
		t.failed = append(t.failed, pkg+" "+test+" (did not end)")
		p.failed = true
	}
	if !p.failed {
		t.failed = append(t.failed, pkg)
	}
	fmt.Fprint(t.out, p.outputs[""])
}

func lastLine(s string) string {
	lines := strings.SplitAfter(strings.TrimRight(s, "\n")+"\n", "\n")
	return lines[len(lines)-2]
}
