package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/client/courier"
	"github.com/ostraka/ostraka/client/notify"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

const hookCredential = "t0psecret"

// notified is a contexts file with one node that is not there.
func notified(t *testing.T) string {
	t.Helper()
	dir := alone(t)
	const id = "ed25519:3e97a43b5587267e4442a7e6927da5b6c9c7215651115f654ff5fbdf57335d59"
	if code, _, errs := try("context", "add", "acme", "127.0.0.1:1", id); code != codeDone {
		t.Fatal(errs)
	}
	return dir
}

// The secret is shown by add alone; of the URL nothing but the host is ever shown.
func TestNotifyIsQuiet(t *testing.T) {
	dir := notified(t)
	answer := http.StatusTeapot
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(answer)
		fmt.Fprintf(w, "\x1b[2Jhello from %s", r.URL.Path)
	}))
	url := s.URL + "/" + hookCredential
	code, out, errs := try("notify", "add", "desk", "--url", url, "--event", "intent.*", "--vault", "treasury", "--json")
	_, rest, ok := strings.Cut(out, `"secret": "whsec_`)
	secret, _, _ := strings.Cut(rest, `"`)
	if code != codeDone || !ok || len(secret) != 44 {
		t.Fatalf("add: %d, %s%s", code, out, errs)
	}
	said := strings.Replace(out, secret, "", 1) + errs
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"notify add desk --url " + url, codeError, "there is already a receiver"},
		{"notify add night --url http://u:" + hookCredential + "@example.org/", codeUsage, "--url: the URL is http"},
		{"notify add night --url https://example.org/%zz" + hookCredential, codeUsage, "not of the form"},
		{"notify add Night --url https://example.org", codeUsage, "name: "},
		{"notify add night --url https://example.org --event intent", codeUsage, "is not known"},
		{"notify add night", codeUsage, "url"},
		{"notify list", codeDone, "events: intent.*; vaults: treasury"},
		{"notify list --json", codeDone, `"where": "` + s.URL + `/…"`},
		{"notify test desk", codeError, "  [2Jhello from …\n"},
		{"notify test desk --json", codeError, `"status": 418`},
		{"notify test night", codeError, "`ostraka notify list` shows"},
		{"notify run --every 1ms", codeUsage, "--every is 1s or more"},
		{"notify run --once --key " + dir + "/none", codeError, "give a key file that exists"},
		{"notify run --once --context other", codeError, "no such context"},
		{"notify remove night", codeError, "no such receiver"},
		{"notify", codeUsage, "needs a command: add, list, remove, run, test"},
	} {
		code, out, errs := try(strings.Fields(c.args)...)
		if said += out + errs; code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: code %d, %s%s; want %d and %q", c.args, code, out, errs, c.code, c.want)
		}
	}
	s.Close()
	code, out, errs = try("notify", "test", "desk")
	if said += out + errs; code != codeNotReady || !strings.Contains(errs, "refused") {
		t.Errorf("nobody there: %d, %s%s", code, out, errs)
	}
	if strings.Contains(said, secret) || strings.Contains(said, hookCredential) {
		t.Errorf("a secret or a URL was shown: %s", said)
	}
	if code, out, errs := try("notify", "remove", "desk", "--json"); code != codeDone || !strings.Contains(out, `"removed": "desk"`) {
		t.Errorf("remove: %d, %s%s", code, out, errs)
	}
	if raw, err := os.ReadFile(filepath.Join(dir, "notify", "default", "receivers.json")); err != nil || strings.Contains(string(raw), secret) {
		t.Errorf("the secret stays: %s, %v", raw, err)
	}
}

