package client

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// A Copy is what one node says of a thing that all must say alike.
type Copy struct {
	Node  string
	Bytes []byte
}

// A Difference is an alarm: nodes that must agree do not. One of them is wrong, or lies.
type Difference struct {
	What   string
	Groups [][]string // nodes that agree with one another, in the order in which they were asked
	Shown  []string   // what each group says, short enough for a screen
}

func (d *Difference) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "nodes differ about %s:", d.What)
	for i, g := range d.Groups {
		if i > 0 {
			b.WriteByte(';')
		}
		verb := "say"
		if len(g) == 1 {
			verb = "says"
		}
		fmt.Fprintf(&b, " %s %s %s", strings.Join(g, " and "), verb, d.Shown[i])
	}
	return b.String()
}

// Compare returns a *Difference unless all copies are equal, byte for byte.
func Compare(what string, copies []Copy) error {
	d := &Difference{What: what}
	at := map[string]int{}
	for _, c := range copies {
		i, ok := at[string(c.Bytes)]
		if !ok {
			i = len(d.Groups)
			at[string(c.Bytes)] = i
			d.Groups, d.Shown = append(d.Groups, nil), append(d.Shown, show(c.Bytes))
		}
		d.Groups[i] = append(d.Groups[i], c.Node)
	}
	if len(d.Groups) < 2 {
		return nil
	}
	return d
}

// show writes short text as it is, and names anything else by its hash.
func show(b []byte) string {
	const most = 80
	switch plain := len(b) > 0 && len(b) <= most; {
	case len(b) == 0:
		return "nothing"
	case plain && strings.IndexFunc(string(b), func(r rune) bool { return r < ' ' || r > '~' }) < 0:
		return string(b)
	}
	return fmt.Sprintf("%d bytes with SHA-256 %x", len(b), sha256.Sum256(b))
}
