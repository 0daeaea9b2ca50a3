package api

import (
	"context"
	"crypto/ed25519"
	"errors"
	"strings"
	"testing"
	"time"

	pb "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/witness"
)

// sheet is what doctor would print, by the checks' names.
type sheet map[string]*pb.Check

func (s sheet) add(name, state, what, next string) {
	s[name] = &pb.Check{Name: name, State: state, What: what, Next: next}
}

func (s sheet) want(t *testing.T, name, state, what string) {
	t.Helper()
	c := s[name]
	if c == nil || c.State != state || !strings.Contains(c.What, what) || (state == "ok") != (c.Next == "") {
		t.Errorf("%s is %+v, want %s: …%s…", name, c, state, what)
	}
}

// Who is silent is told after two intervals, and fails after a day; our own node too.
func TestSilentOperators(t *testing.T) {
	f, o := logOf(t)
	every, now := o.d.HeartbeatEvery(), f.w.Now
	at := func(later time.Duration) sheet {
		s := sheet{}
		o.checkBeats(now.Add(later), s.add)
		return s
	}
	s := at(0)
	if len(s) != 4 {
		t.Fatalf("%d operators: %v", len(s), s)
	}
	s.want(t, "heartbeat", "ok", "last at 20")
	s.want(t, "heartbeat of operator-2", "ok", "last at 20")
	at(2*every+time.Minute).want(t, "heartbeat of operator-2", "warn", "silent since 20")
	at(2*every+time.Minute).want(t, "heartbeat", "warn", "silent since 20")
	at(25*time.Hour+2*every).want(t, "heartbeat of operator-1", "fail", "silent since 20")
	var p pb.Peer
	p.Operator = "operator-1"
	_, r, _ := o.d.Circle.Roster()
	b, known := o.beats()["operator-1"]
	if beat(&p, b, known, r); p.LastHeartbeat == "" || p.Version == "" || len(p.Binary) != 32 {
		t.Errorf("the peer is %v", &p)
	}
	t.Run("what vaults do without", func(t *testing.T) { unprepared(t, f) }) // in the same circle: one takes seconds to make
}

// Whose node speaks an older wire version is told to upgrade, and no silence of it is.
func TestOlderOperators(t *testing.T) {
	f, o := logOf(t)
	f.w.Hosts[2].Wire = 1
	s := sheet{}
	o.checkBeats(f.w.Now.Add(25*time.Hour+2*o.d.HeartbeatEvery()), s.add)
	s.want(t, "heartbeat of operator-2", "warn", "its node speaks wire version 1, this one 2: it sends no heartbeats")
	s.want(t, "heartbeat of operator-1", "fail", "silent since 20")
}

// A connected peer that does not cosign is named after ten minutes; one that is not connected is another check's.
func TestLateWitness(t *testing.T) {
	f, o := logOf(t)
	w := f.w
	away := w.Hosts[2]
	w.Downtime = -1
	w.Crash(away)
	w.Now = w.Now.Add(w.Document().Heartbeat)
	w.Run("cosigned by the rest", func() bool { _, lacks := o.d.Witness.Made(); return len(lacks) == 1 })
	peer := &pb.Peer{Operator: away.Own.Name, Identity: away.Own.Identity, Connected: true, Since: stamp(w.Now.Add(-time.Hour))}
	at := func(later time.Duration) sheet {
		s := sheet{}
		o.checkCheckpoint(&pb.StatusResponse{Peers: []*pb.Peer{peer}}, w.Now.Add(later), s.add)
		return s
	}
	at(9*time.Minute).want(t, "checkpoint", "ok", "cosigned by 2")
	at(11*time.Minute).want(t, "checkpoint", "warn", "not by operator-2, though connected")
	peer.Since = stamp(w.Now.Add(5 * time.Minute))
	at(11*time.Minute).want(t, "checkpoint", "ok", "")
	peer.Connected = false
	at(time.Hour).want(t, "checkpoint", "ok", "")
}

// A log that forked fails the check, and says whose it is.
func TestForkIsTold(t *testing.T) {
	f, o := logOf(t)
	liar := f.w.Hosts[1]
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
	s := sheet{}
	o.checkCheckpoint(&pb.StatusResponse{}, f.w.Now, s.add)
	if s["fork"] != nil {
		t.Fatalf("a fork before there is one: %v", s["fork"])
	}
	n := outbox.Note{Kind: witness.NoteFork, Fields: [][]byte{signed, other}}
	err = o.d.Witness.Take(context.Background(), f.w.Now, n, func(e journal.Entry) error { return o.d.Journal.Write(context.Background(), e) })
	if err != nil {
		t.Fatal(err)
	}
	o.checkCheckpoint(&pb.StatusResponse{}, f.w.Now, s.add)
	s.want(t, "fork", "fail", "the log of operator-1 forked: its operator signed two histories (ostraka.log/")
}

// A damaged log fails the check, names the row, and lets nothing be signed or written.
func TestDamageIsTold(t *testing.T) {
	_, o := logOf(t)
	s := sheet{}
	o.checkLog(&pb.StatusResponse{LogSize: 9}, nil, s.add)
	s.want(t, "log", "ok", "9 entries")
	row, err := o.d.Journal.Store().Get(t.Context(), store.Key("log", store.Number(5)))
	if err != nil {
		t.Fatal(err)
	}
	row.Value[20] ^= 1
	if _, err := o.d.Journal.Store().Commit(t.Context(), store.Batch{Put: []store.Entry{{Key: row.Key, Value: row.Value}}}); err != nil {
		t.Fatal(err)
	}
	o.d.Journal.ReadAgain()
	var damage *journal.DamageError
	for more := true; more; {
		if more, err = o.d.Journal.ReadOn(t.Context(), 1000); err != nil && !errors.As(err, &damage) {
			t.Fatal(err)
		}
	}
	if damage == nil || !errors.As(o.d.Halted(), &damage) {
		t.Fatalf("damage: %v; halted: %v", damage, o.d.Halted())
	}
	o.checkLog(&pb.StatusResponse{LogSize: 9}, nil, s.add)
	s.want(t, "log", "fail", "5")
	if code := fail(o.d.Journal.Write(t.Context(), journal.Entry{})); code == nil || !strings.Contains(code.Error(), "unavailable") {
		t.Errorf("written: %v", code)
	}
}
