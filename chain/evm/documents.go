package evm

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/chain/evm/abi"
)

// Operations of typed data (EIP-712).
const (
	TypedData        Operation = "typed-data" // allow-listed, and nothing more is known of it
	Permit           Operation = "erc2612-permit"
	PermitDAI        Operation = "dai-permit"
	Permit2          Operation = "permit2-allowance"
	Permit2Batch     Operation = "permit2-allowance-batch"
	Permit2Transfer  Operation = "permit2-transfer"
	TransferByOthers Operation = "erc3009-transfer"
	SafeTransaction  Operation = "safe-transaction"
)

// A documentKind is a type of typed data whose meaning the room knows.
type documentKind struct {
	operation Operation
	token     bool // the contract that takes it is a token, of which the book must know the cap
	read      func(document, abi.Value) (meaning, error)
}

// documents are the types whose meaning the room knows, by their encodeType.
var documents = map[string]documentKind{
	"Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)":                                                                                   {Permit, true, readPermit},
	"Permit(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed)":                                                                                     {PermitDAI, true, readPermitDAI},
	"PermitSingle(PermitDetails details,address spender,uint256 sigDeadline)" + permitDetails:                                                                              {Permit2, false, readPermit2},
	"PermitBatch(PermitDetails[] details,address spender,uint256 sigDeadline)" + permitDetails:                                                                             {Permit2Batch, false, readPermit2},
	"PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline)TokenPermissions(address token,uint256 amount)":                          {Permit2Transfer, false, readPermit2Transfer},
	"TransferWithAuthorization" + authorised3009:                                                                                                                           {TransferByOthers, true, read3009},
	"ReceiveWithAuthorization" + authorised3009:                                                                                                                            {TransferByOthers, true, read3009},
	"SafeTx(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,uint256 nonce)": {SafeTransaction, false, readSafe},
}

const (
	permitDetails  = "PermitDetails(address token,uint160 amount,uint48 expiration,uint48 nonce)"
	authorised3009 = "(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
)

// A document is typed data in its surroundings.
type document struct {
	chain    Chain
	book     *Allowed
	account  Address
	contract Address // who takes it
	spends   *[]string
}

// decodeDocument reads typed data in its canonical JSON.
func decodeDocument(b []byte, c Context) (*Payload, error) {
	typed, err := abi.DecodeTyped(b)
	if err != nil {
		return nil, refuse("typed data", "%v", err)
	}
	d := typed.Domain()
	switch {
	case d.ChainID == nil: // it would be good on every chain on which the contract lies
		return nil, refuse("domain", "has no chainId: the signature would be valid on every chain")
	case !d.ChainID.IsUint64() || d.ChainID.Sign() == 0 || d.ChainID.Uint64() > MaxChainID:
		return nil, refuse("domain", "chainId %v is no chain's", d.ChainID)
	case d.VerifyingContract == nil:
		return nil, refuse("domain", "has no verifyingContract: any contract could take it")
	case c.Allowed == nil:
		return nil, refuse("typed data", "is not supported without a book that names its type")
	}
	chain, err := c.Allowed.chain(d.ChainID.Uint64())
	if err != nil {
		return nil, err
	}
	contract := Address(*d.VerifyingContract)
	rule, ok := c.Allowed.documents[documentKey{place{chain.ID, contract}, typed.TypeString()}]
	if !ok {
		return nil, refuse("primaryType", "%s, for %s: this type is not in the book", short(typed.TypeString()), contract)
	}
	if err := rule.same(d); err != nil {
		return nil, err
	}
	// DecodeTyped encoded it again, and compared
	p := &Payload{account: c.Account, unsigned: bytes.Clone(b), chain: chain.ID, digest: typed.Digest()}
	m, err := document{chain, c.Allowed, c.Account.Address, contract, &p.spends}.read(typed)
	if err != nil {
		return nil, err
	}
	p.means, p.lines, p.effects = m.operation, m.lines, m.effects
	p.assemble = func(sig *signature) ([]byte, Hash) {
		raw := make([]byte, 65)
		sig.r.FillBytes(raw[:32])
		sig.s.FillBytes(raw[32:64])
		raw[64] = 27 + sig.recID
		return raw, Hash(p.digest)
	}
	return p, nil
}

