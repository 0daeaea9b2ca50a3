package session_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/ostraka/ostraka/mpc/ceremony"
	"github.com/ostraka/ostraka/mpc/dkls"
	"github.com/ostraka/ostraka/mpc/engine"
	mpc "github.com/ostraka/ostraka/mpc/session"
	"github.com/ostraka/ostraka/node/session"
	sim "github.com/ostraka/ostraka/sim/dkls"
)

// tapped remembers the very bytes of private messages that a machine made and was given.
type tapped struct {
	session.Machine
	made, given *[][]byte
	abandoned   *int
}

func (m tapped) Abandon() { *m.abandoned++ }

func (m tapped) tap(e session.Effects, err error) (session.Effects, error) {
	for _, x := range e.Send {
		if x.To != engine.Everyone {
			*m.made = append(*m.made, x.Body)
		}
	}
	return e, err
}

func (m tapped) Start() (session.Effects, error) { return m.tap(m.Machine.Start()) }
func (m tapped) Judge() (session.Effects, error) { return m.tap(m.Machine.Judge()) }
func (m tapped) Step(x engine.Msg) (session.Effects, error) {
	if x.To != engine.Everyone {
		*m.given = append(*m.given, x.Body)
	}
	return m.tap(m.Machine.Step(x))
}

// What a session says to one party alone is in no memory of ours in clear once it has left or the session is over, however it ends.
func TestPrivateBodiesAreWiped(t *testing.T) {
	for name, c := range map[string]struct {
		bend func(*engine.Msg)
		ends bool
	}{
		"a signature":    {nil, true},
		"a failed check": {flip(dkls.KindProduct, 100), true},
		"a bad length":   {func(m *engine.Msg) { cut(m, dkls.KindProduct) }, true},
		"time is over":   {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			made, given, abandoned := new([][]byte), new([][]byte), 0
			w := newCluster(t, 2, 2)
			for i, n := range w.nodes {
				n.admit = func(s *mpc.Setup) (*session.Task, error) {
					return w.com.Task(n.journal, i, w.now, s, sim.Hooks{
						Wrap: func(m session.Machine) session.Machine {
							if i == 1 && c.bend != nil {
								m = sim.Bend(m, c.bend)
							}
							if i == 0 {
								return tapped{m, made, given, &abandoned}
							}
							return judged{m, n}
						},
						Signed: func(*ceremony.Signature) {},
						Done:   func(err error, sentLast bool) { n.done(s.Hash(), err, sentLast) },
					})
				}
			}
			hash, err := w.open(0, w.signSetup(0, 1))
			if err != nil {
				t.Fatal(err)
			}
			stop := !c.ends
			w.pump(func(n int) int {
				if stop && len(*given) > 0 {
					for _, o := range w.nodes {
						o.host.Close(ctx, w.now)
					}
					stop = false
				}
				return 0
			})
			if _, ended := w.nodes[0].ended(hash); !ended {
				t.Fatal("it goes on")
			}
			if abandoned != 1 { // the engine wipes the stage then, unless its session ended
				t.Errorf("the machine was given up %d times", abandoned)
			}
			if len(*made) < 1 || len(*given) < 1 {
				t.Fatalf("%d private messages were made, %d were given", len(*made), len(*given))
			}
			for what, bodies := range map[string][][]byte{"made": *made, "given": *given} {
				for k, b := range bodies {
					if !bytes.Equal(b, make([]byte, len(b))) {
						t.Errorf("private message %d that was %s is still in memory", k, what)
					}
				}
			}
		})
	}
}

func cut(m *engine.Msg, kind engine.Kind) {
	if m.Kind == kind {
		m.Body = slices.Clone(m.Body[:len(m.Body)-1])
	}
}
