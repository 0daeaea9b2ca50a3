package kill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/cmd/ostraka/local"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

const (
	chain = "eip155:31337"
	payee = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
	// At most so many are made until the doomed node dies: of presignatures, a hot vault makes more or fewer each time.
	proposals = 24
	// And so many of those that are made after it came back, until one is signed.
	tries = 4
)

// A holding is how the three hold the vault's key.
type holding struct {
	epoch     uint64
	threshold int
}

// The holdings that follow each other. The last threshold is the first again, so that a signature takes every share that the
// changes in between left behind.
var (
	founded   = holding{0, 3}
	refreshed = holding{1, 3}
	lowered   = holding{2, 2}
	raised    = holding{3, 3}
)

// An act is a part of the story. Each has kills of its own: the changes of shares twice as many as the others.
type act struct {
	name   string
	weight int
	steps  []func(context.Context) error
}

func (s *story) acts() []act {
	return []act{
		{"amendment of the charter", 1, []func(context.Context) error{s.amend}},
		{"key generation", 1, []func(context.Context) error{s.createVault, s.awaitVault, s.giveAddress}},
		{"refresh", 2, []func(context.Context) error{s.refresh}},
		{"reshare to a lower threshold", 2, []func(context.Context) error{s.lower}},
		{"reshare to a higher threshold", 2, []func(context.Context) error{s.raise}},
		{"signing", 1, []func(context.Context) error{s.signAll}},
	}
}

// story is one case: from a circle without a vault over new shares of its key to a signature after the kill.
type story struct {
	*nodes
	hits    []hits // of the acts that are over
	killing string // the act in which the node was killed
	alice   *client.Circle
	vault   client.Vault
	root    client.Root
	account client.Account
	address client.Address
	intents []statement.ID
	seen    witnessed
}

// tell drives the circle as its people would: whoever is refused or finds a node away asks
// again.
func (s *story) tell(ctx context.Context) error {
	for _, a := range s.acts() {
		before, err := s.sequences()
		if err != nil {
			return err
		}
		for _, step := range a.steps {
			if err := step(ctx); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
			if err := s.look(ctx); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
		}
		after, err := s.sequences()
		if err != nil {
			return err
		}
		s.hits = append(s.hits, hits{a.weight, before, after})
		if died, _ := s.killed(); died && s.killing == "" {
			s.killing = a.name
		}
	}
	return nil
}

// signAll makes proposals until one is signed after the kill.
func (s *story) signAll(ctx context.Context) error {
	left := tries
	for nonce := uint64(0); nonce < proposals && left > 0; nonce++ {
		_, after := s.killed()
		signed, err := s.sign(ctx, nonce)
		if err != nil {
			return err
		}
		if err := s.revived(ctx); err != nil {
			return err
		}
		if signed && (after || s.doomed == nil) {
			return nil
		}
		if after {
			left--
		}
	}
	if died, _ := s.killed(); !died {
		return fmt.Errorf("the node was never killed: it did not come to %s", s.doomed)
	}
	return errors.New("nothing was signed after the node had been killed")
}

// revived waits for a node that was killed.
func (s *story) revived(ctx context.Context) error {
	return poll(ctx, "the killed node comes back", func() error {
		if died, reborn := s.killed(); died && !reborn {
			return errors.New("it does not answer yet")
		}
		return nil
	})
}

