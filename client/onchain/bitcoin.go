package onchain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/block"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/rpc"
	"github.com/ostraka/ostraka/node/rpc/coin"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// Bounds of reading Bitcoin.
const (
	blocksAhead = 3               // that are fetched while one is read: each takes some 20 MB
	blockWait   = 2 * time.Minute // for one: up to 8 MB in hex
	maxCoins    = 500_000         // of the vault's addresses at one time: anybody may pay them dust
	maxSpends   = 500_000         // of their coins in all
	tellEvery   = 25              // blocks
)

func bitcoinChain(chain string) bool { return strings.HasPrefix(chain, "bip122:") }

// dialBitcoin checks an endpoint, and the network that it is for.
func dialBitcoin(e Endpoint) (*coin.Client, error) {
	if _, err := bitcoin.NetworkOf(e.Chain); err != nil {
		return nil, err
	}
	c, err := coin.New(e.URL, rpc.Options{Timeout: blockWait})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Chain, err)
	}
	return c, nil
}

// gatherBitcoin is Gather for a network of Bitcoin. Endpoints are Core, Knots or btcd, pruned or not, without wallet or index: blocks are read, from one on.
func gatherBitcoin(ctx context.Context, endpoints []Endpoint, q verify.Enquiry, o Options) (out verify.Facts, err error) {
	var clients []*coin.Client
	var names []string
	for _, e := range endpoints {
		c, err := dialBitcoin(e)
		if err != nil {
			return out, err
		}
		clients, names = append(clients, c), append(names, c.Endpoint())
	}
	out, err = steady(func() (verify.Facts, error) {
		r, err := newCoinReader(clients, q, o)
		if err != nil {
			return verify.Facts{}, err
		}
		facts, err := r.read(ctx)
		if err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded) {
			err = fmt.Errorf("the time ran out at block %d of %d: give it more with --timeout, an endpoint that is nearer, or a later block with --from-block", r.next, r.head)
		}
		return facts, err
	})
	out.Endpoints = names
	return out, err
}

// A coinReader reads blocks, from the first in which coins can lie to the newest that all endpoints have. Each is held to its hash, so whoever gives it need not be believed; that the last
// is the chain's, all must say.
type coinReader struct {
	clients []*coin.Client
	q       verify.Enquiry
	o       Options
	rule    block.Rule

	head uint32
	tip  psbt.ID // at head
	*readSoFar
}

// readSoFar is what was read up to a block.
type readSoFar struct {
	book   *coinBook
	from   uint32
	before psbt.ID // the block before from
	next   uint32  // the first that was not read yet
	last   psbt.ID // the block before next, once one was read
	bits   uint32  // its target; 0: none was read
	time   time.Time
}

func newCoinReader(clients []*coin.Client, q verify.Enquiry, o Options) (*coinReader, error) {
	n, err := bitcoin.NetworkOf(q.Chain)
	if err != nil {
		return nil, err
	}
	r := &coinReader{clients: clients, q: q, o: o}
	if r.rule, err = block.RuleOf(n); err != nil {
		return nil, err
	}
	book, err := newCoinBook(n, q)
	r.readSoFar = &readSoFar{book: book}
	return r, err
}

func (r *coinReader) first() *coin.Client { return r.clients[0] }

func (r *coinReader) read(ctx context.Context) (out verify.Facts, err error) {
	if err := r.meet(ctx); err != nil {
		return out, err
	}
	if old := r.o.Kept.take(r.q, r.o); old != nil && (old.next <= r.head || old.next == r.head+1 && old.last == r.tip) {
		old.book.learn(r.q.Known)
		r.readSoFar = old
	} else {
		if r.from, err = r.begin(ctx); err != nil {
			return out, err
		}
		r.next = r.from
	}
	at, err := r.at()
	if err != nil {
		return out, err
	}
	out = verify.Facts{Chain: r.q.Chain, Height: uint64(r.head), Block: r.tip.String(), At: uint64(at), AtBlock: r.tip.String(), From: uint64(r.from)}
	if err := r.walk(ctx, func(height uint32, b *block.Block) error {
		if err := r.book.take(b, height); err != nil {
			return err
		}
		if height == at && at < r.head {
			out.AtBlock = b.Hash.String()
			out.Addresses = r.book.weigh()
		}
		return nil
	}); err != nil {
		return out, err
	}
	if at == r.head {
		out.Addresses = r.book.weigh()
	}
	r.book.tell(&out)
	out.Time = r.time
	if out.Before, err = r.bound(ctx); err != nil {
		return out, err
	}
	if err := r.stays(ctx); err != nil {
		return out, err
	}
	r.o.Kept.keep(r.q, r.o, r.readSoFar)
	return out, nil
}

