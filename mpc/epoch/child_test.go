package epoch

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/session"
)

// All suites: records, certificates and test digests work in each, and a record of one is
// none of another.
func TestSuites(t *testing.T) {
	digests := map[[32]byte]string{}
	for _, suite := range []string{SuiteECDSA, SuiteEd25519, SuiteBIP340} {
		w := newWorld(t)
		w.suite = suite
		root := w.record(1, 1, 2, three, nil, 0)
		child := w.record(1, 2, 3, []int{0, 1, 5}, root, 3)
		c, err := NewChain(w.finalCertOf(root, nil, 1), enrolled(root))
		if err == nil {
			c, err = c.Extend(w.finalCertOf(child, root, 5))
		}
		if err == nil {
			_, err = OpenChain(c.Encode(), enrolled(root))
		}
		if err != nil {
			t.Errorf("%s: %v", suite, err)
		}
		for _, r := range []*Record{root, child} {
			d := TestDigest(r, engine.SessionID{1})
			if digests[d] != "" {
				t.Errorf("%s and %s share a test digest", suite, digests[d])
			}
			digests[d] = suite
		}
		for _, other := range []string{SuiteECDSA, SuiteEd25519, SuiteBIP340, "rsa", ""} {
			r := *root
			r.Suite = other
			_, err := Decode(r.Encode())
			g, _ := GroupOf(other)
			if fits := g != nil && g.Name() == root.Public.Group().Name(); (err == nil) != fits || (r.Validate() == nil) != fits {
				t.Errorf("a record of %s as %q: %v", suite, other, err)
			}
			if r.Hash() == root.Hash() && other != suite {
				t.Error("suite does not count in eh")
			}
		}
	}
}

func enrolled(r *Record) Enrolment { return Enrolment{KeyID: r.KeyID, Public: r.Public} }

func TestCheckChild(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	child := func(members []int) *Record { return w.record(1, 2, 2, members, root, 0) }
	for _, good := range [][]int{{0, 1}, {0, 1, 2}, {1, 2, 3}, {7, 8}, {0, 4, 9}} {
		if err := root.CheckChild(child(good)); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	move := func(r *Record, i int, to share.Index) { r.Members[i].Index = to }
	for want, spoil := range map[string]func(*Record){
		"of another key":                    func(r *Record) { r.KeyID[0]++ },
		"of another key than":               func(r *Record) { r.ChainCode[0]++ },
		"is of another key":                 func(r *Record) { r.Suite = SuiteBIP340 },
		"another key":                       func(r *Record) { r.Public = secp256k1.Group{}.Generator() },
		"epoch 2 is no child":               func(r *Record) { r.Epoch = 2 },
		"is no child of":                    func(r *Record) { r.Prev[0]++ },
		"has index 2, and 1 in its parent":  func(r *Record) { move(r, 0, 2) },
		"has index 9, and 2 in its parent":  func(r *Record) { move(r, 1, 9) },
		"index 3 of new member":             func(r *Record) { move(r, 2, 3) },
		"was used before: the mark is 3":    func(r *Record) { move(r, 2, 1) },
		"used indices is 7, not 6":          func(r *Record) { r.Used++ },
		"used indices is 5, not 6":          func(r *Record) { r.Used-- },
		"rises from 3 to 68, by more than":  func(r *Record) { move(r, 2, 68); r.Used = 68 },
		"rises from 3 to 65535, by more th": func(r *Record) { move(r, 2, 65535); r.Used = 65535 },
	} {
		r := child([]int{0, 1, 5})
		spoil(r)
		if err := root.CheckChild(r); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", want, err)
		}
	}
	edge := child([]int{0, 1, 5})
	move(edge, 2, 67)
	edge.Used = 67
	if err := root.CheckChild(edge); err != nil {
		t.Errorf("the last index of the stride: %v", err)
	}
}

// An index is not given out again, although its holder left epochs ago: the record's mark
// says so, and the parent alone shows it.
func TestIndicesAreNotUsedAgain(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	second := w.record(1, 2, 2, []int{0, 1, 9}, root, 0)
	third := w.record(1, 3, 2, []int{0, 1}, second, 0)
	if third.Mark() != 10 || third.Members[1].Index != 2 {
		t.Fatalf("mark %d", third.Mark())
	}
	for i, bad := range []int{2, 8, 9} { // party 10 itself comes back under a new index
		fourth := w.record(1, 4, 2, []int{0, 1, bad}, third, 0)
		if err := third.CheckChild(fourth); err == nil || !strings.Contains(err.Error(), "was used before") {
			t.Errorf("%d: index %d again: %v", i, bad+1, err)
		}
	}
	parties := append(third.Parties(), session.Party{ID: engine.PartyID{77}, Identity: bytes.Repeat([]byte{7}, 32)},
		session.Party{ID: engine.PartyID{10}, Identity: w.identity(engine.PartyID{10})})
	for above, want := range map[share.Index][]share.Index{0: {1, 2, 11, 12}, 9: {1, 2, 11, 12}, 20: {1, 2, 21, 22}, 5000: {1, 2, 71, 72}} {
		seats, err := third.Seats(parties, above)
		if err != nil {
			t.Fatal(err)
		}
		var got []share.Index
		for _, s := range seats {
			got = append(got, s.Index)
		}
		if !slices.Equal(got, want) || seats[2].ID != (engine.PartyID{10}) {
			t.Errorf("above %d: seats %v, want %v", above, got, want)
		}
	}
	last := *third
	last.Used = share.MaxIndex - 1
	if _, err := last.Seats(parties, 0); err == nil || !strings.Contains(err.Error(), "make a new key") {
		t.Errorf("beyond the last index: %v", err)
	}
	if _, err := third.Seats(parties[:1], 0); err == nil {
		t.Error("a committee of one is seated")
	}
	for _, epoch0 := range []share.Index{1, 3} {
		r := *root
		r.Used = epoch0
		if r.Validate() == nil {
			t.Error("epoch 0 with a mark of its own")
		}
	}
	low := *second
	low.Used = 9
	if low.Validate() == nil {
		t.Error("a mark below the last index")
	}
}

