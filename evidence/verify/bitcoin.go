package verify

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Spend is one transaction of Bitcoin that took coins of an address.
type Spend struct {
	ID       [32]byte // as logs file it: the bytes that its id writes
	Block    uint64
	Time     time.Time // that the block's miner said: BlockClock wide of the truth
	Coins    []string  // of the address that it took, each CHAIN/TXID:INDEX
	Recovery string    // the key outside the vault, x-only in hex, by whose leaf it took all of them (spec/chain-bitcoin 8); empty: the address's own key did
	Checked  bool      // each signature was verified here, under the key that it needs
}

// BlockClock is how wide of the truth a block's time may be: two hours ahead by the network's rule, and behind by what the eleven blocks before it took, with room.
const BlockClock = 2 * time.Hour

// stale is how old a chain's newest block is before its endpoint is said to be behind: blocks come ten minutes apart.
const stale = 6 * time.Hour

func bitcoinChain(name string) bool { return strings.HasPrefix(name, "bip122:") }

// ParseAddress reads an address of a chain that can be asked, and writes it as logs do.
func ParseAddress(chain, text string) (string, error) {
	switch {
	case solanaChain(chain):
		k, err := solana.ParseKey(text)
		return k.String(), err
	case !bitcoinChain(chain):
		a, err := evm.ParseAddress(text)
		return a.String(), err
	}
	n, err := bitcoin.NetworkOf(chain)
	if err != nil {
		return "", err
	}
	s, err := n.ParseAddress(text)
	if err != nil {
		return "", err
	}
	return n.Address(s)
}

// onBitcoin is what an address that was given out is on another network of Bitcoin: keys and scripts are the same on all. "": it is none of Bitcoin's.
func (a Address) onBitcoin(chain string) string {
	if !bitcoinChain(a.Chain) {
		return ""
	}
	from, err := bitcoin.NetworkOf(a.Chain)
	if err != nil {
		return ""
	}
	s, err := from.ParseAddress(a.Address)
	if err != nil {
		return ""
	}
	to, err := bitcoin.NetworkOf(chain)
	if err != nil {
		return ""
	}
	text, err := to.Address(s)
	if err != nil {
		return ""
	}
	return text
}

// enquireBitcoin is Enquire for a network of Bitcoin. Since is the earliest time at which somebody could be told to pay: of an address that the reader named, when the vault's first key came into force.
func (r *Report) enquireBitcoin(chain string) Enquiry {
	q := Enquiry{Chain: chain}
	dated := true
	for _, v := range r.Vaults {
		for _, a := range v.Addresses {
			text := a.onBitcoin(chain)
			if text == "" {
				continue
			}
			at := a.Given
			if a.Named {
				at = v.keyed
			}
			if dated = dated && !at.IsZero(); dated { // no operator has it begin before there was the vault, and the reading last for ever
				at = later(at, r.born[v.Name].Add(-intent.Skew))
			}
			q.Since = first(q.Since, at)
			if !slices.Contains(q.Addresses, text) {
				q.Addresses = append(q.Addresses, text)
			}
		}
	}
	if !dated {
		q.Since = time.Time{}
	}
	for _, s := range r.signed {
		if s.chain == "" || bitcoinChain(s.chain) {
			q.Known = append(q.Known, s.id)
		}
	}
	for _, a := range r.Assets {
		if a.Chain == chain {
			q.Assets = append(q.Assets, a)
		}
	}
	slices.Sort(q.Addresses)
	return q
}

// coins are those that a signed request of Bitcoin spends. Where its change goes is an address of the vault, whether or not anybody gave it out: what is spent from there is compared too.
func (q *request) coins() []string {
	if !bitcoinChain(q.intent.Chain) {
		return nil
	}
	tx, err := q.vault.bitcoin(q.intent)
	if err != nil {
		return nil // that is said of the request
	}
	for _, o := range tx.Outputs() {
		if o.Change != nil {
			q.vault.changeTo(o.Address, q.intent.Chain, o.Change.Path, q.first)
		}
	}
	return tx.Spends()
}

