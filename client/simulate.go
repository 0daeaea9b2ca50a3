package client

import (
	"context"
	"fmt"
	"math/big"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/payload"
)

// A Simulation is what one node's endpoint says that a transaction would do if the next block took it: its word alone, and advice.
type Simulation struct {
	Fails    bool
	Why      string
	Gas      uint64 // 0: not told
	Traced   bool   // it tells what would move
	Moves    []Move
	More     int // moves that are not shown
	Endpoint string
}

// A Move is a transfer of the chain's own coin, or one that a token tells of.
type Move struct {
	Token    string // contract; empty: the chain's own coin
	From, To string
	Amount   *big.Int // smallest unit
}

// mostMoves bounds what one node may show.
const mostMoves = 64

// Simulate asks every node, and compares nothing: each says which endpoint says what.
func (c *Circle) Simulate(ctx context.Context, one *Case) (Answers[Simulation], error) {
	t, ok := payload.OnEVM(one.Payload)
	if !ok {
		return nil, &RefusedError{fmt.Sprintf("intent %s is no transaction of an EVM chain: others are not simulated", one.ID().Short())}
	}
	to, value, data := t.Transaction().Message()
	req := &v1.SimulateRequest{Chain: t.Chain(), From: t.Sender().String(), To: to.String(), Value: value.String(), Data: data}
	return Ask(ctx, c, func(ctx context.Context, m *Member) (Simulation, error) {
		res, err := m.Simulate(ctx, connect.NewRequest(req))
		if err != nil {
			return Simulation{}, err
		}
		s, err := readSimulation(res.Msg)
		if err != nil {
			return s, &VerifyError{m.Name, err}
		}
		return s, nil
	}), nil
}

func readSimulation(m *v1.SimulateResponse) (Simulation, error) {
	s := Simulation{Fails: m.Fails, Why: plain(m.Why), Gas: m.Gas, Traced: m.Traced, More: int(m.More), Endpoint: plain(m.Endpoint)}
	if len(m.Moves) > mostMoves {
		return s, fmt.Errorf("a simulation with %d moves, more than %d", len(m.Moves), mostMoves)
	}
	for _, x := range m.Moves {
		n, ok := uint256(x.Amount)
		from, err1 := evm.ParseAddress(x.From)
		to, err2 := evm.ParseAddress(x.To)
		if !ok || err1 != nil || err2 != nil {
			return s, fmt.Errorf("a simulated move of %.90q from %.50q to %.50q is none", x.Amount, x.From, x.To)
		}
		move := Move{From: from.String(), To: to.String(), Amount: n}
		if x.Token != "" {
			token, err := evm.ParseAddress(x.Token)
			if err != nil {
				return s, err
			}
			move.Token = token.String()
		}
		s.Moves = append(s.Moves, move)
	}
	return s, nil
}
