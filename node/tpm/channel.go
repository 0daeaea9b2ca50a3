package tpm

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// errSlow says that a command was sent and not answered in time. Whether the TPM carried it out is not known.
var errSlow = errors.New("no answer in time; whether the command was carried out is not known")

// deviceChannel is a character device. It is opened without blocking: the kernel then takes a command at once, works on it by itself, and says by
// poll when the answer is there. Go's own poller is no help: a read before that gives nothing, which Go takes for the end of a file.
type deviceChannel struct{ fd int }

func openDevice(path string) (*deviceChannel, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return &deviceChannel{fd}, nil
}

func (c *deviceChannel) close() error { return unix.Close(c.fd) }

func (c *deviceChannel) exchange(ctx context.Context, command []byte, limit time.Duration) ([]byte, error) {
	if n, err := unix.Write(c.fd, command); err != nil || n != len(command) {
		return nil, fmt.Errorf("send a command: %d of %d bytes were taken: %w", n, len(command), err)
	}
	const slice = 50 * time.Millisecond // of waiting, between looks at ctx
	for end := time.Now().Add(limit); ; {
		fds := []unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, int(slice/time.Millisecond))
		switch {
		case err != nil && !errors.Is(err, unix.EINTR):
			return nil, fmt.Errorf("wait for the answer: %w", err)
		case n > 0 && fds[0].Revents&unix.POLLIN != 0:
			answer := make([]byte, maxResponse)
			n, err := unix.Read(c.fd, answer)
			if err != nil {
				return nil, fmt.Errorf("read the answer: %w", err)
			}
			return answer[:n], nil
		case n > 0:
			return nil, errors.New("the device is gone")
		case ctx.Err() != nil:
			return nil, fmt.Errorf("%w: %w", ctx.Err(), errSlow)
		case time.Now().After(end):
			return nil, fmt.Errorf("after %s: %w", limit, errSlow)
		}
	}
}

// socketChannel is an emulator behind a socket, each command on a connection of its own: other processes have their turn in between.
type socketChannel struct{ path string }

func (socketChannel) close() error { return nil }

func (c socketChannel) exchange(ctx context.Context, command []byte, limit time.Duration) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.path)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })() // ends what waits
	answer, err := roundTrip(conn, command)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("%w: %w", ctx.Err(), errSlow)
	}
	return answer, err
}

func roundTrip(conn net.Conn, command []byte) ([]byte, error) {
	if _, err := conn.Write(command); err != nil {
		return nil, fmt.Errorf("send a command: %w", err)
	}
	head := make([]byte, headerSize)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	n := binary.BigEndian.Uint32(head[2:])
	if n < headerSize || n > maxResponse {
		return nil, fmt.Errorf("read the answer: it claims %d bytes, %d to %d are allowed", n, headerSize, maxResponse)
	}
	answer := append(head, make([]byte, n-headerSize)...)
	if _, err := io.ReadFull(conn, answer[headerSize:]); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	return answer, nil
}
