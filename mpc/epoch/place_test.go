package epoch

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// An exhaustive model of protocols.md 1.5, over the real Book with real signatures. One key with
// epoch 0 in force, attempts at later epochs with their committees, honest parties and liars.
//
// The network is the set of all that was ever sent: at any time any of it may be delivered
// to anybody, again, late, in any order, or never. Liars have said everything about every record in
// every form, to be handed to anybody at any time or never; so they equivocate, fall silent at
// any point and deal out late certificates. An honest party moves in steps: it writes, and then it
// may send what it wrote, now, again or never. A crash between two steps loses nothing, since
// nothing leaves before it is written and a step that was not written did not happen: every book
// is checked to come back from Restore as it was. A test signature is a message of each member too.
//
// What one party can be in is found by driving its Book once for each step that is possible
// anywhere; the walk over the whole then looks steps up. So it visits about a million states a
// second, and each of their steps is the Book's own.

// A plan is one record of a case: parent is its place in the list, -1 for epoch 0.
type plan struct {
	parent  int
	members []int
	t       int
}

// A scene is what is explored. Parties 0 to honest−1 are honest, those after them lie.
type scene struct {
	name    string
	honest  int
	records []plan
	lower   bool // operators agree to lower thresholds
	split   bool // writing and sending are two steps: the exact form; else a party sends at once
}

const (
	doPrepare = iota
	doSendPrep
	doCertify
	doSendTest
	doTested
	doFinal
	doSendFinal
	doDrop
	doAdopt
	doErase
	doLose // mutants alone: sent or erased before it was durable, and a crash came between
	steps
)

const maxRecords = 6

// A local is what one honest party is in: its disk, and what it ever sent.
type local struct {
	book                int
	prep, tested, final uint8 // sent, by record
	shares              uint8 // on disk, by record
	parents             uint8 // of what it signed
}

type ledger struct {
	book  *Book
	key   string
	now   int               // place of current
	sign  bool              // MaySign takes current
	sent  [maxRecords]uint8 // what may be sent now: 1 PREP, 2 test, 4 FINAL
	held  uint8             // current and pending
	mixes bool              // MaySign takes another record than current
	goes  int8              // whether a next epoch comes about from here: 0 unknown, 1, -1
}

type model struct {
	scene
	tb     testing.TB
	mutant string
	w      *world

	records []*Record
	ehs     []Hash
	rank    []int // order of records: higher is higher
	certs   []*Cert
	finals  [][2]*FinalCert // two forms of each
	next    []*Record       // by record: its honest members' next epoch, without any liar
	in      []uint8         // honest members, by record
	old     []uint8         // honest members of the parent
	lying   []int           // liars in the parent
	classes [][]int         // honest parties that stand in the same records

	books   []ledger
	bookIDs map[string]int
	locals  []local
	ids     map[local]int
	out     [][]edge  // [party*locals+local]: its steps
	moves   [][]int32 // [party*locals+local][step*records+record]: 0 unknown, -1 not open, else local+1

	seen   set
	broken string
	limit  int // of states, 0: none
}

func newModel(tb testing.TB, s scene, mutant string) *model {
	m := &model{scene: s, tb: tb, mutant: mutant, w: newWorld(tb), bookIDs: map[string]int{}, ids: map[local]int{}}
	for i := range 8 {
		if !slices.Contains(s.records[0].members, i) {
			m.w.seats[i] = share.Index(20 + i) // newcomers
		}
	}
	for i, p := range s.records {
		var parent *Record
		if p.parent >= 0 {
			parent = m.records[p.parent]
		}
		m.add(parent, p, uint64(i))
	}
	for i, p := range s.records {
		m.rank = append(m.rank, 0)
		for _, r := range m.records {
			if m.records[i].Higher(r) {
				m.rank[i]++
			}
		}
		var both, lying = uint8(0), 0
		if p.parent >= 0 {
			both = m.in[p.parent]
			for _, x := range s.records[p.parent].members {
				if x >= s.honest {
					lying++
				}
			}
		}
		m.old, m.lying = append(m.old, both), append(m.lying, lying)
		m.next = append(m.next, m.successor(i, p))
	}
	for i := range s.honest {
		k := slices.IndexFunc(m.classes, func(c []int) bool {
			return !slices.ContainsFunc(m.in, func(in uint8) bool { return in>>c[0]&1 != in>>i&1 })
		})
		if k < 0 {
			m.classes = append(m.classes, []int{i})
		} else {
			m.classes[k] = append(m.classes[k], i)
		}
	}
	return m
}

