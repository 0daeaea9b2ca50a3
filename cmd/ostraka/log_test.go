package main

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/tlog"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
	"github.com/ostraka/ostraka/node/seal/passphrase"
)

// aLog is a log in memory, with what its operator and a witness sign.
type aLog struct {
	t      *testing.T
	leaves []tlog.Filed
	hashes []tlog.Hash
	signer tlog.LogSigner
	by     tlog.Cosigner
}

func newLog(t *testing.T, leaves ...tlog.Filed) *aLog {
	t.Helper()
	identity := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))
	log, _ := tlog.Derive(identity, 0)
	_, witness := tlog.Derive(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{2}, 32)), 0)
	l := &aLog{t: t, leaves: leaves}
	var err error
	if l.signer, err = tlog.NewLogSigner(tlog.Origin(identity.Public().(ed25519.PublicKey), 0), log); err != nil {
		t.Fatal(err)
	}
	if l.by, err = tlog.NewCosigner("witness.example", witness); err != nil {
		t.Fatal(err)
	}
	for i, f := range leaves {
		_, h, err := tlog.Append(int64(i), f.Leaf.Encode(), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes = append(l.hashes, h...)
	}
	return l
}

func (l *aLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *aLog) checkpoint() []byte {
	l.t.Helper()
	head, err := tlog.Root(int64(len(l.leaves)), l)
	if err != nil {
		l.t.Fatal(err)
	}
	c := tlog.Checkpoint{Origin: l.signer.Verifier().Name(), Head: head}
	signed, err := c.Sign(l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	line, err := l.by.Cosign(c, time.Unix(2e9, 0))
	if err != nil {
		l.t.Fatal(err)
	}
	signed, _, err = tlog.AddCosignature(signed, line, l.by.Witness())
	if err != nil {
		l.t.Fatal(err)
	}
	return signed
}

func (l *aLog) proof(index int64) []byte {
	l.t.Helper()
	hashes, err := tlog.ProveInclusion(int64(len(l.leaves)), index, l)
	if err != nil {
		l.t.Fatal(err)
	}
	return tlog.Proof{Extra: l.leaves[index].Leaf.Encode(), Index: index, Hashes: hashes, Checkpoint: l.checkpoint()}.Encode()
}

func at(i int) time.Time { return time.Unix(1_900_000_000+int64(i), 0).UTC() }

func someLeaves() []tlog.Filed {
	var out []tlog.Filed
	for i := range 9 {
		out = append(out, tlog.Says(tlog.KindAlarm, at(i), [32]byte{9}, fmt.Append(nil, "what is wrong: ", i)).On([32]byte{7}))
	}
	return out
}

// A proof is believed with the right keys alone, whole, and cosigned by every witness that is named.
func TestLogCheck(t *testing.T) {
	dir := alone(t)
	l := newLog(t, someLeaves()...)
	file := filepath.Join(dir, "proof")
	write := func(b []byte) {
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key, witness := l.signer.Verifier().String(), l.by.Witness().String()
	_, otherKey := tlog.Derive(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{3}, 32)), 0)
	stranger, err := tlog.NewCosigner("stranger.example", otherKey)
	if err != nil {
		t.Fatal(err)
	}
	good := l.proof(4)
	write(good)
	code, out, errs := try("log", "check", file, "--key", key, "--witness", witness, "--json")
	var d placeDocument
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != codeDone || d.Number != 4 || d.Kind != tlog.KindAlarm || d.Size != 9 || len(d.Cosigned) != 1 || d.Cosigned[0].Witness != "witness.example" {
		t.Fatalf("%d, %s, %s", code, out, errs)
	}
	if code, out, _ := try("log", "check", file, "--log-key", key); code != codeDone || !strings.Contains(out, "Entry 4 of log ostraka.log/") || strings.Contains(out, "cosigned") {
		t.Errorf("without witnesses: %d, %s", code, out)
	}
	if code, _, errs := try("log", "check", file, "--key", key, "--witness", stranger.Witness().String()); code != codeUnverified || !strings.Contains(errs, "stranger.example") {
		t.Errorf("a witness that has not cosigned: %d, %s", code, errs)
	}
	if code, _, errs := try("log", "check", file, "--key", witness); code != codeUsage || !strings.Contains(errs, "that is a witness's key; --key wants the log's, which begins ostraka.log/") {
		t.Errorf("a witness's key as the log's: %d, %s", code, errs)
	}
	if code, _, errs := try("log", "check", file, "--key", key, "--witness", key); code != codeUsage || !strings.Contains(errs, "that is a log's key; --witness wants a witness's") {
		t.Errorf("the log's key as a witness's: %d, %s", code, errs)
	}
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		write(bad)
		if code, out, errs := try("log", "check", file, "--key", key, "--witness", witness); code == codeDone || out != "" {
			t.Fatalf("bit flipped in byte %d: %d, %s, %s", i, code, out, errs)
		}
	}
	p, err := tlog.ParseProof(good)
	if err != nil {
		t.Fatal(err)
	}
	p.Extra = nil
	write(p.Encode())
	if code, _, errs := try("log", "check", file, "--key", key); code != codeUnverified || !strings.Contains(errs, "does not hold the entry's leaf") {
		t.Errorf("a proof without its leaf: %d, %s", code, errs)
	}
}

