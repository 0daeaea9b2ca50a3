package intent

import (
	"crypto/ed25519"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

func facts(v charter.Vault) Facts {
	it := intent(v)
	return Facts{
		Charter: v.Under, Key: it.Key, Epoch: it.Epoch, Address: it.Address, Chain: it.Chain,
		Decoded: decoded(),
	}
}

func TestDecide(t *testing.T) {
	v := vault(t)
	s := stated(t, v)
	approve := func(names ...string) (out []Vote) {
		for _, n := range names {
			out = append(out, vote(t, s, v, signet.Approve, n))
		}
		return out
	}
	rejected := []Vote{vote(t, s, v, signet.Reject, "bob"), vote(t, s, v, signet.Reject, "carol")}
	other := vault(t, func(v *charter.Vault) { v.Name = "other" })
	noChain, noDora := v, v
	noChain.Chains = []string{"eip155:5"}
	noDora.Initiators = v.Initiators[:1]
	enough := approve("bob", "carol")
	for _, c := range []struct {
		name    string
		v       charter.Vault
		votes   []Vote
		change  func(*Facts)
		now     time.Time
		verdict Verdict
		rule    string
	}{
		{"enough", v, enough, nil, noon, Allow, RuleQuorum},
		{"one short", v, approve("bob"), nil, noon, Wait, RuleQuorum},
		{"one twice", v, approve("bob", "bob"), nil, noon, Wait, RuleQuorum},
		{"nobody", v, nil, nil, noon, Wait, RuleQuorum},
		{"last moment", v, enough, nil, noon.Add(24*time.Hour - time.Second), Allow, RuleQuorum},
		{"expired", v, enough, nil, noon.Add(24 * time.Hour), Deny, RuleTime},
		{"future", v, enough, nil, noon.Add(-time.Hour), Deny, RuleTime},
		{"other charter", v, enough, func(f *Facts) { f.Charter[0]++ }, noon, Deny, RuleCharter},
		{"other vault", other, enough, nil, noon, Deny, RuleVault},
		{"other key", v, enough, func(f *Facts) { f.Key[0]++ }, noon, Deny, RuleKey},
		{"other epoch", v, enough, func(f *Facts) { f.Epoch[0]++ }, noon, Deny, RuleEpoch},
		{"undecodable", v, enough, func(f *Facts) { f.Unclear = "unknown selector" }, noon, Deny, RuleDecoded},
		{"nothing decoded", v, enough, func(f *Facts) { f.Decoded = nil }, noon, Deny, RuleDecoded},
		{"other amount", v, enough, func(f *Facts) { f.Decoded[1].Value = "1 wei" }, noon, Deny, RuleShown},
		{"transaction on another chain", v, enough, func(f *Facts) { f.Chain = "eip155:10" }, noon, Deny, RuleChain},
		{"chain not allowed", noChain, enough, nil, noon, Deny, RuleChain},
		{"other sender", v, enough, func(f *Facts) { f.Address = "0x00" }, noon, Deny, RuleAddress},
		{"no fact at all", v, enough, func(f *Facts) { *f = Facts{} }, noon, Deny, RuleCharter},
		{"initiator left", noDora, enough, nil, noon, Deny, RulePerson},
		{"rejected", v, rejected, nil, noon, Deny, RuleRejected},
		{"rejected after approval", v, append(rejected, enough...), nil, noon, Deny, RuleRejected},
		{"one rejection", v, append(approve("alice", "carol"), rejected[0]), nil, noon, Allow, RuleQuorum},
	} {
		f := facts(v)
		if c.change != nil {
			c.change(&f)
		}
		r := Decide(s, c.v, c.votes, f, c.now)
		if r.Verdict != c.verdict || r.Rule != c.rule || (r.Reason == "") != (c.verdict == Allow) {
			t.Errorf("%s: %+v, want %q by %s", c.name, r, c.verdict, c.rule)
		}
	}
	if r := Decide(statement.Statement{}, v, nil, facts(v), noon); r.Verdict != Deny {
		t.Errorf("no statement: %+v", r)
	}
	harvested := Decide(must(intent(v).Statement(statement.Salt{5}))(t), v, enough, facts(v), noon)
	if harvested.Verdict != Wait || harvested.Tally.Need != 2 {
		t.Errorf("approvals of another intent: %+v", harvested)
	}
}

func decided(t testing.TB, v charter.Vault) Decision {
	s := stated(t, v)
	votes := []Vote{vote(t, s, v, signet.Approve, "bob"), vote(t, s, v, signet.Approve, "carol")}
	return NewDecision(s, v, "acme", Decide(s, v, votes, facts(v), noon), facts(v), noon)
}

func TestDecisionRoundTrip(t *testing.T) {
	d := decided(t, vault(t))
	s := must(d.Statement(salt))(t)
	snapshot(t, "decision.txt", s.Bytes())
	if got := must(DecisionOf(s))(t); !reflect.DeepEqual(got, d) {
		t.Errorf("read %+v\nwant %+v", got, d)
	}
	long := strings.Repeat("x", 5000)
	d.Reason = "line\nfeed"
	d.Facts = Written([]Fact{{"token", "EVIL\u202e\nverdict: allow"}, {"empty", ""}, {"quote", `"x"`}, {"long", long}, {"spaces", " x "}, {"plain", "é"}})
	got := must(DecisionOf(must(d.Statement(salt))(t)))(t)
	if got.Reason != `"line\nfeed"` || got.Verdict != Allow {
		t.Errorf("reason %s, verdict %s", got.Reason, got.Verdict)
	}
	want := []string{`"EVIL\u202e\nverdict: allow"`, `""`, `"\"x\""`, "", `" x "`, "é"}
	for i, f := range got.Facts {
		if i == 3 {
			if len(f.Value) != statement.MaxFact-5 || !strings.HasPrefix(f.Value, `"xxx`) || !strings.HasSuffix(f.Value, "x...") {
				t.Errorf("long fact has %d bytes", len(f.Value))
			}
		} else if f.Value != want[i] {
			t.Errorf("fact %s is %s, want %s", f.Name, f.Value, want[i])
		}
	}
}

func TestDecisionRefuses(t *testing.T) {
	d := decided(t, vault(t))
	for name, change := range map[string]func(*Decision){
		"wait":       func(d *Decision) { d.Verdict = Wait },
		"verdict":    func(d *Decision) { d.Verdict = "maybe" },
		"operator":   func(d *Decision) { d.Operator = "Acme" },
		"rule":       func(d *Decision) { d.Rule = "" },
		"fact name":  func(d *Decision) { d.Facts[0].Name = "a b" },
		"many facts": func(d *Decision) { d.Facts = make([]Fact, statement.MaxFacts+1) },
		"approver":   func(d *Decision) { d.Approved = []string{"Bob"} },
	} {
		bad := d
		bad.Facts = append([]Fact(nil), d.Facts...)
		change(&bad)
		if _, err := bad.Statement(salt); err == nil {
			t.Errorf("%s: written", name)
		}
	}
	text := must(d.Statement(salt))(t).Text()
	for old, new := range map[string]string{
		"approved-by: bob\napproved-by: carol": "approved-by: carol\napproved-by: bob",
		"approved-by: bob":                     "approved-by: carol",
		"fact: operation transfer":             "fact: operation",
		"fact: operation":                      "fact: Operation",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("%q is not in the decision", old)
		}
		if _, err := DecisionOf(must(statement.Parse([]byte(strings.Replace(text, old, new, 1))))(t)); err == nil {
			t.Errorf("%q: read", new)
		}
	}
	if _, err := DecisionOf(stated(t, vault(t))); err == nil {
		t.Error("an intent passes for a decision")
	}
}

