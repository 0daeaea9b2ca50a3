package ot

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
	"math/big"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
)

// A second implementation of spec/ot 3 to 5, bit by bit and with math/big, written from the
// page and sharing nothing with the first but the leaves it starts from.

func refTLV(tag uint16, b []byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, tag)
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
	return append(out, b...)
}

// refTree is the tlv tree of a label and items: numbers or byte strings.
func refTree(label string, items ...any) []byte {
	body := refTLV(2, []byte("ostraka/1/ot/"+label))
	for _, item := range items {
		switch v := item.(type) {
		case []byte:
			body = append(body, refTLV(3, v)...)
		case int:
			body = append(body, refTLV(4, binary.BigEndian.AppendUint64(nil, uint64(v)))...)
		}
	}
	return refTLV(1, body)
}

func refHash(label string, items ...any) []byte {
	h := sha256.Sum256(refTree(label, items...))
	return h[:]
}

func refHashScalar(label string, items ...any) *big.Int {
	h := sha512.Sum512(refTree(label, items...))
	s := new(big.Int).SetBytes(h[:48])
	return s.Mod(s, order)
}

func refXOR(a, b []byte) []byte {
	out := bytes.Clone(a)
	for i := range out {
		out[i] ^= b[i]
	}
	return out
}

func refBit(b []byte, j int) int { return int(b[j/8]>>(j%8)) & 1 }

// refNode is node y on a level of tree i, from the root keys down.
func refNode(id []byte, i, level, y int, roots [2][]byte) []byte {
	if level == 0 {
		return roots[y]
	}
	children := refHash("tree-node", id, i, level, y/2, refNode(id, i, level-1, y/2, roots))
	return children[16*(y%2) : 16*(y%2)+16]
}

// refGrow is the message and the leaves of tree i.
func refGrow(id []byte, i int, keys [4][2][]byte) (msg []byte, leaf [][]byte) {
	for level := 1; level < 4; level++ {
		for v := range 2 {
			sum := keys[level][v]
			for y := v; y < 2<<level; y += 2 {
				sum = refXOR(sum, refNode(id, i, level, y, keys[0]))
			}
			msg = append(msg, sum...)
		}
	}
	t, all := make([]byte, 32), []byte(nil)
	for y := range 16 {
		node := refNode(id, i, 3, y, keys[0])
		leaf = append(leaf, refHash("tree-leaf", id, i, y, node)[:16])
		proof := refHash("tree-proof", id, i, y, node)
		t, all = refXOR(t, proof), append(all, proof...)
	}
	return append(append(msg, t...), refHash("tree-check", id, i, all)...), leaf
}

// refPRG is r_{i,x}, 68 bytes.
func refPRG(leaf, id []byte) []byte {
	k := sha256.Sum256(append(bytes.Clone(leaf), id...))
	block, err := aes.NewCipher(k[:16])
	if err != nil {
		panic(err)
	}
	out := make([]byte, 68)
	cipher.NewCTR(block, make([]byte, 16)).XORKeyStream(out, out)
	return out
}

// refColumnHash is Σ χ_m·block_m + mask over polynomials held as lists of bits.
func refColumnHash(column []byte, chi [4][]byte) []byte {
	var product [256]int
	for m := range 4 {
		for j := range 128 {
			row := 128*m + j
			if row >= 416 || refBit(column, row) == 0 {
				continue
			}
			for k := range 128 {
				product[j+k] ^= refBit(chi[m], k)
			}
		}
	}
	for k := 255; k >= 128; k-- {
		for _, term := range []int{7, 2, 1, 0} {
			product[k-128+term] ^= product[k]
		}
	}
	out := make([]byte, 16)
	for k := range 128 {
		out[k/8] |= byte(product[k]^refBit(column, 416+k)) << (k % 8)
	}
	return out
}

func refChallenges(id, u []byte) (chi [4][]byte) {
	digest := sha256.Sum256(u)
	for m := range chi {
		chi[m] = refHash("extension-chi", id, m+1, digest[:])[:16]
	}
	return chi
}

