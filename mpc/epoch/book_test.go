package epoch

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// lower and higher orders two records of one epoch and attempt by hash.
func byHash(a, b *Record) (low, high *Record) {
	if a.Higher(b) {
		return b, a
	}
	return a, b
}

func TestOrder(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	child := w.record(1, 2, 2, three, root, 0)
	later := w.record(1, 3, 2, three, root, 1)
	low, high := byHash(w.record(1, 4, 2, three, root, 5), w.record(1, 5, 2, three, root, 5))
	order := []*Record{root, child, later, low, high}
	for i, x := range order {
		for j, y := range order {
			if x.Higher(y) != (i > j) {
				t.Errorf("record %d is higher than %d: %v", i, j, x.Higher(y))
			}
		}
	}
	h, l := high.Hash(), low.Hash()
	if bytes.Compare(h[:], l[:]) <= 0 {
		t.Error("hashes do not decide")
	}
}

// do is one event in a book's life.
func (w *world) ready(b *Book, r *Record) {
	w.tb.Helper()
	if err := b.Prepare(r); err != nil {
		w.tb.Fatal(err)
	}
	if err := b.Certify(w.cert(r)); err != nil {
		w.tb.Fatal(err)
	}
	if err := b.Tested(r.Hash()); err != nil {
		w.tb.Fatal(err)
	}
}

// From nothing to FINAL every step needs the one before.
func TestStepsInOrder(t *testing.T) {
	w, b := newWorld(t), NewBook()
	r := w.record(1, 1, 2, three, nil, 0)
	eh := r.Hash()
	no := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s is allowed", what)
		}
	}
	_, err := b.MayFinal(eh)
	no("FINAL of an unknown record", err)
	no("certifying an unknown record", b.Certify(w.cert(r)))
	no("testing an unknown record", b.Tested(eh))
	no("dropping an unknown record", b.Drop(eh))
	for range 2 { // again, as after a crash
		if err := b.Prepare(r); err != nil {
			t.Fatal(err)
		}
	}
	no("testing without a certificate", b.Tested(eh))
	bad := w.cert(r)
	bad.Preps[2] = bad.Preps[1]
	no("a certificate that does not hold", b.Certify(bad))
	if err := b.Certify(w.cert(r)); err != nil {
		t.Fatal(err)
	}
	_, err = b.MayFinal(eh)
	no("FINAL without a test", err)
	if err := b.Tested(eh); err != nil {
		t.Fatal(err)
	}
	p, err := b.MayFinal(eh)
	if err != nil {
		t.Fatal(err)
	}
	if len(b.Pending()) != 1 || b.Pending()[0] != p || b.Current() != nil {
		t.Error("the book lists something else")
	}
	p.Final = w.final(r, p.Cert, r.Members[0].ID, 1)
	no("dropping after our FINAL", b.Drop(eh))
	f := w.finalCert(r, 1)
	if erase, moved := b.Adopt(f); !moved || len(erase) != 0 || b.Current() != f || len(b.Pending()) != 0 {
		t.Errorf("adopt: moved %v, erase %v", moved, erase)
	}
	no("preparing what is current", b.Prepare(r))
	if _, gone := b.Gone(eh); gone {
		t.Error("what is current is gone")
	}
}

