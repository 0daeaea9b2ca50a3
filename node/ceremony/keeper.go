package ceremony

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store"
)

// Notes of this room.
const (
	NoteCert      outbox.Kind = 0x10 // record, certificate
	NoteFinal     outbox.Kind = 0x11 // FINAL
	NoteFinalCert outbox.Kind = 0x12 // final certificate
	NoteChoice    outbox.Kind = 0x13 // key statement, operator, node signature
)

// NoteIntroduction tells a newcomer of a key: reshare id, suite, key statement, node signatures over it, chain.
const NoteIntroduction outbox.Kind = 0x15

// NoteFollow tells everybody of a key in an emergency: suite, key statement, node signatures over it, final certificate.
const NoteFollow outbox.Kind = 0x16

// NoteRescued tells everybody what an epoch rests on that an emergency made: chain of the certificate before it and its own, request, its maker's signature, activation,
// contributors' signatures.
const NoteRescued outbox.Kind = 0x17

const (
	keygenTimeout = 2 * time.Minute
	testTimeout   = 30 * time.Second
	setupLife     = 5 * time.Minute  // clocks may differ by that much
	turn          = 5 * time.Second  // the next node may open after that
	retry         = 10 * time.Second // after an attempt failed, doubled each time
	maxDoubling   = 4                // so 160 s at most: an hour's trouble does not use up all attempts
	finalPatience = 3 * time.Minute  // for the FINALs of others; then a new attempt begins beside
	maxPatience   = 6                // it is doubled for each attempt that waits for them, so 192 minutes at most
	pendingLife   = 15 * time.Second // a record without certificate is given up after that
)

// Config is what a Keeper works with.
type Config struct {
	Self     engine.PartyID
	Operator string
	Identity crypto.Signer
	Journal  *journal.Journal
	Sealer   seal.Sealer
	Rand     io.Reader
	Log      *slog.Logger
	// Post makes an entry and a note of our own durable together, and sends the note.
	Post func(ctx context.Context, now time.Time, e journal.Entry, n outbox.Note) error
	// Reachable says whether a peer's link stands.
	Reachable func(engine.PartyID) bool
	// There says so in an emergency, where nobody is left out for what its machine does not show.
	There func(engine.PartyID) bool
	// Fit refuses a setup with a burned pair, a quarantined party or a failing key.
	Fit func(ctx context.Context, now time.Time, s *mpc.Setup, pairs [32]byte) error
	// Burns is how often the pair with a peer was burned over all epochs of a key, and when last; Burned is with whom the
	// pairs of a record are burned.
	Burns  func(ctx context.Context, key [32]byte, peer engine.PartyID) (int, time.Time, error)
	Burned func(pairs [32]byte) []engine.PartyID
	// Quarantined lists who broke the protocol of a key.
	Quarantined func(ctx context.Context, key [32]byte) ([]engine.PartyID, error)
	// Pardon lifts the quarantines of a key.
	Pardon func(ctx context.Context, key [32]byte) (store.Batch, error)
	// InForce hears that an epoch came into force here; may be nil. It must not block.
	InForce func()
	// Terms gives a vault those of the charter in force. It is asked under our lock.
	Terms func(charter.Vault) charter.Vault
	// Challenge sends a challenge to all peers, directly.
	Challenge func(key, challenge [32]byte)
	// Sanctioned finds an activation of an emergency that all its contributors signed, of the vault's own plan. It is asked under our lock.
	Sanctioned func(activation [32]byte) (Sanction, bool)
	// Held says whether an emergency holds a vault. It is asked under our lock.
	Held func(vault statement.ID) bool
	// Near says whether one does, or a request lacks nothing but its subjects' silence, so that a declaration may be made elsewhere already. It is asked under our lock.
	Near func(vault statement.ID) bool
	// Awaited says why a refresh of a vault that is due since then waits for an emergency that may be declared; "" if it need not. It is asked under our lock.
	Awaited func(vault statement.ID, due, now time.Time) string
	// Plan reads a vault's SOS plan from a charter that was in force, with the operators that a roster lists, for who held the vault. It is asked under our lock.
	Plan func(charter statement.ID, r charter.Roster, held charter.Vault) (plan.Plan, error)
	// Introduced hears which operators were told of a vault's key, to hold it. It is called under our lock.
	Introduced func(vault statement.ID, operators []string)
}

