package provider

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/door"
)

// standIn names what a customer's process does in these tests, where this program stands in for the node's.
const standIn = "PROVIDER_TEST_STANDS_IN"

func TestMain(m *testing.M) {
	if does := os.Getenv(standIn); does != "" {
		stands(does)
		return
	}
	os.Exit(m.Run())
}

// stands is a customer's process. It says at link which customer's it is; its health leads elsewhere, to where it says.
func stands(does string) {
	switch does {
	case "endless": // no word, and no end of it
		raw := make([]byte, 1<<20)
		for range 100 {
			os.Stdout.Write(raw) //nolint:errcheck // the supervisor is gone
		}
		return
	case "leaves another": // which holds its output open, in a group of its own
		cmd := exec.Command("sleep", "30")
		cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, &syscall.SysProcAttr{Setsid: true}
		if err := cmd.Start(); err != nil {
			panic(err)
		}
		fmt.Fprintln(os.Stderr, cmd.Process.Pid)
		return
	case "ends":
		if strings.HasSuffix(os.Args[5], "ill") {
			fmt.Fprintln(os.Stderr, "ostraka: its store is damaged")
			os.Exit(3)
		}
	case "pries":
		pries(os.Args[5])
		return
	}
	at, err := Ports(3)
	if err != nil {
		panic(err)
	}
	ended := make(chan struct{})
	if _, err := Handed(os.NewFile(3, "supervisor"), func() { close(ended) }); err != nil {
		panic(err)
	}
	go http.Serve(at.Metrics, http.RedirectHandler(does, http.StatusFound)) //nolint:errcheck
	go func() {
		for {
			c, err := at.Link.Accept()
			if err != nil {
				panic(err)
			}
			fmt.Fprintln(c, os.Args[5])
			c.Close()
		}
	}()
	fmt.Println("{}")
	<-ended
}

// hosts is a supervisor of customers with these names, none of which is begun.
func hosts(t *testing.T, does string, names ...string) *Supervisor {
	t.Helper()
	dir, err := os.MkdirTemp("", "o") // sockets have short names
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := Config{Link: []string{"127.0.0.1:0"}, People: []string{"127.0.0.1:0"}}
	for _, n := range names {
		c.Customers = append(c.Customers, Customer{Name: n, Identity: identity(n), Hosts: []string{n + ".example"}})
	}
	if err := Init(dir, c); err != nil {
		t.Fatal(err)
	}
	wait := usualTiming()
	wait.first, wait.drain = 10*time.Millisecond, 200*time.Millisecond
	s := &Supervisor{
		cfg: Options{
			Binary: os.Args[0], Env: append(os.Environ(), standIn+"="+does), Log: slog.New(slog.DiscardHandler),
			Secret: func(string, string) (secret.Bytes, error) { return secret.New(nil), nil },
		},
		dir: dir, wait: wait, slots: newSlots(4, time.Minute), link: door.New(door.Config{}), people: door.New(door.Config{}), ctx: t.Context(), children: map[string]*child{}, routes: map[string]*roomed{},
	}
	t.Cleanup(s.tasks.Wait)
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *Supervisor) child(name string) *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.children[name]
}

// is waits for a customer's state.
func (s *Supervisor) is(t *testing.T, name string, want State) Standing {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if x := s.child(name).standing(); x.State == want {
			return x
		} else if time.Now().After(end) {
			t.Fatalf("%s is %s (%s), not %s", name, x.State, x.Why, want)
		}
	}
}

