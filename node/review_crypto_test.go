package node_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// strangers is a final certificate of an epoch that two made-up parties made, of a key of their own under another's key id.
func strangers(t *testing.T, keyID [32]byte, e uint64) *epoch.FinalCert {
	t.Helper()
	g, rand := secp256k1.Group{}, enginetest.Reader(7)
	x := g.Scalar(4711)
	poly, err := share.Sample(g, 2, x, rand)
	if err != nil {
		t.Fatal(err)
	}
	r := &epoch.Record{KeyID: keyID, Epoch: e, Suite: epoch.SuiteECDSA, Threshold: 2, Public: g.BaseMul(x)}
	if e > 0 {
		r.Prev, r.Used = epoch.Hash{1}, 2
	}
	var keys []ed25519.PrivateKey
	for i := range 2 {
		k := ed25519.NewKeyFromSeed(append(make([]byte, 31), byte(i+1)))
		id := k.Public().(ed25519.PublicKey)
		p := mpc.Party{ID: mpc.IDOf(id), Index: share.Index(i + 1), Identity: id}
		keys = append(keys, k)
		r.Members = append(r.Members, epoch.Member{Party: p, Public: g.BaseMul(poly.Eval(p.Index))})
	}
	c := &epoch.Cert{Record: r.Hash()}
	for _, k := range keys {
		c.Preps = append(c.Preps, epoch.SignPrep(r.Hash(), mpc.NewSigner(k)))
	}
	f := &epoch.FinalCert{Record: r, Cert: c}
	for i, m := range r.Members {
		final, err := epoch.MakeFinal(r, c, m.ID, poly.Eval(m.Index), rand, mpc.NewSigner(keys[i]))
		if err != nil {
			t.Fatal(err)
		}
		f.Finals = append(f.Finals, final)
	}
	return f
}

// A key id is known before its key: while the key is being made, one hostile peer shows a final certificate of this epoch or a later one, made
// by strangers, of another key. Nobody may move to it.
func TestStrangersCertificateBeforeTheKey(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	a, c := w.Hosts[0], w.Hosts[2]
	hold := true
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); hold && err == nil && env.Round > 1 {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	id := w.AcceptVault(w.VaultFile("treasury", 2))
	w.Run("an attempt is under way", func() bool { return len(w.Rows(a, "attempt/")) == 1 })
	number := binary.BigEndian.Uint64(w.Rows(a, "attempt/")[0].Value)
	for _, e := range []uint64{0, 1} {
		f := strangers(t, epoch.KeyID(id, epoch.SuiteECDSA, number), e)
		// not through the queue: the watch cannot read a record that no host made
		(setting{World: w}).tell(c, a, outbox.Note{Kind: ceremony.NoteFinalCert, Fields: [][]byte{f.Encode()}})
		if rows := w.Rows(a, "current/"); len(rows) > 0 {
			t.Fatalf("a moved to the strangers' record of epoch %d: its vault never gets a key", e)
		}
	}
	hold = false
	w.Run("the vault's key is published", func() bool { return w.Published(id) })
}

// The same, and the attempt goes on: what it keeps is of another key than what is in force, and the node, with all its vaults, does
// not start again.
func TestStrangersCertificateStopsNoNode(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	a, c := w.Hosts[0], w.Hosts[2]
	var held []nodetest.Parcel
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if env, err := mpc.ReadEnvelope(p.Frame); err == nil && env.Round > 1 {
			held = append(held, p)
			return nil
		}
		return []nodetest.Parcel{p}
	}
	id := w.AcceptVault(w.VaultFile("treasury", 2))
	w.Run("an attempt is under way", func() bool { return len(held) >= 6 })
	number := binary.BigEndian.Uint64(w.Rows(a, "attempt/")[0].Value)
	f := strangers(t, epoch.KeyID(id, epoch.SuiteECDSA, number), 1)
	(setting{World: w}).tell(c, a, outbox.Note{Kind: ceremony.NoteFinalCert, Fields: [][]byte{f.Encode()}})
	for len(held) > 0 {
		p := held[0]
		w.Queue, held = nil, held[1:]
		w.Act(p.To, func() { p.To.Deliver(context.Background(), w.Clock(p.To), p.From.Own.Identity, p.Frame) })
		held = append(held, w.Queue...)
	}
	w.Queue = nil
	w.Crash(a)
	w.Start(a) // ends the test if the node does not start
}

