package signet

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// sshForm is an SSHSIG (OpenSSH PROTOCOL.sshsig).
type sshForm struct{ *sshsig.Signature }

// parseSSHSIG reads a blob of version 1, hash sha512 or sha256.
func parseSSHSIG(blob []byte) (Signature, error) {
	sig, err := sshsig.ParseSignature(blob)
	if err != nil {
		return Signature{}, err
	}
	// What the library drops (the reserved field) must be empty: one content, one form.
	if !bytes.Equal(sig.Marshal(), blob) {
		return Signature{}, errors.New("it has more than one reading")
	}
	key, err := NewKey(sig.PublicKey)
	if err != nil {
		return Signature{}, err
	}
	if key.Type() == ssh.KeyAlgoRSA && sig.Signature.Format != ssh.KeyAlgoRSASHA512 {
		return Signature{}, fmt.Errorf("an RSA key must sign with %s, not %s", ssh.KeyAlgoRSASHA512, sig.Signature.Format)
	}
	return Signature{key, sig.Namespace, sshForm{sig}}, nil
}

func (f sshForm) armored() *pem.Block { return &pem.Block{Type: sshsig.PEMType, Bytes: f.Marshal()} }

func (f sshForm) covers(k Key, verb Verb, message []byte) error {
	return sshsig.Verify(bytes.NewReader(message), f.Signature, k.held.(sshKey).PublicKey, f.HashAlgorithm, verb.Namespace())
}

// flags reads what follows the signature of an sk- key: one byte of flags and a
// counter, both under the signature (OpenSSH PROTOCOL.u2f).
func (f sshForm) flags(k Key) Flags {
	switch k.Type() {
	case ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
	default:
		return Flags{}
	}
	var tail struct {
		Flags   byte
		Counter uint32
	}
	if ssh.Unmarshal(f.Signature.Signature.Rest, &tail) != nil {
		return Flags{}
	}
	return Flags{SecurityKey: true, Present: tail.Flags&0x01 != 0, Verified: tail.Flags&0x04 != 0, Counter: tail.Counter}
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
	return checked(sshsig.Armor(sig), key, verb, message)
}

// checked verifies what we are about to hand out: a faulty agent, device or wallet must not leave us with a
// signature that nobody accepts.
func checked(armored []byte, key Key, verb Verb, message []byte) ([]byte, error) {
	if _, err := Verify(armored, verb, message, []Key{key}); err != nil {
		return nil, fmt.Errorf("check own signature as %s: %w", verb.Namespace(), err)
	}
	return armored, nil
}
