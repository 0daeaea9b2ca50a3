package signet

import (
	"bytes"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

const testOrigin = "http://localhost:7707"

// device is an authenticator with the key that it holds.
type device struct {
	signettest.Passkey
	key Key
}

func newDevice(t testing.TB, kind, seed string) device {
	p := signettest.NewPasskey(kind, seed)
	return device{p, parsed(t, p.Line())}
}

func parsed(t testing.TB, line string) Key {
	t.Helper()
	k, err := ParseKey(line)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func b64(b []byte) string { return signettest.B64(b) }

func (d device) approves(t testing.TB, verb Verb, message []byte) []byte {
	t.Helper()
	c := PasskeyChallenge(d.key, verb, message)
	armored, err := FromPasskey(d.key, verb, message, d.Get(c[:]))
	if err != nil {
		t.Fatal(err)
	}
	return armored
}

// forged is an armored signature over parts of the attacker's choice, signed by the device itself.
func (d device) forged(t testing.TB, verb Verb, data []byte, client string) []byte {
	sum := sha256.Sum256([]byte(client))
	sig := d.Sign(slices.Concat(data, sum[:]))
	if d.key.Type() == statement.Passkey256 {
		var err error
		if sig, err = compact(sig); err != nil {
			t.Fatal(err)
		}
	}
	return armor(passkeyType, claim(d.key, verb).Bytes(tagSignature, sig).Bytes(tagAuthenticator, data).Bytes(tagClientData, []byte(client)).Sum())
}

func armor(typ string, blob []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: blob})
}

var passkeyKinds = []string{statement.Passkey256, statement.Passkey25519}

func TestPasskeySigns(t *testing.T) {
	for _, kind := range passkeyKinds {
		d, other := newDevice(t, kind, "alice"), newDevice(t, kind, "bob")
		for _, c := range []struct {
			flags byte
			want  Flags
		}{
			{0x05, Flags{SecurityKey: true, Present: true, Verified: true, Counter: 9}},
			{0x0d, Flags{Present: true, Verified: true, Counter: 9}},
			{0x1d, Flags{Present: true, Verified: true, Counter: 9}},
		} {
			d.Flags = c.flags
			armored := d.approves(t, Approve, message)
			got, err := Verify(armored, Approve, message, []Key{other.key, {}, d.key})
			if err != nil || got.Index != 2 || !got.Key.Equal(d.key) || got.Flags != c.want {
				t.Errorf("%s with flags %#x: %+v, %v", kind, c.flags, got, err)
			}
		}
		armored := d.approves(t, Approve, message)
		sig, err := Parse(armored)
		if err != nil {
			t.Fatal(err)
		}
		if v, ok := sig.Verb(); !ok || v != Approve || !bytes.Equal(sig.Armored(), armored) {
			t.Errorf("%s: parsed as %q, %s", kind, v, sig.Armored())
		}
		for name, c := range map[string]struct {
			verb    Verb
			message []byte
			allowed []Key
			want    error
		}{
			"other bytes": {Approve, append([]byte(" "), message...), []Key{d.key}, ErrBytes},
			"other use":   {Reject, message, []Key{d.key}, ErrNamespace},
			"stranger":    {Approve, message, []Key{other.key}, ErrStranger},
		} {
			if _, err := Verify(armored, c.verb, c.message, c.allowed); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: error is %v, want %v", kind, name, err, c.want)
			}
		}
	}
}

// Answers of a real browser: Chromium 156 with its virtual authenticator (CTAP 2, user verification), on a page of localhost.
func TestChromium(t *testing.T) {
	raw, err := os.ReadFile("testdata/chromium.json")
	if err != nil {
		t.Fatal(err)
	}
	var answers []struct {
		Key string
		Got json.RawMessage
	}
	if err := json.Unmarshal(raw, &answers); err != nil || len(answers) != len(passkeyKinds) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for i, a := range answers {
		k := parsed(t, a.Key)
		if k.Type() != passkeyKinds[i] {
			t.Fatalf("%s, not of type %s", k, passkeyKinds[i])
		}
		armored, err := FromPasskey(k, Approve, message, a.Got)
		if err != nil {
			t.Fatal(err)
		}
		sig, err := Parse(armored)
		if err != nil {
			t.Fatal(err)
		}
		made, hash := sig.form.(assertion), sha256.Sum256(sig.form.(assertion).client)
		if point, _ := oneText(base64.StdEncoding, lastWord(a.Key)); !coseVerify(t, k.Type(), point, slices.Concat(made.data, hash[:]), made.sig) {
			t.Errorf("%s: the library refuses what Chromium made", k.Type())
		}
		got, err := Verify(armored, Approve, message, []Key{k})
		if want := (Flags{SecurityKey: true, Present: true, Verified: true, Counter: 2}); err != nil || got.Flags != want {
			t.Errorf("%s: %+v, %v", k.Type(), got, err)
		}
	}
}

