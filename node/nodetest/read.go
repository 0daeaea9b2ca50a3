package nodetest

import (
	"fmt"

	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/payload"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/statement"
)

// Context is in what a host reads what intents of a vault ask for, under the charter as the World has it.
func (w *World) Context(h *Host, vault statement.ID) (c payload.Context, err error) {
	for _, v := range h.Keeper.Vault(vault) {
		c.Vault = v.Vault
	}
	c.Root = func(suite string) (payload.Root, error) {
		v, ok := h.Keeper.Root(vault, suite)
		if !ok || v.Current == nil {
			return payload.Root{}, fmt.Errorf("no key of %s", suite)
		}
		return payload.Root{Public: v.Current.Record.Public, ChainCode: v.Current.Record.ChainCode}, nil
	}
	c.Book, err = policy.BookOf(w.Document())
	return c, err
}

// Read reads what an intent asks for as a host would, whichever of the vault's keys it names.
func (w *World) Read(h *Host, it intent.Intent) (payload.Payload, error) {
	c, err := w.Context(h, it.Vault)
	if err != nil {
		return nil, err
	}
	for _, v := range h.Keeper.Vault(it.Vault) {
		if v.Current != nil && v.Current.Record.KeyID == it.Key {
			return payload.Read(it, v.Suite, c)
		}
	}
	return nil, fmt.Errorf("no key %x", it.Key[:6])
}
