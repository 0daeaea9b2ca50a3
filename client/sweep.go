package client

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// Officer names the operator of a vault's committee whose officer's key it is; "" if it is none's.
func (v Vault) Officer(s *Signer) string {
	for _, name := range v.Committee {
		if o, ok := v.Roster.Operator(name); ok && s != nil && slices.ContainsFunc(o.Officers, s.Key().Equal) {
			return name
		}
	}
	return ""
}

// Asks says in whose name a key proposes in an emergency: its initiator's own, else its operator's.
func (v Vault) Asks(s *Signer) (as string, err error) {
	if s == nil {
		return "", ErrNoKey
	}
	if _, err := v.initiator(s); err == nil {
		return "", nil
	}
	if as = v.Officer(s); as == "" {
		return "", &RefusedError{fmt.Sprintf("key %s is no initiator's of vault %s, and no officer's of %s", s.Key().Fingerprint(), v.Name, strings.Join(v.Committee, ", "))}
	}
	return as, nil
}

// PrepareCall makes the statement of an intent that asks for a protective call of the vault's SOS plan: exactly its bytes. Chain and kind of the
// request are the caller's, with all its numbers.
func (c *Circle) PrepareCall(s Sender, name string, r evm.CallRequest, life time.Duration) (statement.Statement, error) {
	if s.Vault.SOS == nil {
		return statement.Statement{}, &RefusedError{fmt.Sprintf("vault %s has no SOS plan", s.Vault.Name)}
	}
	for _, call := range s.Vault.SOS.Calls {
		if call.Name != name {
			continue
		}
		var err error
		number, _ := strings.CutPrefix(call.Chain, "eip155:")
		if r.ChainID, err = strconv.ParseUint(number, 10, 64); err != nil || call.Chain != s.Chain {
			return statement.Statement{}, fmt.Errorf("call %s is of chain %s, not of %s", name, call.Chain, s.Chain)
		}
		if r.To, err = evm.ParseAddress(call.To); err != nil {
			return statement.Statement{}, err
		}
		r.Data = call.Data
		a, err := c.ask(s, "protective call "+name, life)
		if err != nil {
			return statement.Statement{}, err
		}
		a.Purpose = intent.PurposeTransaction
		if a.Transaction, err = evm.BuildCall(r); err != nil {
			return statement.Statement{}, err
		}
		return s.written(a)
	}
	return statement.Statement{}, errors.Join(&RefusedError{fmt.Sprintf("the plan of vault %s names no call %q", s.Vault.Name, name)})
}

// Underway finds an intent of an address that moves an asset to a destination and has not come to its end: a sweep that was begun is continued, and
// not begun again.
func Underway(all []*Case, address, chain string, like func(evm.Facts) bool) *Case {
	for _, c := range slices.Backward(all) {
		if c.Tx != nil && c.Intent.Address == address && c.Intent.Chain == chain && like(c.Tx.Facts()) && c.lives() {
			return c
		}
	}
	return nil
}

// lives says that an intent has not come to its end: it may yet be signed, or mined, or a block holds it and it is not known yet what became of it there.
func (c *Case) lives() bool {
	if c.State() == "confirmed" {
		return !c.Landed()
	}
	return !c.Closed() && !slices.Contains([]string{"final", "failed", "replaced"}, c.State())
}

// Undone finds an intent of an address that its chain mined and undid, keeping the fee, as two nodes say: who asks for the same again may pay for nothing again.
func Undone(all []*Case, address, chain string, like func(evm.Facts) bool) *Case {
	for _, c := range slices.Backward(all) {
		if c.Tx != nil && c.Intent.Address == address && c.Intent.Chain == chain && like(c.Tx.Facts()) && c.Reverted() {
			return c
		}
	}
	return nil
}

// Landed says that a block holds a transaction, and what became of it there: some node says that it was carried out, or two that the chain undid it. One that says the latter alone is waited
// past.
func (c *Case) Landed() bool {
	carried := func(v View) bool {
		return !v.Reverted && slices.Contains([]string{"confirmed", "final"}, v.State)
	}
	return c.Signed != nil && (slices.ContainsFunc(c.Views, carried) || c.Reverted())
}

// Reverted says that a transaction stands in a block, and that the chain undid what it does and kept the fee: two nodes say so, or all that answer.
func (c *Case) Reverted() bool {
	n := 0
	for _, v := range c.Views {
		if v.Reverted && slices.Contains([]string{"confirmed", "failed"}, v.State) {
			n++
		}
	}
	return c.Signed != nil && n >= max(1, min(2, len(c.Views)))
}

// Pending says that a transaction was signed, and stands in no block yet.
func (c *Case) Pending() bool {
	return c.Signed != nil && c.Payload != nil && c.Payload.Travels() && slices.Contains([]string{"signed", "broadcast", "seen", "dropped", "reorged"}, c.State())
}

// Bump makes a transfer that replaces one which waits on its chain (spec/node 7.7): the same for what the chain wants by now, and a tenth more at least. What the sender does not hold
// besides is taken from what is sent of the chain's own coin.
func Bump(old evm.Facts, feeCap, tipCap, balance *big.Int) (evm.Request, error) {
	r := evm.Request{Kind: old.Kind, ChainID: old.ChainID, Nonce: old.Nonce, Gas: old.Gas, To: old.Destination, Token: old.Token, Amount: old.Amount, FeeCap: dearer(evm.Bumped(old.FeeCap), feeCap)}
	if r.Kind != evm.Legacy {
		r.TipCap = dearer(evm.Bumped(old.TipCap), tipCap)
		r.FeeCap = dearer(r.FeeCap, r.TipCap)
	}
	fee := new(big.Int).Mul(new(big.Int).SetUint64(r.Gas), r.FeeCap)
	if need := new(big.Int).Add(fee, old.Amount); old.Token == nil && balance.Cmp(need) < 0 {
		r.Amount = new(big.Int).Sub(old.Amount, new(big.Int).Sub(fee, old.MaxFee))
	}
	if len(old.Calldata) > 0 || r.Amount.Sign() <= 0 {
		return r, fmt.Errorf("%w: nothing would be left to send", evm.ErrNoReplacement)
	}
	return r, nil
}

func dearer(a, b *big.Int) *big.Int {
	if b == nil || a.Cmp(b) >= 0 {
		return a
	}
	return b
}
