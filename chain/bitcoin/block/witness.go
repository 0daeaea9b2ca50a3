package block

import (
	"bytes"
	"fmt"

	"github.com/ostraka/ostraka/chain/bitcoin/psbt"
)

// ParseHeader reads a header of exactly 80 bytes that meets its own target.
func ParseHeader(raw []byte) (Header, error) {
	if len(raw) != headerBytes {
		return Header{}, fmt.Errorf("header has %d bytes, not %d", len(raw), headerBytes)
	}
	h := header(raw)
	if err := h.work(); err != nil {
		return Header{}, fmt.Errorf("header %s: %w", h.ID(), err)
	}
	return h, nil
}

// commitment begins the output in which a coinbase commits to witnesses (BIP 141); the 32 bytes behind it are the commitment, and more may follow.
var commitment = []byte{0x6a, 0x24, 0xaa, 0x21, 0xa9, 0xed}

// Witnessed holds witnesses to what the coinbase commits to (BIP 141): no id of a transaction covers them, so whoever shows a block could show others. A block without commitment has none.
func (b *Block) Witnessed() error {
	coinbase, err := psbt.ParseTx(b.Transactions[0].Raw)
	if err != nil {
		return fmt.Errorf("block %s: coinbase: %w", b.Hash, err)
	}
	var said []byte
	for _, o := range coinbase.Outs { // the last one counts
		if len(o.Script) >= 38 && bytes.HasPrefix(o.Script, commitment) {
			said = o.Script[6:38]
		}
	}
	ids := make([]psbt.ID, len(b.Transactions))
	bare := true
	for i, t := range b.Transactions {
		if i > 0 {
			ids[i] = doubled(t.Raw)
			bare = bare && ids[i] == t.TxID
		}
	}
	if said == nil {
		if !bare {
			return fmt.Errorf("block %s: it has witnesses, and its coinbase commits to none", b.Hash)
		}
		return nil
	}
	w := coinbase.Ins[0].Witness
	if len(w) != 1 || len(w[0]) != 32 {
		return fmt.Errorf("block %s: its coinbase commits to witnesses, and its own is not one item of 32 bytes", b.Hash)
	}
	top, _ := root(ids)
	if want := doubled(append(top[:], w[0]...)); !bytes.Equal(want[:], said) {
		return fmt.Errorf("block %s: its witnesses are others than its coinbase commits to", b.Hash)
	}
	return nil
}
