package charter

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
)

var update = flag.Bool("update", false, "write testdata anew")

var (
	noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	salt = statement.Salt{31: 0xaa}
)

// private derives a test key from its owner's name: the same on every run.
func private(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte("test only: " + name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func identity(name string) ed25519.PublicKey {
	return private("node of " + name).Public().(ed25519.PublicKey)
}

func sshSigner(t testing.TB, name string) ssh.Signer {
	s, err := ssh.NewSignerFromKey(private(name))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sshKey(t testing.TB, name string) signet.Key {
	k, err := signet.NewKey(sshSigner(t, name).PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func operator(t testing.TB, name string) Operator {
	return Operator{
		Name: name, Entity: strings.ToUpper(name) + " Ltd", Identity: identity(name), Address: name + ".example:7000",
		Officers: sortedKeys([]signet.Key{sshKey(t, "officer of "+name), sshKey(t, "second officer of "+name)}),
	}
}

func roster(t testing.TB) Roster {
	return Roster{Circle: "First light", Created: noon, Operators: []Operator{operator(t, "acme"), operator(t, "bolt"), operator(t, "cora")}}
}

func person(t testing.TB, name string) Person {
	return Person{name, "acme", []signet.Key{sshKey(t, name)}}
}

func vault(t testing.TB) Vault {
	return Vault{
		Roster: statement.ID{2}, Charter: statement.ID{1}, Name: "treasury", Suites: []string{SuiteECDSA},
		Threshold: 2, Committee: []string{"acme", "bolt", "cora"}, Created: noon,
	}
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

func snapshot(t *testing.T, s statement.Statement) {
	t.Helper()
	snapshotAs(t, string(s.Kind()), s)
}

func snapshotAs(t *testing.T, name string, s statement.Statement) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, s.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, s.Bytes()) {
		t.Errorf("%s: built\n%s\nwant\n%s", file, s.Text(), want)
	}
}

func TestRosterRoundTrip(t *testing.T) {
	r := roster(t)
	shuffled := r
	shuffled.Operators = slices.Clone(r.Operators)
	slices.Reverse(shuffled.Operators)
	s := must(shuffled.Statement(salt))(t)
	snapshot(t, s)
	got := must(RosterOf(s))(t)
	r.ID = s.ID()
	if !reflect.DeepEqual(got, r) {
		t.Errorf("read %+v\nwant %+v", got, r)
	}
	if o, ok := got.Operator("bolt"); !ok || o.Entity != "BOLT Ltd" {
		t.Errorf("bolt is %+v", o)
	}
	if _, ok := got.Operator("nobody"); ok || !slices.Equal(got.Names(), []string{"acme", "bolt", "cora"}) {
		t.Errorf("names are %v", got.Names())
	}
}

func TestRosterRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(r *Roster)
	}{
		{"one operator", "operators: 1 are listed", func(r *Roster) { r.Operators = r.Operators[:1] }},
		{"17 operators", "operators: 17 are listed", func(r *Roster) { r.Operators = make([]Operator, 17) }},
		{"name twice", "acme stands twice", func(r *Roster) { r.Operators[1].Name = "acme" }},
		{"identity twice", "operator bolt: identity: the same as that of operator acme", func(r *Roster) { r.Operators[1].Identity = r.Operators[0].Identity }},
		{"address twice", "operator bolt: address: the same", func(r *Roster) { r.Operators[1].Address = r.Operators[0].Address }},
		{"entity twice", "operator bolt: entity: the same", func(r *Roster) { r.Operators[1].Entity = "acme LTD" }},
		{"officer twice", "operator bolt: officer: the same", func(r *Roster) { r.Operators[1].Officers = r.Operators[0].Officers }},
		{"no officer", "operator bolt: officer: 0 keys", func(r *Roster) { r.Operators[1].Officers = nil }},
		{"zero officer", "a key is empty", func(r *Roster) { r.Operators[1].Officers = []signet.Key{{}} }},
		{"one officer's key twice", "stands twice", func(r *Roster) {
			r.Operators[1].Officers = []signet.Key{r.Operators[1].Officers[0], r.Operators[1].Officers[0]}
		}},
		{"9 officers", "9 keys", func(r *Roster) { r.Operators[1].Officers = make([]signet.Key, 9) }},
		{"small identity", "identity: Ed25519 key is a point of small order", func(r *Roster) { r.Operators[1].Identity = make([]byte, 32) }},
		{"short identity", "identity: Ed25519 key has 3 bytes", func(r *Roster) { r.Operators[1].Identity = []byte{1, 2, 3} }},
		{"label", "operator: is \"Bolt\"", func(r *Roster) { r.Operators[0].Name = "Bolt" }},
		{"circle", "circle expected", func(r *Roster) { r.Circle = "" }},
		{"line feed", "circle holds a line feed", func(r *Roster) { r.Circle = "a\nversion: 1" }},
	} {
		r := roster(t)
		c.change(&r)
		if _, err := r.Statement(salt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
	}
	// A statement whose lists are out of order has the right form and is refused all the same.
	s := must(roster(t).Statement(salt))(t)
	swapped := strings.NewReplacer("operator: acme", "operator: zeta").Replace(s.Text())
	if _, err := RosterOf(must(statement.Parse([]byte(swapped)))(t)); err == nil || !strings.Contains(err.Error(), "stands after") {
		t.Errorf("out of order: %v", err)
	}
	if _, err := RosterOf(must(vault(t).Statement(salt))(t)); err == nil {
		t.Error("a vault passes for a roster")
	}
	rsa := "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC2oRH9ISFaddVieKOprPN/wuQDhuNKsI1RRKDyefQf1H9/uNvRq7vptr9qnhGabPErPOmQjV5SsRw8br+Dw39VgURTqmzMc/aWGMVxsXdjbM0Wb3KBppO3HrURjtG2vtb1KSq0TjJ6jRaeeVzWxX0lVwpOd0hFK5CiAwrJd4X20Q=="
	weak := strings.Replace(s.Text(), roster(t).Operators[0].Officers[0].String(), rsa, 1)
	if _, err := RosterOf(must(statement.Parse([]byte(weak)))(t)); err == nil || !strings.Contains(err.Error(), "operator acme: officer: RSA key has 1024 bits") {
		t.Errorf("weak officer: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, a := range []string{"acme.example:7000", "localhost:1", "127.0.0.1:65535", "[::1]:7000", "[2001:db8::1]:443", "a-b.c:1"} {
		if err := checkAddress(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range []string{"", "acme", "acme:", ":7000", "acme:0", "acme:65536", "acme:07000", "acme:+1", "Acme:1", "ac me:1", "acme_:1",
		"-a:1", "a-:1", "a..b:1", "a.:1", "::1:7000", "[::1:7000", "::1]:7000", "[]:1", "[1.2.3.4]:1", "[::G]:1", "[::1%eth0]:1", "acmé:1",
		"http://acme:1", strings.Repeat("a", 64) + ":1", strings.Repeat("a.", 127) + ":1"} {
		if checkAddress(a) == nil {
			t.Errorf("%q is accepted", a)
		}
	}
}

func TestVaultRoundTrip(t *testing.T) {
	v := vault(t)
	shuffled := v
	shuffled.Committee = []string{"cora", "acme", "bolt"}
	s := must(shuffled.Statement(salt))(t)
	snapshot(t, s)
	got := must(VaultOf(s))(t)
	v.ID = s.ID()
	if !reflect.DeepEqual(got, v) {
		t.Errorf("read %+v\nwant %+v", got, v)
	}
	if d := v.SameAs(shuffled); d != "" {
		t.Errorf("another order makes another %s", d)
	}
	got.Approvers = []Person{person(t, "carol")}
	if name, err := got.Who(sshKey(t, "carol")); err != nil || name != "carol" {
		t.Errorf("carol is %q, %v", name, err)
	}
	if _, err := got.Who(sshKey(t, "mallory")); !errors.Is(err, ErrNoPerson) {
		t.Errorf("mallory: %v", err)
	}
}

// vaultChanges alters each field to another valid value.
func vaultChanges(t testing.TB) map[string]func(v *Vault) {
	return map[string]func(v *Vault){
		"roster":    func(v *Vault) { v.Roster[5]++ },
		"charter":   func(v *Vault) { v.Charter[5]++ },
		"name":      func(v *Vault) { v.Name = "other" },
		"threshold": func(v *Vault) { v.Threshold = 3 },
		"committee": func(v *Vault) { v.Committee = []string{"acme", "bolt"} },
		"suites":    func(v *Vault) { v.Suites = []string{SuiteBIP340, SuiteECDSA, SuiteEd25519} },
		"recovery":  func(v *Vault) { v.Recovery = &Recovery{Key: generator(), Blocks: 5} },
	}
}

func TestSameAs(t *testing.T) {
	later := vault(t)
	later.Created, later.ID = noon.Add(time.Hour), statement.ID{9}
	if d := vault(t).SameAs(later); d != "" {
		t.Errorf("time and id alone make another %s", d)
	}
	for field, change := range vaultChanges(t) {
		base := vault(t)
		base.Suites = []string{SuiteBIP340} // which has addresses for a recovery
		v := base
		change(&v)
		if d := base.SameAs(v); d != field {
			t.Errorf("another %s is found as %q", field, d)
		}
		if _, err := v.Statement(salt); err != nil {
			t.Errorf("%s: the change is not valid: %v", field, err)
		}
	}
	if fields := reflect.TypeFor[Vault]().NumField(); fields != len(vaultChanges(t))+3 {
		t.Errorf("Vault has %d fields: SameAs and this table must know each but ID, Created and Terms", fields)
	}
}

func TestVaultRefuses(t *testing.T) {
	for _, c := range []struct {
		name, want string
		change     func(v *Vault)
	}{
		{"t = 1", "threshold: 1 is asked of 3", func(v *Vault) { v.Threshold = 1 }},
		{"t > n", "threshold: 4 is asked of 3", func(v *Vault) { v.Threshold = 4 }},
		{"t negative", "threshold: -1", func(v *Vault) { v.Threshold = -1 }},
		{"n = 1", "committee: 1 operators", func(v *Vault) { v.Committee = v.Committee[:1] }},
		{"n = 17", "committee: 17 operators", func(v *Vault) { v.Committee = make([]string, 17) }},
		{"member twice", "committee: acme stands twice", func(v *Vault) { v.Committee = []string{"acme", "acme"} }},
		{"suite", "suite: is \"rot13\"", func(v *Vault) { v.Suites = []string{"rot13"} }},
		{"no suite", "suite expected", func(v *Vault) { v.Suites = nil }},
		{"suite twice", "suites: ed25519 stands twice", func(v *Vault) { v.Suites = []string{SuiteEd25519, SuiteEd25519} }},
		{"no charter", "charter expected", func(v *Vault) { v.Charter = statement.ID{} }},
		{"no roster", "roster expected", func(v *Vault) { v.Roster = statement.ID{} }},
		{"name", "name: is \"Treasury\"", func(v *Vault) { v.Name = "Treasury" }},
	} {
		v := vault(t)
		c.change(&v)
		if _, err := v.Statement(salt); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want one with %q", c.name, err, c.want)
		}
	}
	s := must(vault(t).Statement(salt))(t)
	for old, new := range map[string]string{
		"threshold: 2": "threshold: 4", "member: acme": "member: zeta",
	} {
		bad := must(statement.Parse([]byte(strings.Replace(s.Text(), old, new, 1))))(t)
		if _, err := VaultOf(bad); err == nil {
			t.Errorf("%s is read", new)
		}
	}
	if _, err := VaultOf(must(roster(t).Statement(salt))(t)); err == nil {
		t.Error("a roster passes for a vault")
	}
}

func TestCheckRoster(t *testing.T) {
	r := must(RosterOf(must(roster(t).Statement(salt))(t)))(t)
	v := vault(t)
	if err := v.CheckRoster(r); err == nil || !strings.Contains(err.Error(), "roster") {
		t.Errorf("other roster: %v", err)
	}
	v.Roster = r.ID
	if err := v.CheckRoster(r); err != nil {
		t.Error(err)
	}
	v.Committee = []string{"acme", "mallory"}
	if err := v.CheckRoster(r); err == nil || !strings.Contains(err.Error(), "mallory is no operator") {
		t.Errorf("stranger: %v", err)
	}
	if _, err := r.AcceptorsOf(v); err == nil {
		t.Error("a stranger's consent is asked for")
	}
}

// officerSigns makes the signature of an operator's officer over s.
func officerSigns(t testing.TB, s statement.Statement, verb signet.Verb, name string) []byte {
	t.Helper()
	armored, err := signet.Sign(nil, sshSigner(t, name), verb, s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

func TestAccepted(t *testing.T) {
	r := roster(t)
	s := must(r.Statement(salt))(t)
	by := r.Acceptors()
	a := Accepted{Statement: s}
	for _, c := range []struct {
		signer, operator string
		missing          []string
	}{
		{"officer of bolt", "bolt", []string{"acme", "cora"}},
		{"second officer of acme", "acme", []string{"cora"}},
		{"officer of cora", "cora", nil},
	} {
		if err := a.Verify(by); !errors.Is(err, ErrNotAccepted) {
			t.Errorf("before %s: %v", c.signer, err)
		}
		next, operator, err := a.Add(by, officerSigns(t, s, "roster", c.signer))
		if err != nil || operator != c.operator || !slices.Equal(next.Missing(by), c.missing) {
			t.Fatalf("%s: %s, %v, missing %v", c.signer, operator, err, next.Missing(by))
		}
		if len(a.Signatures) == len(next.Signatures) {
			t.Error("Add changed its receiver")
		}
		a = next
	}
	if err := a.Verify(by); err != nil {
		t.Error(err)
	}
	again := must(DecodeAccepted(a.Bytes()))(t)
	if !reflect.DeepEqual(again, a) || !bytes.Equal(again.Bytes(), a.Bytes()) {
		t.Error("decoded, it differs")
	}
	for _, c := range []struct {
		name    string
		armored []byte
		want    error
	}{
		{"second officer of one operator", officerSigns(t, s, "roster", "officer of acme"), ErrAlreadyAccepted},
		{"stranger", officerSigns(t, s, "roster", "mallory"), signet.ErrStranger},
		{"no signature", []byte("x"), signet.ErrMalformed},
	} {
		if _, _, err := a.Add(by, c.armored); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	empty := Accepted{Statement: s}
	if _, op, err := empty.Add(by, officerSigns(t, s, "vault", "officer of acme")); !errors.Is(err, signet.ErrNamespace) || op != "acme" {
		t.Errorf("other use: %s, %v", op, err)
	}
	other := must(r.Statement(statement.Salt{1}))(t)
	if _, _, err := empty.Add(by, officerSigns(t, other, "roster", "officer of acme")); !errors.Is(err, signet.ErrBytes) {
		t.Errorf("other salt: %v", err)
	}
}

func TestAcceptedVerifyRefuses(t *testing.T) {
	r := roster(t)
	r.ID = statement.ID{1}
	v := vault(t)
	v.Committee = []string{"acme", "bolt"}
	s := must(v.Statement(salt))(t)
	by := must(r.AcceptorsOf(v))(t)
	good := map[string][]byte{
		"acme": officerSigns(t, s, "vault", "officer of acme"),
		"bolt": officerSigns(t, s, "vault", "officer of bolt"),
	}
	if err := (Accepted{s, good}).Verify(by); err != nil {
		t.Fatal(err)
	}
	for name, sigs := range map[string]map[string][]byte{
		"missing":           {"acme": good["acme"]},
		"one signs for two": {"acme": good["acme"], "bolt": good["acme"]},
		"outsider as well":  {"acme": good["acme"], "bolt": good["bolt"], "cora": officerSigns(t, s, "vault", "officer of cora")},
		"other use":         {"acme": good["acme"], "bolt": officerSigns(t, s, "roster", "officer of bolt")},
		"malformed":         {"acme": good["acme"], "bolt": []byte("x")},
	} {
		if err := (Accepted{s, sigs}).Verify(by); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	it := must(statement.Parse(must(os.ReadFile("../statement/testdata/hello-least.txt"))(t)))(t)
	if err := (Accepted{Statement: it}).Verify(nil); err == nil {
		t.Error("a hello is accepted by nobody's signature")
	}
}

func TestDecodeAcceptedRefuses(t *testing.T) {
	r := roster(t)
	s := must(r.Statement(salt))(t)
	a := Accepted{s, map[string][]byte{"acme": officerSigns(t, s, "roster", "officer of acme"), "bolt": officerSigns(t, s, "roster", "officer of bolt")}}
	b := a.Bytes()
	loose := Accepted{s, maps.Clone(a.Signatures)}
	loose.Signatures["acme"] = append(loose.Signatures["acme"], '\n')
	bad := Accepted{s, map[string][]byte{"Acme!": a.Signatures["acme"]}}
	junk := Accepted{s, map[string][]byte{"acme": []byte("junk")}}
	for name, in := range map[string][]byte{
		"empty": nil, "cut": b[:len(b)-1], "longer": append(bytes.Clone(b), 0),
		"armor not in its one form": loose.Bytes(), "name": bad.Bytes(), "no signature": junk.Bytes(),
		"out of order": bytes.Replace(b, []byte("\x00\x04acme"), []byte("\x00\x04zeta"), 1),
		"statement":    bytes.Replace(b, []byte("ostraka/1"), []byte("ostraka/2"), 1),
	} {
		if _, err := DecodeAccepted(in); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}
