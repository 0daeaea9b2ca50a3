package attest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/cryptobyte"
)

func pinned(t testing.TB) Regions {
	t.Helper()
	r, err := PinnedRegions()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Documents that Amazon signed, with Amazon's certificates (testdata/SOURCES.md).
func TestRecordedAWS(t *testing.T) {
	for _, c := range []struct {
		file string
		want Claim
	}{
		{"aws-us-west-2.rsa2048", Claim{
			Provider: "aws", Account: "278576220453", Region: "us-west-2", Zone: "us-west-2a", Instance: "i-078517ca8a70a1dde", Machine: "t2.medium", Image: "ami-0fa9e1f64142cde17",
			Started: time.Date(2021, 9, 3, 21, 25, 44, 0, time.UTC), Issued: time.Date(2021, 9, 3, 21, 25, 47, 0, time.UTC),
		}},
		{"aws-us-west-1.rsa2048", Claim{
			Provider: "aws", Account: "883474662888", Region: "us-west-1", Zone: "us-west-1c", Instance: "i-01b940c45fd11fe74", Machine: "t2.micro", Image: "ami-0ce3c55a31d29040e",
			Started: time.Date(2021, 9, 11, 0, 14, 18, 0, time.UTC), Issued: time.Date(2021, 9, 11, 0, 14, 22, 0, time.UTC),
		}},
	} {
		signature := file(t, "recorded/"+c.file)
		got, err := AWS(nil, signature, pinned(t), noon)
		if err != nil {
			t.Errorf("%s: %v", c.file, err)
			continue
		}
		if len(got.Notes) != 1 || got.Class() != Declared || got.Bound {
			t.Errorf("%s: notes %q, class %v: it names no node", c.file, got.Notes, got.Class())
		}
		got.Notes = nil
		if !same(got, c.want) {
			t.Errorf("%s: %+v, want %+v", c.file, got, c.want)
		}
		raw, _ := fromBase64(signature)
		p, err := readPKCS7(raw)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := AWS(p.content, signature, pinned(t), noon); err != nil {
			t.Errorf("%s beside its document: %v", c.file, err)
		}
		armoured := append(append([]byte("-----BEGIN PKCS7-----\n"), signature...), "-----END PKCS7-----\n"...)
		if _, err := AWS(nil, armoured, pinned(t), noon); err != nil {
			t.Errorf("%s in PEM: %v", c.file, err)
		}
		_, err = AWS(append(p.content, '\n'), signature, pinned(t), noon)
		wantError(t, c.file+" beside another document", err, "another document")
		_, err = AWS(nil, signature, pinned(t), time.Date(2021, 9, 1, 0, 0, 0, 0, time.UTC))
		wantError(t, c.file+" before its time", err, "from the future")
		_, err = AWS(nil, signature, pinned(t), time.Date(2222, 1, 1, 0, 0, 0, 0, time.UTC))
		wantError(t, c.file+" after the certificate's time", err, "holds from")
	}
}

func same(a, b Claim) bool {
	return a.Provider == b.Provider && a.Account == b.Account && a.Also == b.Also && a.Region == b.Region && a.Zone == b.Zone && a.Instance == b.Instance && a.Machine == b.Machine &&
		a.Image == b.Image && a.Started.Equal(b.Started) && a.Issued.Equal(b.Issued) && a.Expires.Equal(b.Expires) && a.Bound == b.Bound && slices.Equal(a.Notes, b.Notes)
}

// A region's certificate speaks for no other region.
func TestOtherRegionsDoNotSign(t *testing.T) {
	signature := file(t, "recorded/aws-us-west-2.rsa2048")
	all := pinned(t)
	_, err := AWS(nil, signature, Regions{"us-west-2": all["us-west-1"]}, noon)
	wantError(t, "another region's certificate", err, "none of those pinned")
	_, err = AWS(nil, signature, Regions{"us-west-1": all["us-west-2"]}, noon)
	wantError(t, "its certificate under another region", err, `no certificate is pinned for region "us-west-2"`)
}

// No byte of a recorded document can change.
func TestEveryByteOfAWSCounts(t *testing.T) {
	raw, err := fromBase64(file(t, "recorded/aws-us-west-2.rsa2048"))
	if err != nil {
		t.Fatal(err)
	}
	all := pinned(t)
	for i := range raw {
		changed := bytes.Clone(raw)
		changed[i] ^= 1 << (i % 8)
		if c, err := AWS(nil, inBase64(changed), all, noon); err == nil {
			t.Fatalf("byte %d: accepted: %+v", i, c)
		}
	}
	for n := range raw {
		if _, err := AWS(nil, inBase64(raw[:n]), all, noon); err == nil {
			t.Fatalf("cut to %d bytes: accepted", n)
		}
	}
	_, err = AWS(nil, inBase64(append(raw, 0)), all, noon)
	wantError(t, "a byte more", err, "1 bytes follow its end")
}

// The bare signature of a recorded document, by Amazon's certificate of 1024 bits, which is not pinned.
func TestRecordedBareAWS(t *testing.T) {
	document, signature := file(t, "recorded/aws-us-east-1.document"), file(t, "recorded/aws-us-east-1.signature")
	old, err := ReadRegions(file(t, "recorded/aws-2014.roots"))
	if err != nil {
		t.Fatal(err)
	}
	then := time.Date(2022, 3, 26, 0, 0, 0, 0, time.UTC)
	c, err := AWS(document, signature, pinned(t).With(old), then)
	if err != nil || c.Account != "628783029487" || c.Region != "us-east-1" || !slices.Contains(c.Notes, noteWeak) || c.Class() != Declared {
		t.Errorf("%+v, %v", c, err)
	}
	_, err = AWS(document, signature, pinned(t), then)
	wantError(t, "without its certificate", err, "the signature is wrong")
	_, err = AWS(document, signature, old, noon)
	wantError(t, "an expired certificate", err, "holds from 2014-06-05 to 2024-06-05")
	_, err = AWS(bytes.Replace(document, []byte("628783029487"), []byte("628783029488"), 1), signature, old, then)
	wantError(t, "another account", err, "the signature is wrong")
	_, err = AWS(nil, signature, old, then)
	wantError(t, "no document", err, "malformed")
}

// selfmadeAWS is a certificate as Amazon's are: it signs itself.
func selfmadeAWS(t testing.TB) *x509.Certificate {
	return issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Self-made AWS of a test"}, IsCA: true, BasicConstraintsValid: true}, ourKey(), nil, nil)
}

func TestSelfmadeAWSRefuses(t *testing.T) {
	c := selfmadeAWS(t)
	trusted := Regions{"eu-test-1": {c}}
	if got, err := AWS(nil, inBase64(newBag([]byte(awsText), c).der(t)), trusted, noon); err != nil || got.Account != "123456789012" {
		t.Fatalf("%+v, %v", got, err)
	}
	for _, x := range []struct {
		what  string
		spoil func(*bag)
		want  string
	}{
		{"wrong root", func(b *bag) { b.key = rootKey() }, "the signature is wrong"},
		{"another certificate named", func(b *bag) { b.signer = selfmadeRoot(t) }, "none of those pinned"},
		{"signature over other bytes", func(b *bag) { b.signed = []byte(strings.Replace(awsText, "123456789012", "123456789013", 1)) }, "over other bytes"},
		{"signature over other bytes, without attributes", func(b *bag) { b.signed, b.attributes = []byte("{}"), false }, "the signature is wrong"},
		{"SHA-1", func(b *bag) { b.digest = oidSHA1 }, "SHA-1"},
		{"DSA", func(b *bag) { b.algorithm = []int{1, 2, 840, 10040, 4, 3} }, "algorithm 1.2.840.10040.4.3"},
		{"no signer", func(b *bag) { b.signers = 0 }, "one signer"},
		{"two signers", func(b *bag) { b.signers = 2 }, "one signer"},
		{"another version", func(b *bag) { b.version = 3 }, "one signer"},
		{"no digest of the document", func(b *bag) { b.set = func(all [][]byte) [][]byte { return all[:2] } }, "one signer"},
		{"no type of the document", func(b *bag) { b.set = func(all [][]byte) [][]byte { return all[1:] } }, "one signer"},
		{"another type of the document", attributes(0, func(e *cryptobyte.Builder) { e.AddASN1ObjectIdentifier(oidSignedData) }, oidContentType), "one signer"},
		{"two digests in one attribute", attributes(2, func(e *cryptobyte.Builder) { e.AddASN1OctetString(nil); e.AddASN1OctetString(make([]byte, 32)) }, oidMessageDigest), "one signer"},
		{"a time that is none", attributes(1, func(e *cryptobyte.Builder) { e.AddASN1OctetString([]byte("now")) }, oidSigningTime), "one signer"},
		{"an attribute twice", func(b *bag) {
			b.set = func(all [][]byte) [][]byte {
				return append(all, attributeOf(oidMessageDigest, func(e *cryptobyte.Builder) { e.AddASN1OctetString(make([]byte, 33)) }))
			}
		}, "one signer"},
		{"attributes out of order", func(b *bag) { b.set = func(all [][]byte) [][]byte { return [][]byte{all[1], all[0], all[2]} } }, "one signer"},
		{"two digest algorithms", func(b *bag) { b.digests = 2 }, "one signer"},
		{"no digest algorithm", func(b *bag) { b.digests = 0 }, "one signer"},
		{"many certificates", func(b *bag) { b.certificates = slices.Repeat([]*x509.Certificate{c}, maxCertificates+1) }, "one signer"},
		{"an unsigned attribute", func(b *bag) { b.unsigned = true }, "one signer"},
		{"no document in it", func(b *bag) { b.detached = true }, "the data that it carries"},
		{"a duplicate name", func(b *bag) { b.content = []byte(`{"accountId":"000000000000",` + awsText[1:]) }, `"accountId" twice`},
		{"a name in two spellings", func(b *bag) { b.content = []byte(`{"AccountID":"000000000000",` + awsText[1:]) }, "twice"},
		{"bytes after the document", func(b *bag) { b.content = []byte(awsText + "{}") }, "not JSON"},
		{"another version of the document", replaced("2017-09-30", "2031-01-01"), "this release reads"},
		{"an account that is none", replaced("123456789012", "12345678901x"), "twelve digits"},
		{"a zone elsewhere", replaced("eu-test-1a", "us-test-1a"), "does not lie in region"},
		{"control characters", replaced(`"m7"`, `"m\u001b[2J"`), "no plain text"},
		{"no instance", replaced(`"instanceId":"i-0"`, `"instanceId":null`), "instanceId is missing"},
		{"no time", replaced("2026-11-27T11:00:00Z", "yesterday"), "is no time"},
		{"a start in the future", replaced("2026-11-27T11:00:00Z", "2026-11-27T13:00:00Z"), "from the future"},
	} {
		b := newBag([]byte(awsText), c)
		x.spoil(b)
		_, err := AWS(nil, inBase64(b.der(t)), trusted, noon)
		wantError(t, x.what, err, x.want)
	}
	_, err := AWS(nil, inBase64(newBag([]byte(awsText), c).der(t)), trusted, noon.Add(-10*time.Minute))
	wantError(t, "signed in the future", err, "from the future")
}

// attributes puts another attribute in the place of one.
func attributes(i int, value func(*cryptobyte.Builder), id asn1.ObjectIdentifier) func(*bag) {
	return func(b *bag) {
		b.set = func(all [][]byte) [][]byte { all[i] = attributeOf(id, value); return all }
	}
}

func replaced(old, with string) func(*bag) {
	return func(b *bag) { b.content = bytes.Replace(b.content, []byte(old), []byte(with), 1) }
}

// A key of less than 2048 bits signs no PKCS#7, one of less than 1024 nothing.
func TestShortKeys(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	c := issue(t, &x509.Certificate{Subject: pkix.Name{CommonName: "Self-made AWS of a test"}, SerialNumber: big.NewInt(2)}, short, nil, nil)
	b := newBag([]byte(awsText), c)
	b.key = short
	_, err = AWS(nil, inBase64(b.der(t)), Regions{"eu-test-1": {c}}, noon)
	wantError(t, "PKCS#7 by a short key", err, "1024 bits")
	sum := sha256.Sum256([]byte(awsText))
	signature, err := rsa.SignPKCS1v15(nil, short, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := AWS([]byte(awsText), inBase64(signature), Regions{"eu-test-1": {selfmadeAWS(t), c}}, noon); err != nil {
		t.Errorf("bare signature by the second certificate of the region: %v", err)
	}
	err = verifyRSA(&short.PublicKey, []byte(awsText), signature, 1025)
	wantError(t, "a key below the bound", err, "1024 bits")
	err = verifyRSA(&rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), maxKey), E: 65537}, nil, nil, 1024)
	wantError(t, "a key above the bound", err, "8193 bits")
}
