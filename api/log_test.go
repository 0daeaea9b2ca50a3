package api

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/publish"
	"github.com/ostraka/ostraka/node/store"
)

// published is a circle of three whose first two hold two vaults, of which one publishes; each has signed one intent.
type published struct {
	*fixture
	open, shut statement.Statement // the intents
}

func newPublished(t *testing.T) *published {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Now = time.Now()
	w.Found()
	f := &published{fixture: &fixture{t: t, w: w}}
	glass := w.VaultFile("glass", 2, w.Hosts[:2]...)
	glass.Publish = true
	for _, file := range []charter.Blueprint{glass, w.VaultFile("treasury", 2, w.Hosts[:2]...)} {
		id := w.AcceptVault(file, w.Hosts[:2]...)
		w.Run("the key is published", func() bool {
			return !slices.ContainsFunc(w.Hosts[:2], func(h *nodetest.Host) bool {
				v, ok := h.Keeper.Root(id, charter.SuiteECDSA)
				return !ok || v.Current == nil
			})
		})
		s := f.spend(id)
		if file.Publish {
			f.open = s
		} else {
			f.shut, f.vault, f.intent = s, id, s.ID()
		}
	}
	w.Run("every log is cosigned by the others", func() bool {
		return w.All(func(h *nodetest.Host) bool {
			head, err := h.Journal.Head(context.Background())
			_, shown, by := h.Witness.Checkpoint()
			return err == nil && head == shown && len(by) == 2
		})
	})
	for _, h := range w.Hosts {
		(&matrix{fixture: f.fixture}).serve(h)
	}
	return f
}

// spend signs an intent of a vault's new account.
func (f *published) spend(vault statement.ID) statement.Statement {
	f.t.Helper()
	w := f.w
	v, _ := w.Hosts[0].Keeper.Root(vault, w.Suite)
	s, err := charter.Account{
		Charter: v.Vault.Under, Vault: vault, Department: "ops", Name: "main", Path: [2]uint32{0, 1}, Created: w.Now.Truncate(time.Second),
	}.Statement(w.Salt())
	if err != nil {
		f.t.Fatal(err)
	}
	n := w.AccountNote(vault, "main", 1)
	n.Fields = [][]byte{s.Bytes(), nodetest.NewPerson(f.t, nodetest.Initiator).Makes(f.t, s)}
	if _, err := w.Submit(n); err != nil {
		f.t.Fatal(err)
	}
	a, err := w.Hosts[0].Accounts.New(f.t.Context(), w.Now, vault, charter.SuiteECDSA, "ops", "main")
	if err != nil {
		f.t.Fatal(err)
	}
	st, proposal := w.Proposal(w.Intent(vault, a, 0))
	if _, err := w.Submit(proposal); err != nil {
		f.t.Fatal(err)
	}
	for _, name := range nodetest.Approvers {
		if _, err := w.Submit(w.Vote(st, name, signet.Approve)); err != nil {
			f.t.Fatal(err)
		}
	}
	w.Run("signed", func() bool {
		return w.State(w.Hosts[0], st.ID()) == intent.Signed && w.State(w.Hosts[1], st.ID()) == intent.Signed
	})
	return st
}

// get reads a file of a node's log.
func (f *fixture) get(n int, path string) ([]byte, error) {
	resp, err := f.doors[n].web.Get(f.doors[n].url + "/log/" + path)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != 200 {
		err = fmt.Errorf("%s: %d %s", path, resp.StatusCode, b)
	}
	return b, err
}

// keys reads a node's keys file.
func (f *fixture) keys(n int) (log tlog.LogVerifier, witness tlog.Witness) {
	f.t.Helper()
	b, err := f.get(n, tlog.PathKeys)
	if err != nil {
		f.t.Fatal(err)
	}
	k, _, _, err := tlog.DecodeKeys(b)
	if err != nil || !k.Identity.Equal(f.w.Hosts[n].Own.Identity) {
		f.t.Fatalf("keys of node %d: %v", n, err)
	}
	if log, err = tlog.NewLogVerifier(k.Origin, k.Log); err == nil {
		witness, err = tlog.NewWitness(k.Name, k.Witness)
	}
	if err != nil {
		f.t.Fatal(err)
	}
	return log, witness
}

