// Package signettest has authenticators and wallets in software, for tests. It knows nothing of statements: what it is
// given is what a browser gives to an authenticator, and a program to a wallet. Those of one seed are the same every time.
package signettest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	wallets "github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"
	"github.com/ethereum/go-ethereum/common"
	ethereum "github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
)

// A Passkey is a WebAuthn credential in an authenticator, with the browser in front of it.
type Passkey struct {
	Kind, RPID, Origin string
	ID                 []byte
	Flags              byte // user present 1, verified 4, backup eligible 8, backed up 16
	Counter            uint32
	Public             map[int]any // COSE key (RFC 9053)
	Sign               func([]byte) []byte

	point []byte
}

// NewPasskey makes a credential of http://localhost:7707, of type webauthn-p256 or webauthn-ed25519.
func NewPasskey(kind, seed string) Passkey {
	p := Passkey{Kind: kind, RPID: "localhost", Origin: "http://localhost:7707", ID: []byte("id of " + seed), Flags: 0x05, Counter: 9}
	h := sha256.Sum256([]byte(seed))
	switch kind {
	case "webauthn-p256":
		private := must(ecdsa.ParseRawPrivateKey(elliptic.P256(), h[:]))
		full := must(private.PublicKey.Bytes())
		p.point = append([]byte{2 | full[64]&1}, full[1:33]...)
		p.Public = map[int]any{1: 2, 3: -7, -1: 1, -2: full[1:33], -3: full[33:]}
		p.Sign = func(b []byte) []byte {
			sum := sha256.Sum256(b)
			return must(private.Sign(nil, sum[:], crypto.SHA256))
		}
	case "webauthn-ed25519":
		private := ed25519.NewKeyFromSeed(h[:])
		p.point = private.Public().(ed25519.PublicKey)
		p.Public = map[int]any{1: 1, 3: -8, -1: 6, -2: p.point}
		p.Sign = func(b []byte) []byte { return ed25519.Sign(private, b) }
	default:
		panic(kind)
	}
	return p
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// B64 is base64url without padding.
func B64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// Line is the key as it stands in a charter.
func (p Passkey) Line() string {
	return strings.Join([]string{p.Kind, p.RPID, p.Origin, B64(p.ID), base64.StdEncoding.EncodeToString(p.point)}, " ")
}

// Data is authenticator data (WebAuthn 3, 6.1).
func (p Passkey) Data() []byte {
	h := sha256.Sum256([]byte(p.RPID))
	return binary.BigEndian.AppendUint32(append(h[:], p.Flags), p.Counter)
}

// Attested is authenticator data with the credential's id and public key.
func (p Passkey) Attested() []byte {
	p.Flags |= 0x40
	head := binary.BigEndian.AppendUint16(append(p.Data(), make([]byte, 16)...), uint16(len(p.ID)))
	return slices.Concat(head, p.ID, must(webauthncbor.Marshal(p.Public)))
}

// ClientData is what browsers write (WebAuthn 3, 5.8.1.1).
func (p Passkey) ClientData(typ string, challenge []byte) string {
	return fmt.Sprintf(`{"type":%q,"challenge":%q,"origin":%q,"crossOrigin":false}`, typ, B64(challenge), p.Origin)
}

// Get answers as navigator.credentials.get does.
func (p Passkey) Get(challenge []byte) []byte {
	return p.Answer(p.Data(), p.ClientData("webauthn.get", challenge))
}

// Answer signs any authenticator data and client data.
func (p Passkey) Answer(data []byte, client string) []byte {
	sum := sha256.Sum256([]byte(client))
	return p.credential(map[string]any{
		"authenticatorData": B64(data), "clientDataJSON": B64([]byte(client)), "signature": B64(p.Sign(slices.Concat(data, sum[:]))),
	})
}

// Create answers as navigator.credentials.create does, without attestation.
func (p Passkey) Create(challenge []byte) []byte {
	return p.Created(p.Attested(), p.ClientData("webauthn.create", challenge))
}

// Created shows any authenticator data and client data.
func (p Passkey) Created(data []byte, client string) []byte {
	object := must(webauthncbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data}))
	return p.credential(map[string]any{"clientDataJSON": B64([]byte(client)), "attestationObject": B64(object), "transports": []string{"usb"}})
}

// credential is PublicKeyCredential.toJSON.
func (p Passkey) credential(response map[string]any) []byte {
	return must(json.Marshal(map[string]any{
		"id": B64(p.ID), "rawId": B64(p.ID), "type": "public-key", "clientExtensionResults": map[string]any{}, "response": response,
	}))
}

// A Wallet is an Ethereum account. go-ethereum hashes what it signs.
type Wallet struct{ private *secp256k1.PrivateKey }

// NewWallet makes an account.
func NewWallet(seed string) Wallet {
	h := sha256.Sum256([]byte(seed))
	return Wallet{secp256k1.PrivKeyFromBytes(h[:])}
}

// Line is the key as it stands in a charter.
func (w Wallet) Line() string {
	sum := ethereum.Keccak256(w.private.PubKey().SerializeUncompressed()[1:])
	return "eip712 " + common.BytesToAddress(sum[12:]).Hex()
}

// Sign answers eth_signTypedData_v4: r ‖ s ‖ v.
func (w Wallet) Sign(typed []byte) []byte { return w.SignDigest(Hash(typed)) }

// SignDigest signs 32 bytes, which no wallet does.
func (w Wallet) SignDigest(digest []byte) []byte {
	c := wallets.SignCompact(w.private, digest, false)
	return append(c[1:], c[0])
}

// Hash is go-ethereum's hash of typed data (EIP 712).
func Hash(typed []byte) []byte {
	var d apitypes.TypedData
	if err := json.Unmarshal(typed, &d); err != nil {
		panic(err)
	}
	h, _, err := apitypes.TypedDataAndHash(d)
	return must(h, err)
}