// The URL can come by stdin, and a passkey cannot watch.
func TestNotifyInput(t *testing.T) {
	dir := notified(t)
	var o, e strings.Builder
	if code := run([]string{"notify", "add", "desk", "--url", "-"}, strings.NewReader("https://example.org/"+hookCredential+"\n"), &o, &e); code != codeDone || strings.Contains(o.String()+e.String(), hookCredential) {
		t.Errorf("code %d: %s%s", code, o.String(), e.String())
	}
	all, err := courier.LoadReceivers(filepath.Join(dir, "notify", "default"))
	if err != nil || len(all) != 1 || all[0].URL.Reveal() != "https://example.org/"+hookCredential {
		t.Errorf("%v, %v", all, err)
	}
	key := filepath.Join(dir, "passkey")
	if err := os.WriteFile(key, []byte(signettest.NewPasskey(statement.Passkey256, "here").Line()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := try("notify", "run", "--once", "--key", key); code != codeRefused || !strings.Contains(errs, "nobody is there") {
		t.Errorf("a passkey: %d, %s%s", code, out, errs)
	}
}

// What fails at this end is not blamed on nodes, and what fails there is.
func TestWhoIsToBlame(t *testing.T) {
	down := client.Failure{Node: "acme", Err: fmt.Errorf("log in: %w", client.ErrNoKey)}
	lies := client.Failure{Node: "bolt", Err: &client.VerifyError{Node: "bolt", Err: errors.New("x")}}
	nodes := func(f ...client.Failure) error { return &client.NodesError{What: "x", Need: 1, Failures: f} }
	for name, c := range map[string]struct {
		failed []client.Failure
		err    error
		want   bool
	}{
		"nothing wrong": {nil, nil, false}, "no key": {[]client.Failure{down}, nodes(down), true}, "one lies": {[]client.Failure{down, lies}, nodes(down, lies), false},
		"they differ": {nil, &client.Difference{}, false}, "a file": {nil, io.ErrUnexpectedEOF, true},
		"the agent": {[]client.Failure{{Node: "acme", Err: &client.UnsignedError{}}}, nodes(down), true},
	} {
		if got := unseen(client.Look{Failures: c.failed}, c.err); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if n := failingNode(lies); n.Kind != notify.NodeFailing {
		t.Errorf("a liar is %+v", n)
	}
	if n := failingNode(client.Failure{Node: "acme", Err: &client.LagError{What: "x"}}); n.Kind != notify.NodeFailing || n.Reason != "x" {
		t.Errorf("one that lags is %+v", n)
	}
	l := client.Look{Held: []string{"cora"}, Failures: []client.Failure{lies}, Apart: []*client.Difference{{What: "x", Groups: [][]string{{"bolt"}}}}}
	s := shownOf("main", l, io.EOF, time.Now())
	if s.Whole || s.Circle != "main" || len(s.Nodes) != 2 || s.Nodes[0].Name != "bolt" || s.Nodes[1].Kind != "" || len(s.Apart) != 1 {
		t.Errorf("%+v", s)
	}
}

// What the rules show is told as it stands: versions with what differs, those that wait, freezes with the vault's name, revocations.
func TestRulesAreShown(t *testing.T) {
	doc := func(quorum int) charter.Document {
		return charter.Document{Circle: "harbour", Vaults: []charter.Blueprint{{Name: "treasury", Quorum: quorum}}}
	}
	vault, due := statement.ID{7}, time.Date(2026, 10, 1, 12, 0, 0, 0, time.UTC)
	key := keyOf(t, signettest.NewPasskey(statement.Passkey256, "here").Line())
	r := client.Rules{
		History: charter.History{{ID: statement.ID{1}, Version: 0, Document: doc(1)}, {ID: statement.ID{2}, Version: 1, Document: doc(3)}},
		Pending: []client.Pending{{
			Charter: charter.Charter{ID: statement.ID{3}, Version: 2, Document: doc(2)}, Signed: []string{"acme"}, Missing: []string{"bolt"},
			Vetoes: []charter.Veto{{Operator: "cora"}}, Due: map[string]time.Time{"acme": due},
		}},
		Frozen:  []client.Frozen{{Vault: vault, Operator: "cora", Expires: "2026-10-04T12:00:00Z", Reason: "why", Nodes: []string{"acme"}}},
		Revoked: map[string]charter.Revocation{"x": {Person: "bob", Key: key, Reason: "lost"}},
	}
	l := client.Look{Rules: r, Vaults: []client.Vault{{Vault: charter.Vault{ID: vault, Name: "treasury"}}}, Held: []string{"acme"}}
	s := shownOf("main", l, nil, due)
	if !s.Whole || s.Circle != "harbour" || len(s.Enacted) != 2 || s.Enacted[1].ID != (statement.ID{2}).String() || len(s.Enacted[0].Changes) > 0 || len(s.Enacted[1].Changes) != 1 || s.Enacted[1].Changes[0].Looser {
		t.Errorf("in force: %+v", s.Enacted)
	}
	p := s.Pending[0]
	if len(s.Pending) != 1 || p.Version.Version != 2 || p.Signed[0] != "acme" || p.Missing[0] != "bolt" || p.Vetoed[0] != "cora" || !p.Due["acme"].Equal(due) || len(p.Changes) != 1 || !p.Changes[0].Looser {
		t.Errorf("waiting: %+v", s.Pending)
	}
	if f := s.Freezes[0]; f.Vault != "treasury" || f.VaultID != vault.String() || f.Operator != "cora" || f.Reason != "why" || f.Nodes[0] != "acme" {
		t.Errorf("frozen: %+v", f)
	}
	if v := s.Revoked[0]; v.Person != "bob" || v.Key != key.Fingerprint() || v.Reason != "lost" {
		t.Errorf("revoked: %+v", v)
	}
}

// What cannot be compared is told as looser: nobody hides a change by making it odd.
func TestChangesThatCannotBeCompared(t *testing.T) {
	was, is := charter.Document{Policy: "permit (principal, action, resource);"}, charter.Document{Policy: "("}
	if all := changesBetween(was, is); len(all) == 0 || !all[len(all)-1].Looser {
		t.Errorf("%+v", all)
	}
}
