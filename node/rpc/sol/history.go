package sol

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// MaxMentions is how many transactions are asked for at once.
const MaxMentions = 1000

const (
	maxPage   = 4 << 20 // bytes of a list: of each transaction some 250, and memos
	maxLanded = 4 << 20 // bytes of a transaction with what the chain says that it did
	lastTime  = 1 << 40 // seconds since 1970: a time beyond it is none
)

// Codes of refusals that are about what is asked for.
const (
	codeNoBlock   = -32004 // not yet, or not any more
	codeSkipped   = -32007
	codeSkipped2  = -32009 // likewise, from where old blocks are kept
	codeNotYet    = -32014 // it has no status yet
	codeBehind    = -32016 // minContextSlot
	codeTooMany   = 429    // requests
	codeTooMany2  = -32429 // likewise, of some providers
	codeUnhealthy = -32005
)

// A Mention is a transaction that names an address, whoever signed it, as an endpoint lists it.
type Mention struct {
	ID   Signature
	Slot uint64
	Time time.Time // of the block; zero where the endpoint does not know
}

// Mentions are the transactions that name an address, the last first, at most MaxMentions, from those before one of them on; nil: from the newest that is final. The endpoint's
// word alone: it may leave some out, and what it no longer keeps it does leave out. least is a slot that the endpoint must have come to.
func (c *Client) Mentions(ctx context.Context, of solana.Key, before *Signature, least uint64) (out []Mention, err error) {
	const method = "getSignaturesForAddress"
	ask := struct {
		Limit      int    `json:"limit"`
		Before     string `json:"before,omitempty"`
		Commitment string `json:"commitment"`
		Least      uint64 `json:"minContextSlot"`
	}{Limit: MaxMentions, Commitment: finalized, Least: least}
	if before != nil {
		ask.Before = before.String()
	}
	var all []struct {
		ID   *Signature `json:"signature"`
		Slot *uint64    `json:"slot"`
		Time *int64     `json:"blockTime"`
	}
	if err := c.CallUpTo(ctx, maxPage, &all, method, of.String(), ask); err != nil {
		return nil, err
	}
	if len(all) > MaxMentions {
		return nil, c.Broken(method, "answered with %d transactions for %d", len(all), MaxMentions)
	}
	for _, m := range all {
		if m.ID == nil || m.Slot == nil {
			return nil, c.Broken(method, "answered with a transaction without signature or slot")
		}
		at, ok := readTime(m.Time)
		if !ok {
			return nil, c.Broken(method, "answered with time %d, which is none", *m.Time)
		}
		if n := len(out); n > 0 && out[n-1].Slot < *m.Slot {
			return nil, c.Broken(method, "answered with slot %d behind slot %d: the last must come first", *m.Slot, out[n-1].Slot)
		}
		out = append(out, Mention{*m.ID, *m.Slot, at})
	}
	return out, nil
}

// readTime is seconds since 1970, of a block or nil where nobody knows.
func readTime(seconds *int64) (at time.Time, ok bool) {
	switch {
	case seconds == nil:
		return at, true
	case *seconds < 0 || *seconds > lastTime:
		return at, false
	}
	return time.Unix(*seconds, 0).UTC(), true
}

// ErrVersion says that a transaction is of a version that this release does not read.
var ErrVersion = errors.New("it is of a version that this release does not read")

