package cli

import (
	"bytes"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode"
	"unicode/utf16"
)

// What comes from elsewhere, be it a log, a bundle, a node or an error that holds their words, writes no lines of this program's, moves no cursor and turns
// no text round: every way to a terminal goes through here.

// OneLine keeps a text from looking like lines of the program's own: whatever cannot be seen, line ends included, becomes a space.
func OneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}

// PlainText takes out whatever cannot be seen but line ends and tabs.
func PlainText(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, s)
}

// Sentence is an error in one line; several that were joined stand one after another.
func Sentence(err error) string { return OneLine(strings.ReplaceAll(err.Error(), "\n", "; ")) }

// Line formats as fmt does, each text and error in one line. The format's own line ends stay.
func Line(format string, args ...any) string {
	clean := make([]any, len(args))
	for i, a := range args {
		switch x := a.(type) {
		case string:
			a = OneLine(x)
		case error:
			a = Sentence(x)
		default:
			if v := reflect.ValueOf(a); v.Kind() == reflect.String {
				if _, says := a.(fmt.Stringer); !says {
					a = OneLine(v.String())
				}
			}
		}
		clean[i] = a
	}
	return PlainText(fmt.Sprintf(format, clean...))
}

// A Writer lets plain text through.
type Writer struct{ io.Writer }

func (w Writer) Write(b []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, PlainText(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// plainJSON escapes what cannot be seen, which says the same to every program and nothing to a terminal.
func plainJSON(raw []byte) []byte {
	var out bytes.Buffer
	for _, r := range string(raw) {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			out.WriteRune(r)
		case r > 0xffff:
			a, b := utf16.EncodeRune(r)
			fmt.Fprintf(&out, "\\u%04x\\u%04x", a, b)
		default:
			fmt.Fprintf(&out, "\\u%04x", r)
		}
	}
	return out.Bytes()
}
