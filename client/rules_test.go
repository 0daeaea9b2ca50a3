package client

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// document is the charter of circle "test": acme, bolt and cora hold one vault, for which alice proposes, and bob and carol approve. alice and
// bob are acme's, carol is a customer's; dave has no part in it.
func document(t testing.TB) charter.Document {
	t.Helper()
	d := charter.Document{
		Circle: "test", Providers: 1, Delay: time.Hour, ListDelay: time.Hour, Heartbeat: time.Hour,
		Policy: "@id(\"all\")\npermit (principal, action, resource);\n",
		Groups: []charter.Group{{Name: "approvers", People: []string{"bob", "carol"}}, {Name: "proposers", People: []string{"alice"}}},
		Vaults: []charter.Blueprint{{
			Name: "treasury", Tier: charter.TierWarm, Suites: []string{charter.SuiteECDSA}, Threshold: 3, Committee: operators,
			Initiators: []string{"proposers"}, Approvers: []string{"approvers"}, Quorum: 2, Organisations: 1, Chains: []string{fmt.Sprintf("eip155:%d", chainID)}, Expiry: time.Hour,
		}},
	}
	for _, p := range []struct{ name, organisation string }{{"alice", "acme"}, {"bob", "acme"}, {"carol", "customer"}, {"dave", "customer"}} {
		keys := []signet.Key{person(t, p.name).Key(), person(t, p.name+"'s second").Key()}
		slices.SortFunc(keys, func(a, b signet.Key) int { return strings.Compare(a.String(), b.String()) })
		d.People = append(d.People, charter.Human{Name: p.name, Organisation: p.organisation, Keys: keys})
	}
	for _, name := range operators {
		d.Operators = append(d.Operators, charter.Station{Name: name, Entity: name + " Ltd", Identity: identity(name), Places: []charter.Place{{
			Name: "main", Level: charter.Replica, Provider: "cloud-" + name, Account: "account", Region: "region", Jurisdiction: "ch", Hardware: "amd", Access: []string{"dave"},
		}}})
	}
	return d
}

