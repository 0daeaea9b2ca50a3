// Command fetch fills the repository's cache with pinned real components, under
// .cache/<name>-<version>/bin, contracts in .cache/<name>-<version>/contracts. What is there already is kept.
//
//	go run ./internal/components/fetch            what make test needs
//	go run ./internal/components/fetch nightly    and what make nightly needs (builds geth: minutes)
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"github.com/ostraka/ostraka/internal/components"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "fetch:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	wanted := []components.Component{
		components.Anvil, components.Safe, components.Zodiac, components.PermitToken, components.Chromium, components.Litewitness, components.Witnesslogs, components.Btcd, components.Litesvm, components.Previous,
	}
	switch {
	case len(args) == 1 && args[0] == "nightly":
		wanted = append(append(wanted, components.TransitEngine, components.Bitcoind), components.Geth...)
	case len(args) > 0:
		return errors.New("usage: fetch [nightly]")
	}
	root, err := components.Root()
	if err != nil {
		return err
	}
	for _, c := range wanted {
		if err := ensure(ctx, root, c); err != nil {
			return fmt.Errorf("%s %s: %w", c.Name, c.Version, err)
		}
	}
	return nil
}

// ensure leaves the component in the cache. The cache's folder appears by one rename, so
// an interrupted fetch leaves nothing that looks whole.
func ensure(ctx context.Context, root string, c components.Component) error {
	if c.Complete(root) {
		return nil
	}
	if !c.Carried() {
		if _, err := c.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "note:", err)
		}
		return nil
	}
	cache := filepath.Join(root, ".cache")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	temp, err := os.MkdirTemp(cache, "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)

	started := time.Now()
	get := fromNPM
	if c.Packed.Program != "" {
		get = fromPacked
	}
	if c.Addon.Platforms != nil {
		get = fromAddon
	}
	if c.Debian.Package != "" {
		get = fromDebian
	}
	switch {
	case c.Source.Archive != "":
		get = fromSource
		fmt.Fprintf(os.Stderr, "building %s %.7s: this takes a minute, once\n", c.Name, c.Version)
	case c.Go != "":
		get = fromGo
		if c.Module != "" {
			get = fromModule
		}
		fmt.Fprintf(os.Stderr, "building %s %s: this takes minutes, once\n", c.Name, c.Version)
	}
	if len(c.Built.Files) > 0 {
		if err := fromBuilt(ctx, c, temp); err != nil {
			return err
		}
		return place(root, temp, c, time.Since(started))
	}
	bin := filepath.Join(temp, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		return err
	}
	if err := get(ctx, c, temp, bin); err != nil {
		return err
	}
	if err := verify(c, filepath.Join(bin, c.Name)); err != nil {
		return err
	}
	return place(root, temp, c, time.Since(started))
}

// place moves the finished folder to its name; another process may have been first.
func place(root, temp string, c components.Component, took time.Duration) error {
	if err := os.RemoveAll(filepath.Join(temp, "npm")); err != nil {
		return err
	}
	if c.Complete(root) {
		return nil
	}
	if err := os.RemoveAll(c.Dir(root)); err != nil { // a folder without its program, or without one of its contracts
		return err
	}
	if err := os.Rename(temp, c.Dir(root)); err != nil {
		return err
	}
	if err := os.Chmod(c.Dir(root), 0o755); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "fetched %s %s in %s\n", c.Name, c.Version, took.Round(time.Second))
	return nil
}

// fromNPM installs without running any package's scripts; npm checks the archive against
// the registry's integrity value, verify the program against ours.
func fromNPM(ctx context.Context, c components.Component, temp, bin string) error {
	if _, err := exec.LookPath("npm"); err != nil {
		return errors.New("npm is not installed: run make deps as root, or install Node.js 20 or later, and try again")
	}
	dir := filepath.Join(temp, "npm")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund",
		"--no-save", "--prefix", dir, c.NPM+"@"+c.Version)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm could not install %s@%s (%w): check the network and npm's registry setting (npm config get registry)\n%s",
			c.NPM, c.Version, err, tail(out))
	}
	program := filepath.Join(dir, "node_modules", c.NPM+"-"+components.Platform(), "bin", c.Name)
	if err := os.Rename(program, filepath.Join(bin, c.Name)); err != nil {
		return fmt.Errorf("%s@%s carries no program for %s: %w", c.NPM, c.Version, components.Platform(), err)
	}
	return nil
}

// fromGo builds with go install; the module proxy's checksum database vouches for the source.
func fromGo(ctx context.Context, c components.Component, _, bin string) error {
	cmd := exec.CommandContext(ctx, "go", "install", c.Go+"@v"+c.Version)
	cmd.Env = append(os.Environ(), "GOBIN="+bin, "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go install %s@v%s (%w): check the network and the module proxy (go env GOPROXY)\n%s",
			c.Go, c.Version, err, tail(out))
	}
	return nil
}

// fromModule builds in a module of this repository, whose go.sum vouches for the source: only the module proxy is asked.
func fromModule(ctx context.Context, c components.Component, _, bin string) error {
	root, err := components.Root()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", filepath.Join(bin, c.Name), c.Go)
	cmd.Dir = filepath.Join(root, filepath.FromSlash(c.Module))
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s in %s (%w): check the network and the module proxy (go env GOPROXY)\n%s", c.Go, c.Module, err, tail(out))
	}
	return nil
}

// fromSource builds what the repository carries packed.
func fromSource(ctx context.Context, c components.Component, temp, bin string) error {
	root, err := components.Root()
	if err != nil {
		return err
	}
	dir := filepath.Join(temp, "source")
	if err := unpack(filepath.Join(root, filepath.FromSlash(c.Source.Archive)), c.Source.SHA256, dir); err != nil {
		return fmt.Errorf("unpack %s: %w", c.Source.Archive, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false", "-o", filepath.Join(bin, c.Name), c.Source.Package)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s of commit %s (%w): check the network and the module proxy (go env GOPROXY)\n%s", c.Source.Package, c.Version, err, tail(out))
	}
	return os.RemoveAll(dir)
}

// unpack writes a tar's files into a folder that is not there yet. Nothing is written of another tar than the pinned one.
func unpack(archive, want, dir string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	whole, err := io.ReadAll(io.LimitReader(z, maxSource))
	if err != nil {
		return err
	}
	if sum := sha256.Sum256(whole); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("it has SHA-256 %x, not the pinned %s: make it again with `go run ./internal/components/pack COMMIT`", sum, want)
	}
	for r := tar.NewReader(bytes.NewReader(whole)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if !filepath.IsLocal(h.Name) || h.Typeflag != tar.TypeReg {
			return fmt.Errorf("%q is no file below the folder", h.Name)
		}
		body, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		path := filepath.Join(dir, filepath.FromSlash(h.Name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, body, 0o644); err != nil {
			return err
		}
	}
}

// maxSource bounds an unpacked source, in bytes.
const maxSource = 64 << 20

// verify compares the program with the pinned digest of this platform, where there is one.
func verify(c components.Component, path string) error {
	program, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	want, pinned := c.SHA256[components.Platform()]
	if !pinned {
		return nil
	}
	if sum := sha256.Sum256(program); hex.EncodeToString(sum[:]) != want {
		return fmt.Errorf("program has SHA-256 %x, not the pinned %s: it was not kept; do not run it, find out where it came from", sum, want)
	}
	return nil
}

// tail returns the last lines of a tool's output.
func tail(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}
