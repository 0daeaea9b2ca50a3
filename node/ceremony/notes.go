package ceremony

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// More notes of this room: proofs that a share still lives.
const (
	NoteProof outbox.Kind = 0x14 // key id, eh, party, challenge, Unix time, proof, signature
)

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k >= NoteCert && k <= NoteRescued }

var fieldCount = map[outbox.Kind]int{NoteCert: 2, NoteFinal: 1, NoteFinalCert: 1, NoteChoice: 3, NoteProof: 7, NoteIntroduction: 5, NoteFollow: 4, NoteRescued: 5}

// Take checks a peer's note; write makes its entry durable together with the note. Errors
// that wrap outbox.ErrLater mean that it may be taken later.
func (k *Keeper) Take(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if want := fieldCount[n.Kind]; len(n.Fields) != want {
		return fmt.Errorf("note of kind %#x has %d fields, not %d", uint8(n.Kind), len(n.Fields), want)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	f := n.Fields
	switch n.Kind {
	case NoteCert:
		return k.takeCert(now, f[0], f[1], write)
	case NoteFinal:
		return k.takeFinal(ctx, now, f[0], write)
	case NoteFinalCert:
		return k.takeFinalCert(ctx, now, f[0], write)
	case NoteChoice:
		return k.takeChoice(now, f[0], string(f[1]), f[2], write)
	case NoteIntroduction:
		return k.takeIntroduction(ctx, now, f, write)
	case NoteFollow:
		return k.takeFollow(ctx, now, f, write)
	case NoteRescued:
		return k.takeRescued(now, n, write)
	default:
		return k.takeProof(now, f, write)
	}
}

// of finds the vault and attempt of a key.
func (k *Keeper) of(key []byte) (*root, *attempt, error) {
	if len(key) != 32 {
		return nil, nil, fmt.Errorf("key id has %d bytes", len(key))
	}
	if w := k.keys[[32]byte(key)]; w != nil {
		if a := w.attempts[[32]byte(key)]; a != nil {
			return w, a, nil
		}
	}
	if err := k.ownerDamaged([32]byte(key)); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	if w, _ := k.find([32]byte(key)); w != nil && w.outside(k.cfg.Self) {
		return nil, nil, outbox.ErrOld // others hold that vault's key; should we come to, we are introduced to it
	}
	return nil, nil, fmt.Errorf("%w: key %x is not known here", outbox.ErrLater, key[:6])
}

func (k *Keeper) takeCert(now time.Time, record, cert []byte, write func(journal.Entry) error) error {
	r, err := epoch.Decode(record)
	if err != nil {
		return err
	}
	c, err := epoch.DecodeCert(cert)
	if err != nil {
		return err
	}
	w, a, err := k.of(r.KeyID[:])
	if err != nil {
		return err
	}
	if cur := a.book.Current(); cur != nil && !r.Higher(cur.Record) {
		return outbox.ErrOld
	}
	for _, p := range a.book.Pending() {
		if p.Record.Hash() != r.Hash() {
			continue
		}
		if p.Cert != nil {
			return outbox.ErrOld
		}
		if err := a.book.CheckCert(c); err != nil {
			return err
		}
		if err := write(k.certEntry(now, w, a, c)); err != nil {
			return err
		}
		return a.book.Certify(c)
	}
	if _, member := r.Member(k.cfg.Self); !member {
		return outbox.ErrOld // it moves nobody, and permits us nothing
	}
	// PREP is signed after the record is durable, so a certificate without our record is
	// none of ours: we gave it up, or the session still runs here.
	if _, gone := a.book.Gone(r.Hash()); gone || a != w.attempt {
		return fmt.Errorf("record %v was given up here", r.Hash())
	}
	return fmt.Errorf("%w: record %v is not prepared here", outbox.ErrLater, r.Hash())
}

func (k *Keeper) takeFinal(ctx context.Context, now time.Time, raw []byte, write func(journal.Entry) error) error {
	f, err := epoch.DecodeFinal(raw)
	if err != nil {
		return err
	}
	w, a, p := k.pending(f.Record)
	switch {
	case f.From == k.cfg.Self:
		return outbox.ErrOld // ours is durable before it leaves; one that is not here is evidence: RolledBack
	case w == nil && k.wasCurrent(f.Record):
		return outbox.ErrOld
	case w == nil:
		return fmt.Errorf("%w: record %v is not pending here", outbox.ErrLater, f.Record)
	case p.Cert == nil:
		return fmt.Errorf("%w: record %v is not certified here", outbox.ErrLater, f.Record)
	}
	if err := f.Check(p.Record, p.Cert.Hash()); err != nil {
		return err
	}
	if a.finals[f.Record][f.From] != nil {
		return outbox.ErrOld // one is enough, in whatever bytes
	}
	if err := k.mayMove(ctx, now, w, p.Record, f.From, "the FINAL of "+w.names[f.From]); err != nil {
		return err
	}
	made := a.prepared[f.Record] // it may have been said at any time since
	if err := write(k.finalEntry(now, w, a, f, made)); err != nil {
		return err
	}
	a.keepFinal(f)
	if made.After(w.proofs[f.From]) {
		w.proofs[f.From] = made
	}
	return k.assemble(ctx, now, w, a)
}

// FinalsOf are the FINALs that a party said of what is pending here.
func (k *Keeper) FinalsOf(id engine.PartyID) (notes []outbox.Note) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.all() {
		for _, a := range w.sorted() {
			for _, p := range a.book.Pending() {
				if f := a.finals[p.Record.Hash()][id]; f != nil {
					notes = append(notes, outbox.Note{Kind: NoteFinal, Fields: [][]byte{f.Encode()}})
				}
			}
		}
	}
	return notes
}

