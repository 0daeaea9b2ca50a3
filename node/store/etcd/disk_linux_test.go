package etcd_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc"

	"github.com/ostraka/ostraka/internal/faulty"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// failing is a cluster of three whose members fail one after the other, while an owner writes.
type failing struct {
	t       *testing.T
	members *etcdtest.Members
	c       *etcd.Cluster
	s       store.Store
}

func newFailing(t *testing.T) *failing {
	t.Helper()
	m, err := etcdtest.Start(3)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	o := m.Options("failing", "r1")
	c, err := etcd.Connect(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	tenure, err := c.Acquire(ctx, etcd.Info{Name: "r1"})
	if err != nil {
		t.Fatal(err)
	}
	return &failing{t, m, c, tenure.Store()}
}

func (f *failing) ok(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// stopped wants a member to end by itself within some time, with an error that says one of these.
func (f *failing) stopped(what string, m *etcdtest.Member, says ...string) {
	f.t.Helper()
	said, ended, err := m.Ends(20 * time.Second)
	if err != nil {
		f.t.Fatalf("%s: %v: %s", what, err, said)
	}
	for _, s := range says {
		if strings.Contains(said, s) && ended.ExitCode() != 0 {
			return
		}
	}
	f.t.Errorf("%s: member %s ended with %v, and does not say %q: %s", what, m.Name, ended, says, said)
}

// back starts a member on a disk that is sound again, and waits until it answers. Two that start at once wait for each other, up to 7 s: each compares
// its records with the others' before it serves.
func (f *failing) back(m *etcdtest.Member) {
	f.t.Helper()
	m.Launch = nil
	f.ok(m.Start())
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for leader := uint64(0); leader == 0; {
		st, err := f.maintenance(m).Status(limited, &pb.StatusRequest{}, grpc.WaitForReady(true))
		f.ok(err)
		leader = st.Leader
	}
}

func (f *failing) maintenance(m *etcdtest.Member) pb.MaintenanceClient {
	f.t.Helper()
	conf, err := f.members.Options("failing", "r1").TLS()
	f.ok(err)
	c, err := clientv3.New(clientv3.Config{Endpoints: []string{m.Endpoint}, TLS: conf, Logger: zap.NewNop()})
	f.ok(err)
	f.t.Cleanup(func() { _ = c.Close() })
	return pb.NewMaintenanceClient(c.ActiveConnection())
}

// whole wants all members to answer, with the same records.
func (f *failing) whole() {
	f.t.Helper()
	limited, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var first *pb.HashKVResponse
	for _, m := range f.members.All {
		maint, ask := f.maintenance(m), &pb.HashKVRequest{}
		if first != nil {
			ask.Revision = first.Header.Revision
		}
		sum, err := maint.HashKV(limited, ask, grpc.WaitForReady(true))
		for err != nil && limited.Err() == nil { // it has not come so far
			time.Sleep(100 * time.Millisecond)
			sum, err = maint.HashKV(limited, ask, grpc.WaitForReady(true))
		}
		if f.ok(err); first == nil {
			first = sum
		} else if sum.Hash != first.Hash {
			f.t.Errorf("member %s has other records than member %s", m.Name, f.members.All[0].Name)
		}
	}
}

// Each of a member's first syncs fails in turn, as it starts and as it works: it ends and says why, and syncs nothing again that it could not sync. The
// other two go on; nothing acknowledged is lost, and once its disk is sound the member has what they have.
func TestMemberWhoseSyncsFail(t *testing.T) {
	f := newFailing(t)
	l := run(f.s, 4)
	l.least = 10
	for i, at := range syncs {
		m := f.members.All[i%3]
		m.Kill()
		o := &faulty.Once{Under: m.Dir(), At: at, With: unix.EIO}
		m.Launch = func(cmd *exec.Cmd) error { return faulty.Start(cmd, faulty.Syncs, o.Judge) }
		f.ok(m.Start())
		f.stopped(fmt.Sprintf("sync %d", at), m, "input/output error")
		c, failed := o.Failed()
		if err := o.Retried(); err != nil || !failed {
			t.Errorf("sync %d: %v failed of %d: %v", at, c, len(o.Seen()), err)
		}
		t.Logf("sync %d: %s of %s", at, c.Name, strings.TrimPrefix(c.Path, m.Dir()))
		f.back(m)
	}
	l.check(t, f.s)
	f.whole()
}

// A new member whose disk fails at any sync of its making does not serve, and says so. Started again on a sound disk it serves, or says that its first
// start was never done; it does not wait for ever.
func TestNewMemberWhoseSyncsFail(t *testing.T) {
	m, err := etcdtest.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Stop)
	f, a := &failing{t: t, members: m}, m.All[0]
	for _, at := range newSyncs {
		a.Kill()
		f.ok(os.RemoveAll(a.Dir()))
		o := &faulty.Once{Under: a.Dir(), At: at, With: unix.EIO}
		a.Launch = func(cmd *exec.Cmd) error { return faulty.Start(cmd, faulty.Syncs, o.Judge) }
		f.ok(a.Start())
		f.stopped(fmt.Sprintf("sync %d", at), a, "input/output error", "could not be synced")
		c, failed := o.Failed()
		if err := o.Retried(); err != nil || !failed {
			t.Errorf("sync %d: %v failed of %d: %v", at, c, len(o.Seen()), err)
		}
		a.Launch = nil
		f.ok(a.Start())
		limited, cancel := context.WithTimeout(ctx, 3*time.Second)
		_, err := f.maintenance(a).Status(limited, &pb.StatusRequest{}, grpc.WaitForReady(true))
		cancel()
		t.Logf("sync %d: %s of %s; it starts again: %v", at, c.Name, strings.TrimPrefix(c.Path, a.Dir()), err == nil)
		if err != nil {
			f.stopped(fmt.Sprintf("again after sync %d", at), a, "its first start ended before it was done")
		}
	}
}

// flip turns one bit at every place of a file where text stands, or in the middle of what it holds.
func (f *failing) flip(path, text string) {
	f.t.Helper()
	b, err := os.ReadFile(path)
	f.ok(err)
	n := 0
	if text == "" {
		b[len(bytes.TrimRight(b, "\x00"))/2] ^= 1
		n++
	}
	for at := 0; text != ""; n++ {
		i := bytes.Index(b[at:], []byte(text))
		if i < 0 {
			break
		}
		at += i + len(text)
		b[at-1] ^= 1
	}
	if n == 0 {
		f.t.Fatalf("%s does not hold %q", path, text)
	}
	f.ok(os.WriteFile(path, b, 0o600))
}

// newest is the last of a member's files of a kind.
func (f *failing) newest(m *etcdtest.Member, pattern string) string {
	f.t.Helper()
	all, err := filepath.Glob(filepath.Join(m.Dir(), "member", pattern))
	if err != nil || len(all) == 0 {
		f.t.Fatalf("no %s: %v", pattern, err)
	}
	return all[len(all)-1]
}

// A member whose log or records have rotted while it was away does not come back, and says which; the other two go on. A record that has rotted in the
// file of one member is never given to the node as if it were sound. The member is replaced as docs/operator.md says of a lost one.
func TestMemberWhoseFilesRot(t *testing.T) {
	f := newFailing(t)
	mustCommit(t, f.s, put("planted", "a value that is easy to find"))
	for i := range 200 {
		mustCommit(t, f.s, put(fmt.Sprint("k", i), strings.Repeat("v", 500)))
	}
	time.Sleep(300 * time.Millisecond) // members write their files every 100 ms
	for _, c := range []struct {
		what, file, text string
		says             []string
	}{
		{"a bit of its log", "wal/*.wal", "", []string{"crc mismatch", "unexpected EOF", "wal:", "its folder is damaged"}},
		{"a bit of a record", "snap/db", "a value that is easy to find", []string{"corrupt", "inconsisten", "mismatch"}},
		{"the end of its records' file", "snap/db", "cut", []string{"database", "page", "corrupt", "panic", "unexpected fault address"}},
	} {
		m := f.members.All[2]
		m.Kill()
		kept := filepath.Join(t.TempDir(), "kept")
		f.ok(os.CopyFS(kept, os.DirFS(m.Dir())))
		path := f.newest(m, c.file)
		if c.text == "cut" {
			f.ok(os.Truncate(path, 5*4096)) // the two heads of the file, and little more
		} else {
			f.flip(path, c.text)
		}
		f.ok(m.Start())
		f.stopped(c.what, m, c.says...)
		for i := range 20 {
			mustCommit(t, f.s, put(fmt.Sprint("k", i), c.what))
		}
		if it, err := f.s.Get(ctx, "planted"); err != nil || string(it.Value) != "a value that is easy to find" {
			t.Errorf("%s: the record is %q, %v", c.what, it.Value, err)
		}
		f.ok(os.RemoveAll(m.Dir()))
		f.ok(os.CopyFS(m.Dir(), os.DirFS(kept)))
		f.ok(private(m.Dir()))
		f.back(m)
	}
	f.whole()
}

func private(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return os.Chmod(path, 0o700)
	})
}

