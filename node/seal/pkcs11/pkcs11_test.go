package pkcs11

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/node/seal"
	"github.com/ostraka/ostraka/node/seal/pkcs11/pkcs11test"
)

var (
	ctx    = context.Background()
	label  = seal.Label{Operator: []byte("op"), Row: "data-key"}
	dek    = secret.Copy(bytes.Repeat([]byte{0xA7}, seal.KeySize))
	pin    = secret.Copy([]byte(pkcs11test.PIN))
	update = flag.Bool("update", false, "write the golden files anew")
)

// The test's own program is a helper that does what its first argument's folder says: hostile ones, and one that is locked.
func TestMain(m *testing.M) {
	if name := filepath.Base(os.Args[0]); strings.HasPrefix(name, "fake-") {
		fake(strings.TrimPrefix(name, "fake-"))
		return
	}
	code := m.Run()
	pkcs11test.Clean()
	os.Exit(code)
}

func fake(how string) {
	switch how {
	case "dead":
	case "garbage":
		_ = send(os.Stdout, []byte("hello, who is there?"))
	case "endless":
		_, _ = os.Stdout.Write([]byte{0xff, 0xff, 0xff, 0xff})
	case "short":
		_, _ = os.Stdout.Write([]byte{0, 0, 1, 0, 7})
	case "newer":
		b := Answer{}.encode()
		b[13] = 2
		_ = send(os.Stdout, b)
	case "silent":
		time.Sleep(time.Hour)
	case "opens": // and gives the answer of opening to whatever else it is asked
		for {
			if b, err := receive(os.Stdin); err != nil || send(os.Stdout, Answer{Text: "model of tests"}.encode()) != nil || len(b) == 0 {
				return
			}
		}
	default:
		_ = Serve(os.Stdin, os.Stdout, &model{how: how})
	}
}

func fakeHelper(t *testing.T, how string) string {
	t.Helper()
	self, err := os.Executable()
	path := filepath.Join(t.TempDir(), "fake-"+how)
	if err == nil {
		err = os.Symlink(self, path)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// model is a token in memory.
type model struct {
	how   string
	opens int
	aead  cipher.AEAD
}

func (m *model) Open(_, _, key string, pin secret.Bytes, make bool) (string, error) {
	m.opens++
	for code := NoC; code < codes; code++ {
		if m.how == fmt.Sprint(uint64(code)) {
			return "", &Error{code, "the library says " + string(pin.Expose())}
		}
	}
	if string(pin.Expose()) != pkcs11test.PIN {
		return "", &Error{WrongPIN, ""}
	}
	if key != "ostraka" && !make {
		return "", &Error{NoKey, ""}
	}
	b, err := aes.NewCipher(bytes.Repeat([]byte{9}, 32))
	if err == nil {
		m.aead, err = cipher.NewGCM(b)
	}
	return "model of tests", err
}

func (m *model) Wrap(data, body []byte) ([]byte, error) {
	if m.how == "odd" {
		return []byte("odd"), nil
	}
	nonce := make([]byte, IVSize)
	_, _ = rand.Read(nonce)
	return m.aead.Seal(nonce, nonce, body, data), nil
}

func (m *model) Unwrap(data, body []byte) ([]byte, error) {
	if len(body) < IVSize {
		return nil, &Error{NotOpens, ""}
	}
	out, err := m.aead.Open(nil, body[:IVSize], body[IVSize:], data)
	if err != nil {
		return nil, &Error{NotOpens, ""}
	}
	switch m.how {
	case "unwraps-nothing":
		return nil, nil
	case "unwraps-31":
		return out[:31], nil
	case "unwraps-33":
		return append(out, 0), nil
	case "unwraps-another":
		return bytes.Repeat([]byte{7}, 32), nil
	case "dies":
		os.Exit(0)
	}
	return out, nil
}

func config(x *pkcs11test.Token) Config {
	return Config{Module: x.Module, Token: x.Label, Key: "ostraka"}
}

func open(t testing.TB, c Config, make bool) *KEK {
	t.Helper()
	k, err := Open(ctx, pkcs11test.Helper(t), c, pin, make)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.Close() })
	return k
}

