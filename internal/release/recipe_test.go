package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/evidence/release"
	"github.com/ostraka/ostraka/internal/wasmbuild"
)

const someCommit = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00"

// The flags and the environment that spec/release 3 fixes, whatever stands in the environment of who builds.
func TestRecipe(t *testing.T) {
	r := recipe{root: "/src", toolchain: toolchain, version: "v0.5.0", commit: someCommit}
	want := []string{
		"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags",
		"-s -w -buildid= -X github.com/ostraka/ostraka/internal/stamp.release=v0.5.0 -X github.com/ostraka/ostraka/internal/stamp.commit=" + someCommit, "-tags", "embed_wasm",
	}
	if got := r.flags(); !slices.Equal(got, want) {
		t.Errorf("flags are\n%q, want\n%q", got, want)
	}
	hostile := []string{
		"PATH=/bin", "GOFLAGS=-tags=failpoint -race", "GOAMD64=v4", "GOARM64=v9.0", "GOTOOLCHAIN=auto", "GOEXPERIMENT=jsonv2", "GODEBUG=x=1", "GOENV=/etc/go", "GOWORK=/w",
		"GOROOT=/go", "CGO_ENABLED=1", "CGO_CFLAGS=-O0", "GOFIPS140=latest", "GOCACHE=/c", "GOOS=plan9", "GOCACHEPROG=/bin/other", "GO_EXTLINK_ENABLED=1",
	}
	got := r.environment(platform{"linux", "arm64"}, hostile, map[string]string{"GOCACHE": "/cache", "GOPROXY": "off", "GOTMPDIR": ""})
	wantEnv := []string{
		"PATH=/bin", "GOPROXY=off", "GOCACHE=/cache", "GOOS=linux", "GOARCH=arm64", "GOAMD64=v1", "GOARM64=v8.0", "CGO_ENABLED=0", "GOTOOLCHAIN=" + toolchain,
		"GOENV=off", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GODEBUG=", "GOFIPS140=off", "GO111MODULE=on",
	}
	if !slices.Equal(got, wantEnv) {
		t.Errorf("environment is\n%q, want\n%q", got, wantEnv)
	}
	spec, err := os.ReadFile("../../spec/release.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range append(r.pinned(platform{"OS", "ARCH"}), "-trimpath -buildvcs=false -mod=readonly") {
		if !strings.Contains(string(spec), part) {
			t.Errorf("spec/release.md does not say %s", part)
		}
	}
}