func (k *Keeper) pending(eh epoch.Hash) (*root, *attempt, *epoch.Pending) {
	for _, w := range k.roots {
		for _, a := range w.attempts {
			for _, p := range a.book.Pending() {
				if p.Record.Hash() == eh {
					return w, a, p
				}
			}
		}
	}
	return nil, nil, nil
}

func (k *Keeper) wasCurrent(eh epoch.Hash) bool {
	for _, w := range k.roots {
		if w.past[eh] != nil {
			return true
		}
		for _, a := range w.attempts {
			if c := a.book.Current(); c != nil && c.Record.Hash() == eh {
				return true
			}
		}
	}
	return false
}

func (k *Keeper) takeFinalCert(ctx context.Context, now time.Time, raw []byte, write func(journal.Entry) error) error {
	f, err := epoch.DecodeFinalCert(raw)
	if err != nil {
		return err
	}
	w, a, err := k.of(f.Record.KeyID[:])
	if err != nil {
		return err
	}
	r := f.Record
	if r.Suite != w.suite || r.Epoch == 0 && (!sameParties(r.Parties(), w.genesis) || r.Threshold != w.Threshold) {
		return fmt.Errorf("final certificate of vault %s: committee, threshold or suite is not the vault's", w.title())
	}
	if err := cmp.Or(w.grounded(f), k.sanctioned(w, r)); err != nil {
		return err
	}
	if a.book.Current() == nil && r.Epoch > 0 && len(a.book.Pending()) == 0 {
		// Nothing here knows this key: its members could be anybody's, and its X too.
		return fmt.Errorf("%w: vault %s: a certificate of epoch %d, and no record of its key is here", outbox.ErrLater, w.title(), r.Epoch)
	}
	// Who carries a certificate could spoil the old committee's words in it, and no chain would hold with it.
	if c := a.book.Current(); c != nil && c.Record.Hash() == r.Prev {
		if err := f.CheckOlds(c.Record); err != nil {
			return err
		}
	}
	return k.adoptFrom(ctx, now, w, a, f, write)
}

