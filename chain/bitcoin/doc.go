// Package bitcoin writes what the Bitcoin network understands: addresses of the vault's keys,
// and the digest of a signed statement (spec/chain-bitcoin). Transactions are not made here yet.
//
// Networks are named by CAIP-2: "bip122:" and the first 32 digits of the genesis block's hash.
package bitcoin
