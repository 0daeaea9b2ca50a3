package epoch

import (
	"errors"
	"fmt"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Bounds of a chain. It travels in one frame, and whoever opens one verifies it all.
const (
	MaxChain = 4 << 20 // bytes of the encoded form
	MaxLinks = 1024
)

// A Chain is a key's way to one record: the final certificate of the first epoch, or of an
// anchor that the reader enrolled, and of every epoch after it to the last. Siblings that
// were in force for a while and are no ancestors of the last are not part of it.
type Chain struct{ links []*FinalCert }

// An Enrolment is what an operator knows of a key from elsewhere, not from who sends a chain.
type Enrolment struct {
	KeyID  [32]byte
	Public group.Point // X
	Anchor Hash        // eh of the record that the chain begins with; zero for epoch 0
}

// NewChain begins one with the certificate of epoch 0, or of the enrolled anchor.
func NewChain(first *FinalCert, e Enrolment) (*Chain, error) {
	c := &Chain{[]*FinalCert{first}}
	if err := c.verify(e); err != nil {
		return nil, err
	}
	return c, nil
}

// Links are the certificates, first to last.
func (c *Chain) Links() []*FinalCert { return append([]*FinalCert(nil), c.links...) }

// Last is the certificate that the chain leads to.
func (c *Chain) Last() *FinalCert { return c.links[len(c.links)-1] }

// Extend is the chain to f, whose parent is the last record or one before it: then f is a
// sibling of what came after that parent, and takes its place. Everything in f is verified,
// the old committee's agreement included. The chain itself stays as it is.
func (c *Chain) Extend(f *FinalCert) (*Chain, error) {
	for i := len(c.links) - 1; i >= 0; i-- {
		parent := c.links[i].Record
		if parent.Hash() != f.Record.Prev {
			continue
		}
		if err := f.verify(parent); err != nil {
			return nil, fmt.Errorf("extend chain: %w", err)
		}
		next := &Chain{append(append([]*FinalCert(nil), c.links[:i+1]...), f)}
		if err := next.fits(); err != nil {
			return nil, fmt.Errorf("extend chain: %w", err)
		}
		return next, nil
	}
	return nil, fmt.Errorf("extend chain: the parent of record %v of epoch %d is not in it", f.Record.Hash(), f.Record.Epoch)
}

// From is the chain from an anchor on: shorter, for who enrolled that record's hash.
func (c *Chain) From(anchor Hash) (*Chain, error) {
	for i, f := range c.links {
		if f.Record.Hash() == anchor {
			return &Chain{append([]*FinalCert(nil), c.links[i:]...)}, nil
		}
	}
	return nil, fmt.Errorf("shorten chain: record %v is not in it", anchor)
}

const fieldChainLinks transcript.Tag = 1

// Encode is the canonical form.
func (c *Chain) Encode() []byte {
	var e transcript.Encoder
	return e.List(fieldChainLinks, len(c.links), func(i int, e *transcript.Encoder) { e.Bytes(1, c.links[i].Encode()) }).Sum()
}

// ErrChainTooLong says that a chain exceeds its bounds.
var ErrChainTooLong = errors.New("the chain is too long: enrol a later record's hash as anchor, and begin there")

// fits holds the bounds.
func (c *Chain) fits() error {
	if n := len(c.links); n > MaxLinks {
		return fmt.Errorf("%d certificates, at most %d are allowed: %w", n, MaxLinks, ErrChainTooLong)
	}
	if n := len(c.Encode()); n > MaxChain {
		return fmt.Errorf("%d bytes, at most %d are allowed: %w", n, MaxChain, ErrChainTooLong)
	}
	return nil
}

// FirstLink reads the certificate that a chain begins with, for a caller who does not know the key beforehand. Nothing else of it is read.
func FirstLink(b []byte) (first *FinalCert, err error) {
	if len(b) > MaxChain {
		return nil, fmt.Errorf("open chain: %d bytes, at most %d are allowed: %w", len(b), MaxChain, ErrChainTooLong)
	}
	d := transcript.NewDecoder(b)
	d.List(fieldChainLinks, 1, MaxLinks, func(i int, d *transcript.Decoder) {
		raw := d.Bytes(1, MaxFinalCert)
		if i > 0 || d.Err() != nil {
			return
		}
		if first, err = parseFinalCert(raw); err != nil {
			d.Fail(1, err)
		}
	})
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("open chain: %w", err)
	}
	return first, nil
}