// Whoever lists another's public key as their own, under another credential id, gets nothing of what the other signs.
func TestAPasskeySignsForOneLine(t *testing.T) {
	for _, kind := range passkeyKinds {
		d := newDevice(t, kind, "alice")
		thief := parsed(t, strings.Replace(d.key.String(), b64(d.ID), b64([]byte("id of mallory")), 1))
		blob, _ := pem.Decode(d.approves(t, Approve, message))
		stolen := bytes.Replace(blob.Bytes, []byte(d.key.String()), []byte(thief.String()), 1)
		// The lines differ in length: write the claim anew.
		tail := blob.Bytes[len(claim(d.key, Approve).Sum()):]
		stolen = append(claim(thief, Approve).Sum(), tail...)
		if _, err := Verify(armor(passkeyType, stolen), Approve, message, []Key{d.key, thief}); !errors.Is(err, ErrBytes) {
			t.Errorf("%s: a signature serves another line of the same key: %v", kind, err)
		}
	}
}

// The attacker holds the authenticator's answer to anything that it would sign, but each part must be right.
func TestAssertionsRefused(t *testing.T) {
	for _, kind := range passkeyKinds {
		d := newDevice(t, kind, "alice")
		c := PasskeyChallenge(d.key, Approve, message)
		good, client := d.Data(), d.ClientData("webauthn.get", c[:])
		with := func(old, new string) string {
			if !strings.Contains(client, old) {
				t.Fatalf("%s is not in %s", old, client)
			}
			return strings.Replace(client, old, new, 1)
		}
		flags := func(f byte) []byte { b := bytes.Clone(good); b[32] = f; return b }
		text := b64(c[:])
		for name, x := range map[string]struct {
			data   []byte
			client string
			want   error
		}{
			"good":                    {good, client, nil},
			"members added":           {good, with("}", `,"other":{"type":["x"]},"n":1e999}`), nil},
			"no crossOrigin":          {good, with(`,"crossOrigin":false`, ""), nil},
			"another order":           {good, fmt.Sprintf(`{"origin":%q, "challenge":%q, "type":"webauthn.get"}`, testOrigin, text), nil},
			"other rpID":              {d.of("example.org", testOrigin, 0x05).Data(), client, ErrMalformed},
			"nobody present":          {flags(0x04), client, ErrMalformed},
			"not verified":            {flags(0x01), client, ErrMalformed},
			"neither":                 {flags(0x00), client, ErrMalformed},
			"copied and not eligible": {flags(0x15), client, ErrMalformed},
			"reserved flag 1":         {flags(0x07), client, ErrMalformed},
			"reserved flag 5":         {flags(0x25), client, ErrMalformed},
			"attested data":           {flags(0x45), client, ErrMalformed},
			"extensions":              {flags(0x85), client, ErrMalformed},
			"with extensions":         {append(flags(0x85), 0xa0), client, ErrMalformed},
			"data too short":          {good[:36], client, ErrMalformed},
			"data too long":           {append(bytes.Clone(good), 0), client, ErrMalformed},
			"no data":                 {nil, client, ErrMalformed},
			"created":                 {good, with("webauthn.get", "webauthn.create"), ErrMalformed},
			"payment":                 {good, with("webauthn.get", "payment.get"), ErrMalformed},
			"type in another case":    {good, with("webauthn.get", "WebAuthn.get"), ErrMalformed},
			"type is a number":        {good, with(`"webauthn.get"`, "1"), ErrMalformed},
			"no type":                 {good, with(`"type":"webauthn.get",`, ""), ErrMalformed},
			"null type":               {good, with(`"webauthn.get"`, "null"), ErrMalformed},
			"other challenge":         {good, with(text, b64(make([]byte, 32))), ErrBytes},
			"challenge with padding":  {good, with(text, text+"="), ErrBytes},
			"challenge, stray bits":   {good, with(text, text[:42]+string(stray(text[42]))), ErrBytes},
			"challenge cut":           {good, with(text, text[:42]), ErrBytes},
			"no challenge":            {good, with(`"challenge":"`+text+`",`, ""), ErrMalformed},
			"challenge is a number":   {good, with(`"`+text+`"`, "1"), ErrMalformed},
			"challenge twice":         {good, with("{", `{"challenge":"x",`), ErrMalformed},
			"challenge in Unicode":    {good, with("{", `{"c\u0068allenge":"`+text+`",`), ErrMalformed},
			"Challenge besides":       {good, with("{", `{"Challenge":"x",`), ErrMalformed},
			"other origin":            {good, with("7707", "7708"), ErrMalformed},
			"origin in other case":    {good, with("//localhost", "//LOCALHOST"), ErrMalformed},
			"origin with a path":      {good, with("7707", "7707/"), ErrMalformed},
			"origin of https":         {good, with("http:", "https:"), ErrMalformed},
			"no origin":               {good, with(fmt.Sprintf(`,"origin":%q`, testOrigin), ""), ErrMalformed},
			"origin is a list":        {good, with(fmt.Sprintf("%q", testOrigin), fmt.Sprintf("[%q]", testOrigin)), ErrMalformed},
			"within another page":     {good, with("false", "true"), ErrMalformed},
			"crossOrigin is a text":   {good, with("false", `"false"`), ErrMalformed},
			"crossOrigin is null":     {good, with("false", `null`), ErrMalformed},
			"topOrigin":               {good, with("false", `false,"topOrigin":"`+testOrigin+`"`), ErrMalformed},
			"tokenBinding":            {good, with("false", `false,"tokenBinding":{"status":"present","id":"x"}`), ErrMalformed},
			"not UTF-8":               {good, with("}", ",\"x\":\"\xff\"}"), ErrMalformed},
			"byte order mark":         {good, "\ufeff" + client, ErrMalformed},
			"a list":                  {good, "[" + client + "]", ErrMalformed},
			"two objects":             {good, client + client, ErrMalformed},
			"after the object":        {good, client + "x", ErrMalformed},
			"unfinished":              {good, client[:len(client)-1], ErrMalformed},
			"empty":                   {good, "", ErrMalformed},
			"too long":                {good, with("}", strings.Repeat(" ", maxClientData)+"}"), ErrMalformed},
		} {
			_, err := Verify(d.forged(t, Approve, x.data, x.client), Approve, message, []Key{d.key})
			if !errors.Is(err, x.want) || (err == nil) != (x.want == nil) {
				t.Errorf("%s, %s: error is %v, want %v", kind, name, err, x.want)
			}
			c := claimed{x.data, x.client}
			if second := c.library(d, Approve, message); err == nil && second != nil || (err != nil && second == nil) != stricter[name] {
				t.Errorf("%s, %s: we say %v, the library %v", kind, name, err, second)
			}
			if says := sentences[name]; err != nil && !strings.Contains(err.Error(), says) {
				t.Errorf("%s, %s: error is %v, want one with %q", kind, name, err, says)
			}
		}
	}
}