// amend lets every officer sign a looser version of the charter, one after the other, and waits until all nodes have counted its delay and put
// it in force.
func (s *story) amend(ctx context.Context) error {
	file, policy, err := s.circle.WriteCharter()
	if err != nil {
		return err
	}
	file = bytes.Replace(file, []byte("heartbeat: 3600"), []byte("heartbeat: 7200"), 1)
	inForce := func(o *local.Operator) error {
		st, err := o.Client().Status(ctx, connect.NewRequest(&v1.StatusRequest{}))
		if err == nil && st.Msg.CharterVersion != 1 {
			err = errors.New("the amended charter is not in force yet")
		}
		return err
	}
	for i, o := range s.circle.Operators {
		err := poll(ctx, o.Name+" signs the amended charter", func() error {
			if inForce(o) == nil {
				return nil
			}
			p, err := o.Client().PrepareCharter(ctx, connect.NewRequest(&v1.PrepareCharterRequest{File: file, Policy: policy}))
			if err != nil {
				return err
			}
			return s.accept(ctx, o, statement.Charter, i == 0, p.Msg)
		})
		if err != nil {
			return err
		}
	}
	for _, o := range s.circle.Operators {
		if err := poll(ctx, o.Name+" has the amended charter in force", func() error { return inForce(o) }); err != nil {
			return err
		}
	}
	return nil
}

// operators names them, ascending.
func (s *story) operators() (names []string) {
	for _, o := range s.circle.Operators {
		names = append(names, o.Name)
	}
	slices.Sort(names)
	return names
}

