package ceremony

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// In an emergency all operators of the circle follow a vault's keys: those who hold none witness, and may come to hold one. What they are told, they believe only as
// far as it proves itself: the first committee's nodes chose the key, and every member of a committee that officers put in force said FINAL of its epoch.

// Follow tells all nodes of a vault's keys in force, once for each epoch and process, if any operator holds none of them.
func (k *Keeper) Follow(ctx context.Context, now time.Time, vault statement.ID) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	var errs []error
	for _, w := range k.rootsOf(vault) {
		if !w.published() {
			continue
		}
		cur := w.book.Current()
		_, seated := cur.Record.Member(k.cfg.Self)
		if !seated || w.shown == cur.Record.Hash() || len(w.roster.Operators) == len(cur.Record.Members) {
			continue
		}
		n := outbox.Note{Kind: NoteFollow, Fields: [][]byte{[]byte(w.suite), w.choice.Bytes(), encodeSignatures(w.signed), cur.Encode()}}
		if err := k.cfg.Post(ctx, now, journal.Entry{}, n); err != nil {
			errs = append(errs, err)
			continue
		}
		w.shown = cur.Record.Hash()
	}
	return errors.Join(errs...)
}

// takeFollow is how a node that holds no share learns of a key. It then has a root without a share: nothing is proved, signed or refreshed by it.
func (k *Keeper) takeFollow(ctx context.Context, now time.Time, f [][]byte, write func(journal.Entry) error) error {
	s, err := statement.ParseKind(f[1], statement.Key)
	if err != nil {
		return err
	}
	choice, err := charter.KeyChoiceOf(s)
	if err != nil {
		return err
	}
	id := rootID{choice.Vault, string(f[0])}
	if err := k.damagedOf(id); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	w := k.roots[id]
	if w == nil {
		return fmt.Errorf("%w: vault %s has no key of suite %.32q here", outbox.ErrLater, choice.Vault.Short(), f[0])
	}
	cert, err := epoch.DecodeFinalCert(f[3])
	if err != nil {
		return err
	}
	signed, c, err := w.checkFollow(s, choice, f[2], cert)
	if err != nil {
		return fmt.Errorf("keys of vault %s: %w", w.title(), err)
	}
	if err := cmp.Or(w.grounded(cert), k.sanctioned(w, cert.Record)); err != nil {
		return err
	}
	switch {
	case w.published():
		return k.adoptFrom(ctx, now, w, w.attempt, cert, write)
	case !w.outside(k.cfg.Self):
		return outbox.ErrOld // we make it ourselves
	}
	if err := write(k.introductionEntry(now, w, s, choice, signed, c)); err != nil {
		return err
	}
	k.introduced(w, now, s, choice, signed, c)
	return nil
}

// introduced makes a key that others hold a root's.
func (k *Keeper) introduced(w *root, now time.Time, s statement.Statement, choice charter.KeyChoice, signed map[string][]byte, c *epoch.Chain) {
	a := newAttempt(w, choice.Attempt)
	for _, link := range c.Links() {
		a.book.Adopt(link)
		w.past[link.Record.Hash()] = link.Record
		w.sinces[link.Record.Hash()] = now
	}
	k.begin(w, a)
	w.choice, w.signed, w.since, w.moved = s, signed, now, now
}

func (w *root) checkFollow(s statement.Statement, choice charter.KeyChoice, sigs []byte, f *epoch.FinalCert) (map[string][]byte, *epoch.Chain, error) {
	signed, err := w.checkChoice(s, choice, sigs)
	if err != nil {
		return nil, nil, err
	}
	r := f.Record
	switch {
	case r.KeyID != choice.Key || r.Suite != w.suite || !bytes.Equal(r.Public.Bytes(), choice.PublicKey):
		return nil, nil, errors.New("the certificate is of another key than the one that was chosen")
	case r.Epoch == 0 && (r.Hash() != epoch.Hash(choice.Epoch) || !sameParties(r.Parties(), w.genesis) || r.Threshold != w.Threshold):
		return nil, nil, errors.New("the first epoch is not the one that the vault's first committee chose")
	}
	c, err := epoch.NewChain(f, epoch.Enrolment{KeyID: r.KeyID, Public: r.Public, Anchor: r.Hash()})
	return signed, c, err
}

// checkChoice verifies that all of the first committee's nodes chose a key.
func (w *root) checkChoice(s statement.Statement, choice charter.KeyChoice, sigs []byte) (map[string][]byte, error) {
	if choice.Suite != w.suite || choice.Attempt < 1 || choice.Attempt > maxAttempts || choice.Key != epoch.KeyID(w.ID, w.suite, choice.Attempt) {
		return nil, errors.New("the key id is not that of the vault and suite")
	}
	signed, err := decodeSignatures(sigs, 2)
	if err != nil {
		return nil, err
	}
	if err := charter.VerifyKeyChoice(s, w.Vault, w.roster, signed); err != nil {
		return nil, err
	}
	if len(signed) != len(w.Committee) {
		return nil, fmt.Errorf("%d nodes signed the choice of the key, the committee has %d", len(signed), len(w.Committee))
	}
	return signed, nil
}

// A backup set is too large for a note, and who holds no share of its epoch asks a member for it.
const (
	setChunk = 256 << 10
	maxSet   = 1 << 20
)

