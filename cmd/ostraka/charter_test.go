package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// charterWith copies the example charter into a folder of its own, with replacements in both files.
func charterWith(t *testing.T, oldnew ...string) string {
	t.Helper()
	folder := alone(t)
	for _, name := range []string{charterFile, policyFile} {
		text, err := os.ReadFile(filepath.Join("testdata", "charter", name))
		if err != nil {
			t.Fatal(err)
		}
		changed := string(text)
		for i := 0; i < len(oldnew); i += 2 {
			changed = regexp.MustCompile(oldnew[i]).ReplaceAllString(changed, oldnew[i+1])
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func want(t *testing.T, what string, code, wantCode int, out string, parts ...string) {
	t.Helper()
	if code != wantCode {
		t.Errorf("%s: exit %d, want %d: %s", what, code, wantCode, out)
	}
	for _, p := range parts {
		if !strings.Contains(out, p) {
			t.Errorf("%s: %q is not in %s", what, p, out)
		}
	}
}

func TestCharterLint(t *testing.T) {
	code, out, errs := try("charter", "lint", charterWith(t))
	want(t, "default", code, codeDone, out+errs, "organisation  3      1     2 ", "spend, within policy: 3 persons", "no vault breaks a control rule")
	code, out, errs = try("charter", "lint", charterWith(t, `"ed25519:`, `"`))
	want(t, "identities as statements hold them", code, codeDone, out+errs)

	multichain := charterWith(t, `provider: ".*"`, `provider: "aws"`, `account: ".*"`, `account: "ceo"`, `access: \[.*\]`, `access: ["admin-acme"]`)
	code, out, errs = try("charter", "lint", multichain)
	want(t, "multichain", code, codeRefused, out+errs, "person        1 ", "steal/organisation: acme", "steal/account: aws/ceo reaches enough shares to sign alone", "steal/person: admin-acme", "next: ")
	code, out, _ = try("charter", "lint", multichain, "--json")
	var doc struct {
		Vaults []vaultReviewed `json:"vaults"`
	}
	if err := json.Unmarshal([]byte(out), &doc); err != nil || code != codeRefused || len(doc.Vaults) != 1 || len(doc.Vaults[0].Broken) != 4 || *doc.Vaults[0].Numbers[2].Steal.Size != 1 {
		t.Errorf("exit %d, %v: %s", code, err, out)
	}

	for _, c := range []struct{ old, new, want string }{
		{`threshold: 3`, `threshold: 03`, "plain decimal"},
		{`threshold: 3`, `threshold: 03`, "charter.yaml: line "},
		{`ed25519:`, `ed25519:zz`, "`ostraka node init`"},
		{`context.amount <= 50`, `context.amuont <= 50`, "amuont"},
		{`(?s)^// The treasury.*$`, `@id("x") permit(principal, action, resource);`, "permits every operation"},
		{`context.amount <= 50`, `context.amount <=`, "policy is not Cedar: line 11, column "},
		{`0x00000000000000000000000000000000000000A1`, `0x123`, "payee salaries"},
	} {
		code, out, errs = try("charter", "lint", charterWith(t, c.old, c.new))
		want(t, c.new, code, codeError, out+errs, c.want, "next: ")
	}
	code, _, errs = try("charter", "lint", "--dir", multichain)
	want(t, "another folder's option", code, codeUsage, errs, "without --dir")
	code, _, errs = try("charter", "lint", t.TempDir())
	want(t, "no charter", code, codeError, errs, "charter init")
}

func TestCharterInit(t *testing.T) {
	folder := filepath.Join(alone(t), "new")
	code, out, errs := try("charter", "init", folder, "--circle", "Acme")
	want(t, "init", code, codeDone, out+errs, "charter.yaml", "policy.cedar", "FILL IN")
	text, err := os.ReadFile(filepath.Join(folder, charterFile))
	if err != nil || !strings.Contains(string(text), `circle: "Acme"`) {
		t.Error(err)
	}
	code, _, errs = try("charter", "init", folder)
	want(t, "init again", code, codeError, errs, "is there already")
	code, _, errs = try("charter", "lint", folder)
	want(t, "not filled in", code, codeError, errs, "charter.yaml is not filled in yet: 39 lines say \"FILL IN\": 13, 14, 19, ", "next: ")
	if err := os.Remove(filepath.Join(folder, policyFile)); err != nil {
		t.Fatal(err)
	}
	filled := strings.ReplaceAll(string(text), fillIn, "filled in")
	if err := os.WriteFile(filepath.Join(folder, charterFile), []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	code, _, errs = try("charter", "lint", folder)
	want(t, "no policy", code, codeError, errs, "policy.cedar", "next: ")
}

func TestCharterDiff(t *testing.T) {
	was := charterWith(t)
	for _, c := range []struct{ old, new, want string }{
		{`quorum: 2`, `quorum: 3`, "stricter: vault treasury: quorum: 2 → 3\nstricter only"},
		{`total.week <= 20000`, `total.week <= 30000`, "looser: rule payroll: "},
		{`delay: 172800`, `delay: 86400`, "looser in part: once every operator has signed, it waits for 48h0m0s"},
		{`# before a new payee counts`, `# a day`, "nothing differs"},
		{`account: "account-1"`, `account: "account-9"`, "looser: operator bolt: place main: account: account-1 → account-9\nlooser in part"},
		{`(?s)\nvaults:\n(  - name: )treasury(.*)\n# Control`, "\nvaults:\n${1}treasury${2}${1}second${2}\n# Control", "looser: vault second: added tier warm, suites ecdsa-secp256k1, threshold 3, committee acme bolt cora, initiators finance, approvers finance security, quorum 2, organisations 1, initiator-approves no, user-verification no, chains eip155:1, expiry 24h0m0s, refresh-every 0s, publish no, witnesses 0, hold-release 0s, rescue operators 2, guardians 3, trigger below-threshold delay 72h0m0s, "},
		{`window: 259200`, `window: 172800`, "looser: vault treasury: rescue: window: 72h0m0s → 48h0m0s\nlooser in part: once every operator has signed, it waits for 336h0m0s\nNEW SHARES: once it is in force, the nodes make new shares of vault treasury by themselves"},
		{`person: holder-1`, `person: zoe`, "looser: guardian guardian-1: person: holder-1 → zoe\n"},
		{`unit: 15`, `unit: 12`, "looser: asset eth: on eip155:1, decimals 18, unit 15 → on eip155:1, decimals 18, unit 12\n"},
	} {
		code, out, errs := try("charter", "diff", was, charterWith(t, c.old, c.new))
		want(t, c.new, code, codeDone, out+errs, c.want)
	}
	code, out, _ := try("charter", "diff", was, charterWith(t, `quorum: 2`, `quorum: 1`), "--json")
	want(t, "as JSON", code, codeDone, out, `"looser": true`, `"what": "vault treasury: quorum"`)
	code, _, errs := try("charter", "diff", was)
	want(t, "one folder", code, codeUsage, errs, "OLD")
}

func TestControlCommands(t *testing.T) {
	folder := charterWith(t)
	code, out, errs := try("control", "number", folder, "--vault", "treasury")
	want(t, "number", code, codeDone, out+errs, "account       3      1     2     aws/account-0, cora/account-2, gcp/account-1")
	code, out, errs = try("control", "map", folder)
	want(t, "map", code, codeDone, out+errs, "acme/main  replica  acme (d)", "2 operators and 3 of 5 guardians")
	svg := filepath.Join(folder, "map.svg")
	code, out, errs = try("control", "map", folder, "--picture", "--svg", svg)
	want(t, "picture", code, codeDone, out+errs, "wrote "+svg, "gcp/account-1  · ● · │ · · · · ·")
	if image, err := os.ReadFile(svg); err != nil || !strings.HasPrefix(string(image), "<svg ") {
		t.Errorf("%v: %.40s", err, image)
	}
	code, _, errs = try("control", "map", folder, "--svg", svg)
	want(t, "written over", code, codeError, errs, "is there already")
	code, out, errs = try("control", "whatif", folder, "--lose", "organisation=acme")
	want(t, "one operator", code, codeNotReady, out+errs, "SOS brings it back, after its delay", "gone: acme")
	code, out, errs = try("control", "whatif", folder, "--lose", "organisation=acme", "--lose", "region=gcp/region-1", "--json")
	want(t, "two", code, codeNotReady, out+errs, `"lost": true`)
	code, out, errs = try("control", "whatif", folder, "--lose", "person=guardian-0")
	want(t, "nobody", code, codeDone, out+errs, "signs on", "note: person guardian-0 reaches nothing")
	for _, args := range [][]string{{"--lose", "planet=earth"}, {"--lose", "region"}, {}} {
		code, _, errs = try(append([]string{"control", "whatif", folder}, args...)...)
		want(t, strings.Join(args, " "), code, codeUsage, errs, "KIND=NAME")
	}
	code, _, errs = try("control", "number", folder, "--vault", "tresury")
	want(t, "another vault", code, codeUsage, errs, "not in the charter; it has: treasury")
}

const someCases = `
cases:
  - name: salaries
    vault: treasury
    initiator: alice
    approvals: [bob]
    at: "2026-11-27T10:00:00Z"
    effects: [{ operation: token, asset: usdc, to: salaries, amount: 20000 }]
    expect: allow
    rule: payroll
  - name: too much
    vault: treasury
    initiator: alice
    approvals: [bob]
    at: "2026-11-27T10:00:00Z"
    effects: [{ operation: token, asset: usdc, to: salaries, amount: 20001 }]
    expect: wait
`

func TestPolicyCommands(t *testing.T) {
	folder := charterWith(t)
	file := filepath.Join(folder, "cases.yaml")
	write := func(text string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(someCases)
	code, out, errs := try("policy", "test", folder, "-f", file)
	want(t, "cases", code, codeDone, out+errs, "ok    salaries: allow by payroll\n      beside the policy: the vault's quorum needs 1 more", "missing: 1 of security")
	write(strings.ReplaceAll(someCases, "[bob]", "[bob, carol]"))
	if code, out, _ = try("policy", "test", folder, "-f", file, "--json"); strings.Contains(out, `"quorum_missing": 1`) || !strings.Contains(out, `"quorum_missing": 0`) {
		t.Errorf("two approvals are a quorum of 2: exit %d, %s", code, out)
	}
	write(strings.ReplaceAll(someCases, "asset: usdc", "asset: usdx"))
	code, _, errs = try("policy", "test", folder, "-f", file)
	want(t, "a case of no asset", code, codeError, errs, "cases.yaml", `case "salaries"`, `case "too much"`, "usdx", "next: ")
	code, _, errs = try("policy", "test", folder, "-f", file+"x")
	want(t, "no such file", code, codeError, errs, "next: ")
	write(strings.Replace(someCases, "amount: 20000", "amount: 20001", 1))
	code, out, errs = try("policy", "test", folder, "-f", file)
	want(t, "a case fails", code, codeUnverified, out+errs, "FAIL  salaries", "1 of 2 cases fail")
	code, out, _ = try("policy", "test", folder, "-f", file, "--json")
	want(t, "as JSON", code, codeUnverified, out, `"failed": 1`)
	write("cases: []")
	code, _, errs = try("policy", "test", folder, "-f", file)
	want(t, "no case", code, codeError, errs, "tests nothing")
	code, _, errs = try("policy", "test", folder)
	want(t, "no file", code, codeUsage, errs, "-f CASES")
	code, out, errs = try("policy", "schema", folder)
	want(t, "schema", code, codeDone, out+errs, `entity Label enum ["none", "payroll"];`, "approvals: Approvals,")
}

// The cases that docs/policy.md and --help show are run as they stand there.
func TestShownCases(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "policy.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(page), "```yaml\n")
	shown, _, found := strings.Cut(rest, "```")
	help, _, ends := strings.Cut(caseExample, "\n\n")
	if !found || !ends {
		t.Fatal("the page or the help shows no cases")
	}
	folder := charterWith(t)
	for _, c := range []struct {
		text, want string
		cases      int
	}{{shown, "ok    nobody gets an allowance: deny by default", 4}, {regexp.MustCompile(`(?m)^  `).ReplaceAllString(help, ""), "ok    salaries: allow by fee,payroll", 1}} {
		file := filepath.Join(t.TempDir(), "cases.yaml")
		if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		code, out, errs := try("policy", "test", folder, "-f", file)
		want(t, "shown", code, codeDone, out+errs, c.want)
		if n := strings.Count(out, "ok  "); n != c.cases {
			t.Errorf("%d cases, want %d: %s", n, c.cases, out)
		}
	}
}
