package tpm

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/internal/components/swtpm"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/tpm"
)

var (
	update = flag.Bool("update", false, "write testdata anew")
	ctx    = context.Background()
	label  = seal.Label{Operator: []byte("op"), Row: "data-key"}
)

func kek(t testing.TB, e *swtpm.TPM, pcrs, pin string) *KEK {
	t.Helper()
	d, err := tpm.New(e.Path())
	if err != nil {
		t.Fatal(err)
	}
	return on(t, d, pcrs, pin)
}

func on(t testing.TB, d *tpm.Device, pcrs, pin string) *KEK {
	t.Helper()
	s, err := tpm.ParseSelection(pcrs)
	if err != nil {
		t.Fatal(err)
	}
	k, err := New(d, s, secret.New([]byte(pin)), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func wrap(t testing.TB, k *KEK) (dek secret.Bytes, b []byte) {
	t.Helper()
	dek, err := seal.NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = k.Wrap(ctx, dek, label); err != nil {
		t.Fatal(err)
	}
	if len(b) > seal.MaxWrapped {
		t.Errorf("wrapped form has %d bytes", len(b))
	}
	return dek, b
}

func unwraps(t testing.TB, k *KEK, b []byte, dek secret.Bytes) {
	t.Helper()
	got, err := k.Unwrap(ctx, b, label)
	if err != nil || !got.Equal(dek) {
		t.Errorf("unwrap: %v", err)
	}
}

// One emulator serves what follows, in this order.
func TestWithTPM(t *testing.T) {
	e := swtpm.Start(t)
	t.Run("wraps", func(t *testing.T) { wraps(t, e) })
	t.Run("changed files", func(t *testing.T) { changedFiles(t, e) })
	t.Run("another TPM", func(t *testing.T) { anotherTPM(t, e) })
	t.Run("PCRs", func(t *testing.T) { bootsOtherwise(t, e) })
	t.Run("bus", func(t *testing.T) { listened(t, e) }) // after the last cut of the power: the TPM takes one after a PIN was used for a wrong PIN
	t.Run("PIN", func(t *testing.T) { pins(t, e) })
}

func wraps(t *testing.T, e *swtpm.TPM) {
	k := kek(t, e, "", "")
	dek, b := wrap(t, k)
	unwraps(t, k, b, dek)
	if _, again := wrap(t, k); bytes.Equal(again, b) {
		t.Error("wrapped twice to the same bytes")
	}
	other := label
	other.Operator = []byte("another")
	if _, err := k.Unwrap(ctx, b, other); !errors.Is(err, seal.ErrSealed) {
		t.Errorf("under another label: %v", err)
	}
	e.End() // the machine is switched off and on
	e.Begin(t)
	unwraps(t, kek(t, e, "", ""), b, dek)
	for _, verb := range []string{"%v", "%+v", "%#v", "%x"} {
		if out := fmt.Sprintf(verb, kek(t, e, "", "1234")); out != secret.Redacted {
			t.Errorf("%s prints %s", verb, out)
		}
	}
}

// No byte of the wrapped form can be another and the data key still come out. Bytes of the TPM's own parts cost a command each, so of those some
// are tried.
func changedFiles(t *testing.T, e *swtpm.TPM) {
	k := kek(t, e, "", "")
	_, b := wrap(t, k)
	for i := range b {
		if i%7 != 0 {
			continue
		}
		c := bytes.Clone(b)
		c[i] ^= 1
		if _, err := k.Unwrap(ctx, c, label); err == nil {
			t.Errorf("byte %d may be changed", i)
		}
	}
	for n := range len(b) {
		if _, err := decode(b[:n]); err == nil {
			t.Fatalf("%d of %d bytes are taken", n, len(b))
		}
	}
}

func anotherTPM(t *testing.T, e *swtpm.TPM) {
	_, b := wrap(t, kek(t, e, "", ""))
	o := swtpm.Start(t)
	if _, err := kek(t, o, "", "").Unwrap(ctx, b, label); !errors.Is(err, tpm.ErrOther) {
		t.Errorf("another TPM: %v", err)
	}
	// Who also writes the other's name gets no further.
	w, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	w2, err := decode(func() []byte { _, b := wrap(t, kek(t, o, "", "")); return b }())
	if err != nil {
		t.Fatal(err)
	}
	w.root = w2.root
	if _, err := kek(t, o, "", "").Unwrap(ctx, w.encode(), label); err == nil || !strings.Contains(err.Error(), "does not know the sealed key") {
		t.Errorf("another TPM's key: %v", err)
	}
}

// tap stands between a node and its TPM, and keeps all that passes.
func tap(t *testing.T, e *swtpm.TPM) (path string, seen func() []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "tap")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	var mu sync.Mutex
	var all bytes.Buffer
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 8192)
			n, _ := c.Read(b)
			answer, err := e.Open(t).Send(b[:n])
			if err == nil {
				_, _ = c.Write(answer)
			}
			mu.Lock()
			all.Write(b[:n])
			all.Write(answer)
			mu.Unlock()
			_ = c.Close()
		}
	}()
	return "unix:" + path, func() []byte {
		mu.Lock()
		defer mu.Unlock()
		return bytes.Clone(all.Bytes())
	}
}

