package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// wait is how long what is looser waits in the tests' charters.
const wait = 3 * time.Hour

// chartered is a circle of n nodes with a charter in force, whose looser amendments wait.
func chartered(t *testing.T, n int) *nodetest.World {
	t.Helper()
	w, _ := founded(t, n)
	w.Change = func(d *charter.Document) { d.Delay = wait }
	w.List(w.VaultFile("treasury", n))
	return w
}

// changed is the World's document with one more change.
func changed(w *nodetest.World, change func(*charter.Document)) charter.Document {
	d := w.Document()
	change(&d)
	return d
}

// looser lets intents live longer, stricter shorter.
func looser(d *charter.Document)   { d.Vaults[0].Expiry = 2 * time.Hour }
func stricter(d *charter.Document) { d.Vaults[0].Expiry = 30 * time.Minute }

// signCharter has officers sign a document, the first of them a new statement.
func signCharter(t *testing.T, w *nodetest.World, d charter.Document, by ...*nodetest.Host) {
	t.Helper()
	for i, h := range by {
		var err error
		if !w.Try(nodetest.Patience, func() bool {
			err = errors.New("down")
			w.Act(h, func() { err = w.SignCharter(h, d, i == 0) })
			return err == nil
		}) {
			t.Fatalf("%s does not sign: %v; log:\n%s", h.Own.Name, err, w.Tail())
		}
	}
}

// inForce says whether hosts have a document in force; of all, if none is named.
func inForce(w *nodetest.World, d charter.Document, hosts ...*nodetest.Host) bool {
	if len(hosts) == 0 {
		hosts = w.Hosts
	}
	return !slices.ContainsFunc(hosts, func(h *nodetest.Host) bool {
		x, ok := h.Charters.Charter()
		return !h.Up || !ok || !charter.SameDocument(x.Document, d)
	})
}

// number is the version in force at a host; -1 if there is none.
func number(h *nodetest.Host) int { return len(h.Charters.History()) - 1 }

// waiting is what a host shows of the one version that waits.
func waiting(t *testing.T, h *nodetest.Host) charters.Pending {
	t.Helper()
	p := h.Charters.Pending()
	if len(p) != 1 {
		t.Fatalf("%s shows %d versions that wait", h.Own.Name, len(p))
	}
	return p[0]
}

// leap lets time pass in large steps, with all that is said in it.
func leap(w *nodetest.World, d time.Duration) {
	for ; d > 0; d -= 10 * time.Minute {
		w.Step(min(d, 10*time.Minute))
		w.Deliver()
	}
}

// veto has a host's officer veto the version that begins so.
func veto(t *testing.T, w *nodetest.World, h *nodetest.Host, id statement.ID) error {
	t.Helper()
	s, err := h.Charters.PrepareVeto(w.Clock(h), id.String(), "not so")
	if err == nil {
		_, err = h.Charters.Accept(context.Background(), w.Clock(h), s, h.Officer.Makes(t, s))
	}
	return err
}

// A charter comes into force once every officer signed it, on all nodes, and is so after a restart; without one of them never.
func TestCharterNeedsEveryOfficer(t *testing.T) {
	t.Parallel()
	w, hosts := founded(t, 3)
	w.Vaults = []charter.Blueprint{w.VaultFile("treasury", 2)}
	d := w.Document()
	signCharter(t, w, d, hosts[0], hosts[1])
	leap(w, 24*time.Hour)
	for _, h := range hosts {
		if p := waiting(t, h); number(h) != -1 || !slices.Equal(p.Missing, []string{"operator-2"}) || !p.Since.IsZero() {
			t.Errorf("%s: version %d in force; waits for %v, since %v", h.Own.Name, number(h), p.Missing, p.Since)
		}
	}
	signCharter(t, w, d, hosts[2])
	w.Run("in force", func() bool { return inForce(w, d) })
	for _, h := range hosts {
		w.Crash(h)
	}
	w.Run("restarted", func() bool { return w.All(func(*nodetest.Host) bool { return true }) })
	if !inForce(w, d) {
		t.Error("a restart forgets the charter")
	}
	// A note of an officer alone, or of nodes alone, is not enough either: each row is checked again when it is read.
	if x := hosts[0].Charters.Versions(); len(x) != 1 || len(x[0].Signatures) != 3 || len(x[0].Nodes) != 3 {
		t.Errorf("what shows it: %+v", x)
	}
}

