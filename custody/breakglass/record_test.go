package breakglass_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/breakglass"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/engine/enginetest"
	"github.com/ostraka/ostraka/mpc/epoch"
)

var (
	salt    = statement.Salt{31: 0xaa}
	witness = signet.Makes(statement.Breakglass)
)

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; got\n%s", file, got)
	}
}

// rebuilt are two keys of one vault, whole, with the request that led there.
func (c *circle) rebuilt(t testing.TB) (statement.Statement, []*breakglass.Root) {
	t.Helper()
	var all []epochOf
	var roots []*breakglass.Root
	for _, suite := range []string{epoch.SuiteBIP340, epoch.SuiteEd25519} {
		e := c.keygen(t, suite)
		a := c.open(t, e).Assemble()
		for i := range 2 {
			if err := a.Operator(c.piece(e, i)); err != nil {
				t.Fatal(err)
			}
		}
		all, roots = append(all, e), append(roots, must(a.Rebuild())(t))
	}
	return must(c.request(all...).Statement(salt))(t), roots
}

// The statement that witnesses sign, the record that is published and the file with the keys, byte for byte.
func TestRecord(t *testing.T) {
	c := newCircle(t)
	s, roots := c.rebuilt(t)
	golden(t, "statement.txt", s.Bytes())
	by := must(breakglass.WitnessesOf(s, c.doc, signed(t, s, witness, "carol", "alice", "alice")))(t)
	keys := breakglass.Keys{Statement: s.ID(), Vault: "treasury", Roots: roots, Children: []hd.Path{{0, 0, 0}, {0, 3, 7}}}
	plain := must(keys.ExposeFile())(t)
	golden(t, "keys.txt", plain)
	r := must(breakglass.Finish(s, by, roots, sha256.Sum256([]byte("the file")), noon.Add(time.Hour), salt, enginetest.Reader(9)))(t)
	golden(t, "record.txt", r.Bytes())
	for _, x := range roots {
		if bytes.Contains(r.Bytes(), fmt.Appendf(nil, "%x", x.ExposePrivate())) {
			t.Error("the record holds a private key")
		}
	}
	back := must(breakglass.DecodeRecord(r.Bytes()))(t)
	req, people, err := back.Check(c.doc)
	if err != nil || req.Holder != "Acme Ltd, its treasurer" || len(people) != 2 || people[0].Person != "alice" || people[1].Organisation != "bolt" || len(back.Publics()) != 2 {
		t.Fatalf("%+v, %+v, %v", req, people, err)
	}
	c.checkAltered(t, r, roots)
}

// checkAltered: no line of a record can be another.
func (c *circle) checkAltered(t *testing.T, r breakglass.Record, roots []*breakglass.Root) {
	t.Helper()
	text := string(r.Bytes())
	for name, x := range map[string][2]string{
		"reason":       {"no node starts", "a node starts"},
		"holder":       {"Acme Ltd", "Evil Ltd"},
		"recipient":    {"age1examplefirst", "age1exampleother"},
		"piece":        {"piece: share of " + c.name(0), "piece: share of nobody"},
		"file":         {"file: ", "file: 00"},
		"time":         {"created: 2026-11-28T13:00:00Z", "created: 2026-11-28T14:00:00Z"},
		"too late":     {"created: 2026-11-28T13:00:00Z", "created: 2026-12-28T14:00:00Z"},
		"organisation": {"organisation: bolt", "organisation: cora"},
		"person":       {"witness: alice", "witness: allie"},
		"proof":        {"proof: ", "proof: 00"},
		"the line end": {"\n\n-----BEGIN", "\n-----BEGIN"},
		"armor":        {"-----END", "------END"},
		"public key":   {"public-key: " + fmt.Sprintf("%x", roots[0].Public.Bytes()), "public-key: " + fmt.Sprintf("%x", roots[0].Public.Add(roots[0].Public.Group().Generator()).Bytes())},
	} {
		altered := strings.Replace(text, x[0], x[1], 1)
		if strings.HasSuffix(x[1], ": 00") { // the value keeps its length
			at := strings.Index(text, x[0]) + len(x[0])
			altered = text[:at] + "0123" + text[at+4:]
		}
		if altered == text {
			t.Fatalf("%s: nothing is altered", name)
		}
		bad, err := breakglass.DecodeRecord([]byte(altered))
		if err == nil {
			_, _, err = bad.Check(c.doc)
		}
		if err == nil {
			t.Errorf("%s can be altered", name)
		}
	}
	swapped := r
	swapped.Signatures = slices.Clone(r.Signatures)
	slices.Reverse(swapped.Signatures)
	if _, _, err := swapped.Check(c.doc); err != nil { // names are looked up: the order says nothing, and the file has one
		t.Error(err)
	}
	swapped.Signatures = r.Signatures[:1]
	if _, _, err := swapped.Check(c.doc); err == nil {
		t.Error("one witness is enough")
	}
	other := c.doc
	other.Policy += "\n"
	if _, _, err := r.Check(other); err == nil || !strings.Contains(err.Error(), "another charter") {
		t.Errorf("under another charter: %v", err)
	}
}

