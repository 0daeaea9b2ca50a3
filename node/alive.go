package node

import "github.com/ostraka/ostraka/node/rescue"

// sosLife is what our operator's answer to an SOS request is made with: its shares, and sessions with the others.
func (n *Node) sosLife() rescue.Life {
	return rescue.Life{
		Self: n.self, Root: n.inEpoch, Prove: n.Keeper.ProveAlive, Keys: n.Keeper.Keys,
		Fit: n.Sessions.Fit, Unfit: n.Sessions.Unfit, Reachable: n.fit, Halted: n.Halted, Settled: n.Fence.Settled,
	}
}
