package node_test

import (
	"context"
	"crypto/ed25519"
	"encoding/binary"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/decide"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
)

// An operator that falls silent in the last round costs an intent, since the others' last
// messages have left. It is left out from then on, and a restart does not give it another.
func TestSilenceIsRememberedOverRestarts(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	v, _ := s.Hosts[0].Keeper.Root(s.vault, charter.SuiteECDSA)
	silent := s.Find(v.Parties[0].Identity) // the first whom the others ask
	others := slices.DeleteFunc(slices.Clone(s.Hosts), func(h *nodetest.Host) bool { return h == silent })
	protocols := map[[32]byte]string{}
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if name, at := stage(p.Frame, protocols); name == protocol.ProtocolSign && at == 4 && p.From == silent {
			return nil
		}
		if p.From == silent && noteOf(p).Kind == decide.NoteSigned {
			return nil // it keeps the signature to itself
		}
		return []nodetest.Parcel{p}
	}
	restart := func() {
		for _, h := range others {
			s.Crash(h)
		}
		s.Run("all are there again", func() bool { return s.All(func(*nodetest.Host) bool { return true }) })
	}
	lost := 0
	for nonce := range uint64(6) {
		st := s.Propose(s.vault, s.addr, nonce)
		s.Approve(st)
		spoiled := func() bool { return s.at(st, intent.Failed, others[0]) || s.at(st, intent.Failed, others[1]) }
		s.Run("ended", func() bool { return s.at(st, intent.Signed, others...) || spoiled() })
		if spoiled() {
			lost++
		}
		restart()
	}
	if lost != 1 {
		t.Fatalf("%d of 6 intents are lost to one silent operator, with restarts between; want 1", lost)
	}
	// Long after, what it did is forgotten: its row goes, and it is asked to sign again.
	if len(s.Rows(others[0], "shunned/"))+len(s.Rows(others[1], "shunned/")) == 0 {
		t.Fatal("nothing is kept of it")
	}
	s.Pass = nil
	s.Now = s.Now.Add(26 * time.Hour)
	restart()
	for _, h := range others {
		if err := h.Housekeep(context.Background(), s.Now); err != nil {
			t.Fatal(err)
		}
		if rows := s.Rows(h, "shunned/"); len(rows) != 0 {
			t.Errorf("%s keeps %d rows", h.Own.Name, len(rows))
		}
	}
	sign(t, s.World, s.vault, s.addr)
}

// Who is shunned by a node whose clock was far ahead is shunned for an hour at most once it is
// right again; success takes a failure back, durably.
func TestShunnedRows(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	h, p := s.Hosts[0], s.Hosts[1].Self()
	row := func(failed, until uint64) []byte {
		return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, failed), until)
	}
	put := func(value []byte) {
		s.Crash(h)
		disk, err := h.Disk.Open()
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()
		if _, err := disk.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: store.Key("shunned", store.ID(p[:])), Value: value}}}); err != nil {
			t.Fatal(err)
		}
	}
	put(row(2, uint64(s.Now.Add(1000*time.Hour).Unix())))
	s.Start(h)
	sign(t, s.World, s.vault, s.addr) // nobody else could sign in its place
	if rows := s.Rows(h, "shunned/"); len(rows) != 1 || binary.BigEndian.Uint64(rows[0].Value) != 1 {
		t.Fatalf("after a success: %v", rows)
	}
	for name, value := range map[string][]byte{
		"short": {1}, "long": append(row(1, 1), 0), "no failure": row(0, 1), "too many": row(1<<40, 1), "until the end of time": row(1, 1<<50),
	} {
		put(value)
		st, err := h.Disk.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := reopen(s, h, st); err == nil || !strings.Contains(err.Error(), "shunned") {
			t.Errorf("%s: %v", name, err)
		}
		st.Close()
	}
}

// reopen starts a node on a disk, beside the world.
func reopen(s setting, h *nodetest.Host, st store.Store) (*node.Node, error) {
	return node.New(context.Background(), s.Now, node.Config{
		Own: h.Own, Identity: h.Key, Store: st, Sealer: h.Box, Rand: h.Rand, Log: slog.New(slog.DiscardHandler),
		Send: func(ed25519.PublicKey, []byte) {}, Reachable: func(ed25519.PublicKey) bool { return false }, SetPeers: func([]charter.Operator) {},
	})
}