func TestSoftHSM(t *testing.T) {
	x := pkcs11test.New(t, "op1")
	c := config(x)
	k := open(t, c, true)
	if !strings.Contains(k.What, "SoftHSM") {
		t.Errorf("the token says it is %q", k.What)
	}
	wrapped, err := k.Wrap(ctx, dek, label)
	if err != nil {
		t.Fatal(err)
	}
	again, err := k.Wrap(ctx, dek, label)
	if err != nil || bytes.Equal(again, wrapped) {
		t.Errorf("wrapped twice to the same bytes (%v)", err)
	}
	k.Close()
	if _, err := k.Wrap(ctx, dek, label); err == nil {
		t.Error("a closed KEK wraps")
	}
	// Another process, without the right to make keys.
	k = open(t, c, false)
	if got, err := k.Unwrap(ctx, wrapped, label); err != nil || !got.Equal(dek) {
		t.Errorf("unwrap: %v", err)
	}
	other := label
	other.Operator = []byte("oq")
	if _, err := k.Unwrap(ctx, wrapped, other); !errors.Is(err, &Error{Code: NotOpens}) {
		t.Errorf("another label: %v", err)
	}
	for i := range wrapped {
		bad := bytes.Clone(wrapped)
		bad[i] ^= 1
		if _, err := k.Unwrap(ctx, bad, label); err == nil {
			t.Errorf("byte %d changed and it opens", i)
		}
	}
	if got, err := k.Unwrap(ctx, wrapped, label); err != nil || !got.Equal(dek) {
		t.Errorf("unwrap after refusals: %v", err)
	}
	wrongAndMissing(t, x)
	for _, want := range []Code{NoToken, TokenFailed} { // its files are gone, and then their folder
		if x.Remove(t, want == TokenFailed); want == NoToken {
			if _, err := k.Unwrap(ctx, wrapped, label); !errors.Is(err, &Error{Code: Removed}) {
				t.Errorf("the token is gone: %v", err)
			}
		}
		if _, err := Open(ctx, pkcs11test.Helper(t), c, pin, false); !errors.Is(err, &Error{Code: want}) {
			t.Errorf("no token: %v, want %q", err, meanings[want])
		}
	}
}

// wrongAndMissing tries what goes wrong with a real token, each of which says what it is.
func wrongAndMissing(t *testing.T, x *pkcs11test.Token) {
	t.Helper()
	x.Import(t, "known")
	x.Add(t, "twin")
	x.Add(t, "twin")
	change := func(f func(*Config)) Config { c := config(x); f(&c); return c }
	text := filepath.Join(t.TempDir(), "text.so")
	if err := os.WriteFile(text, []byte("no library"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		c    Config
		pin  string
		want Code
	}{
		{"wrong PIN", config(x), "4712", WrongPIN},
		{"no such key", change(func(c *Config) { c.Key = "none" }), pkcs11test.PIN, NoKey},
		{"no such token", change(func(c *Config) { c.Token = "op2" }), pkcs11test.PIN, NoToken},
		{"two tokens of one name", change(func(c *Config) { c.Token = "twin" }), pkcs11test.PIN, NoToken},
		{"no library", change(func(c *Config) { c.Module = "/nowhere/lib.so" }), pkcs11test.PIN, NoModule},
		{"no library, but a file", change(func(c *Config) { c.Module = text }), pkcs11test.PIN, NoModule},
		{"a key that was known", change(func(c *Config) { c.Key = "known" }), pkcs11test.PIN, Exportable},
	} {
		_, err := Open(ctx, pkcs11test.Helper(t), c.c, secret.Copy([]byte(c.pin)), false)
		if !errors.Is(err, &Error{Code: c.want}) || strings.Contains(err.Error(), c.pin) {
			t.Errorf("%s: %v, want %q", c.name, err, meanings[c.want])
		}
	}
}

// What SoftHSM cannot show (it never locks), and what a hostile or broken helper does.
func TestHelpers(t *testing.T) {
	c := Config{Module: "/lib.so", Token: "op1", Key: "ostraka"}
	for code := NoC; code < codes; code++ {
		_, err := Open(ctx, fakeHelper(t, fmt.Sprint(uint64(code))), c, pin, false)
		if !errors.Is(err, &Error{Code: code}) || !strings.Contains(err.Error(), meanings[code]) || strings.Contains(err.Error(), pkcs11test.PIN) || !strings.Contains(err.Error(), "says [secret]") {
			t.Errorf("code %d: %v", code, err)
		}
	}
	soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	for how, want := range map[string]string{
		"dead": "ended before it answered", "garbage": "found field", "endless": "at most", "short": "cut short", "newer": "speaks 1", "silent": "deadline",
	} {
		within := ctx
		if how == "silent" {
			within = soon
		}
		if _, err := Open(within, fakeHelper(t, how), c, pin, false); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", how, err, want)
		}
	}
	k, err := Open(ctx, fakeHelper(t, "odd"), c, pin, false)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if _, err := k.Wrap(ctx, dek, label); err == nil || !strings.Contains(err.Error(), "has 3 bytes") {
		t.Errorf("an odd ciphertext: %v", err)
	}
	if _, err := Open(ctx, "/nowhere/ostraka-hsm", c, pin, false); err == nil || !strings.Contains(err.Error(), "is not there: build it") {
		t.Errorf("no helper: %v", err)
	}
}

