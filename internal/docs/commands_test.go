package docs

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// commands are those in the code blocks of README.md and docs/, such as "tx propose".
func commands(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, page := range pages(t) {
		if page != "README.md" && filepath.Dir(page) != "docs" {
			continue
		}
		for i, block := range strings.Split(read(t, page), "```") {
			if i%2 == 0 { // between blocks
				continue
			}
			for line := range strings.Lines(block) {
				line, _, _ = strings.Cut(line, "#")
				for _, m := range command.FindAllStringSubmatch(line, -1) {
					for _, verb := range strings.Split(m[2], "|") {
						all = append(all, strings.TrimSpace(m[1]+" "+strings.TrimSpace(verb)))
					}
				}
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// A program's name, a command, and verbs with bars between them; options end it.
var command = regexp.MustCompile(`(?:^|\s|/)ostraka ([a-z]+)((?: [a-z][a-z-]*(?: \| [a-z][a-z-]*)*)?)`)

// The program has every command that the pages name, and each says how it is used.
func TestCommandsExist(t *testing.T) {
	program := filepath.Join(t.TempDir(), "ostraka")
	if out, err := exec.Command("go", "build", "-ldflags", "-s -w", "-o", program, root+"/cmd/ostraka").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	all := commands(t)
	if len(all) < 25 {
		t.Errorf("the pages name only %q", all)
	}
	for _, c := range all {
		if out, ok := usage(program, c); !ok {
			t.Errorf("ostraka %s --help does not show its usage:\n%s", c, out)
		}
	}
	if out, ok := usage(program, "tx dance"); ok { // else the check above shows nothing
		t.Errorf("a command that does not exist has a usage:\n%s", out)
	}
}

// usage asks a command how it is used.
func usage(program, command string) (string, bool) {
	out, err := exec.Command(program, append(strings.Fields(command), "--help")...).CombinedOutput()
	return string(out), err == nil && strings.Contains(string(out), "ostraka "+command)
}
