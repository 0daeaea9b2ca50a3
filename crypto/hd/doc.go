// Package hd derives child public keys from a root's public key and chain code (protocols.md 4): BIP 32's CKDpub over
// secp256k1, and an additive scheme of our own over edwards25519. Formats and steps stand in spec/derivation.
//
// The private half never exists; what signing needs is the shift e with child = root + e·G, which one signer adds to its share.
// Derive and Node serve roots of both kinds; Key and XPub are BIP 32's extended public keys; a Descriptor tells a wallet of Bitcoin
// which addresses are an account's; a Template says which paths below a root are in use.
//
// There is no hardened derivation: it hashes the private key. So whoever has one child's private key, the chain code and
// the public key above it has the private key above it: child keys are never exported, and what must not fall together lies below
// different roots. ECDSA and Schnorr signatures are made below different roots too.
//
// A shift is public to all who know the root and its chain code. Whoever learns a chain code alone learns which keys belong
// together.
package hd
