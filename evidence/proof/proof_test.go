package proof

import (
	"bytes"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"
	"github.com/btcsuite/btcd/btcec/v2/schnorr"
	"github.com/btcsuite/btcd/txscript/v2"
	gethcrypto "github.com/ethereum/go-ethereum/crypto"

	"github.com/ostraka/ostraka/chain"
	"github.com/ostraka/ostraka/crypto/group"
	"github.com/ostraka/ostraka/crypto/group/edwards25519"
	"github.com/ostraka/ostraka/crypto/group/secp256k1"
	"github.com/ostraka/ostraka/crypto/hd"
	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/intent"
	"github.com/ostraka/ostraka/custody/statement"
)

const (
	ethereum = "eip155:1"
	bitcoin  = "bip122:000000000019d6689c085ae165831e93"
	solana   = "solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp"
)

var (
	noon      = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	path      = hd.Path{0, 3, 7}
	chainCode = [32]byte{5}
	kinds     = []struct{ suite, chain string }{
		{charter.SuiteECDSA, ethereum}, {charter.SuiteECDSA, bitcoin}, {charter.SuiteBIP340, bitcoin}, {charter.SuiteEd25519, solana},
	}
)

// made is a proof by the key at path below a root, whose secret is 7.
type made struct {
	suite, chain string
	root         group.Point
	secret       group.Scalar // of the child
	key          group.Point
	proof        intent.Proof
}

