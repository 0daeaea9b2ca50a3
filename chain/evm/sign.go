package evm

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/crypto"
)

// signature is r, s and the recovery id (0 or 1: the parity of R's y).
type signature struct {
	r, s  *big.Int
	recID byte
}

// Signed is a transaction with a signature that was verified.
type Signed struct {
	Transaction *Transaction
	From        Address  // recovered from the signature
	R, S        [32]byte // big-endian; s ≤ q/2
	RecID       byte     // 0 or 1
	Raw         []byte   // what is broadcast
	Hash        Hash     // Keccak-256 of Raw
}

// Digest returns the 32 bytes that are signed: Keccak-256 of the signing payload.
func (t *Transaction) Digest() [32]byte { return crypto.Keccak256Hash(t.encode(nil)) }

// Assemble puts a signature to the transaction: r and s big-endian, recID the recovery
// id. It returns it only when the signature is in low-s form and recovers from, so a
// wrong signature never leaves (spec/chain-evm 3).
func (t *Transaction) Assemble(from Address, r, s [32]byte, recID byte) (*Signed, error) {
	sig := &signature{new(big.Int).SetBytes(r[:]), new(big.Int).SetBytes(s[:]), recID}
	sender, err := t.recover(sig)
	if err != nil {
		return nil, fmt.Errorf("assemble EVM transaction: %w", err)
	}
	if sender != from {
		return nil, fmt.Errorf("assemble EVM transaction: signature is by %s, not by %s", sender, from)
	}
	raw := t.encode(sig)
	return &Signed{
		Transaction: t, From: from, R: r, S: s, RecID: recID,
		Raw: raw, Hash: Hash(crypto.Keccak256Hash(raw)),
	}, nil
}

// recover returns the signer's address.
func (t *Transaction) recover(sig *signature) (Address, error) { return sig.recover(t.Digest()) }

// recover returns whose signature over a digest it is.
func (sig *signature) recover(digest [32]byte) (Address, error) {
	if sig.recID > 1 { // r ≥ q: Ethereum has no place for ids 2 and 3
		return Address{}, fmt.Errorf("recovery id is %d; Ethereum knows 0 and 1", sig.recID)
	}
	// malleability: of s and q − s only the smaller is accepted (EIP-2)
	if !crypto.ValidateSignatureValues(sig.recID, sig.r, sig.s, true) {
		return Address{}, errors.New("signature is out of range: want 0 < r < q and 0 < s ≤ q/2")
	}
	compact := make([]byte, 65)
	sig.r.FillBytes(compact[:32])
	sig.s.FillBytes(compact[32:64])
	compact[64] = sig.recID
	key, err := crypto.SigToPub(digest[:], compact)
	if err != nil {
		return Address{}, fmt.Errorf("signature recovers no public key: %w", err)
	}
	return Address(crypto.PubkeyToAddress(*key)), nil
}

// ParseSigned reads a signed transaction as strictly as DecodeCall reads an unsigned one whose call is named, and
// recovers its sender. Which calls are was decided before it was signed.
func ParseSigned(raw []byte) (*Signed, error) {
	tx, r, err := open(raw, false)
	if err != nil {
		return nil, err
	}
	sig := tx.signature(r)
	if tx, err = tx.finish(r, raw, sig, AnyCall); err != nil {
		return nil, err
	}
	from, err := tx.recover(sig)
	if err != nil {
		return nil, refuse("signature", "%v", err)
	}
	return tx.Assemble(from, [32]byte(sig.r.FillBytes(make([]byte, 32))), [32]byte(sig.s.FillBytes(make([]byte, 32))), sig.recID)
}

// ParseAny reads a signed transaction of any type that DecodeIn takes, and recovers its sender. What it calls was decided on before it was signed:
// it is told of a transfer alone.
func ParseAny(raw []byte) (*Signed, error) {
	tx, r, err := open(raw, true)
	if err != nil {
		return nil, err
	}
	sig := tx.signature(r)
	if r.err != nil {
		return nil, r.err
	}
	if err := tx.check(); err != nil {
		return nil, err
	}
	if c, err := decodeCall(tx.to, tx.value, tx.data); err == nil {
		tx.call = c
	}
	if !bytes.Equal(tx.encode(sig), raw) {
		return nil, refuse("transaction", "is not equal to its own encoding")
	}
	from, err := tx.recover(sig)
	if err != nil {
		return nil, refuse("signature", "%v", err)
	}
	return tx.Assemble(from, [32]byte(sig.r.FillBytes(make([]byte, 32))), [32]byte(sig.s.FillBytes(make([]byte, 32))), sig.recID)
}

// signature reads what a signed transaction has after the common fields, and that nothing follows.
func (t *Transaction) signature(r *reader) *signature {
	v := r.uint64("v")
	sig := &signature{r: r.integer("r"), s: r.integer("s")}
	if r.err == nil && len(r.rest) > 0 {
		r.fail("transaction", "has fields after its signature")
	}
	switch {
	case t.kind != Legacy && v > 1:
		r.fail("v", "is %d, neither 0 nor 1", v)
	case t.kind == Legacy && v < 37:
		r.fail("v", "is %d: without EIP-155 the transaction is valid on every chain", v)
	case t.kind == Legacy:
		t.chainID, v = (v-35)/2, (v-35)%2
	}
	sig.recID = byte(v)
	return sig
}
