package ceremony

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
)

// A keeper is one operator over all epochs: its disk, and its book of the key. It is honest.
type keeper struct {
	session.Party
	key  ed25519.PrivateKey
	disk map[epoch.Hash]map[string][]byte
	book *epoch.Book
}

// A churn is a key that goes from hand to hand.
type churn struct {
	t      *testing.T
	dice   *rand.Rand
	com    *committee // joins sessions
	all    map[engine.PartyID]*keeper
	suite  string
	most   int // members at most
	record *epoch.Record
	first  *epoch.Record
	chain  *epoch.Chain
	past   []*epoch.Record
	counts map[string]int // what happened
}

// walk makes consecutive epochs with random joins, leaves and thresholds: the key stays, every epoch
// signs, and of no old one are as many shares left on the disks as would sign.
func walk(t *testing.T, suite string, epochs, pool, most int) {
	seed := uint64(time.Now().Unix() / 86400)
	t.Logf("seed %d", seed)
	c := &churn{t: t, dice: rand.New(rand.NewPCG(seed, 3)), com: newCommittee(pool), all: map[engine.PartyID]*keeper{}, suite: suite, most: most, counts: map[string]int{}}
	for _, p := range c.com.parties {
		p.Index = 0
		c.all[p.ID] = &keeper{Party: p, key: c.com.keys[p.ID], disk: map[epoch.Hash]map[string][]byte{}, book: epoch.NewBook()}
	}
	c.begin()
	for i := range epochs {
		c.step()
		if t.Failed() {
			t.Fatalf("epoch %d of %d, seed %d", i+1, epochs, seed)
		}
	}
	if c.record.Epoch != uint64(epochs) || !c.record.Public.Equal(c.first.Public) || c.record.ChainCode != c.first.ChainCode {
		t.Fatalf("the record is of epoch %d, or the key changed", c.record.Epoch)
	}
	opened, err := epoch.OpenChain(c.chain.Encode(), epoch.Enrolment{KeyID: c.first.KeyID, Public: c.first.Public})
	if err != nil || len(opened.Links()) != epochs+1 {
		t.Fatalf("the chain from epoch 0 to the last: %v", err)
	}
	t.Logf("%d epochs: %v; highest index %d", epochs, c.counts, c.record.Mark())
	for _, what := range []string{"joined", "left", "threshold changed", "refresh", "stale shares"} {
		if c.counts[what] == 0 {
			t.Errorf("never happened: %s", what)
		}
	}
}

func TestManyEpochs(t *testing.T) {
	for _, suite := range []string{epoch.SuiteBIP340, epoch.SuiteEd25519} {
		t.Run(suite, func(t *testing.T) { walk(t, suite, frostEpochs, 7, 5) })
	}
	t.Run(epoch.SuiteECDSA, func(t *testing.T) { walk(t, epoch.SuiteECDSA, ecdsaEpochs, 5, 3) })
}

// begin makes epoch 0.
func (c *churn) begin() {
	c.t.Helper()
	n := 2 + c.dice.IntN(c.most-1)
	setup := &session.Setup{Protocol: ProtocolKeygen, Suite: c.suite, KeyID: [32]byte{1}, Threshold: 2, Parties: c.com.parties[:n]}
	r, cert := c.run(setup, unguarded)
	c.first = r
	c.inForce(r, cert, nil)
}

// step is the next epoch.
func (c *churn) step() {
	c.t.Helper()
	if c.suite != epoch.SuiteECDSA && c.dice.IntN(4) == 0 {
		// An attempt of which nothing comes: its record stays pending until a later attempt is in force.
		c.attempt(1)
		c.counts["given up"]++
	}
	r, cert, left := c.attempt(2)
	c.inForce(r, cert, left)
}

