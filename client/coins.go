package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Holding is what an account holds on a chain of Bitcoin, as two nodes or more read it in its blocks.
type Holding struct {
	Vault   bitcoin.Vault
	Coins   []Coin       // that two nodes show alike, the most valuable first
	Doubted int          // coins that one node alone shows: one of them is behind, or lies
	Left    int          // coins that the nodes do not list, as there are too many
	Sum     uint64       // satoshis of Coins
	Height  uint32       // to which all of these nodes have read
	Behind  uint32       // blocks that the one which is furthest behind has still to read
	Rate    bitcoin.Rate // that confirms soon, the larger of what they say
	Nodes   []string
}

// A Coin is one of them.
type Coin struct {
	coins.Coin
	Height   uint32 // of its block; 0: it waits
	Coinbase bool
	Opens    uint32         // in how many blocks its recovery leaf opens, and 1; 0: it has none
	Reserved statement.ID   // the intent that spends it; zero: none
	Possibly []statement.ID // that spend it, came to their end, and may be signed all the same
}

// maxCoins bounds what one node may show.
const maxCoins = 4096

// Holding asks every node what an account holds on a chain, needs two answers, and takes what two of them say alike.
func (c *Circle) Holding(ctx context.Context, v Vault, a Account, on string) (out Holding, err error) {
	if out.Vault, err = v.bitcoin(on); err != nil {
		return out, err
	}
	req := &v1.CoinsRequest{Vault: v.ID[:], Department: a.Department, Account: a.Name, Chain: on}
	answers := Ask(ctx, c, func(ctx context.Context, m *Member) (Holding, error) {
		res, err := m.Coins(ctx, connect.NewRequest(req))
		if err != nil {
			return Holding{}, err
		}
		mine, err := v.bitcoin(on) // each answer is read with keys of its own: a vault remembers what it derived, and answers come at once
		if err != nil {
			return Holding{}, err
		}
		h, err := readHolding(mine, a, res.Msg)
		if err != nil {
			return h, &VerifyError{m.Name, err}
		}
		return h, nil
	})
	good, err := answers.Need("read the account's coins at two nodes", 2)
	if err != nil {
		return out, err
	}
	out.Height = good[0].Value.Height
	said := map[psbt.Outpoint][]Coin{}
	slowest := good[0].Value.Rate
	for _, one := range good {
		h := one.Value
		out.Nodes = append(out.Nodes, one.Node)
		out.Height, out.Behind, out.Left, out.Rate = min(out.Height, h.Height), max(out.Behind, h.Behind), max(out.Left, h.Left), max(out.Rate, h.Rate)
		slowest = min(slowest, h.Rate)
		for _, coin := range h.Coins {
			said[coin.Outpoint] = append(said[coin.Outpoint], coin)
		}
	}
	if slowest*apart < out.Rate {
		return out, &Difference{What: "fees on " + on, Groups: [][]string{out.Nodes}, Shown: []string{fmt.Sprintf("from %s to %s", slowest, out.Rate)}}
	}
	for at, all := range said {
		if len(all) < 2 {
			out.Doubted++
			continue
		}
		for _, x := range all[1:] {
			if x.Amount != all[0].Amount || x.Spot != all[0].Spot || !bytes.Equal(x.Previous, all[0].Previous) {
				return out, &Difference{What: "coin " + at.String(), Groups: [][]string{out.Nodes}, Shown: []string{fmt.Sprintf("%d sat of %s, and %d sat of %s", x.Amount, x.Spot, all[0].Amount, all[0].Spot)}}
			}
		}
		out.Coins = append(out.Coins, all[0])
		out.Sum += all[0].Amount
	}
	slices.SortFunc(out.Coins, func(a, b Coin) int {
		return cmp.Or(cmp.Compare(b.Amount, a.Amount), strings.Compare(a.Outpoint.String(), b.Outpoint.String()))
	})
	return out, nil
}

// bitcoin is the vault as who builds its transactions sees it, under the charter in force.
func (v Vault) bitcoin(on string) (bitcoin.Vault, error) {
	x, ok := charter.Charter{}, v.rules != nil
	if ok {
		x, ok = v.rules.History.Version(v.Under)
	}
	if !ok {
		return bitcoin.Vault{}, fmt.Errorf("the charter in force, %s, is not shown", v.Under.Short())
	}
	at, err := v.context(x)
	if err != nil {
		return bitcoin.Vault{}, err
	}
	return payload.BitcoinVault(on, at)
}

