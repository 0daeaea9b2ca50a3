package evm

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/ethereum/go-ethereum/rlp"
)

// MaxLen bounds a transaction in bytes: what public nodes relay.
const MaxLen = 128 << 10

// Envelopes (EIP-2718). DecodeIn takes them all, Decode the dynamic one alone.
const (
	listedType    = 0x01
	dynamicType   = 0x02
	setCodeType   = 0x04
	authorization = 0x05 // EIP-7702: no transaction, and signed alone
)

// otherTypes are envelopes that Decode refuses by name.
var otherTypes = map[byte]string{
	0x01: "access-list transaction (EIP-2930)",
	0x03: "blob transaction (EIP-4844)",
	0x04: "set-code transaction (EIP-7702)",
	0x05: "authorization (EIP-7702)",
	0x19: "signed message (EIP-191 or EIP-712)",
}

// A Refused error says which field of a transaction cannot be signed, and why.
type Refused struct {
	Field  string // as named in spec/chain-evm; "transaction" for the whole
	Reason string
}

func (e *Refused) Error() string {
	return fmt.Sprintf("decode EVM transaction: %s: %s", e.Field, e.Reason)
}

func refuse(field, format string, args ...any) error {
	return &Refused{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Decode reads an unsigned transaction strictly, as spec/chain-evm 2 says. Every error
// is a *Refused.
func Decode(unsigned []byte) (*Transaction, error) { return DecodeCall(unsigned, nil) }

// A Named function says of a call of a contract, without value, whether somebody named it beforehand: exactly these bytes, to exactly this
// contract on this chain.
type Named func(chainID uint64, to Address, data []byte) bool

// AnyCall names every call: for those who only read what others ruled on.
func AnyCall(uint64, Address, []byte) bool { return true }

// DecodeCall is Decode, which also takes calls that are named (spec/chain-evm 4.1). nil names none.
func DecodeCall(unsigned []byte, named Named) (*Transaction, error) {
	tx, r, err := open(unsigned, false)
	if err != nil {
		return nil, err
	}
	tx.end(r)
	return tx.finish(r, unsigned, nil, named)
}

// ParseUnsigned reads a transaction of any type that DecodeIn takes, for those who only read what others ruled on: what it calls is not looked at.
func ParseUnsigned(unsigned []byte) (*Transaction, error) {
	tx, r, err := open(unsigned, true)
	if err != nil {
		return nil, err
	}
	if tx.end(r); r.err != nil {
		return nil, r.err
	}
	if !bytes.Equal(tx.encode(nil), unsigned) {
		return nil, refuse("transaction", "is not equal to its own encoding")
	}
	return tx, tx.check()
}

// end reads what only the signing payload has after the common fields, and that nothing follows.
func (t *Transaction) end(r *reader) {
	if t.kind == Legacy {
		// six fields are Ethereum before EIP-155, valid on every chain: replay
		r.want("chain id", "is missing: without EIP-155 the transaction is valid on every chain")
		t.chainID = r.uint64("chain id")
		for _, field := range []string{"r", "s"} {
			if x := r.integer(field); x.Sign() != 0 {
				r.fail(field, "is not empty: this is a signed transaction, not the signing payload")
			}
		}
	}
	if r.err == nil && len(r.rest) > 0 {
		r.fail("transaction", "has more than %d fields: a signed transaction, or bytes that nobody would see", t.kind.fields())
	}
}

// open reads the envelope and the fields that the signing payload and the signed
// transaction have in common. More than transfers' envelopes are read where all says so.
func open(b []byte, all bool) (*Transaction, *reader, error) {
	if len(b) == 0 {
		return nil, nil, refuse("transaction", "is empty")
	}
	if len(b) > MaxLen {
		return nil, nil, refuse("transaction", "has %d bytes, more than %d", len(b), MaxLen)
	}
	tx := &Transaction{kind: Legacy}
	switch first := b[0]; {
	case first == dynamicType:
		tx.kind, b = Dynamic, b[1:]
	case all && first == listedType:
		tx.kind, b = Listed, b[1:]
	case all && first == setCodeType:
		tx.kind, b = SetCode, b[1:]
	case otherTypes[first] != "":
		return nil, nil, refuse("type", "0x%02x, %s, is not supported", first, otherTypes[first])
	case first < 0xc0:
		return nil, nil, refuse("type", "0x%02x is unknown", first)
	}
	fields, rest, err := rlp.SplitList(b)
	if err != nil {
		return nil, nil, refuse("transaction", "is no RLP list: %s", explain(err))
	}
	if len(rest) > 0 {
		return nil, nil, refuse("transaction", "is followed by %d more bytes", len(rest))
	}
	r := &reader{rest: fields}
	if tx.kind != Legacy {
		tx.chainID = r.uint64("chain id")
	}
	tx.nonce = r.uint64("nonce")
	if tx.kind.dynamic() {
		tx.tipCap, tx.feeCap = r.integer("tip cap"), r.integer("fee cap")
	} else {
		tx.tipCap, tx.feeCap = new(big.Int), r.integer("gas price")
	}
	tx.gas = r.uint64("gas limit")
	tx.to = r.address("to")
	tx.value = r.integer("value")
	tx.data = bytes.Clone(r.bytes("data"))
	switch {
	case !all && tx.kind == Dynamic:
		r.emptyList("access list")
	case tx.kind != Legacy:
		tx.access = r.accessList()
	}
	if tx.kind == SetCode {
		tx.authorizations = r.authorizations()
	}
	return tx, r, nil
}

// finish judges the values, encodes again and compares.
func (t *Transaction) finish(r *reader, b []byte, sig *signature, named Named) (*Transaction, error) {
	if r.err != nil {
		return nil, r.err
	}
	if err := t.check(); err != nil {
		return nil, err
	}
	var err error
	if t.call, err = decodeCall(t.to, t.value, t.data); err != nil && !t.named(named) {
		return nil, err
	}
	// display versus bytes: what we understood is all there is
	if !bytes.Equal(t.encode(sig), b) {
		return nil, refuse("transaction", "is not equal to its own encoding")
	}
	return t, nil
}

// named takes a call that is understood by its name alone: no value goes along, and it is no transfer of whatever form.
func (t *Transaction) named(named Named) bool {
	if named == nil || len(t.data) < 4 || [4]byte(t.data) == transferSelector || t.value.Sign() != 0 || t.to == (Address{}) || !named(t.chainID, t.to, t.data) {
		return false
	}
	t.call = call{ContractCall, t.to, new(big.Int)}
	return true
}

func (t *Transaction) check() error {
	switch {
	case t.chainID == 0:
		return refuse("chain id", "is 0: the transaction would be valid on every chain")
	case t.chainID > MaxChainID:
		return refuse("chain id", "%d is above %d (EIP-2294)", t.chainID, uint64(MaxChainID))
	case t.nonce == math.MaxUint64:
		return refuse("nonce", "is 2⁶⁴−1, which no account can use (EIP-2681)")
	case t.gas == 0:
		return refuse("gas limit", "is 0")
	case t.tipCap.Cmp(t.feeCap) > 0:
		return refuse("tip cap", "%v is above the fee cap %v", t.tipCap, t.feeCap)
	case t.maxCost().BitLen() > 256: // overflow: the sum shown must be the sum that is meant
		return refuse("transaction", "value and fees together exceed 2²⁵⁶−1")
	}
	return nil
}

// A reader takes RLP items in order and keeps the first error.
type reader struct {
	rest []byte
	err  error
}

func (r *reader) fail(field, format string, args ...any) {
	if r.err == nil {
		r.err = refuse(field, format, args...)
	}
}

// want fails with reason unless there is another field.
func (r *reader) want(field, reason string) {
	if r.err == nil && len(r.rest) == 0 {
		r.fail(field, "%s", reason)
	}
}

func (r *reader) bytes(field string) []byte {
	r.want(field, "is missing")
	if r.err != nil {
		return nil
	}
	kind, content, rest, err := rlp.Split(r.rest)
	switch {
	case err != nil:
		r.fail(field, "%s", explain(err))
	case kind == rlp.List:
		r.fail(field, "is a list")
	default:
		r.rest = rest
		return content
	}
	return nil
}

func (r *reader) integer(field string) *big.Int {
	b := r.bytes(field)
	switch {
	case len(b) > 32:
		r.fail(field, "is above 2²⁵⁶−1")
	case len(b) > 0 && b[0] == 0: // two encodings of one number: two hashes for one display
		r.fail(field, "is an integer with a leading zero byte")
	default:
		return new(big.Int).SetBytes(b)
	}
	return new(big.Int)
}

func (r *reader) uint64(field string) uint64 {
	x := r.integer(field)
	if !x.IsUint64() {
		r.fail(field, "is above 2⁶⁴−1")
		return 0
	}
	return x.Uint64()
}

func (r *reader) address(field string) Address {
	b := r.bytes(field)
	switch len(b) {
	case 20:
		return Address(b)
	case 0:
		r.fail(field, "is empty: contract creation is not supported")
	default:
		r.fail(field, "has %d bytes, not 20", len(b))
	}
	return Address{}
}

func (r *reader) emptyList(field string) {
	r.want(field, "is missing")
	if r.err != nil {
		return
	}
	kind, content, rest, err := rlp.Split(r.rest)
	switch {
	case err != nil:
		r.fail(field, "%s", explain(err))
	case kind != rlp.List:
		r.fail(field, "is no list")
	case len(content) > 0:
		r.fail(field, "is not empty: access lists are not supported")
	}
	r.rest = rest
}

// explain says what an RLP error means.
func explain(err error) string {
	switch {
	case errors.Is(err, rlp.ErrCanonSize):
		return "is not in the shortest RLP form"
	case errors.Is(err, rlp.ErrValueTooLarge):
		return "says that it is longer than what follows"
	}
	return err.Error()
}
