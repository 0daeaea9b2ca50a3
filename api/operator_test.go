package api

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/link"
	"github.com/ostraka/ostraka/node/nodetest"
)

// socket serves the operator's interface of the first node, as it stands behind the socket.
func (f *fixture) socket(quit context.CancelFunc) {
	f.t.Helper()
	h := f.w.Hosts[0]
	l, err := link.New(link.Config{Key: h.Key, Listen: "127.0.0.1:0", Receive: func(ed25519.PublicKey, []byte) {}})
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(l.Close)
	d := &node.Daemon{Node: h.Node, Started: f.w.Now, Key: h.Key, Link: l}
	mux := http.NewServeMux()
	mux.Handle(ostrakav1connect.NewOperatorHandler(&operator{views: &views{d}, quit: quit}, connect.WithReadMaxBytes(maxRequest)))
	server := httptest.NewServer(mux)
	f.t.Cleanup(server.Close)
	f.server[0] = server
}

// Every procedure of the operator's interface has a row: what it answers once the circle
// stands.
func TestOperatorProcedures(t *testing.T) {
	f := newFixture(t)
	stopped, answered := make(chan struct{}), map[string]bool{}
	f.socket(func() { close(stopped) })
	file := []byte(strings.Replace(f.w.VaultFile("treasury", 2), "  - operator-2\n", "", 1))
	for name, c := range map[string]struct {
		body any
		code string
		want string // in the message, or in the answer
	}{
		"Status":         {"{}", "", `"circle":"test circle"`},
		"Invite":         {map[string]string{"operator": "dora"}, "", `"line":"ostraka-invite-v1,`},
		"Drop":           {map[string]string{"operator": "eve"}, "failed_precondition", "nobody joined as operator"},
		"Join":           {map[string]string{"line": "x"}, "invalid_argument", "copy the whole line"},
		"PrepareRoster":  {map[string]string{"circle": "again"}, "failed_precondition", "nothing changes in circle"},
		"PrepareVault":   {map[string]string{"file": b64([]byte(strings.Replace(string(file), "quorum: 2", "quorum: 1", 1)))}, "failed_precondition", "differs in quorum"},
		"PrepareReshare": {map[string]any{"vault": b64(f.vault[:]), "committee": []string{"operator-0", "operator-2"}, "threshold": 2}, "", `"fresh":true`},
		"Accept":         {map[string]string{"statement": b64([]byte("x")), "signature": ""}, "invalid_argument", ""},
		"Vaults":         {"{}", "", `"state":"ready"`},
		"Intents":        {"{}", "", `"state":"signed"`},
		"Intent":         {map[string]string{"id": b64(f.intent[:])}, "", `"verdict":"allow"`},
		"Sessions":       {"{}", "", `"protocol":"sign"`},
		"Refresh":        {map[string]string{"vault": b64(f.vault[:])}, "", `"state":"ready"`},
		"ConfirmRestore": {"{}", "failed_precondition", "not fenced"},
		"Stop":           {"{}", "", "{}"},
	} {
		code, message, answer := f.call(0, "/ostraka.v1.Operator/"+name, "", c.body)
		raw, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		if code != c.code || !strings.Contains(message+string(raw), c.want) {
			t.Errorf("%s: %q %s %s, want %q with %q", name, code, message, raw, c.code, c.want)
		}
		answered[name] = true
	}
	for _, name := range methods("Operator") {
		if !answered[name] {
			t.Errorf("Operator/%s has no row", name)
		}
	}
	select {
	case <-stopped:
	case <-time.After(time.Minute):
		t.Error("Stop does not stop the node")
	}
}

// No answer of either interface holds a share, a data key or an identity's seed.
func TestNoSecretInAnswers(t *testing.T) {
	f := newFixture(t)
	s := nodetest.NewScanner()
	v, _ := f.w.Hosts[0].Keeper.Root(f.vault, charter.SuiteECDSA)
	for _, h := range f.w.Hosts[:2] {
		keys, err := f.w.Keys(h, v.Current.Record)
		if err != nil {
			t.Fatal(err)
		}
		s.Add("share of "+h.Own.Name, keys.Share.Bytes())
		s.Add("data key of "+h.Own.Name, h.DEK)
		s.Add("identity of "+h.Own.Name, h.Key.Seed())
		for peer, p := range keys.Pairs {
			s.Add("seed that "+h.Own.Name+" shares with "+peer.String(), p.Seed.Expose())
		}
	}
	token := f.token(0, "officer-0")
	look := func(prefix, name string, body any) {
		_, message, answer := f.call(0, prefix+name, token, body)
		raw, err := json.Marshal(answer)
		if err != nil {
			t.Fatal(err)
		}
		if found := s.Find(append(raw, message...)); len(found) > 0 {
			t.Errorf("%s shows %v", name, found)
		}
	}
	for name, r := range table {
		look(peoplePath, name, r.body(f))
	}
	f.socket(func() {})
	for _, name := range methods("Operator") {
		look("/ostraka.v1.Operator/", name, map[string]string{})
	}
	planted, err := json.Marshal(map[string][]byte{"x": f.w.Hosts[0].DEK})
	if err != nil || len(s.Find(planted)) == 0 {
		t.Fatalf("a data key in an answer is not found: %v", err)
	}
}
