package sim

import (
	"math/rand/v2"
	"time"
)

// A Mode says what must hold.
type Mode uint8

const (
	Safety   Mode = iota // nothing forbidden happens, under any faults
	Liveness             // healthy nodes come to an end, whatever the others do
)

// A FaultKind is a way to fail.
type FaultKind uint8

const (
	Drop        FaultKind = iota // frames from Node to Peer, Amount percent
	Repeat                       // likewise, twice
	Delay                        // likewise, Amount percent of up to 400 ms later; so they overtake
	Garble                       // likewise, one bit flips
	Cut                          // no frame from Node to Peer arrives
	Partition                    // no frame leaves Side, nor enters it unless Amount is 1
	Crash                        // of Node at From; it starts again at Until
	CrashCommit                  // of Node in its Amount/2-th commit after From, if odd after it was durable
	DiskFull                     // of Node
	DiskUnknown                  // half of Node's commits return unknown, half of those are done
	Pause                        // Node stops and goes on
	ClockJump                    // Node's clock is Amount milliseconds off
	kinds
	// Restore is never drawn: it needs a node that knows its own rollback. Node crashes at
	// From and starts at Until over a backup of its disk, Amount batches old.
	Restore
)

// Anyone as Peer or Node of a link's fault is every node and the client.
const Anyone = -2

// A Fault is one thing that goes wrong for a while. Amount depends on the kind.
type Fault struct {
	Kind        FaultKind
	Node, Peer  int
	Side        Set
	From, Until time.Duration
	Amount      int
}

// Forever ends after every simulation.
const Forever = 1 << 40 * time.Millisecond

func (f Fault) active(now time.Duration) bool { return f.From <= now && now < f.Until }

// touches reports whether the fault acts on a link.
func (f Fault) touches(from, to int) bool {
	if f.Kind == Partition {
		leaves, enters := f.Side.Has(from) && !f.Side.Has(to), !f.Side.Has(from) && f.Side.Has(to)
		return leaves || enters && f.Amount != 1
	}
	return (f.Node == from || f.Node == Anyone) && (f.Peer == to || f.Peer == Anyone)
}

// plan puts those faults into the queue that happen at a moment.
func (w *World) plan(f Fault) {
	switch f.Kind {
	case Crash, CrashCommit, Pause, ClockJump, Restore:
	default:
		return
	}
	h := w.hosts[f.Node]
	w.After(f.From, func() {
		switch f.Kind {
		case Crash:
			h.crash(f.Until)
		case Restore:
			h.crash(f.Until)
			h.disk.rewind(max(0, len(h.disk.log)-f.Amount))
		case CrashCommit:
			h.trap = trap{h.count + 1 + f.Amount/2, f.Amount%2 == 1, f.Until}
		case Pause:
			h.pause = max(h.pause, f.Until)
		case ClockJump:
			h.skew += time.Duration(f.Amount) * time.Millisecond
		}
	})
	switch f.Kind {
	case CrashCommit:
		w.After(f.Until, func() {
			if !h.dying {
				h.trap = trap{}
			}
		})
	case ClockJump:
		w.After(f.Until, func() { h.skew -= time.Duration(f.Amount) * time.Millisecond })
	}
}

// Draw makes options from a seed: 3 to 5 nodes, fewer corrupt ones than the threshold,
// and up to ten faults.
func Draw(seed uint64, mode Mode) Options {
	r := rand.New(rand.NewPCG(seed, 'd'))
	o := Options{Seed: seed, Mode: mode, Nodes: 3 + r.IntN(3), Length: 12 * time.Second}
	o.Threshold = 2 + r.IntN(o.Nodes-1)
	all := r.Perm(o.Nodes)
	if mode == Liveness {
		for _, i := range all[:o.Threshold] {
			o.Healthy |= 1 << i
		}
		o.Length = 5 * time.Minute
		// A link that loses some of everything for ever is healthy: who repeats nothing is stuck.
		o.Faults = append(o.Faults, Fault{Kind: Drop, Node: Anyone, Peer: Anyone, Until: Forever, Amount: r.IntN(40)})
		for _, i := range all[o.Threshold:] {
			if len(all)-o.Threshold < o.Threshold && r.IntN(3) == 0 {
				o.Corrupt |= 1 << i
				continue
			}
			o.Faults = append(o.Faults, broken(r, i)...)
		}
	} else {
		for _, i := range all[:r.IntN(o.Threshold)] {
			o.Corrupt |= 1 << i
		}
	}
	for range r.IntN(10) {
		o.Faults = append(o.Faults, passing(r, o))
	}
	return o
}

// passing is a fault that heals, in the first nine seconds.
func passing(r *rand.Rand, o Options) Fault {
	from := time.Duration(r.IntN(8000)) * time.Millisecond
	f := Fault{
		Kind: FaultKind(r.IntN(int(kinds))), Node: r.IntN(o.Nodes), Peer: r.IntN(o.Nodes),
		From: from, Until: min(from+time.Duration(100+r.IntN(4000))*time.Millisecond, 9*time.Second),
		Amount: 5 + r.IntN(90),
	}
	if r.IntN(3) == 0 && f.Kind < Partition {
		f.Peer = Anyone
	}
	switch f.Kind {
	case Partition:
		f.Side, f.Amount = Set(1+r.IntN(1<<o.Nodes-2)), r.IntN(2)
	case CrashCommit:
		f.Amount = r.IntN(10)
	case ClockJump:
		f.Amount = r.IntN(7200_000) - 3600_000
	}
	return f
}

// broken makes a node useless for good, in one of many ways.
func broken(r *rand.Rand, node int) []Fault {
	f := Fault{Node: node, Peer: Anyone, From: time.Duration(r.IntN(4000)) * time.Millisecond, Until: Forever, Amount: 100}
	switch r.IntN(7) {
	case 0:
		f.Kind = Crash
	case 1:
		f.Kind, f.Side, f.Amount = Partition, 1<<node, 0
	case 2: // it hears all and nobody hears it
		f.Kind, f.Side, f.Amount = Partition, 1<<node, 1
	case 3: // it is heard and hears nothing
		f.Kind, f.Node, f.Peer = Cut, Anyone, node
	case 4:
		f.Kind = DiskFull
	case 5:
		f.Kind = Pause
	case 6:
		f.Kind = Garble
	}
	return []Fault{f}
}

// Shrink takes faults away as long as the run still fails, and returns what is left.
func Shrink(o Options, run func(Options) Report) Report {
	best := run(o)
	for size := max(len(o.Faults), 1); best.Violation != nil && size > 0; size /= 2 {
		for at := 0; at+size <= len(best.Options.Faults); {
			try := best.Options
			try.Faults = append(append([]Fault(nil), try.Faults[:at]...), try.Faults[at+size:]...)
			if r := run(try); r.Violation != nil {
				best = r
			} else {
				at += size
			}
		}
	}
	return best
}
