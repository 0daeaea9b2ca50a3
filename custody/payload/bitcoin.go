package payload

import (
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Bitcoin is a transaction of Bitcoin, all of whose coins are of one account of the vault.
type Bitcoin struct{ *bitcoin.Transaction }

// readBitcoin holds a transaction to its intent, too: people who read which account asks must not sign away another's coins (spec/chain-bitcoin 4.7).
func readBitcoin(it intent.Intent, suite string, c Context) (Payload, error) {
	v, err := BitcoinVault(it.Chain, c)
	if err != nil {
		return nil, err
	}
	return DecodeBitcoin(it, suite, v)
}

// DecodeBitcoin is Read of a transaction of Bitcoin, for a vault that is given.
func DecodeBitcoin(it intent.Intent, suite string, v bitcoin.Vault) (*Bitcoin, error) {
	tx, err := bitcoin.Decode(it.Transaction, v)
	if err != nil {
		return nil, err
	}
	for i, in := range tx.Inputs() {
		switch {
		case [2]uint32(in.Path[:2]) != [2]uint32(it.Path[:2]):
			return nil, fmt.Errorf("input %d is of account %s, and the intent of %s: spend the coins of one account at a time", i, statement.FormatPath(in.Path[:2]...), statement.FormatPath(it.Path[:2]...))
		case i == 0 && (in.Path != it.Path || in.Suite != suite):
			return nil, fmt.Errorf("input 0 is of the key of %s at %s, and the intent names that of %s at %s: an intent names the key of its first coin",
				in.Suite, statement.FormatPath(in.Path[:]...), suite, statement.FormatPath(it.Path[:]...))
		}
	}
	return &Bitcoin{tx}, nil
}

// BitcoinVault is whose transactions are read and built on a chain: with the vault's keys, and the highest fee that the charter lets it pay.
func BitcoinVault(chain string, c Context) (bitcoin.Vault, error) {
	return VaultOf(chain, c.Root, policy.Recovery(c.Vault), c.Book.MaxRate(chain))
}

// VaultOf is BitcoinVault with the highest fee given by the caller: who only reads what others ruled on takes any.
func VaultOf(chain string, root func(suite string) (Root, error), recovery *bitcoin.Recovery, most bitcoin.Rate) (v bitcoin.Vault, err error) {
	if v.Network, err = bitcoin.NetworkOf(chain); err != nil {
		return v, err
	}
	v.Key, v.MaxRate, v.Recovery = newRing(root).key, most, recovery
	return v, nil
}

// A ring derives a vault's keys; an account's own is derived once, for transactions spend many coins of it.
type ring struct {
	root     func(suite string) (Root, error)
	accounts map[spot]*account
}

type spot struct {
	suite string
	path  [2]uint32
}

type account struct {
	node        *hd.Node
	fingerprint [4]byte // of the root
}

// maxAccounts bounds what a packet can make a ring keep: whoever names another account with each output pays for the derivations alone.
const maxAccounts = 16

func newRing(root func(suite string) (Root, error)) *ring {
	return &ring{root, map[spot]*account{}}
}

// key is the vault's at a path below the root of a suite.
func (r *ring) key(suite string, path [3]uint32) (k bitcoin.Key, err error) {
	at := spot{suite, [2]uint32(path[:2])}
	a := r.accounts[at]
	if a == nil {
		if a, err = r.account(at); err != nil {
			return k, err
		}
		if len(r.accounts) < maxAccounts {
			r.accounts[at] = a
		}
	}
	child, err := a.node.Child(path[2])
	if err != nil {
		return k, err
	}
	return bitcoin.Key{Public: child.Bytes(), Fingerprint: a.fingerprint}, nil
}

func (r *ring) account(at spot) (*account, error) {
	root, err := r.root(at.suite)
	if err != nil {
		return nil, err
	}
	public, ok := root.Public.(*secp256k1.Point)
	if !ok {
		return nil, errors.New("the vault's key is of another curve than Bitcoin's")
	}
	node, err := hd.NewNode(public, root.ChainCode, at.path[:])
	if err != nil {
		return nil, err
	}
	top, err := hd.Root(public, root.ChainCode)
	if err != nil {
		return nil, err
	}
	return &account{node, top.Fingerprint()}, nil
}

// Chain is where it is valid, as the intent says: no digest of Bitcoin names a network (spec/chain-bitcoin 7.1).
func (p *Bitcoin) Chain() string { return p.Network().Chain }

// Travels is true: Bitcoin has no messages but proofs.
func (p *Bitcoin) Travels() bool { return true }

// Assemble verifies each signature under the key of its coin.
func (p *Bitcoin) Assemble(sigs []effect.Signature) (*Signed, error) {
	return identified(p.Transaction.Assemble(sigs))
}

// ParseSigned wants this very transaction.
func (p *Bitcoin) ParseSigned(raw []byte) (*Signed, error) {
	s, _, err := p.Transaction.ParseSigned(raw)
	return identified(s, err)
}

func identified(s *bitcoin.Signed, err error) (*Signed, error) {
	if err != nil {
		return nil, err
	}
	out := &Signed{Raw: s.Raw, Name: s.ID}
	if _, err := hex.Decode(out.ID[:], []byte(s.ID)); err != nil {
		return nil, err
	}
	return out, nil
}
