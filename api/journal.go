package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/store"
)

func (o *operator) LogHead(ctx context.Context, _ *connect.Request[pb.LogHeadRequest]) (*connect.Response[pb.LogHeadResponse], error) {
	own := o.d.Operator()
	head, err := o.d.Journal.Head(ctx)
	if err != nil {
		return nil, internal("show the log's head", err)
	}
	out := &pb.LogHeadResponse{Operator: own.Name, Size: uint64(head.Size), Root: head.Root[:]}
	if k, ok := o.d.Pulse.Keys(own.Name); ok {
		out.Origin, out.Keys = k.Origin, tlog.EncodeKeys(k.Statement, k.Signature)
	}
	for _, k := range o.d.Pulse.AllKeys() {
		one, err := logKeys(k)
		if err != nil {
			return nil, internal("show the keys of logs", err)
		}
		if out.Known = append(out.Known, one); k.Origin == out.Origin {
			out.LogKey, out.WitnessKey = one.LogKey, one.WitnessKey
		}
	}
	if out.Witnesses, err = o.d.Publish.Get(ctx, "", tlog.PathWitnesses); err != nil {
		return nil, internal("show who is asked to cosign", err)
	}
	signed, at, by := o.d.Witness.Checkpoint()
	made, _ := o.d.Witness.Made()
	if signed == nil {
		return connect.NewResponse(out), nil
	}
	out.Checkpoint, out.CheckpointSize, out.CheckpointRoot, out.CheckpointMade = signed, uint64(at.Size), at.Root[:], stamp(made)
	for _, c := range by {
		out.Cosigned = append(out.Cosigned, &pb.Cosigned{Operator: o.witness(c.Name), Witness: c.Name, Time: stamp(c.Time)})
	}
	out.Missing = o.notCosigned(by)
	return connect.NewResponse(out), nil
}

func logKeys(k tlog.Keys) (*pb.LogKeys, error) {
	log, err := tlog.NewLogVerifier(k.Origin, k.Log)
	if err != nil {
		return nil, err
	}
	witness, err := tlog.NewWitness(k.Name, k.Witness)
	return &pb.LogKeys{Operator: k.Operator, Origin: k.Origin, LogKey: log.String(), WitnessKey: witness.String()}, err
}

// witness is the operator whose node bears a witness's name; empty if none of the circle's does.
func (v *views) witness(name string) string {
	for _, k := range v.d.Pulse.AllKeys() {
		if k.Name == name {
			return k.Operator
		}
	}
	return ""
}

// notCosigned are the other operators of the roster that are not among these witnesses.
func (v *views) notCosigned(by []tlog.Cosigned) (names []string) {
	done := map[string]bool{v.d.Operator().Name: true}
	for _, c := range by {
		done[v.witness(c.Name)] = true
	}
	_, r, _ := v.d.Circle.Roster()
	for _, x := range r.Operators {
		if !done[x.Name] {
			names = append(names, x.Name)
		}
	}
	return names
}

// Bounds of one answer of LogEntries.
const (
	logAnswer = 4 << 20 // bytes of bodies, after which it ends
	logLook   = 1 << 16 // entries that are looked at
	logPage   = 64      // entries that are read at once
)

// sieve says which entries are asked for.
type sieve struct {
	kind, id    string
	vault       []byte
	from, until time.Time
}

func newSieve(m *pb.LogEntriesRequest) (s sieve, err error) {
	s = sieve{kind: m.Kind, id: strings.ToLower(m.Id), vault: m.Vault}
	if len(s.vault) != 0 && len(s.vault) != len(statement.ID{}) {
		return s, errors.New("vault id is not 32 bytes")
	}
	if strings.Trim(s.id, "0123456789abcdef") != "" || len(s.id) > 64 {
		return s, fmt.Errorf("%.80q is not the beginning of an id: up to 64 hex digits", m.Id)
	}
	for text, t := range map[string]*time.Time{m.From: &s.from, m.Until: &s.until} {
		if text == "" {
			continue
		}
		if *t, err = time.Parse(time.RFC3339, text); err != nil {
			return s, fmt.Errorf("%.80q is no time such as 2026-11-27T12:00:00Z", text)
		}
	}
	return s, nil
}

func (s sieve) keeps(l tlog.Leaf) bool {
	switch {
	case s.kind != "" && l.Kind != s.kind, len(s.vault) > 0 && !bytes.Equal(s.vault, l.Vault[:]):
		return false
	case !s.from.IsZero() && l.Time.Before(s.from), !s.until.IsZero() && !l.Time.Before(s.until):
		return false
	}
	return s.id == "" || strings.HasPrefix(hex.EncodeToString(l.ID[:]), s.id) || strings.HasPrefix(hex.EncodeToString(l.About[:]), s.id)
}

