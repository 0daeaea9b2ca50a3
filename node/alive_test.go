package node_test

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/store"
)

// guardedOf is guarded, with keys of a suite and a plan for every trigger that a test here asks for.
func guardedOf(t *testing.T, suite string, n, threshold int) setting {
	t.Helper()
	w := nodetest.New(t, n)
	w.Suite = suite
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			if d.Vaults[i].Rescue == nil {
				d.Vaults[i].Rescue = nodetest.Plan(threshold-1, 2, "operator-9")
			}
		}
	}
	id, addr := nodetest.Ready(w, threshold)
	return setting{w, id, addr}
}

// lost is a circle whose last operator fell silent, and whose request the others declared: the delay runs.
func (s setting) lost() act.Request { return s.declared(s.asked()) }

// asked is a circle whose last operator fell silent, and of whose vault a guardian asked for SOS.
func (s setting) asked() act.Request {
	s.T.Helper()
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	s.Run("all heard of all", func() bool { return len(a.Pulse.Beats()) == 3 && len(b.Pulse.Beats()) == 3 })
	s.Step(10 * time.Second)
	s.Downtime = 1000 * time.Hour
	s.Crash(c)
	r := s.askSOS(a, charter.TriggerSilence, c.Own.Name)
	s.Run("known to both", s.allStand(sos.Armed, r, a, b))
	return r
}

func (s setting) declared(r act.Request) act.Request {
	s.T.Helper()
	a, b := s.Hosts[0], s.Hosts[1]
	s.support(a, r, 0)
	s.support(b, r, 1)
	s.consent(a, r)
	s.consent(b, r)
	s.Run("the delay runs", s.allStand(sos.Contest, r, a, b))
	return r
}

// saids counts the statements of a kind in a host's log.
func (s setting) saids(h *nodetest.Host, kind statement.Kind) (n int) {
	s.T.Helper()
	return len(s.saying(h, kind))
}

// saying are the statements of a kind in a host's log.
func (s setting) saying(h *nodetest.Host, kind statement.Kind) (all []statement.Statement) {
	s.T.Helper()
	head, err := h.Journal.Head(s.T.Context())
	if err != nil {
		s.T.Fatal(err)
	}
	for i := range head.Size {
		l, err := h.Journal.Leaf(s.T.Context(), i)
		if err != nil {
			s.T.Fatal(err)
		}
		if l.Kind != tlog.KindStatement {
			continue
		}
		if st, err := statement.ParseKind(l.Body.Content, kind); err == nil {
			all = append(all, st)
		}
	}
	return all
}

// An operator that was called lost comes back while the delay runs: its node alone proves that it lives, has the vault sign with it, and
// that ends it at every node. The vault signs again. In every suite.
func TestALostOperatorComesBack(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{charter.SuiteECDSA, charter.SuiteBIP340, charter.SuiteEd25519} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			s := guardedOf(t, suite, 3, 3)
			r := s.lost()
			s.Start(s.Hosts[2])
			s.Run("ended at every node", s.allStand(sos.Vetoed, r, s.Hosts...))
			for _, h := range s.Hosts {
				if alive, signed := s.saids(h, statement.SOSAlive), s.saids(h, statement.SOSSigned); alive != 1 || signed != 1 {
					t.Errorf("%s logged %d proofs of life and %d live signatures", h.Own.Name, alive, signed)
				}
				if rows := slices.Concat(s.Rows(h, store.Prefix("sos-live")), s.Rows(h, store.Prefix("sos-say"))); len(rows) > 0 {
					t.Errorf("%s keeps %s", h.Own.Name, rows[0].Key)
				}
			}
			if suite != charter.SuiteECDSA {
				return
			}
			st := s.Propose(s.vault, s.addr, 0)
			s.Approve(st)
			s.Run("signed", func() bool { return s.Signed(st) })
		})
	}
}

