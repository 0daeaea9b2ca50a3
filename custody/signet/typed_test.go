package signet

import (
	"bytes"
	"encoding/hex"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/decred/dcrd/dcrec/secp256k1/v4"

	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

// wallet is an account with the key that it holds.
type wallet struct {
	signettest.Wallet
	key Key
}

func newWallet(t testing.TB, seed string) wallet {
	w := signettest.NewWallet(seed)
	return wallet{w, parsed(t, w.Line())}
}

func (w wallet) answer(t testing.TB, verb Verb, s statement.Statement) []byte {
	t.Helper()
	raw, err := TypedData(verb, s)
	if err != nil {
		t.Fatal(err)
	}
	return w.Sign(raw)
}

func (w wallet) approves(t testing.TB, verb Verb, s statement.Statement) []byte {
	t.Helper()
	armored, k, err := FromWallet(verb, s, w.answer(t, verb, s))
	if err != nil || !k.Equal(w.key) {
		t.Fatalf("by %s, %v, want %s", k, err, w.key)
	}
	return armored
}

// The example of EIP 712: its digest, signature and signer, in our hashing and in go-ethereum's.
func TestMailExample(t *testing.T) {
	const (
		person = "Person(string name,address wallet)"
		digest = "be609aee343fb3c4b28e1df9e632fca64fcfaede20f02e86244efddf30957bd2"
		sig    = "4355c47d63924e8a72e509b65029052eb6c299d53a04e167c5775fd466751c9d" + "07299936d304c153f6443dfa05f40ff007d72911b6f72307f996231605b91562" + "1c"
	)
	address := func(digits string) (w [32]byte) {
		b, err := hex.DecodeString(digits)
		if err != nil || copy(w[12:], b) != 20 {
			t.Fatal(digits)
		}
		return w
	}
	cow, bob := "cd2a3d9f938e13cd947ec05abc7fe734df8dd826", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	domain := hashStruct("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)",
		word("Ether Mail"), word("1"), [32]byte{31: 1}, address("cccccccccccccccccccccccccccccccccccccccc"))
	mail := hashStruct("Mail(Person from,Person to,string contents)"+person,
		hashStruct(person, word("Cow"), address(cow)), hashStruct(person, word("Bob"), address(bob)), word("Hello, Bob!"))
	ours := keccak([]byte{0x19, 0x01}, domain[:], mail[:])
	if hex.EncodeToString(ours[:]) != digest {
		t.Errorf("digest is %x, the EIP says %s", ours, digest)
	}
	raw, err := os.ReadFile("testdata/mail.json")
	if err != nil {
		t.Fatal(err)
	}
	if theirs := signettest.Hash(raw); hex.EncodeToString(theirs) != digest {
		t.Errorf("go-ethereum: digest is %x, the EIP says %s", theirs, digest)
	}
	b, err := ParseWalletSignature("0x" + sig)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := recovered(ours, b); err != nil || a.String() != "0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826" {
		t.Errorf("signed by %s, %v", a, err)
	}
}

// uses are all verbs that a person's key has over statements of a kind, and one of a later release.
func uses(k statement.Kind) []Verb { return []Verb{Approve, Reject, Makes(k), "witness"} }

func samples(t testing.TB) (all []statement.Statement) {
	for _, k := range statement.Kinds {
		for _, size := range []string{"least", "two"} {
			raw, err := os.ReadFile("../statement/testdata/" + string(k) + "-" + size + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			s, err := statement.Parse(raw)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(all, func(o statement.Statement) bool { return o.ID() == s.ID() }) {
				all = append(all, s)
			}
		}
	}
	return all
}

// What the wallet is shown and what we hash are one: go-ethereum hashes the JSON.
func TestTypedDataIsWhatIsSigned(t *testing.T) {
	seen := map[[32]byte]bool{}
	for _, s := range samples(t) {
		for _, verb := range uses(s.Kind()) {
			raw, err := TypedData(verb, s)
			if err != nil {
				t.Fatal(err)
			}
			digest, err := typedDigest(verb, s)
			if err != nil || !bytes.Equal(signettest.Hash(raw), digest[:]) {
				t.Errorf("%s %s: we sign %x, go-ethereum %x, %v", verb, s.Kind(), digest, signettest.Hash(raw), err)
			}
			if seen[digest] {
				t.Errorf("%s %s: another use or statement has the same digest", verb, s.Kind())
			}
			seen[digest] = true
		}
	}
	if _, err := TypedData(own, samples(t)[0]); err == nil {
		t.Error("a verb is shown as another is")
	}
	if _, err := TypedData(Approve, statement.Statement{}); err == nil {
		t.Error("no statement is shown")
	}
}

// Each line of a statement is shown as it stands, or is bytes that no person can judge.
func TestEveryLineIsShown(t *testing.T) {
	for _, s := range samples(t) {
		m, err := show(Approve, s)
		if err != nil {
			t.Fatal(err)
		}
		if m.Action != "approve" || m.Kind != string(s.Kind()) || m.ID != "0x"+s.ID().String() {
			t.Errorf("%s: shown as %s %s %s", s.Kind(), m.Action, m.Kind, m.ID)
		}
		var want []string
		for line := range strings.Lines(s.Text()) {
			name, _, _ := strings.Cut(line, ":")
			if name != "salt" && !strings.HasPrefix(line, statement.Version) && !slices.Contains(hidden[s.Kind()], name) {
				want = append(want, strings.TrimSuffix(line, "\n"))
			}
		}
		if !slices.Equal(m.Line, want) {
			t.Errorf("%s: shown are %q, want %q", s.Kind(), m.Line, want)
		}
		if m, err := show(Makes(s.Kind()), s); err != nil || m.Action != own {
			t.Errorf("%s by its maker: action %q, %v", s.Kind(), m.Action, err)
		}
	}
	for k, names := range hidden {
		for _, n := range names {
			if f, ok := find(statement.Fields(k), n); !ok || f.Type != statement.Hex {
				t.Errorf("%s: %s is hidden, which is of type %q", k, n, f.Type)
			}
		}
	}
}

// The spec page names what is hidden.
func TestSpecNamesWhatIsHidden(t *testing.T) {
	page, err := os.ReadFile("../../spec/statements.md")
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, k := range statement.Kinds {
		if len(hidden[k]) > 0 {
			all = append(all, "`"+string(k)+"`: `"+strings.Join(hidden[k], "`, `")+"`")
		}
	}
	want := "and what no person can judge, of " + strings.Join(all, "; ") + "."
	if !strings.Contains(strings.Join(strings.Fields(string(page)), " "), want) {
		t.Errorf("spec/statements.md 3.6 does not say: %s", want)
	}
}

func find(specs []statement.Spec, name string) (statement.Spec, bool) {
	for _, s := range specs {
		if s.Name == name {
			return s, true
		}
		if f, ok := find(s.Block, name); ok {
			return f, true
		}
	}
	return statement.Spec{}, false
}

func TestWalletSigns(t *testing.T) {
	alice, bob := newWallet(t, "alice"), newWallet(t, "bob")
	s := decision(t, statement.Intent)
	armored := alice.approves(t, Approve, s)
	got, err := Verify(armored, Approve, s.Bytes(), []Key{bob.key, {}, alice.key})
	if err != nil || got.Index != 2 || !got.Key.Equal(alice.key) || got.Flags != (Flags{}) {
		t.Errorf("%+v, %v", got, err)
	}
	sig, err := Parse(armored)
	if err != nil {
		t.Fatal(err)
	}
	if v, ok := sig.Verb(); !ok || v != Approve || !bytes.Equal(sig.Armored(), armored) {
		t.Errorf("parsed as %q: %s", v, sig.Armored())
	}
	other := decision(t, statement.Cancel)
	for name, c := range map[string]struct {
		verb    Verb
		message []byte
		allowed []Key
		want    error
	}{
		"other statement": {Approve, other.Bytes(), []Key{alice.key}, ErrBytes},
		"no statement":    {Approve, message, []Key{alice.key}, ErrBytes},
		"other use":       {Reject, s.Bytes(), []Key{alice.key}, ErrNamespace},
		"stranger":        {Approve, s.Bytes(), []Key{bob.key}, ErrStranger},
	} {
		if _, err := Verify(armored, c.verb, c.message, c.allowed); !errors.Is(err, c.want) {
			t.Errorf("%s: error is %v, want %v", name, err, c.want)
		}
	}
	// Both spellings of v give one signature.
	bare := alice.answer(t, Approve, s)
	bare[64] -= 27
	again, k, err := FromWallet(Approve, s, bare)
	if err != nil || !k.Equal(alice.key) || !bytes.Equal(again, armored) {
		t.Errorf("v without 27: %s by %s, %v", again, k, err)
	}
}

// claimed is an armored signature that says to be w's.
func (w wallet) claimed(sig []byte) []byte {
	return armor(accountType, claim(w.key, Approve).Bytes(tagSignature, sig).Sum())
}

func TestWalletSignaturesRefused(t *testing.T) {
	w := newWallet(t, "alice")
	s := decision(t, statement.Intent)
	good := w.answer(t, Approve, s)
	if _, err := Verify(w.claimed(good), Approve, s.Bytes(), []Key{w.key}); err != nil {
		t.Fatal(err)
	}
	v := func(v byte) []byte { b := bytes.Clone(good); b[64] = v; return b }
	var scalar secp256k1.ModNScalar
	scalar.SetByteSlice(good[32:64])
	high := scalar.Negate().Bytes()
	turned := append(append(bytes.Clone(good[:32]), high[:]...), 27+28-good[64])
	raw, err := TypedData(Approve, s)
	if err != nil {
		t.Fatal(err)
	}
	foreign := func(old, new string) []byte {
		if !bytes.Contains(raw, []byte(old)) {
			t.Fatalf("%s is not in %s", old, raw)
		}
		return w.Sign(bytes.Replace(raw, []byte(old), []byte(new), 1))
	}
	order := secp256k1.Params().N.Bytes()
	for name, c := range map[string]struct {
		sig  []byte
		want error
	}{
		"high s": {turned, ErrMalformed}, "v 0": {v(0), ErrMalformed}, "v 1": {v(1), ErrMalformed}, "v 26": {v(26), ErrMalformed}, "v 29": {v(29), ErrMalformed},
		"v of a chain": {v(37), ErrMalformed}, "the other v": {v(27 + 28 - good[64]), ErrBytes}, "short": {good[:64], ErrMalformed}, "long": {append(bytes.Clone(good), 0), ErrMalformed},
		"r is 0": {append(make([]byte, 32), good[32:]...), ErrMalformed}, "s is 0": {append(bytes.Clone(good[:32]), append(make([]byte, 32), 27)...), ErrMalformed},
		"r is the order": {append(bytes.Clone(order), good[32:]...), ErrMalformed}, "another's": {newWallet(t, "bob").answer(t, Approve, s), ErrBytes},
		"other domain":  {foreign(`"Ostraka"`, `"Ostraca"`), ErrBytes},
		"other version": {foreign(`"version": "1"`, `"version": "2"`), ErrBytes},
		"domain with a chain": {w.Sign(bytes.Replace(bytes.Replace(raw, []byte(`"version": "1"`), []byte(`"version": "1", "chainId": "1"`), 1),
			[]byte("\"EIP712Domain\": ["), []byte("\"EIP712Domain\": [{\"name\": \"chainId\", \"type\": \"uint256\"},"), 1)), ErrBytes},
		"other action":   {foreign(`"approve"`, `"reject"`), ErrBytes},
		"other kind":     {foreign(`"kind": "intent"`, `"kind": "cancel"`), ErrBytes},
		"other id":       {foreign(s.ID().String()[:8], "00000000"), ErrBytes},
		"other line":     {foreign("initiator: acme-1", "initiator: acme-2"), ErrBytes},
		"line left out":  {foreign("\"initiator: acme-1\",", ""), ErrBytes},
		"personal":       {w.SignDigest(personal(s.Bytes())), ErrBytes},
		"the id, signed": {w.SignDigest(idOf(s)), ErrBytes},
	} {
		_, err := Verify(w.claimed(c.sig), Approve, s.Bytes(), []Key{w.key})
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: error is %v, want %v", name, err, c.want)
		}
		// The helper gives it to nobody either: another account, or none.
		if _, k, err := FromWallet(Approve, s, c.sig); c.want != nil && err == nil && k.Equal(w.key) && !strings.HasPrefix(name, "v ") {
			t.Errorf("%s: handed in as %s", name, k)
		}
	}
	for _, armored := range [][]byte{
		armor(passkeyType, claim(w.key, Approve).Bytes(tagSignature, good).Sum()),
		armor(accountType, claim(mustKey(t, newEd25519(t)), Approve).Bytes(tagSignature, good).Sum()),
		armor(accountType, claim(w.key, "not a label").Bytes(tagSignature, good).Sum()),
		armor(accountType, claim(Key{line: strings.ToLower(w.key.String())}, Approve).Bytes(tagSignature, good).Sum()),
		armor(accountType, claim(Key{line: w.key.String() + " alice"}, Approve).Bytes(tagSignature, good).Sum()),
	} {
		if _, err := Parse(armored); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", armored, err)
		}
	}
}

