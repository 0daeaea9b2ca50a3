package paper

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/slip39"
	"github.com/ostraka/ostraka/custody/charter"
)

var update = flag.Bool("update", false, "write testdata from this implementation")

func source(n byte) io.Reader { return mathrand.NewChaCha8([32]byte{n}) }

func label() Label {
	return Label{
		Circle: "Zoë & Söhne", Vault: "treasury", Operator: "acme", Key: [32]byte{1, 2, 3}, Suite: charter.SuiteECDSA,
		Epoch: 7, Record: [32]byte{4, 5, 6}, Party: 2, Created: time.Date(2026, 11, 28, 9, 30, 0, 0, time.UTC),
	}
}

func scalar(t testing.TB, suite string, n byte) secret.Bytes {
	t.Helper()
	g, err := groupOf(suite)
	if err != nil {
		t.Fatal(err)
	}
	wide := make([]byte, g.WideSize())
	_, _ = source(n).Read(wide)
	return secret.New(g.ReduceScalar(wide).Bytes())
}

// cut is k-of-m sheets of a share and a mask; seed names the printing.
func cut(t testing.TB, l Label, k, m int, masked bool, seed byte) []Sheet {
	t.Helper()
	var mask secret.Bytes
	if masked {
		mask = scalar(t, l.Suite, 12)
	}
	all, err := Cut(l, scalar(t, l.Suite, 11), mask, k, m, source(seed))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Every minimal subset restores, through the QR code and through typing; one sheet fewer gives nothing.
func TestRestore(t *testing.T) {
	for _, c := range []struct {
		suite  string
		k, m   int
		masked bool
	}{{charter.SuiteECDSA, 2, 3, true}, {charter.SuiteBIP340, 3, 5, false}, {charter.SuiteEd25519, 2, 2, true}, {charter.SuiteEd25519, 1, 1, true}} {
		l := label()
		l.Suite = c.suite
		sheets := cut(t, l, c.k, c.m, c.masked, 1)
		for mask := 1; mask < 1<<c.m; mask++ {
			var scanned, typed []Sheet
			for i, s := range sheets {
				if mask>>i&1 == 0 {
					continue
				}
				a, err := Scan("\n" + s.ExposePayload() + "\n")
				if err != nil {
					t.Fatal(err)
				}
				b, err := Typed(s.ExposeText())
				if err != nil {
					t.Fatal(err)
				}
				scanned, typed = append(scanned, a), append([]Sheet{b}, typed...)
			}
			for how, some := range map[string][]Sheet{"scanned": scanned, "typed": typed, "mixed": append(append([]Sheet{}, scanned...), typed[0])} {
				b, err := Restore(some)
				if len(scanned) < c.k {
					var few *TooFew
					if !errors.As(err, &few) || few.Needed != c.k || len(few.Have) != len(scanned) || b.Share.Len() != 0 {
						t.Errorf("%s: %d of %d needed sheets: %v", how, len(scanned), c.k, err)
					}
					continue
				}
				if err != nil || !b.Share.Equal(scalar(t, c.suite, 11)) || b.Mask.Len() > 0 != c.masked || c.masked && !b.Mask.Equal(scalar(t, c.suite, 12)) {
					t.Errorf("%s: %d sheets give other secrets: %v", how, len(scanned), err)
				}
				if b.Label != l {
					t.Errorf("%s: the label is %+v", how, b.Label)
				}
			}
		}
	}
}

func TestRestoreRefuses(t *testing.T) {
	change := func(f func(l *Label)) Label {
		l := label()
		f(&l)
		return l
	}
	a := cut(t, label(), 2, 3, true, 1)
	other := func(l Label) Sheet { return cut(t, l, 2, 3, true, 1)[1] } // the same printing but for the label
	forged := a[1]
	forged.share = cutOf(t, 99)[1].share
	swapped := a[1]
	swapped.share, swapped.mask = *a[1].mask, &a[1].share
	second := a[0]
	second.share = cutOf(t, 99)[0].share
	maskless := a[1]
	maskless.mask = nil
	moved := a[1]
	moved.Number = 3
	alien := a[1]
	alien.share = foreign(t, a[1].Set<<1)
	raised := a[1]
	raised.Needed = 3
	for _, c := range []struct {
		name   string
		sheets []Sheet
		want   string
	}{
		{"none", nil, "there are none"},
		{"an empty one", []Sheet{{}}, "circle: is empty"},
		{"one", a[:1], "2 of 3 sheets are needed and 1 is there: 1 more is needed, any but number 1"},
		{"one twice", []Sheet{a[2], a[2]}, "1 more is needed, any but number 3"},
		{"another circle", []Sheet{a[0], other(change(func(l *Label) { l.Circle = "else" }))}, `differ in circle (Zo\u00eb & S\u00f6hne and else)`},
		{"another vault", []Sheet{a[0], other(change(func(l *Label) { l.Vault = "else" }))}, "differ in vault (treasury and else)"},
		{"another operator", []Sheet{a[0], other(change(func(l *Label) { l.Operator = "else" }))}, "differ in operator (acme and else)"},
		{"another key", []Sheet{a[0], other(change(func(l *Label) { l.Key[0] = 9 }))}, "differ in key (01020300… and 09020300…)"},
		{"another suite", []Sheet{a[0], other(change(func(l *Label) { l.Suite = charter.SuiteBIP340 }))}, "differ in suite"},
		{"another epoch", []Sheet{a[0], other(change(func(l *Label) { l.Epoch, l.Record[0] = 8, 9 }))}, "differ in epoch (7 and 8), record (04050600… and 09050600…)"},
		{"another party", []Sheet{a[0], other(change(func(l *Label) { l.Party = 3 }))}, "differ in party (2 and 3)"},
		{"another day", []Sheet{a[0], other(change(func(l *Label) { l.Created = l.Created.Add(time.Second) }))}, "differ in created"},
		{"another printing", []Sheet{a[0], cut(t, label(), 2, 3, true, 2)[1]}, "differ in set ("},
		{"another number of sheets", []Sheet{a[0], cut(t, label(), 2, 4, true, 1)[1]}, "differ in sheets (3 and 4)"},
		{"another number needed", []Sheet{a[0], cut(t, label(), 3, 3, true, 1)[1]}, "differ in sheets needed (2 and 3)"},
		{"without a mask", []Sheet{a[0], maskless}, "differ in mask (yes and no)"},
		{"a false one", []Sheet{a[0], forged}, "share from number 1, 2: "},
		{"a false one among enough", []Sheet{a[0], a[2], forged}, "share"},
		{"a false last one", []Sheet{a[0], forgedAs(t, a, 2), a[1]}, "sheet 3 does not agree with the others"},
		{"two of one number", []Sheet{a[0], second, a[1]}, "two sheets bear the number 1"},
		{"share and mask exchanged", []Sheet{a[0], swapped}, "share and mask are exchanged"},
		{"words of another program", []Sheet{a[0], alien}, "not of a sheet of this program"},
		{"words of a set that is stretched", []Sheet{a[0], aliens(t, a[1], 32, 1, slip39.Options{Exponent: 1})}, "not of a sheet of this program"},
		{"words of a shorter secret", []Sheet{a[0], aliens(t, a[1], 16, 1, slip39.Options{})}, "not of a sheet of this program"},
		{"words of a set of groups", []Sheet{a[0], aliens(t, a[1], 32, 2, slip39.Options{})}, "not of a sheet of this program"},
		{"one group of two", []Sheet{a[0], aliens(t, a[1], 32, -2, slip39.Options{})}, "not of a sheet of this program"},
		{"what is no scalar", beyond(t), "share: what the sheets give is not a scalar"},
		{"words of another sheet", []Sheet{a[0], moved}, "they are of sheet 2, and stand on sheet 3"},
		{"words of another number needed", []Sheet{a[0], raised}, "that 2 sheets are needed, and the sheet says 3"},
	} {
		b, err := Restore(c.sheets)
		if err == nil || !strings.Contains(err.Error(), c.want) || b.Share.Len() != 0 || b.Mask.Len() != 0 {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// aliens is a sheet with words of the same set, k and number that other programs could have made: of more groups than one (fewer than none: any
// one of them is enough), or of another length.
func aliens(t *testing.T, s Sheet, size, groups int, o slip39.Options) Sheet {
	t.Helper()
	id, of := s.Set<<1, max(groups, 1)
	o.Identifier = &id
	all, err := slip39.Split(make([]byte, size), of, []slip39.Group{{Threshold: 2, Count: 3}, {Threshold: 2, Count: 3}}[:max(groups, -groups)], o, source(1))
	if err != nil {
		t.Fatal(err)
	}
	s.share = all[0][1]
	return s
}

// beyond are whole sheets of a number that is above the order.
func beyond(t *testing.T) []Sheet {
	t.Helper()
	all := cut(t, label(), 2, 3, false, 1)
	id := all[0].Set << 1
	high, err := slip39.Split([]byte(strings.Repeat("\xff", 32)), 1, []slip39.Group{{Threshold: 2, Count: 3}}, slip39.Options{Identifier: &id}, source(1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		all[i].share = high[0][i]
	}
	return all
}

// A machine that computes wrongly gives out no sheets.
func TestSheetsAreTried(t *testing.T) {
	all, other := cut(t, label(), 2, 3, true, 1), scalar(t, charter.SuiteECDSA, 99)
	share, mask := scalar(t, charter.SuiteECDSA, 11), scalar(t, charter.SuiteECDSA, 12)
	if err := restores(all, share, mask); err != nil {
		t.Error(err)
	}
	for name, pair := range map[string][2]secret.Bytes{"share": {other, mask}, "mask": {share, other}, "no mask": {share, {}}} {
		if err := restores(all, pair[0], pair[1]); err == nil || !strings.Contains(err.Error(), "this machine computes wrongly") {
			t.Errorf("%s: %v", name, err)
		}
	}
	all[2].share = cutOf(t, 99)[2].share
	if err := restores(all, share, mask); err == nil || !strings.Contains(err.Error(), "try them") {
		t.Errorf("a wrong sheet: %v", err)
	}
}

// cutOf is the same set with another share.
func cutOf(t *testing.T, n byte) []Sheet {
	t.Helper()
	all, err := Cut(label(), scalar(t, charter.SuiteECDSA, n), scalar(t, charter.SuiteECDSA, 12), 2, 3, source(1))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func forgedAs(t *testing.T, a []Sheet, i int) Sheet {
	s := a[i]
	s.share = cutOf(t, 99)[i].share
	return s
}

func TestCutRefuses(t *testing.T) {
	good := scalar(t, charter.SuiteECDSA, 11)
	high := secret.New([]byte(strings.Repeat("\xff", 32)))
	for _, c := range []struct {
		name        string
		l           func(l *Label)
		share, mask secret.Bytes
		k, m        int
		want        string
	}{
		{"no sheets", nil, good, good, 0, 0, "0 sheets: 1 to 16"}, {"17 sheets", nil, good, good, 2, 17, "17 sheets: 1 to 16"},
		{"none needed", nil, good, good, 0, 3, "0 sheets needed of 3"}, {"more needed", nil, good, good, 4, 3, "4 sheets needed of 3"},
		{"copies", nil, good, good, 1, 2, "make one, and copy it"},
		{"a short share", nil, secret.New(make([]byte, 31)), good, 2, 3, "share: is not a scalar"}, {"no share", nil, secret.Bytes{}, good, 2, 3, "share: is not a scalar"},
		{"a share beyond the order", nil, high, good, 2, 3, "share: is not a scalar"}, {"a mask beyond the order", nil, good, high, 2, 3, "mask: is not a scalar"},
		{"no circle", func(l *Label) { l.Circle = "" }, good, good, 2, 3, "circle: is empty"}, {"a hidden letter", func(l *Label) { l.Circle = "a\u200bb" }, good, good, 2, 3, "circle: holds"},
		{"a long circle", func(l *Label) { l.Circle = strings.Repeat("a", 65) }, good, good, 2, 3, "circle: has 65"},
		{"no vault", func(l *Label) { l.Vault = "" }, good, good, 2, 3, "vault: has 0"}, {"an operator's spelling", func(l *Label) { l.Operator = "Acme" }, good, good, 2, 3, "operator: is"},
		{"no key", func(l *Label) { l.Key = [32]byte{} }, good, good, 2, 3, "key: is zero"}, {"a suite", func(l *Label) { l.Suite = "rsa" }, good, good, 2, 3, "suite: \"rsa\" is none"},
		{"no record", func(l *Label) { l.Record = [32]byte{} }, good, good, 2, 3, "record: is zero"}, {"no party", func(l *Label) { l.Party = 0 }, good, good, 2, 3, "party: is 0"},
		{"half a second", func(l *Label) { l.Created = l.Created.Add(time.Millisecond) }, good, good, 2, 3, "created: "},
		{"local time", func(l *Label) { l.Created = l.Created.In(time.FixedZone("", 3600)) }, good, good, 2, 3, "created: "},
		{"no time", func(l *Label) { l.Created = time.Time{} }, good, good, 2, 3, "created: "},
	} {
		l := label()
		if c.l != nil {
			c.l(&l)
		}
		if _, err := Cut(l, c.share, c.mask, c.k, c.m, source(1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	for n := range 64 {
		if _, err := Cut(label(), good, good, 2, 3, io.LimitReader(source(1), int64(n)/2)); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("with %d bytes of randomness: %v", n/2, err)
		}
	}
}

// A word, a letter or a digit that is typed wrong is refused, wherever it stands, and named.
func TestTypedRefuses(t *testing.T) {
	s := cut(t, label(), 2, 3, true, 1)[1]
	good := s.ExposeText()
	line := func(name string) string {
		for l := range strings.Lines(good) {
			if strings.HasPrefix(l, name+": ") {
				return l
			}
		}
		t.Fatalf("no line %s", name)
		return ""
	}
	with := func(name, value string) string { return strings.Replace(good, line(name), name+": "+value+"\n", 1) }
	wrong := func(name string, at int, word string) string {
		words := strings.Fields(line(name))[1:]
		words[at] = word
		return with(name, strings.Join(words, " "))
	}
	other := cut(t, label(), 2, 3, true, 2)[1]
	type refusal struct{ name, text, want string }
	cases := []refusal{
		{"nothing", "", "circle: it is missing"}, {"too much", strings.Repeat("#", 9000), "9000 bytes"},
		{"no form", "hello", "line 1: it is not of the form"}, {"an unknown name", "colour: red", "line 1: sheets have no line of that name"},
		{"twice", good + good, "circle stands there twice"},
		{"circle", with("circle", "Zoe & Söhne"), "code: "}, {"circle escaped wrong", with("circle", `Zo\u00e`), "what follows a backslash"},
		{"vault", with("vault", "treasurx"), "code: "}, {"vault's form", with("vault", "Treasury!"), "vault: is"}, {"operator", with("operator", "acne"), "code: "},
		{"key", with("key", strings.Repeat("ab", 32)), "code: "}, {"key short", with("key", "ab"), "key: it is not 64 digits"}, {"key's digit", with("key", strings.Repeat("xy", 32)), "key: it is not 64 digits"},
		{"suite", with("suite", charter.SuiteBIP340), "code: "}, {"suite unknown", with("suite", "ecdsa"), "suite: "},
		{"epoch", with("epoch", "8"), "code: "}, {"epoch's form", with("epoch", "07"), "epoch: \"07\" is not"}, {"record", with("record", strings.Repeat("0f", 32)), "code: "},
		{"record long", with("record", strings.Repeat("0f", 33)), "record: it is not"},
		{"party", with("party", "1"), "code: "}, {"party beyond", with("party", "65536"), "party: "}, {"party none", with("party", "0"), "party: is 0"},
		{"created", with("created", "2026-11-28T09:30:01Z"), "code: "}, {"created elsewhere", with("created", "2026-11-28T09:30:00+01:00"), "created: "},
		{"sheets", with("sheets", "4"), "code: "}, {"sheets beyond", with("sheets", "17"), "sheets: "}, {"code", with("code", "0000-0000"), "code: \"0000-0000\" does not fit"},
		{"mask missing", strings.Replace(good, line("mask"), "", 1), "or the mask is missing"},
		{"word of the share", wrong("share", 6, "acadmic"), `words of the share: word 7 "acadmic" is not in the list; did you mean "academic"`},
		{"word of the mask", wrong("mask", 8, "acid"), "words of the mask: the checksum does not hold: word 9 seems"},
		{"a word missing", wrong("share", 32, ""), "words of the share: "},
		{"mask for share", with("share", strings.Join(s.ExposeMask(), " ")), "share and mask are exchanged"},
		{"share for mask", with("mask", strings.Join(s.ExposeShare(), " ")), "share and mask are exchanged"},
		{"mask of another set", with("mask", strings.Join(other.ExposeMask(), " ")), "words of the mask: they are of set"},
		{"words of another set", with("share", strings.Join(other.ExposeShare(), " ")), "code: "},
		{"words of another program", with("share", strings.Join(foreign(t, 8).ExposeWords(), " ")), "code: "},
	}
	for _, name := range names[:len(names)-1] {
		cases = append(cases, refusal{"without " + name, strings.Replace(good, line(name), "", 1), name + ": it is missing"})
	}
	for _, c := range cases {
		if _, err := Typed(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// foreign are words of a share that no sheet has: not extendable.
func foreign(t *testing.T, id uint16) slip39.Share {
	t.Helper()
	all, err := slip39.Split(make([]byte, 32), 1, []slip39.Group{{Threshold: 2, Count: 3}}, slip39.Options{Identifier: &id, Plain: true}, source(1))
	if err != nil {
		t.Fatal(err)
	}
	return all[0][1]
}

// People type capitals, spaces, line ends and remarks, and have letters that the sheet's font has not.
func TestTypedIsLenientInForm(t *testing.T) {
	s := cut(t, label(), 2, 3, true, 1)[1]
	words := func(w []string) string {
		return strings.ToUpper(strings.Join(w[:11], "  ")) + "\n" + strings.Join(w[11:22], "\t") + "\r\n# a remark\n\n " + strings.Join(w[22:], " ")
	}
	text := "# of the safe in Basel\nMask: " + words(s.ExposeMask()) + "\nshare:" + words(s.ExposeShare()) + "\n"
	for _, f := range s.Facts() {
		switch f.Name {
		case "circle":
			f.Value = "Zoë & Söhne"
		case "key", "record":
			f.Value = strings.ToUpper(f.Value[:16]) + " " + f.Value[16:40] + " " + f.Value[40:]
		}
		text += f.Name + " :  " + f.Value + "\n"
	}
	got, err := Typed(text + "sheets: 3\ncode: " + strings.ToUpper(s.Code()))
	if err != nil || got.ExposeText() != s.ExposeText() {
		t.Errorf("%v: %v", got, err)
	}
}

// Text and escapes have one meaning, also where the circle's name has both.
func TestCircleNames(t *testing.T) {
	for _, name := range []string{"Plain", `with "quotes"`, `back\slash`, `Zo\u00eb`, "Zoë", "金庫", `"é\`, "😀 x"} {
		l := label()
		l.Circle = name
		s := cut(t, l, 2, 2, false, 1)[0]
		shown := s.Facts()[0].Value
		if strings.ContainsFunc(shown, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is shown as %q", name, shown)
		}
		back, err := Typed(s.ExposeText())
		if err != nil || back.Circle != name {
			t.Errorf("%q is read as %q: %v", name, back.Circle, err)
		}
		if back, err = Scan(s.ExposePayload()); err != nil || back.Circle != name {
			t.Errorf("%q is scanned as %q: %v", name, back.Circle, err)
		}
	}
}

func TestScanRefuses(t *testing.T) {
	good := cut(t, label(), 2, 3, true, 1)[1].ExposePayload()
	body := strings.TrimPrefix(good, Prefix)
	raw, err := alphabet.DecodeString(body)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw { // one bit anywhere
		bad := append([]byte(nil), raw...)
		bad[i] ^= 1 << (i % 8)
		if _, err := Scan(Prefix + alphabet.EncodeToString(bad)); err == nil || !strings.Contains(err.Error(), "damaged") {
			t.Fatalf("byte %d changed: %v", i, err)
		}
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "it is another code"}, {"a page", "https://example.org", "it is another code"}, {"the next version", strings.Replace(good, "-1:", "-2:", 1), "another version"},
		{"small letters", Prefix + strings.ToLower(body), "damaged"}, {"a line end within", Prefix + body[:9] + "\n" + body[9:], "damaged"}, {"a character more", good + "A", "damaged"},
		{"cut off", good[:len(good)-8], "damaged"}, {"long", Prefix + strings.Repeat("A", 3000), "3000 characters"}, {"empty", Prefix, "damaged"},
	} {
		if _, err := Scan(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	// With a right checksum: what its maker should never have made.
	remade := func(f func(s *Sheet)) string {
		s := cut(t, label(), 2, 3, true, 1)[1]
		m := *s.mask
		s.mask = &m
		f(&s)
		return s.ExposePayload()
	}
	for _, c := range []struct{ name, text, want string }{
		{"no circle", remade(func(s *Sheet) { s.Circle = "" }), "circle: is empty"}, {"no vault", remade(func(s *Sheet) { s.Vault = "" }), "vault: "},
		{"operator", remade(func(s *Sheet) { s.Operator = "A" }), "operator: "}, {"key", remade(func(s *Sheet) { s.Key = [32]byte{} }), "key: is zero"},
		{"suite", remade(func(s *Sheet) { s.Suite = "rsa" }), "suite: "}, {"record", remade(func(s *Sheet) { s.Record = [32]byte{} }), "record: "},
		{"party", remade(func(s *Sheet) { s.Party = 0 }), "party: "}, {"fewer sheets than its number", remade(func(s *Sheet) { s.Sheets = 1 }), "that is impossible"},
		{"no sheets", remade(func(s *Sheet) { s.Sheets = 0 }), "that is impossible"}, {"exchanged", remade(func(s *Sheet) { s.share, *s.mask = *s.mask, s.share }), "exchanged"},
		{"a mask of another sheet", remade(func(s *Sheet) { *s.mask = *cut(t, label(), 2, 3, true, 1)[0].mask }), "they are of sheet 1, and stand on sheet 2"},
	} {
		if _, err := Scan(c.text); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// The longest label fits into one QR code: version 19 at level M holds 909 such characters, and the largest code 3,391.
func TestPayloadIsShort(t *testing.T) {
	l := label()
	l.Circle, l.Vault, l.Operator, l.Suite = strings.Repeat("ä", 32), strings.Repeat("v", 64), strings.Repeat("o", 64), charter.SuiteBIP340
	long, usual := len(cut(t, l, 16, 16, true, 1)[0].ExposePayload()), len(cut(t, label(), 2, 3, true, 1)[0].ExposePayload())
	t.Logf("%d characters, usually %d", long, usual)
	if long > 900 || usual > 600 {
		t.Errorf("%d characters, usually %d", long, usual)
	}
}

func TestSheetsRedact(t *testing.T) {
	s := cut(t, label(), 2, 3, true, 1)[1]
	b, err := Restore(cut(t, label(), 2, 3, true, 1))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"s": s, "p": &s, "b": b})
	if err != nil {
		t.Fatal(err)
	}
	out := []string{string(text)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d", "%q"} {
		out = append(out, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, []Sheet{s}), fmt.Sprintf(verb, b), fmt.Sprintf(verb, &b))
	}
	index := s.share.ExposeIndices()
	for _, o := range out {
		for _, leak := range []string{
			hex.EncodeToString(b.Share.Expose()[:4]), hex.EncodeToString(b.Mask.Expose()[:4]), fmt.Sprint(b.Share.Expose()[:3])[1:8],
			s.ExposeShare()[8], s.ExposeMask()[8], fmt.Sprint(index[6:9])[1:10],
		} {
			if strings.Contains(o, leak) {
				t.Errorf("prints %s", o)
			}
		}
	}
	if got := s.String(); got != fmt.Sprintf("sheet 2 of 3, of vault treasury, operator acme, suite ecdsa-secp256k1, epoch 7 (set %d)", s.Set) {
		t.Error(got)
	}
	s.Wipe()
	if s.ExposeShare()[9] != "academic" || s.ExposeMask()[9] != "academic" {
		t.Error("not wiped")
	}
}

// Snapshots of both forms of a sheet: a change here leaves paper unreadable.
func TestGolden(t *testing.T) {
	var out strings.Builder
	l := label()
	l.Suite = charter.SuiteEd25519
	for _, s := range append(cut(t, label(), 2, 3, true, 1), cut(t, l, 1, 1, false, 2)...) {
		fmt.Fprintf(&out, "%s\n%s\n\n", s.ExposeText(), s.ExposePayload())
	}
	file := filepath.Join("testdata", "golden.txt")
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("snapshots differ\ngot:\n%s", out.String())
	}
}

func FuzzScan(f *testing.F) {
	for _, masked := range []bool{true, false} {
		p := cut(f, label(), 2, 3, masked, 1)[1].ExposePayload()
		raw, err := alphabet.DecodeString(strings.TrimPrefix(p, Prefix))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(false, []byte(p))
		f.Add(true, raw)
	}
	f.Fuzz(func(t *testing.T, mend bool, in []byte) {
		text := string(in)
		if mend && len(in) > 14 { // with a right checksum, so that what lies behind it is reached
			body := in[:len(in)-14]
			text = Prefix + alphabet.EncodeToString(append(append([]byte(nil), body...), append([]byte{0, byte(fieldSum), 0, 0, 0, 8}, sumOf(body)...)...))
		}
		if s, err := Scan(text); err == nil && s.ExposePayload() != strings.TrimSpace(text) {
			t.Fatalf("read and written again it is %q", s.ExposePayload())
		}
	})
}

func FuzzTyped(f *testing.F) {
	for _, masked := range []bool{true, false} {
		f.Add(cut(f, label(), 2, 3, masked, 1)[1].ExposeText())
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Typed(text)
		if err != nil {
			return
		}
		once := s.ExposeText()
		if s, err = Typed(once); err != nil || s.ExposeText() != once {
			t.Fatalf("what was read, %q, is not read again: %v", once, err)
		}
	})
}