// readHolding reads one node's answer. Each coin lies at a key of the account, and of P2WPKH the transaction that made it says what it holds.
func readHolding(v bitcoin.Vault, a Account, m *v1.CoinsResponse) (h Holding, err error) {
	if len(m.Coins) > maxCoins {
		return h, fmt.Errorf("shows %d coins, more than %d", len(m.Coins), maxCoins)
	}
	h = Holding{Left: int(m.Left), Height: m.Height, Behind: m.Behind, Rate: bitcoin.Rate(m.Rate)}
	seen := map[psbt.Outpoint]bool{}
	for _, x := range m.Coins {
		c, err := readCoin(v, a, x)
		if err != nil {
			return h, fmt.Errorf("coin %x:%d: %w", x.Transaction, x.Index, err)
		}
		if seen[c.Outpoint] || c.Amount > bitcoin.MaxMoney {
			return h, fmt.Errorf("coin %s of %d sat stands twice, or holds more than there is", c.Outpoint, c.Amount)
		}
		seen[c.Outpoint] = true
		h.Coins = append(h.Coins, c)
	}
	return h, nil
}

func readCoin(v bitcoin.Vault, a Account, m *v1.Coin) (c Coin, err error) {
	if len(m.Transaction) != 32 || len(m.Path) != 3 || [2]uint32(m.Path[:2]) != a.Path {
		return c, fmt.Errorf("its transaction has %d bytes, and its path is %v, of another account than %v", len(m.Transaction), m.Path, a.Path)
	}
	id := slices.Clone(m.Transaction)
	slices.Reverse(id) // people write the last byte first
	c.Outpoint = psbt.Outpoint{ID: psbt.ID(id), Index: m.Index}
	c.Spot = bitcoin.Spot{Suite: m.Suite, Path: [3]uint32(m.Path), Plain: m.Plain}
	c.Amount, c.Waits, c.Own, c.Height, c.Coinbase, c.Opens = m.Amount, m.Height == 0, m.Own, m.Height, m.Coinbase, m.Opens
	script, err := v.Script(c.Spot)
	if err != nil || m.Suite != bitcoin.SuiteECDSA {
		return c, err
	}
	tx, err := psbt.ParseTx(bytes.Clone(m.Previous))
	switch {
	case err != nil:
		return c, fmt.Errorf("the transaction that made it: %w", err)
	case tx.ID() != c.Outpoint.ID || uint64(m.Index) >= uint64(len(tx.Outs)):
		return c, fmt.Errorf("the transaction that made it is %s, or has no output %d", tx.ID(), m.Index)
	case tx.Outs[m.Index].Amount != m.Amount || !bytes.Equal(tx.Outs[m.Index].Script, script):
		return c, fmt.Errorf("the transaction that made it pays %d sat there, or to another address", tx.Outs[m.Index].Amount)
	}
	c.Previous = m.Previous
	return c, nil
}

// A Payment is what a person asks to be paid on Bitcoin, in one transaction of one account's coins.
type Payment struct {
	Vault    Vault
	Account  Account
	Chain    string
	Payments []coins.Payment
	Note     []byte          // written into the transaction for all to read (OP_RETURN); nil: none
	Coins    []psbt.Outpoint // to be spent, all of them; nil: what fits
	Change   *bitcoin.Spot   // nil: the account's newest address
	Rate     bitcoin.Rate    // 0: what the nodes say
	Gather   int             // instead of payments, the account's least valuable coins become one, so many at most; 0: no
	Fixed    bool            // no higher fee may replace it
	As       string          // as in Sender
	Replaces statement.ID    // likewise
	Memo     string          // for the approvers
	Life     time.Duration   // zero: the vault's
}

// PreparePayment makes an intent's statement, out of coins that no other intent spends.
func (c *Circle) PreparePayment(ctx context.Context, p Payment) (statement.Statement, error) {
	h, err := c.free(ctx, p)
	if err != nil {
		return statement.Statement{}, err
	}
	raw, err := p.compose(h)
	if err != nil {
		return statement.Statement{}, err
	}
	return c.PreparePacket(p, raw)
}

