package ceremony

import (
	"bytes"
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
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// More notes of this room: proofs that a share still lives.
const (
	NoteChallenge outbox.Kind = 0x14 // key id, challenge
	NoteProof     outbox.Kind = 0x15 // key id, eh, party, challenge, Unix time, proof, signature
)

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k >= NoteCert && k <= NoteProof }

var fieldCount = map[outbox.Kind]int{NoteCert: 2, NoteFinal: 1, NoteFinalCert: 1, NoteChoice: 3, NoteChallenge: 2, NoteProof: 7}

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
	case NoteChallenge:
		return k.takeChallenge(ctx, now, f[0], f[1], write)
	default:
		return k.takeProof(now, f, write)
	}
}

// of finds the vault of a key, which must be of its present attempt.
func (k *Keeper) of(key []byte) (*vault, error) {
	if len(key) != 32 {
		return nil, fmt.Errorf("key id has %d bytes", len(key))
	}
	if w := k.keys[[32]byte(key)]; w != nil {
		if w.keyID != [32]byte(key) {
			return nil, fmt.Errorf("key %x is of an attempt that was given up here", key[:6])
		}
		return w, nil
	}
	return nil, fmt.Errorf("%w: key %x is not known here", outbox.ErrLater, key[:6])
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
	w, err := k.of(r.KeyID[:])
	if err != nil {
		return err
	}
	if cur := w.book.Current(); cur != nil && cur.Record.Hash() == r.Hash() {
		return write(journal.Entry{}) // late news
	}
	for _, p := range w.book.Pending() {
		if p.Record.Hash() != r.Hash() {
			continue
		}
		if p.Cert != nil {
			return write(journal.Entry{})
		}
		if err := c.Check(p.Record); err != nil {
			return err
		}
		if err := write(k.certEntry(now, w, c)); err != nil {
			return err
		}
		return w.book.Certify(c)
	}
	// PREP is signed after the record is durable, so a certificate without our record is
	// none of ours: we gave it up, or the session still runs here.
	if _, gone := w.book.Gone(r.Hash()); gone {
		return fmt.Errorf("record %v was given up here", r.Hash())
	}
	return fmt.Errorf("%w: record %v is not prepared here", outbox.ErrLater, r.Hash())
}

func (k *Keeper) takeFinal(ctx context.Context, now time.Time, raw []byte, write func(journal.Entry) error) error {
	f, err := epoch.DecodeFinal(raw)
	if err != nil {
		return err
	}
	w, p := k.pending(f.Record)
	if w == nil {
		if k.isCurrent(f.Record) {
			return write(journal.Entry{})
		}
		return fmt.Errorf("%w: record %v is not pending here", outbox.ErrLater, f.Record)
	}
	if p.Cert == nil {
		return fmt.Errorf("%w: record %v is not certified here", outbox.ErrLater, f.Record)
	}
	if err := f.Check(p.Record, p.Cert.Hash()); err != nil {
		return err
	}
	if old := w.finals[f.From]; old != nil && !bytes.Equal(old.Encode(), raw) {
		return fmt.Errorf("party %v said FINAL of record %v before, in other bytes", f.From, f.Record)
	}
	if err := write(k.finalEntry(now, w, f)); err != nil {
		return err
	}
	w.finals[f.From], w.proofs[f.From] = f, now
	return k.assemble(ctx, now, w)
}

func (k *Keeper) pending(eh epoch.Hash) (*vault, *epoch.Pending) {
	for _, w := range k.vaults {
		for _, p := range w.book.Pending() {
			if p.Record.Hash() == eh {
				return w, p
			}
		}
	}
	return nil, nil
}

func (k *Keeper) isCurrent(eh epoch.Hash) bool {
	for _, w := range k.vaults {
		if c := w.book.Current(); c != nil && c.Record.Hash() == eh {
			return true
		}
	}
	return false
}

