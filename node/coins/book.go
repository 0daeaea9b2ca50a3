package coins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/store"
)

const (
	// Depth is how many blocks a reorganisation may undo. Spent coins are kept for as many.
	Depth = 288
	// MaxCoins is how many unspent coins of one vault are kept in memory, the largest.
	MaxCoins = 100_000
	// MaxPrevious is the longest transaction in bytes, without witnesses, that is kept for those who spend a P2WPKH coin of it.
	MaxPrevious = 100_000

	maxScript = 64      // bytes in a script that is watched; those that have addresses have 34 at most
	maxHeight = 1 << 30 // far above any chain's
)

// Blocks is where blocks are read: a panel of this node's endpoints.
type Blocks interface {
	// Tip is the chain's last block that they agree on.
	Tip(ctx context.Context) (height uint32, id psbt.ID, err error)
	HashAt(ctx context.Context, height uint32) (psbt.ID, error)
	// Block gives a block's bytes, with witnesses.
	Block(ctx context.Context, id psbt.ID) ([]byte, error)
}

// An Owner is whose a script is.
type Owner struct {
	Vault statement.ID
	Spot  bitcoin.Spot
}

// Config is what a book needs.
type Config struct {
	Chain   string // CAIP-2; one of chain/bitcoin's networks
	Journal *journal.Journal
	Blocks  Blocks
	Log     *slog.Logger     // nil: nothing is said
	Now     func() time.Time // nil: this machine's clock; says how long a Step takes, and when the tip was written
	Most    int              // coins of a vault in memory; 0: MaxCoins
}

// A Book is that of one chain. Its methods may be called at the same time.
type Book struct {
	cfg     Config
	network bitcoin.Network
	rule    block.Rule

	step     sync.Mutex // who changes the book: one at a time; readers do not wait for it
	ready    bool       // what is in memory is what the store holds; under step
	disk     int64      // the height up to which the row of the tip says that blocks were read; under step
	diskAt   time.Time  // when it was written; under step
	unsaved  int        // blocks that were read since; under step
	watching sync.RWMutex
	watched  map[string]Owner // by script

	mu  sync.RWMutex
	mem *memory
}

