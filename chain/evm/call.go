package evm

import (
	"bytes"
	"math/big"
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

// wellKnown names calls that attackers ask for, so that a refusal says what was asked.
var wellKnown = map[[4]byte]string{
	{0x09, 0x5e, 0xa7, 0xb3}: "approve(address,uint256)",
	{0x39, 0x50, 0x93, 0x51}: "increaseAllowance(address,uint256)",
	{0x23, 0xb8, 0x72, 0xdd}: "transferFrom(address,address,uint256)",
	{0xd5, 0x05, 0xac, 0xcf}: "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)",
	{0xa2, 0x2c, 0xb4, 0x65}: "setApprovalForAll(address,bool)",
	{0x42, 0x84, 0x2e, 0x0e}: "safeTransferFrom(address,address,uint256)",
	{0xac, 0x96, 0x50, 0xd8}: "multicall(bytes[])",
	{0x6a, 0x76, 0x12, 0x02}: "execTransaction of a Safe",
	{0xf2, 0xfd, 0xe3, 0x8b}: "transferOwnership(address)",
	{0x36, 0x59, 0xcf, 0xe6}: "upgradeTo(address)",
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
