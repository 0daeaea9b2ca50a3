//go:build unix

package etcdtest

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
)

// A hub is the way of one member to all others: a proxy that it is given in its environment, since only so each link between two members
// can be cut by itself. Members have names that no resolver knows (a.member), which Go sends through proxies; loopback addresses it does not.
type hub struct {
	listener net.Listener
	targets  map[string]string // a.member:port → address

	mu      sync.Mutex
	blocked map[string]bool // by target
	conns   map[net.Conn]string
}

func newHub() (*hub, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &hub{listener: l, targets: map[string]string{}, blocked: map[string]bool{}, conns: map[net.Conn]string{}}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go h.connect(c)
		}
	}()
	return h, nil
}

// connect serves one CONNECT.
func (h *hub) connect(near net.Conn) {
	defer near.Close()
	in := bufio.NewReader(near)
	r, err := http.ReadRequest(in)
	if err != nil || r.Method != http.MethodConnect {
		return
	}
	far, err := net.Dial("tcp", h.targets[r.Host])
	if err != nil {
		return
	}
	defer far.Close()
	if !h.enter(r.Host, near, far) {
		return
	}
	defer h.leave(near, far)
	if _, err := io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n"); err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(far, in)
		_ = far.Close()
	}()
	_, _ = io.Copy(near, far)
}

func (h *hub) enter(target string, conns ...net.Conn) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range conns {
		h.conns[c] = target
	}
	return !h.blocked[target]
}

func (h *hub) leave(conns ...net.Conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range conns {
		delete(h.conns, c)
	}
}

// block cuts the links to these targets, and lets all others pass.
func (h *hub) block(targets map[string]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.blocked = targets
	for c, target := range h.conns {
		if targets[target] {
			_ = c.Close()
		}
	}
}

// Split cuts every link between members of different groups; a member that is in none is alone. Without groups all reach all. Only members
// of StartSplit can be split.
func (c *Members) Split(groups ...[]*Member) {
	group := map[*Member]int{}
	for i, g := range groups {
		for _, m := range g {
			group[m] = i + 1
		}
	}
	for _, from := range c.All {
		cut := map[string]bool{}
		for _, to := range c.All {
			if len(groups) > 0 && from != to && (group[from] != group[to] || group[from] == 0) {
				cut[to.host] = true
			}
		}
		from.hub.block(cut)
	}
}