// refRows are the 416 rows of 128 columns.
func refRows(column [][]byte) (row [][]byte) {
	for j := range 416 {
		r := make([]byte, 16)
		for c := range 128 {
			r[c/8] |= byte(refBit(column[c], j)) << (c % 8)
		}
		row = append(row, r)
	}
	return row
}

// refExtend is spec/ot 4.1 to 4.3.
func refExtend(id []byte, leaf [32][][]byte, beta []byte) (msg []byte, row [][]byte) {
	var column [][]byte
	for i := range 32 {
		u := beta
		var v [4][]byte
		for b := range v {
			v[b] = make([]byte, 68)
		}
		for x := range 16 {
			r := refPRG(leaf[i][x], id)
			u = refXOR(u, r)
			for b := range v {
				if x>>b&1 == 1 {
					v[b] = refXOR(v[b], r)
				}
			}
		}
		msg, column = append(msg, u...), append(column, v[:]...)
	}
	chi := refChallenges(id, msg)
	msg = append(msg, refColumnHash(beta, chi)...)
	for _, c := range column {
		msg = append(msg, refColumnHash(c, chi)...)
	}
	return msg, refRows(column)
}

// refCheck is spec/ot 4.4, from the formula: the coefficient of leaf x is bit b of x⊕Δᵢ.
func refCheck(id []byte, leaf [32][][]byte, delta, msg []byte) (row [][]byte, ok bool) {
	chi, ok := refChallenges(id, msg[:32*68]), true
	x, t := msg[32*68:32*68+16], msg[32*68+16:]
	var column [][]byte
	for c := range 128 {
		i, b := c/4, c%4
		w := make([]byte, 68)
		for y := range 16 {
			if (y^refDelta(delta, i))>>b&1 == 1 {
				w = refXOR(w, refPRG(leaf[i][y], id))
			}
		}
		want := t[16*c : 16*c+16]
		if refBit(delta, c) == 1 {
			w = refXOR(w, msg[68*i:68*i+68])
			want = refXOR(want, x)
		}
		ok = ok && bytes.Equal(refColumnHash(w, chi), want)
		column = append(column, w)
	}
	return refRows(column), ok
}

func refDelta(delta []byte, i int) (d int) {
	for b := range 4 {
		d |= refBit(delta, 4*i+b) << b
	}
	return d
}

func refPad(id []byte, j, col int, row []byte) *big.Int {
	in := append(bytes.Clone(id), byte(j>>8), byte(j), byte(col))
	h := sha256.Sum256(append(in, row...))
	s := new(big.Int).SetBytes(h[:])
	return s.Mod(s, order)
}

func refGadget(j int) *big.Int {
	return refHashScalar("rvole-gadget", []byte("ostraka-ot-1/secp256k1/ristretto255/sha256/aes128ctr/c128,s80,x416,k4,l2,r1"), j)
}

func refMod(s *big.Int) *big.Int { return s.Mod(s, order) }

func TestAgainstReference(t *testing.T) {
	for n := range 2 {
		r := stream(fmt.Sprint("reference", n))
		l, p := setUp(t, idOf("setup", n), r)
		id, sid := idOf("session", n), [32]byte{byte(n)}
		var leaf [32][][]byte
		for i := range leaf {
			for x := range 16 {
				leaf[i] = append(leaf[i], l.leaf[i][x][:])
			}
		}

		rcv, ext, err := Extend(id, l, r)
		if err != nil {
			t.Fatal(err)
		}
		wantExt, wantV := refExtend(id[:], leaf, rcv.beta[:])
		if !bytes.Equal(ext, wantExt) {
			t.Fatal("extension differs from the reference")
		}
		if !bytes.Equal(rcv.row[:], bytes.Join(wantV, nil)) {
			t.Fatal("rows of B differ from the reference")
		}
		snd, err := Check(id, p, ext)
		if err != nil {
			t.Fatal(err)
		}
		wantW, ok := refCheck(id[:], leaf, p.delta[:], ext)
		if !ok || !bytes.Equal(snd.row[:], bytes.Join(wantW, nil)) {
			t.Fatalf("rows of A differ from the reference, or its verdict (%v) does", ok)
		}
		bad := flip(ext, 100, 1)
		if _, ok := refCheck(id[:], leaf, p.delta[:], bad); ok {
			t.Fatal("the reference accepts a changed extension")
		}
		compareProduct(t, id, sid, rcv, snd)
	}
}