func (m *model) add(parent *Record, p plan, attempt uint64) {
	r := m.w.record(1, attempt+1, p.t, p.members, parent, attempt)
	m.records, m.ehs = append(m.records, r), append(m.ehs, r.Hash())
	m.certs = append(m.certs, m.w.certOf(r, parent))
	x, y := m.w.finalCertOf(r, parent, 1), m.w.finalCertOf(r, parent, 60)
	m.finals = append(m.finals, [2]*FinalCert{x, y})
	in := uint8(0)
	for _, i := range p.members {
		if i < m.honest {
			in |= 1 << i
		}
	}
	m.in = append(m.in, in)
}

// successor is an epoch of a record's honest members alone; nil if they are no quorum.
func (m *model) successor(i int, p plan) *Record {
	var honest []int
	for _, x := range p.members {
		if x < m.honest {
			honest = append(honest, x)
		}
	}
	if len(honest) < p.t {
		return nil
	}
	return m.w.record(1, uint64(100+i), p.t, honest, m.records[i], 1000)
}

// bookKey is all of a book that any rule looks at.
func (m *model) bookKey(b *Book) string {
	var k strings.Builder
	k.WriteByte(byte(m.place(b.at)))
	for _, h := range m.ehs {
		p := b.pending[h]
		c := byte(b.gone[h]) << 4
		if p != nil {
			c |= 1
			for i, x := range []bool{p.Cert != nil, p.Tested, p.Final != nil} {
				if x {
					c |= 2 << i
				}
			}
		}
		k.WriteByte(c)
	}
	return k.String()
}

func (m *model) place(eh Hash) int { return slices.Index(m.ehs, eh) }

func copyBook(b *Book) *Book {
	c := NewBook()
	c.current, c.at = b.current, b.at
	for h, p := range b.pending {
		q := *p
		c.pending[h] = &q
	}
	for h, d := range b.gone {
		c.gone[h] = d
	}
	return c
}

// kept is what is on disk of a book.
func kept(b *Book) Kept {
	k := Kept{Current: b.current, Gone: b.gone}
	for _, p := range b.pending {
		k.Pending = append(k.Pending, *p)
	}
	return k
}

// erase is what a start after a crash finds to erase: rows that the crash came before. It leaves
// exactly what is held.
func (m *model) erase(b *Book, shares uint8) uint8 {
	k, held := kept(b), m.books[m.intern(b)].held
	for r := range m.records {
		if shares>>r&1 == 1 && held>>r&1 == 0 {
			k.Pending = append(k.Pending, Pending{Record: m.records[r]})
		}
	}
	_, erase, err := Restore(k)
	for _, h := range erase {
		shares &^= 1 << m.place(h)
	}
	if m.mutant == "" && (err != nil || shares&^held != 0) {
		m.tb.Fatalf("a crash leaves the shares of records %b, held are %b: %v", shares, held, err)
	}
	return shares
}

func (m *model) intern(b *Book) int {
	key := m.bookKey(b)
	if id, ok := m.bookIDs[key]; ok {
		return id
	}
	again, erase, err := Restore(kept(b))
	if m.mutant == "" && (err != nil || len(erase) > 0 || m.bookKey(again) != key) {
		m.tb.Fatalf("a crash changes the book: %v, erases %v", err, erase)
	}
	l := ledger{book: b, key: key, now: m.place(b.at), held: 1 << m.place(b.at)}
	for r, h := range m.ehs {
		if b.MaySign(h) == nil || m.mutant == "sign what the opener names" {
			l.sign, l.mixes = l.sign || r == l.now, l.mixes || r != l.now
		}
		if p := b.pending[h]; p != nil {
			l.held |= 1 << r
			l.sent[r] |= 1
			if _, err := b.MayTest(h); err == nil {
				l.sent[r] |= 2
			}
			if p.Final != nil {
				l.sent[r] |= 4
			}
		}
	}
	m.books = append(m.books, l)
	m.bookIDs[key] = len(m.books) - 1
	return len(m.books) - 1
}

