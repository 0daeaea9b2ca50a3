package epoch

import (
	"bytes"
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/share"
	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/session"
)

// A world deals records of keys and knows every member's secrets.
type world struct {
	tb     testing.TB
	keys   map[engine.PartyID]ed25519.PrivateKey
	shares map[Hash]map[engine.PartyID]group.Scalar
	seats  map[int]share.Index // of parties whose index is not their number + 1
	suite  string              // SuiteECDSA if empty
}

func newWorld(tb testing.TB) *world {
	return &world{tb: tb, keys: map[engine.PartyID]ed25519.PrivateKey{}, shares: map[Hash]map[engine.PartyID]group.Scalar{}, seats: map[int]share.Index{}}
}

// record deals one: key names the key (its secret and chain code), seed the sharing. members
// are operators 0, 1, …; parent is nil in epoch 0.
func (w *world) record(key byte, seed uint64, t int, members []int, parent *Record, attempt uint64) *Record {
	w.tb.Helper()
	suite := cmp.Or(w.suite, SuiteECDSA)
	g, err := GroupOf(suite)
	if err != nil {
		w.tb.Fatal(err)
	}
	secret := g.Scalar(uint64(key) + 1000)
	poly, err := share.Sample(g, t, secret, enginetest.Reader(seed))
	if err != nil {
		w.tb.Fatal(err)
	}
	r := &Record{
		KeyID: [32]byte{key}, Attempt: attempt, Suite: suite, Threshold: t, Public: g.BaseMul(secret),
		ChainCode: [32]byte{key, 2}, Echo: [32]byte{byte(seed), 3},
	}
	shares := map[engine.PartyID]group.Scalar{}
	for _, i := range members {
		s := sha256.Sum256([]byte{byte(i)})
		priv := ed25519.NewKeyFromSeed(s[:])
		p := session.Party{ID: engine.PartyID{byte(i + 1)}, Index: cmp.Or(w.seats[i], share.Index(i+1)), Identity: priv.Public().(ed25519.PublicKey)}
		w.keys[p.ID], shares[p.ID] = priv, poly.Eval(p.Index)
		r.Members = append(r.Members, Member{p, g.BaseMul(shares[p.ID])})
	}
	slices.SortFunc(r.Members, func(a, b Member) int { return int(a.Index) - int(b.Index) })
	if parent != nil {
		c := parent.Child(attempt, t, r.Members)
		c.KeyID, c.Public, c.ChainCode, c.Echo = r.KeyID, r.Public, r.ChainCode, r.Echo
		r = c
	}
	w.shares[r.Hash()] = shares
	return r
}

func (w *world) cert(r *Record) *Cert {
	c := &Cert{Record: r.Hash()}
	for _, m := range r.Members {
		c.Preps = append(c.Preps, SignPrep(r.Hash(), session.NewSigner(w.keys[m.ID])))
	}
	return c
}

func (w *world) final(r *Record, c *Cert, id engine.PartyID, seed uint64) *Final {
	w.tb.Helper()
	f, err := MakeFinal(r, c, id, w.shares[r.Hash()][id], enginetest.Reader(seed), session.NewSigner(w.keys[id]))
	if err != nil {
		w.tb.Fatal(err)
	}
	return f
}

func (w *world) finalCert(r *Record, seed uint64) *FinalCert {
	w.tb.Helper()
	f := &FinalCert{Record: r, Cert: w.cert(r)}
	for i, m := range r.Members {
		f.Finals = append(f.Finals, w.final(r, f.Cert, m.ID, seed+uint64(i)))
	}
	again, err := DecodeFinalCert(f.Encode())
	if err != nil {
		w.tb.Fatal(err)
	}
	return again
}

var three = []int{0, 1, 2}

