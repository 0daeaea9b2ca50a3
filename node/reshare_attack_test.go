package node_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// One of three is lost for good: the two others and a newcomer go on, and should it come back, it erases what it had.
func TestReshareWithoutALostMember(t *testing.T) {
	t.Parallel()
	for _, suite := range changedSuites {
		t.Run(suite, func(t *testing.T) {
			w, vault := circleOf(t, suite, 4, 3, 2)
			a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
			w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(vault, "main", 1)); return err == nil })
			addr := address(t, w, vault, a, b, c)
			w.Downtime = -1
			w.Crash(c)
			w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, d)
			w.Run("moved", func() bool { return heldBy(w, vault, 2, a, b, d) })
			signs(t, w, vault, addr, 0, a, b, d)
			if len(shareRows(w, c)) == 0 {
				t.Fatal("who is down cannot have erased anything")
			}
			w.SignReshareAll(nodetest.Wish(vault, 3, a, b, d), a, b, d)
			w.Run("moved once more", func() bool { return heldBy(w, vault, 3, a, b, d) })
			w.Start(c)
			w.Run("the lost one learns of both", func() bool { return w.HeldBy(c, vault, 3, a, b, d) })
			gone(t, w, c, vault)
			calmHosts(t, w, recordAt(a, vault, suite).KeyID)
		})
	}
}

// A lower threshold takes every old member: its officer's signature and its node.
func TestThresholdFallsOnlyWithAll(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 3)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	id := w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, d)
	w.Try(5*time.Minute, func() bool { return false })
	if !w.HeldBy(a, vault, 3, a, b, c) {
		t.Fatal("the threshold fell without an old member's officer")
	}
	w.Downtime = -1
	if got := w.SignReshare(c, false, nodetest.Wish(vault, 2, a, b, d)); got != id {
		t.Fatalf("the last officer signed %v, not %v", got, id)
	}
	w.Deliver()
	w.Crash(c)
	w.Try(5*time.Minute, func() bool { return false })
	if w.HeldBy(a, vault, 2, a, b, d) {
		t.Fatal("the threshold fell without an old member's node")
	}
	w.Start(c)
	w.Run("moved with all", func() bool { return heldBy(w, vault, 2, a, b, d) })
	gone(t, w, c, vault)
}

// A peer carries the certificate of a reshare to a member that has not seen it, with the consent of the one that left spoiled.
func TestSpoiledConsentInACertificate(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; p.To == c && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, c, d)
	w.Run("the others moved", func() bool { return w.HeldBy(a, vault, 2, a, b, d) && w.HeldBy(b, vault, 2, a, b, d) })
	v, _ := a.Keeper.Root(vault, w.Suite)
	whole := v.Current.Encode()
	f, err := epoch.DecodeFinalCert(whole)
	if err != nil || len(f.Cert.Olds) != 1 {
		t.Fatalf("%v: who left did not agree to it by name", err)
	}
	f.Cert.Olds[0].Signature[9] ^= 1
	s := setting{World: w, vault: vault}
	s.tell(d, c, outbox.Note{Kind: ceremony.NoteFinalCert, Fields: [][]byte{f.Encode()}})
	if !w.HeldBy(c, vault, 2, a, b, c) {
		t.Fatal("a certificate moved a member though the old committee's consent in it is spoiled: no chain will hold with it")
	}
	s.tell(d, c, outbox.Note{Kind: ceremony.NoteFinalCert, Fields: [][]byte{whole}})
	if !w.HeldBy(c, vault, 2, a, b, d) {
		t.Fatal("the certificate as it was made moves nobody")
	}
}

// A member that leaves deals wrong, or falls silent, at any step: the others go on without it.
func TestReshareDespiteALeaver(t *testing.T) {
	t.Parallel()
	for _, suite := range changedSuites {
		for round := uint8(1); round <= 5; round++ {
			for _, silent := range []bool{false, true} {
				if suite == charter.SuiteECDSA && (round != 2 || silent) {
					continue
				}
				t.Run(fmt.Sprintf("%s round %d silent %v", suite, round, silent), func(t *testing.T) {
					w, vault := circleOf(t, suite, 4, 3, 2)
					a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
					w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
						if p.From != c {
							return []nodetest.Parcel{p}
						}
						forged, changed := liedIn(p, protocol.ProtocolReshare, round)
						if changed && silent {
							return nil
						}
						return []nodetest.Parcel{forged}
					}
					w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, c, d)
					w.Run("moved all the same", func() bool { return heldBy(w, vault, 2, a, b, d) })
					for _, h := range []*nodetest.Host{a, b, d} {
						q, err := h.Sessions.Quarantined(context.Background(), recordAt(a, vault, suite).KeyID)
						if err != nil || slices.ContainsFunc(q, func(id engine.PartyID) bool { return id != c.Self() }) {
							t.Errorf("%s accuses %v, %v", h.Own.Name, q, err)
						}
					}
				})
			}
		}
	}
}

