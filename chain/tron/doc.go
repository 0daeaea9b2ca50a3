// Package tron builds, decodes, digests and assembles Tron transactions that move TRX or call transfer(address,uint256) of a
// TRC-20 token: what every node does by itself before it signs. It has no network (spec/chain-tron).
//
// The unsigned form is raw_data, in protobuf's one form (chain/wire). It names its chain by a block alone, so a node says by
// itself which blocks it knows. Everything else is refused by name or by number.
package tron
