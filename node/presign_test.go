package node_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/presign"
	"github.com/ostraka/ostraka/node/store"
)

// hot is a circle with a hot vault, whose nodes have filled their pools.
func hot(t *testing.T, n, threshold int) setting {
	t.Helper()
	w := nodetest.New(t, n)
	w.Tier = charter.TierHot
	id, addr := nodetest.Ready(w, threshold)
	s := setting{w, id, addr}
	s.fill(dkls.PoolCapacity)
	return s
}

// seats are the hosts in the order of their share indices.
func (s setting) seats() (out []*nodetest.Host) {
	r := s.record(s.Hosts[max(0, slices.IndexFunc(s.Hosts, func(h *nodetest.Host) bool { return h.Up }))])
	for _, m := range r.Members {
		out = append(out, s.Find(m.Identity))
	}
	return out
}

// present are the t lowest hosts that are up: whom presignatures are made for.
func (s setting) present() []*nodetest.Host {
	up := slices.DeleteFunc(s.seats(), func(h *nodetest.Host) bool { return !h.Up })
	return up[:recordOf(s.World, s.vault).Threshold]
}

// fill waits until the signers hold so many presignatures, at least.
func (s setting) fill(n int) {
	s.T.Helper()
	s.Run("the pools fill", func() bool {
		return !slices.ContainsFunc(s.present(), func(h *nodetest.Host) bool { return h.Presign.Held(pairs(s.World, s.vault)) < n })
	})
}

// view is what a host knows of the key.
func (s setting) view(h *nodetest.Host) ceremony.View {
	v, _ := h.Keeper.Root(s.vault, charter.SuiteECDSA)
	return v
}

// parties are some hosts as signers.
func (s setting) parties(hosts ...*nodetest.Host) (out []mpc.Party) {
	for _, m := range s.record(s.Hosts[0]).Members {
		if slices.Contains(hosts, s.Find(m.Identity)) {
			out = append(out, m.Party)
		}
	}
	return out
}

// named is a presignature that a host holds with others, as its opener would name it.
func (s setting) named(h *nodetest.Host, signers ...*nodetest.Host) dkls.PresigID {
	s.T.Helper()
	id, ok := h.Presign.Next(s.Now, s.view(h), s.parties(signers...))
	if !ok {
		s.T.Fatalf("%s holds no presignature", h.Own.Name)
	}
	return id
}

// online is a setup by which an operator asks others to sign with a presignature.
func (s setting) online(st statement.Statement, id dkls.PresigID, nonce byte, opener *nodetest.Host, signers ...*nodetest.Host) (*mpc.Setup, []byte) {
	s.T.Helper()
	x := s.setup(st, []*nodetest.Host{opener})
	req, err := protocol.DecodeRequest(x.Payload)
	if err != nil {
		s.T.Fatal(err)
	}
	x.Protocol, x.Parties, x.Nonce = protocol.ProtocolOnline, s.parties(signers...), [32]byte{nonce, 9}
	x.Payload = (&protocol.OnlineRequest{Request: *req, Presignature: id}).Encode()
	frame, err := mpc.SealSetup(x, mpc.NewSigner(opener.Key))
	if err != nil {
		s.T.Fatal(err)
	}
	return x, frame
}

// sessions counts the sessions of a protocol that a host took part in.
func sessions(h *nodetest.Host, name string) (n int) {
	for _, x := range h.Sessions.Sessions() {
		if x.Protocol == name {
			n++
		}
	}
	return n
}

// leaves counts a host's log leaves of a kind.
func leaves(t *testing.T, h *nodetest.Host, kind string) (n int) {
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
		if l.Kind == kind {
			n++
		}
	}
	return n
}

// signs wants that a new intent is signed by all.
func (s setting) signs(nonce uint64) statement.Statement {
	s.T.Helper()
	st := s.Propose(s.vault, s.addr, nonce)
	s.Approve(st)
	s.Run("signed everywhere", func() bool { return s.Signed(st) })
	return st
}

