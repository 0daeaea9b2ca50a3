// Package node is the daemon: it wires the rooms below it, and is the only place where
// engine, store, link, clock and entropy meet.
//
// Node is the core: it takes frames and the time, and answers through Send; it starts no
// goroutine and reads no clock, so the simulator can run it. Daemon (daemon.go) gives it a
// data folder, links, a clock and interfaces.
package node

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/sos/plan"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/presign"
	"github.com/ostraka/ostraka/node/publish"
	"github.com/ostraka/ostraka/node/pulse"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/vet"
	"github.com/ostraka/ostraka/node/wallet"
	"github.com/ostraka/ostraka/node/witness"
)

// Config is what a Node works with.
type Config struct {
	Own      charter.Operator
	Identity crypto.Signer
	Store    store.Store
	Sealer   seal.Sealer
	Rand     io.Reader // safe for concurrent use
	Log      *slog.Logger

	Send       func(to ed25519.PublicKey, frame []byte) // queues; must not block
	Reachable  func(ed25519.PublicKey) bool             // the link to this peer stands
	Wire       func(ed25519.PublicKey) uint16           // in which version, 0: it does not; nil: in ours wherever it stands
	Connection func(ed25519.PublicKey) [32]byte         // names the connection below it (spec/link 1.6), zeros: there is none; nil: none has a name, and no evidence of hardware counts
	Twin       func(ed25519.PublicKey) bool             // two live processes use this identity; may be nil
	SetPeers   func([]charter.Operator)                 // whom to pin
	Knock      func(ctx context.Context, addr string, key ed25519.PublicKey, body []byte) ([]byte, error)
	Check      func(ctx context.Context, q decide.Question) (checked bool, why string, err error)
	// CheckBlock is as Check, of the block that a proof speaks of.
	CheckBlock func(ctx context.Context, chain string, b intent.Block) (checked bool, why string, err error)
	// Usual is what a fee of such a transaction usually is, in its chain's smallest unit; nil where no endpoint says, or the transaction would fail.
	Usual func(ctx context.Context, p payload.Payload) (*big.Int, error)
	// Counter is that of the machine's TPM, which counts this node's starts; nil: none is configured. SharedStore says that replicas on other
	// machines have the same store, each with its own TPM or none.
	Counter     fence.Counter
	SharedStore bool
	// Presignatures says for which vaults this node signs in one broadcast. The zero value: those of tier hot.
	Presignatures presign.Mode
	Limits        Limits
	Version       string   // of the program, which heartbeats tell
	Binary        [32]byte // SHA-256 of its file
	// Witnesses are those beyond the circle that cosign this node's log, Logs those that it cosigns.
	Witnesses []witness.Outside
	Logs      []tlog.LogVerifier
	Leaving   func() bool // this replica hands its node over: it opens nothing; may be nil
	Wake      func()      // asks for a Tick soon: something may be ready to move; may be nil
	Fatal     func(error) // ends the process: what must be durable could not be made so
	// Maker makes evidence of this machine; nil: there is none, and Lacks says why. Beside runs what takes long; nil: at once. Roots are what the operator
	// gave to judge others by.
	Maker  vet.Maker
	Lacks  string
	Beside func(func(context.Context))
	Roots  vet.Means
	// Mono is a clock that nobody sets, since some moment of this process; nil: the machine's own.
	Mono func() time.Duration
}

// Node is one operator's node.
type Node struct {
	cfg  Config
	self engine.PartyID

	Journal  *journal.Journal
	Sessions *session.Host
	Keeper   *ceremony.Keeper
	Desk     *decide.Desk
	Presign  *presign.Pools
	Circle   *circle.Circle
	Charters *charters.Charters
	Accounts *wallet.Accounts
	Outbox   *outbox.Outbox
	Pulse    *pulse.Pulse
	Witness  *witness.Witness
	Backups  *backup.Book
	Publish  *publish.Log
	Rescue   *rescue.Desk
	Fence    *fence.Fence
	Vet      *vet.Vet

	recounted recounted              // Tick's own
	setsSent  map[setAsked]time.Time // when peers were sent backup sets last
	askedSets time.Time              // when members were asked for a backup set last: Tick's own
	asks      int
	signing   rate // sessions of intents that began here

	rosters  atomic.Pointer[charter.Chain] // all versions in force: asked under other rooms' locks
	guarding guarding                      // what was verified for SOS
	rests    rests                         // between a hand-over's begin and the peer's new life
	drops    drops

	mu     sync.Mutex                          // guards what follows
	peers  map[engine.PartyID]charter.Operator // members
	guests map[engine.PartyID]charter.Operator // pinned for less than everything (circle.Pins)
	left   map[engine.PartyID]charter.Operator // those of them that left
	gone   bool                                // our own operator left
	names  map[engine.PartyID]string           // of all operators that ever were in the charter, and those
	came   []newcomers                         // who is to be told of the past
	wires  map[engine.PartyID]uint16           // the version that each peer last spoke with this process
}

