package main

import (
	"strings"
	"testing"

	"filippo.io/age"

	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/keys"
)

// Whoever puts a recipient that a quantum computer could open is told, as `backup cut` refuses it.
func TestClassicalRecipients(t *testing.T) {
	x, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	pq, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	old, lasting := x.Recipient().String(), pq.Recipient().String()
	for recipients, want := range map[string]bool{old: true, lasting: false, lasting + "," + old: true, "ssh-ed25519 AAAA": true} {
		p := seal.Provider{Kind: keys.Age, Params: map[string]string{"recipients": recipients}}
		if got := classical(seal.Change{Put: []seal.Slot{{Name: "paper", Providers: []seal.Provider{{Kind: keys.Passphrase}, p}}}}); got != want {
			t.Errorf("%.40s: %v", recipients, got)
		}
	}
	if classical(seal.Change{Put: []seal.Slot{{Name: "main", Providers: []seal.Provider{{Kind: keys.Passphrase}}}}}) || strings.HasPrefix(lasting, "ssh-") {
		t.Error("a passphrase has no recipient")
	}
}
