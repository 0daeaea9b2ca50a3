package charter

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

func TestAccount(t *testing.T) {
	a := Account{Charter: statement.ID{1}, Vault: statement.ID{2}, Department: "payments", Name: "rent", Path: [2]uint32{0, 7}, Created: noon}
	s := must(a.Statement(salt))(t)
	snapshot(t, s)
	if got := must(AccountOf(s))(t); got != a {
		t.Errorf("read %+v", got)
	}
	a.Path[1] = 1 << 31
	if _, err := a.Statement(salt); err == nil {
		t.Error("a hardened level is accepted")
	}
	if _, err := AccountOf(must(vault(t).Statement(salt))(t)); err == nil {
		t.Error("a vault passes for an account")
	}
}

func TestKeyChoice(t *testing.T) {
	r := must(RosterOf(must(roster(t).Statement(salt))(t)))(t)
	v := vault(t)
	v.Charter = r.ID
	v = must(VaultOf(must(v.Statement(salt))(t)))(t)
	c := KeyChoice{Charter: r.ID, Vault: v.ID, Key: [32]byte{3}, Attempt: 1, Suite: SuiteECDSA, PublicKey: append([]byte{2, 4}, make([]byte, 31)...), Epoch: [32]byte{5}, Certificate: [32]byte{6}}
	s := must(c.Statement())(t)
	snapshot(t, s)
	if again := must(c.Statement())(t); again.ID() != s.ID() {
		t.Error("two nodes build different bytes")
	}
	if got := must(KeyChoiceOf(s))(t); !reflect.DeepEqual(got, c) {
		t.Errorf("read %+v", got)
	}
	sigs := map[string][]byte{}
	for _, name := range v.Committee {
		sigs[name] = must(signet.SignNode(private("node of "+name), s))(t)
	}
	if err := VerifyKeyChoice(s, v, r, sigs); err != nil {
		t.Error(err)
	}
	for _, name := range v.Committee {
		good := sigs[name]
		sigs[name] = nil
		if err := VerifyKeyChoice(s, v, r, sigs); !errors.Is(err, signet.ErrNodeSignature) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		sigs[name] = must(signet.SignNode(private("mallory"), s))(t)
		if VerifyKeyChoice(s, v, r, sigs) == nil {
			t.Errorf("mallory signs for %s", name)
		}
		sigs[name] = good
	}
	other := v
	other.ID = statement.ID{9}
	if VerifyKeyChoice(s, other, r, sigs) == nil {
		t.Error("it serves another vault")
	}
	short := r
	short.Operators = r.Operators[:2]
	if VerifyKeyChoice(s, v, short, sigs) == nil {
		t.Error("a member that is no operator is passed over")
	}
	foreign := c
	foreign.Suite, foreign.PublicKey = SuiteEd25519, make([]byte, 32)
	if VerifyKeyChoice(must(foreign.Statement())(t), v, r, sigs) == nil {
		t.Error("it serves a suite that the vault does not have")
	}
	foreign.PublicKey = make([]byte, 33)
	if _, err := KeyChoiceOf(must(foreign.Statement())(t)); err == nil || !strings.Contains(err.Error(), "public-key has 33 bytes") {
		t.Errorf("a public key of another suite's length: %v", err)
	}
	fields := s.Fields()
	salted := must(statement.Build(statement.Key, fields[:len(fields)-1], salt))(t)
	if _, err := KeyChoiceOf(salted); err == nil || !strings.Contains(err.Error(), "salt") {
		t.Errorf("free salt: %v", err)
	}
}

func TestHello(t *testing.T) {
	h := Hello{Charter: statement.ID{1}, Identity: identity("acme"), Challenge: [32]byte{7}, Person: sshKey(t, "alice"), Created: noon}
	s := must(h.Statement(salt))(t)
	snapshot(t, s)
	armored := officerSigns(t, s, "hello", "alice")
	got, err := VerifyHello(s, armored, h.Charter, h.Identity, h.Challenge, noon.Add(HelloSkew))
	if err != nil || !reflect.DeepEqual(got, h) {
		t.Errorf("%+v, %v", got, err)
	}
	verify := func(armored []byte, charter statement.ID, node string, challenge byte, now time.Time) error {
		_, err := VerifyHello(s, armored, charter, identity(node), [32]byte{challenge}, now)
		return err
	}
	for name, c := range map[string]struct{ err, want error }{
		"other circle":    {verify(armored, statement.ID{2}, "acme", 7, noon), ErrOtherCircle},
		"other node":      {verify(armored, h.Charter, "bolt", 7, noon), ErrOtherNode},
		"other challenge": {verify(armored, h.Charter, "acme", 8, noon), ErrOtherChallenge},
		"late":            {verify(armored, h.Charter, "acme", 7, noon.Add(HelloSkew+time.Second)), ErrHelloTime},
		"early":           {verify(armored, h.Charter, "acme", 7, noon.Add(-HelloSkew-time.Second)), ErrHelloTime},
		"stranger":        {verify(officerSigns(t, s, "hello", "mallory"), h.Charter, "acme", 7, noon), signet.ErrStranger},
		"other use":       {verify(officerSigns(t, s, "approve", "alice"), h.Charter, "acme", 7, noon), signet.ErrNamespace},
	} {
		if !errors.Is(c.err, c.want) {
			t.Errorf("%s: %v, want %v", name, c.err, c.want)
		}
	}
	if _, err := VerifyHello(must(vault(t).Statement(salt))(t), armored, h.Charter, h.Identity, h.Challenge, noon); err == nil {
		t.Error("a vault passes for a hello")
	}
}

