package node_test

import (
	"testing"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/node/nodetest"
)

// BenchmarkSignature is one signature over three nodes in one process, from proposal to
// signed transaction everywhere, without links and disks: three parties' work and two
// approvals by SSH keys.
func BenchmarkSignature(b *testing.B) {
	w := nodetest.New(b, 3)
	vault, addr := nodetest.Ready(w, 3)
	for n := uint64(0); b.Loop(); n++ {
		s := w.Propose(vault, addr, n)
		w.Approve(s)
		w.Run("signed", func() bool {
			return w.All(func(h *nodetest.Host) bool { return w.State(h, s.ID()) == intent.Signed })
		})
	}
}
