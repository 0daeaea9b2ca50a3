// Package pair makes what each two parties share before they can sign with ECDSA: base
// oblivious transfers in both directions, grown into all-but-one transfers, and the seed of
// their zero shares (protocols.md 2.2 and 2.6, spec/pair).
//
// Papers: Masny and Rindal, "Endemic Oblivious Transfer" (ePrint 2019/706, version of
// 2019-06-18) for the base transfers; Roy, "SoftSpokenOT" (ePrint 2022/192, version of
// 2022-06-22) for the trees and their check; Doerner, Kondi, Lee, shelat, "Threshold ECDSA
// in Three Rounds" (ePrint 2023/765, version of 2023-05-26) for zero shares. The mathematics
// is in crypto/ot. Assumptions: computational Diffie–Hellman in ristretto255, random oracle,
// private authenticated channels.
//
// It runs in the same rounds as keygen; mpc/ceremony merges the two. A tree check that
// fails is not blame: the fault names nobody and carries *CheckFailed, by which the host
// counts, durably, the failures of each peer, and takes the third for proof. Only the fault's
// class decides what others are told; the count is the host's own.
//
// DEVIATION: seeds are committed to and opened between the two parties of a pair, where
// DKLs23 assumes a functionality that deals them. Each contribution stands before the
// peer's is known.
//
// What the caller must destroy: every State when its epoch ends or its pair is burned
// (State.Wipe), and what Encode returns once it is sealed. A session that is abandoned
// keeps its choice bits in memory until it is collected.
package pair
