package etcd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
)

// What a member answers is held against what it was asked (spec/store.md 7.8): a member that is broken, or lies, must not end this process, fill its memory,
// or have one row taken for another. Who answers so is passed over as one that is silent. What is false and well formed is believed: spec/replicas.md 6.

// Bounds of what a member may answer.
const (
	maxAnswer  = 3 << 19 // bytes of an answer, of a page for each row asked for: etcd's own bound of a request, so that no record is larger
	maxMembers = 100     // in a cluster, and replicas of a node
	maxGranted = 120     // seconds of a lease that was asked for less: members grant 75 at least where their elections are as slow as they may be
)

// An answerError says how an answer is none to what was asked.
type answerError struct{ what string }

func (e *answerError) Error() string {
	return "its answer is not one to what it was asked: " + e.what
}

func wrong(format string, args ...any) error { return &answerError{fmt.Sprintf(format, args...)} }

// isWrong says that a member answered something that is no answer. Another may answer well.
func isWrong(err error) bool {
	var a *answerError
	return errors.As(err, &a) || codeOf(err) == codes.ResourceExhausted && strings.Contains(err.Error(), "received message larger than max")
}

// The calls of a link: each checks what it is answered.

func (k *link) read(ctx context.Context, q *pb.RangeRequest) (*pb.RangeResponse, error) {
	size := int(max(1, q.Limit)) * maxAnswer
	r, err := k.kv.Range(ctx, q, grpc.MaxCallRecvMsgSize(size))
	if err == nil {
		err = soundRange(q, r)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (k *link) txn(ctx context.Context, q *pb.TxnRequest) (*pb.TxnResponse, error) {
	r, err := k.kv.Txn(ctx, q)
	if err == nil {
		err = soundTxn(q, r)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (k *link) put(ctx context.Context, q *pb.PutRequest) (*pb.PutResponse, error) {
	r, err := k.kv.Put(ctx, q)
	if err == nil {
		_, err = soundHeader(r.Header)
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

func (k *link) grant(ctx context.Context, seconds int64) (*pb.LeaseGrantResponse, error) {
	r, err := k.lease.LeaseGrant(ctx, &pb.LeaseGrantRequest{TTL: seconds})
	switch {
	case err != nil:
		return nil, err
	case r.ID == 0 || r.TTL < seconds || r.TTL > max(seconds, maxGranted): // too long, and its owner would work on when another one does
		return nil, wrong("lease %x for %d seconds, where %d were asked for", r.ID, r.TTL, seconds)
	}
	return r, nil
}

// renew returns the seconds granted; 0 or less: the lease is gone.
func (k *link) renew(ctx context.Context, lease, granted int64) (int64, error) {
	s, err := k.lease.LeaseKeepAlive(ctx)
	if err != nil {
		return 0, err
	}
	err = s.Send(&pb.LeaseKeepAliveRequest{ID: lease})
	if err != nil && !isEOF(err) { // then Recv says why
		return 0, err
	}
	r, err := s.Recv()
	switch {
	case err != nil:
		return 0, err
	case r.ID != lease:
		return 0, wrong("lease %x is renewed, where %x was asked for", r.ID, lease)
	case r.TTL > 0 && (r.TTL < granted || r.TTL > max(granted, maxGranted)):
		return 0, wrong("a lease of %d seconds is renewed for %d", granted, r.TTL)
	}
	return r.TTL, s.CloseSend()
}

func (k *link) status(ctx context.Context) (*pb.StatusResponse, error) {
	r, err := k.maint.Status(ctx, &pb.StatusRequest{})
	switch {
	case err != nil:
		return nil, err
	case r.Header == nil || r.DbSize < 0 || r.DbSizeInUse < 0 || r.DbSizeQuota < 0:
		return nil, wrong("a status without header, or with sizes below 0")
	}
	return r, nil
}

func (k *link) members(ctx context.Context) (*pb.MemberListResponse, error) {
	r, err := k.cluster.MemberList(ctx, &pb.MemberListRequest{})
	switch {
	case err != nil:
		return nil, err
	case len(r.Members) == 0 || len(r.Members) > maxMembers:
		return nil, wrong("a cluster of %d members", len(r.Members))
	}
	return r, nil
}

// changed returns when a member says that the key was changed after revision, or says anything else. The library's own watcher would do more, and panic at an
// event without a row.
func (k *link) changed(ctx context.Context, key []byte, revision int64) error {
	w, err := k.watch.Watch(ctx)
	if err != nil {
		return err
	}
	q := &pb.WatchCreateRequest{Key: key, StartRevision: revision + 1}
	if err := w.Send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: q}}); err != nil && !isEOF(err) {
		return err
	}
	r, err := w.Recv()
	if err == nil && r.Created && len(r.Events) == 0 {
		r, err = w.Recv()
	}
	if err == nil && r.Canceled {
		err = errors.New("the member ended the watch")
	}
	return err
}

// soundHeader returns the revision at which the answer was given.
func soundHeader(h *pb.ResponseHeader) (int64, error) {
	if h.GetRevision() < 1 {
		return 0, wrong("it has no header with a revision")
	}
	return h.Revision, nil
}

func soundRange(q *pb.RangeRequest, r *pb.RangeResponse) error {
	now, err := soundHeader(r.Header)
	if err != nil {
		return err
	}
	if q.Revision > 0 { // rows as they were then
		now = min(now, q.Revision)
	}
	return soundRows(q, r, now)
}

// soundRows: the key that was asked for, or keys of the range, in order, no more than asked for, none from the future, and no page cut short.
func soundRows(q *pb.RangeRequest, r *pb.RangeResponse, now int64) error {
	limit := int(q.Limit)
	if len(q.RangeEnd) == 0 {
		limit = 1
	}
	if limit > 0 && len(r.Kvs) > limit {
		return wrong("%d rows, where %d were asked for", len(r.Kvs), limit)
	}
	if r.More && len(r.Kvs) < limit { // its reader would think that there are no more
		return wrong("%d rows of %d, and there are more", len(r.Kvs), limit)
	}
	var last []byte
	for _, kv := range r.Kvs {
		switch {
		case len(q.RangeEnd) == 0 && !bytes.Equal(kv.Key, q.Key):
			return wrong("key %.200q, where %q was asked for", kv.Key, q.Key)
		case len(q.RangeEnd) > 0 && (bytes.Compare(kv.Key, q.Key) < 0 || bytes.Compare(kv.Key, q.RangeEnd) >= 0):
			return wrong("key %.200q, where those from %q to %q were asked for", kv.Key, q.Key, q.RangeEnd)
		case last != nil && bytes.Compare(kv.Key, last) <= 0:
			return wrong("key %.200q after %.200q", kv.Key, last)
		}
		if err := soundRow(kv, now); err != nil {
			return err
		}
		last = kv.Key
	}
	return nil
}

func soundRow(kv *mvccpb.KeyValue, now int64) error {
	if kv.CreateRevision < 1 || kv.ModRevision < kv.CreateRevision || kv.ModRevision > now {
		return wrong("key %.200q was made at revision %d and changed at %d, as of revision %d", kv.Key, kv.CreateRevision, kv.ModRevision, now)
	}
	return nil
}

// soundTxn: an answer to each operation of the branch that was taken; and where a condition is said not to hold, what was read must say which.
func soundTxn(q *pb.TxnRequest, r *pb.TxnResponse) error {
	now, err := soundHeader(r.Header)
	if err != nil {
		return err
	}
	ops := q.Failure
	if r.Succeeded {
		ops = q.Success
	}
	if len(r.Responses) != len(ops) {
		return wrong("%d answers to %d operations", len(r.Responses), len(ops))
	}
	for i, op := range ops {
		if err := soundOp(op, r.Responses[i], now); err != nil {
			return err
		}
	}
	if r.Succeeded || len(q.Failure) != len(q.Compare) {
		return nil
	}
	for i, c := range q.Compare {
		if !holds(c, got(r, i)) {
			return nil
		}
	}
	return wrong("it says that a batch did not hold, and all its conditions do")
}

func soundOp(op *pb.RequestOp, r *pb.ResponseOp, now int64) error {
	ok := false
	switch {
	case op.GetRequestRange() != nil:
		if a := r.GetResponseRange(); a != nil {
			return soundRows(op.GetRequestRange(), a, now)
		}
	case op.GetRequestPut() != nil:
		ok = r.GetResponsePut() != nil
	case op.GetRequestDeleteRange() != nil:
		ok = r.GetResponseDeleteRange() != nil
	}
	if !ok {
		return wrong("an operation is answered as if it were another")
	}
	return nil
}

// holds says whether a condition holds for the row that was read beside it.
func holds(c *pb.Compare, kv *mvccpb.KeyValue) bool {
	switch want := c.TargetUnion.(type) {
	case *pb.Compare_CreateRevision:
		return kv.GetCreateRevision() == want.CreateRevision
	case *pb.Compare_ModRevision:
		return kv.GetModRevision() == want.ModRevision
	}
	return false
}
