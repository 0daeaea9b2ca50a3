package signet

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/ostraka/ostraka/custody/statement"
)

var update = flag.Bool("update", false, "write testdata anew")

// pen is a key of some kind, whose signatures are the same every time.
type pen struct {
	typ  string // of the armor
	key  Key
	sign func(testing.TB, Verb, statement.Statement) []byte
}

func pens(t testing.TB) []pen {
	w := newWallet(t, "alice")
	all := []pen{{accountType, w.key, w.approves}}
	for _, kind := range passkeyKinds {
		d := newDevice(t, kind, "alice")
		all = append(all, pen{passkeyType, d.key, func(t testing.TB, v Verb, s statement.Statement) []byte { return d.approves(t, v, s.Bytes()) }})
	}
	return all
}

// reclaimed says to be for another verb.
func (p pen) reclaimed(armored []byte, from, to Verb) []byte {
	block, _ := pem.Decode(armored)
	return armor(p.typ, append(claim(p.key, to).Sum(), block.Bytes[len(claim(p.key, from).Sum()):]...))
}

// A signature for one verb over one statement serves no other verb and no other statement, whatever it claims.
func TestNoSignatureServesTwice(t *testing.T) {
	type use struct {
		verb Verb
		s    statement.Statement
	}
	var all []use
	for _, k := range []statement.Kind{statement.Intent, statement.Cancel, statement.Hello, statement.Roster} {
		for _, v := range uses(k) {
			all = append(all, use{v, decision(t, k)})
		}
	}
	for _, p := range pens(t) {
		for i, made := range all {
			armored := p.sign(t, made.verb, made.s)
			for j, used := range all {
				_, err := Verify(armored, used.verb, used.s.Bytes(), []Key{p.key})
				_, forged := Verify(p.reclaimed(armored, made.verb, used.verb), used.verb, used.s.Bytes(), []Key{p.key})
				switch {
				case i == j && (err != nil || forged != nil):
					t.Errorf("%s, %s %s: %v, %v", p.key.Type(), made.verb, made.s.Kind(), err, forged)
				case i != j && (err == nil || !errors.Is(forged, ErrBytes)):
					t.Errorf("%s: %s %s serves %s %s: %v, %v", p.key.Type(), made.verb, made.s.Kind(), used.verb, used.s.Kind(), err, forged)
				}
			}
		}
	}
}

// No signature of one kind can be dressed as one of another.
func TestNoKindStandsForAnother(t *testing.T) {
	s := decision(t, statement.Intent)
	all := pens(t)
	for _, p := range all {
		block, _ := pem.Decode(p.sign(t, Approve, s))
		for _, o := range all {
			tail := block.Bytes[len(claim(p.key, Approve).Sum()):]
			for _, blob := range [][]byte{block.Bytes, append(claim(o.key, Approve).Sum(), tail...)} {
				for _, typ := range []string{passkeyType, accountType, "SSH SIGNATURE"} {
					same := typ == p.typ && o.key.Equal(p.key)
					if _, err := Verify(armor(typ, blob), Approve, s.Bytes(), []Key{o.key}); (err == nil) != same {
						t.Errorf("%s as %s in a block of %q: %v", p.key.Type(), o.key.Type(), typ, err)
					}
				}
			}
		}
	}
}

// The bytes of signatures and of what wallets are shown: a change here breaks every signature ever made.
func TestSignatureSnapshots(t *testing.T) {
	cancel := decision(t, statement.Cancel)
	files := map[string][]byte{}
	for _, p := range pens(t) {
		armored := p.sign(t, Makes(statement.Cancel), cancel)
		files[p.key.Type()+".txt"] = append([]byte(p.key.String()+"\n"), armored...)
	}
	c := PasskeyChallenge(newDevice(t, statement.Passkey256, "alice").key, Approve, message)
	files["challenge.txt"] = []byte(b64(c[:]) + "\n")
	for _, k := range statement.Kinds {
		raw, err := os.ReadFile("../statement/testdata/" + string(k) + "-two.txt")
		if err != nil {
			t.Fatal(err)
		}
		s, err := statement.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if files["typed-"+string(k)+".json"], err = TypedData(Approve, s); err != nil {
			t.Fatal(err)
		}
	}
	for name, got := range files {
		path := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s differs, %v:\n%s", path, err, got)
		}
	}
}

