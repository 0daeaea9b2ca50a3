// Package pulse makes a node's heartbeats and takes those of others, and makes known which keys sign a node's log
// (spec/log 5, 9).
//
// Locks: mu guards everything. Under it the keeper of keys is asked; it never asks back.
package pulse

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"fmt"
	"io"
	"log/slog"
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
	kindRuns = "program"   // program/<operator>: the programs that its heartbeats named
)

const (
	minGap = 5 * time.Second  // between two heartbeats of ours, whatever happens
	slack  = 10 * time.Minute // beyond the interval: how old the head of ours may be that a heartbeat names

	// What another operator's heartbeats may fill of this node's log, by this node's clock: so many at once, where epochs change or its node
	// starts again and again, and then one in each quarter of the interval, or in gapMost.
	burst   = 8
	gapMost = 10 * time.Minute
	unknown = 8 // shares of keys that are not known here: their vaults may be on their way

	maxGenerations = 64 // logs of one operator that are remembered
)

// Config is what a Pulse works with.
type Config struct {
	Operator string
	Identity crypto.Signer
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
	// Sure says that nothing which this node may have said of its log before is forgotten here.
	Sure func(now time.Time) bool
	// Head is what we were last told of another operator's log, and after how many restores that one began.
	Head func(identity ed25519.PublicKey) (head tlog.Head, generation uint64, ok bool)
	// Witnessed is the latest checkpoint that this node cosigned of a log; nil if none.
	Witnessed func(ctx context.Context, origin string) (head tlog.Head, signed []byte, err error)
	// Shares names those that this node holds, by key; Prove adds the proofs of some to a draft.
	Shares func() []pulse.Share
	Prove  func(ctx context.Context, h pulse.Heartbeat, shares []pulse.Share) (pulse.Heartbeat, error)
	// Proved checks the proofs of those shares whose records are in force here, and writes with what follows from them.
	Proved func(ctx context.Context, now time.Time, h pulse.Heartbeat, by engine.PartyID, e journal.Entry, write func(journal.Entry) error) error
	// Known says whether a key is of a vault that is known here.
	Known func(key [32]byte) bool
	// Superseded says that a note need not reach anybody any more.
	Superseded func(outbox.ID)
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
	runs   map[string][]Program            // by operator: the last that it ran, the present one last
	spent  map[string]time.Time            // by operator: until when what it filled of our log counts
	taking map[string]bool                 // by operator: a heartbeat of it is being taken
	quoted map[[2]string]string            // by who quotes, and origin: how that contradicts what this node cosigned
}

// A Beat is a heartbeat as it was taken here.
type Beat struct {
	pulse.Heartbeat
	Statement statement.Statement
	Signature []byte
	Taken     time.Time // by this node's clock
}

// Announced are the keys of a log.
type Announced struct {
	tlog.Keys
	Statement statement.Statement
	Signature []byte
}

func (b Beat) note() outbox.Note {
	return outbox.Note{Kind: NoteHeartbeat, Fields: [][]byte{b.Statement.Bytes(), b.Signature}}
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

// Open reads back what was known. What others said, and cannot be read, is passed over: nobody else keeps this node from starting.
func Open(ctx context.Context, cfg Config) (*Pulse, error) {
	p := &Pulse{
		cfg: cfg, beats: map[string]Beat{}, keys: map[string]map[uint64]Announced{}, told: map[engine.PartyID]bool{}, runs: map[string][]Program{},
		spent: map[string]time.Time{}, taking: map[string]bool{}, quoted: map[[2]string]string{},
	}
	err := p.each(ctx, kindBeat, func(row string, value []byte) error {
		taken, s, sig, err := decodeRow(value)
		var h pulse.Heartbeat
		if err == nil {
			h, err = pulse.Of(s)
		}
		if err != nil {
			p.passOver(row, err)
			return nil
		}
		p.beats[h.Operator] = Beat{h, s, sig, taken}
		return nil
	})
	if err == nil {
		err = p.loadPrograms(ctx)
	}
	if err == nil {
		err = p.loadKeys(ctx)
	}
	if err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pulse) passOver(row string, err error) {
	if p.cfg.Log != nil {
		p.cfg.Log.Error("a row of what operators said is passed over", "row", row, "error", err)
	}
}

func (p *Pulse) each(ctx context.Context, kind string, do func(row string, value []byte) error) error {
	for prefix, after := store.Prefix(kind), ""; ; {
		items, err := p.cfg.Journal.Store().Range(ctx, prefix, after, store.MaxLimit)
		if err != nil {
			return fmt.Errorf("read %s: %w", kind, err)
		}
		for _, it := range items {
			if err := do(it.Key, it.Value); err != nil {
				return fmt.Errorf("read row %q: %w", it.Key, err)
			}
			after = it.Key
		}
		if len(items) < store.MaxLimit {
			return nil
		}
	}
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

func (p *Pulse) salt() (salt statement.Salt, err error) {
	if _, err = io.ReadFull(p.cfg.Rand, salt[:]); err != nil {
		err = fmt.Errorf("draw a salt: %w", err)
	}
	return salt, err
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