// A helper that gives another data key, or none of its length, opens no folder and makes none, alone or beside another provider; nor does one that answers something else, or dies after it has logged in.
func TestHelperGivesAnotherKey(t *testing.T) {
	c := Config{Module: "/lib.so", Token: "op1", Key: "ostraka"}
	opener := func(how string) seal.Opener {
		return func(_ context.Context, _ string, p seal.Provider) (seal.KEK, error) {
			how := how
			if p.Kind == "honest" {
				how = "good"
			}
			k, err := Open(ctx, fakeHelper(t, how), c, pin, false)
			if err != nil {
				return nil, err
			}
			t.Cleanup(func() { k.Close() })
			return k, nil
		}
	}
	for what, slot := range map[string]seal.Slot{
		"alone":   {Name: "a", Providers: []seal.Provider{{Kind: "pkcs11"}}},
		"of both": {Name: "a", Providers: []seal.Provider{{Kind: "pkcs11"}, {Kind: "honest"}}},
	} {
		path := filepath.Join(t.TempDir(), "key.json")
		box, err := seal.CreateFile(ctx, path, label, opener("good"), rand.Reader, slot)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := box.Seal(label, []byte("a share"))
		if err != nil {
			t.Fatal(err)
		}
		for how, want := range map[string]string{
			"good": "", "unwraps-nothing": "0 bytes, not 32", "unwraps-31": "31 bytes, not 32", "unwraps-33": "33 bytes, not 32", "unwraps-another": "", "opens": "0 bytes, not 32", "dies": "ended before it answered",
		} {
			got, _, err := seal.OpenFile(ctx, path, label, opener(how), rand.Reader)
			another := how == "unwraps-another"
			switch {
			case another && !errors.Is(err, seal.ErrDamaged), !another && (want == "") != (err == nil), err != nil && !strings.Contains(err.Error(), want) && !(what == "of both" && strings.Contains(err.Error(), "piece of the data key has another length")):
				t.Errorf("%s, %s: %v, want %q", what, how, err, want)
			case err == nil:
				if b, err := got.Open(label, sealed); err != nil || string(b.Expose()) != "a share" {
					t.Errorf("%s, %s: %v", what, how, err)
				}
			}
			if how == "good" {
				continue
			}
			made := filepath.Join(t.TempDir(), "key.json")
			if _, err := seal.CreateFile(ctx, made, label, opener(how), rand.Reader, slot); err == nil {
				t.Errorf("%s, %s: a folder is made whose key does not come back", what, how)
			}
			if _, err := os.Lstat(made); err == nil {
				t.Errorf("%s, %s: its key file is left", what, how)
			}
		}
	}
}