// same says what of a domain is not the book's.
func (rule Document) same(d abi.Domain) error {
	for _, x := range []struct {
		member string
		want   string
		got    *string
	}{{"name", rule.Name, d.Name}, {"version", rule.Version, d.Version}} {
		switch {
		case x.want == "" && x.got != nil:
			return refuse("domain", "has %s %.60q, and the book has none", x.member, *x.got)
		case x.want != "" && x.got == nil:
			return refuse("domain", "has no %s, and the book has %q", x.member, x.want)
		case x.got != nil && *x.got != x.want:
			return refuse("domain", "%s is %.60q, and the book has %q", x.member, *x.got, x.want)
		}
	}
	if (rule.Salt == nil) != (d.Salt == nil) || d.Salt != nil && *d.Salt != *rule.Salt {
		return refuse("domain", "salt is not the book's")
	}
	return nil
}

// read says what a document does, beside what it says.
func (d document) read(typed *abi.Typed) (meaning, error) {
	kind, known := documents[typed.TypeString()]
	if !known {
		kind.operation = TypedData
	}
	domain, message := typed.Domain(), typed.Message()
	lines := []effect.Line{
		{Name: "operation", Value: string(kind.operation)}, {Name: "chain-id", Value: fmt.Sprint(d.chain.ID)}, {Name: "contract", Value: d.contract.String()},
	}
	if domain.Name != nil {
		lines = append(lines, effect.Line{Name: "domain-name", Value: fmt.Sprintf("%q", *domain.Name)})
	}
	if domain.Version != nil {
		lines = append(lines, effect.Line{Name: "domain-version", Value: fmt.Sprintf("%q", *domain.Version)})
	}
	if domain.Salt != nil {
		lines = append(lines, effect.Line{Name: "domain-salt", Value: fmt.Sprintf("0x%x", *domain.Salt)})
	}
	lines = append(lines, effect.Line{Name: "type", Value: short(typed.TypeString())})
	lines = append(lines, argumentLines("message.", message.Type.Fields(), message.List)...)
	said := []effect.Effect{{Operation: effect.Message, Chain: chainName(d.chain.ID), Contract: d.contract.String(), Destination: d.contract.String()}}
	if !known {
		return meaning{kind.operation, lines, said}, nil
	}
	m, err := kind.read(d, message)
	if err != nil {
		return meaning{}, err
	}
	if len(m.effects) == 0 { // it still uses a nonce: so a Safe's owner takes back what is signed and was not brought
		m.effects = said
	}
	return meaning{kind.operation, append(lines, m.lines...), m.effects}, nil
}

// once names a nonce within the contract.
func (d document) once(format string, args ...any) {
	*d.spends = append(*d.spends, fmt.Sprintf("eip155:%d/", d.chain.ID)+fmt.Sprintf(format, args...))
}

// owner judges whose assets a document is about.
func (d document) owner(field string, v abi.Value) error {
	if who := Address(v.Field(field).Address()); who != d.account {
		return refuse("message", "%s is %s, which is not the account", field, who)
	}
	return nil
}

// lend is the effect of a document that lets a spender take tokens, in an amount of that many bits.
func (d document) lend(token, spender Address, amount *big.Int, bits int) (effect.Effect, []effect.Line, error) {
	t, ok := d.book.tokens[place{d.chain.ID, token}]
	switch {
	case !ok:
		return effect.Effect{}, nil, refuse("message", "token %s is not in the book", token)
	case spender == (Address{}), spender == token, spender == d.account:
		return effect.Effect{}, nil, refuse("message", "spender %s is the zero address, the token or the account itself", spender)
	}
	op := lends(amount, t.Cap, bits)
	s := scene{chain: d.chain}
	return s.effect(op, &token, amount, spender), []effect.Line{{Name: "known-as", Value: cmp.Or(t.Name, token.String())}, {Name: "allowance", Value: allowanceWords[op]}}, nil
}

