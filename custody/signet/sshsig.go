package signet

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/statement"
)

// A Verb says what a signature does to the statement it covers. It stands in the
// namespace, so that a signature for one use never serves another.
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

// Flags are what a FIDO2 security key asserts about one signature. All are false for
// keys in software.
type Flags struct {
	SecurityKey bool   // the key lives in an authenticator
	Present     bool   // somebody touched it; always so for a valid signature
	Verified    bool   // it checked its owner's PIN or fingerprint
	Counter     uint32 // the authenticator's signature counter
}

// A Signature is a parsed SSHSIG, not yet verified.
type Signature struct {
	sig *sshsig.Signature
	key Key
}

// Key is the key that the signature claims to be by.
func (s Signature) Key() Key { return s.key }

// Verb is the verb of the namespace, if it is one of ours.
func (s Signature) Verb() (Verb, bool) {
	v, ok := bytes.CutSuffix([]byte(s.sig.Namespace), []byte("@ostraka/v1"))
	return Verb(v), ok
}

// Armored is the one armored form of this signature: 64 columns.
func (s Signature) Armored() []byte { return sshsig.Armor(s.sig) }

// Parse reads an armored SSHSIG of at most MaxArmored bytes: one block, nothing
// around it, version 1, hash sha512 or sha256, an accepted key.
func Parse(armored []byte) (Signature, error) {
	if len(armored) > MaxArmored {
		return Signature{}, fmt.Errorf("%w: it has %d bytes, at most %d are allowed", ErrMalformed, len(armored), MaxArmored)
	}
	trimmed := bytes.TrimSpace(armored)
	block, rest := pem.Decode(trimmed)
	switch {
	case block == nil || !bytes.HasPrefix(trimmed, []byte("-----BEGIN ")):
		return Signature{}, fmt.Errorf("%w: no armored block", ErrMalformed)
	case block.Type != sshsig.PEMType || len(block.Headers) > 0:
		return Signature{}, fmt.Errorf("%w: the block is not a plain %q", ErrMalformed, sshsig.PEMType)
	case len(rest) > 0:
		return Signature{}, fmt.Errorf("%w: bytes follow the block", ErrMalformed)
	}
	sig, err := sshsig.ParseSignature(block.Bytes)
	if err != nil {
		return Signature{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	// What the library drops (the reserved field) must be empty: one content, one form.
	if !bytes.Equal(sig.Marshal(), block.Bytes) {
		return Signature{}, fmt.Errorf("%w: it has more than one reading", ErrMalformed)
	}
	key, err := NewKey(sig.PublicKey)
	if err != nil {
		return Signature{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if key.Type() == ssh.KeyAlgoRSA && sig.Signature.Format != ssh.KeyAlgoRSASHA512 {
		return Signature{}, fmt.Errorf("%w: an RSA key must sign with %s, not %s", ErrMalformed, ssh.KeyAlgoRSASHA512, sig.Signature.Format)
	}
	return Signature{sig: sig, key: key}, nil
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
	if s.sig.Namespace != verb.Namespace() {
		return Signer{}, fmt.Errorf("%w: its namespace is %.60q, not %q", ErrNamespace, s.sig.Namespace, verb.Namespace())
	}
	for i, k := range allowed {
		if !k.Equal(s.key) {
			continue
		}
		err := sshsig.Verify(bytes.NewReader(message), s.sig, k.pub, s.sig.HashAlgorithm, verb.Namespace())
		if err != nil {
			return Signer{}, fmt.Errorf("%w: key %s: %w", ErrBytes, k.Fingerprint(), err)
		}
		return Signer{Index: i, Key: k, Flags: s.flags()}, nil
	}
	return Signer{}, fmt.Errorf("%w: %s", ErrStranger, s.key.Fingerprint())
}

// flags reads what follows the signature of an sk- key: one byte of flags and a
// counter, both under the signature (OpenSSH PROTOCOL.u2f).
func (s Signature) flags() Flags {
	switch s.key.Type() {
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
	default:
		return Flags{}
	}
	var f struct {
		Flags   byte
		Counter uint32
	}
	if ssh.Unmarshal(s.sig.Signature.Rest, &f) != nil {
		return Flags{}
	}
	return Flags{SecurityKey: true, Present: f.Flags&0x01 != 0, Verified: f.Flags&0x04 != 0, Counter: f.Counter}
}

// Sign makes an armored SSHSIG with hash sha512. The signer is the caller's: an agent,
// a key file, a security key. RSA keys sign with rsa-sha2-512. entropy serves signers
// in this process that need some.
func Sign(entropy io.Reader, signer ssh.Signer, verb Verb, message []byte) ([]byte, error) {
	key, err := NewKey(signer.PublicKey())
	if err != nil {
		return nil, err
	}
	sig, err := sshsig.SignWithRand(bytes.NewReader(message), entropy, signer, sshsig.HashSHA512, verb.Namespace())
	if err != nil {
		return nil, fmt.Errorf("sign as %s with key %s: %w", verb.Namespace(), key.Fingerprint(), err)
	}
	armored := sshsig.Armor(sig)
	// A faulty agent or device must not leave us with a signature that nobody accepts.
	if _, err := Verify(armored, verb, message, []Key{key}); err != nil {
		return nil, fmt.Errorf("check own signature as %s: %w", verb.Namespace(), err)
	}
	return armored, nil
}