// A helper without C says so, whatever it is asked.
func TestHelperWithoutC(t *testing.T) {
	path := filepath.Join(t.TempDir(), Helper)
	if err := pkcs11test.Build(path, false); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(ctx, path, Config{Module: "/lib.so", Token: "op1", Key: "ostraka"}, pin, false); !errors.Is(err, &Error{Code: NoC}) {
		t.Error(err)
	}
}

// One helper tries one PIN: a second one in the same session would be a second try.
func TestOnePIN(t *testing.T) {
	m := &model{}
	q := Request{Op: OpOpen, Module: "/lib.so", Token: "op1", Key: "ostraka", PIN: secret.Copy([]byte("wrong"))}
	good := q
	good.PIN = pin
	wrap := Request{Op: OpWrap, Data: []byte("d"), Body: dek}
	ask := func(qs ...Request) (codes []Code) {
		var in, out bytes.Buffer
		for _, q := range qs {
			b, err := q.encode()
			if err != nil {
				t.Fatal(err)
			}
			if err := send(&in, b); err != nil {
				t.Fatal(err)
			}
		}
		if err := Serve(&in, &out, m); err != nil {
			t.Fatal(err)
		}
		for {
			b, err := receive(&out)
			if errors.Is(err, io.EOF) {
				return codes
			}
			a, err2 := decodeAnswer(b)
			if err := errors.Join(err, err2); err != nil {
				t.Fatal(err)
			}
			codes = append(codes, a.Code)
		}
	}
	if got := ask(q, good, good); len(got) != 1 || got[0] != WrongPIN || m.opens != 1 {
		t.Errorf("after a wrong PIN: %v, %d tries", got, m.opens)
	}
	if got := ask(good, good, wrap); len(got) != 3 || got[0] != Done || got[1] != BadRequest || got[2] != Done || m.opens != 2 {
		t.Errorf("two PINs: %v, %d tries", got, m.opens)
	}
	if got := ask(wrap, good); len(got) != 1 || got[0] != BadRequest || m.opens != 2 {
		t.Errorf("wrapping before opening: %v", got)
	}
}