// Keeper keeps the keys of all vaults.
type Keeper struct {
	cfg  Config
	sign mpc.Signer

	mu          sync.Mutex
	roots       map[rootID]*root
	keys        map[[32]byte]*root // by key id, of every attempt that we saw
	plans       map[statement.ID]*charter.Succession
	rosters     charter.Chain
	emergencies map[[32]byte]Emergency // guarded reshares that may run now, by key
	ids         map[[16]byte]place     // by the first half of a key id, which nobody can choose

	order []*root      // roots, by vault and suite; nil: not sorted yet
	under statement.ID // the charter whose terms all roots have
	round int          // where Tick goes on among those at rest
	vague []*root      // whose certificates were not verified since this process began

	verified atomic.Int32 // certificates at the start

	damaged map[rootID]*root      // roots that were set aside, not among roots
	known   map[epoch.Hash]bool   // records that the store's rows name, once a root was set aside
	pairs   map[engine.Token]bool // pairs that they name
	blind   bool                  // not all rows could be looked at
}

// rootID names a root key: a vault has one for each of its suites.
type rootID struct {
	vault statement.ID
	suite string
}

// root is one vault's way to its key of one suite.
type root struct {
	charter.Vault
	suite    string
	roster   charter.Roster
	genesis  []mpc.Party // seats 1…n of the vault's statement: who makes the key
	names    map[engine.PartyID]string
	*attempt                       // the one in force, else the last one that we joined or opened
	attempts map[[32]byte]*attempt // all that we hold anything of, by key id
	top      uint64                // key ids up to this attempt's are indexed
	joining  bool                  // an attempt was admitted and is not durable yet
	givenUp  bool                  // another vault has its name: no key is made
	choice   statement.Statement   // the key statement, once somebody signed one
	signed   map[string][]byte     // operator → node signature over it
	since    time.Time             // when the present step became ours to move
	said     time.Time             // when we last said FINAL; zero: not since the node started,
	began    time.Time             // which was then
	next     time.Time             // not before this
	fails    int                   // sessions that failed since the node started
	lastErr  error                 // why the last attempt failed
	damage   error                 // why it was set aside: what the store holds of it cannot be read
	proofs   map[engine.PartyID]time.Time
	masks    map[engine.PartyID]time.Time // when each mask was last proved, since the node started
	checks   map[engine.PartyID]int       // failed pair set-ups
	asked    map[[32]byte]time.Time       // challenges of ours
	proved   map[engine.PartyID]time.Time // when we last answered a peer's
	opened   map[engine.PartyID]opening   // sessions of peers' that we joined, since the last epoch came into force
	moved    time.Time                    // when the shares of the present epoch were made; if that is not known, when they came into force
	wanted   time.Time                    // when our operator asked for new shares; zero: not since the present epoch
	overdue  bool                         // the alarm was raised
	leftAt   time.Time                    // when the first epoch without us came into force here; zero: not known, or it never did
	numbers
	reshaping
	late map[lateWord]bool // what came while an emergency holds the vault, and stands in the log
}

// parties are the seats of the present epoch: of the record in force, or of the vault's statement before there is one.
func (w *root) parties() []mpc.Party {
	if c := w.book.Current(); c != nil {
		return c.Record.Parties()
	}
	return w.genesis
}

// attempt is one key generation: a key id of its own, and the epochs of that key.
type attempt struct {
	number uint64 // 0: none yet
	keyID  [32]byte
	book   *epoch.Book
	finals map[epoch.Hash]map[engine.PartyID]*epoch.Final

	kept   [32]byte   // SHA-256 of the certificate in force, as it was read from the store
	hash   epoch.Hash // of the record in force that hashed has
	hashed *epoch.FinalCert

	vague *epoch.FinalCert // it, until it is verified: see sure

	prepared map[epoch.Hash]time.Time // what was made in this life of the process, and when
	bare     bool                     // the record in force counts on a share of ours, and the store holds none
}

