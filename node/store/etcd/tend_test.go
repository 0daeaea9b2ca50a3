package etcd_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// tell runs a command of ostraka-store against the members and reads its document.
func tell(t *testing.T, into any, args ...string) {
	t.Helper()
	out, err := members.Run(append(append(args, "--json"), members.Flags()...)...)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
}

// What an operator does to the cluster: look at it, add and remove a member, give space back, copy it, and start from the copy.
func TestTendingTheCluster(t *testing.T) {
	a := owner(t, "tended", "r1")
	rev := mustCommit(t, a, put("k", "kept"))
	var st struct {
		Quorum  bool
		Members []struct {
			ID, Name, Problem string
			Leader            bool
		}
	}
	if tell(t, &st, "status"); !st.Quorum || len(st.Members) != 3 {
		t.Errorf("status: %+v", st)
	}
	var list struct{ Members []struct{ ID, Name string } }
	tell(t, &list, "member", "add", "d", "https://127.0.0.1:9")
	if len(list.Members) != 4 || list.Members[0].Name != "" {
		t.Fatalf("after adding: %+v", list)
	}
	tell(t, &list, "member", "remove", list.Members[0].ID)
	if tell(t, &list, "member", "list"); len(list.Members) != 3 {
		t.Errorf("after removing: %+v", list)
	}
	var given struct {
		Members []struct{ Before, After int64 }
	}
	if tell(t, &given, "defrag"); len(given.Members) != 3 || given.Members[0].After <= 0 || given.Members[0].After > given.Members[0].Before {
		t.Errorf("defrag: %+v", given)
	}
	if _, err := members.Run(append([]string{"member", "remove", "nobody"}, members.Flags()...)...); err == nil || !strings.Contains(err.Error(), `0 members are called "nobody"`) {
		t.Errorf("removing nobody: %v", err)
	}

	copied := filepath.Join(t.TempDir(), "copy")
	var saved struct{ Keys int }
	if tell(t, &saved, "snapshot", "save", copied); saved.Keys == 0 {
		t.Errorf("saved: %+v", saved)
	}
	if info, err := os.Stat(copied); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy has mode %v, %v", info.Mode(), err)
	}
	restored(t, copied, a, rev)
}

// restored starts a cluster from the copy: the records are there, and every revision and token is above those of the old one.
func restored(t *testing.T, copied string, a *replica, rev uint64) {
	t.Helper()
	other, err := etcdtest.StartFrom(copied)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Stop()
	c, err := etcd.Connect(ctx, other.Options(a.name, "r2"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := &replica{c: c}
	if err := b.own(false, "b"); err != nil { // the old owner's row came along, under a lease that runs out
		t.Fatal(err)
	}
	it, err := b.Store.Get(ctx, "k")
	if err != nil || string(it.Value) != "kept" || it.Revision != rev {
		t.Errorf("the restored store holds %+v, %v", it, err)
	}
	if b.t.Token() < a.t.Token()+1_000_000 {
		t.Errorf("token %d after %d", b.t.Token(), a.t.Token())
	}
	if _, err := b.Store.Commit(ctx, store.Batch{If: []store.Cond{{Key: "k", Revision: rev}}, Put: []store.Entry{{Key: "k"}}}); err != nil {
		t.Error(err)
	}
	if err := b.t.Resign(ctx); err != nil {
		t.Error(err)
	}
}

func within(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, d)
}

// Without a certificate of the authority nobody reads or writes, and members of another are not believed.
func TestStrangersAreRefused(t *testing.T) {
	o := members.Options("strange", "r1")
	own := t.TempDir()
	if _, err := members.Run("certs", "--dir", own, "--replicas", "r1"); err != nil {
		t.Fatal(err)
	}
	short, cancel := within(2 * time.Second)
	defer cancel()
	o.Cert, o.Key = own+"/replica-r1.crt", own+"/replica-r1.key"
	if _, err := etcd.Connect(short, o); err == nil || !strings.Contains(err.Error(), "member https://") {
		t.Errorf("a stranger's certificate: %v", err)
	}
	o = members.Options("strange", "r1")
	o.CA = own + "/ca.crt"
	short, cancel = within(2 * time.Second)
	defer cancel()
	if _, err := etcd.Connect(short, o); err == nil || !strings.Contains(err.Error(), "the settings' ca is not the one") {
		t.Errorf("another authority: %v", err)
	}
}
