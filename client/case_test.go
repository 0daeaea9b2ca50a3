package client

import (
	"context"
	"crypto/ecdsa"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain/evm"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/epoch"
)

const chainID = 31337

var operators = []string{"acme", "bolt", "cora"}

// world is a circle whose every secret the test knows.
type world struct {
	t     testing.TB
	vault Vault
	root  *big.Int // the vault's secret key, which nobody has in truth
	stmt  statement.Statement
	tx    *evm.Transaction
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, root: big.NewInt(0x5eed)}
	r := charter.Roster{Circle: "test", Created: Now()}
	for i, name := range operators {
		r.Operators = append(r.Operators, charter.Operator{
			Name: name, Entity: name + " Ltd", Identity: identity(name), Address: fmt.Sprintf("127.0.0.1:%d", 1000+i),
			Officers: []signet.Key{person(t, "officer-"+name).Key()},
		})
	}
	rs, err := r.Statement(statement.Salt{1})
	w.must(err)
	r, err = charter.RosterOf(rs)
	w.must(err)
	x, err := charter.Of(amended(t, nil, r.ID, 3, func(x *charter.Charter) { x.Created = r.Created }))
	w.must(err)
	v, err := x.Draft("treasury", r, Now())
	w.must(err)
	vs, err := v.Statement(statement.Salt{2})
	w.must(err)
	v, err = charter.VaultOf(vs)
	w.must(err)
	rules := &Rules{History: charter.History{x}}
	v = rules.Terms(v)
	w.vault = Vault{
		Vault: v, Founded: v, Roster: r, Statement: vs, State: Ready, rules: rules,
		Roots: []Root{{Suite: charter.SuiteECDSA, State: Ready, Record: w.record(v), Held: v}},
	}
	w.propose(Transfer{})
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) record(v charter.Vault) *epoch.Record {
	var b [32]byte
	key, err := gethcrypto.ToECDSA(w.root.FillBytes(b[:]))
	w.must(err)
	x, err := secp256k1.DecodePoint(gethcrypto.CompressPubkey(&key.PublicKey))
	w.must(err)
	return &epoch.Record{KeyID: epoch.KeyID(v.ID, charter.SuiteECDSA, 1), Suite: charter.SuiteECDSA, Threshold: v.Threshold, Public: x, ChainCode: [32]byte{9}}
}

// propose makes the intent of a transfer from m/0/0/0.
func (w *world) propose(t Transfer) {
	w.t.Helper()
	nonce, gas := uint64(0), uint64(21000)
	to, err := evm.ParseAddress("0x70997970C51812dc3A010C7d01b50e0d17dc79C8")
	w.must(err)
	t.Sender, t.To = w.sender(), to
	t.Amount, t.Nonce, t.Gas, t.FeeCap, t.TipCap = big.NewInt(1e17), &nonce, &gas, big.NewInt(30e9), big.NewInt(1e9)
	w.stmt, err = w.alice().Prepare(context.Background(), t)
	w.must(err)
	it, err := intent.Of(w.stmt)
	w.must(err)
	w.tx, err = evm.Decode(it.Transaction)
	w.must(err)
}

// sender is m/0/0/0 below the vault's only root.
func (w *world) sender() Sender {
	given := map[string]map[string]int{"acme": {charter.SuiteECDSA: 1}}
	return Sender{Vault: w.vault, Root: w.vault.Roots[0], Account: Account{Addresses: given}, Chain: w.vault.Chains[0]}
}

// alice is the initiator at one node.
func (w *world) alice() *Circle {
	return Dial(Context{"main", []Node{{"acme", "127.0.0.1:1", identity("acme")}}}, person(w.t, "alice"), Cache{})
}