// eh is the hash of the record in force, which must be one. It is kept: records are large, and asked for again and again.
func (a *attempt) eh() epoch.Hash {
	if c := a.book.Current(); a.hashed != c {
		a.hashed, a.hash = c, c.Record.Hash()
	}
	return a.hash
}

// keepFinal adds a checked FINAL.
func (a *attempt) keepFinal(f *epoch.Final) {
	if a.finals[f.Record] == nil {
		a.finals[f.Record] = map[engine.PartyID]*epoch.Final{}
	}
	a.finals[f.Record][f.From] = f
}

// madeAt is when a record's shares were made here: a certificate may be as late as a member that withholds its FINAL wants.
func (a *attempt) madeAt(r *epoch.Record, now time.Time) time.Time {
	if at, known := a.prepared[r.Hash()]; known {
		return at
	}
	return now
}

func newAttempt(w *root, number uint64) *attempt {
	a := &attempt{number: number, book: epoch.NewBook(), finals: map[epoch.Hash]map[engine.PartyID]*epoch.Final{}, prepared: map[epoch.Hash]time.Time{}}
	if number > 0 {
		a.keyID = epoch.KeyID(w.ID, w.suite, number)
	}
	return a
}

// New makes a keeper without vaults; Add brings them back.
func New(cfg Config) *Keeper {
	return &Keeper{
		cfg: cfg, sign: mpc.NewSigner(cfg.Identity), roots: map[rootID]*root{}, keys: map[[32]byte]*root{}, plans: map[statement.ID]*charter.Succession{}, ids: map[[16]byte]place{},
		damaged: map[rootID]*root{}, known: map[epoch.Hash]bool{}, pairs: map[engine.Token]bool{},
	}
}

// meet takes the operators that a vault may have to do with.
func (w *root) meet(r charter.Roster) {
	w.roster, w.names = r, map[engine.PartyID]string{}
	for _, o := range r.Operators {
		w.names[mpc.IDOf(o.Identity)] = o.Name // newcomers are of the circle
	}
}

// open makes a root, of which nothing is read yet.
func (k *Keeper) open(v charter.Vault, r charter.Roster, suite string, now time.Time) (*root, error) {
	w := &root{Vault: v, suite: suite, attempts: map[[32]byte]*attempt{}, signed: map[string][]byte{}, proofs: map[engine.PartyID]time.Time{}, masks: map[engine.PartyID]time.Time{}, checks: map[engine.PartyID]int{}, asked: map[[32]byte]time.Time{}, proved: map[engine.PartyID]time.Time{}, opened: map[engine.PartyID]opening{}, late: map[lateWord]bool{}, since: now, began: now, reshaping: newReshaping()}
	w.meet(r)
	var seats []mpc.Party
	for _, name := range v.Committee {
		o, ok := r.Operator(name)
		if !ok {
			return nil, fmt.Errorf("operator %s is not in the roster", name)
		}
		p := mpc.Party{ID: mpc.IDOf(o.Identity), Identity: o.Identity}
		seats = append(seats, p)
	}
	w.genesis = protocol.Seats(seats)
	return w, nil
}

// Made says whether a key of a vault is in force here, or may come into force: we said FINAL of it, or cannot read what we said.
func (k *Keeper) Made(vault statement.ID) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.damagedIn(vault) != nil || slices.ContainsFunc(k.rootsOf(vault), func(w *root) bool {
		return w.hasKey() || w.mayCome()
	})
}

// mayCome says whether our FINAL is out for what is not in force, or may be: a restored node does not know.
func (w *root) mayCome() bool {
	for _, a := range w.attempts {
		if slices.ContainsFunc(a.book.Pending(), func(p *epoch.Pending) bool { return p.Final != nil || p.Doubted }) {
			return true
		}
	}
	return false
}

