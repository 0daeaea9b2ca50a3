package coins

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostraka/ostraka/chain/bitcoin"
	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/store"
)

// Rows of this room (spec/coins 3).
const (
	kindTip      = "coin-tip"      // coin-tip/<chain>: how far the book goes
	kindCoin     = "coin"          // coin/<chain>/<transaction>/<index>: an output of ours, and what spends it
	kindTx       = "coin-tx"       // coin-tx/<chain>/<transaction>: the block that holds it
	kindPrevious = "coin-previous" // coin-previous/<chain>/<transaction>: its bytes without witnesses
	kindMove     = "coin-move"     // coin-move/<chain>/<vault>/<height>/<transaction>: what it moved of the vault's
)

func (b *Book) key(kind string, parts ...store.Part) string {
	return store.Key(kind, append([]store.Part{store.Name(b.cfg.Chain)}, parts...)...)
}

func (b *Book) prefix(kind string, parts ...store.Part) string { return b.key(kind, parts...) + "/" }

func (b *Book) coinKey(o psbt.Outpoint) string {
	return b.key(kindCoin, store.ID(o.ID[:]), store.Number(uint64(o.Index)))
}

func (b *Book) moveKey(vault statement.ID, height uint32, id psbt.ID) string {
	return b.key(kindMove, store.ID(vault[:]), store.Number(uint64(height)), store.ID(id[:]))
}

// tail reads the last n parts of a row's key, of which numbers have 8 bytes and ids 32.
func tail(key string, n int) ([][]byte, error) {
	parts := strings.Split(key, "/")
	if len(parts) < n {
		return nil, errors.New("its key has too few parts")
	}
	var out [][]byte
	for _, p := range parts[len(parts)-n:] {
		b, err := hex.DecodeString(p)
		if err != nil || len(b) != 8 && len(b) != 32 || hex.EncodeToString(b) != p {
			return nil, fmt.Errorf("its key has %.80q, where an id or a number is", p)
		}
		out = append(out, b)
	}
	return out, nil
}

// outpointOf reads the key of a coin's row.
func outpointOf(key string) (o psbt.Outpoint, err error) {
	parts, err := tail(key, 2)
	if err != nil || len(parts[0]) != 32 || len(parts[1]) != 8 || binary.BigEndian.Uint64(parts[1])>>32 > 0 {
		return o, errors.Join(err, errors.New("its key names no output"))
	}
	return psbt.Outpoint{ID: psbt.ID(parts[0]), Index: uint32(binary.BigEndian.Uint64(parts[1]))}, nil
}

// placeOf reads the end of the key of a move's row.
func placeOf(key string) (m Mark, err error) {
	parts, err := tail(key, 2)
	if err != nil || len(parts[0]) != 8 || len(parts[1]) != 32 || binary.BigEndian.Uint64(parts[0]) > maxHeight {
		return m, errors.Join(err, errors.New("its key names no height and transaction"))
	}
	return Mark{uint32(binary.BigEndian.Uint64(parts[0])), psbt.ID(parts[1])}, nil
}

const seenBytes = 32 + 4

func (s seen) bytes() []byte { return binary.BigEndian.AppendUint32(slices.Clone(s.id[:]), s.bits) }

func decodeSeen(b []byte) (s seen) {
	copy(s.id[:], b)
	s.bits = binary.BigEndian.Uint32(b[32:])
	return s
}

func (b *Book) tipEntry(t tip) store.Entry {
	var e transcript.Encoder
	var read []byte
	for _, s := range t.read {
		read = append(read, s.bytes()...)
	}
	e.Uint(1, uint64(t.start)).Uint(2, uint64(t.height)).Bytes(3, read).Uint(4, uint64(t.rescans)).Uint(5, flag(t.erase))
	if t.again {
		e.Uint(6, uint64(t.from)).Uint(7, uint64(t.next)).Bytes(8, t.last.bytes()).Uint(9, uint64(t.queued))
	}
	return store.Entry{Key: b.key(kindTip), Value: e.Sum()}
}

