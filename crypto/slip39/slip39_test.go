package slip39

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
)

var update = flag.Bool("update", false, "write testdata/golden.txt from this implementation")

// source is a stream of bytes that a number names.
func source(n uint64) io.Reader {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], n)
	return mathrand.NewChaCha8(seed)
}

func parseAll(t *testing.T, rows []string) (shares []Share, err error) {
	t.Helper()
	for _, row := range rows {
		s, err := Parse(row)
		if err != nil {
			return nil, err
		}
		shares = append(shares, s)
	}
	return shares, nil
}

// The standard's own cases, valid and invalid.
func TestVectors(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases [][]json.RawMessage
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) != 45 {
		t.Errorf("%d cases, not 45", len(cases))
	}
	valid := 0
	for _, c := range cases {
		var name, want string
		var rows []string
		for i, to := range []any{&name, &rows, &want} {
			if err := json.Unmarshal(c[i], to); err != nil {
				t.Fatal(err)
			}
		}
		shares, err := parseAll(t, rows)
		var got secret.Bytes
		if err == nil {
			got, err = Combine(shares, []byte("TREZOR"))
		}
		if want == "" {
			if err == nil {
				t.Errorf("%s: accepted", name)
			} else {
				t.Logf("%s: %v", name, err)
			}
			continue
		}
		valid++
		if err != nil || hex.EncodeToString(got.Expose()) != want {
			t.Errorf("%s: gives %x, %v", name, got.Expose(), err)
		}
		for i, s := range shares {
			if again := strings.Join(s.ExposeWords(), " "); again != rows[i] {
				t.Errorf("%s: share %d is written %q", name, i, again)
			}
		}
	}
	if valid != 15 {
		t.Errorf("%d valid cases, not 15", valid)
	}
}

// Every kind of refusal of the standard's invalid cases is by its own rule, not by another that happens to hold too.
func TestVectorsAreRefusedForWhatTheySay(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases [][]json.RawMessage
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	reasons := map[string]string{
		"invalid checksum": "checksum does not hold: word", "invalid padding": "must be zero", "different identifiers": "different sets: ",
		"different iteration exponents": "iteration exponents", "mismatching group thresholds": "groups needed", "mismatching group counts": "groups in all",
		"greater group threshold": "are needed and there are", "duplicate member indices": "given twice", "mismatching member thresholds": "another ",
		"invalid digest": "one of them is false", "Insufficient number of groups": "of 2 groups", "Threshold number of groups, but": "shares of group",
		"insufficient length": "19 words", "invalid master secret length": "no secret has a share of this length", "Basic sharing": "1 shares of group 1, and 2",
	}
	used := map[string]bool{}
	for _, c := range cases {
		var name, want string
		var rows []string
		for i, to := range []any{&name, &rows, &want} {
			if err := json.Unmarshal(c[i], to); err != nil {
				t.Fatal(err)
			}
		}
		if want != "" {
			continue
		}
		shares, err := parseAll(t, rows)
		if err == nil {
			_, err = Combine(shares, []byte("TREZOR"))
		}
		found := false
		for what, reason := range reasons {
			if strings.Contains(name, what) {
				found, used[what] = true, true
				if strings.Contains(name, "case 1") || strings.Contains(name, "case 2") {
					reason = "needed, no more"
				}
				if err == nil || !strings.Contains(err.Error(), reason) {
					t.Errorf("%s: %v", name, err)
				}
			}
		}
		if !found {
			t.Errorf("%s: no reason is known", name)
		}
	}
	if len(used) != len(reasons) {
		t.Errorf("%d of %d reasons were seen", len(used), len(reasons))
	}
}

