package api

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc"
)

// maxDigits is how many decimal digits a number of 256 bits has at most.
const maxDigits = 78

// Simulate asks one of this node's endpoints what a message would do.
func (p *people) Simulate(ctx context.Context, r *connect.Request[pb.SimulateRequest]) (*connect.Response[pb.SimulateResponse], error) {
	if _, _, err := p.reader(r.Header()); err != nil {
		return nil, err
	}
	panel := p.d.Endpoints[r.Msg.Chain]
	if panel == nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("this node has no endpoint for chain %.64q", r.Msg.Chain))
	}
	from, err1 := evm.ParseAddress(r.Msg.From)
	to, err2 := evm.ParseAddress(r.Msg.To)
	value, ok := new(big.Int).SetString(r.Msg.Value[:min(len(r.Msg.Value), maxDigits+1)], 10) // reading takes longer than its length says
	if err1 != nil || err2 != nil || !ok || value.Sign() < 0 || len(r.Msg.Value) > maxDigits || value.BitLen() > 256 || len(r.Msg.Data) > evm.MaxLen {
		return nil, fail(errors.Join(err1, err2, fmt.Errorf("from, to and a value of 256 bits at most are needed, and no more than %d bytes of data", evm.MaxLen)))
	}
	out := &pb.SimulateResponse{}
	err := panel.Any(ctx, func(ctx context.Context, e *rpc.EVM) error {
		s, err := e.Simulate(ctx, rpc.Message{From: from, To: to, Value: value, Data: r.Msg.Data})
		if err != nil {
			return err
		}
		out = &pb.SimulateResponse{Fails: s.Fails, Why: s.Why, Gas: s.Gas, Traced: s.Traced, More: uint32(s.More), Endpoint: e.Endpoint()}
		for _, m := range s.Moves {
			out.Moves = append(out.Moves, &pb.SimulatedMove{Token: m.Token, From: m.From.String(), To: m.To.String(), Amount: m.Amount.String()})
		}
		return nil
	})
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	return connect.NewResponse(out), nil
}
