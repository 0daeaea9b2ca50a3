package api

import (
	"context"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/solana"
)

// mostReadings bounds the accounts of one answer: of one transaction there are no more.
const mostReadings = 64

// Readings shows what accounts of Solana hold, as this node's endpoints agree on it.
func (p *people) Readings(ctx context.Context, r *connect.Request[pb.ReadingsRequest]) (*connect.Response[pb.ReadingsResponse], error) {
	if _, _, err := p.reader(r.Header()); err != nil {
		return nil, err
	}
	panel := p.d.Solana[r.Msg.Chain]
	if panel == nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("this node has no endpoint for chain %.64q", r.Msg.Chain))
	}
	if len(r.Msg.Accounts) == 0 || len(r.Msg.Accounts) > mostReadings {
		return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("%d accounts; want 1 to %d", len(r.Msg.Accounts), mostReadings))
	}
	var keys []solana.Key
	for _, k := range r.Msg.Accounts {
		if len(k) != len(solana.Key{}) {
			return nil, connect.NewError(connect.CodeInvalidArgument, fmt.Errorf("an account's key has %d bytes, want 32", len(k)))
		}
		keys = append(keys, solana.Key(k))
	}
	all, err := panel.Accounts(ctx, keys)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	amounts, err1 := panel.Amounts(ctx, keys)
	latest, err2 := panel.LatestBlockhash(ctx)
	height, err3 := panel.Height(ctx)
	price, err4 := panel.PriorityFee(ctx, keys)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, err)
	}
	out := &pb.ReadingsResponse{Blockhash: latest.Hash[:], Last: latest.Last, Height: height, Price: price, Endpoint: panel.String()}
	for i, a := range all {
		out.Accounts = append(out.Accounts, &pb.Reading{Owner: a.Owner[:], Executable: a.Executable, Size: a.Size, Data: a.Data, Lamports: a.Lamports, Amount: amounts[i]})
	}
	return connect.NewResponse(out), nil
}
