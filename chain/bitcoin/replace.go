package bitcoin

import (
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// ErrNoReplacement says that a transaction is something else than another one for a higher fee.
var ErrNoReplacement = errors.New("it does not replace the transaction that spends its coins")

// relayStep is what a replacement pays for its own way through the network besides what it replaces (BIP 125 rule 4; Bitcoin Core's default).
const relayStep Rate = 1000

// Bumped is the least fee in satoshis of a replacement of a transaction, of vsize virtual bytes: evicted are the fees of transactions that spend its
// outputs, which leave with it.
func (t *Transaction) Bumped(vsize int, evicted uint64) uint64 {
	step := t.fee + min(evicted, MaxMoney) + relayStep.Fee(vsize)
	rate := RateOf(t.fee, t.vsize).Fee(vsize)
	for RateOf(rate, vsize) <= RateOf(t.fee, t.vsize) { // strictly more per byte
		rate++
	}
	return max(step, rate)
}

// Replaces says why a transaction is no replacement of another that waits: the same coins, the same payments and memo in the same order, a higher fee and rate
// (BIP 125). Of change only one output may differ, by its amount alone, or be gone.
func (t *Transaction) Replaces(old *Transaction, evicted uint64) error {
	return t.replaces(old, evicted, sameOutputs)
}

// ReplacesSweep is Replaces, and lets the only output of a transaction that pays one address all it has hold less: there is no change out of which a higher fee could come. The coins are
// the same, so what that output holds less is the fee's rise, and no more.
func (t *Transaction) ReplacesSweep(old *Transaction, evicted uint64) error {
	return t.replaces(old, evicted, func(now, was []Output) error {
		if old.sweeps() && t.sweeps() && slices.Equal(now[0].script, was[0].script) && now[0].Amount < was[0].Amount {
			return nil
		}
		return sameOutputs(now, was)
	})
}

// sweeps says that a transaction pays all it has to one address of others.
func (t *Transaction) sweeps() bool {
	return len(t.outs) == 1 && t.outs[0].Change == nil && t.outs[0].Memo == nil
}

func (t *Transaction) replaces(old *Transaction, evicted uint64, same func(now, was []Output) error) error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrNoReplacement, fmt.Sprintf(format, args...))
	}
	switch {
	case t.vault.Network != old.vault.Network:
		return no("it is of %s, and that one of %s", t.vault.Network.Name, old.vault.Network.Name)
	case !old.Replaceable():
		return no("that one does not say that it may be replaced")
	case t.tx.LockTime != old.tx.LockTime:
		return no("lock time %d, and that one has %d", t.tx.LockTime, old.tx.LockTime)
	case len(t.ins) != len(old.ins):
		return no("%d inputs, and that one has %d", len(t.ins), len(old.ins))
	}
	for i, in := range t.ins {
		if was := old.ins[i]; in.Outpoint != was.Outpoint || in.Sequence != was.Sequence {
			return no("input %d is %s with sequence 0x%08x, and that one's %s with 0x%08x", i, in.Outpoint, in.Sequence, was.Outpoint, was.Sequence)
		}
	}
	if err := same(t.outs, old.outs); err != nil {
		return no("%v", err)
	}
	if least := old.Bumped(t.vsize, evicted); t.fee < least {
		return no("fee of %d sat, and %d are the least that replaces %d with %s", t.fee, least, old.fee, RateOf(old.fee, old.vsize))
	}
	return nil
}

// sameOutputs lets one output of change have less, or be gone.
func sameOutputs(now, was []Output) error {
	touched := false
	for i, w := range was {
		switch {
		case i < len(now) && slices.Equal(now[i].script, w.script) && (now[i].Change == nil) == (w.Change == nil) && now[i].Amount == w.Amount:
		case touched || w.Change == nil || w.Moves:
			return fmt.Errorf("output %d, %s, is another or is gone", i, w.text())
		case len(now) == len(was) && slices.Equal(now[i].script, w.script) && now[i].Change != nil && now[i].Amount < w.Amount:
			touched = true
		case len(now) == len(was)-1:
			touched = true
			now = slices.Insert(slices.Clone(now), i, w)
		default:
			return fmt.Errorf("output %d, %s, is another", i, w.text())
		}
	}
	if len(now) != len(was) {
		return fmt.Errorf("it has %d outputs more", len(now)-len(was))
	}
	return nil
}