func (m *model) localID(l local) int {
	if id, ok := m.ids[l]; ok {
		return id
	}
	m.locals = append(m.locals, l)
	m.ids[l] = len(m.locals) - 1
	for range m.honest {
		m.moves = append(m.moves, make([]int32, steps*len(m.records)))
		m.out = append(m.out, nil)
	}
	return len(m.locals) - 1
}

// move looks up, or finds, what a step makes of a party; -1 if it is not open to it. Whether
// the messages that it needs are there is the caller's question.
func (m *model) move(party, l, step, r int) int {
	at := &m.moves[l*m.honest+party][step*len(m.records)+r]
	if *at == 0 {
		*at = -1
		if n, ok := m.step(party, m.locals[l], step, r); ok {
			id := m.localID(n)
			// The table may have grown.
			at = &m.moves[l*m.honest+party][step*len(m.records)+r]
			*at = int32(id) + 1
		}
	}
	if *at < 0 {
		return -1
	}
	return int(*at) - 1
}

func (m *model) step(party int, l local, step, r int) (local, bool) {
	before, bit := l, uint8(1)<<r
	member := m.in[r]>>party&1 == 1
	b := copyBook(m.books[l.book].book)
	sent := m.books[l.book].sent[r]
	switch step {
	case doPrepare:
		if !member && m.old[r]>>party&1 == 0 || m.prepare(b, m.records[r]) != nil {
			return l, false
		}
		if member {
			l.shares |= bit
		}
		if !m.split {
			l.prep |= bit
		}
	case doSendPrep:
		if sent&1 != 0 {
			l.prep |= bit
		}
	case doCertify:
		if b.Certify(m.certs[r]) != nil {
			return l, false
		}
		if _, err := b.MayTest(m.ehs[r]); err == nil && member && !m.split {
			l.tested |= bit
		}
	case doSendTest:
		if member && sent&2 != 0 {
			l.tested |= bit
		}
	case doTested:
		if l.tested&bit == 0 || b.Tested(m.ehs[r]) != nil {
			return l, false
		}
	case doFinal:
		p, err := b.MayFinal(m.ehs[r])
		if err != nil || p.Final != nil || !member || m.refused(b, p) {
			return l, false
		}
		p.Final = m.own(r, party)
		if !m.split {
			l.final |= bit
		}
	case doSendFinal:
		if sent&4 != 0 {
			l.final |= bit
		}
	case doDrop:
		if p := b.pending[m.ehs[r]]; p != nil && m.mutant == "drop after FINAL" {
			p.Final = nil
		}
		if b.Drop(m.ehs[r]) != nil {
			return l, false
		}
		l.shares &^= bit
	case doAdopt:
		if !m.adopt(b, r) {
			return l, false
		}
	case doLose:
		m.lose(b, &l, party, r)
	}
	l.book = m.intern(b)
	if step == doErase || step == doAdopt && !m.split {
		l.shares = m.erase(b, l.shares)
	}
	if l.prep|l.final != before.prep|before.final {
		l.parents |= 1 << m.scene.records[r].parent
	}
	return l, l != before
}

func (m *model) own(r, party int) *Final {
	i := slices.IndexFunc(m.records[r].Members, func(x Member) bool { return x.ID == engine.PartyID{byte(party + 1)} })
	return m.finals[r][0].Finals[i]
}

// adopt takes a FinalCert in both of its forms: they must come to the same.
func (m *model) adopt(b *Book, r int) bool {
	if m.mutant == "siblings by line" {
		return m.adoptByLine(b, r)
	}
	c := copyBook(b)
	e1, moved := b.Adopt(m.finals[r][0])
	e2, too := c.Adopt(m.finals[r][1])
	if moved != too || !slices.Equal(e1, e2) || m.bookKey(b) != m.bookKey(c) || m.finals[r][0].Sum() != m.finals[r][1].Sum() {
		m.tb.Fatal("two forms of one certificate come to different ends")
	}
	if moved && m.mutant == "erase other lines" {
		for h := range b.pending {
			if b.pending[h].Record.Prev != b.at {
				delete(b.pending, h)
				b.gone[h] = Erased
			}
		}
	}
	return moved
}

