package payload

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
)

// An EVM is what is signed on Ethereum or a chain like it: a transaction, typed data, or an authorization.
type EVM struct {
	*evm.Payload
	sender evm.Address
}

// An EVMTransaction is a transaction on Ethereum or a chain like it, as *EVM is where it travels.
type EVMTransaction interface {
	Payload
	Sender() evm.Address
	Facts() evm.Facts
	Transfer() (evm.Facts, bool)
	Transaction() *evm.Transaction
	Decoded() *evm.Payload
}

// OnEVM is a payload as a transaction on an EVM chain; false of all else.
func OnEVM(p Payload) (t EVMTransaction, ok bool) {
	t, ok = p.(EVMTransaction)
	return t, ok && t.Travels()
}

// Sender is the account that pays and signs.
func (p *EVM) Sender() evm.Address { return p.sender }

func readEVM(it intent.Intent, c Context) (Payload, error) {
	at, err := EVMContext(it, c)
	if err != nil {
		return nil, err
	}
	p, err := evm.DecodeIn(it.Transaction, at)
	if err != nil {
		if strings.Contains(err.Error(), "the book") {
			err = fmt.Errorf("%w; the book is what the charter names", err)
		}
		return nil, err
	}
	return &EVM{p, at.Account.Address}, nil
}

// EVMContext is in what DecodeIn and BuildIn read what an intent asks for: its sender, the book of the charter, and the calls that the vault's plan names.
func EVMContext(it intent.Intent, c Context) (at evm.Context, err error) {
	at.Allowed, at.Named = c.Book.EVM, policy.Named(c.Vault)
	at.Account.Path = it.Path
	at.Account.Address, err = evm.ParseAddress(it.Address)
	return at, err
}

// Chain is where it is valid.
func (p *EVM) Chain() string { return "eip155:" + strconv.FormatUint(p.ChainID(), 10) }

// Travels is true of transactions.
func (p *EVM) Travels() bool { return p.Transaction() != nil }

// Facts are the fields of a transaction's envelope, whatever it calls; nothing of a message.
func (p *EVM) Facts() evm.Facts {
	if !p.Travels() {
		return evm.Facts{}
	}
	return p.Transaction().Facts()
}

// Decoded is the payload as its room has it.
func (p *EVM) Decoded() *evm.Payload { return p.Payload }

// Transfer are a transaction's facts, where it is a plain transfer or a call that a plan names.
func (p *EVM) Transfer() (evm.Facts, bool) { return p.Payload.Facts() }

// Assemble verifies the signature by recovering the account.
func (p *EVM) Assemble(sigs []effect.Signature) (*Signed, error) {
	return named(p.Payload.Assemble(sigs))
}

// ParseSigned wants this very payload, signed by the account.
func (p *EVM) ParseSigned(raw []byte) (*Signed, error) { return named(p.Payload.ParseSigned(raw)) }

func named(s *evm.Assembled, err error) (*Signed, error) {
	if err != nil {
		return nil, err
	}
	return &Signed{s.Raw, s.ID.String(), s.ID}, nil
}
