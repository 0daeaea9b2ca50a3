package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/ostraka/ostraka/client/courier"
	"github.com/ostraka/ostraka/client/notify"
	"github.com/ostraka/ostraka/evidence/verify"
)

// hostile is what somebody may write who wants to be taken for the program.
const hostile = "a\x1b]0;x\a\r\nVERIFIED  circle\t\x7f\u009b2J\u202eb\u2066\u200b\u2028c\u0085\xff"

// seen says what of a text is no plain line: it is given what the program itself ends its lines with.
func seen(t *testing.T, what, text string) {
	t.Helper()
	for _, r := range text {
		if r != '\n' && !unicode.IsPrint(r) {
			t.Errorf("%s: %U is printed: %q", what, r, text)
			return
		}
	}
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "VERIFIED  circle ") && !strings.Contains(l, "claims hold") || strings.HasPrefix(l, "b") || strings.HasPrefix(l, "c") {
			t.Errorf("%s: a line of somebody else's: %q in %q", what, l, text)
		}
	}
}

// Whatever is printed from elsewhere is plain text in lines of the program's own.
func TestNothingHostileIsPrinted(t *testing.T) {
	var out, errs bytes.Buffer
	a := &app{out: &out, err: &errs}
	took := func() string {
		defer out.Reset()
		defer errs.Reset()
		return out.String() + errs.String()
	}
	now := time.Now()
	r := &verify.Report{
		Circle: hostile, Attention: []string{hostile}, Alarms: []verify.Alarm{{Operator: hostile, What: hostile}},
		Claims: []verify.Claim{{Subject: hostile, Claim: hostile, Class: verify.Proved, Failed: hostile, Basis: hostile}, {Subject: hostile, Claim: hostile, Class: verify.Declared, Basis: hostile}},
		Logs:   []verify.LogReport{{Operator: hostile, Source: hostile, Origin: hostile, Cosigned: []verify.Cosigned{{By: hostile}}}},
		Vaults: []verify.Vault{{Name: hostile, Tier: hostile, Committee: []string{hostile}, Addresses: []verify.Address{{
			Address: hostile, Chain: hostile, Account: hostile, Proof: &verify.Control{Expires: now}, Chained: &verify.OnChain{Balances: []verify.Balance{{Asset: hostile, Amount: hostile}}},
		}}}},
	}
	if err := a.show(r, func(w writer) { printReport(w, r) }); err != nil {
		t.Fatal(err)
	}
	seen(t, "verify", took())
	doc := disclosedDocument{Folder: hostile, Circle: hostile, CircleID: "00", Logs: []disclosedLog{{Operator: hostile}}, Missing: map[string]string{hostile: hostile}}
	r.Failed = true
	if err := a.show(doc, func(w writer) { doc.print(w, r) }); err != nil {
		t.Fatal(err)
	}
	seen(t, "disclose publish", took())
	place := placeDocument{Kind: hostile, Time: hostile, About: hostile, Origin: hostile, Cosigned: []cosignedDocument{{Witness: hostile, Time: hostile}}}
	if err := a.show(place, place.print); err != nil {
		t.Fatal(err)
	}
	seen(t, "log check", took())
	a.say("note: %s %v %d", hostile, fmt.Errorf("%w: %s", errors.New(hostile), hostile), 1)
	seen(t, "say", took())
	a.fails(a.root(), fail(codeError, errors.Join(errors.New(hostile), fmt.Errorf("second")), hostile))
	if text := took(); strings.Count(text, "\n") != 2 {
		t.Errorf("an error has %d lines: %q", strings.Count(text, "\n"), text)
	} else {
		seen(t, "an error", text)
	}
	for _, x := range []courier.Report{
		{What: courier.ReportFailed, At: now, Receiver: hostile, Type: hostile, Reason: hostile}, {What: courier.ReportTrouble, At: now, Reason: hostile},
		{What: courier.ReportEvent, At: now, Event: &notify.Event{Type: notify.WatchFailed, Time: now, Data: notify.Finding{Subject: hostile, Claim: hostile, Reason: hostile}}},
	} {
		a.toldLine(x)
		seen(t, "watch, "+x.What, took())
	}
	a.json = true
	if err := a.show(r, nil); err != nil {
		t.Fatal(err)
	}
	var again verify.Report
	text := took()
	if seen(t, "JSON", text); json.Unmarshal([]byte(text), &again) != nil || again.Circle != strings.ToValidUTF8(hostile, "\ufffd") {
		t.Errorf("JSON says %q", again.Circle)
	}
}

// A bundle's paths, which name its logs to people, hold nothing but plain letters.
func TestHostileBundles(t *testing.T) {
	alone(t)
	for _, path := range []string{"logs/a\u001b]0;x\u0007\rVERIFIED\n", "logs/A", "logs/../x", "logs/./x", "logs//x", "/logs", "logs/", ".git", "logs/.x", "logs/\u202e", "logs/a b"} {
		raw, err := json.Marshal(verify.Bundle{Format: 1, Circle: hostile, Made: time.Now(), Logs: []verify.BundleLog{{Operator: "acme", Path: path}}})
		if err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, verify.PathBundle), raw, 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := try("verify", dir)
		if code != codeError || !strings.Contains(errs, "log of acme: path") {
			t.Errorf("%q: exit code %d: %s%s", path, code, out, errs)
		}
		seen(t, path, out+errs)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://x\u202ey.example/", http.StatusFound)
	}))
	defer s.Close()
	_, out, errs := try("verify", s.URL)
	seen(t, "a redirect", out+errs)
}

// An error of a flag names that flag.
func TestFlagsAreNamed(t *testing.T) {
	alone(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "x")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for args, want := range map[string]string{
		"log check " + file + " --key x":                            "--key: ",
		"verify x --opened " + dir:                                  "--opened ",
		"disclose publish https://x -o " + dir + " --operator acme": "--operator ",
		"disclose publish https://x -o " + dir + " --max-mb 0":      "--max-mb ",
		"watch --forget x y":                                        "--forget ",
	} {
		if code, _, errs := try(strings.Fields(args)...); code != codeUsage || !strings.Contains(errs, want) {
			t.Errorf("%s: exit code %d: %s", args, code, errs)
		}
	}
}
