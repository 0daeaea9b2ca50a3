package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// What ended without a signature, may be signed, and has a nonce that the chain used for what nobody shows, may have been paid: nothing is proposed beside it unawares.
func TestKeptBackOnEVM(t *testing.T) {
	w := newWorld(t)
	open := w.read("acme", w.shown())
	it := open.Intent
	with := func(nonce uint64, state string, possibly bool) *Case {
		c := *open
		c.Tx, c.Views = buildTx(t, nonce), []View{{Node: "acme", State: state, PossiblySigned: possibly}}
		return &c
	}
	m := w.shown()
	m.Raw = w.sign()
	signed := with(5, "final", false)
	signed.Signed = w.read("acme", m).Signed
	unclear := with(5, "failed", true)
	unclear.Tx = nil
	for name, c := range map[string]struct {
		all     []*Case
		address string
		next    uint64
		refused bool
	}{
		"none":                         {nil, it.Address, 6, false},
		"used for what nobody shows":   {[]*Case{open, with(5, "failed", true)}, it.Address, 6, true},
		"long ago":                     {[]*Case{with(5, "expired", true)}, it.Address, 60, true},
		"not used yet":                 {[]*Case{with(5, "failed", true)}, it.Address, 5, false},
		"nobody may have signed it":    {[]*Case{with(5, "failed", false)}, it.Address, 6, false},
		"it is under way":              {[]*Case{with(5, "signing", true)}, it.Address, 6, false},
		"used for what is shown":       {[]*Case{with(5, "failed", true), signed}, it.Address, 6, false},
		"something else is shown":      {[]*Case{with(4, "failed", true), signed}, it.Address, 6, true},
		"of another address":           {[]*Case{with(5, "failed", true)}, "0x", 6, false},
		"of what this does not decode": {[]*Case{unclear}, it.Address, 6, false},
	} {
		err := KeptBack(c.all, c.address, it.Chain, c.next)
		if refused := (*RefusedError)(nil); (err != nil) != c.refused || err != nil && (!errors.As(err, &refused) || !strings.Contains(err.Error(), fmt.Sprintf("--nonce (%d", c.next))) {
			t.Errorf("%s: %v", name, err)
		}
		if KeptBack(c.all, c.address, "eip155:2", c.next) != nil {
			t.Errorf("%s: on another chain", name)
		}
	}
}
