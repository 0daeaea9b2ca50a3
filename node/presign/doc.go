// Package presign owns a node's presignatures (protocols.md 2.7; spec/presign 3, 5): it makes them in the background with the
// other signers of a key, holds them in memory, and gives each out once, with the record that burns it.
//
// A pool lives as long as the process. Its fencing token is a start counter in the store, raised before the
// first ticket: what an earlier life, or another instance over the same store, held is never taken here.
//
// Locks. Pools.mu guards the pool and what is known of each key. No function of Config is called under it, so
// the desk may take a presignature while it holds a file, and the session host may tell of a burned pair while it holds pairs.
package presign