// vaultFile is what a person writes for the vault of these tests.
func vaultFile(t testing.TB) string {
	return `# our treasury
name: treasury
tier: warm
suites: [ecdsa-secp256k1]
threshold: 2
committee: [cora, acme, "bolt"]   # any order
initiators:
  - name: alice
    keys: ["` + sshKey(t, "alice").String() + ` alice@laptop"]
approvers:
  - {name: bob, keys: [` + sshKey(t, "bob").String() + `]}
  - name: alice
    keys:
      - ` + sshKey(t, "alice").String() + `
  - name: carol
    keys: ['` + sshKey(t, "carol").String() + `']
quorum: 2
chains: ["eip155:1", eip155:31337]
`
}

func TestReadVault(t *testing.T) {
	v := must(ReadVault([]byte(vaultFile(t)), nil, statement.ID{1}, noon.Add(time.Millisecond)))(t)
	if d := v.SameAs(vault(t)); d != "" || !v.Created.Equal(noon) {
		t.Errorf("another %s, created %s", d, v.Created)
	}
	if s := must(v.Statement(salt))(t); s.ID() != must(vault(t).Statement(salt))(t).ID() {
		t.Error("the file makes other bytes")
	}
	more := must(ReadVault([]byte(vaultFile(t)+"initiator-approves: true\nexpiry: 3600\nrefresh-every: 7200\n"), nil, statement.ID{1}, noon))(t)
	if !more.InitiatorApproves || more.Expiry != time.Hour || more.RefreshEvery != 2*time.Hour {
		t.Errorf("optional fields: %+v", more)
	}
}

// Suites beside the file stand for those that it leaves out; where it names them, they must be the same.
func TestReadVaultWithSuitesBeside(t *testing.T) {
	file := vaultFile(t)
	without := strings.Replace(file, "suites: [ecdsa-secp256k1]\n", "", 1)
	both := strings.Replace(file, "[ecdsa-secp256k1]", "[ed25519, ecdsa-secp256k1]", 1)
	for name, c := range map[string]struct {
		file   string
		suites []string
		want   string // suites, or words of the error
	}{
		"in the file":          {file, nil, "ecdsa-secp256k1"},
		"beside it":            {without, []string{SuiteEd25519}, "ed25519"},
		"several beside it":    {without, []string{SuiteEd25519, SuiteBIP340, SuiteECDSA}, "bip340-secp256k1 ecdsa-secp256k1 ed25519"},
		"the same":             {file, []string{SuiteECDSA}, "ecdsa-secp256k1"},
		"the same, unordered":  {both, []string{SuiteECDSA, SuiteEd25519}, "ecdsa-secp256k1 ed25519"},
		"nowhere":              {without, nil, "suites: is missing"},
		"nowhere, empty":       {without, []string{}, "suites: is missing"},
		"another":              {file, []string{SuiteEd25519}, "suites: it names [ecdsa-secp256k1], beside it stand [ed25519]"},
		"one more":             {file, []string{SuiteECDSA, SuiteEd25519}, "beside it stand"},
		"one less":             {both, []string{SuiteECDSA}, "beside it stand"},
		"one twice":            {without, []string{SuiteECDSA, SuiteECDSA}, "stands twice"},
		"unknown":              {without, []string{"rot13"}, "suite: is \"rot13\""},
		"a text for a list":    {strings.Replace(file, "[ecdsa-secp256k1]", "ecdsa-secp256k1", 1), nil, "suites: is not a list"},
		"an empty list":        {strings.Replace(file, "[ecdsa-secp256k1]", "[]", 1), nil, "suite expected"},
		"the field of old":     {strings.Replace(file, "suites: [ecdsa-secp256k1]", "suite: ecdsa-secp256k1", 1), []string{SuiteECDSA}, "\"suite\": unknown field"},
		"a number in the list": {strings.Replace(file, "[ecdsa-secp256k1]", "[25519]", 1), nil, "reads as int"},
	} {
		given := slices.Clone(c.suites)
		v, err := ReadVault([]byte(c.file), c.suites, statement.ID{1}, noon)
		if err == nil && strings.Join(v.Suites, " ") != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: suites %v, %v; want %q", name, v.Suites, err, c.want)
		}
		if !slices.Equal(given, c.suites) {
			t.Errorf("%s: the caller's list changed to %v", name, c.suites)
		}
	}
}

