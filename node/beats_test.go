package node_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	room "github.com/ostraka/ostraka/node/pulse"
	"github.com/ostraka/ostraka/node/store"
)

type beaten = pulse.Heartbeat

// beat is a heartbeat by an operator that names the newest head of a host's log, changed, and signed.
func (s setting) beat(by, to *nodetest.Host, created time.Time, change func(*beaten)) outbox.Note {
	s.T.Helper()
	head, err := to.Journal.Head(context.Background())
	if err != nil {
		s.T.Fatal(err)
	}
	_, roster, _ := to.Circle.Roster()
	h := pulse.Draft(pulse.Heartbeat{
		Roster: roster.ID, Operator: by.Own.Name, Version: "devel", Created: created.UTC().Truncate(time.Second),
		Peers: []pulse.Peer{{Operator: to.Own.Name, Origin: tlog.Origin(to.Own.Identity, to.Fence.Confirmed()), Log: head}},
	}, s.Salt())
	if change != nil {
		change(&h)
	}
	st, err := h.Statement()
	if err != nil {
		s.T.Fatal(err)
	}
	sig, err := signet.SignNode(by.Key, st)
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: room.NoteHeartbeat, Fields: [][]byte{st.Bytes(), sig}}
}

// taken says whether a host takes a note at its present time.
func (s setting) taken(h *nodetest.Host, n outbox.Note) bool {
	s.T.Helper()
	before := len(beats(s.T.(*testing.T), h))
	s.Act(h, func() { h.Deliver(context.Background(), s.Clock(h), s.Hosts[2].Own.Identity, frameOf(n)) })
	return len(beats(s.T.(*testing.T), h)) > before
}

// alive is a circle whose third operator is hostile, and away.
func alive(t *testing.T) (s setting, a, liar *nodetest.Host) {
	t.Helper()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 2)
	w.Run("every share is proved everywhere", func() bool {
		return w.All(func(h *nodetest.Host) bool { return proved(h, 1) == 3 })
	})
	liar = w.Hosts[2]
	liar.Hostile, w.Downtime = true, -1
	w.Crash(liar)
	w.Now = w.Now.Add(time.Hour)
	w.Run("the others live on", func() bool { return w.Now.Sub(w.Hosts[0].Pulse.Beats()[0].Taken) < time.Minute })
	return setting{w, vault, addr}, w.Hosts[0], liar
}

// Heartbeats fill no disk: of one operator some count at once, and then one in a quarter of the interval, by the receiver's clock.
func TestHeartbeatsFillNoDisk(t *testing.T) {
	t.Parallel()
	s, a, liar := alive(t)
	n := 0
	for i := range 200 {
		if s.taken(a, s.beat(liar, a, s.Now.Add(time.Duration(i-200)*time.Second), nil)) {
			n++
		}
	}
	if n != 8 {
		t.Errorf("%d heartbeats of one moment are taken", n)
	}
	for i := range 30 { // five hours, of which each leaves room for six
		s.Now = s.Now.Add(10 * time.Minute)
		for j := range 3 {
			if s.taken(a, s.beat(liar, a, s.Now.Add(time.Duration(j)*time.Second), nil)) {
				n++
			}
		}
		if n > 8+i+1 {
			t.Fatalf("%d are taken after %d minutes", n, 10*(i+1))
		}
	}
	if n < 8+30-1 {
		t.Errorf("%d are taken in all: an honest node would not be heard", n)
	}
	s.Now = s.Now.Add(-24 * time.Hour) // a clock that ran ahead and is set right keeps nobody away
	if !s.taken(a, s.beat(liar, a, s.Now, nil)) {
		t.Error("after the clock was set back none is taken")
	}
}

// A heartbeat names no shares of keys that nobody knows, beyond a few that may be on their way.
func TestHeartbeatsNameKnownShares(t *testing.T) {
	t.Parallel()
	s, a, liar := alive(t)
	known := a.Pulse.Beats()[0].Shares[0].Key
	named := func(n int) func(*beaten) {
		return func(b *beaten) {
			for i := range n {
				b.Shares = append(b.Shares, pulse.Share{Key: [32]byte{0, byte(i >> 8), byte(i)}, Proof: make([]byte, 65)})
			}
			b.Shares = append(b.Shares, pulse.Share{Key: known, Proof: make([]byte, 65)}) // of an epoch that is over
			slices.SortFunc(b.Shares, func(x, y pulse.Share) int { return strings.Compare(string(x.Key[:]), string(y.Key[:])) })
		}
	}
	if s.taken(a, s.beat(liar, a, s.Now, named(9))) || s.taken(a, s.beat(liar, a, s.Now.Add(time.Second), named(255))) {
		t.Error("a heartbeat of many keys that are not known is taken")
	}
	if !s.taken(a, s.beat(liar, a, s.Now.Add(2*time.Second), named(8))) {
		t.Error("one of a few is not")
	}
}