// tiny is a source of a few lines with the recipe's names in it.
func tiny(t *testing.T, dir string) string {
	t.Helper()
	for name, content := range map[string]string{
		"go.mod":                  "module github.com/ostraka/ostraka\n\ngo 1.26.0\n",
		"internal/stamp/stamp.go": "package stamp\n\nvar release, commit string\n\nfunc Version() string { return release + \" \" + commit }\n",
		"cmd/tiny/main.go":        "package main\n\nimport \"github.com/ostraka/ostraka/internal/stamp\"\n\nfunc main() { println(stamp.Version()) }\n",
		"cmd/room/room.go":        "package room // no program\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A small program is made twice: in two folders, one with an empty cache and in a hostile environment. All of the release is
// the same, to the byte. The whole program: TestSameBytes.
func TestSmallRelease(t *testing.T) {
	here := platform{runtime.GOOS, runtime.GOARCH}
	build := func(dir string) (string, release.Release) {
		j := job{recipe: recipe{root: tiny(t, dir), toolchain: local, version: "v1.2.3", commit: someCommit}, platforms: []platform{here}, out: filepath.Join(dir, "dist"), log: io.Discard}
		out, r, err := j.build(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := j.build(t.Context()); err == nil || !strings.Contains(err.Error(), "is there already") {
			t.Errorf("a release took the place of another: %v", err)
		}
		return out, r
	}
	first, r := build(t.TempDir())
	config := filepath.Join(t.TempDir(), "go.env")
	if err := os.WriteFile(config, []byte("GOAMD64=v3\nGOFLAGS=-tags=failpoint\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"GOCACHE": t.TempDir(), "GOENV": config, "CGO_ENABLED": "1", "GOARM64": "v9.0", "GODEBUG": "madvdontneed=1"} {
		t.Setenv(name, value)
	}
	second, _ := build(filepath.Join(t.TempDir(), "a folder with a much longer name"))
	same(t, first, second)
	if len(r.Files) != 2 || r.Files[0].Name != "tiny-"+here.os+"-"+here.arch {
		t.Errorf("its files are %+v", r.Files)
	}
	said, err := exec.Command(filepath.Join(first, r.Files[0].Name)).CombinedOutput()
	if err != nil || string(said) != "v1.2.3 "+someCommit+"\n" {
		t.Errorf("%q, %v", said, err)
	}
	if info, err := os.Stat(filepath.Join(first, r.Files[0].Name)); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// The verifier for browsers is among the release's files, and no program of it.
func TestVerifierIsListed(t *testing.T) {
	if wasmDist != wasmbuild.Dist || wasmFile != wasmbuild.Program {
		t.Fatalf("it is looked for at %s/%s, and made at %s/%s", wasmDist, wasmFile, wasmbuild.Dist, wasmbuild.Program)
	}
	dir := tiny(t, t.TempDir())
	make := filepath.Join(dir, "internal", "wasmbuild", "make")
	if err := os.MkdirAll(make, 0o755); err != nil {
		t.Fatal(err)
	}
	text := "package main\n\nimport \"os\"\n\nfunc main() {\n\tos.MkdirAll(\"console/wasm/dist\", 0o755)\n\tos.WriteFile(\"console/wasm/dist/verify.wasm.gz\", []byte(\"packed\"), 0o644)\n}\n"
	if err := os.WriteFile(filepath.Join(make, "main.go"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	here := platform{runtime.GOOS, runtime.GOARCH}
	j := job{recipe: recipe{root: dir, toolchain: local, version: "v1.2.3", commit: someCommit}, platforms: []platform{here}, out: filepath.Join(dir, "dist"), log: io.Discard}
	out, r, err := j.build(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Files[len(r.Files)-1]; len(r.Files) != 3 || f != file(wasmFile, "", []byte("packed")) {
		t.Errorf("its files are %+v", r.Files)
	}
	if all := contents(t, out); !strings.Contains(all[sumsFile], "  "+wasmFile+"\n") || all[wasmFile] != "packed" {
		t.Errorf("SHA256SUMS: %s", all[sumsFile])
	}
}

// same holds two folders against each other, and wants something in them.
func same(t *testing.T, a, b string) {
	t.Helper()
	x, y := contents(t, a), contents(t, b)
	if len(x) < 4 || len(x) != len(y) {
		t.Errorf("%d files and %d", len(x), len(y))
	}
	for name := range x {
		if x[name] != y[name] {
			t.Errorf("%s differs between %s (%d bytes) and %s (%d bytes)", name, a, len(x[name]), b, len(y[name]))
		}
	}
}

func contents(t *testing.T, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(b)
	}
	return all
}

func TestChoose(t *testing.T) {
	if all, err := choose(""); err != nil || len(all) != 4 {
		t.Errorf("%v, %v", all, err)
	}
	if all, err := choose("linux/arm64,darwin/arm64"); err != nil || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
	for _, bad := range []string{"linux", "linux/amd64,", "plan9/386", "linux/amd64,linux/amd64"} {
		if all, err := choose(bad); err == nil {
			t.Errorf("%q: %v", bad, all)
		}
	}
}

// What git says of a source, and what must be said where it says nothing.
func TestIdentify(t *testing.T) {
	ctx := context.Background()
	dir := tiny(t, t.TempDir())
	if _, _, err := identify(ctx, dir, "v1.0.0", ""); err == nil || !strings.Contains(err.Error(), "no git clone") {
		t.Errorf("no clone, no commit: %v", err)
	}
	if v, c, err := identify(ctx, dir, "v1.0.0", someCommit); err != nil || v != "v1.0.0" || c != someCommit {
		t.Errorf("%s, %s, %v", v, c, err)
	}
	must := func(args ...string) string {
		t.Helper()
		out, err := git(ctx, dir, append([]string{"-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	must("init", "-q")
	must("add", ".")
	must("commit", "-q", "-m", "first")
	head := must("rev-parse", "HEAD")
	check := func(name, version, commit, wantVersion, wantError string) {
		t.Helper()
		v, c, err := identify(ctx, dir, version, commit)
		if wantError != "" {
			if err == nil || !strings.Contains(err.Error(), wantError) {
				t.Errorf("%s: %v", name, err)
			}
			return
		}
		if err != nil || v != wantVersion || c != head {
			t.Errorf("%s: %s, %s, %v", name, v, c, err)
		}
	}
	check("no tag", "", "", "v0.0.0-g"+head[:12], "")
	check("a version of one's own", "v0.5.0", head, "v0.5.0", "")
	check("another commit", "", someCommit, "", "check that one out")
	must("tag", "v0.5.0")
	check("at a tag", "", "", "v0.5.0", "")
	if err := os.WriteFile(filepath.Join(dir, "internal", "stamp", "more.go"), []byte("package stamp\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	check("a file more", "", "", "v0.5.0-dirty", "")
	check("a file more, as a release", "v0.5.0", "", "", "differs from commit")
	must("add", ".")
	must("commit", "-q", "-m", "second")
	head = must("rev-parse", "HEAD")
	check("after a tag", "", "", "v0.5.0-1-g"+head[:12], "")
	if _, _, err := identify(ctx, filepath.Join(dir, "internal", "stamp"), "", ""); err == nil || !strings.Contains(err.Error(), "no git clone") {
		t.Errorf("a folder within a clone: %v", err)
	}
}

// What was not built by the recipe is not released.
func TestInspect(t *testing.T) {
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(own)
	if err != nil {
		t.Fatal(err)
	}
	j := job{recipe: recipe{toolchain: "go1.0"}}
	if _, err := j.inspect(program, platform{runtime.GOOS, runtime.GOARCH}); err == nil || !strings.Contains(err.Error(), "releases are made with go1.0") {
		t.Errorf("another toolchain: %v", err)
	}
	j.toolchain = local
	if _, err := j.inspect(program, platform{runtime.GOOS, runtime.GOARCH}); err == nil || !strings.Contains(err.Error(), "the recipe says") {
		t.Errorf("built without -trimpath: %v", err)
	}
	small := filepath.Join(t.TempDir(), "small")
	r := recipe{root: tiny(t, t.TempDir()), toolchain: local, version: "v1.2.3", commit: someCommit}
	if err := r.compile(t.Context(), platform{runtime.GOOS, runtime.GOARCH}, "./cmd/tiny", small); err != nil {
		t.Fatal(err)
	}
	if program, err = os.ReadFile(small); err != nil {
		t.Fatal(err)
	}
	j.version, j.commit = "v1.2.3", strings.Repeat("0badc0de", 5)
	if _, err := j.inspect(program, platform{runtime.GOOS, runtime.GOARCH}); err == nil || !strings.Contains(err.Error(), "does not carry its version") {
		t.Errorf("the linker wrote another commit: %v", err)
	}
	if _, err := j.inspect([]byte("no program"), platforms[0]); err == nil {
		t.Error("what is no program was inspected")
	}
}

// Every program of a release says what it is, as the linker wrote it: the linker leaves out what a program never reads.
func TestEveryProgramSaysWhatItIs(t *testing.T) {
	ctx := t.Context()
	root, err := source(ctx)
	if err != nil {
		t.Fatal(err)
	}
	programs, err := recipe{root: root, toolchain: local}.commands(ctx)
	if err != nil || len(programs) < 3 {
		t.Fatalf("%v, %v", programs, err)
	}
	stamped := fmt.Sprintf("-X %s.release=v1.2.3 -X %s.commit=%s", stamps, stamps, someCommit)
	dir := t.TempDir()
	build := exec.CommandContext(ctx, "go", append([]string{"build", "-ldflags", stamped, "-o", dir + "/"}, programs...)...)
	build.Dir = root
	if _, err := output(build); err != nil {
		t.Fatal(err)
	}
	for _, p := range programs {
		said, err := exec.CommandContext(ctx, filepath.Join(dir, filepath.Base(p)), "--version").Output()
		if err != nil || !strings.Contains(string(said), "v1.2.3 (") || !strings.Contains(string(said), someCommit) {
			t.Errorf("%s says that it is %q, %v", p, said, err)
		}
	}
}