// life is a proof of life of one host under another's name, as its node would make it.
func (s setting) life(of *nodetest.Host, name string, r act.Request, change func(*act.Alive)) act.Alive {
	s.T.Helper()
	record := s.record(s.Hosts[0])
	keys, err := s.Keys(of, record)
	if err != nil {
		s.T.Fatal(err)
	}
	defer keys.Wipe()
	m, _ := record.Member(of.Self())
	a := act.DraftAlive(r.Head(), name, s.Now.Truncate(time.Second), s.Salt())
	if change != nil {
		change(&a)
	}
	if a, err = a.Prove(act.Key{Key: record.KeyID, Epoch: record.Hash()}, m.ID, keys.Share, m.Public, s.Rand); err != nil {
		s.T.Fatal(err)
	}
	return a
}

func (s setting) noteOf(st statement.Statement, err error, sig ...byte) outbox.Note {
	s.T.Helper()
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{st.Bytes(), sig}}
}

// live is a live test that a host opens, and the answer to it: whether the other joined, and what it says.
func (s setting) live(from, to *nodetest.Host, r act.Request, nonce byte, spoil func(*mpc.Setup)) (joined bool, said string) {
	s.T.Helper()
	record := s.record(s.Hosts[0])
	x := &mpc.Setup{
		Protocol: protocol.ProtocolLive, Suite: record.Suite, KeyID: record.KeyID, Epoch: record.Hash(), Threshold: record.Threshold, Parties: record.Parties(),
		Payload: (&protocol.Live{Request: r.ID}).Encode(), Opener: from.Self(), Nonce: [32]byte{nonce}, NotAfter: s.Now.Add(time.Minute).Truncate(time.Second),
	}
	if spoil != nil {
		spoil(x)
	}
	frame, err := mpc.SealSetup(x, mpc.NewSigner(from.Key))
	if err != nil {
		s.T.Fatal(err)
	}
	s.Queue = nil
	before := s.Log.Len()
	s.Forge(from, to, frame)
	for _, p := range s.Queue {
		joined = joined || p.Frame[0] == byte(mpc.JoinFrame)
	}
	s.Queue = nil
	return joined, s.Log.String()[before:]
}