func TestVerifyDecision(t *testing.T) {
	r := charter.Roster{Circle: "c", Created: noon}
	for _, name := range []string{"acme", "bolt", "cora", "dune"} {
		key, _ := signet.NewKey(sshSigner(t, "officer of "+name).PublicKey())
		id := private("node of " + name).Public().(ed25519.PublicKey)
		r.Operators = append(r.Operators, charter.Operator{Name: name, Entity: name, Identity: id, Address: name + ":1", Officers: []signet.Key{key}})
	}
	v := vault(t)
	d := decided(t, v)
	s := must(d.Statement(salt))(t)
	sig := must(signet.SignNode(private("node of acme"), s))(t)
	if got, err := VerifyDecision(s, sig, v, r); err != nil || !reflect.DeepEqual(got, d) {
		t.Errorf("%+v, %v", got, err)
	}
	by := func(name, signer string) error {
		bad := d
		bad.Operator = name
		bs := must(bad.Statement(salt))(t)
		_, err := VerifyDecision(bs, must(signet.SignNode(private("node of "+signer), bs))(t), v, r)
		return err
	}
	if err := by("bolt", "acme"); !errors.Is(err, signet.ErrNodeSignature) {
		t.Errorf("another's node: %v", err)
	}
	for _, name := range []string{"dune", "nobody"} {
		if err := by(name, name); err == nil || !strings.Contains(err.Error(), "not in the committee") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := VerifyDecision(s, sig, vault(t, func(v *charter.Vault) { v.Name = "other" }), r); !errors.Is(err, ErrOtherVault) {
		t.Errorf("other vault: %v", err)
	}
	if _, err := VerifyDecision(stated(t, v), sig, v, r); err == nil {
		t.Error("an intent passes for a decision")
	}
}
