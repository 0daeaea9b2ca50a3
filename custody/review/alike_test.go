package review

import (
	"errors"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/control"
)

// Two names that people read as one are an error that names both places; names that differ by a letter or digit, or that are of two providers, are not.
func TestAlikeNames(t *testing.T) {
	for name, c := range map[string]struct {
		start func(*charter.Start)
		kind  control.Kind
		want  string // empty: nothing is wrong
	}{
		"provider, case":   {func(s *charter.Start) { s.Operators[1].Provider = "AWS" }, control.Provider, `provider "aws" (operator acme, place main) and provider "AWS" (operator bolt, place main)`},
		"provider, wide":   {func(s *charter.Start) { s.Operators[1].Provider = "ａws" }, control.Provider, `"ａws" (operator bolt, place main)`},
		"provider, inside": {func(s *charter.Start) { s.Operators[0].Provider, s.Operators[2].Provider = "Big Cloud", "big-cloud" }, control.Provider, `"Big Cloud" (operator acme, place main) and provider "big-cloud" (operator cora, place main)`},
		"account": {func(s *charter.Start) {
			s.Operators[0].Provider, s.Operators[1].Provider = "aws", "aws"
			s.Operators[0].Account, s.Operators[1].Account = "1234-5678", "12345678"
		}, control.Account, `account "1234-5678" (operator acme, place main) and account "12345678" (operator bolt, place main)`},
		"account of two providers": {func(s *charter.Start) { s.Operators[0].Account, s.Operators[1].Account = "1234-5678", "12345678" }, 0, ""},
		"region": {func(s *charter.Start) {
			s.Operators[0].Provider, s.Operators[1].Provider = "aws", "aws"
			s.Operators[0].Region, s.Operators[1].Region = "eu west.1", "EU_west–1"
		}, control.Region, `region "eu west.1"`},
		"hardware":                 {func(s *charter.Start) { s.Operators[1].Hardware = "AMD" }, control.Hardware, `hardware "amd" (operator acme, place main) and hardware "AMD"`},
		"hardware that is another": {func(s *charter.Start) { s.Operators[1].Hardware = "amd2" }, 0, ""},
		"the same twice":           {func(s *charter.Start) { s.Operators[1].Hardware = "amd" }, 0, ""},
		"organisation": {func(s *charter.Start) { s.Guardians[0].Organisation = "bo.lt" }, control.Organisation,
			`organisation "bolt" (operator bolt) and organisation "bo.lt" (guardian guardian-0)`},
		"a person's": {func(s *charter.Start) { s.People[3].Organisation, s.People[4].Organisation = "big-firm", "bigfirm" }, control.Organisation,
			`organisation "big-firm" (person alice) and organisation "bigfirm" (person bob)`},
		"person": {func(s *charter.Start) { s.Guardians[1].Person = "da_na" }, control.Person, `person "dana" (person dana) and person "da_na" (guardian guardian-1)`},
	} {
		s := start(t)
		c.start(&s)
		_, err := Charter(read(t, s, nil))
		var alike *AlikeError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", name, err)
		case c.want != "" && (!errors.As(err, &alike) || alike.Kind != c.kind || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "write it alike in both places")):
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	d := read(t, start(t), func(f string) string {
		return strings.Replace(f, "        access: [\"admin-bolt\"]", "        organisation: a-cme\n        access: [\"admin-bolt\"]", 1)
	})
	if _, err := Charter(d); err == nil || !strings.Contains(err.Error(), `organisation "acme" (operator acme) and organisation "a-cme" (operator bolt, place main)`) {
		t.Errorf("a place's organisation: %v", err)
	}
}

// An edit answers for what it adds, and for nothing that was wrong before.
func TestWorse(t *testing.T) {
	good := read(t, start(t), nil)
	s := start(t)
	for i := range s.Operators {
		s.Operators[i].Jurisdiction = "de"
	}
	country := read(t, s, nil)
	s.Operators[1].Provider, s.Operators[2].Provider = "aws", "aws"
	both := read(t, s, nil)
	s.Operators[1].Provider = "AWS"
	alike := read(t, s, nil)
	s.People[3].Organisation = "somebody"
	still := read(t, s, nil)
	s = start(t)
	s.Operators[1].Provider, s.Operators[1].Account = s.Operators[0].Provider, s.Operators[0].Account
	two := read(t, s, nil)
	s.Operators[2].Provider, s.Operators[2].Account = s.Operators[0].Provider, s.Operators[0].Account
	one := read(t, s, nil)
	for name, c := range map[string]struct {
		was, is charter.Document
		broken  string
		err     string
	}{
		"nothing":               {good, good, "", ""},
		"a rule":                {good, country, "steal/jurisdiction", ""},
		"broken as before":      {country, country, "", ""},
		"another rule":          {country, both, "steal/provider", ""},
		"broken further":        {two, one, "steal/account: aws/account-0 reaches", ""},
		"mended":                {both, country, "", ""},
		"a name":                {good, alike, "", `provider "AWS"`},
		"a name that was there": {alike, still, "", ""},
		"a name is mended":      {alike, country, "", ""},
	} {
		broken, err := Worse(c.was, c.is)
		text := strings.Join(broken, "; ")
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || (text == "") != (c.broken == "") || !strings.Contains(text, c.broken) {
			t.Errorf("%s: %q, %v; want %q, %q", name, text, err, c.broken, c.err)
		}
		if c.broken == "steal/provider" && strings.Contains(text, "jurisdiction") {
			t.Errorf("%s: %q was broken before", name, text)
		}
	}
}
