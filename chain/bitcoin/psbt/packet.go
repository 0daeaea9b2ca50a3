package psbt

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// Magic begins every packet.
const Magic = "psbt\xff"

// Types of BIP 174's and BIP 371's fields, the first byte of their keys.
const (
	GlobalTx      = 0x00
	GlobalXPub    = 0x01
	GlobalVersion = 0xfb

	InPrevious    = 0x00 // NON_WITNESS_UTXO: the transaction whose output is spent
	InOutput      = 0x01 // WITNESS_UTXO: that output
	InPartial     = 0x02
	InSighash     = 0x03
	InRedeem      = 0x04
	InWitness     = 0x05
	InDerivation  = 0x06
	InFinalSig    = 0x07
	InFinal       = 0x08
	InKeySig      = 0x13
	InScriptSig   = 0x14
	InLeaf        = 0x15
	InTapPath     = 0x16
	InInternalKey = 0x17
	InRoot        = 0x18

	OutRedeem      = 0x00
	OutWitness     = 0x01
	OutDerivation  = 0x02
	OutInternalKey = 0x05
	OutTree        = 0x06
	OutTapPath     = 0x07

	Proprietary = 0xfc
)

// A Field is one entry of a map. The key's first byte is its type.
type Field struct{ Key, Value []byte }

// A Map is what a packet says of the whole, of an input or of an output: fields with different keys.
type Map []Field

// Get is the value of a key that is its type alone.
func (m Map) Get(kind byte) ([]byte, bool) {
	for _, f := range m {
		if len(f.Key) == 1 && f.Key[0] == kind {
			return f.Value, true
		}
	}
	return nil, false
}

// Sort puts fields in the order of their keys' bytes.
func (m Map) Sort() {
	slices.SortFunc(m, func(a, b Field) int { return bytes.Compare(a.Key, b.Key) })
}

// Sorted says whether fields stand in that order, and none twice.
func (m Map) Sorted() bool {
	for i := 1; i < len(m); i++ {
		if bytes.Compare(m[i-1].Key, m[i].Key) >= 0 {
			return false
		}
	}
	return true
}

// A Packet is a partially signed transaction of version 0: the transaction without signatures, and what is said of it.
type Packet struct {
	Tx     *Tx
	Global Map // without the transaction
	Ins    []Map
	Outs   []Map
}

// Parse reads a packet. Its fields may be any, in any order; the transaction has neither scripts of inputs nor witnesses. Slices point into b.
func Parse(b []byte) (*Packet, error) {
	rest, ok := bytes.CutPrefix(b, []byte(Magic))
	if !ok {
		return nil, errors.New("packet does not begin with psbt and 0xff")
	}
	r := &reader{rest: rest}
	p := &Packet{Global: r.fields()}
	if r.err != nil {
		return nil, fmt.Errorf("packet: global map: %w", r.err)
	}
	raw, ok := p.Global.Get(GlobalTx)
	if !ok {
		return nil, errors.New("packet has no unsigned transaction; version 2 (BIP 370) is not read")
	}
	p.Global = slices.DeleteFunc(p.Global, func(f Field) bool { return len(f.Key) == 1 && f.Key[0] == GlobalTx })
	var err error
	if p.Tx, err = ParseTx(raw); err != nil {
		return nil, fmt.Errorf("packet: unsigned %w", err)
	}
	if !bytes.Equal(p.Tx.Bare(), raw) {
		return nil, errors.New("packet: unsigned transaction has witnesses")
	}
	for i, in := range p.Tx.Ins {
		if len(in.Script) > 0 {
			return nil, fmt.Errorf("packet: unsigned transaction: input %d has a script", i)
		}
		if p.Ins = append(p.Ins, r.fields()); r.err != nil {
			return nil, fmt.Errorf("packet: map of input %d: %w", i, r.err)
		}
	}
	for i := range p.Tx.Outs {
		if p.Outs = append(p.Outs, r.fields()); r.err != nil {
			return nil, fmt.Errorf("packet: map of output %d: %w", i, r.err)
		}
	}
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("packet %w", err)
	}
	return p, nil
}

var errTwice = errors.New("a key stands twice")

// fields reads one map up to its separator.
func (r *reader) fields() (m Map) {
	seen := map[string]bool{}
	for r.err == nil {
		key := r.bytes()
		if r.err != nil || len(key) == 0 {
			return m
		}
		if seen[string(key)] { // who reads the first and who reads the last see two transactions
			r.fail(errTwice)
			return nil
		}
		seen[string(key)] = true
		value := r.bytes()
		if r.err != nil {
			return nil
		}
		m = append(m, Field{key, value})
	}
	return nil
}

// Bytes writes the packet, fields as they stand.
func (p *Packet) Bytes() []byte {
	b := []byte(Magic)
	b = appendMap(b, append(Map{{[]byte{GlobalTx}, p.Tx.Bare()}}, p.Global...))
	for _, m := range p.Ins {
		b = appendMap(b, m)
	}
	for _, m := range p.Outs {
		b = appendMap(b, m)
	}
	return b
}

func appendMap(b []byte, m Map) []byte {
	for _, f := range m {
		b = appendBytes(appendBytes(b, f.Key), f.Value)
	}
	return append(b, 0)
}

// Combine puts together what several packets say of one transaction (BIP 174, Combiner), in the order of keys. Two values of one key are
// refused, where the BIP lets either win: somebody is wrong, or lies.
func Combine(packets ...*Packet) (*Packet, error) {
	if len(packets) == 0 {
		return nil, errors.New("combine packets: there are none")
	}
	first := packets[0]
	out := &Packet{Tx: first.Tx, Ins: make([]Map, len(first.Ins)), Outs: make([]Map, len(first.Outs))}
	for n, p := range packets {
		if !bytes.Equal(p.Tx.Bare(), first.Tx.Bare()) {
			return nil, fmt.Errorf("combine packets: packet %d is of transaction %s, the first of %s", n, p.Tx.ID(), first.Tx.ID())
		}
		if err := merge(&out.Global, p.Global); err != nil {
			return nil, fmt.Errorf("combine packets: packet %d: global map: %w", n, err)
		}
		for i := range out.Ins {
			if err := merge(&out.Ins[i], p.Ins[i]); err != nil {
				return nil, fmt.Errorf("combine packets: packet %d: input %d: %w", n, i, err)
			}
		}
		for i := range out.Outs {
			if err := merge(&out.Outs[i], p.Outs[i]); err != nil {
				return nil, fmt.Errorf("combine packets: packet %d: output %d: %w", n, i, err)
			}
		}
	}
	return out, nil
}

func merge(into *Map, from Map) error {
	at := make(map[string]int, len(*into)) // a search through all would take the square of a hostile packet's fields
	for i, f := range *into {
		at[string(f.Key)] = i
	}
	for _, f := range from {
		i, ok := at[string(f.Key)]
		switch {
		case !ok:
			*into = append(*into, f)
		case !bytes.Equal((*into)[i].Value, f.Value):
			return fmt.Errorf("field 0x%x has two values", f.Key[:min(len(f.Key), 64)])
		}
	}
	into.Sort()
	return nil
}
