package node_test

import (
	"context"
	"crypto/ed25519"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store"
)

// rewrite changes rows of a host while it is down, and starts it again.
func (s setting) rewrite(h *nodetest.Host, put ...store.Entry) {
	s.T.Helper()
	if h.Up {
		s.Crash(h)
	}
	disk, err := h.Disk.Open()
	if err != nil {
		s.T.Fatal(err)
	}
	if _, err := disk.Commit(context.Background(), store.Batch{Put: put}); err != nil {
		s.T.Fatal(err)
	}
	disk.Close()
	s.Start(h)
}

// twoVaults is a circle of two with two vaults that take both to sign, the first of which had new shares.
func twoVaults(t *testing.T) (s setting, other setting) {
	t.Helper()
	s = ofSuite(t, charter.SuiteBIP340, 2, 2)
	id := s.AcceptVault(s.VaultFile("savings", 2))
	s.Run("the second vault's key is published", func() bool { return s.Published(id) })
	other = setting{s.World, id, s.Account(id)}
	old := s.record(s.Hosts[0])
	s.wantNew()
	s.moved(1, old)
	s.ask(s.Hosts[0]) // its word is kept, and not followed yet
	return s, other
}

// One row of a key in a node's store makes no sense, of each kind that there is. The node starts, sets that vault aside and says so, and
// signs for the other; nothing that its peers show it of the damaged one fences it. When the row is mended, all goes on.
func TestDamagedRowSetsOneVaultAside(t *testing.T) {
	t.Parallel()
	first, second := twoVaults(t)
	h := first.Hosts[1]
	r := first.record(h)
	key, eh, self := store.ID(r.KeyID[:]), r.Hash(), h.Self()
	vault, prev := first.vault, r.Prev
	for name, c := range map[string]struct{ row, value string }{
		"attempt":      {store.Key("attempt", store.ID(vault[:]), store.Name(first.Suite)), "short"},
		"certificate":  {store.Key("current", key), "no certificate"},
		"chain":        {store.Key("link", key, store.Number(r.Epoch), store.ID(eh[:])), "no certificate"},
		"moved":        {store.Key("moved", key), "when"},
		"left":         {store.Key("left", key), "when"},
		"doubt":        {store.Key("doubt", key, store.Name("nonsense")), "\x01"},
		"wanted":       {store.Key("wanted", key), "when"},
		"gone":         {store.Key("gone", key, store.ID(prev[:])), "more than one byte"},
		"gone by name": {store.Key("gone", key, store.Name("nonsense")), "\x01"},
		"FINAL":        {store.Key("final", key, store.ID(eh[:]), store.ID(self[:])), "no FINAL"},
		"proved":       {store.Key("proved", key, store.ID(self[:])), "when"},
		"checks":       {store.Key("checks", store.ID(vault[:]), store.ID(self[:])), "more than one byte"},
		"choice":       {store.Key("choice", store.ID(vault[:]), store.Name(first.Suite), store.Name(h.Own.Name)), strings.Repeat("x", 70)},
		"short choice": {store.Key("choice", store.ID(vault[:]), store.Name(first.Suite), store.Name(h.Own.Name)), "x"},
		"record":       {store.Key("epoch", key, store.ID(eh[:]), store.Name(protocol.RowRecord)), "no record"},
		"lone row":     {store.Key("epoch", key, store.ID(make([]byte, 32)), store.Name("cert")), "no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			s := first.copy(t, name)
			other := setting{s.World, second.vault, second.addr}
			a, h := s.Hosts[0], s.Hosts[1]
			waits := s.Propose(s.vault, s.addr, 1)
			s.Deliver()
			was := s.Rows(h, c.row)
			s.rewrite(h, store.Entry{Key: c.row, Value: []byte(c.value)})
			v := s.root(h)
			if v.Step != ceremony.StepDamaged || v.Damage == nil || !strings.Contains(v.LastErr, "treasury") || !strings.Contains(v.LastErr, "restore the data folder") {
				t.Fatalf("the vault is %q: %s", v.Step, v.LastErr)
			}
			other.signs(1)
			s.Approve(waits)
			n := outbox.Note{Kind: ceremony.NoteFinalCert, Fields: [][]byte{s.root(a).Current.Encode()}}
			if verdict, _ := s.tell(a, h, n); verdict == outbox.Refused {
				t.Error("a certificate of it is refused, as if it were wrong")
			}
			if back := h.Keeper.RolledBack(ceremony.EvidenceOf(n)); back != nil {
				t.Errorf("its own signature on what it cannot read counts as a rollback: %v", back)
			}
			err := h.Keeper.AskRefresh(context.Background(), s.Now, s.vault, s.Suite)
			if err == nil || !strings.Contains(err.Error(), "cannot read") {
				t.Errorf("asked for new shares: %v", err)
			}
			s.Try(time.Minute, func() bool { return false })
			if h.Fence.Fenced() != nil || s.at(waits, intent.Signed, a) || s.at(waits, intent.Signed, h) {
				t.Errorf("fenced: %v; what waited is %s", h.Fence.Fenced(), s.State(a, waits.ID()))
			}
			mend(s, h, c.row, was)
			if !s.Try(8*time.Minute, func() bool { return s.at(waits, intent.Signed, a, h) }) {
				for _, x := range []*nodetest.Host{a, h} {
					v, err := x.Desk.Show(waits.ID())
					t.Logf("%s: %s, %d votes, %d decisions, waits %q, last %q, %v", x.Own.Name, v.State, len(v.Votes), len(v.Decisions), v.Waits, v.LastErr, err)
				}
				t.Error("not signed once it is mended")
			}
		})
	}
}