// ask gives the word of these hosts' operators for new shares.
func ask(t *testing.T, w *nodetest.World, id statement.ID, hosts ...*nodetest.Host) {
	t.Helper()
	for _, h := range hosts {
		if err := h.Keeper.AskRefresh(context.Background(), w.Clock(h), id, charter.SuiteECDSA); err != nil {
			t.Fatal(err)
		}
	}
}

func inEpoch(w *nodetest.World, id statement.ID, e uint64) func() bool {
	return func() bool {
		return w.All(func(h *nodetest.Host) bool {
			v, _ := h.Keeper.Root(id, charter.SuiteECDSA)
			return v.Current != nil && v.Current.Record.Epoch == e
		})
	}
}

// spoil changes what a host keeps of its pair with another.
func spoil(t *testing.T, w *nodetest.World, h *nodetest.Host, r *epoch.Record, peer engine.PartyID) {
	t.Helper()
	eh, self, name := r.Hash(), mpc.IDOf(h.Own.Identity), protocol.RowPair(peer)
	key := store.Key("epoch", store.ID(r.KeyID[:]), store.ID(eh[:]), store.Name(name))
	for _, it := range w.Rows(h, key) {
		open, err := h.Box.Open(nodetest.Label(self, r.KeyID, eh, name), it.Value)
		if err != nil {
			t.Fatal(err)
		}
		b := open.Expose()
		for i := 2; i < 8000; i += 16 { // every leaf, behind two version bytes
			b[i] ^= 1
		}
		sealed, err := h.Box.Seal(nodetest.Label(self, r.KeyID, eh, name), b)
		if err != nil {
			t.Fatal(err)
		}
		secret.Wipe(b)
		if err := h.Journal.Write(context.Background(), journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: key, Value: sealed}}}}); err != nil {
			t.Fatal(err)
		}
		h.Hostile = true
		return
	}
	t.Fatalf("no row %s", key)
}

// One operator withholds its FINAL of new shares, cheats in a second test, whose failed check burns the new pair, and then says
// FINAL. The pair that came into force is the one that was judged: it stays burned.
func TestBurnInATestOutlivesTheMove(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	w := s.World
	a, c := s.Hosts[0], s.Hosts[2]
	withhold := true
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; withhold && (p.From == c || p.To == c) && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	old := recordOf(w, s.vault)
	ask(t, w, s.vault, s.Hosts...)
	w.Run("two said FINAL of new shares, and the third keeps its own", func() bool {
		return w.All(func(h *nodetest.Host) bool { return len(w.Rows(h, "final/")) >= 4 }) && len(w.Rows(a, "final/")) == 5
	})
	var r *epoch.Record
	for _, it := range w.Rows(a, "epoch/") {
		if x, err := epoch.Decode(it.Value); err == nil && x.Hash() != old.Hash() {
			r = x
		}
	}
	self, peer := mpc.IDOf(a.Own.Identity), mpc.IDOf(c.Own.Identity)
	spoil(t, w, c, r, self)
	again := &mpc.Setup{
		Protocol: protocol.ProtocolTest, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold,
		Parties: r.Parties(), NotAfter: w.Now.Add(time.Minute).Truncate(time.Second),
	}
	if err := c.Sessions.Open(context.Background(), w.Now, again); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	if !slices.Contains(a.Sessions.Burned(r.Hash()), peer) {
		t.Fatalf("the cheat was not seen: %s", w.Tail())
	}
	withhold = false
	w.Run("the new shares are in force", inEpoch(w, s.vault, 1))
	if recordOf(w, s.vault).Hash() != r.Hash() {
		t.Fatal("another attempt came into force")
	}
	if !slices.Contains(a.Sessions.Burned(protocol.PairKey(r)), peer) {
		t.Errorf("the pair whose check failed is in force, and not burned")
	}
}

// A word for new shares that was given before a pair burned is no word about the burn.
func TestWordBeforeTheBurnDoesNotHealIt(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	w := s.World
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	key, peer := protocol.PairKey(recordOf(w, s.vault)), mpc.IDOf(c.Own.Identity)
	ask(t, w, s.vault, a)
	w.Try(time.Minute, func() bool { return false })
	burn := store.Entry{Key: store.BurnKey(key[:], peer[:]), Value: []byte(w.Now.UTC().Format(time.RFC3339) + " 00")}
	root := recordOf(w, s.vault).KeyID
	count := store.Entry{Key: store.Key("burns", store.ID(root[:]), store.ID(peer[:])), Value: binary.BigEndian.AppendUint64([]byte{1}, uint64(w.Now.Unix()))}
	if err := a.Journal.Write(context.Background(), journal.Entry{Batch: store.Batch{Put: []store.Entry{burn, count}}}); err != nil {
		t.Fatal(err)
	}
	w.Crash(a)
	w.Run("it is back", func() bool { return a.Up })
	if !slices.Contains(a.Sessions.Burned(key), peer) {
		t.Fatal("the burn is not known")
	}
	ask(t, w, s.vault, b, c)
	if w.Try(10*time.Minute, inEpoch(w, s.vault, 1)) {
		t.Errorf("new shares were made with the peer, and the burn lifted (%v), without a word after it", a.Sessions.Burned(key))
	}
}

