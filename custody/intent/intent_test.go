package intent

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

var update = flag.Bool("update", false, "write testdata anew")

var (
	noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	salt = statement.Salt{31: 0xaa}
)

func private(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test only: " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func sshSigner(t testing.TB, name string) ssh.Signer {
	return must(ssh.NewSignerFromKey(private(name)))(t)
}

func sshKey(t testing.TB, name string) signet.Key {
	return must(signet.NewKey(sshSigner(t, name).PublicKey()))(t)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func person(t testing.TB, name string) charter.Person {
	return charter.Person{Name: name, Organisation: "acme", Keys: []signet.Key{sshKey(t, name)}}
}

// vault is 2-of-3, quorum 2 of alice, bob and carol; alice and dora propose.
func vault(t testing.TB, changes ...func(*charter.Vault)) charter.Vault {
	v := charter.Vault{
		Roster: statement.ID{2}, Charter: statement.ID{1}, Name: "treasury", Suites: []string{charter.SuiteECDSA},
		Threshold: 2, Committee: []string{"acme", "bolt", "cora"}, Created: noon,
		Terms: charter.Terms{
			Under: statement.ID{1}, Tier: charter.TierWarm,
			Initiators: []charter.Person{person(t, "alice"), person(t, "dora")},
			Approvers:  []charter.Person{person(t, "alice"), person(t, "bob"), person(t, "carol")},
			Quorum:     2, Organisations: 1, Chains: []string{"eip155:1"}, Expiry: 24 * time.Hour,
		},
	}
	for _, change := range changes {
		change(&v)
	}
	out := must(charter.VaultOf(must(v.Statement(salt))(t)))(t)
	out.Terms = v.Terms
	return out
}

// decoded is what a node decodes of the intent's transaction.
func decoded() []Fact {
	return []Fact{{"operation", "transfer"}, {"amount", "1000000000000000000 wei"}, {"to", "0x8617E340B3D01FA5F11F306F4090FD50E238070D"}}
}

func intent(v charter.Vault, changes ...func(*Intent)) Intent {
	it := Intent{
		Charter: v.Under, Vault: v.ID, Key: [32]byte{3}, Epoch: [32]byte{4}, Path: [3]uint32{0, 1, 2},
		Address: "0x52908400098527886E0F7030069857D2E4169EE7", Chain: "eip155:1", Purpose: PurposeTransaction,
		Transaction: []byte{2, 0xc0}, Facts: decoded(), Memo: "rent, January", Initiator: "dora",
		Created: noon, Expires: noon.Add(24 * time.Hour),
	}
	for _, change := range changes {
		change(&it)
	}
	return it
}

func stated(t testing.TB, v charter.Vault, changes ...func(*Intent)) statement.Statement {
	t.Helper()
	return must(intent(v, changes...).Statement(salt))(t)
}

func signed(t testing.TB, s statement.Statement, verb signet.Verb, name string) []byte {
	t.Helper()
	return must(signet.Sign(nil, sshSigner(t, name), verb, s.Bytes()))(t)
}

func vote(t testing.TB, s statement.Statement, v charter.Vault, verb signet.Verb, name string) Vote {
	t.Helper()
	return must(VerifyVote(s, v, verb, signed(t, s, verb, name), noon))(t)
}

func snapshot(t *testing.T, file string, got []byte) {
	t.Helper()
	file = filepath.Join("testdata", file)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want := must(os.ReadFile(file))(t); !bytes.Equal(want, got) {
		t.Errorf("%s: got\n%s\nwant\n%s", file, got, want)
	}
}

func TestIntentRoundTrip(t *testing.T) {
	v := vault(t)
	it := intent(v, func(it *Intent) { it.Replaces = statement.ID{9} })
	s := must(it.Statement(salt))(t)
	snapshot(t, "intent.txt", s.Bytes())
	if got := must(Of(s))(t); !reflect.DeepEqual(got, it) {
		t.Errorf("read %+v\nwant %+v", got, it)
	}
	it.Memo, it.Replaces = "", statement.ID{}
	if got := must(Of(must(it.Statement(salt))(t)))(t); !reflect.DeepEqual(got, it) {
		t.Errorf("without the optional fields: %+v", got)
	}
	largest := stated(t, v, func(it *Intent) { it.Transaction = make([]byte, statement.MaxTransaction) })
	if _, err := Of(largest); err != nil {
		t.Error(err)
	}
}

func TestIntentRefuses(t *testing.T) {
	v := vault(t)
	for _, c := range []struct {
		name, want string
		change     func(*Intent)
	}{
		{"expires with created", "is not after created", func(it *Intent) { it.Expires = it.Created }},
		{"expires before", "is not after created", func(it *Intent) { it.Expires = noon.Add(-time.Hour) }},
		{"lives too long", "more than 7 days", func(it *Intent) { it.Expires = noon.Add(MaxLife + time.Second) }},
		{"no transaction", "a transaction, and no entity, height or text expected", func(it *Intent) { it.Transaction = nil }},
		{"text beside a transaction", "a transaction, and no entity, height or text expected", func(it *Intent) { it.Text = "ours" }},
		{"entity beside a transaction", "a transaction, and no entity, height or text expected", func(it *Intent) { it.Entity = "Example Ltd" }},
		{"height beside a transaction", "a transaction, and no entity, height or text expected", func(it *Intent) { it.AsOf = &Block{} }},
		{"proof without text", "an entity and a text, and no transaction expected", func(it *Intent) { asksProof(it); it.Text = "" }},
		{"proof without entity", "an entity and a text, and no transaction expected", func(it *Intent) { asksProof(it); it.Entity = "" }},
		{"proof with a transaction", "an entity and a text, and no transaction expected", func(it *Intent) { asksProof(it); it.Transaction = []byte{2} }},
		{"long entity", "entity: has", func(it *Intent) { asksProof(it); it.Entity = strings.Repeat("x", 129) }},
		{"height of 64 bits", "height: is", func(it *Intent) { asksProof(it); it.AsOf.Height = 1 << 63 }},
		{"large transaction", "transaction: has", func(it *Intent) { it.Transaction = make([]byte, statement.MaxTransaction+1) }},
		{"purpose", "purpose: is \"gift\"", func(it *Intent) { it.Purpose = "gift" }},
		{"a message without one", "purpose message", func(it *Intent) { it.Purpose, it.Transaction = "message", nil }},
		{"a message with a claim", "purpose message", func(it *Intent) { it.Purpose, it.Claim = "message", Claim{Entity: "Example Ltd", Text: "x"} }},
		{"hardened", "path: is", func(it *Intent) { it.Path[2] = 1 << 31 }},
		{"chain", "chain: is", func(it *Intent) { it.Chain = "eip155:0x1" }},
		{"memo", "memo holds a line feed", func(it *Intent) { it.Memo = "a\nb" }},
		{"initiator", "initiator: is", func(it *Intent) { it.Initiator = "Dora" }},
		{"no vault", "vault expected", func(it *Intent) { it.Vault = statement.ID{} }},
		{"no fact", "fact expected", func(it *Intent) { it.Facts = nil }},
		{"many facts", "fact stands more than 64 times", func(it *Intent) {
			it.Facts = slices.Repeat([]Fact{{"amount", "1"}}, statement.MaxFacts+1)
		}},
		{"fact without name", "fact has 0", func(it *Intent) { it.Facts[0].Name = "" }},
		{"fact's name", "fact is", func(it *Intent) { it.Facts[0].Name = "Operation" }},
		{"fact's look-alike name", "fact is", func(it *Intent) { it.Facts[1].Name = "\u0430mount" }},
		{"fact without value", "ends with a space", func(it *Intent) { it.Facts[0].Value = "" }},
		{"fact of two lines", "holds a line feed", func(it *Intent) { it.Facts[0].Value = "transfer\nmemo: ours" }},
		{"long fact", "fact: has", func(it *Intent) { it.Facts[0].Value = strings.Repeat("x", statement.MaxFact-len("operation")) }},
		{"no address", "address expected", func(it *Intent) { it.Address = "" }},
	} {
		if _, err := intent(v, c.change).Statement(salt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
	}
	text := strings.Replace(stated(t, v).Text(), "expires: 2026-02-01", "expires: 2026-03-01", 1)
	if _, err := Of(must(statement.Parse([]byte(text)))(t)); err == nil {
		t.Error("an intent of a month is read")
	}
	if _, err := Of(must(statement.Parse(must(os.ReadFile("../charter/testdata/vault.txt"))(t)))(t)); err == nil {
		t.Error("a vault passes for an intent")
	}
}

func TestVerifyProposal(t *testing.T) {
	v := vault(t)
	s := stated(t, v)
	armored := signed(t, s, "intent", "dora")
	if it, err := VerifyProposal(s, armored, v, noon.Add(-Skew)); err != nil || it.Initiator != "dora" {
		t.Errorf("%+v, %v", it, err)
	}
	other := vault(t, func(v *charter.Vault) { v.Name = "other" })
	byBob := stated(t, v, func(it *Intent) { it.Initiator = "bob" })
	for name, c := range map[string]struct {
		s       statement.Statement
		armored []byte
		v       charter.Vault
		now     time.Time
		want    error
	}{
		"expired":                {s, armored, v, noon.Add(24 * time.Hour), ErrExpired},
		"future":                 {s, armored, v, noon.Add(-Skew - time.Second), ErrFuture},
		"other vault":            {s, armored, other, noon, ErrOtherVault},
		"no initiator":           {byBob, signed(t, byBob, "intent", "bob"), v, noon, ErrNoInitiator},
		"another initiator":      {s, signed(t, s, "intent", "alice"), v, noon, ErrNoInitiator},
		"stranger":               {s, signed(t, s, "intent", "mallory"), v, noon, ErrNoInitiator},
		"approval as a proposal": {s, signed(t, s, "approve", "dora"), v, noon, ErrOtherUse},
		"other bytes":            {s, signed(t, byBob, "intent", "dora"), v, noon, ErrOtherBytes},
		"malformed":              {s, []byte("x"), v, noon, ErrMalformed},
	} {
		if _, err := VerifyProposal(c.s, c.armored, c.v, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestVerifyVote(t *testing.T) {
	v := vault(t)
	s := stated(t, v)
	byAlice := stated(t, v, func(it *Intent) { it.Initiator = "alice" })
	got := vote(t, s, v, signet.Approve, "bob")
	if got.Intent != s.ID() || got.Person != "bob" || got.Verb != signet.Approve || !got.Key.Equal(sshKey(t, "bob")) {
		t.Errorf("vote is %+v", got)
	}
	if got := vote(t, byAlice, v, signet.Reject, "alice"); got.Verb != signet.Reject {
		t.Errorf("who proposed cannot reject: %+v", got)
	}
	own := vault(t, func(v *charter.Vault) { v.Name, v.InitiatorApproves = "savings", true })
	vote(t, stated(t, own, func(it *Intent) { it.Initiator = "alice" }), own, signet.Approve, "alice")

	otherSalt := must(intent(v).Statement(statement.Salt{1}))(t)
	for name, c := range map[string]struct {
		s       statement.Statement
		verb    signet.Verb
		armored []byte
		now     time.Time
		want    error
	}{
		"expired":             {s, signet.Approve, signed(t, s, "approve", "bob"), noon.Add(24 * time.Hour), ErrExpired},
		"future":              {s, signet.Approve, signed(t, s, "approve", "bob"), noon.Add(-time.Hour), ErrFuture},
		"stranger":            {s, signet.Approve, signed(t, s, "approve", "mallory"), noon, ErrStranger},
		"initiator only":      {s, signet.Approve, signed(t, s, "approve", "dora"), noon, ErrStranger},
		"own proposal":        {byAlice, signet.Approve, signed(t, byAlice, "approve", "alice"), noon, ErrOwnProposal},
		"other salt":          {s, signet.Approve, signed(t, otherSalt, "approve", "bob"), noon, ErrOtherBytes},
		"rejection":           {s, signet.Approve, signed(t, s, "reject", "bob"), noon, ErrOtherUse},
		"approval for reject": {s, signet.Reject, signed(t, s, "approve", "bob"), noon, ErrOtherUse},
		"proposal":            {s, signet.Approve, signed(t, s, "intent", "bob"), noon, ErrOtherUse},
		"other verb":          {s, "intent", signed(t, s, "intent", "bob"), noon, ErrOtherUse},
		"malformed":           {s, signet.Approve, []byte("x"), noon, ErrMalformed},
	} {
		if _, err := VerifyVote(c.s, v, c.verb, c.armored, c.now); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	amended := v
	amended.Under = statement.ID{8}
	if _, err := VerifyVote(s, amended, signet.Approve, signed(t, s, "approve", "bob"), noon); !errors.Is(err, ErrOtherVault) {
		t.Errorf("another charter: %v", err)
	}
	if _, err := VerifyVote(s, own, signet.Approve, signed(t, s, "approve", "bob"), noon); !errors.Is(err, ErrOtherVault) {
		t.Errorf("other vault: %v", err)
	}
}

func TestCount(t *testing.T) {
	two := charter.Person{Name: "bob", Keys: []signet.Key{sshKey(t, "bob"), sshKey(t, "bob's spare")}}
	slices.SortFunc(two.Keys, func(a, b signet.Key) int { return strings.Compare(a.String(), b.String()) })
	v := vault(t, func(v *charter.Vault) { v.Approvers[1] = two })
	s := stated(t, v)
	approve := func(name string) Vote { return vote(t, s, v, signet.Approve, name) }
	reject := func(name string) Vote { return vote(t, s, v, signet.Reject, name) }
	foreign := approve("carol")
	foreign.Intent = statement.ID{7}
	forged := approve("carol")
	forged.Person = "alice"
	for _, c := range []struct {
		name      string
		initiator string
		votes     []Vote
		want      Tally
	}{
		{"nobody", "dora", nil, Tally{Awaited: []string{"alice", "bob", "carol"}, Need: 2}},
		{"two", "dora", []Vote{approve("bob"), approve("carol")}, Tally{Approved: []string{"bob", "carol"}, Awaited: []string{"alice"}}},
		{"one person, two keys", "dora", []Vote{approve("bob"), approve("bob's spare")}, Tally{Approved: []string{"bob"}, Awaited: []string{"alice", "carol"}, Need: 1}},
		{"taken back", "dora", []Vote{approve("bob"), reject("bob")}, Tally{Rejected: []string{"bob"}, Awaited: []string{"alice", "carol"}, Need: 2}},
		{"own", "alice", []Vote{approve("alice"), approve("bob")}, Tally{Approved: []string{"bob"}, Awaited: []string{"carol"}, Need: 1}},
		{"other intent", "dora", []Vote{foreign}, Tally{Awaited: []string{"alice", "bob", "carol"}, Need: 2}},
		{"another's key", "dora", []Vote{forged}, Tally{Awaited: []string{"alice", "bob", "carol"}, Need: 2}},
	} {
		if got := Count(s.ID(), c.initiator, v, c.votes); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	// An approver who left the vault counts no more.
	left := v
	left.Approvers = v.Approvers[:2]
	if got := Count(s.ID(), "dora", left, []Vote{approve("carol")}); len(got.Approved) != 0 {
		t.Errorf("who left: %+v", got)
	}
	// A key that was revoked approves no more; what it rejected stays rejected.
	revoked := v
	revoked.Approvers = slices.Clone(v.Approvers)
	revoked.Approvers[1].Keys = two.Keys[:1]
	spare := func(verb signet.Verb) Vote {
		x := vote(t, s, v, verb, "bob")
		x.Key = two.Keys[1]
		return x
	}
	if got := Count(s.ID(), "dora", revoked, []Vote{spare(signet.Approve)}); len(got.Approved) != 0 {
		t.Errorf("a revoked key approves: %+v", got)
	}
	kept := spare(signet.Approve)
	kept.Key = two.Keys[0]
	if got := Count(s.ID(), "dora", revoked, []Vote{kept, spare(signet.Reject)}); len(got.Approved) != 0 || !slices.Equal(got.Rejected, []string{"bob"}) {
		t.Errorf("revoking the key that rejected makes the approval count: %+v", got)
	}
	if m := (Tally{Need: 1, Awaited: []string{"bob"}}).Missing(); m != "1 more of [bob] must approve" {
		t.Errorf("missing: %q", m)
	}
}

func TestCancellation(t *testing.T) {
	v := vault(t)
	s := stated(t, v)
	c := Cancellation{Charter: v.Under, Vault: v.ID, Intent: s.ID(), Initiator: "dora", Reason: "paid twice", Created: noon}
	cs := must(c.Statement(salt))(t)
	snapshot(t, "cancel.txt", cs.Bytes())
	if got, err := VerifyCancel(cs, s, v, signed(t, cs, "cancel", "dora")); err != nil || got != c {
		t.Errorf("%+v, %v", got, err)
	}
	for name, change := range map[string]func(*Cancellation){
		"other intent":      func(c *Cancellation) { c.Intent[0]++ },
		"other vault":       func(c *Cancellation) { c.Vault[0]++ },
		"other charter":     func(c *Cancellation) { c.Charter[0]++ },
		"another initiator": func(c *Cancellation) { c.Initiator = "alice" },
	} {
		bad := c
		change(&bad)
		bs := must(bad.Statement(salt))(t)
		if _, err := VerifyCancel(bs, s, v, signed(t, bs, "cancel", bad.Initiator)); err == nil {
			t.Errorf("%s: cancelled", name)
		}
	}
	if _, err := VerifyCancel(cs, s, v, signed(t, cs, "cancel", "alice")); !errors.Is(err, ErrNoInitiator) {
		t.Errorf("by another: %v", err)
	}
	if _, err := VerifyCancel(cs, s, vault(t, func(v *charter.Vault) { v.Name = "other" }), signed(t, cs, "cancel", "dora")); !errors.Is(err, ErrOtherVault) {
		t.Errorf("under another vault: %v", err)
	}
	if _, err := VerifyCancel(s, s, v, nil); err == nil {
		t.Error("an intent passes for a cancellation")
	}
	if _, err := VerifyCancel(cs, cs, v, nil); err == nil {
		t.Error("a cancellation cancels itself")
	}
}
