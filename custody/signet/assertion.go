package signet

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

const passkeyType = "OSTRAKA PASSKEY SIGNATURE"

// assertion is a WebAuthn assertion (WebAuthn 3, 7.2).
type assertion struct {
	blob   []byte // all of it, in its one form
	data   []byte // authenticator data
	client []byte // client data JSON, as the browser wrote it
	sig    []byte // r ‖ s of P-256 with s ≤ n/2, or R ‖ S of Ed25519

	flag      byte
	counter   uint32
	collected clientData
}

// clientData is what we judge of it.
type clientData struct {
	Type, Challenge, Origin string
	CrossOrigin             bool
}

// assertCeremony is the type of client data when a passkey signs.
const assertCeremony = "webauthn.get"

const (
	authenticatorSize = 37 // no attested credential and no extension: we ask for none
	maxClientData     = 2048
	signatureSize     = 64
)

// PasskeyChallenge is what a passkey signs for one verb over a message: SHA-256 of a tlv tree of the key's line, the
// verb and the message. Without the line, a signature by a credential would also serve whoever lists the same public
// key under another credential id: only the line says whose it is.
func PasskeyChallenge(k Key, verb Verb, message []byte) [32]byte {
	return transcript.New(transcript.PasskeyChallenge).Bytes([]byte(k.line)).Bytes([]byte(verb)).Bytes(message).Sum256()
}

func parseAssertion(blob []byte) (Signature, error) {
	d := transcript.NewDecoder(blob)
	k, verb, err := readClaim(d)
	if err != nil {
		return Signature{}, err
	}
	p, ok := k.held.(Passkey)
	if !ok {
		return Signature{}, fmt.Errorf("its key is of type %s, no passkey", k.Type())
	}
	a := assertion{blob: blob}
	a.sig = d.Fixed(tagSignature, signatureSize)
	a.data, a.client = d.Fixed(tagAuthenticator, authenticatorSize), d.Bytes(tagClientData, maxClientData)
	if err := d.Done(); err != nil {
		return Signature{}, err
	}
	// Malleability: s and n−s both verify.
	if k.Type() == statement.Passkey256 && new(big.Int).SetBytes(a.sig[32:]).Cmp(halfOrder()) > 0 {
		return Signature{}, errors.New("its s is above half the order of P-256")
	}
	if err := a.checkAuthenticator(p); err != nil {
		return Signature{}, err
	}
	if err := a.checkClient(p); err != nil {
		return Signature{}, err
	}
	return Signature{k, verb.Namespace(), a}, nil
}

// halfOrder is ⌊n/2⌋ of P-256.
func halfOrder() *big.Int { return new(big.Int).Rsh(elliptic.P256().Params().N, 1) }

// Flags of authenticator data (WebAuthn 3, 6.1).
const (
	flagPresent  = 1 << 0
	flagVerified = 1 << 2
	flagEligible = 1 << 3 // may be copied
	flagCopied   = 1 << 4

	// knownFlags are those that an assertion without extensions may have.
	knownFlags = flagPresent | flagVerified | flagEligible | flagCopied
)

// checkAuthenticator holds the authenticator data to the key: WebAuthn 3, 7.2 steps 15 to 18 and 21. It is the hash of the rpID, 32
// bytes; flags, 1; counter, 4.
func (a *assertion) checkAuthenticator(p Passkey) error {
	a.flag, a.counter = a.data[32], binary.BigEndian.Uint32(a.data[33:])
	hash := sha256.Sum256([]byte(p.RPID))
	switch {
	case a.flag&^knownFlags != 0:
		return fmt.Errorf("its authenticator data has the flags %#x, of which some are unknown", a.flag)
	case a.has(flagCopied) && !a.has(flagEligible):
		return errors.New("its authenticator data calls a passkey copied that cannot be")
	case !bytes.Equal(a.data[:32], hash[:]):
		return fmt.Errorf("it was made for another rpID than %s", p.RPID)
	case !a.has(flagPresent):
		return errors.New("its authenticator saw nobody")
	case !a.has(flagVerified):
		return errors.New("its authenticator did not verify its owner, by PIN, finger or face")
	}
	return nil
}

func (a *assertion) has(flag byte) bool { return a.flag&flag != 0 }

// checkClient holds the client data to the key: steps 9 to 14, but for the challenge.
func (a *assertion) checkClient(p Passkey) error {
	c, err := readClientData(a.client)
	switch {
	case err != nil:
		return fmt.Errorf("its client data %w", err)
	case c.Type != assertCeremony:
		return fmt.Errorf("its client data is of type %.40q, not %q", c.Type, assertCeremony)
	case c.Origin != p.Origin: // byte for byte: browsers write an origin in one way
		return fmt.Errorf("it was made on a page of %.60q, not of %s", c.Origin, p.Origin)
	case c.CrossOrigin:
		return errors.New("it was made on a page within another site's page")
	}
	a.collected = c
	return nil
}

