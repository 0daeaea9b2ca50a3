package sol

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/solana"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// FieldBlockhash is what a Mismatch is about that explains why a transaction was not taken.
const FieldBlockhash endpoint.Field = "blockhash"

// Codes of refusals that are about the transaction. All others are about the endpoint: it is behind, busy, or wants to be paid.
const (
	codeInvalid    = -32602 // no transaction, or too large
	codePreflight  = -32002 // it would fail
	codeSignatures = -32003
	codeSignature  = -32013 // their number
	codeVersion    = -32015
)

// codeHistory is what an endpoint that keeps no old transactions says to who asks for them.
const codeHistory = -32011

// Send broadcasts a signed transaction and returns its id. Sending the same bytes again is success: on any refusal the endpoint is asked whether it has the
// transaction, so no node's wording matters. If it does not, and refuses because of the transaction, the error is a *endpoint.Rejected with what explains it; any
// other means that the outcome is unknown and that sending again is safe. Success says that it was passed on, not that it lands: until Status says that it did,
// it is sent again, and a message whose blockhash is dead never lands.
func (c *Client) Send(ctx context.Context, raw []byte) (id Signature, err error) {
	const method = "sendTransaction"
	tx, err := solana.ParseSigned(raw)
	if err != nil {
		return id, fmt.Errorf("broadcast: %w", err)
	}
	id = tx.Signatures[0]
	var sent Signature
	err = c.CallUpTo(ctx, small, &sent, method, base64.StdEncoding.EncodeToString(raw), struct {
		Encoding  string `json:"encoding"`
		Preflight string `json:"preflightCommitment"`
	}{"base64", finalized})
	if err == nil && sent != id {
		err = c.Broken(method, "answered with id %s for transaction %s", sent, id)
	}
	if err == nil {
		return id, nil
	}
	s, lookup := c.Status(ctx, id)
	if lookup == nil && s.Level != Unknown {
		return id, nil
	}
	if refusal := (*endpoint.CallError)(nil); errors.As(err, &refusal) && lookup == nil && slices.Contains(
		[]int{codeInvalid, codePreflight, codeSignatures, codeSignature, codeVersion}, refusal.Code) {
		return Signature{}, &endpoint.Rejected{Hash: id.String(), Err: refusal, Why: explain(tx, refusal)}
	}
	return Signature{}, fmt.Errorf("broadcast %s: outcome unknown, send again: %w", id, errors.Join(err, lookup))
}

// ErrProcessed says that a block took a message, and that no endpoint knows the transaction: another signature of the same message landed, of which Ed25519 has many.
var ErrProcessed = errors.New("its message stands in a block already, under another signature: it landed, and is not to be paid anew")

// explain says what the chain's own word for a refusal means to people.
func explain(tx *solana.Signed, refusal *endpoint.CallError) error {
	var data struct {
		Err json.RawMessage `json:"err"`
	}
	if json.Unmarshal(refusal.Data, &data) != nil {
		return nil
	}
	switch string(data.Err) {
	case `"BlockhashNotFound"`:
	case `"AlreadyProcessed"`:
		return ErrProcessed
	default:
		return nil
	}
	return &endpoint.Mismatch{
		Field: FieldBlockhash, Expected: "one that " + refusal.Endpoint + " still takes, or the value of the transaction's nonce account", Found: blockhash(tx.Message).String(),
		Next: "propose anew with another: a blockhash lives for a minute or two, and a nonce until it is used",
	}
}

// blockhash is that of a message that was parsed: behind the version, three numbers and the accounts, of which there are 64 at most.
func blockhash(message []byte) solana.Key {
	if message[0] >= 0x80 {
		message = message[1:]
	}
	return solana.Key(message[4+32*int(message[3]):])
}

// A Level is how sure it is that a transaction stays on the chain.
type Level uint8

// The levels. A fork can undo what is Processed, and what is Confirmed while a third of the stake misbehaves.
const (
	Unknown   Level = iota // it did not land, as far as the endpoint knows
	Processed              // it stands in a block
	Confirmed              // two thirds of the stake have voted for that
	Finalized              // so many blocks stand above it that it is final
)

var levels = []string{"unknown", "processed", "confirmed", finalized}

func (l Level) String() string { return levels[l] }

// A Status is what became of a transaction.
type Status struct {
	Level Level
	Slot  uint64 // in which it stands
	Err   string // why it failed, as JSON: it did nothing then but pay its fee and advance its nonce; "": it did what it says

	Recent bool // of Unknown: the endpoint keeps the last 300 blocks alone, some two minutes, and it may stand in an older one
}

// Status says what became of a transaction. One that is Unknown may land yet, while its blockhash lives.
func (c *Client) Status(ctx context.Context, id Signature) (Status, error) {
	s, err := c.status(ctx, id, true)
	if refusal := (*endpoint.CallError)(nil); !errors.As(err, &refusal) || refusal.Code != codeHistory {
		return s, err
	}
	s, err = c.status(ctx, id, false)
	s.Recent = err == nil && s.Level == Unknown
	return s, err
}

func (c *Client) status(ctx context.Context, id Signature, history bool) (s Status, err error) {
	const method = "getSignatureStatuses"
	r, _, err := inContext[[]*struct {
		Slot  *uint64         `json:"slot"`
		Level string          `json:"confirmationStatus"`
		Err   json.RawMessage `json:"err"`
	}](ctx, c, small, method, []string{id.String()}, map[string]bool{"searchTransactionHistory": history})
	if err != nil {
		return s, err
	}
	if len(r) != 1 {
		return s, c.Broken(method, "answered of %d transactions for 1", len(r))
	}
	if r[0] == nil {
		return s, nil
	}
	level := slices.Index(levels, r[0].Level)
	if r[0].Slot == nil || level < int(Processed) || r[0].Err == nil {
		return s, c.Broken(method, "answered without a slot, a known status or whether it failed")
	}
	s = Status{Level: Level(level), Slot: *r[0].Slot}
	if s.Err, err = failure(r[0].Err); err != nil {
		return Status{}, c.Broken(method, "answered with %v", err)
	}
	return s, nil
}

// failure is a transaction's error as one line of JSON, "" for null.
func failure(raw json.RawMessage) (string, error) {
	var one bytes.Buffer
	if err := json.Compact(&one, raw); err != nil {
		return "", err
	}
	if text := endpoint.Printable(one.String()); text != "null" {
		return text, nil
	}
	return "", nil
}
