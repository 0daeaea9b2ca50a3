package replicas

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
)

// handOvers are an odd number: another replica owns the node in the end.
const handOvers = 9

// handOver gives the node to the other replica while people sign, and wants that nothing they asked for fails, and no session at the other operators'.
func handOver(ctx context.Context, t *testing.T, p *people, all []*replica, own *replica) {
	var signing sync.WaitGroup
	stop := make(chan struct{})
	signing.Go(func() {
		for n := 0; ; n++ {
			if err := p.sign(ctx); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	for range handOvers {
		time.Sleep(500 * time.Millisecond) // something is under way
		var doc struct{ Owner, Self string }
		command(t, &doc, "node", "hand-over", "--json", "--dir", own.dir)
		if doc.Owner == doc.Self || doc.Owner == "" {
			t.Errorf("after a hand-over %q owns the node; %q answers", doc.Owner, doc.Self)
		}
		if x, err := own.show(ctx); err != nil || len(x.Tenures) == 0 || x.Tenures[0].Before != "resigned" {
			t.Errorf("after a hand-over the last tenure is not said to have been given up: %v, %v", x.GetTenures(), err)
		}
		own = all[slices.IndexFunc(all, func(r *replica) bool { return r != own })]
	}
	time.Sleep(500 * time.Millisecond)
	close(stop)
	signing.Wait()
	for _, o := range p.circle.Operators[1:] {
		res, err := o.Client().Sessions(ctx, connect.NewRequest(&v1.SessionsRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range res.Msg.Sessions {
			if s.Error != "" && s.Protocol == "sign" {
				t.Errorf("%s: a session failed: %s: %s", o.Name, s.Title, s.Error)
			}
		}
	}
}

// cameByResignation wants that the owner was given the node: else it waited for the lease of the one before to run out, however long that is.
func cameByResignation(ctx context.Context, t *testing.T, own *replica) {
	t.Helper()
	var x *v1.ReplicasResponse
	err := poll(ctx, "the owner answers", func() (err error) { // its socket begins anew when it takes over
		x, err = own.show(ctx)
		return err
	})
	switch {
	case err != nil:
		t.Fatal(err)
	case len(x.Tenures) == 0 || x.Tenures[0].Before != "resigned":
		t.Errorf("the last changes of owner: %v; want one that resigned", x.Tenures[:min(2, len(x.Tenures))])
	}
}

// slept stops the owner's process in its sleep until another replica works, and wakes it: it must find out by itself, and nobody sees two of them.
func slept(ctx context.Context, t *testing.T, p *people, all []*replica, sleeper *replica, token uint64) {
	others := slices.DeleteFunc(slices.Clone(all), func(r *replica) bool { return r == sleeper })
	sleeper.signal(t, syscall.SIGSTOP)
	now, higher, err := owner(ctx, others)
	if err != nil || higher <= token {
		t.Fatalf("the owner's token is %d after %d: %v", higher, token, err)
	}
	if err := p.sign(ctx); err != nil {
		t.Errorf("while %s sleeps: %v", sleeper.name, err)
	}
	sleeper.signal(t, syscall.SIGCONT)
	err = poll(ctx, "the sleeper stands by", func() error {
		// it does not know what was asked for in its sleep, and must not say so, not for a moment
		res, err := client.Operator(sleeper.dir).Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: p.last[:]}))
		if err == nil || connect.CodeOf(err) == connect.CodeNotFound {
			return &finalError{fmt.Errorf("it answers as if it owned the node: %v, %w", res, err)}
		}
		x, err := sleeper.show(ctx)
		if err == nil && x.Owner == x.Self {
			err = errors.New("it is the owner")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.sign(ctx); err != nil {
		t.Errorf("after %s woke: %v", sleeper.name, err)
	}
	for _, o := range p.circle.Operators[1:] {
		res, err := o.Client().Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
		if err != nil {
			t.Fatal(err)
		}
		for _, peer := range res.Msg.Peers {
			if peer.Twin != "" {
				t.Errorf("%s thinks that %s runs twice: %s", o.Name, peer.Operator, peer.Twin)
			}
		}
	}
	if after, _, err := owner(ctx, all); err != nil || after != now {
		t.Errorf("%s owned the node while the other slept, and %v does now: %v", now.name, after, err)
	}
}

// leader is the member that leads, by what a replica shows.
func leader(ctx context.Context, t *testing.T, m *members, all []*replica) *program {
	t.Helper()
	var found *program
	err := poll(ctx, "a replica shows who leads", func() error {
		x, err := all[0].show(ctx)
		if err != nil {
			return err
		}
		for _, one := range x.Members {
			for _, p := range m.all {
				if one.Leader && p.name == "member "+one.Name {
					found = p
					return nil
				}
			}
		}
		return context.DeadlineExceeded
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
