package pkcs11

import (
	"errors"
	"io"
	"strings"

	"github.com/ostraka/ostraka/crypto/secret"
)

// A Token is what a helper puts behind the conversation. Its errors are *Error, or TokenFailed.
type Token interface {
	// Open logs in to a token of this module, once, and finds its key; or makes it, if it may and there is none. It says what the token is.
	Open(module, token, key string, pin secret.Bytes, make bool) (what string, err error)

	// Wrap encrypts body and authenticates data.
	Wrap(data, body []byte) ([]byte, error)

	// Unwrap reverses Wrap.
	Unwrap(data, body []byte) ([]byte, error)
}

// Serve answers requests of r on w until r ends. What is asked of a token that was not opened, or opened before, is refused.
func Serve(r io.Reader, w io.Writer, t Token) error {
	opened := false
	for {
		b, err := receive(r)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		q, err := decodeRequest(b)
		secret.Wipe(b)
		var a Answer
		switch opens := q.Op == OpOpen || q.Op == OpMake; {
		case err != nil:
			a = Answer{Code: BadRequest, Text: err.Error()}
		case opens == opened: // a second PIN would count as a second try
			a = Answer{Code: BadRequest, Text: "a token is opened once, and first"}
		default:
			a = answer(t, q)
			opened = opened || opens && a.Code == Done
		}
		q.PIN.Wipe()
		q.Body.Wipe()
		err = send(w, a.encode())
		a.Body.Wipe()
		if err != nil {
			return err
		}
		if !opened {
			return nil // a PIN was wrong, or the token is not there: this helper tries no second time
		}
	}
}

func answer(t Token, q Request) (a Answer) {
	var body []byte
	var err error
	switch q.Op {
	case OpOpen, OpMake:
		a.Text, err = t.Open(q.Module, q.Token, q.Key, q.PIN, q.Op == OpMake)
	case OpWrap:
		body, err = t.Wrap(q.Data, q.Body.Expose())
	case OpUnwrap:
		body, err = t.Unwrap(q.Data, q.Body.Expose())
	}
	if err == nil && len(body) > maxBody {
		err = errors.New("the token's answer is too long")
	}
	if err == nil {
		a.Body = secret.New(body)
		return a
	}
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{TokenFailed, err.Error()}
	}
	if q.PIN.Len() > 0 { // a library may quote what it was given
		e = &Error{e.Code, strings.ReplaceAll(e.Text, string(q.PIN.Expose()), secret.Redacted)}
	}
	return Answer{Code: e.Code, Text: e.Text}
}
