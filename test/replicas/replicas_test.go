// Package replicas runs an operator's node as several processes over a real etcd cluster, beside operators of one process each, and takes
// replicas and members away while people sign.
package replicas

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
)

// The programs under test.
var binary, storeBinary string

func TestMain(m *testing.M) {
	if dir := os.Getenv(insideVariable); dir != "" { // whoever began this test has built them
		binary, storeBinary = filepath.Join(dir, "ostraka"), filepath.Join(dir, "ostraka-store")
		os.Exit(m.Run())
	}
	dir, err := os.MkdirTemp("", "r")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary, storeBinary = filepath.Join(dir, "ostraka"), filepath.Join(dir, "ostraka-store")
	for to, from := range map[string]string{binary: "ostraka", storeBinary: "ostraka-store"} {
		if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", to, "github.com/ostraka/ostraka/cmd/"+from).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build %s: %v\n%s", from, err, out)
			os.Exit(1)
		}
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// found makes a circle of three operators with a vault, in a folder with a short name: a socket's path has few letters.
func found(ctx context.Context, t *testing.T) (*local.Circle, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c, err := local.Start(ctx, local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Dir: dir, Chain: chain, Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2,
	})
	t.Cleanup(c.Stop)
	if err == nil {
		err = c.Found(ctx)
	}
	if err == nil {
		err = c.CreateVault(ctx)
	}
	if err == nil {
		err = c.AwaitVault(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	return c, dir
}

// One operator runs two replicas over three members, beside two operators of one process each: whatever goes away, what people ask for is signed, and
// no share answers twice.
func TestReplicas(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Minute)
	defer cancel()
	circle, dir := found(ctx, t)
	acme := circle.Operators[0]
	m := startMembers(t, dir)
	circle.Halt(acme)
	all := replicate(t, m, acme, "a", "b")
	for _, r := range all {
		r.start(t)
		t.Cleanup(r.kill)
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("%s:\n%s", r.name, r.tail())
			}
		})
	}
	p := &people{circle: circle}
	own, token, err := owner(ctx, all)
	if err != nil {
		t.Fatal(err)
	}
	p.open(ctx, t)
	sign := func(what string) {
		t.Helper()
		began := time.Now()
		if err := p.sign(ctx); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		t.Logf("%s: signed after %v", what, time.Since(began).Round(10*time.Millisecond))
	}
	sign("at first")

	t.Run("a hand-over fails no signature", func(t *testing.T) { handOver(ctx, t, p, all, own) })
	next, higher, err := owner(ctx, all)
	if err != nil || next == own || higher <= token {
		t.Fatalf("%s owned the node by token %d; after its hand-over %s does by token %d: %v", own.name, token, next.name, higher, err)
	}
	sign("after the hand-over")

	next.end(syscall.SIGTERM)
	heir, _, err := owner(ctx, all)
	if err != nil || heir == next {
		t.Fatalf("%s was stopped, and %v owns the node: %v", next.name, heir, err)
	}
	cameByResignation(ctx, t, heir)
	next.start(t)
	if err := poll(ctx, "a replica stands by", func() error { _, err := next.show(ctx); return err }); err != nil {
		t.Fatal(err)
	}
	heir.kill()
	sign("after the owner was killed")
	heir.start(t)
	m.all[0].kill()
	sign("with two members of three")
	m.all[0].start(t)
	leader(ctx, t, m, all).kill()
	sign("after the leader of the members was killed")
	sleeper, before, err := owner(ctx, all)
	if err != nil || before <= higher {
		t.Fatalf("the owner's token is %d after %d: %v", before, higher, err)
	}
	t.Run("an owner that slept is none", func(t *testing.T) { slept(ctx, t, p, all, sleeper, before) })
	if len(p.signed) != len(p.seen) {
		t.Errorf("%d transactions have %d nonces", len(p.signed), len(p.seen))
	}
}
