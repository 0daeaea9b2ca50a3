package dkls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

// stub is a presignature that no session made: pools look at its names alone.
func stub(p *Pool, name byte, key, epoch [32]byte, signers []session.Party) (Presignature, error) {
	t, err := p.Reserve(key, epoch, signers)
	q := &presig{id: PresigID{name}, keyID: key, epoch: epoch, signers: signers, ticket: t}
	q.phi.Set(secp256k1.NewScalar(1))
	return newPresignature(q), err
}

func newPool(t *testing.T) *Pool {
	t.Helper()
	p, err := NewPool(fence, Ticket{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func put(t *testing.T, p *Pool, name byte, key, epoch [32]byte, signers []session.Party) Presignature {
	t.Helper()
	v, err := stub(p, name, key, epoch, signers)
	if err == nil {
		err = p.Put(v)
	}
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func claimOf(name byte, key, epoch [32]byte, signers []session.Party) Claim {
	return Claim{ID: PresigID{name}, KeyID: key, Epoch: epoch, Signers: signers, Use: Use{Setup: [32]byte{name, 1}, Digest: [32]byte{name, 2}}, Fence: fence}
}

func wiped(v Presignature) bool {
	q := v.held()
	return q.life == gone && q.phi.IsZero() && q.u.IsZero() && q.v.IsZero()
}

func seats(indices ...int) (all []session.Party) {
	ids := enginetest.IDs(9)
	for _, i := range indices {
		all = append(all, session.Party{ID: ids[i], Index: share.Index(1 + 255*i)})
	}
	return all
}

func TestPoolGivesEachOutOnce(t *testing.T) {
	p, s := newPool(t), seats(0, 1)
	a, b := put(t, p, 1, keyID, eh, s), put(t, p, 2, keyID, eh, s)
	if ids := p.IDs(keyID, eh, s); !slices.Equal(ids, []PresigID{{1}, {2}}) {
		t.Fatalf("holds %v", ids)
	}
	got, burn, err := p.Take(claimOf(2, keyID, eh, s))
	want := &Burn{ID: PresigID{2}, Ticket: Ticket{fence, 2}, KeyID: keyID, Epoch: eh, Use: Use{Setup: [32]byte{2, 1}, Digest: [32]byte{2, 2}}}
	if err != nil || *burn != *want || got.held() != b.held() {
		t.Fatalf("took %v with %+v, %v", got.ID(), burn, err)
	}
	if _, _, err := p.Take(claimOf(2, keyID, eh, s)); !errors.Is(err, ErrNotHeld) {
		t.Errorf("a second take: %v", err)
	}
	if _, _, err := p.Take(claimOf(1, keyID, eh, s)); err != nil {
		t.Errorf("an older one after a newer one: %v", err)
	}
	if wiped(a) || wiped(b) {
		t.Error("what was taken is the taker's, and not wiped")
	}
	if ids := p.IDs(keyID, eh, s); len(ids) > 0 {
		t.Errorf("holds %v", ids)
	}
}

// A claim for another key, epoch or signer set takes nothing and costs nothing: else an opener
// could empty a pool by naming what does not fit.
func TestPoolTakesForItsOwnSlotOnly(t *testing.T) {
	p, s := newPool(t), seats(0, 1)
	put(t, p, 1, keyID, eh, s)
	for name, spoil := range map[string]func(*Claim){
		"id": func(c *Claim) { c.ID[3] ^= 1 }, "key": func(c *Claim) { c.KeyID[0] ^= 1 }, "epoch": func(c *Claim) { c.Epoch[0] ^= 1 },
		"signers": func(c *Claim) { c.Signers = seats(0, 2) }, "fewer signers": func(c *Claim) { c.Signers = s[:1] },
		"an index": func(c *Claim) { c.Signers = slices.Clone(s); c.Signers[1].Index++ },
	} {
		c := claimOf(1, keyID, eh, s)
		spoil(&c)
		if _, _, err := p.Take(c); !errors.Is(err, ErrNotHeld) {
			t.Errorf("another %s: %v", name, err)
		}
	}
	if _, _, err := p.Take(claimOf(1, keyID, eh, s)); err != nil {
		t.Error(err)
	}
}

func TestPoolIsBounded(t *testing.T) {
	p, s := newPool(t), seats(0, 1)
	for i := range PoolCapacity - 1 {
		put(t, p, byte(i), keyID, eh, s)
	}
	last, err := p.Reserve(keyID, eh, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Reserve(keyID, eh, s); !errors.Is(err, ErrPoolFull) {
		t.Errorf("a session under way does not count: %v", err)
	}
	if _, err := p.Reserve(keyID, eh, seats(0, 2)); err != nil {
		t.Errorf("another signer set: %v", err)
	}
	p.Release(last)
	if _, err := p.Reserve(keyID, eh, s); err != nil {
		t.Errorf("after a release: %v", err)
	}
	if _, _, err := p.Take(claimOf(0, keyID, eh, s)); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Reserve(keyID, eh, s); err != nil {
		t.Errorf("after a take: %v", err)
	}
}

// Whatever is no fresh result of a session of this pool is refused, and wiped.
func TestPoolRefuses(t *testing.T) {
	s := seats(0, 1)
	for name, c := range map[string]struct {
		spoil func(p *Pool, q *presig)
		want  error
	}{
		"no ticket":               {func(_ *Pool, q *presig) { q.ticket = Ticket{} }, ErrTicket},
		"a ticket of the past":    {func(_ *Pool, q *presig) { q.ticket.Fence-- }, ErrTicket},
		"a ticket of the future":  {func(_ *Pool, q *presig) { q.ticket.Counter++ }, ErrTicket},
		"a ticket given up":       {func(p *Pool, q *presig) { p.Release(q.ticket) }, ErrTicket},
		"another signer set":      {func(_ *Pool, q *presig) { q.signers = seats(0, 2) }, ErrTicket},
		"another epoch":           {func(_ *Pool, q *presig) { q.epoch[1] ^= 1 }, ErrTicket},
		"below the high-water":    {func(p *Pool, q *presig) { p.high = q.ticket }, ErrTicket},
		"a name that is held":     {func(_ *Pool, q *presig) { q.id = PresigID{1} }, ErrTicket},
		"one that was taken":      {func(_ *Pool, q *presig) { q.life = taken }, errUsed},
		"one that was wiped":      {func(_ *Pool, q *presig) { q.wipe() }, errUsed},
		"dropped with its pair":   {func(p *Pool, _ *presig) { p.DropPair(engine.Token{Key: keyID, Peer: s[1].ID}) }, ErrTicket},
		"dropped with its epoch":  {func(p *Pool, _ *presig) { p.DropEpochs(keyID, [32]byte{1}) }, ErrTicket},
		"dropped with its key":    {func(p *Pool, _ *presig) { p.DropKey(keyID) }, ErrTicket},
		"dropped with everything": {func(p *Pool, _ *presig) { p.DropAll() }, ErrTicket},
	} {
		p := newPool(t)
		put(t, p, 1, keyID, eh, s)
		v, err := stub(p, 2, keyID, eh, s)
		if err != nil {
			t.Fatal(err)
		}
		c.spoil(p, v.held())
		if err := p.Put(v); !errors.Is(err, c.want) || !wiped(v) {
			t.Errorf("%s: %v", name, err)
		}
		if _, _, err := p.Take(claimOf(2, keyID, eh, s)); !errors.Is(err, ErrNotHeld) {
			t.Errorf("%s: was taken, %v", name, err)
		}
	}
}

// Put again while it is in a pool, there or in another, changes nothing.
func TestPoolRefusesASecondPut(t *testing.T) {
	p, other, s := newPool(t), newPool(t), seats(0, 1)
	v := put(t, p, 1, keyID, eh, s)
	var own *engine.Misuse
	for _, at := range []*Pool{p, other} {
		if err := at.Put(v); !errors.As(err, &own) {
			t.Error(err)
		}
	}
	if err := p.Put(Presignature{}); !errors.As(err, &own) {
		t.Error(err)
	}
	if _, _, err := p.Take(claimOf(1, keyID, eh, s)); err != nil {
		t.Error(err)
	}
}

func TestPoolDrops(t *testing.T) {
	other, next := [32]byte{99}, [32]byte{9}
	for name, c := range map[string]struct {
		drop func(p *Pool) int
		gone []byte // names of those that go
	}{
		"pair":       {func(p *Pool) int { return p.DropPair(engine.Token{Key: keyID, Peer: seats(2)[0].ID}) }, []byte{2, 3}},
		"first pair": {func(p *Pool) int { return p.DropPair(engine.Token{Key: keyID, Peer: seats(0)[0].ID}) }, []byte{1, 2, 4}},
		"epoch":      {func(p *Pool) int { return p.DropEpochs(keyID, next) }, []byte{1, 2, 3}},
		"key":        {func(p *Pool) int { return p.DropKey(keyID) }, []byte{1, 2, 3, 4}},
		"all":        {(*Pool).DropAll, []byte{1, 2, 3, 4, 5}},
		"one":        {func(p *Pool) int { return p.Drop(PresigID{3}) }, []byte{3}},
		"none":       {func(p *Pool) int { return p.Drop(PresigID{33}) }, nil},
	} {
		p := newPool(t)
		held := map[byte]Presignature{
			1: put(t, p, 1, keyID, eh, seats(0, 1)), 2: put(t, p, 2, keyID, eh, seats(0, 2)), 3: put(t, p, 3, keyID, eh, seats(1, 2)),
			4: put(t, p, 4, keyID, next, seats(0, 1)), 5: put(t, p, 5, other, eh, seats(0, 2)),
		}
		if n := c.drop(p); n != len(c.gone) {
			t.Errorf("%s: dropped %d, want %d", name, n, len(c.gone))
		}
		for k, v := range held {
			q := v.held()
			_, _, err := p.Take(claimOf(k, q.keyID, q.epoch, q.signers))
			if drop := slices.Contains(c.gone, k); wiped(v) != drop || (err != nil) != drop {
				t.Errorf("%s: %d is wiped %v, taken with %v", name, k, wiped(v), err)
			}
		}
	}
}

// A fencing token that moved on ends the pool for good: another instance has the lease.
func TestPoolEndsWithItsLease(t *testing.T) {
	p, s := newPool(t), seats(0, 1)
	v := put(t, p, 1, keyID, eh, s)
	late, err := stub(p, 2, keyID, eh, s)
	if err != nil {
		t.Fatal(err)
	}
	c := claimOf(1, keyID, eh, s)
	c.Fence++
	if _, _, err := p.Take(c); !errors.Is(err, ErrFenced) || !wiped(v) {
		t.Error(err)
	}
	if err := p.Put(late); !errors.Is(err, ErrTicket) || !wiped(late) {
		t.Error(err)
	}
	if _, err := p.Reserve(keyID, eh, s); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
	if _, _, err := p.Take(claimOf(1, keyID, eh, s)); !errors.Is(err, ErrFenced) {
		t.Error(err)
	}
}

func TestNewPoolRefusesAFenceOfThePast(t *testing.T) {
	var own *engine.Misuse
	for _, c := range []struct {
		fence uint64
		high  Ticket
		size  int
		ok    bool
	}{{0, Ticket{}, 0, false}, {1, Ticket{}, 0, true}, {4, Ticket{4, 0}, 0, false}, {4, Ticket{5, 1}, 0, false}, {5, Ticket{4, 1 << 60}, 1, true}, {5, Ticket{}, -1, false}} {
		p, err := NewPool(c.fence, c.high, c.size)
		if (err == nil) != c.ok || !c.ok && !errors.As(err, &own) {
			t.Errorf("%+v: %v", c, err)
		}
		if c.ok && p.high.compare(c.high) <= 0 {
			t.Errorf("%+v: high-water mark is %v", c, p.high)
		}
	}
}

// Row 15: what was taken never comes back, in whatever order life goes on: neither in its own pool,
// nor after a restart, nor at a twin or clone with the same memory whose host keeps burn records
// in one place.
func TestTakenNeverComesBack(t *testing.T) {
	p, s := newPool(t), seats(0, 1)
	v := put(t, p, 1, keyID, eh, s)
	clone := newPool(t)
	clone.last, clone.held[PresigID{1}] = p.last, copied(v).held() // a snapshot of the memory

	store := map[string][]byte{} // what is durable: a name is written once
	burn := func(b *Burn) bool {
		_, twice := store[b.Name()]
		store[b.Name()] = b.Encode()
		return !twice
	}
	_, b, err := p.Take(claimOf(1, keyID, eh, s))
	if err != nil || !burn(b) {
		t.Fatal(err)
	}
	if err := p.Put(v); err == nil {
		t.Error("put again after it was taken")
	}
	if _, b, err = clone.Take(claimOf(1, keyID, eh, s)); err != nil || burn(b) {
		t.Errorf("the clone's record was taken as the first: %v", err)
	}
	// A restart: a new life begins above all burn records, with nothing in memory.
	if _, err := NewPool(fence, b.Ticket, 0); err == nil {
		t.Error("a new life has the old one's fencing token")
	}
	next, err := NewPool(fence+1, b.Ticket, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := claimOf(1, keyID, eh, s)
	c.Fence++
	if _, _, err := next.Take(c); !errors.Is(err, ErrNotHeld) {
		t.Error(err)
	}
	q := *v.held() // and were it there by some miracle
	q.life = fresh
	if err := next.Put(newPresignature(&q)); !errors.Is(err, ErrTicket) {
		t.Error(err)
	}
	q.life, next.held[q.id] = pooled, &q
	if _, _, err := next.Take(c); !errors.Is(err, ErrTicket) {
		t.Errorf("below the high-water mark: %v", err)
	}
}

func TestBurnRecord(t *testing.T) {
	b := &Burn{ID: PresigID{1}, Ticket: Ticket{2, 3}, KeyID: [32]byte{4}, Epoch: [32]byte{5}, Use: Use{Setup: [32]byte{6}, Digest: [32]byte{7}}}
	golden(t, "testdata/burn.txt", fmt.Sprintf("%s\n%x\n", b.Name(), b.Encode()))
	got, err := DecodeBurn(b.Encode())
	if err != nil || *got != *b {
		t.Errorf("%+v, %v", got, err)
	}
	for _, in := range [][]byte{nil, b.Encode()[1:], append(b.Encode(), 0), bytes.Repeat([]byte{0xff}, 300)} {
		if _, err := DecodeBurn(in); err == nil {
			t.Errorf("took %x", in)
		}
	}
}

func FuzzDecodeBurn(f *testing.F) {
	f.Add((&Burn{Ticket: Ticket{1, 1 << 63}}).Encode())
	f.Add([]byte{0, 1, 0, 0, 0, 32})
	f.Fuzz(func(t *testing.T, in []byte) {
		if b, err := DecodeBurn(in); err == nil && !bytes.Equal(b.Encode(), in) {
			t.Fatalf("decode then encode changed %x", in)
		}
	})
}

// Count tells what is held from what is being made, over all signer sets of one key and of no other.
func TestPoolCounts(t *testing.T) {
	p, err := NewPool(1, Ticket{}, 0)
	if err != nil {
		t.Fatal(err)
	}
	sets := [][]session.Party{{{Index: 1}, {Index: 2}}, {{Index: 1}, {Index: 3}}}
	for i, key := range [][32]byte{{1}, {1}, {2}} {
		ticket, err := p.Reserve(key, [32]byte{9}, sets[i%2])
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			q := &presig{id: PresigID{1}, keyID: key, epoch: [32]byte{9}, signers: sets[1], ticket: ticket}
			if err := p.Put(newPresignature(q)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for key, want := range map[[32]byte][2]int{{1}: {1, 1}, {2}: {0, 1}, {3}: {}} {
		if held, open := p.Count(key); [2]int{held, open} != want {
			t.Errorf("key %x: %d held, %d being made, want %v", key[:1], held, open, want)
		}
	}
}