// at is the block of the balances.
func (r *coinReader) at() (uint32, error) {
	switch {
	case r.o.At == nil:
		return r.head, nil
	case *r.o.At > uint64(r.head):
		return 0, fmt.Errorf("%s has no block %d: it is beyond the chain's newest, %d", r.first().Endpoint(), *r.o.At, r.head)
	case *r.o.At < uint64(r.from):
		return 0, fmt.Errorf("balances as of block %d cannot be told from blocks that are read from %d on: give a later --at, or an earlier --from-block", *r.o.At, r.from)
	}
	return uint32(*r.o.At), nil
}

// bound is the time of the block before the first. Its hash is what the blocks that were read follow: so an endpoint cannot have them begin too late.
func (r *coinReader) bound(ctx context.Context) (before time.Time, err error) {
	if r.from == 0 {
		return before, nil
	}
	h, err := r.first().Header(ctx, r.before)
	if err != nil {
		return before, err
	}
	before = blockTime(h)
	if r.o.From == nil && len(r.q.Addresses) > 0 && !before.Before(r.since()) {
		return before, fmt.Errorf("%s contradicts itself: by its word block %d is the first of %s or later, and the block before has %s: it lies, or is another kind of node",
			r.first().Endpoint(), r.from, statement.FormatTime(r.since()), statement.FormatTime(before))
	}
	return before, nil
}

func blockTime(h block.Header) time.Time { return time.Unix(int64(h.Time), 0).UTC() }

// meet finds the newest block that all endpoints have, and wants them to have the same.
func (r *coinReader) meet(ctx context.Context) error {
	for i, c := range r.clients {
		chain, err := c.ChainID(ctx)
		if err != nil {
			return err
		}
		if chain != r.q.Chain {
			return fmt.Errorf("%s serves chain %s, not %s: give each chain its own endpoint", c.Endpoint(), chain, r.q.Chain)
		}
		height, err := c.Height(ctx)
		if err != nil {
			return err
		}
		if i == 0 || height < r.head {
			r.head = height
		}
	}
	for i, c := range r.clients {
		id, err := c.HashAt(ctx, r.head)
		var gone *endpoint.Behind
		switch {
		case errors.As(err, &gone): // it was there just now
			return &movedError{c.Endpoint(), uint64(r.head)}
		case err != nil:
			return err
		case i == 0:
			r.tip = id
		case id != r.tip:
			return contradict(r.first().Endpoint(), c.Endpoint(), fmt.Sprintf("block %d", r.head), r.tip, id)
		}
	}
	return nil
}

