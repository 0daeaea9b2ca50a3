package attest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func TestClasses(t *testing.T) {
	if got := []string{Declared.String(), Attested.String(), Proved.String()}; !slices.Equal(got, []string{"declared", "attested", "proved"}) {
		t.Error(got)
	}
	if (Claim{}).Class() != Declared || (Claim{Bound: true}).Class() != Attested {
		t.Error("class of a claim")
	}
}

// What names a subject stands in documents that others sign and keep: it may not change.
func TestSubject(t *testing.T) {
	s := Subject{Node: ed25519.PublicKey(slices.Repeat([]byte{1}, 32)), Operator: "acme", Place: "main"}
	if got := s.Nonce(); got != "o3syuucszf7hioeskejt7zcrmw2xplnb" || len(got) != 32 {
		t.Error(got)
	}
	if s.Audience() != "urn:ostraka:evidence:"+s.Nonce() {
		t.Error(s.Audience())
	}
	seen := map[string]bool{s.Nonce(): true}
	for _, other := range []Subject{{s.Node, "acme", "mainx"}, {s.Node, "acmem", "ain"}, {s.Node, "", "acmemain"}, {ed25519.PublicKey(slices.Repeat([]byte{2}, 32)), "acme", "main"}} {
		if seen[other.Nonce()] {
			t.Errorf("%+v has another's nonce", other)
		}
		seen[other.Nonce()] = true
	}
	if none := (Subject{}); none.Nonce() != "" || none.Audience() != "" {
		t.Error("nobody has a name")
	}
	// A document without a text of its own is not bound to nobody.
	c := Claim{}
	if err := c.bind("", Subject{}.Nonce(), ""); err != nil || c.Bound {
		t.Error("bound to nobody")
	}
}

func TestMatch(t *testing.T) {
	for _, x := range []struct {
		claim         Claim
		place         Place
		agree, differ string
	}{
		{Claim{Provider: "aws", Account: "123456789012", Region: "eu-central-1"}, Place{"aws", "123456789012", "eu-central-1"}, "provider account region", ""},
		{Claim{Provider: "aws", Account: "123456789012", Region: "eu-central-1"}, Place{"AWS", "1234-5678-9012", "EU-Central-1"}, "provider account region", ""},
		{Claim{Provider: "aws", Account: "123456789012", Region: "eu-central-1"}, Place{"aws", "123456789013", "eu-central-2"}, "provider", "account region"},
		{Claim{Provider: "aws", Account: "123456789012", Region: "eu-central-1"}, Place{"amazon", "", "eu-central-1a"}, "", "provider account region"},
		{Claim{Provider: "gcp", Account: "my-project", Also: "42", Region: "europe-west3"}, Place{"gcp", "42", "europe-west3"}, "provider account region", ""},
		{Claim{Provider: "gcp", Account: "my-project", Also: "42", Region: "europe-west3"}, Place{"gcp", "my-project", "europewest3"}, "provider account", "region"},
		{Claim{Provider: "gcp", Account: "my-project", Also: "42", Region: "europe-west3"}, Place{"gcp", "myproject", "europe-west3"}, "provider region", "account"},
		{Claim{Provider: "azure", Account: "AB-1", Region: "westeurope"}, Place{"azure", "ab-1", "West Europe"}, "provider account region", ""},
		{Claim{Provider: "azure", Account: "ab-1"}, Place{"azure", "ab1", "West Europe"}, "provider", "account"},
	} {
		agree, differ := x.claim.Match(x.place)
		if strings.Join(agree, " ") != x.agree || strings.Join(differ, " ") != x.differ {
			t.Errorf("%+v with %+v: agree %q, differ %q", x.claim, x.place, agree, differ)
		}
	}
}

