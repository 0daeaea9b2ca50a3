package test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/door"
	"github.com/ostraka/ostraka/node/provider"
)

// rented is a provider with a customer "ill", to which everything happens, beside the three nodes of a circle. That one provider has all three of a circle is for the
// test alone: the charter's control rules would not have it.
type rented struct {
	trio
	dir     string
	run_    *exec.Cmd
	log     bytes.Buffer
	link    []string
	people  []string
	metrics string
	ill     []byte // identity
}

func (x *rented) provider(args ...string) string {
	x.t.Helper()
	cmd := exec.CommandContext(x.t.Context(), binary, append([]string{"provider", "--dir", x.dir, "--json"}, args...)...)
	out, err := cmd.Output()
	if err != nil {
		text := ""
		if e, ok := err.(*exec.ExitError); ok {
			text = string(e.Stderr)
		}
		x.t.Fatalf("provider %s: %v: %s%s", strings.Join(args, " "), err, out, text)
	}
	return string(out)
}

func (x *rented) start() {
	x.t.Helper()
	x.run_ = exec.Command(binary, "provider", "run", "--dir", x.dir)
	x.run_.Stderr = &x.log
	x.run_.Env = append(os.Environ(), "OSTRAKA_TEST_MARK=inherited")
	if err := x.run_.Start(); err != nil {
		x.t.Fatal(err)
	}
	x.until("the supervisor answers", func() bool {
		return provider.Ask(x.t.Context(), x.dir, "GET", "status", &provider.Status{}) == nil
	})
}

func (x *rented) status() map[string]provider.Standing {
	x.t.Helper()
	var s provider.Status
	if err := provider.Ask(x.t.Context(), x.dir, "GET", "status", &s); err != nil {
		x.t.Fatal(err)
	}
	out := map[string]provider.Standing{}
	for _, c := range s.Customers {
		out[c.Name] = c
	}
	return out
}

func (x *rented) state(name string, want provider.State) provider.Standing {
	x.t.Helper()
	var s provider.Standing
	x.until(name+" is "+string(want), func() bool { s = x.status()[name]; return s.State == want })
	return s
}

// pids are the processes of all but the one that is ill.
func (x *rented) pids() string {
	x.t.Helper()
	return fmt.Sprint(x.status()["acme"].PID, x.status()["bolt"].PID, x.status()["cora"].PID)
}

func (x *rented) signs(nonce string) {
	x.t.Helper()
	id := x.propose(nonce)
	x.approve(id)
	x.until("intent "+id+" is signed", func() bool {
		_, out := x.trio.run("tx", "show", "--json", id, "--key", x.KeyFile("alice"))
		return strings.Contains(out, `"signed"`)
	})
}

