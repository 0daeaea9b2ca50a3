// Package pulse makes a node's heartbeats and takes those of others, and makes known which keys sign a node's log
// (spec/log 5, 9).
//
// Locks: mu guards everything. Under it the keeper of keys is asked; it never asks back.
package pulse

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/pulse"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// Notes of this room (spec/node 3).
const (
	NoteHeartbeat outbox.Kind = 0x60 // statement, node's signature
	NoteLog       outbox.Kind = 0x61 // statement, node's signature
)

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k == NoteHeartbeat || k == NoteLog }

// Rows of this room (spec/store).
const (
	kindBeat = "heartbeat" // heartbeat/<operator>: when it was taken, statement, signature
	kindKeys = "log-keys"  // log-keys/<operator>/<generation>: statement, signature
	kindRuns = "program"   // program/<SHA-256>: since when some operator's heartbeats name it, Unix seconds
)

const (
	minGap = 5 * time.Second  // between two heartbeats of ours, whatever happens
	slack  = 10 * time.Minute // beyond the interval: how old the head of ours may be that a heartbeat names

	maxGenerations = 64 // logs of one operator that are remembered
)

// Config is what a Pulse works with.
type Config struct {
	Operator string
	Identity ed25519.PrivateKey
	Version  string   // of the program
	Binary   [32]byte // SHA-256 of its file
	Journal  *journal.Journal
	Rand     io.Reader
	Log      *slog.Logger
	Post     func(ctx context.Context, now time.Time, e journal.Entry, n outbox.Note) error

	// Roster is the newest one in force.
	Roster func() (charter.Roster, bool)
	// Every is how often a node shows that it lives, as the charter has it.
	Every func() time.Duration
	// Generation is how many restores of our own store were confirmed, as its log's name has it.
	Generation func() uint64
	// Head is what we were last told of another operator's log.
	Head func(identity ed25519.PublicKey) (tlog.Head, bool)
	// Shares names those to prove; Prove adds their proofs to a draft.
	Shares func() []pulse.Share
	Prove  func(ctx context.Context, h pulse.Heartbeat) (pulse.Heartbeat, error)
	// Proved checks the proofs of those shares whose records are in force here, and writes with what follows from them.
	Proved func(now time.Time, h pulse.Heartbeat, by engine.PartyID, e journal.Entry, write func(journal.Entry) error) error
	// Party is an operator's id in protocols.
	Party func(identity ed25519.PublicKey) engine.PartyID
}

// Pulse is what a node knows of who lives.
type Pulse struct {
	cfg Config

	mu     sync.Mutex
	began  bool                            // this process has shown that it lives
	looked time.Time                       // when the shares that it holds were last looked at
	beats  map[string]Beat                 // the last of each operator, our own too
	keys   map[string]map[uint64]Announced // by operator and generation
	told   map[engine.PartyID]bool         // who was told all keys since this process began
	runs   map[[32]byte]time.Time          // programs, since when they are run
}

// A Beat is a heartbeat as it was taken here.
type Beat struct {
	pulse.Heartbeat
	Statement statement.Statement
	Signature []byte
	Taken     time.Time // by this node's clock
}

func (b Beat) note() outbox.Note {
	return outbox.Note{Kind: NoteHeartbeat, Fields: [][]byte{b.Statement.Bytes(), b.Signature}}
}

// Announced are the keys of a log.
type Announced struct {
	tlog.Keys
	Statement statement.Statement
	Signature []byte
}

func (a Announced) note() outbox.Note {
	return outbox.Note{Kind: NoteLog, Fields: [][]byte{a.Statement.Bytes(), a.Signature}}
}

const (
	fieldTaken transcript.Tag = iota + 1
	fieldStatement
	fieldSignature
)

func encodeRow(taken time.Time, s statement.Statement, sig []byte) []byte {
	var e transcript.Encoder
	return e.Uint(fieldTaken, uint64(taken.Unix())).Bytes(fieldStatement, s.Bytes()).Bytes(fieldSignature, sig).Sum()
}

func decodeRow(b []byte) (taken time.Time, s statement.Statement, sig []byte, err error) {
	d := transcript.NewDecoder(b)
	taken = time.Unix(int64(d.Uint(fieldTaken, 1<<40)), 0).UTC()
	raw := d.Bytes(fieldStatement, statement.MaxBytes)
	sig = d.Fixed(fieldSignature, ed25519.SignatureSize)
	if err = d.Done(); err == nil {
		s, err = statement.Parse(raw)
	}
	return taken, s, sig, err
}

