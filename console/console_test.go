package console

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

const message = "ostraka/1 intent\nand so on\n"

// open is a page on a free port, with alice's passkey of its origin.
func open(t *testing.T) (*Page, signettest.Passkey, signet.Key) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	device := signettest.NewPasskey(statement.Passkey256, "alice")
	device.Origin = fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port)
	s, err := Open(device.Origin)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	key, err := signet.ParseKey(device.Line())
	if err != nil {
		t.Fatal(err)
	}
	return s, device, key
}

type outcome struct {
	armored []byte
	err     error
}

// sign asks for a vote, and waits until the page shows it.
func sign(t *testing.T, s *Page, k signet.Key, text string, shown Shown) chan outcome {
	t.Helper()
	s.mu.Lock()
	was := s.last
	s.mu.Unlock()
	out := make(chan outcome, 1)
	go func() {
		armored, err := s.Sign(context.Background(), k, signet.Approve, []byte(text), shown)
		out <- outcome{armored, err}
	}()
	for limit := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		s.mu.Lock()
		now := s.last
		s.mu.Unlock()
		if now > was {
			return out
		}
		if time.Now().After(limit) {
			t.Fatal("nothing is asked")
		}
	}
}

// browser is what a page's requests look like.
type browser struct {
	t      *testing.T
	s      *Page
	cookie *http.Cookie
	change func(*http.Request)
}

