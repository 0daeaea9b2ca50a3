package epoch

import (
	"fmt"
	"math/bits"
)

// A set of states, open addressing; a state is never 0.
type set struct {
	slots []uint64
	n     int
}

func (s *set) add(k uint64) bool {
	if 2*s.n >= len(s.slots) {
		old := s.slots
		s.slots, s.n = make([]uint64, max(1<<16, 2*len(old))), 0
		for _, k := range old {
			if k != 0 {
				s.add(k)
			}
		}
	}
	mask := uint64(len(s.slots) - 1)
	for i := (k * 0x9e3779b97f4a7c15) >> 17 & mask; ; i = (i + 1) & mask {
		switch s.slots[i] {
		case k:
			return false
		case 0:
			s.slots[i] = k
			s.n++
			return true
		}
	}
}

const (
	maxHonest = 4
	perLocal  = 16 // bits; the model stops if they do not suffice
)

type state [maxHonest]int32 // by party: its local

// pack makes a state's number; parties that stand in the same records are interchangeable.
func (m *model) pack(s state) (k uint64) {
	for _, c := range m.classes {
		if len(c) == 1 {
			continue
		}
		for i := 1; i < len(c); i++ {
			for j := i; j > 0 && s[c[j]] < s[c[j-1]]; j-- {
				s[c[j]], s[c[j-1]] = s[c[j-1]], s[c[j]]
			}
		}
	}
	for i := range m.honest {
		k |= uint64(s[i]+1) << (perLocal * i)
	}
	return k
}

func (m *model) unpack(k uint64) (s state) {
	for i := range m.honest {
		s[i] = int32(k>>(perLocal*i)&(1<<perLocal-1)) - 1
	}
	return s
}

// there says, by record, which messages exist: certificate, test of all, FinalCert.
func (m *model) there(s state) (cert, test, final uint8) {
	var prep, tested, said [maxRecords]uint8
	for i := range m.honest {
		l := &m.locals[s[i]]
		for r := range m.records {
			prep[r] |= l.prep >> r & 1 << i
			tested[r] |= l.tested >> r & 1 << i
			said[r] |= l.final >> r & 1 << i
		}
	}
	final = 1
	for r := 1; r < len(m.records); r++ {
		in := m.in[r]
		// Liars sign anything; who stays in the committee agrees by its PREP, who leaves by an OLDOK.
		agree := bits.OnesCount8(prep[r]&m.old[r]) + m.lying[r]
		if prep[r]&in == in && agree >= m.records[m.scene.records[r].parent].quorum(m.records[r]) {
			cert |= 1 << r
		}
		if tested[r]&in == in {
			test |= 1 << r
		}
		if said[r]&in == in && (cert>>r&1 == 1) {
			final |= 1 << r
		}
	}
	return cert, test, final
}

// An edge is a step that a party can make once the messages that it needs exist.
type edge struct {
	needs uint8 // which of them: needsNothing, needsCert, …
	r     uint8
	to    int32
}

const (
	needsNothing = iota
	needsCert
	needsTest
	needsFinal
)

// edges lists a party's steps from one of its places.
func (m *model) edges(party, l int) []edge {
	at := l*m.honest + party
	if m.out[at] == nil {
		list := []edge{}
		for step := range steps {
			needs := uint8(needsNothing)
			switch step {
			case doCertify:
				needs = needsCert
			case doTested:
				needs = needsTest
			case doAdopt:
				needs = needsFinal
			case doLose:
				if m.mutant == "erase before the certificate is durable" {
					needs = needsFinal
				}
			}
			for r := 1; r < len(m.records); r++ {
				if n := m.move(party, l, step, r); n >= 0 {
					list = append(list, edge{needs, uint8(r), int32(n)})
				}
			}
		}
		m.out[at] = list
	}
	return m.out[at]
}

func (m *model) run() {
	var start state
	b := NewBook()
	b.Adopt(m.finals[0][0])
	for i := range m.honest {
		start[i] = int32(m.localID(local{book: m.intern(b), shares: m.in[0] >> i & 1}))
	}
	todo := []uint64{m.pack(start)}
	m.seen.add(todo[0])
	for len(todo) > 0 && (m.limit == 0 || m.seen.n < m.limit) {
		s := m.unpack(todo[len(todo)-1])
		todo = todo[:len(todo)-1]
		cert, test, final := m.there(s)
		if m.broken = m.check(s, final); m.broken != "" {
			return
		}
		if m.mutant == "move at Cert" {
			final |= cert
		}
		there := [...]uint8{needsNothing: 0xff, needsCert: cert, needsTest: test, needsFinal: final}
		for i := range m.honest {
			for _, e := range m.edges(i, int(s[i])) {
				if there[e.needs]>>e.r&1 == 0 {
					continue
				}
				next := s
				next[i] = e.to
				if k := m.pack(next); m.seen.add(k) {
					todo = append(todo, k)
				}
			}
		}
	}
	if len(m.locals) >= 1<<perLocal-1 {
		m.tb.Fatal("more places of one party than a state has bits for")
	}
}

// check says what is wrong with a state, or nothing.
func (m *model) check(s state, final uint8) string {
	highest := 0
	for r := range m.records {
		if final>>r&1 == 1 && m.rank[r] > m.rank[highest] {
			highest = r
		}
	}
	for i := range m.honest {
		l := &m.locals[s[i]]
		switch {
		case m.in[highest]>>i&1 == 1 && l.shares>>highest&1 == 0:
			return fmt.Sprintf("party %d has no share of record %d, the highest that is final", i, highest)
		case l.parents&^final != 0:
			return fmt.Sprintf("party %d signed for a child of records %b, which are not final: no chain leads to it", i, l.parents&^final)
		case m.books[l.book].mixes:
			return fmt.Sprintf("party %d joins a session of another record with a share of record %d", i, m.books[l.book].now)
		}
	}
	return m.gossip(s)
}

// gossip hands the certificates in force at honest parties around. Then all must be at one,
// and if there are enough of them without the liars, they can sign and have a next epoch.
func (m *model) gossip(s state) string {
	var nows [maxHonest]int
	same := true
	for i := range m.honest {
		nows[i] = m.books[m.locals[s[i]].book].now
		same = same && nows[i] == nows[0]
	}
	for i := range m.honest {
		if same {
			break
		}
		for _, r := range nows[:m.honest] {
			if n := m.move(i, int(s[i]), doAdopt, r); n >= 0 {
				s[i] = int32(n)
			}
		}
	}
	now := m.books[m.locals[s[0]].book].now
	for i := range m.honest {
		if m.books[m.locals[s[i]].book].now != now {
			return fmt.Sprintf("after gossip party %d is at record %d, party 0 at %d", i, m.books[m.locals[s[i]].book].now, now)
		}
	}
	if m.next[now] == nil {
		return ""
	}
	for i := range m.honest {
		l := &m.locals[s[i]]
		switch {
		case m.in[now]>>i&1 == 0:
		case l.shares>>now&1 == 0 || !m.books[l.book].sign:
			return fmt.Sprintf("party %d cannot sign with record %d, which is current", i, now)
		case !m.goesOn(l.book):
			return fmt.Sprintf("party %d is stuck at record %d: no next epoch comes about", i, now)
		}
	}
	return ""
}
