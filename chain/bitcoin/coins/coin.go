package coins

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// A Coin is an output of the vault that nothing spends yet.
type Coin struct {
	bitcoin.Spot
	Outpoint psbt.Outpoint
	Amount   uint64 // satoshis
	Previous []byte // of P2WPKH: the transaction that made it; witnesses are left out
	Waits    bool   // no block holds it yet
	Own      bool   // the vault made the transaction that made it
}

// A Purse is a vault and its coins.
type Purse struct {
	Vault    bitcoin.Vault
	Coins    []Coin
	Reserved []psbt.Outpoint // coins of transactions that were begun
}

// maxRate is a million satoshis per virtual byte: no fee that anybody means, and small enough that no product overflows.
const maxRate bitcoin.Rate = 1_000_000_000

var errNone = errors.New("there is no coin to spend")

// maxLength is what coins may take of the unsigned form; the rest is for outputs.
const maxLength = bitcoin.MaxLen - 1000

// stripped is a coin whose transaction has no witnesses: its id does not cover them, and they may be most of it.
func (c Coin) stripped() (Coin, error) {
	if c.Suite != bitcoin.SuiteECDSA {
		c.Previous = nil
		return c, nil
	}
	tx, err := psbt.ParseTx(bytes.Clone(c.Previous))
	if err != nil {
		return c, fmt.Errorf("coin %s: the transaction that made it: %w", c.Outpoint, err)
	}
	c.Previous = tx.Bare()
	return c, nil
}

// usable are the coins that may be spent, and those that may not. A coin of another's transaction that waits may vanish with it: whoever paid replaces it, and
// takes what we built on it along.
func (p Purse) usable(rate bitcoin.Rate) (usable, left []Coin, err error) {
	reserved, seen := map[psbt.Outpoint]bool{}, map[psbt.Outpoint]bool{}
	for _, o := range p.Reserved {
		reserved[o] = true
	}
	if rate > maxRate || rate > p.Vault.MaxRate {
		return nil, nil, fmt.Errorf("rate of %s is above the vault's limit of %s, or above %s", rate, p.Vault.MaxRate, maxRate)
	}
	var sum uint64
	for _, c := range p.Coins {
		if sum += c.Amount; c.Amount > bitcoin.MaxMoney || sum > bitcoin.MaxMoney || seen[c.Outpoint] {
			return nil, nil, fmt.Errorf("coin %s of %d sat stands twice, or the coins are more than there can be", c.Outpoint, c.Amount)
		}
		seen[c.Outpoint] = true
		if c, err = c.stripped(); err != nil {
			return nil, nil, err
		}
		if reserved[c.Outpoint] || c.Waits && !c.Own || c.value(rate) <= 0 || c.length() > maxLength {
			left = append(left, c)
			continue
		}
		usable = append(usable, c)
	}
	sortCoins(usable, rate)
	return usable, left, nil
}

// sortCoins puts the coin that adds most first; the outpoint decides between equals, so that the order depends on nothing else.
func sortCoins(coins []Coin, rate bitcoin.Rate) {
	slices.SortFunc(coins, func(a, b Coin) int {
		return cmp.Or(cmp.Compare(b.value(rate), a.value(rate)), byOutpoint(a.Outpoint, b.Outpoint))
	})
}

func byOutpoint(a, b psbt.Outpoint) int {
	return cmp.Or(cmp.Compare(a.ID.String(), b.ID.String()), cmp.Compare(a.Index, b.Index))
}

// cost is what spending a coin adds to the fee, rounded up.
func (c Coin) cost(rate bitcoin.Rate) uint64 { return quarters(rate, bitcoin.InputWeight(c.Suite)) }

// quarters is the fee of a weight: four of it are a virtual byte.
func quarters(rate bitcoin.Rate, weight int) uint64 {
	return (uint64(rate)*uint64(weight) + 3999) / 4000
}

// value is what a coin adds beyond its own cost; 0 or less where spending it is a loss.
func (c Coin) value(rate bitcoin.Rate) int64 { return int64(c.Amount) - int64(c.cost(rate)) }

// input makes a draft's input of a coin.
func (c Coin) input(sequence uint32) (in bitcoin.Input, err error) {
	c, err = c.stripped()
	return bitcoin.Input{Outpoint: c.Outpoint, Sequence: sequence, Spot: c.Spot, Amount: c.Amount, Previous: c.Previous}, err
}

// build makes the unsigned form: inputs by id and index, outputs by amount and script (BIP 69), so that their order says nothing of which is change.
func (p Purse) build(coins []Coin, outs []bitcoin.Output, lockTime, sequence uint32) ([]byte, error) {
	if len(coins) == 0 {
		return nil, errNone
	}
	coins = slices.Clone(coins)
	slices.SortFunc(coins, func(a, b Coin) int { return byOutpoint(a.Outpoint, b.Outpoint) })
	d := bitcoin.Draft{LockTime: lockTime}
	for _, c := range coins {
		in, err := c.input(sequence)
		if err != nil {
			return nil, err
		}
		d.Ins = append(d.Ins, in)
	}
	type keyed struct {
		bitcoin.Output
		script bitcoin.Script
	}
	var all []keyed
	for _, o := range outs {
		s, err := p.script(o)
		if err != nil {
			return nil, err
		}
		all = append(all, keyed{o, s})
	}
	slices.SortStableFunc(all, func(a, b keyed) int {
		return cmp.Or(cmp.Compare(a.Amount, b.Amount), bytes.Compare(a.script, b.script))
	})
	for _, k := range all {
		d.Outs = append(d.Outs, k.Output)
	}
	return bitcoin.Build(p.Vault, d)
}

func (p Purse) script(o bitcoin.Output) (bitcoin.Script, error) {
	switch {
	case o.Memo != nil:
		return bitcoin.MemoScript(o.Memo), nil
	case o.Change != nil:
		return p.Vault.Script(*o.Change)
	}
	return p.Vault.Network.ParseAddress(o.Address)
}

// vsize is the size of a transaction of these coins to these scripts, at most.
func vsize(coins []Coin, scripts ...bitcoin.Script) int {
	w := bitcoin.BaseWeight(len(coins), scripts...)
	for _, c := range coins {
		w += bitcoin.InputWeight(c.Suite)
	}
	return psbt.VSize(w)
}

func total(coins []Coin) (sum uint64) {
	for _, c := range coins {
		sum += c.Amount
	}
	return sum
}
