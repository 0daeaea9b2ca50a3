package epoch

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/mpc/session"
)

// A line is a key's life: a committee that changes, raises and lowers its threshold.
type line struct {
	w       *world
	records []*Record
	chain   *Chain
}

func newLine(tb testing.TB) *line {
	l := &line{w: newWorld(tb)}
	for i, p := range []struct {
		members []int
		t       int
	}{{three, 2}, {[]int{0, 1, 5}, 2}, {[]int{0, 1, 5}, 3}, {[]int{1, 5, 6, 8}, 2}} {
		var parent *Record
		if i > 0 {
			parent = l.records[i-1]
		}
		r := l.w.record(1, uint64(i+1), p.t, p.members, parent, 0)
		f := l.w.finalCertOf(r, parent, uint64(10*i+1))
		var err error
		if i == 0 {
			l.chain, err = NewChain(f, enrolled(r))
		} else {
			l.chain, err = l.chain.Extend(f)
		}
		if err != nil {
			tb.Fatal(err)
		}
		l.records = append(l.records, r)
	}
	return l
}

func TestChain(t *testing.T) {
	l := newLine(t)
	root := l.records[0]
	raw := l.chain.Encode()
	c, err := OpenChain(raw, enrolled(root))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(c.Encode(), raw) || len(c.Links()) != 4 || c.Last().Record.Hash() != l.records[3].Hash() {
		t.Error("a chain changed on its way")
	}
	// From an anchor on: for who enrolled that record's hash.
	anchor := l.records[2].Hash()
	short, err := c.From(anchor)
	if err != nil {
		t.Fatal(err)
	}
	e := Enrolment{KeyID: root.KeyID, Public: root.Public, Anchor: anchor}
	if again, err := OpenChain(short.Encode(), e); err != nil || len(again.Links()) != 2 {
		t.Errorf("from an anchor: %v", err)
	}
	if _, err := c.From(Hash{1}); err == nil {
		t.Error("a chain from nowhere")
	}
	// Every byte counts, those of OLDOKs too: they stand in link 1 and 3. Each byte of a final
	// certificate is another test's.
	for i := 0; i < len(raw); i += 37 {
		bad := bytes.Clone(raw)
		bad[i] ^= 1 << (i % 8)
		if _, err := OpenChain(bad, enrolled(root)); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
	for i := 0; i < len(raw); i += 101 {
		if _, err := OpenChain(raw[:i], enrolled(root)); err == nil {
			t.Errorf("its first %d bytes are a chain", i)
		}
	}
	if _, err := OpenChain(append(raw, 0), enrolled(root)); err == nil {
		t.Error("a byte more is taken")
	}
}

func TestChainRefuses(t *testing.T) {
	l := newLine(t)
	w, root, links := l.w, l.records[0], l.chain.Links()
	encode := func(fs ...*FinalCert) []byte { return (&Chain{fs}).Encode() }
	good := enrolled(root)
	whole := encode(links...)
	anchored := Enrolment{KeyID: root.KeyID, Public: root.Public, Anchor: l.records[1].Hash()}
	forged := w.record(1, 77, 2, []int{0, 1, 5}, root, 1)
	unwilling := func(change func(c *Cert)) *FinalCert {
		f := w.finalCertOf(l.records[3], l.records[2], 41)
		change(f.Cert)
		return f
	}
	for want, c := range map[string]struct {
		raw []byte
		e   Enrolment
	}{
		"no key is enrolled":               {whole, Enrolment{KeyID: root.KeyID}},
		"it is of key":                     {whole, Enrolment{KeyID: [32]byte{9}, Public: root.Public}},
		"public key is not":                {whole, Enrolment{KeyID: root.KeyID, Public: secp256k1.Group{}.Generator()}},
		"its public key is not the":        {whole, Enrolment{KeyID: root.KeyID, Public: edwards25519.Group{}.Generator()}},
		"no anchor is enrolled":            {encode(links[1:]...), good},
		"the enrolled anchor is":           {whole, anchored},
		"begins at record":                 {encode(links[2:]...), anchored},
		"link 1: record":                   {encode(links[0], links[2]), good},
		"is no child of record":            {encode(links[0], links[1], links[3]), good},
		"link 2: record":                   {encode(links[0], links[1], links[1]), good},
		"0 items, 1 to 1024":               {encode(), good},
		"link 1: certificate":              {encode(links[0], &FinalCert{forged, links[1].Cert, links[1].Finals}), good},
		"FINAL 0 is of":                    {encode(links[0], &FinalCert{links[1].Record, links[1].Cert, []*Final{links[1].Finals[1], links[1].Finals[0], links[1].Finals[2]}}), good},
		"2 of 3 old members agree, 3 must": {encode(append(links[:3:3], unwilling(func(c *Cert) { c.Olds = nil }))...), good},
		"link 3: final certificate of":     {encode(append(links[:3:3], unwilling(func(c *Cert) { c.Olds[0].Signature[1] ^= 1 }))...), good},
		"is no leaving member":             {encode(append(links[:3:3], unwilling(func(c *Cert) { c.Olds = append(c.Olds, c.Olds[0]) }))...), good},
	} {
		if _, err := OpenChain(c.raw, c.e); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	// A stranger's key under our key id and X's bytes elsewhere: its first link says another X.
	evil := w.record(2, 1, 2, []int{7, 8, 9}, nil, 0)
	if _, err := NewChain(w.finalCert(evil, 1), good); err == nil {
		t.Error("a chain of another key is begun")
	}
	// Epoch 0 with OLDOKs in it, which nobody could check.
	odd := *links[0]
	odd.Cert = &Cert{Record: odd.Cert.Record, Preps: odd.Cert.Preps, Olds: links[1].Cert.Olds}
	if _, err := OpenChain(encode(&odd), good); err == nil {
		t.Error("epoch 0 with OLDOKs is taken")
	}
	if _, err := DecodeFinalCert(odd.Encode()); err == nil {
		t.Error("epoch 0 with OLDOKs is a final certificate")
	}
}

// A sibling takes the place of what was in force for a while; what does not belong leaves the
// chain as it is.
func TestExtendChain(t *testing.T) {
	l := newLine(t)
	w := l.w
	sibling := w.record(1, 50, 2, []int{1, 5, 9}, l.records[1], 4)
	f := w.finalCertOf(sibling, l.records[1], 50)
	c, err := l.chain.Extend(f)
	if err != nil || len(c.Links()) != 3 || c.Last() != f || len(l.chain.Links()) != 4 {
		t.Fatalf("a sibling: %v", err)
	}
	if _, err := OpenChain(c.Encode(), enrolled(l.records[0])); err != nil {
		t.Error(err)
	}
	far := w.record(1, 51, 2, []int{1, 5}, w.record(1, 52, 2, []int{1, 5}, sibling, 9), 0)
	if _, err := l.chain.Extend(w.finalCert(far, 9)); err == nil || !strings.Contains(err.Error(), "is not in it") {
		t.Errorf("a record whose parent is not there: %v", err)
	}
	// Whoever carries a certificate can spoil the OLDOKs in it: the book would move, the chain would not.
	spoiled := w.finalCertOf(sibling, l.records[1], 50)
	spoiled.Cert.Olds[0].Signature[9] ^= 1
	if _, err := DecodeFinalCert(spoiled.Encode()); err != nil {
		t.Fatal(err)
	}
	if _, err := l.chain.Extend(spoiled); err == nil || spoiled.CheckOlds(l.records[1]) == nil {
		t.Error("a certificate whose OLDOK is spoiled is taken")
	}
	if err := f.CheckOlds(l.records[1]); err != nil {
		t.Error(err)
	}
}

// The bounds: a clear error, and the way out of it.
func TestChainBounds(t *testing.T) {
	if _, err := OpenChain(make([]byte, MaxChain+1), Enrolment{}); !errors.Is(err, ErrChainTooLong) {
		t.Error(err)
	}
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	c, err := NewChain(w.finalCert(root, 1), enrolled(root))
	if err != nil {
		t.Fatal(err)
	}
	child := w.finalCertOf(w.record(1, 2, 2, three, root, 0), root, 1)
	last := c.links[0]
	c.links = slices.Repeat([]*FinalCert{{Record: root, Cert: &Cert{}}}, MaxLinks-1)
	c.links = append(c.links, last)
	if _, err := c.Extend(child); !errors.Is(err, ErrChainTooLong) || !strings.Contains(fmt.Sprint(err), "enrol a later record's hash as anchor") {
		t.Errorf("a link more than MaxLinks: %v", err)
	}
	c.links = c.links[1:]
	if _, err := c.Extend(child); err != nil {
		t.Errorf("MaxLinks: %v", err)
	}
	big := &FinalCert{Record: root, Cert: &Cert{Preps: slices.Repeat([][]byte{make([]byte, 64)}, 100)}}
	c.links = append(slices.Repeat([]*FinalCert{big}, 900), last)
	if _, err := c.Extend(child); !errors.Is(err, ErrChainTooLong) {
		t.Errorf("more than MaxChain: %v", err)
	}
	var e transcript.Encoder
	many := e.List(1, MaxLinks+1, func(_ int, e *transcript.Encoder) { e.Bytes(1, nil) }).Sum()
	if _, err := OpenChain(many, enrolled(root)); err == nil || !strings.Contains(err.Error(), "items") {
		t.Errorf("more than MaxLinks items: %v", err)
	}
	var long transcript.Encoder
	one := long.List(1, 1, func(_ int, e *transcript.Encoder) { e.Bytes(1, make([]byte, MaxFinalCert+1)) }).Sum()
	if _, err := OpenChain(one, enrolled(root)); err == nil || !strings.Contains(err.Error(), "at most 65536") {
		t.Errorf("a link larger than MaxFinalCert: %v", err)
	}
	// The largest committees: a chain of them holds years of monthly epochs.
	var all []int
	for i := range session.MaxParties {
		all = append(all, i)
	}
	if n := len(w.finalCert(w.record(3, 3, 16, all, nil, 0), 1).Encode()); MaxChain/n < 120 {
		t.Errorf("a chain holds %d links of 16 members", MaxChain/n)
	}
}

// An empty book is enrolled by a chain: then it stands where its peers stand.
func TestNewcomersBook(t *testing.T) {
	l := newLine(t)
	c, err := OpenChain(l.chain.Encode(), enrolled(l.records[0]))
	if err != nil {
		t.Fatal(err)
	}
	b := NewBook()
	if erase, moved := b.Adopt(c.Last()); !moved || len(erase) > 0 {
		t.Error("a newcomer's book does not move")
	}
	next := l.w.record(1, 60, 2, []int{1, 5, 12}, l.records[3], 0)
	if err := b.Prepare(next); err != nil {
		t.Error(err)
	}
}
