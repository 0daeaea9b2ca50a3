package epoch

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
)

// MaxPending bounds how many records of one key may be pending without our FINAL.
//
// DEVIATION: protocols.md 1.5 step 3 caps all pending records. Those with our FINAL do not
// count here: we may not drop them, so a member that withholds its own FINAL again and
// again would fill the book and stop the key's epochs for ever.
const MaxPending = 4

// A Book is what one member, or one who was, knows of one key's epochs, and the rules of
// 1.5 over it. The host keeps it durably: it stores each change before it acts on it.
type Book struct {
	current *FinalCert         // the highest whose FinalCert we hold; nil before epoch 0
	at      Hash               // of current
	pending map[Hash]*Pending  // prepared, not final
	gone    map[Hash]Departure // kept for ever: what we signed and no longer hold
}

// Pending is a record on its way.
type Pending struct {
	Record *Record
	Cert   *Cert  // nil until all PREPs were seen
	Tested bool   // the test signature succeeded here
	Final  *Final // ours, once signed
	// Doubted says that the store was set back while the record was pending: we may have signed a FINAL of it that is forgotten.
	Doubted bool
	// Unheard says that the record was pending when this process began, and that not all of its members have told since what they know
	// of us: the store may turn out to have been set back. The host takes it away once they have.
	Unheard bool
}

// Promised says whether our FINAL is signed, or may be: then the record may come into force, and is not given up.
func (p *Pending) Promised() bool { return p.Final != nil || p.Doubted || p.Unheard }

// Departure says how a record left.
type Departure uint8

const (
	Dropped Departure = iota + 1 // before our FINAL: we shall never sign it
	Erased                       // a higher FinalCert replaced it
)

// ours reports whether a record is of the key of this book, so far as the book knows one.
// All members of a record prove that they hold shares of its X. So strangers who make up a
// record of our key id cannot move us: they would have to know the key itself.
func (b *Book) ours(r *Record) bool {
	if b.current != nil {
		return sameKey(b.current.Record, r)
	}
	for _, p := range b.pending {
		if sameKey(p.Record, r) {
			return true
		}
	}
	return len(b.pending) == 0
}

// NewBook is the book of a key of which nothing is known.
func NewBook() *Book {
	return &Book{pending: map[Hash]*Pending{}, gone: map[Hash]Departure{}}
}

// Current is the certificate in force, nil before epoch 0 is final.
func (b *Book) Current() *FinalCert { return b.current }

// Pending are the records on their way, highest first.
func (b *Book) Pending() []*Pending {
	return slices.SortedFunc(maps.Values(b.pending), func(x, y *Pending) int {
		if x.Record.Higher(y.Record) {
			return -1
		}
		return 1
	})
}

// Gone says whether and how a record left.
func (b *Book) Gone(eh Hash) (Departure, bool) {
	d, ok := b.gone[eh]
	return d, ok
}

// Prepare adds a record that we are about to PREP or OLDOK: a child of what is current. A
// threshold below the current one is refused with ErrLowerThreshold.
func (b *Book) Prepare(r *Record) error { return b.prepare(r, false) }

// PrepareLower is Prepare where our operator agreed to a lower threshold.
func (b *Book) PrepareLower(r *Record) error { return b.prepare(r, true) }

func (b *Book) prepare(r *Record, lower bool) error {
	eh := r.Hash()
	switch _, left := b.gone[eh]; {
	case left:
		return fmt.Errorf("prepare record %v: it was given up before", eh)
	case b.at == eh:
		return fmt.Errorf("prepare record %v: it is in force", eh)
	}
	if err := b.child(r); err != nil {
		return fmt.Errorf("prepare record %v: it is no child of what is current here: %w", eh, err)
	}
	if b.current != nil && b.current.Record.Lowers(r) && !lower {
		return fmt.Errorf("prepare record %v: %w", eh, ErrLowerThreshold)
	}
	if b.pending[eh] != nil {
		return nil
	}
	open := 0
	for _, p := range b.pending {
		if !p.Promised() {
			open++
		}
	}
	if open >= MaxPending {
		return fmt.Errorf("prepare record %v: %d records are pending already: drop one that is not FINAL", eh, open)
	}
	b.pending[eh] = &Pending{Record: r}
	return nil
}

