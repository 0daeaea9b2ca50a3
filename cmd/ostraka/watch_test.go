package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client/notify"
	"github.com/ostraka/ostraka/client/published"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// bundle writes a bundle of what the circle's nodes publish, changed by somebody or not.
func (c *publishedCircle) bundle(dir string, all []*nodetest.Published) {
	c.t.Helper()
	b := verify.Bundle{Format: 1, Circle: "test circle", Made: c.Now}
	for _, p := range all {
		path := "logs/" + p.Name
		b.Logs = append(b.Logs, verify.BundleLog{Operator: p.Name, Path: path})
		if err := os.RemoveAll(filepath.Join(dir, path)); err != nil {
			c.t.Fatal(err)
		}
		if err := p.Write(filepath.Join(dir, path)); err != nil {
			c.t.Fatal(err)
		}
	}
	raw, err := json.Marshal(b)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, verify.PathBundle), raw, 0o600)
	}
	if err != nil {
		c.t.Fatal(err)
	}
}

// A hook takes notices whose signature holds.
type hook struct {
	mu     sync.Mutex
	secret notify.Secret
	types  []string
	bodies []string
	t      *testing.T
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	seconds, _ := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64)
	if r.Header.Get("webhook-signature") != h.secret.Sign(r.Header.Get("webhook-id"), time.Unix(seconds, 0), string(body)) {
		h.t.Errorf("a notice whose signature does not hold: %s", body)
		return
	}
	var form struct{ Type, Circle string }
	if err := json.Unmarshal(body, &form); err != nil || form.Circle == "" {
		h.t.Errorf("notice %s: %v", body, err)
	}
	h.types, h.bodies = append(h.types, form.Type), append(h.bodies, string(body))
}

func (h *hook) took() (types []string, all string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	types, all = h.types, strings.Join(h.bodies, "\n")
	h.types, h.bodies = nil, nil
	return types, all
}

