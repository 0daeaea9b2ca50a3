package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// A certificate that was taken back opens no connection to a member, from the moment on at which the member's copy of the list has it; others do, a new one of
// the same name among them.
func TestRevoked(t *testing.T) {
	dir := t.TempDir()
	must := func(args ...string) {
		t.Helper()
		if code, _, errs := try(args...); code != codeDone {
			t.Fatalf("%q: %d %s", args, code, errs)
		}
	}
	must("certs", "--dir", dir, "--members", "a=127.0.0.1", "--replicas", "r1,r2,r3")
	must("certs", "--dir", dir, "--revoke", "replica-r1")
	client := runMember(t, dir)
	status := func(name string) (int, string) {
		code, out, errs := try("status", "--timeout", "3s", "--endpoints", client, "--ca", dir+"/ca.crt", "--cert", dir+"/replica-"+name+".crt", "--key", dir+"/replica-"+name+".key")
		return code, out + errs
	}
	if code, said := status("r2"); code != codeDone || !strings.Contains(said, "leader") {
		t.Fatalf("with a certificate in order: %d %s", code, said)
	}
	if code, said := status("r1"); code == codeDone {
		t.Errorf("a certificate that was taken back opens: %s", said)
	}
	must("certs", "--dir", dir, "--revoke", "replica-r2")
	for name, works := range map[string]bool{"r1": false, "r2": false, "r3": true} {
		if code, said := status(name); (code == codeDone) != works {
			t.Errorf("after another was taken back, %s: %d %s", name, code, said)
		}
	}
	// A member that is away, beside one that answers.
	code, said, errs := try("status", "--timeout", "3s", "--endpoints", client+",https://127.0.0.1:1", "--ca", dir+"/ca.crt", "--cert", dir+"/replica-r3.crt", "--key", dir+"/replica-r3.key")
	if code != codeNotReady || !strings.Contains(said, "  -  ") || !strings.Contains(errs, "nobody answers at 1 of --endpoints; all 1 members are well") {
		t.Errorf("with an endpoint where nobody is: %d %s%s", code, said, errs)
	}
	for says, args := range map[string][]string{
		"give --revoke alone": {"--revoke", "replica-r3", "--replicas", "r4"}, "take replica-r9 back": {"--revoke", "replica-r9"}, "give the name of a certificate": {"--revoke", "../r9"},
	} {
		if code, _, errs := try(append([]string{"certs", "--dir", dir}, args...)...); code == codeDone || !strings.Contains(errs, says) {
			t.Errorf("%q: %d %s, want %q", args, code, errs, says)
		}
	}
}

// runMember runs a cluster of one member that goes by the folder's list, until the test ends.
func runMember(t *testing.T, dir string) (client string) {
	t.Helper()
	var at [2]string
	for i := range at {
		free, err := local.FreeAddress()
		if err != nil {
			t.Fatal(err)
		}
		at[i] = "https://" + free
	}
	m := member{
		dir: filepath.Join(dir, "data"), name: "a", cluster: "a=" + at[1], client: at[0], peer: at[1], ca: dir + "/ca.crt", cert: dir + "/member-a.crt", key: dir + "/member-a.key",
		revoked: filepath.Join(dir, revokedName), peerName: memberName, health: "http://127.0.0.1:0",
		heartbeat: 100 * time.Millisecond, election: time.Second, since: 10 * time.Minute, quota: leastQuota, level: "error",
	}
	conf, err := m.config()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- (&app{out: io.Discard, err: io.Discard}).serve(ctx, conf) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	c, err := etcd.Connect(ctx, etcd.Options{Endpoints: []string{at[0]}, Name: "store", CA: m.ca, Cert: dir + "/replica-r2.crt", Key: dir + "/replica-r2.key"})
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	return at[0]
}
