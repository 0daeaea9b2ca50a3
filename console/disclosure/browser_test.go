package disclosure_test

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/console/disclosure"
	"github.com/ostraka/ostraka/console/verdict"
	"github.com/ostraka/ostraka/console/wasm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/places"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/internal/components"
	"github.com/ostraka/ostraka/internal/components/chromium"
	"github.com/ostraka/ostraka/internal/wasmbuild"
	"github.com/ostraka/ostraka/node/nodetest"
)

var update = flag.Bool("update", false, "write the pictures in docs/images anew")

// program builds the verifier for browsers.
func program(t *testing.T) wasm.Program {
	t.Helper()
	dir := t.TempDir()
	if _, _, err := wasmbuild.Build(dir); err != nil {
		t.Fatal(err)
	}
	p, err := wasm.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// clock is put before a script, so that the browser's clock shows the time at which the logs were made.
func clock(now time.Time) string {
	return fmt.Sprintf("{const D = Date, off = %d - D.now(); self.Date = class extends D { constructor(...a) { a.length ? super(...a) : super(D.now() + off); } static now() { return D.now() + off; } };}\n", now.UnixMilli())
}

// serve is a plain web server over a folder. Of what it serves it changes the clock alone.
func serve(t *testing.T, dir string, now time.Time) string {
	t.Helper()
	files := http.FileServer(http.Dir(dir))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name := strings.TrimPrefix(r.URL.Path, "/"); name == "page.js" || name == "worker.js" {
			script, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = w.Write(append([]byte(clock(now)), script...))
			return
		}
		files.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/"
}

// A sight is what a visitor sees when the browser has judged.
type sight struct {
	Check, Level, Title, By, Status string
	Reasons                         []string
	Claims                          []verify.Claim
	Attention                       []string
	Differs                         []string
	Found                           []string
	Wide                            int // pixels beyond the screen
}

const look = `(() => {
  if (!["done", "failed"].includes(document.body.dataset.check)) return "";
  const texts = (s, root = document) => [...root.querySelectorAll(s)].map((e) => e.textContent);
  const text = (s, root = document) => texts(s, root)[0] || "";
  return JSON.stringify({
    Check: document.body.dataset.check, Level: document.querySelector("#verdict").dataset.level, Title: text("#verdict-title"), By: text("#by"), Status: text("#status"),
    Reasons: texts("#reasons li"), Attention: texts("#attention-list li"), Differs: document.querySelector("#differs").hidden ? [] : texts("#differences li"), Found: texts(".found"),
    Claims: [...document.querySelectorAll("#all-claims li")].map((li) => ({
      subject: li.dataset.subject || "", claim: text(".claim", li), class: li.dataset.class, basis: text(".basis", li), failed: text(".failed", li) })),
    Wide: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  });
})()`

func see(t *testing.T, b *chromium.Browser, url string) (s sight) {
	t.Helper()
	if code := b.Go(url); code != http.StatusOK {
		t.Fatalf("%s: %d", url, code)
	}
	return judged(t, b, time.Minute)
}

// judged waits until the browser has come to its verdict on the page that is loaded.
func judged(t *testing.T, b *chromium.Browser, patience time.Duration) (s sight) {
	t.Helper()
	if err := json.Unmarshal([]byte(b.AwaitFor(patience, look)), &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// same holds what a visitor sees to what the command finds.
func same(t *testing.T, name string, s sight, want *verify.Report) {
	t.Helper()
	claims := slices.Clone(want.Claims)
	for i := range claims {
		c := &claims[i]
		c.Subject, c.Failed = trimmed(c.Subject), trimmed(c.Failed)
		if c.Failed != "" {
			c.Class = "failed"
		}
	}
	got := s.Claims
	for i := range got {
		got[i].Subject, got[i].Failed = trimmed(got[i].Subject), trimmed(got[i].Failed)
	}
	slices.SortStableFunc(claims, bySubject(claims))
	if !slices.Equal(got, claims) {
		t.Errorf("%s: the browser shows\n%s\nthe command finds\n%s", name, list(got), list(claims))
	}
	if !slices.Equal(s.Attention, want.Attention) {
		t.Errorf("%s: the browser shows %q, the command %q", name, s.Attention, want.Attention)
	}
	v := verdict.Of(want)
	for i := range v.Reasons {
		v.Reasons[i] = trimmed(v.Reasons[i])
		if i < len(s.Reasons) && trimmed(s.Reasons[i]) != v.Reasons[i] && !strings.Contains(s.Reasons[i], " live: ") { // which says how long ago
			t.Errorf("%s: reason %q, the command has %q", name, s.Reasons[i], v.Reasons[i])
		}
	}
	if len(s.Reasons) != len(v.Reasons) {
		t.Errorf("%s: reasons %q, the command has %q", name, s.Reasons, v.Reasons)
	}
	if s.Check != "done" || s.Level != string(v.Level) || s.Title != v.Title || s.By != "Checked by your own browser, just now" {
		t.Errorf("%s: %s %q by %q (%s), the command says %s", name, s.Level, s.Title, s.By, s.Status, v.Level)
	}
}

// bySubject is the order of the page: subjects as they come first.
func bySubject(all []verify.Claim) func(a, b verify.Claim) int {
	at := map[string]int{}
	for i, c := range all {
		if _, ok := at[c.Subject]; !ok {
			at[c.Subject] = i
		}
	}
	return func(a, b verify.Claim) int { return at[a.Subject] - at[b.Subject] }
}

// trimmed is a text without the place where a log was read.
func trimmed(s string) string {
	words := strings.Split(s, " ")
	for i, w := range words {
		if at := strings.Index(w, "/logs/"); at >= 0 {
			words[i] = w[at+1:]
		}
	}
	return strings.Join(words, " ")
}

func list(claims []verify.Claim) string {
	var b strings.Builder
	for _, c := range claims {
		fmt.Fprintf(&b, "  %+v\n", c)
	}
	return b.String()
}

// tampering is what who serves a folder does to it after it was published.
var tampering = map[string]func(t *testing.T, b bundle){
	"a tile's bit": func(t *testing.T, b bundle) { b.files[b.one(t, "tile/0/")][99] ^= 4 },
	"a leaf's bit": func(t *testing.T, b bundle) { b.files[b.one(t, "tile/entries/")][40] ^= 1 },
	"a body's bit": func(t *testing.T, b bundle) {
		c := b.files[b.one(t, "body/")]
		c[bytes.Index(c, []byte("circle:"))] ^= 1
	},
	"entries withheld":  func(t *testing.T, b bundle) { delete(b.files, b.one(t, "tile/entries/")) },
	"a log withheld":    func(t *testing.T, b bundle) { delete(b.files, b.one(t, tlog.PathCheckpoint)) },
	"a stranger's word": func(t *testing.T, b bundle) { n := b.one(t, tlog.PathCheckpoint); b.files[n] = strange(t, b.files[n]) },
}

// strange has a stranger cosign a checkpoint.
func strange(t *testing.T, signed []byte) []byte {
	t.Helper()
	c, err := tlog.NewCosigner("example.com/stranger", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	body, _, _ := bytes.Cut(signed, []byte("\n\n"))
	cp, err := tlog.ParseCheckpoint(append(bytes.Clone(body), '\n'))
	if err != nil {
		t.Fatal(err)
	}
	line, err := c.Cosign(cp, time.Unix(1_900_000_000, 0))
	if err != nil {
		t.Fatal(err)
	}
	out, _, err := tlog.AddCosignature(signed, line, c.Witness())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// What a visitor's browser finds is what the command finds, claim by claim, of a good folder and of bad ones; and what differs from the
// publisher's word is said.
func TestBrowserSaysWhatTheCommandSays(t *testing.T) {
	p, good := program(t), circle(t)
	dir := t.TempDir()
	good.write(t, dir)
	published := native(t, dir, good.list, good.now)
	if published.Failed {
		t.Fatalf("an honest circle fails: %s", list(published.Claims))
	}
	if err := disclosure.Write(dir, published, good.list, p); err != nil {
		t.Fatal(err)
	}
	b := chromium.StartFor(t, "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", 5*time.Minute)
	at := serve(t, dir, good.now)
	s := see(t, b, at)
	same(t, "good", s, published)
	if len(s.Differs) > 0 || !slices.Contains(s.Found, "your own browser found the same") {
		t.Errorf("good: differs in %q, found %q", s.Differs, s.Found)
	}
	looks(t, b, at)
	hosts(t, b, dir, good, published)
	attested(t, b, good, p)
	for name, tamper := range tampering {
		bad := good
		bad.files = map[string][]byte{}
		for n, c := range good.files {
			bad.files[n] = bytes.Clone(c)
		}
		tamper(t, bad)
		dir := t.TempDir()
		bad.write(t, dir)
		if err := disclosure.Write(dir, published, good.list, p); err != nil {
			t.Fatal(err)
		}
		want := native(t, dir, good.list, good.now)
		if !want.Failed {
			t.Errorf("%s: the command finds nothing", name)
		}
		at := serve(t, dir, good.now)
		s := see(t, b, at)
		same(t, name, s, want)
		if len(s.Differs) == 0 || slices.Contains(s.Found, "your own browser found the same") {
			t.Errorf("%s: the page does not say that it differs: %q", name, s.Found)
		}
		if name == "a tile's bit" && *update {
			picture(t, b, at, "disclosure-wrong.png", 1100, 1000, false)
		}
	}
}

// hosts are web servers that serve the folder in their own way, and visitors who ask for a circle.
func hosts(t *testing.T, b *chromium.Browser, dir string, good bundle, want *verify.Report) {
	t.Helper()
	with := func(change func(w http.ResponseWriter, r *http.Request) bool) string {
		inner, err := url.Parse(serve(t, dir, good.now))
		if err != nil {
			t.Fatal(err)
		}
		proxy := httputil.NewSingleHostReverseProxy(inner)
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !change(w, r) {
				proxy.ServeHTTP(w, r)
			}
		}))
		t.Cleanup(s.Close)
		return s.URL + "/"
	}
	strict := with(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/worker.js" {
			w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'")
		}
		return false
	})
	same(t, "a server that binds the worker too", see(t, b, strict), want)
	unpacking := with(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, ".gz") {
			w.Header().Set("Content-Encoding", "gzip")
		}
		return false
	})
	same(t, "a server that has the program unpacked", see(t, b, unpacking), want)
	mute := with(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/report.json" {
			return false
		}
		http.NotFound(w, r)
		return true
	})
	s := see(t, b, mute)
	same(t, "no report to compare with", s, want)
	if !strings.Contains(s.Status, "could not be compared") || slices.Contains(s.Found, "your own browser found the same") {
		t.Errorf("nothing was compared, and the page says %q, %q", s.Status, s.Found)
	}
	empty := with(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/verify.wasm.gz" {
			return false
		}
		http.NotFound(w, r)
		return true
	})
	if s := see(t, b, empty); s.Check != "failed" || !strings.HasPrefix(s.By, "As the publisher found it") || !strings.Contains(s.Status, "could not check") {
		t.Errorf("without a verifier the page says %+v", s)
	}
	if s := see(t, b, serve(t, dir, good.now)+"#circle="+want.CircleID.String()); s.Level != "well" {
		t.Errorf("the circle that was asked for: %+v", s)
	}
	if s := see(t, b, serve(t, dir, good.now)+"#circle="+strings.Repeat("ab", 32)); s.Level != "wrong" || len(s.Reasons) != 1 || !strings.Contains(s.Reasons[0], "asked for") {
		t.Errorf("another circle than was asked for: %+v", s)
	}
	if s := see(t, b, serve(t, dir, good.now.Add(100*24*time.Hour))); s.Level != "attention" || !strings.Contains(strings.Join(s.Reasons, " "), "silent since") || len(s.Differs) > 0 {
		t.Errorf("a hundred days later: %+v", s)
	}
}

