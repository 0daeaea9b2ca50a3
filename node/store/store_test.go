package store

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// Bytes of the stored form: a change here breaks every store in the field.
func TestFrameSnapshot(t *testing.T) {
	got := fmt.Sprintf("%x", Frame("burn/01/02", 7, []byte("abc")))
	const want = "01" + "0000000000000007" + "f3662c5154591632" + "616263"
	if got != want {
		t.Errorf("frame is %s, want %s", got, want)
	}
}

func TestFrameShowsEveryChange(t *testing.T) {
	key := "burn/01/02"
	frame := Frame(key, 7, []byte("value"))
	v, rev, err := Unframe(key, frame)
	if err != nil || rev != 7 || string(v) != "value" {
		t.Fatalf("unframe: %q, %d, %v", v, rev, err)
	}
	bad := func(what, key string, frame []byte) {
		t.Helper()
		_, _, err := Unframe(key, frame)
		var c *CorruptError
		if !errors.As(err, &c) || c.Key != key || !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v, want a CorruptError on %q", what, err, key)
		}
	}
	for i := range len(frame) * 8 {
		b := bytes.Clone(frame)
		b[i/8] ^= 1 << (i % 8)
		bad(fmt.Sprintf("bit %d of the frame", i), key, b)
	}
	for i := range len(key) * 8 {
		k := []byte(key)
		k[i/8] ^= 1 << (i % 8)
		bad(fmt.Sprintf("bit %d of the key", i), string(k), frame)
	}
	for n := range frame {
		bad(fmt.Sprintf("cut to %d bytes", n), key, frame[:n])
	}
	bad("a byte too many", key, append(bytes.Clone(frame), 0))
}

func FuzzUnframe(f *testing.F) {
	f.Add("k", Frame("k", 1, nil))
	f.Add("burn/01", Frame("burn/01", math.MaxUint64, []byte("value")))
	f.Add("", []byte{1})
	f.Fuzz(func(t *testing.T, key string, in []byte) {
		v, rev, err := Unframe(key, in)
		if err == nil && !bytes.Equal(Frame(key, rev, v), in) {
			t.Errorf("unframe then frame changed %x", in)
		}
	})
}

func TestKeys(t *testing.T) {
	for got, want := range map[string]string{
		BurnKey([]byte{0xAB, 1}, []byte{2}):        "burn/ab01/02",
		SeenKey(1<<32, []byte{0xFF}):               "seen/0000000100000000/ff",
		Key("intent", Name("main vault/α.X"), "x"): "intent/main%20vault%2f%ce%b1.%58/x",
		Prefix("log", ID([]byte{7})):               "log/07/",
		Key("state"):                               "state",
		Key("a", Name("b/c")) + Key("a", "b", "c"): "a/b%2fca/b/c",
		Key("n", Number(0)) + string(Name("%")):    "n/0000000000000000%25",
		Key("n", Number(math.MaxUint64), Name("")): "n/ffffffffffffffff/",
	} {
		if got != want {
			t.Errorf("key %q, want %q", got, want)
		}
	}
	numbers := []uint64{0, 1, 9, 10, 255, 256, 1 << 31, 1<<32 - 1, 1 << 32, 1 << 63, math.MaxUint64}
	var keys []string
	for _, n := range numbers {
		keys = append(keys, SeenKey(n, nil))
	}
	if !slices.IsSorted(keys) {
		t.Errorf("byte order is not number order: %q", keys)
	}
}

func FuzzName(f *testing.F) {
	f.Add("vault/1", "vault%2f1")
	f.Add("A", "a")
	f.Fuzz(func(t *testing.T, a, b string) {
		if (Name(a) == Name(b)) != (a == b) {
			t.Errorf("names %q and %q become %q and %q", a, b, Name(a), Name(b))
		}
		if strings.ContainsAny(string(Name(a)), "/ \n") {
			t.Errorf("name %q becomes %q", a, Name(a))
		}
	})
}

func TestErrorsTellOutcomes(t *testing.T) {
	all := []error{ErrNotFound, ErrConflict, ErrUnknown, ErrFull, ErrCorrupt, ErrInvalid, ErrClosed, ErrVersion, ErrLocked, ErrFenced}
	for _, c := range []struct {
		err  error
		is   error
		text string
	}{
		{&ConflictError{"a/b"}, ErrConflict, `record "a/b" has changed`},
		{&CorruptError{"a/b", errors.New("why")}, ErrCorrupt, `record "a/b" is damaged: why`},
		{invalid("limit is %d", 0), ErrInvalid, "limit is 0"},
	} {
		for _, e := range all {
			if errors.Is(c.err, e) != (e == c.is) {
				t.Errorf("%v is %v: %v", c.err, e, errors.Is(c.err, e))
			}
		}
		if !strings.Contains(c.err.Error(), c.text) {
			t.Errorf("%v does not say %q", c.err, c.text)
		}
	}
}
