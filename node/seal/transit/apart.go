package transit

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
	"unicode"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
)

// Argument is the only one of a program that is started to ask a server (Serve).
const Argument = "ask-transit"

const (
	protocol   = 1
	maxMessage = 64 << 10
	maxURL     = 1 << 10
	maxText    = 2 << 10
	patience   = Timeout + 10*time.Second
)

const (
	tagProtocol transcript.Tag = iota + 1
	tagVerb
	tagURL
	tagMount
	tagKey
	tagNamespace
	tagCA
	tagToken
	tagText // to decrypt
	tagBody // to encrypt
	tagData
)

const (
	tagAnswerProtocol transcript.Tag = iota + 1
	tagAnswerKind
	tagAnswerText
	tagAnswerBody
)

// kinds are what an answer of the other process can say that it is, by number, from 1; 0 is none of them.
var kinds = []error{ErrUnreachable, ErrLocked, ErrDenied, ErrNoKey, ErrVersion, ErrRefused}

// A question is one request to a server.
type question struct {
	verb  string
	plain secret.Bytes // of verbEncrypt
	text  string       // of verbDecrypt: the server's ciphertext
	data  []byte       // associated
}

// an asker puts a question with a token, and returns the ciphertext, or what was decrypted.
type asker func(ctx context.Context, c Config, token secret.Bytes, q question) (secret.Bytes, error)

// An otherError is what the other process told.
type otherError struct {
	kind error
	text string
}

func (e *otherError) Error() string { return e.text }
func (e *otherError) Unwrap() error { return e.kind }

// apart asks by a process of its own, for one question. What carries a request keeps copies of it that nobody can overwrite, headers and buffers of
// HTTP and TLS: they end with that process.
func apart(program string) asker {
	return func(ctx context.Context, c Config, token secret.Bytes, q question) (secret.Bytes, error) {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, program, Argument)
		in, err := cmd.StdinPipe()
		if err != nil {
			return secret.Bytes{}, err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return secret.Bytes{}, err
		}
		if err := cmd.Start(); err != nil {
			return secret.Bytes{}, fmt.Errorf("start %s %s, which asks the vault: %w", program, Argument, err)
		}
		message := encodeQuestion(c, token, q)
		err = send(in, message)
		message.Wipe()
		var answer secret.Bytes
		if err == nil {
			answer, err = receive(out)
		}
		defer answer.Wipe()
		if err != nil {
			cancel()
		}
		_ = in.Close()
		if waited := cmd.Wait(); err != nil {
			return secret.Bytes{}, fmt.Errorf("the process that asks the vault ended before it answered: %w", errors.Join(ctx.Err(), waited, err))
		}
		return decodeAnswer(answer.Expose())
	}
}

// Serve reads one question, asks, and writes the answer: what a program does that was started with Argument alone.
func Serve(ctx context.Context, r io.Reader, w io.Writer) error {
	message, err := receive(r)
	if err != nil {
		return err
	}
	c, token, q, err := decodeQuestion(message.Expose())
	message.Wipe()
	if err != nil {
		return err
	}
	defer token.Wipe()
	defer q.plain.Wipe()
	body, err := direct(ctx, c, token, q)
	defer body.Wipe()
	answer := encodeAnswer(body, err)
	defer answer.Wipe()
	return send(w, answer)
}

func encodeQuestion(c Config, token secret.Bytes, q question) secret.Bytes {
	e := transcript.NewSecretEncoder()
	e.Uint(tagProtocol, protocol).String(tagVerb, q.verb).String(tagURL, c.URL).String(tagMount, c.Mount).String(tagKey, c.Key).String(tagNamespace, c.Namespace).String(tagCA, c.CA)
	return secret.New(e.Bytes(tagToken, token.Expose()).String(tagText, q.text).Bytes(tagBody, q.plain.Expose()).Bytes(tagData, q.data).Sum())
}

func decodeQuestion(b []byte) (c Config, token secret.Bytes, q question, err error) {
	d := transcript.NewDecoder(b)
	if v := d.Uint(tagProtocol, protocol); d.Err() == nil && v != protocol {
		d.Fail(tagProtocol, fmt.Errorf("is %d, this program speaks %d: it was exchanged while another ran", v, protocol))
	}
	q.verb = d.String(tagVerb, len(verbEncrypt))
	c = Config{URL: d.String(tagURL, maxURL), Mount: d.String(tagMount, maxURL), Key: d.String(tagKey, maxURL), Namespace: d.String(tagNamespace, maxURL), CA: d.String(tagCA, maxURL)}
	token = secret.Copy(d.Bytes(tagToken, maxToken))
	q.text = d.String(tagText, maxCiphertext)
	q.plain = secret.Copy(d.Bytes(tagBody, maxCiphertext))
	q.data = append([]byte{}, d.Bytes(tagData, maxCiphertext)...)
	return c, token, q, d.Done()
}

func encodeAnswer(body secret.Bytes, err error) secret.Bytes {
	kind, text := uint64(0), ""
	if err != nil {
		body, text = secret.Bytes{}, oneLine(err.Error())
		for i, k := range kinds {
			if errors.Is(err, k) {
				kind = uint64(i + 1)
			}
		}
	}
	e := transcript.NewSecretEncoder()
	return secret.New(e.Uint(tagAnswerProtocol, protocol).Uint(tagAnswerKind, kind).String(tagAnswerText, text).Bytes(tagAnswerBody, body.Expose()).Sum())
}

func decodeAnswer(b []byte) (secret.Bytes, error) {
	d := transcript.NewDecoder(b)
	v, kind, text := d.Uint(tagAnswerProtocol, protocol), d.Uint(tagAnswerKind, uint64(len(kinds))), d.String(tagAnswerText, maxText)
	body := d.Bytes(tagAnswerBody, maxCiphertext)
	if err := d.Done(); err != nil || v != protocol || (text == "") == (len(body) == 0) {
		return secret.Bytes{}, errors.New("the process that asks the vault gives no answer of its form: was the program exchanged while this one ran?")
	}
	if text != "" {
		e := &otherError{text: text}
		if kind > 0 {
			e.kind = kinds[kind-1]
		}
		return secret.Bytes{}, e
	}
	return secret.Copy(body), nil
}

// oneLine is a text of at most maxText bytes in one line.
func oneLine(s string) string {
	s = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s), "?")
	for len(s) > maxText {
		s = strings.ToValidUTF8(s[:maxText], "")
	}
	return s
}

// send writes a message: its length in 4 bytes, then itself.
func send(w io.Writer, message secret.Bytes) error {
	b := binary.BigEndian.AppendUint32(nil, uint32(message.Len()))
	if _, err := w.Write(b); err != nil {
		return err
	}
	_, err := w.Write(message.Expose())
	return err
}

func receive(r io.Reader) (secret.Bytes, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return secret.Bytes{}, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxMessage {
		return secret.Bytes{}, fmt.Errorf("a message has %d bytes, at most %d are allowed", n, maxMessage)
	}
	b := secret.New(make([]byte, n))
	if _, err := io.ReadFull(r, b.Expose()); err != nil {
		b.Wipe()
		return secret.Bytes{}, err
	}
	return b, nil
}