// SetWanted is a key's epoch whose backup set is not here, and the members that may be asked for it.
type SetWanted struct {
	Key, Epoch [32]byte
	Members    []engine.PartyID
}

// WantsSets lists what is missing of a vault's keys.
func (k *Keeper) WantsSets(ctx context.Context, vault statement.ID) (all []SetWanted) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.rootsOf(vault) {
		if !w.published() {
			continue
		}
		r := w.book.Current().Record
		if _, seated := r.Member(k.cfg.Self); seated || r.Guardians == [32]byte{} || w.hasSet == r.Hash() {
			continue
		}
		if _, err := k.cfg.Journal.Store().Get(ctx, epochKey(r.KeyID, r.Hash(), protocol.RowBackups)); err == nil {
			w.hasSet = r.Hash()
			continue
		}
		want := SetWanted{Key: r.KeyID, Epoch: r.Hash()}
		for _, m := range r.Members {
			if k.cfg.Reachable(m.ID) {
				want.Members = append(want.Members, m.ID)
			}
		}
		all = append(all, want)
	}
	return all
}

const (
	fieldSetKey transcript.Tag = iota + 1
	fieldSetEpoch
	fieldSetPlan
	fieldSetSize
	fieldSetOffset
	fieldSetBytes
)

// A SetPart is a piece of a backup set on its way.
type SetPart struct {
	Key, Epoch   [32]byte
	Plan         []byte
	Size, Offset int
	Bytes        []byte
}

// Encode is its form on the wire.
func (p SetPart) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldSetKey, p.Key[:]).Bytes(fieldSetEpoch, p.Epoch[:]).Bytes(fieldSetPlan, p.Plan)
	return e.Uint(fieldSetSize, uint64(p.Size)).Uint(fieldSetOffset, uint64(p.Offset)).Bytes(fieldSetBytes, p.Bytes).Sum()
}

// DecodeSetPart reads it.
func DecodeSetPart(raw []byte) (p SetPart, err error) {
	d := transcript.NewDecoder(raw)
	copy(p.Key[:], d.Fixed(fieldSetKey, 32))
	copy(p.Epoch[:], d.Fixed(fieldSetEpoch, 32))
	p.Plan = d.Bytes(fieldSetPlan, setChunk)
	p.Size, p.Offset = int(d.Uint(fieldSetSize, maxSet)), int(d.Uint(fieldSetOffset, maxSet))
	p.Bytes = d.Bytes(fieldSetBytes, setChunk)
	if err := d.Done(); err != nil {
		return p, fmt.Errorf("decode part of a backup set: %w", err)
	}
	if p.Offset+len(p.Bytes) > p.Size || len(p.Bytes) == 0 {
		return p, fmt.Errorf("decode part of a backup set: %d bytes at %d, of %d", len(p.Bytes), p.Offset, p.Size)
	}
	return p, nil
}

// SetParts are the pieces of a backup set of ours, for who asks. Everybody may have it.
func (k *Keeper) SetParts(ctx context.Context, key, eh [32]byte) (parts []SetPart, err error) {
	k.mu.Lock()
	_, r, err := k.inEpoch(key, eh)
	k.mu.Unlock()
	if err != nil {
		return nil, err
	}
	plan, raw, _, err := k.Backups(ctx, r)
	if err != nil {
		return nil, err
	}
	for at := 0; at < len(raw); at += setChunk {
		parts = append(parts, SetPart{key, eh, plan.Encode(), len(raw), at, raw[at:min(at+setChunk, len(raw))]})
	}
	return parts, nil
}

// TakeSetPart takes a piece of a set that we want, in order, from a member; the whole is held to the record before it is kept.
func (k *Keeper) TakeSetPart(ctx context.Context, from engine.PartyID, p SetPart) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	w, r, err := k.inEpoch(p.Key, p.Epoch)
	if err != nil {
		return err
	}
	_, member := r.Member(from)
	_, seated := r.Member(k.cfg.Self)
	if !member || seated || w.hasSet == r.Hash() {
		return errors.New("a part of a backup set that nobody here asked for")
	}
	have := w.coming[from]
	if p.Offset == 0 {
		have = nil
	}
	if p.Offset != len(have) {
		delete(w.coming, from)
		return fmt.Errorf("a part of a backup set begins at %d, and not at %d", p.Offset, len(have))
	}
	have = append(slices.Clip(have), p.Bytes...)
	w.coming[from] = have
	if len(have) < p.Size {
		return nil
	}
	delete(w.coming, from)
	plan, err := guard.DecodePlan(p.Plan)
	if err != nil {
		return err
	}
	if _, _, err := r.OpenBackups(plan, have); err != nil {
		return err
	}
	var e journal.Entry
	for name, value := range map[string][]byte{protocol.RowRecord: r.Encode(), protocol.RowGuards: p.Plan, protocol.RowBackups: have} {
		e.Put = append(e.Put, store.Entry{Key: epochKey(r.KeyID, r.Hash(), name), Value: value})
	}
	slices.SortFunc(e.Put, func(a, b store.Entry) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	if err := k.cfg.Journal.Write(ctx, e); err != nil {
		return err
	}
	w.hasSet, w.coming = r.Hash(), map[engine.PartyID][]byte{}
	return nil
}
