//go:build nightly

package replicas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"
)

// A blow is what befalls a house.
type blow string

const (
	ownerKilled     blow = "owner killed"
	standbyKilled   blow = "standby killed"
	bothKilled      blow = "both replicas killed"
	ownerSlept      blow = "owner suspended past its lease"
	memberKilled    blow = "member killed"
	leaderKilled    blow = "leader of the members killed"
	memberSlept     blow = "member suspended"
	membersSlept    blow = "two members suspended" // there is no quorum for a while
	ownerWithLeader blow = "owner and leader of the members killed"
)

// planned is what befalls every house, in an order and at moments of its own.
var planned = map[blow]int{
	ownerKilled: 5, standbyKilled: 2, bothKilled: 2, ownerSlept: 4, memberKilled: 3, leaderKilled: 4, memberSlept: 2, membersSlept: 2, ownerWithLeader: 4,
}

// ends are those that end an owner's tenure, each.
var ends = []blow{ownerKilled, bothKilled, ownerSlept, ownerWithLeader}

// suffer is a house's night.
func (h *house) suffer(ctx context.Context, t *testing.T, rnd *rand.Rand) error {
	var list []blow
	for _, b := range slices.Sorted(maps.Keys(planned)) {
		list = append(list, slices.Repeat([]blow{b}, planned[b])...)
	}
	rnd.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	began := time.Now()
	for _, b := range list {
		pause(rnd, 500, 3000)
		_, before, err := owner(ctx, h.all)
		if err == nil {
			err = h.strike(ctx, t, b, rnd)
		}
		if err == nil && slices.Contains(ends, b) { // one that starts again finds its own name at the store until its lease has run out
			err = poll(ctx, "another tenure begins", func() error {
				if _, token, err := owner(ctx, h.all); err != nil || token <= before {
					return fmt.Errorf("token %d after %d: %w", token, before, err)
				}
				return nil
			})
		}
		if err != nil {
			return fmt.Errorf("%s: %w", b, err)
		}
		h.blows[b]++
		t.Logf("%s: %s after %v", h.o.Name, b, time.Since(began).Round(time.Millisecond))
	}
	_, _, err := owner(ctx, h.all)
	return err
}

func pause(rnd *rand.Rand, least, most int) {
	time.Sleep(time.Duration(least+rnd.IntN(most-least)) * time.Millisecond)
}

// strike does it, and undoes it after a while: all processes run when it returns.
func (h *house) strike(ctx context.Context, t *testing.T, b blow, rnd *rand.Rand) error {
	own, token, err := owner(ctx, h.all)
	if err != nil {
		return err
	}
	other := h.all[slices.IndexFunc(h.all, func(r *replica) bool { return r != own })]
	a, z := rnd.IntN(len(h.m.all)), 1+rnd.IntN(len(h.m.all)-1)
	member, second := h.m.all[a], h.m.all[(a+z)%len(h.m.all)]
	switch b {
	case ownerKilled:
		return h.kill(ctx, t, rnd, &own.program)
	case standbyKilled:
		return h.kill(ctx, t, rnd, &other.program)
	case bothKilled:
		return h.kill(ctx, t, rnd, &own.program, &other.program)
	case memberKilled:
		return h.kill(ctx, t, rnd, member)
	case leaderKilled:
		return h.kill(ctx, t, rnd, leader(ctx, t, h.m, h.all))
	case ownerWithLeader:
		return h.kill(ctx, t, rnd, &own.program, leader(ctx, t, h.m, h.all))
	case memberSlept:
		member.signal(t, syscall.SIGSTOP)
		pause(rnd, 1000, 4000)
		member.signal(t, syscall.SIGCONT)
	case membersSlept:
		member.signal(t, syscall.SIGSTOP)
		second.signal(t, syscall.SIGSTOP)
		pause(rnd, 1000, 4000)
		member.signal(t, syscall.SIGCONT)
		second.signal(t, syscall.SIGCONT)
	case ownerSlept:
		own.signal(t, syscall.SIGSTOP)
		_, higher, err := owner(ctx, []*replica{other})
		pause(rnd, 1, 2000)
		own.signal(t, syscall.SIGCONT)
		if err == nil && higher <= token {
			err = fmt.Errorf("token %d after %d", higher, token)
		}
		return err
	}
	return nil
}

// kill ends processes as kill -9 does, and starts them again: sometimes before their lease has run out.
func (h *house) kill(_ context.Context, t *testing.T, rnd *rand.Rand, all ...*program) error {
	for _, p := range all {
		if p.ended() {
			return fmt.Errorf("%s ended by itself:\n%s", p.name, p.tail())
		}
		p.kill()
		p.mu.Lock()
		status, _ := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
		p.mu.Unlock()
		if !status.Signaled() || status.Signal() != syscall.SIGKILL {
			return errors.New(p.name + " was not killed: it ended by itself")
		}
	}
	pause(rnd, 1, 4000)
	for _, p := range all {
		p.start(t)
	}
	return nil
}
