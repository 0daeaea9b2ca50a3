package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/evidence/release"
)

// try runs the tool.
func try(args ...string) (string, error) {
	var out bytes.Buffer
	err := run(context.Background(), args, &out, io.Discard)
	return out.String(), err
}

// key makes a maintainer's key with the tool.
func key(t *testing.T, name string) (path, public string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	public, err := try("keygen", "-name", name, "-out", path)
	if err != nil {
		t.Fatal(err)
	}
	return path, public
}

// folder writes an unsigned release of two files.
func folder(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	r := release.Release{Version: version, Commit: make([]byte, 20), Go: toolchain, Link: []uint64{1}, Session: []uint64{1}}
	for _, name := range []string{"ostraka-linux-amd64", "ostraka-linux-amd64.cdx.json"} {
		write(t, filepath.Join(dir, name), name+" of "+version)
		f, err := hash(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, billEnd) {
			f.Platform = "linux/amd64"
		}
		r.Files = append(r.Files, f)
	}
	s, err := r.Statement()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, noteFile), s.Text())
	write(t, filepath.Join(dir, sumsFile), string(r.Sums()))
	return dir
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// From keys to a verified release, and each thing that may be wrong with it.
func TestSignAndVerify(t *testing.T) {
	alice, aliceKey := key(t, "alice")
	bob, bobKey := key(t, "bob")
	eve, _ := key(t, "eve")
	list := filepath.Join(t.TempDir(), "MAINTAINERS")
	write(t, list, "# two\n"+aliceKey+bobKey)
	for _, c := range []struct {
		name   string
		by     []string
		damage func(dir string)
		args   []string
		want   string // of the error; empty: none
	}{
		{"signed by two", []string{alice, bob}, nil, nil, ""},
		{"signed by two, a version wanted", []string{bob, alice}, nil, []string{"-version", "v0.5.0"}, ""},
		{"signed by a stranger too", []string{eve, alice, bob}, nil, nil, ""},
		{"signed by nobody", nil, nil, nil, "2 are needed, 0 of 2"},
		{"signed by one", []string{alice}, nil, nil, "1 of 2 listed did [alice]"},
		{"signed by one where one is enough", []string{alice}, nil, []string{"-need", "1"}, ""},
		{"signed by one twice", []string{alice, alice}, nil, nil, "1 of 2 listed did [alice]"},
		{"signed by one and a stranger", []string{alice, eve}, nil, nil, "1 of 2 listed did [alice]"},
		{"another version", []string{alice, bob}, nil, []string{"-version", "v0.5.1"}, "it is release v0.5.0, not v0.5.1"},
		{"a byte of a program changed", []string{alice, bob}, func(dir string) { write(t, dir+"/ostraka-linux-amd64", "ostraka-linux-amd64 of v0.5.1") }, nil, "ostraka-linux-amd64 has"},
		{"a bill changed", []string{alice, bob}, func(dir string) { write(t, dir+"/ostraka-linux-amd64.cdx.json", "{}") }, nil, "cdx.json has 2 bytes"},
		{"a file missing", []string{alice, bob}, func(dir string) { os.Remove(dir + "/ostraka-linux-amd64.cdx.json") }, nil, "is missing"},
		{"a file added", []string{alice, bob}, func(dir string) { write(t, dir+"/ostraka-linux-386", "x") }, nil, "is not of the release"},
		{"hashes changed", []string{alice, bob}, func(dir string) { write(t, dir+"/"+sumsFile, "") }, nil, "SHA256SUMS differs"},
		{"the note changed", []string{alice, bob}, func(dir string) {
			b, _ := os.ReadFile(dir + "/" + noteFile)
			write(t, dir+"/"+noteFile, strings.Replace(string(b), "v0.5.0", "v0.5.1", 1))
		}, nil, "salt does not follow"},
	} {
		dir := folder(t, "v0.5.0")
		note := filepath.Join(dir, noteFile)
		for _, k := range c.by {
			if out, err := try("sign", "-key", k, note); err != nil || !strings.Contains(out, "signed release v0.5.0 of commit 00") {
				t.Fatalf("%s: %s%v", c.name, out, err)
			}
		}
		if c.damage != nil {
			c.damage(dir)
		}
		out, err := try(append(append([]string{"verify", "-maintainers", list}, c.args...), note)...)
		if c.want == "" && (err != nil || !strings.Contains(out, "all 2 files")) || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %s%v", c.name, out, err)
		}
	}
}

