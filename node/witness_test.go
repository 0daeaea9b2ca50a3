package node_test

import (
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/witness"
)

func writes(h *nodetest.Host) func(journal.Entry) error {
	return func(e journal.Entry) error { return h.Journal.Write(context.Background(), e) }
}

// cosigned says whether a host's whole log bears the cosignatures of so many others.
func cosigned(h *nodetest.Host, others int) bool {
	head, err := h.Journal.Head(context.Background())
	_, shown, by := h.Witness.Checkpoint()
	return err == nil && head == shown && len(by) == others
}

func TestLogsAreCosigned(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 3)
	w.Run("every log is cosigned by the others", func() bool {
		return w.All(func(h *nodetest.Host) bool { return cosigned(h, 2) })
	})
	s := w.Propose(vault, addr, 0)
	w.Approve(s)
	w.Run("signed", func() bool { return w.Signed(s) })
	w.Run("and what came since", func() bool {
		return w.All(func(h *nodetest.Host) bool { return cosigned(h, 2) })
	})
	for i, h := range w.Hosts {
		keys, ok := w.Hosts[(i+1)%3].Pulse.Keys(h.Own.Name)
		if !ok {
			t.Fatalf("the keys of node %d's log are not known", i)
		}
		v, err := tlog.NewLogVerifier(keys.Origin, keys.Log)
		if err != nil {
			t.Fatal(err)
		}
		var by []tlog.Witness
		for _, k := range h.Pulse.AllKeys() {
			x, err := tlog.NewWitness(k.Name, k.Witness)
			if err != nil {
				t.Fatal(err)
			}
			by = append(by, x)
		}
		signed, head, _ := h.Witness.Checkpoint()
		c, seen, err := tlog.OpenCheckpoint(signed, v, by)
		if err != nil || c.Head != head || len(seen) != 2 {
			t.Errorf("node %d shows %v by %v, %v", i, c, seen, err)
		}
	}
	// A node that is away keeps no other's log from being cosigned by the rest, nor from growing.
	w.Downtime = -1
	w.Crash(w.Hosts[2])
	w.Now = w.Now.Add(w.Document().Heartbeat)
	w.Run("cosigned by who is there", func() bool { return cosigned(w.Hosts[0], 1) && cosigned(w.Hosts[1], 1) })
	away := tlog.WitnessName(w.Hosts[2].Own.Identity, 0)
	if _, lacks := w.Hosts[0].Witness.Made(); len(lacks) != 1 || lacks[away].IsZero() {
		t.Errorf("the node that is away is not named: %v", lacks)
	}
	// Back again it is asked for what it missed, also of a log that does not grow.
	_, before, _ := w.Hosts[0].Witness.Checkpoint()
	w.Start(w.Hosts[2])
	w.Run("cosigned by all again", func() bool { _, lacks := w.Hosts[0].Witness.Made(); return cosigned(w.Hosts[0], 2) && len(lacks) == 0 })
	if _, now, _ := w.Hosts[0].Witness.Checkpoint(); now != before {
		t.Logf("the log grew from %d to %d meanwhile", before.Size, now.Size)
	}
}

