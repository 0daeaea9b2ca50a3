// Package witness has a node's log cosigned by others, and cosigns theirs (C2SP tlog-witness; spec/log 6).
//
// What is cosigned is durable first: a node never cosigns a log that it knew larger, or with another root, whatever it was
// restarted in between. It is asked over the links between nodes, and by logs outside the circle over HTTP; witnesses outside it are asked likewise.
//
// Locks: mu guards everything, and is held while a row is written: one request of a log at a time.
package witness

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// NoteFork shows that a log forked: two signed checkpoints (spec/node 3).
const NoteFork outbox.Kind = 0x62

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k == NoteFork }

// Rows of this room (spec/store).
const (
	kindSeen = "witnessed"      // witnessed/<origin>: the latest checkpoint that this node cosigned
	kindFork = "forked"         // forked/<origin>: two checkpoints that contradict each other
	kindOdd  = "suspected"      // suspected/<origin>: two checkpoints of which its own node did not show that one grew from the other
	keyOwn   = "log-checkpoint" // our own log's latest, with its cosignatures
)

const (
	signEvery = 2 * time.Second  // a growing log has so many checkpoints
	waitFor   = 5 * time.Second  // for cosignatures of one
	askEvery  = 10 * time.Second // who did not cosign the latest is asked again, while the log does not grow

	maxTold = 2 // sizes that a witness may say it knows, of one checkpoint
)

// Config is what a Witness works with.
type Config struct {
	Identity crypto.Signer
	Journal  *journal.Journal
	Log      *slog.Logger
	// Keys are those of all logs of the circle that are known, our own too.
	Keys func() []tlog.Keys
	// Generation is how many restores of our own store were confirmed: with each, ours is another log, and another witness.
	Generation func() uint64
	// Ask sends a request to another operator's node; it answers with Answer, or never. It must not block.
	Ask func(identity ed25519.PublicKey, request []byte)
	// Post tells all peers.
	Post func(ctx context.Context, now time.Time, e journal.Entry, n outbox.Note) error
	// Outside are witnesses, and Others logs, beyond the circle.
	Outside []Outside
	Others  []tlog.LogVerifier
}

// Outside is a witness beyond the circle: Ask sends a request, and must not block.
type Outside struct {
	Witness tlog.Witness
	Ask     func(request []byte)
}

// Witness is a node's part in witnessing.
type Witness struct {
	cfg      Config
	identity ed25519.PublicKey
	keys     []crypto.Signer // of the log and the witness, derived of the identity

	mu         sync.Mutex
	generation uint64
	signer     tlog.LogSigner
	cosigns    tlog.Cosigner
	forked     map[string]*tlog.ForkError // by origin
	odd        map[string]Suspicion       // by origin
	own        own

	quiet quiet
}

// own is how far our log is cosigned.
type own struct {
	published []byte // signed, with the cosignatures that came in time
	head      tlog.Head
	by        []tlog.Cosigned
	made      time.Time            // when it was signed
	late      map[string]time.Time // witnesses that have not cosigned, since when

	next  []byte // the one that is being cosigned; nil: none
	grown tlog.Head
	since time.Time
	again bool             // it is published already, and lacks cosignatures
	at    map[string]int64 // by witness name: the size that it is known to have cosigned
	asked map[string]bool  // it has not answered yet
	told  map[string]int   // how often it said that it knows another size of this one
	given []tlog.Cosigned
}

// Open reads back what was cosigned.
func Open(ctx context.Context, cfg Config) (*Witness, error) {
	w := &Witness{cfg: cfg, identity: cfg.Identity.Public().(ed25519.PublicKey), forked: map[string]*tlog.ForkError{}, odd: map[string]Suspicion{}}
	if err := w.become(cfg.Generation()); err != nil {
		return nil, err
	}
	if err := w.loadForks(ctx); err != nil {
		return nil, err
	}
	if err := w.loadSuspicions(ctx); err != nil {
		return nil, err
	}
	return w, w.loadOwn(ctx)
}

// become takes the keys of a generation. Nothing that is known of our log before holds for this one.
func (w *Witness) become(generation uint64) (err error) {
	tlog.Forget(w.keys...)
	log, witness := tlog.Derive(w.cfg.Identity, generation)
	w.keys = []crypto.Signer{log, witness}
	if w.signer, err = tlog.NewLogSigner(tlog.Origin(w.identity, generation), log); err != nil {
		return err
	}
	if w.cosigns, err = tlog.NewCosigner(tlog.WitnessName(w.identity, generation), witness); err != nil {
		return err
	}
	w.generation, w.own = generation, own{at: map[string]int64{}, asked: map[string]bool{}, told: map[string]int{}}
	return nil
}

