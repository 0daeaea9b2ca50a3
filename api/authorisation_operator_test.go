package api

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"

	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/link"
	"github.com/ostraka/ostraka/node/nodetest"
)

const operatorPath = "/ostraka.v1.Operator/"

// open serves both interfaces of the node that is asked as `ostraka node run` does: people's over TLS, the operator's at a socket.
func (f *matrix) open(quit context.CancelFunc) (network, socket door) {
	f.t.Helper()
	h := f.w.Hosts[0]
	must := func(err error) {
		if err != nil {
			f.t.Fatal(err)
		}
	}
	l, err := link.New(link.Config{Key: h.Key, Listen: "127.0.0.1:0", Receive: func(ed25519.PublicKey, []byte) {}})
	must(err)
	f.t.Cleanup(l.Close)
	dir, err := os.MkdirTemp("", "ostraka") // a test's own folder has too long a name for a socket
	must(err)
	f.t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, node.SocketName)
	people, err := net.Listen("tcp", "127.0.0.1:0")
	must(err)
	own, err := net.Listen("unix", path)
	must(err)
	stop, err := Serve(quit, slog.New(slog.DiscardHandler))(&node.Daemon{Node: h.Node, Started: f.w.Now, Key: h.Key, Link: l}, people, own)
	must(err)
	f.t.Cleanup(func() { stop(context.Background()) }) //nolint:errcheck // the test is over
	unpinned := &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13, CurvePreferences: []tls.CurveID{tls.X25519MLKEM768}}
	outside := &http.Transport{TLSClientConfig: unpinned, DisableKeepAlives: true}
	inside := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}
	return door{"https://" + people.Addr().String(), &http.Client{Transport: outside}}, door{"http://operator", &http.Client{Transport: inside}}
}

// controls are the operator's calls: what each is asked for, and what its answer or error holds.
var controls = map[string]struct {
	asks string
	body func(f *matrix) any
	want string
}{
	"Status":         {"–", plain("{}"), `"circle":"test circle"`},
	"Invite":         {"an operator to come", plain(map[string]string{"operator": "dora"}), `"line":"ostraka-invite-v1,`},
	"Drop":           {"an operator that nobody invited", plain(map[string]string{"operator": "eve"}), "nobody joined as operator"},
	"Join":           {"half a line", plain(map[string]string{"line": "x"}), "copy the whole line"},
	"PrepareRoster":  {"the roster in force", plain(map[string]string{"circle": "again"}), "nothing changes in circle"},
	"Charter":        {"–", plain("{}"), `"versions":["`},
	"PrepareCharter": {"a version that does not wait", plain(map[string]string{"id": "00000000"}), "waits at this node"},
	"PrepareVeto":    {"a version that does not wait", plain(map[string]string{"id": "00000000"}), "waits at this node"},
	"PrepareRevocation": {"a person's first key", func(f *matrix) any {
		return map[string]string{"person": "ines", "key": nodetest.NewPerson(f.t, "ines").Key.String()}
	}, `"fresh":true`},
	"PrepareFreeze":   {"a vault that the operator holds", func(f *matrix) any { return map[string]any{"vault": b64(f.vaults[0].id[:]), "seconds": 3600} }, `"fresh":true`},
	"PrepareUnfreeze": {"a vault that is not frozen", func(f *matrix) any { return ofVault(f, f.vaults[0]) }, "is not frozen"},
	"PrepareVault":    {"a vault that the charter does not list", plain(map[string]string{"name": "nothing"}), "vault nothing is not in version"},
	"PrepareReshare": {"another committee", func(f *matrix) any {
		return map[string]any{"vault": b64(f.vaults[0].id[:]), "committee": []string{"operator-0", "operator-3"}, "threshold": 2}
	}, `"fresh":true`},
	"Accept":         {"no statement", plain(map[string]string{"statement": b64([]byte("x"))}), "line feed"},
	"Refresh":        {"a vault that the operator holds", func(f *matrix) any { return ofVault(f, f.vaults[0]) }, `"state":"ready"`},
	"Activate":       {"a vault that nobody asks SOS for", func(f *matrix) any { return ofVault(f, f.vaults[0]) }, "no SOS request of the vault is ACTIVE"},
	"Vaults":         {"–", plain("{}"), `"state":"ready"`},
	"Intents":        {"–", plain("{}"), `"state":"proposed"`},
	"Intent":         {"an open intent", func(f *matrix) any { return map[string]string{"id": b64(f.vaults[1].intent[:])} }, `"state":"proposed"`},
	"Sessions":       {"–", plain("{}"), `"sessions":[`},
	"LogHead":        {"–", plain("{}"), `"size":"`},
	"LogEntries":     {"–", plain("{}"), `"entries":[{"leaf":"`},
	"LogProof":       {"an entry that is not there", plain(map[string]string{"index": "1000000"}), "the last is number"},
	"LogTile":        {"a tile that is not there", plain(map[string]any{"level": 6, "width": 1}), "has no tile of level 6"},
	"LogRead":        {"–", plain("{}"), `"finished":true`},
	"ConfirmRestore": {"a node that is not fenced", plain("{}"), "not fenced"},
	"CutExport":      {"a stream, as one message", plain("{}"), ""},
	"NoteBackup":     {"no header", plain("{}"), "backup header"},
	"Backups":        {"–", plain("{}"), `"keys":[{"`},
	"Answer":         {"no request of which the operator is a subject", plain(map[string]any{"proofs": true}), "{}"},
	"Replicas":       {"–", plain("{}"), "{}"},
	"HandOver":       {"a node of one process", plain("{}"), "one process with a store of its own"},
	"Stop":           {"–", plain("{}"), "{}"},
}