// unheard are the operators of whom records wait that are older than this process.
func (k *Keeper) unheard(w *root) (names []string) {
	for _, a := range w.attempts {
		for _, p := range a.book.Pending() {
			for _, m := range p.Record.Members {
				if p.Unheard && m.ID != k.cfg.Self && !k.reach(p.Record)(m.ID) && !slices.Contains(names, w.names[m.ID]) {
					names = append(names, w.names[m.ID])
				}
			}
		}
	}
	slices.Sort(names)
	return names
}

// GiveUp ends the making of a vault's keys, for good, as long as nothing is prepared of them: who prepared something may have made
// others say FINAL. With begun it does so also then: it was given up before, and our PREP did not leave.
func (k *Keeper) GiveUp(vault statement.ID, begun bool) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.damagedIn(vault); err != nil {
		return err
	}
	var given []*root
	for _, w := range k.rootsOf(vault) {
		busy := w.joining
		for _, a := range w.attempts {
			busy = busy || len(a.book.Pending()) > 0
		}
		if names := k.unheard(w); len(names) > 0 && !begun {
			return fmt.Errorf("%w: a key of vault %s was being made when this node's process began, and %s has not been heard since: it may hold this node's last word on it; bring its node back, or take another name",
				outbox.ErrLater, w.title(), strings.Join(names, ", "))
		}
		if w.hasKey() || w.mayCome() || busy && !begun {
			return fmt.Errorf("%w: a key of vault %s is being made or in force: another statement of that name cannot take its place; try again in a minute", outbox.ErrLater, w.title())
		}
		given = append(given, w)
	}
	for _, w := range given {
		w.givenUp = true
	}
	return nil
}

// begin makes an attempt the present one. Older ones stay as they are: what we said FINAL of
// may still come into force.
func (k *Keeper) begin(w *root, a *attempt) {
	w.presents(a)
	k.name(w)
}

func (w *root) presents(a *attempt) {
	w.attempt = a
	if a.number > 0 {
		w.attempts[a.keyID] = a
	}
}

// name finds a root by the keys of its attempts.
func (k *Keeper) name(w *root) {
	for id := range w.attempts {
		k.keys[id] = w
	}
}

// ErrNoKey says that a vault has no published key yet.
var ErrNoKey = errors.New("the vault has no published key yet")

// StepReady is the step of a root that gives out addresses and signs.
const StepReady = "ready"

// StepOutside is the step of a root of which this node knows no more than the vault's statement: it is not of its committee.
const StepOutside = "held by others"

// StepBare is the step of a root whose epoch in force counts on a share of this node, while its store, a copy from before that
// epoch, holds none.
const StepBare = "no share"

// StepLeft is the step of a root of which this node held a share once, while others hold its key now.
const StepLeft = "left"

func (w *root) outside(self engine.PartyID) bool { return w.number == 0 && !w.member(self) }

// View is what others may know of one root key of a vault.
type View struct {
	Vault    charter.Vault // committee and threshold as the epoch in force has them
	Suite    string
	Roster   charter.Roster
	Parties  []mpc.Party
	Names    map[engine.PartyID]string
	Attempt  uint64
	KeyID    [32]byte // of that attempt
	Step     string   // for people: what it waits for
	Waiting  []string
	LastErr  string
	Current  *epoch.FinalCert // nil until it is published
	Choice   statement.Statement
	ChoiceBy map[string][]byte
	Proofs   map[engine.PartyID]time.Time // when each share was last proved
	Masks    map[engine.PartyID]time.Time // likewise each mask, since the node started
	Change   Change
	Plan     *charter.Plan // the reshare on its way, nil if there is none
	Promised bool          // our FINAL is out, or may be, for shares that are not in force yet
	Outside  bool          // others hold the key, and this node was not introduced to it
	Coming   bool          // it will be: officers signed that it comes to hold a share
	GivenUp  bool          // another vault has its name: no key is made
	Damage   error         // why it was set aside, nil if it was not
	Bare     string        // that this node has no share of an epoch which counts on one; empty: it has it
	WayBack  string        // how it comes to one
	Left     Left
}