// until is a time in seconds as people read it.
func until(name string, seconds *big.Int) effect.Line {
	text := "never ends"
	if seconds.IsInt64() && seconds.Int64() < 253402300800 { // the year 10000
		text = time.Unix(seconds.Int64(), 0).UTC().Format(time.RFC3339)
	}
	return effect.Line{Name: name, Value: text}
}

func readPermit(d document, v abi.Value) (meaning, error) {
	if err := d.owner("owner", v); err != nil {
		return meaning{}, err
	}
	e, lines, err := d.lend(d.contract, Address(v.Field("spender").Address()), v.Field("value").Int, 256)
	d.once("permit:%s/%s/%v", d.contract, d.account, v.Field("nonce").Int)
	return meaning{lines: append(lines, until("deadline", v.Field("deadline").Int)), effects: []effect.Effect{e}}, err
}

func readPermitDAI(d document, v abi.Value) (meaning, error) {
	if err := d.owner("holder", v); err != nil {
		return meaning{}, err
	}
	e, lines, err := d.lend(d.contract, Address(v.Field("spender").Address()), new(big.Int), 256)
	if err != nil {
		return meaning{}, err
	}
	if v.Field("allowed").Int.Sign() != 0 {
		e.Operation, e.Amount = effect.Unlimited, nil
		lines[len(lines)-1].Value = allowanceWords[effect.Unlimited]
	}
	expiry := until("deadline", v.Field("expiry").Int)
	if v.Field("expiry").Int.Sign() == 0 { // the token takes 0 for no end
		expiry.Value = "never ends"
	}
	d.once("permit:%s/%s/%v", d.contract, d.account, v.Field("nonce").Int)
	return meaning{lines: append(lines, expiry), effects: []effect.Effect{e}}, nil
}

// readPermit2 reads allowances that the Permit2 contract keeps, of one token or of several.
func readPermit2(d document, v abi.Value) (meaning, error) {
	spender := Address(v.Field("spender").Address())
	details := []abi.Value{v.Field("details")}
	if details[0].Type.Fields() == nil {
		details = details[0].List
	}
	if len(details) == 0 || len(details) > maxBatch {
		return meaning{}, refuse("message", "lends %d tokens, not 1 to %d", len(details), maxBatch)
	}
	var m meaning
	for i, x := range details {
		token := Address(x.Field("token").Address())
		e, lines, err := d.lend(token, spender, x.Field("amount").Int, 160)
		if err != nil {
			return meaning{}, err
		}
		end := until("", x.Field("expiration").Int)
		m.lines = append(m.lines, effect.Line{Name: fmt.Sprintf("lends.%d", i+1), Value: fmt.Sprintf("%s, %s, expires %s", lines[0].Value, lines[1].Value, end.Value)})
		m.effects = append(m.effects, e)
		d.once("permit2:%s/%s/%s/%s/%v", d.contract, d.account, token, spender, x.Field("nonce").Int)
	}
	m.lines = append(m.lines, until("deadline", v.Field("sigDeadline").Int))
	return m, nil
}

func readPermit2Transfer(d document, v abi.Value) (meaning, error) {
	permitted := v.Field("permitted")
	e, lines, err := d.lend(Address(permitted.Field("token").Address()), Address(v.Field("spender").Address()), permitted.Field("amount").Int, 256)
	d.once("permit2-transfer:%s/%s/%v", d.contract, d.account, v.Field("nonce").Int)
	return meaning{lines: append(lines, until("deadline", v.Field("deadline").Int)), effects: []effect.Effect{e}}, err
}

// read3009 reads a transfer that somebody else brings to the chain (ERC-3009).
func read3009(d document, v abi.Value) (meaning, error) {
	if err := d.owner("from", v); err != nil {
		return meaning{}, err
	}
	to := Address(v.Field("to").Address())
	if to == (Address{}) || to == d.contract {
		return meaning{}, refuse("message", "destination %s is the zero address or the token's own contract", to)
	}
	m := meaning{lines: []effect.Line{{Name: "known-as", Value: d.book.tokens[place{d.chain.ID, d.contract}].Name}, until("deadline", v.Field("validBefore").Int)}}
	if to != d.account {
		m.effects = []effect.Effect{scene{chain: d.chain}.effect(effect.Token, &d.contract, v.Field("value").Int, to)}
	}
	d.once("authorization:%s/%s/%s", d.contract, d.account, v.Field("nonce").Text())
	return m, nil
}