// child says whether r may follow what is current now.
func (b *Book) child(r *Record) error {
	switch {
	case b.current != nil:
		return b.current.Record.CheckChild(r)
	case r.Epoch != 0:
		return fmt.Errorf("epoch %d, and nothing is current", r.Epoch)
	}
	return nil
}

// CheckCert says whether a certificate holds for a pending record: PREP of all its members,
// agreement of the committee that is current.
func (b *Book) CheckCert(c *Cert) error {
	p := b.pending[c.Record]
	switch {
	case p == nil:
		return fmt.Errorf("certify record %v: it is not pending here", c.Record)
	case b.current == nil:
		return c.Check(p.Record, nil)
	case p.Record.Prev != b.at:
		return fmt.Errorf("certify record %v: its parent is not current any more", c.Record)
	}
	return c.Check(p.Record, b.current.Record)
}

// Certify adds a certificate to a pending record after CheckCert.
func (b *Book) Certify(c *Cert) error {
	if err := b.CheckCert(c); err != nil {
		return err
	}
	b.certify(c)
	return nil
}

func (b *Book) certify(c *Cert) {
	if p := b.pending[c.Record]; p.Cert == nil {
		p.Cert = c
	}
}

// Tested notes that the test signature over all members' shares succeeded.
func (b *Book) Tested(eh Hash) error {
	p := b.pending[eh]
	if p == nil || p.Cert == nil {
		return fmt.Errorf("test record %v: no certificate is here", eh)
	}
	p.Tested = true
	return nil
}

// MayFinal says whether FINAL may be signed: certified, tested, and a child of what is
// current now. Several FINALs under one parent are allowed: one alone would stick where votes
// are split.
func (b *Book) MayFinal(eh Hash) (*Pending, error) {
	p := b.pending[eh]
	switch {
	case p == nil:
		return nil, fmt.Errorf("final of record %v: it is not pending here", eh)
	case p.Cert == nil || !p.Tested:
		return nil, fmt.Errorf("final of record %v: certificate or test signature is missing", eh)
	case p.Record.Prev != b.at:
		return nil, fmt.Errorf("final of record %v: its parent is not current any more", eh)
	}
	return p, nil
}

// MayDrop says whether a record may be given up: it is pending, and we cannot have said FINAL.
func (b *Book) MayDrop(eh Hash) error {
	p := b.pending[eh]
	if p == nil {
		return fmt.Errorf("drop record %v: it is not pending here", eh)
	}
	switch {
	case p.Final != nil:
		return fmt.Errorf("drop record %v: our FINAL is signed, it may be in force elsewhere", eh)
	case p.Doubted:
		return fmt.Errorf("drop record %v: the store was set back, and our FINAL may have been signed before", eh)
	case p.Unheard:
		return fmt.Errorf("drop record %v: it is older than this process, and not all of its members have said since whether the store was set back", eh)
	}
	return nil
}

// Doubt is for a store that was set back to an older copy. Of every record that is pending we may have signed a FINAL that is
// forgotten, so none of them is given up any more (protocols.md 1.5 steps 3 and 8). It returns all that are doubted, in the order of
// their hashes.
func (b *Book) Doubt() (doubted []Hash) {
	for eh, p := range b.pending {
		p.Doubted = p.Final == nil
		if p.Doubted {
			doubted = append(doubted, eh)
		}
	}
	slices.SortFunc(doubted, func(x, y Hash) int { return bytes.Compare(x[:], y[:]) })
	return doubted
}

// Drop gives a pending record up for ever, unless its FINAL was signed, or may have been.
func (b *Book) Drop(eh Hash) error {
	if err := b.MayDrop(eh); err != nil {
		return err
	}
	delete(b.pending, eh)
	b.gone[eh] = Dropped
	return nil
}

