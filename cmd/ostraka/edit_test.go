package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

const rentArgs = " --chain eip155:1 --address 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 --label suppliers"

func contents(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// unchanged checks that a command which ended with an error changed no file and left none behind.
func unchanged(t *testing.T, what, folder, file string) {
	t.Helper()
	if contents(t, filepath.Join(folder, charterFile)) != file {
		t.Errorf("%s: the file was changed", what)
	}
	if left, _ := filepath.Glob(filepath.Join(folder, ".new-*")); len(left) > 0 {
		t.Errorf("%s: left %q", what, left)
	}
}

func TestPayeeCommands(t *testing.T) {
	folder := charterWith(t)
	path := filepath.Join(folder, charterFile)
	before := contents(t, path)
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	real := filepath.Join(folder, "real.yaml") // a link stays one
	if err := errors.Join(os.Rename(path, real), os.Symlink("real.yaml", path)); err != nil {
		t.Fatal(err)
	}
	code, out, errs := try(strings.Fields("payee add rent -f " + folder + rentArgs + " --expires 2100-01-31")...)
	want(t, "add", code, codeDone, out+errs, "added payee rent", "looser: payee rent: added 0x70997970C51812dc3A010C7d01b50e0d17dc79C8 on eip155:1 as suppliers, until 2100-01-31T00:00:00Z",
		"list-delay (24h0m0s) is over", "ostraka charter diff OLD "+folder, "ostraka charter amend "+folder)
	after := contents(t, path)
	if rest := strings.Replace(after, "  - name: rent\n    chain: \"eip155:1\"\n    address: \"0x70997970C51812dc3A010C7d01b50e0d17dc79C8\"\n    labels: [suppliers]\n    expires: \"2100-01-31T00:00:00Z\"\n", "", 1); rest != before {
		t.Errorf("other lines were changed: %s", after)
	}
	if to, err := os.Readlink(path); err != nil || to != "real.yaml" {
		t.Errorf("the link leads to %q: %v", to, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	code, out, errs = try("payee", "list", "-f", folder)
	want(t, "list", code, codeDone, out+errs, "payees in "+path+", which counts for nothing until it is signed: 2", "  rent      eip155:1  0x70997970C51812dc3A010C7d01b50e0d17dc79C8  suppliers  until 2100-01-31T00:00:00Z\n  salaries  eip155:1 ")
	code, out, _ = try("payee", "list", "-f", folder, "--json")
	want(t, "list as JSON", code, codeDone, out, `"name": "rent"`, `"waiting": []`, `"expires": ""`, `"failed": []`)
	code, out, errs = try("payee", "remove", "rent", "-f", folder, "--json")
	var doc editDocument
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != codeDone || doc.Name != "rent" || doc.Looser || doc.Wait != 0 || len(doc.Changes) != 1 || doc.File != path {
		t.Errorf("remove: exit %d, %v: %s%s", code, err, out, errs)
	}
	unchanged(t, "added and removed", folder, before)
	code, out, errs = try("charter", "lint", folder)
	want(t, "lint", code, codeDone, out+errs)

	// A rule that permits where the label is absent: its going is looser.
	folder = charterWith(t, `context.labels.contains\(Label::"payroll"\)`, `!context.labels.contains(Label::"suppliers")`)
	code, out, errs = try(strings.Fields("payee add other -f " + folder + " --chain eip155:1 --address 0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48")...)
	want(t, "what lint found before", code, codeDone, out+errs, "added payee other", "looser: payee other")
	code, out, errs = try(strings.Fields("payee add rent -f " + folder + rentArgs)...)
	want(t, "what mends it", code, codeDone, out+errs, "added payee rent")
	folder = charterWith(t, `labels: \[payroll\]`, "labels: [payroll, suppliers]\n  - name: rent\n    chain: \"eip155:1\"\n    address: \"0x70997970C51812dc3A010C7d01b50e0d17dc79C8\"\n    labels: [suppliers]", `context.labels.contains\(Label::"payroll"\)`, `!context.labels.contains(Label::"suppliers")`)
	code, out, errs = try("payee", "remove", "rent", "-f", folder)
	want(t, "remove with a rule", code, codeDone, out+errs, "looser: payee rent: removed", "A rule may forbid by its label, or permit without it: it goes list-delay (24h0m0s) after every operator has signed.")
}

func TestPayeeCommandsRefuse(t *testing.T) {
	folder := charterWith(t)
	before := contents(t, filepath.Join(folder, charterFile))
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"payee add rent" + rentArgs, codeUsage, "with -f FOLDER"},
		{"payee add -f F" + rentArgs, codeUsage, "takes 1: NAME"},
		{"payee add Rent -f F" + rentArgs, codeUsage, "NAME is \"Rent\""},
		{"payee add rent -f F --address x", codeUsage, "--chain is"},
		{"payee add rent -f F --chain eip155:1", codeUsage, "--address is empty"},
		{"payee add rent -f F --chain eip155:01 --address x", codeUsage, "plain decimal"},
		{"payee add rent -f F --label X" + rentArgs, codeUsage, "--label is"},
		{"payee add rent -f F --expires soon" + rentArgs, codeUsage, "--expires \"soon\""},
		{"payee add rent -f F --expires 2020-01-31" + rentArgs, codeUsage, "is over already"},
		{"payee add rent -f F --dir D" + rentArgs, codeUsage, "--dir names"},
		{"payee add rent -f F/none" + rentArgs, codeError, "charter show --write"},
		{"payee add salaries -f F" + rentArgs, codeError, "payee salaries: it is there already"},
		{"payee add rent -f F --chain eip155:1 --address 0x00000000000000000000000000000000000000a1", codeError, "its address is rent's too"},
		{"payee add rent -f F --chain eip155:1 --address 0x123", codeError, "payee rent: "},
		{"payee remove rent -f F", codeError, "payee rent: it is not there"},
		{"payee remove salaries -f F", codeError, `Label::"payroll" is not in the charter`},
		{"payee list -f F --local", codeUsage, "leave --local and --dir out"},
		{"payee list --file=", codeUsage, "-f names no folder"},
		{"payee list now", codeUsage, "unexpected argument"},
		{"person add zoe -f F --public-key x", codeUsage, "--organisation has 0 characters"},
		{"person add zoe -f F --organisation acme", codeUsage, "--public-key: give at least one"},
		{"person remove zoe -f F", codeError, "person zoe: it is not there"},
		{"person remove admin-acme -f F", codeError, "access of operator acme, place main\n  next: nothing was changed; once admin-acme reaches none of them any more, take the name out of `access` there"},
		{"person remove dana -f F", codeError, "group security"},
		{"charter show --write F --pending", codeUsage, "give one of them"},
		{"charter show --force", codeUsage, "--force goes with --write"},
	} {
		args := strings.Fields(strings.ReplaceAll(c.args, " F", " "+folder))
		code, out, errs := try(args...)
		want(t, c.args, code, c.code, out+errs, c.want, "next: ")
		unchanged(t, c.args, folder, before)
	}
}

// What lint would find is refused with lint's exit codes, and nothing is written.
func TestEditsAreLinted(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpdJhB7cXjHPdG0PUocJmob4Qe9OVGfbqobqyA9DO7i"
	folder := charterWith(t, `number: lose\n    kind: jurisdiction`, "number: spend\n    kind: organisation")
	before := contents(t, filepath.Join(folder, charterFile))
	code, out, errs := try("person", "add", "zoe", "-f", folder, "--organisation", "acme", "--public-key", key, "--group", "finance")
	want(t, "a control rule", code, codeRefused, out+errs, "would break a control rule: vault treasury: control rule spend/organisation: acme", "next: nothing was changed")
	unchanged(t, "a control rule", folder, before)
	code, out, errs = try("person", "add", "zoe", "-f", folder, "--organisation", "acme", "--public-key", key)
	want(t, "in no group", code, codeDone, out+errs, "added person zoe")

	folder = charterWith(t)
	before = contents(t, filepath.Join(folder, charterFile))
	code, out, errs = try("person", "add", "zoe", "-f", folder, "--organisation", "ac-me", "--public-key", key)
	want(t, "an organisation by another name", code, codeError, out+errs, `organisation "acme" (operator acme) and organisation "ac-me" (person zoe)`, "nothing was changed")
	unchanged(t, "an organisation by another name", folder, before)
	lint := charterWith(t, `provider: "gcp"`, `provider: "AWS"`)
	code, out, errs = try("charter", "lint", lint)
	want(t, "lint", code, codeError, out+errs, `provider "aws" (operator acme, place main) and provider "AWS" (operator bolt, place main)`, "write it alike in both places", "next: mend what it names")
}

// An editor that saved meanwhile is not written over.
func TestEditMeanwhile(t *testing.T) {
	folder := charterWith(t)
	path := filepath.Join(folder, charterFile)
	const saved = "# saved meanwhile\n"
	err := (&app{}).editCharter(folder, "payee", "removed", "salaries", func(file, rules []byte) (charter.Edited, error) {
		if err := os.WriteFile(path, []byte(saved), 0o600); err != nil {
			t.Fatal(err)
		}
		return charter.AddPayee(file, rules, charter.Payee{Name: "rent", Chain: "eip155:1", Address: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"})
	})
	if err == nil || explain(err).Code != codeError || !strings.Contains(err.Error(), "changed meanwhile") {
		t.Errorf("%v", err)
	}
	unchanged(t, "saved meanwhile", folder, saved)
}

func TestPersonCommands(t *testing.T) {
	folder := charterWith(t)
	path := filepath.Join(folder, charterFile)
	before := contents(t, path)
	pub := filepath.Join(folder, "zoe.pub")
	if err := os.WriteFile(pub, []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpdJhB7cXjHPdG0PUocJmob4Qe9OVGfbqobqyA9DO7i zoe@laptop\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := try("person", "add", "zoe", "-f", folder, "--organisation", "bolt", "--public-key", pub, "--public-key", "eip712 0x70997970C51812dc3A010C7d01b50e0d17dc79C8", "--group", "finance")
	want(t, "add", code, codeDone, out+errs, "added person zoe", "looser: person zoe: added of bolt", "looser: group finance: added zoe", "and delay (48h0m0s) is over")
	code, out, errs = try("person", "list", "-f", folder)
	want(t, "list", code, codeDone, out+errs, "zoe         of bolt  in finance ", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8, SHA256:", "in no group")
	if strings.Contains(contents(t, path), "zoe@laptop") {
		t.Error("the key's comment went along")
	}
	code, out, errs = try("person", "remove", "zoe", "-f", folder)
	want(t, "remove", code, codeDone, out+errs, "removed person zoe", "stricter: person zoe: removed")
	unchanged(t, "added and removed", folder, before)
}

// A private key is refused wherever it stands, and no error shows a byte of what was given.
func TestNoPrivateKey(t *testing.T) {
	folder := charterWith(t)
	before := contents(t, filepath.Join(folder, charterFile))
	const secretHex = "4c0883a69102937d6231471b5dbb6204fe5129617082792ae468d01a3f362318"
	const pem = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n-----END OPENSSH PRIVATE KEY-----\n"
	for _, text := range []string{pem, secretHex, "0x" + secretHex, "eip712 " + secretHex, "eip712 0x" + secretHex, "PuTTY-User-Key-File-3: ssh-ed25519\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU\n", "ssh-ed25519 " + secretHex, "\x00\x01" + secretHex} {
		file := filepath.Join(folder, "key")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		given := []string{file}
		if !strings.Contains(text, "\x00") {
			given = append(given, text)
		}
		for _, g := range given {
			code, out, errs := try("person", "add", "zoe", "-f", folder, "--organisation", "acme", "--public-key", g)
			want(t, "a private key", code, codeUsage, out+errs, "--public-key, number 1", "next: nothing was changed")
			for _, part := range []string{secretHex[:8], secretHex[20:28], "b3BlbnNz"} {
				if strings.Contains(out+errs, part) {
					t.Errorf("what was given is shown: %s%s", out, errs)
				}
			}
			if private := strings.Contains(text, "-----") || strings.HasPrefix(text, "PuTTY"); private && !strings.Contains(errs, "private key") {
				t.Errorf("it is not named: %s", errs)
			}
			if strings.HasPrefix(g, "eip712") && !strings.Contains(errs, "after eip712 stands no address") {
				t.Errorf("it is not said what is wrong: %s", errs)
			}
			unchanged(t, "a private key", folder, before)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "large"), make([]byte, 17<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs := try("person", "add", "zoe", "-f", folder, "--organisation", "acme", "--public-key", filepath.Join(folder, "large"))
	want(t, "a large file", code, codeUsage, errs, "too large for a public key")
}

// enforced is what nodes would show: the example in force, and an amendment that waits.
func enforced(t *testing.T, folder string) client.Rules {
	t.Helper()
	d, err := readCharter(folder)
	if err != nil {
		t.Fatal(err)
	}
	next := d
	next.Payees = []charter.Payee{{Name: "rent", Chain: "eip155:1", Address: "0x70997970C51812dc3A010C7d01b50e0d17dc79C8", Labels: []string{"payroll"}}}
	next.People = append([]charter.Human{}, d.People...)
	next.People[0].Expires = time.Unix(4e9, 0).UTC()
	vetoed := next
	vetoed.Payees = nil
	at := time.Date(2027, 1, 31, 12, 0, 0, 0, time.UTC)
	return client.Rules{
		History: charter.History{{ID: statement.ID{1}, Version: 3, Document: d}},
		Pending: []client.Pending{
			{Charter: charter.Charter{ID: statement.ID{2}, Version: 4, Document: next}, Missing: []string{"cora"}, Due: map[string]time.Time{"acme": at, "bolt": {}}},
			{Charter: charter.Charter{ID: statement.ID{3}, Version: 4, Document: vetoed}, Vetoes: []charter.Veto{{Operator: "acme"}}},
		},
		Revoked: map[string]charter.Revocation{d.People[1].Keys[0].String(): {}},
	}
}

// What waits is shown beside what is in force, with when it is due; what was vetoed is not.
func TestWaitingLists(t *testing.T) {
	r := enforced(t, charterWith(t))
	payees, people := waitingPayees(r), waitingPeople(r)
	if len(payees) != 1 || len(payees[0].Coming) != 1 || payees[0].Coming[0].Name != "rent" || len(payees[0].Going) != 1 || payees[0].Going[0] != "salaries" || len(payees[0].Due) != 1 {
		t.Errorf("%+v", payees)
	}
	if len(people) != 2-1 || len(people[0].Coming) != 1 || people[0].Coming[0].Name != "admin-acme" || len(people[0].Going) != 0 {
		t.Errorf("%+v", people)
	}
	var w bytes.Buffer
	payees[0].print(&w)
	for _, part := range []string{"WAITING: version 4, id 02000000\n", "  comes: rent  ", "  goes: salaries\n", "  still to sign: cora\n", "  node acme puts it in force after 2027-01-31T12:00:00Z\n"} {
		if !strings.Contains(w.String(), part) {
			t.Errorf("%q is not in %s", part, w.String())
		}
	}
	x, _ := r.Charter()
	if p := peopleOf(x.Document, r.Revoked); !p[1].Keys[0].Revoked || p[0].Keys[0].Revoked || !strings.Contains(p[1].line(), "(REVOKED)") {
		t.Errorf("%+v", p)
	}
}

func TestWriteInForce(t *testing.T) {
	folder := charterWith(t)
	r := enforced(t, folder)
	var out bytes.Buffer
	a := &app{out: &out, err: &out}
	to := filepath.Join(folder, "a", "b")
	if err := a.writeInForce(r, to, false); err != nil {
		t.Fatal(err)
	}
	want(t, "write", 0, 0, out.String(), "wrote "+filepath.Join(to, charterFile), "version 3", "ostraka charter amend "+to)
	code, text, errs := try("charter", "diff", folder, to)
	want(t, "what was written", code, codeDone, text+errs, "nothing differs")
	err := a.writeInForce(r, to, false)
	if p := explain(err); err == nil || p.Code != codeError || !strings.Contains(err.Error(), "is there already") || !strings.Contains(p.Next, "--force") {
		t.Errorf("written over: %v", err)
	}
	// One of the two is enough to refuse, and then neither is written.
	if err := os.Remove(filepath.Join(to, charterFile)); err != nil {
		t.Fatal(err)
	}
	if err := a.writeInForce(r, to, false); err == nil {
		t.Error("the rules are written over")
	}
	if _, err := os.Stat(filepath.Join(to, charterFile)); err == nil {
		t.Error("half of it was written")
	}
	if err := a.writeInForce(r, to, true); err != nil {
		t.Error(err)
	}
	if err := a.writeInForce(client.Rules{}, filepath.Join(folder, "none"), false); explain(err).Code != codeNotReady {
		t.Errorf("no charter is in force: %v", err)
	}
}
