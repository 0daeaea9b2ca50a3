package sim

import (
	"math/rand/v2"
	"slices"
	"time"
)

// send puts a node's frame on the network; a corrupt node may send others in its place.
func (w *World) send(from, to int, frame []byte) {
	if to < 0 || to >= len(w.hosts) || to == from {
		return
	}
	if w.Corrupt.Has(from) && w.scenario.Corrupt != nil {
		for _, f := range w.scenario.Corrupt(w.adverse, from, to, slices.Clone(frame)) {
			w.transmit(from, to, f)
		}
		return
	}
	w.transmit(from, to, frame)
}

// transmit lets the link's faults act on a frame. Each link draws its own numbers, always
// as many for one frame: to take a fault away leaves the rest as it was.
func (w *World) transmit(from, to int, frame []byte) {
	r := w.links[[2]int{from, to}]
	if r == nil {
		r = rand.New(rand.NewPCG(w.Seed, uint64(from+1)<<8|uint64(to)))
		w.links[[2]int{from, to}] = r
	}
	delay := time.Duration(1+r.IntN(20)) * time.Millisecond
	again := time.Duration(1+r.IntN(400)) * time.Millisecond
	luck, bit := r.IntN(100), r.IntN(1<<20)
	frame = slices.Clone(frame)
	copies := []time.Duration{delay}
	for _, f := range w.Faults {
		if !f.active(w.now) || !f.touches(from, to) {
			continue
		}
		switch f.Kind {
		case Cut, Partition:
			return
		case Drop:
			if luck < f.Amount {
				return
			}
		case Repeat:
			if luck < f.Amount {
				copies = append(copies, delay+again)
			}
		case Delay:
			copies[0] += again * time.Duration(f.Amount) / 100
		case Garble:
			if luck < f.Amount && len(frame) > 0 {
				frame[bit/8%len(frame)] ^= 1 << (bit % 8)
			}
		}
	}
	for _, d := range copies {
		f := slices.Clone(frame) // a receiver may change what it got
		w.After(d, func() { w.hosts[to].deliver(from, f) })
	}
}
