package node_test

import (
	"context"
	"errors"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	chainread "github.com/ostraka/ostraka/chain/evm/delayed"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node/delayed"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/rpc"
)

// saying answers as a chain would.
type saying struct {
	state chainread.State
	head  rpc.Header
	err   error
}

func (s *saying) Delayed(context.Context, evm.Delay) (chainread.State, rpc.Header, error) {
	out := s.state
	out.Queue = slices.Clone(s.state.Queue)
	return out, s.head, s.err
}

// queued puts a call into the queue.
func (s *saying) queued(operation uint8) {
	c := chainread.Call{To: evm.Address{0xbe}, Value: big.NewInt(7), Operation: operation}
	s.state.Queue = append(s.state.Queue, chainread.Item{Nonce: s.state.End, Hash: c.Hash(), Queued: s.head.Time, Ready: s.head.Time.Add(72 * time.Hour), Ends: s.head.Time.Add(240 * time.Hour), Call: &c})
	s.state.End++
}

// watching is a node of a circle whose charter names a Safe, and the chain that it reads.
type watching struct {
	*testing.T
	watch    *delayed.Watch
	host     *nodetest.Host
	chain    *saying
	endpoint bool // there is one
	own      evm.Address
	x        charter.Delayed
	now      time.Time
}

func newWatching(t *testing.T) *watching {
	w := nodetest.New(t, 3)
	w.Found()
	file := w.VaultFile("treasury", 2)
	address := func(digit string) string { return "0x" + strings.Repeat(digit, 40) }
	x := charter.Delayed{Chain: file.Chains[0], Safe: address("1"), Module: address("2"), Key: address("3"), Cooldown: 72 * time.Hour, Expiration: 168 * time.Hour}
	file.Delayed = []charter.Delayed{x}
	id := w.AcceptVault(file)
	w.Run("its key is published", func() bool { return w.Published(id) })
	own, err := evm.ParseAddress(w.Account(id).Address)
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.Delay(x)
	if err != nil {
		t.Fatal(err)
	}
	h := w.Hosts[1]
	out := &watching{T: t, host: h, endpoint: true, own: own, x: x, now: w.Now, chain: &saying{head: rpc.Header{Height: 9, Time: w.Now}, state: chainread.State{
		Owners: []evm.Address{own}, Threshold: 1, Modules: []evm.Address{d.Module}, Genuine: true, Owner: d.Safe, Avatar: d.Safe, Target: d.Safe, Keys: []evm.Address{d.Key}, Cooldown: x.Cooldown, Expiration: x.Expiration,
	}}}
	out.watch = &delayed.Watch{Journal: h.Journal, Charter: h.Charters.Document, Vaults: h.Keeper.Roots, Accounts: h.Accounts, Log: slog.New(slog.DiscardHandler), Readers: func(on string) delayed.Reader {
		if !out.endpoint || on != x.Chain {
			return nil
		}
		return out.chain
	}}
	return out
}

// step is what the node knows of its Safe a minute later.
func (w *watching) step() delayed.Safe {
	w.Helper()
	w.now = w.now.Add(time.Minute)
	w.watch.Step(context.Background(), w.now)
	all := w.watch.Safes()
	if len(all) != 1 {
		w.Fatalf("%d Safes are watched", len(all))
	}
	return all[0]
}

// alarms are those of its log about what is queued.
func (w *watching) alarms() []string {
	return slices.DeleteFunc(bodies(w.T, w.host, tlog.KindAlarm), func(b string) bool { return !strings.Contains(b, "queued for its Safe") })
}

// What is queued becomes an alarm in the node's log, once, and no more than one in an hour whatever is queued; what was struck out is none.
func TestDelayedIsWatched(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	if s := w.step(); s.Err != nil || len(s.Unlike) != 0 || s.At != w.now || len(w.alarms()) != 0 {
		t.Errorf("as the charter has it: %+v, %q", s, w.alarms())
	}
	w.chain.queued(1)
	w.chain.queued(0)
	for range 3 {
		if s := w.step(); len(s.Waiting()) != 2 {
			t.Errorf("%d wait", len(s.Waiting()))
		}
	}
	if all := w.alarms(); len(all) != 1 || !strings.Contains(all[0], "2 calls are queued for its Safe "+w.x.Safe) || !strings.Contains(all[0], "AS THE SAFE ITSELF") {
		t.Errorf("alarms: %q", all)
	}
	for range 20 { // who holds the key fills no log
		w.chain.queued(0)
		w.step()
	}
	if n := len(w.alarms()); n != 1 {
		t.Errorf("%d alarms within an hour", n)
	}
	w.now = w.now.Add(delayed.Often)
	if w.step(); len(w.alarms()) != 2 {
		t.Errorf("%d alarms after an hour with more queued", len(w.alarms()))
	}
	w.chain.state.Queue, w.chain.state.Next, w.now = nil, w.chain.state.End, w.now.Add(delayed.Often)
	if s := w.step(); len(s.Waiting()) != 0 || len(w.alarms()) != 2 {
		t.Errorf("after a veto %d wait, and there are %d alarms", len(s.Waiting()), len(w.alarms()))
	}
}

// What is not as the charter says is kept, and a chain that is not read is not called well.
func TestDelayedIsUnlike(t *testing.T) {
	t.Parallel()
	w := newWatching(t)
	for _, owners := range [][]evm.Address{{w.own, {9}}, {{9}}} {
		w.chain.state.Owners = owners
		if s := w.step(); len(s.Unlike) != 1 || !strings.Contains(s.Unlike[0], "not one account of the vault's alone") {
			t.Errorf("owners %s: %q", owners, s.Unlike)
		}
	}
	w.chain.state.Owners = []evm.Address{w.own}
	if s := w.step(); len(s.Unlike) != 0 {
		t.Errorf("its own again: %q", s.Unlike)
	}
	w.chain.err = errors.New("nobody answers")
	if s := w.step(); s.Err == nil || s.At == w.now {
		t.Errorf("a chain that is not read: %+v", s)
	}
	if w.endpoint = false; !w.step().Unread {
		t.Error("without an endpoint it is said to be watched")
	}
}

// bodies are what a node's leaves of a kind say.
func bodies(t *testing.T, h *nodetest.Host, kind string) (out []string) {
	t.Helper()
	ctx := context.Background()
	head, err := h.Journal.Head(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for at := int64(0); at < head.Size; {
		page, err := h.Journal.Leaves(ctx, at, int(min(head.Size-at, 64)))
		if err != nil || len(page) == 0 {
			t.Fatalf("leaf %d: %v", at, err)
		}
		for _, l := range page {
			if l.Kind == kind {
				out = append(out, string(l.Content))
			}
		}
		at += int64(len(page))
	}
	return out
}
