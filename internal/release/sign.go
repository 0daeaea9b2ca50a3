package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"

	"github.com/ostraka/ostraka/evidence/release"
)

// keygen makes a maintainer's key: the private half in a file of its own, the public one on out.
func keygen(name, path string, out io.Writer) error {
	if path == "" {
		return errors.New("say with -out where the private key is to be written")
	}
	private, public, err := note.GenerateKey(rand.Reader, name)
	if err != nil {
		return err
	}
	if _, err := release.ParseMaintainers([]byte(public)); err != nil {
		return fmt.Errorf("the name %q cannot stand in MAINTAINERS: %w", name, err)
	}
	// A key that is there may be the only copy.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write the private key: %w", err)
	}
	_, err = f.WriteString(private + "\n")
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write the private key: %w", err)
	}
	_, err = fmt.Fprintln(out, public)
	return err
}

// readKey reads a private key that nobody else can read.
func readKey(path string) (note.Signer, error) {
	if path == "" {
		return nil, errors.New("say with -key which private key signs; keygen makes one")
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s can be read by others (mode %04o): chmod 600 it, and think of whom could have", path, info.Mode().Perm())
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := note.NewSigner(strings.TrimSpace(string(text)))
	if err != nil {
		return nil, fmt.Errorf("%s is no private key that keygen wrote: %w", path, err)
	}
	return s, nil
}

// sign adds a signature to a release's note, if the files beside it are what the note says: a maintainer signs what their
// own machine built.
func sign(key, path string, out io.Writer) error {
	signer, err := readKey(key)
	if err != nil {
		return err
	}
	before, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	r, err := release.Read(before)
	if err != nil {
		return err
	}
	if strings.HasSuffix(r.Version, unsigned) {
		return fmt.Errorf("%s is of a source that differs from its commit: nobody can build it again, so nobody signs it", r.Version)
	}
	if err := compare(r, filepath.Dir(path)); err != nil {
		return fmt.Errorf("not signed: %w", err)
	}
	after, err := release.Sign(before, signer)
	if err != nil {
		return err
	}
	if err := replace(path, after); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%s signed release %s of commit %x, %d files\n", signer.Name(), r.Version, r.Commit, len(r.Files))
	return err
}

// replace writes a file anew, at once: a note that is half written would lose the signatures that it had.
func replace(path string, content []byte) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return nil
}