// What is looser waits for its delay, and is shown meanwhile on all nodes; what is stricter comes into force at once.
func TestLooserWaits(t *testing.T) {
	t.Parallel()
	w := chartered(t, 3)
	d := changed(w, looser)
	signCharter(t, w, d, w.Hosts...)
	w.Run("all signed", func() bool {
		return w.All(func(h *nodetest.Host) bool { p := h.Charters.Pending(); return len(p) == 1 && !p[0].Since.IsZero() })
	})
	for _, h := range w.Hosts {
		p := waiting(t, h)
		if p.Due.Sub(p.Since) != wait || len(p.Missing) > 0 || len(p.Awaited) != 3 || len(p.Changes) != 1 || !p.Changes[0].Looser || !strings.Contains(p.Changes[0].What, "treasury") {
			t.Errorf("%s shows %+v", h.Own.Name, p)
		}
	}
	w.Crash(w.Hosts[1]) // the time that has passed is not forgotten
	leap(w, wait-time.Minute)
	for _, h := range w.Hosts {
		if number(h) != 0 {
			t.Errorf("%s: version %d is in force before its time", h.Own.Name, number(h))
		}
	}
	leap(w, 2*time.Minute)
	if !inForce(w, d) {
		t.Fatalf("it is not in force once its time has come: %s", w.Tail())
	}
	before := w.Now
	d.Vaults[0].Expiry = 30 * time.Minute
	signCharter(t, w, d, w.Hosts...)
	w.Run("in force", func() bool { return inForce(w, d) })
	if took := w.Now.Sub(before); took > 2*time.Minute {
		t.Errorf("what is stricter waited for %v", took)
	}
}

// A veto of one operator in time ends a version on all nodes, and another may follow.
func TestVeto(t *testing.T) {
	t.Parallel()
	w := chartered(t, 3)
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	d := changed(w, looser)
	signCharter(t, w, d, a, b, c)
	leap(w, wait/2)
	id := waiting(t, a).Charter.ID
	w.Downtime = -1
	w.Crash(c) // it hears of it only when its own time has come
	if err := veto(t, w, b, id); err != nil {
		t.Fatal(err)
	}
	leap(w, wait/4)
	w.Start(c)
	w.Run("all heard it", func() bool {
		return w.All(func(h *nodetest.Host) bool { p := h.Charters.Pending(); return len(p) == 1 && len(p[0].Vetoes) == 1 })
	})
	leap(w, 2*wait)
	for _, h := range w.Hosts {
		if p := waiting(t, h); number(h) != 0 || p.Vetoes[0].Statement.Get("operator") != b.Own.Name || p.Vetoes[0].Statement.Get("reason") != "not so" || len(p.Awaited) != 3 {
			t.Errorf("%s: version %d in force, shows %+v", h.Own.Name, number(h), p)
		}
	}
	if err := w.SignCharter(b, d, true); err != nil {
		t.Errorf("the same file, as a statement of its own: %v", err)
	}
	if err := veto(t, w, b, theOther(t, b, id)); err != nil {
		t.Fatal(err)
	}
	d = changed(w, stricter)
	signCharter(t, w, d, a, b, c)
	w.Run("another follows", func() bool { return inForce(w, d) })
}

// theOther is the proposal at a host that is not this one.
func theOther(t *testing.T, h *nodetest.Host, id statement.ID) statement.ID {
	t.Helper()
	for _, p := range h.Charters.Pending() {
		if p.Charter.ID != id {
			return p.Charter.ID
		}
	}
	t.Fatal("there is no other")
	return id
}

// only keeps a kind of notes from some hosts.
func only(kind outbox.Kind, from ...*nodetest.Host) func(nodetest.Parcel) []nodetest.Parcel {
	return func(p nodetest.Parcel) []nodetest.Parcel {
		if slices.Contains(from, p.To) && noteOf(p).Kind == kind {
			return nil
		}
		return []nodetest.Parcel{p}
	}
}

