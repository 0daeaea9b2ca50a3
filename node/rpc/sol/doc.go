// Package sol talks to nodes of Solana. As with all chains (node/rpc), each operator's node reads facts from its own endpoints and believes no one
// else's; what they answer can stop a signature, and never cause one. What is asked, and why, is in spec/chain-solana 10.
//
// All is read at the commitment "finalized", which no fork undoes, some 13 seconds late. Amounts are lamports, and read as whole numbers.
package sol
