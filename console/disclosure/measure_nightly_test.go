//go:build nightly

package disclosure_test

import (
	"testing"
	"time"

	"github.com/ostraka/ostraka/console/disclosure"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/internal/components/chromium"
	"github.com/ostraka/ostraka/node/nodetest"
)

// entries is how many the three logs of TestHundredThousandEntries have together.
const entries = 100_000

// A visitor's browser judges a folder of 100 000 entries. How long it took is printed (spec/disclosure 6 says how long it may take).
func TestHundredThousandEntries(t *testing.T) {
	p, dir := program(t), t.TempDir()
	w := nodetest.New(t, 3)
	w.Change = spread
	vault, from := nodetest.Ready(w, 3)
	w.Run("every share is proved everywhere, and all is cosigned", func() bool {
		return w.All(func(h *nodetest.Host) bool { return proved(h) == 3 && cosigned(h) })
	})
	b := bundle{map[string][]byte{}, verify.Bundle{Format: 1, Circle: "test circle", Made: w.Now.Truncate(time.Second)}, w.Now.Truncate(time.Second)}
	var logs []*nodetest.Published
	for _, h := range w.Hosts {
		logs = append(logs, w.Publish(h))
	}
	for nonce := uint64(0); ; nonce++ {
		n := 0
		for _, l := range logs {
			n += len(l.Leaves)
		}
		if n >= entries {
			break
		}
		s, note := w.Proposal(w.Intent(vault, from, nonce))
		decided(t, w, logs, vault, s, note.Fields[1])
	}
	for _, l := range logs {
		if err := l.Sign(); err != nil {
			t.Fatal(err)
		}
		b.add(t, l)
	}
	b.write(t, dir)
	began := time.Now()
	published := native(t, dir, b.list, b.now)
	t.Logf("the command: %d entries, %d signatures in %.1f s", published.Entries, published.Signatures, time.Since(began).Seconds())
	if published.Failed || published.Entries < entries {
		t.Fatalf("%d entries, %s", published.Entries, list(published.Claims))
	}
	if err := disclosure.Write(dir, published, b.list, p); err != nil {
		t.Fatal(err)
	}
	browser := chromium.StartFor(t, "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", 20*time.Minute)
	url := serve(t, dir, b.now)
	began = time.Now()
	browser.Go(url)
	first := browser.AwaitFor(time.Minute, `document.querySelector("#heads").hidden ? "" : document.querySelector("#heads").textContent`)
	t.Logf("checkpoints after %.1f s: %.80s…", time.Since(began).Seconds(), first)
	s := judged(t, browser, 10*time.Minute)
	t.Logf("the browser, its program's loading included: %.1f s: %s", time.Since(began).Seconds(), s.Status)
	same(t, "large", s, published)
}

// decided writes an intent, two votes and three decisions into every log, as nodes do.
func decided(t *testing.T, w *nodetest.World, logs []*nodetest.Published, vault statement.ID, s statement.Statement, initiator []byte) {
	t.Helper()
	it, err := intent.Of(s)
	if err != nil {
		t.Fatal(err)
	}
	all := []tlog.Filed{tlog.Says(tlog.KindStatement, w.Now, vault, s.Bytes(), initiator)}
	for _, name := range nodetest.Approvers {
		vote := w.Vote(s, name, signet.Approve)
		all = append(all, tlog.Says(tlog.KindVote, w.Now, vault, vote.Fields[2]).On(s.ID()))
	}
	for _, h := range w.Hosts {
		d, err := intent.Decision{
			Charter: it.Charter, Vault: vault, Intent: s.ID(), Operator: h.Own.Name, Verdict: intent.Allow, Rule: "policy", Approved: nodetest.Approvers, Facts: it.Facts, Created: w.Now,
		}.Statement(w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		signature, err := signet.SignNode(h.Key, d)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tlog.Says(tlog.KindHeard, w.Now, vault, d.Bytes(), signature).On(s.ID()))
	}
	for i := range logs {
		for n, l := range all {
			if n == 3+i {
				l.Kind = tlog.KindDecision
			}
			if last := logs[i].Leaves[len(logs[i].Leaves)-1].Time; l.Time.Before(last) {
				l.Time = last
			}
			logs[i].Leaves = append(logs[i].Leaves, l)
		}
	}
}
