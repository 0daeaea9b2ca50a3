package api

import (
	"context"
	"time"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/rescue"
)

// Answer has the node say that its operator lives, to the requests that call it lost (spec/sos 3.7).
func (o *operator) Answer(ctx context.Context, r *connect.Request[pb.AnswerRequest]) (*connect.Response[pb.AnswerResponse], error) {
	all, err := o.answer(ctx, r.Msg)
	if err != nil {
		return nil, refusal(err)
	}
	out := &pb.AnswerResponse{}
	for _, l := range all {
		a := &pb.Answered{Request: idBytes(l.Request), Vault: idBytes(l.Vault), Name: l.Name, State: l.State.String(), Alive: l.Alive, Signed: l.Signed, Why: l.Why}
		if !l.Proof.IsZero() {
			a.Proof = l.Proof.Bytes()
		}
		out.Requests = append(out.Requests, a)
	}
	return connect.NewResponse(out), nil
}

func (o *operator) answer(ctx context.Context, r *pb.AnswerRequest) ([]rescue.Living, error) {
	if len(r.Request) == 0 {
		return o.d.Rescue.Reply(ctx, time.Now(), r.Proofs)
	}
	s, err := statement.ParseKind(r.Request, statement.SOSRequest)
	if err != nil {
		return nil, err
	}
	l, err := o.d.Rescue.ProveFor(ctx, time.Now(), s)
	return []rescue.Living{l}, err
}