// sentences are of the refusals that people meet.
var sentences = map[string]string{
	"other rpID": "another rpID than localhost", "nobody present": "saw nobody", "not verified": "did not verify its owner", "other origin": "made on a page of",
	"other challenge": "its challenge is of other bytes", "created": "not \"webauthn.get\"", "within another page": "another site's page",
}

// stray has another last bit, which is none of the 256: 43 characters hold 258.
func stray(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

// No bit of a signature may differ, whatever it stands for.
func TestEveryBitOfABlobCounts(t *testing.T) {
	s := decision(t, statement.Intent)
	w := newWallet(t, "alice")
	for _, c := range []struct {
		typ     string
		key     Key
		armored []byte
	}{
		{passkeyType, newDevice(t, statement.Passkey256, "alice").key, newDevice(t, statement.Passkey256, "alice").approves(t, Approve, s.Bytes())},
		{passkeyType, newDevice(t, statement.Passkey25519, "alice").key, newDevice(t, statement.Passkey25519, "alice").approves(t, Approve, s.Bytes())},
		{accountType, w.key, w.approves(t, Approve, s)},
	} {
		block, _ := pem.Decode(c.armored)
		if block.Type != c.typ {
			t.Fatalf("armored as %q", block.Type)
		}
		for i := range 8 * len(block.Bytes) {
			bad := bytes.Clone(block.Bytes)
			bad[i/8] ^= 1 << (i % 8)
			if got, err := Verify(armor(c.typ, bad), Approve, s.Bytes(), []Key{c.key}); err == nil {
				t.Errorf("%s: bit %d of byte %d flipped: %+v", c.key.Type(), i%8, i/8, got)
			}
		}
		for name, bad := range map[string][]byte{"cut": block.Bytes[:len(block.Bytes)-1], "longer": append(bytes.Clone(block.Bytes), 0), "empty": nil} {
			if _, err := Parse(armor(c.typ, bad)); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s, %s: %v", c.key.Type(), name, err)
			}
		}
	}
}