// attested publishes evidence that the publisher has keys for and no visitor: what it says is its word, and marked so, and nothing differs.
func attested(t *testing.T, b *chromium.Browser, good bundle, p wasm.Program) {
	t.Helper()
	dir := t.TempDir()
	good.write(t, dir)
	file := verify.BundleFile{Operator: "operator-0", Place: "main", File: "audra"}
	bundled := good.list
	bundled.Evidence = []verify.BundleFile{file}
	var sighting []byte
	o := verify.Options{Now: good.now, Evidence: func(d charter.Document) []places.Finding {
		at, _ := d.Station("operator-0")
		place := at.Places[0]
		place.Level = ""
		sighting = nodetest.Sighting(t, charter.Sighting{
			Witness: "audra", Entity: "Auditors LLP", Operator: at.Name, Identity: at.Identity, Place: place, Saw: "the rack", Created: good.now, Expires: good.now.AddDate(0, 6, 0),
		}, "audra")
		return places.Trust{Sighters: nodetest.Sighter(t, "audra")}.Judge([]places.File{{Operator: "operator-0", Place: "main", Name: file.Path(), Content: sighting}}, d, good.now, time.Time{})
	}}
	var sources []verify.Source
	for _, l := range bundled.Logs {
		sources = append(sources, verify.Source{Name: l.Path, Fetch: func(path string) ([]byte, error) {
			if content, ok := good.files[l.Path+"/"+path]; ok {
				return content, nil
			}
			return nil, verify.ErrNotThere
		}})
	}
	published, err := verify.Verify(sources, o)
	if err != nil || published.Failed || published.Operators[0].Places[0].Class != verify.Attested {
		t.Fatalf("%v, %s", err, list(published.Claims))
	}
	if err := disclosure.Write(dir, published, bundled, p); err != nil {
		t.Fatal(err)
	}
	b.Screen(320, 800, 1, false)
	s := see(t, b, serve(t, dir, good.now))
	b.Screen(1280, 800, 1, false)
	if s.Level != "well" || len(s.Differs) > 0 || s.Wide > 0 || !strings.Contains(strings.Join(s.Found, "\n"), "your own browser found the same of all else; what is attested is the publisher's word") || !strings.Contains(s.Status, "says the same of all else; what is attested") {
		t.Errorf("evidence that no visitor can judge: %+v", s)
	}
	if !slices.ContainsFunc(s.Claims, func(c verify.Claim) bool {
		return c.Subject == "place operator-0/main" && c.Class == verify.Declared && strings.Contains(c.Basis, "evidence evidence/operator-0/main/audra is not judged: a browser holds no keys for it")
	}) {
		t.Errorf("the browser's own claim of the place: %s", list(s.Claims))
	}
}

