package charter

import (
	"fmt"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// An Address is one that a node gave out, as its log has it (spec/log 1.5).
type Address struct {
	Path      hd.Path // department, account, index below the vault's root
	Suite     string
	Chain     string // whose form the address has; CAIP-2
	Address   string
	PublicKey []byte // the derived key's point: 33 bytes on secp256k1, 32 on Ed25519
}

const (
	tagPath transcript.Tag = iota + 1
	tagSuite
	tagChain
	tagAddress
	tagPoint
)

// Bytes is the one encoding.
func (a Address) Bytes() []byte {
	var e transcript.Encoder
	return e.String(tagPath, a.Path.String()).String(tagSuite, a.Suite).String(tagChain, a.Chain).
		String(tagAddress, a.Address).Bytes(tagPoint, a.PublicKey).Sum()
}

// DecodeAddress reads what Bytes wrote. Whether the address follows from the vault's key the caller checks.
func DecodeAddress(b []byte) (a Address, err error) {
	d := transcript.NewDecoder(b)
	path := d.String(tagPath, 64)
	a.Suite, a.Chain, a.Address = d.String(tagSuite, 64), d.String(tagChain, 64), d.String(tagAddress, 128)
	a.PublicKey = d.Bytes(tagPoint, 33)
	if err := d.Done(); err != nil {
		return a, fmt.Errorf("decode an address that was given out: %w", err)
	}
	if a.Path, err = hd.ParsePath(path); err != nil || a.Path.String() != path || len(a.Path) != 3 {
		return a, fmt.Errorf("decode an address that was given out: path %q is not that of one", path)
	}
	return a, nil
}
