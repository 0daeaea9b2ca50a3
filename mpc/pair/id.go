package pair

import (
	"github.com/ostraka/ostraka/crypto/ot"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Roles of a pair session id: what the two parties do under it.
const (
	RoleSetup = "setup" // base oblivious transfers, at key generation and refresh
	RoleSign  = "sign"  // one multiplication of one signature
)

// ID is psid, the id of what A (multiplication sender) and B (multiplication receiver)
// do with each other in one session: SHA-256(tlv(tag, suite, sid, PartyID and index of A and
// of B, role)). spec/pair 1, protocols.md 0.1. It names both parties and the direction, so
// that nothing made for one pair serves another (TOB-SILA-5).
func ID(sid engine.SessionID, a, b session.Party, role string) ot.PairID {
	h := transcript.New(transcript.PairID).Bytes([]byte(ot.Suite)).Bytes(sid[:])
	h.Bytes(a.ID[:]).Uint(uint64(a.Index)).Bytes(b.ID[:]).Uint(uint64(b.Index))
	return h.Bytes([]byte(role)).Sum256()
}
