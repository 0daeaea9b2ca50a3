package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
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
	logPatience = 10 * time.Second // how long a file may take to be made
	maxOnTheWay = 512 << 20        // bytes of files that slow readers may hold
	maxLogPath  = 64               // bytes, behind /log/
)

// logFiles serves the published log (C2SP tlog-tiles) to everybody, other sites' pages too.
type logFiles struct {
	get      func(ctx context.Context, path string) ([]byte, error)
	onTheWay atomic.Int64
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
	ctx, cancel := context.WithTimeout(r.Context(), logPatience)
	defer cancel()
	file, err := l.get(ctx, path)
	size := int64(len(file))
	switch held := l.onTheWay.Add(size); {
	case errors.Is(err, publish.ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case err != nil, held > maxOnTheWay && held > size:
		h.Set("Retry-After", "10")
		http.Error(w, "this node cannot show it now: try again", http.StatusServiceUnavailable)
	default:
		describe(h, path)
		h.Set("Content-Length", strconv.FormatInt(size, 10))
		if r.Method == http.MethodGet {
			w.Write(file) //nolint:errcheck // the reader went away
		}
	}
	l.onTheWay.Add(-size)
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
