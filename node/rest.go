package node

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
)

// Before a replica hands its node over it asks its peers for a rest: they begin nothing with it until the next owner, or this one after all, says that it
// is there (spec/replicas 4). It is no more than what a peer could have by its silence.

// restFor is when a rest ends, whatever became of the peer.
const restFor = 30 * time.Second

// presentFor is how long a new process waits for all to greet it, before it says that it is there.
const presentFor = 3 * time.Second

// rests are who asked for a rest, who gave us one, and whom we told that it is over.
type rests struct {
	// opening is held for reading from when it is looked at who rests until the set-up is on its way: else it could follow the answer to a wish that
	// came in between.
	opening sync.RWMutex

	mu    sync.Mutex
	until map[engine.PartyID]time.Time
	given map[engine.PartyID]bool
	told  map[engine.PartyID]bool // Tick's own, as is
	since time.Time               // when this process ticked first
	out   bool                    // a hand-over refuses set-ups
	asks  bool                    // a hand-over is under way: guarded by opening
}

// refuseSetups has set-ups refused from now on, or no more.
func (n *Node) refuseSetups(yes bool) {
	n.rests.mu.Lock()
	defer n.rests.mu.Unlock()
	n.rests.out = yes
}

// handing says that this node takes no part in anything new, since another of its replicas soon will. Nobody is thought the worse of for it.
func (n *Node) handing() error {
	n.rests.mu.Lock()
	defer n.rests.mu.Unlock()
	if n.rests.out {
		return fmt.Errorf("%w: this node is being handed over to another of its replicas", session.ErrNotYet)
	}
	return nil
}

// takeRest takes a peer's wish, and answers it. The answer comes behind every setup that was sent to it before.
func (n *Node) takeRest(now time.Time, link engine.PartyID, body []byte) error {
	if len(body) != 0 {
		return fmt.Errorf("decode a wish for a rest: %d bytes", len(body))
	}
	n.rests.opening.Lock()
	defer n.rests.opening.Unlock()
	n.rests.mu.Lock()
	if n.rests.until == nil {
		n.rests.until = map[engine.PartyID]time.Time{}
	}
	n.rests.until[link] = now.Add(restFor)
	n.rests.mu.Unlock()
	n.send(link, []byte{frameRests})
	return nil
}

// takeRests takes a peer's answer.
func (n *Node) takeRests(link engine.PartyID, body []byte) error {
	if len(body) != 0 {
		return fmt.Errorf("decode the answer to a wish for a rest: %d bytes", len(body))
	}
	n.rests.mu.Lock()
	defer n.rests.mu.Unlock()
	if n.rests.given != nil {
		n.rests.given[link] = true
	}
	return nil
}

// resting says whether a peer asked that nothing be begun with it.
func (n *Node) resting(p engine.PartyID) bool {
	n.rests.mu.Lock()
	defer n.rests.mu.Unlock()
	_, ok := n.rests.until[p]
	return ok
}

// endRests ends those that took too long. A clock that was set back must not make one longer.
func (n *Node) endRests(now time.Time) {
	n.rests.mu.Lock()
	defer n.rests.mu.Unlock()
	maps.DeleteFunc(n.rests.until, func(_ engine.PartyID, until time.Time) bool {
		return now.After(until) || until.Sub(now) > restFor
	})
}

// mayOpen calls open, unless one of the parties asked for a rest, or this node hands itself over.
func (n *Node) mayOpen(parties []mpc.Party, open func()) {
	n.rests.opening.RLock()
	defer n.rests.opening.RUnlock()
	if n.rests.asks || n.leaving() || slices.ContainsFunc(parties, func(p mpc.Party) bool { return n.resting(p.ID) }) {
		return
	}
	open()
}

// leaving says that this replica was asked to hand the node over.
func (n *Node) leaving() bool { return n.cfg.Leaving != nil && n.cfg.Leaving() }

// takePresent ends a peer's rest.
func (n *Node) takePresent(link engine.PartyID, body []byte) error {
	if len(body) != 0 {
		return fmt.Errorf("decode the end of a rest: %d bytes", len(body))
	}
	n.rests.mu.Lock()
	defer n.rests.mu.Unlock()
	delete(n.rests.until, link)
	return nil
}

// tellPresent tells peers, once in a process's life, that a rest which the last one asked for is over: when all have greeted this one, since till then
// it takes part in no session with them; who is away is not waited for long. While it hands itself over it says so to nobody.
func (n *Node) tellPresent(now time.Time) {
	r := &n.rests
	r.opening.RLock()
	defer r.opening.RUnlock()
	if r.asks || n.leaving() {
		return // it would end the rest that is asked for
	}
	if r.told == nil {
		r.told, r.since = map[engine.PartyID]bool{}, now
	}
	absent := func(p engine.PartyID) bool { return !n.linked(p) || n.Fence.Wary(p) != nil }
	if now.Sub(r.since) < presentFor && slices.ContainsFunc(n.Peers(), absent) {
		return
	}
	for _, p := range n.Peers() {
		if !r.told[p] && n.wireNow(p) >= WireLogs {
			r.told[p] = true
			n.send(p, []byte{framePresent})
		}
	}
}

// askRest asks all peers that are there for a rest. What this node itself was about to open is open by then.
func (n *Node) askRest() (asked []engine.PartyID) {
	n.rests.opening.Lock()
	n.rests.asks = true
	n.rests.opening.Unlock()
	n.rests.mu.Lock()
	n.rests.given = map[engine.PartyID]bool{}
	n.rests.mu.Unlock()
	for _, p := range n.Peers() {
		if n.wireNow(p) >= WireLogs {
			asked = append(asked, p)
			n.send(p, []byte{frameRest})
		}
	}
	return asked
}

// endRest tells those that were asked that the rest is over: this process stays.
func (n *Node) endRest(asked []engine.PartyID) {
	n.rests.opening.Lock()
	n.rests.asks = false
	n.rests.opening.Unlock()
	for _, p := range asked {
		n.send(p, []byte{framePresent})
	}
}

// allRest says whether all of them gave it.
func (n *Node) allRest(asked []engine.PartyID) bool {
	n.rests.mu.Lock()
	defer n.rests.mu.Unlock()
	return !slices.ContainsFunc(asked, func(p engine.PartyID) bool { return !n.rests.given[p] })
}
