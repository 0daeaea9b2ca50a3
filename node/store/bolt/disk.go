//go:build unix

package bolt

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/ostraka/ostraka/internal/failpoint"
	"github.com/ostraka/ostraka/node/store"
)

const (
	growStep  = 1 << 20 // bytes that the data file grows ahead of need
	spendStep = 1 << 20 // bytes that the reserve gives up at a time
)

// disk owns space: it grows the data file before a transaction needs it, and keeps the
// reserve. Only the committer uses it.
type disk struct {
	file      *os.File // store.db
	allocated int64    // its bytes that surely have space
	reserve   *os.File
	held      int64 // bytes of the reserve that have space
	want      int64

	allocate func(f *os.File, from, to int64) error // a test may be stingy
}

// newDisk takes stock. A full disk is no error: the store must open to deny and veto.
func newDisk(dir string, file *os.File, want int64) (d disk, err error) {
	d = disk{file: file, want: want, allocate: allocate}
	d.reserve, err = os.OpenFile(filepath.Join(dir, reserveFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return d, err
	}
	held, err := d.reserve.Stat()
	if err != nil {
		return d, err
	}
	if d.held = held.Size(); d.held > want {
		d.held = want
		if err := d.reserve.Truncate(want); err != nil {
			return d, err
		}
	}
	if err := d.refill(); err != nil && !errors.Is(err, store.ErrFull) {
		return d, err
	}
	size, err := file.Stat()
	if err != nil {
		return d, err
	}
	switch err := d.allocate(file, 0, size.Size()); {
	case err == nil:
		d.allocated = size.Size()
	case !isFull(err):
		return d, fmt.Errorf("allocate space: %w", err)
	}
	if held.Size() == 0 { // the file may be new
		err = syncDir(dir)
	}
	return d, err
}

// ensure makes room for a transaction that grew the file to size and writes so many
// records and bytes. An ordinary batch grows the file only beside a whole reserve.
func (d *disk) ensure(size int64, bytes, writes int, reserve bool) error {
	need := size + 64<<10 + 4*int64(bytes) + min(8<<10*int64(writes), 2*size)
	if need <= d.allocated {
		return nil
	}
	target := need
	if !reserve {
		if err := d.refill(); err != nil {
			return err
		}
		target += growStep
	}
	if err := d.grow(d.file, d.allocated, target); err != nil {
		return err
	}
	d.allocated = target
	failpoint.Hit("bolt/grow/done")
	return nil
}

// refill makes the reserve whole again; ErrFull if there is no room.
func (d *disk) refill() error {
	if d.held >= d.want {
		return nil
	}
	if err := d.grow(d.reserve, d.held, d.want); err != nil {
		return err
	}
	d.held = d.want
	failpoint.Hit("bolt/reserve/held")
	return nil
}

// spend gives a part of the reserve back to the file system; false: nothing is left.
func (d *disk) spend() (bool, error) {
	if d.held == 0 {
		return false, nil
	}
	rest := max(0, d.held-spendStep)
	if err := errors.Join(d.reserve.Truncate(rest), d.reserve.Sync()); err != nil {
		return false, fmt.Errorf("spend reserve: %w", err)
	}
	d.held = rest
	failpoint.Hit("bolt/reserve/spent")
	return true, nil
}

// grow allocates and syncs; its error is ErrFull or fatal.
func (d *disk) grow(f *os.File, from, to int64) error {
	if err := d.allocate(f, from, to); isFull(err) {
		return store.ErrFull
	} else if err != nil {
		return fmt.Errorf("allocate space for %s: %w", f.Name(), err)
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", f.Name(), err)
	}
	return nil
}

// fillZero allocates by writing zeros behind the file's end, for file systems that
// cannot allocate otherwise.
func fillZero(f *os.File, to int64) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	end := info.Size()
	for at, zero := end, make([]byte, 64<<10); at < to; at += int64(len(zero)) {
		if _, err := f.WriteAt(zero[:min(int64(len(zero)), to-at)], at); err != nil {
			return errors.Join(err, f.Truncate(end))
		}
	}
	return nil
}

func isFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

func makeDir(dir string) error {
	if err := os.Mkdir(dir, 0o700); err == nil {
		return syncDir(filepath.Dir(filepath.Clean(dir)))
	} else if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("create store folder: %w", err)
	}
	f, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("open store folder: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open store folder: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("open store folder: %s is not a folder", dir)
	}
	return refuseReaders(f)
}

// refuseReaders refuses a file or folder that other users may read or write.
func refuseReaders(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	if p := info.Mode().Perm(); p&0o077 != 0 {
		return fmt.Errorf("open store: %s has mode %04o: other users may use it; run chmod go= on it", f.Name(), p)
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// takeLock holds dir for this process until freeLock.
func takeLock(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock store: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		pid, readErr := io.ReadAll(io.LimitReader(f, 20))
		_ = f.Close()
		who := "another ostraka node"
		if readErr == nil && len(pid) > 0 {
			who += " (process " + strings.TrimSpace(string(pid)) + ")"
		}
		return nil, fmt.Errorf("%s uses %s: %w", who, dir, store.ErrLocked)
	}
	if err == nil { // for the message above only
		err = errors.Join(f.Truncate(0), writeFull(f, fmt.Appendf(nil, "%d\n", os.Getpid())))
	}
	if err != nil && !isFull(err) {
		_ = f.Close()
		return nil, fmt.Errorf("lock store %s: %w", dir, err)
	}
	return f, nil
}

// freeLock lets go of it at once: a program that is being started just now has a copy of the open file, until it runs.
func freeLock(f *os.File) error {
	return errors.Join(syscall.Flock(int(f.Fd()), syscall.LOCK_UN), f.Close())
}

// InUse says whether a process has the store in dir open.
func InUse(dir string) bool {
	f, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	_ = freeLock(f)
	return errors.Is(err, syscall.EWOULDBLOCK)
}

func writeFull(f *os.File, b []byte) error {
	_, err := f.WriteAt(b, 0)
	return err
}