func personal(b []byte) []byte {
	h := keccak([]byte("\x19Ethereum Signed Message:\n"), b)
	return h[:]
}

func idOf(s statement.Statement) []byte { id := s.ID(); return id[:] }

func TestAccountLines(t *testing.T) {
	// EIP 55's own examples.
	for _, a := range []string{
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
		"0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb", "0x52908400098527886E0F7030069857D2E4169EE7", "0xde709f2102306220921060314715629080e2fb77",
	} {
		k, err := ParseKey(" eip712  " + a + " ledger of alice\n")
		if err != nil || k.String() != "eip712 "+a || k.Fingerprint() != a || k.Type() != statement.EIP712 {
			t.Errorf("%s: %s, %v", a, k, err)
		}
	}
	good := "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	for name, bad := range map[string]string{
		"lower case": strings.ToLower(good), "upper case": "0x" + strings.ToUpper(good[2:]), "one letter": strings.Replace(good, "B", "b", 1), "no 0x": good[2:], "0X": "0X" + good[2:],
		"short": good[:41], "long": good + "0", "zero": "0x0000000000000000000000000000000000000000", "no hex": good[:41] + "g", "empty": "",
	} {
		if k, err := ParseKey("eip712 " + bad); err == nil {
			t.Errorf("%s: accepted as %s", name, k)
		}
	}
}

func TestParseWalletSignature(t *testing.T) {
	digits := strings.Repeat("0a", 65)
	for _, text := range []string{digits, "0x" + digits, "0X" + strings.ToUpper(digits)} {
		if b, err := ParseWalletSignature(text); err != nil || !bytes.Equal(b, bytes.Repeat([]byte{0x0a}, 65)) {
			t.Errorf("%s: %x, %v", text, b, err)
		}
	}
	for _, text := range []string{"", "0x", digits[2:], digits + "00", digits[1:], "0x0x" + digits, digits[:128] + "zz"} {
		if _, err := ParseWalletSignature(text); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}
