package signet

import (
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/sha3"

	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

const accountType = "OSTRAKA EIP712 SIGNATURE"

// account is the address of an Ethereum account: the last 20 bytes of Keccak-256 over its public key's point.
type account [20]byte

func (a account) fingerprint(string) string { return a.String() }

// String has EIP 55's checksum: a letter is upper case where Keccak-256 of the lower-case digits has a nibble above 7.
func (a account) String() string {
	digits := []byte(hex.EncodeToString(a[:]))
	sum := keccak(digits)
	for i, c := range digits {
		if nibble := sum[i/2] >> (4 * (1 - i%2)) & 0xf; c >= 'a' && nibble > 7 {
			digits[i] -= 'a' - 'A'
		}
	}
	return "0x" + string(digits)
}

func accountKey(a account) Key { return Key{line: statement.EIP712 + " " + a.String(), held: a} }

func parseAccount(words []string) (Key, error) {
	if len(words) < 2 {
		return Key{}, errors.New("wallet's key has no address: eip712 0x<address>")
	}
	var a account
	digits, ok := strings.CutPrefix(words[1], "0x")
	if n, err := hex.Decode(a[:], []byte(digits[:min(len(digits), 40)])); err != nil || n != len(a) || len(digits) != 40 || !ok {
		return Key{}, fmt.Errorf("wallet's address %.60q is not 0x and 40 hex digits", words[1])
	}
	if a.String() != words[1] {
		return Key{}, fmt.Errorf("wallet's address %s does not hold its EIP 55 checksum: copy it again, as the wallet writes it", words[1])
	}
	if a == (account{}) {
		return Key{}, errors.New("wallet's address is zero, which nobody has")
	}
	return accountKey(a), nil
}

func keccak(parts ...[]byte) (sum [32]byte) {
	h := sha3.NewLegacyKeccak256()
	for _, p := range parts {
		h.Write(p)
	}
	h.Sum(sum[:0])
	return sum
}

const typedSize = 65 // r ‖ s ‖ v

// readTyped takes r ‖ s ‖ v in the one form of each signature, and gives v as a recovery id.
func readTyped(sig []byte) (rs independent.Signature, id byte, err error) {
	if len(sig) != typedSize {
		return rs, 0, fmt.Errorf("it has %d bytes, not %d", len(sig), typedSize)
	}
	rs, err = independent.ParseCompact(sig[:64])
	switch {
	case err != nil:
		return rs, 0, err
	case !rs.LowS(): // malleability: s and n−s both verify
		return rs, 0, errors.New("its s is above half the order of secp256k1")
	case sig[64] != 27 && sig[64] != 28:
		return rs, 0, fmt.Errorf("its v is %d, neither 27 nor 28", sig[64])
	}
	return rs, sig[64] - 27, nil
}

// recovered is the account under which a signature over a digest is valid.
func recovered(digest [32]byte, sig []byte) (account, error) {
	rs, id, err := readTyped(sig)
	if err != nil {
		return account{}, err
	}
	public, err := independent.Recover(&digest, rs, id)
	if err != nil {
		return account{}, err
	}
	sum := keccak(public.Uncompressed()[1:])
	return account(sum[12:]), nil
}

// typed is a signature over typed data (EIP 712).
type typed struct{ blob, sig []byte }

func parseTyped(blob []byte) (Signature, error) {
	d := transcript.NewDecoder(blob)
	k, verb, err := readClaim(d)
	if err != nil {
		return Signature{}, err
	}
	if _, ok := k.held.(account); !ok {
		return Signature{}, fmt.Errorf("its key is of type %s, no wallet's", k.Type())
	}
	sig := d.Fixed(tagSignature, typedSize)
	if err := d.Done(); err != nil {
		return Signature{}, err
	}
	if _, _, err := readTyped(sig); err != nil {
		return Signature{}, err
	}
	return Signature{k, verb.Namespace(), typed{blob, sig}}, nil
}

func (t typed) armored() *pem.Block { return &pem.Block{Type: accountType, Bytes: t.blob} }

func (t typed) covers(k Key, verb Verb, message []byte) error {
	s, err := statement.Parse(message)
	if err != nil {
		return err
	}
	digest, err := typedDigest(verb, s)
	if err != nil {
		return err
	}
	a, err := recovered(digest, t.sig)
	if err == nil && a != k.held.(account) {
		err = fmt.Errorf("it is by %s, or over other bytes", a)
	}
	return err
}

func (t typed) flags(Key) Flags { return Flags{} }

// FromWallet makes the armored signature of a wallet's answer to TypedData: 65 bytes r ‖ s ‖ v, v of 27, 28, 0 or 1.
// The key is that of the account that signed. A wallet that signed anything else shows as an account that nobody
// lists: hold the key to what the charter says.
func FromWallet(verb Verb, s statement.Statement, sig []byte) ([]byte, Key, error) {
	digest, err := typedDigest(verb, s)
	if err != nil {
		return nil, Key{}, err
	}
	if len(sig) == typedSize && sig[64] < 2 { // some wallets leave Ethereum's 27 out
		sig = append(sig[:64:64], sig[64]+27)
	}
	a, err := recovered(digest, sig)
	if err != nil {
		return nil, Key{}, fmt.Errorf("wallet's signature: %w", err)
	}
	k := accountKey(a)
	blob := claim(k, verb).Bytes(tagSignature, sig).Sum()
	armored, err := checked(pem.EncodeToMemory(&pem.Block{Type: accountType, Bytes: blob}), k, verb, s.Bytes())
	return armored, k, err
}
