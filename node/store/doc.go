// Package store states what a node asks of its storage: ordered keys, atomic batches
// with conditions, and durability when Commit returns nil. Drivers stand below it
// (bolt; memory for tests); all pass the suite in storetest. spec/store.md is normative.
//
// Every call has one of three outcomes: done, not done, unknown. Commit's errors are
// "not done" (nothing was written) unless errors.Is(err, ErrUnknown). Whoever burns a
// one-time token must count an unknown outcome as burned.
//
// The store knows bytes. Secrets reach it sealed (node/seal).
package store