// A log that shows two histories to two witnesses is found out, and everybody has the proof.
func TestForkIsFoundOut(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	nodetest.Ready(w, 3)
	w.Run("every log is cosigned by the others", func() bool {
		return w.All(func(h *nodetest.Host) bool { return cosigned(h, 2) })
	})
	liar := w.Hosts[2]
	liar.Hostile = true
	signed, head, _ := liar.Witness.Checkpoint()
	key, _ := tlog.Derive(liar.Key, 0)
	signer, err := tlog.NewLogSigner(tlog.Origin(liar.Key.Public().(ed25519.PublicKey), 0), key)
	if err != nil {
		t.Fatal(err)
	}
	head.Root[0] ^= 1
	other, err := tlog.Checkpoint{Origin: signer.Verifier().Name(), Head: head}.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	r := tlog.Request{Old: head.Size, Checkpoint: other}
	if status, _, answer := w.Hosts[0].Witness.Cosign(context.Background(), w.Now, nil, r.Encode()); status == 200 {
		t.Fatalf("a second history was cosigned: %s", answer)
	}
	w.Run("all hear of it", func() bool {
		return len(w.Hosts[0].Witness.Forks()) == 1 && len(w.Hosts[1].Witness.Forks()) == 1
	})
	for _, h := range w.Hosts[:2] {
		if n := alarms(t, h); n != 1 {
			t.Errorf("%d alarms stand in the log, not 1", n)
		}
	}
	// What proves nothing accuses nobody.
	for name, fields := range map[string][][]byte{
		"the same twice": {signed, signed}, "one is forged": {signed, append(append([]byte{}, other[:len(other)-10]...), "AAAAAAAAA\n"...)}, "nothing": {nil, nil}, "one": {signed},
	} {
		n := outbox.Note{Kind: witness.NoteFork, Fields: fields}
		if err := w.Hosts[1].Witness.Take(context.Background(), w.Now, n, writes(w.Hosts[1])); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func alarms(t *testing.T, h *nodetest.Host) (n int) {
	t.Helper()
	head, err := h.Journal.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for i := range head.Size {
		l, err := h.Journal.Leaf(context.Background(), i)
		if err != nil {
			t.Fatal(err)
		}
		if l.Kind == tlog.KindAlarm {
			n++
		}
	}
	return n
}

// A witness remembers what it cosigned over a restart, and cosigns no step back: neither an older checkpoint nor one that is
// not consistent with what it knew. A crash before or after it is durable changes nothing.
func TestWitnessNeverGoesBack(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	nodetest.Ready(w, 3)
	w.Run("every log is cosigned by the others", func() bool {
		return w.All(func(h *nodetest.Host) bool { return cosigned(h, 2) })
	})
	log, by := w.Hosts[1], w.Hosts[0]
	old, head, _ := log.Witness.Checkpoint()
	w.Now = w.Now.Add(w.Document().Heartbeat)
	w.Run("the log grew", func() bool { _, now, _ := log.Witness.Checkpoint(); return now.Size > head.Size && cosigned(log, 2) })
	w.Crash(by)
	w.Run("back", func() bool { return by.Up })
	_, now, _ := log.Witness.Checkpoint()
	proof, err := tlog.ProveConsistency(head.Size, now.Size, log.Journal.Hashes(context.Background()))
	if err != nil {
		t.Fatal(err)
	}
	newest, _, _ := log.Witness.Checkpoint()
	for name, r := range map[string]tlog.Request{
		"an older one":       {Old: head.Size, Checkpoint: old},
		"older, said so":     {Old: now.Size, Checkpoint: old},
		"from a size before": {Old: head.Size, Proof: proof, Checkpoint: newest},
		"from nothing":       {Old: 0, Checkpoint: newest},
	} {
		if status, _, answer := by.Witness.Cosign(context.Background(), w.Now.Add(time.Minute), nil, r.Encode()); status == 200 {
			t.Errorf("%s: cosigned: %s", name, answer)
		}
	}
	if status, _, answer := by.Witness.Cosign(context.Background(), w.Now, nil, tlog.Request{Old: now.Size, Checkpoint: newest}.Encode()); status != 200 {
		t.Errorf("the newest is not cosigned again: %d %s", status, answer)
	}
}

// A node that was restored has forgotten what it cosigned, and what its log said: it is another witness and its log another log, under other keys,
// once its operator has confirmed; both are cosigned and cosign as before.
func TestRestoredWitness(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 3)
	h, peer := s.Hosts[0], s.Hosts[1]
	ready := func() bool { return s.All(func(h *nodetest.Host) bool { return cosigned(h, 2) }) }
	s.Run("every log is cosigned by the others", ready)
	snap := s.Rows(h, "")
	oldLog, oldWitness := h.Witness.Verifiers()
	early, size, _ := peer.Witness.Checkpoint()
	for i := range 3 { // so that its log was larger than it will be for a while
		st := s.Propose(s.vault, s.addr, uint64(i))
		s.Approve(st)
		s.Run("signed", func() bool { return s.Signed(st) })
	}
	s.Run("all is cosigned, the last too", ready)
	pass(s.World, 15*time.Second)
	s.Restore(h, snap)
	s.Run("the node is fenced", func() bool { return h.Fence.Fenced() != nil })
	if status, _, _ := h.Cosign(context.Background(), s.Clock(h), tlog.Request{Old: size.Size, Checkpoint: early}.Encode()); status == 200 {
		t.Error("a fenced node cosigned")
	}
	s.Act(h, func() {
		if _, err := h.Fence.Confirm(context.Background(), s.Clock(h)); err != nil {
			t.Error(err)
		}
	})
	s.Run("its new log is cosigned, and it cosigns", ready)
	log, now := h.Witness.Verifiers()
	if log.Name() == oldLog.Name() || string(log.Public()) == string(oldLog.Public()) || now.Name() == oldWitness.Name() || string(now.Public()) == string(oldWitness.Public()) {
		t.Errorf("%s and %s outlived the restore", log.Name(), now.Name())
	}
	// What it signs as a witness now is nothing that the old one could have signed: an older checkpoint may be cosigned by who has forgotten
	// a later one, and convinces nobody who knows the old witness.
	signed, _, _ := peer.Witness.Checkpoint()
	k, _ := h.Pulse.Keys(peer.Own.Name)
	v, err := tlog.NewLogVerifier(k.Origin, k.Log)
	if err != nil {
		t.Fatal(err)
	}
	if _, by, err := tlog.OpenCheckpoint(signed, v, []tlog.Witness{oldWitness}); err != nil || len(by) > 0 {
		t.Errorf("the old witness cosigned: %v, %v", by, err)
	}
}
