package node_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/wallet"
)

// Accounts: one name, one path; one department, one number; made by an initiator.
func TestAccountsRefused(t *testing.T) {
	t.Parallel()
	s := prepare(t, 2, 2)
	h, ctx := s.Hosts[0], context.Background()
	v, _ := h.Keeper.Root(s.vault, s.Suite)
	good := charter.Account{Charter: v.Vault.Charter, Vault: s.vault, Department: "ops", Name: "second", Path: [2]uint32{0, 2}, Created: s.Now.Truncate(time.Second)}
	for name, x := range map[string]struct {
		change func(*charter.Account)
		by     string
		want   string
	}{
		"known name":                 {change: func(a *charter.Account) { a.Name = "main" }, want: "account ops/main of vault treasury exists already"},
		"known path":                 {change: func(a *charter.Account) { a.Path = [2]uint32{0, 1} }, want: "belongs to account ops/main"},
		"department of another name": {change: func(a *charter.Account) { a.Department = "sales" }, want: "do not belong together"},
		"second number of one":       {change: func(a *charter.Account) { a.Path[0] = 7 }, want: "do not belong together"},
		"other charter":              {change: func(a *charter.Account) { a.Charter[0] ^= 1 }, want: "another charter"},
		"unknown vault":              {change: func(a *charter.Account) { a.Vault[0] ^= 1 }, want: "is not known to this node"},
		"by an approver":             {by: "abel", want: "account ops/second of vault treasury"},
		"by a stranger":              {by: "mallory", want: "account ops/second of vault treasury"},
	} {
		a, by := good, nodetest.Initiator
		if x.change != nil {
			x.change(&a)
		}
		if x.by != "" {
			by = x.by
		}
		st, err := a.Statement(s.Salt())
		if err != nil {
			t.Fatal(err)
		}
		n := outbox.Note{Kind: wallet.NoteAccount, Fields: [][]byte{st.Bytes(), nodetest.NewPerson(t, by).Makes(t, st)}}
		if _, err := h.Submit(ctx, s.Now, n); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, want %q", name, err, x.want)
		}
	}
	if _, err := h.Accounts.New(ctx, s.Now, s.vault, s.Suite, "ops", "second"); !errors.Is(err, wallet.ErrNoAccount) {
		t.Errorf("an account that nobody made gives an address: %v", err)
	}
	if _, err := s.Submit(s.AccountNote(s.vault, "second", 2)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{s.addr.Address: true}
	for i := range 5 {
		a, err := h.Accounts.New(ctx, s.Now, s.vault, s.Suite, "ops", "second")
		if err != nil || a.Path[2] != uint32(i) || seen[a.Address] {
			t.Fatalf("address %d: %v at %v, seen before %v, %v", i, a.Address, a.Path, seen[a.Address], err)
		}
		seen[a.Address] = true
	}
	s.Downtime = 0
	s.Crash(h)
	s.Step(time.Second)
	if given, err := h.Accounts.Addresses(ctx, s.vault, s.Suite, "ops", "second"); err != nil || len(given) != 5 {
		t.Fatalf("%d addresses after a restart: %v", len(given), err)
	}
}
