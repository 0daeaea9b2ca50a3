package decide

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/store"
)

// Rows of this room (spec/store).
const (
	kindIntent   = "intent"   // intent/<id>: the life
	kindProposal = "proposal" // proposal/<id>: statement and the initiator's signature
	kindVote     = "vote"     // vote/<id>/<number>: verb and signature
	kindDecision = "decision" // decision/<id>/<operator>: node signature ‖ statement
	kindContrary = "contrary" // contrary/<id>/<operator>: the second decision of an operator that said the contrary, likewise
	kindRaw      = "raw"      // raw/<id>: the signed transaction, or a proof's signature

	kindPart = "part" // part/<id>/<place>: one of several signatures, and its recovery id

	kindUnallowed = "unallowed" // unallowed/<id>: when its signature came here; this node waits for the ALLOWs that it takes
)

func intentKey(id statement.ID) string   { return store.Key(kindIntent, store.ID(id[:])) }
func proposalKey(id statement.ID) string { return store.Key(kindProposal, store.ID(id[:])) }
func rawKey(id statement.ID) string      { return store.Key(kindRaw, store.ID(id[:])) }
func voteKey(id statement.ID, n int) string {
	return store.Key(kindVote, store.ID(id[:]), store.Number(uint64(n)))
}

// row keeps a decision.
func (r ruling) row(kind string) store.Entry {
	id := r.decision.Intent
	return store.Entry{Key: store.Key(kind, store.ID(id[:]), store.Name(r.decision.Operator)), Value: append(slices.Clone(r.sig), r.stmt.Bytes()...)}
}

const (
	fieldFirst transcript.Tag = iota + 1
	fieldSecond
)

func encodeTwo(a, b []byte) []byte {
	var e transcript.Encoder
	return e.Bytes(fieldFirst, a).Bytes(fieldSecond, b).Sum()
}

func decodeTwo(raw []byte) (a, b []byte, err error) {
	d := transcript.NewDecoder(raw)
	a, b = d.Bytes(fieldFirst, transcript.MaxLen), d.Bytes(fieldSecond, transcript.MaxLen)
	return a, b, d.Done()
}

func encodeProposal(s statement.Statement, armored []byte) []byte {
	return encodeTwo(s.Bytes(), armored)
}
func encodeVote(verb signet.Verb, armored []byte) []byte { return encodeTwo([]byte(verb), armored) }

