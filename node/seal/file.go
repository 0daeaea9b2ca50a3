package seal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/internal/failpoint"
)

const (
	// MaxWrapped is the largest wrapped data key, in bytes.
	MaxWrapped = 16 << 10

	maxFile = 1 << 20
)

var (
	// ErrDamaged means that a key file is not what was written.
	ErrDamaged = errors.New("key file is damaged")

	// ErrReadable means that other users may read or write a key file.
	ErrReadable = errors.New("key file is open to other users")

	// ErrUnsettled means that the new key file is in place, and the disk may bring the old one back after a power cut.
	ErrUnsettled = errors.New("the new key file is in place, but its folder could not be synced, and after a power cut the old one may be back: keep the old secrets beside the new ones until a rekey has gone well")

	// ErrBusy means that another process changes the key file.
	ErrBusy = errors.New("the key file is being changed by another process")
)

// CreateFile draws a data key, wraps it under label for every slot and writes the key file (0600), which must not exist. The file
// is durable, and was read back and unwrapped by every slot, when it returns. rand gives the data key and the box's nonces.
func CreateFile(ctx context.Context, path string, label Label, open Opener, rand io.Reader, slots ...Slot) (*Box, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("create key file: %s: %w", path, fs.ErrExist)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("create key file: %w", err)
	}
	dek, err := NewKey(rand)
	if err != nil {
		return nil, err
	}
	return CreateFileFor(ctx, path, label, open, dek, rand, slots...)
}

// CreateFileFor is CreateFile with a data key that is there already, and that it takes over: of an export, whose rows it opens.
func CreateFileFor(ctx context.Context, path string, label Label, open Opener, dek secret.Bytes, rand io.Reader, slots ...Slot) (*Box, error) {
	if err := replaceFile(ctx, path, label, open, dek, rand, slots, nil); err != nil {
		return nil, fmt.Errorf("create key file %s: %w", path, err)
	}
	return NewBox(dek, rand)
}

// OpenFile unwraps the data key of a key file by the first slot that opens, and says which it was. Errors: ErrReadable, ErrDamaged,
// and what each slot's providers said (a wrong passphrase is passphrase.ErrPassphrase; ErrNoSecret where one was not given).
func OpenFile(ctx context.Context, path string, label Label, open Opener, rand io.Reader) (*Box, string, error) {
	dek, slot, _, err := unwrapFile(ctx, path, label, open, rand)
	if err != nil {
		return nil, "", fmt.Errorf("open key file %s: %w", path, err)
	}
	box, err := NewBox(dek, rand)
	return box, slot, err
}

// Slots reads which slots a key file has. It opens nothing: what it says may have been changed by whoever can write the file.
func Slots(path string) ([]Slot, error) {
	b, err := readFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w", path, err)
	}
	k, err := decodeFile(b)
	if err != nil {
		return nil, fmt.Errorf("read key file %s: %w", path, err)
	}
	return k.slots, nil
}

// A Change is what a rekey does to the slots.
type Change struct {
	Put    []Slot   // wrapped anew: each stands in place of the slot of its name, or comes last
	Remove []string // names
}

// apply gives the slots after a change, and whether each keeps its wrapped form.
func (c Change) apply(slots []Slot) (out []Slot, keep []bool, err error) {
	for _, n := range c.Remove {
		if !slices.ContainsFunc(slots, func(s Slot) bool { return s.Name == n }) {
			return nil, nil, fmt.Errorf("there is no slot %s to remove", n)
		}
	}
	for _, s := range slots {
		if !slices.Contains(c.Remove, s.Name) {
			out, keep = append(out, s), append(keep, true)
		}
	}
	for _, p := range c.Put {
		if i := slices.IndexFunc(out, func(s Slot) bool { return s.Name == p.Name }); i >= 0 {
			out[i], keep[i] = p, false
		} else {
			out, keep = append(out, p), append(keep, false)
		}
	}
	if len(out) == 0 {
		return nil, nil, errors.New("no slot would be left, and nothing could open the shares again")
	}
	return out, keep, checkSlots(out)
}

// RekeyFile opens the data key with old and changes its slots; renewed gives the KEKs of those that are put. The file is the old
// one or the new one at every moment, also after a crash, and each slot that is put has opened the new one before the old one goes;
// what rows hold does not change, and a running node notices nothing. Copies of the old file still open as they did.
func RekeyFile(ctx context.Context, path string, label Label, old Opener, c Change, renewed Opener, rand io.Reader) (opened string, slots []Slot, err error) {
	err = func() error {
		unlock, err := lockFolder(filepath.Dir(path)) // two changes at once would lose one of them
		if err != nil {
			return err
		}
		defer unlock()
		dek, slot, k, err := unwrapFile(ctx, path, label, old, rand)
		if err != nil {
			return err
		}
		defer dek.Wipe()
		var keep []bool
		if slots, keep, err = c.apply(k.slots); err != nil {
			return err
		}
		kept := map[string][]byte{}
		for i, s := range k.slots {
			if at := slices.IndexFunc(slots, func(o Slot) bool { return o.Name == s.Name }); at >= 0 && keep[at] {
				kept[s.Name] = k.wrapped[i]
			}
		}
		opened = slot
		return replaceFile(ctx, path, label, renewed, dek, rand, slots, kept)
	}()
	if err != nil {
		return "", nil, fmt.Errorf("rekey %s: %w", path, err)
	}
	return opened, slots, nil
}