// compose is the payment in its unsigned form, out of what the account holds.
func (p Payment) compose(h Holding) (raw []byte, err error) {
	if p.Rate == 0 {
		p.Rate = h.Rate
	}
	if p.Rate == 0 {
		return nil, &EarlyError{"no node knows what a fee is: give --fee-rate"}
	}
	change, err := p.change()
	if err != nil {
		return nil, err
	}
	purse := coins.Purse{Vault: h.Vault}
	for _, coin := range h.Coins {
		if coin.Reserved.IsZero() && (!coin.Coinbase || h.Height >= coin.Height+99) && (p.Coins == nil || slices.Contains(p.Coins, coin.Outpoint)) {
			purse.Coins = append(purse.Coins, coin.Coin)
		}
	}
	if p.Coins != nil && len(purse.Coins) != len(p.Coins) {
		return nil, &RefusedError{fmt.Sprintf("%d of the %d coins that you name can be spent: `ostraka coin list` shows them", len(purse.Coins), len(p.Coins))}
	}
	if p.Gather > 0 { // nobody is paid, and so nobody twice
		raw, _, err = purse.Consolidate(change, p.Rate, p.Gather)
	} else {
		t := coins.Transfer{Payments: p.Payments, Memo: p.Note, Change: change, Rate: p.Rate, Fixed: p.Fixed}
		if t.With, err = p.with(h); err != nil {
			return nil, err
		}
		raw, _, err = purse.Pay(t)
	}
	if err != nil {
		return nil, &RefusedError{err.Error()}
	}
	return raw, nil
}

// with are coins that a payment spends, whatever else it spends: one of each intent that ended and may be signed. Else an operator that keeps a signature back until people have proposed the
// payment anew, with other coins, has it made twice. One that another intent spends is not enough: that may pay somebody else, and the chain take the first in its place.
func (p Payment) with(h Holding) (some []psbt.Outpoint, err error) {
	for id, g := range h.unsettled() {
		i := slices.IndexFunc(g.free, func(o psbt.Outpoint) bool { return p.Coins == nil || slices.Contains(p.Coins, o) })
		switch {
		case len(g.free) == 0:
			return nil, &EarlyError{fmt.Sprintf("intent %s ended, and may be signed all the same; intent %s spends what it spends, and stands in no block yet. If the first lands in its place, who pays beside them may pay twice: wait until the second stands in a block, or end it", id.Short(), g.held.Short())}
		case i < 0:
			return nil, &RefusedError{fmt.Sprintf("intent %s ended, and may be signed all the same: spend one of its coins as well (`--coin %s`), so that the chain takes one of the two, or who pays this may pay twice", id.Short(), g.free[0])}
		case !slices.Contains(some, g.free[i]):
			some = append(some, g.free[i])
		}
	}
	return some, nil
}

// change is where what is left goes: an address that was given out, and at which two nodes look for coins, whatever one of them says.
func (p Payment) change() (bitcoin.Spot, error) {
	if p.Change != nil {
		return *p.Change, nil
	}
	for _, suite := range []string{bitcoin.SuiteBIP340, bitcoin.SuiteECDSA} {
		if n := p.Account.Looked(suite); n > 0 && slices.Contains(p.Vault.Suites, suite) {
			return bitcoin.Spot{Suite: suite, Path: [3]uint32{p.Account.Path[0], p.Account.Path[1], uint32(n - 1)}}, nil
		}
	}
	return bitcoin.Spot{}, &EarlyError{fmt.Sprintf("account %s/%s has no address for change: ask for one with `ostraka address new`", p.Account.Department, p.Account.Name)}
}

// free is what the account holds, with which intents spend what.
func (c *Circle) free(ctx context.Context, p Payment) (Holding, error) {
	h, err := c.Holding(ctx, p.Vault, p.Account, p.Chain)
	if err != nil {
		return h, err
	}
	all, _, err := c.Cases(ctx, []Vault{p.Vault}, p.Vault.ID)
	if err != nil {
		return h, fmt.Errorf("read which coins other intents spend: %w", err)
	}
	h.Reserve(all)
	return h, nil
}

// Reserve notes which coins intents spend that may yet be signed, or are, and which those spend that ended without a signature and may have one. A transaction that no chain will take any more holds nothing.
func (h *Holding) Reserve(all []*Case) {
	spent, possibly := spenders(all), possiblySpent(all)
	for i, coin := range h.Coins {
		name := h.Vault.Network.Chain + "/" + coin.Outpoint.String()
		h.Coins[i].Reserved, h.Coins[i].Possibly = spent[name], possibly[name]
	}
}

// An unsettled intent ended, and may be signed: coins of it that no other intent spends, the most valuable first, and one that spends another of them.
type unsettled struct {
	free []psbt.Outpoint
	held statement.ID
}

