package anvil

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
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

// Deploy puts a component's contract on the chain, from the first unlocked account. arguments are its constructor's, unless they stand in its code.
func (n *Node) Deploy(t testing.TB, c components.Component, name string, arguments ...any) *Contract {
	t.Helper()
	path, err := c.Contract(name)
	if err != nil {
		t.Fatal(err)
	}
	built := read(t, path)
	code := common.FromHex(built.Bytecode)
	if len(code) == 0 {
		t.Fatalf("read %s: no code", path)
	}
	var packed []byte
	if !built.ready {
		if packed, err = built.ABI.Pack("", arguments...); err != nil {
			t.Fatalf("%s: arguments of the constructor: %v", name, err)
		}
	}
	receipt := n.send(t, map[string]string{"from": n.Accounts(t)[0], "data": "0x" + hex.EncodeToString(append(code, packed...)), "gas": "0x800000"})
	return &Contract{ABI: built.ABI, Address: common.HexToAddress(receipt.ContractAddress), node: n}
}

// built is what a compiler wrote of a contract.
type built struct {
	ABI      abi.ABI
	Bytecode string
	ready    bool // its constructor's arguments stand in it
}

// read reads a contract: one JSON object, or its ABI beside a script that exports the init code with which it was put on public chains.
func read(t testing.TB, path string) (b built) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if json.Unmarshal(raw, &b) == nil {
		return b
	}
	if err := json.Unmarshal(raw, &b.ABI); err != nil {
		t.Fatalf("read %s: %v", path, err)
	}
	script := strings.TrimSuffix(path, ".json") + ".js"
	if raw, err = os.ReadFile(script); err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(raw), `exports.initCode = "`)
	code, _, ends := strings.Cut(rest, `"`)
	if !found || !ends {
		t.Fatalf("read %s: it exports no init code", script)
	}
	b.Bytecode, b.ready = code, true
	return b
}

// InitCode is the code with which a component's contract was put on public chains, its constructor's arguments with it.
func InitCode(t testing.TB, c components.Component, name string) []byte {
	t.Helper()
	path, err := c.Contract(name)
	if err != nil {
		t.Fatal(err)
	}
	return common.FromHex(read(t, path).Bytecode)
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

// Transact sends a transaction from an unlocked account, and waits until it is mined. A revert fails the test.
func (n *Node) Transact(t testing.TB, transaction map[string]string) {
	t.Helper()
	n.send(t, transaction)
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
