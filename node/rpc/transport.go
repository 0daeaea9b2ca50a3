package rpc

import (
	"context"

	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// Defaults of Options.
const (
	DefaultTimeout = endpoint.DefaultTimeout
	DefaultMaxBody = endpoint.DefaultMaxBody
)

// Options may be zero.
type Options = endpoint.Options

// EVM is a client of one endpoint of one EVM chain. It may be used by many goroutines.
type EVM struct {
	name   string // scheme and host
	client *endpoint.Client
}

// NewEVM checks the endpoint's URL (http or https). It does not connect.
func NewEVM(url string, o Options) (*EVM, error) {
	c, err := endpoint.New(endpoint.Kind{Name: "EVM", Example: "http://127.0.0.1:8545", Version: "2.0"}, url, o)
	if err != nil {
		return nil, err
	}
	return &EVM{name: c.Endpoint(), client: c}, nil
}

// Endpoint returns scheme and host, which may be shown and logged.
func (c *EVM) Endpoint() string { return c.name }

// String returns what Endpoint returns, so that printing a client shows no credentials.
func (c *EVM) String() string { return c.name }

// GoString returns what Endpoint returns.
func (c *EVM) GoString() string { return c.name }

// call calls a method and decodes its result. Only a *json.RawMessage takes a null.
func (c *EVM) call(ctx context.Context, result any, method string, params ...any) error {
	return c.client.Call(ctx, result, method, params...)
}

// broken reports an endpoint that does not speak as it should.
func (c *EVM) broken(method, format string, args ...any) error {
	return c.client.Broken(method, format, args...)
}
