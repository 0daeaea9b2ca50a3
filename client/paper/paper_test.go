package paper

import (
	"bytes"
	"errors"
	"flag"
	"image"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"rsc.io/qr/coding"

	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/secret"
	backup "github.com/ostraka/ostraka/custody/backup/paper"
	"github.com/ostraka/ostraka/custody/charter"
)

var update = flag.Bool("update", false, "write testdata from this implementation")

// bundle is a share and a mask with their label, drawn at random from a number.
func bundle(suite string, masked bool, seed byte) (b backup.Bundle) {
	r := rand.NewChaCha8([32]byte{seed})
	b.Label = backup.Label{Circle: "Zoë & Söhne (1871)", Vault: "treasury", Operator: "acme", Suite: suite, Epoch: 7, Party: 2, Created: time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC)}
	_, _ = r.Read(b.Key[:])
	_, _ = r.Read(b.Record[:])
	var g group.Group = secp256k1.Group{}
	if suite == charter.SuiteEd25519 {
		g = edwards25519.Group{}
	}
	scalar := func() secret.Bytes {
		wide := make([]byte, g.WideSize())
		_, _ = r.Read(wide)
		return secret.New(g.ReduceScalar(wide).Bytes())
	}
	if b.Share = scalar(); masked {
		b.Mask = scalar()
	}
	return b
}

func cut(t *testing.T, b backup.Bundle, k, m int, seed byte) []backup.Sheet {
	t.Helper()
	all, err := backup.Cut(b.Label, b.Share, b.Mask, k, m, rand.NewChaCha8([32]byte{seed, 1}))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func write(t *testing.T, sheets []backup.Sheet) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := Write(&out, sheets); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func same(t *testing.T, got, want backup.Bundle) {
	t.Helper()
	if !got.Share.Equal(want.Share) || !got.Mask.Equal(want.Mask) || got.Label != want.Label {
		t.Errorf("restored something else, of %+v", got.Label)
	}
}

// From the program to sheets and back: pages are drawn, rasterised by another's program, and read by a reader of QR codes and from their
// text; either way, and mixed, they restore.
func TestReadBack(t *testing.T) {
	for i, c := range []struct {
		suite  string
		k, m   int
		masked bool
		dpi    int
	}{{charter.SuiteECDSA, 2, 3, true, 110}, {charter.SuiteBIP340, 3, 4, false, 200}, {charter.SuiteEd25519, 1, 1, true, 300}} {
		want := bundle(c.suite, c.masked, byte(i))
		document := write(t, cut(t, want, c.k, c.m, byte(i)))
		pages := rasterise(t, document, c.dpi)
		if len(pages) != c.m+1 {
			t.Fatalf("%d pages for %d sheets", len(pages), c.m)
		}
		if found := codes(t, pages[0].image); len(found) != 0 {
			t.Errorf("the cover has QR codes: %q", found)
		}
		var scanned, typed []backup.Sheet
		for n, p := range pages[1:] {
			found := codes(t, p.image)
			if len(found) != 1 {
				t.Fatalf("sheet %d: %d codes were read", n+1, len(found))
			}
			s, err := backup.Scan(found[0])
			if err != nil {
				t.Fatal(err)
			}
			w, err := backup.Typed(typedFrom(t, p.text))
			if err != nil {
				t.Fatalf("sheet %d: %v", n+1, err)
			}
			scanned, typed = append(scanned, s), append(typed, w)
		}
		for how, sheets := range map[string][]backup.Sheet{
			"scanned": scanned, "typed": typed, "as few as needed": scanned[c.m-c.k:], "mixed": append(scanned[:c.k-1:c.k-1], typed[c.k-1]),
		} {
			got, err := backup.Restore(sheets)
			if err != nil {
				t.Fatalf("%s: %v", how, err)
			}
			same(t, got, want)
		}
		if _, err := backup.Restore(scanned[:c.k-1]); err == nil {
			t.Error("one sheet fewer restores")
		}
	}
}

// A page that was printed, stained and laid askew on a scanner (300 dots per inch, as most are set) is still read.
func TestReadBackFromAScan(t *testing.T) {
	want := bundle(charter.SuiteECDSA, true, 5)
	pages := rasterise(t, write(t, cut(t, want, 2, 2, 5)), 300)
	var sheets []backup.Sheet
	for n, p := range pages[1:] {
		stain := image.Pt(p.image.Rect.Max.X*81/100, p.image.Rect.Max.Y*42/100) // within the code, 8 mm wide
		found := codes(t, scanned(p.image, []float64{1.7, -2.3}[n], stain, 48, uint64(n)))
		if len(found) != 1 {
			t.Fatalf("sheet %d: %d codes were read", n+1, len(found))
		}
		s, err := backup.Scan(found[0])
		if err != nil {
			t.Fatal(err)
		}
		sheets = append(sheets, s)
	}
	got, err := backup.Restore(sheets)
	if err != nil {
		t.Fatal(err)
	}
	same(t, got, want)
}

// Who types the page and mistakes one word, or one letter of the label, is told which.
func TestTypedWrong(t *testing.T) {
	text := typedFrom(t, rasterise(t, write(t, cut(t, bundle(charter.SuiteECDSA, true, 6), 2, 3, 6)[:1]), 72)[1].text)
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if !strings.HasPrefix(l, "share:") && !strings.HasPrefix(l, "mask:") {
			continue
		}
		words := strings.Fields(l)
		if words[20] = "zero"; strings.Fields(l)[20] == "zero" {
			words[20] = "acid"
		}
		bad := append([]string(nil), lines...)
		bad[i] = strings.Join(words, " ")
		if _, err := backup.Typed(strings.Join(bad, "\n")); err == nil || !strings.Contains(err.Error(), "word 20 seems") {
			t.Errorf("a wrong word of the %s: %v", words[0], err)
		}
	}
	if _, err := backup.Typed(strings.Replace(text, "epoch: 7", "epoch: 1", 1)); err == nil || !strings.Contains(err.Error(), "code: ") {
		t.Errorf("a wrong epoch: %v", err)
	}
	if _, err := backup.Typed(text); err != nil {
		t.Error(err)
	}
}

