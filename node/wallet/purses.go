package wallet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/coins"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// Ahead is how many addresses beyond those that this node gave out, or found used, it looks for in blocks: other nodes give out addresses too, and count for themselves.
const Ahead = 40

// early is how long before a vault's making its first block is looked for: miners' clocks may be two hours off, and ours.
const early = 24 * time.Hour

// Purses know what the vaults hold on Bitcoin, from the blocks that this node reads at its own endpoints. Nobody's signature hangs on them: every coin is asked for again before a
// node allows that it is spent (spec/chain-bitcoin 7).
type Purses struct {
	Journal  *journal.Journal
	Panels   map[string]*coin.Panel // by chain
	Accounts *Accounts
	Vaults   func() []ceremony.View // with a key
	Desk     *decide.Desk
	Log      *slog.Logger

	mu    sync.Mutex
	books map[string]*shelf
}

// A shelf is the book of one chain, and up to which index each account's addresses are looked for there.
type shelf struct {
	book   *coins.Book
	told   map[row]uint32
	used   map[statement.ID]map[string]bool // by vault: scripts that moves show, as the book was when this process began
	own    map[psbt.ID]bool                 // transactions of vaults whose change is looked for
	late   map[statement.ID]outrun          // those given up of late: a reorganisation may bring them back
	loaded bool
	behind uint32
	err    error
	sought psbt.ID // up to this block transactions were looked for that somebody may have kept back
}

// A row is an account's addresses of one suite.
type row struct {
	vault statement.ID
	suite string
	path  [2]uint32
}

// Step reads on in the blocks of every chain of which there are vaults and endpoints, and follows what was signed there.
func (p *Purses) Step(ctx context.Context, now time.Time) {
	for on, panel := range p.Panels {
		if ctx.Err() != nil {
			return
		}
		s, err := p.shelf(on)
		if err != nil {
			p.Log.Warn("blocks not read", "chain", on, "error", err)
			continue
		}
		err = p.read(ctx, now, on, panel, s)
		p.mu.Lock()
		s.err = err
		p.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			p.Log.Warn("blocks not read", "chain", on, "error", err)
		}
		if err := errors.Join(p.seek(ctx, now, on, panel, s), p.follow(ctx, now, on, panel, s)); err != nil && ctx.Err() == nil {
			p.Log.Warn("transactions not followed", "chain", on, "error", err)
		}
	}
}

func (p *Purses) shelf(on string) (*shelf, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.books[on]; s != nil {
		return s, nil
	}
	b, err := coins.New(coins.Config{Chain: on, Journal: p.Journal, Blocks: p.Panels[on], Log: p.Log})
	if err != nil {
		return nil, err
	}
	if p.books == nil {
		p.books = map[string]*shelf{}
	}
	p.books[on] = &shelf{book: b, told: map[row]uint32{}, used: map[statement.ID]map[string]bool{}, own: map[psbt.ID]bool{}, late: map[statement.ID]outrun{}}
	return p.books[on], nil
}

// read tells the book of all addresses, reads some blocks, and reads those again in which an address beyond was used that it had not been told of.
func (p *Purses) read(ctx context.Context, now time.Time, on string, panel *coin.Panel, s *shelf) error {
	if err := p.load(ctx, now, on, s); err != nil {
		return err
	}
	born, any, err := p.tell(ctx, on, s)
	if err != nil || !any {
		return err
	}
	if err := s.tellChange(p.Desk.OnTheWay(), on); err != nil {
		return err
	}
	before, _, begun := s.book.Height()
	behind, err := s.book.Step(ctx)
	if errors.Is(err, coins.ErrNotBegun) {
		if before, err = p.first(ctx, panel, born.Add(-early)); err == nil {
			p.Log.Info("blocks are read", "chain", on, "from", before)
			err = s.book.Begin(ctx, before)
		}
		if err == nil {
			behind, err = s.book.Step(ctx)
		}
	} else if !begun {
		before = 0 // it had begun, and read nothing yet
	}
	p.mu.Lock()
	s.behind = behind
	p.mu.Unlock()
	if err != nil {
		return err
	}
	more, err := p.extend(ctx, on, s)
	if err == nil && more {
		err = s.book.Rescan(ctx, before)
	}
	return err
}

