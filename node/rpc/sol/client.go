package sol

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/btcsuite/btcd/address/v2/base58"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// Client is a client of one endpoint of one network of Solana. It may be used by many goroutines.
type Client struct{ *endpoint.Client }

// New checks the endpoint's URL (http or https). User and password in it go into the Authorization header. It does not connect.
func New(url string, o endpoint.Options) (*Client, error) {
	c, err := endpoint.New(endpoint.Kind{Name: "Solana", Example: "http://127.0.0.1:8899", Version: "2.0"}, url, o)
	if err != nil {
		return nil, err
	}
	return &Client{c}, nil
}

// A Signature is a transaction's first, by which the chain names it.
type Signature [64]byte

// String is the signature in base58.
func (s Signature) String() string { return base58.Encode(s[:]) }

// ParseSignature reads base58 of exactly 64 bytes.
func ParseSignature(text string) (s Signature, err error) {
	if len(text) <= 88 {
		if b := base58.Decode(text); len(b) == len(s) {
			return Signature(b), nil
		}
	}
	return s, fmt.Errorf("solana transaction id %.88q: is not base58 of 64 bytes", text)
}

// UnmarshalText reads what String writes.
func (s *Signature) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSignature(string(text))
	return err
}

// keyText is a key in JSON.
type keyText solana.Key

func (k *keyText) UnmarshalText(text []byte) error {
	read, err := solana.ParseKey(string(text))
	*k = keyText(read)
	return err
}

// config is what most methods end with.
type config struct {
	Commitment string `json:"commitment,omitempty"`
	Encoding   string `json:"encoding,omitempty"`
	Slice      *slice `json:"dataSlice,omitempty"`
}

type slice struct {
	Offset int `json:"offset"`
	Length int `json:"length"`
}

const finalized = "finalized"

// inContext calls a method whose value comes with the slot that it is of.
func inContext[T any](ctx context.Context, c *Client, limit int64, method string, params ...any) (value T, slot uint64, err error) {
	var r struct {
		Context struct {
			Slot *uint64 `json:"slot"`
		} `json:"context"`
		Value *T `json:"value"`
	}
	if err := c.CallUpTo(ctx, limit, &r, method, params...); err != nil {
		return value, 0, err
	}
	if r.Context.Slot == nil || r.Value == nil {
		return value, 0, c.Broken(method, "answered without a value or its slot")
	}
	return *r.Value, *r.Context.Slot, nil
}

// small bounds an answer that is no list of accounts, in bytes.
const small = 64 << 10

// ChainID is the CAIP-2 id of the network: the first 32 characters of its genesis hash.
func (c *Client) ChainID(ctx context.Context) (string, error) {
	var genesis keyText
	if err := c.CallUpTo(ctx, small, &genesis, "getGenesisHash"); err != nil {
		return "", err
	}
	return "solana:" + solana.Key(genesis).String()[:32], nil
}

// CheckChain compares networks: no message names one, and keys are the same on all. chain is a CAIP-2 id; the error a *endpoint.Mismatch where it is another.
func (c *Client) CheckChain(ctx context.Context, chain string) error {
	is, err := c.ChainID(ctx)
	if err != nil || is == chain {
		return err
	}
	return &endpoint.Mismatch{
		Field: endpoint.FieldChainID, Expected: fmt.Sprintf("%s, the chain of %s", is, c.Endpoint()), Found: endpoint.Printable(chain),
		Next: "use the endpoint of the transaction's chain, or propose for this one",
	}
}

// BlockhashValid says whether a transaction with a block's hash can land. It cannot where the hash is not young any more, nor where the block is not final yet: so a
// false is for good only once Height is above what LatestBlockhash gave with it.
func (c *Client) BlockhashValid(ctx context.Context, hash solana.Key) (bool, error) {
	valid, _, err := inContext[bool](ctx, c, small, "isBlockhashValid", hash.String(), config{Commitment: finalized})
	return valid, err
}

// A Blockhash is one to make a transaction with.
type Blockhash struct {
	Hash solana.Key
	Last uint64 // height of the last block that takes it
}

// LatestBlockhash is that of the last block that is final. It serves for 150 blocks, of which some 30 have come already.
func (c *Client) LatestBlockhash(ctx context.Context) (b Blockhash, err error) {
	const method = "getLatestBlockhash"
	r, _, err := inContext[struct {
		Hash *keyText `json:"blockhash"`
		Last *uint64  `json:"lastValidBlockHeight"`
	}](ctx, c, small, method, config{Commitment: finalized})
	if err != nil {
		return b, err
	}
	if r.Hash == nil || r.Last == nil {
		return b, c.Broken(method, "answered without a hash or the height of the last block that takes it")
	}
	return Blockhash{solana.Key(*r.Hash), *r.Last}, nil
}

// Height is how many blocks are final below the last one that is. It is not its slot: some slots stay empty.
func (c *Client) Height(ctx context.Context) (height uint64, err error) {
	err = c.CallUpTo(ctx, small, &height, "getBlockHeight", config{Commitment: finalized})
	return height, err
}

// MinimumRent is what an account of so many bytes must hold to stay, in lamports.
func (c *Client) MinimumRent(ctx context.Context, size uint64) (lamports uint64, err error) {
	if size > maxSize {
		return 0, fmt.Errorf("rent of an account: %d bytes, more than any has", size)
	}
	const method = "getMinimumBalanceForRentExemption"
	if err = c.CallUpTo(ctx, small, &lamports, method, size, config{Commitment: finalized}); err == nil && lamports == 0 {
		err = c.Broken(method, "answered with 0; no account stays for nothing")
	}
	return lamports, err
}

// clock is the account that holds the chain's time.
var clock = key("SysvarC1ock11111111111111111111111111111111")

func key(text string) solana.Key {
	k, err := solana.ParseKey(text)
	if err != nil {
		panic("sol: " + err.Error())
	}
	return k
}

// Health asks an endpoint how it stands. The time is that of the chain's own clock. An endpoint that says of itself that it is behind gives an error.
func (c *Client) Health(ctx context.Context) (h endpoint.Health, err error) {
	var health json.RawMessage
	if err := c.CallUpTo(ctx, small, &health, "getHealth"); err != nil {
		return h, err
	}
	if h.Chain, err = c.ChainID(ctx); err != nil {
		return h, err
	}
	if h.Height, err = c.Height(ctx); err != nil {
		return h, err
	}
	all, err := c.Accounts(ctx, []solana.Key{clock})
	if err != nil {
		return h, err
	}
	seconds, ok := readClock(all[0].Data)
	if !ok {
		return h, c.Broken("getMultipleAccounts", "answered with a clock that tells no time")
	}
	h.At = time.Unix(seconds, 0).UTC()
	return h, nil
}
