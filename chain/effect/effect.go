// Package effect is what the rooms of chains say of a transaction in one form: what it does, in facts for people, and which
// signatures it needs. It knows no chain.
package effect

import "math/big"

// An Operation is a kind of effect, as policy names it (spec/policy 2.4).
type Operation string

// The operations. Those of Moves move value that the node understood; a rule that means any other must name it.
const (
	Transfer     Operation = "transfer"      // of the chain's own asset
	Token        Operation = "token"         // transfer of a token
	Fee          Operation = "fee"           // at most, to whoever makes the block
	Allowance    Operation = "allowance"     // lets another take tokens, up to an amount
	Unlimited    Operation = "unlimited"     // as Allowance, without a bound that means one
	Call         Operation = "call"          // of a contract, with data of which the charter says what it means, or that the node does not understand
	DelegateCall Operation = "delegate-call" // another's code runs as the account
	Authorise    Operation = "authorise"     // EIP-7702: the account becomes code
	Create       Operation = "create"        // of a contract
	Message      Operation = "message"       // signed text or typed data
	Proof        Operation = "proof"         // of control of an address
	Opaque       Operation = "opaque"        // bytes that the node does not understand
)

// Moves says whether an operation moves value and does nothing else.
func (o Operation) Moves() bool { return o == Transfer || o == Token }

// An Effect is one thing that a transaction does to what its vault holds. What comes back to the vault (change) is none.
type Effect struct {
	Operation   Operation
	Chain       string   // CAIP-2
	Contract    string   // of a token, a collection or a called program, as the chain writes it; empty: the chain's own asset, or none
	Item        string   // which one of a collection; empty: what moves is alike
	Amount      *big.Int // 0 or more, in the smallest unit; nil where nothing is moved
	Destination string   // who receives, may take, or is called, as the chain writes it; empty: whoever makes the block
}

// A Line is one fact as text. A transaction's lines determine its unsigned form: no byte of it can change without a line changing.
type Line struct{ Name, Value string }

// A Use is one signature that a transaction needs.
type Use struct {
	Suite   string
	Path    [3]uint32 // below the vault's root of that suite: department, account, index
	Root    []byte    // Merkle root of a Taproot output's scripts, 32 bytes; nil: it has none, or it is no Taproot output
	Address string    // whose signature it is
	Message []byte    // what is signed: a digest of 32 bytes; on ed25519 the message itself
}

// A Signature is what serves a Use: r ‖ s (s in the lower half), x(R) ‖ s of BIP 340, or R ‖ S of RFC 8032. Recovery is ECDSA's recovery id.
type Signature struct {
	Bytes    [64]byte
	Recovery uint8
}
