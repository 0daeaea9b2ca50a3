package main

import (
	"strings"
	"testing"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
)

// A vault is found by name or id; a forged one of the same name is never taken for it in silence.
func TestPickVault(t *testing.T) {
	vault := func(id byte, name string, keyed bool) *v1.Vault {
		v := &v1.Vault{Id: []byte{id, 2, 3, 4, 5}, Name: name, Roots: []*v1.Root{{}}}
		if keyed {
			v.Roots[0].Epoch = []byte{1}
		}
		return v
	}
	forged, other := vault(1, "payroll", false), vault(3, "savings", true)
	for _, c := range []struct {
		name, ask string
		all       []*v1.Vault
		id        byte
		refused   string
	}{
		{"by name", "savings", []*v1.Vault{forged, other}, 3, ""},
		{"by id", "03020304", []*v1.Vault{forged, other}, 3, ""},
		{"without a key", "payroll", []*v1.Vault{forged, other}, 1, ""},
		{"one has a key", "payroll", []*v1.Vault{forged, vault(2, "payroll", true)}, 2, ""},
		{"none has a key", "payroll", []*v1.Vault{forged, vault(2, "payroll", false)}, 0, "2 vaults are called"},
		{"both have a key", "payroll", []*v1.Vault{vault(1, "payroll", true), vault(2, "payroll", true)}, 0, "2 vaults are called"},
		{"short id", "0302030", []*v1.Vault{other}, 0, "is not known"},
		{"unknown", "x", []*v1.Vault{other}, 0, "it knows: savings"},
	} {
		v, err := pickVault(c.all, c.ask)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		if err != nil || v.Id[0] != c.id {
			t.Errorf("%s: %v, %v", c.name, v, err)
		}
	}
}
