package courier

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client/notify"
)

// hook is a receiver that answers as it is told, and keeps what it was sent.
type hook struct {
	*httptest.Server
	secret notify.Secret
	t      *testing.T

	mu      sync.Mutex
	answers []func(http.ResponseWriter, *http.Request) // one after the other; then 204
	got     []got
}

type got struct{ id, kind, body string }

func newHook(t *testing.T, answers ...func(http.ResponseWriter, *http.Request)) *hook {
	t.Helper()
	h := &hook{t: t, secret: receiver(t, "x", "https://example.org").Secret, answers: answers}
	h.Server = httptest.NewServer(h)
	t.Cleanup(h.Close)
	return h
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		h.t.Error(err)
	}
	id, stamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	at, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" || r.Header.Get("webhook-signature") != h.secret.Sign(id, time.Unix(at, 0), string(raw)) {
		h.t.Errorf("%s with headers %v and body %s: %v", r.Method, r.Header, raw, err)
	}
	var body struct{ Type string }
	if err := json.Unmarshal(raw, &body); err != nil {
		h.t.Error(err)
	}
	h.mu.Lock()
	h.got = append(h.got, got{id, body.Type, string(raw)})
	var answer func(http.ResponseWriter, *http.Request)
	if len(h.answers) > 0 {
		answer, h.answers = h.answers[0], h.answers[1:]
	}
	h.mu.Unlock()
	if answer == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	answer(w, r)
}

func (h *hook) all() []got {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]got(nil), h.got...)
}

func status(code int) func(http.ResponseWriter, *http.Request) {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// stall answers nothing until the request ends.
func stall(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// scene is a courier whose nodes and clock the test holds.
type scene struct {
	t       *testing.T
	folder  string
	mu      sync.Mutex
	shown   notify.Shown
	clock   time.Time
	reports []Report
}

func newScene(t *testing.T, receivers ...Receiver) *scene {
	t.Helper()
	s := &scene{t: t, folder: filepath.Join(t.TempDir(), "notify", "main"), clock: time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)}
	s.shown = notify.Shown{Circle: "test", Whole: true, Nodes: []notify.Node{{Name: "acme"}, {Name: "bolt"}, {Name: "cora"}}}
	var all []Receiver
	for _, r := range receivers {
		var err error
		if all, err = Add(all, r); err != nil {
			t.Fatal(err)
		}
	}
	if err := SaveReceivers(s.folder, all); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *scene) open() *Courier {
	s.t.Helper()
	c, err := Open(s.folder, "main")
	if err != nil {
		s.t.Fatal(err)
	}
	c.now = func() time.Time { s.mu.Lock(); defer s.mu.Unlock(); return s.clock }
	c.Look = func(context.Context) (notify.Shown, error) { s.mu.Lock(); defer s.mu.Unlock(); return s.shown, nil }
	c.Tell = func(r Report) { s.mu.Lock(); defer s.mu.Unlock(); s.reports = append(s.reports, r) }
	return c
}

// once is a run with --once by a program of its own.
func (s *scene) once() int {
	s.t.Helper()
	c := s.open()
	defer c.Close()
	n, err := c.Once(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// waits shows intents that wait for approvals.
func (s *scene) waits(ids ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		s.shown.Intents = append(s.shown.Intents, notify.Intent{IntentData: notify.IntentData{ID: id, Vault: "treasury"}, Expires: s.clock.Add(time.Hour), Waits: true})
	}
}

func (s *scene) pass(d time.Duration) { s.mu.Lock(); defer s.mu.Unlock(); s.clock = s.clock.Add(d) }

func (s *scene) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []string
	for _, r := range s.reports {
		out = append(out, r.What+" "+r.Receiver+" "+r.Reason)
	}
	return strings.Join(out, "\n")
}

func ids(all []got) (out []string) {
	for _, g := range all {
		out = append(out, g.id)
	}
	return out
}

// A receiver that fails is tried again later, by another program, under the same id and with the same body; nothing is told twice.
func TestFailsThenTakes(t *testing.T) {
	h := newHook(t, status(500))
	s := newScene(t, receiver(t, "desk", h.URL))
	s.waits("i1")
	if n := s.once(); n != 1 || len(h.all()) != 1 {
		t.Fatalf("%d wait after a 500, %d were sent", n, len(h.all()))
	}
	if n := s.once(); n != 1 || len(h.all()) != 1 {
		t.Fatalf("%d wait, %d were sent: the receiver is to be left alone for 5 s", n, len(h.all()))
	}
	s.pass(5 * time.Second)
	if n := s.once(); n != 0 {
		t.Errorf("%d wait", n)
	}
	all := h.all()
	if len(all) != 2 || all[0] != all[1] || all[0].kind != notify.IntentWaiting || all[0].id != notify.ID("main", "desk", "intent.waiting/i1") {
		t.Errorf("sent %v", all)
	}
	s.pass(time.Hour / 2)
	if n := s.once(); n != 0 || len(h.all()) != 2 {
		t.Errorf("%d wait, %d were sent: it is told again", n, len(h.all()))
	}
	if said := s.said(); !strings.Contains(said, "failed desk it answers 500") || !strings.Contains(said, "sent desk") {
		t.Errorf("said %s", said)
	}
}

// What a receiver took is not sent again when the program ends before it wrote that down; the id is the same if it is.
func TestRestart(t *testing.T) {
	h := newHook(t)
	s := newScene(t, receiver(t, "desk", h.URL))
	s.waits("i1")
	c := s.open()
	if _, err := c.round(t.Context()); err != nil { // what is new is in the file before anything is sent
		t.Fatal(err)
	}
	c.Close()
	s.shown.Intents = nil // the nodes hide it since
	if n := s.once(); n != 0 || len(h.all()) != 1 {
		t.Errorf("%d wait, sent %v: what was seen is lost", n, h.all())
	}
	// A crash between the answer and the file: the file is the old one.
	if err := os.WriteFile(filepath.Join(s.folder, bookFile), c.saved, 0o600); err != nil {
		t.Fatal(err)
	}
	s.once()
	if all := h.all(); len(all) != 2 || all[0] != all[1] {
		t.Errorf("sent %v", all)
	}
}

// What cannot be written down is not sent; what was taken then is not sent again.
func TestDiskFull(t *testing.T) {
	h := newHook(t)
	s := newScene(t, receiver(t, "desk", h.URL))
	s.waits("i1")
	c := s.open()
	defer c.Close()
	full := func(is bool) {
		t.Helper()
		mode := os.FileMode(0o700)
		if is {
			if err := os.Remove(filepath.Join(s.folder, bookFile)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(s.folder, bookFile), mode); err != nil { // nothing replaces a folder
				t.Fatal(err)
			}
		} else if err := os.Remove(filepath.Join(s.folder, bookFile)); err != nil {
			t.Fatal(err)
		}
	}
	full(true)
	if _, err := c.Once(t.Context()); err == nil || len(h.all()) > 0 {
		t.Fatalf("%v, sent %v: it was not written down", err, h.all())
	}
	full(false)
	if _, err := c.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	full(true)
	r := receiver(t, "desk", h.URL)
	for range 3 {
		var none *noneDue
		if err := c.deliver(t.Context(), r); !errors.As(err, &none) {
			t.Fatal(err)
		}
	}
	full(false)
	if err := c.deliver(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if len(h.all()) != 1 || len(c.book.Queues["desk"].Waiting) != 0 || !strings.Contains(s.said(), "trouble desk write what was told") {
		t.Errorf("sent %v, %d wait; said %s", h.all(), len(c.book.Queues["desk"].Waiting), s.said())
	}
}

// A redirect is followed nowhere: the other host gets nothing, and the notice waits.
func TestRedirect(t *testing.T) {
	other := newHook(t)
	for _, code := range []int{301, 302, 303, 307, 308} {
		h := newHook(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL+"/"+credential, code) })
		s := newScene(t, receiver(t, "desk", h.URL))
		s.waits("i1")
		if n := s.once(); n != 1 || len(other.all()) > 0 || !strings.Contains(s.said(), "is not followed") || strings.Contains(s.said(), credential) {
			t.Errorf("%d: %d wait, the other host got %v; said %s", code, n, other.all(), s.said())
		}
	}
}

