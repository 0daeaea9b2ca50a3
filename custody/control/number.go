package control

import (
	"math/bits"
	"slices"
)

// A Coalition is a set of domains of one kind, ascending.
type Coalition []string

// A Number is how few domains of one kind suffice for something, and which.
type Number struct {
	// Size is 0 if all domains of the kind together do not suffice.
	Size int
	// Coalitions are smallest ones, ascending; at most MaxNamed of them.
	Coalitions []Coalition
	// More says that there are others of that size, or may be.
	More bool
}

// MaxNamed bounds how many smallest coalitions are named.
const MaxNamed = 8

// A Figure holds the numbers of one kind.
type Figure struct {
	Kind              Kind
	Steal, Halt, Lose Number
}

// Measure finds the numbers of every kind.
func (s Structure) Measure() (out [Kinds]Figure) {
	for k := range Kind(Kinds) {
		p := newProblem(s, k)
		out[k] = Figure{Kind: k, Steal: p.number(p.steal(), p.steals), Halt: p.number(p.halt(), p.halts), Lose: p.number(p.lose(), p.loses)}
	}
	return out
}

// A problem is a Structure seen through one kind of domain.
type problem struct {
	names     []string
	threshold int
	live      int // r; 0 without a plan
	quorum    int // k
	shares    []reach
	guardians []int    // per guardian its domain, −1 for none
	ops       []uint32 // per domain, the shares that it reaches
	guards    []int    // per domain, how many guardians it reaches
}

// reach is what touches one share.
type reach struct {
	any      set  // each of them reaches it
	replicas set  // without all of them it does not sign
	all      set  // without all of them no copy is left
	stands   bool // some replica has no domain of this kind, so it does not go
	stays    bool // some copy has none
}

func newProblem(s Structure, k Kind) *problem {
	p := &problem{names: s.domains(k), threshold: s.Threshold}
	p.ops, p.guards = make([]uint32, len(p.names)), make([]int, len(p.names))
	if s.SOS != nil {
		p.live, p.quorum = s.SOS.Live, s.SOS.Quorum
	}
	index := func(name string) int { i, _ := slices.BinarySearch(p.names, name); return i }
	for i, share := range s.Shares {
		r := reach{any: newSet(len(p.names)), replicas: newSet(len(p.names)), all: newSet(len(p.names))}
		for _, c := range share.Copies {
			for _, name := range c.Reach[k] {
				d := index(name)
				r.all.add(d)
				if c.Level == Replica {
					r.replicas.add(d)
				}
			}
			for _, name := range c.reachedBy(k) {
				d := index(name)
				r.any.add(d)
				p.ops[d] |= 1 << i
			}
			none := len(c.Reach[k]) == 0
			r.stays = r.stays || none
			r.stands = r.stands || none && c.Level == Replica
		}
		p.shares = append(p.shares, r)
	}
	for _, g := range s.Guardians {
		d := -1
		if g.Reach[k] != "" {
			d = index(g.Reach[k])
			p.guards[d]++
		}
		p.guardians = append(p.guardians, d)
	}
	return p
}

// steals says whether domains reach t shares, or r shares and k guardians.
func (p *problem) steals(c []int) bool {
	var reached uint32
	guards := 0
	for _, d := range c {
		reached |= p.ops[d]
		guards += p.guards[d]
	}
	n := bits.OnesCount32(reached)
	return n >= p.threshold || p.quorum > 0 && n >= p.live && guards >= p.quorum
}

// halts says whether fewer than t shares can sign without these domains.
func (p *problem) halts(c []int) bool {
	lost := setOf(len(p.names), c)
	left := 0
	for _, r := range p.shares {
		if r.stands || !r.replicas.in(lost) {
			left++
		}
	}
	return left < p.threshold
}

// loses says whether nothing brings the key back without these domains: fewer than t shares are left in any copy, and SOS lacks operators
// or guardians.
func (p *problem) loses(c []int) bool {
	lost := setOf(len(p.names), c)
	left := 0
	for _, r := range p.shares {
		if r.stays || !r.all.in(lost) {
			left++
		}
	}
	guards := 0
	for _, d := range p.guardians {
		if d < 0 || !lost.has(d) {
			guards++
		}
	}
	return left < p.threshold && (p.quorum == 0 || left < p.live || guards < p.quorum)
}

// number names the smallest coalitions, of which one is known.
func (p *problem) number(one []int, holds func([]int) bool) Number {
	if one == nil {
		return Number{}
	}
	slices.Sort(one)
	found, more := p.others(one, holds)
	out := Number{Size: len(one), More: more}
	for _, c := range found {
		var names Coalition
		for _, d := range c {
			names = append(names, p.names[d])
		}
		out.Coalitions = append(out.Coalitions, names)
	}
	slices.SortFunc(out.Coalitions, slices.Compare[Coalition])
	return out
}

// maxLook bounds how many sets are tried in search of more coalitions of the smallest size.
const maxLook = 20_000

// others looks for more of a coalition's size, in order.
func (p *problem) others(one []int, holds func([]int) bool) (found [][]int, more bool) {
	found = append(found, one)
	looked := 0
	set := make([]int, 0, len(one))
	var walk func(from int) bool
	walk = func(from int) bool {
		if len(set) == cap(set) {
			looked++
			if looked > maxLook {
				more = true
				return false
			}
			if !slices.Equal(set, one) && holds(set) {
				if len(found) == MaxNamed {
					more = true
					return false
				}
				found = append(found, slices.Clone(set))
			}
			return true
		}
		for d := from; d <= len(p.names)-(cap(set)-len(set)); d++ {
			set = append(set, d)
			on := walk(d + 1)
			set = set[:len(set)-1]
			if !on {
				return false
			}
		}
		return true
	}
	walk(0)
	return found, more
}
