package client

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// CreatePrivate writes a new file, readable by this user alone: whole and durable, or not at all. What stands there already it leaves as it
// is, and the error is fs.ErrExist.
func CreatePrivate(path string, raw []byte) error {
	folder := filepath.Dir(path)
	f, err := os.CreateTemp(folder, ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := settle(f.Name(), path); err != nil {
		return err
	}
	return syncFolder(folder)
}

// Absent says that nothing has a name: nil, or fs.ErrExist, or that its folder cannot be read.
func Absent(path string) error {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return err
	}
	switch _, err := os.Lstat(path); {
	case err == nil:
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	default:
		return err
	}
}

// settle gives a written file its name unless something has it. A link refuses that at once; where there are none, as on most sticks, it is
// looked first, and two programs at the same moment could write one over the other.
func settle(from, path string) error {
	err := os.Link(from, path)
	if err == nil || errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := Absent(path); err != nil {
		return err
	}
	return os.Rename(from, path)
}

// syncFolder makes a new name durable: without it, a file that was written may be gone after a power cut.
func syncFolder(folder string) error {
	f, err := os.Open(folder)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("make the folder %s durable: %w", folder, err)
	}
	return nil
}