func makes(t testing.TB, suite, on string) made {
	t.Helper()
	g := groupOf(suite)
	m := made{suite: suite, chain: on, root: g.BaseMul(g.Scalar(7))}
	key, shift, err := hd.Derive(m.root, chainCode, path)
	if err != nil {
		t.Fatal(err)
	}
	m.key, m.secret = key, g.Scalar(7).Add(shift)
	address, err := chain.Address(suite, on, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	claim := intent.Claim{Entity: "Example Ltd", Text: "Reserves"}
	if chain.ReadsBlocks(on) {
		claim.AsOf = &intent.Block{Height: 24_000_000, Hash: [32]byte{9}}
	}
	m.proof = intent.Proof{
		Vault: statement.ID{1}, Key: [32]byte{2}, Suite: suite, Path: [3]uint32(path), Address: address, Chain: on, Claim: claim,
		Intent: statement.ID{3}, Created: noon, Expires: noon.Add(24 * time.Hour),
	}
	return m
}

func (m made) text(t testing.TB) []byte {
	t.Helper()
	s, err := m.proof.Statement()
	if err != nil {
		t.Fatal(err)
	}
	return s.Bytes()
}

// sign signs any statement with the child key, by others' code.
func (m made) sign(t testing.TB, text []byte) Signed {
	t.Helper()
	message, err := chain.ProofMessage(m.suite, m.chain, m.key, nil, text)
	if err != nil {
		t.Fatal(err)
	}
	var sig [64]byte
	var id byte
	switch m.suite {
	case charter.SuiteEd25519:
		g := edwards25519.Group{}
		nonce := g.Scalar(11)
		r := g.BaseMul(nonce).Bytes()
		wide := sha512.Sum512(bytes.Join([][]byte{r, m.key.Bytes(), message}, nil))
		sig = [64]byte(append(r, nonce.Add(g.ReduceScalar(wide[:]).Mul(m.secret)).Bytes()...))
	case charter.SuiteBIP340:
		k, _ := btcec.PrivKeyFromBytes(m.secret.Bytes())
		s, err := schnorr.Sign(txscript.TweakTaprootPrivKey(*k, nil), message)
		if err != nil {
			t.Fatal(err)
		}
		sig = [64]byte(s.Serialize())
	default:
		k, err := gethcrypto.ToECDSA(m.secret.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		s, err := gethcrypto.Sign(message, k)
		if err != nil {
			t.Fatal(err)
		}
		sig, id = [64]byte(s[:64]), s[64]
	}
	raw, err := chain.ProofSignature(m.suite, m.chain, m.key, sig, id)
	if err != nil {
		t.Fatal(err)
	}
	return Signed{Statement: text, Signature: raw, Key: m.key.Bytes()}
}

// all are the ways to verify, each by what the caller knows.
func (m made) all() map[string]func(Signed, time.Time) (intent.Proof, error) {
	out := map[string]func(Signed, time.Time) (intent.Proof, error){
		"key":  Verify,
		"root": func(p Signed, at time.Time) (intent.Proof, error) { return VerifyUnder(p, m.root, chainCode, at) },
	}
	if p, ok := m.root.(*secp256k1.Point); ok {
		root, _ := hd.Root(p, chainCode)
		account, _, _ := root.Derive(path[:2])
		out["xpub"] = func(p Signed, at time.Time) (intent.Proof, error) { return VerifyXPub(p, root.XPub(hd.Mainnet), at) }
		out["account"] = func(p Signed, at time.Time) (intent.Proof, error) {
			return VerifyXPub(p, account.XPub(hd.Mainnet), at)
		}
	}
	return out
}

func TestVerify(t *testing.T) {
	for _, k := range kinds {
		m := makes(t, k.suite, k.chain)
		p := m.sign(t, m.text(t))
		for by, verify := range m.all() {
			name := fmt.Sprintf("%s on %s by %s", k.suite, k.chain, by)
			got, err := verify(p, noon.Add(time.Hour))
			if err != nil || !reflect.DeepEqual(got, m.proof) {
				t.Errorf("%s: %+v, %v", name, got, err)
			}
			for at, want := range map[time.Time]error{
				m.proof.Expires: ErrExpired, m.proof.Expires.Add(-time.Second): nil, m.proof.Expires.Add(1e9 * time.Second): ErrExpired, {}: ErrEarly,
				noon.Add(-intent.Skew): nil, noon.Add(-intent.Skew - time.Second): ErrEarly,
			} {
				got, err := verify(p, at)
				if !errors.Is(err, want) || (err == nil) != (want == nil) || !reflect.DeepEqual(got, m.proof) {
					t.Errorf("%s at %s: %v, want %v", name, at, err, want)
				}
			}
		}
	}
}

// Nothing but the statement that was signed, its signature and its key passes: each value changed, alone or with the form kept.
func TestVerifyRefuses(t *testing.T) {
	for _, k := range kinds {
		m := makes(t, k.suite, k.chain)
		good := m.sign(t, m.text(t))
		g := groupOf(k.suite)
		other := makes(t, k.suite, k.chain)
		other.proof.Text = "Something else"
		bad := map[string]Signed{
			"no signature": {Statement: good.Statement, Key: good.Key}, "no statement": {Signature: good.Signature, Key: good.Key}, "no last line feed": {Statement: bytes.TrimSuffix(good.Statement, []byte("\n")), Signature: good.Signature, Key: good.Key},
			"another's key": {Statement: good.Statement, Signature: good.Signature, Key: g.Generator().Bytes()}, "a short key": {Statement: good.Statement, Signature: good.Signature, Key: good.Key[1:]},
			"another's signature": {Statement: good.Statement, Signature: other.sign(t, other.text(t)).Signature, Key: good.Key}, "the root's key": {Statement: good.Statement, Signature: good.Signature, Key: m.root.Bytes()},
		}
		for i := range good.Signature {
			b := bytes.Clone(good.Signature)
			b[i] ^= 1
			bad[fmt.Sprintf("byte %d of the signature", i)] = Signed{Statement: good.Statement, Signature: b, Key: good.Key}
		}
		for i := range good.Statement {
			b := bytes.Clone(good.Statement)
			b[i] ^= 1
			bad[fmt.Sprintf("byte %d of the statement", i)] = Signed{Statement: b, Signature: good.Signature, Key: good.Key}
		}
		for name, change := range map[string]func(*intent.Proof){
			"entity": func(p *intent.Proof) { p.Entity = "Other Ltd" }, "text": func(p *intent.Proof) { p.Text += "!" }, "address": func(p *intent.Proof) { p.Address = p.Address[1:] + "1" },
			"height": func(p *intent.Proof) { p.AsOf = &intent.Block{Height: 24_000_001, Hash: [32]byte{9}} }, "block": func(p *intent.Proof) { p.AsOf = &intent.Block{Height: 24_000_000, Hash: [32]byte{8}} },
			"expires": func(p *intent.Proof) { p.Expires = p.Expires.Add(time.Hour) }, "created": func(p *intent.Proof) { p.Created = p.Created.Add(-time.Hour) }, "vault": func(p *intent.Proof) { p.Vault[1] ^= 1 },
			"path": func(p *intent.Proof) { p.Path[2]++ }, "intent": func(p *intent.Proof) { p.Intent[1] ^= 1 }, "key": func(p *intent.Proof) { p.Key[1] ^= 1 },
		} {
			x := m
			change(&x.proof)
			bad["other "+name] = Signed{Statement: x.text(t), Signature: good.Signature, Key: good.Key}
		}
		for by, verify := range m.all() {
			for name, p := range bad {
				if _, err := verify(p, noon); err == nil {
					t.Errorf("%s on %s by %s: %s is accepted", k.suite, k.chain, by, name)
				}
			}
			// A statement that names another's address, truly signed by this key.
			x := m
			x.proof.Address = map[string]string{ethereum: "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", bitcoin: "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", solana: "11111111111111111111111111111112"}[k.chain]
			if _, err := verify(x.sign(t, x.text(t)), noon); err == nil || !strings.Contains(err.Error(), "it says address") {
				t.Errorf("%s on %s by %s: another's address: %v", k.suite, k.chain, by, err)
			}
			// And one of another kind.
			s, err := intent.Cancellation{Charter: statement.ID{1}, Vault: statement.ID{1}, Intent: statement.ID{1}, Initiator: "ines", Created: noon}.Statement(statement.Salt{1})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := verify(m.sign(t, s.Bytes()), noon); err == nil {
				t.Errorf("%s on %s by %s: a cancellation is a proof", k.suite, k.chain, by)
			}
		}
	}
}

// What the verifier is told of the vault's key is held to the path in the statement.
func TestVerifyUnderAnother(t *testing.T) {
	m := makes(t, charter.SuiteECDSA, ethereum)
	p := m.sign(t, m.text(t))
	p.Key = nil
	g := secp256k1.Group{}
	root, _ := hd.Root(m.root.(*secp256k1.Point), chainCode)
	child := func(path hd.Path) string {
		k, _, err := root.Derive(path)
		if err != nil {
			t.Fatal(err)
		}
		return k.XPub(hd.Mainnet)
	}
	for name, c := range map[string]struct {
		do   func() (intent.Proof, error)
		want string
	}{
		"another root":       {func() (intent.Proof, error) { return VerifyUnder(p, g.Generator(), chainCode, noon) }, "it says address"},
		"another chain code": {func() (intent.Proof, error) { return VerifyUnder(p, m.root, [32]byte{6}, noon) }, "it says address"},
		"another curve":      {func() (intent.Proof, error) { return VerifyUnder(p, edwards25519.Group{}.Generator(), chainCode, noon) }, "another curve"},
		"another account":    {func() (intent.Proof, error) { return VerifyXPub(p, child(hd.Path{0, 4}), noon) }, "neither of a root nor of the account"},
		"another department": {func() (intent.Proof, error) { return VerifyXPub(p, child(hd.Path{1, 3}), noon) }, "it says address"},
		"a department":       {func() (intent.Proof, error) { return VerifyXPub(p, child(hd.Path{0}), noon) }, "neither of a root nor of the account"},
		"the address's own":  {func() (intent.Proof, error) { return VerifyXPub(p, child(path), noon) }, "neither of a root nor of the account"},
		"no xpub":            {func() (intent.Proof, error) { return VerifyXPub(p, "xpub", noon) }, "extended public key"},
		"no key":             {func() (intent.Proof, error) { return Verify(p, noon) }, "public key"},
		"a key that is not it": {func() (intent.Proof, error) {
			return VerifyUnder(Signed{Statement: p.Statement, Signature: p.Signature, Key: g.Generator().Bytes()}, m.root, chainCode, noon)
		}, "it comes with key"},
	} {
		if _, err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	ed := makes(t, charter.SuiteEd25519, solana)
	q := ed.sign(t, ed.text(t))
	if _, err := VerifyXPub(q, root.XPub(hd.Mainnet), noon); err == nil || !strings.Contains(err.Error(), "no extended public key") {
		t.Errorf("xpub of Ed25519: %v", err)
	}
	// For the identity anybody finds a signature: S = r + k·0.
	nobody := edwards25519.Group{}.Identity()
	ed.proof.Address, ed.key, ed.secret = chain.FormatProof(solana, nobody.Bytes()), nobody, edwards25519.Group{}.Scalar(0)
	forged := ed.sign(t, ed.text(t))
	if err := chain.CheckProof(charter.SuiteEd25519, solana, nobody, nil, forged.Statement, forged.Signature); err != nil {
		t.Fatalf("the forgery is none: %v", err)
	}
	if _, err := Verify(forged, noon); err == nil {
		t.Error("nobody's key proves something")
	}
}

func document(m made, p Signed) map[string]string {
	return map[string]string{"statement": string(p.Statement), "signature": chain.FormatProof(m.chain, p.Signature), "public_key": hex.EncodeToString(p.Key), "entity": "not looked at"}
}

func TestParse(t *testing.T) {
	for _, k := range kinds {
		m := makes(t, k.suite, k.chain)
		p := m.sign(t, m.text(t))
		alone, _ := json.Marshal(document(m, p))
		whole, _ := json.Marshal(map[string]any{"id": "x", "statement": "ostraka/1 intent\n", "proof": document(m, p)})
		for _, doc := range [][]byte{alone, whole} {
			got, err := Parse(doc)
			if err != nil || !reflect.DeepEqual(got, p) {
				t.Errorf("%s on %s: %+v, %v", k.suite, k.chain, got, err)
			}
		}
		for field, values := range map[string][]string{
			"statement": {"", "ostraka/1 intent\n", string(p.Statement) + "\n"}, "signature": {"", "0x", "?", " " + document(m, p)["signature"]}, "public_key": {"0", "xx", "0x02"},
		} {
			for _, v := range values {
				d := document(m, p)
				d[field] = v
				doc, _ := json.Marshal(d)
				if got, err := Parse(doc); err == nil {
					t.Errorf("%s on %s: %s %q is read as %+v", k.suite, k.chain, field, v, got)
				}
			}
		}
	}
	for name, doc := range map[string]string{"empty": "", "no object": "[]", "nothing": "{}", "a transaction's": `{"proof":null,"statement":"ostraka/1 intent\n","signed":{}}`, "long": `{"a":"` + strings.Repeat("x", MaxDocument) + `"}`} {
		if _, err := Parse([]byte(doc)); err == nil {
			t.Errorf("%s: a proof", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, k := range kinds {
		m := makes(f, k.suite, k.chain)
		doc, err := json.Marshal(document(m, m.sign(f, m.text(f))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
		f.Add(bytes.Replace(doc, []byte("Example"), []byte("Other"), 1))
	}
	f.Add([]byte(`{"proof":{"statement":"ostraka/1 proof\n","signature":"0x00","public_key":"02"}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		p, err := Parse(doc)
		if err != nil {
			return
		}
		if got, err := Verify(p, noon); err == nil && (got.Entity != "Example Ltd" || got.Text != "Reserves") {
			t.Fatalf("a proof that nobody signed: %+v", got)
		}
	})
}