// Shares that another implementation made (npm slip39 0.1.9): 2 of 3 groups, 3-of-4 and 1-of-1, an exponent, a passphrase.
func TestAnothersShares(t *testing.T) {
	shares, err := parseAll(t, []string{
		"boundary evoke beard lips advocate species depend ceramic focus staff talent tension numerous change violence wolf costume sidewalk fortune beyond divorce gross idle inform guilt index numerous silent method length clogs public surface",
		"boundary evoke beard luxury acquire budget toxic smell identify iris exact dramatic breathe watch hand activity lair dilemma terminal traveler loyalty luck easel galaxy ceramic snake diet always location marvel careful extend daughter",
		"boundary evoke beard march anatomy agree clothes debris orbit exhaust diminish parcel sheriff warn sharp radar quantity length carve describe velvet meaning hazard relate slavery satisfy zero elite learn lawsuit science likely example",
		"boundary evoke ceramic leader alarm fiscal counter drift ruin ancestor document bike mailman emperor damage prize fitness hunting device sniff lobe realize priority twice surface hormone gross adult acne educate human visitor surface",
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := Combine(shares, []byte("pw"))
	if err != nil || hex.EncodeToString(got.Expose()) != "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f" {
		t.Errorf("gives %x, %v", got.Expose(), err)
	}
}

func TestField(t *testing.T) {
	if mul(0x57, 0x83) != 0xc1 { // FIPS 197, 4.2
		t.Errorf("57·83 = %x", mul(0x57, 0x83))
	}
	for a := range 256 {
		if p := mul(byte(a), inv(byte(a))); a != 0 && p != 1 {
			t.Errorf("%x times its inverse is %x", a, p)
		}
		for b := range 256 {
			if mul(byte(a), byte(b)) != slow(a, b) {
				t.Fatalf("%x·%x = %x", a, b, mul(byte(a), byte(b)))
			}
		}
	}
}

// slow multiplies polynomials, then divides.
func slow(a, b int) byte {
	p := 0
	for i := range 8 {
		if b>>i&1 == 1 {
			p ^= a << i
		}
	}
	for i := 14; i >= 8; i-- {
		if p>>i&1 == 1 {
			p ^= 0x11b << (i - 8)
		}
	}
	return byte(p)
}

// The list is the standard's: sorted, of 4 to 8 letters, the first four unique.
func TestWordList(t *testing.T) {
	if got := fmt.Sprintf("%x", sha256.Sum256([]byte(wordText))); got != "bcc4555340332d169718aed8bf31dd9d5248cb7da6e5d355140ef4f1e601eec3" {
		t.Errorf("the list's hash is %s", got)
	}
	if len(list) != 1024 || !slices.IsSorted(list) {
		t.Fatalf("%d words", len(list))
	}
	seen := map[string]bool{}
	for _, w := range list {
		if len(w) < 4 || len(w) > 8 || seen[w[:4]] {
			t.Errorf("%q", w)
		}
		seen[w[:4]] = true
	}
}

// Every minimal subset of shares gives the secret back, for thresholds small and large.
func TestSplitAndCombine(t *testing.T) {
	for _, c := range []struct {
		size, of int
		groups   []Group
		o        Options
	}{
		{16, 1, []Group{{1, 1}}, Options{}},
		{32, 1, []Group{{2, 3}}, Options{Passphrase: []byte("open ~ sesame")}},
		{32, 1, []Group{{3, 5}}, Options{Plain: true}},
		{64, 1, []Group{{16, 16}}, Options{Exponent: 2}},
		{18, 2, []Group{{1, 1}, {2, 2}, {2, 3}}, Options{}},
		{32, 1, []Group{{1, 1}, {2, 2}}, Options{}}, // either group alone
		{20, 3, []Group{{1, 1}, {1, 1}, {2, 2}}, Options{Passphrase: []byte("x"), Plain: true}},
	} {
		name := fmt.Sprintf("%d bytes, %d of %v", c.size, c.of, c.groups)
		master := make([]byte, c.size)
		_, _ = source(7).Read(master)
		all, err := Split(master, c.of, c.groups, c.o, source(8))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		tried := 0
		for _, groups := range subsets(len(all), c.of) {
			for _, picked := range members(all, groups) {
				tried++
				again := make([]Share, len(picked))
				for i, s := range picked {
					if again[i], err = Parse(strings.ToUpper(strings.Join(s.ExposeWords(), "\n\t "))); err != nil || !again[i].Equal(s) {
						t.Fatalf("%s: %v is read as %v: %v", name, s, again[i], err)
					}
				}
				got, err := Combine(again, c.o.Passphrase)
				if err != nil || !bytes.Equal(got.Expose(), master) {
					t.Fatalf("%s: %v give another secret: %v", name, picked, err)
				}
				if _, err := Combine(again[1:], c.o.Passphrase); err == nil {
					t.Errorf("%s: one share fewer is enough", name)
				}
			}
		}
		if tried == 0 {
			t.Errorf("%s: nothing was tried", name)
		}
	}
}

// subsets are those of k among n.
func subsets(n, k int) (all [][]int) {
	for mask := range 1 << n {
		var s []int
		for i := range n {
			if mask>>i&1 == 1 {
				s = append(s, i)
			}
		}
		if len(s) == k {
			all = append(all, s)
		}
	}
	return all
}

// members are all ways to take as many shares of each group as it needs.
func members(all [][]Share, groups []int) [][]Share {
	if len(groups) == 0 {
		return [][]Share{nil}
	}
	var out [][]Share
	g := all[groups[0]]
	for _, rest := range members(all, groups[1:]) {
		for _, s := range subsets(len(g), g[0].MemberThreshold) {
			var picked []Share
			for _, i := range s {
				picked = append(picked, g[i])
			}
			out = append(out, append(picked, rest...))
		}
	}
	return out
}

func sample(t testing.TB, k, n int, seed uint64) []Share {
	t.Helper()
	master := make([]byte, 32)
	_, _ = source(seed).Read(master)
	all, err := Split(master, 1, []Group{{k, n}}, Options{}, source(seed+1))
	if err != nil {
		t.Fatal(err)
	}
	return all[0]
}

// Any wrong word is found, at its place; so are any two and any three, and words in another order.
func TestWrongWords(t *testing.T) {
	words := sample(t, 2, 3, 1)[1].ExposeIndices()
	for at := range words {
		for d := uint16(1); d <= wordMask; d++ {
			bad := slices.Clone(words)
			bad[at] ^= d
			if remainder(true, bad) == 1 {
				t.Fatalf("word %d changed by %d passes", at+1, d)
			}
			if d%97 != 1 || at == 1 { // word 2 says which checksum there is
				continue
			}
			if _, err := FromIndices(bad); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("word %d seems", at+1)) {
				t.Fatalf("word %d changed by %d: %v", at+1, d, err)
			}
		}
	}
	r := mathrand.New(mathrand.NewPCG(1, 2))
	for try := range 3000 {
		bad, n := slices.Clone(words), 2+try%2
		for _, at := range r.Perm(len(words))[:n] {
			bad[at] ^= uint16(1 + r.IntN(wordMask))
		}
		_, err := FromIndices(bad)
		if err == nil || n == 2 && strings.Contains(err.Error(), "seems") {
			t.Fatalf("%d wrong words: %v", n, err)
		}
	}
	for at := range len(words) - 1 {
		bad := slices.Clone(words)
		bad[at], bad[at+1] = bad[at+1], bad[at]
		if _, err := FromIndices(bad); (err == nil) != (bad[at] == bad[at+1]) {
			t.Errorf("words %d and %d exchanged: %v", at+1, at+2, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := sample(t, 2, 3, 1)[1].ExposeWords()
	with := func(at int, w string) string {
		words := slices.Clone(good)
		words[at] = w
		return strings.Join(words, " ")
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "0 words"},
		{"few", strings.Join(good[:19], " "), "19 words"},
		{"many", strings.Repeat("academic ", 60), "60 words"},
		{"a letter missing", with(6, "acadmic"), `word 7 "acadmic" is not in the list; did you mean "academic"?`},
		{"letters exchanged", with(0, "acdi"), `word 1 "acdi" is not in the list; did you mean "acid"?`},
		{"four letters", with(32, "ACAD"), `word 33 "acad" is not in the list; did you mean "academic"?`},
		{"a plural", with(9, "zeros"), `did you mean "zero"?`},
		{"like none", with(9, "xyzzy"), `word 10 "xyzzy" is not in the list, and no single word`},
		{"like sack and stick", with(9, "sick"), `no single word`},
		{"a number", with(9, "10."), "word 10 is not in the list: words are English"},
		{"another script", with(9, "аcid"), "word 10 is not in the list: words are English"},
		{"a key in the place of a word", with(9, strings.Repeat("ab", 32)), "word 10 is not in the list: words are English"},
		{"one word missing", strings.Join(good[:32], " "), "checksum"},
	} {
		_, err := Parse(c.text)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "abab") {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for name, words := range map[string][]uint16{"few": make([]uint16, 19), "many": make([]uint16, 60), "no word": append(make([]uint16, 19), 1024)} {
		if _, err := FromIndices(words); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	// Words with a right checksum whose meaning is impossible.
	head := func(change func(w []uint16)) []uint16 {
		w := sample(t, 2, 3, 1)[1].ExposeIndices()
		w = w[:len(w)-checkWords]
		change(w)
		return seal(true, w)
	}
	for _, c := range []struct {
		name  string
		words []uint16
		want  string
	}{
		{"more groups needed than there are", head(func(w []uint16) { w[2] |= 1 << 2 }), "2 groups are needed and there are 1"},
		{"a group beyond the last", head(func(w []uint16) { w[2] |= 1 << 6 }), "of group 2 and there are 1"},
		{"a filled bit", head(func(w []uint16) { w[4] |= 1 << 9 }), "must be zero"},
		{"an impossible length", seal(true, append(head(func([]uint16) {})[:30], 0)), "no secret has a share of this length"},
	} {
		if _, err := FromIndices(c.words); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestSplitRefuses(t *testing.T) {
	id := uint16(1 << 15)
	good := []Group{{2, 3}}
	for _, c := range []struct {
		name string
		size int
		of   int
		g    []Group
		o    Options
		want string
	}{
		{"short", 14, 1, good, Options{}, "14 bytes"}, {"long", 66, 1, good, Options{}, "66 bytes"}, {"odd", 17, 1, good, Options{}, "17 bytes"},
		{"no group", 32, 0, nil, Options{}, "0 groups"}, {"17 groups", 32, 1, slices.Repeat(good, 17), Options{}, "17 groups"},
		{"none needed", 32, 0, good, Options{}, "0 groups needed"}, {"more needed", 32, 2, good, Options{}, "2 groups needed of 1"},
		{"no member", 32, 1, []Group{{0, 0}}, Options{}, "0 shares"}, {"17 members", 32, 1, []Group{{2, 17}}, Options{}, "17 shares"},
		{"more members needed", 32, 1, []Group{{3, 2}}, Options{}, "needs 3 shares of 2"}, {"no member needed", 32, 1, []Group{{0, 2}}, Options{}, "needs 0 shares"},
		{"copies", 32, 1, []Group{{1, 2}}, Options{}, "1-of-1 alone"},
		{"exponent below", 32, 1, good, Options{Exponent: -1}, "exponent -1"}, {"exponent above", 32, 1, good, Options{Exponent: 16}, "exponent 16"},
		{"identifier", 32, 1, good, Options{Identifier: &id}, "15 bits"}, {"passphrase", 32, 1, good, Options{Passphrase: []byte("naïve")}, "character 3 of the passphrase"},
		{"a line end in the passphrase", 32, 1, good, Options{Passphrase: []byte("a\n")}, "character 2 of the passphrase"},
	} {
		if _, err := Split(make([]byte, c.size), c.of, c.g, c.o, source(1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	whole := &counter{r: source(1)}
	if _, err := Split(make([]byte, 32), 2, []Group{{3, 5}, {2, 2}}, Options{}, whole); err != nil {
		t.Fatal(err)
	}
	for n := range whole.n {
		if _, err := Split(make([]byte, 32), 2, []Group{{3, 5}, {2, 2}}, Options{}, io.LimitReader(source(1), int64(n))); !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.EOF) {
			t.Fatalf("with %d of %d bytes of randomness: %v", n, whole.n, err)
		}
	}
}

type counter struct {
	r io.Reader
	n int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

func TestCombineRefuses(t *testing.T) {
	a, b := sample(t, 2, 3, 1), sample(t, 2, 3, 3)
	foreign := b[1]
	foreign.Identifier = a[0].Identifier // the same set by its first words, and not by what it holds
	short := a[1]
	short.value = secret.New(short.value.Expose()[:16])
	plain := a[1]
	plain.Extendable = false
	for _, c := range []struct {
		name   string
		shares []Share
		want   string
	}{
		{"none", nil, "there are none"}, {"nothing in it", []Share{{}}, "are needed"},
		{"too few", a[:1], "1 shares of group 1, and 2"}, {"too many", a, "3 shares of group 1, and 2"},
		{"twice", []Share{a[0], a[0]}, "given twice"}, {"of another set", []Share{a[0], b[1]}, "given as number 2 are of different sets"},
		{"of another set that looks alike", []Share{a[0], foreign}, "one of them is false"},
		{"of another length", []Share{a[0], short}, "secrets of 32 and 16 bytes"}, {"not extendable", []Share{a[0], plain}, "one is extendable"},
	} {
		if got, err := Combine(c.shares, nil); err == nil || !strings.Contains(err.Error(), c.want) || got.Len() != 0 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, err := Combine(a[:2], []byte("\t")); err == nil || !strings.Contains(err.Error(), "passphrase") {
		t.Errorf("a passphrase that nobody can type: %v", err)
	}
	right, err := Combine(a[:2], nil)
	if err != nil {
		t.Fatal(err)
	}
	if other, err := Combine(a[:2], []byte("wrong")); err != nil || other.Equal(right) {
		t.Errorf("a wrong passphrase: %v", err)
	}
}

// A share shows its public facts and nothing of its value, under every verb.
func TestSharesRedact(t *testing.T) {
	s := sample(t, 2, 3, 1)[1]
	value := s.value.Expose()
	text, err := json.Marshal(map[string]any{"s": s, "p": &s})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{string(text)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		out = append(out, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, []Share{s}))
	}
	for _, o := range out {
		for _, leak := range []string{hex.EncodeToString(value[:4]), fmt.Sprint(value[:3])[1:9], s.ExposeWords()[8]} {
			if strings.Contains(o, leak) {
				t.Errorf("prints %s", o)
			}
		}
	}
	if got := s.String(); !strings.HasPrefix(got, "share 2 of group 1 (needed: 2 of this group, 1 of 1 groups; set ") {
		t.Error(got)
	}
	s.Wipe()
	if !bytes.Equal(value, make([]byte, 32)) {
		t.Error("not wiped")
	}
}

// Snapshots of shares: a change here leaves paper unreadable.
func TestGolden(t *testing.T) {
	var out strings.Builder
	for _, c := range []struct {
		name   string
		of     int
		groups []Group
		o      Options
	}{
		{"1-of-1", 1, []Group{{1, 1}}, Options{}},
		{"2-of-3", 1, []Group{{2, 3}}, Options{}},
		{"3-of-4, not extendable, passphrase, exponent 1", 1, []Group{{3, 4}}, Options{Plain: true, Passphrase: []byte("TREZOR"), Exponent: 1}},
		{"two groups of three", 2, []Group{{1, 1}, {2, 3}, {3, 3}}, Options{}},
	} {
		master := make([]byte, 32)
		_, _ = source(1).Read(master)
		all, err := Split(master, c.of, c.groups, c.o, source(2))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&out, "# %s: %x\n", c.name, master)
		for _, g := range all {
			for _, s := range g {
				fmt.Fprintf(&out, "%s\n  %s\n", s, strings.Join(s.ExposeWords(), " "))
			}
		}
	}
	file := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("snapshots differ\ngot:\n%s", out.String())
	}
}

func FuzzParse(f *testing.F) {
	f.Add(strings.Join(sample(f, 2, 3, 1)[1].ExposeWords(), " "))
	f.Add("duckling enlarge academic academic agency result length solution fridge kidney coal piece deal husband erode duke ajar critical decision keyboard")
	f.Add("acadmic  ACAD\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse(text)
		if err != nil {
			return
		}
		if got := strings.Join(s.ExposeWords(), " "); got != strings.ToLower(strings.Join(strings.Fields(text), " ")) {
			t.Fatalf("read and written again it is %q", got)
		}
		_ = s.String()
	})
}

// FuzzIndices gives words their checksum, so that what lies behind it is reached.
func FuzzIndices(f *testing.F) {
	for _, s := range sample(f, 2, 3, 1) {
		var raw []byte
		for _, w := range s.ExposeIndices() {
			raw = binary.BigEndian.AppendUint16(raw, w)
		}
		f.Add(true, raw)
	}
	f.Add(false, make([]byte, 40))
	f.Fuzz(func(t *testing.T, mend bool, raw []byte) {
		words := make([]uint16, len(raw)/2)
		for i := range words {
			words[i] = binary.BigEndian.Uint16(raw[2*i:])
			if mend {
				words[i] &= wordMask
			}
		}
		if mend && len(words) > checkWords {
			words = seal(words[min(1, len(words)-1)]>>4&1 == 1, words[:len(words)-checkWords])
		}
		if s, err := FromIndices(words); err == nil && !slices.Equal(s.ExposeIndices(), words) {
			t.Fatalf("%d read and written again is %d", words, s.ExposeIndices())
		}
	})
}
