package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/ostraka/ostraka/evidence/release"
)

// A check is of a release that somebody got from somewhere.
type check struct {
	maintainers string // file with their keys
	need        int
	version     string // that it must be, or empty
	out         io.Writer
}

// verify checks who signed a note, and the files: those given, by their hashes and whatever their names, or the note's whole
// folder.
func (c check) verify(path string, programs []string) error {
	list, err := os.ReadFile(c.maintainers)
	if err != nil {
		return fmt.Errorf("read the maintainers' keys: %w", err)
	}
	who, err := release.ParseMaintainers(list)
	if err != nil {
		return fmt.Errorf("%s: %w", c.maintainers, err)
	}
	if len(who.Names()) == 0 {
		return fmt.Errorf("%s lists no maintainer, so nothing can be verified by it: name another list with -maintainers", c.maintainers)
	}
	signed, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	s, err := release.Open(signed, who, c.need)
	if err != nil {
		return err
	}
	if c.version != "" && s.Version != c.version {
		return fmt.Errorf("it is release %s, not %s", s.Version, c.version)
	}
	fmt.Fprintf(c.out, "release %s of commit %x, made with %s, signed by %s\n", s.Version, s.Commit, s.Go, strings.Join(s.By, " and "))
	if len(programs) == 0 {
		if err := compare(s.Release, filepath.Dir(path)); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "all %d files beside the note are the release's\n", len(s.Files))
		return nil
	}
	for _, p := range programs {
		f, err := hash(p)
		if err != nil {
			return err
		}
		found, ok := s.Program(f.SHA256)
		if !ok {
			return fmt.Errorf("%s is an unknown program: its SHA-256 is %x, and release %s has none such", p, f.SHA256, s.Version)
		}
		fmt.Fprintf(c.out, "%s is %s, for %s\n", p, found.Name, found.Platform)
	}
	return nil
}

// compare holds a folder against a release: each file is there and as listed, and no other is.
func compare(r release.Release, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	var found []release.File
	for _, e := range entries {
		if e.Name() == noteFile || e.Name() == sumsFile {
			continue
		}
		f, err := hash(filepath.Join(dir, e.Name()))
		if err != nil {
			return err
		}
		found = append(found, f)
	}
	if err := r.Compare(found); err != nil {
		return err
	}
	sums, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		return err
	}
	if !bytes.Equal(sums, r.Sums()) {
		return fmt.Errorf("%s differs from release %s", filepath.Join(dir, sumsFile), r.Version)
	}
	return nil
}

func hash(path string) (release.File, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return release.File{}, err
	}
	return release.File{Name: filepath.Base(path), SHA256: sha256.Sum256(content), Bytes: uint64(len(content))}, nil
}
