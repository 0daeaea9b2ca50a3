package pulse

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ostraka/ostraka/crypto/transcript"
)

// maxPrograms is how many programs of one operator are remembered: the last.
const maxPrograms = 4

// A Program is what an operator said that its node runs, and how long this node heard it say so, by its own clock. It is that operator's word:
// nothing here shows which program made a heartbeat.
type Program struct {
	Version string
	Binary  [32]byte      // SHA-256 of its file
	Began   time.Time     // when a heartbeat first named it
	Last    time.Time     // when one did last
	Ran     time.Duration // between heartbeats that named it, one after another, with no long silence
}

// runs says whether it is a release: of one version, whichever machine it was built for. What is not released, or was changed, is one by its
// bytes alone.
func (x Program) runs(version string, binary [32]byte) bool {
	released := version != "devel" && !strings.Contains(version, "+")
	return x.Binary == binary || released && x.Version == version
}

// ran are the programs of an operator once it has shown this heartbeat, the present one last.
func (p *Pulse) ran(b Beat) []Program {
	all := slices.Clone(p.runs[b.Operator])
	x := Program{Version: b.Version, Binary: b.Binary, Began: b.Taken, Last: b.Taken}
	i := slices.IndexFunc(all, func(o Program) bool { return o.runs(b.Version, b.Binary) })
	if i >= 0 {
		old, present := all[i], i == len(all)-1
		x.Began, x.Ran = old.Began, old.Ran
		if since := b.Taken.Sub(old.Last); present && since > 0 && since <= 2*p.cfg.Every()+slack {
			x.Ran += since
		}
		all = slices.Delete(all, i, i+1)
	}
	all = append(all, x)
	return all[max(0, len(all)-maxPrograms):]
}

// A Run is what is known of one operator and this node's own release.
type Run struct {
	Program
	Now bool // it is what the operator runs, as it said last
}

// Runs tells of the operators that run or ran this node's own release, as far as it is remembered; ours is always among them.
func (p *Pulse) Runs(now time.Time) map[string]Run {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := map[string]Run{p.cfg.Operator: {Program{Began: now, Last: now}, true}}
	for operator, all := range p.runs {
		for i, x := range all {
			if x.runs(p.cfg.Version, p.cfg.Binary) {
				out[operator] = Run{x, i == len(all)-1 || operator == p.cfg.Operator}
			}
		}
	}
	return out
}

const (
	programVersion transcript.Tag = iota + 1
	programBinary
	programBegan
	programLast
	programRan
)

func encodePrograms(operator string, all []Program) []byte {
	var e transcript.Encoder
	return e.String(1, operator).List(2, len(all), func(i int, e *transcript.Encoder) {
		x := all[i]
		e.String(programVersion, x.Version).Bytes(programBinary, x.Binary[:]).Uint(programBegan, uint64(x.Began.Unix())).Uint(programLast, uint64(x.Last.Unix()))
		e.Uint(programRan, uint64(x.Ran/time.Second))
	}).Sum()
}

func decodePrograms(b []byte) (operator string, all []Program, err error) {
	d := transcript.NewDecoder(b)
	operator = d.String(1, 64)
	at := func(d *transcript.Decoder, tag transcript.Tag) time.Time {
		return time.Unix(int64(d.Uint(tag, 1<<40)), 0).UTC()
	}
	d.List(2, 1, maxPrograms, func(_ int, d *transcript.Decoder) {
		x := Program{Version: d.String(programVersion, 64)}
		copy(x.Binary[:], d.Fixed(programBinary, 32))
		x.Began, x.Last = at(d, programBegan), at(d, programLast)
		x.Ran = time.Duration(d.Uint(programRan, 1<<32)) * time.Second
		all = append(all, x)
	})
	return operator, all, d.Done()
}

// loadPrograms reads them back. What cannot be read begins anew.
func (p *Pulse) loadPrograms(ctx context.Context) error {
	return p.each(ctx, kindRuns, func(row string, value []byte) error {
		operator, all, err := decodePrograms(value)
		if err != nil {
			p.passOver(row, err)
			return nil
		}
		p.runs[operator] = all
		return nil
	})
}