// A hot vault signs by one broadcast of each signer, burns what it used, and fills up again.
func TestHotVaultSignsByOneBroadcast(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]int{{2, 2}, {3, 2}, {3, 3}} {
		t.Run(fmt.Sprintf("%d-of-%d", c[1], c[0]), func(t *testing.T) {
			s := hot(t, c[0], c[1])
			said := map[string]int{}
			s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				if env, err := mpc.ReadEnvelope(p.Frame); err == nil && env.Protocol != protocol.ProtocolPresign {
					said[fmt.Sprintf("%s round %d to %s", env.Protocol, env.Round, p.To.Own.Name)]++
				}
				return []nodetest.Parcel{p}
			}
			s.signs(0)
			if s.Watch.Online < c[1] || len(said) != c[1] {
				t.Fatalf("%d joins with a presignature; messages: %v", s.Watch.Online, said)
			}
			for what := range said {
				if !strings.HasPrefix(what, "online round 1 ") {
					t.Errorf("a message of %s", what)
				}
			}
			for _, h := range s.present() {
				if n := len(s.Rows(h, "presig-burn/")); n != 1 || leaves(t, h, tlog.KindPresignature) != 1 || sessions(h, protocol.ProtocolSign) != 0 {
					t.Errorf("%s holds %d burn records, %d leaves", h.Own.Name, n, leaves(t, h, tlog.KindPresignature))
				}
				if st := h.Presign.Stats(); st.Hits != 1 || st.Failed != 0 {
					t.Errorf("%s counts %+v", h.Own.Name, st)
				}
			}
			s.fill(dkls.PoolCapacity)
			calm(t, s.World, s.vault)
		})
	}
}

// A vault that is not hot has no presignatures, unless its node's operator says so; and a node that is told to hold none
// declines, and three rounds sign.
func TestPresignaturesByTierAndSetting(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	s.signs(0)
	for _, h := range s.Hosts {
		if h.Presign.Stats() != (presign.Stats{}) || len(s.Rows(h, "presig-")) > 0 || sessions(h, protocol.ProtocolPresign) > 0 {
			t.Fatalf("%s holds presignatures of a warm vault: %+v", h.Own.Name, h.Presign.Stats())
		}
	}
	restart := func(m presign.Mode, hosts ...*nodetest.Host) {
		s.Downtime = 0
		for _, h := range hosts {
			h.Mode = m
			s.Crash(h)
		}
		s.Step(time.Second)
	}
	restart(presign.ModeAll, s.Hosts...)
	s.fill(dkls.PoolCapacity)
	s.signs(1)
	if s.Watch.Online != 2 {
		t.Fatalf("%d joins with a presignature", s.Watch.Online)
	}
	restart(presign.ModeOff, s.seats()[1])
	s.signs(2)
	if s.Watch.Online > 3 || s.seats()[1].Presign.Stats().Hits > 0 {
		t.Fatal("a node that holds no presignatures used one")
	}
	calm(t, s.World, s.vault)
}

// A signer that was restarted lacks what the opener holds: it declines, three rounds sign, no attempt is lost and nobody is
// avoided for it. Two such misses, and the opener makes new ones.
func TestSignerWithoutThePresignature(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]int{{2, 2}, {3, 3}} {
		t.Run(fmt.Sprintf("%d-of-%d", c[1], c[0]), func(t *testing.T) {
			s := hot(t, c[0], c[1])
			s.Downtime = 0
			lacks := s.seats()[c[0]-1]
			s.Crash(lacks)
			s.Step(time.Second)
			opener := s.seats()[0]
			for nonce := range uint64(2) {
				if opener.Presign.Held(pairs(s.World, s.vault)) == 0 {
					t.Fatal("the opener's pool is empty")
				}
				start := s.Now
				s.signs(nonce)
				if took := s.Now.Sub(start); took > 15*time.Second {
					t.Errorf("signed after %v", took)
				}
				if sessions(opener, protocol.ProtocolSign) != int(nonce)+1 {
					t.Fatalf("%d sessions of three rounds", sessions(opener, protocol.ProtocolSign))
				}
			}
			calm(t, s.World, s.vault)
			s.fill(dkls.PoolCapacity)
			used := s.Watch.Online
			s.signs(2)
			if s.Watch.Online != used+c[1]*(c[0]-1) {
				t.Errorf("%d joins with presignatures after the pools were filled again", s.Watch.Online-used)
			}
		})
	}
}