// Nothing is opened before two people of two organisations of the charter signed exactly this.
func TestWitnesses(t *testing.T) {
	c := newCircle(t)
	r := c.request()
	r.Targets = []breakglass.Target{{Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Number: 4, Epoch: epoch.Hash{2}}}
	s := must(r.Statement(salt))(t)
	if got := must(breakglass.RequestOf(s))(t); got.ID != s.ID() || got.Under(c.doc, noon.Add(breakglass.Life-1)) != nil || got.Under(c.doc, noon.Add(-breakglass.Skew)) != nil {
		t.Errorf("%+v", got)
	}
	if by, err := breakglass.WitnessesOf(s, c.doc, signed(t, s, witness, "carol", "bob", "alice")); err != nil || len(by) != 3 || by[1].Person != "bob" || breakglass.Namespace() != "breakglass@ostraka/v1" {
		t.Errorf("%v, %v", by, err)
	}
	r.Reason = "another"
	other := must(r.Statement(salt))(t)
	for says, by := range map[string][][]byte{
		"0 persons of 0 organisations":                  nil,
		"1 persons of 1 organisations witness it (bob)": signed(t, s, witness, "bob", "bob"),
		"2 persons of 1 organisations":                  signed(t, s, witness, "alice", "bob"),
		"no key of a person":                            signed(t, s, witness, "alice", "mallory"),
		"dana: their keys ended":                        signed(t, s, witness, "alice", "dana"),
		"alice: signature is for another use":           signed(t, s, "approve", "alice", "carol"),
		"alice: signature does not cover":               signed(t, other, witness, "alice", "carol"),
		"signature 1: signature is malformed":           {[]byte("yes")},
	} {
		if _, err := breakglass.WitnessesOf(s, c.doc, by); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, not %q", err, says)
		}
	}
}

// What a request's fields refuse, by themselves, under the charter and in time.
func TestRequestRefuses(t *testing.T) {
	c := newCircle(t)
	made := func() breakglass.Request {
		r := c.request()
		r.Targets = []breakglass.Target{{Suite: epoch.SuiteECDSA, KeyID: [32]byte{1}, Epoch: epoch.Hash{2}}, {Suite: epoch.SuiteEd25519, KeyID: [32]byte{3}, Epoch: epoch.Hash{4}}}
		return r
	}
	for says, spoil := range map[string]func(*breakglass.Request){
		"is not the next in ascending": func(r *breakglass.Request) { slices.Reverse(r.Targets) },
		"suite: ecdsa-secp256k1":       func(r *breakglass.Request) { r.Targets[1] = r.Targets[0] },
		"suite expected":               func(r *breakglass.Request) { r.Targets = nil },
		"recipient 1 is no age1":       func(r *breakglass.Request) { r.Recipients[0] = "AGE-SECRET-KEY-1XX" },
		"recipient 2 stands twice":     func(r *breakglass.Request) { r.Recipients[1] = r.Recipients[0] },
		"encrypted needs recipients":   func(r *breakglass.Request) { r.Recipients = nil },
		"plain has none":               func(r *breakglass.Request) { r.Plain = true },
		"holder expected":              func(r *breakglass.Request) { r.Holder = "" },
		"reason expected":              func(r *breakglass.Request) { r.Reason = "" },
		"holds a line feed":            func(r *breakglass.Request) { r.Reason = "a\nholder: b" },
		"names another charter":        func(r *breakglass.Request) { r.Charter[0]++ },
		"charter: the statement":       func(r *breakglass.Request) { r.Circle = "another" },
		"has none of the name vault-2": func(r *breakglass.Request) { r.Vault = "vault-2" },
		"is in the future":             func(r *breakglass.Request) { r.Created = noon.Add(breakglass.Skew + time.Second) },
		"is more than 7 days ago":      func(r *breakglass.Request) { r.Created = noon.Add(-breakglass.Life) },
	} {
		r := made()
		spoil(&r)
		_, err := r.Statement(salt)
		if err == nil {
			err = r.Under(c.doc, noon)
		}
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "AGE-SECRET") {
			t.Errorf("%v, not %q", err, says)
		}
	}
	c.doc.Vaults[0].Suites = []string{epoch.SuiteECDSA}
	r := made()
	r.Charter = breakglass.CharterDigest(c.doc)
	if err := r.Under(c.doc, noon); err == nil || !strings.Contains(err.Error(), "has no key of suite ed25519") {
		t.Errorf("a suite that the vault has not: %v", err)
	}
	e := c.keygen(t, epoch.SuiteEd25519)
	k := c.open(t, e)
	for says, target := range map[string]breakglass.Target{
		"":                            {Suite: epoch.SuiteEd25519, KeyID: e.record.KeyID, Epoch: e.record.Hash()},
		"the statement does not name": {Suite: epoch.SuiteEd25519, KeyID: [32]byte{9}, Epoch: e.record.Hash()},
		"the statement names epoch 0": {Suite: epoch.SuiteEd25519, KeyID: e.record.KeyID, Epoch: epoch.Hash{9}},
		"the statement names epoch 3": {Suite: epoch.SuiteEd25519, KeyID: e.record.KeyID, Number: 3, Epoch: e.record.Hash()},
	} {
		r.Targets = []breakglass.Target{target}
		if err := r.Names(k); says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says)) {
			t.Errorf("%v, not %q", err, says)
		}
	}
}

