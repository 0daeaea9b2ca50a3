package session

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostraka/ostraka/crypto/eddsa"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/engine"
)

const (
	// Version is the wire version that this code speaks.
	Version = 1
	// MaxParties is the largest committee.
	MaxParties = 16
	// MaxPayload bounds a Setup's payload, in bytes.
	MaxPayload = 64 << 10
	// MaxLife bounds how far in the future NotAfter may lie.
	MaxLife = time.Hour

	maxName = 32      // bytes of protocol and suite
	maxTime = 1 << 40 // of NotAfter, seconds since 1970
)

// A Signer signs a hash tree with the party's Ed25519 identity key. Identity keys sign
// nothing but trees under labels of crypto/transcript, and TLS handshakes.
type Signer func(h *transcript.Hash) []byte

// NewSigner signs with an Ed25519 key, wherever it is held. A key that is wiped, as when a process ends, gives no signature: what bears none is nobody's word.
func NewSigner(key crypto.Signer) Signer {
	return func(h *transcript.Hash) []byte {
		sig, err := eddsa.SignBy(key, h.Tree())
		if err != nil {
			return nil
		}
		return sig
	}
}

// Verify checks an identity key's signature over a hash tree.
func Verify(key ed25519.PublicKey, h *transcript.Hash, sig []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, h.Tree(), sig)
}

// IDOf names a party for ever by the first identity key it showed:
// SHA-256(tag ‖ key)[:16].
func IDOf(first ed25519.PublicKey) engine.PartyID {
	h := transcript.New(transcript.IdentityParty).Bytes(first).Sum256()
	return engine.PartyID(h[:16])
}

// A Party is one seat in a session.
type Party struct {
	ID       engine.PartyID
	Index    share.Index       // of its key share: 1…65535
	Identity ed25519.PublicKey // 32 bytes
}

// A Setup proposes a session. All parties must hold the same bytes.
type Setup struct {
	Protocol  string // "keygen", "sign", "test"
	Suite     string // for instance "ecdsa-secp256k1"
	KeyID     [32]byte
	Epoch     [32]byte // eh: hash of the epoch record; zero for keygen
	Threshold int      // t: parties needed to sign
	Parties   []Party  // by index, ascending
	Payload   []byte   // what the session is for, in the protocol's own encoding
	Opener    engine.PartyID
	Nonce     [32]byte
	NotAfter  time.Time // whole seconds, UTC
}

const (
	fieldVersion transcript.Tag = iota + 1
	fieldProtocol
	fieldSuite
	fieldKeyID
	fieldEpoch
	fieldThreshold
	fieldParties
	fieldPayload
	fieldOpener
	fieldNonce
	fieldNotAfter
)

const (
	fieldPartyID transcript.Tag = iota + 1
	fieldPartyIndex
	fieldPartyIdentity
)

// Encode is the canonical form that is hashed and signed.
func (s *Setup) Encode() []byte {
	var e transcript.Encoder
	e.Uint(fieldVersion, Version).String(fieldProtocol, s.Protocol).String(fieldSuite, s.Suite)
	e.Bytes(fieldKeyID, s.KeyID[:]).Bytes(fieldEpoch, s.Epoch[:]).Uint(fieldThreshold, uint64(s.Threshold))
	encodeParties(&e, fieldParties, s.Parties)
	e.Bytes(fieldPayload, s.Payload).Bytes(fieldOpener, s.Opener[:]).Bytes(fieldNonce, s.Nonce[:])
	return e.Uint(fieldNotAfter, uint64(s.NotAfter.Unix())).Sum()
}

func encodeParties(e *transcript.Encoder, tag transcript.Tag, parties []Party) {
	e.List(tag, len(parties), func(i int, e *transcript.Encoder) {
		p := parties[i]
		e.Bytes(fieldPartyID, p.ID[:]).Uint(fieldPartyIndex, uint64(p.Index)).Bytes(fieldPartyIdentity, p.Identity)
	})
}

func decodeParties(d *transcript.Decoder, tag transcript.Tag) (parties []Party) {
	d.List(tag, 2, MaxParties, func(_ int, d *transcript.Decoder) {
		var p Party
		copy(p.ID[:], d.Fixed(fieldPartyID, len(p.ID)))
		p.Index = share.Index(d.Uint(fieldPartyIndex, 65535))
		p.Identity = bytes.Clone(d.Fixed(fieldPartyIdentity, ed25519.PublicKeySize))
		parties = append(parties, p)
	})
	return parties
}

// DecodeSetup reads the canonical form and makes every check that needs no outside
// knowledge (Validate).
func DecodeSetup(b []byte) (*Setup, error) {
	d, s := transcript.NewDecoder(b), &Setup{}
	if v := d.Uint(fieldVersion, 1<<32); d.Err() == nil && v != Version {
		return nil, &VersionError{Got: v}
	}
	s.Protocol, s.Suite = d.String(fieldProtocol, maxName), d.String(fieldSuite, maxName)
	copy(s.KeyID[:], d.Fixed(fieldKeyID, 32))
	copy(s.Epoch[:], d.Fixed(fieldEpoch, 32))
	s.Threshold = int(d.Uint(fieldThreshold, MaxParties))
	s.Parties = decodeParties(d, fieldParties)
	s.Payload = bytes.Clone(d.Bytes(fieldPayload, MaxPayload))
	copy(s.Opener[:], d.Fixed(fieldOpener, len(s.Opener)))
	copy(s.Nonce[:], d.Fixed(fieldNonce, 32))
	s.NotAfter = time.Unix(int64(d.Uint(fieldNotAfter, maxTime)), 0).UTC()
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode setup: %w", err)
	}
	if err := s.Validate(); err != nil {
		return nil, err
	}
	return s, nil
}