// A receiver that answers nothing ends in a time-out, and holds up no other.
func TestStall(t *testing.T) {
	slow, quick := newHook(t, stall, stall, stall), newHook(t)
	s := newScene(t, receiver(t, "a-slow", slow.URL), receiver(t, "quick", quick.URL))
	s.waits("i1")
	c := s.open()
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx, time.Hour); close(done) }()
	until(t, "the quick one is told", func() bool { return len(quick.all()) == 1 })
	cancel()
	<-done
	if n := len(slow.all()); n > 1 || len(c.book.Queues["a-slow"].Waiting) != 1 || c.book.Queues["a-slow"].Failures != 0 {
		t.Errorf("the slow one got %d, %+v: an interruption is no failure", n, c.book.Queues["a-slow"])
	}
	c.http = newHTTP(50 * time.Millisecond)
	if n, err := c.Once(t.Context()); err != nil || n != 1 || !strings.Contains(s.said(), "failed a-slow") {
		t.Errorf("%d wait, %v; said %s", n, err, s.said())
	}
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// Run tells what comes while it runs, to receivers that come while it runs, and leaves alone those that go.
func TestRun(t *testing.T) {
	first, second := newHook(t), newHook(t)
	s := newScene(t, receiver(t, "desk", first.URL))
	c := s.open()
	defer c.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx, 10*time.Millisecond); close(done) }()
	s.waits("i1")
	until(t, "i1 is told", func() bool { return len(first.all()) == 1 })
	if err := SaveReceivers(s.folder, []Receiver{receiver(t, "desk", first.URL), receiver(t, "night", second.URL)}); err != nil {
		t.Fatal(err)
	}
	until(t, "the new one is told what is open", func() bool { return len(second.all()) == 1 })
	if err := SaveReceivers(s.folder, []Receiver{receiver(t, "night", second.URL)}); err != nil {
		t.Fatal(err)
	}
	until(t, "the first has no queue", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.book.Queues["desk"] == nil })
	s.waits("i2")
	until(t, "i2 is told", func() bool { return len(second.all()) == 2 })
	if err := SaveReceivers(s.folder, []Receiver{receiver(t, "night", first.URL)}); err != nil { // it moved
		t.Fatal(err)
	}
	until(t, "the move is seen", func() bool { s.waits(fmt.Sprint("m", time.Now().UnixNano())); return len(first.all()) > 1 })
	cancel()
	<-done
	if got := ids(second.all()); got[0] != notify.ID("main", "night", "intent.waiting/i1") {
		t.Errorf("ids %v", got)
	}
}