// lock takes the lock. If our operator has confirmed a restore meanwhile, ours is another log and another witness from here on.
func (w *Witness) lock() (unlock func()) {
	w.mu.Lock()
	if g := w.cfg.Generation(); g != w.generation {
		if err := w.become(g); err != nil {
			w.cfg.Log.Error("the keys of our log", "error", err)
		}
	}
	return w.mu.Unlock
}

func rows(ctx context.Context, s store.Store, kind string) ([]store.Item, error) {
	items, err := s.Range(ctx, store.Prefix(kind), "", store.MaxLimit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", kind, err)
	}
	return items, nil
}

// Seen are the latest checkpoints of other logs that this node cosigned, those of the circle's first; of others, as many as there is room for.
func (w *Witness) Seen(ctx context.Context) ([][]byte, error) {
	items, err := rows(ctx, w.cfg.Journal.Store(), kindSeen)
	ours := map[string]bool{}
	for _, k := range w.cfg.Keys() {
		ours[k.Origin] = true
	}
	var signed, foreign [][]byte
	for _, it := range items {
		if ours[tlog.Request{Checkpoint: it.Value}.Origin()] {
			signed = append(signed, it.Value)
		} else {
			foreign = append(foreign, it.Value)
		}
	}
	signed = append(signed, foreign...)
	return signed[:min(len(signed), tlog.MaxSeen)], err
}

// Latest is a node's own latest checkpoint, as its store has it; nil before the first.
func Latest(ctx context.Context, s store.Store) ([]byte, error) {
	it, err := s.Get(ctx, keyOwn)
	if errors.Is(err, store.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read our log's checkpoint: %w", err)
	}
	return it.Value, nil
}

func (w *Witness) loadOwn(ctx context.Context) error {
	signed, err := Latest(ctx, w.cfg.Journal.Store())
	if signed == nil || err != nil {
		return err
	}
	if (tlog.Request{Checkpoint: signed}).Origin() != w.signer.Verifier().Name() {
		return nil // of the log that was kept here before the store was set back
	}
	c, by, err := tlog.OpenCheckpoint(signed, w.signer.Verifier(), w.witnesses())
	if err != nil { // who cosigned it is asked again: what others announced keeps no node from starting
		w.cfg.Log.Error("who cosigned our log's checkpoint cannot be read", "error", err)
		if c, by, err = tlog.OpenCheckpoint(signed, w.signer.Verifier(), nil); err != nil {
			return fmt.Errorf("read our log's checkpoint: %w", err)
		}
	}
	w.own.published, w.own.head, w.own.by = signed, c.Head, by
	last, err := w.cfg.Journal.Leaf(ctx, c.Head.Size-1)
	if err != nil {
		return fmt.Errorf("read what our log's checkpoint ends with: %w", err)
	}
	w.own.made = last.Time // or little later
	return nil
}

// witnesses are all that may cosign our log: the nodes of the other operators, and those outside.
func (w *Witness) witnesses() (out []tlog.Witness) {
	for _, k := range w.present() {
		if x, err := tlog.NewWitness(k.Name, k.Witness); err == nil {
			out = append(out, x)
		}
	}
	for _, o := range w.outside() {
		out = append(out, o.Witness)
	}
	return tlog.Distinct(w.signer.Verifier(), out)
}

// outside are the witnesses beyond the circle. A node of the circle that the settings name too is asked as such alone, and not counted twice.
func (w *Witness) outside() (out []Outside) {
	if len(w.cfg.Outside) == 0 {
		return nil
	}
	taken := map[string]bool{string(w.cosigns.Witness().Public()): true, string(w.signer.Verifier().Public()): true}
	for _, k := range w.cfg.Keys() {
		taken[string(k.Witness)], taken[k.Name], taken[string(k.Log)] = true, true, true
	}
	for _, o := range w.cfg.Outside {
		if !taken[string(o.Witness.Public())] && !taken[o.Witness.Name()] {
			out = append(out, o)
		}
	}
	return out
}

// Checkpoint is our log's latest that was published, with its head and who cosigned it; empty before the first.
func (w *Witness) Checkpoint() (signed []byte, head tlog.Head, by []tlog.Cosigned) {
	defer w.lock()()
	return w.own.published, w.own.head, slices.Clone(w.own.by)
}

// Made is when the latest checkpoint was signed, and which witnesses, by name, have not cosigned our log since when.
func (w *Witness) Made() (at time.Time, late map[string]time.Time) {
	defer w.lock()()
	return w.own.made, maps.Clone(w.own.late)
}

