package provider

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"

	"github.com/ostraka/ostraka/node"
)

// sockets is the folder with the sockets that customers show their health and numbers on. Nobody but the supervisor's user may enter it.
const sockets = "metrics"

// A process gets its ports from the supervisor, as these files after the pipe.
const (
	linkFile = iota
	peopleFile
	metricsFile
	portFiles
)

// ports are what one process of a customer listens on. The supervisor opens them and the system numbers them, anew for each process: a customer that took ports by their numbers, while
// another's process starts or has ended, would find none that anybody is led to.
type ports struct {
	link, people *net.TCPListener
	metrics      *net.UnixListener
}

func openPorts(dir, name string) (_ *ports, err error) {
	p := &ports{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	for _, at := range []**net.TCPListener{&p.link, &p.people} {
		if *at, err = net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
			return nil, fmt.Errorf("open its ports: %w", err)
		}
	}
	folder := filepath.Join(dir, sockets)
	if err = os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the customers' sockets: %w", err)
	}
	path := filepath.Join(folder, name+".sock")
	if err = os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) { // of a supervisor that was killed
		return nil, fmt.Errorf("remove its old socket: %w", err)
	}
	if p.metrics, err = net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}); err != nil {
		return nil, fmt.Errorf("open its socket: %w", err)
	}
	return p, nil
}

// files are they, for a process to inherit.
func (p *ports) files() (out []*os.File, err error) {
	for _, l := range []interface{ File() (*os.File, error) }{linkFile: p.link, peopleFile: p.people, metricsFile: p.metrics} {
		f, err := l.File()
		if err != nil {
			closeAll(out)
			return nil, fmt.Errorf("hand over its ports: %w", err)
		}
		out = append(out, f)
	}
	return out, nil
}

// close frees them, once no process has them any more.
func (p *ports) close() {
	if p.link != nil {
		p.link.Close()
	}
	if p.people != nil {
		p.people.Close()
	}
	if p.metrics != nil {
		p.metrics.Close()
	}
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// Ports are those that a supervisor opened for this node: the files after its pipe. What this process starts inherits none of them.
func Ports(pipe int) (*node.Listeners, error) {
	syscall.CloseOnExec(pipe)
	var l node.Listeners
	for i, to := range map[int]*net.Listener{linkFile: &l.Link, peopleFile: &l.People, metricsFile: &l.Metrics} {
		f := os.NewFile(uintptr(pipe+1+i), "port")
		got, err := net.FileListener(f)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("take the ports that the supervisor opened: %w", err)
		}
		*to = got
	}
	return &l, nil
}
