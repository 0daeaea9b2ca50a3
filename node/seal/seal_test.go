package seal

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

var (
	ctx   = context.Background()
	label = Label{Key: []byte("key"), Epoch: []byte("eh"), Operator: []byte("op"), Row: "share/1"}
)

// plainKEK wraps under a key in memory.
type plainKEK struct {
	name string
	key  secret.Bytes
}

func newKEK(name string) plainKEK {
	h := sha256.Sum256([]byte(name))
	return plainKEK{name, secret.New(h[:])}
}

var errWrongKEK = errors.New("wrong key of the provider")

func (k plainKEK) Name() string { return strings.TrimRight(k.name, "'") }

func (k plainKEK) Wrap(_ context.Context, dek secret.Bytes, l Label) ([]byte, error) {
	data, err := l.Data(transcript.SealWrap)
	if err != nil {
		return nil, err
	}
	return Encrypt(rand.Reader, k.key, data, dek.Expose())
}

func (k plainKEK) Unwrap(_ context.Context, b []byte, l Label) (secret.Bytes, error) {
	data, err := l.Data(transcript.SealWrap)
	if err != nil {
		return secret.Bytes{}, err
	}
	dek, err := Decrypt(k.key, data, b, KeySize)
	if errors.Is(err, ErrSealed) {
		err = errWrongKEK
	}
	return dek, err
}

func box(t testing.TB) *Box {
	t.Helper()
	dek, err := NewKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewBox(dek, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealOpen(t *testing.T) {
	b := box(t)
	for _, n := range []int{0, 1, 32, 8 << 10, MaxPlain} {
		plain := bytes.Repeat([]byte{7}, n)
		sealed, err := b.Seal(label, plain)
		if err != nil || len(sealed) != n+Overhead {
			t.Fatalf("%d bytes: %d sealed, %v", n, len(sealed), err)
		}
		got, err := b.Open(label, sealed)
		if err != nil || !bytes.Equal(got.Expose(), plain) {
			t.Errorf("%d bytes: %v", n, err)
		}
		again, err := b.Seal(label, plain)
		if err != nil || bytes.Equal(again, sealed) {
			t.Errorf("%d bytes: sealed twice to the same bytes, %v", n, err)
		}
	}
	if _, err := b.Seal(label, make([]byte, MaxPlain+1)); err == nil {
		t.Error("a row over the bound was sealed")
	}
}

// Swapped rows, an old epoch's share, another operator's file, another key's row.
func TestOtherLabelsDoNotOpen(t *testing.T) {
	b := box(t)
	sealed, err := b.Seal(label, []byte("share"))
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(*Label)) Label { l := label; f(&l); return l }
	for name, l := range map[string]Label{
		"other key":      change(func(l *Label) { l.Key = []byte("kez") }),
		"other epoch":    change(func(l *Label) { l.Epoch = []byte("eg") }),
		"no epoch":       change(func(l *Label) { l.Epoch = nil }),
		"other operator": change(func(l *Label) { l.Operator = []byte("oq") }),
		"other row":      change(func(l *Label) { l.Row = "share/2" }),
		"parts move":     change(func(l *Label) { l.Key, l.Epoch = []byte("keye"), []byte("h") }),
		"parts swapped":  change(func(l *Label) { l.Key, l.Epoch = l.Epoch, l.Key }),
		"empty":          {},
	} {
		if _, err := b.Open(l, sealed); !errors.Is(err, ErrSealed) {
			t.Errorf("%s: %v, want ErrSealed", name, err)
		}
	}
	if _, err := box(t).Open(label, sealed); !errors.Is(err, ErrSealed) {
		t.Errorf("other data key: %v, want ErrSealed", err)
	}
	long := strings.Repeat("x", maxLabelPart+1)
	for _, l := range []Label{{Key: []byte(long)}, {Epoch: []byte(long)}, {Operator: []byte(long)}, {Row: long}} {
		if _, err := b.Seal(l, nil); err == nil {
			t.Error("a label over the bound was taken")
		}
	}
}

func TestEveryBitIsAuthenticated(t *testing.T) {
	b := box(t)
	sealed, err := b.Seal(label, []byte("sixteen bytes ab"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(sealed) * 8 {
		bad := bytes.Clone(sealed)
		bad[i/8] ^= 1 << (i % 8)
		if _, err := b.Open(label, bad); err == nil {
			t.Errorf("bit %d changed and it opens", i)
		}
	}
	for n := range sealed {
		if _, err := b.Open(label, sealed[:n]); err == nil {
			t.Errorf("opens when cut to %d bytes", n)
		}
	}
	if _, err := b.Open(label, append(sealed, 0)); err == nil {
		t.Error("opens with a byte too many")
	}
}

// failing gives n bytes and then an error.
type failing struct{ n int }

func (f *failing) Read(p []byte) (int, error) {
	if f.n < len(p) {
		return 0, errors.New("no entropy")
	}
	f.n -= len(p)
	return len(p), nil
}

func TestNoEntropyNoOutput(t *testing.T) {
	if k, err := NewKey(&failing{16}); err == nil || k.Len() != 0 {
		t.Errorf("data key of %d bytes, %v", k.Len(), err)
	}
	b, err := NewBox(secret.New(make([]byte, KeySize)), &failing{8})
	if err != nil {
		t.Fatal(err)
	}
	if out, err := b.Seal(label, []byte("x")); err == nil || out != nil {
		t.Errorf("sealed %x, %v", out, err)
	}
	if _, err := NewBox(secret.New(make([]byte, 16)), rand.Reader); err == nil {
		t.Error("a short data key was taken")
	}
}

func TestRedaction(t *testing.T) {
	dek := bytes.Repeat([]byte{0xA7}, KeySize)
	b, err := NewBox(secret.Copy(dek), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	type holder struct{ B *Box }
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q", "%d"} {
		for _, v := range []any{b, holder{b}} {
			out := fmt.Sprintf(verb, v)
			for _, form := range []string{"a7a7", "A7A7", "167 167", string(dek[:4])} {
				if strings.Contains(out, form) {
					t.Errorf("%s of %T prints the data key: %s", verb, v, out)
				}
			}
		}
	}
	js, err := json.Marshal(holder{b})
	if err != nil || strings.Contains(string(js), "p6en") {
		t.Errorf("JSON %s, %v", js, err)
	}
	b.Wipe()
	if !bytes.Equal(b.dek.Expose(), make([]byte, KeySize)) {
		t.Error("data key is there after Wipe")
	}
}

func FuzzOpen(f *testing.F) {
	b := box(f)
	sealed, err := b.Seal(label, []byte("plain"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sealed)
	f.Add(sealed[:Overhead])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := b.Open(label, in)
		if (err == nil) != bytes.Equal(in, sealed) || err == nil && string(got.Expose()) != "plain" {
			t.Errorf("opened %x: %v", in, err)
		}
	})
}

func FuzzPieces(f *testing.F) {
	k, err := All(rand.Reader, newKEK("a"), newKEK("b"))
	if err != nil {
		f.Fatal(err)
	}
	dek := secret.New(make([]byte, KeySize))
	good, err := k.Wrap(ctx, dek, label)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:20])
	f.Fuzz(func(t *testing.T, in []byte) {
		got, err := k.Unwrap(ctx, in, label)
		if err == nil && !got.Equal(dek) { // each fuzzing process wraps anew under the same keys
			t.Errorf("unwrapped %x: %v", in, err)
		}
	})
}

