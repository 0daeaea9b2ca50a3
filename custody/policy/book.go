package policy

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
)

// A Book is what a charter says of chains, without which no node understands what is asked there: what it does not name, nobody signs.
type Book struct {
	EVM  *evm.Allowed
	rate func(chain string) uint64
}

// MaxRate is the highest rate of a fee on a chain of Bitcoin.
func (b *Book) MaxRate(chain string) bitcoin.Rate { return bitcoin.PerVByte(b.rate(chain)) }

// BookOf reads a charter's.
func BookOf(d charter.Document) (*Book, error) {
	allowed, err := allowedBy(d)
	return &Book{allowed, d.EVM.FeeRate}, err
}

// allowedBy is what a charter names of EVM chains. Names are the charter's own, and told where people read, so that the facts of a transfer are the same under every charter.
func allowedBy(d charter.Document) (*evm.Allowed, error) {
	var b evm.Book
	for _, id := range evmChains(d) {
		b.Chains = append(b.Chains, networkOf(d, id))
	}
	for _, a := range d.Assets {
		id, ok := evmChain(a.Chain)
		if !ok || a.Contract == "" {
			continue
		}
		at, err := evm.ParseAddress(a.Contract)
		switch {
		case err != nil:
			return nil, fmt.Errorf("policy: asset %s: %w", a.Name, err)
		case at == (evm.Address{}): // a charter of an earlier release may have it; nothing is there
		case a.Standard == charter.ERC721:
			b.Collections = append(b.Collections, evm.Collection{ChainID: id, Address: at, Name: a.Name, Standard: evm.ERC721})
		case a.Standard == charter.ERC1155:
			b.Collections = append(b.Collections, evm.Collection{ChainID: id, Address: at, Name: a.Name, Standard: evm.ERC1155})
		default:
			b.Tokens = append(b.Tokens, evm.Token{ChainID: id, Address: at, Cap: decimal(a.Allowance)})
		}
	}
	err := addNamed(&b, d.EVM)
	if err == nil {
		err = addDelays(&b, d)
	}
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	book, err := evm.Compile(b)
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	return book, nil
}

// networkOf is how a chain differs.
func networkOf(d charter.Document, id uint64) evm.Chain {
	c := evm.Chain{ID: id, SLIP44: 60, Dynamic: true}
	for _, x := range d.EVM.Networks {
		if n, ok := evmChain(x.Chain); ok && n == id {
			c.Dynamic, c.SetCode, c.AccessLists, c.DataFee = !x.NoDynamic, x.SetCode, x.AccessLists, decimal(x.DataFee)
		}
	}
	return c
}

// decimal reads a number whose form the charter checked; nil: none.
func decimal(text string) *big.Int {
	n, ok := new(big.Int).SetString(text, 10)
	if !ok {
		return nil
	}
	return n
}

// addNamed puts in what a charter lists beside assets.
func addNamed(b *evm.Book, e charter.EVM) error {
	at := func(what, name, chain, address string) (uint64, evm.Address, error) {
		id, ok := evmChain(chain)
		a, err := evm.ParseAddress(address)
		if err == nil && !ok {
			err = fmt.Errorf("%q is no EVM chain", chain)
		}
		if err != nil {
			return 0, a, fmt.Errorf("%s %s: %w", what, name, err)
		}
		return id, a, nil
	}
	for _, x := range e.Contracts {
		id, a, err := at("contract", x.Name, x.Chain, x.Address)
		if err != nil {
			return err
		}
		c := evm.Contract{ChainID: id, Address: a, Name: x.Name}
		for _, f := range x.Functions {
			c.Functions = append(c.Functions, evm.Function{Signature: f})
		}
		for _, f := range x.Delegates {
			c.Functions = append(c.Functions, evm.Function{Signature: f, Delegate: true})
		}
		b.Contracts = append(b.Contracts, c)
	}
	for _, x := range e.TypedData {
		id, a, err := at("typed data", x.Name, x.Chain, x.Contract)
		if err != nil {
			return err
		}
		doc := evm.Document{ChainID: id, Contract: a, Name: x.Domain, Version: x.Version, Type: x.Type}
		if len(x.Salt) == 32 {
			doc.Salt = (*[32]byte)(x.Salt)
		}
		b.Documents = append(b.Documents, doc)
	}
	for _, x := range e.Codes {
		id, a, err := at("code", x.Name, x.Chain, x.Address)
		if err != nil {
			return err
		}
		b.Codes = append(b.Codes, evm.Code{ChainID: id, Address: a, Name: x.Name})
	}
	return nil
}

// evmChains are the ids of a charter's EVM chains, ascending.
func evmChains(d charter.Document) (ids []uint64) {
	var names []string
	for _, v := range d.Vaults {
		names = append(names, v.Chains...)
	}
	for _, a := range d.Assets {
		names = append(names, a.Chain)
	}
	for _, x := range d.EVM.Networks {
		names = append(names, x.Chain)
	}
	for _, name := range names {
		if id, ok := evmChain(name); ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// evmChain reads eip155:<id> (CAIP-2).
func evmChain(name string) (id uint64, ok bool) {
	number, ok := strings.CutPrefix(name, "eip155:")
	if !ok {
		return 0, false
	}
	id, err := strconv.ParseUint(number, 10, 64)
	return id, err == nil && id > 0 && id <= evm.MaxChainID && strconv.FormatUint(id, 10) == number
}
