package paper

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"codeberg.org/go-pdf/fpdf"

	backup "github.com/ostraka/ostraka/custody/backup/paper"
)

// All lengths are in millimetres, sizes of letters in points.
const (
	margin = 15.0
	width  = 210 - 2*margin // of what is printed
	column = 112.0          // where the QR code and what to do with the page begin
	beside = width - column

	bottom = 297 - margin
	line   = 80 // characters of a fact on one line

	sans = "Helvetica"
	mono = "Courier"
)

// Write draws a cover for the set and a page for each of the sheets given, as one PDF. They are of one set; to keep sheets apart from the
// beginning, write each into a document of its own.
func Write(w io.Writer, sheets []backup.Sheet) error {
	if len(sheets) == 0 {
		return errors.New("draw sheets: there are none")
	}
	for _, s := range sheets {
		if err := s.Check(); err != nil {
			return fmt.Errorf("draw sheets: %w", err)
		}
		if s.Label != sheets[0].Label || s.Set != sheets[0].Set || s.Needed != sheets[0].Needed || s.Sheets != sheets[0].Sheets || s.HasMask() != sheets[0].HasMask() {
			return fmt.Errorf("draw sheets: sheet %d is of another set than sheet %d: draw each set by itself", s.Number, sheets[0].Number)
		}
	}
	d := newDocument(sheets[0])
	d.cover(sheets[0])
	for _, s := range sheets {
		if err := d.sheet(s); err != nil {
			return fmt.Errorf("draw sheet %d: %w", s.Number, err)
		}
	}
	if err := d.Output(w); err != nil {
		return fmt.Errorf("draw sheets: %w", err)
	}
	return nil
}

type document struct{ *fpdf.Fpdf }

// newDocument has no date but the sheets' own, no number at random, and its parts in a fixed order.
func newDocument(s backup.Sheet) document {
	d := document{fpdf.New("P", "mm", "A4", "")}
	d.SetCreationDate(s.Created)
	d.SetModificationDate(s.Created)
	d.SetCatalogSort(true)
	d.SetProducer("ostraka", false)
	d.SetTitle("Paper backup", false)
	d.SetMargins(margin, margin, margin)
	d.SetAutoPageBreak(false, margin)
	return d
}

// heading begins a page.
func (d document) heading(title, under string) {
	d.AddPage()
	d.SetXY(margin, margin)
	d.SetFont(sans, "B", 17)
	d.CellFormat(width, 8, title, "", 1, "L", false, 0, "")
	d.SetFont(sans, "", 10)
	d.MultiCell(width, 4.8, under, "", "L", false)
	d.Ln(2.5)
}

// facts are one to a line, as they are typed in again; long hex in groups of eight, which people can keep their place in.
func (d document) facts(lines []backup.Fact) {
	for _, l := range lines {
		d.SetFont(mono, "", 9)
		d.SetX(margin)
		d.CellFormat(20, 4.3, l.Name+":", "", 0, "L", false, 0, "")
		d.SetFont(mono, "B", 9)
		value := l.Value
		if l.Name == "key" || l.Name == "record" {
			value = grouped(value)
		}
		for ; len(value) > line; value = value[line:] { // a circle's name in escapes
			d.CellFormat(width-20, 4.3, value[:line], "", 1, "L", false, 0, "")
			d.SetX(margin + 20)
		}
		d.CellFormat(width-20, 4.3, value, "", 1, "L", false, 0, "")
	}
}

func grouped(hex string) string {
	var groups []string
	for i := 0; i < len(hex); i += 8 {
		groups = append(groups, hex[i:i+8])
	}
	return strings.Join(groups, " ")
}

// sheet is the page with the secrets.
func (d document) sheet(s backup.Sheet) error {
	d.heading(fmt.Sprintf("Sheet %d of %d: secret", s.Number, s.Sheets), warning(s))
	d.facts(append(s.Facts(), backup.Fact{Name: "sheets", Value: fmt.Sprint(s.Sheets)}, backup.Fact{Name: "code", Value: s.Code()}))
	d.Ln(4)
	top := d.GetY()
	y := d.words(top, "share", "the operator's share of the key", s.ExposeShare())
	if s.HasMask() {
		d.words(y+4, "mask", "what it gives in an SOS", s.ExposeMask())
	} else {
		d.note(y+4, "This vault had no SOS plan in this epoch: there is no mask.")
	}
	if err := d.code(margin+column, top, beside, s.ExposePayload()); err != nil {
		return err
	}
	d.instructions(top+beside+3, duties(s))
	return nil
}

// words are numbered 1 to 33, downwards in three columns. Below these they end at the y that comes back.
func (d document) words(y float64, name, what string, words []string) float64 {
	const rows, height, cell = 11, 6.4, 36.0
	d.SetXY(margin, y)
	d.SetFont(mono, "B", 11)
	d.CellFormat(16, 6, name+":", "", 0, "L", false, 0, "")
	d.SetFont(sans, "", 9)
	d.CellFormat(90, 6, fmt.Sprintf("%d words, %s", len(words), what), "", 1, "L", false, 0, "")
	top := d.GetY() + 0.5
	for i, w := range words {
		x := margin + float64(i/rows)*cell
		d.SetXY(x, top+float64(i%rows)*height)
		d.SetFont(sans, "", 8)
		d.CellFormat(7, height, fmt.Sprint(i+1), "B", 0, "R", false, 0, "")
		d.SetFont(mono, "B", 13)
		d.CellFormat(cell-9, height, " "+w, "B", 0, "L", false, 0, "")
	}
	return top + rows*height
}

func (d document) note(y float64, text string) {
	d.SetXY(margin, y)
	d.SetFont(sans, "", 9)
	d.MultiCell(column-8, 4.4, text, "", "L", false)
}

// instructions stand below the code.
func (d document) instructions(y float64, lines []string) {
	d.SetXY(margin+column, y)
	d.SetFont(sans, "B", 10)
	d.CellFormat(beside, 6, "What to do with this page", "", 1, "L", false, 0, "")
	d.SetFont(sans, "", 9)
	for _, l := range lines {
		d.SetX(margin + column)
		d.MultiCell(beside, 4.2, l, "", "L", false)
		d.Ln(1.2)
	}
}
