package bitcoin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/chain/effect"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
)

// Signed is a transaction all of whose signatures were verified.
type Signed struct {
	Raw       []byte // what is broadcast
	ID        string // the transaction's id, as people write it
	WitnessID string // the id of the whole with its witnesses
	VSize     int    // virtual bytes
}

func signed(tx *psbt.Tx) *Signed {
	return &Signed{Raw: tx.Bytes(), ID: tx.ID().String(), WitnessID: tx.WitnessID().String(), VSize: psbt.VSize(tx.Weight())}
}

// bare copies a transaction, so that witnesses can be put into the copy.
func bare(tx *psbt.Tx) *psbt.Tx {
	c := *tx
	c.Ins = slices.Clone(tx.Ins)
	return &c
}

func verifySchnorr(key []byte, digest [32]byte, sig []byte) error {
	if err := independent.VerifySchnorr(key, digest[:], sig); err != nil {
		return fmt.Errorf("BIP 340 signature: %w", err)
	}
	return nil
}

// verifyECDSA wants s in its lower half: the other is a second transaction of other bytes that says the same, which nodes do not relay.
func verifyECDSA(key []byte, digest [32]byte, s independent.Signature) error {
	public, err := independent.ParsePublicKey(key)
	switch {
	case err != nil:
		return err
	case !s.LowS():
		return errors.New("ECDSA signature: s is above q/2")
	case !independent.Verify(public, &digest, s):
		return errors.New("ECDSA signature does not verify")
	}
	return nil
}

// witness verifies a signature, with other code than what made it, and makes the input's witness of it.
func (in Input) witness(sig [64]byte) ([][]byte, error) {
	if in.Suite == SuiteBIP340 {
		return [][]byte{bytes.Clone(sig[:])}, verifySchnorr(in.owned.script[2:], in.digest, sig[:])
	}
	s, err := independent.ParseCompact(sig[:])
	if err != nil {
		return nil, fmt.Errorf("ECDSA signature: %w", err)
	}
	return [][]byte{append(s.DER(), 1), bytes.Clone(in.owned.key.Public)}, verifyECDSA(in.owned.key.Public, in.digest, s)
}

// Assemble puts signatures in, in the order of Uses, and verifies each.
func (t *Transaction) Assemble(sigs []effect.Signature) (*Signed, error) {
	if len(sigs) != len(t.ins) {
		return nil, fmt.Errorf("assemble Bitcoin transaction: %d signatures for %d inputs", len(sigs), len(t.ins))
	}
	tx := bare(t.tx)
	for i, in := range t.ins {
		w, err := in.witness(sigs[i].Bytes)
		if err != nil {
			return nil, fmt.Errorf("assemble Bitcoin transaction: input %d of %s: %w", i, in.Spot, err)
		}
		tx.Ins[i].Witness = w
	}
	return signed(tx), nil
}

// ParseSigned reads what somebody published, and finds that it is this transaction with signatures that verify, in the one form that Assemble writes. All else is a *Refused.
func (t *Transaction) ParseSigned(raw []byte) (*Signed, []effect.Signature, error) {
	if len(raw) > MaxLen {
		return nil, nil, refuse("packet", "signed transaction has %d bytes, more than %d", len(raw), MaxLen)
	}
	tx, err := psbt.ParseTx(bytes.Clone(raw))
	switch {
	case err != nil:
		return nil, nil, refuse("packet", "signed %v", err)
	case !bytes.Equal(tx.Bare(), t.tx.Bare()):
		return nil, nil, refuse("packet", "signed transaction %s is another than %s", tx.ID(), t.tx.ID())
	}
	sigs := make([]effect.Signature, len(t.ins))
	for i, in := range t.ins {
		w := tx.Ins[i].Witness
		switch {
		case in.Suite == SuiteBIP340 && len(w) == 1 && len(w[0]) == 64:
			sigs[i].Bytes = [64]byte(w[0])
		case in.Suite == SuiteECDSA && len(w) == 2 && len(w[0]) > 1:
			s, err := independent.ParseDER(w[0][:len(w[0])-1])
			if err != nil {
				return nil, nil, refuse(fmt.Sprintf("input %d", i), "witness: %v", err)
			}
			sigs[i].Bytes = [64]byte(s.Compact())
		default:
			return nil, nil, refuse(fmt.Sprintf("input %d", i), "witness is none of %s", in.Spot)
		}
	}
	s, err := t.Assemble(sigs)
	if err != nil {
		return nil, nil, refuse("signature", "%v", err)
	}
	if !bytes.Equal(s.Raw, raw) {
		return nil, nil, refuse("packet", "signed transaction is not equal to its own encoding")
	}
	return s, sigs, nil
}
