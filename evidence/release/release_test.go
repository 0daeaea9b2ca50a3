package release

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/ostraka/ostraka/custody/statement"
)

var update = flag.Bool("update", false, "write testdata anew")

// sample is a release with a program for two platforms, and a bill of materials each.
func sample() Release {
	r := Release{Version: "v0.5.0", Commit: bytes.Repeat([]byte{0xc0}, 20), Go: "go1.26.8", Link: []uint64{1, 2}, Session: []uint64{1}}
	for i, platform := range []string{"darwin/arm64", "linux/amd64"} {
		name := "ostraka-" + strings.ReplaceAll(platform, "/", "-")
		r.Files = append(r.Files,
			File{Name: name, Platform: platform, SHA256: [32]byte{1, byte(i)}, Bytes: 22_000_000 + uint64(i)},
			File{Name: name + ".cdx.json", SHA256: [32]byte{2, byte(i)}, Bytes: 4000},
		)
	}
	return r
}

// zeros gives bytes of one value, for keys that are the same in every run.
type zeros byte

func (z zeros) Read(b []byte) (int, error) {
	for i := range b {
		b[i] = byte(z)
	}
	return len(b), nil
}

// maintainer makes a key; the same seed gives the same one.
func maintainer(t testing.TB, name string, seed byte) (note.Signer, string) {
	t.Helper()
	skey, vkey, err := note.GenerateKey(zeros(seed), name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := note.NewSigner(skey)
	if err != nil {
		t.Fatal(err)
	}
	return s, vkey
}

func list(t testing.TB, lines ...string) Maintainers {
	t.Helper()
	m, err := ParseMaintainers([]byte(strings.Join(lines, "\n") + "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func text(t testing.TB, r Release) []byte {
	t.Helper()
	s, err := r.Statement()
	if err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

func sign(t testing.TB, b []byte, by ...note.Signer) []byte {
	t.Helper()
	for _, s := range by {
		var err error
		if b, err = Sign(b, s); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// The bytes of a signed release: a change here breaks every signature ever made.
func TestSnapshot(t *testing.T) {
	alice, aliceKey := maintainer(t, "alice", 1)
	bob, bobKey := maintainer(t, "bob", 2)
	signed := sign(t, text(t, sample()), alice, bob)
	for name, got := range map[string][]byte{"release.note": signed, "MAINTAINERS": []byte("# who signs releases\n" + aliceKey + "\n\n" + bobKey + "\n"), "SHA256SUMS": sample().Sums()} {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || !bytes.Equal(want, got) {
			t.Errorf("%s differs, %v:\n%s", path, err, got)
		}
	}
	got, err := Open(signed, list(t, aliceKey, bobKey), Needed)
	if err != nil || !reflect.DeepEqual(got.Release, sample()) || !reflect.DeepEqual(got.By, []string{"alice", "bob"}) {
		t.Fatalf("%+v, %v", got, err)
	}
	if s, _ := sample().Statement(); got.ID != s.ID() || !bytes.HasPrefix(signed, append(s.Bytes(), '\n')) {
		t.Error("what is signed is not the statement")
	}
	if again := sign(t, signed, alice); !bytes.Contains(again, []byte("— bob ")) || bytes.Count(again, []byte("— ")) != 2 {
		t.Errorf("signed again:\n%s", again)
	}
}

func TestReadsItsOwn(t *testing.T) {
	r := sample()
	r.Version, r.Commit, r.Link = "v1.2.3-rc.1", make([]byte, 32), []uint64{65535}
	for _, b := range [][]byte{text(t, r), append(text(t, r), "\nnot read\n"...)} {
		got, err := Read(b)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestRefusesReleases(t *testing.T) {
	for _, c := range []struct {
		name, want string
		damage     func(r *Release)
	}{
		{"no version", "vMAJOR.MINOR.PATCH", func(r *Release) { r.Version = "" }},
		{"version without v", "vMAJOR.MINOR.PATCH", func(r *Release) { r.Version = "0.5.0" }},
		{"short version", "vMAJOR.MINOR.PATCH", func(r *Release) { r.Version = "v0.5" }},
		{"version with build", "vMAJOR.MINOR.PATCH", func(r *Release) { r.Version = "v0.5.0+x" }},
		{"version in capitals", "version", func(r *Release) { r.Version = "v0.5.0-RC1" }},
		{"commit cut", "19 bytes", func(r *Release) { r.Commit = r.Commit[:19] }},
		{"commit of 24 bytes", "24 bytes", func(r *Release) { r.Commit = make([]byte, 24) }},
		{"toolchain with a space", "go:", func(r *Release) { r.Go = "go1.26.8 X:none" }},
		{"no wire version", "link expected", func(r *Release) { r.Link = nil }},
		{"wire version 0", "1 to 65535", func(r *Release) { r.Session = []uint64{0} }},
		{"wire versions fall", "ascending", func(r *Release) { r.Link = []uint64{2, 1} }},
		{"wire version twice", "ascending", func(r *Release) { r.Session = []uint64{1, 1} }},
		{"three wire versions", "more than 2", func(r *Release) { r.Link = []uint64{1, 2, 3} }},
		{"no files", "no program", func(r *Release) { r.Files = nil }},
		{"no program", "no program", func(r *Release) { r.Files = r.Files[1:2] }},
		{"files fall", "ascending", func(r *Release) { r.Files[0], r.Files[1] = r.Files[1], r.Files[0] }},
		{"file twice", "ascending", func(r *Release) { r.Files[1].Name = r.Files[0].Name }},
		{"file in another folder", "file:", func(r *Release) { r.Files[0].Name = "../ostraka" }},
		{"platform without arch", "GOOS/GOARCH", func(r *Release) { r.Files[0].Platform = "linux" }},
		{"platform of three", "GOOS/GOARCH", func(r *Release) { r.Files[0].Platform = "linux/arm/7" }},
		{"one program twice", "two names", func(r *Release) { r.Files[2].SHA256 = r.Files[0].SHA256 }},
		{"empty file", "bytes", func(r *Release) { r.Files[0].Bytes = 0 }},
	} {
		r := sample()
		c.damage(&r)
		if _, err := r.Statement(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// Every line damaged, every byte changed: not the same release, and mostly none.
func TestRefusesDamage(t *testing.T) {
	alice, aliceKey := maintainer(t, "alice", 1)
	bob, bobKey := maintainer(t, "bob", 2)
	who := list(t, aliceKey, bobKey)
	signed := sign(t, text(t, sample()), alice, bob)
	for i := range signed {
		for _, bit := range []byte{1, 0x80} {
			bad := bytes.Clone(signed)
			bad[i] ^= bit
			if got, err := Open(bad, who, Needed); err == nil {
				t.Fatalf("byte %d changed, and it opens: %+v", i, got)
			}
		}
		if _, err := Open(signed[:i], who, Needed); err == nil {
			t.Fatalf("cut to %d bytes, it opens", i)
		}
	}
	s, _ := sample().Statement()
	other, err := statement.Build(statement.Release, s.Fields()[:len(s.Fields())-1], statement.Salt{1})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Of(other); err == nil || !strings.Contains(err.Error(), "salt") {
		t.Errorf("another salt: %v", err)
	}
	if _, err := Of(statement.Statement{}); err == nil {
		t.Error("no statement is a release")
	}
	if _, err := Read(make([]byte, maxNote+1)); err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("too long: %v", err)
	}
}

// Who must have signed, and who may not count.
func TestSignatures(t *testing.T) {
	alice, aliceKey := maintainer(t, "alice", 1)
	alice2, aliceKey2 := maintainer(t, "alice", 3)
	bob, bobKey := maintainer(t, "bob", 2)
	eve, _ := maintainer(t, "eve", 4)
	fake, _ := maintainer(t, "bob", 4) // a stranger who takes bob's name
	who, bare := list(t, aliceKey, aliceKey2, bobKey), text(t, sample())
	forged := sign(t, bare, alice)
	forged = append(forged, bytes.Replace(lastLine(forged), []byte("— alice"), []byte("— bob"), 1)...)
	inner := append(append(bytes.Clone(bare), '\n'), sign(t, bare, alice, bob)...)
	longer, err := note.Sign(&note.Note{Text: string(bare) + "\nmore\n"}, alice, bob)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		signed []byte
		who    Maintainers
		need   int
		by     string // or the error
		ok     bool
	}{
		{"two", sign(t, bare, alice, bob), who, 2, "[alice bob]", true},
		{"two and a stranger", sign(t, bare, eve, alice, bob), who, 2, "[alice bob]", true},
		{"by an old key", sign(t, bare, alice2, bob), who, 2, "[alice bob]", true},
		{"one where one is asked for", sign(t, bare, bob), who, 1, "[bob]", true},
		{"unsigned", bare, who, 2, "2 are needed, 0 of 2", false},
		{"one", sign(t, bare, alice), who, 2, "2 are needed, 1 of 2 listed did [alice]", false},
		{"one maintainer with two keys", sign(t, bare, alice, alice2), who, 2, "1 of 2 listed did [alice]", false},
		{"one signature twice", append(sign(t, bare, alice), lastLine(sign(t, bare, alice))...), who, 2, "1 of 2", false},
		{"one and a stranger", sign(t, bare, alice, eve), who, 2, "1 of 2", false},
		{"one and a stranger under a listed name", sign(t, bare, alice, fake), who, 2, "1 of 2", false},
		{"one under two names", forged, who, 2, "1 of 2", false},
		{"two strangers", sign(t, bare, eve, fake), who, 2, "0 of 2", false},
		{"nobody is listed", sign(t, bare, alice, bob), Maintainers{}, 2, "0 of 0", false},
		{"none is asked for", sign(t, bare, alice, bob), who, 0, "at least 1", false},
		{"text twice", inner, who, 2, "invalid signature", false},
		{"a longer text", longer, who, 2, "another text", false},
	} {
		got, err := Open(c.signed, c.who, c.need)
		if (err == nil) != c.ok || c.ok && fmt.Sprint(got.By) != c.by || !c.ok && !strings.Contains(err.Error(), c.by) {
			t.Errorf("%s: %v, %v", c.name, got.By, err)
		}
	}
	if _, err := Sign(inner, eve); err == nil {
		t.Error("a note within a note is signed")
	}
	if _, err := Sign([]byte("nothing\n"), eve); err == nil {
		t.Error("what is no release is signed")
	}
}

func lastLine(b []byte) []byte {
	return append(bytes.Clone(b[bytes.LastIndexByte(b[:len(b)-1], '\n')+1:len(b)-1]), '\n')
}

// A listed key whose signature does not hold is told apart from one that did not sign.
func TestWrongSignature(t *testing.T) {
	alice, aliceKey := maintainer(t, "alice", 1)
	bob, bobKey := maintainer(t, "bob", 2)
	carol, carolKey := maintainer(t, "carol", 5)
	signed := sign(t, text(t, sample()), alice, bob)
	r := sample()
	r.Version = "v0.5.1"
	signed = append(signed, lastLine(sign(t, text(t, r), carol))...)
	if _, err := Open(signed, list(t, aliceKey, bobKey, carolKey), Needed); err == nil || !strings.Contains(err.Error(), "carol") {
		t.Errorf("carol signed another release: %v", err)
	}
}

func TestMaintainers(t *testing.T) {
	_, alice := maintainer(t, "alice", 1)
	_, aliceAsBob := maintainer(t, "bob", 1)
	_, odd := maintainer(t, "Алиса", 6)
	for name, c := range map[string]struct{ list, want string }{
		"key under two names": {alice + "\n" + aliceAsBob + "\n", "has the key of alice"},
		"key twice":           {alice + "\n" + alice + "\n", "has the key of alice"},
		"name of look-alikes": {odd + "\n", "only a–z"},
		"not a key":           {"alice\n", "line 1"},
		"hash of another":     {strings.Replace(alice, "alice", "bob", 1), "line 1"},
		"comment behind":      {alice + " # alice\n", "line 1"},
		"private key":         {"\n# key\nPRIVATE+KEY+alice+00000000+AAAA\n", "line 3"},
		"long line":           {strings.Repeat("a", maxKeyLine+1), "at most"},
	} {
		if _, err := ParseMaintainers([]byte(c.list)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	m, err := ParseMaintainers([]byte("# nobody yet\r\n\n  \n"))
	if err != nil || len(m.Names()) != 0 {
		t.Errorf("%v, %v", m.Names(), err)
	}
}

// What the verifier asks: which release is this program, and for which platform?
func TestFind(t *testing.T) {
	newer := sample()
	newer.Version = "v0.6.0"
	for i := range newer.Files {
		newer.Files[i].SHA256[31] = 6
	}
	all := []Signed{{Release: sample(), By: []string{"alice", "bob"}}, {Release: newer}}
	for _, c := range []struct {
		sum               [32]byte
		version, platform string
	}{
		{[32]byte{1, 0}, "v0.5.0", "darwin/arm64"}, {[32]byte{1, 1}, "v0.5.0", "linux/amd64"}, {[32]byte{1, 1, 31: 6}, "v0.6.0", "linux/amd64"},
		{[32]byte{2, 1}, "", ""}, // no program
		{[32]byte{9}, "", ""}, {[32]byte{}, "", ""},
	} {
		s, f, ok := Find(all, c.sum)
		if ok != (c.version != "") || s.Version != c.version || f.Platform != c.platform {
			t.Errorf("%x: %s %s %v", c.sum[:2], s.Version, f.Platform, ok)
		}
	}
}

func TestCompare(t *testing.T) {
	r := sample()
	if err := r.Compare(r.Files); err != nil {
		t.Error(err)
	}
	changed := sample().Files
	changed[1].SHA256[0] ^= 1
	shorter := sample().Files
	shorter[2].Bytes--
	for name, c := range map[string]struct {
		found []File
		want  string
	}{
		"missing": {r.Files[1:], "ostraka-darwin-arm64 is missing"},
		"added":   {append(sample().Files, File{Name: "extra"}), "extra is not of the release"},
		"changed": {changed, "ostraka-darwin-arm64.cdx.json has 4000 bytes"},
		"shorter": {shorter, "ostraka-linux-amd64 has"},
		"none":    {nil, "v0.5.0"},
	} {
		if err := r.Compare(c.found); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