// A veto that comes when some nodes have enacted a version, and others have not, does not end all amendments: those who enacted it move on to
// the next statement of that version. What is in force is vetoed by nobody.
func TestLateVeto(t *testing.T) {
	t.Parallel()
	w := chartered(t, 3)
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	signCharter(t, w, changed(w, looser), a, b, c)
	w.Run("all signed", func() bool { return w.All(func(h *nodetest.Host) bool { return !waiting(t, h).Since.IsZero() }) })
	id := waiting(t, a).Charter.ID
	c.Skew = -time.Hour // its time comes later
	leap(w, wait+10*time.Minute)
	w.Run("a and b enacted it", func() bool { return slices.Equal(waiting(t, c).Awaited, []string{c.Own.Name}) })
	if err := veto(t, w, c, id); err != nil {
		t.Fatal(err)
	}
	if err := veto(t, w, a, id); err != nil {
		t.Errorf("by who has enacted it: %v", err)
	}
	c.Skew = 0
	leap(w, 2*time.Hour)
	if len(w.Hosts[0].Charters.History()) != 1 {
		t.Fatal("what was vetoed is in force")
	}
	d := changed(w, stricter)
	signCharter(t, w, d, a, b, c)
	w.Run("the next statement of the version is in force", func() bool { return inForce(w, d) })
	newest, _ := a.Charters.Charter()
	if newest.Version != 1 || newest.ID == id {
		t.Errorf("version %d, %s", newest.Version, newest.ID.Short())
	}
	if err := veto(t, w, c, newest.ID); err == nil {
		t.Error("a version in force is vetoed")
	}
}

// A charter that breaks its own rules is refused by every node, although the others' officers sign it.
func TestBrokenCharterIsRefused(t *testing.T) {
	t.Parallel()
	w := chartered(t, 3)
	for name, change := range map[string]func(*charter.Document){
		"steal/account": func(d *charter.Document) {
			d.Operators[1].Places[0].Account = d.Operators[0].Places[0].Account
			d.Operators[1].Places[0].Provider = d.Operators[0].Places[0].Provider
		},
		"majority": func(d *charter.Document) {
			d.Vaults[0].Threshold, d.Vaults[0].Committee = 2, nodetest.Names(w.Hosts...)
			d.Vaults[0].Committee = append(d.Vaults[0].Committee, "operator-3")
		},
		"spend/person": func(d *charter.Document) {
			d.Vaults[0].Quorum, d.Vaults[0].InitiatorApproves, d.Vaults[0].Initiators = 1, true, []string{"approvers"}
		},
		"independent": func(d *charter.Document) { d.Providers = 4 },
	} {
		d := changed(w, change)
		_, _, err := w.Hosts[0].Charters.Prepare(w.Now, d)
		var broken *charters.BrokenError
		if !errors.As(err, &broken) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		last, _ := w.Hosts[0].Charters.Charter()
		st, err := charter.Charter{Version: 1, Previous: last.ID, Roster: last.Roster, Created: w.Now, Document: d}.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		for _, by := range w.Hosts[1:] {
			n := outbox.Note{Kind: charters.NoteCharter, Fields: [][]byte{st.Bytes(), by.Officer.Makes(t, st)}}
			for _, h := range w.Hosts {
				if v, log := (setting{World: w}).tell(by, h, n); h != by && (v != outbox.Refused || !strings.Contains(log, name)) {
					t.Errorf("%s at %s: verdict %d, %s", name, h.Own.Name, v, log)
				}
			}
		}
		for _, h := range w.Hosts {
			if len(h.Charters.Pending()) > 0 {
				t.Errorf("%s: %s keeps it", name, h.Own.Name)
			}
		}
	}
}

// rivals is a circle with two versions proposed at once: the officers of honest operators sign either, take back and sign again as it comes;
// one operator is hostile: its officer and its node sign all that there is.
type rivals struct {
	*nodetest.World
	dice *rand.Rand
	bad  *nodetest.Host
	docs []charter.Document
	seen map[int]statement.ID // by version
}

func (r *rivals) honest() []*nodetest.Host {
	return slices.DeleteFunc(slices.Clone(r.Hosts), func(h *nodetest.Host) bool { return h == r.bad })
}

