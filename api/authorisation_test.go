package api

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/sos/act"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/wallet"
)

// page is a table of spec/authorisation.md: what its cells say, by row and column, and which of them were looked at.
type page struct {
	t     *testing.T
	cells map[[2]string]string
	seen  map[[2]string]bool
}

// readPage reads the table below a heading. A row's name is its first cells, up to the table's first column in capitals.
func readPage(t *testing.T, heading string) *page {
	t.Helper()
	raw, err := os.ReadFile("../spec/authorisation.md")
	if err != nil {
		t.Fatal(err)
	}
	_, text, found := strings.Cut(string(raw), "\n## "+heading+"\n")
	text, _, _ = strings.Cut(text, "\n## ")
	p := &page{t: t, cells: map[[2]string]string{}, seen: map[[2]string]bool{}}
	var columns []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case columns == nil:
			columns = cells
		case len(cells) != len(columns):
			t.Fatalf("%s: row %q has %d cells, the table %d columns", heading, cells[0], len(cells), len(columns))
		default:
			for i := 2; i < len(cells); i++ {
				at := [2]string{cells[0] + ", " + cells[1], columns[i]}
				if _, twice := p.cells[at]; twice {
					t.Errorf("%s: %v stands twice", heading, at)
				}
				p.cells[at] = cells[i]
			}
		}
	}
	if !found || len(p.cells) == 0 {
		t.Fatalf("spec/authorisation.md has no table %q", heading)
	}
	return p
}

// expect compares an answer with its cell. What has none fails.
func (p *page) expect(row, column, got, why string) {
	p.t.Helper()
	at := [2]string{row, column}
	want, ok := p.cells[at]
	switch p.seen[at] = true; {
	case !ok:
		p.t.Errorf("%s, %s: answers %s, and has no cell in spec/authorisation.md: say what it may answer", row, column, got)
	case got != want:
		p.t.Errorf("%s, %s: answers %s (%s), the table says %s", row, column, got, why, want)
	}
}

// done finds cells of what does not exist.
func (p *page) done() {
	p.t.Helper()
	for at := range p.cells {
		if !p.seen[at] {
			p.t.Errorf("%s, %s: nothing answers so, it stands in spec/authorisation.md", at[0], at[1])
		}
	}
}

// matrix is a circle of four. operator-0, which is asked, holds both vaults: treasury with operator-1, and reserve, whose people are others,
// with operator-2. operator-3 holds none.
type matrix struct {
	*fixture
	vaults  [2]vaultCase // own and other, as ines sees them
	nonce   uint64
	account uint32
	asked   map[statement.ID]act.Request // by vault
}

// vaultCase is one of the two vaults.
type vaultCase struct {
	id        statement.ID
	initiator string
	sender    wallet.Address
	intent    statement.ID // an open one
}

// Whose vault a row is about.
var whose = [2]string{"own", "other"}

// spare is a person's second key, which no role signs with.
func spare(t testing.TB, name string) signet.Key { return nodetest.NewPerson(t, name+"'s spare").Key }

