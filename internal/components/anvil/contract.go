package anvil

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/ethereum/go-ethereum/accounts/abi"
	"github.com/ethereum/go-ethereum/common"

	"github.com/ostraka/ostraka/internal/components"
)

// A Contract is one that a package carries compiled. Its calls are written by go-ethereum's encoder, which the product does not use.
type Contract struct {
	ABI     abi.ABI
	Address common.Address // on the node

	node *Node
}

// Deploy puts a component's contract on the chain, from the first unlocked account. arguments are its constructor's.
func (n *Node) Deploy(t testing.TB, c components.Component, name string, arguments ...any) *Contract {
	t.Helper()
	path, err := c.Contract(name)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var built struct {
		ABI      abi.ABI
		Bytecode string
	}
	if err := json.Unmarshal(raw, &built); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	code := common.FromHex(built.Bytecode)
	if len(code) == 0 {
		t.Fatalf("read %s: no code", path)
	}
	packed, err := built.ABI.Pack("", arguments...)
	if err != nil {
		t.Fatalf("%s: arguments of the constructor: %v", name, err)
	}
	receipt := n.send(t, map[string]string{"from": n.Accounts(t)[0], "data": "0x" + hex.EncodeToString(append(code, packed...)), "gas": "0x800000"})
	return &Contract{ABI: built.ABI, Address: common.HexToAddress(receipt.ContractAddress), node: n}
}

// At is the contract at another address, such as that of a proxy which runs its code.
func (c *Contract) At(address common.Address) *Contract { return &Contract{c.ABI, address, c.node} }

// Pack is the data of a call.
func (c *Contract) Pack(t testing.TB, method string, arguments ...any) []byte {
	t.Helper()
	data, err := c.ABI.Pack(method, arguments...)
	if err != nil {
		t.Fatalf("arguments of %s: %v", method, err)
	}
	return data
}

// Send calls a method in a transaction from an unlocked account, and waits until it is mined. A revert fails the test.
func (c *Contract) Send(t testing.TB, from, method string, arguments ...any) {
	t.Helper()
	c.node.send(t, c.call(t, from, method, arguments))
}

// Revert says why a call from an account would revert; empty: it would not.
func (c *Contract) Revert(t testing.TB, from, method string, arguments ...any) string {
	t.Helper()
	if a := c.node.ask(t, "eth_call", []any{c.call(t, from, method, arguments), "latest"}); a.Error != nil {
		return a.Error.Message
	}
	return ""
}

// Read calls a method that changes nothing, and returns what it answers.
func (c *Contract) Read(t testing.TB, method string, arguments ...any) []any {
	t.Helper()
	var result string
	c.node.Call(t, &result, "eth_call", c.call(t, c.node.Accounts(t)[0], method, arguments), "latest")
	values, err := c.ABI.Unpack(method, common.FromHex(result))
	if err != nil {
		t.Fatalf("%s answers %s: %v", method, result, err)
	}
	return values
}

func (c *Contract) call(t testing.TB, from, method string, arguments []any) map[string]string {
	t.Helper()
	return map[string]string{"from": from, "to": c.Address.Hex(), "data": "0x" + hex.EncodeToString(c.Pack(t, method, arguments...))}
}
