package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/nodetest"
)

// A release that the charter holds back is tried by fewer than t, and signs with t once it was run for as long as the charter says; the one that
// the vault was made with is never held back.
func TestReleasesAreHeldBack(t *testing.T) {
	t.Parallel()
	const hold = 7 * 24 * time.Hour
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) { d.Vaults[0].HoldRelease = hold }
	vault, addr := nodetest.Ready(w, 2)
	nonce := uint64(0)
	propose := func() statement.Statement {
		s := w.Propose(vault, addr, nonce)
		w.Approve(s)
		nonce++
		return s
	}
	signed := func(what string, s statement.Statement) {
		t.Helper()
		w.Run(what, func() bool { return w.Signed(s) })
	}
	signed("with what it was made with", propose())
	upgrade := func(h *nodetest.Host) {
		h.Binary = [32]byte{2}
		w.Crash(h)
		w.Run("its new release is known", func() bool {
			return w.All(func(o *nodetest.Host) bool {
				for _, b := range o.Pulse.Beats() {
					if b.Operator == h.Own.Name && b.Binary == h.Binary {
						return true
					}
				}
				return false
			})
		})
	}
	w.Now = w.Now.Add(2 * time.Hour)
	upgrade(w.Hosts[0])
	signed("with one of two on the new one", propose())
	upgrade(w.Hosts[1])
	held := propose()
	if w.Try(10*time.Minute, func() bool { return w.Signed(held) }) {
		t.Fatal("signed by a release that the charter holds back")
	}
	v, err := w.Hosts[0].Desk.Show(held.ID())
	if err != nil || !strings.Contains(v.Waits, "holds one back") {
		t.Errorf("it waits for %q; %v", v.Waits, err)
	}
	w.Now = w.Now.Add(hold)
	signed("after its time", propose())
	if since, who := w.Hosts[0].Pulse.Running(); w.Now.Sub(since) < hold || len(who) != 2 {
		t.Errorf("run since %v by %v", since, who)
	}
}
