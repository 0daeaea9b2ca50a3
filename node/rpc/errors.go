package rpc

import (
	"fmt"
	"math/big"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/rpc/endpoint"
)

// Errors that clients of all chains have.
type (
	EndpointError     = endpoint.EndpointError
	CallError         = endpoint.CallError
	Field             = endpoint.Field
	Mismatch          = endpoint.Mismatch
	Behind            = endpoint.Behind
	Rejected          = endpoint.Rejected
	DisagreementError = endpoint.DisagreementError
)

// The facts that Check compares.
const (
	FieldChainID       = endpoint.FieldChainID
	FieldNonce   Field = "nonce"
	FieldFeeCap  Field = "fee cap"
	FieldBalance Field = "balance"
	FieldToken   Field = "token"
	FieldBlock         = endpoint.FieldBlock // of CheckBlock
)

// An Ahead error says that a transaction's nonce is not the account's next one yet: it waits
// for those before it.
type Ahead struct {
	Account     evm.Address
	Nonce, Next uint64
}

func (e *Ahead) Error() string {
	return fmt.Sprintf("awaits nonce %d: the account %s is at %d; sign what has the nonces before, or take this intent back and propose it anew", e.Nonce, e.Account, e.Next)
}

// Waits names the verdict.
func (e *Ahead) Waits() string { return "that it waits for those before it" }

func wei(x *big.Int) string { return x.String() + " wei" }
