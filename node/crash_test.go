package node_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/wallet"
)

// A blow is a crash of one node at one of its batches.
type blow struct {
	host, batch int
	fate        nodetest.Fate
	kept        bool // what it sent before arrives
}

func (b blow) String() string {
	side := "before"
	if b.fate == nodetest.CrashAfter {
		side = "after"
	}
	if b.kept {
		side += ", frames kept,"
	}
	return fmt.Sprintf("node %d %s batch %d", b.host, side, b.batch)
}

// strike makes the blow fall, and reports later whether it did.
func (b blow) strike(w *nodetest.World) (fell *bool) {
	fell = new(bool)
	first := w.Hosts[b.host].Commits
	w.KeepSent = b.kept
	w.Fate = func(h *nodetest.Host, n int, _ store.Batch) nodetest.Fate {
		if *fell || h != w.Hosts[b.host] || n != first+b.batch {
			return nodetest.Live
		}
		*fell = true
		return b.fate
	}
	return fell
}

// blows lists what can befall every batch that the hosts wrote, beyond those before.
func blows(w *nodetest.World, before []int) (out []blow) {
	for i, h := range w.Hosts {
		for n := 1; n <= h.Commits-before[i]; n++ {
			out = append(out, blow{i, n, nodetest.CrashBefore, false}, blow{i, n, nodetest.CrashAfter, false}, blow{i, n, nodetest.CrashAfter, true})
		}
	}
	return out
}

func commits(w *nodetest.World) (n []int) {
	for _, h := range w.Hosts {
		n = append(n, h.Commits)
	}
	return n
}

// rotate picks n of all: others every day, all of them in the end.
func rotate(all []blow, n int) (some []blow) {
	day := int(time.Now().Unix() / 86400)
	n = min(n, len(all))
	for i := range n {
		from, to := i*len(all)/n, (i+1)*len(all)/n
		some = append(some, all[from+day%(to-from)])
	}
	return some
}

// ended says whether an intent has come to an end at a host: signed, or closed with a reason.
// An intent that may have been signed where a node died is closed there; the others try
// without an answer until its time is over.
func ended(w *nodetest.World, h *nodetest.Host, s statement.Statement) bool {
	v, err := h.Desk.Show(s.ID())
	if err != nil {
		return false
	}
	switch v.State {
	case intent.Signed, intent.Expired:
		return true
	case intent.Failed:
		if !v.Possibly && v.LastErr == "" && h.Life == 1 { // a restart forgets the words
			w.T.Errorf("%s: intent failed without a reason", h.Own.Name)
		}
		return true
	}
	return false
}

// sign brings one intent to its signature, or to its end everywhere: then a second proposal
// takes its place.
func sign(t *testing.T, w *nodetest.World, vault statement.ID, addr wallet.Address) {
	t.Helper()
	for nonce := range uint64(2) {
		s := w.Propose(vault, addr, 1000+nonce) // no other intent has these
		w.Approve(s)
		w.Run("the intent ends", func() bool { return w.All(func(h *nodetest.Host) bool { return ended(w, h, s) }) })
		if slices.ContainsFunc(w.Hosts, func(h *nodetest.Host) bool { return w.State(h, s.ID()) == intent.Signed }) {
			w.Run("the signature reaches everybody", func() bool { return w.Signed(s) })
			return
		}
		for _, h := range w.Hosts {
			v, _ := h.Desk.Show(s.ID())
			t.Logf("%s: %s, life %d, last error %q, possibly signed %v, awaited %v", h.Own.Name, v.State, h.Life, v.LastErr, v.Possibly, v.Awaited)
		}
		w.Fate = nil
	}
	t.Fatalf("neither the first nor the second proposal is signed; log:\n%s", w.Tail())
}

