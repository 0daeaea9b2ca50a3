package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// Defaults of Options.
const (
	DefaultTimeout = 15 * time.Second
	DefaultMaxBody = 4 << 20
)

// Options may be zero.
type Options struct {
	Timeout time.Duration // of one call, DefaultTimeout if zero
	MaxBody int64         // largest answer in bytes, DefaultMaxBody if zero
}

// EVM is a client of one endpoint of one EVM chain. It may be used by many goroutines.
type EVM struct {
	url     string // may hold credentials: never in errors
	name    string // scheme and host
	client  *http.Client
	maxBody int64
	nextID  atomic.Uint64
}

// NewEVM checks the endpoint's URL (http or https). It does not connect.
func NewEVM(endpoint string, o Options) (*EVM, error) {
	u, err := url.Parse(endpoint)
	if err != nil { // its text would repeat the URL with its credentials
		return nil, errors.New("EVM endpoint is no URL; want one like http://127.0.0.1:8545")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("EVM endpoint has scheme %q and host %q; want a URL like http://127.0.0.1:8545", u.Scheme, u.Host)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	return &EVM{
		url:     endpoint,
		name:    u.Scheme + "://" + u.Host,
		maxBody: o.MaxBody,
		client: &http.Client{
			Timeout: o.Timeout,
			// a redirect would carry the request, and perhaps a key, to another host
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Endpoint returns scheme and host, which may be shown and logged.
func (c *EVM) Endpoint() string { return c.name }

// String returns what Endpoint returns, so that printing a client shows no credentials.
func (c *EVM) String() string { return c.name }

// GoString returns what Endpoint returns.
func (c *EVM) GoString() string { return c.name }

type request struct {
	Version string `json:"jsonrpc"`
	ID      uint64 `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

type response struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  *struct {
		Code    int             `json:"code"`
		Message string          `json:"message"`
		Data    json.RawMessage `json:"data"`
	} `json:"error"`
}

// call calls a method and decodes its result. Only a *json.RawMessage takes a null.
func (c *EVM) call(ctx context.Context, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	id := c.nextID.Add(1)
	body, err := json.Marshal(request{"2.0", id, method, params})
	if err != nil {
		return fmt.Errorf("call %s: encode parameters: %w", method, err)
	}
	status, answer, err := c.post(ctx, method, body)
	if err != nil {
		return err
	}
	var r response
	if err := json.Unmarshal(answer, &r); err != nil || r.Result == nil && r.Error == nil {
		return c.broken(method, "answered with HTTP status %d and no JSON-RPC", status)
	}
	if r.Error != nil { // some nodes refuse with another status than 200, some with id null
		return &CallError{
			Endpoint: c.name, Method: method, Code: r.Error.Code,
			Message: printable(r.Error.Message), Data: r.Error.Data,
		}
	}
	if status != http.StatusOK {
		return c.broken(method, "answered with HTTP status %d", status)
	}
	if string(r.ID) != fmt.Sprint(id) {
		return c.broken(method, "answered to another request than ours")
	}
	if _, raw := result.(*json.RawMessage); string(r.Result) == "null" && !raw {
		return c.broken(method, "answered with null")
	}
	if err := json.Unmarshal(r.Result, result); err != nil {
		return c.broken(method, "answered with another type than the method has: %s", printable(err.Error()))
	}
	return nil
}

// post sends body and returns the bounded answer.
func (c *EVM) post(ctx context.Context, method string, body []byte) (status int, answer []byte, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, c.unreachable(method, err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := c.client.Do(req)
	if err != nil {
		return 0, nil, c.unreachable(method, err)
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, c.maxBody+1))
	if err != nil {
		return 0, nil, c.unreachable(method, err)
	}
	if int64(len(answer)) > c.maxBody {
		return 0, nil, c.broken(method, "answered with more than %d bytes", c.maxBody)
	}
	return res.StatusCode, answer, nil
}

// unreachable drops the URL that net/http puts into its errors: it may hold credentials.
func (c *EVM) unreachable(method string, err error) error {
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	if errors.Is(err, context.Canceled) { // our own doing, not the endpoint's
		return fmt.Errorf("call %s at %s: %w", method, c.name, err)
	}
	return &EndpointError{
		Endpoint: c.name, Method: method, Err: err,
		Next: "check that the chain's node runs there and that this machine may reach it",
	}
}

// broken reports an endpoint that does not speak as it should.
func (c *EVM) broken(method, format string, args ...any) error {
	return &EndpointError{
		Endpoint: c.name, Method: method, Err: fmt.Errorf("it "+format, args...),
		Next: "check that the URL is an EVM JSON-RPC endpoint and that its key is valid",
	}
}