func TestProvider(t *testing.T) {
	for document, want := range map[string]string{
		awsText: "aws", "": "aws", `{"encoding":"pkcs7"}`: "azure", "a.b.c": "gcp", string(file(t, "recorded/aws-us-west-1.rsa2048")): "aws",
		string(file(t, "recorded/azure-usgovvirginia.json")): "azure", gcpToken(t, gcpHeader, gcpClaims(Subject{}), ourKey()): "gcp",
	} {
		if got := Provider([]byte(document)); got != want {
			t.Errorf("%.40q: %s, want %s", document, got, want)
		}
	}
}

// The certificates in this program are these and no others: each by SHA-256 of its DER.
func TestPinned(t *testing.T) {
	const amazon = `af-south-1 215bab209298aaf8cf4c5deea56bd912abe845d6e9e33aa995e573f7579db5d7
ap-east-1 75afac160d2f645889223451647251171df78925170ca324374ef7ea4542d9cc
ap-northeast-1 b325c09f762291bfb8a149a3d8045eecda8152e79a7f4c83974a3703a2a7bb6d
ap-northeast-2 ec5c9ece34b9cac24109f4baa049f79ad71a1350b9bb0eee099bae13e951a8ae
ap-northeast-3 91069057ad654d162b614d67a57690c55cc7cdc470f8907fb34700998654d27a
ap-south-1 db42efd744acc054f9009d3298e72e646dff7eb0c288392dd5e3028fe8e0c344
ap-southeast-1 df7aad409dad94ffb0b45a677051291855c328945379ba05f4aa4983baa2b5b1
ap-southeast-2 3c2fa3fa70c80bc64e5e934b30e2d0af1733cfd32584f68f86804c43a934833d
ca-central-1 69be70bcd56ff0650110630fbd71e970d23e9ae59394fd72767c8b319db09b4b
cn-north-1 d3fa6cd2046e8ddd7a07305a684f82657442c68d31aedc13dc874ddae4400cf1
cn-northwest-1 58ae74d878479669fb3fb2336f4ec7f934a6e54865a83f696ad99d2a31dcda62
eu-central-1 40e59f0c3924d32f53b9f66145fc18c4dfa1192dec7c74ad84d719826e9c7ba1
eu-north-1 3a81e8168287011b59f1246bdc632d017711779940d06549a56388b691d1c31f
eu-south-1 9fae1c2aa470cad03c814ea3cb06ddc2d0322d108b498431ab68b8297463bbc7
eu-west-1 7963eae83b58ab14bbd0715947015dd6866d7623df85eca742cabb8898281f30
eu-west-2 05e9c1ed5db46627c702fca74bd0c3bbee6ff57057f6df250d626d08bd0a3652
eu-west-3 ca43ba8d6bf1d7f35b6be653f218609f131f1aaa16f66951e5d6a73348591353
me-south-1 9ae8dda9e5209804f0dc3f06a17a6147b075eb364ab2067525ec09021128c9b0
sa-east-1 940ffcb9b2e5d1ef928c8832d804ff50a54eb231b19c683f9010225231ae6481
us-east-1 70923c22dd074172d0e5d27ea1ca865412525fccd8bc2cd0ff40660e275f0b30
us-east-2 dee29d569f783135c8eb61ac9b0d4a744ca7ba83808eb6eff7945f7fbfec4e41
us-gov-east-1 a5e8286c6cfd2ab64d7ba5d2afe1b9fdb4c111941edc389c68c55c1ff69299c4
us-gov-west-1 bf80d05c8bc1b7167f12d2f292bd084391f323c1d7887d1eafe9dee34b65519d
us-west-1 abdc625e6600af52d4d3b88415bc092843e2d268f7136e62ebc2d9de94ae8232
us-west-2 4e3569f2925a867a0c2f1b64efe101d4b4853d11c4f81c1e72aae201a92020b4`
	const above = `cb3ccbb76031e5e0138f8dd39a23f9de47ffc35e43c1144cea27d46a5ab1cb5f c741f70f4b2a8d88bf2e71c14122ef53ef10eba0cfa5e64cfa20f418853073e0`
	all := pinned(t)
	var got []string
	for region, certificates := range all {
		for _, c := range certificates {
			sum := sha256.Sum256(c.Raw)
			got = append(got, region+" "+hex.EncodeToString(sum[:]))
			if err := c.CheckSignature(x509.SHA256WithRSA, c.RawTBSCertificate, c.Signature); err != nil {
				t.Errorf("%s: %v", region, err)
			}
			if !slices.Contains(c.Subject.Organization, "Amazon Web Services LLC") {
				t.Errorf("%s: %v", region, c.Subject)
			}
		}
	}
	slices.Sort(got)
	if strings.Join(got, "\n") != amazon {
		t.Errorf("regions:\n%s", strings.Join(got, "\n"))
	}
	a := authorities(t)
	got = nil
	for _, c := range a.Roots {
		sum := sha256.Sum256(c.Raw)
		got = append(got, hex.EncodeToString(sum[:]))
	}
	if strings.Join(got, " ") != above || len(a.Issuers) != 0 {
		t.Errorf("roots: %q", got)
	}
}

