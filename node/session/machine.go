package session

import (
	"context"
	"time"

	"github.com/ostraka/ostraka/mpc/engine"
	"github.com/ostraka/ostraka/node/memory"
)

// A Machine is an engine session whose result type is hidden.
type Machine interface {
	Start() (Effects, error)
	Step(m engine.Msg) (Effects, error)
	Judge() (Effects, error)
	Guard() []engine.Token
	Waiting() []engine.PartyID
	Round() uint8
	// Last reports whether what is sent now is our last message.
	Last() bool
}

// Effects are an engine's effects; Finish hands the result over, once it is there.
type Effects struct {
	Burn   []engine.Token
	Save   []engine.Record
	Send   []engine.Msg
	Finish func(ctx context.Context, now time.Time) error
}

// machine adapts an engine session: finish gets its result, last is the number of the
// protocol's last round.
type machine[R any] struct {
	*engine.Session[R]
	last   uint8
	finish func(context.Context, time.Time, *R) error
}

// NewMachine adapts an engine session. last is the round after whose messages an abort
// means "possibly signed"; 0 for protocols that sign nothing.
func NewMachine[R any](s *engine.Session[R], last uint8, finish func(context.Context, time.Time, *R) error) Machine {
	return &machine[R]{s, last, finish}
}

func (m *machine[R]) adapt(e engine.Effects[R], err error) (Effects, error) {
	out := Effects{Burn: e.Burn, Save: e.Save, Send: e.Send}
	if e.Result != nil {
		out.Finish = func(ctx context.Context, now time.Time) error { return m.finish(ctx, now, e.Result) }
	}
	return out, err
}

// Start, Step and Judge compute with the share: what they leave behind in registers and on stacks is erased, where the program was built so.
func (m *machine[R]) Start() (out Effects, err error) {
	memory.Do(func() { out, err = m.adapt(m.Session.Start()) })
	return out, err
}

func (m *machine[R]) Step(in engine.Msg) (out Effects, err error) {
	memory.Do(func() { out, err = m.adapt(m.Session.Step(in)) })
	return out, err
}

func (m *machine[R]) Judge() (out Effects, err error) {
	memory.Do(func() { out, err = m.adapt(m.Session.Judge()) })
	return out, err
}

func (m *machine[R]) Last() bool { return m.last > 0 && m.Session.Round() >= m.last }