// New makes a book. Nothing is read yet: see Load.
func New(cfg Config) (*Book, error) {
	n, err := bitcoin.NetworkOf(cfg.Chain)
	if err != nil {
		return nil, fmt.Errorf("coins: %w", err)
	}
	rule, err := block.RuleOf(n)
	if err != nil {
		return nil, fmt.Errorf("coins: %w", err)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Most == 0 {
		cfg.Most = MaxCoins
	}
	return &Book{cfg: cfg, network: n, rule: rule, watched: map[string]Owner{}, mem: newMemory(tip{}, cfg.Most)}, nil
}

// Watch makes a script one that the book looks for, in blocks that are read from now on. It is kept in memory alone: who opens a book tells it all scripts anew, before the first
// Step. A later owner takes the place of an earlier one, for coins that are found from then on. Outputs are ours where their script is, byte for byte, one that is watched.
func (b *Book) Watch(script bitcoin.Script, o Owner) error {
	if len(script) < 2 || len(script) > maxScript {
		return fmt.Errorf("watch %s: its script has %d bytes, not 2 to %d", o.Spot, len(script), maxScript)
	}
	if o.Spot.Suite != bitcoin.SuiteECDSA && o.Spot.Suite != bitcoin.SuiteBIP340 {
		return fmt.Errorf("watch script %x: suite %.40q signs nothing on Bitcoin", []byte(script), o.Spot.Suite)
	}
	b.watching.Lock()
	defer b.watching.Unlock()
	b.watched[string(script)] = o
	return nil
}

// ErrNotBegun says that nobody has said yet where to begin.
var ErrNotBegun = errors.New("nobody has said from which height on blocks are to be read: Begin does")

// Begin says that coins may lie in blocks of this height and above, as of a vault that is made now. The first sets where reading begins. Later ones do nothing where that was at this
// height or below; else they move it down, and where blocks were read already, an error says so: that is a Rescan.
func (b *Book) Begin(ctx context.Context, height uint32) error {
	b.step.Lock()
	defer b.step.Unlock()
	if err := b.open(ctx); err != nil && !errors.Is(err, ErrNotBegun) {
		return err
	}
	if height > maxHeight {
		return b.errorf("begin at height %d: at most %d is one", height, maxHeight)
	}
	t := b.mem.tip
	switch {
	case t.begun && height >= t.lowest():
		return nil
	case t.begun && len(t.read) > 0:
		return b.errorf("blocks were read from height %d on, and not from %d: Rescan reads them", t.lowest(), height)
	}
	t.begun, t.start = true, height
	return b.save(ctx, t)
}

// Rescan reads blocks again from a height up to the tip, beside new ones, for coins of scripts that were not watched then. What is known stays. What is found counts from when the
// tip is reached: what spends it may lie in blocks not read again yet, and till then nothing ties them to the chain of the book. A Rescan while one is under way follows it, unless that one comes to
// its height anyhow.
func (b *Book) Rescan(ctx context.Context, from uint32) error {
	b.step.Lock()
	defer b.step.Unlock()
	if err := b.open(ctx); err != nil {
		return err
	}
	t := b.mem.tip
	switch {
	case len(t.read) == 0:
		t.start = min(t.start, from)
	case int64(from) > t.top():
		return b.errorf("read again from height %d: blocks were read up to %d", from, t.top())
	case !t.again:
		t.again, t.from, t.next, t.last = true, from, from, seen{}
	case from < t.next && (t.queued == 0 || from < t.queued-1):
		t.queued = from + 1
	default:
		return nil // it comes there anyhow
	}
	return b.save(ctx, t)
}

// Restart forgets the whole book and begins it again at a height: for a reorganisation that is deeper than Depth, and for damaged rows. Nothing is lost but time, if the height is not
// above the first coin's and the endpoints still have its block.
func (b *Book) Restart(ctx context.Context, height uint32) error {
	b.step.Lock()
	defer b.step.Unlock()
	if height > maxHeight {
		return b.errorf("begin again at height %d: at most %d is one", height, maxHeight)
	}
	b.ready = false
	if err := b.commit(ctx, store.Batch{Put: []store.Entry{b.tipEntry(tip{begun: true, start: height, erase: true})}}); err != nil {
		return err
	}
	return b.load(ctx)
}

// Height is the last block that was read; not ok: none was.
func (b *Book) Height() (height uint32, id psbt.ID, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	t := b.mem.tip
	if len(t.read) == 0 {
		return 0, id, false
	}
	return t.height, t.read[len(t.read)-1].id, true
}

// Rescanning says which block is read again next, while that goes on: till then Coins, Found and History lack what was not watched before.
func (b *Book) Rescanning() (next uint32, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.mem.tip.next, b.mem.tip.again
}

// A Coin is an output of a vault that no block's transaction spends.
type Coin struct {
	Owner
	Outpoint psbt.Outpoint
	Script   bitcoin.Script
	Amount   uint64 // satoshis
	Height   uint32 // of the block that holds it
	Coinbase bool   // spendable from 100 blocks on
	// Previous, of P2WPKH, is the transaction that made it, without witnesses, which a packet must have; Fill reads it. Long: it is longer than MaxPrevious, and was not kept: the
	// coin cannot be spent by way of this book.
	Previous []byte
	Long     bool
}

// Left are coins of a vault that are not kept in memory: more than MaxCoins are there, and these are the smallest.
type Left struct {
	Count  int
	Amount uint64 // satoshis
}

// Coins are a vault's, by outpoint as people write it, and what is left out.
func (b *Book) Coins(vault statement.ID) ([]Coin, Left) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []Coin
	for o, c := range b.mem.coins {
		if c.Vault == vault && !c.spent && c.late <= b.mem.tip.rescans {
			out = append(out, Coin{
				Owner: c.Owner, Outpoint: o, Script: bytes.Clone(c.script), Amount: c.amount, Height: c.height, Coinbase: c.coinbase,
				Long: c.Spot.Suite == bitcoin.SuiteECDSA && !c.kept,
			})
		}
	}
	slices.SortFunc(out, func(x, y Coin) int { return compare(x.Outpoint, y.Outpoint) })
	return out, b.mem.purse(vault).left
}