// A receiver gets nothing by plain http elsewhere, nor by TLS that the system does not trust.
func TestUntrustedTLS(t *testing.T) {
	h := &hook{t: t, secret: receiver(t, "x", "https://example.org").Secret}
	h.Server = httptest.NewTLSServer(h)
	t.Cleanup(h.Close)
	s := newScene(t, receiver(t, "desk", h.URL+"/"+credential))
	s.waits("i1")
	if n := s.once(); n != 1 || len(h.all()) > 0 || !strings.Contains(s.said(), "certificate") || strings.Contains(s.said(), credential) {
		t.Errorf("%d wait, it got %v; said %s", n, h.all(), s.said())
	}
}

// Of an answer 4 KiB are read, and nothing that may be a credential comes back from it.
func TestAnswer(t *testing.T) {
	h := newHook(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(404)
		fmt.Fprintf(w, "no %s here, user %s\xff", r.URL.RequestURI(), r.Header.Get("Authorization"))
		fmt.Fprint(w, strings.Repeat("x", 100_000))
	})
	r := receiver(t, "desk", strings.Replace(h.URL, "http://", "http://carol:"+credential+"@", 1)+"/a/"+credential+"?k=t0k3nvalue")
	a, err := Send(t.Context(), r, notify.Notice{ID: "msg_1", Body: `{"type":"x"}`})
	if err == nil || a.Status != 404 || len(a.Body) > maxAnswer+2 || !strings.HasPrefix(a.Body, "no … here, user Basic …�x") || strings.Contains(a.Body+err.Error(), credential) || strings.Contains(a.Body, "t0k3n") {
		t.Errorf("%v; %d bytes: %.200s", err, len(a.Body), a.Body)
	}
	gone := receiver(t, "desk", "http://carol:"+credential+"@127.0.0.1:1/"+credential)
	if _, err := Send(t.Context(), gone, notify.Notice{ID: "msg_1", Body: `{}`}); err == nil || strings.Contains(err.Error(), credential) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody there: %v", err)
	}
}

// One program watches a context.
func TestLock(t *testing.T) {
	s := newScene(t)
	c := s.open()
	if _, err := Open(s.folder, "main"); !errors.Is(err, ErrRuns) {
		t.Errorf("a second one: %v", err)
	}
	c.Close()
	s.open().Close()
	if err := os.WriteFile(filepath.Join(s.folder, bookFile), c.saved, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(s.folder, "other"); err == nil || !strings.Contains(err.Error(), `context "main"`) {
		t.Errorf("another context's book: %v", err)
	}
	if err := os.WriteFile(filepath.Join(s.folder, bookFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the lock is let go of
		if _, err := Open(s.folder, "main"); err == nil || errors.Is(err, ErrRuns) || !strings.Contains(err.Error(), "told anew") {
			t.Errorf("a spoilt book: %v", err)
		}
	}
}

// Nothing that this end could not ask says anything of the nodes.
func TestBlind(t *testing.T) {
	h := newHook(t)
	s := newScene(t, receiver(t, "desk", h.URL))
	c := s.open()
	defer c.Close()
	c.Look = func(context.Context) (notify.Shown, error) { return notify.Shown{}, errors.New("no key") }
	if _, err := c.Once(t.Context()); err == nil || err.Error() != "no key" {
		t.Error(err)
	}
	raw, err := json.Marshal(c.book.Known)
	if err != nil || strings.Contains(string(raw), "acme") || !c.book.Known.Since.IsZero() {
		t.Errorf("%s, %v", raw, err)
	}
}

// No file of notices but that of the receivers holds a secret or a URL, and others may read none.
func TestFilesAreQuiet(t *testing.T) {
	h := newHook(t, status(500))
	s := newScene(t, receiver(t, "desk", h.URL+"/"+credential))
	s.waits("i1")
	s.once()
	entries, err := os.ReadDir(s.folder)
	if err != nil || len(entries) != 3 {
		t.Fatalf("%v, %v", entries, err)
	}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(s.folder, e.Name()))
		info, _ := e.Info()
		if holds := strings.Contains(string(raw), credential) || strings.Contains(string(raw), "whsec_"); err != nil || holds != (e.Name() == receiversFile) || info.Mode().Perm() != 0o600 {
			t.Errorf("%s, mode %v: holds a secret: %v, %v", e.Name(), info.Mode(), holds, err)
		}
	}
	if info, err := os.Stat(s.folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: %v, %v", info.Mode(), err)
	}
}
