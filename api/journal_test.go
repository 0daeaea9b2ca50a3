package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"strings"
	"testing"

	"connectrpc.com/connect"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node"
)

// logOf is the operator's interface of a host whose log is cosigned by the others.
func logOf(t *testing.T) (*matrix, *operator) {
	t.Helper()
	f := newMatrix(t)
	f.w.Run("a checkpoint that the others cosigned", func() bool {
		head, err := f.w.Hosts[0].Journal.Head(context.Background())
		_, at, by := f.w.Hosts[0].Witness.Checkpoint()
		return err == nil && at == head && len(by) == 3
	})
	return f, f.operator(0)
}

// operator is the operator's interface of a host.
func (f *matrix) operator(host int) *operator {
	h := f.w.Hosts[host]
	return &operator{views: &views{&node.Daemon{Node: h.Node, Started: f.w.Now, Key: h.Key}}}
}

func TestLogHeadAndProof(t *testing.T) {
	_, o := logOf(t)
	ctx := t.Context()
	res, err := o.LogHead(ctx, connect.NewRequest(&pb.LogHeadRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	m := res.Msg
	if len(m.Cosigned) != 3 || len(m.Missing) != 0 || m.CheckpointSize != m.Size || !bytes.Equal(m.CheckpointRoot, m.Root) || len(m.Known) != 4 {
		t.Errorf("head: %+v", m)
	}
	for i, c := range m.Cosigned {
		if !strings.HasPrefix(c.Operator, "operator-") || c.Time == "" {
			t.Errorf("cosignature %d: %+v", i, c)
		}
	}
	if k, _, _, err := tlog.DecodeKeys(m.Keys); err != nil || k.Origin != m.Origin || k.Operator != m.Operator {
		t.Errorf("keys: %+v, %v", k, err)
	}
	log, err := tlog.ParseLogVerifier(m.LogKey)
	if err != nil {
		t.Fatal(err)
	}
	if own, err := tlog.ParseWitness(m.WitnessKey); err != nil || own.Public().Equal(log.Public()) {
		t.Errorf("the witness key is %v: %v", own, err)
	}
	for _, index := range []uint64{0, 7, m.Size - 1} {
		res, err := o.LogProof(ctx, connect.NewRequest(&pb.LogProofRequest{Index: index}))
		if err != nil {
			t.Fatal(err)
		}
		p, err := tlog.ParseProof(res.Msg.Proof)
		if err != nil {
			t.Fatal(err)
		}
		at, _, err := p.Verify(p.Extra, log, nil)
		want, _ := o.d.Journal.Leaf(ctx, int64(index))
		if err != nil || at.Head.Size != int64(m.Size) || !bytes.Equal(p.Extra, want.Leaf.Encode()) {
			t.Errorf("entry %d: %+v, %v", index, at, err)
		}
	}
	if _, err := o.LogProof(ctx, connect.NewRequest(&pb.LogProofRequest{Index: 1 << 60})); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("an entry far beyond: %v", err)
	}
}

// all looks through the log with a request, answer by answer.
func (o *operator) all(t *testing.T, m *pb.LogEntriesRequest) (out []*pb.LogEntry) {
	t.Helper()
	for {
		res, err := o.LogEntries(t.Context(), connect.NewRequest(m))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, res.Msg.Entries...)
		if res.Msg.Next <= m.First || res.Msg.Next >= res.Msg.Size {
			return out
		}
		m.First = res.Msg.Next
	}
}

