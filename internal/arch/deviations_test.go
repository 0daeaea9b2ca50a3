package arch

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write DEVIATIONS.md from the code")

const (
	mark     = "DEVIATION:"
	headline = `# Departures from the papers and standards that the code cites

Collected from the comments that begin so, room by room. Do not edit: change the comment, then
run ` + "`go test ./internal/arch -run TestDeviations -update`." + `
`
)

// deviations are the departures that a comment states: from the mark at the beginning of a line to the
// next mark, an empty line or the end.
func deviations(comment string) (all []string) {
	in := false
	for line := range strings.Lines(comment) {
		line = strings.TrimSpace(line)
		if after, ok := strings.CutPrefix(line, mark); ok {
			in, all = true, append(all, strings.TrimSpace(after))
			continue
		}
		in = in && line != ""
		if in {
			all[len(all)-1] += " " + line
		}
	}
	return all
}

func TestDeviations(t *testing.T) {
	var out strings.Builder
	out.WriteString(headline)
	room := ""
	all := files(t)
	slices.SortFunc(all, func(a, b file) int {
		return strings.Compare(a.room+"\x00"+a.path, b.room+"\x00"+b.path)
	})
	for _, f := range all {
		for _, c := range f.syntax.Comments {
			text := c.Text()
			found := deviations(text)
			if n := strings.Count(text, mark); n != len(found) {
				t.Errorf("%s: a departure must begin its line", positions.Position(c.Pos()))
			}
			for _, d := range found {
				if f.room != room {
					room = f.room
					fmt.Fprintf(&out, "\n## %s\n\n", room)
				}
				fmt.Fprintf(&out, "* %s (`%s`)\n", d, filepath.Base(f.path))
			}
		}
	}
	if room == "" {
		t.Fatal("no departures found")
	}
	path := filepath.Join(root, "DEVIATIONS.md")
	if *update {
		if err := os.WriteFile(path, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != out.String() {
		t.Error("DEVIATIONS.md is not what the code says: run this test with -update")
	}
}

func TestDeviationsOfAComment(t *testing.T) {
	got := deviations("Package x.\n\nDEVIATION: one\nand more.\nDEVIATION: two\n\nnot this\n")
	if !slices.Equal(got, []string{"one and more.", "two"}) {
		t.Errorf("got %q", got)
	}
}
