package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	// toolchain makes releases. Another one makes other bytes, so it is named here and not by who builds: a newer one is a
	// commit. Go fetches it, checked by the checksum database, where it is not the one installed.
	toolchain = "go1.26.8"

	// tags are build tags of a release: it carries the verifier for browsers, which is built first, by the same toolchain.
	tags = "embed_wasm"

	local = "local" // for tests: the toolchain that is installed

	stamps = "github.com/ostraka/ostraka/internal/stamp" // the package whose variables say what was built
)

// A platform is what a program runs on.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// platforms of a release.
var platforms = []platform{{"darwin", "amd64"}, {"darwin", "arm64"}, {"linux", "amd64"}, {"linux", "arm64"}}

// A recipe makes programs of a source. What it makes follows from its fields and the source alone.
type recipe struct {
	root      string // of the source
	toolchain string
	version   string
	commit    string
}

// flags are those of go build.
func (r recipe) flags() []string {
	link := fmt.Sprintf("-s -w -buildid= -X %s.release=%s -X %s.commit=%s", stamps, r.version, stamps, r.commit)
	all := []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", link}
	if tags != "" {
		all = append(all, "-tags", tags)
	}
	return all
}

// pinned is all of Go's environment that could change the bytes.
func (r recipe) pinned(p platform) []string {
	return []string{
		"GOOS=" + p.os, "GOARCH=" + p.arch, "GOAMD64=v1", "GOARM64=v8.0", "CGO_ENABLED=0", "GOTOOLCHAIN=" + r.toolchain,
		"GOENV=off", "GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GODEBUG=", "GOFIPS140=off", "GO111MODULE=on",
	}
}

// sources is what of Go's environment stays as it is: where modules and the toolchain come from, and where they are kept.
// go.sum and the checksum database hold all of it to known hashes.
var sources = []string{
	"GOPROXY", "GONOPROXY", "GOSUMDB", "GONOSUMDB", "GOPRIVATE", "GOINSECURE", "GOVCS", "GOAUTH", "GOPATH", "GOMODCACHE", "GOCACHE", "GOTMPDIR",
}

// environment is that of go build: what is inherited without anything of Go's, what sources says, what is pinned.
func (r recipe) environment(p platform, inherited []string, kept map[string]string) []string {
	var all []string
	for _, v := range inherited {
		if !strings.HasPrefix(v, "GO") && !strings.HasPrefix(v, "CGO_") {
			all = append(all, v)
		}
	}
	for _, name := range sources {
		if kept[name] != "" {
			all = append(all, name+"="+kept[name])
		}
	}
	return append(all, r.pinned(p)...)
}

// tool is a go command under the recipe.
func (r recipe) tool(ctx context.Context, p platform, args ...string) (*exec.Cmd, error) {
	kept, err := settings(ctx, r.root)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir, cmd.Env = r.root, r.environment(p, os.Environ(), kept)
	return cmd, nil
}

// settings are Go's own here, whether of the environment or of its file.
func settings(ctx context.Context, dir string) (map[string]string, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"env", "-json", "GOMOD"}, sources...)...)
	cmd.Dir = dir
	text, err := output(cmd)
	if err != nil {
		return nil, err
	}
	kept := map[string]string{}
	return kept, json.Unmarshal([]byte(text), &kept)
}

// compile makes one program.
func (r recipe) compile(ctx context.Context, p platform, pkg, path string) error {
	cmd, err := r.tool(ctx, p, slices.Concat([]string{"build"}, r.flags(), []string{"-o", path, pkg})...)
	if err != nil {
		return err
	}
	_, err = output(cmd)
	return err
}

// commands are the packages below cmd that are programs.
func (r recipe) commands(ctx context.Context) ([]string, error) {
	cmd, err := r.tool(ctx, platforms[0], "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{end}}`, "./cmd/...")
	if err != nil {
		return nil, err
	}
	text, err := output(cmd)
	if err != nil {
		return nil, err
	}
	// ostraka-hsm loads tokens' libraries, which are C: it is built where they are, by their C compiler, and is no part of a release.
	all := slices.DeleteFunc(strings.Fields(text), func(pkg string) bool { return strings.HasSuffix(pkg, "/cmd/ostraka-hsm") })
	if len(all) == 0 {
		return nil, fmt.Errorf("%s has no command below cmd", r.root)
	}
	return all, nil
}

// source finds the folder of the module that we are in.
func source(ctx context.Context) (string, error) {
	kept, err := settings(ctx, ".")
	if err != nil {
		return "", err
	}
	if filepath.Base(kept["GOMOD"]) != "go.mod" {
		return "", errors.New("this folder is in no module: run it in the source of Ostraka")
	}
	return filepath.Dir(kept["GOMOD"]), nil
}

// output runs a command; what it complains of is part of the error.
func output(cmd *exec.Cmd) (string, error) {
	var out, complaint strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(cmd.Path), strings.Join(cmd.Args[1:], " "), err, strings.TrimSpace(complaint.String()))
	}
	return out.String(), nil
}
