package paper

import (
	"fmt"

	backup "github.com/ostraka/ostraka/custody/backup/paper"
)

func needed(s backup.Sheet) string {
	if s.Sheets == 1 {
		return "This sheet alone is needed, and whoever has it has"
	}
	return fmt.Sprintf("%d of %d sheets are needed, and whoever has %d of them has", s.Needed, s.Sheets, s.Needed)
}

func warning(s backup.Sheet) string {
	return needed(s) + " this operator's share of the vault's key. Alone that share signs nothing; with the shares of other operators it does."
}

// duties of who keeps a sheet.
func duties(s backup.Sheet) []string {
	lines := []string{
		"1. Before you put it away, read it back: scan the code, or type the words. The program says whether the sheet is whole, and shows no secret.",
		"2. No photograph, no copy, no telephone: scan only with the machine that restores.",
		"3. Close it in an envelope whose opening can be seen. Write on the envelope: vault, operator, epoch, code. No word of this page.",
		"4. Keep it where no other sheet of this set is, and where nobody from another operator can reach it.",
		"5. It is for this epoch only. When the key's shares are renewed, the operator tells you: then burn this page, and not before the new one is there.",
		"6. Look at it once a year: is it there, is it dry, can it be read?",
	}
	if s.Sheets == 1 {
		lines[3] = "4. Keep a second copy in another place. Nobody from another operator can reach either."
	}
	return lines
}

// cover is the page that goes to the operator's files: nothing on it is secret.
func (d document) cover(s backup.Sheet) {
	d.heading("Paper backup of an operator's share", "This page holds nothing secret. It says what the sheets are, and who keeps which. Do not keep it with a sheet.")
	d.facts(append(s.Facts(), backup.Fact{Name: "sheets", Value: fmt.Sprint(s.Sheets)}, backup.Fact{Name: "needed", Value: fmt.Sprint(s.Needed)},
		backup.Fact{Name: "set", Value: fmt.Sprint(s.Set)}, backup.Fact{Name: "mask", Value: masked(s)}))
	d.section("What this is", []string{
		needed(s) + " this operator's share of the key of this vault, as it was in this epoch. " +
			"It is for the day when every machine of this operator is gone. Without other operators it signs nothing. After the next epoch it restores nothing, and is to be destroyed all the same.",
		"Each sheet says the same twice: as words (SLIP-0039) that can be typed, engraved or read aloud, and as a QR code. Either is enough, and sheets read in both ways go together.",
	})
	d.section("Printing", []string{
		"Print on a printer that stores nothing, connected by a cable to a machine without a network. Switch both off afterwards. Keep no file.",
		"Have the program read every page back, from its code or from its words, before it leaves your hand. A page that was never read back is no backup.",
		"For fire and water, strike the words into steel; the label's lines too, for without them nobody knows what the words are.",
	})
	d.section("Restoring", []string{
		"On a machine without a network, start `ostraka backup restore` and type or scan the sheets, in any order. It refuses sheets of different keys, epochs, operators or printings, and says which word is wrong.",
		"Compare what comes back with the epoch's record, whose hash is above: the program does. Then renew the key's shares at once; these sheets have then been seen, and are of the past.",
	})
	d.keepers(s)
}

func masked(s backup.Sheet) string {
	if s.HasMask() {
		return "yes"
	}
	return "no"
}

func (d document) section(title string, paragraphs []string) {
	d.Ln(4)
	d.SetX(margin)
	d.SetFont(sans, "B", 11)
	d.CellFormat(width, 6, title, "", 1, "L", false, 0, "")
	d.SetFont(sans, "", 10)
	for _, p := range paragraphs {
		d.SetX(margin)
		d.MultiCell(width, 4.7, p, "", "L", false)
		d.Ln(1)
	}
}

// keepers is a table to fill in by hand: one row for each sheet of the set.
func (d document) keepers(s backup.Sheet) {
	d.Ln(3)
	widths := []float64{18, 54, 72, 36}
	height := min(7, (bottom-d.GetY())/float64(s.Sheets+1))
	d.SetFont(sans, "B", 9)
	d.SetX(margin)
	for i, title := range []string{"sheet", "kept by", "where", "read back on"} {
		d.CellFormat(widths[i], height, title, "1", 0, "L", false, 0, "")
	}
	d.Ln(height)
	d.SetFont(sans, "", 9)
	for n := range s.Sheets {
		d.SetX(margin)
		for i, w := range widths {
			text := ""
			if i == 0 {
				text = fmt.Sprint(n + 1)
			}
			d.CellFormat(w, height, text, "1", 0, "L", false, 0, "")
		}
		d.Ln(height)
	}
}
