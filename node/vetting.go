package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/attest/hardware"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/vetted"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
	"github.com/ostraka/ostraka/node/vet"
)

// pinnedRoots are read once in a process.
var pinnedRoots = sync.OnceValues(hardware.Pinned)

// openVet reads back what was found of the machines that others' nodes run on.
func (n *Node) openVet(ctx context.Context, now time.Time) (*vet.Vet, error) {
	pinned, err := pinnedRoots()
	if err != nil {
		return nil, fmt.Errorf("the roots of hardware that this program carries: %w", err)
	}
	return vet.Open(ctx, now, vet.Config{
		Operator: n.cfg.Own.Name, Identity: n.cfg.Own.Identity, Journal: n.Journal, Rand: n.cfg.Rand, Log: n.cfg.Log,
		Charter: func() (charter.Charter, bool) {
			if n.Charters == nil {
				return charter.Charter{}, false
			}
			return n.Charters.Document()
		},
		Peers: n.Peers, Peer: n.peer,
		Life: func(id engine.PartyID) (l vetted.Life, ok bool) {
			l.Counter, l.Instance, ok = n.Fence.Process(id)
			return l, ok
		},
		Own: func() (l vetted.Life) {
			l.Counter, l.Instance = n.Fence.Own()
			return l
		},
		Connection: func(id engine.PartyID) (name [32]byte) {
			if o, ok := n.pinned(id); ok && n.cfg.Connection != nil {
				name = n.cfg.Connection(o.Identity)
			}
			return name
		},
		Linked: n.reachable, Speaks: func(id engine.PartyID) bool { return n.wireNow(id) >= WireLogs },
		Send: func(to engine.PartyID, kind vet.Frame, body []byte) {
			n.send(to, append([]byte{frameVet + byte(kind)}, body...))
		},
		Wake: n.cfg.Wake, Pinned: pinned, Given: n.cfg.Roots, Maker: n.cfg.Maker, Lacks: n.cfg.Lacks, Beside: n.cfg.Beside,
	})
}

// unvetted says why no session is held with a peer as far as its hardware, and ours, go: the charter demands that one of both shows it, and the other
// has nothing that counts.
func (n *Node) unvetted(id engine.PartyID) error {
	if n.Vet == nil {
		return nil // as it starts
	}
	if err := n.Vet.Fit(id); err != nil {
		return err
	}
	if err := n.Vet.Welcome(id); err != nil {
		return fmt.Errorf("operator %s: %w; `ostraka doctor` here says what is wrong with this node's own", n.Name(id), err)
	}
	return nil
}

// Unvetted says in words with which of these parties no session is held for want of evidence; empty: with all.
func (n *Node) Unvetted(parties []mpc.Party) string {
	var all []error
	for _, p := range parties {
		if p.ID != n.self {
			all = append(all, n.unvetted(p.ID))
		}
	}
	if err := errors.Join(all...); err != nil {
		return err.Error()
	}
	return ""
}

// meets says on what records of others' hardware a session rests; its leaf goes into the log with the session's. Who lacks evidence may have it soon:
// nobody is held to account for it.
func (n *Node) meets(now time.Time, s *mpc.Setup) (*vetted.Meeting, error) {
	if n.Vet == nil {
		return nil, nil
	}
	var others []engine.PartyID
	for _, p := range s.Parties {
		if p.ID != n.self {
			others = append(others, p.ID)
		}
	}
	m, err := n.Vet.Meet(now, s.Hash(), n.carries(s), others)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", session.ErrNotYet, err)
	}
	return m, nil
}

// met adds to a session's admission on what it rests.
func (n *Node) met(now time.Time, s *mpc.Setup, t *session.Task, m *vetted.Meeting) {
	if m == nil {
		return
	}
	if m.Emergency != [32]byte{} {
		n.cfg.Log.Error("an emergency is carried out with a node that has not shown what it runs on", "session", fmt.Sprintf("%x", m.Session[:6]), "activation", fmt.Sprintf("%x", m.Emergency[:6]), "why", n.Unvetted(s.Parties))
	}
	var vault [32]byte
	if i := slices.IndexFunc(t.Admit.Leaves, func(f tlog.Filed) bool { return f.Kind == tlog.KindSession }); i >= 0 {
		vault = t.Admit.Leaves[i].Vault
	}
	t.Admit.Leaves = append(t.Admit.Leaves, tlog.Says(tlog.KindMet, now, vault, m.Encode()).On(m.Session))
}