// serves says whether a vault's key has addresses on a chain.
func serves(v ceremony.View, on string) bool {
	return v.Current != nil && slices.Contains(v.Vault.Chains, on) && chain.Serves(v.Suite, on)
}

// load reads a book once there is a vault, and which addresses were ever used: how far it was looked before this process began stands nowhere else. Other nodes gave them out, and
// coins that were spent show them no more.
func (p *Purses) load(ctx context.Context, now time.Time, on string, s *shelf) error {
	if s.loaded {
		return nil
	}
	var vaults []statement.ID
	for _, v := range p.Vaults() {
		if serves(v, on) && !slices.Contains(vaults, v.Vault.ID) {
			vaults = append(vaults, v.Vault.ID)
		}
	}
	if len(vaults) == 0 {
		return nil
	}
	if err := s.book.Load(ctx); err != nil {
		return err
	}
	for _, id := range vaults {
		used := map[string]bool{}
		for after := (coins.Mark{}); ; {
			moves, err := s.book.History(ctx, id, after, pageOfMoves)
			if err != nil {
				return err
			}
			for _, m := range moves {
				for _, l := range m.Addresses {
					used[string(l.Script)] = true
				}
				after = m.Mark
			}
			if len(moves) < pageOfMoves {
				break
			}
		}
		s.used[id] = used
	}
	p.remember(now, on, s)
	s.loaded = true
	return nil
}

// pageOfMoves is how many are read at once.
const pageOfMoves = 1024

// tellChange makes known where change of signed transactions goes, before a block can hold it: whoever composed them may have chosen an address that nobody gave out.
func (s *shelf) tellChange(all []decide.Sent, on string) error {
	for _, sent := range all {
		b, ok := sent.Payload.(*payload.Bitcoin)
		if !ok || sent.Chain != on || s.own[b.ID()] {
			continue
		}
		tx, err := psbt.ParseTx(slices.Clone(sent.Raw))
		if err != nil {
			return err
		}
		for i, o := range b.Outputs() {
			if o.Change == nil {
				continue
			}
			if err := s.book.Watch(tx.Outs[i].Script, coins.Owner{Vault: sent.Vault, Spot: *o.Change}); err != nil {
				return err
			}
		}
		s.own[b.ID()] = true
	}
	return nil
}

// tell makes the scripts of all accounts on a chain known to its book. born is when the first of these vaults was made.
func (p *Purses) tell(ctx context.Context, on string, s *shelf) (born time.Time, any bool, err error) {
	for _, v := range p.Vaults() {
		if !serves(v, on) {
			continue
		}
		if !any || v.Vault.Created.Before(born) {
			born, any = v.Vault.Created, true
		}
		all, err := p.Accounts.List(ctx, v.Vault.ID)
		if err != nil {
			return born, any, err
		}
		for _, a := range all {
			if err := s.watch(on, v, a.Path, uint32(a.Addresses[v.Suite])+Ahead); err != nil {
				return born, any, err
			}
		}
	}
	return born, any, nil
}

// extend looks further where addresses near the end are used.
func (p *Purses) extend(ctx context.Context, on string, s *shelf) (more bool, err error) {
	for _, v := range p.Vaults() {
		if !serves(v, on) {
			continue
		}
		// Change may lie far beyond, where somebody put it: nobody looks at all that is between.
		in := func(p bitcoin.Spot) bool { return p.Path[2] < s.told[row{v.Vault.ID, p.Suite, [2]uint32(p.Path[:2])}] }
		for path, n := range s.book.Reached(v.Vault.ID, v.Suite, in) {
			was := s.told[row{v.Vault.ID, v.Suite, path}]
			if err := s.watch(on, v, path, n+Ahead); err != nil {
				return more, err
			}
			more = more || s.told[row{v.Vault.ID, v.Suite, path}] > was
		}
	}
	return more, ctx.Err()
}

