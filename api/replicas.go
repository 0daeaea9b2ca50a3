package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"time"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/store/etcd"
)

// ServeStandby serves the socket of a replica that stands by. It fits node.WithServeStandby.
func ServeStandby(log *slog.Logger) node.ServeStandby {
	return func(r *node.Replica, socket net.Listener) func(context.Context) error {
		s := server(standingBy(r), log)
		go serve(s, socket, log)
		return s.Shutdown
	}
}

// standingBy answers who owns the node, and stops this replica; all else is the owner's.
func standingBy(r *node.Replica) http.Handler {
	own := ostrakav1connect.UnimplementedOperatorHandler{}
	_, all := ostrakav1connect.NewOperatorHandler(&standby{own, r}, connect.WithReadMaxBytes(maxRequest))
	refuse := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		switch q.URL.Path {
		case ostrakav1connect.OperatorReplicasProcedure, ostrakav1connect.OperatorStopProcedure:
			all.ServeHTTP(w, q)
		default:
			_ = refuse.Write(w, q, connect.NewError(connect.CodeUnavailable, r.StandsBy(q.Context()))) // the caller is gone otherwise
		}
	})
}

type standby struct {
	ostrakav1connect.UnimplementedOperatorHandler
	r *node.Replica
}

func (s *standby) Replicas(ctx context.Context, _ *connect.Request[pb.ReplicasRequest]) (*connect.Response[pb.ReplicasResponse], error) {
	return replicasOf(ctx, s.r)
}

func (s *standby) Stop(context.Context, *connect.Request[pb.StopRequest]) (*connect.Response[pb.StopResponse], error) {
	time.AfterFunc(stopAfter, s.r.Quit) // the answer leaves first
	return connect.NewResponse(&pb.StopResponse{}), nil
}

func (o *operator) Replicas(ctx context.Context, _ *connect.Request[pb.ReplicasRequest]) (*connect.Response[pb.ReplicasResponse], error) {
	if o.d.Tenure == nil {
		return connect.NewResponse(&pb.ReplicasResponse{}), nil
	}
	return replicasOf(ctx, o.d.Tenure.Replica)
}

// HandOver answers when this replica has fallen silent; what follows, its owner's end, ends this interface too.
func (o *operator) HandOver(ctx context.Context, _ *connect.Request[pb.HandOverRequest]) (*connect.Response[pb.HandOverResponse], error) {
	if err := o.d.HandOver(ctx); err != nil {
		if errors.Is(err, node.ErrAlone) || errors.Is(err, node.ErrBusy) {
			return nil, connect.NewError(connect.CodeUnavailable, err)
		}
		return nil, connect.NewError(connect.CodeFailedPrecondition, err)
	}
	return connect.NewResponse(&pb.HandOverResponse{}), nil
}

// A tenured is sure while no other replica can own its node (node.Tenure).
type tenured interface {
	Sure(ctx context.Context) error
}

// ownedWithin is how long an answer waits for the owner to be sure: an election of the store's leader takes one to two seconds.
const ownedWithin = 5 * time.Second

// owning lets an answer leave only once it is sure that this replica owned the node when it was made (spec/replicas 3.5): one that was suspended, or cut
// off from its store, would tell people of a past in which what they were told since is unknown. What is asked about the replicas themselves every one answers,
// and a hand-over ends what it is asked of.
func owning(t tenured) connect.HandlerOption {
	free := []string{ostrakav1connect.OperatorReplicasProcedure, ostrakav1connect.OperatorStopProcedure, ostrakav1connect.OperatorHandOverProcedure}
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, q connect.AnyRequest) (connect.AnyResponse, error) {
			res, err := next(ctx, q)
			if slices.Contains(free, q.Spec().Procedure) {
				return res, err
			}
			within, cancel := context.WithTimeout(ctx, ownedWithin)
			defer cancel()
			if unsure := t.Sure(within); unsure != nil {
				return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("%w: ask again in a few seconds: what was asked for may have been done", unsure))
			}
			return res, err
		}
	}))
}

// replicasWithin bounds asking a store of which members may be gone.
const replicasWithin = 5 * time.Second

func replicasOf(ctx context.Context, r *node.Replica) (*connect.Response[pb.ReplicasResponse], error) {
	ctx, cancel := context.WithTimeout(ctx, replicasWithin)
	defer cancel()
	x, err := r.Show(ctx)
	if err != nil {
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("the store that the replicas share: %w", err))
	}
	out := &pb.ReplicasResponse{Shared: true, Self: r.Info.Name, Owner: x.Owner, Token: x.Token}
	for _, o := range x.Replicas {
		out.Replicas = append(out.Replicas, &pb.Replica{
			Name: o.Name, Link: o.Link, People: o.People, Version: o.Version, Since: stamp(o.Since), Behind: uint64(max(0, o.Behind)), Told: stamp(o.SeenAt),
		})
	}
	for _, m := range x.Members {
		out.Members = append(out.Members, memberOf(m))
	}
	for _, t := range x.Tenures {
		out.Tenures = append(out.Tenures, &pb.Tenure{Replica: t.To, Began: stamp(t.At), Before: t.Why})
	}
	return connect.NewResponse(out), nil
}

func memberOf(m etcd.Member) *pb.StoreMember {
	return &pb.StoreMember{
		Name: m.Name, Endpoint: m.Endpoint, Error: m.Problem, Leader: m.Leader, Version: m.Version,
		Size: uint64(max(0, m.Size)), Used: uint64(max(0, m.InUse)), Quota: uint64(max(0, m.Quota)), Behind: m.Lag, Alarms: m.Alarms,
	}
}
