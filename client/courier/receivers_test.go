package courier

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/client/notify"
)

const credential = "s3cr3tpath"

func receiver(t testing.TB, name, url string) Receiver {
	t.Helper()
	target, err := ParseTarget(url)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := notify.NewSecret(bytes.Repeat([]byte{7}, notify.SecretSize))
	if err != nil {
		t.Fatal(err)
	}
	return Receiver{Name: name, URL: target, Secret: secret}
}

func TestTargets(t *testing.T) {
	for url, want := range map[string]string{
		"https://hooks.example.org":                    "https://hooks.example.org",
		"https://hooks.example.org/":                   "https://hooks.example.org",
		"https://hooks.example.org:8443/" + credential: "https://hooks.example.org:8443/…",
		"https://u:" + credential + "@example.org/":    "https://example.org/…",
		"https://example.org/?k=" + credential:         "https://example.org/…",
		"http://localhost:9/" + credential:             "http://localhost:9/…",
		"http://127.0.0.1:9/" + credential:             "http://127.0.0.1:9/…",
		"http://[::1]:9/" + credential:                 "http://[::1]:9/…",
	} {
		r := receiver(t, "desk", url)
		printed := fmt.Sprintf("%v %+v %#v %s %q %x %d", r, r, r, r.URL, r.URL, r.URL, struct{ T *Target }{&r.URL})
		if r.URL.String() != want || r.URL.Reveal() != url || strings.Contains(printed, credential) {
			t.Errorf("%s is printed as %s, and in %s", url, r.URL, printed)
		}
		if raw, err := json.Marshal(r); err != nil || strings.Contains(string(raw), credential) {
			t.Errorf("%s in JSON: %s, %v", url, raw, err)
		}
	}
	for _, url := range []string{
		"", "example.org", "ftp://example.org/" + credential, "http://example.org/" + credential, "http://10.0.0.1/" + credential, "http://localhost.example.org/" + credential, "https:///" + credential,
		"https:" + credential, "https://example.org/#" + credential, "https://example.org/a b" + credential, "https://example.org/%zz" + credential, "https://example.org:port/" + credential,
		"https://example.org/" + credential + strings.Repeat("x", maxURL), "file:///" + credential, "https://:443/" + credential,
	} {
		if _, err := ParseTarget(url); err == nil || strings.Contains(err.Error(), credential) {
			t.Errorf("%.60s: %v", url, err)
		}
	}
}

func TestReceiversFile(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "notify", "main")
	if all, err := LoadReceivers(folder); err != nil || len(all) > 0 {
		t.Fatalf("nothing there: %v, %v", all, err)
	}
	var all []Receiver
	var err error
	for _, name := range []string{"desk", "alarm", "night"} {
		if all, err = Add(all, receiver(t, name, "https://example.org/"+name)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Add(all, receiver(t, "desk", "https://example.org")); err == nil {
		t.Error("a name is taken twice")
	}
	all[0].Filter = notify.Filter{Events: []string{"intent.*"}, Vaults: []string{"treasury"}}
	if err := SaveReceivers(folder, all); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, receiversFile)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	back, err := LoadReceivers(folder)
	if err != nil || len(back) != 3 || back[0].Name != "alarm" || back[0].Filter.Vaults[0] != "treasury" || back[2].URL.Reveal() != "https://example.org/night" || !back[1].Secret.Equal(all[1].Secret) {
		t.Errorf("read back %v, %v", back, err)
	}
	if _, err := Remove(back, "nobody"); err == nil {
		t.Error("nobody is removed")
	}
	if left, err := Remove(back, "desk"); err != nil || len(left) != 2 || len(back) != 3 {
		t.Errorf("%v left, %v", left, err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadReceivers(folder); err == nil || !strings.Contains(err.Error(), "open to other users") {
		t.Errorf("open to others: %v", err)
	}
}

func TestReceiversRefuse(t *testing.T) {
	raw, err := EncodeReceivers([]Receiver{receiver(t, "alarm", "https://example.org/"+credential), receiver(t, "desk", "https://example.org")})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{`"version": 1`, `"version": 2`, "version 2 is not known"},
		{`"vaults"`, `"vault"`, "unknown field"},
		{`"alarm"`, `"zebra"`, "do not ascend"},
		{`"alarm"`, `"desk"`, "do not ascend"},
		{`"alarm"`, `"../desk"`, "name: "},
		{`https://example.org/`, `http://example.org/`, "by https"},
		{`whsec_B`, `whsec_*`, "receiver 1: secret"},
		{`"events": []`, `"events": ["x"]`, "is not known"},
		{`"vaults": []`, `"vaults": ["A b"]`, "vault: "},
		{"}\n", "}{}", "something follows"},
		{"}\n", strings.Repeat(" ", maxReceiversFile), "at most"},
	} {
		i := strings.LastIndex(string(raw), c.old)
		if c.old != "}\n" {
			i = strings.Index(string(raw), c.old)
		}
		bad := string(raw[:i]) + c.new + string(raw[i+len(c.old):])
		if _, err := DecodeReceivers([]byte(bad)); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), credential) || strings.Contains(err.Error(), "BwcH") {
			t.Errorf("%s: %v, want %q", c.new, err, c.want)
		}
	}
	many := make([]Receiver, maxReceivers+1)
	for i := range many {
		many[i] = receiver(t, fmt.Sprintf("r%02d", i), "https://example.org")
	}
	if _, err := EncodeReceivers(many); err == nil {
		t.Error("too many are written")
	}
}

// The file's bytes: a change of them is a new version.
func TestReceiversSnapshot(t *testing.T) {
	r := receiver(t, "desk", "https://example.org/a")
	r.Filter = notify.Filter{Events: []string{"intent.*", "vault.frozen"}, Vaults: []string{"treasury"}}
	const want = `{
  "version": 1,
  "receivers": [
    {
      "name": "desk",
      "url": "https://example.org/a",
      "events": [
        "intent.*",
        "vault.frozen"
      ],
      "vaults": [
        "treasury"
      ],
      "secret": "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
    }
  ]
}
`
	if raw, err := EncodeReceivers([]Receiver{r}); err != nil || string(raw) != want {
		t.Errorf("%v: %s", err, raw)
	}
}

func FuzzReceivers(f *testing.F) {
	raw, err := EncodeReceivers([]Receiver{receiver(f, "alarm", "https://u:p@example.org/"+credential+"?q=1"), receiver(f, "desk", "http://localhost:1")})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte(`{"version":1,"receivers":[]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		all, err := DecodeReceivers(raw)
		if err != nil {
			return
		}
		first, err := EncodeReceivers(all)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeReceivers(first)
		if err != nil {
			t.Fatalf("%v: %s", err, first)
		}
		if second, err := EncodeReceivers(again); err != nil || !bytes.Equal(first, second) {
			t.Fatalf("%v: %s, then %s", err, first, second)
		}
	})
}
