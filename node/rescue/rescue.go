// Package rescue is a node's part in SOS (spec/sos, spec/node 10): it keeps each vault's docket durably, counts delays on its own clocks,
// takes what people and nodes say, says its own steps, and tells the other rooms what may run meanwhile. What the rules are is custody/sos.
package rescue

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/guard"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
)

// Notes of this room.
const (
	NoteSaid         outbox.Kind = 0x70 // what one person or node says of an SOS: statement, signature
	NoteContribution outbox.Kind = 0x71 // what a guardian contributes: activation id, contribution (spec/guard 7)
)

// Takes says whether this room takes notes of a kind.
func Takes(k outbox.Kind) bool { return k == NoteSaid || k == NoteContribution }

// Rows of this room (spec/store).
const (
	kindDocket  = "sos"         // sos/<vault>: its docket
	kindBasis   = "sos-basis"   // sos-basis/<vault>/<sum of the plan>: what a plan that a case keeps is read from
	kindSay     = "sos-say"     // sos-say/<statement>: what we say ourselves, on its way to the outbox
	kindSaid    = "sos-said"    // sos-said/<vault>/<place>: what was said of a request: statement, signature, who signed of several
	kindGiven   = "sos-given"   // sos-given/<activation>/<guardian>: its contribution; …/<n>: another that differs
	kindKey     = "sos-key"     // sos-key/<vault>/<request>/<key>/<attempt>: our key of that ceremony, sealed
	kindStands  = "sos-stands"  // sos-stands/<vault>: the generation of our log under which its docket counts, and whether vetoes are fetched again
	kindSilence = "sos-silence" // sos-silence/<operator>: how long we have had no heartbeat of it, by our clocks
)

// saveEvery is how often clocks of silence are made durable: so much of one is lost at a restart.
const saveEvery = 10 * time.Minute

// Config is what a Desk works with.
type Config struct {
	Operator string
	Identity crypto.Signer
	Journal  *journal.Journal
	Rand     io.Reader
	Log      *slog.Logger
	// Mono is a clock that nobody sets, since some moment of this process; it does not run while the machine is suspended.
	Mono   func() time.Duration
	Sealer seal.Sealer
	// Post makes an entry and a note of our own durable together, and sends the note.
	Post func(ctx context.Context, now time.Time, e journal.Entry, n outbox.Note) error

	// Basis is what the plan in force of a vault is read from; Plan reads it, now and at any later time.
	// Where its keys are held by several committees, it is that of the first of these keys; none: of its first.
	Basis func(vault statement.ID, keys []act.Key) (Basis, error)
	Plan  func(Basis) (plan.Plan, error)
	// Vaults lists those that have a plan in force.
	Vaults func() []statement.ID
	// Keys are a vault's, ascending, in the epochs in force here.
	Keys func(vault statement.ID) []act.Key
	// Beats says when the last heartbeat of each operator of the circle was taken here; 1970, if none was.
	Beats func() map[string]time.Time
	// Point gives an operator's party and public share in an epoch, by our own record.
	Point func(k act.Key, operator string) ([16]byte, group.Point, error)
	// Seats gives these nodes their seats in a child of an epoch, by our own record: who stays keeps its own, and newcomers have one that nobody had.
	// MaySit says whether they may be these; Had whose each index is or was.
	Seats  func(k act.Key, nodes []mpc.Party) ([]mpc.Party, error)
	MaySit func(k act.Key, seats []mpc.Party) error
	Had    func(key [32]byte) map[uint16]engine.PartyID
	// Contribution checks a guardian's message against our own record and set, and says whose it is. Errors that wrap outbox.ErrLater mean that it may
	// hold later.
	Contribution func(ctx context.Context, k act.Key, a *guard.Activation, raw []byte) (engine.PartyID, error)
	// Epoch is a key's in force: its hash, the activation that made it (zero: none), its committee and how many of it sign.
	Epoch func(key [32]byte) (Epoch, bool)
	// Generation is that of our log: another one means that this node was set back, and that its operator has confirmed it since.
	Generation func() uint64
	// Forks are the operators whose logs are known to be forked (node/witness): under whichever name of the log, since its operator goes on under another at will.
	Forks func() []string
	// Version says whether a version of the charter is known here, in force or before.
	Version func(charter statement.ID) bool
	// Reachable says whether an operator's link stands.
	Reachable func(operator string) bool
	// Ask sends a question about vetoes to an operator's node, directly.
	Ask func(operator string, question []byte)
	// AskAll asks an operator's node for all that it knows of a vault's requests, directly.
	AskAll func(operator string, question []byte)
	// Fatal ends the process: what must be durable may not be.
	Fatal func(error)
	// Own is our log as it stands; Theirs the highest head of another's that we cosigned. At is the head of ours at a size that it has.
	Own    func(ctx context.Context) (sos.Own, error)
	Theirs func(ctx context.Context, operator string) sos.Own
	At     func(ctx context.Context, size int64) (tlog.Head, error)
	// CheckSignature verifies a signature under a key's root, as the chain of its suite would.
	CheckSignature func(k act.Key, digest [32]byte, signature []byte) error
	Life           Life // proofs of life and live test signatures
}

