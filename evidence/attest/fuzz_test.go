package attest

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

var update = flag.Bool("update", false, "make the documents in testdata/selfmade anew")

// The self-made token of testdata is what GCP reads, with its keys; the command's tests use it too.
func TestSelfmadeFiles(t *testing.T) {
	about := Subject{Node: []byte("\xb9\xe5\x93\x5b\x72\x7b\x5b\x54\x0a\x8e\x8d\x8e\xc6\x2d\x80\x47\x6a\xcc\x5c\x27\xc1\x6a\x0d\xa8\x4f\xd3\x85\xa0\xc7\x69\x09\xf9"), Operator: "bolt", Place: "main"}
	if *update {
		for name, b := range map[string][]byte{"gcp.token": []byte(gcpToken(t, gcpHeader, gcpClaims(about), ourKey())), "gcp.keys": gcpKeys()} {
			if err := os.WriteFile(filepath.Join("testdata", "selfmade", name), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	k, err := ReadKeys(file(t, "selfmade/gcp.keys"))
	if err != nil {
		t.Fatal(err)
	}
	if c, err := GCP(file(t, "selfmade/gcp.token"), k, about, noon); err != nil || !c.Bound {
		t.Errorf("%+v, %v", c, err)
	}
}

// What the strict reader accepts, Go's own reads with the same values; and it never takes more than it allows.
func FuzzObject(f *testing.F) {
	f.Add([]byte(awsText))
	f.Add([]byte(`{"a":{"b":[1,2.5,"x",null,true]},"A":1}`))
	f.Add([]byte(`{"a":1,"a":2}`))
	f.Add([]byte(azureText("n")))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := readObject(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var values [2]any
		for i, from := range [][]byte{b, again} {
			d := json.NewDecoder(bytes.NewReader(from))
			d.UseNumber()
			if err := d.Decode(&values[i]); err != nil {
				t.Fatalf("%q: %v", from, err)
			}
		}
		if !reflect.DeepEqual(values[0], values[1]) {
			t.Errorf("%q read as %q", b, again)
		}
	})
}

// What became DER stays as it is, and is no longer than what it was made of.
func FuzzBER(f *testing.F) {
	for _, name := range []string{"recorded/aws-us-west-2.rsa2048", "recorded/aws-us-west-1.rsa2048"} {
		raw, err := fromBase64(file(f, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte{0x24, 0x80, 0x04, 0x01, 0x61, 0x24, 0x03, 0x04, 0x01, 0x62, 0x00, 0x00})
	f.Fuzz(func(t *testing.T, b []byte) {
		der, err := toDER(b)
		if err != nil {
			return
		}
		again, err := toDER(der)
		if err != nil || !bytes.Equal(der, again) {
			t.Errorf("%x became %x, and that %x (%v)", b, der, again, err)
		}
		if len(der) > 2*len(b)+8 {
			t.Errorf("%d bytes became %d", len(b), len(der))
		}
	})
}

func FuzzPKCS7(f *testing.F) {
	raw, err := fromBase64(file(f, "recorded/aws-us-west-2.rsa2048"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	b, _ := selfmadeAzure(f, azureText("n"))
	f.Add(b.der(f))
	signer := selfmadeRoot(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := readPKCS7(b)
		if err != nil {
			return
		}
		if p.by(signer) && p.verify(signer) == nil {
			t.Errorf("%x is signed by a key that signed nothing", b)
		}
	})
}

// Nothing that a fuzzer makes is signed, but for the seeds themselves.
func FuzzDocuments(f *testing.F) {
	f.Add(file(f, "recorded/aws-us-east-1.document"), file(f, "recorded/aws-us-east-1.signature"))
	f.Add([]byte{}, file(f, "recorded/aws-us-west-2.rsa2048"))
	f.Add(file(f, "recorded/azure-usgovvirginia.json"), gcpKeys())
	f.Add(file(f, "selfmade/gcp.token"), file(f, "selfmade/gcp.keys"))
	about := subject("bolt", "main")
	forged := Regions{"eu-test-1": {selfmadeAWS(f)}}
	trusted, known := authorities(f), keys(f)
	f.Fuzz(func(t *testing.T, document, other []byte) {
		Provider(document)
		if c, err := AWS(document, other, forged, noon); err == nil {
			t.Errorf("AWS: %+v", c)
		}
		if c, err := Azure(document, trusted, about, noon); err == nil {
			t.Errorf("Azure: %+v", c)
		}
		if c, err := GCP(document, known, about, noon); err == nil {
			t.Errorf("GCP: %+v", c)
		}
		if k, err := ReadKeys(other); err == nil && len(k) == 0 {
			t.Error("keys: none, and no error")
		}
	})
}

func FuzzRoots(f *testing.F) {
	f.Add(awsRoots[:4000])
	f.Add(azureRoots)
	f.Add([]byte("region a\n" + string(toPEM(selfmadeAWS(f)))))
	f.Fuzz(func(t *testing.T, b []byte) {
		if all, err := ReadRegions(b); err == nil {
			for region, certificates := range all {
				if region == "" || len(certificates) == 0 {
					t.Errorf("region %q with %d certificates", region, len(certificates))
				}
			}
		}
		if a, err := ReadAuthorities(b); err == nil {
			for _, c := range append(a.Roots, a.Issuers...) {
				if !c.IsCA {
					t.Error("a certificate that may not sign others")
				}
			}
		}
	})
}
