package epoch

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
)

// MaxPending bounds how many records of one key may wait for their FinalCert.
const MaxPending = 4

// A Book is what one member knows of one key's epochs, and the rules of 1.5 over it. The
// host keeps it durably: it stores each change before it acts on it.
type Book struct {
	current *FinalCert         // the highest whose FinalCert we hold; nil before epoch 0
	pending map[Hash]*Pending  // prepared, not final
	gone    map[Hash]Departure // kept for ever: what we signed and no longer hold
}

// Pending is a record on its way.
type Pending struct {
	Record *Record
	Cert   *Cert  // nil until all PREPs were seen
	Tested bool   // the test signature succeeded here
	Final  *Final // ours, once signed
}

// Departure says how a record left.
type Departure uint8

const (
	Dropped Departure = iota + 1 // before our FINAL: we shall never sign it
	Erased                       // a higher FinalCert replaced it
)

// sameKey reports whether two records are of one key: a new epoch changes nothing of these.
func sameKey(x, y *Record) bool {
	return x.KeyID == y.KeyID && x.Suite == y.Suite && x.Public.Equal(y.Public) && x.ChainCode == y.ChainCode
}

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

// Prepare adds a record that we are about to PREP: a child of what is current.
func (b *Book) Prepare(r *Record) error {
	eh := r.Hash()
	var parent Hash
	epoch := uint64(0)
	if b.current != nil {
		parent, epoch = b.current.Record.Hash(), b.current.Record.Epoch+1
	}
	switch {
	case b.gone[eh] != 0:
		return fmt.Errorf("prepare record %v: it was given up before", eh)
	case b.current != nil && !sameKey(b.current.Record, r):
		return fmt.Errorf("prepare record %v: it is of another key than what is current here", eh)
	case r.Prev != parent || r.Epoch != epoch:
		return fmt.Errorf("prepare record %v: epoch %d is no child of what is current here", eh, r.Epoch)
	case b.pending[eh] == nil && len(b.pending) >= MaxPending:
		return fmt.Errorf("prepare record %v: %d records are pending already: drop one that is not FINAL", eh, MaxPending)
	}
	if b.pending[eh] == nil {
		b.pending[eh] = &Pending{Record: r}
	}
	return nil
}

// Certify adds a checked certificate to a pending record.
func (b *Book) Certify(c *Cert) error {
	p := b.pending[c.Record]
	if p == nil {
		return fmt.Errorf("certify record %v: it is not pending here", c.Record)
	}
	if err := c.Check(p.Record); err != nil {
		return err
	}
	if p.Cert == nil {
		p.Cert = c
	}
	return nil
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
// current now.
func (b *Book) MayFinal(eh Hash) (*Pending, error) {
	p := b.pending[eh]
	var parent Hash
	if b.current != nil {
		parent = b.current.Record.Hash()
	}
	switch {
	case p == nil:
		return nil, fmt.Errorf("final of record %v: it is not pending here", eh)
	case p.Cert == nil || !p.Tested:
		return nil, fmt.Errorf("final of record %v: certificate or test signature is missing", eh)
	case p.Record.Prev != parent:
		return nil, fmt.Errorf("final of record %v: its parent is not current any more", eh)
	}
	return p, nil
}

// MayDrop says whether a record may be given up: it is pending, and we did not say FINAL.
func (b *Book) MayDrop(eh Hash) error {
	p := b.pending[eh]
	if p == nil {
		return fmt.Errorf("drop record %v: it is not pending here", eh)
	}
	if p.Final != nil {
		return fmt.Errorf("drop record %v: our FINAL is signed, it may be in force elsewhere", eh)
	}
	return nil
}

// Drop gives a pending record up for ever, unless its FINAL was signed.
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
// caller who knows whether the key is one that it enrolled.
func (b *Book) Adopt(f *FinalCert) (erase []Hash, moved bool) {
	eh := f.Record.Hash()
	if !b.ours(f.Record) {
		return nil, false
	}
	if b.current != nil {
		if !f.Record.Higher(b.current.Record) {
			return nil, false
		}
		old := b.current.Record.Hash()
		erase = append(erase, old)
		b.gone[old] = Erased
	}
	b.current = f
	delete(b.pending, eh)
	for h, p := range b.pending {
		if f.Record.Higher(p.Record) {
			erase = append(erase, h)
			b.gone[h] = Erased
			delete(b.pending, h)
		}
	}
	slices.SortFunc(erase, func(x, y Hash) int { return bytes.Compare(x[:], y[:]) })
	return erase, true
}
