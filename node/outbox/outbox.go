// Package outbox carries notes: statements, signatures and certificates that every peer of
// the circle must come to hold. A note is durable, with a row per peer that lacks it, in the
// transaction that made it; the row goes when the peer has acknowledged it. Whoever takes a
// note passes it on, so no single node can hide it (spec/notes).
//
// The outbox knows bytes and peers, not what notes mean. All methods may be called at the
// same time; mu guards the table.
package outbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// A Kind says what a note carries. The node's table gives the meanings.
type Kind uint8

// MaxNote bounds a note's body, in bytes.
const MaxNote = 1 << 20

// A Note is one thing that all peers must come to hold.
type Note struct {
	Kind   Kind
	Fields [][]byte // at most 8
}

// ID is SHA-256 of the encoded note.
type ID [32]byte

const (
	fieldKind transcript.Tag = iota + 1
	fieldFields
)

// Encode is the canonical form.
func (n Note) Encode() []byte {
	var e transcript.Encoder
	e.Uint(fieldKind, uint64(n.Kind))
	return e.List(fieldFields, len(n.Fields), func(i int, e *transcript.Encoder) { e.Bytes(1, n.Fields[i]) }).Sum()
}

// ID names the note.
func (n Note) ID() ID { return sha256.Sum256(n.Encode()) }

// Decode reads the canonical form.
func Decode(b []byte) (Note, error) {
	d, n := transcript.NewDecoder(b), Note{}
	n.Kind = Kind(d.Uint(fieldKind, 255))
	d.List(fieldFields, 0, 8, func(_ int, d *transcript.Decoder) {
		n.Fields = append(n.Fields, bytes.Clone(d.Bytes(1, MaxNote)))
	})
	if err := d.Done(); err != nil {
		return Note{}, fmt.Errorf("decode note: %w", err)
	}
	return n, nil
}

// A Verdict answers a note.
type Verdict uint8

const (
	Taken   Verdict = iota + 1 // it is durable here
	Later                      // something that it stands on is not here yet: send it again
	Refused                    // it will never be taken
)

// A Peer is a node of the circle, by its party id's bytes.
type Peer = engine.PartyID

const (
	kindOutbox = "outbox" // outbox/<peer>/<note>: a note that this peer lacks
	kindNoted  = "noted"  // noted/<note>: taken before
)

const (
	resendAfter = 3 * time.Second
	resendMost  = 5 * time.Minute
)

// Outbox holds what is on its way.
type Outbox struct {
	journal *journal.Journal
	send    func(Peer, []byte) // hands a note's bytes to the link; must not block

	mu    sync.Mutex
	peers map[Peer]map[ID]*item
	gone  []string // rows to delete: acknowledged
}

type item struct {
	raw   []byte
	next  time.Time // when it is sent again
	tries int
}

// Open reads what was on its way when the node stopped.
func Open(ctx context.Context, j *journal.Journal, send func(Peer, []byte)) (*Outbox, error) {
	o := &Outbox{journal: j, send: send, peers: map[Peer]map[ID]*item{}}
	prefix := store.Prefix(kindOutbox)
	for after := ""; ; {
		items, err := j.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		for _, it := range items {
			peer, _, _ := strings.Cut(strings.TrimPrefix(it.Key, prefix), "/")
			raw, err := hex.DecodeString(peer)
			if err != nil || len(raw) != len(Peer{}) {
				return nil, fmt.Errorf("read outbox: row %q names no peer", it.Key)
			}
			o.add(Peer(raw), sha256.Sum256(it.Value), it.Value)
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return o, nil
		}
	}
}

func (o *Outbox) add(p Peer, id ID, raw []byte) {
	if o.peers[p] == nil {
		o.peers[p] = map[ID]*item{}
	}
	if o.peers[p][id] == nil {
		o.peers[p][id] = &item{raw: raw}
	}
}

func rowKey(p Peer, id ID) string { return store.Key(kindOutbox, store.ID(p[:]), store.ID(id[:])) }
func notedKey(id ID) string       { return store.Key(kindNoted, store.ID(id[:])) }

// Has reports whether a note was taken before.
func (o *Outbox) Has(ctx context.Context, id ID) (bool, error) {
	_, err := o.journal.Store().Get(ctx, notedKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Rows are what makes a note durable: the caller writes them in the transaction that takes
// or makes the note, then calls Post.
func (o *Outbox) Rows(n Note, to []Peer) journal.Entry {
	id, raw := n.ID(), n.Encode()
	e := journal.Entry{Batch: store.Batch{
		If:  []store.Cond{store.Absent(notedKey(id))},
		Put: []store.Entry{{Key: notedKey(id), Value: []byte{1}}},
	}}
	for _, p := range to {
		e.Put = append(e.Put, store.Entry{Key: rowKey(p, id), Value: raw})
	}
	return e
}

// Post sends a note whose rows are durable.
func (o *Outbox) Post(now time.Time, n Note, to []Peer) {
	id, raw := n.ID(), n.Encode()
	o.mu.Lock()
	for _, p := range to {
		o.add(p, id, raw)
		o.peers[p][id].next = now.Add(resendAfter)
	}
	o.mu.Unlock()
	for _, p := range to {
		o.send(p, raw)
	}
}

// Settle notes a peer's answer, or that the peer showed the note itself.
func (o *Outbox) Settle(p Peer, id ID, v Verdict) {
	if v == Later {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, ok := o.peers[p][id]; ok {
		delete(o.peers[p], id)
		o.gone = append(o.gone, rowKey(p, id))
	}
}

// Waiting counts the notes that a peer lacks.
func (o *Outbox) Waiting(p Peer) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.peers[p])
}

// Tick sends again what was not answered, and deletes the rows of what was.
func (o *Outbox) Tick(ctx context.Context, now time.Time, reachable func(Peer) bool) error {
	type parcel struct {
		to  Peer
		raw []byte
	}
	var due []parcel
	o.mu.Lock()
	for _, p := range slices.SortedFunc(maps.Keys(o.peers), func(a, b Peer) int { return bytes.Compare(a[:], b[:]) }) {
		if !reachable(p) {
			continue
		}
		for _, id := range slices.SortedFunc(maps.Keys(o.peers[p]), func(a, b ID) int { return bytes.Compare(a[:], b[:]) }) {
			if it := o.peers[p][id]; !now.Before(it.next) {
				it.tries++
				it.next = now.Add(min(resendAfter<<min(it.tries, 10), resendMost))
				due = append(due, parcel{p, it.raw})
			}
		}
	}
	gone := o.gone[:min(len(o.gone), store.MaxWrites)]
	o.mu.Unlock()
	for _, d := range due {
		o.send(d.to, d.raw)
	}
	if len(gone) == 0 {
		return nil
	}
	if err := o.journal.Write(ctx, journal.Entry{Batch: store.Batch{Delete: gone}}); err != nil {
		return fmt.Errorf("clear outbox: %w", err)
	}
	o.mu.Lock()
	o.gone = slices.Delete(o.gone, 0, len(gone))
	o.mu.Unlock()
	return nil
}

// Wake makes everything for a peer due at once: its link came up.
func (o *Outbox) Wake(p Peer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, it := range o.peers[p] {
		it.next, it.tries = time.Time{}, 0
	}
}

// ErrLater says that a note stands on something that is not here yet.
var ErrLater = errors.New("not yet")
