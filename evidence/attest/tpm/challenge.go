package tpm

import (
	"bytes"
	"crypto/aes"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
)

// identity is the label of TPM2_MakeCredential, with the zero that ends it.
var identity = []byte("IDENTITY\x00")

// NewChallenge hides a secret so that only the TPM which holds both this endorsement key and this attestation key can tell it (spec/attest 8.3;
// TPM 2.0 part 1, 24). It computes alone: random gives the secret and what hides it, 64 bytes or more.
func NewChallenge(random io.Reader, ek, ak []byte) (c *Challenge, secret [SecretSize]byte, err error) {
	e, err := readEK(ek)
	if err != nil {
		return nil, secret, err
	}
	a, err := readAK(ak)
	if err != nil {
		return nil, secret, err
	}
	if _, err = io.ReadFull(random, secret[:]); err != nil {
		return nil, secret, fmt.Errorf("draw a challenge's secret: %w", err)
	}
	seed, sealed, err := e.encapsulate(random)
	if err != nil {
		return nil, secret, fmt.Errorf("hide a challenge under the endorsement key: %w", err)
	}
	return &Challenge{Credential: credential(seed, a.name(), secret[:]), Secret: sealed}, secret, nil
}

// encapsulate makes a seed that only the holder of the key finds (part 1, annexes B.10.4 and C.6.4).
func (p *public) encapsulate(random io.Reader) (seed, sealed []byte, err error) {
	if p.rsa != nil {
		seed = make([]byte, sha256.Size)
		if _, err := io.ReadFull(random, seed); err != nil {
			return nil, nil, err
		}
		sealed, err = rsa.EncryptOAEP(sha256.New(), random, p.rsa, seed, identity)
		return seed, sealed, err
	}
	theirs, err := p.dh()
	if err != nil {
		return nil, nil, err
	}
	ours, err := ephemeral(random)
	if err != nil {
		return nil, nil, err
	}
	z, err := ours.ECDH(theirs)
	if err != nil {
		return nil, nil, err
	}
	e, s := ours.PublicKey().Bytes()[1:], theirs.Bytes()[1:]
	sealed = append(tpm2B(e[:32]), tpm2B(e[32:])...)
	return kdfE(z, e[:32], s[:32]), sealed, nil
}

// ephemeral draws a key for one use. GenerateKey would draw from the system, whatever it is given. A draw that is no scalar, one in 2³², is
// taken again.
func ephemeral(random io.Reader) (*ecdh.PrivateKey, error) {
	for range 8 {
		var b [32]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return nil, err
		}
		if key, err := ecdh.P256().NewPrivateKey(b[:]); err == nil {
			return key, nil
		}
	}
	return nil, fmt.Errorf("eight draws gave no scalar: the source is broken")
}

// credential is the contents of TPM2B_ID_OBJECT: an HMAC, and the secret under AES-CFB without an initial value.
func credential(seed, name, secret []byte) []byte {
	hidden := cfb(kdfA(seed, "STORAGE\x00", name, 128), tpm2B(secret))
	mac := hmac.New(sha256.New, kdfA(seed, "INTEGRITY\x00", nil, 256))
	mac.Write(hidden)
	mac.Write(name)
	return append(tpm2B(mac.Sum(nil)), hidden...)
}

func tpm2B(b []byte) []byte {
	return append(binary.BigEndian.AppendUint16(nil, uint16(len(b))), b...)
}

// kdfE derives a seed from a shared point (part 1, 11.4.10.3).
func kdfE(z, ours, theirs []byte) []byte {
	sum := sha256.Sum256(bytes.Join([][]byte{{0, 0, 0, 1}, z, identity, ours, theirs}, nil))
	return sum[:]
}

// kdfA derives a key of at most 256 bits (part 1, 11.4.10.2). The label ends in zero.
func kdfA(key []byte, label string, context []byte, bits uint32) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte{0, 0, 0, 1})
	mac.Write([]byte(label))
	mac.Write(context)
	mac.Write(binary.BigEndian.AppendUint32(nil, bits))
	return mac.Sum(nil)[:bits/8]
}

// cfb is AES in cipher feedback, as TPMs use it. Its integrity is the HMAC's.
func cfb(key, plain []byte) []byte {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // 16 bytes
	}
	out, last := bytes.Clone(plain), make([]byte, aes.BlockSize)
	for at := 0; at < len(out); at += aes.BlockSize {
		block.Encrypt(last, last)
		part := out[at:min(at+aes.BlockSize, len(out))]
		for i := range part {
			part[i] ^= last[i]
		}
		copy(last, part)
	}
	return out
}
