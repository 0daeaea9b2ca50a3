package psbt

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
)

// An ID is a transaction's id in the order in which transactions hold it; String writes it as people do, last byte first.
type ID [32]byte

// String is 64 lower-case hex digits.
func (i ID) String() string {
	slices.Reverse(i[:])
	return hex.EncodeToString(i[:])
}

// ParseID reads what String writes.
func ParseID(s string) (ID, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 32 || hex.EncodeToString(b) != s {
		return ID{}, fmt.Errorf("transaction id %.70q: want 64 lower-case hex digits", s)
	}
	slices.Reverse(b)
	return ID(b), nil
}

// An Outpoint names an output of a transaction.
type Outpoint struct {
	ID    ID
	Index uint32
}

// String is "txid:index".
func (o Outpoint) String() string { return fmt.Sprintf("%s:%d", o.ID, o.Index) }

// Bytes are 36: the id, and the index, the lower byte first.
func (o Outpoint) Bytes() []byte {
	return binary.LittleEndian.AppendUint32(slices.Clone(o.ID[:]), o.Index)
}

// An In spends an output.
type In struct {
	Outpoint
	Script   []byte // scriptSig
	Sequence uint32
	Witness  [][]byte
}

// An Out is an amount in satoshis, and whose it is.
type Out struct {
	Amount uint64
	Script []byte
}

// Bytes are the amount in 8 bytes, the lower first, and the script with its length.
func (o Out) Bytes() []byte {
	return appendBytes(binary.LittleEndian.AppendUint64(nil, o.Amount), o.Script)
}

// ParseOut reads what Bytes writes.
func ParseOut(b []byte) (Out, error) {
	r := &reader{rest: b}
	o := Out{r.uint64(), r.bytes()}
	return o, r.end()
}

// A Tx is a transaction of Bitcoin.
type Tx struct {
	Version  uint32
	Ins      []In
	Outs     []Out
	LockTime uint32
}

const (
	leastIn  = 36 + 1 + 4
	leastOut = 8 + 1
)

// ParseTx reads a transaction, with or without witnesses (BIP 144), of at least one input and output. Slices of it point into b.
func ParseTx(b []byte) (*Tx, error) {
	r := &reader{rest: b}
	t, err := r.tx(true)
	if err == nil {
		err = r.end()
	}
	if err != nil {
		return nil, fmt.Errorf("transaction %w", err)
	}
	return t, nil
}

// NextTx reads the transaction at the front of b, as it lies in a block: raw is what it takes of b, rest what follows. Witnesses are held to their form and left out of
// it: its id does not cover them, and items of no bytes would take 24 times the room of their block.
func NextTx(b []byte) (t *Tx, raw, rest []byte, err error) {
	r := &reader{rest: b}
	if t, err = r.tx(false); err != nil {
		return nil, nil, nil, fmt.Errorf("transaction %w", err)
	}
	n := len(b) - len(r.rest)
	return t, b[:n:n], r.rest, nil
}

// tx reads one transaction, and its witnesses where they are kept.
func (r *reader) tx(keep bool) (*Tx, error) {
	t := &Tx{Version: r.uint32()}
	witness := len(r.rest) > 1 && r.rest[0] == 0
	if witness {
		if r.take(2)[1] != 1 {
			return nil, errors.New("has no inputs, or a flag that is unknown")
		}
	}
	n := r.count(leastIn)
	t.Ins = make([]In, 0, n)
	for range n {
		in := In{Outpoint: Outpoint{Index: 0}}
		copy(in.ID[:], r.take(32))
		in.Index, in.Script, in.Sequence = r.uint32(), r.bytes(), r.uint32()
		t.Ins = append(t.Ins, in)
	}
	n = r.count(leastOut)
	t.Outs = make([]Out, 0, n)
	for range n {
		t.Outs = append(t.Outs, Out{r.uint64(), r.bytes()})
	}
	if witness && !r.witnesses(t, keep) && r.err == nil {
		return nil, errors.New("says that it has witnesses, and has none")
	}
	t.LockTime = r.uint32()
	switch {
	case r.err != nil:
		return nil, r.err
	case len(t.Ins) == 0 || len(t.Outs) == 0:
		return nil, fmt.Errorf("has %d inputs and %d outputs", len(t.Ins), len(t.Outs))
	}
	return t, nil
}

// witnesses reads those of each input, and says whether any has one.
func (r *reader) witnesses(t *Tx, keep bool) (some bool) {
	for i := range t.Ins {
		for range r.count(1) {
			item := r.bytes()
			if some = true; keep {
				t.Ins[i].Witness = append(t.Ins[i].Witness, item)
			}
		}
	}
	return some
}

// Bare is the transaction without witnesses: what its id is made of.
func (t *Tx) Bare() []byte { return t.encode(false) }

// Bytes is the transaction as it is broadcast: with witnesses if it has any.
func (t *Tx) Bytes() []byte { return t.encode(t.HasWitness()) }

// HasWitness says whether any input has a witness.
func (t *Tx) HasWitness() bool {
	return slices.ContainsFunc(t.Ins, func(i In) bool { return len(i.Witness) > 0 })
}

func (t *Tx) encode(witness bool) []byte {
	b := binary.LittleEndian.AppendUint32(nil, t.Version)
	if witness {
		b = append(b, 0, 1)
	}
	b = AppendCompact(b, uint64(len(t.Ins)))
	for _, in := range t.Ins {
		b = append(b, in.ID[:]...)
		b = binary.LittleEndian.AppendUint32(b, in.Index)
		b = binary.LittleEndian.AppendUint32(appendBytes(b, in.Script), in.Sequence)
	}
	b = AppendCompact(b, uint64(len(t.Outs)))
	for _, o := range t.Outs {
		b = appendBytes(binary.LittleEndian.AppendUint64(b, o.Amount), o.Script)
	}
	if witness {
		for _, in := range t.Ins {
			b = AppendWitness(b, in.Witness)
		}
	}
	return binary.LittleEndian.AppendUint32(b, t.LockTime)
}

// AppendWitness writes a witness: how many items, and each with its length.
func AppendWitness(b []byte, items [][]byte) []byte {
	b = AppendCompact(b, uint64(len(items)))
	for _, item := range items {
		b = appendBytes(b, item)
	}
	return b
}

// ID is the transaction's id: SHA-256 twice of Bare.
func (t *Tx) ID() ID { return doubled(t.Bare()) }

// WitnessID is SHA-256 twice of Bytes.
func (t *Tx) WitnessID() ID { return doubled(t.Bytes()) }

func doubled(b []byte) ID {
	once := sha256.Sum256(b)
	return sha256.Sum256(once[:])
}

// Weight is BIP 141's: four times the bytes without witnesses, and once those of witnesses.
func (t *Tx) Weight() int { return 3*len(t.Bare()) + len(t.Bytes()) }

// VSize is a weight in virtual bytes: a quarter, rounded up.
func VSize(weight int) int { return (weight + 3) / 4 }
