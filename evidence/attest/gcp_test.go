package attest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func keys(t testing.TB) Keys {
	t.Helper()
	k, err := ReadKeys(gcpKeys())
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSelfmadeGCP(t *testing.T) {
	about := subject("bolt", "main")
	token := gcpToken(t, gcpHeader, gcpClaims(about), ourKey())
	c, err := GCP([]byte(token+"\n"), keys(t), about, noon.Add(30*time.Minute))
	want := Claim{
		Provider: "gcp", Account: "account-1", Also: "42", Region: "region-1", Zone: "region-1-a", Instance: "7", Started: noon.Add(-time.Hour), Issued: noon, Expires: noon.Add(time.Hour),
		Bound: true, Notes: []string{noteBound},
	}
	if err != nil || !same(c, want) || c.Class() != Attested {
		t.Errorf("%+v, %v", c, err)
	}
	if c, err := GCP([]byte(token), keys(t), Subject{}, noon); err != nil || c.Bound || c.Class() != Declared || c.Notes[0] != noteNobody {
		t.Errorf("asked for nobody: %+v, %v", c, err)
	}
	for _, audience := range []string{"https://example.com", about.Nonce(), audiencePrefix, audiencePrefix + "x", about.Audience() + "x", strings.ToUpper(about.Audience())} {
		token := gcpToken(t, gcpHeader, change(about, "aud", audience), ourKey())
		if c, err := GCP([]byte(token), keys(t), about, noon); err != nil || c.Bound || c.Class() != Declared || c.Notes[0] != noteUnbound {
			t.Errorf("audience %s: %+v, %v", audience, c, err)
		}
	}
}

// A document that somebody saw serves no other node, no other place of the same node, and not under another operator's name.
func TestReplayedDocuments(t *testing.T) {
	about := subject("bolt", "main")
	token := gcpToken(t, gcpHeader, gcpClaims(about), ourKey())
	b, trusted := selfmadeAzure(t, azureText(about.Nonce()))
	document := azureEnvelope(b.der(t))
	for what, other := range map[string]Subject{"another node": {subject("acme", "main").Node, "bolt", "main"}, "another place": {about.Node, "bolt", "second"}, "another operator": {about.Node, "acme", "main"}} {
		_, err := GCP([]byte(token), keys(t), other, noon)
		wantError(t, what+", Google", err, "names another node or place")
		_, err = Azure(document, trusted, other, noon)
		wantError(t, what+", Azure", err, "names another node or place")
	}
	// Without a text of its own, any document is anybody's, and is not believed.
	for _, other := range []Subject{about, subject("acme", "main")} {
		b, _ := selfmadeAzure(t, azureText("20261127-180000"))
		c, err := Azure(azureEnvelope(b.der(t)), trusted, other, noon)
		if err != nil || c.Bound || c.Class() != Declared || c.Notes[0] != noteUnbound {
			t.Errorf("%+v, %v", c, err)
		}
	}
	c, err := AWS(nil, file(t, "recorded/aws-us-west-2.rsa2048"), pinned(t), noon)
	if err != nil || c.Class() != Declared || c.Notes[0] != noteUnbound {
		t.Errorf("%+v, %v", c, err)
	}
}

// change makes claims with one of them changed; nil takes it away. A path has dots.
func change(about Subject, path string, value any) map[string]any {
	all := gcpClaims(about)
	at := all
	names := strings.Split(path, ".")
	for _, name := range names[:len(names)-1] {
		at = at[name].(map[string]any)
	}
	if name := names[len(names)-1]; value == nil {
		delete(at, name)
	} else {
		at[name] = value
	}
	return all
}

func TestSelfmadeGCPRefuses(t *testing.T) {
	about := subject("bolt", "main")
	good := gcpClaims(about)
	text, _ := json.Marshal(good)
	for _, x := range []struct {
		what, header string
		claims       any
		want         string
	}{
		{"no algorithm", `{"alg":"none","kid":"` + selfmadeKey + `"}`, good, `algorithm "none"`},
		{"a keyed hash", `{"alg":"HS256","kid":"` + selfmadeKey + `"}`, good, `algorithm "HS256"`},
		{"another padding", `{"alg":"PS256","kid":"` + selfmadeKey + `"}`, good, `algorithm "PS256"`},
		{"an extension", `{"alg":"RS256","kid":"` + selfmadeKey + `","crit":["x"]}`, good, "without extensions"},
		{"an unknown key", `{"alg":"RS256","kid":"other"}`, good, "none of those given"},
		{"no key", `{"alg":"RS256"}`, good, "kid is missing"},
		{"two algorithms", `{"alg":"RS256","alg":"none","kid":"` + selfmadeKey + `"}`, good, "twice"},
		{"another issuer", gcpHeader, change(about, "iss", "https://accounts.example.com"), "its issuer is"},
		{"no audience", gcpHeader, change(about, "aud", nil), "aud is missing"},
		{"two audiences", gcpHeader, change(about, "aud", []string{about.Audience(), "x"}), "aud is missing, or no plain text"},
		{"the standard format", gcpHeader, change(about, "google", nil), "format=full"},
		{"no instance", gcpHeader, change(about, "google.compute_engine.instance_id", nil), "instance_id is missing"},
		{"a zone without region", gcpHeader, change(about, "google.compute_engine.zone", "zone"), "none of a region"},
		{"a project number that is a text", gcpHeader, change(about, "google.compute_engine.project_number", "42"), "project_number is missing"},
		{"a project number with a fraction", gcpHeader, change(about, "google.compute_engine.project_number", 4.5), "no whole number"},
		{"expired", gcpHeader, change(about, "exp", noon.Unix()), "it expired"},
		{"from the future", gcpHeader, change(about, "iat", noon.Add(6*time.Minute).Unix()), "from the future"},
		{"a life of days", gcpHeader, change(about, "exp", noon.Add(3*time.Hour).Unix()), "it says that it holds"},
		{"a negative time", gcpHeader, change(about, "iat", -1), "iat is no time"},
		{"a time beyond all times", gcpHeader, change(about, "exp", int64(1)<<60), "exp is no time"},
		{"an instance from the future", gcpHeader, change(about, "google.compute_engine.instance_creation_timestamp", noon.Add(time.Hour).Unix()), "younger than the token"},
		{"a duplicate name", gcpHeader, `{"aud":"x",` + string(text[1:]), "twice"},
		{"a duplicate name below", gcpHeader, strings.Replace(string(text), `"project_id"`, `"project_id":"x","PROJECT_ID"`, 1), "twice"},
		{"bytes after it", gcpHeader, string(text) + "{}", "not JSON"},
		{"no object", gcpHeader, `"text"`, "no JSON object"},
	} {
		_, err := GCP([]byte(gcpToken(t, x.header, x.claims, ourKey())), keys(t), about, noon)
		wantError(t, x.what, err, x.want)
	}
}

// Forged and mangled tokens: by another key, with the public key as the secret of a keyed hash, with other text around.
func TestForgedGCP(t *testing.T) {
	about := subject("bolt", "main")
	token := gcpToken(t, gcpHeader, gcpClaims(about), ourKey())
	part := strings.Split(token, ".")
	other := strings.Split(gcpToken(t, gcpHeader, change(about, "google.compute_engine.project_id", "account-2"), ourKey()), ".")
	hash := hmac.New(sha256.New, ourKey().N.Bytes())
	hash.Write([]byte(part[0] + "." + part[1]))
	for what, forged := range map[string]string{
		"another key":             gcpToken(t, gcpHeader, gcpClaims(about), rootKey()),
		"a hash as signature":     part[0] + "." + part[1] + "." + base64.RawURLEncoding.EncodeToString(hash.Sum(nil)),
		"no signature":            part[0] + "." + part[1] + ".",
		"another payload":         part[0] + "." + other[1] + "." + part[2],
		"a part more":             token + "." + part[2],
		"a part less":             part[0] + "." + part[1],
		"padding":                 token + "==",
		"a line break":            part[0] + "." + part[1] + "." + part[2][:40] + "\n" + part[2][40:],
		"a space before":          " " + token,
		"bits after the last one": part[0] + "." + part[1] + "." + part[2][:len(part[2])-1] + string(part[2][len(part[2])-1]+1), // A, Q, g or w: four bits are none
		"nothing":                 "",
		"much":                    gcpToken(t, gcpHeader, change(about, "much", strings.Repeat("x", maxToken)), ourKey()),
	} {
		if _, err := GCP([]byte(forged), keys(t), about, noon); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}

func TestKeysRefuse(t *testing.T) {
	good := string(gcpKeys())
	for _, x := range []struct{ old, new, want string }{
		{`"RSA"`, `"EC"`, "no RSA key for RS256"}, {`"RS256"`, `"RS512"`, "no RSA key for RS256"}, {`"sig"`, `"enc"`, "no RSA key for RS256"}, {`"AQAB"`, `"Aw"`, "no RSA key for RS256"},
		{`"n":"`, `"n":"!`, "no RSA key for RS256"}, {`"kid"`, `"id"`, "kid is missing"}, {`{"keys":[`, `{"keys":[],"x":[`, "0 are listed"}, {`{"keys":[`, `{"keys":[1,`, "missing"},
		{`{"keys":`, `{"keys":[],"keys":`, "twice"},
	} {
		_, err := ReadKeys([]byte(strings.Replace(good, x.old, x.new, 1)))
		wantError(t, x.new, err, x.want)
	}
	one := good[len(`{"keys":[`) : len(good)-2]
	_, err := ReadKeys([]byte(`{"keys":[` + one + "," + one + `]}`))
	wantError(t, "a key twice", err, "listed twice")
	_, err = ReadKeys([]byte(`{"keys":[` + strings.Repeat("1,", maxKeys) + `1]}`))
	wantError(t, "many keys", err, "17 are listed")
}
