package decide

import (
	"bytes"
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/presign"
)

// Notes of this room.
const (
	NoteProposal outbox.Kind = 0x20 // intent, initiator's signature
	NoteVote     outbox.Kind = 0x21 // intent id, verb, signature
	NoteDecision outbox.Kind = 0x22 // decision, node signature
	NoteCancel   outbox.Kind = 0x23 // cancellation, initiator's signature
	NoteSigned   outbox.Kind = 0x24 // intent id, raw signed transaction or proof's signature
	NotePast     outbox.Kind = 0x25 // intent, initiator's signature, ALLOWs
	NotePart     outbox.Kind = 0x26 // intent id, place, one of several signatures
)

// Takes says whether a note is this room's.
func Takes(k outbox.Kind) bool { return k >= NoteProposal && k <= NotePart }

// heardFor is how long after an intent's end, or after a peer was told of it as of the past, its other notes are brought to a peer that does not
// know it.
const heardFor = time.Hour

// intentOf is the intent that a note is about.
func intentOf(n outbox.Note) (id statement.ID, ok bool) {
	if !Takes(n.Kind) || len(n.Fields) != fieldCount[n.Kind] {
		return id, false
	}
	switch n.Kind {
	case NoteProposal, NotePast:
		s, err := statement.ParseKind(n.Fields[0], statement.Intent)
		return s.ID(), err == nil
	case NoteDecision, NoteCancel:
		s, err := statement.Parse(n.Fields[0])
		if err != nil || s.Kind() != statement.Decision && s.Kind() != statement.Cancel {
			return id, false
		}
		return s.Fields().ID("intent"), true
	}
	if len(n.Fields[0]) != len(id) {
		return id, false
	}
	return statement.ID(n.Fields[0]), true
}

// Config is what a Desk works with.
type Config struct {
	Self     engine.PartyID
	Operator string
	Identity crypto.Signer
	Journal  *journal.Journal
	Rand     io.Reader
	Log      *slog.Logger
	Post     func(ctx context.Context, now time.Time, e journal.Entry, n outbox.Note) error
	// Vault and Keys come from the room that keeps keys. Vault shows the keys of a vault, none if it is not known.
	Vault func(statement.ID) []ceremony.View
	// VaultAt shows a vault as it was held in an epoch that was in force here; First in the first one that was.
	VaultAt func(vault statement.ID, key [32]byte, eh epoch.Hash) (charter.Vault, bool)
	First   func(vault statement.ID, key [32]byte) (charter.Vault, bool)
	// Ended says since when an epoch serves no more here, or at the latest since when; zero: it does, or that is not known.
	Ended func(vault statement.ID, key [32]byte, eh epoch.Hash) time.Time
	// Named is what an epoch that an intent names is to this node.
	Named func(vault statement.ID, key [32]byte, eh epoch.Hash) ceremony.Named
	Keys  func(ctx context.Context, key [32]byte, eh epoch.Hash) (*protocol.Keys, error)
	// Fit refuses a setup with a burned pair, a quarantined party or a failing key.
	Fit func(ctx context.Context, now time.Time, s *mpc.Setup, pairs [32]byte) error
	// Choose picks t signers of those who could sign.
	Choose func(ctx context.Context, now time.Time, key [32]byte, from []mpc.Party, t int) ([]mpc.Party, error)
	// Unfit lists the parties with whom a key cannot be used.
	Unfit     func(ctx context.Context, key, pairs [32]byte) (map[engine.PartyID]bool, error)
	Reachable func(engine.PartyID) bool
	// There says so of a key whose shares an emergency made: nobody is left out for what its machine does not show.
	There func(engine.PartyID) bool
	// Check compares a decoded transaction with the chain as this node's own endpoint sees
	// it. checked is false when no endpoint is configured for the chain. Mismatches are
	// returned as why; err is trouble with the endpoint.
	// Explain puts an error into people's words: operators' names for party ids.
	Explain func(error) string
	// Roster is where the operators of a vault that stands under a roster are looked up (charter.Chain.Reach).
	Roster func(roster statement.ID) (charter.Roster, bool)
	// Charter is the version in force as it counts now, without what was revoked or has expired; ok is false while there is none.
	Charter func() (x charter.Charter, ok bool)
	// Policy reads the rules of a version.
	Policy func(id statement.ID) (*policy.Policy, error)
	// Book is what a version that is or was in force here says of chains.
	Book func(charter statement.ID) (*policy.Book, error)
	// TermsUnder gives a vault the terms of a version that is or was in force here.
	TermsUnder func(v charter.Vault, under statement.ID) (charter.Vault, bool)
	// TermsThen gives it the terms that such a version had at a time, whatever was revoked since.
	TermsThen func(v charter.Vault, under statement.ID, at time.Time) (charter.Vault, bool)
	// Frozen says by whom a vault is frozen, and until when; empty if it is not.
	Frozen func(vault statement.ID, now time.Time) string
	// SOS is asked of what leaves a vault that is held, or was; may be nil, and give nil while that room is not open.
	SOS func() SOS
	// Lost says that this node was set back, and may have lost an epoch of an emergency that was in force then. It takes that room's lock; may be nil.
	Lost func(vault statement.ID, at time.Time) bool
	// Usual is what a fee of such a transaction usually is, in its chain's smallest unit, as this node's own endpoint says; nil without an endpoint of its chain.
	Usual func(ctx context.Context, p payload.Payload) (*big.Int, error)
	// Signed hears that a vault signed. It is called under our lock; may be nil.
	Signed func(vault statement.ID)
	// RestoredAt is when this store was made from an export: what went out before may be forgotten here, so windows that reach back before it count
	// as full. Zero: it never was.
	RestoredAt func() time.Time
	Check      func(ctx context.Context, q Question) (checked bool, why string, err error)
	// CheckBlock is as Check, of the block that a proof speaks of.
	CheckBlock func(ctx context.Context, chain string, b intent.Block) (checked bool, why string, err error)
	// Presignatures are this node's, to sign in one broadcast with.
	Presignatures *presign.Pools
	// Cosigned counts the other operators whose nodes have cosigned our log with its first size leaves.
	Cosigned func(size int64) int
	// HeldBack says why the release that this node runs does not sign for a vault yet; "" if it does. May be nil.
	HeldBack func(now time.Time, v ceremony.View) string
	// Unvetted says in words with which parties no session is held for want of evidence of what a node runs on; "" if with all. May be nil.
	Unvetted func([]mpc.Party) string
	// Demands says whether the charter demands such evidence of anybody. May be nil.
	Demands func() bool
}

