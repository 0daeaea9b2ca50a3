// Package coin talks to nodes of Bitcoin: Core, Knots and btcd. As with all chains (node/rpc), each operator's node reads facts from its
// own endpoints and believes no one else's; what they answer can stop a signature, and never cause one.
//
// No wallet, no index and no old blocks are wanted of an endpoint: a pruned node serves. What is asked, and why, is in
// spec/chain-bitcoin 7.
//
// Amounts are satoshis. Endpoints write them as decimal fractions of a bitcoin, which are read digit by digit and never become a float.
package coin
