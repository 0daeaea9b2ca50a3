package ceremony

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/keygen"
	"github.com/ostraka/ostraka/mpc/pair"
	"github.com/ostraka/ostraka/mpc/session"
)

// Protocol names in Setup.
const (
	ProtocolKeygen  = "keygen"
	ProtocolRefresh = "refresh"
	ProtocolReshare = "reshare"
	ProtocolSign    = "sign"
	ProtocolTest    = "test"
	ProtocolPresign = "presign"
	ProtocolOnline  = "online"
)

// Makes says whether a protocol makes shares.
func Makes(protocol string) bool {
	return protocol == ProtocolKeygen || protocol == ProtocolRefresh || protocol == ProtocolReshare
}

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
	// Nonces are those of all Joins, in index order (session.Channel.Nonces); Online alone needs them.
	Nonces [][32]byte
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
	return withPairs(s, s.Setup.Parties, key, (*keygen.Output).Wipe, func(out *keygen.Output, pairs states) (engine.Outcome[Prepared], error) {
		r := genesis(s.Setup, out)
		return prepared(r, epoch.Prepare(r, s.Self, rows(s, r, out.Share, pairs), s.Sign)), nil
	}), nil
}

// states are what we share with each other member.
type states = map[engine.PartyID]*pair.State

// withPairs runs a protocol that makes shares, beside it the set-up of the members' pairs where the suite has
// them and we are a member, and then end. Whatever fails, what was made is wiped, and the coins with it.
func withPairs[R any](s Seat, members []session.Party, shares engine.Stage[R], forget func(*R), end func(*R, states) (engine.Outcome[Prepared], error)) engine.Stage[Prepared] {
	i := slices.IndexFunc(members, func(p session.Party) bool { return p.ID == s.Self })
	if !paired(s.Setup.Suite) || i < 0 {
		return &then[R, Prepared]{shares, func(r *R) (engine.Outcome[Prepared], error) { return end(r, nil) }, func() { session.WipeCoins(s.Rand) }}
	}
	pairs := pair.Setup(pair.Params{Session: s.Session, Self: members[i], Parties: members, Rand: s.Rand})
	both := &beside[R, states]{a: shares, b: pairs, forget: func(r two[R, states]) {
		session.WipeCoins(s.Rand)
		if r.a != nil {
			forget(r.a)
		}
		if r.b != nil {
			wipeStates(*r.b)
		}
	}}
	return &then[two[R, states], Prepared]{s: both, with: func(r *two[R, states]) (engine.Outcome[Prepared], error) { return end(r.a, *r.b) }}
}

func wipeStates(pairs states) {
	for _, p := range pairs {
		p.Wipe()
	}
}

// genesis is the record of epoch 0.
func genesis(s *session.Setup, out *keygen.Output) *epoch.Record {
	r := &epoch.Record{
		KeyID: s.KeyID, Suite: s.Suite, Threshold: s.Threshold,
		Public: secp256k1.Settled(out.Public), ChainCode: out.ChainCode, Echo: out.Echo,
	}
	for _, p := range s.Parties {
		r.Members = append(r.Members, epoch.Member{Party: p, Public: secp256k1.Settled(out.Publics[p.ID])})
	}
	return r
}

// rows are what a member keeps of a record: the record, and, unless it leaves, its share and what it shares
// with the others. The secrets and the coins are wiped here: the rows carry them to the host.
func rows(s Seat, r *epoch.Record, own group.Scalar, pairs states) []engine.Record {
	defer session.WipeCoins(s.Rand)
	save := []engine.Record{{Name: RowRecord, Value: r.Encode()}}
	if own == nil {
		return save
	}
	save = append(save, engine.Record{Name: RowShare, Value: own.Bytes()})
	own.Wipe()
	for _, m := range r.Members {
		if p := pairs[m.ID]; p != nil {
			save = append(save, engine.Record{Name: RowPair(m.ID), Value: p.Encode().Expose()})
			p.Wipe()
		}
	}
	return save
}

// prepared waits for the certificate of a record that epoch prepares.
func prepared(r *epoch.Record, certify engine.Outcome[epoch.Cert]) engine.Outcome[Prepared] {
	return engine.Outcome[Prepared]{
		Save: certify.Save, Send: certify.Send,
		Next: &then[epoch.Cert, Prepared]{s: certify.Next, with: func(c *epoch.Cert) (engine.Outcome[Prepared], error) {
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
