// Package cosmos builds, decodes, digests and assembles transactions of Cosmos chains (SIGN_MODE_DIRECT, bank MsgSend): what
// every node does by itself before it signs. It has no network (spec/chain-cosmos).
//
// The unsigned form is the SignDoc, in protobuf's one form (chain/wire). It names chain, account number and sequence, so it
// serves once, on one chain. Everything but MsgSend is refused by name or as unknown.
package cosmos
