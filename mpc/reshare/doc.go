// Package reshare gives a key new shares: to another committee with another threshold
// (reshare, protocols.md 1.2), or to the same members with the same threshold (refresh, 1.3). The key stays what it is,
// and nobody ever holds it. Normative: spec/reshare.
//
//	round 1  dealers to all: commitment C
//	round 2  dealers to all: B, K, z, salt, h     dealers to each receiver: share, blind
//	round 3  receivers to all: signature over the output, proof of the share
//
// Papers: Desmedt, Jajodia, "Redistributing Secret Shares to New Access Structures and Its
// Applications" (George Mason University, ISSE-TR-97-01, 1997); Wong, Wang, Wing, "Verifiable Secret Redistribution
// for Archive Systems" (IEEE SISW 2002) for the checks; Herzberg, Jarecki, Krawczyk, Yung, "Proactive
// Secret Sharing" (CRYPTO 1995) for the refresh; Komlo, Goldberg, FROST (ePrint 2020/852, version of 2020-12-22) figure 1 for the proof.
// Assumptions: discrete logarithm in the group, random oracle, private authenticated
// channels, and the engine's echo of broadcasts. Fewer than t old and fewer than t′ new members may be
// corrupt, counted apart; any party may abort. One honest dealer makes the new sharing independent of the old one.
//
// Every fault names its culprit, except that transcripts which differ name nobody. A share off
// the committed polynomial is Proved: see Proves.
//
// DEVIATION: dealers commit to their commitments before they open them, as in keygen, so that the
// last one cannot choose its polynomial to fit the others'.
// DEVIATION: every dealer of a reshare proves knowledge of what it deals, and what it must deal comes from the
// receiver's own record; in the papers a new member believes what the old ones broadcast.
// DEVIATION: hᵢⱼ commits to every private share in public, so a complaint convinces third
// parties; an AEAD does not commit to its key.
// DEVIATION: all receivers must confirm the output. There is no round of complaints: a fault
// ends the session, the old shares stay in force, and another run may leave the culprit out.
//
// The old share stays the caller's: it is erased only when the new epoch is in force
// (protocols.md 1.5). The caller must keep Output.Share sealed, wipe it when it has been stored, and wipe
// Params.Secret of a reshare when the session has started. A session wipes all else on every end: with a
// result, by an error, and when the host abandons it.
package reshare
