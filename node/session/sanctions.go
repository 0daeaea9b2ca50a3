package session

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/store"
)

// Rows that faults leave behind (protocols.md 0.3).
const (
	kindQuarantine   = "quarantine"   // quarantine/<key>/<party>: it broke the protocol of this key
	kindUnattributed = "unattributed" // unattributed/<key>/<signers>/<Unix nanoseconds>/<session>: a session that nobody can be named for; <signers> differs for presigning
)

const (
	unattributedMost = 3 // per key and signer set: other sets may go on (protocols.md 2.5)
	unattributedSpan = time.Hour
	unattributedKept = 30 * 24 * time.Hour // with its fault, for people who look into it
)

// sanction is what a fault leaves behind, to be written with it: a party that broke the
// protocol is quarantined for the key; a session that failed without a culprit counts.
// fault is the row that keeps the fault itself: one that names nobody goes with its count.
func sanction(now time.Time, s *mpc.Setup, f *engine.Fault, fault string) (b store.Batch) {
	key := s.KeyID
	switch f.Class {
	case engine.Blame:
		for _, id := range f.Accused {
			b.Put = append(b.Put, store.Entry{Key: store.Key(kindQuarantine, store.ID(key[:]), store.ID(id[:])), Value: []byte(f.Check)})
		}
	case engine.Unattributed:
		at := binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
		b.Put = append(b.Put, store.Entry{
			Key:   failuresOf(s) + string(store.Number(uint64(now.UnixNano()))) + "/" + string(store.ID(f.Session[:8])),
			Value: append(at, fault...),
		})
	}
	return b
}

// Sweep erases failures that nobody was named for once they are a month old, with the faults
// that tell of them. Faults that name somebody are evidence and stay.
func (h *Host) Sweep(ctx context.Context, now time.Time) error {
	return h.unattributed.Step(ctx, h.cfg.Journal, func(it store.Item) []string {
		if len(it.Value) < 8 || now.Sub(time.Unix(int64(binary.BigEndian.Uint64(it.Value)), 0)) < unattributedKept {
			return nil
		}
		if fault := string(it.Value[8:]); strings.HasPrefix(fault, store.Prefix(KindFault)) {
			return []string{it.Key, fault}
		}
		return []string{it.Key}
	})
}

// QuarantineError refuses work with a party that broke the protocol of this key.
type QuarantineError struct {
	Party engine.PartyID
	Check string
}

func (e *QuarantineError) Error() string {
	return fmt.Sprintf("party %v is quarantined for this key: it failed the check %q; its operator must find out why, and the key be reshared without it", e.Party, e.Check)
}

// ErrTooManyFailures refuses a key whose sessions keep failing without a culprit: each
// failure could teach a liar something.
var ErrTooManyFailures = errors.New("too many sessions of these signers failed within an hour without anybody to name: find out which node holds a wrong share (`ostraka doctor` on each), then wait for the hour to pass")

// Fit refuses a Setup with a burned pair, a quarantined party, or too many unexplained
// failures of its key. pairs names the key whose pairs the session will use.
func (h *Host) Fit(ctx context.Context, now time.Time, s *mpc.Setup, pairs [32]byte) error {
	for _, p := range s.Parties {
		if t, burned := h.pairs.burned([]engine.Token{{Key: pairs, Peer: p.ID}}); burned {
			return &BurnedError{Token: t}
		}
	}
	st := h.cfg.Journal.Store()
	prefix := store.Prefix(kindQuarantine, store.ID(s.KeyID[:]))
	items, err := st.Range(ctx, prefix, "", store.MaxLimit)
	if err != nil {
		return fmt.Errorf("read quarantined parties: %w", err)
	}
	for _, it := range items {
		for _, p := range s.Parties {
			if strings.TrimPrefix(it.Key, prefix) == string(store.ID(p.ID[:])) {
				return &QuarantineError{p.ID, string(it.Value)}
			}
		}
	}
	if err := h.failing(ctx, now, s); err != nil || s.Protocol != ceremony.ProtocolPresign {
		return err
	}
	return h.failing(ctx, now, &mpc.Setup{KeyID: s.KeyID, Parties: s.Parties}) // nor where signing fails
}

