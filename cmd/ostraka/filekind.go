package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/ostraka/ostraka/client/carry"
	"github.com/ostraka/ostraka/custody/backup"
	"github.com/ostraka/ostraka/custody/backup/drill"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/statement"
)

// A fileKind is what a file is. This is the one place that tells the files apart which people hand to sos, backup and guardian: whoever gives the wrong one in an emergency is told
// what they gave, what was wanted, and how to come by that.
type fileKind struct {
	is   string // with its article
	made string // how one is come by
	goes string // where this one belongs
}

var (
	fileAppeal       = fileKind{"an appeal", "`ostraka sos appeal REQUEST --out FILE` writes one, and an operator sends it", "`ostraka sos support --request` reads it"}
	fileContribution = fileKind{"a guardian's contribution", "`ostraka sos support --request APPEAL --key KEY --out FILE` writes one", "`ostraka sos support --send` hands it in"}
	fileCase         = fileKind{"an intent to approve offline", "`ostraka tx export` writes one", "`ostraka tx approve` reads it"}
	fileAnswer       = fileKind{"an approver's answer", "`ostraka tx approve` writes one of an intent's file", "`ostraka tx import` hands it in"}
	fileDrillRequest = fileKind{"a drill's request", "`ostraka backup drill --ask FILE` writes one", "`ostraka backup drill --request` reads it"}
	fileDrillAnswer  = fileKind{"a drill's proof", "`ostraka backup drill --request FILE --out FILE` writes one", "`ostraka backup drill --send` hands it in"}
	fileExport       = fileKind{"an export", "`ostraka backup cut --level export` writes one", "`ostraka backup verify` checks it, `ostraka backup restore` opens it"}
	fileReceipt      = fileKind{"a receipt of sheets", "`ostraka backup cut --level paper` writes one", "`ostraka backup register` takes it"}
	fileBackup       = fileKind{"an export or a receipt of sheets", "`ostraka backup cut` writes them", ""}
	fileFacts        = fileKind{"a file of public facts", "`ostraka backup facts VAULT` writes one", "keep it beside paper and guardians' keys"}
	fileGuardianKey  = fileKind{"a guardian's key file", "`ostraka guardian init FILE` makes one, whose card has to stand in the charter", "it is --key of what guardians sign, and nobody else's"}
	fileCard         = fileKind{"a guardian's card", "`ostraka guardian card KEY` shows it", "it belongs in the charter"}
	fileKeyOrCard    = fileKind{"a guardian's key file or card", "`ostraka guardian init FILE` makes both", ""}
	fileSigner       = fileKind{"a guardian's key file, or an officer's SSH key or passkey", "guardians made theirs with `ostraka guardian init`, officers' keys stand in the roster", ""}
	fileOfficer      = fileKind{"an officer's SSH key or passkey", "officers' keys stand in the roster: `ostraka charter show` names whose they are", ""}
	fileIdentity     = fileKind{"a private key of age or SSH", "`age-keygen -pq` makes one; it is the one to whose public line the file was encrypted", "it opens what is encrypted to it: --identity"}
	fileSheet        = fileKind{"the text of a sheet", "type the lines of a printed sheet into a file, as they stand on it", "`ostraka backup drill --sheet` reads it"}
	filePage         = fileKind{"a page to print (PDF)", "", "print it; what stands on it is typed when it is needed"}
	fileSSHKey       = fileKind{"an SSH key", "", "it is --key of what officers and people sign"}
	fileJSON         = fileKind{"a JSON document", "", ""}
	fileEmpty        = fileKind{"an empty file", "", "it was not copied whole: look at the copy"}
	fileFolder       = fileKind{"a folder", "", ""}
	fileText         = fileKind{"a text that is none of ostraka's files", "", ""}
	fileStrange      = fileKind{"a file of another program", "", ""}
)

// fileStatement is a statement of a kind, on its own.
func fileStatement(k statement.Kind) fileKind {
	made := "whoever has it sends it: `ostraka sos status --json` shows those of requests"
	if k == statement.SOSAlive {
		made = "`ostraka sos alive --out FILE` writes one, at the node that is called lost"
	}
	return fileKind{"a statement of kind " + string(k), made, ""}
}

// begin are the first bytes of our files. A backup's header says besides whether it is an export or a receipt.
var begin = []struct {
	bytes string
	kind  fileKind
}{
	{carry.AppealBegins, fileAppeal}, {carry.ContributionBegins, fileContribution}, {carry.CaseBegins, fileCase}, {carry.AnswerBegins, fileAnswer},
	{drill.MagicRequest, fileDrillRequest}, {drill.MagicAnswer, fileDrillAnswer}, {backup.Magic, fileExport}, {backup.FactsMagic, fileFacts},
	{"ostraka-guardian", fileCard}, {"%PDF-", filePage}, {"ssh-ed25519 ", fileSSHKey}, {"ssh-rsa ", fileSSHKey}, {"sk-ssh-", fileSSHKey}, {"sk-ecdsa-", fileSSHKey}, {"ecdsa-sha2-", fileSSHKey},
}