// watch tells of what is new once: what is wrong at first, then signatures and versions, then a log that forked, and that all is well again.
func TestWatch(t *testing.T) {
	config := alone(t)
	refetchWait = time.Millisecond
	t.Cleanup(func() { refetchWait = 2 * time.Second })
	c := publishes(t)
	dir := t.TempDir()
	c.bundle(dir, c.PublishAll())
	site := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer site.Close()
	h := &hook{t: t}
	receiver := httptest.NewServer(h)
	defer receiver.Close()
	code, out, errs := try("notify", "add", "desk", "--watch", "harbour", "--url", receiver.URL, "--json")
	var added struct{ Secret string }
	if err := json.Unmarshal([]byte(out), &added); code != codeDone || err != nil {
		t.Fatalf("notify add --watch: %d, %v: %s%s", code, err, out, errs)
	}
	var err error
	if h.secret, err = notify.ParseSecret(added.Secret); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"notify add pager --watch harbour --url " + receiver.URL, "notify list --watch other"} {
		code, out, errs := try(strings.Fields(line)...)
		if code != codeDone || !strings.Contains(out, "atch ") || !strings.Contains(out, " --watch ") || strings.Contains(out, "ontext") {
			t.Errorf("%s: exit code %d: %s%s", line, code, out, errs)
		}
	}
	if code, out, errs := try("notify", "remove", "pager", "--watch", "harbour"); code != codeDone {
		t.Errorf("exit code %d: %s%s", code, out, errs)
	}
	if _, _, errs := try("notify", "test", "pager", "--watch", "harbour"); !strings.Contains(errs, "next: `ostraka notify list --watch harbour`") {
		t.Errorf("a receiver that is not there: %s", errs)
	}
	look := func(want int) ([]string, string) {
		t.Helper()
		code, out, errs := try("watch", site.URL, "--name", "harbour", "--once", "--json")
		if code != want {
			t.Fatalf("watch: exit code %d, not %d: %s%s", code, want, out, errs)
		}
		return h.took()
	}

	// The circle's clock stands hours before ours: its operators are silent. And no chain is asked.
	types, all := look(codeDone)
	if len(types) != 5 || slices.Contains(types, notify.WatchFailed) || !strings.Contains(all, "operator-0 is silent since") {
		t.Fatalf("the first look tells %q: %s", types, all)
	}
	if types, all = look(codeDone); len(types) != 0 {
		t.Fatalf("the second look tells %q: %s", types, all)
	}
	if code, out, errs := try("watch", site.URL, "--name", "harbour", "--once"); code != codeDone || !strings.HasSuffix(out, " claims hold, nothing is new.\n") {
		t.Fatalf("for people: exit code %d: %s%s", code, out, errs)
	}
	memory := filepath.Join(config, "watch", "harbour", "seen.json")
	before, err := os.ReadFile(memory)
	if err != nil || strings.Count(string(before), "ostraka.log/") < 3 {
		t.Fatalf("%v: %s", err, before)
	}

	s := c.Propose(c.vault, c.address, 1)
	c.Approve(s)
	c.Run("signed everywhere", func() bool { return c.Signed(s) })
	honest := c.PublishAll()
	c.bundle(dir, honest)
	types, all = look(codeDone)
	if !slices.Contains(types, notify.WatchSigned) || !strings.Contains(all, s.ID().String()) || !strings.Contains(all, `"in_logs":3`) || slices.Contains(types, notify.WatchFailed) {
		t.Fatalf("a new signature: %q: %s", types, all)
	}

	// A log that leaves out what it told before, and signs what is left.
	forked := *honest[0]
	forked.Leaves = slices.Delete(slices.Clone(forked.Leaves), len(forked.Leaves)-3, len(forked.Leaves)-2)
	if err := forked.Sign(); err != nil {
		t.Fatal(err)
	}
	c.bundle(dir, []*nodetest.Published{&forked, honest[1], honest[2]})
	seen, _ := os.ReadFile(memory)
	types, all = look(codeUnverified)
	if !slices.Contains(types, notify.WatchFailed) || !strings.Contains(all, "operator operator-0") {
		t.Fatalf("a log that was rewritten: %q: %s", types, all)
	}
	if after, _ := os.ReadFile(memory); string(after) != string(seen) {
		t.Errorf("the checkpoint of a log that was rewritten is remembered:\n%s", after)
	}
	if types, all = look(codeUnverified); len(types) != 0 {
		t.Errorf("it is told again: %q: %s", types, all)
	}
	c.bundle(dir, honest)
	if types, all = look(codeDone); !slices.Contains(types, notify.WatchWell) {
		t.Errorf("well again: %q: %s", types, all)
	}

	// An older state of everything, honestly signed.
	site.Close()
	if types, all = look(codeError); !slices.Contains(types, notify.WatchFailed) || !strings.Contains(all, "can be read") {
		t.Errorf("nothing there: %q: %s", types, all)
	}
}

// What was shown once must be shown still: an honest bundle of before is not taken.
func TestWatchRefusesTheOldState(t *testing.T) {
	alone(t)
	c := publishes(t)
	dir := t.TempDir()
	old := c.PublishAll()
	s := c.Propose(c.vault, c.address, 1)
	c.Approve(s)
	c.Run("signed everywhere", func() bool { return c.Signed(s) })
	c.bundle(dir, c.PublishAll())
	if code, out, errs := try("watch", dir, "--once", "--json"); code != codeDone {
		t.Fatalf("watch: exit code %d: %s%s", code, out, errs)
	}
	c.bundle(dir, old)
	code, out, _ := try("watch", dir, "--once", "--json")
	if code != codeUnverified || strings.Count(out, "and the reader saw") < 3 {
		t.Errorf("exit code %d: %s", code, out)
	}
	if code, out, errs := try("watch", dir, "--every", "5s"); code != codeUsage {
		t.Errorf("--every 5s: %d, %s%s", code, out, errs)
	}
}