// Open reads back what was known.
func Open(ctx context.Context, cfg Config) (*Pulse, error) {
	p := &Pulse{cfg: cfg, beats: map[string]Beat{}, keys: map[string]map[uint64]Announced{}, told: map[engine.PartyID]bool{}, runs: map[[32]byte]time.Time{}}
	err := p.each(ctx, kindBeat, func(taken time.Time, s statement.Statement, sig []byte) error {
		h, err := pulse.Of(s)
		if err == nil {
			p.beats[h.Operator] = Beat{h, s, sig, taken}
		}
		return err
	})
	if err == nil {
		err = p.loadPrograms(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p, p.each(ctx, kindKeys, func(_ time.Time, s statement.Statement, sig []byte) error {
		k, err := tlog.KeysOf(s)
		if err == nil {
			p.keepKeys(Announced{k, s, sig})
		}
		return err
	})
}

// loadPrograms reads since when programs are run; there are as many as there were releases.
func (p *Pulse) loadPrograms(ctx context.Context) error {
	prefix := store.Prefix(kindRuns)
	items, err := p.cfg.Journal.Store().Range(ctx, prefix, "", store.MaxLimit)
	if err != nil {
		return fmt.Errorf("read %s: %w", kindRuns, err)
	}
	for _, it := range items {
		hash, err := hex.DecodeString(strings.TrimPrefix(it.Key, prefix))
		if err != nil || len(hash) != 32 || len(it.Value) != 8 {
			return fmt.Errorf("read row %q: it names no program", it.Key)
		}
		p.runs[[32]byte(hash)] = time.Unix(int64(binary.BigEndian.Uint64(it.Value)), 0).UTC()
	}
	return nil
}

func (p *Pulse) each(ctx context.Context, kind string, do func(taken time.Time, s statement.Statement, sig []byte) error) error {
	for prefix, after := store.Prefix(kind), ""; ; {
		items, err := p.cfg.Journal.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
		for _, it := range items {
			taken, s, sig, err := decodeRow(it.Value)
			if err == nil {
				err = do(taken, s, sig)
			}
			if err != nil {
				return fmt.Errorf("read row %q: %w", it.Key, err)
			}
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
}

func (p *Pulse) keepKeys(a Announced) {
	if p.keys[a.Operator] == nil {
		p.keys[a.Operator] = map[uint64]Announced{}
	}
	n, _ := a.Generation()
	p.keys[a.Operator][n] = a
}

// Beats lists the last heartbeat of each operator, by name.
func (p *Pulse) Beats() (out []Beat) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, b := range p.beats {
		out = append(out, b)
	}
	slices.SortFunc(out, func(a, b Beat) int { return strings.Compare(a.Operator, b.Operator) })
	return out
}

// Keys are those of an operator's present log.
func (p *Pulse) Keys(operator string) (a Announced, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.present(operator)
}

func (p *Pulse) present(operator string) (a Announced, ok bool) {
	for n, x := range p.keys[operator] {
		if m, _ := a.Generation(); !ok || n > m {
			a, ok = x, true
		}
	}
	return a, ok
}

// AllKeys are those of all logs that are known, the latest of an operator first.
func (p *Pulse) AllKeys() (out []tlog.Keys) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, operator := range slices.Sorted(maps.Keys(p.keys)) {
		for _, n := range slices.Backward(slices.Sorted(maps.Keys(p.keys[operator]))) {
			out = append(out, p.keys[operator][n].Keys)
		}
	}
	return out
}

// Notes are the keys of all logs that are known, and the last heartbeats, for who came later.
func (p *Pulse) Notes() (out []outbox.Note) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, of := range p.keys {
		for _, a := range of {
			out = append(out, a.note())
		}
	}
	for _, b := range p.beats {
		out = append(out, b.note())
	}
	return out
}

// Untold are those of these peers that were not told the keys of all logs since this process began.
func (p *Pulse) Untold(peers []engine.PartyID) []engine.PartyID {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(peers), func(id engine.PartyID) bool { return p.told[id] })
}

// Untell forgets that a peer was: its node does not know such notes.
func (p *Pulse) Untell(peer engine.PartyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.told, peer)
}

// Told notes that they were.
func (p *Pulse) Told(peers []engine.PartyID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, id := range peers {
		p.told[id] = true
	}
}

// Tick makes known the keys of our log, and that we live, when either is due.
func (p *Pulse) Tick(ctx context.Context, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, ok := p.cfg.Roster()
	if _, in := r.Operator(p.cfg.Operator); !ok || !in {
		return nil
	}
	if err := p.announce(ctx, now); err != nil {
		return err
	}
	if !p.due(now) {
		return nil
	}
	return p.beat(ctx, now, r)
}

