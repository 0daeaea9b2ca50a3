package client

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// An Authorization lets an account become a contract's code (EIP-7702).
type Authorization struct {
	Sender
	Code  evm.Address
	Nonce *uint64 // that the account has when it becomes that; nil: the next, or the one after it where the account itself carries it to the chain
	Other bool    // somebody else's transaction carries it
	Memo  string
	Life  time.Duration // zero: the vault's
}

// PrepareAuthorization makes the statement of an intent over a message: it goes on no chain by itself.
func (c *Circle) PrepareAuthorization(ctx context.Context, x Authorization) (statement.Statement, error) {
	a, err := c.ask(x.Sender, x.Memo, x.Life)
	if err != nil {
		return statement.Statement{}, err
	}
	cx, err := x.Sender.context(a)
	if err != nil {
		return statement.Statement{}, err
	}
	at, err := payload.EVMContext(a, cx)
	if err != nil {
		return statement.Statement{}, err
	}
	chain, err := chainNumber(x.Chain)
	if err != nil {
		return statement.Statement{}, err
	}
	var nonce uint64
	if x.Nonce != nil {
		nonce = *x.Nonce
	} else if nonce, err = c.nextNonce(ctx, x.Sender, at.Account.Address); err != nil {
		return statement.Statement{}, err
	} else if !x.Other {
		nonce++
	}
	a.Purpose = intent.PurposeMessage
	if a.Transaction, err = evm.BuildAuthorization(chain, x.Code, nonce, at); err != nil {
		return statement.Statement{}, &RefusedError{fmt.Sprintf("no node would sign it: %v", err)}
	}
	return x.Sender.written(a)
}

const (
	// authorizationGas is what each authorization takes at most besides (EIP-7702, PER_EMPTY_ACCOUNT_COST).
	authorizationGas = 25_000
	// setCodeGas is what the rest takes: the transaction, and what the account's new code does with a payment of nothing.
	setCodeGas = 21_000 + 40_000
)

// nobody has no code, so that a payment of nothing to it tells fees and nonces whatever the sender is.
var nobody evm.Address

// PrepareSetCode makes the statement of an intent over the transaction that carries signed authorizations to their chain, and does nothing else: the sender pays nothing to itself.
func (c *Circle) PrepareSetCode(ctx context.Context, t Transfer, signed []*Case) (statement.Statement, error) {
	a, err := c.ask(t.Sender, t.Memo, t.Life)
	if err != nil {
		return statement.Statement{}, err
	}
	from, err := evm.ParseAddress(a.Address)
	if err != nil {
		return statement.Statement{}, err
	}
	var all [][]byte
	for _, one := range signed {
		if one.Signed == nil || one.Intent.Purpose != intent.PurposeMessage || one.Intent.Chain != t.Chain {
			return statement.Statement{}, &RefusedError{fmt.Sprintf("intent %s is no signed authorization for chain %s: it is %s", one.ID().Short(), t.Chain, one.State())}
		}
		all = append(all, one.Signed.Raw)
		if n, err := strconv.ParseUint(factOf(one.Facts, "nonce"), 10, 64); err == nil && n > 0 && one.Intent.Address == a.Address && t.Nonce == nil {
			n-- // the chain counts the transaction first
			t.Nonce = &n
		}
	}
	t.To, t.Amount, t.Legacy = nobody, new(big.Int), false // what it would do to the account itself is not to be estimated: that has another code then
	if t.Gas == nil {
		gas := setCodeGas + uint64(len(all))*authorizationGas
		t.Gas = &gas
	}
	r, err := c.complete(ctx, t, from)
	if err != nil {
		return statement.Statement{}, err
	}
	cx, err := t.Sender.context(a)
	if err != nil {
		return statement.Statement{}, err
	}
	at, err := payload.EVMContext(a, cx)
	if err != nil {
		return statement.Statement{}, err
	}
	a.Purpose = intent.PurposeTransaction
	a.Transaction, err = evm.BuildIn(evm.Draft{
		Kind: evm.SetCode, ChainID: r.ChainID, Nonce: r.Nonce, Gas: r.Gas, FeeCap: r.FeeCap, TipCap: r.TipCap, To: from, Value: r.Amount, Authorizations: all,
	}, at)
	if err != nil {
		return statement.Statement{}, &RefusedError{fmt.Sprintf("no node would sign it: %v", err)}
	}
	return t.Sender.written(a)
}

// CodeSet says of a transaction that carries authorizations that its chain undid it: what it carries took effect all the same, for codes are set before the call, and stay (EIP-7702; spec/chain-evm 10.4).
func (c *Case) CodeSet() bool {
	t, ok := payload.OnEVM(c.Payload)
	return ok && t.Facts().Kind == evm.SetCode && c.Reverted()
}

// nextNonce is the first one of an address that no intent has.
func (c *Circle) nextNonce(ctx context.Context, s Sender, from evm.Address) (uint64, error) {
	q, err := c.Quote(ctx, s.Chain, from, nobody, new(big.Int), nil, nil)
	if err != nil {
		return 0, err
	}
	all, _, err := c.Cases(ctx, []Vault{s.Vault}, s.Vault.ID)
	if err != nil {
		return 0, fmt.Errorf("read which nonces other intents have: %w", err)
	}
	return FreeNonce(all, from.String(), s.Chain, q.Nonce, time.Now()), nil
}

func chainNumber(chain string) (uint64, error) {
	number, ok := strings.CutPrefix(chain, "eip155:")
	n, err := strconv.ParseUint(number, 10, 64)
	if !ok || err != nil {
		return 0, fmt.Errorf("chain %q: want eip155:NUMBER", chain)
	}
	return n, nil
}

// factOf is a fact's value, "" if there is none.
func factOf(all []intent.Fact, name string) string {
	i := slices.IndexFunc(all, func(f intent.Fact) bool { return f.Name == name })
	if i < 0 {
		return ""
	}
	return all[i].Value
}
