package block

import (
	"bytes"
	"fmt"
	"math/bits"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin"
)

// A Target is the highest hash that a header may have: 32 bytes, the highest first.
type Target [32]byte

// ParseTarget reads the compact form: the number of bytes in the highest 8 bits, a sign, and the 23 bits that the number begins with. Negative, zero, and more than 256 bits are
// refused.
func ParseTarget(compact uint32) (t Target, err error) {
	size, mantissa := int(compact>>24), compact&0x7fffff
	if size < 3 {
		mantissa >>= 8 * (3 - size)
	}
	switch {
	case mantissa == 0:
		return t, fmt.Errorf("target %08x is zero", compact)
	case compact&0x800000 != 0:
		return t, fmt.Errorf("target %08x is negative", compact)
	case size-3+(bits.Len32(mantissa)+7)/8 > len(t):
		return t, fmt.Errorf("target %08x has more than 256 bits", compact)
	}
	at := len(t) - max(size, 3) // of the highest of the three bytes
	for i := range 3 {
		if b := byte(mantissa >> (16 - 8*i)); b != 0 { // those that are cut off are zero
			t[at+i] = b
		}
	}
	return t, nil
}

// Easier says whether this target lets more hashes pass than another.
func (t Target) Easier(than Target) bool { return bytes.Compare(t[:], than[:]) > 0 }

// work holds a header to its own target.
func (h Header) work() error {
	t, err := ParseTarget(h.Bits)
	if err != nil {
		return err
	}
	hash := h.ID()
	if slices.Reverse(hash[:]); bytes.Compare(hash[:], t[:]) > 0 {
		return fmt.Errorf("its hash is above its target %08x", h.Bits)
	}
	return nil
}

// A Rule is what a network asks of targets.
type Rule struct {
	Limit  uint32 // the easiest that it takes
	Steady bool   // the target moves with each 2016th block alone, and gets at most four times as easy then; test networks let single blocks be easy
}

// RuleOf is a network's.
func RuleOf(n bitcoin.Network) (Rule, error) {
	switch n.Name {
	case "mainnet":
		return Rule{0x1d00ffff, true}, nil
	case "signet":
		return Rule{0x1e0377ae, true}, nil
	case "testnet", "testnet4":
		return Rule{0x1d00ffff, false}, nil
	case "regtest":
		return Rule{0x207fffff, false}, nil
	}
	return Rule{}, fmt.Errorf("network %.40q has no rule of targets here", n.Name)
}

// Period is how many blocks of a network have one target.
const Period = 2016

// Check holds the target of the block at a height to the network's rule, and to the block's before; before is 0 where that one is not known. So who has no part of the network's
// work cannot go on from a chain that is known with blocks that cost nothing.
func (r Rule) Check(height, now, before uint32) error {
	t, err := ParseTarget(now)
	if err != nil {
		return err
	}
	limit, err := ParseTarget(r.Limit)
	if err != nil {
		return err
	}
	if t.Easier(limit) {
		return fmt.Errorf("target %08x is easier than the network takes, %08x", now, r.Limit)
	}
	if !r.Steady || before == 0 {
		return nil
	}
	if height%Period != 0 {
		if now != before {
			return fmt.Errorf("target %08x at height %d, and the block before has %08x: it moves with each %dth block alone", now, height, before, Period)
		}
		return nil
	}
	old, err := ParseTarget(before)
	if err != nil {
		return err
	}
	if t.Easier(old.quadrupled()) {
		return fmt.Errorf("target %08x at height %d is more than four times as easy as %08x before it", now, height, before)
	}
	return nil
}

// quadrupled is four times a target, or the highest.
func (t Target) quadrupled() Target {
	if t[0] > 0x3f {
		return Target(bytes.Repeat([]byte{0xff}, len(t)))
	}
	carry := 0
	for i := len(t) - 1; i >= 0; i-- {
		n := int(t[i])<<2 | carry
		t[i], carry = byte(n), n>>8
	}
	return t
}