// lockFolder keeps a second process from changing the key file at the same time.
func lockFolder(dir string) (unlock func(), err error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, ErrBusy
		}
		return nil, err
	}
	return func() { f.Close() }, nil // which unlocks it
}

// replaceFile writes under another name, syncs, reads back by every slot that was wrapped anew, renames, syncs the folder.
func replaceFile(ctx context.Context, path string, label Label, open Opener, dek secret.Bytes, rand io.Reader, slots []Slot, kept map[string][]byte) error {
	if err := checkSlots(slots); err != nil {
		return err
	}
	k := keyFile{version: fileVersion, slots: slots}
	keks := make([]KEK, len(slots)) // nil where a slot is kept
	for i, s := range slots {
		wrapped, ok := kept[s.Name]
		if !ok {
			var err error
			if keks[i], err = s.kek(ctx, open, rand); err == nil {
				wrapped, err = keks[i].Wrap(ctx, dek, label)
			}
			if err != nil {
				return fmt.Errorf("slot %s: %w", s.Name, err)
			}
		}
		k.wrapped = append(k.wrapped, wrapped)
	}
	var err error
	if k.mac, err = k.sum(dek); err != nil {
		return err
	}
	b, err := k.encode()
	if err != nil {
		return err
	}
	tmp := path + ".new"
	if err := writeFile(tmp, b); err != nil {
		return err
	}
	if err := readBack(ctx, tmp, label, keks, dek); err != nil {
		return fmt.Errorf("read back: %w", errors.Join(err, os.Remove(tmp)))
	}
	failpoint.Hit("seal/file/written")
	if err := os.Rename(tmp, path); err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	failpoint.Hit("seal/file/renamed")
	dir, err := os.Open(filepath.Dir(path))
	if err == nil {
		err = errors.Join(dir.Sync(), dir.Close()) // no second try: the kernel may have dropped what it could not write
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnsettled, err)
	}
	failpoint.Hit("seal/file/done")
	return nil
}

func writeFile(path string, b []byte) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // what a crash left
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	failpoint.Hit("seal/file/before")
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// readBack opens what was written by each of these KEKs.
func readBack(ctx context.Context, path string, label Label, keks []KEK, dek secret.Bytes) error {
	b, err := readFile(path)
	if err != nil {
		return err
	}
	k, err := decodeFile(b)
	if err != nil {
		return err
	}
	for i, kek := range keks {
		if kek == nil {
			continue
		}
		back, err := kek.Unwrap(ctx, k.wrapped[i], label)
		if err == nil && !back.Equal(dek) {
			err = errors.New("another data key came back")
		}
		back.Wipe()
		if err != nil {
			return fmt.Errorf("slot %s: %w", k.slots[i].Name, err)
		}
	}
	return k.authentic(dek)
}

// unwrapFile opens the data key by the first slot that opens.
func unwrapFile(ctx context.Context, path string, label Label, open Opener, rand io.Reader) (dek secret.Bytes, slot string, k keyFile, err error) {
	b, err := readFile(path)
	if err != nil {
		return dek, "", k, err
	}
	if k, err = decodeFile(b); err != nil {
		return dek, "", k, err
	}
	var said []error
	passed := ErrPassed
	for i, s := range k.slots {
		dek, err := k.unwrap(ctx, i, label, open, rand)
		if err == nil {
			if err := k.authentic(dek); err != nil {
				dek.Wipe()
				return secret.Bytes{}, "", k, err
			}
			return dek, s.Name, k, nil
		}
		if errors.Is(err, ErrPassed) {
			passed = err
		} else {
			said = append(said, fmt.Errorf("slot %s (%s): %w", s.Name, s.Kinds(), err))
		}
		if ctx.Err() != nil {
			break
		}
	}
	switch len(said) {
	case 0:
		return dek, "", k, fmt.Errorf("it has no such slot, it has %s: %w", k.names(), passed)
	case 1:
		return dek, "", k, said[0]
	}
	return dek, "", k, &NoSlotError{said}
}

// names are those of the slots.
func (k keyFile) names() string {
	names := make([]string, len(k.slots))
	for i, s := range k.slots {
		names[i] = s.Name
	}
	return strings.Join(names, ", ")
}

// A NoSlotError says why no slot opened.
type NoSlotError struct{ Slots []error }

func (e *NoSlotError) Error() string {
	text := fmt.Sprintf("none of %d slots opens", len(e.Slots))
	for _, s := range e.Slots {
		text += "; " + s.Error()
	}
	return text
}

func (e *NoSlotError) Unwrap() []error { return e.Slots }

func (k keyFile) unwrap(ctx context.Context, i int, label Label, open Opener, rand io.Reader) (secret.Bytes, error) {
	kek, err := k.slots[i].kek(ctx, open, rand)
	if err != nil {
		return secret.Bytes{}, err
	}
	dek, err := kek.Unwrap(ctx, k.wrapped[i], label)
	if err == nil && dek.Len() != KeySize {
		err = fmt.Errorf("data key has %d bytes, not %d", dek.Len(), KeySize)
		dek.Wipe()
	}
	return dek, err
}

// readFile reads a regular file that only its owner may use.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no regular file")
	}
	if p := info.Mode().Perm(); p&0o077 != 0 {
		return nil, fmt.Errorf("%w: mode %04o; run chmod 600 on it", ErrReadable, p)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(b) > maxFile {
		err = fmt.Errorf("%w: more than %d bytes", ErrDamaged, maxFile)
	}
	return b, err
}
