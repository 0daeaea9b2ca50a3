package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/witness"
)

// Asked is a witness beyond the circle that this node's operator chose (C2SP tlog-witness).
type Asked struct {
	URL string `json:"url"` // to which /add-checkpoint is added; https, or http on this machine
	Key string `json:"key"` // vkey of type 0x04
}

const (
	maxAsked = 16
	maxLogs  = 256

	askPatience = 5 * time.Second // for one answer
)

// asked is one that was read.
type asked struct {
	url     string
	witness tlog.Witness
}

func readAsked(all []Asked) (out []asked, err error) {
	if len(all) > maxAsked {
		return nil, fmt.Errorf("settings: witnesses: %d are named, at most %d may be", len(all), maxAsked)
	}
	for i, a := range all {
		x := asked{}
		if x.url, err = witnessURL(a.URL); err != nil {
			return nil, fmt.Errorf("settings: witness %d: url: %w", i+1, err)
		}
		if x.witness, err = tlog.ParseWitness(a.Key); err != nil {
			return nil, fmt.Errorf("settings: witness %d: key: %w: copy the line that the witness's operator publishes, NAME+ID+KEY", i+1, err)
		}
		if slices.ContainsFunc(out, func(o asked) bool {
			return o.url == x.url || o.witness.Name() == x.witness.Name() || o.witness.Public().Equal(x.witness.Public())
		}) {
			return nil, fmt.Errorf("settings: witness %d: its url, name or key is that of another: one witness would count as two", i+1)
		}
		out = append(out, x)
	}
	return out, nil
}

// witnessURL is where a witness is asked.
func witnessURL(text string) (string, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Opaque != "" {
		return "", errors.New("is no URL; want one like https://witness.example/prefix")
	}
	if u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return "", errors.New("has a user, a query or a fragment; want one like https://witness.example/prefix")
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	local := host == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return "", fmt.Errorf("has scheme %q; want https, or http on this machine", u.Scheme)
	}
	return strings.TrimSuffix(u.String(), "/") + "/add-checkpoint", nil
}

func readLogs(vkeys []string) (out []tlog.LogVerifier, err error) {
	if len(vkeys) > maxLogs {
		return nil, fmt.Errorf("settings: logs: %d are named, at most %d may be", len(vkeys), maxLogs)
	}
	for i, text := range vkeys {
		v, err := tlog.ParseLogVerifier(text)
		if err != nil {
			return nil, fmt.Errorf("settings: log %d: %w: copy the line that the log's operator publishes, ORIGIN+ID+KEY", i+1, err)
		}
		if slices.ContainsFunc(out, func(o tlog.LogVerifier) bool { return o.Name() == v.Name() }) {
			return nil, fmt.Errorf("settings: log %d: origin %s is named twice", i+1, v.Name())
		}
		out = append(out, v)
	}
	return out, nil
}

// askOutside makes what asks each witness over HTTP. An answer, or its lack, is handed to answer.
func askOutside(ctx context.Context, all []asked, log *slog.Logger, answer func(name string, status int, body []byte) error) (out []witness.Outside) {
	client := &http.Client{
		Timeout:   askPatience,
		Transport: &http.Transport{MaxIdleConnsPerHost: 1, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true, MaxResponseHeaderBytes: 16 << 10},
		// A redirect would have another host answer.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, a := range all {
		busy := new(atomic.Bool)
		out = append(out, witness.Outside{Witness: a.witness, Ask: func(request []byte) {
			if busy.Swap(true) {
				return // the last request is still on its way
			}
			go func() {
				status, body, err := postCheckpoint(ctx, client, a.url, request)
				busy.Store(false) // the answer may lead to another request
				if err == nil {
					err = answer(a.witness.Name(), status, body)
				}
				if err != nil && ctx.Err() == nil {
					log.Warn("a witness outside the circle does not cosign", "witness", a.witness.Name(), "error", err)
				}
			}()
		}})
	}
	return out
}

func postCheckpoint(ctx context.Context, client *http.Client, url string, request []byte) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(request))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "text/plain; charset=utf-8")
	resp, err := client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, tlog.MaxNote+1))
	if err == nil && len(body) > tlog.MaxNote {
		err = fmt.Errorf("its answer has more than %d bytes", tlog.MaxNote)
	}
	return resp.StatusCode, body, err
}
