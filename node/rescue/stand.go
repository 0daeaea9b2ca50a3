package rescue

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// After this node was set back and its operator confirmed it (spec/sos 6.3): what was counted and heard since the copy is lost. Each docket is counted anew, and until
// the vetoes are fetched again it is rolled back: it goes no step further, gives nothing, answers nobody.

// A stand is under which generation of our log a docket counts; another one means that this node was set back, and that its operator has confirmed it since.
type stand struct {
	generation uint64
	fetching   bool // it was counted anew, and vetoes are being fetched
}

func (s stand) row(vault statement.ID) store.Entry {
	return store.Entry{Key: store.Key(kindStands, store.ID(vault[:])), Value: s.bytes()}
}

func (s stand) bytes() []byte {
	b := binary.BigEndian.AppendUint64(nil, s.generation)
	if s.fetching {
		b = append(b, 1)
	}
	return b
}

func decodeStand(b []byte) (s stand, err error) {
	if len(b) != 8 && (len(b) != 9 || b[8] != 1) {
		return s, fmt.Errorf("it has %d bytes, not a generation in 8 and perhaps a 1", len(b))
	}
	return stand{binary.BigEndian.Uint64(b), len(b) == 9}, nil
}

func (d *Desk) readStands(ctx context.Context) error {
	return d.each(ctx, kindStands, func(name string, value []byte) error {
		vault, err := statement.ParseID(name)
		if err == nil {
			d.stands[vault], err = decodeStand(value)
		}
		return err
	})
}

var errStale = errors.New("this node was set back: its SOS docket is being counted anew")

// stale says that a docket counts under another generation of our log than today's. The copy may be from before the first request: then there is no docket here, and others may
// have one.
func (d *Desk) stale(vault statement.ID) bool {
	return d.stands[vault].generation != d.cfg.Generation()
}

// unsettled says that some docket is to be counted anew, or waits for vetoes.
func (d *Desk) unsettled() bool {
	for _, vault := range d.cfg.Vaults() {
		if d.stale(vault) || d.stands[vault].fetching {
			return true
		}
	}
	return false
}

// A fetch is a question for all that others know of a vault's requests, and who has answered it. It lives in memory alone.
type fetch struct {
	nonce [32]byte
	sent  time.Duration // monotonic
	from  map[string]bool
	lacks map[string]bool // who told of what left that cannot be taken yet
	count map[string]bool // from whom it came before what left was counted last
	bound int             // and how many requests held the vault, or had
}

// standAgain counts dockets anew whose generation is over, and has those confirmed whose vetoes came. What one vault's docket lacks stops no other's.
func (d *Desk) standAgain(ctx context.Context, now time.Time, r sos.Reading) (err error) {
	for _, vault := range d.cfg.Vaults() {
		var failed error
		switch {
		case d.stale(vault):
			failed = d.recount(ctx, now, vault, r)
		case d.stands[vault].fetching:
			failed = d.fetch(ctx, now, vault, r)
		}
		if failed != nil {
			err = errors.Join(err, fmt.Errorf("vault %s: count its SOS docket anew: %w", vault.Short(), failed))
		}
	}
	return err
}

// recount lets a docket know that this node was set back: durably, with the generation under which it counts from now on.
func (d *Desk) recount(ctx context.Context, now time.Time, vault statement.ID, r sos.Reading) error {
	k, err := d.load(ctx, vault)
	if err != nil {
		return err
	}
	return d.restand(ctx, now, vault, k, sos.RolledBack{}, stand{d.cfg.Generation(), true}, r)
}

func (d *Desk) restand(ctx context.Context, now time.Time, vault statement.ID, k sos.Docket, ev sos.Event, s stand, r sos.Reading) error {
	next, fx, err := k.Apply(ev, r)
	if err != nil {
		return err
	}
	var e journal.Entry
	if err := d.settle(now, vault, next, fx, &e); err != nil {
		return err
	}
	row := s.row(vault)
	e.Put = append(slices.DeleteFunc(e.Put, func(o store.Entry) bool { return o.Key == row.Key }), row)
	if err := d.write(ctx, e); err != nil {
		return err
	}
	d.became(vault, next)
	d.stands[vault] = s
	return nil
}

// fetch asks the others of the circle for all that they know of a vault's requests, until enough have told it.
func (d *Desk) fetch(ctx context.Context, now time.Time, vault statement.ID, r sos.Reading) error {
	k, err := d.docket(ctx, vault)
	if err != nil {
		return err
	}
	q := d.fetches[vault]
	if q == nil {
		q = &fetch{from: map[string]bool{}, lacks: map[string]bool{}, sent: r.Mono - askEvery}
		if _, err := io.ReadFull(d.cfg.Rand, q.nonce[:]); err != nil {
			return fmt.Errorf("draw a nonce: %w", err)
		}
		d.fetches[vault] = q
	}
	_, p, err := d.inForce(vault)
	if err != nil {
		return err
	}
	if q.bound == k.Bound() && enough(k, p, d.cfg.Operator, q.count) { // of one that locked up since, what left is counted first
		delete(d.fetches, vault)
		return d.restand(ctx, now, vault, k, sos.Confirmed{}, stand{generation: d.cfg.Generation()}, r)
	}
	if r.Mono-q.sent < askEvery {
		return nil
	}
	q.sent = r.Mono
	for _, name := range live(p, nil, d.cfg.Operator) {
		if !q.from[name] {
			d.cfg.AskAll(name, encodeQuestion(vault, statement.ID{}, q.nonce))
		}
	}
	return nil
}

