package release

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/semver"

	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/custody/statement"
)

// A Release is one version of the software.
type Release struct {
	Version string   // vMAJOR.MINOR.PATCH, and -PRERELEASE where it is one
	Commit  []byte   // of the source: git's, 20 or 32 bytes
	Go      string   // toolchain, such as "go1.26.8"
	Link    []uint64 // wire versions of links that it speaks, ascending
	Session []uint64 // wire versions of sessions that it speaks, ascending
	Files   []File   // ascending by name
}

// A File is one file of a release.
type File struct {
	Name     string
	Platform string // GOOS/GOARCH that it runs on; empty where it is no program
	SHA256   [32]byte
	Bytes    uint64
}

const saltLine = "\nsalt: "

// Statement writes the release. Its salt follows from its content: there is nothing to hide, and all who build the same
// source write the same bytes.
func (r Release) Statement() (statement.Statement, error) {
	if err := r.check(); err != nil {
		return statement.Statement{}, err
	}
	var b statement.Block
	b = b.Add("version", r.Version).AddHex("commit", r.Commit).Add("go", r.Go)
	for _, v := range r.Link {
		b = b.AddUint("link", v)
	}
	for _, v := range r.Session {
		b = b.AddUint("session", v)
	}
	for _, f := range r.Files {
		var own statement.Block
		own = own.Add("platform", f.Platform).AddHex("sha256", f.SHA256[:]).AddUint("bytes", f.Bytes)
		b = b.AddBlock("file", f.Name, own)
	}
	draft, err := statement.Build(statement.Release, b, statement.Salt{})
	if err != nil {
		return statement.Statement{}, err
	}
	text := draft.Text()
	text = text[:strings.LastIndex(text, saltLine)+1]
	return statement.Build(statement.Release, b, transcript.New(transcript.ReleaseSalt).Bytes([]byte(text)).Sum256())
}

// Of gives a release statement its meaning. A salt that does not follow from the content is refused: two statements could
// make one release.
func Of(s statement.Statement) (Release, error) {
	if err := s.Require(statement.Release); err != nil {
		return Release{}, err
	}
	f := s.Fields()
	r := Release{Version: f.Get("version"), Commit: f.Hex("commit"), Go: f.Get("go"), Link: numbers(f, "link"), Session: numbers(f, "session")}
	for _, x := range f.Each("file") {
		r.Files = append(r.Files, File{Name: x.Value, Platform: x.Block.Get("platform"), SHA256: x.Block.ID("sha256"), Bytes: x.Block.Uint("bytes")})
	}
	again, err := r.Statement()
	if err != nil {
		return Release{}, err
	}
	if again.ID() != s.ID() {
		return Release{}, fmt.Errorf("release %s: its salt does not follow from its content", r.Version)
	}
	return r, nil
}

func numbers(b statement.Block, name string) (all []uint64) {
	for _, f := range b.Each(name) {
		all = append(all, statement.Block{f}.Uint(name))
	}
	return all
}

// check holds the rules beyond the statement's table.
func (r Release) check() error {
	about := func(format string, args ...any) error {
		return fmt.Errorf("release %.64q: "+format, append([]any{r.Version}, args...)...)
	}
	switch {
	case !semver.IsValid(r.Version) || semver.Canonical(r.Version) != r.Version:
		return about("a version is vMAJOR.MINOR.PATCH, and -PRERELEASE where it is one")
	case len(r.Commit) != 20 && len(r.Commit) != 32:
		return about("its commit has %d bytes, git's have 20 or 32", len(r.Commit))
	case !rising(r.Link) || !rising(r.Session):
		return about("wire versions are not in ascending order")
	}
	programs := map[[32]byte]string{}
	for i, f := range r.Files {
		if i > 0 && f.Name <= r.Files[i-1].Name {
			return about("its files are not in ascending order: %s after %s", f.Name, r.Files[i-1].Name)
		}
		if f.Platform == "" {
			continue
		}
		os, arch, _ := strings.Cut(f.Platform, "/")
		if statement.CheckLabel(os) != nil || statement.CheckLabel(arch) != nil {
			return about("file %s: platform %.40q is not GOOS/GOARCH", f.Name, f.Platform)
		}
		if other := programs[f.SHA256]; other != "" {
			return about("%s and %s are one program under two names", other, f.Name)
		}
		programs[f.SHA256] = f.Name
	}
	if len(programs) == 0 {
		return about("it lists no program")
	}
	return nil
}

func rising(all []uint64) bool {
	return slices.IsSorted(all) && len(slices.Compact(slices.Clone(all))) == len(all)
}

// Program finds the program with this hash.
func (r Release) Program(sum [32]byte) (File, bool) {
	for _, f := range r.Files {
		if f.Platform != "" && f.SHA256 == sum {
			return f, true
		}
	}
	return File{}, false
}

// Sums writes the files' hashes as sha256sum does, and reads: SHA256SUMS.
func (r Release) Sums() []byte {
	var b strings.Builder
	for _, f := range r.Files {
		fmt.Fprintf(&b, "%x  %s\n", f.SHA256, f.Name)
	}
	return []byte(b.String())
}

// Compare says what of a folder's files differs from the release: missing, added or changed. Platforms are not looked at.
func (r Release) Compare(found []File) error {
	var all []error
	here := map[string]File{}
	for _, f := range found {
		here[f.Name] = f
	}
	for _, want := range r.Files {
		got, ok := here[want.Name]
		delete(here, want.Name)
		switch {
		case !ok:
			all = append(all, fmt.Errorf("%s is missing", want.Name))
		case got.SHA256 != want.SHA256 || got.Bytes != want.Bytes:
			all = append(all, fmt.Errorf("%s has %d bytes with SHA-256 %x, the release says %d bytes, %x", want.Name, got.Bytes, got.SHA256, want.Bytes, want.SHA256))
		}
	}
	for _, f := range found {
		if _, ok := here[f.Name]; ok {
			all = append(all, fmt.Errorf("%s is not of the release", f.Name))
		}
	}
	if len(all) > 0 {
		return fmt.Errorf("these are not the files of release %s: %w", r.Version, errors.Join(all...))
	}
	return nil
}
