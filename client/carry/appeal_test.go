package carry

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/guard"
)

var update = flag.Bool("update", false, "write testdata anew")

func appeal() Appeal {
	s := func(text string) Signed { return Signed{[]byte(text), [][]byte{[]byte("a"), []byte("b")}} }
	return Appeal{
		Rosters: []Signed{s("roster 0")}, Charters: [][]byte{[]byte("charter")}, Vault: []byte("vault"), Request: s("request"), Said: []Signed{s("step"), s("veto")},
		Keys: []AppealKey{{[]byte("certificate"), []byte("plan"), []byte("set")}},
	}
}

func contribution() Contribution {
	return Contribution{"guardian-1", statement.ID{1}, []Part{{statement.ID{2}, []byte("first")}, {statement.ID{3}, []byte("second")}}}
}

func TestAppealRoundTrip(t *testing.T) {
	a, err := DecodeAppeal(appeal().Bytes())
	if err != nil || !reflect.DeepEqual(a, appeal()) {
		t.Errorf("%+v, %v", a, err)
	}
	c, err := DecodeContribution(contribution().Bytes())
	if err != nil || !reflect.DeepEqual(c, contribution()) {
		t.Errorf("%+v, %v", c, err)
	}
	if !IsAppeal(appeal().Bytes()) || IsAppeal(contribution().Bytes()) || !IsContribution(contribution().Bytes()) || IsContribution(answer().Bytes()) {
		t.Error("one file is taken for another")
	}
	for _, file := range [][]byte{appeal().Bytes(), contribution().Bytes()} {
		for i := range file {
			other := bytes.Clone(file)
			other[i] ^= 1
			_, err := DecodeAppeal(other)
			_, err2 := DecodeContribution(other)
			_, err3 := DecodeAppeal(file[:i])
			_, err4 := DecodeContribution(file[:i])
			if err == nil || err2 == nil || err3 == nil || err4 == nil {
				t.Fatalf("byte %d altered, or all from it cut off, is read", i)
			}
		}
	}
}

// What is over a bound, or missing, is refused though its hash fits.
func TestAppealRefuses(t *testing.T) {
	for name, edit := range map[string]func(*Appeal){
		"no key":              func(a *Appeal) { a.Keys = nil },
		"four keys":           func(a *Appeal) { a.Keys = append(a.Keys, a.Keys[0], a.Keys[0], a.Keys[0]) },
		"a set too large":     func(a *Appeal) { a.Keys[0].Set = make([]byte, maxSet+1) },
		"a plan too large":    func(a *Appeal) { a.Keys[0].Plan = make([]byte, maxPlan+1) },
		"a charter too large": func(a *Appeal) { a.Charters[0] = make([]byte, maxLarge+1) },
		"a vault too large":   func(a *Appeal) { a.Vault = make([]byte, statement.MaxBytes+1) },
		"too much said":       func(a *Appeal) { a.Said = make([]Signed, maxSaid+1) },
		"an unsigned request": func(a *Appeal) { a.Request.Signatures = nil },
		"an unsigned step":    func(a *Appeal) { a.Said[0].Signatures = nil },
	} {
		a := appeal()
		edit(&a)
		if _, err := DecodeAppeal(a.Bytes()); err == nil {
			t.Errorf("%s: read", name)
		}
	}
	for name, edit := range map[string]func(*Contribution){
		"no part": func(c *Contribution) { c.Parts = nil },
		"four parts": func(c *Contribution) {
			c.Parts = append(c.Parts, Part{Activation: statement.ID{4}}, Part{Activation: statement.ID{5}})
		},
		"one twice":        func(c *Contribution) { c.Parts[1].Activation = c.Parts[0].Activation },
		"a part too large": func(c *Contribution) { c.Parts[0].Contribution = make([]byte, guard.MaxContribution+1) },
		"no name":          func(c *Contribution) { c.Guardian = "" },
		"an odd name":      func(c *Contribution) { c.Guardian = "A\n" },
	} {
		c := contribution()
		edit(&c)
		if _, err := DecodeContribution(c.Bytes()); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

func TestGoldenAppeal(t *testing.T) {
	for file, raw := range map[string][]byte{"appeal": appeal().Bytes(), "contribution": contribution().Bytes()} {
		name := "testdata/" + file + ".hex"
		if *update {
			if err := os.WriteFile(name, []byte(hex.EncodeToString(raw)+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if strings.TrimSpace(string(want)) != hex.EncodeToString(raw) {
			t.Errorf("%s is written otherwise than before", file)
		}
	}
}

func FuzzDecodeAppeal(f *testing.F) {
	f.Add(appeal().Bytes()[len(AppealBegins) : len(appeal().Bytes())-32])
	f.Fuzz(func(t *testing.T, body []byte) {
		file := seal(AppealBegins, body)
		a, err := DecodeAppeal(file)
		if err == nil && !bytes.Equal(a.Bytes(), file) {
			t.Fatalf("%x is not the one encoding of what it says", body)
		}
	})
}

func FuzzDecodeContribution(f *testing.F) {
	f.Add(contribution().Bytes()[len(ContributionBegins) : len(contribution().Bytes())-32])
	f.Fuzz(func(t *testing.T, body []byte) {
		file := seal(ContributionBegins, body)
		c, err := DecodeContribution(file)
		if err == nil && !bytes.Equal(c.Bytes(), file) {
			t.Fatalf("%x is not the one encoding of what it says", body)
		}
	})
}
