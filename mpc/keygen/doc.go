// Package keygen makes a new key that nobody ever holds: a Feldman verifiable secret
// sharing by every party, added up, with commitments before openings and a proof of
// knowledge for each contribution (protocols.md 1.1, spec/keygen).
//
// Paper: Gennaro, Jarecki, Krawczyk, Rabin, "Secure Distributed Key Generation for
// Discrete-Log Based Cryptosystems" (J. Cryptology 20, 2007) for the sharing;
// Komlo, Goldberg, FROST (ePrint 2020/852, version of 2020-12-22) figure 1 for the proof.
// Assumptions: discrete logarithm in the group, random oracle, private authenticated
// channels, and the engine's echo of broadcasts.
//
// DEVIATION: contributions are committed to before they are opened, so the last speaker
// cannot bias the key except by aborting; one commitment covers polynomial, proof nonce
// and chain code. DEVIATION: h_ij commits to every private share in public, so a complaint
// convinces third parties.
//
// The caller must keep Output.Share sealed, and wipe it when it has been stored.
package keygen