// check holds that no two versions of one number are in force.
func (r *rivals) check() {
	r.T.Helper()
	for _, h := range r.Hosts {
		r.Act(h, func() {
			for i, x := range h.Charters.History() {
				if old, known := r.seen[i]; known && old != x.ID {
					r.T.Fatalf("two charters of version %d are in force: %s and %s", i, old.Short(), x.ID.Short())
				}
				r.seen[i] = x.ID
			}
		})
	}
}

// evil tells others at random that the hostile officer and node sign a statement that is anywhere.
func (r *rivals) evil() {
	from := r.Hosts[r.dice.IntN(len(r.Hosts))]
	if !from.Up || number(from) > 0 {
		return
	}
	all := from.Charters.Pending()
	if len(all) == 0 {
		return
	}
	p := all[r.dice.IntN(len(all))]
	sig, err := signet.SignNode(r.bad.Key, p.Accepted.Statement)
	if err != nil {
		r.T.Fatal(err)
	}
	id := p.Charter.ID
	for _, n := range []outbox.Note{
		{Kind: charters.NoteCharter, Fields: [][]byte{p.Accepted.Statement.Bytes(), r.bad.Officer.Makes(r.T, p.Accepted.Statement)}},
		{Kind: charters.NoteEnact, Fields: [][]byte{id[:], []byte(r.bad.Own.Name), sig}},
	} {
		if h := r.Hosts[r.dice.IntN(len(r.Hosts))]; h != r.bad {
			r.Forge(r.bad, h, frameOf(n))
		}
	}
}

// person is what some honest officer does.
func (r *rivals) person() {
	hosts := r.honest()
	h := hosts[r.dice.IntN(len(hosts))]
	r.Act(h, func() {
		pending := h.Charters.Pending()
		switch {
		case len(pending) == 0 || r.dice.IntN(8) == 0:
			_ = r.SignCharter(h, r.docs[r.dice.IntN(len(r.docs))], true)
		case r.dice.IntN(8) == 0:
			_ = veto(r.T.(*testing.T), r.World, h, pending[r.dice.IntN(len(pending))].Charter.ID)
		default:
			if a, err := h.Charters.PrepareChosen(pending[r.dice.IntN(len(pending))].Charter.ID.String()); err == nil {
				_, _ = h.Charters.Accept(context.Background(), r.Clock(h), a.Statement, h.Officer.Makes(r.T, a.Statement))
			}
		}
	})
}

// Two rival versions never both come into force, in whatever order all is said, with crashes, and with a hostile operator that signs both.
func TestRivalCharters(t *testing.T) {
	t.Parallel()
	base := chartered(t, 3)
	came := 0
	for seed := range rivalries {
		w := base.Clone(t, fmt.Sprint(seed))
		dice := rand.New(rand.NewPCG(uint64(seed), 7))
		docs := []charter.Document{changed(w, stricter), changed(w, func(d *charter.Document) { d.Vaults[0].Expiry = 20 * time.Minute }), changed(w, looser)}
		r := &rivals{w, dice, w.Hosts[2], docs, map[int]statement.ID{}}
		w.Fate = func(h *nodetest.Host, _ int, _ store.Batch) nodetest.Fate {
			return []nodetest.Fate{nodetest.CrashBefore, nodetest.CrashAfter, nodetest.Live}[min(2, dice.IntN(80))]
		}
		w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
			if dice.IntN(8) == 0 || noteOf(p).Kind == charters.NoteEnact && dice.IntN(4) > 0 {
				return nil
			}
			return []nodetest.Parcel{p}
		}
		for range 80 {
			r.evil()
			r.person()
			dice.Shuffle(len(w.Queue), func(i, j int) { w.Queue[i], w.Queue[j] = w.Queue[j], w.Queue[i] })
			if dice.IntN(3) > 0 {
				w.Deliver()
			}
			w.Step([]time.Duration{time.Second, 5 * time.Second, 10 * time.Second, wait / 2}[min(3, dice.IntN(20))])
			r.check()
		}
		w.Fate, w.Pass = nil, nil
		w.Try(5*time.Minute, func() bool { r.check(); return false })
		if len(r.seen) > 1 {
			came++
		}
		if t.Failed() {
			t.Fatalf("seed %d: %s", seed, w.Tail())
		}
	}
	if came < cameAtLeast {
		t.Errorf("a second version came into force in %d of %d circles: the test tries too little", came, rivalries)
	}
}

