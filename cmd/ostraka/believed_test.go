package main

import (
	"crypto/ed25519"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// shelved copies files into a folder of evidence: name in it → the file's content.
func shelved(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A token of Google's for one of three nodes raises its provider, account and region in the map; the numbers as attested stay 1 until those of
// all three are.
func TestControlEvidenceCounts(t *testing.T) {
	folder := charterWith(t)
	token, keys := content(t, document("selfmade/gcp.token")), content(t, document("selfmade/gcp.keys"))
	shelf := shelved(t, map[string]string{"bolt/main/gcp.token": token, "keys": keys})
	at := []string{"--at", "2026-11-27T12:30:00Z", "--evidence"}
	code, out, errs := try(append([]string{"control", "map", folder}, append(at, shelf)...)...)
	want(t, "the map", code, codeDone, out+errs, "gcp/account-1 (a)", "gcp/region-1 (a)", "(d)")
	code, out, errs = try("control", "map", folder)
	if code != codeDone || strings.Contains(out, "(a)") {
		t.Errorf("without evidence: exit %d: %s%s", code, out, errs)
	}
	code, out, errs = try(append([]string{"control", "number", folder}, append(at, shelf)...)...)
	want(t, "the numbers", code, codeDone, out+errs, "as attested")
	code, out, _ = try(append([]string{"control", "number", folder, "--json"}, append(at, shelf)...)...)
	var doc struct{ Vaults []vaultReviewed }
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != codeDone {
		t.Fatalf("exit %d, %v: %s", code, err, out)
	}
	for _, n := range doc.Vaults[0].Numbers {
		if n.Kind == "organisation" {
			if n.Attested != nil {
				t.Errorf("evidence of a place is counted for organisations: %+v", n.Attested)
			}
			continue
		}
		size := map[string]int{"account": 1, "provider": 1, "region": 1}[n.Kind]
		if size == 0 {
			size = 1
		}
		if n.Attested == nil || n.Attested.Size == nil || *n.Attested.Size != size {
			t.Errorf("%s: as attested %+v, want %d", n.Kind, n.Attested, size)
		}
	}
	code, out, errs = try(append([]string{"control", "number", charterWith(t, `region: "region-1"`, `region: "region-7"`)}, append(at, shelf)...)...)
	want(t, "drift", code, codeUnverified, out+errs, "says otherwise than the charter of bolt/main: region (seen: region-1; the charter says: region-7)", "next: ")
	for name, c := range map[string]struct {
		files map[string]string
		code  int
		want  string
	}{
		"of another node":   {map[string]string{"acme/main/gcp.token": token, "keys": keys}, codeUnverified, "names another node or place"},
		"of nobody":         {map[string]string{"zeta/main/gcp.token": token}, codeUsage, "no place main of operator zeta"},
		"of no place":       {map[string]string{"bolt/attic/gcp.token": token}, codeUsage, "no place attic of operator bolt"},
		"elsewhere":         {map[string]string{"gcp.token": token}, codeUsage, "DIR/OPERATOR/PLACE/FILE"},
		"keys of its own":   {map[string]string{"bolt/main/gcp.token": token, "bolt/main/keys": keys}, codeUnverified, "keys of its day are needed"},
		"without its keys":  {map[string]string{"bolt/main/gcp.token": token}, codeUnverified, "keys of its day are needed"},
		"no such document":  {map[string]string{"bolt/main/x": "hello"}, codeUnverified, "bolt/main/x"},
		"damaged":           {map[string]string{"bolt/main/gcp.token": token[:len(token)-2] + "AA", "keys": keys}, codeUnverified, "gcp.token"},
		"a broken sighting": {map[string]string{"bolt/main/s": "ostraka/1 sighting\nwitness: x\n"}, codeUnverified, "no signature"},
	} {
		code, out, errs := try(append([]string{"control", "number", folder}, append(at, shelved(t, c.files))...)...)
		want(t, name, code, c.code, out+errs, c.want)
	}
	// Amazon's document names no node: that it is of this one, the operator says.
	unnamed := shelved(t, map[string]string{"acme/main/aws.rsa2048": content(t, document("recorded/aws-us-west-2.rsa2048"))})
	code, out, errs = try(append([]string{"control", "map", charterWith(t, `account: "account-0"`, `account: "278576220453"`, `region: "region-0"`, `region: "us-west-2"`)}, append(at, unnamed)...)...)
	want(t, "a document that names no node", code, codeDone, out+errs, "aws/278576220453 (d)")
	code, out, errs = try("control", "number", folder, "--sighters", "x")
	want(t, "sighters of nothing", code, codeUsage, out+errs, "belong to --evidence")
}

// An auditor signs what it saw; who trusts it counts that, and nobody else does.
func TestControlSighting(t *testing.T) {
	folder := charterWith(t)
	key := keyFile(t, "audra")
	public := strings.TrimSpace(content(t, key+".pub"))
	file := filepath.Join(t.TempDir(), "bolt.sighting")
	by := []string{"--key", key, "control", "sighting", "--charter", folder, "--operator", "bolt", "--sighter", "audra", "--entity", "Auditors LLP", "--saw", "the rack"}
	code, out, errs := try(append(by, "--seen", "provider", "--seen", "account", "--seen", "hardware", "--seen", "access", "--document", file+".none")...)
	want(t, "no such document", code, codeError, out+errs, "no such file")
	code, out, errs = try(append(by, "--seen", "provider", "--seen", "account", "--seen", "hardware", "--seen", "access", "--out", file)...)
	want(t, "signed", code, codeDone, out+errs, "wrote ", "witness: audra", "hardware: ")
	shelf := shelved(t, map[string]string{"bolt/main/audra": content(t, file)})
	sighters := filepath.Join(shelved(t, map[string]string{"w": "# whom we trust\n\naudra " + public + "\n"}), "w")
	code, out, errs = try("control", "map", folder, "--evidence", shelf, "--sighters", sighters)
	want(t, "the map", code, codeDone, out+errs, "gcp/account-1 (a)", "gcp/region-1 (d)")
	if got := strings.Count(out, "(a)"); got != 4 {
		t.Errorf("%d claims are attested, not 4: %s", got, out)
	}
	code, out, errs = try("control", "map", folder, "--evidence", shelf)
	want(t, "nobody trusts the sighter", code, codeUnverified, out+errs, "not listed")
	code, out, errs = try("control", "map", charterWith(t, `account: "account-1"`, `account: "account-9"`), "--evidence", shelf, "--sighters", sighters)
	want(t, "drift", code, codeUnverified, out+errs, "says otherwise than the charter of bolt/main: account (seen: account-1; the charter says: account-9)")
	moved := shelved(t, map[string]string{"acme/main/audra": content(t, file)})
	code, out, errs = try("control", "map", folder, "--evidence", moved, "--sighters", sighters)
	want(t, "under another's name", code, codeUnverified, out+errs, "it is of bolt/main")
	code, out, errs = try("control", "map", folder, "--evidence", shelf, "--sighters", sighters, "--at", "2036-01-01T00:00:00Z")
	want(t, "after its time", code, codeUnverified, out+errs, "have it looked at again")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"says nothing of the place", nil},
		{"the fields are", []string{"--seen", "colour"}},
		{"expires must be after created", []string{"--seen", "provider", "--days", "401"}},
		{"name it", []string{"--seen", "account=1"}},
	} {
		code, out, errs := try(append(by, c.args...)...)
		want(t, c.want, code, codeUsage, out+errs, c.want)
	}
	bad := filepath.Join(shelved(t, map[string]string{"w": "audra ssh-ed25519 nonsense\n"}), "w")
	code, out, errs = try("control", "map", folder, "--evidence", shelf, "--sighters", bad)
	want(t, "sighters that are none", code, codeUsage, out+errs, "line 1", "NAME KEY")
}

// keyFile writes an SSH key pair, and gives the private file's path.
func keyFile(t *testing.T, name string) string {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, name)
	if err != nil {
		t.Fatal(err)
	}
	line, err := ssh.NewPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	dir := shelved(t, map[string]string{name: string(pem.EncodeToMemory(block)), name + ".pub": string(ssh.MarshalAuthorizedKey(line))})
	return filepath.Join(dir, name)
}
