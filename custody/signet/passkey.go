package signet

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/ostraka/ostraka/custody/statement"
)

// A Passkey is a WebAuthn credential. It signs on pages of one origin alone, which a browser vouches for: so the origin
// stands in the key's line, and a charter's people read it there.
type Passkey struct {
	RPID       string // a domain: the origin's host, or a domain above it
	Origin     string // "http://localhost:PORT" or "https://HOST", as browsers write it
	Credential []byte // its id, 1 to 1023 bytes
	public     cose
}

// cose is a key that verifies the bytes of a signature as authenticators make them.
type cose interface {
	Verify(data, sig []byte) (bool, error)
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
func readPoint(kind string, b []byte) (cose, error) {
	if kind == statement.Passkey25519 {
		return &webauthncose.OKPPublicKeyData{
			PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.OctetKey), Algorithm: int64(webauthncose.AlgEdDSA)},
			Curve:         int64(webauthncose.Ed25519), XCoord: b,
		}, CheckIdentity(b)
	}
	x, y := elliptic.UnmarshalCompressed(elliptic.P256(), b)
	if x == nil {
		return nil, errors.New("its public key is not a compressed point of P-256")
	}
	return &webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)},
		Curve:         int64(webauthncose.P256), XCoord: x.FillBytes(make([]byte, 32)), YCoord: y.FillBytes(make([]byte, 32)),
	}, nil
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

// RegisterPasskey makes the key of a credential that a browser has just created: response is the JSON of
// navigator.credentials.create (PublicKeyCredential.toJSON), challenge what the page was given for it. The user must
// have been verified. Who made the authenticator is not asked: its owner says in the charter that the key is theirs.
func RegisterPasskey(rpID, origin string, challenge, response []byte) (Key, error) {
	k, err := registerPasskey(rpID, origin, challenge, response)
	if err != nil {
		return Key{}, fmt.Errorf("register passkey: %w", err)
	}
	return k, nil
}

func registerPasskey(rpID, origin string, challenge, response []byte) (Key, error) {
	if len(response) > maxResponse {
		return Key{}, fmt.Errorf("the answer has %d bytes, at most %d are allowed", len(response), maxResponse)
	}
	r, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Key{}, err
	}
	if r.Response.CollectedClientData.Origin != origin {
		return Key{}, fmt.Errorf("it was made on a page of %.60q, not of %s", r.Response.CollectedClientData.Origin, origin)
	}
	var kinds []protocol.CredentialParameter
	for _, alg := range PasskeyAlgorithms {
		kinds = append(kinds, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: webauthncose.COSEAlgorithmIdentifier(alg)})
	}
	_, err = r.Verify(base64.RawURLEncoding.EncodeToString(challenge), rpID, []string{origin}, nil, nil, protocol.TopOriginExplicitVerificationMode,
		false, true, true, nil, kinds, protocol.AttestationPolicy{}, protocol.SignaturePolicy{})
	if err != nil {
		return Key{}, err
	}
	public, err := webauthncose.ParsePublicKey(r.Response.AttestationObject.AuthData.AttData.CredentialPublicKey)
	if err != nil {
		return Key{}, err
	}
	kind, point := "", []byte(nil)
	switch p := public.(type) {
	case webauthncose.EC2PublicKeyData:
		kind, point = statement.Passkey256, append([]byte{2 | p.YCoord[31]&1}, p.XCoord...)
	case webauthncose.OKPPublicKeyData:
		kind, point = statement.Passkey25519, p.XCoord
	default:
		return Key{}, fmt.Errorf("its key is %T, neither P-256 nor Ed25519", public)
	}
	return parsePasskey([]string{
		kind, rpID, origin, base64.RawURLEncoding.EncodeToString(r.RawID), base64.StdEncoding.EncodeToString(point),
	})
}

// PasskeyAlgorithms are what a page asks an authenticator for (pubKeyCredParams): COSE numbers of ES256 and EdDSA.
var PasskeyAlgorithms = [2]int{int(webauthncose.AlgES256), int(webauthncose.AlgEdDSA)}
