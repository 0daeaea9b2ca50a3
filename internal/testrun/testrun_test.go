package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A module with a test of every fate, run by the real go test.
var module = map[string]string{
	"go.mod": "module example.com/fates\n\ngo 1.26\n",
	"good/good_test.go": `package good
import "testing"
func TestOne(t *testing.T)  { t.Run("inner", func(*testing.T) {}) }
func TestTwo(t *testing.T)  {}
func FuzzBytes(f *testing.F) { f.Add([]byte("a")); f.Fuzz(func(*testing.T, []byte) {}) }
`,
	"good/tagged_test.go": `//go:build failpoint

package good
import "testing"
func TestTagged(t *testing.T) {}
`,
	"empty/empty.go": "package empty\n",
	"bad/bad_test.go": `package bad
import "testing"
func TestFine(t *testing.T)  {}
func TestInner(t *testing.T) { t.Run("inner", func(t *testing.T) { t.Error("the inner reason") }) }
`,
	"skips/skips_test.go": `package skips
import "testing"
func TestDeep(t *testing.T) { t.Run("inner", func(t *testing.T) { t.Skip() }) }
func TestTop(t *testing.T)  { t.Skip() }
`,
	"panics/panics_test.go": `package panics
import ("os"; "testing")
func TestExit(t *testing.T) { os.Exit(3) }
`,
	"broken/broken_test.go": `package broken
import "testing"
func TestBroken(t *testing.T) { undefinedName() }
`,
	"crash/crash_test.go": `package crash
import "testing"
func FuzzCrash(f *testing.F) { f.Fuzz(func(t *testing.T, b []byte) { if len(b) < 1000 { t.Fatal("the fuzzed reason") } }) }
`,
}

func inModule(t *testing.T) {
	dir := t.TempDir()
	for name, text := range module {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	t.Setenv("GOFLAGS", "")
}

func TestEveryFateIsCounted(t *testing.T) {
	inModule(t)
	var out bytes.Buffer
	count := &tally{out: &out}
	if err := count.goTest(context.Background(), "./good", "./empty", "./bad", "./skips", "./panics", "./broken"); err != nil {
		t.Fatal(err)
	}
	slices.Sort(count.failed)
	slices.Sort(count.skipped)
	wantFailed := []string{"example.com/fates/bad TestInner", "example.com/fates/broken", "example.com/fates/panics TestExit (did not end)"}
	if !slices.Equal(count.failed, wantFailed) {
		t.Errorf("failed %q, want %q", count.failed, wantFailed)
	}
	wantSkipped := []string{"example.com/fates/skips TestDeep/inner", "example.com/fates/skips TestTop"}
	if !slices.Equal(count.skipped, wantSkipped) {
		t.Errorf("skipped %q, want %q", count.skipped, wantSkipped)
	}
	if count.passed != 5 { // TestOne, TestTwo, FuzzBytes, TestFine, TestDeep
		t.Errorf("%d passed, want 5", count.passed)
	}
	for _, part := range []string{"ok  \texample.com/fates/good\t", "the inner reason", "undefinedName", "FAIL\texample.com/fates/panics"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("output lacks %q:\n%s", part, &out)
		}
	}
	if !strings.HasSuffix(count.summary(), "\n5 passed, 3 failed, 2 skipped\n") || count.ok() {
		t.Errorf("ok %v, summary:\n%s", count.ok(), count.summary())
	}
}

func TestTaggedTestsRunOnce(t *testing.T) {
	inModule(t)
	for _, dir := range []string{"bad", "skips", "panics", "broken", "crash"} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	count := &tally{out: io.Discard}
	if err := test(context.Background(), count, "10x"); err != nil {
		t.Fatal(err)
	}
	if got := count.summary(); got != "5 passed, 0 failed\n" || !count.ok() { // three, TestTagged, one fuzz run
		t.Errorf("ok %v, %q", count.ok(), got)
	}
}

