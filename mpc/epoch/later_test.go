package epoch

import (
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/ostraka/ostraka/mpc/engine"
)

// inForce is a book in which a record of epoch 0 is current.
func (w *world) inForce(r *Record) *Book {
	b := NewBook()
	b.Adopt(w.finalCert(r, 1))
	return b
}

// prepared brings a child to where FINAL may be signed.
func (w *world) prepared(b *Book, r *Record) *Pending {
	w.tb.Helper()
	if err := b.Prepare(r); err != nil {
		w.tb.Fatal(err)
	}
	if err := b.Certify(w.certOf(r, b.Current().Record)); err != nil {
		w.tb.Fatal(err)
	}
	if err := b.Tested(r.Hash()); err != nil {
		w.tb.Fatal(err)
	}
	p, err := b.MayFinal(r.Hash())
	if err != nil {
		w.tb.Fatal(err)
	}
	return p
}

// The steps of a later epoch, and what may be signed with meanwhile.
func TestLaterEpoch(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	r, b := w.record(1, 2, 2, []int{0, 4}, root, 0), w.inForce(root)
	eh := r.Hash()
	if err := b.Prepare(r); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MayTest(eh); err == nil {
		t.Error("a test before the certificate")
	}
	// PREP of all members is not enough: the old committee must agree.
	if err := b.Certify(w.cert(r)); err == nil || !strings.Contains(err.Error(), "1 of 3 old members agree, 2 must") {
		t.Errorf("a certificate of new members alone: %v", err)
	}
	if err := b.Certify(w.certOf(r, root)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MayTest(eh); err != nil {
		t.Error(err)
	}
	if b.MaySign(eh) == nil || b.MaySign(root.Hash()) != nil || b.MaySign(Hash{}) == nil {
		t.Error("ordinary sessions use something else than what is current")
	}
	if err := b.Tested(eh); err != nil {
		t.Fatal(err)
	}
	if _, err := b.MayFinal(eh); err != nil {
		t.Fatal(err)
	}
	if b.Mark() != 5 {
		t.Errorf("mark %d", b.Mark())
	}
	erase, moved := b.Adopt(w.finalCertOf(r, root, 1))
	if !moved || !slices.Equal(erase, []Hash{root.Hash()}) || b.MaySign(eh) != nil || b.MaySign(root.Hash()) == nil {
		t.Errorf("moved %v, erases %v", moved, erase)
	}
}

// A pending record whose parent is not current any more is kept, and nothing more is signed
// for it: no certificate, test or FINAL.
func TestSiblingOfWhatIsCurrent(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	low, high := w.record(1, 2, 2, three, root, 0), w.record(1, 3, 2, three, root, 1)
	b := w.inForce(root)
	if err := b.Prepare(high); err != nil {
		t.Fatal(err)
	}
	b.Adopt(w.finalCertOf(low, root, 1))
	if err := b.Certify(w.certOf(high, root)); err == nil || !strings.Contains(err.Error(), "not current any more") {
		t.Errorf("certify: %v", err)
	}
	c := w.inForce(root)
	w.prepared(c, high)
	c.Adopt(w.finalCertOf(low, root, 1))
	if _, err := c.MayTest(high.Hash()); err == nil {
		t.Error("a test of a sibling")
	}
	if _, err := c.MayFinal(high.Hash()); err == nil {
		t.Error("FINAL of a sibling")
	}
	if len(c.Pending()) != 1 {
		t.Error("the higher sibling went")
	}
	// A child of what is current outranks it, and takes it out.
	child := w.record(1, 4, 2, three, low, 0)
	w.prepared(c, child)
	if erase, _ := c.Adopt(w.finalCertOf(child, low, 1)); len(erase) != 2 {
		t.Errorf("erases %v", erase)
	}
}

// A member that withholds its own FINAL again and again fills no book: records with our FINAL
// do not count toward the cap, which would otherwise stop the key's epochs for ever.
func TestWithheldFinals(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	b := w.inForce(root)
	for i := range uint64(3 * MaxPending) {
		r := w.record(1, 10+i, 2, three, root, i)
		p := w.prepared(b, r)
		p.Final = w.final(r, p.Cert, engine.PartyID{1}, i)
		if b.Drop(r.Hash()) == nil {
			t.Fatal("a record with our FINAL is dropped")
		}
	}
	for i := range uint64(MaxPending + 1) {
		err := b.Prepare(w.record(1, 100+i, 2, []int{0, 1}, root, 100+i))
		if (err == nil) != (i < MaxPending) {
			t.Errorf("%d without FINAL: %v", i+1, err)
		}
	}
	last := b.Pending()[0].Record
	if b.Drop(last.Hash()) != nil {
		t.Error("a record without FINAL cannot be dropped")
	}
	without := w.record(1, 200, 2, []int{0, 1}, root, 200)
	w.prepared(b, without)
	if erase, moved := b.Adopt(w.finalCertOf(without, root, 1)); !moved || len(erase) != 4*MaxPending || len(b.Pending()) != 0 {
		t.Errorf("moved %v, erases %d records", moved, len(erase))
	}
}

// Who has no seat in the record that comes into force moves, erases and stops.
func TestOwnerWithoutASeat(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	next := w.record(1, 2, 2, []int{0, 1}, root, 0)
	self := engine.PartyID{3}
	for name, before := range map[string]func(b *Book){
		"a dealer":               func(b *Book) { w.prepared(b, next) },
		"one who dropped it":     func(b *Book) { w.prepared(b, next); _ = b.Drop(next.Hash()) },
		"one who never heard":    func(*Book) {},
		"with a sibling pending": func(b *Book) { w.prepared(b, w.record(1, 3, 2, three, root, 1)) },
	} {
		b := w.inForce(root)
		before(b)
		if m, ok := b.Seat(self); !ok || m.Index != 3 {
			t.Errorf("%s: no seat in epoch 0", name)
		}
		pending := name == "with a sibling pending"
		erase, moved := b.Adopt(w.finalCertOf(next, root, 1))
		if !moved || !slices.Equal(erase, []Hash{root.Hash()}) || (len(b.Pending()) == 1) != pending {
			t.Errorf("%s: moved %v, erases %v", name, moved, erase)
		}
		if _, ok := b.Seat(self); ok {
			t.Errorf("%s: still has a seat", name)
		}
		if _, left := b.Gone(next.Hash()); left {
			t.Errorf("%s: what is current is gone", name)
		}
		if !b.Knows(root.Hash()) || !b.Knows(next.Hash()) || b.Knows(Hash{1}) {
			t.Errorf("%s: forgets what it knew", name)
		}
	}
	if _, ok := NewBook().Seat(self); ok {
		t.Error("a seat in an empty book")
	}
}

// A certificate from several epochs ahead moves its holder at once.
func TestFarAhead(t *testing.T) {
	l := newLine(t)
	b := l.w.inForce(l.records[0])
	pending := l.w.record(1, 70, 2, three, l.records[0], 3)
	l.w.prepared(b, pending)
	if erase, moved := b.Adopt(l.chain.Last()); !moved || len(erase) != 2 {
		t.Errorf("moved %v, erases %v", moved, erase)
	}
	for _, f := range l.chain.Links() {
		if _, moved := b.Adopt(f); moved {
			t.Errorf("a late certificate of epoch %d moves", f.Record.Epoch)
		}
	}
}

// What a host kept comes back as it was, wherever the crash fell.
func TestRestore(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	low, mid, high := w.record(1, 2, 2, three, root, 0), w.record(1, 3, 2, three, root, 1), w.record(1, 4, 2, three, root, 2)
	dropped := w.record(1, 5, 2, three, root, 9)
	b := w.inForce(root)
	for _, r := range []*Record{low, mid, high} {
		w.prepared(b, r)
	}
	p := *b.pending[high.Hash()]
	p.Final = w.final(high, p.Cert, engine.PartyID{1}, 1)
	f := w.finalCertOf(mid, root, 1)
	// The certificate is written, and nothing erased yet; the dropped one is not wiped either.
	k := Kept{
		Current: f, Gone: map[Hash]Departure{root.Hash(): Erased, dropped.Hash(): Dropped},
		Pending: []Pending{*b.pending[low.Hash()], *b.pending[mid.Hash()], p, {Record: dropped}},
	}
	again, erase, err := Restore(k)
	want := []Hash{low.Hash(), dropped.Hash()}
	slices.SortFunc(want, func(x, y Hash) int { return slices.Compare(x[:], y[:]) })
	if err != nil || !slices.Equal(erase, want) {
		t.Fatalf("erases %v, want %v: %v", erase, want, err)
	}
	// The sibling above what is current is no child of it any more, and stays with its FINAL.
	if ps := again.Pending(); len(ps) != 1 || ps[0].Record != high || ps[0].Final == nil || ps[0].Cert == nil || !ps[0].Tested {
		t.Error("the higher sibling did not come back")
	}
	if again.Current() != f || again.MaySign(mid.Hash()) != nil || again.Drop(high.Hash()) == nil {
		t.Error("the book is another")
	}
	for _, r := range []*Record{root, low, mid, high, dropped} {
		if !again.Knows(r.Hash()) {
			t.Errorf("attempt %d is forgotten", r.Attempt)
		}
	}
	empty, erase, err := Restore(Kept{})
	if err != nil || len(erase) > 0 || empty.Current() != nil {
		t.Errorf("nothing: %v", err)
	}
	other := w.record(2, 1, 2, three, nil, 0)
	for want, k := range map[string]Kept{
		"of another key":         {Current: f, Pending: []Pending{{Record: other}}},
		"is of another":          {Pending: []Pending{{Record: root}, {Record: other}}},
		"nothing is current":     {Pending: []Pending{{Record: low}}},
		"test result is missing": {Current: f, Pending: []Pending{{Record: high, Tested: true}}},
		"a certificate or":       {Current: f, Pending: []Pending{{Record: high, Cert: p.Cert, Final: p.Final}}},
		"unknown departure 7":    {Gone: map[Hash]Departure{{1}: 7}},
		"unknown departure 0":    {Gone: map[Hash]Departure{{1}: 0}},
	} {
		if _, _, err := Restore(k); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
}

// What left is a hash and one byte for ever, and no more: neither record nor certificate.
func TestGoneStaysCompact(t *testing.T) {
	w := newWorld(t)
	r := w.record(1, 1, 2, three, nil, 0)
	b := w.inForce(r)
	const epochs = 300
	for i := range epochs {
		next := *r
		next.Epoch, next.Prev, next.Used, next.Attempt = r.Epoch+1, r.Hash(), r.Mark(), uint64(i)
		if err := b.Prepare(&next); err != nil {
			t.Fatal(err)
		}
		b.Adopt(&FinalCert{Record: &next})
		r = &next
	}
	if len(b.pending) != 0 || len(b.gone) != epochs {
		t.Errorf("%d pending, %d gone", len(b.pending), len(b.gone))
	}
	if n := unsafe.Sizeof(Hash{}) + unsafe.Sizeof(Departure(0)); n != 33 {
		t.Errorf("%d bytes for each", n)
	}
}