// amended is the statement of the version after a history.
func amended(t testing.TB, h charter.History, roster statement.ID, mark byte, change func(*charter.Charter)) statement.Statement {
	t.Helper()
	x := charter.Charter{Version: uint64(len(h)), Roster: roster, Created: time.Date(2026, 1, 31, 13, len(h), 0, 0, time.UTC), Document: document(t)}
	if last, ok := h.Newest(); ok {
		x.Previous = last.ID
	}
	if change != nil {
		change(&x)
	}
	s, err := x.Statement(statement.Salt{mark})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// enacted puts a version in force: signed by officers and nodes of some operators.
func enacted(t testing.TB, s statement.Statement, officers, nodes string) charter.Enacted {
	t.Helper()
	e := charter.Enacted{Accepted: charter.Accepted{Statement: s, Signatures: map[string][]byte{}}, Nodes: map[string][]byte{}}
	for _, name := range strings.Fields(officers) {
		e.Signatures[name] = makes(t, s, "officer-"+name)
	}
	for _, name := range strings.Fields(nodes) {
		sig, err := signet.SignNode(secretOf(name), s)
		if err != nil {
			t.Fatal(err)
		}
		e.Nodes[name] = sig
	}
	return e
}

// makes is somebody's signature over a statement, as its maker.
func makes(t testing.TB, s statement.Statement, who string) []byte {
	t.Helper()
	sig, err := person(t, who).Sign(t.Context(), signet.Makes(s.Kind()), s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return sig
}

// built is a statement that must be valid.
func built(t testing.TB) func(statement.Statement, error) statement.Statement {
	return func(s statement.Statement, err error) statement.Statement {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

const all3 = "acme bolt cora"

// ruled is a circle under a charter: its rosters, as nodes show them, and versions 0 and 1, the second of which wants one approval alone.
type ruled struct {
	t             *testing.T
	rosters       []*v1.Roster
	chain         charter.Chain
	first, second charter.Enacted
	history       charter.History // both
}

func newRuled(t *testing.T) *ruled {
	t.Helper()
	r := &ruled{t: t, rosters: chained(t, nil, 1, all3, all3)}
	var err error
	if r.chain, err = readRosters(&v1.RosterResponse{Statement: r.rosters[0].Statement, Acceptances: r.rosters[0].Acceptances}); err != nil {
		t.Fatal(err)
	}
	r.first = enacted(t, r.version(nil, 0, nil), all3, all3)
	r.history = r.next(nil, r.first)
	r.second = enacted(t, r.version(r.history, 1, oneApproves), all3, all3)
	r.history = r.next(r.history, r.second)
	return r
}

func oneApproves(x *charter.Charter) { x.Vaults[0].Quorum = 1 }

func (r *ruled) version(h charter.History, mark byte, change func(*charter.Charter)) statement.Statement {
	r.t.Helper()
	return amended(r.t, h, r.chain.Newest().ID, mark, change)
}

func (r *ruled) next(h charter.History, e charter.Enacted) charter.History {
	r.t.Helper()
	h, err := h.Next(e, r.chain)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// pending shows a version that waits, with what some officers signed.
func (r *ruled) pending(s statement.Statement, officers string) *v1.PendingCharter {
	out := &v1.PendingCharter{Statement: s.Bytes()}
	for _, name := range strings.Fields(officers) {
		out.Acceptances = append(out.Acceptances, &v1.Signed{Signature: makes(r.t, s, "officer-"+name)})
	}
	return out
}

func (r *ruled) veto(of statement.ID, operator, by string) *v1.Signed {
	s := built(r.t)(charter.Veto{Charter: of, Operator: operator, Reason: "no", Created: time.Unix(1_770_000_000, 0)}.Statement(statement.Salt{3}))
	return &v1.Signed{Statement: s.Bytes(), Signature: makes(r.t, s, by)}
}

func (r *ruled) revocation(under statement.ID, of, key, by string) *v1.Signed {
	v := charter.Revocation{Charter: under, Person: of, Key: person(r.t, key).Key(), Created: time.Unix(1_770_000_000, 0)}
	s := built(r.t)(v.Statement(statement.Salt{4}))
	return &v1.Signed{Statement: s.Bytes(), Signature: makes(r.t, s, by)}
}

// ruleNode shows a charter.
type ruleNode struct {
	rosterNode
	says *v1.CharterResponse
}

func (n ruleNode) Charter(context.Context, *connect.Request[v1.CharterRequest]) (*connect.Response[v1.CharterResponse], error) {
	return connect.NewResponse(n.says), nil
}

// dial makes a circle of nodes that show these charters.
func (r *ruled) dial(says ...*v1.CharterResponse) *Circle {
	r.t.Helper()
	x := Context{Name: "main"}
	for i, m := range says {
		x.Nodes = append(x.Nodes, serve(r.t, operators[i], ruleNode{rosterNode{newFake(operators[i]), r.rosters}, m}, nil))
	}
	c := Dial(x, person(r.t, "alice"), Cache{})
	r.t.Cleanup(c.Close)
	return c
}

func shows(all ...charter.Enacted) *v1.CharterResponse {
	out := &v1.CharterResponse{}
	for _, e := range all {
		out.Versions = append(out.Versions, e.Bytes())
	}
	return out
}

// One node of two shows a charter that does not hold, or another than the rest: an alarm, and nothing is read of it.
func TestRulesRefuseLies(t *testing.T) {
	r := newRuled(t)
	first, second := r.history[0], r.history[1]
	fork := enacted(t, r.version(r.history[:1], 2, nil), all3, all3)
	third := r.version(r.history, 3, nil)
	with := func(change func(*v1.CharterResponse)) *v1.CharterResponse {
		m := shows(r.first, r.second)
		change(m)
		return m
	}
	waits := func(change func(*v1.PendingCharter)) *v1.CharterResponse {
		return with(func(m *v1.CharterResponse) {
			p := r.pending(third, "acme")
			change(p)
			m.Pending = append(m.Pending, p)
		})
	}
	revoked := func(x *v1.Signed) *v1.CharterResponse {
		return with(func(m *v1.CharterResponse) { m.Revocations = append(m.Revocations, x) })
	}
	spliced := enacted(t, r.second.Statement, all3, all3)
	spliced.Nodes["cora"] = r.first.Nodes["cora"]
	swapped := enacted(t, r.second.Statement, all3, all3)
	swapped.Nodes["cora"] = swapped.Nodes["bolt"]
	for name, c := range map[string]struct {
		says *v1.CharterResponse
		want string
	}{
		"a fork":                          {shows(r.first, fork), "nodes differ about version 1 of the charter"},
		"another first version":           {shows(enacted(t, r.version(nil, 9, nil), all3, all3)), "nodes differ about version 0 of the charter"},
		"an officer's signature missing":  {shows(r.first, enacted(t, r.second.Statement, "acme bolt", all3)), "missing [cora]"},
		"a node's signature missing":      {shows(r.first, enacted(t, r.second.Statement, all3, "acme cora")), "nodes of [bolt] have not enacted"},
		"a node's signature over another": {shows(r.first, spliced), "operator cora"},
		"one node's signature for two":    {shows(r.first, swapped), "operator cora"},
		"the first left out":              {shows(r.second), "version: 1 cannot be the first"},
		"a version twice":                 {shows(r.first, r.first), "version: is 0, 1 follows"},
		"rubbish":                         {with(func(m *v1.CharterResponse) { m.Versions[1] = []byte("x") }), "decode enacted charter"},
		"somebody's key is another's now": {shows(r.first, enacted(t, r.version(r.history[:1], 5, func(x *charter.Charter) {
			x.People[1].Keys, x.People[3].Keys = x.People[3].Keys, x.People[1].Keys
		}), all3, all3)), "was bob's in version 0"},

		"a pending version signed by a stranger":   {waits(func(p *v1.PendingCharter) { p.Acceptances[0].Signature = makes(t, third, "alice") }), "no officer of an operator concerned"},
		"a pending version with another's consent": {waits(func(p *v1.PendingCharter) { p.Acceptances[0].Signature = makes(t, fork.Statement, "officer-acme") }), "does not cover these bytes"},
		"one operator's consent twice":             {waits(func(p *v1.PendingCharter) { p.Acceptances = append(p.Acceptances, p.Acceptances[0]) }), "operator has accepted before"},
		"a pending version that does not follow":   {waits(func(p *v1.PendingCharter) { *p = *r.pending(fork.Statement, "acme") }), "version: is 1, 2 follows"},
		"a roster that waits as a charter":         {waits(func(p *v1.PendingCharter) { p.Statement = r.rosters[0].Statement }), "kind"},
		"a due time that is none":                  {waits(func(p *v1.PendingCharter) { p.Due = "soon" }), "due"},

		"a veto by another's officer":        {waits(func(p *v1.PendingCharter) { p.Vetoes = []*v1.Signed{r.veto(third.ID(), "cora", "officer-bolt")} }), "veto by operator cora"},
		"a veto by a person":                 {waits(func(p *v1.PendingCharter) { p.Vetoes = []*v1.Signed{r.veto(third.ID(), "cora", "carol")} }), "veto by operator cora"},
		"a veto of another version":          {waits(func(p *v1.PendingCharter) { p.Vetoes = []*v1.Signed{r.veto(second.ID, "cora", "officer-cora")} }), "veto: charter: it names"},
		"a veto of an operator that is none": {waits(func(p *v1.PendingCharter) { p.Vetoes = []*v1.Signed{r.veto(third.ID(), "dora", "officer-dora")} }), "dora is not of the roster"},

		"a revocation by another person":              {revoked(r.revocation(first.ID, "alice", "alice", "bob")), "revoke"},
		"a revocation by another operator's officer":  {revoked(r.revocation(first.ID, "alice", "alice", "officer-bolt")), "revoke"},
		"a customer's key, revoked by an officer":     {revoked(r.revocation(first.ID, "carol", "carol", "officer-acme")), "revoke"},
		"a revocation of a key that is another's":     {revoked(r.revocation(first.ID, "alice", "bob", "alice")), "is not alice's"},
		"a revocation under a charter that is hidden": {revoked(r.revocation(statement.ID{8}, "alice", "alice", "alice")), "a charter that is not shown"},
		"a vault's id that is none":                   {with(func(m *v1.CharterResponse) { m.Frozen = []*v1.Frozen{{Vault: []byte{1}}} }), "an id has 1 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := r.dial(shows(r.first, r.second), c.says).Rules(t.Context())
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "bolt") || Classify(err) != Unverified {
				t.Errorf("%v, class %v; want %q", err, Classify(err), c.want)
			}
		})
	}
}

// A node that lags is named and believed no less; what any node proves to wait, to be revoked or vetoed, counts.
func TestRulesOverNodes(t *testing.T) {
	r := newRuled(t)
	third := r.version(r.history, 3, nil)
	a, b, old := shows(r.first, r.second), shows(r.first, r.second), shows(r.first)
	p := r.pending(third, "acme bolt")
	p.Awaited = []string{"bolt", "cora"}
	a.Pending = []*v1.PendingCharter{p}
	q := r.pending(third, "bolt cora")
	q.Awaited, q.Due, q.Vetoes = []string{"cora"}, "2026-02-01T00:00:00Z", []*v1.Signed{r.veto(third.ID(), "cora", "officer-cora")}
	b.Pending = []*v1.PendingCharter{q}
	old.Pending = []*v1.PendingCharter{r.pending(r.second.Statement, all3)}
	old.Revocations = []*v1.Signed{r.revocation(r.history[0].ID, "bob", "bob", "bob's second"), r.revocation(r.history[0].ID, "alice", "alice", "officer-acme")}
	vault := statement.ID{5}
	for _, m := range []*v1.CharterResponse{a, b} {
		m.Frozen = []*v1.Frozen{{Vault: vault[:], Operator: "cora", Expires: "2026-02-02T00:00:00Z"}}
	}
	rules, failed, err := r.dial(a, b, old).Rules(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if x, _ := rules.Charter(); x.ID != r.history[1].ID || len(rules.Enacted) != 2 || rules.Enacted[1].Statement.ID() != x.ID {
		t.Errorf("%s is in force, want version 1", x.Title())
	}
	if len(failed) != 1 || failed[0].Node != "cora" || !strings.Contains(failed[0].Reason(), "version 0 of the charter, version 1 is in force") {
		t.Errorf("failed: %v; want cora, which lags", failed)
	}
	if len(rules.Pending) != 1 {
		t.Fatalf("%d versions wait, want one: that in force at others waits nowhere", len(rules.Pending))
	}
	w := rules.Pending[0]
	if w.ID != third.ID() || !slices.Equal(w.Signed, operators) || len(w.Missing) > 0 || !slices.Equal(w.Awaited, []string{"cora"}) || len(w.Vetoes) != 1 || w.Vetoes[0].Operator != "cora" {
		t.Errorf("what waits is %+v", w)
	}
	if !w.Due["acme"].IsZero() || w.Due["bolt"].IsZero() {
		t.Errorf("due %v", w.Due)
	}
	if len(rules.Frozen) != 1 || !slices.Equal(rules.Frozen[0].Nodes, []string{"acme", "bolt"}) {
		t.Errorf("frozen: %+v", rules.Frozen)
	}
	v := rules.Terms(charter.Vault{Name: "treasury"})
	if len(v.Initiators) != 1 || len(v.Initiators[0].Keys) != 1 || !v.Initiators[0].Keys[0].Equal(person(t, "alice's second").Key()) || len(v.Approvers) != 2 || len(v.Approvers[0].Keys) != 1 {
		t.Errorf("revoked keys count: initiators %v, approvers %v", v.Initiators, v.Approvers)
	}
	if _, _, err := r.dial(shows(), shows()).Rules(t.Context()); err != nil {
		t.Errorf("before the first version: %v", err)
	}
}

// shownVault is how a node shows a vault whose key is not made yet.
func (r *ruled) shownVault(under statement.ID, change func(*charter.Vault)) (*v1.Vault, charter.Vault) {
	r.t.Helper()
	v := charter.Vault{
		Roster: r.chain.Newest().ID, Charter: under, Name: "treasury", Suites: []string{charter.SuiteECDSA}, Threshold: 3, Committee: operators, Created: time.Unix(1_770_000_000, 0).UTC(),
	}
	if change != nil {
		change(&v)
	}
	s := built(r.t)(v.Statement(statement.Salt{6}))
	id := s.ID()
	v.ID = id
	return &v1.Vault{Id: id[:], Name: v.Name, State: "accepting", Statement: s.Bytes()}, v
}

// A vault has the terms of the charter in force, whatever the node that shows it says, and none that no charter lists.
func TestTermsAreTheCharters(t *testing.T) {
	r := newRuled(t)
	rules := Rules{History: r.history}
	m, _ := r.shownVault(r.history[0].ID, nil)
	m.Tier, m.Threshold, m.Parties = charter.TierHot, 1, 16
	list, err := ReadVaults("acme", r.chain, &rules, []*v1.Vault{m})
	if err != nil {
		t.Fatal(err)
	}
	if v := list[0]; v.Under != r.history[1].ID || v.Quorum != 1 || v.Tier != charter.TierWarm || v.Threshold != 3 || len(v.Committee) != 3 {
		t.Errorf("under %s: quorum %d, tier %s, %d of %v", v.Under.Short(), v.Quorum, v.Tier, v.Threshold, v.Committee)
	}
	if then, ok := list[0].under(r.history[0].ID, time.Now()); !ok || then.Quorum != 2 || then.Founded.Quorum != 2 {
		t.Errorf("the terms of version 0: quorum %d, %v", then.Quorum, ok)
	}
	if got := (Rules{}).Terms(charter.Vault{Name: "treasury", Terms: list[0].Terms}); len(got.Initiators)+len(got.Approvers) > 0 || !got.Under.IsZero() {
		t.Errorf("without a charter: %+v", got.Terms)
	}
	for name, c := range map[string]struct {
		rules  Rules
		under  statement.ID
		change func(*charter.Vault)
		want   string
	}{
		"a charter that nobody shows":   {rules, statement.ID{7}, nil, "which no node shows"},
		"a version that is hidden":      {Rules{History: r.history[:1]}, r.history[1].ID, nil, "which no node shows"},
		"no charter at all":             {Rules{}, r.history[0].ID, nil, "which no node shows"},
		"a vault that it does not list": {rules, r.history[0].ID, func(v *charter.Vault) { v.Name = "mine" }, "vault mine is not in version 0"},
		"a lower threshold":             {rules, r.history[0].ID, func(v *charter.Vault) { v.Threshold = 2 }, "threshold: it has 2, the charter 3"},
		"another committee":             {rules, r.history[0].ID, func(v *charter.Vault) { v.Committee, v.Threshold = operators[:2], 2 }, "the charter"},
		"another suite":                 {rules, r.history[0].ID, func(v *charter.Vault) { v.Suites = []string{charter.SuiteEd25519} }, "suites"},
	} {
		m, _ := r.shownVault(c.under, c.change)
		if _, err := ReadVaults("evil", r.chain, &c.rules, []*v1.Vault{m}); err == nil || !strings.Contains(err.Error(), c.want) || Classify(err) != Unverified {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

// An intent has the terms of the charter that it names: not of one that is hidden, and no votes of people whom that one does not list.
func TestCaseUnderItsCharter(t *testing.T) {
	w := newWorld(t)
	old, _ := w.vault.rules.Charter()
	next, err := charter.Of(amended(t, w.vault.rules.History, old.Roster, 7, func(x *charter.Charter) {
		oneApproves(x)
		x.Created = old.Created
		x.Groups = []charter.Group{{Name: "approvers", People: []string{"carol", "dave"}}, x.Groups[1]}
	}))
	w.must(err)
	now := w.vault
	now.rules = &Rules{History: charter.History{old, next}}
	now.Vault = now.rules.Terms(now.Vault)
	now.Founded = now.Vault
	if now.Quorum != 1 {
		t.Fatalf("the amended vault's quorum is %d", now.Quorum)
	}
	m := w.shown()
	m.Votes = []*v1.Ballot{w.ballot("bob", signet.Approve)}
	c, err := ReadCase("acme", []Vault{now}, m)
	w.must(err)
	if c.Vault.Quorum != 2 || c.Tally().Need != 1 {
		t.Errorf("quorum %d, %d approvals are needed: the intent has the terms of the version after it", c.Vault.Quorum, c.Tally().Need)
	}
	// A key that was revoked since counts no more, and one that proposed is an alarm; of what is signed both did what they did.
	revoked := now
	revoked.rules = &Rules{History: now.rules.History, Revoked: map[string]charter.Revocation{}}
	for _, b := range [][]byte{m.Votes[0].Signature, m.ProposalSignature} {
		sig, err := signet.Parse(b)
		w.must(err)
		revoked.rules.Revoked[sig.Key().String()] = charter.Revocation{}
	}
	c, err = ReadCase("acme", []Vault{revoked}, m)
	w.must(err)
	if len(c.Tally().Approved) > 0 || !strings.Contains(strings.Join(c.Alarms, " "), "was revoked") {
		t.Errorf("approved by %v, alarms %v", c.Tally().Approved, c.Alarms)
	}
	m.Votes = []*v1.Ballot{w.ballot("dave", signet.Approve)}
	if _, err := ReadCase("acme", []Vault{now}, m); Classify(err) != Unverified || !strings.Contains(err.Error(), `"dave" is no approver`) {
		t.Errorf("an approver of another version: %v", err)
	}
	hidden := now
	hidden.rules = &Rules{History: charter.History{next}}
	if _, err := ReadCase("acme", []Vault{hidden}, w.shown()); Classify(err) != Unverified || !strings.Contains(err.Error(), "which no node shows") {
		t.Errorf("a charter that nobody shows: %v", err)
	}
	// A decision that its operator made under another version says nothing about this one.
	m = w.shown()
	m.Decisions = []*v1.Decision{w.decision("bolt", func(d *intent.Decision) { d.Charter = next.ID })}
	if _, err := ReadCase("acme", []Vault{now}, m); Classify(err) != Unverified || !strings.Contains(err.Error(), "decision of bolt") {
		t.Errorf("a decision under another version: %v", err)
	}
}