// newcomers are operators that were introduced to a vault.
type newcomers struct {
	vault     statement.ID
	operators []string
}

// convertLog brings a log that the first release kept into today's form.
func convertLog(ctx context.Context, st store.Store, log *slog.Logger) error {
	moved, err := journal.Convert(ctx, st)
	if err == nil && moved > 0 {
		log.Info("the log was kept as the first release kept it, and is in today's form now", "entries", moved)
	}
	return err
}

// readAtStart is how many entries of the log are read through before the node starts: what takes less than a second.
const readAtStart = 16384

// New opens a node over its store. Sessions that ran before are over.
func New(ctx context.Context, now time.Time, cfg Config) (*Node, error) {
	if cfg.Version == "" {
		cfg.Version = "devel"
	}
	n := &Node{cfg: cfg, self: mpc.IDOf(cfg.Own.Identity), wires: map[engine.PartyID]uint16{}, setsSent: map[setAsked]time.Time{}}
	err := convertLog(ctx, cfg.Store, cfg.Log)
	if err != nil {
		return nil, err
	}
	if n.Journal, err = journal.Open(ctx, cfg.Store); err != nil {
		return nil, err
	}
	// A long log is read on beside the work; until then nothing is signed (Halted).
	if _, err := n.Journal.ReadOn(ctx, readAtStart); err != nil {
		return nil, err
	}
	// Before anything is answered: a life of its own for this process.
	if n.Fence, err = n.openFence(ctx, now); err != nil {
		return nil, err
	}
	if n.Outbox, err = outbox.Open(ctx, n.Journal, n.sendNote); err != nil {
		return nil, err
	}
	n.Keeper = n.newKeeper()
	n.Accounts = &wallet.Accounts{Journal: n.Journal, Root: n.Keeper.Root, Vault: n.Keeper.Vault, Log: cfg.Log}
	n.Sessions, err = session.NewHost(ctx, session.Config{
		Self: n.self, Sign: mpc.NewSigner(cfg.Identity), Journal: n.Journal, Send: n.send, Rand: cfg.Rand,
		Log: cfg.Log, Admit: n.admit, Halted: n.Halted, Fatal: cfg.Fatal,
		Unfit: func(p engine.PartyID) error {
			if n.Vet == nil {
				return nil
			}
			return n.Vet.Fit(p)
		},
		Burned: func(t []engine.Token) { n.Presign.DropPairs(t) },
	})
	if err != nil {
		return nil, err
	}
	n.Presign = presign.New(presign.Config{
		Self: n.self, Mode: cfg.Presignatures, Journal: n.Journal, Log: cfg.Log, Pick: n.Keeper.Pick, Root: n.Keeper.ByKey, Keys: n.Keeper.Keys,
		Fit: n.Sessions.Fit, Unfit: n.Sessions.Unfit, Choose: n.Sessions.Choose, Reachable: n.fit, Wake: cfg.Wake,
		Shuns:   func(now time.Time, p engine.PartyID) bool { return n.Desk.Shuns(now, p) },
		Pressed: func(now time.Time, key [32]byte) bool { return n.Desk.Pressed(now, key) },
	})
	n.Desk = decide.New(decide.Config{
		Self: n.self, Operator: cfg.Own.Name, Identity: cfg.Identity, Journal: n.Journal, Rand: cfg.Rand, Log: cfg.Log,
		Post: n.post, Vault: n.Keeper.Vault, VaultAt: n.Keeper.VaultAt, First: n.Keeper.First, Ended: n.Keeper.Ended, Named: n.Keeper.Named, Keys: n.Keeper.Keys,
		Fit: n.Sessions.Fit, Unfit: n.Sessions.Unfit, Choose: n.Sessions.Choose, Reachable: n.fit, There: n.there, Unvetted: n.Unvetted, Demands: func() bool { return n.Vet != nil && n.Vet.Demands() }, Explain: n.Explain, Check: cfg.Check, CheckBlock: cfg.CheckBlock,
		Roster:  func(id statement.ID) (charter.Roster, bool) { return n.Circle.Reach(id) },
		Charter: func() (charter.Charter, bool) { return n.Charters.Document() },
		Policy:  n.policy, Book: n.book,
		TermsUnder: func(v charter.Vault, id statement.ID) (charter.Vault, bool) { return n.Charters.TermsUnder(v, id) },
		TermsThen: func(v charter.Vault, id statement.ID, at time.Time) (charter.Vault, bool) {
			return n.Charters.TermsThen(v, id, at)
		},
		Frozen: n.frozen,
		SOS:    n.sos, Usual: cfg.Usual, Lost: n.lostEpoch,
		RestoredAt: n.Fence.RestoredAt, Signed: n.signed, Presignatures: n.Presign, HeldBack: n.heldBack, Cosigned: func(size int64) int { return n.Witness.Cosigned(size) },
	})
	if n.Circle, err = n.openCircle(ctx, now); err != nil {
		return nil, err
	}
	if err := n.openEvidence(ctx, now); err != nil {
		return nil, err
	}
	n.Publish = n.newPublish()
	if err := n.Fence.Burnt(ctx, now); err != nil {
		return nil, err
	}
	if err := n.tellAgain(ctx, now); err != nil {
		return nil, err
	}
	return n, n.Desk.Load(ctx, now)
}