func (k *Keeper) takeFinalCert(ctx context.Context, now time.Time, raw []byte, write func(journal.Entry) error) error {
	f, err := epoch.DecodeFinalCert(raw)
	if err != nil {
		return err
	}
	w, err := k.of(f.Record.KeyID[:])
	if err != nil {
		return err
	}
	r := f.Record
	if !sameParties(r.Parties(), w.parties) || r.Threshold != w.Threshold || r.Suite != w.Suite || r.Epoch != 0 {
		return fmt.Errorf("final certificate of vault %s: committee, threshold or suite is not the vault's", w.Name)
	}
	if cur := w.book.Current(); cur != nil && cur.Sum() == f.Sum() {
		return write(journal.Entry{})
	}
	if err := write(k.currentEntry(now, w, f)); err != nil {
		return err
	}
	w.book.Adopt(f)
	return k.choose(ctx, now, w)
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
	w, err := k.of(c.Key[:])
	if err != nil {
		return err
	}
	if w.book.Current() == nil {
		return fmt.Errorf("%w: vault %s has no final certificate here yet", outbox.ErrLater, w.Name)
	}
	want, err := w.wanted()
	if err != nil {
		return err
	}
	if want.ID() != s.ID() {
		return fmt.Errorf("operator %s chose another key or certificate for vault %s than is in force here", operator, w.Name)
	}
	o, ok := w.roster.Operator(operator)
	if !ok || !w.member(memberID(o.Identity)) {
		return fmt.Errorf("operator %q is not in the committee of vault %s", operator, w.Name)
	}
	if err := signet.VerifyNode(o.Identity, s, sig); err != nil {
		return err
	}
	if err := write(k.choiceEntry(now, w, s, operator, sig)); err != nil {
		return err
	}
	w.choice, w.signed[operator] = s, sig
	return nil
}

// A share is proved by a Schnorr proof of knowledge over a fresh challenge and the time.
func aliveTree(key, eh, party, challenge, at []byte) *transcript.Hash {
	return transcript.New(transcript.EpochAlive).Bytes(key).Bytes(eh).Bytes(party).Bytes(challenge).Bytes(at)
}

// prove publishes a proof of our share.
func (k *Keeper) prove(ctx context.Context, now time.Time, w *vault, challenge [32]byte) error {
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

func (k *Keeper) provedEntry(now time.Time, w *vault, p engine.PartyID, n outbox.Note) journal.Entry {
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{provedRow(w.keyID, p, now)}},
		Leaves: []tlog.Leaf{{Kind: tlog.KindAlive, Time: now, Vault: w.ID, ID: n.ID()}},
	}
}

func provedRow(key [32]byte, p engine.PartyID, now time.Time) store.Entry {
	return store.Entry{Key: provedKey(key, p), Value: binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))}
}

// minProofGap bounds how often challenges make us prove a share.
const minProofGap = 5 * time.Second

func (k *Keeper) takeChallenge(ctx context.Context, now time.Time, key, challenge []byte, write func(journal.Entry) error) error {
	w, err := k.of(key)
	if err != nil {
		return err
	}
	if len(challenge) != 32 {
		return fmt.Errorf("challenge has %d bytes, not 32", len(challenge))
	}
	if w.book.Current() == nil {
		return fmt.Errorf("%w: vault %s has no key here yet", outbox.ErrLater, w.Name)
	}
	if err := write(journal.Entry{}); err != nil {
		return err
	}
	if now.Sub(w.proofs[k.cfg.Self]) < minProofGap {
		return nil
	}
	return k.prove(ctx, now, w, [32]byte(challenge))
}

// proofSkew is how far a proof's time may lie from our clock.
const proofSkew = 10 * time.Minute

func (k *Keeper) takeProof(now time.Time, f [][]byte, write func(journal.Entry) error) error {
	key, eh, party, challenge, at, proof, sig := f[0], f[1], f[2], f[3], f[4], f[5], f[6]
	w, err := k.of(key)
	if err != nil {
		return err
	}
	if w.book.Current() == nil {
		return fmt.Errorf("%w: vault %s has no key here yet", outbox.ErrLater, w.Name)
	}
	r := w.book.Current().Record
	if h := r.Hash(); !bytes.Equal(eh, h[:]) || len(party) != 16 || len(challenge) != 32 || len(at) != 8 || len(sig) != ed25519.SignatureSize {
		return fmt.Errorf("proof of a share of vault %s: another record, or a field of the wrong length", w.Name)
	}
	m, ok := r.Member(engine.PartyID(party))
	tree := aliveTree(key, eh, party, challenge, at)
	if !ok || !ed25519.Verify(m.Identity, tree.Tree(), sig) {
		return fmt.Errorf("proof of a share of vault %s: not signed by a member", w.Name)
	}
	if t := time.Unix(int64(binary.BigEndian.Uint64(at)), 0); t.Sub(now).Abs() > proofSkew {
		// Durable notes may come late: an old proof is no fault, it proves nothing new.
		return write(journal.Entry{})
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

// FinalCert gives the final certificate of a vault's key, to be sent to who lags behind.
func (k *Keeper) FinalCert(key [32]byte) (outbox.Note, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.keys[key]; w != nil && w.keyID == key && w.book.Current() != nil {
		return outbox.Note{Kind: NoteFinalCert, Fields: [][]byte{w.book.Current().Encode()}}, true
	}
	return outbox.Note{}, false
}
