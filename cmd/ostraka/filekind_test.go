package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/statement"
)

// given are files of every kind, as far as their first bytes go: what follows is junk, or the file ends there.
func given() map[string]struct {
	text string
	kind fileKind
} {
	return map[string]struct {
		text string
		kind fileKind
	}{
		"appeal": {carry.AppealBegins + "x", fileAppeal}, "contribution": {carry.ContributionBegins + "x", fileContribution}, "case": {carry.CaseBegins + "x", fileCase},
		"answer": {carry.AnswerBegins + "x", fileAnswer}, "drill-request": {drill.MagicRequest + "x", fileDrillRequest}, "drill-answer": {drill.MagicAnswer, fileDrillAnswer},
		"export": {backup.Magic + "\x00\x00", fileExport}, "facts": {backup.FactsMagic + "x", fileFacts}, "card": {"ostraka-guardian1qqqq\n", fileCard},
		"key": {"-----BEGIN AGE ENCRYPTED FILE-----\nYWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSAx\n", fileGuardianKey}, "ssh": {"ssh-ed25519 AAAA alice\n", fileSSHKey}, "pem": {"-----BEGIN OPENSSH PRIVATE KEY-----\n", fileSSHKey},
		"identity": {"# created: today\nAGE-SECRET-KEY-1QQ\n", fileIdentity}, "sheet": {"circle: trio\nshare: academic acid\n", fileSheet}, "page": {"%PDF-1.4\n", filePage},
		"json": {`{"version": 1}`, fileJSON}, "empty": {"", fileEmpty}, "blank": {" \n", fileEmpty}, "note": {"call the bank\n", fileText}, "picture": {"\xff\xd8\xff\xe0", fileStrange},
		"veto": {"ostraka/1 sos-veto\nx", fileStatement(statement.SOSVeto)}, "alive": {"ostraka/1 sos-alive\nx", fileStatement(statement.SOSAlive)},
		"asked": {"ostraka/1 sos-request\nx", fileStatement(statement.SOSRequest)}, "cut": {"ostraka-app", fileKind{"a file that was cut off after 11 bytes", "", "have it copied or sent again"}},
	}
}

// Every command that takes a file of an emergency, a backup or a guardian says of every other file what it is, what the command wants, and what to do; of one that is right and
// broken that it is damaged. No node is asked before.
func TestWrongFiles(t *testing.T) {
	dir := alone(t)
	for name, g := range given() {
		if got := kindOfFile([]byte(g.text)); got != g.kind {
			t.Errorf("%s: it is taken for %q", name, got.is)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(g.text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		args  string // FILE stands for the file, each other word with a dot before it for a right one
		flag  string
		want  fileKind
		right int // exit code of a right file that is broken; 0: it is not read further here
	}{
		{"sos support --request FILE --out .out --key .key", "--request", fileAppeal, codeUnverified},
		{"sos support --request .appeal --out .out --key FILE", "--key", fileGuardianKey, 0},
		{"sos support --send FILE", "--send", fileContribution, codeUnverified},
		{"sos support 12345678 --as g --key FILE", "--key", fileSigner, 0},
		{"sos declare --vault v --trigger silence --subject a --reason r --as g --key FILE", "--key", fileSigner, 0},
		{"sos veto 12345678 --as g --reason r --key FILE", "--key", fileGuardianKey, 0},
		{"sos alive --carry FILE", "--carry", fileStatement(statement.SOSAlive), codeUnverified},
		{"sos alive --request FILE --out .out", "--request", fileStatement(statement.SOSRequest), codeUnverified},
		{"backup register FILE", "", fileBackup, codeUnverified},
		{"backup restore FILE --identity .identity --check --offline", "", fileExport, codeUnverified},
		{"backup drill FILE --identity .identity", "", fileExport, codeUnverified},
		{"backup drill --key FILE", "--key", fileGuardianKey, 0},
		{"backup drill --sheet FILE --operator acme", "--sheet", fileSheet, 0},
		{"backup drill --send FILE", "--send", fileDrillAnswer, codeUnverified},
		{"backup drill --key .key --request FILE --out .out", "--request", fileDrillRequest, codeUnverified},
		{"backup cut --level paper --place safe --export FILE --identity .identity --out .folder", "--export", fileExport, 0},
		{"guardian card FILE", "", fileKeyOrCard, 0},
		{"guardian card .key -i FILE", "--identity", fileIdentity, 0},
	} {
		var args []string
		for _, w := range strings.Fields(c.args) {
			if name, ok := strings.CutPrefix(w, "."); ok {
				w = at(name)
			}
			args = append(args, w)
		}
		command := args[:2]
		what := fmt.Sprintf("`%s` wants %s", strings.TrimSpace("ostraka "+strings.Join(command, " ")+" "+c.flag), c.want.is)
		try1 := func(name string) (int, string) {
			run := slices.Clone(args)
			run[slices.Index(run, "FILE")] = at(name)
			code, out, errs := try(run...)
			return code, out + errs
		}
		for name, g := range given() {
			code, said := try1(name)
			switch {
			case !g.kind.serves(c.want):
				want(t, c.args+" of "+name, code, codeUsage, said, at(name)+" is "+g.kind.is+", and "+what, "next: "+c.want.made)
			case c.right != 0:
				want(t, c.args+" of "+name, code, c.right, said, at(name)+" is a damaged ", "wants a whole one: ", "have it copied or sent again; ")
			case strings.Contains(said, what):
				t.Errorf("%s of %s, which is right: %s", c.args, name, said)
			}
		}
		code, said := try1("folder")
		want(t, c.args+" of a folder", code, codeUsage, said, at("folder")+" is a folder, and "+what)
		if code, said = try1("absent"); code == codeDone || !strings.Contains(said, "no such file") {
			t.Errorf("%s of a file that is not there: exit %d: %s", c.args, code, said)
		}
	}
	// Several are looked at together: each is named, and the whole does not verify.
	code, out, errs := try("backup", "verify", "--offline", at("appeal"), at("export"), at("empty"))
	want(t, "backup verify", code, codeUnverified, out+errs, "is an appeal, and `ostraka backup verify` wants an export or a receipt of sheets", "is a damaged export or receipt", "is an empty file")
}
