package tlog

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"
)

const origin = "ostraka.example/node/1"

// private is a key for tests.
func private(i byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{i}, ed25519.SeedSize))
}

func public(i byte) ed25519.PublicKey { return private(i).Public().(ed25519.PublicKey) }

func logSigner(t testing.TB) LogSigner {
	t.Helper()
	s, err := NewLogSigner(origin, private(1))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func cosigner(t testing.TB, i byte) Cosigner {
	t.Helper()
	c, err := NewCosigner(fmt.Sprintf("witness.example/%d", i), private(i))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// checkpoint is a signed checkpoint of a head.
func checkpoint(t testing.TB, h Head, extensions ...string) []byte {
	t.Helper()
	signed, err := Checkpoint{origin, h, extensions}.Sign(logSigner(t))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

// cosign adds a cosignature.
func cosign(t testing.TB, signed []byte, c Cosigner, at int64) []byte {
	t.Helper()
	cp, _, err := OpenCheckpoint(signed, logSigner(t).Verifier(), nil)
	if err != nil {
		t.Fatal(err)
	}
	line, err := c.Cosign(cp, time.Unix(at, 0))
	if err != nil {
		t.Fatal(err)
	}
	return append(bytes.Clone(signed), line...)
}

var sampleHead = Head{20852163, Hash{1, 2, 3}}

// The bytes that logs and witnesses sign do not change.
func TestCheckpointSnapshot(t *testing.T) {
	signed := cosign(t, checkpoint(t, sampleHead, "an extension"), cosigner(t, 2), 1_679_315_147)
	const want = "ostraka.example/node/1\n20852163\nAQIDAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\nan extension\n\n" +
		"— ostraka.example/node/1 ImRlXx0NUzhG8rQFzAB2H3HDG+MhUg1pas+w4wk13HihCfpmEdmaPfaJgNOdlCwhIxxlrXf6y1eLyhoVLeyTsCF18gI=\n" +
		"— witness.example/2 1kDA0gAAAABkGFDLfiSfNFp+A0uGA8iALxEQcal99wqGeJ7sykALnkKBF0kmgeoTyTYdyTakz0w1GuRtoAzzULKfN2GH0afkrAsMCg==\n"
	if string(signed) != want {
		t.Errorf("got\n%s", signed)
	}
	for _, c := range []struct{ got, want string }{
		{logSigner(t).Verifier().String(), "ostraka.example/node/1+2264655f+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c"},
		{cosigner(t, 2).Witness().String(), "witness.example/2+d640c0d2+BIE5dw6ofRdfVqNUZsNMfszLjYqRtO43ol32D1uPybOU"},
		{string(cosignedMessage([]byte("body\n"), 1_679_315_147)), "cosignature/v1\ntime 1679315147\nbody\n"},
	} {
		if c.got != c.want {
			t.Errorf("got %s", c.got)
		}
	}
}

// The examples of C2SP tlog-checkpoint and tlog-cosignature: text that we did not write.
func TestPublishedExample(t *testing.T) {
	const note = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n" +
		"— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n" +
		"— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
	n, err := splitNote([]byte(note))
	if err != nil || !bytes.Equal(n.encode(), []byte(note)) || len(n.lines) != 2 {
		t.Fatalf("%v, %d lines", err, len(n.lines))
	}
	c, err := ParseCheckpoint(n.body)
	if err != nil || c.Origin != "example.com/behind-the-sofa" || c.Head.Size != 20852163 || !bytes.Equal(c.Encode(), n.body) {
		t.Errorf("%+v, %v", c, err)
	}
	// The time of the second line is in the text of the specification.
	w := n.lines[1]
	if w.name != "witness.example.com/w1" || len(w.signature) != 72 || binary.BigEndian.Uint64(w.signature) != 1679315147 {
		t.Errorf("%+v", w)
	}
}

func TestOpenCheckpoint(t *testing.T) {
	log := logSigner(t).Verifier()
	a, b := cosigner(t, 2), cosigner(t, 3)
	signed := cosign(t, checkpoint(t, sampleHead), a, 1000)
	signed = cosign(t, signed, b, 2000)
	signed = append(signed, cosigner(t, 4).witness.line(make([]byte, 72))...) // of a witness that we do not know
	signed = cosign(t, signed, a, 3000)
	c, cosigned, err := OpenCheckpoint(signed, log, []Witness{b.Witness(), a.Witness()})
	if err != nil || c.Origin != origin || c.Head != sampleHead || c.Extensions != nil {
		t.Fatalf("%+v, %v", c, err)
	}
	want := []Cosigned{{"witness.example/2", time.Unix(3000, 0).UTC()}, {"witness.example/3", time.Unix(2000, 0).UTC()}}
	if !slices.Equal(cosigned, want) {
		t.Errorf("got %v, want %v", cosigned, want)
	}
	if _, cosigned, err := OpenCheckpoint(signed, log, nil); err != nil || cosigned != nil {
		t.Errorf("without witnesses: %v, %v", cosigned, err)
	}
}

// Three bits of every byte are flipped, one at a time: nothing opens with the log's and the
// witness's word.
func TestEveryByteOfACheckpointCounts(t *testing.T) {
	log, w := logSigner(t).Verifier(), cosigner(t, 2)
	signed := cosign(t, checkpoint(t, sampleHead, "extension"), w, 1000)
	if _, _, err := OpenCheckpoint(signed, log, []Witness{w.Witness()}); err != nil {
		t.Fatal(err)
	}
	for i := range signed {
		for _, bit := range []byte{1, 2, 0x20} {
			bad := bytes.Clone(signed)
			bad[i] ^= bit
			c, cosigned, err := OpenCheckpoint(bad, log, []Witness{w.Witness()})
			if err == nil && len(cosigned) == 1 {
				t.Errorf("byte %d, bit %#x: opened as %+v", i, bit, c)
			}
		}
	}
}

func TestWrongSignaturesAreNamed(t *testing.T) {
	log, w := logSigner(t).Verifier(), cosigner(t, 2)
	good := checkpoint(t, sampleHead)
	forged := func(k noteKey, n int) []byte { return append(bytes.Clone(good), k.line(make([]byte, n))...) }
	for name, c := range map[string]struct {
		signed []byte
		key    string
		line   int
	}{
		"second line of the log": {forged(log.noteKey, 64), log.label(), 6},
		"witness":                {forged(w.witness.noteKey, 72), w.witness.label(), 6},
		"short cosignature":      {forged(w.witness.noteKey, 64), w.witness.label(), 6},
		"time beyond 2⁴⁰":        {append(bytes.Clone(good), lateLine(w, good)...), w.witness.label(), 6},
	} {
		var wrong *SignatureError
		_, _, err := OpenCheckpoint(c.signed, log, []Witness{w.Witness()})
		if !errors.As(err, &wrong) || wrong.Key != c.key || wrong.Line != c.line {
			t.Errorf("%s: %v", name, err)
		}
	}
	var unsigned *UnsignedError
	other, err := NewLogVerifier(origin, public(9))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := OpenCheckpoint(good, other, nil); !errors.As(err, &unsigned) || unsigned.Key != other.label() {
		t.Errorf("of another key: %v", err)
	}
	if _, _, err := OpenCheckpoint(good, LogVerifier{}, nil); !errors.As(err, &unsigned) {
		t.Errorf("of no key: %v", err)
	}
	// A witness's signature is not the log's, though the key is the same.
	same, err := NewCosigner(origin, private(1))
	if err != nil {
		t.Fatal(err)
	}
	n, err := splitNote(cosign(t, good, same, 1000))
	if err != nil {
		t.Fatal(err)
	}
	n.lines = n.lines[1:]
	if _, _, err := OpenCheckpoint(n.encode(), log, nil); !errors.As(err, &unsigned) {
		t.Errorf("cosigned by the log's key alone: %v", err)
	}
}

// lateLine is a valid signature of a time that nobody means.
func lateLine(w Cosigner, signed []byte) []byte {
	n, _ := splitNote(signed)
	const at = maxTime + 1
	sig, _ := w.sign(cosignedMessage(n.body, at))
	return w.witness.line(append(binary.BigEndian.AppendUint64(nil, at), sig...))
}

// S + ℓ in place of S: a second signature of one text, which lax verifiers take.
func TestMalleatedSignature(t *testing.T) {
	log := logSigner(t).Verifier()
	body := Checkpoint{Origin: origin, Head: sampleHead}.Encode()
	signature := ed25519.Sign(private(1), body)
	if !log.Verify(body, signature) {
		t.Fatal("the signature itself is refused")
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := slices.Clone(signature[32:])
	slices.Reverse(s)
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	slices.Reverse(sum)
	copy(signature[32:], sum)
	if log.Verify(body, signature) {
		t.Error("S + ℓ is taken")
	}
}

func TestWitnessesThatAreNotDistinct(t *testing.T) {
	log, signed := logSigner(t).Verifier(), checkpoint(t, sampleHead)
	a := cosigner(t, 2).Witness()
	again, err1 := NewWitness("another.example", public(2))
	self, err2 := NewWitness("self.example", public(1))
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	if _, _, err := OpenCheckpoint(signed, log, []Witness{a, again}); err == nil || !strings.Contains(err.Error(), "same key") {
		t.Errorf("one key under two names: %v", err)
	}
	if _, _, err := OpenCheckpoint(signed, log, []Witness{self}); err == nil || !strings.Contains(err.Error(), "key of the log") {
		t.Errorf("the log as its own witness: %v", err)
	}
	// Two keys of one name, as while a witness changes its key, are one witness.
	next, err := NewCosigner(a.Name(), private(3))
	if err != nil {
		t.Fatal(err)
	}
	both := cosign(t, cosign(t, signed, cosigner(t, 2), 5), next, 4)
	_, cosigned, err := OpenCheckpoint(both, log, []Witness{a, next.Witness()})
	if err != nil || len(cosigned) != 1 || cosigned[0].Time.Unix() != 5 {
		t.Errorf("%v, %v", cosigned, err)
	}
}

// A key that serves two logs does not make one's checkpoint the other's.
func TestAnotherOrigin(t *testing.T) {
	body := Checkpoint{Origin: "other.example", Head: sampleHead}.Encode()
	v := logSigner(t).Verifier()
	signed := slices.Concat(body, []byte("\n"), v.line(ed25519.Sign(private(1), body)))
	var format *FormatError
	if _, _, err := OpenCheckpoint(signed, v, nil); !errors.As(err, &format) || format.Field != "origin" {
		t.Errorf("%v", err)
	}
}

func TestCheckpointsThatAreRefused(t *testing.T) {
	root := Hash{1}.String()
	if _, err := ParseCheckpoint([]byte("o\n1\n" + root + "\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := ParseCheckpoint([]byte("o\n281474976710656\n" + root + "\n")); err != nil {
		t.Errorf("2⁴⁸: %v", err)
	}
	for body, field := range map[string]string{
		"":                               "body",
		"o\n1\n":                         "body",
		"o\n1\n" + root:                  "body",
		"\n1\n" + root + "\n":            "origin",
		"o o\n1\n" + root + "\n":         "origin",
		"o+o\n1\n" + root + "\n":         "origin",
		"\xff\n1\n" + root + "\n":        "origin",
		"o\x7f\u2028\n1\n" + root + "\n": "origin",
		strings.Repeat("o", 256) + "\n1\n" + root + "\n":                      "origin",
		"o\n01\n" + root + "\n":                                               "size",
		"o\n+1\n" + root + "\n":                                               "size",
		"o\n-1\n" + root + "\n":                                               "size",
		"o\n\n" + root + "\n":                                                 "size",
		"o\n1 \n" + root + "\n":                                               "size",
		"o\n281474976710657\n" + root + "\n":                                  "size",
		"o\n18446744073709551617\n" + root + "\n":                             "size",
		"o\n1\n" + root[:43] + "\n":                                           "root",
		"o\n1\n" + root + "A\n":                                               "root",
		"o\n1\n" + base64.StdEncoding.EncodeToString(make([]byte, 31)) + "\n": "root",
		"o\n1\n" + root[:42] + "B=\n":                                         "root", // bits that no byte holds
		"o\n1\n" + root + "\n\n":                                              "extension",
		"o\n1\n" + root + "\na\n\nb\n":                                        "extension",
		"o\n1\n" + root + "\na\rb\n":                                          "extension",
		"o\n1\n" + root + "\n" + strings.Repeat("a", MaxNote) + "\n":          "body",
	} {
		var format *FormatError
		if c, err := ParseCheckpoint([]byte(body)); !errors.As(err, &format) || format.Field != field {
			t.Errorf("%.80q: %+v, %v, want a wrong %s", body, c, err, field)
		}
	}
	if _, err := ParseCheckpoint([]byte("o\n0\n" + root + "\n")); !errors.Is(err, ErrEmptyRoot) {
		t.Errorf("size 0 with another root: %v", err)
	}
	if c, err := ParseCheckpoint(Checkpoint{Origin: "o", Head: Empty}.Encode()); err != nil || c.Head != Empty {
		t.Errorf("the empty tree: %+v, %v", c, err)
	}
}

// Nothing is signed that does not read back as itself.
func TestCheckpointsThatAreNotSigned(t *testing.T) {
	s, w := logSigner(t), cosigner(t, 2)
	for name, c := range map[string]Checkpoint{
		"extension of two lines": {origin, sampleHead, []string{"a\nb"}},
		"empty extension":        {origin, sampleHead, []string{""}},
		"size":                   {origin, Head{MaxSize + 1, Hash{1}}, nil},
		"negative size":          {origin, Head{-1, Hash{1}}, nil},
		"root of size 0":         {origin, Head{0, Hash{1}}, nil},
	} {
		if signed, err := c.Sign(s); err == nil {
			t.Errorf("%s: signed %q", name, signed)
		}
		if line, err := w.Cosign(c, time.Unix(1, 0)); err == nil {
			t.Errorf("%s: cosigned %q", name, line)
		}
	}
	good := Checkpoint{origin, sampleHead, nil}
	if _, err := (Checkpoint{"other.example", sampleHead, nil}).Sign(s); err == nil {
		t.Error("signed another log's checkpoint")
	}
	if _, err := good.Sign(LogSigner{}); err == nil {
		t.Error("signed without a key")
	}
	if _, err := (Cosigner{}).Cosign(good, time.Unix(1, 0)); err == nil {
		t.Error("cosigned without a key")
	}
	for _, at := range []int64{-1, maxTime + 1} {
		if _, err := w.Cosign(good, time.Unix(at, 0)); err == nil {
			t.Errorf("cosigned at %d", at)
		}
	}
}

func TestKeys(t *testing.T) {
	v, w := logSigner(t).Verifier(), cosigner(t, 2).Witness()
	if got, err := ParseLogVerifier(v.String()); err != nil || got != v || !got.Public().Equal(public(1)) || got.Name() != origin {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := ParseWitness(w.String()); err != nil || got != w {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := ParseWitness(v.String()); err == nil {
		t.Error("a log's vkey is a witness's")
	}
	if _, err := ParseLogVerifier(w.String()); err == nil {
		t.Error("a witness's vkey is a log's")
	}
	s := v.String()
	id := fmt.Sprintf("%08x", v.KeyHash())
	for name, vkey := range map[string]string{
		"empty": "", "name alone": origin, "no name": s[len(origin):], "no key": origin + "+" + id, "other name": "x" + s,
		"other ID": strings.Replace(s, id, "00000000", 1), "capitals": strings.Replace(s, id, strings.ToUpper(id), 1),
		"short ID": strings.Replace(s, id, id[1:], 1), "key cut": s[:len(s)-4], "more": s + "AAAA", "space": s + "\n", "long": s + strings.Repeat("A", 1000),
	} {
		if got, err := ParseLogVerifier(vkey); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	noncanonical := bytes.Repeat([]byte{0xff}, 32)
	noncanonical[0], noncanonical[31] = 0xf0, 0x7f
	for name, key := range map[string]ed25519.PublicKey{
		"short": public(1)[:31], "order 1": append([]byte{1}, make([]byte, 31)...), "order 4": make([]byte, 32), "second encoding": noncanonical, "none": nil,
	} {
		if _, err := NewLogVerifier("o", key); err == nil {
			t.Errorf("log: %s", name)
		}
		if _, err := NewWitness("o", key); err == nil {
			t.Errorf("witness: %s", name)
		}
	}
	for _, name := range []string{"", "a b", "a+b", "a\n", "a\u00a0b", "\x01", "\xff", "a\x7f", "a\u009b2J", "a\u202eb", "a\u2066b", "a\u200bb", "a\ufe0f", "e\u0301", strings.Repeat("a", MaxName+1)} {
		if _, err := NewLogVerifier(name, public(1)); err == nil {
			t.Errorf("log named %q", name)
		}
		if _, err := NewCosigner(name, private(1)); err == nil {
			t.Errorf("witness named %q", name)
		}
	}
	mixed := slices.Concat(private(1).Seed(), public(2))
	for name, key := range map[string]ed25519.PrivateKey{"short": private(1)[:63], "two keys": ed25519.PrivateKey(mixed), "none": nil} {
		if _, err := NewLogSigner("o", key); err == nil {
			t.Errorf("log: %s", name)
		}
		if _, err := NewCosigner("o", key); err == nil {
			t.Errorf("witness: %s", name)
		}
	}
}

// Whatever prints a signer, prints no key.
func TestSignersPrintNoKey(t *testing.T) {
	seed := private(1).Seed()
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s"} {
		text := fmt.Sprintf(verb, logSigner(t))
		for _, secret := range []string{fmt.Sprintf("%x", seed), fmt.Sprintf("%v", seed), string(seed)} {
			if strings.Contains(text, strings.Trim(secret, "[]")) {
				t.Errorf("%s prints the key", verb)
			}
		}
	}
}

func TestNotesThatAreRefused(t *testing.T) {
	good := string(checkpoint(t, sampleHead))
	line := good[strings.Index(good, "— "):]
	body := good[:strings.Index(good, "— ")]
	if n, err := splitNote([]byte(body + strings.Repeat(line, 100))); err != nil || len(n.lines) != 100 {
		t.Fatalf("100 signatures: %v", err)
	}
	for name, note := range map[string]string{
		"empty": "", "no signatures": body, "no empty line": strings.Replace(good, "\n\n", "\n", 1), "no newline": good[:len(good)-1],
		"hyphen": body + "-" + strings.TrimPrefix(line, "—"), "no space": body + "—" + strings.TrimPrefix(line, "— "),
		"no name": body + "—  " + line[strings.LastIndex(line, " ")+1:], "plus": body + strings.Replace(line, "node", "no+de", 1),
		"no base64": body + "— name !!!!\n", "short": body + "— name AAAAAA==\n", "spare bits": body + "— name AAAAAAB=\n",
		"carriage return": body + strings.Replace(line, "\n", "\r\n", 1), "control": "\x00" + good, "not UTF-8": "\xff" + good,
		"101 signatures": body + strings.Repeat(line, 101), "long": strings.Repeat("x", MaxNote) + good,
	} {
		var format *FormatError
		if _, err := splitNote([]byte(note)); !errors.As(err, &format) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAddCosignature(t *testing.T) {
	log, a, b := logSigner(t).Verifier(), cosigner(t, 2), cosigner(t, 3)
	base := checkpoint(t, sampleHead)
	lineOf := func(c Cosigner, at int64) []byte { return cosign(t, base, c, at)[len(base):] }
	answer := slices.Concat(lineOf(b, 7), lineOf(a, 6), lineOf(a, 5)) // b's is not asked for
	signed, cosigned, err := AddCosignature(cosign(t, base, a, 4), answer, a.Witness())
	if want := (Cosigned{"witness.example/2", time.Unix(6, 0).UTC()}); err != nil || cosigned != want {
		t.Fatalf("%v, %v", cosigned, err)
	}
	if !bytes.Equal(signed, slices.Concat(base, lineOf(a, 6))) {
		t.Errorf("got\n%s", signed)
	}
	if _, all, err := OpenCheckpoint(signed, log, []Witness{a.Witness(), b.Witness()}); err != nil || len(all) != 1 {
		t.Errorf("%v, %v", all, err)
	}
	if _, cosigned, err := AddCosignature(base, slices.Concat(lineOf(a, 5), lineOf(a, 6)), a.Witness()); err != nil || cosigned.Time.Unix() != 6 {
		t.Errorf("the later one last: %v, %v", cosigned, err)
	}
	var unsigned *UnsignedError
	if _, _, err := AddCosignature(base, lineOf(b, 7), a.Witness()); !errors.As(err, &unsigned) {
		t.Errorf("of another witness: %v", err)
	}
	other := checkpoint(t, Head{5, Hash{5}})
	var wrong *SignatureError
	if _, _, err := AddCosignature(other, lineOf(a, 6), a.Witness()); !errors.As(err, &wrong) || wrong.Line != 1 {
		t.Errorf("of another checkpoint: %v", err)
	}
	var format *FormatError
	bad := strings.Replace(string(lineOf(a, 6)), "=\n", "\r=\n", 1)
	for name, lines := range map[string]string{"carriage return": bad, "no newline": "— x AAAAAAAA", "long": strings.Repeat("x", MaxNote+1), "text": "refused\n"} {
		if _, _, err := AddCosignature(base, []byte(lines), a.Witness()); !errors.As(err, &format) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := slices.Concat(base, bytes.Repeat(lineOf(b, 7), 99))
	if _, _, err := AddCosignature(full, lineOf(a, 6), a.Witness()); !errors.As(err, &format) {
		t.Errorf("the 101st signature: %v", err)
	}
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(Checkpoint{origin, sampleHead, []string{"extension"}}.Encode())
	f.Add(Checkpoint{"o", Empty, nil}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCheckpoint(b)
		if err == nil && !bytes.Equal(c.Encode(), b) {
			t.Errorf("%q reads as %+v, which encodes to %q", b, c, c.Encode())
		}
	})
}

func FuzzSignedNote(f *testing.F) {
	log, w := logSigner(f).Verifier(), cosigner(f, 2)
	signed := cosign(f, checkpoint(f, sampleHead), w, 1000)
	f.Add(signed)
	f.Add(append(bytes.Clone(signed), "— other.example/log AAAAAAAA\n"...))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := splitNote(b)
		if err == nil && !bytes.Equal(n.encode(), b) {
			t.Errorf("%q reads as %q", b, n.encode())
		}
		c, _, opened := OpenCheckpoint(b, log, []Witness{w.Witness()})
		if opened == nil && !bytes.HasPrefix(signed, c.Encode()) {
			t.Errorf("opened %q, which nobody signed", b)
		}
	})
}

func FuzzVkey(f *testing.F) {
	f.Add(logSigner(f).Verifier().String())
	f.Add(cosigner(f, 2).Witness().String())
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := ParseLogVerifier(s); err == nil && v.String() != s {
			t.Errorf("%q reads as %s", s, v)
		}
		if w, err := ParseWitness(s); err == nil && w.String() != s {
			t.Errorf("%q reads as %s", s, w)
		}
	})
}

func FuzzCosignatureLines(f *testing.F) {
	base, w := checkpoint(f, sampleHead), cosigner(f, 2)
	f.Add(cosign(f, base, w, 1000)[len(base):])
	f.Fuzz(func(t *testing.T, b []byte) {
		out, _, err := AddCosignature(base, b, w.Witness())
		if err != nil {
			return
		}
		if _, got, err := OpenCheckpoint(out, logSigner(t).Verifier(), []Witness{w.Witness()}); err != nil || len(got) != 1 {
			t.Errorf("%q gives %q: %v, %v", b, out, got, err)
		}
	})
}