// Old members agree by PREP where they stay and by OLDOK where they leave: a quorum of them,
// or all if the threshold falls.
func TestOldQuorum(t *testing.T) {
	w := newWorld(t)
	parent := w.record(1, 1, 3, []int{0, 1, 2, 3}, nil, 0)
	same, lower := w.record(1, 2, 3, []int{0, 5, 6}, parent, 0), w.record(1, 3, 2, []int{0, 5, 6}, parent, 0)
	for _, c := range []struct {
		name string
		r    *Record
		olds []int // places among the leaving members 2, 3, 4
		good bool
	}{
		{"quorum", same, []int{0, 1}, true}, {"another quorum", same, []int{1, 2}, true}, {"more", same, []int{0, 1, 2}, true},
		{"one less", same, []int{0}, false}, {"none", same, nil, false}, {"one twice", same, []int{1, 1}, false}, {"out of order", same, []int{1, 0}, false},
		{"quorum for a lower threshold", lower, []int{0, 1}, false}, {"all for a lower threshold", lower, []int{0, 1, 2}, true},
	} {
		full := w.certOf(c.r, parent)
		cert := &Cert{Record: full.Record, Preps: full.Preps}
		for _, i := range c.olds {
			cert.Olds = append(cert.Olds, full.Olds[i])
		}
		back, err := DecodeCert(cert.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if err := back.Check(c.r, parent); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
		if back.Check(c.r, nil) == nil || back.Check(c.r, same) == nil {
			t.Errorf("%s: holds without its parent", c.name)
		}
	}
	good := w.certOf(same, parent)
	for name, spoil := range map[string]func(c *Cert){
		"signature":        func(c *Cert) { c.Olds[0].Signature[3] ^= 1 },
		"of a member":      func(c *Cert) { c.Olds[0] = OldOK{engine.PartyID{1}, SignOldOK(c.Record, w.signer(engine.PartyID{1}))} },
		"of a stranger":    func(c *Cert) { c.Olds[0] = OldOK{engine.PartyID{6}, SignOldOK(c.Record, w.signer(engine.PartyID{6}))} },
		"relabelled":       func(c *Cert) { c.Olds[0].From, c.Olds[1].From = c.Olds[1].From, c.Olds[0].From },
		"a PREP in it":     func(c *Cert) { c.Olds[0].Signature = SignPrep(c.Record, w.signer(c.Olds[0].From)) },
		"of the other one": func(c *Cert) { c.Olds[0].Signature = SignOldOK(lower.Hash(), w.signer(c.Olds[0].From)) },
		"not its length":   func(c *Cert) { c.Olds[0].Signature = nil },
	} {
		c := *good
		c.Olds = slices.Clone(good.Olds)
		c.Olds[0].Signature = bytes.Clone(c.Olds[0].Signature)
		spoil(&c)
		if c.Check(same, parent) == nil {
			t.Errorf("OLDOK %s: holds", name)
		}
	}
	// Who stays under another identity key does not agree by its PREP.
	other := w.reidentified(parent, 0)
	moved := w.record(1, 2, 3, []int{0, 5, 6}, other, 0)
	c := w.certOf(moved, other)
	c.Olds = c.Olds[1:3]
	if err := c.Check(moved, other); err == nil || !strings.Contains(err.Error(), "2 of 4 old members agree, 3 must") {
		t.Errorf("another identity key: %v", err)
	}
	// Epoch 0 has nobody who could agree.
	root := w.cert(parent)
	root.Olds = good.Olds
	if root.Check(parent, nil) == nil || w.cert(parent).Check(parent, parent) == nil {
		t.Error("epoch 0 with a parent")
	}
	if CheckOldOK(parent, good.Record, engine.PartyID{50}, good.Olds[0].Signature) == nil {
		t.Error("a stranger's OLDOK holds")
	}
}

func TestOperatorsConsentToLowerThresholds(t *testing.T) {
	w, b := newWorld(t), NewBook()
	root := w.record(1, 1, 3, three, nil, 0)
	b.Adopt(w.finalCert(root, 1))
	lower := w.record(1, 2, 2, three, root, 0)
	if err := b.Prepare(lower); !errors.Is(err, ErrLowerThreshold) {
		t.Errorf("without consent: %v", err)
	}
	if b.Knows(lower.Hash()) {
		t.Error("a refused record is known")
	}
	if err := b.PrepareLower(lower); err != nil {
		t.Error(err)
	}
	if err := b.Prepare(w.record(1, 3, 3, []int{0, 1, 2, 3}, root, 0)); err != nil {
		t.Error(err)
	}
}

// Child makes what CheckChild takes.
func TestChildOfRecord(t *testing.T) {
	w := newWorld(t)
	root := w.record(1, 1, 2, three, nil, 0)
	r := w.record(1, 2, 2, []int{0, 1, 7}, root, 6)
	c := root.Child(6, 2, r.Members)
	c.Echo = r.Echo
	if c.Hash() != r.Hash() || root.CheckChild(c) != nil || c.Validate() != nil {
		t.Error("a child is none")
	}
}