func TestPrepareRefuses(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	child := w.record(1, 2, 2, three, root, 0)
	b := NewBook()
	if err := b.Prepare(child); err == nil || !strings.Contains(err.Error(), "is no child") {
		t.Errorf("a later epoch before the first: %v", err)
	}
	b.Adopt(w.finalCert(root, 1))
	for want, r := range map[string]*Record{
		"is no child":      w.record(1, 3, 2, three, nil, 1),
		"is no child of":   w.record(1, 4, 2, three, child, 0),
		"is of another":    w.record(2, 5, 2, three, root, 0),
		"of another key t": func() *Record { r := w.record(1, 6, 2, three, root, 0); r.ChainCode[0]++; return r }(),
		"another key than": func() *Record { r := w.record(9, 6, 2, three, root, 0); r.KeyID = root.KeyID; return r }(),
	} {
		if err := b.Prepare(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	for i := range MaxPending {
		if err := b.Prepare(w.record(1, uint64(10+i), 2, three, root, uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Prepare(child); err == nil || !strings.Contains(err.Error(), "pending already") {
		t.Errorf("beyond the cap: %v", err)
	}
	top := b.Pending()[0].Record
	if err := b.Prepare(top); err != nil {
		t.Errorf("one that is pending, at the cap: %v", err)
	}
	for i := 1; i < MaxPending; i++ {
		if b.Pending()[i].Record.Higher(b.Pending()[i-1].Record) {
			t.Error("pending records are not highest first")
		}
	}
	if err := b.Drop(top.Hash()); err != nil {
		t.Fatal(err)
	}
	if d, gone := b.Gone(top.Hash()); !gone || d != Dropped {
		t.Error("a dropped record is forgotten")
	}
	if err := b.Prepare(top); err == nil || !strings.Contains(err.Error(), "given up before") {
		t.Errorf("a dropped record again: %v", err)
	}
}

// A FinalCert erases exactly what is lower: never itself, never anything higher.
func TestAdoptErasesTheLowerOnes(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	var kids []*Record
	for i := range 4 {
		kids = append(kids, w.record(1, uint64(10+i), 2, three, root, uint64(i)))
	}
	b := NewBook()
	b.Adopt(w.finalCert(root, 1))
	for _, k := range kids {
		w.ready(b, k)
	}
	final := w.finalCert(kids[2], 1)
	erase, moved := b.Adopt(final)
	want := []Hash{root.Hash(), kids[0].Hash(), kids[1].Hash()}
	slices.SortFunc(want, func(x, y Hash) int { return bytes.Compare(x[:], y[:]) })
	if !moved || !slices.Equal(erase, want) {
		t.Errorf("moved %v, erases %v, want %v", moved, erase, want)
	}
	for _, h := range want {
		if d, gone := b.Gone(h); !gone || d != Erased {
			t.Errorf("record %v is not noted as erased", h)
		}
	}
	if p := b.Pending(); len(p) != 1 || p[0].Record.Hash() != kids[3].Hash() {
		t.Error("the higher sibling is not pending any more")
	}
	if _, err := b.MayFinal(kids[3].Hash()); err == nil {
		t.Error("FINAL of a sibling of what is current")
	}
	// Late certificates move nobody back.
	for _, late := range []*Record{root, kids[0], kids[1]} {
		if erase, moved := b.Adopt(w.finalCert(late, 9)); moved || erase != nil || b.Current() != final {
			t.Errorf("a late certificate of attempt %d moved us", late.Attempt)
		}
	}
	// The higher sibling's certificate does, also after we moved to the lower.
	if erase, moved := b.Adopt(w.finalCert(kids[3], 1)); !moved || !slices.Equal(erase, []Hash{kids[2].Hash()}) {
		t.Errorf("the higher sibling: moved %v, erases %v", moved, erase)
	}
	// And a descendant that we have no part in.
	far := w.record(1, 30, 2, []int{3, 4}, kids[3], 0)
	if _, moved := b.Adopt(w.finalCert(far, 1)); !moved {
		t.Error("a descendant's certificate moved nobody")
	}
}

// Two certificates of one record are one fact: whichever bytes show it, all nodes name it
// alike, so a member who says PREP or FINAL twice in two forms divides nobody.
func TestCertificatesOfOneRecordAreOne(t *testing.T) {
	w := newWorld(t)
	r := w.record(1, 1, 2, three, nil, 0)
	x, y := w.finalCert(r, 1), w.finalCert(r, 50)
	if bytes.Equal(x.Encode(), y.Encode()) {
		t.Fatal("the two certificates have the same bytes: nothing is tested")
	}
	if x.Sum() != y.Sum() || x.Cert.Hash() != y.Cert.Hash() {
		t.Error("two certificates of one record have two names")
	}
	b := NewBook()
	if _, moved := b.Adopt(x); !moved {
		t.Fatal("the first certificate moves nobody")
	}
	if erase, moved := b.Adopt(y); moved || erase != nil || b.Current() != x {
		t.Error("the second certificate moved the book")
	}
}

// Strangers who sign a record of our key id, with a key of their own, move nobody: their
// certificate holds by itself, and erases nothing here.
func TestForgedLineage(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	forged := w.record(2, 2, 2, []int{7, 8, 9}, w.record(2, 3, 2, three, nil, 0), 0)
	forged.KeyID = root.KeyID
	w.shares[forged.Hash()] = w.shares[w.record(2, 2, 2, []int{7, 8, 9}, w.record(2, 3, 2, three, nil, 0), 0).Hash()]
	evil := w.finalCert(forged, 1)
	other := w.finalCert(w.record(3, 4, 2, three, nil, 9), 1)
	for name, prepare := range map[string]func(b *Book){
		"while one is pending": func(b *Book) { w.ready(b, root) },
		"while one is current": func(b *Book) { b.Adopt(w.finalCert(root, 1)) },
	} {
		b := NewBook()
		prepare(b)
		for _, f := range []*FinalCert{evil, other} {
			if erase, moved := b.Adopt(f); moved || erase != nil {
				t.Errorf("%s: moved %v, erases %v", name, moved, erase)
			}
		}
	}
}

// FINAL is for a child of what is current at that moment.
func TestFinalNeedsACurrentParent(t *testing.T) {
	w, b := newWorld(t), NewBook()
	x, y := w.record(1, 1, 2, three, nil, 0), w.record(1, 2, 2, three, nil, 1)
	w.ready(b, x)
	w.ready(b, y)
	for _, r := range []*Record{x, y} { // several FINALs under one parent are allowed
		if _, err := b.MayFinal(r.Hash()); err != nil {
			t.Errorf("attempt %d: %v", r.Attempt, err)
		}
	}
	b.Adopt(w.finalCert(x, 1))
	if _, err := b.MayFinal(y.Hash()); err == nil {
		t.Error("FINAL of a record whose parent is not current any more")
	}
	if _, err := b.MayTest(y.Hash()); err == nil {
		t.Error("test of a record whose parent is not current any more")
	}
	if len(b.Pending()) != 1 {
		t.Error("the higher sibling went")
	}
}

// A store that was set back: whatever is pending may have our FINAL, so it is kept, takes no room, and is known to be doubted.
func TestDoubtedIsNeverGivenUp(t *testing.T) {
	w, b := newWorld(t), NewBook()
	root := w.record(1, 1, 2, three, nil, 0)
	b.Adopt(w.finalCert(root, 1))
	var old []Hash
	for i := range MaxPending {
		r := w.record(1, uint64(10+i), 2, three, root, uint64(i))
		if err := b.Prepare(r); err != nil {
			t.Fatal(err)
		}
		old = append(old, r.Hash())
	}
	said := b.pending[old[0]]
	said.Final = &Final{}
	slices.SortFunc(old, func(x, y Hash) int { return bytes.Compare(x[:], y[:]) })
	for range 2 { // again, as after a crash
		if got := b.Doubt(); len(got) != MaxPending-1 || !slices.IsSortedFunc(got, func(x, y Hash) int { return bytes.Compare(x[:], y[:]) }) {
			t.Fatalf("%d of %d records are doubted: %v", len(got), MaxPending-1, got)
		}
	}
	if said.Doubted {
		t.Error("a FINAL that is here is doubted")
	}
	for _, eh := range old {
		if b.MayDrop(eh) == nil || b.Drop(eh) == nil || !b.pending[eh].Promised() {
			t.Errorf("record %v may be given up", eh)
		}
	}
	next := w.record(1, 20, 2, three, root, 9)
	if err := b.Prepare(next); err != nil {
		t.Errorf("what is doubted takes the room of another: %v", err)
	}
	if err := b.Drop(next.Hash()); err != nil {
		t.Errorf("what was prepared since: %v", err)
	}
}

// After a restart nobody has said yet whether the store was set back: what is pending is kept until the host has heard.
func TestUnheardIsNotGivenUp(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	kept := Kept{Current: w.finalCert(root, 1)}
	for i := range MaxPending + 1 {
		r := w.record(1, uint64(10+i), 2, three, root, uint64(i))
		kept.Pending = append(kept.Pending, Pending{Record: r})
	}
	said := &kept.Pending[MaxPending]
	said.Cert, said.Tested, said.Final = &Cert{}, true, &Final{}
	b, erase, err := Restore(kept)
	if err != nil || len(erase) > 0 {
		t.Fatal(err, erase)
	}
	for _, p := range b.Pending() {
		eh := p.Record.Hash()
		if p.Unheard != (p.Final == nil) {
			t.Errorf("record %v: unheard %v", eh, p.Unheard)
		}
		if b.MayDrop(eh) == nil || b.Drop(eh) == nil || !p.Promised() {
			t.Errorf("record %v may be given up", eh)
		}
	}
	if err := b.Prepare(w.record(1, 30, 2, three, root, 9)); err != nil {
		t.Errorf("what is older than the process takes the room of another: %v", err)
	}
	for _, p := range b.Pending() {
		if p.Unheard {
			p.Unheard = false
			if err := b.Drop(p.Record.Hash()); err != nil {
				t.Errorf("what was heard of is kept: %v", err)
			}
		}
	}
}

func TestHashPrintsShort(t *testing.T) {
	if s := fmt.Sprint(Hash{0xab, 0xcd}); s != "abcd00000000" {
		t.Errorf("prints %s", s)
	}
}
