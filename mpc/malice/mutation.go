package malice

import (
	"bytes"
	"crypto/sha512"
	"fmt"
	"math/big"
	"slices"

	"github.com/ostraka/ostraka/crypto/group"
)

// Seen is what a corrupt party can draw on besides its own body: the same kind of message
// from another party, and its own from an earlier session, in bodies of the same size.
type Seen struct{ Other, Earlier []byte }

// A Mutation changes one field of a message, or all of it.
type Mutation struct {
	Message Message
	Field   string // "" for the whole message
	Name    string
	Want    Result
	Or      Result                              // another allowed result, or 0
	Edit    func(body []byte, seen Seen) []byte // body is the caller's to give away
}

// Allows reports whether the mutation may come to this.
func (m Mutation) Allows(r Result) bool { return r == m.Want || m.Or != 0 && r == m.Or }

func (m Mutation) String() string {
	if m.Field == "" {
		return m.Message.Name + "/whole/" + m.Name
	}
	return m.Message.Name + "/" + m.Field + "/" + m.Name
}

// value makes a wrong value from a right one, for a single field.
type value struct {
	name      string
	malformed bool
	make      func(own, other, earlier []byte) []byte
}

// Depth says how many mutations there are to be.
type Depth uint8

const (
	// One mutation for each field, the type's next one from field to field.
	One Depth = iota
	// Each mutation of the type, at the field's first value.
	Each
	// All mutations, at the first, the middle and the last value, and on lists.
	All
)

// Mutations lists what may happen to each field. g is the group of its points and scalars.
func (m Message) Mutations(g group.Group, depth Depth) (all []Mutation) {
	for n, f := range m.Fields {
		values := valuesOf(g, f)
		if depth == One {
			k := n % len(values)
			values = values[k : k+1]
		}
		for _, k := range places(f, depth) {
			for _, v := range values {
				all = append(all, m.mutation(f, k, v))
			}
		}
		if f.count() > 1 && depth != One {
			all = append(all, m.reordered(f), m.duplicated(f))
		}
	}
	return all
}

func places(f Field, depth Depth) []int {
	last := f.count() - 1
	if depth != All {
		return []int{0}
	}
	return slices.Compact([]int{0, last / 2, last})
}

func (m Message) mutation(f Field, k int, v value) Mutation {
	want, or := f.Want, f.Or
	if v.malformed {
		want, or = Blame, 0
	}
	name := v.name
	if f.count() > 1 {
		name = fmt.Sprintf("%s at %d", v.name, k)
	}
	return Mutation{m, f.Name, name, want, or, func(body []byte, seen Seen) []byte {
		own := f.slot(body, k)
		copy(own, v.make(bytes.Clone(own), f.slot(seen.Other, k), f.slot(seen.Earlier, k)))
		return body
	}}
}

// reordered exchanges the first two values of a list.
func (m Message) reordered(f Field) Mutation {
	return Mutation{m, f.Name, "reordered", f.Want, f.Or, func(body []byte, _ Seen) []byte {
		a, b := f.slot(body, 0), f.slot(body, 1)
		tmp := bytes.Clone(a)
		copy(a, b)
		copy(b, tmp)
		return body
	}}
}

// duplicated puts the first value of a list in the second's place.
func (m Message) duplicated(f Field) Mutation {
	return Mutation{m, f.Name, "duplicated", f.Want, f.Or, func(body []byte, _ Seen) []byte {
		copy(f.slot(body, 1), f.slot(body, 0))
		return body
	}}
}

func valuesOf(g group.Group, f Field) []value {
	switch f.Type {
	case Scalar:
		return scalars(g)
	case Point:
		return points(g)
	}
	return strings()
}

func fixed(name string, malformed bool, b []byte) value {
	return value{name, malformed, func(_, _, _ []byte) []byte { return b }}
}

// replayed are values that were right elsewhere.
func replayed() []value {
	return []value{
		{"another party's", false, func(_, other, _ []byte) []byte { return other }},
		{"of an earlier session", false, func(_, _, earlier []byte) []byte { return earlier }},
	}
}

func scalars(g group.Group) []value {
	one := g.Scalar(1)
	last := one.Neg().Bytes() // q−1
	random := func(own, _, _ []byte) []byte {
		h := sha512.Sum512(own)
		return g.ReduceScalar(h[:g.WideSize()]).Bytes()
	}
	return append(replayed(), []value{
		{"random", false, random},
		fixed("zero", false, make([]byte, group.ScalarSize)),
		fixed("one", false, one.Bytes()),
		fixed("q-1", false, last),
		fixed("q", true, plus(g, last, 1)),
		fixed("q+1", true, plus(g, last, 2)),
		fixed("all ones", true, bytes.Repeat([]byte{0xff}, group.ScalarSize)),
	}...)
}

