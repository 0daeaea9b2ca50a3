package tpm

import (
	"context"
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The device's way to wait is tried over a pair of sockets that keep messages apart, as a character device does.
func TestDeviceChannel(t *testing.T) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	c := &deviceChannel{fds[0]}
	peer := fds[1]
	answer := func(b string) {
		time.Sleep(20 * time.Millisecond)
		if _, err := unix.Write(peer, []byte(b)); err != nil {
			t.Error(err)
		}
	}
	go answer("answer")
	if b, err := c.exchange(ctx, []byte("command"), time.Minute); err != nil || string(b) != "answer" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := c.exchange(ctx, []byte("command"), 10*time.Millisecond); !errors.Is(err, errSlow) {
		t.Errorf("no answer: %v", err)
	}
	gone, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.exchange(gone, []byte("command"), time.Minute); !errors.Is(err, errSlow) || !errors.Is(err, context.Canceled) {
		t.Errorf("the caller left: %v", err)
	}
	if err := unix.Close(peer); err != nil {
		t.Fatal(err)
	}
	if _, err := c.exchange(ctx, []byte("command"), time.Minute); err == nil {
		t.Error("a device that is gone takes commands")
	}
	if err := c.close(); err != nil {
		t.Error(err)
	}
}
