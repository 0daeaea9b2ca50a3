package hardware

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/evidence/attest"
	"github.com/ostraka/ostraka/evidence/attest/sevsnp"
	"github.com/ostraka/ostraka/evidence/attest/tdx"
	"github.com/ostraka/ostraka/evidence/attest/tpm"
)

var update = flag.Bool("update", false, "write the reports in testdata anew")

// The node and the nonce of the evidence in testdata.
var (
	identity = ed25519.PublicKey(bytes.Repeat([]byte{0x1d}, 32))
	nonce    = [32]byte(bytes.Repeat([]byte{0x70}, 32))
	now      = time.Date(2026, 11, 28, 16, 0, 0, 0, time.UTC)
)

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// evidence is that of one kind, and what it is judged by.
func evidence(t testing.TB, kind Kind) ([]byte, Want) {
	t.Helper()
	roots, err := ReadRoots(file(t, string(kind)+".root"))
	if err != nil {
		t.Fatal(err)
	}
	return file(t, string(kind)+".evidence"), Want{Binding: Binding(identity, nonce), Now: now, Roots: Roots{TPM: roots, SNP: roots, TDX: roots, Nitro: roots}}
}

func TestBinding(t *testing.T) {
	const want = "9370deb69e5f965b369b71351a893b41fe5247b6da3bc049ef0835253d13d6fc"
	b := Binding(identity, nonce)
	if got := hex.EncodeToString(b[:]); got != want {
		t.Errorf("%s, not %s: evidence of released nodes would be refused", got, want)
	}
	other, later := bytes.Clone(identity), nonce
	other[31]++
	later[0]++
	if Binding(other, nonce) == b || Binding(identity, later) == b {
		t.Error("two nodes or nonces have one binding")
	}
}

