package charter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

// A passkey and a wallet stand wherever an SSH key may: in a charter's file and statement, as an officer's key, in a hello.
func TestKeysOfEachKind(t *testing.T) {
	device, account := signettest.NewPasskey(statement.Passkey25519, "alice"), signettest.NewWallet("bob")
	phone, ledger := must(signet.ParseKey(device.Line()))(t), must(signet.ParseKey(account.Line()))(t)

	file := strings.Replace(started(t), fmt.Sprintf("%q", sshKey(t, "carol").String()), fmt.Sprintf("%q, %q, %q", phone.String()+" carol, phone", ledger.String()+"  carol, ledger", sshKey(t, "carol").String()), 1)
	d := must(ReadDocument([]byte(file), []byte(StartPolicy)))(t)
	c := must(Of(must(Charter{Roster: statement.ID{2}, Created: noon, Document: d}.Statement(salt))(t)))(t)
	h, ok := c.Human("carol")
	if want := sortedKeys([]signet.Key{phone, ledger, sshKey(t, "carol")}); !ok || !slices.EqualFunc(h.Keys, want, signet.Key.Equal) {
		t.Errorf("carol has %v, want %v", h.Keys, want)
	}
	if _, err := ReadDocument([]byte(strings.Replace(file, ledger.String(), strings.ToLower(ledger.String()), 1)), []byte(StartPolicy)); err == nil || !strings.Contains(err.Error(), "EIP 55") {
		t.Errorf("an address without its checksum: %v", err)
	}
	// Carol's wallet ends her phone's key.
	revoke := must(Revocation{Charter: c.ID, Person: "carol", Key: phone, Created: noon}.Statement(salt))(t)
	by, _, err := signet.FromWallet(signet.Makes(statement.Revoke), revoke, account.Sign(must(signet.TypedData(signet.Makes(statement.Revoke), revoke))(t)))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := VerifyRevocation(revoke, by, c, roster(t)); err != nil || !v.Key.Equal(phone) {
		t.Errorf("%+v, %v", v, err)
	}

	answer := Hello{Roster: statement.ID{1}, Identity: identity("acme"), Challenge: [32]byte{7}, Person: phone, Created: noon}
	hello := must(answer.Statement(salt))(t)
	challenge := signet.PasskeyChallenge(phone, signet.Makes(statement.Hello), hello.Bytes())
	armored := must(signet.FromPasskey(phone, signet.Makes(statement.Hello), hello.Bytes(), device.Get(challenge[:])))(t)
	if got, err := VerifyHello(hello, armored, answer.Roster, answer.Identity, answer.Challenge, noon); err != nil || !got.Person.Equal(phone) {
		t.Errorf("%+v, %v", got, err)
	}

	r := roster(t)
	r.Operators[0].Officers = []signet.Key{ledger}
	rs := must(r.Statement(salt))(t)
	by, _, err = signet.FromWallet(signet.Makes(statement.Roster), rs, account.Sign(must(signet.TypedData(signet.Makes(statement.Roster), rs))(t)))
	if err != nil {
		t.Fatal(err)
	}
	need := must(RosterOf(rs))(t).Acceptors()
	a, op, err := Accepted{Statement: rs}.Add(need, by)
	if err != nil || op != r.Operators[0].Name {
		t.Errorf("signed for %q, %v", op, err)
	}
	if string(a.Signatures[op]) != string(by) {
		t.Errorf("stored as %s", a.Signatures[op])
	}
	if _, _, err := (Accepted{Statement: must(roster(t).Statement(salt))(t)}).Add(need, by); !errors.Is(err, signet.ErrBytes) {
		t.Errorf("it serves another roster: %v", err)
	}
}
