package ot

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
)

// stream is a reproducible source of randomness.
func stream(name string) io.Reader {
	var seed [32]byte
	copy(seed[:], name)
	return rand.NewChaCha8(seed)
}

func idOf(name string, n int) (id PairID) {
	copy(id[:], fmt.Sprintf("%s %d", name, n))
	return id
}

// setUp runs a whole set-up.
func setUp(t testing.TB, id PairID, r io.Reader) (*Leaves, *Punctured) {
	t.Helper()
	c, phi, err := NewChooser(id, r)
	if err != nil {
		t.Fatal(err)
	}
	l, answer, err := Answer(id, r, phi)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Finish(answer)
	if err != nil {
		t.Fatal(err)
	}
	return l, p
}

// extend runs the first half of a signing session.
func extend(t testing.TB, id PairID, l *Leaves, p *Punctured, r io.Reader) (*Receiver, *Sender) {
	t.Helper()
	rcv, msg, err := Extend(id, l, r)
	if err != nil {
		t.Fatal(err)
	}
	snd, err := Check(id, p, msg)
	if err != nil {
		t.Fatal(err)
	}
	return rcv, snd
}

func scalars(t testing.TB, r io.Reader) (a [inputs]secp256k1.Scalar) {
	t.Helper()
	for k := range a {
		s, err := secp256k1.RandomScalar(r)
		if err != nil {
			t.Fatal(err)
		}
		a[k].Set(s)
	}
	return a
}

var order, _ = new(big.Int).SetString("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141", 16)

func integer(s *secp256k1.Scalar) *big.Int { return new(big.Int).SetBytes(s.Bytes()) }

// isProduct is c + d = a·b mod q in math/big.
func isProduct(a, b, c, d *secp256k1.Scalar) bool {
	sum := new(big.Int).Add(integer(c), integer(d))
	product := new(big.Int).Mul(integer(a), integer(b))
	return sum.Sub(sum, product).Mod(sum, order).Sign() == 0
}

func TestTenThousandProducts(t *testing.T) {
	r := stream("products")
	l, p := setUp(t, idOf("setup", 0), r)
	sid := [32]byte{7}
	seen := map[string]bool{}
	for n := range 5000 {
		if n%1250 == 1249 {
			l, p = setUp(t, idOf("setup", n), r)
		}
		rcv, snd := extend(t, idOf("session", n), l, p, r)
		a, b := scalars(t, r), rcv.Chi()
		c, msg, err := snd.Multiply(sid, a, r)
		if err != nil {
			t.Fatal(err)
		}
		d, err := rcv.Finish(sid, msg)
		if err != nil {
			t.Fatal(err)
		}
		for k := range a {
			if !isProduct(&a[k], &b, &c[k], &d[k]) {
				t.Fatalf("session %d: c_%d + d_%d is not the product", n, k, k)
			}
			seen[string(c[k].Bytes())] = true
		}
		seen[string(b.Bytes())] = true
	}
	if len(seen) != 15000 {
		t.Errorf("15000 random values, %d different ones", len(seen))
	}
}

func TestProductsOfEdgeInputs(t *testing.T) {
	r := stream("edges")
	l, p := setUp(t, idOf("setup", 0), r)
	var zero, minusOne secp256k1.Scalar
	one := *secp256k1.NewScalar(1)
	minusOne.SetNegative(&one)
	for n, a := range [][inputs]secp256k1.Scalar{{zero, zero}, {zero, one}, {minusOne, zero}, {minusOne, minusOne}} {
		rcv, snd := extend(t, idOf("session", n), l, p, r)
		b := rcv.Chi()
		c, msg, err := snd.Multiply([32]byte{}, a, r)
		if err != nil {
			t.Fatal(err)
		}
		d, err := rcv.Finish([32]byte{}, msg)
		if err != nil {
			t.Fatal(err)
		}
		for k := range a {
			if !isProduct(&a[k], &b, &c[k], &d[k]) {
				t.Errorf("case %d: c_%d + d_%d is not the product", n, k, k)
			}
		}
	}
}

