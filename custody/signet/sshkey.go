package signet

import (
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

// An sshKey is of type ssh-ed25519, sk-ssh-ed25519@openssh.com, ecdsa-sha2-nistp256, sk-ecdsa-sha2-nistp256@openssh.com,
// or ssh-rsa of 3072 to 8192 bits. Certificates are refused: a charter names keys, not authorities.
type sshKey struct{ ssh.PublicKey }

func (k sshKey) fingerprint(string) string { return ssh.FingerprintSHA256(k.PublicKey) }

// Sizes of RSA moduli in bits: below, 128-bit security is far; above, a stranger's
// signature would cost the verifier too much.
const (
	minRSA = 3072
	maxRSA = 8192
)

func parseSSH(line string) (Key, error) {
	pub, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return Key{}, fmt.Errorf("parse SSH key: %w", err)
	}
	if len(options) > 0 {
		return Key{}, fmt.Errorf("SSH key has the option %q: options are not allowed", options[0])
	}
	return NewKey(pub)
}

// NewKey accepts an SSH key of the types listed at sshKey.
func NewKey(pub ssh.PublicKey) (Key, error) {
	switch pub.Type() {
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoSKECDSA256:
	case ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519:
		if err := checkEd25519(pub); err != nil {
			return Key{}, err
		}
	case ssh.KeyAlgoRSA:
		if err := checkRSA(pub); err != nil {
			return Key{}, err
		}
	default:
		return Key{}, fmt.Errorf("SSH key type %s is not accepted: use ed25519, sk-ed25519, ecdsa-p256, sk-ecdsa-p256, or RSA of %d bits or more", pub.Type(), minRSA)
	}
	return Key{line: strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(pub)), "\n"), held: sshKey{pub}}, nil
}

func checkEd25519(pub ssh.PublicKey) error {
	wrapped, ok := pub.(ssh.CryptoPublicKey)
	if !ok {
		return fmt.Errorf("SSH key of type %s does not show its point", pub.Type())
	}
	key, ok := wrapped.CryptoPublicKey().(ed25519.PublicKey)
	if !ok {
		return fmt.Errorf("SSH key of type %s holds another key", pub.Type())
	}
	return CheckIdentity(key)
}

func checkRSA(pub ssh.PublicKey) error {
	wrapped, ok := pub.(ssh.CryptoPublicKey)
	if !ok {
		return errors.New("SSH key of type ssh-rsa does not show its modulus")
	}
	key, ok := wrapped.CryptoPublicKey().(*rsa.PublicKey)
	if !ok {
		return errors.New("SSH key of type ssh-rsa holds another key")
	}
	if n := key.N.BitLen(); n < minRSA || n > maxRSA {
		return fmt.Errorf("RSA key has %d bits, %d to %d are accepted", n, minRSA, maxRSA)
	}
	return nil
}

// smallOrder lists the y coordinates of Edwards25519's points of order 1, 2, 4 and 8,
// little-endian, sign bit clear.
var smallOrder = [][32]byte{
	{},
	{1},
	fromHex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"),
	fromHex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"),
	fromHex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"),
}

func fromHex(s string) (out [32]byte) {
	_, _ = hex.Decode(out[:], []byte(s))
	return out
}

// CheckIdentity refuses an Ed25519 public key of other than 32 bytes, of small order
// (anybody could sign under it), or not in its one encoding.
func CheckIdentity(pub ed25519.PublicKey) error {
	if len(pub) != ed25519.PublicKeySize {
		return fmt.Errorf("Ed25519 key has %d bytes, not %d", len(pub), ed25519.PublicKeySize)
	}
	y := [32]byte(pub)
	y[31] &= 0x7f
	if slices.Contains(smallOrder, y) {
		return errors.New("Ed25519 key is a point of small order")
	}
	// y ≥ p = 2²⁵⁵ − 19: a second encoding of a key already in the roster.
	if y[31] == 0x7f && y[0] >= 0xed && !slices.ContainsFunc(y[1:31], func(b byte) bool { return b != 0xff }) {
		return errors.New("Ed25519 key is not in canonical form")
	}
	return nil
}
