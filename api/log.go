package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/publish"
)

// What anybody may ask for, without a token (spec/log 10).
const (
	routeLog     = "/log/"
	routeWitness = "/witness/add-checkpoint"
)

const (
	logPatience = 30 * time.Second // how long a file may take to be made, with the wait for it
	maxOnTheWay = 512 << 20        // bytes of files that slow readers may hold,
	maxHeld     = maxOnTheWay / 8  // and those of one address
	maxLogPath  = 64               // bytes, behind /log/

	// Files for one address: a log of some 300,000 entries at once, and then one of 25,000 each second.
	logBurst = 4096
	logPer   = 10 * time.Millisecond
)

// logFiles serves the published log (C2SP tlog-tiles) to everybody, other sites' pages too.
type logFiles struct {
	get  func(ctx context.Context, reader, path string) ([]byte, error)
	rate *rate

	mu       sync.Mutex
	onTheWay int64
	held     map[string]int64 // of that, by address
}

func newLogFiles(get func(ctx context.Context, reader, path string) ([]byte, error)) *logFiles {
	return &logFiles{get: get, rate: newRate(logBurst, logPer), held: map[string]int64{}}
}

// hold takes memory for a file on its way to an address, or none: a single file always goes.
func (l *logFiles) hold(address string, size int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if over(l.onTheWay, size, maxOnTheWay) || over(l.held[address], size, maxHeld) {
		return false
	}
	l.onTheWay += size
	l.held[address] += size
	return true
}

func over(held, more, most int64) bool { return held > 0 && held+more > most }

func (l *logFiles) release(address string, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onTheWay -= size
	if l.held[address] -= size; l.held[address] == 0 {
		delete(l.held, address)
	}
}

func (l *logFiles) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		h.Set("Allow", "GET, HEAD")
		http.Error(w, "the log is read with GET", http.StatusMethodNotAllowed)
		return
	}
	// As it was sent: every file has one name.
	path, ok := strings.CutPrefix(r.URL.EscapedPath(), routeLog)
	if !ok || len(path) > maxLogPath {
		http.Error(w, publish.ErrNotFound.Error(), http.StatusNotFound)
		return
	}
	address := addressOf(r)
	if !l.rate.take(time.Now(), address) {
		h.Set("Retry-After", "1")
		http.Error(w, "too many requests from this address: wait a moment", http.StatusTooManyRequests)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), logPatience)
	defer cancel()
	file, err := l.get(ctx, address, path)
	size := int64(len(file))
	switch {
	case errors.Is(err, publish.ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case err != nil, !l.hold(address, size):
		h.Set("Retry-After", "10")
		http.Error(w, "this node cannot show it now: try again", http.StatusServiceUnavailable)
		return
	}
	defer l.release(address, size)
	describe(h, path)
	h.Set("Content-Length", strconv.FormatInt(size, 10))
	if r.Method == http.MethodGet {
		w.Write(file) //nolint:errcheck // the reader went away
	}
}

// describe says what a file is, and how long it stays so: a full tile for good, a part of one until the whole is there, a body for as long as
// the charter does not change what is shown.
func describe(h http.Header, path string) {
	kind, keep := "application/octet-stream", "public, max-age=86400, immutable"
	switch {
	case path == tlog.PathCheckpoint:
		kind, keep = "text/plain; charset=utf-8", "no-store"
	case path == tlog.PathKeys, path == tlog.PathWitnesses:
		kind, keep = "text/plain; charset=utf-8", "no-cache"
	case strings.HasPrefix(path, "guards/"): // until there is another epoch
	case path == tlog.PathSeen, strings.HasPrefix(path, "body/"):
		keep = "no-cache"
	case strings.Contains(path, ".p/"):
		keep = "public, max-age=60"
	}
	h.Set("Content-Type", kind)
	h.Set("Cache-Control", keep)
}

// askWitness takes requests for cosignatures (C2SP tlog-witness). Who asks is not looked at: the log's own signature is what counts.
type askWitness struct {
	cosign func(ctx context.Context, now time.Time, request []byte) (status int, contentType string, answer []byte)
	rate   *rate
}

func (a *askWitness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if r.Method != http.MethodPost {
		h.Set("Allow", "POST")
		http.Error(w, "a cosignature is asked for with POST", http.StatusMethodNotAllowed)
		return
	}
	now := time.Now()
	if !a.rate.take(now, addressOf(r)) {
		h.Set("Retry-After", "1")
		http.Error(w, "too many requests from this address: wait a moment", http.StatusTooManyRequests)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, tlog.MaxRequest))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(w, "the request is larger than any may be", http.StatusRequestEntityTooLarge)
		return
	case err != nil:
		http.Error(w, "the request did not arrive whole", http.StatusBadRequest)
		return
	}
	status, kind, answer := a.cosign(r.Context(), now, body)
	h.Set("Content-Type", kind)
	w.WriteHeader(status)
	w.Write(answer) //nolint:errcheck // whoever asked went away
}

// addressOf is where a request came from: an IPv4 address, or the /64 of an IPv6 one, which one subscriber has whole.
func addressOf(r *http.Request) string {
	a, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	ip := a.Addr().Unmap().WithZone("")
	if !ip.Is6() {
		return ip.String()
	}
	p, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return p.String()
}
