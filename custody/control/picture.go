package control

import (
	"bytes"
	"fmt"
	"html"
	"slices"
	"strings"
	"unicode/utf8"
)

// A Picture shows which domain reaches which share: a row for each domain, a column for each share and guardian.
type Picture struct {
	Vault   string
	Columns []string // shares, then guardians
	Shares  int      // how many of the columns are shares
	Rows    []Row    // by kind, then name
}

// A Row is one domain.
type Row struct {
	Domain
	Cells []Mark // per column
}

// A Mark says what of a column a domain reaches.
type Mark uint8

// Marks, stronger ones last.
const (
	Nothing Mark = iota
	Backup       // a copy that does not sign
	Signing      // a replica, or a guardian's key
)

// Shared counts the shares that a row reaches: from two on it is a place where they fall together.
func (r Row) Shared(shares int) (n int) {
	for _, m := range r.Cells[:shares] {
		if m != Nothing {
			n++
		}
	}
	return n
}

// Draw makes the picture of a Structure.
func (s Structure) Draw() Picture {
	p := Picture{Vault: s.Vault, Shares: len(s.Shares)}
	for _, share := range s.Shares {
		p.Columns = append(p.Columns, share.Operator)
	}
	for _, g := range s.Guardians {
		p.Columns = append(p.Columns, g.Name)
	}
	for k := range Kind(Kinds) {
		for _, name := range s.domains(k) {
			row := Row{Domain: Domain{k, name}}
			for _, share := range s.Shares {
				row.Cells = append(row.Cells, share.mark(k, name))
			}
			for _, g := range s.Guardians {
				mark := Nothing
				if g.Reach[k] == name {
					mark = Signing
				}
				row.Cells = append(row.Cells, mark)
			}
			p.Rows = append(p.Rows, row)
		}
	}
	return p
}

func (s Share) mark(k Kind, name string) (m Mark) {
	for _, c := range s.Copies {
		switch {
		case !slices.Contains(c.reachedBy(k), name):
		case c.Level == Replica:
			return Signing
		default:
			m = Backup
		}
	}
	return m
}

// Text is the picture for a terminal: ● a replica or a guardian's key, ○ a backup. A row that reaches two shares or more ends with their
// number.
func (p Picture) Text() string {
	var b strings.Builder
	wide := 0
	for _, r := range p.Rows {
		wide = max(wide, utf8.RuneCountInString(r.Name)+2)
	}
	fmt.Fprintf(&b, "vault %s\n", p.Vault)
	// Names of columns stand upright, one letter above another.
	tall := 0
	for _, c := range p.Columns {
		tall = max(tall, utf8.RuneCountInString(c))
	}
	for line := range tall {
		b.WriteString(strings.Repeat(" ", wide))
		for i, c := range p.Columns {
			letters, from := []rune(c), tall-utf8.RuneCountInString(c)
			if i == p.Shares {
				b.WriteString(" │")
			}
			if line < from {
				b.WriteString("  ")
			} else {
				b.WriteString(" " + string(letters[line-from]))
			}
		}
		b.WriteString("\n")
	}
	kind := Kind(Kinds)
	for _, r := range p.Rows {
		if r.Kind != kind {
			kind = r.Kind
			fmt.Fprintf(&b, "%v\n", kind)
		}
		fmt.Fprintf(&b, "  %s%s", r.Name, strings.Repeat(" ", wide-2-utf8.RuneCountInString(r.Name)))
		for i, m := range r.Cells {
			if i == p.Shares {
				b.WriteString(" │")
			}
			b.WriteString(" " + [...]string{"·", "○", "●"}[m])
		}
		if n := r.Shared(p.Shares); n > 1 {
			fmt.Fprintf(&b, "  %d shares", n)
		}
		b.WriteString("\n")
	}
	return b.String()
}

// Sizes of the SVG, in its own units.
const (
	cell, left, top, gap = 22, 260, 150, 14
)

// SVG is the picture as an image that stands alone: rows that reach two shares or more are red. It holds no script and fetches nothing.
func (p Picture) SVG() []byte {
	var b bytes.Buffer
	width := left + (len(p.Columns)+1)*cell + gap
	height := top + len(p.Rows)*cell + Kinds*cell + gap
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, "<title>Control map of vault %s</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n", html.EscapeString(p.Vault))
	for i, c := range p.Columns {
		x := p.x(i) + cell/2 + 4
		fmt.Fprintf(&b, `<text transform="translate(%d %d) rotate(-60)">%s</text>`+"\n", x, top-8, html.EscapeString(c))
	}
	y, kind := top, Kind(Kinds)
	for _, r := range p.Rows {
		if r.Kind != kind {
			kind = r.Kind
			fmt.Fprintf(&b, `<text x="8" y="%d" font-weight="bold">%v</text>`+"\n", y+cell-7, kind)
			y += cell
		}
		colour := "#333"
		if r.Shared(p.Shares) > 1 {
			colour = "#c00"
		}
		fmt.Fprintf(&b, `<text x="20" y="%d" fill="%s">%s</text>`+"\n", y+cell-7, colour, html.EscapeString(short(r.Name)))
		for i, m := range r.Cells {
			if m == Nothing {
				continue
			}
			fill := colour
			if m == Backup {
				fill = "none"
			}
			fmt.Fprintf(&b, `<circle cx="%d" cy="%d" r="6" fill="%s" stroke="%s"/>`+"\n", p.x(i)+cell/2, y+cell/2, fill, colour)
		}
		y += cell
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// x is where a column begins; guardians stand apart.
func (p Picture) x(column int) int {
	x := left + column*cell
	if column >= p.Shares {
		x += gap
	}
	return x
}

func short(name string) string {
	if letters := []rune(name); len(letters) > 34 {
		return string(letters[:33]) + "…"
	}
	return name
}
