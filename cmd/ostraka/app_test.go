package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/node/seal/passphrase"
)

// try runs a command as main does.
func try(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = run(args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func alone(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv(client.FileVariable, filepath.Join(dir, "contexts.json"))
	t.Setenv("OSTRAKA_KEY", "")
	t.Setenv("SSH_AUTH_SOCK", "")
	t.Setenv(passphraseVariable, "")
	return dir
}

// Every mistake of usage ends with 2 and says what to type instead.
func TestUsage(t *testing.T) {
	dir := alone(t)
	const id = "ed25519:3e97a43b5587267e4442a7e6927da5b6c9c7215651115f654ff5fbdf57335d59"
	officer := filepath.Join(dir, "officer.pub")
	if err := os.WriteFile(officer, []byte("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINpdJhB7cXjHPdG0PUocJmob4Qe9OVGfbqobqyA9DO7i officer@acme\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	acme := "node init --operator acme --entity Acme --officer " + officer + " --dir " + dir + "/n"
	for _, c := range []struct{ args, want string }{
		{"nonsense", `unknown command "nonsense"`},
		{"--nonsense", "unknown flag"},
		{"tx", "needs a command: approve, authorize, bump, call, cancel, explain, export, import, list, message, propose, reject, set-code, show, simulate, void"},
		{"tx sign-hash", `has no command "sign-hash"`},
		{"tx show", "takes 1: ID"},
		{"tx propose", "give --vault"},
		{"tx propose now", `unexpected argument "now"`},
		{"tx propose --vault v --account a/b --to x --amount 1 --unit gwei", `--unit "gwei"`},
		{"tx propose --vault v --account a/b --to x --amount 1 --token x --unit eth", "--unit eth does not go with --token"},
		{"tx propose --vault v --account a/b --to x --amount 1 --unit token", "--unit token needs --token"},
		{"tx propose --vault v --account a/b --to x --amount 1 --until never", `--until "never"`},
		{"tx propose --vault v --account a/b --to x --amount 1 --chain 1", `--chain "1"`},
		{"tx show nonsense --local", "malformed intent id"},
		{"operator join nonsense", "invitation"},
		{"charter sign", "give the folder of your copy, or --id ID"},
		{"charter sign " + dir + " --id 12345678", "give the folder of your copy, or --id ID"},
		{"charter veto", "takes 1: ID"},
		{"charter freeze treasury --hours 73", "--hours is 1 to 72"},
		{"person revoke --officer", "name the person"},
		{"person revoke zoe", "add --officer"},
		{"account create --vault v ops", `want DEPARTMENT/ACCOUNT`},
		{"account create ops/main", "give the vault with --vault"},
		{"vault create", "takes 1: VAULT"},
		{"node init", "give --operator"},
		{"node init --operator acme", "give --entity"},
		{"node init --operator acme --entity Acme", "--officer: give at least one"},
		{"node init --operator acme --entity Acme --officer /nowhere", "--officer /nowhere"},
		{acme + " --passphrase-memory 63", "63 MiB is given; 64 to 1024 are allowed"},
		{acme + " --passphrase-memory 1025", "1025 MiB is given; 64 to 1024 are allowed"},
		{acme + " --passphrase-memory 4194304", "64 to 1024 are allowed"}, // KiB of it would wrap to none
		{"backup restore x --identity y --passphrase-memory 0", "0 MiB is given; 64 to 1024 are allowed"},
		{acme + " --link 0.0.0.0:7700", "cannot dial the link address 0.0.0.0:7700"},
		{acme + " --link [::]:7700", "next: give --advertise HOST:PORT"},
		{acme + " --link :7700", "next: give --advertise HOST:PORT"},
		{acme + " --link 7700", "is not host:port"},
		{acme + " --advertise 0.0.0.0:7700", "cannot dial the link address"},
		{acme + " --metrics 0.0.0.0:9", "--metrics: "},
		{"node run --log-level loud", `--log-level: "loud"`},
		{"node run --log-format xml", `--log-format: "xml"`},
		{"context add acme 127.0.0.1:1 ed25519:00", "want ed25519: and 64"},
		{"context add acme 127.0.0.1:1", "takes 3: NAME ADDRESS IDENTITY"},
		{"demo --keep", "--keep and --dir D go together"},
		{"demo --dir " + dir, "--keep and --dir D go together"},
		{"demo --suite rot13", `--suite "rot13"`},
		{"demo --suite ed25519 --eth-rpc http://127.0.0.1:1", "--eth-rpc goes with suite ecdsa-secp256k1 alone"},
		{"address", "needs a command: list, new, prove"},
		{"address prove v ops/main", "give --text"},
		{"address prove v ops/main --text x", "give --entity"},
		{"address prove v", "takes 2: VAULT DEPARTMENT/ACCOUNT"},
		{"address prove v ops/main --text x --entity x --height 0x10", "want a block's number, or latest"},
		{"address prove v ops/main --text x --entity x --height -1", "want a block's number, or latest"},
		{"address prove v ops/main --text x --entity x --expires never", "invalid argument"},
		{"address new v", "takes 2: VAULT DEPARTMENT/ACCOUNT"},
		{"vault create treasury -f", "needs an argument"},
		{"bench -n 0", "want 1 to 100000"},
		{"session explain abcdefgh --local", "8 or more hex digits"},
		{"session explain abc --local", "8 or more hex digits"},
		{"log", "needs a command: check, export, fsck, head, list, open, prove, read, show"},
		{"log show", "takes 1: N|ID"},
		{"log show abcdef", "neither an entry's number nor 8 or more hex digits"},
		{"log prove 12345678901234567890x", "neither an entry's number nor 8 or more hex digits"},
		{"log list --first 1 --last 2", "--first and --last exclude one another"},
		{"log list --from 1", "--from is a time; --first 1 begins with the entry of that number"},
		{"log list --kind foo", `--kind "foo" is none of statement, private, signature, vote, decision, `},
		{"log list --folder x --follow", "--folder and --follow exclude one another"},
		{"log open --to ecdsa-sha2-nistp256", "such keys cannot encrypt: ssh-ed25519, ssh-rsa or age1…"},
		{"help nope", `no command "nope"`},
		{"help tx nope", `no command "tx nope"`},
		{"operator accept x y z", "accepts at most 1 arg"},
		{"node confirm-restore", "give --no-other-copy once you made sure"},
		{"node confirm-restore --no-other-copy --not-restored", "--no-other-copy and --not-restored exclude one another"},
		{"log list --last 0", "--last is 1 or more"},
		{"log check x", "give the log's key"},
		{"log open", "name the reader"},
		{"log open --to age1nobody", "--to age1nobody"},
		{"log open --to /nowhere", "is neither a key"},
		{"log read x", "takes 2: FILE FOLDER"},
		{"log read x y", "give your private key"},
		{"--timeout soon version", "invalid argument"},
	} {
		code, out, errs := try(strings.Fields(c.args)...)
		if code != codeUsage || !strings.Contains(errs, c.want) || !strings.Contains(errs, "next: ") || out != "" {
			t.Errorf("%s: code %d, stdout %q, stderr %q; want 2 and %q", c.args, code, out, errs, c.want)
		}
	}
	if code, _, errs := try("context", "add", "acme", "nowhere", id); code != codeUsage || !strings.Contains(errs, "host:port") {
		t.Errorf("an address without port: %d, %s", code, errs)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
	}{
		{errors.New("x"), codeError},
		{usage("x"), codeUsage},
		{fmt.Errorf("y: %w", usage("x")), codeUsage},
		{refused("", "x"), codeRefused},
		{unverified("", "x"), codeUnverified},
		{notReady("", "x"), codeNotReady},
		{&client.Difference{What: "x"}, codeUnverified},
		{&client.IdentityError{}, codeUnverified},
		{&client.NodesError{What: "x", Need: 2}, codeNotReady},
		{&client.AbsentError{}, codeNotReady},
		{&client.RefusedError{Reason: "x"}, codeRefused},
		{connect.NewError(connect.CodeFailedPrecondition, errors.New("x")), codeRefused},
		{connect.NewError(connect.CodeUnavailable, errors.New("x")), codeNotReady},
		{connect.NewError(connect.CodeInvalidArgument, errors.New("x")), codeError},
		{fmt.Errorf("unlock: %w", passphrase.ErrPassphrase), codeError},
	} {
		p := explain(c.err)
		if p.Code != c.want {
			t.Errorf("%v: code %d, want %d", c.err, p.Code, c.want)
		}
		if strings.Contains(p.Err.Error(), "failed_precondition") {
			t.Errorf("the transport's word is shown: %v", p.Err)
		}
	}
}

// With --json stdout is one document, also when something goes wrong.
func TestJSON(t *testing.T) {
	dir := alone(t)
	for _, c := range []struct {
		args string
		code int
		has  string
	}{
		{"version", codeDone, "version"},
		{"context list", codeDone, "contexts"},
		{"context use none", codeError, "error"},
		{"context remove none --yes", codeError, "error"},
		{"vault list", codeError, "error"},
		{"tx propose", codeUsage, "error"},
		{"nonsense", codeUsage, "error"},
		{"--nope", codeUsage, "error"},
		{"tx show --nope", codeUsage, "error"},
		{"node status --dir " + dir, codeNotReady, "error"},
		{"doctor --dir " + dir, codeNotReady, "error"},
		{"log head --dir " + dir, codeNotReady, "error"},
		{"log list --dir " + dir, codeNotReady, "error"},
		{"log show 1 --dir " + dir, codeNotReady, "error"},
		{"log prove 1 --dir " + dir, codeNotReady, "error"},
		{"log fsck --dir " + dir, codeNotReady, "error"},
		{"log export x --dir " + dir, codeNotReady, "error"},
		{"operator invite bolt --dir " + dir, codeNotReady, "error"},
		{"node run --dir " + dir + " --passphrase-file " + dir + "/none", codeError, "error"},
	} {
		code, out, errs := try(append(strings.Fields(c.args), "--json")...)
		var doc map[string]json.RawMessage
		d := json.NewDecoder(strings.NewReader(out))
		if err := d.Decode(&doc); err != nil || d.More() || code != c.code || doc[c.has] == nil {
			t.Errorf("%s: code %d, %q, %v; want %d with %q", c.args, code, out, err, c.code, c.has)
		}
		if c.code == codeDone {
			continue
		}
		var e struct {
			Code    int
			Message string
		}
		if err := json.Unmarshal(doc["error"], &e); err != nil || e.Code != c.code || e.Message == "" || !strings.Contains(errs, e.Message) {
			t.Errorf("%s: error %+v, stderr %q", c.args, e, errs)
		}
	}
}

func TestPassphraseFile(t *testing.T) {
	dir := alone(t)
	write := func(content string, mode os.FileMode) string {
		path := filepath.Join(dir, "pass")
		os.Remove(path)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		content string
		mode    os.FileMode
		want    string
	}{
		{"correct horse\n", 0o640, "open to other users"},
		{"two\nlines\n", 0o600, "more than one line"},
		{"\n", 0o600, "empty"},
		{strings.Repeat("x", maxPassphrase+1), 0o600, "at most"},
	} {
		if _, err := secretFile(write(c.content, c.mode), "passphrase", "--passphrase-file"); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "horse") {
			t.Errorf("%q, mode %v: %v; want %q", c.content, c.mode, err, c.want)
		}
	}
	// The same words in two encodings are one passphrase.
	a, err := secretFile(write("caf\u00e9 au lait\n", 0o600), "passphrase", "--passphrase-file")
	if err != nil {
		t.Fatal(err)
	}
	b, err := secretFile(write("cafe\u0301 au lait", 0o400), "passphrase", "--passphrase-file")
	if err != nil || !a.Equal(b) {
		t.Errorf("NFC and NFD differ: %v", err)
	}
}

func TestHelp(t *testing.T) {
	alone(t)
	code, out, _ := try("--help")
	if code != codeDone {
		t.Fatalf("code %d", code)
	}
	for _, name := range strings.Fields("account address bench context demo doctor node operator session tx vault version") {
		if !strings.Contains(out, "\n  "+name+" ") {
			t.Errorf("help does not list %s", name)
		}
	}
}

// A signal ends a question that nobody answers.
func TestTypedEnds(t *testing.T) {
	ends := make(chan struct{})
	close(ends)
	a := &app{ends: ends}
	never := make(chan struct{})
	defer close(never)
	_, err := a.typed(func() ([]byte, error) { <-never; return nil, nil })
	if p := explain(err); p.Code != codeError || p.Err.Error() != "interrupted" {
		t.Errorf("%v, code %d", err, p.Code)
	}
	line, err := (&app{}).typed(func() ([]byte, error) { return []byte("yes\n"), nil })
	if err != nil || string(line) != "yes\n" {
		t.Errorf("%q, %v", line, err)
	}
}

// What nodes have, or may have, is never proposed a second time on the program's advice.
func TestSubmitted(t *testing.T) {
	on, off := context.WithCancel(context.Background())
	down := &client.NodesError{What: "propose", Need: 1}
	if p := explain(submitted(on, statement.ID{}, false, down)); p.Code != codeNotReady || !strings.Contains(p.Next, "before you propose it again") {
		t.Errorf("nodes away: %+v", p)
	}
	other := notReady("wait", "x")
	if p := explain(submitted(on, statement.ID{}, true, other)); p.Next != "wait" {
		t.Errorf("explained before: %+v", p)
	}
	off()
	for taken, want := range map[bool]string{true: "do not propose it again", false: "before you propose it again"} {
		if p := explain(submitted(on, statement.ID{}, taken, context.Canceled)); p.Code != codeError || p.Err.Error() != "interrupted" || !strings.Contains(p.Next, want) {
			t.Errorf("interrupted, taken %v: %+v", taken, p)
		}
	}
	if err := submitted(on, statement.ID{}, true, nil); err != nil {
		t.Error(err)
	}
}

// The next step fits what went wrong, not merely its exit code.
func TestNext(t *testing.T) {
	dir := alone(t)
	const id = "ed25519:3e97a43b5587267e4442a7e6927da5b6c9c7215651115f654ff5fbdf57335d59"
	if code, _, errs := try("context", "add", "acme", "127.0.0.1:1", id); code != codeDone {
		t.Fatal(errs)
	}
	for _, c := range []struct {
		args string
		code int
		want string
	}{
		{"context add bolt 127.0.0.1:2 " + id, codeError, "every node stands there once"},
		{"context add acme 127.0.0.1:2 " + id, codeError, "--replace takes the new ones"},
		{"context remove default", codeRefused, "--force removes it all the same"},
		{"context remove default --node acme", codeRefused, "leave --node out"},
		{"context remove default --force", codeUsage, "nobody is at the terminal to confirm"},
		{"context remove default --node bolt", codeError, "`ostraka context list` shows the contexts and their nodes"},
		{"vault list --context none", codeError, "`ostraka context list` shows your contexts"},
		{"vault list --key " + dir + "/none", codeError, "give a key file that exists"},
		{"node status --dir " + dir, codeNotReady, "make a node with `ostraka node init"},
		{"sos alive --dir " + dir, codeNotReady, "is the machine lost? `ostraka backup restore`"},
		{"sos activate treasury --dir " + dir, codeNotReady, "is the machine lost? `ostraka backup restore`"},
		{"operator remove cora --dir " + dir, codeNotReady, "is the machine lost? `ostraka backup restore`"},
		{"backup cut --level export --place away --recipient age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm --to " + dir + " --classical --dir " + dir, codeNotReady, "is the machine lost? `ostraka backup restore`"},
	} {
		if code, _, errs := try(strings.Fields(c.args)...); code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: code %d, %s; want %d and %q", c.args, code, errs, c.code, c.want)
		}
	}
	if code, out, errs := try("context", "remove", "default", "--force", "--yes", "--json"); code != codeDone || !strings.Contains(errs, id) || !strings.Contains(out, `"contexts": []`) {
		t.Errorf("code %d, %s, %s", code, out, errs)
	}
	if p := explain(fmt.Errorf("node acme: %w", client.ErrNoRoster)); p.Code != codeNotReady || !strings.Contains(p.Next, "operator accept") || strings.Contains(p.Err.Error(), "reached") {
		t.Errorf("no charter: %+v", p)
	}
	if p := explain(connect.NewError(connect.CodeFailedPrecondition, errors.New("x"))); p.Next != "" {
		t.Errorf("refused outside of tx: next %q", p.Next)
	}
}

// Fees that contradict one another are refused before a node is asked.
func TestFees(t *testing.T) {
	for _, c := range []struct {
		p    proposal
		want string
	}{
		{proposal{feeCap: "1", tipCap: "2"}, "--tip-cap 2 is above --fee-cap 1"},
		{proposal{legacy: true, tipCap: "2"}, "does not go with --legacy"},
		{proposal{feeCap: "x"}, "--fee-cap"},
		{proposal{nonce: "-1"}, "--nonce"},
	} {
		if p := explain(c.p.numbers(&client.Transfer{})); p.Code != codeUsage || !strings.Contains(p.Err.Error(), c.want) {
			t.Errorf("%+v: %v, code %d; want %q", c.p, p.Err, p.Code, c.want)
		}
	}
	if err := (proposal{feeCap: "2", tipCap: "2"}).numbers(&client.Transfer{}); err != nil {
		t.Error(err)
	}
}
