// Package guard shares a key a second time, for the emergency in which fewer than t operators are left (protocols.md 6.1).
// It is part of every ceremony of a vault with an SOS plan: no epoch is prepared without it. Normative: spec/guard.
//
//	round 1  dealers to all: commitment C
//	round 2  dealers to all: U, M without its constant, salt
//	round 4  dealers to all: hashes of masks, a verifiable encryption to every guardian     dealers to each member: mask, blind
//
// t dealers, who hold shares of the new epoch, write λᵢ·sᵢ as hᵢ(0) + uᵢ(0): hᵢ of degree r−1 over the operators, uᵢ of degree k−1
// over the guardians. So the key is determined by t operators, or by r operators and k guardians, and by nothing less. A member keeps
// its mask m = Σ hᵢ(x) beside its share; a guardian's value y = Σ uᵢ(x) stands in the public Set, encrypted so that everybody can
// check it unopened (crypto/pve). Guardians never get a part of a share or of a mask: however many meet, they know nothing of the key.
//
// Papers: Feldman, "A Practical Scheme for Non-interactive Verifiable Secret Sharing" (FOCS 1987); Stadler, "Publicly Verifiable Secret
// Sharing" (EUROCRYPT 1996) for what the Set is. Assumptions: discrete logarithm, random oracle, those of crypto/pve, and the channels
// and echo of the engine. Fewer than t members, and any number of guardians together with fewer than r members, may be corrupt.
//
// DEVIATION: dealers commit in round 1 and open in round 2, one round earlier than protocols.md has it: nothing that they commit to
// depends on the key. The constant of M, which does, is not sent: it is λᵢ·Xᵢ − U₀, so that it cannot be wrong. Encryptions then
// follow agreement on the new public shares and on all openings without a round of their own.
// DEVIATION: a hash commits to every mask in public, as to shares in keygen, so that a complaint convinces third parties.
// DEVIATION: guardians sign the key, the old epoch, t′ and the new committee besides the activation's id, so that who checks a certificate of SOS needs
// no statement to see what they agreed to.
//
// With r = 1 all operators hold the same mask.
//
// The caller keeps Output.Mask sealed, as it does the share, and wipes it when it has been stored. A session that fails wipes what it made.
package guard
