package evm

import (
	"bytes"
	"fmt"
	"math"
	"math/big"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/rlp"

	"github.com/ostraka/ostraka/chain/effect"
)

// Bounds of what a transaction carries beside its call.
const (
	maxAccess         = 32 // addresses of an access list
	maxKeys           = 64 // storage keys of one of them
	maxAuthorizations = 8
)

// An AccessEntry is an address of an access list (EIP-2930). It changes what gas a transaction takes, and nothing that it does.
type AccessEntry struct {
	Address Address
	Keys    [][32]byte
}

// A tuple is a signed authorization in a transaction (EIP-7702).
type tuple struct {
	ChainID uint64
	Code    Address
	Nonce   uint64
	Parity  uint64
	R, S    *big.Int
}

// list opens a list that stands next; nil after an error.
func (r *reader) list(field string) *reader {
	r.want(field, "is missing")
	if r.err != nil {
		return nil
	}
	kind, content, rest, err := rlp.Split(r.rest)
	switch {
	case err != nil:
		r.fail(field, "%s", explain(err))
	case kind != rlp.List:
		r.fail(field, "is no list")
	}
	if r.err != nil {
		return nil
	}
	r.rest = rest
	return &reader{rest: content}
}

// close takes over a list's error, or that it has more than was read.
func (r *reader) close(field string, inner *reader) {
	switch {
	case inner.err != nil:
		if r.err == nil {
			r.err = inner.err
		}
	case len(inner.rest) > 0:
		r.fail(field, "has more parts than it may")
	}
}

func (r *reader) accessList() (out []AccessEntry) {
	const field = "access list"
	entries := r.list(field)
	for entries != nil && r.err == nil && len(entries.rest) > 0 && len(out) < maxAccess {
		entry := entries.list(field)
		if entry == nil {
			break
		}
		e := AccessEntry{Address: Address(entry.exactly(field, 20))}
		keys := entry.list(field)
		for keys != nil && keys.err == nil && len(keys.rest) > 0 && len(e.Keys) < maxKeys {
			e.Keys = append(e.Keys, [32]byte(keys.exactly(field, 32)))
		}
		if keys != nil {
			entry.close(field, keys)
		}
		entries.close(field, entry)
		out = append(out, e)
		if entries.err != nil {
			break
		}
	}
	if entries != nil {
		r.close(field, entries)
	}
	return out
}

// exactly reads a string of n bytes; zeros after an error.
func (r *reader) exactly(field string, n int) []byte {
	b := r.bytes(field)
	if r.err == nil && len(b) != n {
		r.fail(field, "has an entry of %d bytes, not %d", len(b), n)
	}
	if r.err != nil {
		return make([]byte, n)
	}
	return b
}

func (r *reader) authorizations() (out []tuple) {
	const field = "authorization list"
	tuples := r.list(field)
	for tuples != nil && tuples.err == nil && len(tuples.rest) > 0 && len(out) < maxAuthorizations {
		inner := tuples.list(field)
		if inner == nil {
			break
		}
		t := tuple{ChainID: inner.uint64("authorization chain id"), Code: Address(inner.exactly(field, 20)), Nonce: inner.uint64("authorization nonce")}
		t.Parity, t.R, t.S = inner.uint64("authorization y parity"), inner.integer("authorization r"), inner.integer("authorization s")
		tuples.close(field, inner)
		out = append(out, t)
	}
	if tuples != nil {
		r.close(field, tuples)
	}
	if r.err == nil && len(out) == 0 {
		r.fail(field, "is empty: a set-code transaction sets some code")
	}
	return out
}

// accessLines say an access list in one line that changes with each of its bytes; none of an empty list.
func accessLines(list []AccessEntry) []effect.Line {
	if len(list) == 0 {
		return nil
	}
	keys := 0
	for _, e := range list {
		keys += len(e.Keys)
	}
	return []effect.Line{{Name: "access-list", Value: fmt.Sprintf("%d addresses, %d keys, keccak 0x%x", len(list), keys, crypto.Keccak256(encodeList([]any{list})))}}
}

// setCodeDigest is what an authorization's signature is over.
func setCodeDigest(chain uint64, code Address, nonce uint64) [32]byte {
	return crypto.Keccak256Hash(authorizationBytes(chain, code, nonce))
}

// authorizationBytes is EIP-7702's message: 0x05 ‖ rlp([chain id, address, nonce]).
func authorizationBytes(chain uint64, code Address, nonce uint64) []byte {
	return append([]byte{authorization}, encodeList([]any{chain, code, nonce})...)
}

// mayBecome says why an account may not become a code.
func (a *Allowed) mayBecome(chain uint64, code Address, nonce uint64) error {
	settings, err := a.chain(chain)
	switch {
	case chain == 0:
		return refuse("authorization chain id", "is 0: the account would become this code on every chain")
	case err != nil:
		return err
	case !settings.SetCode:
		return refuse("type", "chain %d has no EIP-7702 in the book", chain)
	case nonce == math.MaxUint64:
		return refuse("authorization nonce", "is 2⁶⁴−1, which no account can use (EIP-2681)")
	}
	if _, ok := a.codes[place{chain, code}]; !ok {
		return refuse("authorization address", "code %s is not in the book: it would own all that the account holds", code)
	}
	return nil
}

