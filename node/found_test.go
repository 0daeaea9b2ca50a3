package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// A vault file that says something else than what was signed is refused, naming the field.
func TestVaultFileDiffers(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	file := w.VaultFile("treasury", 3)
	first := w.Hosts[0]
	a, _, err := first.Circle.PrepareVault(w.Now, []byte(file), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := first.Circle.Accept(context.Background(), w.Now, a.Statement.Bytes(), first.Officer.Makes(t, a.Statement)); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	for name, c := range map[string]struct{ old, new, want string }{
		"threshold":          {"threshold: 3", "threshold: 2", "differs in threshold"},
		"tier":               {"tier: warm", "tier: cold", "differs in tier"},
		"quorum":             {"quorum: 2", "quorum: 1", "differs in quorum"},
		"chains":             {"eip155:1", "eip155:5", "differs in chain"},
		"expiry":             {"expiry: 3600", "expiry: 7200", "differs in expiry"},
		"approver":           {"name: bea", "name: bert", "differs in approver"},
		"initiator":          {"name: ines", "name: ivan", "differs in initiator"},
		"initiator-approves": {"initiator-approves: false", "initiator-approves: true", "differs in initiator-approves"},
		"committee":          {"  - operator-2\n", "", ""},
		"unknown operator":   {"operator-2", "operator-7", "operator-7"},
		"unknown field":      {"tier: warm", "tier: warm\nlimit: 5", "limit"},
		"threshold too high": {"threshold: 3", "threshold: 9", "threshold"},
	} {
		changed := strings.Replace(file, c.old, c.new, 1)
		_, _, err := w.Hosts[1].Circle.PrepareVault(w.Now, []byte(changed), nil)
		if changed == file || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, fresh, err := w.Hosts[1].Circle.PrepareVault(w.Now, []byte(file), nil); fresh || err != nil {
		t.Fatalf("the same file is not the pending statement: fresh %v, %v", fresh, err)
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
	before := len(w.Rows(h, "noted/"))
	for range 10 {
		if err := h.Sweep(ctx, w.Now); err != nil {
			t.Fatal(err)
		}
	}
	if after := len(w.Rows(h, "noted/")); before-after != len(seen) {
		t.Fatalf("%d of %d notes are forgotten, want the %d about intents", before-after, before, len(seen))
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
	if now != head || len(w.Rows(h, "outbox/")) > 0 || len(w.Rows(h, "noted/"))+len(seen) != before {
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
