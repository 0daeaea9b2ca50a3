package signet

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/ostraka/ostraka/custody/statement"
)

// A Passkey is a WebAuthn credential. It signs on pages of one origin alone, which a browser vouches for: so the origin
// stands in the key's line, and a charter's people read it there.
type Passkey struct {
	RPID       string // a domain: the origin's host, or a domain above it
	Origin     string // "http://localhost:PORT" or "https://HOST", as browsers write it
	Credential []byte // its id, 1 to 1023 bytes
	public     verifier
}

// A verifier is a public key that judges signatures of signatureSize bytes.
type verifier interface {
	verify(signed, sig []byte) bool
}

// es256 is ECDSA over SHA-256; sig is r ‖ s (COSE ES256, but for the form).
type es256 ecdsa.PublicKey

func (k *es256) verify(signed, sig []byte) bool {
	sum := sha256.Sum256(signed)
	r, s := new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:])
	return ecdsa.Verify((*ecdsa.PublicKey)(k), sum[:], r, s)
}

// okp is Ed25519 as Go verifies it: s below the group's order, R compared as bytes. The key's own form was checked when it was read.
type okp ed25519.PublicKey

func (k okp) verify(signed, sig []byte) bool {
	return ed25519.Verify(ed25519.PublicKey(k), signed, sig)
}

const maxCredential = 1023 // bytes (WebAuthn 4, credential id)

// Passkey says what a passkey's line says; false of a key of another kind.
func (k Key) Passkey() (Passkey, bool) {
	p, ok := k.held.(Passkey)
	p.Credential = bytes.Clone(p.Credential)
	return p, ok
}

func (p Passkey) fingerprint(line string) string {
	sum := sha256.Sum256([]byte(line))
	return "SHA256:" + base64.RawStdEncoding.EncodeToString(sum[:])
}

func parsePasskey(words []string) (Key, error) {
	if len(words) < 5 {
		return Key{}, fmt.Errorf("passkey has %d parts, not 5: %s <rpID> <origin> <credential id> <public key>", len(words), words[0])
	}
	p := Passkey{RPID: words[1], Origin: words[2]}
	if err := checkOrigin(p.RPID, p.Origin); err != nil {
		return Key{}, fmt.Errorf("passkey: %w", err)
	}
	var ok bool
	if p.Credential, ok = oneText(base64.RawURLEncoding, words[3]); !ok || len(p.Credential) > maxCredential {
		return Key{}, fmt.Errorf("passkey: its credential id is not 1 to %d bytes in base64url without padding", maxCredential)
	}
	point, ok := oneText(base64.StdEncoding, words[4])
	if !ok {
		return Key{}, errors.New("passkey: its public key is not in base64")
	}
	var err error
	if p.public, err = readPoint(words[0], point); err != nil {
		return Key{}, fmt.Errorf("passkey: %w", err)
	}
	return Key{line: strings.Join(words[:5], " "), held: p}, nil
}

// oneText decodes the one text of some bytes: decoders skip line feeds and stray bits.
func oneText(e *base64.Encoding, text string) ([]byte, bool) {
	b, err := e.Strict().DecodeString(text)
	return b, err == nil && len(b) > 0 && e.EncodeToString(b) == text
}

// readPoint reads a public key: P-256 compressed (SEC 1 2.3.3), 33 bytes; Ed25519, 32 bytes. Each has one form.
func readPoint(kind string, b []byte) (verifier, error) {
	if kind == statement.Passkey25519 {
		return okp(b), CheckIdentity(b)
	}
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), b)
	if x == nil {
		return nil, errors.New("its public key is not a compressed point of P-256")
	}
	return &es256{Curve: elliptic.P256(), X: x, Y: y}, nil
}

// checkOrigin accepts an origin in the form in which browsers write it, of pages that may use the rpID.
// Only https, and http on localhost, have passkeys.
func checkOrigin(rpID, origin string) error {
	scheme, rest, _ := strings.Cut(origin, "://")
	host, port, hasPort := strings.Cut(rest, ":")
	usual := map[string]string{"http": "80", "https": "443"}[scheme]
	switch {
	case !isDomain(rpID):
		return fmt.Errorf("rpID %.60q is not a domain in lower case", rpID)
	case usual == "" || !isDomain(host) || scheme == "http" && host != "localhost":
		return fmt.Errorf("origin %.60q is neither http://localhost:PORT nor https://HOST, in lower case and without a path", origin)
	case host != rpID && !strings.HasSuffix(host, "."+rpID):
		return fmt.Errorf("origin %.60q is not of the domain %s", origin, rpID)
	}
	if n, err := strconv.ParseUint(port, 10, 16); hasPort && (err != nil || n == 0 || strconv.FormatUint(n, 10) != port || port == usual) {
		return fmt.Errorf("origin %.60q has a port that browsers do not write so", origin)
	}
	return nil
}

// isDomain holds the form: "localhost", or two labels or more, the last not a number (that is an IP address).
func isDomain(s string) bool {
	labels := strings.Split(s, ".")
	last := labels[len(labels)-1]
	if len(s) > 253 || len(labels) < 2 && s != "localhost" || strings.Trim(last, "0123456789") == "" {
		return false
	}
	return !slices.ContainsFunc(labels, func(l string) bool {
		return l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.Trim(l, "abcdefghijklmnopqrstuvwxyz0123456789-") != ""
	})
}

// maxResponse bounds what a browser hands over, in bytes.
const maxResponse = 64 << 10
