package replicas

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/ethereum/go-ethereum/core/types"

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
)

// people are those who propose and approve.
type people struct {
	circle  *local.Circle
	alice   *client.Circle
	vault   client.Vault
	root    client.Root
	account client.Account
	sender  string // its address

	nonce  uint64
	last   statement.ID      // of the intent that was asked for last
	signed [][]byte          // transactions
	seen   map[string]string // by R of a signature: which transaction has it
}

func (p *people) open(ctx context.Context, t *testing.T) {
	t.Helper()
	p.seen = map[string]string{}
	var err error
	if p.alice, err = p.circle.As("alice"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.alice.Close)
	err = poll(ctx, "alice reads the vault", func() (err error) {
		if p.vault, _, err = p.alice.Vault(ctx, local.VaultName); err == nil {
			p.root, err = p.vault.Root(charter.SuiteECDSA)
		}
		return err
	})
	if err == nil {
		err = poll(ctx, "every node gives out the address", func() error { return p.giveAddress(ctx) })
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (p *people) giveAddress(ctx context.Context) error {
	all, _, err := p.alice.Accounts(ctx, p.vault)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		_, _, err := client.CreateAccount(ctx, p.alice, p.vault, "ops", "main")
		return errors.Join(errors.New("the account is made"), err)
	}
	p.account = all[0]
	given, _, err := p.alice.Addresses(ctx, p.vault, p.root, p.account)
	if err != nil {
		return err
	}
	if len(given) > 0 && len(given[0].Nodes) == len(p.circle.Operators) {
		p.sender = given[0].Address
		return nil
	}
	_, _, err = p.alice.NewAddress(ctx, p.vault, p.root, p.account, len(p.circle.Operators))
	return errors.Join(errors.New("the address is given out"), err)
}

// sign proposes a transfer, approves it, and waits until the two operators of one process hold its signature, which is compared with all before.
func (p *people) sign(ctx context.Context) error {
	stmt, err := p.prepare(ctx)
	if err != nil {
		return err
	}
	p.last = stmt.ID()
	err = poll(ctx, "alice proposes", func() error {
		taken, err := p.alice.SubmitStatement(ctx, stmt)
		if err == nil {
			_, err = taken.Need("propose", 1)
		}
		return err
	})
	for _, person := range p.circle.Approvers {
		if err == nil {
			err = p.approve(ctx, person, stmt)
		}
	}
	if err != nil {
		return err
	}
	return p.await(ctx, stmt.ID())
}

// prepare makes the statement of a transfer with the next nonce. No node is asked.
func (p *people) prepare(ctx context.Context) (stmt statement.Statement, err error) {
	to, err := evm.ParseAddress(payee)
	if err != nil {
		return stmt, err
	}
	gas, nonce := uint64(21000), p.nonce
	p.nonce++
	return p.alice.Prepare(ctx, client.Transfer{
		Sender: client.Sender{Vault: p.vault, Root: p.root, Account: p.account, Chain: chain}, To: to, Amount: big.NewInt(1), Nonce: &nonce, Gas: &gas,
		FeeCap: big.NewInt(30e9), TipCap: big.NewInt(1e9),
	})
}

func (p *people) approve(ctx context.Context, person string, stmt statement.Statement) error {
	c, err := p.circle.As(person)
	if err != nil {
		return err
	}
	defer c.Close()
	return poll(ctx, person+" approves", func() error {
		taken, err := c.Vote(ctx, stmt, signet.Approve)
		if err == nil {
			_, err = taken.Need("approve", 1)
		}
		return err
	})
}

// await waits for the signature at every node that answers at its first socket.
func (p *people) await(ctx context.Context, id statement.ID) error {
	var raw []byte
	err := poll(ctx, "intent "+id.Short()+" is signed", func() error {
		var states []string
		for _, o := range p.circle.Operators[1:] {
			res, err := o.Client().Intent(ctx, connect.NewRequest(&v1.IntentRequest{Id: id[:]}))
			if err != nil {
				return err
			}
			it := res.Msg.Intent
			states = append(states, fmt.Sprintf("%s: %s, last error %q, waits %q, awaited %v", o.Name, it.State, it.LastError, it.Waits, it.Awaited))
			if slices.Contains([]string{"failed", "denied", "expired", "dropped"}, it.State) {
				return &finalError{errors.New(states[len(states)-1])}
			}
			if raw = it.Raw; len(raw) == 0 {
				return errors.New(strings.Join(states, "; "))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.check(raw)
}

// check wants a signature by the vault's address, made with a nonce that no other one has.
func (p *people) check(raw []byte) error {
	signed, err := evm.ParseSigned(raw)
	if err != nil {
		return err
	}
	if signed.From.String() != p.sender {
		return fmt.Errorf("a transaction is signed by %s, not %s", signed.From, p.sender)
	}
	var tx types.Transaction
	if err := tx.UnmarshalBinary(raw); err != nil {
		return err
	}
	_, r, _ := tx.RawSignatureValues()
	if other, twice := p.seen[r.String()]; twice {
		return fmt.Errorf("transactions %d and %s were signed with one nonce", tx.Nonce(), other)
	}
	p.seen[r.String()] = fmt.Sprint(tx.Nonce())
	p.signed = append(p.signed, raw)
	return nil
}
