package endpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// An EndpointError says that an endpoint gave no usable answer: the environment's fault.
type EndpointError struct {
	Endpoint string // scheme and host, never credentials, path or query
	Method   string
	Next     string // what to do
	Err      error
}

func (e *EndpointError) Error() string {
	return fmt.Sprintf("call %s at %s: %v; %s", e.Method, e.Endpoint, e.Err, e.Next)
}

// Unwrap returns the cause.
func (e *EndpointError) Unwrap() error { return e.Err }

// A CallError is the refusal of a chain's node.
type CallError struct {
	Endpoint string // scheme and host
	Method   string
	Code     int
	Message  string          // printable, at most 300 characters
	Data     json.RawMessage // such as a contract's revert data; may be nil
}

func (e *CallError) Error() string {
	return fmt.Sprintf("call %s at %s: refused with code %d: %s", e.Method, e.Endpoint, e.Code, e.Message)
}

// A Field is what a Mismatch is about.
type Field string

// The facts that all chains have; each chain's client has more.
const (
	FieldChainID Field = "chain id"
	FieldBlock   Field = "block" // of CheckBlock
)

// A Mismatch says that a transaction does not fit the chain as this node's endpoint sees it.
type Mismatch struct {
	Field    Field
	Expected string
	Found    string
	Next     string // what to do
}

func (e *Mismatch) Error() string {
	return fmt.Sprintf("%s: expected %s, found %s; %s", e.Field, e.Expected, e.Found, e.Next)
}

// Waiting is a verdict that time changes: neither that all is well nor that it does not fit. Endpoints agree on it if they wait for the same thing.
type Waiting interface {
	error
	Waits() string // "that it is not there yet"
}

// A Behind error says that an endpoint has not come to a block yet.
type Behind struct {
	Height, Head uint64
}

func (e *Behind) Error() string {
	return fmt.Sprintf("awaits block %d: the chain is at %d; if it is far away, take this intent back and propose it anew", e.Height, e.Head)
}

// Waits names the verdict.
func (e *Behind) Waits() string { return "that it is not there yet" }

// A Rejected error says that the chain's node did not take a signed transaction and does
// not know it either.
type Rejected struct {
	Hash string // the transaction's, as its chain writes it
	Err  *CallError
	Why  error // Mismatches found by asking the chain; nil if nothing explains it
}

func (e *Rejected) Error() string {
	if e.Why != nil {
		return fmt.Sprintf("broadcast %s: %v (%v)", e.Hash, e.Why, e.Err)
	}
	return fmt.Sprintf("broadcast %s: %v", e.Hash, e.Err)
}

// Unwrap returns the refusal and its explanation.
func (e *Rejected) Unwrap() []error {
	if e.Why == nil {
		return []error{e.Err}
	}
	return []error{e.Err, e.Why}
}

// A DisagreementError says that endpoints of one chain say different things.
type DisagreementError struct {
	What         string
	A, B         string // scheme and host
	SaysA, SaysB string
}

func (e *DisagreementError) Error() string {
	return fmt.Sprintf("endpoints disagree on %s: %s says %s, %s says %s; nothing is signed until they agree: find out which of them is behind or lies", e.What, e.A, e.SaysA, e.B, e.SaysB)
}

// Environment returns err if the endpoint did not answer, and nil if it answered, be it
// with a refusal.
func Environment(err error) error {
	var refusal *CallError
	if errors.As(err, &refusal) {
		return nil
	}
	return err
}

// Printable cuts a stranger's text to what may stand in an error: a terminal's control
// sequences must not.
func Printable(text string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	if runes := []rune(clean); len(runes) > 300 {
		return string(runes[:300]) + "…"
	}
	return clean
}