// A newcomer withholds PREP, or FINAL: nobody gives up a share, the old committee signs on, and another reshare without it goes
// through.
func TestNewcomerWithholds(t *testing.T) {
	t.Parallel()
	for _, what := range []string{"PREP", "FINAL"} {
		t.Run(what, func(t *testing.T) {
			w, vault := circleOf(t, charter.SuiteEd25519, 5, 3, 2)
			a, b, c, d, e := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3], w.Hosts[4]
			w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(vault, "main", 1)); return err == nil })
			addr := address(t, w, vault, a, b, c)
			w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				if k := noteOf(p).Kind; p.From == d && what == "FINAL" && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
					return nil
				}
				if env, err := mpc.ReadEnvelope(p.Frame); p.From == d && what == "PREP" && err == nil && env.Protocol == protocol.ProtocolReshare && env.Round > 2 {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, c, d)
			w.Try(8*time.Minute, func() bool { return false })
			if !w.HeldBy(a, vault, 2, a, b, c) || !w.HeldBy(b, vault, 2, a, b, c) {
				t.Fatal("the epoch is in force without the newcomer's FINAL")
			}
			signs(t, w, vault, addr, 0, a, b, c)
			wish := nodetest.Wish(vault, 2, a, b, e)
			w.SignReshareAll(wish, a, b, c, e) // a complete reshare does not stand in another one's way
			w.Run("moved without it", func() bool {
				return w.HeldBy(a, vault, 2, a, b, e) && w.HeldBy(b, vault, 2, a, b, e) && w.HeldBy(e, vault, 2, a, b, e) && w.HeldBy(c, vault, 2, a, b, e)
			})
			gone(t, w, c, vault)
			signs(t, w, vault, addr, 1, a, b, e)
		})
	}
}

// openReshare has a host open a reshare of its own making.
func openReshare(w *nodetest.World, by *nodetest.Host, vault statement.ID, threshold int, attempt uint64, dealers []*nodetest.Host, members []*nodetest.Host) error {
	return openBent(w, by, vault, threshold, attempt, dealers, members, func(*mpc.Setup) {})
}

// openBent lets the opener change what it signs.
func openBent(w *nodetest.World, by *nodetest.Host, vault statement.ID, threshold int, attempt uint64, dealers []*nodetest.Host, members []*nodetest.Host, bend func(*mpc.Setup)) error {
	r := recordAt(by, vault, w.Suite)
	var next []mpc.Party
	for _, h := range members {
		next = append(next, mpc.Party{ID: h.Self(), Identity: h.Own.Identity})
	}
	next, err := r.Seats(next, 0)
	if err != nil {
		return err
	}
	c := &protocol.Change{Attempt: attempt}
	all := slices.Clone(next)
	for _, p := range next {
		c.Members = append(c.Members, p.ID)
	}
	for _, m := range r.Members {
		if slices.ContainsFunc(dealers, func(h *nodetest.Host) bool { return h.Self() == m.ID }) {
			c.Dealers = append(c.Dealers, m.ID)
			if !slices.ContainsFunc(next, func(p mpc.Party) bool { return p.ID == m.ID }) {
				all = append(all, m.Party)
			}
		}
	}
	slices.SortFunc(all, func(a, b mpc.Party) int { return int(a.Index) - int(b.Index) })
	s := &mpc.Setup{
		Protocol: protocol.ProtocolReshare, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: threshold, Parties: all,
		Payload: c.Encode(), Opener: by.Self(), NotAfter: w.Now.Add(time.Minute).Truncate(time.Second),
	}
	bend(s)
	frame, err := mpc.SealSetup(s, mpc.NewSigner(by.Key))
	if err != nil {
		return err
	}
	for _, h := range w.Hosts {
		if _, in := s.Party(h.Self()); in && h != by {
			w.Forge(by, h, frame)
		}
	}
	w.Deliver()
	return nil
}