// What is asked for is shown, in order, once, whatever the answers' sizes are.
func TestLogEntries(t *testing.T) {
	f, o := logOf(t)
	every := o.all(t, &pb.LogEntriesRequest{})
	head, err := o.d.Journal.Head(t.Context())
	if err != nil || int64(len(every)) != head.Size {
		t.Fatalf("%d entries of %d, %v", len(every), head.Size, err)
	}
	count := map[string]int{}
	vault := 0
	for i, e := range every {
		l, err := tlog.Decode(e.Leaf)
		if err != nil || e.Index != uint64(i) {
			t.Fatalf("entry %d is number %d: %v", i, e.Index, err)
		}
		count[l.Kind]++
		if l.Vault == f.vaults[0].id {
			vault++
		}
	}
	if got := o.all(t, &pb.LogEntriesRequest{Limit: 3}); len(got) != len(every) {
		t.Errorf("by threes: %d", len(got))
	}
	if got := o.all(t, &pb.LogEntriesRequest{Kind: tlog.KindStatement}); len(got) != count[tlog.KindStatement] || len(got) == 0 {
		t.Errorf("%d statements of %d", len(got), count[tlog.KindStatement])
	}
	if got := o.all(t, &pb.LogEntriesRequest{Vault: f.vaults[0].id[:], Bare: true}); len(got) != vault || len(got[0].Body) > 0 {
		t.Errorf("%d entries of the vault, of %d; with a body: %v", len(got), vault, len(got[0].Body) > 0)
	}
	intent := f.vaults[1].intent
	mine := o.all(t, &pb.LogEntriesRequest{Id: hex.EncodeToString(intent[:5])})
	if len(mine) == 0 {
		t.Error("nothing is about the intent")
	}
	for _, e := range mine {
		if l, err := tlog.Decode(e.Leaf); err != nil || l.ID != intent && l.About != intent {
			t.Errorf("entry %d is about another thing", e.Index)
		}
	}
	first, err := tlog.Decode(every[0].Leaf)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.all(t, &pb.LogEntriesRequest{Until: stamp(first.Time)}); len(got) != 0 {
		t.Errorf("%d entries before the first", len(got))
	}
	if got := o.all(t, &pb.LogEntriesRequest{From: stamp(first.Time)}); len(got) != len(every) {
		t.Errorf("%d entries since the first", len(got))
	}
	if got := o.all(t, &pb.LogEntriesRequest{First: 4, End: 9}); len(got) != 5 || got[0].Index != 4 {
		t.Errorf("4 to 9: %d", len(got))
	}
	for name, m := range map[string]*pb.LogEntriesRequest{
		"half a vault": {Vault: []byte{1}}, "no hex": {Id: "xyz"}, "a long id": {Id: strings.Repeat("a", 65)}, "no time": {From: "yesterday"},
	} {
		if _, err := o.LogEntries(t.Context(), connect.NewRequest(m)); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%s: %v", name, err)
		}
	}
	if res, err := o.LogEntries(t.Context(), connect.NewRequest(&pb.LogEntriesRequest{First: 1<<64 - 1})); err != nil || len(res.Msg.Entries) != 0 {
		t.Errorf("far beyond: %v, %v", res, err)
	}
}

// Entries and tiles make up the published log.
func TestLogTiles(t *testing.T) {
	_, o := logOf(t)
	signed, head, _ := o.d.Witness.Checkpoint()
	if signed == nil {
		t.Fatal("no checkpoint")
	}
	files := map[string][]byte{}
	for tile := range tlog.Tiles(0, head.Size) {
		if tile.Level == tlog.Entries {
			var leaves [][]byte
			for _, e := range o.all(t, &pb.LogEntriesRequest{First: uint64(tile.Index) * 256, End: uint64(tile.Index)*256 + uint64(tile.Width)}) {
				leaves = append(leaves, e.Leaf)
			}
			b, err := tlog.EncodeEntries(leaves)
			if err != nil {
				t.Fatal(err)
			}
			files[tile.Path()] = b
			continue
		}
		res, err := o.LogTile(t.Context(), connect.NewRequest(&pb.LogTileRequest{Level: uint32(tile.Level), Index: uint64(tile.Index), Width: uint32(tile.Width)}))
		if err != nil {
			t.Fatal(err)
		}
		files[tile.Path()] = res.Msg.Tile
	}
	read := int64(0)
	err := tlog.ReadLeaves(head, func(path string) ([]byte, error) { return files[path], nil }, func(int64, []byte) error { read++; return nil })
	if err != nil || read != head.Size {
		t.Errorf("%d leaves of %d are read from the tiles: %v", read, head.Size, err)
	}
	for name, m := range map[string]*pb.LogTileRequest{"wide": {Width: 257}, "none": {}, "beyond": {Width: 1, Index: 1 << 50}, "above": {Level: 9, Width: 1}, "huge": {Level: 1<<32 - 1, Width: 1<<32 - 1, Index: 1<<64 - 1}} {
		if _, err := o.LogTile(t.Context(), connect.NewRequest(m)); connect.CodeOf(err) != connect.CodeNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}