// Halted says why this node signs nothing at all; nil if it may: another copy of it runs, its log is damaged, or was not read through yet.
func (n *Node) Halted() error { return cmp.Or(n.Fence.Fenced(), n.Journal.Sound()) }

// newKeeper makes the keeper of keys.
func (n *Node) newKeeper() *ceremony.Keeper {
	cfg := n.cfg
	return ceremony.New(ceremony.Config{
		Self: n.self, Operator: cfg.Own.Name, Identity: cfg.Identity, Journal: n.Journal, Sealer: cfg.Sealer,
		Rand: cfg.Rand, Log: cfg.Log, Post: n.post, Reachable: n.fit, There: n.there,
		Fit: func(ctx context.Context, now time.Time, s *mpc.Setup, pairs [32]byte) error {
			return n.Sessions.Fit(ctx, now, s, pairs)
		},
		Burns: func(ctx context.Context, key [32]byte, peer engine.PartyID) (int, time.Time, error) {
			return n.Sessions.Burns(ctx, key, peer)
		},
		Quarantined: func(ctx context.Context, key [32]byte) ([]engine.PartyID, error) {
			return n.Sessions.Quarantined(ctx, key)
		},
		Terms:     func(v charter.Vault) charter.Vault { return n.Charters.Terms(v) },
		Burned:    func(pairs [32]byte) []engine.PartyID { return n.Sessions.Burned(pairs) },
		InForce:   func() { n.Fence.Recount() },
		Pardon:    func(ctx context.Context, key [32]byte) (store.Batch, error) { return n.Sessions.Pardon(ctx, key) },
		Challenge: n.challenge,
		Awaited: func(vault statement.ID, due, now time.Time) string {
			if n.Rescue == nil {
				return ""
			}
			return n.Rescue.Awaited(vault, due, now)
		},
		Sanctioned: func(id [32]byte) (ceremony.Sanction, bool) {
			s, ok := n.Rescue.Sanctioned(id)
			return ceremony.Sanction{Key: s.Key.Key, Epoch: s.Key.Epoch, Threshold: s.Threshold, Members: s.Members, Proof: ceremony.Proof(s.Proof)}, ok
		},
		Plan: func(id statement.ID, r charter.Roster, v charter.Vault) (plan.Plan, error) {
			x, ok := n.Charters.Version(id)
			if !ok {
				return plan.Plan{}, fmt.Errorf("%w: charter %s is not known here", outbox.ErrLater, id.Short())
			}
			return plan.Of(x, r, v)
		},
		Held: func(vault statement.ID) bool { return n.Rescue != nil && n.Rescue.Holds(vault) },
		Near: func(vault statement.ID) bool { return n.Rescue != nil && n.Rescue.Near(vault) },
		Introduced: func(vault statement.ID, operators []string) {
			n.mu.Lock()
			defer n.mu.Unlock()
			n.came = append(n.came, newcomers{vault, operators})
		},
	})
}

