package decide

import (
	"fmt"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// Who keeps a nonce: of any two claims exactly one comes before the other, by the first of the
// things that differ.
func TestClaimOrder(t *testing.T) {
	now := time.Unix(1e9, 0)
	ranks := []claim{ // each comes before all that follow
		{id: statement.ID{9}, signed: true, created: now.Add(time.Hour)},
		{id: statement.ID{8}, ours: true, created: now.Add(time.Hour)},
		{id: statement.ID{7}, allows: 1, created: now.Add(time.Hour)},
		{id: statement.ID{5}, approved: 2, created: now.Add(time.Hour)},
		{id: statement.ID{4}, approved: 1, created: now.Add(time.Minute)},
		{id: statement.ID{6}, created: now},
		{id: statement.ID{1}, created: now.Add(time.Second)},
		{id: statement.ID{2}, created: now.Add(time.Second)},
	}
	for i, a := range ranks {
		for j, b := range ranks {
			if a.before(b) != (i < j) {
				t.Errorf("claim %d before claim %d: %v", i, j, a.before(b))
			}
		}
	}
	one, more := claim{id: statement.ID{2}, allows: 1}, claim{id: statement.ID{1}, allows: 2}
	if one.before(more) || !more.before(one) {
		t.Error("how many allow it counts, and comes in at different times at different nodes")
	}
}

// Of two intents that are ruled on at the same moment the second finds the first's claim,
// though nothing of it is written yet; and no more once that ALLOW came to nothing.
func TestClaimIsTakenAtOnce(t *testing.T) {
	d := New(Config{Operator: "acme"})
	put := func(n byte, created int64) *file {
		t.Helper()
		s, err := intent.Intent{
			Address: "0x00", Chain: "eip155:1", Purpose: intent.PurposeTransaction, Transaction: []byte{1}, Facts: []intent.Fact{{Name: "nonce", Value: "7"}}, Initiator: "ines",
			Charter: statement.ID{1}, Vault: statement.ID{2}, Key: [32]byte{3}, Epoch: [32]byte{4},
			Created: time.Unix(created, 0), Expires: time.Unix(created+60, 0),
		}.Statement(statement.Salt{n})
		if err != nil {
			t.Fatal(err)
		}
		f := &file{stmt: s}
		c := claim{id: s.ID(), created: time.Unix(created, 0), spends: []string{"nonce 7", fmt.Sprint("coin ", n)}}
		d.claims[c.id] = c
		for _, s := range c.spends {
			if d.slots[s] == nil {
				d.slots[s] = map[statement.ID]bool{}
			}
			d.slots[s][c.id] = true
		}
		return f
	}
	younger := put(1, 2e9)
	if _, _, ok := d.rival(younger, false, true); ok {
		t.Fatal("alone, it has a rival")
	}
	older := put(2, 1e9) // it comes while the other's ALLOW is on its way to the disk
	if by, _, ok := d.rival(older, false, true); !ok || by.id != younger.stmt.ID() {
		t.Fatal("both are allowed")
	}
	d.mu.Lock()
	c := d.claims[younger.stmt.ID()]
	c.ours = false // it could not be written
	d.claims[c.id] = c
	d.mu.Unlock()
	if _, _, ok := d.rival(older, false, true); ok {
		t.Error("the older has a rival still")
	}
	if by, _, ok := d.rival(younger, false, true); !ok || by.id != older.stmt.ID() {
		t.Error("the younger has none")
	}
}
