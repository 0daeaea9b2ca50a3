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

// A Key is an SSH public key that may stand in a statement. The zero value is no key.
//
// Accepted: ssh-ed25519, sk-ssh-ed25519@openssh.com, ecdsa-sha2-nistp256,
// sk-ecdsa-sha2-nistp256@openssh.com, and ssh-rsa of 3072 to 8192 bits. Certificates
// are refused: a charter names keys, not authorities.
type Key struct {
	_    [0]func() // compare with Equal: == would panic on what pub holds
	line string    // "<type> <base64>": one text per key
	pub  ssh.PublicKey
}

// Sizes of RSA moduli in bits: below, 128-bit security is far; above, a stranger's
// signature would cost the verifier too much.
const (
	minRSA = 3072
	maxRSA = 8192
)

const maxKeyLine = 2048 // bytes

// ParseKey reads a line as in id_ed25519.pub. A comment is dropped; options, as in
// authorized_keys, are refused.
func ParseKey(line string) (Key, error) {
	if len(line) > maxKeyLine {
		return Key{}, fmt.Errorf("SSH key line has %d bytes, at most %d are allowed", len(line), maxKeyLine)
	}
	line = strings.TrimSpace(line)
	if strings.ContainsAny(line, "\r\n") {
		return Key{}, errors.New("SSH key has more than one line")
	}
	pub, _, options, _, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return Key{}, fmt.Errorf("parse SSH key: %w", err)
	}
	if len(options) > 0 {
		return Key{}, fmt.Errorf("SSH key has the option %q: options are not allowed", options[0])
	}
	return NewKey(pub)
}

// NewKey accepts a key of the kinds listed at Key.
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
	return Key{line: strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(pub)), "\n"), pub: pub}, nil
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

// String is the key's one line without comment, as it stands in statements.
func (k Key) String() string { return k.line }

// IsZero says that there is no key.
func (k Key) IsZero() bool { return k.line == "" }

// Equal compares keys.
func (k Key) Equal(o Key) bool { return k.line == o.line }

// Type is the SSH name of the key's algorithm.
func (k Key) Type() string { algo, _, _ := strings.Cut(k.line, " "); return algo }

// Fingerprint is "SHA256:…" as ssh-keygen -l shows it.
func (k Key) Fingerprint() string {
	if k.pub == nil {
		return ""
	}
	return ssh.FingerprintSHA256(k.pub)
}

// Public is the key for x/crypto/ssh.
func (k Key) Public() ssh.PublicKey { return k.pub }

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
