package attest

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// between is when the recorded document held.
var between = time.Date(2023, 3, 8, 20, 0, 0, 0, time.UTC)

func authorities(t testing.TB, files ...string) Authorities {
	t.Helper()
	all, err := PinnedAuthorities()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		more, err := ReadAuthorities(file(t, name))
		if err != nil {
			t.Fatal(err)
		}
		all = all.With(more)
	}
	return all
}

// A document that Microsoft signed, below the root that is pinned (testdata/SOURCES.md).
func TestRecordedAzure(t *testing.T) {
	document := file(t, "recorded/azure-usgovvirginia.json")
	trusted := authorities(t, "recorded/azure-issuing-ca-05.pem")
	got, err := Azure(document, trusted, subject("acme", "main"), between)
	if err != nil {
		t.Fatal(err)
	}
	want := Claim{
		Provider: "azure", Account: "0afbfffa-5df9-4a3b-987e-fe7577624272", Region: "usgovvirginia", Instance: "990878d4-068a-4ac4-9ee9-1231d2218ef2", Image: "18.04-LTS",
		Issued: time.Date(2023, 3, 8, 17, 9, 33, 0, time.UTC), Expires: time.Date(2023, 3, 8, 23, 9, 33, 0, time.UTC), Notes: []string{noteUnbound},
	}
	if !same(got, want) || got.Class() != Declared {
		t.Errorf("%+v", got)
	}
	_, err = Azure(document, authorities(t), Subject{}, between)
	wantError(t, "without its issuer", err, `the issuer's is needed, "Microsoft Azure TLS Issuing CA 05", from ["http://www.microsoft.com/pkiops/certs/`)
	alone := trusted
	alone.Roots = alone.Roots[1:]
	_, err = Azure(document, alone, Subject{}, between)
	wantError(t, "under another root", err, "no trusted certificate")
	_, err = Azure(document, trusted, Subject{}, between.Add(6*time.Hour))
	wantError(t, "later", err, "it expired at 2023-03-08T23:09:33Z")
	_, err = Azure(document, trusted, Subject{}, between.Add(-4*time.Hour))
	wantError(t, "earlier", err, "from the future")
	_, err = Azure(document, trusted, Subject{}, noon)
	wantError(t, "after its certificate's time", err, "its signer's certificate")
}

// No byte of a recorded document can change, that of certificates that it carries beside its signer's included: there are none.
func TestEveryByteOfAzureCounts(t *testing.T) {
	var envelope struct{ Signature []byte }
	if err := json.Unmarshal(file(t, "recorded/azure-usgovvirginia.json"), &envelope); err != nil {
		t.Fatal(err)
	}
	trusted := authorities(t, "recorded/azure-issuing-ca-05.pem")
	for i := range envelope.Signature {
		changed := bytes.Clone(envelope.Signature)
		changed[i] ^= 1 << (i % 8)
		if c, err := Azure(azureEnvelope(changed), trusted, Subject{}, between); err == nil {
			t.Fatalf("byte %d: accepted: %+v", i, c)
		}
	}
}

// selfmadeAzure is a document that names a subject, and who is to be believed for it.
func selfmadeAzure(t testing.TB, content string, names ...string) (*bag, Authorities) {
	t.Helper()
	if names == nil {
		names = []string{"metadata.azure.com", "westeurope.metadata.azure.com"}
	}
	b := newBag([]byte(content), selfmadeSigner(t, names...))
	b.certificates, b.attributes, b.digest = []*x509.Certificate{b.signer}, false, oidSHA256RSA // as Azure's
	trusted, err := ReadAuthorities(toPEM(selfmadeRoot(t)))
	if err != nil {
		t.Fatal(err)
	}
	return b, trusted
}