// attempt is one refresh or reshare, up to its certificate. left are the members who have no seat in it.
func (c *churn) attempt(number uint64) (r *epoch.Record, cert *epoch.Cert, left []engine.PartyID) {
	c.t.Helper()
	old := c.record
	change := &Change{Attempt: number}
	setup := &session.Setup{
		Protocol: ProtocolRefresh, Suite: c.suite, KeyID: old.KeyID, Epoch: old.Hash(), Threshold: old.Threshold, Parties: old.Parties(),
	}
	if c.dice.IntN(4) > 0 {
		left = c.plan(setup, change)
	}
	setup.Payload = change.Encode()
	lower := setup.Threshold < old.Threshold
	r, cert = c.run(setup, func(s Seat) (engine.Stage[Prepared], error) {
		_, member := old.Member(s.Self)
		deals := member && (s.Setup.Protocol == ProtocolRefresh || slices.Contains(change.Dealers, s.Self))
		if !deals {
			return Reshare(s, old, nil, lower, nil)
		}
		k, err := loaded(s.Self, c.all[s.Self].disk[old.Hash()])
		if err != nil {
			return nil, err
		}
		if s.Setup.Protocol == ProtocolRefresh {
			return Refresh(s, k, nil)
		}
		return Reshare(s, old, k, lower, nil)
	})
	return r, cert, left
}

// plan makes a setup a reshare's: any committee and threshold that the rules allow.
func (c *churn) plan(setup *session.Setup, change *Change) (left []engine.PartyID) {
	c.t.Helper()
	old := c.record
	ids := slices.Clone(c.com.parties)
	for {
		c.dice.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
		members := slices.Clone(ids[:2+c.dice.IntN(c.most-1)])
		seats, err := old.Seats(members, c.all[old.Members[0].ID].book.Mark())
		if err != nil {
			c.t.Fatal(err)
		}
		setup.Threshold = 2 + c.dice.IntN(len(seats)-1)
		dealers := slices.Clone(old.Members)
		c.dice.Shuffle(len(dealers), func(i, j int) { dealers[i], dealers[j] = dealers[j], dealers[i] })
		dealers = dealers[:old.Threshold+c.dice.IntN(len(dealers)-old.Threshold+1)]
		slices.SortFunc(dealers, func(a, b epoch.Member) int { return int(a.Index) - int(b.Index) })
		change.Dealers, change.Members, setup.Parties, left = nil, nil, slices.Clone(seats), nil
		for _, d := range dealers {
			change.Dealers = append(change.Dealers, d.ID)
		}
		for _, p := range seats {
			change.Members = append(change.Members, p.ID)
		}
		for _, m := range old.Members {
			if slices.Contains(change.Members, m.ID) {
				continue
			}
			left = append(left, m.ID)
			if slices.Contains(change.Dealers, m.ID) {
				setup.Parties = append(setup.Parties, m.Party)
			}
		}
		slices.SortFunc(setup.Parties, func(a, b session.Party) int { return int(a.Index) - int(b.Index) })
		rules := epoch.Change{Parent: old, Dealers: change.Dealers, LowerThreshold: true}
		if rules.Allows(setup.Threshold, seats) == nil {
			setup.Protocol = ProtocolReshare
			return left
		}
	}
}

// run is a ceremony among the parties of a setup: each keeps its rows, reads its share back, and prepares the record.
func (c *churn) run(setup *session.Setup, first func(Seat) (engine.Stage[Prepared], error)) (*epoch.Record, *epoch.Cert) {
	c.t.Helper()
	run := enginetest.Run(enginetest.Options{Seed: c.dice.Uint64()}, machines(c.t, c.com.join(c.t, setup), first)...)
	results, err := run.Results()
	if err != nil {
		c.t.Fatal(err)
	}
	r, cert := results[0].Record, results[0].Cert
	for i, p := range setup.Parties {
		k, eh := c.all[p.ID], results[i].Record.Hash()
		if eh != r.Hash() {
			c.t.Fatalf("party %v prepares another record", p.ID)
		}
		k.disk[eh] = saved(run.Party(p.ID))
		if _, member := r.Member(p.ID); member {
			keys, err := loaded(p.ID, k.disk[eh])
			if err != nil {
				c.t.Fatal(err)
			}
			keys.Wipe()
		}
		if cur := k.book.Current(); c.record != nil && (cur == nil || cur.Record.Hash() != c.record.Hash()) {
			k.adopt(c.t, c.chain.Last()) // a newcomer, or one who comes back, verified the chain
		}
		prepare := k.book.Prepare
		if c.record != nil && c.record.Lowers(r) {
			prepare = k.book.PrepareLower
		}
		if err := prepare(r); err != nil {
			c.t.Fatal(err)
		}
		if err := k.book.Certify(results[i].Cert); err != nil {
			c.t.Fatal(err)
		}
	}
	return r, cert
}