// child is the secret key of m/0/0/0.
func (w *world) child() *ecdsa.PrivateKey {
	w.t.Helper()
	_, shift, err := ceremony.Child(w.vault.Roots[0].Record, hd.Path{0, 0, 0})
	w.must(err)
	var b [32]byte
	secret := new(big.Int).Add(w.root, new(big.Int).SetBytes(shift.Bytes()))
	key, err := gethcrypto.ToECDSA(secret.Mod(secret, gethcrypto.S256().Params().N).FillBytes(b[:]))
	w.must(err)
	return key
}

// sign signs the intent's transaction with the child key.
func (w *world) sign() []byte {
	w.t.Helper()
	digest := w.tx.Digest()
	sig, err := gethcrypto.Sign(digest[:], w.child())
	w.must(err)
	text, _, err := w.vault.Address(w.vault.Roots[0], w.vault.Chains[0], hd.Path{0, 0, 0})
	w.must(err)
	from, err := evm.ParseAddress(text)
	w.must(err)
	signed, err := w.tx.Assemble(from, [32]byte(sig[:32]), [32]byte(sig[32:64]), sig[64])
	w.must(err)
	return signed.Raw
}

// shown is how an honest node shows the intent.
func (w *world) shown() *v1.Intent {
	w.t.Helper()
	id := w.stmt.ID()
	sig, err := person(w.t, "alice").Sign(context.Background(), signet.Makes(statement.Intent), w.stmt.Bytes())
	w.must(err)
	return &v1.Intent{Id: id[:], Vault: w.vault.ID[:], Statement: w.stmt.Bytes(), ProposalSignature: sig, State: "proposed"}
}

func (w *world) ballot(name string, verb signet.Verb) *v1.Ballot {
	w.t.Helper()
	sig, err := person(w.t, name).Sign(context.Background(), verb, w.stmt.Bytes())
	w.must(err)
	return &v1.Ballot{Person: name, Verb: string(verb), Signature: sig}
}

// decision is an operator's; change may alter it before it is signed.
func (w *world) decision(operator string, change func(*intent.Decision)) *v1.Decision {
	w.t.Helper()
	d := intent.Decision{
		Charter: w.vault.Under, Vault: w.vault.ID, Intent: w.stmt.ID(), Operator: operator, Verdict: intent.Allow, Rule: intent.RuleQuorum,
		Approved: []string{"bob", "carol"}, Created: Now(),
	}
	for _, l := range w.tx.Facts().Lines() {
		d.Facts = append(d.Facts, intent.Fact{Name: l.Name, Value: l.Value})
	}
	if change != nil {
		change(&d)
	}
	s, err := d.Statement(NewSalt())
	w.must(err)
	sig, err := signet.SignNode(secretOf(operator), s)
	w.must(err)
	return &v1.Decision{Operator: operator, Statement: s.Bytes(), Signature: sig}
}

func (w *world) read(node string, m *v1.Intent) *Case {
	w.t.Helper()
	c, err := ReadCase(node, []Vault{w.vault}, m)
	w.must(err)
	return c
}

func TestCaseOfHonestNodes(t *testing.T) {
	w := newWorld(t)
	var copies []*Case
	raw := w.sign()
	for i, name := range operators {
		m := w.shown()
		m.Votes = []*v1.Ballot{w.ballot("bob", signet.Approve)}
		m.State = "approving"
		if i > 0 { // the first node lags behind
			m.State = "signed"
			m.Votes = append(m.Votes, w.ballot("carol", signet.Approve))
			m.Decisions = []*v1.Decision{w.decision(name, nil)}
			m.Raw = raw
		}
		copies = append(copies, w.read(name, m))
	}
	c, err := MergeCases(copies)
	w.must(err)
	if len(c.Alarms) > 0 || c.State() != "signed" || c.Closed() || len(c.Decisions) != 2 || len(c.Votes) != 2 || c.Tally().Need != 0 {
		t.Fatalf("state %s, alarms %v, %d decisions, %d votes", c.State(), c.Alarms, len(c.Decisions), len(c.Votes))
	}
	if c.Signed.Tx.From.String() != c.Intent.Address || !slices.Equal(c.Votes[0].Nodes, operators) || !c.Voted("bob", signet.Approve) || c.Voted("bob", signet.Reject) {
		t.Errorf("signed %+v, votes %+v", c.Signed, c.Votes)
	}
}