// The same sheets are the same bytes, and nothing of when and where they were drawn.
func TestSameBytes(t *testing.T) {
	sheets := cut(t, bundle(charter.SuiteECDSA, true, 1), 2, 3, 1)
	one := write(t, sheets)
	for range 5 {
		if !bytes.Equal(write(t, sheets), one) {
			t.Fatal("the same sheets were drawn differently")
		}
	}
	if !bytes.Contains(one, []byte("/CreationDate (D:20261128093000")) || !bytes.Contains(one, []byte("/ModDate (D:20261128093000")) || bytes.Contains(one, []byte("/ID [")) {
		t.Error("the document's date is not the sheets', or it has a number of its own")
	}
}

// Pages are A4, and nothing is drawn outside the margins or over something else: also with the longest label and the largest set.
func TestEverythingFits(t *testing.T) {
	long := bundle(charter.SuiteBIP340, true, 2)
	long.Circle, long.Vault, long.Operator = strings.Repeat("ä", 32), strings.Repeat("v", 64), strings.Repeat("o", 64)
	long.Epoch, long.Party = math.MaxUint64, 65535
	const dpi = 150
	for name, document := range map[string][]byte{
		"the longest": write(t, cut(t, long, 16, 16, 2)[:1]), "a usual one": write(t, cut(t, bundle(charter.SuiteECDSA, true, 1), 2, 3, 1)[:1]),
	} {
		for i, p := range rasterise(t, document, dpi) {
			if math.Abs(p.width-595.28) > 0.1 || math.Abs(p.height-841.89) > 0.1 {
				t.Errorf("%s: page %d has %.1f by %.1f points", name, i, p.width, p.height)
			}
			edge := dpi * 13 * 10 / 254 // 13 mm: a little less than the margin
			inner := p.image.Rect.Inset(edge)
			for y := range p.image.Rect.Max.Y {
				for x := range p.image.Rect.Max.X {
					if !image.Pt(x, y).In(inner) && p.image.GrayAt(x, y).Y < 200 {
						t.Fatalf("%s: page %d has ink at %d, %d of %v", name, i, x, y, p.image.Rect.Max)
					}
				}
			}
			if found := codes(t, p.image); len(found) != i {
				t.Errorf("%s: page %d has %d codes", name, i, len(found))
			}
		}
	}
}

// The cover has no secret: none of its lines is a word with a number, and it is the same for other secrets under the same label and set.
func TestCoverHasNoSecret(t *testing.T) {
	a, b := bundle(charter.SuiteECDSA, true, 1), bundle(charter.SuiteECDSA, true, 1)
	b.Share, b.Mask = b.Mask, b.Share
	first, second := cut(t, a, 2, 3, 1), cut(t, b, 2, 3, 1)
	one, two := rasterise(t, write(t, first), 72), rasterise(t, write(t, second), 72)
	if one[0].text != two[0].text || !bytes.Equal(one[0].image.Pix, two[0].image.Pix) {
		t.Error("the cover depends on the secrets")
	}
	if one[1].text == two[1].text {
		t.Error("the first sheet does not")
	}
	for l := range strings.Lines(one[0].text) {
		if typedWord.MatchString(strings.TrimSpace(l)) {
			t.Errorf("the cover says %q", l)
		}
	}
}