// charterStory is a charter's life with a blow at one batch: signed by all, amended with a delay, vetoed, and made otherwise.
func charterStory(t *testing.T, b *blow) (all []blow) {
	t.Helper()
	w := chartered(t, 3)
	before, fell := commits(w), new(bool)
	if b != nil {
		fell = b.strike(w)
	}
	again := func(h *nodetest.Host, what string, do func() error) { // who saw no answer does it again
		var err error
		if !w.Try(nodetest.Patience, func() bool {
			lived := w.Act(h, func() { err = do() })
			return lived && err == nil
		}) {
			t.Fatalf("%s: %v; log:\n%s", what, err, w.Tail())
		}
	}
	d := changed(w, looser)
	signCharter(t, w, d, w.Hosts...)
	known := func(h *nodetest.Host) bool { return h.Up && len(h.Charters.Pending()) == 1 }
	w.Run("known", func() bool { return w.All(known) })
	id := waiting(t, w.Hosts[0]).Charter.ID
	again(w.Hosts[1], "veto", func() error {
		if len(waiting(t, w.Hosts[1]).Vetoes) > 0 {
			return nil
		}
		return veto(t, w, w.Hosts[1], id)
	})
	w.Run("vetoed", func() bool {
		return w.All(func(h *nodetest.Host) bool { return len(h.Charters.Pending()) == 1 && len(waiting(t, h).Vetoes) == 1 })
	})
	d = changed(w, func(d *charter.Document) { looser(d); d.Heartbeat = 30 * time.Minute })
	signCharter(t, w, d, w.Hosts...)
	w.Run("all have signed", func() bool {
		return w.All(func(h *nodetest.Host) bool {
			return slices.ContainsFunc(h.Charters.Pending(), func(p charters.Pending) bool { return !p.Since.IsZero() && len(p.Vetoes) == 0 })
		})
	})
	leap(w, wait)
	w.Run("in force", func() bool { return inForce(w, d) })
	all = blows(w, before)
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	for _, h := range w.Hosts {
		if number(h) != 1 {
			t.Errorf("%s has version %d", h.Own.Name, number(h))
		}
	}
	return all
}

// A node that dies before or after any batch of a charter's life comes to the same end.
func TestCharterUnderCrashes(t *testing.T) {
	t.Parallel()
	for _, b := range pick(charterStory(t, nil), 20) {
		t.Run(fmt.Sprint(b), func(t *testing.T) { charterStory(t, &b) })
	}
}

// A node whose disk was set back to before it enacted a version knows it by its own signature: it fences itself, learns the version all the same,
// and goes on with it once its operator has answered for the copy.
func TestRestoredNodeLearnsTheCharter(t *testing.T) {
	t.Parallel()
	for _, everywhere := range []bool{false, true} { // whether the version is in force before the disk is set back
		w := chartered(t, 3)
		a, b := w.Hosts[0], w.Hosts[1]
		old := w.Rows(a, "")
		d := changed(w, looser)
		signCharter(t, w, d, w.Hosts...)
		w.Run("all signed", func() bool { return w.All(func(h *nodetest.Host) bool { return !waiting(t, h).Since.IsZero() }) })
		if !everywhere {
			old = w.Rows(a, "")
			w.Hosts[2].Skew = -time.Hour
		}
		w.Crash(a)
		w.Run("restarted", func() bool { return a.Up })
		w.Greet()
		leap(w, wait)
		w.Run("enacted", func() bool { return number(b) == 1 || len(waiting(t, b).Awaited) == 1 })
		w.Restore(a, old)
		w.Run("it is fenced", func() bool { return a.Fence.Fenced() != nil })
		w.Try(5*time.Minute, func() bool { return false })
		if _, err := a.ConfirmRestore(context.Background(), w.Clock(a)); err != nil {
			t.Fatal(err)
		}
		w.Hosts[2].Skew = 0
		if !w.Try(nodetest.Patience, func() bool { return inForce(w, d) }) {
			t.Fatalf("in force everywhere before: %v: it never learns the charter: %s", everywhere, w.Tail())
		}
		d.Vaults[0].Expiry = 30 * time.Minute
		signCharter(t, w, d, w.Hosts...)
		w.Run("and goes on", func() bool { return inForce(w, d) })
	}
}

