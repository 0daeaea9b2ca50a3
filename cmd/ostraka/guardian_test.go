package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/ostraka/ostraka/custody/guardian"
)

// passphraseIn writes a passphrase file.
func passphraseIn(t *testing.T, dir, text string) string {
	t.Helper()
	path := filepath.Join(dir, "passphrase-"+text[:3])
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A guardian makes a key with no node and no context, sees its card, and opens the file again with what locked it and nothing else.
func TestGuardianInit(t *testing.T) {
	dir := alone(t)
	file, pass := filepath.Join(dir, "guardian.age"), passphraseIn(t, dir, "correct horse battery")
	code, out, errs := try("guardian", "init", file, "--passphrase-file", pass, "--json")
	want(t, "init", code, codeDone, out+errs)
	var doc guardianDocument
	if err := json.Unmarshal([]byte(out), &doc); err != nil || doc.File != file || errs != "" {
		t.Fatalf("%v, %q, %q", err, out, errs)
	}
	c, err := guardian.ParseCard(doc.Card)
	if err != nil || c.Encryption().String() != doc.EncryptionKey || !strings.HasPrefix(doc.SigningKey, "ssh-ed25519 ") || !strings.HasPrefix(doc.Fingerprint, "SHA256:") || len(doc.Party) != 32 {
		t.Errorf("%+v, %v", doc, err)
	}
	sealed, err := os.ReadFile(file)
	if err != nil || !bytes.HasPrefix(sealed, []byte("-----BEGIN AGE ENCRYPTED FILE-----\n")) {
		t.Fatalf("%q, %v", sealed, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}

	code, out, errs = try("guardian", "card", file, "--passphrase-file", pass)
	want(t, "card of the file", code, codeDone, out+errs, doc.Card, doc.Fingerprint, doc.EncryptionKey)
	code, out, errs = try("guardian", "card", file, "--passphrase-file", passphraseIn(t, dir, "wrong horse battery"))
	want(t, "a wrong passphrase", code, codeError, out+errs, "wrong passphrase", "second copy")
	code, out, errs = try("guardian", "card", file, "--passphrase-file", pass, "-i", pass)
	want(t, "a key and a passphrase", code, codeUsage, out+errs, "opens with a passphrase")
	code, out, errs = try("guardian", "init", file, "--passphrase-file", pass)
	want(t, "again", code, codeError, out+errs, "is not written over")
	code, out, errs = try("guardian", "init", filepath.Join(dir, "no", "guardian.age"), "--passphrase-file", pass)
	want(t, "no folder", code, codeError, out+errs, "there is no folder", "make the folder first")
	if again, err := os.ReadFile(file); err != nil || !bytes.Equal(again, sealed) {
		t.Errorf("the file was written over: %v", err)
	}
	if err := os.WriteFile(file, append(bytes.Clone(sealed[:100]), append([]byte("AAAA"), sealed[104:]...)...), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = try("guardian", "card", file, "--passphrase-file", pass)
	if code == codeDone {
		t.Errorf("a spoilt file opens: %s%s", out, errs)
	}
	code, out, errs = try("guardian", "init", filepath.Join(dir, "other.age"), "--passphrase-file", pass)
	want(t, "in words", code, codeDone, out+errs, "Your key is in ", "ostraka-guardian1", "Send the card", "second stick", "guardian card")
}

// Nobody's passphrase of a node locks a guardian's key unseen.
func TestGuardianHeedsNoVariable(t *testing.T) {
	dir := alone(t)
	t.Setenv(passphraseVariable, passphraseIn(t, dir, "correct horse battery"))
	file := filepath.Join(dir, "guardian.age")
	code, out, errs := try("guardian", "init", file)
	want(t, "no terminal", code, codeUsage, out+errs, "no terminal", "--passphrase-file FILE")
	if strings.Contains(errs, passphraseVariable) {
		t.Errorf("it names a variable that it does not heed: %s", errs)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a key was made")
	}
}

func TestGuardianRecipient(t *testing.T) {
	dir := alone(t)
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	own, others, empty := filepath.Join(dir, "own"), filepath.Join(dir, "others"), filepath.Join(dir, "empty")
	for path, text := range map[string]string{own: "# mine\n" + id.String() + "\n", others: other.String() + "\n", empty: "# none\n"} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "guardian.age")
	code, out, errs := try("guardian", "init", file, "--recipient", id.Recipient().String(), "--json")
	want(t, "init", code, codeDone, out+errs)
	var doc guardianDocument
	if err := json.Unmarshal([]byte(out), &doc); err != nil {
		t.Fatal(err)
	}
	code, out, errs = try("guardian", "card", file, "-i", own)
	want(t, "its key", code, codeDone, out+errs, doc.Card)
	code, out, errs = try("guardian", "card", file, "-i", others)
	want(t, "another's key", code, codeError, out+errs, "wrong passphrase or private key")
	code, out, errs = try("guardian", "card", file)
	want(t, "no key", code, codeUsage, out+errs, "give its private key, -i FILE")
	code, out, errs = try("guardian", "card", file, "-i", empty)
	want(t, "a file without a key", code, codeUsage, out+errs, "wants a private key of age or SSH")
	for name, x := range map[string][2]string{
		"a private key":  {id.String(), "is given a private key"},
		"a plugin's key": {"AGE-PLUGIN-YUBIKEY-1QQQ", "is given a private key"},
		"a word":         {"alice", "is no age1… recipient"},
		"mistyped":       {id.Recipient().String()[:40], "is no age1… recipient"},
	} {
		code, out, errs := try("guardian", "init", filepath.Join(dir, "new.age"), "--recipient", x[0])
		want(t, name, code, codeUsage, out+errs, x[1])
		if strings.Contains(out+errs, id.String()) {
			t.Errorf("%s: it is shown", name)
		}
	}
	code, out, errs = try("guardian", "init", filepath.Join(dir, "new.age"), "--recipient", id.Recipient().String(), "--passphrase-file", own)
	want(t, "both", code, codeUsage, out+errs, "one of the two")
}

// A plugin's recipient runs the plugin's program, and says whose it is if it is not there.
func TestGuardianPlugin(t *testing.T) {
	dir := alone(t)
	t.Setenv("PATH", dir)
	recipient := "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt"
	code, out, errs := try("guardian", "init", filepath.Join(dir, "guardian.age"), "--recipient", recipient)
	want(t, "no plugin", code, codeError, out+errs, "yubikey")
	if _, err := os.Stat(filepath.Join(dir, "guardian.age")); err == nil {
		t.Error("a file was written that nobody can open")
	}
}

func TestGuardianCard(t *testing.T) {
	dir := alone(t)
	seed := sha256.Sum256([]byte("first"))
	k, err := guardian.FromSeed(seed[:])
	if err != nil {
		t.Fatal(err)
	}
	c, err := k.Card()
	if err != nil {
		t.Fatal(err)
	}
	code, out, errs := try("guardian", "card", c.String())
	want(t, "a card", code, codeDone, out+errs, c.String(), "SHA256:", "The card is whole")
	file := filepath.Join(dir, "card.txt")
	if err := os.WriteFile(file, []byte("\n"+c.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = try("guardian", "card", file, "--json")
	want(t, "a file with a card", code, codeDone, out+errs, `"card"`, c.String())
	wrong := c.String()[:100] + map[bool]string{true: "A", false: "B"}[c.String()[100] != 'A'] + c.String()[101:]
	code, out, errs = try("guardian", "card", wrong)
	want(t, "mistyped", code, codeUnverified, out+errs, "checksum", "send the line again")
	code, out, errs = try("guardian", "card", filepath.Join(dir, "nothing"))
	want(t, "no file", code, codeError, out+errs, "no such file")
	code, out, errs = try("guardian")
	want(t, "no command", code, codeUsage, out+errs, "card, init")
}
