// Package rpc talks to chains' nodes. Each operator's node reads chain facts from its own
// endpoint and believes no one else's (trust rule 1); what an endpoint answers can stop a
// signature, and never cause one.
//
// EVM is a client of Ethereum's JSON-RPC over HTTP; node/rpc/coin has Bitcoin's, and
// node/rpc/endpoint what both share. Answers are bounded in size and time.
// Endpoints often carry a key in their URL, so errors and logs name only scheme and host.
//
// Two families of errors: *EndpointError, the environment (nobody answers, or not in
// JSON-RPC), and *CallError, the chain node's own refusal. Mismatch is neither: the chain
// is fine and a transaction does not fit it.
package rpc
