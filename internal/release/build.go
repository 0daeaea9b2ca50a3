package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/evidence/release"
	"github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/link"
)

// Files of a release's folder that the release does not list, since they say what it is.
const (
	noteFile = "release.note"
	sumsFile = "SHA256SUMS"
	billEnd  = ".cdx.json" // of a program's bill of materials
)

// Where internal/wasmbuild puts the verifier for browsers, and its name there and in the release.
const (
	wasmDist = "console/wasm/dist"
	wasmFile = "verify.wasm.gz"
)

// A job builds one release.
type job struct {
	recipe
	platforms []platform
	out       string // folder of releases
	log       io.Writer
}

// build makes the release's folder. It appears at once and whole, and never in the place of another: a release that is
// there may be signed.
func (j job) build(ctx context.Context) (dir string, r release.Release, err error) {
	if j.root == "" {
		if j.root, err = source(ctx); err != nil {
			return "", r, err
		}
	}
	if j.version, j.commit, err = identify(ctx, j.root, j.version, j.commit); err != nil {
		return "", r, err
	}
	commit, err := hex.DecodeString(j.commit)
	if err != nil {
		return "", r, fmt.Errorf("commit %.80q is not git's full name of one", j.commit)
	}
	dir = filepath.Join(j.out, j.version)
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return "", r, fmt.Errorf("%s is there already, and may be signed: move it away, or delete it, to build it again", dir)
	}
	if err := os.MkdirAll(j.out, 0o755); err != nil {
		return "", r, err
	}
	tmp, err := os.MkdirTemp(j.out, ".building-")
	if err != nil {
		return "", r, err
	}
	defer os.RemoveAll(tmp)
	if tmp, err = filepath.Abs(tmp); err != nil {
		return "", r, err
	}
	r = release.Release{Version: j.version, Commit: commit, Go: j.toolchain, Link: link.Versions(), Session: []uint64{session.Version}}
	if r.Files, err = j.programs(ctx, tmp); err != nil {
		return "", r, err
	}
	s, err := r.Statement()
	if err != nil {
		return "", r, err
	}
	for name, content := range map[string][]byte{sumsFile: r.Sums(), noteFile: s.Bytes()} {
		if err := os.WriteFile(filepath.Join(tmp, name), content, 0o644); err != nil {
			return "", r, err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return "", r, err
	}
	return dir, r, os.Rename(tmp, dir)
}

// programs makes every command for every platform, each with its bill of materials.
func (j job) programs(ctx context.Context, dir string) ([]release.File, error) {
	if err := j.verifier(ctx); err != nil {
		return nil, err
	}
	commands, err := j.commands(ctx)
	if err != nil {
		return nil, err
	}
	all, err := j.browsers(dir)
	if err != nil {
		return nil, err
	}
	for _, p := range j.platforms {
		for _, pkg := range commands {
			name := path.Base(pkg) + "-" + p.os + "-" + p.arch
			fmt.Fprintf(j.log, "building %s\n", name)
			at := filepath.Join(dir, name)
			if err := j.compile(ctx, p, pkg, at); err != nil {
				return nil, err
			}
			program, err := os.ReadFile(at)
			if err != nil {
				return nil, err
			}
			info, err := j.inspect(program, p)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			bill, err := billOf(info, j.version, sha256.Sum256(program))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			if err := errors.Join(os.Chmod(at, 0o755), os.WriteFile(at+billEnd, bill, 0o644)); err != nil {
				return nil, err
			}
			all = append(all, file(name, p.String(), program), file(name+billEnd, "", bill))
		}
	}
	slices.SortFunc(all, func(a, b release.File) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// verifier makes the one for browsers, where the build tag finds it.
func (j job) verifier(ctx context.Context) error {
	if !j.embeds() {
		return nil // a program that embeds the verifier is not built without it
	}
	fmt.Fprintln(j.log, "building the verifier for browsers")
	cmd, err := j.tool(ctx, platform{runtime.GOOS, runtime.GOARCH}, "run", "./internal/wasmbuild/make")
	if err == nil {
		_, err = output(cmd)
	}
	if err != nil {
		return fmt.Errorf("build the verifier for browsers: %w", err)
	}
	return nil
}

// browsers is the verifier for browsers among the release's files, so that whoever is shown one by a page can compare it.
func (j job) browsers(dir string) ([]release.File, error) {
	content, err := os.ReadFile(filepath.Join(j.root, filepath.FromSlash(wasmDist), wasmFile))
	if errors.Is(err, fs.ErrNotExist) && !j.embeds() {
		return nil, nil
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, wasmFile), content, 0o644)
	}
	return []release.File{file(wasmFile, "", content)}, err
}

// embeds says whether the source has a verifier for browsers: tests' own small ones have none.
func (j job) embeds() bool {
	_, err := os.Stat(filepath.Join(j.root, "internal", "wasmbuild"))
	return err == nil
}

func file(name, platform string, content []byte) release.File {
	return release.File{Name: name, Platform: platform, SHA256: sha256.Sum256(content), Bytes: uint64(len(content))}
}

// inspect reads what a program says of how it was built, and refuses what does not follow from the recipe.
func (j job) inspect(program []byte, p platform) (*debug.BuildInfo, error) {
	info, err := buildinfo.Read(bytes.NewReader(program))
	if err != nil {
		return nil, fmt.Errorf("read its build information: %w", err)
	}
	if info.GoVersion != j.toolchain && j.toolchain != local {
		return nil, fmt.Errorf("it was made with %s, releases are made with %s", info.GoVersion, j.toolchain)
	}
	said := map[string]string{}
	for _, s := range info.Settings {
		if strings.HasPrefix(s.Key, "vcs") {
			return nil, fmt.Errorf("it carries git's stamp %s, which a copy of the source has not", s.Key)
		}
		said[s.Key] = s.Value
	}
	for key, want := range map[string]string{"GOOS": p.os, "GOARCH": p.arch, "CGO_ENABLED": "0", "-trimpath": "true", "-tags": tags} {
		if said[key] != want {
			return nil, fmt.Errorf("it was built with %s=%q, the recipe says %q", key, said[key], want)
		}
	}
	// The linker passes over a variable that is not there.
	if !bytes.Contains(program, []byte(j.version)) || !bytes.Contains(program, []byte(j.commit)) {
		return nil, fmt.Errorf("it does not carry its version %s and commit: has %s lost the variables of the recipe?", j.version, stamps)
	}
	return info, nil
}
