package statement

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata and the spec page's tables anew")

const (
	sampleKey     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINNwMHM8lLcve+HMdKmjaanRnkdOE0Sm3ZUxkjv5LTgg"
	samplePasskey = "webauthn-p256 localhost http://localhost:7707 -_8 A2sX0fLhLEJH+Lzm5WOkQPJ3A32BLeszoPShOUXYmMKW"
	sampleWallet  = "eip712 0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"
)

// sample gives a value that a field accepts.
func sample(s Spec) string {
	switch s.Type {
	case Text:
		return "Some text, é"[:min(s.Max, 13)]
	case Label:
		return "acme-1"
	case Hex:
		return strings.Repeat("0f", int(s.Min))
	case Uint:
		return strconv.FormatUint(s.Min, 10)
	case Time:
		return "2026-01-31T12:00:00Z"
	case PersonKey:
		return sampleKey
	case Chain:
		return "eip155:1"
	case Path:
		return "m" + strings.Repeat("/7", int(s.Min))
	case Word:
		return s.Words[0]
	}
	return ""
}

// fill makes fields that each stand n times, as far as the table lets them.
func fill(specs []Spec, n int) Block {
	var b Block
	for _, s := range specs {
		for range min(max(n, s.Least), s.Most) {
			b = b.AddBlock(s.Name, sample(s), fill(s.Block, n))
		}
	}
	return b
}

var testSalt = Salt{31: 0xaa}