// One program, by its hash and whatever its name.
func TestVerifyProgram(t *testing.T) {
	alice, public := key(t, "alice")
	list := filepath.Join(t.TempDir(), "MAINTAINERS")
	write(t, list, public)
	dir := folder(t, "v0.5.0")
	note := filepath.Join(dir, noteFile)
	if _, err := try("sign", "-key", alice, note); err != nil {
		t.Fatal(err)
	}
	mine, other := filepath.Join(t.TempDir(), "ostraka"), filepath.Join(t.TempDir(), "ostraka-linux-amd64")
	write(t, mine, "ostraka-linux-amd64 of v0.5.0")
	write(t, other, "ostraka-linux-amd64 of v0.5.1")
	out, err := try("verify", "-need", "1", "-maintainers", list, note, mine)
	if err != nil || !strings.Contains(out, "signed by alice\n") || !strings.HasSuffix(out, mine+" is ostraka-linux-amd64, for linux/amd64\n") {
		t.Errorf("%s%v", out, err)
	}
	for _, p := range []string{other, filepath.Join(dir, "ostraka-linux-amd64.cdx.json")} {
		if _, err := try("verify", "-need", "1", "-maintainers", list, note, p); err == nil || !strings.Contains(err.Error(), "unknown program") {
			t.Errorf("%s: %v", p, err)
		}
	}
	if _, err := try("verify", "-maintainers", "../../MAINTAINERS", note); err == nil || !strings.Contains(err.Error(), "lists no maintainer") {
		t.Errorf("the list of nobody: %v", err)
	}
}

// A maintainer signs what their own machine built, and nothing that nobody can build again.
func TestSignRefuses(t *testing.T) {
	alice, _ := key(t, "alice")
	open := filepath.Join(t.TempDir(), "open")
	text, err := os.ReadFile(alice)
	if err != nil {
		t.Fatal(err)
	}
	write(t, open, string(text))
	changed := folder(t, "v0.5.0")
	write(t, filepath.Join(changed, "ostraka-linux-amd64"), "another build")
	for name, c := range map[string]struct{ key, dir, want string }{
		"other files beside it":  {alice, changed, "not signed"},
		"a changed source":       {alice, folder(t, "v0.5.0-dirty"), "nobody signs it"},
		"a key that others read": {open, folder(t, "v0.5.0"), "chmod 600"},
		"no key":                 {"", folder(t, "v0.5.0"), "keygen makes one"},
		"what is no key":         {filepath.Join(folder(t, "v0.5.0"), noteFile), folder(t, "v0.5.0"), "release.note"},
		"no note":                {alice, t.TempDir(), "no such file"},
	} {
		before, _ := os.ReadFile(filepath.Join(c.dir, noteFile))
		if _, err := try("sign", "-key", c.key, filepath.Join(c.dir, noteFile)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if after, _ := os.ReadFile(filepath.Join(c.dir, noteFile)); !bytes.Equal(before, after) {
			t.Errorf("%s: the note changed", name)
		}
	}
}

func TestKeygen(t *testing.T) {
	path, public := key(t, "alice")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	private, err := os.ReadFile(path)
	if err != nil || !strings.HasPrefix(string(private), "PRIVATE+KEY+alice+") || !strings.HasPrefix(public, "alice+") {
		t.Errorf("%v, %s", err, public)
	}
	if _, err := try("keygen", "-name", "alice", "-out", path); err == nil {
		t.Error("a key was overwritten")
	}
	if again, _ := os.ReadFile(path); !bytes.Equal(again, private) {
		t.Error("the key has changed")
	}
	for _, name := range []string{"", "Alice", "al ice", "a+b", "алиса"} {
		at := filepath.Join(t.TempDir(), "key")
		if _, err := try("keygen", "-name", name, "-out", at); err == nil {
			t.Errorf("a key for %q", name)
		}
		if _, err := os.Stat(at); err == nil {
			t.Errorf("%q: a file was written", name)
		}
	}
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{{}, {"dance"}, {"sign"}, {"verify"}, {"keygen", "more"}, {"build", "more"}, {"build", "-platforms", "plan9/386"}, {"sign", "-nope"}} {
		if out, err := try(args...); err == nil || out != "" {
			t.Errorf("%q: %q, %v", args, out, err)
		}
	}
}

// The list in the repository can be read.
func TestMaintainers(t *testing.T) {
	text, err := os.ReadFile("../../MAINTAINERS")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := release.ParseMaintainers(text); err != nil {
		t.Error(err)
	}
}
