package node

import (
	"context"
	"net"
	"net/http"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node/rpc"
)

// Metrics is what the daemon serves on loopback.
func (d *Daemon) Metrics() http.Handler { return d.metrics() }

// ListenSocket opens the operator's socket.
func ListenSocket(path string) (net.Listener, error) { return listenSocket(path) }

// AskBlock is how a node with these endpoints compares the block that a proof speaks of.
func AskBlock(endpoints map[string]*rpc.EVM) func(context.Context, string, intent.Block) (bool, string, error) {
	return (&checker{endpoints: endpoints, answers: map[question]*answer{}}).checkBlock
}