// keys reads the members' secrets from their disks.
func (c *churn) keys(r *epoch.Record) map[engine.PartyID]*Keys {
	c.t.Helper()
	out := map[engine.PartyID]*Keys{}
	for _, m := range r.Members {
		k, err := loaded(m.ID, c.all[m.ID].disk[r.Hash()])
		if err != nil {
			c.t.Fatal(err)
		}
		out[m.ID] = k
	}
	return out
}

// inForce brings a certified record into force: all sign a test and FINAL, and whoever hears of it erases what is
// lower. Fewer old members than the old threshold hear of it late, or never.
func (c *churn) inForce(r *epoch.Record, cert *epoch.Cert, left []engine.PartyID) {
	c.t.Helper()
	keys := c.keys(r)
	c.sign(r, keys, r.Parties(), ProtocolTest)
	fc := &epoch.FinalCert{Record: r, Cert: cert}
	for _, m := range r.Members {
		book := c.all[m.ID].book
		if err := book.Tested(r.Hash()); err != nil {
			c.t.Fatal(err)
		}
		p, err := book.MayFinal(r.Hash())
		if err != nil {
			c.t.Fatal(err)
		}
		if p.Final, err = epoch.MakeFinal(r, cert, m.ID, keys[m.ID].Share, enginetest.Reader(c.dice.Uint64()), session.NewSigner(c.all[m.ID].key)); err != nil {
			c.t.Fatal(err)
		}
		fc.Finals = append(fc.Finals, p.Final)
	}
	fc, err := epoch.DecodeFinalCert(fc.Encode())
	if err == nil && c.chain == nil {
		c.chain, err = epoch.NewChain(fc, epoch.Enrolment{KeyID: r.KeyID, Public: r.Public})
	} else if err == nil {
		c.chain, err = c.chain.Extend(fc)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	old := c.record
	deaf := c.deaf(old, left)
	for _, id := range slices.SortedFunc(maps.Keys(c.all), func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) }) {
		if k := c.all[id]; k.book.Current() != nil && !deaf[id] || fits(r, id) {
			k.adopt(c.t, fc)
		}
	}
	c.record = r
	if old != nil {
		c.count(old, r)
		c.past = append(c.past, old)
	}
	c.check(keys)
	signers := slices.Clone(r.Parties())
	c.dice.Shuffle(len(signers), func(i, j int) { signers[i], signers[j] = signers[j], signers[i] })
	signers = signers[:r.Threshold]
	slices.SortFunc(signers, func(a, b session.Party) int { return int(a.Index) - int(b.Index) })
	c.sign(r, keys, signers, ProtocolSign)
}

func fits(r *epoch.Record, id engine.PartyID) bool { _, ok := r.Member(id); return ok }

// deaf are those who left and do not hear of the certificate: fewer than the old threshold.
func (c *churn) deaf(old *epoch.Record, left []engine.PartyID) map[engine.PartyID]bool {
	out := map[engine.PartyID]bool{}
	for _, id := range left {
		if len(out) < old.Threshold-1 && c.dice.IntN(2) == 0 {
			out[id] = true
		}
	}
	// Who was deaf before may go on being so: it holds shares of older epochs alone.
	for id, k := range c.all {
		if cur := k.book.Current(); cur != nil && old != nil && cur.Record.Hash() != old.Hash() {
			out[id] = true
		}
	}
	return out
}

// adopt moves a book, and erases.
func (k *keeper) adopt(t *testing.T, f *epoch.FinalCert) {
	t.Helper()
	erase, moved := k.book.Adopt(f)
	if !moved {
		t.Fatalf("party %v does not move to record %v", k.ID, f.Record.Hash())
	}
	for _, eh := range erase {
		for name := range k.disk[eh] {
			if name != RowRecord {
				delete(k.disk[eh], name)
			}
		}
	}
}

func (c *churn) count(old, r *epoch.Record) {
	refresh := old.Threshold == r.Threshold && len(old.Members) == len(r.Members)
	for _, m := range r.Members {
		if !fits(old, m.ID) {
			c.counts["joined"]++
			refresh = false
		}
	}
	for _, m := range old.Members {
		if !fits(r, m.ID) {
			c.counts["left"]++
		}
	}
	if old.Threshold != r.Threshold {
		c.counts["threshold changed"]++
	}
	if refresh {
		c.counts["refresh"]++
	}
}

