package intent

import (
	"bytes"
	"errors"
	"reflect"
	"testing"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

// A quorum of a passkey and a wallet: each vote counts for its person, keeps what the authenticator asserted, and is
// stored and read again.
func TestVotesByPasskeyAndWallet(t *testing.T) {
	device, account := signettest.NewPasskey(statement.Passkey256, "bob"), signettest.NewWallet("carol")
	phone, ledger := must(signet.ParseKey(device.Line()))(t), must(signet.ParseKey(account.Line()))(t)
	v := vault(t, func(v *charter.Vault) {
		v.Approvers = []charter.Person{person(t, "alice"), {Name: "bob", Organisation: "acme", Keys: []signet.Key{sshKey(t, "bob"), phone}}, {Name: "carol", Organisation: "acme", Keys: []signet.Key{ledger}}}
	})
	s := stated(t, v)
	challenge := signet.PasskeyChallenge(phone, signet.Approve, s.Bytes())
	byPhone := must(signet.FromPasskey(phone, signet.Approve, s.Bytes(), device.Get(challenge[:])))(t)
	byLedger, k, err := signet.FromWallet(signet.Approve, s, account.Sign(must(signet.TypedData(signet.Approve, s))(t)))
	if err != nil || !k.Equal(ledger) {
		t.Fatalf("by %s, %v", k, err)
	}
	want := map[string]signet.Flags{"bob": {SecurityKey: true, Present: true, Verified: true, Counter: 9}, "carol": {}}
	var votes []Vote
	for person, armored := range map[string][]byte{"bob": byPhone, "carol": byLedger} {
		got := must(VerifyVote(s, v, signet.Approve, armored, noon))(t)
		if got.Person != person || got.Flags != want[person] {
			t.Errorf("%s: %+v", person, got)
		}
		if _, err := VerifyVote(s, v, signet.Reject, armored, noon); !errors.Is(err, ErrOtherUse) {
			t.Errorf("%s: an approval as a rejection: %v", person, err)
		}
		if _, err := VerifyVote(stated(t, v, func(it *Intent) { it.Memo = "another" }), v, signet.Approve, armored, noon); !errors.Is(err, ErrOtherBytes) {
			t.Errorf("%s: for another intent: %v", person, err)
		}
		if _, err := VerifyVote(stated(t, vault(t)), vault(t), signet.Approve, armored, noon); !errors.Is(err, ErrStranger) {
			t.Errorf("%s: in a vault that does not list the key: %v", person, err)
		}
		votes = append(votes, got)
	}
	if c := Count(s.ID(), "dora", v, votes); c.Need != 0 || len(c.Approved) != 2 {
		t.Errorf("counted %+v", c)
	}
	// No wallet says that it checked who held it.
	v.UserVerification = true
	if c := Count(s.ID(), "dora", v, votes); c.Need != 1 || len(c.Approved) != 1 || c.Approved[0] != "bob" {
		t.Errorf("counted %+v where devices must check", c)
	}
	v.UserVerification = false
	l := must(New(s, v, noon))(t)
	for _, x := range votes {
		l = must(l.Apply(Answer{x}, noon))(t)
	}
	got := must(DecodeLife(l.Bytes(), s, v))(t)
	if !reflect.DeepEqual(got, l) || !bytes.Equal(got.Bytes(), l.Bytes()) {
		t.Errorf("decoded %+v\nwant %+v", got, l)
	}
}