// Whoever knows nothing of a circle but the identities reads a node's whole log: the checkpoint with the others' cosignatures, the tree, and
// bodies that fit their leaves. What is withheld is nowhere in it.
func TestPublishedLogIsReadBack(t *testing.T) {
	f := newPublished(t)
	for n, h := range f.w.Hosts {
		var served [][]byte
		fetch := func(path string) ([]byte, error) {
			b, err := f.get(n, path)
			served = append(served, b)
			return b, err
		}
		log, _ := f.keys(n)
		_, one := f.keys((n + 1) % 3)
		_, two := f.keys((n + 2) % 3)
		signed, err := fetch(tlog.PathCheckpoint)
		if err != nil {
			t.Fatal(err)
		}
		c, by, err := tlog.OpenCheckpoint(signed, log, []tlog.Witness{one, two})
		if err != nil || len(by) != 2 {
			t.Fatalf("node %d: cosigned by %v, %v", n, by, err)
		}
		var leaves []tlog.Leaf
		err = tlog.ReadLeaves(c.Head, fetch, func(_ int64, raw []byte) error {
			l, err := tlog.Decode(raw)
			leaves = append(leaves, l)
			return err
		})
		if err != nil || int64(len(leaves)) != c.Head.Size {
			t.Fatalf("node %d: %d leaves of %d, %v", n, len(leaves), c.Head.Size, err)
		}
		raw, err := fetch(tlog.PathSeen)
		if err != nil {
			t.Fatal(err)
		}
		if seen, err := tlog.DecodeSeen(raw); err != nil || len(seen) != 2 {
			t.Errorf("node %d saw %d other logs, %v", n, len(seen), err)
		}
		shown := f.bodies(leaves, fetch)
		f.scan(h, served, shown)
	}
}

// bodies reads what is shown of leaves, and holds it to them.
func (f *published) bodies(leaves []tlog.Leaf, fetch tlog.Fetch) (shown map[[32]byte]bool) {
	f.t.Helper()
	shown = map[[32]byte]bool{}
	for first := 0; first < len(leaves); first += 256 {
		tile := tlog.Tile{Level: tlog.Entries, Index: int64(first / 256), Width: min(256, len(leaves)-first)}
		raw, err := fetch(tile.BodyPath())
		if err != nil {
			f.t.Fatal(err)
		}
		bodies, err := tlog.DecodeBodies(raw, tile.Width)
		if err != nil {
			f.t.Fatal(err)
		}
		for i, b := range bodies {
			l := leaves[first+i]
			if len(b.Content) == 0 {
				continue
			}
			if shown[l.ID] = true; !tlog.Named(l.Kind) && !l.Fits(b) {
				f.t.Errorf("leaf %d, %s: the body is another's", first+i, l.Kind)
			}
		}
	}
	return shown
}

// scan looks for the salts of all that a host's log holds in what was served: those of the vault that publishes are there, those of the other
// are not.
func (f *published) scan(h *nodetest.Host, served [][]byte, shown map[[32]byte]bool) {
	f.t.Helper()
	all, found := bytes.Join(served, []byte("\n")), map[bool]int{}
	for first := int64(0); ; {
		page, err := h.Journal.Leaves(context.Background(), first, store.MaxLimit)
		if err != nil {
			f.t.Fatal(err)
		}
		for _, l := range page {
			s, err := statement.Parse(l.Content)
			if err != nil || l.Vault == (statement.ID{}) || !slices.Contains([]statement.Kind{statement.Intent, statement.Account, statement.Decision}, s.Kind()) {
				continue
			}
			salt, open := s.Salt(), l.Vault != f.vault
			there := bytes.Contains(all, []byte(hex.EncodeToString(salt[:]))) || bytes.Contains(all, salt[:])
			if found[open]++; there != open || shown[l.ID] != open {
				f.t.Errorf("%s of a vault that publishes (%t): its salt is served (%t), its body shown (%t)", s.Kind(), open, there, shown[l.ID])
			}
		}
		if first += int64(len(page)); len(page) < store.MaxLimit {
			break
		}
	}
	if h != f.w.Hosts[2] && (found[true] < 4 || found[false] < 4) {
		f.t.Errorf("%d statements of the vault that publishes and %d of the other were looked for", found[true], found[false])
	}
	if id := f.shut.ID(); bytes.Contains(all, f.shut.Bytes()) || shown[id] {
		f.t.Error("the intent of a vault that does not publish is served")
	}
}

