package ceremony

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// introduce tells the newcomers of a plan what they need to verify the key: the choice that its first committee signed, and
// the chain from the officers' anchor to what is in force (protocols.md 1.2). Once for each plan and epoch.
func (k *Keeper) introduce(ctx context.Context, now time.Time, w *root, p charter.Plan) error {
	cur := w.book.Current()
	said := introduced{p.ID, cur.Record.Hash()}
	fresh := slices.DeleteFunc(slices.Clone(p.Committee), func(name string) bool { return slices.Contains(w.committee(cur.Record), name) })
	if len(fresh) == 0 || w.introduced == said {
		return nil
	}
	pinned, _ := p.Pinned(w.suite)
	c, err := k.chain(ctx, w, pinned.Anchor)
	if err != nil {
		return fmt.Errorf("vault %s: newcomers cannot be told of the key: %w", w.title(), err)
	}
	n := outbox.Note{Kind: NoteIntroduction, Fields: [][]byte{p.ID[:], []byte(w.suite), w.choice.Bytes(), encodeSignatures(w.signed), c.Encode()}}
	if size := len(n.Encode()); size > outbox.MaxNote {
		return fmt.Errorf("vault %s: newcomers cannot be told of the key: so many epochs have passed that what they need has %d bytes: make another reshare, whose anchor is younger", w.title(), size)
	}
	if err := k.cfg.Post(ctx, now, journal.Entry{}, n); err != nil {
		return err
	}
	w.introduced = said
	k.cfg.Introduced(w.ID, fresh)
	return nil
}

// welcome names once more, now that their epoch is in force here, whom it seats and the one before did not: an introduction may have come to them
// before the plan did. Once for each process, so that no crash loses it.
func (k *Keeper) welcome(now time.Time, w *root) {
	if !w.published() {
		return
	}
	cur := w.book.Current().Record
	parent := w.past[cur.Prev]
	if w.told == cur.Hash() || parent == nil || now.Sub(w.moved) > tellFor {
		return
	}
	w.told = cur.Hash()
	before := w.committee(parent)
	fresh := slices.DeleteFunc(w.committee(cur), func(name string) bool { return slices.Contains(before, name) })
	if len(fresh) > 0 {
		k.cfg.Introduced(w.ID, fresh)
	}
}

// tellFor is how long what was allowed before an epoch may count in its members' limits.
const tellFor = 40 * 24 * time.Hour

