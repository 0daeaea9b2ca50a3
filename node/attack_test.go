package node_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// What one hostile operator, with its node's keys, can try on the way to a vault's key. Each
// attack once succeeded.

func frameOf(n outbox.Note) []byte { return append([]byte{nodetest.FrameNote}, n.Encode()...) }

// noteOf is the note in a frame, if there is one.
func noteOf(p nodetest.Parcel) (n outbox.Note) {
	if p.Frame[0] == nodetest.FrameNote {
		n, _ = outbox.Decode(p.Frame[1:])
	}
	return n
}

// lied is a frame of a session's third round, as its sender would lie in it: other bytes,
// rightly signed. Any other frame comes back as it is.
func lied(p nodetest.Parcel, name string) (out nodetest.Parcel, changed bool) {
	return liedIn(p, name, 3)
}

func liedIn(p nodetest.Parcel, name string, round uint8) (out nodetest.Parcel, changed bool) {
	env, err := mpc.ReadEnvelope(p.Frame)
	if err != nil || env.Protocol != name || env.Round != round {
		return p, false
	}
	d := transcript.NewDecoder(p.Frame[1:])
	head, body := bytes.Clone(d.Bytes(1, 1024)), bytes.Clone(d.Bytes(2, 1<<20))
	body[len(body)-1] ^= 1
	sum := sha256.Sum256(body)
	sig := ed25519.Sign(p.From.Key, transcript.New(transcript.SessionEnvelope).Bytes(head).Bytes(sum[:]).Tree())
	var e transcript.Encoder
	e.Bytes(1, head).Bytes(2, body).Bytes(3, sig)
	p.Frame = append([]byte{p.Frame[0]}, e.Sum()...)
	p.From.Hostile = true
	return p, true
}

// pending reads the one record, and its certificate, that a host keeps.
func pending(w *nodetest.World, h *nodetest.Host) (r *epoch.Record, c *epoch.Cert) {
	w.T.Helper()
	for _, it := range w.Rows(h, "epoch/") {
		var err error
		switch it.Key[strings.LastIndexByte(it.Key, '/')+1:] {
		case protocol.RowRecord:
			r, err = epoch.Decode(it.Value)
		case "cert":
			c, err = epoch.DecodeCert(it.Value)
		}
		if err != nil {
			w.T.Fatal(err)
		}
	}
	return r, c
}

// secondFinal is another FINAL of a member's: other bytes, as good as the first.
func secondFinal(w *nodetest.World, h *nodetest.Host) *epoch.Final {
	w.T.Helper()
	r, c := pending(w, h)
	keys, err := w.Keys(h, r)
	if err != nil {
		w.T.Fatal(err)
	}
	defer keys.Wipe()
	f, err := epoch.MakeFinal(r, c, mpc.IDOf(h.Own.Identity), keys.Share, h.Rand, mpc.NewSigner(h.Key))
	if err != nil {
		w.T.Fatal(err)
	}
	h.Hostile = true
	return f
}

// One operator withholds its FINAL and lies in a second test: the others said FINAL, so the
// key may be in force somewhere, and they keep their shares for ever.
func TestAfterFinalNoShareIsGivenUp(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	c := w.Hosts[2]
	withhold, lie, lies := true, false, 0
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; withhold && (p.From == c || p.To == c) && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
			return nil
		}
		if lie && p.From == c {
			var changed bool
			if p, changed = lied(p, protocol.ProtocolTest); changed {
				lies++
			}
		}
		return []nodetest.Parcel{p}
	}
	id := w.AcceptVault(w.VaultFile("treasury", 2))
	w.Run("two said FINAL", func() bool { return len(w.Rows(w.Hosts[0], "final/")) == 2 && len(w.Rows(w.Hosts[1], "final/")) == 2 })
	r, _ := pending(w, w.Hosts[0])
	lie = true
	s := &mpc.Setup{
		Protocol: protocol.ProtocolTest, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Parties: r.Parties(), NotAfter: w.Now.Add(time.Minute).Truncate(time.Second),
	}
	if err := c.Sessions.Open(context.Background(), w.Now, s); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	if lies == 0 {
		t.Fatal("the operator had no occasion to lie")
	}
	// Beyond the patience for its FINAL too, when new attempts begin.
	w.Try(10*time.Minute, func() bool { return false })
	for _, h := range w.Hosts[:2] {
		if _, err := w.Keys(h, r); err != nil {
			t.Errorf("%s lost its share after it said FINAL: %v", h.Own.Name, err)
		}
	}
	withhold, lie = false, false
	w.Run("the vault's key is published", func() bool { return w.Published(id) })
	sign(t, w, id, w.Account(id))
}

