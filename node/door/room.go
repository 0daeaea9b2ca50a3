package door

import (
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// isEnd says whether a read's error is the sender's own end.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// A Room bounds how many connections one target has at once. When it is full, the address that holds the most places (IPv6: the /64 network) loses its oldest:
// a flood from one address pushes out itself, and a flood at one room leaves all others as they are.
type Room struct {
	bytes  atomic.Uint64
	pushed atomic.Uint64

	mu   sync.Mutex
	max  int
	list []*place // oldest first
}

type place struct {
	room *Room
	conn net.Conn
	from string
	once sync.Once
}

// NewRoom makes a room with so many places.
func NewRoom(max int) *Room { return &Room{max: max} }

// Resize changes how many places there are. Who is in stays.
func (r *Room) Resize(max int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.max = max
}

// A RoomStats is what a room holds, and what it saw.
type RoomStats struct {
	Max    int    `json:"max"`
	Held   int    `json:"held"`
	Pushed uint64 `json:"pushed"` // closed for others
	Bytes  uint64 `json:"bytes"`  // carried either way, of connections that ended
}

// Stats shows a room.
func (r *Room) Stats() RoomStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	return RoomStats{Max: r.max, Held: len(r.list), Pushed: r.pushed.Load(), Bytes: r.bytes.Load()}
}

// enter takes a place.
func (r *Room) enter(conn net.Conn) (*place, bool) {
	p := &place{room: r, conn: conn, from: Place(conn.RemoteAddr())}
	r.mu.Lock()
	if r.max < 1 {
		r.mu.Unlock()
		return nil, false
	}
	var out *place
	if r.list = append(r.list, p); len(r.list) > r.max {
		out = r.crowded()
		r.list = slices.DeleteFunc(r.list, func(x *place) bool { return x == out })
	}
	r.mu.Unlock()
	if out == nil {
		return p, true
	}
	r.pushed.Add(1)
	out.conn.Close()
	return p, out != p
}

// crowded is the oldest connection of the address that holds the most places.
func (r *Room) crowded() (out *place) {
	count := map[string]int{}
	for _, p := range r.list {
		count[p.from]++
	}
	for _, p := range r.list {
		if out == nil || count[p.from] > count[out.from] {
			out = p
		}
	}
	return out
}

func (p *place) leave() {
	p.once.Do(func() {
		p.room.mu.Lock()
		defer p.room.mu.Unlock()
		p.room.list = slices.DeleteFunc(p.room.list, func(x *place) bool { return x == p })
	})
}

// Place is what one caller can have many of: the address without port, for IPv6 the /64 network.
func Place(remote net.Addr) string {
	ap, err := netip.ParseAddrPort(remote.String())
	if err != nil {
		return remote.String()
	}
	addr := ap.Addr().Unmap()
	bits := addr.BitLen()
	if addr.Is6() {
		bits = 64
	}
	prefix, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return remote.String()
	}
	return prefix.String()
}

// Loopback gives each caller's place an address of its own in 127.0.0.0/8, so that who is behind the door on this machine can bound callers one by one although
// all come through it. salt keeps others from choosing whom they share one with.
func Loopback(salt []byte) func(net.Addr) net.Addr {
	return func(remote net.Addr) net.Addr {
		h := sha256.New()
		h.Write(salt)
		io.WriteString(h, Place(remote)) //nolint:errcheck // a hash takes everything
		sum := h.Sum(nil)
		return &net.TCPAddr{IP: net.IPv4(127, 1+sum[0]%254, sum[1], 1+sum[2]%254)}
	}
}