// VersionError is a message in a wire version that we do not speak.
type VersionError struct{ Got uint64 }

func (e *VersionError) Error() string {
	return fmt.Sprintf("wire version %d is not spoken here (we speak %d): update the older of the two nodes", e.Got, Version)
}

// Validate checks the Setup against itself: sizes, threshold, distinct parties, order, opener.
func (s *Setup) Validate() error {
	if err := s.checkSizes(); err != nil {
		return err
	}
	if err := CheckRoster(s.Parties, s.Threshold); err != nil {
		return fmt.Errorf("setup: %w", err)
	}
	if _, ok := s.Party(s.Opener); !ok {
		return errors.New("setup: the opener is not a party")
	}
	return nil
}

// CheckRoster accepts 2 to MaxParties distinct parties by ascending index, and a threshold
// from 2 to their number.
func CheckRoster(parties []Party, threshold int) error {
	if n := len(parties); n < 2 || n > MaxParties {
		return fmt.Errorf("%d parties, 2 to %d are allowed", n, MaxParties)
	}
	// TOB-SILA-15: fewer signers than the threshold, or one counted twice.
	if threshold < 2 || threshold > len(parties) {
		return fmt.Errorf("threshold %d with %d parties", threshold, len(parties))
	}
	for i, p := range parties {
		if p.ID == engine.Everyone {
			return errors.New("a party has no id")
		}
		if p.Index == 0 || i > 0 && p.Index <= parties[i-1].Index {
			return fmt.Errorf("indices are not ascending from 1 at party %v", p.ID)
		}
		if len(p.Identity) != ed25519.PublicKeySize {
			return fmt.Errorf("identity key of party %v has %d bytes, not %d", p.ID, len(p.Identity), ed25519.PublicKeySize)
		}
		for _, q := range parties[:i] {
			if p.ID == q.ID || bytes.Equal(p.Identity, q.Identity) {
				return fmt.Errorf("party %v stands twice", p.ID)
			}
		}
	}
	return nil
}

// Place is where a receiver stands in a dealer's list of receivers, which leaves the dealer
// itself out. Both are the caller's check; a receiver who is not there stands after all others.
func Place(receivers []Party, dealer, receiver engine.PartyID) (k int) {
	for _, q := range receivers {
		if q.ID == receiver {
			break
		}
		if q.ID != dealer {
			k++
		}
	}
	return k
}

// checkSizes refuses what has no encoding that DecodeSetup takes.
func (s *Setup) checkSizes() error {
	switch at := s.NotAfter.Unix(); {
	case len(s.Protocol) == 0 || len(s.Protocol) > maxName || len(s.Suite) > maxName:
		return fmt.Errorf("setup: protocol of %d bytes and suite of %d, at most %d are allowed", len(s.Protocol), len(s.Suite), maxName)
	case len(s.Payload) > MaxPayload:
		return fmt.Errorf("setup: payload has %d bytes, at most %d are allowed", len(s.Payload), MaxPayload)
	case at < 0 || at > maxTime || s.NotAfter.Nanosecond() != 0:
		return errors.New("setup: not-after is not in whole seconds since 1970, below 2⁴⁰")
	}
	return nil
}

// Party finds a seat by id.
func (s *Setup) Party(id engine.PartyID) (Party, bool) {
	i := slices.IndexFunc(s.Parties, func(p Party) bool { return p.ID == id })
	if i < 0 {
		return Party{}, false
	}
	return s.Parties[i], true
}

// IDs are the parties in index order, as the engine wants them.
func (s *Setup) IDs() []engine.PartyID {
	ids := make([]engine.PartyID, len(s.Parties))
	for i, p := range s.Parties {
		ids[i] = p.ID
	}
	return ids
}

// Indices are the share indices in order.
func (s *Setup) Indices() []share.Index {
	xs := make([]share.Index, len(s.Parties))
	for i, p := range s.Parties {
		xs[i] = p.Index
	}
	return xs
}

// Hash is H(Setup): it stands in every Join, and in the store of seen setups.
func (s *Setup) Hash() [32]byte {
	return transcript.New(transcript.SessionSetupHash).Bytes(s.Encode()).Sum256()
}

// Current refuses a Setup that has run out, or that would live for longer than MaxLife.
func (s *Setup) Current(now time.Time) error {
	switch {
	case now.After(s.NotAfter):
		return fmt.Errorf("setup: ran out at %s, now is %s: check both nodes' clocks, or try again",
			s.NotAfter.Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	case s.NotAfter.Sub(now) > MaxLife:
		return fmt.Errorf("setup: lives until %s, longer than %s from now (%s): check both nodes' clocks",
			s.NotAfter.Format(time.RFC3339), MaxLife, now.UTC().Format(time.RFC3339))
	}
	return nil
}

// SealSetup signs a Setup with the opener's identity key and returns its frame.
func SealSetup(s *Setup, sign Signer) ([]byte, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	body := s.Encode()
	return sealed(frameSetup, body, sign(transcript.New(transcript.SessionSetup).Bytes(body))), nil
}

// OpenSetup reads a Setup's frame and checks the opener's signature. Whether the opener's
// identity key is the one that we know it by is the caller's check, as is everything else
// that needs our own records.
func OpenSetup(frame []byte) (*Setup, error) {
	body, sig, err := unseal(frameSetup, frame)
	if err != nil {
		return nil, err
	}
	s, err := DecodeSetup(body)
	if err != nil {
		return nil, err
	}
	opener, _ := s.Party(s.Opener)
	if !Verify(opener.Identity, transcript.New(transcript.SessionSetup).Bytes(body), sig) {
		return nil, fmt.Errorf("%w: setup is not signed by its opener %v", ErrInauthentic, s.Opener)
	}
	return s, nil
}
