// Command pack keeps the source of the release before in this repository, from which `make deps` builds the program that the story of two
// releases (test/previous_test.go) runs beside today's. It works where there is no history: in a shallow clone, in a tarball.
//
//	go run ./internal/components/pack COMMIT
//
// What it writes follows from the commit alone: whoever has the history runs it again, and finds the hash that internal/components pins.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/internal/components"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return errors.New("usage: pack COMMIT")
	}
	root, err := components.Root()
	if err != nil {
		return err
	}
	commit, err := git(ctx, root, "rev-parse", "--verify", args[0]+"^{commit}")
	if err != nil {
		return err
	}
	source, err := pack(ctx, root, strings.TrimSpace(string(commit)))
	if err != nil {
		return err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := z.Write(source); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(components.Previous.Source.Archive)), b.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("commit %s\nSHA-256 of the tar %x: put both into internal/components/components.go\n", bytes.TrimSpace(commit), sha256.Sum256(source))
	return nil
}

func git(ctx context.Context, root string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return nil, fmt.Errorf("git %s: %w", args[0], err)
	}
	return out, nil
}

// rooms hold all that the program is built from.
var rooms = []string{"crypto/", "mpc/", "custody/", "evidence/", "chain/", "node/", "api/", "client/", "console/", "cmd/", "internal/failpoint/"}

// wanted says whether a file is part of the program's source: tests and their data are not.
func wanted(name string) bool {
	if name == "go.mod" || name == "go.sum" || name == "LICENSE" {
		return true
	}
	inRoom := slices.ContainsFunc(rooms, func(r string) bool { return strings.HasPrefix(name, r) })
	return inRoom && !strings.HasSuffix(name, "_test.go") && !strings.Contains(name, "/testdata/")
}

// pack makes a tar of a commit's files: names and content, in order, and nothing else of them.
func pack(ctx context.Context, root, commit string) ([]byte, error) {
	whole, err := git(ctx, root, "archive", "--format=tar", commit)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	var names []string
	for r := tar.NewReader(bytes.NewReader(whole)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("read what git archived: %w", err)
		}
		if h.Typeflag != tar.TypeReg || !wanted(h.Name) {
			continue
		}
		if files[h.Name], err = io.ReadAll(r); err != nil {
			return nil, fmt.Errorf("read what git archived: %w", err)
		}
		names = append(names, h.Name)
	}
	slices.Sort(names)
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range names {
		if err := w.WriteHeader(&tar.Header{Format: tar.FormatUSTAR, Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(files[name]))}); err != nil {
			return nil, err
		}
		if _, err := w.Write(files[name]); err != nil {
			return nil, err
		}
	}
	return b.Bytes(), w.Close()
}
