// Package onchain asks chains what the verifier compares the logs with (spec/verify 5): of each address how many nonces its key used, which
// transactions used them, and what it holds; of Bitcoin what took its coins.
//
// EVM endpoints keep no index by sender. So those transactions that logs tell of are asked for by their hash, and for each nonce that none of them
// used, the block is searched in which the count passed it: that wants an endpoint which keeps old state, and where one does not, that is said, never
// passed over.
//
// Endpoints of Bitcoin need neither wallet nor index, and may be pruned: every block is read from when the first address was given out, and held
// to its hash, its work and what its coinbase commits to.
//
// Endpoints of Solana list the transactions that name an address (5a). Each is fetched, its signatures are verified, and those that the address signed are its own; below the slot
// from which an endpoint keeps them nothing is known. Several endpoints of one chain must say the same. Answers are bounded; nothing in an answer is believed of another endpoint.
package onchain
