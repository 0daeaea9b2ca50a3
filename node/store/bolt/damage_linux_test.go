package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ostraka/ostraka/node/store"
)

// divert makes the descriptor through which bbolt writes point at another file, until
// the returned function is called.
func divert(t *testing.T, s *Store, to string) (restore func()) {
	t.Helper()
	links, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		fd, err := strconv.Atoi(l.Name())
		target, linkErr := os.Readlink("/proc/self/fd/" + l.Name())
		if err != nil || linkErr != nil || target != filepath.Join(s.dir, dataFile) || fd == int(s.file.Fd()) {
			continue
		}
		saved, err := unix.Dup(fd)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(to, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := unix.Dup3(int(f.Fd()), fd, 0); err != nil {
			t.Fatal(err)
		}
		return func() {
			if err := errors.Join(unix.Dup3(saved, fd, 0), unix.Close(saved)); err != nil {
				t.Error(err)
			}
		}
	}
	t.Fatal("bbolt's descriptor is not there")
	return nil
}

// /dev/null takes every write, and its fsync fails with EINVAL.
func TestFailedSyncIsFatal(t *testing.T) {
	dir := t.TempDir() + "/s"
	s := openTest(t, dir)
	for i := range 4 {
		mustCommit(t, s, put("a", fmt.Sprint(i)))
	}
	restore := divert(t, s, "/dev/null")
	_, err := s.Commit(ctx, put("a", "lost?"))
	restore()
	if !errors.Is(err, store.ErrUnknown) || !errors.Is(err, unix.EINVAL) {
		t.Fatalf("commit: %v, want ErrUnknown with fsync's error", err)
	}
	_, getErr := s.Get(ctx, "a")
	_, rangeErr := s.Range(ctx, "", "", 1)
	_, commitErr := s.Commit(ctx, put("b", "1"))
	for what, err := range map[string]error{"get": getErr, "range": rangeErr, "commit": commitErr, "close": s.Close()} {
		if !errors.Is(err, store.ErrClosed) || !errors.Is(err, unix.EINVAL) || errors.Is(err, store.ErrUnknown) {
			t.Errorf("%s after the failure: %v, want ErrClosed with fsync's error", what, err)
		}
	}
	if _, err := Open(dir, Options{}); !errors.Is(err, store.ErrLocked) {
		t.Errorf("open again in the same process: %v, want ErrLocked", err)
	}
}

// /dev/full refuses every write for want of space: bbolt had written nothing.
func TestNoSpaceInsideTransaction(t *testing.T) {
	s := openTest(t, t.TempDir()+"/s")
	rev := uint64(0)
	for i := range 8 {
		rev = mustCommit(t, s, put("a", fmt.Sprint(i)))
	}
	restore := divert(t, s, "/dev/full")
	_, err := s.Commit(ctx, put("a", "no room"))
	restore()
	if !errors.Is(err, store.ErrFull) || errors.Is(err, store.ErrUnknown) {
		t.Fatalf("commit: %v, want ErrFull", err)
	}
	if it, err := s.Get(ctx, "a"); err != nil || string(it.Value) != "7" || it.Revision != rev {
		t.Errorf("after the refusal: %+v, %v", it, err)
	}
	mustCommit(t, s, put("a", "8"))
}

// A key that rots while the store is open must not turn into "no such record".
func TestRotUnderAnOpenStore(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"value", "value-of-b", "valuE-of-b"},
		{"key rises", "rburn/b", "rburn/z"},
		{"key falls", "rburn/b", "raurn/b"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := openTest(t, t.TempDir()+"/s")
			for _, k := range []string{"a", "b", "c"} {
				mustCommit(t, s, put("burn/"+k, "value-of-"+k+strings.Repeat(".", 2000)))
			}
			b, err := os.ReadFile(filepath.Join(s.dir, dataFile))
			if err != nil {
				t.Fatal(err)
			}
			rotten := bytes.ReplaceAll(b, []byte(c.old), []byte(c.new))
			if bytes.Equal(b, rotten) {
				t.Fatal("nothing to change")
			}
			if err := s.Verify(ctx); err != nil {
				t.Fatalf("verify before: %v", err)
			}
			if _, err := s.file.WriteAt(rotten, 0); err != nil { // bbolt's mapping shows it at once
				t.Fatal(err)
			}
			if err := s.Verify(ctx); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("verify: %v, want ErrCorrupt", err)
			}
			_, getErr := s.Get(ctx, "burn/b")
			_, ifErr := s.Commit(ctx, store.Batch{If: []store.Cond{store.Absent("burn/b")}, Put: []store.Entry{{Key: "x"}}})
			_, putErr := s.Commit(ctx, put("burn/b", "healed"))
			for what, err := range map[string]error{"get": getErr, "condition": ifErr, "put": putErr} {
				if !errors.Is(err, store.ErrCorrupt) {
					t.Errorf("%s: %v, want ErrCorrupt", what, err)
				}
			}
		})
	}
}

// Where bbolt follows a wild page number out of the mapping, the call ends, not the node.
func TestWildPageUnderAnOpenStore(t *testing.T) {
	s := openTest(t, t.TempDir()+"/s")
	for i := range 20 {
		mustCommit(t, s, put(fmt.Sprint("k", i), strings.Repeat("x", 1500)))
	}
	r, err := readMetas(s.file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := r.page(r.root)
	if err != nil {
		t.Fatal(err)
	}
	_, v, err := cut(b, 1, pageHeader, native.Uint32(b[20:]), native.Uint32(b[24:]), native.Uint32(b[28:]))
	if err != nil {
		t.Fatal(err)
	}
	at := int64(r.root)*r.pageSize + int64(bytes.Index(b, v))
	if _, err := s.file.WriteAt([]byte{0, 0, 0, 0, 0x7f, 0, 0, 0}, at); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(ctx, "k1"); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("get: %v, want ErrCorrupt", err)
	}
}

func TestNetworkFileSystems(t *testing.T) {
	for magic, name := range networkFS {
		if err := judgeFS("/data", magic); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, magic := range []int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC} {
		if err := judgeFS("/data", magic); err != nil {
			t.Error(err)
		}
	}
}