// unsettled are those of which a coin lies there still.
func (h Holding) unsettled() map[statement.ID]*unsettled {
	out := map[statement.ID]*unsettled{}
	for _, coin := range h.Coins {
		for _, id := range coin.Possibly {
			if out[id] == nil {
				out[id] = &unsettled{}
			}
			if coin.Reserved.IsZero() {
				out[id].free = append(out[id].free, coin.Outpoint)
			} else {
				out[id].held = coin.Reserved
			}
		}
	}
	return out
}

// PreparePacket makes the statement of an intent over a transaction in its unsigned form (spec/chain-bitcoin 4), whoever built it.
func (c *Circle) PreparePacket(p Payment, raw []byte) (statement.Statement, error) {
	v, err := p.Vault.bitcoin(p.Chain)
	if err != nil {
		return statement.Statement{}, err
	}
	tx, err := bitcoin.Decode(raw, v)
	if err != nil {
		return statement.Statement{}, &RefusedError{fmt.Sprintf("no node would sign it: %v", err)}
	}
	first := tx.Inputs()[0]
	s := Sender{Vault: p.Vault, Account: p.Account, Chain: p.Chain, Index: first.Path[2], As: p.As, Replaces: p.Replaces}
	i := slices.IndexFunc(p.Vault.Roots, func(r Root) bool { return r.Suite == first.Suite })
	if i < 0 {
		return statement.Statement{}, fmt.Errorf("vault %s has no key of suite %s", p.Vault.Name, first.Suite)
	}
	s.Root = p.Vault.Roots[i]
	a, err := c.begin(s, p.Memo, p.Life)
	if err != nil {
		return statement.Statement{}, err
	}
	a.Purpose, a.Transaction = intent.PurposeTransaction, raw
	return s.written(a)
}

// ImportPacket makes the unsigned form of another wallet's packet (BIP 174).
func (v Vault) ImportPacket(on string, packet []byte) ([]byte, error) {
	b, err := v.bitcoin(on)
	if err != nil {
		return nil, err
	}
	return bitcoin.Import(packet, b)
}

// Packet is an intent's transaction for other wallets (BIP 174): with its signatures, once they are there.
func (c *Case) Packet() ([]byte, error) {
	p, ok := c.Payload.(*payload.Bitcoin)
	if !ok {
		return nil, fmt.Errorf("intent %s is no transaction of Bitcoin", c.ID().Short())
	}
	if c.Signed == nil {
		return p.Unsigned(), nil
	}
	_, sigs, err := p.Transaction.ParseSigned(c.Signed.Raw)
	if err != nil {
		return nil, err
	}
	return p.Export(sigs)
}

// ParseOutpoint reads TXID:INDEX, as people write it.
func ParseOutpoint(text string) (o psbt.Outpoint, err error) {
	id, index, ok := strings.Cut(text, ":")
	raw, err := hex.DecodeString(id)
	if !ok || err != nil || len(raw) != 32 {
		return o, fmt.Errorf("coin %.100q: want TXID:INDEX", text)
	}
	slices.Reverse(raw)
	o.ID = psbt.ID(raw)
	if _, err := fmt.Sscanf(index, "%d", &o.Index); err != nil || o.String() != text {
		return o, fmt.Errorf("coin %.100q: want TXID:INDEX, in lower case", text)
	}
	return o, nil
}

// Reclaim is a transaction for the wallet that holds a vault's recovery key (spec/chain-bitcoin 8.3): it takes coins whose leaf is open to one address. Nobody of the vault signs it.
func (h Holding) Reclaim(some []psbt.Outpoint, to string, rate bitcoin.Rate) (*bitcoin.Reclaim, error) {
	if h.Vault.Recovery == nil {
		return nil, &RefusedError{"the vault's addresses have no recovery: it is chosen when a vault is made"}
	}
	if rate == 0 {
		rate = h.Rate
	}
	var lost []bitcoin.Lost
	for _, c := range h.Coins {
		if c.Opens == 0 || some != nil && !slices.Contains(some, c.Outpoint) {
			continue
		}
		k, err := h.Vault.Key(c.Suite, c.Path)
		if err != nil {
			return nil, err
		}
		lost = append(lost, bitcoin.Lost{Outpoint: c.Outpoint, Amount: c.Amount, Internal: k.Public})
	}
	if len(lost) == 0 || some != nil && len(lost) != len(some) {
		return nil, &RefusedError{fmt.Sprintf("%d of the account's coins have a recovery leaf: `ostraka coin list` shows them", len(lost))}
	}
	return h.Vault.Recovery.Reclaim(h.Vault.Network, lost, to, rate)
}