// An Epoch is a key's in force.
type Epoch struct {
	Hash       [32]byte
	Activation [32]byte // that made it; zero: no SOS did
	Committee  []string // ascending
	Threshold  int
}

// A Basis is what a plan is read from: a version of the charter, and the roster, committee and threshold in force beside it.
type Basis struct {
	Vault, Charter, Roster statement.ID
	Name                   string
	Threshold              int
	Committee              []string
}

// Desk keeps the dockets of all vaults.
type Desk struct {
	cfg  Config
	boot [16]byte

	mu      sync.Mutex
	dockets map[statement.ID]sos.Docket
	asked   map[statement.ID]bool // vaults with a docket in the store
	words   map[statement.ID]words
	given   map[statement.ID]map[engine.PartyID][][]byte // by activation and guardian: contributions that hold, in the order in which they came
	asks    map[statement.ID]*question                   // by activation
	answers map[answered]time.Time
	stood   map[statement.ID]bool // requests of which our keys of ceremonies are erased
	stands  map[statement.ID]stand
	fetches map[statement.ID]*fetch            // vaults of which vetoes are fetched again
	lost    error                              // what was last written may be durable or not
	based   map[statement.ID]map[[32]byte]bool // by vault: sums of plans of which a basis is kept
	hushed  map[[32]byte]hush                  // by voice
	tries   map[act.Key]hush                   // attempts at a key
	wishes  map[act.Key]wish                   // what our own operator asked for

	known     sync.Mutex // guards what other rooms ask for under their own locks
	sanctions map[[32]byte]Sanction
	held      map[statement.ID]bool          // vaults that SOS holds
	near      map[statement.ID]bool          // those, and vaults that it may hold in a moment
	awaited   map[statement.ID][]act.Request // by vault: requests that gather support
	silence   map[string]silence
	signedAt  map[statement.ID]time.Time   // when a vault signed, since this process began
	wall      time.Time                    // of the last tick
	refuses   map[refusal]calling          // since a challenge that it did not answer
	calls     map[statement.ID]outbox.Note // the challenges that are counted
	wanted    map[refusal]wanted           // by vault and who asks for a rescue
	replies   map[statement.ID]*reply      // by request
	saved     time.Time                    // when clocks of silence were made durable last
	ticked    time.Time
}

// A silence is how long an operator has not been heard of.
type silence struct {
	clock sos.Clock
	beat  time.Time // when the last heartbeat was taken, which ended the one before
}

