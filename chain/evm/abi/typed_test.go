package abi_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/ethereum/go-ethereum/signer/core/apitypes"

	"github.com/ostraka/ostraka/chain/evm/abi"
)

func readJSON(t testing.TB, name string, v any) {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

type member struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// An ethersDocument is a vector of ethers.js, which has no EIP712Domain among its types.
type ethersDocument struct {
	Name        string
	Domain      map[string]any
	PrimaryType string
	Types       map[string][]member
	Data        any
	Digest      string
}

func (d ethersDocument) json(t testing.TB) []byte {
	t.Helper()
	for _, m := range []member{{"name", "string"}, {"version", "string"}, {"chainId", "uint256"}, {"verifyingContract", "address"}, {"salt", "bytes32"}} {
		if _, ok := d.Domain[m.Name]; ok {
			d.Types["EIP712Domain"] = append(d.Types["EIP712Domain"], m)
		}
	}
	b, err := json.Marshal(map[string]any{"types": d.Types, "primaryType": d.PrimaryType, "domain": d.Domain, "message": d.Data})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// secondOpinion is go-ethereum's digest of a document.
func secondOpinion(t testing.TB, document []byte) []byte {
	t.Helper()
	var theirs apitypes.TypedData
	if err := json.Unmarshal(document, &theirs); err != nil {
		t.Fatalf("go-ethereum: %v: %s", err, document)
	}
	digest, _, err := apitypes.TypedDataAndHash(theirs)
	if err != nil {
		t.Fatalf("go-ethereum: %v: %s", err, document)
	}
	return digest
}

func TestEthersDocuments(t *testing.T) {
	var vectors []ethersDocument
	readJSON(t, "ethers-typed-data.json", &vectors)
	hashed := 0
	for _, v := range vectors {
		if len(v.Domain) == 0 { // a domain without members is no domain of EIP-712
			if typed, err := abi.ParseTyped(v.json(t)); err == nil {
				t.Errorf("%s: read %v without a domain", v.Name, typed)
			}
			continue
		}
		document := v.json(t)
		typed, err := abi.ParseTyped(document)
		if err != nil {
			t.Errorf("%s: %v\n%s", v.Name, err, document)
			continue
		}
		digest := typed.Digest()
		if want := common.FromHex(v.Digest); !bytes.Equal(digest[:], want) {
			t.Errorf("%s: digest %x, want %x", v.Name, digest, want)
		}
		again, err := abi.DecodeTyped(typed.Canonical())
		if err != nil || again.Digest() != digest || again.TypeString() != typed.TypeString() {
			t.Errorf("%s: its canonical form reads as %+v, %v", v.Name, again, err)
		}
		if theirs := secondOpinion(t, typed.Canonical()); !bytes.Equal(theirs, digest[:]) {
			t.Errorf("%s: digest %x, go-ethereum has %x", v.Name, digest, theirs)
		}
		root, err := abi.CheckTypeString(typed.TypeString())
		if err != nil || root.String() != v.PrimaryType {
			t.Errorf("%s: type %s reads as %v, %v", v.Name, typed.TypeString(), root, err)
		}
		hashed++
	}
	if hashed < 70 {
		t.Errorf("only %d of %d documents were hashed", hashed, len(vectors))
	}
}

func TestEIP712Example(t *testing.T) {
	var v struct {
		TypedData json.RawMessage `json:"typed_data"`
		Separator string          `json:"domain_separator"`
		Digest    string
		Address   string
		V         byte
		R, S      string
	}
	readJSON(t, "eip712.json", &v)
	typed, err := abi.ParseTyped(v.TypedData)
	if err != nil {
		t.Fatal(err)
	}
	if got := typed.TypeString(); got != "Mail(Person from,Person to,string contents)Person(string name,address wallet)" {
		t.Errorf("type %s", got)
	}
	digest, separator := typed.Digest(), typed.Separator()
	if !bytes.Equal(digest[:], common.FromHex(v.Digest)) || !bytes.Equal(separator[:], common.FromHex(v.Separator)) {
		t.Errorf("digest %x, separator %x", digest, separator)
	}
	key, err := crypto.SigToPub(digest[:], append(append(common.FromHex(v.R), common.FromHex(v.S)...), v.V-27))
	if err != nil || crypto.PubkeyToAddress(*key) != common.HexToAddress(v.Address) {
		t.Errorf("signed by %v, %v", key, err)
	}
	d := typed.Domain()
	if *d.Name != "Ether Mail" || *d.Version != "1" || d.ChainID.Int64() != 1 || d.VerifyingContract[0] != 0xcc || d.Salt != nil {
		t.Errorf("domain %+v", d)
	}
	if text := typed.Message().Text(); text != `(from=(name="Cow",wallet=0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826),to=(name="Bob",wallet=0xbBbBBBBbbBBBbbbBbbBbbbbBBbBbbbbBbBbbBBbB),contents="Hello, Bob!")` {
		t.Errorf("message %s", text)
	}
	made, err := abi.NewTyped(typed.TypeString(), d, []byte(`{"contents":"Hello, Bob!","to":{"name":"Bob","wallet":"0xbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"},"from":{"name":"Cow","wallet":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826"}}`))
	if err != nil || !bytes.Equal(made.Canonical(), typed.Canonical()) {
		t.Errorf("made anew: %+v, %v", made, err)
	}
}

const mail = `{"types":{"EIP712Domain":[{"name":"chainId","type":"uint256"}],"Mail":[{"name":"to","type":"address"},{"name":"n","type":"uint8"},{"name":"ok","type":"bool"},{"name":"text","type":"string"},` +
	`{"name":"raw","type":"bytes"},{"name":"id","type":"bytes4"},{"name":"list","type":"int16[2]"}]},"primaryType":"Mail","domain":{"chainId":"1"},"message":{"to":"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826",` +
	`"n":"255","ok":true,"text":"a\"b\\c\n\u0001é","raw":"0x00ff","id":"0x01020304","list":["-32768","32767"]}}`

// What is not the one canonical form, or says two things, is refused.
func TestHostileDocuments(t *testing.T) {
	typed, err := abi.DecodeTyped([]byte(mail))
	if err != nil {
		t.Fatal(err)
	}
	digest := typed.Digest()
	if theirs := secondOpinion(t, []byte(mail)); !bytes.Equal(theirs, digest[:]) {
		t.Fatalf("digest %x, go-ethereum has %x", digest, theirs)
	}
	for _, c := range []struct{ name, old, new, reason string }{
		{"a space", `"domain":{`, `"domain": {`, "canonical"},
		{"a line feed at the end", `]}}`, "]}}\n", "canonical"},
		{"a second value", `]}}`, `]}}{}`, "followed by more"},
		{"garbage after it", `]}}`, `]}}x`, "followed by more"},
		{"not closed", `]}}`, `]}`, "no JSON"},
		{"a key twice", `"n":"255"`, `"n":"255","n":"1"`, "twice"},
		{"a key twice at the top", `"primaryType":"Mail"`, `"primaryType":"Mail","primaryType":"Mail"`, "twice"},
		{"a key twice by an escape", `"n":"255"`, `"n":"255","\u006e":"1"`, "twice"},
		{"a hidden member", `"n":"255"`, `"n":"255","memo":"x"`, "not in its type"},
		{"a member in capitals", `"n":"255"`, `"N":"255"`, `no "n"`},
		{"a missing member", `"n":"255",`, ``, `no "n"`},
		{"a hidden top member", `"primaryType":"Mail"`, `"primaryType":"Mail","extra":"x"`, "not in its type"},
		{"a hidden domain member", `{"chainId":"1"}`, `{"chainId":"1","name":"x"}`, "not in its type"},
		{"no domain", `"domain":{"chainId":"1"},`, ``, `no "domain"`},
		{"an unused type", `"Mail":[{`, `"Other":[{"name":"a","type":"bool"}],"Mail":[{`, "use 2"},
		{"an unknown primary type", `"primaryType":"Mail"`, `"primaryType":"Male"`, "want EIP712Domain"},
		{"the domain as message", `"primaryType":"Mail"`, `"primaryType":"EIP712Domain"`, "no struct of a message"},
		{"the primary type is a number", `"primaryType":"Mail"`, `"primaryType":7`, "no struct of a message"},
		{"an unknown member type", `"type":"uint8"`, `"type":"uint7"`, "no type"},
		{"a short type name", `"type":"uint8"`, `"type":"uint"`, "no type"},
		{"a type of 0 bits", `"type":"uint8"`, `"type":"uint0"`, "no type"},
		{"a type of 264 bits", `"type":"uint8"`, `"type":"uint264"`, "no type"},
		{"a type with a leading zero", `"type":"uint8"`, `"type":"uint08"`, "no type"},
		{"bytes33", `"type":"bytes4"`, `"type":"bytes33"`, "no type"},
		{"a type that contains itself", `"type":"uint8"`, `"type":"Mail"`, "contains itself"},
		{"a list that contains itself", `"type":"uint8"`, `"type":"Mail[]"`, "contains itself"},
		{"a type called as an elementary one", `"Mail":[{`, `"bool":[{"name":"a","type":"bool"}],"Mail":[{`, "no name of a struct"},
		{"a type called as one that is none", `"Mail":[{`, `"uint7":[{"name":"a","type":"bool"}],"Mail":[{`, "no name of a struct"},
		{"a type called uint", `"Mail":[{`, `"uint":[{"name":"a","type":"bool"}],"Mail":[{`, "no name of a struct"},
		{"a type with a comma in its name", `"Mail":[{`, `"A(b c,":[{"name":"a","type":"bool"}],"Mail":[{`, "no name of a struct"},
		{"a member with a space in its name", `{"name":"n"`, `{"name":"n,x y"`, "has no name"},
		{"a member twice in a type", `{"name":"n","type":"uint8"}`, `{"name":"n","type":"uint8"},{"name":"n","type":"uint8"}`, "called n"},
		{"a type's member with more", `{"name":"n","type":"uint8"}`, `{"name":"n","type":"uint8","indexed":true}`, "not in its type"},
		{"an empty type", `"Mail":[{`, `"Empty":[],"Mail":[{`, "0 fields"},
		{"an array of none", `int16[2]`, `int16[0]`, "no array"},
		{"an array of -1", `int16[2]`, `int16[-1]`, "no array"},
		{"an array of +2", `int16[2]`, `int16[+2]`, "no array"},
		{"an array that is not closed", `int16[2]`, `int16[2`, "no array"},
		{"an array of very many", `int16[2]`, `int16[65537]`, "no array"},
		{"an array of many words", `int16[2]`, `int16[5000]`, "words"},
		{"too deep arrays", `int16[2]`, `int16[][][][][][][][][]`, "deeper"},
		{"text after an array", `int16[2]`, `int16[2]x`, "no array"},
		{"one element less", `["-32768","32767"]`, `["-32768"]`, "no list"},
		{"one element more", `["-32768","32767"]`, `["-32768","32767","1"]`, "no list"},
		{"an object for a list", `["-32768","32767"]`, `{"0":"1","1":"2"}`, "no list"},
		{"an element below its type", `"-32768"`, `"-32769"`, "out of the range"},
		{"an element above its type", `"32767"`, `"32768"`, "out of the range"},
		{"a number above its type", `"n":"255"`, `"n":"256"`, "out of the range"},
		{"a number below its type", `"n":"255"`, `"n":"-1"`, "out of the range"},
		{"a number with a leading zero", `"n":"255"`, `"n":"0255"`, "no integer"},
		{"a number with a plus", `"n":"255"`, `"n":"+255"`, "no integer"},
		{"a number with an exponent", `"n":"255"`, `"n":2e2`, "no integer"},
		{"a number with a fraction", `"n":"255"`, `"n":255.0`, "no integer"},
		{"minus zero", `"n":"255"`, `"n":"-0"`, "no integer"},
		{"an empty number", `"n":"255"`, `"n":""`, "no integer"},
		{"0x without digits", `"n":"255"`, `"n":"0x"`, "no integer"},
		{"a number that is long", `"n":"255"`, `"n":"` + strings.Repeat("9", 90) + `"`, "no integer"},
		{"a number as JSON's own", `"n":"255"`, `"n":255`, "canonical"},
		{"a number in hex", `"n":"255"`, `"n":"0xff"`, "canonical"},
		{"a number for bool", `"ok":true`, `"ok":1`, "neither true"},
		{"a string for bool", `"ok":true`, `"ok":"true"`, "neither true"},
		{"null", `"ok":true`, `"ok":null`, "null"},
		{"an address without checksum", `0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826","n"`, `0xcd2a3d9f938e13cd947ec05abc7fe734df8dd826","n"`, "canonical"},
		{"an address with a wrong checksum", `0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826","n"`, `0xcD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826","n"`, "checksum"},
		{"an address of 19 bytes", `0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826","n"`, `0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD8","n"`, "19 bytes"},
		{"an address without 0x", `0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826","n"`, `CD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826","n"`, "not 0x"},
		{"an address as a number", `"0xCD2a3d9F938E13CD947Ec05AbC7FE734Df8DD826","n"`, `7,"n"`, "no string"},
		{"bytes in capitals", `"0x00ff"`, `"0x00FF"`, "canonical"},
		{"half a byte", `"0x00ff"`, `"0x00f"`, "not 0x"},
		{"bytes4 of 3", `"0x01020304"`, `"0x010203"`, "3 bytes"},
		{"bytes4 of 5", `"0x01020304"`, `"0x0102030405"`, "5 bytes"},
		{"text with an escape too many", `é`, `\u00e9`, "canonical"},
		{"text with half a pair", `é`, `\ud800`, "U+FFFD"},
		{"text with a slash escaped", `é`, `\/`, "canonical"},
		{"text that is not UTF-8", `é`, "\xff", "UTF-8"},
		{"text as a list", `"text":"a`, `"text":["a"],"x":"a`, "not in its type"},
		{"members in another order", `"n":"255","ok":true`, `"ok":true,"n":"255"`, "canonical"},
		{"salt of another type", `{"name":"chainId","type":"uint256"}`, `{"name":"salt","type":"bytes"}`, "no member of a domain"},
		{"a domain's own member", `{"name":"chainId","type":"uint256"}`, `{"name":"chainId","type":"uint256"},{"name":"memo","type":"string"}`, "no member of a domain"},
		{"chain id of 64 bits", `{"name":"chainId","type":"uint256"}`, `{"name":"chainId","type":"uint64"}`, "no member of a domain"},
		{"the domain's members in another order", `{"name":"chainId","type":"uint256"}`, `{"name":"chainId","type":"uint256"},{"name":"name","type":"string"}`, "not in its place"},
	} {
		document := strings.Replace(mail, c.old, c.new, 1)
		if document == mail {
			t.Errorf("%s: changes nothing", c.name)
		}
		if typed, err := abi.DecodeTyped([]byte(document)); err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%s: %v, %v; want %q", c.name, typed, err, c.reason)
		}
	}
	for name, document := range map[string]string{
		"empty": "", "a list": "[]", "a string": `"x"`, "null": "null", "a number": "1", "an empty object": "{}", "deep": strings.Repeat("[", 5000), "deep objects": strings.Repeat(`{"a":`, 5000),
	} {
		if typed, err := abi.DecodeTyped([]byte(document)); err == nil {
			t.Errorf("%s: read as %v", name, typed)
		}
	}
}

func TestTypeStrings(t *testing.T) {
	for _, text := range []string{
		"", "Mail", "Mail(", "Mail()", "Mail(address to", "Mail(address)", "Mail(address to,)", "Mail(address to) ", "Mail(address  to)", "Mail(address to, bool b)", "Mail(uint to)",
		"Mail(Person to)", "Mail(Person to)Person(bool a)Other(bool b)", "Mail(B b,A a)B(bool x)A(bool x)", "Mail(bool a)Mail(bool a)", "EIP712Domain(string name)", "Mail(address to)Mail(bool b)", "Mail(Mail m)", "bool(bool a)", "uint7(bool a)",
	} {
		if root, err := abi.CheckTypeString(text); err == nil {
			t.Errorf("%q reads as %v", text, root)
		}
	}
}

// No byte of a document changes but its text does, or the whole is refused.
func TestEveryByteOfADocument(t *testing.T) {
	show := func(b []byte) (string, bool) {
		typed, err := abi.DecodeTyped(b)
		if err != nil {
			return "", false
		}
		d := typed.Domain()
		return typed.TypeString() + d.ChainID.String() + typed.Message().Text(), true
	}
	want, ok := show([]byte(mail))
	if !ok {
		t.Fatal("the document is refused")
	}
	read := 0
	for at := range len(mail) {
		for _, by := range []byte{1, 2, 3, 4, 8, 16, 32, 64, 128, 255} {
			b := []byte(mail)
			b[at] ^= by
			if got, ok := show(b); ok {
				read++
				if got == want {
					t.Errorf("byte %d is %#x, and what is shown stays the same", at, b[at])
				}
			}
		}
	}
	if read < 100 {
		t.Errorf("only %d mutants are documents: the rest proves little", read)
	}
}

func FuzzDecodeTyped(f *testing.F) {
	f.Add([]byte(mail))
	var vectors []ethersDocument
	readJSON(f, "ethers-typed-data.json", &vectors)
	for _, v := range vectors[:10] {
		f.Add(v.json(f))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		typed, err := abi.ParseTyped(b)
		if err != nil {
			return
		}
		again, err := abi.DecodeTyped(typed.Canonical())
		if err != nil || again.Digest() != typed.Digest() {
			t.Fatalf("%q: its canonical form %q reads as %v, %v", b, typed.Canonical(), again, err)
		}
		digest := typed.Digest()
		var other apitypes.TypedData
		if json.Unmarshal(typed.Canonical(), &other) != nil {
			return
		}
		theirs, _, err := apitypes.TypedDataAndHash(other)
		if err == nil && !bytes.Equal(theirs, digest[:]) { // where it has one: it refuses some names
			t.Fatalf("%q: digest %s, go-ethereum has %s", b, hex.EncodeToString(digest[:]), hex.EncodeToString(theirs))
		}
	})
}
