package published

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// logs are what three nodes publish.
func logs(t *testing.T) (*nodetest.World, []*nodetest.Published) {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		for i := range d.Vaults {
			d.Vaults[i].Publish = true
		}
	}
	nodetest.Ready(w, 3)
	return w, w.PublishAll()
}

// certificate is a self-signed one, as a node's is.
func certificate(t *testing.T, key ed25519.PrivateKey) tls.Certificate {
	t.Helper()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func serve(t *testing.T, h http.Handler, key ed25519.PrivateKey) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	if key == nil {
		s.StartTLS() // a certificate that no authority vouches for
	} else {
		s.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, key)}, MinVersion: tls.VersionTLS13}
		s.StartTLS()
	}
	t.Cleanup(s.Close)
	return s.URL
}

func good(t *testing.T, w *nodetest.World, sources []Source) {
	t.Helper()
	var all []verify.Source
	for _, s := range sources {
		all = append(all, s.Source)
	}
	r, err := verify.Verify(all, verify.Options{Now: w.Now})
	if err != nil || r.Failed {
		t.Errorf("%v, %+v", err, r.Claims[0])
	}
}

// A node's own certificate is taken for its own log, and for nothing else.
func TestNodes(t *testing.T) {
	w, all := logs(t)
	dir := t.TempDir()
	var sources []Source
	for i, p := range all {
		if err := p.Write(filepath.Join(dir, p.Name, "log")); err != nil {
			t.Fatal(err)
		}
		url := serve(t, http.FileServer(http.Dir(filepath.Join(dir, p.Name))), w.Hosts[i].Key)
		place, err := Open(t.Context(), url, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if len(place.Sources) != 1 || !place.Live() || place.Sources[0].Name != url+"/log" {
			t.Errorf("%+v", place)
		}
		sources = append(sources, place.Sources...)
	}
	good(t, w, sources)

	// Another's log under one's own certificate, a bundle under a node's, and a web server that nobody vouches for.
	first := http.FileServer(http.Dir(filepath.Join(dir, all[0].Name)))
	if _, err := Open(t.Context(), serve(t, first, w.Hosts[1].Key), Options{}); err == nil || !strings.Contains(err.Error(), "somebody stands in between") {
		t.Errorf("another's log: %v", err)
	}
	web := serve(t, first, nil)
	var bad *CertificateError
	if _, err := Open(t.Context(), web, Options{}); !errors.As(err, &bad) {
		t.Errorf("no authority: %v", err)
	}
	if _, err := Open(t.Context(), web, Options{Insecure: true}); err != nil {
		t.Errorf("no authority, and --insecure: %v", err)
	}
	bundle := filepath.Join(dir, verify.PathBundle)
	if err := os.WriteFile(bundle, fmt.Appendf(nil, `{"format":1,"circle":"x","made":"2026-11-27T12:00:00Z","logs":[{"operator":"operator-0","path":"operator-0/log"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), serve(t, http.FileServer(http.Dir(dir)), w.Hosts[0].Key), Options{}); err == nil || !strings.Contains(err.Error(), "serves a disclosure under a node's own certificate") {
		t.Errorf("a bundle under a node's certificate: %v", err)
	}
	place, err := Open(t.Context(), dir, Options{})
	if err != nil || place.Bundle == nil || place.Live() || len(place.Sources) != 1 || len(place.Evidence()) != 0 {
		t.Errorf("the same as a folder: %+v, %v", place, err)
	}
	shelved(t, dir)
}

// shelved holds a bundle's evidence to its bounds, and its folder.
func shelved(t *testing.T, dir string) {
	t.Helper()
	below := filepath.Join(dir, "evidence", "operator-0", "main")
	if err := os.MkdirAll(below, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"good": []byte("x"), "large": make([]byte, places.MaxFile+1)} {
		if err := os.WriteFile(filepath.Join(below, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(below, "link")); err != nil {
		t.Fatal(err)
	}
	list := []string{}
	for _, name := range []string{"good", "large", "link", "none"} {
		list = append(list, fmt.Sprintf(`{"operator":"operator-0","place":"main","file":%q}`, name))
	}
	raw := fmt.Appendf(nil, `{"format":1,"circle":"x","made":"2026-11-27T12:00:00Z","logs":[{"operator":"operator-0","path":"operator-0/log"}],"evidence":[%s]}`, strings.Join(list, ","))
	if err := os.WriteFile(filepath.Join(dir, verify.PathBundle), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := Open(t.Context(), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	all := p.Evidence()
	if len(all) != 4 || string(all[0].Content) != "x" || all[0].Err != nil || all[1].Err == nil || all[2].Err == nil || len(all[2].Content) > 0 || !errors.Is(all[3].Err, places.ErrAbsent) {
		t.Errorf("%+v", all)
	}
}

func TestPlacesThatAreNone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	empty := httptest.NewServer(http.NotFoundHandler())
	defer empty.Close()
	for where, want := range map[string]string{
		dir: ErrNothing.Error(), file: "is a file", filepath.Join(dir, "none"): "no such file", empty.URL: ErrNothing.Error(), "ftp://x": "neither a folder nor",
		"http://example.org": "goes unencrypted", "https://u:p@example.org/": "holds a name or password", "https://example.org/?x": "not of the form",
	} {
		if _, err := Open(t.Context(), where, Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", where, err)
		}
	}
	// A bundle of somebody else's leads nowhere else.
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.MkdirAll(secret, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(secret, tlog.PathKeys), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "log")); err != nil {
		t.Fatal(err)
	}
	if p, err := Open(t.Context(), dir, Options{}); err == nil {
		t.Errorf("it leads out of the folder: %+v", p)
	}
}

// A server that is busy is asked again; one that is not, or says no, is not.
func TestFetching(t *testing.T) {
	var asked atomic.Int32
	var answers func(n int32, w http.ResponseWriter, r *http.Request)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answers(asked.Add(1), w, r) }))
	defer s.Close()
	busy := func(times int32) func(int32, http.ResponseWriter, *http.Request) {
		return func(n int32, w http.ResponseWriter, r *http.Request) {
			if n <= times {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			http.NotFound(w, r)
		}
	}
	large := func(path string, size int) func(int32, http.ResponseWriter, *http.Request) {
		return func(_ int32, w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/"+path {
				http.NotFound(w, r)
				return
			}
			w.Write(make([]byte, size))
		}
	}
	for name, c := range map[string]struct {
		answers func(int32, http.ResponseWriter, *http.Request)
		want    string
		asked   int32
	}{
		"busy once":          {busy(1), ErrNothing.Error(), 4},
		"always busy":        {busy(99), "answers 503", tries},
		"forbidden":          {func(_ int32, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "answers 403", 1},
		"elsewhere":          {func(_ int32, w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "http://127.0.0.1:1/", 302) }, "leads on to http://127.0.0.1:1", 1},
		"a large bundle":     {large(verify.PathBundle, verify.MaxBundleFile+1), "262144 ", 1},
		"large keys":         {large(tlog.PathKeys, tlog.MaxNote+1), "65536 ", 2},
		"a bundle of others": {large(verify.PathBundle, 10), "invalid character", 1},
	} {
		asked.Store(0)
		answers = c.answers
		if _, err := Open(t.Context(), s.URL, Options{}); err == nil || !strings.Contains(err.Error(), c.want) || asked.Load() != c.asked {
			t.Errorf("%s: %v, after %d requests, not %d", name, err, asked.Load(), c.asked)
		}
	}
}

func TestLimits(t *testing.T) {
	for path, want := range map[string]int64{
		"tile/entries/000": tlog.MaxBundle, "tile/0/000": tlog.MaxTile, "tile/0/000.p/3": tlog.MaxTile, "body/x001/000": tlog.MaxBodies, "logs/acme/body/000": tlog.MaxBodies,
		"logs/tile/checkpoint": tlog.MaxTile, "checkpoint": tlog.MaxNote, "keys": tlog.MaxNote, "log/keys": tlog.MaxNote, verify.PathBundle: verify.MaxBundleFile,
		"logs/entries/tile/entries/000": tlog.MaxBundle, "evidence/tile/body/x": places.MaxFile, "evidence/acme/main/gcp.token": places.MaxFile, "evidence/keys": tlog.MaxNote,
	} {
		if got := limit(path); got != want {
			t.Errorf("%s may have %d bytes, want %d", path, got, want)
		}
	}
}

// What never changes is fetched once; bodies again after a day; what was damaged is found, and goes.
func TestCache(t *testing.T) {
	cache := t.TempDir()
	counts := map[string]int{}
	whole := tlog.Tile{Level: tlog.Entries, Index: 0, Width: 256}
	get := func(path string, to io.Writer) error {
		counts[path]++
		if path == whole.Path() || path == whole.BodyPath() || path == "tile/0/000" {
			_, err := io.WriteString(to, path)
			return err
		}
		return fmt.Errorf("%s: %w", path, verify.ErrNotThere)
	}
	// look reads all once, as one verification does.
	look := func(keys string, paths ...string) {
		t.Helper()
		s, err := newSpool(newMeter(t.Context(), Bounds{}), cacheOf(cache, []byte(keys)), get)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			for _, p := range paths {
				if b, err := s.fetch(p); err == nil && string(b) != p {
					t.Errorf("%s is %q", p, b)
				}
			}
		}
		s.close()
	}
	paths := []string{whole.Path(), whole.BodyPath(), "tile/0/000", "tile/0/001.p/3", tlog.PathCheckpoint}
	for range 3 {
		look("keys", paths...)
	}
	for i, p := range paths {
		if want := map[bool]int{true: 1, false: 3}[i < 3]; counts[p] != want {
			t.Errorf("%s was fetched %d times, not %d", p, counts[p], want)
		}
	}
	if look("another log", whole.Path()); counts[whole.Path()] != 2 {
		t.Errorf("one log's file is another's: %d", counts[whole.Path()])
	}
	day := time.Now().Add(-keepBodies - time.Minute)
	files, err := filepath.Glob(filepath.Join(cache, "*", "*"))
	if err != nil || len(files) != 4 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, f := range files {
		if err := os.Chtimes(f, day, day); err != nil {
			t.Fatal(err)
		}
	}
	if look("keys", paths[:3]...); counts[whole.BodyPath()] != 2 || counts["tile/0/000"] != 1 {
		t.Errorf("after a day: %v", counts)
	}
	if err := (Source{cache: cacheOf(cache, []byte("keys"))}).Forget(); err != nil {
		t.Fatal(err)
	}
	if look("keys", paths[:3]...); counts["tile/0/000"] != 2 {
		t.Errorf("the cache is still there: %v", counts)
	}
}

// A cache stays within its bound: the log that was read longest ago goes, and what a program left that was stopped.
func TestCacheIsBounded(t *testing.T) {
	cache := t.TempDir()
	for i, name := range []string{"old", "new", partly + "1"} {
		dir := filepath.Join(cache, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "tile_0_000"), make([]byte, 100), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().Add(time.Duration(i-2) * time.Hour)
		if err := os.Chtimes(dir, at, at); err != nil {
			t.Fatal(err)
		}
	}
	left := func() string {
		all, err := os.ReadDir(cache)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(all)
	}
	if err := Prune(cache, 250); err != nil || strings.Contains(left(), partly) || !strings.Contains(left(), "old") {
		t.Errorf("%v, %s", err, left())
	}
	if err := Prune(cache, 150); err != nil || strings.Contains(left(), "old") || !strings.Contains(left(), "new") {
		t.Errorf("%v, %s", err, left())
	}
	if err := Prune(filepath.Join(cache, "none"), 1); err != nil {
		t.Error(err)
	}
}

// slows makes patience short.
func slows(t *testing.T) {
	old := slowTime
	slowTime = 200 * time.Millisecond
	t.Cleanup(func() { slowTime = old })
}

// A server that sends a byte now and then, one that never answers, one whose log is too large and one that sends too much are each named, and the
// others' logs are verified.
func TestCostlyLogs(t *testing.T) {
	slows(t)
	w, all := logs(t)
	dir := t.TempDir()
	for _, p := range all {
		if err := p.Write(filepath.Join(dir, p.Name)); err != nil {
			t.Fatal(err)
		}
	}
	honest := http.FileServer(http.Dir(filepath.Join(dir, all[0].Name)))
	entries := func(do http.HandlerFunc) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/entries/") {
				do(w, r)
				return
			}
			honest.ServeHTTP(w, r)
		})
	}
	var asked atomic.Int32
	for name, c := range map[string]struct {
		at   http.Handler
		o    Options
		want string
	}{
		"a byte now and then": {entries(func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				_, _ = w.Write([]byte{0})
				w.(http.Flusher).Flush()
				time.Sleep(20 * time.Millisecond)
			}
		}), Options{}, "less than 8 KB in a second"},
		"never": {entries(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }), Options{Until: time.Now().Add(3 * time.Second)}, "--max-time allows more"},
		"many entries": {http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			honest.ServeHTTP(w, r)
		}), Options{Bounds: Bounds{Entries: 3}}, "of which at most 3 are read: --max-entries allows more"},
		"many bytes": {honest, Options{Bounds: Bounds{Bytes: 3000}}, "--max-mb allows more"},
	} {
		s := httptest.NewServer(c.at)
		var sources []verify.Source
		var places []Place
		for _, where := range []string{s.URL, filepath.Join(dir, all[1].Name), filepath.Join(dir, all[2].Name)} {
			o := c.o
			if where != s.URL {
				o = Options{}
			}
			p, err := Open(t.Context(), where, o)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			sources, places = append(sources, p.Sources[0].Source), append(places, p)
		}
		began := time.Now()
		r, err := verify.Verify(sources, verify.Options{Now: w.Now})
		if err != nil || len(r.Logs) != 2 || r.Claims[0].Subject != "log at "+s.URL || !strings.Contains(r.Claims[0].Failed, c.want) || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v, after %s: %+v", name, err, time.Since(began), r.Claims[0])
		}
		temp := places[0].Sources[0]
		for _, p := range places {
			p.Close()
		}
		if _, err := temp.Fetch(tlog.PathCheckpoint); err == nil {
			t.Errorf("%s: what was fetched ahead is still there", name)
		}
		s.Close()
	}
	if asked.Load() > 8 {
		t.Errorf("%d files of a log that is too large were asked for", asked.Load())
	}
}

// A folder of somebody else's is bounded too, and what is no file in it keeps nobody waiting.
func TestCostlyFolders(t *testing.T) {
	_, all := logs(t)
	dir := t.TempDir()
	if err := all[0].Write(dir); err != nil {
		t.Fatal(err)
	}
	read := func(o Options) string {
		p, err := Open(t.Context(), dir, o)
		if err != nil {
			return err.Error()
		}
		defer p.Close()
		r, err := verify.Verify([]verify.Source{p.Sources[0].Source}, verify.Options{Now: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		return r.Claims[0].Failed
	}
	for want, o := range map[string]Options{"at most 3 are read": {Bounds: Bounds{Entries: 3}}, "more than 0 MB": {Bounds: Bounds{Bytes: 3000}}, "the time that it may take": {Until: time.Now().Add(-time.Second)}} {
		if got := read(o); !strings.Contains(got, want) {
			t.Errorf("%s: %s", want, got)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(dir, tlog.PathSeen)), syscall.Mkfifo(filepath.Join(dir, tlog.PathSeen), 0o600)); err != nil {
		t.Fatal(err)
	}
	if got := read(Options{}); !strings.Contains(got, "seen is no file") {
		t.Errorf("a pipe: %s", got)
	}
}

// Logs are fetched at the same time: each here shows its leaves only once the others are asked for theirs.
func TestLogsAreFetchedTogether(t *testing.T) {
	w, all := logs(t)
	dir := t.TempDir()
	var meet sync.WaitGroup
	meet.Add(len(all))
	var sources []verify.Source
	for _, p := range all {
		if err := p.Write(filepath.Join(dir, p.Name)); err != nil {
			t.Fatal(err)
		}
		var once sync.Once
		files := http.FileServer(http.Dir(filepath.Join(dir, p.Name)))
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.Contains(r.URL.Path, "/entries/") {
				once.Do(meet.Done)
				meet.Wait()
			}
			files.ServeHTTP(w, r)
		}))
		defer s.Close()
		place, err := Open(t.Context(), s.URL, Options{Until: time.Now().Add(20 * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		defer place.Close()
		sources = append(sources, place.Sources[0].Source)
	}
	if r, err := verify.Verify(sources, verify.Options{Now: w.Now}); err != nil || r.Failed {
		t.Errorf("%v, %+v", err, r.Claims[0])
	}
}

func TestMemory(t *testing.T) {
	w, all := logs(t)
	var sources []verify.Source
	for _, p := range all {
		files, err := p.Files()
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, nodetest.Source(p.Name, files))
	}
	r, err := verify.Verify(sources, verify.Options{Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "seen.json")
	m, err := LoadMemory(path)
	if err != nil || len(m.Seen()) != 0 {
		t.Fatalf("%+v, %v", m, err)
	}
	m = m.Learn(r)
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	again, err := LoadMemory(path)
	if err != nil || again.Circle != r.CircleID || len(again.Seen()) != 3 {
		t.Fatalf("%+v, %v", again, err)
	}
	// Of who failed nothing new is learned, nor of another circle.
	r.Logs[0].Signed, r.Logs[1].Signed = "other", "newer"
	r.Fail("operator "+r.Logs[0].Operator, "x", "y")
	later := again.Learn(r)
	if string(later.Checkpoints[r.Logs[0].Origin]) == "other" || string(later.Checkpoints[r.Logs[1].Origin]) != "newer" {
		t.Errorf("%+v", later)
	}
	r.CircleID[0] ^= 1
	if other := again.Learn(r); string(other.Checkpoints[r.Logs[1].Origin]) == "newer" {
		t.Error("another circle's logs are remembered as this one's")
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{{`"version": 1`, `"version": 2`}, {`"version": 1`, `"version": 1, "x": 1`}, {"/0\": \"", "/1\": \""}, {`"circle": "`, `"circle": "0`}, {"\n}\n", "\n}{}"}} {
		bad := strings.Replace(string(raw), c[0], c[1], 1)
		if bad == string(raw) {
			t.Fatalf("nothing to replace: %s", c[0])
		}
		if m, err := DecodeMemory([]byte(bad)); err == nil {
			t.Errorf("%s is read: %+v", c[1], m)
		}
	}
}

func FuzzMemory(f *testing.F) {
	f.Add([]byte(`{"version":1,"circle":"` + strings.Repeat("0", 64) + `","checkpoints":{}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := DecodeMemory(raw)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeMemory(again); err != nil {
			t.Errorf("%q became %q: %v", raw, again, err)
		}
	})
}
