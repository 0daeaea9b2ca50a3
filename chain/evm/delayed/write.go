package delayed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"time"

	"github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/chain/evm/abi"
)

// A module is a proxy of a fixed form (EIP-1167) around the address whose code it runs.
var (
	cloneBegins = []byte{0x36, 0x3d, 0x3d, 0x37, 0x3d, 0x3d, 0x3d, 0x36, 0x3d, 0x73}
	cloneEnds   = []byte{0x5a, 0xf4, 0x3d, 0x82, 0x80, 0x3e, 0x90, 0x3d, 0x91, 0x60, 0x2b, 0x57, 0xfd, 0x5b, 0xf3}
)

// DelayCode is Keccak-256 of the code of Zodiac's Delay 1.0.1, as it lies on public chains at 0xd54895B1121A2eE3f37b502F507631FA1331BED6.
var DelayCode = [32]byte{
	0xc3, 0xbd, 0xb5, 0x59, 0x31, 0x83, 0x86, 0xf6, 0x7e, 0xd2, 0xb0, 0x90, 0xe1, 0x3f, 0xf6, 0x5e,
	0x04, 0xe1, 0xb0, 0xfa, 0x96, 0x7b, 0xaa, 0x21, 0xbd, 0xb5, 0xf1, 0x72, 0x22, 0x68, 0x1b, 0xce,
}

// genuine says whether a module runs that code, itself or as a proxy.
func genuine(module evm.Address, chain Chain) (bool, error) {
	code, err := chain.Code(module)
	if err != nil {
		return false, fmt.Errorf("code of %s: %w", module, err)
	}
	if rest, ok := bytes.CutPrefix(code, cloneBegins); ok && len(rest) == 20+len(cloneEnds) && bytes.Equal(rest[20:], cloneEnds) {
		if code, err = chain.Code(evm.Address(rest[:20])); err != nil {
			return false, fmt.Errorf("code of the module's mastercopy: %w", err)
		}
	}
	return [32]byte(crypto.Keccak256(code)) == DelayCode, nil
}

// Hash is what the module keeps of a call.
func (c Call) Hash() [32]byte {
	var value [32]byte
	c.Value.FillBytes(value[:])
	return [32]byte(crypto.Keccak256(c.To[:], value[:], c.Data, []byte{c.Operation}))
}

// Topic is the first of the logs in which the module tells what was queued: TransactionAdded. The second is the number in the queue, the third the hash.
var Topic = [32]byte(crypto.Keccak256([]byte("TransactionAdded(uint256,bytes32,address,uint256,bytes,uint8)")))

// Added puts what a log tells into its place in the queue. A log of another call than the module keeps is refused: an endpoint can make up what it tells.
func (s *State) Added(nonce uint64, data []byte) error {
	if len(data) > evm.MaxLen {
		return fmt.Errorf("log of a queued call: %d bytes, more than %d", len(data), evm.MaxLen)
	}
	f, err := abi.ParseFunction("function added(address to,uint256 value,bytes data,uint8 operation)")
	if err != nil {
		return err
	}
	v, err := f.Decode(data)
	if err != nil {
		return fmt.Errorf("log of a queued call: %w", err)
	}
	c := Call{evm.Address(v[0].Address()), v[1].Int, v[2].Bytes, uint8(v[3].Int.Uint64())}
	for i := range s.Queue {
		if x := &s.Queue[i]; x.Nonce == nonce && x.Hash == c.Hash() {
			x.Call = &c
			return nil
		}
	}
	return errors.New("log of a queued call: it is not what the module keeps")
}

// An Order is a transaction of the Safe's without coins.
type Order struct {
	To    evm.Address
	Data  []byte
	Nonce uint64 // the Safe's
}

// Enable gives what makes a Safe's delay work once both exist: the Safe takes the module, the module the key. nonce is the Safe's next one.
func Enable(d evm.Delay, nonce uint64) (orders [2]Order, err error) {
	for i, x := range []struct{ to, who evm.Address }{{d.Safe, d.Module}, {d.Module, d.Key}} {
		data, err := evm.Calldata(evm.EnableModule, fmt.Appendf(nil, "[%q]", x.who))
		if err != nil {
			return orders, err
		}
		orders[i] = Order{x.to, data, nonce + uint64(i)}
	}
	return orders, nil
}

// Veto gives what strikes out everything that is queued before a number.
func Veto(d evm.Delay, s State, before uint64) (Order, error) {
	if before <= s.Next || before > s.End {
		return Order{}, fmt.Errorf("nothing is struck out: the queue has numbers %d to %d, and %d is to be the next", s.Next, s.End, before)
	}
	data, err := evm.Calldata(evm.SetTxNonce, fmt.Appendf(nil, "[\"%d\"]", before))
	return Order{d.Module, data, s.Nonce}, err
}

// Message is the order as the message of a SafeTx, in JSON: what evm.BuildDocument takes.
func (o Order) Message() []byte {
	zero := evm.Address{}
	raw, err := json.Marshal(map[string]any{
		"to": o.To, "value": "0", "data": fmt.Sprintf("0x%x", o.Data), "operation": 0, "safeTxGas": "0", "baseGas": "0", "gasPrice": "0", "gasToken": zero, "refundReceiver": zero, "nonce": fmt.Sprint(o.Nonce),
	})
	if err != nil {
		panic("delayed: " + err.Error()) // of these types it cannot be
	}
	return raw
}

