// Package ceremony drives the life of vaults' keys on one node: it opens and answers keygen
// and test sessions, keeps what they make sealed, collects certificates and FINALs, and
// signs the one key that a vault publishes (protocols.md 1.5, spec/epochs).
//
// A key generation that fails is begun anew under a new key id. A node joins attempt a + 1
// only after it gave up what attempt a prepared, which it may do only if it has not signed
// FINAL for it; so one attempt at most ever comes into force.
//
// Keeper.mu guards everything here. Code that holds it never calls the session host, which
// calls the Keeper under its sessions' locks.
package ceremony
