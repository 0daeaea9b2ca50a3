package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
)

func askedKey(t *testing.T, name string, seed byte) string {
	t.Helper()
	w, err := tlog.NewWitness(name, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return w.String()
}

func logKey(t *testing.T, origin string, seed byte) string {
	t.Helper()
	v, err := tlog.NewLogVerifier(origin, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{seed}, 32)).Public().(ed25519.PublicKey))
	if err != nil {
		t.Fatal(err)
	}
	return v.String()
}

// Witnesses and logs of the settings are read strictly; each error says which line is wrong, and what to write.
func TestSettingsOfWitnesses(t *testing.T) {
	good := Settings{Link: "h:1", People: "h:2"}
	one, two := askedKey(t, "w.example/1", 1), askedKey(t, "w.example/2", 2)
	many := make([]Asked, maxAsked+1)
	logs := make([]string, maxLogs+1)
	for name, c := range map[string]struct {
		witnesses []Asked
		logs      []string
		want      string // empty: taken
	}{
		"none":               {nil, nil, ""},
		"two":                {[]Asked{{"https://w.example/a", one}, {"http://127.0.0.1:7380", two}}, []string{logKey(t, "l.example", 3)}, ""},
		"this machine":       {[]Asked{{"http://localhost:7380/x/", one}, {"http://[::1]:1/", two}}, nil, ""},
		"http elsewhere":     {[]Asked{{"http://w.example", one}}, nil, `witness 1: url: has scheme "http"; want https`},
		"another scheme":     {[]Asked{{"ftp://w.example", one}}, nil, "want https"},
		"no host":            {[]Asked{{"https:///x", one}}, nil, "witness 1: url: is no URL"},
		"no URL":             {[]Asked{{"w.example", one}}, nil, "is no URL"},
		"a password":         {[]Asked{{"https://u:p@w.example", one}}, nil, "has a user"},
		"a query":            {[]Asked{{"https://w.example?x=1", one}}, nil, "a query"},
		"a fragment":         {[]Asked{{"https://w.example#x", one}}, nil, "a fragment"},
		"no key":             {[]Asked{{"https://w.example", ""}}, nil, "witness 1: key: "},
		"a log's key":        {[]Asked{{"https://w.example", logKey(t, "w.example", 1)}}, nil, "NAME+ID+KEY"},
		"one key twice":      {[]Asked{{"https://w.example/1", one}, {"https://w.example/2", askedKey(t, "w.example/3", 1)}}, nil, "witness 2: its url, name or key is that of another"},
		"one name twice":     {[]Asked{{"https://w.example/1", one}, {"https://w.example/2", askedKey(t, "w.example/1", 2)}}, nil, "would count as two"},
		"one URL twice":      {[]Asked{{"https://w.example/1", one}, {"https://w.example/1/", two}}, nil, "would count as two"},
		"too many":           {many, nil, "at most 16"},
		"a witness's key":    {nil, []string{one}, "log 1: "},
		"one origin twice":   {nil, []string{logKey(t, "l.example", 3), logKey(t, "l.example", 4)}, "log 2: origin l.example is named twice"},
		"too many logs":      {nil, logs, "at most 256"},
		"an id that is none": {nil, []string{strings.Replace(logKey(t, "l.example", 3), "+", "+0", 1)}, "ORIGIN+ID+KEY"},
	} {
		s := good
		s.Witnesses, s.Logs = c.witnesses, c.logs
		switch err := s.check(); {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), "settings: ") || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		case err != nil && strings.Contains(err.Error(), "u:p@"):
			t.Errorf("%s: the error repeats a password: %v", name, err)
		}
	}
	all, err := readAsked([]Asked{{"https://w.example/a/", one}, {"http://127.0.0.1:7380", two}})
	if err != nil || all[0].url != "https://w.example/a/add-checkpoint" || all[1].url != "http://127.0.0.1:7380/add-checkpoint" {
		t.Errorf("%+v, %v", all, err)
	}
}

// Whatever a witness answers, what is taken of it is bounded, in bytes and in time; it is asked one thing at a time, where the settings say.
func TestHostileWitnesses(t *testing.T) {
	let := make(chan struct{})
	asked := make(chan string, 9)
	answers := map[string]http.HandlerFunc{
		"good":     func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "cosignature") }, //nolint:errcheck // a test's server
		"refuses":  func(w http.ResponseWriter, r *http.Request) { http.Error(w, "no", 404) },
		"huge":     func(w http.ResponseWriter, r *http.Request) { w.Write(make([]byte, 1<<20)) }, //nolint:errcheck // a test's server
		"redirect": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/good/add-checkpoint", 307) },
		"silent":   func(w http.ResponseWriter, r *http.Request) { <-let },
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body) //nolint:errcheck // it is compared
		asked <- r.Method + " " + r.URL.Path + " " + string(b)
		which, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		answers[which](w, r)
	}))
	defer server.Close()
	defer close(let)
	type answer struct {
		name string
		got  string
	}
	got := make(chan answer, 9)
	var settings []Asked
	names := []string{"good", "huge", "redirect", "refuses", "silent"}
	for i, name := range names {
		settings = append(settings, Asked{server.URL + "/" + name, askedKey(t, name, byte(i+1))})
	}
	all, err := readAsked(settings)
	if err != nil {
		t.Fatal(err)
	}
	warned := make(chan string, 9)
	log := slog.New(slog.NewTextHandler(lines(warned), nil))
	outside := askOutside(context.Background(), all, log, func(name string, status int, body []byte) error {
		got <- answer{name, fmt.Sprintf("%d %s", status, bytes.TrimSpace(body))}
		return nil
	})
	began := time.Now()
	for _, o := range outside {
		o.Ask([]byte("request"))
	}
	answered := map[string]string{}
	for range 3 {
		a := <-got
		answered[a.name] = a.got
	}
	if answered["good"] != "200 cosignature" || answered["refuses"] != "404 no" || !strings.HasPrefix(answered["redirect"], "307") {
		t.Errorf("%v", answered)
	}
	for range 5 {
		if a := <-asked; !strings.HasPrefix(a, "POST /") || !strings.HasSuffix(a, "/add-checkpoint request") {
			t.Errorf("asked %q", a)
		}
	}
	outside[slices.Index(names, "silent")].Ask([]byte("again")) // while the first is on its way
	for range 2 {
		w := <-warned
		if !strings.Contains(w, "witness=huge") && !strings.Contains(w, "witness=silent") {
			t.Errorf("%s", w)
		}
	}
	if took := time.Since(began); took < askPatience-time.Second || took > askPatience+10*time.Second {
		t.Errorf("a silent witness is waited for %s", took)
	}
	if len(asked) > 0 {
		t.Errorf("asked besides: %q", <-asked)
	}
}

// lines hands over what is logged.
type lines chan string

func (l lines) Write(b []byte) (int, error) { l <- string(b); return len(b), nil }