// fuzzSignature takes blobs inside an armor.
func fuzzSignature(f *testing.F, typ string) {
	f.Fuzz(func(t *testing.T, blob []byte) {
		sig, err := Parse(armor(typ, blob))
		if err != nil {
			return
		}
		again, err := Parse(sig.Armored())
		if err != nil || !again.Key().Equal(sig.Key()) {
			t.Fatalf("its own armor does not parse: %v", err)
		}
		if block, _ := pem.Decode(sig.Armored()); !bytes.Equal(block.Bytes, blob) {
			t.Fatal("parsed and armored again, it has other bytes")
		}
		for _, m := range [][]byte{[]byte("another message"), decision(t, statement.Hello).Bytes()} {
			if _, err := sig.Verify(Approve, m, []Key{sig.Key()}); err == nil {
				t.Fatal("it covers a message that nobody signed")
			}
		}
	})
}

func FuzzParseSignature(f *testing.F) {
	for _, s := range everySSH(f) {
		armored, err := Sign(rand.Reader, s, Approve, message)
		if err != nil {
			f.Fatal(err)
		}
		block, _ := pem.Decode(armored)
		f.Add(block.Bytes)
	}
	fuzzSignature(f, "SSH SIGNATURE")
}

func FuzzParsePasskeySignature(f *testing.F) {
	for _, kind := range passkeyKinds {
		block, _ := pem.Decode(newDevice(f, kind, "alice").approves(f, Approve, message))
		f.Add(block.Bytes)
	}
	fuzzSignature(f, passkeyType)
}

func FuzzParseEIP712Signature(f *testing.F) {
	block, _ := pem.Decode(newWallet(f, "alice").approves(f, Approve, decision(f, statement.Intent)))
	f.Add(block.Bytes)
	fuzzSignature(f, accountType)
}

// What we read of client data, others read too: Go's own reader takes names in any case, and the last of two.
func FuzzReadClientData(f *testing.F) {
	f.Add([]byte(newDevice(f, statement.Passkey256, "alice").ClientData("webauthn.get", make([]byte, 32))))
	f.Add([]byte(`{"origin":"o","type":"t","challenge":"c","crossOrigin":true,"x":{"type":[1,null]}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := readClientData(raw)
		if err != nil {
			return
		}
		var other protocol.CollectedClientData
		if json.Unmarshal(raw, &other) != nil {
			return // of a member that we pass over
		}
		if got.Type != string(other.Type) || got.Challenge != other.Challenge || got.Origin != other.Origin || got.CrossOrigin != other.CrossOrigin || other.TopOrigin != "" || other.TokenBinding != nil {
			t.Fatalf("we read %+v, Go %+v", got, other)
		}
	})
}

// A browser's answers of any bytes come to nothing but an error.
func FuzzPasskeyAnswers(f *testing.F) {
	d := newDevice(f, statement.Passkey256, "alice")
	f.Add(d.Get(make([]byte, 32)))
	f.Add(d.Create([]byte("c")))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if armored, err := FromPasskey(d.key, Approve, message, raw); err == nil {
			t.Fatalf("it approves: %s", armored)
		}
	})
}

func FuzzParseWalletSignature(f *testing.F) {
	f.Add("0x" + strings.Repeat("0a", 65))
	f.Fuzz(func(t *testing.T, text string) {
		if b, err := ParseWalletSignature(text); err == nil && len(b) != typedSize {
			t.Fatalf("%d bytes", len(b))
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add(mustKey(f, newEd25519(f)).String() + " me")
	f.Add(mustKey(f, skECDSA(f, 1)).String())
	for _, p := range pens(f) {
		f.Add(p.key.String() + " mine")
	}
	f.Fuzz(func(t *testing.T, line string) {
		k, err := ParseKey(line)
		if err != nil {
			return
		}
		if again, err := ParseKey(k.String()); err != nil || again.String() != k.String() || k.Fingerprint() == "" {
			t.Fatalf("%q becomes %q, %v", k, again, err)
		}
	})
}