func (k *Keeper) takeChoice(now time.Time, raw []byte, operator string, sig []byte, write func(journal.Entry) error) error {
	s, err := statement.ParseKind(raw, statement.Key)
	if err != nil {
		return err
	}
	c, err := charter.KeyChoiceOf(s)
	if err != nil {
		return err
	}
	w, a, err := k.of(c.Key[:])
	if err != nil {
		return err
	}
	if w.choice.ID() == s.ID() && bytes.Equal(w.signed[operator], sig) {
		return outbox.ErrOld
	}
	if a.book.Current() == nil {
		return fmt.Errorf("%w: vault %s has no final certificate here yet", outbox.ErrLater, w.title())
	}
	want, err := w.keyStatement(a)
	if err != nil {
		return err
	}
	if want.ID() != s.ID() {
		return fmt.Errorf("operator %s chose another key or certificate for vault %s than is in force here", operator, w.title())
	}
	o, ok := w.roster.Operator(operator)
	if !ok || !w.member(memberID(o.Identity)) {
		return fmt.Errorf("operator %q is not in the committee of vault %s", operator, w.title())
	}
	if err := signet.VerifyNode(o.Identity, s, sig); err != nil {
		return err
	}
	if operator == k.cfg.Operator {
		return &fence.ClonedError{ID: s.ID(), What: "key choice"} // ours is durable before it leaves, and was compared above
	}
	switch {
	case !w.choice.IsZero() && w.choice.ID() != s.ID():
		return fmt.Errorf("vault %s: operator %s chose key %x, others chose another: the vault cannot come into force; make it anew under another name", w.title(), operator, c.Key[:6])
	case w.signed[operator] != nil:
		return outbox.ErrOld
	}
	if err := write(k.choiceEntry(now, w, s, operator, sig)); err != nil {
		return err
	}
	w.attempt = a
	w.choice, w.signed[operator] = s, sig
	return nil
}

// A share is proved by a Schnorr proof of knowledge over a fresh challenge and the time.
func aliveTree(key, eh, party, challenge, at []byte) *transcript.Hash {
	return transcript.New(transcript.EpochAlive).Bytes(key).Bytes(eh).Bytes(party).Bytes(challenge).Bytes(at)
}

// prove publishes a proof of our share.
func (k *Keeper) prove(ctx context.Context, now time.Time, w *root, challenge [32]byte) error {
	r := w.book.Current().Record
	keys, err := k.loadKeys(ctx, r)
	if err != nil {
		return err
	}
	defer keys.Wipe()
	eh, at := r.Hash(), binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))
	tree := aliveTree(w.keyID[:], eh[:], k.cfg.Self[:], challenge[:], at)
	m, _ := r.Member(k.cfg.Self)
	proof, err := share.Prove(transcript.EpochAlive, tree.Tree(), keys.Share, m.Public, k.cfg.Rand)
	if err != nil {
		return fmt.Errorf("prove our share: %w", err)
	}
	n := outbox.Note{Kind: NoteProof, Fields: [][]byte{
		w.keyID[:], eh[:], k.cfg.Self[:], challenge[:], at, proof.Bytes(), k.sign(tree),
	}}
	if err := k.cfg.Post(ctx, now, k.provedEntry(now, w, k.cfg.Self, n), n); err != nil {
		return err
	}
	w.proofs[k.cfg.Self] = now
	return nil
}

func (k *Keeper) provedEntry(now time.Time, w *root, p engine.PartyID, n outbox.Note) journal.Entry {
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{provedRow(w.keyID, p, now)}},
		Leaves: []tlog.Filed{tlog.Notes(tlog.KindAlive, now, w.ID, n.ID()).On(w.keyID)},
	}
}

func provedRow(key [32]byte, p engine.PartyID, now time.Time) store.Entry {
	return store.Entry{Key: provedKey(key, p), Value: binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))}
}