// A hostile member opens reshares that nobody signed, or that other officers signed long ago: nobody joins.
func TestUnsanctionedReshares(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	joins := func() int { return w.Watch.Joins }
	by := c
	bend := func(*mpc.Setup) {}
	refused := func(what string, threshold int, dealers, members []*nodetest.Host) {
		t.Helper()
		before, attempt := joins(), uint64(40)
		if v, _ := a.Keeper.Root(vault, w.Suite); v.Current != nil {
			attempt = 1
		}
		if err := openBent(w, by, vault, threshold, attempt, dealers, members, bend); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if joins() != before {
			t.Errorf("%s: somebody joins", what)
		}
	}
	old := []*nodetest.Host{a, b, c}
	refused("nobody signed", 2, old, []*nodetest.Host{a, b, d})
	w.SignReshare(c, true, nodetest.Wish(vault, 2, b, c, d))
	w.Deliver()
	refused("one officer signed", 2, old, []*nodetest.Host{b, c, d})

	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // the nodes' own sessions do not come about
		if nodetest.OfSession(p.Frame) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	wish := nodetest.Wish(vault, 2, a, b, d)
	wish.Instead = true
	w.SignReshareAll(wish, a, b, d) // c's officer did not
	w.Try(20*time.Second, func() bool { return false })
	refused("other members", 2, []*nodetest.Host{a, b}, []*nodetest.Host{b, c, d})
	by = d
	refused("other threshold", 3, []*nodetest.Host{a, b}, []*nodetest.Host{a, b, d})
	by = c
	refused("a dealer whose officer did not sign", 2, []*nodetest.Host{a, c}, []*nodetest.Host{a, b, d})
	refused("one member more", 2, []*nodetest.Host{a, b}, []*nodetest.Host{a, b, c, d})
	by = b
	seat := func(h *nodetest.Host, edit func(*mpc.Party)) func(*mpc.Setup) {
		return func(s *mpc.Setup) {
			s.Parties = slices.Clone(s.Parties)
			for i := range s.Parties {
				if s.Parties[i].ID == h.Self() {
					edit(&s.Parties[i])
				}
			}
			slices.SortFunc(s.Parties, func(x, y mpc.Party) int { return int(x.Index) - int(y.Index) })
		}
	}
	left, _ := recordAt(a, vault, w.Suite).Member(c.Self())
	for what, edit := range map[string]func(*mpc.Setup){
		"a newcomer with an index that was another's": seat(d, func(p *mpc.Party) { p.Index = left.Index }),
		"a newcomer with an index far above":          seat(d, func(p *mpc.Party) { p.Index = 3 + epoch.MaxStride + 1 }),
		"a dealer with another index":                 seat(a, func(p *mpc.Party) { p.Index = 9 }),
		"a newcomer with another identity":            seat(d, func(p *mpc.Party) { p.Identity = c.Own.Identity }),
		"a dealer with another identity":              seat(a, func(p *mpc.Party) { p.Identity = c.Own.Identity }),
		"another epoch":                               func(s *mpc.Setup) { s.Epoch[0] ^= 1 },
		"another suite":                               func(s *mpc.Setup) { s.Suite = charter.SuiteBIP340 },
	} {
		bend = edit
		refused(what, 2, []*nodetest.Host{a, b}, []*nodetest.Host{a, b, d})
	}
	bend, by = func(*mpc.Setup) {}, c
	w.Pass = nil
	w.Run("moved as signed", func() bool { return heldBy(w, vault, 2, a, b, d) })
	back := nodetest.Wish(vault, 2, a, b, c)
	w.SignReshareAll(back, a, b, c)
	w.Run("moved back", func() bool { return heldBy(w, vault, 2, a, b, c) })
	refused("the first one again", 2, []*nodetest.Host{a, b, c}, []*nodetest.Host{a, b, d})
	if _, in := recordAt(a, vault, w.Suite).Member(c.Self()); !in {
		t.Fatal("who came back has no seat")
	}
	if r := recordAt(a, vault, w.Suite); r.Mark() != 5 {
		t.Errorf("the mark of used indices is %d: who came back must have a new one", r.Mark())
	}
}

// A final certificate of a committee that officers did not sign moves nobody, though its members prove that they hold the key.
func TestUnsanctionedFinalCert(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	other := w.Clone(t, "fork") // there, the same keys sign another story
	oa, ob, oc, od := other.Hosts[0], other.Hosts[1], other.Hosts[2], other.Hosts[3]
	other.SignReshareAll(nodetest.Wish(vault, 2, oa, ob, od), oa, ob, oc, od)
	other.Run("moved in the other story", func() bool { return heldBy(other, vault, 2, oa, ob, od) })
	v, _ := oa.Keeper.Root(vault, w.Suite)
	note := frameOf(outbox.Note{Kind: ceremony.NoteFinalCert, Fields: [][]byte{v.Current.Encode()}})
	for _, h := range []*nodetest.Host{a, b, c} {
		w.Forge(d, h, note)
	}
	w.Try(time.Minute, func() bool { return false })
	if !w.HeldBy(a, vault, 2, a, b, c) || len(shareRows(w, c)) == 0 {
		t.Fatal("a certificate that no statement sanctions moved a member")
	}
}

