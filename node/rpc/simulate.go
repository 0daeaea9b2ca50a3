package rpc

import (
	"context"
	"errors"
	"math/big"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// A Simulation is what an endpoint says that a transaction would do if the next block took it. It is advice: an endpoint may lie, and the block may be another. No decision hangs on it.
type Simulation struct {
	Fails  bool
	Why    string // it fails, as the chain says
	Gas    uint64 // that it takes; 0: not told
	Moves  []Move // what it moves, at most MaxMoves
	Traced bool   // the endpoint tells what it moves (eth_simulateV1)
	More   int    // moves that are not shown
}

// A Move is a transfer of the chain's own coin, or one that a token tells of.
type Move struct {
	Token    string // contract; empty: the chain's own coin
	From, To evm.Address
	Amount   *big.Int // smallest unit
}

// MaxMoves bounds the moves that are shown.
const MaxMoves = 64

// Simulate asks an endpoint to carry a message out after its newest block, and to say what it moves; where the endpoint does not have that, whether it fails.
func (c *EVM) Simulate(ctx context.Context, m Message) (Simulation, error) {
	s, err := c.simulated(ctx, m)
	var refusal *CallError
	if !errors.As(err, &refusal) { // any refusal: nodes word it as they like where they lack the method
		return s, err
	}
	_, err = c.Call(ctx, m)
	if !errors.As(err, &refusal) {
		return Simulation{}, err
	}
	return Simulation{Fails: true, Why: refusal.Message}, nil
}

// simulatedCall is one call's outcome.
type simulatedCall struct {
	Status  *quantity64 `json:"status"`
	GasUsed *quantity64 `json:"gasUsed"`
	Logs    []struct {
		Address evm.Address `json:"address"`
		Topics  []evm.Hash  `json:"topics"`
		Data    blob        `json:"data"`
	} `json:"logs"`
	Error *struct {
		Message string `json:"message"`
	} `json:"error"`
}

func (c *EVM) simulated(ctx context.Context, m Message) (s Simulation, err error) {
	const method = "eth_simulateV1"
	ask := m.params()
	if data, ok := ask["data"]; ok {
		delete(ask, "data")
		ask["input"] = data
	}
	var blocks []struct {
		Calls []simulatedCall `json:"calls"`
	}
	err = c.call(ctx, &blocks, method, map[string]any{"blockStateCalls": []any{map[string]any{"calls": []any{ask}}}, "traceTransfers": true}, "latest")
	if err != nil {
		return s, err
	}
	if len(blocks) != 1 || len(blocks[0].Calls) != 1 || blocks[0].Calls[0].Status == nil {
		return s, c.broken(method, "answered of no call, or of several, or without its status")
	}
	one := blocks[0].Calls[0]
	s.Traced, s.Fails = true, *one.Status != 1
	if one.GasUsed != nil {
		s.Gas = uint64(*one.GasUsed)
	}
	if s.Fails {
		if s.Why = "it gives no reason"; one.Error != nil {
			s.Why = endpoint.Printable(one.Error.Message)
		}
		return s, nil
	}
	for _, l := range one.Logs {
		if len(l.Topics) != 3 || l.Topics[0] != transferred || len(l.Data) != 32 {
			continue
		}
		if len(s.Moves) == MaxMoves {
			s.More++
			continue
		}
		move := Move{Token: l.Address.String(), From: evm.Address(l.Topics[1][12:]), To: evm.Address(l.Topics[2][12:]), Amount: new(big.Int).SetBytes(l.Data)}
		if l.Address == ownCoin {
			move.Token = ""
		}
		s.Moves = append(s.Moves, move)
	}
	return s, nil
}

var (
	// transferred is Transfer(address,address,uint256), as tokens tell of it.
	transferred = mustHash("0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef")
	// ownCoin stands for the chain's own coin where transfers are traced.
	ownCoin = mustAddress("0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee")
)

func mustHash(text string) evm.Hash {
	h, err := evm.ParseHash(text)
	if err != nil {
		panic("rpc: " + err.Error())
	}
	return h
}

func mustAddress(text string) evm.Address {
	a, err := evm.ParseAddress(text)
	if err != nil {
		panic("rpc: " + err.Error())
	}
	return a
}
