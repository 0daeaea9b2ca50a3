package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"math/big"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/store/memory"
	"github.com/ostraka/ostraka/node/wallet"
)

// person is somebody with an SSH key.
type person struct {
	name   string
	signer ssh.Signer
	key    signet.Key
}

func newPerson(t testing.TB, name string) person {
	t.Helper()
	seed := sha256.Sum256([]byte("person " + name))
	s, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	k, err := signet.NewKey(s.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return person{name, s, k}
}

func (p person) sign(t testing.TB, verb signet.Verb, message []byte) []byte {
	t.Helper()
	armored, err := signet.Sign(rand.Reader, p.signer, verb, message)
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

// host is one node of the test's circle.
type host struct {
	*Node
	disk    *memory.Disk
	key     ed25519.PrivateKey
	own     charter.Operator
	officer person
	box     *seal.Box
	up      bool
}

// world is a circle of nodes in one process: frames wait in one queue, time is the test's.
type world struct {
	t     testing.TB
	hosts []*host
	queue []func()
	now   time.Time
	check func(from evm.Address, f evm.Facts) (bool, string, error)
	log   *bytes.Buffer
	hook  func() // before every delivery
}

func newWorld(t testing.TB, n int) *world {
	t.Helper()
	w := &world{t: t, now: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), log: &bytes.Buffer{}}
	for i := range n {
		seed := sha256.Sum256(fmt.Appendf(nil, "node %d", i))
		h := &host{disk: memory.NewDisk(), key: ed25519.NewKeyFromSeed(seed[:]), officer: newPerson(t, fmt.Sprintf("officer-%d", i))}
		h.own = charter.Operator{
			Name: fmt.Sprintf("operator-%d", i), Entity: fmt.Sprintf("Operator %d Ltd", i), Identity: h.key.Public().(ed25519.PublicKey),
			Address: fmt.Sprintf("node-%d.example:7000", i), Officers: []signet.Key{h.officer.key},
		}
		dek, err := seal.NewKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if h.box, err = seal.NewBox(dek, rand.Reader); err != nil {
			t.Fatal(err)
		}
		w.hosts = append(w.hosts, h)
		w.start(h)
	}
	return w
}

func (w *world) find(key ed25519.PublicKey) *host {
	for _, h := range w.hosts {
		if key.Equal(h.own.Identity) {
			return h
		}
	}
	return nil
}

func (w *world) start(h *host) {
	w.t.Helper()
	st, err := h.disk.Open()
	if err != nil {
		w.t.Fatal(err)
	}
	h.up = true
	h.Node, err = New(context.Background(), w.now, Config{
		Own: h.own, Identity: h.key, Store: st, Sealer: h.box, Rand: rand.Reader,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
		Send: func(to ed25519.PublicKey, frame []byte) {
			w.queue = append(w.queue, func() {
				if o := w.find(to); o != nil && o.up && h.up {
					o.Deliver(context.Background(), w.now, h.own.Identity, frame)
				}
			})
		},
		Reachable: func(k ed25519.PublicKey) bool { o := w.find(k); return o != nil && o.up },
		SetPeers:  func([]charter.Operator) {},
		Knock: func(ctx context.Context, _ string, key ed25519.PublicKey, body []byte) ([]byte, error) {
			return w.find(key).Circle.Admit(ctx, w.now, h.own.Identity, body)
		},
		Check: func(_ context.Context, from evm.Address, f evm.Facts) (bool, string, error) {
			if w.check == nil {
				return false, "", nil
			}
			return w.check(from, f)
		},
		Fatal: func(err error) { w.t.Errorf("fatal: %v", err) },
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// run delivers and ticks until cond holds, or a minute of test time went by.
func (w *world) run(what string, cond func() bool) {
	w.t.Helper()
	for end := w.now.Add(3 * time.Minute); !cond(); {
		for len(w.queue) > 0 {
			next := w.queue[0]
			w.queue = w.queue[1:]
			if w.hook != nil {
				w.hook()
			}
			next()
		}
		if cond() {
			return
		}
		if w.now.After(end) {
			w.t.Fatalf("%s: does not happen; logs:\n%s", what, tail(w.log.String()))
		}
		w.now = w.now.Add(200 * time.Millisecond)
		for _, h := range w.hosts {
			if h.up {
				h.Tick(context.Background(), w.now)
			}
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-4000):] }

// found makes the circle: invitations, joins, acceptances by every officer.
func (w *world) found() {
	w.t.Helper()
	ctx := context.Background()
	first := w.hosts[0]
	for _, h := range w.hosts[1:] {
		i, err := first.Circle.Invite(ctx, w.now, time.Hour)
		if err != nil {
			w.t.Fatal(err)
		}
		if _, err := h.Circle.Join(ctx, w.now, i.Line()); err != nil {
			w.t.Fatal(err)
		}
	}
	for i, h := range w.hosts {
		name := ""
		if i == 0 {
			name = "test circle"
		}
		var s statement.Statement
		w.run("roster arrives", func() bool {
			a, _, err := h.Circle.PrepareRoster(w.now, name)
			s = a.Statement
			return err == nil
		})
		if _, _, err := h.Circle.Accept(ctx, w.now, s.Bytes(), h.officer.sign(w.t, signet.Makes(statement.Roster), s.Bytes())); err != nil {
			w.t.Fatal(err)
		}
	}
	w.run("charter in force everywhere", func() bool { return w.all(func(h *host) bool { _, _, ok := h.Circle.Charter(); return ok }) })
}

func (w *world) all(f func(*host) bool) bool {
	for _, h := range w.hosts {
		if h.up && !f(h) {
			return false
		}
	}
	return true
}

var (
	initiator = "ines"
	approvers = []string{"abel", "bea"}
)

// vault creates a vault on all nodes and waits until its key is published.
func (w *world) vault(threshold int) statement.ID {
	w.t.Helper()
	ctx := context.Background()
	file := fmt.Sprintf("name: treasury\ntier: warm\nsuite: ecdsa-secp256k1\nthreshold: %d\ncommittee:\n", threshold)
	for _, h := range w.hosts {
		file += "  - " + h.own.Name + "\n"
	}
	file += fmt.Sprintf("initiators:\n  - name: %s\n    keys:\n      - %q\napprovers:\n", initiator, newPerson(w.t, initiator).key.String())
	for _, a := range approvers {
		file += fmt.Sprintf("  - name: %s\n    keys:\n      - %q\n", a, newPerson(w.t, a).key.String())
	}
	file += "quorum: 2\ninitiator-approves: false\nchains:\n  - \"eip155:1\"\nexpiry: 3600\n"
	var id statement.ID
	for _, h := range w.hosts {
		var s statement.Statement
		first := true
		w.run("vault file accepted by the node", func() bool {
			a, fresh, err := h.Circle.PrepareVault(w.now, []byte(file))
			if err != nil {
				w.t.Fatal(err)
			}
			s = a.Statement
			first = id.IsZero()
			return fresh == first
		})
		id = s.ID()
		if _, _, err := h.Circle.Accept(ctx, w.now, s.Bytes(), h.officer.sign(w.t, signet.Makes(statement.Vault), s.Bytes())); err != nil {
			w.t.Fatal(err)
		}
	}
	w.run("the vault's key is published", func() bool {
		return w.all(func(h *host) bool { v, ok := h.Keeper.Vault(id); return ok && v.Current != nil })
	})
	return id
}

func (w *world) account(vault statement.ID) wallet.Address {
	w.t.Helper()
	c, _, _ := w.hosts[0].Circle.Charter()
	s, err := charter.Account{
		Charter: c.Statement.ID(), Vault: vault, Department: "ops", Name: "main", Path: [2]uint32{0, 1}, Created: w.now.Truncate(time.Second),
	}.Statement(salt())
	if err != nil {
		w.t.Fatal(err)
	}
	sig := newPerson(w.t, initiator).sign(w.t, signet.Makes(statement.Account), s.Bytes())
	w.submit(outbox.Note{Kind: wallet.NoteAccount, Fields: [][]byte{s.Bytes(), sig}})
	var addr wallet.Address
	for i, h := range w.hosts {
		var a wallet.Address
		w.run("account known", func() bool {
			a, err = h.Accounts.New(context.Background(), w.now, vault, "ops", "main")
			return err == nil
		})
		if i > 0 && a.Address != addr.Address {
			w.t.Fatalf("node %d derives %s, node 0 %s", i, a.Address, addr.Address)
		}
		addr = a
	}
	return addr
}

func salt() (s statement.Salt) { rand.Read(s[:]); return s }

// submit gives a note to the first node that is up; the nodes pass it on.
func (w *world) submit(n outbox.Note) {
	w.t.Helper()
	for _, h := range w.hosts {
		if h.up {
			if _, err := h.Submit(context.Background(), w.now, n); err != nil {
				w.t.Fatal(err)
			}
			return
		}
	}
}

// propose makes an intent of a transfer and submits it.
func (w *world) propose(vault statement.ID, from wallet.Address, nonce uint64) statement.Statement {
	w.t.Helper()
	v, _ := w.hosts[0].Keeper.Vault(vault)
	to, _ := evm.ParseAddress("0x00000000000000000000000000000000DeaDBeef")
	raw, err := evm.Build(evm.Request{
		Kind: evm.Dynamic, ChainID: 1, Nonce: nonce, Gas: 21000, FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9), To: to, Amount: big.NewInt(1e18),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := intent.Intent{
		Charter: v.Vault.Charter, Vault: vault, Key: v.Current.Record.KeyID, Epoch: v.Current.Record.Hash(),
		Path: [3]uint32(from.Path), Address: from.Address.String(), Chain: "eip155:1", Purpose: intent.PurposeTransaction,
		Transaction: raw, Memo: "rent", Initiator: initiator, Created: w.now.Truncate(time.Second), Expires: w.now.Truncate(time.Second).Add(time.Hour),
	}.Statement(salt())
	if err != nil {
		w.t.Fatal(err)
	}
	sig := newPerson(w.t, initiator).sign(w.t, signet.Makes(statement.Intent), s.Bytes())
	w.submit(outbox.Note{Kind: decide.NoteProposal, Fields: [][]byte{s.Bytes(), sig}})
	return s
}

func (w *world) approve(s statement.Statement) {
	w.t.Helper()
	id := s.ID()
	for _, a := range approvers {
		sig := newPerson(w.t, a).sign(w.t, signet.Approve, s.Bytes())
		w.submit(outbox.Note{Kind: decide.NoteVote, Fields: [][]byte{id[:], []byte(signet.Approve), sig}})
	}
}

func (w *world) state(h *host, id statement.ID) intent.State {
	v, err := h.Desk.Show(id)
	if err != nil {
		return intent.Proposed
	}
	return v.State
}

// ready is a circle of n nodes with a t-of-n vault and one address.
func ready(t testing.TB, n, threshold int) (*world, statement.ID, wallet.Address) {
	t.Helper()
	w := newWorld(t, n)
	w.found()
	id := w.vault(threshold)
	return w, id, w.account(id)
}

func TestProposeApproveSign(t *testing.T) {
	w, vault, addr := ready(t, 3, 3)
	s := w.propose(vault, addr, 0)
	w.approve(s)
	w.run("signed everywhere", func() bool { return w.all(func(h *host) bool { return w.state(h, s.ID()) == intent.Signed }) })
	var raw []byte
	for i, h := range w.hosts {
		v, err := h.Desk.Show(s.ID())
		if err != nil {
			t.Fatal(err)
		}
		signed, err := evm.ParseSigned(v.Raw)
		if err != nil {
			t.Fatal(err)
		}
		if signed.From != addr.Address {
			t.Fatalf("node %d holds a transaction from %s, want %s", i, signed.From, addr.Address)
		}
		if i > 0 && !bytes.Equal(raw, v.Raw) {
			t.Fatalf("node %d holds another transaction", i)
		}
		raw = v.Raw
		if len(v.Decisions) != 3 {
			t.Fatalf("node %d knows %d decisions", i, len(v.Decisions))
		}
	}
}

// A node that was down during approvals gets them when it returns, and signing follows.
func TestNodeDownThenUp(t *testing.T) {
	w, vault, addr := ready(t, 3, 3)
	w.hosts[2].up = false
	s := w.propose(vault, addr, 0)
	w.approve(s)
	for range 50 {
		w.now = w.now.Add(time.Second)
		for _, h := range w.hosts[:2] {
			h.Tick(context.Background(), w.now)
		}
		for len(w.queue) > 0 {
			next := w.queue[0]
			w.queue = w.queue[1:]
			next()
		}
	}
	v, err := w.hosts[0].Desk.Show(s.ID())
	if err != nil {
		t.Fatal(err)
	}
	if v.State == intent.Signed || len(v.Awaited) != 1 || v.Awaited[0] != "operator-2" {
		t.Fatalf("state %s, awaited %v; want the third operator named", v.State, v.Awaited)
	}
	w.hosts[2].disk.Crash()
	w.start(w.hosts[2]) // a restart: nothing but its disk is left
	w.run("signed everywhere", func() bool { return w.all(func(h *host) bool { return w.state(h, s.ID()) == intent.Signed }) })
}

// Every node may be restarted at any step of a key's making.
func TestRestartsDuringKeygen(t *testing.T) {
	for stop := 5; stop < 60; stop += 9 {
		t.Run(fmt.Sprint(stop), func(t *testing.T) {
			w := newWorld(t, 3)
			w.found()
			steps := 0
			w.hook = func() {
				if steps++; steps == stop {
					h := w.hosts[stop%3]
					h.disk.Crash()
					w.start(h)
				}
			}
			id := w.vault(2)
			w.hook = nil
			addr := w.account(id)
			s := w.propose(id, addr, 0)
			w.approve(s)
			w.run("signed", func() bool { return w.state(w.hosts[0], s.ID()) == intent.Signed })
		})
	}
}

func TestProofsOnDemand(t *testing.T) {
	w, vault, _ := ready(t, 3, 2)
	w.now = w.now.Add(25 * time.Hour)
	v, _ := w.hosts[1].Keeper.Vault(vault)
	if got := v.Stale(w.now); len(got) != 3 {
		t.Fatalf("stale %v, want all three", got)
	}
	if err := w.hosts[1].Keeper.ProveAll(context.Background(), w.now, vault); err != nil {
		t.Fatal(err)
	}
	w.run("all shares proved", func() bool {
		return w.all(func(h *host) bool { v, _ := h.Keeper.Vault(vault); return len(v.Stale(w.now)) == 0 })
	})
}
