package transit

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
)

// What one process asks, another can unwrap that asks itself; each of its errors is known as what it is.
func TestApart(t *testing.T) {
	s, c := vault(t)
	wrapped, err := kek(t, c, token).Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	itself, err := New(c, given(token), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := itself.Unwrap(ctx, wrapped, label); err != nil || !got.Equal(dek) {
		t.Errorf("%v", err)
	}
	s.Seal(true)
	if _, err := kek(t, c, token).Unwrap(ctx, wrapped, label); !errors.Is(err, ErrLocked) || errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), c.URL) {
		t.Errorf("a sealed vault: %v", err)
	}
	s.Seal(false)
	for i, kind := range kinds {
		b := encodeAnswer(secret.Copy([]byte("secret")), fmt.Errorf("as\nsaid: %w", kind))
		if bytes.Contains(b.Expose(), []byte("secret")) {
			t.Error("an error carries the body")
		}
		if _, err := decodeAnswer(b.Expose()); !errors.Is(err, kind) || strings.Contains(err.Error(), "\n") || !strings.HasPrefix(err.Error(), "as said: ") {
			t.Errorf("kind %d: %v", i, err)
		}
	}
}

// Programs that are no such program, or answer something else, open nothing.
func TestStrangePrograms(t *testing.T) {
	_, c := vault(t)
	dir := t.TempDir()
	for name, script := range map[string]string{
		"silent": "exit 0", "deaf": "exec <&-; sleep 0.1; exit 3", "an echo": "exec cat", "talkative": "head -c 100000 /dev/zero | tr '\\0' 'x'", "short": "printf '\\0\\0\\0\\007abc'",
	} {
		program := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		k, err := New(c, given(token), program)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Wrap(ctx, dek, label); err == nil || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "the process that asks the vault") {
			t.Errorf("%s: %v", name, err)
		}
	}
	k, err := New(c, given(token), filepath.Join(dir, "none"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Wrap(ctx, dek, label); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// A question that is not of the form is not put, and one to a server that no key file may name neither.
func TestStrangeQuestions(t *testing.T) {
	_, c := vault(t)
	ask := func(c Config, q question) string {
		var in, out bytes.Buffer
		if err := send(&in, encodeQuestion(c, secret.Copy([]byte(token)), q)); err != nil {
			t.Fatal(err)
		}
		if err := Serve(ctx, &in, &out); err != nil {
			return err.Error()
		}
		a, err := receive(&out)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = decodeAnswer(a.Expose()); err == nil {
			return ""
		}
		return err.Error()
	}
	good := question{verb: verbEncrypt, plain: secret.Copy(make([]byte, seal.KeySize)), data: []byte("d")}
	if said := ask(c, good); said != "" {
		t.Error(said)
	}
	open := c
	open.URL = "http://203.0.113.1:8200"
	if said := ask(open, good); !strings.Contains(said, "in the open") {
		t.Errorf("a token over the network: %q", said)
	}
	if said := ask(c, question{verb: "delete"}); !strings.Contains(said, "is not asked to") {
		t.Errorf("another verb: %q", said)
	}
	whole := encodeQuestion(c, secret.Copy([]byte(token)), good).Expose()
	for _, b := range [][]byte{whole[:len(whole)-1], append(slices.Clone(whole), 0), {}} {
		if err := Serve(ctx, bytes.NewReader(slices.Concat([]byte{0, 0, byte(len(b) >> 8), byte(len(b))}, b)), &bytes.Buffer{}); err == nil {
			t.Errorf("a question of %d bytes is put", len(b))
		}
	}
}

// A question that is taken is written as it came.
func FuzzQuestion(f *testing.F) {
	c := Config{URL: "https://vault:8200", Mount: "transit", Key: "ostraka", Namespace: "a", CA: "/ca.pem"}
	f.Add(encodeQuestion(c, secret.Copy([]byte("token")), question{verb: verbEncrypt, plain: secret.Copy([]byte("plain")), data: []byte("data")}).Expose())
	f.Add(encodeQuestion(c, secret.Copy([]byte("token")), question{verb: verbDecrypt, text: "vault:v1:abc"}).Expose())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		c, token, q, err := decodeQuestion(in)
		if err != nil {
			return
		}
		if out := encodeQuestion(c, token, q); !bytes.Equal(out.Expose(), in) {
			t.Errorf("%x is taken, and written as %x", in, out.Expose())
		}
	})
}

// An answer that is taken and is no error is written as it came; an error has a text.
func FuzzAnswerApart(f *testing.F) {
	f.Add(encodeAnswer(secret.Copy([]byte("body")), nil).Expose())
	for _, kind := range kinds {
		f.Add(encodeAnswer(secret.Bytes{}, kind).Expose())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		body, err := decodeAnswer(in)
		if err != nil {
			if err.Error() == "" || body.Len() > 0 {
				t.Errorf("an error without a text, or with %d bytes", body.Len())
			}
			return
		}
		if out := encodeAnswer(body, nil); !bytes.Equal(out.Expose(), in) {
			if again, err := decodeAnswer(out.Expose()); err != nil || !again.Equal(body) {
				t.Errorf("%x is taken, and written as %x", in, out.Expose())
			}
		}
	})
}
