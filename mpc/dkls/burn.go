package dkls

import (
	"cmp"
	"fmt"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// A Ticket says which life of a party, and where in it, began a presignature. Tickets are ordered:
// the fencing token first. They are the party's own affair: other signers have other tickets for the
// same presignature.
type Ticket struct {
	Fence   uint64 // given by the host: greater in every life of the process or lease of the key
	Counter uint64 // 1 is the first of this life
}

func (t Ticket) compare(o Ticket) int {
	return cmp.Or(cmp.Compare(t.Fence, o.Fence), cmp.Compare(t.Counter, o.Counter))
}

func (t Ticket) String() string { return fmt.Sprintf("%d/%d", t.Fence, t.Counter) }

// A Burn records that a presignature was taken, and what for. The host makes it durable before wᵢ
// leaves, whatever becomes of the session. It holds no secret.
type Burn struct {
	ID     PresigID
	Ticket Ticket
	KeyID  [32]byte
	Epoch  [32]byte // eh
	Use    Use
}

const (
	fieldBurnID transcript.Tag = iota + 1
	fieldBurnFence
	fieldBurnCounter
	fieldBurnKey
	fieldBurnEpoch
	fieldBurnSetup
	fieldBurnDigest
)

// Name is what the record is kept under: a second record of that name is a second use.
func (b *Burn) Name() string { return fmt.Sprintf("presig-burn/%x", b.ID[:]) }

// Encode is the canonical form, spec/presign 7.
func (b *Burn) Encode() []byte {
	var e transcript.Encoder
	e.Bytes(fieldBurnID, b.ID[:]).Uint(fieldBurnFence, b.Ticket.Fence).Uint(fieldBurnCounter, b.Ticket.Counter)
	e.Bytes(fieldBurnKey, b.KeyID[:]).Bytes(fieldBurnEpoch, b.Epoch[:])
	return e.Bytes(fieldBurnSetup, b.Use.Setup[:]).Bytes(fieldBurnDigest, b.Use.Digest[:]).Sum()
}

// DecodeBurn reads the canonical form.
func DecodeBurn(in []byte) (*Burn, error) {
	const most = 1<<64 - 1
	d, b := transcript.NewDecoder(in), &Burn{}
	copy(b.ID[:], d.Fixed(fieldBurnID, len(b.ID)))
	b.Ticket.Fence, b.Ticket.Counter = d.Uint(fieldBurnFence, most), d.Uint(fieldBurnCounter, most)
	copy(b.KeyID[:], d.Fixed(fieldBurnKey, 32))
	copy(b.Epoch[:], d.Fixed(fieldBurnEpoch, 32))
	copy(b.Use.Setup[:], d.Fixed(fieldBurnSetup, 32))
	copy(b.Use.Digest[:], d.Fixed(fieldBurnDigest, 32))
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("decode burn record: %w", err)
	}
	return b, nil
}

func (q *presig) burn() *Burn {
	return &Burn{ID: q.id, Ticket: q.ticket, KeyID: q.keyID, Epoch: q.epoch, Use: q.use}
}