func TestRecordRoundTrip(t *testing.T) {
	w := newWorld(t)
	first := w.record(1, 1, 2, three, nil, 0)
	for _, r := range []*Record{first, w.record(1, 2, 3, []int{0, 2, 4, 5}, first, 7)} {
		back, err := Decode(r.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(back.Encode(), r.Encode()) || back.Hash() != r.Hash() || back.PartialHash() != r.PartialHash() {
			t.Error("a record changed on its way")
		}
		raw := r.Encode()
		for i := range raw {
			if _, err := Decode(raw[:i]); err == nil {
				t.Errorf("its first %d bytes are a record", i)
			}
		}
		if _, err := Decode(append(raw, 0)); err == nil {
			t.Error("a byte more is a record")
		}
	}
}

// Each field counts in eh; the partial hash leaves out exactly T_final and the backup set.
func TestHashes(t *testing.T) {
	w := newWorld(t)
	base := func() *Record { return w.record(1, 1, 2, three, nil, 0) }
	whole, partial := map[Hash]string{base().Hash(): "base"}, map[[32]byte]string{base().PartialHash(): "base"}
	for name, change := range map[string]func(*Record){
		"key": func(r *Record) { r.KeyID[1]++ }, "epoch": func(r *Record) { r.Epoch++ }, "attempt": func(r *Record) { r.Attempt++ },
		"suite": func(r *Record) { r.Suite = "x" }, "threshold": func(r *Record) { r.Threshold++ },
		"member id": func(r *Record) { r.Members[1].ID[5]++ }, "index": func(r *Record) { r.Members[2].Index++ },
		"identity":     func(r *Record) { r.Members[1].Identity = r.Members[0].Identity },
		"public share": func(r *Record) { r.Members[1].Public = r.Public }, "public": func(r *Record) { r.Public = r.Members[0].Public },
		"chain code": func(r *Record) { r.ChainCode[0]++ }, "parent": func(r *Record) { r.Prev[0]++ },
		"guardians": func(r *Record) { r.Guardians[0]++ }, "members": func(r *Record) { r.Members = r.Members[:2] },
		"T_final": func(r *Record) { r.Echo[0]++ }, "backups": func(r *Record) { r.Backups[0]++ },
	} {
		r := base()
		change(r)
		if other, found := whole[r.Hash()]; found {
			t.Errorf("%s and %s hash alike", name, other)
		}
		whole[r.Hash()] = name
		_, same := partial[r.PartialHash()]
		if out := name == "T_final" || name == "backups"; same != out {
			t.Errorf("partial hash with another %s: same %v, want %v", name, same, out)
		}
		partial[r.PartialHash()] = name
	}
}

func TestRecordRefuses(t *testing.T) {
	w, g := newWorld(t), secp256k1.Group{}
	for want, spoil := range map[string]func(*Record){
		"suite":                    func(r *Record) { r.Suite = "rsa" },
		"threshold 1":              func(r *Record) { r.Threshold = 1 },
		"threshold 4":              func(r *Record) { r.Threshold = 4 },
		"items":                    func(r *Record) { r.Members = r.Members[:1] },
		"a party has no id":        func(r *Record) { r.Members[0].ID = engine.Everyone },
		"not ascending":            func(r *Record) { r.Members[1].Index = r.Members[0].Index },
		"not ascending from 1":     func(r *Record) { r.Members[0].Index = 0 },
		"stands twice":             func(r *Record) { r.Members[1].ID = r.Members[0].ID },
		"is not on the polynomial": func(r *Record) { r.Members[2].Public = g.Generator() },
		"do not give":              func(r *Record) { r.Public = g.Generator() },
		"epoch 0 with parent":      func(r *Record) { r.Prev[0] = 1 },
		"epoch 1 with parent":      func(r *Record) { r.Epoch = 1 },
		// threshold raise and cut: the shares lie on another degree
		"do not give the public key": func(r *Record) {
			*r = *w.record(1, 9, 3, three, nil, 0)
			r.Threshold = 2
		},
	} {
		r := w.record(1, 1, 2, three, nil, 0)
		spoil(r)
		if _, err := Decode(r.Encode()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v", want, err)
		}
	}
	// A point that is none, wherever one stands.
	raw := w.record(1, 1, 2, three, nil, 0)
	b := raw.Encode()
	for _, p := range []group.Point{raw.Public, raw.Members[1].Public} {
		for _, bad := range [][]byte{make([]byte, 33), bytes.Repeat([]byte{0xff}, 33), append([]byte{4}, p.Bytes()[1:]...)} {
			if _, err := Decode(bytes.Replace(b, p.Bytes(), bad, 1)); err == nil {
				t.Errorf("point %x is taken", bad)
			}
		}
	}
}

func TestKeyID(t *testing.T) {
	seen := map[[32]byte]bool{}
	for _, id := range [][32]byte{KeyID([32]byte{1}, "a", 1), KeyID([32]byte{2}, "a", 1), KeyID([32]byte{1}, "b", 1), KeyID([32]byte{1}, "a", 2)} {
		if seen[id] {
			t.Error("two keys share an id")
		}
		seen[id] = true
	}
}

func TestCertificates(t *testing.T) {
	w := newWorld(t)
	r, other := w.record(1, 1, 2, three, nil, 0), w.record(1, 2, 2, three, nil, 1)
	c := w.cert(r)
	back, err := DecodeCert(c.Encode())
	if err != nil || back.Check(r, nil) != nil || back.Hash() != c.Hash() {
		t.Fatalf("round trip: %v", err)
	}
	for name, bad := range map[string]*Cert{
		"of another record":  w.cert(other),
		"one PREP less":      {Record: c.Record, Preps: c.Preps[:2]},
		"PREPs reordered":    {Record: c.Record, Preps: [][]byte{c.Preps[1], c.Preps[0], c.Preps[2]}},
		"one PREP twice":     {Record: c.Record, Preps: [][]byte{c.Preps[0], c.Preps[1], c.Preps[1]}},
		"PREP of the other":  {Record: c.Record, Preps: [][]byte{c.Preps[0], c.Preps[1], w.cert(other).Preps[2]}},
		"relabelled":         {Record: other.Hash(), Preps: c.Preps},
		"one PREP too many":  {Record: c.Record, Preps: append(slices.Clone(c.Preps), c.Preps[0])},
		"PREPs of no length": {Record: c.Record, Preps: make([][]byte, 3)},
	} {
		if bad.Check(r, nil) == nil {
			t.Errorf("%s: it holds", name)
		}
	}
	if CheckPrep(r, engine.PartyID{9}, c.Preps[0]) == nil {
		t.Error("a stranger's PREP holds")
	}
}

func TestFinals(t *testing.T) {
	w := newWorld(t)
	r, other := w.record(1, 1, 2, three, nil, 0), w.record(1, 2, 2, three, nil, 1)
	c, id := w.cert(r), engine.PartyID{1}
	f := w.final(r, c, id, 1)
	if err := f.Check(r, c.Hash()); err != nil {
		t.Fatal(err)
	}
	resign := func(f Final) *Final {
		f.Signature = session.NewSigner(w.keys[f.From])(f.tree())
		return &f
	}
	change := func(do func(f *Final)) *Final {
		g := *f
		g.Proof = bytes.Clone(f.Proof)
		do(&g)
		return &g
	}
	for name, bad := range map[string]*Final{
		"of another member":           resign(*change(func(f *Final) { f.From = engine.PartyID{2} })),
		"of a stranger":               change(func(f *Final) { f.From = engine.PartyID{9} }),
		"for another certificate":     resign(*change(func(f *Final) { f.Cert[0]++ })),
		"for another record":          resign(*change(func(f *Final) { f.Record = other.Hash() })),
		"signed by nobody":            change(func(f *Final) { f.Signature = make([]byte, 64) }),
		"with another proof":          resign(*change(func(f *Final) { f.Proof = w.final(r, c, engine.PartyID{2}, 1).Proof })),
		"with the other record's":     resign(*change(func(f *Final) { f.Proof = w.final(other, w.cert(other), id, 1).Proof })),
		"with no proof":               resign(*change(func(f *Final) { f.Proof = nil })),
		"with a longer proof":         resign(*change(func(f *Final) { f.Proof = append(f.Proof, 0) })),
		"with a proof of zeros":       resign(*change(func(f *Final) { f.Proof = make([]byte, len(f.Proof)) })),
		"with the proof bit by bit":   resign(*change(func(f *Final) { f.Proof[40] ^= 1 })),
		"its proof without signature": change(func(f *Final) { f.Proof = w.final(r, c, id, 9).Proof }),
	} {
		if bad.Check(r, c.Hash()) == nil {
			t.Errorf("%s: it holds", name)
		}
	}
	if f.Check(other, c.Hash()) == nil || f.Check(r, w.cert(other).Hash()) == nil {
		t.Error("a FINAL holds elsewhere")
	}
	// A share that is not ours in this record: read back from the wrong place.
	sign := session.NewSigner(w.keys[id])
	if _, err := MakeFinal(r, c, id, w.shares[other.Hash()][id], enginetest.Reader(1), sign); err == nil {
		t.Error("FINAL over a share of another record")
	}
	if _, err := MakeFinal(r, c, engine.PartyID{9}, w.shares[r.Hash()][id], enginetest.Reader(1), sign); err == nil {
		t.Error("FINAL by a stranger")
	}
	if _, err := MakeFinal(r, c, id, w.shares[r.Hash()][id], bytes.NewReader(nil), sign); err == nil {
		t.Error("FINAL without entropy")
	}
}

// No byte of a final certificate can be changed, left out or added, and no part taken from another.
func TestEveryByteOfAFinalCertCounts(t *testing.T) {
	w := newWorld(t)
	r := w.record(1, 1, 2, three, nil, 0)
	f := w.finalCert(r, 1)
	raw := f.Encode()
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1 << (i % 8)
		if _, err := DecodeFinalCert(bad); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
	for i := range len(raw) {
		if _, err := DecodeFinalCert(raw[:i]); err == nil {
			t.Errorf("its first %d bytes are taken", i)
		}
	}
	other := w.finalCert(w.record(1, 2, 2, three, nil, 1), 5)
	for name, bad := range map[string]*FinalCert{
		"other record": {other.Record, f.Cert, f.Finals}, "other certificate": {r, other.Cert, f.Finals}, "other FINALs": {r, f.Cert, other.Finals},
		"one FINAL less": {r, f.Cert, f.Finals[:2]}, "FINALs reordered": {r, f.Cert, []*Final{f.Finals[1], f.Finals[0], f.Finals[2]}},
		"one FINAL twice": {r, f.Cert, []*Final{f.Finals[0], f.Finals[1], f.Finals[1]}},
	} {
		if _, err := DecodeFinalCert(bad.Encode()); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := DecodeFinalCert(append(raw, 0)); err == nil {
		t.Error("a byte more is taken")
	}
	if _, err := DecodeFinalCert(make([]byte, MaxFinalCert+1)); err == nil {
		t.Error("more than MaxFinalCert is taken")
	}
}

// The largest committee's certificate fits.
func TestLargestFinalCert(t *testing.T) {
	w := newWorld(t)
	var all []int
	for i := range session.MaxParties {
		all = append(all, i)
	}
	if n := len(w.finalCert(w.record(1, 1, 16, all, nil, 0), 1).Encode()); n > MaxFinalCert {
		t.Errorf("16-of-16 has %d bytes", n)
	}
}

// The whole last round: PREP from all, and what a corrupt member may send in its place.
func TestPrepare(t *testing.T) {
	w := newWorld(t)
	r, other := w.record(1, 1, 2, three, nil, 0), w.record(1, 2, 2, three, nil, 1)
	eh := r.Hash()
	bad := func(eh Hash, by engine.PartyID) []byte {
		return append(eh[:], SignPrep(eh, session.NewSigner(w.keys[by]))...)
	}
	ids := []engine.PartyID{{1}, {2}, {3}}
	for name, body := range map[string][]byte{
		"":                    bad(eh, ids[1]),
		"another record":      bad(other.Hash(), ids[1]),
		"another's signature": bad(eh, ids[2]),
		"relabelled":          append(eh[:], SignPrep(other.Hash(), session.NewSigner(w.keys[ids[1]]))...),
		"short":               bad(eh, ids[1])[1:],
		"empty":               nil,
	} {
		out := Prepare(r, ids[0], []engine.Record{{Name: "share", Value: []byte{1}}}, session.NewSigner(w.keys[ids[0]]))
		if len(out.Save) != 1 || len(out.Send) != 1 || out.Send[0].To != engine.Everyone {
			t.Fatalf("prepare saves %d and sends %d", len(out.Save), len(out.Send))
		}
		err := out.Next.Accept(KindPrep, ids[1], body)
		var f *engine.Fault
		if name != "" {
			if !errors.As(err, &f) || f.Class != engine.Blame || !slices.Equal(f.Accused, ids[1:2]) {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil {
			err = out.Next.Accept(KindPrep, ids[2], bad(eh, ids[2]))
		}
		if err != nil {
			t.Fatal(err)
		}
		end, err := out.Next.Finish(engine.Transcript{})
		if err != nil || end.Result == nil || end.Result.Check(r, nil) != nil {
			t.Errorf("PREP of all makes no certificate: %v", err)
		}
		if !bytes.Equal(out.Send[0].Body, bad(eh, ids[0])) {
			t.Error("our own PREP differs")
		}
	}
}

func TestTestDigest(t *testing.T) {
	w := newWorld(t)
	r := w.record(1, 1, 2, three, nil, 0)
	first := TestDigest(r, engine.SessionID{1})
	if first == TestDigest(r, engine.SessionID{2}) || first == TestDigest(w.record(1, 1, 2, three, nil, 1), engine.SessionID{1}) {
		t.Error("two sessions or records share a test digest")
	}
}

func ExampleDecodeFinalCert() {
	_, err := DecodeFinalCert([]byte("not one"))
	fmt.Println(err)
	// Output: decode final certificate: field 1: found field 28271
}
