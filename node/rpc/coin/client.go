package coin

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// Client is a client of one endpoint of one network of Bitcoin. It may be used by many goroutines.
type Client struct{ *endpoint.Client }

// New checks the endpoint's URL (http or https). User and password in it go into the Authorization header. It does not connect.
func New(url string, o endpoint.Options) (*Client, error) {
	c, err := endpoint.New(endpoint.Kind{Name: "Bitcoin", Example: "http://user:password@127.0.0.1:8332", Version: "1.0"}, url, o)
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
}

// Codes of refusals that Core, Knots and btcd share.
const (
	codeNotFound = -5     // no such transaction or block
	codeNoMethod = -32601 // as JSON-RPC has it
)

func refused(err error, code int) bool {
	var refusal *endpoint.CallError
	return errors.As(err, &refusal) && refusal.Code == code
}

// idText is an id in JSON.
type idText psbt.ID

func (i *idText) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	id, err := psbt.ParseID(text)
	*i = idText(id)
	return err
}

// hexText is hexadecimal bytes in JSON.
type hexText []byte

func (h *hexText) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	decoded, err := hex.DecodeString(text)
	*h = decoded
	return err
}

// id calls a method whose result is one id.
func (c *Client) id(ctx context.Context, method string, params ...any) (psbt.ID, error) {
	var id idText
	err := c.Call(ctx, &id, method, params...)
	return psbt.ID(id), err
}

// ChainID is the CAIP-2 id of the network: the first half of its genesis block's hash.
func (c *Client) ChainID(ctx context.Context) (string, error) {
	genesis, err := c.id(ctx, "getblockhash", 0)
	if err != nil {
		return "", err
	}
	return "bip122:" + genesis.String()[:32], nil
}

// Height is that of the latest block.
func (c *Client) Height(ctx context.Context) (height uint32, err error) {
	err = c.Call(ctx, &height, "getblockcount")
	return height, err
}

// HashAt is the hash of the block at a height; *endpoint.Behind where the chain is not there yet.
func (c *Client) HashAt(ctx context.Context, height uint32) (psbt.ID, error) {
	id, err := c.id(ctx, "getblockhash", height)
	if refusal := (*endpoint.CallError)(nil); !errors.As(err, &refusal) {
		return id, err
	}
	head, lookup := c.Height(ctx) // each kind of node has another code and text for a height above its own
	if lookup == nil && head < height {
		err = &endpoint.Behind{Height: uint64(height), Head: uint64(head)}
	}
	return psbt.ID{}, err
}

// MaxBlock bounds a block's bytes: no block has more weight units than 4,000,000, and each byte is one at least.
const MaxBlock = 4_000_100

// Block is a block's bytes as the endpoint gives them; its header, the first 80, has that hash. What follows the header is the endpoint's word
// until it is compared with the header's Merkle root.
func (c *Client) Block(ctx context.Context, id psbt.ID) ([]byte, error) {
	const method = "getblock"
	var raw hexText
	if err := c.CallUpTo(ctx, 2*MaxBlock+1000, &raw, method, id.String(), 0); err != nil {
		return nil, err
	}
	if len(raw) < 81 || len(raw) > MaxBlock {
		return nil, c.Broken(method, "answered with a block of %d bytes; blocks have 81 to %d", len(raw), MaxBlock)
	}
	once := sha256.Sum256(raw[:80])
	if hash := psbt.ID(sha256.Sum256(once[:])); hash != id {
		return nil, c.Broken(method, "answered with block %s for %s: it lies", hash, id)
	}
	return raw, nil
}

// Health asks an endpoint how it stands. The chain is the CAIP-2 id of its genesis block.
func (c *Client) Health(ctx context.Context) (h endpoint.Health, err error) {
	if h.Chain, err = c.ChainID(ctx); err != nil {
		return h, err
	}
	best, err := c.id(ctx, "getbestblockhash")
	if err != nil {
		return h, err
	}
	var head struct {
		Height *uint32 `json:"height"`
		Time   *uint32 `json:"time"`
	}
	if err := c.Call(ctx, &head, "getblockheader", best.String(), true); err != nil {
		return h, err
	}
	if head.Height == nil || head.Time == nil {
		return h, c.Broken("getblockheader", "answered with a header without height or time")
	}
	h.Height, h.At = uint64(*head.Height), time.Unix(int64(*head.Time), 0).UTC()
	return h, nil
}