func (o *operator) LogEntries(ctx context.Context, r *connect.Request[pb.LogEntriesRequest]) (*connect.Response[pb.LogEntriesResponse], error) {
	s, err := newSieve(r.Msg)
	if err != nil {
		return nil, fail(err)
	}
	head, err := o.d.Journal.Head(ctx)
	if err != nil {
		return nil, internal("read the log", err)
	}
	limit, end := int(r.Msg.Limit), head.Size
	if limit == 0 || limit > store.MaxLimit {
		limit = store.MaxLimit
	}
	if r.Msg.End > 0 {
		end = min(end, int64(min(r.Msg.End, math.MaxInt64)))
	}
	next := int64(min(r.Msg.First, math.MaxInt64))
	end = min(end, next+min(logLook, math.MaxInt64-next))
	out := &pb.LogEntriesResponse{Size: uint64(head.Size)}
	for size := 0; next < end && len(out.Entries) < limit && size < logAnswer; {
		page, err := o.d.Journal.Leaves(ctx, next, int(min(logPage, end-next)))
		if err != nil {
			return nil, internal("read the log", err)
		}
		if len(page) == 0 {
			return nil, internal("read the log", fmt.Errorf("entry %d is missing: `ostraka log fsck` looks at the whole log", next))
		}
		for _, f := range page {
			if len(out.Entries) == limit || size >= logAnswer {
				break
			}
			next++
			if !s.keeps(f.Leaf) {
				continue
			}
			one := &pb.LogEntry{Index: uint64(next - 1), Leaf: f.Leaf.Encode()}
			if !r.Msg.Bare {
				one.Body = f.Body.Encode()
			}
			size += len(one.Leaf) + len(one.Body)
			out.Entries = append(out.Entries, one)
		}
	}
	out.Next = uint64(next)
	return connect.NewResponse(out), nil
}

func (o *operator) LogProof(ctx context.Context, r *connect.Request[pb.LogProofRequest]) (*connect.Response[pb.LogProofResponse], error) {
	index := int64(min(r.Msg.Index, tlog.MaxSize))
	signed, head, _ := o.d.Witness.Checkpoint()
	if index >= head.Size {
		now, err := o.d.Journal.Head(ctx)
		if err == nil && index >= now.Size {
			return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("the log has %d entries, the last is number %d", now.Size, now.Size-1))
		}
		return nil, connect.NewError(connect.CodeUnavailable, fmt.Errorf("entry %d is in no checkpoint yet: the next one follows in seconds", index))
	}
	hashes, err := tlog.ProveInclusion(head.Size, index, o.d.Journal.Hashes(ctx))
	if err != nil {
		return nil, internal("prove an entry", err)
	}
	l, err := o.d.Journal.Leaf(ctx, index)
	if err != nil {
		return nil, internal("prove an entry", err)
	}
	p := tlog.Proof{Extra: l.Leaf.Encode(), Index: index, Hashes: hashes, Checkpoint: signed}
	return connect.NewResponse(&pb.LogProofResponse{Proof: p.Encode()}), nil
}

func (o *operator) LogTile(ctx context.Context, r *connect.Request[pb.LogTileRequest]) (*connect.Response[pb.LogTileResponse], error) {
	t := tlog.Tile{Level: int(min(r.Msg.Level, math.MaxInt32)), Index: int64(min(r.Msg.Index, tlog.MaxSize)), Width: int(min(r.Msg.Width, math.MaxInt32))}
	head, err := o.d.Journal.Head(ctx)
	if err != nil {
		return nil, internal("read a tile of the log", err)
	}
	if !t.Within(head.Size) {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("a log of %d entries has no tile of level %d, index %d and width %d", head.Size, t.Level, t.Index, t.Width))
	}
	tile, err := tlog.HashTile(t, o.d.Journal.Hashes(ctx))
	if err != nil {
		return nil, internal("read a tile of the log", err)
	}
	return connect.NewResponse(&pb.LogTileResponse{Tile: tile}), nil
}

func (o *operator) LogRead(ctx context.Context, r *connect.Request[pb.LogReadRequest]) (*connect.Response[pb.LogReadResponse], error) {
	if r.Msg.Begin {
		o.d.Journal.ReadAgain()
	}
	now := o.d.Journal.Reading()
	out := &pb.LogReadResponse{
		Reading: now.Wanted, Read: uint64(now.Read), Size: uint64(now.Size), Finished: now.Finished,
		WholeSize: uint64(now.Whole.Size), WholeRoot: now.Whole.Root[:],
	}
	if now.Damage != nil {
		out.Damage = now.Damage.Error()
		return connect.NewResponse(out), nil
	}
	_, at, _ := o.d.Witness.Checkpoint()
	then, err := o.d.Journal.HeadAt(ctx, at.Size)
	if errors.Is(err, store.ErrCorrupt) { // the reading has not come there yet
		out.Damage = fmt.Sprintf("the log is damaged: %v", err)
		return connect.NewResponse(out), nil
	}
	if err != nil {
		return nil, internal("compare the log with its checkpoint", err)
	}
	out.CheckpointFits = at.Size == 0 || then == at
	return connect.NewResponse(out), nil
}
