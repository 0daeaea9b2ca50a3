// Package abi reads, writes and shows values of Solidity's types in the three forms in which they are signed: arguments of a call
// (contract ABI), typed data (EIP-712), and JSON as wallets have it. It is strict: each value has one encoding in each form, and
// any other is refused. It knows no contract and no chain.
//
// Types are elementary (uint8 … uint256, int8 … int256, bool, address, bytes1 … bytes32, bytes, string), arrays T[] and T[n], and
// structs. The rules are spec/chain-evm 8 and 9.
package abi
