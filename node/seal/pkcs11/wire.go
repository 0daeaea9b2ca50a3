package pkcs11

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Protocol is the version of the conversation. The helper comes with the node: no other one is spoken.
const Protocol = 1

const (
	maxMessage = 16 << 10
	maxPath    = 1 << 10
	maxName    = 64 // of a token or a key
	maxPIN     = 255
	maxData    = 4 << 10 // what is authenticated
	maxBody    = 4 << 10
	maxText    = 512
)

// An Op is what the node asks of the helper.
type Op uint64

// Ops.
const (
	OpOpen   Op = iota + 1 // log in to a token, and find the key
	OpMake                 // log in, and make the key if there is none of its name
	OpWrap                 // encrypt Body with the key, and authenticate Data
	OpUnwrap               // reverse it
)

// A Request goes to the helper.
type Request struct {
	Op     Op
	Module string // path of the token's library: of OpOpen and OpMake alone, as the next three
	Token  string // its label
	Key    string // its label
	PIN    secret.Bytes
	Data   []byte // of OpWrap and OpUnwrap alone, as the next
	Body   secret.Bytes
}

// A Code says what went wrong.
type Code uint64

// Codes.
const (
	Done        Code = iota
	NoC              // the helper was built without C
	NoModule         // the library is not there, or is none
	NoToken          // no token of this label is in
	NoKey            // the token has no such key
	WrongPIN         // which the token has counted
	LastPIN          // one try is left: it is not spent
	LockedPIN        // the token takes no PIN any more
	Exportable       // the key could be read out of the token
	Unfit            // the key is of another type, or may not encrypt
	Removed          // the token was there, and is gone
	NotOpens         // what was to be unwrapped was changed, or is of another key or label
	BadRequest       // the conversation went wrong
	TokenFailed      // anything else that the library says
	codes
)

var meanings = [codes]string{
	Done:        "",
	NoC:         "the helper ostraka-hsm was built without C, and loads no token's library: build it with a C compiler (`make build`, or CGO_ENABLED=1 go build ./cmd/ostraka-hsm)",
	NoModule:    "the token's library cannot be loaded",
	NoToken:     "no token of this label is in",
	NoKey:       "the token has no such key: have it made with --make-key where the folder or the slot is made",
	WrongPIN:    "wrong PIN: the token counts wrong ones, and this one is not tried again",
	LastPIN:     "one wrong PIN more would lock the token, so none is tried: log in to it with its maker's tool first",
	LockedPIN:   "the token is locked: too many wrong PINs were given; its security officer unlocks it with its maker's tool",
	Exportable:  "the key can be read out of the token: it must be sensitive and not extractable; make another one",
	Unfit:       "the key does not suit",
	Removed:     "the token was removed, or has stopped answering",
	NotOpens:    "it was wrapped by another key or under another label, or was changed",
	BadRequest:  "the helper and this program do not understand one another: take both from one build",
	TokenFailed: "the token's library fails",
}

// An Error is what the helper answers when it does not do what was asked. Text is what the library said, without the PIN.
type Error struct {
	Code Code
	Text string
}

func (e *Error) Error() string {
	if e.Text == "" {
		return meanings[e.Code]
	}
	return meanings[e.Code] + ": " + e.Text
}

// Is compares codes.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// An Answer comes from the helper.
type Answer struct {
	Code Code
	Text string       // of an error; of OpOpen and OpMake: what the token is
	Body secret.Bytes // of OpWrap and OpUnwrap
}

const (
	tagProtocol transcript.Tag = iota + 1
	tagOp
	tagModule
	tagToken
	tagKey
	tagPIN
	tagData
	tagBody
	tagCode
	tagText
)

func (r Request) encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	var e transcript.Encoder
	e.Uint(tagProtocol, Protocol).Uint(tagOp, uint64(r.Op)).String(tagModule, r.Module).String(tagToken, r.Token).String(tagKey, r.Key)
	return e.Bytes(tagPIN, r.PIN.Expose()).Bytes(tagData, r.Data).Bytes(tagBody, r.Body.Expose()).Sum(), nil
}