// createVault lets every officer sign the vault, one after the other.
func (s *story) createVault(ctx context.Context) error {
	for i, o := range s.circle.Operators {
		err := poll(ctx, o.Name+" creates the vault", func() error {
			p, err := o.Client().PrepareVault(ctx, connect.NewRequest(&v1.PrepareVaultRequest{Name: local.VaultName}))
			if err != nil {
				return err
			}
			return s.accept(ctx, o, statement.Vault, i == 0, p.Msg)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// accept has an officer sign what its node prepared, until the node shows it as signed. Only the first one's may be new.
func (s *story) accept(ctx context.Context, o *local.Operator, kind statement.Kind, first bool, p *v1.PrepareResponse) error {
	switch {
	case slices.Contains(p.Accepted, o.Name):
		return nil
	case p.Fresh != first:
		return errors.New("the first officer's statement is not here yet")
	}
	signer, err := client.KeyFile(ctx, o.Officer, nil)
	if err != nil {
		return err
	}
	sig, err := signer.Sign(ctx, signet.Makes(kind), p.Statement)
	if err != nil {
		return err
	}
	if _, err := o.Client().Accept(ctx, connect.NewRequest(&v1.AcceptRequest{Statement: p.Statement, Signature: sig})); err != nil {
		return err
	}
	return errors.New("signed: it must now be shown")
}

// awaitVault waits until the vault is ready at every node.
func (s *story) awaitVault(ctx context.Context) error {
	for _, o := range s.circle.Operators {
		err := poll(ctx, "the vault is ready at "+o.Name, func() error {
			res, err := o.Client().Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
			if err != nil {
				return err
			}
			if len(res.Msg.Vaults) != 1 || res.Msg.Vaults[0].State != client.Ready {
				return fmt.Errorf("it shows %v", res.Msg.Vaults)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	var err error
	if s.alice, err = s.circle.As("alice"); err != nil {
		return err
	}
	return s.readVault(ctx, founded)
}

// readVault has alice compare what all nodes show, until the key is held so.
func (s *story) readVault(ctx context.Context, as holding) error {
	return poll(ctx, "alice reads the vault", func() (err error) {
		if s.vault, _, err = s.alice.Vault(ctx, local.VaultName); err == nil {
			s.root, err = s.vault.Root(charter.SuiteECDSA)
		}
		if err != nil {
			return final(err)
		}
		if is := (holding{s.root.Record.Epoch, s.root.Held.Threshold}); is != as {
			return fmt.Errorf("she sees %+v, not yet %+v", is, as)
		}
		return nil
	})
}

// refresh has every operator ask for new shares, once, and waits until every node stands in the next epoch.
func (s *story) refresh(ctx context.Context) error {
	for _, o := range s.circle.Operators {
		err := poll(ctx, o.Name+" asks for new shares", func() error {
			_, err := o.Client().Refresh(ctx, connect.NewRequest(&v1.RefreshRequest{Vault: s.vault.ID[:]}))
			return err
		})
		if err != nil {
			return err
		}
	}
	return s.awaitHolding(ctx, refreshed)
}

func (s *story) lower(ctx context.Context) error { return s.reshare(ctx, lowered) }
func (s *story) raise(ctx context.Context) error { return s.reshare(ctx, raised) }

// reshare lets every officer sign the next threshold, one after the other, and waits until it is in force at every node.
func (s *story) reshare(ctx context.Context, next holding) error {
	wish := &v1.PrepareReshareRequest{Vault: s.vault.ID[:], Committee: s.operators(), Threshold: uint32(next.threshold)}
	for i, o := range s.circle.Operators {
		err := poll(ctx, fmt.Sprintf("the officer of %s signs threshold %d", o.Name, next.threshold), func() error {
			if s.holds(ctx, o, next) == nil {
				return nil // its node was killed after it had taken the signature, and the keys have moved since
			}
			p, err := o.Client().PrepareReshare(ctx, connect.NewRequest(wish))
			if err != nil {
				return err
			}
			return s.accept(ctx, o, statement.Reshare, i == 0, p.Msg)
		})
		if err != nil {
			return err
		}
	}
	return s.awaitHolding(ctx, next)
}

// awaitHolding waits until every node holds the key so, and the people see it.
func (s *story) awaitHolding(ctx context.Context, next holding) error {
	for _, o := range s.circle.Operators {
		err := poll(ctx, "new shares are in force at "+o.Name, func() error {
			if err := s.look(ctx); err != nil {
				return &finalError{err}
			}
			return s.holds(ctx, o, next)
		})
		if err != nil {
			return err
		}
	}
	return s.readVault(ctx, next)
}

// holds wants that a node shows its one vault's one key as held so, by all operators.
func (s *story) holds(ctx context.Context, o *local.Operator, as holding) error {
	res, err := o.Client().Vaults(ctx, connect.NewRequest(&v1.VaultsRequest{}))
	if err != nil {
		return err
	}
	if v := res.Msg.Vaults; len(v) != 1 || len(v[0].Roots) != 1 || !s.heldSo(v[0].Roots[0], as) {
		return fmt.Errorf("it shows %v", v)
	}
	return nil
}

func (s *story) heldSo(r *v1.Root, as holding) bool {
	var names []string
	for _, h := range r.Holders {
		names = append(names, h.Operator)
	}
	slices.Sort(names)
	return r.State == client.Ready && r.EpochNumber == as.epoch && int(r.Threshold) == as.threshold && slices.Equal(names, s.operators())
}

// final says that trying again cannot help: a node shows what does not hold.
func final(err error) error {
	if err != nil && client.Classify(err) == client.Unverified {
		return &finalError{err}
	}
	return err
}

// giveAddress makes an account and its first address, the same at every node.
func (s *story) giveAddress(ctx context.Context) error {
	return poll(ctx, "every node gives out the address", func() error {
		all, _, err := s.alice.Accounts(ctx, s.vault)
		if err != nil {
			return final(err)
		}
		if len(all) == 0 {
			if _, _, err := client.CreateAccount(ctx, s.alice, s.vault, "ops", "main"); err != nil {
				return final(err)
			}
			return errors.New("the account is made")
		}
		s.account = all[0]
		given, _, err := s.alice.Addresses(ctx, s.vault, s.root, s.account)
		if err != nil {
			return final(err)
		}
		if len(given) > 0 && len(given[0].Nodes) == len(s.circle.Operators) {
			s.address = given[0]
			return nil
		}
		if _, _, err := s.alice.NewAddress(ctx, s.vault, s.root, s.account, len(s.circle.Operators)); err != nil {
			return final(err)
		}
		return errors.New("the address is given out")
	})
}

// sign proposes a transfer, approves it and waits for its end.
func (s *story) sign(ctx context.Context, nonce uint64) (signed bool, err error) {
	to, err := evm.ParseAddress(payee)
	if err != nil {
		return false, err
	}
	gas := uint64(21000)
	stmt, err := s.alice.Prepare(ctx, client.Transfer{
		Sender: client.Sender{Vault: s.vault, Root: s.root, Account: s.account, Chain: chain}, To: to, Amount: big.NewInt(1), Nonce: &nonce, Gas: &gas,
		FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9),
	})
	if err != nil {
		return false, err
	}
	s.intents = append(s.intents, stmt.ID())
	// What one node has taken, all will have: the killed one need not hear it from the people.
	err = poll(ctx, "alice proposes", func() error {
		taken, err := s.alice.SubmitStatement(ctx, stmt)
		if err == nil {
			_, err = taken.Need("propose", 1)
		}
		return final(err)
	})
	for _, person := range s.circle.Approvers {
		if err == nil {
			err = s.approve(ctx, person, stmt)
		}
	}
	if err != nil {
		return false, err
	}
	return s.awaitEnd(ctx, stmt.ID())
}

func (s *story) approve(ctx context.Context, person string, stmt statement.Statement) error {
	c, err := s.circle.As(person)
	if err != nil {
		return err
	}
	defer c.Close()
	return poll(ctx, person+" approves", func() error {
		taken, err := c.Vote(ctx, stmt, signet.Approve)
		if err == nil {
			_, err = taken.Need("approve", 1)
		}
		return final(err)
	})
}

// awaitEnd waits until every node holds the signature, or one node has closed the intent with
// a reason: a 3-of-3 vault then signs it no more, and a second proposal takes its place.
func (s *story) awaitEnd(ctx context.Context, id statement.ID) (signed bool, err error) {
	err = poll(ctx, "intent "+id.Short()+" ends", func() error {
		if err := s.look(ctx); err != nil {
			return &finalError{err}
		}
		var holders int
		var states, closed []string
		for _, o := range s.circle.Operators {
			res, err := o.Client().Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
			if err != nil {
				states = append(states, o.Name+": "+err.Error())
				continue
			}
			it := res.Msg.Intent
			states = append(states, fmt.Sprintf("%s: %s possibly signed %v, last error %q, waits %q, awaited %v",
				o.Name, it.State, it.PossiblySigned, it.LastError, it.Waits, it.Awaited))
			switch {
			case len(it.Raw) > 0:
				holders++
			case it.State == "failed" && !it.PossiblySigned && it.LastError == "":
				return &finalError{fmt.Errorf("%s closed it without a reason", o.Name)}
			case it.State == "failed":
				closed = append(closed, o.Name)
			case it.State == "expired", it.State == "denied", it.State == "cancelled", it.State == "replaced":
				return &finalError{fmt.Errorf("%s: it is %s, which nobody wanted", o.Name, it.State)}
			}
		}
		signed = holders == len(s.circle.Operators)
		if signed || holders == 0 && len(closed) > 0 {
			return nil
		}
		return fmt.Errorf("%s", strings.Join(states, "; "))
	})
	return signed, err
}

// sameVault wants one vault everywhere: the same keys.
func sameVault(a, b *v1.Vault) bool {
	return bytes.Equal(a.Id, b.Id) && slices.EqualFunc(a.Roots, b.Roots, func(a, b *v1.Root) bool {
		return a.Suite == b.Suite && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.PublicKey, b.PublicKey)
	})
}

// sameEpochs wants the same records of them in force as well.
func sameEpochs(a, b *v1.Vault) bool {
	return sameVault(a, b) && slices.EqualFunc(a.Roots, b.Roots, func(a, b *v1.Root) bool {
		return a.EpochNumber == b.EpochNumber && bytes.Equal(a.Epoch, b.Epoch)
	})
}

// key is the public key of a vault that has one, nil before it is published.
func key(v *v1.Vault) []byte {
	if len(v.Roots) != 1 {
		return nil
	}
	return v.Roots[0].PublicKey
}
