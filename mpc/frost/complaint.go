package frost

import (
	"slices"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// A BadShareError is why a share was refused, with what a third party needs besides the accused's message of
// round 2, which stands in the fault's Evidence: see Proves.
type BadShareError struct {
	Commitments [][]byte // bodies of round 1 of all signers, by index
}

// Public is what a third party needs besides the accused's message.
func (e *BadShareError) Public() [][]byte { return e.Commitments }

func (e *BadShareError) Error() string { return "zG is not (D + ρE) + cλX" }

// badShare accuses: spec/frost 5. The accused signed its share and, by the echo beside it, the commitments
// that it answers to.
func (s *signer) badShare(p *peer) *engine.Fault {
	bad := &BadShareError{}
	for _, q := range s.peers {
		bad.Commitments = append(bad.Commitments, slices.Clone(q.raw))
	}
	f := engine.Blamed("frost: share", p.ID, bad)
	f.Strength = engine.Proved
	return f
}

// Proves reports whether the accused's own message of round 2 convicts it: its echo is over exactly
// these commitments, and its share does not fit them.
//
// share is that message, of KindShare, whose envelope the caller has authenticated. The commitments are the bodies of
// round 1 of all signers by index, from BadShareError or elsewhere; they need no envelopes: the accused has signed T₁. Of
// p, all but Self, Share and Rand count, and come from the Setup and the epoch record. What does
// not decode, or names a party that p does not have, proves nothing.
func Proves(p Params, accused engine.PartyID, commitments [][]byte, share engine.Msg) bool {
	t, err := p.task()
	if err != nil {
		return false
	}
	j := slices.IndexFunc(p.Signers, func(q session.Party) bool { return q.ID == accused })
	if j < 0 || len(commitments) != len(p.Signers) || share.Session != p.Session || share.From != accused ||
		share.Round != 2 || share.Kind != KindShare || share.To != engine.Everyone {
		return false
	}
	list, echo, err := t.list(p.Session, commitments)
	if err != nil || echo != share.Echo {
		return false
	}
	z, err := decodeShare(t.group, share.Body)
	if err != nil {
		return false
	}
	b, err := t.bind(list)
	if err != nil {
		return false
	}
	return !t.holds(b, j, z, p.Publics[accused])
}

// list decodes the bodies of round 1 and computes the T₁ that they give.
func (t *task) list(id engine.SessionID, bodies [][]byte) (list []commitment, t1 engine.Transcript, err error) {
	var round []engine.Msg
	for j, b := range bodies {
		c, err := decodeCommitment(t.group, b)
		if err != nil {
			return nil, t1, err
		}
		list = append(list, c)
		round = append(round, engine.Msg{Round: 1, Kind: KindCommit, From: t.signers[j].ID, Body: b})
	}
	return list, engine.Transcript(id).Next(1, round), nil
}
