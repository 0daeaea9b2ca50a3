package client

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/intent"
)

// What ended without a signature, may be signed, and has a nonce that the chain used for what nobody shows, may have been paid: nothing is proposed beside it unawares.
func TestKeptBackOnEVM(t *testing.T) {
	w := newWorld(t)
	open := w.read("acme", w.shown())
	it := open.Intent
	allowed := open.deciders().Threshold
	with := func(nonce uint64, state string, possibly bool) *Case {
		c := *open
		c.Tx, c.Views, c.Decisions = buildTx(t, nonce), []View{{Node: "acme", State: state, PossiblySigned: possibly}}, nil
		for range allowed {
			c.Decisions = append(c.Decisions, Decision{Decision: intent.Decision{Verdict: intent.Allow}})
		}
		return &c
	}
	m := w.shown()
	m.Raw = w.sign()
	signed := with(5, "final", false)
	signed.Signed = w.read("acme", m).Signed
	outrun := with(5, "replaced", false)
	outrun.Signed = signed.Signed
	unclear := with(5, "failed", true)
	unclear.Tx = nil
	waits := with(5, "allowed", false)
	allowed--
	oneNodesWord := with(5, "failed", true)
	allowed++
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
		"too few allowed it":           {[]*Case{oneNodesWord}, it.Address, 6, false},
		"it is under way":              {[]*Case{with(5, "signing", true)}, it.Address, 6, false},
		"used for what is shown":       {[]*Case{with(5, "failed", true), signed}, it.Address, 6, false},
		"what is shown was replaced":   {[]*Case{with(5, "failed", true), outrun}, it.Address, 6, true},
		"something else is shown":      {[]*Case{with(4, "failed", true), signed}, it.Address, 6, true},
		"of another address":           {[]*Case{with(5, "failed", true)}, "0x", 6, false},
		"of what this does not decode": {[]*Case{unclear}, it.Address, 6, false},
	} {
		err := KeptBack(c.all, c.address, it.Chain, c.next)
		if refused := (*RefusedError)(nil); (err != nil) != c.refused || err != nil && (!errors.As(err, &refused) || !strings.Contains(err.Error(), fmt.Sprintf("--nonce (%d", c.next))) {
			t.Errorf("%s: %v", name, err)
		}
		if early := (*EarlyError)(nil); c.refused && c.next == 6 && name != "something else is shown" && !errors.As(KeptBack(append(c.all, waits), c.address, it.Chain, 4), &early) {
			t.Errorf("%s: and another has its nonce and waits", name)
		}
		if KeptBack(c.all, c.address, "eip155:2", c.next) != nil {
			t.Errorf("%s: on another chain", name)
		}
	}
}
