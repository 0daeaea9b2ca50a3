package age

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	filippo "filippo.io/age"
	"filippo.io/age/armor"
	"filippo.io/age/plugin"
	"golang.org/x/crypto/ssh"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
)

var (
	ctx   = context.Background()
	label = seal.Label{Operator: []byte("op"), Row: "data-key"}
	dek   = secret.Copy(bytes.Repeat([]byte{0xA7}, seal.KeySize))
)

// The test's own program, under another name, is a plugin of age: it encrypts to the X25519 key that its recipient carries.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "age-plugin-ostrakatest" {
		os.Exit(m.Run())
	}
	p, err := plugin.New("ostrakatest")
	if err != nil {
		panic(err)
	}
	p.HandleRecipient(func(data []byte) (filippo.Recipient, error) { return filippo.ParseX25519Recipient(string(data)) })
	p.HandleIdentity(func(data []byte) (filippo.Identity, error) { return filippo.ParseX25519Identity(string(data)) })
	os.Exit(p.Main())
}

func withPlugin(t *testing.T) {
	t.Helper()
	dir := t.TempDir()
	self, err := os.Executable()
	if err == nil {
		err = os.Symlink(self, filepath.Join(dir, "age-plugin-ostrakatest"))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

type pair struct{ public, private string }

func x25519(t testing.TB) pair {
	k, err := filippo.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return pair{k.Recipient().String(), k.String()}
}

func hybrid(t testing.TB) pair {
	k, err := filippo.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return pair{k.Recipient().String(), k.String()}
}

func sshKey(t testing.TB, pass string) pair {
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(key, "")
	if pass != "" {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "", []byte(pass))
	}
	if err != nil {
		t.Fatal(err)
	}
	return pair{strings.TrimSpace(string(ssh.MarshalAuthorizedKey(p))), string(pem.EncodeToMemory(block))}
}

func plugged(t testing.TB) pair {
	k := x25519(t)
	return pair{plugin.EncodeRecipient("ostrakatest", []byte(k.public)), plugin.EncodeIdentity("ostrakatest", []byte(k.private))}
}

func saying(words string) func() (secret.Bytes, error) {
	return func() (secret.Bytes, error) {
		if words == "" {
			return secret.Bytes{}, seal.ErrNoSecret
		}
		return secret.Copy([]byte(words)), nil
	}
}

func kek(t testing.TB, file, words string, recipients ...string) *KEK {
	t.Helper()
	ids, err := Identities(secret.Copy([]byte(file)), saying(words), &plugin.ClientUI{})
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(recipients, ids, &plugin.ClientUI{})
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// locked is an identity file with a passphrase, as `age -p` makes it; the test's work factor is low.
func locked(t testing.TB, plain, words string, letters bool) string {
	t.Helper()
	to, err := filippo.NewScryptRecipient(words)
	if err != nil {
		t.Fatal(err)
	}
	to.SetWorkFactor(10)
	var out bytes.Buffer
	a := armor.NewWriter(&out)
	dst := interface {
		Write([]byte) (int, error)
	}(&out)
	if letters {
		dst = a
	}
	w, err := filippo.Encrypt(dst, to)
	if err == nil {
		_, err = w.Write([]byte(plain))
	}
	if err == nil {
		err = w.Close()
	}
	if err == nil && letters {
		err = a.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestEveryKindOfRecipient(t *testing.T) {
	withPlugin(t)
	x, pq, s, lockedSSH, plug := x25519(t), hybrid(t), sshKey(t, ""), sshKey(t, "hunter2"), plugged(t)
	for _, c := range []struct {
		name, file, words string
		to                []string
	}{
		{"X25519", "# my key\n" + x.private + "\n", "", []string{x.public}},
		{"hybrid", pq.private, "", []string{pq.public}},
		{"three hybrid", pq.private, "", []string{hybrid(t).public, pq.public, hybrid(t).public}},
		{"SSH", s.private, "", []string{x.public, s.public}},
		{"locked SSH", lockedSSH.private, "hunter2", []string{lockedSSH.public}},
		{"plugin", plug.private, "", []string{plug.public, x.public}},
		{"one of two keys", x25519(t).private + "\n" + x.private, "", []string{x.public}},
		{"locked file", locked(t, x.private, "hunter2", false), "hunter2", []string{x.public}},
		{"locked file in letters", locked(t, x.private+"\n", "hunter2", true), "hunter2", []string{x.public}},
	} {
		k := kek(t, c.file, c.words, c.to...)
		wrapped, err := k.Wrap(ctx, dek, label)
		if err != nil || len(wrapped) > seal.MaxWrapped {
			t.Errorf("%s: wrap: %d bytes, %v", c.name, len(wrapped), err)
			continue
		}
		if got, err := k.Unwrap(ctx, wrapped, label); err != nil || !got.Equal(dek) {
			t.Errorf("%s: unwrap: %v", c.name, err)
		}
		other := label
		other.Operator = []byte("oq")
		if _, err := k.Unwrap(ctx, wrapped, other); !errors.Is(err, seal.ErrSealed) {
			t.Errorf("%s: another label: %v", c.name, err)
		}
	}
}

func TestWrongMissingLocked(t *testing.T) {
	x, s := x25519(t), sshKey(t, "hunter2")
	k := kek(t, x.private, "", x.public)
	wrapped, err := k.Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := kek(t, x25519(t).private, "", x.public).Unwrap(ctx, wrapped, label); !errors.Is(err, ErrIdentity) {
		t.Errorf("another key: %v", err)
	}
	public, err := New([]string{x.public}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := public.Unwrap(ctx, wrapped, label); !errors.Is(err, seal.ErrNoSecret) {
		t.Errorf("no key: %v", err)
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 1
		if _, err := k.Unwrap(ctx, bad, label); err == nil {
			t.Errorf("byte %d changed and it opens", i)
		}
	}
	many := strings.Repeat(x25519(t).private+"\n", 1+MaxIdentity/70)
	for _, c := range []struct{ name, file, words, want string }{
		{"locked, no passphrase", locked(t, x.private, "hunter2", false), "", seal.ErrNoSecret.Error()},
		{"locked, wrong passphrase", locked(t, x.private, "hunter2", true), "hunter3", ErrPassphrase.Error()},
		{"empty", "# nothing\n", "", "holds no private key"},
		{"a public key", x.public, "", "line 1 of the identity file is no private key"},
		{"a damaged key", "\n" + x.private + "X", "", "line 2"},
		{"no SSH key", "-----BEGIN NOTHING-----\n", "", "no private key of SSH"},
		{"long", many, "", "at most"},
	} {
		_, err := Identities(secret.Copy([]byte(c.file)), saying(c.words), nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), x.private[20:40]) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
	if _, err := kek(t, s.private, "wrong", s.public).Unwrap(ctx, must(kek(t, s.private, "", s.public).Wrap(ctx, dek, label)), label); err == nil {
		t.Error("a locked SSH key opens with a wrong passphrase")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestPluginIsNotInstalled(t *testing.T) {
	p := plugged(t)
	k := kek(t, p.private, "", p.public)
	if _, err := k.Wrap(ctx, dek, label); err == nil || !strings.Contains(err.Error(), "age-plugin-ostrakatest is not installed") {
		t.Errorf("wrap: %v", err)
	}
}

// A plugin may wait for ever: whoever asked may give up.
func TestGivesUp(t *testing.T) {
	done, cancel := context.WithCancel(ctx)
	cancel()
	block := make(chan struct{})
	defer close(block)
	if _, err := within(done, func() ([]byte, error) { <-block; return nil, nil }); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestLines(t *testing.T) {
	x, pq, s := x25519(t), hybrid(t), sshKey(t, "")
	got, err := Lines("# ours\n\n" + x.public + "\n  " + s.public + " olga@acme\n")
	if err != nil || len(got) != 2 || got[0] != x.public || got[1] != s.public {
		t.Fatalf("%q, %v", got, err)
	}
	nine := []string{}
	for range MaxRecipients + 1 {
		nine = append(nine, x25519(t).public)
	}
	for name, lines := range map[string][]string{
		"none": nil, "nine": nine, "twice": {x.public, x.public}, "private": {x.private}, "hybrid private": {pq.private}, "plugin's private": {plugged(t).private},
		"SSH private": {s.private}, "text": {"hello"}, "comma": {x.public + "," + x.public}, "long": {"age1" + strings.Repeat("q", maxLine)}, "damaged": {x.public[:len(x.public)-1]},
		"ecdsa": {"ssh-dss AAAA"},
	} {
		if err := Check(lines); err == nil {
			t.Errorf("%s: taken", name)
		} else if strings.Contains(err.Error(), x.private) || strings.Contains(err.Error(), pq.private[30:60]) {
			t.Errorf("%s: the error shows a private key: %v", name, err)
		}
	}
}

func TestRedaction(t *testing.T) {
	x := x25519(t)
	k := kek(t, x.private, "", x.public)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if out := fmt.Sprintf(verb, k); out != secret.Redacted {
			t.Errorf("%s: %s", verb, out)
		}
	}
}

func FuzzPlain(f *testing.F) {
	good, err := encode(dek, label)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good.Expose())
	f.Add(good.Expose()[:20])
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := decode(in, label)
		if err != nil {
			return
		}
		if out, err := encode(got, label); err != nil || !bytes.Equal(out.Expose(), in) {
			t.Errorf("decode then encode changed %x", in)
		}
	})
}

func BenchmarkAge(b *testing.B) {
	for name, p := range map[string]pair{"X25519": x25519(b), "hybrid": hybrid(b)} {
		k := kek(b, p.private, "", p.public)
		wrapped := must(k.Wrap(ctx, dek, label))
		b.Run("wrap/"+name, func(b *testing.B) {
			for b.Loop() {
				must(k.Wrap(ctx, dek, label))
			}
		})
		b.Run("unwrap/"+name, func(b *testing.B) {
			for b.Loop() {
				if _, err := k.Unwrap(ctx, wrapped, label); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
