package pve

import (
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Rows is how many times s is split. There is no option to have fewer, and the compiler holds it there: a verifier that takes
// fewer repetitions is the c-split attack of TSSHOCK.
const Rows = 128

// The array's length is negative unless Rows is 128, and what one proof's digest picks is as long.
var (
	_ = [1]struct{}{}[Rows-128]
	_ = [1]struct{}{}[Rows-8*challengeSize]
)

const (
	digestSize    = sha256.Size
	challengeSize = 16 // bytes of the digest that pick sides
	seedSize      = 32
	sealedSize    = KeySize + group.ScalarSize + chacha20poly1305.Overhead // 80

	// MinSize and MaxSize are the lengths of a proof in bytes that opens side 1 nowhere and everywhere: 14,368 and 18,464.
	MinSize = digestSize + Rows*(sealedSize+seedSize)
	MaxSize = MinSize + Rows*group.ScalarSize
)

// A row is what the digest covers of one row.
type row struct {
	sealed [2][]byte // c_{j,b}
	point  []byte    // X_{j,0}, encoded
}

// derive is HMAC-SHA512(seed; label, H(ctx), j, b): the coins of one side for one use. spec/pve 3.3
func (f *frame) derive(label transcript.Label, j, side int, seed []byte) []byte {
	mac := hmac.New(sha512.New, seed)
	mac.Write(transcript.New(label).Bytes(f.digest[:]).Uint(uint64(j)).Uint(uint64(side)).Tree())
	return mac.Sum(nil)
}

// share is x_{j,0}, from the seed of side 0.
func (f *frame) share(j int, seed []byte) group.Scalar {
	wide := f.derive(transcript.PVEShare, j, 0, seed)
	defer secret.Wipe(wide)
	return f.Group.ReduceScalar(wide[:f.Group.WideSize()])
}

// seal is c_{j,b} = epk ‖ AEAD(K, N; x_{j,b}), with the ephemeral key from the side's seed; varTime is for opened sides, where both are public.
// spec/pve 3.4
func (f *frame) seal(j, side int, seed []byte, x group.Scalar, varTime bool) ([]byte, error) {
	coins := f.derive(transcript.PVEEphemeral, j, side, seed)
	defer secret.Wipe(coins)
	epk, dh, err := f.to.ephemeral(coins[:KeySize], varTime)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(dh)
	plain := x.Bytes()
	defer secret.Wipe(plain)
	out := make([]byte, KeySize, sealedSize)
	copy(out, epk)
	return f.aead(j, side, epk, dh, func(a aead, nonce []byte) ([]byte, error) {
		return a.Seal(out, nonce, plain, nil), nil
	})
}

var errUnopened = errors.New("ciphertext does not open")

// unseal is x_{j,b} from its ciphertext. That it opens proves nothing: the caller checks against P.
func (f *frame) unseal(j, side int, sealed []byte, k *ecdh.PrivateKey) (group.Scalar, error) {
	epk := sealed[:KeySize]
	if err := checkU((*[KeySize]byte)(epk)); err != nil {
		return nil, err
	}
	from, err := ecdh.X25519().NewPublicKey(epk)
	if err != nil {
		return nil, err
	}
	dh, err := k.ECDH(from)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(dh)
	plain, err := f.aead(j, side, epk, dh, func(a aead, nonce []byte) ([]byte, error) {
		return a.Open(nil, nonce, sealed[KeySize:], nil)
	})
	if err != nil {
		return nil, errUnopened
	}
	defer secret.Wipe(plain)
	return f.Group.DecodeScalar(plain)
}

type aead interface {
	Seal(dst, nonce, plaintext, additionalData []byte) []byte
	Open(dst, nonce, ciphertext, additionalData []byte) ([]byte, error)
}

// aead runs use under K ‖ N, one key per ciphertext.
func (f *frame) aead(j, side int, epk, dh []byte, use func(a aead, nonce []byte) ([]byte, error)) ([]byte, error) {
	kn, err := f.key(j, side, epk, dh)
	if err != nil {
		return nil, err
	}
	defer secret.Wipe(kn)
	a, err := chacha20poly1305.New(kn[:chacha20poly1305.KeySize])
	if err != nil {
		return nil, err
	}
	return use(a, kn[chacha20poly1305.KeySize:])
}

// key is K ‖ N = HKDF-SHA256(DH; salt H(ctx); info of the side, epk and ek). spec/pve 3.4
func (f *frame) key(j, side int, epk, dh []byte) ([]byte, error) {
	info := transcript.New(transcript.PVESealKey).Uint(uint64(j)).Uint(uint64(side)).Bytes(epk).Bytes(f.Key[:]).Tree()
	return hkdf.Key(sha256.New, dh, f.digest[:], string(info), chacha20poly1305.KeySize+chacha20poly1305.NonceSize)
}

// hash is h: over ctx and, row by row, both ciphertexts and the point. spec/pve 3.5
func (f *frame) hash(rows *[Rows]row) [digestSize]byte {
	all := make([][]byte, 0, 3*Rows)
	for j := range rows {
		all = append(all, rows[j].sealed[0], rows[j].sealed[1], rows[j].point)
	}
	return transcript.New(transcript.PVEDigest).Bytes(f.tree).List(all...).Sum256()
}

// opened is the side of row j that h opens: bit j of its first 16 bytes, the least significant bit of a byte first.
func opened(h []byte, j int) int { return int(h[j/8]>>(j%8)) & 1 }