// Open reads back every docket.
func Open(ctx context.Context, cfg Config) (*Desk, error) {
	d := &Desk{
		cfg: cfg, dockets: map[statement.ID]sos.Docket{}, asked: map[statement.ID]bool{}, silence: map[string]silence{}, refuses: map[refusal]calling{}, calls: map[statement.ID]outbox.Note{}, wanted: map[refusal]wanted{}, signedAt: map[statement.ID]time.Time{}, replies: map[statement.ID]*reply{},
		words: map[statement.ID]words{}, given: map[statement.ID]map[engine.PartyID][][]byte{}, asks: map[statement.ID]*question{}, answers: map[answered]time.Time{}, stood: map[statement.ID]bool{}, sanctions: map[[32]byte]Sanction{},
		stands: map[statement.ID]stand{}, fetches: map[statement.ID]*fetch{}, held: map[statement.ID]bool{}, near: map[statement.ID]bool{},
		based: map[statement.ID]map[[32]byte]bool{}, hushed: map[[32]byte]hush{}, tries: map[act.Key]hush{}, wishes: map[act.Key]wish{}, awaited: map[statement.ID][]act.Request{},
	}
	var drawn [32]byte
	if _, err := io.ReadFull(cfg.Rand, drawn[:]); err != nil {
		return nil, fmt.Errorf("draw this start's number: %w", err)
	}
	boot := transcript.New(transcript.SOSBoot).Bytes(drawn[:]).Sum256() // what is drawn is never shown as it is
	copy(d.boot[:], boot[:])
	err := d.each(ctx, kindDocket, func(name string, _ []byte) error {
		id, err := statement.ParseID(name)
		d.asked[id], d.held[id], d.near[id] = true, true, true // until it is read
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(d.readWords(ctx), d.readGiven(ctx), d.readBases(ctx), d.readRefusals(ctx), d.readCalled(ctx), d.readReplies(ctx), d.readStands(ctx)); err != nil {
		return nil, err
	}
	err = d.each(ctx, kindSilence, func(name string, value []byte) error {
		s, err := decodeSilence(value)
		d.silence[name] = s
		return err
	})
	return d, err
}

// reading is what our clocks say now.
func (d *Desk) reading(now time.Time) sos.Reading {
	return sos.Reading{Boot: d.boot, Wall: now, Mono: d.cfg.Mono()}
}

func docketKey(vault statement.ID) string { return store.Key(kindDocket, store.ID(vault[:])) }

// inForce is a vault's plan today, and what it is read from. After an emergency that not all of its keys got new shares by, the committees of its keys differ: a request
// is under the plan of those who hold the first key that it names.
func (d *Desk) inForce(vault statement.ID, keys ...act.Key) (Basis, plan.Plan, error) {
	b, err := d.cfg.Basis(vault, keys)
	if err != nil {
		return b, plan.Plan{}, err
	}
	p, err := d.cfg.Plan(b)
	return b, p, err
}

// kept is the plan of a case: the very one that it began with.
func (d *Desk) kept(ctx context.Context, vault statement.ID, sum [32]byte) (plan.Plan, error) {
	it, err := d.cfg.Journal.Store().Get(ctx, basisKey(vault, sum))
	if err != nil {
		return plan.Plan{}, fmt.Errorf("read what its plan is read from: %w", err)
	}
	b, err := decodeBasis(it.Value)
	if err != nil {
		return plan.Plan{}, fmt.Errorf("read what its plan is read from: %w", err)
	}
	return d.cfg.Plan(b)
}

// docket is a vault's, as it is kept, under the plan in force. One that counts under another generation of our log is not to be had: the next tick counts it anew.
func (d *Desk) docket(ctx context.Context, vault statement.ID) (sos.Docket, error) {
	if d.stale(vault) {
		return sos.Docket{}, errStale
	}
	return d.load(ctx, vault)
}

func (d *Desk) load(ctx context.Context, vault statement.ID) (sos.Docket, error) {
	if d.lost != nil {
		return sos.Docket{}, d.lost
	}
	_, p, err := d.inForce(vault)
	if err != nil {
		return sos.Docket{}, err
	}
	if k, ok := d.dockets[vault]; ok {
		return k.Under(p), nil
	}
	it, err := d.cfg.Journal.Store().Get(ctx, docketKey(vault))
	if errors.Is(err, store.ErrNotFound) {
		return sos.NewDocket(p, d.cfg.Operator), nil
	}
	if err != nil {
		return sos.Docket{}, fmt.Errorf("read the SOS docket of vault %s: %w", p.Name, err)
	}
	k, err := sos.DecodeDocket(it.Value, p, func(_ statement.ID, sum [32]byte) (plan.Plan, error) { return d.kept(ctx, vault, sum) })
	if err == nil {
		d.dockets[vault] = k
		d.holds(vault, k)
	}
	return k, err
}

// Docket is a vault's, for people and other rooms.
func (d *Desk) Docket(ctx context.Context, vault statement.ID) (sos.Docket, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.docket(ctx, vault)
}

// Quiet says that nobody ever asked for SOS of any vault here.
func (d *Desk) Quiet() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked) == 0
}

// MayRun says why a step of an emergency must not run on a vault now, nil if it may.
func (d *Desk) MayRun(ctx context.Context, vault statement.ID, w sos.Work, id statement.ID) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, vault)
	if err != nil {
		return err
	}
	return k.MayRun(w, id)
}