// changeTo adds an address to those of the vault, in their order.
func (x *vault) changeTo(address, chain string, path [3]uint32, at time.Time) {
	if slices.ContainsFunc(x.out.Addresses, func(a Address) bool { return a.Address == address && a.Chain == chain }) {
		return
	}
	a := Address{Address: address, Chain: chain, Path: statement.FormatPath(path[:]...), Account: x.accounts[statement.FormatPath(path[:2]...)], Given: at, Change: true}
	n, _ := slices.BinarySearchFunc(x.out.Addresses, a, func(a, b Address) int { return strings.Compare(a.Path+a.Chain, b.Path+b.Chain) })
	x.out.Addresses = slices.Insert(x.out.Addresses, n, a)
}

// A coinComparison is of one vault on one network of Bitcoin.
type coinComparison struct {
	comparison
	logged map[[32]byte]bool // transactions: one may take coins of several addresses
}

// reconcileBitcoin holds the logs to blocks: each transaction that took a coin of a vault's address stands in the logs of t who held the key.
func (r *Report) reconcileBitcoin(f Facts) {
	reserves, found := map[string]*Reserve{}, map[[32]byte]bool{}
	for _, id := range f.Mined {
		found[id] = true
	}
	for _, a := range f.Addresses {
		for _, s := range a.Spends {
			found[s.ID] = true
		}
	}
	for i := range r.Vaults {
		v := &r.Vaults[i]
		x := coinComparison{comparison{r: r, f: f, vault: v, found: found}, map[[32]byte]bool{}}
		var seen []string // an address stands once for each network it was given out for
		for n := range v.Addresses {
			a := &v.Addresses[n]
			text := a.onBitcoin(f.Chain)
			k := slices.IndexFunc(f.Addresses, func(o AddressFacts) bool { return o.Address == text })
			own := a.Chain == f.Chain
			if k < 0 || !own && slices.Contains(seen, text) {
				continue
			}
			on := x.compare(f.Addresses[k], !slices.Contains(seen, text))
			seen = append(seen, text)
			if own {
				a.Chained = &on
				r.reserve(reserves, f, *a, f.Addresses[k].Balances)
			}
		}
		x.conclude()
	}
	r.elsewhereTaken(f)
	r.notInBlocks(f, found)
	r.reads(f)
	r.concludeReserves(f, reserves)
}

func (x *coinComparison) basis() string {
	word := " says"
	if len(x.f.Endpoints) > 1 {
		word = " say alike"
	}
	return fmt.Sprintf("each block from %d to %d (%s) was read whole, and its work, order and contents checked here; that no other chain has more work is as %s%s",
		x.f.From, x.f.Height, x.f.Block, strings.Join(x.f.Endpoints, " and "), word)
}

// compare holds what took one address's coins to the logs. What is wrong is told once.
func (x *coinComparison) compare(a AddressFacts, tell bool) OnChain {
	out := OnChain{Height: x.f.Height, Block: x.f.Block, At: x.f.At, Balances: a.Balances, Outgoing: len(a.Spends)}
	if len(a.Balances) > 0 {
		out.Balance = a.Balances[0].Amount
	}
	if tell {
		x.addresses++
	}
	for _, s := range a.Spends {
		id := hex.EncodeToString(s.ID[:])
		name := fmt.Sprintf("transaction %s (block %d%s)", id, s.Block, atTime(s.Time))
		if s.Recovery != "" {
			out.Recovered = append(out.Recovered, id)
			if tell {
				x.r.attend(fmt.Sprintf("%s took %s of %s by the recovery key %s, which is outside vault %s: no signature of the vault's, so no log tells of it%s",
					name, count(len(s.Coins), "coin", "coins"), a.Address, s.Recovery, x.vault.Name, checkedBy(s)))
			}
			continue
		}
		switch reason, newer := x.judge(s); {
		case newer:
			out.Newer = append(out.Newer, id)
			if tell {
				x.r.attend(fmt.Sprintf("%s of %s is newer than the logs that are shown, as far as times of blocks tell (two hours): verify again once they go on", name, a.Address))
			}
		case reason != "":
			out.Unlogged = append(out.Unlogged, id)
			if x.wrong = true; tell {
				x.r.failAs(Attested, "address "+a.Address, fmt.Sprintf("each transaction that spends its coins on %s stands in the logs", x.f.Chain), x.basis(),
					"unlogged: "+name+", which spends coins of "+a.Address+", "+reason+checkedBy(s))
			}
		default:
			x.logged[s.ID] = true
		}
	}
	return out
}