// Each file has the type and the life that it should, for a browser on any page; HEAD says the same without the file.
func TestHeadersOfTheLog(t *testing.T) {
	f := newPublished(t)
	leaves := f.w.Hosts[0].Journal
	head, err := leaves.Head(t.Context())
	if err != nil || head.Size < 10 {
		t.Fatal(head, err)
	}
	for path, want := range map[string][2]string{
		"checkpoint": {"text/plain; charset=utf-8", "no-store"}, "keys": {"text/plain; charset=utf-8", "no-cache"}, "seen": {"application/octet-stream", "no-cache"},
		"tile/0/000.p/9": {"application/octet-stream", "public, max-age=60"}, "tile/entries/000.p/9": {"application/octet-stream", "public, max-age=60"},
		"body/000.p/9": {"application/octet-stream", "no-cache"},
	} {
		b, err := f.get(0, path)
		if err != nil || len(b) == 0 {
			t.Fatalf("%s: %v", path, err)
		}
		for _, method := range []string{"GET", "HEAD"} {
			req, err := http.NewRequest(method, f.doors[0].url+"/log/"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := f.doors[0].web.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			body, err := io.ReadAll(resp.Body)
			h := resp.Header
			if err != nil || resp.StatusCode != 200 || [2]string{h.Get("Content-Type"), h.Get("Cache-Control")} != want || h.Get("Access-Control-Allow-Origin") != "*" || h.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s %s: %d %v %v", method, path, resp.StatusCode, h, err)
			}
			if resp.ContentLength != int64(len(b)) || method == "HEAD" && len(body) > 0 || method == "GET" && !bytes.Equal(body, b) {
				t.Errorf("%s %s: length %d, %d bytes; the file has %d", method, path, resp.ContentLength, len(body), len(b))
			}
		}
	}
	h := http.Header{}
	if describe(h, "tile/0/000"); h.Get("Cache-Control") != "public, max-age=86400, immutable" {
		t.Errorf("a full tile: %v", h)
	}
}

// raw sends bytes to a door and gives the answer's status and body.
func raw(t *testing.T, d door, request string) (int, string) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(d.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(20 * time.Second)) //nolint:errcheck // the read says so
	go io.WriteString(c, request)                   //nolint:errcheck // the answer may come before all was read
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%.80q: %v", request, err)
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(io.LimitReader(resp.Body, 4096)) //nolint:errcheck // what came is looked at
	return resp.StatusCode, string(b)
}

