package client

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	v1 "github.com/ostraka/ostraka/api/ostraka/v1"
	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/policy"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

// claim is what a proof says, as of a block.
func claim(text string) intent.Claim {
	return intent.Claim{Entity: "Example Ltd", AsOf: &intent.Block{Height: 24_000_000, Hash: [32]byte{7}}, Text: text}
}

// asksProof makes the world's intent one for a proof of m/0/0/0.
func (w *world) asksProof(text string) {
	w.t.Helper()
	var err error
	w.stmt, err = w.alice().PrepareProof(w.sender(), claim(text), "for the auditors", 0)
	w.must(err)
}

// proof is what the intent asks to be signed.
func (w *world) proof() (intent.Proof, statement.Statement) {
	w.t.Helper()
	p, err := intent.ProofOf(w.stmt, charter.SuiteECDSA)
	w.must(err)
	s, err := p.Statement()
	w.must(err)
	return p, s
}

// signProof signs the proof with the child key, by others' code.
func (w *world) signProof() []byte {
	w.t.Helper()
	p, s := w.proof()
	key, err := secp256k1.DecodePoint(gethcrypto.CompressPubkey(&w.child().PublicKey))
	w.must(err)
	digest, err := chain.ProofMessage(p.Suite, p.Chain, key, nil, s.Bytes())
	w.must(err)
	sig, err := gethcrypto.Sign(digest, w.child())
	w.must(err)
	raw, err := chain.ProofSignature(p.Suite, p.Chain, key, [64]byte(sig[:64]), sig[64])
	w.must(err)
	return raw
}

func (w *world) signedProof() *v1.Intent {
	m := w.shown()
	m.State, m.Raw = "signed", w.signProof()
	m.Votes = []*v1.Ballot{w.ballot("bob", signet.Approve), w.ballot("carol", signet.Approve)}
	return m
}

func TestCaseOfProof(t *testing.T) {
	w := newWorld(t)
	const text = `"Reserves", 31 January 2026` // which facts hold in quotes
	w.asksProof(text)
	p, s := w.proof()
	var copies []*Case
	for _, name := range operators {
		m := w.signedProof()
		m.Decisions = []*v1.Decision{w.decision(name, func(d *intent.Decision) { d.Facts = intent.Written(p.Facts()) })}
		copies = append(copies, w.read(name, m))
	}
	c, err := MergeCases(copies)
	w.must(err)
	if len(c.Alarms) > 0 || c.State() != "signed" || c.Unclear != "" || !c.Decoded() || c.Tx != nil || len(c.Decisions) != 3 {
		t.Fatalf("state %s, alarms %v, unclear %q, decoded %v", c.State(), c.Alarms, c.Unclear, c.Decoded())
	}
	if !slices.Equal(c.Facts, p.Facts()) || c.Proof.Text != text || c.Proof.Statement.ID() != s.ID() || c.Root.Suite != charter.SuiteECDSA {
		t.Errorf("proof %+v, facts %v", c.Proof, c.Facts)
	}
	if c.Signed == nil || c.Signed.Tx != nil || c.Signed.Hash != "0x"+s.ID().String() || !bytes.Equal(c.Signed.Raw, w.signProof()) {
		t.Errorf("signed %+v", c.Signed)
	}
}

// What a node shows as a proof's signature is verified under the address's key, over the proof built here.
func TestCaseRefusesForeignProofSignatures(t *testing.T) {
	w := newWorld(t)
	transfer := w.sign()
	w.asksProof("ours")
	good := w.signProof()
	again := newWorld(t)
	again.vault = w.vault
	again.asksProof("ours") // another salt, and so another intent and proof
	elsewhere := newWorld(t)
	elsewhere.vault = w.vault
	elsewhere.asksProof("theirs")
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		m := w.signedProof()
		m.Raw = bad
		if _, err := ReadCase("acme", []Vault{w.vault}, m); Classify(err) != Unverified || !strings.Contains(err.Error(), "node acme") {
			t.Errorf("byte %d may be flipped: %v", i, err)
		}
	}
	for name, bad := range map[string][]byte{
		"cut": good[:64], "longer": append(bytes.Clone(good), 0), "of the same words again": again.signProof(), "of other words": elsewhere.signProof(), "a transaction": transfer,
	} {
		m := w.signedProof()
		m.Raw = bad
		if _, err := ReadCase("acme", []Vault{w.vault}, m); Classify(err) != Unverified || !strings.Contains(err.Error(), "node acme") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// And a proof's signature is no transaction.
	w = newWorld(t)
	m := w.shown()
	m.Raw = good
	if _, err := ReadCase("acme", []Vault{w.vault}, m); Classify(err) != Unverified || !strings.Contains(err.Error(), "is not the intent's") {
		t.Errorf("a proof as transaction: %v", err)
	}
}

// saysOf has an intent say another thing of one of its facts.
func saysOf(fact, value string) func(*intent.Intent) {
	return func(it *intent.Intent) {
		it.Facts = slices.Clone(it.Facts)
		it.Facts[slices.IndexFunc(it.Facts, func(f intent.Fact) bool { return f.Name == fact })].Value = value
	}
}

