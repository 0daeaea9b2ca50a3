package tron

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"math/big"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/wire"
)

// Suite is the suite of the keys.
const Suite = "ecdsa-secp256k1"

// Bounds and prices. The prices are the chain's parameters as they stand; a node compares them with its endpoint.
const (
	MaxLen  = 1 << 10 // of the unsigned form, in bytes
	MaxMemo = 200     // bytes

	PricePerByte   = 1000      // sun, where the sender has no bandwidth (getTransactionFee)
	PriceOfAccount = 1_100_000 // sun, of a transfer of TRX to an address that is not there yet
	PriceOfMemo    = 1_000_000 // sun (getMemoFee)
	resultLen      = 64        // bytes that the chain counts for the result of a contract
	signatureLen   = 2 + 65
)

// Contracts by their number, and their types.
const (
	transferContract = 1
	triggerContract  = 31
	typePrefix       = "type.googleapis.com/protocol."
)

// contracts are those that are refused by name.
var contracts = map[uint64]string{
	0: "AccountCreateContract", 2: "TransferAssetContract (TRC-10)", 4: "VoteWitnessContract", 11: "FreezeBalanceContract", 13: "WithdrawBalanceContract", 30: "CreateSmartContract", 46: "AccountPermissionUpdateContract: it gives the account to others",
	54: "FreezeBalanceV2Contract", 55: "UnfreezeBalanceV2Contract", 57: "DelegateResourceContract",
}

// A Refused error says which field of a transaction cannot be signed, and why.
type Refused = wire.Refused