func mustBuild(t testing.TB, k Kind, n int) Statement {
	t.Helper()
	s, err := Build(k, fill(Fields(k), n), testSalt)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// The bytes of every kind: a change here breaks every signature ever made.
func TestSnapshots(t *testing.T) {
	for _, k := range Kinds {
		for name, n := range map[string]int{"least": 0, "two": 2} {
			file := filepath.Join("testdata", string(k)+"-"+name+".txt")
			s := mustBuild(t, k, n)
			if *update {
				if err := os.WriteFile(file, s.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(s.Bytes(), want) {
				t.Errorf("%s: built\n%s\nwant\n%s", file, s.Text(), want)
			}
			again, err := Parse(want)
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			if again.ID() != sha256.Sum256(want) || again.Kind() != k || again.Salt() != testSalt {
				t.Errorf("%s: id, kind or salt differs", file)
			}
		}
	}
}

// Names within a kind are distinct: the next line's name alone decides what it is.
func TestNamesAreDistinct(t *testing.T) {
	for _, k := range Kinds {
		seen := map[string]bool{"salt": true}
		var walk func([]Spec)
		walk = func(specs []Spec) {
			for _, s := range specs {
				if seen[s.Name] {
					t.Errorf("%s: the name %q stands twice", k, s.Name)
				}
				if CheckLabel(s.Name) != nil || s.Most < 1 || s.Least > s.Most {
					t.Errorf("%s: %q has an impossible name or count", k, s.Name)
				}
				seen[s.Name] = true
				walk(s.Block)
			}
		}
		walk(Fields(k))
	}
	if Fields("nothing") != nil {
		t.Error("an unknown kind has fields")
	}
}

func TestParseRefuses(t *testing.T) {
	good := mustBuild(t, Cancel, 1).Text()
	line := func(i int) string { return strings.SplitAfter(good, "\n")[i] }
	swap := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in the sample", old)
		}
		return strings.Replace(good, old, new, 1)
	}
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "line feed"},
		{"no final line feed", strings.TrimSuffix(good, "\n"), "line feed"},
		{"other version", swap("ostraka/1 ", "ostraka/2 "), "line 1"},
		{"unknown kind", swap("cancel", "cancle"), "unknown kind"},
		{"kind with space", swap("cancel\n", "cancel \n"), "unknown kind"},
		{"carriage return", strings.ReplaceAll(good, "\n", "\r\n"), "unknown kind"},
		{"field missing", swap(line(2), ""), "vault expected, found \"intent\""},
		{"field twice", swap(line(2), line(2)+line(2)), "vault stands more than 1 times"},
		{"fields swapped", swap(line(1)+line(2), line(2)+line(1)), "charter expected"},
		{"unknown field", swap("reason: ", "memo: x\nreason: "), "created expected, found \"memo\""},
		{"no space after colon", swap("reason: ", "reason:"), "created expected"},
		{"two spaces", swap("reason: ", "reason:  "), "space"},
		{"trailing space", swap("é\n", "é \n"), "space"},
		{"empty value", swap("Some text, é", ""), "reason: is empty"},
		{"not NFC", swap("é", "e\u0301"), "normal form C"},
		{"control", swap("Some", "So\x07me"), "U+0007"},
		{"tab", swap("Some text", "Some\ttext"), "U+0009"},
		{"right-to-left override", swap("Some", "So\u202eme"), "U+202E"},
		{"zero width", swap("Some", "So\u200bme"), "U+200B"},
		{"no-break space", swap("Some text", "Some\u00a0text"), "U+00A0"},
		{"line separator", swap("Some", "So\u2028me"), "U+2028"},
		{"private use", swap("Some", "So\ue000me"), "U+E000"},
		{"Hangul filler", swap("Some", "So\u3164me"), "U+3164"},
		{"grapheme joiner", swap("Some", "So\u034fme"), "U+034F"},
		{"variation selector", swap("Some", "Some\ufe0f"), "U+FE0F"},
		{"blank Braille", swap("Some", "So\u2800me"), "U+2800"},
		{"replacement character", swap("Some", "So\ufffdme"), "U+FFFD"},
		{"not UTF-8", swap("Some", "So\xffme"), "UTF-8"},
		{"upper-case hex", swap("0f0f", "0F0F"), "lower-case"},
		{"short hex", swap("0f0f", "0f"), "characters, not 64"},
		{"no hex", swap("0f0f", "0g0f"), "lower-case hex"},
		{"label upper", swap("acme-1", "Acme-1"), "initiator"},
		{"label look-alike", swap("acme-1", "аcme-1"), "initiator"},
		{"label dash first", swap("acme-1", "-acme"), "initiator"},
		{"label too long", swap("acme-1", strings.Repeat("a", 65)), "65 characters"},
		{"time with zone", swap("12:00:00Z", "12:00:00+00:00"), "UTC time"},
		{"time with fraction", swap("12:00:00Z", "12:00:00.5Z"), "UTC time"},
		{"time with comma fraction", swap("12:00:00Z", "12:00:00,0Z"), "UTC time"},
		{"time one digit", swap("T12", "T1"), "UTC time"},
		{"no such day", swap("01-31", "02-30"), "UTC time"},
		{"before 1970", swap("2026", "1969"), "UTC time"},
		{"leap second", swap("12:00:00Z", "23:59:60Z"), "UTC time"},
		{"salt missing", strings.TrimSuffix(good, line(7)), "salt expected"},
		{"salt twice", good + line(7), "salt stands more than 1 times"},
		{"salt short", swap("00aa\n", "aa\n"), "salt: has 62 characters"},
		{"after the salt", good + "x: y\n", "nothing may follow"},
		{"empty line after the salt", good + "\n", "nothing may follow"},
		{"too long", swap("Some text, é", strings.Repeat("x", 513)), "at most 512"},
		{"too large", good + strings.Repeat("x", MaxBytes), "at most 262144"},
	} {
		_, err := Parse([]byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
	}
}

