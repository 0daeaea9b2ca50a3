package node

import (
	"bufio"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/store/etcd"
	"github.com/ostraka/ostraka/node/store/etcd/etcdtest"
)

// A replica that stands by passes connections on to addresses that the node's identity signed, and to no others that somebody wrote into the store.
func TestDoorsPassToSignedPlacesAlone(t *testing.T) {
	listen := func() net.Listener {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		return ln
	}
	target := listen()
	go func() {
		for c, err := target.Accept(); err == nil; c, err = target.Accept() {
			fmt.Fprintln(c, "inside")
			c.Close()
		}
	}()
	public, own, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	_, other, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	at := &ports{link: listen(), people: listen(), socket: listen()}
	d := newDoors(at, slog.New(slog.DiscardHandler))
	defer d.close()
	owners := make(chan etcd.Ownership)
	done := make(chan struct{})
	go func() { d.follow(owners, "a", public); close(done) }()
	defer func() { close(owners); <-done }()
	// passes says whether a connection to the link's port comes to the target, once the doors have turned.
	passes := func(i etcd.Info) bool {
		for range 2 {
			owners <- etcd.Ownership{Info: i, Token: 7} // the second is taken when the first was followed
		}
		c, err := net.Dial("tcp", at.link.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		line, _ := bufio.NewReader(c).ReadString('\n')
		return line == "inside\n"
	}
	to := target.Addr().String()
	place := func(key crypto.Signer, i etcd.Info) etcd.Info {
		i, err := signPlace(key, i)
		if err != nil {
			t.Error(err)
		}
		return i
	}
	b := place(own, etcd.Info{Name: "b", Link: to, People: to})
	if !passes(b) {
		t.Fatal("a connection is not passed on to the owner")
	}
	for what, i := range map[string]etcd.Info{
		"nobody signed it":         {Name: "b", Link: to, People: to},
		"another key signed it":    place(other, etcd.Info{Name: "b", Link: to, People: to}),
		"it is of another address": {Name: "b", Link: to, People: to, Proof: place(own, etcd.Info{Name: "b", Link: "10.0.0.1:22", People: to}).Proof},
		"it is of another replica": {Name: "c", Link: to, People: to, Proof: b.Proof},
	} {
		if passes(i) {
			t.Errorf("%s, and connections are passed on", what)
		}
	}
	if !passes(b) {
		t.Error("a connection is not passed on to the owner any more")
	}
}

// What is made, and refused, of another replica's folder.
func TestAddReplica(t *testing.T) {
	parent := t.TempDir()
	dir := filepath.Join(parent, "a")
	files := map[string]string{keyFileName: "{}", identityName: "{}", "ca.pem": "CA", "own.pem": "own", "own.key": "own key", "../b.crt": "b", "../b.key": "b key"}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	settle := func(change func(*Settings)) {
		s := Settings{Operator: "acme", Entity: "Acme Ltd", Link: "10.0.0.1:7700", People: "10.0.0.1:7701", Officers: []string{officerLine(t)}, Store: &StoreSettings{Etcd: &EtcdSettings{
			Endpoints: []string{"https://store-a.example:2379"}, Name: "acme", Replica: "a", CA: "ca.pem", Cert: filepath.Join(dir, "own.pem"), Key: filepath.Join(dir, "own.key"),
		}}}
		change(&s)
		if err := os.RemoveAll(filepath.Join(dir, settingsName)); err != nil {
			t.Fatal(err)
		}
		if err := writeJSON(filepath.Join(dir, settingsName), s); err != nil {
			t.Fatal(err)
		}
	}
	b := NewReplica{Name: "b", Link: "0.0.0.0:7700", People: "0.0.0.0:7701", ReachLink: "b.example:7700", ReachPeople: "b.example:7701", Cert: filepath.Join(parent, "b.crt"), Key: filepath.Join(parent, "b.key")}
	for says, c := range map[string]struct {
		node func(*Settings)
		new  func(*NewReplica)
	}{
		"give another name":                                  {func(*Settings) {}, func(n *NewReplica) { n.Name = "a" }},
		"give --store-cert and --store-key":                  {func(*Settings) {}, func(n *NewReplica) { n.Cert, n.Key = "", "" }},
		"it with --store-cert alone: --store-k":              {func(*Settings) {}, func(n *NewReplica) { n.Key = "" }},
		"give --link, where it listens":                      {func(*Settings) {}, func(n *NewReplica) { n.Link, n.ReachLink = "127.0.0.1:7700", "" }},
		"give --people, where it listens":                    {func(*Settings) {}, func(n *NewReplica) { n.ReachPeople = "localhost:7701" }},
		"host:port at which others reach it, --reach-link":   {func(*Settings) {}, func(n *NewReplica) { n.ReachLink = "" }},
		"host:port at which others reach it, --reach-people": {func(*Settings) {}, func(n *NewReplica) { n.ReachPeople = "" }},
		"in its own folder, where one process alone works":   {func(s *Settings) { s.Store = nil }, func(*NewReplica) {}},
	} {
		settle(c.node)
		n := b
		c.new(&n)
		if _, cut, ok := strings.Cut(says, ": "); ok {
			says = cut
		}
		if err := AddReplica(dir, filepath.Join(parent, "no"), n); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want an error with %q", err, says)
		}
	}
	settle(func(*Settings) {})
	to := filepath.Join(parent, "new")
	if err := AddReplica(dir, to, b); err != nil {
		t.Fatal(err)
	}
	s, err := ReadSettings(to)
	if err != nil {
		t.Fatal(err)
	}
	e := s.Store.Etcd
	if s.Advertise != "10.0.0.1:7700" { // else an owner that took over is told to put its own address into the roster
		t.Errorf("it advertises %q", s.Advertise)
	}
	if e.CA != storeCAName || e.Cert != storeCertName || e.Key != storeKeyName || e.Replica != "b" || e.Link != b.ReachLink || s.me().People != b.ReachPeople {
		t.Errorf("the settings are %+v", *e)
	}
	for name, want := range map[string]string{storeCAName: "CA", storeCertName: "b", storeKeyName: "b key", keyFileName: "{}", identityName: "{}"} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// A node whose store is shared is refused under a supervisor, before it reaches for the cluster.
func TestReplicaUnderASupervisor(t *testing.T) {
	u := &unlocked{settings: Settings{Store: &StoreSettings{Etcd: &EtcdSettings{Endpoints: []string{"http://127.0.0.1:1"}, Name: "acme"}}}}
	err := replicate(t.Context(), t.TempDir(), u, slog.New(slog.DiscardHandler), options{given: &Listeners{}})
	if !errors.Is(err, errSupervised) {
		t.Errorf("a replica under a supervisor: %v", err)
	}
}

// Within the lease of an owner that was killed, its next process stands by: nobody owns the node, whoever is asked, and the new process does not send its operator to itself.
func TestAnOwnerStartedAnewStandsBy(t *testing.T) {
	members, err := etcdtest.Start(1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(members.Stop)
	ctx := t.Context()
	cluster, err := etcd.Connect(ctx, members.Options("anew", "r1"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	began := time.Now().UTC()
	before, anew, other := etcd.Info{Name: "a", Since: began}, etcd.Info{Name: "a", Since: began.Add(time.Second)}, etcd.Info{Name: "b", Since: began}
	hold, err := cluster.AcquireNow(ctx, before)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = hold.Resign(context.Background()) })
	owner := func(i etcd.Info) string {
		x, err := (&Replica{Info: i, cluster: cluster}).Show(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return x.Owner
	}
	if a, b := owner(before), owner(other); a != "a" || b != "a" {
		t.Errorf("the owner is %q to itself, %q to another", a, b)
	}
	if a := owner(anew); a != "" {
		t.Errorf("to the process that follows, the owner is %q", a)
	}
	if err := (&Replica{Info: anew, cluster: cluster}).StandsBy(ctx); err == nil || !strings.Contains(err.Error(), "until the lease of the process before it is over") {
		t.Errorf("its operator is told %v", err)
	}
	// Others see it once it tells of itself.
	there, leave := context.WithCancel(ctx)
	told := make(chan error, 1)
	go func() { told <- cluster.Announce(there, anew) }()
	for all := []etcd.Replica(nil); len(all) == 0; {
		if all, err = cluster.Replicas(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if b := owner(other); b != "" {
		t.Errorf("to another replica, the owner is %q", b)
	}
	leave()
	<-told
}
