package wallet

import (
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/ceremony"
	"github.com/ostraka/ostraka/node/journal"
	"github.com/ostraka/ostraka/node/outbox"
	"github.com/ostraka/ostraka/node/store/memory"
)

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// An account is read again from its row, whatever kind of key its initiator signed with.
func TestAccountsByKeysOfEachKind(t *testing.T) {
	ctx, noon := context.Background(), time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	signer := must(ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(make([]byte, 32))))(t)
	device, ledger := signettest.NewPasskey(statement.Passkey256, "alice"), signettest.NewWallet("alice")
	phone := must(signet.ParseKey(device.Line()))(t)
	v := charter.Vault{ID: statement.ID{7}, Charter: statement.ID{1}, Name: "treasury"}
	v.Initiators = []charter.Person{{Name: "alice", Keys: []signet.Key{
		must(signet.NewKey(signer.PublicKey()))(t), phone, must(signet.ParseKey(ledger.Line()))(t),
	}}}
	a := &Accounts{
		Journal: must(journal.Open(ctx, memory.New()))(t),
		Vault:   func(statement.ID) []ceremony.View { return []ceremony.View{{Vault: v}} },
	}
	verb := signet.Makes(statement.Account)
	for i, sign := range []func(statement.Statement) ([]byte, error){
		func(s statement.Statement) ([]byte, error) { return signet.Sign(nil, signer, verb, s.Bytes()) },
		func(s statement.Statement) ([]byte, error) {
			c := signet.PasskeyChallenge(phone, verb, s.Bytes())
			return signet.FromPasskey(phone, verb, s.Bytes(), device.Get(c[:]))
		},
		func(s statement.Statement) ([]byte, error) {
			armored, _, err := signet.FromWallet(verb, s, ledger.Sign(must(signet.TypedData(verb, s))(t)))
			return armored, err
		},
	} {
		acc := charter.Account{Charter: v.Charter, Vault: v.ID, Department: "ops", Name: "account-" + string(rune('a'+i)), Path: [2]uint32{0, uint32(i)}, Created: noon}
		s := must(acc.Statement(statement.Salt{byte(i)}))(t)
		n := outbox.Note{Kind: NoteAccount, Fields: [][]byte{s.Bytes(), must(sign(s))(t)}}
		if err := a.Take(ctx, noon, n, func(e journal.Entry) error { return a.Journal.Write(ctx, e) }); err != nil {
			t.Fatalf("%s: %v", acc.Name, err)
		}
		list, err := a.List(ctx, v.ID)
		if err != nil || len(list) != i+1 || list[i].Name != acc.Name || list[i].Statement.ID() != s.ID() {
			t.Errorf("after %s: %+v, %v", acc.Name, list, err)
		}
		if err := a.Take(ctx, noon, n, nil); !errors.Is(err, outbox.ErrOld) {
			t.Errorf("%s again: %v", acc.Name, err)
		}
	}
}
