package api

import (
	"bytes"
	"context"
	"errors"
	"time"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	custody "github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/ceremony"
)

// maxPiece is how much of a ciphertext goes into one message, in bytes.
const maxPiece = 256 << 10

// CutExport streams an export. The header comes last: whoever has it has the whole.
func (o *operator) CutExport(ctx context.Context, r *connect.Request[pb.CutExportRequest], out *connect.ServerStream[pb.CutExportResponse]) error {
	to, err := backup.Recipients(r.Msg.Recipients, r.Msg.Classical)
	if err != nil {
		return fail(err)
	}
	begin := func(size int) error { return out.Send(&pb.CutExportResponse{HeaderSize: uint32(size)}) }
	w := &pieces{send: func(b []byte) error { return out.Send(&pb.CutExportResponse{Ciphertext: b}) }}
	header, err := o.d.Export(ctx, time.Now(), o.d.Settings, r.Msg.Place, to, begin, w)
	if err == nil {
		err = w.flush()
	}
	if err != nil {
		return refusal(err)
	}
	return out.Send(&pb.CutExportResponse{Header: header})
}

// pieces gathers what is written into messages.
type pieces struct {
	send func([]byte) error
	b    bytes.Buffer
}

func (p *pieces) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		take := min(maxPiece-p.b.Len(), len(b))
		p.b.Write(b[:take])
		if b = b[take:]; p.b.Len() == maxPiece {
			if err := p.flush(); err != nil {
				return 0, err
			}
		}
	}
	return n, nil
}

func (p *pieces) flush() error {
	if p.b.Len() == 0 {
		return nil
	}
	err := p.send(bytes.Clone(p.b.Bytes()))
	p.b.Reset()
	return err
}

// refusal gives the errors of a backup their codes.
func refusal(err error) error {
	var refused *backup.RefusedError
	var classical *backup.ClassicalError
	switch {
	case errors.As(err, &refused), errors.Is(err, backup.ErrNothing):
		return connect.NewError(connect.CodeFailedPrecondition, err)
	case errors.As(err, &classical):
		return connect.NewError(connect.CodeInvalidArgument, err)
	}
	return fail(err)
}

func (o *operator) NoteBackup(ctx context.Context, r *connect.Request[pb.NoteBackupRequest]) (*connect.Response[pb.NoteBackupResponse], error) {
	if len(r.Msg.Header) > custody.MaxHeader {
		return nil, fail(errors.New("the header is too long"))
	}
	e, err := o.d.Backups.Note(ctx, time.Now(), r.Msg.Header)
	if err != nil {
		return nil, refusal(err)
	}
	return connect.NewResponse(&pb.NoteBackupResponse{Statement: e.Statement.Bytes(), Signature: e.Signature}), nil
}

// Backups shows what was noted and drilled, the keys in force, and over what a drill is made.
func (v *views) Backups(_ context.Context, _ *connect.Request[pb.BackupsRequest]) (*connect.Response[pb.BackupsResponse], error) {
	out := &pb.BackupsResponse{}
	for _, e := range v.d.Backups.Entries() {
		out.Backups = append(out.Backups, &pb.NotedBackup{Statement: e.Statement.Bytes(), Signature: e.Signature, Taken: stamp(e.Taken)})
	}
	for _, x := range v.d.Keeper.Roots() {
		if x.Current != nil && !x.Outside {
			out.Keys = append(out.Keys, backed(x))
		}
	}
	for _, d := range v.d.Backups.Drills() {
		out.Drills = append(out.Drills, &pb.ShownDrill{Statement: d.Statement.Bytes(), At: stamp(d.At), Taken: stamp(d.Taken)})
	}
	out.Checkpoint, _, _ = v.d.Witness.Checkpoint()
	if k, ok := v.d.Pulse.Keys(v.d.Operator().Name); ok {
		out.LogKeys = tlog.EncodeKeys(k.Statement, k.Signature)
	}
	return connect.NewResponse(out), nil
}

func backed(x ceremony.View) *pb.BackedKey {
	rec := x.Current.Record
	eh := rec.Hash()
	k := &pb.BackedKey{
		Vault: idBytes(x.Vault.ID), Name: x.Vault.Name, Key: x.KeyID[:], Suite: x.Suite, Epoch: rec.Epoch, Record: eh[:], Moved: stamp(x.Change.Moved),
		Guarded: rec.Backups != [32]byte{},
	}
	for _, m := range rec.Members {
		k.Shares = append(k.Shares, &pb.ShareProved{Operator: x.Names[m.ID], Proved: stamp(x.Proofs[m.ID])})
	}
	return k
}

func (p *people) BackupSet(ctx context.Context, r *connect.Request[pb.BackupSetRequest]) (*connect.Response[pb.BackupSetResponse], error) {
	key, err := idOf(r.Msg.Key, "key id")
	if err != nil {
		return nil, err
	}
	cert, plan, set, err := p.d.BackupSet(ctx, key)
	if errors.Is(err, ceremony.ErrNoKey) {
		return nil, connect.NewError(connect.CodeNotFound, err)
	}
	if err != nil {
		return nil, internal("read what guardians have", err)
	}
	return connect.NewResponse(&pb.BackupSetResponse{Certificate: cert, Plan: plan, Set: set}), nil
}
