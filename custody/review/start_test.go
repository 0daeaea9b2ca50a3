package review

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
)

func seed(name string) ed25519.PublicKey {
	s := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(s[:]).Public().(ed25519.PublicKey)
}

func key(t testing.TB, name string) string {
	t.Helper()
	k, err := ssh.NewPublicKey(seed("key of " + name))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

// card is the card of a guardian's key that follows from a name.
func card(t testing.TB, name string) string {
	t.Helper()
	s := sha256.Sum256([]byte("guardian " + name))
	k, err := guardian.FromSeed(s[:])
	if err != nil {
		t.Fatal(err)
	}
	c, err := k.Card()
	if err != nil {
		t.Fatal(err)
	}
	return c.String()
}

// start is a circle of three organisations, one of them a provider, and five guardians of others.
func start(t testing.TB) charter.Start {
	s := charter.Start{Circle: "Acme treasury", Payee: "0x00000000000000000000000000000000000000A1"}
	for i, name := range []string{"acme", "bolt", "cora"} {
		s.Operators = append(s.Operators, charter.StartOperator{
			Name: name, Entity: name + " Ltd", Identity: "ed25519:" + hex.EncodeToString(seed("node of "+name)), Independent: i == 2,
			Provider: []string{"aws", "gcp", "cora"}[i], Account: fmt.Sprint("account-", i), Region: fmt.Sprint("region-", i), Jurisdiction: []string{"de", "ch", "sg"}[i], Hardware: []string{"amd", "intel", "arm"}[i], Admin: "admin-" + name,
		})
		s.People = append(s.People, charter.StartPerson{Name: "admin-" + name, Organisation: name, Key: key(t, "admin-"+name)})
	}
	for _, p := range [][2]string{{"alice", "acme"}, {"bob", "acme"}, {"carol", "bolt"}, {"dana", "bolt"}} {
		s.People = append(s.People, charter.StartPerson{Name: p[0], Organisation: p[1], Key: key(t, p[0])})
	}
	s.Groups = []charter.Group{{Name: "finance", People: []string{"alice", "bob", "carol"}}, {Name: "security", People: []string{"dana"}}}
	for i := range 5 {
		s.Guardians = append(s.Guardians, charter.StartGuardian{
			Name: fmt.Sprint("guardian-", i), Person: fmt.Sprint("holder-", i), Organisation: fmt.Sprint("firm-", i),
			Jurisdiction: []string{"fr", "jp", "us", "br", "no"}[i], Card: card(t, fmt.Sprint("holder-", i)),
		})
	}
	return s
}

// read is the default charter as its file says it, changed.
func read(t testing.TB, s charter.Start, change func(file string) string) charter.Document {
	t.Helper()
	file, err := s.File()
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		changed := change(file)
		if changed == file {
			t.Fatal("the change changes nothing")
		}
		file = changed
	}
	d, err := charter.ReadDocument([]byte(file), []byte(charter.StartPolicy))
	if err != nil {
		t.Fatalf("%v in\n%s", err, file)
	}
	return d
}
