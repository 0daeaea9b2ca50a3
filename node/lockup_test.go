package node_test

import (
	"context"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/sos"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/wallet"
)

// A locked is a circle of four. Its vault of two keys is held by the first and the third, its rescue vault by the first two; the third is lost, and the second and fourth may follow it.
type locked struct {
	setting
	refuge statement.ID
	safe   wallet.Address // of the rescue vault
	r      act.Request
	left   act.Key // the key that no guardian contributes to
}

func lockable(t *testing.T) *locked {
	t.Helper()
	w := nodetest.New(t, 4)
	w.Suite = charter.SuiteECDSA
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			p := nodetest.Plan(1, 2, w.Hosts[1].Own.Name, w.Hosts[3].Own.Name)
			p.Window, p.LockUp = 2*time.Minute, 3*time.Minute
			if d.Vaults[i].Name == "treasury" {
				p.Destinations = []charter.Destination{{Name: "safe", Chain: "eip155:1", Address: refuge, Vault: "refuge"}}
				p.Tranches = []charter.Tranche{{Asset: "eth", Most: 1500, Every: time.Hour, Count: 2}} // 1.5 ETH each
			}
			d.Vaults[i].Rescue = p
		}
	}
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	file := w.VaultFile("treasury", 2, a, c)
	file.Suites = []string{charter.SuiteECDSA, charter.SuiteEd25519}
	file.Chains = append(file.Chains, "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp")
	w.Usual = func(*nodetest.Host, evm.Address, *evm.Transaction) (*big.Int, error) { return big.NewInt(42e12), nil }
	w.Found()
	w.List(w.VaultFile("refuge", 2, a, b), file)
	x := &locked{setting: setting{World: w, vault: w.SignVault("treasury", a, c)}, refuge: w.SignVault("refuge", a, b)}
	published := func(vault statement.ID, suite string, hosts ...*nodetest.Host) func() bool {
		return func() bool {
			return !slices.ContainsFunc(hosts, func(h *nodetest.Host) bool {
				v, ok := h.Keeper.Root(vault, suite)
				return !ok || v.Current == nil
			})
		}
	}
	w.Run("keys", published(x.vault, charter.SuiteECDSA, a, c))
	w.Run("the second key", published(x.vault, charter.SuiteEd25519, a, c))
	w.Run("the rescue vault's", published(x.refuge, charter.SuiteECDSA, a, b))
	x.addr, x.safe = x.address(x.vault, a, c), x.address(x.refuge, a, b)
	return x
}

// address is a vault's first, at those who hold it.
func (x *locked) address(vault statement.ID, hosts ...*nodetest.Host) (addr wallet.Address) {
	x.T.Helper()
	n := x.AccountNote(vault, "main", 1)
	for _, h := range hosts {
		x.again(h, n)
		x.Run("an address", func() (ok bool) {
			x.Act(h, func() {
				var err error
				addr, err = h.Accounts.New(context.Background(), x.Clock(h), vault, x.Suite, "ops", "main")
				ok = err == nil
			})
			return ok
		})
	}
	return addr
}

// keys are the vault's at a host, of these suites, ascending.
func (x *locked) keys(h *nodetest.Host, suites ...string) (keys []act.Key) {
	for _, v := range h.Keeper.Vault(x.vault) {
		if slices.Contains(suites, v.Suite) {
			keys = append(keys, act.Key{Key: v.KeyID, Epoch: v.Current.Record.Hash()})
		}
	}
	slices.SortFunc(keys, func(a, b act.Key) int { return slices.Compare(a.Key[:], b.Key[:]) })
	return keys
}

// asks has a guardian ask because of the third host, under these keys.
func (x *locked) asks(h *nodetest.Host, before int, keys ...act.Key) act.Request {
	x.T.Helper()
	v, _ := h.Charters.Charter()
	r := act.Request{
		Drill: true, Charter: v.ID, Vault: x.vault, Trigger: charter.TriggerLegal, Subjects: []string{x.Hosts[2].Own.Name}, Reason: "wound up", Document: [32]byte{1}, Number: before,
		Keys: keys, Role: act.Guardian, By: "guardian-0", Created: x.Now, Expires: x.Now.Add(time.Hour),
	}
	if before > 0 {
		r.Previous = x.r.ID
	}
	st, err := r.Statement(x.Salt())
	x.again(h, x.said(pen(x.T.(*testing.T), 0), st, err))
	if r, err = act.RequestOf(st); err != nil {
		x.T.Fatal(err)
	}
	return r
}