// A transaction that an endpoint knows.
type known struct {
	*psbt.Tx
	inBlock bool // else it waits in the pool
}

// transaction looks a transaction up in the pool, and in blocks where the endpoint has an index of transactions; nil if it is in neither.
func (c *Client) transaction(ctx context.Context, id psbt.ID) (*known, error) {
	const method = "getrawtransaction"
	var r struct {
		Hex   hexText         `json:"hex"`
		Block json.RawMessage `json:"blockhash"`
	}
	err := c.Call(ctx, &r, method, id.String(), 1)
	if refused(err, codeNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	tx, err := psbt.ParseTx(r.Hex)
	if err != nil {
		return nil, c.Broken(method, "answered with what is no transaction: %v", err)
	}
	if is := tx.ID(); is != id {
		return nil, c.Broken(method, "answered with transaction %s for %s", is, id)
	}
	return &known{tx, r.Block != nil && string(r.Block) != "null"}, nil
}

// An output that nothing has spent, as an endpoint tells of it.
type output struct {
	Amount        uint64
	Script        []byte
	Confirmations uint32 // 0: it waits in the pool
	Coinbase      bool
}

// output looks an output up among those that are not spent; nil if it is none of them. With pool, transactions that wait count: their outputs are
// there, and, but for btcd, what they spend is not.
func (c *Client) output(ctx context.Context, o psbt.Outpoint, pool bool) (*output, error) {
	const method = "gettxout"
	var raw json.RawMessage
	err := c.Call(ctx, &raw, method, o.ID.String(), o.Index, pool)
	if refused(err, codeNotFound) || err == nil && string(raw) == "null" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r struct {
		Confirmations *uint32 `json:"confirmations"`
		Value         *sats   `json:"value"`
		Script        struct {
			Hex *hexText `json:"hex"`
		} `json:"scriptPubKey"`
		Coinbase bool `json:"coinbase"`
	}
	if err := c.Decode(method, raw, &r); err != nil {
		return nil, err
	}
	if r.Confirmations == nil || r.Value == nil || r.Script.Hex == nil {
		return nil, c.Broken(method, "answered with an output without amount, script or confirmations")
	}
	return &output{uint64(*r.Value), *r.Script.Hex, *r.Confirmations, r.Coinbase}, nil
}

// spenders are the transactions in the pool that spend outputs, one for each output: nil where none does. An endpoint that has an index of spenders (Core from 31 on) names
// those in blocks too. One that does not have the method (Core before 24) leaves all nil: it has told by output what the pool spends.
func (c *Client) spenders(ctx context.Context, all []psbt.Outpoint) ([]*psbt.ID, error) {
	const method = "gettxspendingprevout"
	type asked struct {
		ID    string `json:"txid"`
		Index uint32 `json:"vout"`
	}
	var ask []asked
	for _, o := range all {
		ask = append(ask, asked{o.ID.String(), o.Index})
	}
	var r []struct {
		asked
		By *idText `json:"spendingtxid"`
	}
	by := make([]*psbt.ID, len(all))
	err := c.Call(ctx, &r, method, ask)
	if refused(err, codeNoMethod) {
		return by, nil
	}
	if err != nil {
		return nil, err
	}
	if len(r) != len(all) {
		return nil, c.Broken(method, "answered of %d outputs for %d", len(r), len(all))
	}
	for i := range all {
		if r[i].asked != ask[i] {
			return nil, c.Broken(method, "answered of another output than %s", all[i])
		}
		by[i] = (*psbt.ID)(r[i].By)
	}
	return by, nil
}

// atATime is how many questions one endpoint gets at once.
const atATime = 4

// each puts n questions, some at a time, until one fails.
func each(ctx context.Context, n int, ask func(ctx context.Context, i int) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg    sync.WaitGroup
		once  sync.Once
		first error
		next  = make(chan int)
	)
	for range min(atATime, n) {
		wg.Go(func() {
			for i := range next {
				if err := ask(ctx, i); err != nil {
					once.Do(func() { first = err; cancel() })
				}
			}
		})
	}
	for i := 0; i < n && ctx.Err() == nil; i++ {
		next <- i
	}
	close(next)
	wg.Wait()
	if first != nil {
		return first
	}
	return ctx.Err() // of whoever asks: it is not cancelled here yet
}
