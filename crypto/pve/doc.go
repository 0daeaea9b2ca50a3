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
// Cut and choose: Camenisch and Damgård, Verifiable Encryption, Group Encryption, and Their Applications, ASIACRYPT 2000. In each of 128 rows s is
// split in two halves, and each half is encrypted with coins that derive from a seed. A hash over all rows picks the half to
// open. Whoever spoils b chosen rows guesses b bits of that hash, for about 2^b work; one good row is enough to restore, so hiding
// s takes 2^128.
//
// DEVIATION: the paper's verifier picks halves at random; here a hash over all rows does (Fiat–Shamir), once, so that whoever comes later can check.
//
// DEVIATION: the coins of a half derive from a seed, and the seed is what is opened; the seeds are themselves derived, from randomness, the value and the
// context, so that a source that is stuck or known neither repeats nor reveals them.
//
// DEVIATION: X25519 with a recipient's key is computed on the Edwards form from multiples of the key, not by the ladder: the same value, in less
// than half the time.
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
// Encrypt is constant time in s, the seeds and the halves. Ephemeral keys are handled by filippo.io/edwards25519's constant-time operations alone: every
// multiple is looked at, and one selected by masks; a nightly t-test measures it. Decrypt uses crypto/ecdh and is constant time in the key and in each
// row, but which rows are spoiled shows in its time, as in its result. Verify sees public data only and runs in variable time. Not wiped: what
// crypto/ecdh, hmac, hkdf and chacha20poly1305 keep inside.
package pve
