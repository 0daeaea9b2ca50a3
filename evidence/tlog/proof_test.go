package tlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// forest is a tree in memory, with the heads of all its sizes.
type forest struct {
	leaves [][]byte
	stored []Hash
}

func (f *forest) read(at []int64) (out []Hash, err error) {
	for _, i := range at {
		if i >= int64(len(f.stored)) {
			return nil, errors.New("not stored")
		}
		out = append(out, f.stored[i])
	}
	return out, nil
}

func (f *forest) reader() Reader { return ReaderFunc(f.read) }

func (f *forest) head(t testing.TB, size int64) Head {
	t.Helper()
	h, err := Root(size, f.reader())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// plant makes a tree of leaves of various lengths.
func plant(t testing.TB, size int) *forest {
	t.Helper()
	f, random := &forest{}, rand.New(rand.NewSource(int64(size)))
	for i := range size {
		leaf := make([]byte, random.Intn(60))
		random.Read(leaf)
		_, hashes, err := Append(int64(i), leaf, f.reader())
		if err != nil {
			t.Fatal(err)
		}
		f.leaves, f.stored = append(f.leaves, leaf), append(f.stored, hashes...)
	}
	return f
}

type probe struct {
	LeafIdx, TreeSize, Start, End, Size, Size1, Size2 uint64
	Root, LeafHash, Root1, Root2                      []byte
	Proof                                             [][]byte
	WantErr                                           bool
}

// opaque is a root or hash of a probe. Some are words; what matters is which are equal.
func opaque(b []byte) (h Hash) {
	copy(h[:], b)
	return h
}

func opaques(proof [][]byte) (out []Hash, whole bool) {
	whole = true
	for _, b := range proof {
		out, whole = append(out, opaque(b)), whole && len(b) == len(Hash{})
	}
	return out, whole
}

// stricter is the one probe that upstream takes: an empty tree with a root that is not of the
// empty tree. C2SP tlog-witness has it refused.
const stricter = "additional/subtree-is-empty-sizes-are-equal-zero-subtree-root-valid-tree-root-random-proof-is-empty.json"

// Proofs that Certificate Transparency's implementations test with, most of them damaged.
func TestProbes(t *testing.T) {
	var file struct{ Inclusion, Consistency, SubtreeInclusion, SubtreeConsistency map[string]probe }
	text, err := os.ReadFile("testdata/rfc6962-proof-probes.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int{}
	run := func(kind string, probes map[string]probe, check func(p probe, proof []Hash) error) {
		for name, p := range probes {
			proof, whole := opaques(p.Proof)
			err := check(p, proof)
			if !whole || p.LeafHash != nil && len(p.LeafHash) != len(Hash{}) { // our types cannot even hold it
				err = errors.New("a hash of another length")
			}
			if name == stricter {
				p.WantErr = true
			}
			if (err != nil) != p.WantErr {
				t.Errorf("%s %s: %v, want an error: %v", kind, name, err, p.WantErr)
			}
			counts[kind]++
			if p.WantErr {
				counts[kind+", refused"]++
			}
		}
	}
	run("inclusion", file.Inclusion, func(p probe, proof []Hash) error {
		return checkInclusion(Head{int64(p.TreeSize), opaque(p.Root)}, int64(p.LeafIdx), opaque(p.LeafHash), proof)
	})
	run("consistency", file.Consistency, func(p probe, proof []Hash) error {
		return CheckConsistency(Head{int64(p.Size1), opaque(p.Root1)}, Head{int64(p.Size2), opaque(p.Root2)}, proof)
	})
	// A subtree of leaves from start to end is a tree of its own.
	run("inclusion in a subtree", file.SubtreeInclusion, func(p probe, proof []Hash) error {
		return checkInclusion(Head{int64(p.End - p.Start), opaque(p.Root)}, int64(p.LeafIdx-p.Start), opaque(p.LeafHash), proof)
	})
	// Of a subtree from leaf 0 it is the tree's. Others we have no proofs of.
	from0 := map[string]probe{}
	for name, p := range file.SubtreeConsistency {
		if p.Start == 0 {
			from0[name] = p
		}
	}
	run("consistency of a subtree from 0", from0, func(p probe, proof []Hash) error {
		return CheckConsistency(Head{int64(p.End), opaque(p.Root1)}, Head{int64(p.Size), opaque(p.Root2)}, proof)
	})
	want := map[string]int{
		"inclusion": 46, "inclusion, refused": 44, "consistency": 43, "consistency, refused": 40,
		"inclusion in a subtree": 103, "inclusion in a subtree, refused": 98,
		"consistency of a subtree from 0": 46, "consistency of a subtree from 0, refused": 42,
	}
	for _, kind := range slices.Sorted(maps.Keys(want)) {
		t.Logf("%s: %d", kind, counts[kind])
		if n := want[kind]; counts[kind] != n {
			t.Errorf("%s: %d probes, not %d", kind, counts[kind], n)
		}
	}
}

// Every proof of every tree of up to 70 leaves holds, and not for another leaf, place or size.
func TestProofsOfAllSmallTrees(t *testing.T) {
	f := plant(t, 70)
	for size := int64(1); size <= 70; size++ {
		head := f.head(t, size)
		for i := range size {
			proof, err := ProveInclusion(size, i, f.reader())
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(head, i, f.leaves[i], proof); err != nil {
				t.Fatal(err)
			}
			for _, other := range []int64{i - 1, i + 1, size, math.MaxInt64, math.MinInt64} {
				if CheckInclusion(head, other, f.leaves[i], proof) == nil {
					t.Errorf("leaf %d of %d is at %d too", i, size, other)
				}
			}
			if CheckInclusion(head, i, append(f.leaves[i], 0), proof) == nil {
				t.Errorf("another leaf is at %d of %d", i, size)
			}
		}
		for old := range size + 1 {
			proof, err := ProveConsistency(old, size, f.reader())
			if err != nil {
				t.Fatal(err)
			}
			before := f.head(t, old)
			if err := CheckConsistency(before, head, proof); err != nil {
				t.Fatal(err)
			}
			if CheckConsistency(before, head, append(slices.Clone(proof), Hash{})) == nil {
				t.Errorf("%d to %d: one hash more is taken", old, size)
			}
			if before.Root[0] ^= 1; CheckConsistency(before, head, proof) == nil {
				t.Errorf("%d to %d: another old root is taken", old, size)
			}
			before.Root[0] ^= 1
			changed := head
			if changed.Root[31] ^= 1; old > 0 && CheckConsistency(before, changed, proof) == nil {
				t.Errorf("%d to %d: another root is taken", old, size)
			}
			if old < size && CheckConsistency(head, before, proof) == nil {
				t.Errorf("%d went back to %d", size, old)
			}
		}
	}
}

// A history in which one leaf was changed is not consistent with the true one, by any proof of either.
func TestRewrittenHistory(t *testing.T) {
	f := plant(t, 40)
	forged := &forest{}
	for i, leaf := range f.leaves {
		if i == 10 {
			leaf = []byte("another")
		}
		_, hashes, err := Append(int64(i), leaf, forged.reader())
		if err != nil {
			t.Fatal(err)
		}
		forged.stored = append(forged.stored, hashes...)
	}
	seen, shown := f.head(t, 20), forged.head(t, 40)
	for _, from := range []*forest{f, forged} {
		proof, err := ProveConsistency(20, 40, from.reader())
		if err != nil {
			t.Fatal(err)
		}
		var failed *ProofError
		if err := CheckConsistency(seen, shown, proof); !errors.As(err, &failed) || failed.Field != "proof" {
			t.Errorf("%v", err)
		}
	}
}

func TestProofsOutOfRange(t *testing.T) {
	f := plant(t, 5)
	head := f.head(t, 5)
	var failed *ProofError
	for _, c := range [][2]int64{{5, 5}, {5, -1}, {0, 0}, {-1, 0}, {MaxSize + 1, 0}, {math.MaxInt64, 0}} {
		if _, err := ProveInclusion(c[0], c[1], f.reader()); !errors.As(err, &failed) {
			t.Errorf("prove leaf %d of %d: %v", c[1], c[0], err)
		}
	}
	for _, c := range [][2]int64{{-1, 5}, {6, 5}, {1, MaxSize + 1}, {math.MinInt64, math.MaxInt64}} {
		if _, err := ProveConsistency(c[0], c[1], f.reader()); !errors.As(err, &failed) {
			t.Errorf("prove %d to %d: %v", c[0], c[1], err)
		}
		if err := CheckConsistency(Head{c[0], Hash{1}}, Head{c[1], Hash{1}}, nil); !errors.As(err, &failed) {
			t.Errorf("check %d to %d: %v", c[0], c[1], err)
		}
	}
	long := make([]Hash, MaxProof+1)
	for _, h := range []Head{head, {MaxSize, Hash{1}}, {MaxSize + 1, Hash{1}}, {-1, Hash{1}}, {math.MaxInt64, Hash{1}}} {
		for _, proof := range [][]Hash{nil, long[:1], long[:48], long[:63], long, make([]Hash, 10_000)} {
			if err := CheckInclusion(h, 1, nil, proof); !errors.As(err, &failed) {
				t.Errorf("size %d, %d hashes: %v", h.Size, len(proof), err)
			}
			if err := CheckConsistency(Head{3, Hash{1}}, h, proof); !errors.As(err, &failed) {
				t.Errorf("3 to %d, %d hashes: %v", h.Size, len(proof), err)
			}
		}
	}
	if err := CheckConsistency(Head{0, Hash{1}}, head, nil); !errors.As(err, &failed) {
		t.Errorf("from an empty tree with another root: %v", err)
	}
	if err := CheckConsistency(Empty, head, nil); err != nil {
		t.Errorf("from the empty tree: %v", err)
	}
	if err := CheckConsistency(Empty, head, long[:1]); !errors.As(err, &failed) {
		t.Errorf("from the empty tree, with a proof: %v", err)
	}
	if err := CheckConsistency(Head{5, Hash{1}}, head, nil); !errors.As(err, &failed) || failed.Field != "root" {
		t.Errorf("a fork: %v", err)
	}
	broken := errors.New("disk")
	fails := ReaderFunc(func([]int64) ([]Hash, error) { return nil, broken })
	if _, err := ProveInclusion(5, 1, fails); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	if _, err := ProveConsistency(3, 5, fails); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

// The largest tree: a path of 48 hashes, made up from below.
func TestLargestTree(t *testing.T) {
	leaf := []byte("the last")
	proof := make([]Hash, 48)
	root := tlog.RecordHash(leaf)
	for i := range proof {
		proof[i] = Hash{byte(i)}
		root = tlog.NodeHash(proof[i], root)
	}
	if err := CheckInclusion(Head{MaxSize, root}, MaxSize-1, leaf, proof); err != nil {
		t.Error(err)
	}
	if err := CheckInclusion(Head{MaxSize, root}, MaxSize-2, leaf, proof); err == nil {
		t.Error("the last leaf is the last but one too")
	}
}

// prove is the proof's file of a leaf.
func prove(t testing.TB, f *forest, index int64, extra string) (Proof, Head) {
	t.Helper()
	size := int64(len(f.leaves))
	head := f.head(t, size)
	hashes, err := ProveInclusion(size, index, f.reader())
	if err != nil {
		t.Fatal(err)
	}
	return Proof{[]byte(extra), index, hashes, cosign(t, checkpoint(t, head), cosigner(t, 2), 1000)}, head
}

func TestProofFile(t *testing.T) {
	f := plant(t, 11)
	log, witnesses := logSigner(t).Verifier(), []Witness{cosigner(t, 2).Witness()}
	for _, extra := range []string{"", "extra"} {
		p, head := prove(t, f, 5, extra)
		got, err := ParseProof(p.Encode())
		if err != nil || !bytes.Equal(got.Encode(), p.Encode()) || string(got.Extra) != extra || got.Index != 5 {
			t.Fatalf("%+v, %v", got, err)
		}
		c, cosigned, err := got.Verify(f.leaves[5], log, witnesses)
		if err != nil || c.Head != head || len(cosigned) != 1 {
			t.Errorf("%+v, %v, %v", c, cosigned, err)
		}
		var failed *ProofError
		if _, _, err := got.Verify(f.leaves[6], log, witnesses); !errors.As(err, &failed) {
			t.Errorf("another leaf: %v", err)
		}
		other, err := NewLogVerifier(origin, public(9))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := got.Verify(f.leaves[5], other, witnesses); err == nil {
			t.Error("another log's key is taken")
		}
	}
}

// The bytes of proofs do not change.
func TestProofSnapshot(t *testing.T) {
	p := Proof{[]byte("extra"), 5, []Hash{{1}, {2}}, checkpoint(t, sampleHead)}
	want := "c2sp.org/tlog-proof@v1\nextra ZXh0cmE=\nindex 5\nAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nAgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n\n" + string(checkpoint(t, sampleHead))
	if got := string(p.Encode()); got != want {
		t.Errorf("got\n%s", got)
	}
}

func TestProofFilesThatAreRefused(t *testing.T) {
	p, _ := prove(t, plant(t, 11), 5, "extra")
	good := string(p.Encode())
	hash := p.Hashes[0].String() + "\n"
	long := p
	long.Extra = make([]byte, MaxExtra)
	long.Hashes = make([]Hash, MaxProof)
	if _, err := ParseProof(long.Encode()); err != nil {
		t.Fatalf("the most hashes and extra bytes: %v", err)
	}
	tooMany, tooLong := long, long
	tooMany.Hashes, tooLong.Extra = make([]Hash, MaxProof+1), make([]byte, MaxExtra+1)
	for name, c := range map[string]struct{ file, field string }{
		"empty":            {"", "file"},
		"long":             {good + strings.Repeat("x", MaxProofFile), "file"},
		"version":          {strings.Replace(good, "@v1", "@v2", 1), "header"},
		"two extras":       {strings.Replace(good, "extra ", "extra AAAA\nextra ", 1), "index"},
		"extra empty":      {strings.Replace(good, "ZXh0cmE=", "", 1), "extra"},
		"extra bits":       {strings.Replace(good, "ZXh0cmE=", "ZXh0cmF=", 1), "extra"},
		"extra return":     {strings.Replace(good, "ZXh0cmE=", "ZXh0\rcmE=", 1), "extra"},
		"extra after":      {strings.Replace(good, "extra ZXh0cmE=\nindex 5\n", "index 5\nextra ZXh0cmE=\n", 1), "hash"},
		"no index":         {strings.Replace(good, "index 5\n", "", 1), "index"},
		"leading zero":     {strings.Replace(good, "index 5", "index 05", 1), "index"},
		"negative":         {strings.Replace(good, "index 5", "index -5", 1), "index"},
		"index 2⁴⁸":        {strings.Replace(good, "index 5", "index "+strconv.Itoa(MaxSize), 1), "index"},
		"short hash":       {strings.Replace(good, hash, hash[4:], 1), "hash"},
		"hash with return": {strings.Replace(good, hash, "\r"+hash[1:], 1), "hash"},
		"64 hashes":        {string(tooMany.Encode()), "hashes"},
		"extra too long":   {string(tooLong.Encode()), "extra"},
		"no checkpoint":    {good[:strings.Index(good, "\n\n")+2], "text"},
		"no signatures":    {good[:strings.Index(good, "— ")], "signatures"},
	} {
		var format *FormatError
		if got, err := ParseProof([]byte(c.file)); !errors.As(err, &format) || format.Field != c.field {
			t.Errorf("%s: %+v, %v, want a wrong %s", name, got, err, c.field)
		}
	}
}

func FuzzProof(f *testing.F) {
	tree := plant(f, 11)
	for _, extra := range []string{"", "extra"} {
		p, _ := prove(f, tree, 5, extra)
		f.Add(p.Encode())
	}
	log := logSigner(f).Verifier()
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseProof(b)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), b) {
			t.Errorf("%q reads as %+v", b, p)
		}
		if _, _, err := p.Verify(tree.leaves[5], log, nil); err == nil && p.Index != 5 {
			t.Errorf("%q proves leaf 5 at %d", b, p.Index)
		}
	})
}

// No sizes, indexes or hashes make a check panic, or let another leaf pass.
func FuzzChecks(f *testing.F) {
	tree := plant(f, 11)
	head := tree.head(f, 11)
	hashes, err := ProveInclusion(11, 5, tree.reader())
	if err != nil {
		f.Fatal(err)
	}
	var flat []byte
	for _, h := range hashes {
		flat = append(flat, h[:]...)
	}
	f.Add(int64(11), int64(5), flat)
	f.Add(int64(math.MaxInt64), int64(math.MinInt64), flat)
	f.Fuzz(func(t *testing.T, size, index int64, flat []byte) {
		proof := splitHashes(flat)
		if CheckInclusion(Head{size, head.Root}, index, []byte("never logged"), proof) == nil {
			t.Errorf("a leaf that was never logged is at %d of %d", index, size)
		}
		err := CheckConsistency(Head{index, Hash{1}}, Head{size, head.Root}, proof)
		if err == nil {
			t.Errorf("made-up root at %d is consistent with %d", index, size)
		}
	})
}
