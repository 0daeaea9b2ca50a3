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

// Listeners are ports that somebody else opened for a node: a provider's supervisor (spec/provider 4). They count in place of those in the settings.
type Listeners struct{ Link, People, Metrics net.Listener }

// WithListeners gives the node its ports. It closes them.
func WithListeners(l *Listeners) Option { return func(o *options) { o.given = l } }

// said makes the settings say where a node listens that was given its ports.
func (l *Listeners) said(s *Settings) {
	if l != nil {
		s.Link, s.People, s.Metrics = l.Link.Addr().String(), l.People.Addr().String(), l.Metrics.Addr().String()
	}
}

// openPorts takes them all, or none. Of those that were given the operator's socket alone is left to open.
func openPorts(s Settings, dir string, given *Listeners) (_ *ports, err error) {
	at := &ports{}
	defer func() {
		if err != nil {
			at.close()
		}
	}()
	if given != nil {
		at.link, at.people, at.metrics = given.Link, given.People, given.Metrics
	} else if err = at.listen(s); err != nil {
		return nil, err
	}
	if at.socket, err = listenSocket(filepath.Join(dir, SocketName)); err != nil {
		return nil, err
	}
	return at, nil
}

// listen opens the ports that the settings name.
func (p *ports) listen(s Settings) (err error) {
	if p.link, err = link.Listen(s.Link); err != nil {
		return err
	}
	if p.people, err = net.Listen("tcp", s.People); err != nil {
		return fmt.Errorf("listen for people at %s: %w: choose another port in %s, or stop what uses it", s.People, err, settingsName)
	}
	if s.Metrics == "" {
		return nil
	}
	if p.metrics, err = net.Listen("tcp", s.Metrics); err != nil {
		return fmt.Errorf("listen for metrics at %s: %w", s.Metrics, err)
	}
	return nil
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
