package breakglass_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/decred/dcrd/dcrec/secp256k1/v4"
	"github.com/decred/dcrd/dcrec/secp256k1/v4/ecdsa"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/backup/paper"
	"github.com/ostraka/ostraka/custody/breakglass"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
)

var path = hd.Path{0, 3, 7}

// checkRoot holds a key that was rebuilt to the vault's: its account's address is that of the public key, and its signature verifies there by others' code.
func checkRoot(t *testing.T, e epochOf, root *breakglass.Root) {
	t.Helper()
	defer root.Wipe()
	want, _, err := hd.Derive(e.record.Public, e.record.ChainCode, path)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := root.ExposeChild(path)
	if err != nil || !bytes.Equal(public, want.Bytes()) {
		t.Fatalf("another address: %x, %v", public, err)
	}
	digest := sha256.Sum256([]byte("move everything"))
	switch e.record.Suite {
	case epoch.SuiteECDSA:
		pub, err := secp256k1.ParsePubKey(want.Bytes())
		if err != nil || !ecdsa.Sign(secp256k1.PrivKeyFromBytes(private), digest[:]).Verify(digest[:], pub) {
			t.Error("the signature is not valid", err)
		}
	case epoch.SuiteBIP340:
		key, _ := btcec.PrivKeyFromBytes(private)
		sig, err := schnorr.Sign(key, digest[:])
		if err != nil {
			t.Fatal(err)
		}
		pub, err := schnorr.ParsePubKey(want.Bytes()[1:])
		if err != nil || !sig.Verify(digest[:], pub) {
			t.Error("the signature is not valid", err)
		}
	case epoch.SuiteEd25519:
		by, sig, err := root.SignEd25519(path, []byte("move everything"), enginetest.Reader(1))
		if err != nil || !bytes.Equal(by, want.Bytes()) || !ed25519.Verify(want.Bytes(), []byte("move everything"), sig) {
			t.Error("the signature is not valid", err)
		}
	}
}