func TestReadVaultRefuses(t *testing.T) {
	file := vaultFile(t)
	for _, c := range []struct{ name, old, new, want string }{
		{"empty", file, "", "empty"},
		{"only a comment", file, "# x\n", "empty"},
		{"no mapping", file, "- x\n", "vault is not a list of"},
		{"not YAML", "name:", "name: [", "yaml"},
		{"two documents", "quorum: 2\n", "quorum: 2\n---\nquorum: 2\n", "more than one document"},
		{"too large", "# our", "# " + strings.Repeat("x", MaxFile), "at most 65536"},
		{"anchor", "name: treasury", "name: &a treasury", "anchors and aliases"},
		{"alias", "tier: warm", "tier: *a", "anchor"},
		{"tag", "threshold: 2", "threshold: !!int 2", "tags"},
		{"own tag", "name: treasury", "name: !x treasury", "tags"},
		{"block text", "name: treasury", "name: |\n  treasury", "block texts"},
		{"folded text", "name: treasury", "name: >-\n  treasury", "block texts"},
		{"two lines", "name: treasury", "name: \"trea\\nsury\"", "more than one line"},
		{"merge key", "name: treasury", "<<: {name: treasury}", "plain text"},
		{"deep", "name: treasury", "name: [[[[[[[[[x]]]]]]]]]", "too deep"},
		{"unknown field", "quorum: 2", "quorum: 2\nquorom: 2", "line 18: vault: \"quorom\": unknown field"},
		{"unknown field of a person", "- name: carol", "- name: carol\n    role: boss", "approvers: \"role\": unknown field"},
		{"field twice", "quorum: 2", "quorum: 2\nquorum: 1", "\"quorum\" stands twice"},
		{"field missing", "quorum: 2\n", "", "quorum: is missing"},
		{"keys missing", "    keys: ['", "    x: ['", "approvers: keys: is missing"},
		{"number key", "quorum: 2", "1: 2\nquorum: 2", "plain text"},
		{"octal", "threshold: 2", "threshold: 02", "plain decimal"},
		{"the old octal of ten", "quorum: 2", "quorum: 012", "\"012\" is not a plain decimal"},
		{"hex", "threshold: 2", "threshold: 0x2", "plain decimal"},
		{"underscore", "threshold: 2", "threshold: 1_0", "plain decimal"},
		{"sign", "threshold: 2", "threshold: +2", "plain decimal"},
		{"negative", "threshold: 2", "threshold: -2", "plain decimal"},
		{"float", "threshold: 2", "threshold: 2.0", "plain decimal"},
		{"quoted number", "threshold: 2", "threshold: \"2\"", "plain decimal"},
		{"huge", "threshold: 2", "threshold: 99999999999", "plain decimal"},
		{"number as list", "threshold: 2", "threshold: [2]", "plain decimal"},
		{"number for a name", "name: treasury", "name: 12", "\"12\" reads as int: put it in quotes"},
		{"truth for a name", "name: treasury", "name: true", "reads as bool"},
		{"null for a name", "name: treasury", "name: null", "reads as null"},
		{"nothing for a name", "name: treasury", "name:", "reads as null"},
		{"date for a name", "name: treasury", "name: 2026-01-31", "reads as timestamp"},
		{"list for a name", "name: treasury", "name: [a]", "is not one text"},
		{"text for a list", "committee: [cora, acme, \"bolt\"]", "committee: acme", "committee: is not a list"},
		{"text for people", "initiators:\n", "initiators: alice\nx:\n", "initiators: is not a list"},
		{"yes for true", "quorum: 2", "quorum: 2\ninitiator-approves: yes", "neither true nor false"},
		{"quoted true", "quorum: 2", "quorum: 2\ninitiator-approves: \"true\"", "neither true nor false"},
		{"bad key", "ssh-ed25519 AAAA", "ssh-ed25519 BBBB", "keys: parse SSH key"},
		{"look-alike name", "name: treasury", "name: treаsury", "name: is"},
		{"semantics", "threshold: 2", "threshold: 4", "threshold: 4 is asked of 3"},
		{"expiry", "quorum: 2", "quorum: 2\nexpiry: 10", "expiry"},
		{"refresh", "quorum: 2", "quorum: 2\nrefresh-every: 10", "refresh-every"},
	} {
		if !strings.Contains(file, c.old) {
			t.Fatalf("%s: %q is not in the file", c.name, c.old)
		}
		_, err := ReadVault([]byte(strings.Replace(file, c.old, c.new, 1)), nil, statement.ID{1}, noon)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
	}
}