// announce signs the keys of our log, once for each that we keep.
func (p *Pulse) announce(ctx context.Context, now time.Time) error {
	generation := p.cfg.Generation()
	if _, done := p.keys[p.cfg.Operator][generation]; done {
		return nil
	}
	identity := p.cfg.Identity.Public().(ed25519.PublicKey)
	log, witness := tlog.Derive(p.cfg.Identity, generation)
	k := tlog.Keys{
		Operator: p.cfg.Operator, Identity: identity, Origin: tlog.Origin(identity, generation), Log: log.Public().(ed25519.PublicKey),
		Name: tlog.WitnessName(identity, generation), Witness: witness.Public().(ed25519.PublicKey), Created: now.UTC().Truncate(time.Second),
	}
	salt, err := p.salt()
	if err != nil {
		return err
	}
	s, err := k.Statement(salt)
	if err != nil {
		return err
	}
	sig, err := signet.SignNode(p.cfg.Identity, s)
	if err != nil {
		return err
	}
	k.ID = s.ID()
	a := Announced{k, s, sig}
	if err := p.cfg.Post(ctx, now, keysEntry(now, a, generation), a.note()); err != nil {
		return err
	}
	p.keepKeys(a)
	return nil
}

func (p *Pulse) salt() (salt statement.Salt, err error) {
	if _, err = io.ReadFull(p.cfg.Rand, salt[:]); err != nil {
		err = fmt.Errorf("draw a salt: %w", err)
	}
	return salt, err
}

func keysEntry(now time.Time, a Announced, generation uint64) journal.Entry {
	key := store.Key(kindKeys, store.Name(a.Operator), store.Number(generation))
	return journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: key, Value: encodeRow(now, a.Statement, a.Signature)}}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindStatement, now, [32]byte{}, a.Statement.Bytes(), a.Signature)},
	}
}

// due says whether it is time: the charter's interval is over, this process has not shown yet that it lives, or it holds other shares
// than it proved.
func (p *Pulse) due(now time.Time) bool {
	last, ok := p.beats[p.cfg.Operator]
	switch since := now.Sub(last.Taken); {
	case !ok:
		return true
	case since >= 0 && since < minGap:
		return false
	case !p.began, since < 0, since >= p.cfg.Every():
		return true
	}
	if since := now.Sub(p.looked); since >= 0 && since < minGap {
		return false
	}
	p.looked = now
	same := func(a, b pulse.Share) bool { return a.Key == b.Key && a.Epoch == b.Epoch }
	return !slices.EqualFunc(p.cfg.Shares(), last.Shares, same)
}

func (p *Pulse) beat(ctx context.Context, now time.Time, r charter.Roster) error {
	salt, err := p.salt()
	if err != nil {
		return err
	}
	h := pulse.Heartbeat{
		Roster: r.ID, Operator: p.cfg.Operator, Version: p.cfg.Version, Binary: p.cfg.Binary, Created: now.UTC().Truncate(time.Second),
	}
	for _, o := range r.Operators {
		if head, ok := p.cfg.Head(o.Identity); ok && o.Name != p.cfg.Operator {
			h.Peers = append(h.Peers, pulse.Peer{Operator: o.Name, Log: head})
		}
	}
	if len(h.Peers) == 0 {
		return nil // it would prove nothing about the time
	}
	if h, err = p.cfg.Prove(ctx, pulse.Draft(h, salt)); err != nil {
		return err
	}
	s, err := h.Statement()
	if err != nil {
		return err
	}
	sig, err := signet.SignNode(p.cfg.Identity, s)
	if err != nil {
		return err
	}
	h.ID = s.ID()
	b := Beat{h, s, sig, now}
	n := b.note()
	own := p.cfg.Party(p.cfg.Identity.Public().(ed25519.PublicKey))
	err = p.cfg.Proved(now, h, own, p.entry(now, b), func(e journal.Entry) error { return p.cfg.Post(ctx, now, e, n) })
	if err == nil {
		p.keepBeat(b)
		p.began = true
	}
	return err
}

func (p *Pulse) entry(now time.Time, b Beat) journal.Entry {
	e := journal.Entry{
		Batch:  store.Batch{Put: []store.Entry{{Key: store.Key(kindBeat, store.Name(b.Operator)), Value: encodeRow(now, b.Statement, b.Signature)}}},
		Leaves: []tlog.Filed{tlog.Says(tlog.KindHeartbeat, now, [32]byte{}, b.Statement.Bytes(), b.Signature)},
	}
	// So many are remembered: whoever names others at each heartbeat fills nothing.
	if _, known := p.runs[b.Binary]; !known && len(p.runs) < store.MaxLimit {
		e.Put = append(e.Put, store.Entry{Key: store.Key(kindRuns, store.ID(b.Binary[:])), Value: binary.BigEndian.AppendUint64(nil, uint64(now.Unix()))})
	}
	return e
}

