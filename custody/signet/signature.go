package signet

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"github.com/hiddeco/sshsig"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Verb says what a signature does to the statement it covers. What is signed names it, so
// that a signature for one use never serves another.
type Verb string

const (
	Approve Verb = "approve" // over an intent's own bytes
	Reject  Verb = "reject"  // over an intent's own bytes
)

// Makes is the verb by which a person makes a statement of this kind their own.
func Makes(k statement.Kind) Verb { return Verb(k) }

// Namespace is the SSHSIG namespace of a verb, for ssh-keygen -Y sign -n.
func (v Verb) Namespace() string { return string(v) + "@ostraka/v1" }

// MaxArmored bounds an armored signature, in bytes.
const MaxArmored = 8 << 10

// Errors that Verify returns, wrapped in what was found.
var (
	ErrMalformed = errors.New("signature is malformed")
	ErrNamespace = errors.New("signature is for another use")
	ErrStranger  = errors.New("signature is by a key that is not listed")
	ErrBytes     = errors.New("signature does not cover these bytes")
)

// Flags are what a FIDO2 authenticator asserts about one signature. All are false for
// keys in software and for wallets, which assert nothing.
type Flags struct {
	SecurityKey bool   // the key lives in one authenticator: a passkey that may be copied to others does not
	Present     bool   // somebody touched it; always so for a valid signature
	Verified    bool   // it checked its owner's PIN or fingerprint; always so for a passkey's valid signature
	Counter     uint32 // the authenticator's signature counter
}

// A Signature is a parsed signature, not yet verified.
type Signature struct {
	key       Key
	namespace string
	form      form
}

// form is what differs between the kinds of signatures.
type form interface {
	armored() *pem.Block
	covers(k Key, verb Verb, message []byte) error
	flags(k Key) Flags
}

// Key is the key that the signature claims to be by.
func (s Signature) Key() Key { return s.key }

// Verb is the verb of the namespace, if it is one of ours.
func (s Signature) Verb() (Verb, bool) {
	v, ok := strings.CutSuffix(s.namespace, "@ostraka/v1")
	return Verb(v), ok
}

// Armored is the one armored form of this signature: 64 columns.
func (s Signature) Armored() []byte { return pem.EncodeToMemory(s.form.armored()) }

// Parse reads an armored signature of at most MaxArmored bytes: one block, nothing around
// it, by an accepted key. All is checked that does not depend on what was signed.
func Parse(armored []byte) (Signature, error) {
	s, err := parse(armored)
	if err != nil {
		return Signature{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return s, nil
}

func parse(armored []byte) (Signature, error) {
	if len(armored) > MaxArmored {
		return Signature{}, fmt.Errorf("it has %d bytes, at most %d are allowed", len(armored), MaxArmored)
	}
	trimmed := bytes.TrimSpace(armored)
	block, rest := pem.Decode(trimmed)
	switch {
	case block == nil || !bytes.HasPrefix(trimmed, []byte("-----BEGIN ")):
		return Signature{}, errors.New("no armored block")
	case len(block.Headers) > 0:
		return Signature{}, errors.New("the block has headers")
	case len(rest) > 0:
		return Signature{}, errors.New("bytes follow the block")
	}
	switch block.Type {
	case sshsig.PEMType:
		return parseSSHSIG(block.Bytes)
	case passkeyType:
		return parseAssertion(block.Bytes)
	case accountType:
		return parseTyped(block.Bytes)
	}
	return Signature{}, fmt.Errorf("the block is of type %.60q, none of %q, %q and %q", block.Type, sshsig.PEMType, passkeyType, accountType)
}

// A Signer is who made a verified signature.
type Signer struct {
	Index int // in the list of allowed keys
	Key   Key
	Flags Flags
}

// Verify checks an armored signature over message for one verb and says which of the
// allowed keys made it. Errors wrap ErrMalformed, ErrNamespace, ErrStranger or
// ErrBytes.
func Verify(armored []byte, verb Verb, message []byte, allowed []Key) (Signer, error) {
	s, err := Parse(armored)
	if err != nil {
		return Signer{}, err
	}
	return s.Verify(verb, message, allowed)
}

// Verify does what the function Verify does with a parsed signature.
func (s Signature) Verify(verb Verb, message []byte, allowed []Key) (Signer, error) {
	if s.namespace != verb.Namespace() {
		return Signer{}, fmt.Errorf("%w: its namespace is %.60q, not %q", ErrNamespace, s.namespace, verb.Namespace())
	}
	for i, k := range allowed {
		if !k.Equal(s.key) {
			continue
		}
		if err := s.form.covers(k, verb, message); err != nil {
			return Signer{}, fmt.Errorf("%w: key %s: %w", ErrBytes, k.Fingerprint(), err)
		}
		return Signer{Index: i, Key: k, Flags: s.form.flags(k)}, nil
	}
	return Signer{}, fmt.Errorf("%w: %s", ErrStranger, s.key.Fingerprint())
}

// Fields of the blob inside the armor of a signature that is no SSHSIG (spec/statements 3). They
// claim the key and the verb, as SSHSIG does; what was signed holds them to it.
const (
	tagKey transcript.Tag = iota + 1
	tagVerb
	tagSignature
	tagAuthenticator
	tagClientData
)

// claim begins a blob.
func claim(k Key, verb Verb) *transcript.Encoder {
	return new(transcript.Encoder).String(tagKey, k.line).String(tagVerb, string(verb))
}

// readClaim takes what claim wrote. The key must stand in its one form.
func readClaim(d *transcript.Decoder) (Key, Verb, error) {
	line, verb := d.String(tagKey, maxKeyLine), d.String(tagVerb, maxVerb)
	if err := d.Err(); err != nil {
		return Key{}, "", err
	}
	if err := statement.CheckLabel(verb); err != nil {
		return Key{}, "", fmt.Errorf("its verb %w", err)
	}
	k, err := ParseKey(line)
	if err == nil && k.line != line {
		err = errors.New("its key is not in its one form")
	}
	return k, Verb(verb), err
}

const maxVerb = 64 // bytes