// minProofGap bounds how often one peer's challenges make us prove a share.
const minProofGap = 5 * time.Second

// TakeChallenge answers a peer's challenge, which comes directly and leaves no trace, with
// the proof of our share. Each peer has its own gap: one that asks without end keeps no other from an answer.
func (k *Keeper) TakeChallenge(ctx context.Context, now time.Time, from engine.PartyID, key, challenge [32]byte) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	w, a, err := k.of(key[:])
	if err != nil {
		return err
	}
	if _, seated := a.book.Seat(k.cfg.Self); !w.published() || a != w.attempt || !seated {
		return fmt.Errorf("vault %s: %w", w.title(), ErrNoKey)
	}
	if a.bare {
		return k.bareError(w)
	}
	if now.Sub(w.proved[from]) < minProofGap {
		return fmt.Errorf("vault %s: the share was proved a moment ago", w.title())
	}
	w.proved[from] = now
	return k.prove(ctx, now, w, challenge)
}

// proofSkew is how far a proof's time may lie from our clock.
const proofSkew = 10 * time.Minute

func (k *Keeper) takeProof(now time.Time, f [][]byte, write func(journal.Entry) error) error {
	key, eh, party, challenge, at, proof, sig := f[0], f[1], f[2], f[3], f[4], f[5], f[6]
	w, a, err := k.of(key)
	if err != nil {
		return err
	}
	if a.book.Current() == nil {
		return fmt.Errorf("%w: vault %s has no key here yet", outbox.ErrLater, w.title())
	}
	r := a.book.Current().Record
	if h := r.Hash(); !bytes.Equal(eh, h[:]) || len(party) != 16 || len(challenge) != 32 || len(at) != 8 || len(sig) != ed25519.SignatureSize {
		return fmt.Errorf("proof of a share of vault %s: another record, or a field of the wrong length", w.title())
	}
	m, ok := r.Member(engine.PartyID(party))
	tree := aliveTree(key, eh, party, challenge, at)
	if !ok || !ed25519.Verify(m.Identity, tree.Tree(), sig) {
		return fmt.Errorf("proof of a share of vault %s: not signed by a member", w.title())
	}
	asked, ours := w.asked[[32]byte(challenge)]
	if !ours || now.Sub(asked) > proofSkew {
		return outbox.ErrOld // it answers another node, or comes too late: it proves nothing to us
	}
	p, err := share.DecodeProof(r.Public.Group(), proof)
	if err == nil {
		err = p.Verify(transcript.EpochAlive, tree.Tree(), m.Public)
	}
	if err != nil {
		return fmt.Errorf("proof of the share of %s: %w", w.names[m.ID], err)
	}
	n := outbox.Note{Kind: NoteProof, Fields: f}
	if err := write(k.provedEntry(now, w, m.ID, n)); err != nil {
		return err
	}
	w.proofs[m.ID] = now
	return nil
}

// Knows says whether a final certificate, or the grounds of one, is of a key of a vault that is known here.
func (k *Keeper) Knows(n outbox.Note) bool {
	var f *epoch.FinalCert
	var err error
	switch {
	case n.Kind == NoteFinalCert && len(n.Fields) == 1:
		f, err = epoch.DecodeFinalCert(n.Fields[0])
	case n.Kind == NoteRescued && len(n.Fields) > 0:
		f, err = epoch.FirstLink(n.Fields[0])
	default:
		return false
	}
	if err != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	_, _, err = k.of(f.Record.KeyID[:])
	return err == nil
}

// FinalCert gives the final certificate of a vault's key, to be sent to who lags behind.
func (k *Keeper) FinalCert(key [32]byte) (outbox.Note, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, a, err := k.of(key[:]); err == nil && a.book.Current() != nil {
		return outbox.Note{Kind: NoteFinalCert, Fields: [][]byte{a.book.Current().Encode()}}, true
	}
	return outbox.Note{}, false
}
