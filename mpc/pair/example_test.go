package pair_test

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

// Three parties set up their pairs; zero shares of any two add up to zero.
func Example() {
	ids := enginetest.IDs(3)
	var parties []session.Party
	for i, id := range ids {
		parties = append(parties, session.Party{ID: id, Index: share.Index(i + 1)})
	}
	p := engine.Params{Session: engine.SessionID{1}, Parties: ids, MaxBody: pair.MaxBody, Kinds: pair.Kinds}
	var sessions []*engine.Session[map[engine.PartyID]*pair.State]
	for i, self := range parties {
		first := pair.Setup(pair.Params{Session: p.Session, Self: self, Parties: parties, Rand: enginetest.Reader(uint64(i))})
		s, _ := engine.New(p, self.ID, first)
		sessions = append(sessions, s)
	}
	states, err := enginetest.Run(enginetest.Options{}, sessions...).Results()
	if err != nil {
		fmt.Println(err)
		return
	}

	signing, signers := engine.SessionID{2}, []session.Party{parties[0], parties[2]}
	a, _ := pair.ZeroShare(signing, parties[0], signers, states[0])
	b, _ := pair.ZeroShare(signing, parties[2], signers, states[2])
	fmt.Println("sum is zero:", a.Add(b).IsZero())
	fmt.Println("state prints as", states[0][ids[1]])
	// Output:
	// sum is zero: true
	// state prints as [secret]
}