// watch tells a book of an account's addresses below an index, and as far beyond those that were used before.
func (s *shelf) watch(on string, v ceremony.View, path [2]uint32, below uint32) error {
	at := row{v.Vault.ID, v.Suite, path}
	if s.told[at] >= below {
		return nil
	}
	network, err := bitcoin.NetworkOf(on)
	if err != nil {
		return err
	}
	node, err := hd.NewNode(v.Current.Record.Public, v.Current.Record.ChainCode, path[:])
	if err != nil {
		return err
	}
	own := bitcoin.Vault{Network: network, Recovery: policy.Recovery(v.Vault), Key: func(_ string, full [3]uint32) (k bitcoin.Key, err error) {
		child, err := node.Child(full[2])
		if err != nil {
			return k, err
		}
		return bitcoin.Key{Public: child.Bytes()}, nil
	}}
	for i := s.told[at]; i < below; i++ {
		// Who knows the key alone may pay to its address without the vault's leaf: that is the vault's too.
		for _, plain := range []bool{false, true}[:1+plains(own, v.Suite)] {
			spot := bitcoin.Spot{Suite: v.Suite, Path: [3]uint32{path[0], path[1], i}, Plain: plain}
			script, err := own.Script(spot)
			if skipped := (*hd.SkippedError)(nil); errors.As(err, &skipped) {
				break // one of 2^127 has no key
			}
			if err == nil {
				err = s.book.Watch(script, coins.Owner{Vault: v.Vault.ID, Spot: spot})
			}
			if err != nil {
				return err
			}
			if s.used[v.Vault.ID][string(script)] {
				below = max(below, i+1+Ahead)
			}
		}
	}
	s.told[at] = below
	return nil
}

// plains is how many addresses beside its own a key of a suite has.
func plains(v bitcoin.Vault, suite string) int {
	if v.Recovery != nil && suite == bitcoin.SuiteBIP340 {
		return 1
	}
	return 0
}

// first is the height of a block before a time, found from the newest one back. Where a block is no longer kept, the search ends: what is older cannot be read.
func (p *Purses) first(ctx context.Context, panel *coin.Panel, before time.Time) (uint32, error) {
	low, _, err := panel.Tip(ctx)
	if err != nil {
		return 0, err
	}
	older := func(height uint32) (bool, error) {
		id, err := panel.HashAt(ctx, height)
		if err != nil {
			return false, err
		}
		raw, err := panel.Block(ctx, id)
		if err != nil {
			return false, err
		}
		b, err := block.Parse(raw)
		return err == nil && time.Unix(int64(b.Header.Time), 0).Before(before), err
	}
	high := low
	for step := uint32(1); low > 0; step *= 2 {
		low -= min(step, low)
		yes, err := older(low)
		if endpoint.Environment(err) != nil {
			return 0, err
		}
		if err != nil {
			p.Log.Warn("blocks before are not kept by this node's endpoints, and what they hold is not found", "height", high, "error", err)
			return high, nil
		}
		if yes {
			break
		}
		high = low
	}
	for low+1 < high {
		middle := low + (high-low)/2
		yes, err := older(middle)
		if err != nil {
			return 0, err
		}
		if yes {
			low = middle
		} else {
			high = middle
		}
	}
	return low, nil
}

// A Purse is what an account holds on a chain.
type Purse struct {
	Coins  []Coin
	Left   int
	Height uint32
	Block  psbt.ID
	Behind uint32
	Rate   bitcoin.Rate
	Panel  string
}

// A Coin is one of them: in a block, or change of a transaction of ours that waits.
type Coin struct {
	coins.Coin
	Own, Waits bool
	Opens      uint32 // in how many blocks its recovery leaf opens, and 1; 0: it has none
}

// A Reading is how far a chain's blocks were read.
type Reading struct {
	Chain          string
	Height, Behind uint32
	Err            error // why no more are read; nil: they are
}

// State tells of all chains, by name; of those without vaults nothing.
func (p *Purses) State() (out []Reading) {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, on := range slices.Sorted(maps.Keys(p.books)) {
		s := p.books[on]
		if height, _, begun := s.book.Height(); begun || s.err != nil {
			out = append(out, Reading{on, height, s.behind, s.err})
		}
	}
	return out
}

// ErrNoPurse says why nothing is known of a chain.
var ErrNoPurse = errors.New("this node has no endpoint of that chain, or has read none of its blocks yet")