// mend puts a row back as it was, or away.
func mend(s setting, h *nodetest.Host, row string, was []store.Item) {
	s.T.Helper()
	if len(was) > 0 {
		s.rewrite(h, store.Entry{Key: row, Value: was[0].Value})
		return
	}
	s.Crash(h)
	disk, err := h.Disk.Open()
	if err != nil {
		s.T.Fatal(err)
	}
	if _, err := disk.Commit(context.Background(), store.Batch{Delete: []string{row}}); err != nil {
		s.T.Fatal(err)
	}
	disk.Close()
	s.Start(h)
}

// A node that was restored burns the pairs of a vault that is set aside too, or they would be good again once it is mended.
func TestPairsOfADamagedVaultAreBurned(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	h, r := s.Hosts[1], s.record(s.Hosts[1])
	s.rewrite(h, store.Entry{Key: store.Key("moved", store.ID(r.KeyID[:])), Value: []byte("when")})
	want := engine.Token{Key: protocol.PairKey(r), Peer: s.Hosts[0].Self()}
	if all := h.Keeper.Pairs(); !slices.Contains(all, want) || len(all) != 1 {
		t.Errorf("pairs %v, want the one of the vault that was set aside", all)
	}
}

// One row of an intent makes no sense: the node starts, does nothing with that intent, and signs the others of the same vault.
func TestDamagedRowSetsOneIntentAside(t *testing.T) {
	t.Parallel()
	base := ofSuite(t, charter.SuiteBIP340, 2, 2)
	st := base.Propose(base.vault, base.addr, 1)
	base.Approve(st)
	base.Run("signed", func() bool { return base.Signed(st) })
	waits := base.Propose(base.vault, base.addr, 3)
	base.Deliver()
	id, open := st.ID(), waits.ID()
	for name, c := range map[string]struct {
		of  statement.Statement
		row string
	}{
		"life":     {st, store.Key("intent", store.ID(id[:]))},
		"proposal": {waits, store.Key("proposal", store.ID(open[:]))},
		"vote":     {st, store.Key("vote", store.ID(id[:]), store.Number(1))},
		"decision": {st, store.Key("decision", store.ID(id[:]), store.Name(base.Hosts[0].Own.Name))},
	} {
		t.Run(name, func(t *testing.T) {
			s := base.copy(t, name)
			h := s.Hosts[1]
			if len(s.Rows(h, c.row)) != 1 {
				t.Fatalf("no row %q", c.row)
			}
			s.rewrite(h, store.Entry{Key: c.row, Value: []byte("nonsense")})
			if _, err := h.Desk.Show(c.of.ID()); err == nil || !strings.Contains(err.Error(), "read intent") {
				t.Errorf("it shows %v", err)
			}
			s.signs(2)
			n := outbox.Note{Kind: 0x20, Fields: [][]byte{c.of.Bytes(), nodetest.NewPerson(t, nodetest.Initiator).Makes(t, c.of)}}
			if verdict, _ := s.tell(s.Hosts[0], h, n); verdict == outbox.Refused {
				t.Error("it is refused, as if it were wrong")
			}
		})
	}
}

// What concerns the node as a whole still stops it: who it is, whether it is fenced, and whose pairs are burned.
func TestDamagedNodeDoesNotStart(t *testing.T) {
	t.Parallel()
	base := ofSuite(t, charter.SuiteBIP340, 2, 2)
	for _, row := range []string{"instance", "fenced", "burn/nonsense", "roster/" + strings.Repeat("00", 32)} {
		t.Run(row, func(t *testing.T) {
			s := base.copy(t, row)
			h := s.Hosts[1]
			s.Crash(h)
			disk, err := h.Disk.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer disk.Close()
			if _, err := disk.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: row, Value: []byte("nonsense")}}}); err != nil {
				t.Fatal(err)
			}
			_, err = node.New(context.Background(), s.Now, node.Config{
				Own: h.Own, Identity: h.Key, Store: disk, Sealer: h.Box, Rand: h.Rand, Log: slog.New(slog.DiscardHandler),
				Send: func(ed25519.PublicKey, []byte) {}, Reachable: func(ed25519.PublicKey) bool { return false }, SetPeers: func([]charter.Operator) {},
			})
			if err == nil {
				t.Error("the node starts")
			}
		})
	}
}