func (x *locked) declared(r act.Request) {
	x.T.Helper()
	a, b, d := x.Hosts[0], x.Hosts[1], x.Hosts[3]
	x.Run("known", x.allStand(sos.Armed, r, a, b, d))
	for i := range 3 {
		x.support(a, r, i)
	}
	x.consent(a, r)
	x.Run("the delay runs", x.allStand(sos.Contest, r, a, b, d))
}

// officers have the officers of these hosts sign a statement, each handed to one node.
func (x *locked) officers(to *nodetest.Host, st statement.Statement, by ...*nodetest.Host) (err error) {
	x.T.Helper()
	for _, h := range by {
		if _, err = x.submit(to, x.note(st, h)); err != nil {
			return err
		}
	}
	return nil
}

func (x *locked) note(st statement.Statement, h *nodetest.Host) outbox.Note {
	return outbox.Note{Kind: rescue.NoteSaid, Fields: [][]byte{st.Bytes(), h.Officer.Makes(x.T, st)}}
}

func (x *locked) closing(keys ...act.Key) statement.Statement {
	x.T.Helper()
	c := act.Close{Head: x.r.Head(), Drill: [32]byte{1}, Report: [32]byte{2}, Created: x.Now.Truncate(time.Second)}
	for _, k := range keys {
		c.Keys = append(c.Keys, act.Backed{Key: k, Backups: [32]byte{3}})
	}
	st, err := c.Statement(x.Salt())
	if err != nil {
		x.T.Fatal(err)
	}
	return st
}

func (x *locked) releases() statement.Statement {
	x.T.Helper()
	st, err := act.EarlyRelease{Head: x.r.Head(), Reason: "all is well", Created: x.Now.Truncate(time.Second)}.Statement(x.Salt())
	if err != nil {
		x.T.Fatal(err)
	}
	return st
}

// waits is what a host says that a request waits for.
func (x *locked) waits(h *nodetest.Host, r act.Request) (text string) {
	x.Act(h, func() { text = strings.Join(h.Rescue.Lacks(x.T.Context(), x.Clock(h), x.vault, r.ID), "; ") })
	return text
}

// money is an officer's or the vault's people's intent to move so many thousandths out.
func (x *locked) money(vault statement.ID, from wallet.Address, nonce uint64, by string) (statement.Statement, outbox.Note) {
	x.T.Helper()
	it := x.Intent(vault, from, nonce)
	to, _ := evm.ParseAddress(elsewhere)
	raw, err := evm.Build(evm.Request{Kind: evm.Dynamic, ChainID: 1, Nonce: nonce, Gas: 21000, FeeCap: big.NewInt(2e9), TipCap: big.NewInt(1e9), To: to, Amount: big.NewInt(1e18)})
	if err != nil {
		x.T.Fatal(err)
	}
	tx, err := evm.Decode(raw)
	if err != nil {
		x.T.Fatal(err)
	}
	it.Transaction, it.Facts = raw, nil
	for _, l := range tx.Facts().Lines() {
		it.Facts = append(it.Facts, intent.Fact(l))
	}
	if by == "" {
		return x.Proposal(it)
	}
	it.Initiator = by
	s, err := it.Statement(x.Salt())
	if err != nil {
		x.T.Fatal(err)
	}
	return s, outbox.Note{Kind: decide.NoteProposal, Fields: [][]byte{s.Bytes(), x.Hosts[0].Officer.Makes(x.T, s)}}
}

// says is a host's own decision on an intent.
func (x *locked) says(h *nodetest.Host, s statement.Statement) intent.Decision {
	return (&swept{setting: x.setting}).own(h, s)
}

// locks takes the emergency to LOCK-UP: one of two keys gets new shares for two of three.
func (x *locked) locks() {
	x.T.Helper()
	a, b, c, d := x.Hosts[0], x.Hosts[1], x.Hosts[2], x.Hosts[3]
	x.Downtime = 1000 * time.Hour
	x.Crash(c)
	x.left = x.keys(a, charter.SuiteEd25519)[0]
	x.r = x.asks(a, 0, x.keys(a, charter.SuiteECDSA, charter.SuiteEd25519)...)
	x.declared(x.r)
	x.Run("active", x.allStand(sos.Active, x.r, a, b, d))
	x.activate(a, b.Own.Name, d.Own.Name)
	key := x.record(a).KeyID
	var id statement.ID
	for _, s := range x.saying(a, statement.SOSActivation) {
		if v, err := act.ActivationOf(s); err == nil && v.Key.Key == key {
			id = v.ID
		}
	}
	// A member of the new committee signs before this node has its record: that comes again, and is not refused.
	if err := x.officers(a, x.closing(act.Key{Key: key, Epoch: [32]byte{9}}), d); !errors.Is(err, outbox.ErrLater) {
		x.T.Errorf("a closing before the new shares are known: %v", err)
	}
	if err := x.officers(a, x.releases(), b); !errors.Is(err, outbox.ErrLater) {
		x.T.Errorf("an early release before the new shares are known: %v", err)
	}
	for i := range 2 {
		x.again(b, x.contribution(x.r, id, i))
	}
	x.Run("new shares", func() bool {
		return x.HeldBy(a, x.vault, 2, a, b, d) && x.HeldBy(b, x.vault, 2, a, b, d) && x.HeldBy(d, x.vault, 2, a, b, d)
	})
	for range 3 {
		x.Step(time.Minute)
		x.Deliver()
	}
	x.Run("lock-up", x.allStand(sos.LockUp, x.r, a, b, d))
}