// A box that was given other memory keeps its data key there, opens rows there, and leaves nothing behind.
func TestKeep(t *testing.T) {
	b := box(t)
	sealed, err := b.Seal(label, []byte("row"))
	if err != nil {
		t.Fatal(err)
	}
	heap, held := b.dek, 0
	b.Keep(func(n int) secret.Bytes {
		held++
		return secret.NewIn(make([]byte, n), func() { held-- })
	})
	if held != 1 || !bytes.Equal(heap.Expose(), make([]byte, KeySize)) {
		t.Errorf("%d pieces are held, and the key lies where it did: %v", held, !bytes.Equal(heap.Expose(), make([]byte, KeySize)))
	}
	row, err := b.Open(label, sealed)
	if err != nil || string(row.Expose()) != "row" || held != 2 {
		t.Fatalf("%d pieces are held: %v", held, err)
	}
	row.Wipe()
	sealed[len(sealed)-1] ^= 1
	if _, err := b.Open(label, sealed); !errors.Is(err, ErrSealed) || held != 1 {
		t.Errorf("%d pieces are held after a row that does not open: %v", held, err)
	}
	if again, err := b.Seal(label, nil); err != nil {
		t.Error(err)
	} else if empty, err := b.Open(label, again); err != nil || empty.Len() != 0 {
		t.Error(err)
	} else {
		empty.Wipe()
	}
	if b.Wipe(); held != 0 {
		t.Errorf("%d pieces are held in the end", held)
	}
	if _, err := b.Open(label, sealed); err == nil {
		t.Error("a wiped box opens")
	}
}

// The cipher's copy of the key is overwritten once it is used; a library of another form shows here.
func TestCipherForgets(t *testing.T) {
	key := bytes.Repeat([]byte{0xA5}, KeySize)
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		t.Fatal(err)
	}
	held := func() []byte { return (*[KeySize]byte)(reflect.ValueOf(aead).UnsafePointer())[:] }
	if !bytes.Equal(held(), key) {
		t.Fatal("the cipher does not hold its key where it is looked for")
	}
	if !forget(aead) || !bytes.Equal(held(), make([]byte, KeySize)) {
		t.Errorf("it holds %x", held())
	}
}
