package node

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/fence"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/session"

	protocol "github.com/ostraka/ostraka/mpc/ceremony"
)

func (n *Node) openFence(ctx context.Context, now time.Time) (*fence.Fence, error) {
	return fence.Open(ctx, now, fence.Config{
		Identity: n.cfg.Identity, Journal: n.Journal, Rand: n.cfg.Rand, Log: n.cfg.Log, Peers: n.Peers, Name: n.Name, Fatal: n.cfg.Fatal, Counter: n.cfg.Counter, Shared: n.cfg.SharedStore,
		Hail: func(to engine.PartyID, body []byte) { n.send(to, append([]byte{frameLife}, body...)) },
		Pass: func(to engine.PartyID, of ed25519.PublicKey, life []byte) {
			n.send(to, append(append([]byte{frameOther}, of...), life...))
		},
		Remind:  n.remind,
		Help:    n.catchUp,
		Drop:    func(ctx context.Context, now time.Time, why error) { n.Sessions.Drop(ctx, now, why) },
		Renewed: func(ctx context.Context, now time.Time, peer engine.PartyID) { n.Sessions.Renewed(ctx, now, peer) },
		Burn: func(ctx context.Context, now time.Time) (int, error) {
			if err := n.Keeper.Doubt(ctx); err != nil {
				return 0, err
			}
			return n.Sessions.BurnAll(ctx, now, n.Keeper.Pairs())
		},
	})
}

// fit says whether a session can be held with a peer: it is there, and nothing speaks against it.
func (n *Node) fit(id engine.PartyID) bool { return n.there(id) && n.unvetted(id) == nil }

// there is fit in an emergency: then nobody is left out for what it does not show of its machine (spec/charter 10.5).
func (n *Node) there(id engine.PartyID) bool {
	return n.reachable(id) && n.wary(id) == nil && !n.resting(id)
}

// carries is the activation that a session carries out, if it does: it makes the shares, tests them, or signs with those that it made. A guarded reshare's is what its Setup says: the keeper
// refuses any but the one that is to be carried out here.
func (n *Node) carries(s *mpc.Setup) (activation [32]byte) {
	switch s.Protocol {
	case protocol.ProtocolRescue:
		activation, _ = ceremony.Activation(s) // what cannot be read is refused there
	case protocol.ProtocolTest:
		activation = n.Keeper.Rescues(s.KeyID, s.Epoch)
	case protocol.ProtocolSign:
		if eh, made, _, _, ok := n.Keeper.InForce(s.KeyID); ok && eh == s.Epoch {
			activation = made
		}
	}
	return activation
}

// wary says why no session is held with a peer. The link refuses the second of two live processes, so the fence may never hear of it.
func (n *Node) wary(id engine.PartyID) error {
	if o, ok := n.peer(id); ok && n.cfg.Twin != nil && n.cfg.Twin(o.Identity) {
		return fmt.Errorf("party %v runs twice: two processes use its identity; its operator must stop one of them", id)
	}
	return n.Fence.Wary(id)
}

// mayMeet refuses sessions while this node is fenced, and with peers that run twice or that
// have not told this process what they know of it.
func (n *Node) mayMeet(s *mpc.Setup) error {
	if err := n.Fence.Fenced(); err != nil {
		return err
	}
	for _, p := range s.Parties {
		if p.ID == n.self {
			continue
		}
		if err := n.wary(p.ID); err != nil {
			return err
		}
	}
	return nil
}

// remind shows a peer its own FINALs of what is not in force yet. If its store lacks one, it is an older copy than any life of it that
// peers know: its log is told from time to time only.
func (n *Node) remind(to engine.PartyID) {
	for _, note := range n.Keeper.FinalsOf(to) {
		n.send(to, append([]byte{frameNote}, note.Encode()...))
	}
}