var (
	identityLine = regexp.MustCompile(`(?m)^\s*AGE-(SECRET-KEY|PLUGIN)-`)
	pemKey       = regexp.MustCompile(`^-----BEGIN [A-Z ]*PRIVATE KEY-----`)
	sheetLine    = regexp.MustCompile(`(?m)^\s*share\s*:`)
)

// kindOfFile tells what a file is by what it begins with.
func kindOfFile(raw []byte) fileKind {
	text := strings.TrimSpace(string(raw))
	if text == "" {
		return fileEmpty
	}
	for _, b := range begin {
		if !bytes.HasPrefix(raw, []byte(b.bytes)) && !(b.kind == fileCard && strings.HasPrefix(text, b.bytes)) {
			continue
		}
		if _, h, err := backup.ReadHeader(bytes.NewReader(raw)); b.kind == fileExport && err == nil && h.Level == charter.Paper {
			return fileReceipt
		}
		return b.kind
	}
	switch line, _, _ := strings.Cut(text, "\n"); {
	case isGuardianFile(raw):
		return fileGuardianKey
	case strings.HasPrefix(line, "ostraka/1 ") && len(statement.Fields(statement.Kind(strings.TrimPrefix(line, "ostraka/1 ")))) > 0:
		return fileStatement(statement.Kind(strings.TrimPrefix(line, "ostraka/1 ")))
	case pemKey.MatchString(text):
		return fileSSHKey
	case identityLine.Match(raw):
		return fileIdentity
	case sheetLine.Match(raw):
		return fileSheet
	case text[0] == '{' || json.Valid(raw):
		return fileJSON
	}
	for _, b := range begin {
		if strings.HasPrefix(b.bytes, string(raw)) || strings.HasPrefix("ostraka/1 ", string(raw)) {
			return fileKind{fmt.Sprintf("a file that was cut off after %d bytes", len(raw)), "", "have it copied or sent again"}
		}
	}
	if utf8.Valid(raw) && !bytes.ContainsRune(raw, 0) {
		return fileText
	}
	return fileStrange
}

// serves says whether a file of kind k is what is wanted.
func (k fileKind) serves(want fileKind) bool {
	switch want {
	case fileBackup:
		return k == fileExport || k == fileReceipt
	case fileKeyOrCard:
		return k == fileGuardianKey || k == fileCard
	case fileSigner:
		return k == fileGuardianKey || k == fileSSHKey || k == fileText // a passkey's line
	case fileOfficer:
		return k == fileSSHKey || k == fileText
	case fileIdentity:
		return k == fileIdentity || k == fileSSHKey
	}
	return k == want
}

// misfiled says what a file is, what was wanted, and what to do.
func (a *app) misfiled(flag, path string, got, want fileKind) error {
	next := want.made
	if got.goes != "" {
		next += "; of the one given: " + got.goes
	}
	return fail(codeUsage, fmt.Errorf("%s is %s, and `%s` wants %s", path, got.is, strings.TrimSpace(a.ran+" "+flag), want.is), next)
}

// damagedFile says of a file of the right kind that it does not hold.
func (a *app) damagedFile(flag, path string, want fileKind, err error) error {
	_, noun, _ := strings.Cut(want.is, " ")
	if want == fileBackup {
		noun = "export or receipt"
	}
	next := "have it copied or sent again; " + want.made
	if want == fileAppeal { // somebody may have altered it
		next = "contribute to nothing of it; " + next + "; if it is so again, ask another operator, and call a guardian"
	}
	return unverified(next, "%s is a damaged %s, and `%s` wants a whole one: %w", path, noun, strings.TrimSpace(a.ran+" "+flag), err)
}

// readAs reads a file that is to be of a kind.
func (a *app) readAs(flag, path string, want fileKind, most int64) ([]byte, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, a.misfiled(flag, path, fileFolder, want)
	}
	raw, err := readBounded(path, most)
	if err != nil && len(raw) == 0 {
		return nil, fmt.Errorf("read %s: %w", want.is, err)
	}
	if got := kindOfFile(raw); !got.serves(want) {
		return nil, a.misfiled(flag, path, got, want)
	}
	if err != nil { // it is longer than any of its kind
		return nil, a.damagedFile(flag, path, want, err)
	}
	return raw, nil
}

// lookAs looks at the beginning of a file that is read as a stream. What lies in a bucket is looked at by who opens it.
func (a *app) lookAs(flag, path string, want fileKind) error {
	if strings.HasPrefix(path, "s3://") {
		return nil
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return fmt.Errorf("read %s: %w", want.is, err)
	case info.IsDir():
		return a.misfiled(flag, path, fileFolder, want)
	case !info.Mode().IsRegular():
		return nil
	}
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", want.is, err)
	}
	defer f.Close()
	front, err := io.ReadAll(io.LimitReader(f, backup.MaxHeader+1024))
	if err != nil {
		return fmt.Errorf("read %s: %w", want.is, err)
	}
	if got := kindOfFile(front); !got.serves(want) {
		return a.misfiled(flag, path, got, want)
	}
	return nil
}
