package slip39

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	rounds         = 4
	baseIterations = 10000
)

// A cipher is the standard's wide-block cipher, four rounds of Feistel's network over PBKDF2 (spec/slip39 3.1): any
// passphrase decrypts to something.
type cipher struct {
	passphrase []byte
	salt       []byte
	iterations int // of a round
}

func newCipher(id uint16, extendable bool, exponent int, passphrase []byte) (cipher, error) {
	for i, c := range passphrase {
		// Letters beyond ASCII have several encodings: one who types the same passphrase on another machine would get another secret.
		if c < 32 || c > 126 {
			return cipher{}, fmt.Errorf("character %d of the passphrase is none of ASCII's printable ones: the standard allows no others", i+1)
		}
	}
	c := cipher{passphrase: passphrase, iterations: baseIterations << exponent / rounds}
	if !extendable {
		c.salt = binary.BigEndian.AppendUint16([]byte(customisation(false)), id)
	}
	return c, nil
}

func (c cipher) encrypt(plain []byte) ([]byte, error) { return c.run(plain, [rounds]byte{0, 1, 2, 3}) }
func (c cipher) decrypt(text []byte) ([]byte, error)  { return c.run(text, [rounds]byte{3, 2, 1, 0}) }

// run returns a copy: the halves exchanged after each round but the last.
func (c cipher) run(in []byte, order [rounds]byte) ([]byte, error) {
	half := len(in) / 2
	l, r := append([]byte(nil), in[:half]...), append([]byte(nil), in[half:]...)
	defer func() { secret.Wipe(l); secret.Wipe(r) }()
	for _, i := range order {
		password := append([]byte{i}, c.passphrase...)
		key, err := pbkdf2.Key(sha256.New, string(password), append(c.salt[:len(c.salt):len(c.salt)], r...), c.iterations, half)
		secret.Wipe(password)
		if err != nil {
			return nil, errors.New("this program's PBKDF2 is restricted (GODEBUG fips140=only) and cannot do what SLIP-0039 asks")
		}
		subtle.XORBytes(l, l, key)
		secret.Wipe(key)
		l, r = r, l
	}
	return append(append(make([]byte, 0, len(in)), r...), l...), nil
}
