package api

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
)

// answering is an operator's interface that notes what was made.
type answering struct {
	ostrakav1connect.UnimplementedOperatorHandler
	made bool
}

func (a *answering) Status(context.Context, *connect.Request[pb.StatusRequest]) (*connect.Response[pb.StatusResponse], error) {
	a.made = true
	return connect.NewResponse(&pb.StatusResponse{}), nil
}

func (a *answering) Replicas(context.Context, *connect.Request[pb.ReplicasRequest]) (*connect.Response[pb.ReplicasResponse], error) {
	return connect.NewResponse(&pb.ReplicasResponse{Shared: true}), nil
}

type sureness func(context.Context) error

func (s sureness) Sure(ctx context.Context) error { return s(ctx) }

// What a replica answers leaves only if it owned the node after it was made; who owns it every replica says.
func TestAnswersAreTheOwners(t *testing.T) {
	a := &answering{}
	var over error
	mux := http.NewServeMux()
	mux.Handle(ostrakav1connect.NewOperatorHandler(a, owning(sureness(func(ctx context.Context) error {
		if _, bounded := ctx.Deadline(); !a.made || !bounded {
			t.Error("asked before the answer was made, or without an end")
		}
		return over
	}))))
	s := httptest.NewServer(mux)
	defer s.Close()
	c := ostrakav1connect.NewOperatorClient(s.Client(), s.URL)
	if _, err := c.Status(t.Context(), connect.NewRequest(&pb.StatusRequest{})); err != nil {
		t.Error(err)
	}
	over = errors.New("another replica owns it")
	if _, err := c.Status(t.Context(), connect.NewRequest(&pb.StatusRequest{})); connect.CodeOf(err) != connect.CodeUnavailable {
		t.Errorf("who owns the node no more answers: %v", err)
	}
	if _, err := c.Replicas(t.Context(), connect.NewRequest(&pb.ReplicasRequest{})); err != nil {
		t.Error(err)
	}
}