// OpenChain reads a chain and verifies it, link by link, against what the operator enrolled:
// key id, X, where it begins, all PREPs and FINALs, and that each committee agreed to the
// next. A forger would need X's logarithm for one link alone (protocols.md 1.2).
func OpenChain(b []byte, e Enrolment) (*Chain, error) {
	if len(b) > MaxChain {
		return nil, fmt.Errorf("open chain: %d bytes, at most %d are allowed: %w", len(b), MaxChain, ErrChainTooLong)
	}
	d, c := transcript.NewDecoder(b), &Chain{}
	d.List(fieldChainLinks, 1, MaxLinks, func(_ int, d *transcript.Decoder) {
		raw := d.Bytes(1, MaxFinalCert)
		if d.Err() != nil {
			return
		}
		f, err := parseFinalCert(raw)
		if err != nil {
			d.Fail(1, err)
			return
		}
		c.links = append(c.links, f)
	})
	if err := d.Done(); err != nil {
		return nil, fmt.Errorf("open chain: %w", err)
	}
	if err := c.verify(e); err != nil {
		return nil, fmt.Errorf("open chain: %w", err)
	}
	return c, nil
}

func (c *Chain) verify(e Enrolment) error {
	first := c.links[0].Record
	// The cheap checks of all links come first: garbage costs no signature checks.
	switch {
	case e.Public == nil:
		return errors.New("no key is enrolled")
	case first.KeyID != e.KeyID:
		return fmt.Errorf("it is of key %x, enrolled is %x", first.KeyID[:6], e.KeyID[:6])
	case first.Public.Group().Name() != e.Public.Group().Name() || !first.Public.Equal(e.Public):
		return errors.New("its public key is not the enrolled one")
	case e.Anchor == Hash{} && first.Epoch != 0:
		return fmt.Errorf("it begins at epoch %d, and no anchor is enrolled", first.Epoch)
	case e.Anchor != Hash{} && first.Hash() != e.Anchor:
		return fmt.Errorf("it begins at record %v, the enrolled anchor is %v", first.Hash(), e.Anchor)
	}
	for i, f := range c.links[1:] {
		if err := c.links[i].Record.CheckChild(f.Record); err != nil {
			return fmt.Errorf("link %d: %w", i+1, err)
		}
	}
	// An anchor's parent is not here: its hash is what the operator vouches for.
	if err := c.links[0].check(); err != nil {
		return fmt.Errorf("link 0: %w", err)
	}
	for i, f := range c.links[1:] {
		if err := f.verify(c.links[i].Record); err != nil {
			return fmt.Errorf("link %d: %w", i+1, err)
		}
	}
	return nil
}

// CheckOlds verifies that the old committee agreed. parent is the record's parent, ours or
// one that a chain proved. A holder of the parent asks this of a certificate before it keeps
// it: whoever carries one could spoil the OLDOKs in it, and no chain would hold with it.
func (f *FinalCert) CheckOlds(parent *Record) error {
	if err := f.Cert.checkOlds(f.Record, parent); err != nil {
		return fmt.Errorf("final certificate of record %v: %w", f.Record.Hash(), err)
	}
	return nil
}

func (f *FinalCert) verify(parent *Record) error {
	if err := f.check(); err != nil {
		return err
	}
	return f.CheckOlds(parent)
}
