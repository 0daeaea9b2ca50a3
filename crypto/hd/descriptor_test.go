package hd

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/crypto/ripemd160" // key hashes of BIP 382
)

type descriptors struct {
	Checksums []struct {
		Descriptor, Reason string
		Valid              bool
	}
	WPKH []struct {
		XPub   string
		Branch Path
		Hashes []string
	}
	Invalid []struct{ Key, Reason string }
	Others  []string
}

func loadDescriptors(t *testing.T) (v descriptors) {
	t.Helper()
	load(t, "descriptors.json", &v)
	if len(v.Checksums) != 8 || len(v.WPKH) != 1 || len(v.Invalid) != 15 || len(v.Others) != 26 {
		t.Fatalf("%d checksums, %d wpkh, %d invalid, %d others", len(v.Checksums), len(v.WPKH), len(v.Invalid), len(v.Others))
	}
	return v
}

// BIP 380's cases of the checksum. Those with a wrong one are refused before anything else is looked at.
func TestDescriptorChecksum(t *testing.T) {
	for _, c := range loadDescriptors(t).Checksums {
		body, sum, _ := strings.Cut(c.Descriptor, "#")
		got, err := descriptorChecksum(body)
		if (err == nil && got == sum) != c.Valid {
			t.Errorf("%s (%s): checksum is %s, %v", c.Descriptor, c.Reason, got, err)
		}
		if _, err := ParseDescriptor(c.Descriptor); err == nil {
			t.Errorf("%s (%s): parsed", c.Descriptor, c.Reason)
		}
	}
}

// BIP 382's keys below an extended key are ours.
func TestDescriptorKeys(t *testing.T) {
	for _, c := range loadDescriptors(t).WPKH {
		account, _, err := ParseXPub(c.XPub)
		if err != nil {
			t.Fatal(err)
		}
		branch, _, err := account.Derive(c.Branch)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range c.Hashes {
			k, _, err := branch.Child(uint32(i))
			if err != nil {
				t.Fatal(err)
			}
			inner := sha256.Sum256(k.Point.Bytes())
			outer := ripemd160.New()
			outer.Write(inner[:])
			if got := hex.EncodeToString(outer.Sum(nil)); got != want {
				t.Errorf("child %d hashes to %s, want %s", i, got, want)
			}
		}
	}
}

// What BIP 380, 382 and 386 call valid is more than what we write, and nothing else than that is parsed: neither private keys, nor
// plain keys, nor hardened steps, nor other scripts.
func TestDescriptorRefusesOtherForms(t *testing.T) {
	v := loadDescriptors(t)
	for _, d := range v.Others {
		if _, err := ParseDescriptor(d); err == nil {
			t.Errorf("%s: parsed without a checksum", d)
		}
		if _, err := ParseDescriptor(sealed(t, d)); err == nil {
			t.Errorf("%s: parsed", d)
		}
	}
	for _, c := range v.Invalid {
		for _, form := range []string{"wpkh(%s/*)", "tr(%s/*)", "wpkh(%s)"} {
			if _, err := ParseDescriptor(sealed(t, fmt.Sprintf(form, c.Key))); err == nil {
				t.Errorf("%s (%s): parsed", c.Key, c.Reason)
			}
		}
	}
}

// sealed puts the right checksum behind a descriptor, so that it is not the reason for the refusal.
func sealed(t *testing.T, body string) string {
	t.Helper()
	sum, err := descriptorChecksum(body)
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return body + "#" + sum
}

