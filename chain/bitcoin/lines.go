package bitcoin

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
)

const (
	// each is how many parts of a kind have a line each; of more than that, as many share one as fit.
	each = 16
	// maxValue bounds a line's value in bytes: a statement says no more (spec/statements, intent: fact), and what it cannot say every node denies.
	maxValue = 2000

	firstTime = 500_000_000 // lock times from here on are seconds since 1970
)

// Lines are the facts for people, at most 64, in the order of spec/chain-bitcoin 5. With the vault's keys they determine the unsigned form.
func (t *Transaction) Lines() []effect.Line {
	payments, paid := 0, uint64(0)
	memo := ""
	var outs, ins []string
	for _, out := range t.outs {
		outs = append(outs, out.text())
		switch {
		case out.Memo != nil:
			memo = showMemo(out.Memo)
		case out.Change == nil || out.Moves:
			payments, paid = payments+1, paid+out.Amount
		}
	}
	for _, in := range t.ins {
		ins = append(ins, in.text())
	}
	replaceable := "no"
	if t.Replaceable() {
		replaceable = "yes"
	}
	lines := []effect.Line{
		{Name: "chain", Value: t.vault.Network.Chain},
		{Name: "network", Value: t.vault.Network.Name},
		{Name: "payments", Value: strconv.Itoa(payments)},
		{Name: "paid", Value: strconv.FormatUint(paid, 10)},
		{Name: "fee", Value: strconv.FormatUint(t.fee, 10)},
		{Name: "fee-rate", Value: RateOf(t.fee, t.vsize).String()},
		{Name: "size", Value: fmt.Sprintf("%d vB", t.vsize)},
		{Name: "lock-time", Value: showLockTime(t.tx.LockTime)},
		{Name: "replaceable", Value: replaceable},
		{Name: "transaction", Value: t.ID().String()},
	}
	if memo != "" {
		lines = append(lines, effect.Line{Name: "memo", Value: memo})
	}
	return append(append(lines, grouped("output", outs)...), grouped("input", ins)...)
}

func showLockTime(n uint32) string {
	switch {
	case n == 0:
		return "none"
	case n < firstTime:
		return fmt.Sprintf("height %d", n)
	}
	return fmt.Sprintf("time %d, %s", n, time.Unix(int64(n), 0).UTC().Format(time.RFC3339))
}

// text is one output in words: "1000 sat to bc1q…", "1000 sat change to bc1p…, p2tr m/0/0/5", "1000 sat to the vault's other account bc1p…, p2tr m/0/1/5" or "memo".
func (out Output) text() string {
	switch {
	case out.Memo != nil:
		return "memo"
	case out.Moves:
		return fmt.Sprintf("%d sat to the vault's other account %s, %s", out.Amount, out.Address, *out.Change)
	case out.Change != nil:
		return fmt.Sprintf("%d sat change to %s, %s", out.Amount, out.Address, *out.Change)
	}
	return fmt.Sprintf("%d sat to %s", out.Amount, out.Address)
}

// text is one input in words: "1000 sat of p2wpkh m/0/0/5, TXID:0, sequence 0xfffffffd", and what the packet says besides.
func (in Input) text() string {
	s := fmt.Sprintf("%d sat of %s, %s, sequence 0x%08x", in.Amount, in.Spot, in.Outpoint, in.Sequence)
	if in.WithOutput {
		s += ", output named"
	}
	if in.Suite == SuiteBIP340 && in.Previous != nil {
		s += ", previous transaction named"
	}
	if in.WithSighash {
		s += ", signature kind named"
	}
	return s
}

// grouped gives few parts a line each, "output-0"; of many as many as fit stand in one, "outputs-0-29", divided by "; ".
func grouped(name string, parts []string) (lines []effect.Line) {
	if len(parts) <= each {
		for i, p := range parts {
			lines = append(lines, effect.Line{Name: fmt.Sprintf("%s-%d", name, i), Value: p})
		}
		return lines
	}
	for first := 0; first < len(parts); {
		size, last := len(parts[first]), first
		for last+1 < len(parts) && size+2+len(parts[last+1]) <= maxValue {
			last++
			size += 2 + len(parts[last])
		}
		lines = append(lines, effect.Line{Name: fmt.Sprintf("%ss-%d-%d", name, first, last), Value: strings.Join(parts[first:last+1], "; ")})
		first = last + 1
	}
	return lines
}
