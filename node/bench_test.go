package node_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
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

// BenchmarkDecision is one node's whole decision: the proposal and two approvals are verified, the transaction is decoded, the default
// charter's kind of rules is asked about it and its fee, and the ALLOW is signed and made durable in memory.
func BenchmarkDecision(b *testing.B) {
	w := nodetest.New(b, 3)
	w.Change = func(d *charter.Document) {
		d.Policy = narrow + strings.NewReplacer(`@id("payee")`, `@id("large")`, "10000", "100000", `@id("fee")`, `@id("fees")`).Replace(narrow) + `@id("hours")
forbid (principal, action in Action::"move", resource) when { context.weekday > 7 || context.hour > 23 };
@id("proof")
permit (principal, action == Action::"proof", resource);
`
		d.Payees = []charter.Payee{{Name: "known", Chain: "eip155:1", Address: knownPayee, Labels: []string{"known"}}}
	}
	vault, addr := nodetest.Ready(w, 3)
	base := w
	var s setting
	var h *nodetest.Host
	submit := func(n outbox.Note) {
		if _, err := h.Submit(context.Background(), w.Clock(h), n); err != nil {
			b.Fatal(err)
		}
	}
	for n := 0; b.Loop(); n++ {
		b.StopTimer()
		if n%200 == 0 { // the store in memory grows slower with its rows, and a node's on disk does not
			w = base.Clone(b, fmt.Sprint(n))
			w.Send = func(nodetest.Parcel) {}
			w.Pass = func(nodetest.Parcel) []nodetest.Parcel { return nil }
			s, h = setting{w, vault, addr}, w.Hosts[0]
		}
		it := w.Intent(vault, addr, 0)
		it.Created = w.Now.Truncate(time.Second)
		st, proposal := w.Proposal(it)
		votes := []outbox.Note{w.Vote(st, nodetest.Approvers[0], signet.Approve), w.Vote(st, nodetest.Approvers[1], signet.Approve)}
		b.StartTimer()
		submit(proposal)
		submit(votes[0])
		submit(votes[1])
		b.StopTimer()
		if v, err := h.Desk.Show(st.ID()); err != nil || len(v.Decisions) != 1 || v.Decisions[0].Verdict != intent.Allow {
			b.Fatalf("not allowed: %+v, %v", v.Decisions, err)
		}
		s.cancelAt(st, h)
		b.StartTimer()
	}
}