// check says that a request has what its Op takes, and nothing else.
func (r Request) check() error {
	open := r.Op == OpOpen || r.Op == OpMake
	switch {
	case r.Op < OpOpen || r.Op > OpUnwrap:
		return fmt.Errorf("op %d is none", r.Op)
	case open && (r.Module == "" || r.Token == "" || r.Key == "" || r.PIN.Len() == 0 || len(r.Data)+r.Body.Len() > 0):
		return errors.New("opening takes a module, a token, a key and a PIN, and nothing else")
	case !open && (r.Module+r.Token+r.Key != "" || r.PIN.Len() > 0 || len(r.Data) == 0 || r.Body.Len() == 0):
		return errors.New("wrapping takes data and a body alone")
	case len(r.Module) > maxPath || len(r.Token) > maxName || len(r.Key) > maxName || r.PIN.Len() > maxPIN || len(r.Data) > maxData || r.Body.Len() > maxBody:
		return errors.New("a field is too long")
	}
	for _, s := range []string{r.Module, r.Token, r.Key} {
		if !plain(s) {
			return fmt.Errorf("%q is no line of text", s)
		}
	}
	return nil
}

func plain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func decodeRequest(b []byte) (r Request, err error) {
	d := transcript.NewDecoder(b)
	if v := d.Uint(tagProtocol, 1<<32); d.Err() == nil && v != Protocol {
		d.Fail(tagProtocol, fmt.Errorf("is %d, this program speaks %d", v, Protocol))
	}
	r.Op = Op(d.Uint(tagOp, uint64(OpUnwrap)))
	r.Module, r.Token, r.Key = d.String(tagModule, maxPath), d.String(tagToken, maxName), d.String(tagKey, maxName)
	// Copies: b holds a PIN, and is wiped.
	r.PIN, r.Data, r.Body = secret.Copy(d.Bytes(tagPIN, maxPIN)), bytes.Clone(d.Bytes(tagData, maxData)), secret.Copy(d.Bytes(tagBody, maxBody))
	if err = d.Done(); err == nil {
		err = r.check()
	}
	return r, err
}

func (a Answer) encode() []byte {
	var e transcript.Encoder
	return e.Uint(tagProtocol, Protocol).Uint(tagCode, uint64(a.Code)).String(tagText, clean(a.Text)).Bytes(tagBody, a.Body.Expose()).Sum()
}

// clean is one line of text that a terminal does not obey, and of bounded length.
func clean(s string) string {
	out := make([]byte, 0, min(len(s), maxText))
	for _, r := range s {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			r = ' '
		}
		if len(out)+utf8.RuneLen(r) > maxText {
			break
		}
		out = utf8.AppendRune(out, r)
	}
	return string(out)
}

func decodeAnswer(b []byte) (a Answer, err error) {
	d := transcript.NewDecoder(b)
	if v := d.Uint(tagProtocol, 1<<32); d.Err() == nil && v != Protocol {
		d.Fail(tagProtocol, fmt.Errorf("is %d, this program speaks %d", v, Protocol))
	}
	a.Code = Code(d.Uint(tagCode, uint64(codes-1)))
	a.Text = d.String(tagText, maxText)
	if d.Err() == nil && clean(a.Text) != a.Text {
		d.Fail(tagText, errors.New("is no line of text"))
	}
	a.Body = secret.Copy(d.Bytes(tagBody, maxBody))
	if d.Err() == nil && a.Code != Done && a.Body.Len() > 0 {
		d.Fail(tagBody, errors.New("stands beside an error"))
	}
	return a, d.Done()
}

// send writes one message: its length, then itself. It is wiped afterwards.
func send(w io.Writer, b []byte) error {
	defer secret.Wipe(b)
	if len(b) > maxMessage {
		return fmt.Errorf("a message has %d bytes, at most %d are allowed", len(b), maxMessage)
	}
	framed := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b)))
	framed = append(framed, b...)
	defer secret.Wipe(framed)
	_, err := w.Write(framed)
	return err
}

// receive reads one message. io.EOF means that the other side ended between two.
func receive(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxMessage {
		return nil, fmt.Errorf("a message has %d bytes, at most %d are allowed", n, maxMessage)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("a message is cut short: %w", err)
	}
	return b, nil
}
