package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// Documents of evidence/attest; its testdata/SOURCES.md says which a provider signed and which are self-made.
func document(name string) string {
	return filepath.Join("..", "..", "evidence", "attest", "testdata", filepath.FromSlash(name))
}

func TestControlEvidence(t *testing.T) {
	folder := charterWith(t)
	token := []string{"control", "evidence", document("selfmade/gcp.token"), "--keys", document("selfmade/gcp.keys"), "--at", "2026-11-27T12:30:00Z", "--charter"}
	code, out, errs := try(append(token, folder, "--operator", "bolt")...)
	want(t, "a token for the node", code, codeDone, out+errs, "signed by gcp, verified as of 2026-11-27T12:30:00Z", "account   account-1 (42)  as the charter says of bolt/main", "class     attested", "does not say", "stay declared")
	code, out, _ = try(append(token, folder, "--operator", "bolt", "--place", "main", "--json")...)
	var doc struct{ Documents []evidenceDocument }
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != codeDone || len(doc.Documents) != 1 || doc.Documents[0].Class != "attested" || len(doc.Documents[0].Agree) != 3 || len(doc.Documents[0].Differ) != 0 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}
	code, out, errs = try(append(token, charterWith(t, `region: "region-1"`, `region: "region-7"`, `account: "account-1"`, `account: "account-9"`), "--operator", "bolt")...)
	want(t, "another account and region", code, codeUnverified, out+errs, "the charter says of bolt/main: account-9", "the charter says of bolt/main: region-7", "the charter says otherwise of bolt/main", "next: ")
	code, out, errs = try(append(token, folder, "--operator", "acme")...)
	want(t, "another operator", code, codeUnverified, out+errs, "names another node or place", "next: ")
	code, out, errs = try(append(token, charterWith(t, `(?s)(name: bolt.*?)name: main`, "${1}name: other"), "--operator", "bolt")...)
	want(t, "another place", code, codeUnverified, out+errs, "names another node or place")

	at := func(when string, more ...string) (int, string, string) {
		return try(append([]string{"control", "evidence", "--at", when}, more...)...)
	}
	code, out, errs = at("2026-11-27T12:30:00Z", document("recorded/aws-us-west-2.rsa2048"), document("recorded/aws-us-west-1.rsa2048"))
	want(t, "two recorded documents", code, codeDone, out+errs, "278576220453", "883474662888", "class     declared", "whoever saw it once can show it")
	code, out, errs = at("2022-04-01T00:00:00Z", document("recorded/aws-us-east-1.document"), "--signature", document("recorded/aws-us-east-1.signature"), "--roots", document("recorded/aws-2014.roots"))
	want(t, "a bare signature", code, codeDone, out+errs, "628783029487", "1024 bits")
	code, out, errs = at("2023-03-08T20:00:00Z", document("recorded/azure-usgovvirginia.json"), "--roots", document("recorded/azure-issuing-ca-05.pem"))
	want(t, "a recorded Azure document", code, codeDone, out+errs, "usgovvirginia", "class     declared")
	code, out, errs = at("2023-03-08T20:00:00Z", document("recorded/azure-usgovvirginia.json"))
	want(t, "its issuer is missing", code, codeUnverified, out+errs, "Microsoft Azure TLS Issuing CA 05", "--roots")
	code, out, errs = try(append(token[:5:5], "--at", "2026-11-27T13:30:00Z")...)
	want(t, "an expired token", code, codeUnverified, out+errs, "it expired at 2026-11-27T13:00:00Z")

	changed := filepath.Join(t.TempDir(), "changed")
	b, err := os.ReadFile(document("recorded/aws-us-east-1.document"))
	if err != nil {
		t.Fatal(err)
	}
	b[20]++
	if err := os.WriteFile(changed, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = at("2022-04-01T00:00:00Z", changed, "--signature", document("recorded/aws-us-east-1.signature"), "--roots", document("recorded/aws-2014.roots"))
	want(t, "a forged account", code, codeUnverified, out+errs, "the signature is wrong")
}

func TestControlEvidenceWanted(t *testing.T) {
	folder := charterWith(t)
	code, out, errs := try("control", "evidence", "--charter", folder, "--operator", "bolt")
	want(t, "what to ask for", code, codeDone, out+errs, "format=full&audience=urn:ostraka:evidence:lxxfrvaktrfujdjfjf226wfycam2wcsb'", "nonce=lxxfrvaktrfujdjfjf226wfycam2wcsb'", "rsa2048")
	code, out, _ = try("control", "evidence", "--charter", folder, "--operator", "bolt", "--json")
	want(t, "as JSON", code, codeDone, out, `"nonce": "lxxfrvaktrfujdjfjf226wfycam2wcsb"`, `"place": "main"`)
	for _, c := range []struct {
		code int
		want string
		args []string
	}{
		{codeUsage, "--operator NAME", nil},
		{codeUsage, "--operator NAME", []string{"--place", "main"}},
		{codeUsage, `"zoe" is not in the charter`, []string{"--charter", folder, "--operator", "zoe"}},
		{codeUsage, `no machine at a place "attic"; it has: main`, []string{"--charter", folder, "--operator", "bolt", "--place", "attic"}},
		{codeUsage, "is no time", []string{"x", "--at", "today"}},
		{codeUsage, "one FILE", []string{"x", "y", "--signature", "z"}},
		{codeUsage, "with --charter", []string{"--dir", folder}},
		{codeUsage, "with --keys FILE", []string{document("selfmade/gcp.token")}},
		{codeError, "no such file", []string{filepath.Join(folder, "none")}},
		{codeError, "no such file", []string{document("recorded/aws-us-west-2.rsa2048"), "--roots", filepath.Join(folder, "none")}},
		{codeError, "line 1: ", []string{document("recorded/aws-us-west-2.rsa2048"), "--roots", document("selfmade/gcp.token")}},
		{codeError, "keys: ", []string{document("selfmade/gcp.token"), "--keys", document("selfmade/gcp.token")}},
		{codeError, "charter init", []string{"--charter", t.TempDir(), "--operator", "bolt"}},
	} {
		code, out, errs := try(append([]string{"control", "evidence"}, c.args...)...)
		want(t, c.want, code, c.code, out+errs, c.want)
	}
}
