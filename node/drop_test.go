package node_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

func drop(t *testing.T, w *nodetest.World, at *nodetest.Host, name string) circle.Dropped {
	t.Helper()
	d, err := at.Circle.Drop(context.Background(), w.Now, name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func mustRefuse(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%v, want %q", err, want)
	}
}

// named is one node more, that calls itself so.
func named(w *nodetest.World, name string) *nodetest.Host {
	h := w.Newcomer()
	h.Own.Name = name
	w.Crash(h)
	w.Run("restarted", func() bool { return h.Up })
	return h
}

// Somebody joins under another's name, or never signs: the inviter lets go of it, signs with the others, and
// nothing of it is left.
func TestSquatterIsDropped(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	good := w.Newcomer()
	bad := named(w, good.Own.Name)
	before := len(w.Rows(a, "invite/"))
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // the bad one hears nothing, and does not answer
		if p.To == bad || p.From == bad {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	w.Join(a, bad)
	w.Join(b, good)
	w.Run("the good one has the charter", func() bool { _, _, ok := good.Circle.Roster(); return ok })
	for _, h := range []*nodetest.Host{b, good} {
		if _, err := w.SignRoster(h, nodetest.Accept); err != nil {
			t.Fatal(err)
		}
		w.Deliver()
	}
	_, err := w.SignRoster(a, nodetest.Accept)
	mustRefuse(t, err, "`ostraka operator drop "+good.Own.Name+"`")
	if d := drop(t, w, a, good.Own.Name); !d.Operator.Identity.Equal(bad.Own.Identity) || d.Invitations != 0 || len(d.Signed) != 0 {
		t.Errorf("dropped %s, %d invitations, %d signed", d.Operator.Name, d.Invitations, len(d.Signed))
	}
	_, err = a.Circle.Drop(context.Background(), w.Now, good.Own.Name)
	mustRefuse(t, err, "nobody joined as operator")
	w.Amend(1, nodetest.Accept, a, c, b, good)
	self := bad.Self()
	w.Run("nothing waits for the dropped one", func() bool { return len(w.Rows(a, fmt.Sprintf("outbox/%x/", self[:]))) == 0 })
	if n := len(w.Rows(a, "invite/")) - before; n != 0 {
		t.Errorf("%d invitations of it are left", n)
	}
}

// The proposer, who has signed a roster with a guest that never signs, drops it and moves on with the others.
func TestProposerDropsAGuest(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	guest, good := w.Newcomer(), w.Newcomer()
	w.Join(a, guest)
	first, err := w.SignRoster(a, nodetest.Accept)
	if err != nil {
		t.Fatal(err)
	}
	if d := drop(t, w, a, guest.Own.Name); len(d.Signed) != 1 || d.Signed[0] != first.Statement.ID() {
		t.Errorf("it does not say that roster %s stays signed: %v", first.Statement.ID().Short(), d.Signed)
	}
	w.Join(b, good)
	w.Run("the good one has the charter", func() bool { _, _, ok := good.Circle.Roster(); return ok })
	w.Deliver()
	w.Amend(1, nodetest.Anew, b, good, c, a)
	if _, r, _ := a.Circle.Roster(); len(r.Operators) != 4 {
		t.Errorf("the roster lists %v", r.Names())
	}
	w.Join(a, guest) // it may be invited again
	if got := fmt.Sprint(a.Circle.Draft()); got != "["+guest.Own.Name+"]" {
		t.Errorf("joined: %s", got)
	}
}

// Before there is a charter: whom nobody signed with is dropped on both sides, and each finds another circle.
func TestDropWhileFounding(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	a, b, c := w.Hosts[0], w.Hosts[1], w.Hosts[2]
	ctx := context.Background()
	i, err := a.Circle.Invite(ctx, w.Now, b.Own.Name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if d := drop(t, w, a, b.Own.Name); d.Operator.Name != "" || d.Invitations != 1 {
		t.Errorf("dropped %q and %d invitations", d.Operator.Name, d.Invitations)
	}
	_, err = b.Circle.Join(ctx, w.Now, i.Line())
	mustRefuse(t, err, "is not known here")

	// b joins, and makes a roster of the two that a's officer does not want.
	w.Join(a, b)
	if _, _, err := b.Circle.PrepareRoster(w.Now, ""); !errors.Is(err, outbox.ErrLater) { // it waits for the inviter: not refused
		t.Errorf("nothing to sign yet: %v", err)
	}
	two, _, err := b.Circle.PrepareRoster(w.Now, "two")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Circle.Accept(ctx, w.Now, two.Statement.Bytes(), b.Officer.Makes(t, two.Statement)); err != nil {
		t.Fatal(err)
	}
	w.Deliver()
	drop(t, w, a, b.Own.Name)
	_, _, err = a.Circle.PrepareRoster(w.Now, "other")
	mustRefuse(t, err, "nobody has joined yet")
	w.Join(a, c)
	w.Crash(a)
	w.Run("restarted", func() bool { return a.Up })
	x, fresh, err := a.Circle.PrepareRoster(w.Now, "other")
	if err != nil || !fresh {
		t.Fatalf("the roster with the one that was dropped is offered still: %v", err)
	}
	if _, _, err := a.Circle.Accept(ctx, w.Now, x.Statement.Bytes(), a.Officer.Makes(t, x.Statement)); err != nil {
		t.Fatal(err)
	}
	_, err = a.Circle.Drop(ctx, w.Now, c.Own.Name)
	mustRefuse(t, err, "a node signs one version 0")
	w.Deliver()
	if _, err := w.SignRoster(c, nodetest.Accept); err != nil {
		t.Fatal(err)
	}
	w.Run("the charter is in force", func() bool { _, r, _ := a.Circle.Roster(); return r.Circle == "other" })
}

// A guest of a circle that never takes it in is not bound to it.
func TestGuestDropsItsInviter(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 5)
	all := w.Hosts
	w.Hosts = all[:2]
	w.Found()
	w.Hosts = all[2:4]
	w.Found()
	w.Hosts = all
	one, two, x := all[0], all[2], all[4]
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { return nil } // the circle's roster never comes
	w.Join(one, x)
	i, err := two.Circle.Invite(context.Background(), w.Now, x.Own.Name, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Circle.Join(context.Background(), w.Now, i.Line())
	mustRefuse(t, err, "joined operators of another circle before")
	drop(t, w, x, one.Own.Name)
	if s := x.Circle.Standing(); s != circle.Founding {
		t.Errorf("it stands as %s", s)
	}
	w.Pass = nil
	w.Crash(x)
	w.Run("restarted", func() bool { return x.Up })
	if s := x.Circle.Standing(); s != circle.Founding {
		t.Errorf("after a restart it stands as %s", s)
	}
	if _, err = x.Circle.Join(context.Background(), w.Now, i.Line()); err != nil {
		t.Fatal(err)
	}
	w.Run("the other circle's charter comes", func() bool { _, r, _ := x.Circle.Roster(); _, ok := r.Operator(two.Own.Name); return ok })
}

// An invitation that an earlier build made says no name: it is good for anybody.
func TestInvitationOfAnOlderForm(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 2)
	a, b := w.Hosts[0], w.Hosts[1]
	i, err := a.Circle.Invite(context.Background(), w.Now, "somebody", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	rows := w.Rows(a, "invite/")
	if len(rows) != 1 {
		t.Fatalf("%d rows", len(rows))
	}
	for _, it := range rows {
		row := it.Value
		if string(row[8:]) != "somebody" || int64(binary.BigEndian.Uint64(row)) != i.Expires.Unix() {
			t.Fatalf("row %q", row)
		}
		b := store.Batch{Put: []store.Entry{{Key: it.Key, Value: row[:8]}}}
		if _, err := a.Journal.Store().Commit(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Circle.Join(context.Background(), w.Now, i.Line()); err != nil {
		t.Fatal(err)
	}
}
