package payload

import (
	"errors"
	"strings"

	"github.com/ostraka/ostraka/chain/evm"
)

// Replaces says why a transaction is no replacement, where the plan of an emergency is the rule, of another that waits on its chain: one that does the same for more. The caller knows that both use what the chain gives
// once. The fees of transactions that build on the other's are not known here: a chain's node asks for those too, and then keeps the other.
func Replaces(next, old Payload) error {
	if a, ok := OnEVM(next); ok {
		b, ok := OnEVM(old)
		if !ok || a.Sender() != b.Sender() {
			return errOther
		}
		return evm.Replaces(a.Facts(), b.Facts())
	}
	if a, b, ok := onSolana(next, old); ok {
		return a.Replaces(b.Transaction)
	}
	a, ok := next.(*Bitcoin)
	b, same := old.(*Bitcoin)
	if !ok || !same {
		return errOther
	}
	return a.ReplacesSweep(b.Transaction, 0)
}

// Slot names what a payload uses and its chain gives once, as limits count it: of all payloads with one slot the chain takes one. Empty: it uses nothing of the kind. Of the coins of a
// transaction of Bitcoin it is the most valuable: under all their names together, whoever asked for one coin with another each time would be counted each time, and at most one of these
// transactions ever takes place.
func Slot(p Payload) string {
	b, ok := p.(*Bitcoin)
	if !ok {
		return strings.Join(p.Spends(), " ")
	}
	most, slot := uint64(0), ""
	names := p.Spends()
	for i, in := range b.Inputs() {
		if slot == "" || in.Amount > most || in.Amount == most && names[i] < slot {
			most, slot = in.Amount, names[i]
		}
	}
	return slot
}

// Takes says why a transaction does not take the place of another that waits on its chain: as one that does the same for more, or as one that does nothing, and so keeps the other off
// the chain.
func Takes(next, old Payload) error {
	if a, ok := OnEVM(next); ok {
		b, ok := OnEVM(old)
		if !ok {
			return errOther
		}
		return either(a.Decoded().Replaces(b.Decoded()), a.Decoded().Cancels(b.Decoded()))
	}
	if a, b, ok := onSolana(next, old); ok {
		return either(a.Replaces(b.Transaction), a.Cancels(b.Transaction))
	}
	a, ok := next.(*Bitcoin)
	b, same := old.(*Bitcoin)
	if !ok || !same {
		return errOther
	}
	return either(a.Replaces(b.Transaction, 0), a.Cancels(b.Transaction, 0))
}

// onSolana is both as transactions of one address of Solana.
func onSolana(next, old Payload) (a, b *Solana, ok bool) {
	a, ok = next.(*Solana)
	b, same := old.(*Solana)
	return a, b, ok && same && a.own == b.own
}

func either(a, b error) error {
	if a == nil || b == nil {
		return nil
	}
	return errors.Join(a, b)
}

var errOther = errors.New("it does not take the place of the other: they are not of one account and chain")
