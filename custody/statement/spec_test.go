package statement

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

const (
	page  = "../../spec/statements.md"
	begin = "<!-- tables: made from custody/statement/schema.go -->\n"
	end   = "<!-- end of tables -->\n"
)

// The spec page shows the one table: go test ./custody/statement -update writes it.
func TestSpecPage(t *testing.T) {
	raw, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(raw), begin)
	tables, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s lacks the marks around its tables", page)
	}
	if *update {
		if err := os.WriteFile(page, []byte(head+begin+specTables()+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if tables != specTables() {
		t.Errorf("%s differs from schema.go: run go test ./custody/statement -update", page)
	}
}

func specTables() string {
	var b strings.Builder
	for _, k := range Kinds {
		fmt.Fprintf(&b, "\n### %s\n\n| field | type | times | meaning |\n|---|---|---|---|\n", k)
		specRows(&b, append(Fields(k)[:len(Fields(k)):len(Fields(k))], salt), "")
	}
	return b.String() + "\n"
}

func specRows(b *strings.Builder, specs []Spec, indent string) {
	for _, s := range specs {
		times := fmt.Sprint(s.Least)
		if s.Least != s.Most {
			times = fmt.Sprintf("%d–%d", s.Least, s.Most)
		}
		fmt.Fprintf(b, "| %s`%s` | %s | %s | %s |\n", indent, s.Name, s.form(), times, s.Doc)
		specRows(b, s.Block, indent+"↳ ")
	}
}

func (s Spec) form() string {
	bounds := fmt.Sprintf("%d–%d", s.Min, s.Max)
	if s.Min == s.Max {
		bounds = fmt.Sprint(s.Max)
	}
	switch s.Type {
	case Word:
		return "word: " + strings.Join(s.Words, ", ")
	case Time, Chain:
		return string(s.Type)
	case Label:
		return "label"
	}
	return string(s.Type) + " " + bounds
}
