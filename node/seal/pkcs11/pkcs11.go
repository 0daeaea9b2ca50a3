package pkcs11

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"github.com/ostraka/ostraka/crypto/secret"
	"github.com/ostraka/ostraka/crypto/transcript"
	"github.com/ostraka/ostraka/node/seal"
)

// Helper is the name of the helper's program, which lies beside the node's own.
const Helper = "ostraka-hsm"

// patience is how long one answer of the helper may take: smart cards make a key in seconds.
const patience = 60 * time.Second

const (
	version = 1
	// IVSize and Sealed are the parts of what a token gives back, in bytes.
	IVSize = 12
	Sealed = seal.KeySize + 16
)

const (
	tagVersion transcript.Tag = iota + 1
	tagWrapped
)

// A Config says where the key is. None of it is secret.
type Config struct {
	Module string // absolute path of the token's library
	Token  string // label
	Key    string // label
}

// Check holds a configuration to its form.
func (c Config) Check() error {
	if !filepath.IsAbs(c.Module) || filepath.Clean(c.Module) != c.Module || len(c.Module) > maxPath || !plain(c.Module) {
		return fmt.Errorf("pkcs11: module %.80q: want the absolute path of the token's library", c.Module)
	}
	for what, s := range map[string]string{"token": c.Token, "key": c.Key} {
		if s == "" || len(s) > maxName || !plain(s) {
			return fmt.Errorf("pkcs11: %s %.80q: want its label, of 1 to %d bytes", what, s, maxName)
		}
	}
	return nil
}

// Beside is the helper's path beside a program's.
func Beside(program string) string { return filepath.Join(filepath.Dir(program), Helper) }

// A KEK speaks with a helper that it started, and that has logged in. It redacts itself where it is printed.
type KEK struct {
	mu     sync.Mutex
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    io.Reader
	closed bool

	// What is what the token says it is: label, maker, model and serial number.
	What string
}

var _ seal.KEK = (*KEK)(nil)

// Open starts the helper, which logs in with the PIN, once: a wrong one is counted by the token, and is never tried again. It finds
// the key, or with make makes one that is not there. The PIN stays the caller's.
func Open(ctx context.Context, helper string, c Config, pin secret.Bytes, make bool) (*KEK, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	if info, err := os.Stat(helper); err != nil || !info.Mode().IsRegular() {
		return nil, fmt.Errorf("the helper %s is not there: build it with a C compiler (`make build`), put it beside this program, or say where it is with --hsm", helper)
	}
	k := &KEK{cmd: exec.Command(helper, "serve")}
	var err error
	if k.in, err = k.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if k.out, err = k.cmd.StdoutPipe(); err != nil {
		return nil, err
	}
	k.cmd.Stderr = nil // a token's library may write anything there
	if err := k.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the helper %s: %w", helper, err)
	}
	op := OpOpen
	if make {
		op = OpMake
	}
	a, err := k.ask(ctx, Request{Op: op, Module: c.Module, Token: c.Token, Key: c.Key, PIN: pin})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("token %s, key %s: %w", c.Token, c.Key, err), k.Close())
	}
	k.What = a.Text
	return k, nil
}

// Name implements seal.KEK.
func (k *KEK) Name() string { return "pkcs11" }

// Format redacts under every verb.
func (k *KEK) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, secret.Redacted) }

// Close ends the helper, and with it the session with the token.
func (k *KEK) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.end()
}

func (k *KEK) end() error {
	if k.closed {
		return nil
	}
	k.closed = true
	_ = k.in.Close() // it ends by itself, and says nothing after that
	done := make(chan struct{})
	go func() {
		_ = k.cmd.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(2 * time.Second):
		_ = k.cmd.Process.Kill()
		<-done
	}
	return nil
}

// ask sends one request and takes one answer. After an error of the conversation itself the helper is ended: the next answer would
// be taken for that of another question.
func (k *KEK) ask(ctx context.Context, q Request) (Answer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return Answer{}, errors.New("the helper has ended")
	}
	b, err := q.encode()
	if err != nil {
		return Answer{}, err
	}
	type result struct {
		a   Answer
		err error
	}
	done := make(chan result, 1)
	go func() {
		err := send(k.in, b)
		var raw []byte
		if err == nil {
			raw, err = receive(k.out)
		}
		if err != nil {
			done <- result{err: fmt.Errorf("the helper ended before it answered: %w", err)}
			return
		}
		a, err := decodeAnswer(raw)
		secret.Wipe(raw)
		done <- result{a, err}
	}()
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		r.err = ctx.Err()
	case <-timer.C:
		r.err = fmt.Errorf("the helper did not answer within %s: the token may wait for a touch, or be gone", patience)
	}
	if r.err != nil {
		_ = k.cmd.Process.Kill()
		_ = k.end()
		return Answer{}, r.err
	}
	if r.a.Code != Done {
		return Answer{}, &Error{r.a.Code, r.a.Text}
	}
	return r.a, nil
}

// Wrap implements seal.KEK.
func (k *KEK) Wrap(ctx context.Context, dek secret.Bytes, label seal.Label) ([]byte, error) {
	data, err := label.Data(transcript.SealWrap)
	if err != nil {
		return nil, err
	}
	a, err := k.ask(ctx, Request{Op: OpWrap, Data: data, Body: dek})
	if err != nil {
		return nil, err
	}
	return encode(a.Body.Expose())
}

// Unwrap implements seal.KEK.
func (k *KEK) Unwrap(ctx context.Context, wrapped []byte, label seal.Label) (secret.Bytes, error) {
	data, err := label.Data(transcript.SealWrap)
	if err != nil {
		return secret.Bytes{}, err
	}
	sealed, err := decode(wrapped)
	if err != nil {
		return secret.Bytes{}, fmt.Errorf("decode wrapped data key: %w", err)
	}
	a, err := k.ask(ctx, Request{Op: OpUnwrap, Data: data, Body: secret.New(sealed)})
	if err != nil {
		return secret.Bytes{}, err
	}
	return a.Body, nil
}

// encode is the wrapped form: what the token gave, which is IV ‖ ciphertext ‖ tag.
func encode(sealed []byte) ([]byte, error) {
	if len(sealed) != IVSize+Sealed {
		return nil, fmt.Errorf("the token's ciphertext has %d bytes, not %d", len(sealed), IVSize+Sealed)
	}
	var e transcript.Encoder
	return e.Uint(tagVersion, version).Bytes(tagWrapped, sealed).Sum(), nil
}

func decode(b []byte) ([]byte, error) {
	d := transcript.NewDecoder(b)
	if v := d.Uint(tagVersion, version); d.Err() == nil && v != version {
		d.Fail(tagVersion, fmt.Errorf("is %d, this program knows %d", v, version))
	}
	sealed := d.Fixed(tagWrapped, IVSize+Sealed)
	return append([]byte{}, sealed...), d.Done()
}
