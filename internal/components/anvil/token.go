package anvil

import (
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"
	"testing"
)

//go:embed token.easm
var tokenSource string

// TokenDecimals is what decimals() of the deployed token answers.
const TokenDecimals = 6

// DeployToken deploys the ERC-20 of token.easm from the first unlocked account, which then
// holds the whole supply, and returns the token's address.
func (n *Node) DeployToken(t testing.TB, supply *big.Int) string {
	t.Helper()
	code, err := assembleToken(tokenSource)
	if err != nil {
		t.Fatalf("assemble token.easm: %v", err)
	}
	code = append(code, supply.FillBytes(make([]byte, 32))...)
	receipt := n.send(t, map[string]string{
		"from": n.Accounts(t)[0], "data": "0x" + hex.EncodeToString(code), "gas": "0x100000",
	})
	return receipt.ContractAddress
}

// GiveToken sends amount of the token from the first unlocked account.
func (n *Node) GiveToken(t testing.TB, token, to string, amount *big.Int) {
	t.Helper()
	n.send(t, map[string]string{
		"from": n.Accounts(t)[0], "to": token,
		"data": fmt.Sprintf("0xa9059cbb%064s%064x", strings.ToLower(strings.TrimPrefix(to, "0x")), amount),
	})
}

// assembleToken turns the source into creation code: constructor, then runtime.
func assembleToken(source string) ([]byte, error) {
	head, runtimeText, ok := strings.Cut(source, "section runtime")
	_, constructorText, ok2 := strings.Cut(head, "section constructor")
	if !ok || !ok2 {
		return nil, fmt.Errorf("want a section constructor, then a section runtime")
	}
	runtime, err := assemble(runtimeText, map[string]int{})
	if err != nil {
		return nil, err
	}
	labels := map[string]int{"runtime-length": len(runtime), "runtime-start": 0}
	constructor, err := assemble(constructorText, labels)
	if err != nil {
		return nil, err
	}
	labels["runtime-start"] = len(constructor)
	if constructor, err = assemble(constructorText, labels); err != nil {
		return nil, err
	}
	return append(constructor, runtime...), nil
}

var opcodes = map[string]byte{
	"ADD": 0x01, "SUB": 0x03, "LT": 0x10, "EQ": 0x14, "SHR": 0x1c, "CALLER": 0x33, "CALLDATALOAD": 0x35,
	"CODESIZE": 0x38, "CODECOPY": 0x39, "MLOAD": 0x51, "MSTORE": 0x52, "SLOAD": 0x54, "SSTORE": 0x55,
	"JUMPI": 0x57, "JUMPDEST": 0x5b, "DUP1": 0x80, "DUP3": 0x82, "SWAP1": 0x90, "SWAP2": 0x91,
	"LOG3": 0xa3, "RETURN": 0xf3, "REVERT": 0xfd,
}

// assemble reads the notation that token.easm explains. It adds the source's own labels to
// labels.
func assemble(source string, labels map[string]int) ([]byte, error) {
	var code []byte
	uses := map[int]string{} // offset of two bytes → label
	for line := range strings.Lines(source) {
		line, _, _ = strings.Cut(line, ";")
		for _, word := range strings.Fields(line) {
			if label, ok := strings.CutSuffix(word, ":"); ok {
				labels[label] = len(code)
				code = append(code, opcodes["JUMPDEST"])
			} else if label, ok := strings.CutPrefix(word, "@"); ok {
				uses[len(code)+1] = label
				code = append(code, 0x61, 0, 0) // PUSH2
			} else if digits, ok := strings.CutPrefix(word, "0x"); ok {
				b, err := hex.DecodeString(digits)
				if err != nil || len(b) == 0 || len(b) > 32 {
					return nil, fmt.Errorf("%q is no number of 1 to 32 bytes", word)
				}
				code = append(append(code, 0x5f+byte(len(b))), b...) // PUSHn
			} else if op, ok := opcodes[word]; ok {
				code = append(code, op)
			} else {
				return nil, fmt.Errorf("opcode %q is unknown", word)
			}
		}
	}
	for at, label := range uses {
		offset, ok := labels[label]
		if !ok {
			return nil, fmt.Errorf("label %q is unknown", label)
		}
		binary.BigEndian.PutUint16(code[at:], uint16(offset))
	}
	return code, nil
}