// RuleState is the rule that a node's own view of the chain decides: nonce, balance, fees; the block that a proof speaks of.
const RuleState = "state"

// RuleShare denies what this node can never sign: it holds no share of the epoch that the intent names.
const RuleShare = "share"

// A Desk rules on intents.
type Desk struct {
	cfg Config

	mu    sync.Mutex
	files map[statement.ID]*file
	live  map[statement.ID]*file // those that time or the chain may still move
	poor  map[engine.PartyID]record

	shunning sync.Mutex // held while what befell a party is noted and written; taken before all others

	claims map[statement.ID]claim           // of the intents that have not come to an end
	slots  map[string]map[statement.ID]bool // which of them use one thing that its chain gives once
	open   map[initiator]int                // how many of them are not signed
	names  map[made]bool                    // transactions that vaults signed

	chapters map[statement.ID]*policy.Book // what charters say of chains, by their ids

	rules rules                        // of the charter in force
	flows map[statement.ID]outflows    // what each vault gave out, or may
	books map[statement.ID]*sync.Mutex // by vault: held from the totals to the debit; taken after a file's lock, before mu

	moves uint64 // how often debit was asked
	owed  []Owed // what peers are to be told of the past

	unallowed map[statement.ID]wait // signed, and how long this node has waited for the ALLOWs that it takes

	damaged map[statement.ID]error // intents that were set aside: their rows, or those of their vault's keys, cannot be read
}

// file is one intent and all that is known of it.
type file struct {
	mu        sync.Mutex
	ended     atomic.Bool // nothing moves it any more, unless a signature appears
	stmt      statement.Statement
	proposal  []byte     // the initiator's signature
	by        signet.Key // that made it; zero before it was looked at
	approved  int        // people whose approval counted when it was last looked at
	met       bool       // they were enough
	life      intent.Life
	votes     []ballot
	decisions map[string]ruling        // by operator: the first that came
	others    map[string]ruling        // the second of an operator that said the contrary
	payload   payload.Payload          // nil if it could not be decoded
	read      *decoded                 // nil before it was looked at
	parts     map[int]effect.Signature // of a transaction that needs several signatures: those that are known, by place; never changed in place
	raw       []byte                   // the signed transaction, or a proof's signature
	gone      bool                     // it could not be made durable
	due       bool                     // this node must rule again: it was restarted, or could not publish
	waits     string                   // why this node has not decided, beyond missing approvals
	lacks     string                   // what the policy asks for beside the quorum
	again     time.Time                // what waits for the policy's hours and limits, or for a freeze to end, is ruled on again then
	lastErr   string                   // how the last session ended
	allowedAt time.Time
	next      time.Time                    // we open no session before this
	admitting bool                         // a session was admitted and is not durable yet
	held      time.Time                    // a cancellation or rejection waits: no session begins before this
	skip      map[engine.PartyID]time.Time // who failed us lately: left out until then, if t others are there
	idles     int                          // sessions that never began
	plain     bool                         // an online session of it never began: it is signed in three rounds
	online    bool                         // so is not its present session, which uses a presignature
	toldAt    map[outbox.Peer]time.Time    // who did not know it, and was told of it as of the past
	idle      map[engine.PartyID]time.Time // whose sessions never began: their next one is refused until then
	logged    int64                        // a size of our log that holds our own ALLOW; 0: not looked at yet
	early     int                          // sessions that were opened before a party could join
}

type ballot struct {
	vote    intent.Vote
	armored []byte
}

type ruling struct {
	decision intent.Decision
	stmt     statement.Statement
	sig      []byte
}

