package console

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/signet/signettest"
	"github.com/ostraka/ostraka/custody/statement"
)

const pageOrigin = "http://localhost:7707"

var passkeyKinds = []string{statement.Passkey256, statement.Passkey25519}

// on is the same credential on another page, with other flags.
func on(p signettest.Passkey, rpID, origin string, flags byte) signettest.Passkey {
	p.RPID, p.Origin, p.Flags = rpID, origin, flags
	return p
}

func TestReadRegistration(t *testing.T) {
	challenge := []byte("a challenge of the page")
	register := func(origin string, response []byte) (signet.Key, error) {
		return readRegistration("localhost", origin, challenge, response)
	}
	for _, kind := range passkeyKinds {
		d := signettest.NewPasskey(kind, "alice")
		if k, err := register(pageOrigin, d.Create(challenge)); err != nil || k.String() != d.Line() {
			t.Errorf("%s: %s, %v, want %s", kind, k, err, d.Line())
		}
		for name, response := range map[string][]byte{
			"other challenge": d.Create([]byte("x")),
			"other type":      d.Created(d.Attested(), d.ClientData("webauthn.get", challenge)),
			"other origin":    on(d, "localhost", "http://LOCALHOST:7707", 0x05).Create(challenge),
			"other rpID":      on(d, "example.org", pageOrigin, 0x05).Create(challenge),
			"not verified":    on(d, "localhost", pageOrigin, 0x01).Create(challenge),
			"nobody present":  on(d, "localhost", pageOrigin, 0x04).Create(challenge),
			"no key":          d.Created(d.Data(), d.ClientData("webauthn.create", challenge)),
			"an assertion":    d.Get(challenge),
			"too long":        bytes.Repeat([]byte(" "), maxAnswer+1),
			"empty":           nil,
		} {
			if k, err := register(pageOrigin, response); err == nil {
				t.Errorf("%s, %s: taken as %s", kind, name, k)
			}
		}
		if _, err := register("http://localhost:80", on(d, "localhost", "http://localhost:80", 0x05).Create(challenge)); err == nil {
			t.Errorf("%s: a key of an origin that browsers do not write so", kind)
		}
	}
	rsa := signettest.NewPasskey(statement.Passkey256, "alice")
	rsa.Public = map[int]any{1: 3, 3: -257, -1: bytes.Repeat([]byte{0xff}, 256), -2: []byte{1, 0, 1}}
	if _, err := register(pageOrigin, rsa.Create(challenge)); err == nil {
		t.Error("a passkey of RSA is taken")
	}
}

// What a real browser answered when it made a passkey; custody/signet reads what it signed with it.
func TestRegistrationsOfChromium(t *testing.T) {
	raw, err := os.ReadFile("../custody/signet/testdata/chromium.json")
	if err != nil {
		t.Fatal(err)
	}
	var answers []struct {
		Key, Origin string
		Created     json.RawMessage
	}
	if err := json.Unmarshal(raw, &answers); err != nil || len(answers) != len(passkeyKinds) {
		t.Fatalf("%d answers, %v", len(answers), err)
	}
	for _, a := range answers {
		k, err := readRegistration("localhost", a.Origin, []byte("a challenge of the page"), a.Created)
		if err != nil || k.String() != a.Key {
			t.Errorf("%s, %v, want %s", k, err, a.Key)
		}
	}
}

// A browser's answer of any bytes comes to nothing but an error, or to a key that has a line.
func FuzzReadRegistration(f *testing.F) {
	for _, kind := range passkeyKinds {
		f.Add(signettest.NewPasskey(kind, "alice").Create([]byte("c")))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		k, err := readRegistration("localhost", pageOrigin, []byte("c"), raw)
		if err != nil {
			return
		}
		if again, err := signet.ParseKey(k.String()); err != nil || !again.Equal(k) {
			t.Fatalf("its key %s does not parse: %v", k, err)
		}
	})
}
