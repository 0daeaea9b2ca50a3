package etcd

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/store"
)

// A lane carries one batch at a time (spec/store.md 7.4). Revision is that of its key as last known; pending is the id of a batch through
// it whose outcome is not known, nil if there is none.
type lane struct {
	key      []byte
	revision int64
	pending  []byte
}

// id makes a batch's: nobody foresees it, and another batch has another, also where a copy of this machine, with the same memory and
// perhaps the same random numbers, writes in the same lane under the same token. Whoever finds its id in the lane has written this batch.
func (l *lane) id(b store.Batch) []byte {
	var fresh [16]byte
	_, _ = rand.Read(fresh[:]) // it cannot fail
	h := transcript.New(transcript.StoreLane).Bytes(fresh[:]).Bytes(l.key).Uint(uint64(l.revision)).Uint(uint64(len(b.If))).Uint(uint64(len(b.Put)))
	for _, c := range b.If {
		h.Bytes([]byte(c.Key)).Uint(c.Revision)
	}
	for _, e := range b.Put {
		h.Bytes([]byte(e.Key)).Bytes(e.Value)
	}
	for _, k := range b.Delete {
		h.Bytes([]byte(k))
	}
	sum := h.Sum256()
	return sum[:16]
}

// Commit implements store.Store. ErrUnknown comes only when ctx ends, or the tenure, while an answer is owed.
func (s *Store) Commit(ctx context.Context, b store.Batch) (uint64, error) {
	if err := b.Check(); err != nil {
		return 0, err
	}
	ctx, leave, err := s.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	if len(b.Put)+len(b.Delete) == 0 {
		return s.check(ctx, b)
	}
	if err := s.room.refuse(b); err != nil {
		return 0, err
	}
	var l *lane
	select {
	case l = <-s.lanes:
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	defer func() { s.lanes <- l }()
	if l.pending != nil { // a batch before this one: until it is known, none may follow
		if _, err := s.settle(ctx, l); err != nil {
			return 0, notWritten(err)
		}
	}
	l.pending = l.id(b)
	return s.write(ctx, l, b)
}

// notWritten is the error of a batch that was never sent, since the one before it in its lane is not known.
func notWritten(err error) error {
	var u *unknownError
	if errors.As(err, &u) {
		return u.cause
	}
	return err
}

// An unknownError is ErrUnknown and why nobody could be asked.
type unknownError struct{ cause error }

func (e *unknownError) Error() string   { return fmt.Sprintf("%v: %v", store.ErrUnknown, e.cause) }
func (e *unknownError) Unwrap() []error { return []error{store.ErrUnknown, e.cause} }

// write sends the batch until its outcome is known. It is the same transaction each time: whichever arrives first moves the lane, and
// none holds after that.
func (s *Store) write(ctx context.Context, l *lane, b store.Batch) (uint64, error) {
	request := s.transaction(l, b)
	doubt := false // an earlier try may have been written, or may yet be
	for n, bad := 0, 0; ; n++ {
		r, err := s.try(ctx, request, n, &bad)
		switch {
		case err == nil && r.Succeeded:
			return l.moved(r.Header.Revision), nil
		case err == nil:
			return s.refused(ctx, l, b, r, doubt)
		case isNoSpace(err):
			return s.noSpace(ctx, l, err, doubt)
		case isFinal(err):
			return 0, s.refuse(l, err, doubt)
		case bad >= len(s.c.links.all):
			return 0, &unknownError{err}
		}
		doubt = true
		if ended := rest(ctx, &s.c.links, n); ended != nil {
			return 0, &unknownError{fmt.Errorf("%w: %w", ended, err)}
		}
	}
}

// refuse is a refusal that no other try would mend.
func (s *Store) refuse(l *lane, err error, doubt bool) error {
	if isCorrupt(err) {
		err = s.c.differ(err)
	} else {
		err = fmt.Errorf("the cluster refuses a batch: %w", err)
	}
	if doubt {
		return &unknownError{err}
	}
	l.pending = nil
	return err
}

// try asks one member; bad counts wrong answers in a row: when each member gave one, no other try helps.
func (s *Store) try(ctx context.Context, request *pb.TxnRequest, n int, bad *int) (*pb.TxnResponse, error) {
	r, err := once(ctx, &s.c.links, tryFor(n), func(ctx context.Context, k *link) (*pb.TxnResponse, error) { return k.txn(ctx, request) })
	if *bad++; !isWrong(err) {
		*bad = 0
	}
	return r, err
}

// moved notes that the lane's batch was written.
func (l *lane) moved(revision int64) uint64 {
	l.revision, l.pending = revision, nil
	return uint64(revision)
}

// transaction is the batch as etcd takes it: at most 122 conditions and 121 writes of etcd's 128. The Else branch reads what tells why it
// did not hold.
func (s *Store) transaction(l *lane, b store.Batch) *pb.TxnRequest {
	r := s.conditions(b)
	r.Compare = append(r.Compare, modified(l.key, l.revision))
	r.Failure = append(r.Failure, getOp(l.key, false))
	for _, e := range b.Put {
		r.Success = append(r.Success, putOp(s.c.key(tagRecord, e.Key), store.Frame(e.Key, 0, e.Value), 0))
	}
	for _, k := range b.Delete {
		r.Success = append(r.Success, dropOp(s.c.key(tagRecord, k)))
	}
	r.Success = append(r.Success, putOp(l.key, l.pending, 0))
	return r
}

// conditions: the owner's row, then the batch's own.
func (s *Store) conditions(b store.Batch) *pb.TxnRequest {
	owner := s.c.key(rowOwner)
	r := &pb.TxnRequest{Compare: []*pb.Compare{created(owner, int64(s.t.token))}, Failure: []*pb.RequestOp{getOp(owner, true)}}
	for _, c := range b.If {
		key := s.c.key(tagRecord, c.Key)
		r.Compare = append(r.Compare, modified(key, int64(c.Revision)))
		r.Failure = append(r.Failure, getOp(key, true))
	}
	return r
}

// refused finds out why a transaction did not hold.
func (s *Store) refused(ctx context.Context, l *lane, b store.Batch, r *pb.TxnResponse, doubt bool) (uint64, error) {
	at := got(r, 1+len(b.If))
	if at != nil && bytes.Equal(at.Value, l.pending) { // an earlier try was written, and its answer lost
		return l.moved(at.ModRevision), nil
	}
	if err := s.fenced(r); err != nil {
		if doubt && revisionOf(at) != l.revision { // the next owner's batch covers whether ours was there
			return 0, &unknownError{err}
		}
		return 0, err // and no later try can hold: a token never comes back
	}
	if revisionOf(at) != l.revision {
		err := s.intruder(l)
		if doubt {
			return 0, &unknownError{err}
		}
		return 0, err
	}
	conflict := lost(b, r)
	if conflict == nil {
		return 0, &unknownError{fmt.Errorf("the cluster says that a batch did not hold, and all its conditions do")}
	}
	if !doubt {
		l.pending = nil
		return 0, conflict
	}
	// An earlier try may be on its way still, and hold when it arrives: a key that is there now may be deleted by then. The lane is moved
	// on first, so that it cannot.
	revision, err := s.settle(ctx, l)
	switch {
	case err != nil:
		return 0, err
	case revision != 0:
		return revision, nil
	}
	return 0, conflict
}

// lost names the first condition that did not hold.
func lost(b store.Batch, r *pb.TxnResponse) error {
	for i, c := range b.If {
		if revisionOf(got(r, 1+i)) != int64(c.Revision) {
			return &store.ConflictError{Key: c.Key}
		}
	}
	return nil
}

// fenced says that the store has another owner, or none; then it is closed for good.
func (s *Store) fenced(r *pb.TxnResponse) error {
	owner := got(r, 0)
	switch {
	case owner != nil && owner.CreateRevision == int64(s.t.token):
		return nil
	case owner == nil:
		s.t.lose(errors.New("its lease has run out"))
	default:
		s.t.lose(fmt.Errorf("another replica took over with token %d", owner.CreateRevision))
	}
	return s.t.Err()
}

// intruder: something other than this process writes in our lanes, with our token standing.
func (s *Store) intruder(l *lane) error {
	s.t.lose(fmt.Errorf("somebody else wrote key %q: nothing but the owner of this store may write below %q", l.key, s.c.prefix))
	return s.t.Err()
}

// settle finds out what became of the lane's batch, and sees to it that it stays so: unless it was written, the lane is moved on, and no try
// of it that is still on its way can hold. It returns the batch's revision, 0 if it was not written and never will be. Its error is an
// *unknownError while that is not known.
func (s *Store) settle(ctx context.Context, l *lane) (uint64, error) {
	mark := l.id(store.Batch{})
	request := s.conditions(store.Batch{})
	request.Compare = append(request.Compare, modified(l.key, l.revision))
	request.Success = []*pb.RequestOp{putOp(l.key, mark, 0)}
	request.Failure = append(request.Failure, getOp(l.key, false))
	for n, bad := 0, 0; ; n++ {
		r, err := s.try(ctx, request, n, &bad)
		switch {
		case err == nil && r.Succeeded:
			l.moved(r.Header.Revision)
			return 0, nil
		case err == nil:
			return s.settled(l, r, mark)
		case isFinal(err), bad >= len(s.c.links.all):
			return 0, &unknownError{err}
		}
		if ended := rest(ctx, &s.c.links, n); ended != nil {
			return 0, &unknownError{fmt.Errorf("%w: %w", ended, err)}
		}
	}
}

func (s *Store) settled(l *lane, r *pb.TxnResponse, mark []byte) (uint64, error) {
	at := got(r, 1)
	switch {
	case at != nil && bytes.Equal(at.Value, l.pending):
		return l.moved(at.ModRevision), nil
	case at != nil && bytes.Equal(at.Value, mark): // an earlier try to settle
		l.moved(at.ModRevision)
		return 0, nil
	}
	err := s.fenced(r)
	if err == nil {
		err = s.intruder(l)
	} else if revisionOf(at) == l.revision {
		return 0, err // not written, and it never will be
	}
	return 0, &unknownError{err}
}

// noSpace: etcd answers so before it has written, and also after the one batch that passed the quota. The lane tells which.
func (s *Store) noSpace(ctx context.Context, l *lane, cause error, doubt bool) (uint64, error) {
	s.room.spent()
	at, _, err := s.c.one(ctx, l.key)
	switch {
	case err != nil:
		return 0, &unknownError{err}
	case at != nil && bytes.Equal(at.Value, l.pending):
		return l.moved(at.ModRevision), nil
	case doubt || revisionOf(at) != l.revision: // a try before may be on its way until the quota is raised
		return 0, &unknownError{cause}
	}
	l.pending = nil
	return 0, s.room.full(cause)
}

// check judges a batch that writes nothing.
func (s *Store) check(ctx context.Context, b store.Batch) (uint64, error) {
	request := s.conditions(b)
	r, err := anyone(ctx, &s.c.links, func(ctx context.Context, k *link) (*pb.TxnResponse, error) { return k.txn(ctx, request) })
	if isCorrupt(err) {
		return 0, s.c.differ(err)
	}
	if err != nil {
		return 0, fmt.Errorf("check a batch: %w", err)
	}
	if r.Succeeded {
		return uint64(r.Header.Revision), nil
	}
	if err := s.fenced(r); err != nil {
		return 0, err
	}
	return 0, lost(b, r)
}

// The parts of etcd's transactions.

func created(key []byte, revision int64) *pb.Compare {
	return &pb.Compare{Key: key, Target: pb.Compare_CREATE, Result: pb.Compare_EQUAL, TargetUnion: &pb.Compare_CreateRevision{CreateRevision: revision}}
}

func modified(key []byte, revision int64) *pb.Compare {
	return &pb.Compare{Key: key, Target: pb.Compare_MOD, Result: pb.Compare_EQUAL, TargetUnion: &pb.Compare_ModRevision{ModRevision: revision}}
}

func putOp(key, value []byte, lease int64) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{RequestPut: &pb.PutRequest{Key: key, Value: value, Lease: lease}}}
}

func dropOp(key []byte) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: &pb.DeleteRangeRequest{Key: key}}}
}

func getOp(key []byte, keyOnly bool) *pb.RequestOp {
	return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: &pb.RangeRequest{Key: key, KeysOnly: keyOnly}}}
}

// got is the record that the i-th operation read; nil if there was none.
func got(r *pb.TxnResponse, i int) *mvccpb.KeyValue {
	if i < 0 || i >= len(r.Responses) {
		return nil
	}
	if kvs := r.Responses[i].GetResponseRange().GetKvs(); len(kvs) > 0 {
		return kvs[0]
	}
	return nil
}

func revisionOf(kv *mvccpb.KeyValue) int64 {
	if kv == nil {
		return 0
	}
	return kv.ModRevision
}