// Title is the vault's name, and the suite where it has several.
func (v View) Title() string { return title(v.Vault, v.Suite) }

func (w *root) title() string { return title(w.Vault, w.suite) }

func title(v charter.Vault, suite string) string {
	if len(v.Suites) == 1 {
		return v.Name
	}
	return v.Name + " (" + suite + ")"
}

// Root shows a vault's key of one suite.
func (k *Keeper) Root(vault statement.ID, suite string) (View, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if w := k.damaged[rootID{vault, suite}]; w != nil {
		return k.view(w), true
	}
	w := k.roots[rootID{vault, suite}]
	if w == nil {
		return View{}, false
	}
	k.sure(w)
	return k.view(w), true
}

// ByKey shows the root of which a key is the present one.
func (k *Keeper) ByKey(key [32]byte) (View, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	w := k.keys[key]
	if w == nil || w.keyID != key {
		return View{}, false
	}
	k.sure(w)
	return k.view(w), true
}

// Pick shows the roots that somebody wants, by their suite and what the charter in force says of their tier, in the order of Roots. The others cost a look.
func (k *Keeper) Pick(want func(suite, tier string) bool) (out []View) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.all() {
		if want(w.suite, w.Tier) {
			k.sure(w)
			out = append(out, k.view(w))
		}
	}
	sortViews(out)
	return out
}

// Vault shows a vault's keys, by suite; none if the vault is not known.
func (k *Keeper) Vault(id statement.ID) (out []View) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.rootsOf(id) {
		k.sure(w)
	}
	for _, suite := range suites {
		w := k.roots[rootID{id, suite}]
		if d := k.damaged[rootID{id, suite}]; d != nil {
			w = d
		}
		if w != nil {
			out = append(out, k.view(w))
		}
	}
	return out
}

// Roots shows the keys of all vaults, by the vaults' names and by suite.
func (k *Keeper) Roots() (out []View) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.shown() {
		out = append(out, k.view(w))
	}
	sortViews(out)
	return out
}

// Planned lists the vaults with a key and an SOS plan, by id.
func (k *Keeper) Planned() (ids []statement.ID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, w := range k.all() {
		if w.SOS != nil && w.published() && (len(ids) == 0 || ids[len(ids)-1] != w.ID) {
			ids = append(ids, w.ID)
		}
	}
	return ids
}

func sortViews(all []View) {
	slices.SortStableFunc(all, func(a, b View) int { return strings.Compare(a.Vault.Name, b.Vault.Name) })
}

// all lists the roots, by vault and suite, without those that were set aside. Nobody changes the list.
func (k *Keeper) all() []*root {
	if k.order == nil {
		k.order = slices.SortedFunc(maps.Values(k.roots), byVault)
	}
	return k.order
}

// suites are those that a vault may have a root of, ascending.
var suites = []string{epoch.SuiteBIP340, epoch.SuiteECDSA, epoch.SuiteEd25519}

// rootsOf lists a vault's roots, by suite, without those that were set aside.
func (k *Keeper) rootsOf(vault statement.ID) (out []*root) {
	for _, suite := range suites {
		if w := k.roots[rootID{vault, suite}]; w != nil {
			out = append(out, w)
		}
	}
	return out
}

// shown lists those that were set aside too.
func (k *Keeper) shown() []*root {
	return slices.SortedFunc(func(yield func(*root) bool) {
		for _, m := range []map[rootID]*root{k.roots, k.damaged} {
			for _, w := range m {
				if !yield(w) {
					return
				}
			}
		}
	}, byVault)
}

func byVault(a, b *root) int {
	return cmp.Or(bytes.Compare(a.ID[:], b.ID[:]), strings.Compare(a.suite, b.suite))
}

