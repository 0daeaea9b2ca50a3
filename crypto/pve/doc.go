// Package pve is publicly verifiable encryption of a scalar: everybody can check, without any secret, that what was encrypted to a
// recipient's X25519 key is the discrete logarithm s of a public point P = s·G. Backups rest on it: a guardian's value is known to
// be good before it is needed. Normative: spec/pve.
//
//	dealer     Encrypt(context, s, entropy) → proof
//	everybody  Verify(context, proof)
//	recipient  Decrypt(context, proof, private key) → s, and which rows were spoiled
//
// # How it works
//
// Cut and choose, made non-interactive (Camenisch and Damgård, ASIACRYPT 2000, with the seeds opened as in MPC in the head): in each of 128 rows
// s is split in two halves, and each half is encrypted with coins that derive from a seed. A hash over all rows picks the half to
// open. Whoever spoils b chosen rows guesses b bits of that hash, for about 2^b work; one good row is enough to restore, so hiding
// s takes 2^128.
//
// Assumes: random oracles; computational Diffie–Hellman on Curve25519 (with a hash); ChaCha20-Poly1305. It is classical by design: whoever breaks X25519 with a
// quantum computer reads s from P itself, which everybody has.
//
// # What the caller does
//
//   - Names in Context all that the proof is about, from its own records and never from the proof's sender: what is bound
//     there cannot be swapped (another key, epoch, party, use, point or recipient).
//   - Takes recipients' keys through ParseKey, CheckDistinct and CheckPossession. A recipient's new key takes a new epoch.
//   - Destroys with Wipe: PrivateKey, and s. Proofs are public.
//   - Takes a spoiled row as evidence against the dealer only of a proof that Verify accepts.
//
// # Constant time
//
// Encrypt is constant time in s, the seeds and the halves: X25519 and SHA-2 are the standard library's, scalars and points are crypto/group's.
// Decrypt is so in the key and in each row, but which rows are spoiled shows in its time, as in its result. Verify sees public data only and
// runs in variable time. Not wiped: what crypto/ecdh, hkdf and chacha20poly1305 keep inside.
package pve
