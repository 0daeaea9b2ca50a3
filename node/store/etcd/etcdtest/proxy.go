package etcdtest

import (
	"net"
	"strings"
	"sync"
)

// A Mode is what a proxy does with bytes.
type Mode int

const (
	Pass  Mode = iota
	Stall      // holds them, both ways, until it passes again
	Mute       // drops answers: requests go through
	Deaf       // drops requests
	Cut        // ends connections, and takes no new ones
)

// A Proxy is one link to one member.
type Proxy struct {
	Endpoint string // in place of the member's
	target   string
	listener net.Listener

	mu      sync.Mutex
	changed *sync.Cond
	mode    Mode
	conns   map[net.Conn]bool
}

// NewProxy makes a link to an endpoint.
func NewProxy(endpoint string) (*Proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &Proxy{Endpoint: "https://" + l.Addr().String(), target: strings.TrimPrefix(endpoint, "https://"), listener: l, conns: map[net.Conn]bool{}}
	p.changed = sync.NewCond(&p.mu)
	go p.serve()
	return p, nil
}

// Proxies are one link to each member.
func (c *Members) Proxies() (all []*Proxy, endpoints []string, err error) {
	for _, m := range c.All {
		p, err := NewProxy(m.Endpoint)
		if err != nil {
			return nil, nil, err
		}
		all, endpoints = append(all, p), append(endpoints, p.Endpoint)
	}
	return all, endpoints, nil
}

func (p *Proxy) serve() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.Mode() == Cut {
			_ = near.Close()
			continue
		}
		far, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = near.Close()
			continue
		}
		p.mu.Lock()
		p.conns[near], p.conns[far] = true, true
		p.mu.Unlock()
		go p.copy(far, near, Deaf)
		go p.copy(near, far, Mute)
	}
}

// copy passes bytes on; in its own mode of loss it drops them.
func (p *Proxy) copy(to, from net.Conn, loss Mode) {
	defer p.forget(to, from)
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		for p.mode == Stall {
			p.changed.Wait()
		}
		mode := p.mode
		p.mu.Unlock()
		if mode == loss {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

func (p *Proxy) forget(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
		delete(p.conns, c)
	}
}

// Mode is what it does now.
func (p *Proxy) Mode() Mode {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode
}

// Set changes what it does. Connections that have lost bytes are of no use: they end when it passes again.
func (p *Proxy) Set(m Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if m == Cut || p.mode == Mute || p.mode == Deaf {
		for c := range p.conns {
			_ = c.Close()
		}
	}
	p.mode = m
	p.changed.Broadcast()
}

// Close ends it.
func (p *Proxy) Close() {
	_ = p.listener.Close()
	p.Set(Cut)
}

// SetAll sets several.
func SetAll(all []*Proxy, m Mode) {
	for _, p := range all {
		p.Set(m)
	}
}
