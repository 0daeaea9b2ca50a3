package node_test

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// limit is how many thousandths of an ether the vault of these tests may give out in a day, fees included.
const limit = 10_000

// limited is a 2-of-3 vault with that limit, and two people who propose.
func limited(t *testing.T) setting { return limitedTo(t, 3, 3) }

// limitedTo is such a vault in a circle of n, which the first few hold.
func limitedTo(t *testing.T, n, held int) setting {
	t.Helper()
	w := nodetest.New(t, n)
	w.Change = func(d *charter.Document) {
		d.Policy = fmt.Sprintf(`@id("limit")
permit (principal, action in [Action::"transfer", Action::"fee"], resource)
when { context.total.day <= %d };
@id("fees")
forbid (principal, action == Action::"fee", resource)
when { context.amount > 50 };
`, limit)
		d.Groups[1].People = []string{"ines", "ivan"}
		d.People = append(d.People, charter.Human{Name: "ivan", Organisation: "customer", Keys: []signet.Key{nodetest.NewPerson(t, "ivan").Key}})
		slices.SortFunc(d.People, func(a, b charter.Human) int { return strings.Compare(a.Name, b.Name) })
	}
	w.Found()
	hosts := w.Hosts[:held]
	vault := w.AcceptVault(w.VaultFile("treasury", 2, hosts...), hosts...)
	w.Run("the vault's key is published", func() bool {
		return !slices.ContainsFunc(hosts, func(h *nodetest.Host) bool { v, ok := h.Keeper.Root(vault, w.Suite); return !ok || v.Current == nil })
	})
	w.Run("account taken", func() bool { _, err := w.Submit(w.AccountNote(vault, "main", 1)); return err == nil })
	return setting{w, vault, address(t, w, vault, hosts...)}
}

// transfer is an intent that gives out so many thousandths, for so many wei a unit of gas at most.
func (s setting) transfer(by string, nonce uint64, thousandths, gasPrice int64) (statement.Statement, outbox.Note) {
	s.T.Helper()
	it := s.Intent(s.vault, s.addr, nonce)
	it.Initiator, it.Transaction = by, s.payload(nonce, thousandths, gasPrice)
	return s.Proposal(it)
}

func (s setting) payload(nonce uint64, thousandths, gasPrice int64) []byte {
	s.T.Helper()
	to, err := evm.ParseAddress("0x" + strings.Repeat("00", 16) + "deadbeef")
	if err != nil {
		s.T.Fatal(err)
	}
	amount := new(big.Int).Mul(big.NewInt(thousandths), big.NewInt(1e15))
	raw, err := evm.Build(evm.Request{
		Kind: evm.Dynamic, ChainID: 1, Nonce: nonce, Gas: 21000, FeeCap: big.NewInt(gasPrice), TipCap: big.NewInt(1), To: to, Amount: amount,
	})
	if err != nil {
		s.T.Fatal(err)
	}
	return raw
}

// gwei30 costs a fee of one thousandth, rounded up.
const gwei30 = 30e9

// give proposes a transfer and has it approved, all at one moment and at all nodes.
func (s setting) give(nonce uint64, thousandths, gasPrice int64) statement.Statement {
	s.T.Helper()
	st, n := s.transfer(nodetest.Initiator, nonce, thousandths, gasPrice)
	for _, n := range []outbox.Note{n, s.Vote(st, "abel", signet.Approve), s.Vote(st, "bea", signet.Approve)} {
		if _, err := s.Submit(n); err != nil {
			s.T.Fatal(err)
		}
	}
	return st
}

// said is a host's own decision; nil if there is none.
func said(h *nodetest.Host, st statement.Statement) *decide.Decision {
	v, err := h.Desk.Show(st.ID())
	i := slices.IndexFunc(v.Decisions, func(d decide.Decision) bool { return d.Operator == h.Own.Name })
	if err != nil || i < 0 {
		return nil
	}
	return &v.Decisions[i]
}

