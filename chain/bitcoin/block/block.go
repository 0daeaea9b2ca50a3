package block

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

const (
	// MaxWeight is the most weight that a block has (BIP 141).
	MaxWeight = 4_000_000
	// MaxBytes is more than any block of that weight has.
	MaxBytes = 4_000_100

	headerBytes = 80
	leastTx     = 4 + 1 + 41 + 1 + 9 + 4 // one input and one output, both without a script
)

// A Header is a block's first 80 bytes.
type Header struct {
	Version  uint32
	Previous psbt.ID // of the block before; zero in the first of a chain
	Root     psbt.ID // of the tree of the transactions' ids
	Time     uint32  // Unix seconds, as the miner said: up to two hours ahead, and not always rising
	Bits     uint32  // target, in compact form
	Nonce    uint32
}

// Bytes are the 80 that a block begins with.
func (h Header) Bytes() []byte {
	b := binary.LittleEndian.AppendUint32(nil, h.Version)
	b = append(append(b, h.Previous[:]...), h.Root[:]...)
	for _, n := range []uint32{h.Time, h.Bits, h.Nonce} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	return b
}

// ID is the block's id: SHA-256 twice of the header.
func (h Header) ID() psbt.ID { return doubled(h.Bytes()) }

func doubled(b []byte) psbt.ID {
	once := sha256.Sum256(b)
	return sha256.Sum256(once[:])
}

// A Transaction is one of a block's, without witnesses.
type Transaction struct {
	*psbt.Tx
	TxID psbt.ID // computed from it
	Raw  []byte  // as it lies in the block, with witnesses; points into the block's bytes
}

// A Block is a header and the transactions that it commits to, the coinbase first.
type Block struct {
	Header
	Hash         psbt.ID // the header's id
	Transactions []Transaction
}

// Parse reads a whole block. What it holds points into raw. Refused are: more than MaxBytes or MaxWeight, lengths that are not in their shortest form, anything after the
// end, a header that does not meet its target, another Merkle root than the header's or one of a tree with a doubled end, a first transaction that is no coinbase or another
// that is, and amounts that cannot be. It does not ask whether inputs are unspent or signatures hold: that is what the work is for.
func Parse(raw []byte) (*Block, error) {
	if len(raw) < headerBytes+1+leastTx || len(raw) > MaxBytes {
		return nil, fmt.Errorf("block has %d bytes, not %d to %d", len(raw), headerBytes+1+leastTx, MaxBytes)
	}
	b := &Block{Header: header(raw)}
	b.Hash = doubled(raw[:headerBytes])
	if err := b.work(); err != nil {
		return nil, fmt.Errorf("block %s: %w", b.Hash, err)
	}
	if err := b.read(raw[headerBytes:]); err != nil {
		return nil, fmt.Errorf("block %s: %w", b.Hash, err)
	}
	ids := make([]psbt.ID, len(b.Transactions))
	for i, t := range b.Transactions {
		ids[i] = t.TxID
	}
	switch root, twice := root(ids); {
	case twice:
		return nil, fmt.Errorf("block %s: the end of its tree of transactions stands twice: the same root has a shorter list (CVE-2012-2459)", b.Hash)
	case root != b.Root:
		return nil, fmt.Errorf("block %s: its transactions have the Merkle root %s, its header says %s", b.Hash, root, b.Root)
	}
	return b, nil
}

// header reads the first 80 bytes.
func header(b []byte) (h Header) {
	n := binary.LittleEndian.Uint32
	h = Header{Version: n(b), Time: n(b[68:]), Bits: n(b[72:]), Nonce: n(b[76:])}
	copy(h.Previous[:], b[4:])
	copy(h.Root[:], b[36:])
	return h
}

// read reads the transactions, and holds them to what a node of the network asks of a block by itself.
func (b *Block) read(body []byte) error {
	n, rest, err := psbt.Compact(body)
	if err != nil || n == 0 || n > uint64(len(rest)/leastTx) {
		return fmt.Errorf("says that it has %d transactions, and %d bytes follow", n, len(rest))
	}
	weight := 4 * (headerBytes + len(body) - len(rest))
	b.Transactions = make([]Transaction, 0, n)
	for i := range int(n) {
		var t Transaction
		if t.Tx, t.Raw, rest, err = psbt.NextTx(rest); err != nil {
			return fmt.Errorf("number %d: %w", i, err)
		}
		bare := t.Bare()
		t.TxID = doubled(bare)
		weight += 3*len(bare) + len(t.Raw)
		if err := check(t.Tx, i == 0); err != nil {
			return fmt.Errorf("transaction %s, number %d: %w", t.TxID, i, err)
		}
		b.Transactions = append(b.Transactions, t)
	}
	switch {
	case len(rest) > 0:
		return fmt.Errorf("is followed by %d more bytes", len(rest))
	case weight > MaxWeight:
		return fmt.Errorf("has a weight of %d, at most %d is allowed", weight, MaxWeight)
	}
	return nil
}

// check holds one transaction to the rules that need no other. That the first is a coinbase also refuses a block whose header's tree is read a level too high, with two
// hashes taken for a transaction of 64 bytes: one that begins with 32 zeros is out of reach (CVE-2017-12842).
func check(t *psbt.Tx, first bool) error {
	none := psbt.Outpoint{Index: 0xffffffff}
	coinbase := len(t.Ins) == 1 && t.Ins[0].Outpoint == none
	switch {
	case first && !coinbase:
		return errors.New("is the first and no coinbase")
	case first && (len(t.Ins[0].Script) < 2 || len(t.Ins[0].Script) > 100):
		return fmt.Errorf("is a coinbase with %d bytes of script, not 2 to 100", len(t.Ins[0].Script))
	}
	for i, in := range t.Ins {
		if !first && in.Outpoint == none {
			return fmt.Errorf("input %d spends nothing, as a coinbase alone does", i)
		}
	}
	var sum uint64
	for i, o := range t.Outs {
		if sum += o.Amount; o.Amount > bitcoin.MaxMoney || sum > bitcoin.MaxMoney {
			return fmt.Errorf("output %d has %d sat: it, or the sum up to it, is more than there can be", i, o.Amount)
		}
	}
	return nil
}

// root is that of the tree over some ids: two become one by SHA-256 twice, the last of an odd row goes with itself. twice says that a row has two equal neighbours of its own: the
// same root then belongs to a list without them.
func root(ids []psbt.ID) (id psbt.ID, twice bool) {
	row := ids
	for len(row) > 1 {
		up := make([]psbt.ID, 0, (len(row)+1)/2)
		for i := 0; i < len(row); i += 2 {
			left, right := row[i], row[min(i+1, len(row)-1)]
			twice = twice || i+1 < len(row) && left == right
			up = append(up, doubled(append(left[:], right[:]...)))
		}
		row = up
	}
	return row[0], twice
}
