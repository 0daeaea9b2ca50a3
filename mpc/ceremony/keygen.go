package ceremony

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/keygen"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

// Protocol names in Setup.
const (
	ProtocolKeygen = "keygen"
	ProtocolSign   = "sign"
	ProtocolTest   = "test"
)

// Names of the rows that a ceremony keeps, all secret but the record. The host seals the
// secret ones with (key id, eh) as associated data.
const (
	RowRecord = "record"
	RowShare  = "share"
	rowPair   = "pair/"
)

// RowPair is the row of what we share with one peer.
func RowPair(peer engine.PartyID) string { return rowPair + hex.EncodeToString(peer[:]) }

// Prepared is a ceremony's result: a record whose secrets all members hold durably.
type Prepared struct {
	Record *epoch.Record
	Cert   *epoch.Cert
}

// Seat is one party's place in a session.
type Seat struct {
	Session engine.SessionID
	Setup   *session.Setup
	Self    engine.PartyID
	Sign    session.Signer
	Rand    io.Reader // session.Coins
}

// maxBody bounds every body of every ceremony: the vector OLE message is the largest.
const maxBody = 64 << 10

// Engine makes the session machine of a seat.
func Engine[R any](s Seat, first engine.Stage[R]) (*engine.Session[R], error) {
	return engine.New(engine.Params{Session: s.Session, Parties: s.Setup.IDs(), MaxBody: maxBody, Kinds: 4}, s.Self, first)
}

// Keygen is epoch 0 of a new key (protocols.md 1.1, 2.2, 2.6, then 1.5 step 1).
func Keygen(s Seat) (engine.Stage[Prepared], error) {
	self, ok := s.Setup.Party(s.Self)
	g, err := epoch.GroupOf(s.Setup.Suite)
	switch {
	case err != nil:
		return nil, fmt.Errorf("keygen: %w", err)
	case s.Setup.Suite != epoch.SuiteECDSA:
		return nil, fmt.Errorf("keygen: keys of suite %q are not made with pairs for ECDSA", s.Setup.Suite)
	case !ok || s.Setup.Protocol != ProtocolKeygen || s.Setup.Epoch != [32]byte{} || len(s.Setup.Payload) != 0:
		return nil, fmt.Errorf("keygen: setup of protocol %q does not start a key", s.Setup.Protocol)
	}
	if err := session.CheckRoster(s.Setup.Parties, s.Setup.Threshold); err != nil {
		return nil, fmt.Errorf("keygen: %w", err)
	}
	for i, p := range Seats(s.Setup.Parties) {
		if q := s.Setup.Parties[i]; q.ID != p.ID || q.Index != p.Index {
			return nil, fmt.Errorf("keygen: party %v has index %d: epoch 0 numbers its parties from 1 by id", q.ID, q.Index)
		}
	}
	key := keygen.Start(keygen.Params{
		Session: s.Session, Group: g, Self: self, Parties: s.Setup.Parties,
		Threshold: s.Setup.Threshold, Sign: s.Sign, Rand: s.Rand,
	})
	pairs := pair.Setup(pair.Params{Session: s.Session, Self: self, Parties: s.Setup.Parties, Rand: s.Rand})
	both := &beside[keygen.Output, map[engine.PartyID]*pair.State]{a: key, b: pairs, forget: func(r two[keygen.Output, map[engine.PartyID]*pair.State]) {
		session.WipeCoins(s.Rand)
		forget(r)
	}}
	return &then[two[keygen.Output, map[engine.PartyID]*pair.State], Prepared]{both, func(r *two[keygen.Output, map[engine.PartyID]*pair.State]) (engine.Outcome[Prepared], error) {
		return prepare(s, genesis(s.Setup, r.a), r.a, *r.b), nil
	}}, nil
}

// forget wipes what one side of keygen made when the other side, or a later round, failed.
func forget(r two[keygen.Output, map[engine.PartyID]*pair.State]) {
	if r.a != nil {
		r.a.Wipe()
	}
	if r.b != nil {
		for _, p := range *r.b {
			p.Wipe()
		}
	}
}

// genesis is the record of epoch 0.
func genesis(s *session.Setup, out *keygen.Output) *epoch.Record {
	r := &epoch.Record{
		KeyID: s.KeyID, Suite: s.Suite, Threshold: s.Threshold,
		Public: out.Public, ChainCode: out.ChainCode, Echo: out.Echo,
	}
	for _, p := range s.Parties {
		r.Members = append(r.Members, epoch.Member{Party: p, Public: out.Publics[p.ID]})
	}
	return r
}

// prepare keeps everything, sends PREP and waits for the certificate.
func prepare(s Seat, r *epoch.Record, out *keygen.Output, pairs map[engine.PartyID]*pair.State) engine.Outcome[Prepared] {
	save := []engine.Record{{Name: RowRecord, Value: r.Encode()}, {Name: RowShare, Value: out.Share.Bytes()}}
	for _, p := range s.Setup.Parties {
		if p.ID != s.Self {
			save = append(save, engine.Record{Name: RowPair(p.ID), Value: pairs[p.ID].Encode().Expose()})
			pairs[p.ID].Wipe()
		}
	}
	out.Share.Wipe()
	session.WipeCoins(s.Rand)
	certify := epoch.Prepare(r, s.Self, save, s.Sign)
	return engine.Outcome[Prepared]{
		Save: certify.Save, Send: certify.Send,
		Next: &then[epoch.Cert, Prepared]{certify.Next, func(c *epoch.Cert) (engine.Outcome[Prepared], error) {
			return engine.Outcome[Prepared]{Result: &Prepared{Record: r, Cert: c}}, nil
		}},
	}
}

// Seats orders the parties of epoch 0 by id and gives them the indices 1…n.
func Seats(parties []session.Party) []session.Party {
	seats := slices.Clone(parties)
	slices.SortFunc(seats, func(a, b session.Party) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	for i := range seats {
		seats[i].Index = share.Index(i + 1)
	}
	return seats
}
