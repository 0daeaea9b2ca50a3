// Package keygen makes a new key that nobody ever holds: a Feldman verifiable secret
// sharing by every party, added up, with commitments before openings and a proof of
// knowledge for each contribution (protocols.md 1.1). Normative: spec/keygen.
//
//	round 1  to all: commitment C
//	round 2  to all: A, K, z, cc, ρ, h     to each: share, blind
//	round 3  to all: signature over the output, proof of the share
//
// Paper: Gennaro, Jarecki, Krawczyk, Rabin, "Secure Distributed Key Generation for
// Discrete-Log Based Cryptosystems" (J. Cryptology 20, 2007) for the sharing;
// Komlo, Goldberg, FROST (ePrint 2020/852, version of 2020-12-22) figure 1 for the proof.
// Assumptions: discrete logarithm in the group, random oracle, private authenticated
// channels, and the engine's echo of broadcasts. All but one party may be corrupt; any may abort.
//
// Every fault names its culprit, except that transcripts which differ name nobody. A share off
// the committed polynomial is Proved: see Proves.
//
// DEVIATION: contributions are committed to before they are opened, so the last speaker
// cannot bias the key except by aborting; one commitment covers polynomial, proof nonce
// and chain code.
// DEVIATION: hᵢⱼ commits to every private share in public, so a complaint convinces third
// parties; an AEAD does not commit to its key.
// DEVIATION: all parties must confirm the output. There is no round of complaints: a fault
// ends the session, and no key came of it.
//
// The caller must keep Output.Share sealed, and wipe it when it has been stored. A session
// that fails wipes what it made; one that is abandoned keeps its polynomial in memory until it
// is collected.
package keygen
