package etcd

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// How long one member is given for one try, before the next is asked. A try that was given up may still be carried out: Commit
// knows how to find that out, and everything else may be done twice.
const (
	firstTry = 500 * time.Millisecond
	lastTry  = 2 * time.Second
)

func tryFor(n int) time.Duration { return min(firstTry<<max(0, min(n/3-1, 8)), lastTry) }

// A link is the connection to one member. The library's client over several endpoints would go on sending a third of all calls to a
// member that is stalled; with one client for each, whoever does not answer is asked last.
type link struct {
	endpoint string
	client   *clientv3.Client
	kv       pb.KVClient
	lease    pb.LeaseClient
	cluster  pb.ClusterClient
	maint    pb.MaintenanceClient
	watch    pb.WatchClient

	told atomic.Int64 // when its last wrong answer was logged, Unix seconds
}

// dial makes a link; it connects when it is first used.
func dial(endpoint string, conf *tls.Config) (*link, error) {
	c, err := clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint}, TLS: conf, Logger: zap.NewNop(),
		// One try, no retry. By itself the library sends a transaction again only when it was never sent, or when the server says that
		// a deadline passed, which may be after it was written. Each would be safe here, since a batch's lane lets it be written once;
		// but the caller's deadline, and the other members, are ours to mind.
		MaxUnaryRetries:   1,
		DialKeepAliveTime: 10 * time.Second, DialKeepAliveTimeout: 3 * time.Second,
		// Who reads a page of records asks for as much as that may be.
		DialOptions: []grpc.DialOption{grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxAnswer)), grpc.WithConnectParams(grpc.ConnectParams{
			Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second},
			MinConnectTimeout: 2 * time.Second,
		})},
	})
	if err != nil {
		return nil, fmt.Errorf("store: endpoints: %s: %w", endpoint, err)
	}
	conn := c.ActiveConnection()
	return &link{
		endpoint: endpoint, client: c, kv: pb.NewKVClient(conn), lease: pb.NewLeaseClient(conn),
		cluster: pb.NewClusterClient(conn), maint: pb.NewMaintenanceClient(conn), watch: pb.NewWatchClient(conn),
	}, nil
}

// links are the members, and which of them answered last.
type links struct {
	all  []*link
	best atomic.Uint32
	log  *slog.Logger
}

func (l *links) now() (*link, uint32) {
	n := l.best.Load()
	return l.all[int(n)%len(l.all)], n
}

// failed moves on to the next member, if n is still the one asked: of many calls that fail at once the first moves it.
func (l *links) failed(n uint32) { l.best.CompareAndSwap(n, n+1) }

// prefer asks this member from now on: the leader's answers come without a detour.
func (l *links) prefer(i int) {
	n := l.best.Load()
	k := uint32(len(l.all))
	if at := n % k; at != uint32(i) {
		l.best.CompareAndSwap(n, n-at+k+uint32(i))
	}
}

// once asks the member that answered last, once. An error that another member may not give moves the next call on to that one.
func once[R any](ctx context.Context, l *links, limit time.Duration, ask func(context.Context, *link) (R, error)) (R, error) {
	k, n := l.now()
	try, cancel := context.WithTimeout(clientv3.WithRequireLeader(ctx), limit)
	defer cancel()
	r, err := ask(try, k)
	if err != nil && ctx.Err() == nil && !isFinal(err) {
		l.failed(n)
	}
	if err != nil {
		err = &memberError{k.endpoint, err}
	}
	if isWrong(err) {
		k.warn(l.log, err)
	}
	return r, err
}

// warn logs a wrong answer, one in 10 s.
func (k *link) warn(log *slog.Logger, err error) {
	now, last := time.Now().Unix(), k.told.Load()
	if (now-last >= 10 || now < last) && k.told.CompareAndSwap(last, now) {
		log.Warn("a member of the store's cluster is broken, or lies", "error", err)
	}
}

// anyone asks one member after another until one answers, or each gave a wrong answer. What is asked may be done twice.
func anyone[R any](ctx context.Context, l *links, ask func(context.Context, *link) (R, error)) (R, error) {
	for n, bad := 0, 0; ; n++ {
		r, err := once(ctx, l, tryFor(n/len(l.all)), ask)
		if bad++; !isWrong(err) {
			bad = 0
		}
		if err == nil || isFinal(err) || bad >= len(l.all) {
			return r, err
		}
		if ended := rest(ctx, l, n); ended != nil {
			return r, fmt.Errorf("%w: no member of the cluster answers: %w", ended, err)
		}
	}
}

// rest waits a little after each round of members, longer after more of them; its error is the context's.
func rest(ctx context.Context, l *links, n int) error {
	if (n+1)%len(l.all) != 0 {
		return context.Cause(ctx)
	}
	t := time.NewTimer(min(20*time.Millisecond<<min(n/len(l.all), 4), 200*time.Millisecond))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A memberError says which member said so, in words for an operator.
type memberError struct {
	endpoint string
	err      error
}

func (e *memberError) Error() string { return fmt.Sprintf("member %s: %s", e.endpoint, e.text()) }

func (e *memberError) text() string {
	text := printable(status.Convert(e.err).Message())
	switch {
	case strings.Contains(text, "certificate signed by unknown authority"):
		text += ": the settings' ca is not the one that signed the member's certificate"
	case strings.Contains(text, "tls: certificate required"), strings.Contains(text, "tls: bad certificate"), strings.Contains(text, "tls: unknown certificate authority"):
		text += ": the member does not take the certificate of the settings' cert and key"
	case errors.Is(e.err, context.DeadlineExceeded), status.Code(e.err) == codes.DeadlineExceeded:
		text = "it did not answer in time"
	}
	return text
}

func (e *memberError) Unwrap() error { return e.err }

// Troubled says that it tells of the cluster alone (store.Troubled).
func (e *memberError) Troubled() bool { return true }

// isFinal says that a call was refused for a reason that another try, or another member, would give as well.
func isFinal(err error) bool {
	switch codeOf(err) {
	case codes.InvalidArgument, codes.NotFound, codes.AlreadyExists, codes.PermissionDenied, codes.Unauthenticated, codes.OutOfRange, codes.DataLoss:
		return true
	case codes.ResourceExhausted:
		return isNoSpace(err)
	}
	return false
}

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func isNoSpace(err error) bool {
	return codeOf(err) == codes.ResourceExhausted && strings.Contains(err.Error(), rpctypes.ErrorDesc(rpctypes.ErrGRPCNoSpace))
}

// isCorrupt says that members found their copies to differ: an alarm that ends all service until an operator has acted.
func isCorrupt(err error) bool { return codeOf(err) == codes.DataLoss }

func codeOf(err error) codes.Code {
	var m *memberError
	if errors.As(err, &m) {
		err = m.err
	}
	return status.Code(err)
}
