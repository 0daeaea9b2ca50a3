package tpm

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
)

// DefaultPath is the kernel's resource manager: it keeps the users of a TPM apart, and forgets what a process left behind.
const DefaultPath = "/dev/tpmrm0"

// socketPrefix begins the path of a socket where an emulator listens, such as swtpm.
const socketPrefix = "unix:"

const (
	// commandLimit is how long one command may take. Making an RSA key takes some TPMs a minute.
	commandLimit = 90 * time.Second

	// busyLimit is how long a TPM may go on answering that it is busy.
	busyLimit = 30 * time.Second

	headerSize  = 10   // of a command and of an answer: tag 2, size 4, code 4
	maxResponse = 8192 // more than any TPM sends
)

// A Device is a TPM. Its methods may be called at the same time: they wait for one another.
type Device struct {
	path   string
	socket bool
	limit  time.Duration

	use chan struct{} // holds one token: who has it speaks with the TPM
}

// New names a TPM: the absolute path of a character device, or unix: and the absolute path of a socket; empty: DefaultPath. Nothing is opened.
func New(path string) (*Device, error) {
	path = cmp.Or(path, DefaultPath)
	plain, socket := strings.CutPrefix(path, socketPrefix)
	if !filepath.IsAbs(plain) || filepath.Clean(plain) != plain {
		return nil, fmt.Errorf("TPM device %q: it is the absolute path of a device such as %s, or %s and that of a socket", path, DefaultPath, socketPrefix)
	}
	d := &Device{path: plain, socket: socket, limit: commandLimit, use: make(chan struct{}, 1)}
	d.use <- struct{}{}
	return d, nil
}

// String is the path as New takes it.
func (d *Device) String() string {
	if d.socket {
		return socketPrefix + d.path
	}
	return d.path
}

// A Conn is the TPM while Use lends it.
type Conn struct {
	ctx context.Context
	d   *Device
	ch  channel
}

var _ transport.TPM = (*Conn)(nil)

// channel carries one command and its answer.
type channel interface {
	exchange(ctx context.Context, command []byte, limit time.Duration) ([]byte, error)
	close() error
}

// Use lends the TPM to f: nobody else in this process speaks with it meanwhile. What is said of the TPM's errors is said here, once.
func (d *Device) Use(ctx context.Context, what string, f func(*Conn) error) error {
	select {
	case <-d.use:
	case <-ctx.Done():
		return fmt.Errorf("%s: wait for the TPM: %w", what, ctx.Err())
	}
	defer func() { d.use <- struct{}{} }()
	ch, err := d.open()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	c := &Conn{ctx: ctx, d: d, ch: ch}
	err = c.explain(f(c))
	if err = errors.Join(err, ch.close()); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// open checks what lies at the path: a file there that is no device would be written to.
func (d *Device) open() (channel, error) {
	info, err := os.Stat(d.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &Error{Device: d.String(), Why: ErrMissing}
	case err != nil:
		return nil, d.denied(err, nil)
	case d.socket && info.Mode()&fs.ModeSocket == 0:
		return nil, fmt.Errorf("TPM %s: it is no socket", d)
	case !d.socket && info.Mode()&fs.ModeCharDevice == 0:
		return nil, fmt.Errorf("TPM %s: it is no character device", d)
	}
	if d.socket {
		return socketChannel{d.path}, nil
	}
	fd, err := openDevice(d.path)
	if errors.Is(err, syscall.EBUSY) {
		return nil, fmt.Errorf("TPM %s is in use by another program: name %s, which serves many", d, DefaultPath)
	}
	if err != nil {
		return nil, d.denied(err, info)
	}
	return fd, nil
}

// denied says which group may use the device, where that is what is lacking.
func (d *Device) denied(err error, info fs.FileInfo) error {
	if !errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("open the TPM %s: %w", d, err)
	}
	e := &Error{Device: d.String(), Why: ErrPermission}
	if info == nil {
		return e
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().Perm()&0o060 == 0o060 {
		id := strconv.FormatUint(uint64(st.Gid), 10)
		e.Group = id
		if g, err := user.LookupGroupId(id); err == nil {
			e.Group = g.Name
		}
	}
	return e
}

// Send implements transport.TPM: one command and its answer. A TPM that is busy is asked again for a while: it has not begun.
func (c *Conn) Send(command []byte) ([]byte, error) {
	wait := 10 * time.Millisecond
	for end := time.Now().Add(busyLimit); ; {
		answer, err := c.ch.exchange(c.ctx, command, c.d.limit)
		if err != nil {
			return nil, fmt.Errorf("TPM %s: %w", c.d, err)
		}
		if len(answer) < headerSize || int(binary.BigEndian.Uint32(answer[2:])) != len(answer) {
			return nil, fmt.Errorf("TPM %s answers with %d bytes that are no answer", c.d, len(answer))
		}
		switch code := tpm2.TPMRC(binary.BigEndian.Uint32(answer[6:])); code {
		case tpm2.TPMRCRetry, tpm2.TPMRCYielded, tpm2.TPMRCTesting, tpm2.TPMRCNVRate:
			if time.Now().After(end) {
				return nil, fmt.Errorf("TPM %s stayed busy for %s: %w", c.d, busyLimit, code)
			}
		default:
			return answer, nil
		}
		select {
		case <-c.ctx.Done():
			return nil, c.ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, time.Second)
	}
}

// Flush forgets an object or session in the TPM. A resource manager would do so when the device is closed; an emulator has none.
func (c *Conn) Flush(handle tpm2.TPMHandle) error {
	_, err := tpm2.FlushContext{FlushHandle: handle}.Execute(c)
	return err
}