func FuzzReadVault(f *testing.F) {
	file := vaultFile(f)
	f.Add([]byte(file))
	f.Add([]byte(file + "initiator-approves: true\nexpiry: 3600\n"))
	f.Add([]byte("a: &a [*a, *a]\n"))
	f.Add([]byte("? {x: y}\n: !!binary |\n  AA==\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := ReadVault(in, nil, statement.ID{1}, noon)
		if err != nil {
			return
		}
		s, err := v.Statement(salt)
		if err != nil {
			t.Fatalf("what was read makes no statement: %v", err)
		}
		if again, err := VaultOf(s); err != nil || again.SameAs(v) != "" {
			t.Fatalf("read again it has another %s: %v", again.SameAs(v), err)
		}
	})
}

func FuzzDecodeAccepted(f *testing.F) {
	s := must(roster(f).Statement(salt))(f)
	f.Add(Accepted{Statement: s}.Bytes())
	f.Add(Accepted{s, map[string][]byte{"acme": officerSigns(f, s, "roster", "officer of acme")}}.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := DecodeAccepted(in)
		if err != nil {
			return
		}
		if !bytes.Equal(a.Bytes(), in) {
			t.Fatal("decode then encode changed it")
		}
	})
}

// FuzzRead gives meaning to every statement that has the right form.
func FuzzRead(f *testing.F) {
	f.Add(must(roster(f).Statement(salt))(f).Bytes())
	f.Add(must(vault(f).Statement(salt))(f).Bytes())
	_, v := four(f, 2)
	f.Add(must(reshare(v, 1, 2, "acme", "bolt", "dora").Statement(salt))(f).Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		s, err := statement.Parse(in)
		if err != nil {
			return
		}
		var again statement.Statement
		if r, err1 := RosterOf(s); err1 == nil {
			again, err = r.Statement(s.Salt())
		} else if v, err1 := VaultOf(s); err1 == nil {
			again, err = v.Statement(s.Salt())
		} else if a, err1 := AccountOf(s); err1 == nil {
			again, err = a.Statement(s.Salt())
		} else if h, err1 := HelloOf(s); err1 == nil {
			again, err = h.Statement(s.Salt())
		} else if c, err1 := KeyChoiceOf(s); err1 == nil {
			again, err = c.Statement()
		} else if x, err1 := ReshareOf(s); err1 == nil {
			again, err = x.Statement(s.Salt())
		} else {
			return
		}
		if err != nil || again.ID() != s.ID() {
			t.Fatalf("read and written again it differs: %v", err)
		}
	})
}

// A vault whose statement is too long to travel in one piece is refused where it is made, and where it is read.
func TestVaultTooLong(t *testing.T) {
	v := vault(t)
	for _, people := range []*[]Person{&v.Initiators, &v.Approvers} {
		*people = nil
		for i := range statement.MaxPeople {
			p := Person{Name: fmt.Sprintf("person-%02d", i)}
			for j := range 2 {
				p.Keys = append(p.Keys, longKey(t, fmt.Sprintf("%s's key %d", p.Name, j), 630))
			}
			p.Keys = sortedKeys(p.Keys)
			*people = append(*people, p)
		}
	}
	if _, err := v.Statement(salt); err == nil || !strings.Contains(err.Error(), "at most 245760 are allowed: list fewer people") {
		t.Fatalf("made: %v", err)
	}
	s := must(v.build(salt))(t)
	if n := len(s.Bytes()); n <= MaxWhole || n > statement.MaxBytes {
		t.Fatalf("it has %d bytes", n)
	}
	if _, err := VaultOf(s); err == nil || !strings.Contains(err.Error(), "at most 245760 are allowed") {
		t.Errorf("read: %v", err)
	}
	v.Initiators = v.Initiators[:40]
	if _, err := v.Statement(salt); err != nil {
		t.Errorf("a shorter one: %v", err)
	}
}

// longKey is a key of a token whose application's name is long.
func longKey(t testing.TB, name string, application int) signet.Key {
	t.Helper()
	pub, err := ssh.ParsePublicKey(ssh.Marshal(struct {
		Name        string
		Key         []byte
		Application string
	}{ssh.KeyAlgoSKED25519, private(name).Public().(ed25519.PublicKey), strings.Repeat("a", application)}))
	if err != nil {
		t.Fatal(err)
	}
	k, err := signet.NewKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	return k
}
