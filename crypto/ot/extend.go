package ot

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"
	"io"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Parts of an extension message: u ‖ x̂ ‖ t̂.
const (
	xOffset = trees * columnLen
	tOffset = xOffset + keyLen
)

// A Receiver is B within one signing session, with its choice bits β and rows. It serves
// one multiplication and is never stored.
type Receiver struct {
	redacted
	id    PairID
	spent bool
	beta  [columnLen]byte // β and 128 mask bits
	chi   secp256k1.Scalar
	row   [payload * keyLen]byte // rows of v
}

// A Sender is A within one signing session, after the verdict. It serves one
// multiplication and is never stored.
type Sender struct {
	redacted
	id    PairID
	spent bool
	delta key
	row   [payload * keyLen]byte // rows of w: w_j = v_j ⊕ β_j·Δ
}

// Extend draws β as B and makes the extension message for A, ExtensionSize bytes. id must never
// have been extended before. SoftSpokenOT Fig. 7 and 8, DKLs23 §5.1, spec/ot 4.1 to 4.3.
func Extend(id PairID, l *Leaves, rand io.Reader) (*Receiver, []byte, error) {
	r := &Receiver{id: id}
	if err := read(rand, r.beta[:], "β"); err != nil {
		return nil, nil, err
	}
	m := newMatrix(id)
	defer m.wipe()
	msg := make([]byte, ExtensionSize)
	for i := range trees {
		for x := range leaves {
			m.expand(x, &l.leaf[i][x])
		}
		m.fold(i)
		subtle.XORBytes(msg[i*columnLen:(i+1)*columnLen], m.leaf[:columnLen], r.beta[:])
	}
	m.transpose()

	chi := id.challenges(msg[:xOffset])
	x := hashColumn(&chi, r.beta[:])
	copy(msg[xOffset:], x[:])
	t := m.hash(&chi)
	copy(msg[tOffset:], t.transposed()[:])
	clear(t[:])

	copy(r.row[:], m.row[:])
	r.chi = innerBits(r.beta[:])
	return r, msg, nil
}

// Check is A's verdict on an extension message. ErrCheck means BurnPair: the peer may have
// guessed bits of Δ, and another verdict under the same Δ would confirm more of them. The caller
// allows one verdict at a time per ordered pair. Spec/ot 4.4.
func Check(id PairID, p *Punctured, extension []byte) (*Sender, error) {
	if err := checkLen("extension", extension, ExtensionSize); err != nil {
		return nil, err
	}
	m := newMatrix(id)
	defer m.wipe()
	for i := range trees {
		// Place 0 is the punctured leaf: its coefficient in every w is zero.
		clear(m.leaf[:stride])
		for y := 1; y < leaves; y++ {
			m.expand(y, &p.leaf[i][y])
		}
		m.fold(i)
		u := extension[i*columnLen : (i+1)*columnLen]
		for b := range treeDepth {
			c := treeDepth*i + b
			xorMasked(m.column(c)[:columnLen], u, bit(p.delta[:], c))
		}
	}
	m.transpose()

	chi := id.challenges(extension[:xOffset])
	if !m.consistent(&chi, &p.delta, extension) {
		return nil, checkFailed("OT extension: hashes of the columns")
	}
	s := &Sender{id: id, delta: p.delta}
	copy(s.row[:], m.row[:])
	return s, nil
}

// consistent is hash(w_c) = t̂_c ⊕ Δ_c·x̂ for all 128 columns at once. TOB-SILA-12: the
// verdict depends on Δ, so all differences are collected before one comparison.
func (m *matrix) consistent(chi *challenges, delta *key, extension []byte) bool {
	x, t := extension[xOffset:tOffset], (*square)(extension[tOffset:])
	want, got := t.transposed(), m.hash(chi)
	var bad key
	for k := range columns {
		// row k of both sides: coefficient k of all columns
		row := want[k*keyLen : (k+1)*keyLen]
		xorMasked(row, delta[:], bit(x, k))
		subtle.XORBytes(row, row, got[k*keyLen:(k+1)*keyLen])
		for n := range bad {
			bad[n] |= row[n]
		}
	}
	clear(want[:])
	clear(got[:])
	return subtle.ConstantTimeCompare(bad[:], make([]byte, keyLen)) == 1
}

// challenges are χ_m = SHA-256(tag, psid, m, SHA-256(u))[:16]: Fiat–Shamir over all of u.
func (id PairID) challenges(u []byte) (chi challenges) {
	digest := sha256.Sum256(u)
	for m := range chi {
		h := transcript.New(transcript.ExtensionChi).Bytes(id[:]).Uint(uint64(m + 1)).Bytes(digest[:]).Sum256()
		copy(chi[m][:], h[:])
	}
	return chi
}

// Chi is b, the random input of B to the multiplication, spec/ot 5.1. The caller wipes its copy.
func (r *Receiver) Chi() secp256k1.Scalar { return r.chi }

// Wipe forgets β, b and the rows. Finish does not forget b.
func (r *Receiver) Wipe() {
	r.forget()
	r.chi.Wipe()
}

func (r *Receiver) forget() {
	r.spent = true
	secret.Wipe(r.beta[:])
	secret.Wipe(r.row[:])
}

// Wipe forgets Δ and the rows.
func (s *Sender) Wipe() {
	s.spent = true
	secret.Wipe(s.delta[:])
	secret.Wipe(s.row[:])
}

// pads computes row pads of one session. It reuses one hash and its buffers.
type pads struct {
	hash hash.Hash
	in   [len(PairID{}) + 2 + 1 + keyLen]byte
	out  [sha256.Size]byte
}

func newPads(id PairID) *pads {
	p := &pads{hash: sha256.New()}
	copy(p.in[:], id[:])
	return p
}

// pad sets s to SHA-256(psid ‖ u16 j ‖ u8 col ‖ row) mod q: 51 bytes, one compression.
// TOB-BRON-5: row number and column stand in the hash.
func (p *pads) pad(s *secp256k1.Scalar, j, col int, row []byte) {
	binary.BigEndian.PutUint16(p.in[32:], uint16(j))
	p.in[34] = byte(col)
	copy(p.in[35:], row)
	p.hash.Reset()
	p.hash.Write(p.in[:])
	p.hash.Sum(p.out[:0])
	s.SetReduced(&p.out)
}

func (p *pads) wipe() {
	wipeHash(p.hash)
	secret.Wipe(p.in[:])
	secret.Wipe(p.out[:])
}
