package test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/internal/components/anvil"
	"github.com/ostraka/ostraka/internal/components/chromium"
)

// A command is a run of the program that may ask for a passkey on a page.
type command struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  chan string
	out  bytes.Buffer
	errs bytes.Buffer
	read chan struct{}
}

var pageURL = regexp.MustCompile(`http://localhost:\d+/[A-Z2-7]+/`)

// begin starts the program. Its environment names the circle's contexts.
func begin(t *testing.T, contexts string, args ...string) *command {
	t.Helper()
	c := &command{t: t, url: make(chan string, 1), read: make(chan struct{})}
	c.cmd = exec.Command(binary, append(args, "--no-browser")...)
	c.cmd.Env = append(os.Environ(), client.FileVariable+"="+contexts, "SSH_AUTH_SOCK=")
	c.cmd.Stdout = &c.out
	stderr, err := c.cmd.StderrPipe()
	if err == nil {
		err = c.cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.cmd.Process.Kill() }) // it may have ended
	go func() {
		defer close(c.read)
		defer close(c.url)
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			fmt.Fprintln(&c.errs, lines.Text())
			if u := pageURL.FindString(lines.Text()); u != "" {
				c.url <- u
			}
		}
	}()
	return c
}

// page is the address that the program prints.
func (c *command) page() string {
	c.t.Helper()
	u, ok := <-c.url
	if !ok {
		c.end(0, "", "")
		c.t.Fatalf("%v asks for no passkey: %s", c.cmd.Args, c.out.String())
	}
	return u
}

