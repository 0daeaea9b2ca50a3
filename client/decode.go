package client

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// decode reads what is to be signed as every node does, and checks key, chain and sender.
func (c *Case) decode() {
	if err := c.decodePayload(); err != nil {
		c.Unclear, c.Facts, c.Tx, c.Proof = err.Error(), nil, nil, nil
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
	tx, err := evm.DecodeCall(it.Transaction, policy.Named(c.Vault.Vault))
	if err != nil {
		return err
	}
	f := tx.Facts()
	if on := "eip155:" + strconv.FormatUint(f.ChainID, 10); on != it.Chain {
		return fmt.Errorf("it names chain %s, and its transaction is valid on %s", it.Chain, on)
	}
	c.Tx, c.Facts = tx, factsOf(f)
	return c.compareWords()
}

// factsOf are a transaction's facts as every node decodes them.
func factsOf(f evm.Facts) (out []intent.Fact) {
	for _, l := range f.Lines() {
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