func newRented(t *testing.T) *rented {
	t.Helper()
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	x := &rented{trio: trio{t: t}, dir: filepath.Join(dir, "p")}
	args := []string{"init"}
	for range 3 {
		l, _ := local.FreeAddress()
		p, _ := local.FreeAddress()
		x.link, x.people = append(x.link, l), append(x.people, p)
		args = append(args, "--link", l, "--people", p)
	}
	x.metrics, _ = local.FreeAddress()
	x.provider(append(args, "--metrics", x.metrics)...)
	x.start()
	t.Cleanup(func() {
		x.run_.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended
		x.run_.Wait()                          //nolint:errcheck
		if t.Failed() {
			t.Logf("supervisor:\n%s", x.log.String())
		}
	})
	hosted := 0
	add := func(_ context.Context, o *local.Operator) error {
		i := hosted
		hosted++
		out := x.provider(append([]string{"add", o.Name, "--operator", o.Name, "--entity", o.Entity, "--officer", o.Officer + ".pub", "--advertise", x.link[i], "--passphrase-file", o.Passphrase}, local.LightSeal...)...)
		var doc struct{ Identity string }
		if err := json.Unmarshal([]byte(out), &doc); err != nil {
			return err
		}
		o.Dir, o.Link, o.People = provider.Folder(x.dir, o.Name), x.link[i], x.people[i]
		o.Identity, err = client.ParseIdentity(doc.Identity)
		return err
	}
	x.Circle, err = local.Start(t.Context(), local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Dir: dir, Chain: "eip155:31337", Initiator: "alice", Approvers: []string{"bob", "carol"}, Quorum: 2, Host: add,
	})
	if err != nil {
		t.Fatal(err)
	}
	ill := &local.Operator{Name: "ill", Entity: "Acme Custody Ltd", Officer: x.Operators[0].Officer, Passphrase: filepath.Join(dir, "ill.passphrase")}
	if err := os.WriteFile(ill.Passphrase, []byte("the ill customer's passphrase\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	hosted = 0
	if err := add(t.Context(), ill); err != nil {
		t.Fatal(err)
	}
	x.ill = ill.Identity
	return x
}

// founded has a vault with an account, that the circle signs with.
func founded(t *testing.T) *rented {
	t.Helper()
	x := newRented(t)
	for _, step := range []func(context.Context) error{x.Found, x.CreateVault, x.AwaitVault} {
		if err := step(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	x.must(0, "", "account", "create", "--vault", "treasury", "ops/main", "--key", x.KeyFile("alice"))
	x.must(0, "", "address", "new", "treasury", "ops/main", "--key", x.KeyFile("alice"))
	return x
}

// TestProvider: what happens to one customer happens to no other. Nodes that end again and again, and a supervisor that is killed, are for the night (TestProviderEnds) and for stand-ins (node/provider TestDown).
func TestProvider(t *testing.T) {
	x := founded(t)
	ill := x.state("ill", provider.Running)
	if rss, err := local.ResidentMemory(ill.PID); err == nil {
		t.Logf("a customer's idle node takes %d MiB", rss>>20)
	}
	well := x.pids()
	x.signs("0")
	x.secrets(ill)

	// A flood at its doors, of those who say whom they want and of those who do not.
	for i := range 400 {
		c, err := net.Dial("tcp", x.link[i%3])
		if err != nil {
			continue
		}
		defer c.Close()
		if i%2 == 0 {
			go tls.Client(c, &tls.Config{ServerName: door.Name(x.ill, door.Link), InsecureSkipVerify: true}).Handshake() //nolint:errcheck // a flood
		} else {
			c.Write([]byte{22, 3, 1}) //nolint:errcheck // likewise
		}
	}
	x.signs("1")
	if _, err := tls.Dial("tcp", x.people[0], &tls.Config{ServerName: "nobody.example", InsecureSkipVerify: true}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
		t.Errorf("the door for a name that nobody has: %v", err)
	}

	// Killed: it is started again, and alone.
	if err := syscall.Kill(ill.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	x.until("it is started again", func() bool {
		s := x.status()["ill"]
		return s.State == provider.Running && s.PID != ill.PID
	})

	// Its door takes other bounds at once; its node's own limits start it anew.
	before := x.status()["ill"].PID
	x.provider("limits", "ill", "--connections", "7", "--log-bytes", "262144")
	if s := x.status()["ill"]; s.PID != before || s.Link.Max != 7 {
		t.Errorf("limits of its doors: %+v", s)
	}
	x.provider("limits", "ill", "--signatures-per-minute", "100")
	x.until("it is started anew", func() bool {
		s := x.status()["ill"]
		return s.State == provider.Running && s.PID != before
	})
	if !strings.Contains(x.provider("status"), `"ill"`) {
		t.Error("the command does not show it")
	}
	x.provider("remove", "ill")
	x.state("ill", provider.Retired)
	if code, body := x.ask("/healthz"); code != http.StatusOK {
		t.Errorf("health: %d %s", code, body)
	}
	if _, body := x.ask("/metrics"); !strings.Contains(body, `ostraka_provider_customer_up{customer="acme"} 1`) || !strings.Contains(body, `ostraka_provider_customer_up{customer="ill"} 0`) {
		t.Errorf("metrics: %s", body)
	}
	if _, body := x.ask("/metrics/acme"); !strings.Contains(body, "ostraka_log_entries") {
		t.Errorf("a customer's metrics: %s", body)
	}
	if now := x.pids(); now != well {
		t.Errorf("other customers' processes were %s, and are %s", well, now)
	}
	x.ends()
}

// ends ends the supervisor, and with it all its customers.
func (x *rented) ends() {
	x.t.Helper()
	was := x.status()
	if err := x.run_.Process.Signal(syscall.SIGTERM); err != nil {
		x.t.Fatal(err)
	}
	if err := x.run_.Wait(); err != nil {
		x.t.Errorf("the supervisor ends: %v", err)
	}
	for name, s := range was {
		if s.PID != 0 && syscall.Kill(s.PID, 0) == nil {
			x.t.Errorf("%s: process %d goes on", name, s.PID)
		}
	}
}

// secrets looks for the passphrase where other processes can read it.
func (x *rented) secrets(ill provider.Standing) {
	x.t.Helper()
	for _, file := range []string{"cmdline", "environ"} {
		for _, pid := range []int{ill.PID, x.run_.Process.Pid} {
			raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			if err != nil {
				x.t.Fatal(err)
			}
			if bytes.Contains(raw, []byte("ill customer's")) || pid == ill.PID && bytes.Contains(raw, []byte("OSTRAKA_")) {
				x.t.Errorf("%s of process %d: %q", file, pid, raw)
			}
		}
	}
}

func (x *rented) ask(path string) (code int, body string) {
	x.t.Helper()
	token, err := os.ReadFile(filepath.Join(x.dir, provider.TokenName))
	if err != nil {
		x.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(x.t.Context(), http.MethodGet, "http://"+x.metrics+path, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		x.t.Fatal(err)
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err != nil {
		x.t.Fatal(err)
	}
	return res.StatusCode, string(raw)
}