// From LOCK-UP to CLOSED and through the tranches, over real nodes: of a vault with two keys, one of which got no new shares; with one of the new committee gone. A second story from the
// same moment ends it by early release of all.
func TestLockUp(t *testing.T) {
	t.Parallel()
	x := lockable(t)
	x.locks()
	a, b, d := x.Hosts[0], x.Hosts[1], x.Hosts[3]
	if got := x.waits(a, x.r); !strings.Contains(got, "has no new shares: a closing leaves it in its epoch") || !strings.Contains(got, "of the lock-up are left") || !strings.Contains(got, "is signed by nobody, and awaits 2 of") {
		t.Errorf("it waits for: %s", got)
	}
	freed := &locked{x.copy(t, "freed"), x.refuge, x.safe, x.r, x.left}
	freed.Usual = x.Usual

	// Nothing leaves, of the vault to elsewhere or of its rescue vault, whoever asks: the one is denied, the other waits.
	out, n := x.money(x.vault, x.addr, 0, "")
	x.again(a, n)
	x.Run("a transfer out is denied", func() bool { return x.says(a, out).Verdict == intent.Deny && x.says(b, out).Verdict == intent.Deny })
	if got := x.says(a, out); got.Rule != decide.RuleSOS || !strings.Contains(got.Reason, "no rescue address") {
		t.Errorf("denied by rule %s: %s", got.Rule, got.Reason)
	}
	out, n = x.money(x.refuge, x.safe, 0, "")
	x.again(a, n)
	x.Approve(out)
	for range 10 {
		x.Step(time.Second)
		x.Deliver()
	}
	if x.State(a, out.ID()) == intent.Signed || x.says(a, out).Verdict == intent.Allow {
		t.Error("the rescue vault signs outward")
	}

	// Early release takes all three: with one missing it ends nothing.
	release := x.releases()
	if err := x.officers(a, release, a, b); err != nil {
		t.Fatal(err)
	}
	x.Run("it says whom it awaits", func() bool {
		return strings.Contains(x.waits(a, x.r), "an early release is signed by "+a.Own.Name+", "+b.Own.Name+", and awaits "+d.Own.Name)
	})
	x.Crash(d)
	fresh := x.keys(a, charter.SuiteECDSA)[0]
	if err := x.officers(a, x.closing(fresh, x.left), b); err != nil { // more than has new shares: it is kept, and counts for nothing
		t.Fatal(err)
	}
	x.Step(time.Second) // only a later word takes the place of another
	st := x.closing(fresh)
	if err := x.officers(a, st, a); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		x.Step(time.Second)
		x.Deliver()
	}
	if !x.allStand(sos.LockUp, x.r, a, b)() {
		t.Errorf("before its time it is %s", x.stands(a, x.r))
	}
	if why := a.Rescue.MayChange(t.Context()); !strings.Contains(why, "is lock-up") {
		t.Errorf("a charter may come into force: %q", why)
	}

	// A tranche in an hour, of the vault and its rescue vault together: the rescue vault's transfer, which waited, takes the first, though nobody closed the lock-up whose time is over. Its own
	// keys stay held, and charters do not.
	x.Run("charters may change", func() bool {
		x.Step(10 * time.Second)
		return a.Rescue.MayChange(t.Context())+b.Rescue.MayChange(t.Context()) == ""
	})
	x.Run("the first tranche is signed", func() bool { return x.State(a, out.ID()) == intent.Signed })
	if why := a.Rescue.MayChange(t.Context()); why != "" || !x.allStand(sos.LockUp, x.r, a, b)() || a.Rescue.Held(t.Context(), x.vault) == "" {
		t.Errorf("with one closing signature it is %s; charters: %q", x.stands(a, x.r), why)
	}
	if err := x.officers(a, st, b); err != nil {
		t.Fatal(err)
	}
	x.Run("closed by two of three", func() bool { x.Step(20 * time.Second); return x.allStand(sos.Closed, x.r, a, b)() })

	// Then nothing more, until the third of three released early.
	ss, n := x.money(x.vault, x.addr, 0, "")
	x.again(a, n)
	x.Approve(ss)
	for range 10 {
		x.Step(time.Second)
		x.Deliver()
	}
	if v, err := a.Desk.Show(ss.ID()); err != nil || !strings.Contains(v.Waits, "are released by now") {
		t.Errorf("it waits for %q, %v", v.Waits, err)
	}
	if x.State(a, ss.ID()) == intent.Signed {
		t.Error("more than a tranche is signed")
	}

	x.again(a, x.note(release, d))
	x.Run("more than a tranche is signed after the release", func() bool { return x.State(a, ss.ID()) == intent.Signed })
	x.rest()

	freed.frees()
}

