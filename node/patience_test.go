package node_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/nodetest"
)

// founding is a circle whose vault's key is to be made, where one withholds its FINALs until it does not any more.
func founding(t *testing.T) (s setting, withholds *bool) {
	t.Helper()
	w := nodetest.New(t, 3)
	w.Suite = charter.SuiteEd25519
	w.Found()
	c := w.Hosts[2]
	c.Hostile = true
	withholds = new(bool)
	*withholds = true
	w.Pass = func(p nodetest.Parcel) []nodetest.Parcel {
		if k := noteOf(p).Kind; *withholds && (p.From == c || p.To == c) && (k == ceremony.NoteFinal || k == ceremony.NoteFinalCert) {
			return nil
		}
		return []nodetest.Parcel{p}
	}
	return setting{World: w, vault: w.AcceptVault(w.VaultFile("treasury", 2))}, withholds
}

// promises counts the records of which a host said FINAL.
func (s setting) promises(h *nodetest.Host) (n int) {
	for _, it := range s.Rows(h, "final/") {
		if f, err := epoch.DecodeFinal(it.Value); err == nil && f.From == h.Self() {
			n++
		}
	}
	return n
}

// A member of a new vault's committee withholds its FINAL of each attempt at the key: the others try ever more seldom, and say whose word is
// missing. Once it speaks, the vault has its key.
func TestKeygenWithFinalWithheld(t *testing.T) {
	t.Parallel()
	s, withholds := founding(t)
	a, c := s.Hosts[0], s.Hosts[2]
	s.Try(50*time.Minute, func() bool { return false })
	if n := s.promises(a); n < 3 || n > 6 {
		t.Errorf("%d attempts at the key in 50 minutes, all but for one member's word", n)
	}
	if v := s.root(a); v.LastErr == "" || !strings.Contains(v.LastErr, c.Own.Name) {
		t.Errorf("it says %q", v.LastErr)
	}
	*withholds = false
	s.Run("the key is made", func() bool { return s.Published(s.vault) })
}

// A member opens attempts at the key itself, as fast as it may, and withholds its FINAL of each.
func TestKeygenStormOfOneMember(t *testing.T) {
	t.Parallel()
	s, withholds := founding(t)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	for end := s.Now.Add(30 * time.Minute); s.Now.Before(end); {
		s.Try(11*time.Second, func() bool { return false })
		v := s.root(a)
		x := &mpc.Setup{
			Protocol: protocol.ProtocolKeygen, Suite: s.Suite, KeyID: epoch.KeyID(s.vault, s.Suite, v.Attempt+1), Threshold: 2,
			Parties: v.Parties, NotAfter: s.Now.Add(5 * time.Minute).Truncate(time.Second),
		}
		if err := c.Sessions.Open(context.Background(), s.Now, x); err != nil {
			t.Log(err)
		}
		s.Deliver()
	}
	if n := max(s.promises(a), s.promises(b)); n < 2 || n > 5 {
		t.Errorf("one member made the others keep the shares of %d attempts within half an hour", n)
	}
	*withholds = false
	s.Run("the key is made", func() bool { return s.Published(s.vault) })
}
