package evm

import (
	"bytes"
	"math/big"

	"github.com/ethereum/go-ethereum/crypto"
)

// A call is the meaning of a transaction's value and calldata.
type call struct {
	operation Operation
	to        Address // who receives
	amount    *big.Int
}

// transferSelector is the first four bytes of Keccak-256 of transfer(address,uint256).
var transferSelector = [4]byte{0xa9, 0x05, 0x9c, 0xbb}

// transferLen is the selector and two words.
const transferLen = 4 + 32 + 32

// wellKnown are functions that attackers have called, by selector, so that a refusal says what was asked.
var wellKnown = bySelector(
	"approve(address,uint256)", "increaseAllowance(address,uint256)", "increaseApproval(address,uint256)", "approveAndCall(address,uint256,bytes)",
	"setApprovalForAll(address,bool)", "transferFrom(address,address,uint256)", "safeTransferFrom(address,address,uint256)",
	"permit(address,address,uint256,uint256,uint8,bytes32,bytes32)", "permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)",
	"permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)",
	"transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
	"receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
	"multicall(bytes[])", "multicall(uint256,bytes[])", "multiSend(bytes)", "aggregate3((address,bool,bytes)[])", "execute(address,bytes)", "execute(bytes32,bytes)",
	"execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)", // of a Safe
	"execTransactionFromModule(address,uint256,bytes,uint8)", "enableModule(address)", "setGuard(address)", "setFallbackHandler(address)", "changeMasterCopy(address)",
	"transferOwnership(address)", "setImplementation(address)", "upgradeTo(address)", "upgradeToAndCall(address,bytes)", "upgrade(address,address)",
	"changeAdmin(address)", "diamondCut((address,uint8,bytes4[])[],address,bytes)",
)

func bySelector(functions ...string) map[[4]byte]string {
	out := map[[4]byte]string{}
	for _, f := range functions {
		out[[4]byte(crypto.Keccak256([]byte(f)))] = f
	}
	return out
}

// decodeCall reads spec/chain-evm 4.
func decodeCall(to Address, value *big.Int, data []byte) (call, error) {
	if len(data) == 0 {
		if to == (Address{}) {
			return call{}, refuse("to", "is the zero address: the coins would be burnt")
		}
		return call{NativeTransfer, to, value}, nil
	}
	if len(data) < 4 {
		return call{}, refuse("data", "has %d bytes, which is no call: a note, or an unknown contract's own form", len(data))
	}
	if selector := [4]byte(data); selector != transferSelector {
		if name := wellKnown[selector]; name != "" {
			return call{}, refuse("data", "calls %s, which is not supported", name)
		}
		return call{}, refuse("data", "calls unknown selector 0x%x", selector)
	}
	return decodeTransfer(to, value, data)
}

// decodeTransfer reads calldata of transfer(address,uint256).
func decodeTransfer(token Address, value *big.Int, data []byte) (call, error) {
	if len(data) != transferLen { // trailing bytes: a router or a proxy may act on what nobody was shown
		return call{}, refuse("data", "transfer(address,uint256) has %d bytes, not %d", len(data), transferLen)
	}
	word := data[4:36]
	if !bytes.Equal(word[:12], make([]byte, 12)) { // dirty padding: some contracts read more than 20 bytes
		return call{}, refuse("data", "destination of transfer is padded with other bytes than zero")
	}
	c := call{ERC20Transfer, Address(word[12:]), new(big.Int).SetBytes(data[36:])}
	switch {
	case value.Sign() != 0:
		return call{}, refuse("value", "%v wei go along with a token transfer and would be lost", value)
	case token == (Address{}):
		return call{}, refuse("to", "is the zero address, which is no token")
	case c.to == (Address{}):
		return call{}, refuse("data", "destination of transfer is the zero address: the tokens would be burnt")
	case c.to == token:
		return call{}, refuse("data", "destination of transfer is the token's own contract: the tokens would be lost")
	}
	return c, nil
}

// transferCalldata encodes transfer(address,uint256); amount is below 2²⁵⁶.
func transferCalldata(to Address, amount *big.Int) []byte {
	data := make([]byte, transferLen)
	copy(data, transferSelector[:])
	copy(data[16:36], to[:])
	amount.FillBytes(data[36:])
	return data
}
