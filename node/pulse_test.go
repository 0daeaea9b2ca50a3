package node_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/pulse"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/witness"
)

// beats are the leaves of a host's log that tell of heartbeats.
func beats(t *testing.T, h *nodetest.Host) (out []tlog.Filed) {
	t.Helper()
	for first := int64(0); ; {
		page, err := h.Journal.Leaves(context.Background(), first, store.MaxLimit)
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range page {
			if l.Kind == tlog.KindHeartbeat {
				out = append(out, l)
			}
		}
		if first += int64(len(page)); len(page) < store.MaxLimit {
			return out
		}
	}
}

// proved counts the operators of whom a host holds a heartbeat that proves so many shares.
func proved(h *nodetest.Host, shares int) (n int) {
	for _, b := range h.Pulse.Beats() {
		if len(b.Shares) == shares {
			n++
		}
	}
	return n
}

// Every node proves its share soon after it has one, and again at every interval; each heartbeat stands in all logs, once.
func TestHeartbeats(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	nodetest.Ready(w, 3)
	w.Run("every share is proved everywhere", func() bool {
		return w.All(func(h *nodetest.Host) bool { return proved(h, 1) == 3 })
	})
	before := len(beats(t, w.Hosts[0]))
	w.Now = w.Now.Add(w.Document().Heartbeat)
	w.Run("and again after an interval", func() bool {
		return w.All(func(h *nodetest.Host) bool { return len(beats(t, h)) >= before+3 })
	})
	for i, h := range w.Hosts {
		seen := map[[32]byte]bool{}
		for _, l := range beats(t, h) {
			if seen[l.ID] {
				t.Errorf("node %d logged heartbeat %x twice", i, l.ID[:6])
			}
			seen[l.ID] = true
			for j, other := range w.Hosts {
				if !slices.ContainsFunc(beats(t, other), func(o tlog.Filed) bool { return o.ID == l.ID && bytes.Equal(o.Content, l.Content) }) {
					t.Errorf("node %d has heartbeat %x, node %d has not", i, l.ID[:6], j)
				}
			}
		}
	}
}

// Who is silent is silent in every log; nobody else can make a sign of life for it, from what was said before or otherwise.
func TestHeartbeatsOfTheSilent(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	nodetest.Ready(w, 3)
	w.Run("every share is proved everywhere", func() bool {
		return w.All(func(h *nodetest.Host) bool { return proved(h, 1) == 3 })
	})
	silent, heard := w.Hosts[2], w.Hosts[0]
	last := func() pulse.Beat {
		for _, b := range heard.Pulse.Beats() {
			if b.Operator == silent.Own.Name {
				return b
			}
		}
		return pulse.Beat{}
	}
	old := last()
	w.Downtime = -1
	w.Crash(silent)
	for range 3 {
		w.Now = w.Now.Add(w.Document().Heartbeat)
		n := len(beats(t, heard))
		w.Run("the others live on", func() bool { return len(beats(t, heard)) >= n+2 })
	}
	if b := last(); b.ID != old.ID || w.Now.Sub(b.Taken) < 3*w.Document().Heartbeat-time.Minute {
		t.Errorf("the last sign of life is of %s, was of %s", b.Taken, old.Taken)
	}
	// Replayed it changes nothing; signed by another it is refused.
	for name, n := range map[string]outbox.Note{
		"replayed": {Kind: pulse.NoteHeartbeat, Fields: [][]byte{old.Statement.Bytes(), old.Signature}},
		"forged":   {Kind: pulse.NoteHeartbeat, Fields: [][]byte{later(t, old.Statement).Bytes(), old.Signature}},
	} {
		err := heard.Pulse.Take(context.Background(), w.Clock(heard), n, writes(heard))
		if b := last(); err == nil || b.ID != old.ID {
			t.Errorf("%s: %v, and the last sign of life is of %s", name, err, b.Taken)
		}
	}
}

// later is a heartbeat that says another time.
func later(t *testing.T, s statement.Statement) statement.Statement {
	t.Helper()
	at := s.Fields().Time("created")
	raw := bytes.Replace(s.Bytes(), []byte(statement.FormatTime(at)), []byte(statement.FormatTime(at.Add(time.Hour))), 1)
	out, err := statement.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every field of every note of logs and heartbeats, damaged in every way, is taken by nobody, leaves no row behind, and does not keep the true
// note from being taken.
func TestEveryFieldOfNotesOfLogs(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	a, c := w.Hosts[0], w.Hosts[2]
	kept := map[outbox.Kind]outbox.Note{}
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		n := noteOf(p)
		if p.To != c || !pulse.Takes(n.Kind) {
			return []nodetest.Parcel{p}
		}
		if bytes.Contains(n.Fields[0], []byte("operator: "+a.Own.Name+"\n")) {
			kept[n.Kind] = n
		}
		return nil
	}
	vault, addr := nodetest.Ready(w, 2)
	w.Run("a proves its share", func() bool { return bytes.Contains(kept[pulse.NoteHeartbeat].Encode(), []byte("share: ")) })
	a.Hostile = true
	key, _ := tlog.Derive(a.Key, 0)
	signer, err := tlog.NewLogSigner(tlog.Origin(a.Own.Identity, 0), key)
	if err != nil {
		t.Fatal(err)
	}
	fork := outbox.Note{Kind: witness.NoteFork}
	for _, root := range []byte{1, 2} {
		signed, err := tlog.Checkpoint{Origin: signer.Verifier().Name(), Head: tlog.Head{Size: 1000, Root: tlog.Hash{root}}}.Sign(signer)
		if err != nil {
			t.Fatal(err)
		}
		fork.Fields = append(fork.Fields, signed)
	}
	s := setting{w, vault, addr}
	w.Pass = func(nodetest.Parcel) []nodetest.Parcel { return nil }
	w.Queue = nil
	for _, n := range []outbox.Note{kept[pulse.NoteLog], kept[pulse.NoteHeartbeat], fork} {
		ways, before := 0, rowsOf(s, c)
		for what, x := range damaged(n) {
			if n.Kind == witness.NoteFork && what == "turned around" {
				continue // it is as true
			}
			v, log := s.tell(a, c, x)
			if rows := rowsOf(s, c); v == outbox.Taken || rows != before {
				t.Fatalf("kind %#x, %s: verdict %d, %d rows instead of %d; %s", uint8(n.Kind), what, v, rows, before, log)
			}
			ways++
		}
		if v, log := s.tell(a, c, n); v != outbox.Taken || ways < 40 || rowsOf(s, c) == before {
			t.Errorf("kind %#x, as it was, after %d ways: verdict %d; %s", uint8(n.Kind), ways, v, log)
		}
	}
}
