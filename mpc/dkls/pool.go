package dkls

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// PoolCapacity is how many presignatures a Pool holds for each signer set if nothing else is said.
const PoolCapacity = 16

// A Pool holds one party's presignatures, each until it is taken once or dropped: spec/presign 3. It is
// in memory alone, belongs to one life of one process, and is not safe for concurrent use.
type Pool struct {
	fence    uint64
	capacity int
	last     uint64 // counter of the newest ticket
	high     Ticket // tickets up to here are of the past, and refused
	open     map[Ticket]slot
	held     map[PresigID]*presig
	over     bool // the fencing token moved on
}

// A slot is what presignatures can stand in for each other in: key, epoch and signer set.
type slot struct {
	key, epoch [32]byte
	signers    string
}

func slotOf(key, epoch [32]byte, signers []session.Party) slot {
	var s []byte
	for _, p := range signers {
		s = append(append(s, p.ID[:]...), byte(p.Index>>8), byte(p.Index))
	}
	return slot{key, epoch, string(s)}
}

// Why a pool refuses.
var (
	ErrPoolFull = errors.New("the pool holds, or waits for, as many presignatures of these signers as it may")
	ErrTicket   = errors.New("the presignature's ticket is of the past, of another pool or of other signers, or was dropped")
	ErrNotHeld  = errors.New("no such presignature is held: it was never made here, or it was taken or dropped")
	ErrFenced   = errors.New("the fencing token is not the pool's: the pool's life is over")
)

// NewPool makes a pool for one life of a party. fence is the host's fencing token, made durable
// beforehand and greater than any before; high is the greatest ticket among the burn records that
// the host holds. So an id of an earlier life is never above the high-water mark. A capacity of 0
// is PoolCapacity.
func NewPool(fence uint64, high Ticket, capacity int) (*Pool, error) {
	if fence <= high.Fence {
		return nil, &engine.Misuse{Doing: "make pool of presignatures", Err: fmt.Errorf("fencing token %d is not above ticket %v, which was burned", fence, high)}
	}
	if capacity < 0 {
		return nil, &engine.Misuse{Doing: "make pool of presignatures", Err: fmt.Errorf("capacity %d", capacity)}
	}
	return &Pool{
		fence: fence, capacity: cmp.Or(capacity, PoolCapacity), high: Ticket{Fence: fence},
		open: map[Ticket]slot{}, held: map[PresigID]*presig{},
	}, nil
}

// Format redacts under every verb.
func (*Pool) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secret.Redacted)) }

// Reserve gives the ticket for one presign session. It counts against the capacity until the
// presignature is put, or the ticket released.
func (p *Pool) Reserve(key, epoch [32]byte, signers []session.Party) (Ticket, error) {
	if p.over {
		return Ticket{}, ErrFenced
	}
	at, n := slotOf(key, epoch, signers), 0
	for _, s := range p.open {
		if s == at {
			n++
		}
	}
	for _, q := range p.held {
		if q.slot() == at {
			n++
		}
	}
	if n >= p.capacity {
		return Ticket{}, ErrPoolFull
	}
	p.last++
	t := Ticket{Fence: p.fence, Counter: p.last}
	p.open[t] = at
	return t, nil
}

// Count is how many presignatures of one key are held, and how many tickets for it are out: over all epochs and signer sets.
func (p *Pool) Count(key [32]byte) (held, open int) {
	for _, q := range p.held {
		if q.keyID == key {
			held++
		}
	}
	for _, s := range p.open {
		if s.key == key {
			open++
		}
	}
	return held, open
}

// Release gives up the ticket of a presign session that came to nothing.
func (p *Pool) Release(t Ticket) { delete(p.open, t) }

func (q *presig) slot() slot { return slotOf(q.keyID, q.epoch, q.signers) }

// Put takes in the result of a presign session, once. What it refuses it wipes: the ticket may
// have been dropped while the session ran, because of a burned pair for instance.
func (p *Pool) Put(v Presignature) error {
	q := v.held()
	if q == nil {
		return &engine.Misuse{Doing: "put presignature", Err: errNoPresignature}
	}
	at, open := p.open[q.ticket]
	_, twice := p.held[q.id]
	switch {
	case q.life == pooled: // and so it stays
		return &engine.Misuse{Doing: "put presignature", Err: errors.New("it is in a pool")}
	case q.life != fresh:
		q.wipe()
		return &engine.Misuse{Doing: "put presignature", Err: errUsed}
	case !open || at != q.slot() || q.ticket.compare(p.high) <= 0 || twice:
		q.wipe()
		return ErrTicket
	}
	delete(p.open, q.ticket)
	q.life = pooled
	p.held[q.id] = q
	return nil
}

