package node_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/circle"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
)

// One hostile operator with the key of an officer who was replaced, or two of them, make vaults without end, which others only keep. They fill
// the room of their own keys; what others make is taken, also with one of those that the flood names.
func TestVaultFlood(t *testing.T) {
	t.Parallel()
	const n, names, most = 280, 60, 256 + 2*8
	for _, how := range []string{"with a replaced officer", "by two", "by two, signature by signature"} {
		t.Run(how, func(t *testing.T) {
			w, hosts := founded(t, 5)
			a, b, c, d, e := hosts[0], hosts[1], hosts[2], hosts[3], hosts[4]
			_, roster, _ := a.Circle.Roster()
			second := c.Officer
			var floods []charter.Blueprint
			for i := range names {
				floods = append(floods, w.VaultFile(fmt.Sprint("flood-", i), 2, b, c))
			}
			w.List(floods...)
			if how == "with a replaced officer" {
				second = newOfficer(t, w, c, 1, a, b, d, e)
			} else { // the charter has had enough of them
				w.Vaults = nil
				w.List(w.VaultFile("ours", 2, a, b))
			}
			s := setting{World: w}
			w.Pass = func(p nodetest.Parcel) []nodetest.Parcel { // the nodes of the two know nothing of it, and make no keys
				if n := noteOf(p); (p.To == b || p.To == c) && len(n.Fields) > 0 && bytes.Contains(n.Fields[0], []byte("name: flood-")) {
					return nil
				}
				return []nodetest.Parcel{p}
			}
			for i := range n {
				st := vaultOf(t, w, floods[i%names], roster.ID)
				x := charter.Accepted{Statement: st, Signatures: map[string][]byte{b.Own.Name: b.Officer.Makes(t, st), c.Own.Name: second.Makes(t, st)}}
				if !strings.HasSuffix(how, "by signature") {
					s.tell(b, a, whole(x))
					continue
				}
				for _, sig := range x.Signatures {
					s.tell(b, a, outbox.Note{Kind: circle.NoteVault, Fields: [][]byte{st.Bytes(), sig}})
				}
			}
			w.Queue = nil
			b.Hostile, c.Hostile = false, false
			other := c
			if strings.HasSuffix(how, "by signature") { // c waits for its own eight at a
				other = e
			}
			id := w.AcceptVault(w.VaultFile("payroll", 2, other, d), other, d)
			w.Run("another vault is heard of", func() bool {
				for _, x := range a.Circle.Vaults() {
					if x.Statement.ID() == id && len(x.Signatures) == 2 {
						return true
					}
				}
				return false
			})
			published(t, w, w.AcceptVault(w.VaultFile("ours", 2, a, b), a, b), "ours", a, b)
			if got := len(w.Rows(a, "vault/")) - 2; got > most {
				t.Errorf("%d of %d vaults are kept that nobody else has to do with", got, n)
			}
		})
	}
}

// A peer asks for proofs of a share day and night. Each is a note of ours: that it was made is forgotten in time, and what is shown again then
// leaves no trace.
func TestProofsAreForgotten(t *testing.T) {
	t.Parallel()
	s := ofSuite(t, charter.SuiteBIP340, 2, 2)
	a, c := s.Hosts[0], s.Hosts[1]
	r := s.record(a)
	proofs := func() (n int) {
		for _, it := range s.Rows(a, "noted/") {
			if it.Value[0] == byte(ceremony.NoteProof) {
				n++
			}
		}
		return n
	}
	var shown []nodetest.Parcel
	s.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if p.From == a && noteOf(p).Kind == ceremony.NoteProof {
			shown = append(shown, nodetest.Parcel{From: c, To: a, Frame: p.Frame})
		}
		return []nodetest.Parcel{p}
	}
	before := proofs()
	for i := range 100 {
		s.Forge(c, a, append(append([]byte{nodetest.FrameChallenge}, r.KeyID[:]...), bytes.Repeat([]byte{byte(i)}, 32)...))
		s.Deliver()
		s.Step(6 * time.Second)
	}
	if n := proofs() - before; n < 90 {
		t.Fatalf("%d proofs were made", n)
	}
	s.Now = s.Now.Add(15 * 24 * time.Hour)
	sweep := func() {
		for range 20 {
			if err := a.Sweep(context.Background(), s.Clock(a)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if sweep(); proofs() > 0 {
		t.Errorf("that %d proofs were made is remembered for ever", proofs())
	}
	rows := len(s.Rows(a, ""))
	for _, p := range shown {
		s.Forge(p.From, p.To, p.Frame)
	}
	if n := len(s.Rows(a, "")); n != rows {
		t.Errorf("%d rows after old proofs were shown again, %d before", n, rows)
	}
}
