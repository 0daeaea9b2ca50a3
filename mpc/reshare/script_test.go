package reshare

import (
	"fmt"
	"testing"

	"github.com/ostraka/ostraka/mpc/engine"
)

// shown makes sessions whose results print what a reader of a transcript wants to see.
func shown(tb testing.TB, all []Params) (out []*engine.Session[line]) {
	tb.Helper()
	for _, p := range all {
		var ids []engine.PartyID
		for _, q := range p.Parties {
			ids = append(ids, q.ID)
		}
		s, err := engine.New(engine.Params{Session: p.Session, Parties: ids, MaxBody: 4096, Kinds: 2}, p.Self.ID,
			engine.Stage[line](&shownStage{Start(p)}))
		if err != nil {
			tb.Fatal(err)
		}
		out = append(out, s)
	}
	return out
}

type line string

func (o *Output) line() line {
	held := "no share"
	if o.Share != nil {
		held = "a share"
	}
	return line(fmt.Sprintf("%s, key %x, %d public shares, T %x", held, o.Public.Bytes()[:6], len(o.Publics), o.Echo[:6]))
}

// shownStage turns a stage of outputs into one of lines.
type shownStage struct{ s engine.Stage[Output] }

func (w *shownStage) Expect() engine.Expect { return w.s.Expect() }
func (w *shownStage) Accept(k engine.Kind, from engine.PartyID, body []byte) error {
	return w.s.Accept(k, from, body)
}

func (w *shownStage) Finish(t engine.Transcript) (engine.Outcome[line], error) {
	o, err := w.s.Finish(t)
	out := engine.Outcome[line]{Burn: o.Burn, Save: o.Save, Send: o.Send}
	if o.Next != nil {
		out.Next = &shownStage{o.Next}
	}
	if o.Result != nil {
		l := o.Result.line()
		out.Result = &l
	}
	return out, err
}
