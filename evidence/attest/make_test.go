package attest

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	encoding "encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// What is self-made is signed by keys that exist in tests alone, and its issuers are called so.

var (
	noon    = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)
	rootKey = sync.OnceValue(newKey)
	ourKey  = sync.OnceValue(newKey)
)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// issue makes a certificate; nil signs itself.
func issue(t testing.TB, template *x509.Certificate, key *rsa.PrivateKey, by *x509.Certificate, byKey *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if template.SerialNumber == nil {
		template.SerialNumber = big.NewInt(4711)
	}
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = noon.AddDate(-1, 0, 0), noon.AddDate(1, 0, 0)
	}
	if by == nil {
		by, byKey = template, key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func selfmadeRoot(t testing.TB) *x509.Certificate {
	return issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Self-made root of a test"}, SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, rootKey(), nil, nil)
}

func selfmadeSigner(t testing.TB, names ...string) *x509.Certificate {
	return issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Self-made signer of a test"}, DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ourKey(), selfmadeRoot(t), rootKey())
}

func toPEM(certificates ...*x509.Certificate) (out []byte) {
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// A bag is PKCS#7 that is about to be made. Its fields can be spoilt one by one.
type bag struct {
	content      []byte
	signed       []byte // over which the digest is made, where it is not content
	certificates []*x509.Certificate
	signer       *x509.Certificate
	key          *rsa.PrivateKey
	digest       encoding.ObjectIdentifier
	algorithm    encoding.ObjectIdentifier
	attributes   bool
	version      int64
	signers      int
	unsigned     bool                    // an unsigned attribute beside
	set          func([][]byte) [][]byte // spoils the list of attributes, in their order
	digests      int                     // algorithms in the list of digests
	detached     bool
}

func newBag(content []byte, signer *x509.Certificate) *bag {
	return &bag{content: content, signer: signer, key: ourKey(), digest: oidSHA256, algorithm: oidRSA, attributes: true, version: 1, signers: 1, digests: 1}
}

func (b *bag) der(t testing.TB) []byte {
	t.Helper()
	var e cryptobyte.Builder
	e.AddASN1(asn1.SEQUENCE, func(e *cryptobyte.Builder) {
		e.AddASN1ObjectIdentifier(oidSignedData)
		e.AddASN1(tagContent, func(e *cryptobyte.Builder) {
			e.AddASN1(asn1.SEQUENCE, func(e *cryptobyte.Builder) {
				e.AddASN1Int64(b.version)
				e.AddASN1(asn1.SET, func(e *cryptobyte.Builder) {
					for range b.digests {
						identifier(e, b.digest)
					}
				})
				e.AddASN1(asn1.SEQUENCE, func(e *cryptobyte.Builder) {
					e.AddASN1ObjectIdentifier(oidData)
					if !b.detached {
						e.AddASN1(tagContent, func(e *cryptobyte.Builder) { e.AddASN1OctetString(b.content) })
					}
				})
				if len(b.certificates) > 0 {
					e.AddASN1(tagContent, func(e *cryptobyte.Builder) {
						for _, c := range b.certificates {
							e.AddBytes(c.Raw)
						}
					})
				}
				e.AddASN1(asn1.SET, func(e *cryptobyte.Builder) {
					for range b.signers {
						b.info(t, e)
					}
				})
			})
		})
	})
	return e.BytesOrPanic()
}

func identifier(e *cryptobyte.Builder, id encoding.ObjectIdentifier) {
	e.AddASN1(asn1.SEQUENCE, func(e *cryptobyte.Builder) { e.AddASN1ObjectIdentifier(id); e.AddASN1NULL() })
}

func attributeOf(id encoding.ObjectIdentifier, value func(*cryptobyte.Builder)) []byte {
	var e cryptobyte.Builder
	e.AddASN1(asn1.SEQUENCE, func(e *cryptobyte.Builder) { e.AddASN1ObjectIdentifier(id); e.AddASN1(asn1.SET, value) })
	return e.BytesOrPanic()
}

func (b *bag) info(t testing.TB, e *cryptobyte.Builder) {
	data := b.content
	if b.signed != nil {
		data = b.signed
	}
	sum := sha256.Sum256(data)
	var attributes []byte
	if b.attributes {
		all := [][]byte{
			attributeOf(oidContentType, func(e *cryptobyte.Builder) { e.AddASN1ObjectIdentifier(oidData) }),
			attributeOf(oidSigningTime, func(e *cryptobyte.Builder) { e.AddASN1UTCTime(noon) }),
			attributeOf(oidMessageDigest, func(e *cryptobyte.Builder) { e.AddASN1OctetString(sum[:]) }),
		}
		if b.set != nil {
			all = b.set(all)
		}
		attributes = slices.Concat(all...)
		var set cryptobyte.Builder
		set.AddASN1(asn1.SET, func(e *cryptobyte.Builder) { e.AddBytes(attributes) })
		sum = sha256.Sum256(set.BytesOrPanic())
	}
	signature, err := rsa.SignPKCS1v15(rand.Reader, b.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	e.AddASN1(asn1.SEQUENCE, func(e *cryptobyte.Builder) {
		e.AddASN1Int64(1)
		e.AddASN1(asn1.SEQUENCE, func(e *cryptobyte.Builder) { e.AddBytes(b.signer.RawIssuer); e.AddASN1BigInt(b.signer.SerialNumber) })
		identifier(e, b.digest)
		if b.attributes {
			e.AddASN1(tagContent, func(e *cryptobyte.Builder) { e.AddBytes(attributes) })
		}
		identifier(e, b.algorithm)
		e.AddASN1OctetString(signature)
		if b.unsigned {
			e.AddASN1(asn1.Tag(1).Constructed().ContextSpecific(), func(e *cryptobyte.Builder) {
				e.AddBytes(attributeOf(oidSigningTime, func(e *cryptobyte.Builder) { e.AddASN1UTCTime(noon) }))
			})
		}
	})
}

func inBase64(b []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(b)) }

const awsText = `{"accountId":"123456789012","availabilityZone":"eu-test-1a","imageId":"ami-0","instanceId":"i-0","instanceType":"m7","pendingTime":"2026-11-27T11:00:00Z","privateIp":null,"region":"eu-test-1","version":"2017-09-30"}`

// gcpClaims are those of a token that is as it should be.
func gcpClaims(about Subject) map[string]any {
	return map[string]any{
		"iss": gcpIssuer, "aud": about.Audience(), "azp": "1", "sub": "1", "iat": noon.Unix(), "exp": noon.Add(time.Hour).Unix(),
		"google": map[string]any{"compute_engine": map[string]any{
			"project_id": "account-1", "project_number": 42, "zone": "region-1-a", "instance_id": "7", "instance_name": "selfmade",
			"instance_creation_timestamp": noon.Add(-time.Hour).Unix(), "license_id": []string{"1"},
		}},
	}
}

const selfmadeKey = "selfmade-key"

func gcpKeys() []byte {
	b, _ := json.Marshal(map[string]any{"keys": []any{map[string]any{
		"kid": selfmadeKey, "kty": "RSA", "use": "sig", "alg": "RS256", "e": "AQAB", "n": base64.RawURLEncoding.EncodeToString(ourKey().N.Bytes()),
	}}})
	return b
}

func gcpToken(t testing.TB, header string, claims any, key *rsa.PrivateKey) string {
	t.Helper()
	payload, ok := claims.(string)
	if !ok {
		b, err := json.Marshal(claims)
		if err != nil {
			t.Fatal(err)
		}
		payload = string(b)
	}
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(payload))
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const gcpHeader = `{"alg":"RS256","kid":"` + selfmadeKey + `","typ":"JWT"}`

func azureText(nonce string) string {
	return `{"licenseType":"","nonce":"` + nonce + `","plan":{"name":"","product":"","publisher":""},"sku":"12","subscriptionId":"00000000-0000-0000-0000-000000000001",` +
		`"timeStamp":{"createdOn":"11/27/26 12:00:00 -0000","expiresOn":"11/27/26 18:00:00 -0000"},"vmId":"00000000-0000-0000-0000-000000000002"}`
}

func azureEnvelope(der []byte) []byte {
	return []byte(`{"encoding":"pkcs7","signature":"` + base64.StdEncoding.EncodeToString(der) + `"}`)
}

func subject(operator, place string) Subject {
	seed := sha256.Sum256([]byte(operator))
	return Subject{Node: ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey), Operator: operator, Place: place}
}

func wantError(t *testing.T, what string, err error, part string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: accepted", what)
	} else if !strings.Contains(err.Error(), part) {
		t.Errorf("%s: %v: %q is not in it", what, err, part)
	}
}
