package nodetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// ears takes what a Watch says, instead of failing the test.
type ears struct {
	testing.TB
	said []string
}

func (e *ears) Errorf(format string, args ...any) {
	e.said = append(e.said, fmt.Sprintf(format, args...))
}
func (e *ears) Failed() bool { return len(e.said) > 0 }

// The Watch must find what it is there for.
func TestWatchFinds(t *testing.T) {
	ready := New(t, 2)
	vault, addr := Ready(ready, 2)
	for name, c := range map[string]struct {
		do   func(w *World, s statement.Statement, sent []Parcel)
		want string
	}{
		"nothing": {func(*World, statement.Statement, []Parcel) {}, ""},
		"a note that is not durable": {func(w *World, s statement.Statement, _ []Parcel) {
			id := s.ID()
			n := outbox.Note{Kind: decide.NoteVote, Fields: [][]byte{id[:], []byte("approve"), []byte("x")}}
			w.post(Parcel{w.Hosts[0], w.Hosts[1], append([]byte{FrameNote}, n.Encode()...), 1})
		}, "not made durable"},
		"a join before its mark": {func(w *World, _ statement.Statement, sent []Parcel) {
			erase(w, w.Hosts[0], "seen/")
			replay(w, sent, 2)
		}, "not marked as seen"},
		"a join without ALLOW": {func(w *World, _ statement.Statement, sent []Parcel) {
			erase(w, w.Hosts[0], "decision/")
			replay(w, sent, 2)
		}, "without its own ALLOW"},
		"a session that goes on": {func(w *World, _ statement.Statement, sent []Parcel) {
			w.Hosts[0].Life++
			replay(w, sent, 3)
		}, "after a restart"},
		"a second FINAL": {func(w *World, _ statement.Statement, _ []Parcel) {
			v, _ := w.Hosts[0].Keeper.Root(vault, charter.SuiteECDSA)
			for i := range 2 {
				f := *v.Current.Finals[0]
				f.Proof = append([]byte{}, f.Proof...)
				f.Proof[3] ^= byte(i)
				n := outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{f.Encode()}}
				w.post(Parcel{w.Hosts[0], w.Hosts[1], append([]byte{FrameNote}, n.Encode()...), 1})
			}
		}, "FINAL of"},
		"a foreign signature": {func(w *World, s statement.Statement, _ []Parcel) {
			id := s.ID()
			n := outbox.Note{Kind: decide.NoteSigned, Fields: [][]byte{id[:], {2, 0xc0}}}
			w.post(Parcel{w.Hosts[0], w.Hosts[1], append([]byte{FrameNote}, n.Encode()...), 1})
		}, "not of intent"},
		"a lost share": {func(w *World, _ statement.Statement, sent []Parcel) {
			erase(w, w.Hosts[1], "epoch/")
			w.Watch.look()
		}, "cannot load its share"},
	} {
		t.Run(name, func(t *testing.T) {
			w := ready.Clone(t, name)
			var frames []Parcel
			w.Pass = func(p Parcel) []Parcel { frames = append(frames, p); return []Parcel{p} }
			s := w.Propose(vault, addr, 0)
			w.Approve(s)
			w.Run("signed", func() bool { return w.Signed(s) })
			e := &ears{TB: t}
			w.T, w.Queue = e, nil
			c.do(w, s, frames)
			all := strings.Join(e.said, "\n")
			if c.want == "" && all != "" || !strings.Contains(all, c.want) {
				t.Fatalf("the watch says %q, want %q", all, c.want)
			}
		})
	}
}

// replay sends again, from the first host, the first frame of a type that it sent.
func replay(w *World, sent []Parcel, kind byte) {
	for _, p := range sent {
		if p.From == w.Hosts[0] && p.Frame[0] == kind {
			w.post(Parcel{p.From, p.To, p.Frame, p.From.Life})
			return
		}
	}
	w.T.Fatalf("no frame of type %d was sent", kind)
}

// erase deletes rows behind the node's back.
func erase(w *World, h *Host, prefix string) {
	var b store.Batch
	for _, it := range w.Rows(h, prefix) {
		b.Delete = append(b.Delete, it.Key)
	}
	if len(b.Delete) == 0 {
		w.T.Fatalf("no row %s", prefix)
	}
	if _, err := h.store.Commit(w.T.Context(), b); err != nil {
		w.T.Fatal(err)
	}
	w.Watch.wrote(b)
	w.Now = w.Now.Add(time.Second)
}
