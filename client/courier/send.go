package courier

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/client/notify"
)

const (
	sendTimeout = 15 * time.Second // of one try, the answer included
	maxAnswer   = 4 << 10          // bytes of an answer that are read
)

// An Answer is what a receiver said.
type Answer struct {
	Status int    // HTTP
	Body   string // at most 4 KiB; what of the URL may be a credential is taken out
}

// newHTTP follows no redirect and verifies TLS by the system's roots.
func newHTTP(timeout time.Duration) *http.Client {
	d := &net.Dialer{Timeout: 5 * time.Second}
	return &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: d.DialContext, TLSHandshakeTimeout: 5 * time.Second, ForceAttemptHTTP2: true,
			TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, MaxResponseHeaderBytes: 64 << 10, IdleConnTimeout: time.Minute,
		},
	}
}

// post sends a notice once (spec/notify 3). An answer outside of 200 to 299 is an error beside the answer. No error holds the URL.
func post(ctx context.Context, h *http.Client, r Receiver, n notify.Notice, now time.Time) (Answer, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.URL.Reveal(), strings.NewReader(n.Body))
	if err != nil {
		return Answer{}, errors.New("the URL cannot be called")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "ostraka")
	req.Header["webhook-id"] = []string{n.ID} // lower case, as the standard writes them
	req.Header["webhook-timestamp"] = []string{strconv.FormatInt(now.Unix(), 10)}
	req.Header["webhook-signature"] = []string{r.Secret.Sign(n.ID, now, n.Body)}
	res, err := h.Do(req)
	if err != nil {
		var outer *url.Error // it holds the URL
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return Answer{}, errors.New(r.URL.scrub(err.Error()))
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	out := Answer{res.StatusCode, r.URL.scrub(strings.ToValidUTF8(string(raw), "�"))}
	switch {
	case res.StatusCode >= 200 && res.StatusCode <= 299:
		return out, nil // it took the notice, whatever became of the rest of its answer
	case res.StatusCode >= 300 && res.StatusCode <= 399:
		return out, fmt.Errorf("it answers %d, a redirect, which is not followed: add the receiver with the URL that it leads to", res.StatusCode)
	case err != nil:
		return out, fmt.Errorf("it answers %d, and breaks off", res.StatusCode)
	}
	return out, fmt.Errorf("it answers %d", res.StatusCode)
}

// scrub takes out of a text what of the URL may be a credential.
func (t Target) scrub(text string) string {
	u := t.get()
	parts := []string{u.String(), u.RequestURI(), u.EscapedPath(), u.Path, u.RawQuery}
	for _, values := range u.Query() {
		parts = append(parts, values...)
	}
	parts = append(parts, strings.Split(u.Path, "/")...)
	parts = append(parts, strings.Split(u.RawQuery, "&")...)
	if u.User != nil {
		password, _ := u.User.Password()
		parts = append(parts, u.User.String(), password, u.User.Username(), base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	for _, p := range parts {
		if len(p) >= 4 {
			text = strings.ReplaceAll(text, p, "…")
		}
	}
	return text
}
