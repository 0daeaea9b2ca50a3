// Package solana writes what Solana, and other chains with Ed25519 keys, understand: addresses
// of the vault's keys, and the bytes of a signed statement (spec/chain-solana). Transactions are not
// made here yet.
package solana
