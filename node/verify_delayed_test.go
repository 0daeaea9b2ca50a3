package node_test

import (
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/evidence/verify"
	"github.com/ostraka/ostraka/node/nodetest"
)

// Who reads the logs of a vault with a Safe learns of it what the charter in force says, as the charter's word alone; of a vault without one nothing.
func TestDelayedIsShown(t *testing.T) {
	t.Parallel()
	w := nodetest.New(t, 3)
	w.Found()
	file := w.VaultFile("treasury", 2)
	address := func(digit string) string { return "0x" + strings.Repeat(digit, 40) }
	file.Delayed = []charter.Delayed{{Chain: file.Chains[0], Safe: address("1"), Module: address("2"), Key: address("3"), Cooldown: 72 * time.Hour, Expiration: 168 * time.Hour}}
	id := w.AcceptVault(file)
	w.Run("its key is published", func() bool { return w.Published(id) })
	r, err := verify.Verify(sources(t, w.PublishAll()), verify.Options{Now: w.Now})
	if err != nil || len(r.Vaults) != 1 {
		t.Fatalf("%d vaults, %v", len(r.Vaults), err)
	}
	want := verify.Protection{Chain: file.Chains[0], Of: "what lies in its Safe " + address("1"), Key: address("3"), After: "72h0m0s in which the vault can veto", Class: verify.Declared}
	if all := r.Vaults[0].Protected; len(all) != 1 || all[0] != want {
		t.Errorf("%+v, want %+v", all, want)
	}
	told := 0
	for _, c := range r.Claims {
		if strings.Contains(c.Claim, "act for its Safe "+address("1")) && c.Class == verify.Declared && c.Failed == "" {
			told++
		}
	}
	if told != 1 {
		t.Errorf("it is claimed %d times", told)
	}
}