// Replacement makes the unsigned form of what replaces a transaction at a rate, or at the least fee that does if that is more. The fee's rise comes out of the largest change; change
// that would be dust goes to the fee. evicted is as in Bumped.
func (t *Transaction) Replacement(rate Rate, evicted uint64) (unsigned []byte, err error) {
	change := -1
	for i, out := range t.outs {
		if out.Change != nil && !out.Moves && (change < 0 || out.Amount > t.outs[change].Amount) {
			change = i
		}
	}
	switch {
	case !t.Replaceable():
		return nil, errors.New("replace: the transaction does not say that it may be replaced; pay for it with a child")
	case change < 0:
		return nil, errors.New("replace: the transaction has no change out of which a higher fee could come; pay for it with a child if an output of it is the vault's")
	}
	d := Draft{LockTime: t.tx.LockTime, Ins: t.Inputs(), Outs: t.Outputs()}
	fee := max(rate.Fee(t.vsize), t.Bumped(t.vsize, evicted))
	_, _, dust, err := t.outs[change].script.split()
	if err != nil {
		return nil, err
	}
	if had := t.fee + t.outs[change].Amount; had >= fee && had-fee >= dust {
		d.Outs[change].Amount = had - fee
	} else if d.Outs = slices.Delete(d.Outs, change, change+1); len(d.Outs) == 0 {
		return nil, fmt.Errorf("replace: the fee of %d sat leaves nothing of the transaction's only output", fee)
	} else {
		without := psbt.VSize(4*(len(t.tx.Bare())-len(t.tx.Outs[change].Bytes())) + 2 + t.witnessWeight())
		if least := max(rate.Fee(without), t.Bumped(without, evicted)); had < least {
			return nil, fmt.Errorf("replace: fee and change are %d sat together, and a replacement without change costs %d", had, least)
		}
	}
	for i := range d.Outs {
		if d.Outs[i].Change != nil {
			d.Outs[i].Address = ""
		}
	}
	unsigned, err = Build(t.vault, d)
	if err != nil {
		return nil, fmt.Errorf("replace: %w", err)
	}
	next, err := Decode(unsigned, t.vault)
	if err != nil {
		return nil, err
	}
	if err := next.Replaces(t, evicted); err != nil {
		return nil, fmt.Errorf("replace: %w", err)
	}
	return unsigned, nil
}

// DearerSweep makes the unsigned form of what replaces a transaction that pays one address all it has, at a rate, or at the least fee that does if that is more: the address gets what is
// left. evicted is as in Bumped.
func (t *Transaction) DearerSweep(rate Rate, evicted uint64) (unsigned []byte, err error) {
	if !t.Replaceable() || !t.sweeps() {
		return nil, errors.New("replace: the transaction does not say that it may be replaced, or pays more than one address all it has")
	}
	_, _, dust, err := t.outs[0].script.split()
	if err != nil {
		return nil, err
	}
	had, fee := t.fee+t.outs[0].Amount, max(rate.Fee(t.vsize), t.Bumped(t.vsize, evicted))
	if had < fee || had-fee < dust {
		return nil, fmt.Errorf("replace: the coins hold %d sat, the fee is %d, and %d is the least that can be paid", had, fee, dust)
	}
	d := Draft{LockTime: t.tx.LockTime, Ins: t.Inputs(), Outs: t.Outputs()}
	d.Outs[0].Amount = had - fee
	if unsigned, err = Build(t.vault, d); err != nil {
		return nil, fmt.Errorf("replace: %w", err)
	}
	next, err := Decode(unsigned, t.vault)
	if err == nil {
		err = next.ReplacesSweep(t, evicted)
	}
	if err != nil {
		return nil, fmt.Errorf("replace: %w", err)
	}
	return unsigned, nil
}

func (t *Transaction) witnessWeight() (n int) {
	for _, in := range t.ins {
		n += InputWeight(in.Suite) - 4*41
	}
	return n
}

// Cancels says why a transaction does not keep another that waits off the chain, and do nothing else: the same coins go to the vault's own account, for a higher fee and rate.
func (t *Transaction) Cancels(old *Transaction, evicted uint64) error {
	no := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrNoReplacement, fmt.Sprintf(format, args...))
	}
	same := func(a, b Input) bool { return a.Outpoint == b.Outpoint }
	switch {
	case t.vault.Network != old.vault.Network:
		return no("it is of %s, and that one of %s", t.vault.Network.Name, old.vault.Network.Name)
	case !old.Replaceable():
		return no("that one does not say that it may be replaced")
	case !slices.EqualFunc(t.ins, old.ins, same):
		return no("it spends other coins")
	case slices.ContainsFunc(t.outs, func(o Output) bool { return o.Change == nil || o.Moves }):
		return no("it is more than change")
	case t.fee < old.Bumped(t.vsize, evicted):
		return no("fee of %d sat, and %d are the least that replaces %d with %s", t.fee, old.Bumped(t.vsize, evicted), old.fee, RateOf(old.fee, old.vsize))
	}
	return nil
}

// Cancellation makes the unsigned form of what takes a transaction's place and only brings its coins back, to a spot of their account, at a rate, or at the least fee that replaces it.
func (t *Transaction) Cancellation(to Spot, rate Rate, evicted uint64) (unsigned []byte, err error) {
	sum := uint64(0)
	for _, in := range t.ins {
		sum += in.Amount
	}
	script, err := t.vault.Script(to)
	if err != nil {
		return nil, err
	}
	size := psbt.VSize(BaseWeight(len(t.ins), script) + len(t.ins)*4*41 + t.witnessWeight())
	fee := max(rate.Fee(size), t.Bumped(size, evicted))
	if _, _, dust, err := script.split(); err != nil || sum < fee+dust {
		return nil, fmt.Errorf("cancel: the coins hold %d sat, the fee is %d, and the least that can come back %d: %w", sum, fee, dust, err)
	}
	d := Draft{LockTime: t.tx.LockTime, Ins: t.Inputs(), Outs: []Output{{Amount: sum - fee, Change: &to}}}
	if unsigned, err = Build(t.vault, d); err != nil {
		return nil, fmt.Errorf("cancel: %w", err)
	}
	next, err := Decode(unsigned, t.vault)
	if err == nil {
		err = next.Cancels(t, evicted)
	}
	if err != nil {
		return nil, fmt.Errorf("cancel: %w", err)
	}
	return unsigned, nil
}