func plain(body any) func(*matrix) any { return func(*matrix) any { return body } }

// Over the network no route of the operator's interface exists, whoever asks; at the socket each answers as spec/authorisation.md says.
func TestAuthorisationOfTheOperator(t *testing.T) {
	f := newMatrix(t)
	p := readPage(t, "6. The operator's interface")
	stopped := make(chan struct{})
	network, socket := f.open(func() { close(stopped) })
	f.doors[0] = network
	outside := map[string]string{"network, no token": "", "network, initiator": f.token(0, "ines"), "network, its own officer": f.token(0, "officer-0")}
	for _, name := range methods("Operator") { // Stop is the last of them
		c, ok := controls[name]
		if !ok {
			t.Errorf("Operator/%s: this test does not know how to call it", name)
			continue
		}
		for _, column := range sortedKeys(outside) {
			code, why, _ := f.at(network, operatorPath+name, outside[column], c.body(f))
			p.expect(name+", "+c.asks, column, code, why)
		}
		code, why, answer := f.at(socket, operatorPath+name, "", c.body(f))
		p.expect(name+", "+c.asks, "socket", either(code), why)
		if !strings.Contains(why+text(t, answer), c.want) {
			t.Errorf("%s: %s %v; want %q", name, why, answer, c.want)
		}
	}
	p.done()
	for _, name := range methods("People") {
		if code, _, _ := f.at(socket, peoplePath+name, "", "{}"); code != "404" {
			t.Errorf("People/%s answers %q at the operator's socket", name, code)
		}
	}
	select {
	case <-stopped:
	case <-time.After(time.Minute):
		t.Error("Stop does not stop the node")
	}
}

