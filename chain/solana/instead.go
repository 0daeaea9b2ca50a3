package solana

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
)

// Replaces says why a transaction does not take the place of another that may land yet, as one that does the same for a higher fee (spec/chain-solana 5.4). The error says what to do.
func (t *Transaction) Replaces(old *Transaction) error {
	if err := t.rivals(old); err != nil {
		return err
	}
	if !slices.EqualFunc(t.does(), old.does(), func(a, b action) bool { return a.text == b.text }) {
		return errors.New("it does not the same as the other")
	}
	if t.fee <= old.fee {
		return fmt.Errorf("it does the same for %d lamports at most, and the other for %d: pay more, or leave it", t.fee, old.fee)
	}
	return nil
}

// Cancels says why a transaction does not keep another off the chain: one that advances the nonce of both, and does nothing.
func (t *Transaction) Cancels(old *Transaction) error {
	if err := t.rivals(old); err != nil {
		return err
	}
	if !t.Idle() {
		return errors.New("it does more than to advance the nonce")
	}
	return nil
}

// rivals says why the chain could take both of two transactions: they have no durable nonce, or two.
func (t *Transaction) rivals(old *Transaction) error {
	switch {
	case t.durable == nil || old.durable == nil:
		return errors.New("one of the two has no durable nonce, so the chain could take both: wait until the blockhash of the first is too old, a minute or two")
	case *t.durable != *old.durable || t.message.blockhash != old.message.blockhash:
		return fmt.Errorf("it has nonce %s of account %s, and the other %s of %s: the chain could take both", t.message.blockhash, t.durable, old.message.blockhash, old.durable)
	}
	return nil
}

// Idle says that a transaction does nothing but advance its nonce, and pay for that.
func (t *Transaction) Idle() bool { return t.durable != nil && len(t.does()) == 0 }

// does are the actions beside the nonce's advance and what is asked and paid for execution.
func (t *Transaction) does() (out []action) {
	for i, in := range t.message.instructions {
		if i == 0 && t.durable != nil || t.accounts[in.program].key == ComputeBudget {
			continue
		}
		out = append(out, t.actions[i])
	}
	return out
}

// Execution is the compute units that a transaction asks for, or the most that the chain gives, and the accounts that it writes: what its price hangs on.
func (t *Transaction) Execution() (units uint32, writes []Key) {
	units, _ = t.limit()
	for _, a := range t.accounts {
		if a.writable {
			writes = append(writes, a.key)
		}
	}
	return units, writes
}

// limit is how many compute units it asks for; false: it asks for none, and the most is counted.
func (t *Transaction) limit() (units uint32, asked bool) {
	for _, in := range t.message.instructions {
		if t.accounts[in.program].key == ComputeBudget && in.data[0] == 2 {
			return binary.LittleEndian.Uint32(in.data[1:]), true
		}
	}
	return maxUnits, false
}

// Units of compute that one instruction takes at most, a good deal above what the programs of today do.
const (
	UnitsTransfer = 1_000  // of System, a transfer
	UnitsToken    = 40_000 // of Token and Token-2022
	UnitsOpen     = 80_000 // of Associated Token Account: how far the search for an address goes is luck
	UnitsNote     = 60_000 // a memo
	UnitsNonce    = 10_000 // of System, all else
	UnitsBudget   = 250    // what asks for units or pays for them
)

// Takes is how many compute units all instructions of a transaction take at most, whatever it asks for. Who pays for more burns it.
func (t *Transaction) Takes() uint32 {
	units := uint32(0)
	for _, in := range t.message.instructions {
		switch t.accounts[in.program].key {
		case System:
			if units += UnitsTransfer; in.data[0] != sysTransfer {
				units += UnitsNonce - UnitsTransfer
			}
		case SPLToken, Token2022:
			units += UnitsToken
		case AssociatedTokenAccount:
			units += UnitsOpen
		case Memo:
			units += UnitsNote
		default:
			units += UnitsBudget
		}
	}
	return min(units, maxUnits)
}

// Fee is what execution of so many units costs at a price in millionths of a lamport each, with the signatures; 2⁶⁴ − 1 where it is more than that.
func Fee(units uint32, price uint64, signatures int) uint64 {
	hi, lo := bits.Mul64(uint64(units), price)
	lo, carry := bits.Add64(lo, 999_999, 0)
	if hi += carry; hi >= 1_000_000 {
		return math.MaxUint64
	}
	priority, _ := bits.Div64(hi, lo, 1_000_000)
	all, carry := bits.Add64(priority, signatureFee*uint64(signatures), 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return all
}
