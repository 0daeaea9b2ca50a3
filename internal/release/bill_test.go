package main

import (
	"bytes"
	"crypto/sha256"
	"debug/buildinfo"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// ownInfo is the build information of this test's program.
func ownInfo(t *testing.T) *debug.BuildInfo {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// The bill of this test's own program lists every module that is linked into it, with the hash of go.sum, and Go itself; and
// it is the same whenever it is written.
func TestBill(t *testing.T) {
	info, sum := ownInfo(t), sha256.Sum256([]byte("program"))
	text, err := billOf(info, "v0.5.0", sum)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(info.Deps)
	slices.Reverse(info.Settings)
	if again, err := billOf(info, "v0.5.0", sum); err != nil || !bytes.Equal(again, text) {
		t.Errorf("written again, it differs: %v", err)
	}
	for _, bad := range []string{"timestamp", "serialNumber"} {
		if bytes.Contains(text, []byte(bad)) {
			t.Errorf("it has a %s: no two builds would be the same", bad)
		}
	}
	var b cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&b); err != nil {
		t.Fatal(err)
	}
	if b.BOMFormat != "CycloneDX" || b.SpecVersion != cdx.SpecVersion1_6 || b.Version != 1 {
		t.Errorf("it is %s %s, version %d", b.BOMFormat, b.SpecVersion, b.Version)
	}
	if m := b.Metadata.Component; !strings.HasPrefix(m.PackageURL, "pkg:golang/github.com/ostraka/ostraka@v0.5.0#internal/release") || len(*m.Hashes) != 1 || m.Version != "v0.5.0" {
		t.Errorf("it is about %+v", m)
	}
	if len(info.Deps) < 3 || len(*b.Components) != len(info.Deps)+1 {
		t.Fatalf("%d components for %d modules and Go", len(*b.Components), len(info.Deps))
	}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, c := range *b.Components {
		if seen[c.BOMRef] || c.BOMRef != c.PackageURL {
			t.Errorf("%s stands twice, or is not its package URL %s", c.BOMRef, c.PackageURL)
		}
		seen[c.BOMRef] = true
		if c.Name == "stdlib" {
			if "go"+c.Version != info.GoVersion {
				t.Errorf("Go is %s, not %s", c.Version, info.GoVersion)
			}
			continue
		}
		if p := *c.Properties; len(p) != 1 || !strings.Contains(string(sums), c.Name+" "+c.Version+" "+p[0].Value+"\n") {
			t.Errorf("%s %s: %+v is not what go.sum says", c.Name, c.Version, p)
		}
	}
	for _, m := range info.Deps {
		if !seen[purl(m.Path, m.Version)] {
			t.Errorf("%s is linked and not listed", m.Path)
		}
	}
	if !slices.IsSortedFunc(*b.Components, func(x, y cdx.Component) int { return strings.Compare(x.BOMRef, y.BOMRef) }) {
		t.Error("components are not in order")
	}
}

func TestBillRefuses(t *testing.T) {
	info := ownInfo(t)
	folder := *info
	folder.Deps = append(slices.Clone(info.Deps), &debug.Module{Path: "example.org/x", Version: "v1.0.0", Sum: "h1:x", Replace: &debug.Module{Path: "../x"}})
	if _, err := billOf(&folder, "v0.5.0", [32]byte{}); err == nil || !strings.Contains(err.Error(), "from a folder") {
		t.Errorf("a module of a folder: %v", err)
	}
	other := *info
	other.Path = "example.org/cmd/x"
	if _, err := billOf(&other, "v0.5.0", [32]byte{}); err == nil {
		t.Error("a program of another module")
	}
	if got := purl("github.com/Masterminds/X", "v2.0.0+incompatible"); got != "pkg:golang/github.com/masterminds/x@v2.0.0%2Bincompatible" {
		t.Errorf("package URL is %s", got)
	}
}