// end waits for the program and holds its exit code and what it says against what is expected.
func (c *command) end(code int, out, errs string) {
	c.t.Helper()
	<-c.read
	_ = c.cmd.Wait() // the exit code says it
	got := c.cmd.ProcessState.ExitCode()
	if got != code || !strings.Contains(c.out.String(), out) || !strings.Contains(c.errs.String(), errs) {
		c.t.Fatalf("%v: exit code %d, want %d\n%s%s", c.cmd.Args, got, code, c.out.String(), c.errs.String())
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	addr, err := local.FreeAddress()
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// passkeyCircle is a circle whose only approver has a passkey and nothing else.
type passkeyCircle struct {
	t       *testing.T
	browser *chromium.Browser
	port    string
	local   *local.Circle
	key     string // file with bob's passkey
}

func (w *passkeyCircle) begin(args ...string) *command {
	return begin(w.t, w.local.ContextsFile(), args...)
}

// done runs a command as alice to its end.
func (w *passkeyCircle) done(args ...string) map[string]any {
	w.t.Helper()
	c := w.begin(append(args, "--json", "--key", w.local.KeyFile("alice"))...)
	c.end(0, "{", "")
	var doc map[string]any
	if err := json.Unmarshal(c.out.Bytes(), &doc); err != nil {
		w.t.Fatal(err)
	}
	return doc
}

func (w *passkeyCircle) propose() string {
	w.t.Helper()
	id, _ := w.done("tx", "propose", "--no-wait", "--vault", local.VaultName, "--account", "ops/main", "--to", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "--amount", "0.1", "--memo", "<b>rent</b>")["id"].(string)
	return id
}

// approve begins an approval whose page is loaded.
func (w *passkeyCircle) approve(id string) *command {
	w.t.Helper()
	c := w.begin("tx", "approve", id, "--key", w.key)
	w.load(c)
	return c
}

// load opens the page, and waits until it asks: the program prints the address a moment before.
func (w *passkeyCircle) load(c *command) {
	w.t.Helper()
	if code := w.browser.Go(c.page()); code != http.StatusOK {
		w.t.Fatalf("page: HTTP %d", code)
	}
	w.browser.Await(`document.querySelector("#go") ? "yes" : ""`)
}

const (
	heading = `document.querySelector("h1").textContent`
	over    = `document.querySelector("main").dataset.over || ""`
)

// until waits for the page of a step.
func (w *passkeyCircle) until(title string) {
	w.t.Helper()
	w.browser.Await(fmt.Sprintf("%s === %q ? 'yes' : ''", heading, title))
}

// passkeysFound lets the browser make bob's passkey, and founds the circle whose charter lists it.
func passkeysFound(t *testing.T) *passkeyCircle {
	chain := anvil.Start(t)
	dir, err := os.MkdirTemp("", "o")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	c, err := local.Start(ctx, local.Config{
		Suite: charter.SuiteECDSA, Binary: binary, Dir: dir, Chain: "eip155:31337", RPC: map[string]string{"eip155:31337": chain.URL},
		Initiator: "alice", Approvers: []string{"bob"}, Quorum: 1,
	})
	t.Cleanup(c.Stop)
	if err != nil {
		t.Fatal(err)
	}
	w := &passkeyCircle{t, chromium.Start(t, "MAP attacker.example 127.0.0.1"), freePort(t), c, filepath.Join(dir, "bob.passkey")}
	w.register()
	for _, step := range []func(context.Context) error{c.Found, c.CreateVault, c.AwaitVault} {
		if err := step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	w.done("account", "create", "--vault", local.VaultName, "ops/main")
	address, _ := w.done("address", "new", local.VaultName, "ops/main")["address"].(string)
	chain.SetBalance(t, address, "0xde0b6b3a7640000")
	return w
}

func (w *passkeyCircle) register() {
	w.t.Helper()
	c := w.begin("person", "passkey", "bob", "--port", w.port)
	w.load(c)
	w.browser.Click("#go")
	c.end(0, "webauthn-p256 localhost http://localhost:"+w.port+" ", "Fingerprint SHA256:")
	line := c.out.Bytes()
	for path, mode := range map[string]os.FileMode{w.local.KeyFile("bob") + ".pub": 0o644, w.key: 0o600} {
		if err := os.WriteFile(path, line, mode); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := os.Remove(w.local.KeyFile("bob")); err != nil {
		w.t.Fatal(err)
	}
}

func TestPasskey(t *testing.T) {
	w := passkeysFound(t)
	id := w.propose()
	answer := w.approves(id)
	next := w.propose()
	for _, x := range []struct {
		name    string
		hostile func(w *passkeyCircle, id string)
	}{
		{"other hosts", (*passkeyCircle).otherHosts}, {"other site", (*passkeyCircle).otherSite}, {"phished", (*passkeyCircle).phished},
		{"altered challenge", (*passkeyCircle).alteredChallenge}, {"replay", func(w *passkeyCircle, id string) { w.replay(id, answer) }},
		{"interrupted", (*passkeyCircle).interrupted},
	} {
		t.Run(x.name, func(t *testing.T) {
			within := *w
			within.t, within.browser = t, w.browser.For(t)
			x.hostile(&within, next)
		})
		if doc := w.done("tx", "show", next); doc["state"] != "proposed" {
			t.Errorf("after %s the intent is %v", x.name, doc["state"])
		}
	}
}

// approves logs bob in at every node and approves, on one page. It returns the answer that the page gave.
func (w *passkeyCircle) approves(id string) string {
	t, b := w.t, w.browser
	t.Helper()
	c := w.approve(id)
	if title := b.Run(heading + ` + " " + document.querySelector("main").dataset.auto`); !strings.HasPrefix(title, "Log in at node ") || !strings.HasSuffix(title, " false") {
		t.Fatalf("page %q, or it begins without a click", title)
	}
	b.Click("#go")
	w.until("Approve as bob?")
	facts := b.Run(`document.querySelector("#facts").textContent`)
	for _, fact := range []string{"0.1 coins (100000000000000000 wei)", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "<b>rent</b>", "eip155:31337"} {
		if !strings.Contains(facts, fact) {
			t.Errorf("the page does not show %s: %s", fact, facts)
		}
	}
	// A second answer to a step is not taken.
	b.Run(`(() => { const real = fetch; window.sent = []; window.fetch = async (...a) => { if (a[1] && a[1].body) { sent.push(a[1].body); window.first = await real(...a); window.second = await real(...a); return first; } return real(...a); }; return ""; })()`)
	b.Click("#go")
	if codes := b.Await(`window.second ? first.status + " " + second.status : ""`); codes != "204 409" {
		t.Errorf("answers: HTTP %s", codes)
	}
	c.end(0, "approved as bob at acme, bolt, cora", strings.TrimSpace(facts))
	b.Await(over)
	for limit := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		doc := w.done("tx", "show", id)
		if doc["signed"] != nil {
			break
		}
		if time.Now().After(limit) {
			t.Fatalf("not signed: %v", doc)
		}
	}
	return b.Run("sent[0]")
}

// A name that points to this machine, and the address itself, are other sites.
func (w *passkeyCircle) otherHosts(id string) {
	c := w.begin("tx", "approve", id, "--key", w.key)
	page := c.page()
	for _, host := range []string{"attacker.example", "127.0.0.1"} {
		if code := w.browser.Go(strings.Replace(page, "localhost", host, 1)); code != http.StatusMisdirectedRequest {
			w.t.Errorf("%s: HTTP %d", host, code)
		}
	}
	w.browser.Go(page)
	w.until("Approve as bob?")
	c.interrupt()
}

func (c *command) interrupt() {
	c.t.Helper()
	if err := c.cmd.Process.Signal(syscall.SIGINT); err != nil {
		c.t.Fatal(err)
	}
	c.end(1, "", "interrupted")
}

// site is a page of another origin on this machine.
func site(t *testing.T) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>hostile</title><body>")
	}))
	t.Cleanup(s.Close)
	return strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
}