// Who comes to the circle is told all versions, and what waits; then it must sign too.
func TestNewcomerLearnsTheCharter(t *testing.T) {
	t.Parallel()
	w := chartered(t, 3)
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	d := changed(w, stricter)
	signCharter(t, w, d, a, b, c)
	w.Run("in force", func() bool { return inForce(w, d) })
	late := changed(w, func(d *charter.Document) { stricter(d); d.Heartbeat = 2 * time.Hour })
	signCharter(t, w, late, a, b, c)
	x := w.Newcomer()
	w.Join(a, x)
	w.Amend(1, nodetest.Accept, a, x, b, c)
	w.Run("it knows all", func() bool { return number(x) == 1 && len(x.Charters.Pending()) == 1 })
	// The version that waits was agreed on by the roster before: it comes into force by those.
	leap(w, wait)
	w.Run("in force", func() bool { return inForce(w, late) })
	next := changed(w, func(d *charter.Document) { d.Heartbeat = 2 * time.Hour; d.Vaults[0].Expiry = 20 * time.Minute })
	signCharter(t, w, next, a, b, c)
	leap(w, time.Hour)
	if number(a) != 2 || !slices.Equal(waiting(t, a).Missing, []string{x.Own.Name}) {
		t.Errorf("version %d without the newcomer, %v are missing", number(a), waiting(t, a).Missing)
	}
	signCharter(t, w, next, x)
	w.Run("in force", func() bool { return inForce(w, next) })
}

// The roster goes on, and an officer is replaced, while a version is being signed: who hears of the roster first takes the signatures that were made
// before it all the same, or the others would have enacted a version that never comes. The node of the replaced officer's operator takes no
// new signature of that key: with it alone nothing comes into force.
func TestCharterWhileTheRosterChanges(t *testing.T) {
	t.Parallel()
	for _, signed := range []bool{true, false} { // whether c's officer signed before it was replaced
		w := chartered(t, 4)
		a, b, c, d := w.Hosts[0], w.Hosts[1], w.Hosts[2], w.Hosts[3]
		doc := changed(w, looser)
		signCharter(t, w, doc, a, b, d)
		var held []nodetest.Parcel
		w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
			if p.To == d && noteOf(p).Kind == charters.NoteCharter {
				held = append(held, p)
				return nil
			}
			return []nodetest.Parcel{p}
		}
		if signed {
			signCharter(t, w, doc, c)
			w.Run("at a", func() bool { return len(waiting(t, a).Missing) == 0 })
		}
		w.Run("known to c", func() bool { return len(c.Charters.Pending()) == 1 })
		old := newOfficer(t, w, c, 1, a, b, d)
		w.Pass = nil
		w.Queue = append(w.Queue, held...)
		if !signed {
			p := waiting(t, a)
			n := outbox.Note{Kind: charters.NoteCharter, Fields: [][]byte{p.Accepted.Statement.Bytes(), old.Makes(t, p.Accepted.Statement)}}
			for _, h := range []*nodetest.Host{a, c, d} {
				w.Forge(b, h, frameOf(n))
			}
		}
		leap(w, 2*wait)
		w.Try(time.Minute, func() bool { return inForce(w, doc) })
		if inForce(w, doc) != signed {
			t.Errorf("signed before %v: versions %d, %d, %d, %d: %s", signed, number(a), number(b), number(c), number(d), w.Tail())
		}
	}
}

// lowID is the next version with the lowest id of many, as one operator may search for it.
func lowID(t *testing.T, h *nodetest.Host, now time.Time, d charter.Document) (low statement.Statement) {
	t.Helper()
	last, _ := h.Charters.Charter()
	_, r, _ := h.Circle.Roster()
	x := charter.Charter{Version: last.Version + 1, Previous: last.ID, Roster: r.ID, Created: now.UTC().Truncate(time.Second), Document: d}
	for i := range 1 << 13 {
		s, err := x.Statement(statement.Salt{byte(i), byte(i >> 8)})
		if err != nil {
			t.Fatal(err)
		}
		if a, b := s.ID(), low.ID(); i == 0 || bytes.Compare(a[:], b[:]) < 0 {
			low = s
		}
	}
	return low
}

