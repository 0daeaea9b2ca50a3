// Package frost signs with FROST, two-round threshold Schnorr signatures, RFC 9591 (protocols.md 3):
// Ed25519 signatures of RFC 8032 and secp256k1 signatures of BIP 340, for Taproot too. Normative: spec/frost.
//
//	round 1  to all: D, E
//	round 2  to all: z
//
// Any set of t or more of the key's parties signs. Paper: Komlo, Goldberg, ePrint 2020/852; security of what RFC 9591
// standardises: Bellare et al., ePrint 2022/833, all but one signer corrupt, with identifiable abort. Assumed: one-more discrete
// logarithm, random oracle, authenticated channels, and the engine's echo of broadcasts. The message must be one that
// this party derived by itself.
//
// # How a session may end
//
//   - Blame: a message that does not decode, or a share of the signature that does not fit the commitments and
//     the signer's public share. The latter is Proved: see Proves.
//   - Unattributed: transcripts that differ, nonces that cancel, or a signature that does not verify although every
//     share did: the record's public shares do not give its key, or our arithmetic is wrong.
//   - Any other error comes from our own side, for instance a dry source of randomness.
//
// Once a party has sent round 2, that is from engine.Session.Round 2 on, every end means "possibly signed":
// others may hold the signature.
//
// # What differs from RFC 9591, and why
//
// DEVIATION: no coordinator: shares go to all signers, and each checks all of them and adds them up.
// DEVIATION: the signer list is the Setup's, fixed before the commitments, so that nobody chooses signers after having seen
// them; indices are 1 to 65535.
// DEVIATION: suite bip340-secp256k1 is none of the RFC's: context string and transcript are those of ZcashFoundation's
// frost-secp256k1-tr, the challenge is BIP 340's. That crate tweaks the shares of a key once, after its generation, as BIP 86
// does; here shares stay as they are, and each session names its own tweak and Taproot root.
//
// # What the caller must destroy
//
// The share, which a session only reads, at the end of its epoch. The coins (Params.Rand), unless they are session.Coins, which
// stages wipe. Signing never resumes: nonces are in memory alone, every stage is an engine.Wiper, and a
// session that is tried again is a new one with new nonces.
package frost