// What follows are wrong rules, which the model must catch.

func (m *model) adoptByLine(b *Book, r int) bool {
	f := m.finals[r][0]
	if b.at == m.ehs[r] || f.Record.Epoch < b.current.Record.Epoch || b.gone[m.ehs[r]] != 0 {
		return false
	}
	b.gone[b.at] = Erased
	for h, p := range b.pending {
		if p.Record.Epoch <= f.Record.Epoch && h != m.ehs[r] {
			delete(b.pending, h)
			b.gone[h] = Erased
		}
	}
	b.current, b.at = f, m.ehs[r]
	delete(b.pending, b.at)
	return true
}

func (m *model) prepare(b *Book, r *Record) error {
	eh := r.Hash()
	if b.pending[eh] == nil && b.gone[eh] == 0 && b.at != eh && m.mutant == "PREP for a non-child" {
		b.pending[eh] = &Pending{Record: r}
		return nil
	}
	if m.scene.lower {
		return b.PrepareLower(r)
	}
	return b.Prepare(r)
}

func (m *model) refused(b *Book, p *Pending) bool {
	if m.mutant != "one FINAL per parent" {
		return false
	}
	for _, q := range b.pending {
		if q.Final != nil && q.Record.Prev == p.Record.Prev {
			return true
		}
	}
	return false
}

func (m *model) lose(b *Book, l *local, party, r int) {
	switch m.mutant {
	case "FINAL before it is durable":
		if p, err := b.MayFinal(m.ehs[r]); err == nil && p.Final == nil && m.in[r]>>party&1 == 1 {
			l.final |= 1 << r
		}
	case "erase before the certificate is durable":
		c := copyBook(b)
		if m.adopt(c, r) {
			l.shares &= m.books[m.intern(c)].held
		}
	}
}

// goesOn drives a book through a next epoch that needs no liar.
func (m *model) goesOn(id int) bool {
	l := &m.books[id]
	if l.goes == 0 {
		l.goes = -1
		b, r := copyBook(l.book), m.next[l.now]
		for _, p := range b.Pending() {
			if p.Final == nil && len(b.pending) >= MaxPending {
				_ = b.Drop(p.Record.Hash())
			}
		}
		if b.Prepare(r) == nil {
			b.certify(m.w.certOf(r, m.records[l.now]))
			if b.Tested(r.Hash()) == nil {
				p, err := b.MayFinal(r.Hash())
				if err == nil && !m.refused(b, p) {
					if _, moved := b.Adopt(&FinalCert{Record: r}); moved && b.at == r.Hash() {
						l.goes = 1
					}
				}
			}
		}
	}
	return l.goes == 1
}

// certOf is a record's certificate with all that may stand in it.
func (w *world) certOf(r, parent *Record) *Cert {
	c := w.cert(r)
	if parent != nil {
		for _, m := range parent.leaving(r) {
			c.Olds = append(c.Olds, OldOK{m.ID, SignOldOK(r.Hash(), w.signer(m.ID))})
		}
	}
	return c
}

func (w *world) signer(id engine.PartyID) session.Signer {
	key, ok := w.keys[id]
	if !ok {
		w.tb.Fatalf("party %v has no key", id)
	}
	return session.NewSigner(key)
}

func (w *world) identity(id engine.PartyID) ed25519.PublicKey {
	return w.keys[id].Public().(ed25519.PublicKey)
}

func (w *world) finalCertOf(r, parent *Record, seed uint64) *FinalCert {
	f := w.finalCert(r, seed)
	f.Cert = w.certOf(r, parent)
	return f
}

func (m *model) String() string {
	return fmt.Sprintf("%s: %d states, %d places of one party, %d books", m.name, m.seen.n, len(m.locals), len(m.books))
}