// drafts are what officers sign at their node, each anew.
var drafts = map[string]func(f *matrix) (statement.Statement, error){
	"charter": func(f *matrix) (statement.Statement, error) {
		d := f.w.Document()
		d.Heartbeat = 2 * time.Hour
		a, _, err := f.w.Hosts[0].Charters.Prepare(time.Now(), d)
		return a.Statement, err
	},
	"freeze of a vault that it holds": func(f *matrix) (statement.Statement, error) {
		return f.w.Hosts[0].Charters.PrepareFreeze(time.Now(), f.vaults[0].id, time.Hour, "")
	},
	"revocation of its own person's key": func(f *matrix) (statement.Statement, error) {
		return f.w.Hosts[0].Charters.PrepareRevocation(time.Now(), "admin-0", nodetest.NewPerson(f.t, "admin-0").Key.String(), "")
	},
	"revocation of a customer's key": func(f *matrix) (statement.Statement, error) {
		return f.w.Hosts[0].Charters.PrepareRevocation(time.Now(), "otis", nodetest.NewPerson(f.t, "otis").Key.String(), "")
	},
	"reshare of a vault that it holds": func(f *matrix) (statement.Statement, error) {
		a, _, err := f.w.Hosts[0].Circle.PrepareReshare(time.Now(), nodetest.Wish(f.vaults[0].id, 2, f.w.Hosts[0], f.w.Hosts[3]))
		return a.Statement, err
	},
	"roster without operator-3": func(f *matrix) (statement.Statement, error) {
		_, r, _ := f.w.Hosts[0].Circle.Roster()
		r.Previous, r.Version, r.Created, r.Operators = r.ID, r.Version+1, time.Now().Truncate(time.Second), r.Operators[:3]
		return r.Statement(f.w.Salt())
	},
	"unfreeze of a vault that it holds": func(f *matrix) (statement.Statement, error) {
		a, _, err := f.w.Hosts[0].Charters.PrepareUnfreeze(time.Now(), f.vaults[0].id)
		return a.Statement, err
	},
	"vault that the charter lists": func(f *matrix) (statement.Statement, error) {
		a, _, err := f.w.Hosts[0].Circle.PrepareVault(time.Now(), "third")
		return a.Statement, err
	},
	"veto of a version that waits": func(f *matrix) (statement.Statement, error) {
		return f.w.Hosts[0].Charters.PrepareVeto(time.Now(), f.w.Hosts[0].Charters.Pending()[0].ID.String(), "")
	},
	"veto in another operator's name": func(f *matrix) (statement.Statement, error) {
		return charter.Veto{Charter: f.w.Hosts[0].Charters.Pending()[0].ID, Operator: "operator-1", Created: time.Now()}.Statement(f.w.Salt())
	},
	"intent": func(f *matrix) (statement.Statement, error) { return f.intentOf(f.vaults[0], "ines"), nil },
	"hello": func(f *matrix) (statement.Statement, error) {
		return charter.Hello{Roster: f.vaults[0].id, Identity: f.w.Hosts[0].Own.Identity, Person: nodetest.NewPerson(f.t, "officer-0").Key, Created: time.Now()}.Statement(f.w.Salt())
	},
}

// freeze makes one that can be ended.
func (f *matrix) freeze() {
	f.t.Helper()
	h := f.w.Hosts[0]
	freeze, err := h.Charters.PrepareFreeze(time.Now(), f.vaults[0].id, 2*time.Hour, "")
	if err == nil {
		_, err = h.Charters.Accept(f.t.Context(), time.Now(), freeze, h.Officer.Makes(f.t, freeze))
	}
	if err != nil {
		f.t.Fatal(err)
	}
}

// What is handed in at the socket must bear the signature of an officer of the node's own operator: whoever opened the socket has no other
// power over what others must sign.
func TestAuthorisationOfAcceptance(t *testing.T) {
	f := newMatrix(t)
	p := readPage(t, "7. Signing at the socket")
	_, socket := f.open(func() {})
	f.freeze()
	accept := func(x submission) (string, string) {
		code, why, _ := f.at(socket, operatorPath+"Accept", "", x.signed)
		return either(code), why
	}
	for _, name := range sortedKeys(drafts) {
		for _, by := range []struct{ role, person string }{{"stranger", "mallory"}, {"initiator", "ines"}, {"other operator's officer", "officer-1"}, {"its own officer", "officer-0"}} {
			s, err := drafts[name](f)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			x := f.signed(s, by.person)
			for _, c := range []struct {
				how string
				submission
			}{{"altered", x.altered(t)}, {"fresh", x}, {"replayed", x}} {
				code, why := accept(c.submission)
				p.expect(name+", "+c.how, by.role, code, why)
			}
		}
	}
	p.done()
}
