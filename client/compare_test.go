package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"connectrpc.com/connect"
)

func TestCompare(t *testing.T) {
	copies := func(list ...string) (out []Copy) {
		for i, c := range list {
			out = append(out, Copy{string(rune('a' + i)), []byte(c)})
		}
		return out
	}
	for _, sound := range [][]Copy{nil, copies("x"), copies("x", "x", "x"), copies("", "")} {
		if err := Compare("it", sound); err != nil {
			t.Errorf("%v: %v", sound, err)
		}
	}
	for _, c := range []struct {
		copies []Copy
		want   string
	}{
		{copies("1", "2"), "nodes differ about it: a says 1; b says 2"},
		{copies("1", "2", "1"), "nodes differ about it: a and c say 1; b says 2"},
		{copies("1", ""), "nodes differ about it: a says 1; b says nothing"},
		{copies("a\x00", "b\n"), "a says 2 bytes with SHA-256 "},
		{copies(strings.Repeat("x", 81), "1"), "a says 81 bytes with SHA-256 "},
	} {
		err := Compare("it", c.copies)
		var d *Difference
		if !errors.As(err, &d) || !strings.Contains(err.Error(), c.want) || Classify(err) != Unverified {
			t.Errorf("%v; want %q", err, c.want)
		}
	}
}

func TestNeed(t *testing.T) {
	refused := connect.NewError(connect.CodeFailedPrecondition, errors.New("no"))
	down := connect.NewError(connect.CodeUnavailable, errors.New("dial tcp 127.0.0.1:1: connection refused"))
	lie := &VerifyError{"c", errors.New("bad signature")}
	for name, c := range map[string]struct {
		errs  [3]error
		least int
		class Class
		good  int
		text  string
	}{
		"all":           {[3]error{}, 3, 0, 3, ""},
		"two of three":  {[3]error{nil, down, nil}, 2, 0, 2, ""},
		"too few":       {[3]error{nil, down, down}, 2, NotReady, 0, "ask: b, c: cannot be reached: 127.0.0.1:1: connection refused"},
		"refused":       {[3]error{refused, refused, down}, 1, Refused, 0, "ask: a, b: no; c: cannot"},
		"one lies":      {[3]error{nil, nil, lie}, 1, Unverified, 0, "bad signature"},
		"plain trouble": {[3]error{errors.New("x"), errors.New("x"), errors.New("x")}, 1, Failed, 0, "ask: a, b, c: x"},
	} {
		var a Answers[int]
		for i, err := range c.errs {
			a = append(a, Answer[int]{Node: string(rune('a' + i)), Value: i, Err: err})
		}
		good, err := a.Need("ask", c.least)
		if len(good) != c.good || (err == nil) != (c.text == "") {
			t.Errorf("%s: %v, %v", name, good, err)
			continue
		}
		if err != nil && (Classify(err) != c.class || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: class %v, %q; want %v, %q", name, Classify(err), err, c.class, c.text)
		}
	}
	if err := error(&NodesError{What: "ask", Need: 2}); Classify(err) != NotReady || !strings.Contains(err.Error(), "fewer") {
		t.Errorf("a context that is too small: %v", err)
	}
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Class
		down bool
	}{
		{connect.NewError(connect.CodePermissionDenied, errors.New("x")), Refused, false},
		{connect.NewError(connect.CodeAlreadyExists, errors.New("x")), Refused, false},
		{connect.NewError(connect.CodeInvalidArgument, errors.New("x")), Failed, false},
		{connect.NewError(connect.CodeUnavailable, errors.New("x")), NotReady, true},
		{fmt.Errorf("x: %w", &IdentityError{Want: identity("a"), Found: identity("b")}), Unverified, false},
		{connect.NewError(connect.CodeUnavailable, &IdentityError{Want: identity("a"), Found: identity("b")}), Unverified, false},
		{context.DeadlineExceeded, NotReady, true},
		{&RefusedError{"x"}, Refused, false},
		{&AbsentError{}, NotReady, false},
		{errors.New("x"), Failed, false},
	} {
		if got := Classify(c.err); got != c.want || Down(c.err) != c.down {
			t.Errorf("%v: class %v, down %v; want %v, %v", c.err, got, Down(c.err), c.want, c.down)
		}
	}
}

func FuzzCompare(f *testing.F) {
	f.Add([]byte("a"), []byte("b"))
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		err := Compare("it", []Copy{{"x", a}, {"y", b}})
		if (err == nil) != bytes.Equal(a, b) {
			t.Fatalf("%x and %x: %v", a, b, err)
		}
	})
}