// A proof whose words do not fit the vault's key is not decoded, and nothing that is signed for it is believed.
func TestProofUnclear(t *testing.T) {
	w := newWorld(t)
	w.asksProof("ours")
	good := w.signProof()
	it, err := intent.Of(w.stmt)
	w.must(err)
	for name, c := range map[string]struct {
		change func(*intent.Intent)
		want   string
	}{
		"path":     {func(it *intent.Intent) { it.Path[2] = 1 }, "names the sender"},
		"words":    {saysOf("text", "yours"), `the intent says text "yours", decoded is text "ours"`},
		"entity":   {saysOf("entity", "Another Ltd"), `the intent says entity "Another Ltd", decoded is entity "Example Ltd"`},
		"height":   {saysOf("height", "24000001"), `the intent says height "24000001", decoded is height "24000000"`},
		"block":    {saysOf("block", strings.Repeat("08", 32)), `the intent says block "0808`},
		"no block": {func(it *intent.Intent) { it.AsOf = nil }, `the intent says height "24000000", decoded is text "ours"`},
		"another":  {func(it *intent.Intent) { it.Entity = "Another Ltd" }, `decoded is entity "Another Ltd"`},
		"address":  {func(it *intent.Intent) { it.Address = "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf" }, "names the sender"},
		"key":      {func(it *intent.Intent) { it.Key[0] ^= 1 }, "none that vault treasury has published"},
		"chain":    {func(it *intent.Intent) { it.Chain = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp" }, "has none on chain solana"},
	} {
		x := it
		c.change(&x)
		w.stmt, err = x.Statement(NewSalt())
		w.must(err)
		got := w.read("acme", w.shown())
		if got.Proof != nil || got.Decoded() || len(got.Facts) > 0 || !strings.Contains(got.Unclear, c.want) {
			t.Errorf("%s: %q; want %q", name, got.Unclear, c.want)
		}
		m := w.shown()
		m.Raw = good
		if _, err := ReadCase("acme", []Vault{w.vault}, m); Classify(err) != Unverified || !strings.Contains(err.Error(), "cannot be decoded") {
			t.Errorf("%s: a signature is believed: %v", name, err)
		}
	}
}

func TestPrepareProofRefuses(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		person string
		text   string
		life   time.Duration
		change func(*Sender)
		want   string
		class  Class
	}{
		"no initiator":  {"bob", "x", 0, nil, "no initiator's", Refused},
		"no text":       {"alice", "", 0, nil, "an entity and a text", Failed},
		"two lines":     {"alice", "a\nb", 0, nil, "text", Failed},
		"chain":         {"alice", "x", 0, func(s *Sender) { s.Chain = "eip155:1" }, "does not sign for chain eip155:1", Refused},
		"not given out": {"alice", "x", 0, func(s *Sender) { s.Index = 1 }, "was not given out", Failed},
		"not ready":     {"alice", "x", 0, func(s *Sender) { s.Vault.State = "keygen" }, "not ready", NotReady},
		"no key":        {"alice", "x", 0, func(s *Sender) { s.Root.Record = nil }, "not ready", NotReady},
		"too long":      {"alice", "x", intent.MaxLife + time.Second, nil, "7 days", Failed},
	} {
		s := w.sender()
		if c.change != nil {
			c.change(&s)
		}
		circle := Dial(Context{"main", []Node{{"acme", "127.0.0.1:1", identity("acme")}}}, person(t, c.person), Cache{})
		if _, err := circle.PrepareProof(s, claim(c.text), "", c.life); err == nil || !strings.Contains(err.Error(), c.want) || Classify(err) != c.class {
			t.Errorf("%s: %v, class %v; want %q, %v", name, err, Classify(err), c.want, c.class)
		}
	}
}

// "" is the only root; of several, one has to be named.
func TestRootOfVault(t *testing.T) {
	one, two := Vault{}, Vault{}
	one.Name, one.Suites, one.Roots = "one", []string{charter.SuiteECDSA}, []Root{{Suite: charter.SuiteECDSA}}
	two.Name, two.Suites = "two", []string{charter.SuiteECDSA, charter.SuiteEd25519}
	two.Roots = []Root{{Suite: charter.SuiteECDSA}, {Suite: charter.SuiteEd25519}}
	early := one
	early.Roots = nil
	for _, c := range []struct {
		v           Vault
		suite, want string // want: a suite, or words of the error
	}{
		{one, "", charter.SuiteECDSA}, {one, charter.SuiteECDSA, charter.SuiteECDSA}, {two, charter.SuiteEd25519, charter.SuiteEd25519},
		{two, "", "name one of ecdsa-secp256k1, ed25519"}, {one, charter.SuiteEd25519, "has no key of suite \"ed25519\""}, {early, "", "has no key yet"},
		{early, charter.SuiteECDSA, "has no key yet"},
	} {
		r, err := c.v.Root(c.suite)
		if err == nil && r.Suite != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s, %q: %q, %v; want %q", c.v.Name, c.suite, r.Suite, err, c.want)
		}
	}
}

// Rules see of a proof that it is one, and by which address: no word of what it claims.
func TestClaimsAreNoPolicyFacts(t *testing.T) {
	w := newWorld(t)
	var seen [][]policy.Flow
	for _, c := range []intent.Claim{claim("ours"), {Entity: "native-transfer", Text: "amount 1"}} {
		var err error
		w.stmt, err = w.alice().PrepareProof(w.sender(), c, "", 0)
		w.must(err)
		one := w.read("acme", w.shown())
		flows, err := one.flows(charter.Document{})
		w.must(err)
		seen = append(seen, flows)
		if want := []policy.Flow{{Operation: policy.Proof, Destination: one.Intent.Address}}; !reflect.DeepEqual(flows, want) {
			t.Errorf("flows %+v, want %+v", flows, want)
		}
	}
	if !reflect.DeepEqual(seen[0], seen[1]) {
		t.Errorf("two claims, two questions: %+v", seen)
	}
}