// IDs are the presignatures of one key, epoch and signer set, the oldest first. An opener names the
// first; the others may hold it or not.
func (p *Pool) IDs(key, epoch [32]byte, signers []session.Party) (ids []PresigID) {
	at := slotOf(key, epoch, signers)
	for id, q := range p.held {
		if q.slot() == at {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b PresigID) int { return p.held[a].ticket.compare(p.held[b].ticket) })
	return ids
}

// A Claim asks for a presignature, for one online session.
type Claim struct {
	ID      PresigID // as the Setup names it
	KeyID   [32]byte
	Epoch   [32]byte // eh: the record in force
	Signers []session.Party
	Use     Use
	Fence   uint64 // the token that the host holds now
}

// Take gives a presignature out for one use: never again, whatever becomes of it. The host takes
// before it sends its Join, and makes the burn record durable before anything of the online session
// leaves. Under another fencing token the pool is of a life that has ended, and all of it is
// wiped. A claim that fits another key, epoch or signer set takes nothing.
func (p *Pool) Take(c Claim) (Presignature, *Burn, error) {
	if c.Fence != p.fence || p.over {
		p.DropAll()
		p.over = true
		return Presignature{}, nil, ErrFenced
	}
	q := p.held[c.ID]
	if q == nil || q.slot() != slotOf(c.KeyID, c.Epoch, c.Signers) {
		return Presignature{}, nil, ErrNotHeld
	}
	delete(p.held, c.ID)
	switch {
	case q.life != pooled: // wiped while it lay here
		return Presignature{}, nil, ErrNotHeld
	case q.ticket.compare(p.high) <= 0:
		q.wipe()
		return Presignature{}, nil, ErrTicket
	}
	q.life, q.use = taken, c.Use
	return newPresignature(q), q.burn(), nil
}

// Drop wipes one presignature: a signer declined it, so it can never be used.
func (p *Pool) Drop(id PresigID) int {
	return p.drop(func(q *presig) bool { return q.id == id }, func(slot) bool { return false })
}

// DropPair wipes what was made with a peer, after a pair burned (protocols.md 2.7). Like the drops
// below it ends the tickets of presign sessions under way as well, and says how many
// presignatures there were.
func (p *Pool) DropPair(t engine.Token) int {
	return p.dropSlots(func(s slot) bool { return s.key == t.Key && s.has(t.Peer) })
}

// DropEpochs wipes what was made in other epochs of a key than the one in force.
func (p *Pool) DropEpochs(key, current [32]byte) int {
	return p.dropSlots(func(s slot) bool { return s.key == key && s.epoch != current })
}

// DropKey wipes all of one key: its policy changed.
func (p *Pool) DropKey(key [32]byte) int {
	return p.dropSlots(func(s slot) bool { return s.key == key })
}

// DropAll wipes everything: the process ends, the lease is lost, or the host learned that memory may
// have been copied. Every ticket so far is of the past.
func (p *Pool) DropAll() int {
	p.high = Ticket{Fence: p.fence, Counter: p.last}
	return p.dropSlots(func(slot) bool { return true })
}

func (p *Pool) dropSlots(of func(slot) bool) int {
	return p.drop(func(q *presig) bool { return of(q.slot()) }, of)
}

func (p *Pool) drop(which func(*presig) bool, open func(slot) bool) (n int) {
	for id, q := range p.held {
		if which(q) {
			q.wipe()
			delete(p.held, id)
			n++
		}
	}
	for t, s := range p.open {
		if open(s) {
			delete(p.open, t)
		}
	}
	return n
}

// has reports whether a party is among the signers.
func (s slot) has(id engine.PartyID) bool {
	const seat = len(id) + 2
	for at := 0; at < len(s.signers); at += seat {
		if s.signers[at:at+len(id)] == string(id[:]) {
			return true
		}
	}
	return false
}
