// Package evm builds, decodes, digests and assembles what is signed on Ethereum and other EVM chains: what every
// node does by itself before it signs (trust rule 3). It has no network.
//
// Decode knows EIP-1559 (type 2) and legacy EIP-155 transactions that move the chain's own
// coin or call transfer(address,uint256) of an ERC-20 token. DecodeIn knows more, in a Context: what people named
// beforehand in a Book (tokens and the caps of their allowances, collections, functions of contracts, types of typed data, code that
// an account may become) and types 1 and 4, EIP-712 documents and EIP-7702 authorizations. Everything else is refused
// by name: what a node cannot decode it never signs.
//
// The unsigned form is the exact signing payload (EIP-1559: 0x02 ‖ rlp of 9 fields;
// EIP-155: rlp of nonce … data, chain id, 0, 0; typed data: its canonical JSON). It is what an intent carries. A digest
// exists only as a method of what was decoded, and decoding encodes again and compares:
// what was shown is what is signed. The wire format is spec/chain-evm.
package evm