func (k *Keeper) view(w *root) View {
	if w.damage != nil {
		return View{
			Vault: k.cfg.Terms(w.Vault), Suite: w.suite, Roster: w.roster, Parties: slices.Clone(w.genesis), Names: maps.Clone(w.names),
			Step: StepDamaged, LastErr: w.damage.Error(), Damage: w.damage,
		}
	}
	v := View{
		Vault: k.cfg.Terms(w.held()), Suite: w.suite, Roster: w.roster, Parties: slices.Clone(w.parties()), Names: maps.Clone(w.names), Attempt: w.number, KeyID: w.keyID,
		Choice: w.choice, ChoiceBy: maps.Clone(w.signed), Proofs: maps.Clone(w.proofs), Masks: maps.Clone(w.masks),
	}
	for _, p := range w.book.Pending() {
		v.Promised = v.Promised || p.Promised()
	}
	if w.lastErr != nil {
		v.LastErr = w.lastErr.Error()
	}
	if w.published() {
		v.Step, v.Current, v.Change = StepReady, w.book.Current(), w.change(k.cfg.Self)
		k.viewPlan(w, &v)
		k.viewBare(w, &v)
		k.viewLeft(w, &v)
		return v
	}
	v.GivenUp = w.givenUp && !w.hasKey()
	if v.Outside = w.outside(k.cfg.Self); v.Outside {
		v.Step = StepOutside
		if s := k.plans[w.ID]; s != nil {
			v.Coming = slices.ContainsFunc(s.Plans(), func(p charter.Plan) bool { return slices.Contains(p.Committee, k.cfg.Operator) })
		}
		return v
	}
	v.Step, v.Waiting = w.step()
	k.viewBare(w, &v)
	return v
}

// published says whether this key gives out addresses: one final certificate, chosen by
// all nodes of the committee.
func (w *root) published() bool {
	return w.book.Current() != nil && !w.choice.IsZero() && len(w.signed) == len(w.genesis)
}

// step says what the key's making waits for.
func (w *root) step() (string, []string) {
	missing := func(has func(engine.PartyID) bool) (names []string) {
		for _, p := range w.genesis {
			if !has(p.ID) {
				names = append(names, w.names[p.ID])
			}
		}
		return names
	}
	pending := w.book.Pending()
	switch {
	case w.book.Current() != nil:
		return "publishing", missing(func(id engine.PartyID) bool { return w.signed[w.names[id]] != nil })
	case len(pending) == 0:
		return "keygen", nil
	case pending[0].Cert == nil:
		return "certificate", nil
	case !pending[0].Tested:
		return "test signature", nil
	default:
		return "FINAL", missing(func(id engine.PartyID) bool { return w.finals[pending[0].Record.Hash()][id] != nil })
	}
}

// Keys loads our secrets of a vault's key in force, for one session. The caller wipes them.
func (k *Keeper) Keys(ctx context.Context, keyID [32]byte, eh epoch.Hash) (*protocol.Keys, error) {
	k.mu.Lock()
	w := k.keys[keyID]
	if w != nil {
		k.sure(w)
		w = k.keys[keyID] // none, if it was set aside
	}
	var r *epoch.Record
	if w != nil && w.keyID == keyID && w.published() && w.book.Current().Record.Hash() == eh {
		r = w.book.Current().Record
	}
	k.mu.Unlock()
	if r == nil {
		return nil, fmt.Errorf("load key %x, record %v: %w", keyID[:6], eh, ErrNoKey)
	}
	return k.loadKeys(ctx, r)
}

// Standing is what our Join says of a key in force.
func Standing(f *epoch.FinalCert) mpc.Standing {
	return mpc.Standing{Epoch: f.Record.Epoch, Record: f.Record.Hash(), FinalCert: f.Sum()}
}

func memberID(identity ed25519.PublicKey) engine.PartyID { return mpc.IDOf(identity) }

// Format keeps the identity key out of what is printed.
func (*Keeper) Format(f fmt.State, _ rune) { io.WriteString(f, "[keeper]") } //nolint:errcheck // a printer's trouble

func (Config) Format(f fmt.State, _ rune) { io.WriteString(f, "[keeper's config]") } //nolint:errcheck // a printer's trouble