// Alive lists the vaults with a request that is not over.
func (d *Desk) Alive() (vaults []statement.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for vault, k := range d.dockets {
		if slices.ContainsFunc(k.Cases(), func(c sos.Case) bool { return !c.State().Ended() }) {
			vaults = append(vaults, vault)
		}
	}
	return vaults
}

// Held says why a vault's ordinary work must wait; "" if it need not. A docket that cannot be read holds its vault: what it said may be that
// everything is frozen.
func (d *Desk) Held(ctx context.Context, vault statement.ID) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.asked[vault] {
		return ""
	}
	k, err := d.docket(ctx, vault)
	if err != nil {
		return "its SOS docket cannot be read: " + err.Error()
	}
	if err := k.MayRun(sos.Ordinary, statement.ID{}); err != nil {
		return err.Error()
	}
	return ""
}

// Reshared says whether a docket knows that an emergency gave a key new shares.
func (d *Desk) Reshared(ctx context.Context, vault statement.ID, key [32]byte) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, vault)
	return err == nil && slices.ContainsFunc(k.Cases(), func(c sos.Case) bool {
		return slices.ContainsFunc(c.Reshared(), func(r act.Key) bool { return r.Key == key })
	})
}

// view is what this node itself sees of a vault. It reads no chain's height: no charter whose plan names one passes custody/review.
func (d *Desk) view(vault statement.ID) sos.View {
	v := sos.View{Silent: map[string]time.Duration{}, Refusing: map[string]time.Duration{}, Keys: d.cfg.Keys(vault), Holders: map[[32]byte]sos.Holders{}}
	for _, k := range v.Keys {
		if now, known := d.cfg.Epoch(k.Key); known && now.Hash == k.Epoch {
			v.Holders[k.Key] = sos.Holders{Operators: now.Committee, Threshold: now.Threshold}
		}
	}
	for name, s := range d.silence {
		v.Silent[name] = s.clock.Credited
	}
	for x, c := range d.refuses {
		if x.vault == vault {
			v.Refusing[x.operator] = c.clock.Credited
		}
	}
	return v
}

// Lacks is what a request still needs to be a declaration, or what a declaration waits for, in words for people.
func (d *Desk) Lacks(ctx context.Context, now time.Time, vault, request statement.ID) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, vault)
	if err != nil {
		return []string{err.Error()}
	}
	c, ok := k.Case(request)
	if !ok {
		return []string{"it is not known here"}
	}
	return d.lacks(now, k, c)
}

func (d *Desk) lacks(now time.Time, k sos.Docket, c sos.Case) []string {
	v := d.view(c.Plan().Vault)
	switch c.State() {
	case sos.Armed:
		return k.Lacks(c.ID(), v, d.reading(now))
	case sos.LockUp, sos.Closed:
		return c.Awaits(d.mostSigned(c, statement.SOSClose), d.mostSigned(c, statement.SOSEarlyRelease))
	}
	return k.Waits(v)
}

// mostSigned is who signed the statement of a kind about a request that has the most signatures.
func (d *Desk) mostSigned(c sos.Case, kind statement.Kind) (names []string) {
	for _, s := range d.said(c.Plan().Vault) {
		if s.Statement.Kind() == kind && requestOf(s.Statement) == c.ID() && len(s.By) > len(names) {
			names = s.By
		}
	}
	return names
}

// Vaults lists those that have a plan in force here.
func (d *Desk) Vaults() []statement.ID { return d.cfg.Vaults() }

// A Shown is what everybody may see of a vault's SOS (spec/people 3): all of one moment.
type Shown struct {
	Plan     plan.Plan
	Keys     []act.Key
	Holders  map[[32]byte]sos.Holders // of each key, the committee in force
	Declared int                      // in the 90 days before
	Last     statement.ID             // of those; zero: none
	Rolled   bool                     // this node was rolled back, and nobody confirmed it
	Cases    []ShownCase
}

// A ShownCase is a request, and what it lacks or waits for.
type ShownCase struct {
	sos.Case
	Lacks  []string
	Doings []Doing
	Mute   []Mute
}