// What a newcomer is told is verified: by the keys that its officer signed, the first committee's choice, and the chain.
func TestForgedIntroductions(t *testing.T) {
	t.Parallel()
	for name, forge := range map[string]func(f [][]byte, foreign [][]byte){
		"chain of another key":  func(f, foreign [][]byte) { f[4] = foreign[4] },
		"choice of another key": func(f, foreign [][]byte) { f[2] = foreign[2] },
		"signatures of another": func(f, foreign [][]byte) { f[3] = foreign[3] },
		"signature changed":     func(f, _ [][]byte) { f[3][len(f[3])-1] ^= 1 },
		"chain changed":         func(f, _ [][]byte) { f[4][len(f[4])-1] ^= 1 },
		"chain cut":             func(f, _ [][]byte) { f[4] = f[4][:len(f[4])-5] },
		"unknown suite":         func(f, _ [][]byte) { f[1] = []byte("nonsense") },
		"all of another vault":  func(f, foreign [][]byte) { copy(f[1:], foreign[1:]) },
	} {
		t.Run(name, func(t *testing.T) {
			w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 3)
			a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
			second := w.AcceptVault(w.VaultFile("second", 3, w.Hosts[:3]...), w.Hosts[:3]...)
			w.Run("the second vault's key is published", func() bool {
				v, ok := a.Keeper.Root(second, w.Suite)
				return ok && v.Current != nil
			})
			var true1, foreign *outbox.Note
			w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				if n := noteOf(p); n.Kind == ceremony.NoteIntroduction && p.To == d {
					if s, err := statement.ParseKind(n.Fields[2], statement.Key); err == nil && s.Fields().ID("vault") == vault {
						true1 = &n
					} else {
						foreign = &n
					}
					return nil
				}
				return []nodetest.Parcel{p}
			}
			w.SignReshareAll(nodetest.Wish(second, 3, a, b, d), a, b, c, d)
			w.SignReshareAll(nodetest.Wish(vault, 3, a, b, d), a, b, c, d)
			w.Run("the introductions are on their way", func() bool { return true1 != nil && foreign != nil })
			fields := make([][]byte, len(true1.Fields))
			for i, f := range true1.Fields {
				fields[i] = bytes.Clone(f)
			}
			forge(fields, foreign.Fields)
			w.Forge(a, d, frameOf(outbox.Note{Kind: ceremony.NoteIntroduction, Fields: fields}))
			if v, _ := d.Keeper.Root(vault, w.Suite); !v.Outside {
				t.Fatalf("the newcomer believes it: %s", v.Step)
			}
			w.Pass = nil
			w.Run("moved once the true one comes", func() bool { return heldBy(w, vault, 3, a, b, d) })
		})
	}
}

// Signing goes on until the final certificate, with the old shares; what waits for approvals must be proposed anew after it.
func TestSigningDuringAReshare(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(vault, "main", 1)); return err == nil })
	addr := address(t, w, vault, a, b, c)
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; k == ceremony.NoteFinal || k == ceremony.NoteFinalCert {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.SignReshareAll(nodetest.Wish(vault, 2, a, b, d), a, b, c, d)
	w.Run("all but the certificate is there", func() bool { return len(w.Rows(d, "final/")) > 0 && len(w.Rows(a, "final/")) > 0 })
	signs(t, w, vault, addr, 0, a, b, c)
	st := w.Propose(vault, addr, 1)
	w.Pass = nil
	w.Run("moved", func() bool { return heldBy(w, vault, 2, a, b, d) })
	w.Approve(st)
	w.Try(12*time.Minute, func() bool { return false })
	for _, h := range w.Hosts {
		if w.State(h, st.ID()).String() == "signed" {
			t.Fatalf("%s: an intent of an epoch that is over was signed", h.Own.Name)
		}
	}
	signs(t, w, vault, addr, 2, a, b, d)
}

