package bitcoin

import (
	"crypto/sha256"
	"encoding/binary"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// digests is what all digests of one transaction have in common, hashed once: else the work would grow with the square of the inputs.
type digests struct {
	tx                                             *psbt.Tx
	spent                                          []psbt.Out
	prevouts, amounts, scripts, sequences, outputs [32]byte // BIP 341: SHA-256 once; BIP 143 hashes again
}

// newDigests takes the outputs that are spent, in the order of the inputs.
func newDigests(tx *psbt.Tx, spent []psbt.Out) *digests {
	d := &digests{tx: tx, spent: spent}
	var prevouts, amounts, scripts, sequences, outputs []byte
	for i, in := range tx.Ins {
		prevouts = append(prevouts, in.Outpoint.Bytes()...)
		sequences = binary.LittleEndian.AppendUint32(sequences, in.Sequence)
		amounts = binary.LittleEndian.AppendUint64(amounts, spent[i].Amount)
		scripts = append(psbt.AppendCompact(scripts, uint64(len(spent[i].Script))), spent[i].Script...)
	}
	for _, out := range tx.Outs {
		outputs = append(outputs, out.Bytes()...)
	}
	d.prevouts, d.amounts, d.scripts = sha256.Sum256(prevouts), sha256.Sum256(amounts), sha256.Sum256(scripts)
	d.sequences, d.outputs = sha256.Sum256(sequences), sha256.Sum256(outputs)
	return d
}

func four(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }

// witnessKeyHash is BIP 143's digest of an input that spends P2WPKH, SIGHASH_ALL.
func (d *digests) witnessKeyHash(i int) [32]byte {
	again := func(once [32]byte) []byte { h := sha256.Sum256(once[:]); return h[:] }
	in := d.tx.Ins[i]
	code := append(append([]byte{25, 0x76, 0xa9, 20}, d.spent[i].Script[2:]...), 0x88, 0xac)
	return doubled(four(d.tx.Version), again(d.prevouts), again(d.sequences), in.Outpoint.Bytes(), code, binary.LittleEndian.AppendUint64(nil, d.spent[i].Amount),
		four(in.Sequence), again(d.outputs), four(d.tx.LockTime), four(1))
}

// taproot is BIP 341's digest of an input, SIGHASH_DEFAULT, without annex: by the key, or with the hash of a leaf by that leaf (BIP 342).
func (d *digests) taproot(i int, leaf *[32]byte) [32]byte {
	parts := [][]byte{
		{0, 0}, four(d.tx.Version), four(d.tx.LockTime), d.prevouts[:], d.amounts[:], d.scripts[:], d.sequences[:], d.outputs[:],
	}
	if leaf == nil {
		return tagged("TapSighash", append(parts, []byte{0}, four(uint32(i)))...)
	}
	return tagged("TapSighash", append(parts, []byte{2}, four(uint32(i)), leaf[:], []byte{0}, four(0xffffffff))...)
}