// cast fills the charter with the people of both vaults, and with who has no part in either.
func cast(t testing.TB, d *charter.Document) {
	for _, p := range [][2]string{{"nora", "customer"}, {"otto", "customer"}, {"otis", "customer"}, {"rex", "customer"}, {"rita", "customer"}} {
		d.People = append(d.People, charter.Human{Name: p[0], Organisation: p[1], Keys: []signet.Key{nodetest.NewPerson(t, p[0]).Key}})
	}
	d.People = append(d.People, charter.Human{Name: "deputy", Organisation: "operator-2", Keys: []signet.Key{nodetest.NewPerson(t, "officer-2").Key}})
	for i, h := range d.People {
		keys := append(slices.Clone(h.Keys), spare(t, h.Name))
		slices.SortFunc(keys, func(a, b signet.Key) int { return strings.Compare(a.String(), b.String()) })
		d.People[i].Keys = keys
	}
	slices.SortFunc(d.People, func(a, b charter.Human) int { return strings.Compare(a.Name, b.Name) })
	d.Groups = []charter.Group{
		{Name: "approvers", People: []string{"abel", "bea", "rex"}}, {Name: "keepers", People: []string{"otis", "otto"}},
		{Name: "proposers", People: []string{"ines"}}, {Name: "stewards", People: []string{"rita"}},
	}
	d.Guardians = nodetest.Guardians(t, 3, 0) // gina is the first of them
	for i := range d.Vaults {
		if d.Vaults[i].Name == "treasury" {
			d.Vaults[i].Rescue = nodetest.Plan(1, 2, "operator-2", "operator-3")
		}
	}
}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	w := nodetest.New(t, 4)
	w.Now = time.Now()
	w.Change = func(d *charter.Document) { cast(t, d) }
	w.Found()
	f := &matrix{fixture: &fixture{t: t, w: w}}
	treasury, reserve := w.VaultFile("treasury", 2, w.Hosts[:2]...), w.VaultFile("reserve", 2, w.Hosts[0], w.Hosts[2])
	reserve.Initiators, reserve.Approvers = []string{"stewards"}, []string{"keepers"}
	third := w.VaultFile("third", 2, w.Hosts[0], w.Hosts[3]) // that no officer signed
	w.Vaults = append(w.Vaults, third)
	f.vaults[0].id, f.vaults[0].initiator = w.AcceptVault(treasury, w.Hosts[:2]...), "ines"
	f.vaults[1].id, f.vaults[1].initiator = w.AcceptVault(reserve, w.Hosts[0], w.Hosts[2]), "rita"
	f.fixture.vault = f.vaults[0].id
	w.Run("the keys are published", func() bool {
		return !slices.ContainsFunc(f.vaults[:], func(v vaultCase) bool {
			r, ok := w.Hosts[0].Keeper.Root(v.id, charter.SuiteECDSA)
			return !ok || r.Current == nil
		})
	})
	for _, h := range w.Hosts[:2] {
		f.serve(h)
	}
	for i := range f.vaults {
		v := &f.vaults[i]
		if code, why := f.submit(f.accountBy(v.id, "main", v.initiator)); code != "ok" {
			t.Fatalf("account of %s: %s %s", v.initiator, code, why)
		}
		a, err := w.Hosts[0].Accounts.New(t.Context(), time.Now(), v.id, charter.SuiteECDSA, "ops", "main")
		if err != nil {
			t.Fatal(err)
		}
		v.sender = a
		v.intent = f.proposed(*v)
	}
	return f
}

// serve opens a host's people's interface.
func (f *matrix) serve(h *nodetest.Host) {
	p := newPeople(&views{&node.Daemon{Node: h.Node, Started: f.w.Now, Key: h.Key}})
	f.people, f.doors = append(f.people, p), append(f.doors, knock(f.t, outer(p)))
}

// signed is a submission: a statement and a person's signature over it.
func (f *matrix) signed(s statement.Statement, by string) submission {
	return submission{signed: map[string]string{"statement": b64(s.Bytes()), "signature": b64(nodetest.NewPerson(f.t, by).Makes(f.t, s))}}
}

// submission is what somebody hands in: a signed statement, or a vote.
type submission struct{ signed, vote map[string]string }

// altered is what a thief on its way would make of a submission: of a statement one with another salt, of a vote one for the opposite.
func (x submission) altered(t testing.TB) submission {
	if x.vote != nil {
		m := maps.Clone(x.vote)
		m["verb"] = map[string]string{"approve": "reject", "reject": "approve"}[m["verb"]]
		return submission{vote: m}
	}
	raw, err := base64.StdEncoding.DecodeString(x.signed["statement"])
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.LastIndex(raw, []byte("salt: ")) + len("salt: ")
	raw[at] = map[bool]byte{true: '1', false: '0'}[raw[at] == '0']
	return submission{signed: map[string]string{"statement": b64(raw), "signature": x.signed["signature"]}}
}