// An operator searches for a low id, has the others enact that version, and never does so itself: under the next roster another comes before it.
func TestSearchedIDHoldsNothingUp(t *testing.T) {
	t.Parallel()
	w := chartered(t, 3)
	a, b, bad := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	d := changed(w, stricter)
	low := lowID(t, bad, w.Clock(bad), d)
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n := noteOf(p); n.Kind == charters.NoteEnact && (p.From == bad || p.To == bad) && statement.ID(n.Fields[0]) == low.ID() {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	if _, err := bad.Charters.Accept(context.Background(), w.Clock(bad), low, bad.Officer.Makes(t, low)); err != nil {
		t.Fatal(err)
	}
	w.Run("heard of", func() bool { return len(a.Charters.Pending()) == 1 && len(b.Charters.Pending()) == 1 })
	signCharter(t, w, d, a, b)
	w.Run("enacted by two", func() bool { p := waiting(t, a); return slices.Equal(p.Awaited, []string{bad.Own.Name}) })
	for _, h := range []*nodetest.Host{a, b} {
		w.Run("vetoed", func() bool { return veto(t, w, h, low.ID()) == nil })
	}
	newOfficer(t, w, a, 1, b, bad)
	d = changed(w, func(d *charter.Document) { d.Vaults[0].Expiry = 20 * time.Minute })
	signCharter(t, w, d, a, b, bad)
	leap(w, wait)
	if !inForce(w, d, a, b) {
		t.Fatalf("nothing comes into force any more: %s", w.Tail())
	}
}

// An officer's signature is taken although the node cannot enact yet: it does so when it can.
func TestOfficerSignsBeforeAPeerGreets(t *testing.T) {
	t.Parallel()
	w := chartered(t, 3)
	d := changed(w, stricter)
	signCharter(t, w, d, w.Hosts[0], w.Hosts[1])
	c := w.Hosts[2]
	w.Run("heard of", func() bool { return len(c.Charters.Pending()) == 1 && len(waiting(t, c).Missing) == 1 })
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.To == c {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.Crash(c)
	w.Run("restarted", func() bool { return c.Up })
	if err := w.SignCharter(c, d, false); err != nil {
		t.Fatalf("the officer is told: %v", err)
	}
	w.Pass = nil
	w.Run("in force", func() bool { return inForce(w, d) })
}

// One operator's officer fills no node with charters: eight of a version wait there, those that somebody vetoed not counted, and 64 with them.
func TestRoomForCharters(t *testing.T) {
	t.Parallel()
	w := chartered(t, 3)
	s := setting{World: w}
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	last, _ := a.Charters.Charter()
	made := 0
	propose := func() (statement.Statement, outbox.Verdict, string) {
		t.Helper()
		made++
		st, err := charter.Charter{
			Version: 1, Previous: last.ID, Roster: last.Roster, Created: w.Now,
			Document: changed(w, func(d *charter.Document) { d.Vaults[0].Expiry = time.Duration(made) * time.Hour }),
		}.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		v, log := s.tell(b, a, officerNote(t, charters.NoteCharter, st, b.Officer))
		return st, v, log
	}
	var waiting []statement.Statement
	full := func(why string) {
		t.Helper()
		if _, v, log := propose(); v != outbox.Refused || !strings.Contains(log, "that operator operator-1 signed wait here already") {
			t.Fatalf("%s: verdict %d, %s", why, v, log)
		}
	}
	vetoed := 0
	for ; len(waiting)+vetoed < 64; waiting = waiting[1:] {
		for len(waiting) < 8 && len(waiting)+vetoed < 64 {
			st, v, log := propose()
			if v != outbox.Taken {
				t.Fatalf("charter %d: verdict %d, %s", len(waiting)+vetoed, v, log)
			}
			waiting = append(waiting, st)
		}
		if len(waiting) == 8 && vetoed < 8 { // each try costs a signature
			full("eight wait")
		}
		veto, err := charter.Veto{Charter: waiting[0].ID(), Operator: c.Own.Name, Created: w.Now}.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		if v, log := s.tell(c, a, officerNote(t, charters.NoteVeto, veto, c.Officer)); v != outbox.Taken {
			t.Fatalf("veto: verdict %d, %s", v, log)
		}
		vetoed++
	}
	full("64 in all")
}