// openCircle reads back what officers signed, and hands it to the rooms that follow it.
func (n *Node) openCircle(ctx context.Context, now time.Time) (*circle.Circle, error) {
	cfg := n.cfg
	return circle.Open(ctx, now, circle.Config{
		Own: cfg.Own, Journal: n.Journal, Rand: cfg.Rand, Log: cfg.Log, Post: n.post, Knock: cfg.Knock,
		OnRosters: n.follow, History: func() charter.History { return n.Charters.History() },
		MayHold: func(vault string, committee []string, threshold int) error {
			return cmp.Or(n.Charters.MayHold(vault, committee, threshold), n.mayHoldMore(vault))
		},
		HandOver: n.handOver,
		OnPeers:  n.pin, OnVaults: n.Keeper.Add, OnReshare: n.Keeper.AddPlan, Held: n.Keeper.Held, Under: n.Keeper.Under, Rescues: n.Keeper.RescuesOf, Made: n.Keeper.Made, Keyed: n.Keeper.Keyed, GiveUp: n.Keeper.GiveUp,
		Past: n.past, Holds: n.holds, Forward: n.forward, Forget: n.forget,
		Seated:    func(o charter.Operator) bool { return n.Keeper.Seated(mpc.IDOf(o.Identity)) },
		Owed:      func(o charter.Operator) bool { return n.Outbox.Waiting(mpc.IDOf(o.Identity)) > 0 },
		Reachable: func(key ed25519.PublicKey) bool { return n.reachable(mpc.IDOf(key)) },
	})
}

// openEvidence opens the rooms of what nodes say of themselves and of one another.
func (n *Node) openEvidence(ctx context.Context, now time.Time) (err error) {
	if n.Vet, err = n.openVet(ctx, now); err != nil {
		return err
	}
	if n.Pulse, err = n.openPulse(ctx); err != nil {
		return err
	}
	if n.Witness, err = n.openWitness(ctx); err != nil {
		return err
	}
	if n.Backups, err = n.openBackups(ctx); err != nil {
		return err
	}
	n.Rescue, err = n.openRescue(ctx)
	return err
}

// openPulse reads back who was heard of, and which keys sign whose log.
func (n *Node) openPulse(ctx context.Context) (*pulse.Pulse, error) {
	return pulse.Open(ctx, pulse.Config{
		Operator: n.cfg.Own.Name, Identity: n.cfg.Identity, Version: n.cfg.Version, Binary: n.cfg.Binary, Journal: n.Journal, Rand: n.cfg.Rand, Log: n.cfg.Log,
		Post: n.post, Roster: n.roster, Every: n.heartbeat, Generation: n.Fence.Confirmed, Party: mpc.IDOf,
		Head:   func(identity ed25519.PublicKey) (tlog.Head, uint64, bool) { return n.Fence.Head(mpc.IDOf(identity)) },
		Shares: n.Keeper.Shares, Prove: n.Keeper.ProveShares, Proved: n.Keeper.TakeProofs, Known: n.Keeper.KnowsKey,
		Sure:       func(now time.Time) bool { return n.Fence.Sure(now) == nil },
		Superseded: n.Outbox.Withdraw,
		Witnessed: func(ctx context.Context, origin string) (tlog.Head, []byte, error) {
			return witness.Last(ctx, n.Journal.Store(), origin)
		},
	})
}

// openWitness reads back what was cosigned, by us and for us.
func (n *Node) openWitness(ctx context.Context) (*witness.Witness, error) {
	return witness.Open(ctx, witness.Config{
		Identity: n.cfg.Identity, Journal: n.Journal, Log: n.cfg.Log, Keys: n.Pulse.AllKeys, Post: n.post,
		Generation: n.Fence.Confirmed,
		Ask: func(identity ed25519.PublicKey, request []byte) {
			if to := mpc.IDOf(identity); n.wireNow(to) >= WireLogs {
				n.send(to, append([]byte{frameCosign}, request...))
			}
		},
		Outside: n.cfg.Witnesses, Others: n.cfg.Logs,
	})
}