// A heartbeat of the future is refused; a node whose clock ran ahead, as far as that may be, is heard as soon as it is set right.
func TestHeartbeatsOfTheFuture(t *testing.T) {
	t.Parallel()
	s, a, liar := alive(t)
	for name, at := range map[string]time.Duration{"just more than a skew": 5*time.Minute + time.Second, "a year": 365 * 24 * time.Hour} {
		if s.taken(a, s.beat(liar, a, s.Now.Add(at), nil)) {
			t.Errorf("%s ahead: taken", name)
		}
	}
	if !s.taken(a, s.beat(liar, a, s.Now.Add(5*time.Minute), nil)) || !s.taken(a, s.beat(liar, a, s.Now, nil)) {
		t.Error("a clock that ran ahead and was set right makes a node silent")
	}
	s.Now = s.Now.Add(6 * time.Minute)
	if s.taken(a, s.beat(liar, a, s.Now.Add(-10*time.Minute), nil)) {
		t.Error("an older one is taken for a newer")
	}
}

// Of the heartbeats of one operator only the newest waits for a peer that is away.
func TestHeartbeatsForThoseAway(t *testing.T) {
	t.Parallel()
	s, a, _ := alive(t)
	away := s.Hosts[2].Self()
	for range 30 {
		s.Now = s.Now.Add(s.Document().Heartbeat)
		n := len(beats(t, a))
		s.Run("the others live on", func() bool { return len(beats(t, a)) >= n+2 })
	}
	pass(s.World, time.Minute)
	if n := a.Outbox.Waiting(away); n > 10 {
		t.Errorf("%d notes wait for who is away", n)
	}
	waiting := 0
	for _, it := range s.Rows(a, "note/") {
		if n, err := outbox.Decode(it.Value); err == nil && n.Kind == room.NoteHeartbeat {
			waiting++
		}
	}
	if waiting != 2 {
		t.Errorf("%d heartbeats wait for who is away, of two operators", waiting)
	}
}

// A heartbeat that names a head of the log from before a restore says nothing of the one after: it is neither fresh nor held against it.
func TestHeartbeatsOfAnotherLog(t *testing.T) {
	t.Parallel()
	s, a, liar := alive(t)
	old := func(b *beaten) { b.Peers[0].Origin = tlog.Origin(a.Own.Identity, a.Fence.Confirmed()+1) }
	if s.taken(a, s.beat(liar, a, s.Now, old)) {
		t.Error("a heartbeat that names another log of ours is taken")
	}
	if !s.taken(a, s.beat(liar, a, s.Now.Add(time.Second), nil)) {
		t.Error("the true one is not")
	}
}