// Landed is a transaction that is final, with its slot and whether it failed; nil where the endpoint does not have it. It is the one that was asked for: its first signature is
// the id, and each of its signatures was verified here. ErrVersion: the endpoint cannot show it to us.
func (c *Client) Landed(ctx context.Context, id Signature) (tx *solana.Landed, slot uint64, failed bool, err error) {
	const method = "getTransaction"
	var raw json.RawMessage
	err = c.CallUpTo(ctx, maxLanded, &raw, method, id.String(), struct {
		Encoding   string `json:"encoding"`
		Commitment string `json:"commitment"`
		Version    int    `json:"maxSupportedTransactionVersion"`
	}{"base64", finalized, 0})
	switch refusal := (*endpoint.CallError)(nil); {
	case errors.As(err, &refusal) && refusal.Code == codeVersion:
		return nil, 0, false, ErrVersion
	case err != nil || string(raw) == "null":
		return nil, 0, false, err
	}
	var r struct {
		Slot        *uint64   `json:"slot"`
		Transaction [2]string `json:"transaction"`
		Meta        *struct {
			Err json.RawMessage `json:"err"`
		} `json:"meta"`
	}
	if err := c.Decode(method, raw, &r); err != nil {
		return nil, 0, false, err
	}
	if r.Slot == nil || r.Meta == nil || r.Meta.Err == nil || r.Transaction[1] != "base64" {
		return nil, 0, false, c.Broken(method, "answered without a slot, bytes in base64 or a word on whether it failed")
	}
	b, err := base64.StdEncoding.DecodeString(r.Transaction[0])
	if err == nil {
		tx, err = solana.ReadLanded(b)
	}
	if err == nil && tx.ID != id.String() {
		err = fmt.Errorf("its id is %s", tx.ID)
	}
	if err != nil {
		return nil, 0, false, c.Broken(method, "shows as transaction %s what is none of that id: %v; it lies, or is another kind of node", id, err)
	}
	return tx, *r.Slot, string(r.Meta.Err) != "null", nil
}

// A Block is one that is final.
type Block struct {
	Slot uint64
	Hash solana.Key
	Time time.Time // zero where the endpoint does not know
}

// BlockAt is the block of a slot, false where the endpoint has none: it has not come there yet, keeps it no longer, or the slot stayed empty.
func (c *Client) BlockAt(ctx context.Context, slot uint64) (b Block, found bool, err error) {
	const method = "getBlock"
	var raw json.RawMessage
	err = c.CallUpTo(ctx, small, &raw, method, slot, struct {
		Details    string `json:"transactionDetails"`
		Rewards    bool   `json:"rewards"`
		Commitment string `json:"commitment"`
		Version    int    `json:"maxSupportedTransactionVersion"`
	}{"none", false, finalized, 0})
	switch refusal := (*endpoint.CallError)(nil); {
	case errors.As(err, &refusal) && missing(refusal.Code), err == nil && string(raw) == "null":
		return b, false, nil
	case err != nil:
		return b, false, err
	}
	var r struct {
		Hash *keyText `json:"blockhash"`
		Time *int64   `json:"blockTime"`
	}
	if err := c.Decode(method, raw, &r); err != nil {
		return b, false, err
	}
	at, ok := readTime(r.Time)
	if r.Hash == nil || !ok {
		return b, false, c.Broken(method, "answered without the block's hash, or with a time that is none")
	}
	return Block{slot, solana.Key(*r.Hash), at}, true, nil
}

func missing(code int) bool {
	switch code {
	case codeNoBlock, codeSkipped, codeSkipped2, codeNotYet:
		return true
	}
	return false
}

// FirstBlock is the slot below which the endpoint says that it keeps nothing: of transactions, of lists of them, and of blocks.
func (c *Client) FirstBlock(ctx context.Context) (slot uint64, err error) {
	const method = "getFirstAvailableBlock"
	if err = c.CallUpTo(ctx, small, &slot, method); err == nil && slot > math.MaxInt64 {
		err = c.Broken(method, "answered with slot %d, to which no chain has come", slot)
	}
	return slot, err
}

// Busy says that an endpoint refuses because it was asked too often, or has not come as far as another yet: it may answer a moment later.
func Busy(err error) bool {
	var refusal *endpoint.CallError
	return errors.As(err, &refusal) && slices.Contains([]int{codeTooMany, codeTooMany2, codeBehind, codeUnhealthy}, refusal.Code)
}

// NoHistory says that an endpoint refuses because it keeps no transactions.
func NoHistory(err error) bool {
	var refusal *endpoint.CallError
	return errors.As(err, &refusal) && refusal.Code == codeHistory
}