// Whatever a stranger sends to the open routes, nothing is served but the log's files under their names, and no more is read than may be.
func TestHostileRequests(t *testing.T) {
	f := newPublished(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := server(outer(f.people[0]), slog.New(slog.DiscardHandler))
	go s.Serve(l)                   //nolint:errcheck // it ends with the test
	t.Cleanup(func() { s.Close() }) //nolint:errcheck // the test is over
	d, long := door{url: "http://" + l.Addr().String()}, strings.Repeat("x", 1<<12)
	const end = " HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n"
	for _, c := range []struct {
		request string
		status  int
	}{
		{"GET /log/checkpoint" + end, 200}, {"GET /log/checkpoint?anything" + end, 200},
		{"GET /log/checkpoint%00" + end, 404}, {"GET /log/%63heckpoint" + end, 404}, {"GET /log/tile%2F0%2F000.p%2F9" + end, 404}, {"GET /log/tile/0%2f000.p/9" + end, 404},
		{"GET /log/tile/0/%2e%2e/0/000.p/9" + end, 404}, {"GET /%6cog/checkpoint" + end, 404}, {"GET /log%2Fcheckpoint" + end, 404}, {"GET /log/tile/0/000.p/9/" + end, 404},
		{"GET /log//checkpoint" + end, 307}, {"GET /log/../log/checkpoint" + end, 307}, {"GET /log" + end, 307}, {"GET /log/" + end, 404}, {"GET /log/" + long + end, 404},
		{"GET /log/" + strings.Repeat("x", 1<<20) + end, 431}, {"GET /log/checkpoint\x00" + end, 400}, {"GET log/checkpoint" + end, 400},
		{"POST /log/checkpoint" + end, 405}, {"PUT /log/checkpoint" + end, 405}, {"DELETE /log/tile/0/000.p/9" + end, 405}, {"OPTIONS /log/checkpoint" + end, 405},
		{"TRACE /log/checkpoint" + end, 405}, {"PROPFIND /log/" + end, 405},
		{"GET /witness/add-checkpoint" + end, 405}, {"PUT /witness/add-checkpoint" + end, 405}, {"POST /witness/" + end, 404}, {"POST /witness/add-checkpoint/" + end, 404},
		{"POST /witness/add-checkpoint" + end, 400},
		{"POST /witness/add-checkpoint HTTP/1.1\r\nHost: node\r\nContent-Length: 3\r\n\r\nold", 400},
		{"POST /witness/add-checkpoint HTTP/1.1\r\nHost: node\r\nContent-Length: 99999999999\r\n\r\n" + strings.Repeat("x", tlog.MaxRequest+1), 413},
		{"POST /witness/add-checkpoint HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\n20000\r\n" + strings.Repeat("x", 1<<17) + "\r\n0\r\n\r\n", 413},
		{"POST /witness/add-checkpoint HTTP/1.1\r\nHost: node\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
	} {
		if status, body := raw(t, d, c.request); status != c.status {
			t.Errorf("%.80q: %d %.80q, want %d", c.request, status, body, c.status)
		}
	}
}

// A log of the circle, or whoever carries its request, gets this node's cosignature over HTTP; others are told why not.
func TestWitnessOverHTTP(t *testing.T) {
	f := newPublished(t)
	log, _ := f.keys(1)
	_, by := f.keys(0)
	signed, err := f.get(1, tlog.PathCheckpoint)
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := tlog.OpenCheckpoint(signed, log, nil)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(r tlog.Request) (int, string, []byte) {
		resp, err := f.doors[0].web.Post(f.doors[0].url+routeWitness, "", bytes.NewReader(r.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Content-Type"), b
	}
	status, _, lines := ask(tlog.Request{Old: c.Head.Size, Checkpoint: signed})
	if _, word, err := tlog.AddCosignature(signed, lines, by); status != 200 || err != nil || time.Since(word.Time) > time.Minute {
		t.Fatalf("%d %s %v", status, lines, err)
	}
	status, kind, body := ask(tlog.Request{Checkpoint: signed})
	if known, err := tlog.ParseConflict(body); status != tlog.StatusConflict || kind != tlog.ConflictType || err != nil || known != c.Head.Size {
		t.Errorf("%d %s %q, %v", status, kind, body, err)
	}
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	signer, err := tlog.NewLogSigner("log.example/unknown", key)
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := tlog.Checkpoint{Origin: "log.example/unknown", Head: c.Head}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, body := ask(tlog.Request{Checkpoint: foreign}); status != tlog.StatusUnknownLog {
		t.Errorf("%d %s", status, body)
	}
	forged := bytes.Replace(foreign, []byte("log.example/unknown"), []byte(log.Name()), -1)
	if status, _, body := ask(tlog.Request{Checkpoint: forged}); status != tlog.StatusUnsigned {
		t.Errorf("%d %s", status, body)
	}
	// A node that may have been restored has forgotten what it cosigned.
	restored := f.w.Hosts[0]
	f.w.Restore(restored, f.w.Rows(restored, ""))
	if status, _, body := restored.Cosign(t.Context(), f.w.Now, tlog.Request{Old: c.Head.Size, Checkpoint: signed}.Encode()); status != http.StatusServiceUnavailable {
		t.Errorf("before anybody has greeted it: %d %s", status, body)
	}
}

// One address is served so often and no more, and what is remembered of addresses is bounded.
func TestRateOfAddresses(t *testing.T) {
	r, now, n := newRate(rateBurst, ratePer), time.Unix(1_800_000_000, 0), 0
	for r.take(now, "a") {
		n++
	}
	if n != rateBurst || !r.take(now, "b") {
		t.Errorf("%d at once, or one address pays for another", n)
	}
	if now = now.Add(ratePer); !r.take(now, "a") || r.take(now, "a") {
		t.Error("after a moment, not one more")
	}
	if now = now.Add(time.Hour); !r.take(now, "a") {
		t.Error("an address is refused for good")
	}
	for i := range maxAddresses + 100 {
		r.take(now, fmt.Sprint(i))
	}
	if len(r.free) > maxAddresses {
		t.Errorf("%d addresses are remembered", len(r.free))
	}
	for remote, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1", "[2001:db8:1:2:3::9]:80": "2001:db8:1:2::/64", "[2001:db8:1:2:f::1%eth0]:9": "2001:db8:1:2::/64", "@": "",
	} {
		if got := addressOf(&http.Request{RemoteAddr: remote}); got != want {
			t.Errorf("%s is %q, not %q", remote, got, want)
		}
	}
	a := &askWitness{rate: newRate(rateBurst, ratePer), cosign: func(context.Context, time.Time, []byte) (int, string, []byte) {
		return 200, "text/plain", []byte("yes")
	}}
	codes := map[int]int{}
	for range 3 * rateBurst {
		w, req := httptest.NewRecorder(), httptest.NewRequest("POST", routeWitness, strings.NewReader("x"))
		a.ServeHTTP(w, req)
		codes[w.Code]++
		if w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
			t.Error("nobody is told when to come again")
		}
	}
	if codes[200] < rateBurst || codes[200] > 2*rateBurst || codes[200]+codes[429] != 3*rateBurst {
		t.Errorf("%v", codes)
	}
}

// slow holds a file until it is let go.
type slow struct {
	*httptest.ResponseRecorder
	begun, let chan struct{}
}

func (s *slow) Write(b []byte) (int, error) {
	s.begun <- struct{}{}
	<-s.let
	return len(b), nil
}

// Slow readers hold so much of the memory and no more; the next is told to come again, and then gets its file.
func TestSlowReadersOfTheLog(t *testing.T) {
	huge := make([]byte, maxOnTheWay/2+1)
	l := newLogFiles(func(context.Context, string, string) ([]byte, error) { return huge, nil })
	s := &slow{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	read := func(w http.ResponseWriter) { l.ServeHTTP(w, httptest.NewRequest("GET", "/log/body/000", nil)) }
	done := make(chan struct{})
	go func() { read(s); close(done) }()
	<-s.begun
	w := httptest.NewRecorder()
	if read(w); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || w.Body.Len() > 100 || w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("%d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
	close(s.let)
	<-done
	w = httptest.NewRecorder()
	if read(w); w.Code != 200 || w.Body.Len() != len(huge) {
		t.Errorf("afterwards: %d, %d bytes", w.Code, w.Body.Len())
	}
	l.get = func(context.Context, string, string) ([]byte, error) {
		return nil, errors.New("the disk is gone: /secret/path")
	}
	w = httptest.NewRecorder()
	if read(w); w.Code != http.StatusServiceUnavailable || strings.Contains(w.Body.String(), "secret") {
		t.Errorf("trouble: %d %s", w.Code, w.Body)
	}
	if l.onTheWay != 0 || len(l.held) != 0 {
		t.Errorf("%d bytes are held by nobody", l.onTheWay)
	}
}

// One address holds its share of what slow readers may, and another gets its file beside it.
func TestShareOfSlowReaders(t *testing.T) {
	part := make([]byte, maxHeld/2+1)
	l := newLogFiles(func(context.Context, string, string) ([]byte, error) { return part, nil })
	read := func(w http.ResponseWriter, from string) {
		r := httptest.NewRequest("GET", "/log/body/000", nil)
		r.RemoteAddr = from
		l.ServeHTTP(w, r)
	}
	s := &slow{httptest.NewRecorder(), make(chan struct{}), make(chan struct{})}
	done := make(chan struct{})
	go func() { read(s, "192.0.2.1:1"); close(done) }()
	<-s.begun
	for from, want := range map[string]int{"192.0.2.1:2": http.StatusServiceUnavailable, "192.0.2.2:1": 200} {
		if w := httptest.NewRecorder(); true {
			if read(w, from); w.Code != want {
				t.Errorf("%s: %d, not %d", from, w.Code, want)
			}
		}
	}
	close(s.let)
	<-done
	if l.onTheWay != 0 || len(l.held) != 0 {
		t.Errorf("%d bytes are held by nobody", l.onTheWay)
	}
}

// An address reads the files of a log of 100,000 entries at once, and is held back beyond what any needs; another is not.
func TestRateOfReadersOfTheLog(t *testing.T) {
	l := newLogFiles(func(context.Context, string, string) ([]byte, error) { return []byte("file"), nil })
	read := func(from string) int {
		r, w := httptest.NewRequest("GET", "/log/checkpoint", nil), httptest.NewRecorder()
		r.RemoteAddr = from
		if l.ServeHTTP(w, r); w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") == "" {
			t.Error("nobody is told when to come again")
		}
		return w.Code
	}
	for i := range 1200 {
		if code := read("192.0.2.1:1"); code != 200 {
			t.Fatalf("file %d: %d", i, code)
		}
	}
	codes := map[int]int{}
	for range 4 * logBurst {
		codes[read("192.0.2.1:2")]++
	}
	if codes[http.StatusTooManyRequests] < logBurst || read("192.0.2.2:1") != 200 {
		t.Errorf("%v", codes)
	}
}

// Whatever path is asked for reaches the log as it was sent, or not at all.
func FuzzLogPath(f *testing.F) {
	for _, path := range []string{"checkpoint", "tile/0/000", "tile%2f0/000", "%63heckpoint", "..", "a?b", "a#b", strings.Repeat("x/", 80)} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		req, err := http.NewRequest("GET", "http://node/log/"+path, nil)
		if err != nil {
			return
		}
		asked := ""
		l := newLogFiles(func(_ context.Context, _, p string) ([]byte, error) { asked = p; return nil, publish.ErrNotFound })
		w := httptest.NewRecorder()
		l.ServeHTTP(w, req)
		if w.Code != 404 || len(asked) > maxLogPath || asked != "" && "/log/"+asked != req.URL.EscapedPath() {
			t.Errorf("%q: %d, asked for %q", path, w.Code, asked)
		}
	})
}
