package client

import (
	"math/big"
	"testing"
	"time"

	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/custody/intent"
)

// A transfer that is under way is found again whatever its amount, and one that came to its end is not: it is never begun twice, and never left out.
func TestUnderway(t *testing.T) {
	refuge := evm.Address{1}
	made := func(to evm.Address, state string, signed bool) *Case {
		raw, err := evm.Build(evm.Request{ChainID: 1, Nonce: 4, Gas: 21000, FeeCap: big.NewInt(9), To: to, Amount: big.NewInt(7)})
		if err != nil {
			t.Fatal(err)
		}
		tx, err := evm.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		c := &Case{Tx: tx, Intent: intent.Intent{Address: "0xa", Chain: "eip155:1", Expires: time.Now().Add(time.Hour)}, Views: []View{{State: state}, {State: state}}}
		if signed {
			c.Signed = &Signed{}
		}
		return c
	}
	like := func(f evm.Facts) bool { return f.Destination == refuge }
	for _, x := range []struct {
		to     evm.Address
		state  string
		signed bool
		found  bool
	}{
		{refuge, "proposed", false, true},
		{refuge, "allowed", false, true},
		{refuge, "signing", false, true},
		{refuge, "signed", true, true},
		{refuge, "broadcast", true, true},
		{refuge, "dropped", true, true},
		{refuge, "confirmed", true, false},
		{refuge, "final", true, false},
		{refuge, "denied", false, false},
		{refuge, "expired", false, false},
		{evm.Address{2}, "allowed", false, false},
	} {
		c := made(x.to, x.state, x.signed)
		if got := Underway([]*Case{c}, "0xa", "eip155:1", like); (got != nil) != x.found {
			t.Errorf("%s to %s: found %v", x.state, x.to, got != nil)
		}
		if Underway([]*Case{c}, "0xb", "eip155:1", like) != nil || Underway([]*Case{c}, "0xa", "eip155:10", like) != nil {
			t.Errorf("%s: found for another address or chain", x.state)
		}
		if next := FreeNonce([]*Case{c}, "0xa", "eip155:1", 4, time.Now()); x.found && x.to == refuge && next == 4 {
			t.Errorf("%s: its nonce is given out again", x.state)
		}
	}
}
