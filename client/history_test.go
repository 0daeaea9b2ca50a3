package client

import (
	"crypto/ed25519"
	"slices"
	"testing"
	"time"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/review"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/decide"
)

// Where a vault asks devices who touched them, an approval counts by what its signature says of that.
func TestTallyOfVerifiedVotes(t *testing.T) {
	w := newWorld(t)
	m := w.shown()
	m.Votes = []*v1.Ballot{w.ballot("bob", signet.Approve)}
	c := w.read("acme", m)
	c.Vault.UserVerification = true
	if got := c.Tally().Approved; len(got) > 0 {
		t.Errorf("an SSH key's approval counts: %v", got)
	}
	c.Votes[0].Flags.Verified = true
	if got := c.Tally().Approved; !slices.Equal(got, []string{"bob"}) {
		t.Errorf("a verified approval does not count: %v", got)
	}
}

// What became of an intent, as a charter is tried over it.
func TestPast(t *testing.T) {
	w := newWorld(t)
	raw := w.sign()
	later := Now().Add(50 * time.Minute)
	allow := func(d *intent.Decision) { d.Created = later }
	deny := func(rule string) func(*intent.Decision) {
		return func(d *intent.Decision) { d.Verdict, d.Rule, d.Reason, d.Created = intent.Deny, rule, "no", later }
	}
	for name, c := range map[string]struct {
		state    string
		raw      []byte
		possibly bool
		change   func(*intent.Decision)
		was      review.Was
		decided  bool
	}{
		"signed":                 {"final", raw, false, allow, review.Signed, true},
		"possibly signed":        {"signing", nil, true, allow, review.Signed, true},
		"denied by the policy":   {"denied", nil, false, deny(decide.RulePolicy), review.Denied, true},
		"denied by another rule": {"denied", nil, false, deny(intent.RuleChain), review.Otherwise, true},
		"cancelled":              {"cancelled", nil, false, nil, review.Otherwise, false},
		"open":                   {"proposed", nil, false, nil, review.Unsigned, false},
		"expired":                {"expired", nil, false, nil, review.Unsigned, false},
	} {
		m := w.shown()
		m.State, m.Raw, m.PossiblySigned = c.state, c.raw, c.possibly
		if c.change != nil {
			m.Decisions = []*v1.Decision{w.decision("acme", c.change)}
		}
		now := Now().Add(2 * time.Hour)
		p := w.read("acme", m).Past(now)
		if p.Was != c.was || p.At.Equal(later) != c.decided || p.Does == nil {
			t.Errorf("%s: %s at %s, %+v", name, p.Was, p.At, p)
		}
		if !c.decided && p.At.After(now) {
			t.Errorf("%s: at %s, which is not past", name, p.At)
		}
	}
}

// A roster that lists the nodes that somebody knows proves nothing: their signatures must stand under the charter that names it.
func TestTrust(t *testing.T) {
	w := newWorld(t)
	r := w.vault.Roster
	other := r
	other.ID, other.Version = statement.ID{2}, 1
	other.Operators = []charter.Operator{r.Operators[0], {Name: "mallory", Identity: identity("mallory")}}
	chain := charter.Chain{r, other}
	ids := func(names ...string) (all []ed25519.PublicKey) {
		for _, name := range names {
			all = append(all, identity(name))
		}
		return all
	}
	good, bad := charter.Charter{Roster: r.ID}, charter.Charter{Roster: other.ID}
	for name, c := range map[string]struct {
		trust Trust
		of    []charter.Charter
		want  bool
	}{
		"all pinned nodes":        {Trust{Identities: ids("acme", "bolt", "cora")}, []charter.Charter{good}, true},
		"two of three":            {Trust{Identities: ids("acme", "bolt", "gone")}, []charter.Charter{good}, true},
		"the only pinned one":     {Trust{Identities: ids("acme")}, []charter.Charter{good}, true},
		"one of two":              {Trust{Identities: ids("acme", "gone")}, []charter.Charter{good}, false},
		"one took the others out": {Trust{Identities: ids("acme", "bolt", "cora")}, []charter.Charter{bad}, false},
		"the newest is forged":    {Trust{Identities: ids("acme", "bolt", "cora")}, []charter.Charter{good, bad}, false},
		"nobody is known":         {Trust{}, []charter.Charter{good}, false},
		"the roster's id":         {Trust{Roster: r.ID}, []charter.Charter{good}, true},
		"another roster's id":     {Trust{Roster: statement.ID{9}, Identities: ids("acme", "bolt")}, []charter.Charter{good}, false},
	} {
		if err := c.trust.check(chain, c.of...); (err == nil) != c.want {
			t.Errorf("%s: %v", name, err)
		}
	}
}
