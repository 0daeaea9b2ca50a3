package charter

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/guardian"
)

// started is the file that `charter init` writes for three operators.
func started(t testing.TB) string {
	t.Helper()
	s := Start{Circle: "Acme treasury", Payee: "0x00000000000000000000000000000000000000A1", Groups: []Group{{Name: "finance", People: []string{"alice", "bob", "carol"}}, {Name: "security", People: []string{"dana"}}}}
	for _, name := range []string{"acme", "bolt", "cora"} {
		o := operator(t, name)
		s.Operators = append(s.Operators, StartOperator{
			Name: name, Entity: o.Entity, Identity: hex.EncodeToString(o.Identity),
			Provider: "aws", Account: "1", Region: "eu-1", Jurisdiction: "de", Hardware: "amd", Admin: "alice",
		})
	}
	for _, who := range []string{"alice", "bob", "carol", "dana"} {
		s.People = append(s.People, StartPerson{who, "acme", sshKey(t, who).String()})
	}
	for i := range 5 {
		s.Guardians = append(s.Guardians, StartGuardian{fmt.Sprint("guardian-", i), fmt.Sprint("holder-", i), fmt.Sprint("firm-", i%3), "fr", card(t, fmt.Sprint("holder-", i)).String()})
	}
	return must(s.File())(t)
}

// card is the card of a guardian's key that follows from a name.
func card(t testing.TB, name string) guardian.Card {
	t.Helper()
	seed := sha256.Sum256([]byte("guardian " + name))
	return must(must(guardian.FromSeed(seed[:]))(t).Card())(t)
}

func TestReadDocument(t *testing.T) {
	d := must(ReadDocument([]byte(started(t)), []byte(StartPolicy)))(t)
	o, ok := d.Station("bolt")
	if !ok || o.Places[0].Account != "1" || o.Places[0].Level != Replica || len(d.Members([]string{"finance", "security"})) != 4 || d.Vaults[0].Rescue.Operators != 2 || d.Delay.Hours() != 48 || d.Labels()[0] != "payroll" {
		t.Errorf("%+v", d)
	}
}

// Each change makes a file that no charter is made of; the error names the field.
func TestReadDocumentRefuses(t *testing.T) {
	file := started(t)
	for name, c := range map[string]struct{ from, to, want string }{
		"unknown field":             {"heartbeat: 3600", "heartbeat: 3600\nheart-beat: 60", `"heart-beat": unknown field`},
		"octal":                     {"delay: 172800", "delay: 0172800", "plain decimal"},
		"an unquoted number":        {`account: "1"`, "account: 1", "put it in quotes"},
		"an anchor":                 {`provider: "aws"`, `provider: &p "aws"`, "anchors"},
		"a tag":                     {`provider: "aws"`, `provider: !!str "aws"`, "tags"},
		"a block text":              {"circle: \"Acme treasury\"", "circle: |\n  Acme", "block texts"},
		"twice":                     {"heartbeat: 3600", "heartbeat: 3600\nheartbeat: 60", "stands twice"},
		"identity":                  {"identity: \"", "identity: \"zz", "identity"},
		"no account":                {`account: "1"`, `account: ""`, "account: is missing"},
		"country":                   {`jurisdiction: "de"`, `jurisdiction: "DE"`, "two lower-case letters"},
		"nobody has access":         {`access: ["alice"]`, "access: []", "name every person"},
		"a stranger has access":     {`access: ["alice"]`, `access: ["zoe"]`, "zoe is not among the people"},
		"level":                     {"level: replica", "level: mirror", "mirror"},
		"a person twice":            {"- name: bob", "- name: alice", "stands twice"},
		"a group of strangers":      {"people: [dana]", "people: [zoe]", "zoe is not among the people"},
		"an empty group":            {"people: [dana]", "people: []", "it is empty"},
		"one key, two people":       {sshKey(t, "bob").String(), sshKey(t, "alice").String(), "too"},
		"one guardian, two keys":    {"person: holder-1", "person: holder-0", "guardian-0 already"},
		"one asset, two names":      {`contract: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"`, `contract: ""`, "by another name"},
		"unit above decimals":       {"unit: 15", "unit: 19", "decimals"},
		"a chain":                   {`chain: "eip155:1"`, `chain: "eip155:01"`, "chain"},
		"tier":                      {"tier: warm", "tier: wram", "wram"},
		"threshold of one":          {"threshold: 3", "threshold: 1", "2 to 3"},
		"a committee of strangers":  {"committee: [acme, bolt, cora]", "committee: [acme, bolt, dora]", "dora"},
		"a group that is not there": {"initiators: [finance]", "initiators: [finanec]", "finanec"},
		"quorum of none":            {"quorum: 2", "quorum: 0", "quorum"},
		"quorum too high":           {"quorum: 2", "quorum: 5", "5 is asked of 4"},
		"quorum out of reach":       {"quorum: 2", "quorum: 4", "4 cannot be met when alice proposes"},
		"organisations":             {"organisations: 1", "organisations: 2", "the approvers are of 1"},
		"no organisation":           {"organisations: 1", "organisations: 0", "0 are asked"},
		"short expiry":              {"expiry: 86400", "expiry: 59", "expiry"},
		"long expiry":               {"expiry: 86400", "expiry: 604801", "expiry"},
		"refresh":                   {"expiry: 86400", "refresh-every: 3599", "1 hour to 366 days"},
		"witnesses":                 {"expiry: 86400", "witnesses: 3", "of the 2 other operators"},
		"hold":                      {"expiry: 86400", "hold-release: 59", "1 minute to 90 days"},
		"a chain that is none":      {`chains: ["eip155:1"]`, `chains: ["eip155:01"]`, "chain"},
		"a chain twice":             {`chains: ["eip155:1"]`, `chains: ["eip155:1", "eip155:1"]`, "twice"},
		"no chain":                  {`chains: ["eip155:1"]`, `chains: []`, "none is listed"},
		"rescue by t operators":     {"operators: 2 ", "operators: 3 ", "1 to 2"},
		"rescue by every guardian":  {"guardians: 3 ", "guardians: 5 ", "2 to 4"},
		"no delay":                  {"delay: 172800", "delay: 60", "1 hour"},
		"a control number":          {"number: lose", "number: loose", `control: number: "loose" is not`},
		"a control of none":         {"    least: 2\nindep", "    least: 0\nindep", "control: lose: least: 0"},
		"offset":                    {`offset: "+00:00"`, `offset: "+25:00"`, "offset"},
	} {
		text := strings.Replace(file, c.from, c.to, 1)
		if text == file {
			t.Fatalf("%s changes nothing", name)
		}
		if _, err := ReadDocument([]byte(text), []byte(StartPolicy)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func FuzzReadDocument(f *testing.F) {
	f.Add([]byte(started(f)))
	f.Fuzz(func(t *testing.T, file []byte) {
		d, err := ReadDocument(file, nil)
		if err != nil {
			return
		}
		if d.Validate() != nil {
			t.Error("what was read is not valid")
		}
		if len(d.File()) <= MaxDocument { // quotes within texts could make it larger
			rereads(t, d)
		}
	})
}
