package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/node/nodetest"
)

// guardianFileOf writes a guardian's key under a passphrase that costs a test little.
func guardianFileOf(t *testing.T, dir, name, pass string, i, life int) string {
	t.Helper()
	r, err := age.NewScryptRecipient(pass)
	if err != nil {
		t.Fatal(err)
	}
	r.SetWorkFactor(10)
	sealed, err := sealGuardian(nodetest.GuardianKey(t, i, life), []age.Recipient{r})
	path := filepath.Join(dir, name)
	if err == nil {
		err = os.WriteFile(path, sealed, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// drillAsked is what a guardian is asked for, of a vault that nodes made.
func drillAsked(t *testing.T) drill.Request {
	t.Helper()
	w := nodetest.New(t, 2)
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			d.Vaults[i].Rescue = nodetest.Plan(1, 2, "operator-9")
		}
	}
	id, _ := nodetest.Ready(w, 2)
	h := w.Hosts[0]
	v := h.Keeper.Vault(id)[0]
	_, plan, set, err := h.BackupSet(t.Context(), v.KeyID)
	if err != nil {
		t.Fatal(err)
	}
	r := drill.Request{Circle: "test circle", Keys: []drill.Asked{{Vault: id, Name: v.Vault.Name, Record: v.Current.Record.Encode(), Plan: plan, Set: set}}}
	for _, g := range v.Vault.SOS.Keepers {
		r.Names = append(r.Names, drill.Named{Party: g.Card.Party(), Name: g.Name})
	}
	for range 100 {
		if r.Checkpoint, _, _ = h.Witness.Checkpoint(); len(r.Checkpoint) > 0 {
			return r
		}
		w.Step(time.Second)
	}
	t.Fatal("there is no checkpoint")
	return r
}

// A guardian's drill where no network is: one file into another. What is not theirs, damaged or void is said before anything is written.
func TestDrillOffline(t *testing.T) {
	dir := alone(t)
	r := drillAsked(t)
	asked := filepath.Join(dir, "drill.request")
	write := func(path string, r drill.Request) {
		t.Helper()
		if err := os.WriteFile(path, r.Encode(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(asked, r)
	pass := passphraseIn(t, dir, "correct horse")
	file := guardianFileOf(t, dir, "guardian.age", "correct horse", 1, 0)
	answer := filepath.Join(dir, "drill.answer")
	code, out, errs := try("backup", "drill", "--key", file, "--passphrase-file", pass, "--request", asked, "--out", answer)
	want(t, "drill", code, codeDone, out+errs, "guardian guardian-1, vault", "what the epoch encrypted to them opens", "there is no secret in it", "--send")
	raw, err := os.ReadFile(answer)
	if err != nil {
		t.Fatal(err)
	}
	all, err := drill.DecodeAnswer(raw)
	if err != nil || len(all) != 1 {
		t.Fatalf("%d drills, %v", len(all), err)
	}
	if d, err := drill.Of(all[0]); err != nil || d.By != "guardian-1" || d.Key == [32]byte{} || len(d.Spoiled) != 0 {
		t.Errorf("%+v, %v", d, err)
	}
	code, out, errs = try("backup", "drill", "--key", file, "--passphrase-file", pass, "--request", asked, "--out", answer)
	want(t, "again into the same file", code, codeError, out+errs, "is not written over")

	other := filepath.Join(dir, "other")
	drills := func(name, key string, code int, says string, change func(*drill.Request)) {
		t.Helper()
		x := r
		x.Keys = []drill.Asked{r.Keys[0]}
		change(&x)
		write(asked, x)
		got, out, errs := try("backup", "drill", "--key", key, "--passphrase-file", pass, "--request", asked, "--out", other)
		want(t, name, got, code, out+errs, says)
		if _, err := os.Stat(other); err == nil {
			t.Errorf("%s: a proof is written", name)
			os.Remove(other) //nolint:errcheck // the next case would say so
		}
	}
	drills("another card", guardianFileOf(t, dir, "former.age", "correct horse", 1, 1), codeUnverified, "guards no key", func(*drill.Request) {})
	drills("a damaged set", file, codeUnverified, "damaged", func(x *drill.Request) {
		x.Keys[0].Set = append([]byte{}, x.Keys[0].Set...)
		x.Keys[0].Set[len(x.Keys[0].Set)/2] ^= 1
	})
	drills("another record", file, codeUnverified, "record", func(x *drill.Request) { x.Keys[0].Record = x.Keys[0].Record[:40] })
	drills("no name", file, codeUnverified, "does not say what this guardian is called", func(x *drill.Request) { x.Names = nil })
	drills("no vault of theirs", file, codeUnverified, "has nothing of theirs", func(x *drill.Request) { x.Keys[0].Plan, x.Keys[0].Set = nil, nil })
	for name, args := range map[string][]string{
		"nothing":         {},
		"two at once":     {"acme.export", "--sheet", "one"},
		"no identity":     {"acme.export"},
		"request alone":   {"--key", file, "--request", asked},
		"whose sheets":    {"--sheet", "one"},
		"ask and send":    {"--ask", "a", "--send", "b"},
		"send, and a key": {"acme.export", "--send", "b"},
	} {
		code, out, errs := try(append([]string{"backup", "drill"}, args...)...)
		want(t, name, code, codeUsage, out+errs, "give")
	}
}