func checkedBy(s Spend) string {
	switch {
	case !s.Checked:
		return "; its signatures were not verified here"
	case s.Recovery != "":
		return "; its signatures, verified here, are by that key"
	}
	return "; its signatures, verified here, are by the address's key"
}

// judge is a comparison's, of a transaction that has no nonce, and in a block whose time is wide of the truth. What logs tell of as one of another chain was ruled on by that chain's caps.
func (x *coinComparison) judge(s Spend) (reason string, newer bool) {
	o := Outgoing{Hash: s.ID, Block: s.Block, Time: s.Time.Add(BlockClock)}
	l := x.r.leaf(x.vault.Name, s.ID)
	if l == nil {
		return x.comparison.judge("", o)
	}
	if l.chain != "" && l.chain != x.f.Chain {
		return fmt.Sprintf("is said to be of chain %s: the logs show request %s for that one under its id", l.chain, l.request.Short()), false
	}
	o.Nonce = l.nonce
	return x.comparison.judge(l.from, o)
}

func (x *coinComparison) conclude() {
	if x.addresses == 0 || x.wrong {
		return
	}
	x.r.claim(Attested, "vault "+x.vault.Name, fmt.Sprintf("each of %s that spend coins of its %s on %s, from block %d on, stands in the logs of those who signed",
		count(len(x.logged), "transaction", "transactions"), count(x.addresses, "address", "addresses"), x.f.Chain, x.f.From), x.basis())
}

// elsewhereTaken finds what logs tell that the chain took for good where it took another that spends the same coin. A request that was signed twice has two ids, and either is it.
func (r *Report) elsewhereTaken(f Facts) {
	by := map[string][32]byte{}
	for _, a := range f.Addresses {
		for _, s := range a.Spends {
			for _, c := range s.Coins {
				by[c] = s.ID
			}
		}
	}
	for _, s := range r.signed {
		if len(s.took) == 0 || s.chain != f.Chain {
			continue
		}
		for _, c := range s.coins {
			id, spent := by[c]
			if !spent || slices.ContainsFunc(r.byID[id], func(i int) bool { return r.signed[i].vault == s.vault && r.signed[i].request == s.request }) {
				continue
			}
			r.failAs(Attested, "vault "+s.vault, fmt.Sprintf("the chain took what its logs say that %s took", f.Chain), "as "+strings.Join(f.Endpoints, " and ")+" says",
				fmt.Sprintf("coin %s is spent by transaction %x, and the logs of %s tell that request %s took it for good, so that caps count that alone", strings.TrimPrefix(c, f.Chain+"/"), id, strings.Join(s.took, ", "), s.request.Short()))
			break
		}
	}
}

// notInBlocks notes transactions that logs tell of and no block has that was read.
func (r *Report) notInBlocks(f Facts, found map[[32]byte]bool) {
	n := 0
	for _, s := range r.signed {
		if s.chain == f.Chain && !found[s.id] && s.first.After(f.Before) {
			n++
		}
	}
	if n > 0 {
		r.claim(Attested, "chain "+f.Chain, fmt.Sprintf("%s not in it up to block %d", count(n, "transaction that was signed is", "transactions that were signed are"), f.Height),
			"never broadcast, still waiting, or another took its coins; what the logs tell of counts as spent until then")
	}
}

// reads says what reading from a block on leaves out, and whether the endpoint is behind.
func (r *Report) reads(f Facts) {
	since := r.enquireBitcoin(f.Chain).Since
	switch {
	case f.Before.IsZero() || len(f.Addresses) == 0: // all blocks that there are
	case since.IsZero():
		r.attend(fmt.Sprintf("chain %s was read from block %d on, and no log says since when its addresses were given out: coins that were paid before are neither compared nor counted", f.Chain, f.From))
	case !f.Before.Before(since.Add(-BlockClock)):
		r.attend(fmt.Sprintf("chain %s was read from block %d on, whose block before is of %s, and an address was given out at %s: coins that were paid before that block are neither compared nor counted", f.Chain, f.From, statement.FormatTime(f.Before), statement.FormatTime(since)))
	}
	if r.Time.Sub(f.Time) > stale {
		r.attend(fmt.Sprintf("the newest block of chain %s, as %s has it, is of %s: it may be behind, and what is newer was not compared", f.Chain, strings.Join(f.Endpoints, " and "), statement.FormatTime(f.Time)))
	}
}
