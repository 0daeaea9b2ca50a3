// Package pair makes what each two parties share before they can sign with ECDSA: base
// oblivious transfers in both directions, grown into all-but-one transfers, and the seed of
// their zero shares (protocols.md 2.2 and 2.6). Normative: spec/pair.
//
//	round 1  to each peer: φ, we as multiplication sender; commitment to our seed part
//	round 2  to each peer: the answer, we as receiver; the seed part
//	         then every check; nothing more is sent
//
// It runs in the same rounds as keygen: mpc/ceremony merges the two. The mathematics, its
// papers and assumptions are crypto/ot's: endemic oblivious transfer (ePrint 2019/706) and
// SoftSpokenOT's trees (ePrint 2022/192). Zero shares are those of DKLs23 (ePrint 2023/765,
// functionality F_Zero), from pseudorandom functions. Assumed besides: private authenticated
// channels and a random oracle.
//
// # A tree check that fails
//
// Only the answerer can make it fail, and whether it fails may depend on one of our choice
// bits. So all base transfers of the pair are discarded, the ceremony ends, and there is no
// retry within a session. The fault is Unattributed and accuses nobody; it carries
// *CheckFailed, which names the peers to this host alone. The host counts each peer's failures
// durably and blames on the third: one bit is the most that an attempt can tell, and it is of
// choices that are thrown away. Encoding and length errors and false openings are Blame at once.
//
// DEVIATION: seeds are committed to and opened between the two parties of a pair, where
// DKLs23 assumes the functionality that deals them. Each part is fixed before the peer's is
// known, so neither chooses the seed.
//
// # What the caller must destroy
//
// Every State when its epoch ends or its pair is burned (State.Wipe), in the store too; what
// Encode returns, once it is sealed. A session that fails wipes what it made, and so does
// one that the host abandons: every stage is an engine.Wiper.
package pair