func describe(t *testing.T, script Script, n Network, path Path) Descriptor {
	t.Helper()
	_, k := root(t)
	d, err := NewDescriptor(script, n, k, path)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDescriptorRoundTrip(t *testing.T) {
	_, k := root(t)
	for _, script := range []Script{WPKH, TR} {
		for _, n := range []Network{Mainnet, Testnet} {
			for _, path := range []Path{nil, {0}, {0, 7}, {MaxStep, MaxStep, MaxStep, MaxStep, MaxStep, MaxStep}} {
				d := describe(t, script, n, path)
				s := d.String()
				again, err := ParseDescriptor(s)
				if err != nil || again.String() != s || len(s) > maxDescriptor {
					t.Fatalf("%s: %v, %v", s, again, err)
				}
				if again.Fingerprint != k.Fingerprint() || again.Script != script || again.Network != n || again.Path.String() != path.String() {
					t.Errorf("%s: parsed as %+v", s, again)
				}
				account, _, err := k.Derive(path)
				if err != nil || !again.Account.Point.Equal(account.Point) || again.Account.ChainCode != account.ChainCode {
					t.Errorf("%s: the account is another: %v", s, err)
				}
			}
		}
	}
}

// The bytes that wallets are given. Changing them breaks what is exported already.
func TestDescriptorGolden(t *testing.T) {
	for want, d := range map[string]Descriptor{
		"wpkh([1520f087/0/5]xpub6AnaYHftw72pdR6boY7vaBNBhyjnWzbNEFe4NnGhMXSXu1wh6i58ExG5sD5qFMRNGZChoUCtG226i2wasD3rKmEe4P64JNUG6B3GKDxYWrD/*)#tmcklugt": describe(t, WPKH, Mainnet, Path{0, 5}),
		"tr([1520f087]tpubD6NzVbkrYhZ4WQfSB1TKthgiwGCTWps1KaWnsKaj1BzwnTDQp3Z4BmQTUsbmmXNuUvEJvMoNq1Q1tpSEuV393W58D26rJqY4ZR276BAzLpp/*)#xsfx5k0w":       describe(t, TR, Testnet, nil),
	} {
		if d.String() != want {
			t.Errorf("%s, want %s", d, want)
		}
	}
}

func TestNewDescriptorRefuses(t *testing.T) {
	_, k := root(t)
	child, _, err := k.Child(1)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		script  Script
		n       Network
		root    Key
		account Path
		want    string
	}{
		"another script":     {"pkh", Mainnet, k, nil, `"pkh" is not wpkh or tr`},
		"a private version":  {WPKH, 0x0488ade4, k, nil, "version 0488ade4"},
		"a child as root":    {WPKH, Mainnet, child, nil, "the root has depth 1"},
		"eight steps":        {WPKH, Mainnet, k, make(Path, 8), "has 8 steps"},
		"a hardened account": {TR, Mainnet, k, Path{1 << 31}, "hardened"},
	} {
		if d, err := NewDescriptor(c.script, c.n, c.root, c.account); err == nil || !strings.Contains(err.Error(), c.want) || d.Script != "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One change each, with a checksum that is right.
func TestParseDescriptorRefuses(t *testing.T) {
	good := describe(t, WPKH, Mainnet, Path{0, 5})
	body, sum, _ := strings.Cut(good.String(), "#")
	fingerprint := hex.EncodeToString(good.Fingerprint[:])
	xpub := good.Account.XPub(Mainnet)
	top := describe(t, WPKH, Mainnet, nil)
	one, _, _ := strings.Cut(describe(t, WPKH, Mainnet, Path{3}).String(), "#")
	swap := func(old, new string) string {
		if !strings.Contains(body, old) {
			t.Fatalf("%s is not in %s", old, body)
		}
		return sealed(t, strings.Replace(body, old, new, 1))
	}
	for name, c := range map[string][2]string{
		"no checksum":            {body, "no checksum"},
		"empty checksum":         {body + "#", "checksum is"},
		"checksum of another":    {body + "#89f8spxm", "checksum is"},
		"checksum in capitals":   {body + "#" + strings.ToUpper(sum), "checksum is"},
		"two checksums":          {body + "#" + sum + "#" + sum, "checksum is"},
		"something behind":       {body + "#" + sum + " ", "checksum is"},
		"a character not in it":  {"wpkh(é)#" + sum, "BIP 380"},
		"too long":               {strings.Repeat("w", maxDescriptor+1), "characters, more than"},
		"another script":         {swap("wpkh", "pkh"), "is not wpkh or tr"},
		"no script":              {swap("wpkh(", "("), "is not wpkh or tr"},
		"script in a script":     {sealed(t, "sh("+body+")"), "ends in /*)"},
		"no children":            {swap("/*", ""), "ends in /*)"},
		"children of a step":     {swap("/*", "/1/*"), "characters, not 111"},
		"hardened children":      {swap("/*", "/*h"), "ends in /*)"},
		"one child":              {swap("/*", "/1"), "ends in /*)"},
		"children of children":   {swap("/*", "/0/*"), "characters, not 111"},
		"no origin":              {swap("["+fingerprint+"/0/5]", ""), "no origin"},
		"two origins":            {swap("["+fingerprint, "[aaaaaaaa]["+fingerprint), "characters, not 111"},
		"short fingerprint":      {swap(fingerprint, fingerprint[1:]), "fingerprint"},
		"long fingerprint":       {swap(fingerprint, fingerprint+"00"), "fingerprint"},
		"capital fingerprint":    {swap(fingerprint, "ABCDEF01"), "fingerprint"},
		"no fingerprint":         {swap(fingerprint, ""), "fingerprint"},
		"fingerprint not in hex": {swap(fingerprint, "gaaaaaaa"), "fingerprint"},
		"open origin":            {swap("/0/5]", "/0/5/]"), "not a number"},
		"leading zero":           {swap("/0/5]", "/0/05]"), "not a number"},
		"a longer path":          {swap("/0/5]", "/0/0/5]"), "depth 2"},
		"a shorter path":         {swap("/0/5]", "/5]"), "depth 2"},
		"another last step":      {swap("/0/5]", "/0/6]"), "child 5"},
		"eight steps":            {swap("/0/5]", "/0/0/0/0/0/0/0/5]"), "has 8 steps"},
		"a spoilt key":           {swap(xpub, xpub[:20]+"1"+xpub[21:]), "checksum is wrong"},
		"another root":           {sealed(t, "wpkh([00000000]"+top.Account.XPub(Mainnet)+"/*)"), "fingerprint is 00000000"},
		"another parent":         {sealed(t, strings.Replace(one, fingerprint, "00000000", 1)), "fingerprint is 00000000"},
	} {
		if d, err := ParseDescriptor(c[0]); err == nil || !strings.Contains(err.Error(), c[1]) || d.Script != "" {
			t.Errorf("%s: %v, want %s", name, err, c[1])
		}
	}
	for _, path := range []string{"/0'/5]", "/0h/5]", "/0/5H]", "/2147483648/5]"} {
		if _, err := ParseDescriptor(swap("/0/5]", path)); !errors.Is(err, ErrHardened) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Any one wrong character is noticed, and any two that changed places.
func TestDescriptorMistakes(t *testing.T) {
	s := describe(t, TR, Testnet, Path{1}).String()
	for i := range len(s) {
		for _, c := range []byte(descriptorChars) {
			if c == s[i] {
				continue
			}
			if _, err := ParseDescriptor(s[:i] + string(c) + s[i+1:]); err == nil {
				t.Fatalf("character %d as %q: parsed", i, c)
			}
		}
		if i > 0 && s[i] != s[i-1] {
			if _, err := ParseDescriptor(s[:i-1] + string(s[i]) + string(s[i-1]) + s[i+1:]); err == nil {
				t.Fatalf("characters %d and %d changed places: parsed", i-1, i)
			}
		}
	}
}

func FuzzParseDescriptor(f *testing.F) {
	f.Add("wpkh([00000000]xpub/*)#89f8spxm")
	f.Add("wpkh([1520f087/0/5]xpub6AnaYHftw72pdR6boY7vaBNBhyjnWzbNEFe4NnGhMXSXu1wh6i58ExG5sD5qFMRNGZChoUCtG226i2wasD3rKmEe4P64JNUG6B3GKDxYWrD/*)")
	f.Add("tr([ffffffff/13']xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH/*)")
	f.Fuzz(func(t *testing.T, s string) {
		inputs := []string{s}
		if sum, err := descriptorChecksum(s); err == nil {
			inputs = append(inputs, s+"#"+sum) // so that the fuzzer reaches what lies behind the checksum
		}
		for _, in := range inputs {
			if d, err := ParseDescriptor(in); err == nil && d.String() != in {
				t.Fatalf("%q became %q", in, d)
			}
		}
	})
}

// BIP 380's own example; a character that descriptors lack is refused.
func TestChecksummed(t *testing.T) {
	if got, err := Checksummed("raw(deadbeef)"); err != nil || got != "raw(deadbeef)#89f8spxm" {
		t.Errorf("%s, %v", got, err)
	}
	if got, err := Checksummed("raw(é)"); err == nil {
		t.Errorf("%s", got)
	}
}