// authorised judges a transaction's authorizations: each by an account of the vault's, to become a code of the book.
func (t *Transaction) authorised(c Context) (effects []effect.Effect, lines []effect.Line, err error) {
	for i, x := range t.authorizations {
		if x.ChainID != t.chainID && x.ChainID != 0 { // the chain skips such a tuple
			return nil, nil, refuse("authorization chain id", "%d is not the transaction's %d", x.ChainID, t.chainID)
		}
		if err := c.Allowed.mayBecome(x.ChainID, x.Code, x.Nonce); err != nil {
			return nil, nil, err
		}
		if x.Parity > 1 {
			return nil, nil, refuse("authorization y parity", "is %d, neither 0 nor 1", x.Parity)
		}
		sig := &signature{x.R, x.S, byte(x.Parity)}
		who, err := sig.recover(setCodeDigest(x.ChainID, x.Code, x.Nonce))
		if err != nil {
			return nil, nil, refuse("authorization signature", "%v", err)
		}
		if who != c.Account.Address && !contains(c.Vault, who) {
			return nil, nil, refuse("authorization signature", "is by %s, which is no account of the vault", who)
		}
		// a transaction's sender has used its own nonce before its authorizations are looked at
		if who == c.Account.Address && x.Nonce != t.nonce+1 {
			return nil, nil, refuse("authorization nonce", "is %d: the sender's own must be %d, or the chain skips it", x.Nonce, t.nonce+1)
		}
		for _, before := range t.authorizations[:i] {
			if before.Nonce == x.Nonce && before.Code == x.Code && before.R.Cmp(x.R) == 0 {
				return nil, nil, refuse("authorization list", "has one authorization twice")
			}
		}
		effects = append(effects, becomes(t.chainID, x.Code))
		lines = append(lines, effect.Line{Name: fmt.Sprintf("authorization.%d", i+1), Value: fmt.Sprintf(
			"account %s becomes code %s (%s), nonce %d, signature 0x%064x%064x%02x", who, x.Code, c.Allowed.codes[place{x.ChainID, x.Code}].Name, x.Nonce, x.R, x.S, x.Parity)})
	}
	return effects, lines, nil
}

func becomes(chain uint64, code Address) effect.Effect {
	return effect.Effect{Operation: effect.Authorise, Chain: chainName(chain), Contract: code.String(), Destination: code.String()}
}

func chainName(chain uint64) string { return fmt.Sprintf("eip155:%d", chain) }

func contains(list []Address, a Address) bool {
	for _, x := range list {
		if x == a {
			return true
		}
	}
	return false
}

// decodeAuthorization reads EIP-7702's message, which is signed alone.
func decodeAuthorization(b []byte, c Context) (*Payload, error) {
	content, rest, err := rlp.SplitList(b[1:])
	switch {
	case err != nil:
		return nil, refuse("authorization", "is no RLP list: %s", explain(err))
	case len(rest) > 0:
		return nil, refuse("authorization", "is followed by %d more bytes", len(rest))
	}
	r := &reader{rest: content}
	chain, code, nonce := r.uint64("authorization chain id"), Address(r.exactly("authorization address", 20)), r.uint64("authorization nonce")
	if r.err == nil && len(r.rest) > 0 {
		r.fail("authorization", "has more than 3 fields: a signed one, or bytes that nobody would see")
	}
	if r.err != nil {
		return nil, r.err
	}
	if err := c.Allowed.mayBecome(chain, code, nonce); err != nil {
		return nil, err
	}
	p := &Payload{
		account: c.Account, unsigned: authorizationBytes(chain, code, nonce), chain: chain, means: SetCodeAuthorization, digest: setCodeDigest(chain, code, nonce),
		effects: []effect.Effect{becomes(chain, code)}, spends: []string{nonceName(chain, c.Account.Address, nonce)},
		lines: []effect.Line{
			{Name: "operation", Value: string(SetCodeAuthorization)}, {Name: "chain-id", Value: fmt.Sprint(chain)}, {Name: "account", Value: c.Account.Address.String()},
			{Name: "code", Value: code.String()}, {Name: "known-as", Value: c.Allowed.codes[place{chain, code}].Name}, {Name: "nonce", Value: fmt.Sprint(nonce)},
		},
	}
	if !bytes.Equal(p.unsigned, b) {
		return nil, refuse("authorization", "is not equal to its own encoding")
	}
	p.assemble = func(sig *signature) ([]byte, Hash) {
		return encodeList([]any{chain, code, nonce, uint64(sig.recID), sig.r, sig.s}), Hash(p.digest)
	}
	return p, nil
}

// BuildAuthorization returns the unsigned form of an authorization: the account becomes code when its nonce is this. It refuses what DecodeIn would.
func BuildAuthorization(chain uint64, code Address, nonce uint64, c Context) ([]byte, error) {
	b := authorizationBytes(chain, code, nonce)
	if _, err := DecodeIn(b, c); err != nil {
		return nil, fmt.Errorf("build EIP-7702 authorization: %w", err)
	}
	return b, nil
}