// The third failed set-up of a pair is held against the peer in a refresh too (protocols.md 2.2).
func TestThirdFailedSetUpStopsARefresh(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	w := s.World
	a, c := s.Hosts[0], s.Hosts[2]
	peer := mpc.IDOf(c.Own.Identity)
	row := store.Entry{Key: store.Key("checks", store.ID(s.vault[:]), store.ID(peer[:])), Value: []byte{3}}
	if err := a.Journal.Write(context.Background(), journal.Entry{Batch: store.Batch{Put: []store.Entry{row}}}); err != nil {
		t.Fatal(err)
	}
	w.Crash(a)
	w.Run("it is back", func() bool { return a.Up })
	ask(t, w, s.vault, s.Hosts...)
	if w.Try(10*time.Minute, inEpoch(w, s.vault, 1)) {
		t.Error("a fourth set-up was made with the peer")
	}
}

// A disk that is full for one write, of the certificate or of the test's result: FINAL is said only when both are durable (protocols.md
// 1.5 step 4), and the node starts again.
func TestFinalWaitsForWhatItRestsOn(t *testing.T) {
	t.Parallel()
	for _, row := range []string{"/cert", "/tested"} {
		t.Run(row, func(t *testing.T) {
			w := nodetest.New(t, 3)
			w.Found()
			a, failed := w.Hosts[0], 0
			has := func(name string) bool {
				return slices.ContainsFunc(w.Rows(a, "epoch/"), func(it store.Item) bool { return strings.HasSuffix(it.Key, name) })
			}
			a.Disk.SetFault(func(b store.Batch) memory.Outcome {
				if failed == 0 && slices.ContainsFunc(b.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "epoch/") && strings.HasSuffix(e.Key, row) }) {
					failed++
					return memory.Full
				}
				return memory.Write
			})
			id := w.AcceptVault(w.VaultFile("treasury", 2))
			w.Run("a FINAL is durable", func() bool { return len(w.Rows(a, "final/")) > 0 })
			if failed == 0 {
				t.Fatal("no write failed")
			}
			self := mpc.IDOf(a.Own.Identity)
			own := slices.ContainsFunc(w.Rows(a, "final/"), func(it store.Item) bool { return strings.HasSuffix(it.Key, string(store.ID(self[:]))) })
			w.Run("it said FINAL", func() bool {
				own = own || slices.ContainsFunc(w.Rows(a, "final/"), func(it store.Item) bool { return strings.HasSuffix(it.Key, string(store.ID(self[:]))) })
				return own
			})
			if !has("/cert") || !has("/tested") {
				t.Errorf("FINAL was said, and certificate (%v) or test result (%v) is not durable", has("/cert"), has("/tested"))
			}
			a.Disk.SetFault(nil)
			w.Run("the vault's key is published", func() bool { return w.Published(id) })
			w.Crash(a)
			w.Start(a) // ends the test if the node does not start
		})
	}
}

// The same, and the node stops before the final certificate is there.
func TestStartsAfterACertificateWasNotKept(t *testing.T) {
	t.Parallel()
	for _, row := range []string{"/cert", "/tested"} {
		t.Run(row, func(t *testing.T) {
			w := nodetest.New(t, 3)
			w.Found()
			a, failed := w.Hosts[0], 0
			w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
				if k := noteOf(p).Kind; p.To == a && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			a.Disk.SetFault(func(b store.Batch) memory.Outcome {
				if failed == 0 && slices.ContainsFunc(b.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "epoch/") && strings.HasSuffix(e.Key, row) }) {
					failed++
					return memory.Full
				}
				return memory.Write
			})
			w.AcceptVault(w.VaultFile("treasury", 2))
			w.Run("it said FINAL", func() bool { return len(w.Rows(a, "final/")) > 0 })
			a.Disk.SetFault(nil)
			w.Crash(a)
			w.Start(a) // ends the test if the node does not start
		})
	}
}
