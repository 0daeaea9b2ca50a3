package onchain

import (
	"fmt"
	"math/big"
	"slices"
	"strconv"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/evidence/verify"
)

// A coinBook is what blocks did to addresses: which coins lie there, and what took others. It is in memory alone, bounded by maxCoins and maxSpends.
type coinBook struct {
	chain  string
	asset  verify.Asset
	texts  []string // addresses
	pays   []bitcoin.Script
	owners map[string]int // index of an address, by its script
	known  map[psbt.ID]bool
	coins  map[psbt.Outpoint]ownCoin
	sums   []uint64 // that lie at each address
	spends [][]verify.Spend
	all    int // spends
	mined  [][32]byte
}

type ownCoin struct {
	owner  int
	amount uint64
}

func newCoinBook(n bitcoin.Network, q verify.Enquiry) (*coinBook, error) {
	b := &coinBook{
		chain: q.Chain, asset: verify.Asset{Name: q.Chain, Chain: q.Chain, Decimals: -1}, texts: q.Addresses, owners: map[string]int{}, known: map[psbt.ID]bool{},
		coins: map[psbt.Outpoint]ownCoin{}, sums: make([]uint64, len(q.Addresses)), spends: make([][]verify.Spend, len(q.Addresses)),
	}
	for i, text := range q.Addresses {
		s, err := n.ParseAddress(text)
		if err != nil {
			return nil, err
		}
		b.pays, b.owners[string(s)] = append(b.pays, s), i
	}
	b.learn(q.Known)
	for _, a := range q.Assets {
		if a.Contract == "" {
			b.asset = a
		}
	}
	return b, nil
}

// learn adds ids that logs tell of.
func (b *coinBook) learn(ids [][32]byte) {
	for _, id := range ids {
		slices.Reverse(id[:]) // logs file the bytes that an id writes, the last first
		b.known[id] = true
	}
}

// take notes what a block does to the addresses.
func (b *coinBook) take(blk *block.Block, height uint32) error {
	witnessed := false
	for i, tx := range blk.Transactions {
		if b.known[tx.TxID] {
			b.mined = append(b.mined, shown(tx.TxID))
		}
		if i > 0 && slices.ContainsFunc(tx.Ins, func(in psbt.In) bool { _, ours := b.coins[in.Outpoint]; return ours }) {
			if !witnessed { // by whose signature a coin went is read off witnesses, which no id covers
				if err := blk.Witnessed(); err != nil {
					return err
				}
				witnessed = true
			}
			if err := b.spend(blk, tx, height); err != nil {
				return fmt.Errorf("block %s: %w", blk.Hash, err)
			}
		}
		for k, out := range tx.Outs {
			owner, ours := b.owners[string(out.Script)]
			if !ours {
				continue
			}
			o := psbt.Outpoint{ID: tx.TxID, Index: uint32(k)}
			if _, twice := b.coins[o]; twice {
				return fmt.Errorf("block %s makes coin %s, which was there already: no chain has both", blk.Hash, o)
			}
			if len(b.coins) == maxCoins {
				return fmt.Errorf("block %d: more than %d coins lie at the addresses at once, which is more than are kept", height, maxCoins)
			}
			if b.sums[owner]+out.Amount > bitcoin.MaxMoney { // each is at most that, so nothing overflows
				return fmt.Errorf("block %s: more lies at %s than there can be: no chain has it", blk.Hash, b.texts[owner])
			}
			b.coins[o] = ownCoin{owner, out.Amount}
			b.sums[owner] += out.Amount
		}
	}
	return nil
}

// shown is an id as logs file it.
func shown(id psbt.ID) [32]byte {
	slices.Reverse(id[:])
	return id
}

// spend notes what a transaction takes of each address.
func (b *coinBook) spend(blk *block.Block, in block.Transaction, height uint32) error {
	tx, err := psbt.ParseTx(in.Raw)
	if err != nil {
		return err
	}
	taken := make([]psbt.Out, len(tx.Ins)) // what others' inputs take is not known
	for k, in := range tx.Ins {
		if c, ours := b.coins[in.Outpoint]; ours {
			taken[k] = psbt.Out{Amount: c.amount, Script: b.pays[c.owner]}
		}
	}
	of := map[int]*verify.Spend{}
	var order []int
	for k, in := range tx.Ins {
		c, ours := b.coins[in.Outpoint]
		if !ours {
			continue
		}
		by, err := bitcoin.SpentBy(tx, k, taken)
		if err != nil {
			return err
		}
		recovery := ""
		if by.Recovery != nil {
			recovery = fmt.Sprintf("%x", by.Recovery.Key)
		}
		s := of[c.owner]
		if s == nil {
			s = &verify.Spend{ID: shown(tx.ID()), Block: uint64(height), Time: blockTime(blk.Header), Recovery: recovery, Checked: true}
			of[c.owner], order = s, append(order, c.owner)
		}
		if s.Recovery != recovery { // what took one of them by the vault's key stands in logs
			s.Recovery = ""
		}
		s.Checked = s.Checked && by.Checked
		s.Coins = append(s.Coins, b.chain+"/"+in.Outpoint.String())
		if b.all++; b.all > maxSpends {
			return fmt.Errorf("more than %d coins were spent from the addresses, which is more than are kept", maxSpends)
		}
		delete(b.coins, in.Outpoint)
		b.sums[c.owner] -= c.amount
	}
	for _, owner := range order {
		b.spends[owner] = append(b.spends[owner], *of[owner])
	}
	return nil
}

// weigh is what lies at each address by now.
func (b *coinBook) weigh() (out []verify.AddressFacts) {
	for i, text := range b.texts {
		x := verify.Balance{Asset: b.asset.Name, Amount: strconv.FormatUint(b.sums[i], 10)}
		if b.asset.Decimals >= 0 {
			x.Units = evm.FormatUnits(new(big.Int).SetUint64(b.sums[i]), uint8(b.asset.Decimals)) + " " + b.asset.Name
		}
		out = append(out, verify.AddressFacts{Address: text, Balances: []verify.Balance{x}})
	}
	return out
}

// tell writes down what took coins of each address.
func (b *coinBook) tell(out *verify.Facts) {
	out.Mined = slices.Clone(b.mined)
	for i := range out.Addresses {
		out.Addresses[i].Spends = slices.Clone(b.spends[i])
	}
}
