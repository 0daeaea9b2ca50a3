package node

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A folder of lists is read as it is, or not at all: one that was passed over would refuse nobody.
func TestReadLists(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	by := &x509.Certificate{KeyUsage: x509.KeyUsageCRLSign, SubjectKeyId: []byte{1}, RawSubject: []byte{0x30, 0}}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, by, key)
	if err != nil {
		t.Fatal(err)
	}
	list := string(der)
	platform := map[string]string{}
	for _, name := range []string{"tcb-info.json", "tcb-info.sig", "identity.json", "identity.sig", "signer.der", "root-list.der", "pck-list.der"} {
		platform["spr/"+name] = name
	}
	with := func(change map[string]string) map[string]string {
		out := map[string]string{"genoa.der": list, ".new": "half a list"}
		for k, v := range platform {
			out[k] = v
		}
		for k, v := range change {
			if out[k] = v; v == "-" {
				delete(out, k)
			}
		}
		return out
	}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"good":                    {with(nil), ""},
		"empty":                   {map[string]string{}, ""},
		"no list":                 {with(map[string]string{"milan.der": "junk"}), "milan.der"},
		"an empty list":           {with(map[string]string{"milan.der": ""}), "is empty"},
		"a long list":             {with(map[string]string{"milan.der": strings.Repeat("x", maxListFile+1)}), "more than"},
		"another ending":          {with(map[string]string{"milan.crl": list}), "milan.crl is neither a list"},
		"a platform lacks a list": {with(map[string]string{"spr/pck-list.der": "-"}), "pck-list.der"},
	} {
		folder := t.TempDir()
		for name, text := range c.files {
			path := filepath.Join(folder, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := readLists(folder)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if name == "good" && (len(got.SNP) != 1 || string(got.SNP[0]) != list || len(got.TDX) != 1 || string(got.TDX[0].PCKList) != "pck-list.der" || string(got.TDX[0].TCBInfo.Signature) != "tcb-info.sig") {
			t.Errorf("%+v", got)
		}
		s := Settings{Attest: &AttestSettings{Lists: filepath.Base(folder)}}
		_, means, err := s.attests(filepath.Dir(folder), nil)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), "settings: attest: lists") {
			t.Errorf("%s, in the settings: %v", name, err)
		}
		if err == nil {
			if again, err := means.Held(); err != nil || len(again.SNP) != len(got.SNP) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if _, err := readLists(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there is taken for an empty one")
	}
	if _, means, err := (Settings{}).attests("", nil); err != nil || means.Held != nil {
		t.Errorf("%v", err)
	}
}