// rest declares a request for the key that is left: it names it alone, under the committee that holds it, and not the key with new shares.
func (x *locked) rest() {
	x.T.Helper()
	a, b := x.Hosts[0], x.Hosts[1]
	x.bothCommittees()
	r := x.asks(a, 1, x.left)
	x.Run("known", x.allStand(sos.Armed, r, a, b))
	for i := range 3 {
		x.support(a, r, i)
	}
	x.consent(a, r)
	x.Run("the delay of the second", x.allStand(sos.Contest, r, a, b))
}

// bothCommittees: the first host holds both keys, with others each. A request about it is of the key that is left alone, though its operator sits in the other committee as well.
func (x *locked) bothCommittees() {
	x.T.Helper()
	a, b := x.Hosts[0], x.Hosts[1]
	v, _ := b.Charters.Charter()
	r := act.Request{
		Drill: true, Charter: v.ID, Vault: x.vault, Trigger: charter.TriggerLegal, Subjects: []string{a.Own.Name}, Reason: "wound up", Document: [32]byte{1}, Number: 1, Previous: x.r.ID,
		Keys: []act.Key{x.left}, Role: act.Guardian, By: "guardian-1", Created: x.Now, Expires: x.Now.Add(time.Hour),
	}
	st, err := r.Statement(x.Salt())
	x.again(b, x.said(pen(x.T.(*testing.T), 1), st, err))
	if r, err = act.RequestOf(st); err != nil {
		x.T.Fatal(err)
	}
	// Whoever it is about proves its life, though it is about the keys of one committee alone.
	alive := r
	alive.Trigger, alive.Document = charter.TriggerSilence, [32]byte{}
	said, err := alive.Statement(x.Salt())
	if err != nil {
		x.T.Fatal(err)
	}
	x.Act(a, func() {
		if _, err := a.Rescue.ProveFor(context.Background(), x.Clock(a), said); err != nil {
			x.T.Errorf("a subject proves its life: %v", err)
		}
	})
	if got := x.waits(b, r); got == "" || strings.Contains(got, "does not name the vault's keys") {
		x.T.Errorf("it lacks: %s", got)
	}
}

// frees ends a lock-up by early release: by all three, and not before the third signs.
func (x *locked) frees() {
	x.T.Helper()
	a, b, c, d := x.Hosts[0], x.Hosts[1], x.Hosts[2], x.Hosts[3]
	x.Downtime = 1000 * time.Hour
	x.Crash(c)
	st := x.closing(x.keys(a, charter.SuiteECDSA)[0])
	release := x.releases()
	if err := errors.Join(x.officers(a, st, b, d), x.officers(b, release, a, b)); err != nil {
		x.T.Fatal(err)
	}
	if err := x.officers(a, release, c); err == nil {
		x.T.Error("the subject's signature is taken")
	}
	for range 5 {
		x.Step(time.Second)
		x.Deliver()
	}
	if !x.allStand(sos.LockUp, x.r, a, b, d)() {
		x.T.Errorf("with one missing it is %s", x.stands(a, x.r))
	}
	if err := x.officers(d, release, d); err != nil {
		x.T.Fatal(err)
	}
	x.Run("closed before its time", x.allStand(sos.Closed, x.r, a, b, d))
	s, n := x.money(x.refuge, x.safe, 0, "")
	x.again(a, n)
	x.Approve(s)
	x.Run("the rescue vault signs", func() bool { return x.State(a, s.ID()) == intent.Signed })
}
