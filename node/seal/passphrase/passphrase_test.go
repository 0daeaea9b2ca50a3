package passphrase

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
)

var (
	ctx   = context.Background()
	cheap = Cost{Time: 1, MemoryKiB: 64, Threads: 1}
	label = seal.Label{Operator: []byte("op"), Row: "data-key"}
)

func kek(t testing.TB, pass string) *KEK {
	t.Helper()
	k, err := New(secret.Copy([]byte(pass)), rand.Reader, TestingOnlyCost(cheap))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wrap(t testing.TB, k *KEK) ([]byte, secret.Bytes) {
	t.Helper()
	dek, err := seal.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := k.Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	return b, dek
}

// RFC 9106 names the constants of the mode; this is the value of the reference
// implementation's test ("password", "somesalt", t=2, m=64 MiB, p=1, version 13).
func TestArgon2idVector(t *testing.T) {
	got := hex.EncodeToString(argon2.IDKey([]byte("password"), []byte("somesalt"), 2, 64<<10, 1, 32))
	if want := "09316115d5cf24ed5a15a31a3ba326e5cf32edc24702987c02b6566f61913cf7"; got != want {
		t.Errorf("argon2id gives %s, want %s", got, want)
	}
}

func TestWrapUnwrap(t *testing.T) {
	k := kek(t, "correct horse")
	b, dek := wrap(t, k)
	got, err := kek(t, "correct horse").Unwrap(ctx, b, label)
	if err != nil || !got.Equal(dek) {
		t.Fatalf("unwrap: %v", err)
	}
	for _, pass := range []string{"correct horsf", "correct horse ", "Correct horse", "c"} {
		if got, err := kek(t, pass).Unwrap(ctx, b, label); !errors.Is(err, ErrPassphrase) || got.Len() != 0 {
			t.Errorf("passphrase %q: %v, want ErrPassphrase", pass, err)
		}
	}
	other := label
	other.Operator = []byte("someone else")
	if _, err := k.Unwrap(ctx, b, other); !errors.Is(err, ErrPassphrase) {
		t.Errorf("other operator: %v", err)
	}
	again, err := k.Wrap(ctx, dek, label)
	if err != nil || bytes.Equal(again, b) {
		t.Errorf("wrapped twice to the same bytes, %v", err)
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := k.Unwrap(over, b, label); !errors.Is(err, context.Canceled) {
		t.Errorf("after the context ended: %v", err)
	}
}

func TestEveryBitIsBound(t *testing.T) {
	k := kek(t, "pass")
	b, _ := wrap(t, k)
	k.floor = Cost{}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := k.Unwrap(ctx, bad, label); err == nil {
			t.Errorf("byte %d changed and it opens", i)
		}
	}
}

// A hostile file asks for all memory, or for hardly any.
func TestCostBounds(t *testing.T) {
	product, err := New(secret.Copy([]byte("pass")), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if product.cost != Default {
		t.Errorf("default cost is %+v", product.cost)
	}
	for name, c := range map[string]Cost{
		"no time":          {0, Floor.MemoryKiB, 1},
		"time below":       {Floor.Time - 1, Floor.MemoryKiB, 1},
		"time above":       {Ceiling.Time + 1, Floor.MemoryKiB, 1},
		"memory below":     {Floor.Time, Floor.MemoryKiB - 1, 1},
		"memory above":     {Floor.Time, Ceiling.MemoryKiB + 1, 1},
		"all memory":       {Floor.Time, 1<<32 - 1, 1},
		"no thread":        {Floor.Time, Floor.MemoryKiB, 0},
		"too many threads": {Floor.Time, Floor.MemoryKiB, Ceiling.Threads + 1},
		"cost of tests":    cheap,
	} {
		if _, err := New(secret.Copy([]byte("pass")), rand.Reader, WithCost(c)); err == nil || !strings.Contains(err.Error(), "argon2id") {
			t.Errorf("%s: New: %v", name, err)
		}
		w := wrapped{cost: c, salt: make([]byte, saltSize), sealed: make([]byte, seal.Overhead+seal.KeySize)}
		if _, err := product.Unwrap(ctx, w.encode(), label); err == nil || errors.Is(err, ErrPassphrase) {
			t.Errorf("%s: Unwrap: %v, want a refusal before any work", name, err)
		}
	}
	if _, err := New(secret.Bytes{}, rand.Reader); err == nil {
		t.Error("an empty passphrase was taken")
	}
	if _, err := New(secret.Copy([]byte("p")), rand.Reader, TestingOnlyCost(Cost{})); err == nil {
		t.Error("argon2 would panic at no cost at all")
	}
}

func TestChangePassphrase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	old, renewed := kek(t, "old"), kek(t, "new")
	slot := seal.Slot{Name: seal.MainSlot, Providers: []seal.Provider{{Kind: "passphrase"}}}
	by := func(k *KEK) seal.Opener {
		return func(context.Context, string, seal.Provider) (seal.KEK, error) { return k, nil }
	}
	rekey := func(old, renewed *KEK) error {
		_, _, err := seal.RekeyFile(ctx, path, label, by(old), seal.Change{Put: []seal.Slot{slot}}, by(renewed), rand.Reader)
		return err
	}
	box, err := seal.CreateFile(ctx, path, label, by(old), rand.Reader, slot)
	if err != nil {
		t.Fatal(err)
	}
	row, err := box.Seal(label, []byte("seed"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := rekey(renewed, kek(t, "newer")); !errors.Is(err, ErrPassphrase) {
		t.Errorf("rekey with a wrong passphrase: %v", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, before) {
		t.Errorf("a wrong passphrase changed the file (%v)", err)
	}
	if err := rekey(old, renewed); err != nil {
		t.Fatal(err)
	}
	if _, _, err := seal.OpenFile(ctx, path, label, by(old), rand.Reader); !errors.Is(err, ErrPassphrase) {
		t.Errorf("old passphrase: %v", err)
	}
	box, _, err = seal.OpenFile(ctx, path, label, by(renewed), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := box.Open(label, row); err != nil || string(got.Expose()) != "seed" {
		t.Errorf("row sealed before: %v", err)
	}
}

func TestRedaction(t *testing.T) {
	k := kek(t, "hunter2hunter2")
	type holder struct{ K *KEK }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, v := range []any{k, holder{k}} {
			out := fmt.Sprintf(verb, v)
			if strings.Contains(out, "hunter") || strings.Contains(out, hex.EncodeToString([]byte("hunter"))) || strings.Contains(out, "104 117 110") {
				t.Errorf("%s of %T prints the passphrase: %s", verb, v, out)
			}
		}
	}
	b, dek := wrap(t, k)
	if bytes.Contains(b, dek.Expose()) || bytes.Contains(b, []byte("hunter")) {
		t.Error("the wrapped key holds a secret")
	}
	_, err := kek(t, "hunter3").Unwrap(ctx, b, label)
	if err == nil || strings.Contains(err.Error(), "hunter") {
		t.Errorf("error %v", err)
	}
	k.Wipe()
	if strings.Contains(string(k.pass.Expose()), "hunter") {
		t.Error("the passphrase is there after Wipe")
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := wrap(f, kek(f, "p"))
	f.Add(b)
	f.Add(b[:len(b)-1])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		w, err := decode(in)
		if err == nil && !bytes.Equal(w.encode(), in) {
			t.Errorf("decode then encode changed %x to %x", in, w.encode())
		}
	})
}