func TestLongPackagesBeginFirst(t *testing.T) {
	got := inOrder([]string{"m.org/o m.org/o", "m.org/o/api m.org/o", "m.org/o/custody/sos m.org/o", "m.org/o/deep/test m.org/o", "m.org/o/node m.org/o", "m.org/o/test m.org/o"})
	want := []string{"m.org/o/test", "m.org/o/node", "m.org/o/custody/sos", "m.org/o", "m.org/o/api", "m.org/o/deep/test"}
	if !slices.Equal(got, want) {
		t.Errorf("begun in the order %q, want %q", got, want)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if got := batches([]string{"m.org/o/test", "m.org/o/test/replicas", "m.org/o"}); len(got) != 2 || !slices.Equal(got[0], []string{"m.org/o/test", "m.org/o"}) || !slices.Equal(got[1], []string{"m.org/o/test/replicas"}) {
		t.Errorf("tested one after the other: %q", got)
	}
	for _, name := range append(long, apart[1:]) {
		if tests, err := filepath.Glob(filepath.Join(root, name, "*_test.go")); err != nil || len(tests) == 0 {
			t.Errorf("%s has no tests: %v", name, err)
		}
	}
}

func TestFuzzFailureIsCounted(t *testing.T) {
	inModule(t)
	var out bytes.Buffer
	count := &tally{out: &out}
	err := count.fuzz(context.Background(), "1000x", []target{{"example.com/fates/crash", "FuzzCrash"}})
	if err != nil || len(count.failed) != 1 || count.passed != 0 || !strings.Contains(out.String(), "the fuzzed reason") {
		t.Errorf("%v, %q:\n%s", err, count.failed, &out)
	}
}

func TestNothingRanIsAFailure(t *testing.T) {
	for _, args := range [][]string{nil, {"dance"}, {"test", "-speed"}, {"fuzz", "-match", "("}} {
		count := &tally{out: io.Discard}
		if err := run(context.Background(), count, args); err == nil || count.ok() {
			t.Errorf("run %q: %v", args, err)
		}
	}
	count := &tally{out: io.Discard}
	if got := count.summary(); count.ok() || got != "nothing passed: no test ran\n0 passed, 0 failed\n" {
		t.Errorf("nothing ran: %q", got)
	}
}

func TestADeadRunnerLeavesFailures(t *testing.T) {
	const cut = `{"Action":"start","Package":"p"}
{"Action":"run","Package":"p","Test":"TestLong"}
not an event
{"Action":"output","Package":"p","Test":"TestLong","Output":"a last word\n"}
`
	var out bytes.Buffer
	count := &tally{out: &out}
	if err := count.read(strings.NewReader(cut)); err != nil {
		t.Fatal(err)
	}
	if want := []string{"p TestLong (did not end)"}; !slices.Equal(count.failed, want) {
		t.Errorf("failed %q, want %q", count.failed, want)
	}
	for _, part := range []string{"not an event", "a last word"} {
		if !strings.Contains(out.String(), part) {
			t.Errorf("output lacks %q: %q", part, &out)
		}
	}
}

func TestRotationReachesEveryTarget(t *testing.T) {
	for _, size := range []int{1, 5, 6, 7, 48, 55} {
		var all []target
		for i := range size {
			all = append(all, target{"p", string(rune('A' + i))})
		}
		seen := map[target]bool{}
		for day := 1; day <= (size+5)/6; day++ {
			picked := rotate(all, 6, day)
			if len(picked) != min(6, size) {
				t.Fatalf("of %d targets %d picked", size, len(picked))
			}
			for _, x := range picked {
				seen[x] = true
			}
		}
		if len(seen) != size {
			t.Errorf("%d of %d targets had their turn", len(seen), size)
		}
	}
}

func TestOnlyTheDeadlineAloneIsSpurious(t *testing.T) {
	for out, want := range map[string]bool{
		"fuzz: elapsed: 5s, execs: 1 (0/sec)\n--- FAIL: FuzzX (5.01s)\n    context deadline exceeded\nFAIL\n": true,
		"--- FAIL: FuzzX (5.01s)\n    context deadline exceeded\n    Failing input written to testdata\n":     false,
		"--- FAIL: FuzzX (5.01s)\n    fuzzing process hung or terminated unexpectedly\n":                      false,
		"context deadline exceeded\n": false,
	} {
		if isSpurious(out) != want {
			t.Errorf("spurious %v: %q", !want, out)
		}
	}
}
