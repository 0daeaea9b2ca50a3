package node_test

import (
	"slices"
	"testing"

	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/link"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/pulse"
	"github.com/ostraka/ostraka/node/witness"
)

// newer says whether a frame is one that a node of wire version 1 does not know.
func newer(frame []byte) bool {
	switch frame[0] {
	case 22, 23:
		return true
	case 16:
		n, err := outbox.Decode(frame[1:])
		return err != nil || pulse.Takes(n.Kind) || witness.Takes(n.Kind)
	}
	return false
}

// older marks some hosts as nodes of wire version 1, and fails the test if one is sent what it does not know.
func older(t *testing.T, w *nodetest.World, hosts ...*nodetest.Host) {
	for _, h := range hosts {
		h.Wire = 1
	}
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.To.Wire == 1 && p.From.Wire != 1 && newer(p.Frame) {
			t.Errorf("%s is sent frame %x", p.To.Own.Name, p.Frame[:2])
		}
		if p.From.Wire == 1 && newer(p.Frame) {
			return nil // the host runs today's code, as an older one it would not
		}
		return []nodetest.Parcel{p}
	}
}

// With peers that speak wire version 1 a node does all that they do. It sends them nothing that they do not know and keeps nothing for them; when
// they speak ours they are told what they missed.
func TestOlderPeers(t *testing.T) {
	t.Parallel()
	for _, old := range [][]int{{2}, {0, 2}} {
		w := nodetest.New(t, 3)
		var hosts []*nodetest.Host
		for _, i := range old {
			hosts = append(hosts, w.Hosts[i])
		}
		older(t, w, hosts...)
		vault, addr := nodetest.Ready(w, 3)
		s := w.Propose(vault, addr, 0)
		w.Approve(s)
		w.Run("signed", func() bool { return w.Signed(s) })
		one := w.Hosts[1]
		w.Run("the others know each other's logs", func() bool { return len(one.Pulse.AllKeys()) == 3-len(old) })
		w.Run("nothing waits for anybody", func() bool {
			return !slices.ContainsFunc(one.Peers(), func(p outbox.Peer) bool { return one.Outbox.Waiting(p) > 0 })
		})
		for _, h := range hosts {
			if v, yes := one.Older(mpc.IDOf(h.Own.Identity)); !yes || v != 1 {
				t.Errorf("%s speaks %d, %t", h.Own.Name, v, yes)
			}
			w.Crash(h)
		}
		w.Now = w.Now.Add(w.Document().Heartbeat) // a heartbeat while they are away, of which they know nothing
		w.Run("a heartbeat", func() bool { return len(beats(t, one)) > 0 })
		for _, h := range hosts {
			h.Wire = 0
			w.Start(h)
		}
		w.Run("all know all", func() bool {
			return w.All(func(h *nodetest.Host) bool { return proved(h, 1) == 3 && len(h.Pulse.AllKeys()) == 3 && cosigned(h, 2) })
		})
	}
}

// The newest version that a link speaks is the one that this room knows what to do with.
func TestWireVersion(t *testing.T) {
	if v := link.Versions(); !slices.Equal(v, []uint64{1, node.WireLogs}) {
		t.Errorf("links speak versions %d", v)
	}
}

// What an older node would refuse for good waits until it speaks our version: a charter in words that it does not know, and a proof.
func TestNewWordsWait(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	old := w.Hosts[2]
	older(t, w, old)
	pass := w.Pass
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.To == old && p.To.Wire == 1 && p.Frame[0] == 16 {
			if n, err := outbox.Decode(p.Frame[1:]); err == nil && (n.Kind == 0x50 || n.Kind == 0x56 || n.Kind == decide.NoteProposal) {
				t.Errorf("%s is sent note %#x", old.Own.Name, uint8(n.Kind))
			}
		}
		return pass(p)
	}
	w.Found()
	file := w.VaultFile("treasury", 3)
	file.Publish = true
	w.Vaults = append(w.Vaults, file)
	d := w.Document()
	for i, h := range w.Hosts[:2] {
		w.Run("charter signed by "+h.Own.Name, func() bool { return w.SignCharter(h, d, i == 0) == nil })
	}
	w.Run("it waits for the third", func() bool {
		return w.Hosts[0].Outbox.Waiting(mpc.IDOf(old.Own.Identity)) == 2 && w.Hosts[1].Outbox.Waiting(mpc.IDOf(old.Own.Identity)) == 2
	})
	w.Crash(old)
	old.Wire = 0
	w.Start(old)
	w.Enact()
}
