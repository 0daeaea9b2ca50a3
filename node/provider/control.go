package provider

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ostraka/ostraka/node/door"
)

// A Status is what a supervisor knows of itself and its customers.
type Status struct {
	PID       int        `json:"pid"`
	Since     time.Time  `json:"since"`
	NoCgroups string     `json:"no_cgroups,omitempty"` // why customers have none
	Link      door.Stats `json:"link"`
	People    door.Stats `json:"people"`
	Customers []Standing `json:"customers"`
}

// A Standing is what a supervisor knows of one customer.
type Standing struct {
	Name    string         `json:"name"`
	State   State          `json:"state"`
	Why     string         `json:"why,omitempty"`
	Since   time.Time      `json:"since"`
	PID     int            `json:"pid,omitempty"`
	Started int            `json:"started"` // times, since the supervisor began
	Bounds  string         `json:"bounds,omitempty"`
	Link    door.RoomStats `json:"link"`
	People  door.RoomStats `json:"people"`
	Log     string         `json:"log"`
	LogLeft uint64         `json:"log_lines_left_out,omitempty"`
}

// Status shows everything.
func (s *Supervisor) Status() Status {
	out := Status{PID: os.Getpid(), Since: s.began, NoCgroups: s.lacks, Link: s.link.Stats(), People: s.people.Stats(), Customers: []Standing{}}
	for _, c := range s.names() {
		out.Customers = append(out.Customers, c.standing())
	}
	return out
}

func (c *child) standing() Standing {
	c.log.mu.Lock()
	left := c.log.left
	c.log.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	return Standing{
		Name: c.name, State: c.state, Why: c.why, Since: c.since, PID: c.pid, Started: c.started, Bounds: c.bounds,
		Link: c.link.room.Stats(), People: c.people.room.Stats(), Log: c.log.path, LogLeft: left,
	}
}

// control opens the provider's own socket, and /healthz and /metrics on loopback.
func (s *Supervisor) control(metrics string) (stop func(), err error) {
	path := filepath.Join(s.dir, SocketName)
	os.Remove(path)             //nolint:errcheck // nobody has it: the folder's lock is ours
	old := syscall.Umask(0o177) // so that nobody else ever could call it
	ln, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	own := http.NewServeMux()
	own.HandleFunc("GET /status", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.Status(), nil) })
	own.HandleFunc("POST /reload", func(w http.ResponseWriter, _ *http.Request) { answer(w, struct{}{}, s.Reload()) })
	own.HandleFunc("POST /restart", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, s.Restart(r.URL.Query().Get("customer")))
	})
	servers := []*http.Server{s.server(own)}
	go servers[0].Serve(ln) //nolint:errcheck // ends when the server is closed
	if metrics != "" {
		token, err := metricsToken(s.dir)
		if err != nil {
			ln.Close()
			return nil, err
		}
		l, err := net.Listen("tcp", metrics)
		if err != nil {
			ln.Close()
			return nil, fmt.Errorf("listen for metrics at %s: %w", metrics, err)
		}
		servers = append(servers, s.server(s.metrics(token)))
		go servers[1].Serve(l) //nolint:errcheck // likewise
	}
	return func() {
		for _, x := range servers {
			x.Close()
		}
	}, nil
}

func (s *Supervisor) server(h http.Handler) *http.Server {
	return &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, MaxHeaderBytes: 8 << 10}
}

func answer(w http.ResponseWriter, v any, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	json.NewEncoder(w).Encode(v) //nolint:errcheck // the caller is gone
}

// TokenName is the file with what /metrics is shown for.
const TokenName = "metrics.token"

// metricsToken reads it, or makes it.
func metricsToken(dir string) (string, error) {
	path := filepath.Join(dir, TokenName)
	raw, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		raw = []byte(rand.Text() + rand.Text())
		err = os.WriteFile(path, append(raw, '\n'), 0o600)
	}
	token := strings.TrimSpace(string(raw))
	if err == nil && len(token) < 32 {
		err = fmt.Errorf("%s holds %d letters, at least 32 are needed: delete it, and a new one is drawn", path, len(token))
	}
	if err != nil {
		return "", fmt.Errorf("what /metrics is shown for: %w", err)
	}
	return token, nil
}

