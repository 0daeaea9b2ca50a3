package node_test

import (
	"crypto/ed25519"
	"io/fs"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/link"
	"github.com/ostraka/ostraka/node/nodetest"
)

// The operator's socket is for the user alone that runs the node, also where one lay open before.
func TestSocketIsTheOperators(t *testing.T) {
	dir, err := os.MkdirTemp("", "ostraka") // a test's own folder has too long a name for a socket
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, node.SocketName)
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	l, err := node.ListenSocket(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("the socket's mode is %v, %v", info.Mode(), err)
	}
	if _, err := node.ListenSocket(path); err == nil {
		t.Error("a second node opens the socket of one that runs")
	}
}

// Where metrics are served nothing else is: no profile, no variable, no route of an interface, and nothing is taken.
func TestMetricsAreNoOtherDoor(t *testing.T) {
	w := nodetest.New(t, 2)
	h := w.Hosts[0]
	l, err := link.New(link.Config{Key: h.Key, Listen: "127.0.0.1:0", Receive: func(ed25519.PublicKey, []byte) {}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	served := (&node.Daemon{Node: h.Node, Link: l}).Metrics()
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"GET", "/metrics", 200}, {"GET", "/healthz", 200}, {"POST", "/metrics", 405}, {"POST", "/healthz", 405}, {"GET", "/", 404},
		{"GET", "/debug/pprof/", 404}, {"GET", "/debug/pprof/heap", 404}, {"GET", "/debug/vars", 404},
		{"POST", "/ostraka.v1.Operator/Status", 404}, {"POST", "/ostraka.v1.Operator/Accept", 404}, {"POST", "/ostraka.v1.People/Submit", 404},
	} {
		rec := httptest.NewRecorder()
		if served.ServeHTTP(rec, httptest.NewRequest(c.method, c.path, nil)); rec.Code != c.want {
			t.Errorf("%s %s answers %d, want %d", c.method, c.path, rec.Code, c.want)
		}
	}
}