// What people read on the pages.
func TestText(t *testing.T) {
	var out strings.Builder
	for _, c := range []struct {
		k, m   int
		masked bool
	}{{2, 3, true}, {1, 1, false}} {
		for _, p := range rasterise(t, write(t, cut(t, bundle(charter.SuiteECDSA, c.masked, 1), c.k, c.m, 1)[:1]), 72) {
			out.WriteString(p.text + "\n----------------\n")
		}
	}
	file := filepath.Join("testdata", "pages.txt")
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
		t.Errorf("pages say something else\ngot:\n%s", out.String())
	}
}

type full struct{}

var errFull = errors.New("no space left")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriteRefuses(t *testing.T) {
	good := cut(t, bundle(charter.SuiteECDSA, true, 1), 2, 3, 1)
	moved := good[1]
	moved.Number = 1
	for _, c := range []struct {
		name   string
		sheets []backup.Sheet
		want   string
	}{
		{"none", nil, "there are none"}, {"an empty one", []backup.Sheet{{}}, "circle: is empty"},
		{"one that is not whole", []backup.Sheet{good[0], moved}, "stand on sheet 1"},
		{"another printing", []backup.Sheet{good[0], cut(t, bundle(charter.SuiteECDSA, true, 1), 2, 3, 2)[1]}, "of another set"},
		{"another key", []backup.Sheet{good[0], cut(t, bundle(charter.SuiteECDSA, true, 2), 2, 3, 1)[1]}, "of another set"},
		{"another number of sheets", []backup.Sheet{good[0], cut(t, bundle(charter.SuiteECDSA, true, 1), 2, 4, 1)[1]}, "of another set"},
		{"no mask", []backup.Sheet{good[0], cut(t, bundle(charter.SuiteECDSA, false, 1), 2, 3, 1)[1]}, "of another set"},
	} {
		var out bytes.Buffer
		if err := Write(&out, c.sheets); err == nil || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if err := Write(full{}, good); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
}

func TestEncodeRefuses(t *testing.T) {
	for name, text := range map[string]string{"small letters": "abc", "too long": strings.Repeat("A", 3392)} {
		if _, err := encode(text); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Of the eight masks the best one is taken.
func TestBestMask(t *testing.T) {
	text := cut(t, bundle(charter.SuiteECDSA, true, 1), 2, 2, 1)[0].ExposePayload()
	best, err := encode(text)
	if err != nil {
		t.Fatal(err)
	}
	version, among := coding.Version((best.Size-17)/4), 0
	for mask := range coding.Mask(8) {
		plan, err := coding.NewPlan(version, level, mask)
		if err != nil {
			t.Fatal(err)
		}
		c, err := plan.Encode(coding.Alpha(text))
		if err != nil {
			t.Fatal(err)
		}
		if penalty(c) < penalty(best) {
			t.Errorf("mask %d has the penalty %d, and %d was taken", mask, penalty(c), penalty(best))
		}
		if bytes.Equal(c.Bitmap, best.Bitmap) {
			among++
		}
	}
	if among != 1 {
		t.Errorf("the code is that of %d masks", among)
	}
}

// The penalties of ISO/IEC 18004 8.8.2, on lines and codes small enough to count by hand.
func TestPenalty(t *testing.T) {
	for line, want := range map[string]int{
		"10101": 0, "11111": 3, "0000000": 5, "10111010000": 40, "00001011101": 40, "000010111010000": 80, "1011101000": 0, "00000000000": 9,
	} {
		if got := penaltyOfLine(len(line), func(i int) bool { return line[i] == '1' }); got != want {
			t.Errorf("%s: %d, not %d", line, got, want)
		}
	}
	all := &coding.Code{Bitmap: []byte{0xc0, 0xc0}, Size: 2, Stride: 1} // one block of four, and only dark
	if got := penalty(all); got != 3+100 {
		t.Errorf("four dark modules: %d", got)
	}
	half := &coding.Code{Bitmap: []byte{0x80, 0x40}, Size: 2, Stride: 1}
	if got := penalty(half); got != 0 {
		t.Errorf("a checkerboard: %d", got)
	}
}