// allows counts what a host itself allowed.
func allows(h *nodetest.Host, all []statement.Statement) (n int) {
	for _, st := range all {
		if d := said(h, st); d != nil && d.Verdict == intent.Allow {
			n++
		}
	}
	return n
}

// Each of 102 transfers, its fee included, is 0.99 of a hundredth of the limit: 101 fit, whoever hands them in, in whatever order and all at
// once; and a node that starts again counts them all.
func TestLimitUnderConcurrency(t *testing.T) {
	t.Parallel()
	s := limited(t)
	s.Pass = withoutSessions
	s.Check = func(*nodetest.Host, evm.Address, evm.Facts) (bool, string, error) {
		time.Sleep(time.Millisecond) // others come between the totals and the debit, if they can
		return false, "", nil
	}
	const n, each = 102, limit/100 - 1
	var all []statement.Statement
	var proposals, votes []outbox.Note
	for i := range n {
		st, note := s.transfer([]string{"ines", "ivan"}[i%2], uint64(i), each-1, gwei30)
		all, proposals = append(all, st), append(proposals, note)
		votes = append(votes, s.Vote(st, "abel", signet.Approve), s.Vote(st, "bea", signet.Approve))
	}
	atOnce := func(notes []outbox.Note) {
		var wg sync.WaitGroup
		for _, h := range s.Hosts {
			for part := range 4 {
				wg.Go(func() {
					for i := part; i < len(notes); i += 4 {
						if _, err := h.Submit(t.Context(), s.Now, notes[i]); err != nil {
							t.Errorf("%s: %v", h.Own.Name, err)
						}
					}
				})
			}
		}
		wg.Wait()
	}
	atOnce(proposals)
	atOnce(votes)
	for _, h := range s.Hosts {
		if got := allows(h, all); got != 101 {
			t.Errorf("%s allows %d", h.Own.Name, got)
		}
	}
	s.Crash(s.Hosts[0])
	s.Run("restarted", func() bool { return s.Hosts[0].Up })
	s.Try(time.Minute, func() bool { return false })
	for _, h := range s.Hosts {
		if got := allows(h, all); got != 101 {
			t.Errorf("%s allows %d after the first was restarted", h.Own.Name, got)
		}
	}
}

// A node dies just before or after its ALLOW is durable, and so has not sent it. It counts what it allowed, and only that.
func TestLimitWhenANodeDies(t *testing.T) {
	t.Parallel()
	base := limited(t)
	for name, fate := range map[string]nodetest.Fate{"before": nodetest.CrashBefore, "after": nodetest.CrashAfter} {
		s := base.copy(t, name)
		a, fell := s.Hosts[0], false
		s.Fate = func(h *nodetest.Host, _ int, b store.Batch) nodetest.Fate {
			if fell || h != a || !slices.ContainsFunc(b.Put, func(e store.Entry) bool { return strings.HasPrefix(e.Key, "decision/") }) {
				return nodetest.Live
			}
			fell = true
			return fate
		}
		s.Pass = withoutSessions
		one := s.give(1, 6000, gwei30)
		if !fell {
			t.Fatal("it did not die")
		}
		s.Run("restarted", func() bool { return a.Up })
		two := s.give(2, 6000, gwei30)
		s.Try(time.Minute, func() bool { return false })
		for _, h := range s.Hosts {
			if got := allows(h, []statement.Statement{one, two}); got != 1 {
				t.Errorf("%s it was durable: %s allows %d", name, h.Own.Name, got)
			}
		}
		s.Pass = nil
		s.Try(5*time.Minute, func() bool { return false })
		signed := 0
		for _, st := range []statement.Statement{one, two} {
			if s.Signed(st) {
				signed++
			}
		}
		if signed != 1 {
			t.Errorf("%s it was durable: %d of two are signed that exceed the limit together", name, signed)
		}
	}
}