// readClientData takes what we judge from the client data: one JSON object of at most maxClientData bytes. Browsers may
// add members, which are passed over; a member that stands twice, or under a name that other readers could take
// for one of ours, is refused: two nodes must read the same.
func readClientData(raw []byte) (c clientData, err error) {
	if !utf8.Valid(raw) {
		return c, errors.New("is not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber() // of members that we pass over: any size
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return c, errors.New("is not a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return c, fmt.Errorf("is not JSON: %w", err)
		}
		name := t.(string) // the decoder takes nothing else for a name
		if seen[name] {
			return c, fmt.Errorf("has %.40q twice", name)
		}
		seen[name] = true
		if err := readMember(d, name, &c); err != nil {
			return c, fmt.Errorf("has a member %.40q that %w", name, err)
		}
	}
	if _, err := d.Token(); err != nil {
		return c, fmt.Errorf("is not JSON: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return c, errors.New("has bytes after its object")
	}
	for _, name := range []string{"type", "challenge", "origin"} {
		if !seen[name] {
			return c, fmt.Errorf("has no %q", name)
		}
	}
	return c, nil
}

// meaningful are the members of WebAuthn's client data. topOrigin is of pages within pages, tokenBinding of before level 3.
var meaningful = []string{"type", "challenge", "origin", "crossOrigin", "topOrigin", "tokenBinding"}

func readMember(d *json.Decoder, name string, c *clientData) error {
	var value any
	if err := d.Decode(&value); err != nil {
		return fmt.Errorf("is not JSON: %w", err)
	}
	text, isText := value.(string)
	switch name {
	case "type":
		c.Type = text
	case "challenge":
		c.Challenge = text
	case "origin":
		c.Origin = text
	case "crossOrigin":
		yes, ok := value.(bool)
		if !ok {
			return errors.New("is neither true nor false")
		}
		c.CrossOrigin = yes
		return nil
	default:
		if slices.ContainsFunc(meaningful, func(n string) bool { return strings.EqualFold(n, name) }) {
			return errors.New("does not belong there, or not in this case")
		}
		return nil
	}
	if !isText {
		return errors.New("is no text")
	}
	return nil
}

func (a assertion) armored() *pem.Block { return &pem.Block{Type: passkeyType, Bytes: a.blob} }

// covers is steps 12, 19 and 20: the challenge and the signature.
func (a assertion) covers(k Key, verb Verb, message []byte) error {
	challenge := PasskeyChallenge(k, verb, message)
	if a.collected.Challenge != base64.RawURLEncoding.EncodeToString(challenge[:]) {
		return errors.New("its challenge is of other bytes")
	}
	hash := sha256.Sum256(a.client)
	if p := k.held.(Passkey); !p.public.verify(slices.Concat(a.data, hash[:]), a.sig) {
		return errors.New("the signature is not this key's")
	}
	return nil
}

type ecdsaSignature struct{ R, S *big.Int }

// flags are what the authenticator asserts. A passkey that may be copied lives wherever its owner's account does.
func (a assertion) flags(Key) Flags {
	return Flags{
		SecurityKey: !a.has(flagEligible), Present: a.has(flagPresent), Verified: a.has(flagVerified), Counter: a.counter,
	}
}

// FromPasskey makes the armored signature of a browser's answer to PasskeyChallenge: response is the JSON of
// navigator.credentials.get (PublicKeyCredential.toJSON), with user verification required and no extensions.
func FromPasskey(k Key, verb Verb, message, response []byte) ([]byte, error) {
	armored, err := fromPasskey(k, verb, message, response)
	if err != nil {
		return nil, fmt.Errorf("sign with passkey %s: %w", k.Fingerprint(), err)
	}
	return armored, nil
}

func fromPasskey(k Key, verb Verb, message, response []byte) ([]byte, error) {
	p, ok := k.held.(Passkey)
	if !ok {
		return nil, fmt.Errorf("the key is of type %s, no passkey", k.Type())
	}
	if len(response) > maxResponse {
		return nil, fmt.Errorf("the answer has %d bytes, at most %d are allowed", len(response), maxResponse)
	}
	r, err := readAnswer(response)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(r.RawID, p.Credential) {
		return nil, errors.New("another passkey answered")
	}
	sig := []byte(r.Response.Signature)
	if k.Type() == statement.Passkey256 {
		if sig, err = compact(sig); err != nil {
			return nil, err
		}
	}
	e := claim(k, verb).Bytes(tagSignature, sig).Bytes(tagAuthenticator, r.Response.AuthenticatorData).Bytes(tagClientData, r.Response.ClientDataJSON)
	return checked(pem.EncodeToMemory(&pem.Block{Type: passkeyType, Bytes: e.Sum()}), k, verb, message)
}

// answer is what we take from a browser's. All of it is checked when it has become a signature.
type answer struct {
	Type     string
	RawID    octets
	Response struct{ AuthenticatorData, ClientDataJSON, Signature octets }
}

// octets are bytes in base64url, without padding.
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = base64.RawURLEncoding.AppendDecode(nil, text)
	return err
}

func readAnswer(response []byte) (r answer, err error) {
	if err = json.Unmarshal(response, &r); err != nil {
		return r, fmt.Errorf("the answer is not a passkey's, in JSON: %w", err)
	}
	if r.Type != "public-key" {
		return r, fmt.Errorf("the answer is of type %.40q, not \"public-key\"", r.Type)
	}
	return r, nil
}

// compact turns a signature in DER into r ‖ s with the lower s: authenticators give either, and each is as valid.
func compact(der []byte) ([]byte, error) {
	var sig ecdsaSignature
	rest, err := asn1.Unmarshal(der, &sig)
	n := elliptic.P256().Params().N
	if err != nil || len(rest) > 0 || sig.R.Sign() <= 0 || sig.S.Sign() <= 0 || sig.R.Cmp(n) >= 0 || sig.S.Cmp(n) >= 0 {
		return nil, errors.New("the signature is not one of P-256 in DER")
	}
	if sig.S.Cmp(halfOrder()) > 0 {
		sig.S.Sub(n, sig.S)
	}
	return append(sig.R.FillBytes(make([]byte, 32)), sig.S.FillBytes(make([]byte, 32))...), nil
}