func (b *browser) do(method, path, body string) (int, string, http.Header) {
	b.t.Helper()
	r, err := http.NewRequest(method, b.s.URL()+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if method == http.MethodPost {
		r.Header.Set("Origin", b.s.origin)
		r.Header.Set("Content-Type", "application/json")
	}
	if b.cookie != nil {
		r.AddCookie(b.cookie)
	}
	if b.change != nil {
		b.change(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, c := range res.Cookies() {
		if b.cookie == nil {
			b.cookie = c
		}
	}
	return res.StatusCode, string(text), res.Header
}

var asks = regexp.MustCompile(`data-step="(\d+)" data-ask="([^"]*)"`)

// load reads the page: its step and what it asks of the browser.
func (b *browser) load() (step, page string, ask ceremonyText) {
	b.t.Helper()
	code, page, _ := b.do("GET", "", "")
	m := asks.FindStringSubmatch(page)
	if code != http.StatusOK || m == nil {
		b.t.Fatalf("page: %d %s", code, page)
	}
	if err := json.Unmarshal([]byte(html.UnescapeString(m[2])), &ask); err != nil {
		b.t.Fatal(err)
	}
	return m[1], page, ask
}

type ceremonyText struct {
	Do      string
	Options struct {
		Challenge        string
		RPID             string `json:"rpId"`
		UserVerification string
		AllowCredentials []struct{ ID string }
	}
}

// get answers what the page asks, as the authenticator would.
func get(k signet.Key, device signettest.Passkey, text string) string {
	c := signet.PasskeyChallenge(k, signet.Approve, []byte(text))
	return string(device.Get(c[:]))
}

func (b *browser) wants(code int, method, path, body string) {
	b.t.Helper()
	if got, text, _ := b.do(method, path, body); got != code {
		b.t.Errorf("%s %s: %d %s, want %d", method, path, got, text, code)
	}
}

func TestSign(t *testing.T) {
	s, device, k := open(t)
	shown := Shown{Title: "Approve as alice?", Lead: "same", Facts: "memo  <script>alert(1)</script>\n", Text: "a&b", Button: "Approve"}
	out := sign(t, s, k, message, shown)
	b := &browser{t: t, s: s}
	step, page, ask := b.load()
	if !strings.Contains(page, "&lt;script&gt;alert(1)&lt;/script&gt;") || strings.Contains(page, "<script>alert") || !strings.Contains(page, "a&amp;b") {
		t.Errorf("page: %s", page)
	}
	c := signet.PasskeyChallenge(k, signet.Approve, []byte(message))
	o := ask.Options
	if ask.Do != "get" || o.Challenge != b64(c[:]) || o.RPID != "localhost" || o.UserVerification != "required" || len(o.AllowCredentials) != 1 || o.AllowCredentials[0].ID != b64(device.ID) {
		t.Errorf("asks %+v", ask)
	}
	b.wants(http.StatusNoContent, "POST", "answer/"+step, get(k, device, message))
	got := <-out
	if got.err != nil {
		t.Fatal(got.err)
	}
	if _, err := signet.Verify(got.armored, signet.Approve, []byte(message), []signet.Key{k}); err != nil {
		t.Error(err)
	}
	b.wants(http.StatusConflict, "POST", "answer/"+step, get(k, device, message)) // once
	if step, _, _ := b.load(); step != "0" {
		t.Errorf("step %s is shown, though nothing is asked", step)
	}
	// another step on the same page; the answer to the first does not serve
	out = sign(t, s, k, "other bytes", shown)
	if again, _, _ := b.load(); again != "2" {
		t.Errorf("second step: %s", again)
	}
	b.wants(http.StatusUnprocessableEntity, "POST", "answer/2", get(k, device, message))
	if got := <-out; got.err == nil {
		t.Error("an answer to another challenge was taken")
	}
	if _, err := s.Sign(t.Context(), k, signet.Approve, []byte("more"), shown); err == nil {
		t.Error("the page goes on after an answer that does not hold")
	}
}

func TestRegister(t *testing.T) {
	s, device, k := open(t)
	type made struct {
		key signet.Key
		err error
	}
	out := make(chan made, 1)
	go func() {
		key, err := s.Register(context.Background(), "alice")
		out <- made{key, err}
	}()
	b := &browser{t: t, s: s}
	step, ask := "0", ceremonyText{}
	for step == "0" {
		step, _, ask = b.load()
	}
	challenge, err := base64.RawURLEncoding.DecodeString(ask.Options.Challenge)
	if err != nil || ask.Do != "create" || len(challenge) != 32 {
		t.Fatalf("asks %+v: %v", ask, err)
	}
	b.wants(http.StatusNoContent, "POST", "answer/"+step, string(device.Create(challenge)))
	if got := <-out; got.err != nil || !got.key.Equal(k) {
		t.Errorf("made %s, %v; want %s", got.key, got.err, k)
	}
}

// Each of these is turned away, and the step stays asked.
func TestStrangersAreTurnedAway(t *testing.T) {
	s, device, k := open(t)
	out := sign(t, s, k, message, Shown{Title: "Approve"})
	b := &browser{t: t, s: s}
	step, _, _ := b.load()
	answer := get(k, device, message)
	for _, x := range []struct {
		name   string
		code   int
		change func(*http.Request)
	}{
		{"DNS rebinding", http.StatusMisdirectedRequest, func(r *http.Request) { r.Host = "attacker.example:7707" }},
		{"the address itself", http.StatusMisdirectedRequest, func(r *http.Request) { r.Host = strings.Replace(r.Host, "localhost", "127.0.0.1", 1) }},
		{"another port", http.StatusMisdirectedRequest, func(r *http.Request) { r.Host = "localhost:1" }},
		{"another site's page", http.StatusForbidden, func(r *http.Request) { r.Header.Set("Origin", "https://attacker.example") }},
		{"a page without origin", http.StatusForbidden, func(r *http.Request) { r.Header.Set("Origin", "null") }},
		{"no origin", http.StatusForbidden, func(r *http.Request) { r.Header.Del("Origin") }},
		{"a page of another port", http.StatusForbidden, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }},
		{"a form", http.StatusUnsupportedMediaType, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }},
		{"another browser", http.StatusForbidden, func(r *http.Request) { r.Header.Del("Cookie") }},
		{"another browser that has some cookie", http.StatusForbidden, func(r *http.Request) { r.Header.Set("Cookie", cookieName+"="+strings.Repeat("A", 26)) }},
		{"another token", http.StatusNotFound, func(r *http.Request) { r.URL.Path = "/" + strings.Repeat("A", 26) + "/answer/" + step }},
		{"no token", http.StatusNotFound, func(r *http.Request) { r.URL.Path = "/answer/" + step }},
		{"another step", http.StatusConflict, func(r *http.Request) { r.URL.Path = "/" + s.token + "/answer/7" }},
		{"GET", http.StatusMethodNotAllowed, func(r *http.Request) { r.Method = http.MethodGet }},
		{"too long", http.StatusRequestEntityTooLarge, func(r *http.Request) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader(strings.Repeat("x", maxAnswer+1))), maxAnswer+1
		}},
	} {
		b.change = x.change
		if code, text, _ := b.do("POST", "answer/"+step, answer); code != x.code {
			t.Errorf("%s: %d %s, want %d", x.name, code, text, x.code)
		}
	}
	b.change = func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }
	b.wants(http.StatusForbidden, "GET", "", "")
	(&browser{t: t, s: s}).wants(http.StatusForbidden, "GET", "", "") // a second browser
	b.change = nil
	b.wants(http.StatusNoContent, "POST", "answer/"+step, answer)
	if got := <-out; got.err != nil {
		t.Error(got.err)
	}
}