func TestStoredStatesSignLikeTheFirst(t *testing.T) {
	r := stream("stored")
	l, p := setUp(t, idOf("setup", 0), r)
	encodedL, encodedP := l.Encode().Expose(), p.Encode().Expose()
	l2, err := DecodeLeaves(encodedL)
	if err != nil {
		t.Fatal(err)
	}
	p2, err := DecodePunctured(encodedP)
	if err != nil {
		t.Fatal(err)
	}
	if *l2 != *l || *p2 != *p {
		t.Fatal("decoded states differ from the encoded ones")
	}
	for name, damaged := range map[string]func() error{
		"short leaves":        func() error { _, err := DecodeLeaves(encodedL[1:]); return err },
		"long leaves":         func() error { _, err := DecodeLeaves(append(bytes.Clone(encodedL), 0)); return err },
		"punctured as leaves": func() error { _, err := DecodeLeaves(encodedP); return err },
		"leaves, format":      func() error { _, err := DecodeLeaves(flip(encodedL, 0, 4)); return err },
		"short punctured":     func() error { _, err := DecodePunctured(encodedP[:PuncturedSize-1]); return err },
		"long punctured":      func() error { _, err := DecodePunctured(append(bytes.Clone(encodedP), 0)); return err },
		"empty punctured":     func() error { _, err := DecodePunctured(nil); return err },
		"punctured, format":   func() error { _, err := DecodePunctured(flip(encodedP, 0, 1)); return err },
	} {
		err := damaged()
		if err == nil {
			t.Errorf("%s: decoded", name)
		}
		if errors.Is(err, ErrEncoding) || errors.Is(err, ErrCheck) {
			t.Errorf("%s: damage to our own store accuses a peer: %v", name, err)
		}
	}
}

func flip(b []byte, n int, mask byte) []byte {
	b = bytes.Clone(b)
	b[n] ^= mask
	return b
}

func TestLengths(t *testing.T) {
	r := stream("lengths")
	id := idOf("setup", 0)
	l, p := setUp(t, id, r)
	_, snd := extend(t, id, l, p, r)
	_, product, err := snd.Multiply([32]byte{}, scalars(t, r), r)
	if err != nil {
		t.Fatal(err)
	}
	_, phi, err := NewChooser(id, r)
	if err != nil {
		t.Fatal(err)
	}
	_, answer, err := Answer(id, r, phi)
	if err != nil {
		t.Fatal(err)
	}
	_, extension, err := Extend(id, l, r)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []struct {
		name string
		msg  []byte
		size int
		take func([]byte) error
	}{
		{"φ", phi, 8192, func(b []byte) error { _, _, err := Answer(id, r, b); return err }},
		{"answer", answer, 13312, func(b []byte) error {
			c, _, err := NewChooser(id, r)
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Finish(b)
			return err
		}},
		{"extension", extension, 4240, func(b []byte) error { _, err := Check(id, p, b); return err }},
		{"product", product, 40000, func(b []byte) error {
			rcv, _, err := Extend(id, l, r)
			if err != nil {
				t.Fatal(err)
			}
			_, err = rcv.Finish([32]byte{}, b)
			return err
		}},
	} {
		if len(m.msg) != m.size {
			t.Errorf("%s has %d bytes, want %d", m.name, len(m.msg), m.size)
		}
		for _, bad := range [][]byte{nil, m.msg[:len(m.msg)-1], append(bytes.Clone(m.msg), 0), append(bytes.Clone(m.msg), m.msg...)} {
			if err := m.take(bad); !errors.Is(err, ErrEncoding) || errors.Is(err, ErrCheck) {
				t.Errorf("%s of %d bytes: %v, want ErrEncoding", m.name, len(bad), err)
			}
		}
	}
	for _, state := range []struct {
		name string
		b    secret.Bytes
		size int
	}{{"leaves", l.Encode(), LeavesSize}, {"punctured leaves", p.Encode(), PuncturedSize}} {
		if state.b.Len() != state.size {
			t.Errorf("stored %s have %d bytes, want %d", state.name, state.b.Len(), state.size)
		}
	}
}