// Cosigned counts the other operators whose nodes have cosigned our log with its first size leaves. Witnesses beyond the circle are not
// counted: whom an operator has asked is its own choice.
func (w *Witness) Cosigned(size int64) int {
	defer w.lock()()
	by := map[string]bool{}
	note := func(of tlog.Head, all []tlog.Cosigned) {
		for _, c := range all {
			by[c.Name] = by[c.Name] || of.Size >= size
		}
	}
	note(w.own.head, w.own.by)
	if w.own.next != nil {
		note(w.own.grown, w.own.given)
	}
	n := 0
	for _, k := range w.present() {
		if by[k.Name] {
			n++
		}
	}
	return n
}

// Verifiers are what others know our log by, and this node where it cosigns.
func (w *Witness) Verifiers() (log tlog.LogVerifier, witness tlog.Witness) {
	defer w.lock()()
	return w.signer.Verifier(), w.cosigns.Witness()
}

// Forks lists the logs of which two checkpoints contradict each other, by origin.
func (w *Witness) Forks() (out []*tlog.ForkError) {
	defer w.lock()()
	for _, f := range w.forked {
		out = append(out, f)
	}
	slices.SortFunc(out, func(a, b *tlog.ForkError) int { return strings.Compare(string(a.A), string(b.A)) })
	return out
}

// Notes show the forks that are known, for who came later.
func (w *Witness) Notes() (out []outbox.Note) {
	for _, f := range w.Forks() {
		out = append(out, outbox.Note{Kind: NoteFork, Fields: [][]byte{f.A, f.B}})
	}
	return out
}

// Tick signs a checkpoint of our log once it has grown, and asks for cosignatures.
func (w *Witness) Tick(ctx context.Context, now time.Time) error {
	defer w.lock()()
	head, err := w.cfg.Journal.Head(ctx)
	if err != nil || head.Size == 0 {
		return err
	}
	since := now.Sub(w.own.since)
	within := func(d time.Duration) bool { return since >= 0 && since < d }
	stale := w.own.again && head != w.own.head // a new checkpoint waits for nobody who did not cosign the last
	if w.own.next != nil && len(w.own.asked) > 0 && within(waitFor) && !stale {
		return nil
	}
	if err := w.publish(ctx); err != nil {
		return err
	}
	switch {
	case within(signEvery):
		return nil
	case head != w.own.head:
		return w.begin(ctx, now, head)
	case !within(askEvery) && w.lacks():
		w.own.next, w.own.grown, w.own.since, w.own.given, w.own.again = w.own.published, head, now, slices.Clone(w.own.by), true
		return w.askAll(ctx)
	}
	return nil
}

// begin signs a new head.
func (w *Witness) begin(ctx context.Context, now time.Time, head tlog.Head) error {
	signed, err := tlog.Checkpoint{Origin: w.signer.Verifier().Name(), Head: head}.Sign(w.signer)
	if err != nil {
		return err
	}
	w.own.next, w.own.grown, w.own.since, w.own.given, w.own.again = signed, head, now, nil, false
	return w.askAll(ctx)
}

// publish makes the checkpoint that was being cosigned the one that is shown.
func (w *Witness) publish(ctx context.Context) error {
	if w.own.next == nil {
		return nil
	}
	w.count()
	if !w.own.again || len(w.own.given) > len(w.own.by) {
		e := journal.Entry{Batch: store.Batch{Put: []store.Entry{{Key: keyOwn, Value: w.own.next}}}}
		if err := w.cfg.Journal.Write(ctx, e); err != nil {
			return fmt.Errorf("keep our log's checkpoint: %w", err)
		}
	}
	if !w.own.again {
		w.own.made = w.own.since
	}
	w.own.published, w.own.head, w.own.by, w.own.next = w.own.next, w.own.grown, w.own.given, nil
	return nil
}

// count notes which witnesses did not cosign, and since when.
func (w *Witness) count() {
	late := map[string]time.Time{}
	for _, x := range w.witnesses() {
		if w.gave(x.Name()) {
			continue
		}
		since, before := w.own.late[x.Name()]
		if !before {
			since = w.own.since
		}
		late[x.Name()] = since
	}
	w.own.late = late
}

func (w *Witness) gave(name string) bool {
	return slices.ContainsFunc(w.own.given, func(c tlog.Cosigned) bool { return c.Name == name })
}

// lacks says whether somebody who may cosign the published checkpoint has not.
func (w *Witness) lacks() bool {
	by := map[string]bool{}
	for _, c := range w.own.by {
		by[c.Name] = true
	}
	return slices.ContainsFunc(w.present(), func(k tlog.Keys) bool { return !by[k.Name] }) ||
		slices.ContainsFunc(w.outside(), func(o Outside) bool { return !by[o.Witness.Name()] })
}

