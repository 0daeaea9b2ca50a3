package control

import (
	"cmp"
	"math/bits"
	"slices"
)

// steal finds a smallest set of domains that reaches t shares, or r shares and k guardians; nil if there is none.
//
// For every number of domains and every set of shares, it holds how many guardians are reached at best. A domain that reaches no share
// only adds guardians, and each guardian lies in one domain of a kind: of those, the largest are taken last.
func (p *problem) steal() []int {
	b := newBoard(len(p.shares), p.most())
	for d, ops := range p.ops {
		if ops != 0 {
			b.use(d, ops, p.guards[d])
		}
	}
	alone := p.byGuardians(func(d int) bool { return p.ops[d] == 0 })
	best := []int(nil)
	try := func(c []int) {
		if best == nil || len(c) < len(best) {
			best = c
		}
	}
	for c := range b.best {
		for reached, guards := range b.best[c] {
			n := bits.OnesCount(uint(reached))
			switch {
			case guards < 0:
			case n >= p.threshold:
				try(b.trace(c, reached))
			case p.quorum > 0 && n >= p.live:
				if extra, ok := p.enough(alone, p.quorum-int(guards)); ok && (best == nil || c+len(extra) < len(best)) {
					try(append(b.trace(c, reached), extra...))
				}
			}
		}
		if best != nil && len(best) <= c+1 {
			break
		}
	}
	return best
}

// most bounds how many domains that reach shares a smallest set holds: t for t shares, if those are reached at all, else r and k.
func (p *problem) most() int {
	reached := 0
	for _, r := range p.shares {
		if r.any.size() > 0 {
			reached++
		}
	}
	if reached >= p.threshold {
		return p.threshold
	}
	return p.live + p.quorum
}

// byGuardians lists domains that reach guardians, those with the most first.
func (p *problem) byGuardians(among func(d int) bool) (all []int) {
	for d, n := range p.guards {
		if n > 0 && among(d) {
			all = append(all, d)
		}
	}
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(p.guards[b], p.guards[a]) })
	return all
}

// enough is the shortest beginning of a list whose domains reach n guardians.
func (p *problem) enough(list []int, n int) ([]int, bool) {
	for i, d := range list {
		if n <= 0 {
			return list[:i], true
		}
		n -= p.guards[d]
	}
	return list, n <= 0
}

// A board holds, for each number of domains and each set of shares, the most guardians that so many domains reach beside these shares.
type board struct {
	best  [][]int8  // −1: not with so many domains
	last  [][]int32 // the step that led there
	steps []step
}

// A step adds a domain to what another step led to.
type step struct {
	domain, before int32
}

func newBoard(n, most int) *board {
	b := &board{}
	for range most + 1 {
		row := make([]int8, 1<<n)
		for i := range row {
			row[i] = -1
		}
		b.best, b.last = append(b.best, row), append(b.last, make([]int32, 1<<n))
	}
	b.best[0][0], b.last[0][0] = 0, -1
	return b
}

// use offers a domain to every set found so far. More domains come first, so that none counts twice.
func (b *board) use(domain int, ops uint32, guards int) {
	for c := len(b.best) - 2; c >= 0; c-- {
		to, steps := b.best[c+1], b.last[c+1]
		for reached, have := range b.best[c] {
			if have < 0 {
				continue
			}
			next := reached | int(ops)
			if n := have + int8(guards); n > to[next] && (next != reached || guards > 0) {
				to[next], steps[next] = n, int32(len(b.steps))
				b.steps = append(b.steps, step{int32(domain), b.last[c][reached]})
			}
		}
	}
}

func (b *board) trace(c, reached int) (domains []int) {
	for at := b.last[c][reached]; at >= 0; at = b.steps[at].before {
		domains = append(domains, int(b.steps[at].domain))
	}
	return domains
}

// halt finds a smallest set of domains without which fewer than t shares sign.
func (p *problem) halt() []int {
	return p.without(len(p.shares)-p.threshold+1, func(r reach) (set, bool) { return r.replicas, !r.stands }, func(set) ([]int, bool) { return nil, true })
}

// lose finds a smallest set of domains without which nothing brings the key back: fewer than t shares are left; and with a plan also
// fewer than r, or fewer than k guardians.
func (p *problem) lose() []int {
	gone := func(r reach) (set, bool) { return r.all, !r.stays }
	if p.quorum == 0 {
		return p.without(len(p.shares)-p.threshold+1, gone, func(set) ([]int, bool) { return nil, true })
	}
	operators := p.without(len(p.shares)-min(p.live, p.threshold)+1, gone, func(set) ([]int, bool) { return nil, true })
	guardians := p.without(len(p.shares)-p.threshold+1, gone, func(lost set) ([]int, bool) {
		need := len(p.guardians) - p.quorum + 1
		for _, d := range p.guardians {
			if d >= 0 && lost.has(d) {
				need--
			}
		}
		return p.enough(p.byGuardians(func(d int) bool { return !lost.has(d) }), need)
	})
	if operators == nil || guardians != nil && len(guardians) < len(operators) {
		return guardians
	}
	return operators
}

// without finds the smallest set of domains that ends n of the shares, with what has to go besides, by trying every n of them.
func (p *problem) without(n int, of func(reach) (domains set, can bool), besides func(lost set) (extra []int, can bool)) (best []int) {
	for chosen := uint32(0); chosen < 1<<len(p.shares); chosen++ {
		if bits.OnesCount32(chosen) != n {
			continue
		}
		lost, can := newSet(len(p.names)), true
		for i, r := range p.shares {
			if chosen>>i&1 == 1 {
				domains, ends := of(r)
				lost.join(domains)
				can = can && ends
			}
		}
		if !can || best != nil && lost.size() >= len(best) {
			continue
		}
		if extra, ok := besides(lost); ok && (best == nil || lost.size()+len(extra) < len(best)) {
			best = append(lost.members(), extra...)
		}
	}
	return best
}