func TestValuesRefused(t *testing.T) {
	blob := strings.TrimPrefix(sampleKey, "ssh-ed25519 ")
	for _, c := range []struct {
		spec  Spec
		value string
	}{
		{number("n", 1, 9, ""), "0"}, {number("n", 1, 9, ""), "10"}, {number("n", 0, 99, ""), "012"},
		{number("n", 0, 9, ""), "+1"}, {number("n", 0, 9, ""), "-1"}, {number("n", 0, 9, ""), ""},
		{number("n", 0, maxInt, ""), "18446744073709551616"}, {number("n", 0, 9, ""), "1e0"}, {number("n", 0, 9, ""), "٣"},
		{word("w", "", "yes", "no"), "Yes"}, {word("w", "", "yes", "no"), ""},
		{personKey("k", ""), sampleKey + " comment"}, {personKey("k", ""), "ssh-rsa " + blob}, {personKey("k", ""), blob},
		{personKey("k", ""), " " + blob}, {personKey("k", ""), "ssh-ed25519  " + blob}, {personKey("k", ""), sampleKey + "="},
		{personKey("k", ""), "ssh-ed25519 " + strings.Repeat("A", 3000)}, {personKey("k", ""), sampleKey[:40] + "\r" + sampleKey[40:]},
		{personKey("k", ""), samplePasskey + " comment"}, {personKey("k", ""), strings.Replace(samplePasskey, " ", "  ", 1)},
		{personKey("k", ""), strings.Replace(samplePasskey, "-_8", "-_9", 1)}, {personKey("k", ""), strings.Replace(samplePasskey, "-_8", "-_8=", 1)},
		{personKey("k", ""), strings.Replace(samplePasskey, "-_8 ", "", 1)}, {personKey("k", ""), strings.Replace(samplePasskey, "-_8", "", 1)},
		{personKey("k", ""), samplePasskey + "="}, {personKey("k", ""), strings.Replace(samplePasskey, "localhost ", "localhöst ", 1)},
		{personKey("k", ""), strings.Replace(samplePasskey, "p256", "p384", 1)}, {personKey("k", ""), Passkey256},
		{personKey("k", ""), sampleWallet + " comment"}, {personKey("k", ""), sampleWallet + "00"}, {personKey("k", ""), strings.Replace(sampleWallet, "0x", "", 1)},
		{personKey("k", ""), sampleWallet[:len(sampleWallet)-1] + "g"}, {personKey("k", ""), EIP712}, {personKey("k", ""), "EIP712" + sampleWallet[6:]},
		{chain("c", ""), "eip155"}, {chain("c", ""), "eip155:"}, {chain("c", ""), "eip155:01"}, {chain("c", ""), "eip155:0"},
		{chain("c", ""), "EIP155:1"}, {chain("c", ""), "eip155:0x1"}, {chain("c", ""), "ei:1"}, {chain("c", ""), "abcdefghi:1"},
		{chain("c", ""), "cosmos:" + strings.Repeat("a", 33)}, {chain("c", ""), "cosmos:a b"}, {chain("c", ""), "cosmos:a:b"},
		{path("p", 2, ""), "m/0"}, {path("p", 2, ""), "m/0/1/2"}, {path("p", 2, ""), "0/1"}, {path("p", 2, ""), "m/0/1'"},
		{path("p", 2, ""), "m/00/1"}, {path("p", 2, ""), "m/0/2147483648"}, {path("p", 2, ""), "m//1"}, {path("p", 2, ""), "M/0/1"},
		{Spec{Type: "odd"}, "x"},
	} {
		if err := c.spec.check(c.value); err == nil {
			t.Errorf("%s accepts %q", c.spec.Type, c.value)
		}
	}
}

func TestKeysOfEachKind(t *testing.T) {
	for _, k := range []string{sampleKey, samplePasskey, strings.Replace(samplePasskey, Passkey256, Passkey25519, 1), sampleWallet} {
		if err := personKey("k", "").check(k); err != nil {
			t.Errorf("%s: %v", k, err)
		}
	}
}