// Show is a vault's SOS as this node has it.
func (d *Desk) Show(ctx context.Context, now time.Time, vault statement.ID) (out Shown, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	k, err := d.docket(ctx, vault)
	if err != nil {
		return out, err
	}
	if _, out.Plan, err = d.inForce(vault); err != nil {
		return out, err
	}
	v := d.view(vault)
	out.Keys, out.Holders, out.Rolled = v.Keys, v.Holders, k.Rolled()
	out.Declared, out.Last = k.Declared(now)
	for _, c := range k.Cases() {
		out.Cases = append(out.Cases, d.shown(c, d.lacks(now, k, c)))
	}
	return out, nil
}

// drawSalt is a statement's.
func (d *Desk) drawSalt() (salt statement.Salt, err error) {
	if _, err := io.ReadFull(d.cfg.Rand, salt[:]); err != nil {
		return salt, fmt.Errorf("draw a salt: %w", err)
	}
	return salt, nil
}

// say signs a statement of ours, and keeps it for the outbox: it is durable before it leaves. by is our operator where several sign it.
func (d *Desk) say(now time.Time, vault statement.ID, build func(statement.Salt) (statement.Statement, error), by string, e *journal.Entry) (s statement.Statement, kept func(), err error) {
	salt, err := d.drawSalt()
	if err == nil {
		s, err = build(salt)
	}
	if err != nil {
		return s, nil, err
	}
	kept, err = d.sign(now, vault, s, by, e)
	return s, kept, err
}

// sign is our signature over a statement, which others may have signed as well.
func (d *Desk) sign(now time.Time, vault statement.ID, s statement.Statement, by string, e *journal.Entry) (kept func(), err error) {
	sig, err := signet.SignNode(d.cfg.Identity, s)
	if err != nil {
		return nil, err
	}
	id := s.ID()
	n := outbox.Note{Kind: NoteSaid, Fields: [][]byte{s.Bytes(), sig}}
	e.Put = append(e.Put, store.Entry{Key: store.Key(kindSay, store.ID(id[:])), Value: n.Encode()})
	e.Leaves = append(e.Leaves, tlog.Says(tlog.KindStatement, now, vault, s.Bytes(), sig))
	return d.keep(vault, s, by, sig, e)
}

// settle is the entry of a docket's change: its row, our own steps, and an alarm for people.
func (d *Desk) settle(now time.Time, vault statement.ID, k sos.Docket, fx sos.Effects, e *journal.Entry) error {
	for _, s := range fx.Say {
		_, kept, err := d.say(now, vault, s.Statement, "", e)
		if err != nil {
			return err
		}
		kept() // who reads it before it is durable sees nothing that is not so
	}
	for _, n := range fx.Tell {
		e.Leaves = append(e.Leaves, tlog.Says(tlog.KindAlarm, now, vault, []byte(n.Text)).On(n.Request))
		d.cfg.Log.Error("SOS", "vault", vault.Short(), "request", n.Request.Short(), "state", n.State.String(), "what", n.Text)
	}
	for _, c := range k.Cases() {
		b, p, err := d.inForce(vault, c.Request().Keys...)
		row := store.Entry{Key: basisKey(vault, c.Plan().Sum()), Value: b.bytes()}
		if err == nil && p.Sum() == c.Plan().Sum() && !slices.ContainsFunc(e.Put, func(o store.Entry) bool { return o.Key == row.Key }) { // a case that began with a plan in force
			e.Put = append(e.Put, row)
			d.base(vault, p.Sum())
		}
	}
	e.Put = append(e.Put, store.Entry{Key: docketKey(vault), Value: k.Bytes()})
	if !d.asked[vault] { // what is begun now counts under today's generation
		e.Put = append(e.Put, stand{generation: d.cfg.Generation()}.row(vault))
	}
	e.Reserve = e.Reserve || freezes(fx)
	return nil
}

// flush hands our own steps to the outbox.
func (d *Desk) flush(ctx context.Context, now time.Time) error {
	type row struct {
		key  string
		note outbox.Note
	}
	var rows []row
	err := d.each(ctx, kindSay, func(name string, value []byte) error {
		n, err := outbox.Decode(value)
		rows = append(rows, row{store.Prefix(kindSay) + name, n})
		return err
	})
	if err != nil {
		return err
	}
	for _, r := range rows {
		if err := d.cfg.Post(ctx, now, journal.Entry{Batch: store.Batch{Delete: []string{r.key}}}, r.note); err != nil {
			return err
		}
	}
	return nil
}
