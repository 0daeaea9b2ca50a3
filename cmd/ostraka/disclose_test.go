package main

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A build without the verifier for browsers writes the page with what it found, and says how to get the verifier. A folder of one's own stays as it is.
func TestDisclose(t *testing.T) {
	alone(t)
	c := publishes(t)
	dirs := c.folders(false)
	out := filepath.Join(t.TempDir(), "public")
	publish := func(args ...string) (int, string, string) {
		return try(append(append([]string{"disclose", "publish"}, dirs...), args...)...)
	}
	code, said, errs := publish("-o", out)
	if code != codeDone || !strings.HasPrefix(said, "The disclosure of ") || !strings.HasSuffix(said, " claims hold.\n") {
		t.Fatalf("exit code %d: %s%s", code, said, errs)
	}
	next := "next: make wasm, then ostraka disclose publish " + strings.Join(dirs, " ") + " -o " + out + " --wasm console/wasm/dist\n"
	if !strings.Contains(errs, next) || strings.Count(errs, "make wasm") != 1 {
		t.Errorf("it says %q, not %q", errs, next)
	}
	page, err := os.ReadFile(filepath.Join(out, "index.html"))
	if err != nil || !strings.Contains(string(page), "this page checks nothing") {
		t.Errorf("the page: %v", err)
	}
	if code, said, errs := publish("-o", out); code != codeDone || !strings.Contains(said, " 0 of them new") {
		t.Errorf("again: exit code %d: %s%s", code, said, errs)
	}
	pinned := []string{"--max-entries", "5000"}
	for _, h := range c.Hosts {
		pinned = append(pinned, "--operator", fmt.Sprintf("%s=%s%x", h.Own.Name, identityPrefix, []byte(h.Own.Identity)))
	}
	next = "disclose publish " + strings.Join(append(slices.Clone(dirs), pinned...), " ") + " -o " + out + " --wasm console/wasm/dist\n"
	if code, said, errs := publish(append(pinned, "-o", out)...); code != codeDone || !strings.Contains(errs, next) {
		t.Errorf("with identities: exit code %d: %s%s, not %q", code, said, errs, next)
	}
	if code, r, errs := verified(t, out); code != codeDone {
		t.Errorf("exit code %d: %q%s", code, failedClaims(r), errs)
	}

	// One place that does not answer: named once, and the others are published.
	partly := filepath.Join(t.TempDir(), "partly")
	code, said, errs = try("disclose", "publish", dirs[0], dirs[1], "https://127.0.0.1:1", "-o", partly)
	if code != codeUnverified || !strings.Contains(said, "NOT REACHED: https://127.0.0.1:1: fetch") {
		t.Errorf("one is away: exit code %d: %s%s", code, said, errs)
	}

	// None answers: nothing is changed.
	before, _ := os.ReadFile(filepath.Join(out, "report.json"))
	code, said, errs = try("disclose", "publish", "https://127.0.0.1:1", "https://127.0.0.1:2", "-o", out)
	if code != codeNotReady || said != "" || !strings.Contains(errs, "none of the 2 places answered; the folder is as it was") {
		t.Errorf("all are away: exit code %d: %s%s", code, said, errs)
	}
	if after, err := os.ReadFile(filepath.Join(out, "report.json")); err != nil || string(after) != string(before) {
		t.Errorf("the report is another: %v", err)
	}
	fresh := filepath.Join(t.TempDir(), "fresh")
	if code, _, errs := try("disclose", "publish", "https://127.0.0.1:1", "-o", fresh); code != codeNotReady || !strings.Contains(errs, "https://127.0.0.1:1 did not answer") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, err := os.Stat(fresh); !os.IsNotExist(err) {
		t.Errorf("an empty folder is left: %v", err)
	}

	// Folders and files that are somebody's own.
	mine := t.TempDir()
	file := filepath.Join(mine, "README.md")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		out  string
		code int
		want string
	}{
		{mine, codeError, mine + " is not empty and holds no disclosure\n  next: name a new folder"},
		{file, codeUsage, file + " is a file: name a folder"},
		{"/proc/foo", codeError, "next: name a folder that you may write: -o FOLDER"},
	} {
		if code, said, errs := publish("-o", x.out); code != x.code || said != "" || !strings.Contains(errs, x.want) {
			t.Errorf("-o %s: exit code %d: %s%s", x.out, code, said, errs)
		}
	}
	if code, _, errs := try("log", "export", mine); code != codeError || !strings.Contains(errs, mine+" is not empty and holds no log") {
		t.Errorf("log export: exit code %d: %s", code, errs)
	}
	if entries, _ := os.ReadDir(mine); len(entries) != 1 {
		t.Errorf("%s holds %v", mine, entries)
	}
}

// What a place is mistaken for is said: a folder of logs, a node's link, http.
func TestVerifyWhatIsMeant(t *testing.T) {
	alone(t)
	c := publishes(t)
	dirs := c.folders(false)
	all := t.TempDir()
	for _, d := range dirs {
		if err := os.CopyFS(filepath.Join(all, filepath.Base(d)), os.DirFS(d)); err != nil {
			t.Fatal(err)
		}
	}
	code, r, errs := verified(t, all)
	if code != codeDone || len(r.Logs) != 3 {
		t.Errorf("a folder of logs: exit code %d, %d logs: %s", code, len(r.Logs), errs)
	}
	again := filepath.Join(all, filepath.Base(dirs[0]))
	if code, out, errs := try(append([]string{"verify", again}, dirs...)...); code != codeDone || !strings.Contains(out, " is a further copy of operator-0's log\n") || !strings.Contains(out, " of 3 logs, ") {
		t.Errorf("one log twice: exit code %d: %s%s", code, out, errs)
	}
	link := httptest.NewUnstartedServer(http.NotFoundHandler())
	link.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS13}
	link.StartTLS()
	defer link.Close()
	if code, _, errs := try("verify", link.URL, "--insecure"); code != codeError || !strings.Contains(errs, "this is the port between nodes: use the node's people's port, 7701 unless it was changed") {
		t.Errorf("a node's link: exit code %d: %s", code, errs)
	}
	for name, answer := range map[string]http.HandlerFunc{
		"a node speaks https": func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "Client sent an HTTP request to an HTTPS server.", http.StatusBadRequest)
		},
	} {
		s := httptest.NewServer(answer)
		defer s.Close()
		if code, _, errs := try("verify", s.URL); code != codeError || !strings.Contains(errs, name) || !strings.Contains(errs, "next: check the addresses: a node's is https://HOST:PORT") {
			t.Errorf("%s: exit code %d: %s", name, code, errs)
		}
	}

	// Nothing of a circle: no id of one.
	empty := filepath.Join(all, filepath.Base(dirs[0]))
	for _, below := range []string{"body"} {
		if err := os.RemoveAll(filepath.Join(empty, below)); err != nil {
			t.Fatal(err)
		}
	}
	code, out, _ := try("verify", empty)
	if code != codeUnverified || !strings.Contains(out, "circle unknown: ") || strings.Contains(out, "0000000000000000") {
		t.Errorf("no circle: exit code %d: %s", code, out)
	}
	_, out, _ = try("verify", empty, "--json")
	var doc struct {
		ID *string `json:"circle_id"`
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.ID == nil || *doc.ID != "" {
		t.Errorf("its id is %v: %v", doc.ID, err)
	}
}
