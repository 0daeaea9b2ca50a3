package solana

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"filippo.io/edwards25519"
	"github.com/btcsuite/btcd/address/v2/base58"

	group "github.com/ostraka/ostraka/crypto/group/edwards25519"
)

// A Key is 32 bytes that the chain names something by: a wallet's public key (RFC 8032), an account, a program, a
// lookup table, a mint or a blockhash.
type Key [32]byte

// String is the key in base58.
func (k Key) String() string { return base58.Encode(k[:]) }

// ParseKey reads base58 of exactly 32 bytes, in its one form.
func ParseKey(text string) (Key, error) {
	if len(text) < 32 || len(text) > 44 {
		return Key{}, fmt.Errorf("solana address %.50q: has %d characters, want 32 to 44", text, len(text))
	}
	b := base58.Decode(text)
	if len(b) != 32 || base58.Encode(b) != text {
		return Key{}, fmt.Errorf("solana address %q: is not base58 of 32 bytes", text)
	}
	return Key(b), nil
}

// onCurve says whether some private key could belong to an address: if not, a program alone can act for it.
func onCurve(k Key) bool {
	_, err := new(edwards25519.Point).SetBytes(k[:])
	return err == nil
}

// honest says whether an address is one that key generation gives, or a program's: a point of small or mixed order is neither.
func honest(k Key) bool {
	_, err := (group.Group{}).DecodePoint(k[:])
	return err == nil || !onCurve(k)
}

// programAddress is the address that a program derives from seeds: the first off the curve, counting the last seed down from 255.
func programAddress(program Key, seeds ...[]byte) (Key, error) {
	for bump := 255; bump >= 0; bump-- {
		h := sha256.New()
		for _, s := range seeds {
			h.Write(s)
		}
		h.Write([]byte{byte(bump)})
		h.Write(program[:])
		h.Write([]byte("ProgramDerivedAddress"))
		if k := Key(h.Sum(nil)); !onCurve(k) {
			return k, nil
		}
	}
	return Key{}, errors.New("no address off the curve")
}

// AssociatedAccount is the token account that a wallet has by rule for a mint under a token program (SPLToken or
// Token2022). Who may move its tokens is its owner, which need not be the wallet any more: only the account itself says.
func AssociatedAccount(wallet, mint, program Key) (Key, error) {
	k, err := programAddress(AssociatedTokenAccount, wallet[:], program[:], mint[:])
	if err != nil {
		return Key{}, fmt.Errorf("associated account of wallet %s for mint %s: %w", wallet, mint, err)
	}
	return k, nil
}

// maxSeed is the longest seed in bytes.
const maxSeed = 32

// SeedAddress is the address that a key, base, has for a text of 1 to 32 bytes, when owned by System.
func SeedAddress(base Key, seed string) (Key, error) {
	if seed == "" || len(seed) > maxSeed || !printable(seed) {
		return Key{}, fmt.Errorf("seed %.50q: want 1 to %d printable characters", seed, maxSeed)
	}
	h := sha256.New()
	h.Write(base[:])
	h.Write([]byte(seed))
	h.Write(System[:])
	return Key(h.Sum(nil)), nil
}

// Label is a text in the manner of BIP 44 for the address at a path below a vault's root: "44/501/department/account/index".
// It is a label and no path: BIP 44's steps m/44'/501' are hardened, which needs a private key that nobody has, and
// wallets cannot derive a vault's addresses (spec/derivation 3.4).
func Label(path [3]uint32) string {
	return fmt.Sprintf("44/501/%d/%d/%d", path[0], path[1], path[2])
}
