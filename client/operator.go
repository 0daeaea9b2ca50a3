package client

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"

	"connectrpc.com/connect"

	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/node"
)

// Operator talks to the node of a data folder over its local socket.
func Operator(dir string) ostrakav1connect.OperatorClient {
	path := filepath.Join(dir, node.SocketName)
	t := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", path)
			if err != nil {
				return nil, fmt.Errorf("no node runs in %s: %w", dir, err)
			}
			return conn, nil
		},
		DisableKeepAlives: true, // a client that asks once would leave its connection open
	}
	return ostrakav1connect.NewOperatorClient(&http.Client{Transport: t}, "http://operator", connect.WithReadMaxBytes(maxAnswer))
}