// Document is what the Safe's owner signs: typed data of the order, for this Safe.
func (o Order) Document(d evm.Delay) ([]byte, error) {
	at := [20]byte(d.Safe)
	typed, err := abi.NewTyped(evm.SafeTx, abi.Domain{ChainID: new(big.Int).SetUint64(d.ChainID), VerifyingContract: &at}, o.Message())
	if err != nil {
		return nil, fmt.Errorf("write the Safe's transaction: %w", err)
	}
	return typed.Canonical(), nil
}

// execTransaction is what a Safe is asked to carry out, with its owners' signatures.
const execTransaction = "function execTransaction(address to,uint256 value,bytes data,uint8 operation,uint256 safeTxGas,uint256 baseGas,uint256 gasPrice,address gasToken,address refundReceiver,bytes signatures)"

// Bring is the call by which anybody brings a signed transaction of a Safe to the chain, and that Safe: document is the typed data, signature r, s and v of its one owner's.
func Bring(document, signature []byte) (safe evm.Address, call []byte, err error) {
	typed, err := abi.DecodeTyped(document)
	if err != nil {
		return safe, nil, fmt.Errorf("bring a Safe's transaction: %w", err)
	}
	if at := typed.Domain().VerifyingContract; typed.TypeString() != evm.SafeTx || at == nil {
		return safe, nil, errors.New("bring a Safe's transaction: the document is another one")
	} else {
		safe = *at
	}
	if len(signature) != 65 {
		return safe, nil, fmt.Errorf("bring a Safe's transaction: the signature has %d bytes, not 65", len(signature))
	}
	m := typed.Message()
	var list []string
	for _, name := range []string{"to", "value", "data", "operation", "safeTxGas", "baseGas", "gasPrice", "gasToken", "refundReceiver"} {
		v := m.Field(name)
		text := fmt.Sprintf("0x%x", v.Bytes)
		if v.Int != nil {
			text = v.Int.String()
		}
		list = append(list, text)
	}
	arguments, err := json.Marshal(append(list, fmt.Sprintf("0x%x", signature)))
	if err == nil {
		call, err = evm.Calldata(execTransaction, arguments)
	}
	return safe, call, err
}

// MakeSafe is the call of Safe's factory that makes a Safe with one owner and nothing else.
func MakeSafe(singleton, owner evm.Address, salt uint64) ([]byte, error) {
	const setup = "function setup(address[] owners,uint256 threshold,address to,bytes data,address fallbackHandler,address paymentToken,uint256 payment,address paymentReceiver)"
	zero := evm.Address{}
	inner, err := evm.Calldata(setup, fmt.Appendf(nil, `[[%q],"1",%q,"0x",%q,%q,"0",%q]`, owner, zero, zero, zero, zero))
	if err != nil {
		return nil, err
	}
	return evm.Calldata("function createProxyWithNonce(address singleton,bytes initializer,uint256 saltNonce)", fmt.Appendf(nil, `[%q,"0x%x","%d"]`, singleton, inner, salt))
}

// Made is the address that a factory's answer names.
func Made(answer []byte) (evm.Address, error) {
	f, err := abi.ParseFunction("function made(address at)")
	if err != nil {
		return evm.Address{}, err
	}
	v, err := f.Decode(answer)
	if err != nil {
		return evm.Address{}, fmt.Errorf("the factory's answer: %w", err)
	}
	return v[0].Address(), nil
}

// SetUp is the call with which a module is made: owner, avatar and target are the Safe.
func SetUp(safe evm.Address, cooldown, expiration time.Duration) ([]byte, error) {
	if cooldown < 0 || expiration < 0 {
		return nil, errors.New("cooldown and expiration are no negative times")
	}
	inner, err := evm.Calldata("function set(address owner,address avatar,address target,uint256 cooldown,uint256 expiration)",
		fmt.Appendf(nil, `[%q,%q,%q,"%d","%d"]`, safe, safe, safe, cooldown/time.Second, expiration/time.Second))
	if err != nil {
		return nil, err
	}
	return evm.Calldata("function setUp(bytes initParams)", fmt.Appendf(nil, `["0x%x"]`, inner[4:]))
}

// Make is the call of Zodiac's factory that makes a module, and the address that it gets.
func Make(factory, master evm.Address, setUp []byte, salt uint64) (call []byte, module evm.Address, err error) {
	call, err = evm.Calldata("function deployModule(address masterCopy,bytes initializer,uint256 saltNonce)", fmt.Appendf(nil, `[%q,"0x%x","%d"]`, master, setUp, salt))
	var number [32]byte
	new(big.Int).SetUint64(salt).FillBytes(number[:])
	code := append(append(append([]byte{0x60, 0x2d, 0x80, 0x60, 0x09, 0x3d, 0x39, 0x3d, 0xf3}, cloneBegins...), master[:]...), cloneEnds...)
	salted := crypto.Keccak256(crypto.Keccak256(setUp), number[:])
	return call, evm.Address(crypto.Keccak256([]byte{0xff}, factory[:], salted, crypto.Keccak256(code))[12:]), err
}
