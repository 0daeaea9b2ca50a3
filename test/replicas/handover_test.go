package replicas

import (
	"context"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
)

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
	time.Sleep(time.Second) // something is under way
	var doc struct{ Owner, Self string }
	command(t, &doc, "node", "hand-over", "--json", "--dir", own.dir)
	if doc.Owner == doc.Self || doc.Owner == "" {
		t.Errorf("after a hand-over %q owns the node; %q answers", doc.Owner, doc.Self)
	}
	time.Sleep(time.Second)
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
