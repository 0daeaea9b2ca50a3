package rpc

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"github.com/ostraka/ostraka/chain/evm"
)

// quantity is JSON-RPC's 0x… number of at most 256 bits.
type quantity struct{ big.Int }

func (q *quantity) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || digits == "" || len(digits) > 64 || strings.Trim(digits, "0123456789abcdefABCDEF") != "" {
		return fmt.Errorf("quantity %.80q: want 0x and 1 to 64 hexadecimal digits", text)
	}
	q.SetString(digits, 16)
	return nil
}

// quantity64 is a quantity below 2⁶⁴.
type quantity64 uint64

func (q *quantity64) UnmarshalJSON(b []byte) error {
	var x quantity
	if err := x.UnmarshalJSON(b); err != nil {
		return err
	}
	if !x.IsUint64() {
		return fmt.Errorf("quantity %v is above 2⁶⁴−1", &x.Int)
	}
	*q = quantity64(x.Uint64())
	return nil
}

// blob is JSON-RPC's 0x… bytes.
type blob []byte

func (d *blob) UnmarshalJSON(b []byte) error {
	var text string
	if err := json.Unmarshal(b, &text); err != nil {
		return err
	}
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok {
		return fmt.Errorf("data %.80q: want 0x", text)
	}
	decoded, err := hex.DecodeString(digits)
	*d = decoded
	return err
}

func hexNumber(x *big.Int) string { return "0x" + x.Text(16) }
func hexBytes(b []byte) string    { return "0x" + hex.EncodeToString(b) }

// number calls a method whose result is one quantity.
func (c *EVM) number(ctx context.Context, method string, params ...any) (*big.Int, error) {
	var q quantity
	if err := c.call(ctx, &q, method, params...); err != nil {
		return nil, err
	}
	return &q.Int, nil
}

// number64 is number for quantities below 2⁶⁴.
func (c *EVM) number64(ctx context.Context, method string, params ...any) (uint64, error) {
	var q quantity64
	err := c.call(ctx, &q, method, params...)
	return uint64(q), err
}

// ChainID returns the chain's EIP-155 id.
func (c *EVM) ChainID(ctx context.Context) (uint64, error) { return c.number64(ctx, "eth_chainId") }

// BlockNumber returns the height of the latest block.
func (c *EVM) BlockNumber(ctx context.Context) (uint64, error) {
	return c.number64(ctx, "eth_blockNumber")
}

// PendingNonce returns the next nonce of an account, after all that waits in the pool.
func (c *EVM) PendingNonce(ctx context.Context, account evm.Address) (uint64, error) {
	return c.number64(ctx, "eth_getTransactionCount", account, "pending")
}

// MinedNonce returns the next nonce of an account, after the latest block.
func (c *EVM) MinedNonce(ctx context.Context, account evm.Address) (uint64, error) {
	return c.number64(ctx, "eth_getTransactionCount", account, "latest")
}

// Balance returns an account's wei after the latest block.
func (c *EVM) Balance(ctx context.Context, account evm.Address) (*big.Int, error) {
	return c.number(ctx, "eth_getBalance", account, "latest")
}

// Message is a call that is simulated: nothing is signed or sent. Nil values are left out.
type Message struct {
	From, To evm.Address
	Value    *big.Int
	Data     []byte
}

func (m Message) params() map[string]any {
	p := map[string]any{"from": m.From, "to": m.To}
	if m.Value != nil {
		p["value"] = hexNumber(m.Value)
	}
	if m.Data != nil {
		p["data"] = hexBytes(m.Data)
	}
	return p
}

// Call simulates a message on the latest block and returns what it returns.
func (c *EVM) Call(ctx context.Context, m Message) ([]byte, error) {
	return c.callAt(ctx, m, latest)
}

// callAt simulates a message on a block that is named as JSON-RPC does.
func (c *EVM) callAt(ctx context.Context, m Message, block string) ([]byte, error) {
	var b blob
	err := c.call(ctx, &b, "eth_call", m.params(), block)
	return b, err
}

// EstimateGas returns the gas that the message would use on the latest block. A message
// that would revert is a *CallError.
func (c *EVM) EstimateGas(ctx context.Context, m Message) (uint64, error) {
	return c.number64(ctx, "eth_estimateGas", m.params())
}

// Selectors of ERC-20: the first four bytes of Keccak-256 of the signatures.
var (
	balanceOfSelector = []byte{0x70, 0xa0, 0x82, 0x31} // balanceOf(address)
	decimalsSelector  = []byte{0x31, 0x3c, 0xe5, 0x67} // decimals()
)

// TokenBalance returns how much of an ERC-20 token an account holds, in its smallest unit.
func (c *EVM) TokenBalance(ctx context.Context, token, account evm.Address) (*big.Int, error) {
	data := append(append(make([]byte, 0, 36), balanceOfSelector...), make([]byte, 12)...)
	return c.tokenWord(ctx, token, append(data, account[:]...), latest)
}

// TokenDecimals returns how many decimal places of a whole token its smallest unit is.
func (c *EVM) TokenDecimals(ctx context.Context, token evm.Address) (uint8, error) {
	x, err := c.tokenWord(ctx, token, decimalsSelector, latest)
	if err != nil {
		return 0, err
	}
	if !x.IsUint64() || x.Uint64() > 255 {
		return 0, fmt.Errorf("token %s: decimals() is %v, above 255", token, x)
	}
	return uint8(x.Uint64()), nil
}

// tokenWord reads one 32-byte word from a token. An address without code returns nothing.
func (c *EVM) tokenWord(ctx context.Context, token evm.Address, data []byte, block string) (*big.Int, error) {
	b, err := c.callAt(ctx, Message{To: token, Data: data}, block)
	if err != nil {
		return nil, fmt.Errorf("read token %s: %w", token, err)
	}
	if len(b) != 32 {
		return nil, &Mismatch{
			Field: FieldToken, Expected: fmt.Sprintf("an ERC-20 contract at %s", token),
			Found: fmt.Sprintf("an answer of %d bytes, not 32", len(b)), Next: "check the token's address and its chain",
		}
	}
	return new(big.Int).SetBytes(b), nil
}

// Accounts returns the addresses whose keys the chain's node holds itself: only
// development nodes have such.
func (c *EVM) Accounts(ctx context.Context) ([]evm.Address, error) {
	var accounts []evm.Address
	err := c.call(ctx, &accounts, "eth_accounts")
	return accounts, err
}

// SendTransaction makes the chain's node sign and send with a key of its own. It serves
// the demonstration's faucet and nothing else.
func (c *EVM) SendTransaction(ctx context.Context, m Message) (evm.Hash, error) {
	var h evm.Hash
	err := c.call(ctx, &h, "eth_sendTransaction", m.params())
	return h, err
}