func TestRequests(t *testing.T) {
	good := Request{Op: OpOpen, Module: "/lib.so", Token: "op1", Key: "ostraka", PIN: pin}
	wrap := Request{Op: OpWrap, Data: []byte("d"), Body: dek}
	change := func(r Request, f func(*Request)) Request { f(&r); return r }
	for name, r := range map[string]Request{
		"no op": change(good, func(r *Request) { r.Op = 0 }), "other op": change(good, func(r *Request) { r.Op = 9 }),
		"no module": change(good, func(r *Request) { r.Module = "" }), "no token": change(good, func(r *Request) { r.Token = "" }), "no key": change(good, func(r *Request) { r.Key = "" }), "no PIN": change(good, func(r *Request) { r.PIN = secret.Bytes{} }),
		"open with a body": change(good, func(r *Request) { r.Body = dek }), "wrap with a PIN": change(wrap, func(r *Request) { r.PIN = pin }), "wrap with a key": change(wrap, func(r *Request) { r.Key = "k" }),
		"wrap nothing": change(wrap, func(r *Request) { r.Body = secret.Bytes{} }), "bind nothing": change(wrap, func(r *Request) { r.Data = nil }),
		"long module": change(good, func(r *Request) { r.Module = strings.Repeat("/", maxPath+1) }), "long PIN": change(good, func(r *Request) { r.PIN = secret.New(make([]byte, maxPIN+1)) }),
		"two lines": change(good, func(r *Request) { r.Token = "a\nb" }), "no text": change(good, func(r *Request) { r.Key = "\xff" }),
		"long data": change(wrap, func(r *Request) { r.Data = make([]byte, maxData+1) }), "long body": change(wrap, func(r *Request) { r.Body = secret.New(make([]byte, maxBody+1)) }),
	} {
		if _, err := r.encode(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestConfig(t *testing.T) {
	for name, c := range map[string]Config{
		"relative": {"lib.so", "t", "k"}, "not clean": {"/usr/../lib.so", "t", "k"}, "no token": {"/lib.so", "", "k"}, "no key": {"/lib.so", "t", ""},
		"long token": {"/lib.so", strings.Repeat("t", maxName+1), "k"}, "lines": {"/lib.so", "t", "k\nk"},
	} {
		if err := c.Check(); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// The two messages and the wrapped form, as bytes.
func TestGolden(t *testing.T) {
	q, err := Request{Op: OpOpen, Module: "/lib.so", Token: "op1", Key: "ostraka", PIN: secret.Copy([]byte("1234"))}.encode()
	if err != nil {
		t.Fatal(err)
	}
	w, err := encode(bytes.Repeat([]byte{7}, IVSize+Sealed))
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("open\n%x\nanswer\n%x\nwrapped\n%x\n", q, Answer{Code: WrongPIN, Text: "log in"}.encode(), w)
	path := filepath.Join("testdata", "wire.txt")
	if *update {
		if err := errors.Join(os.MkdirAll("testdata", 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || got != string(want) {
		t.Errorf("%v, now:\n%s", err, got)
	}
}

func FuzzRequest(f *testing.F) {
	for _, r := range []Request{
		{Op: OpMake, Module: "/lib.so", Token: "op1", Key: "ostraka", PIN: pin},
		{Op: OpUnwrap, Data: []byte("d"), Body: dek},
	} {
		b, err := r.encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		r, err := decodeRequest(in)
		if err != nil {
			return
		}
		if out, err := r.encode(); err != nil || !bytes.Equal(out, in) {
			t.Errorf("decode then encode changed %x (%v)", in, err)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	f.Add(Answer{Body: dek}.encode())
	f.Add(Answer{Code: LockedPIN, Text: "log in: CKR_PIN_LOCKED"}.encode())
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := decodeAnswer(in)
		if err == nil && !bytes.Equal(a.encode(), in) {
			t.Errorf("decode then encode changed %x", in)
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add([]byte{0, 0, 0, 2, 7, 7, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		var back bytes.Buffer
		for {
			b, err := receive(r)
			if err != nil {
				break
			}
			back.Write(binary.BigEndian.AppendUint32(nil, uint32(len(b))))
			back.Write(b)
		}
		if !bytes.HasPrefix(in, back.Bytes()) {
			t.Errorf("read %x of %x", back.Bytes(), in)
		}
		_ = Serve(bytes.NewReader(in), io.Discard, &model{})
	})
}

func FuzzWrapped(f *testing.F) {
	good, err := encode(make([]byte, IVSize+Sealed))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, in []byte) {
		sealed, err := decode(in)
		if err != nil {
			return
		}
		if out, err := encode(sealed); err != nil || !bytes.Equal(out, in) {
			t.Errorf("decode then encode changed %x (%v)", in, err)
		}
	})
}

func BenchmarkSoftHSM(b *testing.B) {
	x := pkcs11test.New(b, "op1")
	k := open(b, config(x), true)
	wrapped, err := k.Wrap(ctx, dek, label)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("wrap", func(b *testing.B) {
		for b.Loop() {
			if _, err := k.Wrap(ctx, dek, label); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unwrap", func(b *testing.B) {
		for b.Loop() {
			if _, err := k.Unwrap(ctx, wrapped, label); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("start", func(b *testing.B) { // helper, login and unwrap: what a node's start costs
		for b.Loop() {
			k, err := Open(ctx, pkcs11test.Helper(b), config(x), pin, false)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := k.Unwrap(ctx, wrapped, label); err != nil {
				b.Fatal(err)
			}
			k.Close()
		}
	})
}
