package control

import "math/bits"

// A set holds domains by their place.
type set []uint64

func newSet(n int) set { return make(set, (n+63)/64) }

func setOf(n int, members []int) set {
	s := newSet(n)
	for _, d := range members {
		s.add(d)
	}
	return s
}

func (s set) add(d int)      { s[d/64] |= 1 << (d % 64) }
func (s set) has(d int) bool { return s[d/64]>>(d%64)&1 == 1 }

// in says whether all of s are in o.
func (s set) in(o set) bool {
	for i, w := range s {
		if w&^o[i] != 0 {
			return false
		}
	}
	return true
}

func (s set) size() (n int) {
	for _, w := range s {
		n += bits.OnesCount64(w)
	}
	return n
}

func (s set) join(o set) {
	for i, w := range o {
		s[i] |= w
	}
}

func (s set) members() (all []int) {
	for i, w := range s {
		for ; w != 0; w &= w - 1 {
			all = append(all, 64*i+bits.TrailingZeros64(w))
		}
	}
	return all
}
