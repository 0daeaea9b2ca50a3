package endpoint

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
	Short   time.Duration // of a call to an endpoint that did not answer in time, until it answers again; zero: Timeout, but DefaultShort in a panel of several
}

// A Kind is what is spoken at an endpoint.
type Kind struct {
	Name    string // "EVM", for errors
	Example string // a URL, for errors
	Version string // of JSON-RPC, as requests say it
}

// Client calls the JSON-RPC of one endpoint. It may be used by many goroutines.
type Client struct {
	kind           Kind
	url            string // may hold a key: never in errors
	name           string // scheme and host
	user, password string // of basic authentication; both empty: none
	client         *http.Client
	maxBody        int64
	nextID         atomic.Uint64
	patience       patience
}

// New checks the endpoint's URL (http or https). It does not connect.
func New(kind Kind, endpoint string, o Options) (*Client, error) {
	u, err := url.Parse(endpoint)
	if err != nil { // its text would repeat the URL with its credentials
		return nil, fmt.Errorf("%s endpoint is no URL; want one like %s", kind.Name, kind.Example)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("%s endpoint has scheme %q and host %q; want a URL like %s", kind.Name, u.Scheme, u.Host, kind.Example)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	c := &Client{
		kind:    kind,
		name:    u.Scheme + "://" + u.Host,
		maxBody: o.MaxBody, patience: patience{short: o.Short},
		client: &http.Client{
			Timeout: o.Timeout,
			// a redirect would carry the request, and perhaps a key, to another host
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	c.user = u.User.Username()
	c.password, _ = u.User.Password()
	u.User = nil // net/http then has no password that it could put into an error
	c.url = u.String()
	return c, nil
}

// Endpoint returns scheme and host, which may be shown and logged.
func (c *Client) Endpoint() string { return c.name }

// String returns what Endpoint returns, so that printing a client shows no credentials.
func (c *Client) String() string { return c.name }

// GoString returns what Endpoint returns.
func (c *Client) GoString() string { return c.name }

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

// Call calls a method and decodes its result. Only a *json.RawMessage takes a null.
func (c *Client) Call(ctx context.Context, result any, method string, params ...any) error {
	return c.CallUpTo(ctx, c.maxBody, result, method, params...)
}

// CallUpTo is Call for an answer of so many bytes at most.
func (c *Client) CallUpTo(ctx context.Context, limit int64, result any, method string, params ...any) error {
	if params == nil {
		params = []any{}
	}
	id := c.nextID.Add(1)
	body, err := json.Marshal(request{c.kind.Version, id, method, params})
	if err != nil {
		return fmt.Errorf("call %s: encode parameters: %w", method, err)
	}
	status, answer, err := c.post(ctx, method, body, limit)
	if err != nil {
		return err
	}
	var r response
	if err := json.Unmarshal(answer, &r); err != nil || r.Result == nil && r.Error == nil {
		return c.Broken(method, "answered with HTTP status %d and no JSON-RPC", status)
	}
	if r.Error != nil { // some nodes refuse with another status than 200, some with id null
		return &CallError{
			Endpoint: c.name, Method: method, Code: r.Error.Code,
			Message: Printable(r.Error.Message), Data: r.Error.Data,
		}
	}
	if status != http.StatusOK {
		return c.Broken(method, "answered with HTTP status %d", status)
	}
	if string(r.ID) != fmt.Sprint(id) {
		return c.Broken(method, "answered to another request than ours")
	}
	if _, raw := result.(*json.RawMessage); string(r.Result) == "null" && !raw {
		return c.Broken(method, "answered with null")
	}
	return c.Decode(method, r.Result, result)
}

// Decode reads a method's result.
func (c *Client) Decode(method string, raw json.RawMessage, result any) error {
	if err := json.Unmarshal(raw, result); err != nil {
		return c.Broken(method, "answered with another type than the method has: %s", Printable(err.Error()))
	}
	return nil
}

// post sends body and returns the bounded answer.
func (c *Client) post(ctx context.Context, method string, body []byte, limit int64) (status int, answer []byte, err error) {
	ctx, ended := c.patience.within(ctx)
	defer func() { ended(err) }()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return 0, nil, c.unreachable(method, err)
	}
	req.Header.Set("Content-Type", "application/json")
	if c.user != "" || c.password != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return 0, nil, c.unreachable(method, err)
	}
	defer res.Body.Close()
	answer, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	if err != nil {
		return 0, nil, c.unreachable(method, err)
	}
	if int64(len(answer)) > limit {
		return 0, nil, c.Broken(method, "answered with more than %d bytes", limit)
	}
	return res.StatusCode, answer, nil
}

// unreachable drops the URL that net/http puts into its errors: it may hold a key.
func (c *Client) unreachable(method string, err error) error {
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

// Broken reports an endpoint that does not speak as it should: format says what it did, "answered with null".
func (c *Client) Broken(method, format string, args ...any) error {
	return &EndpointError{
		Endpoint: c.name, Method: method, Err: fmt.Errorf("it "+format, args...),
		Next: "check that the URL is a JSON-RPC endpoint of " + c.kind.Name + " and that its key or password is valid",
	}
}
