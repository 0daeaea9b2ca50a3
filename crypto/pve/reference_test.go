package pve

import (
	"bytes"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ostraka/ostraka/crypto/group"
)

// A second implementation of spec/pve 3 to 5, written from the page over the standard library's X25519 and crypto/group; it shares nothing
// with the first.

func refTLV(tag uint16, b []byte) []byte {
	out := binary.BigEndian.AppendUint16(nil, tag)
	out = binary.BigEndian.AppendUint32(out, uint32(len(b)))
	return append(out, b...)
}

// refTree is the tlv tree of a label and items: numbers, byte strings, lists of these.
func refTree(label string, items ...any) []byte {
	body := refTLV(2, []byte("ostraka/1/pve/"+label))
	for _, item := range items {
		switch v := item.(type) {
		case []byte:
			body = append(body, refTLV(3, v)...)
		case int:
			body = append(body, refTLV(4, binary.BigEndian.AppendUint64(nil, uint64(v)))...)
		case [][]byte:
			list := binary.BigEndian.AppendUint32(nil, uint32(len(v)))
			for _, b := range v {
				list = append(list, refTLV(3, b)...)
			}
			body = append(body, refTLV(5, list)...)
		default:
			panic(fmt.Sprintf("%T", v))
		}
	}
	return refTLV(1, body)
}

func refContext(c Context) []byte {
	return refTree("context", []byte("ostraka-pve-1/x25519/hkdf-sha256/chacha20poly1305/rows128"), []byte(c.Group.Name()), c.KeyID[:], c.PartialEpoch[:], c.Session[:],
		int(c.Kind), c.Dealer[:], c.Recipient[:], int(c.At), c.K, [][]byte{c.Point.Bytes()}, c.Key[:])
}

func refCoins(label string, d []byte, j, b int, seed []byte) []byte {
	m := hmac.New(sha512.New, seed)
	m.Write(refTree(label, d, j, b))
	return m.Sum(nil)
}

// refSide is x_{j,0} of a seed, for side 0.
func refShare(g group.Group, d []byte, j int, seed []byte) group.Scalar {
	return g.ReduceScalar(refCoins("share", d, j, 0, seed)[:g.WideSize()])
}

func refAEAD(d, dh []byte, j, b int, epk []byte, ek Key) (k []byte, n []byte, err error) {
	kn, err := hkdf.Key(sha256.New, dh, d, string(refTree("key-of-side", j, b, epk, ek[:])), 44)
	if err != nil {
		return nil, nil, err
	}
	return kn[:32], kn[32:], nil
}

func refSeal(d []byte, j, b int, seed []byte, ek Key, x group.Scalar) ([]byte, error) {
	e, err := ecdh.X25519().NewPrivateKey(refCoins("ephemeral", d, j, b, seed)[:32])
	if err != nil {
		return nil, err
	}
	to, err := ecdh.X25519().NewPublicKey(ek[:])
	if err != nil {
		return nil, err
	}
	dh, err := e.ECDH(to)
	if err != nil {
		return nil, err
	}
	epk := e.PublicKey().Bytes()
	k, n, err := refAEAD(d, dh, j, b, epk, ek)
	if err != nil {
		return nil, err
	}
	a, err := chacha20poly1305.New(k)
	if err != nil {
		return nil, err
	}
	return append(epk, a.Seal(nil, n, x.Bytes(), nil)...), nil
}

// refVerify returns the sums of rows that a private key restores, if there is one, once the proof holds.
func refVerify(c Context, proof []byte, private *ecdh.PrivateKey) (sums []group.Scalar, err error) {
	ctx := refContext(c)
	digest := sha256.Sum256(ctx)
	d, h, rest := digest[:], proof[:32], proof[32:]
	var items [][]byte
	for j := range 128 {
		o := int(h[j/8]>>(j%8)) & 1
		kept, seed := rest[:80], rest[80:112]
		rest = rest[112:]
		x, point := refShare(c.Group, d, j, seed), group.Point(nil)
		if o == 0 {
			point = c.Group.BaseMul(x)
		} else {
			if x, err = c.Group.DecodeScalar(rest[:32]); err != nil {
				return nil, err
			}
			rest = rest[32:]
			point = c.Point.Add(c.Group.BaseMul(x).Neg())
		}
		sealed := [2][]byte{kept, kept}
		if sealed[o], err = refSeal(d, j, o, seed, c.Key, x); err != nil {
			return nil, err
		}
		items = append(items, sealed[0], sealed[1], point.Bytes())
		from, err := ecdh.X25519().NewPublicKey(kept[:32])
		if err != nil {
			return nil, err
		}
		dh, err := private.ECDH(from)
		if err != nil {
			return nil, err
		}
		k, n, err := refAEAD(d, dh, j, 1-o, kept[:32], c.Key)
		if err != nil {
			return nil, err
		}
		a, err := chacha20poly1305.New(k)
		if err != nil {
			return nil, err
		}
		plain, err := a.Open(nil, n, kept[32:], nil)
		if err != nil {
			return nil, err
		}
		y, err := c.Group.DecodeScalar(plain)
		if err != nil {
			return nil, err
		}
		sums = append(sums, x.Add(y))
	}
	if len(rest) != 0 || sha256.Sum256(refTree("digest", ctx, items)) != [32]byte(h) {
		return nil, errors.New("digest differs")
	}
	return sums, nil
}

// The reference accepts what Encrypt makes, restores s from every row, and agrees on contexts; step 3.2 is as the page says.
func TestAgainstReference(t *testing.T) {
	for _, g := range groups {
		c, s, k := sample(t, g)
		own, err := k.ecdh()
		if err != nil {
			t.Fatal(err)
		}
		proof := encrypt(t, c, s, "coins")
		sums, err := refVerify(c, proof, own)
		if err != nil || len(sums) != 128 {
			t.Fatalf("%s: %d rows, %v", g.Name(), len(sums), err)
		}
		for j, sum := range sums {
			if !sum.Equal(s) {
				t.Errorf("%s: row %d restores another value", g.Name(), j)
			}
		}
		c.K++
		if _, err := refVerify(c, proof, own); err == nil {
			t.Errorf("%s: the reference takes another context", g.Name())
		}
		c.K--

		rho := make([]byte, 32)
		if _, err := stream("coins").Read(rho); err != nil {
			t.Fatal(err)
		}
		info := refTree("row-seeds", refContext(c))
		m := hmac.New(sha512.New, append(rho, s.Bytes()...))
		m.Write(info)
		seeds, err := hkdf.Expand(sha512.New, m.Sum(nil), string(info), 8192)
		if err != nil {
			t.Fatal(err)
		}
		at := offsets(proof)
		for j := range Rows {
			shown := proof[at[j]+sealedSize : at[j]+sealedSize+seedSize]
			if o := opened(proof, j); !bytes.Equal(shown, seeds[64*j+32*o:64*j+32*o+32]) {
				t.Errorf("%s: seed of row %d is another", g.Name(), j)
			}
		}
	}
}