// A member says FINAL once more, in other bytes, after the key is in force: what is in force
// stays as it is, over restarts too, and the others sign without that member.
func TestSecondFinalChangesNothing(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	v, _ := a.Keeper.Root(s.vault, charter.SuiteECDSA)
	f := secondFinal(s.World, c)
	other := &epoch.FinalCert{Record: v.Current.Record, Cert: v.Current.Cert}
	for _, x := range v.Current.Finals {
		if x.From == f.From {
			x = f
		}
		other.Finals = append(other.Finals, x)
	}
	if bytes.Equal(other.Encode(), v.Current.Encode()) {
		t.Fatal("the second certificate is the first")
	}
	before := s.Rows(a, "current/")
	for kind, raw := range map[outbox.Kind][]byte{ceremony.NoteFinal: f.Encode(), ceremony.NoteFinalCert: other.Encode()} {
		s.Forge(c, a, frameOf(outbox.Note{Kind: kind, Fields: [][]byte{raw}}))
	}
	s.Deliver()
	s.Downtime = -1
	s.Crash(c)
	s.Crash(a)
	s.Start(a)
	if after := s.Rows(a, "current/"); len(after) != 1 || !bytes.Equal(after[0].Value, before[0].Value) {
		t.Fatal("the certificate in force was overwritten")
	}
	st := s.Propose(s.vault, s.addr, 0)
	s.Approve(st)
	s.Run("signed by the two others", func() bool {
		return s.State(a, st.ID()) == intent.Signed && s.State(b, st.ID()) == intent.Signed
	})
}

// A member says one FINAL to one node and another to the other: both assemble a certificate,
// and the vault comes into force all the same.
func TestTwoFinalsToTwoNodes(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	b, c := w.Hosts[1], w.Hosts[2]
	c.Hostile = true
	var second *epoch.Final
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n := noteOf(p); n.Kind == ceremony.NoteFinal && p.To == b {
			if f, err := epoch.DecodeFinal(n.Fields[0]); err == nil && f.From == mpc.IDOf(c.Own.Identity) {
				if second == nil {
					second = secondFinal(w, c)
				}
				p.Frame = frameOf(outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{second.Encode()}})
			}
		}
		return []nodetest.Parcel{p}
	}
	id := w.Vault(2)
	if second == nil {
		t.Fatal("no FINAL was replaced")
	}
	sign(t, w, id, w.Account(id))
}

// One operator lies to one node in the test signature: that attempt may be lost, the vault is
// not.
func TestLieToOneNodeInTheTest(t *testing.T) {
	t.Parallel()
	for _, victim := range []int{0, 1} {
		t.Run(fmt.Sprint("node ", victim), func(t *testing.T) {
			w := nodetest.New(t, 3)
			w.Found()
			lies := 0
			w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				if p.From == w.Hosts[2] && p.To == w.Hosts[victim] && lies == 0 {
					var changed bool
					if p, changed = lied(p, protocol.ProtocolTest); changed {
						lies++
					}
				}
				return []nodetest.Parcel{p}
			}
			id := w.Vault(2)
			if lies != 1 {
				t.Fatal("there was no occasion to lie")
			}
			sign(t, w, id, w.Account(id))
		})
	}
}

// A clock that is wrong by more than a setup's life while the key is to be made: nodes count
// attempts that the others never see. They find one another all the same, at the latest when
// the clock is right, and have not used up their attempts by then.
func TestWrongClockDuringKeygen(t *testing.T) {
	t.Parallel()
	for _, skew := range []time.Duration{-6 * time.Minute, 6 * time.Minute, -24 * time.Hour, 24 * time.Hour} {
		t.Run(skew.String(), func(t *testing.T) {
			w := nodetest.New(t, 3)
			w.Found()
			bad := w.Hosts[0]
			bad.Skew = skew
			id := w.AcceptVault(w.VaultFile("treasury", 3))
			for range 18 { // and its operator starts it again and again
				if w.Try(10*time.Minute, func() bool { return w.Published(id) }) {
					break
				}
				w.Crash(bad)
			}
			if skew.Abs() > time.Hour && w.Published(id) {
				t.Fatal("the clock was no hindrance")
			}
			for _, h := range w.Hosts {
				if v, _ := h.Keeper.Root(id, charter.SuiteECDSA); v.Attempt > 200 {
					t.Errorf("%s: %d attempts in three hours", h.Own.Name, v.Attempt)
				}
			}
			w.Crash(bad) // its operator sets the clock and starts it again
			bad.Skew = 0
			w.Run("the vault's key is published", func() bool { return w.Published(id) })
		})
	}
}

