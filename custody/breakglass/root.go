package breakglass

import (
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"io"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/epoch"
)

// A Root is a whole root key: whoever has it has the money. It prints as "[secret]".
type Root struct {
	KeyID     [32]byte
	Suite     string
	Number    uint64 // of the epoch that it was rebuilt in
	Epoch     epoch.Hash
	Public    group.Point
	ChainCode [32]byte
	Pieces    []string // what it was rebuilt of, for people; none of a Root that was read from a file

	private group.Scalar
}

// Format redacts under every verb.
func (*Root) Format(f fmt.State, _ rune) { io.WriteString(f, secret.Redacted) } //nolint:errcheck // a printer's trouble

// Wipe overwrites the private key.
func (r *Root) Wipe() {
	if r.private != nil {
		r.private.Wipe()
	}
}

// ExposePrivate is the private key, 32 bytes: big-endian of secp256k1, little-endian of Ed25519. The caller wipes it.
func (r *Root) ExposePrivate() []byte { return r.private.Bytes() }

// child is the key at a path, and its private key, which the caller wipes (spec/derivation 4.1).
func (r *Root) child(path hd.Path) (group.Point, group.Scalar, error) {
	public, shift, err := hd.Derive(r.Public, r.ChainCode, path)
	if err != nil {
		return nil, nil, err
	}
	private := r.private.Add(shift)
	if !r.Public.Group().BaseMul(private).Equal(public) {
		private.Wipe()
		return nil, nil, fmt.Errorf("derive %v: private and public key are not of each other: this is a defect of the program", path)
	}
	return public, private, nil
}

// ExposeChild is the public and private key at a path, encoded. The caller wipes the latter.
func (r *Root) ExposeChild(path hd.Path) (public, private []byte, err error) {
	p, s, err := r.child(path)
	if err != nil {
		return nil, nil, err
	}
	defer s.Wipe()
	return p.Bytes(), s.Bytes(), nil
}

// ErrNoXPrv says that BIP 32 has no form for a key.
var ErrNoXPrv = errors.New("an extended private key is of secp256k1: Ed25519 has none that other wallets derive as we do (spec/derivation 3.4)")

// Version of BIP 32's extended private keys on main networks: xprv….
const xprvVersion = 0x0488ade4

// ExposeXPrv is the root as BIP 32's extended private key at depth 0, XPubSize characters: nothing in our derivation is hardened, so every wallet of BIP 32 derives the same keys
// below it. The caller wipes it.
func (r *Root) ExposeXPrv() ([]byte, error) {
	if r.Suite == epoch.SuiteEd25519 {
		return nil, ErrNoXPrv
	}
	private := r.private.Bytes()
	defer secret.Wipe(private)
	return xprv(r.ChainCode, private), nil
}

// SignEd25519 signs a message with the scalar at a path, as RFC 8032's verifiers take it: no wallet imports such a key, which comes of no seed (spec/derivation 3.3). Only the
// nonce differs from RFC 8032's signing, which needs the seed: it is hedged, from the key, the message and r.
func (r *Root) SignEd25519(path hd.Path, message []byte, rand io.Reader) (public, signature []byte, err error) {
	if r.Suite != epoch.SuiteEd25519 {
		return nil, nil, fmt.Errorf("key %x is of suite %s: any wallet signs with it, from its extended private key", r.KeyID[:6], r.Suite)
	}
	p, s, err := r.child(path)
	if err != nil {
		return nil, nil, err
	}
	defer s.Wipe()
	public = p.Bytes()
	digest := sha512.Sum512(message)
	n, err := share.NewNonce(transcript.BreakglassNonce, append(digest[:], public...), s, rand)
	if err != nil {
		return nil, nil, err
	}
	defer n.Wipe()
	commitment := n.Commitment().Bytes()
	h := sha512.New()
	h.Write(commitment)
	h.Write(public)
	h.Write(message)
	z, err := n.Respond(r.Public.Group().ReduceScalar(h.Sum(nil)), s)
	if err != nil {
		return nil, nil, err
	}
	signature = append(commitment, z.Bytes()...)
	if !ed25519.Verify(public, message, signature) {
		return nil, nil, errors.New("the signature that was made does not verify: this is a defect of the program; it is not given out")
	}
	return public, signature, nil
}