// keygenStory is keygen to address, with a blow; then a signature.
func keygenStory(t *testing.T, n, threshold int, b *blow) (all []blow) {
	t.Helper()
	w := nodetest.New(t, n)
	w.Found()
	before, fell := commits(w), new(bool)
	if b != nil {
		fell = b.strike(w)
	}
	vault := w.Vault(threshold)
	addr := w.Account(vault)
	all = blows(w, before)
	if b == nil {
		return all
	}
	if !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	w.Fate = nil
	sign(t, w, vault, addr)
	believed(t, w)
	return all
}

func TestCrashAtEveryBatchOfKeygen(t *testing.T) {
	t.Parallel()
	all := keygenStory(t, 3, 3, nil)
	some := pick(all, 16)
	t.Logf("%d of %d", len(some), len(all))
	for _, b := range some {
		t.Run(b.String(), func(t *testing.T) { keygenStory(t, 3, 3, &b) })
	}
}

// signStory is proposal to signature on a copy of a circle, with a blow.
func signStory(t *testing.T, ready *nodetest.World, vault statement.ID, addr wallet.Address, b *blow) (all []blow) {
	t.Helper()
	w := ready.Clone(t, fmt.Sprint(b))
	before, fell := commits(w), new(bool)
	if b != nil {
		fell = b.strike(w)
	}
	sign(t, w, vault, addr)
	all = blows(w, before)
	if b != nil && !*fell {
		t.Fatalf("%v: no such batch was written", b)
	}
	for _, h := range w.Hosts {
		if burned := h.Sessions.Burned(pairs(w, vault)); len(burned) > 0 {
			t.Fatalf("%s burned its pair with %v after a crash", h.Own.Name, burned)
		}
	}
	if b != nil && b.batch%3 == 0 {
		believed(t, w)
	}
	return all
}

func key(w *nodetest.World, vault statement.ID) [32]byte {
	v, _ := w.Hosts[0].Keeper.Root(vault, charter.SuiteECDSA)
	return v.KeyID
}

// pairs is the name that the pairs of the shares in force burn under.
func pairs(w *nodetest.World, vault statement.ID) [32]byte {
	v, _ := w.Hosts[0].Keeper.Root(vault, charter.SuiteECDSA)
	if v.Current == nil {
		return [32]byte{}
	}
	return protocol.PairKey(v.Current.Record)
}

func TestCrashAtEveryBatchOfSigning(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(w, 3)
	all := signStory(t, w, vault, addr, nil)
	some := pick(all, 40)
	t.Logf("%d of %d", len(some), len(all))
	for _, b := range some {
		t.Run(b.String(), func(t *testing.T) { signStory(t, w, vault, addr, &b) })
	}
}

// Storms: any node may crash at any batch, again and again, also while it starts. When the
// storm is over, everything comes to its end.
func TestStorms(t *testing.T) {
	t.Parallel()
	ready := nodetest.New(t, 3)
	vault, addr := nodetest.Ready(ready, 2)
	day := int(time.Now().Unix() / 86400)
	for seed := range storms {
		t.Run(fmt.Sprintf("day %d seed %d", day, seed), func(t *testing.T) {
			dice := rand.New(rand.NewPCG(uint64(day), uint64(seed)))
			w := nodetest.New(t, 3)
			if seed%4 > 0 {
				w = ready.Clone(t, fmt.Sprint("storm", day, seed))
			} else {
				w.Found()
			}
			crashes, calm := 0, dice.IntN(20)
			w.Fate = func(*nodetest.Host, int, store.Batch) nodetest.Fate {
				if calm--; crashes >= 8 || calm >= 0 {
					return nodetest.Live
				}
				crashes, calm = crashes+1, dice.IntN(20)
				w.KeepSent = dice.IntN(2) == 0
				return nodetest.CrashBefore + nodetest.Fate(dice.IntN(2))
			}
			if seed%4 == 0 {
				id := w.Vault(2)
				sign(t, w, id, w.Account(id))
			} else {
				sign(t, w, vault, addr)
			}
			if crashes == 0 {
				t.Fatal("the storm never struck")
			}
			believed(t, w)
		})
	}
}
