package epoch

import (
	"bytes"
	"crypto/ed25519"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// Suites: what a key signs with. A key never serves two.
const (
	SuiteECDSA   = "ecdsa-secp256k1"  // Ethereum, Bitcoin P2WPKH, Cosmos, Tron
	SuiteEd25519 = "ed25519"          // Solana
	SuiteBIP340  = "bip340-secp256k1" // Bitcoin Taproot
)

// GroupOf is the group that a suite's keys live in.
func GroupOf(suite string) (group.Group, error) {
	switch suite {
	case SuiteECDSA, SuiteBIP340:
		return secp256k1.Group{}, nil
	case SuiteEd25519:
		return edwards25519.Group{}, nil
	}
	return nil, fmt.Errorf("suite %q is not known here: %q, %q and %q are", suite, SuiteECDSA, SuiteEd25519, SuiteBIP340)
}

// KeyID names a key before it exists: SHA-256(vault statement ‖ suite ‖ attempt).
func KeyID(vault [32]byte, suite string, attempt uint64) [32]byte {
	return transcript.New(transcript.KeyID).Bytes(vault[:]).Bytes([]byte(suite)).Uint(attempt).Sum256()
}

// A Hash is eh, the hash of a record.
type Hash [32]byte

func (h Hash) String() string { return fmt.Sprintf("%x", h[:6]) }

// A Member is one party of an epoch.
type Member struct {
	session.Party
	Public group.Point // Xᵢ
}

// A Record is the public side of one epoch of one key.
type Record struct {
	KeyID     [32]byte
	Epoch     uint64 // e: 0 for keygen
	Attempt   uint64 // a
	Suite     string
	Threshold int
	Members   []Member    // by index, ascending
	Public    group.Point // X
	ChainCode [32]byte    // cc
	Prev      Hash        // parent's hash; zero in epoch 0
	Echo      [32]byte    // T_final: after the last round before PREP
	Guardians [32]byte    // hash of the guardian set; zero while there is none
	Backups   [32]byte    // hash of the backup set; zero while there is none
	Used      share.Index // highest index that this record or an ancestor gave out; 0 in epoch 0: see Mark
	Rescue    *Rescue     // nil: no SOS led here
}

const (
	fieldKeyID transcript.Tag = iota + 1
	fieldEpoch
	fieldAttempt
	fieldSuite
	fieldThreshold
	fieldMembers
	fieldPublic
	fieldChainCode
	fieldPrev
	fieldGuardians
	fieldEcho
	fieldBackups
	fieldUsed   // only after epoch 0: records of epoch 0 keep the bytes that they had before there were others
	fieldRescue // only after an SOS
)

const (
	fieldMemberID transcript.Tag = iota + 1
	fieldMemberIndex
	fieldMemberIdentity
	fieldMemberPublic
)

func (r *Record) encode(whole bool) []byte {
	var e transcript.Encoder
	e.Bytes(fieldKeyID, r.KeyID[:]).Uint(fieldEpoch, r.Epoch).Uint(fieldAttempt, r.Attempt)
	e.String(fieldSuite, r.Suite).Uint(fieldThreshold, uint64(r.Threshold))
	e.List(fieldMembers, len(r.Members), func(i int, e *transcript.Encoder) {
		m := r.Members[i]
		e.Bytes(fieldMemberID, m.ID[:]).Uint(fieldMemberIndex, uint64(m.Index))
		e.Bytes(fieldMemberIdentity, m.Identity).Bytes(fieldMemberPublic, m.Public.Bytes())
	})
	e.Bytes(fieldPublic, r.Public.Bytes()).Bytes(fieldChainCode, r.ChainCode[:])
	e.Bytes(fieldPrev, r.Prev[:]).Bytes(fieldGuardians, r.Guardians[:])
	if whole {
		e.Bytes(fieldEcho, r.Echo[:]).Bytes(fieldBackups, r.Backups[:])
	}
	if r.Epoch > 0 {
		e.Uint(fieldUsed, uint64(r.Used))
	}
	if r.Rescue != nil {
		e.Bytes(fieldRescue, r.Rescue.encode())
	}
	return e.Sum()
}

// Encode is the canonical form.
func (r *Record) Encode() []byte { return r.encode(true) }

// Hash is eh.
func (r *Record) Hash() Hash {
	return transcript.New(transcript.EpochRecord).Bytes(r.Encode()).Sum256()
}

// PartialHash is peh: the hash without backup set and T_final, for labels that go into
// the backup set itself (protocols.md 5.1).
func (r *Record) PartialHash() [32]byte {
	return transcript.New(transcript.EpochPrivateRecord).Bytes(r.encode(false)).Sum256()
}

// Decode reads the canonical form and checks it as Validate does.
func Decode(b []byte) (*Record, error) {
	r, err := decodeForm(b)
	if err == nil {
		err = r.Validate()
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

// decodeForm reads the canonical form alone.
func decodeForm(b []byte) (*Record, error) {
	d, r := transcript.NewDecoder(b), &Record{}
	copy(r.KeyID[:], d.Fixed(fieldKeyID, 32))
	r.Epoch, r.Attempt = d.Uint(fieldEpoch, 1<<62), d.Uint(fieldAttempt, 1<<62)
	r.Suite = d.String(fieldSuite, 32)
	r.Threshold = int(d.Uint(fieldThreshold, session.MaxParties))
	if d.Err() != nil {
		return nil, fmt.Errorf("decode epoch record: %w", d.Err())
	}
	g, err := GroupOf(r.Suite)
	if err != nil {
		return nil, fmt.Errorf("decode epoch record: %w", err)
	}
	point := func(d *transcript.Decoder, tag transcript.Tag) group.Point {
		raw := d.Fixed(tag, g.PointSize())
		if d.Err() != nil {
			return nil
		}
		p, err := g.DecodePoint(raw)
		if err != nil {
			d.Fail(tag, err)
			return nil
		}
		return secp256k1.Settled(p) // a record is hashed again and again
	}
	d.List(fieldMembers, 2, session.MaxParties, func(_ int, d *transcript.Decoder) {
		var m Member
		copy(m.ID[:], d.Fixed(fieldMemberID, len(m.ID)))
		m.Index = share.Index(d.Uint(fieldMemberIndex, share.MaxIndex))
		m.Identity = bytes.Clone(d.Fixed(fieldMemberIdentity, ed25519.PublicKeySize))
		m.Public = point(d, fieldMemberPublic)
		r.Members = append(r.Members, m)
	})
	r.Public = point(d, fieldPublic)
	copy(r.ChainCode[:], d.Fixed(fieldChainCode, 32))
	copy(r.Prev[:], d.Fixed(fieldPrev, 32))
	copy(r.Guardians[:], d.Fixed(fieldGuardians, 32))
	copy(r.Echo[:], d.Fixed(fieldEcho, 32))
	copy(r.Backups[:], d.Fixed(fieldBackups, 32))
	if r.Epoch > 0 {
		r.Used = share.Index(d.Uint(fieldUsed, share.MaxIndex))
	}
	if r.Epoch > 0 && d.More() {
		r.Rescue = decodeRescue(d)
	}
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode epoch record: %w", err)
	}
	return r, nil
}

// Validate checks the record against itself: a proper roster, a parent and a mark in every
// epoch but the first, a key of the suite's group, and public shares that lie on one
// polynomial of degree t−1 with value X at 0.
func (r *Record) Validate() error {
	if err := session.CheckRoster(r.Parties(), r.Threshold); err != nil {
		return fmt.Errorf("epoch record: %w", err)
	}
	if (r.Epoch == 0) != (r.Prev == Hash{}) {
		return fmt.Errorf("epoch record: epoch %d with parent %v: the first epoch alone has none", r.Epoch, r.Prev)
	}
	if last := r.Members[len(r.Members)-1].Index; r.Epoch == 0 && r.Used != 0 || r.Epoch > 0 && r.Used < last {
		return fmt.Errorf("epoch record: epoch %d with mark %d and last index %d: the first epoch alone has none", r.Epoch, r.Used, last)
	}
	g, err := GroupOf(r.Suite)
	if err == nil && g.Name() != r.Public.Group().Name() {
		err = fmt.Errorf("suite %q with a key in %s", r.Suite, r.Public.Group().Name())
	}
	if err != nil {
		return fmt.Errorf("epoch record: %w", err)
	}
	points, at := make([]group.Point, len(r.Members)), make([]share.Index, len(r.Members))
	for i, m := range r.Members {
		points[i], at[i] = m.Public, m.Index
	}
	// A forged record could otherwise deceive a single new member (protocols.md 1.2).
	if err := share.CheckPublicShares(g, r.Public, at, points, r.Threshold); err != nil {
		return fmt.Errorf("epoch record: %w", err)
	}
	return nil
}

// Parties are the members' seats.
func (r *Record) Parties() []session.Party {
	ps := make([]session.Party, len(r.Members))
	for i, m := range r.Members {
		ps[i] = m.Party
	}
	return ps
}

// Member finds a member by party id.
func (r *Record) Member(id engine.PartyID) (Member, bool) {
	for _, m := range r.Members {
		if m.ID == id {
			return m, true
		}
	}
	return Member{}, false
}

// Publics are the public shares by party.
func (r *Record) Publics() map[engine.PartyID]group.Point {
	m := make(map[engine.PartyID]group.Point, len(r.Members))
	for _, x := range r.Members {
		m[x.ID] = x.Public
	}
	return m
}

// Higher orders records of one key: by epoch, then attempt, then hash.
func (r *Record) Higher(o *Record) bool {
	if r.Epoch != o.Epoch {
		return r.Epoch > o.Epoch
	}
	if r.Attempt != o.Attempt {
		return r.Attempt > o.Attempt
	}
	if r == o {
		return false
	}
	a, b := r.Hash(), o.Hash()
	return bytes.Compare(a[:], b[:]) > 0
}
