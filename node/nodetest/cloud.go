package nodetest

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/ostraka/ostraka/custody/charter"
	"github.com/ostraka/ostraka/custody/signet"
	"github.com/ostraka/ostraka/custody/statement"
	"github.com/ostraka/ostraka/evidence/attest"
)

// A Cloud signs for instances as Google does, with a key that exists in one test alone.
type Cloud struct {
	t   testing.TB
	key *rsa.PrivateKey
}

// NewCloud makes one.
func NewCloud(t testing.TB) *Cloud {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return &Cloud{t, key}
}

func (c *Cloud) json(x any) []byte {
	c.t.Helper()
	b, err := json.Marshal(x)
	if err != nil {
		c.t.Fatal(err)
	}
	return b
}

// Keys are its keys of the day, as it publishes them.
func (c *Cloud) Keys() []byte {
	return c.json(map[string]any{"keys": []any{map[string]any{
		"kid": "selfmade-key", "kty": "RSA", "use": "sig", "alg": "RS256", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(c.key.N.Bytes()),
	}}})
}

// Token is what an instance of this project and region is given, in a node's name, for an hour.
func (c *Cloud) Token(about attest.Subject, project, region string, at time.Time) []byte {
	c.t.Helper()
	payload := c.json(map[string]any{
		"iss": "https://accounts.google.com", "aud": about.Audience(), "iat": at.Unix(), "exp": at.Add(time.Hour).Unix(),
		"google": map[string]any{"compute_engine": map[string]any{
			"project_id": project, "project_number": 42, "zone": region + "-a", "instance_id": "7", "instance_creation_timestamp": at.Add(-time.Hour).Unix(),
		}},
	})
	text := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"RS256","kid":"selfmade-key","typ":"JWT"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, c.key, crypto.SHA256, sum[:])
	if err != nil {
		c.t.Fatal(err)
	}
	return []byte(text + "." + base64.RawURLEncoding.EncodeToString(signature))
}

// Sighting is a sighting's file, signed by a person of this name.
func Sighting(t testing.TB, x charter.Sighting, by string) []byte {
	t.Helper()
	s, err := x.Statement(statement.Salt{1})
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte(s.Text()), NewPerson(t, by).Makes(t, s)...)
}

// Sighter is the list of one whose sightings are trusted.
func Sighter(t testing.TB, name string) map[string][]signet.Key {
	return map[string][]signet.Key{name: {NewPerson(t, name).Key}}
}
