package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/ostraka/ostraka/crypto/secret"
	custody "github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/backup/paper"
	"github.com/ostraka/ostraka/custody/breakglass"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/guardian"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/mpc/epoch"
	"github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/backup"
	"github.com/ostraka/ostraka/node/nodetest"
	"github.com/ostraka/ostraka/node/store"
	"github.com/ostraka/ostraka/node/store/memory"
)

// A fire is a circle of three real nodes, of which two sign, with three guardians, of whom two help one operator; and what they kept outside, in a folder.
type fire struct {
	*testing.T
	w      *nodetest.World
	dir    string
	vault  string
	record *epoch.Record
	shares []string // in hexadecimal digits: none may be shown
}

func (f *fire) path(name string) string { return filepath.Join(f.dir, name) }

func (f *fire) put(name string, b []byte) string {
	f.Helper()
	if err := os.WriteFile(f.path(name), b, 0o600); err != nil {
		f.Fatal(err)
	}
	return f.path(name)
}

func (f *fire) ok(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

func burning(t *testing.T) *fire {
	w := nodetest.New(t, 3)
	w.Change = func(d *charter.Document) {
		d.Guardians = nodetest.Guardians(t, 3, 0)
		for i := range d.Vaults {
			d.Vaults[i].Rescue = nodetest.Plan(1, 2, "operator-9")
		}
	}
	nodetest.Ready(w, 2)
	f := &fire{T: t, w: w, dir: t.TempDir()}
	h := w.Hosts[0]
	doc, _ := h.Charters.Charter()
	f.ok(os.Mkdir(f.path("charter"), 0o700))
	f.put("charter/charter.yaml", []byte(doc.Document.File()))
	f.put("charter/policy.cedar", []byte(doc.Document.Policy))
	for i := range 3 {
		k, err := guardian.MarshalKey(nodetest.GuardianKey(t, i, 0))
		f.ok(err)
		f.locked(fmt.Sprintf("guardian-%d.age", i), k)
	}
	k, err := guardian.MarshalKey(nodetest.GuardianKey(t, 1, 7)) // the same person's, of another time
	f.ok(err)
	f.locked("guardian-old.age", k)
	f.put("pass", []byte("a guardian's words\n"))
	id, err := age.GenerateHybridIdentity()
	f.ok(err)
	f.put("operators.key", []byte(id.String()+"\n"))
	f.put("to", []byte(id.Recipient().String()))
	for i, h := range w.Hosts {
		f.export(i, h, id)
	}
	return f
}

// locked encrypts with a passphrase, cheaply.
func (f *fire) locked(name string, plain []byte) {
	f.Helper()
	r, err := age.NewScryptRecipient("a guardian's words")
	f.ok(err)
	r.SetWorkFactor(8)
	var out bytes.Buffer
	wr, err := age.Encrypt(&out, r)
	f.ok(err)
	_, err = wr.Write(plain)
	f.ok(err)
	f.ok(wr.Close())
	f.put(name, out.Bytes())
}

// export cuts an export of a host's real store, and sheets of paper of what is in it.
func (f *fire) export(i int, h *nodetest.Host, id *age.HybridIdentity) {
	f.Helper()
	from := memory.New()
	for _, it := range f.w.Rows(h, "") {
		_, err := from.Commit(context.Background(), store.Batch{Put: []store.Entry{{Key: it.Key, Value: it.Value}}})
		f.ok(err)
	}
	_, r, _ := h.Circle.Roster()
	secrets, err := backup.Secrets(h.Key, h.Box.DataKey(), []byte(`{"operator":"x"}`))
	f.ok(err)
	var cipher bytes.Buffer
	signed, err := backup.Cut{
		Identity: h.Key, Operator: h.Own.Name, Roster: r, Place: "away", Sealer: h.Box, Roots: h.Keeper.Roots(),
		Secrets:    secrets,
		Recipients: []age.Recipient{id.Recipient()}, Begin: func(int) error { return nil },
	}.Write(context.Background(), f.w.Now, from, &cipher)
	f.ok(err)
	file := append(append(custody.Front(len(signed)), signed...), cipher.Bytes()...)
	f.put(fmt.Sprintf("export-%d", i), file)
	o, err := backup.Open(bytes.NewReader(file), id)
	f.ok(err)
	defer o.Wipe()
	k := o.Keys[0]
	f.vault, f.record = k.Name, k.Record
	f.shares = append(f.shares, fmt.Sprintf("%x", k.Secret.Bytes()), fmt.Sprintf("%x", k.Hidden.Bytes()))
	if i == 0 {
		f.put("facts", o.Facts(k.Name).Encode())
	}
	m, _ := k.Record.Member(session.IDOf(o.Header.Identity))
	l := paper.Label{Circle: o.Header.Circle, Vault: k.Name, Operator: h.Own.Name, Key: k.KeyID, Suite: k.Suite, Epoch: k.Epoch, Record: k.Key.Record, Party: m.Index, Created: f.w.Now.UTC().Truncate(time.Second)}
	sheets, err := paper.Cut(l, secret.New(k.Secret.Bytes()), secret.New(k.Hidden.Bytes()), 2, 3, nodetest.NewEntropy("paper"))
	f.ok(err)
	f.put(fmt.Sprintf("sheet-%d-0", i), []byte(sheets[0].ExposeText()))
	f.put(fmt.Sprintf("sheet-%d-1", i), []byte(sheets[1].ExposePayload()))
}

// run runs the program at the world's time, and sees that nothing secret is shown.
func (f *fire) run(args ...string) (code int, out, errs string) {
	f.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{strings.NewReader(""), &stdout, &stderr, func() time.Time { return f.w.Now }}
	code = a.run(args)
	for _, s := range f.shares {
		if strings.Contains(stdout.String()+stderr.String(), s) {
			f.Errorf("%v shows a secret", args)
		}
	}
	return code, stdout.String(), stderr.String()
}

func (f *fire) prepare(out string, more ...string) (int, string) {
	to, err := os.ReadFile(f.path("to"))
	f.ok(err)
	args := append([]string{"prepare", "--charter", f.path("charter"), "--vault", f.vault, "--holder", "Acme Ltd", "--reason", "no node starts", "--out", f.path(out)}, more...)
	if !strings.Contains(strings.Join(more, " "), "--unencrypted") {
		args = append(args, "--recipient", string(to))
	}
	code, _, errs := f.run(args...)
	return code, errs
}

// sign has people sign a statement.
func (f *fire) sign(name string, verb signet.Verb, who ...string) (flags []string) {
	f.Helper()
	raw, err := os.ReadFile(f.path(name))
	f.ok(err)
	for _, p := range who {
		flags = append(flags, "--signature", f.put(name+"."+p+"."+string(verb), nodetest.NewPerson(f.T, p).Sign(f.T, verb, raw)))
	}
	return flags
}

func (f *fire) open(name, out string, flags ...string) (int, string, string) {
	return f.run(append([]string{"open", f.path(name), "--charter", f.path("charter"), "--out", f.path(out), "--record", f.path(out + ".record"), "--end-custody-of", f.vault, "--identity", f.path("operators.key")}, flags...)...)
}

// keys reads what was written, and holds it to the vault.
func (f *fire) keys(out string) breakglass.Keys {
	f.Helper()
	raw, err := os.ReadFile(f.path(out))
	f.ok(err)
	if !bytes.HasPrefix(raw, []byte(breakglass.KeysHead)) {
		key, err := os.ReadFile(f.path("operators.key"))
		f.ok(err)
		id, err := age.ParseHybridIdentity(strings.TrimSpace(string(key)))
		f.ok(err)
		r, err := age.Decrypt(bytes.NewReader(raw), id)
		f.ok(err)
		raw, err = io.ReadAll(r)
		f.ok(err)
	}
	k, err := breakglass.ParseKeys(raw)
	f.ok(err)
	if len(k.Roots) != 1 || !k.Roots[0].Public.Equal(f.record.Public) || k.Vault != f.vault {
		f.Fatal("it is not the vault's key")
	}
	return k
}

// What three real nodes kept outside brings their key back, at each level and mixed, under two witnesses, and nothing less does.
func TestBreakglass(t *testing.T) {
	t.Parallel()
	f := burning(t)
	if code, errs := f.prepare("statement", "--facts", f.path("facts"), "--export", f.path("export-2")); code != codeDone || !strings.Contains(errs, "ENDS THE CUSTODY") {
		t.Fatal(code, errs)
	}
	signed := f.sign("statement", signet.Makes(statement.Breakglass), "admin-0", "admin-1")
	with := func(more ...string) []string { return append(append([]string(nil), signed...), more...) }
	guardians := []string{"--guardian", f.path("guardian-0.age"), "--guardian", f.path("guardian-2.age"), "--passphrase-file", f.path("pass"), "--passphrase-file", f.path("pass"), "--facts", f.path("facts")}
	for name, pieces := range map[string][]string{
		"exports": {"--export", f.path("export-0"), "--export", f.path("export-2")},
		"paper":   {"--sheet", f.path("sheet-0-0"), "--sheet", f.path("sheet-1-0"), "--sheet", f.path("sheet-0-1"), "--sheet", f.path("sheet-1-1"), "--facts", f.path("facts")},
		"mix":     {"--sheet", f.path("sheet-2-1"), "--export", f.path("export-1"), "--sheet", f.path("sheet-2-0")},
		"guards":  append([]string{"--sheet", f.path("sheet-1-0"), "--sheet", f.path("sheet-1-1")}, guardians...),
		"guarded": append([]string{"--export", f.path("export-1")}, guardians...),
	} {
		code, out, errs := f.open("statement", name, with(append(pieces, "--child", "m/0/0/0")...)...)
		if code != codeDone || !strings.Contains(out, "has ended") || !strings.Contains(errs, "admin-1 of operator-1") {
			t.Fatalf("%s: %d %s %s", name, code, out, errs)
		}
		k := f.keys(name)
		if len(k.Children) != 1 {
			t.Errorf("%s: no child is written out", name)
		}
		private := fmt.Sprintf("%x", k.Roots[0].ExposePrivate())
		if record, err := os.ReadFile(f.path(name + ".record")); err != nil || bytes.Contains(record, []byte(private)) || strings.Contains(out+errs, private) {
			t.Errorf("%s: the key is shown, or there is no record: %v", name, err)
		}
		if code, out, _ := f.run("check", f.path(name+".record"), "--charter", f.path("charter")); code != codeDone || !strings.Contains(out, "in the hands of Acme Ltd") {
			t.Errorf("%s: the record: %d %s", name, code, out)
		}
		if info, err := os.Stat(f.path(name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	f.refusals(signed, guardians)
	f.plain()
}

// refusals: each says what is wrong, and leaves no file.
func (f *fire) refusals(signed, guardians []string) {
	f.Helper()
	verb := signet.Makes(statement.Breakglass)
	exports := []string{"--export", f.path("export-0"), "--export", f.path("export-1")}
	raw, err := os.ReadFile(f.path("export-1"))
	f.ok(err)
	raw[len(raw)-9] ^= 1
	f.put("damaged", raw)
	sheet, err := os.ReadFile(f.path("sheet-1-0"))
	f.ok(err)
	f.put("foreign", bytes.Replace(sheet, []byte("vault: "+f.vault), []byte("vault: other"), 1))
	of := func(lists ...[]string) (all []string) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for says, x := range map[string]struct {
		code  int
		flags []string
	}{
		"0 persons of 0 organisations":             {codeRefused, exports},
		"1 persons of 1 organisations":             {codeRefused, of(signed[:2], signed[:2], exports)},
		"2 persons of 1 organisations":             {codeRefused, of(f.sign("statement", verb, nodetest.Approvers[0], nodetest.Approvers[1]), exports)},
		"is for another use":                       {codeRefused, of(f.sign("statement", signet.Approve, "admin-0", "admin-1"), exports)},
		"no key of a person":                       {codeRefused, of(f.sign("statement", verb, "admin-0", "mallory"), exports)},
		"the vault whose custody ends is":          {codeRefused, of(signed, exports, []string{"--end-custody-of", "other"})},
		"output is not what was asked":             {codeRefused, of(signed, exports, []string{"--unencrypted"})},
		"is there already":                         {codeError, of(signed, exports, []string{"--out", f.path("exports")})},
		"no pieces were given":                     {codeUsage, of(signed, guardians)},
		"1 of 2 operators' shares are here":        {codeNotReady, of(signed, exports[:2])},
		"or values of 1 more guardians":            {codeNotReady, of(signed, exports[:2], guardians[:2], guardians[4:6])},
		"2 of 3 sheets are needed and 1 is":        {codeUnverified, of(signed, exports[:2], []string{"--sheet", f.path("sheet-1-0")})},
		"is none of the 3 guardians":               {codeUnverified, of(signed, exports[:2], []string{"--guardian", f.path("guardian-old.age"), "--passphrase-file", f.path("pass")})},
		"another SHA-256 than its header":          {codeUnverified, of(signed, exports[:2], []string{"--export", f.path("damaged")})},
		"code: ":                                   {codeUnverified, of(signed, exports[:2], []string{"--sheet", f.path("foreign")})},
		"more are given than guardians' files":     {codeUsage, of(signed, exports, []string{"--passphrase-file", f.path("pass")})},
		"no file here has the record of epoch":     {codeRefused, of(signed, []string{"--sheet", f.path("sheet-1-0"), "--sheet", f.path("sheet-1-1")})},
		"derivation path \"m/0'\", step 1: harden": {codeUsage, of(signed, exports, []string{"--child", "m/0'"})},
	} {
		code, out, errs := f.open("statement", "none", x.flags...)
		if code != x.code || !strings.Contains(errs, says) || out != "" {
			f.Errorf("%d, not %d: %s, not %q %s", code, x.code, errs[strings.LastIndex(errs, "ostraka-breakglass: "):], says, out)
		}
		if left, _ := filepath.Glob(f.path("none*")); len(left) > 0 {
			f.Fatalf("%s: it left %v", says, left)
		}
	}
	f.late(signed, exports)
}

// late: a statement serves for 7 days, and for the charter that it names.
func (f *fire) late(signed, exports []string) {
	f.Helper()
	now := f.w.Now
	f.w.Now = now.Add(breakglass.Life + time.Second)
	if code, _, errs := f.open("statement", "none", append(signed, exports...)...); code != codeRefused || !strings.Contains(errs, "more than 7 days ago") {
		f.Error(code, errs)
	}
	f.w.Now = now
	policy, err := os.ReadFile(f.path("charter/policy.cedar"))
	f.ok(err)
	f.put("charter/policy.cedar", append(policy, "// looser\n"...))
	if code, _, errs := f.open("statement", "none", append(signed, exports...)...); code != codeRefused || !strings.Contains(errs, "another charter") {
		f.Error(code, errs)
	}
	f.put("charter/policy.cedar", policy)
	record, err := os.ReadFile(f.path("mix.record"))
	f.ok(err)
	f.put("altered", bytes.Replace(record, []byte("Acme Ltd"), []byte("Evil Ltd"), 1))
	if code, _, _ := f.run("check", f.path("altered"), "--charter", f.path("charter")); code != codeUnverified {
		f.Error("an altered record is believed")
	}
}

// plain: keys lie in plain only where witnesses signed it and the flag says it again.
func (f *fire) plain() {
	f.Helper()
	for says, flags := range map[string][]string{
		"not both":                    {"--unencrypted", "--recipient", "age1x", "--facts", f.path("facts")},
		"which keys the vault has":    {},
		"is a private key":            {"--facts", f.path("facts"), "--recipient", "AGE-SECRET-KEY-1QQ"},
		"not post-quantum":            {"--facts", f.path("facts"), "--recipient", "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"},
		"none of the files has a key": {"--facts", f.path("facts"), "--suite", "ed25519"},
		"is of vault":                 {"--facts", f.path("facts"), "--vault", "other"},
		"its first line is another":   {"--export", f.path("facts")},
		"this is no file of them":     {"--facts", f.path("export-0")},
		"give --vault, --holder and":  {"--facts", f.path("facts"), "--reason", ""},
	} {
		if code, errs := f.prepare("refused", flags...); code == codeDone || !strings.Contains(errs, says) {
			f.Errorf("%d %s, not %q", code, errs[max(0, strings.LastIndex(errs, "ostraka-breakglass: ")):], says)
		}
	}
	if code, errs := f.prepare("plainly", "--export", f.path("export-1"), "--unencrypted"); code != codeDone {
		f.Fatal(errs)
	}
	flags := append(f.sign("plainly", signet.Makes(statement.Breakglass), "admin-0", "admin-2"), "--export", f.path("export-0"), "--export", f.path("export-1"))
	if code, _, errs := f.open("plainly", "none", flags...); code != codeRefused || !strings.Contains(errs, "output is not") {
		f.Error(code, errs)
	}
	code, out, errs := f.open("plainly", "in-plain", append(flags, "--unencrypted")...)
	if code != codeDone || !strings.Contains(out, "IN PLAIN") {
		f.Fatal(code, out, errs)
	}
	f.keys("in-plain")
	if code, _, errs := f.run("sign", f.path("in-plain"), "--path", "m/0/0/0", "--message", f.path("facts")); code != codeRefused || !strings.Contains(errs, "holds no key of suite ed25519") {
		f.Error(code, errs)
	}
}

// An Ed25519 key, which no wallet imports, signs here; the public key is that of the path, and any verifier takes the signature.
func TestSign(t *testing.T) {
	keys, message := "../../custody/breakglass/testdata/keys.txt", filepath.Join(t.TempDir(), "message")
	if err := os.WriteFile(message, []byte("a transaction's message"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if code := run([]string{"sign", keys, "--path", "m/0/3/7", "--message", message}, nil, &out, &errs); code != codeDone {
		t.Fatal(errs.String())
	}
	var public, signature []byte
	if _, err := fmt.Sscanf(out.String(), "public-key: %x\nsignature: %x\n", &public, &signature); err != nil || !ed25519.Verify(public, []byte("a transaction's message"), signature) {
		t.Errorf("%s: %v", out.String(), err)
	}
	raw, err := os.ReadFile(keys)
	if err != nil || !bytes.Contains(raw, fmt.Appendf(nil, "child: m/0/3/7 %x ", public)) {
		t.Errorf("another key signed: %v", err)
	}
	for says, args := range map[string][]string{
		"give --path": {"sign", keys, "--message", message}, "is encrypted": {"sign", message, "--path", "m", "--message", message},
		"unknown command": {"dance"}, "0 arguments were given; this takes 1: RECORD": {"check"}, "unknown flag": {"check", "--json"}, "give --charter": {"check", message},
	} {
		errs.Reset()
		if run(args, nil, &out, &errs) == codeDone || !strings.Contains(errs.String(), says) {
			t.Errorf("%v: %s, not %q", args, errs.String(), says)
		}
	}
}