// roster is the newest version in force.
func (n *Node) roster() (charter.Roster, bool) {
	c := n.rosters.Load()
	if c == nil || len(*c) == 0 {
		return charter.Roster{}, false
	}
	return c.Newest(), true
}

// heartbeatBefore is how often nodes show that they live while there is no charter that says it.
const heartbeatBefore = time.Hour

// HeartbeatEvery is how often each node shows that it lives.
func (n *Node) HeartbeatEvery() time.Duration { return n.heartbeat() }

func (n *Node) heartbeat() time.Duration {
	if n.Charters != nil {
		if x, ok := n.Charters.Document(); ok {
			return x.Heartbeat
		}
	}
	return heartbeatBefore
}

// follow takes the versions of the roster. The charter, which they say who signs, is opened with the first.
func (n *Node) follow(ctx context.Context, now time.Time, c charter.Chain) (err error) {
	n.rosters.Store(&c)
	if n.Charters != nil {
		return nil
	}
	n.Charters, err = charters.Open(ctx, now, charters.Config{
		Operator: n.cfg.Own.Name, Identity: n.cfg.Identity, Journal: n.Journal, Rand: n.cfg.Rand, Log: n.cfg.Log, Post: n.post, Forward: n.forward,
		Rosters: func() charter.Chain { return *n.rosters.Load() }, Committee: n.committee, Held: n.unchangeable, Subjects: n.subjects,
	})
	return err
}

