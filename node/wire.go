package node

import (
	"context"
	"slices"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/charters"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/pulse"
	"github.com/ostraka/ostraka/node/rescue"
	"github.com/ostraka/ostraka/node/witness"
)

// WireLogs is the wire version (spec/link 3, spec/node 2.1) from which on nodes cosign one another's logs and send heartbeats: frames 22 and 23,
// field 3 of frame 18, notes 0x60 to 0x62, and what charters and intents gained with them. A peer that speaks the one before is sent none of it.
const WireLogs = 2

// wire is the version that a peer's node speaks with us or, while no link stands, last did since this process began; 0: not known.
func (n *Node) wire(p engine.PartyID) uint16 {
	if v := n.wireNow(p); v != 0 {
		return v
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.wires[p]
}

// wireNow is the version in use on the link to a peer; 0: none stands.
func (n *Node) wireNow(p engine.PartyID) uint16 {
	o, ok := n.pinned(p)
	if !ok {
		return 0
	}
	if n.cfg.Wire != nil {
		return n.cfg.Wire(o.Identity)
	}
	if n.cfg.Reachable(o.Identity) {
		return WireLogs
	}
	return 0
}

// Older says that an operator's node speaks an older wire version than this one, and which.
func (n *Node) Older(p engine.PartyID) (version uint16, older bool) {
	v := n.wire(p)
	return v, v != 0 && v < WireLogs
}

// watchWires remembers which version each peer speaks. What waited for a newer one goes at once.
func (n *Node) watchWires() {
	for _, p := range n.Peers() {
		v := n.wireNow(p)
		if v == 0 {
			continue
		}
		n.mu.Lock()
		was := n.wires[p]
		n.wires[p] = v
		n.mu.Unlock()
		switch {
		case v < WireLogs:
			n.Pulse.Untell(p)
		case was != 0 && was < v:
			n.Outbox.Wake(p)
		}
	}
}

// sinceLogs says of which notes an older node knows not even the kind.
func sinceLogs(k outbox.Kind) bool {
	return pulse.Takes(k) || witness.Takes(k) || backup.Takes(k) || rescue.Takes(k)
}

// sendNote hands a note to a peer's link. To a node that speaks an older version it gives no note that it would refuse for good: of a kind that it
// does not know the peer's row goes, since what is missed is made up for when it speaks ours (tellKeys); a statement in words that it does
// not know stays until it does.
func (n *Node) sendNote(p outbox.Peer, raw []byte) {
	frame := append([]byte{frameNote}, raw...)
	v := n.wire(p)
	if v >= WireLogs {
		n.send(p, frame)
		return
	}
	note, err := outbox.Decode(raw)
	switch {
	case err != nil:
		n.cfg.Log.Error("a note of our own is malformed", "error", err)
	case sinceLogs(note.Kind):
		if v != 0 {
			n.Outbox.Settle(p, note.ID(), outbox.Refused)
		}
	case !newWords(note):
		n.send(p, frame)
	}
}

// newWords says whether a note holds a statement with fields that came with WireLogs.
func newWords(note outbox.Note) bool {
	if len(note.Fields) == 0 {
		return false
	}
	switch note.Kind {
	case charters.NoteEnacted:
		e, err := charter.DecodeEnacted(note.Fields[0])
		return err == nil && newTerms(e.Statement)
	case charters.NoteCharter:
		s, err := statement.ParseKind(note.Fields[0], statement.Charter)
		return err == nil && newTerms(s)
	case decide.NoteProposal, decide.NotePast:
		s, err := statement.ParseKind(note.Fields[0], statement.Intent)
		return err == nil && s.Get("purpose") != intent.PurposeTransaction // older nodes do not know a proof's entity, and no message
	}
	return false
}

func newTerms(s statement.Statement) bool {
	x, err := charter.Of(s)
	older := func(a charter.Asset) bool { return a.Allowance != "" || a.Standard != "" }
	return err == nil && (len(x.Demands) > 0 || !x.EVM.Empty() || slices.ContainsFunc(x.Assets, older) || slices.ContainsFunc(x.Vaults, func(v charter.Blueprint) bool {
		return v.Publish || v.Witnesses != 0 || v.HoldRelease != 0 || v.Rescue != nil && v.Rescue.Planned()
	}))
}

// tellKeys brings the keys of all logs, the last heartbeats and what shows that a log forked to members that came since or speak our wire version
// only since, once in a process's life.
func (n *Node) tellKeys(ctx context.Context, now time.Time) error {
	to := n.Pulse.Untold(n.Peers())
	to = slices.DeleteFunc(to, func(p engine.PartyID) bool { return n.wireNow(p) < WireLogs })
	if len(to) == 0 {
		return nil
	}
	if err := n.Outbox.Again(ctx, now, to, slices.Concat(n.Pulse.Notes(), n.Witness.Notes(), n.Backups.Notes())...); err != nil {
		return err
	}
	n.Pulse.Told(to)
	return nil
}

// listening leaves out those whose nodes do not know this kind of note.
func (n *Node) listening(k outbox.Kind, to []engine.PartyID) []engine.PartyID {
	if !sinceLogs(k) {
		return to
	}
	return slices.DeleteFunc(to, func(p engine.PartyID) bool { _, older := n.Older(p); return older })
}
