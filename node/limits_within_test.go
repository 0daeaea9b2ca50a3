package node

import (
	"testing"
	"time"

	protocol "github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/node/session"
)

// TestRescuesPastLimits: a node that is full joins an emergency's sessions, and those take the places of no others.
func TestRescuesPastLimits(t *testing.T) {
	of := func(protocols ...string) (out []session.Status) {
		for _, p := range protocols {
			out = append(out, session.Status{Protocol: p})
		}
		return out
	}
	l := Limits{Sessions: 2}
	busy := of(protocol.ProtocolSign, protocol.ProtocolPresign)
	rescue := of(protocol.ProtocolRescue, protocol.ProtocolTest, protocol.ProtocolLive, protocol.ProtocolSign)
	over := of(protocol.ProtocolSign, protocol.ProtocolReshare)
	over[0].Ended = time.Unix(1, 0)
	for p, takes := range map[string]bool{
		protocol.ProtocolKeygen: false, protocol.ProtocolRefresh: false, protocol.ProtocolReshare: false, protocol.ProtocolSign: false, protocol.ProtocolPresign: false,
		protocol.ProtocolOnline: false, protocol.ProtocolRescue: true, protocol.ProtocolTest: true, protocol.ProtocolLive: true,
	} {
		if l.full(busy, p) == takes {
			t.Errorf("%s, at a full node: taken is %t, want %t", p, !takes, takes)
		}
		if l.full(rescue, p) || l.full(over, p) {
			t.Errorf("%s is declined, with one session that counts", p)
		}
	}
}