// What was opened for one reader is read by that one, whole, into a folder of its own.
func TestLogReadOpened(t *testing.T) {
	dir := alone(t)
	l := newLog(t, someLeaves()...)
	o := tlog.Opened{Origin: l.signer.Verifier().Name(), Checkpoint: l.checkpoint()}
	for _, i := range []int64{2, 5} {
		o.Leaves = append(o.Leaves, tlog.OpenedLeaf{Index: i, Filed: l.leaves[i]})
	}
	plain, err := o.Encode()
	if err != nil {
		t.Fatal(err)
	}
	mine, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	to, err := recipients(mine.Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := encryptTo(plain, to)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	file, id, wrong := put("o.age", sealed), put("mine", []byte(mine.String()+"\n")), put("other", []byte("# other\n"+other.String()+"\n"))
	if bytes.Contains(sealed, []byte("what is wrong")) {
		t.Fatal("the file shows what it holds")
	}
	if code, _, errs := try("log", "read", file, filepath.Join(dir, "x"), "-i", wrong); code != codeError || !strings.Contains(errs, "not for this key") {
		t.Errorf("another's key: %d, %s", code, errs)
	}
	shown := filepath.Join(dir, "shown")
	code, out, errs := try("log", "read", file, shown, "-i", id, "--log-key", l.signer.Verifier().String(), "--json")
	if code != codeDone || !strings.Contains(out, `"bodies": 2`) || !strings.Contains(out, `"checkpoint_verified": true`) {
		t.Fatalf("%d, %s, %s", code, out, errs)
	}
	raw, err := os.ReadFile(filepath.Join(shown, "body", "000.p", "9"))
	if err != nil {
		t.Fatal(err)
	}
	bodies, err := tlog.DecodeBodies(raw, 9)
	if err != nil {
		t.Fatal(err)
	}
	for i, b := range bodies {
		if open := i == 2 || i == 5; open != (len(b.Content) > 0) || open && !l.leaves[i].Fits(b) {
			t.Errorf("body %d: %q", i, b.Content)
		}
	}
	if code, _, errs := try("log", "read", file, shown, "-i", id); code != codeError || !strings.Contains(errs, "is not empty") {
		t.Errorf("into a folder with files: %d, %s", code, errs)
	}
	for i := 0; i < len(sealed); i += 7 {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if code, out, _ := try("log", "read", put("bad.age", bad), filepath.Join(dir, "none"), "-i", id); code == codeDone || out != "" {
			t.Fatalf("bit flipped in byte %d: %d, %s", i, code, out)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "none")); err == nil {
		t.Error("what could not be read left a folder")
	}
}

// A line says what an entry says: of a decision the verdict, of a vote whose, of an intent what it does.
func TestWordsOfEntries(t *testing.T) {
	n := names32{vaults: map[[32]byte]string{{5}: "treasury"}, people: map[string]string{}}
	s, err := intent.Cancellation{Charter: statement.ID{8}, Vault: statement.ID{5}, Intent: statement.ID{9}, Initiator: "alice", Reason: "a mistake", Created: at(1)}.Statement(statement.Salt{1})
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		f    tlog.Filed
		want string
	}{
		"statement":  {tlog.Says(tlog.KindStatement, at(1), [32]byte{5}, s.Bytes()), "cancel: initiator alice, reason a mistake, created " + statement.FormatTime(at(1))},
		"words":      {tlog.Says(tlog.KindAlarm, at(1), [32]byte{}, []byte("all is\nlost")), "all is lost"},
		"bytes":      {tlog.Says(tlog.KindRecord, at(1), [32]byte{}, []byte{0, 1, 2}), "3 bytes"},
		"an escape":  {tlog.Says(tlog.KindAlarm, at(1), [32]byte{}, []byte("\x1b[2J")), "4 bytes"},
		"no body":    {tlog.Notes(tlog.KindBurn, at(1), [32]byte{5}, [32]byte{1}), ""},
		"a word":     {tlog.Says(tlog.KindWord, at(1), [32]byte{}, make([]byte, 64)).On([32]byte{0xab}), "a node's signature over charter ab000000"},
		"an unknown": {tlog.Says("novelty", at(1), [32]byte{}, []byte("hello")), "hello"},
	} {
		e := logEntry{3, c.f}
		if got := e.words(n); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		d := e.document(n)
		if line := d.line(); strings.Count(line, "\t") != 5 || strings.ContainsAny(line, "\x1b\n") || !strings.HasPrefix(line, "3\t2030-") {
			t.Errorf("%s: %q", name, line)
		}
		full := e.full(n)
		if (full.Statement != "") != (name == "statement") || full.Leaf == "" {
			t.Errorf("%s: %+v", name, full)
		}
	}
	if got := n.vault([32]byte{5}); got != "treasury" {
		t.Errorf("the vault is %q", got)
	}
	if got := n.signature(statement.Statement{}, []byte("no signature")); got.By != "a node that is not known here" {
		t.Errorf("rubbish is signed by %q", got.By)
	}
	if _, err := n.find("nothing"); err == nil {
		t.Error("an unknown vault is found")
	}
	if id, err := n.find("treasury"); err != nil || !bytes.Equal(id, append([]byte{5}, make([]byte, 31)...)) {
		t.Errorf("treasury is %x, %v", id, err)
	}
}

