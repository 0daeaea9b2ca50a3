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
	stallTime  = 20 * time.Second // without a byte
	tries      = 4
	firstWait  = 500 * time.Millisecond // before the second try; twice as long each time
	maxWait    = 10 * time.Second
	redirects  = 5
)

// A web fetches the files below one address.
type web struct {
	ctx    context.Context
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
	w := &web{ctx: ctx, base: u}
	w.client = &http.Client{Transport: w.transport(o.Insecure), CheckRedirect: sameHost}
	fetch := tlog.Fetch(w.fetch)
	p, err := find(strings.TrimSuffix(where, "/"), fetch, true)
	if err != nil {
		return p, err
	}
	if err := w.vouched(p); err != nil {
		return p, err
	}
	for i, s := range p.Sources {
		get := s.Fetch
		if o.Cache != "" {
			keys, err := get(tlog.PathKeys)
			if err != nil {
				continue // the reading says so
			}
			if get, err = cached(o.Cache, keys, get); err != nil {
				return p, err
			}
		}
		p.Sources[i].Fetch = ahead(ctx, get)
	}
	return p, nil
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
		MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute, DisableCompression: true,
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

// fetch gets one file, trying again while the server is busy or away.
func (w *web) fetch(path string) ([]byte, error) {
	wait := firstWait
	for try := 1; ; try++ {
		b, later, err := w.once(path)
		if err == nil || later < 0 || try == tries || w.ctx.Err() != nil {
			return b, err
		}
		select {
		case <-time.After(max(wait, later)):
		case <-w.ctx.Done():
			return nil, w.ctx.Err()
		}
		wait *= 2
	}
}

// once says besides an error how long the server wants to be left alone; below zero: trying again changes nothing.
func (w *web) once(path string) (b []byte, later time.Duration, err error) {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.base.JoinPath(path).String(), nil)
	if err != nil {
		return nil, -1, err
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
			return nil, -1, bad
		}
		if errors.As(err, &elsewhere) {
			later = -1
		}
		return nil, later, fmt.Errorf("fetch %s: %w", path, err)
	}
	defer res.Body.Close()
	switch {
	case res.StatusCode == http.StatusOK:
		stalled := time.AfterFunc(stallTime, cancel)
		defer stalled.Stop()
		b, err = readBounded(&steady{res.Body, stalled}, path, res.ContentLength)
		return b, -1, err
	case res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusGone:
		return nil, -1, fmt.Errorf("%s: %w", path, verify.ErrNotThere)
	case res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= 500:
		seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
		return nil, min(time.Duration(max(seconds, 0))*time.Second, maxWait), fmt.Errorf("fetch %s: the server answers %d", path, res.StatusCode)
	}
	return nil, -1, fmt.Errorf("fetch %s: the server answers %d", path, res.StatusCode)
}

// A steady body ends when no byte comes for a while.
type steady struct {
	io.Reader
	stalled *time.Timer
}

func (s *steady) Read(b []byte) (int, error) {
	n, err := s.Reader.Read(b)
	s.stalled.Reset(stallTime)
	return n, err
}

// readBounded reads what may be no larger than its name allows.
func readBounded(r io.Reader, path string, size int64) ([]byte, error) {
	most := limit(path)
	if size > most {
		return nil, fmt.Errorf("%s: it has %d bytes, at most %d are allowed", path, size, most)
	}
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", path, err)
	case int64(len(b)) > most:
		return nil, fmt.Errorf("%s: it has more than %d bytes", path, most)
	}
	return b, nil
}
