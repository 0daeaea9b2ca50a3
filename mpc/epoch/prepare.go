package epoch

import (
	"crypto/ed25519"
	"fmt"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// KindPrep is the message of the last round of every ceremony: broadcast, eh ‖ signature.
const KindPrep engine.Kind = 0x30

const prepSize = 32 + ed25519.SignatureSize

// Prepare is the end of every ceremony. Its outcome keeps save durably, then sends our
// PREP; the stage after it waits for everybody's and results in the certificate.
func Prepare(r *Record, self engine.PartyID, save []engine.Record, sign session.Signer) engine.Outcome[Cert] {
	eh := r.Hash()
	sig := SignPrep(eh, sign)
	return engine.Outcome[Cert]{
		Save: save,
		Send: []engine.Out{{Kind: KindPrep, Body: append(eh[:], sig...)}},
		Next: &collect{record: r, self: self, preps: map[engine.PartyID][]byte{self: sig}},
	}
}

// collect waits for PREP from all members.
type collect struct {
	record *Record
	self   engine.PartyID
	preps  map[engine.PartyID][]byte
}

func (s *collect) Expect() engine.Expect {
	var from []engine.PartyID
	for _, m := range s.record.Members {
		if m.ID != s.self {
			from = append(from, m.ID)
		}
	}
	return engine.Expect{Wants: []engine.Want{{Kind: KindPrep, From: from, MaxBody: prepSize}}}
}

func (s *collect) Accept(_ engine.Kind, from engine.PartyID, body []byte) error {
	if len(body) != prepSize {
		return engine.Blamed("epoch: prep", from, fmt.Errorf("has %d bytes, not %d", len(body), prepSize))
	}
	// All broadcasts agree by now, so whoever made another record lied.
	if eh := s.record.Hash(); Hash(body[:32]) != eh {
		return engine.Blamed("epoch: prep", from, fmt.Errorf("is for record %v, ours is %v", Hash(body[:32]), eh))
	}
	if err := CheckPrep(s.record, from, body[32:]); err != nil {
		return engine.Blamed("epoch: prep", from, err)
	}
	s.preps[from] = body[32:]
	return nil
}

func (s *collect) Finish(engine.Transcript) (engine.Outcome[Cert], error) {
	c := &Cert{Record: s.record.Hash()}
	for _, m := range s.record.Members {
		c.Preps = append(c.Preps, s.preps[m.ID])
	}
	return engine.Outcome[Cert]{Result: c}, nil
}
