package engine

import "testing"

// Who judges from outside computes the T that sessions echo: from the bodies of a round, in party order.
func TestNextIsTheSessionsTranscript(t *testing.T) {
	var all []Msg
	var shouts []shout
	for i := range byte(3) {
		m := Msg{Round: 1, Kind: 7, From: PartyID{i + 1}, Body: []byte{i, i}}
		all, shouts = append(all, m), append(shouts, shout{m.From, m.Kind, m.Body})
	}
	t0 := Transcript{9}
	if t0.Next(1, all) != t0.next(1, shouts) {
		t.Error("Next is another transcript")
	}
	all[0], all[1] = all[1], all[0]
	if t0.Next(1, all) == t0.next(1, shouts) {
		t.Error("order does not count")
	}
}
