package node_test

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/node/nodetest"
)

// waits finds one thing that waits at a host: whether its row has the name, and all words in what it says and tells to do.
func waits(h *nodetest.Host, name string, words ...string) bool {
	for _, w := range h.Circle.Waits() {
		all := w.Name == name
		for _, word := range words {
			all = all && strings.Contains(w.What+"; "+w.Next, word)
		}
		if all {
			return true
		}
	}
	return false
}

// What waits for officers is named at each node with the command that signs it: first for our own officer, then for whom else; and no
// longer than it waits.
func TestWhatWaitsForOfficers(t *testing.T) {
	t.Parallel()
	s := prepare(t, 3, 2)
	a, b, c := s.Hosts[0], s.Hosts[1], s.Hosts[2]
	calm := func(what string) {
		t.Helper()
		s.Run("nothing waits after "+what, func() bool {
			return s.All(func(h *nodetest.Host) bool { return len(h.Circle.Waits()) == 0 })
		})
	}
	calm("the founding")

	names := strings.Join(nodetest.Names(a, b, c), ",")
	wish := nodetest.Wish(s.vault, 3, a, b, c)
	s.SignReshare(a, true, wish)
	s.Run("the reshare waits for the others' officers", func() bool {
		return waits(a, "reshare 1 of treasury", "waits for "+b.Own.Name+", "+c.Own.Name, "their officers run") &&
			waits(b, "reshare 1 of treasury", "signed by "+a.Own.Name, "our officer", "`ostraka vault reshare treasury --committee "+names+" --threshold 3` shows it and signs it") &&
			waits(c, "reshare 1 of treasury", "our officer")
	})
	s.SignReshare(b, false, wish)
	s.Run("it waits for one", func() bool {
		return waits(b, "reshare 1 of treasury", "waits for "+c.Own.Name+"; ") && waits(c, "reshare 1 of treasury", "our officer")
	})
	s.SignReshare(c, false, wish)
	calm("the reshare")

	file := s.VaultFile("petty", 2)
	s.AcceptVault(file, a)
	s.Run("the vault waits", func() bool {
		return waits(a, "vault petty", "waits for "+b.Own.Name+", "+c.Own.Name) && waits(b, "vault petty", "signed by "+a.Own.Name, "our officer", "`ostraka vault create petty`")
	})
	s.AcceptVault(file, a, b, c)
	calm("the vault")

	d := s.Newcomer()
	s.Join(a, d)
	s.Run("who joined waits", func() bool {
		return waits(a, "roster 1", d.Own.Name+" joined at this node", "`ostraka operator accept`")
	})
	s.Run("the roster is proposed", func() bool { _, err := s.SignRoster(a, nodetest.Accept); return err == nil })
	s.Run("it waits for the newcomer's officer, and for ours after that", func() bool {
		return waits(d, "roster 1", "signed by "+a.Own.Name, "our officer", "`ostraka operator accept` shows it and signs it") &&
			waits(b, "roster 1", "our officer, who may not sign it now", d.Own.Name) && waits(a, "roster 1", "waits for "+b.Own.Name)
	})
	s.Run("the newcomer's officer signs", func() bool { _, err := s.SignRoster(d, nodetest.Accept); return err == nil })
	s.Run("it waits for ours", func() bool {
		return waits(b, "roster 1", "waits for our officer", "`ostraka operator accept` shows it")
	})
	s.Amend(1, nodetest.Accept, a, b, c, d)
	calm("the roster")
}