// Purse is what an account holds. What transactions on the way spend is left out, and what comes back of them is there.
func (p *Purses) Purse(ctx context.Context, on string, a charter.Account) (out Purse, err error) {
	if p == nil || p.Panels[on] == nil {
		return out, fmt.Errorf("chain %s: %w", on, ErrNoPurse)
	}
	panel := p.Panels[on]
	p.mu.Lock()
	s := p.books[on]
	if s != nil {
		out.Behind, err = s.behind, s.err
	}
	p.mu.Unlock()
	if s == nil {
		return out, fmt.Errorf("chain %s: %w", on, ErrNoPurse)
	}
	height, id, begun := s.book.Height()
	if !begun {
		return out, fmt.Errorf("chain %s: %w", on, errors.Join(ErrNoPurse, err))
	}
	if out.Rate, err = coin.Usual(ctx, panel); err != nil {
		return out, err
	}
	out.Height, out.Block, out.Panel = height, id, panel.String()
	all, left := s.book.Coins(a.Vault)
	out.Left = left.Count
	spent, change := onTheWay(p.Desk.OnTheWay(), on, a.Vault)
	leaf := p.leaf(a.Vault)
	for _, c := range all {
		if [2]uint32(c.Spot.Path[:2]) != a.Path || spent[c.Outpoint] || c.Long {
			continue
		}
		one := Coin{Coin: c, Own: p.Desk.Made(a.Vault, c.Outpoint.ID.String())}
		if leaf != nil && c.Spot.Suite == bitcoin.SuiteBIP340 && !c.Spot.Plain {
			one.Opens = leaf.Opens(c.Height, height) + 1
		}
		out.Coins = append(out.Coins, one)
	}
	for _, c := range change {
		if [2]uint32(c.Spot.Path[:2]) == a.Path && !spent[c.Outpoint] {
			out.Coins = append(out.Coins, c)
		}
	}
	slices.SortStableFunc(out.Coins, func(x, y Coin) int { return cmp.Compare(y.Amount, x.Amount) })
	return out, nil
}

// leaf is that of a vault's Taproot addresses; nil: they have none.
func (p *Purses) leaf(vault statement.ID) *bitcoin.Recovery {
	for _, v := range p.Vaults() {
		if v.Vault.ID == vault {
			return policy.Recovery(v.Vault)
		}
	}
	return nil
}

// Fill reads the transactions that made coins.
func (p *Purses) Fill(ctx context.Context, on string, some []Coin) error {
	p.mu.Lock()
	s := p.books[on]
	p.mu.Unlock()
	for i := range some {
		if some[i].Previous != nil || some[i].Waits {
			continue
		}
		one := []coins.Coin{some[i].Coin}
		if err := s.book.Fill(ctx, one); err != nil {
			return err
		}
		some[i].Coin = one[0]
	}
	return nil
}

// onTheWay are the coins that transactions of a vault spend which no block holds, and what comes back of them. Of two that spend one coin the chain takes one, and nobody knows which: what
// comes back of either is no coin yet.
func onTheWay(all []decide.Sent, on string, vault statement.ID) (spent map[psbt.Outpoint]bool, change []Coin) {
	spent = map[psbt.Outpoint]bool{}
	takers := map[psbt.Outpoint]int{}
	for _, s := range all {
		if b, ok := s.Payload.(*payload.Bitcoin); ok && s.Chain == on {
			for _, in := range b.Inputs() {
				takers[in.Outpoint]++
			}
		}
	}
	for _, s := range all {
		b, ok := s.Payload.(*payload.Bitcoin)
		if !ok || s.Vault != vault || s.Chain != on || settled(s) {
			continue
		}
		rivals := false
		for _, in := range b.Inputs() {
			spent[in.Outpoint], rivals = true, rivals || takers[in.Outpoint] > 1
		}
		if rivals {
			continue
		}
		tx, err := psbt.ParseTx(slices.Clone(s.Raw))
		if err != nil {
			continue
		}
		for i, o := range b.Outputs() {
			if o.Change == nil {
				continue
			}
			c := coins.Coin{Owner: coins.Owner{Vault: vault, Spot: *o.Change}, Outpoint: psbt.Outpoint{ID: b.ID(), Index: uint32(i)}, Amount: o.Amount}
			if o.Change.Suite == bitcoin.SuiteECDSA {
				c.Previous = tx.Bare()
			}
			change = append(change, Coin{Coin: c, Own: true, Waits: true})
		}
	}
	return spent, change
}
