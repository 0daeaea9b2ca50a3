package bitcoin

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/group/secp256k1/independent"
)

// Spent says by what an input took an output, as its witness has it.
type Spent struct {
	Recovery *Recovery // the leaf of a recovery, to which the output commits (spec/chain-bitcoin 8); nil: the output's own key, or something else
	Checked  bool      // the signature was verified here, under the output's key or the recovery's
}

// SpentBy reads how input i of a published transaction took its output. spent are the outputs that the inputs take, in their order; of one that is not known the script is empty, and
// i's is known. What a signature covers that is not known, and signatures that cover less than all (other than SIGHASH_ALL and SIGHASH_DEFAULT), leave it unchecked. A witness that no node
// of the network would have taken is an error: whoever showed it made it up.
func SpentBy(tx *psbt.Tx, i int, spent []psbt.Out) (s Spent, err error) {
	if i < 0 || i >= len(tx.Ins) || len(spent) != len(tx.Ins) {
		return s, fmt.Errorf("input %d of %d, with %d outputs", i, len(tx.Ins), len(spent))
	}
	witness, annex := tx.Ins[i].Witness, false
	form, program, _, err := Script(spent[i].Script).split()
	if err != nil {
		return s, nil //nolint:nilerr // a script without address is none of a vault's
	}
	switch form {
	case PayWitnessKeyHash:
		s.Checked, err = spentByHash(tx, i, spent, program)
	case PayTaproot:
		if n := len(witness); n > 1 && len(witness[n-1]) > 0 && witness[n-1][0] == 0x50 { // BIP 341: an annex, which no digest here covers
			witness, annex = witness[:n-1], true
		}
		whole := !annex && !slices.ContainsFunc(spent, func(o psbt.Out) bool { return len(o.Script) == 0 })
		s, err = spentByTaproot(tx, i, spent, witness, whole)
	}
	if err != nil {
		return Spent{}, fmt.Errorf("input %d of transaction %s: %w", i, tx.ID(), err)
	}
	return s, nil
}

// spentByHash verifies P2WPKH: the digest covers no other output's amount.
func spentByHash(tx *psbt.Tx, i int, spent []psbt.Out, program []byte) (checked bool, err error) {
	w := tx.Ins[i].Witness
	if len(w) != 2 || len(w[0]) < 9 {
		return false, errors.New("its witness is none of P2WPKH: want a signature and a key")
	}
	if !bytes.Equal(hash160(w[1]), program) {
		return false, errors.New("its witness holds another key than the output's")
	}
	last := len(w[0]) - 1
	if w[0][last] != 1 {
		return false, nil
	}
	sig, errSig := independent.ParseDER(w[0][:last])
	key, errKey := independent.ParsePublicKey(w[1])
	if errSig != nil || errKey != nil {
		return false, errors.Join(errSig, errKey)
	}
	digest := newDigests(tx, spent).witnessKeyHash(i)
	if !independent.Verify(key, &digest, sig) {
		return false, errors.New("its ECDSA signature does not verify")
	}
	return true, nil
}

func spentByTaproot(tx *psbt.Tx, i int, spent []psbt.Out, witness [][]byte, whole bool) (s Spent, err error) {
	if len(witness) == 0 {
		return s, errors.New("it has no witness, and Taproot wants one")
	}
	key, sig := spent[i].Script[2:], witness[0]
	var leaf *[32]byte
	if len(witness) == 3 {
		if s.Recovery = recoveryOf(witness[1], witness[2], spent[i].Script); s.Recovery == nil {
			return s, nil
		}
		root := s.Recovery.Root()
		key, leaf = s.Recovery.Key[:], &root
	} else if len(witness) > 1 {
		return s, nil
	}
	if len(sig) != 64 || !whole {
		return s, nil
	}
	if err := verifySchnorr(key, newDigests(tx, spent).taproot(i, leaf), sig); err != nil {
		return s, err
	}
	s.Checked = true
	return s, nil
}

// recoveryOf reads a leaf that is a recovery's, and to which the output commits with that control block; nil: it is none.
func recoveryOf(leaf, control, script []byte) *Recovery {
	if len(leaf) < 36 || len(leaf) > 39 || len(control) != 33 || leaf[0] != 32 {
		return nil
	}
	r := Recovery{Key: [32]byte(leaf[1:33])}
	switch age := leaf[34 : len(leaf)-1]; len(age) {
	case 1:
		r.Blocks = uint16(age[0]) - 0x50
	case 2:
		r.Blocks = uint16(age[1])
	default:
		r.Blocks = uint16(age[1]) | uint16(age[2])<<8
	}
	internal, err := secp256k1.DecodePoint(append([]byte{2}, control[1:]...))
	if err != nil || r.Check() != nil || !bytes.Equal(r.Script(), leaf) { // any other script comes out as another one
		return nil
	}
	want, errControl := r.ControlBlock(internal)
	out, errOut := r.Output(internal)
	if errControl != nil || errOut != nil || !bytes.Equal(want, control) || !bytes.Equal(TaprootScript(out), script) {
		return nil
	}
	return &r
}
