package node_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/pulse"
)

// What an operator's file says else than what others signed is refused, naming what differs.
func TestCharterFileDiffers(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	w.Vaults = []charter.Blueprint{w.VaultFile("treasury", 3)}
	first, second := w.Hosts[0], w.Hosts[1]
	if err := w.SignCharter(first, w.Document(), true); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	vault := func(change func(*charter.Blueprint)) func(*charter.Document) {
		return func(d *charter.Document) { change(&d.Vaults[0]) }
	}
	for name, c := range map[string]struct {
		change func(*charter.Document)
		want   string
	}{
		"threshold": {vault(func(v *charter.Blueprint) { v.Threshold = 2 }), "threshold"},
		"tier":      {vault(func(v *charter.Blueprint) { v.Tier = charter.TierCold }), "tier"},
		"approvers": {vault(func(v *charter.Blueprint) { v.Approvers = []string{"approvers", "proposers"} }), "approvers"},
		"initiators": {vault(func(v *charter.Blueprint) {
			v.Initiators, v.InitiatorApproves = []string{"approvers", "proposers"}, true
		}), "initiators"},
		"chains":             {vault(func(v *charter.Blueprint) { v.Chains = []string{"eip155:5"} }), "chains"},
		"expiry":             {vault(func(v *charter.Blueprint) { v.Expiry = 2 * time.Hour }), "expiry"},
		"organisation":       {func(d *charter.Document) { d.People[0].Organisation = "elsewhere" }, "abel"},
		"initiator approves": {vault(func(v *charter.Blueprint) { v.InitiatorApproves = true }), "initiator"},
		"committee":          {vault(func(v *charter.Blueprint) { v.Committee = append(v.Committee, "operator-7") }), "committee"},
		"a key":              {func(d *charter.Document) { d.People[0].Keys = []signet.Key{nodetest.NewPerson(t, "abe").Key} }, "abel"},
		"policy":             {func(d *charter.Document) { d.Policy = "// nobody\n" + d.Policy }, "policy"},
		"delay":              {func(d *charter.Document) { d.Delay = time.Hour }, "delay"},
	} {
		d := w.Document()
		c.change(&d)
		_, _, err := second.Charters.Prepare(w.Now, d)
		var differs *charters.DiffersError
		if !errors.As(err, &differs) || differs.By != first.Own.Name || !strings.Contains(strings.Join(differs.Changes, ";"), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	for name, c := range map[string]struct {
		change func(*charter.Document)
		want   string
	}{
		"operator of no circle": {vault(func(v *charter.Blueprint) { v.Committee[2] = "operator-99" }), "operator-99"},
		"threshold too high":    {vault(func(v *charter.Blueprint) { v.Threshold = 9 }), "threshold"},
		"another node":          {func(d *charter.Document) { d.Operators[0].Identity = bytes.Repeat([]byte{7}, 32) }, "identity: is not the roster's"},
		"another circle":        {func(d *charter.Document) { d.Circle = "another circle" }, "is not the roster's"},
	} {
		d := w.Document()
		d.Vaults[0].Committee = slices.Clone(d.Vaults[0].Committee)
		c.change(&d)
		if _, _, err := second.Charters.Prepare(w.Now, d); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, fresh, err := second.Charters.Prepare(w.Now, w.Document()); fresh || err != nil {
		t.Fatalf("the same file is not the pending statement: fresh %v, %v", fresh, err)
	}
}

// Only a vault that the charter in force lists is made, by those whom it names.
func TestVaultThatTheCharterDoesNotList(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	if _, _, err := a.Circle.PrepareVault(w.Now, "treasury"); err == nil || !strings.Contains(err.Error(), "no charter is in force yet") {
		t.Errorf("without a charter: %v", err)
	}
	w.List(w.VaultFile("treasury", 2, a, b))
	if _, _, err := a.Circle.PrepareVault(w.Now, "savings"); err == nil || !strings.Contains(err.Error(), "vault savings is not in version 0 of the charter") || !strings.Contains(err.Error(), "which lists treasury") {
		t.Errorf("a vault of no charter: %v", err)
	}
	if _, _, err := c.Circle.PrepareVault(w.Now, "treasury"); err == nil || !strings.Contains(err.Error(), "operator-2 is not in its committee") {
		t.Errorf("by who is not to hold it: %v", err)
	}
	// Written by hand, whoever signs it.
	_, roster, _ := a.Circle.Roster()
	x, _ := a.Charters.Charter()
	for name, v := range map[string]charter.Vault{
		"not in version 0":         {Name: "savings", Threshold: 2, Committee: nodetest.Names(a, b)},
		"threshold: it has 3":      {Name: "treasury", Threshold: 3, Committee: nodetest.Names(a, b, c)},
		"committee: it has":        {Name: "treasury", Threshold: 2, Committee: nodetest.Names(b, c)},
		"is not in force here":     {Name: "treasury", Threshold: 2, Committee: nodetest.Names(a, b), Charter: statement.ID{1}},
		"suites: it has [ed25519]": {Name: "treasury", Threshold: 2, Committee: nodetest.Names(a, b), Suites: []string{charter.SuiteEd25519}},
	} {
		v.Roster, v.Created = roster.ID, w.Now
		if v.Charter.IsZero() {
			v.Charter = x.ID
		}
		if v.Suites == nil {
			v.Suites = []string{charter.SuiteECDSA}
		}
		st, err := v.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		verdict, log := (setting{World: w}).tell(b, a, outbox.Note{Kind: circle.NoteVault, Fields: [][]byte{st.Bytes(), b.Officer.Makes(t, st)}})
		if want := map[bool]outbox.Verdict{true: outbox.Later, false: outbox.Refused}[v.Charter != x.ID]; verdict != want || !strings.Contains(log, name) {
			t.Errorf("want %q: verdict %d, %s", name, verdict, log)
		}
	}
	if rows := w.Rows(a, "vault/"); len(rows) > 0 {
		t.Errorf("%d vaults are kept", len(rows))
	}
}

func TestInvitations(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	ctx := context.Background()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	i, err := a.Circle.Invite(ctx, w.Now, b.Own.Name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(i.Line(), ",")
	damaged := func(at int, with string) string {
		p := append([]string{}, parts...)
		p[at] = with
		return strings.Join(p, ",")
	}
	other := strings.Repeat("ab", 32)
	for name, x := range map[string]struct{ line, want string }{
		"empty":             {"", "copy the whole line"},
		"cut":               {i.Line()[:40], "copy the whole line"},
		"identity cut":      {damaged(2, parts[2][:20]), "is damaged: copy it again"},
		"secret not hex":    {damaged(3, strings.Repeat("zz", 32)), "is damaged: copy it again"},
		"time damaged":      {damaged(4, "tomorrow"), "is damaged: copy it again"},
		"another secret":    {damaged(3, other), "the invitation is not known here: ask for a new one"},
		"another identity":  {damaged(2, other), "knock at"},
		"from a newer line": {damaged(0, "ostraka-invite-v2"), "copy the whole line"},
	} {
		if _, err := b.Circle.Join(ctx, w.Now, x.line); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
	if _, err := b.Circle.Join(ctx, w.Now.Add(2*time.Hour), i.Line()); err == nil || !strings.Contains(err.Error(), "ran out") {
		t.Errorf("an expired line is followed: %v", err)
	}
	b.Skew = -2 * time.Hour // the bearer's clock is wrong; the inviter's counts
	w.Now = w.Now.Add(90 * time.Minute)
	if _, err := b.Circle.Join(ctx, w.Clock(b), i.Line()); err == nil || !strings.Contains(err.Error(), "ran out: ask for a new one") {
		t.Errorf("an expired invitation is admitted: %v", err)
	}
	b.Skew = 0
	if i, err = a.Circle.Invite(ctx, w.Now, b.Own.Name, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Circle.Join(ctx, w.Now, i.Line()); err == nil || !strings.Contains(err.Error(), "is for operator operator-1, this node's is operator-2") {
		t.Errorf("another operator joins with it: %v", err)
	}
	for range 2 { // the answer may be lost: the same node may ask again
		if _, err := b.Circle.Join(ctx, w.Now, i.Line()); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Circle.Join(ctx, w.Now, i.Line()); err == nil || !strings.Contains(err.Error(), "was used before: ask for a new one") {
		t.Errorf("an invitation is used twice: %v", err)
	}
	for _, life := range []time.Duration{0, time.Second, 31 * 24 * time.Hour} {
		if _, err := a.Circle.Invite(ctx, w.Now, c.Own.Name, life); err == nil {
			t.Errorf("an invitation for %s is made", life)
		}
	}
	for _, name := range []string{"", "No Label", a.Own.Name} {
		if _, err := a.Circle.Invite(ctx, w.Now, name, time.Hour); err == nil {
			t.Errorf("an invitation for operator %q is made", name)
		}
	}
	if got := fmt.Sprint(a.Circle.Draft(), c.Circle.Draft()); got != "[operator-1] []" {
		t.Errorf("drafts %s", got)
	}
}

// Invitations that ran out are erased, and with the charter all that led to it; a node that
// starts again after that knows its circle.
func TestFoundingIsSwept(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 2)
	ctx := context.Background()
	a, b := w.Hosts[0], w.Hosts[1]
	old, err := a.Circle.Invite(ctx, w.Now, b.Own.Name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := a.Circle.Invite(ctx, w.Now, b.Own.Name, 20*24*time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	sweep := func() string {
		t.Helper()
		for _, h := range w.Hosts {
			if err := h.Sweep(ctx, w.Now); err != nil {
				t.Fatal(err)
			}
		}
		return fmt.Sprint(len(w.Rows(a, "invite/")), len(w.Rows(a, "draft/")), len(w.Rows(b, "draft/")))
	}
	w.Now = w.Now.Add(2 * time.Hour)
	if got := sweep(); got != "2 0 0" {
		t.Errorf("rows %s: who comes late is told so", got)
	}
	w.Now = w.Now.Add(48 * time.Hour)
	if got := sweep(); got != "1 0 0" {
		t.Errorf("rows %s after two days, want the other invitation alone", got)
	}
	if _, err := b.Circle.Join(ctx, w.Now, old.Line()); err == nil {
		t.Error("an invitation that ran out is followed")
	}
	if _, err := b.Circle.Join(ctx, w.Now, fresh.Line()); err != nil {
		t.Fatal(err)
	}
	w.Now = w.Now.Add(40 * 24 * time.Hour)
	if got := sweep(); got != "1 1 1" {
		t.Errorf("rows %s: an invitation that was used stays until the charter, and so do drafts", got)
	}
	w.Found()
	if got := sweep(); got != "0 0 0" {
		t.Errorf("rows %s with the charter in force", got)
	}
	for _, h := range w.Hosts {
		w.Crash(h)
	}
	vault := w.Vault(2)
	sign(t, w, vault, w.Account(vault))
}

// Long after, peers show every note of the circle's people and nodes again: nothing of it is
// taken a second time, passed on or logged.
func TestOldNotesAreNotTakenAgain(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 2)
	seen := map[outbox.ID]nodetest.Parcel{}
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if n := noteOf(p); decide.Takes(n.Kind) {
			seen[n.ID()] = p
		}
		return []nodetest.Parcel{p}
	}
	ctx := context.Background()
	s := setting{w, vault, addr}
	signed := w.Propose(vault, addr, 0)
	w.Approve(signed)
	w.Run("signed", func() bool { return w.Signed(signed) })
	rejected := w.Propose(vault, addr, 1)
	cancelled := w.Propose(vault, addr, 2)
	for _, n := range []outbox.Note{w.Vote(rejected, nodetest.Approvers[0], signet.Reject), s.cancellation(cancelled)} {
		if _, err := w.Submit(n); err != nil {
			t.Fatal(err)
		}
	}
	w.Run("all is with all", func() bool {
		return w.All(func(h *nodetest.Host) bool {
			return len(w.Rows(h, "outbox/")) == 0 && w.State(h, rejected.ID()) == intent.Denied && w.State(h, cancelled.ID()) == intent.Cancelled
		})
	})
	w.Pass = nil
	w.Now = w.Now.Add(15 * 24 * time.Hour)
	h := w.Hosts[0]
	before, beats := len(w.Rows(h, "noted/")), 0
	for _, row := range w.Rows(h, "noted/") {
		if outbox.Kind(row.Value[0]) == pulse.NoteHeartbeat {
			beats++
		}
	}
	for range 10 {
		if err := h.Sweep(ctx, w.Now); err != nil {
			t.Fatal(err)
		}
	}
	if after := len(w.Rows(h, "noted/")); before-after != len(seen)+beats || beats == 0 {
		t.Fatalf("%d of %d notes are forgotten, want the %d about intents and %d heartbeats", before-after, before, len(seen), beats)
	}
	kinds := map[outbox.Kind]int{}
	head, err := h.Journal.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range seen {
		n := noteOf(p)
		kinds[n.Kind]++
		for _, from := range w.Hosts[1:] {
			s.tell(from, h, n)
		}
	}
	now, err := h.Journal.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if now != head || len(w.Rows(h, "outbox/")) > 0 || len(w.Rows(h, "noted/"))+len(seen)+beats != before {
		t.Errorf("the log grew from %d to %d, %d rows wait for peers", head.Size, now.Size, len(w.Rows(h, "outbox/")))
	}
	if len(kinds) != 5 {
		t.Errorf("notes shown again: %v, want all five kinds", kinds)
	}
}

// cancellation is the initiator's.
func (s setting) cancellation(st statement.Statement) outbox.Note {
	s.T.Helper()
	it, err := intent.Of(st)
	if err != nil {
		s.T.Fatal(err)
	}
	c, err := intent.Cancellation{
		Charter: it.Charter, Vault: it.Vault, Intent: st.ID(), Initiator: it.Initiator, Created: s.Now.Truncate(time.Second),
	}.Statement(s.Salt())
	if err != nil {
		s.T.Fatal(err)
	}
	return outbox.Note{Kind: decide.NoteCancel, Fields: [][]byte{c.Bytes(), nodetest.NewPerson(s.T, it.Initiator).Makes(s.T, c)}}
}
