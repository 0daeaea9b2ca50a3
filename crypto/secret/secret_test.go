package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"gopkg.in/yaml.v3"
)

var plain = []byte("correct horse battery")

// leaks reports any form of the plain bytes in what was printed.
func leaks(out string) bool {
	var decimal []string
	for _, b := range plain[:4] {
		decimal = append(decimal, fmt.Sprint(b))
	}
	for _, form := range []string{
		string(plain), hex.EncodeToString(plain)[:8], base64.StdEncoding.EncodeToString(plain)[:8],
		strings.Join(decimal, " "), strings.Join(decimal, ","), "0x63, 0x6f",
	} {
		if strings.Contains(strings.ToLower(out), strings.ToLower(form)) {
			return true
		}
	}
	return false
}

type holder struct {
	Name   string
	Secret Bytes
}

// The check itself must find what unprotected bytes print.
func TestLeaksFindsPlainBytes(t *testing.T) {
	for _, verb := range []string{"%v", "%x", "%X", "%s", "%q", "%#v", "%d"} {
		if !leaks(fmt.Sprintf(verb, plain)) {
			t.Errorf("%s of plain bytes is not found", verb)
		}
	}
	j, err := json.Marshal(plain)
	if err != nil || !leaks(string(j)) {
		t.Errorf("json of plain bytes is not found: %v", err)
	}
}

func TestFormatRedacts(t *testing.T) {
	s := New(bytes.Clone(plain))
	for _, v := range []any{s, &s, holder{"n", s}, &holder{"n", s}, []Bytes{s}, map[string]Bytes{"k": s}, [1]Bytes{s}, errors.Join(fmt.Errorf("with %v", s))} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "% x", "%q", "%d", "%o", "%b", "%U", "%08x"} {
			out := fmt.Sprintf(verb, v)
			if leaks(out) {
				t.Errorf("%s of %T prints %s", verb, v, out)
			}
		}
	}
	for _, out := range []string{fmt.Sprint(s), s.String(), s.GoString(), fmt.Sprintf("%x", s), fmt.Sprintln(s)} {
		if strings.TrimSpace(out) != Redacted {
			t.Errorf("prints %q", out)
		}
	}
}

func TestEncodersRedact(t *testing.T) {
	h := holder{"n", New(bytes.Clone(plain))}
	encoders := map[string]func() (string, error){
		"json":        func() (string, error) { b, err := json.Marshal(h); return string(b), err },
		"json indent": func() (string, error) { b, err := json.MarshalIndent(&h, "", " "); return string(b), err },
		"yaml":        func() (string, error) { b, err := yaml.Marshal(h); return string(b), err },
		"xml":         func() (string, error) { b, err := xml.Marshal(h); return string(b), err },
		"template": func() (string, error) {
			var out strings.Builder
			err := template.Must(template.New("").Parse(`{{.Secret}} {{printf "%x" .Secret}} {{.}}`)).Execute(&out, h)
			return out.String(), err
		},
		"json key": func() (string, error) {
			b, err := json.Marshal(map[string]any{"s": []Bytes{h.Secret}})
			return string(b), err
		},
	}
	for name, encode := range encoders {
		out, err := encode()
		if err != nil || leaks(out) || !strings.Contains(out, Redacted) {
			t.Errorf("%s gives %q, %v", name, out, err)
		}
	}
}

func TestLoggersRedact(t *testing.T) {
	var out bytes.Buffer
	h := holder{"n", New(bytes.Clone(plain))}
	for name, handler := range map[string]slog.Handler{"json": slog.NewJSONHandler(&out, nil), "text": slog.NewTextHandler(&out, nil)} {
		out.Reset()
		slog.New(handler).With("given", h.Secret).Info("message", "value", h.Secret, "pointer", &h.Secret, "holder", h,
			slog.Any("any", h.Secret), slog.Group("group", "inner", h.Secret))
		if leaks(out.String()) || strings.Count(out.String(), Redacted) != 6 {
			t.Errorf("%s logs %s", name, out.String())
		}
	}
}

func TestWipe(t *testing.T) {
	b := bytes.Clone(plain)
	s := New(b)
	c := Copy(b)
	s.Wipe()
	if !bytes.Equal(b, make([]byte, len(plain))) || !bytes.Equal(s.Expose(), b) || s.Len() != len(plain) {
		t.Errorf("wiped bytes are %x", b)
	}
	if !bytes.Equal(c.Expose(), plain) {
		t.Error("a copy was wiped with its origin")
	}
	Wipe(nil)
	Bytes{}.Wipe()
}

// Lent memory is overwritten before it goes back, and goes back once, from whichever copy.
func TestLent(t *testing.T) {
	b, returned := bytes.Clone(plain), 0
	s := NewIn(b, func() {
		if returned++; !bytes.Equal(b, make([]byte, len(plain))) {
			t.Error("memory goes back as it was")
		}
	})
	again := s
	if !bytes.Equal(s.Expose(), plain) || fmt.Sprintf("%v %x %#v", s, &s, holder{"n", s}) == "" || leaks(fmt.Sprintf("%v %x %#v", s, &s, struct{ s Bytes }{s})) {
		t.Error("lent")
	}
	s.Wipe()
	again.Wipe()
	s.Wipe()
	if returned != 1 || s.Len() != 0 || again.Expose() != nil {
		t.Errorf("returned %d times, %d bytes left", returned, s.Len())
	}
}

func TestEqual(t *testing.T) {
	s := New(bytes.Clone(plain))
	if !s.Equal(Copy(plain)) || s.Equal(Copy(plain[1:])) || s.Equal(Bytes{}) || !(Bytes{}).Equal(New(nil)) {
		t.Error("Equal")
	}
	other := Copy(plain)
	other.Expose()[len(plain)-1] ^= 1
	if s.Equal(other) {
		t.Error("a differing last byte is equal")
	}
}

// fmt cannot call methods on unexported fields.
func TestRedactsInUnexportedFields(t *testing.T) {
	v := struct{ s Bytes }{New([]byte("secret!!"))}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%s", "%d"} {
		out := fmt.Sprintf(verb, v) + fmt.Sprintf(verb, &v)
		for _, leak := range []string{"secret!!", "7365637265742121", "115 101 99", "0x73, 0x65"} {
			if strings.Contains(out, leak) {
				t.Errorf("%s prints %s", verb, out)
			}
		}
	}
}