func TestRootsRefuse(t *testing.T) {
	one := string(toPEM(selfmadeAWS(t)))
	for what, x := range map[string]struct{ file, want string }{
		"no region":             {one, "which region"},
		"another line":          {"# comment\nregions all\n" + one, "line 2: "},
		"a region that is none": {"region EU\n" + one, "neither a certificate nor a region"},
		"cut":                   {"region a\n" + one[:len(one)-30], "no END CERTIFICATE"},
		"no base64":             {"region a\n" + strings.Replace(one, "MII", "M!I", 1), "no certificate in PEM"},
		"headers":               {"region a\n" + strings.Replace(one, "-----\n", "-----\nA: b\n\n", 1), "no certificate in PEM"},
		"another block":         {"region a\n-----BEGIN PUBLIC KEY-----\n", "neither a certificate nor a region"},
		"much":                  {strings.Repeat("#", MaxRoots+1), "at most"},
		"many":                  {"region a\n" + strings.Repeat(one, maxRoots+1), "more than 256"},
	} {
		_, err := ReadRegions([]byte(x.file))
		wantError(t, what, err, x.want)
	}
	all, err := ReadRegions([]byte("# both\r\n\nregion a\n" + one + "region b\n" + one + one))
	if err != nil || len(all["a"]) != 1 || len(all["b"]) != 2 || len(all) != 2 {
		t.Errorf("%v, %v", all, err)
	}
	_, err = ReadAuthorities(toPEM(selfmadeSigner(t, "example.com")))
	wantError(t, "a certificate that may not sign", err, "may not sign others")
	_, err = ReadAuthorities([]byte("region a\n"))
	wantError(t, "a region", err, "is no certificate")
	if a, err := ReadAuthorities(selfmadeRoot(t).Raw); err != nil || len(a.Roots) != 1 {
		t.Errorf("a root in DER: %+v, %v", a, err)
	}
	// The name of a root is not its signature.
	named := issue(t, &x509.Certificate{Subject: selfmadeRoot(t).Subject, IsCA: true, BasicConstraintsValid: true}, ourKey(), selfmadeRoot(t), rootKey())
	if a, err := ReadAuthorities(toPEM(named)); err != nil || len(a.Roots) != 0 || len(a.Issuers) != 1 {
		t.Errorf("named like a root: %+v, %v", a, err)
	}
	_, err = ReadAuthorities(append(selfmadeRoot(t).Raw, 0))
	wantError(t, "a byte after DER", err, "trailing data")
	a, err := ReadAuthorities(append(toPEM(selfmadeRoot(t)), file(t, "recorded/azure-issuing-ca-05.pem")...))
	if err != nil || len(a.Roots) != 1 || len(a.Issuers) != 1 {
		t.Errorf("%d roots, %d issuers, %v", len(a.Roots), len(a.Issuers), err)
	}
}
