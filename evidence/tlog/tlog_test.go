package tlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// naive is RFC 6962 2.1 word for word.
func naive(leaves [][]byte) Hash {
	switch n := len(leaves); n {
	case 0:
		return sha256.Sum256(nil)
	case 1:
		return sha256.Sum256(append([]byte{0}, leaves[0]...))
	default:
		k := 1
		for 2*k < n {
			k *= 2
		}
		l, r := naive(leaves[:k]), naive(leaves[k:])
		return sha256.Sum256(append(append([]byte{1}, l[:]...), r[:]...))
	}
}

// grow appends leaves to a tree in memory and returns its hashes.
func grow(t testing.TB, leaves [][]byte) []Hash {
	t.Helper()
	var stored []Hash
	read := ReaderFunc(func(at []int64) (out []Hash, err error) {
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for n, leaf := range leaves {
		first, hashes, err := Append(int64(n), leaf, read)
		if err != nil || first != int64(len(stored)) || first != StoredHashes(int64(n)) {
			t.Fatalf("append leaf %d: first %d of %d, %v", n, first, len(stored), err)
		}
		stored = append(stored, hashes...)
		head, err := Root(int64(n+1), read)
		if err != nil || head != (Head{int64(n + 1), naive(leaves[:n+1])}) {
			t.Fatalf("root at size %d is %v, want %v; %v", n+1, head.Root, naive(leaves[:n+1]), err)
		}
	}
	return stored
}

// The tree that Certificate Transparency's implementations test with: leaves and roots as in
// transparency-dev/merkle, testdata.
func TestKnownTree(t *testing.T) {
	var leaves [][]byte
	for _, s := range []string{"", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"} {
		b, err := hex.DecodeString(s)
		if err != nil {
			t.Fatal(err)
		}
		leaves = append(leaves, b)
	}
	roots := []string{
		"6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
		"fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
		"aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
		"d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
		"4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
		"76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
		"ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
		"5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
	}
	for n, want := range roots {
		if got := naive(leaves[:n+1]); hex.EncodeToString(got[:]) != want {
			t.Errorf("root at size %d is %x, want %s", n+1, got, want)
		}
	}
	grow(t, leaves)
}

func TestTreesOfAllSizes(t *testing.T) {
	var leaves [][]byte
	for i := range 130 {
		leaves = append(leaves, []byte{byte(i), 7})
	}
	grow(t, leaves)
}

func TestEmptyTree(t *testing.T) {
	h, err := Root(0, nil)
	if err != nil || h != Empty || h.Root != naive(nil) {
		t.Errorf("%v, %v", h, err)
	}
}

func TestReaderThatFails(t *testing.T) {
	broken := errors.New("disk")
	read := ReaderFunc(func([]int64) ([]Hash, error) { return nil, broken })
	if _, _, err := Append(1, nil, read); !errors.Is(err, broken) {
		t.Errorf("append: %v", err)
	}
	if _, err := Root(3, read); !errors.Is(err, broken) {
		t.Errorf("root: %v", err)
	}
}

var sample = Leaf{Kind: KindSession, Time: time.Unix(1_900_000_000, 0).UTC(), Vault: [32]byte{1}, ID: [32]byte{2}, About: [32]byte{3}}

func TestLeafRoundTrip(t *testing.T) {
	for _, k := range []string{KindStatement, KindFinalCert, strings.Repeat("x", 32)} {
		l := sample
		l.Kind = k
		got, err := Decode(l.Encode())
		if err != nil || got != l {
			t.Errorf("%+v, %v", got, err)
		}
	}
	local := sample
	local.Time = sample.Time.In(time.FixedZone("x", 3600)).Add(time.Millisecond)
	if !bytes.Equal(local.Encode(), sample.Encode()) {
		t.Error("zone or fraction of a second enters the leaf")
	}
}

// The bytes that logs are made of do not change.
func TestLeafSnapshot(t *testing.T) {
	const want = "00010000000773657373696f6e00020000000800000000713fb300000300000020010000000000000000000000000000000000000000000000000000000000000000040000002002000000000000000000000000000000000000000000000000000000000000000005000000200300000000000000000000000000000000000000000000000000000000000000"
	if got := hex.EncodeToString(sample.Encode()); got != want {
		t.Errorf("got %s", got)
	}
}

// So are those of the first release: leaves without About, which are no leaves of today's.
func TestFirstLeafSnapshot(t *testing.T) {
	const want = "00010000000773657373696f6e00020000000800000000713fb3000003000000200100000000000000000000000000000000000000000000000000000000000000000400000020" +
		"0200000000000000000000000000000000000000000000000000000000000000"
	first := sample
	first.About, first.First = [32]byte{}, true
	if got := hex.EncodeToString(first.Encode()); got != want {
		t.Errorf("got %s", got)
	}
	if got, err := Decode(first.Encode()); err != nil || got != first {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLeavesThatAreRefused(t *testing.T) {
	enc := func(kind string, at uint64, vault, id int) []byte {
		var e transcript.Encoder
		e.String(fieldKind, kind).Uint(fieldTime, at)
		return e.Bytes(fieldVault, make([]byte, vault)).Bytes(fieldID, make([]byte, id)).Bytes(fieldAbout, make([]byte, 32)).Sum()
	}
	good := enc("k", 1, 32, 32)
	if _, err := Decode(good); err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"empty": {}, "no kind": enc("", 1, 32, 32), "long kind": enc(strings.Repeat("k", 33), 1, 32, 32),
		"time too large": enc("k", 1<<40+1, 32, 32), "time before 1970": Leaf{Kind: "k"}.Encode(), "short vault": enc("k", 1, 31, 32),
		"long id": enc("k", 1, 32, 33), "more": append(bytes.Clone(good), 0), "less": good[:len(good)-1],
	} {
		if l, err := Decode(b); err == nil {
			t.Errorf("%s: decoded to %+v", name, l)
		}
	}
}

// What a body holds is checked against the leaf, and nothing else passes for it.
func TestBodies(t *testing.T) {
	now := time.Unix(1_900_000_000, 0).UTC()
	f := Says(KindStatement, now, [32]byte{1}, []byte("content"), []byte("one"), []byte("two")).On([32]byte{9})
	got, err := DecodeBody(f.Body.Encode())
	if err != nil || string(got.Content) != "content" || len(got.Signatures) != 2 || string(got.Signatures[1]) != "two" || !f.Leaf.Fits(got) || f.About != [32]byte{9} {
		t.Errorf("%+v, %v", got, err)
	}
	other := got
	other.Content = []byte("Content")
	named := f.Leaf
	named.Kind = KindSigned
	if f.Leaf.Fits(other) || named.Fits(got) || !Named(KindSigned) || Named(KindDecision) {
		t.Error("what is not the leaf's body passes for it")
	}
	if none, err := DecodeBody(Body{}.Encode()); err != nil || none.Content != nil {
		t.Errorf("%+v, %v", none, err)
	}
	if m := Notes(KindBurn, now, [32]byte{1}, [32]byte{2}); m.Body.Encode() != nil || m.ID != [32]byte{2} {
		t.Errorf("%+v", m)
	}
	var empty transcript.Encoder
	empty.Bytes(fieldContent, nil).List(fieldSignatures, 0, nil)
	many := Body{Content: []byte("x"), Signatures: make([][]byte, MaxSignatures+1)}
	long := Body{Content: []byte("x"), Signatures: [][]byte{make([]byte, MaxSignature+1)}}
	for name, b := range map[string][]byte{
		"no content": empty.Sum(), "many signatures": many.Encode(), "a long signature": long.Encode(),
		"much": Body{Content: make([]byte, MaxContent+1)}.Encode(), "more": append(f.Body.Encode(), 0), "less": f.Body.Encode()[:20],
	} {
		if b, err := DecodeBody(b); err == nil {
			t.Errorf("%s: decoded to %+v", name, b)
		}
	}
}

func FuzzBody(f *testing.F) {
	f.Add(Body{Content: []byte("x"), Signatures: [][]byte{[]byte("y")}}.Encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if b, err := DecodeBody(raw); err == nil && !bytes.Equal(b.Encode(), raw) {
			t.Errorf("%x decodes to %+v, which encodes to %x", raw, b, b.Encode())
		}
	})
}

func FuzzLeaf(f *testing.F) {
	f.Add(sample.Encode())
	f.Add([]byte{})
	f.Add(Leaf{Kind: KindBurn, Time: time.Unix(0, 0)}.Encode())
	f.Add(Leaf{Kind: KindBurn, Time: time.Unix(0, 0), First: true}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Decode(b)
		if err == nil && !bytes.Equal(l.Encode(), b) {
			t.Errorf("%x decodes to %+v, which encodes to %x", b, l, l.Encode())
		}
	})
}