// check looks at all disks: every member of what is in force has its share, any threshold of them makes the key, one
// fewer does not; of every older epoch fewer than its threshold are left, and they are of no use beside new ones.
func (c *churn) check(keys map[engine.PartyID]*Keys) {
	c.t.Helper()
	r := c.record
	if !r.Public.Equal(c.first.Public) || r.ChainCode != c.first.ChainCode || r.KeyID != c.first.KeyID {
		c.t.Fatal("the key has changed")
	}
	var now []*Keys
	for _, m := range r.Members {
		now = append(now, keys[m.ID])
	}
	c.dice.Shuffle(len(now), func(i, j int) { now[i], now[j] = now[j], now[i] })
	if !keyOf(c.t, now[:r.Threshold]...).Equal(r.Public) || keyOf(c.t, now[:r.Threshold-1]...).Equal(r.Public) {
		c.t.Error("the threshold's number of shares does not give the key, or one fewer does")
	}
	for _, old := range c.past {
		left := 0
		for _, m := range old.Members {
			x, held := c.stale(old, m)
			if !held {
				continue
			}
			left++
			c.counts["stale shares"]++
			c.useless(x, m.Index, now)
		}
		if left >= old.Threshold {
			c.t.Errorf("%d shares of epoch %d are left, its threshold is %d", left, old.Epoch, old.Threshold)
		}
	}
}

// stale is a share of an old epoch that is still on its member's disk.
func (c *churn) stale(old *epoch.Record, m epoch.Member) (group.Scalar, bool) {
	raw := c.all[m.ID].disk[old.Hash()][RowShare]
	if raw == nil {
		return nil, false
	}
	x, err := old.Public.Group().DecodeScalar(raw)
	if err != nil || !old.Public.Group().BaseMul(x).Equal(m.Public) {
		c.t.Fatalf("party %v holds a share of epoch %d that is none: %v", m.ID, old.Epoch, err)
	}
	return x, true
}

// useless wants that an old share, beside one fewer of the present ones than the threshold, does not give the key (I14).
func (c *churn) useless(x group.Scalar, at share.Index, now []*Keys) {
	c.t.Helper()
	g, points, values := c.record.Public.Group(), []share.Index{at}, []group.Scalar{x}
	for _, k := range now {
		i := slices.IndexFunc(c.record.Members, func(m epoch.Member) bool { return m.Public.Equal(g.BaseMul(k.Share)) })
		if m := c.record.Members[i]; m.Index != at && len(points) < c.record.Threshold {
			points, values = append(points, m.Index), append(values, k.Share)
		}
	}
	sum, err := share.Interpolate(g, points, values)
	if err != nil {
		c.t.Fatal(err)
	}
	if g.BaseMul(sum).Equal(c.record.Public) {
		c.t.Error("an old share helps new ones to the key")
	}
}

// sign runs a test or a signature; the engine verified what comes out.
func (c *churn) sign(r *epoch.Record, keys map[engine.PartyID]*Keys, signers []session.Party, protocol string) {
	c.t.Helper()
	setup := &session.Setup{Protocol: protocol, Suite: r.Suite, KeyID: r.KeyID, Epoch: r.Hash(), Threshold: r.Threshold, Parties: signers}
	message := sha256.Sum256(fmt.Appendf(nil, "epoch %d", r.Epoch))
	digest, err := Digest(r.Suite, message[:])
	if err != nil {
		c.t.Fatal(err)
	}
	if protocol == ProtocolSign {
		setup.Payload = (&Request{Purpose: "transaction", Path: hd.Path{1, 2, uint32(r.Epoch)}, Digest: digest}).Encode()
	}
	run := enginetest.Run(enginetest.Options{Seed: c.dice.Uint64()}, machines(c.t, c.com.join(c.t, setup), func(s Seat) (engine.Stage[Signature], error) {
		if protocol == ProtocolTest {
			return Test(s, keys[s.Self])
		}
		return Sign(s, keys[s.Self], message[:])
	})...)
	sigs, err := run.Results()
	if err != nil {
		c.t.Fatalf("%s in epoch %d: %v", protocol, r.Epoch, err)
	}
	if slices.ContainsFunc(sigs, func(s Signature) bool { return strings.Trim(s.String(), "0") == "" }) {
		c.t.Error("an empty signature")
	}
}
