package pair

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// ZeroShare is ζᵢ = Σ_{j∈S, j≠i} ±H_q(seedᵢⱼ, sid), + for the larger index: over all
// signers the ζᵢ add up to 0, and any n−1 of them look uniform (spec/pair 5, protocols.md
// 2.6). Only pairs of signers count. The error says whose state is missing.
func ZeroShare(sid engine.SessionID, self session.Party, signers []session.Party, states map[engine.PartyID]*State) (*secp256k1.Scalar, error) {
	sum := new(secp256k1.Scalar)
	for _, peer := range signers {
		if peer.ID == self.ID {
			continue
		}
		state := states[peer.ID]
		if state == nil || state.Seed.Len() != SeedSize {
			return nil, fmt.Errorf("make zero share: no pair state with party %v", peer.ID)
		}
		h := transcript.NewSecret(transcript.ZeroShare).Bytes(state.Seed.Expose()).Bytes(sid[:])
		term := h.Scalar(secp256k1.Group{}).(*secp256k1.Scalar)
		if self.Index < peer.Index {
			term.SetNegative(term)
		}
		sum.SetSum(sum, term)
		term.Wipe()
	}
	return sum, nil
}
