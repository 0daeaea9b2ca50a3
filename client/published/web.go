package published

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
)

// What a fetch may cost.
const (
	dialTime   = 5 * time.Second
	answerTime = 15 * time.Second // until an answer begins
	tries      = 4
	firstWait  = 500 * time.Millisecond // before the second try; twice as long each time
	maxWait    = 10 * time.Second
	redirects  = 5
	mostAtOnce = 16 // connections to one host
)

// How slowly an answer may come: so many bytes in a second, after so long.
var (
	slowTime  = 20 * time.Second // shorter in tests
	leastRate = int64(8 << 10)
)

// A web fetches the files below one address.
type web struct {
	base   *url.URL
	client *http.Client

	mu       sync.Mutex
	identity ed25519.PublicKey // of the node whose own certificate was shown; nil: an authority vouches for the server
}

func openWeb(ctx context.Context, where string, o Options) (Place, error) {
	u, err := url.Parse(where)
	switch {
	case err != nil || u.Host == "" || u.RawQuery != "" || u.Fragment != "":
		return Place{}, fmt.Errorf("%.80q is not of the form https://HOST/FOLDER", where)
	case u.User != nil:
		return Place{}, errors.New("the address holds a name or password: what is published needs none")
	case u.Scheme == "http" && !o.Insecure && !loopback(u.Hostname()):
		return Place{}, fmt.Errorf("%s goes unencrypted: give the https address, or --insecure to read it all the same", where)
	}
	u.Path = strings.TrimSuffix(u.Path, "/") + "/"
	w := &web{base: u}
	w.client = &http.Client{Transport: w.transport(o.Insecure), CheckRedirect: sameHost}
	ctx, cancel := until(ctx, o.Until)
	get := func(path string, to io.Writer) error {
		return w.get(ctx, path, to, func(int64) error { return nil })
	}
	p, err := find(strings.TrimSuffix(where, "/"), fetchTo(get), true)
	p.ends = append(p.ends, cancel, w.client.CloseIdleConnections)
	if err == nil {
		err = w.vouched(p)
	}
	for i := range p.Sources {
		if err == nil {
			err = p.bring(ctx, i, w, o)
		}
	}
	if err != nil {
		p.Close()
	}
	return p, err
}

// bring has a source fetched as its options say: ahead of its reader, into a folder, unless it is Direct.
func (p *Place) bring(ctx context.Context, i int, w *web, o Options) error {
	s := &p.Sources[i]
	m := newMeter(ctx, o.Bounds)
	get := func(path string, to io.Writer) error {
		if err := m.err(); err != nil {
			return err
		}
		return w.get(ctx, s.below+path, to, m.add)
	}
	if o.Direct {
		fetch := fetchTo(get)
		s.Fetch = func(path string) ([]byte, error) {
			b, err := fetch(path)
			if err == nil && path == tlog.PathCheckpoint {
				err = m.checkpoint(b)
			}
			return b, err
		}
		return nil
	}
	if o.Cache != "" {
		keys, err := s.Fetch(tlog.PathKeys)
		if err == nil { // else the reading says so
			s.cache = cacheOf(o.Cache, keys)
		}
	}
	spool, err := newSpool(m, s.cache, get)
	if err != nil {
		return err
	}
	p.ends = append(p.ends, spool.close)
	s.Fetch = spool.fetch
	spool.ahead()
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// sameHost follows redirects within one host: another would be asked for what its owner never published.
func sameHost(req *http.Request, via []*http.Request) error {
	if len(via) > redirects || req.URL.Host != via[0].URL.Host || req.URL.Scheme != via[0].URL.Scheme {
		return &redirectError{host(req.URL)}
	}
	return nil
}

type redirectError struct{ to string }

func (e *redirectError) Error() string {
	return fmt.Sprintf("it leads on to %s: give that address instead", e.to)
}

// transport verifies servers by the system's roots. A node has no authority's certificate: its own is made by its identity key. What it serves is
// held to signatures, so nothing is lost by talking to it: its certificate is taken here if it has that form, and the log that it serves must then be
// that very identity's (vouched). A bundle from such a server is refused.
func (w *web) transport(insecure bool) *http.Transport {
	d := &net.Dialer{Timeout: dialTime}
	return &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: answerTime, ForceAttemptHTTP2: true,
		MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute, DisableCompression: true, MaxConnsPerHost: mostAtOnce,
		TLSClientConfig: &tls.Config{
			MinVersion:         tls.VersionTLS12,
			InsecureSkipVerify: true, // VerifyConnection does it, and then looks whether it is a node's
			VerifyConnection: func(cs tls.ConnectionState) error {
				err := byAuthority(cs)
				if err == nil || insecure {
					return nil
				}
				key, ok := cs.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
				if !ok || len(cs.PeerCertificates) != 1 || cs.Version != tls.VersionTLS13 {
					return &CertificateError{w.base.Host, err}
				}
				w.mu.Lock()
				defer w.mu.Unlock()
				if w.identity != nil && !w.identity.Equal(key) {
					return fmt.Errorf("%s shows two identities, %x and %x", w.base.Host, []byte(w.identity), []byte(key))
				}
				w.identity = key
				return nil
			},
		},
	}
}