// TestPorts: the supervisor opens the ports of each process, so that no other customer can have them; its health and numbers are answered on a socket that nobody else reaches, and its answers
// lead the supervisor nowhere.
func TestPorts(t *testing.T) {
	asked := make(chan struct{}, 1)
	elsewhere, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer elsewhere.Close()
	go http.Serve(elsewhere, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked <- struct{}{} })) //nolint:errcheck
	s := hosts(t, "http://"+elsewhere.Addr().String(), "acme", "bolt")
	seen := map[string]bool{}
	for _, name := range []string{"acme", "bolt"} {
		first := s.is(t, name, Running)
		way, err := s.route(door.People)(door.Call{Name: name + ".example"})
		if err != nil {
			t.Fatal(err)
		}
		link := *s.child(name).link.addr.Load()
		for _, addr := range []string{link, way.Addr} {
			if seen[addr] {
				t.Errorf("%s is at %s, which another has", name, addr)
			}
			seen[addr] = true
			for _, at := range []string{addr, strings.Replace(addr, "127.0.0.1", "0.0.0.0", 1)} {
				if l, err := net.Listen("tcp", at); err == nil {
					l.Close()
					t.Errorf("somebody else takes %s", at)
				}
			}
		}
		if got := hears(t, link); got != Folder(s.dir, name)+"\n" {
			t.Errorf("at %s's port answers %q", name, got)
		}
		if _, err := s.child(name).get(t.Context(), "/healthz"); err == nil || !strings.Contains(err.Error(), "Found") {
			t.Errorf("an answer that leads elsewhere: %v", err)
		}
		if err := s.Restart(name); err != nil {
			t.Fatal(err)
		}
		again := first
		for again.Started == first.Started {
			time.Sleep(5 * time.Millisecond)
			again = s.is(t, name, Running)
		}
		if got := hears(t, *s.child(name).link.addr.Load()); again.PID == first.PID || got != Folder(s.dir, name)+"\n" {
			t.Errorf("started anew: %+v, %q", again, got)
		}
	}
	select {
	case <-asked:
		t.Error("the supervisor follows where a customer's process leads it")
	default:
	}
	if info, err := os.Stat(filepath.Join(s.dir, sockets)); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others reach the customers' sockets: %v, %v", info.Mode(), err)
	}
	s.child("acme").ended()
	if _, err := s.route(door.People)(door.Call{Name: "acme.example"}); !errors.Is(err, door.ErrAway) {
		t.Errorf("a customer that does not run: %v", err)
	}
}

func hears(t *testing.T, addr string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	line, err := bufio.NewReader(c).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return line
}

