package node_test

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/chain/bitcoin"
	purse "github.com/ostraka/ostraka/chain/bitcoin/coins"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// Who reads that an intent takes the place of another pays once: an intent that says so of one whose coins it does not spend is denied, and one that does is allowed.
func TestInstead(t *testing.T) {
	t.Parallel()
	m := mixing(t, 2)
	pays := func(t *purse.Transfer) { t.Payments[0].Amount = 20_000 }
	first := m.asks(m.pays(pays, m.coin(charter.SuiteBIP340, 1, 0, 90_000)), 0)
	st, n := m.Proposal(first)
	m.hand(n)
	m.Approve(st)
	m.Run("the first is signed", func() bool { return m.Signed(st) })
	tx, err := bitcoin.Decode(first.Transaction, m.holding().Vault)
	if err != nil {
		t.Fatal(err)
	}
	dearer, err := tx.Replacement(bitcoin.PerVByte(15), 0)
	if err != nil {
		t.Fatal(err)
	}
	bump := m.asks(dearer, 0)
	m.ruled(bump, "nonce", "is used by intent "+st.ID().Short())

	twice := m.asks(m.pays(pays, m.coin(charter.SuiteBIP340, 1, 1, 90_000)), 0)
	twice.Replaces = st.ID()
	m.ruled(twice, "nonce", "uses neither nonce nor coin of it, so the chain could take both")

	bump.Replaces = statement.ID{1}
	unknown, n := m.Proposal(bump)
	for _, h := range m.Hosts {
		if err := m.alone(h, n); err != nil {
			t.Fatal(err)
		}
		if v, err := h.Desk.Show(unknown.ID()); err != nil || !strings.Contains(v.Waits, "which this node does not know") {
			t.Errorf("%s: waits %q, %v", h.Own.Name, v.Waits, err)
		}
	}
	bump.Replaces = st.ID()
	m.allowed(bump)
}
