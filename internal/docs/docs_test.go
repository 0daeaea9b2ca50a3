package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/modfile"
)

const root = "../.."

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pages are all Markdown files, named below the root.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" || d.Name() == "bin"):
			return fs.SkipDir
		case strings.HasSuffix(path, ".md"):
			name, err := filepath.Rel(root, path)
			all = append(all, filepath.ToSlash(name))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	noSlug  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// anchors are the headings of a page as links name them.
func anchors(page string) []string {
	var all []string
	for _, h := range heading.FindAllStringSubmatch(page, -1) {
		all = append(all, strings.ReplaceAll(noSlug.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-"))
	}
	return all
}

func TestLinks(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			checked++
			path, anchor, _ := strings.Cut(m[1], "#")
			target := page
			if path != "" {
				target = filepath.Join(filepath.Dir(page), path)
			}
			info, err := os.Stat(filepath.Join(root, target))
			if err != nil {
				t.Errorf("%s: link to %s: %v", page, m[1], err)
				continue
			}
			if anchor != "" && (info.IsDir() || !slices.Contains(anchors(read(t, target)), anchor)) {
				t.Errorf("%s: link to %s: no such heading", page, m[1])
			}
		}
	}
	if checked < 20 {
		t.Errorf("only %d links were checked", checked)
	}
}

var (
	testFile = regexp.MustCompile("`([a-z0-9_/-]+_test\\.go)`")
	testName = regexp.MustCompile(`\bTest[A-Za-z0-9]+`)
)

// A row names tests as: `path/x_test.go` TestOne, TestTwo; `path/y_test.go` TestThree.
func TestNamedTestsExist(t *testing.T) {
	named := 0
	for line := range strings.Lines(read(t, "THREATS.md")) {
		files := testFile.FindAllStringSubmatchIndex(line, -1)
		if len(files) == 0 && testName.MatchString(line) {
			t.Errorf("a test without its file: %s", line)
		}
		for i, at := range files {
			path, end := line[at[2]:at[3]], len(line)
			if i+1 < len(files) {
				end = files[i+1][0]
			}
			code, names := read(t, path), testName.FindAllString(line[at[1]:end], -1)
			if len(names) == 0 {
				t.Errorf("%s is named without a test", path)
			}
			for _, name := range names {
				named++
				if !strings.Contains(code, "func "+name+"(") {
					t.Errorf("%s has no %s", path, name)
				}
			}
		}
	}
	if named < 50 {
		t.Errorf("only %d tests are named", named)
	}
}

func TestDependenciesAreExplained(t *testing.T) {
	mod, err := modfile.ParseLax("go.mod", []byte(read(t, "go.mod")), nil)
	if err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Mod.Path)
		}
	}
	var explained []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(read(t, "DEPENDENCIES.md"), -1) {
		explained = append(explained, m[1])
	}
	slices.Sort(direct)
	slices.Sort(explained)
	if len(direct) == 0 || !slices.Equal(direct, explained) {
		t.Errorf("go.mod has\n%q\nDEPENDENCIES.md explains\n%q", direct, explained)
	}
}

func TestSpecIndex(t *testing.T) {
	index := read(t, "spec/README.md")
	for _, page := range pages(t) {
		if name, isSpec := strings.CutPrefix(page, "spec/"); isSpec && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("spec/README.md does not list %s", name)
		}
	}
}
