// Package litesvm starts the pinned LiteSVM for a test: Solana's runtime with the System, Token, Token-2022, Associated Token Account, Memo and
// Compute Budget programs, in one process, behind as much of a node's JSON-RPC as a node of ours and its tests ask for.
//
// Of the runtime are: accounts, rent, what instructions do, signatures, durable nonces, lookup tables, and that a transaction lands once.
// There is no consensus. So all levels of commitment are one: what was sent stands at once, at "finalized". There are no forks, no other nodes
// and no pool. Of the blockhashes only the last one is taken: a real chain takes those of the last 150 blocks. What a transaction paid for its
// compute units is told whichever accounts are asked about. Slots move when a test says so, a second each, and then there is a new blockhash;
// the height is lower than the slot by a fixed number, as where some slots stayed empty. Slots that were passed over have no block, and a slot's
// block has the last blockhash that it had. What landed stays for good, and is listed for each account that it names, those of lookup tables too;
// airdrops and accounts that are set are no transactions. Tests of all that need a server of their own that tells it.
package litesvm
