// Package outbox carries notes: statements, signatures and certificates that every peer of
// the circle must come to hold. A note is durable, with a row per peer that lacks it, in the
// transaction that made it; the row goes when the peer has acknowledged it. Whoever takes a
// note passes it on, so no single node can hide it (spec/node 3).
//
// The outbox knows bytes and peers, not what notes mean. All methods may be called at the
// same time: mu guards the tables, tick is held by the one Tick that runs.
package outbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
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

// Bounds of a note. A batch of the store (1.25 MiB) holds it as it is sent, what follows from it, and its statement once more in the log.
const (
	MaxNote   = 384 << 10 // bytes, encoded
	maxFields = 8
)

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
	if len(b) > MaxNote {
		return Note{}, fmt.Errorf("decode note: %d bytes, at most %d are allowed", len(b), MaxNote)
	}
	d, n := transcript.NewDecoder(b), Note{}
	n.Kind = Kind(d.Uint(fieldKind, 255))
	d.List(fieldFields, 0, maxFields, func(_ int, d *transcript.Decoder) {
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
	kindOutbox = "outbox" // outbox/<peer>/<note>: this peer lacks it; empty
	kindNote   = "note"   // note/<note>: its bytes, as long as a peer lacks it
	kindNoted  = "noted"  // noted/<note>: taken before; kind 1, Unix seconds 8
)

const (
	resendAfter = 3 * time.Second
	resendMost  = 5 * time.Minute

	// What one Tick sends a peer at most: a peer that was away for long is not flooded.
	burstNotes = 256
	burstBytes = 1 << 20
)

// Outbox holds what is on its way.
type Outbox struct {
	journal *journal.Journal
	send    func(Peer, []byte) // hands a note's bytes to the link; must not block

	tick  sync.Mutex
	noted journal.Sweep

	mu    sync.Mutex
	peers map[Peer]map[ID]*item
	rows  map[ID]int // how many peers' rows a note has in the store
	gone  []row      // rows to delete: acknowledged
}

type row struct {
	peer Peer
	note ID
}

type item struct {
	next  time.Time // when it is sent again
	tries int
	later bool // its last answer was *later*
	ends  int  // how often it was, since nothing can come of the note
}

// Open reads what was on its way when the node stopped.
func Open(ctx context.Context, j *journal.Journal, send func(Peer, []byte)) (*Outbox, error) {
	o := &Outbox{
		journal: j, send: send, peers: map[Peer]map[ID]*item{}, rows: map[ID]int{}, noted: journal.Sweep{Prefix: store.Prefix(kindNoted)},
	}
	prefix := store.Prefix(kindOutbox)
	for after := ""; ; {
		items, err := j.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return nil, fmt.Errorf("read outbox: %w", err)
		}
		for _, it := range items {
			r, err := parseRow(strings.TrimPrefix(it.Key, prefix))
			if err != nil {
				return nil, fmt.Errorf("read outbox: row %q: %w", it.Key, err)
			}
			o.add(r, time.Time{})
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return o, nil
		}
	}
}

func parseRow(s string) (r row, err error) {
	peer, note, _ := strings.Cut(s, "/")
	p, err1 := hex.DecodeString(peer)
	n, err2 := hex.DecodeString(note)
	if err1 != nil || err2 != nil || len(p) != len(r.peer) || len(n) != len(r.note) {
		return r, errors.New("is not <party>/<note>")
	}
	return row{Peer(p), ID(n)}, nil
}

func (o *Outbox) add(r row, next time.Time) {
	if o.peers[r.peer] == nil {
		o.peers[r.peer] = map[ID]*item{}
	}
	if o.peers[r.peer][r.note] == nil {
		o.peers[r.peer][r.note] = &item{next: next}
		o.rows[r.note]++
	}
}

func (r row) key() string   { return store.Key(kindOutbox, store.ID(r.peer[:]), store.ID(r.note[:])) }
func noteKey(id ID) string  { return store.Key(kindNote, store.ID(id[:])) }
func notedKey(id ID) string { return store.Key(kindNoted, store.ID(id[:])) }

// notedRow says of what kind a taken note is, and when it was taken.
func notedRow(now time.Time, n Note) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(n.Kind)}, uint64(now.Unix()))
}