// failing refuses what failed too often with these signers of a key, without a culprit.
func (h *Host) failing(ctx context.Context, now time.Time, s *mpc.Setup) error {
	since := failuresOf(s) + string(store.Number(uint64(now.Add(-unattributedSpan).UnixNano())))
	items, err := h.cfg.Journal.Store().Range(ctx, failuresOf(s), since, unattributedMost)
	if err != nil {
		return fmt.Errorf("read failures of key: %w", err)
	}
	if len(items) >= unattributedMost {
		return ErrTooManyFailures
	}
	return nil
}

// failures counts what failed of these signers of a key, without a culprit, within a month; many count as no more than a page of the store.
func (h *Host) failures(ctx context.Context, now time.Time, key [32]byte, of []mpc.Party) (int, error) {
	prefix := failuresOf(&mpc.Setup{KeyID: key, Parties: of})
	since := prefix + string(store.Number(uint64(now.Add(-unattributedKept).UnixNano())))
	items, err := h.cfg.Journal.Store().Range(ctx, prefix, since, store.MaxLimit)
	if err != nil {
		return 0, fmt.Errorf("read failures of key: %w", err)
	}
	return len(items), nil
}

// failuresOf is the prefix of what failed with these signers and this key. Presigning is counted apart: it goes on unasked in the
// background, and who spoils it must not stop signing by that.
func failuresOf(s *mpc.Setup) string {
	h := sha256.New()
	if s.Protocol == ceremony.ProtocolPresign {
		h.Write([]byte(ceremony.ProtocolPresign))
	}
	for _, p := range s.Parties {
		h.Write(p.ID[:])
	}
	return store.Prefix(kindUnattributed, store.ID(s.KeyID[:]), store.ID(h.Sum(nil)[:8]))
}

// Pardon lifts the quarantines of a key: its operator found the cause and says so by asking for a refresh.
func (h *Host) Pardon(ctx context.Context, key [32]byte) (b store.Batch, err error) {
	prefix := store.Prefix(kindQuarantine, store.ID(key[:]))
	items, err := h.cfg.Journal.Store().Range(ctx, prefix, "", store.MaxLimit)
	if err != nil {
		return b, fmt.Errorf("read quarantined parties: %w", err)
	}
	for _, it := range items {
		b.Delete = append(b.Delete, it.Key)
	}
	return b, nil
}

// Unfit lists the parties with whom a key cannot be used: burned pairs of its record in force, quarantine.
func (h *Host) Unfit(ctx context.Context, key, pairs [32]byte) (map[engine.PartyID]bool, error) {
	out := map[engine.PartyID]bool{}
	for _, id := range h.Burned(pairs) {
		out[id] = true
	}
	ids, err := h.Quarantined(ctx, key)
	for _, id := range ids {
		out[id] = true
	}
	return out, err
}

// Quarantined lists the parties quarantined for a key.
func (h *Host) Quarantined(ctx context.Context, key [32]byte) (ids []engine.PartyID, err error) {
	prefix := store.Prefix(kindQuarantine, store.ID(key[:]))
	items, err := h.cfg.Journal.Store().Range(ctx, prefix, "", store.MaxLimit)
	for _, it := range items {
		t, perr := parseBurn(string(store.ID(key[:])) + "/" + strings.TrimPrefix(it.Key, prefix))
		if perr != nil {
			return nil, fmt.Errorf("read quarantined parties: row %q: %w", it.Key, perr)
		}
		ids = append(ids, t.Peer)
	}
	return ids, err
}

// Culprits are the parties that an error of a session names, guilty or merely silent.
func Culprits(err error) (ids []engine.PartyID) {
	var silent *SilentError
	var declined *DeclinedError
	var burned *BurnedError
	var quarantined *QuarantineError
	var fault *engine.Fault
	if errors.As(err, &silent) {
		ids = append(ids, silent.Waiting...)
	}
	if errors.As(err, &declined) {
		ids = append(ids, declined.By)
	}
	if errors.As(err, &burned) {
		ids = append(ids, burned.Token.Peer)
	}
	if errors.As(err, &quarantined) {
		ids = append(ids, quarantined.Party)
	}
	if errors.As(err, &fault) {
		ids = append(ids, fault.Accused...)
	}
	return ids
}