// A member whose disk is full ends, and says so; the other two go on, and once there is room it has what they have.
func TestMemberWhoseDiskIsFull(t *testing.T) {
	f := newFailing(t)
	m := f.members.All[1]
	m.Kill()
	was := m.Dir() + ".was"
	f.ok(os.Rename(m.Dir(), was))
	f.ok(os.Mkdir(m.Dir(), 0o700))
	if err := syscall.Mount("tmpfs", m.Dir(), "tmpfs", 0, "mode=0700,size=150m"); err != nil { // two files of its log have 64 MB each
		t.Fatalf("mount a small file system: %v: run the tests as root, or under `unshare --map-root-user --mount`", err)
	}
	t.Cleanup(func() {
		m.Kill()
		_ = syscall.Unmount(m.Dir(), syscall.MNT_DETACH)
	})
	if out, err := exec.Command("cp", "-a", was+"/.", m.Dir()).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f.back(m)
	l := run(f.s, 2)
	l.least = 10
	filler, err := os.Create(filepath.Join(m.Dir(), "filler"))
	f.ok(err)
	for err == nil {
		_, err = filler.Write(make([]byte, 16<<10))
	}
	if f.ok(filler.Close()); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	for i := range 20 { // its file grows by 16 MB at a time
		mustCommit(t, f.s, put(fmt.Sprint("large/", i), strings.Repeat("v", 1<<20)))
	}
	f.stopped("a full disk", m, "no space left on device")
	mustCommit(t, f.s, put("after", "with two members"))
	f.ok(os.Remove(filler.Name()))
	f.back(m)
	l.check(t, f.s)
	f.whole()
}
