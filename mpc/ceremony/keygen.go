package ceremony

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/guard"
	"github.com/ostraka/ostraka/mpc/keygen"
	"github.com/ostraka/ostraka/mpc/session"
)

// Protocol names in Setup.
const (
	ProtocolKeygen  = "keygen"
	ProtocolRefresh = "refresh"
	ProtocolReshare = "reshare"
	ProtocolRescue  = "rescue" // a guarded reshare
	ProtocolSign    = "sign"
	ProtocolTest    = "test"
	ProtocolPresign = "presign"
	ProtocolOnline  = "online"
	ProtocolLive    = "live" // a live test signature, which ends an SOS
)

// Makes says whether a protocol makes shares.
func Makes(protocol string) bool {
	return protocol == ProtocolKeygen || protocol == ProtocolRefresh || protocol == ProtocolReshare || protocol == ProtocolRescue
}

// Names of the rows that a ceremony keeps, all secret but those that Open names. The host seals the
// secret ones with (key id, eh) as associated data.
const (
	RowRecord  = "record"
	RowShare   = "share"
	RowMask    = "mask"    // of a vault with an SOS plan
	RowBackups = "backups" // likewise: the backup set
	RowGuards  = "guards"  // likewise: the plan under which it was made
	rowPair    = "pair/"
)

// Open says whether a row is for everybody to see.
func Open(row string) bool { return row == RowRecord || row == RowBackups || row == RowGuards }

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
	// Nonces are those of all Joins, in index order (session.Channel.Nonces); Online alone needs them.
	Nonces [][32]byte
}

// Bounds of the bodies of ceremonies, in bytes: the vector OLE message is the largest of those that sign, encryptions to 32 guardians of
// those that make shares.
const (
	maxBody   = 64 << 10
	maxMaking = 640 << 10
)

// Engine makes the session machine of a seat.
func Engine[R any](s Seat, first engine.Stage[R]) (*engine.Session[R], error) {
	limit := maxBody
	if Makes(s.Setup.Protocol) {
		limit = maxMaking
	}
	return engine.New(engine.Params{Session: s.Session, Parties: s.Setup.IDs(), MaxBody: limit, Kinds: 4}, s.Self, first)
}

// Keygen is epoch 0 of a new key (protocols.md 1.1, 2.2, 2.6, 6.1, then 1.5 step 1). plan is our own copy of who guards the key, nil for nobody.
func Keygen(s Seat, plan *guard.Plan) (engine.Stage[Prepared], error) {
	self, ok := s.Setup.Party(s.Self)
	g, err := epoch.GroupOf(s.Setup.Suite)
	switch {
	case err != nil:
		return nil, fmt.Errorf("keygen: %w", err)
	case !ok || s.Setup.Protocol != ProtocolKeygen || s.Setup.Epoch != [32]byte{}:
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
	guards, err := decodeGuards(s.Setup.Payload)
	if err != nil {
		return nil, fmt.Errorf("keygen: %w", err)
	}
	if err := guards.match(plan); err != nil {
		return nil, fmt.Errorf("keygen: %w", err)
	}
	key := keygen.Start(keygen.Params{
		Session: s.Session, Group: g, Self: self, Parties: s.Setup.Parties,
		Threshold: s.Setup.Threshold, Sign: s.Sign, Rand: s.Rand,
	})
	return alongside(s, s.Setup.Parties, guards, key, (*keygen.Output).Wipe, func(out *keygen.Output, m made) (engine.Outcome[Prepared], error) {
		return m.keep(s, genesis(s.Setup, out), out.Echo, out.Share, func(r *epoch.Record, kept []engine.Record) (engine.Outcome[epoch.Cert], error) {
			return epoch.Prepare(r, s.Self, kept, s.Sign), nil
		})
	}), nil
}

// genesis is the record of epoch 0.
func genesis(s *session.Setup, out *keygen.Output) *epoch.Record {
	r := &epoch.Record{
		KeyID: s.KeyID, Suite: s.Suite, Threshold: s.Threshold,
		Public: secp256k1.Settled(out.Public), ChainCode: out.ChainCode,
	}
	for _, p := range s.Parties {
		r.Members = append(r.Members, epoch.Member{Party: p, Public: secp256k1.Settled(out.Publics[p.ID])})
	}
	return r
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