// enough says whether as many have told what they know of each request that is not over as must say that they know of no veto before a part is given (spec/sos 7.3),
// and one at least: to trust fewer would make a copy of the store the way around a veto, to wait for all would let any one of them keep this node out.
func enough(k sos.Docket, now plan.Plan, self string, from map[string]bool) bool {
	lacks := func(need int, names []string) bool {
		others := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return name == self })
		need = min(need, len(others))
		return need > len(slices.DeleteFunc(others, func(name string) bool { return !from[name] }))
	}
	few := func(p plan.Plan, subjects []string) bool {
		return lacks(p.Live-1, p.Contributors(subjects)) || lacks(p.Attests(subjects), p.Standing(subjects)) || lacks(1, live(p, subjects, self))
	}
	for _, c := range k.Cases() {
		if !c.State().Ended() && few(c.Plan(), c.Request().Subjects) {
			return false
		}
	}
	return !few(now, nil) // of a request that is not known here, too
}

// AnswerAll is what we say to a peer that was set back: every challenge that is counted here, every word of requests that are not over, and every word against those that are. It ends with its own
// question, which says that this was all.
func (d *Desk) AnswerAll(ctx context.Context, now time.Time, asker string, raw []byte) (notes []outbox.Note, err error) {
	vault, request, _, err := decodeQuestion(raw)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, vault)
	switch {
	case err != nil:
		return nil, err
	case request != statement.ID{}:
		return nil, errors.New("a question for all that is known names no request")
	case k.Rolled():
		return nil, sos.ErrRolled
	}
	if err := d.mayAnswer(now, asker, vault); err != nil {
		return nil, err
	}
	var all []word
	for _, w := range d.words[vault] {
		if c, known := k.Case(w.request); known && (!c.State().Ended() || opposes(w.said.Kind())) {
			all = append(all, w)
		}
	}
	rank := func(w word) int {
		if i := slices.Index(telling, w.said.Kind()); i >= 0 {
			return i
		}
		return len(telling)
	}
	slices.SortFunc(all, func(a, b word) int {
		x, y := a.said.ID(), b.said.ID()
		return cmp.Or(rank(a)-rank(b), a.said.Fields().Time("created").Compare(b.said.Fields().Time("created")), bytes.Compare(x[:], y[:]), cmp.Compare(a.by, b.by))
	})
	notes = d.challenges(vault) // a request of a refusal is taken by who counts the one that it names
	for _, w := range all {
		notes = append(notes, outbox.Note{Kind: NoteSaid, Fields: [][]byte{w.said.Bytes(), w.sig}})
	}
	return notes, nil
}

// telling is the order in which words can be taken: what others stand on, first.
var telling = []statement.Kind{statement.SOSRequest, statement.SOSVeto, statement.SOSAlive, statement.SOSSigned, statement.SOSSupport, statement.SOSSeat, statement.SOSActivation}

// TakeAll hears that an operator's node told all that it knows of a vault's requests.
func (d *Desk) TakeAll(from string, raw []byte) error {
	vault, request, nonce, err := decodeQuestion(raw)
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	q := d.fetches[vault]
	if q == nil || q.nonce != nonce || request != (statement.ID{}) {
		return fmt.Errorf("what %s told of vault %s answers no question of ours", from, vault.Short())
	}
	if q.lacks[from] {
		delete(q.lacks, from)
		return nil // it is asked again
	}
	q.from[from] = true
	return nil
}

// Missed hears that something which left, of which an operator's node told, cannot be taken yet: what it told was not all that will be had.
func (d *Desk) Missed(from string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, q := range d.fetches {
		if !q.from[from] {
			q.lacks[from] = true
		}
	}
}

// Fetching says whether some docket waits for what others know.
func (d *Desk) Fetching() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.fetches) > 0
}

// Lost says that this node was set back, still asks the others for what it lost of a vault, and that a request was open there then, as far as it is known: what is shown of that time may be of an
// epoch that is on its way.
func (d *Desk) Lost(vault statement.ID, at time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	k := d.dockets[vault]
	return d.fetches[vault] != nil && slices.ContainsFunc(k.Cases(), func(c sos.Case) bool { return !at.Before(c.Request().Created) })
}

// Requests counts the requests that are known, and again those that hold a vault, or held it: what left before one was known here may be of its time.
func (d *Desk) Requests() (n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, k := range d.dockets {
		n += len(k.Cases()) + k.Bound()
	}
	return n
}

// Recount has each docket count what left without its leave (spec/sos 5.4). left is another room's, and asked under none of our locks: what the others told before it was asked is in it.
func (d *Desk) Recount(ctx context.Context, now time.Time, left func() []sos.Past) (err error) {
	d.mu.Lock()
	told := map[statement.ID]map[string]bool{}
	for _, vault := range d.open() {
		told[vault] = nil
	}
	for vault, q := range d.fetches {
		told[vault] = maps.Clone(q.from)
	}
	d.mu.Unlock()
	if len(told) == 0 {
		return nil
	}
	all := left()
	for vault, from := range told {
		if failed := d.recounted(ctx, now, vault, all, from); failed != nil {
			err = errors.Join(err, fmt.Errorf("vault %s: count what left: %w", vault.Short(), failed))
		}
	}
	return err
}

func (d *Desk) recounted(ctx context.Context, now time.Time, vault statement.ID, all []sos.Past, from map[string]bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, vault)
	if errors.Is(err, errStale) {
		return nil // it is counted anew first, and others are asked then
	}
	if err != nil {
		return err
	}
	if next := k.Left(all); !bytes.Equal(next.Bytes(), k.Bytes()) {
		var e journal.Entry
		if err := d.settle(now, vault, next, sos.Effects{}, &e); err != nil {
			return err
		}
		if err := d.write(ctx, e); err != nil {
			return err
		}
		d.became(vault, next)
	}
	if q := d.fetches[vault]; q != nil {
		q.count, q.bound = from, k.Bound()
	}
	return nil
}