// Authenticators give either s. What we store has the lower one, and nobody can write the other.
func TestLowerS(t *testing.T) {
	d := newDevice(t, statement.Passkey256, "alice")
	n := elliptic.P256().Params().N
	flip := func(der []byte) []byte {
		var sig ecdsaSignature
		if _, err := asn1.Unmarshal(der, &sig); err != nil {
			t.Fatal(err)
		}
		out, _ := asn1.Marshal(ecdsaSignature{sig.R, new(big.Int).Sub(n, sig.S)})
		return out
	}
	straight, turned := d, d
	turned.Sign = func(b []byte) []byte { return flip(d.Sign(b)) }
	one, two := straight.approves(t, Approve, message), turned.approves(t, Approve, message)
	if !bytes.Equal(one, two) {
		t.Error("s and n−s give two signatures")
	}
	block, _ := pem.Decode(one)
	at := len(claim(d.key, Approve).Sum()) + 6
	s := new(big.Int).SetBytes(block.Bytes[at+32 : at+64])
	new(big.Int).Sub(n, s).FillBytes(block.Bytes[at+32 : at+64])
	if _, err := Parse(armor(passkeyType, block.Bytes)); !errors.Is(err, ErrMalformed) || !strings.Contains(err.Error(), "above half") {
		t.Errorf("the higher s: %v", err)
	}
}

func TestFromPasskeyRefuses(t *testing.T) {
	d, other := newDevice(t, statement.Passkey256, "alice"), newDevice(t, statement.Passkey256, "bob")
	c := PasskeyChallenge(d.key, Approve, message)
	client := d.ClientData("webauthn.get", c[:])
	good := d.Answer(d.Data(), client)
	broken := d
	broken.Sign = func(b []byte) []byte { return append(d.Sign(b), 0) }
	zero := d
	zero.Sign = func([]byte) []byte { b, _ := asn1.Marshal(ecdsaSignature{new(big.Int), big.NewInt(1)}); return b }
	for name, x := range map[string]struct {
		key      Key
		response []byte
		want     string
	}{
		"another passkey":  {d.key, other.Answer(d.Data(), client), "another passkey answered"},
		"an SSH key":       {mustKey(t, newEd25519(t)), good, "no passkey"},
		"no JSON":          {d.key, []byte("{"), "sign with passkey"},
		"too long":         {d.key, bytes.Repeat([]byte(" "), maxResponse+1), "at most"},
		"not in DER":       {d.key, broken.Answer(d.Data(), client), "in DER"},
		"r is 0":           {d.key, zero.Answer(d.Data(), client), "in DER"},
		"another's":        {d.key, bytes.ReplaceAll(other.Answer(d.Data(), client), []byte(b64(other.ID)), []byte(b64(d.ID))), "does not cover"},
		"other challenge":  {d.key, d.Answer(d.Data(), d.ClientData("webauthn.get", make([]byte, 32))), "challenge"},
		"with attestation": {d.key, d.Answer(append(d.Data(), 1, 2, 3), client), "sign with passkey"},
	} {
		if _, err := FromPasskey(x.key, Approve, message, x.response); err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: error is %v, want one with %q", name, err, x.want)
		}
	}
	if _, err := FromPasskey(d.key, Approve, message, good); err != nil {
		t.Error(err)
	}
}

// of is the same credential on another page, with other flags.
func (d device) of(rpID, origin string, flags byte) device {
	d.RPID, d.Origin, d.Flags = rpID, origin, flags
	return d
}

