package client

import (
	"fmt"
	"slices"
	"sync"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
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
	at, err := c.Vault.context(c.Charter())
	if err != nil {
		return err
	}
	p, err := payload.Read(it, c.Root.Suite, at)
	if err != nil {
		return err
	}
	if p.Chain() != it.Chain {
		return fmt.Errorf("it names chain %s, and its transaction is valid on %s", it.Chain, p.Chain())
	}
	c.Payload, c.Facts = p, payload.Facts(p)
	if t, ok := payload.OnEVM(p); ok {
		c.Tx = t.Transaction()
	}
	return c.compareWords()
}

// context is in what every node reads what an intent for the vault asks for: the book of the charter that it names, the calls that the vault's plan names, and its keys.
func (v Vault) context(x charter.Charter) (at payload.Context, err error) {
	at.Vault = v.Vault
	at.Root = func(suite string) (payload.Root, error) {
		i := slices.IndexFunc(v.Roots, func(r Root) bool { return r.Suite == suite && r.Record != nil })
		if i < 0 {
			return payload.Root{}, fmt.Errorf("vault %s has no key of suite %s", v.Name, suite)
		}
		if w := v.held(v.Roots[i]); w.Threshold != v.Threshold || !slices.Equal(w.Committee, v.Committee) {
			return payload.Root{}, fmt.Errorf("vault %s: its key of suite %s is held by other operators than the one that the intent names: spend their coins in transactions of their own", v.Name, suite)
		}
		return payload.Root{Public: v.Roots[i].Record.Public, ChainCode: v.Roots[i].Record.ChainCode}, nil
	}
	at.Book, err = bookOf(x)
	return at, err
}

// books are what charters say of chains, by the charters' ids: a charter never changes, and thousands of intents name one.
var books sync.Map

func bookOf(x charter.Charter) (*policy.Book, error) {
	if known, ok := books.Load(x.ID); ok {
		return known.(*policy.Book), nil
	}
	book, err := policy.BookOf(x.Document)
	if err == nil && !x.ID.IsZero() { // a draft has no id, and may change
		books.Store(x.ID, book)
	}
	return book, err
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