// Who listens on the bus while a key is sealed and comes out again reads neither the key nor what stands for the PIN.
func listened(t *testing.T, e *swtpm.TPM) {
	path, seen := tap(t, e)
	d, err := tpm.New(path)
	if err != nil {
		t.Fatal(err)
	}
	k := on(t, d, "", "secret pin")
	key := bytes.Repeat([]byte("wrapping"), seal.KeySize/8)
	k.rand = io.MultiReader(bytes.NewReader(key), rand.Reader)
	dek, b := wrap(t, k)
	unwraps(t, k, b, dek)
	w, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := seal.Decrypt(secret.Copy(key), must(w.data(label)), w.sealed, seal.KeySize); err != nil || !got.Equal(dek) {
		t.Fatalf("the key is another one: this test looks for the wrong one: %v", err)
	}
	if !bytes.Contains(seen(), w.private) {
		t.Error("the tap hears nothing")
	}
	for name, secret := range map[string][]byte{"wrapping key": key, "PIN": []byte("secret pin"), "what stands for it": k.auth(), "data key": dek.Expose()} {
		if bytes.Contains(seen(), secret) {
			t.Errorf("the %s passes in the clear", name)
		}
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func bootsOtherwise(t *testing.T, e *swtpm.TPM) {
	d, err := tpm.New(e.Path())
	if err != nil {
		t.Fatal(err)
	}
	k := on(t, d, "sha256:0,4,7,11", "")
	dek, b := wrap(t, k)
	_, firmware := wrap(t, on(t, d, "sha256:0", ""))
	e.Extend(t, 11, strings.Repeat("ab", 32))
	e.Extend(t, 23, strings.Repeat("cd", 32)) // of no selection
	var changed *ChangedError
	if _, err := k.Unwrap(ctx, b, label); !errors.As(err, &changed) || changed.Changed.String() != "sha256:11" || !strings.Contains(err.Error(), "PCR 11 (the unified kernel image") {
		t.Errorf("after another boot: %v", err)
	}
	// The note of values only finds words: with the values of today in it, the TPM still refuses.
	w, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Use(ctx, "read", func(c *tpm.Conn) error {
		v, err := c.ReadPCRs(w.selection())
		for i := range w.pcrs {
			w.pcrs[i].value = v[i]
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap(ctx, w.encode(), label); !errors.Is(err, tpm2.TPMRCPolicyFail) || !errors.As(err, &changed) {
		t.Errorf("with a note of today's values: %v", err)
	}
	if _, err := k.Unwrap(ctx, firmware, label); err != nil {
		t.Errorf("sealed to PCR 0 alone: %v", err)
	}
	e.End()
	e.Begin(t) // booted as before
	unwraps(t, k, b, dek)
}

func pins(t *testing.T, e *swtpm.TPM) {
	d, err := tpm.New(e.Path())
	if err != nil {
		t.Fatal(err)
	}
	_, plain := wrap(t, on(t, d, "", ""))
	for i := range 3 {
		k := on(t, d, "", fmt.Sprintf("%04d", i)) // there is a zero in the hash of the first: what is given to the TPM has none
		dek, b := wrap(t, k)
		unwraps(t, k, b, dek)
	}
	k := on(t, d, "", "0000")
	dek, b := wrap(t, k)
	if _, err := on(t, d, "", "").Unwrap(ctx, b, label); !errors.Is(err, ErrNeedsPIN) {
		t.Errorf("without a PIN: %v", err)
	}
	if _, err := k.Unwrap(ctx, plain, label); err == nil {
		t.Error("a PIN for a key without one is taken")
	}
	wrong := on(t, d, "", "0001")
	if _, err := wrong.Unwrap(ctx, b, label); !errors.Is(err, ErrPIN) || !strings.Contains(err.Error(), "it takes 2 wrong ones more") {
		t.Errorf("wrong PIN: %v", err)
	}
	unwraps(t, k, b, dek)
	if _, err := wrong.Unwrap(ctx, b, label); !errors.Is(err, ErrPIN) {
		t.Errorf("wrong PIN: %v", err)
	}
	// One more would lock it for all that uses it: not even the right one is tried.
	var locked *tpm.LockedError
	for range 3 {
		if _, err := k.Unwrap(ctx, b, label); !errors.As(err, &locked) || locked.Left != 1 || locked.Every < time.Minute {
			t.Errorf("one try left: %v", err)
		}
	}
	lock(t, d, b)
	if _, err := k.Unwrap(ctx, b, label); !errors.As(err, &locked) || locked.Left != 0 || errors.Is(err, tpm2.TPMRCLockout) {
		t.Errorf("locked: %v", err)
	}
	if _, err := on(t, d, "", "").Unwrap(ctx, plain, label); err != nil {
		t.Errorf("a lockout stops a key without a PIN: %v", err)
	}
}

// lock gives wrong PINs as another program would, until the TPM is locked.
func lock(t *testing.T, d *tpm.Device, b []byte) {
	t.Helper()
	w, err := decode(b)
	if err != nil {
		t.Fatal(err)
	}
	err = d.Use(ctx, "lock", func(c *tpm.Conn) error {
		root, err := c.Root()
		if err != nil {
			return err
		}
		loaded, err := w.load(c, root)
		if err != nil {
			return err
		}
		for {
			session := tpm2.Policy(tpm2.TPMAlgSHA256, 16, w.satisfy, tpm2.Auth([]byte("wrong")))
			_, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: session}}.Execute(c)
			if !errors.Is(err, tpm2.TPMRCAuthFail) {
				return errors.Join(err, c.Flush(loaded.ObjectHandle), c.Release(root))
			}
		}
	})
	var locked *tpm.LockedError
	if !errors.Is(err, tpm2.TPMRCLockout) || !errors.As(err, &locked) {
		t.Fatalf("not locked: %v", err)
	}
}

func sample() *wrapped {
	return &wrapped{
		pin: true, root: bytes.Repeat([]byte{1}, nameSize), pcrs: []pcr{{0, [32]byte{2}}, {7, [32]byte{3}}},
		public: []byte("public"), private: []byte("private"), sealed: bytes.Repeat([]byte{4}, seal.KeySize+seal.Overhead),
	}
}

func TestWrappedBytes(t *testing.T) {
	text := []byte(hex.EncodeToString(sample().encode()) + "\n")
	path := filepath.Join("testdata", "wrapped.hex")
	if *update {
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(want, text) {
		t.Errorf("bytes changed: %s, %v", text, err)
	}
	for name, change := range map[string]func(*wrapped){
		"root":            func(w *wrapped) { w.root = w.root[1:] },
		"no PCR":          func(w *wrapped) { w.pcrs = nil },
		"PCR 24":          func(w *wrapped) { w.pcrs[1].index = 24 },
		"PCR twice":       func(w *wrapped) { w.pcrs[1].index = 0 },
		"too many PCRs":   func(w *wrapped) { w.pcrs = make([]pcr, 25) },
		"public":          func(w *wrapped) { w.public = make([]byte, maxObject+1) },
		"private":         func(w *wrapped) { w.private = make([]byte, maxObject+1) },
		"sealed data key": func(w *wrapped) { w.sealed = w.sealed[1:] },
	} {
		w := sample()
		change(w)
		if _, err := decode(w.encode()); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	if _, err := decode(append(sample().encode(), 0)); err == nil {
		t.Error("a tail is taken")
	}
	b := sample().encode()
	b[13] = 2 // the version
	if _, err := decode(b); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("another version: %v", err)
	}
}

func FuzzWrapped(f *testing.F) {
	f.Add(sample().encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if w, err := decode(b); err == nil && !bytes.Equal(w.encode(), b) {
			t.Errorf("%x has another form", b)
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	k := kek(b, swtpm.Start(b), "", "")
	for b.Loop() {
		wrap(b, k)
	}
}

func BenchmarkUnseal(b *testing.B) {
	k := kek(b, swtpm.Start(b), "", "")
	dek, w := wrap(b, k)
	for b.Loop() {
		unwraps(b, k, w, dek)
	}
}