func TestHeaders(t *testing.T) {
	s, _, _ := open(t)
	_, page, h := (&browser{t: t, s: s}).do("GET", "", "")
	for name, want := range map[string]string{
		"Content-Security-Policy": policy, "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if h.Get(name) != want {
			t.Errorf("%s: %q, want %q", name, h.Get(name), want)
		}
	}
	if strings.Contains(policy, "unsafe") || !strings.HasPrefix(policy, "default-src 'none'") {
		t.Errorf("policy %s", policy)
	}
	if !strings.Contains(page, "<script>"+script+"</script>") || !strings.Contains(page, "<style>"+style+"</style>") {
		t.Error("the page does not hold script and style as they are hashed")
	}
}

// Answers that do not hold end the page with an error that says why.
func TestAnswersThatDoNotHold(t *testing.T) {
	for name, change := range map[string]func(k signet.Key, p signettest.Passkey) string{
		"another challenge": func(_ signet.Key, p signettest.Passkey) string { return string(p.Get(make([]byte, 32))) },
		"another origin": func(k signet.Key, p signettest.Passkey) string {
			p.Origin = "http://localhost:1"
			return get(k, p, message)
		},
		"another passkey": func(k signet.Key, p signettest.Passkey) string {
			q := signettest.NewPasskey(statement.Passkey256, "mallory")
			q.Origin = p.Origin
			return get(k, q, message)
		},
		"nobody verified": func(k signet.Key, p signettest.Passkey) string { p.Flags = 1; return get(k, p, message) },
		"no JSON":         func(signet.Key, signettest.Passkey) string { return "yes" },
	} {
		t.Run(name, func(t *testing.T) {
			s, device, k := open(t)
			out := sign(t, s, k, message, Shown{Title: "Approve"})
			b := &browser{t: t, s: s}
			step, _, _ := b.load()
			b.wants(http.StatusUnprocessableEntity, "POST", "answer/"+step, change(k, device))
			if got := <-out; got.err == nil || got.armored != nil {
				t.Errorf("%s, %v", got.armored, got.err)
			}
			b.wants(http.StatusConflict, "POST", "answer/"+step, get(k, device, message))
		})
	}
}

func TestOpenRefuses(t *testing.T) {
	for _, origin := range []string{"https://vault.example", "https://localhost:7707", "http://localhost.example:7707"} {
		if _, err := Open(origin); !errors.Is(err, ErrOrigin) {
			t.Errorf("%s: %v", origin, err)
		}
	}
	// Whoever holds one of localhost's addresses could show a page of the same origin.
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Logf("no %s on this machine: %v", address, err)
			continue
		}
		_, err = Open(fmt.Sprintf("http://localhost:%d", l.Addr().(*net.TCPAddr).Port))
		if !errors.Is(err, ErrTaken) {
			t.Errorf("%s is taken: %v", address, err)
		}
		l.Close()
	}
}

// Several ask at once, as logging in at every node does; the end of the command ends those that are left.
func TestEnds(t *testing.T) {
	s, device, k := open(t)
	first := sign(t, s, k, "one", Shown{Title: "One", Auto: true})
	second := sign(t, s, k, "two", Shown{Title: "Two", Auto: true})
	b := &browser{t: t, s: s}
	if step, page, _ := b.load(); step != "1" || !strings.Contains(page, "One") || !strings.Contains(page, `data-auto="false"`) {
		t.Errorf("step %s first, or without a click", step)
	}
	b.wants(http.StatusNoContent, "POST", "answer/1", get(k, device, "one"))
	if got := <-first; got.err != nil {
		t.Error(got.err)
	}
	if _, text, _ := b.do("GET", "step", ""); strings.TrimSpace(text) != "2" {
		t.Errorf("next step %s", text)
	}
	if _, page, _ := b.load(); !strings.Contains(page, `data-auto="true"`) {
		t.Error("the second of a series takes a click")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Sign(ctx, k, signet.Approve, []byte("three"), Shown{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	b.wants(http.StatusConflict, "POST", "answer/3", get(k, device, "three"))
	s.Close()
	if got := <-second; !errors.Is(got.err, ErrClosed) {
		t.Errorf("closed: %v", got.err)
	}
	if _, err := http.Get(s.URL()); err == nil {
		t.Error("a closed page still serves")
	}
}