// catchUp sends a peer that was restored what officers signed, and the certificates in force: it acknowledged them once,
// and its store may not know that.
func (n *Node) catchUp(ctx context.Context, now time.Time, to engine.PartyID) {
	if err := n.Outbox.Again(ctx, now, []outbox.Peer{to}, slices.Concat(n.Circle.Told(), n.Charters.Told(), n.Keeper.Grounds())...); err != nil {
		n.cfg.Log.Error("a restored peer is not told what officers signed", "peer", n.Name(to), "error", err)
	}
	var held []statement.ID
	for _, v := range n.Keeper.Roots() {
		if v.Current == nil {
			continue
		}
		if slices.ContainsFunc(v.Parties, func(p mpc.Party) bool { return p.ID == to }) {
			held = append(held, v.Vault.ID)
		}
		if note, ok := n.Keeper.FinalCert(v.KeyID); ok {
			n.send(to, append([]byte{frameNote}, note.Encode()...))
		}
	}
	if err := n.Outbox.Again(ctx, now, []outbox.Peer{to}, n.Desk.Told(now, held...)...); err != nil {
		n.cfg.Log.Error("a restored peer is not told what counts in limits", "peer", n.Name(to), "error", err)
	}
}

// takeOther takes a peer's word on a third node's life.
func (n *Node) takeOther(ctx context.Context, now time.Time, body []byte) error {
	if len(body) < ed25519.PublicKeySize {
		return fmt.Errorf("decode another's life: %d bytes", len(body))
	}
	key := ed25519.PublicKey(body[:ed25519.PublicKeySize])
	of := mpc.IDOf(key)
	if _, ok := n.peer(of); !ok {
		return fmt.Errorf("life of another: %w", ErrStranger)
	}
	return n.Fence.TakeOther(ctx, now, of, key, body[ed25519.PublicKeySize:])
}

// evidence looks for our own key's signature under what a peer shows us, on what our store does
// not know: then we are not who we were (protocols.md 1.5 step 8).
func (n *Node) evidence(ctx context.Context, now time.Time, e epoch.Evidence) {
	if back := n.Keeper.RolledBack(e); back != nil {
		n.Fence.Evidence(ctx, now, back)
	}
}

// noteEvidence is evidence in a note that is new here.
func (n *Node) noteEvidence(ctx context.Context, now time.Time, note outbox.Note) {
	switch note.Kind {
	case ceremony.NoteCert, ceremony.NoteFinal, ceremony.NoteFinalCert:
		n.evidence(ctx, now, ceremony.EvidenceOf(note))
	}
}

// cloned takes what a room found to be signed by our key and not known to its rows.
func (n *Node) cloned(ctx context.Context, now time.Time, err error) {
	var c *fence.ClonedError
	if errors.As(err, &c) {
		n.Fence.Evidence(ctx, now, c)
	}
}

// ConfirmRestore is the operator's word that no other copy of this node runs.
func (n *Node) ConfirmRestore(ctx context.Context, now time.Time) (counter uint64, err error) {
	counter, err = n.Fence.Confirm(ctx, now)
	if errors.Is(err, fence.ErrNotFenced) && n.Rescue.Rolled(ctx) { // nobody showed a newer copy of this node, but its own words of an emergency came back to it
		return n.Fence.Counter(), n.Rescue.Confirm(ctx, now)
	}
	return counter, err
}

// admit hands a Setup to the room that knows its protocol.
func (n *Node) admit(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	if err := cmp.Or(n.handing(), n.mayMeet(s), n.mayStart(ctx, now, s), n.withinLimits(now, s)); err != nil {
		return nil, err
	}
	m, err := n.meets(now, s)
	if err != nil {
		return nil, err
	}
	t, err := n.hand(ctx, now, s)
	if err == nil {
		t.Emergency = n.carries(s) != [32]byte{}
		n.met(now, s, t, m)
		n.signing.spend(s)
	}
	return t, err
}

func (n *Node) hand(ctx context.Context, now time.Time, s *mpc.Setup) (*session.Task, error) {
	switch s.Protocol {
	case protocol.ProtocolSign, protocol.ProtocolOnline:
		return n.Desk.Admit(ctx, now, s)
	case protocol.ProtocolPresign:
		return n.Presign.Admit(ctx, now, s)
	case protocol.ProtocolLive:
		return n.Rescue.Admit(ctx, now, s)
	}
	return n.Keeper.Admit(ctx, now, s)
}

// changes says whether a protocol makes or tries shares: the keeper's own.
func changes(name string) bool {
	switch name {
	case protocol.ProtocolSign, protocol.ProtocolOnline, protocol.ProtocolPresign, protocol.ProtocolLive:
		return false
	}
	return true
}