// chain is the way from an anchor to what is in force, of the certificates that were in force here.
func (k *Keeper) chain(ctx context.Context, w *root, anchor epoch.Hash) (*epoch.Chain, error) {
	certs := map[epoch.Hash]*epoch.FinalCert{}
	err := k.each(ctx, store.Prefix(kindLink, store.ID(w.keyID[:])), func(_ string, value []byte) error {
		f, err := epoch.DecodeFinalCert(value)
		if err == nil {
			certs[f.Record.Hash()] = f
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the chain of epochs: %w", err)
	}
	way := []*epoch.FinalCert{w.book.Current()}
	for way[0].Record.Hash() != anchor {
		f := certs[way[0].Record.Prev]
		if f == nil {
			return nil, fmt.Errorf("the reshare's anchor %v is no ancestor of the epoch in force that this node holds: make another reshare", anchor)
		}
		way = append([]*epoch.FinalCert{f}, way...)
	}
	c, err := epoch.NewChain(way[0], epoch.Enrolment{KeyID: w.keyID, Public: way[0].Record.Public, Anchor: anchor})
	for _, f := range way[1:] {
		if err == nil {
			c, err = c.Extend(f)
		}
	}
	return c, err
}

const (
	fieldSignatures transcript.Tag = iota + 1
	fieldOperator
	fieldSignature
)

func encodeSignatures(signed map[string][]byte) []byte {
	names := slices.Sorted(maps.Keys(signed))
	var e transcript.Encoder
	return e.List(fieldSignatures, len(names), func(i int, e *transcript.Encoder) {
		e.String(fieldOperator, names[i]).Bytes(fieldSignature, signed[names[i]])
	}).Sum()
}

func decodeSignatures(b []byte, least int) (map[string][]byte, error) {
	d, signed, last := transcript.NewDecoder(b), map[string][]byte{}, ""
	d.List(fieldSignatures, least, statement.MaxOperators, func(_ int, d *transcript.Decoder) {
		name, sig := d.String(fieldOperator, 64), d.Fixed(fieldSignature, 64)
		if d.Err() == nil && name <= last {
			d.Fail(fieldOperator, errors.New("operators are not in ascending order"))
		}
		last, signed[name] = name, bytes.Clone(sig)
	})
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode node signatures: %w", err)
	}
	return signed, nil
}

// takeIntroduction is how a newcomer learns of a key. It believes what its own officer signed, and what follows from that: the
// key is the pinned one, the vault's first committee chose it, and each committee agreed to the next. It then has a root
// without a share: nothing is proved, signed or refreshed by it.
func (k *Keeper) takeIntroduction(ctx context.Context, now time.Time, f [][]byte, write func(journal.Entry) error) error {
	s, err := statement.ParseKind(f[2], statement.Key)
	if err != nil {
		return err
	}
	choice, err := charter.KeyChoiceOf(s)
	if err != nil {
		return err
	}
	w := k.roots[rootID{choice.Vault, string(f[1])}]
	if err := k.damagedOf(rootID{choice.Vault, string(f[1])}); err != nil {
		return fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	if w == nil {
		return fmt.Errorf("%w: vault %s has no key of suite %.32q here", outbox.ErrLater, choice.Vault.Short(), f[1])
	}
	plans := k.plans[w.ID].Plans()
	i := slices.IndexFunc(plans, func(p charter.Plan) bool { return bytes.Equal(p.ID[:], f[0]) })
	if i < 0 {
		return fmt.Errorf("%w: reshare %.4x of vault %s is not complete here", outbox.ErrLater, f[0], w.title())
	}
	p := plans[i]
	if !slices.Contains(p.Signed, k.cfg.Operator) {
		return outbox.ErrOld // nothing that concerns us
	}
	signed, c, err := w.checkIntroduction(p, s, choice, f[3], f[4])
	if err != nil {
		return fmt.Errorf("introduction to vault %s: %w", w.title(), err)
	}
	last := c.Last()
	for _, f := range c.Links() { // an epoch that an emergency made needs its grounds wherever it stands, or t nodes could have made up the rest from there
		if f.Record.Rescued() {
			if err := cmp.Or(w.grounded(f), k.sanctioned(w, f.Record)); err != nil {
				return err
			}
		}
	}
	if err := k.sanctioned(w, last.Record); err != nil {
		return err
	}
	if w.published() {
		return k.adoptFrom(ctx, now, w, w.attempt, last, write)
	}
	if err := write(k.introductionEntry(now, w, s, choice, signed, c)); err != nil {
		return err
	}
	k.introduced(w, now, s, choice, signed, c)
	return nil
}

func (w *root) checkIntroduction(p charter.Plan, s statement.Statement, choice charter.KeyChoice, sigs, chain []byte) (map[string][]byte, *epoch.Chain, error) {
	pinned, ok := p.Pinned(w.suite)
	switch {
	case !ok || choice.Suite != w.suite || choice.Key != pinned.Key || !bytes.Equal(choice.PublicKey, pinned.PublicKey):
		return nil, nil, errors.New("the key is not the one that our officer signed")
	}
	signed, err := w.checkChoice(s, choice, sigs)
	if err != nil {
		return nil, nil, err
	}
	g, err := epoch.GroupOf(w.suite)
	if err != nil {
		return nil, nil, err
	}
	public, err := g.DecodePoint(pinned.PublicKey)
	if err != nil {
		return nil, nil, fmt.Errorf("the pinned public key: %w", err)
	}
	c, err := epoch.OpenChain(chain, epoch.Enrolment{KeyID: choice.Key, Public: public, Anchor: pinned.Anchor})
	if err != nil {
		return nil, nil, err
	}
	if first := c.Links()[0].Record; first.Epoch == 0 && first.Hash() != epoch.Hash(choice.Epoch) {
		return nil, nil, errors.New("the first epoch is not the one that the vault's first committee chose")
	}
	return signed, c, nil
}

// introductionEntry is what a node keeps of a key that it holds no share of.
func (k *Keeper) introductionEntry(now time.Time, w *root, s statement.Statement, choice charter.KeyChoice, signed map[string][]byte, c *epoch.Chain) journal.Entry {
	key := store.ID(choice.Key[:])
	var by [][]byte
	for _, operator := range slices.Sorted(maps.Keys(signed)) {
		by = append(by, signed[operator])
	}
	e := journal.Entry{Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, w.ID, s.Bytes(), by...)}}
	e.Leaves = append(e.Leaves, tlog.Says(tlog.KindFinalCert, now, w.ID, c.Last().Encode()).On(c.Last().Record.Hash()))
	put := func(name string, value []byte) { e.Put = append(e.Put, store.Entry{Key: name, Value: value}) }
	put(attemptKey(w), binary.BigEndian.AppendUint64(nil, choice.Attempt))
	put(store.Key(kindCurrent, key), c.Last().Encode())
	put(store.Key(kindMoved, key), binary.BigEndian.AppendUint64(nil, uint64(now.Unix())))
	last := c.Last().Record.Hash()
	put(store.Key(kindSince, key, store.ID(last[:])), binary.BigEndian.AppendUint64(nil, uint64(now.Unix())))
	links := c.Links()
	// A batch has room for so many; what is older, nobody asks a newcomer for.
	for _, f := range links[max(0, len(links)-maxLinks):] {
		eh := f.Record.Hash()
		put(store.Key(kindLink, key, store.Number(f.Record.Epoch), store.ID(eh[:])), f.Encode())
	}
	for name, sig := range signed {
		put(store.Key(kindChoice, store.ID(w.ID[:]), store.Name(w.suite), store.Name(name)), append(slices.Clone(sig), s.Bytes()...))
	}
	return e
}

const maxLinks = 64

// loadPast reads which records were in force here.
func (k *Keeper) loadPast(ctx context.Context, w *root) error {
	clear(w.past)
	err := k.each(ctx, store.Prefix(kindLink, store.ID(w.keyID[:])), func(_ string, value []byte) error {
		if c := w.book.Current(); c != nil && sha256.Sum256(value) == w.kept {
			w.past[c.Record.Hash()] = c.Record // the same bytes
			return nil
		}
		f, err := epoch.DecodeFinalCert(value)
		if err == nil {
			w.past[f.Record.Hash()] = f.Record
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read the chain of epochs: %w", err)
	}
	clear(w.sinces)
	return k.each(ctx, store.Prefix(kindSince, store.ID(w.keyID[:])), func(name string, value []byte) error {
		eh, err := hex.DecodeString(name)
		if err != nil || len(eh) != 32 || len(value) != 8 {
			return fmt.Errorf("row since/%s has %d bytes", name, len(value))
		}
		w.sinces[epoch.Hash(eh)] = time.Unix(int64(binary.BigEndian.Uint64(value)), 0).UTC()
		return nil
	})
}