// looks holds the page to what a reader needs of it, at every width and in both colours, and takes its pictures.
func looks(t *testing.T, b *chromium.Browser, url string) {
	t.Helper()
	for _, width := range []int{320, 360, 768, 1280} {
		b.Screen(width, 800, 1, false)
		if s := see(t, b, url); s.Wide > 0 {
			t.Errorf("%d pixels wide: the page is %d pixels wider; %s", width, s.Wide, b.Run(wider))
		}
	}
	for _, dark := range []bool{false, true} {
		b.Screen(360, 800, 1, dark)
		see(t, b, url)
		if bad := b.Run(contrast); bad != "" {
			t.Errorf("dark %v: too little contrast: %s", dark, bad)
		}
	}
	if *update {
		picture(t, b, url, "disclosure.png", 1100, 1150, false)
		picture(t, b, url, "disclosure-dark.png", 1100, 1150, true)
		picture(t, b, url, "disclosure-phone.png", 360, 1050, false)
	}
	b.Screen(1280, 800, 1, false)
}

// wider names what is wider than the screen.
const wider = `[...document.querySelectorAll("body *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scroll, .hidden")).map((e) => e.tagName + "." + e.className + " " + e.textContent.slice(0, 40)).slice(0, 5).join("; ")`

// contrast finds text with less than 4.5:1 against what lies behind it (WCAG 1.4.3).
const contrast = `(() => {
  const rgb = (c) => (c.match(/[\d.]+/g) || []).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4).reduce((s, v, i) => s + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c.length === 3 || c[3] > 0) return c; } return [255, 255, 255]; };
  const bad = [];
  for (const e of document.querySelectorAll("body *")) {
    if (![...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()) || e.closest("svg, noscript, .hidden, [hidden]") || !e.getClientRects().length) continue;
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(behind(e))].sort((x, y) => y - x);
    if ((a + 0.05) / (b + 0.05) < 4.5) bad.push(e.tagName + "." + e.className + " " + ((a + 0.05) / (b + 0.05)).toFixed(2) + " " + e.textContent.trim().slice(0, 30));
  }
  return [...new Set(bad)].slice(0, 8).join("; ");
})()`

const maxPicture = 400 << 10

// picture writes what the visitor sees at first.
func picture(t *testing.T, b *chromium.Browser, url, name string, width, height int, dark bool) {
	t.Helper()
	b.Screen(width, height, map[bool]float64{true: 2, false: 1}[width < 600], dark)
	see(t, b, url)
	png := b.Shot()
	if len(png) > maxPicture {
		t.Errorf("%s has %d bytes, at most %d are kept", name, len(png), maxPicture)
	}
	root, err := components.Root()
	if err == nil {
		dir := filepath.Join(root, "docs", "images")
		if err = os.MkdirAll(dir, 0o755); err == nil {
			err = os.WriteFile(filepath.Join(dir, name), png, 0o644)
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
