// Package ot is oblivious transfer between an ordered pair of parties, from public keys up to a
// vector multiplication: A has a₁ and a₂, B gets a random b, and both end with shares c and d
// with c_k + d_k = a_k·b on secp256k1. Normative: spec/ot.
//
//	set-up, once per epoch    A NewChooser → φ → B Answer → M, trees → A Finish
//	session, once per product B Extend → u, x̂, t̂ → A Check, Multiply → ã, η̂, μ → B Finish
//
// # Papers
//
//   - Base transfers: Masny and Rindal, Endemic Oblivious Transfer, ePrint 2019/706, Fig. 8, over
//     ristretto255 (RFC 9496). Assumes decisional Diffie–Hellman there, and a random oracle.
//   - All-but-one transfers and extension: Roy, SoftSpokenOT, ePrint 2022/192, Fig. 13 and 14 (trees
//     and their check), Fig. 7 and 8 (the VOLE and its consistency check). Not KOS15 as first
//     published: Roy shows its proof wrong.
//   - Extension made non-interactive, and the multiplication: Doerner, Kondi, Lee and shelat, DKLs23,
//     ePrint 2023/765, section 5.1 and protocol 5.2.
//
// # What the caller does
//
//   - A PairID is SHA-256 over the session, both parties and their roles, and Suite. One value
//     serves one set-up or one extension, never two.
//   - ErrCheck in signing: BurnPair, durably, before anything else leaves; one verdict at a time per
//     ordered pair, for a verdict tells the peer up to four bits of Δ or bits of b. In a set-up:
//     discard all base transfers of the pair, count the attempt. ErrEncoding: Blame.
//   - Destroy: Chooser by Finish or Wipe; Leaves and Punctured with Wipe at the next refresh or on
//     BurnPair, in the store too; Sender and Receiver with Wipe when the session ends. Senders and
//     receivers are never stored, and their copies are never used: both are spent by one call.
//   - μ proves one input per column only against an A that does not guess b's bits; the protocol above
//     checks products in the exponent (Γ of DKLs23).
//   - Leaves and Punctured are read-only between refreshes: sessions of one pair may share them.
//
// # Constant time
//
// Choice bits, Δ, β, leaves, pads and inputs are handled by masks, crypto/subtle and constant-time
// group arithmetic; no branch and no index depends on them. Verdicts are computed over all trees,
// columns or rows before the one comparison. χ is public, and hashing branches on it. AES and
// SHA-256 are the standard library's: constant time where it uses the processor's instructions
// (amd64, arm64). Not wiped: AES key schedules, and the trees that package transcript hashes.
//
// # What differs from the papers, and why
//
// DEVIATION: the sender of a base transfer draws a fresh exponent for each slot, not one for the
// instance, so that the two keys of an instance never rest on one secret.
//
// DEVIATION: SoftSpokenOT stretches each leaf once. Here one set-up serves many sessions, so the
// PRG key of a session is SHA-256(leaf ‖ psid)[:16], and psid is never XORed into seed or counter (TOB-BRON-6).
//
// DEVIATION: coins of the consistency check come from a hash of all u (Fiat–Shamir, as DKLs23 section
// 5.1), and the hash has four independent challenges with the last block padded by 96 zero bits.
//
// DEVIATION: the gadget g is a constant from a hash, not agreed upon per pair. It is bad for some leak
// of at most 80 bits with probability at most 2^-126, so nothing need be ordered around it.
//
// DEVIATION: θ and μ bind the session id besides psid, and hash ã and the rows of μ as one digest.
package ot