func TestOneTimeStates(t *testing.T) {
	r := stream("one-time")
	id := idOf("setup", 0)
	c, phi, err := NewChooser(id, r)
	if err != nil {
		t.Fatal(err)
	}
	l, answer, err := Answer(id, r, phi)
	if err != nil {
		t.Fatal(err)
	}
	p, err := c.Finish(answer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Finish(answer); !errors.Is(err, ErrSpent) {
		t.Errorf("second Finish of a chooser: %v, want ErrSpent", err)
	}

	rcv, snd := extend(t, id, l, p, r)
	_, msg, err := snd.Multiply([32]byte{}, scalars(t, r), r)
	if err != nil {
		t.Fatal(err)
	}
	if _, again, err := snd.Multiply([32]byte{}, scalars(t, r), r); !errors.Is(err, ErrSpent) || again != nil {
		t.Errorf("second Multiply: %v, want ErrSpent and no message", err)
	}
	if snd.delta != (key{}) || snd.row != [payload * keyLen]byte{} {
		t.Error("a sender keeps Δ or rows after Multiply")
	}
	before := rcv.Chi()
	if _, err := rcv.Finish([32]byte{}, msg); err != nil {
		t.Fatal(err)
	}
	if _, err := rcv.Finish([32]byte{}, msg); !errors.Is(err, ErrSpent) {
		t.Errorf("second Finish of a receiver: %v, want ErrSpent", err)
	}
	if after := rcv.Chi(); !after.Equal(&before) {
		t.Error("Finish changed b")
	}
	rcv.Wipe()
	if after := rcv.Chi(); !after.IsZero() || rcv.beta != [columnLen]byte{} || rcv.row != [payload * keyLen]byte{} {
		t.Error("a receiver keeps b, β or rows after Wipe")
	}
	l.Wipe()
	p.Wipe()
	if *l != (Leaves{}) || *p != (Punctured{}) {
		t.Error("wiped states are not empty")
	}
}

// A failed verdict spends the state too: a second try would be a second question.
func TestFailureSpends(t *testing.T) {
	r := stream("spends")
	id := idOf("setup", 0)
	l, p := setUp(t, id, r)
	rcv, snd := extend(t, id, l, p, r)
	_, msg, err := snd.Multiply([32]byte{}, scalars(t, r), r)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := rcv.Finish([32]byte{}, flip(msg, ProductSize-1, 1)); !errors.Is(err, ErrCheck) || d != [inputs]secp256k1.Scalar{} {
		t.Fatalf("tampered μ: %v, want ErrCheck and no output", err)
	}
	if _, err := rcv.Finish([32]byte{}, msg); !errors.Is(err, ErrSpent) {
		t.Errorf("Finish after a failed one: %v, want ErrSpent", err)
	}

	c, phi, err := NewChooser(id, r)
	if err != nil {
		t.Fatal(err)
	}
	_, answer, err := Answer(id, r, phi)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Finish(flip(answer, AnswerSize-1, 1)); !errors.Is(err, ErrCheck) {
		t.Fatalf("tampered s̃: %v, want ErrCheck", err)
	}
	if _, err := c.Finish(answer); !errors.Is(err, ErrSpent) {
		t.Errorf("Finish after a failed one: %v, want ErrSpent", err)
	}
}

func TestBrokenRandomnessIsNobodysFault(t *testing.T) {
	r := stream("broken")
	id := idOf("setup", 0)
	l, p := setUp(t, id, r)
	_, phi, err := NewChooser(id, r)
	if err != nil {
		t.Fatal(err)
	}
	_, snd := extend(t, id, l, p, r)
	short := func(n int64) io.Reader { return io.LimitReader(stream("short"), n) }
	for name, call := range map[string]func() ([]byte, error){
		"NewChooser, choice bits": func() ([]byte, error) { _, b, err := NewChooser(id, short(15)); return b, err },
		"NewChooser, exponent":    func() ([]byte, error) { _, b, err := NewChooser(id, short(16+128+63)); return b, err },
		"NewChooser, φ":           func() ([]byte, error) { _, b, err := NewChooser(id, short(16+128+127)); return b, err },
		"Answer":                  func() ([]byte, error) { _, b, err := Answer(id, short(100), phi); return b, err },
		"Extend":                  func() ([]byte, error) { _, b, err := Extend(id, l, short(67)); return b, err },
		"Multiply": func() ([]byte, error) {
			_, b, err := snd.Multiply([32]byte{}, [inputs]secp256k1.Scalar{}, short(47))
			return b, err
		},
	} {
		b, err := call()
		if err == nil || b != nil {
			t.Errorf("%s: message of %d bytes and error %v, want an error alone", name, len(b), err)
		}
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrEncoding) || errors.Is(err, ErrCheck) {
			t.Errorf("%s: %v, want the source's own error", name, err)
		}
	}
}

func TestSecretsRedact(t *testing.T) {
	r := stream("redact")
	id := idOf("setup", 0)
	c, _, err := NewChooser(id, r)
	if err != nil {
		t.Fatal(err)
	}
	l, p := setUp(t, id, r)
	rcv, snd := extend(t, id, l, p, r)
	for _, v := range []any{c, *c, l, *l, p, *p, rcv, *rcv, snd, *snd} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d", "%q"} {
			if got := fmt.Sprintf(verb, v); got != secret.Redacted {
				t.Errorf("%T under %s prints %.40q", v, verb, got)
			}
		}
		if got, err := json.Marshal(v); err != nil || string(got) != `"`+secret.Redacted+`"` {
			t.Errorf("%T in JSON is %.40q, %v", v, got, err)
		}
	}
}

// Sessions only read what set-up left: they may run at once.
func TestSessionsShareStates(t *testing.T) {
	l, p := setUp(t, idOf("setup", 0), stream("share"))
	before := *l
	for n := range 8 {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			r := stream(fmt.Sprint("share", n))
			rcv, snd := extend(t, idOf("session", n), l, p, r)
			a, b := scalars(t, r), rcv.Chi()
			c, msg, err := snd.Multiply([32]byte{}, a, r)
			if err != nil {
				t.Fatal(err)
			}
			d, err := rcv.Finish([32]byte{}, msg)
			if err != nil {
				t.Fatal(err)
			}
			if !isProduct(&a[0], &b, &c[0], &d[0]) || !isProduct(&a[1], &b, &c[1], &d[1]) {
				t.Error("not the product")
			}
			if *l != before {
				t.Error("a session changed the leaves")
			}
		})
	}
}