// safePrefix begins the names of lines of what a Safe would do.
const safePrefix = "safe."

// readSafe reads a transaction of a Safe, of which the account is an owner: what the Safe is to do is read by the same book.
func readSafe(d document, v abi.Value) (meaning, error) {
	for _, x := range []string{"gasToken", "refundReceiver"} {
		if a := Address(v.Field(x).Address()); a != (Address{}) {
			return meaning{}, refuse("message", "%s is %s: the Safe would pay whoever brings it", x, a)
		}
	}
	if price := v.Field("gasPrice").Int; price.Sign() != 0 {
		return meaning{}, refuse("message", "gasPrice is %v: the Safe would pay whoever brings it", price)
	}
	s := scene{
		chain: d.chain, book: d.book, caller: d.contract, to: Address(v.Field("to").Address()), value: v.Field("value").Int, data: v.Field("data").Bytes,
	}
	switch operation := v.Field("operation").Int; {
	case operation.Cmp(big.NewInt(1)) > 0:
		return meaning{}, refuse("message", "operation is %v, neither 0 nor 1", operation)
	case operation.Sign() != 0 && s.value.Sign() != 0:
		return meaning{}, refuse("message", "value is %v, which operation 1 does not send", s.value)
	case operation.Sign() != 0:
		s.delegate = true
	}
	m, err := s.understand()
	if err != nil {
		return meaning{}, refuse("message", "what the Safe would do: %s", reason(err))
	}
	for i := range m.lines {
		m.lines[i].Name = safePrefix + m.lines[i].Name
	}
	d.once("safe:%s/%v", d.contract, v.Field("nonce").Int)
	return m, nil
}

// reason is a refusal's field and reason, to stand in another one.
func reason(err error) string {
	var r *Refused
	if errors.As(err, &r) {
		return r.Field + ": " + r.Reason
	}
	return err.Error()
}

// BuildDocument returns the canonical form of a document that the book names: message is its struct as a JSON object, domain and types come from the book.
// It refuses what DecodeIn would refuse.
func BuildDocument(chain uint64, contract Address, typeString string, message []byte, c Context) ([]byte, error) {
	if c.Allowed == nil {
		return nil, errors.New("build typed data: no book names its type")
	}
	rule, ok := c.Allowed.documents[documentKey{place{chain, contract}, typeString}]
	if !ok {
		return nil, fmt.Errorf("build typed data: %s, for %s: this type is not in the book", short(typeString), contract)
	}
	at := [20]byte(contract)
	d := abi.Domain{ChainID: new(big.Int).SetUint64(chain), VerifyingContract: &at, Salt: rule.Salt}
	if rule.Name != "" {
		d.Name = &rule.Name
	}
	if rule.Version != "" {
		d.Version = &rule.Version
	}
	typed, err := abi.NewTyped(typeString, d, message)
	if err != nil {
		return nil, fmt.Errorf("build typed data: %w", err)
	}
	if _, err := DecodeIn(typed.Canonical(), c); err != nil {
		return nil, fmt.Errorf("build typed data: %w", err)
	}
	return typed.Canonical(), nil
}

// CanonicalDocument brings typed data as wallets have it (eth_signTypedData_v4) into the one form that DecodeIn reads. It refuses what says nothing,
// or two things: members that no type has, types that nothing uses, a key twice.
func CanonicalDocument(document []byte) ([]byte, error) {
	if len(document) > MaxLen {
		return nil, fmt.Errorf("read typed data: %d bytes, more than %d", len(document), MaxLen)
	}
	typed, err := abi.ParseTyped(document)
	if err != nil {
		return nil, fmt.Errorf("read typed data: %w", err)
	}
	return typed.Canonical(), nil
}
