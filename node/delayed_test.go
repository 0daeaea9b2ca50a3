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

// A node watches the Safe that the charter names: what is not as it says is kept, what is queued becomes an alarm in its log, once, and no more than one in an
// hour whatever is queued; what was struck out, or a chain that is not read, is none.
func TestDelayedIsWatched(t *testing.T) {
	t.Parallel()
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
	chain := &saying{head: rpc.Header{Height: 9, Time: w.Now}, state: chainread.State{
		Owners: []evm.Address{own}, Threshold: 1, Modules: []evm.Address{d.Module}, Genuine: true, Owner: d.Safe, Avatar: d.Safe, Target: d.Safe, Keys: []evm.Address{d.Key}, Cooldown: x.Cooldown, Expiration: x.Expiration,
	}}
	endpoint := true
	watch := &delayed.Watch{Journal: h.Journal, Charter: h.Charters.Document, Vaults: h.Keeper.Roots, Accounts: h.Accounts, Log: slog.New(slog.DiscardHandler), Readers: func(on string) delayed.Reader {
		if !endpoint || on != x.Chain {
			return nil
		}
		return chain
	}}
	now := w.Now
	step := func() delayed.Safe {
		t.Helper()
		now = now.Add(time.Minute)
		watch.Step(context.Background(), now)
		all := watch.Safes()
		if len(all) != 1 {
			t.Fatalf("%d Safes are watched", len(all))
		}
		return all[0]
	}
	alarms := func() (out []string) {
		for _, b := range bodies(t, h, tlog.KindAlarm) {
			if strings.Contains(b, "queued for its Safe") {
				out = append(out, b)
			}
		}
		return out
	}
	if s := step(); s.Err != nil || len(s.Unlike) != 0 || s.At != now || len(alarms()) != 0 {
		t.Errorf("as the charter has it: %+v, %q", s, alarms())
	}
	chain.queued(1)
	chain.queued(0)
	for range 3 {
		if s := step(); len(s.Waiting()) != 2 {
			t.Errorf("%d wait", len(s.Waiting()))
		}
	}
	if all := alarms(); len(all) != 1 || !strings.Contains(all[0], "2 calls are queued for its Safe "+x.Safe) || !strings.Contains(all[0], "AS THE SAFE ITSELF") {
		t.Errorf("alarms: %q", all)
	}
	for range 20 { // who holds the key fills no log
		chain.queued(0)
		step()
	}
	if n := len(alarms()); n != 1 {
		t.Errorf("%d alarms within an hour", n)
	}
	now = now.Add(delayed.Often)
	if step(); len(alarms()) != 2 {
		t.Errorf("%d alarms after an hour with more queued", len(alarms()))
	}
	chain.state.Queue, chain.state.Next, now = nil, chain.state.End, now.Add(delayed.Often)
	if s := step(); len(s.Waiting()) != 0 || len(alarms()) != 2 {
		t.Errorf("after a veto %d wait, and there are %d alarms", len(s.Waiting()), len(alarms()))
	}
	chain.state.Owners = []evm.Address{own, {9}}
	if s := step(); len(s.Unlike) != 1 || !strings.Contains(s.Unlike[0], "not one account of the vault's alone") {
		t.Errorf("one owner more: %q", s.Unlike)
	}
	chain.state.Owners = []evm.Address{{9}}
	if s := step(); len(s.Unlike) != 1 || !strings.Contains(s.Unlike[0], "not one account of the vault's alone") {
		t.Errorf("another owner: %q", s.Unlike)
	}
	chain.err = errors.New("nobody answers")
	if s := step(); s.Err == nil || s.At == now {
		t.Errorf("a chain that is not read: %+v", s)
	}
	if endpoint = false; !step().Unread {
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