// A server that never ends its answer keeps nobody from the others' logs: it is named, and people are told.
func TestSlowServersAreNamed(t *testing.T) {
	alone(t)
	c := publishes(t)
	dirs := c.folders(false)
	served := func(h http.Handler) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	slow := func(dir string) http.HandlerFunc {
		files := http.FileServer(http.Dir(dir))
		return func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.URL.Path, "/entries/") {
				files.ServeHTTP(w, r)
				return
			}
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte{0})
				w.(http.Flusher).Flush()
				time.Sleep(50 * time.Millisecond)
			}
		}
	}
	places := []string{served(slow(dirs[0])), served(http.FileServer(http.Dir(dirs[1]))), served(http.FileServer(http.Dir(dirs[2])))}
	code, r, errs := verified(t, append(places, "--max-time", "4s")...)
	all := strings.Join(failedClaims(r), "\n")
	if code != codeUnverified || len(r.Logs) != 2 || !strings.Contains(all, "log at "+places[0]+": ") || !strings.Contains(all, "the time that it may take ran out: --max-time allows more") ||
		!strings.Contains(errs, places[0]+" costs more than you allow: allow more with --max-time, or ask the operator why\n") {
		t.Errorf("verify: exit code %d, %d logs: %s%s", code, len(r.Logs), all, errs)
	}

	h := &hook{t: t}
	receiver := httptest.NewServer(h)
	defer receiver.Close()
	_, out, _ := try("notify", "add", "desk", "--watch", "slow", "--url", receiver.URL, "--json")
	var added struct{ Secret string }
	err := json.Unmarshal([]byte(out), &added)
	if err == nil {
		h.secret, err = notify.ParseSecret(added.Secret)
	}
	if err != nil {
		t.Fatal(err)
	}
	if code, _, errs := try(append([]string{"watch", "--name", "slow", "--once", "--json", "--timeout", "6s"}, places...)...); code != codeUnverified {
		t.Errorf("watch: exit code %d: %s", code, errs)
	}
	if types, told := h.took(); !slices.Contains(types, notify.WatchFailed) || !strings.Contains(told, places[0]) {
		t.Errorf("it tells %q: %s", types, told)
	}

	// Nothing at all in time: what was told is not told again.
	code, _, errs = try("watch", places[0], "--name", "slow", "--once", "--json", "--timeout", "10ms")
	if types, told := h.took(); code == codeDone || !slices.Contains(types, notify.WatchFailed) {
		t.Errorf("exit code %d, it tells %q: %s%s", code, types, told, errs)
	}
}

// A log that gave way to another, since its node was restored, is let go by name; the failure says how.
func TestWatchForgets(t *testing.T) {
	config := alone(t)
	c := publishes(t)
	dir := t.TempDir()
	all := c.PublishAll()
	c.bundle(dir, all)
	look := func() (int, string) {
		code, out, errs := try("watch", dir, "--name", "desk", "--once")
		return code, out + errs
	}
	if code, text := look(); code != codeDone {
		t.Fatalf("watch: exit code %d: %s", code, text)
	}
	memory := filepath.Join(config, "watch", "desk", "seen.json")
	raw, err := os.ReadFile(memory)
	if err != nil {
		t.Fatal(err)
	}
	m, err := published.DecodeMemory(raw)
	if err != nil {
		t.Fatal(err)
	}
	gone := strings.Replace(all[1].Origin, "/0", "/7", 1)
	key, _ := tlog.Derive(c.Hosts[1].Key, 7)
	signer, err := tlog.NewLogSigner(gone, key)
	if err == nil {
		m.Checkpoints[gone], err = tlog.Checkpoint{Origin: gone, Head: tlog.Head{Size: 9, Root: tlog.Hash{1}}}.Sign(signer)
	}
	if err == nil {
		err = m.Save(memory)
	}
	if err != nil {
		t.Fatal(err)
	}
	code, text := look()
	if code != codeUnverified || !strings.Contains(text, "ostraka watch --name desk --forget "+gone) {
		t.Fatalf("a log that is shown no more: exit code %d: %s", code, text)
	}
	code, _, errs := try("watch", dir, "https://127.0.0.1:1", "--name", "desk", "--once") // it may be there
	if _, next, _ := strings.Cut(errs, "next: "); code != codeUnverified || !strings.Contains(next, "https://127.0.0.1:1 could not be read: look at the address, and try again") || strings.Contains(next, "--forget") {
		t.Fatalf("a log that may be where nobody answers: exit code %d: %s", code, errs)
	}
	if code, _, errs := try("watch", "--name", "desk", "--forget", "ostraka.log/x"); code != codeError || !strings.Contains(errs, all[1].Origin) {
		t.Errorf("a log that is not remembered: exit code %d: %s", code, errs)
	}
	code, out, errs := try("watch", "--name", "desk", "--forget", gone)
	if code != codeDone || !strings.Contains(out, gone) || !strings.Contains(out, "seen with 9 entries") {
		t.Errorf("--forget: exit code %d: %s%s", code, out, errs)
	}
	if code, text := look(); code != codeDone {
		t.Errorf("after it: exit code %d: %s", code, text)
	}
}