func TestPasskeyLines(t *testing.T) {
	d, e := newDevice(t, statement.Passkey256, "alice"), newDevice(t, statement.Passkey25519, "alice")
	line := d.key.String()
	words := strings.Fields(line)
	at := func(i int, new string) string {
		w := slices.Clone(words)
		w[i] = new
		return strings.Join(w, " ")
	}
	origin := func(rpID, origin string) string {
		w := slices.Clone(words)
		w[1], w[2] = rpID, origin
		return strings.Join(w, " ")
	}
	for name, bad := range map[string]string{
		"no public key": strings.Join(words[:4], " "), "type alone": words[0], "other curve": at(0, "webauthn-p384"), "type in other case": at(0, "WEBAUTHN-P256"),
		"key of another type": at(0, statement.Passkey25519), "Ed25519 as P-256": strings.Replace(e.key.String(), statement.Passkey25519, statement.Passkey256, 1),
		"uncompressed": at(4, base64.StdEncoding.EncodeToString(append([]byte{4}, make([]byte, 64)...))), "no point": at(4, base64.StdEncoding.EncodeToString(append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...))),
		"no base64": at(4, "!"), "base64 without padding": strings.TrimRight(e.key.String(), "="), "identity": strings.Join([]string{statement.Passkey25519, words[1], words[2], words[3], base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 31)...))}, " "),
		"credential with padding": at(3, words[3]+"="), "credential with stray bits": at(3, "-_9"), "credential too long": at(3, b64(make([]byte, 1024))),
		"standard base64": at(3, "+/8"), "line feed": strings.Replace(line, " ", "\n", 1),
		"rpID in upper case": origin("LOCALHOST", testOrigin), "rpID an address": origin("127.0.0.1", "http://127.0.0.1:7707"), "rpID a top domain": origin("org", "https://example.org"),
		"rpID of another": origin("example.com", "https://example.org"), "suffix, no domain": origin("ample.org", "https://example.org"), "rpID with an empty label": origin("example..org", "https://example..org"),
		"rpID with a hyphen": origin("-x.org", "https://-x.org"), "rpID too long": origin(strings.Repeat("a.", 130)+"org", "https://"+strings.Repeat("a.", 130)+"org"),
		"http elsewhere": origin("example.org", "http://example.org"), "path": origin("localhost", testOrigin+"/"), "query": origin("localhost", testOrigin+"?x"), "user": origin("localhost", "http://x@localhost:1"),
		"usual port": origin("localhost", "http://localhost:80"), "usual port of https": origin("example.org", "https://example.org:443"), "port 0": origin("localhost", "http://localhost:0"),
		"leading zero": origin("localhost", "http://localhost:07"), "port too high": origin("localhost", "http://localhost:65536"), "no port": origin("localhost", "http://localhost:"),
		"origin in upper case": origin("localhost", "HTTP://localhost:7707"), "no scheme": origin("localhost", "localhost:7707"), "null": origin("localhost", "null"), "android": origin("localhost", "android:apk-key-hash:x"),
	} {
		if k, err := ParseKey(bad); err == nil {
			t.Errorf("%s: accepted as %s", name, k)
		}
	}
	for name, good := range map[string]string{
		"as it is": line, "http": origin("localhost", "http://localhost"), "https": origin("example.org", "https://example.org"), "below": origin("example.org", "https://sign.example.org:8443"),
		"https on localhost": origin("localhost", "https://localhost:8443"), "long credential": at(3, b64(make([]byte, 1023))),
	} {
		k, err := ParseKey(" " + good + "  phone of alice\n")
		if err != nil || k.String() != good || k.IsZero() || k.Type() != statement.Passkey256 {
			t.Errorf("%s: %s, %v", name, k, err)
		}
	}
	p, ok := d.key.Passkey()
	if !ok || p.RPID != "localhost" || p.Origin != testOrigin || string(p.Credential) != "id of alice" {
		t.Errorf("it says %+v", p)
	}
	if _, ok := mustKey(t, newEd25519(t)).Passkey(); ok {
		t.Error("an SSH key is a passkey")
	}
	for k, outside := range map[string]bool{line: true, newWallet(t, "alice").key.String(): true, mustKey(t, newEd25519(t)).String(): false} {
		if got := parsed(t, k).Outside(); got != outside {
			t.Errorf("%s signs outside: %v", k, got)
		}
	}
	if (Key{}).Outside() {
		t.Error("no key signs outside")
	}
	if f := d.key.Fingerprint(); !strings.HasPrefix(f, "SHA256:") || f == e.key.Fingerprint() {
		t.Errorf("fingerprint is %s", f)
	}
}
