package node

import (
	"context"
	"math/big"
	"net"
	"net/http"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/sol"
)

// MayStart says why a session must not begin now.
func (n *Node) MayStart(ctx context.Context, now time.Time, s *mpc.Setup) error {
	return n.mayStart(ctx, now, s)
}

// Frozen says by whom a vault is frozen.
func (n *Node) Frozen(vault statement.ID, now time.Time) string { return n.frozen(vault, now) }

// Drain is a hand-over up to the moment at which the node is given up.
func (n *Node) Drain(ctx context.Context, wait, total time.Duration, retire func(idle func() bool) bool) error {
	return n.drain(ctx, wait, total, retire)
}

// Metrics is what the daemon serves on loopback.
func (d *Daemon) Metrics() http.Handler { return d.metrics() }

// ListenSocket opens the operator's socket.
func ListenSocket(path string) (net.Listener, error) { return listenSocket(path) }

// AskBlock is how a node with these endpoints compares the block that a proof speaks of.
func AskBlock(endpoints map[string]*rpc.Panel) func(context.Context, string, intent.Block) (bool, string, error) {
	return (&checker{endpoints: endpoints, answers: map[question]*answer{}}).checkBlock
}

// AskCoins is how a node with these endpoints looks for the coins of a transaction.
func AskCoins(panels map[string]*coin.Panel) func(context.Context, decide.Question) (bool, string, error) {
	return (&checker{coins: panels, answers: map[question]*answer{}}).check
}

// AskSolana is how a node with these endpoints looks at what a transaction of Solana hangs on.
func AskSolana(panels map[string]*sol.Panel) func(context.Context, decide.Question) (bool, string, error) {
	return (&checker{solana: panels, answers: map[question]*answer{}}).check
}

// UsualOnSolana is what a node with these endpoints calls a usual fee.
func UsualOnSolana(panels map[string]*sol.Panel) func(context.Context, payload.Payload) (*big.Int, error) {
	return (&checker{solana: panels, answers: map[question]*answer{}, fees: map[question]*big.Int{}}).usual
}

// ErrAsking says that an answer is awaited.
var ErrAsking = errAsking