// New makes a desk; Load brings its files back.
func New(cfg Config) *Desk {
	return &Desk{
		cfg: cfg, files: map[statement.ID]*file{}, live: map[statement.ID]*file{}, poor: map[engine.PartyID]record{},
		flows: map[statement.ID]outflows{}, books: map[statement.ID]*sync.Mutex{}, damaged: map[statement.ID]error{}, claims: map[statement.ID]claim{}, slots: map[string]map[statement.ID]bool{}, chapters: map[statement.ID]*policy.Book{}, open: map[initiator]int{}, names: map[made]bool{}, unallowed: map[statement.ID]wait{},
	}
}

// ErrUnknown says that no such intent is here.
var ErrUnknown = errors.New("no such intent is known to this node")

func (d *Desk) file(id statement.ID) (*file, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if f := d.files[id]; f != nil {
		return f, nil
	}
	if err := d.damaged[id]; err != nil {
		return nil, fmt.Errorf("%w: %w", outbox.ErrLater, err)
	}
	return nil, fmt.Errorf("intent %s: %w", id.Short(), ErrUnknown)
}

// take finds and locks a file. While a session's admission is on its way to the disk the file
// takes nothing else, or the older bytes would overwrite the newer.
func (d *Desk) take(id statement.ID) (*file, error) {
	f, err := d.file(id)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	if f.gone {
		f.mu.Unlock()
		return nil, fmt.Errorf("intent %s: %w", id.Short(), ErrUnknown)
	}
	if f.admitting {
		f.mu.Unlock()
		return nil, fmt.Errorf("%w: intent %s is joining a session", outbox.ErrLater, id.Short())
	}
	return f, nil
}

// all lists the files, the oldest first.
func (d *Desk) all() []*file {
	d.mu.Lock()
	defer d.mu.Unlock()
	fs := make([]*file, 0, len(d.files))
	for _, f := range d.files {
		fs = append(fs, f)
	}
	slices.SortFunc(fs, func(a, b *file) int {
		x, y := a.stmt.Get("created"), b.stmt.Get("created")
		if x != y {
			return bytes.Compare([]byte(x), []byte(y))
		}
		i, j := a.stmt.ID(), b.stmt.ID()
		return bytes.Compare(i[:], j[:])
	})
	return fs
}

// keep adds a file to the table.
func (d *Desk) keep(f *file) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.files[f.stmt.ID()], d.live[f.stmt.ID()] = f, f
	d.track(f)
}

// moving lists the live files by id, and lets go of those that have come to an end.
func (d *Desk) moving() []*file {
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, f := range d.live {
		if f.ended.Load() {
			delete(d.live, id)
		}
	}
	return slices.SortedFunc(maps.Values(d.live), func(a, b *file) int {
		i, j := a.stmt.ID(), b.stmt.ID()
		return bytes.Compare(i[:], j[:])
	})
}

// settle notes, under the file's lock, whether a file has come to an end.
func (d *Desk) settle(f *file) {
	if over(f.life) {
		f.ended.Store(true)
	} else if f.ended.Swap(false) {
		d.keep(f) // a signature appeared after all
	}
}

// vaultOf is the key that an intent names, of a vault whose keys are published, on the terms of the charter that it names. Where none of them is named, the first
// is given, and the intent is denied for that (intent.RuleKey).
func (d *Desk) vaultOf(it intent.Intent) (ceremony.View, error) {
	roots := d.cfg.Vault(it.Vault)
	if len(roots) == 0 {
		return ceremony.View{}, fmt.Errorf("%w: vault %s is not known to this node", outbox.ErrLater, it.Vault.Short())
	}
	for _, v := range roots {
		if v.Damage != nil {
			return v, fmt.Errorf("%w: %w", outbox.ErrLater, v.Damage)
		}
		if v.Current == nil {
			return v, fmt.Errorf("%w: vault %s: %w", outbox.ErrLater, v.Title(), ceremony.ErrNoKey)
		}
	}
	v := roots[0]
	for _, x := range roots {
		if x.Current.Record.KeyID == it.Key {
			v = x
			// What was decided in an epoch that is over is judged by the committee of then; who came later knows no older one than the first it
			// was told of.
			was, ok := d.cfg.VaultAt(it.Vault, it.Key, it.Epoch)
			if !ok {
				was, ok = d.cfg.First(it.Vault, it.Key)
			}
			if ok {
				v.Vault = was
			}
			break
		}
	}
	terms, ok := d.cfg.TermsUnder(v.Vault, it.Charter)
	if !ok {
		return v, fmt.Errorf("%w: charter %s is not in force here", outbox.ErrLater, it.Charter.Short())
	}
	v.Vault = terms
	return v, nil
}

// Format keeps the identity key out of what is printed.
func (*Desk) Format(f fmt.State, _ rune) { io.WriteString(f, "[desk]") } //nolint:errcheck // a printer's trouble

func (Config) Format(f fmt.State, _ rune) { io.WriteString(f, "[desk's config]") } //nolint:errcheck // a printer's trouble