// Many intents at once: no two sessions share a presignature (the watch looks), and all are signed.
func TestConcurrentIntentsShareNoPresignature(t *testing.T) {
	t.Parallel()
	s := hot(t, 3, 2)
	const n = dkls.PoolCapacity + 4 // more than there are
	var all []statement.Statement
	for i := range uint64(n) {
		all = append(all, s.Propose(s.vault, s.addr, i))
	}
	for _, st := range all {
		s.Approve(st)
	}
	s.Run("all are signed", func() bool {
		return !slices.ContainsFunc(all, func(st statement.Statement) bool { return !s.Signed(st) })
	})
	uses := map[[32]byte]bool{}
	for _, it := range s.Rows(s.seats()[0], "presig-burn/") {
		b, err := dkls.DecodeBurn(it.Value)
		if err != nil || uses[b.Use.Digest] || b.Name() != it.Key {
			t.Fatalf("burn record %s: %v, or its digest was signed with another", it.Key, err)
		}
		uses[b.Use.Digest] = true
	}
	if len(uses) < dkls.PoolCapacity/2 {
		t.Errorf("%d presignatures used", len(uses))
	}
	calm(t, s.World, s.vault)
}

// New shares: presignatures of the old ones are gone, and new ones are made.
func TestEpochChangeEmptiesPools(t *testing.T) {
	t.Parallel()
	s := hot(t, 2, 2)
	old := s.named(s.seats()[0], s.Hosts...)
	for _, h := range s.Hosts {
		if err := h.Keeper.AskRefresh(context.Background(), s.Now, s.vault, s.Suite); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("new shares are in force", func() bool {
		return s.All(func(h *nodetest.Host) bool { v := s.view(h); return v.Current != nil && v.Current.Record.Epoch == 1 })
	})
	s.Run("pools are filled anew", func() bool {
		return s.All(func(h *nodetest.Host) bool {
			return h.Presign.Stats().Dropped >= dkls.PoolCapacity && h.Presign.Held(pairs(s.World, s.vault)) == dkls.PoolCapacity
		})
	})
	st := s.voted(0)
	_, frame := s.online(st, old, 1, s.seats()[0], s.Hosts...)
	s.Forge(s.seats()[0], s.seats()[1], frame) // its keys, not its node
	if len(s.Rows(s.seats()[1], "presig-burn/")) > 0 {
		t.Fatal("a presignature of the old epoch is taken")
	}
	s.Run("signed everywhere", func() bool { return s.Signed(st) })
	if s.Watch.Online == 0 {
		t.Error("not signed with a presignature of the new epoch")
	}
}

// A check on a pair fails: the pair is burned, and what was made with that peer is gone; with
// another's pair it stays.
func TestBurnEmptiesPools(t *testing.T) {
	t.Parallel()
	s := hot(t, 3, 2)
	a, b, c := s.seats()[0], s.seats()[1], s.seats()[2]
	k := pairs(s.World, s.vault)
	a.Presign.DropPairs([]engine.Token{{Key: k, Peer: c.Self()}, {Key: [32]byte{1}, Peer: b.Self()}})
	if a.Presign.Held(k) != dkls.PoolCapacity {
		t.Fatal("another's pair burned, and the pool is not full")
	}
	breakPair(s.World, b, a, recordOf(s.World, s.vault))
	s.Greet()                                // before that nobody signs with b
	s.Approve(s.Propose(s.vault, s.addr, 0)) // b lacks what a holds: three rounds, over the broken pair
	s.Run("the pair burns", func() bool { return len(a.Sessions.Burned(k)) > 0 || len(b.Sessions.Burned(k)) > 0 })
	for _, h := range []*nodetest.Host{a, b} {
		if burned := h.Sessions.Burned(k); len(burned) > 0 {
			v := s.view(h)
			if _, held := h.Presign.Next(s.Now, v, s.parties(a, b)); held {
				t.Errorf("%s holds presignatures with a peer whose pair is burned", h.Own.Name)
			}
		}
	}
}

// A node dies at every batch of an online session: what was taken is never used again (the watch looks), in that life or the
// next; the intent comes to its end, and the next one is signed.
func TestCrashAtEveryBatchOfOnlineSigning(t *testing.T) {
	t.Parallel()
	ready := nodetest.New(t, 2)
	ready.Tier = charter.TierHot
	vault, addr := nodetest.Ready(ready, 2)
	story := func(b *blow) []blow {
		w := ready.Clone(t, fmt.Sprint("online", b))
		s := setting{w, vault, addr}
		s.fill(2)
		s.signs(100) // opens all that is opened once
		before, fell := commits(w), new(bool)
		if b != nil {
			fell = b.strike(w)
		}
		sign(t, w, vault, addr)
		if b != nil { // what is made beside it differs from run to run: the batch may come a little later
			s.Run("the blow falls", func() bool { return *fell })
		}
		all := blows(w, before)
		w.Fate = nil
		if b != nil {
			calm(t, w, vault)
			fences(t, s)
			s.fill(1)
			s.signs(7)
		}
		return all
	}
	all := story(nil)
	some := pick(all, 12)
	t.Logf("%d of %d", len(some), len(all))
	for _, b := range some {
		t.Run(b.String(), func(t *testing.T) { story(&b) })
	}
}

// fences checks that every burn record is of its own ticket, and of a life that the store knows.
func fences(t *testing.T, s setting) {
	t.Helper()
	for _, h := range s.Hosts {
		last := uint64(0)
		for _, it := range s.Rows(h, "presig-fence") {
			last = binary.BigEndian.Uint64(it.Value)
		}
		seen := map[dkls.Ticket]bool{}
		for _, it := range s.Rows(h, "presig-burn/") {
			b, err := dkls.DecodeBurn(it.Value)
			if err != nil || seen[b.Ticket] || b.Ticket.Fence == 0 || b.Ticket.Fence > last {
				t.Errorf("%s: burn record %s with ticket %v, the last fence is %d: %v", h.Own.Name, it.Key, b.Ticket, last, err)
			}
			seen[b.Ticket] = true
		}
	}
}

// commit writes behind a node's back.
func commit(t *testing.T, h *nodetest.Host, e store.Entry) {
	t.Helper()
	if _, err := h.Journal.Store().Commit(context.Background(), store.Batch{Put: []store.Entry{e}}); err != nil {
		t.Fatal(err)
	}
}

// Another process over the same store raised the fencing token: what this one holds is not taken any more, and three rounds sign.
func TestFencedPoolTakesNothing(t *testing.T) {
	t.Parallel()
	s := hot(t, 2, 2)
	b := s.seats()[1]
	commit(t, b, store.Entry{Key: "presig-fence", Value: binary.BigEndian.AppendUint64(nil, 99)})
	s.signs(0)
	if b.Presign.Held(pairs(s.World, s.vault)) != 0 || b.Presign.Stats().Hits != 0 || sessions(b, protocol.ProtocolSign) != 1 {
		t.Fatalf("a fenced pool gives out: %+v", b.Presign.Stats())
	}
}

// A copy of this process used the presignature before: its burn record is there. The session is declined, all are dropped, the
// alarm is logged, and three rounds sign.
func TestSecondUseIsAnAlarm(t *testing.T) {
	t.Parallel()
	s := hot(t, 2, 2)
	a, b := s.seats()[0], s.seats()[1]
	id := s.named(a, a, b)
	commit(t, b, store.Entry{Key: (&dkls.Burn{ID: id}).Name(), Value: []byte("of a copy")})
	st := s.voted(0)
	_, frame := s.online(st, id, 1, a, a, b)
	s.Forge(a, b, frame)
	if b.Presign.Held(pairs(s.World, s.vault)) != 0 || leaves(t, b, tlog.KindAlarm) != 1 {
		t.Fatalf("%d presignatures are left, %d alarms", b.Presign.Held(pairs(s.World, s.vault)), leaves(t, b, tlog.KindAlarm))
	}
	s.Run("signed everywhere", func() bool { return s.Signed(st) })
}

// What one hostile operator of a 2-of-3 vault can try with presignatures that it made with an honest one: nothing but the presignature
// is lost, no attempt is burned by sessions that never begin, nobody honest is blamed, and the two others sign.
func TestHostileOnlineOpener(t *testing.T) {
	t.Parallel()
	for name, attack := range map[string]func(t *testing.T, s setting, st statement.Statement, a, c *nodetest.Host){
		"two sessions for one presignature": func(t *testing.T, s setting, st statement.Statement, a, c *nodetest.Host) {
			id := s.named(c, a, c)
			other := s.voted(1)
			for i, x := range []statement.Statement{st, other, st} {
				_, frame := s.online(x, id, byte(i), c, a, c)
				s.Forge(c, a, frame)
			}
			if n := len(s.Rows(a, "presig-burn/")); n != 1 || s.at(other, intent.Signing, a) {
				t.Fatalf("%d burn records", n)
			}
		},
		"an unknown one": func(t *testing.T, s setting, st statement.Statement, a, c *nodetest.Host) {
			held := a.Presign.Held(pairs(s.World, s.vault))
			for i := range byte(20) {
				_, frame := s.online(st, dkls.PresigID{i, 1}, i, c, a, c)
				s.Forge(c, a, frame)
			}
			if a.Presign.Held(pairs(s.World, s.vault)) != held || !s.at(st, intent.Allowed, a) || len(s.Rows(a, "presig-burn/")) > 0 {
				t.Fatal("a session with an unknown presignature cost something")
			}
		},
		"never joins": func(t *testing.T, s setting, st statement.Statement, a, c *nodetest.Host) {
			held := a.Presign.Held(pairs(s.World, s.vault))
			for i := range byte(20) {
				_, frame := s.online(st, s.named(c, a, c), i, c, a, c)
				s.Forge(c, a, frame)
				for range 6 {
					s.Step(time.Second)
				}
			}
			if lost := held - a.Presign.Held(pairs(s.World, s.vault)); lost > 1 {
				t.Fatalf("%d presignatures are lost by sessions of one intent that never began", lost)
			}
		},
		"of other signers": func(t *testing.T, s setting, st statement.Statement, a, c *nodetest.Host) {
			_, frame := s.online(st, s.named(c, a, c), 1, c, s.Hosts...)
			s.Forge(c, a, frame)
			if len(s.Rows(a, "presig-burn/")) > 0 {
				t.Fatal("a presignature is taken for other signers")
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := hostileSetting(t)
			a, b, c := s.seats()[0], s.seats()[1], s.seats()[2]
			st := s.voted(0)
			s.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // its node takes no part any more
				if p.From == c && nodetest.OfSession(p.Frame) {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			attack(t, s, st, a, c)
			s.Downtime = time.Second
			s.Start(b)
			if !s.Try(2*time.Minute, func() bool { return s.at(st, intent.Signed, a, b) }) {
				t.Fatalf("the two others do not sign; log:\n%s", s.Tail())
			}
			calm(t, s.World, s.vault)
		})
	}
}

// hostileSetting is a hot 2-of-3 vault whose second signer was down while the first and third filled their pools.
func hostileSetting(t *testing.T) setting {
	w := nodetest.New(t, 3)
	w.Tier = charter.TierHot
	for _, h := range w.Hosts {
		h.Mode = presign.ModeOff
	}
	id, addr := nodetest.Ready(w, 2)
	s := setting{w, id, addr}
	for _, h := range s.Hosts {
		h.Mode = presign.ModeHot
	}
	s.Downtime = -1
	s.Crash(s.seats()[1])
	s.fill(dkls.PoolCapacity)
	return s
}

// A signer joins and withholds its broadcast: ours has left, so the intent may be signed and is closed. Nobody is blamed, and the next
// intent is signed by the two others.
func TestWithheldOnlineMessage(t *testing.T) {
	t.Parallel()
	s := hostileSetting(t)
	a, b, c := s.seats()[0], s.seats()[1], s.seats()[2]
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); err == nil && p.From == c && env.Protocol == protocol.ProtocolOnline {
			return nil
		}
		if p.From == c && noteOf(p).Kind == 0x24 {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	st := s.voted(0)
	s.Run("the intent is closed", func() bool { return s.at(st, intent.Failed, a) })
	v, err := a.Desk.Show(st.ID())
	if err != nil || !v.Possibly {
		t.Fatalf("possibly signed: %v, %v", v.Possibly, err)
	}
	s.Downtime = time.Second
	s.Start(b)
	s.Greet() // before that nobody signs with b
	next := s.Propose(s.vault, s.addr, 1)
	s.Approve(next)
	s.Run("the two others sign the next", func() bool { return s.at(next, intent.Signed, a, b) })
	calm(t, s.World, s.vault)
}