// What was signed counts for a day to the second, and what is in flight until it is over.
func TestLimitAtTheEdgesOfTheWindow(t *testing.T) {
	t.Parallel()
	base := limited(t)
	first := base.give(1, 6000, gwei30)
	base.Run("signed", func() bool { return base.Signed(first) })
	last := time.Time{}
	for _, h := range base.Hosts {
		v, _ := h.Desk.Show(first.ID())
		if v.Changed.After(last) {
			last = v.Changed
		}
	}
	for _, at := range []time.Duration{-time.Second, 0, time.Second} {
		s := base.copy(t, at.String())
		s.Pass = withoutSessions
		s.Now = last.Add(24*time.Hour + at)
		st := s.give(2, 6000, gwei30)
		for _, h := range s.Hosts {
			v, err := h.Desk.Show(st.ID())
			if err != nil || at < 0 && (said(h, st) != nil || !strings.Contains(v.Waits, "the policy does not permit it now")) {
				t.Errorf("%v before the day is over, %s: %+v, waits %q, %v", -at, h.Own.Name, said(h, st), v.Waits, err)
			}
			if d := said(h, st); at >= 0 && (d == nil || d.Verdict != intent.Allow) {
				t.Errorf("%v after the day is over, %s: %+v", at, h.Own.Name, d)
			}
		}
		if at < 0 { // what waits is asked about again
			s.Run("allowed once there is room", func() bool {
				return allows(s.Hosts[0], []statement.Statement{st})+allows(s.Hosts[1], []statement.Statement{st}) == 2
			})
			continue
		}
		// It is in flight: it counts although nobody signs it, and no more once its time is over.
		next := s.give(3, 6000, gwei30)
		if got := allows(s.Hosts[0], []statement.Statement{next}); got != 0 {
			t.Error("what is in flight does not count")
		}
		s.Now = s.Now.Add(nodetest.Life)
		s.Step(time.Second)
		again := s.give(4, 6000, gwei30)
		if got := allows(s.Hosts[0], []statement.Statement{again}); got != 1 {
			t.Error("what has expired unsigned counts")
		}
	}
}

// A fee counts as what it may cost at most: one that would drain the vault is denied, whatever is sent with it, and so is one that takes a
// transfer over the limit.
func TestLimitOfFees(t *testing.T) {
	t.Parallel()
	s := limited(t)
	s.Pass = withoutSessions
	for _, c := range []struct {
		amount, gasPrice int64
		rule             string // "": allowed
	}{
		{1, 30_000e9, "fees"},           // 0.63 ether
		{0, 1_000_000_000e9, "default"}, // 21,000 ether
		{limit, gwei30, "default"},      // the amount alone fits
		{limit - 49, 2380e9, "default"},
		{limit - 50, 2380e9, ""}, // 0.04998 ether, rounded up
	} {
		st, n := s.transfer(nodetest.Initiator, uint64(c.gasPrice/1e9)+uint64(c.amount), c.amount, c.gasPrice)
		if _, err := s.Submit(n); err != nil {
			t.Fatal(err)
		}
		for _, who := range nodetest.Approvers {
			_, _ = s.Submit(s.Vote(st, who, signet.Approve)) // what is denied takes none
		}
		for _, h := range s.Hosts {
			d := said(h, st)
			switch {
			case d == nil:
				v, _ := h.Desk.Show(st.ID())
				t.Errorf("%+v: %s has not decided: %q", c, h.Own.Name, v.Waits)
			case c.rule == "" && d.Verdict != intent.Allow, c.rule != "" && (d.Verdict != intent.Deny || d.Rule != decide.RulePolicy || !strings.Contains(d.Reason, c.rule)):
				t.Errorf("%+v: %s says %s by %s: %s", c, h.Own.Name, d.Verdict, d.Rule, d.Reason)
			}
		}
	}
}