// TestForeignFolder: whatever a customer's process makes of its own folder, the supervisor reads none of it: it neither waits there, nor leads to one customer who asks for another.
func TestForeignFolder(t *testing.T) {
	s := hosts(t, "/", "acme", "evil")
	evil := Folder(s.dir, "evil")
	if err := os.MkdirAll(evil, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"node.json", "identity.json", "key.json"} {
		if err := syscall.Mkfifo(filepath.Join(evil, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.is(t, "evil", Running)
	done := make(chan error, 1)
	go func() { done <- errors.Join(s.Reload(), s.Restart("evil")) }()
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the supervisor waits in a customer's folder")
	}
	if err := os.Remove(filepath.Join(evil, "identity.json")); err != nil {
		t.Fatal(err)
	}
	claims := fmt.Sprintf(`{"public":%q,"sealed":""}`, identity("acme"))
	if err := os.WriteFile(filepath.Join(evil, "identity.json"), []byte(claims), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Reload(); err != nil {
		t.Fatal(err)
	}
	s.is(t, "acme", Running)
	acme := Customer{Identity: identity("acme")}
	key, err := acme.key()
	if err != nil {
		t.Fatal(err)
	}
	to, err := s.route(door.Link)(door.Call{Name: door.Name(key, door.Link)})
	if err != nil || to.Addr != *s.child("acme").link.addr.Load() {
		t.Errorf("who wants acme is led to %s, %v", to.Addr, err)
	}
}

// TestEndlessLine: what a customer's process says without an end is not kept.
func TestEndlessLine(t *testing.T) {
	s := hosts(t, "endless", "acme")
	s.is(t, "acme", Stopped)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if most := uint64(64 << 20); m.HeapSys > most { // of a hundred MiB that it said
		t.Errorf("the supervisor has taken %d MiB", m.HeapSys>>20)
	}
}

// TestLeftBehind: a process that ended has ended, whoever it left behind with its output open.
func TestLeftBehind(t *testing.T) {
	s := hosts(t, "leaves another", "acme")
	began := time.Now()
	s.is(t, "acme", Stopped)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("its end is seen after %s", took)
	}
	pid := 0
	if last := s.child("acme").log.tail(); len(last) == 0 {
		t.Error("its last words are lost")
	} else if _, err := fmt.Sscanf(last[0], "customer=acme %d", &pid); err != nil {
		t.Error(err)
	}
	syscall.Kill(pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
}

// TestMetricsToken: a customer's process, which reaches the provider's port as every local user does, learns there whether everything runs, and nothing of anybody.
func TestMetricsToken(t *testing.T) {
	s := hosts(t, "endless", "acme")
	s.is(t, "acme", Stopped)
	s.child("acme").set(Down, "a test")
	token, err := metricsToken(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := metricsToken(s.dir); err != nil || again != token {
		t.Errorf("the token is another after a start: %v", err)
	}
	if info, err := os.Stat(filepath.Join(s.dir, TokenName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the token's file: %v, %v", info.Mode(), err)
	}
	h := s.metrics(token)
	for _, c := range []struct {
		path, with string
		code       int
		says       string
	}{
		{"/healthz", "", 503, "not all who should run do"},
		{"/healthz", "Bearer " + token, 503, "acme"},
		{"/healthz/acme", "", 401, TokenName},
		{"/metrics", "", 401, TokenName},
		{"/metrics", "Bearer ", 401, TokenName},
		{"/metrics", "Bearer " + token[1:], 401, TokenName},
		{"/metrics", "Bearer " + token, 200, `customer_up{customer="acme"} 0`},
		{"/metrics/acme", "Bearer x", 401, TokenName},
		{"/metrics/acme", "Bearer " + token, 502, ErrNotRunning.Error()},
		{"/metrics/bolt", "", 401, TokenName},
		{"/metrics/bolt", "Bearer " + token, 404, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, c.path, nil)
		if c.with != "" {
			r.Header.Set("Authorization", c.with)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != c.code || !strings.Contains(w.Body.String(), c.says) || c.with == "" && strings.Contains(w.Body.String(), "acme") {
			t.Errorf("%s with %q: %d %s", c.path, c.with, w.Code, w.Body)
		}
	}
	for _, raw := range []string{"", "short\n"} {
		if err := os.WriteFile(filepath.Join(s.dir, TokenName), []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := metricsToken(s.dir); err == nil || !strings.Contains(err.Error(), "at least 32") {
			t.Errorf("a token %q: %v", raw, err)
		}
	}
}

// pries is a customer's process that tries all doors of its provider's folder, and says which open.
func pries(own string) {
	dir := filepath.Dir(filepath.Dir(own))
	groups, err := os.Getgroups()
	fmt.Fprintln(os.Stderr, "as", os.Getuid(), os.Getgid(), groups, err)
	for _, path := range []string{own, filepath.Join(own, "node.json")} {
		if _, err := os.Stat(path); err != nil {
			fmt.Fprintln(os.Stderr, "its own", path, err)
		}
	}
	acme := Folder(dir, "acme")
	for _, path := range []string{
		filepath.Join(own, "node.json"), dir, filepath.Dir(acme), acme, filepath.Join(acme, "node.json"), filepath.Join(dir, ConfigName), filepath.Join(dir, TokenName),
		filepath.Join(dir, sockets), filepath.Join(dir, logs), LogFile(dir, "acme"), LogFile(dir, "evil"), filepath.Join(dir, "acme.passphrase"),
	} {
		if f, err := os.Open(path); err == nil {
			f.Close()
			fmt.Fprintln(os.Stderr, "opened", path)
		}
		if err := os.Rename(path, path+".x"); err == nil {
			fmt.Fprintln(os.Stderr, "moved", path)
			os.Rename(path+".x", path) //nolint:errcheck // the test looks at what it said
		}
	}
	for _, path := range []string{filepath.Join(dir, SocketName), filepath.Join(dir, sockets, "acme.sock"), filepath.Join(acme, "operator.sock")} {
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			fmt.Fprintln(os.Stderr, "called", path)
		}
	}
	if err := syscall.Kill(os.Getppid(), 0); err == nil {
		fmt.Fprintln(os.Stderr, "may end its supervisor")
	}
}

// TestUser: a customer with a user of its own runs as that user alone, and reads, moves and calls nothing but what is its own. Without the right to run others' processes none is started.
func TestUser(t *testing.T) {
	s := hosts(t, "pries")
	const nobody = 65534
	acme, evil := Folder(s.dir, "acme"), Folder(s.dir, "evil")
	bin := filepath.Join(s.dir, "node")
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	closed := syscall.Umask(0o022)
	defer syscall.Umask(closed)
	stop, err := s.control("")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	if _, err := metricsToken(s.dir); err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Chmod(s.dir, 0o711), os.WriteFile(bin, program, 0o755), os.Mkdir(acme, 0o700), os.Mkdir(evil, 0o700),
		os.WriteFile(filepath.Join(acme, "node.json"), []byte("{}"), 0o600), os.WriteFile(filepath.Join(evil, "node.json"), []byte("{}"), 0o600),
		os.WriteFile(filepath.Join(s.dir, "acme.passphrase"), []byte("words"), 0o600), os.WriteFile(LogFile(s.dir, "acme"), []byte("words"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	theirs, err := net.Listen("unix", filepath.Join(acme, "operator.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	at, err := openPorts(s.dir, "acme")
	if err != nil {
		t.Fatal(err)
	}
	defer at.close()
	root := os.Geteuid() == 0
	if root {
		for _, path := range []string{filepath.Join(evil, "node.json"), evil} {
			if err := os.Chown(path, nobody, nobody); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.cfg.Binary = bin
	err = Edit(s.dir, func(c *Config) error {
		c.Customers = []Customer{{Name: "evil", Identity: identity("evil"), User: &User{nobody, nobody}}}
		return s.apply(*c)
	})
	if err != nil {
		t.Fatal(err)
	}
	if !root {
		if x := s.is(t, "evil", Down); !strings.Contains(x.Why, "operation not permitted") {
			t.Errorf("without the right: %s", x.Why)
		}
		return
	}
	s.is(t, "evil", Stopped)
	var said []string
	for _, line := range s.child("evil").log.tail() {
		said = append(said, strings.TrimPrefix(line, "customer=evil "))
	}
	own := filepath.Join(evil, "node.json")
	if want := []string{"as 65534 65534 [] <nil>", "opened " + own, "moved " + own}; !slices.Equal(said, want) {
		t.Errorf("it said %q, want %q", said, want)
	}
}

// TestDown: a process that ends at once, again and again, stays down and says why, until somebody restarts it; no other is touched. None is started while another process works in its folder.
func TestDown(t *testing.T) {
	s := hosts(t, "ends", "acme", "ill")
	acme := s.is(t, "acme", Running)
	for range 2 {
		x := s.is(t, "ill", Down)
		if x.Started%tries != 0 || !strings.Contains(x.Why, `the last time: exit code 3: "ostraka: its store is damaged"`) || !strings.Contains(x.Why, "provider restart ill") {
			t.Errorf("started %d times: %s", x.Started, x.Why)
		}
		s.child("ill").set(Stopped, "a test")
		if err := s.Restart("ill"); err != nil {
			t.Fatal(err)
		}
	}
	s.is(t, "ill", Down)
	if now := s.is(t, "acme", Running); now.PID != acme.PID || now.Started != 1 {
		t.Errorf("another's process: %+v, was %+v", now, acme)
	}
	if err := os.MkdirAll(Folder(s.dir, "acme"), 0o700); err != nil {
		t.Fatal(err)
	}
	works, err := net.Listen("unix", filepath.Join(Folder(s.dir, "acme"), "operator.sock"))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Restart("acme"); err != nil {
		t.Fatal(err)
	}
	if x := s.is(t, "acme", Waiting); !strings.Contains(x.Why, "another process works in its folder") || x.PID != 0 {
		t.Errorf("a folder in which another works: %+v", x)
	}
	works.Close()
	if x := s.is(t, "acme", Running); x.Started != 2 {
		t.Errorf("it is started: %+v", x)
	}
}
