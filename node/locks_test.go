package node_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// A tick decides what an endpoint was in the way of, and the store does not say what became of the decision. The goroutine ends there, and the process may live on: as a replica that
// lost its tenure it stands by. So no lock may be held then: nodetest looks at all of them.
func TestDecisionThatIsLostKeepsNoLock(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	a := s.Hosts[0]
	away := true
	s.Check = func(h *nodetest.Host, _ evm.Address, _ evm.Facts) (bool, string, error) {
		if away && h == a {
			return false, "", errors.New("the endpoint does not answer")
		}
		return true, "", nil
	}
	s.Approve(s.Propose(s.vault, s.addr, 0))
	s.Try(3*time.Second, func() bool { return false })
	away = false
	s.Fate = func(h *nodetest.Host, _ int, b store.Batch) nodetest.Fate {
		for _, e := range b.Put {
			if h == a && s.Fatal == 0 && strings.HasPrefix(e.Key, "decision/") {
				return nodetest.Unknown
			}
		}
		return nodetest.Live
	}
	if s.Try(2*time.Minute, func() bool { return s.Fatal > 0 }); s.Fatal == 0 {
		t.Fatal("no decision was made by a tick")
	}
}
