package client

import (
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// decode reads what is to be signed as every node does, and checks key, chain and sender.
func (c *Case) decode() {
	if err := c.decodePayload(); err != nil {
		c.Unclear, c.Facts, c.Payload, c.Tx, c.Proof = err.Error(), nil, nil, nil, nil
	}
}

func (c *Case) decodePayload() error {
	it := c.Intent
	i := slices.IndexFunc(c.Vault.Roots, func(r Root) bool { return r.Record != nil && r.Record.KeyID == it.Key })
	if i < 0 {
		return fmt.Errorf("it names key %x, which is none that vault %s has published", it.Key[:6], c.Vault.Name)
	}
	c.Root = c.Vault.Roots[i]
	c.Vault.Vault = c.Vault.held(c.Root)
	address, key, err := c.Vault.Address(c.Root, it.Chain, hd.Path(it.Path[:]))
	if err != nil {
		return fmt.Errorf("the sender's address: %w", err)
	}
	if address != it.Address {
		return fmt.Errorf("it names the sender %s, and the vault's key gives %s at %s", it.Address, address, statement.FormatPath(it.Path[:]...))
	}
	if it.Purpose == intent.PurposeProof {
		return c.decodeProof(key)
	}
	at, err := contextOf(c.Charter(), c.Vault.Vault, it)
	if err != nil {
		return err
	}
	p, err := understood(at, it)
	if err != nil {
		return err
	}
	if on := "eip155:" + strconv.FormatUint(p.ChainID(), 10); on != it.Chain {
		return fmt.Errorf("it names chain %s, and its transaction is valid on %s", it.Chain, on)
	}
	c.Payload, c.Tx, c.Facts = p, p.Transaction(), factsOf(p)
	return c.compareWords()
}

// contextOf is in what every node reads what an intent asks for: the book of the charter that it names, and the calls that its vault's plan names.
func contextOf(x charter.Charter, v charter.Vault, it intent.Intent) (at evm.Context, err error) {
	at.Named = policy.Named(v)
	if at.Account.Address, err = evm.ParseAddress(it.Address); err != nil {
		return at, fmt.Errorf("transactions of chain %s are not read by this release: %w", it.Chain, err)
	}
	at.Account.Path = it.Path
	at.Allowed, err = bookOf(x)
	return at, err
}

// books are what charters name of EVM chains, by the charters' ids: a charter never changes, and thousands of intents name one.
var books sync.Map

func bookOf(x charter.Charter) (*evm.Allowed, error) {
	if known, ok := books.Load(x.ID); ok {
		return known.(*evm.Allowed), nil
	}
	book, err := policy.BookOf(x.Document)
	if err == nil && !x.ID.IsZero() { // a draft has no id, and may change
		books.Store(x.ID, book)
	}
	return book, err
}

// understood reads a transaction or a message as every node does.
func understood(at evm.Context, it intent.Intent) (*evm.Payload, error) {
	p, err := policy.ReadEVM(it.Transaction, at)
	if err == nil && (p.Transaction() == nil) != (it.Purpose == intent.PurposeMessage) {
		return nil, fmt.Errorf("it is %s, and the intent's purpose is %s", p.Operation(), it.Purpose)
	}
	return p, err
}

// factsOf are a transaction's facts as every node decodes them.
func factsOf(p *evm.Payload) (out []intent.Fact) {
	for _, l := range p.Lines() {
		out = append(out, intent.Fact(l))
	}
	return out
}

// compareWords refuses an intent that says in words what is not to be signed: whoever reads its text with another
// program would approve that.
func (c *Case) compareWords() error {
	if why := c.Intent.Misstates(c.Facts); why != "" {
		return fmt.Errorf("its words are not what is to be signed: %s", why)
	}
	return nil
}

func (c *Case) decodeProof(key group.Point) error {
	p, err := intent.ProofOf(c.Statement, c.Root.Suite)
	if err != nil {
		return err
	}
	s, err := p.Statement()
	if err != nil {
		return err
	}
	c.Proof, c.Facts = &Proof{p, s, key}, p.Facts()
	return c.compareWords()
}
