// Package solana builds, decodes, digests and assembles Solana transactions, and writes addresses of the vault's keys and the
// bytes of a signed statement: what every node does by itself before it signs. It has no network (spec/chain-solana).
//
// What an intent carries is the message that Ed25519 signs, and beside it what the initiator read of the chain's accounts and
// lookup tables, which the message alone does not say: who owns a token account, how many decimals a mint has. Decode believes none
// of it: each must be what this node read from its own endpoint (World), and what was not read is refused.
//
// It knows transfers of SOL; of tokens of Token and Token-2022, their accounts and allowances; durable nonces, compute budget
// and memos. Every other program and instruction is refused by name or by number.
package solana