// Load reads all files back. Sessions that ran when the node stopped are over: signing never
// resumes, and whether our last message left is not known, so it is taken to have left.
func (d *Desk) Load(ctx context.Context, now time.Time) error {
	if err := d.loadShunned(ctx, now); err != nil {
		return err
	}
	if err := d.loadUnallowed(ctx, now); err != nil {
		return err
	}
	st := d.cfg.Journal.Store()
	prefix := store.Prefix(kindProposal)
	for after := ""; ; {
		items, err := st.Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return fmt.Errorf("read intents: %w", err)
		}
		for _, it := range items {
			if err := d.loadOrSet(ctx, now, strings.TrimPrefix(it.Key, prefix), it.Value); err != nil {
				return err
			}
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

// loadOrSet reads one file, or sets it aside if it makes no sense: this node does nothing with that intent any more, and all others go
// on. Who signed it, and with what nonce, the other nodes know. A row that somebody else wrote ends the start: what an intent spends would be missing from limits.
func (d *Desk) loadOrSet(ctx context.Context, now time.Time, name string, row []byte) error {
	err := d.load(ctx, now, row)
	var malformed *rowError
	if err == nil || !errors.As(err, &malformed) && !errors.Is(err, store.ErrCorrupt) && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	err = fmt.Errorf("read intent %s: %w", name, err)
	if errors.Is(err, store.ErrForeign) {
		return err
	}
	id, hexErr := hex.DecodeString(name)
	if hexErr != nil || len(id) != len(statement.ID{}) {
		return err
	}
	d.cfg.Log.Error("an intent is set aside: this node cannot read what it keeps of it, and does nothing with it", "error", err)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.damaged[statement.ID(id)] = err
	return nil
}

// rowError says that a row makes no sense: not that the store is in trouble.
type rowError struct{ error }

func (e *rowError) Unwrap() error { return e.error }

// malformed marks what is wrong with a row.
func malformed(err error) error {
	if err == nil {
		return nil
	}
	return &rowError{err}
}

func (d *Desk) load(ctx context.Context, now time.Time, row []byte) error {
	raw, armored, err := decodeTwo(row)
	if err != nil {
		return malformed(err)
	}
	s, err := statement.ParseKind(raw, statement.Intent)
	if err != nil {
		return malformed(err)
	}
	it, err := intent.Of(s)
	if err != nil {
		return malformed(err)
	}
	roots := d.cfg.Vault(it.Vault)
	if len(roots) == 0 {
		return malformed(fmt.Errorf("vault %s is not known", it.Vault.Short()))
	}
	for _, v := range roots {
		if v.Damage != nil {
			return malformed(v.Damage)
		}
	}
	st := d.cfg.Journal.Store()
	row2, err := st.Get(ctx, intentKey(s.ID()))
	if err != nil {
		return err
	}
	f := &file{stmt: s, proposal: armored, decisions: map[string]ruling{}, others: map[string]ruling{}, allowedAt: now, due: true}
	held, _ := d.cfg.TermsUnder(roots[0].Vault, it.Charter)
	if v, err := d.vaultOf(it); err == nil {
		held = v.Vault
	}
	if f.life, err = intent.DecodeLife(row2.Value, s, held); err != nil {
		return malformed(err)
	}
	if err := d.loadVotes(ctx, f); err != nil {
		return err
	}
	for kind, into := range map[string]map[string]ruling{kindDecision: f.decisions, kindContrary: f.others} {
		if err := d.loadDecisions(ctx, kind, s.ID(), into); err != nil {
			return err
		}
	}
	if it, err := st.Get(ctx, rawKey(s.ID())); err == nil {
		f.raw = it.Value
	} else if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if v, err := d.vaultOf(it); err == nil {
		if err := d.signatures(f, v); err != nil {
			return err
		}
		d.decode(f, v)
		if err := d.loadParts(ctx, f, v); err != nil {
			return err
		}
	}
	t := d.tally(f)
	f.approved, f.met = len(t.Approved), t.Met()
	d.keep(f)
	if f.life.State() == intent.Signing {
		f.mu.Lock()
		defer f.mu.Unlock()
		return d.fail(ctx, now, f, f.life.Session(), errRestarted, true, store.Batch{})
	}
	return nil
}

// signatures verifies what was signed of an intent that may still move, and that its life counts that and nothing else: each row was verified before it was kept, so this is
// for what an older release's store held before its rows carried tags. A vote's key is one that the life names, and counts only where the vault lists it.
func (d *Desk) signatures(f *file, v ceremony.View) error {
	if f.life.State() > intent.Signing {
		return nil // nothing is signed by it any more
	}
	if err := f.counted(); err != nil {
		return err
	}
	it := f.life.Intent()
	then, ok := d.cfg.TermsThen(v.Vault, it.Charter, it.Created.Add(-intent.Skew))
	if !ok {
		return nil // nor by one whose charter is not here
	}
	if _, err := intent.VerifyProposal(f.stmt, f.proposal, d.officers(then, it.Initiator), it.Created); err != nil {
		return madeUp(proposalKey(f.stmt.ID()), err)
	}
	for i, b := range f.votes {
		key := voteKey(f.stmt.ID(), i+1)
		signer, err := signet.Verify(b.armored, b.vote.Verb, f.stmt.Bytes(), []signet.Key{b.vote.Key})
		if err != nil {
			return madeUp(key, fmt.Errorf("the vote of %s: %w", b.vote.Person, err))
		}
		if signer.Flags != b.vote.Flags {
			return madeUp(key, fmt.Errorf("the vote of %s was signed with %+v, and counts as with %+v", b.vote.Person, signer.Flags, b.vote.Flags))
		}
	}
	r, ok := d.cfg.Roster(v.Vault.Roster)
	if !ok {
		return nil
	}
	for kind, of := range map[string]map[string]ruling{kindDecision: f.decisions, kindContrary: f.others} {
		for name, x := range of {
			o, ok := r.Operator(name)
			if !ok {
				continue // counts for nothing
			}
			if err := signet.VerifyNode(o.Identity, x.stmt, x.sig); err != nil {
				return madeUp(x.row(kind).Key, fmt.Errorf("the decision of %s: %w", name, err))
			}
		}
	}
	return nil
}

// counted says whether the life's decisions are those that are kept, each operator's first and what it said to the contrary: a batch writes both.
func (f *file) counted() error {
	first, both := f.life.Decided(), f.life.Both()
	for kind, is := range map[string]struct {
		counted []string
		kept    map[string]ruling
	}{kindDecision: {first, f.decisions}, kindContrary: {both, f.others}} {
		for _, name := range is.counted {
			if _, ok := is.kept[name]; !ok {
				id := f.stmt.ID()
				return madeUp(store.Key(kind, store.ID(id[:]), store.Name(name)), fmt.Errorf("it is missing, and the row %q counts it: %s", intentKey(id), f.life.Verdict(name)))
			}
		}
		for name, x := range is.kept {
			said := x.decision.Verdict
			if !slices.Contains(is.counted, name) || (said == f.life.Verdict(name)) != (kind == kindDecision) {
				return madeUp(x.row(kind).Key, fmt.Errorf("%s said %s, and the row %q counts otherwise", name, said, intentKey(f.stmt.ID())))
			}
		}
	}
	return nil
}

// madeUp names a row of an intent that no node wrote so.
func madeUp(key string, err error) error {
	return &store.CorruptError{Key: key, Err: fmt.Errorf("%w; no node of the circle writes it so: find out who wrote to the store before its rows carried tags, keep a copy of it, and propose the intent anew", err)}
}

var errRestarted = errors.New("the node was restarted while the session ran")

func (d *Desk) loadVotes(ctx context.Context, f *file) error {
	id := f.stmt.ID()
	items, err := d.cfg.Journal.Store().Range(ctx, store.Prefix(kindVote, store.ID(id[:])), "", store.MaxLimit)
	if err != nil {
		return err
	}
	votes := f.life.Votes()
	if len(votes) != len(items) {
		return malformed(fmt.Errorf("%d votes are counted, %d are kept", len(votes), len(items)))
	}
	for i, it := range items {
		verb, armored, err := decodeTwo(it.Value)
		if err != nil {
			return malformed(err)
		}
		if key := voteKey(id, i+1); it.Key != key || signet.Verb(verb) != votes[i].Verb {
			return malformed(fmt.Errorf("vote %d lies in row %q and is to %s; row %q and %s are counted", i+1, it.Key, verb, key, votes[i].Verb))
		}
		f.votes = append(f.votes, ballot{votes[i], armored})
	}
	return nil
}

func (d *Desk) loadDecisions(ctx context.Context, kind string, id statement.ID, into map[string]ruling) error {
	items, err := d.cfg.Journal.Store().Range(ctx, store.Prefix(kind, store.ID(id[:])), "", store.MaxLimit)
	if err != nil {
		return err
	}
	for _, it := range items {
		if len(it.Value) < 64 {
			return malformed(fmt.Errorf("decision row %q is too short", it.Key))
		}
		s, err := statement.ParseKind(it.Value[64:], statement.Decision)
		if err != nil {
			return malformed(err)
		}
		dec, err := intent.DecisionOf(s)
		if err != nil {
			return malformed(err)
		}
		x := ruling{dec, s, it.Value[:64]}
		if dec.Intent != id || x.row(kind).Key != it.Key {
			return madeUp(it.Key, fmt.Errorf("it holds the decision of %s on intent %s", dec.Operator, dec.Intent.Short()))
		}
		into[dec.Operator] = x
	}
	return nil
}
