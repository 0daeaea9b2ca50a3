package test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// hooks receive the notices of a story: hook starts one and sets $HOOK, or answers 500 with `hook fails`; told TYPE FIELD VALUE waits for a notice of
// that type whose data has the value, and told-times TYPE N counts those that came.
type hooks struct {
	mu    sync.Mutex
	fails bool
	got   []notice
}

type notice struct {
	Type   string
	Circle string
	Data   map[string]any
}

func (h *hooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	var n notice
	if err != nil || h.fails || json.Unmarshal(raw, &n) != nil || !strings.HasPrefix(r.Header.Get("webhook-signature"), "v1,") {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	h.got = append(h.got, n)
	_, _ = io.WriteString(w, "taken at "+r.URL.Path)
}

func (h *hooks) hook(ts *testscript.TestScript, _ bool, args []string) {
	h.mu.Lock()
	h.fails = slices.Contains(args, "fails")
	h.mu.Unlock()
	if len(args) == 0 && ts.Getenv("HOOK") == "" {
		s := httptest.NewServer(h)
		ts.Defer(s.Close)
		ts.Setenv("HOOK", s.URL)
	}
}

func (h *hooks) told(ts *testscript.TestScript, _ bool, args []string) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		h.mu.Lock()
		ok := slices.ContainsFunc(h.got, func(n notice) bool {
			raw, err := json.Marshal(n.Data[args[1]])
			return err == nil && n.Type == args[0] && n.Circle == "demonstration" && strings.Trim(string(raw), `"`) == args[2]
		})
		h.mu.Unlock()
		if ok {
			return
		}
	}
	ts.Fatalf("never told %s with %s %s; told %v", args[0], args[1], args[2], h.got)
}

func (h *hooks) times(ts *testscript.TestScript, _ bool, args []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := 0
	for _, x := range h.got {
		if x.Type == args[0] {
			n++
		}
	}
	if args[1] != string(rune('0'+n)) {
		ts.Fatalf("told %s %d times, want %s: %v", args[0], n, args[1], h.got)
	}
}