// The file with the keys has one form; a line that was changed is found, and no error shows a secret.
func TestKeyFile(t *testing.T) {
	c := newCircle(t)
	s, roots := c.rebuilt(t)
	keys := breakglass.Keys{Statement: s.ID(), Vault: "treasury", Roots: roots, Children: []hd.Path{{0, 3, 7}, {}}}
	plain := must(keys.ExposeFile())(t)
	back := must(breakglass.ParseKeys(plain))(t)
	if back.Statement != s.ID() || len(back.Roots) != 2 || len(back.Children) != 2 || !bytes.Equal(back.Roots[1].ExposePrivate(), roots[1].ExposePrivate()) {
		t.Fatalf("%v", back)
	}
	if x, err := back.Roots[0].ExposeXPrv(); err != nil || !bytes.HasPrefix(x, []byte("xprv")) || len(x) != hd.XPubSize || bytes.Count(plain, x) != 1 {
		t.Errorf("no extended private key: %v", err)
	}
	if _, err := back.Roots[1].ExposeXPrv(); err == nil {
		t.Error("Ed25519 has an extended private key of BIP 32")
	}
	if _, _, err := back.Roots[0].SignEd25519(nil, nil, enginetest.Reader(1)); err == nil {
		t.Error("a key of secp256k1 signs as Ed25519")
	}
	private := fmt.Sprintf("%x", roots[0].ExposePrivate())
	for n := range plain {
		if n%7 > 0 && bytes.Count(plain[:n], []byte("\n")) > 3 {
			continue // every byte of the head, every seventh of the rest
		}
		bad := bytes.Clone(plain)
		bad[n] ^= 1
		if _, err := breakglass.ParseKeys(bad); err == nil || strings.Contains(err.Error(), private[:16]) {
			t.Errorf("byte %d can be changed, or is shown: %v", n, err)
		}
	}
	for _, bad := range [][]byte{nil, plain[:len(plain)-1], append(bytes.Clone(plain), '\n'), make([]byte, breakglass.MaxKeyFile+1)} {
		if _, err := breakglass.ParseKeys(bad); err == nil {
			t.Errorf("%d bytes are read", len(bad))
		}
	}
	back.Wipe()
	if _, err := (breakglass.Keys{Vault: "treasury"}).ExposeFile(); err == nil {
		t.Error("a file without keys")
	}
	if strings.Contains(fmt.Sprintf("%v %+v %#v", keys, keys, keys), private[:16]) {
		t.Error("it prints its keys")
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, name := range []string{"record.txt", "statement.txt"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := breakglass.DecodeRecord(b); err == nil && !bytes.Equal(r.Bytes(), b) {
			t.Errorf("%q is read, and written as %q", b, r.Bytes())
		}
	})
}

func FuzzParseKeys(f *testing.F) {
	b, err := os.ReadFile("testdata/keys.txt")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := breakglass.ParseKeys(b)
		if err != nil {
			return
		}
		if again, err := k.ExposeFile(); err != nil || !bytes.Equal(again, b) {
			t.Errorf("%q is read, and written as %q: %v", b, again, err)
		}
	})
}
