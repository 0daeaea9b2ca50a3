// Package litewitness starts the pinned litewitness for a test: a real witness of logs (C2SP tlog-witness), which keeps what it saw in
// SQLite and its key in an ssh-agent.
package litewitness

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/ostraka/ostraka/internal/components"
)

// A Witness is a running litewitness.
type Witness struct {
	URL string // http://127.0.0.1:port
	Key string // its vkey, as it prints it

	dir string // of its store and its agent's socket
	ctl string
	log *lines
}

// startLimit is how long agent and witness may take until they listen.
const startLimit = 30 * time.Second

// Start starts litewitness on a free port of the loopback interface, with an agent of its own, and stops both when the test ends. It knows
// no log yet.
func Start(t testing.TB, name string) *Witness {
	t.Helper()
	path, err := components.Litewitness.Find()
	must(t, err)
	w := &Witness{log: &lines{}}
	w.ctl, err = components.Witnesslogs.Find()
	must(t, err)
	w.dir, err = os.MkdirTemp("", "lw") // a test's own folder has too long a name for a socket
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(w.dir) })
	socket := filepath.Join(w.dir, "agent")
	run(t, io.Discard, "ssh-agent", "-D", "-a", socket)
	fingerprint := addKey(t, socket)
	address := freeAddress(t)
	run(t, w.log, path, "-name", name, "-db", w.db(), "-ssh-agent", socket, "-key", fingerprint, "-listen", address)
	w.URL = "http://" + address
	c := await(t, "litewitness", func() (net.Conn, error) { return net.Dial("tcp", address) }, w.log)
	c.Close()
	_, after, ok := strings.Cut(w.log.String(), "vkey=")
	if w.Key, _, _ = strings.Cut(after, "\n"); !ok {
		t.Fatalf("litewitness does not print its key:\n%s", w.log)
	}
	return w
}

func (w *Witness) db() string { return filepath.Join(w.dir, "litewitness.db") }

// AddLog has it cosign a log from now on.
func (w *Witness) AddLog(t testing.TB, origin, vkey string) {
	t.Helper()
	if out, err := exec.Command(w.ctl, "add", w.db(), origin, vkey).CombinedOutput(); err != nil {
		t.Fatalf("witnesslogs add: %v: %s", err, out)
	}
}

// Logs are the logs that it knows, one a line in JSON.
func (w *Witness) Logs(t testing.TB) string {
	t.Helper()
	out, err := exec.Command(w.ctl, "list", w.db()).Output()
	must(t, err)
	return string(out)
}

// Printed is what it printed.
func (w *Witness) Printed() string { return w.log.String() }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("start litewitness: %v", err)
	}
}

// run starts a program that ends with the test.
func run(t testing.TB, out io.Writer, path string, args ...string) {
	t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = out, out
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended by itself
		_ = cmd.Wait()
	})
}

// addKey gives the agent a fresh key, and returns its fingerprint.
func addKey(t testing.TB, socket string) string {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	must(t, err)
	signer, err := ssh.NewSignerFromKey(key)
	must(t, err)
	conn := await(t, "ssh-agent", func() (net.Conn, error) { return net.Dial("unix", socket) }, nil)
	defer conn.Close()
	must(t, agent.NewClient(conn).Add(agent.AddedKey{PrivateKey: key}))
	return ssh.FingerprintSHA256(signer.PublicKey())
}

func freeAddress(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

func await(t testing.TB, what string, dial func() (net.Conn, error), printed *lines) net.Conn {
	t.Helper()
	err := errors.New("not tried")
	for limit := time.Now().Add(startLimit); time.Now().Before(limit); time.Sleep(5 * time.Millisecond) {
		var c net.Conn
		if c, err = dial(); err == nil {
			return c
		}
	}
	t.Fatalf("%s does not listen after %s: %v\n%s", what, startLimit, err, printed)
	return nil
}

// lines is what a program printed so far.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	if l == nil {
		return ""
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