// metrics shows the supervisor's own at /metrics, and each customer's own at /metrics/NAME and /healthz/NAME. /healthz is 200 while all who should run do. Every local user can ask, a customer's
// process too: all but whether everything runs is shown to who knows the token alone.
func (s *Supervisor) metrics(token string) http.Handler {
	open, mux := http.NewServeMux(), http.NewServeMux()
	knows := func(r *http.Request) bool {
		return subtle.ConstantTimeCompare([]byte(r.Header.Get("Authorization")), []byte("Bearer "+token)) == 1
	}
	open.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !knows(r) {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the header \"Authorization: Bearer …\" with what is in the provider's "+TokenName+" is missing", http.StatusUnauthorized)
			return
		}
		mux.ServeHTTP(w, r)
	})
	open.HandleFunc("GET /healthz", func(w http.ResponseWriter, r *http.Request) {
		var ill []string
		for _, c := range s.Status().Customers {
			if c.State != Running && c.State != Retired && c.State != Stopped {
				ill = append(ill, c.Name)
			}
		}
		if len(ill) > 0 && !knows(r) {
			ill = []string{"not all who should run do"}
		}
		if len(ill) > 0 {
			http.Error(w, strings.Join(ill, " "), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Write(s.Status().prometheus()) //nolint:errcheck // the caller is gone
	})
	for _, path := range []string{"/healthz", "/metrics"} {
		mux.HandleFunc("GET "+path+"/{name}", func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			c := s.children[r.PathValue("name")]
			s.mu.Unlock()
			if c == nil {
				http.NotFound(w, r)
				return
			}
			body, err := c.get(r.Context(), path)
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
			w.Write(body) //nolint:errcheck // likewise
		})
	}
	return open
}

// prometheus writes the supervisor's metrics. Names of customers are of letters and digits.
func (s Status) prometheus() []byte {
	var b bytes.Buffer
	row := func(name, help, kind string, of func(Standing) float64) {
		fmt.Fprintf(&b, "# HELP ostraka_provider_%s %s\n# TYPE ostraka_provider_%s %s\n", name, help, name, kind)
		for _, c := range s.Customers {
			fmt.Fprintf(&b, "ostraka_provider_%s{customer=%q} %g\n", name, c.Name, of(c))
		}
	}
	row("customer_up", "1 while the customer's node is ready", "gauge", func(c Standing) float64 {
		if c.State == Running {
			return 1
		}
		return 0
	})
	row("customer_starts_total", "starts of the customer's process", "counter", func(c Standing) float64 { return float64(c.Started) })
	row("link_connections", "through the door for nodes", "gauge", func(c Standing) float64 { return float64(c.Link.Held) })
	row("people_connections", "through the door for people", "gauge", func(c Standing) float64 { return float64(c.People.Held) })
	row("link_pushed_total", "connections closed for others at the door for nodes", "counter", func(c Standing) float64 { return float64(c.Link.Pushed) })
	row("people_pushed_total", "connections closed for others at the door for people", "counter", func(c Standing) float64 { return float64(c.People.Pushed) })
	row("log_lines_left_out_total", "log lines beyond a thousand in a second", "counter", func(c Standing) float64 { return float64(c.LogLeft) })
	return b.Bytes()
}

const maxAnswer = 16 << 20

// get asks a customer's node. Its answer is a stranger's word: it is bounded, and leads nowhere else.
func (c *child) get(ctx context.Context, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	return call(ctx, filepath.Join(c.s.dir, sockets, c.name+".sock"), http.MethodGet, path)
}

// call asks who listens at a socket.
func call(ctx context.Context, socket, method, path string) ([]byte, error) {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}
	c := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, DialContext: dial},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://provider"+path, nil)
	if err != nil {
		return nil, err
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotRunning, err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s", cmp.Or(strings.TrimSpace(string(body[:min(len(body), 1<<10)])), res.Status))
	}
	return body, err
}

// ErrNotRunning says that nobody answers at a socket: no supervisor works in a folder, or a customer's process not.
var ErrNotRunning = errors.New("nobody runs there")

// Ask calls the supervisor of a folder: GET status, POST reload, POST restart?customer=NAME.
func Ask(ctx context.Context, dir, method, what string, into any) error {
	raw, err := call(ctx, filepath.Join(dir, SocketName), method, "/"+what)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}
