package paper

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/multi/qrcode"
)

// pdf is another's program that reads PDF: PDFium, which Chromium shows pages with, as WebAssembly.
var pdf = sync.OnceValues(func() (pdfium.Pdfium, error) {
	pool, err := webassembly.Init(webassembly.Config{MinIdle: 1, MaxIdle: 1, MaxTotal: 1})
	if err != nil {
		return nil, err
	}
	return pool.GetInstance(5 * time.Minute)
})

// A page as others see it.
type page struct {
	text          string
	image         *image.Gray
	width, height float64 // points
}

// rasterise reads a PDF at so many dots per inch.
func rasterise(t *testing.T, document []byte, dpi int) (pages []page) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	p, err := pdf()
	must(err)
	doc, err := p.OpenDocument(&requests.OpenDocument{File: &document})
	must(err)
	defer func() { _, _ = p.FPDF_CloseDocument(&requests.FPDF_CloseDocument{Document: doc.Document}) }()
	n, err := p.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: doc.Document})
	must(err)
	for i := range n.PageCount {
		at := requests.Page{ByIndex: &requests.PageByIndex{Document: doc.Document, Index: i}}
		text, err := p.GetPageText(&requests.GetPageText{Page: at})
		must(err)
		size, err := p.GetPageSize(&requests.GetPageSize{Page: at})
		must(err)
		drawn, err := p.RenderPageInDPI(&requests.RenderPageInDPI{Page: at, DPI: dpi})
		must(err)
		gray := image.NewGray(drawn.Result.Image.Bounds())
		for at := range gray.Pix {
			gray.Pix[at] = drawn.Result.Image.Pix[4*at+1] // pages have no colours: green is as good as any
		}
		drawn.Cleanup()
		pages = append(pages, page{strings.ReplaceAll(text.Text, "\r\n", "\n"), gray, size.Width, size.Height})
	}
	return pages
}

// codes are what the QR codes of a picture say. The reader tries all marks that could be corners: its simpler sibling takes the wrong ones
// for about one code in twenty, also on the cleanest picture.
func codes(t *testing.T, img image.Image) (all []string) {
	t.Helper()
	bitmap, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	found, err := qrcode.NewQRCodeMultiReader().DecodeMultiple(bitmap, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true})
	if err != nil {
		return nil
	}
	for _, c := range found {
		all = append(all, c.GetText())
	}
	return all
}

// scanned is the picture after a printer and a scanner: turned by some degrees, blurred, with noise, grey where it was white, and a round stain.
func scanned(img *image.Gray, degrees float64, stain image.Point, radius int, seed uint64) *image.Gray {
	sin, cos := math.Sincos(degrees * math.Pi / 180)
	w, h := img.Rect.Dx(), img.Rect.Dy()
	out, r := image.NewGray(img.Rect), rand.New(rand.NewPCG(seed, 0))
	for y := range h {
		for x := range w {
			dx, dy := float64(x-w/2), float64(y-h/2)
			sx, sy := int(cos*dx+sin*dy)+w/2, int(cos*dy-sin*dx)+h/2
			sum, n := 0, 0
			for _, p := range []image.Point{{sx, sy}, {sx + 1, sy}, {sx, sy + 1}, {sx + 1, sy + 1}} {
				if p.In(img.Rect) {
					sum, n = sum+int(img.GrayAt(p.X, p.Y).Y), n+1
				}
			}
			v := 255
			if n > 0 {
				v = sum / n
			}
			v = v*8/10 + 25 + r.IntN(40) - 20
			if d := image.Pt(x, y).Sub(stain); d.X*d.X+d.Y*d.Y < radius*radius {
				v = 70
			}
			out.SetGray(x, y, color.Gray{Y: uint8(max(0, min(255, v)))})
		}
	}
	return out
}

var (
	typedFact = regexp.MustCompile(`^(circle|vault|operator|key|suite|epoch|record|party|created|sheets|code): (.+)$`)
	typedWord = regexp.MustCompile(`^(\d+) ([a-z]{4,8})$`)
	typedKind = regexp.MustCompile(`^(share|mask): 33 words`)
)

// typedFrom is what a person would type who reads the page's text, line by line: the label, then the words in the order of their numbers.
func typedFrom(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	next := 0
	for l := range strings.Lines(text) {
		l = strings.TrimSpace(l)
		if m := typedKind.FindStringSubmatch(l); m != nil {
			fmt.Fprintf(&out, "\n%s:", m[1])
			next = 1
		} else if m := typedFact.FindStringSubmatch(l); m != nil {
			fmt.Fprintf(&out, "%s: %s\n", m[1], m[2])
		} else if m := typedWord.FindStringSubmatch(l); m != nil {
			if m[1] != fmt.Sprint(next) {
				t.Fatalf("word %s follows number %d", m[1], next-1)
			}
			next++
			fmt.Fprintf(&out, " %s", m[2])
		}
	}
	return out.String()
}
