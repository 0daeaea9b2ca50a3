package pve

import (
	"bytes"
	"errors"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
)

// reassemble encodes what parse found.
func reassemble(h []byte, rows *[Rows]shown) []byte {
	out := append(make([]byte, 0, MaxSize), h...)
	for j := range rows {
		out = append(append(append(out, rows[j].kept...), rows[j].seed...), rows[j].one...)
	}
	return out
}

// What parses encodes to the same bytes. Inputs are short, and stretched to n bytes: the digest says everything about the form.
func FuzzParse(f *testing.F) {
	f.Add([]byte{}, uint16(MinSize))
	f.Add([]byte{3}, uint16(MinSize+2*group.ScalarSize))
	f.Add(bytes.Repeat([]byte{0xff}, challengeSize), uint16(MaxSize))
	f.Add([]byte{1}, uint16(MinSize))
	f.Fuzz(func(t *testing.T, head []byte, n uint16) {
		proof := make([]byte, n)
		for i := range proof {
			proof[i] = byte(i * 7)
		}
		clear(proof[:min(digestSize, len(proof))])
		copy(proof, head)
		if h, rows, err := parse(proof); err == nil && !bytes.Equal(reassemble(h, rows), proof) {
			t.Error("parsed and encoded, it is another")
		} else if err != nil && !errors.Is(err, ErrEncoding) {
			t.Error(err)
		}
	})
}

// Whatever is written over a proof, and however it is cut: no panic, an error of the dealer's kind, no value but the right one.
func FuzzProof(f *testing.F) {
	contexts, values, keys, proofs := [2]Context{}, [2]group.Scalar{}, [2]*PrivateKey{}, [2][]byte{}
	for i, g := range groups {
		contexts[i], values[i], keys[i] = sample(f, g)
		proofs[i] = encrypt(f, contexts[i], values[i], "coins")
		f.Add(i == 0, uint16(0), []byte{}, uint16(0))
		f.Add(i == 0, uint16(digestSize+3), []byte{1}, uint16(0))
		f.Add(i == 0, uint16(digestSize+sealedSize), bytes.Repeat([]byte{0xff}, 64), uint16(0))
		f.Add(i == 0, uint16(0), make([]byte, MaxSize), uint16(len(proofs[i])-MinSize))
	}
	f.Fuzz(func(t *testing.T, first bool, at uint16, over []byte, cut uint16) {
		i := 1
		if first {
			i = 0
		}
		proof := bytes.Clone(proofs[i])
		copy(proof[min(int(at), len(proof)):], over)
		proof = proof[:len(proof)-min(int(cut), len(proof))]
		err := Verify(contexts[i], proof)
		if (err == nil) != bytes.Equal(proof, proofs[i]) || err != nil && errors.Is(err, ErrEncoding) == errors.Is(err, ErrCheck) {
			t.Errorf("verify: %v", err)
		}
		s, spoiled, derr := Decrypt(contexts[i], proof, keys[i])
		switch {
		case (s == nil) != (derr != nil), s != nil && !s.Equal(values[i]), len(spoiled) == Rows && s != nil:
			t.Errorf("decrypt: value %v, %d spoiled rows, %v", s != nil, len(spoiled), derr)
		case err == nil && derr != nil:
			t.Errorf("verifies and does not restore: %v", derr)
		}
	})
}

// A key that parses is canonical, is its own encoding, and shares a value with everybody.
func FuzzParseKey(f *testing.F) {
	good := newKey(f, "recipient").Public()
	f.Add(good[:])
	f.Add(good[:31])
	for _, u := range lowOrder {
		f.Add(u[:])
	}
	own := newKey(f, "another")
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := ParseKey(b)
		if err != nil {
			return
		}
		if !bytes.Equal(k[:], b) || k[31] > 0x7f {
			t.Errorf("%x parses to %v", b, k)
		}
		m, err := newMultiples(k)
		if err != nil {
			t.Fatal(err)
		}
		if _, dh, err := m.ephemeral(own.Bytes().Expose(), false); err != nil || isZero(dh) {
			t.Errorf("%v shares nothing: %v", k, err)
		}
	})
}

// Proofs of possession: no panic, and none passes that was not made.
func FuzzCheckPossession(f *testing.F) {
	k := newKey(f, "recipient")
	good, err := k.ProvePossession([]byte("fuzz"), stream("nonce"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:63])
	f.Add(make([]byte, PossessionSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := CheckPossession(k.Public(), []byte("fuzz"), b); (err == nil) != bytes.Equal(b, good) {
			t.Errorf("%x: %v", b, err)
		}
	})
}