// stays asks at last whether the newest block is still there.
func (r *coinReader) stays(ctx context.Context) error {
	for _, c := range r.clients {
		id, err := c.HashAt(ctx, r.head)
		var gone *endpoint.Behind
		if errors.As(err, &gone) || err == nil && id != r.tip {
			return &movedError{c.Endpoint(), uint64(r.head)}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// begin is the block from which is read: the one that was asked for, or the first whose time is less than two hours before somebody could be told to pay.
func (r *coinReader) begin(ctx context.Context) (uint32, error) {
	switch {
	case r.o.From != nil && *r.o.From > uint64(r.head):
		return 0, fmt.Errorf("%s has no block %d: its newest is %d", r.first().Endpoint(), *r.o.From, r.head)
	case r.o.From != nil:
		return uint32(*r.o.From), nil
	case len(r.q.Addresses) == 0:
		return r.head, nil
	case r.q.Since.IsZero():
		return 0, errors.New("no log says since when the vault's addresses were given out: say with --from-block from which block on to read; what was paid before is not compared")
	}
	low, high := uint64(0), uint64(r.head)
	for low < high {
		middle := low + (high-low)/2
		r.o.Progress(fmt.Sprintf("%s: looking for the first block: %d to %d", r.first().Endpoint(), low, high))
		id, err := r.first().HashAt(ctx, uint32(middle))
		if err != nil {
			return 0, err
		}
		h, err := r.first().Header(ctx, id)
		if err != nil {
			return 0, err
		}
		if blockTime(h).Before(r.since()) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return uint32(low), nil
}

// since is a time that no block has by which somebody was paid at the addresses.
func (r *coinReader) since() time.Time { return r.q.Since.Add(-verify.BlockClock) }

type fetched struct {
	b   *block.Block
	err error
}

// walk takes each block from the first that was not read to the newest, in order, while the next are fetched.
func (r *coinReader) walk(ctx context.Context, take func(height uint32, b *block.Block) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	line := make(chan chan fetched, blocksAhead)
	start, end := uint64(r.next), uint64(r.head)
	go func() {
		defer close(line)
		for h := start; h <= end; h++ {
			one := make(chan fetched, 1)
			select {
			case line <- one:
			case <-ctx.Done():
				return
			}
			go func() {
				b, err := r.fetch(ctx, uint32(h))
				one <- fetched{b, err}
			}()
		}
	}()
	for one := range line {
		f := <-one
		if f.err != nil {
			return f.err
		}
		if (uint64(r.next)-start)%tellEvery == 0 {
			r.o.Progress(fmt.Sprintf("%s: block %d of %d to %d", r.first().Endpoint(), r.next, r.from, r.head))
		}
		if err := r.follows(f.b); err != nil {
			return err
		}
		if err := take(r.next, f.b); err != nil {
			return err
		}
		r.last, r.bits, r.time, r.next = f.b.Hash, f.b.Bits, blockTime(f.b.Header), r.next+1
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.last != r.tip {
		return &movedError{r.first().Endpoint(), end}
	}
	return nil
}

// follows holds a block to the one before it: who has no part of the network's work cannot go on from a chain with blocks that cost nothing.
func (r *coinReader) follows(b *block.Block) error {
	switch {
	case r.bits == 0:
		r.before = b.Previous
	case b.Previous != r.last:
		return &movedError{r.first().Endpoint(), uint64(r.next)}
	}
	if err := r.rule.Check(r.next, b.Bits, r.bits); err != nil {
		return fmt.Errorf("%s shows block %s: %w: it lies", r.first().Endpoint(), b.Hash, err)
	}
	return nil
}

// fetch is the block at a height, from any endpoint that keeps it: its hash says that it is the one.
func (r *coinReader) fetch(ctx context.Context, height uint32) (*block.Block, error) {
	id, err := r.first().HashAt(ctx, height)
	var gone *endpoint.Behind
	if errors.As(err, &gone) {
		return nil, &movedError{r.first().Endpoint(), uint64(height)}
	}
	if err != nil {
		return nil, err
	}
	var errs []error
	for _, c := range r.clients {
		raw, err := c.Block(ctx, id)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b, err := block.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("%s at height %d: %w: it lies", c.Endpoint(), height, err)
		}
		return b, nil
	}
	err = errors.Join(errs...)
	var refusal *endpoint.CallError
	if !slices.ContainsFunc(errs, func(err error) bool { return !errors.As(err, &refusal) }) { // all answered, and none has it
		return nil, fmt.Errorf("block %d is not kept: %w; a pruned node keeps the newest alone: give one that keeps all with another --rpc, or read from a later block with --from-block, and what was paid before is not compared", height, err)
	}
	return nil, fmt.Errorf("block %d: %w", height, err)
}