func flag(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

func decodeTip(value []byte) (tip, error) {
	d := transcript.NewDecoder(value)
	t := tip{begun: true, start: uint32(d.Uint(1, maxHeight)), height: uint32(d.Uint(2, maxHeight))}
	read := d.Bytes(3, (Depth+1)*seenBytes)
	t.rescans, t.erase = uint32(d.Uint(4, maxHeight)), d.Uint(5, 1) == 1
	if t.again = d.More(); t.again {
		t.from, t.next = uint32(d.Uint(6, maxHeight)), uint32(d.Uint(7, maxHeight))
		if last := d.Fixed(8, seenBytes); last != nil {
			t.last = decodeSeen(last)
		}
		t.queued = uint32(d.Uint(9, maxHeight+1))
	}
	if len(read)%seenBytes != 0 {
		d.Fail(3, fmt.Errorf("has %d bytes, not %d for each block", len(read), seenBytes))
	}
	for ; len(read) >= seenBytes; read = read[seenBytes:] {
		t.read = append(t.read, decodeSeen(read))
	}
	switch {
	case d.Err() != nil:
	case len(t.read) > 0 && (uint64(t.height)+1 < uint64(len(t.read)) || t.oldest() < t.start):
		d.Fail(3, fmt.Errorf("has %d blocks up to height %d, and reading began at %d", len(t.read), t.height, t.start))
	case t.again && (t.from > t.next || int64(t.next) > t.top()+1):
		d.Fail(7, fmt.Errorf("is height %d, not between %d and %d", t.next, t.from, t.top()+1))
	}
	return t, d.Done()
}

func (b *Book) coinEntry(o psbt.Outpoint, c *coin) store.Entry {
	var e transcript.Encoder
	e.Bytes(1, c.Vault[:]).String(2, c.Spot.Suite)
	var path []byte
	for _, step := range c.Spot.Path {
		path = binary.BigEndian.AppendUint32(path, step)
	}
	e.Bytes(3, path).Uint(4, flag(c.Spot.Plain)|flag(c.coinbase)<<1|flag(c.kept)<<2)
	e.Bytes(5, c.script).Uint(6, c.amount).Uint(7, uint64(c.height)).Uint(8, uint64(c.late))
	if c.spent {
		e.Bytes(9, c.by[:]).Uint(10, uint64(c.spentAt))
	}
	return store.Entry{Key: b.coinKey(o), Value: e.Sum()}
}

func decodeCoin(value []byte) (*coin, error) {
	d, c := transcript.NewDecoder(value), &coin{}
	copy(c.Vault[:], d.Fixed(1, 32))
	suite := d.String(2, 32)
	for _, known := range []string{bitcoin.SuiteECDSA, bitcoin.SuiteBIP340} {
		if suite == known {
			c.Spot.Suite = known // one text for all coins
		}
	}
	if d.Err() == nil && c.Spot.Suite == "" {
		d.Fail(2, fmt.Errorf("is %q, which signs nothing on Bitcoin", suite))
	}
	if path := d.Fixed(3, 12); path != nil {
		for i := range c.Spot.Path {
			c.Spot.Path[i] = binary.BigEndian.Uint32(path[4*i:])
		}
	}
	flags := d.Uint(4, 7)
	c.Spot.Plain, c.coinbase, c.kept = flags&1 > 0, flags&2 > 0, flags&4 > 0
	c.script = bytes.Clone(d.Bytes(5, maxScript))
	c.amount, c.height, c.late = d.Uint(6, bitcoin.MaxMoney), uint32(d.Uint(7, maxHeight)), uint32(d.Uint(8, maxHeight))
	if c.spent = d.More(); c.spent {
		copy(c.by[:], d.Fixed(9, 32))
		c.spentAt = uint32(d.Uint(10, maxHeight))
		if d.Err() == nil && c.spentAt < c.height {
			d.Fail(10, fmt.Errorf("is height %d, and the coin is of %d", c.spentAt, c.height))
		}
	}
	return c, d.Done()
}

// in is the block that holds a transaction, and the rescan that found it there.
type in struct {
	height uint32
	block  psbt.ID
	late   uint32
}

func (b *Book) txEntry(id psbt.ID, x in) store.Entry {
	var e transcript.Encoder
	e.Uint(1, uint64(x.height)).Bytes(2, x.block[:]).Uint(3, uint64(x.late))
	return store.Entry{Key: b.key(kindTx, store.ID(id[:])), Value: e.Sum()}
}

func decodeTx(value []byte) (x in, err error) {
	d := transcript.NewDecoder(value)
	x.height = uint32(d.Uint(1, maxHeight))
	copy(x.block[:], d.Fixed(2, 32))
	x.late = uint32(d.Uint(3, maxHeight))
	return x, d.Done()
}