func TestBuildRefusesInjection(t *testing.T) {
	b := fill(Fields(Cancel), 0)
	for i, f := range b {
		if f.Name == "initiator" {
			b[i].Value = "acme\nreason: approved by all"
		}
	}
	if _, err := Build(Cancel, b, testSalt); err == nil || !strings.Contains(err.Error(), "initiator holds a line feed") {
		t.Errorf("error is %v", err)
	}
}

func TestLists(t *testing.T) {
	few := fill(rosterFields, 1)
	if _, err := Build(Roster, few[:len(few)-1], testSalt); err == nil || !strings.Contains(err.Error(), "operator stands 1 times, at least 2") {
		t.Errorf("one operator: %v", err)
	}
	many := fill(rosterFields, MaxOperators)
	many = append(many, many[len(many)-1])
	if _, err := Build(Roster, many, testSalt); err == nil || !strings.Contains(err.Error(), "operator stands more than 16 times") {
		t.Errorf("17 operators: %v", err)
	}
	s := mustBuild(t, Roster, 3)
	ops := s.Fields().Each("operator")
	if len(ops) != 3 || len(ops[2].Block.All("officer")) != 3 || ops[0].Block.Get("entity") == "" {
		t.Errorf("operators read as %v", ops)
	}
}

func TestAccessors(t *testing.T) {
	s := mustBuild(t, Intent, 1)
	f := s.Fields()
	if f.Time("created") != time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC) {
		t.Errorf("created is %v", f.Time("created"))
	}
	if want, _ := ParseID(strings.Repeat("0f", 32)); f.ID("vault") != want {
		t.Errorf("vault is %v", f.ID("vault"))
	}
	if f.Hex("nothing") != nil || f.Uint("nothing") != 0 || s.Get("nothing") != "" || f.ID("nothing") != (ID{}) {
		t.Error("an absent field has a value")
	}
	if levels, err := ParsePath(s.Get("path")); err != nil || len(levels) != 3 || FormatPath(levels...) != "m/7/7/7" {
		t.Errorf("path is %v, %v", levels, err)
	}
	if err := s.Require(Vault); err == nil {
		t.Error("an intent passes for a vault")
	}
	if _, err := ParseKind(s.Bytes(), Cancel); err == nil {
		t.Error("an intent parses as a cancel")
	}
	if out, err := json.Marshal(ID{0x0f}); err != nil || string(out) != `"0f`+strings.Repeat("0", 62)+`"` {
		t.Errorf("in JSON an id is %s, %v", out, err)
	}
	if err := json.Unmarshal([]byte(`"0f"`), new(ID)); err == nil {
		t.Error("a short id is read from JSON")
	}
	if _, err := ParseID("0F"); err == nil {
		t.Error("ParseID takes a short id")
	}
	s.Bytes()[0] = 'X'
	if s.Text()[0] != 'o' || s.Bytes()[0] != 'o' {
		t.Error("a caller can change a statement")
	}
	if !(Statement{}).IsZero() || s.IsZero() {
		t.Error("IsZero is wrong")
	}
}

func FuzzParse(f *testing.F) {
	for _, k := range Kinds {
		f.Add(mustBuild(f, k, 0).Bytes())
		f.Add(mustBuild(f, k, 2).Bytes())
	}
	for _, key := range []string{samplePasskey, sampleWallet} {
		f.Add(bytes.ReplaceAll(mustBuild(f, Hello, 0).Bytes(), []byte(sampleKey), []byte(key)))
	}
	f.Add([]byte("ostraka/1 hello\nsalt: \n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := Parse(in)
		if err != nil {
			return
		}
		if !bytes.Equal(s.Bytes(), in) {
			t.Fatal("Bytes are not what was parsed")
		}
		fields := s.Fields()
		again, err := Build(s.Kind(), fields[:len(fields)-1], s.Salt())
		if err != nil {
			t.Fatalf("what was parsed cannot be built: %v", err)
		}
		if again.ID() != s.ID() || again.Text() != s.Text() {
			t.Fatal("built again, it has other bytes")
		}
	})
}
