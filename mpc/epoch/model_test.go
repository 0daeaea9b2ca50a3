package epoch

import (
	"fmt"
	"maps"
	"strings"
	"testing"
)

// A small exhaustive model of 1.5: one key, epoch 0, two attempts, two honest members and a liar
// who PREPs, FINALs and deals out certificates as it likes, two of each record. Moves come in every order;
// a crash changes nothing, since a book is durable, and a lost message is a move that does not come.

// A place is the state of the whole: books, and what the honest have signed.
type place struct {
	books  [2]*Book
	prep   [2][2]bool // by member and record
	signed [2][2]bool // FINAL
}

func (s place) clone() place {
	for i, b := range s.books {
		c := &Book{current: b.current, at: b.at, pending: map[Hash]*Pending{}, gone: maps.Clone(b.gone)}
		for h, p := range b.pending {
			q := *p
			c.pending[h] = &q
		}
		s.books[i] = c
	}
	return s
}

type model struct {
	*testing.T
	records [2]*Record
	eh      [2]Hash
	certs   [2]*Cert
	finals  [2][2]*FinalCert // by record, two of each
	mutant  string
	broken  string // the first violation
	seen    map[string]bool
}

func newModel(t *testing.T, mutant string) *model {
	w := newWorld(t)
	m := &model{T: t, mutant: mutant, seen: map[string]bool{}}
	for r := range m.records {
		m.records[r] = w.record(1, uint64(r), 2, three, nil, uint64(r))
		m.eh[r], m.certs[r] = m.records[r].Hash(), w.cert(m.records[r])
		m.finals[r] = [2]*FinalCert{w.finalCert(m.records[r], 1), w.finalCert(m.records[r], 60)}
	}
	return m
}

func (m *model) key(s place) string {
	var k strings.Builder
	for i, b := range s.books {
		cur := [32]byte{}
		if b.current != nil {
			cur = b.current.Sum()
		}
		fmt.Fprintf(&k, "%x %v %v", cur[:4], s.prep[i], s.signed[i])
		for _, h := range m.eh {
			p := b.pending[h]
			fmt.Fprintf(&k, "|%d %v %v", b.gone[h], p != nil, p != nil && p.Tested)
			if p != nil {
				fmt.Fprintf(&k, "%v%v", p.Cert != nil, p.Final != nil)
			}
		}
	}
	return k.String()
}

// both reports whether a FinalCert of a record can exist: the liar's part never lacks.
func (s place) both(r int) bool { return s.signed[0][r] && s.signed[1][r] }

// step makes one move of member i on record r; false if it is not open.
func (m *model) step(s *place, move string, i, r int) bool {
	b, h := s.books[i], m.eh[r]
	p := b.pending[h]
	switch move {
	case "prepare":
		s.prep[i][r] = true
		return p == nil && b.Prepare(m.records[r]) == nil
	case "certify": // PREP of all; its check is another test's
		if !s.prep[0][r] || !s.prep[1][r] || p == nil || p.Cert != nil {
			return false
		}
		p.Cert = m.certs[r]
		return true
	case "test":
		return p != nil && !p.Tested && b.Tested(h) == nil
	case "final":
		if q, err := b.MayFinal(h); err != nil || q.Final != nil {
			return false
		}
		p.Final, s.signed[i][r] = m.finals[r][0].Finals[i], true
		return true
	case "drop":
		if m.mutant == "drop after FINAL" && p != nil {
			p.Final = nil
		}
		return b.Drop(h) == nil
	case "adopt 0", "adopt 1":
		if m.mutant == "move at Cert" && s.prep[0][r] && s.prep[1][r] {
			_, moved := b.Adopt(m.finals[r][0])
			return moved
		}
		if !s.both(r) {
			return false
		}
		_, moved := b.Adopt(m.finals[r][move[6]-'0'])
		if moved && m.mutant == "erase other lines" {
			for o, h := range m.eh {
				if o != r && b.pending[h] != nil {
					delete(b.pending, h)
					b.gone[h] = Erased
				}
			}
		}
		return moved
	}
	panic(move)
}

var moves = []string{"prepare", "certify", "test", "final", "drop", "adopt 0", "adopt 1"}

func (m *model) walk(s place) {
	k := m.key(s)
	if m.broken != "" || m.seen[k] {
		return
	}
	m.seen[k] = true
	m.broken = m.check(s)
	for i := range 2 {
		for r := range 2 {
			for _, move := range moves {
				if next := s.clone(); m.step(&next, move, i, r) {
					m.walk(next)
				}
			}
		}
	}
}

// check says what is wrong with a state, or nothing.
func (m *model) check(s place) string {
	for r := 1; r >= 0; r-- {
		if !s.both(r) {
			continue
		}
		for i, b := range s.books {
			if _, gone := b.Gone(m.eh[r]); gone {
				return fmt.Sprintf("member %d gave up the highest final record", i)
			}
		}
		break
	}
	for i, b := range s.books {
		if b.current == nil {
			continue
		}
		// What one member uses, every honest one holds, or something higher that is final.
		other := s.books[1-i]
		h := b.current.Record.Hash()
		held := other.pending[h] != nil || other.current != nil && !b.current.Record.Higher(other.current.Record)
		if !held {
			return fmt.Sprintf("member %d uses a record that the other does not hold", i)
		}
	}
	after := s.clone()
	for r := range 2 {
		for v := range 2 {
			if s.both(r) {
				after.books[0].Adopt(m.finals[r][v])
				after.books[1].Adopt(m.finals[1-r][1-v])
				after.books[1].Adopt(m.finals[r][v])
			}
		}
	}
	if s.both(0) && s.both(1) {
		x, y := after.books[0].current, after.books[1].current
		if x.Sum() != y.Sum() {
			return "after gossip the members are not at one"
		}
	}
	return ""
}

func TestModel(t *testing.T) {
	m := newModel(t, "")
	m.walk(place{books: [2]*Book{NewBook(), NewBook()}})
	if m.broken != "" {
		t.Error(m.broken)
	}
	if len(m.seen) < 1000 {
		t.Errorf("only %d states were seen", len(m.seen))
	}
	for _, mutant := range []string{"drop after FINAL", "move at Cert", "erase other lines"} {
		m := newModel(t, mutant)
		m.walk(place{books: [2]*Book{NewBook(), NewBook()}})
		if m.broken == "" {
			t.Errorf("%s: not caught in %d states", mutant, len(m.seen))
		}
	}
	t.Logf("%d states", len(m.seen))
}
