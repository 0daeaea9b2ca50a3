package outbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

// Tick sends again what was not answered, and deletes the rows of what was. Of two at the
// same time the second does nothing. ended says of which notes a peer that still lacks what they stand on will never have
// it: they are given up once it has answered *later* again and again.
func (o *Outbox) Tick(ctx context.Context, now time.Time, reachable func(Peer) bool, ended func(Peer, Note) bool) error {
	if !o.tick.TryLock() {
		return nil
	}
	defer o.tick.Unlock()
	return errors.Join(o.resend(ctx, now, reachable, ended), o.clear(ctx))
}

func (o *Outbox) resend(ctx context.Context, now time.Time, reachable func(Peer) bool, ended func(Peer, Note) bool) error {
	o.mu.Lock()
	peers := slices.Collect(maps.Keys(o.peers))
	o.mu.Unlock()
	slices.SortFunc(peers, func(a, b Peer) int { return bytes.Compare(a[:], b[:]) })
	bodies := map[ID][]byte{} // notes that several peers lack are read once
	var failed error
	for _, p := range peers {
		if !reachable(p) {
			continue
		}
		size := 0
		for _, id := range o.due(now, p) {
			raw := bodies[id]
			if raw == nil {
				it, err := o.journal.Store().Get(ctx, noteKey(id))
				if err != nil {
					failed = fmt.Errorf("resend note %x: %w", id[:6], err)
					continue
				}
				raw = it.Value
				bodies[id] = raw
			}
			if o.givenUp(p, id, raw, ended) {
				continue
			}
			if size += len(raw); size > burstBytes && size > len(raw) {
				break
			}
			o.tried(now, p, id)
			o.send(p, raw)
		}
	}
	return failed
}

// due lists what is to be sent again, the longest waiting first.
func (o *Outbox) due(now time.Time, p Peer) []ID {
	o.mu.Lock()
	defer o.mu.Unlock()
	items := o.peers[p]
	var ids []ID
	for id, it := range items {
		// A clock that was set back must not make notes wait for it.
		if wait := it.next.Sub(now); wait <= 0 || wait > 2*resendMost {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, func(a, b ID) int {
		return cmp.Or(items[a].next.Compare(items[b].next), bytes.Compare(a[:], b[:]))
	})
	return ids[:min(len(ids), burstNotes)]
}

func (o *Outbox) tried(now time.Time, p Peer, id ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if it := o.peers[p][id]; it != nil {
		it.tries++
		it.next = now.Add(min(resendAfter<<min(it.tries, 10), resendMost))
	}
}

// endsAfter is how often a peer must say *later* to a note that has ended: each answer comes at most 12 s after the one before, and
// what a peer waits for besides, a session for instance, is over sooner.
const endsAfter = 10

// givenUp counts the answers to a note that has ended, and settles it after enough of them. Who does not answer is waited for.
func (o *Outbox) givenUp(p Peer, id ID, raw []byte, ended func(Peer, Note) bool) bool {
	o.mu.Lock()
	it := o.peers[p][id]
	answered := it != nil && it.later
	o.mu.Unlock()
	if !answered {
		return false
	}
	n, err := Decode(raw)
	if err != nil || !ended(p, n) {
		return false
	}
	o.mu.Lock()
	it.later = false
	it.ends++
	enough := it.ends >= endsAfter
	o.mu.Unlock()
	if enough {
		o.Settle(p, id, Refused)
	}
	return enough
}

// flush clears until nothing that was answered is left. The caller holds tick.
func (o *Outbox) flush(ctx context.Context) error {
	for {
		o.mu.Lock()
		left := len(o.gone)
		o.mu.Unlock()
		if left == 0 {
			return nil
		}
		if err := o.clear(ctx); err != nil {
			return err
		}
	}
}

// clear deletes the rows of answered notes; with a note's last row go its bytes.
func (o *Outbox) clear(ctx context.Context) error {
	o.mu.Lock()
	gone := slices.Clone(o.gone[:min(len(o.gone), store.MaxWrites/2)])
	var e journal.Entry
	left, named := map[ID]int{}, map[row]bool{}
	for _, r := range gone {
		// A peer may have answered a row, been given it anew before this (Again), and answered it once more; or it has not yet.
		if _, anew := o.peers[r.peer][r.note]; !anew && !named[r] {
			named[r] = true
			e.Delete = append(e.Delete, r.key())
		}
		if _, seen := left[r.note]; !seen {
			left[r.note] = o.rows[r.note]
		}
		if left[r.note]--; left[r.note] == 0 {
			e.Delete = append(e.Delete, noteKey(r.note))
		}
	}
	o.mu.Unlock()
	if len(gone) == 0 {
		return nil
	}
	if len(e.Delete) > 0 {
		if err := o.journal.Write(ctx, e); err != nil {
			return fmt.Errorf("clear outbox: %w", err)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.gone = slices.Delete(o.gone, 0, len(gone))
	for _, r := range gone {
		if o.rows[r.note]--; o.rows[r.note] == 0 {
			delete(o.rows, r.note)
		}
	}
	return nil
}