func (w *Witness) askAll(ctx context.Context) error {
	clear(w.own.asked)
	clear(w.own.told)
	var errs error
	for _, k := range w.present() {
		errs = errors.Join(errs, w.ask(ctx, k.Name, func(r []byte) { w.cfg.Ask(k.Identity, r) }))
	}
	for _, o := range w.outside() {
		errs = errors.Join(errs, w.ask(ctx, o.Witness.Name(), o.Ask))
	}
	return errs
}

// present are the others' keys, the latest of each node. A key that stands before, or is our own, is left out: it would be one word that counts twice.
func (w *Witness) present() (out []tlog.Keys) {
	taken := map[string]bool{string(w.cosigns.Witness().Public()): true, string(w.signer.Verifier().Public()): true}
	for _, k := range w.cfg.Keys() {
		latest := !slices.ContainsFunc(out, func(o tlog.Keys) bool { return o.Identity.Equal(k.Identity) })
		if !k.Identity.Equal(w.identity) && latest && !taken[string(k.Witness)] && !taken[k.Name] {
			out = append(out, k)
			taken[string(k.Witness)], taken[k.Name] = true, true
		}
	}
	return out
}

func (w *Witness) ask(ctx context.Context, name string, send func([]byte)) error {
	if w.gave(name) {
		return nil
	}
	old := w.own.at[name]
	if old > w.own.grown.Size {
		return nil // it knows more of our log than we do: the fence looks after that
	}
	proof, err := tlog.ProveConsistency(old, w.own.grown.Size, w.cfg.Journal.Hashes(ctx))
	if err != nil {
		return fmt.Errorf("ask %s to cosign: %w", name, err)
	}
	w.own.asked[name] = true
	send(tlog.Request{Old: old, Proof: proof, Checkpoint: w.own.next}.Encode())
	return nil
}

// Answer takes what another operator's node said to our request.
func (w *Witness) Answer(ctx context.Context, from ed25519.PublicKey, status int, body []byte) error {
	for _, k := range w.cfg.Keys() {
		if k.Identity.Equal(from) {
			x, err := tlog.NewWitness(k.Name, k.Witness)
			if err != nil {
				return err
			}
			return w.answered(ctx, x, status, body, func(r []byte) { w.cfg.Ask(k.Identity, r) })
		}
	}
	return errors.New("an answer to a request for a cosignature by a node whose witness key is not known here")
}

// AnswerOutside takes what a witness outside the circle said.
func (w *Witness) AnswerOutside(ctx context.Context, name string, status int, body []byte) error {
	for _, o := range w.cfg.Outside {
		if o.Witness.Name() == name {
			return w.answered(ctx, o.Witness, status, body, o.Ask)
		}
	}
	return fmt.Errorf("%s is no witness of this node's log", name)
}

func (w *Witness) answered(ctx context.Context, x tlog.Witness, status int, body []byte, ask func([]byte)) error {
	defer w.lock()()
	if !w.own.asked[x.Name()] {
		return nil // it comes too late
	}
	delete(w.own.asked, x.Name())
	switch status {
	case 200:
		signed, by, err := tlog.AddCosignature(w.own.next, body, x)
		if err != nil {
			return fmt.Errorf("cosignature by %s: %w", x.Name(), err)
		}
		w.own.next, w.own.given = signed, append(w.own.given, by)
		w.own.at[x.Name()] = w.own.grown.Size
		return nil
	case tlog.StatusConflict:
		known, err := tlog.ParseConflict(body)
		if w.own.told[x.Name()]++; err != nil || known == w.own.at[x.Name()] || w.own.told[x.Name()] > maxTold {
			return errors.Join(err, fmt.Errorf("%s knows our log with %d entries, and does not cosign", x.Name(), known))
		}
		w.own.at[x.Name()] = known
		return w.ask(ctx, x.Name(), ask)
	}
	return fmt.Errorf("%s does not cosign our log: status %d: %.200q", x.Name(), status, body)
}

// Frames: what goes between two nodes is the request's body, and back the status before the answer's.

// EncodeAnswer is an answer as a frame's body.
func EncodeAnswer(status int, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(status)), body...)
}

// DecodeAnswer reads it.
func DecodeAnswer(b []byte) (status int, body []byte, err error) {
	if len(b) < 2 || len(b) > 2+tlog.MaxNote {
		return 0, nil, fmt.Errorf("decode a witness's answer: %d bytes", len(b))
	}
	return int(binary.BigEndian.Uint16(b)), b[2:], nil
}