// plus adds n to an encoded scalar as an integer, in the group's byte order.
func plus(g group.Group, b []byte, n int64) []byte {
	b = bytes.Clone(b)
	little := g.Scalar(1).Bytes()[0] == 1
	if little {
		slices.Reverse(b)
	}
	v := new(big.Int).SetBytes(b)
	v.Add(v, big.NewInt(n)).FillBytes(b)
	if little {
		slices.Reverse(b)
	}
	return b
}

func points(g group.Group) []value {
	negated := func(b []byte) []byte {
		p, err := g.DecodePoint(b)
		if err != nil {
			return b
		}
		return p.Neg().Bytes()
	}
	prefix := func(to byte) func(own, _, _ []byte) []byte {
		return func(own, _, _ []byte) []byte { own[0] = to; return own }
	}
	all := append(replayed(), []value{
		fixed("generator", false, g.Generator().Bytes()),
		{"negated", false, func(own, _, _ []byte) []byte { return negated(own) }},
		{"cancels another party's", false, func(_, other, _ []byte) []byte { return negated(other) }},
		fixed("zeros", true, make([]byte, g.PointSize())),
		fixed("all ones", true, bytes.Repeat([]byte{0xff}, g.PointSize())),
		{"not on the curve", true, func(own, _, _ []byte) []byte { return offCurve(g, own) }},
	}...)
	if g.PointSize() == 33 {
		all = append(all,
			value{"prefix of the uncompressed form", true, prefix(4)},
			value{"prefix of the hybrid form", true, prefix(6)},
			value{"prefix zero", true, prefix(0)},
			fixed("x = p", true, append([]byte{2}, fieldPrime()...)))
	}
	return all
}

// fieldPrime is p = 2^256 − 2^32 − 977 of secp256k1.
func fieldPrime() []byte {
	p := new(big.Int).Lsh(big.NewInt(1), 256)
	p.Sub(p, big.NewInt(1<<32+977))
	return p.Bytes()
}

// offCurve counts up from a point's encoding to one that is no point.
func offCurve(g group.Group, b []byte) []byte {
	for {
		b[len(b)/2]++
		if _, err := g.DecodePoint(b); err != nil {
			return b
		}
	}
}

func strings() []value {
	flip := func(at func(n int) int) func(own, _, _ []byte) []byte {
		return func(own, _, _ []byte) []byte {
			i := at(8 * len(own))
			own[i/8] ^= 1 << (i % 8)
			return own
		}
	}
	return append([]value{
		{"first bit flipped", false, flip(func(int) int { return 0 })},
		{"last bit flipped", false, flip(func(n int) int { return n - 1 })},
		{"middle bit flipped", false, flip(func(n int) int { return n / 2 })},
		{"zeros", false, func(own, _, _ []byte) []byte { clear(own); return own }},
		{"all bits flipped", false, func(own, _, _ []byte) []byte {
			for i := range own {
				own[i] ^= 0xff
			}
			return own
		}},
	}, replayed()...)
}

// Replays put a whole body that was right elsewhere in this one's place.
func (m Message) Replays(want Result) []Mutation {
	return []Mutation{
		{m, "", "another party's", want, 0, func(_ []byte, seen Seen) []byte { return bytes.Clone(seen.Other) }},
		{m, "", "of an earlier session", want, 0, func(_ []byte, seen Seen) []byte { return bytes.Clone(seen.Earlier) }},
	}
}

// Lengths are mutations of the whole body's length: shorter ones are blamed, longer ones
// never reach the protocol.
func (m Message) Lengths() []Mutation {
	whole := func(name string, want Result, edit func(b []byte) []byte) Mutation {
		return Mutation{m, "", name, want, 0, func(b []byte, _ Seen) []byte { return edit(b) }}
	}
	return []Mutation{
		whole("empty", Blame, func([]byte) []byte { return nil }),
		whole("one byte short", Blame, func(b []byte) []byte { return b[:len(b)-1] }),
		whole("half", Blame, func(b []byte) []byte { return b[:len(b)/2] }),
		whole("one byte long", Timeout, func(b []byte) []byte { return append(b, 0) }),
		whole("twice", Timeout, func(b []byte) []byte { return append(b, b...) }),
		whole("a thousand times", Timeout, func(b []byte) []byte { return bytes.Repeat(b, 1000) }),
	}
}