// Each kind's report has one text.
func TestReports(t *testing.T) {
	for _, kind := range kinds {
		b, want := evidence(t, kind)
		if got, err := KindOf(b); err != nil || got != kind {
			t.Errorf("%s is of kind %q, %v", kind, got, err)
		}
		r, err := Verify(b, want)
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if err := CheckMeasurement(r.Measurement); err != nil {
			t.Errorf("%s: no charter could list it: %v", kind, err)
		}
		if r.Shown != (kind != TPM) || r.Device == "" || r.Expires.IsZero() {
			t.Errorf("%+v", r)
		}
		name := "report-" + string(kind) + ".txt"
		if *update {
			if err := os.WriteFile("testdata/"+name, []byte(r.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if text := file(t, name); r.String() != string(text) {
			t.Errorf("%s: the report says\n%s\nnot\n%s", kind, r, text)
		}
	}
}

// Another node's evidence, and this node's for another nonce, are refused in every kind; so is what another root signed, and what is too old.
func TestRefusals(t *testing.T) {
	for _, kind := range kinds {
		b, want := evidence(t, kind)
		other := bytes.Clone(identity)
		other[0]++
		later := nonce
		later[31]++
		for name, c := range map[string]struct {
			change func(*Want)
			want   string
		}{
			"another node":     {func(w *Want) { w.Binding = Binding(other, nonce) }, "not of this node and this nonce"},
			"replayed":         {func(w *Want) { w.Binding = Binding(identity, later) }, "not of this node and this nonce"},
			"no binding":       {func(w *Want) { w.Binding = [32]byte{} }, "no binding was given"},
			"years later":      {func(w *Want) { w.Now = now.AddDate(9000, 0, 0) }, "expired"},
			"years earlier":    {func(w *Want) { w.Now = now.AddDate(-9, 0, 0) }, "expired or is not yet valid"},
			"no time":          {func(w *Want) { w.Now = time.Time{} }, "no time was given"},
			"no root":          {func(w *Want) { w.Roots = Roots{} }, "there is no root to judge it by"},
			"the makers' root": {func(w *Want) { w.Roots = pinned(t); w.Roots.TPM = w.Roots.SNP }, "unknown authority"},
		} {
			w := want
			c.change(&w)
			_, err := Verify(b, w)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), string(kind)) {
				t.Errorf("%s, %s: %v", kind, name, err)
			}
			var unknown *attest.UnknownError
			if errors.As(err, &unknown) != (name == "no root") {
				t.Errorf("%s, %s: refused and not judged are one: %v", kind, name, err)
			}
		}
	}
}

func pinned(t testing.TB) Roots {
	t.Helper()
	r, err := Pinned()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// What a reader holds and asks for reaches each kind's judge.
func TestWants(t *testing.T) {
	snp, want := evidence(t, SNP)
	want.Floor.SNP = sevsnp.TCB{Microcode: 255}
	if _, err := Verify(snp, want); err == nil || !strings.Contains(err.Error(), "is below what is asked for") {
		t.Error(err)
	}
	want.Floor, want.Collateral.SNP = Floor{}, [][]byte{{1}}
	if _, err := Verify(snp, want); err == nil || !strings.Contains(err.Error(), "list of withdrawn certificates") {
		t.Error(err)
	}
	guest, want := evidence(t, TDX)
	want.Floor.TDX = []string{"Revoked"}
	if _, err := Verify(guest, want); err == nil || !strings.Contains(err.Error(), "cannot be borne") {
		t.Error(err)
	}
	want.Floor, want.Collateral.TDX = Floor{}, []*tdx.Collateral{{}}
	if _, err := Verify(guest, want); err == nil || !strings.Contains(err.Error(), "this reader's own collateral: collateral signer's certificate: is missing") {
		t.Error(err)
	}
	carried, err := tdx.Decode(guest)
	if err != nil {
		t.Fatal(err)
	}
	want.Collateral.TDX = []*tdx.Collateral{&carried.Collateral}
	if r, err := Verify(guest, want); err != nil || len(r.Notes) != 0 {
		t.Errorf("the reader's own word judged, and the report says %q, %v", r.Notes, err)
	}
	// What the evidence carries must hold by the reader's clock, whatever the reader holds: who judges it again has that alone.
	bare := *carried
	bare.Collateral = tdx.Collateral{}
	if _, err := Verify(bare.Encode(), want); err == nil || !strings.Contains(err.Error(), "collateral signer's certificate: is missing") || strings.Contains(err.Error(), "own") {
		t.Error(err)
	}
	want.Now = time.Date(2026, 12, 20, 0, 0, 0, 0, time.UTC)
	var unknown *attest.UnknownError
	if _, err := Verify(guest, want); err == nil || !strings.Contains(err.Error(), "is stale since") || errors.As(err, &unknown) {
		t.Errorf("stale collateral of who shows it: %v", err)
	}
	machine, want := evidence(t, TPM)
	e, err := tpm.Decode(machine)
	if err != nil {
		t.Fatal(err)
	}
	without := *e
	without.Chain = nil
	if _, err := Verify(without.Encode(), want); err == nil || !strings.Contains(err.Error(), "unknown authority") {
		t.Errorf("a certificate whose issuer nobody has: %v", err)
	}
	given := want
	var file bytes.Buffer
	for _, der := range append(e.Chain, want.Roots.TPM[0].Raw) {
		if err := pem.Encode(&file, &pem.Block{Type: "CERTIFICATE", Bytes: der}); err != nil {
			t.Fatal(err)
		}
	}
	if given.Roots.TPM, given.Roots.Between, err = ReadAuthorities(file.Bytes()); err != nil || len(given.Roots.TPM) != 1 || len(given.Roots.Between) != 1 {
		t.Fatalf("%+v, %v", given.Roots, err)
	}
	if _, err := Verify(without.Encode(), given); err != nil {
		t.Error(err)
	}
	given.Roots.TPM = pinned(t).SNP
	if _, err := Verify(without.Encode(), given); err == nil {
		t.Error("what stands between is believed without a root")
	}
	activated := tpm.Activate(e)
	want.Activated = &activated
	if r, err := Verify(machine, want); err != nil || !r.Shown || len(r.Notes) != 0 {
		t.Errorf("%+v, %v", r, err)
	}
	activated.AK[0]++
	if _, err := Verify(machine, want); err == nil || !strings.Contains(err.Error(), "another pair of keys") {
		t.Error(err)
	}
}

func TestKindOf(t *testing.T) {
	b, _ := evidence(t, SNP)
	for name, c := range map[string]struct {
		b    []byte
		want string
	}{
		"nothing":   {nil, "field 1: ends too early"},
		"new kind":  {bytes.Replace(b, []byte("sev-snp"), []byte("sev-snq"), 1), `kind "sev-snq" is not known`},
		"long kind": {append([]byte{0, 1, 0, 0, 0, 33}, make([]byte, 33)...), "field 1: has 33 bytes"},
		"too large": {make([]byte, MaxEvidence+1), "65537 bytes, at most 65536"},
	} {
		if _, err := KindOf(c.b); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := Verify(c.b, Want{Now: now}); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := Verify(append(bytes.Clone(b), 0), Want{Binding: Binding(identity, nonce), Now: now}); err == nil || !strings.Contains(err.Error(), "1 bytes too many") {
		t.Error(err)
	}
}

func TestMeasurements(t *testing.T) {
	d := func(n int) string { return strings.Repeat("0a", n/2) }
	for _, text := range []string{"sev-snp:" + d(96), "nitro:" + d(96), "tdx:" + d(96) + ":" + d(96), "tpm2:0:" + d(64), "tpm2:0,2,4,7,23:" + d(64)} {
		if err := CheckMeasurement(text); err != nil {
			t.Error(err)
		}
	}
	for _, text := range []string{
		"", "sev-snp", "sev-snp:", "SEV-SNP:" + d(96), "sev-snp:" + strings.ToUpper(d(96)), "sev-snp:" + d(94), "sev-snp:" + d(96) + ":" + d(96), "sev-snp: " + d(96), "sev-snp:" + d(96) + " ",
		"nitro:" + d(64), "tdx:" + d(96), "tdx:" + d(96) + ":" + d(64), "tpm2:" + d(64), "tpm2::" + d(64), "tpm2:7,0:" + d(64), "tpm2:0,0:" + d(64), "tpm2:24:" + d(64), "tpm2:-1:" + d(64),
		"tpm2:00:" + d(64), "tpm2:0,:" + d(64), "tpm2:0 :" + d(64), "tpm2:0:" + d(96), "sgx:" + d(64),
	} {
		if CheckMeasurement(text) == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// The roots that the program carries are those of roots/SOURCES.md.
func TestPinnedRoots(t *testing.T) {
	r := pinned(t)
	var got []string
	for _, c := range append(append(append([]*x509.Certificate{}, r.SNP...), r.TDX...), r.Nitro...) {
		got = append(got, fmt.Sprintf("%s %x", c.Subject.CommonName, sha256.Sum256(c.Raw)))
	}
	want := []string{
		"ARK-Milan 69d063b45344d26a2e94e1f4210de49ef555308287d4c174445c95639a540bcd",
		"ARK-Genoa 4c6598d19c18719c5dfd4a7d335f674e5bfe1d8f800cea2cf270c10d103db2f1",
		"ARK-Turin 1f084161a44bb6d93778a904877d4819cafa5d05ef4193b2ded9dd9c73dd3f6a",
		"Intel SGX Root CA 44a0196b2b99f889b8e149e95b807a350e7424964399e885a7cbb8ccfab674d3",
		"aws.nitro-enclaves 641a0321a3e244efe456463195d606317ed7cdcc3c1756e09893f3c68f79bb5b",
	}
	if len(r.TPM) != 0 || strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%d of TPMs and\n%s", len(r.TPM), strings.Join(got, "\n"))
	}
	chain, err := os.ReadFile("../sevsnp/testdata/milan.chain")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRoots(chain); err == nil || !strings.Contains(err.Error(), "SEV-Milan") {
		t.Errorf("a certificate that did not sign itself is taken for a root: %v", err)
	}
}

func FuzzVerify(f *testing.F) {
	for _, kind := range kinds {
		b, _ := evidence(f, kind)
		f.Add(b)
	}
	_, want := evidence(f, SNP)
	want.Binding[0]++
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := Verify(b, want); err == nil {
			t.Errorf("for another node: %v", r)
		}
	})
}

func BenchmarkVerify(b *testing.B) {
	for _, kind := range kinds {
		e, want := evidence(b, kind)
		b.Run(string(kind), func(b *testing.B) {
			for b.Loop() {
				if _, err := Verify(e, want); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