// Has reports whether a note was taken before.
func (o *Outbox) Has(ctx context.Context, id ID) (bool, error) {
	_, err := o.journal.Store().Get(ctx, notedKey(id))
	if errors.Is(err, store.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Rows are what makes a note durable: the caller writes them in the transaction that takes
// or makes the note, then calls Post. A conflict on them means that the note was taken
// before.
func (o *Outbox) Rows(now time.Time, n Note, to []Peer) journal.Entry {
	id := n.ID()
	e := journal.Entry{Batch: store.Batch{
		If:  []store.Cond{store.Absent(notedKey(id))},
		Put: []store.Entry{{Key: notedKey(id), Value: notedRow(now, n)}},
	}}
	if len(to) > 0 {
		e.Put = append(e.Put, store.Entry{Key: noteKey(id), Value: n.Encode()})
	}
	for _, p := range to {
		e.Put = append(e.Put, store.Entry{Key: row{p, id}.key()})
	}
	return e
}

// Again makes rows for notes that were made or taken before, to peers that came since, and sends the first of them; ticks send the
// rest. A peer that has one says so.
func (o *Outbox) Again(ctx context.Context, now time.Time, to []Peer, notes ...Note) error {
	if len(to) == 0 || len(notes) == 0 {
		return nil
	}
	// Or a row that was answered, and waits to be deleted, would take the new one with it, and the note's
	// bytes.
	o.tick.Lock()
	defer o.tick.Unlock()
	if err := o.flush(ctx); err != nil {
		return err
	}
	for first := true; len(notes) > 0; first = false {
		n, err := o.some(ctx, now, to, notes, first)
		if err != nil {
			return err
		}
		notes = notes[n:]
	}
	return nil
}

// some makes rows for the first of these notes, as many as go into one batch, and says how many that are.
func (o *Outbox) some(ctx context.Context, now time.Time, to []Peer, notes []Note, send bool) (n int, err error) {
	var e journal.Entry
	size := 0
	for ; n < len(notes); n++ {
		id, raw := notes[n].ID(), notes[n].Encode()
		if size += len(raw); n > 0 && (size > MaxNote || len(e.Put)+2+len(to) > store.MaxWrites) {
			break
		}
		rest := o.without(id, to)
		if len(rest) == 0 {
			continue
		}
		e.Put = append(e.Put, store.Entry{Key: notedKey(id), Value: notedRow(now, notes[n])}, store.Entry{Key: noteKey(id), Value: raw})
		for _, p := range rest {
			e.Put = append(e.Put, store.Entry{Key: row{p, id}.key()})
		}
	}
	if len(e.Put) == 0 {
		return n, nil
	}
	if err := o.journal.Write(ctx, e); err != nil {
		return 0, fmt.Errorf("send notes again: %w", err)
	}
	for _, x := range notes[:n] {
		rest := o.without(x.ID(), to)
		if send {
			o.Post(now, x, rest)
			continue
		}
		o.mu.Lock()
		for _, p := range rest {
			o.add(row{p, x.ID()}, time.Time{})
		}
		o.mu.Unlock()
	}
	return n, nil
}

// without leaves out the peers to whom a note is on its way.
func (o *Outbox) without(id ID, to []Peer) (rest []Peer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range to {
		if o.peers[p][id] == nil {
			rest = append(rest, p)
		}
	}
	return rest
}

// notedFor is how long it is remembered that a note was taken which no peer lacks.
const notedFor = 14 * 24 * time.Hour

// Sweep forgets that notes were taken which every peer has for long. forget says for which
// kinds: those whose room takes no old note twice, or answers ErrOld, so that a peer that
// shows one again changes nothing.
func (o *Outbox) Sweep(ctx context.Context, now time.Time, forget func(Kind) bool) error {
	return o.noted.Step(ctx, o.journal, func(it store.Item) []string {
		id, err := hex.DecodeString(strings.TrimPrefix(it.Key, o.noted.Prefix))
		if err != nil || len(id) != len(ID{}) || len(it.Value) != 9 || !forget(Kind(it.Value[0])) {
			return nil // a row of an older form says neither kind nor time
		}
		if now.Sub(time.Unix(int64(binary.BigEndian.Uint64(it.Value[1:])), 0)) < notedFor {
			return nil
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.rows[ID(id)] > 0 {
			return nil
		}
		return []string{it.Key}
	})
}

// Noted says whether an error means that this very note was taken meanwhile, by another way.
func Noted(err error, id ID) bool {
	var conflict *store.ConflictError
	return errors.As(err, &conflict) && conflict.Key == notedKey(id)
}

// Post sends a note whose rows are durable.
func (o *Outbox) Post(now time.Time, n Note, to []Peer) {
	id, raw := n.ID(), n.Encode()
	o.mu.Lock()
	for _, p := range to {
		o.add(row{p, id}, now.Add(resendAfter))
	}
	o.mu.Unlock()
	for _, p := range to {
		o.send(p, raw)
	}
}

// Settle notes a peer's answer, or that the peer showed the note itself.
func (o *Outbox) Settle(p Peer, id ID, v Verdict) {
	o.mu.Lock()
	defer o.mu.Unlock()
	it := o.peers[p][id]
	switch {
	case it == nil:
	case v == Later:
		it.later = true
		it.tries = min(it.tries, 1) // it answers: what is missing there may come at any time
	case v == Taken || v == Refused:
		delete(o.peers[p], id)
		o.gone = append(o.gone, row{p, id})
	}
}

// Withdraw settles a note for everybody who lacks it: a later one says all that it said. Rows are deleted at the next ticks.
func (o *Outbox) Withdraw(id ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for p, items := range o.peers {
		if items[id] != nil {
			delete(items, id)
			o.gone = append(o.gone, row{p, id})
		}
	}
}

// Forget gives up what a peer lacks: it is none any more. Rows are deleted at the next ticks.
func (o *Outbox) Forget(p Peer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for id := range o.peers[p] {
		o.gone = append(o.gone, row{p, id})
	}
	delete(o.peers, p)
}

// Waiting counts the notes that a peer lacks.
func (o *Outbox) Waiting(p Peer) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.peers[p])
}

// Wake makes everything for a peer due at once: its link came up.
func (o *Outbox) Wake(p Peer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, it := range o.peers[p] {
		it.next, it.tries = time.Time{}, 0
	}
}

var (
	// ErrLater says that a note stands on something that is not here yet.
	ErrLater = errors.New("not yet")
	// ErrOld says that a note tells nothing new: it is answered as taken, and leaves no trace.
	ErrOld = errors.New("nothing new")
)