// What an operator says of another's log, against what this node itself cosigned, is kept once, and accuses neither.
func TestQuotesAreHeldToWhatWasCosigned(t *testing.T) {
	t.Parallel()
	s, a, liar := alive(t)
	other := s.Hosts[1]
	seen, err := a.Witness.Seen(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(seen, func(c []byte) bool { return tlog.Request{Checkpoint: c}.Origin() == tlog.Origin(other.Own.Identity, 0) })
	log, _ := other.Witness.Verifiers()
	c, _, err := tlog.OpenCheckpoint(seen[i], log, nil)
	if err != nil {
		t.Fatal(err)
	}
	quote := func(root byte) func(*beaten) {
		return func(b *beaten) {
			head := c.Head
			head.Root[0] ^= root
			b.Peers = append(b.Peers, pulse.Peer{Operator: other.Own.Name, Origin: c.Origin, Log: head})
		}
	}
	before := alarms(t, a)
	for i, root := range []byte{0, 1, 2} {
		if !s.taken(a, s.beat(liar, a, s.Now.Add(time.Duration(i)*time.Second), quote(root))) {
			t.Fatalf("heartbeat %d is not taken", i)
		}
	}
	if n, said := alarms(t, a)-before, a.Pulse.Contradictions(); n != 1 || len(said) != 1 || !strings.Contains(said[0], liar.Own.Name) || len(a.Witness.Forks()) != 0 {
		t.Errorf("%d alarms, %q, %d forks", n, said, len(a.Witness.Forks()))
	}
}

// stolen are keys of a log that name another's key as their own, signed by the operator that does.
func stolen(t *testing.T, s setting, by *nodetest.Host, log, witness ed25519.PublicKey) (outbox.Note, error) {
	t.Helper()
	k := tlog.KeysFor(by.Own.Name, by.Key, 9, s.Now)
	ownLog, ownWitness := tlog.Derive(by.Key, 9)
	if log != nil {
		k.Log = log
	}
	if witness != nil {
		k.Witness = witness
	}
	k = k.Prove(ownLog, ownWitness)
	st, err := k.Statement(s.Salt())
	if err != nil {
		return outbox.Note{}, err
	}
	return signedKeys(t, by, st), nil
}

func signedKeys(t *testing.T, by *nodetest.Host, st statement.Statement) outbox.Note {
	t.Helper()
	sig, err := signet.SignNode(by.Key, st)
	if err != nil {
		t.Fatal(err)
	}
	return outbox.Note{Kind: room.NoteLog, Fields: [][]byte{st.Bytes(), sig}}
}

// Nobody names another's key as its own; and what two that conspire name both counts for the first alone. Whatever was announced, every node starts again.
func TestKeysOfLogsAreTheirOwners(t *testing.T) {
	t.Parallel()
	s, a, liar := alive(t)
	own, _ := a.Pulse.Keys(a.Own.Name)
	other, _ := a.Pulse.Keys(s.Hosts[1].Own.Name)
	for name, keys := range map[string][2]ed25519.PublicKey{
		"a's log key as a witness's": {nil, own.Log}, "a's witness key": {nil, own.Witness}, "the other's witness key": {nil, other.Witness},
		"a's log key": {own.Log, nil}, "a's identity": {a.Own.Identity, nil},
	} {
		if _, err := stolen(t, s, liar, keys[0], keys[1]); err == nil {
			t.Errorf("%s: named", name)
		}
	}
	// Written by hand, as who makes the bytes itself may.
	k := tlog.KeysFor(liar.Own.Name, liar.Key, 9, s.Now)
	st, err := k.Statement(s.Salt())
	if err != nil {
		t.Fatal(err)
	}
	raw := strings.Replace(st.Text(), fmt.Sprintf("%x", []byte(k.Witness)), fmt.Sprintf("%x", []byte(own.Log)), 1)
	forged, err := statement.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	before, log := len(a.Pulse.AllKeys()), ""
	tell := func(n outbox.Note) (v outbox.Verdict) { v, log = s.tell(liar, a, n); return v }
	if v := tell(signedKeys(t, liar, forged)); v != outbox.Refused || len(a.Pulse.AllKeys()) != before {
		t.Errorf("another's key: verdict %d, %d logs; %s", v, len(a.Pulse.AllKeys()), log)
	}
	// A key of its own, in two roles.
	twice := tlog.KeysFor(liar.Own.Name, liar.Key, 10, s.Now)
	_, first := tlog.Derive(liar.Key, 0)
	_, w := tlog.Derive(liar.Key, 10)
	twice.Log = first.Public().(ed25519.PublicKey)
	if st, err = twice.Prove(first, w).Statement(s.Salt()); err != nil {
		t.Fatal(err)
	}
	if v := tell(signedKeys(t, liar, st)); v != outbox.Refused {
		t.Errorf("its witness key as a log's: verdict %d; %s", v, log)
	}
	if v := tell(signedKeys(t, liar, mustKeys(t, s, liar))); v != outbox.Taken {
		t.Errorf("its true keys: verdict %d; %s", v, log)
	}
	s.Downtime = time.Second
	s.Crash(a)
	s.Run("it starts again", func() bool { return a.Up })
	if n := len(a.Pulse.AllKeys()); n != before+1 {
		t.Errorf("%d logs are known, not %d", n, before+1)
	}
}

func mustKeys(t *testing.T, s setting, h *nodetest.Host) statement.Statement {
	t.Helper()
	st, err := tlog.KeysFor(h.Own.Name, h.Key, 11, s.Now).Statement(s.Salt())
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// Rows of what others said that cannot be read, or that no node would take any more, keep no node from starting.
func TestRowsOfOthersStopNoStart(t *testing.T) {
	t.Parallel()
	s, a, liar := alive(t)
	twice := tlog.KeysFor(liar.Own.Name, liar.Key, 10, s.Now) // as a store may hold it from before it was refused
	_, first := tlog.Derive(liar.Key, 0)
	log, _ := tlog.Derive(liar.Key, 10)
	twice.Witness = first.Public().(ed25519.PublicKey)
	st, err := twice.Prove(log, first).Statement(s.Salt())
	if err != nil {
		t.Fatal(err)
	}
	n := signedKeys(t, liar, st)
	var row transcript.Encoder
	row.Uint(1, uint64(s.Now.Unix())).Bytes(2, n.Fields[0]).Bytes(3, n.Fields[1])
	b := store.Batch{Put: []store.Entry{{Key: store.Key("log-keys", store.Name(liar.Own.Name), store.Number(10)), Value: row.Sum()}}}
	for _, key := range []string{"heartbeat/operator-2", "program/operator-2", "log-keys/operator-2/000000000000000b", "forked/x", "suspected/x"} {
		b.Put = append(b.Put, store.Entry{Key: key, Value: []byte("junk")})
	}
	if err := a.Journal.Write(context.Background(), journal.Entry{Batch: b}); err != nil {
		t.Fatal(err)
	}
	before := len(a.Pulse.AllKeys())
	s.Downtime = time.Second
	s.Crash(a)
	s.Run("it starts again", func() bool { return a.Up })
	if got := len(a.Pulse.AllKeys()); got != before {
		t.Errorf("%d logs are known, not %d", got, before)
	}
	if !s.taken(a, s.beat(liar, a, s.Now, nil)) {
		t.Error("no heartbeat is taken in place of the row that cannot be read")
	}
}