// Another site's page that knows the address can neither read nor answer it: console's own tests see
// that no page can frame it.
func (w *passkeyCircle) otherSite(id string) {
	b := w.browser
	c := w.approve(id)
	page := strings.TrimSuffix(b.Run("location.href"), "#")
	b.Go(site(w.t))
	for name, script := range map[string]string{
		"read":   `fetch(%q, {credentials: "include"}).then((r) => "read " + r.status, () => "no")`,
		"answer": `fetch(%q + "answer/1", {method: "POST", credentials: "include", headers: {"Content-Type": "application/json"}, body: "{}"}).then((r) => "taken " + r.status, () => "no")`,
		"form":   `fetch(%q + "answer/1", {method: "POST", mode: "no-cors", credentials: "include", body: "{}"}).then(() => "no", () => "no")`,
	} {
		if got := b.Run(fmt.Sprintf(script, page)); got != "no" {
			w.t.Errorf("%s: %s", name, got)
		}
	}
	b.Go(page) // the step is still asked
	w.until("Approve as bob?")
	c.interrupt()
}

// phished: a page of another port gets the passkey to sign the very challenge, since its rpID is the same, and knows how to hand it
// in. The answer names the page that it was made on.
func (w *passkeyCircle) phished(id string) {
	b := w.browser
	c := w.approve(id)
	page, ask := b.Run("location.href"), b.Run(`document.querySelector("main").dataset.ask`)
	b.Go(site(w.t))
	stolen := b.Run(fmt.Sprintf(`(async () => { const o = PublicKeyCredential.parseRequestOptionsFromJSON(JSON.parse(%q).options);
		return JSON.stringify((await navigator.credentials.get({publicKey: o})).toJSON()); })()`, ask))
	b.Go(page)
	w.hands(stolen)
	c.end(4, "", "it was made on a page of")
}

// hands lets the page itself hand in an answer, which is refused.
func (w *passkeyCircle) hands(answer string) {
	w.t.Helper()
	code := w.browser.Run(fmt.Sprintf(`fetch("answer/" + document.querySelector("main").dataset.step, {method: "POST", headers: {"Content-Type": "application/json"}, body: %q}).then((r) => "" + r.status)`, answer))
	if code != "422" {
		w.t.Errorf("HTTP %s", code)
	}
}

func (w *passkeyCircle) replay(id, answer string) {
	c := w.approve(id)
	w.hands(answer)
	c.end(4, "", "its challenge is of other bytes")
}

func (w *passkeyCircle) alteredChallenge(id string) {
	c := w.approve(id)
	w.browser.Run(`(() => { const m = document.querySelector("main"), a = JSON.parse(m.dataset.ask); a.options.challenge = "A".repeat(43); m.dataset.ask = JSON.stringify(a); return ""; })()`)
	w.browser.Click("#go")
	c.end(4, "", "its challenge is of other bytes")
}

// interrupted by Ctrl-C: nothing is signed, and a click that comes too late is told so.
func (w *passkeyCircle) interrupted(id string) {
	c := w.approve(id)
	c.interrupt()
	w.browser.Click("#go")
	w.browser.Await(`document.querySelector("#status").textContent.includes("did not take the answer") ? "yes" : ""`)
}
