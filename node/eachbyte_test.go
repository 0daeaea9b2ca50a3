package node_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/node/nodetest"
)

// Whatever byte of a transaction is changed under words that stay as they were, each node alone denies it: it does not understand the bytes, or shows that they say something else. No change reads like
// the honest transaction: what people approve is every byte of it.
func TestEachByte(t *testing.T) {
	t.Parallel()
	t.Run("evm", func(t *testing.T) {
		t.Parallel()
		s := prepare(t, 3, 2)
		it := s.Intent(s.vault, s.addr, 0)
		it.Facts = nodetest.Words(it)
		s.eachByte(t, 50, charter.SuiteECDSA, it)
	})
	t.Run("bitcoin", func(t *testing.T) {
		t.Parallel()
		m := mixing(t, 2)
		it := m.asks(m.pays(nil, m.three()...), 0)
		suite := charter.SuiteECDSA
		if r, _ := m.Hosts[0].Keeper.Root(m.vault, charter.SuiteBIP340); r.Current.Record.KeyID == it.Key {
			suite = charter.SuiteBIP340
		}
		m.eachByte(t, 500, suite, it)
	})
	t.Run("solana", func(t *testing.T) {
		t.Parallel()
		l := lighting(t, 2)
		for _, raw := range l.pays() {
			l.eachByte(t, 340, charter.SuiteEd25519, l.asks(raw))
		}
	})
}

// eachByte hands an intent in with one byte changed after the other, with bytes missing and with more of them, and wants so many denials at least, each by every node alone.
func (s setting) eachByte(t *testing.T, least int, suite string, honest intent.Intent) {
	t.Helper()
	defer func(whole testing.TB) { s.T = whole }(s.T)
	s.T = t
	c, err := s.Context(s.Hosts[0], s.vault)
	if err != nil {
		t.Fatal(err)
	}
	good := honest.Transaction
	all := [][]byte{append(bytes.Clone(good), 0), good[:len(good)-1], append([]byte{0}, good...), good[1:]}
	for i := range good {
		raw := bytes.Clone(good)
		raw[i] ^= 1 << (i % 8)
		all = append(all, raw)
	}
	read := 0
	for i, raw := range all {
		it := honest
		it.Transaction = raw
		if p, err := payload.Read(it, suite, c); err == nil {
			if read++; slices.Equal(intent.Written(payload.Facts(p)), honest.Facts) && p.Chain() == honest.Chain {
				t.Fatalf("change %d reads like the honest transaction", i)
			}
		}
		st, proposal := s.Proposal(it)
		for _, h := range s.Hosts {
			if err := s.alone(h, proposal); err != nil {
				t.Fatal(err)
			}
			if _, d := s.own(h, st.ID()); d.Verdict != intent.Deny || d.Reason == "" || !slices.Contains([]string{intent.RuleDecoded, intent.RuleShown, intent.RuleChain}, d.Rule) {
				t.Fatalf("change %d: %s: %s by %s: %s", i, h.Own.Name, d.Verdict, d.Rule, d.Reason)
			}
			if err := s.alone(h, s.cancellation(st)); err != nil { // or the initiator has too many open
				t.Fatal(err)
			}
		}
	}
	if t.Logf("%d denied, of which %d read as something else", len(all), read); len(all) < least || read == 0 {
		t.Errorf("%d denied, %d read: that shows too little", len(all), read)
	}
	s.allowed(honest)
}
