package rehearse

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
)

// writeCharter writes a charter's two files into a new folder.
func (t *tale) writeCharter(file, policy string) (string, error) {
	dir, err := t.folder()
	if err != nil {
		return "", err
	}
	for name, text := range map[string]string{"charter.yaml": file, "policy.cedar": policy} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return dir, nil
}

// written is the charter of the circle on this machine, as it was signed last.
func (t *tale) written() (file, policy string, err error) {
	a, err := os.ReadFile(filepath.Join(t.circle.CharterFolder(), "charter.yaml"))
	if err != nil {
		return "", "", err
	}
	b, err := os.ReadFile(filepath.Join(t.circle.CharterFolder(), "policy.cedar"))
	return string(a), string(b), err
}

// sshKey is a new public key, as charters hold it.
func sshKey() (string, error) {
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		return "", err
	}
	return key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal()), nil
}

// guardiansCard is the card of a new key, which nobody keeps: what a rehearsal only reads needs no more.
func guardiansCard() (string, error) {
	k, err := guardian.NewKey(rand.Reader)
	if err != nil {
		return "", err
	}
	defer k.Wipe()
	c, err := k.Card()
	return c.String(), err
}

// standard is what `charter init` writes, filled in for so many operators, no two of which have anything in common but the make of their machines.
func standard(operators int) (charter.Start, error) {
	s := charter.Start{
		Circle: "rehearsal", Payee: payee,
		Groups: []charter.Group{{Name: "finance", People: []string{alice, bob}}, {Name: "security", People: []string{carol}}},
	}
	countries := []string{"ch", "de", "sg", "jp", "se", "nz", "ca", "fr", "no"}
	for i := range operators {
		identity, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return s, err
		}
		name := fmt.Sprintf("operator-%c", 'a'+i)
		s.Operators = append(s.Operators, charter.StartOperator{
			Name: name, Entity: name + " Ltd", Identity: client.FormatIdentity(identity), Independent: i == operators-1,
			Provider: "cloud of " + name, Account: name, Region: "region of " + name, Jurisdiction: countries[i], Hardware: "amd", Admin: fmt.Sprintf("admin-%c", 'a'+i),
		})
	}
	for _, o := range s.Operators {
		s.People = append(s.People, charter.StartPerson{Name: o.Admin, Organisation: o.Name})
	}
	for i, p := range []string{alice, bob, carol} {
		s.People = append(s.People, charter.StartPerson{Name: p, Organisation: s.Operators[min(i, 1)].Name})
	}
	for i := range s.People {
		var err error
		if s.People[i].Key, err = sshKey(); err != nil {
			return s, err
		}
	}
	for i := range 5 {
		card, err := guardiansCard()
		if err != nil {
			return s, err
		}
		s.Guardians = append(s.Guardians, charter.StartGuardian{
			Name: fmt.Sprint("guardian-", i+1), Person: fmt.Sprint("holder-", i+1), Organisation: fmt.Sprint("firm-", i+1), Jurisdiction: countries[(i+3)%len(countries)], Card: card,
		})
	}
	return s, nil
}

var (
	thresholdLine = regexp.MustCompile(`(?m)^    threshold: \d+$`)
	rescueLine    = regexp.MustCompile(`(?m)^      operators: \d+ `)
	planLines     = regexp.MustCompile(`(?s)\n      triggers:.*?\n\n`)
)

// thresholdOf makes so many operators sign, and one fewer help in SOS. Where that is one, who has no successors makes no new committee: then
// it leaves the plan out.
func thresholdOf(file string, t int) string {
	file = thresholdLine.ReplaceAllString(file, fmt.Sprintf("    threshold: %d", t))
	if t == 2 {
		file = planLines.ReplaceAllString(file, "\n\n")
	}
	return rescueLine.ReplaceAllString(file, fmt.Sprintf("      operators: %d ", t-1))
}