// Adopt takes a checked FinalCert. It returns the records whose secrets must be erased now:
// exactly those lower than f, in the order of their hashes. Nothing happens if f is not higher
// than what is current, or of another key than the book's. While the book is empty, it is the
// caller who knows whether the key is one that it enrolled: OpenChain.
//
// A party without a seat in f moves and erases like everybody; then Seat says that it stops.
func (b *Book) Adopt(f *FinalCert) (erase []Hash, moved bool) {
	if !b.ours(f.Record) || b.current != nil && !f.Record.Higher(b.current.Record) {
		return nil, false
	}
	if b.current != nil {
		erase = append(erase, b.at)
		b.gone[b.at] = Erased
	}
	b.current, b.at = f, f.Record.Hash()
	delete(b.pending, b.at)
	delete(b.gone, b.at) // a dealer who left may have dropped it
	return b.sweep(erase), true
}

// sweep takes all that is lower than current out of pending.
func (b *Book) sweep(erase []Hash) []Hash {
	for h, p := range b.pending {
		if b.current.Record.Higher(p.Record) {
			erase = append(erase, h)
			b.gone[h] = Erased
			delete(b.pending, h)
		}
	}
	slices.SortFunc(erase, func(x, y Hash) int { return bytes.Compare(x[:], y[:]) })
	return erase
}

// Seat is a party's place in what is current. Who has none holds nothing that could sign.
func (b *Book) Seat(self engine.PartyID) (Member, bool) {
	if b.current == nil {
		return Member{}, false
	}
	return b.current.Record.Member(self)
}

// Mark is the highest index that any record here gave out: for Record.Seats, so that
// siblings give no index to two parties if that can be helped.
func (b *Book) Mark() (mark share.Index) {
	if b.current != nil {
		mark = b.current.Record.Mark()
	}
	for _, p := range b.pending {
		mark = max(mark, p.Record.Mark())
	}
	return mark
}

// MaySign says whether an ordinary session may use a record: what is current, nothing else.
// Who has no Seat in it has nothing to sign with.
func (b *Book) MaySign(eh Hash) error {
	if b.current == nil || b.at != eh {
		return fmt.Errorf("sign with record %v: it is not current here", eh)
	}
	return nil
}

// MayTest says whether a test session may use a record: one that is pending and certified,
// and whose parent is current.
func (b *Book) MayTest(eh Hash) (*Pending, error) {
	p := b.pending[eh]
	switch {
	case p == nil || p.Cert == nil:
		return nil, fmt.Errorf("test record %v: it is not pending here, or has no certificate", eh)
	case p.Record.Prev != b.at:
		return nil, fmt.Errorf("test record %v: its parent is not current any more", eh)
	}
	return p, nil
}

// Kept is what a host has on disk of one key.
type Kept struct {
	Current *FinalCert
	Pending []Pending
	Gone    map[Hash]Departure
}

// Restore makes the book again after a restart. It returns the records that must be erased
// now: a crash may have come between writing a certificate and erasing what is lower. Pending
// records need not be children of current: a sibling higher than current stays as it is. All
// without our FINAL are Unheard.
func Restore(k Kept) (b *Book, erase []Hash, err error) {
	b = NewBook()
	for eh, d := range k.Gone {
		if d != Dropped && d != Erased {
			return nil, nil, fmt.Errorf("restore record %v: unknown departure %d", eh, d)
		}
		b.gone[eh] = d
	}
	if k.Current != nil {
		b.current, b.at = k.Current, k.Current.Record.Hash()
		delete(b.gone, b.at)
	}
	for _, p := range k.Pending {
		eh := p.Record.Hash()
		switch _, left := b.gone[eh]; {
		case !b.ours(p.Record):
			return nil, nil, fmt.Errorf("restore record %v: it is of another key", eh)
		case b.current == nil && p.Record.Epoch != 0:
			return nil, nil, fmt.Errorf("restore record %v: epoch %d, and nothing is current", eh, p.Record.Epoch)
		case p.Tested && p.Cert == nil || p.Final != nil && !p.Tested:
			return nil, nil, fmt.Errorf("restore record %v: a certificate or test result is missing", eh)
		case left:
			erase = append(erase, eh) // given up, and not wiped yet
		case eh != b.at:
			p.Unheard = p.Final == nil
			b.pending[eh] = &p
		}
	}
	if b.current != nil {
		erase = b.sweep(erase)
	}
	return b, erase, nil
}
