// Package dkls signs with threshold ECDSA over secp256k1 in three rounds: Doerner, Kondi,
// Lee and shelat, "Threshold ECDSA in Three Rounds", ePrint 2023/765, protocol 3.6, with the
// multiplication of its section 5 (protocols.md 2.5). Normative: spec/dkls-sign.
//
//	round 1  to all: com           to each: extension of our transfers
//	round 2  to all: R, pk, salt   to each: Γᵘ, Γᵛ, ψ, correction of the multiplication
//	round 3  to all: u, w
//
// Any set of t or more of the key's parties signs. Security is against all but one corrupt
// signer, with abort. Assumed: ECDSA is unforgeable as a signature of one party, what
// crypto/ot and mpc/pair assume, private authenticated channels, and the engine's echo of
// broadcasts. The digest must be one that this party derived from the full transaction.
//
// # How a session may end
//
//   - BurnPair: a check on the extension, the multiplication or Γ failed. The verdict depends
//     on our secrets, so there is one for each pair at a time (Guard) and none after a failed
//     one (Burn). ECDSA with that peer is refused until a refresh.
//   - Blame: a message that does not decode, or an opening that fits no commitment.
//   - Unattributed: key shares that do not add up to the key (a stale share may be an honest
//     mistake), degenerate sums, or a signature that does not verify: a wrong ψ, u or w enters
//     nothing but the signature, and DKLs23 cannot tell whose it was.
//   - Any other error comes from our own side, for instance a dry source of randomness.
//
// Once a party has sent round 3, that is from engine.Session.Round 3 on, every end means
// "possibly signed": others may hold the signature.
//
// # Presignatures
//
// Presign makes rounds 1 and 2 before there is a message, and a third in which all confirm; Online
// signs with the result in one broadcast (protocols.md 2.7, spec/presign). A Pool keeps
// presignatures until each is taken once. They live in memory alone. Two messages under one
// give the key: the spec page says what the host must do, above all before it sends a Join.
//
// # What differs from the paper, and why
//
// DEVIATION: the commitment covers pkᵢ too; with the echo of T₁ it pins both values for all
// receivers before any secret-dependent output. It is broadcast once, not sent pairwise.
// DEVIATION: the check of the key share is against pkⱼ, which is what its proof uses; the
// paper's step prints λⱼ·P(j)·G there, which leaves out the zero share.
// DEVIATION: signer sets may be larger than t, and the lowest signer adds the tweak e, so that
// the signature verifies under X + e·G.
// DEVIATION: s is made low and a recovery id is returned; both follow from the public R.
// DEVIATION: a presignature's nonce is shifted by δ, a hash of the whole request and of all join
// nonces, before it signs. Without it, presignatures and additive derivation together fall to a
// sum of four lists (Groth and Shoup, ePrint 2021/1330).
// DEVIATION: presigning ends with a round in which all confirm, so that no honest signer keeps a
// presignature whose making failed at another.
//
// # What the caller must destroy
//
// The share and the pairs, which a session only reads, at the end of their epoch. The coins
// (Params.Rand), unless they are session.Coins, which stages wipe. Signing never resumes: every stage is an engine.Wiper, so that
// nonce and products are gone on every end, also when the host abandons the session. Presignatures:
// a pool's with its Drop functions, one that was taken with its Wipe or by Online.
package dkls
