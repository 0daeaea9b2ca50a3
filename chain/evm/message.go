package evm

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/crypto"
)

// MessageDigest is what wallets sign for a text (EIP-191, version 0x45): no transaction begins with 0x19.
func MessageDigest(text []byte) [32]byte {
	prefix := fmt.Sprintf("\x19Ethereum Signed Message:\n%d", len(text))
	return [32]byte(crypto.Keccak256([]byte(prefix), text))
}

// RecoverMessage is who signed a message's digest: 65 bytes r ‖ s ‖ v with low s, v 27 or 28.
func RecoverMessage(digest [32]byte, sig []byte) (Address, error) {
	if len(sig) != 65 {
		return Address{}, fmt.Errorf("signature has %d bytes, not 65", len(sig))
	}
	v := sig[64] - 27
	if v > 1 || !crypto.ValidateSignatureValues(v, new(big.Int).SetBytes(sig[:32]), new(big.Int).SetBytes(sig[32:64]), true) {
		return Address{}, errors.New("signature is out of range: want 0 < r < q, 0 < s ≤ q/2, and v 27 or 28")
	}
	key, err := crypto.SigToPub(digest[:], append(bytes.Clone(sig[:64]), v))
	if err != nil {
		return Address{}, fmt.Errorf("recover the signer: %w", err)
	}
	return Address(crypto.PubkeyToAddress(*key)), nil
}
