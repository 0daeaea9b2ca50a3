package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/client"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

// provedFile is a signed proof as `tx show --json` prints it, and its vault's extended public key.
func provedFile(t *testing.T) (file, xpub string) {
	t.Helper()
	root, err := hd.Root(secp256k1.BaseMul(secp256k1.NewScalar(7)), [32]byte{5})
	if err != nil {
		t.Fatal(err)
	}
	child, shift, err := root.Derive(hd.Path{0, 1, 2})
	if err != nil {
		t.Fatal(err)
	}
	address, err := chain.Address(charter.SuiteECDSA, "eip155:1", child.Point, nil)
	if err != nil {
		t.Fatal(err)
	}
	made := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	p := intent.Proof{
		Vault: statement.ID{1}, Key: [32]byte{9}, Intent: statement.ID{2}, Suite: charter.SuiteECDSA, Path: [3]uint32{0, 1, 2}, Address: address, Chain: "eip155:1",
		Claim:   intent.Claim{Entity: "Example Ltd", AsOf: &intent.Block{Height: 24_000_000, Hash: [32]byte{0xab, 31: 1}}, Text: "Reserves"},
		Created: made, Expires: made.Add(time.Hour),
	}
	s, err := p.Statement()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := chain.ProofMessage(p.Suite, p.Chain, child.Point, nil, s.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	key, err := gethcrypto.ToECDSA(secp256k1.Group{}.Scalar(7).Add(shift).Bytes())
	if err != nil {
		t.Fatal(err)
	}
	sig, err := gethcrypto.Sign(digest, key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := chain.ProofSignature(p.Suite, p.Chain, child.Point, [64]byte(sig[:64]), sig[64])
	if err != nil {
		t.Fatal(err)
	}
	d := proofOf(&client.Case{Proof: &client.Proof{Proof: p, Statement: s, Key: child.Point}, Signed: &client.Signed{Raw: raw}})
	if d.Height == nil || *d.Height != 24_000_000 || !strings.HasPrefix(d.Block, "0xab00") || d.Expires != "2026-01-31T13:00:00Z" {
		t.Errorf("document %+v", d)
	}
	b, err := json.Marshal(map[string]any{"id": "an intent's", "statement": "the intent's", "proof": d})
	if err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "proof.json")
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return file, root.XPub(hd.Mainnet)
}

// Who has the file, and perhaps the vault's extended public key, checks a proof alone.
func TestAddressVerify(t *testing.T) {
	alone(t)
	file, xpub := provedFile(t)
	const then = "2026-01-31T12:30:00Z"
	code, out, errs := try("address", "verify", file, "--at", then, "--xpub", xpub, "--json")
	var d provedDocument
	if err := json.Unmarshal([]byte(out), &d); err != nil || code != codeDone || !d.Verified || !d.Rooted || d.Entity != "Example Ltd" || d.Text != "Reserves" || d.Height == nil || *d.Height != 24_000_000 || d.Path != "m/0/1/2" {
		t.Errorf("code %d, %+v, %s", code, d, errs)
	}
	code, out, errs = try("address", "verify", file, "--at", then)
	for _, want := range []string{"Example Ltd (their word)", "block 24000000, 0xab00", "Reserves", "--xpub checks it"} {
		if code != codeDone || !strings.Contains(out, want) {
			t.Errorf("code %d, no %q in %s%s", code, want, out, errs)
		}
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	forged := filepath.Join(t.TempDir(), "forged.json")
	if err := os.WriteFile(forged, bytes.Replace(raw, []byte(`entity: Example Ltd`), []byte(`entity: Another Ltd`), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	other, _ := hd.Root(secp256k1.BaseMul(secp256k1.NewScalar(8)), [32]byte{5})
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"expired":         {[]string{file}, codeUnverified, "has expired at 2026-01-31T13:00:00Z"},
		"early":           {[]string{file, "--at", "2026-01-31T11:00:00Z"}, codeUnverified, "made later"},
		"another entity":  {[]string{forged, "--at", then}, codeUnverified, "the signature is by"},
		"another vault":   {[]string{file, "--at", then, "--xpub", other.XPub(hd.Mainnet)}, codeUnverified, "it comes with key"},
		"no xpub":         {[]string{file, "--at", then, "--xpub", "xpub6foo"}, codeUsage, "--xpub: has 8 characters, not 111"},
		"no time":         {[]string{file, "--at", "noon"}, codeUsage, "no time"},
		"no file":         {[]string{file + "x"}, codeError, "no such file"},
		"no proof's file": {[]string{"proved_test.go"}, codeUnverified, "document"},
		"none":            {nil, codeUsage, "takes 1: FILE"},
	} {
		code, _, errs := try(append([]string{"address", "verify"}, c.args...)...)
		if code != c.code || !strings.Contains(errs, c.want) {
			t.Errorf("%s: code %d, %s; want %d and %q", name, code, errs, c.code, c.want)
		}
	}
}