func byAuthority(cs tls.ConnectionState) error {
	o := x509.VerifyOptions{DNSName: cs.ServerName, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		o.Intermediates.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(o)
	return err
}

// A CertificateError says that a server is neither vouched for nor a node.
type CertificateError struct {
	Host string
	Err  error
}

func (e *CertificateError) Error() string {
	return fmt.Sprintf("%s shows a certificate that no authority vouches for (%v), and it is no node's: give --insecure to read it all the same; what is read is held to signatures either way", e.Host, e.Err)
}

func (e *CertificateError) Unwrap() error { return e.Err }

// vouched wants what lies behind a node's own certificate to be that node's log.
func (w *web) vouched(p Place) error {
	w.mu.Lock()
	key := w.identity
	w.mu.Unlock()
	if key == nil {
		return nil
	}
	if p.Bundle != nil {
		return fmt.Errorf("%s serves a disclosure under a node's own certificate: a web server with an authority's does that; give --insecure to read it all the same", p.Name)
	}
	raw, err := p.Sources[0].Fetch(tlog.PathKeys)
	if err != nil {
		return err
	}
	keys, _, _, err := tlog.DecodeKeys(raw)
	if err == nil && !keys.Identity.Equal(key) {
		err = fmt.Errorf("the node there is %x, and the log that it shows is of %x: somebody stands in between, or it is another's copy", []byte(key), []byte(keys.Identity))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.Name, err)
	}
	return nil
}

// get writes one file to where it goes, trying again while the server is busy or away. It counts bytes as they come, and ends when count says so.
func (w *web) get(ctx context.Context, path string, to io.Writer, count func(int64) error) error {
	wait := firstWait
	for try := 1; ; try++ {
		later, err := w.once(ctx, path, to, count)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err == nil || later < 0 || try == tries {
			return err
		}
		select {
		case <-time.After(max(wait, later)):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		wait *= 2
	}
}

// once says besides an error how long the server wants to be left alone; below zero: trying again changes nothing.
func (w *web) once(ctx context.Context, path string, to io.Writer, count func(int64) error) (later time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base.JoinPath(path).String(), nil)
	if err != nil {
		return -1, err
	}
	req.Header.Set("User-Agent", "ostraka")
	res, err := w.client.Do(req)
	if err != nil {
		var bad *CertificateError
		var elsewhere *redirectError
		var inURL *url.Error
		if errors.As(err, &inURL) && !inURL.Timeout() {
			err = inURL.Err
		}
		if errors.As(err, &bad) {
			return -1, bad
		}
		if errors.As(err, &elsewhere) {
			later = -1
		}
		return later, fmt.Errorf("fetch %s: %w", path, err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK:
		slow := time.AfterFunc(slowTime, func() { cancel(errSlow) })
		defer slow.Stop()
		err := copyBounded(to, &steady{res.Body, slow, time.Now(), 0, count}, path, res.ContentLength)
		if errors.Is(context.Cause(ctx), errSlow) {
			err = fmt.Errorf("read %s: %w", path, errSlow)
		}
		return -1, err
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone:
		return -1, fmt.Errorf("%s: %w", path, verify.ErrNotThere)
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return min(time.Duration(max(seconds, 0))*time.Second, maxWait), fmt.Errorf("fetch %s: the server answers %d", path, res.StatusCode)
	}
	return -1, fmt.Errorf("fetch %s: the server answers %d", path, res.StatusCode)
}

var errSlow = errors.New("the server sends less than 8 KB in a second")

// A steady body ends when it comes too slowly: a byte now and then keeps nobody waiting.
type steady struct {
	io.Reader
	slow  *time.Timer
	began time.Time
	bytes int64
	count func(int64) error
}

func (s *steady) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	s.bytes += int64(n)
	s.slow.Reset(time.Until(s.began.Add(slowTime + time.Duration(s.bytes/leastRate)*time.Second)))
	if e := s.count(int64(n)); e != nil {
		return n, e
	}
	return n, err
}

// copyBounded copies what may be no larger than its name allows.
func copyBounded(to io.Writer, r io.Reader, path string, size int64) error {
	most := limit(path)
	if size > most {
		return fmt.Errorf("%s: it has %d bytes, at most %d are allowed", path, size, most)
	}
	n, err := io.Copy(to, io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", path, err)
	case n > most:
		return fmt.Errorf("%s: it has more than %d bytes", path, most)
	}
	return nil
}