// committee lists the operators that hold any of a vault's keys, or will make them.
func (n *Node) committee(vault statement.ID) (names []string) {
	for _, v := range n.Keeper.Vault(vault) {
		names = append(names, v.Vault.Committee...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Self is this node's party id.
func (n *Node) Self() engine.PartyID { return n.self }

// Operator is this node's operator.
func (n *Node) Operator() charter.Operator { return n.cfg.Own }

func (n *Node) pin(p circle.Pins) {
	table := func(ops []charter.Operator) map[engine.PartyID]charter.Operator {
		out := map[engine.PartyID]charter.Operator{}
		for _, o := range ops {
			out[mpc.IDOf(o.Identity)] = o
		}
		return out
	}
	names := map[engine.PartyID]string{}
	for id, o := range table(slices.Concat(p.Former, p.Left, p.Guests, p.Peers)) {
		names[id] = o.Name
	}
	n.mu.Lock()
	n.peers, n.guests, n.left, n.names, n.gone = table(p.Peers), table(slices.Concat(p.Guests, p.Left)), table(p.Left), names, p.Gone
	n.mu.Unlock()
	n.cfg.SetPeers(slices.Concat(p.Peers, p.Guests, p.Left))
}

// holds lists the vaults whose key counts on a share of ours, or will once it is made.
func (n *Node) holds() (names []string) {
	for _, v := range n.Keeper.Roots() {
		if v.GivenUp {
			continue
		}
		will := v.Plan != nil && slices.Contains(v.Plan.Committee, n.cfg.Own.Name)
		if will || v.Promised || v.Damage != nil || slices.ContainsFunc(v.Parties, func(p mpc.Party) bool { return p.ID == n.self }) {
			names = append(names, v.Vault.Name)
		}
	}
	return slices.Compact(names)
}

// past says whether a record of a vault's key was in force here.
func (n *Node) past(vault statement.ID, key, eh [32]byte) bool {
	_, ok := n.Keeper.VaultAt(vault, key, eh)
	return ok
}

// forward sends a note, which was made before, to nodes that were pinned since.
func (n *Node) forward(ctx context.Context, now time.Time, note outbox.Note, to []charter.Operator) error {
	var ids []outbox.Peer
	for _, o := range to {
		ids = append(ids, mpc.IDOf(o.Identity))
	}
	return n.Outbox.Again(ctx, now, ids, note)
}

// forget gives up the notes for an operator that is not pinned any more.
func (n *Node) forget(o charter.Operator) {
	id := mpc.IDOf(o.Identity)
	if _, pinned := n.pinned(id); !pinned {
		n.Outbox.Forget(id)
	}
}

// guest says whether a party is pinned for less than everything.
func (n *Node) guest(id engine.PartyID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, ok := n.guests[id]
	return ok
}

// audience are the parties that must come to hold a note.
func (n *Node) audience(k outbox.Kind) []engine.PartyID {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case circle.ForGuests(k):
		return sorted(maps.Keys(n.peers), maps.Keys(n.guests))
	case k == ceremony.NoteFinalCert || k == ceremony.NoteRescued: // it ends the hold of who left
		return sorted(maps.Keys(n.peers), maps.Keys(n.left))
	}
	return sorted(maps.Keys(n.peers))
}

func sorted(parts ...iter.Seq[engine.PartyID]) (ids []engine.PartyID) {
	for _, p := range parts {
		ids = slices.AppendSeq(ids, p)
	}
	slices.SortFunc(ids, func(a, b engine.PartyID) int { return bytes.Compare(a[:], b[:]) })
	return ids
}

// peer finds who a party is, among the members.
func (n *Node) peer(id engine.PartyID) (charter.Operator, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	o, ok := n.peers[id]
	return o, ok
}

// Peers lists the other members' party ids in a fixed order.
func (n *Node) Peers() []engine.PartyID {
	n.mu.Lock()
	defer n.mu.Unlock()
	return sorted(maps.Keys(n.peers))
}

// Name is how people call a party.
func (n *Node) Name(id engine.PartyID) string {
	if id == n.self {
		return n.cfg.Own.Name
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if name, ok := n.names[id]; ok {
		return name
	}
	return id.String()
}

// Explain puts an error into people's words: operators' names for the short party ids.
func (n *Node) Explain(err error) string {
	if err == nil {
		return ""
	}
	return n.Readable(err.Error())
}

// Readable puts operators' names for the short party ids of a text.
func (n *Node) Readable(text string) string {
	pairs := []string{n.self.String(), n.cfg.Own.Name}
	n.mu.Lock()
	for _, id := range sorted(maps.Keys(n.names)) {
		pairs = append(pairs, id.String(), n.names[id])
	}
	n.mu.Unlock()
	return strings.NewReplacer(pairs...).Replace(text)
}

// Format keeps keys out of what is printed.
func (*Node) Format(f fmt.State, _ rune) { io.WriteString(f, "[node]") } //nolint:errcheck // a printer's trouble

func (Config) Format(f fmt.State, _ rune) { io.WriteString(f, "[node's config]") } //nolint:errcheck // a printer's trouble

func (n *Node) send(to engine.PartyID, frame []byte) {
	if o, ok := n.pinned(to); ok {
		n.cfg.Send(o.Identity, frame)
	}
}

// pinned finds who a party is, among members and guests.
func (n *Node) pinned(id engine.PartyID) (charter.Operator, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	o, ok := n.peers[id]
	if !ok {
		o, ok = n.guests[id]
	}
	return o, ok
}

// linked says whether the link to a member or guest stands.
func (n *Node) linked(id engine.PartyID) bool {
	o, ok := n.pinned(id)
	return ok && n.cfg.Reachable(o.Identity)
}

func (n *Node) reachable(id engine.PartyID) bool {
	o, ok := n.peer(id)
	return ok && n.cfg.Reachable(o.Identity)
}

// Tick moves everything on that waits for time: call it a few times a second.
func (n *Node) Tick(ctx context.Context, now time.Time) {
	n.Sessions.Tick(ctx, now)
	n.watchWires()
	n.endRests(now)
	err := n.Outbox.Tick(ctx, now, n.linked, func(p outbox.Peer, note outbox.Note) bool { return n.Desk.Lacks(now, p, note) })
	if err := errors.Join(err, n.tellPast(ctx, now)); err != nil {
		n.cfg.Log.Error("outbox", "error", err)
	}
	if err := n.Fence.Tick(ctx, now, n.reachable); err != nil {
		n.cfg.Log.Error("lives not told", "error", err)
	}
	n.tellPresent(now)
	if n.Halted() != nil || n.Fence.Settled(now) != nil || n.leaving() {
		return // it neither rules nor opens anything, nor signs a log that may lack what the last one had
	}
	if n.Fence.Sure(now) == nil {
		if err := n.Witness.Tick(ctx, now); err != nil {
			n.cfg.Log.Error("our log is not cosigned", "error", err)
		}
	}
	if err := n.Charters.Tick(ctx, now); err != nil {
		n.cfg.Log.Error("the charter does not move on", "error", err)
	}
	if err := n.Vet.Tick(ctx, now); err != nil {
		n.cfg.Log.Error("nobody is asked what their nodes run on", "error", err)
	}
	if err := errors.Join(n.Pulse.Tick(ctx, now), n.tellKeys(ctx, now)); err != nil {
		n.cfg.Log.Error("heartbeat", "error", err)
	}
	if n.Charters != nil {
		if err := errors.Join(n.recount(ctx, now), n.Rescue.Tick(ctx, now), n.emergencies(ctx, now)); err != nil {
			n.cfg.Log.Error("SOS", "error", err)
		}
		n.open(ctx, now, n.Rescue.OpenTests(ctx, now))
	}
	setups := n.Keeper.Tick(ctx, now, func(key [32]byte) bool {
		return n.Sessions.Busy(func(s *mpc.Setup) bool { return s.KeyID == key && changes(s.Protocol) })
	})
	n.open(ctx, now, append(setups, n.Desk.Tick(ctx, now)...))
	// Last: what waits to be signed goes first.
	n.open(ctx, now, n.Presign.Tick(ctx, now))
}

// tellPast brings what counts in limits to peers that did not hear of it: who was away, and who was introduced to a vault.
func (n *Node) tellPast(ctx context.Context, now time.Time) error {
	n.mu.Lock()
	came := n.came
	n.came = nil
	n.mu.Unlock()
	err := n.Desk.Tell(func(p outbox.Peer, note outbox.Note) error { return n.Outbox.Again(ctx, now, []outbox.Peer{p}, note) })
	for _, c := range came {
		to := slices.DeleteFunc(n.Peers(), func(p engine.PartyID) bool { return !slices.Contains(c.operators, n.Name(p)) })
		if failed := n.Outbox.Again(ctx, now, to, n.Desk.Told(now, c.vault)...); failed != nil {
			err = errors.Join(err, failed)
			n.mu.Lock()
			n.came = append(n.came, c)
			n.mu.Unlock()
		}
	}
	return err
}

func (n *Node) open(ctx context.Context, now time.Time, setups []*mpc.Setup) {
	for _, s := range setups {
		if n.mayStart(ctx, now, s) != nil {
			continue // it is tried again when SOS is over
		}
		n.mayOpen(s.Parties, func() {
			if err := n.Sessions.Open(ctx, now, s); err != nil && !errors.Is(err, ErrLimit) {
				n.cfg.Log.Warn("session not opened", "protocol", s.Protocol, "error", err)
			}
		})
	}
}

// Housekeep does what is due once in a while.
func (n *Node) Housekeep(ctx context.Context, now time.Time) error {
	return errors.Join(n.Sessions.ForgetSeen(ctx, now), n.Desk.Forget(ctx, now))
}

// Sweep erases, a bounded number of rows at each call, what can no longer matter (spec/store 6).
func (n *Node) Sweep(ctx context.Context, now time.Time) error {
	return errors.Join(n.Sessions.Sweep(ctx, now), n.Outbox.Sweep(ctx, now, forgets), n.Circle.Sweep(ctx, now), n.Charters.Sweep(ctx, now))
}

// forgets says of which notes it need not be remembered for ever that they were taken: those about intents, heartbeats, and proofs of shares, which
// answer a challenge of the last minutes or tell nothing.
func forgets(k outbox.Kind) bool {
	return decide.Takes(k) || k == ceremony.NoteProof || k == pulse.NoteHeartbeat
}

// Close ends all sessions, and forgets all presignatures.
func (n *Node) Close(ctx context.Context, now time.Time) {
	n.Sessions.Close(ctx, now)
	n.Presign.Close()
}

// ErrStranger says that a frame came from a node that is not pinned.
var ErrStranger = errors.New("frame of a node that is not a peer")

// fromGuest says whether a note may come from a guest: rosters, and to who left, what ends its hold.
func (n *Node) fromGuest(k outbox.Kind) bool {
	return circle.ForGuests(k) || n.hasLeft() && (k == circle.NoteAccepted || k == ceremony.NoteFinalCert || k == ceremony.NoteRescued)
}

// hasLeft says whether our own operator left the circle.
func (n *Node) hasLeft() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.gone
}

// ErrGuest says that a node which is in the roster no more, or not yet, sent more than it may.
var ErrGuest = errors.New("its operator is not in the roster in force")