// Take checks a peer's note.
func (p *Pulse) Take(ctx context.Context, now time.Time, n outbox.Note, write func(journal.Entry) error) error {
	if len(n.Fields) != 2 {
		return fmt.Errorf("note of kind %#x has %d fields, not 2", uint8(n.Kind), len(n.Fields))
	}
	s, err := statement.Parse(n.Fields[0])
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if n.Kind == NoteLog {
		return p.takeKeys(now, s, n.Fields[1], write)
	}
	return p.takeBeat(ctx, now, s, n.Fields[1], write)
}

// signer finds the operator of the roster in force, whose node must have signed.
func (p *Pulse) signer(operator string, s statement.Statement, sig []byte) (charter.Operator, error) {
	r, _ := p.cfg.Roster()
	o, ok := r.Operator(operator)
	if !ok {
		return o, fmt.Errorf("%w: operator %s is not in the roster in force here", outbox.ErrLater, operator)
	}
	return o, signet.VerifyNode(o.Identity, s, sig)
}

func (p *Pulse) takeKeys(now time.Time, s statement.Statement, sig []byte, write func(journal.Entry) error) error {
	k, err := tlog.KeysOf(s)
	if err != nil {
		return err
	}
	o, err := p.signer(k.Operator, s, sig)
	if err != nil {
		return err
	}
	generation, err := k.Generation()
	if err != nil || !o.Identity.Equal(k.Identity) {
		return errors.Join(err, fmt.Errorf("the keys of operator %s's log name another identity than the roster", k.Operator))
	}
	if old, known := p.keys[k.Operator][generation]; known {
		if old.ID != k.ID {
			p.cfg.Log.Error("an operator names two sets of keys for one log", "operator", k.Operator, "origin", k.Origin)
			return fmt.Errorf("operator %s named other keys of log %s before", k.Operator, k.Origin)
		}
		return outbox.ErrOld
	}
	if len(p.keys[k.Operator]) >= maxGenerations && k.Operator != p.cfg.Operator {
		return fmt.Errorf("operator %s has named the keys of %d logs: more are not kept", k.Operator, maxGenerations)
	}
	a := Announced{k, s, sig}
	if err := write(keysEntry(now, a, generation)); err != nil {
		return err
	}
	p.keepKeys(a)
	return nil
}

func (p *Pulse) takeBeat(ctx context.Context, now time.Time, s statement.Statement, sig []byte, write func(journal.Entry) error) error {
	h, err := pulse.Of(s)
	if err != nil {
		return err
	}
	o, err := p.signer(h.Operator, s, sig)
	if err != nil {
		return err
	}
	if last, ok := p.beats[h.Operator]; ok && !h.Created.After(last.Created) {
		return outbox.ErrOld
	}
	fresh, err := p.fresh(ctx, now, h)
	if err != nil {
		return err
	}
	if !fresh {
		return outbox.ErrOld // it was true once; here it shows nothing
	}
	b := Beat{h, s, sig, now}
	if err := p.cfg.Proved(now, h, p.cfg.Party(o.Identity), p.entry(now, b), write); err != nil {
		return err
	}
	p.keepBeat(b)
	return nil
}

func (p *Pulse) keepBeat(b Beat) {
	p.beats[b.Operator] = b
	if _, known := p.runs[b.Binary]; !known && len(p.runs) < store.MaxLimit {
		p.runs[b.Binary] = b.Taken
	}
}

// Running says since when this node's own program is run by anybody, as heartbeats tell, and which operators run it now.
func (p *Pulse) Running() (since time.Time, operators []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, b := range p.beats {
		if b.Binary == p.cfg.Binary && name != p.cfg.Operator {
			operators = append(operators, name)
		}
	}
	slices.Sort(operators)
	return p.runs[p.cfg.Binary], append(operators, p.cfg.Operator)
}

// fresh says whether a heartbeat was made lately: it names a head of our own log, which nobody knew before it was one, and
// our log has not had a later one for longer than a heartbeat may take.
func (p *Pulse) fresh(ctx context.Context, now time.Time, h pulse.Heartbeat) (bool, error) {
	seen, ok := h.Seen(p.cfg.Operator)
	if !ok {
		return false, nil
	}
	head, err := p.cfg.Journal.Head(ctx)
	if err != nil {
		return false, err
	}
	if seen.Size > head.Size {
		return false, fmt.Errorf("%w: the heartbeat of %s names %d entries of this node's log, which has %d", outbox.ErrLater, h.Operator, seen.Size, head.Size)
	}
	then, err := p.cfg.Journal.HeadAt(ctx, seen.Size)
	if err != nil {
		return false, err
	}
	if then != seen {
		return false, fmt.Errorf("the heartbeat of %s names root %v of this node's log at size %d, which had %v", h.Operator, seen.Root, seen.Size, then.Root)
	}
	if seen.Size == head.Size {
		return true, nil
	}
	next, err := p.cfg.Journal.Leaf(ctx, seen.Size)
	return now.Sub(next.Time) <= p.cfg.Every()+slack, err
}