// Nobody but the subject of a request has anything signed by its live test, and that only while it can end it: the setup holds no digest,
// and everything else in it is held to what the node itself has.
func TestLiveTestRefuses(t *testing.T) {
	t.Parallel()
	s := guardedOf(t, charter.SuiteECDSA, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	nobody := act.Request{ID: statement.ID{1}}
	refused := func(name string, from *nodetest.Host, r act.Request, want string, spoil func(*mpc.Setup)) {
		t.Helper()
		if joined, said := s.live(from, a, r, byte(len(name)), spoil); joined || !strings.Contains(said, want) {
			t.Errorf("%s: joined %t; %s", name, joined, said)
		}
	}
	refused("no request", c, nobody, "not known here", nil)
	r := s.asked()
	refused("only asked for", c, r, "not yet", nil)
	s.declared(r)
	for i, x := range []struct {
		name  string
		from  *nodetest.Host
		want  string
		spoil func(*mpc.Setup)
	}{
		{"another operator", b, "whom the request does not call lost", nil},
		{"another request", c, "not known here", func(x *mpc.Setup) { x.Payload = (&protocol.Live{Request: nobody.ID}).Encode() }},
		{"no payload", c, "decode live test", func(x *mpc.Setup) { x.Payload = nil }},
		{"a digest", c, "decode live test", func(x *mpc.Setup) { x.Payload = (&protocol.Request{Purpose: "message", Digest: [32]byte{9}}).Encode() }},
		{"a digest beside it", c, "decode live test", func(x *mpc.Setup) {
			x.Payload = append(x.Payload, (&protocol.Request{Digest: [32]byte{9}}).Encode()...)
		}},
		{"another key", c, "not yet", func(x *mpc.Setup) { x.KeyID[0] ^= 1 }},
		{"another epoch", c, "not yet", func(x *mpc.Setup) { x.Epoch[0] ^= 1 }},
		{"another suite", c, "another key, epoch, suite or threshold", func(x *mpc.Setup) { x.Suite = charter.SuiteBIP340 }},
		{"another threshold", c, "another key, epoch, suite or threshold", func(x *mpc.Setup) { x.Threshold = 2 }},
		{"fewer parties", c, "2 parties, and not as many as sign", func(x *mpc.Setup) {
			x.Threshold = 2
			x.Parties = slices.DeleteFunc(slices.Clone(x.Parties), func(p mpc.Party) bool { return p.ID == b.Self() })
		}},
		{"another index", c, "is not that member", func(x *mpc.Setup) { x.Parties = slices.Clone(x.Parties); x.Parties[2].Index = 9 }},
		{"as an intent", c, "", func(x *mpc.Setup) { x.Protocol = protocol.ProtocolSign }},
		{"as a test of shares", c, "", func(x *mpc.Setup) { x.Protocol = protocol.ProtocolTest }},
	} {
		if joined, said := s.live(x.from, a, r, byte(100+i), x.spoil); joined || !strings.Contains(said, x.want) {
			t.Errorf("%s: joined %t; %s", x.name, joined, said)
		}
	}
	if joined, said := s.live(c, a, r, 1, nil); !joined {
		t.Errorf("the subject's own is refused: %s", said)
	}
	refused("while one is open", c, r, "one is open", nil)
	s.Step(40 * time.Second)
	refused("at once after it", c, r, "was just over", func(x *mpc.Setup) { x.Nonce[1] = 1 })
	s.Step(2 * time.Second)
	if joined, said := s.live(c, a, r, 2, nil); !joined {
		t.Errorf("it may try again: %s", said)
	}
	for i := 1; i < 3; i++ {
		v, err := act.Veto{Head: r.Head(), By: fmt.Sprintf("guardian-%d", i), Reason: "I spoke to them", Created: s.Now}.Statement(s.Salt())
		if _, err := s.submit(a, s.said(pen(t, i), v, err)); err != nil {
			t.Fatal(err)
		}
	}
	s.Step(time.Minute)
	refused("once it is over", c, r, "SOS allows no such step", nil)
}

// Proofs of life and live signatures that are another's, of another request or epoch, or changed are refused; the true one counts once,
// whoever carries it, and what is made of it anew leaves nothing in the stores.
func TestFalseLifeIsRefused(t *testing.T) {
	t.Parallel()
	s := guardedOf(t, charter.SuiteECDSA, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	r := s.lost()
	name := c.Own.Name
	old := r
	old.ID[0] ^= 1
	good := s.life(c, name, r, nil)
	with := func(x act.Alive, change func(*act.Alive)) act.Alive {
		x.Shares = slices.Clone(x.Shares)
		change(&x)
		return x
	}
	for what, x := range map[string]struct {
		alive act.Alive
		sig   string
		want  outbox.Verdict
		why   string
	}{
		"another's share":             {s.life(b, name, r, nil), "", outbox.Refused, "proof of life of " + name},
		"of who is not lost":          {s.life(b, b.Own.Name, r, nil), "", outbox.Refused, "is no subject"},
		"of an old request":           {with(s.life(c, name, old, nil), func(x *act.Alive) { x.Request = r.ID }), "", outbox.Refused, "proof of life of " + name},
		"for a request not known":     {s.life(c, name, old, nil), "", outbox.Later, ""},
		"in earnest":                  {s.life(c, name, r, func(x *act.Alive) { x.Drill = false }), "", outbox.Refused, "(REAL)"},
		"of another vault":            {s.life(c, name, r, func(x *act.Alive) { x.Vault[0] ^= 1 }), "", outbox.Later, ""},
		"of another charter":          {s.life(c, name, r, func(x *act.Alive) { x.Charter[0] ^= 1 }), "", outbox.Refused, "charter"},
		"of another epoch":            {with(good, func(x *act.Alive) { x.Shares[0].Epoch[0] ^= 1 }), "", outbox.Refused, "in the epochs"},
		"of another key":              {with(good, func(x *act.Alive) { x.Shares[0].Key.Key[0] ^= 1 }), "", outbox.Refused, "in the epochs"},
		"of no key":                   {with(good, func(x *act.Alive) { x.Shares = nil }), "", outbox.Refused, "in the epochs"},
		"another proof":               {with(good, func(x *act.Alive) { x.Shares[0].Bytes = slices.Repeat([]byte{7}, 64) }), "", outbox.Refused, "proof of life of " + name},
		"another time":                {with(good, func(x *act.Alive) { x.Created = x.Created.Add(time.Second) }), "", outbox.Refused, "proof of life of " + name},
		"before the request was made": {s.life(c, name, r, func(x *act.Alive) { x.Created = r.Created.Add(-time.Second) }), "", outbox.Refused, "before the request"},
		"of a time to come":           {s.life(c, name, r, func(x *act.Alive) { x.Created = s.Now.Add(time.Hour).Truncate(time.Second) }), "", outbox.Later, ""},
		"with a signature beside it":  {good, "x", outbox.Refused, "nobody signs it"},
	} {
		st, err := x.alive.Statement()
		if v, log := s.tell(b, a, s.noteOf(st, err, []byte(x.sig)...)); v != x.want || !strings.Contains(log, x.why) {
			t.Errorf("%s: verdict %d; %s", what, v, log)
		}
	}
	head := act.Signed{Head: r.Head(), Operator: name, Created: s.Now.Truncate(time.Second), Signatures: []act.Proof{{Key: r.Keys[0], Bytes: make([]byte, 64)}}}
	for what, change := range map[string]func(*act.Signed){
		"no signature":    func(*act.Signed) {},
		"another subject": func(x *act.Signed) { x.Operator = b.Own.Name },
		"another epoch": func(x *act.Signed) {
			x.Signatures = []act.Proof{{Key: act.Key{Key: r.Keys[0].Key}, Bytes: make([]byte, 64)}}
		},
		"a proof of share": func(x *act.Signed) { x.Signatures = []act.Proof{{Key: r.Keys[0], Bytes: good.Shares[0].Bytes[:64]}} },
	} {
		x := head
		change(&x)
		st, err := x.Statement(s.Salt())
		if v, log := s.tell(b, a, s.noteOf(st, err)); v != outbox.Refused {
			t.Errorf("signed: %s: verdict %d; %s", what, v, log)
		}
	}
	lives := func() []string {
		d, err := a.Rescue.Docket(t.Context(), s.vault)
		if err != nil {
			t.Fatal(err)
		}
		x, _ := d.Case(r.ID)
		return x.Alive()
	}
	if len(lives()) > 0 {
		t.Fatal("a false proof counts")
	}
	st, err := good.Statement()
	if v, log := s.tell(b, a, s.noteOf(st, err)); v != outbox.Taken || !slices.Equal(lives(), []string{name}) {
		t.Fatalf("the true proof: verdict %d, %v; %s", v, lives(), log)
	}
	rows := len(s.Rows(a, ""))
	again, err := s.life(c, name, r, nil).Statement()
	if v, _ := s.tell(b, a, s.noteOf(again, err)); v != outbox.Taken || len(s.Rows(a, "")) != rows {
		t.Errorf("a second proof: verdict %d, %d rows, %d before", v, len(s.Rows(a, "")), rows)
	}
	s.Queue = nil
	s.Start(c)
	s.Run("ended at every node", s.allStand(sos.Vetoed, r, s.Hosts...))
	s.Run("all is said", func() bool { return len(s.Rows(c, store.Prefix("sos-say"))) == 0 })
	// The live signature under another salt is another statement, and nobody needs a key to make it.
	shown := s.saying(a, statement.SOSSigned)
	x, err := act.SignedOf(shown[0])
	if err != nil {
		t.Fatal(err)
	}
	before := s.saids(a, statement.SOSSigned)
	for range 3 {
		st, err := x.Statement(s.Salt())
		if v, _ := s.tell(b, a, s.noteOf(st, err)); v != outbox.Taken {
			t.Errorf("a copy of the live signature: verdict %d", v)
		}
	}
	if n := s.saids(a, statement.SOSSigned); n != before {
		t.Errorf("copies of the live signature were logged: %d", n)
	}
}

// aliveStory is the way of an operator that comes back, with a blow at one batch.
func aliveStory(t *testing.T, ready setting, r act.Request, b *blow) []blow {
	t.Helper()
	s := ready.copy(t, fmt.Sprint(b))
	s.Downtime = time.Second
	before, fell := commits(s.World), new(bool)
	if b != nil {
		fell = b.strike(s.World)
	}
	s.Run("ended at every node", s.allStand(sos.Vetoed, r, s.Hosts...))
	s.Run("all is said, and nothing is kept for it", func() bool {
		return s.All(func(h *nodetest.Host) bool {
			return h.Up && len(s.Rows(h, store.Prefix("sos-say")))+len(s.Rows(h, store.Prefix("sos-live"))) == 0
		})
	})
	for _, h := range s.Hosts {
		if alive, signed := s.saids(h, statement.SOSAlive), s.saids(h, statement.SOSSigned); alive > 1 || signed > 1 {
			t.Errorf("%v: %s logged %d proofs of life and %d live signatures", b, h.Own.Name, alive, signed)
		}
	}
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	return blows(s.World, before)
}

// A node that dies before or after any batch of the answer comes to the same end: what it says, it says once.
func TestALostOperatorComesBackUnderCrashes(t *testing.T) {
	t.Parallel()
	ready := guardedOf(t, charter.SuiteECDSA, 3, 3)
	r := ready.lost()
	for _, b := range pick(aliveStory(t, ready, r, nil), 12) {
		t.Run(fmt.Sprint(b), func(t *testing.T) { aliveStory(t, ready, r, &b) })
	}
}

// A subject that may be coerced, or is wound up, cannot end the request: its node is silent, and nobody signs a live test with it.
func TestALegalRequestHasNoAnswer(t *testing.T) {
	t.Parallel()
	s := guardedOf(t, charter.SuiteBIP340, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	r := s.askSOS(a, charter.TriggerLegal, c.Own.Name)
	s.Run("known to all", s.allStand(sos.Armed, r, a, b, c))
	s.declared(r)
	s.Run("known to all", s.allStand(sos.Contest, r, a, b, c))
	if n := s.saids(c, statement.SOSAlive); n > 0 {
		t.Errorf("%d proofs of life", n)
	}
	if joined, said := s.live(c, a, r, 1, nil); joined || !strings.Contains(said, "SOS allows no such step") {
		t.Errorf("a live test: %t; %s", joined, said)
	}
	got, err := c.Rescue.Reply(t.Context(), s.Now, true)
	if err != nil || len(got) != 1 || got[0].Alive || !got[0].Proof.IsZero() || !strings.Contains(got[0].Why, "guardians veto it") {
		t.Errorf("%+v, %v", got, err)
	}
	q, _ := r.Statement(s.Salt())
	if _, err := c.Rescue.ProveFor(t.Context(), s.Now, q); err == nil || !strings.Contains(err.Error(), "guardians veto it") {
		t.Errorf("a proof by hand: %v", err)
	}
	st, err := s.life(c, c.Own.Name, r, nil).Statement()
	if v, log := s.tell(b, a, s.noteOf(st, err)); v != outbox.Refused || !strings.Contains(log, "may be coerced") {
		t.Errorf("its true proof of life: verdict %d; %s", v, log)
	}
}

// A node that was put back from a copy says nothing before its operator confirms; then it says that it lives. The live test needs new
// shares first, since what it shared with the others is burned: guardians veto.
func TestARestoredSubjectIsSilentUntilConfirmed(t *testing.T) {
	t.Parallel()
	s := guardedOf(t, charter.SuiteBIP340, 3, 3)
	a, c := s.Hosts[0], s.Hosts[2]
	copied := s.Rows(c, "")
	s.Crash(c) // it begins a life that the copy does not know
	s.Run("it is back", func() bool { return c.Up })
	s.Greet()
	r := s.lost()
	s.Restore(c, copied)
	s.Try(2*time.Minute, func() bool { return false })
	if err := c.Fence.Fenced(); err == nil {
		t.Fatal("the copy is not fenced")
	}
	if n := s.saids(c, statement.SOSAlive); n > 0 || s.stands(a, r) != sos.Active {
		t.Errorf("%d proofs of life of a node that was put back; %s", n, s.stands(a, r))
	}
	for what, ask := range map[string]func() error{
		"said": func() error { _, err := c.Rescue.Reply(t.Context(), s.Now, false); return err },
		"by hand": func() error {
			_, err := c.Rescue.ProveFor(t.Context(), s.Now, s.saying(a, statement.SOSRequest)[0])
			return err
		},
	} {
		if err := ask(); err == nil || !strings.Contains(err.Error(), "copy") {
			t.Errorf("%s by a fenced node: %v", what, err)
		}
	}
	s.Act(c, func() {
		if _, err := c.ConfirmRestore(t.Context(), s.Clock(c)); err != nil {
			t.Error(err)
		}
	})
	s.Run("it is known to live", s.knownToLive(a, r, c))
	s.Run("its pairs are burned", func() bool {
		got, err := c.Rescue.Reply(t.Context(), s.Now, false)
		return err == nil && len(got) == 1 && got[0].Alive && strings.Contains(got[0].Why, "until there are new shares")
	})
}

func (s setting) knownToLive(at *nodetest.Host, r act.Request, subject *nodetest.Host) func() bool {
	return func() bool {
		d, err := at.Rescue.Docket(s.T.Context(), s.vault)
		x, ok := d.Case(r.ID)
		return err == nil && ok && slices.Equal(x.Alive(), []string{subject.Own.Name})
	}
}

// An operator whose node reaches nobody proves by hand that it lives, for a request that it was handed; anybody carries the proof.
func TestProofOfLifeIsCarried(t *testing.T) {
	t.Parallel()
	s := guardedOf(t, charter.SuiteBIP340, 3, 3)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	r := s.lost()
	s.Route = func(from *nodetest.Host, key ed25519.PublicKey) *nodetest.Host {
		if o := s.Find(key); from != c && o != c {
			return o
		}
		return nil
	}
	s.Start(c)
	s.Step(time.Second)
	request := s.saying(a, statement.SOSRequest)[0]
	l, err := c.Rescue.ProveFor(t.Context(), s.Now, request)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string]func(*act.Request){
		"does not call":     func(q *act.Request) { q.Subjects = []string{b.Own.Name} },
		"epochs in force":   func(q *act.Request) { q.Keys = []act.Key{{Key: q.Keys[0].Key}} },
		"is not known here": func(q *act.Request) { q.Vault[0] ^= 1 },
		"guardians veto it": func(q *act.Request) { q.Trigger = charter.TriggerCompromise },
	} {
		q := r
		change(&q)
		st, err := q.Statement(s.Salt())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Rescue.ProveFor(t.Context(), s.Now, st); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := s.submit(b, s.noteOf(l.Proof, nil)); err != nil {
		t.Fatal(err)
	}
	s.Run("it is known to live", s.knownToLive(a, r, c))
	if s.saids(c, statement.SOSAlive) > 0 || s.stands(a, r) == sos.Vetoed {
		t.Error("a proof of life alone ended the request, or the cut off node logged one")
	}
	s.Route = nil
	s.Run("ended at every node", s.allStand(sos.Vetoed, r, s.Hosts...))
}
