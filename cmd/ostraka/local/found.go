package local

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// Found lets the second and third operator join the first, and every officer accept the roster and the charter.
func (c *Circle) Found(ctx context.Context) error {
	first := c.Operators[0]
	for _, o := range c.Operators[1:] {
		line, err := first.Client().Invite(ctx, connect.NewRequest(&v1.InviteRequest{Operator: o.Name, Hours: 1}))
		if err != nil {
			return fmt.Errorf("invite %s: %w", o.Name, err)
		}
		if _, err := o.Client().Join(ctx, connect.NewRequest(&v1.JoinRequest{Line: line.Msg.Line})); err != nil {
			return fmt.Errorf("%s joins: %w", o.Name, err)
		}
	}
	// The first officer signs a new roster; the others wait until it reached their node.
	for i, o := range c.Operators {
		err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
			p, err := o.Client().PrepareRoster(ctx, connect.NewRequest(&v1.PrepareRosterRequest{Circle: "demonstration"}))
			if err != nil || p.Msg.Fresh != (i == 0) {
				return false, nil //nolint:nilerr // not there yet
			}
			return true, c.accept(ctx, o, p.Msg.Statement, statement.Roster)
		})
		if err != nil {
			return fmt.Errorf("%s accepts the roster: %w", o.Name, err)
		}
	}
	err := c.each(func(o *Operator) error {
		return poll(ctx, 50*time.Millisecond, func() (bool, error) {
			s, err := o.Client().Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
			return err == nil && len(s.Msg.Roster) > 0, nil
		})
	})
	if err != nil {
		return fmt.Errorf("wait for the roster: %w", err)
	}
	if err := c.SignCharter(ctx); err != nil {
		return err
	}
	return c.writeContexts()
}

// accept signs a statement as an operator's officer.
func (c *Circle) accept(ctx context.Context, o *Operator, raw []byte, kind statement.Kind) error {
	s, err := statement.ParseKind(raw, kind)
	if err != nil {
		return err
	}
	signer, err := client.KeyFile(ctx, o.Officer, nil)
	if err != nil {
		return err
	}
	sig, err := signer.Sign(ctx, signet.Makes(kind), s.Bytes())
	if err != nil {
		return err
	}
	_, err = o.Client().Accept(ctx, connect.NewRequest(&v1.AcceptRequest{Statement: s.Bytes(), Signature: sig}))
	return err
}

func (c *Circle) writeContexts() error {
	var all client.Contexts
	for _, o := range c.Operators {
		var err error
		if all, err = all.Add("demo", client.Node{Name: o.Name, Address: o.People, Identity: o.Identity}, false); err != nil {
			return err
		}
	}
	return all.Save(c.ContextsFile())
}

// CreateVault lets every officer sign the vault. The nodes then make its key.
func (c *Circle) CreateVault(ctx context.Context) error {
	for i, o := range c.Committee() {
		err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
			p, err := o.Client().PrepareVault(ctx, connect.NewRequest(&v1.PrepareVaultRequest{Name: VaultName}))
			if err != nil {
				return false, err
			}
			if p.Msg.Fresh != (i == 0) {
				return false, nil // the first officer's statement is still on its way
			}
			return true, c.accept(ctx, o, p.Msg.Statement, statement.Vault)
		})
		if err != nil {
			return fmt.Errorf("%s creates the vault: %w", o.Name, err)
		}
	}
	return nil
}

// AwaitVault waits until the vault is ready at every node that holds it.
func (c *Circle) AwaitVault(ctx context.Context) error {
	return c.each(func(o *Operator) error {
		if !slices.Contains(c.Committee(), o) {
			return nil
		}
		last := ""
		err := poll(ctx, 50*time.Millisecond, func() (bool, error) {
			res, err := o.Client().Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
			if err != nil || len(res.Msg.Vaults) != 1 {
				return false, nil //nolint:nilerr // not there yet
			}
			last = res.Msg.Vaults[0].State + " " + res.Msg.Vaults[0].LastError
			return res.Msg.Vaults[0].State == client.Ready, nil
		})
		if err != nil {
			return fmt.Errorf("wait for the vault at %s (%s): %w", o.Name, strings.TrimSpace(last), err)
		}
		return nil
	})
}

// As talks to all nodes as one of the people.
func (c *Circle) As(person string) (*client.Circle, error) {
	all, err := client.LoadContexts(c.ContextsFile())
	if err != nil {
		return nil, err
	}
	x, err := all.Get("")
	if err != nil {
		return nil, err
	}
	signer, err := client.KeyFile(context.Background(), c.KeyFile(person), nil)
	if err != nil {
		return nil, err
	}
	return client.Dial(x, signer, client.Cache{Dir: filepath.Join(c.Dir, "tokens")}), nil
}