// from puts together what operators in these seats and guardians at these places give.
func (c *circle) from(t *testing.T, e epochOf, k *breakglass.Key, shares []int, masks bool, guards []int) (*breakglass.Root, error) {
	t.Helper()
	a := k.Assemble()
	defer a.Wipe()
	for _, i := range shares {
		p := c.piece(e, i)
		if !masks {
			p.Mask = nil
		}
		if err := a.Operator(p); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range guards {
		id, value, spoiled, err := k.Value(c.guards[i])
		if err != nil || len(spoiled) > 0 {
			t.Fatal(err, spoiled)
		}
		if err := a.Guardian(id, value); err != nil {
			t.Fatal(err)
		}
		value.Wipe()
	}
	return a.Rebuild()
}

// Every minimal subset gives the key, of real key generations of every suite, and one fewer gives nothing and says what is missing.
func TestEveryMinimalSubset(t *testing.T) {
	c := newCircle(t)
	for _, suite := range suites {
		t.Run(suite, func(t *testing.T) {
			e := c.keygen(t, suite)
			k := c.open(t, e)
			pairs := [][]int{{0, 1}, {0, 2}, {1, 2}}
			for _, shares := range pairs { // level 1: any t operators
				root, err := c.from(t, e, k, shares, false, nil)
				if err != nil {
					t.Fatalf("shares %v: %v", shares, err)
				}
				checkRoot(t, e, root)
			}
			for op := range 3 { // level 2: any r operators with any k guardians
				for _, guards := range pairs {
					root, err := c.from(t, e, k, []int{op}, true, guards)
					if err != nil {
						t.Fatalf("operator %d, guardians %v: %v", op, guards, err)
					}
					if want := fmt.Sprintf("mask of %s", c.name(op)); root.Pieces[0] != want || len(root.Pieces) != 3 {
						t.Errorf("it says that it was rebuilt of %q", root.Pieces)
					}
					checkRoot(t, e, root)
				}
			}
			for says, few := range map[string]struct {
				shares, guards []int
				masks          bool
			}{
				"1 of 2 operators' shares are here, and 1 of 1 masks with 1 of 2 guardians' values: needed are 1 more shares, or values of 1 more guardians": {[]int{1}, []int{2}, true},
				"1 of 2 operators' shares are here, and 0 of 1 masks with 2 of 2 guardians' values: needed are 1 more shares, or masks of 1 more operators":  {[]int{1}, []int{0, 2}, false},
				"0 of 2 operators' shares are here, and 0 of 1 masks with 3 of 2 guardians' values: needed are 2 more shares, or masks of 1 more operators":  {nil, []int{0, 1, 2}, true},
				"1 of 2 operators' shares are here, and 1 of 1 masks with 0 of 2 guardians' values: needed are 1 more shares, or values of 2 more guardians": {[]int{0, 0}, nil, true},
			} {
				root, err := c.from(t, e, k, few.shares, few.masks, few.guards)
				var lack *breakglass.TooFewError
				if root != nil || !errors.As(err, &lack) || !strings.Contains(err.Error(), says) {
					t.Errorf("%v, not %q", err, says)
				}
			}
		})
	}
}

func (c *circle) name(seat int) string {
	i := slices.IndexFunc(c.doc.Operators, func(o charter.Station) bool { return string(o.Identity) == string(c.parties[seat].Identity) })
	return c.doc.Operators[i].Name
}

// Level 3: the sheets of each operator, any two of three, bring back the same share and mask, which count like an export's; mixes count too.
func TestPaper(t *testing.T) {
	c := newCircle(t)
	e := c.keygen(t, epoch.SuiteECDSA)
	k := c.open(t, e)
	var cut [3][]paper.Sheet
	for i := range cut {
		l := paper.Label{
			Circle: c.doc.Circle, Vault: "treasury", Operator: c.name(i), Key: e.record.KeyID, Suite: e.record.Suite, Epoch: e.record.Epoch, Record: e.record.Hash(), Party: c.parties[i].Index, Created: noon,
		}
		var err error
		if cut[i], err = paper.Cut(l, secret.New(e.shares[i].Bytes()), secret.New(e.mask[i].Bytes()), 2, 3, enginetest.Reader(uint64(i))); err != nil {
			t.Fatal(err)
		}
	}
	g := e.record.Public.Group()
	piece := func(i int, sheets ...int) breakglass.Piece {
		var read []paper.Sheet
		for _, n := range sheets { // half of them typed, half by their code
			s, err := paper.Scan(cut[i][n].ExposePayload())
			if n%2 == 1 {
				s, err = paper.Typed(cut[i][n].ExposeText())
			}
			if err != nil {
				t.Fatal(err)
			}
			read = append(read, s)
		}
		b := must(paper.Restore(read))(t)
		defer b.Wipe()
		id, ok := k.At(b.Party)
		if !ok {
			t.Fatal("nobody's sheets")
		}
		return breakglass.Piece{From: "sheets", KeyID: b.Key, Number: b.Epoch, Epoch: b.Record, Party: id, Share: must(g.DecodeScalar(b.Share.Expose()))(t), Mask: must(g.DecodeScalar(b.Mask.Expose()))(t)}
	}
	for _, sheets := range [][]int{{0, 1}, {0, 2}, {1, 2}} {
		for name, give := range map[string][]breakglass.Piece{
			"paper alone": {piece(0, sheets...), piece(2, sheets...)}, "paper and export": {piece(1, sheets...), c.piece(e, 0)}, "paper twice and export": {piece(1, sheets...), piece(1, 1, 2), c.piece(e, 2)},
		} {
			a := k.Assemble()
			for _, p := range give {
				if err := a.Operator(p); err != nil {
					t.Fatal(err)
				}
			}
			root, err := a.Rebuild()
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			checkRoot(t, e, root)
			a.Wipe()
		}
	}
	a := k.Assemble()
	for _, p := range []breakglass.Piece{piece(1, 0, 1), piece(1, 1, 2), c.piece(e, 1)} { // one operator's, three times
		if err := a.Operator(p); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Rebuild(); err == nil {
		t.Error("one operator's backups count as two operators'")
	}
	for _, g := range []int{0, 2} {
		id, value, _, err := k.Value(c.guards[g])
		if err == nil {
			err = a.Guardian(id, value)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	checkRoot(t, e, must(a.Rebuild())(t)) // paper and guardians
}

// What is damaged, foreign or of another epoch is named, and refused before it counts.
func TestPiecesAreRefused(t *testing.T) {
	c := newCircle(t)
	old := c.keygen(t, epoch.SuiteEd25519)
	e := c.refresh(t, old)
	other := c.keygen(t, epoch.SuiteECDSA)
	if e.record.Epoch != 1 || !e.record.Public.Equal(old.record.Public) {
		t.Fatal("new shares of another key")
	}
	k := c.open(t, e)
	g := e.record.Public.Group()
	one := g.Scalar(1)
	mine, its := "share of "+c.name(0)+": it does not match", "mask of "+c.name(0)+": it does not match"
	for name, x := range map[string]struct {
		says  string
		spoil func(*breakglass.Piece)
	}{
		"a share":                           {mine, func(p *breakglass.Piece) { p.Share = p.Share.Add(one) }},
		"a mask":                            {its, func(p *breakglass.Piece) { p.Mask = p.Mask.Add(one) }},
		"no share":                          {mine, func(p *breakglass.Piece) { p.Share = nil }},
		"of another group":                  {mine, func(p *breakglass.Piece) { p.Share = other.shares[0] }},
		"the older epoch's share":           {mine, func(p *breakglass.Piece) { p.Share = old.shares[0] }}, // under this epoch's label
		"the older epoch's mask":            {its, func(p *breakglass.Piece) { p.Mask = old.mask[0] }},
		"another's share":                   {"share of " + c.name(1) + ": it does not match", func(p *breakglass.Piece) { p.Party = c.parties[1].ID }},
		"nobody's share":                    {"is no member of epoch 1", func(p *breakglass.Piece) { p.Party[0]++ }},
		"no such key":                       {"it is of key 09", func(p *breakglass.Piece) { p.KeyID = [32]byte{9} }},
		"another key":                       {fmt.Sprintf("it is of key %x", other.record.KeyID[:6]), func(p *breakglass.Piece) { *p = c.piece(other, 0) }},
		"the older epoch":                   {"the older epoch 0", func(p *breakglass.Piece) { *p = c.piece(old, 0) }},
		"a later epoch":                     {"the later epoch 5", func(p *breakglass.Piece) { p.Number, p.Epoch[0] = 5, p.Epoch[0]+1 }},
		"another attempt at the same epoch": {"another epoch 1", func(p *breakglass.Piece) { p.Epoch[0]++ }},
	} {
		a := k.Assemble()
		p := c.piece(e, 0)
		x.spoil(&p)
		if err := a.Operator(p); err == nil || !strings.Contains(err.Error(), x.says) || strings.Contains(err.Error(), fmt.Sprintf("%x", e.shares[0].Bytes())) {
			t.Errorf("%s: %v, not %q", name, err, x.says)
		}
		if err := a.Operator(c.piece(e, 1)); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Rebuild(); err == nil { // what was refused does not count
			t.Errorf("%s: it counts", name)
		}
	}
	id, value, _, err := k.Value(c.guards[0])
	if err != nil {
		t.Fatal(err)
	}
	a := k.Assemble()
	var wrong *breakglass.WrongError
	if err := a.Guardian(id, value.Add(one)); !errors.As(err, &wrong) {
		t.Errorf("a wrong value: %v", err)
	}
	var foreign *breakglass.ForeignError
	if err := a.Guardian(c.parties[0].ID, value); !errors.As(err, &foreign) {
		t.Errorf("an operator as a guardian: %v", err)
	}
	stranger := newCircle(t)
	stranger.guards[0].Wipe()
	if _, _, _, err := k.Value(stranger.guards[0]); err == nil {
		t.Error("a wiped key opens")
	}
	if _, oldValue, _, err := c.open(t, old).Value(c.guards[0]); err != nil || a.Guardian(id, oldValue) == nil {
		t.Errorf("a value of the older epoch counts: %v", err)
	}
	// A root that was rebuilt in the old epoch is the same key: whoever has only old backups says so in the statement.
	root := must(c.from(t, old, c.open(t, old), []int{0, 2}, false, nil))(t)
	checkRoot(t, e, root)
}

// The public side is verified: whoever brings another's record, plan or set is told so before any secret is opened.
func TestFactsAreRefused(t *testing.T) {
	c := newCircle(t)
	e := c.keygen(t, epoch.SuiteEd25519)
	flip := func(b []byte, at int) []byte { b = bytes.Clone(b); b[at] ^= 1; return b }
	plan := c.plan.Encode()
	smaller := c.doc
	smaller.Operators = c.doc.Operators[:2]
	for says, x := range map[string]struct{ cert, plan, set []byte }{
		"decode final certificate":     {flip(e.cert, len(e.cert)-1), plan, e.set},
		"of another epoch, or damaged": {e.cert, plan, flip(e.set, len(e.set)/2)},
		"not the one that the epoch":   {e.cert, flip(plan, 10), e.set},
		"decode guardians' plan":       {e.cert, plan[:20], e.set},
	} {
		if _, err := breakglass.OpenKey(c.doc, x.cert, x.plan, x.set); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, not %q", err, says)
		}
	}
	if _, err := breakglass.OpenKey(smaller, e.cert, plan, e.set); err == nil || !strings.Contains(err.Error(), "is no operator of this charter") {
		t.Errorf("a member that is no operator: %v", err)
	}
	bare := must(breakglass.OpenKey(c.doc, e.cert, nil, nil))(t)
	if _, _, _, err := bare.Value(c.guards[0]); !errors.Is(err, breakglass.ErrNoGuardians) || bare.Guarded() {
		t.Errorf("guardians without a set: %v", err)
	}
	a := bare.Assemble()
	if err := errors.Join(a.Operator(c.piece(e, 0)), a.Operator(c.piece(e, 1))); err != nil {
		t.Fatal(err)
	}
	checkRoot(t, e, must(a.Rebuild())(t))
	for _, x := range []any{a, must(a.Rebuild())(t)} {
		if got := fmt.Sprintf("%v %+v %#v %x %s", x, x, x, x, x); strings.Trim(got, "[secret] ") != "" {
			t.Errorf("%T prints %q", x, got)
		}
	}
}
