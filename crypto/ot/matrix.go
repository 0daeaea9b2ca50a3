package ot

import (
	"crypto/aes"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"hash"

	"github.com/ostraka/ostraka/crypto/secret"
)

const (
	stride  = 80            // PRG bytes per leaf: five AES blocks, of which columnLen are used
	words   = stride/8 - 1  // 64-bit words that hold a column: 9
	rows    = payload + 128 // 544
	rowsPad = words * 64    // rows as transposed; those from 544 on are junk
)

// A matrix is the 544×128 bit matrix of one extension, first by columns, then by rows.
type matrix struct {
	leaf   [leaves * stride]byte // r_{i,x} of one tree
	half   [leaves / 2 * stride]byte
	col    [columns * stride]byte
	row    [rowsPad * keyLen]byte
	digest hash.Hash
	seed   [keyLen + len(PairID{})]byte // leaf ‖ psid
	key    [sha256.Size]byte
}

func newMatrix(id PairID) *matrix {
	m := &matrix{digest: sha256.New()}
	copy(m.seed[keyLen:], id[:])
	return m
}

func (m *matrix) wipe() {
	wipeHash(m.digest)
	*m = matrix{}
}

// wipeHash overwrites what h keeps of the last input: its buffer and its state.
func wipeHash(h hash.Hash) {
	h.Reset()
	h.Write(make([]byte, h.BlockSize()-1))
	h.Reset()
}

// counters are the first blocks of AES-CTR with IV 0.
var counters = [stride / aes.BlockSize][aes.BlockSize]byte{{15: 0}, {15: 1}, {15: 2}, {15: 3}, {15: 4}}

// expand sets r_x to 80 bytes of AES-128-CTR under SHA-256(leaf ‖ psid)[:16]. TOB-BRON-6: the
// session enters through a hash, never by XOR on the leaf.
func (m *matrix) expand(x int, leaf *key) {
	copy(m.seed[:], leaf[:])
	m.digest.Reset()
	m.digest.Write(m.seed[:])
	m.digest.Sum(m.key[:0])
	c, err := aes.NewCipher(m.key[:aes.BlockSize])
	if err != nil {
		panic("ot: AES refuses a key of 16 bytes")
	}
	out := m.leaf[x*stride : (x+1)*stride]
	for b := range counters {
		c.Encrypt(out[b*aes.BlockSize:], counters[b][:])
	}
}

// fold sets the four columns of tree i to ⊕_{x: bit b of x = 1} r_x and leaves ⊕_x r_x
// in the first stride bytes of leaf.
func (m *matrix) fold(i int) {
	for b := treeDepth - 1; b >= 0; b-- {
		n := stride << b
		lower, upper := m.leaf[:n], m.leaf[n:2*n]
		sum := m.half[:n]
		copy(sum, upper)
		for h := n / 2; h >= stride; h /= 2 {
			subtle.XORBytes(sum[:h], sum[:h], sum[h:2*h])
		}
		copy(m.column(treeDepth*i+b), sum)
		subtle.XORBytes(lower, lower, upper)
	}
}

func (m *matrix) column(c int) []byte { return m.col[c*stride : (c+1)*stride] }

// transpose fills row from col. Bit j of column c becomes bit c of row j, both least
// significant bit first.
func (m *matrix) transpose() {
	var block [64]uint64
	for half := range 2 {
		for w := range words {
			for c := range block {
				block[c] = binary.LittleEndian.Uint64(m.col[(64*half+c)*stride+8*w:])
			}
			transpose64(&block)
			for j := range block {
				binary.LittleEndian.PutUint64(m.row[(64*w+j)*keyLen+8*half:], block[j])
			}
		}
	}
	clear(block[:])
}

// transpose64 mirrors a 64×64 bit matrix (Warren, Hacker's Delight 7-3).
func transpose64(a *[64]uint64) {
	mask := uint64(1)<<32 - 1
	for d := 32; d > 0; d >>= 1 {
		for k := 0; k < 64; k = (k + d + 1) &^ d {
			t := (a[k]>>d ^ a[k+d]) & mask
			a[k] ^= t << d
			a[k+d] ^= t
		}
		mask ^= mask << (d >> 1)
	}
}

// square is a 128×128 bit matrix by rows.
type square [columns * keyLen]byte

// transposed is the matrix mirrored: hashes by columns from hashes by bits, and back.
func (s *square) transposed() *square {
	out := new(square)
	var block [64]uint64
	for n := range 4 {
		r, c := n/2, n%2
		for i := range block {
			block[i] = binary.LittleEndian.Uint64(s[(64*r+i)*keyLen+8*c:])
		}
		transpose64(&block)
		for i := range block {
			binary.LittleEndian.PutUint64(out[(64*c+i)*keyLen+8*r:], block[i])
		}
	}
	clear(block[:])
	return out
}

// challenges are χ₁ … χ₄ in GF(2^128). They are public: both parties know all u.
type challenges [4]key

// hash is the universal hash of all 128 columns at once: bit c of row k of the result is
// coefficient k of Σ χ_m·block_m + mask for column c, in GF(2)[x]/(x^128+x^7+x^2+x+1).
// Branches follow the bits of χ only; column data is never more than XORed. Spec/ot 4.2.
func (m *matrix) hash(chi *challenges) *square {
	var acc, high [2 * columns * keyLen]byte // 255 coefficients, 128 bits each
	for n := range chi {
		// The fourth block has 32 bits; the rest of it is zero.
		block := m.row[n*columns*keyLen : min((n+1)*columns, payload)*keyLen]
		for k := range columns {
			if bit(chi[n][:], k) == 1 {
				dst := acc[k*keyLen : k*keyLen+len(block)]
				subtle.XORBytes(dst, dst, block)
			}
		}
	}
	// x^(128+k) = x^k·(x^7+x^2+x+1): at most 127 rows are too high, then at most 6.
	for _, n := range [2]int{127 * keyLen, 6 * keyLen} {
		copy(high[:n], acc[columns*keyLen:])
		clear(acc[columns*keyLen:])
		for _, shift := range [4]int{0, 1, 2, 7} {
			dst := acc[shift*keyLen : shift*keyLen+n]
			subtle.XORBytes(dst, dst, high[:n])
		}
	}
	out := new(square)
	subtle.XORBytes(out[:], acc[:columns*keyLen], m.row[payload*keyLen:rows*keyLen])
	clear(acc[:])
	clear(high[:])
	return out
}

// element is a polynomial of GF(2^128): words, least significant first.
type element [2]uint64

func elementOf(b []byte) element {
	return element{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// hashColumn is the universal hash of one column, as hash computes it for all.
func hashColumn(chi *challenges, column []byte) (out key) {
	var padded [5 * keyLen]byte
	copy(padded[:], column[:payload/8])
	sum := elementOf(column[payload/8 : columnLen])
	for n := range chi {
		p := elementOf(padded[n*keyLen:]).times(&chi[n])
		sum[0] ^= p[0]
		sum[1] ^= p[1]
	}
	binary.LittleEndian.PutUint64(out[:], sum[0])
	binary.LittleEndian.PutUint64(out[8:], sum[1])
	secret.Wipe(padded[:])
	return out
}

// times is e·chi for a public chi.
func (e element) times(chi *key) (p element) {
	for k := range columns {
		if bit(chi[:], k) == 1 {
			p[0] ^= e[0]
			p[1] ^= e[1]
		}
		carry := -(e[1] >> 63)
		e[1] = e[1]<<1 | e[0]>>63
		e[0] = e[0]<<1 ^ carry&0x87
	}
	return p
}