// compareProduct checks the message and both outputs of a multiplication, number by number.
func compareProduct(t *testing.T, id PairID, sid [32]byte, rcv *Receiver, snd *Sender) {
	t.Helper()
	a, row, delta := scalars(t, stream("a")), bytes.Clone(snd.row[:]), snd.delta
	beta, v := bytes.Clone(rcv.beta[:]), bytes.Clone(rcv.row[:])
	c, msg, err := snd.Multiply(sid, a, stream("η"))
	if err != nil {
		t.Fatal(err)
	}
	eta, err := secp256k1.RandomScalar(stream("η"))
	if err != nil {
		t.Fatal(err)
	}
	in := [3]*big.Int{integer(&a[0]), integer(&a[1]), integer(eta)}
	var want []byte
	var alpha, dot [416][3]*big.Int
	for j := range alpha {
		w := row[16*j : 16*j+16]
		for k := range 3 {
			alpha[j][k] = refPad(id[:], j, k, w)
			s := new(big.Int).Sub(alpha[j][k], refPad(id[:], j, k, refXOR(w, delta[:])))
			refMod(s.Add(s, in[k]))
			want = append(want, s.FillBytes(make([]byte, 32))...)
			dot[j][k] = refPad(id[:], j, k, v[16*j:16*j+16])
			if refBit(beta, j) == 1 {
				refMod(dot[j][k].Add(dot[j][k], s))
			}
		}
	}
	digest := sha256.Sum256(want)
	theta := [2]*big.Int{refHashScalar("rvole-theta", id[:], sid[:], 0, digest[:]), refHashScalar("rvole-theta", id[:], sid[:], 1, digest[:])}
	etaHat := new(big.Int).Set(in[2])
	for k := range theta {
		etaHat.Add(etaHat, new(big.Int).Mul(theta[k], in[k]))
	}
	want = append(want, refMod(etaHat).FillBytes(make([]byte, 32))...)
	mu := refMu(id[:], sid[:], &alpha, theta, nil, etaHat)
	if !bytes.Equal(mu, refMu(id[:], sid[:], &dot, theta, beta, etaHat)) {
		t.Fatal("the reference's two μ differ")
	}
	if want = append(want, mu...); !bytes.Equal(msg, want) {
		t.Fatal("product message differs from the reference")
	}

	d, err := rcv.Finish(sid, msg)
	if err != nil {
		t.Fatal(err)
	}
	b, chi := new(big.Int), rcv.Chi()
	for k := range 2 {
		wantC, wantD := new(big.Int), new(big.Int)
		for j := range alpha {
			g := refGadget(j)
			wantC.Sub(wantC, new(big.Int).Mul(g, alpha[j][k]))
			wantD.Add(wantD, new(big.Int).Mul(g, dot[j][k]))
			if k == 0 && refBit(beta, j) == 1 {
				b.Add(b, g)
			}
		}
		if refMod(wantC).Cmp(integer(&c[k])) != 0 || refMod(wantD).Cmp(integer(&d[k])) != 0 {
			t.Errorf("c_%d or d_%d differs from the reference", k, k)
		}
	}
	if refMod(b).Cmp(integer(&chi)) != 0 {
		t.Error("b differs from the reference")
	}
}

func refMu(id, sid []byte, t *[416][3]*big.Int, theta [2]*big.Int, beta []byte, eta *big.Int) []byte {
	var all []byte
	for j := range t {
		s := new(big.Int).Set(t[j][2])
		for k := range theta {
			s.Add(s, new(big.Int).Mul(theta[k], t[j][k]))
		}
		if beta != nil && refBit(beta, j) == 1 {
			s.Sub(s, eta)
		}
		all = append(all, refMod(s).FillBytes(make([]byte, 32))...)
	}
	digest := sha256.Sum256(all)
	return refHash("rvole-mu", id, sid, digest[:])
}