func refuse(field, format string, args ...any) error {
	return &Refused{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// A Request says which transfer to build.
type Request struct {
	From      Address
	To        Address  // who receives
	Token     *Address // the TRC-20 contract; nil moves TRX
	Amount    *big.Int // sun, 1 to 2⁶³−1; or of the token's smallest unit, 0 to 2²⁵⁶−1
	FeeLimit  int64    // sun that a call's energy may cost at most; 0 for TRX
	Memo      string   // "": none
	RefBytes  [2]byte  // bytes 6 and 7 of a block's number, 8 bytes big-endian
	RefHash   [8]byte  // bytes 8 to 15 of its id
	Expires   int64    // milliseconds since 1970
	Timestamp int64    // milliseconds since 1970; 0: none
}

// A Context is what a node knows by itself when it decodes.
type Context struct {
	Chain string // CAIP-2: "tron:0x2b6653dc"
	// Own says whether an address is one of the vault's, and its path below the vault's root of suite ecdsa-secp256k1.
	Own func(Address) (path [3]uint32, own bool)
	// Recent says whether a block that a transaction names is one of this chain, as this node read it from its own endpoint.
	Recent func(refBytes [2]byte, refHash [8]byte) bool
}

// A Transaction is one that Decode understood in full. It is immutable.
type Transaction struct {
	request Request
	chain   string
	path    [3]uint32
	own     bool // whether the vault receives
}

// Unsigned returns raw_data, byte for byte what was decoded.
func (t *Transaction) Unsigned() []byte { return t.request.encode() }

// Digest returns the 32 bytes that are signed, which are the transaction's id too: SHA-256 of raw_data.
func (t *Transaction) Digest() [32]byte { return sha256.Sum256(t.request.encode()) }

func (a Address) bytes() []byte { return append([]byte{version}, a[:]...) }

// encode writes raw_data.
func (r Request) encode() []byte {
	var value, parameter, contract, w wire.Writer
	number, name := uint64(transferContract), "TransferContract"
	value.Bytes(1, r.From.bytes())
	if r.Token == nil {
		value.Bytes(2, r.To.bytes()).Uint(3, r.Amount.Uint64())
	} else {
		number, name = triggerContract, "TriggerSmartContract"
		value.Bytes(2, r.Token.bytes()).Bytes(4, transferCalldata(r.To, r.Amount))
	}
	parameter.Text(1, typePrefix+name).Bytes(2, value.Sum())
	contract.Uint(1, number).Bytes(2, parameter.Sum())
	w.Bytes(1, r.RefBytes[:]).Bytes(4, r.RefHash[:]).Uint(8, uint64(r.Expires)).Text(10, r.Memo).Item(11, contract.Sum())
	return w.Uint(14, uint64(r.Timestamp)).Uint(18, uint64(r.FeeLimit)).Sum()
}

// transferSelector is the first four bytes of Keccak-256 of transfer(address,uint256).
var transferSelector = []byte{0xa9, 0x05, 0x9c, 0xbb}

func transferCalldata(to Address, amount *big.Int) []byte {
	data := append(bytes.Clone(transferSelector), make([]byte, 64)...)
	copy(data[16:36], to[:])
	amount.FillBytes(data[36:])
	return data
}

// Build returns the unsigned form. It refuses what Decode would refuse.
func Build(r Request, c Context) ([]byte, error) {
	bits := 63
	if r.Token != nil {
		bits = 256
	}
	if r.Amount == nil || r.Amount.Sign() < 0 || r.Amount.BitLen() > bits || r.Expires < 0 || r.Timestamp < 0 || r.FeeLimit < 0 {
		return nil, fmt.Errorf("build Tron transaction: amount %v, expiry %d, time %d or fee limit %d is out of range", r.Amount, r.Expires, r.Timestamp, r.FeeLimit)
	}
	unsigned := r.encode()
	if _, err := Decode(unsigned, c); err != nil {
		return nil, fmt.Errorf("build Tron transaction: %w", err)
	}
	return unsigned, nil
}

// printable says whether text is one line of visible characters and spaces.
func printable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Decode reads raw_data strictly, as spec/chain-tron 1 says. Every error is a *Refused.
func Decode(unsigned []byte, c Context) (*Transaction, error) {
	if !chainID.MatchString(c.Chain) || c.Own == nil || c.Recent == nil {
		return nil, refuse("context", "chain %.50q is none of Tron's (CAIP-2), or the vault's addresses or the chain's blocks are missing", c.Chain)
	}
	t := &Transaction{chain: c.Chain}
	if err := t.request.read(unsigned); err != nil {
		return nil, err
	}
	r := &t.request
	path, own := c.Own(r.From)
	if !own {
		return nil, refuse("contract.owner_address", "%s is none of this vault's addresses", r.From)
	}
	if !c.Recent(r.RefBytes, r.RefHash) { // nothing else names the chain: a block of a test network would pay there and here
		return nil, refuse("raw_data.ref_block", "%x %x is no recent block of %s that this node knows", r.RefBytes, r.RefHash, c.Chain)
	}
	t.path = path
	_, t.own = c.Own(r.To)
	// display versus bytes: what we understood is all there is
	if !bytes.Equal(r.encode(), unsigned) {
		return nil, refuse("raw_data", "is not equal to its own encoding")
	}
	return t, nil
}

var chainID = regexp.MustCompile(`^tron:0x[0-9a-f]{8}$`)

// read takes raw_data apart.
func (t *Request) read(unsigned []byte) error {
	if len(unsigned) == 0 || len(unsigned) > MaxLen {
		return refuse("raw_data", "has %d bytes, want 1 to %d", len(unsigned), MaxLen)
	}
	r := wire.NewReader("raw_data", unsigned)
	copyFixed(r, t.RefBytes[:], r.Bytes(1, "ref_block_bytes", 2), "ref_block_bytes")
	r.Refuse(3, "ref_block_num", "is not supported: the chain does not look at it")
	copyFixed(r, t.RefHash[:], r.Bytes(4, "ref_block_hash", 8), "ref_block_hash")
	if t.Expires = r.Int(8, "expiration"); t.Expires == 0 {
		r.Fail("expiration", "is missing")
	}
	r.Refuse(9, "auths", "are not supported")
	if t.Memo = r.Text(10, "data", MaxMemo); !printable(t.Memo) { // a line break or a direction mark would write lines of its own
		r.Fail("data", "memo %q holds what cannot be printed in one line", t.Memo)
	}
	found := false
	r.Each(11, "contract", 1, 512, func(b []byte) { found = true; r.Adopt(t.readContract(b)) })
	if !found {
		r.Fail("contract", "is missing")
	}
	r.Refuse(12, "scripts", "are not supported")
	t.Timestamp = r.Int(14, "timestamp")
	t.FeeLimit = r.Int(18, "fee_limit")
	if t.Token == nil && t.FeeLimit != 0 {
		r.Fail("fee_limit", "is %d; a transfer of TRX calls nothing", t.FeeLimit)
	}
	if t.Token != nil && t.FeeLimit == 0 {
		r.Fail("fee_limit", "is missing: the call would have no energy")
	}
	return r.Done()
}

func copyFixed(r *wire.Reader, to, from []byte, field string) {
	if len(from) != len(to) {
		r.Fail(field, "has %d bytes, not %d", len(from), len(to))
	}
	copy(to, from)
}

func (t *Request) readContract(b []byte) error {
	r := wire.NewReader("contract", b)
	number := r.Uint(1, "type")
	parameter := wire.NewReader("contract.parameter", r.Bytes(2, "parameter", 512))
	r.Refuse(3, "provider", "is not supported")
	r.Refuse(4, "ContractName", "is not supported")
	r.Refuse(5, "Permission_id", "is not supported: the owner's key signs")
	url, value := parameter.Text(1, "type_url", 100), parameter.Bytes(2, "value", 512)
	name := map[uint64]string{transferContract: "TransferContract", triggerContract: "TriggerSmartContract"}[number]
	switch {
	case r.Err() != nil:
	case contracts[number] != "":
		r.Fail("type", "%s is not supported", contracts[number])
	case name == "":
		r.Fail("type", "%d is not supported", number)
	case url != typePrefix+name:
		r.Fail("parameter", "is %q in a contract of type %s", url, name)
	}
	r.Adopt(parameter.Done())
	if err := r.Done(); err != nil {
		return err
	}
	if number == transferContract {
		return t.readTransfer(value)
	}
	return t.readTrigger(value)
}

func (t *Request) readTransfer(b []byte) error {
	r := wire.NewReader("contract", b)
	t.From, t.To = address(r, 1, "owner_address"), address(r, 2, "to_address")
	amount := r.Int(3, "amount")
	t.Amount = big.NewInt(amount)
	switch {
	case r.Err() != nil:
	case amount == 0:
		r.Fail("amount", "is missing")
	case t.To == (Address{}):
		r.Fail("to_address", "is the zero address: the coins would be burnt")
	case t.To == t.From:
		r.Fail("to_address", "is the sender, and the chain refuses that")
	}
	return r.Done()
}

func (t *Request) readTrigger(b []byte) error {
	r := wire.NewReader("contract", b)
	t.From = address(r, 1, "owner_address")
	token := address(r, 2, "contract_address")
	r.Refuse(3, "call_value", "TRX along with a token transfer would be lost")
	data := r.Bytes(4, "data", 512)
	r.Refuse(5, "call_token_value", "is not supported")
	r.Refuse(6, "token_id", "is not supported")
	t.Token, t.Amount = &token, new(big.Int)
	switch {
	case r.Err() != nil:
	case len(data) < 4 || !bytes.Equal(data[:4], transferSelector):
		r.Fail("data", "calls %.10x; transfer(address,uint256) alone is supported", data)
	case len(data) != 68: // trailing bytes: a proxy may act on what nobody was shown
		r.Fail("data", "transfer(address,uint256) has %d bytes, not 68", len(data))
	case !bytes.Equal(data[4:16], make([]byte, 12)): // also 0x41 before the address, which some wallets write and some contracts read
		r.Fail("data", "destination of transfer is padded with other bytes than zero")
	default:
		t.To, t.Amount = Address(data[16:36]), new(big.Int).SetBytes(data[36:])
		switch {
		case t.To == Address{}:
			r.Fail("data", "destination of transfer is the zero address: the tokens would be burnt")
		case t.To == token:
			r.Fail("data", "destination of transfer is the token's own contract: the tokens would be lost")
		case token == Address{}:
			r.Fail("contract_address", "is the zero address, which is no token")
		}
	}
	return r.Done()
}

func address(r *wire.Reader, number protowire.Number, field string) (a Address) {
	b := r.Bytes(number, field, 21)
	if len(b) != 21 || b[0] != version {
		r.Fail(field, "%x is not 0x41 and 20 bytes", b)
		return a
	}
	return Address(b[1:])
}

// maxFee is what the transaction costs at most, in sun: the energy of a call up to its limit; each byte, where the sender has no
// bandwidth; a new account for TRX; a memo.
func (t *Transaction) maxFee() *big.Int {
	n := len(t.request.encode())
	size := int64(n + sizeOfLength(n) + 1 + signatureLen + resultLen)
	fee := new(big.Int).Add(big.NewInt(t.request.FeeLimit), big.NewInt(size*PricePerByte))
	if t.request.Token == nil {
		fee.Add(fee, big.NewInt(PriceOfAccount))
	}
	if t.request.Memo != "" {
		fee.Add(fee, big.NewInt(PriceOfMemo))
	}
	return fee
}

func sizeOfLength(n int) int {
	if n < 128 {
		return 1
	}
	return 2
}

// Effects are what the transaction does to what the vault holds, its fee at most as the last.
func (t *Transaction) Effects() []effect.Effect {
	fee := effect.Effect{Operation: effect.Fee, Chain: t.chain, Amount: t.maxFee()}
	if t.own {
		return []effect.Effect{fee}
	}
	e := effect.Effect{Operation: effect.Transfer, Chain: t.chain, Amount: new(big.Int).Set(t.request.Amount), Destination: t.request.To.String()}
	if t.request.Token != nil {
		e.Operation, e.Contract = effect.Token, t.request.Token.String()
	}
	return []effect.Effect{e, fee}
}

// Lines are the facts in the order of spec/chain-tron 3. The last is the id, a hash of the unsigned form.
func (t *Transaction) Lines() []effect.Line {
	r := t.request
	var lines []effect.Line
	add := func(name, format string, args ...any) {
		lines = append(lines, effect.Line{Name: name, Value: fmt.Sprintf(format, args...)})
	}
	add("chain", "%s", t.chain)
	add("from", "%s", r.From)
	if r.Token == nil {
		add("operation", "transfer")
	} else {
		add("operation", "token")
		add("token", "%s", *r.Token)
	}
	add("amount", "%v", r.Amount)
	add("destination", "%s", r.To)
	if r.Memo != "" {
		add("memo", "%s", r.Memo)
	}
	if r.Token != nil {
		add("fee-limit", "%d", r.FeeLimit)
	}
	add("max-fee", "%v", t.maxFee())
	add("ref-block", "%x %x", r.RefBytes, r.RefHash)
	add("expiration", "%d", r.Expires)
	if r.Timestamp != 0 {
		add("timestamp", "%d", r.Timestamp)
	}
	add("unsigned-sha256", "%x", t.Digest())
	return lines
}

// Spends names what the chain gives once: this transaction alone. Any other lands beside it until it has expired.
func (t *Transaction) Spends() []string {
	return []string{fmt.Sprintf("%s transaction %x", t.chain, t.Digest())}
}

// Uses is the one signature that the transaction needs.
func (t *Transaction) Uses() []effect.Use {
	d := t.Digest()
	return []effect.Use{{Suite: Suite, Path: t.path, Address: t.request.From.String(), Message: d[:]}}
}