func TestSelfmadeAzure(t *testing.T) {
	about := subject("acme", "main")
	b, trusted := selfmadeAzure(t, azureText(about.Nonce()))
	document := azureEnvelope(b.der(t))
	c, err := Azure(document, trusted, about, noon.Add(time.Hour))
	if err != nil || !c.Bound || c.Class() != Attested || c.Region != "westeurope" || len(c.Notes) != 1 || c.Notes[0] != noteBound {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = Azure(document, authorities(t), about, noon.Add(time.Hour))
	wantError(t, "a root of their own", err, "no trusted certificate")

	b, _ = selfmadeAzure(t, azureText(about.Nonce()), "metadata.azure.com")
	if c, err = Azure(azureEnvelope(b.der(t)), trusted, about, noon); err != nil || c.Region != "" {
		t.Errorf("without a region: %+v, %v", c, err)
	}
}

func TestSelfmadeAzureRefuses(t *testing.T) {
	about := subject("acme", "main")
	good := azureText(about.Nonce())
	_, trusted := selfmadeAzure(t, good)
	for _, x := range []struct {
		what  string
		names []string
		spoil func(*bag)
		want  string
	}{
		{"another's key", nil, func(b *bag) { b.key = rootKey() }, "the signature is wrong"},
		{"signature over other bytes", nil, func(b *bag) { b.signed = []byte(azureText("another")) }, "the signature is wrong"},
		{"no certificate", nil, func(b *bag) { b.certificates = nil }, "does not carry its signer's"},
		{"another certificate alone", nil, func(b *bag) { b.certificates = []*x509.Certificate{selfmadeRoot(t)} }, "does not carry its signer's"},
		{"SHA-1", nil, func(b *bag) { b.digest = oidSHA1 }, "SHA-1"},
		{"somebody else's certificate", []string{"example.com"}, nil, "not the metadata service's"},
		{"a name that ends alike", []string{"evilmetadata.azure.com"}, nil, "not the metadata service's"},
		{"a name that goes on", []string{"metadata.azure.com.example.com"}, nil, "not the metadata service's"},
		{"names for any region", []string{"*.metadata.azure.com"}, nil, "not the metadata service's"},
		{"two regions", []string{"a.metadata.azure.com", "b.metadata.azure.com"}, nil, "of two regions, a and b"},
		{"a duplicate name", nil, func(b *bag) { b.content = []byte(`{"subscriptionId":"x",` + good[1:]) }, "twice"},
		{"a duplicate name below", nil, replaced(`"createdOn"`, `"expiresOn":"01/01/30 00:00:00 -0000","createdOn"`), "twice"},
		{"no subscription", nil, replaced(`"subscriptionId"`, `"subscription"`), "subscriptionId is missing"},
		{"no machine", nil, replaced(`"vmId"`, `"vm"`), "vmId is missing"},
		{"no times", nil, replaced(`"timeStamp"`, `"time"`), "timeStamp is missing"},
		{"a time that is none", nil, replaced(`11/27/26 18:00:00 -0000`, `27.11.2026 18:00`), "is no time"},
		{"a life of months", nil, replaced(`11/27/26 18:00:00`, `12/27/26 18:00:00`), "it says that it holds"},
		{"an end before its beginning", nil, replaced(`11/27/26 12:00:00`, `11/27/26 12:03:00`), "it says that it holds"},
		{"a nonce that is no text", nil, replaced(`"nonce":"`, `"nonce":7,"other":"`), "nonce is no plain text"},
	} {
		b, _ := selfmadeAzure(t, good, x.names...)
		if x.spoil != nil {
			x.spoil(b)
		}
		if x.what == "an end before its beginning" {
			replaced(`11/27/26 18:00:00`, `11/27/26 12:02:00`)(b)
		}
		_, err := Azure(azureEnvelope(b.der(t)), trusted, about, noon)
		wantError(t, x.what, err, x.want)
	}
	b, _ := selfmadeAzure(t, good)
	b.signer = issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Self-made client of a test"}, DNSNames: []string{"metadata.azure.com"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, ourKey(), selfmadeRoot(t), rootKey())
	b.certificates = []*x509.Certificate{b.signer}
	_, err := Azure(azureEnvelope(b.der(t)), trusted, about, noon)
	wantError(t, "a certificate for another use", err, "incompatible key usage")
	b, _ = selfmadeAzure(t, good)
	der := b.der(t)
	for what, document := range map[string]string{
		"another encoding": strings.Replace(string(azureEnvelope(der)), "pkcs7", "jws", 1), "no signature": `{"encoding":"pkcs7"}`, "nothing": "", "a list": `["pkcs7"]`,
		"two envelopes": string(azureEnvelope(der)) + "{}", "a signature twice": `{"encoding":"pkcs7","signature":"","signature":"` + base64.StdEncoding.EncodeToString(der) + `"}`,
	} {
		if _, err := Azure([]byte(document), trusted, about, noon); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
}
