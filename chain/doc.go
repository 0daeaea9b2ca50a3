// Package chain says what a vault's keys are on each chain: which suites a chain's signatures are
// of, the addresses of keys, and what is signed for a statement. The rooms below it know one chain each.
//
// Chains are named by CAIP-2: "eip155:1", "bip122:000000000019d6689c085ae165831e93", "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp".
package chain
