package guardian

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/pve"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/signet"
)

// CardSize is the length of a card in bytes: signing key ‖ encryption key ‖ proof of possession ‖ signature.
const CardSize = 32 + 32 + possessionSize + ed25519.SignatureSize

// CardText is how many characters a card's text has.
const CardText = len(cardPrefix) + (CardSize+cardSum)*4/3

const (
	possessionSize = pve.PossessionSize
	cardPrefix     = "ostraka-guardian1" // its last character is the version
	cardSum        = 6                   // bytes of the checksum: it makes the whole a multiple of three, so that no bit is spare
)

// A Card is a guardian's public keys, checked. The zero value is no card. Cards compare with ==.
type Card struct {
	signing    [ed25519.PublicKeySize]byte
	ek         pve.Key
	possession [possessionSize]byte
	signature  [ed25519.SignatureSize]byte
}

// IsZero says that there is no card.
func (c Card) IsZero() bool { return c == Card{} }

// Signing is the Ed25519 key under which the guardian signs.
func (c Card) Signing() ed25519.PublicKey { return bytes.Clone(c.signing[:]) }

// Encryption is ek, the X25519 key to which the guardian's values are encrypted.
func (c Card) Encryption() pve.Key { return c.ek }

// Key is the signing key as statements and signet know it: ssh-ed25519.
func (c Card) Key() (signet.Key, error) {
	pub, err := ssh.NewPublicKey(c.Signing())
	if err != nil {
		return signet.Key{}, fmt.Errorf("guardian's card: signing key: %w", err)
	}
	return signet.NewKey(pub)
}

// Party names the guardian in protocols, as an operator's first identity key names it: SHA-256(tag ‖ signing key)[:16], under a tag of its
// own, so that no guardian is taken for an operator (spec/guardian 1.5).
func (c Card) Party() [16]byte {
	h := transcript.New(transcript.GuardianParty).Bytes(c.signing[:]).Sum256()
	return [16]byte(h[:16])
}

// Bytes is the one encoding, of CardSize bytes.
func (c Card) Bytes() []byte {
	return bytes.Join([][]byte{c.signing[:], c.ek[:], c.possession[:], c.signature[:]}, nil)
}

// String is the card as people send it and as it stands in charters: one line (spec/guardian 1.4).
func (c Card) String() string {
	if c.IsZero() {
		return ""
	}
	return armor(cardPrefix, c.Bytes(), cardSum)
}

// ParseCard reads a card's text, checked as DecodeCard does.
func ParseCard(text string) (Card, error) {
	b, err := unarmor(cardPrefix, text, CardSize, cardSum)
	if err != nil {
		return Card{}, fmt.Errorf("guardian's card: %w", err)
	}
	return DecodeCard(b)
}

// DecodeCard reads CardSize bytes and checks all that they claim: both keys, that the guardian holds the encryption key, and that the
// signing key signed all of it (spec/guardian 1.3).
func DecodeCard(b []byte) (Card, error) {
	if len(b) != CardSize {
		return Card{}, fmt.Errorf("guardian's card: has %d bytes, not %d", len(b), CardSize)
	}
	var c Card
	var ek []byte
	for _, part := range [][]byte{c.signing[:], nil, c.possession[:], c.signature[:]} {
		if part == nil {
			ek, b = b[:32], b[32:]
			continue
		}
		b = b[copy(part, b):]
	}
	// A key of small order would let anybody sign as the guardian.
	if err := signet.CheckIdentity(c.signing[:]); err != nil {
		return Card{}, fmt.Errorf("guardian's card: signing key: %w", err)
	}
	// Low order: everybody could read what is encrypted to it. Not canonical: one key would stand as two guardians'.
	key, err := pve.ParseKey(ek)
	if err != nil {
		return Card{}, fmt.Errorf("guardian's card: encryption key: %w", err)
	}
	c.ek = key
	// Rogue key: without the proof a guardian could hand in another's key, or one that nobody holds and no drill would open.
	if err := pve.CheckPossession(c.ek, possessionContext(c.signing[:]), c.possession[:]); err != nil {
		return Card{}, fmt.Errorf("guardian's card: encryption key: %w", err)
	}
	if !ed25519.Verify(c.signing[:], c.signed(), c.signature[:]) {
		return Card{}, errors.New("guardian's card: signature: is not the signing key's over this card")
	}
	return c, nil
}

// possessionContext binds the proof to who gives it: a proof copied to another's card is none there.
func possessionContext(signing []byte) []byte {
	return transcript.New(transcript.GuardianPossession).Bytes(signing).Tree()
}

// signed is the tree that the signing key signs.
func (c Card) signed() []byte {
	return transcript.New(transcript.GuardianCard).Bytes(c.signing[:]).Bytes(c.ek[:]).Bytes(c.possession[:]).Tree()
}

// armor writes bytes and the beginning of their hash as one word.
func armor(prefix string, b []byte, sum int) string {
	h := sha256.Sum256(append([]byte(prefix), b...))
	return prefix + base64.RawURLEncoding.EncodeToString(append(bytes.Clone(b), h[:sum]...))
}

// unarmor reads what armor wrote: exactly so many bytes, in the one text that they have.
func unarmor(prefix, text string, size, sum int) ([]byte, error) {
	body, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return nil, fmt.Errorf("does not begin with %q", prefix)
	}
	enc := base64.RawURLEncoding.Strict()
	if want := enc.EncodedLen(size + sum); len(body) != want {
		return nil, fmt.Errorf("has %d characters after %q, not %d: copy all of it, on one line", len(body), prefix, want)
	}
	b, err := enc.DecodeString(body)
	if err != nil || len(b) != size+sum { // the decoder skips line feeds
		return nil, fmt.Errorf("holds a character after %q other than letters, digits, \"-\" and \"_\"", prefix)
	}
	if armor(prefix, b[:size], sum) != text {
		return nil, errors.New("a character is wrong: its checksum does not fit; copy it again")
	}
	return b[:size], nil
}