// Whatever a node shows that does not hold names the node and the field.
func TestCaseRefusesLies(t *testing.T) {
	w := newWorld(t)
	other := newWorld(t)
	raw := w.sign()
	for name, c := range map[string]struct {
		change func(*v1.Intent)
		want   string
	}{
		"other bytes": {func(m *v1.Intent) { m.Statement = other.stmt.Bytes() }, "id is"},
		"cut bytes":   {func(m *v1.Intent) { m.Statement = m.Statement[:len(m.Statement)-1] }, "line feed"},
		"other kind":  {func(m *v1.Intent) { m.Statement = w.vault.Statement.Bytes() }, "kind"},
		"proposal":    {func(m *v1.Intent) { m.ProposalSignature = w.ballot("alice", signet.Approve).Signature }, "signature of alice"},
		"no proposal": {func(m *v1.Intent) { m.ProposalSignature = nil }, "signature of alice"},
		"stranger's vote": {func(m *v1.Intent) {
			b := w.ballot("mallory", signet.Approve)
			b.Person = "bob"
			m.Votes = []*v1.Ballot{b}
		}, "vote of bob"},
		"nobody's vote":    {func(m *v1.Intent) { m.Votes = []*v1.Ballot{w.ballot("mallory", signet.Approve)} }, `"mallory" is no approver`},
		"rejection turned": {func(m *v1.Intent) { b := w.ballot("bob", signet.Reject); b.Verb = "approve"; m.Votes = []*v1.Ballot{b} }, "vote of bob"},
		"unknown verb":     {func(m *v1.Intent) { b := w.ballot("bob", "cancel"); m.Votes = []*v1.Ballot{b} }, "verb"},
		"vote on another":  {func(m *v1.Intent) { m.Votes = []*v1.Ballot{other.ballot("bob", signet.Approve)} }, "vote of bob"},
		"forged decision":  {func(m *v1.Intent) { d := w.decision("bolt", nil); d.Signature[0] ^= 1; m.Decisions = []*v1.Decision{d} }, "decision of bolt"},
		"other's decision": {func(m *v1.Intent) { m.Decisions = []*v1.Decision{other.decision("bolt", nil)} }, "decision of bolt"},
		"decision elsewhere": {func(m *v1.Intent) {
			m.Decisions = []*v1.Decision{w.decision("bolt", func(d *intent.Decision) { d.Intent = other.vault.ID })}
		}, "another intent"},
		"signed garbage": {func(m *v1.Intent) { m.Raw = raw[:len(raw)-1] }, "is not the intent's"},
		"other transaction": {func(m *v1.Intent) {
			x := newWorld(t)
			nonce := uint64(7)
			x.tx = buildTx(t, nonce)
			m.Raw = x.sign()
		}, "not the intent's"},
	} {
		m := w.shown()
		c.change(m)
		_, err := ReadCase("acme", []Vault{w.vault}, m)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "node acme") || Classify(err) != Unverified {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
	if _, err := ReadCase("acme", nil, w.shown()); err == nil {
		t.Error("an intent of a vault that nobody showed was read")
	}
}

func buildTx(t *testing.T, nonce uint64) *evm.Transaction {
	t.Helper()
	raw, err := evm.Build(evm.Request{ChainID: chainID, Nonce: nonce, Gas: 21000, FeeCap: big.NewInt(1), To: evm.Address{1}, Amount: big.NewInt(1)})
	if err != nil {
		t.Fatal(err)
	}
	tx, err := evm.Decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// A node that decodes differently, or decides twice, is an alarm that everybody sees.
func TestCaseAlarms(t *testing.T) {
	w := newWorld(t)
	changed := func(d *intent.Decision) {
		d.Facts = slices.Clone(d.Facts)
		d.Facts[2].Value = "1"
	}
	for name, c := range map[string]struct {
		acme, bolt []*v1.Decision
		alarm      string
		want       string
	}{
		"decoded differently": {[]*v1.Decision{w.decision("bolt", changed)}, nil, "", "operator bolt decoded the transaction differently"},
		"decided twice": {
			[]*v1.Decision{w.decision("cora", nil)},
			[]*v1.Decision{w.decision("cora", func(d *intent.Decision) { d.Verdict, d.Rule = intent.Deny, intent.RuleChain })}, "", "operator cora signed two decisions",
		},
		"a node's own": {nil, nil, "signed, and was denied here before", "node bolt: signed, and was denied"},
	} {
		a, b := w.shown(), w.shown()
		a.Decisions, b.Decisions, b.Alarm = c.acme, c.bolt, c.alarm
		merged, err := MergeCases([]*Case{w.read("acme", a), w.read("bolt", b)})
		w.must(err)
		if len(merged.Alarms) != 1 || !strings.Contains(merged.Alarms[0], c.want) || Classify(&AlarmError{merged}) != Unverified {
			t.Errorf("%s: alarms %v; want %q", name, merged.Alarms, c.want)
		}
		// One operator that says what it likes stops nobody where the others are enough.
		if len(merged.Doubted) != 1 || !strings.Contains(c.want, merged.Doubted[0]) {
			t.Errorf("%s: doubted %v", name, merged.Doubted)
		}
		for threshold, stopped := range map[int]bool{2: false, 3: true} {
			if m := ofThree(merged, threshold); m.Stopped() != stopped {
				t.Errorf("%s: %d of 3 must sign, one is doubted; stopped: %v", name, threshold, m.Stopped())
			}
		}
	}
	a, b := w.shown(), w.shown()
	a.Decisions, b.Alarm = []*v1.Decision{w.decision("cora", changed), w.decision("cora", changed)}, "signed, and was denied here before"
	merged, err := MergeCases([]*Case{w.read("acme", a), w.read("bolt", b)})
	w.must(err)
	if !ofThree(merged, 2).Stopped() || fmt.Sprint(merged.Doubted) != "[bolt cora]" || len(merged.Alarms) != 3 {
		t.Errorf("two of three are doubted: stopped %v, doubted %v, %v", ofThree(merged, 2).Stopped(), merged.Doubted, merged.Alarms)
	}
}

// What a node says in its own words cannot write over what a terminal shows.
func TestWordsOfANodeArePlain(t *testing.T) {
	w := newWorld(t)
	m := w.shown()
	m.State, m.Waits, m.LastError, m.Alarm = "signed\x1b[2J", "an \x1b]8;;http://evil\x07 answer", "line\nAmount: 1", "\u202eelif"
	m.Undecided, m.Awaited = []string{"acme\r"}, []string{"\x00"}
	one := w.read("bolt", m)
	v := one.Views[0]
	for _, text := range append(append([]string{v.State, v.Waits, v.LastError, v.Alarm}, v.Undecided...), v.Awaited...) {
		if statement.CheckText(text, 4096) != nil || !strings.HasPrefix(text, `"`) {
			t.Errorf("shown as %q", text)
		}
	}
	if long := plain("x\n" + strings.Repeat("y", 10_000)); len(long) > 5000 {
		t.Errorf("%d bytes are shown", len(long))
	}
}

// That a signature should not be is no single node's word once the signature is there: who says so is not doubted.
func TestAlarmThatIsProved(t *testing.T) {
	w := newWorld(t)
	a, b := w.shown(), w.shown()
	b.Alarm = "it is signed, and was denied here before"
	merged, err := MergeCases([]*Case{w.read("acme", a), w.read("bolt", b)})
	w.must(err)
	proved := merged.Signed != nil
	if proved != (len(merged.Doubted) == 0) || len(merged.Alarms) != 1 || proved && !merged.Stopped() {
		t.Errorf("signed %v: doubted %v, alarms %v", proved, merged.Doubted, merged.Alarms)
	}
	one := *merged
	one.Signed, one.Alarms, one.Named, one.Doubted, one.stopped = &Signed{}, nil, nil, nil, false
	one.hearAlarms()
	other := *merged
	other.Signed, other.Alarms, other.Named, other.Doubted, other.stopped = nil, nil, nil, nil, false
	other.hearAlarms()
	if len(one.Doubted) != 0 || !one.Stopped() || fmt.Sprint(other.Doubted) != "[bolt]" || !strings.Contains(other.Alarms[0], "shows no signature") {
		t.Errorf("proved: doubted %v; not proved: doubted %v, %v", one.Doubted, other.Doubted, other.Alarms)
	}
}

// ofThree is a case of a vault for which so many of three operators sign.
func ofThree(c *Case, threshold int) *Case {
	out := *c
	out.Vault.Committee, out.Vault.Threshold, out.Vault.Roots = []string{"acme", "bolt", "cora"}, threshold, nil
	return &out
}

// What a node says without proof closes nothing unless most nodes say it.
func TestCaseState(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		states []string
		want   string
		closed bool
	}{
		{[]string{"proposed", "proposed", "denied"}, "proposed", false},
		{[]string{"approving", "denied"}, "approving", false},
		{[]string{"denied", "denied", "approving"}, "denied", true},
		{[]string{"final", "final", "final"}, Unproven, false}, // no signature is shown
		{[]string{"expired"}, "expired", true},
	} {
		var copies []*Case
		for i, s := range c.states {
			m := w.shown()
			m.State = s
			copies = append(copies, w.read(operators[i], m))
		}
		merged, err := MergeCases(copies)
		w.must(err)
		if merged.State() != c.want || merged.Closed() != c.closed {
			t.Errorf("%v: %q, closed %v; want %q, %v", c.states, merged.State(), merged.Closed(), c.want, c.closed)
		}
	}
}

// An intent has ended where nodes prove a later epoch and most say that the intent's is over; one node's word of several ends nothing,
// and a signature outlasts it.
func TestCaseEndsWithItsEpoch(t *testing.T) {
	w := newWorld(t)
	old := w.vault.Roots[0].Record
	next := *old
	next.Epoch, next.Prev = 1, old.Hash()
	raw := w.sign()
	for _, c := range []struct {
		state  string
		record *epoch.Record
		over   bool
		raw    []byte
		want   string
	}{
		{"proposed", &next, true, nil, Ended},
		{"approving", &next, true, nil, Ended},
		{"allowed", &next, true, nil, Ended},
		{"signing", &next, true, nil, "signing"},
		{"denied", &next, true, nil, "denied"},
		{"proposed", old, true, nil, "proposed"},
		{"proposed", &next, false, nil, "proposed"}, // a node that lags shows an intent of an epoch that is newer than its own
		{"signed", &next, true, raw, "signed"},
	} {
		w.vault.Roots[0].Record = c.record
		m := w.shown()
		m.State, m.Over, m.Raw = c.state, c.over, c.raw
		one, err := MergeCases([]*Case{w.read(operators[0], m)})
		w.must(err)
		ended := c.want == Ended
		if one.State() != c.want || (one.Why() != "") != ended || ended && !one.Closed() {
			t.Errorf("%s, over %v: %q, closed %v, why %q; want %q", c.state, c.over, one.State(), one.Closed(), one.Why(), c.want)
		}
	}
	w.vault.Roots[0].Record = &next
	for over := range 4 {
		var all []*Case
		for i, name := range operators[:3] {
			m := w.shown()
			m.State, m.Over = "proposed", i < over
			all = append(all, w.read(name, m))
		}
		one, err := MergeCases(all)
		w.must(err)
		if got := one.State() == Ended; got != (over >= 2) {
			t.Errorf("%d of three nodes call it over: %s", over, one.State())
		}
	}
	w.vault.Roots[0].Record = old
}

// With a signature the furthest state counts, but that the transaction came to nothing takes
// two nodes' word: a single liar would have people pay again.
func TestCaseStateSigned(t *testing.T) {
	w := newWorld(t)
	raw := w.sign()
	for _, c := range []struct {
		states []string
		want   string
	}{
		{[]string{"signed", "seen", "broadcast"}, "seen"},
		{[]string{"seen", "seen", "confirmed"}, "confirmed"},
		{[]string{"replaced", "seen", "signed"}, "seen"},
		{[]string{"replaced", "seen", "replaced"}, "replaced"},
		{[]string{"replaced", "replaced", "confirmed"}, "confirmed"},
		{[]string{"failed", "confirmed", "confirmed"}, "confirmed"},
		{[]string{"failed", "failed", "confirmed"}, "confirmed"}, // where they were not shown its block
		{[]string{"reverted", "reverted", "confirmed"}, "failed"},
		{[]string{"replaced"}, "replaced"}, // an operator at its own node
	} {
		var copies []*Case
		for i, s := range c.states {
			m := w.shown()
			m.State, m.Raw = s, raw
			if s == "reverted" {
				m.State, m.Reverted = "failed", true
			}
			copies = append(copies, w.read(operators[i], m))
		}
		merged, err := MergeCases(copies)
		w.must(err)
		if got := merged.State(); got != c.want {
			t.Errorf("%v: %q, want %q", c.states, got, c.want)
		}
	}
}

// An intent whose words and transaction say different things is not decoded.
func TestCaseUnclear(t *testing.T) {
	w := newWorld(t)
	it, err := intent.Of(w.stmt)
	w.must(err)
	for name, c := range map[string]struct {
		change func(*intent.Intent)
		want   string
	}{
		"sender": {func(it *intent.Intent) { it.Path[2] = 1 }, "names the sender"},
		"chain":  {func(it *intent.Intent) { it.Chain = "eip155:1" }, "names chain eip155:1"},
		"bytes":  {func(it *intent.Intent) { it.Transaction = []byte{2, 0xc0} }, "missing"},
		"words": {func(it *intent.Intent) {
			it.Facts = slices.Clone(it.Facts)
			it.Facts[2].Value = "1"
		}, `the intent says amount "1", decoded is amount "100000000000000000"`},
		"fewer words": {func(it *intent.Intent) { it.Facts = it.Facts[:3] }, "does not say destination"},
	} {
		x := it
		c.change(&x)
		w.stmt, err = x.Statement(NewSalt())
		w.must(err)
		got := w.read("acme", w.shown())
		if got.Decoded() || len(got.Facts) > 0 || !strings.Contains(got.Unclear, c.want) {
			t.Errorf("%s: %q; want %q", name, got.Unclear, c.want)
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	w := newWorld(t)
	gas := uint64(21000)
	sound := Transfer{
		Sender: w.sender(), To: evm.Address{1}, Amount: big.NewInt(1),
		Nonce: new(uint64), Gas: &gas, FeeCap: big.NewInt(1), TipCap: big.NewInt(1),
	}
	for name, c := range map[string]struct {
		person string
		change func(*Transfer)
		want   string
		class  Class
	}{
		"no initiator":  {"bob", func(*Transfer) {}, "no initiator's", Refused},
		"chain":         {"alice", func(t *Transfer) { t.Chain = "eip155:1" }, "does not sign for chain eip155:1", Refused},
		"not given out": {"alice", func(t *Transfer) { t.Index = 1 }, "was not given out", Failed},
		"not ready":     {"alice", func(t *Transfer) { t.Vault.State = "keygen" }, "not ready", NotReady},
		"no key":        {"alice", func(t *Transfer) { t.Root.Record = nil }, "not ready", NotReady},
		"burnt":         {"alice", func(t *Transfer) { t.To = evm.Address{} }, "burnt", Failed},
		"too long":      {"alice", func(t *Transfer) { t.Life = intent.MaxLife + time.Second }, "7 days", Failed},
	} {
		x := sound
		c.change(&x)
		circle := Dial(Context{"main", []Node{{"acme", "127.0.0.1:1", identity("acme")}}}, person(t, c.person), Cache{})
		_, err := circle.Prepare(context.Background(), x)
		if err == nil || !strings.Contains(err.Error(), c.want) || Classify(err) != c.class {
			t.Errorf("%s: %v, class %v; want %q, %v", name, err, Classify(err), c.want, c.class)
		}
	}
}

func TestNextPath(t *testing.T) {
	account := func(d, n string, path ...uint32) Account {
		return Account{Account: charter.Account{Department: d, Name: n, Path: [2]uint32(path)}}
	}
	all := []Account{account("ops", "a", 0, 0), account("ops", "b", 0, 2), account("pay", "a", 1, 0)}
	for _, c := range []struct {
		department, name string
		want             [2]uint32
	}{{"ops", "c", [2]uint32{0, 1}}, {"pay", "b", [2]uint32{1, 1}}, {"new", "a", [2]uint32{2, 0}}} {
		if got, err := nextPath(all, c.department, c.name); err != nil || got != c.want {
			t.Errorf("%s/%s: %v, %v; want %v", c.department, c.name, got, err, c.want)
		}
	}
	if _, err := nextPath(all, "ops", "a"); Classify(err) != Refused {
		t.Errorf("an account twice: %v", err)
	}
}

// Of three operators one is away: Follow gives up only after a while, and names it.
func TestWatch(t *testing.T) {
	w := newWorld(t)
	circle := &Circle{Members: []*Member{{Node: Node{Name: "first", Identity: identity("acme")}}, {Node: Node{Name: "third", Identity: identity("cora")}}}, chain: charter.Chain{w.vault.Roster}}
	down := []Failure{{"third", context.DeadlineExceeded}}
	now := time.Unix(1e9, 0)
	at := func(s time.Duration) time.Time { return now.Add(s) }

	c := w.read("acme", w.shown())
	x := watch{circle: circle}
	for _, s := range []time.Duration{0, absentPatience - 1} {
		if err := x.look(at(s), c, down); err != nil {
			t.Fatalf("after %s: %v", s, err)
		}
	}
	err := x.look(at(absentPatience), c, down)
	if Classify(err) != NotReady || err.Error() != "vault treasury needs 3 of its 3 operators to sign, and cora cannot be reached" {
		t.Fatalf("after %s: %v", absentPatience, err)
	}
	// It came back in between: the count begins anew.
	x = watch{circle: circle}
	for _, step := range []struct {
		at   time.Duration
		down []Failure
	}{{0, down}, {absentPatience - 1, nil}, {absentPatience, down}, {2*absentPatience - 1, down}} {
		if err := x.look(at(step.at), c, step.down); err != nil {
			t.Fatalf("at %s: %v", step.at, err)
		}
	}

	// The quorum is met, and the nodes await one that this person does not talk to.
	m := w.shown()
	m.Votes = []*v1.Ballot{w.ballot("bob", signet.Approve), w.ballot("carol", signet.Approve)}
	m.Awaited = []string{"bolt"}
	c = w.read("acme", m)
	x = watch{circle: circle}
	if err := x.look(at(0), c, nil); err != nil {
		t.Fatal(err)
	}
	if err := x.look(at(awaitedPatience), c, nil); Classify(err) != NotReady || !strings.Contains(err.Error(), "bolt is awaited") {
		t.Fatalf("awaited: %v", err)
	}
}

func TestSameNonce(t *testing.T) {
	w := newWorld(t)
	open := w.read("acme", w.shown())
	it := open.Intent
	closed, risky := *open, *open
	closed.Views = []View{{Node: "acme", State: "denied"}}
	risky.Views = []View{{Node: "acme", State: "failed", PossiblySigned: true}}
	unclear := *open
	unclear.Tx = nil
	all := []*Case{open, &closed, &risky, &unclear}
	if got := SameNonce(all, it.Address, it.Chain, 0); !slices.Equal(got, []*Case{open, &risky}) {
		t.Errorf("%d intents use the nonce, want the open one and the one that may be signed", len(got))
	}
	for name, got := range map[string][]*Case{
		"nonce": SameNonce(all, it.Address, it.Chain, 1), "chain": SameNonce(all, it.Address, "eip155:2", 0), "address": SameNonce(all, "0x", it.Chain, 0),
	} {
		if len(got) != 0 {
			t.Errorf("another %s: %d intents", name, len(got))
		}
	}
}

// The nonce offered is the first that neither the chain nor a live intent has.
func TestFreeNonce(t *testing.T) {
	w := newWorld(t)
	open := w.read("acme", w.shown())
	it := open.Intent
	with := func(nonce uint64, state string, signed bool) *Case {
		c := *open
		c.Tx = buildTx(t, nonce)
		c.Views = []View{{Node: "acme", State: state}}
		if signed {
			m := w.shown()
			m.Raw = w.sign()
			c.Signed = w.read("acme", m).Signed
		}
		return &c
	}
	unclear := *open
	unclear.Tx = nil
	for name, c := range map[string]struct {
		all  []*Case
		next uint64
		want uint64
	}{
		"none":                   {nil, 5, 5},
		"an open one":            {[]*Case{with(5, "proposed", false)}, 5, 6},
		"several":                {[]*Case{with(6, "approving", false), with(5, "allowed", false), with(7, "signing", false)}, 5, 8},
		"a gap is filled":        {[]*Case{with(6, "proposed", false)}, 5, 5},
		"signed, in no block":    {[]*Case{with(5, "signed", true), with(6, "dropped", true)}, 5, 7},
		"ended without":          {[]*Case{with(5, "denied", false), with(5, "expired", false), with(5, "cancelled", false), with(5, "failed", false)}, 5, 5},
		"the chain knows better": {[]*Case{with(3, "confirmed", true)}, 5, 5},
		"undecodable":            {[]*Case{&unclear}, 0, 0},
	} {
		if got := FreeNonce(c.all, it.Address, it.Chain, c.next, Now()); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
	one := []*Case{with(5, "proposed", false)}
	for name, got := range map[string]uint64{
		"address": FreeNonce(one, "0x", it.Chain, 5, Now()), "chain": FreeNonce(one, it.Address, "eip155:2", 5, Now()),
		"time": FreeNonce(one, it.Address, it.Chain, 5, it.Expires),
	} {
		if got != 5 {
			t.Errorf("another %s: %d, want 5", name, got)
		}
	}
}

func TestIntentID(t *testing.T) {
	for _, id := range []string{"", "0123456", "0123456g", "0x123456", strings.Repeat("0", 65), "ABCDEF01"} {
		if err := CheckIntentID(id); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v", id, err)
		}
	}
	for _, id := range []string{"01234567", strings.Repeat("a", 64)} {
		if err := CheckIntentID(id); err != nil {
			t.Errorf("%q: %v", id, err)
		}
	}
}

func TestReason(t *testing.T) {
	w := newWorld(t)
	m := w.shown()
	m.Votes = []*v1.Ballot{w.ballot("bob", signet.Reject)}
	c := w.read("acme", m)
	d := Decision{Decision: intent.Decision{Operator: "acme", Rule: intent.RuleRejected, Reason: "rejected by [bob]"}}
	if got, want := c.Reason(d), "rejected by bob; 2 approvals needed, 1 person left"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	d.Rule, d.Reason = intent.RuleChain, "another chain"
	if got := c.Reason(d); got != "another chain" {
		t.Errorf("%q", got)
	}
}
