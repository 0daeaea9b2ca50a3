package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
)

var update = flag.Bool("update", false, "write the golden files anew")

// having opens the providers of these names alone; a name with a prime is the same kind with another secret.
func having(names ...string) Opener {
	return func(_ context.Context, _ string, p Provider) (KEK, error) {
		for _, n := range names {
			if k := newKEK(n); k.Name() == p.Kind {
				return k, nil
			}
		}
		return nil, ErrNoSecret
	}
}

// one is the main slot, which needs all of these kinds.
func one(kinds ...string) Slot {
	s := Slot{Name: MainSlot}
	for _, k := range kinds {
		s.Providers = append(s.Providers, Provider{Kind: k})
	}
	return s
}

func create(t *testing.T, path string, open Opener, slots ...Slot) *Box {
	t.Helper()
	b, err := CreateFile(ctx, path, label, open, rand.Reader, slots...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	b := create(t, path, having("a"), one("a"))
	sealed, err := b.Seal(label, []byte("identity seed"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := CreateFile(ctx, path, label, having("a"), rand.Reader, one("a")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("create over an existing file: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	opens := func(who string, want error) {
		t.Helper()
		b, slot, err := OpenFile(ctx, path, label, having(who), rand.Reader)
		if !errors.Is(err, want) || err != nil && want == nil {
			t.Fatalf("open: %v, want %v", err, want)
		}
		if err != nil {
			return
		}
		if got, err := b.Open(label, sealed); err != nil || string(got.Expose()) != "identity seed" || slot != MainSlot {
			t.Errorf("row after opening slot %s: %v", slot, err)
		}
	}
	rekey := func(old, renewed string) error {
		_, _, err := RekeyFile(ctx, path, label, having(old), Change{Put: []Slot{one("a")}}, having(renewed), rand.Reader)
		return err
	}
	opens("a", nil)
	opens("a'", errWrongKEK)
	if err := rekey("a'", "a"); !errors.Is(err, errWrongKEK) {
		t.Errorf("rekey with the wrong provider: %v", err)
	}
	if err := os.WriteFile(path+".new", []byte("what a crash left"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := rekey("a", "a'"); err != nil {
		t.Fatal(err)
	}
	opens("a", errWrongKEK)
	opens("a'", nil)
	if _, err := os.Lstat(path + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
	if _, _, err := OpenFile(ctx, path, label, having("tpm"), rand.Reader); !errors.Is(err, ErrNoSecret) || !strings.Contains(err.Error(), "slot main (a)") {
		t.Errorf("another provider: %v", err)
	}
	l := label
	l.Operator = []byte("someone else")
	if _, _, err := OpenFile(ctx, path, l, having("a'"), rand.Reader); err == nil {
		t.Error("another operator's key file opens")
	}
}

// Slots are alternatives: each opens, and what one needs is not asked of another.
func TestSlots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	tpm := Slot{MainSlot, []Provider{{Kind: "tpm", Params: map[string]string{"handle": "0x81000001"}}, {Kind: "words"}}}
	paper := Slot{"paper", []Provider{{Kind: "age"}}}
	made := create(t, path, having("tpm", "words", "age"), tpm, paper)
	for _, c := range []struct {
		have []string
		slot string
		want string // of the error
	}{
		{[]string{"tpm", "words"}, MainSlot, ""},
		{[]string{"age"}, "paper", ""},
		{[]string{"tpm", "words", "age"}, MainSlot, ""},
		{[]string{"tpm", "words'", "age"}, "paper", ""},
		{[]string{"tpm", "age'"}, "", "none of its 2 slots opens; slot main (tpm+words): words: its secret was not given; slot paper (age): wrong key"},
		{nil, "", "tpm: its secret was not given"},
	} {
		b, slot, err := OpenFile(ctx, path, label, having(c.have...), rand.Reader)
		if slot != c.slot || (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("having %v: slot %q, %v", c.have, slot, err)
		}
		if err == nil && !b.dek.Equal(made.dek) {
			t.Errorf("having %v: another data key", c.have)
		}
	}
	got, err := Slots(path)
	if err != nil || len(got) != 2 || got[0].Kinds() != "tpm+words" || got[0].Providers[0].String() != "tpm (handle 0x81000001)" || got[1].Name != "paper" {
		t.Errorf("slots %v, %v", got, err)
	}
}

func TestRekeySlots(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made := create(t, path, having("a", "b"), one("a"), Slot{"paper", []Provider{{Kind: "b"}}})
	rekey := func(old Opener, c Change, renewed Opener) error {
		_, _, err := RekeyFile(ctx, path, label, old, c, renewed, rand.Reader)
		return err
	}
	opens := func(who string, want string) {
		t.Helper()
		b, slot, err := OpenFile(ctx, path, label, having(who), rand.Reader)
		if slot != want || err == nil && !b.dek.Equal(made.dek) {
			t.Errorf("having %s: slot %q, %v; want %q", who, slot, err, want)
		}
	}
	// A slot whose secret nobody has at hand stays as it is.
	if err := rekey(having("b"), Change{Put: []Slot{{"card", []Provider{{Kind: "c"}}}}}, having("c")); err != nil {
		t.Fatal(err)
	}
	opens("a", MainSlot)
	opens("b", "paper")
	opens("c", "card")
	if err := rekey(having("c"), Change{Remove: []string{"paper"}, Put: []Slot{one("d")}}, having("d")); err != nil {
		t.Fatal(err)
	}
	opens("a", "")
	opens("b", "")
	opens("c", "card")
	opens("d", MainSlot)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]Change{
		"no slot":     {Remove: []string{MainSlot, "card"}},
		"not there":   {Remove: []string{"paper"}},
		"bad name":    {Put: []Slot{{"Pa per", []Provider{{Kind: "c"}}}}},
		"no provider": {Put: []Slot{{"x", nil}}},
		"no secret":   {Put: []Slot{{"x", []Provider{{Kind: "e"}}}}},
		"twice":       {Put: []Slot{{"x", []Provider{{Kind: "c"}, {Kind: "c"}}}}},
	} {
		if err := rekey(having("c"), c, having("c", "d")); err == nil {
			t.Errorf("%s: rekeyed", name)
		}
	}
	unlock, err := lockFolder(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	if err := rekey(having("c"), Change{Put: []Slot{one("d")}}, having("d")); !errors.Is(err, ErrBusy) {
		t.Errorf("two rekeys at once: %v", err)
	}
	unlock()
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
		t.Errorf("a refused change changed the file: %v", err)
	}
}

// Who can write the file but has not the data key cannot change what a slot says: a later rekey would trust it.
func TestChangedSlotsAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	age := Slot{"paper", []Provider{{Kind: "b", Params: map[string]string{"recipients": "age1ours"}}}}
	create(t, path, having("a", "b"), one("a"), age)
	raw, err := readFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*keyFile){
		"recipient":    func(k *keyFile) { k.slots[1].Providers[0].Params["recipients"] = "age1theirs" },
		"kind":         func(k *keyFile) { k.slots[1].Providers[0].Kind = "c" },
		"name":         func(k *keyFile) { k.slots[1].Name = "screen" },
		"wrapped":      func(k *keyFile) { k.wrapped[1] = []byte("other") },
		"slot removed": func(k *keyFile) { k.slots, k.wrapped = k.slots[:1], k.wrapped[:1] },
		"slot added": func(k *keyFile) {
			k.slots, k.wrapped = append(k.slots, Slot{"more", []Provider{{Kind: "c"}}}), append(k.wrapped, nil)
		},
		"mac": func(k *keyFile) { k.mac[0] ^= 1 },
	} {
		k, err := decodeFile(raw)
		if err != nil {
			t.Fatal(err)
		}
		change(&k)
		b, err := k.encode()
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenFile(ctx, path, label, having("a"), rand.Reader); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: %v, want ErrDamaged", name, err)
		}
	}
}

// Version 1 is read, and rewritten by the first rekey.
func TestVersion1(t *testing.T) {
	dek := secret.Copy(bytes.Repeat([]byte{7}, KeySize))
	wrapped, err := newKEK("a").Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	old, err := keyFile{version: 1, slots: []Slot{one("a")}, wrapped: [][]byte{wrapped}}.encode()
	if err != nil || !strings.Contains(string(old), `"version": 1,`+"\n"+`  "provider": "a"`) {
		t.Fatalf("%s, %v", old, err)
	}
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{`"version": 1`, `"version": 2`} {
		if raw, err := os.ReadFile(path); err != nil || !strings.Contains(string(raw), version) {
			t.Fatalf("want %s: %s, %v", version, raw, err)
		}
		b, slot, err := OpenFile(ctx, path, label, having("a"), rand.Reader)
		if err != nil || slot != MainSlot || !b.dek.Equal(dek) {
			t.Fatalf("%s: slot %q, %v", version, slot, err)
		}
		if _, _, err := RekeyFile(ctx, path, label, having("a"), Change{Put: []Slot{{"b", []Provider{{Kind: "b"}}}}}, having("b"), rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
}

// forgetful wraps what it can never unwrap.
type forgetful struct{ plainKEK }

func (forgetful) Unwrap(context.Context, []byte, Label) (secret.Bytes, error) {
	return secret.New(make([]byte, KeySize)), nil
}

func TestRekeyReadsBackFirst(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	create(t, path, having("a"), one("a"))
	loses := func(context.Context, string, Provider) (KEK, error) { return forgetful{newKEK("b")}, nil }
	if _, _, err := RekeyFile(ctx, path, label, having("a"), Change{Put: []Slot{one("b")}}, loses, rand.Reader); err == nil {
		t.Error("rekeyed to a provider that loses the key")
	}
	if _, _, err := OpenFile(ctx, path, label, having("a"), rand.Reader); err != nil {
		t.Errorf("the old file is gone: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestKeyFileModes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	create(t, path, having("a"), one("a"))
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o644} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if _, _, err := OpenFile(ctx, path, label, having("a"), rand.Reader); !errors.Is(err, ErrReadable) {
			t.Errorf("mode %o: %v, want ErrReadable", mode, err)
		}
	}
	if _, _, err := OpenFile(ctx, filepath.Dir(path), label, having("a"), rand.Reader); err == nil {
		t.Error("a folder was opened")
	}
	if _, _, err := OpenFile(ctx, path+".none", label, having("a"), rand.Reader); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// example is a key file with every part that the form has.
func example(t testing.TB) []byte {
	t.Helper()
	k := keyFile{
		version: 2, mac: bytes.Repeat([]byte{0xAA}, macSize), wrapped: [][]byte{[]byte("wrapped"), []byte("bytes")},
		slots: []Slot{
			{MainSlot, []Provider{{Kind: "passphrase"}, {"transit", map[string]string{"url": "https://vault.example:8200/?a=1&b=<2>", "key": "ostraka"}}}},
			{"paper", []Provider{{"age", map[string]string{"recipients": "age1x,age1y"}}}},
		},
	}
	b, err := k.encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestKeyFileGolden(t *testing.T) {
	path := filepath.Join("testdata", "key-file-v2.json")
	got := example(t)
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, got, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%v, the key file is now\n%s", err, got)
	}
}

func TestKeyFileDamage(t *testing.T) {
	old, err := keyFile{version: 1, slots: []Slot{one("a")}, wrapped: [][]byte{[]byte("wrapped bytes")}}.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, whole := range [][]byte{old, example(t)} {
		for i := range whole {
			bad := bytes.Clone(whole)
			bad[i] ^= 1
			if _, err := decodeFile(bad); err == nil {
				t.Errorf("byte %d changed and it decodes:\n%s", i, bad)
			}
		}
		for name, b := range map[string]string{
			"empty":        "",
			"null":         "null",
			"unknown name": strings.Replace(string(whole), "{", `{"x":1,`, 1),
			"twice":        strings.Replace(string(whole), "{", `{"format":"ostraka key file",`, 1),
			"other case":   strings.Replace(string(whole), `"wrapped"`, `"Wrapped"`, 1),
			"no last line": strings.TrimSuffix(string(whole), "\n"),
			"two":          string(whole) + string(whole),
		} {
			if _, err := decodeFile([]byte(b)); !errors.Is(err, ErrDamaged) {
				t.Errorf("%s: %v, want ErrDamaged", name, err)
			}
		}
	}
	newer := strings.Replace(string(old), `"version": 1`, `"version": 3`, 1)
	if _, err := decodeFile([]byte(newer)); err == nil || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "version 3") {
		t.Errorf("newer version: %v", err)
	}
}

func TestSlotForms(t *testing.T) {
	params := func(k, v string) []Slot { return []Slot{{MainSlot, []Provider{{"a", map[string]string{k: v}}}}} }
	many := map[string]string{}
	for i := range maxParams + 1 {
		many[fmt.Sprint("p", i)] = "x"
	}
	nine := []Slot{}
	for i := range MaxSlots + 1 {
		nine = append(nine, Slot{fmt.Sprint("s", i), []Provider{{Kind: "a"}}})
	}
	for name, slots := range map[string][]Slot{
		"none": nil, "nine": nine, "one name": {one("a"), one("b")}, "no kind": {one("")}, "kind": {one("A")},
		"five providers": {one("a", "b", "c", "d", "e")}, "parameter's name": params("A b", "x"), "empty": params("a", ""),
		"two lines": params("a", "x\ny"), "no text": params("a", "\xff"), "control": params("a", "\x1b[2J"), "long": params("a", strings.Repeat("x", maxParam+1)),
		"many": {{MainSlot, []Provider{{"a", many}}}}, "long name": {{strings.Repeat("x", 33), []Provider{{Kind: "a"}}}}, "begins with -": {{"-x", []Provider{{Kind: "a"}}}},
	} {
		if err := checkSlots(slots); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if err := checkSlots(append(params("recipients", "age1 é"), nine[:7]...)); err != nil {
		t.Error(err)
	}
}

func TestAllNeedsEvery(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	made := create(t, path, having("a", "b", "c"), one("a", "b", "c"))
	opened, _, err := OpenFile(ctx, path, label, having("a", "b", "c"), rand.Reader)
	if err != nil || !opened.dek.Equal(made.dek) {
		t.Fatalf("all three: %v", err)
	}
	for i := range 3 {
		names := []string{"a", "b", "c"}
		names[i] += "'"
		if _, _, err := OpenFile(ctx, path, label, having(names...), rand.Reader); !errors.Is(err, errWrongKEK) || !strings.Contains(err.Error(), fmt.Sprintf("provider %d", i+1)) {
			t.Errorf("without provider %d: %v", i+1, err)
		}
		names = append(names[:i], names[i+1:]...)
		if _, _, err := OpenFile(ctx, path, label, having(names...), rand.Reader); !errors.Is(err, ErrNoSecret) {
			t.Errorf("provider %d is not there: %v", i+1, err)
		}
	}
	for _, keks := range [][]KEK{nil, {newKEK("a")}, {newKEK("a"), newKEK("a"), newKEK("a"), newKEK("a"), newKEK("a")}} {
		if _, err := All(rand.Reader, keks...); err == nil {
			t.Errorf("%d providers were taken", len(keks))
		}
	}
}

func FuzzKeyFile(f *testing.F) {
	f.Add(example(f))
	old, err := keyFile{version: 1, slots: []Slot{one("passphrase", "tpm")}, wrapped: [][]byte{[]byte("wrapped")}}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(old)
	f.Add([]byte(`{"format":"ostraka key file","version":2,"slots":[]}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		k, err := decodeFile(in)
		if err != nil {
			return
		}
		if out, err := k.encode(); err != nil || !bytes.Equal(out, in) {
			t.Errorf("decode then encode changed %q to %q (%v)", in, out, err)
		}
	})
}