// Notes whose maker did not sign, and challenges in numbers, leave nothing in the stores.
func TestUnsignedNotesLeaveNothing(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	a, c := s.Hosts[0], s.Hosts[2]
	st := s.Propose(s.vault, s.addr, 0)
	id := st.ID()
	s.Try(time.Minute, func() bool { return false })
	r, v := recordOf(s.World, s.vault), func() ceremony.View { v, _ := a.Keeper.Root(s.vault, charter.SuiteECDSA); return v }()
	eh, self := r.Hash(), mpc.IDOf(c.Own.Identity)
	junk := func(i, n int) []byte { return bytes.Repeat([]byte{byte(i), byte(i >> 8)}, n/2) }
	notes := map[string]func(i int) outbox.Note{
		"FINAL": func(i int) outbox.Note {
			f := &epoch.Final{Record: eh, From: self, Proof: junk(i, 64), Signature: make([]byte, 64)}
			return outbox.Note{Kind: ceremony.NoteFinal, Fields: [][]byte{f.Encode()}}
		},
		"proof": func(i int) outbox.Note {
			return outbox.Note{Kind: ceremony.NoteProof, Fields: [][]byte{r.KeyID[:], eh[:], self[:], junk(i, 32), make([]byte, 8), junk(i, 64), junk(i, 64)}}
		},
		"key choice": func(i int) outbox.Note {
			return outbox.Note{Kind: ceremony.NoteChoice, Fields: [][]byte{v.Choice.Bytes(), []byte(c.Own.Name), junk(i, 64)}}
		},
		"vote": func(i int) outbox.Note {
			return outbox.Note{Kind: decide.NoteVote, Fields: [][]byte{id[:], []byte(signet.Approve), junk(i, 400)}}
		},
		"proposal": func(i int) outbox.Note {
			return outbox.Note{Kind: decide.NoteProposal, Fields: [][]byte{st.Bytes(), junk(i, 400)}}
		},
		"signature": func(i int) outbox.Note {
			return outbox.Note{Kind: decide.NoteSigned, Fields: [][]byte{id[:], junk(i, 120)}}
		},
	}
	before := map[*nodetest.Host]int{}
	for _, h := range s.Hosts {
		before[h] = len(s.Rows(h, ""))
	}
	for name, note := range notes {
		at := len(s.Rows(a, ""))
		for i := range 200 {
			s.Forge(c, a, frameOf(note(i)))
		}
		if now := len(s.Rows(a, "")); now != at {
			t.Errorf("%s: %d rows, %d before", name, now, at)
		}
	}
	for i := range 200 {
		s.Forge(c, a, append(append([]byte{nodetest.FrameChallenge}, r.KeyID[:]...), junk(i, 32)...))
	}
	s.Try(time.Minute, func() bool { return false })
	for _, h := range s.Hosts { // one proof may have been given: a note, its rows, its leaf
		if now := len(s.Rows(h, "")); now > before[h]+8 {
			t.Errorf("%s: %d rows, %d before", h.Own.Name, now, before[h])
		}
	}
}