// Officers' consent: one statement of each number, t of the committee before, the same words from all.
func TestReshareConsent(t *testing.T) {
	t.Parallel()
	w, vault := circleOf(t, charter.SuiteEd25519, 4, 3, 2)
	a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
	try := func(h *nodetest.Host, wish circle.Wish, want string) {
		t.Helper()
		_, _, err := h.Circle.PrepareReshare(w.Now, wish)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	try(a, nodetest.Wish(vault, 2, a, b, c), "held by these operators with this threshold already")
	try(a, nodetest.Wish(vault, 3, a, b), "it must be 2 to 2")
	try(a, circle.Wish{Vault: vault, Committee: []string{"nobody", "operator-0"}, Threshold: 2}, "nobody is no operator")
	try(a, nodetest.Wish(statement.ID{1}, 2, a, b), "is not known to this node")
	try(d, nodetest.Wish(vault, 2, a, b, d), "holds no key of it")
	first := w.SignReshare(a, true, nodetest.Wish(vault, 2, a, b, d))
	w.Deliver()
	try(b, nodetest.Wish(vault, 3, a, b, d), "differs in threshold from what operator-0 signed")
	try(b, nodetest.Wish(vault, 2, a, c, d), "differs in committee from what operator-0 signed")
	if got := w.SignReshare(d, false, nodetest.Wish(vault, 2, a, b, d)); got != first {
		t.Fatal("the newcomer did not meet the first officer's statement")
	}
	w.Deliver()
	// A second statement of one number by one officer is refused by its own node.
	x := a.Circle.Reshares(vault)[0]
	r, err := charter.ReshareOf(x.Statement)
	if err != nil {
		t.Fatal(err)
	}
	r.Threshold = 3
	again, err := r.Statement(w.Salt())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Circle.Accept(context.Background(), w.Now, again.Bytes(), a.Officer.Makes(t, again)); err == nil || !strings.Contains(err.Error(), "before") {
		t.Errorf("a second statement of one number: %v", err)
	}
	// Other keys than the node holds, however the officer came to sign them.
	r.Threshold, r.Number = 2, 5
	r.Keys[0].PublicKey = epochKeyOf(t, w, a, vault)
	other, err := r.Statement(w.Salt())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.Circle.Accept(context.Background(), w.Now, other.Bytes(), a.Officer.Makes(t, other)); err == nil || !strings.Contains(err.Error(), "public-key") {
		t.Errorf("another public key: %v", err)
	}
	// Its place is taken by another, of the next number.
	wish := nodetest.Wish(vault, 3, a, b, d)
	wish.Instead = true
	second := w.SignReshareAll(wish, b, a, d)
	if second == first {
		t.Fatal("it is the first one")
	}
	w.Run("moved to the second", func() bool { return heldBy(w, vault, 3, a, b, d) })
}

// epochKeyOf is another point than the key.
func epochKeyOf(t *testing.T, w *nodetest.World, h *nodetest.Host, vault statement.ID) []byte {
	t.Helper()
	r := recordAt(h, vault, w.Suite)
	g, err := epoch.GroupOf(r.Suite)
	if err != nil {
		t.Fatal(err)
	}
	return r.Public.Add(g.Generator()).Bytes()
}

// reshareStory is a reshare on a copy of a circle, with a blow; then a signature by the new committee.
func reshareStory(t *testing.T, ready *nodetest.World, vault statement.ID, b *blow) (all []blow) {
	t.Helper()
	w := ready.Clone(t, fmt.Sprint("reshare", b))
	before, fell := commits(w), new(bool)
	if b != nil {
		fell = b.strike(w)
	}
	x := w.Hosts
	wish := nodetest.Wish(vault, 3, x[0], x[1], x[3])
	w.SignReshareAll(wish, x...)
	w.Run("moved", func() bool {
		return w.All(func(h *nodetest.Host) bool { return w.HeldBy(h, vault, 3, x[0], x[1], x[3]) })
	})
	all = blows(w, before)
	if b == nil {
		return all
	}
	if !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	w.Fate = nil
	gone(t, w, x[2], vault)
	calmHosts(t, w, recordAt(x[0], vault, w.Suite).KeyID)
	addr := address(t, w, vault, x[0], x[1], x[3])
	signs(t, w, vault, addr, 0, x[0], x[1], x[3])
	believed(t, w)
	return all
}

func TestCrashAtEveryBatchOfReshare(t *testing.T) {
	t.Parallel()
	for suite, n := range map[string]int{charter.SuiteEd25519: 24, charter.SuiteECDSA: 6} {
		w, vault := circleOf(t, suite, 4, 3, 3)
		w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(vault, "main", 1)); return err == nil })
		all := reshareStory(t, w, vault, nil)
		some := pick(all, n)
		t.Logf("%s: %d of %d", suite, len(some), len(all))
		for _, b := range some {
			t.Run(suite+" "+b.String(), func(t *testing.T) { reshareStory(t, w, vault, &b) })
		}
	}
}