// What the node shows is held to its leaf.
func TestReadEntryRefuses(t *testing.T) {
	f := tlog.Says(tlog.KindAlarm, at(1), [32]byte{}, []byte("x"))
	if _, err := readEntry(&v1.LogEntry{Index: 1, Leaf: f.Leaf.Encode(), Body: f.Body.Encode()}); err != nil {
		t.Fatal(err)
	}
	other := tlog.Says(tlog.KindAlarm, at(1), [32]byte{}, []byte("y"))
	for name, m := range map[string]*v1.LogEntry{
		"another body": {Leaf: f.Leaf.Encode(), Body: other.Body.Encode()}, "no leaf": {Body: f.Body.Encode()}, "half a body": {Leaf: f.Leaf.Encode(), Body: f.Body.Encode()[:3]},
	} {
		var p *problem
		if _, err := readEntry(m); !errors.As(err, &p) || p.Code != codeUnverified {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Without a node the data folder is read, and nothing in it changes.
func TestFsckOfAStoppedNode(t *testing.T) {
	dir := filepath.Join(alone(t), "n")
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpdJhB7cXjHPdG0PUocJmob4Qe9OVGfbqobqyA9DO7i officer@acme"
	s := node.Settings{Operator: "acme", Entity: "Acme", Link: "127.0.0.1:7700", People: "127.0.0.1:7701", Officers: []string{key}}
	entropy := strings.NewReader(strings.Repeat("entropy", 100))
	ring := keys.ByPassphrase(secret.Copy([]byte("correct horse")), entropy, passphrase.TestingOnlyCost(passphrase.Cost{Time: 1, MemoryKiB: 8, Threads: 1}))
	if _, err := node.Init(t.Context(), dir, s, ring.Open, entropy, keys.Main(seal.Provider{Kind: keys.Passphrase})); err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "store", "store.db"))
	if err != nil {
		t.Fatal(err)
	}
	if code, out, errs := try("log", "fsck", "--dir", dir, "--json"); code != codeDone || !strings.Contains(out, `"running": false`) || !strings.Contains(out, `"size": 0`) || !strings.Contains(errs, "its folder is read") {
		t.Errorf("%d, %s, %s", code, out, errs)
	}
	after, err := os.ReadFile(filepath.Join(dir, "store", "store.db"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the store changed: %v", err)
	}
	after[len(after)/2] ^= 1
	after[100] ^= 1
	if err := os.WriteFile(filepath.Join(dir, "store", "store.db"), after, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := try("log", "fsck", "--dir", dir); code != codeUnverified || !strings.Contains(errs, "next: stop the node and keep its folder") {
		t.Errorf("damaged: %d, %s", code, errs)
	}
}
