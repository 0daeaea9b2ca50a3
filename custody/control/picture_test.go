package control

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestPicture(t *testing.T) {
	s := standard()
	s.Shares[0].Copies = append(s.Shares[0].Copies, Copy{Name: "paper", Level: Paper, Reach: [Kinds][]string{Person: {"notary"}, Organisation: {"organisation of bolt"}}})
	s.Shares[1].Copies[0].Reach[Account] = []string{`<script>"&`}
	p := s.Draw()
	text := p.Text()
	for _, want := range []string{
		"organisation of bolt       ○ ● · │ · · · · ·  2 shares", "notary                     ○ · · │ · · · · ·\n", "organisation of guardian 2 · · · │ · · ● · ·\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	svg := p.SVG()
	if strings.Contains(string(svg), "<script") {
		t.Error("a name came through as it is")
	}
	circles, red := 0, 0
	d := xml.NewDecoder(strings.NewReader(string(svg)))
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "circle" {
			circles++
			for _, a := range e.Attr {
				if a.Name.Local == "stroke" && a.Value == "#c00" {
					red++
				}
			}
		}
	}
	if want := Kinds*(3+5) + 2; circles != want || red != 2 {
		t.Errorf("%d circles, %d red, want %d and 2", circles, red, want)
	}
}
