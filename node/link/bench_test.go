package link

import (
	"crypto/ed25519"
	"fmt"
	"testing"
)

// countingMesh runs a mesh whose nodes count what they get on a channel.
func countingMesh(b *testing.B, n int) ([]*node, chan int) {
	b.Helper()
	arrived := make(chan int, 1024)
	nodes := make([]*node, n)
	for i := range nodes {
		nodes[i] = start(b, fmt.Sprintf("bench %d", i), timed(func(w *timing) { *w = defaultTiming() }), configured(func(c *Config) {
			c.Receive = func(ed25519.PublicKey, []byte) { arrived <- i }
			c.Log = nil
		}))
	}
	for i, node := range nodes {
		var peers []Peer
		for j, other := range nodes {
			if i != j {
				peers = append(peers, other.peer())
			}
		}
		node.SetPeers(peers)
	}
	for i := range nodes {
		for j := range i {
			connected(b, nodes[i], nodes[j])
		}
	}
	return nodes, arrived
}

// BenchmarkRoundTrip is one 2 KiB frame there and one back.
func BenchmarkRoundTrip(b *testing.B) {
	nodes, arrived := countingMesh(b, 2)
	body := make([]byte, 2<<10)
	for b.Loop() {
		for i := range nodes {
			if err := nodes[i].Send(publicOf(nodes[1-i].name), body); err != nil {
				b.Fatal(err)
			}
			<-arrived
		}
	}
}

// BenchmarkRound is a protocol round: every node sends 2 KiB to all others and all wait for all.
func BenchmarkRound(b *testing.B) {
	for _, n := range []int{3, 5} {
		b.Run(fmt.Sprintf("n=%d", n), func(b *testing.B) {
			nodes, arrived := countingMesh(b, n)
			body := make([]byte, 2<<10)
			for b.Loop() {
				for i := range nodes {
					for j := range nodes {
						if i != j {
							if err := nodes[i].Send(publicOf(nodes[j].name), body); err != nil {
								b.Fatal(err)
							}
						}
					}
				}
				for range n * (n - 1) {
					<-arrived
				}
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rounds/s")
		})
	}
}

// BenchmarkOverhead counts bytes on the wire, both ways and with acknowledgements, beyond the frame's own.
func BenchmarkOverhead(b *testing.B) {
	for _, size := range []int{64, 2 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("frame=%d", size), func(b *testing.B) {
			arrived := make(chan struct{}, 1)
			x := start(b, "x", configured(func(c *Config) {
				c.Receive = func(ed25519.PublicKey, []byte) { arrived <- struct{}{} }
				c.Peers, c.Log = []Peer{guest("y")}, nil
			}), timed(func(w *timing) { *w = defaultTiming() }))
			p := newProxy(b, x.Addr())
			y := start(b, "y", peersOf(Peer{Key: publicOf("x"), Addr: p.ln.Addr().String()}), timed(func(w *timing) { *w = defaultTiming() }))
			connected(b, x, y)
			body := make([]byte, size)
			before := 0
			p.set(func(p *proxy) { before = p.count })
			for b.Loop() {
				if err := y.Send(publicOf("x"), body); err != nil {
					b.Fatal(err)
				}
				<-arrived
			}
			p.set(func(p *proxy) {
				b.ReportMetric(float64(p.count-before)/float64(b.N)-float64(size), "extra-bytes/frame")
			})
		})
	}
}
