package faulty

import (
	"fmt"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Once is a disk that fails one call, and remembers what came after it.
type Once struct {
	Under string     // only calls on files below this folder are looked at; empty: all
	At    int        // the call of them that fails, from 1; 0: none
	With  unix.Errno // as

	mu     sync.Mutex
	seen   []Call // those that were looked at
	failed *Call
	again  []Call // of the failed one's kind and file, after it
}

// Judge is the Judge.
func (o *Once) Judge(c Call) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Under != "" && c.Path != o.Under && !strings.HasPrefix(c.Path, o.Under+string(filepath.Separator)) {
		return nil
	}
	o.seen = append(o.seen, c)
	switch {
	case o.failed != nil && c.Path == o.failed.Path && kind(c.Name) == kind(o.failed.Name):
		o.again = append(o.again, c)
	case o.failed == nil && len(o.seen) == o.At:
		o.failed = &c
		return o.With
	}
	return nil
}

// kind is one name for both ways to sync a file.
func kind(name string) string {
	if name == "fdatasync" {
		return "fsync"
	}
	return name
}

// Seen are the calls that were looked at.
func (o *Once) Seen() []Call {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]Call{}, o.seen...)
}

// Failed is the call that failed; false: the program made too few.
func (o *Once) Failed() (Call, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failed == nil {
		return Call{}, false
	}
	return *o.failed, true
}

// Retried says whether the program did again what had failed, to the same file.
func (o *Once) Retried() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.again) > 0 {
		return fmt.Errorf("after %s of %s failed it was called again: %v", o.failed.Name, o.failed.Path, o.again)
	}
	return nil
}