// submit hands something in at the node that is asked. Known is what it took before.
func (f *matrix) submit(x submission) (code, why string) {
	f.t.Helper()
	body := map[string]any{"signed": x.signed}
	if x.vote != nil {
		body = map[string]any{"vote": x.vote}
	}
	code, why, answer := f.call(0, peoplePath+"Submit", "", body)
	if known, _ := answer["known"].(bool); code == "" && known {
		return "known", ""
	}
	return either(code), why
}

func either(code string) string {
	if code == "" {
		return "ok"
	}
	return code
}

func (f *matrix) accountBy(vault statement.ID, name, by string) submission {
	v, _ := f.w.Hosts[0].Keeper.Root(vault, charter.SuiteECDSA)
	f.account++
	s, err := charter.Account{
		Charter: v.Vault.Charter, Vault: vault, Department: "ops", Name: name, Path: [2]uint32{0, f.account}, Created: time.Now().Truncate(time.Second),
	}.Statement(f.w.Salt())
	if err != nil {
		f.t.Fatal(err)
	}
	return f.signed(s, by)
}

// intentOf is a new intent of a vault, in somebody's name.
func (f *matrix) intentOf(v vaultCase, name string) statement.Statement {
	f.nonce++
	it := f.w.Intent(v.id, v.sender, f.nonce)
	it.Created = time.Now().Truncate(time.Second)
	it.Expires, it.Initiator, it.Facts = it.Created.Add(nodetest.Life), name, nodetest.Words(it)
	s, err := it.Statement(f.w.Salt())
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// proposed is the id of an intent that its vault's initiator just proposed.
func (f *matrix) proposed(v vaultCase) statement.ID {
	f.t.Helper()
	s := f.intentOf(v, v.initiator)
	if code, why := f.submit(f.signed(s, v.initiator)); code != "ok" {
		f.t.Fatalf("propose: %s %s", code, why)
	}
	return s.ID()
}

func (f *matrix) vote(v vaultCase, verb signet.Verb, by string) submission {
	id := f.proposed(v)
	x, err := f.w.Hosts[0].Desk.Show(id)
	if err != nil {
		f.t.Fatal(err)
	}
	sig := nodetest.NewPerson(f.t, by).Sign(f.t, verb, x.Statement.Bytes())
	return submission{vote: map[string]string{"intent": b64(id[:]), "verb": string(verb), "signature": b64(sig)}}
}

func (f *matrix) cancel(v vaultCase, by string) submission {
	id := f.proposed(v)
	x, err := f.w.Hosts[0].Desk.Show(id)
	if err != nil {
		f.t.Fatal(err)
	}
	s, err := intent.Cancellation{Charter: x.Intent.Charter, Vault: v.id, Intent: id, Initiator: v.initiator, Created: time.Now()}.Statement(f.w.Salt())
	if err != nil {
		f.t.Fatal(err)
	}
	return f.signed(s, by)
}

// revoke ends the spare key of a person.
func (f *matrix) revoke(person, by string) submission {
	x, _ := f.w.Hosts[0].Charters.Charter()
	s, err := charter.Revocation{Charter: x.ID, Person: person, Key: spare(f.t, person), Reason: "lost", Created: time.Now()}.Statement(f.w.Salt())
	if err != nil {
		f.t.Fatal(err)
	}
	return f.signed(s, by)
}

// revokeRex ends the key of the approver whose token was given out before: the person's own word is enough, over the network.
func (f *matrix) revokeRex() { f.end("rex", "rex") }

// end revokes a key of a person, with the spare one.
func (f *matrix) end(person, key string) {
	f.t.Helper()
	x, _ := f.w.Hosts[0].Charters.Charter()
	s, err := charter.Revocation{Charter: x.ID, Person: person, Key: nodetest.NewPerson(f.t, key).Key, Created: time.Now()}.Statement(f.w.Salt())
	if err != nil {
		f.t.Fatal(err)
	}
	if code, why := f.submit(f.signed(s, person+"'s spare")); code != "ok" {
		f.t.Fatalf("revoke: %s %s", code, why)
	}
}

// The columns, and who stands for each.
var signers = []struct{ role, person string }{
	{"stranger", "mallory"}, {"guardian", "gina"}, {"revoked", "rex"}, {"person of no vault", "nora"}, {"initiator", "ines"}, {"approver", "abel"},
	{"officer", "officer-1"}, {"outside officer", "officer-3"},
}

// rescue is a request of guardian-2's for a vault; of the other one, which has no plan, such as it would be.
func (f *matrix) rescue(v vaultCase) act.Request {
	x, _ := f.w.Hosts[0].Charters.Charter()
	root, _ := f.w.Hosts[0].Keeper.Root(v.id, charter.SuiteECDSA)
	now := time.Now().Truncate(time.Second)
	return act.Request{
		Drill: true, Charter: x.ID, Vault: v.id, Trigger: charter.TriggerLegal, Subjects: []string{"operator-0"}, Reason: "wound up", Document: statement.ID{1},
		Keys: []act.Key{{Key: root.KeyID, Epoch: root.Current.Record.Hash()}}, Role: act.Guardian, By: "guardian-2", Created: now, Expires: now.Add(time.Hour),
	}
}

// ask makes the request that supports and vetoes are about, and hands it in.
func (f *matrix) ask() {
	f.t.Helper()
	f.asked = map[statement.ID]act.Request{}
	for i, v := range f.vaults {
		s, err := f.rescue(v).Statement(f.w.Salt())
		x := f.penned(s, err, "guardian-2")
		if code, why := f.submit(x); code != map[int]string{0: "ok", 1: "unavailable"}[i] {
			f.t.Fatalf("ask for SOS: %s %s", code, why)
		}
		if f.asked[v.id], err = act.RequestOf(s); err != nil {
			f.t.Fatal(err)
		}
	}
}

// penOf is in whose name somebody speaks in SOS: an officer in their operator's, all others in the first guardian's.
func (f *matrix) penOf(by string) (role, name string) {
	if n, ok := strings.CutPrefix(by, "officer-"); ok {
		return act.Operator, "operator-" + n
	}
	return act.Guardian, "guardian-0"
}

// penned is signed with the card's key where a guardian speaks.
func (f *matrix) penned(s statement.Statement, err error, by string) submission {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
	i, ok := map[string]int{"gina": 0, "guardian-2": 2}[by]
	if !ok {
		return f.signed(s, by)
	}
	key, err := nodetest.GuardianKey(f.t, i, 0).Signer()
	if err != nil {
		f.t.Fatal(err)
	}
	armored, err := signet.Sign(rand.Reader, key, signet.Makes(s.Kind()), s.Bytes())
	if err != nil {
		f.t.Fatal(err)
	}
	return submission{signed: map[string]string{"statement": b64(s.Bytes()), "signature": b64(armored)}}
}

// tokens are what the bearers of the reading table carry.
func (f *matrix) tokens() (columns []string, token map[string]string) {
	token = map[string]string{"no token": "", "made up": base64.RawURLEncoding.EncodeToString(make([]byte, 32)), "of another node": f.token(1, "ines")}
	token["expired"], _ = f.people[0].tokens.issue(time.Now().Add(-tokenLife-time.Second), nodetest.NewPerson(f.t, "ines").Key)
	for _, s := range signers {
		if s.role != "stranger" && s.role != "guardian" { // who get none: see the table of tokens
			token[s.role] = f.token(0, s.person)
		}
	}
	return sortedKeys(token), token
}

// reads are the calls that show something of a vault: the body, and where the answer shows it.
var reads = map[string]struct {
	body  func(f *matrix, v vaultCase) any
	shows func(v vaultCase, answer string) bool // nil: of no vault
}{
	"Hello":      {body: noBody},
	"SOS":        {noBody, hasVault},
	"SOSSaid":    {ofVault, func(_ vaultCase, answer string) bool { return strings.Contains(answer, `"said":[`) }},
	"Roster":     {body: noBody},
	"Charter":    {body: noBody},
	"Vaults":     {noBody, hasVault},
	"Accounts":   {ofVault, hasVault},
	"NewAddress": {ofAccount, func(_ vaultCase, answer string) bool { return strings.Contains(answer, `"path":`) }},
	"Addresses":  {ofAccount, func(v vaultCase, answer string) bool { return strings.Contains(answer, v.sender.Address) }},
	"Coins":      {ofCoins, func(_ vaultCase, answer string) bool { return strings.Contains(answer, `"rate":`) }},
	"Balances":   {ofBalances, func(_ vaultCase, answer string) bool { return strings.Contains(answer, `"height":`) }},
	"Intents":    {noBody, hasVault},
	"Intent":     {func(_ *matrix, v vaultCase) any { return map[string]string{"id": b64(v.intent[:])} }, hasVault},
	"Quote":      {body: func(*matrix, vaultCase) any { return map[string]string{"chain": "eip155:1"} }},
	"Simulate":   {body: func(*matrix, vaultCase) any { return map[string]string{"chain": "eip155:1"} }},
	"Readings": {body: func(*matrix, vaultCase) any {
		return map[string]string{"chain": "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"}
	}},
	"Block":     {body: func(*matrix, vaultCase) any { return map[string]string{"chain": "eip155:1"} }},
	"Backups":   {body: noBody},
	"BackupSet": {body: func(*matrix, vaultCase) any { return map[string]string{"key": b64(make([]byte, 32))} }},
	"Sessions": {noBody, func(v vaultCase, answer string) bool {
		return strings.Contains(answer, map[string]string{"ines": "treasury", "rita": "reserve"}[v.initiator])
	}},
}

func noBody(*matrix, vaultCase) any      { return "{}" }
func ofVault(_ *matrix, v vaultCase) any { return map[string]string{"vault": b64(v.id[:])} }
func ofAccount(_ *matrix, v vaultCase) any {
	return map[string]string{"vault": b64(v.id[:]), "department": "ops", "account": "main", "suite": charter.SuiteECDSA}
}
func ofBalances(_ *matrix, v vaultCase) any {
	return map[string]string{"vault": b64(v.id[:]), "chain": "eip155:1"}
}
func ofCoins(_ *matrix, v vaultCase) any {
	return map[string]string{"vault": b64(v.id[:]), "department": "ops", "account": "main", "chain": "bip122:000000000019d6689c085ae165831e93"}
}
func hasVault(v vaultCase, answer string) bool { return strings.Contains(answer, b64(v.id[:])) }

// Whoever carries whatever token calls every route of the people's interface for both vaults, and gets what spec/authorisation.md says.
func TestAuthorisationOfReading(t *testing.T) {
	f := newMatrix(t)
	p := readPage(t, "2. Reading")
	columns, token := f.tokens()
	f.revokeRex()
	f.ask()
	for _, route := range methods("People") {
		r, ok := reads[route]
		if route == "Token" || route == "Submit" {
			continue // tables of their own
		}
		if !ok {
			t.Errorf("%s: this test does not know how to call it", route)
			continue
		}
		for i, v := range f.vaults {
			row := route + ", " + whose[i]
			if r.shows == nil && i > 0 {
				continue
			}
			if r.shows == nil {
				row = route + ", –"
			}
			for _, column := range columns {
				code, why, answer := f.call(0, peoplePath+route, token[column], r.body(f, v))
				if code = either(code); code == "ok" && r.shows != nil && !r.shows(v, text(t, answer)) {
					code = "hidden"
				}
				p.expect(row, column, code, why)
			}
		}
	}
	p.done()
}

// Who signs a hello gets a token if somebody's key signed it; not for a hello that was used, changed, or meant for another.
func TestAuthorisationOfTokens(t *testing.T) {
	f := newMatrix(t)
	p := readPage(t, "3. Tokens")
	f.revokeRex()
	for _, s := range signers {
		who := nodetest.NewPerson(t, s.person)
		h := f.hello(0, who)
		st, err := h.Statement(f.w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		x := f.signed(st, s.person)
		foreign := h
		foreign.Challenge = f.challenge(1)
		fs, err := foreign.Statement(f.w.Salt())
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			row  string
			body map[string]string
		}{
			{"Token, altered", x.altered(t).signed}, {"Token, of another node", f.signed(fs, s.person).signed}, {"Token, fresh", x.signed}, {"Token, replayed", x.signed},
		} {
			code, why, _ := f.call(0, peoplePath+"Token", "", c.body)
			p.expect(c.row, s.role, either(code), why)
		}
	}
	p.done()
}

// submissions are the statements that people hand in, with whose word they are tried.
var submissions = map[string]func(f *matrix, v vaultCase, by string) submission{
	"intent":                        func(f *matrix, v vaultCase, by string) submission { return f.signed(f.intentOf(v, by), by) },
	"intent in an initiator's name": func(f *matrix, v vaultCase, by string) submission { return f.signed(f.intentOf(v, v.initiator), by) },
	"vote: approve":                 func(f *matrix, v vaultCase, by string) submission { return f.vote(v, signet.Approve, by) },
	"vote: reject":                  func(f *matrix, v vaultCase, by string) submission { return f.vote(v, signet.Reject, by) },
	"cancel":                        (*matrix).cancel,
	"account": func(f *matrix, v vaultCase, by string) submission {
		return f.accountBy(v.id, fmt.Sprintf("a%d", f.account), by)
	},
	"SOS request": func(f *matrix, v vaultCase, by string) submission {
		q := f.rescue(v)
		q.Role, q.By = f.penOf(by)
		s, err := q.Statement(f.w.Salt())
		return f.penned(s, err, by)
	},
	"SOS support": func(f *matrix, v vaultCase, by string) submission {
		x := act.Support{Head: f.asked[v.id].Head(), Created: time.Now().Truncate(time.Second)}
		x.Role, x.By = f.penOf(by)
		s, err := x.Statement(f.w.Salt())
		return f.penned(s, err, by)
	},
	"SOS veto": func(f *matrix, v vaultCase, by string) submission {
		s, err := act.Veto{Head: f.asked[v.id].Head(), By: "guardian-0", Reason: "they live", Created: time.Now().Truncate(time.Second)}.Statement(f.w.Salt())
		return f.penned(s, err, by)
	},
	"SOS challenge": func(f *matrix, v vaultCase, by string) submission {
		q := f.rescue(v)
		x := act.Challenge{Drill: true, Charter: q.Charter, Vault: v.id, Operator: "operator-0", Created: q.Created}
		x.Role, x.By = f.penOf(by)
		s, err := x.Statement(f.w.Salt())
		return f.penned(s, err, by)
	},
	"revoke one's own other key":      nil,
	"revoke somebody else's key":      nil,
	"revoke one's organisation's key": nil,
}

// Whatever somebody signs and hands in for either vault, fresh, changed on its way or once more, is taken or refused as spec/authorisation.md says.
func TestAuthorisationOfSubmissions(t *testing.T) {
	f := newMatrix(t)
	fresh, worn := readPage(t, "4. Submitting"), readPage(t, "5. Altered and replayed")
	f.revokeRex()
	f.ask()
	for _, name := range sortedKeys(submissions) {
		for _, s := range signers {
			if submissions[name] == nil {
				f.tryRevocation(fresh, worn, name, s.role, s.person)
				continue
			}
			for i, v := range f.vaults {
				f.try(fresh, worn, name, whose[i], s.role, submissions[name](f, v, s.person))
			}
		}
	}
	fresh.done()
	worn.done()
}

// try hands a submission in: changed, as it is, and again.
func (f *matrix) try(fresh, worn *page, name, vault, role string, x submission) {
	f.t.Helper()
	code, why := f.submit(x.altered(f.t))
	worn.expect(name+", "+vault+", altered", role, code, why)
	code, why = f.submit(x)
	fresh.expect(name+", "+vault, role, code, why)
	code, why = f.submit(x)
	worn.expect(name+", "+vault+", replayed", role, code, why)
}

func (f *matrix) tryRevocation(fresh, worn *page, name, role, person string) {
	whom := map[string]string{"revoke one's own other key": person, "revoke somebody else's key": "bea", "revoke one's organisation's key": "admin-" + strings.TrimPrefix(person, "officer-")}[name]
	x, _ := f.w.Hosts[0].Charters.Charter()
	if _, listed := x.Human(whom); !listed {
		whom = "admin-5" // of an organisation that none of the roles belongs to
	}
	f.try(fresh, worn, name, "–", role, f.revoke(whom, person))
}

// A person ends a key at one node, over the network: every node refuses its tokens and its word from then on, and what it approved before counts
// no more.
func TestRevocationEndToEnd(t *testing.T) {
	f := newMatrix(t)
	charterBy := func(n int, token string) string {
		code, _, _ := f.call(n, peoplePath+"Charter", token, "{}")
		return either(code)
	}
	here, there, ines := f.token(0, "rex"), f.token(1, "rex"), f.token(1, "ines")
	x := f.vote(f.vaults[0], signet.Approve, "rex")
	if code, why := f.submit(x); code != "ok" {
		t.Fatalf("approve: %s %s", code, why)
	}
	raw, err := base64.StdEncoding.DecodeString(x.vote["intent"])
	if err != nil {
		t.Fatal(err)
	}
	missing := func() string { v, _ := f.w.Hosts[0].Desk.Show(statement.ID(raw)); return v.Missing }
	if charterBy(0, here) != "ok" || charterBy(1, there) != "ok" || !strings.HasPrefix(missing(), "1 more of") {
		t.Fatalf("before: %s, %s, %s", charterBy(0, here), charterBy(1, there), missing())
	}
	f.revokeRex()
	if got := charterBy(0, here); got != "permission_denied" {
		t.Errorf("the token is good after its key was revoked: %s", got)
	}
	f.w.Run("the other nodes hear of it", func() bool { return charterBy(1, there) == "permission_denied" })
	if charterBy(1, ines) != "ok" {
		t.Error("and nobody else is shut out")
	}
	if !strings.HasPrefix(missing(), "2 more of") {
		t.Errorf("the vote of a key that was revoked counts: %s", missing())
	}
	if code, _, token := f.answer(0, f.hello(0, nodetest.NewPerson(t, "rex")), nodetest.NewPerson(t, "rex")); code != "permission_denied" || token != "" {
		t.Errorf("a new token for the old key: %q", code)
	}
	// So does an officer whose key is a person's too, and was revoked as that.
	officer := f.token(0, "officer-2")
	if f.end("deputy", "officer-2"); charterBy(0, officer) != "permission_denied" {
		t.Error("an officer's token outlives the key")
	}
	// The other key goes on.
	p := nodetest.NewPerson(t, "rex's spare")
	if code, why, token := f.answer(0, f.hello(0, p), p); code != "" || charterBy(0, token) != "ok" {
		t.Errorf("the person's other key: %q %s", code, why)
	}
	if code, why := f.submit(f.vote(f.vaults[0], signet.Approve, "rex's spare")); code != "ok" {
		t.Errorf("the person's other key approves: %s %s", code, why)
	}
}
