package disclosure_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/console/disclosure"
	"github.com/ostraka/ostraka/console/verdict"
	"github.com/ostraka/ostraka/console/wasm"
	"github.com/ostraka/ostraka/evidence/verify"
)

var (
	noon  = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	stub  = wasm.Program{Packed: []byte("program"), Runtime: []byte("runtime")}
	files = []string{"disclosure.json", "index.html", "page.css", "page.js", "report.json", "verify.wasm.gz", "wasm_exec.js", "worker.js"}
)

func named(names ...string) (b verify.Bundle) {
	b = verify.Bundle{Format: 1, Circle: "example", Made: noon}
	for _, n := range names {
		b.Logs = append(b.Logs, verify.BundleLog{Operator: n, Path: "logs/" + n})
	}
	return b
}

// filled puts a text into every text of a report, and something into every list.
func filled(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type() != reflect.TypeFor[time.Time]() && v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "Lagging" {
				filled(v.Field(i), text)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		filled(v.Index(0), text)
		filled(v.Index(1), text)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		filled(v.Elem(), text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(3)
	}
}

const hostile = `"'><script src=https://evil.example/x.js></script><img src=x onerror=alert(1)>` + "`{{.}}" + `</title></pre><b>`

// Whatever a log says, the page shows it as text, and loads nothing because of it.
func TestHostileTextStaysText(t *testing.T) {
	for _, left := range []bool{false, true} {
		r := new(verify.Report)
		filled(reflect.ValueOf(r).Elem(), hostile)
		for i := range r.Operators {
			r.Operators[i].Left = left
		}
		for i := range r.Vaults {
			for j := range r.Vaults[i].Frozen {
				r.Vaults[i].Frozen[j].Ended = left
			}
			r.Vaults[i].Published = left
		}
		got, err := disclosure.Files(r, named("acme"), stub)
		if err != nil {
			t.Fatal(err)
		}
		page := string(got["index.html"])
		if n := strings.Count(page, "&lt;script src=https://evil.example/x.js&gt;"); n < 20 {
			t.Errorf("only %d hostile texts stand in the page", n)
		}
		own := regexp.MustCompile(`<(script|img|b|/title|/pre)\b`)
		for _, m := range own.FindAllStringIndex(page, -1) {
			if strings.HasPrefix(page[m[0]:], "<script src=https") || strings.HasPrefix(page[m[0]:], "<img") {
				t.Errorf("markup from a log: %.120s", page[m[0]:])
			}
		}
		if n := strings.Count(page, "<script"); n != 1 {
			t.Errorf("%d scripts, not 1", n)
		}
		if strings.Count(page, "</title>") != 1 {
			t.Error("the title ends early")
		}
	}
}

var (
	linked = regexp.MustCompile(`(?:href|src)="([^"]*)"`)
	idents = regexp.MustCompile(`\sid="([^"]+)"`)
)

// The page loads its own files alone, allows no other, and every link in it leads somewhere.
func TestPageStandsAlone(t *testing.T) {
	r := report(30)
	got, err := disclosure.Files(r, named("acme", "bolt"), stub)
	if err != nil {
		t.Fatal(err)
	}
	if names := slices.Sorted(maps.Keys(got)); !slices.Equal(names, files) {
		t.Errorf("%q", names)
	}
	page := string(got["index.html"])
	var ids []string
	for _, m := range idents.FindAllStringSubmatch(page, -1) {
		if slices.Contains(ids, m[1]) {
			t.Errorf("id %s stands twice", m[1])
		}
		ids = append(ids, m[1])
	}
	for _, m := range linked.FindAllStringSubmatch(page, -1) {
		anchor, within := strings.CutPrefix(m[1], "#")
		if within && !slices.Contains(ids, anchor) || !within && m[1] != "data:," && got[m[1]] == nil {
			t.Errorf("a link to %q, which is not there", m[1])
		}
	}
	for name, content := range got {
		if strings.HasSuffix(name, ".json") {
			continue
		}
		if m := regexp.MustCompile(`(?:https?:)?//[a-z0-9-]+\.[a-z]`).Find(content); m != nil {
			t.Errorf("%s names another site: %s", name, m)
		}
		if m := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\sstyle="|\son[a-z]+="`).Find(content); m != nil {
			t.Errorf("%s has %s: the page writes text alone", name, m)
		}
	}
	for _, want := range []string{"default-src &#39;none&#39;", "script-src &#39;self&#39;", "require-trusted-types-for &#39;script&#39;", `lang="en"`, `role="status"`, "<main>", "<nav ", "<noscript>"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	if strings.Index(page, "Content-Security-Policy") > strings.Index(page, "page.js") {
		t.Error("the policy comes after what it is for")
	}
}

// report is a good one, with this many requests.
func report(requests int) *verify.Report {
	r := &verify.Report{
		Time: noon, Circle: "example", Entries: 1234,
		Operators: []verify.Operator{{Name: "acme", Entity: "Acme GmbH", LastSeen: noon}, {Name: "bolt", Entity: "Bolt SA", LastSeen: noon}, {Name: "gone", Left: true}},
		Vaults:    []verify.Vault{{Name: "treasury", Threshold: 2, Committee: []string{"acme", "bolt"}, Keys: []verify.Key{{Suite: "ecdsa-secp256k1"}}, Control: []verify.Figure{{Kind: "organisation", Steal: 2, Halt: 1, Lose: 1}, {Kind: "hardware", Steal: 1}}}},
		Claims:    []verify.Claim{{Subject: "vault treasury", Claim: verify.NoPlan, Class: verify.Declared}},
	}
	for i := range r.Operators {
		r.Operators[i].Places = []verify.Place{{Level: "replica", Provider: "cloud", Account: fmt.Sprint("a", i), Access: []string{"sam"}, Class: verify.Declared}}
	}
	for i := range requests {
		q := verify.Request{Created: noon.Add(time.Duration(i) * time.Minute), What: fmt.Sprintf("transfer %d.", i)}
		if i%3 == 0 {
			q.Signed = "00"
		} else if i%3 == 1 {
			q.Decisions = []verify.Decision{{Operator: "acme", Verdict: "deny", Rule: "limit"}, {Operator: "bolt", Verdict: "deny", Rule: "limit"}}
		}
		r.Vaults[0].Requests = append(r.Vaults[0].Requests, q)
	}
	return r
}

// Without a script the page says what the publisher found, and that it is the publisher's word.
func TestWithoutScript(t *testing.T) {
	got, err := disclosure.Files(report(700), named("acme", "bolt"), stub)
	if err != nil {
		t.Fatal(err)
	}
	page := string(got["index.html"])
	for _, want := range []string{
		"All is well", "As the publisher found it", "has no rescue plan", "480 earlier", "200 more stand in", "Organisation", "nobody can",
		"Provider <b>cloud</b>: acme, bolt", "Person <b>sam</b>: acme, bolt", "acme, bolt: deny (limit)", "○ Declared", verify.NoPlan,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	latest, first := strings.Index(page, "transfer 699."), strings.Index(page, "transfer 690.")
	if latest < 0 || first < latest || strings.Contains(page, "transfer 199.") || !strings.Contains(page, "transfer 200.") {
		t.Error("requests do not stand in their order, the latest first and 500 at most")
	}
	if strings.Contains(page, "<b>gone</b>") {
		t.Error("an operator that left is among those that were seen")
	}
}

// Of each place the page says what others bear out and as of when, and beside the numbers what is left of them; without evidence it has no such column.
func TestPlacesAndTheirClasses(t *testing.T) {
	page := func(r *verify.Report) string {
		t.Helper()
		got, err := disclosure.Files(r, named("acme", "bolt"), stub)
		if err != nil {
			t.Fatal(err)
		}
		return string(got["index.html"])
	}
	r := report(1)
	for i := range r.Operators {
		r.Operators[i].Places[0].Name, r.Operators[i].Places[0].Jurisdiction = "main", "de"
	}
	if plain := page(r); strings.Contains(plain, "as attested") || strings.Contains(plain, `aria-label="attested"`) || !strings.Contains(plain, "○ Declared</span> provider, account, country, who can reach it") {
		t.Error("without evidence the page speaks of what is attested, or not of what is declared")
	}
	none, two := 0, 2
	r.Operators[0].Places[0].Attested = []verify.Borne{{Field: "provider", By: "Google Cloud", AsOf: noon}, {Field: "account", By: "Google Cloud", AsOf: noon}, {Field: "jurisdiction", By: "audra <b>of</b> LLP", AsOf: noon}}
	r.Vaults[0].Control = append(r.Vaults[0].Control, verify.Figure{Kind: "provider", Steal: 3, Attested: &two}, verify.Figure{Kind: "region", Steal: 3, Attested: &none})
	shown := page(r)
	for _, want := range []string{
		`<th scope="col">as attested</th>`, `<td>3</td><td>2</td>`, `<td>3</td><td>nobody can</td>`, `<td>2</td><td>–</td>`, "◆ Attested</span> provider, account: Google Cloud, as of 27 November 2026",
		"◆ Attested</span> country: audra &lt;b&gt;of&lt;/b&gt; LLP", "○ Declared</span> who can reach it", `<span role="img" aria-label="attested">◆</span>`,
	} {
		if !strings.Contains(shown, want) {
			t.Errorf("the page has no %q", want)
		}
	}
}

// The page says which vaults the chain itself protects, and which it does not.
func TestWhatChainsEnforce(t *testing.T) {
	page := func(r *verify.Report) string {
		t.Helper()
		got, err := disclosure.Files(r, named("acme", "bolt"), stub)
		if err != nil {
			t.Fatal(err)
		}
		return string(got["index.html"])
	}
	const none, bare, what = "No chain protects a vault of this circle", "<p>No chain protects treasury:", "What the chain itself enforces"
	r := report(1)
	if p := page(r); !strings.Contains(p, none) || strings.Contains(p, bare) {
		t.Error("without a protected vault the page does not say that none is")
	}
	leaf := verify.Protection{Chain: "bip122:000000000019d6689c085ae165831e93", Of: "each coin of its Taproot addresses", Key: strings.Repeat("ab", 32), After: "144 blocks without a move", Class: verify.Proved}
	r.Vaults = append(r.Vaults, verify.Vault{Name: "deep", Protected: []verify.Protection{leaf}})
	p := page(r)
	for _, want := range []string{what, bare, `<td data-label="Vault">deep</td><td data-label="Covers">each coin of its Taproot addresses</td>`, "144 blocks without a move", leaf.Key, leaf.Chain, `data-label="Known as"><span class="class" data-class="proved">`} {
		if !strings.Contains(p, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if r.Vaults[0].Protected = r.Vaults[1].Protected; strings.Contains(page(r), "No chain protects") {
		t.Error("all are protected, and the page names one that is not")
	}
	if r.Vaults = nil; strings.Contains(page(r), what) {
		t.Error("without a vault there is nothing to enforce")
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "public")
	if err := disclosure.Write(dir, report(1), named("acme"), stub); err != nil {
		t.Fatal(err)
	}
	want, err := disclosure.Files(report(1), named("acme"), stub)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range want {
		got, err := os.ReadFile(filepath.Join(dir, name))
		info, statErr := os.Stat(filepath.Join(dir, name))
		if err != nil || statErr != nil || !bytes.Equal(got, content) || info.Mode().Perm() != 0o644 {
			t.Errorf("%s: %v, %v", name, err, statErr)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != len(want) {
		t.Errorf("%d files, not %d: something is left behind", len(entries), len(want))
	}
	var r verify.Report
	if err := json.Unmarshal(want["report.json"], &r); err != nil || !reflect.DeepEqual(verdict.Of(&r), verdict.Of(report(1))) || len(verdict.Differences(&r, report(1), nil)) > 0 {
		t.Errorf("report.json is another report: %v", err)
	}
	if b, err := verify.ParseBundle(want["disclosure.json"]); err != nil || len(b.Logs) != 1 {
		t.Errorf("%+v, %v", b, err)
	}
	if text := string(want[disclosure.PathPage]); !strings.Contains(text, "compared with any chain: this page cannot. <code>ostraka verify URL --rpc CHAIN=URL</code> does") {
		t.Error("the page does not say that no chain was asked")
	}
	for _, dir := range []string{t.TempDir(), dir} { // new, and where a verifier was
		if err := disclosure.Write(dir, report(1), named("acme"), wasm.Program{}); err != nil {
			t.Fatalf("without a verifier: %v", err)
		}
		text, err := os.ReadFile(filepath.Join(dir, disclosure.PathPage))
		if err != nil || !strings.Contains(string(text), "this page checks nothing") || strings.Contains(string(text), "<script") || strings.Contains(string(text), "verify.wasm.gz") || !strings.Contains(string(text), "As the publisher found it") {
			t.Errorf("a page without a verifier: %v", err)
		}
	}
	if err := disclosure.Write(dir, report(1), named(), stub); err == nil {
		t.Error("a list that no visitor can read is written")
	}
	if err := disclosure.Write(filepath.Join(dir, "page.css", "x"), report(1), named("acme"), stub); err == nil {
		t.Error("it is written into a file")
	}
}