// compare orders outpoints as their texts are.
func compare(x, y psbt.Outpoint) int {
	slices.Reverse(x.ID[:])
	slices.Reverse(y.ID[:])
	if n := bytes.Compare(x.ID[:], y.ID[:]); n != 0 {
		return n
	}
	return int(int64(x.Index) - int64(y.Index))
}

// Reached is up to which index coins of a vault lie on keys of one suite and account, and 1, or lay in the last Depth blocks: of those whose spots count. Coins that a Rescan found count before it ends.
func (b *Book) Reached(vault statement.ID, suite string, counts func(bitcoin.Spot) bool) map[[2]uint32]uint32 {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := map[[2]uint32]uint32{}
	for _, c := range b.mem.coins {
		if c.Vault == vault && c.Spot.Suite == suite && counts(c.Spot) {
			at := [2]uint32(c.Spot.Path[:2])
			out[at] = max(out[at], c.Spot.Path[2]+1)
		}
	}
	return out
}

// Fill reads the transactions that made P2WPKH coins, into Previous. They are many: ask for the coins that are to be spent alone.
func (b *Book) Fill(ctx context.Context, coins []Coin) error {
	read := map[psbt.ID][]byte{}
	for i := range coins {
		c := &coins[i]
		if c.Spot.Suite != bitcoin.SuiteECDSA || c.Long {
			continue
		}
		if _, ok := read[c.Outpoint.ID]; !ok {
			raw, err := b.previous(ctx, c.Outpoint.ID)
			if err != nil {
				return err
			}
			read[c.Outpoint.ID] = raw
		}
		c.Previous = read[c.Outpoint.ID]
	}
	return nil
}

func (b *Book) previous(ctx context.Context, id psbt.ID) ([]byte, error) {
	key := b.key(kindPrevious, store.ID(id[:]))
	it, err := b.cfg.Journal.Store().Get(ctx, key)
	if err != nil {
		return nil, b.errorf("read row %q, the transaction that made a coin: %w", key, err)
	}
	tx, err := psbt.ParseTx(it.Value)
	if err != nil || tx.ID() != id {
		return nil, b.damaged(key, errors.Join(err, errors.New("it does not hold the transaction that its key names")))
	}
	return it.Value, nil
}

// Spent says which transaction of a block spends a coin of ours: for Depth blocks after it.
func (b *Book) Spent(o psbt.Outpoint) (by psbt.ID, height uint32, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	c := b.mem.coins[o]
	if c == nil || !c.spent {
		return by, 0, false
	}
	return c.by, c.spentAt, true
}

// Found says which block holds a transaction that pays or spends coins of ours.
func (b *Book) Found(ctx context.Context, id psbt.ID) (height uint32, in psbt.ID, ok bool, err error) {
	x, ok, err := b.foundIn(ctx, id)
	if err != nil || !ok {
		return 0, in, false, err
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	if t := b.mem.tip; int64(x.height) > t.top() || x.late > t.rescans {
		return 0, in, false, nil
	}
	return x.height, x.block, true, nil
}

// foundIn reads a transaction's row.
func (b *Book) foundIn(ctx context.Context, id psbt.ID) (x in, ok bool, err error) {
	key := b.key(kindTx, store.ID(id[:]))
	it, err := b.cfg.Journal.Store().Get(ctx, key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return x, false, nil
	case err != nil:
		return x, false, b.errorf("read row %q: %w", key, err)
	}
	if x, err = decodeTx(it.Value); err != nil {
		return x, false, b.damaged(key, err)
	}
	return x, true, nil
}

func (b *Book) errorf(format string, args ...any) error {
	return fmt.Errorf("coins of "+b.network.Name+": "+format, args...)
}

// damaged names a row that cannot be read. What it held can be read from the chain again.
func (b *Book) damaged(key string, err error) error {
	return b.errorf("row %q is damaged: %w; the chain has all that this book holds: forget it and begin again (Restart)", key, err)
}
