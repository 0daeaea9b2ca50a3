// Package endpoint is what clients of all chains' nodes have in common: JSON-RPC over HTTP, with answers that are bounded in size and time; the
// errors; and a panel of endpoints of one chain, which says what they agree on. It knows no chain.
//
// Endpoints often carry a key in their URL, or a user and a password, so errors and logs name only scheme and host.
package endpoint
