package client

import (
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// A name means the only vault of that name, or the only one of several that has a key; an id means one.
func TestFindVault(t *testing.T) {
	v := func(id byte, name string, keyed bool) Vault {
		out := Vault{Vault: charter.Vault{ID: statement.ID{id, id, id, id}, Name: name}}
		if keyed {
			out.Roots = []Root{{Record: &epoch.Record{}}}
		}
		return out
	}
	all := []Vault{v(1, "ops", true), v(2, "ops", false), v(3, "two", true), v(4, "two", true), v(5, "one", false)}
	for name, want := range map[string]byte{"ops": 1, "one": 5, "02020202": 2, "04040404": 4} {
		if got, err := FindVault(all, name); err != nil || got.ID[0] != want {
			t.Errorf("%s: vault %d, %v; want %d", name, got.ID[0], err, want)
		}
	}
	for name, want := range map[string]string{"two": "2 vaults are named", "none": "yours are", "0404": "yours are"} {
		if _, err := FindVault(all, name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", name, err, want)
		}
	}
}
