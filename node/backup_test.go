package node_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"filippo.io/age"

	custody "github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// exported cuts an export of a host, opens it, and gives the rows of the store that it makes.
func exported(t *testing.T, s setting, h *nodetest.Host) []store.Item {
	t.Helper()
	file, id := cutOf(t, s, h)
	for _, n := range []int{1, len(file) / 2, len(file) - len(custody.Magic)} { // bits, and all that is cut off
		bad := bytes.Clone(file)
		bad[n] ^= 1
		if _, _, err := backup.Look(bytes.NewReader(bad)); err == nil {
			t.Errorf("byte %d can be changed", n)
		}
		if _, _, err := backup.Look(bytes.NewReader(file[:n])); err == nil {
			t.Errorf("%d bytes of it are enough", n)
		}
	}
	o, err := backup.Open(bytes.NewReader(file), id)
	if err != nil {
		t.Fatal(err)
	}
	defer o.Wipe()
	if bytes.Contains(file, o.Secrets.Seed.Expose()) || bytes.Contains(file, o.Secrets.DataKey.Expose()) || bytes.Contains(file, o.Keys[0].Secret.Bytes()) {
		t.Error("a secret stands in plain in the export")
	}
	to := memory.New()
	if err := node.Refill(context.Background(), s.Now, to, o); err != nil {
		t.Fatal(err)
	}
	rows, err := to.Range(context.Background(), "", "", store.MaxLimit)
	if err != nil {
		t.Fatal(err)
	}
	for _, it := range rows {
		if strings.Contains(it.Key, "/pair") {
			t.Errorf("the export carries %s", it.Key)
		}
	}
	return rows
}

// cutHere cuts an export of a host and opens it. The caller wipes it.
func cutHere(t *testing.T, s setting, h *nodetest.Host) *backup.Opened {
	t.Helper()
	file, id := cutOf(t, s, h)
	o, err := backup.Open(bytes.NewReader(file), id)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func cutOf(t *testing.T, s setting, h *nodetest.Host) ([]byte, age.Identity) {
	t.Helper()
	id, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	from := memory.New()
	for _, it := range s.Rows(h, "") {
		if _, err := from.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: it.Key, Value: it.Value}}}); err != nil {
			t.Fatal(err)
		}
	}
	_, r, _ := h.Circle.Roster()
	secrets, err := backup.Secrets(h.Key, h.Box.DataKey(), []byte(`{"operator":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	var cipher bytes.Buffer
	signed, err := backup.Cut{
		Identity: h.Key, Operator: h.Own.Name, Roster: r, Place: "away", Sealer: h.Box, Roots: h.Keeper.Roots(),
		Secrets:    secrets,
		Recipients: []age.Recipient{id.Recipient()}, Begin: func(int) error { return nil },
	}.Write(context.Background(), s.Now, from, &cipher)
	if err != nil {
		t.Fatal(err)
	}
	return append(append(custody.Front(len(signed)), signed...), cipher.Bytes()...), id
}

// All nodes of a 3-of-3 are lost, and come back from exports: fenced from the first start on, without pairs; then the same key signs.
func TestAllRestoredFromExports(t *testing.T) {
	t.Parallel()
	restoredFromExports(t, prepare(t, 3, 3), false)
}

// With guardians, masks come back too: heartbeats prove them, and the next epoch is guarded again.
func TestGuardedVaultIsRestoredFromExports(t *testing.T) {
	t.Parallel()
	s, _ := guarded(t, 3, 3)
	restoredFromExports(t, s, true)
}

func restoredFromExports(t *testing.T, s setting, guards bool) {
	t.Helper()
	was := key(s.World, s.vault)
	var rows [][]store.Item
	for _, h := range s.Hosts {
		rows = append(rows, exported(t, s, h))
	}
	for i, h := range s.Hosts {
		s.Restore(h, rows[i])
	}
	for _, h := range s.Hosts {
		if h.Fence.Fenced() == nil || len(h.Sessions.Burned(pairs(s.World, s.vault))) != 2 {
			t.Fatalf("%s: fenced %v, burned %v", h.Own.Name, h.Fence.Fenced(), h.Sessions.Burned(pairs(s.World, s.vault)))
		}
		if _, err := h.ConfirmRestore(context.Background(), s.Clock(h)); err != nil {
			t.Fatal(err)
		}
	}
	s.Run("they meet", func() bool { return s.Greeted() })
	if guards {
		s.Run("all masks are proved", func() bool { return s.All(func(h *nodetest.Host) bool { return len(s.root(h).Masks) == 3 }) })
	}
	refresh(t, s)
	if guards {
		s.checkBackups(s.record(s.Hosts[0]))
	}
	if key(s.World, s.vault) != was {
		t.Fatal("another key")
	}
	for _, h := range s.Hosts {
		if h.Fence.RestoredAt().IsZero() {
			t.Errorf("%s forgot that it was restored: its limits would be empty", h.Own.Name)
		}
	}
	intent := s.Propose(s.vault, s.addr, 0)
	s.Approve(intent)
	s.Run("signed", func() bool { return s.Signed(intent) })
}
