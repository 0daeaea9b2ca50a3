package node

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/ostraka/ostraka/node/link"
)

// ports are what a node listens on.
type ports struct {
	link, people, socket net.Listener
	metrics              net.Listener // nil: off
}

// openPorts takes them all, or none.
func openPorts(s Settings, dir string) (_ *ports, err error) {
	at := &ports{}
	defer func() {
		if err != nil {
			at.close()
		}
	}()
	if at.link, err = link.Listen(s.Link); err != nil {
		return nil, err
	}
	if at.people, err = net.Listen("tcp", s.People); err != nil {
		return nil, fmt.Errorf("listen for people at %s: %w: choose another port in %s, or stop what uses it", s.People, err, settingsName)
	}
	if at.socket, err = listenSocket(filepath.Join(dir, SocketName)); err != nil {
		return nil, err
	}
	if s.Metrics == "" {
		return at, nil
	}
	if at.metrics, err = net.Listen("tcp", s.Metrics); err != nil {
		return nil, fmt.Errorf("listen for metrics at %s: %w", s.Metrics, err)
	}
	return at, nil
}

func (p *ports) close() {
	for _, l := range []net.Listener{p.link, p.people, p.socket, p.metrics} {
		if l != nil {
			l.Close()
		}
	}
}

func (p *ports) addresses() Addresses {
	a := Addresses{Link: p.link.Addr().String(), People: p.people.Addr().String(), Socket: p.socket.Addr().String()}
	if p.metrics != nil {
		a.Metrics = p.metrics.Addr().String()
	}
	return a
}

// listenSocket opens the operator's socket for this user alone. A socket that nobody
// answers on is left from a node that was killed.
func listenSocket(path string) (net.Listener, error) {
	if c, err := net.Dial("unix", path); err == nil {
		c.Close()
		return nil, fmt.Errorf("listen at %s: another node uses this data folder: stop it first", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("close the socket to other users: %w", err)
	}
	return l, nil
}