// A roster in which a puppet stands in for an operator that we met, in any field, is neither
// taken, nor shown to our officer, nor signed; the true circle is founded all the same.
func TestRosterWithAPuppet(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	for _, h := range []*nodetest.Host{b, c} {
		i, err := a.Circle.Invite(context.Background(), w.Now, h.Own.Name, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Circle.Join(context.Background(), w.Now, i.Line()); err != nil {
			t.Fatal(err)
		}
	}
	mallory := nodetest.NewPerson(t, "mallory")
	seed := sha256.Sum256([]byte("puppet"))
	for name, change := range map[string]func(*charter.Operator){
		"identity": func(o *charter.Operator) { o.Identity = ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey) },
		"address":  func(o *charter.Operator) { o.Address = "evil.example:7000" },
		"entity":   func(o *charter.Operator) { o.Entity = "Evil Ltd" },
		"officers": func(o *charter.Operator) { o.Officers = []signet.Key{mallory.Key} },
		"name":     func(o *charter.Operator) { o.Name = "operator-9" },
	} {
		puppet := b.Own
		change(&puppet)
		r := charter.Roster{Circle: "test circle", Created: w.Now.Truncate(time.Second), Operators: []charter.Operator{a.Own, puppet, c.Own}}
		s, err := r.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		n := outbox.Note{Kind: circle.NoteRoster, Fields: [][]byte{s.Bytes(), c.Officer.Makes(t, s)}}
		if v, log := (setting{World: w}).tell(c, a, n); v != outbox.Refused {
			t.Errorf("%s: verdict %d; log: %s", name, v, log)
		}
		if _, _, err := a.Circle.Accept(context.Background(), w.Now, s.Bytes(), a.Officer.Makes(t, s)); err == nil {
			t.Errorf("%s: our officer's signature is taken", name)
		}
		if x, fresh, err := a.Circle.PrepareRoster(w.Now, "test circle"); err != nil || !fresh || x.Statement.ID() == s.ID() {
			t.Errorf("%s: our officer is shown another's roster: fresh %v, %v", name, fresh, err)
		}
	}
	// Who met the inviter alone is told whom to compare by other means.
	x, _, err := a.Circle.PrepareRoster(w.Now, "test circle")
	if err != nil {
		t.Fatal(err)
	}
	if unmet := fmt.Sprint(b.Circle.Unmet(x.Statement), a.Circle.Unmet(x.Statement)); unmet != "[operator-2] []" {
		t.Errorf("unmet: %s", unmet)
	}
	w.Queue = nil
	w.Found()
	for _, h := range w.Hosts {
		_, r, _ := h.Circle.Roster()
		for _, o := range w.Hosts {
			if got, ok := r.Operator(o.Own.Name); !ok || !got.Identity.Equal(o.Own.Identity) {
				t.Errorf("%s: the charter names another %s", h.Own.Name, o.Own.Name)
			}
		}
	}
}

// Three officers make the same vault at once, each a statement of its own: said once more,
// they meet at one of them, and one vault comes into force.
func TestVaultMadeByAllAtOnce(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	w.List(w.VaultFile("treasury", 2))
	made := map[statement.ID]bool{}
	create := func(h *nodetest.Host) {
		x, _, err := h.Circle.PrepareVault(w.Now, "treasury")
		if err != nil {
			t.Fatal(err)
		}
		made[x.Statement.ID()] = true
		if _, _, err = h.Circle.Accept(context.Background(), w.Now, x.Statement.Bytes(), h.Officer.Makes(t, x.Statement)); err != nil {
			t.Fatal(err)
		}
	}
	for _, h := range w.Hosts {
		create(h)
	}
	if len(made) != 3 {
		t.Fatalf("%d statements, want one of each officer", len(made))
	}
	w.Try(time.Minute, func() bool { return false })
	for _, h := range w.Hosts {
		create(h)
		w.Deliver()
	}
	w.Run("one vault is in force, with its key", func() bool {
		return w.All(func(h *nodetest.Host) bool { v := h.Keeper.Roots(); return len(v) == 1 && v[0].Current != nil })
	})
	if len(made) != 3 {
		t.Fatalf("%d statements: the second time made new ones", len(made))
	}
}

// An operator's officer signs one vault after another: the ninth of its own is refused, those
// of the other operators are not.
func TestJunkVaultsBlockNobody(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	_, roster, _ := c.Circle.Roster()
	files := []charter.Blueprint{w.VaultFile("treasury", 2, a, b)}
	for i := range 20 {
		files = append(files, w.VaultFile(fmt.Sprint("junk-", i), 2))
	}
	w.List(files...)
	refused := 0
	for _, file := range files[1:] {
		s := vaultOf(t, w, file, roster.ID)
		for _, h := range []*nodetest.Host{a, b} {
			if v, _ := (setting{World: w}).tell(c, h, outbox.Note{Kind: circle.NoteVault, Fields: [][]byte{s.Bytes(), c.Officer.Makes(t, s)}}); v != outbox.Taken {
				refused++
			}
		}
	}
	if refused == 0 || len(w.Rows(a, "vault/")) > 8 {
		t.Fatalf("%d refused, %d kept: proposals are not bounded", refused, len(w.Rows(a, "vault/")))
	}
	w.Downtime = -1
	w.Crash(c)
	id := w.SignVault("treasury", a, b)
	w.Run("a vault of the two others has its key", func() bool {
		for _, h := range []*nodetest.Host{a, b} {
			if v, ok := h.Keeper.Root(id, charter.SuiteECDSA); !ok || v.Current == nil {
				return false
			}
		}
		return true
	})
}
