// Package hd derives child public keys from a root's public key and chain code: BIP 32's
// CKDpub over secp256k1 (protocols.md 4). The private half never exists; what signing
// needs is the tweak e with child = root + e·G, which one signer adds to its share.
//
// There is no hardened derivation: it hashes the private key. So whoever has one child's
// private key, the root's public key and the chain code has the root's private key; child keys
// are never exported.
//
// A tweak is public to all who know the root and its chain code.
package hd
