package client

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/api/ostraka/v1/ostrakav1connect"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Reader shows vaults, intents and sessions: a Circle as all its nodes show them, Own as one
// operator's own node does.
type Reader interface {
	Vaults(context.Context) ([]Vault, []Failure, error)
	Cases(ctx context.Context, vaults []Vault, vault statement.ID) ([]*Case, []Failure, error)
	Case(ctx context.Context, vaults []Vault, id statement.ID) (*Case, []Failure, error)
	Sessions(context.Context) (Answers[[]*v1.Session], error)
}

// Own reads an operator's own node over its local socket.
type Own struct {
	ostrakav1connect.OperatorClient
	name  string
	chain charter.Chain
	rules Rules
}

// ErrNoRoster says that the operators have not founded their circle yet.
var ErrNoRoster error = &EarlyError{"there is no roster yet"}

// OpenOwn asks the node of a data folder for the roster, which stands at its people's
// interface.
func OpenOwn(ctx context.Context, dir string) (*Own, error) {
	o := &Own{OperatorClient: Operator(dir)}
	status, err := o.Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
	if err != nil {
		return nil, err
	}
	o.name = status.Msg.Operator
	if len(status.Msg.Roster) == 0 {
		return nil, fmt.Errorf("node %s: %w", o.name, ErrNoRoster)
	}
	n := Node{o.name, status.Msg.People, ed25519.PublicKey(status.Msg.Identity)}
	c := Dial(Context{Name: "own", Nodes: []Node{n}}, nil, Cache{})
	defer c.Close()
	c.own = true
	if o.chain, _, err = c.Chain(ctx); err != nil {
		return o, err
	}
	res, err := o.Charter(ctx, connect.NewRequest(&v1.CharterRequest{}))
	if err != nil {
		return o, err
	}
	o.rules, err = ReadRules(o.name, o.chain, res.Msg)
	return o, err
}

// Rules are the charter's versions, as the node shows them.
func (o *Own) Rules() Rules { return o.rules }

// Chain is all versions of the roster, as the node shows them.
func (o *Own) Chain() charter.Chain { return o.chain }

// Vaults lists all vaults of the node.
func (o *Own) Vaults(ctx context.Context) ([]Vault, []Failure, error) {
	res, err := o.OperatorClient.Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
	if err != nil {
		return nil, nil, err
	}
	out, err := ReadVaults(o.name, o.chain, &o.rules, res.Msg.Vaults)
	for i := range out {
		out[i].by(o.name)
	}
	return out, nil, err
}

// Cases lists intents, the newest last.
func (o *Own) Cases(ctx context.Context, vaults []Vault, vault statement.ID) ([]*Case, []Failure, error) {
	req := &v1.IntentsRequest{}
	if vault != (statement.ID{}) {
		req.Vault = vault[:]
	}
	res, err := o.Intents(ctx, connect.NewRequest(req))
	if err != nil {
		return nil, nil, err
	}
	list, err := ReadCases(o.name, vaults, res.Msg.Intents)
	if err != nil {
		return nil, nil, err
	}
	out, err := CollectCases(Answers[[]*Case]{{Node: o.name, Value: list}})
	return out, nil, err
}

// Case reads one intent.
func (o *Own) Case(ctx context.Context, vaults []Vault, id statement.ID) (*Case, []Failure, error) {
	res, err := o.Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
	if err != nil {
		return nil, nil, err
	}
	if res.Msg.Intent == nil || !bytes.Equal(res.Msg.Intent.Id, id[:]) {
		return nil, nil, &VerifyError{o.name, errors.New("it answers with another intent")}
	}
	one, err := ReadCase(o.name, vaults, res.Msg.Intent)
	if err != nil {
		return nil, nil, err
	}
	out, err := MergeCases([]*Case{one})
	return out, nil, err
}

// Sessions lists the node's protocol sessions.
func (o *Own) Sessions(ctx context.Context) (Answers[[]*v1.Session], error) {
	res, err := o.OperatorClient.Sessions(ctx, connect.NewRequest(&v1.SessionsRequest{}))
	if err != nil {
		return nil, err
	}
	return Answers[[]*v1.Session]{{Node: o.name, Value: res.Msg.Sessions}}, nil
}

// Sessions lists the protocol sessions of every node; each has its own view of one.
func (c *Circle) Sessions(ctx context.Context) (Answers[[]*v1.Session], error) {
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) ([]*v1.Session, error) {
		res, err := m.Sessions(ctx, connect.NewRequest(&v1.SessionsRequest{}))
		if err != nil {
			return nil, err
		}
		return res.Msg.Sessions, nil
	})
	_, err := answers.Need("list sessions", 1)
	return answers, err
}
