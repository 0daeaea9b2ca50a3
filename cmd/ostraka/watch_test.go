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
