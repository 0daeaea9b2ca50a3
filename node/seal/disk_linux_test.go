package seal

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ostraka/ostraka/internal/faulty"
)

// onDisk runs the child over a disk that fails, and returns what it says; whole: it ends well.
func onDisk(t *testing.T, path string, o *faulty.Once, names ...string) (said string, whole bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	var errs strings.Builder
	cmd.Stderr, cmd.Env = &errs, append(os.Environ(), childEnv+"="+path)
	if err := faulty.Start(cmd, names, o.Judge); err != nil {
		t.Fatal(err)
	}
	err := cmd.Wait()
	if err := o.Retried(); err != nil {
		t.Error(err)
	}
	return errs.String(), err == nil
}

// Every call that makes a key file durable fails in turn, and every one that takes room: a file that is created is not there, one that is rekeyed
// is as it was; after the last step it is the new one, and the error says that the old one may come back. Nothing is tried again.
func TestKeyFileOnAFailingDisk(t *testing.T) {
	opens := func(path, name string) error {
		_, _, err := OpenFile(ctx, path, label, having(name), rand.Reader)
		return err
	}
	for _, c := range []struct {
		what    string
		names   []string
		at      int
		with    unix.Errno
		inPlace bool // of the new file
	}{
		{"room for the file", []string{"write"}, 1, unix.ENOSPC, false},
		{"the file's write", []string{"write"}, 1, unix.EIO, false},
		{"the file's sync", faulty.Syncs, 1, unix.EIO, false},
		{"the file's sync, for want of room", faulty.Syncs, 1, unix.ENOSPC, false},
		{"the rename", []string{"renameat"}, 1, unix.EIO, false},
		{"the folder's sync", faulty.Syncs, 2, unix.EIO, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "key")
			fail := func(step string) {
				t.Helper()
				o := &faulty.Once{Under: dir, At: c.at, With: c.with}
				said, whole := onDisk(t, path, o, c.names...)
				if whole || !strings.Contains(said, path) || !strings.Contains(said, c.with.Error()) || strings.Contains(said, ErrUnsettled.Error()) != c.inPlace {
					t.Errorf("%s: whole %v, said %q", step, whole, said)
				}
				if _, ok := o.Failed(); !ok {
					t.Fatalf("%s: no call failed of %+v", step, o.Seen())
				}
				if _, err := os.Lstat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s: left behind: %v", step, err)
				}
			}
			fail("create")
			if err := opens(path, "a"); c.inPlace != (err == nil) || err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("created: %v", err)
			}
			if !c.inPlace {
				create(t, path, having("a", "b"), one("a"), Slot{"paper", []Provider{{Kind: "b"}}})
			}
			was, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			fail("rekey")
			is, err := os.ReadFile(path)
			if err != nil || bytes.Equal(is, was) == c.inPlace {
				t.Errorf("rekeyed: the file is the old one: %v, %v", bytes.Equal(is, was), err)
			}
			if err := opens(path, map[bool]string{false: "a", true: "a'"}[c.inPlace]); err != nil {
				t.Errorf("after the failure: %v", err)
			}
			if c.inPlace { // as the error says
				return
			}
			if said, whole := onDisk(t, path, &faulty.Once{}, c.names...); !whole || opens(path, "a'") != nil {
				t.Errorf("the rekey again: %s", said)
			}
		})
	}
}

// A key file that ends anywhere before its end, has zeros from anywhere on, or one bit turned anywhere is refused as what it is, by name; a bit of the
// version says that it is of another program. Nothing writes to it.
func TestTornKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	create(t, path, having("a", "b"), one("a"), Slot{"paper", []Provider{{Kind: "b", Params: map[string]string{"recipients": "age1ours"}}}})
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(what string, at int, b []byte) {
		t.Helper()
		_, err := decodeFile(b)
		if newer := err != nil && strings.Contains(err.Error(), "this program knows"); !errors.Is(err, ErrDamaged) && !(newer && what == "bit") {
			t.Errorf("%s %d: %v", what, at, err)
		}
	}
	for i := range whole {
		refused("cut at", i, whole[:i])
		refused("zeros from", i, append(bytes.Clone(whole[:i]), make([]byte, len(whole)-i)...))
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			refused("bit", 8*i+bit, b)
		}
	}
	for name, b := range map[string][]byte{"empty": nil, "cut": whole[:len(whole)/2], "zeros": make([]byte, len(whole)), "flipped": bytes.Replace(whole, []byte("age1ours"), []byte("age1ourr"), 1)} {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, openErr := OpenFile(ctx, path, label, having("a"), rand.Reader)
		_, slotsErr := Slots(path)
		_, _, rekeyErr := RekeyFile(ctx, path, label, having("a"), Change{Put: []Slot{one("a")}}, having("a'"), rand.Reader)
		for what, err := range map[string]error{"open": openErr, "slots": slotsErr, "rekey": rekeyErr} {
			if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, b) {
			t.Errorf("%s: the file was changed: %v", name, err)
		}
	}
}
