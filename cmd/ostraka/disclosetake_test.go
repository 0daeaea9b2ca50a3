package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/console/wasm"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// An operator that calls its log another's takes no place in the folder, whichever is read first; what is not reached keeps nothing out.
func TestDisclosePublish(t *testing.T) {
	alone(t)
	old := refetchWait
	refetchWait = time.Millisecond
	t.Cleanup(func() { refetchWait = old })
	c := publishes(t)
	all := c.PublishAll()
	serve := func(dir string) string {
		s := httptest.NewServer(http.FileServer(http.Dir(dir)))
		t.Cleanup(s.Close)
		return s.URL
	}
	posing, err := all[2].Pose(all[1].Name, c.Hosts[2].Key, 0)
	if err != nil {
		t.Fatal(err)
	}
	hostile := t.TempDir()
	if err := posing.Write(hostile); err != nil {
		t.Fatal(err)
	}
	var honest []string
	for _, dir := range c.folders(false) {
		honest = append(honest, serve(dir))
	}
	out, stub := filepath.Join(t.TempDir(), "disclosure"), t.TempDir()
	for _, name := range []string{wasm.ProgramFile, wasm.RuntimeFile} {
		if err := os.WriteFile(filepath.Join(stub, name), []byte("stub"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	publish := func(args ...string) (int, disclosedDocument) {
		t.Helper()
		code, text, errs := try(append([]string{"disclose", "publish", "--json", "-o", out, "--wasm", stub}, args...)...)
		var doc disclosedDocument
		if err := json.Unmarshal([]byte(text), &doc); err != nil {
			t.Fatalf("exit code %d: %v: %s%s", code, err, text, errs)
		}
		return code, doc
	}
	listed := func() (names []string) {
		for _, below := range []string{"", "logs"} {
			entries, err := os.ReadDir(filepath.Join(out, below))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				names = append(names, e.Name())
			}
		}
		slices.Sort(names)
		return names
	}
	code, doc := publish(append([]string{serve(hostile)}, honest...)...)
	if code != codeDone || len(doc.Logs) != 3 || len(doc.Missing) != 1 {
		t.Errorf("exit code %d: %+v", code, doc)
	}
	for _, why := range doc.Missing {
		if !strings.Contains(why, "it is the log of operator-2, and calls itself operator-1") {
			t.Errorf("it says %q", why)
		}
	}
	first := listed()
	for range 2 {
		if code, doc := publish(serve(hostile), honest[0], honest[2], "http://127.0.0.1:1"); code != codeDone || len(doc.Logs) != 3 || len(doc.Missing) != 2 {
			t.Errorf("exit code %d: %+v", code, doc)
		}
	}
	if now := listed(); !slices.Equal(now, first) {
		t.Errorf("the folder has %q, and had %q", now, first)
	}
	keys, err := os.ReadFile(filepath.Join(out, "logs", all[1].Name, tlog.PathKeys))
	if err != nil || string(keys) != string(all[1].Keys) {
		t.Errorf("%v: in its place lies %s", err, keys)
	}
	if code, r, _ := verified(t, out); code != codeDone {
		t.Errorf("what was published: %q", failedClaims(r))
	}
	_, text, _ := try("disclose", "publish", serve(hostile), honest[0], honest[2], "http://127.0.0.1:1", "-o", out, "--wasm", stub)
	if !strings.Contains(text, "  NOT REACHED: http://127.0.0.1:1: fetch ") || !strings.Contains(text, "  NOT TAKEN: http://127.0.0.1:") {
		t.Errorf("for people: %s", text)
	}
	// What was interrupted before it had a list goes on.
	if err := os.Remove(filepath.Join(out, verify.PathBundle)); err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq("index.html page.css page.js worker.js report.json wasm_exec.js verify.wasm.gz") {
		if err := os.Remove(filepath.Join(out, name)); err != nil {
			t.Fatal(err)
		}
	}
	for name := range strings.FieldsSeq(".new/00 before/x") {
		if err := os.MkdirAll(filepath.Join(out, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if code, doc := publish(honest...); code != codeDone || len(doc.Logs) != 3 {
		t.Errorf("exit code %d: %+v", code, doc)
	}
	// Too large a log is left out, and named.
	code, doc = publish(append(honest, "--max-entries", "3")...)
	if code == codeDone || len(doc.Missing) != 3 {
		t.Errorf("exit code %d: %+v", code, doc)
	}
}
