package payload

import (
	"crypto/sha256"
	"fmt"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
)

// A Solana is a transaction of Solana that one address of the vault signs and pays for. What it says of the chain's accounts is what its unsigned form encloses: a node compares all of
// that with what it reads by itself before it allows anything (Compare).
type Solana struct {
	*solana.Transaction
	chain string
	own   solana.Key
}

// DecodeSolana is Read of a transaction of Solana, by what it encloses. The vault's address is the intent's alone: whatever goes to another one of the vault's is a payment, as on EVM chains.
func DecodeSolana(it intent.Intent) (*Solana, error) {
	world, err := solana.Enclosed(it.Transaction)
	if err != nil {
		return nil, err
	}
	own, err := solana.ParseKey(it.Address)
	if err != nil {
		return nil, err
	}
	tx, err := solana.Decode(it.Transaction, SolanaContext(it.Chain, own, it.Path, world))
	if err != nil {
		return nil, err
	}
	return &Solana{tx, it.Chain, own}, nil
}

// SolanaContext is in what the transactions of one address of a vault are read and built.
func SolanaContext(chain string, own solana.Key, path [3]uint32, world solana.World) solana.Context {
	return solana.Context{Chain: chain, World: world, Own: func(k solana.Key) ([3]uint32, bool) { return path, k == own }}
}

// Chain is where it is valid, as the intent says: no message of Solana names a network (spec/chain-solana 8).
func (p *Solana) Chain() string { return p.chain }

// Owner is the address that signs and pays.
func (p *Solana) Owner() solana.Key { return p.own }

// Travels is true: Solana has no messages but proofs.
func (p *Solana) Travels() bool { return true }

// Compare decodes the same bytes by what somebody read of the chain: an error, a *solana.Refused, says what is not so.
func (p *Solana) Compare(world solana.World) error {
	_, err := solana.Decode(p.Unsigned(), SolanaContext(p.chain, p.own, p.Uses()[0].Path, world))
	return err
}

// Sweeps says which asset a transaction moves to a wallet, and that it moves nothing elsewhere: the mint, or "" for SOL alone. SOL that makes the wallet's token account goes with the token.
func (p *Solana) Sweeps(to solana.Key) (asset string, only bool) {
	for _, e := range p.Effects() {
		switch {
		case e.Operation == effect.Fee:
			continue
		case e.Operation != effect.Transfer && e.Operation != effect.Token || e.Destination != to.String():
			return "", false
		}
		if only = true; e.Contract != "" {
			asset = e.Contract
		}
	}
	return asset, only
}

// Assemble verifies the signature under the address.
func (p *Solana) Assemble(sigs []effect.Signature) (*Signed, error) {
	return p.named(p.Transaction.Assemble(sigs))
}

// ParseSigned wants this very message, signed by the address.
func (p *Solana) ParseSigned(raw []byte) (*Signed, error) {
	return p.named(p.Transaction.Published(raw))
}

// named: a transaction's name there is its signature, of 64 bytes; logs file it by the SHA-256 of what was signed, which the chain takes once.
func (p *Solana) named(s *solana.Signed, err error) (*Signed, error) {
	if err != nil {
		return nil, err
	}
	if len(s.Signers) != 1 || s.Signers[0] != p.own {
		return nil, fmt.Errorf("it is signed by %d addresses, and not by %s alone", len(s.Signers), p.own)
	}
	return &Signed{Raw: s.Raw, Name: s.ID, ID: sha256.Sum256(s.Message)}, nil
}

// Early says that somebody who read this of the chain may have been there before what the transaction hangs on: an account or table that is not there yet, a nonce with another value, a block that is not final.
// Endpoints learn of blocks one after the other, so time may mend it; all else that differs it does not.
func (p *Solana) Early(read solana.Readings) error {
	needs, err := solana.Needs(p.Unsigned())
	if err != nil {
		return err
	}
	said, err := solana.Enclosed(p.Unsigned())
	if err != nil {
		return err
	}
	if _, block, durable := p.Durable(); !durable && !read.Recent(block) {
		return fmt.Errorf("block %s is not final where this node reads, or too old: if it stays so, propose it anew, with a durable nonce (`ostraka nonce open`)", block)
	}
	for _, n := range needs {
		if n.Table {
			all, ok := read.Table(n.Address)
			if !ok || len(all) < used(said, n.Address) {
				return fmt.Errorf("lookup table %s is not there where this node reads, or has not all of its addresses yet: it waits until it has", n.Address)
			}
			continue
		}
		a, ok := read.Account(n.Address)
		b, _ := said.Account(n.Address)
		switch {
		case !ok:
			return fmt.Errorf("what account %s holds contradicts itself where this node reads", n.Address)
		case a.Kind == solana.Wallet && b.Kind != solana.Wallet:
			return fmt.Errorf("account %s, which is %s, is not there where this node reads: it waits until it is", n.Address, b)
		case a.Kind == solana.TokenAccount && sameBut(a, b) && (a.Frozen != b.Frozen || a.MemoRequired != b.MemoRequired || a.Closer != b.Closer):
			return fmt.Errorf("token account %s is %s where this node reads, and %s in what is asked: it waits until the two are alike; if it stays so, propose it anew", n.Address, a, b)
		case a.Kind == solana.NonceAccount && b.Kind == solana.NonceAccount && a.Authority == b.Authority && a.Nonce != b.Nonce:
			return fmt.Errorf("nonce account %s has another nonce where this node reads: if it stays so, another transaction used it: propose this one anew", n.Address)
		}
	}
	return nil
}

// sameBut says that two readings are of one token account, and differ at most in what its owner or its mint's authority sets and takes back: a freeze, the wish for a memo, who may close it.
func sameBut(a, b solana.Account) bool {
	return b.Kind == solana.TokenAccount && a.Program == b.Program && a.Mint == b.Mint && a.Owner == b.Owner
}

// used is up to which place of a lookup table a transaction goes, as its unsigned form encloses it: tables grow, and lose nothing. What stands there says nothing of it: System's key is zero.
func used(said solana.World, table solana.Key) int {
	all, _ := said.Table(table)
	return len(all)
}
